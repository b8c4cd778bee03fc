//! `onelayer search`.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use onelayer::Error;
use onelayer::dataset::Dataset;
use onelayer::dataset::cifar10::DIMS;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::evaluate::Scores;
use onelayer::files::csv;
use onelayer::files::folder::Folder;
use onelayer::hyperparameters::{Decay, Hyperparameters, Loss, Origin, Schedule};
use onelayer::search::table::{SearchRow, Validation, figure, outcomes};
use onelayer::search::{Outcome, Plan, Space, best};
use onelayer::shard::Shard;
use onelayer::statistics::{percent, standard_error};
use onelayer::train::config::Config;
use onelayer::train::model::ModelFile;
use onelayer::train::{Data, random_start, scores_of, train_unevaluated};

use super::common::data::{DataArgs, Loaded};
use super::common::observer::Work;
use super::common::out::OutArgs;
use super::common::shard::ShardArgs;
use super::common::{input, signals};
use super::loss_parser;

const EXAMPLES: &str = "\
Examples:
  onelayer search
  onelayer search --resume
  onelayer search --random 40 --lambda 0.0001,0.1 --out random";

/// What `search` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Weights λ of the penalty to try
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "0.0003,0.001,0.003,0.01",
        allow_negative_numbers = true
    )]
    lambda: Vec<f64>,
    /// Learning rates η to try
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "0.003,0.01,0.03,0.1",
        allow_negative_numbers = true
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
    /// Decays of the learning rate to try: none, or epochs and factor, such as 10x0.3
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "10x0.3",
        value_parser = fall
    )]
    decay: Vec<Fall>,
    /// Probabilities of a flip to try
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0,0.5", allow_negative_numbers = true)]
    flip: Vec<f64>,
    /// Mini-batch sizes to try
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "100")]
    batch_size: Vec<usize>,
    /// Try N combinations drawn at random in place of all, λ and η log-uniformly between the smallest and the largest
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// Passes over the training images, of each trial and of the last training
    #[arg(long, value_name = "N", default_value_t = 30)]
    epochs: usize,
    /// Seed of the start, of the shuffling, of the flips and of --random
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.seed)]
    seed: u64,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    shard: ShardArgs,
    /// Go on with the search whose table is there: its trials are not trained again; without one, begin anew
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    out: OutArgs,
    /// Threads; the results don't depend on it [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the closing words alone
    #[arg(long)]
    quiet: bool,
}

/// How a learning rate falls, if it does.
#[derive(Clone, Copy)]
struct Fall(Option<Decay>);

fn fall(text: &str) -> onelayer::Result<Fall> {
    Ok(Fall(match text {
        "none" => None,
        _ => Some(text.parse()?),
    }))
}

