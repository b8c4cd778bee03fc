use super::*;
use crate::dataset::tests::few;
use crate::files::csv::{Dialect, Row, from_csv, to_csv};
use crate::hyperparameters::Hyperparameters;
use crate::train::random_start;

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

const SETTINGS: [Setting; 2] = [Setting::REPORT[1], Setting::REPORT[2]];

fn plan(seeds: usize, shard: &str) -> ReplicationPlan {
    ReplicationPlan {
        settings: SETTINGS.to_vec(),
        schedule: Schedule::REPORT,
        start: Origin::Random,
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
        let mut row = row(&setting.name(), seed, 400);
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
    let seeds = table.left().iter().map(|&run| planned(plan, run)[0].hyperparameters.seed).collect();
    Ok((table.rows, seeds))
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
    assert!(
        refusal(ReplicationPlan { seeds: 2, ..last })
            .starts_with("seeds must be at most 1 from seed 18446744073709551615 on")
    );
    assert_eq!(refusal(ReplicationPlan { seeds: 0, ..good.clone() }), "seeds must be at least 1, but is 0");
    let twice = ReplicationPlan { settings: vec![SETTINGS[0]; 2], ..good.clone() };
    assert_eq!(refusal(twice), "setting λ = 0, η = 0.001 is listed twice; list each once");
    assert!(refusal(ReplicationPlan { settings: Vec::new(), ..good.clone() }).contains("at least one"));
    let from_file = ReplicationPlan { start: Origin::File("0a".into()), ..good.clone() };
    assert_eq!(refusal(from_file), "start must be random or numpy, to be drawn with each seed, but is file:0a");
    ReplicationPlan { start: Origin::Numpy, ..good.clone() }.validate(100).unwrap();
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
        assert!(message.contains("replication.csv: cannot resume: "), "{message}");
        message
    };
    let with = |change: fn(&mut ReplicationRow)| {
        let mut rows = earlier(&[1], "1/1");
        change(&mut rows[1]);
        refusal(&rows)
    };
    let message = with(|row| row.hyperparameters.epochs = 39);
    let expected = "it was made with --epochs 39, not 40 (seed 1 of λ = 0.1, η = 0.001); use the options";
    assert!(message.contains(expected), "{message}");
    assert!(with(|row| row.hyperparameters.batch_size = 99).contains("--batch-size 99, not 100"));
    let message = with(|row| row.hyperparameters.start = Origin::Numpy);
    assert!(message.contains("it was made with --rng numpy, not chacha8 ("), "{message}");
    assert!(with(|row| row.train_split = "other.bin".into()).contains("other.bin"));
    let message = with(|row| {
        row.test_images = 500;
        row.train_split = "sample/a.bin".into();
    });
    assert!(
        message.contains("it was made with other training images (--dataset sample): sample/a.bin, not "),
        "{message}"
    );
    assert!(with(|row| row.setting = "x".into()).contains("it was made with the setting x, not λ = 0.1, η = 0.001 ("));
    assert!(with(|row| row.hyperparameters.lambda = 0.2).contains("it was made with --lambda 0.2, not "));
    assert!(with(|row| row.test_images = 999).contains("999"));
    assert!(
        refusal(&earlier(&[1, 4], "1/1"))
            .contains("it has seed 4 of λ = 0, η = 0.001, which is not in --first-seed 1 --seeds 3")
    );
    assert!(refusal(&earlier(&[1], "1/2")).contains("it was made with --shard 1/2, not 1/1 ("));
    assert!(refusal(&earlier(&[1, 1], "1/1")).contains("seed 1 of λ = 0, η = 0.001 is there twice; drop --resume to"));
}

/// A plan of trainings that take milliseconds.
fn small(seeds: usize, shard: &str) -> ReplicationPlan {
    let schedule = Schedule { epochs: 2, batch_size: 25, ..Schedule::REPORT };
    ReplicationPlan { schedule, ..plan(seeds, shard) }
}

/// The names of the splits of [`few`].
fn names() -> [String; 3] {
    ["train.bin", "validation.bin", "test.bin"].map(String::from)
}

/// The rows of a table in `folder`.
pub fn rows_in<R: Row>(folder: &Folder, name: &str) -> Vec<R> {
    let path = folder.path().join(name);
    from_csv(&std::fs::read(&path).unwrap(), &path).unwrap()
}

/// Stops a job after so many messages, and keeps these.
#[derive(Default)]
pub struct Stopping {
    /// The number of messages.
    pub after: Option<usize>,
    /// The messages.
    pub messages: Vec<String>,
    /// The batches that were said to be left at each training.
    pub batches: Vec<usize>,
}

impl Observer for Stopping {
    fn message(&mut self, text: &str) {
        self.messages.push(text.into());
    }

    fn training(&mut self, _: usize, batches: usize) {
        self.batches.push(batches);
    }

