//! Quantities over the epochs as the geometry of an SVG, with the axes of the PNG.

use std::fmt::Write;
use std::ops::Range;

use crate::figures::{Curves, Point, Unit, axis_range};
use crate::page::axes::{LEFT, RIGHT, Scale, Tick, tenths};
use crate::page::filters::nats;

/// Number of colours, and of widths, that tell the settings apart.
const COLORS: usize = 6;
const WIDTHS: usize = 3;

/// The lines of one quantity over the epochs.
pub struct Chart {
    /// The quantity and its unit, such as `loss in nats`.
    pub title: String,
    /// A summary for readers who do not see the drawing.
    pub description: String,
    pub epoch_ticks: Vec<Tick>,
    pub value_ticks: Vec<Tick>,
    pub lines: Vec<Line>,
    pub epochs: Vec<EpochMark>,
    /// The first epoch without a value.
    pub diverged: Option<i32>,
}

pub struct Line {
    /// The classes that give it its colour, its width and its dashes.
    pub class: String,
    /// What it shows: a split or a setting.
    pub name: String,
    pub path: String,
}

/// Shown when an epoch is pointed at.
pub struct EpochMark {
    /// The epoch and its values.
    pub text: String,
    /// The part of the drawing that belongs to the epoch.
    pub left: f64,
    pub width: f64,
    pub middle: f64,
    /// The classes of the lines that have a value, and its place.
    pub dots: Vec<(String, f64)>,
}

/// The values of one line.
pub struct Series<'a> {
    class: String,
    name: String,
    points: &'a [Point],
}

impl<'a> Series<'a> {
    fn of_split(name: &str, points: &'a [Point]) -> Self {
        Self { class: name.into(), name: name.into(), points }
    }

    /// The line of setting number `i`; as everywhere it is dashed on the validation split.
    pub fn of_setting(i: usize, title: String, points: &'a [Point], validated: bool) -> Self {
        let dashed = if validated { " dashed" } else { "" };
        Self { class: format!("c{} w{}{dashed}", i % COLORS, i / COLORS % WIDTHS), name: title, points }
    }

    fn values(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> {
        self.points.iter().filter_map(|&(epoch, value)| Some((epoch, value?)))
    }

    fn value_in(&self, epoch: i32) -> Option<f64> {
        self.points.binary_search_by_key(&epoch, |point| point.0).ok().and_then(|i| self.points[i].1)
    }
}

/// A quantity and its unit.
#[derive(Clone, Copy)]
struct Quantity {
    name: &'static str,
    unit: Unit,
}

impl Chart {
    /// A quantity on the training split and, if it was evaluated, on the validation split.
    pub fn new(curves: &Curves) -> Self {
        let mut series = vec![Series::of_split("training", &curves.training)];
        let validation = Series::of_split("validation", &curves.validation);
        if validation.values().next().is_some() {
            series.push(validation);
        }
        let quantity = Quantity { name: curves.quantity, unit: curves.unit };
        let mut chart = Self::of_series(quantity, &series, curves.range(), curves.last_epoch());
        chart.diverged = curves.first_missing();
        chart
    }

    /// A quantity of several settings.
    pub fn of_settings(name: &'static str, unit: Unit, series: &[Series]) -> Self {
        let range = axis_range(series.iter().flat_map(Series::values).map(|value| value.1));
        let last = series.iter().filter_map(|series| series.points.last()).map(|point| point.0).max();
        Self::of_series(Quantity { name, unit }, series, range, last.unwrap_or(0).max(2))
    }

