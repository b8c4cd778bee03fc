//! `replication.png`: the test accuracy of each setting with many seeds.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::figures::canvas::{
    BLUE, Canvas, Drawn, HEAD, INK, OVERSAMPLING, Stroke, VERMILION, axis_range, decimals, figure, format_tick,
};
use crate::figures::legend::{self, Entry, Mark};
use crate::figures::text;
use crate::statistics::{Interval, SampleSummary};

const STRIP_WIDTH: u32 = 300;
const STRIP_HEIGHT: u32 = 420;
/// Number of strips beside each other; more go below.
const STRIPS_PER_LINE: usize = 4;
/// Height of a strip's title.
const STRIP_HEAD: u32 = 40;
/// The smallest width that has room for the legend, in two lines.
const SMALLEST_WIDTH: u32 = 640;
const LEGEND_LEFT: u32 = 20;
/// From the left edge of a strip to its vertical axis.
const AXIS_LEFT: u32 = 104;
/// From the left of the axes, whose width is 1, to the middle of the runs and of the intervals.
pub const RUNS_AT: f64 = 0.36;
pub const INTERVALS_AT: f64 = 0.78;
/// The width over which the runs are spread.
const SPREAD: f64 = 0.48;

/// One setting with all seeds.
pub struct Strip {
    /// The setting's title.
    pub title: String,
    /// Test accuracy of each run, a fraction.
    pub accuracies: Vec<f64>,
    /// Test accuracy that the course report states, if it is comparable.
    pub reported: Option<f64>,
}

/// The numbers that a strip shows, in percent.
pub struct ShownRuns {
    pub accuracies: Vec<f64>,
    pub reported: Option<f64>,
    pub summary: Option<SampleSummary>,
    /// The mean, if there are several runs: that of one is the run.
    pub mean: Option<f64>,
    /// The confidence interval of the mean.
    pub mean_interval: Option<Interval>,
    /// The prediction interval of one run.
    pub run_interval: Option<Interval>,
    /// The range of the axis.
    pub range: Range<f64>,
}

/// One strip per setting, each with its own axis. It has one dot per run; beside the dots the mean, a thick bar for its
/// 95 % confidence interval and a thin bar for the 95 % prediction interval of one run; and a line across for the accuracy
/// that the course report states.
pub fn strips_figure(strips: &[Strip]) -> Vec<u8> {
    let columns = strips.len().clamp(1, STRIPS_PER_LINE);
    let lines = strips.len().div_ceil(columns).max(1);
    let width = (columns as u32 * STRIP_WIDTH).max(SMALLEST_WIDTH);
    let entries = legend(strips);
    let legend = legend::lines(&entries, width - 2 * LEGEND_LEFT);
    let head = HEAD + (legend.len() as u32 - 1) * legend::LINE;
    figure((width, head + lines as u32 * STRIP_HEIGHT), OVERSAMPLING, |canvas| {
        let (head, body) = canvas.split_at(head);
        let ys = (0..).map(|line| HEAD / 2 + line * legend::LINE);
        ys.zip(&legend).try_for_each(|(y, entries)| legend::draw_line(&head, entries, (LEGEND_LEFT, y)))?;
        let mut places = strips.iter().zip(body.split_evenly(lines, columns));
        places.try_for_each(|(strip, place)| strip.draw(&place, width / columns as u32))
    })
}

/// The legend of what is drawn.
fn legend(strips: &[Strip]) -> Vec<Entry<'static>> {
    let mut entries = vec![(Mark::Dot(BLUE), "one run")];
    // A single run has no intervals.
    if strips.iter().any(|strip| strip.accuracies.len() > 1) {
        entries.push((Mark::Line(Stroke::solid(INK, 7)), "mean (tick) and its 95 % confidence interval"));
        entries.push((Mark::Line(Stroke::solid(INK, 2)), "95 % prediction interval of one run"));
    }
    if strips.iter().any(|strip| strip.reported.is_some()) {
        entries.push((Mark::Line(Stroke::solid(VERMILION, 3)), "the report"));
    }
    entries
}

impl Strip {
    /// The numbers that are shown.
    pub(crate) fn shown(&self) -> ShownRuns {
        let accuracies: Vec<f64> = self.accuracies.iter().map(|fraction| 100.0 * fraction).collect();
        let reported = self.reported.map(|fraction| 100.0 * fraction);
        let summary = SampleSummary::new(&accuracies);
        let mean_interval = summary.and_then(|s| s.mean_interval());
        let run_interval = summary.and_then(|s| s.prediction_interval());
        let ends = [mean_interval, run_interval].into_iter().flatten().flat_map(|i| [i.low, i.high]);
        let range = axis_range(accuracies.iter().copied().chain(reported).chain(ends));
        let mean = summary.filter(|summary| summary.n > 1).map(|summary| summary.mean);
        ShownRuns { accuracies, reported, summary, mean, mean_interval, run_interval, range }
    }

