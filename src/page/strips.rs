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

    #[test]
    fn the_places_of_two_runs_and_their_intervals_are_symmetric_about_the_mean() {
        // 40 ± 12.7062 · 1 and 40 ± 12.7062 · √2 · √(3/2), which ends at 6/112 of the height from both edges.
        let chart = chart(&[0.39, 0.41], Some(0.4));
        assert_eq!(chart.title, "λ = 0.1, η = 0.001");
        let heights: Vec<_> = chart.runs.iter().map(|(text, [_, y])| (text.as_str(), *y)).collect();
        assert_eq!(heights, [("39.00 %", 98.4), ("41.00 %", 91.6)]);
        assert_eq!((chart.mean, chart.reported), (Some(95.0), Some(95.0)));
        assert_eq!((chart.mean_interval, chart.run_interval), (Some([138.8, 51.2]), Some([170.9, 19.1])));
        // At 36 and 78 percent of the width.
        let ticks = chart.ticks.each_ref().map(|tick| (tick.at, tick.label.as_str()));
        assert_eq!(ticks, [(148.2, "2 runs"), (267.5, "mean, intervals")]);
        assert_eq!(chart.middle, 267.5);
        for tick in &chart.value_ticks {
            let above_mean: f64 = tick.label.parse::<f64>().unwrap() - 40.0;
            assert!((tick.at - (95.0 - 3.448_4 * above_mean)).abs() < 0.06, "{} at {}", tick.label, tick.at);
        }
        assert!(chart.value_ticks.len() > 2);
    }

    #[test]
    fn a_single_run_is_in_the_middle_of_the_height_and_has_no_name_for_intervals() {
        let chart = chart(&[0.4], None);
        let run = |share: f64| tenths(46.0 + 284.0 * share);
        assert_eq!(chart.runs, [("40.00 %".to_string(), [run(run_at(0)), 95.0])]);
        assert_eq!((chart.ticks[1].label.as_str(), chart.reported), ("", None));
        assert_eq!(
            chart.description,
            "Test accuracies with λ = 0.1, η = 0.001: 1 run, from 40.00 to 40.00 %, mean 40.00 %."
        );
    }
}
