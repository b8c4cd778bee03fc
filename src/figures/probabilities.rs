//! `probabilities_<setting>.png`: how probable the true class was found.

use plotters::prelude::*;

use crate::figures::canvas::{BLUE, HEAD, OVERSAMPLING, VERMILION, figure, format_tick};
use crate::figures::legend::{Mark, draw_head};

const WIDTH: u32 = 800;
const HEIGHT: u32 = 440;
/// From the left edge to the vertical axis.
const AXIS_LEFT: u32 = 96;
const RIGHT: u32 = 24;

/// The histogram of the probability of the true class. `right` and `wrong` count the examples that are classified rightly
/// and wrongly, in equal bins from 0 to 1.
pub fn probabilities_figure(title: &str, right: &[usize], wrong: &[usize]) -> Vec<u8> {
    figure((WIDTH, HEIGHT), OVERSAMPLING, |canvas| {
        let (head, body) = canvas.split_at(HEAD);
        let legend = [(Mark::Square(BLUE), "correct"), (Mark::Square(VERMILION), "wrong")];
        draw_head(&head, AXIS_LEFT..WIDTH - RIGHT, title, &legend)?;
        let most = right.iter().chain(wrong).copied().max().unwrap_or(0);
        let top = (most.max(1) as f64 * 1.05).ceil();
        let mut chart = body.chart((AXIS_LEFT, RIGHT, 8, 52), 0.0..1.0, 0.0..top)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(format!("probability of the true class, {}", bins_text(right.len())))
            .y_desc("test images")
            .x_labels(11)
            .x_label_formatter(&|x| format!("{x:.1}"))
            .y_label_formatter(&|y| format_tick(*y, 0));
        body.draw_axes(&mut mesh, (18, 20))?;
        // The two bars of a bin are side by side, with some space to the neighbours.
        for (counts, left, color) in [(right, 0.1, BLUE), (wrong, 0.5, VERMILION)] {
            let bar = |(bin, &count): (usize, &usize)| {
                let [lower, upper] = [bin, bin + 1].map(|edge| edge as f64 / counts.len() as f64);
                let [from, to] = [left, left + 0.4].map(|share| lower + share * (upper - lower));
                Rectangle::new([(from, 0.0), (to, count as f64)], color.filled())
            };
            chart.draw_series(counts.iter().enumerate().map(bar))?;
        }
        Ok(())
    })
}

/// `in bins of width 0.05` for 20 equal bins from 0 to 1.
pub fn bins_text(bins: usize) -> String {
    format!("in bins of width {:.2}", 1.0 / bins.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::Image;

    #[test]
    fn the_width_of_the_bins_is_that_of_equal_ones_from_0_to_1() {
        assert_eq!([10, 20].map(bins_text), ["in bins of width 0.10", "in bins of width 0.05"]);
    }

    #[test]
    fn the_width_of_the_bins_is_on_the_axis() {
        // Below the numbers of the axis, where only its description is.
        let ink = |bins: usize| {
            let image = Image::decode(&probabilities_figure("a title", &vec![1; bins], &vec![1; bins]));
            let foot = (HEIGHT - 24) as usize;
            let dark = |&(x, y): &(usize, usize)| image.at(x, y)[0] < 128;
            (foot..HEIGHT as usize).flat_map(|y| (0..WIDTH as usize).map(move |x| (x, y))).filter(dark).count()
        };
        assert!(ink(20) > 0);
        assert_ne!(ink(10), ink(20));
    }

    #[test]
    fn the_bars_are_as_high_as_their_counts() {
        let (mut right, mut wrong) = ([0; 20], [0; 20]);
        (right[19], wrong[0]) = (30, 60);
        let image = Image::decode(&probabilities_figure("a title", &right, &wrong));
        let height_of = |color| {
            let below_head = image.places(color).into_iter().map(|(_, y)| y).filter(|&y| y >= HEAD as usize);
            below_head.collect::<std::collections::BTreeSet<_>>().len()
        };
        let (right, wrong) = (height_of(BLUE), height_of(VERMILION));
        assert!(wrong > 200 && right.abs_diff(wrong / 2) <= 2, "{right} {wrong}");
        // The legend has a square of each colour.
        for color in [BLUE, VERMILION] {
            let square = image.places(color).into_iter().filter(|&(_, y)| y < HEAD as usize).count();
            assert!((200..300).contains(&square), "{square}");
        }
    }
}
