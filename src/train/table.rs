//! The tables of a training: `summary.csv`, one row per setting, and `curves_<setting>.csv`, one row per epoch.

use serde::{Deserialize, Serialize};

use crate::files::csv::Row;

/// A row of `summary.csv`: one setting, after its last epoch.
///
/// A loss, cost or accuracy is `None` where training diverged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// The setting's name, as it stands in file names.
    pub setting: String,
    /// λ, the weight of the penalty.
    pub lambda: f64,
    /// η, the learning rate.
    pub eta: f64,
    /// Examples a mini-batch.
    pub batch_size: usize,
    /// Epochs asked for.
    pub epochs: usize,
    /// The seed of the initial weights and of the shuffling.
    pub seed: u64,
    /// Loss on the training split.
    pub train_loss: Option<f64>,
    /// Cost on the training split.
    pub train_cost: Option<f64>,
    /// Accuracy on the training split.
    pub train_accuracy: Option<f64>,
    /// Loss on the validation split.
    pub validation_loss: Option<f64>,
    /// Cost on the validation split.
    pub validation_cost: Option<f64>,
    /// Accuracy on the validation split.
    pub validation_accuracy: Option<f64>,
    /// Loss on the test split.
    pub test_loss: Option<f64>,
    /// Accuracy on the test split.
    pub test_accuracy: Option<f64>,
    /// The test accuracy that the report states for this setting, if it has it.
    pub reported_test_accuracy: Option<f64>,
    /// Seconds of training and of the evaluation after each epoch.
    pub train_seconds: f64,
}

impl Row for SummaryRow {
    const COLUMNS: &'static [&'static str] = &[
        "setting",
        "lambda",
        "eta",
        "batch_size",
        "epochs",
        "seed",
        "train_loss",
        "train_cost",
        "train_accuracy",
        "validation_loss",
        "validation_cost",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "reported_test_accuracy",
        "train_seconds",
    ];
}

/// A row of `curves_<setting>.csv`: one epoch.
///
/// A loss, cost or accuracy is `None` from the epoch on in which training diverged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveRow {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// η during this epoch.
    pub learning_rate: f64,
    /// Loss on the whole training split, after the epoch.
    pub train_loss: Option<f64>,
    /// Cost on the whole training split, after the epoch.
    pub train_cost: Option<f64>,
    /// Accuracy on the whole training split, after the epoch.
    pub train_accuracy: Option<f64>,
    /// Loss on the validation split, after the epoch.
    pub validation_loss: Option<f64>,
    /// Cost on the validation split, after the epoch.
    pub validation_cost: Option<f64>,
    /// Accuracy on the validation split, after the epoch.
    pub validation_accuracy: Option<f64>,
    /// Seconds that the epoch took, its evaluation included.
    pub epoch_seconds: f64,
}

