//! The files of a training in its results folder.

use rayon::prelude::*;

use crate::dataset::cifar10::CLASS_NAMES;
use crate::error::Result;
use crate::evaluate::table::{confusion_csv, probability_rows};
use crate::evaluate::{Outcomes, Scores};
use crate::figures::snapshots::to_jpeg;
use crate::figures::{curves_figure, probabilities_figure, weights_figure};
use crate::files::csv::{Dialect, to_csv};
use crate::files::folder::Folder;
use crate::hyperparameters::{Setting, title};
use crate::train::model::ModelFile;
use crate::train::provenance::{self, Provenance};
use crate::train::table::{CurveRow, SummaryRow};
use crate::train::{Job, Run, snapshot};

/// A training that has ended.
#[derive(Debug)]
pub struct Results<'a> {
    /// The job.
    pub job: &'a Job<'a>,
    /// The trained settings.
    pub runs: &'a [Run],
    /// The outcomes of each run on the test split; `None` if it diverged.
    pub test: &'a [Option<Outcomes>],
    /// The program, command, machine and data.
    pub provenance: &'a Provenance,
    /// True to write each model as `.npz` too.
    pub npz: bool,
}

/// The names of the files of a setting.
struct FileNames {
    curves: String,
    curves_figure: String,
    weights: String,
    snapshots: String,
    probabilities: String,
    probabilities_figure: String,
    confusion: String,
    model: String,
    npz: String,
}

impl FileNames {
    fn new(setting: Setting) -> Self {
        let name = setting.name();
        Self {
            curves: format!("curves_{name}.csv"),
            curves_figure: format!("curves_{name}.png"),
            weights: format!("weights_{name}.png"),
            snapshots: format!("snapshots_{name}.jpg"),
            probabilities: format!("probabilities_{name}.csv"),
            probabilities_figure: format!("probabilities_{name}.png"),
            confusion: format!("confusion_{name}.csv"),
            model: format!("model_{name}.safetensors"),
            npz: format!("model_{name}.npz"),
        }
    }

    /// The files that only some trainings write.
    fn optional(self) -> [String; 7] {
        let Self { weights, snapshots, probabilities, probabilities_figure, confusion, model, npz, .. } = self;
        [weights, snapshots, probabilities, probabilities_figure, confusion, model, npz]
    }
}

impl Results<'_> {
    /// The rows of `summary.csv`.
    pub fn summary(&self) -> Vec<SummaryRow> {
        let row = |(run, test): (&Run, &Option<Outcomes>)| {
            let test = test.as_ref().map(|test| test.scores(run.setting.lambda())).filter(Scores::is_finite);
            SummaryRow::new(run, self.job.hyperparameters(run.setting), self.job.names, test)
        };
        self.runs.iter().zip(self.test).map(row).collect()
    }

    /// Writes the files. Old files of the same settings that this training does not write, such as the weights of a
    /// setting that now diverged, would contradict the new ones and are removed.
    ///
    /// # Errors
    ///
    /// Those of [`Folder::write`] and [`Folder::remove`].
    pub fn write(&self, folder: &Folder) -> Result<()> {
        let files = self.files(folder.dialect())?;
        folder.write(&files)?;
        let is_written = |name: &String| files.iter().any(|(written, _)| written == name);
        let optional = self.runs.iter().flat_map(|run| FileNames::new(run.setting).optional());
        optional.filter(|name| !is_written(name)).try_for_each(|name| folder.remove(&name))
    }

    /// The files by name and content.
    fn files(&self, dialect: Dialect) -> Result<Vec<(String, Vec<u8>)>> {
        let runs = self.runs.par_iter().zip(self.test);
        let files: Result<Vec<Vec<_>>> = runs.map(|(run, test)| self.run_files(run, test.as_ref(), dialect)).collect();
        let mut files = files?.concat();
        files.push(("summary.csv".into(), to_csv(&self.summary(), dialect)));
        files.push((provenance::FILE.into(), self.provenance.to_json()));
        Ok(files)
    }

    fn run_files(&self, run: &Run, test: Option<&Outcomes>, dialect: Dialect) -> Result<Vec<(String, Vec<u8>)>> {
        let names = FileNames::new(run.setting);
        let rows: Vec<_> = run.epochs.iter().map(CurveRow::from).collect();
        let mut files = vec![
            (names.curves, to_csv(&rows, dialect)),
            (names.curves_figure, curves_figure(&run.setting.title(), &CurveRow::curves(&rows))),
        ];
        // A setting that diverged has neither outcomes nor weights nor a model.
        let Some(test) = test else {
            return Ok(files);
        };
        let histogram = test.histogram();
        let title = format!("{}   {}", title(run.setting.lambda(), run.setting.eta()), run.setting.loss());
        let hyperparameters = self.job.hyperparameters(run.setting);
        let model = ModelFile::of_run(run, &hyperparameters, self.job.normalizer, self.job.names);
        files.extend([
            (names.probabilities_figure, probabilities_figure(&title, &histogram.right, &histogram.wrong)),
            (names.probabilities, to_csv(&probability_rows(&histogram), dialect)),
            (names.confusion, confusion_csv(&test.confusion(), dialect)),
            (names.weights, weights_figure(&run.setting.title(), &CLASS_NAMES, &snapshot(&run.parameters))?),
            (names.model, model.to_bytes()?),
        ]);
        if self.npz {
            files.push((names.npz, model.to_npz()?));
        }
        if !run.snapshots.is_empty() {
            files.push((names.snapshots, to_jpeg(&run.snapshots)));
        }
        Ok(files)
    }
}
