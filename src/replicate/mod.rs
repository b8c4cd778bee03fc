//! The same settings with many seeds: how much of a figure is luck, and which conclusions hold.
//!
//! A seed makes the start and the order of the examples; all settings train with it as one group, so that they are
//! paired by seed. What varies from seed to seed is that alone: the training and the test images stay the same, so the
//! intervals say nothing about other images.

mod analysis;
mod conclusions;
pub mod table;

pub use analysis::{PairRow, Replication, SummaryRow};
pub use conclusions::{Verdict, VerdictRow, verdicts};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::evaluate::Scores;
use crate::files::csv::row;
use crate::hyperparameters::{Hyperparameters, Origin, Schedule, Setting};
use crate::shard::{Shard, Sharded};
use crate::train::{Data, Observer, Run, random_start, scores_of, train_unevaluated};

/// What is trained, and with which seeds.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The settings, each once.
    pub settings: &'a [Setting],
    /// What they share; the seed in it is not used.
    pub schedule: Schedule,
    /// The first of the seeds, which follow one another.
    pub first_seed: u64,
    /// How many seeds there are, over all shards.
    pub seeds: usize,
    /// The shard whose seeds are trained.
    pub shard: Shard,
    /// What the training, the validation and the test split are made of.
    pub splits: &'a [String; 3],
}

row! {
    /// A row of `replication.csv`: one setting, trained with one seed.
    ///
    /// A loss, accuracy or count is `None` where training diverged.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ReplicationRow {
        /// The setting's name, as it stands in file names.
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
        /// Images of the test split that were classified correctly.
        pub correct_test_images: Option<usize>,
        /// Images of the test split.
        pub test_images: usize,
        /// The epoch in which training diverged, if it did.
        pub diverged_in_epoch: Option<usize>,
        /// The test accuracy that the report states for this setting, if it is trained as the report did.
        pub reported_test_accuracy: Option<f64>,
        /// What the parameters were fitted on.
        pub train_split: String,
        /// What was evaluated besides.
        pub validation_split: String,
        /// What was evaluated at the end.
        pub test_split: String,
        /// The first seed of the job.
        pub first_seed: u64,
        /// The number of seeds of the job.
        pub seeds: usize,
        /// The shard that trained it.
        pub shard: Shard,
    }
}

