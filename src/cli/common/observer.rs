//! The progress of training on stderr: one bar per setting on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use onelayer::hyperparameters::Setting;
use onelayer::train::{Epoch, Observer, SplitScores};

use crate::cli::common::signals::{self, Quiet};
use crate::cli::common::table;

/// The observer for the kind of stderr.
pub fn for_terminal(settings: &[Setting], epochs: usize, quiet: bool) -> Box<dyn Observer> {
    if quiet {
        Box::new(Quiet)
    } else if stderr().is_terminal() {
        Box::new(Bars::new(settings, epochs))
    } else {
        Box::new(Lines { titles: settings.iter().map(|s| s.title()).collect(), epochs, done: Vec::new() })
    }
}

/// The scores of an epoch, short enough for a bar in 80 columns: the losses and the validation accuracy.
fn scores(epoch: &Epoch) -> String {
    let Some(SplitScores { train, validation }) = epoch.scores else {
        return "diverged".into();
    };
    let mut text = String::new();
    if let Some(train) = train {
        text += &format!("loss {}", table::loss(Some(train.loss)));
    }
    if let Some(validation) = validation {
        let accuracy = 100.0 * validation.accuracy;
        let loss = table::loss(Some(validation.loss));
        text += &format!(" val {loss} {accuracy:.1} %");
    }
    text
}

/// A line per epoch, with the scores of all settings.
struct Lines {
    titles: Vec<String>,
    epochs: usize,
    /// The settings that have completed the epoch.
    done: Vec<String>,
}

impl Observer for Lines {
    fn epoch_done(&mut self, member: usize, epoch: &Epoch) {
        self.done.push(format!("{}: {}", self.titles[member], scores(epoch)));
        if self.done.len() == self.titles.len() {
            say!("epoch {}/{}: {}", epoch.number, self.epochs, self.done.join("; "));
            self.done.clear();
        }
    }

    fn message(&mut self, text: &str) {
        say!("{text}");
    }

    fn interrupted(&self) -> bool {
        signals::received()
    }
}

/// A setting's title in 18 columns, the width of the report's; a longer one is cut.
fn prefix(title: &str) -> String {
    if title.chars().count() <= 18 { format!("{title:18}") } else { format!("{title:.17}…") }
}

struct Bars {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    epochs: usize,
}

impl Bars {
    fn new(settings: &[Setting], epochs: usize) -> Self {
        let style =
            ProgressStyle::with_template("{prefix} {wide_bar} {msg}, {eta_precise} left").expect("a valid template");
        let all = MultiProgress::new();
        let bars = settings.iter().map(|setting| {
            let bar = all.add(ProgressBar::new(epochs as u64).with_style(style.clone()));
            bar.set_prefix(prefix(&setting.title()));
            bar.set_message(format!("0/{epochs}"));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let bars = bars.collect();
        Self { all, bars, epochs }
    }
}

impl Observer for Bars {
    fn batch_done(&mut self, epoch: usize, done: usize, total: usize) {
        for bar in &self.bars {
            bar.set_length((self.epochs * total) as u64);
            bar.set_position(((epoch - 1) * total + done) as u64);
        }
    }

    fn epoch_done(&mut self, member: usize, epoch: &Epoch) {
        let bar = &self.bars[member];
        bar.set_message(format!("{}/{} {}", epoch.number, self.epochs, scores(epoch)));
        if epoch.number == self.epochs {
            bar.finish();
        }
    }

    fn message(&mut self, text: &str) {
        self.all.suspend(|| say!("{text}"));
    }

    fn interrupted(&self) -> bool {
        signals::received()
    }
}

/// A job of several trainings, one after the other: a bar on a terminal, only its messages elsewhere.
pub struct Work {
    bar: ProgressBar,
    quiet: bool,
    begun: Instant,
    /// Batches that are done and batches that are left, each counted once per setting.
    done: u64,
    total: u64,
    /// The settings of the current training.
    members: u64,
}

impl Work {
    /// A job that has not begun.
    pub fn new(quiet: bool) -> Self {
        let bar = if quiet || !stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            let style = ProgressStyle::with_template("{wide_bar} {percent} %, {eta_precise} left");
            let bar = ProgressBar::new(0);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.with_style(style.expect("a valid template"))
        };
        Self { bar, quiet, begun: Instant::now(), done: 0, total: 0, members: 1 }
    }
}

impl Observer for Work {
    fn training(&mut self, members: usize, batches: usize) {
        (self.members, self.total) = (members as u64, self.done + batches as u64);
        self.bar.set_length(self.total);
    }

    fn batch_done(&mut self, _: usize, _: usize, _: usize) {
        self.done += self.members;
        self.total = self.total.max(self.done);
        self.bar.set_position(self.done);
    }

    fn message(&mut self, text: &str) {
        match self.done {
            _ if self.quiet => {}
            0 => self.bar.suspend(|| say!("{text}")),
            done => {
                let left = self.begun.elapsed().mul_f64((self.total - done) as f64 / done as f64);
                self.bar.suspend(|| say!("{text}, {} left", HumanDuration(left)));
            }
        }
    }

    fn interrupted(&self) -> bool {
        signals::received()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
