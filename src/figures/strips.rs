//! `replication.png`: what each setting reached with many seeds.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::figures::canvas::*;
use crate::statistics::{Interval, Summary};

/// The colours of the runs and of the report.
const RUNS: RGBColor = TRAINING;
const REPORT: RGBColor = VALIDATION;

const STRIP_WIDTH: u32 = 300;
const STRIP_HEIGHT: u32 = 420;
/// Strips beside each other; more go below.
const STRIPS_PER_LINE: usize = 4;
/// Height of a strip's title.
const STRIP_HEAD: u32 = 40;
/// The narrowest figure: its legend needs so much.
const STRIPS_WIDTH: u32 = 880;
/// From the left of a strip, whose width is 1, to the middle of its runs and of its intervals.
const RUNS_AT: f64 = 0.36;
const INTERVALS_AT: f64 = 0.78;
/// The width over which the runs are spread.
const SPREAD: f64 = 0.48;

/// One setting over all seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// λ, the weight of the penalty.
    pub lambda: f64,
    /// η, the learning rate.
    pub eta: f64,
    /// The test accuracy of each run, a fraction.
    pub accuracies: Vec<f64>,
    /// What the report states, if it is comparable.
    pub reported: Option<f64>,
}

/// A panel a setting, each with an axis of its own: a dot a run; beside them the mean, a thick bar for its 95 % interval
/// and a thin one for the interval in which one further run lies with 95 % confidence; a line across for the report's
/// figure.
pub fn strips_figure(strips: &[Strip]) -> Vec<u8> {
    let columns = strips.len().clamp(1, STRIPS_PER_LINE);
    let lines = strips.len().div_ceil(columns).max(1);
    let width = (columns as u32 * STRIP_WIDTH).max(STRIPS_WIDTH);
    let height = CURVES_HEAD + lines as u32 * STRIP_HEIGHT;
    let pixels = draw(scaled(width), scaled(height), |area| {
        let (head, body) = area.split_vertically(scaled(CURVES_HEAD));
        draw_legend(&head, strips.iter().any(|strip| strip.reported.is_some()))?;
        let panels = body.split_evenly((lines, columns));
        let mut drawn = strips.iter().zip(&panels);
        drawn.try_for_each(|(strip, panel)| strip.draw(panel))
    });
    let pixels = average_down(&pixels, scaled(width) as usize);
    encode_png(width, height, &pixels)
}

fn draw_legend(head: &Area, report: bool) -> Drawn<'static> {
    let y = scaled(CURVES_HEAD) / 2;
    let at = |x: u32| (scaled(x) as i32, y as i32);
    let line = |from: u32, to: u32| [at(from), at(to)];
    head.draw(&Circle::new(at(24), scaled(4), RUNS.filled()))?;
    draw_text(head, "a run", (scaled(36), y), scaled(20), HPos::Left)?;
    head.draw(&PathElement::new(line(120, 148), INK.stroke_width(scaled(7))))?;
    let mean = "mean, 95 %";
    draw_text(head, mean, (scaled(156), y), scaled(20), HPos::Left)?;
    head.draw(&PathElement::new(line(300, 328), INK.stroke_width(scaled(2))))?;
    let next = "95 % of single runs";
    draw_text(head, next, (scaled(336), y), scaled(20), HPos::Left)?;
    if report {
        head.draw(&PathElement::new(line(560, 596), REPORT.stroke_width(scaled(3))))?;
        draw_text(head, "the report", (scaled(604), y), scaled(20), HPos::Left)?;
    }
    Ok(())
}

impl Strip {
    fn draw(&self, area: &Area) -> Drawn<'static> {
        let percent = |fraction: &f64| 100.0 * fraction;
        let accuracies: Vec<f64> = self.accuracies.iter().map(percent).collect();
        let reported = self.reported.as_ref().map(percent);
        let sample = Summary::new(&accuracies);
        let mean = sample.and_then(|s| s.mean_interval());
        let run = sample.and_then(|s| s.prediction_interval());
        let ends = [mean, run].into_iter().flatten().flat_map(|i| [i.low, i.high]);
        let (bottom, top) = axis_range(accuracies.iter().copied().chain(reported).chain(ends));

