//! The files of a training in its results folder.

use rayon::prelude::*;

use crate::dataset::cifar10::CLASS_NAMES;
use crate::error::Result;
use crate::evaluate::table::{ProbabilityRow, confusion_csv, probability_rows};
use crate::evaluate::{Outcomes, Scores};
use crate::figures::snapshots::to_jpeg;
use crate::figures::{curves_figure, probabilities_figure, settings_figure, weights_figure};
use crate::files::csv::{Dialect, to_csv};
use crate::files::folder::Folder;
use crate::train::model::ModelFile;
use crate::train::provenance::{self, Provenance};
use crate::train::table::{CurveRow, SummaryRow};
use crate::train::{Job, Run, snapshot};

/// A training that has ended.
#[derive(Debug)]
pub struct Results<'a> {
    pub job: &'a Job<'a>,
    pub runs: &'a [Run],
    /// The outcomes of each run on the test split; `None` if it diverged.
    pub test: &'a [Option<Outcomes>],
    pub provenance: &'a Provenance,
    /// True to write each model as `.npz` too.
    pub npz: bool,
}

/// The name of a file, and its content; `None` if this training does not write it.
type OptionalFile = (String, Option<Vec<u8>>);

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
    /// setting that now diverged, would contradict the new ones and are [removed](Folder::remove).
    pub fn write(&self, folder: &Folder) -> Result<()> {
        let dialect = folder.dialect();
        let runs = self.runs.par_iter().zip(self.test);
        let files: Result<Vec<Vec<_>>> = runs.map(|(run, test)| self.run_files(run, test.as_ref(), dialect)).collect();
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        for (name, content) in files?.into_iter().flatten().chain([self.all_settings()]) {
            match content {
                Some(content) => written.push((name, content)),
                None => removed.push(name),
            }
        }
        written.push(("summary.csv".into(), to_csv(&self.summary(), dialect)));
        written.push((provenance::FILE.into(), self.provenance.to_json()));
        folder.write(&written)?;
        removed.iter().try_for_each(|name| folder.remove(name))
    }

    /// The figure with all settings, of a training of several.
    fn all_settings(&self) -> OptionalFile {
        let curves = |run: &Run| {
            let rows: Vec<_> = run.epochs.iter().map(CurveRow::from).collect();
            let [_, _, accuracy] = CurveRow::curves(&rows);
            (run.setting.title(), accuracy)
        };
        let several = self.runs.len() > 1;
        ("settings.png".into(), several.then(|| settings_figure(&self.runs.iter().map(curves).collect::<Vec<_>>())))
    }

    /// The files of a run. One that diverged has neither outcomes on the `test` split nor weights nor a model.
    fn run_files(&self, run: &Run, test: Option<&Outcomes>, dialect: Dialect) -> Result<Vec<OptionalFile>> {
        let name = run.setting.name();
        let file = |kind: &str, extension: &str, content| (format!("{kind}_{name}.{extension}"), content);
        let rows: Vec<_> = run.epochs.iter().map(CurveRow::from).collect();
        let bins = test.map(probability_rows);
        let title = run.setting.title();
        let probabilities = bins.as_ref().map(|bins| {
            let counts = |of: fn(&ProbabilityRow) -> usize| bins.iter().map(of).collect::<Vec<_>>();
            probabilities_figure(&title, &counts(|bin| bin.right), &counts(|bin| bin.wrong))
        });
        let weights = test.map(|_| weights_figure(&title, &CLASS_NAMES, &snapshot(&run.parameters)));
        let hyperparameters = self.job.hyperparameters(run.setting);
        let model = test.map(|_| ModelFile::of_run(run, &hyperparameters, self.job.normalizer, self.job.names));
        let npz = model.as_ref().filter(|_| self.npz).map(ModelFile::to_npz);
        let snapshots = test.filter(|_| !run.snapshots.is_empty()).map(|_| to_jpeg(&run.snapshots));
        Ok(vec![
            file("curves", "csv", Some(to_csv(&rows, dialect))),
            file("curves", "png", Some(curves_figure(&title, &CurveRow::curves(&rows)))),
            file("probabilities", "png", probabilities),
            file("probabilities", "csv", bins.map(|bins| to_csv(&bins, dialect))),
            file("confusion", "csv", test.map(|test| confusion_csv(&test.confusion(), dialect))),
            file("weights", "png", weights.transpose()?),
            file("model", "safetensors", model.as_ref().map(ModelFile::to_bytes).transpose()?),
            file("model", "npz", npz.transpose()?),
            file("snapshots", "jpg", snapshots),
        ])
    }
}
