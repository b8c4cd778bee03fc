//! The tables of an evaluation: one row per class, probability bin or image.

use std::path::Path;

use super::{Confusion, Outcomes};
use crate::dataset::cifar10::CLASS_NAMES;
use crate::error::{Error, Result};
use crate::files::csv::{Cell, Column, Dialect, RecordReader, RecordWriter, from_csv, row, to_csv};

/// One value per class of CIFAR-10; in a table one column per class, named after it.
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

row! {
    /// A row of `classes_<setting>.csv`: one class.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ClassRow {
        /// Name of the class.
        pub class: String,
        /// Number of examples of the class.
        pub examples: usize,
        /// Number of examples that were predicted as the class.
        pub predicted: usize,
        /// Number of these predictions that are correct.
        pub correct: usize,
        /// correct / predicted; `None` if the class was never predicted.
        pub precision: Option<f64>,
        /// correct / examples; `None` without examples.
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

row! {
    /// A row of `confusion_<setting>.csv`: the examples of one class.
    struct ConfusionRow {
        /// Name of the class.
        true_class: String,
        /// Number of its examples by predicted class.
        counts: PerClass<usize>,
    }
}

/// The content of `confusion_<setting>.csv`.
///
/// # Panics
///
/// If `confusion` does not have the ten classes of CIFAR-10.
pub fn confusion_csv(confusion: &Confusion, dialect: Dialect) -> Vec<u8> {
    assert_eq!(confusion.counts().len(), CLASS_NAMES.len().pow(2));
    let rows = CLASS_NAMES.iter().zip(confusion.counts().as_chunks().0);
    let row = |(name, counts): (&&str, &_)| ConfusionRow { true_class: name.to_string(), counts: PerClass(*counts) };
    to_csv(&rows.map(row).collect::<Vec<_>>(), dialect)
}

/// The inverse of [`confusion_csv`]. Errors name `path` as the file.
///
/// # Errors
///
/// [`Error::Format`] if it is another table or its rows are not the ten classes in their order.
pub fn read_confusion(bytes: &[u8], path: &Path) -> Result<Confusion> {
    let rows: Vec<ConfusionRow> = from_csv(bytes, path)?;
    let found: Vec<_> = rows.iter().map(|row| row.true_class.as_str()).collect();
    if found != CLASS_NAMES {
        let reason = format!("the rows must be {}, but are {:?}", CLASS_NAMES.join(", "), found.join(", "));
        return Err(Error::format(path, reason));
    }
    let counts = rows.iter().flat_map(|row| row.counts.0).collect();
    Ok(Confusion::from_counts(CLASS_NAMES.len(), counts))
}

row! {
    /// A row of `probabilities_<setting>.csv`: the examples whose true class has a probability of at least `lower` and
    /// less than `upper`; the last row includes 1.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct ProbabilityRow {
        /// Lower bound of the probability.
        pub lower: f64,
        /// Upper bound of the probability.
        pub upper: f64,
        /// Number of examples that are classified correctly.
        pub right: usize,
        /// Number of the other examples.
        pub wrong: usize,
    }
}

/// The rows of `probabilities_<setting>.csv`, 20 bins of equal width.
pub fn probability_rows(outcomes: &Outcomes) -> Vec<ProbabilityRow> {
    const BINS: usize = 20;
    let bound = |bin: usize| bin as f64 / BINS as f64;
    let empty = |bin: usize| ProbabilityRow { lower: bound(bin), upper: bound(bin + 1), right: 0, wrong: 0 };
    let mut rows: Vec<_> = (0..BINS).map(empty).collect();
    for (index, &label) in outcomes.labels.iter().enumerate() {
        let bin = (f64::from(outcomes.probability(index, label)) * BINS as f64) as usize;
        let row = &mut rows[bin.min(BINS - 1)];
        *(if outcomes.is_right(index) { &mut row.right } else { &mut row.wrong }) += 1;
    }
    rows
}

row! {
    /// A row of the table that `predict --csv` prints: one image.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PredictionRow {
        /// File of the image.
        pub image: String,
        /// The predicted class.
        pub class: String,
        /// Its probability.
        pub probability: f32,
        /// The probability of each class.
        pub probabilities: PerClass<f32>,
    }
}

