//! `onelayer replicate`.

use std::process::ExitCode;

use anyhow::Context;
use onelayer::Error;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::files::csv;
use onelayer::files::folder::Folder;
use onelayer::hyperparameters::{Schedule, Setting};
use onelayer::replicate::table::{RUNS, files};
use onelayer::replicate::{Job, Replication, ReplicationRow};
use onelayer::shard::Shard;
use onelayer::statistics::percent;
use onelayer::train::Data;

use super::common::observer::Work;
use super::common::{data, out, shard, signals};
use super::replication;

const EXAMPLES: &str = "\
Examples:
  onelayer replicate --seeds 20
  onelayer replicate --shard 1/4 --out shard1";

/// What `replicate` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Seeds to train every setting with
    #[arg(long, value_name = "N", default_value_t = 20)]
    seeds: usize,
    /// The first of the seeds, which follow one another
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first_seed: u64,
    /// Setting to train, such as 0.1,0.001; can be given again [default: the report's four]
    #[arg(long = "setting", value_name = "LAMBDA,ETA", value_parser = setting)]
    settings: Vec<Setting>,
    /// Passes over the training images
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.epochs)]
    epochs: usize,
    /// Images of a mini-batch; the last one of an epoch may have fewer
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.batch_size)]
    batch_size: usize,
    #[command(flatten)]
    data: data::DataArgs,
    #[command(flatten)]
    shard: shard::ShardArgs,
    /// Go on with the replication whose table is there: the seeds in it are not trained again
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    out: out::OutArgs,
    /// Threads; the results don't depend on it [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the closing tables and words alone
    #[arg(long)]
    quiet: bool,
}

/// A setting as `LAMBDA,ETA`.
fn setting(text: &str) -> onelayer::Result<Setting> {
    let numbers = text.split_once(',');
    let numbers = numbers.and_then(|(l, e)| Some((l.parse().ok()?, e.parse().ok()?)));
    let (lambda, eta) = numbers.ok_or_else(|| Error::invalid("setting", "λ and η, such as 0.1,0.001", text))?;
    Setting::new(lambda, eta)
}

/// Trains the seeds that are left; when all are there, says what they show.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = match &args.settings[..] {
        [] => Setting::REPORT.to_vec(),
        given => given.to_vec(),
    };
    let schedule = Schedule { epochs: args.epochs, batch_size: args.batch_size, ..Schedule::REPORT };
    // Whatever can be refused is refused before the data are fetched; what they are is not known until then.
    let unknown = Default::default();
    let job = Job {
        settings: &settings,
        schedule,
        first_seed: args.first_seed,
        seeds: args.seeds,
        shard: args.shard.shard,
        splits: &unknown,
    };
    job.validate()?;
    schedule.validate(usize::MAX)?;
    super::use_threads(args.threads)?;
    signals::listen()?;
    let folder = args.out.open()?;

    let loaded = args.data.load(args.quiet)?;
    let splits = &loaded.splits;
    schedule.validate(splits.train.len())?;
    let normalizer = Normalizer::fit(&splits.train)?;
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let mut replicating = Replicating { job: Job { splits: &loaded.names, ..job }, folder: &folder, rows: Vec::new() };
    if args.resume {
        replicating.read(args.quiet)?;
    }
    let mut work = Work::new(replicating.batches(splits.train.len()), args.quiet);
    work.members = settings.len();
    for seed in replicating.left() {
        match replicating.job.train(seed, data, &splits.test, &mut work) {
            Ok(rows) => replicating.add(rows)?,
            Err(Error::Interrupted) => return Err(replicating.stopped()),
            Err(error) => return Err(error.into()),
        }
        work.say(&replicating.progress(seed));
    }
    drop(work);
    replicating.finish()
}

/// A replication, as far as it has got.
struct Replicating<'a> {
    job: Job<'a>,
    folder: &'a Folder,
    /// By seed, each with the settings in their order.
    rows: Vec<ReplicationRow>,
}

impl Replicating<'_> {
    fn table(&self) -> String {
        self.job.shard.file_name(RUNS)
    }

    /// Takes over the seeds of the table that is there, if one is.
    fn read(&mut self, quiet: bool) -> anyhow::Result<()> {
        let path = self.folder.path().join(self.table());
        if path.exists() {
            let bytes = super::common::input::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let rows = csv::from_csv(&bytes, &path)?;
            self.rows = self.job.adopt(rows).with_context(|| {
                format!("{} can't be gone on with; without --resume, it is replaced", path.display())
            })?;
        }
        if !quiet {
            let (done, all) = (self.done(), self.job.seeds_of_shard().len());
            say!("{}: {done} of {all} seeds are there", path.display());
        }
        Ok(())
    }

    fn done(&self) -> usize {
        self.rows.len() / self.job.settings.len()
    }

    /// The seeds of this shard that are not done.
    fn left(&self) -> Vec<u64> {
        let done = |seed: &u64| self.rows.iter().any(|row| row.hyperparameters.seed == *seed);
        let mut seeds = self.job.seeds_of_shard();
        seeds.retain(|seed| !done(seed));
        seeds
    }

    /// The batches that are left, those of each setting counted, with so many training examples.
    fn batches(&self, examples: usize) -> usize {
        let Schedule { epochs, batch_size, .. } = self.job.schedule;
        self.left().len() * self.job.settings.len() * epochs * examples.div_ceil(batch_size)
    }

    /// Takes the rows of one seed, and writes the table anew.
    fn add(&mut self, rows: Vec<ReplicationRow>) -> anyhow::Result<()> {
        self.rows.extend(rows);
        self.rows.sort_by_key(|row| row.hyperparameters.seed);
        let table = csv::to_csv(&self.rows, self.folder.dialect());
        Ok(self.folder.write(&[(self.table(), table)])?)
    }

    /// How far the replication is, and what the last seed gave.
    fn progress(&self, seed: u64) -> String {
        let rows = self.rows.iter().filter(|row| row.hyperparameters.seed == seed);
        let accuracies = rows.map(|row| match row.test_accuracy {
            None => "diverged".into(),
            Some(accuracy) => format!("{} %", percent(accuracy)),
        });
        let accuracies: Vec<String> = accuracies.collect();
        let all = self.job.seeds_of_shard().len();
        format!("{} of {all} seeds: {}", self.done(), accuracies.join(", "))
    }

    /// Leaves what can be said so far; the error says how to go on.
    fn stopped(&self) -> anyhow::Error {
        let written = self.write_findings();
        let all = self.job.seeds_of_shard().len();
        match written.context("stopped, and cannot write the results") {
            Err(error) => error,
            Ok(()) => Error::Stopped { after: format!("{} of {all} seeds", self.done()) }.into(),
        }
    }

    fn write_findings(&self) -> anyhow::Result<()> {
        if self.job.shard == Shard::WHOLE && !self.rows.is_empty() {
            self.folder.write(&files(&Replication::new(&self.rows)?, self.folder.dialect()))?;
        }
        Ok(())
    }

    /// Writes and prints what a whole job shows; says what to do with a part of one.
    fn finish(&self) -> anyhow::Result<ExitCode> {
        if self.job.shard == Shard::WHOLE {
            self.write_findings()?;
            replication::print(&Replication::new(&self.rows)?);
        } else {
            show!(
                "Shard {} is done, {} of the {} seeds. They are in {};",
                self.job.shard,
                self.done(),
                self.job.seeds,
                self.folder.path().join(self.table()).display()
            );
            show!("`onelayer merge` joins the tables of all shards.");
        }
        Ok(ExitCode::SUCCESS)
    }
}
