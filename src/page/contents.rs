//! Reads what the page shows from a results folder.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rayon::prelude::*;

use crate::dataset::sample;
use crate::error::{Error, Result};
use crate::evaluate::Confusion;
use crate::evaluate::table::read_confusion;
use crate::figures::HeatMaps;
use crate::figures::snapshots::{self, Layout, MAX_EPOCHS};
use crate::files;
use crate::files::csv::{Row, from_csv};
use crate::files::raster::{Decoder, Format};
use crate::gradcheck::table::GradcheckRow;
use crate::hyperparameters::{Loss, Setting};
use crate::page::chart::Chart;
use crate::page::confident::Confident;
use crate::page::evaluation::Evaluation;
use crate::page::filters::points;
use crate::page::gains::GainsChart;
use crate::page::heatmap::HeatMap;
use crate::page::histogram::Histogram;
use crate::page::strips::StripChart;
use crate::page::together::together;
use crate::replicate::Replication;
use crate::replicate::ablation::table::{AblationRow, ImprovementRow, gains};
use crate::replicate::overfitting::table::{ComparisonRow, OverfittingRow};
use crate::replicate::table::{ReplicationRow, SettingRow, VerdictRow, strips};
use crate::search::table::{BEST_FILE, BestRow, SearchRow, heat_map_trials};
use crate::shard::Shard;
use crate::statistics::{count, unbroken};
use crate::train::provenance::{self, Provenance};
use crate::train::table::{CurveRow, SummaryRow};

/// The contents of a results folder. A part without its file is `None`.
pub struct Contents {
    /// Those of `summary.csv`, in its order.
    pub settings: Vec<SettingPart>,
    /// All settings together: their accuracies over the epochs.
    pub together: Option<Chart>,
    /// What `evaluate` wrote about other models and splits, by file name.
    pub evaluations: Vec<Evaluation>,
    /// `gradcheck.csv`.
    pub gradcheck: Option<Vec<GradcheckRow>>,
    pub replication: Option<ReplicationPart>,
    pub ablation: Option<AblationPart>,
    pub overfitting: Option<OverfittingPart>,
    pub search: Option<SearchPart>,
    /// `provenance.json`.
    pub provenance: Option<Provenance>,
}

/// A setting and its files.
pub struct SettingPart {
    pub summary: SummaryRow,
    /// `curves_<setting>.csv`, at most [`MAX_EPOCHS`] rows of it.
    pub curves: Option<Vec<CurveRow>>,
    /// True if `curves` is a selection of the epochs.
    pub thinned: bool,
    /// The losses, the costs and the accuracies of `curves`.
    pub charts: Vec<Chart>,
    /// `snapshots_<setting>.jpg`.
    pub snapshots: Option<Sheet>,
    /// `weights_<setting>.png`, which shows the same as the last snapshot; not read if there are snapshots.
    pub weights: Option<Vec<u8>>,
    /// `probabilities_<setting>.csv`.
    pub histogram: Option<Histogram>,
    /// `confusion_<setting>.csv`.
    pub confusion: Option<Confusion>,
    /// `confident_<setting>.png`, if `evaluate` wrote it.
    pub confident: Option<Confident>,
}

/// The picture of a setting's weights after each epoch.
pub struct Sheet {
    pub bytes: Vec<u8>,
    pub layout: Layout,
    pub epochs: usize,
}

impl Sheet {
    /// Height of the picture, in pixels.
    pub fn height(&self) -> usize {
        self.layout.height(self.epochs)
    }

    /// From the upper edge of the picture to the images of its last epoch.
    pub fn last_top(&self) -> usize {
        self.layout.top + self.epochs.saturating_sub(1) * self.layout.step
    }
}

/// The same settings with many seeds.
pub struct ReplicationPart {
    /// `replication_summary.csv`: one row per setting.
    pub settings: Vec<SettingRow>,
    /// `replication_verdicts.csv`: one row per conclusion of the course report.
    pub verdicts: Option<Vec<VerdictRow>>,
    /// The runs of each setting, from `replication.csv`.
    pub charts: Vec<StripChart>,
    /// From the same file.
    pub protocol: Option<Protocol>,
}

/// What all runs of a job have in common, from the first row of its table.
pub struct Protocol {
    epochs: usize,
    test_images: usize,
    of_sample: bool,
}

