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
        assert_eq!((row.trial, row.validation_split.as_str(), row.validation_images), (i + 1, "validation.bin", 60));
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
    let accuracy = 100.0 * row.validation_accuracy.unwrap();
    let expected = format!("3 of 3 trials: best {accuracy:.2} % ({})", readable(&row.setting));
    assert_eq!((observer.messages.len(), &observer.messages[1]), (2, &expected));
    assert!(observer.messages[0].starts_with("2 of 3 trials: best "), "{:?}", observer.messages);
    let images = Images { dataset: Some("sample".into()), validation_size: Some(60), ..Images::default() };
    let mut observer = Stopping::default();
    let words = searched.retrain(row, &splits, &names, images.clone(), &folder, &mut observer).unwrap();
    assert!(words[0].starts_with("3 trials were trained for 2 epochs on 110 images and scored on 60 others."));
    assert!(words.join("\n").contains("\nRetrained on the same 110 images, "), "{words:?}");
    assert_eq!(observer.batches, [2 * 110_usize.div_ceil(row.hyperparameters.batch_size)]);
    let mut stopping = Stopping { after: Some(0), ..Stopping::default() };
    let stopped = searched.retrain(row, &splits, &names, images.clone(), &folder, &mut stopping).unwrap_err();
    assert_eq!(stopped.to_string(), "stopped after all trials, while retraining the best");
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
    assert_eq!((&config.hyperparameters, config.images), (&row.hyperparameters, images));
    assert!(words.iter().all(|line| toml.contains(line)), "{toml}");
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
        let mut observer = Stopping::default();
        let rows = run_in(&shards, shard, &mut observer).unwrap();
        // Two epochs: two trials in batches of 25, or one in batches of 50. A shard retrains nothing.
        assert_eq!(observer.batches, [if shard == "1/2" { 2 * 2 * 5 } else { 2 * 3 }]);
        (format!("{}.csv", shard.replace('/', "of")).into(), rows)
    });
    assert_eq!(crate::shard::merge(tables.to_vec()).unwrap(), expected);
    assert_eq!(run_in(&shards, "1/2", &mut Stopping::default()).unwrap(), tables[0].1, "nothing is left");
    assert!(!shards.path().join("search.png").exists());
    let stopped = run_in(&resumed, "1/1", &mut Stopping { after: Some(2), ..Stopping::default() }).unwrap_err();
    assert_eq!(stopped.to_string(), "stopped after 2 of 3 trials");
    std::fs::remove_file(resumed.path().join("search.png")).unwrap();
    assert_eq!(run_in(&resumed, "1/1", &mut Stopping::default()).unwrap(), expected);
    // A search that is complete is drawn again.
    std::fs::remove_file(resumed.path().join("search.png")).unwrap();
    let mut observer = Stopping::default();
    assert_eq!(run_in(&resumed, "1/1", &mut observer).unwrap(), expected);
    assert!(resumed.path().join("search.png").exists() && observer.batches.is_empty());
}

#[test]
fn every_trial_must_have_its_batch_and_every_shard_a_trial() {
    let plan = |batch_size: usize, shard: &str| {
        let mut plan = SearchPlan { shard: shard.parse().unwrap(), ..small("1/1") };
        plan.trials[2].batch_size = batch_size;
        plan
    };
    plan(60, "3/3").validate(60).unwrap();
    let message = plan(61, "1/1").validate(60).unwrap_err().to_string();
    assert!(message.starts_with("batch-size must be at most 60"), "{message}");
    let message = plan(60, "1/4").validate(60).unwrap_err().to_string();
    assert_eq!(message, "shard must be I/N with N at most 3, the number of trials, but is 1/4");
}

#[test]
fn a_trial_has_the_schedule_of_the_search_but_for_its_batches_and_its_flips() {
    let schedule = Schedule { epochs: 3, batch_size: 1, flip: 0.25, seed: 7, ..Schedule::REPORT };
    let trial = Trial { setting: Setting::REPORT[2], batch_size: 50, flip: 0.5 };
    let plan = SearchPlan { trials: vec![trial], schedule, shard: Shard::WHOLE };
    assert_eq!(plan.schedule(&trial), Schedule { batch_size: 50, flip: 0.5, ..schedule });
    let found = plan.hyperparameters(&trial);
    assert_eq!((found.lambda, found.eta, found.epochs, found.seed), (0.1, 0.001, 3, 7));
    assert_eq!((found.batch_size, found.flip, found.start), (50, 0.5, Origin::Random));
}

