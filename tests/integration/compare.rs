//! `compare`, on the sample.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use onelayer::dataset::{Dataset, sample};
use onelayer::train::model::ModelFile;
use tempfile::TempDir;

fn onelayer(arguments: &[&str]) -> Output {
    Command::new(crate::program()).args(arguments).output().unwrap()
}

/// Models of the report's settings, trained on the sample for one epoch.
fn models() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let train = ["train", "--dataset", "sample", "--epochs", "1", "--quiet"];
    assert!(onelayer(&[&train[..], &["--out", out]].concat()).status.success());
    folder
}

fn model(folder: &TempDir, setting: &str) -> PathBuf {
    folder.path().join(format!("model_{setting}.safetensors"))
}

fn compare(a: &Path, b: &Path) -> Output {
    let [a, b] = [a, b].map(|path| path.to_str().unwrap());
    onelayer(&["compare", a, b, "--dataset", "sample"])
}

fn text(a: &Path, b: &Path) -> String {
    let output = compare(a, b);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// True for each image that is classified correctly, computed by the formulas in f64, one image at a time.
fn correct(model: &Path, images: &Dataset) -> Vec<bool> {
    let file = ModelFile::from_bytes(&fs::read(model).unwrap(), model).unwrap();
    let features = images.dims().features;
    let is_correct = |i: usize| {
        let pixels = images.image(i).iter().zip(file.mean.iter().zip(&file.std));
        let x: Vec<f64> =
            pixels.map(|(&p, (&mean, &std))| (f64::from(p) / 255.0 - f64::from(mean)) / f64::from(std)).collect();
        let rows = file.parameters.weight.chunks(features);
        let logits = rows.zip(&file.parameters.bias).map(|(row, &bias)| {
            let products = row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x);
            f64::from(bias) + products.sum::<f64>()
        });
        let best = logits.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        best.0 == usize::from(images.labels()[i])
    };
    (0..images.len()).map(is_correct).collect()
}

#[test]
fn the_table_counts_the_test_images_that_each_model_classifies_correctly() {
    let folder = models();
    let [a, b] = ["lambda0_eta0.1", "lambda1_eta0.001"].map(|setting| model(&folder, setting));
    let text = text(&a, &b);
    let test = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap().test;
    let (a, b) = (correct(&a, &test), correct(&b, &test));
    let count = |of_a: bool, of_b: bool| {
        let both = a.iter().zip(&b);
        both.filter(|(a, b)| **a == of_a && **b == of_b).count()
    };
    let numbers = |line: &str| -> Vec<usize> {
        let line = text.lines().find(|found| found.contains(line)).unwrap();
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    assert_eq!(numbers("A right"), [count(true, true), count(true, false)]);
    assert_eq!(numbers("A wrong"), [count(false, true), count(false, false)]);
    assert!(count(true, false) != count(false, true), "a transposed table would be detected");
}

#[test]
fn a_model_does_not_differ_from_itself() {
    let folder = models();
    let one = model(&folder, "lambda0_eta0.001");
    let text = text(&one, &one);
    assert!(text.contains("A minus B                 0.00 points"), "{text}");
    assert!(text.contains("95 % confidence interval  0.00 to 0.00 points"), "{text}");
    assert!(text.contains("McNemar's exact p         1.000"), "{text}");
    assert!(text.contains("No difference: both models classify the same images correctly."), "{text}");
}

#[test]
fn a_clearly_better_model_is_found_in_either_order() {
    let folder = models();
    let good = model(&folder, "lambda0_eta0.001");
    // Each class takes the weights of the next, so that every prediction is shifted by one class.
    let mut bad = ModelFile::from_bytes(&fs::read(&good).unwrap(), &good).unwrap();
    let features = bad.parameters.dims.features;
    bad.parameters.weight.rotate_left(features);
    bad.parameters.bias.rotate_left(1);
    let path = folder.path().join("bad.safetensors");
    fs::write(&path, bad.to_bytes().unwrap()).unwrap();
    assert!(text(&good, &path).contains("A is significantly better than B: it classifies "));
    assert!(text(&path, &good).contains("B is significantly better than A: it classifies "));
}

#[test]
fn each_model_uses_its_own_normalizer() {
    let folder = models();
    let path = model(&folder, "lambda0_eta0.001");
    // The same function of the pixels with another normalizer: half the deviation, half the weights.
    let mut other = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
    other.std.iter_mut().for_each(|std| *std /= 2.0);
    other.parameters.weight.iter_mut().for_each(|w| *w /= 2.0);
    let twin = folder.path().join("twin.safetensors");
    fs::write(&twin, other.to_bytes().unwrap()).unwrap();
    let text = text(&path, &twin);
    assert!(text.contains("No difference: both models classify the same images correctly."), "{text}");
    assert!(text.contains("McNemar's exact p         1.000"), "{text}");
}

#[test]
fn a_file_that_is_not_a_model_of_cifar_10_is_refused_by_name() {
    let folder = models();
    let good = model(&folder, "lambda0_eta0.001");
    let mut small = ModelFile::from_bytes(&fs::read(&good).unwrap(), &good).unwrap();
    small.parameters.dims.features = 4;
    small.parameters.weight.truncate(40);
    small.mean.truncate(4);
    small.std.truncate(4);
    let [other, csv, gone] =
        ["small.safetensors", "summary.csv", "gone.safetensors"].map(|name| folder.path().join(name));
    fs::write(&other, small.to_bytes().unwrap()).unwrap();
    for (a, b, expected) in [
        (&other, &good, "3072 features, 10 classes"),
        (&good, &other, "4 features"),
        (&good, &csv, "summary.csv"),
        (&gone, &good, "cannot read"),
    ] {
        let output = compare(a, b);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(expected), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(onelayer(&["compare"]).status.code(), Some(2));
}
