//! `onelayer train`.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use onelayer::Error;
use onelayer::dataset::cifar10::DIMS;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::files::folder::Folder;
use onelayer::hyperparameters::{Decay, Hyperparameters, Loss, Origin, Schedule, Setting, Shuffle};
use onelayer::network::Phases;
use onelayer::page;
use onelayer::statistics::count;
use onelayer::train::checkpoint;
use onelayer::train::config::Config;
use onelayer::train::{self, Job, Options, Start, Trained};

use super::common::data::DataArgs;
use super::common::{input, observer, out, rng, rules, signals, table};
use super::loss_parser;

const AFTER_HELP: &str = "\
Examples:
  onelayer train
  onelayer train --dataset sample --epochs 5 --out /tmp/results
  onelayer train --lambda 0.1 --eta 0.001 --export npz
  onelayer train --init start.npz --no-shuffle --csv-dialect semicolon";

/// The arguments of `train`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Take options that are not given here from this TOML file, such as the best.toml of `search`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Weight of the penalty λ·Σ weight²; with --lambda or --eta, one setting is trained instead of the report's
    /// four [default: 0]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Learning rate η [default: 0.001]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// Loss: the cross-entropy of a softmax, or the binary cross-entropy of ten sigmoids, a mean over the ten, so that 10 η and
    /// λ / 10 take the steps of η and λ [default: softmax]
    #[arg(long, value_name = "LOSS", value_parser = loss_parser())]
    loss: Option<Loss>,
    /// Multiply the learning rate by --decay-factor every EPOCHS epochs
    #[arg(long, value_name = "EPOCHS")]
    decay_every: Option<usize>,
    /// Factor for --decay-every, between 0 and 1
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    decay_factor: Option<f64>,
    /// Multiply the learning rate by FACTOR, 0.1 by default, whenever the validation loss has not been below its lowest value
    /// for PATIENCE epochs
    #[arg(long, value_name = "PATIENCE[,FACTOR]", value_parser = plateau)]
    decay_on_plateau: Option<Decay>,
    /// Probability that an image is mirrored left to right, drawn again in each epoch [default: 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    flip: Option<f64>,
    /// Passes over the training images [default: 40]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per mini-batch; the last one of an epoch may have fewer [default: 100]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Seed of the random start, the shuffling and the flips [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    rng: rng::RngArgs,
    /// Keep the images in file order instead of shuffling them at each epoch
    #[arg(long)]
    no_shuffle: bool,
    /// Start from this file: an .npz with W (10,3072) and optionally b (10), or a model of this program
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    out: out::OutArgs,
    /// Also write each model in this format
    #[arg(long, value_enum, value_name = "FORMAT")]
    export: Option<Export>,
    /// Save a checkpoint after every N epochs [default: 1 if the training takes more than 30 s, otherwise none]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<NonZeroUsize>,
    /// Resume a stopped run from its checkpoint, with the same results; start over if there is none
    #[arg(long)]
    resume: bool,
    /// Number of threads; the results do not depend on it [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print only the final table
    #[arg(long)]
    quiet: bool,
    /// Print the time of loading, training, evaluating, writing and the page, and the phases of training and evaluation
    #[arg(long)]
    timings: bool,
}

/// A model format of other programs.
#[derive(Clone, Copy, ValueEnum)]
enum Export {
    /// Arrays W, b, mean and std for NumPy; --init reads it back
    Npz,
}

/// Parses a decay on plateaus, `PATIENCE` or `PATIENCE,FACTOR`.
fn plateau(text: &str) -> onelayer::Result<Decay> {
    let (patience, factor) = match text.split_once(',') {
        Some((patience, factor)) => (patience, factor.parse().ok()),
        None => (text, Some(Decay::PLATEAU_FACTOR)),
    };
    let expected = "at least 1 epoch and, if it is given, a factor between 0 and 1, such as 5 or 5,0.1";
    let numbers = patience.parse().ok().zip(factor);
    let decay = numbers.and_then(|(patience, factor)| Decay::plateau(patience, factor).ok());
    decay.ok_or_else(|| Error::invalid("decay-on-plateau", expected, text))
}

