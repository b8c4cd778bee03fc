//! `curves_<setting>.png`: losses, costs and accuracies over the epochs.

use std::ops::Range;

use plotters::coord::types::RangedCoordi32;
use plotters::prelude::*;

use crate::figures::canvas::{
    BLUE, Canvas, Chart, Drawn, HEAD, OVERSAMPLING, Stroke, VERMILION, axis_range, decimals, figure, format_tick,
};
use crate::figures::legend::{Mark, draw_head};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 440;
/// Number of quantities, beside each other.
const PANELS: usize = 3;
/// From the left edge of each panel to its vertical axis.
const AXIS_LEFT: u32 = 104;
/// Right of each panel.
const RIGHT: u32 = 28;
const TRAINING: Stroke = Stroke::solid(BLUE, 3);
const VALIDATION: Stroke = Stroke::dashed(VERMILION, 3);
/// A larger value counts as missing: plotters never stops looking for ticks near the largest `f64`, and no sum of
/// squared `f32` weights comes close to this.
const LARGEST: f64 = 1e100;

/// One quantity after each epoch, on the training and the validation split.
pub struct Curves {
    /// Its name, such as `loss`.
    pub quantity: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// Its values on the training split.
    pub training: Vec<Point>,
    /// Its values on the validation split, for the same epochs.
    pub validation: Vec<Point>,
}

/// An epoch, and its value unless it is missing.
pub type Point = (i32, Option<f64>);

/// The unit of a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of losses and costs, which get better by falling.
    Nats,
    /// Of accuracies, which get better by rising.
    Percent,
}

impl Unit {
    /// `nats` or `%`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Percent => "%",
        }
    }
}

/// `curves_<setting>.png`: the losses on the left, the costs in the middle, the accuracies on the right.
///
/// A line ends where its values are missing, and the title has the first such epoch.
pub fn curves_figure(title: &str, curves: &[Curves; PANELS]) -> Vec<u8> {
    figure((WIDTH, HEIGHT), OVERSAMPLING, |canvas| {
        let (head, body) = canvas.split_at(HEAD);
        let mut legend = vec![(Mark::Line(TRAINING), "training")];
        if curves.iter().flat_map(|curves| &curves.validation).any(|point| point.1.is_some()) {
            legend.push((Mark::Line(VALIDATION), "validation"));
        }
        let title = titled(title, curves.iter().filter_map(Curves::first_missing).min());
        draw_head(&head, AXIS_LEFT..WIDTH - RIGHT, &title, &legend)?;
        curves.iter().zip(body.split_evenly(1, PANELS)).try_for_each(|(curves, panel)| curves.draw(&panel))
    })
}

/// A setting's `title` with the epoch in which it diverged, if it did.
pub fn titled(title: &str, diverged: Option<i32>) -> String {
    diverged.map_or_else(|| title.into(), |epoch| format!("{title} (diverged in epoch {epoch})"))
}

impl Curves {
    /// Takes each epoch with its value on the training and on the validation split.
    pub fn new(
        quantity: &'static str,
        unit: Unit,
        epochs: impl IntoIterator<Item = (usize, [Option<f64>; 2])>,
    ) -> Self {
        let point = |(epoch, values): (usize, [Option<f64>; 2])| {
            let epoch = i32::try_from(epoch).unwrap_or(i32::MAX);
            let [training, validation] = values.map(|value| (epoch, value.filter(|v| v.abs() <= LARGEST)));
            (training, validation)
        };
        let (training, validation) = epochs.into_iter().map(point).unzip();
        Self { quantity, unit, training, validation }
    }

    fn draw(&self, canvas: &Canvas) -> Drawn {
        let range = self.range();
        let decimals = decimals(&range);
        let mut chart = canvas.chart((AXIS_LEFT, RIGHT, 8, 52), 0..self.last_epoch(), range)?;
        let tick = |y: &f64| format_tick(*y, decimals);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("epoch")
            .y_desc(format!("{} ({})", self.quantity, self.unit.name()))
            .x_labels(5)
            .y_label_formatter(&tick);
        canvas.draw_axes(&mut mesh, (20, 22))?;
        draw_points(canvas, &mut chart, &self.training, TRAINING)?;
        draw_points(canvas, &mut chart, &self.validation, VALIDATION)
    }

