//! `onelayer replicate`.

pub mod ablate;
pub mod overfitting;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onelayer::Error;
use onelayer::dataset::Splits;
use onelayer::files::folder::Folder;
use onelayer::hyperparameters::{Origin, Schedule, Setting, readable};
use onelayer::replicate::table::{Difference, PairRow, ReplicationRow, SettingRow};
use onelayer::replicate::{self, P_VALUES, Replication, ReplicationPlan, VERDICTS, verdicts};
use onelayer::shard::{Shard, Sharded};
use onelayer::statistics::{count, p_text, percent, points, unbroken};
use onelayer::train::Observer;

use crate::cli::common::arguments::listed_number;
use crate::cli::common::observer::Work;
use crate::cli::common::table::or_dash;
use crate::cli::common::{data, out, rng, signals};
use crate::cli::use_threads;

const AFTER_HELP: &str = "\
Examples:
  onelayer replicate --seeds 20
  onelayer replicate --ablate results/best.toml
  onelayer replicate --overfitting
  onelayer replicate --shard 1/4 --out shard1";

/// The widest line of the closing tables, for the settings of the report.
const WIDTH: usize = 80;

/// Arguments of `replicate`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Number of seeds to train every setting with
    #[arg(long, value_name = "N", default_value_t = 20)]
    seeds: usize,
    /// First seed; the others follow it
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first_seed: u64,
    /// Setting to train, such as 0.1,0.001; can be repeated [default: the report's four]
    #[arg(long = "setting", value_name = "LAMBDA,ETA", value_parser = setting)]
    settings: Vec<Setting>,
    /// Instead train the configuration in this TOML file, such as the best.toml of `search`, and the same without each of its
    /// improvements on the report's protocol, to see what each of them brings
    #[arg(long, value_name = "FILE")]
    ablate: Option<PathBuf>,
    /// Instead compare the over-fitting of each setting with that of ten sigmoids that take the same steps
    #[arg(long)]
    overfitting: bool,
    /// Passes over the training images
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.epochs)]
    epochs: usize,
    /// Images per mini-batch; the last one of an epoch may have fewer
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.batch_size)]
    batch_size: usize,
    #[command(flatten)]
    rng: rng::RngArgs,
    #[command(flatten)]
    data: data::DataArgs,
    /// Train only shard I of N of the seeds, for N processes or machines; `onelayer merge` joins their tables
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE, hide_default_value = true)]
    shard: Shard,
    /// Resume the replication in the results folder: seeds in its table are not trained again
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    out: out::OutArgs,
    /// Number of threads; the results do not depend on it [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print only the closing tables and text
    #[arg(long)]
    quiet: bool,
}

/// Parses a setting, `LAMBDA,ETA`.
fn setting(text: &str) -> onelayer::Result<Setting> {
    let numbers = text.split_once(',');
    let numbers = numbers.and_then(|(l, e)| Some((listed_number(l).ok()?, listed_number(e).ok()?)));
    let (lambda, eta) =
        numbers.ok_or_else(|| Error::invalid("setting", "λ and η with decimal points, such as 0.1,0.001", text))?;
    Setting::new(lambda, eta)
}

/// Trains the seeds that are left, and prints the analysis of a whole replication.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.ablate {
        return ablate::run(args, path);
    }
    if args.overfitting {
        return overfitting::run(args);
    }
    if let Some(replication) = args.train(&args.plan(), ReplicationRow::JOB, replicate::run)? {
        print(&replication);
        args.out.say_results(false, args.quiet);
    }
    Ok(ExitCode::SUCCESS)
}

/// A function of the library that trains the seeds of a plan, and returns the result of a whole job.
type Job<T> =
    fn(&ReplicationPlan, &Splits, &[String; 3], &Folder, bool, &mut dyn Observer) -> onelayer::Result<Option<T>>;

impl Args {
    fn plan(&self) -> ReplicationPlan {
        ReplicationPlan {
            settings: if self.settings.is_empty() { Setting::REPORT.to_vec() } else { self.settings.clone() },
            schedule: Schedule {
                epochs: self.epochs,
                batch_size: self.batch_size,
                shuffle: self.rng.shuffle().unwrap_or(Schedule::REPORT.shuffle),
                ..Schedule::REPORT
            },
            start: self.rng.start().unwrap_or(Origin::Random),
            first_seed: self.first_seed,
            seeds: self.seeds,
            shard: self.shard,
        }
    }

    /// Trains the seeds that are left of `plan` with the job `name`. Returns the result of a whole job; prints where the table
    /// of a shard is.
    fn train<T>(&self, plan: &ReplicationPlan, name: &str, job: Job<T>) -> anyhow::Result<Option<T>> {
        // Invalid arguments are refused before the data are downloaded.
        self.data.check()?;
        plan.validate(self.data.training_images())?;
        use_threads(self.threads)?;
        signals::listen()?;
        let folder = self.out.open()?;
        let loaded = self.data.load(self.quiet)?;
        let mut work = Work::new(self.quiet);
        let whole = job(plan, &loaded.splits, &loaded.names, &folder, self.resume, &mut work)?;
        drop(work);
        if whole.is_none() {
            self.print_shard(&folder.path().join(self.shard.table(name)));
        }
        Ok(whole)
    }

