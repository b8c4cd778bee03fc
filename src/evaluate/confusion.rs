//! `confusion_<setting>.csv`: a row a true class, with a column for each predicted one.

use std::path::Path;

use crate::dataset::cifar10::{CLASS_NAMES, DIMS};
use crate::error::{Error, Result};
use crate::evaluate::Confusion;
use crate::evaluate::classes::PerClass;
use crate::files::csv::{Dialect, from_csv, row, to_csv};

row! {
    /// A row: the images of one class, by the class that they were taken for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ConfusionRow {
        /// The class of the images.
        pub true_class: String,
        /// Number of these images by predicted class.
        pub counts: PerClass<usize>,
    }
}

/// The content of `confusion_<setting>.csv`.
///
/// # Panics
///
/// If `confusion` is not of the ten classes of CIFAR-10.
pub fn confusion_csv(confusion: &Confusion, dialect: Dialect) -> Vec<u8> {
    assert_eq!(confusion.classes(), DIMS.classes);
    let row = |(truth, name): (usize, &&str)| ConfusionRow {
        true_class: name.to_string(),
        counts: PerClass(std::array::from_fn(|predicted| confusion.count(truth, predicted))),
    };
    let rows: Vec<_> = CLASS_NAMES.iter().enumerate().map(row).collect();
    to_csv(&rows, dialect)
}

/// Reads what [`confusion_csv`] wrote. `path` is what an error names.
///
/// # Errors
///
/// [`Error::Format`] when it is another table, or its rows are not the ten classes in their order.
pub fn read_confusion(bytes: &[u8], path: &Path) -> Result<Confusion> {
    let rows: Vec<ConfusionRow> = from_csv(bytes, path)?;
    let found: Vec<_> = rows.iter().map(|row| row.true_class.as_str()).collect();
    if found != CLASS_NAMES {
        return Err(Error::format(
            path,
            format!("the rows must be {}, but are {:?}", CLASS_NAMES.join(", "), found.join(", ")),
        ));
    }
    let counts = rows.iter().flat_map(|row| row.counts.0).collect();
    Ok(Confusion::from_counts(DIMS.classes, counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::csv::Row;

    const PATH: &str = "confusion.csv";

    /// Every count another one.
    fn confusion() -> Confusion {
        Confusion::from_counts(10, (0..100).collect())
    }

    #[test]
    fn the_columns_are_the_classes_in_their_order() {
        assert_eq!(ConfusionRow::columns()[1..], CLASS_NAMES);
        let text = String::from_utf8(confusion_csv(&confusion(), Dialect::Comma)).unwrap();
        assert_eq!(text.lines().nth(1), Some("airplane,0,1,2,3,4,5,6,7,8,9"));
        assert_eq!(text.lines().nth(10), Some("truck,90,91,92,93,94,95,96,97,98,99"));
    }

    #[test]
    fn a_matrix_reads_back_as_it_was() {
        let read = read_confusion(&confusion_csv(&confusion(), Dialect::Comma), Path::new(PATH)).unwrap();
        assert_eq!(read, confusion());
    }

    #[test]
    fn rows_in_another_order_are_refused() {
        let text = String::from_utf8(confusion_csv(&confusion(), Dialect::Comma)).unwrap();
        for bad in [text.replace("\ntruck", "\nlorry"), text.replace("truck,90,91,92,93,94,95,96,97,98,99\n", "")] {
            let error = read_confusion(bad.as_bytes(), Path::new(PATH)).unwrap_err();
            assert!(error.to_string().contains("the rows must be airplane,"), "{error}");
        }
    }
}
