//! `onelayer train`.

use std::cell::OnceCell;
use std::env;
use std::io::{Write, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::files::folder::Folder;
use onelayer::hyperparameters::{Decay, Loss, Schedule, Setting};
use onelayer::network::Parameters;
use onelayer::page;
use onelayer::train::checkpoint::Job;
use onelayer::train::config::Config;
use onelayer::train::provenance::JobProvenance;
use onelayer::train::results::{Results, files_of};
use onelayer::train::{Run, Timings, outcomes_of, random_start};

use super::common::checkpoints::Keeper;
use super::common::{data, input, observer, out, signals, table};
use super::loss_parser;

const EXAMPLES: &str = "\
Examples:
  onelayer train
  onelayer train --dataset sample --epochs 5 --out /tmp/results
  onelayer train --lambda 0.1 --eta 0.001 --export npz
  onelayer train --init start.npz --no-shuffle --csv-dialect semicolon";

/// What `train` takes.
#[derive(Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Take the options that are not given here from this TOML file, such as the best.toml of `search`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Weight of the penalty λ·Σ weight²; with --lambda or --eta, one setting is trained instead of the report's
    /// four [default: 0]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Learning rate η [default: 0.001]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// What is minimised besides: the cross-entropy of a softmax, or the binary cross-entropy of ten sigmoids
    /// [default: softmax]
    #[arg(long, value_name = "LOSS", value_parser = loss_parser())]
    loss: Option<Loss>,
    /// Multiply the learning rate with --decay-factor after each so many epochs
    #[arg(long, value_name = "EPOCHS", requires = "decay_factor")]
    decay_every: Option<usize>,
    /// What --decay-every multiplies with, between 0 and 1
    #[arg(long, value_name = "FACTOR", requires = "decay_every", allow_negative_numbers = true)]
    decay_factor: Option<f64>,
    /// Probability that an image is mirrored left to right, decided anew in each epoch [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    flip: Option<f64>,
    /// Passes over the training images [default: 40]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images of a mini-batch; the last one of an epoch may have fewer [default: 100]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Seed of the random start, of the shuffling and of the flips [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep the images in file order instead of shuffling them at each epoch
    #[arg(long)]
    no_shuffle: bool,
    /// Start from this file: an .npz with W (10,3072) and optionally b (10), or a model of this program
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    #[command(flatten)]
    data: data::DataArgs,
    #[command(flatten)]
    out: out::OutArgs,
    /// Write each model in this format besides
    #[arg(long, value_enum, value_name = "FORMAT")]
    export: Option<Export>,
    /// Keep the training in a checkpoint after every N epochs [default: 1 if it takes more than 30 s, otherwise none]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<NonZeroUsize>,
    /// Go on from the checkpoint of a training that was stopped, to the same results; without one, begin anew
    #[arg(long)]
    resume: bool,
    /// Threads; the results don't depend on it [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the closing table alone
    #[arg(long)]
    quiet: bool,
    /// Say at the end how long loading, training, evaluating, writing and the page took
    #[arg(long)]
    timings: bool,
}

/// A format of models for other programs.
#[derive(Clone, Copy, ValueEnum)]
enum Export {
    /// Arrays W, b, mean and std for NumPy; --init reads it back
    Npz,
}

/// Trains, writes the results, prints the table.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let args = &args.clone().with_config()?;
    // Whatever can be refused is refused before the data are fetched.
    let settings = args.settings()?;
    let schedule = args.schedule();
    schedule.validate(usize::MAX)?;
    super::use_threads(args.threads)?;
    let start = args.start()?;
    signals::listen()?;
    let folder = args.out.open()?;

    let began = Instant::now();
    let loaded = args.data.load(args.quiet)?;
    let splits = &loaded.splits;
    schedule.validate(splits.train.len())?;
    let normalizer = Normalizer::fit(&splits.train)?;
    let load = began.elapsed();

    let keeper = Keeper {
        folder: &folder,
        job: Job {
            settings: &settings,
            schedule: &schedule,
            start: &start,
            splits,
            names: &loaded.names,
            normalizer: &normalizer,
        },
        every: args.checkpoint_every.map(NonZeroUsize::get),
        quiet: args.quiet,
        checkpoints: OnceCell::new(),
    };
    let mut trainer = keeper.begin(args.resume)?;
    let mut observer = observer::for_terminal(&settings, schedule.epochs, args.quiet);
    keeper.train(&mut trainer, observer.as_mut())?;
    drop(observer);
    let (runs, mut timings) = trainer.finish();
    let began = Instant::now();
    let test = outcomes_of(&runs, &splits.test, &normalizer)?;
    timings.evaluate += began.elapsed();

    let began = Instant::now();
    let results = Results {
        reported: &loaded.reported(&settings, &schedule),
        runs: &runs,
        test: &test,
        schedule,
        normalizer: &normalizer,
        splits: &loaded.names,
        provenance: &JobProvenance::collect(&command(), schedule.seed, &loaded.files),
        npz: args.export.is_some(),
    };
    write(&folder, &results)?;
    keeper.remove()?;
    let write = began.elapsed();
    let began = Instant::now();
    let page = write_page(&folder);
    let show = began.elapsed();
    // Nobody to read the table is no failure: the files are there.
    let _ = stdout().write_all(table::results(&results.summary()).as_bytes());
    report_divergence(&runs);
    if args.timings {
        let Timings { train, evaluate } = timings;
        say!(
            "load {:.2} s, train {:.2} s, evaluate {:.2} s, write {:.2} s, page {:.2} s",
            load.as_secs_f64(),
            train.as_secs_f64(),
            evaluate.as_secs_f64(),
            write.as_secs_f64(),
            show.as_secs_f64()
        );
    }
    page.context("the results are written, but not their page")?;
    Ok(ExitCode::SUCCESS)
}

