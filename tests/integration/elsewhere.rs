//! Models in other hands: NumPy and, with the feature `autograd-check`, PyTorch's C++ library read what `train` wrote and
//! predict the same; shells and `man` read what `generate` prints.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, sample};
use onelayer::evaluate::outcomes;
use onelayer::files::npz::{self, Elements};
use onelayer::hyperparameters::{Loss, Schedule, Setting};
use onelayer::network::Parameters;
use onelayer::train::model::ModelFile;
use onelayer::train::{Data, random_start, train};

/// The models of the results folder.
const SETTINGS: [&str; 4] = ["lambda0_eta0.1", "lambda0_eta0.001", "lambda0.1_eta0.001", "lambda1_eta0.001"];

fn model_path(setting: &str) -> String {
    format!("results/model_{setting}.safetensors")
}

fn read_model(path: impl AsRef<Path>) -> ModelFile {
    let path = path.as_ref();
    ModelFile::from_bytes(&fs::read(path).unwrap(), path).unwrap()
}

fn test_images() -> Dataset {
    sample::load(Path::new(sample::DEFAULT_DIR)).unwrap().test
}

/// True if `command` runs; otherwise prints that a test is skipped.
fn installed(command: &str, arguments: &[&str]) -> bool {
    let output = Command::new(command).args(arguments).output();
    let there = output.is_ok_and(|output| output.status.success());
    if !there {
        // Past the test harness, which would keep the message of a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: there is no `{command} {}`", arguments.join(" "));
    }
    there
}

fn onelayer(arguments: &[&str]) -> Output {
    let output = Command::new(crate::program()).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    output
}

#[test]
fn the_ten_lines_of_numpy_in_the_readme_have_the_same_test_accuracy() {
    if !installed("python3", &["-c", "import numpy"]) {
        return;
    }
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, lines) = readme.split_once("<<'PYTHON'\n").unwrap();
    let (lines, _) = lines.split_once("PYTHON\n").unwrap();
    assert!(lines.lines().filter(|line| !line.is_empty()).count() <= 10);
    let images = test_images();
    for setting in SETTINGS {
        let output = Command::new("python3")
            .args(["-c", lines])
            .arg(model_path(setting))
            .arg(Path::new(sample::DEFAULT_DIR).join("test.bin"))
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let accuracy: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let model = read_model(model_path(setting));
        let normalizer = Normalizer::new(model.mean, model.std).unwrap();
        let scores = outcomes(&[(&model.parameters, Loss::Softmax)], &images, &normalizer).unwrap()[0].scores(0.0);
        assert_eq!(accuracy, scores.accuracy, "{setting}");
    }
}

#[test]
fn an_exported_npz_holds_the_model_and_training_starts_from_it() {
    let out = tempfile::tempdir().unwrap();
    let [first, second, third] = ["first", "second", "third"].map(|name| out.path().join(name));
    let train = |out: &Path, more: &[&str]| {
        let out = out.to_str().unwrap();
        let common = ["train", "--dataset", "sample", "--epochs", "1", "--quiet", "--lambda", "1"];
        onelayer(&[&common[..], &["--out", out], more].concat());
    };
    train(&first, &["--export", "npz"]);
    let arrays = first.join("model_lambda1_eta0.001.npz");
    let tensors = first.join("model_lambda1_eta0.001.safetensors");
    train(&second, &["--init", arrays.to_str().unwrap()]);
    train(&third, &["--init", tensors.to_str().unwrap()]);
    let file = "model_lambda1_eta0.001.safetensors";
    assert!(fs::read(second.join(file)).unwrap() == fs::read(third.join(file)).unwrap());
    assert!(fs::read(second.join(file)).unwrap() != fs::read(first.join(file)).unwrap());
    assert!(!second.join("model_lambda1_eta0.001.npz").exists());

    if !installed("python3", &["-c", "import numpy"]) {
        return;
    }
    let script = "
import sys, numpy as np
a = np.load(sys.argv[1])
assert sorted(a) == ['W', 'b', 'mean', 'std'], sorted(a)
assert a['W'].shape == (10, 3072) and a['b'].shape == (10,), 'shape'
assert all(a[name].dtype == np.float32 for name in a), 'type'
print(a['W'][3, 7], a['b'][2], a['mean'][1], a['std'][3071])
";
    let output = Command::new("python3").args(["-c", script]).arg(&arrays).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<f32> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let model = read_model(&tensors);
    let Parameters { weight, bias, .. } = model.parameters;
    assert_eq!(found, [weight[3 * 3072 + 7], bias[2], model.mean[1], model.std[3071]]);
}