    fn interrupted(&self) -> bool {
        self.after.is_some_and(|after| self.messages.len() >= after)
    }
}

/// Checks that `row` has the scores of a training with its seed and its setting alone.
pub fn check_scores(row: &ReplicationRow, train: &Dataset, splits: &Splits) {
    let normalizer = Normalizer::fit(train).unwrap();
    let data = Data { train, validation: &splits.validation, normalizer: &normalizer };
    let (setting, schedule) = (row.hyperparameters.setting().unwrap(), row.hyperparameters.schedule());
    let start = random_start(train.dims(), schedule.seed);
    let (runs, _) = crate::train::train(data, &[setting], &schedule, &start, &mut ()).unwrap();
    let scores = |split: &Dataset| scores_of(&runs, split, &normalizer, &()).unwrap()[0].unwrap();
    let (of_train, of_test) = (scores(train), scores(&splits.test));
    assert_eq!((row.train_loss, row.train_accuracy), (Some(of_train.loss), Some(of_train.accuracy)));
    assert_eq!((row.test_loss, row.test_accuracy), (Some(of_test.loss), Some(of_test.accuracy)));
    assert_eq!(row.correct_test_images, Some((of_test.accuracy * splits.test.len() as f64).round() as usize));
    let of_validation = (!splits.validation.is_empty()).then(|| scores(&splits.validation));
    assert_eq!(
        (row.validation_loss, row.validation_accuracy),
        (of_validation.map(|scores| scores.loss), of_validation.map(|scores| scores.accuracy))
    );
    assert_eq!((row.test_images, row.diverged_in_epoch), (splits.test.len(), None));
}

#[test]
fn each_row_has_the_scores_of_a_training_with_its_seed_alone() {
    let (path, splits) = (tempfile::tempdir().unwrap(), few());
    let folder = Folder::open(path.path()).unwrap().with_dialect(Dialect::Semicolon);
    let mut observer = Stopping::default();
    let replication = run(&small(2, "1/1"), &splits, &names(), &folder, false, &mut observer).unwrap().unwrap();
    let rows: Vec<ReplicationRow> = rows_in(&folder, "replication.csv");
    assert_eq!(rows.iter().map(|row| row.hyperparameters.seed).collect::<Vec<_>>(), [1, 1, 2, 2]);
    rows.iter().for_each(|row| check_scores(row, &splits.train, &splits));
    assert_eq!(replication, Replication::new(&rows).unwrap());
    assert_eq!(rows_in::<table::SettingRow>(&folder, "replication_summary.csv"), replication.settings());
    assert!(std::fs::read_to_string(folder.path().join("replication_pairs.csv")).unwrap().contains(';'));
    // Two settings, two epochs of five batches.
    assert_eq!(observer.batches, [40, 20]);
    assert!(observer.messages[1].starts_with("2 of 2 seeds: test accuracy "), "{:?}", observer.messages);
}

#[test]
fn a_replication_in_shards_or_resumed_is_the_whole_one() {
    let splits = few();
    let run_in = |folder: &Folder, shard: &str, observer: &mut Stopping| {
        run(&small(3, shard), &splits, &names(), folder, true, observer)
    };
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let [whole, shards, resumed] = [0, 1, 2].map(|i| Folder::open(folders[i].path()).unwrap());
    let expected = run_in(&whole, "1/1", &mut Stopping::default()).unwrap().unwrap();
    let rows: Vec<ReplicationRow> = rows_in(&whole, "replication.csv");
    for shard in ["1/2", "2/2"] {
        assert_eq!(run_in(&shards, shard, &mut Stopping::default()).unwrap(), None);
    }
    let tables = [1, 2].map(|i| format!("replication_shard{i}of2.csv"));
    let tables = tables.map(|name| (name.clone().into(), rows_in::<ReplicationRow>(&shards, &name)));
    assert_eq!(crate::shard::merge(tables.to_vec()).unwrap(), rows);
    assert!(!shards.path().join("replication_summary.csv").exists());
    // The first message says that there is no table.
    let stopped = run_in(&resumed, "1/1", &mut Stopping { after: Some(2), ..Stopping::default() }).unwrap_err();
    assert_eq!(stopped.to_string(), "stopped after 1 of 3 seeds");
    assert_eq!(rows_in::<table::SettingRow>(&resumed, "replication_summary.csv")[0].n, 1);
    assert_eq!(run_in(&resumed, "1/1", &mut Stopping::default()).unwrap().unwrap(), expected);
    assert_eq!(rows_in::<ReplicationRow>(&resumed, "replication.csv"), rows);
}

