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
        assert!(!stderr.trim_end().contains(char::is_control), "{stderr:?}");
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
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
        ("--eta", "0", ["error: --eta must be", "above 0"]),
        ("--eta", "-0.1", ["eta must be", "-0.1"]),
        ("--eta", "NaN", ["eta must be", "NaN"]),
        ("--eta", "inf", ["eta must be", "inf"]),
        ("--lambda", "-1", ["lambda must be", "-1"]),
        ("--lambda", "NaN", ["lambda must be", "NaN"]),
        ("--lambda", "inf", ["lambda must be", "inf"]),
        ("--lambda", "1e300", ["lambda must be", "below 1.7e38"]),
        ("--batch-size", "0", ["--batch-size must be", "but is 0"]),
        ("--batch-size", "1001", ["at most 1000", "1001"]),
        ("--threads", "0", ["--threads must be", "0"]),
        ("--threads", "100000", ["threads must be 1 to", "100000"]),
        ("--eta", "1e39", ["below 3.4e38", "but is 1e39"]),
        ("--train-batches", "1", ["names files of CIFAR-10", "leave it out"]),
        ("--validation-batches", "2", ["names files of CIFAR-10", "leave it out"]),
        ("--flip", "1.5", ["flip must be a probability", "1.5"]),
        ("--flip", "-0.5", ["flip must be a probability", "-0.5"]),
        ("--flip", "NaN", ["flip must be a probability", "NaN"]),
        ("--validation-size", "301", ["--validation-size must be a multiple of 10", "301"]),
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
        ("eta = -1\n", &["best.toml: line 1: eta must be"]),
        ("batch_size = 0\n", &["best.toml: line 1: batch_size must be at least 1, but is 0"]),
        ("decay_every = 3\n", &["decay_factor must be given together with decay_every"]),
        (
            "decay_every = 3\ndecay_patience = 3\n",
            &["best.toml: line 1: decay_every must be left out beside decay_patience"],
        ),
        ("decay_patience = 0\n", &["best.toml: line 1: decay_patience must be at least 1"]),
        ("decay_patience = 3\ndecay_factor = 1\n", &["best.toml: line 2: decay_factor must be above 0 and below 1"]),
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
    assert_eq!(stderr, "error: --epochs must be at least 1, but is 0\n");
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
    results.refuse(&["--decay-on-plateau", "0"], 2, &["--decay-on-plateau must be at least 1 epoch", "but is 0"]);
    results.refuse(&["--decay-on-plateau", "5,1"], 2, &["a factor between 0 and 1", "but is 5,1"]);
    for text in ["", "x", "5,", "5,x", "5,0.1,0.2", "1.5"] {
        results.refuse(&["--decay-on-plateau", text], 2, &["such as 5 or 5,0.1"]);
    }
    let steps = ["--decay-every", "5", "--decay-factor", "0.5"];
    results.refuse(&[&["--decay-on-plateau", "5"], &steps[..]].concat(), 2, &["cannot be used with"]);
    results.refuse(&["--validation-size", "100", "--validation-batches", "3"], 2, &["cannot be used with"]);
}

