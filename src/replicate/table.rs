//! The files of a replication: a table of the runs, what they say about settings, pairs and conclusions, a figure.

use crate::figures::{Strip, strips_figure};
use crate::files::csv::{Dialect, to_csv};
use crate::hyperparameters::title;
use crate::replicate::{Replication, verdicts};

/// The table of the runs: `replication.csv` for a whole job, with the shard in its name otherwise.
pub const RUNS: &str = "replication";

/// The files that say what a whole replication shows, by name and content.
pub fn files(replication: &Replication, dialect: Dialect) -> Vec<(String, Vec<u8>)> {
    let summary = replication.summary();
    let settings = summary.iter().zip(replication.accuracies());
    let strips: Vec<Strip> = settings
        .map(|(row, accuracies)| Strip { title: title(row.lambda, row.eta), accuracies, reported: row.reported })
        .collect();
    let verdicts = verdicts(replication);
    vec![
        ("replication_summary.csv".into(), to_csv(&summary, dialect)),
        ("replication_pairs.csv".into(), to_csv(&replication.pairs(), dialect)),
        ("replication_verdicts.csv".into(), to_csv(&verdicts, dialect)),
        ("replication.png".into(), strips_figure(&strips)),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::csv::{Row, from_csv};
    use crate::hyperparameters::Setting;
    use crate::replicate::testing::rows;
    use crate::replicate::{PairRow, ReplicationRow, SummaryRow, VerdictRow};

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
    fn read<R: Row>(name: &str) -> Vec<R> {
        let files = files(&Replication::new(&example()).unwrap(), Dialect::Comma);
        let (_, bytes) = files.iter().find(|(found, _)| found == name).unwrap();
        from_csv(bytes, Path::new(name)).unwrap()
    }

    #[test]
    fn every_table_reads_back_as_it_was() {
        let replication = Replication::new(&example()).unwrap();
        assert_eq!(read::<SummaryRow>("replication_summary.csv"), replication.summary());
        assert_eq!(read::<PairRow>("replication_pairs.csv"), replication.pairs());
        assert_eq!(read::<VerdictRow>("replication_verdicts.csv"), verdicts(&replication));
        let runs = to_csv(&example(), Dialect::Comma);
        assert_eq!(from_csv::<ReplicationRow>(&runs, Path::new("runs")).unwrap(), example());
    }

    #[test]
    fn too_few_runs_leave_empty_fields_and_no_nan() {
        for (name, bytes) in files(&Replication::new(&example()).unwrap(), Dialect::Comma) {
            if name.ends_with(".csv") {
                let text = String::from_utf8(bytes).unwrap();
                assert!(!text.contains("NaN") && !text.contains("inf,"), "{name}: {text}");
            }
        }
        let first = &read::<SummaryRow>("replication_summary.csv")[0];
        assert_eq!((first.n, first.diverged, first.sd, first.mean_95_low), (1, 1, None, None));
    }
}
