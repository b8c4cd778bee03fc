//! `replicate`, its shards and `merge` on the sample.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::sample;
use onelayer::evaluate::outcomes;
use onelayer::files::csv;
use onelayer::hyperparameters::{Origin, Schedule, Setting, Shuffle};
use onelayer::replicate::table::{PairRow, ReplicationRow, SettingRow, VerdictRow};
use onelayer::train::table::SummaryRow;
use onelayer::train::{Data, random_start, train};

/// The files of a whole replication.
const FILES: [&str; 5] = [
    "replication.csv",
    "replication.png",
    "replication_pairs.csv",
    "replication_summary.csv",
    "replication_verdicts.csv",
];

pub fn onelayer(arguments: &[&str]) -> Output {
    Command::new(crate::program()).args(arguments).output().unwrap()
}

/// Replicates one epoch on the sample into `out`, and returns the printed text.
fn replicate(out: &Path, arguments: &[&str]) -> String {
    let out = out.to_str().unwrap();
    let mut all = vec!["replicate", "--dataset", "sample", "--epochs", "1"];
    all.extend(["--quiet", "--out", out]);
    all.extend(arguments);
    succeed(&all)
}

/// The stdout of a command that succeeds. On stderr is nothing but, for `merge`, where the results are.
pub fn succeed(arguments: &[&str]) -> String {
    let output = onelayer(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let code = output.status.code();
    let expected = match arguments {
        ["merge", "--out", out, rest @ ..] if !rest.contains(&"--quiet") => {
            format!("the results are in {out}; `onelayer report --out {out}` makes a page of them\n")
        }
        _ => String::new(),
    };
    assert_eq!((code, stderr), (Some(0), expected), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that a failing command prints.
pub fn fail(arguments: &[&str]) -> String {
    let output = onelayer(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    stderr
}

pub fn merge(tables: &[PathBuf], out: &Path) -> Vec<String> {
    let tables = tables.iter().map(|path| path.to_str().unwrap().to_owned());
    let words = ["merge".into(), "--out".into(), out.to_str().unwrap().into()];
    words.into_iter().chain(tables).collect()
}

pub fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

pub fn read<R: csv::Row>(path: &Path) -> Vec<R> {
    csv::from_csv(&fs::read(path).unwrap(), path).unwrap()
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Asserts that both folders have the files of a whole replication, byte for byte.
fn assert_same(a: &Path, b: &Path) {
    for name in FILES {
        let same = fs::read(a.join(name)).unwrap() == fs::read(b.join(name)).unwrap();
        assert!(same, "{name} differs");
    }
}

#[test]
fn every_run_equals_training_alone_with_its_seed() {
    let out = tempfile::tempdir().unwrap();
    replicate(out.path(), &["--seeds", "2", "--first-seed", "7"]);
    assert_eq!(names(out.path()), FILES);
    let rows: Vec<ReplicationRow> = read(&out.path().join("replication.csv"));
    assert_eq!(rows.len(), 2 * Setting::REPORT.len());

    let splits = sample::load(&crate::common::sample_dir()).unwrap();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let expected = [7, 8].into_iter().flat_map(|seed| Setting::REPORT.map(|s| (seed, s)));
    for (row, (seed, setting)) in rows.iter().zip(expected) {
        let schedule = Schedule { epochs: 1, seed, ..Schedule::REPORT };
        let start = random_start(splits.train.dims(), seed);
        let (runs, _) = train(data, &[setting], &schedule, &start, &mut ()).unwrap();
        let (loss, lambda) = (setting.loss(), setting.lambda());
        let scores = |split| outcomes(&[(&runs[0].parameters, loss)], split, &normalizer).unwrap()[0].scores(lambda);
        let test = scores(&splits.test);
        assert_eq!((row.hyperparameters.seed, row.setting.as_str()), (seed, setting.name().as_str()));
        assert_eq!(row.test_loss, Some(test.loss));
        assert_eq!(row.test_accuracy, Some(test.accuracy));
        let correct = row.correct_test_images.unwrap();
        assert_eq!(correct as f64 / row.test_images as f64, test.accuracy);
        assert_eq!(row.train_loss, Some(scores(&splits.train).loss));
        assert_eq!(row.validation_accuracy, Some(scores(&splits.validation).accuracy));
        assert_eq!(row.reported_test_accuracy, None, "the report did not use the sample");
    }
    assert_ne!(rows[1].test_loss, rows[5].test_loss, "another seed must give other results");
}

#[test]
fn with_the_generator_of_numpy_the_runs_are_those_of_train_and_another_generator_does_not_resume_them() {
    let [out, trained] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let numpy = ["--rng", "numpy", "--first-seed", "42", "--setting", "0,0.001"];
    replicate(out.path(), &[&numpy[..], &["--seeds", "2"]].concat());
    let rows: Vec<ReplicationRow> = read(&out.path().join("replication.csv"));
    let single = ["--seed", "42", "--lambda", "0", "--eta", "0.001", "--epochs", "1", "--quiet"];
    let train = |options: &[&str]| {
        let folder = ["train", "--dataset", "sample", "--out", trained.path().to_str().unwrap()];
        succeed(&[&folder[..], &single, options].concat());
        let rows: Vec<SummaryRow> = read(&trained.path().join("summary.csv"));
        rows[0].clone()
    };
    let numbers =
        |row: &ReplicationRow| (row.hyperparameters.clone(), row.train_loss, row.test_loss, row.test_accuracy);
    let expected = train(&["--rng", "numpy"]);
    let of_train = (expected.hyperparameters, expected.scores.train_loss, expected.test_loss, expected.test_accuracy);
    assert_eq!(numbers(&rows[0]), of_train);
    let start_and_shuffle = |row: &ReplicationRow| (row.hyperparameters.start.clone(), row.hyperparameters.shuffle);
    assert_eq!(start_and_shuffle(&rows[1]), (Origin::Numpy, Shuffle::NumpyPermutation));
    assert!(rows[1].test_loss != rows[0].test_loss && train(&[]).test_loss != rows[0].test_loss);

    let out = out.path().to_str().unwrap();
    let again =
        ["replicate", "--dataset", "sample", "--epochs", "1", "--seeds", "3", "--quiet", "--resume", "--out", out];
    for (options, words) in [
        (&numpy[2..], "it was made with --rng numpy, not chacha8 ("),
        (&[&numpy[..], &["--rng-order", "shuffle"]].concat(), ", not numpy --rng-order shuffle ("),
    ] {
        let message = fail(&[&again[..], options].concat());
        assert!(message.contains(words), "{message}");
    }
    succeed(&[&again[..], &numpy].concat());
}

#[test]
fn the_tables_and_the_printed_text_summarise_the_runs() {
    let out = tempfile::tempdir().unwrap();
    let text = replicate(out.path(), &["--seeds", "6"]);
    let rows: Vec<ReplicationRow> = read(&out.path().join("replication.csv"));
    let summary: Vec<SettingRow> = read(&out.path().join("replication_summary.csv"));
    for (row, setting) in summary.iter().zip(Setting::REPORT) {
        let of = rows.iter().filter(|run| run.setting == setting.name());
        let accuracies: Vec<f64> = of.map(|run| run.test_accuracy.unwrap()).collect();
        let mean = accuracies.iter().sum::<f64>() / 6.0;
        assert_eq!((row.n, row.diverged), (6, 0));
        assert!((row.mean.unwrap() - mean).abs() < 1e-12);
        assert!(row.run_95_low.unwrap() < row.mean_95_low.unwrap());
        assert!(text.contains(&format!("{:.2}", 100.0 * mean)), "{text}");
    }
    let pairs: Vec<PairRow> = read(&out.path().join("replication_pairs.csv"));
    assert_eq!(pairs.len(), 6);
    assert!(pairs.iter().map(|pair| &pair.difference).all(|d| d.n == 6 && d.wins + d.ties + d.losses == 6));
    let verdicts: Vec<VerdictRow> = read(&out.path().join("replication_verdicts.csv"));
    assert_eq!(verdicts.len(), 3);
    for row in verdicts {
        assert!(text.contains(&format!("{}: {}\n", row.conclusion, row.verdict)), "{text}");
    }
    let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains("accuracy with λ = 0.1, η = 0.001 minus that with λ = 0, η = 0.001: "), "{text}");
    assert_eq!(text.lines().find(|line| line.ends_with(' ')), None);
    assert!(rows[0].setting.contains("lambda") && !text.contains("lambda"), "the names of the tables: {text}");
    let wide = text.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
}

#[test]
fn merged_shards_equal_the_whole_job_byte_for_byte() {
    let [whole, parts, merged] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    replicate(whole.path(), &["--seeds", "5"]);
    let mut tables = Vec::new();
    for shard in ["3/3", "1/3", "2/3"] {
        let text = replicate(parts.path(), &["--seeds", "5", "--shard", shard]);
        assert!(text.contains(&format!("Shard {shard} is done")), "{text}");
        tables.push(parts.path().join(format!("replication_shard{}of3.csv", &shard[..1])));
    }
    assert_eq!(names(parts.path()).len(), 3, "a shard writes only its table");
    let printed = succeed(&words(&merge(&tables, merged.path())));
    assert_same(whole.path(), merged.path());
    assert_eq!(printed, replicate(whole.path(), &["--seeds", "5", "--resume"]));
    // The folder of the tables does as well.
    let again = tempfile::tempdir().unwrap();
    let of_folder = merge(&[parts.path().to_owned()], again.path());
    assert_eq!(succeed(&[&words(&of_folder)[..], &["--quiet"]].concat()), "");
    assert_same(whole.path(), again.path());
    assert!(fail(&words(&merge(&[again.path().to_owned()], merged.path()))).contains("has no table of a shard"));
}

#[test]
fn shards_that_do_not_make_a_whole_job_are_refused_by_name_and_nothing_is_written() {
    let [parts, other, merged] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let table = |folder: &Path, shard: &str| {
        replicate(folder, &["--seeds", "3", "--shard", shard, "--setting", "0,0.001"]);
        folder.join(format!("replication_shard{}.csv", shard.replace('/', "of")))
    };
    let [first, second] = ["1/2", "2/2"].map(|shard| table(parts.path(), shard));
    let third = table(other.path(), "2/3");
    let other_job = other.path().join("replication_shard2of2.csv");
    let smaller_batches = ["--seeds", "3", "--shard", "2/2", "--setting", "0,0.001", "--batch-size", "50"];
    replicate(other.path(), &smaller_batches);
    let strange = other.path().join("summary.csv");
    fs::write(&strange, "a,b\n1,2\n").unwrap();
    let refusal = |tables: &[&PathBuf]| {
        let tables: Vec<PathBuf> = tables.iter().map(|path| (*path).clone()).collect();
        fail(&words(&merge(&tables, merged.path())))
    };
    assert!(refusal(&[&first]).contains("shard 2 of 2 is missing"));
    assert!(refusal(&[&first, &second, &first]).contains("shard1of2.csv is listed twice; list each once"));
    assert!(refusal(&[&first, &third]).contains("split in two ways"));
    assert!(refusal(&[&first, &other_job]).contains(" are from different jobs: batches of 100, not batches of 50"));
    let numpy = ["--seeds", "3", "--shard", "2/2", "--setting", "0,0.001", "--rng", "numpy"];
    replicate(other.path(), &numpy);
    assert!(refusal(&[&first, &other_job]).contains("shuffling chacha8, not start numpy; shuffling numpy-permutation"));
    assert!(refusal(&[&first, &strange]).contains("shard1of4.csv, but looks like text that begins with \"a,b\""));
    assert!(refusal(&[&first, &other.path().join("none.csv")]).contains("none.csv"));
    assert!(names(merged.path()).is_empty());
}

#[test]
fn a_smaller_replication_is_resumed_to_the_same_bytes() {
    let [whole, part] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    replicate(whole.path(), &["--seeds", "4"]);
    replicate(part.path(), &["--seeds", "2"]);
    // A seed that is there is not trained again: its made-up loss stays.
    let table = part.path().join("replication.csv");
    let text = fs::read_to_string(&table).unwrap();
    replicate(part.path(), &["--seeds", "4", "--resume"]);
    assert_same(whole.path(), part.path());
    let row = text.lines().nth(1).unwrap();
    let made_up = row.replacen(",random,", ",random,9", 1);
    assert_ne!(row, made_up);
    fs::write(&table, text.replace(row, &made_up)).unwrap();
    replicate(part.path(), &["--seeds", "4", "--resume"]);
    let text = fs::read_to_string(&table).unwrap();
    assert!(text.contains(",random,9"), "{text}");
}

#[cfg(unix)]
#[test]
fn after_a_signal_the_replication_is_resumed_to_the_same_bytes() {
    let [whole, part] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let job = ["--seeds", "60", "--setting", "0,0.001"];
    replicate(whole.path(), &job);
    let mut running = Command::new(crate::program())
        .args(["replicate", "--dataset", "sample", "--epochs", "1", "--quiet", "--out"])
        .arg(part.path())
        .args(job)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let table = part.path().join("replication.csv");
    while !table.exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let pid = running.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(running.wait().unwrap().code(), Some(130));
    let done = read::<ReplicationRow>(&table).len();
    assert!((1..60).contains(&done), "{done}");
    assert_eq!(read::<SettingRow>(&part.path().join("replication_summary.csv"))[0].n, done);
    replicate(part.path(), &[&job[..], &["--resume"]].concat());
    assert_same(whole.path(), part.path());
}

#[test]
fn another_job_is_not_resumed_and_its_table_stays() {
    let out = tempfile::tempdir().unwrap();
    replicate(out.path(), &["--seeds", "1", "--setting", "0,0.001"]);
    let before = fs::read(out.path().join("replication.csv")).unwrap();
    let folder = out.path().to_str().unwrap();
    let sample = ["replicate", "--dataset", "sample", "--quiet", "--resume", "--out", folder];
    for (more, word) in [
        (
            &["--seeds", "1", "--epochs", "2", "--setting", "0,0.001"][..],
            "it was made with --epochs 1, not 2 (seed 1 of ",
        ),
        (
            &["--seeds", "1", "--epochs", "1", "--setting", "1,0.001"],
            "it was made with the setting λ = 0, η = 0.001, not λ = 1, η = 0.001 (",
        ),
        (
            &["--seeds", "1", "--epochs", "1", "--first-seed", "2", "--setting", "0,0.001"],
            "it has seed 1 of λ = 0, η = 0.001, which is not in --first-seed 2 --seeds 1;",
        ),
    ] {
        let message = fail(&[&sample[..], more].concat());
        assert!(message.contains(word) && message.contains("--resume"), "{message}");
    }
    assert_eq!(fs::read(out.path().join("replication.csv")).unwrap(), before);
}

#[test]
fn runs_that_diverge_are_counted_and_leave_empty_fields() {
    let out = tempfile::tempdir().unwrap();
    let text = replicate(out.path(), &["--seeds", "2", "--setting", "0,1e36", "--setting", "0,0.001"]);
    assert!(text.contains("(2 diverged)"), "{text}");
    let rows: Vec<ReplicationRow> = read(&out.path().join("replication.csv"));
    assert_eq!((rows[0].diverged_in_epoch, rows[0].test_accuracy), (Some(1), None));
    assert_eq!(rows[1].diverged_in_epoch, None);
    let summary: Vec<SettingRow> = read(&out.path().join("replication_summary.csv"));
    assert_eq!((summary[0].n, summary[0].diverged, summary[0].mean), (0, 2, None));
    assert_eq!((summary[1].n, summary[1].diverged), (2, 0));
    let pairs: Vec<PairRow> = read(&out.path().join("replication_pairs.csv"));
    assert_eq!((pairs[0].difference.n, pairs[0].difference.sign_flip_p), (0, None));
    for name in FILES.iter().filter(|name| name.ends_with(".csv")) {
        let text = fs::read_to_string(out.path().join(name)).unwrap();
        assert!(!text.contains("NaN"), "{name}: {text}");
    }
}

#[test]
fn one_seed_or_two_decide_no_conclusion() {
    for seeds in ["1", "2"] {
        let out = tempfile::tempdir().unwrap();
        let text = replicate(out.path(), &["--seeds", seeds]);
        assert!(!text.contains("NaN"), "{text}");
        let verdicts: Vec<VerdictRow> = read(&out.path().join("replication_verdicts.csv"));
        assert_eq!(verdicts.len(), 3);
        assert!(verdicts.iter().all(|row| row.verdict == "undecided"));
    }
}

#[test]
fn invalid_jobs_are_refused_before_anything_is_written() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("new");
    let base = ["replicate", "--dataset", "sample", "--out", folder.to_str().unwrap()];
    for (more, expected) in [
        (&["--seeds", "0"][..], "--seeds must be at least 1, but is 0"),
        (&["--setting", "0,0.1", "--setting", "0,0.1"], "setting λ = 0, η = 0.1 is listed twice"),
        (&["--epochs", "0"], "--epochs must be at least 1"),
        (&["--first-seed", "18446744073709551615"], "--seeds must be at most 1 from seed 18446744073709551615 on"),
    ] {
        let message = fail(&[&base[..], more].concat());
        assert!(message.contains(expected), "{message}");
    }
    for (more, expected) in [
        (["--setting", "0.1"], "0.1,0.001"),
        (["--setting", "0,-1"], "eta must be"),
        (["--shard", "5/4"], "shard must be I/N"),
        (["--shard", "0/4"], "such as 2/4"),
    ] {
        let output = onelayer(&[&base[..], &more].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(!folder.exists());
}

#[cfg(unix)]
#[test]
fn the_shards_of_the_slurm_job_array_can_be_merged() {
    let folder = tempfile::tempdir().unwrap();
    let shards = folder.path().join("shards");
    let program = crate::program();
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut tables = Vec::new();
    for task in 1..=3 {
        let status = Command::new("bash")
            .args(["examples/slurm/replicate.sh", "--dataset", "sample", "--epochs", "1"])
            .env("PATH", &path)
            .env("SEEDS", "4")
            .env("SHARDS", &shards)
            .env("SLURM_ARRAY_TASK_ID", task.to_string())
            .env("SLURM_ARRAY_TASK_COUNT", "3")
            .status()
            .unwrap();
        assert!(status.success());
        let name = format!("{task}/replication_shard{task}of3.csv");
        tables.push(shards.join(name));
    }
    let merged = folder.path().join("merged");
    succeed(&words(&merge(&tables, &merged)));
    let whole = folder.path().join("whole");
    replicate(&whole, &["--seeds", "4"]);
    assert_same(&whole, &merged);
}