/// What each improvement of a configuration brings.
pub struct AblationPart {
    /// `ablation_summary.csv`: one row per improvement.
    pub improvements: Vec<ImprovementRow>,
    pub chart: GainsChart,
    /// From `ablation.csv`.
    pub protocol: Option<Protocol>,
}

/// The over-fitting of the two losses.
pub struct OverfittingPart {
    /// `overfitting_summary.csv`: one row per pair of a softmax and sigmoids.
    pub comparisons: Vec<ComparisonRow>,
    /// From `overfitting.csv`.
    pub protocol: Option<Protocol>,
}

/// A search of hyperparameters.
pub struct SearchPart {
    /// `search.csv`, the trial with the highest validation accuracy first.
    pub trials: Vec<SearchRow>,
    /// One heat map per loss.
    pub maps: Vec<HeatMap>,
    /// `search_best.csv`: the best trial, retrained and tested.
    pub best: Option<BestRow>,
}

/// A part of the page, its file, which is not in the folder, and the command that writes it.
pub type Missing = (&'static str, String, &'static str);

impl Contents {
    /// Reads the folder `path`.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_file() {
            return Err(Error::NoFolder(path.to_owned()));
        }
        fs::read_dir(path).map_err(Error::io("read the folder", path))?;
        let summary: Vec<SummaryRow> = table(path, "summary.csv")?.unwrap_or_default();
        let settings: Vec<_> =
            summary.into_par_iter().map(|row| SettingPart::read(path, row)).collect::<Result<_>>()?;
        let contents = Self {
            together: together(&settings),
            evaluations: Evaluation::read_all(path, &settings)?,
            settings,
            gradcheck: table(path, "gradcheck.csv")?,
            replication: ReplicationPart::read(path)?,
            ablation: AblationPart::read(path)?,
            overfitting: OverfittingPart::read(path)?,
            search: SearchPart::read(path)?,
            provenance: file(path, provenance::FILE, Provenance::from_json)?,
        };
        if !contents.has_a_table() {
            if has_shards(path)? {
                return Err(Error::format(path, "has only tables of shards: join them with `onelayer merge` first"));
            }
            let tables = "summary.csv (`train`), gradcheck.csv (`gradcheck`), replication_summary.csv (`replicate`), search.csv \
                          (`search`) or confusion_<model>.csv (`evaluate`)";
            return Err(Error::format(
                path,
                format!("must contain a table for the page, such as {tables}, but has none"),
            ));
        }
        Ok(contents)
    }

    fn has_a_table(&self) -> bool {
        let of_replicate = self.replication.is_some() || self.ablation.is_some() || self.overfitting.is_some();
        let of_evaluate = !self.evaluations.is_empty();
        !self.settings.is_empty() || self.gradcheck.is_some() || of_replicate || self.search.is_some() || of_evaluate
    }

    /// The setting with the highest test accuracy.
    pub fn best(&self) -> Option<&SettingPart> {
        let tested = self.settings.iter().filter_map(|setting| Some((setting.summary.test_accuracy?, setting)));
        tested.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, setting)| setting)
    }

    /// What was trained, as far as the tables say it.
    pub fn classifier(&self) -> &'static str {
        let of_settings = self.settings.iter().map(|setting| setting.summary.hyperparameters.loss);
        let of_search = self.search.iter().flat_map(|search| search.trials.iter().map(|row| row.hyperparameters.loss));
        let mut losses: Vec<Loss> = of_settings.collect();
        if losses.is_empty() {
            losses.extend(of_search);
        }
        let [softmax, sigmoids] = Loss::ALL.map(|loss| losses.contains(&loss));
        match (softmax, sigmoids) {
            (true, false) => "A softmax classifier",
            (false, true) => "A classifier of ten sigmoids",
            (true, true) => "Classifiers, softmax and sigmoids,",
            (false, false) => "A classifier",
        }
    }

    /// True if the images are those of the sample, as far as the files say it.
    pub fn is_of_sample(&self) -> bool {
        let files = self.provenance.iter().flat_map(|provenance| &provenance.data);
        let protocols = [
            self.replication.as_ref().and_then(|part| part.protocol.as_ref()),
            self.ablation.as_ref().and_then(|part| part.protocol.as_ref()),
            self.overfitting.as_ref().and_then(|part| part.protocol.as_ref()),
        ];
        // The test split is always evaluated whole.
        let [.., (test, ..)] = sample::PARTS;
        let is_of_test = |evaluation: &Evaluation| evaluation.split == "test" && evaluation.images() == test.records;
        let searched = self.search.iter().flat_map(|search| search.trials.first());
        files.into_iter().any(|file| is_of_sample(&file.name))
            || protocols.into_iter().flatten().any(|protocol| protocol.of_sample)
            || self.gradcheck.as_deref().is_some_and(checks_sample)
            || self.evaluations.iter().any(is_of_test)
            || searched.into_iter().any(|trial| is_of_sample(&trial.validation_split))
    }

    /// True if a setting was evaluated on a validation split.
    pub fn has_validation(&self) -> bool {
        self.settings.iter().any(SettingPart::has_validation)
    }

    /// True if the course report states an accuracy for a setting, trained as here.
    pub fn is_comparable(&self) -> bool {
        self.settings.iter().any(|setting| setting.summary.reported_test_accuracy.is_some())
    }

    /// The files that are not in the folder.
    pub fn missing(&self) -> Vec<Missing> {
        let without_runs = self.replication.as_ref().is_some_and(|replication| replication.charts.is_empty());
        let without_best = self.search.as_ref().is_some_and(|search| search.best.is_none());
        let mut parts = vec![
            ("Accuracies", "summary.csv".into(), "train", self.settings.is_empty()),
            ("Gradient check", "gradcheck.csv".into(), "gradcheck", self.gradcheck.is_none()),
            ("Replication", "replication_summary.csv".into(), "replicate", self.replication.is_none()),
            ("Ablation", "ablation_summary.csv".into(), "replicate --ablate best.toml", self.ablation.is_none()),
            ("Over-fitting", "overfitting_summary.csv".into(), "replicate --overfitting", self.overfitting.is_none()),
            ("Search", "search.csv".into(), "search", self.search.is_none()),
            ("Runs of the replication", "replication.csv".into(), "replicate", without_runs),
            ("Test accuracy of the search’s best setting", BEST_FILE.into(), "search", without_best),
            ("Provenance", provenance::FILE.into(), "train", self.provenance.is_none()),
        ];
        for setting in &self.settings {
            let name = &setting.summary.setting;
            // A setting that diverged has neither weights nor predictions to show.
            let trained = setting.summary.scores.train_loss.is_some();
            let weights = setting.snapshots.is_some() || setting.weights.is_some();
            let (histogram, confusion) = (setting.histogram.is_some(), setting.confusion.is_some());
            parts.extend([
                ("Curves", format!("curves_{name}.csv"), "train", setting.curves.is_none()),
                ("Weights", format!("snapshots_{name}.jpg"), "train", trained && !weights),
                ("Probabilities", format!("probabilities_{name}.csv"), "train", trained && !histogram),
                ("Confusion matrix", format!("confusion_{name}.csv"), "train", trained && !confusion),
            ]);
        }
        let missing = parts.into_iter().filter(|(.., is_missing)| *is_missing);
        missing.map(|(part, file, command, _)| (part, file, command)).collect()
    }
}