    fn of_series(quantity: Quantity, series: &[Series], range: Range<f64>, last: i32) -> Self {
        let places =
            Places { epochs: Scale::horizontal(0.0..f64::from(last), [LEFT, RIGHT]), values: Scale::vertical(range) };
        let line = |series: &Series| Line {
            class: series.class.clone(),
            name: series.name.clone(),
            path: places.path(series.points),
        };
        let descriptions: Vec<_> = series.iter().map(|series| quantity.description(series)).collect();
        Self {
            title: format!("{} in {}", quantity.name, quantity.unit.name()),
            description: format!(
                "The {} in {} after each epoch. {}",
                quantity.name,
                quantity.unit.name(),
                descriptions.join(" ")
            ),
            epoch_ticks: places.epoch_ticks(last),
            value_ticks: places.values.ticks(),
            lines: series.iter().map(line).collect(),
            epochs: places.marks(quantity, series),
            diverged: None,
        }
    }
}

impl Quantity {
    /// A value without its unit.
    fn number(self, value: f64) -> String {
        match self.unit {
            Unit::Nats => nats(Some(value)),
            Unit::Percent => format!("{value:.2}"),
        }
    }

    fn epoch_text(self, epoch: i32, series: &[Series]) -> String {
        let values: Vec<_> = series.iter().map(|series| (series.name.as_str(), series.value_in(epoch))).collect();
        if values.iter().all(|value| value.1.is_none()) {
            return format!("Epoch {epoch}: diverged");
        }
        let number = |value: Option<f64>| value.map_or("–".into(), |value| self.number(value));
        // The titles of settings have commas.
        if values.iter().any(|(name, _)| name.contains(", ")) {
            let texts =
                values.iter().map(|&(name, value)| format!("{}\u{a0}{} ({name})", number(value), self.unit.name()));
            return format!("Epoch {epoch}: {}", texts.collect::<Vec<_>>().join(", "));
        }
        let texts = values.iter().map(|&(name, value)| format!("{name} {}", number(value)));
        let space = if self.unit == Unit::Percent { '\u{a0}' } else { ' ' };
        format!("Epoch {epoch}: {}{space}{}", texts.collect::<Vec<_>>().join(", "), self.unit.name())
    }

    /// The first, the last and the best value of a line.
    fn description(self, series: &Series) -> String {
        let mut name = series.name.clone();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let Some(((first, start), (last, end))) = series.values().next().zip(series.values().next_back()) else {
            return format!("{name}: no value.");
        };
        // Of equal values the first.
        let lower = |a: (i32, f64), b: (i32, f64)| if b.1 < a.1 { b } else { a };
        let higher = |a: (i32, f64), b: (i32, f64)| if b.1 > a.1 { b } else { a };
        let (which, best) = match self.unit {
            Unit::Nats => ("lowest", series.values().reduce(lower)),
            Unit::Percent => ("highest", series.values().reduce(higher)),
        };
        let (best_in, best) = best.unwrap_or((first, start));
        let [start, end, best] = [start, end, best].map(|value| self.number(value));
        format!("{name}: {start} in epoch {first}, {end} in epoch {last}, {which} {best} in epoch {best_in}.")
    }
}

/// Maps epochs and values to places in the drawing.
struct Places {
    epochs: Scale,
    values: Scale,
}

impl Places {
    fn x(&self, epoch: i32) -> f64 {
        self.epochs.at(f64::from(epoch))
    }

