//! Audits of trainings in NumPy, right ones and one for each known mistake.

use std::path::{Path, PathBuf};
use std::process::Command;

use onelayer::audit::{self, Audit, Given, Record};
use onelayer::dataset::cifar10::{DIMS, RECORD_BYTES};
use onelayer::dataset::{Dataset, Splits, sample};
use onelayer::files::npz::{self, Elements, Npz};
use onelayer::hyperparameters::{Origin, Shuffle};
use onelayer::statistics::typographic;
use tempfile::{TempDir, tempdir};

use crate::elsewhere::on_sample;
use crate::referee::python_with_numpy;

/// The mistakes of `tests/numpy/runs.py`, each with words of the sentence that names it.
const MISTAKES: [(&str, &str); 36] = [
    ("penalty_forgotten", "lacks the penalty's part"),
    ("penalty_halved", "is λW instead of 2λW"),
    ("penalty_doubled", "is 4λW instead of 2λW"),
    ("sum_for_mean", "summed over the batch"),
    ("bias_penalised", "the bias is penalised too"),
    ("cost_for_loss", "it is the cost"),
    ("loss_for_cost", "it is the loss"),
    ("own_statistics", "the validation and test split are normalised by their own statistics"),
    ("not_normalised", "divided by 255, are not normalised"),
    ("raw_pixels", "from 0 to 255 are not normalised"),
    ("ddof", "ddof=1"),
    ("mean_only", "not divided by the standard deviations"),
    ("all_pixels", "one mean and one standard deviation"),
    ("per_channel", "per colour channel"),
    ("labels_in_order", "their labels are not"),
    ("labels_left_behind", "the array of the images is shuffled"),
    ("last_batch_left_out", "the last batch of each epoch is left out"),
    ("rate_times_10", "is 10 times as large"),
    ("rate_by_10", "is 0.1 times as large"),
    ("decayed_in_steps", "multiplied by 0.1 after every epoch"),
    ("decayed_each_epoch", "multiplied by 0.95 after every epoch"),
    ("decayed_once", "multiplied by 0.1 once, from epoch 4 on"),
    ("before_the_epoch", "before each epoch instead of after it"),
    ("last_batch", "the last batch, after its step"),
    ("last_batch_before", "the last batch, before its step"),
    ("mean_of_batches", "means over the batches"),
    ("on_validation", "on the validation split, normalised by the statistics of the training split"),
    ("on_validation_own", "on the validation split, normalised by its own statistics"),
    ("on_test", "on the test split, normalised by the statistics of the training split"),
    ("on_test_own", "on the test split, normalised by its own statistics"),
    ("pixels_interleaved", "(32, 32, 3)"),
    ("pixels_transposed", "rows and columns of the images are exchanged"),
    ("wide", "a standard deviation of 0.1 instead of 0.01"),
    ("narrow", "a standard deviation of 0.001 instead of 0.01"),
    ("zero", "a standard deviation of 0 instead of 0.01"),
    ("xavier", "a standard deviation of 0.01804 instead of 0.01"),
];

/// The first images of the sample: enough to tell trainings apart, in a tenth of the time.
const SMALL: [(&str, usize); 3] = [("train.bin", 300), ("validation.bin", 100), ("test.bin", 100)];

/// A folder of runs that the NumPy script made with `arguments` on [`SMALL`], in batches of 20; `None` without
/// NumPy.
fn runs(arguments: &str) -> Option<TempDir> {
    let data = tempdir().unwrap();
    for (name, images) in SMALL {
        let bytes = std::fs::read(Path::new(sample::DEFAULT_DIR).join(name)).unwrap();
        std::fs::write(data.path().join(name), &bytes[..images * RECORD_BYTES]).unwrap();
    }
    runs_on(data.path(), &format!("{arguments} --batch-size 20"))
}

