//! Replication: the same settings trained with many seeds, to see how much of a result is luck and which of the report's
//! conclusions hold.
//!
//! A seed determines the start and the order of the examples. All settings are trained with it as one group, so they can
//! be compared seed by seed. Only the seed varies: the training and test images stay the same, so the intervals say nothing
//! about other images.

pub mod ablation;
mod analysis;
mod conclusions;
pub mod overfitting;
pub mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use analysis::Replication;
pub use conclusions::{P_VALUES, VERDICTS, verdicts};

use crate::dataset::normalizer::Normalizer;
use crate::dataset::{Dataset, Splits};
use crate::error::{Error, Result};
use crate::files::folder::Folder;
use crate::hyperparameters::{Origin, Schedule, Setting};
use crate::replicate::table::ReplicationRow;
use crate::shard::{MAX_RUNS, Shard, ShardTable, Sharded};
use crate::statistics::percent;
use crate::train::{Data, Observer, Start, Trainer, scores_of};

/// The settings of a replication and the seeds to train them with.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicationPlan {
    /// The settings, each once.
    pub settings: Vec<Setting>,
    /// Shared by all settings; its seed is not used.
    pub schedule: Schedule,
    /// The generator that draws the start with each seed: [`Origin::Random`] or [`Origin::Numpy`].
    pub start: Origin,
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// Number of seeds, over all shards.
    pub seeds: usize,
    /// The shard whose seeds are trained.
    pub shard: Shard,
}

impl ReplicationPlan {
    /// Checks the schedule, the seeds, the start and the settings, for a training split of `examples` examples.
    ///
    /// # Errors
    ///
    /// Those of [`Schedule::validate`]; [`Error::InvalidValue`] for no seeds, more than a million, seeds above the largest `u64`, a start that is
    /// not drawn with a seed, no settings or a setting that is there twice, and more shards than
    /// seeds.
    pub fn validate(&self, examples: usize) -> Result<()> {
        if self.seeds == 0 {
            return Err(Error::invalid("seeds", "at least 1", "0"));
        }
        if self.seeds > MAX_RUNS {
            return Err(Error::invalid("seeds", format!("at most {MAX_RUNS}"), self.seeds));
        }
        if self.first_seed.checked_add(self.seeds as u64 - 1).is_none() {
            let expected = format!("at most {} from seed {} on", u64::MAX - self.first_seed + 1, self.first_seed);
            return Err(Error::invalid("seeds", expected, self.seeds));
        }
        if ![Origin::Random, Origin::Numpy].contains(&self.start) {
            return Err(Error::invalid("start", "random or numpy, to be drawn with each seed", &self.start));
        }
        if self.settings.is_empty() {
            return Err(Error::invalid("settings", "at least one", "none"));
        }
        for (i, setting) in self.settings.iter().enumerate() {
            if self.settings[..i].contains(setting) {
                return Err(Error::Repeated(format!("setting {}", setting.title())));
            }
        }
        self.shard.validate(self.seeds, ReplicationRow::RUN)?;
        self.schedule.validate(examples)
    }

    /// The number of batches of one seed on `examples` training examples, each counted once per setting.
    fn batches(&self, examples: usize) -> usize {
        self.settings.len() * self.schedule.epochs * examples.div_ceil(self.schedule.batch_size)
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
        let start = Start::drawn(&self.start, data.train.dims(), seed).parameters;
        let schedule = Schedule { seed, ..self.schedule };
        let trainer = Trainer::new(data, &self.settings, &schedule, &start)?.without_evaluation();
        let (runs, _) = trainer.train(observer)?;
        let on = |split: &Dataset| match split.is_empty() {
            true => Ok(vec![None; runs.len()]),
            false => scores_of(&runs, split, data.normalizer, observer),
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
    let batches = plan.batches(splits.train.len());
    let train = |run, seeds_left, observer: &mut dyn Observer| {
        observer.training(plan.settings.len(), batches * seeds_left);
        plan.train(planned(run), data, &splits.test, observer)
    };
    let (rows, stopped) = train_seeds(plan, folder, resume, planned, train, observer)?;
    let whole = plan.shard == Shard::WHOLE && !rows.is_empty();
    let replication = whole.then(|| Replication::new(&rows)).transpose()?;
    if let Some(replication) = &replication {
        folder.write(&table::files(replication, folder.dialect()))?;
    }
    stopped.map_or(Ok(replication), Err)
}

/// The rows of a table, and [`Error::Stopped`] if training was interrupted.
type TrainedRows<R> = (Vec<R>, Option<Error>);

/// Trains the seeds of the plan's shard that its table in `folder` lacks, or all unless `resume`, and writes the table after
/// every seed. `train` gets the number of a run and how many are left, and returns its rows, which are those of `planned` with
/// what was measured.
fn train_seeds<R: Sharded + AsRef<ReplicationRow>>(
    plan: &ReplicationPlan,
    folder: &Folder,
    resume: bool,
    planned: impl Fn(usize) -> Vec<R>,
    train: impl Fn(usize, usize, &mut dyn Observer) -> Result<Vec<R>>,
    observer: &mut dyn Observer,
) -> Result<TrainedRows<R>> {
    let (mut table, remark) = ShardTable::open(folder, plan.shard, plan.seeds, resume, planned)?;
    if let Some(remark) = remark {
        observer.message(&remark);
    }
    let left = table.left();
    for (i, &run) in left.iter().enumerate() {
        let rows = match train(run, left.len() - i, observer) {
            Err(Error::Interrupted) => {
                let stopped = Error::Stopped(table.progress());
                return Ok((table.rows, Some(stopped)));
            }
            rows => rows?,
        };
        let accuracies: Vec<String> = rows.iter().map(|row| accuracy(row.as_ref())).collect();
        table.add(rows)?;
        observer.message(&format!("{}: test accuracy {}", table.progress(), accuracies.join(", ")));
    }
    Ok((table.rows, None))
}

fn accuracy(row: &ReplicationRow) -> String {
    row.test_accuracy.map_or("diverged".into(), |accuracy| format!("{} %", percent(accuracy)))
}