    fn epoch_ticks(&self, last: i32) -> Vec<Tick> {
        // The smallest step of 1, 2 or 5 times a power of ten that gives at most nine numbers.
        let steps = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10i32.pow(power)));
        let step = steps.into_iter().find(|step| last / step <= 8);
        let ticks = (0..=last).step_by(step.unwrap_or(i32::MAX) as usize);
        ticks.map(|epoch| Tick { at: self.x(epoch), label: epoch.to_string() }).collect()
    }

    /// Joins neighbouring values. One without a neighbour is a line of length 0, drawn as a dot by its round ends.
    fn path(&self, points: &[Point]) -> String {
        let mut path = String::new();
        for run in points.split(|point| point.1.is_none()) {
            let places = run.iter().filter_map(|&(epoch, value)| Some((self.x(epoch), self.values.at(value?))));
            for (i, (x, y)) in places.enumerate() {
                let command = if i == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{command}{x} {y}");
            }
            if run.len() == 1 {
                path.push_str("h0");
            }
        }
        path
    }

    /// One mark per epoch of the longest line.
    fn marks(&self, quantity: Quantity, series: &[Series]) -> Vec<EpochMark> {
        let longest = series.iter().map(|series| series.points).max_by_key(|points| points.len()).unwrap_or_default();
        let middles: Vec<f64> = longest.iter().map(|point| self.x(point.0)).collect();
        let mark = |(i, &(epoch, _)): (usize, &Point)| {
            // Halfway to the neighbours; the first and the last epoch end in their middle.
            let left = (middles[i.saturating_sub(1)] + middles[i]) / 2.0;
            let right = (middles[i] + middles[(i + 1).min(middles.len() - 1)]) / 2.0;
            let dot = |series: &Series| Some((series.class.clone(), self.values.at(series.value_in(epoch)?)));
            EpochMark {
                text: quantity.epoch_text(epoch, series),
                left: tenths(left),
                width: tenths((right - left).max(1.0)),
                middle: middles[i],
                dots: series.iter().filter_map(dot).collect(),
            }
        };
        longest.iter().enumerate().map(mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::axes::{BOTTOM, TOP};

    fn curves(values: &[Option<f64>]) -> Curves {
        Curves::new("loss", Unit::Nats, (1..).zip(values).map(|(epoch, &v)| (epoch, [v, v.map(|v| v + 1.0)])))
    }

    fn chart(values: &[Option<f64>]) -> Chart {
        Chart::new(&curves(values))
    }

    #[test]
    fn the_first_and_the_last_epoch_and_the_extreme_values_are_inside_the_axes() {
        let chart = chart(&[Some(2.0), Some(1.5), Some(1.25)]);
        let middles: Vec<_> = chart.epochs.iter().map(|mark| mark.middle).collect();
        assert_eq!(middles, [140.7, 235.3, RIGHT]);
        let dots = chart.epochs.iter().flat_map(|mark| &mark.dots);
        assert!(dots.clone().all(|&(_, y)| TOP < y && y < BOTTOM));
        assert_eq!(dots.count(), 6);
        // A larger value is higher up: nearer to 0.
        let training = |i: usize| chart.epochs[i].dots[0].1;
        assert!(training(0) < training(1) && training(1) < training(2));
    }

    #[test]
    fn every_place_of_the_drawing_belongs_to_one_epoch() {
        let chart = chart(&[Some(2.0); 40]);
        for pair in chart.epochs.windows(2) {
            assert!((pair[0].left + pair[0].width - pair[1].left).abs() < 0.11);
            assert!(pair[0].left <= pair[0].middle && pair[0].middle < pair[1].left);
        }
    }

    #[test]
    fn an_epoch_says_its_values_with_their_unit_or_that_it_diverged() {
        let chart = chart(&[Some(2.0), None]);
        assert_eq!(chart.epochs[0].text, "Epoch 1: training 2.0000, validation 3.0000 nats");
        assert_eq!(chart.epochs[1].text, "Epoch 2: diverged");
        assert_eq!(chart.epochs[1].dots.len(), 0);
        assert_eq!(chart.diverged, Some(2));
    }

    #[test]
    fn a_line_is_broken_where_values_are_missing() {
        let chart = chart(&[Some(2.0), Some(1.0), None, Some(1.0)]);
        let path = &chart.lines[0].path;
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(path.ends_with("h0"));
        assert!(!path.contains("NaN"));
    }

    #[test]
    fn the_description_has_the_first_the_last_and_the_lowest_value() {
        let description = chart(&[Some(2.0), Some(1.0), Some(1.5)]).description;
        assert_eq!(
            description,
            "The loss in nats after each epoch. Training: 2.0000 in epoch 1, 1.5000 in epoch 3, lowest 1.0000 in \
             epoch 2. Validation: 3.0000 in epoch 1, 2.5000 in epoch 3, lowest 2.0000 in epoch 2."
        );
    }

    #[test]
    fn accuracies_are_in_percent_and_the_highest_is_the_best() {
        let values = [20.0, 41.234, 40.0].map(|value| [Some(value), None]);
        let chart = Chart::new(&Curves::new("accuracy", Unit::Percent, (1..).zip(values)));
        assert_eq!(chart.epochs[1].text, "Epoch 2: training 41.23\u{a0}%");
        assert_eq!(
            chart.description,
            "The accuracy in % after each epoch. Training: 20.00 in epoch 1, 40.00 in epoch 3, highest 41.23 in epoch 2."
        );
    }

    #[test]
    fn of_equal_values_the_first_is_the_best() {
        let values = [20.0, 41.0, 41.0].map(|value| [Some(value), None]);
        let chart = Chart::new(&Curves::new("accuracy", Unit::Percent, (1..).zip(values)));
        assert!(chart.description.ends_with("highest 41.00 in epoch 2."), "{}", chart.description);
        let values = [2.0, 1.0, 1.0].map(|value| [Some(value), None]);
        let chart = Chart::new(&Curves::new("loss", Unit::Nats, (1..).zip(values)));
        assert!(chart.description.ends_with("lowest 1.0000 in epoch 2."), "{}", chart.description);
    }

    #[test]
    fn an_axis_of_epochs_has_few_round_numbers() {
        for (epochs, expected) in [
            (1, "0 1 2"),
            (8, "0 1 2 3 4 5 6 7 8"),
            (9, "0 2 4 6 8"),
            (17, "0 2 4 6 8 10 12 14 16"),
            (18, "0 5 10 15"),
            (40, "0 5 10 15 20 25 30 35 40"),
            (45, "0 10 20 30 40"),
            (90, "0 20 40 60 80"),
            (449, "0 50 100 150 200 250 300 350 400"),
            (450, "0 100 200 300 400"),
        ] {
            let chart = chart(&vec![Some(1.0); epochs]);
            let labels: Vec<_> = chart.epoch_ticks.iter().map(|t| t.label.as_str()).collect();
            assert_eq!(labels.join(" "), expected);
        }
    }

    #[test]
    fn extreme_values_have_places() {
        for values in [[1e100, -1e100], [0.0, 1e-300], [5.0, 5.0]] {
            let chart = chart(&values.map(Some));
            let dots = chart.epochs.iter().flat_map(|mark| &mark.dots);
            assert!(dots.clone().all(|(_, y)| (TOP..=BOTTOM).contains(y)));
        }
        assert_eq!(chart(&[]).epochs.len(), 0);
    }

    #[test]
    fn a_validation_that_was_not_evaluated_has_no_line_and_no_value() {
        let curves = Curves::new("loss", Unit::Nats, [(1, [Some(2.0), None]), (2, [Some(1.5), None])]);
        let chart = Chart::new(&curves);
        assert_eq!(chart.lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["training"]);
        assert_eq!((chart.epochs[1].text.as_str(), chart.diverged), ("Epoch 2: training 1.5000 nats", None));
        assert!(!chart.description.contains("alidation"));
    }

    #[test]
    fn settings_have_lines_of_their_own_colours_and_the_highest_accuracy_is_named() {
        let points = |values: &[f64]| (1..).zip(values.iter().map(|&value| Some(value))).collect::<Vec<Point>>();
        let (first, other) = (points(&[20.0, 30.0, 25.0]), points(&[35.0, 36.0]));
        let title = |i: usize| format!("λ = {i}, η = 0.1");
        let series: Vec<_> =
            (0..14).map(|i| Series::of_setting(i, title(i), if i == 0 { &first } else { &other }, true)).collect();
        let chart = Chart::of_settings("validation accuracy", Unit::Percent, &series);
        let classes: Vec<_> = chart.lines.iter().map(|line| line.class.as_str()).collect();
        assert_eq!(
            classes[..7],
            ["c0 w0", "c1 w0", "c2 w0", "c3 w0", "c4 w0", "c5 w0", "c0 w1"].map(|class| format!("{class} dashed"))
        );
        assert!((0..14).all(|i| !classes[..i].contains(&classes[i])), "{classes:?}");
        assert!(
            chart.description.contains("λ = 0, η = 0.1: 20.00 in epoch 1, 25.00 in epoch 3, highest 30.00 in epoch 2.")
        );
        assert!(
            chart.epochs[0].text.starts_with("Epoch 1: 20.00\u{a0}% (λ = 0, η = 0.1), 35.00\u{a0}% (λ = 1, η = 0.1), ")
        );
        // The other settings end an epoch earlier.
        assert_eq!((chart.epochs.len(), chart.epochs[2].dots.len()), (3, 1));
    }

    /// The chart of one setting with these percentages from epoch 1 on.
    fn of_setting(values: &[Option<f64>]) -> Chart {
        let points: Vec<Point> = (1..).zip(values.iter().copied()).collect();
        let series = [Series::of_setting(0, "λ = 0".into(), &points, false)];
        Chart::of_settings("training accuracy", Unit::Percent, &series)
    }

    #[test]
    fn a_line_goes_through_its_values_and_a_value_without_a_neighbour_is_a_dot() {
        // From 0 to 4 epochs, and from −6 to 106 percent: a margin of 6 % of the values' range.
        let chart = of_setting(&[Some(0.0), Some(100.0), None, Some(50.0)]);
        assert_eq!(chart.lines[0].path, "M117 170.9L188 19.1M330 95h0");
        assert_eq!((chart.lines[0].class.as_str(), chart.lines[0].name.as_str()), ("c0 w0", "λ = 0"));
        assert_eq!(chart.title, "training accuracy in %");
        let dots: Vec<_> = chart.epochs.iter().map(|mark| mark.dots.as_slice()).collect();
        let dot = |y: f64| vec![("c0 w0".to_string(), y)];
        assert_eq!(dots, [dot(170.9), dot(19.1), vec![], dot(95.0)]);
        assert_eq!(chart.diverged, None);
    }

    #[test]
    fn the_part_of_an_epoch_goes_halfway_to_its_neighbours() {
        let parts = |epochs: usize| -> Vec<_> {
            let chart = of_setting(&vec![Some(1.0); epochs]);
            chart.epochs.iter().map(|mark| (mark.left, mark.middle, mark.width)).collect()
        };
        let expected = [(117.0, 117.0, 35.5), (152.5, 188.0, 71.0), (223.5, 259.0, 71.0), (294.5, 330.0, 35.5)];
        assert_eq!(parts(4), expected);
        assert_eq!(parts(1), [(188.0, 188.0, 1.0)], "one that can be pointed at");
        assert_eq!(parts(0), []);
    }

    #[test]
    fn a_value_that_is_missing_is_a_dash_unless_all_are() {
        let chart = Chart::new(&Curves::new(
            "accuracy",
            Unit::Percent,
            [(1, [Some(20.0), Some(10.0)]), (2, [Some(30.0), None]), (3, [None, None])],
        ));
        let texts: Vec<_> = chart.epochs.iter().map(|mark| mark.text.as_str()).collect();
        let expected = [
            "Epoch 1: training 20.00, validation 10.00\u{a0}%",
            "Epoch 2: training 30.00, validation –\u{a0}%",
            "Epoch 3: diverged",
        ];
        assert_eq!(texts, expected);
        assert_eq!(chart.diverged, Some(2));
        let never = self::chart(&[None, None]);
        assert_eq!(never.description, "The loss in nats after each epoch. Training: no value.");
        assert_eq!((never.lines[0].path.as_str(), never.diverged), ("", Some(1)));
    }

    #[test]
    fn the_colours_and_then_the_widths_of_settings_take_turns() {
        let class = |i: usize, validated: bool| Series::of_setting(i, String::new(), &[], validated).class;
        assert_eq!([0, 5, 6, 17, 18].map(|i| class(i, false)), ["c0 w0", "c5 w0", "c0 w1", "c5 w2", "c0 w0"]);
        assert_eq!(class(7, true), "c1 w1 dashed");
    }

    #[test]
    fn even_the_longest_axis_of_epochs_has_few_numbers() {
        let points = [(1, Some(20.0)), (i32::MAX, Some(30.0))];
        let series = [Series::of_setting(0, "λ = 0".into(), &points, false)];
        let chart = Chart::of_settings("training accuracy", Unit::Percent, &series);
        let labels: Vec<_> = chart.epoch_ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0", "500000000", "1000000000", "1500000000", "2000000000"]);
    }
}
