//! The table of a search, `search.csv`: one row per trial; and its figure, `search.png`.

use crate::dataset::Splits;
use crate::evaluate::Scores;
use crate::figures::{HeatMapTrial, search_figure};
use crate::files::csv::row;
use crate::hyperparameters::{Hyperparameters, Loss, difference};
use crate::search::{SearchPlan, Trial};
use crate::shard::{Shard, Sharded};
use crate::statistics::{count, standard_error};

row! {
    /// A row of `search.csv`: one trial. The measurements are `None` if training diverged.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct SearchRow {
        /// The trial's number, from 1.
        pub trial: usize,
        /// Number of trials of the search.
        pub trials: usize,
        /// The digest of the search, [`SearchPlan::digest`].
        pub search: String,
        /// The shard that trained it, such as `1/1`.
        pub shard: Shard,
        /// The setting's name, [`Setting::name`](crate::hyperparameters::Setting::name).
        pub setting: String,
        /// The hyperparameters.
        pub hyperparameters: Hyperparameters,
        /// The images of the validation split.
        pub validation_split: String,
        /// Number of validation images.
        pub validation_images: usize,
        /// Loss on the validation split.
        pub validation_loss: Option<f64>,
        /// Cost on the validation split.
        pub validation_cost: Option<f64>,
        /// Accuracy on the validation split.
        pub validation_accuracy: Option<f64>,
        /// Standard error of that accuracy.
        pub validation_standard_error: Option<f64>,
        /// The trial's share of the training time of its group, in seconds.
        pub train_seconds: f64,
    }
}

/// The file of [`BestRow`].
pub const BEST_FILE: &str = "search_best.csv";

row! {
    /// The row of `search_best.csv`: the best trial, retrained on all training images. The test values are `None` if this
    /// diverged.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct BestRow {
        /// The setting's name.
        pub setting: String,
        /// The hyperparameters.
        pub hyperparameters: Hyperparameters,
        /// Accuracy of the trial on the validation split of the search.
        pub validation_accuracy: Option<f64>,
        /// Standard error of that accuracy.
        pub validation_standard_error: Option<f64>,
        /// The images that it was retrained on.
        pub train_split: String,
        /// Their number.
        pub train_images: usize,
        /// The images of the test split.
        pub test_split: String,
        /// Their number.
        pub test_images: usize,
        /// Loss on the test split.
        pub test_loss: Option<f64>,
        /// Accuracy on the test split.
        pub test_accuracy: Option<f64>,
        /// Standard error of that accuracy.
        pub test_standard_error: Option<f64>,
    }
}

impl BestRow {
    /// The row of the trial `best`, whose retrained model has these scores on the test split.
    pub(super) fn new(best: &SearchRow, splits: &Splits, names: &[String; 3], test: Option<Scores>) -> Self {
        let [train_split, _, test_split] = names.clone();
        Self {
            setting: best.setting.clone(),
            hyperparameters: best.hyperparameters.clone(),
            validation_accuracy: best.validation_accuracy,
            validation_standard_error: best.validation_standard_error,
            train_split,
            train_images: splits.train.len(),
            test_split,
            test_images: splits.test.len(),
            test_loss: test.map(|s| s.loss),
            test_accuracy: test.map(|s| s.accuracy),
            test_standard_error: test.map(|s| standard_error(s.accuracy, splits.test.len())),
        }
    }
}

impl SearchRow {
    /// The rows of all trials without measurements.
    pub(super) fn planned(plan: &SearchPlan, validation_split: &str, validation_images: usize) -> Vec<Self> {
        let search = plan.digest();
        let row = |(i, trial): (usize, &Trial)| Self {
            trial: i + 1,
            trials: plan.trials.len(),
            search: search.clone(),
            shard: plan.shard,
            setting: trial.setting.name(),
            hyperparameters: plan.hyperparameters(trial),
            validation_split: validation_split.into(),
            validation_images,
            ..Self::default()
        };
        plan.trials.iter().enumerate().map(row).collect()
    }

