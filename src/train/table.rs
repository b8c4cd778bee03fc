//! The tables of a training: `summary.csv`, one row per setting, and `curves_<setting>.csv`, one row per epoch.

use crate::evaluate::Scores;
use crate::figures::{Curves, Unit};
use crate::files::csv::row;
use crate::hyperparameters::Hyperparameters;
use crate::train::{Epoch, Run, SplitScores};

row! {
    /// Columns of the scores on the training and the validation split, after an epoch.
    ///
    /// A value is `None` once training has diverged, or if the split is empty.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct ScoreColumns {
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
    }
}

row! {
    /// A row of `summary.csv`: one setting after its last epoch.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SummaryRow {
        /// The setting's name, as in file names.
        pub setting: String,
        /// The hyperparameters.
        pub hyperparameters: Hyperparameters,
        /// The scores after the last epoch.
        pub scores: ScoreColumns,
        /// Loss on the test split; `None` if training diverged.
        pub test_loss: Option<f64>,
        /// Accuracy on the test split, likewise.
        pub test_accuracy: Option<f64>,
        /// The test accuracy that the report states for this run, if it follows the report's protocol.
        pub reported_test_accuracy: Option<f64>,
        /// Seconds of training, with the evaluation after each epoch.
        pub train_seconds: f64,
    }
}

row! {
    /// A row of `curves_<setting>.csv`: one epoch.
    #[derive(Clone, Debug, PartialEq)]
    pub struct CurveRow {
        /// The epoch, counted from 1.
        pub epoch: usize,
        /// η during this epoch.
        pub learning_rate: f64,
        /// The scores after the epoch.
        pub scores: ScoreColumns,
        /// Seconds of the epoch, with its evaluation.
        pub epoch_seconds: f64,
    }
}

impl From<&Epoch> for ScoreColumns {
    fn from(epoch: &Epoch) -> Self {
        let SplitScores { train, validation } = epoch.scores.unwrap_or_default();
        Self {
            train_loss: train.map(|s| s.loss),
            train_cost: train.map(|s| s.cost),
            train_accuracy: train.map(|s| s.accuracy),
            validation_loss: validation.map(|s| s.loss),
            validation_cost: validation.map(|s| s.cost),
            validation_accuracy: validation.map(|s| s.accuracy),
        }
    }
}

impl SummaryRow {
    /// The row of a run with `hyperparameters` on `splits`, the training, validation and test split; `test` are its scores
    /// on the last.
    pub fn new(run: &Run, hyperparameters: Hyperparameters, splits: &[String; 3], test: Option<Scores>) -> Self {
        Self {
            setting: run.setting.name(),
            reported_test_accuracy: hyperparameters.reported_test_accuracy(splits),
            hyperparameters,
            scores: run.epochs.last().map(ScoreColumns::from).unwrap_or_default(),
            test_loss: test.map(|s| s.loss),
            test_accuracy: test.map(|s| s.accuracy),
            train_seconds: run.seconds(),
        }
    }
}

impl From<&Epoch> for CurveRow {
    fn from(epoch: &Epoch) -> Self {
        let Epoch { number, learning_rate, seconds, .. } = *epoch;
        Self { epoch: number, learning_rate, scores: epoch.into(), epoch_seconds: seconds }
    }
}