/// Tries the trials that are left; when all are done, trains the best setting on everything.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Whatever can be refused is refused before the data are fetched.
    let plan = args.plan()?;
    plan.validate(usize::MAX)?;
    let data = args.data.clone().or_of_search();
    let everything = data.everything();
    config(&plan, 0, &everything).to_toml(&[])?;
    super::use_threads(args.threads)?;
    let folder = args.out.open()?;
    signals::listen()?;

    let loaded = data.load(args.quiet)?;
    ensure!(!loaded.splits.validation.is_empty(), "a search needs images for validation, but --validation-size is 0");
    let [train, validation] = [&loaded.splits.train, &loaded.splits.validation].map(Dataset::len);
    plan.validate(train)?;
    let shard = args.shard.shard;
    let mut search = Search {
        plan: &plan,
        folder: &folder,
        shard,
        validation: Validation { split: &loaded.names[1], images: validation },
        outcomes: Vec::new(),
    };
    search.read(args.resume, args.quiet)?;
    let mut batches: usize = search.left().iter().map(|&i| plan.batches(i, train)).sum();
    if shard == Shard::WHOLE {
        // The best is not known yet; its batches may be larger or smaller than these.
        batches += plan.batches(0, train + validation);
    }
    let mut work = Work::new(batches, args.quiet);
    search.try_trials(&loaded, &mut work)?;
    if shard != Shard::WHOLE {
        for line in search.what_follows() {
            show!("{line}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(&best) = best(&search.outcomes) else {
        show!("Every trial diverged; smaller learning rates (--eta) help.");
        return Ok(ExitCode::FAILURE);
    };
    let mut words = search.words(&best, train);
    drop(loaded);

    let loaded = everything.load(args.quiet)?;
    work.members = 1;
    let refit = Refit::train(&plan, best.trial, &loaded, &mut work)?;
    drop(work);
    words.extend(refit.words(&loaded));
    let toml = config(&plan, best.trial, &everything).to_toml(&words)?;
    folder.write(&[("best.toml".into(), toml), ("model_best.safetensors".into(), refit.model.to_bytes()?)])?;
    for line in &words {
        show!("{line}");
    }
    show!("search.csv, search.png, model_best.safetensors and best.toml are in {};", folder.path().display());
    show!("`onelayer train --config` takes the last.");
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        let space = Space {
            lambdas: self.lambda.clone(),
            etas: self.eta.clone(),
            losses: self.loss.clone(),
            decays: self.decay.iter().map(|fall| fall.0).collect(),
            batch_sizes: self.batch_size.clone(),
            flips: self.flip.clone(),
        };
        let trials = match self.random {
            Some(count) => space.random(count, self.seed)?,
            None => space.grid()?,
        };
        let schedule = Schedule { epochs: self.epochs, seed: self.seed, ..Schedule::REPORT };
        Ok(Plan { trials, schedule })
    }
}

/// A trial as a job of `train` on `data`.
fn config(plan: &Plan, trial: usize, data: &DataArgs) -> Config {
    let trial = &plan.trials[trial];
    Config {
        hyperparameters: Hyperparameters::new(trial.setting, &plan.schedule(trial), &Origin::Random),
        images: data.describe(),
        ..Config::default()
    }
}

/// A search, as far as it has got.
struct Search<'a> {
    plan: &'a Plan,
    folder: &'a Folder,
    shard: Shard,
    validation: Validation<'a>,
    outcomes: Vec<Outcome>,
}