    fn points(&self) -> impl Iterator<Item = Point> {
        self.training.iter().chain(&self.validation).copied()
    }

    /// The end of the axis of epochs.
    pub fn last_epoch(&self) -> i32 {
        self.training.last().map_or(2, |point| point.0.max(2))
    }

    /// The first epoch without a value. A split that has none while the other has some was not evaluated.
    pub fn first_missing(&self) -> Option<i32> {
        let mut splits = vec![&self.training, &self.validation];
        if self.points().any(|point| point.1.is_some()) {
            splits.retain(|points| points.iter().any(|point| point.1.is_some()));
        }
        let missing = splits.into_iter().flatten().filter(|point| point.1.is_none());
        missing.map(|point| point.0).min()
    }

    /// The vertical axis: from below the smallest to above the largest value.
    pub fn range(&self) -> Range<f64> {
        axis_range(self.points().filter_map(|point| point.1))
    }
}

/// Joins neighbouring values; a value without a neighbour is a dot.
pub fn draw_points(canvas: &Canvas, chart: &mut Chart<RangedCoordi32>, points: &[Point], stroke: Stroke) -> Drawn {
    let style = canvas.stroke(stroke.color, stroke.width);
    for run in points.split(|point| point.1.is_none()) {
        let run: Vec<_> = run.iter().filter_map(|&(x, y)| Some((x, y?))).collect();
        if let [point] = run[..] {
            chart.draw_series([Circle::new(point, canvas.scaled(5), stroke.color.filled())])?;
        } else if stroke.dashed {
            let (dash, gap) = canvas.dash();
            chart.draw_series(DashedLineSeries::new(run, dash, gap, style))?;
        } else {
            chart.draw_series(LineSeries::new(run, style))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::{TICKS, ticks};
    use crate::figures::tests::Image;
    use proptest::prelude::*;

    const PANEL_WIDTH: usize = WIDTH as usize / PANELS;

    type Row = (usize, [Option<f64>; 2]);

    fn row(epoch: usize, training: Option<f64>, validation: Option<f64>) -> Row {
        (epoch, [training, validation])
    }

    fn losses(rows: &[Row]) -> Curves {
        Curves::new("loss", Unit::Nats, rows.iter().copied())
    }

    /// The figure of `rows` as losses, with costs that are larger by 1 and accuracies that are larger by 40.
    fn figure_of(title: &str, rows: &[Row]) -> Vec<u8> {
        let above = |difference: f64| {
            rows.iter().map(move |&(epoch, values)| (epoch, values.map(|value| value.map(|v| v + difference))))
        };
        let costs = Curves::new("cost", Unit::Nats, above(1.0));
        curves_figure(title, &[losses(rows), costs, Curves::new("accuracy", Unit::Percent, above(40.0))])
    }

    fn falling(epochs: usize) -> Vec<Row> {
        let loss = |epoch: usize| 1.7 + 0.3 / epoch as f64;
        (1..=epochs).map(|e| row(e, Some(loss(e)), Some(loss(e) + 0.1))).collect()
    }

    fn curves_image(rows: &[Row]) -> Image {
        Image::decode(&figure_of("a title", rows))
    }

    /// Pixels of `color` below the head in a panel, counted from the left.
    fn places(image: &Image, panel: usize, color: RGBColor) -> Vec<(usize, usize)> {
        let places = image.places(color).into_iter();
        places.filter(|&(x, y)| x / PANEL_WIDTH == panel && y >= HEAD as usize).collect()
    }

    #[test]
    fn both_lines_are_in_every_panel_and_fit_into_it() {
        let image = curves_image(&falling(40));
        assert_eq!((image.width, image.height), (1200, 440));
        for panel in 0..PANELS {
            for color in [BLUE, VERMILION] {
                let places = places(&image, panel, color);
                let left = panel * 400 + AXIS_LEFT as usize;
                assert!(places.len() > 300);
                assert!(places.iter().all(|&(x, y)| {
                    (left..left + 400 - AXIS_LEFT as usize - 24).contains(&x)
                        && (HEAD as usize + 4..440 - 64).contains(&y)
                }));
            }
        }
    }

    #[test]
    fn validation_is_dashed() {
        let image = curves_image(&falling(40));
        for panel in 0..PANELS {
            let columns = |color| {
                let columns = places(&image, panel, color).into_iter().map(|(x, _)| x);
                columns.collect::<std::collections::BTreeSet<_>>().len()
            };
            let (solid, dashed) = (columns(BLUE), columns(VERMILION));
            assert!(solid > 250 && (solid / 2..solid * 4 / 5).contains(&dashed), "{solid} {dashed}");
        }
    }

    #[test]
    fn no_line_is_drawn_for_missing_values() {
        let image = curves_image(&[row(1, None, None), row(2, None, None)]);
        for panel in 0..PANELS {
            assert_eq!(places(&image, panel, BLUE), []);
            assert_eq!(places(&image, panel, VERMILION), []);
        }
    }

    #[test]
    fn a_line_ends_where_its_values_do() {
        let mut rows = falling(40);
        for (_, values) in &mut rows[20..] {
            values[0] = None;
        }
        let image = curves_image(&rows);
        let right_end = |color| places(&image, 0, color).iter().map(|p| p.0).max().unwrap();
        assert!(right_end(BLUE) < 250);
        assert!(right_end(VERMILION) > 350);
    }

    #[test]
    fn one_epoch_is_a_dot() {
        let image = curves_image(&falling(1));
        for panel in 0..PANELS {
            let dot = places(&image, panel, BLUE);
            assert!((40..120).contains(&dot.len()), "{}", dot.len());
        }
    }

    #[test]
    fn the_epoch_of_divergence_is_the_first_missing_one() {
        assert_eq!(losses(&falling(5)).first_missing(), None);
        let mut rows = falling(5);
        rows[4].1[0] = None;
        rows[3].1[1] = Some(f64::INFINITY);
        assert_eq!(losses(&rows).first_missing(), Some(4));
        assert_eq!(losses(&[row(1, None, None)]).first_missing(), Some(1));
    }

    #[test]
    fn a_split_that_is_not_evaluated_has_not_diverged() {
        let without_validation = [row(1, Some(2.0), None), row(2, Some(1.9), None)];
        assert_eq!(losses(&without_validation).first_missing(), None);
        // Nor is it in the legend.
        let in_head = |rows: &[Row]| {
            let image = curves_image(rows);
            [BLUE, VERMILION].map(|color| image.places(color).iter().any(|&(_, y)| y < HEAD as usize))
        };
        assert_eq!(in_head(&without_validation), [true, false]);
        assert_eq!(in_head(&falling(2)), [true, true]);
    }

    #[test]
    fn equal_values_give_equal_bytes_and_other_titles_others() {
        let rows = falling(10);
        let figure = figure_of("λ = 0.1, η = 0.001", &rows);
        let elsewhere = std::thread::spawn(move || figure_of("λ = 0.1, η = 0.001", &rows));
        assert_eq!(elsewhere.join().unwrap(), figure);
        assert_ne!(figure_of("λ = 0.1, η = 0.01", &falling(10)), figure);
        assert_ne!(figure_of("λ = 1.0, η = 0.001", &falling(10)), figure);
    }

    #[test]
    fn extreme_curves_are_drawn() {
        let extreme = [0.0, 1e-300, 1e300, f64::MAX, LARGEST, -1.0, f64::NAN];
        for (i, &a) in extreme.iter().enumerate() {
            let b = extreme[(i + 1) % extreme.len()];
            let rows = [row(1, Some(a), Some(b)), row(usize::MAX, Some(b), Some(a))];
            assert_eq!(curves_image(&rows).width, 1200);
        }
        assert_eq!(curves_image(&[]).width, 1200);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn an_axis_holds_its_values_and_has_few_ticks(values in prop::collection::vec(any::<f64>(), 1..20)) {
            let rows: Vec<_> = values.iter().map(|&v| row(1, Some(v), None)).collect();
            let losses = losses(&rows);
            let range = losses.range();
            prop_assert!(range.start < range.end);
            for value in losses.points().filter_map(|point| point.1) {
                prop_assert!(range.start < value && value < range.end);
            }
            prop_assert!(ticks(&range).len() <= TICKS);
            prop_assert!(decimals(&range) <= 9);
        }
    }
}
