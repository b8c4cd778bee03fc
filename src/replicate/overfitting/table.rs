//! The files of a comparison of over-fitting: the tables of the runs and of the pairs.

use crate::files::csv::{Dialect, row, to_csv};
use crate::replicate::table::ReplicationRow;
use crate::shard::{Shard, Sharded};

row! {
    /// A row of `overfitting.csv`: one setting, trained with one seed.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct OverfittingRow {
        /// The number of the pair of a softmax and sigmoids that the setting belongs to, from 1.
        pub pair: usize,
        /// The run.
        pub run: ReplicationRow,
    }
}

row! {
    /// A row of `overfitting_summary.csv`: a softmax and the sigmoids that take the same steps, over the seeds with which
    /// neither diverged. A gap is the mean of the training accuracy minus the validation accuracy; those of the losses have the
    /// unit of each loss and are validation minus training.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ComparisonRow {
        /// The name of the setting with a softmax.
        pub softmax: String,
        /// The name of the setting with sigmoids.
        pub sigmoids: String,
        /// Number of these seeds.
        pub n: usize,
        /// Mean training accuracy of the softmax.
        pub softmax_train_accuracy: Option<f64>,
        /// Its mean validation accuracy.
        pub softmax_validation_accuracy: Option<f64>,
        /// Its gap.
        pub softmax_gap: Option<f64>,
        /// Mean training accuracy of the sigmoids.
        pub sigmoids_train_accuracy: Option<f64>,
        /// Their mean validation accuracy.
        pub sigmoids_validation_accuracy: Option<f64>,
        /// Their gap.
        pub sigmoids_gap: Option<f64>,
        /// Mean of the softmax's gap minus that of the sigmoids with the same seed.
        pub gap_difference: Option<f64>,
        /// Lower end of the 95 % confidence interval of that mean.
        pub gap_difference_95_low: Option<f64>,
        /// Upper end of that interval.
        pub gap_difference_95_high: Option<f64>,
        /// Mean gap of the softmax's loss, in nats.
        pub softmax_loss_gap: Option<f64>,
        /// Mean gap of the sigmoids' loss, in nats per class.
        pub sigmoids_loss_gap: Option<f64>,
        /// `softmax` or `sigmoids`, whichever has the smaller gap; `undecided` if the interval contains 0 or there are too few
        /// seeds.
        pub overfits_less: String,
    }
}

impl AsRef<ReplicationRow> for OverfittingRow {
    fn as_ref(&self) -> &ReplicationRow {
        &self.run
    }
}

impl Sharded for OverfittingRow {
    const JOB: &'static str = "overfitting";
    const RUN: &'static str = ReplicationRow::RUN;
    const MEASURED: &'static [&'static str] = ReplicationRow::MEASURED;

    fn job(&self) -> String {
        format!("comparison of over-fitting with {}", self.run.job())
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
        self.run.name()
    }

    fn shard(&self) -> Shard {
        self.run.shard
    }

    fn in_shard(self, shard: Shard) -> Self {
        Self { run: self.run.in_shard(shard), ..self }
    }

    fn with_runs_of(self, other: &Self) -> Self {
        Self { run: self.run.with_runs_of(&other.run), ..self }
    }
}

/// The closing table of a whole comparison, by name and content.
pub fn files(rows: &[ComparisonRow], dialect: Dialect) -> Vec<(String, Vec<u8>)> {
    vec![("overfitting_summary.csv".into(), to_csv(rows, dialect))]
}
