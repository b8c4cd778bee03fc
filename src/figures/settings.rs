//! `settings.png`: the accuracies of all settings over the epochs.

use plotters::prelude::*;

use crate::figures::canvas::{
    BLUE, HEAD, INK, OVERSAMPLING, Stroke, VERMILION, axis_range, decimals, figure, format_tick,
};
use crate::figures::curves::{Curves, Point, draw_points, titled};
use crate::figures::legend::{self, Mark};

const WIDTH: u32 = 1200;
const SMALLEST_HEIGHT: u32 = 480;
/// From the left edge to the vertical axis.
const AXIS_LEFT: u32 = 104;
/// From the right edge to the legend.
const RIGHT: u32 = 20;
/// From the axes to the legend.
const GAP: u32 = 28;
/// The colours of the palette of Okabe and Ito, the palest last.
const COLORS: [RGBColor; 8] = [
    BLUE,
    VERMILION,
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    INK,
    RGBColor(240, 228, 66),
];

/// A setting's title and its accuracies.
pub type SettingCurves = (String, Curves);

/// `settings.png`: one line per setting, for its accuracy on the validation split or, if no setting was validated, on the
/// training split; those on validation are dashed. From the ninth setting on the colours begin again, with thinner lines.
pub fn settings_figure(settings: &[SettingCurves]) -> Vec<u8> {
    let validated = settings.iter().any(|(_, curves)| curves.validation.iter().any(|point| point.1.is_some()));
    let split = if validated { "validation" } else { "training" };
    let lines: Vec<_> = (0..).zip(settings).map(|(i, setting)| Line::new(i, setting, validated)).collect();
    let texts = lines.iter().map(|line| legend::width((Mark::Line(line.stroke), &line.meaning)));
    let legend_left = WIDTH - RIGHT - texts.max().unwrap_or(0);
    let height = (HEAD + (lines.len() as u32 + 1) * legend::LINE).max(SMALLEST_HEIGHT);
    figure((WIDTH, height), OVERSAMPLING, |canvas| {
        let (head, body) = canvas.split_at(HEAD);
        let title = match validated {
            true => "Validation accuracy of all settings",
            false => "Training accuracy of all settings; validation was not evaluated",
        };
        legend::draw_head(&head, AXIS_LEFT..WIDTH - RIGHT, title, &[])?;
        let ys = (0..).map(|i| legend::LINE / 2 + legend::LINE * i);
        ys.zip(&lines).try_for_each(|(y, line)| {
            legend::draw_line(&body, &[(Mark::Line(line.stroke), &line.meaning)], (legend_left, y))
        })?;
        let range = axis_range(lines.iter().flat_map(|line| line.points).filter_map(|point| point.1));
        let places = decimals(&range);
        let last = settings.iter().map(|(_, curves)| curves.last_epoch()).max().unwrap_or(2);
        let mut chart = body.chart((AXIS_LEFT, WIDTH - legend_left + GAP, 8, 52), 0..last, range)?;
        let tick = |y: &f64| format_tick(*y, places);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("epoch").y_desc(format!("{split} accuracy (%)")).x_labels(9).y_label_formatter(&tick);
        body.draw_axes(&mut mesh, (20, 22))?;
        lines.iter().try_for_each(|line| draw_points(&body, &mut chart, line.points, line.stroke))
    })
}

/// A setting's line and its meaning.
struct Line<'a> {
    meaning: String,
    stroke: Stroke,
    points: &'a [Point],
}

impl<'a> Line<'a> {
    /// The line of setting number `i`.
    fn new(i: usize, (title, curves): &'a SettingCurves, validated: bool) -> Self {
        Self {
            meaning: titled(title, curves.first_missing()),
            stroke: Stroke {
                color: COLORS[i % COLORS.len()],
                width: if i < COLORS.len() { 4 } else { 2 },
                // As in all figures.
                dashed: validated,
            },
            points: if validated { &curves.validation } else { &curves.training },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;
    use crate::figures::tests::Image;

    /// The curves of a setting with these accuracies after the epochs, on the training and on the validation split.
    fn setting(accuracies: &[[Option<f64>; 2]]) -> SettingCurves {
        let epochs = (1..).zip(accuracies.iter().copied());
        ("λ = 0.1, η = 0.001".into(), Curves::new("accuracy", Unit::Percent, epochs))
    }

    fn image(settings: &[SettingCurves]) -> Image {
        Image::decode(&settings_figure(settings))
    }

    /// The pixels of `color` between the axes.
    fn places(image: &Image, color: RGBColor) -> Vec<(usize, usize)> {
        let legend = image.places(BLUE).into_iter().map(|(x, _)| x).max().unwrap() - 37;
        let places = image.places(color).into_iter();
        places.filter(|&(x, y)| x < legend && y > HEAD as usize).collect()
    }

    #[test]
    fn each_setting_has_its_color_and_the_better_one_is_higher() {
        let [low, high] = [30.0, 35.0].map(|accuracy| setting(&[[Some(50.0), Some(accuracy)]; 10]));
        let image = image(&[low, high]);
        let heights = |color| {
            let places = places(&image, color);
            assert!(places.len() > 500, "{}", places.len());
            (places.iter().map(|p| p.1).min().unwrap(), places.iter().map(|p| p.1).max().unwrap())
        };
        assert!(heights(VERMILION).1 < heights(BLUE).0);
    }

    #[test]
    fn training_is_shown_where_nothing_was_validated() {
        let heights = |validation: Option<f64>| {
            let epochs: Vec<_> = (0..10).map(|epoch| [Some(f64::from(epoch)), validation]).collect();
            let places = places(&image(&[setting(&epochs)]), BLUE).into_iter();
            places.map(|(_, y)| y).collect::<std::collections::BTreeSet<_>>().len()
        };
        // The accuracies on the training images rise, those on the validation images do not.
        assert!(heights(None) > 200 && heights(Some(30.0)) < 20);
    }

    #[test]
    fn any_number_of_settings_of_any_values_is_drawn() {
        let diverged = setting(&[[Some(10.0), Some(10.0)], [None, None]]);
        assert_eq!(image(&[diverged, setting(&[])]).height, SMALLEST_HEIGHT as usize);
        let many: Vec<_> = (0..20).map(|i| setting(&[[Some(f64::from(i)); 2]])).collect();
        assert_eq!(image(&many).height, (HEAD + 21 * legend::LINE) as usize);
        assert_eq!(Image::decode(&settings_figure(&[])).width, WIDTH as usize);
    }
}
