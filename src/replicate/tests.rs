use super::*;
use crate::files::csv::to_csv;
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
    let expected = "it was made with --epochs 39, not 40 (seed 1 of lambda0.1_eta0.001); use the options";
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
            .contains("it has seed 4 of lambda0_eta0.001, which is not in --first-seed 1 --seeds 3")
    );
    assert!(refusal(&earlier(&[1], "1/2")).contains("it was made with --shard 1/2, not 1/1 ("));
    assert!(refusal(&earlier(&[1, 1], "1/1")).contains("seed 1 of lambda0_eta0.001 is there twice; drop --resume to"));
}