#[test]
fn a_run_that_diverges_has_no_scores() {
    let (path, splits) = (tempfile::tempdir().unwrap(), few());
    let folder = Folder::open(path.path()).unwrap();
    let plan = ReplicationPlan { settings: vec![SETTINGS[0], Setting::new(0.0, 1e38).unwrap()], ..small(1, "1/1") };
    let mut observer = Stopping::default();
    let replication = run(&plan, &splits, &names(), &folder, false, &mut observer).unwrap().unwrap();
    let rows: Vec<ReplicationRow> = rows_in(&folder, "replication.csv");
    check_scores(&rows[0], &splits.train, &splits);
    let accuracy = format!("{:.2} %", 100.0 * rows[0].test_accuracy.unwrap());
    assert_eq!(observer.messages, [format!("1 of 1 seed: test accuracy {accuracy}, diverged")]);
    assert_eq!((rows[1].test_loss, rows[1].correct_test_images), (None, None));
    assert_eq!(rows[1].diverged_in_epoch, Some(1));
    assert_eq!((replication.settings()[1].n, replication.settings()[1].diverged), (0, 1));
}

#[test]
fn the_largest_numbers_of_seeds_and_of_shards_are_exact() {
    let with = |first_seed: u64, seeds: usize, shard: &str| {
        let plan = ReplicationPlan { first_seed, ..plan(seeds, shard) };
        plan.validate(100).map_err(|error| error.to_string())
    };
    assert_eq!(with(1, 1_000_000, "1/1"), Ok(()));
    assert_eq!(with(1, 1_000_001, "1/1").unwrap_err(), "seeds must be at most 1000000, but is 1000001");
    assert_eq!(with(u64::MAX - 4, 5, "1/1"), Ok(()));
    let expected = "seeds must be at most 5 from seed 18446744073709551611 on, but is 6";
    assert_eq!(with(u64::MAX - 4, 6, "1/1").unwrap_err(), expected);
    assert_eq!(with(1, 3, "3/3"), Ok(()));
    let expected = "shard must be I/N with N at most 3, the number of seeds, but is 1/4";
    assert_eq!(with(1, 3, "1/4").unwrap_err(), expected);
}

#[test]
fn the_batches_of_a_seed_are_counted_once_per_setting() {
    // Two settings, two epochs, batches of 25.
    for (examples, expected) in [(100, 2 * 2 * 4), (101, 2 * 2 * 5), (25, 2 * 2), (1, 2 * 2)] {
        assert_eq!(small(1, "1/1").batches(examples), expected, "{examples}");
    }
    let one = ReplicationPlan { settings: vec![SETTINGS[0]], ..small(1, "1/1") };
    assert_eq!(one.batches(101), 2 * 5);
}

#[test]
fn a_replication_that_is_stopped_before_its_first_seed_has_no_closing_tables() {
    let (path, splits) = (tempfile::tempdir().unwrap(), few());
    let folder = Folder::open(path.path()).unwrap();
    let mut stopping = Stopping { after: Some(0), ..Stopping::default() };
    let stopped = run(&small(3, "1/1"), &splits, &names(), &folder, false, &mut stopping).unwrap_err();
    assert_eq!(stopped.to_string(), "stopped after 0 of 3 seeds");
    assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 0);
    assert_eq!((stopping.batches, stopping.messages), (vec![3 * 20], vec![]));
}

#[test]
fn an_accuracy_is_a_percentage_unless_the_run_diverged() {
    let mut row = row("a", 1, 321);
    assert_eq!(accuracy(&row), "32.10 %");
    row.test_accuracy = None;
    assert_eq!(accuracy(&row), "diverged");
}

#[test]
fn a_replication_without_validation_images_or_with_another_start_has_the_scores_of_these() {
    let few = few();
    let (_, validation) = few.validation.hold_out(0).unwrap();
    let splits = Splits { validation, ..few };
    let rows_of = |start: Origin| {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        let plan = ReplicationPlan { start, ..small(2, "1/2") };
        assert_eq!(run(&plan, &splits, &names(), &folder, false, &mut ()).unwrap(), None);
        rows_in::<ReplicationRow>(&folder, "replication_shard1of2.csv")
    };
    let random = rows_of(Origin::Random);
    random.iter().for_each(|row| check_scores(row, &splits.train, &splits));
    assert!(random.iter().all(|row| (row.validation_loss, row.validation_accuracy) == (None, None)));
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let numpy = rows_of(Origin::Numpy);
    let start = Start::numpy(splits.train.dims(), 1).parameters;
    let (runs, _) =
        crate::train::train(data, &SETTINGS, &numpy[0].hyperparameters.schedule(), &start, &mut ()).unwrap();
    let scores = scores_of(&runs, &splits.test, &normalizer, &()).unwrap();
    for ((row, scores), random) in numpy.iter().zip(scores).zip(&random) {
        assert_eq!(row.hyperparameters.start, Origin::Numpy);
        assert_eq!(row.test_loss, Some(scores.unwrap().loss));
        assert_ne!(row.test_loss, random.test_loss);
    }
}
