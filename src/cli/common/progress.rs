//! Shows the progress of fetching: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressStyle};
use onelayer::Error;
use onelayer::dataset::fetch::{self, Catalog, Fetched, Progress, Source};
use onelayer::dataset::store::Trust;

use crate::cli::common::signals::{self, Quiet};

/// Time between two lines about the same download.
const INTERVAL: Duration = Duration::from_secs(5);

/// Fetches the files of `catalog`, with the progress on stderr, until a signal asks to stop.
pub fn fetch(dir: &Path, catalog: &Catalog, source: &Source, trust: Trust, quiet: bool) -> anyhow::Result<Fetched> {
    signals::listen()?;
    let mut progress: Box<dyn Progress> = match quiet {
        true => Box::new(Quiet),
        false if std::io::stderr().is_terminal() => Box::new(DownloadBar(ProgressBar::hidden())),
        false => Box::new(DownloadLines::default()),
    };
    fetch::fetch(dir, catalog, source, trust, &mut *progress).map_err(|error| match error {
        Error::Interrupted => anyhow::Error::new(error).context("stopped; run the same command again to resume"),
        _ => error.into(),
    })
}

/// A bar with bytes, speed and time left; a spinner if the total is unknown.
struct DownloadBar(ProgressBar);

impl Progress for DownloadBar {
    fn begin(&mut self, what: &str, done: u64, total: Option<u64>) {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} left",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {msg} {decimal_bytes} {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is a constant");
        // Bytes that were there before do not count towards the speed.
        bar.set_position(done);
        bar.reset_eta();
        self.0 = bar.with_style(style.progress_chars("=> ")).with_message(what.to_owned());
        self.0.enable_steady_tick(Duration::from_millis(200));
    }

    fn advance(&mut self, done: u64) {
        self.0.set_position(done);
    }

    fn end(&mut self) {
        self.0.finish_and_clear();
    }

    fn message(&mut self, text: &str) {
        self.0.suspend(|| say!("{text}"));
    }

    fn interrupted(&self) -> bool {
        signals::received()
    }
}

/// A line every few seconds.
#[derive(Default)]
struct DownloadLines {
    what: String,
    total: Option<u64>,
    /// Time and number of bytes at the beginning.
    begun: Option<(Instant, u64)>,
    last: Option<Instant>,
}

impl Progress for DownloadLines {
    fn begin(&mut self, what: &str, done: u64, total: Option<u64>) {
        let now = Instant::now();
        *self = Self { what: what.to_owned(), total, begun: Some((now, done)), last: Some(now) };
        let total = total.map_or(String::new(), |t| format!(" ({})", DecimalBytes(t)));
        say!("{what}{total}");
    }

    fn advance(&mut self, done: u64) {
        let (Some((begun, before)), Some(last)) = (self.begun, self.last) else {
            return;
        };
        if last.elapsed() < INTERVAL {
            return;
        }
        self.last = Some(Instant::now());
        say!("{}: {}", self.what, line(done, done.saturating_sub(before), begun.elapsed(), self.total));
    }

    fn end(&mut self) {
        self.begun = None;
    }

    fn message(&mut self, text: &str) {
        say!("{text}");
    }

    fn interrupted(&self) -> bool {
        signals::received()
    }
}

/// `done` bytes of `total`, `new` of them in the time `elapsed`, with the speed and the time left if they are known.
fn line(done: u64, new: u64, elapsed: Duration, total: Option<u64>) -> String {
    let Some(total) = total else {
        return format!("{}, {}", DecimalBytes(done), HumanDuration(elapsed));
    };
    let speed = new as f64 / elapsed.as_secs_f64();
    let left = if new == 0 {
        "an unknown time".to_owned()
    } else {
        let seconds = total.saturating_sub(done) as f64 / speed;
        HumanDuration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)).to_string()
    };
    format!("{} of {}, {}/s, {left} left", DecimalBytes(done), DecimalBytes(total), DecimalBytes(speed as u64),)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_bytes_speed_and_time_left_from_the_new_bytes_alone() {
        let text = line(150_000_000, 50_000_000, Duration::from_secs(10), Some(170_000_000));
        assert_eq!(text, "150.00 MB of 170.00 MB, 5.00 MB/s, 4 seconds left");
    }

    #[test]
    fn a_line_without_new_bytes_does_not_guess() {
        let text = line(5, 0, Duration::from_secs(10), Some(10));
        assert_eq!(text, "5 B of 10 B, 0 B/s, an unknown time left");
    }
}
