//! Hyperparameter search: trials are compared on the validation split, and the best one is retrained on all images.
//!
//! A [`SearchPlan`] is a list of trials, numbered from 0: every combination of a [`Space`], or some drawn from it at random.
//! Trials with the same stream of batches are trained as one group. The numbers of a trial depend neither on its group nor
//! on the other trials, so the trials can be trained in any order, with interruptions, and by several processes.

mod space;
pub mod table;
#[cfg(test)]
mod tests;

pub use space::{Space, Trial};

use std::collections::BTreeMap;

use crate::dataset::Splits;
use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::files::csv::to_csv;
use crate::files::folder::Folder;
use crate::hyperparameters::{Hyperparameters, Origin, Schedule, Shuffle, readable};
use crate::search::table::{BEST_FILE, BestRow, SearchRow, search_png};
use crate::shard::{Shard, ShardTable, Sharded, digest};
use crate::statistics::{count, grouped, percent, standard_error};
use crate::train::config::{Config, Images};
use crate::train::model::ModelFile;
use crate::train::{Data, Observer, Trainer, random_start, scores_of};

/// The largest group. A larger one would save little time, and more work would be lost when the search is interrupted.
const GROUP: usize = 8;

/// The trials of a search, and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPlan {
    /// The trials, by number.
    pub trials: Vec<Trial>,
    /// Epochs, seed and shuffling; each trial has its own batch size and flip probability.
    pub schedule: Schedule,
    /// The shard whose trials are trained.
    pub shard: Shard,
}

impl SearchPlan {
    /// Checks that every trial can be trained on `examples` examples, with [`Schedule::validate`], and that every
    /// shard has a trial.
    pub fn validate(&self, examples: usize) -> Result<()> {
        self.trials.iter().try_for_each(|trial| self.schedule(trial).validate(examples))?;
        self.shard.validate(self.trials.len(), SearchRow::RUN)
    }

    /// The schedule of `trial`.
    pub fn schedule(&self, trial: &Trial) -> Schedule {
        Schedule { batch_size: trial.batch_size, flip: trial.flip, ..self.schedule }
    }

    /// Eight hexadecimal digits that differ between searches with different trials.
    pub fn digest(&self) -> String {
        let Self { trials, schedule: Schedule { epochs, batch_size, seed, shuffle, flip }, .. } = self;
        // The text must stay as it was when shuffling had two values, or earlier searches could not be resumed.
        let shuffle = match shuffle {
            Shuffle::ChaCha8 => "true".into(),
            Shuffle::None => "false".into(),
            other => other.to_string(),
        };
        digest(&format!(
            "Plan {{ trials: {trials:?}, schedule: Schedule {{ epochs: {epochs}, batch_size: {batch_size}, seed: {seed}, \
             shuffle: {shuffle}, flip: {flip:?} }} }}"
        ))
    }

    /// The hyperparameters of `trial`.
    pub fn hyperparameters(&self, trial: &Trial) -> Hyperparameters {
        Hyperparameters::new(trial.setting, &self.schedule(trial), &Origin::Random)
    }

    /// The number of batches of `trials` on `examples` examples, over all epochs.
    fn batches<'a>(&self, trials: impl IntoIterator<Item = &'a usize>, examples: usize) -> usize {
        let batches = |&number: &usize| self.schedule.epochs * examples.div_ceil(self.trials[number].batch_size);
        trials.into_iter().map(batches).sum()
    }

    /// The trials with these `numbers`, in groups that share their stream of batches.
    fn groups(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<Vec<usize>> {
        let mut streams = BTreeMap::<_, Vec<usize>>::new();
        for number in numbers {
            let Trial { batch_size, flip, .. } = self.trials[number];
            // Bits of numbers that are not negative have the order of the numbers.
            streams.entry((batch_size, flip.to_bits())).or_default().push(number);
        }
        streams.values().flat_map(|numbers| numbers.chunks(GROUP)).map(<[usize]>::to_vec).collect()
    }

    /// Trains the trials of a group, and returns their `planned` rows with what was measured.
    fn train(
        &self,
        group: &[usize],
        data: Data,
        planned: &[SearchRow],
        observer: &mut dyn Observer,
    ) -> Result<Vec<SearchRow>> {
        let trials: Vec<_> = group.iter().map(|&number| self.trials[number]).collect();
        let settings: Vec<_> = trials.iter().map(|trial| trial.setting).collect();
        let start = random_start(data.train.dims(), self.schedule.seed);
        let trainer = Trainer::new(data, &settings, &self.schedule(&trials[0]), &start)?.without_evaluation();
        let (runs, _) = trainer.train(observer)?;
        let scores = scores_of(&runs, data.validation, data.normalizer, observer)?;
        let rows = group.iter().map(|&number| planned[number].clone());
        Ok(rows.zip(runs).zip(scores).map(|((row, run), scores)| row.measured(scores, run.seconds())).collect())
    }
}