    /// Prints that the shard, whose table is at the path `table`, is done.
    fn print_shard(&self, table: &Path) {
        let (shard, seeds) = (self.shard, self.seeds);
        show!("Shard {shard} is done ({} of {}): {}", shard.share(seeds), count(seeds, "seed"), table.display());
        show!("`onelayer merge` joins the tables of all shards.");
    }
}

/// Says which p-values are adjusted.
const ADJUSTED: &str =
    "p (Holm) is adjusted for the number of pairs by Holm's method; the p-values of the conclusions are not.";

/// Prints the settings, the pairs and the conclusions.
pub fn print(replication: &Replication) {
    show!("Test accuracy in %, each setting over its seeds, with the 95 % confidence");
    show!("interval of the mean and the 95 % prediction interval of one run:\n");
    let settings = replication.settings();
    let name = width(settings.iter().map(|row| &row.setting));
    let report = if settings.iter().any(|row| row.reported.is_some()) { "     report" } else { "" };
    show!("{:name$}    n   mean    sd  of the mean    of one run{report}", "setting");
    for row in settings {
        show!("{}", setting_line(&row, name));
    }
    let pairs = replication.pairs();
    let has_pairs = !pairs.is_empty();
    if has_pairs {
        show!("\nPaired differences, first setting minus second, in percentage points, with");
        show!("the 95 % confidence interval of the mean, and the seeds won/tied/lost:\n");
        show!("{:1$}   mean  interval          w/t/l p (Holm)", "", 2 * name + 3);
    }
    for row in pairs {
        show!("{}", pair_line(&row, name));
    }
    let verdicts = verdicts(replication);
    if !verdicts.is_empty() {
        show!("\nThe conclusions of the report:\n");
        print_wrapped(VERDICTS);
    }
    for row in verdicts {
        show!("\n{}: {}", row.conclusion, row.verdict);
        for line in wrap(&readable(&row.explanation), WIDTH - 2) {
            show!("  {line}");
        }
    }
    show!();
    if has_pairs {
        print_wrapped(&format!("{P_VALUES}. {ADJUSTED}"));
    }
    print_wrapped("All of this is about the variation between seeds; other training or test images would add to it.");
}

/// Prints `text` in lines of at most 80 characters.
fn print_wrapped(text: &str) {
    for line in wrap(text, WIDTH) {
        show!("{line}");
    }
}

/// The width of a column with these names, as readers see them.
fn width<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.map(|name| readable(name).chars().count()).max().unwrap_or(0).max("setting".len())
}

fn setting_line(row: &SettingRow, name: usize) -> String {
    let reported = row.reported.map_or(String::new(), |reported| {
        let place = row.reported_in_run_95.map_or("", |inside| if inside { " in" } else { " out" });
        format!("  {}{place}", percent(reported))
    });
    let diverged = match row.diverged {
        0 => String::new(),
        n => format!("  ({n} diverged)"),
    };
    let line = format!(
        "{:name$} {:>4} {:>6} {:>5}  {:14} {:14}{reported}{diverged}",
        readable(&row.setting),
        row.n,
        or_dash(row.mean, percent),
        or_dash(row.sd, percent),
        range(row.mean_95_low, row.mean_95_high, percent),
        range(row.run_95_low, row.run_95_high, percent),
    );
    line.trim_end().into()
}

fn pair_line(row: &PairRow, name: usize) -> String {
    let PairRow { setting_a, setting_b, difference } = row;
    let [setting_a, setting_b] = [setting_a, setting_b].map(|name| readable(name));
    let outcomes = format!("{}/{}/{}", difference.wins, difference.ties, difference.losses);
    let [mean, range, p] = difference_cells(difference);
    format!("{setting_a:name$} − {setting_b:name$} {mean:>6} {range:>16} {outcomes:>7} {p}")
}

/// The mean difference in percentage points, its interval and its adjusted p-value.
fn difference_cells(difference: &Difference) -> [String; 3] {
    [
        or_dash(difference.mean_difference, points),
        range(difference.difference_95_low, difference.difference_95_high, points),
        or_dash(difference.sign_flip_p_holm, p_text),
    ]
}

fn range(low: Option<f64>, high: Option<f64>, text: fn(f64) -> String) -> String {
    or_dash(low.zip(high), |(low, high)| format!("{} to {}", text(low), text(high)))
}

/// `text` in lines of at most `width` characters, broken at spaces, but not beside an equals sign.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in unbroken(text).split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            *line = word.into();
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            *line += " ";
            *line += word;
        } else {
            lines.push(word.into());
        }
    }
    lines.iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_measured_in_characters() {
        assert_eq!(wrap("λ = 0.1 is better", 7), ["λ = 0.1", "is", "better"]);
        assert_eq!(wrap("than λ = 0.1", 8), ["than", "λ = 0.1"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
