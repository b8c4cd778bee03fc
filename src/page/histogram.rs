//! The histogram of the probability of the true class as the geometry of an SVG.

use crate::evaluate::table::ProbabilityRow;
use crate::figures::bins_text;
use crate::page::axes::{BOTTOM, LEFT, RIGHT, Scale, Tick, tenths};
use crate::statistics::{count, grouped};

pub struct Histogram {
    /// The width of the bins, in words.
    pub bins_text: String,
    /// A summary for readers who do not see the drawing.
    pub description: String,
    pub probability_ticks: Vec<Tick>,
    pub count_ticks: Vec<Tick>,
    pub bins: Vec<Bin>,
}

/// The two bars of a bin.
pub struct Bin {
    /// The probabilities and both counts, shown when the bin is pointed at.
    pub text: String,
    /// The part of the drawing that belongs to the bin.
    pub left: f64,
    pub width: f64,
    pub bar_width: f64,
    pub bars: [Bar; 2],
}

pub struct Bar {
    /// `right` or `wrong`.
    pub class: &'static str,
    pub left: f64,
    pub top: f64,
    pub height: f64,
}

impl Histogram {
    pub fn new(rows: &[ProbabilityRow]) -> Self {
        let most = rows.iter().map(|row| row.right.max(row.wrong)).max().unwrap_or(0);
        let top = most.max(1) as f64 * 1.05;
        let x = |probability: f64| tenths(LEFT + (RIGHT - LEFT) * probability);
        let scale = Scale::vertical(0.0..top);
        let bin = |row: &ProbabilityRow| {
            let ProbabilityRow { lower, upper, right, wrong } = *row;
            let (left, width) = (x(lower), x(upper) - x(lower));
            let bar = |class, share, count: usize| {
                let top = scale.at(count as f64);
                Bar { class, left: tenths(left + share * width), top, height: tenths(BOTTOM - top) }
            };
            Bin {
                text: format!(
                    "Probability {lower:.2} to {upper:.2}: {} correct, {} wrong",
                    grouped(right),
                    grouped(wrong)
                ),
                left,
                width: tenths(width),
                bar_width: tenths(0.4 * width),
                bars: [bar("right", 0.1, right), bar("wrong", 0.5, wrong)],
            }
        };
        let tenth = |i: u32| Tick { at: x(f64::from(i) / 10.0), label: format!("{:.1}", f64::from(i) / 10.0) };
        Self {
            bins_text: bins_text(rows.len()),
            description: description(rows),
            probability_ticks: (0..=10).step_by(2).map(tenth).collect(),
            count_ticks: scale.ticks(),
            bins: rows.iter().map(bin).collect(),
        }
    }
}