/// PyTorch's own loader and arithmetic.
#[cfg(feature = "autograd-check")]
#[test]
fn tch_predicts_the_same_classes_from_the_same_file() {
    use tch::{Kind, Tensor};

    let images = test_images();
    let n = images.len() as i64;
    let pixels: Vec<u8> = (0..images.len()).flat_map(|i| images.image(i).to_vec()).collect();
    let pixels = Tensor::from_slice(&pixels).view([n, 3072]).to_kind(Kind::Float) / 255.0;
    for setting in SETTINGS {
        let tensors = Tensor::read_safetensors(model_path(setting)).unwrap();
        let tensor = |name: &str| {
            let found = tensors.iter().find(|(found, _)| found == name);
            found.unwrap().1.shallow_clone()
        };
        let x = (&pixels - tensor("mean")) / tensor("std");
        let logits = x.matmul(&tensor("weight").tr()) + tensor("bias");
        let theirs = Vec::<i64>::try_from(logits.argmax(1, false)).unwrap();

        let model = read_model(model_path(setting));
        let normalizer = Normalizer::new(model.mean, model.std).unwrap();
        let ours = outcomes(&[(&model.parameters, Loss::Softmax)], &images, &normalizer).unwrap();
        let ours: Vec<i64> = ours[0].predicted.iter().map(|&class| class.into()).collect();
        assert_eq!(ours, theirs, "{setting}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    if !installed("bash", &["--version"]) {
        return;
    }
    let script = String::from_utf8(onelayer(&["generate", "bash"]).stdout).unwrap();
    let complete = |before: &str, word: &str| {
        let words = before.split(' ').count();
        let line = format!(
            "{script}\nCOMP_WORDS=({before} {word}); COMP_CWORD={words}; _onelayer onelayer {word} ''; \
             echo ${{COMPREPLY[@]}}"
        );
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("onelayer", "gradc").trim(), "gradcheck");
    assert_eq!(complete("onelayer train", "--csv").trim(), "--csv-dialect");
    assert_eq!(complete("onelayer", "nonsense").trim(), "");
}

#[test]
fn every_shell_has_its_completions() {
    for (shell, words) in [
        ("elvish", "edit:completion"),
        ("fish", "complete -c onelayer"),
        ("powershell", "Register-ArgumentCompleter"),
        ("zsh", "#compdef onelayer"),
    ] {
        let script = String::from_utf8(onelayer(&["generate", shell]).stdout).unwrap();
        assert!(script.contains(words) && script.contains("gradcheck"), "{shell}");
    }
}

#[test]
fn the_man_pages_are_of_the_program_and_of_its_commands() {
    let page = |arguments: &[&str]| {
        let output = onelayer(&[&["generate", "man"], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let program = page(&[]);
    assert!(program.contains(".TH onelayer 1") && program.contains("gradcheck"), "{program}");
    let train = page(&["train"]);
    assert!(train.contains("batch\\-size") && train.contains("Examples:"), "{train}");
    for arguments in [["man", "nonsense"], ["bash", "train"]] {
        let output = Command::new(crate::program()).arg("generate").args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    }
}

/// An `.npz` of the parameters of a model in `results/`, as other programs write them: W (d,k) or (k,d), in `f64`.
fn npz_of(setting: &str, transposed: bool) -> Vec<u8> {
    let Parameters { weight, bias, .. } = read_model(model_path(setting)).parameters;
    let wide: Vec<f64> = weight.iter().map(|&w| w.into()).collect();
    let turned: Vec<f64> = (0..3072).flat_map(|j| wide.iter().skip(j).step_by(3072).copied()).collect();
    let (shape, values): (&[usize], _) = if transposed { (&[3072, 10], &turned) } else { (&[10, 3072], &wide) };
    npz::write(&[("W", shape, Elements::F64(values)), ("b", &[10], Elements::F32(&bias))]).unwrap()
}

/// Runs the program in `folder` on the sample.
pub fn on_sample(folder: &Path, arguments: &[&str]) -> Output {
    let data = fs::canonicalize(sample::DEFAULT_DIR).unwrap();
    let mut command = Command::new(crate::program());
    command.current_dir(folder).args(arguments).args(["--dataset", "sample", "--data-dir"]).arg(data).output().unwrap()
}

#[test]
fn a_model_of_another_program_is_evaluated_compared_and_checked_in_either_orientation() {
    let folder = tempfile::tempdir().unwrap();
    let setting = SETTINGS[2];
    fs::copy(model_path(setting), folder.path().join("own.safetensors")).unwrap();
    fs::write(folder.path().join("rows.npz"), npz_of(setting, false)).unwrap();
    fs::write(folder.path().join("columns.npz"), npz_of(setting, true)).unwrap();
    let accuracy = |model: &str, options: &[&str]| {
        let output = on_sample(folder.path(), &[&["evaluate", model][..], options].concat());
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("accuracy")).unwrap();
        (line.rsplit("accuracy ").next().unwrap().to_owned(), String::from_utf8(output.stderr).unwrap())
    };
    // The sample's training split has other statistics than those in the file, so the accuracy is near, not equal.
    let (rows, said) = accuracy("rows.npz", &[]);
    assert!(said.contains("rows.npz expects normalised pixels: its loss on the training images is "), "{said}");
    assert_eq!(accuracy("columns.npz", &[]).0, rows);
    let (unit, said) = accuracy("rows.npz", &["--pixels", "unit"]);
    assert!(unit != rows && !said.contains("expects"), "{said}");
    assert!(folder.path().join("results/confusion_columns.png").exists());

    let output = on_sample(folder.path(), &["compare", "rows.npz", "columns.npz"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("No difference: both models classify the same images correctly."), "{text}");
    let output = on_sample(folder.path(), &["gradcheck", "--model", "columns.npz", "--quiet", "--differences", "1"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("PASS: "));

    fs::write(folder.path().join("shape.npz"), npz::write(&[("W", &[2], Elements::F64(&[1.0; 2]))]).unwrap()).unwrap();
    let output = on_sample(folder.path(), &["evaluate", "shape.npz"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("array \"W\" must have the shape (10, 3072) or (3072, 10), but has (2)"), "{error}");
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1));
}

#[test]
fn a_model_that_was_trained_on_the_test_images_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let schedule = Schedule { epochs: 20, ..Schedule::REPORT };
    let setting = Setting::new(0.0, 0.01).unwrap();
    for (name, trained_on) in [("honest", &splits.train), ("cheat", &splits.test)] {
        let data = Data { train: trained_on, validation: &splits.validation, normalizer: &normalizer };
        let start = random_start(trained_on.dims(), 1);
        let (runs, _) = train(data, &[setting], &schedule, &start, &mut ()).unwrap();
        let Parameters { weight, bias, .. } = &runs[0].parameters;
        let arrays = [("W", &[10, 3072][..], Elements::F32(weight)), ("b", &[10], Elements::F32(bias))];
        fs::write(folder.path().join(format!("{name}.npz")), npz::write(&arrays).unwrap()).unwrap();
        let file = format!("{name}.npz");
        for arguments in [&["evaluate", &file][..], &["compare", &file, &file]] {
            let said = String::from_utf8(on_sample(folder.path(), arguments).stderr).unwrap();
            assert_eq!(said.contains("it looks trained on"), name == "cheat", "{arguments:?}: {said}");
        }
    }
}
