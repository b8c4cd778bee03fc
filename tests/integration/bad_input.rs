//! Invalid input of every kind: one line on stderr, exit code 1 (2 for wrong usage), and an unchanged results folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use onelayer::files::npz::{self, Elements};
use tempfile::TempDir;

/// A results folder that is not empty.
struct Results(TempDir);

impl Results {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("summary.csv"), "what was there\n").unwrap();
        Self(folder)
    }

    /// Runs `train` with `arguments`; it must end with `code`, print each of `words` in one line, and change nothing.
    fn refuse(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let output = Command::new(crate::program())
            .args(["train", "--dataset", "sample", "--epochs", "1", "--out"])
            .arg(self.0.path())
            .args(arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{arguments:?}: {word:?} is not in {stderr:?}");
        }
        if code == 1 {
            assert!(!stderr.trim_end().contains(char::is_control), "{stderr:?}");
            assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
            assert!(stderr.starts_with("error: "), "{stderr}");
        }
        let files: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(files, ["summary.csv"], "{arguments:?}");
        let content = fs::read_to_string(self.0.path().join("summary.csv")).unwrap();
        assert_eq!(content, "what was there\n", "{arguments:?}");
    }
}

#[test]
fn settings_outside_their_range_are_refused_by_name_and_value() {
    let results = Results::new();
    for (option, value, words) in [
        ("--eta", "0", ["eta must be", "above 0"]),
        ("--eta", "-0.1", ["eta must be", "-0.1"]),
        ("--eta", "NaN", ["eta must be", "NaN"]),
        ("--eta", "inf", ["eta must be", "inf"]),
        ("--lambda", "-1", ["lambda must be", "-1"]),
        ("--lambda", "NaN", ["lambda must be", "NaN"]),
        ("--lambda", "inf", ["lambda must be", "inf"]),
        ("--lambda", "1e300", ["lambda must be", "finite"]),
        ("--batch-size", "0", ["batch-size must be", "but is 0"]),
        ("--batch-size", "1001", ["at most 1000", "1001"]),
        ("--threads", "0", ["threads must be", "0"]),
        ("--threads", "100000", ["threads must be 1 to", "100000"]),
        ("--eta", "1e39", ["below 3.4e38", "but is 1e39"]),
        ("--train-batches", "1", ["name files of CIFAR-10", "leave them out"]),
        ("--validation-batches", "2", ["name files of CIFAR-10", "leave them out"]),
        ("--flip", "1.5", ["flip must be a probability", "1.5"]),
        ("--flip", "-0.5", ["flip must be a probability", "-0.5"]),
        ("--flip", "NaN", ["flip must be a probability", "NaN"]),
        ("--validation-size", "301", ["validation-size must be a multiple of 10", "301"]),
        ("--validation-size", "1000", ["validation-size must be", "at most 990"]),
    ] {
        results.refuse(&[option, value], 1, &words);
    }
}

