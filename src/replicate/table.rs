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
    use crate::hyperparameters::Origin;
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

    fn plan() -> ReplicationPlan {
        ReplicationPlan {
            settings: vec![Setting::REPORT[1], Setting::new(0.25, 0.5).unwrap()],
            schedule: Schedule { epochs: 3, batch_size: 7, seed: 1, ..Schedule::REPORT },
            start: Origin::Numpy,
            first_seed: 10,
            seeds: 4,
            shard: "2/3".parse().unwrap(),
        }
    }

    #[test]
    fn a_planned_run_has_all_but_its_measurements() {
        let names = ["train", "validation", "test"].map(String::from);
        let rows = ReplicationRow::planned(&plan(), 3, &names, 500);
        let schedule = Schedule { seed: 13, ..plan().schedule };
        let expected = ReplicationRow {
            setting: "lambda0.25_eta0.5".into(),
            hyperparameters: Hyperparameters::new(plan().settings[1], &schedule, &Origin::Numpy),
            test_images: 500,
            train_split: "train".into(),
            validation_split: "validation".into(),
            test_split: "test".into(),
            first_seed: 10,
            seeds: 4,
            shard: "2/3".parse().unwrap(),
            ..ReplicationRow::default()
        };
        assert_eq!((rows.len(), &rows[1]), (2, &expected));
        assert_eq!(rows[0].setting, "lambda0_eta0.001");
        assert_eq!((expected.runs(), expected.run(), expected.shard()), (4, 3, plan().shard));
        assert_eq!(expected.name(), "seed 13 of λ = 0.25, η = 0.5");
        assert_eq!(expected.in_words(), "--first-seed 10 --seeds 4");
        assert_eq!(
            expected.job(),
            "4 seeds from 10; start numpy; shuffling chacha8; 3 epochs; batches of 7; trained on train; validated on \
             validation; tested on the 500 images of test"
        );
        let whole = expected.clone().in_shard(Shard::WHOLE);
        assert_eq!(whole, ReplicationRow { shard: Shard::WHOLE, ..expected.clone() });
        let more = ReplicationRow { first_seed: 9, seeds: 8, ..ReplicationRow::default() };
        assert_eq!(expected.clone().with_runs_of(&more), ReplicationRow { first_seed: 9, seeds: 8, ..expected });
    }

    #[test]
    fn only_a_run_of_the_reports_protocol_has_the_reported_accuracy() {
        let names = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"].map(String::from);
        let report = ReplicationPlan { schedule: Schedule::REPORT, start: Origin::Random, ..plan() };
        let reported = |plan: &ReplicationPlan| {
            let rows = ReplicationRow::planned(plan, 0, &names, 10_000);
            rows.into_iter().map(|row| row.reported_test_accuracy).collect::<Vec<_>>()
        };
        assert_eq!(reported(&report), [Some(0.3932), None]);
        assert_eq!(reported(&plan()), [None, None]);
    }

    #[test]
    fn a_seed_before_the_first_is_no_run() {
        let row = |seed: u64, first_seed: u64| {
            ReplicationRow { first_seed, ..crate::replicate::tests::row("a", seed, 1) }.run()
        };
        assert_eq!((row(5, 5), row(9, 5), row(u64::MAX, 0)), (0, 4, usize::MAX));
        assert_eq!(row(4, 5), usize::MAX);
    }

    #[test]
    fn a_measured_run_has_its_scores_and_the_epoch_in_which_it_diverged() {
        let planned = ReplicationRow { test_images: 100, ..rows(&[("a", &[1])]).remove(0) };
        let epochs = planned.hyperparameters.epochs;
        let scores = |loss: f64, accuracy: f64| Some(Scores { loss, cost: 9.0, accuracy });
        let found = planned.clone().measured([scores(1.0, 0.5), scores(2.0, 0.25), scores(3.0, 0.29)], None);
        assert_eq!((found.train_loss, found.train_accuracy), (Some(1.0), Some(0.5)));
        assert_eq!((found.validation_loss, found.validation_accuracy), (Some(2.0), Some(0.25)));
        assert_eq!((found.test_loss, found.test_accuracy), (Some(3.0), Some(0.29)));
        // In floating point, 0.29 · 100 is below 29.
        assert_eq!((found.correct_test_images, found.diverged_in_epoch), (Some(29), None));
        let diverged = |epoch| planned.clone().measured([None; 3], epoch);
        let found = diverged(Some(2));
        assert_eq!((found.test_loss, found.correct_test_images, found.diverged_in_epoch), (None, None, Some(2)));
        assert_eq!(diverged(None).diverged_in_epoch, Some(epochs), "the scores alone overflowed");
        assert_eq!((found.train_loss, found.train_accuracy, found.test_accuracy), (None, None, None));
        assert_eq!((found.validation_loss, found.validation_accuracy), (None, None));
    }

    #[test]
    fn each_setting_is_a_strip_of_its_runs() {
        let mut rows = example();
        rows[2].reported_test_accuracy = Some(0.3932);
        let strips = strips(&Replication::new(&rows).unwrap());
        let titles: Vec<_> = strips.iter().map(|strip| strip.title.as_str()).collect();
        assert_eq!(titles, ["λ = 0, η = 0.1", "λ = 0, η = 0.001", "λ = 0.1, η = 0.001", "λ = 1, η = 0.001"]);
        let runs: Vec<_> = strips.iter().map(|strip| (strip.accuracies.clone(), strip.reported)).collect();
        assert_eq!(runs[..2], [(vec![0.285], None), (vec![0.39, 0.391], Some(0.3932))]);
        let files = files(&Replication::new(&rows).unwrap(), Dialect::Semicolon);
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        let tables = ["replication_summary.csv", "replication_pairs.csv", "replication_verdicts.csv"];
        assert_eq!(names, [&tables[..], &["replication.png"]].concat());
        assert!(files[..3].iter().all(|(_, bytes)| bytes.contains(&b';')) && files[3].1.starts_with(b"\x89PNG"));
    }
}
