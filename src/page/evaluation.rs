//! What `evaluate` wrote about a model, read from its files.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::evaluate::Confusion;
use crate::evaluate::table::read_confusion;
use crate::page::confident::Confident;
use crate::page::contents::{SettingPart, file};

/// A model on a split, other than the settings on the test split.
pub struct Evaluation {
    /// The name of the model.
    pub model: String,
    /// The split: `test`, `validation` or `train`.
    pub split: &'static str,
    /// `confusion_<name>.csv`; recall and precision, those of `classes_<name>.csv`, follow from it.
    pub confusion: Confusion,
    /// `confident_<name>.png`.
    pub confident: Option<Confident>,
}

impl Evaluation {
    /// Those in `folder`, by file name, without the ones that belong to `settings`, or to other settings of an earlier training
    /// into the folder: only `evaluate` writes `classes_<name>.csv`, only `train` writes `curves_<name>.csv`.
    pub fn read_all(folder: &Path, settings: &[SettingPart]) -> Result<Vec<Self>> {
        let entries = fs::read_dir(folder).map_err(Error::io("read the folder", folder))?;
        let name = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("confusion_")?.strip_suffix(".csv")?.to_owned())
        };
        let mut names: Vec<String> = entries.filter_map(|entry| name(entry.ok()?)).collect();
        names.retain(|name| settings.iter().all(|setting| setting.summary.setting != *name));
        let has = |table: &str, name: &str| folder.join(format!("{table}_{name}.csv")).exists();
        names.retain(|name| has("classes", name) || !has("curves", name));
        names.sort();
        let evaluations = names.iter().map(|name| Self::read(folder, name));
        evaluations.filter_map(Result::transpose).collect()
    }

    fn read(folder: &Path, name: &str) -> Result<Option<Self>> {
        let Some(confusion) = file(folder, &format!("confusion_{name}.csv"), read_confusion)? else {
            return Ok(None);
        };
        let of_split = |split: &'static str| Some((name.strip_suffix(split)?.strip_suffix('_')?, split));
        let (model, split) = of_split("train").or_else(|| of_split("validation")).unwrap_or((name, "test"));
        let confident = Confident::read(folder, name, Some(&confusion))?;
        Ok(Some(Self { model: model.into(), split, confusion, confident }))
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.confusion.counts().iter().sum()
    }

    /// The share of the images that are classified correctly.
    pub fn accuracy(&self) -> Option<f64> {
        self.confusion.accuracy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::table::confusion_csv;
    use crate::files::csv::Dialect;

    #[test]
    fn an_evaluation_is_of_the_split_at_the_end_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let ten = |right: usize, wrong: usize| {
            let mut counts = vec![0; 100];
            (counts[0], counts[1]) = (right, wrong);
            confusion_csv(&Confusion::from_counts(10, counts), Dialect::Comma)
        };
        for name in ["train", "b_test", "b_train", "a_validation", "a"] {
            fs::write(folder.path().join(format!("confusion_{name}.csv")), ten(3, 2)).unwrap();
        }
        for name in ["confusion_a.txt", "my_confusion_a.csv", "confusion_.png"] {
            fs::write(folder.path().join(name), "nothing to read").unwrap();
        }
        let found = Evaluation::read_all(folder.path(), &[]).unwrap();
        let names: Vec<_> = found.iter().map(|evaluation| (evaluation.model.as_str(), evaluation.split)).collect();
        let expected = [("a", "test"), ("a", "validation"), ("b_test", "test"), ("b", "train"), ("train", "test")];
        assert_eq!(names, expected);
        assert!(found.iter().all(|evaluation| (evaluation.images(), evaluation.accuracy()) == (5, Some(0.6))));
    }
}