    /// Draws the strip on an area of this width.
    fn draw(&self, canvas: &Canvas, width: u32) -> Drawn {
        let ShownRuns { accuracies, reported, mean, mean_interval, run_interval, range, .. } = self.shown();
        let (head, body) = canvas.split_at(STRIP_HEAD);
        let middle = AXIS_LEFT + (width - AXIS_LEFT) / 2;
        let size = text::fitting(&self.title, 22, 2 * (width - middle) - 8);
        head.text(&self.title, (middle, STRIP_HEAD / 2), size, HPos::Center)?;
        let places = decimals(&range);
        let tick = |y: &f64| format_tick(*y, places);
        let mut chart = body.chart((AXIS_LEFT, 8, 16, 0), 0.0..1.0, range)?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().x_labels(0).y_desc("test accuracy (%)").y_label_formatter(&tick);
        body.draw_axes(&mut mesh, (20, 22))?;
        if let Some(y) = reported {
            chart.draw_series([PathElement::new([(0.0, y), (1.0, y)], body.stroke(VERMILION, 3))])?;
        }
        let runs = accuracies.iter().enumerate();
        chart.draw_series(runs.map(|(i, &y)| Circle::new((run_at(i), y), body.scaled(4), BLUE.mix(0.6).filled())))?;
        for (interval, width) in [(run_interval, 2), (mean_interval, 7)] {
            let ends = |i: Interval| [(INTERVALS_AT, i.low), (INTERVALS_AT, i.high)];
            chart.draw_series(interval.map(|i| PathElement::new(ends(i), body.stroke(INK, width))))?;
        }
        let ends = |y| [(INTERVALS_AT - 0.07, y), (INTERVALS_AT + 0.07, y)];
        chart.draw_series(mean.map(|mean| PathElement::new(ends(mean), body.stroke(INK, 2))))?;
        Ok(())
    }
}

/// Place of run number `run` from left to right: spread evenly by the golden ratio, so that few dots hide another.
pub fn run_at(run: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    RUNS_AT + SPREAD * ((run as f64 * GOLDEN).fract() - 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::Image;

    fn strip(accuracies: &[f64], reported: Option<f64>) -> Strip {
        Strip { title: "λ = 0.1, η = 0.001".into(), accuracies: accuracies.to_vec(), reported }
    }

    fn image(strips: &[Strip]) -> Image {
        Image::decode(&strips_figure(strips))
    }

    /// Where pixels of the report's colour are below the legend.
    fn report(image: &Image) -> Vec<(usize, usize)> {
        let places = image.places(VERMILION).into_iter();
        places.filter(|&(_, y)| y >= (HEAD + legend::LINE) as usize).collect()
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
    fn the_legend_says_what_each_interval_is_of_and_names_the_report_where_it_is_drawn() {
        let meanings = |reported| {
            let entries = legend(&[strip(&[0.39, 0.40], reported)]);
            entries.into_iter().map(|(_, meaning)| meaning).collect::<Vec<_>>()
        };
        let intervals = ["mean (tick) and its 95 % confidence interval", "95 % prediction interval of one run"];
        assert_eq!(meanings(None)[1..], intervals);
        assert_eq!(meanings(Some(0.4))[3..], ["the report"]);
        let single = legend(&[strip(&[0.39], Some(0.4))]);
        assert_eq!(single.iter().map(|entry| entry.1).collect::<Vec<_>>(), ["one run", "the report"]);
    }

    #[test]
    fn a_line_of_strips_holds_four_and_the_next_go_below() {
        let size = |strips: usize| {
            let image = image(&(0..strips).map(|_| strip(&[0.39, 0.40], None)).collect::<Vec<_>>());
            (image.width, image.height)
        };
        assert_eq!(size(4), (1200, 476));
        assert_eq!(size(5), (1200, 896));
        // The legend of fewer strips has two lines.
        assert_eq!(size(1), (640, 508));
    }

    #[test]
    fn strips_with_no_run_one_run_or_equal_runs_are_drawn() {
        for runs in [&[][..], &[0.1], &[0.25; 7], &[0.0, 1.0]] {
            assert_eq!(image(&[strip(runs, None)]).width, 640);
        }
        assert_eq!(image(&[]).width, 640);
    }

    #[test]
    fn equal_runs_give_equal_bytes_and_others_others() {
        let figure = |last| strips_figure(&[strip(&[0.39, 0.40, last], Some(0.4))]);
        assert_eq!(figure(0.41), figure(0.41));
        assert_ne!(figure(0.41), figure(0.42));
    }
}