/// The command line, without the path of the program.
fn command() -> Vec<String> {
    let arguments = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once(env!("CARGO_BIN_NAME").into()).chain(arguments).collect()
}

impl Args {
    /// With what the file of --config says where no argument says anything.
    fn with_config(self) -> anyhow::Result<Self> {
        let Some(path) = &self.config else {
            return Ok(self);
        };
        let text = input::read_text(path).with_context(|| format!("cannot read --config {}", path.display()))?;
        let config = Config::from_toml(&text, path)?;
        ensure!(
            config.decay_every.is_some() == config.decay_factor.is_some(),
            "{}: decay_every and decay_factor belong together, but one of them is missing",
            path.display()
        );
        let data = self.data.or(&config);
        // A decay of the command line replaces that of the file as a whole.
        let (decay_every, decay_factor) = match self.decay_every {
            Some(_) => (self.decay_every, self.decay_factor),
            None => (config.decay_every, config.decay_factor),
        };
        Ok(Self {
            lambda: self.lambda.or(config.lambda),
            eta: self.eta.or(config.eta),
            loss: self.loss.or(config.loss),
            decay_every,
            decay_factor,
            flip: self.flip.or(config.flip),
            epochs: self.epochs.or(config.epochs),
            batch_size: self.batch_size.or(config.batch_size),
            seed: self.seed.or(config.seed),
            data: data.with_context(|| format!("cannot use --config {}", path.display()))?,
            ..self
        })
    }

    /// The report's four settings, or the one that the arguments name, with the loss and the decay that they name.
    fn settings(&self) -> anyhow::Result<Vec<Setting>> {
        let settings = if self.lambda.is_none() && self.eta.is_none() {
            Setting::REPORT.to_vec()
        } else {
            vec![Setting::new(self.lambda.unwrap_or(0.0), self.eta.unwrap_or(Setting::DEFAULT_ETA))?]
        };
        let decay = self.decay_every.zip(self.decay_factor);
        let decay = decay.map(|(e, f)| Decay::new(e, f)).transpose()?;
        let loss = self.loss.unwrap_or_default();
        let named = |s: &Setting| s.with_loss(loss).with_decay(decay);
        Ok(settings.iter().map(named).collect())
    }

    fn schedule(&self) -> Schedule {
        let report = Schedule::REPORT;
        Schedule {
            epochs: self.epochs.unwrap_or(report.epochs),
            batch_size: self.batch_size.unwrap_or(report.batch_size),
            seed: self.seed.unwrap_or(report.seed),
            shuffle: !self.no_shuffle,
            flip: self.flip.unwrap_or(report.flip),
        }
    }

    fn start(&self) -> anyhow::Result<Parameters> {
        let dims = onelayer::dataset::cifar10::DIMS;
        Ok(match &self.init {
            Some(path) => input::read_start(path)?,
            None => random_start(dims, self.schedule().seed),
        })
    }
}

/// Writes the files of the job. What an earlier one left of the same settings and this one has not, such as the weights of
/// a setting that now diverged, would contradict the new curves, so it goes.
fn write(folder: &Folder, results: &Results) -> anyhow::Result<()> {
    let files = results.files(folder.dialect())?;
    folder.write(&files)?;
    let is_old = |name: &String| files.iter().all(|(written, _)| written != name);
    for run in results.runs {
        for name in files_of(run.setting).iter().filter(|name| is_old(name)) {
            folder.remove(name)?;
        }
    }
    Ok(())
}

/// Puts the folder on one page.
fn write_page(folder: &Folder) -> onelayer::Result<()> {
    let page = page::page(folder.path())?;
    folder.write(&[(page::FILE.into(), page)])
}

fn report_divergence(runs: &[Run]) {
    for run in runs {
        if let Some(divergence) = &run.divergence {
            let name = run.setting.name();
            say!("{name}: {divergence}; a smaller --eta helps");
        }
    }
}
