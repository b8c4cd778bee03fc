//! The files of a replication: tables of the runs, the settings, the pairs of settings and the verdicts; a figure.

use crate::evaluate::Scores;
use crate::figures::{Strip, strips_figure};
use crate::files::csv::{Dialect, row, to_csv};
use crate::hyperparameters::{Hyperparameters, Schedule, Setting, readable};
use crate::replicate::{Replication, ReplicationPlan, verdicts};
use crate::shard::{Shard, Sharded};
use crate::statistics::count;

row! {
    /// A row of `replication.csv`: one setting, trained with one seed. The measurements are `None` if training diverged.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct ReplicationRow {
        /// The setting's name, [`Setting::name`].
        pub setting: String,
        /// The hyperparameters.
        pub hyperparameters: Hyperparameters,
        /// Loss on the training split after the last epoch.
        pub train_loss: Option<f64>,
        /// Accuracy on the training split.
        pub train_accuracy: Option<f64>,
        /// Loss on the validation split.
        pub validation_loss: Option<f64>,
        /// Accuracy on the validation split.
        pub validation_accuracy: Option<f64>,
        /// Loss on the test split.
        pub test_loss: Option<f64>,
        /// Accuracy on the test split.
        pub test_accuracy: Option<f64>,
        /// Number of test images that are classified correctly.
        pub correct_test_images: Option<usize>,
        /// Number of test images.
        pub test_images: usize,
        /// Epoch in which training diverged, if it did.
        pub diverged_in_epoch: Option<usize>,
        /// Test accuracy that the report states for this setting, if it is trained as in the report.
        pub reported_test_accuracy: Option<f64>,
        /// The images of the training split.
        pub train_split: String,
        /// The images of the validation split.
        pub validation_split: String,
        /// The images of the test split.
        pub test_split: String,
        /// First seed of the replication.
        pub first_seed: u64,
        /// Number of seeds of the replication.
        pub seeds: usize,
        /// The shard that trained it, such as `1/1`.
        pub shard: Shard,
    }
}

row! {
    /// A row of `replication_summary.csv`: one setting over all seeds. All values but the first five are test
    /// accuracies; `None` where there are too few runs for them.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SettingRow {
        /// The setting's name.
        pub setting: String,
        /// λ, the weight of the penalty.
        pub lambda: f64,
        /// η, the learning rate.
        pub eta: f64,
        /// Number of runs that did not diverge; the accuracies are about them.
        pub n: usize,
        /// Number of runs that diverged.
        pub diverged: usize,
        /// Mean.
        pub mean: Option<f64>,
        /// Standard deviation, with the divisor n − 1.
        pub sd: Option<f64>,
        /// Smallest.
        pub min: Option<f64>,
        /// Largest.
        pub max: Option<f64>,
        /// Lower end of the 95 % confidence interval of the mean.
        pub mean_95_low: Option<f64>,
        /// Upper end of that interval.
        pub mean_95_high: Option<f64>,
        /// Lower end of the 95 % prediction interval of one further run.
        pub run_95_low: Option<f64>,
        /// Upper end of that interval.
        pub run_95_high: Option<f64>,
        /// Accuracy that the report states for this setting, if it is trained as in the report.
        pub reported: Option<f64>,
        /// True if that lies in the prediction interval.
        pub reported_in_run_95: Option<bool>,
    }
}

row! {
    /// The difference of the test accuracies of A and B, compared over the seeds with which neither diverged.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Difference {
        /// Number of these seeds.
        pub n: usize,
        /// Mean of A's test accuracy minus B's.
        pub mean_difference: Option<f64>,
        /// Standard deviation of these differences.
        pub sd_difference: Option<f64>,
        /// Lower end of the 95 % confidence interval of the mean difference.
        pub difference_95_low: Option<f64>,
        /// Upper end of that interval.
        pub difference_95_high: Option<f64>,
        /// Number of seeds with which A classifies more test images correctly than B.
        pub wins: usize,
        /// Number of seeds with which both classify as many.
        pub ties: usize,
        /// Number of seeds with which A classifies fewer.
        pub losses: usize,
        /// Two-sided p-value of the exact sign-flip test.
        pub sign_flip_p: Option<f64>,
        /// That p-value, adjusted for the number of rows of the table by Holm's method.
        pub sign_flip_p_holm: Option<f64>,
    }
}

row! {
    /// A row of `replication_pairs.csv`: two settings.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PairRow {
        /// Setting A.
        pub setting_a: String,
        /// Setting B.
        pub setting_b: String,
        /// A minus B.
        pub difference: Difference,
    }
}

row! {
    /// A row of `replication_verdicts.csv`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerdictRow {
        /// The conclusion of the report, in words.
        pub conclusion: String,
        /// `holds`, `does not hold` or `undecided`.
        pub verdict: String,
        /// The numbers and the criterion.
        pub explanation: String,
    }
}

