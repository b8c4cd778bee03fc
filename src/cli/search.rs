//! `onelayer search`.

use std::process::ExitCode;

use onelayer::hyperparameters::{Decay, Loss, Schedule};
use onelayer::search::{self, SearchPlan, Space};
use onelayer::shard::Shard;
use onelayer::statistics::count;
use onelayer::train::config::Config;

use super::common::arguments::listed_number;
use super::common::data::DataArgs;
use super::common::observer::Work;
use super::common::out::OutArgs;
use super::common::signals;
use super::loss_parser;

const AFTER_HELP: &str = "\
Examples:
  onelayer search
  onelayer search --resume
  onelayer search --batch-size 50,100,200 --eta 0.003,0.01,0.03
  onelayer search --random 40 --lambda 0.0001,0.1 --out random";

// The other commands that have these options have other defaults.
const TRAIN_BATCHES: &str = "Batches of CIFAR-10 to train on, such as 1,3,4 [default: 1,2,3,4,5]";
const VALIDATION_SIZE: &str = "Hold out this many training images for validation, the same number from each class [default: \
                               5000, or 300 of the sample, unless --validation-batches is given]";
const VALIDATION_BATCHES: &str = "Batches of CIFAR-10 to validate on instead, which --train-batches must not have";

/// Arguments of `search`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
#[command(mut_arg("train_batches", |argument| argument.help(TRAIN_BATCHES)))]
#[command(mut_arg("validation_size", |argument| argument.help(VALIDATION_SIZE)))]
#[command(mut_arg("validation_batches", |argument| argument.help(VALIDATION_BATCHES)))]
pub struct Args {
    /// Values of λ (weight of the penalty) to try
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "0.0003,0.001,0.003,0.01",
        allow_negative_numbers = true,
        value_parser = listed_number
    )]
    lambda: Vec<f64>,
    /// Values of η (learning rate) to try
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "0.003,0.01,0.03,0.1",
        allow_negative_numbers = true,
        value_parser = listed_number
    )]
    eta: Vec<f64>,
    /// Losses to try
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "softmax,bce",
        value_parser = loss_parser()
    )]
    loss: Vec<Loss>,
    /// Decays of the learning rate to try: none; the epochs between two steps and the factor, such as 10x0.3; or, as
    /// --decay-on-plateau of `train`, such as plateau5x0.1 [default: 10x0.3, none with at most 10 epochs]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = decay)]
    decay: Option<Vec<Option<Decay>>>,
    /// Probabilities of a flip to try
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0,0.5", allow_negative_numbers = true, value_parser = listed_number)]
    flip: Vec<f64>,
    /// Mini-batch sizes to try
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "100")]
    batch_size: Vec<usize>,
    /// Try N random combinations instead of all, with λ and η log-uniform between their smallest and largest value
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// Passes over the training images, for each trial and for retraining the best
    #[arg(long, value_name = "N", default_value_t = 30)]
    epochs: usize,
    /// Seed of the start, the shuffling, the flips and --random
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.seed)]
    seed: u64,
    #[command(flatten)]
    data: DataArgs,
    /// Train only shard I of N of the trials, for N processes or machines; `onelayer merge` joins their tables
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE, hide_default_value = true)]
    shard: Shard,
    /// Resume the search in the results folder: trials in its table are not trained again
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    out: OutArgs,
    /// Number of threads; the results do not depend on it [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print only the closing text
    #[arg(long)]
    quiet: bool,
}

fn decay(text: &str) -> onelayer::Result<Option<Decay>> {
    if text == "none" { Ok(None) } else { text.parse().map(Some) }
}

/// Trains the trials that are left, and retrains the best of a whole search.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let data = args.data.clone().or_of_search();
    let everything = data.everything();
    // Invalid arguments are refused before the data are downloaded.
    data.check()?;
    data.check_validation("a search")?;
    plan.validate(data.training_images())?;
    Config { hyperparameters: plan.hyperparameters(&plan.trials[0]), ..Config::default() }.to_toml(&[])?;
    super::use_threads(args.threads)?;
    let folder = args.out.open()?;
    signals::listen()?;

    let loaded = data.load(args.quiet)?;
    let mut work = Work::new(args.quiet);
    let found = search::run(&plan, &loaded.splits, &loaded.names, &folder, args.resume, &mut work)?;
    drop(loaded);
    if args.shard != Shard::WHOLE {
        drop(work);
        let table = folder.path().join(args.shard.table("search"));
        show!("Shard {} is done ({}): {}", args.shard, count(found.rows.len(), "trial"), table.display());
        show!("When all shards are done, join their tables with `onelayer merge`. Then the");
        show!("same search with --resume and without --shard retrains the best setting.");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(best) = search::best(&found.rows) else {
        drop(work);
        show!("Every trial diverged; try smaller learning rates (--eta).");
        return Ok(ExitCode::FAILURE);
    };
    // A decay on plateaus needs the images for validation in retraining too.
    let images = if best.hyperparameters.setting()?.needs_validation() { data } else { everything };
    let loaded = images.load(args.quiet)?;
    let words = found.retrain(best, &loaded.splits, &loaded.names, images.describe(), &folder, &mut work)?;
    drop(work);
    for line in words {
        show!("{line}");
    }
    show!("`onelayer train --config {}` trains the best setting again.", folder.path().join("best.toml").display());
    args.out.say_results(false, args.quiet);
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The decays to try; the default only where it has an effect.
    fn decays(&self) -> onelayer::Result<Vec<Option<Decay>>> {
        let name = "the epochs of --decay";
        let has_effect = |decay: Decay| decay.check_effect(self.epochs, [name; 2]);
        let Some(decays) = &self.decay else {
            let default = Decay::step(10, 0.3)?;
            return Ok(vec![Some(default).filter(|decay| has_effect(*decay).is_ok())]);
        };
        // Too few epochs are refused as such.
        if self.epochs > 0 {
            decays.iter().flatten().try_for_each(|decay| has_effect(*decay))?;
        }
        Ok(decays.clone())
    }

    fn plan(&self) -> anyhow::Result<SearchPlan> {
        let space = Space {
            lambdas: self.lambda.clone(),
            etas: self.eta.clone(),
            losses: self.loss.clone(),
            decays: self.decays()?,
            batch_sizes: self.batch_size.clone(),
            flips: self.flip.clone(),
        };
        let trials = match self.random {
            Some(count) => space.random(count, self.seed)?,
            None => space.grid()?,
        };
        let schedule = Schedule { epochs: self.epochs, seed: self.seed, ..Schedule::REPORT };
        Ok(SearchPlan { trials, schedule, shard: self.shard })
    }
}