impl CurveRow {
    /// The losses, the costs and the accuracies of `rows`, as figures show them.
    pub fn curves(rows: &[Self]) -> [Curves; 3] {
        type Columns = fn(&ScoreColumns) -> [Option<f64>; 2];
        let curves = |quantity, unit, columns: Columns| {
            Curves::new(quantity, unit, rows.iter().map(|row| (row.epoch, columns(&row.scores))))
        };
        [
            curves("loss", Unit::Nats, |s| [s.train_loss, s.validation_loss]),
            curves("cost", Unit::Nats, |s| [s.train_cost, s.validation_cost]),
            curves("accuracy", Unit::Percent, |s| {
                [s.train_accuracy, s.validation_accuracy].map(|fraction| fraction.map(|fraction| 100.0 * fraction))
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::csv::{Dialect, from_csv, to_csv};

    const PATH: &str = "table.csv";

    fn row() -> CurveRow {
        CurveRow {
            epoch: 1,
            learning_rate: 0.001,
            scores: ScoreColumns {
                train_loss: Some(1.9),
                train_cost: Some(2.1),
                train_accuracy: Some(0.25),
                validation_loss: None,
                validation_cost: None,
                validation_accuracy: None,
            },
            epoch_seconds: 0.5,
        }
    }

    fn summary_row() -> SummaryRow {
        SummaryRow {
            setting: "lambda0_eta0.1".into(),
            hyperparameters: Hyperparameters { seed: u64::MAX, ..Hyperparameters::default() },
            scores: ScoreColumns {
                train_loss: Some(5.0),
                train_cost: Some(5.0),
                train_accuracy: Some(0.4),
                validation_loss: Some(8.0),
                validation_cost: Some(8.0),
                validation_accuracy: Some(0.3),
            },
            test_loss: Some(8.0),
            test_accuracy: Some(0.2877),
            reported_test_accuracy: None,
            train_seconds: 12.5,
        }
    }

    #[test]
    fn a_missing_value_is_an_empty_field() {
        let text = String::from_utf8(to_csv(&[row()], Dialect::Comma)).unwrap();
        assert_eq!(text.lines().nth(1), Some("1,0.001,1.9,2.1,0.25,,,,0.5"));
    }

    #[test]
    fn the_header_is_written_without_rows_too() {
        assert_eq!(
            String::from_utf8(to_csv::<SummaryRow>(&[], Dialect::Comma)).unwrap(),
            "setting,lambda,eta,batch_size,epochs,seed,loss,decay_every,decay_factor,decay_patience,flip,shuffle,start,\
             train_loss,train_cost,train_accuracy,validation_loss,validation_cost,validation_accuracy,test_loss,\
             test_accuracy,reported_test_accuracy,train_seconds\n"
        );
        assert_eq!(
            String::from_utf8(to_csv::<CurveRow>(&[], Dialect::Comma)).unwrap(),
            "epoch,learning_rate,train_loss,train_cost,train_accuracy,validation_loss,validation_cost,\
             validation_accuracy,epoch_seconds\n"
        );
    }

    #[test]
    fn a_summary_reads_back_as_it_was() {
        let rows = vec![summary_row(); 2];
        for dialect in [Dialect::Comma, Dialect::Semicolon] {
            let read: Vec<SummaryRow> = from_csv(&to_csv(&rows, dialect), Path::new(PATH)).unwrap();
            assert_eq!(read, rows);
        }
    }

    #[test]
    fn a_table_reads_back_from_a_spreadsheet_with_semicolons() {
        let table = "\u{feff}epoch;learning_rate;train_loss;train_cost;train_accuracy;validation_loss;validation_cost;\
                     validation_accuracy;epoch_seconds\r\n1;0,001;1,9;2,1;0,25;;;;0,5\r\n";
        let read: Vec<CurveRow> = from_csv(table.as_bytes(), Path::new(PATH)).unwrap();
        assert_eq!(read, [row()]);
    }

    #[test]
    fn another_header_is_refused_in_one_line() {
        let error = from_csv::<CurveRow>(&to_csv::<SummaryRow>(&[], Dialect::Comma), Path::new(PATH)).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("table.csv: the columns must be epoch,learning_rate,"));
        assert!(message.contains("setting,lambda"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }

    #[test]
    fn curves_are_the_columns_of_the_table_and_accuracies_are_in_percent() {
        let mut second = CurveRow { epoch: 2, ..row() };
        (second.scores.validation_loss, second.scores.validation_cost) = (Some(1.5), Some(2.5));
        second.scores.validation_accuracy = Some(0.5);
        let [loss, cost, accuracy] = CurveRow::curves(&[row(), second]);
        let of = |curves: &Curves| (curves.quantity, curves.unit, curves.training.clone(), curves.validation.clone());
        let nats = Unit::Nats;
        assert_eq!(of(&loss), ("loss", nats, vec![(1, Some(1.9)), (2, Some(1.9))], vec![(1, None), (2, Some(1.5))]));
        assert_eq!(of(&cost), ("cost", nats, vec![(1, Some(2.1)), (2, Some(2.1))], vec![(1, None), (2, Some(2.5))]));
        let (training, validation) = (vec![(1, Some(25.0)), (2, Some(25.0))], vec![(1, None), (2, Some(50.0))]);
        assert_eq!(of(&accuracy), ("accuracy", Unit::Percent, training, validation));
    }

    #[test]
    fn a_row_has_the_scores_of_its_epoch_and_a_summary_those_of_the_last() {
        let scores = |loss| Scores { loss, cost: 2.0 * loss, accuracy: loss / 10.0 };
        let epoch = |number, scores| Epoch { number, learning_rate: 0.5, scores, seconds: 0.25 };
        let both = SplitScores { train: Some(scores(1.0)), validation: Some(scores(3.0)) };
        let columns = ScoreColumns {
            train_loss: Some(1.0),
            train_cost: Some(2.0),
            train_accuracy: Some(0.1),
            validation_loss: Some(3.0),
            validation_cost: Some(6.0),
            validation_accuracy: Some(0.3),
        };
        let of_row = |epoch: usize, scores: &ScoreColumns| CurveRow {
            epoch,
            learning_rate: 0.5,
            scores: scores.clone(),
            epoch_seconds: 0.25,
        };
        assert_eq!(CurveRow::from(&epoch(7, Some(both))), of_row(7, &columns));
        assert_eq!(CurveRow::from(&epoch(8, None)), of_row(8, &ScoreColumns::default()));
        let run = |epochs| Run {
            setting: crate::hyperparameters::Setting::REPORT[2],
            epochs,
            parameters: crate::network::Parameters::zeros(crate::shape::Dims { features: 1, classes: 2 }),
            snapshots: Vec::new(),
            divergence: None,
        };
        let report = Hyperparameters { lambda: 0.1, ..Hyperparameters::default() };
        let splits = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"].map(String::from);
        let summary = |epochs, test| SummaryRow::new(&run(epochs), report.clone(), &splits, test);
        let expected = SummaryRow {
            setting: "lambda0.1_eta0.001".into(),
            hyperparameters: report.clone(),
            scores: columns,
            test_loss: Some(5.0),
            test_accuracy: Some(0.5),
            reported_test_accuracy: Some(0.394),
            train_seconds: 0.5,
        };
        assert_eq!(summary(vec![epoch(1, None), epoch(2, Some(both))], Some(scores(5.0))), expected);
        let nothing = summary(Vec::new(), None);
        assert_eq!((nothing.scores, nothing.test_loss, nothing.test_accuracy), (ScoreColumns::default(), None, None));
    }
}