/// The number of images, and how many have a low and a high probability of the true class.
fn description(rows: &[ProbabilityRow]) -> String {
    let images = |are_counted: fn(&&ProbabilityRow) -> bool| {
        rows.iter().filter(are_counted).map(|row| row.right + row.wrong).sum()
    };
    format!(
        "Histogram of {}. The probability of the true class is below 0.1 for {} and at least 0.5 for {}.",
        count(images(|_| true), "test image"),
        count(images(|row| row.upper <= 0.1), "image"),
        grouped(images(|row| row.lower >= 0.5)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::axes::TOP;

    fn histogram() -> Histogram {
        let counts = |bin: usize| match bin {
            1 => (0, 80),
            10 => (40, 20),
            _ => (0, 0),
        };
        let row = |bin: usize| {
            let (lower, upper, (right, wrong)) = (bin as f64 / 20.0, (bin + 1) as f64 / 20.0, counts(bin));
            ProbabilityRow { lower, upper, right, wrong }
        };
        Histogram::new(&(0..20).map(row).collect::<Vec<_>>())
    }

    #[test]
    fn a_bar_is_as_high_as_its_count_and_stands_in_its_bin() {
        let histogram = histogram();
        let height = |bin: usize, bar: usize| histogram.bins[bin].bars[bar].height;
        assert_eq!((height(0, 0), height(0, 1), height(1, 0)), (0.0, 0.0, 0.0));
        assert!((BOTTOM - TOP) * 0.9 < height(1, 1) && height(1, 1) < BOTTOM - TOP);
        assert!((height(10, 0) - height(1, 1) / 2.0).abs() < 0.11 && (height(10, 1) - height(1, 1) / 4.0).abs() < 0.11);
        for pair in histogram.bins.windows(2) {
            assert!((pair[0].left + pair[0].width - pair[1].left).abs() < 0.11);
            let [right, wrong] = pair[0].bars.each_ref().map(|bar| bar.left);
            assert!(pair[0].left < right && right < wrong && wrong + pair[0].bar_width < pair[1].left + 0.1);
        }
        let last = &histogram.bins[19];
        assert_eq!((histogram.bins[0].left, tenths(last.left + last.width)), (LEFT, RIGHT));
    }

    #[test]
    fn the_counts_are_in_the_texts() {
        let histogram = histogram();
        assert_eq!(histogram.bins_text, "in bins of width 0.05");
        assert_eq!(histogram.bins[10].text, "Probability 0.50 to 0.55: 40 correct, 20 wrong");
        assert_eq!(
            histogram.description,
            "Histogram of 140 test images. The probability of the true class is below 0.1 for 80 images and at least \
             0.5 for 60."
        );
    }

    #[test]
    fn a_histogram_without_images_is_drawn() {
        let histogram = Histogram::new(&[ProbabilityRow { lower: 0.0, upper: 1.0, right: 0, wrong: 0 }]);
        assert_eq!(histogram.bins[0].bars.each_ref().map(|bar| (bar.top, bar.height)), [(BOTTOM, 0.0); 2]);
        assert_eq!(Histogram::new(&[]).bins.len(), 0);
    }

    #[test]
    fn the_places_of_two_bins_are_those_of_their_counts() {
        let row = |lower, upper, right, wrong| ProbabilityRow { lower, upper, right, wrong };
        // The axis ends at 105, 5 % above the largest count.
        let histogram = Histogram::new(&[row(0.0, 0.5, 1000, 500), row(0.5, 1.0, 0, 210)]);
        let [first, second] = &histogram.bins[..] else { panic!("two bins") };
        assert_eq!([first.left, first.width, first.bar_width], [46.0, 142.0, 56.8]);
        assert_eq!([second.left, second.width, second.bar_width], [188.0, 142.0, 56.8]);
        let bars = |bin: &Bin| bin.bars.each_ref().map(|bar| (bar.class, bar.left, bar.top, bar.height));
        assert_eq!(bars(first), [("right", 60.2, 18.1, 161.9), ("wrong", 117.0, 99.0, 81.0)]);
        assert_eq!(bars(second), [("right", 202.2, 180.0, 0.0), ("wrong", 259.0, 146.0, 34.0)]);
        assert_eq!(first.text, "Probability 0.00 to 0.50: 1,000 correct, 500 wrong");
        let ticks: Vec<_> = histogram.probability_ticks.iter().map(|tick| (tick.at, tick.label.as_str())).collect();
        let expected = [(46.0, "0.0"), (102.8, "0.2"), (159.6, "0.4"), (216.4, "0.6"), (273.2, "0.8"), (330.0, "1.0")];
        assert_eq!(ticks, expected);
        let ticks = &histogram.count_ticks;
        assert!(ticks.iter().any(|tick| (tick.at, tick.label.as_str()) == (18.1, "1,000")), "the largest count");
        assert_eq!((ticks[0].at, ticks[0].label.as_str()), (180.0, "0"));
    }

    #[test]
    fn only_bins_that_end_at_a_tenth_or_begin_at_one_half_are_summed() {
        let row = |bin: usize| {
            let (lower, upper) = (bin as f64 / 20.0, (bin + 1) as f64 / 20.0);
            ProbabilityRow { lower, upper, right: 1, wrong: 2 }
        };
        let histogram = Histogram::new(&(0..20).map(row).collect::<Vec<_>>());
        let expected = "Histogram of 60 test images. The probability of the true class is below 0.1 for 6 images and at \
                        least 0.5 for 30.";
        assert_eq!(histogram.description, expected);
        let one = Histogram::new(&[ProbabilityRow { lower: 0.0, upper: 0.1, right: 1, wrong: 0 }]);
        assert!(one.description.starts_with("Histogram of 1 test image. "), "{}", one.description);
        assert!(one.description.ends_with(" for 1 image and at least 0.5 for 0."), "{}", one.description);
    }
}