    /// The row with the scores on the validation split and the seconds of training.
    pub(super) fn measured(self, scores: Option<Scores>, train_seconds: f64) -> Self {
        Self {
            validation_loss: scores.map(|s| s.loss),
            validation_cost: scores.map(|s| s.cost),
            validation_accuracy: scores.map(|s| s.accuracy),
            validation_standard_error: scores.map(|s| standard_error(s.accuracy, self.validation_images)),
            train_seconds,
            ..self
        }
    }
}

impl Sharded for SearchRow {
    const JOB: &'static str = "search";
    const RUN: &'static str = "trial";
    const MEASURED: &'static [&'static str] =
        &["validation_loss", "validation_cost", "validation_accuracy", "validation_standard_error", "train_seconds"];

    fn job(&self) -> String {
        let Self { search, trials, validation_split, .. } = self;
        let Hyperparameters { epochs, seed, .. } = self.hyperparameters;
        let (trials, epochs) = (count(*trials, "trial"), count(epochs, "epoch"));
        format!("search {search}; {trials}; {epochs}; seed {seed}; validated on {validation_split}")
    }

    fn runs(&self) -> usize {
        self.trials
    }

    fn difference(column: &str, found: &str, expected: &str) -> String {
        match column {
            "trials" => format!("{found} trials, not {expected}, so with another --random or other values"),
            "setting" | Self::JOB => "other trials, so with another --random or other values".into(),
            _ => difference(column, found, expected),
        }
    }

    fn run(&self) -> usize {
        // Trial 0 is out of range, like every number above that of the last.
        self.trial.wrapping_sub(1)
    }

    fn name(&self) -> String {
        format!("trial {}", self.trial)
    }

    fn shard(&self) -> Shard {
        self.shard
    }

    fn in_shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }
}