impl SettingPart {
    fn read(folder: &Path, summary: SummaryRow) -> Result<Self> {
        let name = &summary.setting;
        let all: Option<Vec<CurveRow>> = table(folder, &format!("curves_{name}.csv"))?;
        let snapshots = file(folder, &format!("snapshots_{name}.jpg"), |bytes, path| {
            let (layout, epochs) = snapshots::layout(bytes, path)?;
            match &all {
                Some(rows) if rows.len() != epochs => Err(Error::format(
                    path,
                    format!("must show {} as curves_{name}.csv has, but shows {epochs}", count(rows.len(), "epoch")),
                )),
                _ => Ok(Sheet { bytes: bytes.to_vec(), layout, epochs }),
            }
        })?;
        let confusion = file(folder, &format!("confusion_{name}.csv"), read_confusion)?;
        let shown = all.as_ref().map(|rows| thin(rows));
        let curves = shown.iter().flat_map(|rows| CurveRow::curves(rows));
        Ok(Self {
            thinned: shown.as_ref().map(Vec::len) != all.as_ref().map(Vec::len),
            charts: curves.map(|curves| Chart::new(&curves)).collect(),
            curves: shown,
            weights: match snapshots {
                Some(_) => None,
                None => file(folder, &format!("weights_{name}.png"), picture)?,
            },
            snapshots,
            histogram: table(folder, &format!("probabilities_{name}.csv"))?.map(|rows| Histogram::new(&rows)),
            confident: Confident::read(folder, name, confusion.as_ref())?,
            confusion,
            summary,
        })
    }

