//! Hyperparameter search: trials are compared on the validation split, and the best one is retrained on all images.
//!
//! A [`SearchPlan`] is a list of trials, numbered from 0: every combination of a [`Space`], or some drawn from it at random.
//! Trials with the same stream of batches are trained as one group. The numbers of a trial depend neither on its group nor
//! on the other trials, so the trials can be trained in any order, with interruptions, and by several processes.

mod space;
pub mod table;

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dataset::tests::few;
    use crate::files::csv::from_csv;
    use crate::hyperparameters::{Decay, Loss, Setting};
    use crate::replicate::tests::{Stopping, rows_in};

    /// 64 trials, two values of each hyperparameter.
    pub(super) fn space() -> Space {
        Space {
            lambdas: vec![0.001, 0.1],
            etas: vec![0.001, 0.01],
            losses: Loss::ALL.to_vec(),
            decays: vec![None, Some(Decay::step(2, 0.5).unwrap())],
            batch_sizes: vec![50, 100],
            flips: vec![0.0, 0.5],
        }
    }

    fn plan() -> SearchPlan {
        SearchPlan { trials: space().grid().unwrap(), schedule: Schedule::REPORT, shard: Shard::WHOLE }
    }

    #[test]
    fn trials_of_one_stream_are_one_group_of_at_most_eight() {
        let plan = plan();
        let groups = plan.groups(0..64);
        assert_eq!(groups.len(), 8);
        for group in &groups {
            assert_eq!(group.len(), 8);
            let schedule = plan.schedule(&plan.trials[group[0]]);
            assert!(group.iter().all(|&i| plan.schedule(&plan.trials[i]) == schedule));
        }
        let mut all = groups.concat();
        all.sort_unstable();
        assert_eq!(all, (0..64).collect::<Vec<_>>());
        // The last trials of a search: two streams with one trial each.
        assert_eq!(plan.groups([63, 0]), [[0], [63]]);
    }

    #[test]
    fn the_best_has_the_highest_accuracy_and_is_the_first_of_equals() {
        let accuracies = [None, Some(0.3), Some(0.4), Some(0.4), None];
        let mut rows = SearchRow::planned(&plan(), "", 1);
        rows.truncate(accuracies.len());
        rows.iter_mut().zip(accuracies).for_each(|(row, accuracy)| row.validation_accuracy = accuracy);
        assert_eq!(best(&rows).unwrap().trial, 3);
        assert_eq!(best(&rows[..1]), None);
    }

    #[test]
    fn only_the_best_of_several_trials_is_called_optimistic() {
        let mut rows = SearchRow::planned(&plan(), "", 500);
        rows[0].validation_accuracy = Some(0.36);
        let words = |n: usize| Searched { rows: rows[..n].to_vec(), train_images: 700 }.found(&rows[0]);
        assert!(words(1).ends_with("Its validation accuracy is 36.00 %, with a standard error of 2.15 points.\n"));
        assert!(words(2).ends_with(
            "of 2.15 points;\nit was selected as the highest of many, so it is probably slightly optimistic.\n"
        ));
    }

    #[test]
    fn the_digest_differs_between_searches_but_not_between_shards() {
        let whole = plan();
        assert_eq!(SearchPlan { shard: "1/2".parse().unwrap(), ..whole.clone() }.digest(), whole.digest());
        let seed = SearchPlan { schedule: Schedule { seed: 1, ..whole.schedule }, ..whole.clone() };
        let mut setting = whole.clone();
        setting.trials[63].setting = Setting::REPORT[0];
        let mut plateau = whole.clone();
        let decay = Some(Decay::plateau(2, 0.5).unwrap());
        plateau.trials.iter_mut().for_each(|trial| trial.setting = trial.setting.with_decay(decay));
        let mut steps = plateau.clone();
        let decay = Some(Decay::step(2, 0.5).unwrap());
        steps.trials.iter_mut().for_each(|trial| trial.setting = trial.setting.with_decay(decay));
        assert_ne!(plateau.digest(), steps.digest());
        assert!([seed, setting].iter().all(|other| other.digest() != whole.digest()));
    }

    #[test]
    fn the_digest_is_that_of_the_tables_of_earlier_versions() {
        let path = Path::new("results/search.csv");
        let rows: Vec<SearchRow> = from_csv(&std::fs::read(path).unwrap(), path).unwrap();
        let trial = |Hyperparameters { batch_size, flip, .. }, setting| Trial { setting, batch_size, flip };
        let trials = rows.iter().map(|row| trial(row.hyperparameters.clone(), row.hyperparameters.setting().unwrap()));
        let Hyperparameters { epochs, seed, .. } = rows[0].hyperparameters;
        let schedule = Schedule { epochs, seed, ..Schedule::REPORT };
        let plan = SearchPlan { trials: trials.collect(), schedule, shard: Shard::WHOLE };
        assert_eq!((plan.digest(), plan.trials.len()), (rows[0].search.clone(), rows[0].trials));
    }

    /// A search of trainings that take milliseconds, in two streams.
    fn small(shard: &str) -> SearchPlan {
        let trial = |lambda, batch_size| Trial { setting: Setting::new(lambda, 0.002).unwrap(), batch_size, flip: 0.0 };
        let trials = vec![trial(0.1, 25), trial(0.0, 50), trial(1.0, 25)];
        SearchPlan { trials, schedule: Schedule { epochs: 2, ..Schedule::REPORT }, shard: shard.parse().unwrap() }
    }

    #[test]
    fn each_row_has_the_scores_of_a_training_with_its_trial_alone_and_the_best_is_retrained_and_tested() {
        let (path, splits) = (tempfile::tempdir().unwrap(), few());
        let folder = Folder::open(path.path()).unwrap();
        let names = ["train.bin", "validation.bin", "test.bin"].map(String::from);
        let mut observer = Stopping::default();
        let searched = run(&small("1/1"), &splits, &names, &folder, false, &mut observer).unwrap();
        assert_eq!(rows_in::<SearchRow>(&folder, "search.csv"), searched.rows);
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        for (i, row) in searched.rows.iter().enumerate() {
            let (setting, schedule) = (row.hyperparameters.setting().unwrap(), row.hyperparameters.schedule());
            let start = random_start(splits.train.dims(), schedule.seed);
            let (runs, _) = crate::train::train(data, &[setting], &schedule, &start, &mut ()).unwrap();
            let scores = scores_of(&runs, &splits.validation, &normalizer, &()).unwrap()[0].unwrap();
            assert_eq!(
                (row.trial, row.validation_split.as_str(), row.validation_images),
                (i + 1, "validation.bin", 60)
            );
            assert_eq!(
                (row.validation_loss, row.validation_cost, row.validation_accuracy),
                (Some(scores.loss), Some(scores.cost), Some(scores.accuracy))
            );
            assert_eq!(row.validation_standard_error, Some(standard_error(scores.accuracy, 60)));
        }
        let png = std::fs::read(folder.path().join("search.png")).unwrap();
        assert_eq!(png, search_png(&searched.rows).1);
        assert!(png.starts_with(b"\x89PNG"));
        // Batches of 25 and of 50 images, two epochs; then the retraining on 110 + 60 images in batches of 25.
        assert_eq!(observer.batches, [2 * 2 * 5 + 2 * 3 + 2 * 7, 2 * 3 + 2 * 7]);

        let row = best(&searched.rows).unwrap();
        let words = searched.retrain(row, &splits, &names, Images::default(), &folder, &mut ()).unwrap();
        assert!(words[0].starts_with("3 trials were trained for 2 epochs on 110 images and scored on 60 others."));
        let tested = &rows_in::<table::BestRow>(&folder, BEST_FILE)[0];
        let path = folder.path().join("model_best.safetensors");
        let model = ModelFile::from_bytes(&std::fs::read(&path).unwrap(), &path).unwrap();
        let outcomes = crate::evaluate::outcomes(&[(&model.parameters, Loss::Softmax)], &splits.test, &normalizer);
        let scores = outcomes.unwrap()[0].scores(0.0);
        assert_eq!((tested.test_accuracy, tested.test_images), (Some(scores.accuracy), 60));
        assert!((tested.test_loss.unwrap() - scores.loss).abs() < 1e-12);
        assert_eq!((tested.train_images, tested.train_split.as_str()), (110, "train.bin"));
        let toml = std::fs::read_to_string(folder.path().join("best.toml")).unwrap();
        let config = Config::from_toml(&toml, Path::new("best.toml")).unwrap();
        assert_eq!(config.hyperparameters, row.hyperparameters);
    }

    #[test]
    fn a_search_in_shards_or_resumed_is_the_whole_one() {
        let splits = few();
        let names = ["train.bin", "validation.bin", "test.bin"].map(String::from);
        // The seconds differ.
        let timeless = |rows: Vec<SearchRow>| -> Vec<SearchRow> {
            rows.into_iter().map(|row| SearchRow { train_seconds: 0.0, ..row }).collect()
        };
        let run_in = |folder: &Folder, shard: &str, observer: &mut Stopping| {
            run(&small(shard), &splits, &names, folder, true, observer).map(|searched| timeless(searched.rows))
        };
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let [whole, shards, resumed] = [0, 1, 2].map(|i| Folder::open(folders[i].path()).unwrap());
        let expected = run_in(&whole, "1/1", &mut Stopping::default()).unwrap();
        let tables = ["1/2", "2/2"].map(|shard| {
            let rows = run_in(&shards, shard, &mut Stopping::default()).unwrap();
            (format!("{}.csv", shard.replace('/', "of")).into(), rows)
        });
        assert_eq!(crate::shard::merge(tables.to_vec()).unwrap(), expected);
        assert!(!shards.path().join("search.png").exists());
        let stopped = run_in(&resumed, "1/1", &mut Stopping { after: Some(2), ..Stopping::default() }).unwrap_err();
        assert_eq!(stopped.to_string(), "stopped after 2 of 3 trials");
        assert_eq!(run_in(&resumed, "1/1", &mut Stopping::default()).unwrap(), expected);
    }
}