/// The trials with each loss, as a heat map shows them.
pub(crate) fn heat_map_trials(rows: &[SearchRow]) -> [(&'static str, Vec<HeatMapTrial>); 2] {
    let trial = |row: &SearchRow| {
        let Hyperparameters { lambda, eta, .. } = row.hyperparameters;
        HeatMapTrial { lambda, eta, accuracy: row.validation_accuracy }
    };
    let trials = |loss| rows.iter().filter(|row| row.hyperparameters.loss == loss).map(trial).collect();
    Loss::ALL.map(|loss| (loss.title(), trials(loss)))
}

/// `search.png`: one heat map of the validation accuracy per loss.
pub fn search_png(rows: &[SearchRow]) -> (String, Vec<u8>) {
    ("search.png".into(), search_figure(&heat_map_trials(rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::csv::{Dialect, Row, from_csv, to_csv};
    use crate::files::folder::Folder;
    use crate::hyperparameters::{Decay, Schedule, Setting};
    use crate::shard::ShardTable;

    const SPLIT: &str = "the last 50 images of each class of sample/train.bin";

    fn plan() -> SearchPlan {
        let trial = |lambda, loss, decay| Trial {
            setting: Setting::new(lambda, 0.01).unwrap().with_loss(loss).with_decay(decay),
            batch_size: 50,
            flip: 0.5,
        };
        SearchPlan {
            trials: vec![
                trial(0.1, Loss::Softmax, None),
                trial(0.001, Loss::Bce, Some(Decay::step(5, 0.3).unwrap())),
                trial(1.0, Loss::Bce, None),
            ],
            schedule: Schedule::REPORT,
            shard: Shard::WHOLE,
        }
    }

    fn table() -> Vec<SearchRow> {
        let scores = Scores { loss: 1.7, cost: 1.9, accuracy: 0.36 };
        let planned = SearchRow::planned(&plan(), SPLIT, 500).into_iter();
        planned.zip([Some(scores), Some(scores), None]).map(|(row, scores)| row.measured(scores, 0.25)).collect()
    }

    /// The rows with which `plan`, validated on `split`, resumes from a table with `rows`.
    fn resume(plan: &SearchPlan, split: &str, rows: &[SearchRow]) -> crate::Result<Vec<SearchRow>> {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        folder.write(&[("search.csv".into(), to_csv(rows, Dialect::Comma))]).unwrap();
        let planned = |number: usize| vec![SearchRow::planned(plan, split, 500)[number].clone()];
        let (table, _) = ShardTable::open(&folder, plan.shard, plan.trials.len(), true, planned)?;
        Ok(table.rows)
    }

    #[test]
    fn an_interrupted_search_reads_back_as_it_was() {
        assert_eq!(from_csv::<SearchRow>(&to_csv(&table(), Dialect::Comma), "search.csv".as_ref()).unwrap(), table());
        let shuffled = [2, 0, 1].map(|i| table()[i].clone());
        assert_eq!(resume(&plan(), SPLIT, &shuffled).unwrap(), table());
    }

    #[test]
    fn the_standard_error_stands_beside_the_accuracy() {
        // sqrt(0.36 * 0.64 / 500)
        assert!((table()[0].validation_standard_error.unwrap() - 0.021_466_252_583_997_98).abs() < 1e-15);
        assert_eq!(table()[2].validation_standard_error, None);
    }

    #[test]
    fn a_table_of_another_search_is_refused() {
        let refusal = |plan: &SearchPlan, split, rows: &[SearchRow]| {
            let message = resume(plan, split, rows).unwrap_err().to_string();
            assert!(message.contains("search.csv: cannot resume: ") && message.contains("--resume"), "{message}");
            message
        };
        let with = |change: fn(&mut SearchPlan)| {
            let mut other = plan();
            change(&mut other);
            refusal(&other, SPLIT, &table())
        };
        let message = with(|plan| plan.trials.truncate(2));
        assert!(
            message.contains("it was made with 3 trials, not 2, so with another --random or other values (trial 1)"),
            "{message}"
        );
        // Another seed of a random search draws other settings.
        let message = with(|plan| {
            plan.schedule.seed += 1;
            plan.trials[0].setting = Setting::REPORT[0];
        });
        assert!(message.contains("it was made with --seed 42, not 43 (trial 1)"), "{message}");
        for message in
            [with(|plan| plan.trials[1].flip = 0.0), with(|plan| plan.trials[1].setting = Setting::REPORT[0])]
        {
            assert!(
                message.contains("it was made with other trials, so with another --random or other values (trial "),
                "{message}"
            );
        }
        assert!(refusal(&plan(), "data_batch_5.bin", &table()).contains("data_batch_5.bin"));

        let twice = [table(), table()].concat();
        assert!(refusal(&plan(), SPLIT, &twice).contains("trial 1 is there twice"));
        let with = |change: fn(&mut SearchRow)| {
            let mut rows = table();
            change(&mut rows[0]);
            refusal(&plan(), SPLIT, &rows)
        };
        assert!(with(|row| row.trial = 0).contains("it has trial 0, which is not in this search of 3 trials"));
        assert!(with(|row| row.trial = 4).contains("it has trial 4, which is not in this search of 3 trials"));
        assert!(with(|row| row.shard = "1/2".parse().unwrap()).contains("it was made with --shard 1/2, not 1/1 ("));
        assert!(with(|row| row.hyperparameters.lambda = 0.2).contains("it was made with --lambda 0.2, not 0.1 ("));
        assert!(SearchRow::MEASURED.iter().all(|name| SearchRow::columns().contains(name)));
    }

    #[test]
    fn a_job_is_named_by_its_trials_its_epochs_its_seed_and_its_images() {
        let rows = SearchRow::planned(&plan(), SPLIT, 500);
        let digest = plan().digest();
        let expected = format!("search {digest}; {} trials; 40 epochs; seed 42; validated on {SPLIT}", rows.len());
        assert_eq!(rows[0].job(), expected);
    }

    #[test]
    fn a_planned_trial_has_all_but_its_measurements() {
        let plan = SearchPlan { shard: "2/3".parse().unwrap(), ..plan() };
        let rows = SearchRow::planned(&plan, SPLIT, 500);
        let expected = SearchRow {
            trial: 2,
            trials: 3,
            search: plan.digest(),
            shard: "2/3".parse().unwrap(),
            setting: "lambda0.001_eta0.01_bce_decay5x0.3".into(),
            hyperparameters: plan.hyperparameters(&plan.trials[1]),
            validation_split: SPLIT.into(),
            validation_images: 500,
            ..SearchRow::default()
        };
        assert_eq!((rows.len(), &rows[1]), (3, &expected));
        assert_eq!((rows[1].runs(), rows[1].run(), rows[1].name()), (3, 1, "trial 2".into()));
        assert_eq!(rows[1].shard(), plan.shard);
        assert_eq!(rows[1].clone().in_shard(Shard::WHOLE), SearchRow { shard: Shard::WHOLE, ..expected });
    }

    #[test]
    fn a_measured_trial_has_its_scores_and_its_seconds_and_one_that_diverged_the_seconds_alone() {
        let rows = table();
        let measured = |row: &SearchRow| (row.validation_loss, row.validation_cost, row.validation_accuracy);
        assert_eq!(measured(&rows[0]), (Some(1.7), Some(1.9), Some(0.36)));
        assert_eq!(measured(&rows[2]), (None, None, None));
        assert!(rows.iter().all(|row| row.train_seconds == 0.25));
        assert_eq!(rows[2], SearchRow { train_seconds: 0.25, ..SearchRow::planned(&plan(), SPLIT, 500)[2].clone() });
    }

    #[test]
    fn the_best_row_is_that_of_its_trial_with_the_scores_on_the_test_split() {
        let dims = crate::shape::Dims { features: 1, classes: 2 };
        let of = |n: usize| crate::dataset::Dataset::new(dims, vec![0; n], vec![0; n]).unwrap();
        let splits = Splits { train: of(70), validation: of(30), test: of(400) };
        let names = ["train", "validation", "test"].map(String::from);
        let trial = &table()[0];
        let found = BestRow::new(trial, &splits, &names, Some(Scores { loss: 1.5, cost: 1.6, accuracy: 0.2 }));
        let diverged = BestRow {
            setting: trial.setting.clone(),
            hyperparameters: trial.hyperparameters.clone(),
            validation_accuracy: Some(0.36),
            validation_standard_error: trial.validation_standard_error,
            train_split: "train".into(),
            train_images: 70,
            test_split: "test".into(),
            test_images: 400,
            ..BestRow::default()
        };
        // √(0.2 · 0.8 / 400)
        assert!((found.test_standard_error.unwrap() - 0.02).abs() < 1e-15);
        let (loss, accuracy, error) = (Some(1.5), Some(0.2), found.test_standard_error);
        let expected =
            BestRow { test_loss: loss, test_accuracy: accuracy, test_standard_error: error, ..diverged.clone() };
        assert_eq!(found, expected);
        assert_eq!(BestRow::new(trial, &splits, &names, None), diverged);
    }

    #[test]
    fn each_loss_has_the_heat_map_of_its_trials() {
        let [softmax, sigmoids] = heat_map_trials(&table());
        let trial = |lambda, accuracy| HeatMapTrial { lambda, eta: 0.01, accuracy };
        assert_eq!(softmax, ("softmax", vec![trial(0.1, Some(0.36))]));
        assert_eq!(sigmoids, ("sigmoids", vec![trial(0.001, Some(0.36)), trial(1.0, None)]));
        let (name, bytes) = search_png(&table());
        assert_eq!((name.as_str(), &bytes[..4]), ("search.png", &b"\x89PNG"[..]));
    }
}