/// The trials of a shard of a search, trained.
#[derive(Clone, Debug)]
pub struct Searched {
    /// The rows of `search.csv`, by number.
    pub rows: Vec<SearchRow>,
    /// The number of training images.
    train_images: usize,
}

/// Trains the trials of the plan's shard, those that the table in `folder` lacks if `resume`, and evaluates them on the
/// validation split. Writes the table after every group of trials and, for a whole search, `search.png`. `names` says what
/// the three splits are made of.
///
/// # Errors
///
/// Those of [`SearchPlan::validate`], [`ShardTable::open`], [`Trainer::epoch`] and [`Folder::write`];
/// [`Error::Stopped`] if `observer` interrupts training.
pub fn run(
    plan: &SearchPlan,
    splits: &Splits,
    names: &[String; 3],
    folder: &Folder,
    resume: bool,
    observer: &mut dyn Observer,
) -> Result<Searched> {
    let [train, validation] = [&splits.train, &splits.validation].map(|split| split.len());
    plan.validate(train)?;
    let normalizer = Normalizer::fit(&splits.train)?;
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let planned = SearchRow::planned(plan, &names[1], validation);
    let row = |number: usize| vec![planned[number].clone()];
    let (mut table, remark) = ShardTable::open(folder, plan.shard, planned.len(), resume, row)?;
    if let Some(remark) = remark {
        observer.message(&remark);
    }
    let whole = plan.shard == Shard::WHOLE;
    if whole && !table.rows.is_empty() {
        folder.write(&[search_png(&table.rows)])?;
    }
    // The best trial is not known yet; its batches may be larger or smaller than those of the first.
    let retraining = if whole { plan.batches(&[0], train + validation) } else { 0 };
    let groups = plan.groups(table.left());
    for (i, group) in groups.iter().enumerate() {
        observer.training(group.len(), plan.batches(groups[i..].iter().flatten(), train) + retraining);
        let rows = plan.train(group, data, &planned, observer).map_err(|error| error.stopped(|| table.progress()))?;
        table.add(rows)?;
        if whole {
            folder.write(&[search_png(&table.rows)])?;
        }
        observer.message(&format!("{}: {}", table.progress(), best_so_far(&table.rows)));
    }
    Ok(Searched { rows: table.rows, train_images: train })
}

/// The row with the highest validation accuracy, the first of equals; `None` if every trial diverged.
pub fn best(rows: &[SearchRow]) -> Option<&SearchRow> {
    let finished = rows.iter().filter(|row| row.validation_accuracy.is_some());
    // `max_by` would return the last of equals.
    finished.reduce(|best, other| if other.validation_accuracy > best.validation_accuracy { other } else { best })
}

fn best_so_far(rows: &[SearchRow]) -> String {
    match best(rows).and_then(|best| Some((best, best.validation_accuracy?))) {
        None => "all diverged".into(),
        Some((best, accuracy)) => format!("best {} % ({})", percent(accuracy), readable(&best.setting)),
    }
}

