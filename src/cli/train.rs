//! `onelayer train`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use onelayer::evaluate::{Scores, evaluate};
use onelayer::hyperparameters::{Schedule, Setting};
use onelayer::network::Parameters;
use onelayer::output::results::{Folder, Results};
use onelayer::preprocess::Normalizer;
use onelayer::train::{Data, Run, random_start, train};

use super::{data, observer, start, table};

/// What `train` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Weight of the penalty λ·Σ weight²; with --lambda or --eta, one setting is trained instead of the report's
    /// four [default: 0]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Learning rate η [default: 0.001]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// Passes over the training images
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.epochs)]
    epochs: usize,
    /// Images of a mini-batch; the last one of an epoch may have fewer
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.batch_size)]
    batch_size: usize,
    /// Seed of the random start and of the shuffling
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.seed)]
    seed: u64,
    /// Keep the images in file order instead of shuffling them at each epoch
    #[arg(long)]
    no_shuffle: bool,
    /// Start from this file: an .npz with W (10,3072) and optionally b (10), or a model of this program
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    #[command(flatten)]
    data: data::DataArgs,
    /// Folder of the tables, figures and models
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// Threads; the results don't depend on it [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the closing table alone
    #[arg(long)]
    quiet: bool,
}

/// Trains, writes the results, prints the table.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = args.settings()?;
    let schedule = args.schedule();
    super::use_threads(args.threads)?;
    // Whatever can be refused is refused before the data are fetched.
    schedule.validate(usize::MAX)?;
    let start = args.start()?;
    let folder =
        Folder::open(&args.out).context("the results need a folder to be written in (--out)")?;
    let data::Loaded {
        splits,
        names,
        as_reported,
    } = args.data.load(args.quiet)?;
    schedule.validate(splits.train.len())?;

    let normalizer = Normalizer::fit(&splits.train)?;
    let data = Data {
        train: &splits.train,
        validation: &splits.validation,
        normalizer: &normalizer,
    };
    let mut observer = observer::for_terminal(&settings, schedule.epochs, args.quiet);
    let (runs, _) = train(data, &settings, &schedule, &start, observer.as_mut())?;
    drop(observer);

    let as_reported = as_reported
        && schedule.epochs == Schedule::REPORT.epochs
        && schedule.batch_size == Schedule::REPORT.batch_size;
    let test: anyhow::Result<Vec<Option<Scores>>> = runs
        .iter()
        .map(|run| match run.diverged_in() {
            Some(_) => Ok(None),
            None => Ok(Some(evaluate(
                &run.parameters,
                run.setting.lambda(),
                &splits.test,
                &normalizer,
            )?)),
        })
        .collect();
    let results = Results {
        runs: &runs,
        test: &test?,
        reported: &settings
            .iter()
            .map(|s| s.reported_test_accuracy().filter(|_| as_reported))
            .collect::<Vec<_>>(),
        schedule,
        normalizer: &normalizer,
        splits: names,
    };
    write(&folder, &results)?;
    print!("{}", table::results(&results.summary()));
    report_divergence(&runs);
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The report's four settings, or the one that the arguments name.
    fn settings(&self) -> anyhow::Result<Vec<Setting>> {
        if self.lambda.is_none() && self.eta.is_none() {
            return Ok(Setting::REPORT.to_vec());
        }
        let setting = Setting::new(
            self.lambda.unwrap_or(0.0),
            self.eta.unwrap_or(Setting::DEFAULT_ETA),
        )?;
        Ok(vec![setting])
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            epochs: self.epochs,
            batch_size: self.batch_size,
            seed: self.seed,
            shuffle: !self.no_shuffle,
        }
    }

    fn start(&self) -> anyhow::Result<Parameters> {
        let dims = onelayer::dataset::cifar10::DIMS;
        Ok(match &self.init {
            Some(path) => start::read(path, dims)?,
            None => random_start(dims, self.seed),
        })
    }
}

/// Writes the files of the job. A diverged setting has no weights to show: those of an earlier run would contradict
/// the new curves, so they go.
fn write(folder: &Folder, results: &Results) -> anyhow::Result<()> {
    folder.write(&results.files()?)?;
    for run in results
        .runs
        .iter()
        .filter(|run| run.diverged_in().is_some())
    {
        let name = run.setting.name();
        folder.remove(&format!("weights_{name}.png"))?;
        folder.remove(&format!("model_{name}.safetensors"))?;
    }
    Ok(())
}

fn report_divergence(runs: &[Run]) {
    for run in runs {
        if let Some(epoch) = run.diverged_in() {
            eprintln!(
                "{}: diverged in epoch {epoch}, its values are no longer finite; a smaller --eta helps",
                run.setting.name()
            );
        }
    }
}