impl Job<'_> {
    /// Checks the seeds and the settings.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for no seed, seeds beyond the largest `u64`, no setting and a setting that is there twice.
    pub fn validate(&self) -> Result<()> {
        let invalid = |name, expected: String, found: String| Err(Error::invalid(name, expected, found));
        if self.seeds == 0 {
            return invalid("seeds", "at least 1".into(), "0".into());
        }
        if self.first_seed.checked_add(self.seeds as u64 - 1).is_none() {
            let most = u64::MAX - self.first_seed;
            let expected = format!("at most {most} after seed {}", self.first_seed);
            return invalid("seeds", expected, self.seeds.to_string());
        }
        if self.settings.is_empty() {
            return invalid("settings", "at least one".into(), "none".into());
        }
        for (i, setting) in self.settings.iter().enumerate() {
            if self.settings[..i].contains(setting) {
                let found = format!("{} twice", setting.name());
                return invalid("settings", "each named once".into(), found);
            }
        }
        Ok(())
    }

    /// The seeds of the shard.
    pub fn seeds_of_shard(&self) -> Vec<u64> {
        (0..self.seeds).filter(|&run| self.shard.holds(run)).map(|run| self.first_seed + run as u64).collect()
    }

    /// Trains the settings with one seed, and scores them on `test`: a row a setting.
    ///
    /// # Errors
    ///
    /// Those of [`train_unevaluated`], [`Error::Interrupted`] among them, and [`Error::Shape`] when `test` doesn't fit the rest.
    pub fn train(
        &self,
        seed: u64,
        data: Data,
        test: &Dataset,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ReplicationRow>> {
        let schedule = Schedule { seed, ..self.schedule };
        let start = random_start(data.train.dims(), seed);
        let runs = train_unevaluated(data, self.settings, &schedule, &start, observer)?;
        let on = |split: &Dataset| match split.is_empty() {
            true => Ok(vec![None; runs.len()]),
            false => scores_of(&runs, split, data.normalizer),
        };
        let scores = [on(data.train)?, on(data.validation)?, on(test)?];
        let row = |(i, run): (usize, &Run)| {
            let scores = scores.each_ref().map(|scores| scores[i]);
            self.row(seed, run, scores, test.len())
        };
        Ok(runs.iter().enumerate().map(row).collect())
    }

    fn row(
        &self,
        seed: u64,
        run: &Run,
        [train, validation, test_scores]: [Option<Scores>; 3],
        test_images: usize,
    ) -> ReplicationRow {
        let correct = |accuracy: f64| (accuracy * test_images as f64).round() as usize;
        // Scores can be out of range where no batch's loss was.
        let unscored = test_scores.is_none().then_some(self.schedule.epochs);
        let diverged = run.diverged_in().or(unscored);
        let [train_split, validation_split, test_split] = self.splits.clone();
        let schedule = Schedule { seed, ..self.schedule };
        let hyperparameters = Hyperparameters::new(run.setting, &schedule, &Origin::Random);
        ReplicationRow {
            setting: run.setting.name(),
            reported_test_accuracy: hyperparameters.reported_test_accuracy(self.splits),
            hyperparameters,
            train_loss: train.map(|s| s.loss),
            train_accuracy: train.map(|s| s.accuracy),
            validation_loss: validation.map(|s| s.loss),
            validation_accuracy: validation.map(|s| s.accuracy),
            test_loss: test_scores.map(|s| s.loss),
            test_accuracy: test_scores.map(|s| s.accuracy),
            correct_test_images: test_scores.map(|s| correct(s.accuracy)),
            test_images,
            diverged_in_epoch: diverged,
            train_split,
            validation_split,
            test_split,
            first_seed: self.first_seed,
            seeds: self.seeds,
            shard: self.shard,
        }
    }

    /// The rows of the seeds of this shard among the `rows` of an earlier replication, so that those seeds need not be
    /// trained again. The earlier one may have had fewer seeds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] when they are of another job, or of seeds that this shard doesn't have.
    pub fn adopt(&self, mut rows: Vec<ReplicationRow>) -> Result<Vec<ReplicationRow>> {
        let seeds = self.seeds_of_shard();
        let names: Vec<_> = self.settings.iter().map(|s| s.name()).collect();
        for row in &mut rows {
            (row.first_seed, row.seeds) = (self.first_seed, self.seeds);
            let (expected, found) = (self.description(row.test_images), row.job());
            if found != expected || !names.contains(&row.setting) {
                return Err(Error::invalid(
                    "what to go on with",
                    format!("{expected}, settings {}", names.join(", ")),
                    format!("{found}, with the setting {}", row.setting),
                ));
            }
            if row.shard != self.shard || seeds.binary_search(&row.hyperparameters.seed).is_err() {
                return Err(Error::invalid(
                    "what to go on with",
                    format!("of shard {} of {}", self.shard, self.seeds_text()),
                    format!("shard {} with seed {}", row.shard, row.hyperparameters.seed),
                ));
            }
        }
        // A seed counts when all its settings are there.
        let complete = |seed| rows.iter().filter(|r| r.hyperparameters.seed == seed).count() == names.len();
        let complete: Vec<_> = seeds.into_iter().filter(|&seed| complete(seed)).collect();
        rows.retain(|row| complete.binary_search(&row.hyperparameters.seed).is_ok());
        Ok(rows)
    }

    fn description(&self, test_images: usize) -> String {
        let Schedule { epochs, batch_size, .. } = self.schedule;
        describe(&self.seeds_text(), epochs, batch_size, self.splits.each_ref().map(String::as_str), test_images)
    }

    fn seeds_text(&self) -> String {
        seeds_text(self.first_seed, self.seeds)
    }
}

fn seeds_text(first: u64, seeds: usize) -> String {
    format!("{seeds} seeds from {first}")
}

/// What a job is, for a person and to tell it from another.
fn describe(
    seeds: &str,
    epochs: usize,
    batch_size: usize,
    [train, validation, test]: [&str; 3],
    test_images: usize,
) -> String {
    format!(
        "{seeds}, {epochs} epochs in batches of {batch_size} on {train}, validated on {validation}, tested on the \
         {test_images} images of {test}"
    )
}

impl Sharded for ReplicationRow {
    fn job(&self) -> String {
        describe(
            &seeds_text(self.first_seed, self.seeds),
            self.hyperparameters.epochs,
            self.hyperparameters.batch_size,
            [&self.train_split, &self.validation_split, &self.test_split],
            self.test_images,
        )
    }

    fn runs(&self) -> usize {
        self.seeds
    }

    fn run(&self) -> usize {
        // A seed before the first is no run of the job, like every number from `runs` on.
        let run = self.hyperparameters.seed.checked_sub(self.first_seed);
        run.and_then(|run| usize::try_from(run).ok()).unwrap_or(usize::MAX)
    }

    fn shard(&self) -> Shard {
        self.shard
    }

