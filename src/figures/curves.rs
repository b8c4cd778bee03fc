//! `curves_<setting>.png`: losses and costs over the epochs.

use plotters::coord::types::{RangedCoordf64, RangedCoordi32};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::figures::canvas::*;
use crate::figures::weights::full_title;
use crate::hyperparameters::Setting;
use crate::train::table::CurveRow;

const CURVES_WIDTH: u32 = 1200;
const CURVES_HEIGHT: u32 = 480;
/// What is larger counts as diverged: plotters looks for ticks without end near the largest `f64`, and no sum of
/// squared `f32` weights comes close to this.
const LARGEST: f64 = 1e100;

/// `curves_<setting>.png`: the losses on the left, the costs on the right, of the training and the validation split.
///
/// A line ends where its values are missing, and the epoch of the first missing one is noted.
pub fn curves_figure(setting: Setting, rows: &[CurveRow]) -> Vec<u8> {
    let (width, height) = (CURVES_WIDTH * OVERSAMPLING, CURVES_HEIGHT * OVERSAMPLING);
    let pixels = draw(width, height, |area| {
        let (head, body) = area.split_vertically(scaled(CURVES_HEAD));
        draw_head(&head, &full_title(setting))?;
        let (left, right) = body.split_horizontally(width / 2);
        Panel::loss(rows).draw(&left)?;
        Panel::cost(rows).draw(&right)
    });
    let pixels = average_down(&pixels, width as usize);
    encode_png(CURVES_WIDTH, CURVES_HEIGHT, &pixels)
}

/// The title on the left and the legend, which so hides no line, on the right.
fn draw_head(head: &Area, title: &str) -> Drawn<'static> {
    let y = scaled(CURVES_HEAD) / 2;
    draw_text(head, title, (scaled(AXIS_LEFT), y), scaled(28), HPos::Left)?;
    for (x, name, color) in [(880, "training", TRAINING), (1020, "validation", VALIDATION)] {
        let ends = [x, x + 36].map(|x| (scaled(x) as i32, y as i32));
        head.draw(&PathElement::new(ends, color.stroke_width(scaled(3))))?;
        draw_text(head, name, (scaled(x + 44), y), scaled(22), HPos::Left)?;
    }
    Ok(())
}

/// One quantity over the epochs.
pub struct Panel {
    /// `loss` or `cost`, both in nats.
    pub quantity: &'static str,
    /// Its values on the training split,
    pub training: Vec<Point>,
    /// and on the validation split, with the same epochs.
    pub validation: Vec<Point>,
}

/// An epoch and its value, if it has one.
pub type Point = (i32, Option<f64>);

fn column(rows: &[CurveRow], value: impl Fn(&CurveRow) -> Option<f64>) -> Vec<Point> {
    let epoch = |row: &CurveRow| i32::try_from(row.epoch).unwrap_or(i32::MAX);
    rows.iter().map(|row| (epoch(row), value(row).filter(|v| v.abs() <= LARGEST))).collect()
}

impl Panel {
    /// The losses.
    pub fn loss(rows: &[CurveRow]) -> Self {
        Self {
            quantity: "loss",
            training: column(rows, |row| row.train_loss),
            validation: column(rows, |row| row.validation_loss),
        }
    }

    /// The costs.
    pub fn cost(rows: &[CurveRow]) -> Self {
        Self {
            quantity: "cost",
            training: column(rows, |row| row.train_cost),
            validation: column(rows, |row| row.validation_cost),
        }
    }

    fn draw(&self, area: &Area) -> Drawn<'static> {
        let (bottom, top) = self.range();
        let decimals = decimals(bottom, top);
        let mut chart = ChartBuilder::on(area)
            .margin_left(scaled(DESCRIPTION_LEFT))
            .margin_right(scaled(24))
            .margin_bottom(scaled(8))
            .x_label_area_size(scaled(52))
            .y_label_area_size(scaled(AXIS_LEFT - DESCRIPTION_LEFT))
            .build_cartesian_2d(0..self.last_epoch(), bottom..top)?;
        let tick = |y: &f64| format_tick(*y, decimals);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("epoch")
            .y_desc(format!("{} (nats)", self.quantity))
            .x_labels(9)
            .y_labels(TICKS)
            .y_label_formatter(&tick);
        dress_axes(&mut mesh, TICK_TEXT, 22);
        mesh.draw()?;
        for (points, color) in [(&self.training, TRAINING), (&self.validation, VALIDATION)] {
            draw_line(&mut chart, points, color)?;
        }
        match self.first_missing() {
            None => Ok(()),
            Some(epoch) => note(area, &format!("diverged at epoch {epoch}")),
        }
    }

    fn points(&self) -> impl Iterator<Item = Point> {
        self.training.iter().chain(&self.validation).copied()
    }

    /// Where the axis of the epochs ends.
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

    /// From below the smallest to above the largest value.
    pub fn range(&self) -> (f64, f64) {
        axis_range(self.points().filter_map(|point| point.1))
    }
}

type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordi32, RangedCoordf64>>;

/// Joins neighbouring values; one without a neighbour is a dot.
fn draw_line(chart: &mut Chart, points: &[Point], color: RGBColor) -> Drawn<'static> {
    for run in points.split(|point| point.1.is_none()) {
        let run: Vec<_> = run.iter().filter_map(|&(x, y)| Some((x, y?))).collect();
        if let [point] = run[..] {
            chart.draw_series([Circle::new(point, scaled(5), color.filled())])?;
        } else {
            let line = LineSeries::new(run, color.stroke_width(scaled(3)));
            chart.draw_series(line)?;
        }
    }
    Ok(())
}