/// Each command line, in a folder with a model and a start, is refused in one line, without a download or a file.
#[test]
fn options_without_effect_and_bad_output_paths_are_refused_before_a_download() {
    let folder = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/model_lambda0.1_eta0.001.safetensors");
    fs::copy(model, folder.path().join("m.safetensors")).unwrap();
    let start = npz::write(&[("W", &[10, 3072], Elements::F32(&vec![0.0; 30_720]))]).unwrap();
    fs::write(folder.path().join("w.npz"), start).unwrap();
    fs::write(folder.path().join("best.toml"), "epochs = 0\n").unwrap();
    fs::write(folder.path().join("fine.toml"), "epochs = 2\n").unwrap();
    fs::write(folder.path().join("large.toml"), "batch_size = 10001\n").unwrap();
    let loss = ("train_loss", &[2][..], Elements::F64(&[2.0, 1.9]));
    let large = npz::write(&[loss, ("batch_size", &[], Elements::F64(&[1001.0]))]).unwrap();
    fs::write(folder.path().join("large.npz"), large).unwrap();
    let decay = "decay_every = 3\ndecay_factor = 0.5\nepochs = 3\n";
    fs::write(folder.path().join("decay.toml"), decay).unwrap();
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        entries.collect::<std::collections::BTreeSet<_>>()
    };
    let problem =
        ["gradcheck", "--dataset", "sample", "--quiet", "--features", "2", "--examples", "1", "--export", "p.npz"];
    let exported = Command::new(crate::program()).current_dir(folder.path()).args(problem).status();
    assert!(exported.unwrap().success());
    let before = names();
    let test_only = "has no effect, because the model needs no images but those of --split; leave it out";
    for (line, code, expected) in [
        (
            "evaluate m.safetensors --pixels unit",
            1,
            "--pixels has no effect, because a model_*.safetensors contains its",
        ),
        ("compare m.safetensors m.safetensors --pixels unit", 1, "--pixels has no effect, "),
        ("evaluate m.safetensors --train-batches 3", 1, &format!("--train-batches {test_only}")),
        ("evaluate m.safetensors --validation-size 100", 1, &format!("--validation-size {test_only}")),
        ("evaluate m.safetensors --split validation --train-batches 3", 1, &format!("--train-batches {test_only}")),
        ("evaluate w.npz --validation-batches 3", 2, "--validation-batches needs --split validation: "),
        ("compare m.safetensors w.npz --validation-batches 3", 1, "--validation-batches has no effect, because models"),
        (
            "compare m.safetensors m.safetensors --train-batches 3",
            1,
            "--train-batches has no effect, because models are",
        ),
        ("gradcheck --validation-batches 3 --export a.npz", 1, "--validation-batches has no effect, because gradients"),
        (
            "train --init w.npz --seed 1 --no-shuffle",
            1,
            "--seed has no effect, because the start is that of --init and",
        ),
        (
            "train --init w.npz --rng numpy --no-shuffle",
            1,
            "--rng has no effect, because the start is that of --init and",
        ),
        ("train --checkpoint-every 41", 1, "--checkpoint-every must be at most 40, the number of epochs, but is 41"),
        (
            "train --decay-every 5 --decay-factor 0.5 --epochs 5",
            1,
            "--decay-every must be at most 4, so that the learning rate falls before the last of 5 epochs, but is 5",
        ),
        (
            "train --config decay.toml",
            1,
            "decay_every in decay.toml must be at most 2, so that the learning rate falls before the last of 3 epochs, but is 3",
        ),
        (
            "replicate --ablate decay.toml",
            1,
            "cannot use --ablate decay.toml: decay_every must be at most 2, so that the learning rate falls before the last of 3 epochs, but is 3",
        ),
        (
            "search --decay none,10x0.3 --epochs 10",
            1,
            "the epochs of --decay must be at most 9, so that the learning rate falls before the last of 10 epochs, but is 10",
        ),
        (
            "train --decay-on-plateau 39",
            1,
            "--decay-on-plateau must be at most 38, so that the learning rate falls before the last of 40 epochs, but is 39",
        ),
        // A bad value of a file is named with the file.
        (
            "train --config large.toml",
            1,
            "batch_size in large.toml must be at most 10000, the number of training examples",
        ),
        (
            "train --config=large.toml",
            1,
            "batch_size in large.toml must be at most 10000, the number of training examples",
        ),
        (
            "train --config=large.toml --batch-size 10002",
            1,
            "--batch-size must be at most 10000, the number of training",
        ),
        (
            "audit --dataset sample large.npz",
            2,
            "large.npz: batch_size must be at most 1000, the number of training examples",
        ),
        (
            "train --batch-size 10001",
            1,
            "--batch-size must be at most 10000, the number of training examples, but is 10001",
        ),
        ("gradcheck --examples 10001", 1, "--examples must be at most 10000, the number of training examples, but is"),
        ("search --validation-size 0", 1, "--validation-size must be above 0 for a search, but is 0"),
        ("replicate --overfitting --validation-size 0", 1, "--validation-size must be above 0 for a comparison"),
        ("train --config best.toml", 1, "best.toml: line 1: epochs must be at least 1, but is 0"),
        ("train --config fine.toml --batch-size 0 --epochs 1", 1, "--batch-size must be at least 1, but is 0"),
        ("fetch --dataset sample --source npm", 2, "--source npm cannot be used with --dataset sample: "),
        ("fetch --dataset sample --stall-timeout 5", 1, "--stall-timeout has no effect, because no server is asked"),
        ("gradcheck --examples 0 --dataset sample --export a.npz", 1, "--examples must be at least 1, but is 0"),
        ("gradcheck --model m.safetensors ./m.safetensors", 1, "--model ./m.safetensors is listed twice; list it once"),
        (
            "gradcheck --model m.safetensors w.npz --export a.npz",
            1,
            "a problem takes one --model, but there are 2; name",
        ),
        (
            "gradcheck --validation-size 0",
            1,
            "--validation-size has no effect, because gradients are checked on training",
        ),
        ("gradcheck --export nowhere/a.npz", 1, "--export: there is no folder nowhere; create it first"),
        ("gradcheck --quiz w.npz", 1, "--quiz: w.npz is a file; name a folder"),
        ("gradcheck --problem p.npz --grads w.npz ./w.npz", 2, "--grads ./w.npz is listed twice; list it once"),
        (
            "gradcheck --problem p.npz --grads w.npz --out a",
            2,
            "--out has no effect, because the judgement of one file",
        ),
        ("replicate --seeds 1000001", 1, "--seeds must be at most 1000000, but is 1000001"),
        ("replicate --seeds 18446744073709551615", 1, "--seeds must be at most 1000000, but is 18446744073709551615"),
        ("search --random 1000001", 1, "--random must be at most 1000000, but is 1000001"),
        (
            "search --lambda 0,01",
            2,
            "--lambda must be a number with a decimal point, such as 0.01 (commas separate values)",
        ),
        (
            "search --flip 0,5,01",
            2,
            "--flip must be a number with a decimal point, such as 0.01 (commas separate values)",
        ),
        (
            "replicate --setting 0,001",
            2,
            "--setting must be λ and η with decimal points, such as 0.1,0.001, but is 0,001",
        ),
        ("search --shard 99/100", 1, "--shard must be I/N with N at most 64, the number of trials, but is 99/100"),
        ("replicate --shard 1/3 --seeds 2", 1, "--shard must be I/N with N at most 2, the number of seeds, but is 1/3"),
    ] {
        let mut command = Command::new(crate::program());
        command.current_dir(folder.path()).args(line.split(' ')).env("XDG_DATA_HOME", folder.path().join("data"));
        let output = command.env("PATH", "").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert!(stderr.starts_with(&format!("error: {expected}")), "{line}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{line}: {stderr}");
        assert_eq!(names(), before, "{line}");
    }
}