        let (head, body) = area.split_vertically(scaled(STRIP_HEAD));
        let middle = scaled(AXIS_LEFT + (STRIP_WIDTH - AXIS_LEFT) / 2);
        let name = title(self.lambda, self.eta);
        draw_text(&head, &name, (middle, scaled(STRIP_HEAD) / 2), scaled(22), HPos::Center)?;
        let places = decimals(bottom, top);
        let mut chart = ChartBuilder::on(&body)
            .margin_left(scaled(DESCRIPTION_LEFT))
            .margin_right(scaled(8))
            .margin_bottom(scaled(16))
            .y_label_area_size(scaled(AXIS_LEFT - DESCRIPTION_LEFT))
            .build_cartesian_2d(0.0..1.0, bottom..top)?;
        let tick = |y: &f64| format_tick(*y, places);
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().x_labels(0).y_desc("test accuracy (%)").y_labels(TICKS).y_label_formatter(&tick);
        dress_axes(&mut mesh, TICK_TEXT, 22);
        mesh.draw()?;
        if let Some(figure) = reported {
            let across = [(0.0, figure), (1.0, figure)];
            chart.draw_series([PathElement::new(across, REPORT.stroke_width(scaled(3)))])?;
        }
        let runs = accuracies.iter().enumerate();
        chart.draw_series(runs.map(|(i, &y)| Circle::new((place(i), y), scaled(4), RUNS.mix(0.6).filled())))?;
        for (interval, bar) in [(run, 2), (mean, 7)] {
            let bar = INK.stroke_width(scaled(bar));
            let ends = |i: Interval| [(INTERVALS_AT, i.low), (INTERVALS_AT, i.high)];
            let bars = interval.map(|i| PathElement::new(ends(i), bar));
            chart.draw_series(bars)?;
        }
        let tick = |y: f64| {
            let ends = [(INTERVALS_AT - 0.07, y), (INTERVALS_AT + 0.07, y)];
            PathElement::new(ends, INK.stroke_width(scaled(2)))
        };
        chart.draw_series(sample.map(|s| tick(s.mean)))?;
        Ok(())
    }
}

/// Where from left to right run number `run` is: spread evenly by the golden ratio, so that few dots hide another.
fn place(run: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    RUNS_AT + SPREAD * ((run as f64 * GOLDEN).fract() - 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::tests::Image;

    fn strip(accuracies: &[f64], reported: Option<f64>) -> Strip {
        Strip { lambda: 0.1, eta: 0.001, accuracies: accuracies.to_vec(), reported }
    }

    fn image(strips: &[Strip]) -> Image {
        Image::decode(&strips_figure(strips))
    }

    /// Where pixels of the report's colour are below the legend.
    fn report(image: &Image) -> Vec<(usize, usize)> {
        let RGBColor(r, g, b) = REPORT;
        (CURVES_HEAD as usize..image.height)
            .flat_map(|y| (0..image.width).map(move |x| (x, y)))
            .filter(|&(x, y)| image.at(x, y) == [r, g, b])
            .collect()
    }

    #[test]
    fn the_reported_figure_is_a_line_across_its_strip_alone() {
        let runs = [0.390, 0.391, 0.389, 0.392];
        let image = image(&[strip(&runs, None), strip(&runs, Some(0.394)), strip(&runs, None)]);
        let places = report(&image);
        assert!(places.len() > 300, "{}", places.len());
        let (left, right) = (STRIP_WIDTH as usize, 2 * STRIP_WIDTH as usize);
        assert!(places.iter().all(|&(x, _)| (left..right).contains(&x)));
    }

    #[test]
    fn a_higher_figure_is_drawn_higher() {
        let height = |reported| {
            let image = image(&[strip(&[0.38, 0.40], Some(reported))]);
            report(&image).iter().map(|&(_, y)| y).min().unwrap()
        };
        assert!(height(0.40) < height(0.38));
    }

    #[test]
    fn without_a_reported_figure_none_is_drawn() {
        assert_eq!(report(&image(&[strip(&[0.39, 0.40], None)])), []);
    }

    #[test]
    fn a_line_of_strips_holds_four_and_the_next_go_below() {
        let size = |strips: usize| {
            let image = image(&vec![strip(&[0.39, 0.40], None); strips]);
            (image.width, image.height)
        };
        assert_eq!(size(4), (1200, 476));
        assert_eq!(size(5), (1200, 896));
        assert_eq!(size(1), (880, 476));
    }

    #[test]
    fn strips_with_no_run_one_run_or_equal_runs_are_drawn() {
        for runs in [&[][..], &[0.1], &[0.25; 7], &[0.0, 1.0]] {
            assert_eq!(image(&[strip(runs, None)]).width, 880);
        }
        assert_eq!(image(&[]).width, 880);
    }

    #[test]
    fn equal_runs_give_equal_bytes_and_others_others() {
        let figure = |last| strips_figure(&[strip(&[0.39, 0.40, last], Some(0.4))]);
        assert_eq!(figure(0.41), figure(0.41));
        assert_ne!(figure(0.41), figure(0.42));
    }
}