impl Searched {
    /// Retrains the trial of `best` on all images of `splits.train`, and evaluates it on the test split, which is used only
    /// here. `splits.validation` is empty, unless the decay needs the validation loss; then the splits are those of the search.
    ///
    /// Writes `model_best.safetensors`, `search_best.csv` and `best.toml`, in which `images` describes these images, and returns the
    /// closing words, one line each.
    ///
    /// # Errors
    ///
    /// Those of [`Trainer::epoch`] and [`Folder::write`].
    pub fn retrain(
        &self,
        best: &SearchRow,
        splits: &Splits,
        names: &[String; 3],
        images: Images,
        folder: &Folder,
        observer: &mut dyn Observer,
    ) -> Result<Vec<String>> {
        let hyperparameters = best.hyperparameters.clone();
        let (setting, schedule) = (hyperparameters.setting()?, hyperparameters.schedule());
        let normalizer = Normalizer::fit(&splits.train)?;
        let training = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let start = random_start(splits.train.dims(), schedule.seed);
        observer.training(1, schedule.epochs * splits.train.len().div_ceil(schedule.batch_size));
        let trainer = Trainer::new(training, &[setting], &schedule, &start)?.without_evaluation();
        let stopped = |error: Error| error.stopped(|| "all trials, while retraining the best".into());
        let (runs, _) = trainer.train(observer).map_err(stopped)?;
        let test = scores_of(&runs, &splits.test, &normalizer, observer).map_err(stopped)?[0];
        let text = self.found(best) + &retrained(splits, test.map(|scores| scores.accuracy));
        let row = BestRow::new(best, splits, names, test);
        let words: Vec<_> = text.lines().map(String::from).collect();
        let model = ModelFile::of_run(&runs[0], &hyperparameters, &normalizer, names).to_bytes()?;
        let toml = Config { hyperparameters, images, ..Config::default() }.to_toml(&words)?;
        let table = to_csv(&[row], folder.dialect());
        let files = [("best.toml", toml), ("model_best.safetensors", model), (BEST_FILE, table)];
        folder.write(&files.map(|(name, bytes)| (name.into(), bytes)))?;
        Ok(words)
    }

    /// A summary of the search and its best trial.
    fn found(&self, best: &SearchRow) -> String {
        let (trials, images) = (self.rows.len(), best.validation_images);
        let accuracy = best.validation_accuracy.unwrap_or(f64::NAN);
        let diverged = match self.rows.iter().filter(|row| row.validation_accuracy.is_none()).count() {
            0 => String::new(),
            diverged => format!("{diverged} of them diverged.\n"),
        };
        let selected = match trials {
            1 => "",
            _ => ";\nit was selected as the highest of many, so it is probably slightly optimistic",
        };
        let Hyperparameters { epochs, batch_size, flip, .. } = best.hyperparameters;
        format!(
            "{} {} trained for {} on {} images and scored on {} others.\n\
             {diverged}The best is {},\n\
             with batches of {batch_size} and a flip probability of {flip}.\n\
             Its validation accuracy is {} %, with a standard error of {} points{selected}.\n",
            count(trials, "trial"),
            if trials == 1 { "was" } else { "were" },
            count(epochs, "epoch"),
            grouped(self.train_images),
            grouped(images),
            readable(&best.setting),
            percent(accuracy),
            percent(standard_error(accuracy, images)),
        )
    }
}

fn retrained(splits: &Splits, test_accuracy: Option<f64>) -> String {
    let (train, test) = (splits.train.len(), splits.test.len());
    let on = match splits.validation.is_empty() {
        true => format!("all {} images", grouped(train)),
        false => format!("the same {} images, since its decay needs the others\nfor validation", grouped(train)),
    };
    let Some(accuracy) = test_accuracy else {
        return format!("Retrained on {on}, it diverged.");
    };
    format!(
        "Retrained on {on}, it has a test accuracy of {} %,\n\
         with a standard error of {} points. The {} test images were used\n\
         once, after the choice was made.",
        percent(accuracy),
        percent(standard_error(accuracy, test)),
        grouped(test),
    )
}
