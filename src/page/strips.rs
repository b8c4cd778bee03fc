//! The runs of a replicated setting as the geometry of an SVG: one dot per run, the intervals and the reported accuracy.

use crate::figures::{INTERVALS_AT, RUNS_AT, Strip, run_at};
use crate::page::axes::{LEFT, RIGHT, Scale, Tick, tenths};
use crate::statistics::{Interval, count, fixed};

/// The drawing of one setting. Places are those of `replication.png`.
pub struct StripChart {
    pub title: String,
    /// A summary for readers who do not see the drawing.
    pub description: String,
    pub value_ticks: Vec<Tick>,
    /// Names of what stands beside each other.
    pub ticks: [Tick; 2],
    /// The accuracy of each run, and its place.
    pub runs: Vec<(String, [f64; 2])>,
    /// The middle of the intervals.
    pub middle: f64,
    /// The mean, if there are several runs.
    pub mean: Option<f64>,
    /// The ends of the confidence interval of the mean.
    pub mean_interval: Option<[f64; 2]>,
    /// The ends of the prediction interval of one run.
    pub run_interval: Option<[f64; 2]>,
    /// The reported accuracy.
    pub reported: Option<f64>,
}

impl StripChart {
    pub fn new(strip: &Strip) -> Self {
        let shown = strip.shown();
        let scale = Scale::vertical(shown.range.clone());
        let across = |share: f64| tenths(LEFT + (RIGHT - LEFT) * share);
        let ends = |interval: Interval| [interval.low, interval.high].map(|value| scale.at(value));
        let place = |(i, &accuracy): (usize, &f64)| (percent(accuracy), [across(run_at(i)), scale.at(accuracy)]);
        Self {
            title: strip.title.clone(),
            description: description(strip),
            value_ticks: scale.ticks(),
            ticks: [
                Tick { at: across(RUNS_AT), label: count(shown.accuracies.len(), "run") },
                Tick { at: across(INTERVALS_AT), label: shown.mean.map_or("", |_| "mean, intervals").into() },
            ],
            runs: shown.accuracies.iter().enumerate().map(place).collect(),
            middle: across(INTERVALS_AT),
            mean: shown.mean.map(|mean| scale.at(mean)),
            mean_interval: shown.mean_interval.map(ends),
            run_interval: shown.run_interval.map(ends),
            reported: shown.reported.map(|value| scale.at(value)),
        }
    }
}

/// `value`, which is in percent.
fn percent(value: f64) -> String {
    fixed(value, 2) + " %"
}

/// The numbers of the drawing.
fn description(strip: &Strip) -> String {
    let shown = strip.shown();
    let mut text = format!("Test accuracies with {}: ", strip.title);
    match shown.summary {
        None => text += "no run",
        Some(summary) => {
            text += &format!(
                "{}, from {} to {}, mean {}",
                count(summary.n, "run"),
                fixed(summary.min, 2),
                percent(summary.max),
                percent(summary.mean)
            );
        }
    }
    for (name, interval) in [
        ("confidence interval of the mean", shown.mean_interval),
        ("prediction interval of one run", shown.run_interval),
    ] {
        if let Some(Interval { low, high }) = interval {
            text += &format!("; 95 % {name} {} to {}", fixed(low, 2), percent(high));
        }
    }
    if let Some(reported) = shown.reported {
        text += &format!("; the report states {}", percent(reported));
    }
    text + "."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::axes::{BOTTOM, TOP};

    fn chart(accuracies: &[f64], reported: Option<f64>) -> StripChart {
        StripChart::new(&Strip { title: "λ = 0.1, η = 0.001".into(), accuracies: accuracies.to_vec(), reported })
    }

    #[test]
    fn everything_is_inside_the_axes_and_a_higher_accuracy_is_higher_up() {
        let chart = chart(&[0.39, 0.40, 0.41], Some(0.405));
        let heights: Vec<f64> = chart.runs.iter().map(|(_, [_, y])| *y).collect();
        assert!(heights[0] > heights[1] && heights[1] > heights[2]);
        let ends = [chart.mean_interval.unwrap(), chart.run_interval.unwrap()].concat();
        let all = heights.iter().chain(&ends).chain([chart.mean.as_ref().unwrap(), chart.reported.as_ref().unwrap()]);
        assert!(all.clone().all(|y| (TOP..=BOTTOM).contains(y)));
        assert_eq!(chart.mean, Some(heights[1]));
        assert!(chart.runs.iter().all(|(_, [x, _])| LEFT < *x && *x < chart.middle));
        assert!(chart.run_interval.unwrap()[1] < chart.mean_interval.unwrap()[1]);
    }

    #[test]
    fn the_description_has_the_numbers() {
        assert_eq!(
            chart(&[0.39, 0.40, 0.41], Some(0.405)).description,
            "Test accuracies with λ = 0.1, η = 0.001: 3 runs, from 39.00 to 41.00 %, mean 40.00 %; 95 % confidence \
             interval of the mean 37.52 to 42.48 %; 95 % prediction interval of one run 35.03 to 44.97 %; the report \
             states 40.50 %."
        );
        assert_eq!(chart(&[], None).description, "Test accuracies with λ = 0.1, η = 0.001: no run.");
    }

    #[test]
    fn a_single_run_has_neither_a_mean_nor_an_interval() {
        let chart = chart(&[0.39], None);
        assert!(chart.mean.is_none() && chart.mean_interval.is_none() && chart.run_interval.is_none());
        assert_eq!(chart.ticks[0].label, "1 run");
    }
}
