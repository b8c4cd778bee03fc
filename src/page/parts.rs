//! Reads back what the page shows.

use std::fs;
use std::io::{Cursor, ErrorKind};
use std::path::Path;

use image::{ImageFormat, ImageReader};
use rayon::prelude::*;

use crate::dataset::cifar10::SIDE;
use crate::error::{Error, Result};
use crate::evaluate::Confusion;
use crate::evaluate::table::read_confusion;
use crate::figures::snapshots;
use crate::files::csv::{Row, from_csv};
use crate::gradcheck::table::GradcheckRow;
use crate::hyperparameters::short;
use crate::replicate::{SummaryRow as ReplicatedSetting, VerdictRow};
use crate::search::table::SearchRow;
use crate::statistics::points;
use crate::train::provenance::{self, Provenance};
use crate::train::table::{CurveRow, SummaryRow};

/// The most epochs of a setting that are shown one by one; of more, evenly chosen ones.
const MAX_EPOCHS: usize = snapshots::MAX_EPOCHS;

/// What a results folder holds, as far as the page shows it.
pub struct Parts {
    /// Those of `summary.csv`, in its order.
    pub settings: Vec<SettingPart>,
    /// `gradcheck.csv`.
    pub gradcheck: Option<Vec<GradcheckRow>>,
    /// `replication_summary.csv`, `replication_verdicts.csv` and `replication.png`.
    pub replication: Option<Replication>,
    /// `search.csv` and `search.png`.
    pub search: Option<Search>,
    /// `provenance.json`.
    pub provenance: Option<Provenance>,
    /// The files that are not there.
    pub missing: Vec<Missing>,
}

/// A setting and its files.
pub struct SettingPart {
    pub summary: SummaryRow,
    /// `curves_<setting>.csv`.
    pub curves: Option<Vec<CurveRow>>,
    /// Whether `curves` lacks epochs, because there are too many.
    pub thinned: bool,
    /// `snapshots_<setting>.jpg`.
    pub snapshots: Option<Sheet>,
    /// `weights_<setting>.png`, which shows what the last snapshot shows.
    pub weights: Option<Vec<u8>>,
    /// `confusion_<setting>.csv`.
    pub confusion: Option<Confusion>,
}

/// The picture of a setting's weights after each epoch.
pub struct Sheet {
    pub bytes: Vec<u8>,
    pub epochs: usize,
}

impl Sheet {
    /// Where the picture must be for its last line to be seen, in pixels.
    pub fn last_offset(&self) -> i64 {
        -((self.epochs.saturating_sub(1) * SIDE) as i64)
    }
}

/// Many seeds of the same settings, and what follows from them.
pub struct Replication {
    /// A setting each.
    pub settings: Vec<ReplicatedSetting>,
    /// A conclusion of the report each; none without their table.
    pub verdicts: Vec<VerdictRow>,
    /// The accuracies of all runs.
    pub figure: Option<Vec<u8>>,
}

impl Replication {
    fn read(folder: &Reader) -> Result<Option<Self>> {
        let Some(settings) = folder.table("replication_summary.csv")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            settings,
            verdicts: folder.table("replication_verdicts.csv")?.unwrap_or_default(),
            figure: folder.file("replication.png", picture)?,
        }))
    }
}

/// A search of settings.
pub struct Search {
    /// The trials, that with the highest accuracy on validation first.
    pub trials: Vec<SearchRow>,
    /// The heat map.
    pub figure: Option<Vec<u8>>,
}

impl Search {
    fn read(folder: &Reader) -> Result<Option<Self>> {
        let Some(mut trials) = folder.table::<SearchRow>("search.csv")? else {
            return Ok(None);
        };
        let accuracy = |row: &SearchRow| row.validation_accuracy.unwrap_or(f64::NEG_INFINITY);
        trials.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)));
        Ok(Some(Self { trials, figure: folder.file("search.png", picture)? }))
    }
}

/// A file that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What it would show.
    pub what: &'static str,
    pub file: String,
    /// Which command writes it.
    pub command: &'static str,
}