#[test]
fn the_digest_is_that_of_the_text_of_earlier_versions() {
    // The beginning of the SHA-256 of `Plan { trials: [], schedule: Schedule { epochs: 3, batch_size: 50, seed: 7, shuffle:
    // false, flip: 0.5 } }`, and of the same with `true` and `numpy-permutation`.
    let digest = |shuffle: Shuffle| {
        let schedule = Schedule { epochs: 3, batch_size: 50, seed: 7, shuffle, flip: 0.5 };
        SearchPlan { trials: Vec::new(), schedule, shard: Shard::WHOLE }.digest()
    };
    let shuffles = [Shuffle::None, Shuffle::ChaCha8, Shuffle::NumpyPermutation];
    assert_eq!(shuffles.map(digest), ["9d785079", "99238aac", "1cd553fd"]);
}

#[test]
fn batches_are_counted_over_all_epochs_with_the_last_and_smaller_one() {
    // Batches of 25, 50 and 25.
    let plan = small("1/1");
    for (trials, examples, expected) in [
        (&[0][..], 100, 2 * 4),
        (&[0], 101, 2 * 5),
        (&[1], 100, 2 * 2),
        (&[0, 1, 2], 101, 2 * (5 + 3 + 5)),
        (&[], 101, 0),
    ] {
        assert_eq!(plan.batches(trials, examples), expected, "{trials:?} on {examples}");
    }
}

#[test]
fn a_stream_with_more_trials_than_a_group_has_is_trained_in_several() {
    let trial = Trial { setting: Setting::REPORT[2], batch_size: 50, flip: 0.0 };
    let mut trials = vec![trial; 17];
    trials[0].batch_size = 100;
    (trials[1].flip, trials[2].flip) = (0.5, 0.25);
    let plan = SearchPlan { trials, ..small("1/1") };
    let groups = plan.groups(0..17);
    let expected: [&[usize]; 5] = [&[3, 4, 5, 6, 7, 8, 9, 10], &[11, 12, 13, 14, 15, 16], &[2], &[1], &[0]];
    assert_eq!(groups, expected, "the smallest batches and the fewest flips first");
    assert!(plan.groups([]).is_empty());
}

#[test]
fn the_progress_of_a_search_is_its_best_trial() {
    let mut rows = SearchRow::planned(&small("1/1"), "", 500);
    assert_eq!((best_so_far(&[]).as_str(), best_so_far(&rows).as_str()), ("all diverged", "all diverged"));
    (rows[1].validation_accuracy, rows[2].validation_accuracy) = (Some(0.3), Some(0.36));
    assert_eq!(best_so_far(&rows), "best 36.00 % (λ = 1, η = 0.002)");
}

#[test]
fn the_closing_words_have_the_numbers_of_the_search() {
    let mut rows = SearchRow::planned(&small("1/1"), "", 10_000);
    rows[0].validation_accuracy = Some(0.36);
    let searched = |n: usize| Searched { rows: rows[..n].to_vec(), train_images: 40_000 };
    assert_eq!(
        searched(3).found(&rows[0]),
        "3 trials were trained for 2 epochs on 40,000 images and scored on 10,000 others.\n\
         2 of them diverged.\n\
         The best is λ = 0.1, η = 0.002,\n\
         with batches of 25 and a flip probability of 0.\n\
         Its validation accuracy is 36.00 %, with a standard error of 0.48 points;\n\
         it was selected as the highest of many, so it is probably slightly optimistic.\n"
    );
    let words = searched(1).found(&rows[0]);
    let expected = "1 trial was trained for 2 epochs on 40,000 images and scored on 10,000 others.\nThe best is ";
    assert!(words.starts_with(expected), "{words}");
    let words = searched(2).found(&rows[0]);
    assert!(words.starts_with("2 trials were trained ") && words.contains("\n1 of them diverged.\n"), "{words}");
}

#[test]
fn the_closing_words_say_on_which_images_the_best_was_retrained() {
    let dims = crate::shape::Dims { features: 1, classes: 2 };
    let of = |n: usize| crate::dataset::Dataset::new(dims, vec![0; n], vec![0; n]).unwrap();
    let splits = |validation: usize| Splits { train: of(2000), validation: of(validation), test: of(1000) };
    // √(0.36 · 0.64 / 1000) is 0.015179.
    assert_eq!(
        retrained(&splits(0), Some(0.36)),
        "Retrained on all 2,000 images, it has a test accuracy of 36.00 %,\n\
         with a standard error of 1.52 points. The 1,000 test images were used\n\
         once, after the choice was made."
    );
    assert_eq!(retrained(&splits(0), None), "Retrained on all 2,000 images, it diverged.");
    assert_eq!(
        retrained(&splits(1), None),
        "Retrained on the same 2,000 images, since its decay needs the others\nfor validation, it diverged."
    );
}
