//! `classes_<setting>.csv`: how well a model recognises each class.

use crate::dataset::cifar10::CLASS_NAMES;
use crate::evaluate::Confusion;
use crate::files::csv::{Cell, Column, RecordReader, RecordWriter, row};

row! {
    /// A row: one class of CIFAR-10.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ClassRow {
        /// The class's name.
        pub class: String,
        /// The number of its examples.
        pub examples: usize,
        /// How often it was predicted.
        pub predicted: usize,
        /// How often it was predicted rightly.
        pub correct: usize,
        /// correct / predicted; `None` if it was never predicted.
        pub precision: Option<f64>,
        /// correct / examples; `None` if there is no example.
        pub recall: Option<f64>,
    }
}

/// The rows of `classes_<setting>.csv`.
///
/// # Panics
///
/// If `confusion` has fewer classes than CIFAR-10.
pub fn class_rows(confusion: &Confusion) -> Vec<ClassRow> {
    let row = |(class, name): (usize, &&str)| ClassRow {
        class: name.to_string(),
        examples: confusion.examples(class),
        predicted: confusion.predictions(class),
        correct: confusion.count(class, class),
        precision: confusion.precision(class),
        recall: confusion.recall(class),
    };
    CLASS_NAMES.iter().enumerate().map(row).collect()
}

/// A value per class of CIFAR-10; in a table one column per class, named after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerClass<T>(pub [T; CLASS_NAMES.len()]);

impl<T: Cell> Column for PerClass<T> {
    fn add_names(_: &'static str, names: &mut Vec<&'static str>) {
        names.extend(CLASS_NAMES);
    }

    fn write(&self, record: &mut RecordWriter) {
        self.0.iter().for_each(|value| value.write(record));
    }

    fn read(record: &mut RecordReader) -> Result<Self, String> {
        let values: Vec<T> = CLASS_NAMES.iter().map(|_| T::read(record)).collect::<Result<_, _>>()?;
        Ok(Self(values.try_into().unwrap_or_else(|_| unreachable!("one value per class was read"))))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::csv::{Dialect, from_csv, to_csv};

    #[test]
    fn what_a_class_lacks_is_an_empty_field() {
        // Three cats, one recognised, two taken for dogs.
        let rows = class_rows(&Confusion::new(10, [(3, 3), (3, 5), (3, 5)]));
        let table = String::from_utf8(to_csv(&rows, Dialect::Comma)).unwrap();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "class,examples,predicted,correct,precision,recall");
        assert_eq!(lines[1], "airplane,0,0,0,,");
        assert_eq!(lines[4], "cat,3,1,1,1.0,0.3333333333333333");
        assert_eq!(lines[6], "dog,0,2,0,0.0,");
        let read: Vec<ClassRow> = from_csv(table.as_bytes(), Path::new("classes.csv")).unwrap();
        assert_eq!(read, rows);
    }
}