fn runs_on(data: &Path, arguments: &str) -> Option<TempDir> {
    let Some(python) = python_with_numpy() else {
        eprintln!("skipped: no python3 with numpy here");
        return None;
    };
    let out = tempdir().unwrap();
    let mut command = Command::new(python);
    command.arg("tests/numpy/runs.py").arg(out.path()).args(arguments.split_whitespace()).arg("--data").arg(data);
    // Several threads are slower for such small matrices.
    let output = command.env("OPENBLAS_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(out)
}

/// [`SMALL`].
fn splits() -> Splits {
    let Splits { train, validation, test } = sample::load(sample::DEFAULT_DIR.as_ref()).unwrap();
    let first = |split: &Dataset, (_, images): (&str, usize)| {
        let pixels = (0..images).flat_map(|i| split.image(i)).copied().collect();
        Dataset::new(split.dims(), pixels, split.labels()[..images].to_vec()).unwrap()
    };
    Splits { train: first(&train, SMALL[0]), validation: first(&validation, SMALL[1]), test: first(&test, SMALL[2]) }
}

fn record(bytes: &[u8]) -> Record {
    Record::from_npz(bytes, Path::new("run.npz"), DIMS, &Given::default()).unwrap()
}

fn audit(record: &Record, splits: &Splits) -> Audit {
    audit::audit(record, splits, &Origin::Numpy, None, &mut ()).unwrap()
}

fn audit_file(folder: &TempDir, name: &str, splits: &Splits) -> Audit {
    audit(&record(&std::fs::read(folder.path().join(format!("{name}.npz"))).unwrap()), splits)
}

/// The sentences of the explanations; empty for the right training.
fn sentences(audit: &Audit) -> Option<Vec<String>> {
    let sentence = |e: &audit::Explanation| e.mistakes.iter().map(|m| format!("{m}; ")).collect::<String>();
    Some(audit.explained()?.into_iter().map(sentence).collect())
}

/// The file of `bytes` with only the arrays whose names are `kept`, changed by `change`; `a=b` renames `a` to `b`.
fn with_arrays(bytes: &[u8], kept: &[&str], change: impl Fn(&str, &mut Vec<f64>)) -> Vec<u8> {
    let npz = Npz::open(bytes, Path::new("run.npz")).unwrap();
    let arrays: Vec<_> = kept
        .iter()
        .map(|name| {
            let (old, new) = name.split_once('=').unwrap_or((name, name));
            let mut array = npz.numbers(old).unwrap();
            change(new, &mut array.values);
            (new, array)
        })
        .collect();
    let views: Vec<_> = arrays.iter().map(|(name, a)| (*name, &a.shape[..], Elements::F64(&a.values))).collect();
    npz::write(&views).unwrap()
}

#[test]
fn a_right_run_agrees_and_each_mistake_is_named_and_no_other() {
    let Some(runs) = runs("--epochs 6 --eta 0.003") else { return };
    let splits = splits();
    let right = audit_file(&runs, "right", &splits);
    assert_eq!(sentences(&right).unwrap(), [""]);
    assert!(right.curves.iter().all(|(_, difference)| difference.largest < 1e-6), "{:?}", right.curves);
    for (name, words) in MISTAKES {
        let audit = audit_file(&runs, name, &splits);
        let found = sentences(&audit).unwrap_or_default();
        assert!(found.len() == 1 && found[0].contains(words), "{name}: {found:?}");
        assert_eq!(found[0].matches("; ").count(), 1, "{name}: one mistake, found {found:?}");
    }
}

#[test]
fn runs_in_float32_with_other_seeds_orders_and_layouts_are_followed() {
    let splits = splits();
    for (arguments, shuffle, drawn_transposed) in [
        ("--dtype float32 --seed 7 --order shuffle", Shuffle::NumpyShuffle, false),
        ("--order none --transposed", Shuffle::None, true),
        ("--lam 0 --order permutation --transposed --seed 1", Shuffle::NumpyPermutation, true),
    ] {
        let names = "right ddof last_batch_left_out";
        let Some(runs) = runs(&format!("{names} --epochs 4 --eta 0.003 {arguments}")) else { return };
        let right = audit_file(&runs, "right", &splits);
        assert_eq!(sentences(&right).unwrap(), [""], "{arguments}");
        assert_eq!((right.shuffle, right.drawn_transposed), (shuffle, drawn_transposed), "{arguments}");
        for (name, words) in [("ddof", "ddof=1"), ("last_batch_left_out", "last batch")] {
            let found = sentences(&audit_file(&runs, name, &splits)).unwrap_or_default();
            assert!(found.len() == 1 && found[0].contains(words), "{arguments} {name}: {found:?}");
        }
    }
}

#[test]
fn a_weight_that_is_turned_only_when_it_is_saved_is_followed_with_and_without_curves() {
    let Some(runs) = runs("right --epochs 4 --eta 0.003 --order none") else { return };
    let bytes = std::fs::read(runs.path().join("right.npz")).unwrap();
    let npz = Npz::open(&bytes, Path::new("run.npz")).unwrap();
    let array = |name| npz.numbers(name).unwrap().values;
    let weight = array("W");
    let turned: Vec<f64> = (0..3072).flat_map(|j| weight.iter().skip(j).step_by(3072).copied()).collect();
    let (b, percent) = (array("b"), array("train_accuracy").iter().map(|a| 100.0 * a).collect::<Vec<_>>());
    let numbers = [("lambda", 0.1), ("eta", 0.003), ("batch_size", 20.0), ("epochs", 4.0)];
    let numbers: Vec<_> =
        numbers.iter().map(|(name, value)| (*name, &[][..], Elements::F64(std::slice::from_ref(value)))).collect();
    let arrays = [("W", &[3072, 10][..], Elements::F64(&turned)), ("b", &[10], Elements::F64(&b))];
    let curve = [("train_accuracy", &[4][..], Elements::F64(&percent))];
    for file in [[&arrays[..], &numbers].concat(), [&arrays[..], &numbers, &curve].concat()] {
        let audit = audit(&record(&npz::write(&file).unwrap()), &splits());
        assert_eq!(sentences(&audit).unwrap(), [""]);
        assert!(!audit.drawn_transposed && audit.shuffle == Shuffle::None);
    }
}

#[test]
fn what_no_known_mistake_explains_is_not_named() {
    let Some(runs) = runs("right penalty_halved --epochs 4 --eta 0.003 --seed 5") else { return };
    let splits = splits();
    let bytes = std::fs::read(runs.path().join("right.npz")).unwrap();
    let all = ["W", "b", "train_loss", "validation_loss", "train_cost", "lambda", "eta", "batch_size", "seed"];
    let unchanged = record(&with_arrays(&bytes, &all, |_, _| {}));
    assert_eq!(sentences(&audit(&unchanged, &splits)).unwrap(), [""]);
    // Another seed than it says.
    let other_seed = record(&with_arrays(&bytes, &all[..8], |_, _| {}));
    assert_eq!(sentences(&audit(&other_seed, &splits)), None);
    // One number of one curve.
    let edit = |name: &str, values: &mut Vec<f64>| {
        if name == "validation_loss" {
            values[2] += 1e-5;
        }
    };
    let edited = audit(&record(&with_arrays(&bytes, &all, edit)), &splits);
    assert_eq!(sentences(&edited), None);
    let departs: Vec<_> = edited.curves.iter().map(|(_, d)| d.departs.map(|(epoch, ..)| epoch)).collect();
    assert_eq!(departs, [None, Some(3), None]);
    // The curves of one training with the parameters of another.
    let halved = std::fs::read(runs.path().join("penalty_halved.npz")).unwrap();
    let weights = Npz::open(&halved, Path::new("run.npz")).unwrap().array("W").unwrap().values;
    let swap = |name: &str, values: &mut Vec<f64>| {
        if name == "W" {
            values.clone_from(&weights);
        }
    };
    assert_eq!(sentences(&audit(&record(&with_arrays(&bytes, &all, swap)), &splits)), None);
}

#[test]
fn parameters_alone_are_enough_and_a_test_accuracy_alone_is_compared_with_right_trainings() {
    let Some(runs) = runs("right penalty_halved on_test --epochs 6 --eta 0.003") else { return };
    let splits = splits();
    let of = |name: &str, arrays: &[&str]| {
        let bytes = std::fs::read(runs.path().join(format!("{name}.npz"))).unwrap();
        let kept = [arrays, &["lambda", "eta", "batch_size", "epochs"]].concat();
        audit(&record(&with_arrays(&bytes, &kept, |_, _| {})), &splits)
    };
    assert_eq!(sentences(&of("right", &["W", "b"])).unwrap(), [""]);
    let halved = sentences(&of("penalty_halved", &["W", "b"])).unwrap();
    assert!(halved.len() == 1 && halved[0].contains("λW instead of 2λW"), "{halved:?}");
    let right = of("right", &["test_accuracy"]);
    assert_eq!(sentences(&right), None);
    let end = right.end.unwrap();
    assert!(end.right.unwrap().contains(end.test_accuracy) && end.suspicion.is_none(), "{end:?}");
    let on_test = of("on_test", &["test_accuracy"]).end.unwrap();
    assert!(!on_test.right.unwrap().contains(on_test.test_accuracy), "{on_test:?}");
    let suspicion = of("on_test", &["W", "b"]).end.unwrap().suspicion.unwrap();
    assert!(suspicion.contains("it looks trained on"), "{suspicion}");
}

#[test]
fn an_array_that_departs_from_a_training_that_is_followed_is_named() {
    let Some(runs) = runs("right --epochs 3 --eta 0.003") else { return };
    let bytes = std::fs::read(runs.path().join("right.npz")).unwrap();
    let kept = ["W", "b", "train_loss", "train_accuracy", "test_accuracy", "eta", "lambda", "batch_size"];
    let partly_right = |changed: &str| {
        let change = |name: &str, values: &mut Vec<f64>| {
            if name == changed {
                values.iter_mut().for_each(|value| *value = 0.99 - *value);
            }
        };
        audit(&record(&with_arrays(&bytes, &kept, change)), &splits()).partly_right()
    };
    let curves = ["train_loss", "train_accuracy"];
    let [agreeing, departing] = partly_right("test_accuracy").unwrap();
    assert_eq!((agreeing, departing), ([&curves[..], &["W and b"]].concat(), vec!["test_accuracy"]));
    let [agreeing, departing] = partly_right("W").unwrap();
    assert_eq!((agreeing, departing), ([&curves[..], &["test_accuracy"]].concat(), vec!["W and b"]));
    assert_eq!(partly_right(""), None, "everything agrees");
    assert_eq!(partly_right("eta"), None, "accuracies agree by chance");
}

#[test]
fn at_a_learning_rate_at_which_programs_drift_apart_the_curves_are_compared_roughly_and_the_end_exactly() {
    let names = ["right", "sum_for_mean", "pixels_interleaved"];
    let Some(runs) = runs(&format!("{} --epochs 5 --eta 0.1 --lam 0", names.join(" "))) else { return };
    let splits = splits();
    let expected = ["", "summed over the batch", "(32, 32, 3)"];
    for (name, words) in names.into_iter().zip(expected) {
        let audit = audit_file(&runs, name, &splits);
        let found = sentences(&audit).unwrap();
        assert!(found.len() == 1 && found[0].contains(words), "{name}: {found:?}");
        assert!(audit.explained().unwrap()[0].drifts && found[0].is_empty() == words.is_empty(), "{name}: {found:?}");
    }
    // A loss that the parameters of the file do not have is not rounding.
    let bytes = std::fs::read(runs.path().join("right.npz")).unwrap();
    let kept = ["W", "b", "train_loss", "validation_loss", "eta", "lambda", "batch_size"];
    let changed = with_arrays(&bytes, &kept, |name, values| {
        if name == "validation_loss" {
            *values.last_mut().unwrap() *= 1.01;
        }
    });
    assert_eq!(sentences(&audit(&record(&changed), &splits)), None);
}

#[test]
fn the_command_prints_the_judgement_and_returns_its_exit_code() {
    let arguments = "right penalty_doubled --epochs 4 --eta 0.003 --lam 0.1";
    let Some(runs) = runs_on(sample::DEFAULT_DIR.as_ref(), arguments) else { return };
    let run = |arguments: &[&str]| {
        let output = on_sample(runs.path(), &[&["audit"], arguments].concat());
        let known = String::from_utf8(output.stderr).unwrap().matches("training the known mistakes").count();
        assert!(known <= 1, "said {known} times");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(&["right.npz"]);
    assert!(code == 0 && text.contains("RIGHT: everything in the file agrees"), "{text}");
    assert!(text.contains("λ = 0.1, η = 0.003, batches of 100, 4 epochs, seed 42"), "{text}");
    assert!(text.contains("e−") && typographic(&text) == text, "every minus is the typographic one: {text}");
    let (code, text) = run(&["penalty_doubled.npz"]);
    assert!(code == 1 && text.contains("MISTAKE: the gradient of the penalty is 4λW instead of 2λW."), "{text}");
    assert!(text.contains("departs in epoch 1"), "{text}");
    // An option precedes the file.
    let (code, text) = run(&["right.npz", "--seed", "43"]);
    assert!(code == 1 && text.contains("none of the ") && text.contains("Is it another seed"), "{text}");
    assert!(text.contains("\nfrom options, not from the file: seed\n"), "{text}");
    assert!(text.contains("data set (--dataset") && !text.contains("The file has no"), "{text}");
    assert!(text.contains("95 % prediction interval of right trainings"), "{text}");
    let bytes = std::fs::read(runs.path().join("right.npz")).unwrap();
    let without_eta = ["train_loss", "lambda", "eta=learning_rate", "validation_loss=val_loss"];
    std::fs::write(runs.path().join("without_eta.npz"), with_arrays(&bytes, &without_eta, |_, _| {})).unwrap();
    let (code, text) = run(&["without_eta.npz", "--quiet"]);
    assert!(code == 3 && text.starts_with("The file has no eta: give that of the run with --eta"), "{text}");
    assert!(text.contains("mistake: the learning rate is 3 times as large."), "{text}");
    let unread = "Not read: learning_rate (did you mean eta?), val_loss (did you mean validation_loss?).\n";
    assert!(text.ends_with(unread) && !text.contains("train_loss"), "{text}");
    let only = with_arrays(&bytes, &["test_accuracy", "eta", "lambda"], |_, _| {});
    std::fs::write(runs.path().join("only.npz"), only).unwrap();
    let (code, text) = run(&["only.npz", "--epochs", "4"]);
    assert!(code == 3 && text.contains("too little to follow"), "{text}");
}

#[test]
fn a_file_that_cannot_be_audited_is_refused_in_one_line() {
    let folder = tempdir().unwrap();
    let refusal = |name: &str, arrays: &[(&str, &[usize], Elements)]| {
        let path: PathBuf = folder.path().join(name);
        if !arrays.is_empty() {
            std::fs::write(&path, npz::write(arrays).unwrap()).unwrap();
        }
        let output = on_sample(folder.path(), &["audit", name]);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    };
    let four = [0.5; 4];
    assert!(refusal("missing.npz", &[]).contains("cannot read RUN.npz missing.npz"));
    let error = refusal("nothing.npz", &[("losses", &[4], Elements::F64(&four))]);
    assert!(error.contains("there is nothing to audit, such as W and b, or train_loss"), "{error}");
    assert!(error.contains("validation_accuracy, only \"losses\""), "{error}");
    let error = refusal("shape.npz", &[("W", &[2, 2], Elements::F64(&four))]);
    assert!(error.contains("array \"W\" must have the shape (10, 3072) or (3072, 10), but has (2, 2)"), "{error}");
    let curves: [(&str, &[usize], Elements); 2] =
        [("train_loss", &[4], Elements::F64(&four)), ("train_cost", &[2], Elements::F64(&four[..2]))];
    let error = refusal("lengths.npz", &curves);
    assert!(error.contains("array \"train_cost\" must have the shape (4), one value per epoch, or (5)"), "{error}");
    let curves: [(&str, &[usize], Elements); 2] =
        [("train_loss", &[4], Elements::F64(&four)), ("seed", &[], Elements::F64(&four[..1]))];
    let error = refusal("seed.npz", &curves);
    assert!(error.contains("array \"seed\": must be a whole number of at least 0, but is 0.5"), "{error}");
    std::fs::write(folder.path().join("text.npz"), "no archive").unwrap();
    let output = on_sample(folder.path(), &["audit", "text.npz"]);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("must be an .npz file, as numpy.savez writes it, but looks like ")
    );
}
