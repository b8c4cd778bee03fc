//! The files of an ablation: the tables of the runs and of the improvements; a figure.

use crate::figures::{Gain, gains_figure};
use crate::files::csv::{Dialect, row, to_csv};
use crate::hyperparameters::{difference, readable};
use crate::replicate::ablation::Variant;
use crate::replicate::table::{Difference, ReplicationRow};
use crate::shard::{Shard, Sharded};
use crate::statistics::{Interval, count};

row! {
    /// A row of `ablation.csv`: one variant of the configuration, trained with one seed.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct AblationRow {
        /// Digits that differ between the ablations of different configurations.
        pub ablation: String,
        /// The variant.
        pub variant: Variant,
        /// Number of training images.
        pub train_images: usize,
        /// The run.
        pub run: ReplicationRow,
    }
}

row! {
    /// A row of `ablation_summary.csv`: one improvement, or all.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ImprovementRow {
        /// The name of the improvement; `all` for the whole configuration compared with the report's protocol.
        pub improvement: String,
        /// The choice of the configuration and that of the report, in words.
        pub description: String,
        /// Mean test accuracy of the configuration, over its runs that did not diverge.
        pub mean_with: Option<f64>,
        /// Mean test accuracy without the improvement, over the runs that did not diverge.
        pub mean_without: Option<f64>,
        /// The configuration minus the same without the improvement.
        pub difference: Difference,
    }
}

impl AsRef<ReplicationRow> for AblationRow {
    fn as_ref(&self) -> &ReplicationRow {
        &self.run
    }
}

impl Sharded for AblationRow {
    const JOB: &'static str = "ablation";
    const RUN: &'static str = ReplicationRow::RUN;
    const MEASURED: &'static [&'static str] = ReplicationRow::MEASURED;

    fn job(&self) -> String {
        let ReplicationRow { seeds, first_seed, test_images, test_split, .. } = &self.run;
        format!(
            "ablation {}; {} from {first_seed}; tested on the {test_images} images of {test_split}",
            self.ablation,
            count(*seeds, Self::RUN)
        )
    }

    fn runs(&self) -> usize {
        self.run.runs()
    }

    fn in_words(&self) -> String {
        self.run.in_words()
    }

    fn run(&self) -> usize {
        self.run.run()
    }

    fn name(&self) -> String {
        format!("seed {} of {}", self.run.hyperparameters.seed, self.variant)
    }

    fn shard(&self) -> Shard {
        self.run.shard
    }

    fn difference(column: &str, found: &str, expected: &str) -> String {
        let words = difference(column, found, expected);
        match column {
            // These have options of `replicate`.
            "seed" | "first_seed" | "seeds" | "shard" | "start" | "shuffle" => words,
            Self::JOB => "another configuration".into(),
            _ => format!("another configuration, with {words}"),
        }
    }

    fn in_shard(self, shard: Shard) -> Self {
        Self { run: self.run.in_shard(shard), ..self }
    }

    fn with_runs_of(self, other: &Self) -> Self {
        Self { run: self.run.with_runs_of(&other.run), ..self }
    }
}

/// The gains of `rows`, as a figure shows them.
pub(crate) fn gains(rows: &[ImprovementRow]) -> Vec<Gain> {
    let gain = |row: &ImprovementRow| {
        let Difference { mean_difference, difference_95_low, difference_95_high, .. } = row.difference;
        let ends = difference_95_low.zip(difference_95_high);
        Gain {
            label: readable(&row.description),
            mean: mean_difference,
            interval: ends.map(|(low, high)| Interval { low, high }),
        }
    };
    rows.iter().map(gain).collect()
}

/// The closing table, with these rows, and the figure of a whole ablation, by name and content.
pub fn files(rows: &[ImprovementRow], dialect: Dialect) -> Vec<(String, Vec<u8>)> {
    vec![("ablation_summary.csv".into(), to_csv(rows, dialect)), ("ablation.png".into(), gains_figure(&gains(rows)))]
}
