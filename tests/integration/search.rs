//! `search` and its shards on the sample.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, sample};
use onelayer::evaluate::{Scores, outcomes};
use onelayer::files::csv;
use onelayer::hyperparameters::{Hyperparameters, Loss, readable};
use onelayer::search::table::{BEST_FILE, BestRow, SearchRow};
use onelayer::train::config::Config;
use onelayer::train::model::ModelFile;
use tempfile::TempDir;

/// Two streams of batches with four trials each.
const SPACE: [&str; 8] = ["--lambda", "0.001,0.1", "--eta", "0.003,0.03", "--loss", "softmax", "--flip", "0,0.5"];

fn onelayer(command: &str, arguments: &[&str], out: &Path) -> Output {
    Command::new(crate::program())
        .args([command, "--dataset", "sample", "--quiet", "--out"])
        .arg(out)
        .args(arguments)
        .output()
        .unwrap()
}

fn search(arguments: &[&str], out: &Path) -> Output {
    let all = [&["--epochs", "2", "--decay", "1x0.5"], &SPACE[..], arguments].concat();
    onelayer("search", &all, out)
}

fn succeed(arguments: &[&str]) -> (TempDir, String) {
    let out = tempfile::tempdir().unwrap();
    let output = search(arguments, out.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
    (out, String::from_utf8(output.stdout).unwrap())
}

fn rows(path: &Path) -> Vec<SearchRow> {
    csv::from_csv(&fs::read(path).unwrap(), path).unwrap()
}

/// The rows without the time that was taken.
fn numbers(out: &Path) -> Vec<SearchRow> {
    let mut rows = rows(&out.join("search.csv"));
    rows.iter_mut().for_each(|row| row.train_seconds = 0.0);
    rows
}

fn model(path: &Path) -> ModelFile {
    ModelFile::from_bytes(&fs::read(path).unwrap(), path).unwrap()
}

fn scores(model: &ModelFile, split: &Dataset) -> Scores {
    let normalizer = Normalizer::new(model.mean.clone(), model.std.clone()).unwrap();
    outcomes(&[(&model.parameters, Loss::Softmax)], split, &normalizer).unwrap()[0].scores(0.0)
}

fn refusal(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    stderr
}

#[test]
fn the_best_on_validation_is_retrained_on_all_images_and_tested_once() {
    let (out, words) = succeed(&[]);
    let rows = numbers(out.path());
    assert_eq!(rows.iter().map(|r| r.trial).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert!(rows.iter().all(|r| (r.trials, r.validation_images, r.hyperparameters.epochs) == (8, 300, 2)));
    let accuracies: Vec<_> = rows.iter().map(|r| r.validation_accuracy.unwrap()).collect();
    let highest = accuracies.iter().copied().fold(0.0, f64::max);
    let best = rows.iter().find(|r| r.validation_accuracy == Some(highest)).unwrap();

    let refit = model(&out.path().join("model_best.safetensors"));
    assert_eq!((&refit.setting, &refit.hyperparameters), (&best.setting, &best.hyperparameters));
    assert_eq!(refit.splits[1], "none");
    // The normaliser is fitted on all 1,000 training images, not on the 700 that the trials were trained on.
    let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
    assert_eq!(refit.mean, Normalizer::fit(&splits.train).unwrap().mean());

    let test = scores(&refit, &splits.test).accuracy;
    let error = (test * (1.0 - test) / 500.0).sqrt();
    for expected in [
        format!("Retrained on all 1,000 images, it has a test accuracy of {:.2} %,", 100.0 * test),
        format!("with a standard error of {:.2} points. The 500 test images", 100.0 * error),
        format!("The best is {},\n", readable(&best.setting)),
    ] {
        assert!(words.contains(&expected), "{expected} {words}");
    }
    assert!(words.contains(&format!("{:.2} %", 100.0 * highest)), "{words}");
    let table = out.path().join(BEST_FILE);
    let rows: Vec<BestRow> = csv::from_csv(&fs::read(&table).unwrap(), &table).unwrap();
    assert_eq!(rows.len(), 1);
    let BestRow { setting, hyperparameters, validation_accuracy, train_images, test_images, .. } = &rows[0];
    assert_eq!((setting, hyperparameters), (&best.setting, &best.hyperparameters));
    assert_eq!((*validation_accuracy, *train_images, *test_images), (Some(highest), 1000, 500));
    assert_eq!(rows[0].test_accuracy, Some(test));
    assert!((rows[0].test_standard_error.unwrap() - error).abs() < 1e-12);
    let folder = out.path().to_str().unwrap();
    let width = |line: &str| line.replace(folder, "results").chars().count();
    assert!(words.lines().all(|line| width(line) <= 80), "{words}");
    assert!(out.path().join("search.png").exists());
}

#[test]
fn train_reads_the_best_setting_and_ends_with_the_same_model() {
    let (out, _) = succeed(&[]);
    let toml = out.path().join("best.toml");
    let again = tempfile::tempdir().unwrap();
    let output = Command::new(crate::program())
        .args(["train", "--quiet", "--config"])
        .arg(&toml)
        .arg("--out")
        .arg(again.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let best = model(&out.path().join("model_best.safetensors"));
    let name = format!("model_{}.safetensors", best.setting);
    assert_eq!(model(&again.path().join(name)), best);

    // The command line takes precedence over the file.
    let output = Command::new(crate::program())
        .args(["train", "--quiet", "--seed", "7", "--loss", "bce", "--config"])
        .arg(&toml)
        .arg("--out")
        .arg(again.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let config = Config::from_toml(&fs::read_to_string(&toml).unwrap(), &toml).unwrap();
    let Hyperparameters { lambda, eta, .. } = config.hyperparameters;
    let name = format!("model_lambda{lambda}_eta{eta}_bce_decay1x0.5.safetensors");
    let other = model(&again.path().join(name)).hyperparameters;
    assert_eq!((other.seed, other.loss, other.epochs), (7, Loss::Bce, 2));
}

#[test]
fn a_decay_on_plateaus_is_searched_and_retrained_on_the_images_of_its_trial() {
    let search = |decays: &str| {
        let out = tempfile::tempdir().unwrap();
        let space = ["--epochs", "6", "--lambda", "0.1", "--eta", "0.03", "--loss", "softmax", "--flip", "0"];
        let output = onelayer("search", &[&space[..], &["--decay", decays]].concat(), out.path());
        assert!(output.status.success(), "{output:?}");
        (out, String::from_utf8(output.stdout).unwrap())
    };
    let (both, _) = search("none,plateau1x0.5");
    let (only, words) = search("plateau1x0.5");
    let without_numbers = |mut row: SearchRow| {
        (row.trial, row.trials, row.search) = (0, 0, String::new());
        row
    };
    let (found, alone) = (numbers(both.path()), numbers(only.path()).remove(0));
    assert_eq!(without_numbers(found[1].clone()), without_numbers(alone.clone()));
    assert_eq!(alone.setting, "lambda0.1_eta0.03_plateau1x0.5");
    assert_ne!(found[0].validation_loss, found[1].validation_loss);

    let best = model(&only.path().join("model_best.safetensors"));
    assert_eq!(best.splits[1], "the last 30 images of each class of sample/train.bin");
    let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
    let (_, validation) = splits.train.hold_out(300).unwrap();
    assert_eq!(Some(scores(&best, &validation).accuracy), alone.validation_accuracy);
    let expected = "Retrained on the same 700 images, since its decay needs the others\nfor validation, it has";
    assert!(words.contains(expected) && words.lines().take(8).all(|line| line.chars().count() <= 80), "{words}");

    let again = tempfile::tempdir().unwrap();
    let config = only.path().join("best.toml");
    let arguments = ["train", "--quiet", "--config", config.to_str().unwrap(), "--out"];
    let output = Command::new(crate::program()).args(arguments).arg(again.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(model(&again.path().join(format!("model_{}.safetensors", alone.setting))), best);
}

#[test]
fn a_resumed_search_does_not_train_its_trials_again() {
    let (whole, words) = succeed(&[]);
    let out = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(whole.path().join("search.csv")).unwrap();
    let kept: Vec<_> = text.lines().take(4).collect();
    fs::write(out.path().join("search.csv"), kept.join("\n") + "\n").unwrap();
    let output = search(&["--resume"], out.path());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(numbers(out.path()), numbers(whole.path()));
    // The rows that were there keep their training time.
    let resumed = fs::read_to_string(out.path().join("search.csv")).unwrap();
    assert_eq!(resumed.lines().take(4).collect::<Vec<_>>(), kept);
    let without_folder = |words: &str| words.lines().take(8).collect::<Vec<_>>().join("\n");
    let resumed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(without_folder(&resumed), without_folder(&words));

    // All trials are done: only the best is retrained, and the figure is there again.
    let figure = whole.path().join("search.png");
    let drawn = fs::read(&figure).unwrap();
    fs::remove_file(&figure).unwrap();
    let output = search(&["--resume"], whole.path());
    assert!(output.status.success());
    assert_eq!(fs::read(&figure).unwrap(), drawn);
    assert_eq!(fs::read_to_string(whole.path().join("search.csv")).unwrap(), text);
}

#[test]
fn another_search_is_not_resumed_and_its_table_stays() {
    let (out, _) = succeed(&[]);
    let table = fs::read(out.path().join("search.csv")).unwrap();
    for other in [["--seed", "1"], ["--batch-size", "50"], ["--validation-size", "200"], ["--random", "3"]] {
        let arguments = [&other[..], &["--resume"]].concat();
        let message = refusal(&search(&arguments, out.path()));
        assert!(message.contains("search.csv: cannot resume: it "), "{message}");
        assert!(message.contains("(trial 1)"), "{message}");
        assert!(fs::read(out.path().join("search.csv")).unwrap() == table);
    }
    fs::write(out.path().join("search.csv"), "trial\n1\n").unwrap();
    let message = refusal(&search(&["--resume"], out.path()));
    assert!(message.contains("search.csv: the columns must be"), "{message}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_search_is_resumed_to_the_same_numbers() {
    const EPOCHS: [&str; 2] = ["--epochs", "100"];
    let whole = tempfile::tempdir().unwrap();
    let long = |extra: &[&str], out: &Path| {
        let arguments = [&EPOCHS[..], &SPACE, extra].concat();
        onelayer("search", &arguments, out)
    };
    // There is no table yet: the search starts over.
    assert!(long(&["--resume"], whole.path()).status.success());

    let out = tempfile::tempdir().unwrap();
    let child = Command::new(crate::program())
        .args(["search", "--dataset", "sample", "--quiet", "--out"])
        .arg(out.path())
        .args(EPOCHS)
        .args(SPACE)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let table = out.path().join("search.csv");
    while !table.exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.starts_with("stopped after 4 of 8 trials; to resume: "), "{stderr}");
    assert!(stderr.trim_end().ends_with("--resume"), "{stderr}");
    assert_eq!(rows(&table).len(), 4);

    assert!(long(&["--resume"], out.path()).status.success());
    assert_eq!(numbers(out.path()), numbers(whole.path()));
}

#[test]
fn merged_shards_equal_one_process() {
    let (whole, _) = succeed(&[]);
    let out = tempfile::tempdir().unwrap();
    for shard in ["1/3", "2/3", "3/3"] {
        let output = search(&["--shard", shard], out.path());
        assert!(output.status.success(), "{output:?}");
    }
    assert!(!out.path().join("best.toml").exists(), "a shard retrains nothing");
    let tables: Vec<_> = (1..=3).map(|i| out.path().join(format!("search_shard{i}of3.csv"))).collect();
    let merge = |tables: &[PathBuf]| {
        let mut merge = Command::new(crate::program());
        merge.arg("merge").args(tables).arg("--out").arg(out.path());
        merge.output().unwrap()
    };
    let said = refusal(&merge(&tables[..2]));
    assert!(said.contains("shard 3 of 3 is missing"), "{said}");
    let output = merge(&tables);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("8 trials: "), "{said}");
    assert!(out.path().join("search.png").exists());
    assert_eq!(numbers(out.path()), numbers(whole.path()));
    let output = search(&["--resume"], out.path());
    assert!(output.status.success(), "{output:?}");
    let best = |out: &Path| fs::read(out.join("model_best.safetensors")).unwrap();
    assert!(best(out.path()) == best(whole.path()));
}

#[test]
fn random_trials_lie_between_the_given_values() {
    let (out, words) = succeed(&["--random", "5"]);
    let rows = numbers(out.path());
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|r| (0.001..=0.1).contains(&r.hyperparameters.lambda)));
    assert!(rows.iter().all(|r| (0.003..=0.03).contains(&r.hyperparameters.eta)));
    assert!(words.starts_with("5 trials were trained for 2 epochs on 700 images"));
}

#[test]
fn a_trial_that_diverges_is_a_row_without_scores_and_never_the_best() {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--epochs", "1", "--lambda", "0", "--eta", "1e37,0.01"];
    let output = onelayer("search", &arguments, out.path());
    assert!(output.status.success(), "{output:?}");
    let rows = numbers(out.path());
    let diverged: Vec<_> = rows.iter().filter(|r| r.hyperparameters.eta > 1.0).collect();
    assert!(!diverged.is_empty() && diverged.iter().all(|r| r.validation_accuracy.is_none()));
    let best = model(&out.path().join("model_best.safetensors"));
    assert_eq!(best.hyperparameters.eta, 0.01);

    let nothing = tempfile::tempdir().unwrap();
    let arguments = ["--epochs", "1", "--lambda", "0", "--eta", "1e37"];
    let output = onelayer("search", &arguments, nothing.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Every trial diverged"));
    assert!(!nothing.path().join("best.toml").exists());
}

#[test]
fn an_invalid_search_is_refused_before_anything_is_trained() {
    let out = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["--eta", "0"][..], "eta must be"),
        (&["--lambda", "0,0.1", "--random", "3"], "above 0 to be drawn log-uniformly"),
        (&["--random", "0"], "--random must be at least 1"),
        (&["--decay", "none,none"], "--decay none is listed twice"),
        (&["--flip", "2"], "flip must be a probability"),
        (&["--batch-size", "0"], "batch-size must be"),
        (&["--batch-size", "701"], "at most 700"),
        (&["--epochs", "0"], "--epochs must be at least 1"),
        (&["--validation-size", "301"], "a multiple of 10"),
        (&["--validation-size", "1000"], "at most 990"),
        (&["--validation-size", "0"], "validation"),
        (&["--seed", "18446744073709551615"], "seed must be at most"),
        (&["--threads", "0"], "--threads must be 1 to "),
    ] {
        let message = refusal(&onelayer("search", arguments, out.path()));
        assert!(message.contains(words), "{arguments:?}: {message}");
        let left: Vec<_> = fs::read_dir(out.path()).unwrap().flatten().collect();
        assert!(left.iter().all(|e| e.file_name() == ".lock"), "{arguments:?}: {left:?}");
    }
    for arguments in [
        &["--decay", "fast"][..],
        &["--decay", "10x2"],
        &["--decay", "plateau0x0.5"],
        &["--loss", "hinge"],
        &["--shard", "3/2"],
    ] {
        let output = onelayer("search", arguments, out.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
