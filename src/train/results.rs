//! The results folder of a training job: which files there are, and what each holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::evaluate::confusion::confusion_csv;
use crate::evaluate::{Outcomes, Scores};
use crate::figures::probabilities::{probabilities_figure, probability_rows};
use crate::figures::snapshots::to_jpeg;
use crate::figures::{curves_figure, weights_figure};
use crate::files::atomic;
use crate::files::csv;
use crate::files::dialect::Dialect;
use crate::files::lock::Lock;
use crate::hyperparameters::{Schedule, Setting};
use crate::train::Run;
use crate::train::model::ModelFile;
use crate::train::provenance::{self, JobProvenance};
use crate::train::table::{CurveRow, SummaryRow};

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

    /// Every file of the job, by name and content. A setting that diverged has neither weights nor a model to show.
    ///
    /// # Errors
    ///
    /// Those of the exporters, which see only what this program computed.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let of_runs: Result<Vec<Vec<_>>> =
            self.runs.par_iter().zip(self.test).map(|(run, test)| self.run_files(run, test.as_ref())).collect();
        let mut files: Vec<_> = of_runs?.into_iter().flatten().collect();
        files.push(("summary.csv".into(), csv::to_csv(&self.summary())));
        files.push((provenance::FILE.into(), self.provenance.to_json()));
        Ok(files)
    }

    fn run_files(&self, run: &Run, test: Option<&Outcomes>) -> Result<Vec<(String, Vec<u8>)>> {
        let [curves, curves_png, weights, snapshots, probabilities_csv, probabilities_png, matrix, model, npz] =
            files_of(run.setting);
        let rows = curve_rows(run);
        let mut files = vec![(curves, csv::to_csv(&rows)), (curves_png, curves_figure(run.setting, &rows))];
        if let Some(test) = test {
            let rows = probability_rows(&test.histogram());
            let figure = probabilities_figure(run.setting, &rows);
            files.push((probabilities_csv, csv::to_csv(&rows)));
            files.push((probabilities_png, figure));
            files.push((matrix, confusion_csv(&test.confusion())));
        }
        if run.diverged_in().is_none() {
            let weight = &run.parameters.weight;
            files.push((weights, weights_figure(run.setting, weight)?));
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

/// A folder that is there, can be written to, and is this process's alone to write to.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: Mutex<Lock>,
    dialect: Dialect,
}

impl Folder {
    /// Makes the folder `path` if need be, and tries to write in it, so that hours of work are not begun in vain. What a
    /// killed process left half written in it is removed.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while another process has it open, otherwise [`Error::Io`] with the operating system's reason.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned(), lock: Mutex::new(lock(path)?), dialect: Dialect::default() };
        tempfile::tempfile_in(path).map_err(Error::io("write in the folder", path))?;
        atomic::remove_leftovers(path)?;
        Ok(folder)
    }

    /// The same folder, which gives its tables in `dialect`.
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// Writes each file whole, under a temporary name first; those whose name ends in `.csv` in the folder's dialect. A
    /// folder that has vanished is made again.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for the first file that can't be written; those before it are new, it and those after it are
    /// as they were. [`Error::InUse`] when the folder had vanished, and another process was faster.
    pub fn write(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.is_on(&self.path) {
            *held = lock(&self.path)?;
        }
        files.iter().try_for_each(|(name, bytes)| {
            let path = self.path.join(name);
            match path.extension() {
                Some(extension) if extension == "csv" => atomic::write(&path, &self.dialect.translate(bytes)),
                _ => atomic::write(&path, bytes),
            }
        })
    }

    /// Removes the file `name`, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the operating system's reason.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path)(e)),
            _ => Ok(()),
        }
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the folder `path` if need be, and locks it: the folder itself, where the system can open it as a file.
fn lock(path: &Path) -> Result<Lock> {
    fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
    let locked = if cfg!(unix) { path.to_owned() } else { path.join(".lock") };
    Lock::acquire(&locked)?.ok_or_else(|| Error::InUse { folder: path.to_owned() })
}
