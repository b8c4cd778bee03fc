//! Replication: the same settings trained with many seeds, to see how much of a result is luck and which of the report's
//! conclusions hold.
//!
//! A seed determines the start and the order of the examples. All settings are trained with it as one group, so they can
//! be compared seed by seed. Only the seed varies: the training and test images stay the same, so the intervals say nothing
//! about other images.

mod analysis;
mod conclusions;
pub mod table;

pub use analysis::Replication;
pub use conclusions::verdicts;

use crate::dataset::normalizer::Normalizer;
use crate::dataset::{Dataset, Splits};
use crate::error::{Error, Result};
use crate::files::folder::Folder;
use crate::hyperparameters::{Schedule, Setting};
use crate::replicate::table::ReplicationRow;
use crate::shard::{Shard, ShardTable};
use crate::statistics::percent;
use crate::train::{Data, Observer, Trainer, random_start, scores_of};

/// The settings of a replication and the seeds to train them with.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicationPlan {
    /// The settings, each once.
    pub settings: Vec<Setting>,
    /// Shared by all settings; its seed is not used.
    pub schedule: Schedule,
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// Number of seeds, over all shards.
    pub seeds: usize,
    /// The shard whose seeds are trained.
    pub shard: Shard,
}

impl ReplicationPlan {
    /// Checks the schedule, the seeds and the settings, for a training split of `examples` examples.
    ///
    /// # Errors
    ///
    /// Those of [`Schedule::validate`]; [`Error::InvalidValue`] for no seeds, seeds above the largest `u64`, no settings or
    /// a setting that is there twice.
    pub fn validate(&self, examples: usize) -> Result<()> {
        let invalid = |name, expected: String, found: String| Err(Error::invalid(name, expected, found));
        if self.seeds == 0 {
            return invalid("seeds", "at least 1".into(), "0".into());
        }
        if self.first_seed.checked_add(self.seeds as u64 - 1).is_none() {
            let expected = format!("at most {} after seed {}", u64::MAX - self.first_seed, self.first_seed);
            return invalid("seeds", expected, self.seeds.to_string());
        }
        if self.settings.is_empty() {
            return invalid("settings", "at least one".into(), "none".into());
        }
        for (i, setting) in self.settings.iter().enumerate() {
            if self.settings[..i].contains(setting) {
                return invalid("settings", "different from each other".into(), format!("{} twice", setting.name()));
            }
        }
        self.schedule.validate(examples)
    }

    /// Trains the settings with the seed of the `planned` rows, and returns these with what was measured.
    fn train(
        &self,
        planned: Vec<ReplicationRow>,
        data: Data,
        test: &Dataset,
        observer: &mut dyn Observer,
    ) -> Result<Vec<ReplicationRow>> {
        let seed = planned[0].hyperparameters.seed;
        let start = random_start(data.train.dims(), seed);
        let schedule = Schedule { seed, ..self.schedule };
        let trainer = Trainer::new(data, &self.settings, &schedule, &start)?.without_evaluation();
        let (runs, _) = trainer.train(observer)?;
        let on = |split: &Dataset| match split.is_empty() {
            true => Ok(vec![None; runs.len()]),
            false => scores_of(&runs, split, data.normalizer),
        };
        let (train, validation, test) = (on(data.train)?, on(data.validation)?, on(test)?);
        let rows = planned.into_iter().zip(&runs).enumerate();
        Ok(rows.map(|(i, (row, run))| row.measured([train[i], validation[i], test[i]], run.diverged_in())).collect())
    }
}