impl Row for CurveRow {
    const COLUMNS: &'static [&'static str] = &[
        "epoch",
        "learning_rate",
        "train_loss",
        "train_cost",
        "train_accuracy",
        "validation_loss",
        "validation_cost",
        "validation_accuracy",
        "epoch_seconds",
    ];
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::csv::{from_csv, to_csv};
    use crate::files::dialect::Dialect;
    use proptest::prelude::*;

    const PATH: &str = "table.csv";

    fn row() -> CurveRow {
        CurveRow {
            epoch: 1,
            learning_rate: 0.001,
            train_loss: Some(1.9),
            train_cost: Some(2.1),
            train_accuracy: Some(0.25),
            validation_loss: None,
            validation_cost: None,
            validation_accuracy: None,
            epoch_seconds: 0.5,
        }
    }

    #[test]
    fn a_missing_value_is_an_empty_field() {
        let text = String::from_utf8(to_csv::<CurveRow>(&[row()])).unwrap();
        assert_eq!(text.lines().nth(1), Some("1,0.001,1.9,2.1,0.25,,,,0.5"));
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_by_line_and_column() {
        let table = String::from_utf8(to_csv::<CurveRow>(&[row(), row()])).unwrap();
        for bad in ["NaN", "inf", "-inf", "infinity", "1e999"] {
            let (first, last) = table.rsplit_once("2.1").unwrap();
            let altered = format!("{first}{bad}{last}");
            let read = from_csv::<CurveRow>(altered.as_bytes(), Path::new(PATH));
            let message = format!("table.csv: line 3: train_cost must be finite, but is {bad}");
            assert_eq!(read.unwrap_err().to_string(), message);
        }
        assert!(from_csv::<CurveRow>(table.as_bytes(), Path::new(PATH)).is_ok());
    }

    #[test]
    fn the_header_is_written_without_rows_too() {
        assert_eq!(
            String::from_utf8(to_csv::<SummaryRow>(&[])).unwrap(),
            "setting,lambda,eta,batch_size,epochs,seed,train_loss,train_cost,train_accuracy,validation_loss,\
             validation_cost,validation_accuracy,test_loss,test_accuracy,reported_test_accuracy,train_seconds\n"
        );
        assert_eq!(
            String::from_utf8(to_csv::<CurveRow>(&[])).unwrap(),
            "epoch,learning_rate,train_loss,train_cost,train_accuracy,validation_loss,validation_cost,\
             validation_accuracy,epoch_seconds\n"
        );
    }

    /// Field names as serde knows them, from the header that the csv crate derives itself.
    fn derived_header<R: Serialize>(row: &R) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(row).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        text.lines().next().unwrap().to_owned()
    }

    fn summary_row() -> SummaryRow {
        SummaryRow {
            setting: "lambda0_eta0.1".into(),
            lambda: 0.0,
            eta: 0.1,
            batch_size: 100,
            epochs: 40,
            seed: u64::MAX,
            train_loss: Some(5.0),
            train_cost: Some(5.0),
            train_accuracy: Some(0.4),
            validation_loss: Some(8.0),
            validation_cost: Some(8.0),
            validation_accuracy: Some(0.3),
            test_loss: Some(8.0),
            test_accuracy: Some(0.2877),
            reported_test_accuracy: None,
            train_seconds: 12.5,
        }
    }

    #[test]
    fn the_columns_are_the_fields_in_their_order() {
        assert_eq!(derived_header(&row()), CurveRow::COLUMNS.join(","));
        assert_eq!(derived_header(&summary_row()), SummaryRow::COLUMNS.join(","));
    }

    #[test]
    fn a_summary_reads_back_as_it_was() {
        let rows = vec![summary_row(); 2];
        let read: Vec<SummaryRow> = from_csv(&to_csv::<SummaryRow>(&rows), Path::new(PATH)).unwrap();
        assert_eq!(read, rows);
    }

    #[test]
    fn a_table_reads_back_from_a_spreadsheet_with_semicolons() {
        let table = "\u{feff}epoch;learning_rate;train_loss;train_cost;train_accuracy;validation_loss;validation_cost;\
                     validation_accuracy;epoch_seconds\r\n1;0,001;1,9;2,1;0,25;;;;0,5\r\n";
        let read: Vec<CurveRow> = from_csv(table.as_bytes(), Path::new(PATH)).unwrap();
        assert_eq!(read, [row()]);
    }

    #[test]
    fn a_decimal_comma_between_commas_is_refused() {
        let text = String::from_utf8(to_csv::<CurveRow>(&[row()])).unwrap();
        let bad = text.replace("1.9", "\"1,9\"");
        assert!(from_csv::<CurveRow>(bad.as_bytes(), Path::new(PATH)).is_err());
    }

    #[test]
    fn another_header_is_refused_in_one_line() {
        let error = from_csv::<CurveRow>(&to_csv::<SummaryRow>(&[]), Path::new(PATH)).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("table.csv: the columns must be epoch,learning_rate,"));
        assert!(message.contains("setting,lambda"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }

    #[test]
    fn a_field_that_is_no_number_is_refused() {
        let text = String::from_utf8(to_csv::<CurveRow>(&[row()])).unwrap();
        let bad = text.replace("0.25", "a quarter");
        let error = from_csv::<CurveRow>(bad.as_bytes(), Path::new(PATH)).unwrap_err();
        assert!(error.to_string().contains("line: 2"), "{error}");
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_by_name() {
        let text = String::from_utf8(to_csv::<CurveRow>(&[row()])).unwrap();
        for found in ["NaN", "-inf", "1e999"] {
            let bad = text.replace("0.25", found);
            let error = from_csv::<CurveRow>(bad.as_bytes(), Path::new(PATH)).unwrap_err();
            let expected = format!("table.csv: line 2: train_accuracy must be finite, but is {found}");
            assert_eq!(error.to_string(), expected);
        }
    }

    fn number() -> impl Strategy<Value = f64> {
        any::<f64>().prop_filter("finite", |v| v.is_finite())
    }

    fn any_row() -> impl Strategy<Value = CurveRow> {
        let six = proptest::array::uniform6(proptest::option::of(number()));
        (any::<usize>(), number(), six, number()).prop_map(|(epoch, learning_rate, six, seconds)| {
            let [train_loss, train_cost, train_accuracy, validation_loss, validation_cost, validation_accuracy] = six;
            CurveRow {
                epoch,
                learning_rate,
                train_loss,
                train_cost,
                train_accuracy,
                validation_loss,
                validation_cost,
                validation_accuracy,
                epoch_seconds: seconds,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_number_reads_back_bit_for_bit(rows in prop::collection::vec(any_row(), 0..8)) {
            for dialect in [Dialect::Comma, Dialect::Semicolon] {
                let table = to_csv::<CurveRow>(&rows);
                let read: Vec<CurveRow> = from_csv(&dialect.translate(&table), Path::new(PATH)).unwrap();
                prop_assert_eq!(format!("{read:?}"), format!("{rows:?}"));
            }
        }

        #[test]
        fn a_setting_of_any_characters_reads_back(setting in "\\PC*|[,\"\n\r; ]*") {
            let rows = [SummaryRow { setting, ..summary_row() }];
            let read: Vec<SummaryRow> = from_csv(&to_csv::<SummaryRow>(&rows), Path::new(PATH)).unwrap();
            prop_assert_eq!(&read[..], &rows[..]);
        }

        #[test]
        fn altered_bytes_are_read_or_refused(
            mut bytes in Just(to_csv::<CurveRow>(&[row(), row()])),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = from_csv::<CurveRow>(&bytes, Path::new(PATH));
        }
    }
}