#[test]
fn unknown_and_overlapping_batches_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let refuse = |arguments: &[&str], words: &[&str]| {
        let arguments = [&["--data-dir", "nowhere"], arguments].concat();
        // Not with `Results::refuse`, which gives --dataset too: clap refuses a repeated option.
        let output =
            Command::new(crate::program()).args(["train", "--out"]).arg(&out).args(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(words.iter().all(|w| stderr.contains(w)) && stderr.lines().count() == 1, "{stderr}");
        assert!(!out.exists(), "{arguments:?}");
    };
    refuse(&["--train-batches", "6"], &["--train-batches must be 1 to 5, but is 6"]);
    refuse(&["--train-batches", "1,1"], &["batch 1 is listed twice"]);
    refuse(
        &["--train-batches", "1,2"],
        &["data_batch_2.bin is for validation by default: name other batches with --validation-batches"],
    );
    refuse(
        &["--validation-batches", "1"],
        &["data_batch_1.bin is for training by default: name other batches with --train-batches"],
    );
    refuse(
        &["--train-batches", "3,4", "--validation-batches", "4"],
        &["data_batch_4.bin cannot be used for both training and validation: list it in one of --train-batches"],
    );
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
        (
            "infinite.npz",
            npz(&[("W", &[10, 3072], Elements::F32(&infinite))]),
            vec!["must be finite, but W[0, 77] is inf"],
        ),
        (
            "bias.npz",
            npz(&[("W", &[10, 3072], Elements::F32(&weight)), ("b", &[9], Elements::F32(&[0.0; 9]))]),
            vec!["b", "(10)", "(9)"],
        ),
        ("truncated.npz", good[..good.len() / 2].to_vec(), vec![]),
        ("text.npz", b"not at all".to_vec(), vec!["--init", "looks like text that begins with \"not at all\""]),
        ("empty.npz", vec![], vec!["--init", "is empty"]),
    ] {
        let path = file(name, &bytes);
        let mut words = words;
        words.push(name);
        results.refuse(&["--init", &path], 1, &words);
    }
    results.refuse(&["--init", "nowhere.npz"], 1, &["nowhere.npz", "No such file"]);
    results.refuse(&["--init", folder.path().to_str().unwrap()], 1, &["it is a folder; name a file"]);
}

/// Text from a file must not control the terminal: this one would clear it and print a line.
#[test]
fn a_message_has_no_control_characters_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.toml");
    fs::write(&path, "\"\\u001b[2J\\nall is well\" = 1\n").unwrap();
    let config = path.to_str().unwrap();
    let parts = [r"there is no key", r"\u{1b}[2J\nall is well", "other.toml"];
    Results::new().refuse(&["--config", config], 1, &parts);
}

