//! Learning curves as the geometry of an SVG, with the axes of the PNG.

use std::fmt::Write;
use std::ops::Range;

use crate::figures::{Curves, Point, Unit, decimals, format_tick, ticks};
use crate::page::filters::{MISSING, nats};

/// Size of the drawing, in its own units; a browser scales it.
pub const WIDTH: f64 = 340.0;
pub const HEIGHT: f64 = 216.0;
/// Edges of the area between the axes.
pub const LEFT: f64 = 46.0;
pub const RIGHT: f64 = WIDTH - 10.0;
pub const TOP: f64 = 10.0;
pub const BOTTOM: f64 = HEIGHT - 36.0;

/// One quantity over the epochs, of the training and the validation split.
pub struct Chart {
    /// `loss`, `cost` or `accuracy`.
    pub quantity: &'static str,
    /// `nats` or `%`.
    pub unit: &'static str,
    /// A summary for readers who do not see the drawing.
    pub description: String,
    pub epoch_ticks: Vec<Tick>,
    pub value_ticks: Vec<Tick>,
    /// The split that each line shows, and its path.
    pub lines: [(&'static str, String); 2],
    pub epochs: Vec<EpochMark>,
    /// The first epoch without a value.
    pub diverged: Option<i32>,
}

/// A number on an axis.
pub struct Tick {
    pub at: f64,
    pub label: String,
}

/// Shown when an epoch is pointed at.
pub struct EpochMark {
    /// The epoch and its values.
    pub text: String,
    /// The part of the drawing that belongs to the epoch.
    pub left: f64,
    pub width: f64,
    pub middle: f64,
    /// The splits that have a value, and its place.
    pub dots: Vec<(&'static str, f64)>,
}

impl Chart {
    pub fn new(curves: &Curves) -> Self {
        let scale = Scale { last: curves.last_epoch(), range: curves.range() };
        let lines = [("training", &curves.training), ("validation", &curves.validation)];
        Self {
            quantity: curves.quantity,
            unit: curves.unit.name(),
            description: description(curves),
            epoch_ticks: scale.epoch_ticks(),
            value_ticks: scale.value_ticks(),
            lines: lines.map(|(split, points)| (split, scale.path(points))),
            epochs: scale.marks(curves),
            diverged: curves.first_missing(),
        }
    }
}

/// Maps epochs and values to places in the drawing.
struct Scale {
    last: i32,
    range: Range<f64>,
}

impl Scale {
    fn x(&self, epoch: i32) -> f64 {
        tenths(LEFT + (RIGHT - LEFT) * f64::from(epoch) / f64::from(self.last))
    }

    fn y(&self, value: f64) -> f64 {
        tenths(BOTTOM - (BOTTOM - TOP) * (value - self.range.start) / (self.range.end - self.range.start))
    }

    fn epoch_ticks(&self) -> Vec<Tick> {
        // The smallest step of 1, 2 or 5 times a power of ten that gives at most nine numbers.
        let steps = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10i32.pow(power)));
        let step = steps.into_iter().find(|step| self.last / step <= 8);
        let ticks = (0..=self.last).step_by(step.unwrap_or(i32::MAX) as usize);
        ticks.map(|epoch| Tick { at: self.x(epoch), label: epoch.to_string() }).collect()
    }

    fn value_ticks(&self) -> Vec<Tick> {
        let decimals = decimals(&self.range);
        let tick = |value| Tick { at: self.y(value), label: format_tick(value, decimals) };
        ticks(&self.range).into_iter().map(tick).collect()
    }

    /// Joins neighbouring values. One without a neighbour is a line of length 0, drawn as a dot by its round ends.
    fn path(&self, points: &[Point]) -> String {
        let mut path = String::new();
        for run in points.split(|point| point.1.is_none()) {
            let places = run.iter().filter_map(|&(epoch, value)| Some((self.x(epoch), self.y(value?))));
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

    fn marks(&self, curves: &Curves) -> Vec<EpochMark> {
        let pairs = curves.training.iter().zip(&curves.validation);
        let middles: Vec<f64> = curves.training.iter().map(|point| self.x(point.0)).collect();
        pairs
            .enumerate()
            .map(|(i, (&(epoch, training), &(_, validation)))| {
                // Halfway to the neighbours; the first and the last epoch end in their middle.
                let left = (middles[i.saturating_sub(1)] + middles[i]) / 2.0;
                let right = (middles[i] + middles[(i + 1).min(middles.len() - 1)]) / 2.0;
                let values = [("training", training), ("validation", validation)];
                let dots = values.into_iter().filter_map(|(s, v)| Some((s, self.y(v?))));
                EpochMark {
                    text: epoch_text(epoch, values, curves.unit),
                    left: tenths(left),
                    width: tenths((right - left).max(1.0)),
                    middle: middles[i],
                    dots: dots.collect(),
                }
            })
            .collect()
    }
}

fn epoch_text(epoch: i32, values: [(&str, Option<f64>); 2], unit: Unit) -> String {
    match values {
        [(_, None), (_, None)] => format!("Epoch {epoch}: diverged"),
        values => {
            let [training, validation] = values.map(|(split, value)| format!("{split} {}", number(value, unit)));
            format!("Epoch {epoch}: {training}, {validation} {}", unit.name())
        }
    }
}

/// A value without its unit.
fn number(value: Option<f64>, unit: Unit) -> String {
    match unit {
        Unit::Nats => nats(value),
        Unit::Percent => value.map_or(MISSING.into(), |percent| format!("{percent:.2}")),
    }
}

/// The first, the last and the best value of each line.
fn description(curves: &Curves) -> String {
    let line = |split: &str, points: &[Point]| {
        let values = || points.iter().filter_map(|&(epoch, value)| Some((epoch, value?)));
        let Some(((first, start), (last, end))) = values().next().zip(values().next_back()) else {
            return format!("{split}: no value.");
        };
        let (extreme, best) = match curves.unit {
            Unit::Nats => ("lowest", values().min_by(|a, b| a.1.total_cmp(&b.1))),
            Unit::Percent => ("highest", values().max_by(|a, b| a.1.total_cmp(&b.1))),
        };
        let (best_in, best) = best.expect("there is a first value");
        let [start, end, best] = [start, end, best].map(|value| number(Some(value), curves.unit));
        format!("{split}: {start} in epoch {first}, {end} in epoch {last}, {extreme} {best} in epoch {best_in}.")
    };
    let (training, validation) = (line("Training", &curves.training), line("Validation", &curves.validation));
    format!("The {} in {} after each epoch. {training} {validation}", curves.quantity, curves.unit.name())
}

/// `value` with one decimal, which is finer than a pixel.
pub fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(values: &[Option<f64>]) -> Curves {
        Curves::new("loss", Unit::Nats, (1..).zip(values).map(|(epoch, &v)| (epoch, [v, v.map(|v| v + 1.0)])))
    }

    #[test]
    fn the_first_and_the_last_epoch_and_the_extreme_values_are_inside_the_axes() {
        let chart = Chart::new(&curves(&[Some(2.0), Some(1.5), Some(1.25)]));
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
        let chart = Chart::new(&curves(&[Some(2.0); 40]));
        for pair in chart.epochs.windows(2) {
            assert!((pair[0].left + pair[0].width - pair[1].left).abs() < 0.11);
            assert!(pair[0].left <= pair[0].middle && pair[0].middle < pair[1].left);
        }
    }

    #[test]
    fn an_epoch_says_its_values_with_their_unit_or_that_it_diverged() {
        let chart = Chart::new(&curves(&[Some(2.0), None]));
        assert_eq!(chart.epochs[0].text, "Epoch 1: training 2.0000, validation 3.0000 nats");
        assert_eq!(chart.epochs[1].text, "Epoch 2: diverged");
        assert_eq!(chart.epochs[1].dots.len(), 0);
        assert_eq!(chart.diverged, Some(2));
    }

    #[test]
    fn a_line_is_broken_where_values_are_missing() {
        let chart = Chart::new(&curves(&[Some(2.0), Some(1.0), None, Some(1.0)]));
        let path = &chart.lines[0].1;
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(path.ends_with("h0"));
        assert!(!path.contains("NaN"));
    }

    #[test]
    fn the_description_has_the_first_the_last_and_the_lowest_value() {
        let description = Chart::new(&curves(&[Some(2.0), Some(1.0), Some(1.5)])).description;
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
        assert_eq!(chart.epochs[1].text, "Epoch 2: training 41.23, validation – %");
        assert_eq!(
            chart.description,
            "The accuracy in % after each epoch. Training: 20.00 in epoch 1, 40.00 in epoch 3, highest 41.23 in epoch 2. \
             Validation: no value."
        );
    }

    #[test]
    fn an_axis_of_epochs_has_few_round_numbers() {
        for (epochs, expected) in [(1, "0 1 2"), (8, "0 1 2 3 4 5 6 7 8"), (40, "0 5 10 15 20 25 30 35 40")] {
            let chart = Chart::new(&curves(&vec![Some(1.0); epochs]));
            let labels: Vec<_> = chart.epoch_ticks.iter().map(|t| t.label.as_str()).collect();
            assert_eq!(labels.join(" "), expected);
        }
    }

    #[test]
    fn extreme_values_have_places() {
        for values in [[1e100, -1e100], [0.0, 1e-300], [5.0, 5.0]] {
            let chart = Chart::new(&curves(&values.map(Some)));
            let dots = chart.epochs.iter().flat_map(|mark| &mark.dots);
            assert!(dots.clone().all(|(_, y)| (TOP..=BOTTOM).contains(y)));
        }
        assert_eq!(Chart::new(&curves(&[])).epochs.len(), 0);
    }
}