impl Search<'_> {
    fn table(&self) -> String {
        self.shard.file_name("search")
    }

    /// Takes over the trials of the table that is there, if it shall be gone on with.
    fn read(&mut self, resume: bool, quiet: bool) -> anyhow::Result<()> {
        let path = self.folder.path().join(self.table());
        match (resume, path.exists()) {
            (true, true) => {
                let bytes = input::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let rows = csv::from_csv(&bytes, &path)?;
                self.outcomes = outcomes(&rows, self.plan, self.shard, self.validation, &path)?;
            }
            _ if quiet => {}
            (true, false) => say!("there is no {}: the search begins anew", path.display()),
            (false, true) => {
                say!("{} is of an earlier search, which --resume goes on with; this one begins anew", path.display())
            }
            (false, false) => {}
        }
        Ok(())
    }

    /// The trials of this shard that are not done.
    fn left(&self) -> Vec<usize> {
        let done = |trial: &usize| self.outcomes.iter().any(|o| o.trial == *trial);
        let all = (0..self.plan.trials.len()).filter(|&trial| self.shard.holds(trial));
        all.filter(|trial| !done(trial)).collect()
    }

    /// Tries what is left, group by group; the table holds each group as soon as it is done.
    fn try_trials(&mut self, loaded: &Loaded, work: &mut Work) -> anyhow::Result<()> {
        let splits = &loaded.splits;
        let normalizer = Normalizer::fit(&splits.train)?;
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let start = random_start(DIMS, self.plan.schedule.seed);
        for group in self.plan.groups(self.left()) {
            work.members = group.len();
            let found = self.plan.try_group(&group, data, &start, work);
            if matches!(found, Err(Error::Interrupted)) {
                let (done, all) = (self.outcomes.len(), self.plan.trials.len());
                return Err(Error::Stopped { after: format!("{done} of {all} trials") }.into());
            }
            self.outcomes.extend(found?);
            self.write()?;
            work.say(&self.progress());
        }
        Ok(())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        self.outcomes.sort_by_key(|outcome| outcome.trial);
        let row = |o| SearchRow::new(self.plan, o, self.shard, self.validation);
        let rows: Vec<_> = self.outcomes.iter().map(row).collect();
        let mut files = vec![(self.table(), csv::to_csv(&rows, self.folder.dialect()))];
        if self.shard == Shard::WHOLE {
            files.push(("search.png".into(), figure(&rows)));
        }
        Ok(self.folder.write(&files)?)
    }

    /// How far the search is, and what is best so far.
    fn progress(&self) -> String {
        let (done, all) = (self.outcomes.len(), self.plan.trials.len());
        let best = match best(&self.outcomes) {
            None => "all diverged".into(),
            Some(best) => {
                format!("best {} % by {}", percent(accuracy(best)), self.plan.trials[best.trial].setting.name())
            }
        };
        format!("{done}/{all}: {best}")
    }

    /// What to do when a shard is done.
    fn what_follows(&self) -> [String; 3] {
        [
            format!(
                "The {} trials of shard {} are in {}.",
                self.outcomes.len(),
                self.shard,
                self.folder.path().join(self.table()).display()
            ),
            "When all shards are done, join their tables with `onelayer merge` and run the".into(),
            "same search with --resume and without --shard: it trains the best setting.".into(),
        ]
    }

    /// What was done, and what came out, a sentence a line.
    fn words(&self, best: &Outcome, train: usize) -> Vec<String> {
        let trial = &self.plan.trials[best.trial];
        let accuracy = accuracy(best);
        let error = standard_error(accuracy, self.validation.images);
        let diverged = self.outcomes.iter().filter(|o| o.validation.is_none()).count();
        let mut words = vec![format!(
            "{} trials were trained for {} epochs on {train} images and judged on {} others.",
            self.outcomes.len(),
            self.plan.schedule.epochs,
            self.validation.images
        )];
        if diverged > 0 {
            words.push(format!("{diverged} of them diverged."));
        }
        words.push(format!("The best is {},", trial.setting.name()));
        words.push(format!("with batches of {} and a flip probability of {}.", trial.batch_size, trial.flip));
        words.push(format!(
            "Its validation accuracy is {} %, with a standard error of {} points;",
            percent(accuracy),
            percent(error)
        ));
        words.push("as the best of many it is likely a little too high.".into());
        words
    }
}

/// The best setting, trained on everything.
struct Refit {
    model: ModelFile,
    test: Option<Scores>,
}

impl Refit {
    /// Trains, and looks at the test split, this once.
    fn train(plan: &Plan, trial: usize, loaded: &Loaded, work: &mut Work) -> anyhow::Result<Self> {
        let splits = &loaded.splits;
        let normalizer = Normalizer::fit(&splits.train)?;
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let trial = &plan.trials[trial];
        let schedule = plan.schedule(trial);
        let start = random_start(DIMS, schedule.seed);
        let runs = train_unevaluated(data, &[trial.setting], &schedule, &start, work)?;
        Ok(Self {
            model: ModelFile::of_run(
                &runs[0],
                &Hyperparameters::new(trial.setting, &schedule, &Origin::Random),
                &normalizer,
                &loaded.names,
            ),
            test: scores_of(&runs, &splits.test, &normalizer)?[0],
        })
    }
}

impl Refit {
    /// What came out.
    fn words(&self, loaded: &Loaded) -> Vec<String> {
        let images = loaded.splits.train.len();
        let Some(Scores { accuracy, .. }) = self.test else {
            return vec![format!("Trained again on all {images} images, it diverged.")];
        };
        let test = loaded.splits.test.len();
        vec![
            format!("Trained again on all {images} images, it has a test accuracy of {} %,", percent(accuracy)),
            format!(
                "with a standard error of {} points. The {test} test images were looked at",
                percent(standard_error(accuracy, test))
            ),
            "once, after everything was chosen.".into(),
        ]
    }
}

/// The validation accuracy of a trial that did not diverge.
fn accuracy(outcome: &Outcome) -> f64 {
    let scores = outcome.validation.expect("the best has not diverged");
    scores.accuracy
}