/// Trains the seeds of the plan's shard, those that the table in `folder` lacks if `resume`. Writes the table after every
/// seed and, for a whole replication, the closing tables and the figure at the end, also if training is interrupted. Returns
/// the analysis of a whole replication, `None` for a shard.
///
/// `names` are those of the training, validation and test split.
///
/// # Errors
///
/// Those of [`ReplicationPlan::validate`], [`ShardTable::open`], [`Trainer::epoch`] and [`Folder::write`];
/// [`Error::Stopped`] if `observer` interrupts training.
pub fn run(
    plan: &ReplicationPlan,
    splits: &Splits,
    names: &[String; 3],
    folder: &Folder,
    resume: bool,
    observer: &mut dyn Observer,
) -> Result<Option<Replication>> {
    plan.validate(splits.train.len())?;
    let normalizer = Normalizer::fit(&splits.train)?;
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let planned = |run| ReplicationRow::planned(plan, run, names, splits.test.len());
    let (mut table, remark) = ShardTable::open(folder, plan.shard, plan.seeds, resume, planned)?;
    if let Some(remark) = remark {
        observer.message(&remark);
    }
    let Schedule { epochs, batch_size, .. } = plan.schedule;
    let batches = plan.settings.len() * epochs * splits.train.len().div_ceil(batch_size);
    let left = table.left();
    let mut train_seeds = || {
        for (i, &run) in left.iter().enumerate() {
            observer.training(plan.settings.len(), batches * (left.len() - i));
            let rows = plan.train(planned(run), data, &splits.test, observer)?;
            let accuracies: Vec<String> = rows.iter().map(accuracy).collect();
            table.add(rows)?;
            observer.message(&format!("{}: {}", table.progress(), accuracies.join(", ")));
        }
        Ok(())
    };
    let ended = train_seeds();
    let whole = plan.shard == Shard::WHOLE && !table.rows().is_empty();
    let replication = whole.then(|| Replication::new(table.rows())).transpose()?;
    if let Some(replication) = &replication {
        folder.write(&table::files(replication, folder.dialect()))?;
    }
    ended.map_err(|error| table.stopped(error))?;
    Ok(replication)
}