impl Parts {
    /// Reads the folder.
    pub fn read(path: &Path) -> Result<Self> {
        fs::read_dir(path).map_err(Error::io("read the folder", path))?;
        let folder = Reader { folder: path };
        let summary: Option<Vec<SummaryRow>> = folder.table("summary.csv")?;
        let settings: Result<Vec<_>> = summary
            .iter()
            .flatten()
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|row| SettingPart::read(&folder, row.clone()))
            .collect();
        let mut parts = Self {
            settings: settings?,
            gradcheck: folder.table("gradcheck.csv")?,
            replication: Replication::read(&folder)?,
            search: Search::read(&folder)?,
            provenance: folder.file(provenance::FILE, Provenance::from_json)?,
            missing: Vec::new(),
        };
        parts.missing = parts.missing_files();
        if parts.settings.is_empty() && parts.gradcheck.is_none() {
            return Err(Error::format(
                path,
                "there is nothing to show: no summary.csv, which `onelayer train` writes, and no gradcheck.csv, \
                         which `onelayer gradcheck` writes",
            ));
        }
        Ok(parts)
    }

    /// The setting with the highest accuracy on the test split.
    pub fn best(&self) -> Option<&SummaryRow> {
        let rows = self.settings.iter().map(|setting| &setting.summary);
        let tested = rows.filter(|row| row.test_accuracy.is_some());
        tested.max_by(|a, b| a.test_accuracy.partial_cmp(&b.test_accuracy).expect("no NaN is read from a table"))
    }

    fn missing_files(&self) -> Vec<Missing> {
        let of_folder = [
            ("Accuracies", "summary.csv", "train", self.settings.is_empty()),
            ("Gradient check", "gradcheck.csv", "gradcheck", self.gradcheck.is_none()),
            ("Replication", "replication_summary.csv", "replicate", self.replication.is_none()),
            ("Search", "search.csv", "search", self.search.is_none()),
            ("Provenance", provenance::FILE, "train", self.provenance.is_none()),
        ];
        let of_folder = of_folder
            .into_iter()
            .filter(|&(.., is_missing)| is_missing)
            .map(|(what, file, command, _)| Missing { what, file: file.into(), command });
        let of_settings = self.settings.iter().flat_map(SettingPart::missing_files);
        of_folder.chain(of_settings).collect()
    }
}

impl SettingPart {
    fn read(folder: &Reader, summary: SummaryRow) -> Result<Self> {
        let name = &summary.setting;
        let all: Option<Vec<CurveRow>> = folder.table(&format!("curves_{name}.csv"))?;
        let snapshots = folder.file(&format!("snapshots_{name}.jpg"), |bytes, path| {
            let epochs = snapshots::epochs(bytes, path)?;
            match &all {
                Some(rows) if rows.len() != epochs => Err(Error::format(
                    path,
                    format!("must show the {} epochs of curves_{name}.csv, but shows {epochs}", rows.len()),
                )),
                _ => Ok(Sheet { bytes: bytes.to_vec(), epochs }),
            }
        })?;
        let shown = all.as_ref().map(|rows| thin(rows));
        Ok(Self {
            thinned: shown.as_ref().map(Vec::len) != all.as_ref().map(Vec::len),
            curves: shown,
            weights: match snapshots {
                Some(_) => None,
                None => folder.file(&format!("weights_{name}.png"), picture)?,
            },
            snapshots,
            confusion: folder.file(&format!("confusion_{name}.csv"), read_confusion)?,
            summary,
        })
    }

    /// `λ = 0, η = 0.1`.
    pub fn title(&self) -> String {
        let [lambda, eta] = [self.summary.hyperparameters.lambda, self.summary.hyperparameters.eta].map(short);
        format!("λ\u{a0}=\u{a0}{lambda}, η\u{a0}=\u{a0}{eta}")
    }

    /// How far the accuracy is from the reported one, in percentage points.
    pub fn difference(&self) -> String {
        let both = self.summary.test_accuracy.zip(self.summary.reported_test_accuracy);
        both.map_or("–".into(), |(ours, theirs)| points(ours - theirs).replace('-', "−"))
    }

    fn missing_files(&self) -> Vec<Missing> {
        let name = &self.summary.setting;
        // One that diverged has neither weights nor predictions to show.
        let trained = self.summary.train_loss.is_some();
        let weights = self.snapshots.is_some() || self.weights.is_some();
        let files = [
            ("Curves", format!("curves_{name}.csv"), self.curves.is_none()),
            ("Weights", format!("snapshots_{name}.jpg"), trained && !weights),
            ("Confusion matrix", format!("confusion_{name}.csv"), trained && self.confusion.is_none()),
        ];
        let missing = files.into_iter().filter(|(.., is_missing)| *is_missing);
        missing.map(|(what, file, _)| Missing { what, file, command: "train" }).collect()
    }
}

/// At most [`MAX_EPOCHS`] of `rows`, evenly spaced, the last among them.
fn thin(rows: &[CurveRow]) -> Vec<CurveRow> {
    let every = rows.len().div_ceil(MAX_EPOCHS).max(1);
    let mut rows: Vec<_> = rows.iter().rev().step_by(every).cloned().collect();
    rows.reverse();
    rows
}

/// A PNG, seen to be whole.
fn picture(bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png)
        .decode()
        .map_err(|e| Error::format(path, format!("must be a PNG, but {e}")))?;
    Ok(bytes.to_vec())
}

/// Reads files of a folder, if they are there.
struct Reader<'a> {
    folder: &'a Path,
}

impl Reader<'_> {
    fn table<R: Row>(&self, name: &str) -> Result<Option<Vec<R>>> {
        self.file(name, from_csv)
    }

    /// What `read` makes of the file `name`; `None` when there is no such file in the folder.
    fn file<T>(&self, name: &str, read: impl FnOnce(&[u8], &Path) -> Result<T>) -> Result<Option<T>> {
        // A name is partly that of a setting, which stands in a file: it must not lead out of the folder.
        if name.contains(['/', '\\', ':', '\0']) {
            return Ok(None);
        }
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => read(&bytes, &path).map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path)(e)),
        }
    }
}
