//! `ablation.png`: the gain of each improvement of a configuration.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::figures::canvas::{
    BLUE, Canvas, Drawn, GRID, HEAD, INK, OVERSAMPLING, Stroke, axis_range, decimals, figure, format_tick, ticks,
};
use crate::figures::text;
use crate::statistics::Interval;

/// Height of a line.
const LINE: u32 = 44;
/// Width of the labels.
const LEFT: u32 = 380;
/// Width of the area of the gains.
const WIDTH: u32 = 560;
/// Right of that area.
const RIGHT: u32 = 40;
/// Height of the numbers and the description of the axis.
const FOOT: u32 = 72;
const TEXT: u32 = 20;

/// One improvement.
pub struct Gain {
    /// What it is.
    pub label: String,
    /// The mean gain, a fraction; `None` if it is unknown.
    pub mean: Option<f64>,
    /// The 95 % confidence interval of the mean.
    pub interval: Option<Interval>,
}

/// One line per improvement, the first at the top: a dot for its mean gain in test accuracy, a bar for the 95 % confidence interval of the
/// mean, and a line across all of them at zero.
pub fn gains_figure(gains: &[Gain]) -> Vec<u8> {
    let axis = Axis { range: gains_range(gains) };
    let below = HEAD + LINE * gains.len().max(1) as u32;
    // A single run has no interval.
    let interval =
        if gains.iter().any(|gain| gain.interval.is_some()) { " and its 95 % confidence interval" } else { "" };
    let title = format!("Test accuracy gained: mean over the seeds{interval}");
    figure((LEFT + WIDTH + RIGHT, below + FOOT), OVERSAMPLING, |canvas| {
        canvas.text(&title, (24, HEAD / 2), 22, HPos::Left)?;
        axis.draw(canvas, below)?;
        (0..).zip(gains).try_for_each(|(i, gain)| gain.draw(canvas, &axis, HEAD + LINE * i + LINE / 2))
    })
}

/// The range of the horizontal axis, in percentage points.
pub fn gains_range(gains: &[Gain]) -> Range<f64> {
    let ends = gains.iter().flat_map(|gain| gain.interval.into_iter().flat_map(|i| [i.low, i.high]).chain(gain.mean));
    axis_range(ends.chain([0.0]).map(|fraction| 100.0 * fraction))
}

/// The horizontal axis, in percentage points.
struct Axis {
    range: Range<f64>,
}

impl Axis {
    /// The place of `points`.
    fn at(&self, points: f64) -> u32 {
        let share = (points - self.range.start) / (self.range.end - self.range.start);
        LEFT + (share * f64::from(WIDTH)).round() as u32
    }

    /// Draws a line at each number, the one at zero darker, from the head to `below`, where the numbers are.
    fn draw(&self, canvas: &Canvas, below: u32) -> Drawn {
        let places = decimals(&self.range);
        let vertical = |points, color: RGBColor, width| {
            canvas.rectangle((self.at(points), HEAD), (width, below - HEAD), color.filled())
        };
        for tick in ticks(&self.range) {
            vertical(tick, GRID, 1)?;
            canvas.text(&format_tick(tick, places), (self.at(tick), below + 16), TEXT, HPos::Center)?;
        }
        vertical(0.0, INK, 2)?;
        canvas.text("percentage points", (LEFT + WIDTH / 2, below + 50), 22, HPos::Center)
    }
}

impl Gain {
    fn draw(&self, canvas: &Canvas, axis: &Axis, y: u32) -> Drawn {
        canvas.text(&self.label, (LEFT - 20, y), text::fitting(&self.label, TEXT, LEFT - 40), HPos::Right)?;
        if let Some(Interval { low, high }) = self.interval {
            canvas.line(axis.at(100.0 * low)..axis.at(100.0 * high), y, Stroke::solid(BLUE, 5))?;
        }
        self.mean.map_or(Ok(()), |mean| canvas.dot((axis.at(100.0 * mean), y), 7, BLUE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::Image;

    fn gain(mean: f64, half: f64) -> Gain {
        let interval = Some(Interval { low: mean - half, high: mean + half });
        Gain { label: "random flips".into(), mean: Some(mean), interval }
    }

    /// The leftmost and the rightmost pixel of `color` in line `line`.
    fn extent(image: &Image, color: RGBColor, line: u32) -> Option<(usize, usize)> {
        let lines = (HEAD + LINE * line) as usize..(HEAD + LINE * (line + 1)) as usize;
        let places = image.places(color).into_iter();
        let xs: Vec<_> = places.filter(|&(x, y)| x >= LEFT as usize && lines.contains(&y)).map(|(x, _)| x).collect();
        Some((*xs.iter().min()?, *xs.iter().max()?))
    }

    #[test]
    fn a_gain_is_drawn_right_of_zero_a_loss_left_of_it_and_a_wide_interval_is_wide() {
        let image = Image::decode(&gains_figure(&[gain(0.02, 0.001), gain(0.0, 0.006), gain(-0.01, 0.001)]));
        let zero = extent(&image, INK, 0).unwrap();
        assert!(zero.1 - zero.0 < 3);
        let [first, second, third] = [0, 1, 2].map(|line| extent(&image, BLUE, line).unwrap());
        assert!(first.0 > zero.1 && third.1 < zero.0, "{first:?} {third:?} {zero:?}");
        assert!(second.0 < zero.0 && second.1 > zero.1);
        assert!(second.1 - second.0 > 2 * (first.1 - first.0));
        // A line reaches as far as its interval: 0.6 of 2 points from zero.
        let per_point = (first.0 + first.1) as f64 / 2.0 - zero.0 as f64;
        assert!(((second.1 - zero.0) as f64 / per_point - 0.3).abs() < 0.03);
    }

    #[test]
    fn a_line_without_numbers_is_empty_and_figures_of_other_gains_differ() {
        let none = Gain { label: "λ = 1 instead of 0".into(), mean: None, interval: None };
        let image = Image::decode(&gains_figure(&[none, gain(0.01, 0.0)]));
        assert_eq!(extent(&image, BLUE, 0), None);
        assert!(extent(&image, BLUE, 1).is_some());
        let figure = |mean| gains_figure(&[gain(mean, 0.001)]);
        assert_eq!(figure(0.01), figure(0.01));
        assert_ne!(figure(0.01), figure(0.012));
        assert_eq!(Image::decode(&gains_figure(&[])).height, (HEAD + LINE + FOOT) as usize);
    }
}
