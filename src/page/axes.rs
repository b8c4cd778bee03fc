//! Axes in the drawings of the page: the size of a drawing, places, numbers.

use std::ops::Range;

use crate::figures::{decimals, format_tick, ticks};

/// Size of a drawing, in its own units; a browser scales it.
pub const WIDTH: f64 = 340.0;
pub const HEIGHT: f64 = 216.0;
/// Edges of the area between the axes.
pub const LEFT: f64 = 46.0;
pub const RIGHT: f64 = WIDTH - 10.0;
pub const TOP: f64 = 10.0;
pub const BOTTOM: f64 = HEIGHT - 36.0;

/// A number on an axis.
pub struct Tick {
    pub at: f64,
    pub label: String,
}

/// Maps the values of a range to places in the drawing.
pub struct Scale {
    range: Range<f64>,
    /// Where the range starts, and where it ends.
    places: [f64; 2],
}

impl Scale {
    /// A vertical axis; larger values are higher up.
    pub fn vertical(range: Range<f64>) -> Self {
        Self { range, places: [BOTTOM, TOP] }
    }

    /// A horizontal axis between two places.
    pub fn horizontal(range: Range<f64>, places: [f64; 2]) -> Self {
        Self { range, places }
    }

    pub fn at(&self, value: f64) -> f64 {
        let [from, to] = self.places;
        tenths(from + (to - from) * (value - self.range.start) / (self.range.end - self.range.start))
    }

    /// The numbers that the PNG has on this axis.
    pub fn ticks(&self) -> Vec<Tick> {
        let decimals = decimals(&self.range);
        let tick = |value| Tick { at: self.at(value), label: format_tick(value, decimals) };
        ticks(&self.range).into_iter().map(tick).collect()
    }
}

/// `value` with one decimal, which is finer than a pixel.
pub fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_number_on_an_axis_has_the_typographic_minus() {
        let scale = Scale::horizontal(-2.5..2.5, [0.0, 100.0]);
        let labels: Vec<_> = scale.ticks().into_iter().map(|tick| tick.label).collect();
        assert!(labels.contains(&"−2".into()) && labels.contains(&"0".into()), "{labels:?}");
        assert_eq!((scale.at(-2.5), scale.at(0.0), scale.at(2.5)), (0.0, 50.0, 100.0));
    }

    #[test]
    fn a_larger_value_is_higher_up() {
        let scale = Scale::vertical(0.0..1.0);
        assert_eq!((scale.at(0.0), scale.at(1.0)), (BOTTOM, TOP));
    }

    #[test]
    fn the_area_between_the_axes_has_room_for_the_numbers_on_the_left_and_below() {
        assert_eq!((WIDTH, HEIGHT), (340.0, 216.0));
        assert_eq!((LEFT, RIGHT), (46.0, 330.0));
        assert_eq!((TOP, BOTTOM), (10.0, 180.0));
    }

    #[test]
    fn a_place_has_one_decimal_and_grows_with_the_share_of_the_range() {
        for (value, expected) in [(0.0, 0.0), (0.04, 0.0), (0.05, 0.1), (12.34, 12.3), (12.37, 12.4), (-2.26, -2.3)] {
            assert_eq!(tenths(value), expected, "{value}");
        }
        let scale = Scale::horizontal(2.0..6.0, [10.0, 30.0]);
        assert_eq!([2.0, 3.0, 5.0, 6.0, 8.0].map(|value| scale.at(value)), [10.0, 15.0, 25.0, 30.0, 40.0]);
        let scale = Scale::vertical(-10.0..90.0);
        assert_eq!([-10.0, 0.0, 40.0, 90.0].map(|value| scale.at(value)), [180.0, 163.0, 95.0, 10.0]);
        for tick in scale.ticks() {
            assert_eq!(tick.at, scale.at(tick.label.replace('−', "-").parse().unwrap()), "{}", tick.label);
        }
    }
}