#[test]
fn invalid_decays_and_configurations_are_refused() {
    let results = Results::new();
    for (every, factor, words) in [
        ("0", "0.5", "decay-every must be at least 1"),
        ("5", "0", "decay-factor must be above 0 and below 1"),
        ("5", "-1", "decay-factor must be above 0 and below 1"),
        ("5", "1", "decay-factor must be above 0 and below 1"),
    ] {
        results.refuse(&["--decay-every", every, "--decay-factor", factor], 1, &[words]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.toml");
    for (text, words) in [
        ("eta = 0.1\nepochs_ = 3\n", &["best.toml: line 2", "epochs_"][..]),
        ("eta = -1\n", &["eta must be"]),
        ("decay_every = 3\n", &["decay-factor must be given together with decay-every"]),
        ("decay_every = 3\ndecay_patience = 3\n", &["best.toml: decay-every must be left out beside decay-patience"]),
        ("decay_patience = 0\n", &["best.toml: decay-patience must be at least 1"]),
        ("decay_patience = 3\ndecay_factor = 1\n", &["best.toml: decay-factor must be above 0 and below 1"]),
        ("eta = \n", &["best.toml: line 1"]),
        ("dataset = \"mnist\"\n", &["dataset must be cifar10 or sample", "mnist"]),
    ] {
        fs::write(&path, text).unwrap();
        results.refuse(&["--config", path.to_str().unwrap()], 1, words);
    }
    results.refuse(&["--config", "nowhere.toml"], 1, &["cannot read --config nowhere.toml"]);
}

#[test]
fn zero_epochs_are_refused() {
    // Not with `Results::refuse`, which gives --epochs too: clap refuses a repeated option.
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(crate::program())
        .args(["train", "--dataset", "sample", "--epochs", "0", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr, "error: epochs must be at least 1, but is 0\n");
}

#[test]
fn wrong_usage_and_invalid_values_have_different_exit_codes() {
    let results = Results::new();
    results.refuse(&["--eta", "much"], 2, &["--eta must be a number, but is 'much'"]);
    results.refuse(&["--eta", "0,001"], 2, &["--eta must be a number with a decimal point, 0.001, but is '0,001'"]);
    results.refuse(&["--no-such-option"], 2, &["--no-such-option"]);
    results.refuse(&["--batch-size", "-5"], 2, &["--batch-size must be at least 1, but is '-5'"]);
    results.refuse(&["--dataset", "mnist"], 2, &[]);
    results.refuse(&["--loss", "hinge"], 2, &["softmax", "bce"]);
    results.refuse(&["--decay-every", "5"], 2, &["--decay-factor"]);
    results.refuse(&["--decay-factor", "0.5"], 2, &["--decay-every"]);
    results.refuse(&["--decay-on-plateau", "0"], 2, &["decay-patience must be at least 1, but is 0"]);
    results.refuse(&["--decay-on-plateau", "5,1"], 2, &["decay-factor must be above 0 and below 1, but is 1"]);
    for text in ["", "x", "5,", "5,x", "5,0.1,0.2", "1.5"] {
        results.refuse(&["--decay-on-plateau", text], 2, &["such as 5 or 5,0.1"]);
    }
    let steps = ["--decay-every", "5", "--decay-factor", "0.5"];
    results.refuse(&[&["--decay-on-plateau", "5"], &steps[..]].concat(), 2, &["cannot be used with"]);
    results.refuse(&["--validation-size", "100", "--validation-batches", "3"], 2, &["cannot be used with"]);
}

#[test]
fn unknown_and_overlapping_batches_are_refused() {
    let results = Results::new();
    let refuse = |arguments: &[&str], words: &[&str]| {
        let arguments = [&["--data-dir", "nowhere"], arguments].concat();
        // Not with `Results::refuse`, which gives --dataset too: clap refuses a repeated option.
        let output = Command::new(crate::program())
            .args(["train", "--out"])
            .arg(results.0.path())
            .args(&arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(words.iter().all(|w| stderr.contains(w)) && stderr.lines().count() == 1, "{stderr}");
    };
    refuse(&["--train-batches", "6"], &["training batch must be 1 to 5", "6"]);
    refuse(&["--train-batches", "1,1"], &["batch 1 is listed twice"]);
    refuse(&["--train-batches", "1,2"], &["data_batch_2.bin is in both"]);
    assert!(!Path::new("nowhere").exists(), "nothing is fetched before the arguments are checked");
}

#[test]
fn a_start_that_does_not_fit_is_refused() {
    let results = Results::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let weight = vec![0.0_f32; 30_720];
    let mut infinite = weight.clone();
    infinite[77] = f32::INFINITY;
    let npz = |arrays: &[(&str, &[usize], Elements)]| npz::write(arrays).unwrap();
    let good = npz(&[("W", &[10, 3072], Elements::F32(&weight))]);

    for (name, bytes, words) in [
        ("flat.npz", npz(&[("W", &[30_720], Elements::F32(&weight))]), vec!["(10, 3072)", "(3072, 10)", "(30720)"]),
        ("nameless.npz", npz(&[("V", &[10, 3072], Elements::F32(&weight))]), vec!["W", "V"]),
        ("integers.npz", npz(&[("W", &[10, 3072], Elements::I64(&vec![0; 30_720]))]), vec!["W"]),
        ("infinite.npz", npz(&[("W", &[10, 3072], Elements::F32(&infinite))]), vec!["finite", "77"]),
        (
            "bias.npz",
            npz(&[("W", &[10, 3072], Elements::F32(&weight)), ("b", &[9], Elements::F32(&[0.0; 9]))]),
            vec!["b", "(10)", "(9)"],
        ),
        ("truncated.npz", good[..good.len() / 2].to_vec(), vec![]),
        ("text.npz", b"not at all".to_vec(), vec!["--init takes"]),
        ("empty.npz", vec![], vec!["--init takes"]),
    ] {
        let path = file(name, &bytes);
        let mut words = words;
        words.push(name);
        results.refuse(&["--init", &path], 1, &words);
    }
    results.refuse(&["--init", "nowhere.npz"], 1, &["nowhere.npz", "No such file"]);
    results.refuse(&["--init", folder.path().to_str().unwrap()], 1, &["cannot read"]);
}

/// Text from a file must not control the terminal: this one would clear it and print a line.
#[test]
fn a_message_has_no_control_characters_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.toml");
    fs::write(&path, "\"\\u001b[2J\\nall is well\" = 1\n").unwrap();
    let config = path.to_str().unwrap();
    let parts = [r"\u{1b}[2J, all is well", "other.toml"];
    Results::new().refuse(&["--config", config], 1, &parts);
}

#[cfg(unix)]
#[test]
fn a_file_without_end_is_refused() {
    let words = ["cannot read", "/dev/zero", "at most 268435456 bytes"];
    Results::new().refuse(&["--init", "/dev/zero"], 1, &words);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_refused_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    for out in [file.clone(), file.join("below")] {
        let output =
            Command::new(crate::program()).args(["train", "--dataset", "sample", "--out"]).arg(&out).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.contains("--out") && stderr.contains("file") && stderr.lines().count() == 1, "{stderr}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "in the way");
}