/// Trains, writes the results and their page, and prints the table.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Invalid arguments are refused before the data are fetched.
    let config = args.config()?;
    let settings = args.settings(&config)?;
    let schedule = config.hyperparameters.schedule();
    let images = args.data.clone().or(&config.images);
    super::use_threads(args.threads)?;
    let expected = &config.hyperparameters.start;
    let start = match &args.init {
        Some(path) => Start::from_file(input::read_start(path)?),
        None => Start::drawn(expected, DIMS, schedule.seed),
    };
    ensure!(
        [&Origin::Random, &Origin::Numpy, &start.origin].contains(&expected),
        "the configuration was trained from the start {expected}: pass that file with --init, which is {} here",
        start.origin
    );
    args.check(&schedule, &settings, &images)?;
    signals::listen()?;
    let folder = args.out.open()?;
    args.advise(&config, &settings, &folder);

    let began = Instant::now();
    let loaded = images.load(args.quiet)?;
    schedule.validate(loaded.splits.train.len())?;
    let normalizer = Normalizer::fit(&loaded.splits.train)?;
    let load = began.elapsed();
    let job = Job {
        settings: &settings,
        schedule: &schedule,
        start: &start,
        splits: &loaded.splits,
        names: &loaded.names,
        files: &loaded.files,
        normalizer: &normalizer,
    };
    let mut observer = observer::for_terminal(&settings, schedule.epochs, args.quiet);
    let options = args.options();
    let trained = train::run(&job, &folder, &options, observer.as_mut())?;
    drop(observer);
    // The page needs memory too.
    drop(loaded);
    let began = Instant::now();
    let page = page::page(folder.path()).and_then(|page| folder.write(&[(page::FILE.into(), page)]));
    args.print(&trained, options.phases.as_deref(), load, began.elapsed());
    page.context("the results are written, but not their page")?;
    args.out.say_results(true, args.quiet);
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The file of --config, overridden by the other arguments.
    fn config(&self) -> anyhow::Result<Config> {
        let config = match &self.config {
            None => Config::default(),
            Some(path) => Config::from_toml(&input::read_text(path, "--config")?, path)?,
        };
        let file = match self.decay()? {
            None => config.hyperparameters,
            given => config.hyperparameters.with_decay(given),
        };
        let shuffle = if self.no_shuffle { Some(Shuffle::None) } else { self.rng.shuffle() };
        let hyperparameters = Hyperparameters {
            lambda: self.lambda.unwrap_or(file.lambda),
            eta: self.eta.unwrap_or(file.eta),
            batch_size: self.batch_size.unwrap_or(file.batch_size),
            epochs: self.epochs.unwrap_or(file.epochs),
            seed: self.seed.unwrap_or(file.seed),
            loss: self.loss.unwrap_or(file.loss),
            decay_every: file.decay_every,
            decay_factor: file.decay_factor,
            decay_patience: file.decay_patience,
            flip: self.flip.unwrap_or(file.flip),
            shuffle: shuffle.unwrap_or(file.shuffle),
            start: self.rng.start().unwrap_or(file.start),
        };
        Ok(Config { hyperparameters, ..config })
    }

    /// The decay that the arguments ask for.
    fn decay(&self) -> onelayer::Result<Option<Decay>> {
        let steps = self.decay_every.zip(self.decay_factor);
        let steps = steps.map(|(every, factor)| Decay::step(every, factor)).transpose()?;
        Ok(self.decay_on_plateau.or(steps))
    }

    /// The setting in `config` or, if neither λ nor η is given, the report's four with the loss and the decay in it.
    fn settings(&self, config: &Config) -> onelayer::Result<Vec<Setting>> {
        let given = self.lambda.is_some() || self.eta.is_some();
        if given || ["lambda", "eta"].iter().any(|&key| config.keys.contains(key)) {
            return Ok(vec![config.hyperparameters.setting()?]);
        }
        let with = |report: &Setting| {
            let (lambda, eta) = (report.lambda(), report.eta());
            Hyperparameters { lambda, eta, ..config.hyperparameters.clone() }.setting()
        };
        Setting::REPORT.iter().map(with).collect()
    }

    /// Checks the training before anything is downloaded, and that no option is without effect on it.
    fn check(&self, schedule: &Schedule, settings: &[Setting], images: &DataArgs) -> anyhow::Result<()> {
        images.check()?;
        schedule.validate(images.training_images())?;
        if settings.iter().any(|setting| setting.needs_validation()) {
            images.check_validation("a decay on plateaus of the validation loss")?;
        }
        if let Some(every) = self.checkpoint_every.filter(|every| every.get() > schedule.epochs) {
            let expected = format!("at most {}, the number of epochs", schedule.epochs);
            bail!(Error::invalid("checkpoint-every", expected, every));
        }
        match self.decay()? {
            Some(decay) => decay.check_effect(schedule.epochs, ["decay-every", "decay-on-plateau"])?,
            // --epochs may make a training of a file shorter.
            None if self.epochs.is_some() => {}
            None => settings.iter().try_for_each(|setting| setting.check_decay(schedule.epochs))?,
        }
        // Otherwise the start or the order is random.
        if self.init.is_none() || schedule.shuffle != Shuffle::None {
            return Ok(());
        }
        let because = "the start is that of --init and the images are in file order";
        rules::check_unused(&[("--rng", self.rng.start().is_some())], because)?;
        let is_unused = self.seed.is_some() && schedule.flip == 0.0;
        rules::check_unused(&[("--seed", is_unused)], &format!("{because} and not mirrored"))
    }

    fn options(&self) -> Options {
        let arguments = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
        Options {
            checkpoint_every: self.checkpoint_every.map(NonZeroUsize::get),
            resume: self.resume,
            npz: self.export.is_some(),
            // Without the path of the program.
            command: std::iter::once(env!("CARGO_BIN_NAME").into()).chain(arguments).collect(),
            phases: self.timings.then(Arc::default),
        }
    }

    /// Says how η and the loss belong together, if only the loss is chosen, and that a decay of the file is without effect in a
    /// training that --epochs makes shorter.
    fn advise(&self, config: &Config, settings: &[Setting], folder: &Folder) {
        if self.quiet {
            return;
        }
        if let Some(path) = &self.config {
            input::advise_about_config(path, config, &self.data);
        }
        if settings.iter().any(|setting| setting.check_decay(config.hyperparameters.epochs).is_err()) {
            let epochs = count(config.hyperparameters.epochs, "epoch");
            say!("note: the decay of --config has no effect within {epochs}");
        }
        let has_eta = self.eta.is_some() || config.keys.contains("eta");
        let is_resumed = self.resume && folder.path().join(checkpoint::NAME).exists();
        if config.hyperparameters.loss == Loss::Bce && !has_eta && !is_resumed {
            say!(
                "note: the loss of the sigmoids is a mean over ten classes: 10 η and λ / 10 take the\n\
                 steps of a softmax, such as --eta 0.01 --lambda 0.01 for 0.001 and 0.1"
            );
        }
    }

    /// Prints the table, divergences and, if wanted, timings.
    fn print(&self, trained: &Trained, phases: Option<&Phases>, load: Duration, page: Duration) {
        super::print(table::results(&trained.summary).as_bytes());
        for run in &trained.runs {
            if let Some(divergence) = &run.divergence {
                // The penalty alone multiplies the weights by 1 − 2 η λ in each step.
                let is_of_penalty = run.setting.eta() * run.setting.lambda() > 1.0;
                let option = if is_of_penalty { "--lambda" } else { "--eta" };
                say!("{}: {divergence}; try a smaller {option}", run.setting.title());
            }
        }
        if let Some(phases) = phases {
            let Trained { timings, write, .. } = trained;
            let [load, train, evaluate, write, page] =
                [load, timings.train, timings.evaluate, *write, page].map(|time| time.as_secs_f64());
            say!(
                "load {load:.2} s, train {train:.2} s, evaluate {evaluate:.2} s, write {write:.2} s, page {page:.2} s"
            );
            let shares = phases.shares(timings.train + timings.evaluate);
            let [normalise, forward, losses, backward, update] = shares;
            let rest = 100.0 - shares.iter().sum::<f64>();
            say!(
                "training and evaluation: normalising {normalise:.1} %, forward {forward:.1} %, losses {losses:.1} %,"
            );
            say!("backward {backward:.1} %, update {update:.1} %, waiting and everything else {rest:.1} %");
        }
    }
}