impl ReplicationRow {
    /// The rows of run `run` (from 0), one per setting, without measurements.
    pub(super) fn planned(plan: &ReplicationPlan, run: usize, names: &[String; 3], test_images: usize) -> Vec<Self> {
        let schedule = Schedule { seed: plan.first_seed + run as u64, ..plan.schedule };
        let row = |setting: &Setting| {
            let hyperparameters = Hyperparameters::new(*setting, &schedule, &plan.start);
            let [train_split, validation_split, test_split] = names.clone();
            Self {
                setting: setting.name(),
                reported_test_accuracy: hyperparameters.reported_test_accuracy(names),
                hyperparameters,
                test_images,
                train_split,
                validation_split,
                test_split,
                first_seed: plan.first_seed,
                seeds: plan.seeds,
                shard: plan.shard,
                ..Self::default()
            }
        };
        plan.settings.iter().map(row).collect()
    }

    /// The row with the scores on the three splits and the epoch of divergence.
    pub(super) fn measured(
        self,
        [train, validation, test]: [Option<Scores>; 3],
        diverged_in_epoch: Option<usize>,
    ) -> Self {
        let correct = |accuracy: f64| (accuracy * self.test_images as f64).round() as usize;
        // The scores can overflow although the loss of no batch did.
        let unscored = test.is_none().then_some(self.hyperparameters.epochs);
        Self {
            train_loss: train.map(|s| s.loss),
            train_accuracy: train.map(|s| s.accuracy),
            validation_loss: validation.map(|s| s.loss),
            validation_accuracy: validation.map(|s| s.accuracy),
            test_loss: test.map(|s| s.loss),
            test_accuracy: test.map(|s| s.accuracy),
            correct_test_images: test.map(|s| correct(s.accuracy)),
            diverged_in_epoch: diverged_in_epoch.or(unscored),
            ..self
        }
    }
}

impl AsRef<Self> for ReplicationRow {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Sharded for ReplicationRow {
    const JOB: &'static str = "replication";
    const RUN: &'static str = "seed";
    const MEASURED: &'static [&'static str] = &[
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "test_loss",
        "test_accuracy",
        "correct_test_images",
        "diverged_in_epoch",
    ];

    fn job(&self) -> String {
        let Self { seeds, first_seed, train_split, validation_split, test_images, test_split, .. } = self;
        let Hyperparameters { epochs, batch_size, shuffle, start, .. } = &self.hyperparameters;
        format!(
            "{} from {first_seed}; start {start}; shuffling {shuffle}; {}; batches of {batch_size}; trained on \
             {train_split}; validated on {validation_split}; tested on the {test_images} images of {test_split}",
            count(*seeds, Self::RUN),
            count(*epochs, "epoch")
        )
    }

    fn runs(&self) -> usize {
        self.seeds
    }

    fn in_words(&self) -> String {
        format!("--first-seed {} --seeds {}", self.first_seed, self.seeds)
    }

    fn run(&self) -> usize {
        // A seed below the first is out of range, like every run from `runs` on.
        let run = self.hyperparameters.seed.checked_sub(self.first_seed);
        run.and_then(|run| usize::try_from(run).ok()).unwrap_or(usize::MAX)
    }

    fn name(&self) -> String {
        format!("seed {} of {}", self.hyperparameters.seed, readable(&self.setting))
    }

    fn shard(&self) -> Shard {
        self.shard
    }

    fn in_shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    fn with_runs_of(self, other: &Self) -> Self {
        Self { first_seed: other.first_seed, seeds: other.seeds, ..self }
    }
}

/// The runs of each setting, as a figure shows them.
pub(crate) fn strips(replication: &Replication) -> Vec<Strip> {
    let settings = replication.settings().into_iter().zip(replication.accuracies());
    let strip = |(row, accuracies): (SettingRow, Vec<f64>)| Strip {
        title: readable(&row.setting),
        accuracies,
        reported: row.reported,
    };
    settings.map(strip).collect()
}

/// The closing tables and the figure of a whole replication, by name and content.
pub fn files(replication: &Replication, dialect: Dialect) -> Vec<(String, Vec<u8>)> {
    vec![
        ("replication_summary.csv".into(), to_csv(&replication.settings(), dialect)),
        ("replication_pairs.csv".into(), to_csv(&replication.pairs(), dialect)),
        ("replication_verdicts.csv".into(), to_csv(&verdicts(replication), dialect)),
        ("replication.png".into(), strips_figure(&strips(replication))),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::csv::{Row, from_csv};
    use crate::replicate::tests::rows;

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
        assert_eq!(read::<SettingRow>("replication_summary.csv"), replication.settings());
        assert_eq!(read::<PairRow>("replication_pairs.csv"), replication.pairs());
        assert_eq!(read::<VerdictRow>("replication_verdicts.csv"), verdicts(&replication));
        let runs = to_csv(&example(), Dialect::Comma);
        assert_eq!(from_csv::<ReplicationRow>(&runs, Path::new("runs")).unwrap(), example());
        assert!(ReplicationRow::MEASURED.iter().all(|name| ReplicationRow::columns().contains(name)));
    }

    #[test]
    fn too_few_runs_leave_empty_fields_and_no_nan() {
        for (name, bytes) in files(&Replication::new(&example()).unwrap(), Dialect::Comma) {
            if name.ends_with(".csv") {
                let text = String::from_utf8(bytes).unwrap();
                assert!(!text.contains("NaN") && !text.contains("inf,"), "{name}: {text}");
            }
        }
        let first = &read::<SettingRow>("replication_summary.csv")[0];
        assert_eq!((first.n, first.diverged, first.sd, first.mean_95_low), (1, 1, None, None));
    }
}