/// A remark in the upper right corner of a panel.
fn note(area: &Area, remark: &str) -> Drawn<'static> {
    let (width, _) = area.dim_in_pixel();
    let corner = (width - scaled(40), scaled(18));
    draw_text(area, remark, corner, scaled(TICK_TEXT), HPos::Right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::tests::Image;
    use proptest::prelude::*;

    fn row(epoch: usize, train: Option<f64>, validation: Option<f64>) -> CurveRow {
        CurveRow {
            epoch,
            learning_rate: 0.001,
            train_loss: train,
            train_cost: train.map(|v| v + 1.0),
            train_accuracy: None,
            validation_loss: validation,
            validation_cost: validation.map(|v| v + 1.0),
            validation_accuracy: None,
            epoch_seconds: 0.0,
        }
    }

    fn setting(lambda: f64, eta: f64) -> Setting {
        Setting::new(lambda, eta).unwrap()
    }

    fn falling(epochs: usize) -> Vec<CurveRow> {
        let loss = |epoch: usize| 1.7 + 0.3 / epoch as f64;
        (1..=epochs).map(|e| row(e, Some(loss(e)), Some(loss(e) + 0.1))).collect()
    }

    impl Image {
        /// Where pixels of `color` are below the head, in the left (0) or the right (1) panel.
        fn places(&self, panel: usize, RGBColor(r, g, b): RGBColor) -> Vec<(usize, usize)> {
            let half = self.width / 2;
            (CURVES_HEAD as usize..self.height)
                .flat_map(|y| (panel * half..(panel + 1) * half).map(move |x| (x, y)))
                .filter(|&(x, y)| self.at(x, y) == [r, g, b])
                .collect()
        }
    }

    fn curves_image(rows: &[CurveRow]) -> Image {
        Image::decode(&curves_figure(setting(0.1, 0.001), rows))
    }

    #[test]
    fn both_lines_are_in_both_panels_and_fit_into_them() {
        let image = curves_image(&falling(40));
        assert_eq!((image.width, image.height), (1200, 480));
        for panel in [0, 1] {
            for color in [TRAINING, VALIDATION] {
                let places = image.places(panel, color);
                let left = panel * 600 + AXIS_LEFT as usize;
                assert!(places.len() > 500);
                assert!(places.iter().all(|&(x, y)| {
                    (left..left + 600 - AXIS_LEFT as usize - 20).contains(&x)
                        && (CURVES_HEAD as usize + 4..480 - 64).contains(&y)
                }));
            }
        }
    }

    #[test]
    fn no_line_is_drawn_for_missing_values() {
        let image = curves_image(&[row(1, None, None), row(2, None, None)]);
        for panel in [0, 1] {
            assert_eq!(image.places(panel, TRAINING), []);
            assert_eq!(image.places(panel, VALIDATION), []);
        }
    }

    #[test]
    fn a_line_ends_where_its_values_do() {
        let mut rows = falling(40);
        for row in &mut rows[20..] {
            row.train_loss = None;
        }
        let image = curves_image(&rows);
        let right_end = |color| image.places(0, color).iter().map(|p| p.0).max().unwrap();
        assert!(right_end(TRAINING) < 340);
        assert!(right_end(VALIDATION) > 560);
    }

    #[test]
    fn one_epoch_is_a_dot() {
        let image = curves_image(&falling(1));
        for panel in [0, 1] {
            let dot = image.places(panel, TRAINING);
            assert!((40..120).contains(&dot.len()), "{}", dot.len());
        }
    }

    #[test]
    fn the_epoch_of_divergence_is_the_first_missing_one() {
        assert_eq!(Panel::loss(&falling(5)).first_missing(), None);
        let mut rows = falling(5);
        rows[4].train_loss = None;
        rows[3].validation_loss = Some(f64::INFINITY);
        assert_eq!(Panel::loss(&rows).first_missing(), Some(4));
        assert_eq!(Panel::loss(&[row(1, None, None)]).first_missing(), Some(1));
    }

    #[test]
    fn a_split_that_is_not_evaluated_has_not_diverged() {
        let without_validation = [row(1, Some(2.0), None), row(2, Some(1.9), None)];
        assert_eq!(Panel::loss(&without_validation).first_missing(), None);
    }

    #[test]
    fn equal_values_give_equal_bytes_and_other_settings_others() {
        let rows = falling(10);
        let figure = curves_figure(setting(0.1, 0.001), &rows);
        let elsewhere = std::thread::spawn(move || curves_figure(setting(0.1, 0.001), &rows));
        assert_eq!(elsewhere.join().unwrap(), figure);
        assert_ne!(curves_figure(setting(0.1, 0.01), &falling(10)), figure);
        assert_ne!(curves_figure(setting(1.0, 0.001), &falling(10)), figure);
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
            let panel = Panel::loss(&rows);
            let (bottom, top) = panel.range();
            prop_assert!(bottom < top);
            for value in panel.points().filter_map(|point| point.1) {
                prop_assert!(bottom < value && value < top);
            }
            prop_assert!(ticks(bottom, top).len() <= TICKS);
            prop_assert!(decimals(bottom, top) <= 9);
        }
    }
}