    /// The title of the setting; the name of one that this program cannot train.
    pub fn title(&self) -> String {
        let SummaryRow { setting: name, hyperparameters, .. } = &self.summary;
        unbroken(&hyperparameters.setting().map_or_else(|_| name.clone(), Setting::title))
    }

    /// Number of test images, if the confusion matrix says it.
    pub fn test_images(&self) -> Option<usize> {
        self.confusion.as_ref().map(|confusion| confusion.counts().iter().sum())
    }

    /// True if the probabilities of an example add up to 1.
    pub fn is_softmax(&self) -> bool {
        self.summary.hyperparameters.loss == Loss::Softmax
    }

    /// True if a score on a validation split is there.
    pub fn has_validation(&self) -> bool {
        let scores = self.curves.iter().flatten().map(|row| &row.scores).chain([&self.summary.scores]);
        scores.into_iter().any(|scores| scores.validation_loss.is_some())
    }

    /// The test accuracy minus the reported one, in percentage points.
    pub fn difference(&self) -> String {
        let both = self.summary.test_accuracy.zip(self.summary.reported_test_accuracy);
        points(both.map(|(ours, theirs)| ours - theirs))
    }

    /// Number of steps of the slider.
    pub fn steps(&self) -> usize {
        let snapshots = self.snapshots.as_ref().map(|sheet| sheet.epochs);
        self.curves.as_ref().map(Vec::len).or(snapshots).unwrap_or(0)
    }

    /// The epoch that is shown at first.
    pub fn last_epoch(&self) -> usize {
        let last = self.curves.as_ref().and_then(|rows| rows.last());
        last.map_or(self.steps(), |row| row.epoch)
    }
}

/// The largest of the numbers `n` of seeds, such as `20 seeds`, or `up to 20 seeds` if the others are smaller.
fn seeds(n: impl Iterator<Item = usize> + Clone) -> String {
    let most = n.clone().max().unwrap_or(0);
    let up_to = if n.clone().all(|n| n == most) { "" } else { "up to " };
    up_to.to_owned() + &count(most, "seed")
}

impl ReplicationPart {
    /// The seeds of each setting, such as `20 seeds`.
    pub fn seeds(&self) -> String {
        seeds(self.settings.iter().map(|row| row.n + row.diverged))
    }

    /// True if a setting has enough runs for intervals.
    pub fn has_intervals(&self) -> bool {
        self.settings.iter().any(|row| row.mean_95_low.is_some())
    }

    /// True if conclusions of the report were tested.
    pub fn has_verdicts(&self) -> bool {
        self.verdicts.as_ref().is_some_and(|rows| !rows.is_empty())
    }

    fn read(folder: &Path) -> Result<Option<Self>> {
        let Some(settings) = table(folder, "replication_summary.csv")? else {
            return Ok(None);
        };
        let runs = file(folder, "replication.csv", |bytes, path| {
            let rows: Vec<ReplicationRow> = from_csv(bytes, path)?;
            let replication = Replication::new(&rows).map_err(|error| Error::format(path, error.to_string()))?;
            Ok((strips(&replication), rows.first().map(Protocol::of_run)))
        })?;
        let (strips, protocol) = runs.unwrap_or_default();
        let charts = strips.iter().map(StripChart::new).collect();
        Ok(Some(Self { settings, verdicts: table(folder, "replication_verdicts.csv")?, charts, protocol }))
    }

    /// True if the course report states an accuracy for a setting, trained as here.
    pub fn is_comparable(&self) -> bool {
        self.settings.iter().any(|row| row.reported.is_some())
    }
}

impl AblationPart {
    /// The seeds of the configuration, such as `20 seeds`.
    pub fn seeds(&self) -> String {
        seeds(self.improvements.iter().map(|row| row.difference.n))
    }

    fn read(folder: &Path) -> Result<Option<Self>> {
        let Some(improvements) = table(folder, "ablation_summary.csv")? else {
            return Ok(None);
        };
        let protocol = Protocol::read::<AblationRow>(folder, "ablation.csv")?;
        Ok(Some(Self { chart: GainsChart::new(&gains(&improvements)), improvements, protocol }))
    }

    /// The mean test accuracy of the configuration.
    pub fn mean(&self) -> Option<f64> {
        self.improvements.first()?.mean_with
    }
}

