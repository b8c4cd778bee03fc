//! The files of a replication: a table of the runs, what they say about settings, pairs and conclusions, a figure.

use crate::figures::{Strip, strips_figure};
use crate::files::csv::{Row, to_csv};
use crate::replicate::{PairRow, Replication, ReplicationRow, SummaryRow, VerdictRow, verdicts};

/// The table of the runs: `replication.csv` for a whole job, with the shard in its name otherwise.
pub const RUNS: &str = "replication";

impl Row for ReplicationRow {
    const COLUMNS: &'static [&'static str] = &[
        "seed",
        "setting",
        "lambda",
        "eta",
        "batch_size",
        "epochs",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "correct_test_images",
        "test_images",
        "diverged_in_epoch",
        "reported_test_accuracy",
        "train_split",
        "validation_split",
        "test_split",
        "first_seed",
        "seeds",
        "shard",
    ];
}

impl Row for SummaryRow {
    const COLUMNS: &'static [&'static str] = &[
        "setting",
        "lambda",
        "eta",
        "n",
        "diverged",
        "mean",
        "sd",
        "min",
        "max",
        "mean_95_low",
        "mean_95_high",
        "run_95_low",
        "run_95_high",
        "reported",
        "reported_in_run_95",
    ];
}

impl Row for PairRow {
    const COLUMNS: &'static [&'static str] = &[
        "setting_a",
        "setting_b",
        "n",
        "mean_difference",
        "sd_difference",
        "difference_95_low",
        "difference_95_high",
        "wins",
        "ties",
        "losses",
        "sign_flip_p",
        "sign_flip_p_holm",
    ];
}

impl Row for VerdictRow {
    const COLUMNS: &'static [&'static str] = &["conclusion", "verdict", "explanation"];
}

/// The files that say what a whole replication shows, by name and content.
pub fn files(replication: &Replication) -> Vec<(String, Vec<u8>)> {
    let summary = replication.summary();
    let settings = summary.iter().zip(replication.accuracies());
    let strips: Vec<Strip> = settings
        .map(|(row, accuracies)| Strip { lambda: row.lambda, eta: row.eta, accuracies, reported: row.reported })
        .collect();
    let verdicts = verdicts(replication);
    vec![
        ("replication_summary.csv".into(), to_csv(&summary)),
        ("replication_pairs.csv".into(), to_csv(&replication.pairs())),
        ("replication_verdicts.csv".into(), to_csv(&verdicts)),
        ("replication.png".into(), strips_figure(&strips)),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::csv::from_csv;
    use crate::hyperparameters::Setting;
    use crate::replicate::testing::rows;

    fn example() -> Vec<ReplicationRow> {
        let names = Setting::REPORT.map(Setting::name);
        let counts: [&[usize]; 4] = [&[280, 285], &[390, 391], &[393, 392], &[375, 374]];
        let settings: Vec<_> = names.iter().map(String::as_str).zip(counts).collect();
        let mut rows = rows(&settings);
        rows[0].correct_test_images = None;
        rows[0].test_accuracy = None;
        rows
    }

    /// The rows of the file `name`, read back.
    fn read<R: Row + serde::de::DeserializeOwned>(name: &str) -> Vec<R> {
        let files = files(&Replication::new(&example()).unwrap());
        let (_, bytes) = files.iter().find(|(found, _)| found == name).unwrap();
        from_csv(bytes, Path::new(name)).unwrap()
    }

    #[test]
    fn every_table_reads_back_as_it_was() {
        let replication = Replication::new(&example()).unwrap();
        assert_eq!(read::<SummaryRow>("replication_summary.csv"), replication.summary());
        assert_eq!(read::<PairRow>("replication_pairs.csv"), replication.pairs());
        assert_eq!(read::<VerdictRow>("replication_verdicts.csv"), verdicts(&replication));
        let runs = to_csv(&example());
        assert_eq!(from_csv::<ReplicationRow>(&runs, Path::new("runs")).unwrap(), example());
    }

    #[test]
    fn too_few_runs_leave_empty_fields_and_no_nan() {
        for (name, bytes) in files(&Replication::new(&example()).unwrap()) {
            if name.ends_with(".csv") {
                let text = String::from_utf8(bytes).unwrap();
                assert!(!text.contains("NaN") && !text.contains("inf,"), "{name}: {text}");
            }
        }
        let first = &read::<SummaryRow>("replication_summary.csv")[0];
        assert_eq!((first.n, first.diverged, first.sd, first.mean_95_low), (1, 1, None, None));
    }
}