    fn set_whole(&mut self) {
        self.shard = Shard::WHOLE;
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A run that classified `correct` of 1,000 test images correctly.
    pub fn row(setting: &str, seed: u64, correct: usize) -> ReplicationRow {
        ReplicationRow {
            setting: setting.into(),
            hyperparameters: Hyperparameters { seed, ..Hyperparameters::default() },
            train_loss: Some(1.5),
            train_accuracy: Some(0.5),
            validation_loss: Some(1.8),
            validation_accuracy: Some(0.4),
            test_loss: Some(1.8),
            test_accuracy: Some(correct as f64 / 1000.0),
            correct_test_images: Some(correct),
            test_images: 1000,
            diverged_in_epoch: None,
            reported_test_accuracy: None,
            train_split: "train.bin".into(),
            validation_split: "validation.bin".into(),
            test_split: "test.bin".into(),
            first_seed: 1,
            seeds: 3,
            shard: Shard::WHOLE,
        }
    }

    /// Settings with the counts of correct images that they reach with the seeds from 1 on.
    pub fn rows(settings: &[(&str, &[usize])]) -> Vec<ReplicationRow> {
        let of = |&(name, counts): &(&str, &[usize])| -> Vec<_> {
            let seeds = 1..;
            seeds.zip(counts).map(|(seed, &count)| row(name, seed, count)).collect()
        };
        settings.iter().flat_map(of).collect()
    }

    /// The replication of [`rows`].
    pub fn replication(settings: &[(&str, &[usize])]) -> Replication {
        Replication::new(&rows(settings)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::row;
    use super::*;

    const SETTINGS: [Setting; 2] = [Setting::REPORT[1], Setting::REPORT[2]];

    fn splits() -> [String; 3] {
        ["train.bin", "validation.bin", "test.bin"].map(String::from)
    }

    fn job<'a>(splits: &'a [String; 3], seeds: usize, shard: &str) -> Job<'a> {
        Job {
            settings: &SETTINGS,
            schedule: Schedule::REPORT,
            first_seed: 1,
            seeds,
            shard: shard.parse().unwrap(),
            splits,
        }
    }

    /// The rows of the given seeds, with both settings.
    fn earlier(seeds: &[u64], shard: &str) -> Vec<ReplicationRow> {
        let both = |&seed: &u64| SETTINGS.map(|s| row(&s.name(), seed, 400));
        let mut rows: Vec<_> = seeds.iter().flat_map(both).collect();
        rows.iter_mut().for_each(|row| row.shard = shard.parse().unwrap());
        rows
    }

    #[test]
    fn the_shards_have_the_seeds_in_turn() {
        let splits = splits();
        assert_eq!(job(&splits, 5, "1/1").seeds_of_shard(), [1, 2, 3, 4, 5]);
        assert_eq!(job(&splits, 5, "1/2").seeds_of_shard(), [1, 3, 5]);
        assert_eq!(job(&splits, 5, "2/2").seeds_of_shard(), [2, 4]);
    }

    #[test]
    fn seeds_and_settings_that_make_no_job_are_refused() {
        let splits = splits();
        let good = job(&splits, 3, "1/1");
        good.validate().unwrap();
        let refusal = |job: Job| job.validate().unwrap_err().to_string();
        let last = Job { first_seed: u64::MAX, seeds: 1, ..good.clone() };
        last.validate().unwrap();
        assert!(refusal(Job { seeds: 2, ..last }).starts_with("seeds must be at most 0 after seed"));
        assert_eq!(refusal(Job { seeds: 0, ..good.clone() }), "seeds must be at least 1, but is 0");
        let twice = [SETTINGS[0], SETTINGS[0]];
        let message = refusal(Job { settings: &twice, ..good.clone() });
        assert_eq!(message, "settings must be each named once, but is lambda0_eta0.001 twice");
        assert!(refusal(Job { settings: &[], ..good }).contains("at least one"));
    }

    #[test]
    fn an_earlier_replication_is_gone_on_with_and_may_have_had_fewer_seeds() {
        let splits = splits();
        let adopted = job(&splits, 5, "1/1").adopt(earlier(&[1, 2, 3], "1/1")).unwrap();
        assert_eq!(adopted.len(), 6);
        assert!(adopted.iter().all(|row| row.seeds == 5));
        // A seed that lacks a setting is trained again.
        let mut rows = earlier(&[1, 2, 3], "1/1");
        rows.pop();
        let adopted = job(&splits, 5, "1/1").adopt(rows).unwrap();
        assert_eq!(adopted.iter().map(|row| row.hyperparameters.seed).collect::<Vec<_>>(), [1, 1, 2, 2]);
    }

    #[test]
    fn another_job_is_not_gone_on_with() {
        let splits = splits();
        let refusal = |rows| job(&splits, 3, "1/1").adopt(rows).unwrap_err().to_string();
        let with = |change: fn(&mut ReplicationRow)| {
            let mut rows = earlier(&[1], "1/1");
            change(&mut rows[1]);
            refusal(rows)
        };
        assert!(with(|row| row.hyperparameters.epochs = 39).contains("39 epochs in batches of 100"));
        assert!(with(|row| row.hyperparameters.batch_size = 99).contains("batches of 99"));
        assert!(with(|row| row.train_split = "other.bin".into()).contains("other.bin"));
        assert!(with(|row| row.setting = "x".into()).contains("setting x"));
        assert!(refusal(earlier(&[1, 4], "1/1")).contains("seed 4"));
        assert!(refusal(earlier(&[1], "1/2")).contains("shard 1/2"));
    }
}