impl OverfittingPart {
    /// The seeds of the comparison, such as `20 seeds`.
    pub fn seeds(&self) -> String {
        seeds(self.comparisons.iter().map(|row| row.n))
    }

    fn read(folder: &Path) -> Result<Option<Self>> {
        let Some(comparisons) = table(folder, "overfitting_summary.csv")? else {
            return Ok(None);
        };
        Ok(Some(Self { comparisons, protocol: Protocol::read::<OverfittingRow>(folder, "overfitting.csv")? }))
    }
}

impl Protocol {
    fn read<R: Row + AsRef<ReplicationRow>>(folder: &Path, name: &str) -> Result<Option<Self>> {
        let rows: Vec<R> = table(folder, name)?.unwrap_or_default();
        Ok(rows.first().map(|row| Self::of_run(row.as_ref())))
    }

    fn of_run(run: &ReplicationRow) -> Self {
        Self {
            epochs: run.hyperparameters.epochs,
            test_images: run.test_images,
            of_sample: is_of_sample(&run.train_split),
        }
    }

    /// In words, such as `40 epochs each, tested on 10,000 images`.
    pub fn words(&self) -> String {
        format!("{} each, tested on {}", count(self.epochs, "epoch"), count(self.test_images, "image"))
    }
}

impl SearchPart {
    fn read(folder: &Path) -> Result<Option<Self>> {
        let Some(mut trials) = table::<SearchRow>(folder, "search.csv")? else {
            return Ok(None);
        };
        let accuracy = |row: &SearchRow| row.validation_accuracy.unwrap_or(f64::NEG_INFINITY);
        trials.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)));
        let maps = HeatMap::all(&HeatMaps::new(&heat_map_trials(&trials)));
        // One of an earlier search in the same folder is of no trial here.
        let is_of = |best: &BestRow, row: &SearchRow| {
            (&best.hyperparameters, best.validation_accuracy) == (&row.hyperparameters, row.validation_accuracy)
        };
        let bests: Vec<BestRow> = table(folder, BEST_FILE)?.unwrap_or_default();
        let best = bests.into_iter().find(|best| trials.iter().any(|row| is_of(best, row)));
        Ok(Some(Self { trials, maps, best }))
    }
}

/// True if the largest problem of a gradient check, all training images, has as many as the sample.
fn checks_sample(rows: &[GradcheckRow]) -> bool {
    let [(train, ..), ..] = sample::PARTS;
    let images = |row: &GradcheckRow| row.problem.split_once(" images, ")?.0.parse::<usize>().ok();
    rows.iter().filter_map(images).max() == Some(train.records)
}

/// True if `split`, the description of a split, names a part of the sample.
fn is_of_sample(split: &str) -> bool {
    sample::PARTS.iter().any(|(file, ..)| split.split(['/', ' ']).any(|word| word == file.name))
}

/// True if `folder` has the table of a shard.
fn has_shards(folder: &Path) -> Result<bool> {
    let entries = fs::read_dir(folder).map_err(Error::io("read the folder", folder))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    Ok(names.into_iter().any(|name| Shard::names_table(&name)))
}

/// At most [`MAX_EPOCHS`] of `rows`, evenly spaced, including the last.
fn thin(rows: &[CurveRow]) -> Vec<CurveRow> {
    let every = rows.len().div_ceil(MAX_EPOCHS).max(1);
    let mut rows: Vec<_> = rows.iter().rev().step_by(every).cloned().collect();
    rows.reverse();
    rows
}

/// `bytes`, if they are a complete PNG.
pub fn picture(bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    let no_png = |reason| Error::format(path, format!("must be a PNG, but {reason}"));
    Decoder::new(bytes, Format::Png).and_then(Decoder::decode).map_err(no_png)?;
    Ok(bytes.to_vec())
}

/// The rows of the table `name` of `folder`, if it is there.
fn table<R: Row>(folder: &Path, name: &str) -> Result<Option<Vec<R>>> {
    file(folder, name, from_csv)
}

/// The content of the file `name`, as `read` returns it; `None` if `folder` has no such file.
pub fn file<T>(folder: &Path, name: &str, read: impl FnOnce(&[u8], &Path) -> Result<T>) -> Result<Option<T>> {
    // A name contains that of a setting, which comes from a file: it must not lead out of the folder.
    if name.contains(['/', '\\', ':', '\0']) {
        return Ok(None);
    }
    let path = folder.join(name);
    match files::read(&path) {
        Ok(bytes) => read(&bytes, &path).map(Some),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}