#[cfg(unix)]
#[test]
fn a_file_without_end_is_refused() {
    let words = ["cannot read", "/dev/zero", "at most 256 MiB"];
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

/// Each file is refused in one line that says what is expected and what the file is.
#[test]
fn files_of_another_kind_are_refused_by_what_they_look_like() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let weight = vec![0.0_f32; 30_720];
    file("a.npz", &npz::write(&[("W", &[10, 3072], Elements::F32(&weight))]).unwrap());
    file("x.png", b"\x89PNG\r\n\x1a\n");
    file("model.json", b"{\"W\": []}");
    file("x.safetensors", b"\x10\0\0\0\0\0\0\0{\"W\": xxxxxxxxxx");
    let mut large = vec![0.0_f64; 30_720];
    large[3072 + 5] = 1e300;
    file("large.npz", &npz::write(&[("W", &[10, 3072], Elements::F64(&large))]).unwrap());
    let mut losses = [2.0_f64; 40];
    losses[5] = f64::NAN;
    file("nan.npz", &npz::write(&[("train_loss", &[40], Elements::F64(&losses))]).unwrap());
    let (x, y) = ([0.5_f32; 3072], [3]);
    let problem: [(&str, &[usize], Elements); 3] = [
        ("W", &[10, 3072], Elements::F32(&weight)),
        ("x", &[1, 3072], Elements::F32(&x)),
        ("y", &[1], Elements::I64(&y)),
    ];
    file("problem.npz", &npz::write(&problem).unwrap());
    let own = "MODEL x.png must be a model_*.safetensors that `train` wrote";
    for (arguments, code, words) in [
        ("predict x.png x.png", 1, format!("{own}, but looks like a PNG image\n")),
        ("predict a.npz x.png", 1, "another ZIP archive; `evaluate` and `compare` take such a file\n".into()),
        ("evaluate --dataset sample x.png", 1, format!("{own}, or an .npz with W (10, 3072) or (3072, 10) and ")),
        ("evaluate --dataset sample model.json", 1, ", but looks like JSON\n".into()),
        (
            "evaluate --dataset sample x.safetensors",
            1,
            "MODEL x.safetensors: the header of the file is damaged: copy".into(),
        ),
        ("evaluate --dataset sample a.npz", 1, "a.npz does not show which pixels it expects: its loss on the ".into()),
        (
            "evaluate a.npz --split validation --validation-size 0",
            1,
            "must be above 0 for --split validation, but".into(),
        ),
        ("compare --dataset sample a.npz large.npz", 1, "limit of float32, but W[1, 5] is 1e300: check how".into()),
        ("gradcheck --export nodir/x.npz --dataset sample", 1, "there is no folder nodir; create it first\n".into()),
        (
            "gradcheck --problem a.npz --grads x.png",
            2,
            "there is no array \"x\", only \"W\"; a problem has x, y, W, b and lambda".into(),
        ),
        ("audit --dataset sample nan.npz", 2, "must be finite, but train_loss[5] is NaN: check how it was".into()),
        ("audit --dataset sample problem.npz", 2, "this is a problem of gradcheck (x, y and W), not a training".into()),
        ("audit --dataset sample x.png", 2, "as numpy.savez writes it, but looks like a PNG image\n".into()),
        (
            "merge x.png",
            1,
            "x.png must be the table of a shard, such as replication_shard1of4.csv, but looks like a PNG".into(),
        ),
        ("train --dataset sample --config x.png", 1, "be a text file in UTF-8, but looks like a PNG image\n".into()),
        ("train --dataset sample --config .", 1, "cannot read --config .: it is a folder; name a file\n".into()),
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let output = Command::new(crate::program()).args(&arguments).current_dir(folder.path()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.contains(&words), "{arguments:?}: {words:?} is not in {stderr:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_a_full_disk_does_not_take_is_an_error() {
    for arguments in [&["generate", "man"][..], &["report", "--out", "results"]] {
        let folder = tempfile::tempdir().unwrap();
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/search.csv");
        fs::create_dir(folder.path().join("results")).unwrap();
        fs::copy(results, folder.path().join("results/search.csv")).unwrap();
        let mut command = Command::new(crate::program());
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.args(arguments).current_dir(folder.path()).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expected = "error: cannot write to stdout: No space left on device\n";
        assert_eq!((output.status.code(), &stderr[..]), (Some(1), expected), "{arguments:?}");
    }
}

#[test]
fn a_folder_without_the_data_is_named_before_a_download_also_if_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(crate::program());
    // Without npm and curl.
    command.args(["train", "--quiet", "--data-dir", "typo"]).current_dir(folder.path()).env("PATH", "");
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let names =
        "data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin, test_batch.bin";
    assert!(!output.status.success());
    assert!(stderr.starts_with(&format!("typo lacks {names}: fetching CIFAR-10 (139 to 170 MB)\nerror: ")), "{stderr}");
}

#[test]
fn a_command_that_is_refused_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        "train --dataset sample --data-dir nowhere",
        "train --dataset sample --validation-size 15",
        "search --dataset sample --validation-size 15",
        "replicate --dataset sample --data-dir nowhere --out deep/down",
        "gradcheck --dataset sample --data-dir nowhere",
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let output = Command::new(crate::program()).args(&arguments).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
}