fn accuracy(row: &ReplicationRow) -> String {
    row.test_accuracy.map_or("diverged".into(), |accuracy| format!("{} %", percent(accuracy)))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::hyperparameters::Hyperparameters;

    /// A run that classifies `correct` of 1,000 test images correctly.
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

    /// The runs of settings, each with the numbers of correct images for the seeds from 1 on.
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
    use super::*;
    use crate::files::csv::to_csv;

    const SETTINGS: [Setting; 2] = [Setting::REPORT[1], Setting::REPORT[2]];

    fn plan(seeds: usize, shard: &str) -> ReplicationPlan {
        ReplicationPlan {
            settings: SETTINGS.to_vec(),
            schedule: Schedule::REPORT,
            first_seed: 1,
            seeds,
            shard: shard.parse().unwrap(),
        }
    }

    fn planned(plan: &ReplicationPlan, run: usize) -> Vec<ReplicationRow> {
        let names = ["train.bin", "validation.bin", "test.bin"].map(String::from);
        ReplicationRow::planned(plan, run, &names, 1000)
    }

    /// The rows of the given seeds, with both settings.
    fn earlier(seeds: &[u64], shard: &str) -> Vec<ReplicationRow> {
        let row = |setting: Setting, seed| {
            let mut row = testing::row(&setting.name(), seed, 400);
            row.hyperparameters.lambda = setting.lambda();
            row
        };
        let both = |&seed: &u64| SETTINGS.map(|setting| row(setting, seed));
        let mut rows: Vec<_> = seeds.iter().flat_map(both).collect();
        rows.iter_mut().for_each(|row| row.shard = shard.parse().unwrap());
        rows
    }

    /// Resumes `plan` from a table with `rows`: the rows that it takes over, and the seeds that are left.
    fn resume(plan: &ReplicationPlan, rows: &[ReplicationRow]) -> Result<(Vec<ReplicationRow>, Vec<u64>)> {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        let table = to_csv(rows, folder.dialect());
        folder.write(&[(plan.shard.table("replication"), table)]).unwrap();
        let (table, _) = ShardTable::open(&folder, plan.shard, plan.seeds, true, |run| planned(plan, run))?;
        Ok((
            table.rows().to_vec(),
            table.left().iter().map(|&run| planned(plan, run)[0].hyperparameters.seed).collect(),
        ))
    }

    #[test]
    fn the_shards_take_turns_with_the_seeds() {
        let left = |shard| resume(&plan(5, shard), &[]).unwrap().1;
        assert_eq!(left("1/1"), [1, 2, 3, 4, 5]);
        assert_eq!(left("1/2"), [1, 3, 5]);
        assert_eq!(left("2/2"), [2, 4]);
    }

    #[test]
    fn invalid_seeds_and_settings_are_refused() {
        let good = plan(3, "1/1");
        good.validate(100).unwrap();
        let refusal = |plan: ReplicationPlan| plan.validate(100).unwrap_err().to_string();
        let last = ReplicationPlan { first_seed: u64::MAX, seeds: 1, ..good.clone() };
        last.validate(100).unwrap();
        assert!(refusal(ReplicationPlan { seeds: 2, ..last }).starts_with("seeds must be at most 0 after seed"));
        assert_eq!(refusal(ReplicationPlan { seeds: 0, ..good.clone() }), "seeds must be at least 1, but is 0");
        let twice = ReplicationPlan { settings: vec![SETTINGS[0]; 2], ..good.clone() };
        assert_eq!(refusal(twice), "settings must be different from each other, but is lambda0_eta0.001 twice");
        assert!(refusal(ReplicationPlan { settings: Vec::new(), ..good.clone() }).contains("at least one"));
        assert!(good.validate(99).is_err(), "a batch of 100 needs 100 examples");
    }

    #[test]
    fn a_replication_with_fewer_seeds_can_be_resumed() {
        let (rows, left) = resume(&plan(5, "1/1"), &earlier(&[2, 3], "1/1")).unwrap();
        assert_eq!(rows.iter().map(|row| row.hyperparameters.seed).collect::<Vec<_>>(), [2, 2, 3, 3]);
        assert!(rows.iter().all(|row| (row.first_seed, row.seeds) == (1, 5)));
        assert_eq!(left, [1, 4, 5]);
        // A seed without the row of a setting is trained again.
        let mut rows = earlier(&[1, 2, 3], "1/1");
        rows.pop();
        assert_eq!(resume(&plan(5, "1/1"), &rows).unwrap().1, [3, 4, 5]);
    }

    #[test]
    fn another_replication_is_not_resumed() {
        let refusal = |rows: &[ReplicationRow]| {
            let message = resume(&plan(3, "1/1"), rows).unwrap_err().to_string();
            assert!(message.contains("replication.csv: cannot resume: seed "), "{message}");
            message
        };
        let with = |change: fn(&mut ReplicationRow)| {
            let mut rows = earlier(&[1], "1/1");
            change(&mut rows[1]);
            refusal(&rows)
        };
        let message = with(|row| row.hyperparameters.epochs = 39);
        let expected =
            "seed 1 of lambda0.1_eta0.001 has the epochs \"39\", but this replication has \"40\"; give the options";
        assert!(message.contains(expected), "{message}");
        assert!(with(|row| row.hyperparameters.batch_size = 99).contains("batch_size"));
        assert!(with(|row| row.train_split = "other.bin".into()).contains("other.bin"));
        assert!(with(|row| row.setting = "x".into()).contains("the setting \"x\""));
        assert!(with(|row| row.hyperparameters.lambda = 0.2).contains("the lambda \"0.2\""));
        assert!(with(|row| row.test_images = 999).contains("999"));
        assert!(refusal(&earlier(&[1, 4], "1/1")).contains("seed 4 of lambda0_eta0.001 is not in shard 1/1"));
        assert!(refusal(&earlier(&[1], "1/2")).contains("the shard \"1/2\""));
        assert!(refusal(&earlier(&[1, 1], "1/1")).contains("seed 1 of lambda0_eta0.001 is there twice"));
    }
}
