//! The gains of an ablation as the geometry of an SVG: one line per improvement, with the axis of `ablation.png`.

use crate::figures::{Gain, gains_range};
use crate::page::axes::{Scale, TOP, Tick, WIDTH};
use crate::statistics::{Interval, points};

/// The ends of the axis.
const ENDS: [f64; 2] = [12.0, WIDTH - 12.0];
/// Height of a line, of its text, of its bar, and of the grid above and below the bar, which must not cross the text.
const LINE: f64 = 40.0;
const TEXT: f64 = 12.0;
const BAR: f64 = TEXT + 15.0;
const GRID: f64 = 9.0;
/// Height of the numbers and the name of the axis.
const FOOT: f64 = 38.0;

pub struct GainsChart {
    /// A summary for readers who do not see the drawing.
    pub description: String,
    pub height: f64,
    /// The lower edge of the lines.
    pub bottom: f64,
    pub ticks: Vec<Tick>,
    /// The place of no gain.
    pub zero: f64,
    pub lines: Vec<GainLine>,
}

pub struct GainLine {
    pub label: String,
    /// The mean gain in percentage points.
    pub value: String,
    /// Heights of the text and of the bar.
    pub text: f64,
    pub bar: f64,
    /// The upper and the lower end of the grid.
    pub grid: [f64; 2],
    pub mean: Option<f64>,
    pub interval: Option<[f64; 2]>,
}

impl GainsChart {
    pub fn new(gains: &[Gain]) -> Self {
        let scale = Scale::horizontal(gains_range(gains), ENDS);
        let at = |fraction: f64| scale.at(100.0 * fraction);
        let line = |(i, gain): (usize, &Gain)| {
            let top = TOP + LINE * i as f64;
            GainLine {
                label: gain.label.clone(),
                value: gain.mean.map_or("–".into(), points),
                text: top + TEXT,
                bar: top + BAR,
                grid: [top + BAR - GRID, top + BAR + GRID],
                mean: gain.mean.map(at),
                interval: gain.interval.map(|Interval { low, high }| [at(low), at(high)]),
            }
        };
        let bottom = TOP + LINE * gains.len() as f64;
        Self {
            description: description(gains),
            height: bottom + FOOT,
            bottom,
            ticks: scale.ticks(),
            zero: scale.at(0.0),
            lines: gains.iter().enumerate().map(line).collect(),
        }
    }

    /// True if there are enough runs for an interval.
    pub fn has_intervals(&self) -> bool {
        self.lines.iter().any(|line| line.interval.is_some())
    }
}

/// The numbers of the drawing.
fn description(gains: &[Gain]) -> String {
    let gain = |gain: &Gain| {
        let mean = gain.mean.map_or("no value".into(), points);
        let interval = gain.interval.map_or(String::new(), |i| format!(" ({} to {})", points(i.low), points(i.high)));
        format!("{}: {mean}{interval}", gain.label)
    };
    let gains: Vec<_> = gains.iter().map(gain).collect();
    format!(
        "Test accuracy gained in percentage points, with the 95 % confidence interval of the mean. {}.",
        gains.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(mean: f64, half: f64) -> Gain {
        let interval = Some(Interval { low: mean - half, high: mean + half });
        Gain { label: "random flips".into(), mean: Some(mean), interval }
    }

    #[test]
    fn a_gain_is_right_of_zero_a_loss_left_of_it_and_both_are_inside() {
        let chart = GainsChart::new(&[gain(0.02, 0.001), gain(-0.01, 0.002)]);
        let means: Vec<f64> = chart.lines.iter().map(|line| line.mean.unwrap()).collect();
        assert!(means[1] < chart.zero && chart.zero < means[0]);
        assert!(((means[0] - chart.zero) / (chart.zero - means[1]) - 2.0).abs() < 0.01);
        let ends = chart.lines.iter().flat_map(|line| line.interval.unwrap());
        assert!(ends.clone().all(|x| (ENDS[0]..=ENDS[1]).contains(&x)));
        for line in &chart.lines {
            let [above, below] = line.grid;
            // Descenders reach three units below the letters.
            assert!(line.text + 3.0 < above && above < line.bar && line.bar < below && below <= chart.bottom);
        }
        assert!(chart.lines[0].grid[1] + 9.0 < chart.lines[1].text, "nor does it cross the capitals of the next");
        assert_eq!(chart.lines[1].value, "−1.00");
    }

    #[test]
    fn the_description_has_the_numbers() {
        let none = Gain { label: "λ = 1 instead of 0".into(), mean: None, interval: None };
        let chart = GainsChart::new(&[gain(0.02, 0.001), none]);
        assert!(
            chart.description.ends_with(" random flips: +2.00 (+1.90 to +2.10); λ = 1 instead of 0: no value."),
            "{}",
            chart.description
        );
        assert!(GainsChart::new(&[]).lines.is_empty());
    }

    #[test]
    fn the_lines_are_below_each_other_and_their_gains_have_places_on_one_axis() {
        let none = Gain { label: "λ = 1 instead of 0".into(), mean: None, interval: None };
        let some = Gain { interval: Some(Interval { low: 0.01, high: 0.04 }), ..gain(0.02, 0.0) };
        let chart = GainsChart::new(&[some, none]);
        // From −0.24 to 4.24 points: 0 to 4, and a margin of 6 %.
        let [first, second] = &chart.lines[..] else { panic!("two lines") };
        assert_eq!((first.mean, first.interval, chart.zero), (Some(170.0), Some([99.5, 311.1]), 28.9));
        assert_eq!((first.label.as_str(), first.value.as_str()), ("random flips", "+2.00"));
        assert_eq!((second.mean, second.interval, second.value.as_str()), (None, None, "–"));
        assert_eq!((first.text, first.bar, first.grid), (22.0, 37.0, [28.0, 46.0]));
        assert_eq!((second.text, second.bar, second.grid), (62.0, 77.0, [68.0, 86.0]));
        assert_eq!((chart.bottom, chart.height), (90.0, 128.0));
        let zero = chart.ticks.iter().find(|tick| tick.label.parse() == Ok(0.0)).unwrap();
        assert_eq!(zero.at, chart.zero);
        assert_eq!(ENDS, [12.0, 328.0], "as far from the left edge as from the right one");
    }

    #[test]
    fn a_chart_has_intervals_if_one_gain_has() {
        let none = || Gain { interval: None, ..gain(0.01, 0.0) };
        assert!(!GainsChart::new(&[]).has_intervals());
        assert!(!GainsChart::new(&[none(), none()]).has_intervals());
        assert!(GainsChart::new(&[none(), gain(0.01, 0.002)]).has_intervals());
        let words = "Test accuracy gained in percentage points, with the 95 % confidence interval of the mean. random flips: \
                     +1.00.";
        assert_eq!(GainsChart::new(&[none()]).description, words);
    }
}