/// One row per example of `outcomes`, whose files are `names`.
///
/// # Panics
///
/// If a predicted class is not one of CIFAR-10.
pub fn prediction_rows(names: &[String], outcomes: &Outcomes) -> Vec<PredictionRow> {
    let examples = names.iter().zip(&outcomes.predicted).zip(outcomes.probabilities.as_chunks().0);
    let row = |((name, &class), &probabilities): ((&String, &u8), &[f32; CLASS_NAMES.len()])| PredictionRow {
        image: name.clone(),
        class: CLASS_NAMES[usize::from(class)].into(),
        probability: probabilities[usize::from(class)],
        probabilities: PerClass(probabilities),
    };
    examples.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::csv::Row;

    const PATH: &str = "table.csv";

    fn lines<R: Row>(rows: &[R]) -> Vec<String> {
        let table = String::from_utf8(to_csv(rows, Dialect::Comma)).unwrap();
        table.lines().map(str::to_owned).collect()
    }

    /// All counts differ.
    fn confusion() -> Confusion {
        Confusion::from_counts(10, (0..100).collect())
    }

    #[test]
    fn the_precision_of_a_class_that_was_not_predicted_and_the_recall_of_one_without_examples_are_empty() {
        // Three cats: one predicted as a cat, two as dogs.
        let rows = class_rows(&Confusion::new(10, [(3, 3), (3, 5), (3, 5)]));
        let lines = lines(&rows);
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "class,examples,predicted,correct,precision,recall");
        assert_eq!(lines[1], "airplane,0,0,0,,");
        assert_eq!(lines[4], "cat,3,1,1,1.0,0.3333333333333333");
        assert_eq!(lines[6], "dog,0,2,0,0.0,");
        let read: Vec<ClassRow> = from_csv(&to_csv(&rows, Dialect::Comma), Path::new(PATH)).unwrap();
        assert_eq!(read, rows);
    }

    #[test]
    fn the_columns_of_a_confusion_matrix_are_the_classes_in_their_order() {
        assert_eq!(ConfusionRow::columns()[1..], CLASS_NAMES);
        let text = String::from_utf8(confusion_csv(&confusion(), Dialect::Comma)).unwrap();
        assert_eq!(text.lines().nth(1), Some("airplane,0,1,2,3,4,5,6,7,8,9"));
        assert_eq!(text.lines().nth(10), Some("truck,90,91,92,93,94,95,96,97,98,99"));
    }

    #[test]
    fn a_confusion_matrix_reads_back_as_it_was() {
        let read = read_confusion(&confusion_csv(&confusion(), Dialect::Comma), Path::new(PATH)).unwrap();
        assert_eq!(read, confusion());
    }

    #[test]
    fn a_confusion_matrix_with_other_rows_is_refused() {
        let text = String::from_utf8(confusion_csv(&confusion(), Dialect::Comma)).unwrap();
        for bad in [text.replace("\ntruck", "\nlorry"), text.replace("truck,90,91,92,93,94,95,96,97,98,99\n", "")] {
            let error = read_confusion(bad.as_bytes(), Path::new(PATH)).unwrap_err();
            assert!(error.to_string().contains("the rows must be airplane,"), "{error}");
        }
    }

    #[test]
    fn each_probability_bin_has_its_bounds_and_both_counts() {
        // 30 examples whose class 0 has the probability 1 and 60 whose class 1 has the probability 0.
        let outcomes = Outcomes {
            labels: [vec![0; 30], vec![1; 60]].concat(),
            losses: vec![0.0; 90],
            predicted: vec![0; 90],
            probabilities: [1.0, 0.0].repeat(90),
            classes: 2,
            squared_norm: 0.0,
        };
        let lines = lines(&probability_rows(&outcomes));
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[..2], ["lower,upper,right,wrong", "0.0,0.05,0,60"]);
        assert_eq!(lines[20], "0.95,1.0,30,0");
    }

    #[test]
    fn an_image_has_its_predicted_class_and_the_probability_of_each_class() {
        let mut probabilities = vec![0.0625; 10];
        (probabilities[3], probabilities[5]) = (0.25, 0.25);
        let outcomes = Outcomes {
            labels: vec![0],
            losses: vec![0.0],
            predicted: vec![3],
            probabilities,
            classes: 10,
            squared_norm: 0.0,
        };
        let rows = prediction_rows(&["a, b.png".into()], &outcomes);
        assert_eq!(
            lines(&rows),
            [
                "image,class,probability,airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck",
                "\"a, b.png\",cat,0.25,0.0625,0.0625,0.0625,0.25,0.0625,0.25,0.0625,0.0625,0.0625,0.0625"
            ]
        );
    }

    #[test]
    fn a_bin_has_its_lower_bound_and_the_last_one_has_both() {
        let bins = |probability: f32| {
            let outcomes = Outcomes {
                labels: vec![1],
                losses: vec![0.0],
                predicted: vec![1],
                probabilities: vec![0.0, probability],
                classes: 2,
                squared_norm: 0.0,
            };
            let rows = probability_rows(&outcomes);
            assert_eq!(rows.iter().map(|row| row.right + row.wrong).sum::<usize>(), 1);
            rows.into_iter().find(|row| row.right == 1).map(|row| (row.lower, row.upper)).unwrap()
        };
        for (probability, lower, upper) in [
            (0.0, 0.0, 0.05),
            (0.25_f32.next_down(), 0.2, 0.25),
            (0.25, 0.25, 0.3),
            (0.5_f32.next_down(), 0.45, 0.5),
            (0.5, 0.5, 0.55),
            (1.0_f32.next_down(), 0.95, 1.0),
            (1.0, 0.95, 1.0),
        ] {
            assert_eq!(bins(probability), (lower, upper), "{probability}");
        }
    }

    #[test]
    #[should_panic(expected = "assertion `left == right` failed")]
    fn a_confusion_matrix_of_other_classes_is_not_written() {
        confusion_csv(&Confusion::new(9, []), Dialect::Comma);
    }

    #[test]
    fn the_refusal_of_other_rows_names_them() {
        let text = String::from_utf8(confusion_csv(&confusion(), Dialect::Comma)).unwrap();
        let error = read_confusion(text.replace("\ncat", "\ndog").as_bytes(), Path::new(PATH)).unwrap_err();
        let names = "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck";
        let expected = format!("table.csv: the rows must be {names}, but are {:?}", names.replace("cat", "dog"));
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn each_image_is_named_with_the_probability_of_its_predicted_class() {
        let mut probabilities = vec![0.05; 20];
        (probabilities[9], probabilities[10]) = (0.55, 0.5);
        let outcomes = Outcomes {
            labels: vec![0, 0],
            losses: vec![0.0; 2],
            predicted: vec![9, 0],
            probabilities,
            classes: 10,
            squared_norm: 0.0,
        };
        let rows = prediction_rows(&["a.png".into(), "b.png".into()], &outcomes);
        let found: Vec<_> = rows.iter().map(|row| (&row.image[..], &row.class[..], row.probability)).collect();
        assert_eq!(found, [("a.png", "truck", 0.55), ("b.png", "airplane", 0.5)]);
    }
}
