//! The results folder of a training job: which files there are, and what each holds.

use rayon::prelude::*;

use crate::dataset::cifar10::CLASS_NAMES;
use crate::dataset::normalizer::Normalizer;
use crate::error::Result;
use crate::evaluate::table::{confusion_csv, probability_rows};
use crate::evaluate::{Outcomes, Scores};
use crate::figures::snapshots::to_jpeg;
use crate::figures::{curves_figure, probabilities_figure, weights_figure};
use crate::files::csv::{Dialect, to_csv};
use crate::hyperparameters::{Schedule, Setting, title};
use crate::train::model::ModelFile;
use crate::train::provenance::{self, JobProvenance};
use crate::train::table::{CurveRow, SummaryRow};
use crate::train::{Run, snapshot};

/// A training job that has ended.
#[derive(Clone, Debug)]
pub struct Results<'a> {
    /// The settings, trained.
    pub runs: &'a [Run],
    /// The outcomes of each run on the test split; `None` for one that diverged.
    pub test: &'a [Option<Outcomes>],
    /// The test accuracy that the report states for each run, if it ran as in the report.
    pub reported: &'a [Option<f64>],
    /// What the runs shared.
    pub schedule: Schedule,
    /// Fitted on the training split.
    pub normalizer: &'a Normalizer,
    /// What the training, the validation and the test split are made of.
    pub splits: &'a [String; 3],
    /// What made the results, and of what.
    pub provenance: &'a JobProvenance,
    /// Whether each model is written as `.npz` too.
    pub npz: bool,
}

/// The names of the files that a job can write for a setting: curves as a table and as a figure, weights at the end and
/// after each epoch, probabilities of the true classes as a table and as a figure, confusion matrix, model in
/// two formats.
pub fn files_of(setting: Setting) -> [String; 9] {
    let name = setting.name();
    [
        format!("curves_{name}.csv"),
        format!("curves_{name}.png"),
        format!("weights_{name}.png"),
        format!("snapshots_{name}.jpg"),
        format!("probabilities_{name}.csv"),
        format!("probabilities_{name}.png"),
        format!("confusion_{name}.csv"),
        format!("model_{name}.safetensors"),
        format!("model_{name}.npz"),
    ]
}

impl Results<'_> {
    /// The rows of `summary.csv`.
    pub fn summary(&self) -> Vec<SummaryRow> {
        (0..self.runs.len()).map(|i| self.summary_row(i)).collect()
    }

    fn summary_row(&self, i: usize) -> SummaryRow {
        let run = &self.runs[i];
        let last = run.epochs.last().and_then(|epoch| epoch.scores);
        let [train, validation] = last.unwrap_or_default();
        let test = self.test[i].as_ref().map(|test| test.scores(run.setting.lambda())).filter(Scores::is_finite);
        SummaryRow {
            setting: run.setting.name(),
            lambda: run.setting.lambda(),
            eta: run.setting.eta(),
            batch_size: self.schedule.batch_size,
            epochs: self.schedule.epochs,
            seed: self.schedule.seed,
            train_loss: train.map(|s| s.loss),
            train_cost: train.map(|s| s.cost),
            train_accuracy: train.map(|s| s.accuracy),
            validation_loss: validation.map(|s| s.loss),
            validation_cost: validation.map(|s| s.cost),
            validation_accuracy: validation.map(|s| s.accuracy),
            test_loss: test.map(|s| s.loss),
            test_accuracy: test.map(|s| s.accuracy),
            reported_test_accuracy: self.reported[i],
            train_seconds: run.seconds(),
        }
    }

    /// Every file of the job, by name and content, its tables in `dialect`. A setting that diverged has neither weights nor a model to show.
    ///
    /// # Errors
    ///
    /// Those of the exporters, which see only what this program computed.
    pub fn files(&self, dialect: Dialect) -> Result<Vec<(String, Vec<u8>)>> {
        let of_runs: Result<Vec<Vec<_>>> = self
            .runs
            .par_iter()
            .zip(self.test)
            .map(|(run, test)| self.run_files(run, test.as_ref(), dialect))
            .collect();
        let mut files: Vec<_> = of_runs?.into_iter().flatten().collect();
        files.push(("summary.csv".into(), to_csv(&self.summary(), dialect)));
        files.push((provenance::FILE.into(), self.provenance.to_json()));
        Ok(files)
    }

    fn run_files(&self, run: &Run, test: Option<&Outcomes>, dialect: Dialect) -> Result<Vec<(String, Vec<u8>)>> {
        let [curves, curves_png, weights, snapshots, probabilities_csv, probabilities_png, matrix, model, npz] =
            files_of(run.setting);
        let rows = curve_rows(run);
        let mut files = vec![
            (curves, to_csv(&rows, dialect)),
            (curves_png, curves_figure(&run.setting.title(), &CurveRow::curves(&rows))),
        ];
        if let Some(test) = test {
            let histogram = test.histogram();
            let title = format!("{}   {}", title(run.setting.lambda(), run.setting.eta()), run.setting.loss());
            files.push((probabilities_csv, to_csv(&probability_rows(&histogram), dialect)));
            files.push((probabilities_png, probabilities_figure(&title, &histogram.right, &histogram.wrong)));
            files.push((matrix, confusion_csv(&test.confusion(), dialect)));
        }
        if run.diverged_in().is_none() {
            let rows = snapshot(&run.parameters);
            files.push((weights, weights_figure(&run.setting.title(), &CLASS_NAMES, &rows)?));
            let file = ModelFile::of_run(run, &self.schedule, self.normalizer, self.splits);
            files.push((model, file.to_bytes()?));
            if self.npz {
                files.push((npz, file.to_npz()?));
            }
            if !run.snapshots.is_empty() {
                files.push((snapshots, to_jpeg(&run.snapshots)));
            }
        }
        Ok(files)
    }
}

/// The rows of a run's `curves_<setting>.csv`.
fn curve_rows(run: &Run) -> Vec<CurveRow> {
    let row = |epoch: &crate::train::Epoch| {
        let [train, validation] = epoch.scores.unwrap_or_default();
        CurveRow {
            epoch: epoch.number,
            learning_rate: epoch.learning_rate,
            train_loss: train.map(|s| s.loss),
            train_cost: train.map(|s| s.cost),
            train_accuracy: train.map(|s| s.accuracy),
            validation_loss: validation.map(|s| s.loss),
            validation_cost: validation.map(|s| s.cost),
            validation_accuracy: validation.map(|s| s.accuracy),
            epoch_seconds: epoch.seconds,
        }
    };
    run.epochs.iter().map(row).collect()
}
