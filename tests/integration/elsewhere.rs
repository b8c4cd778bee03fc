//! Models in other hands: NumPy and, with the feature `autograd-check`, PyTorch's C++ library read what `train` wrote and
//! predict the same; shells and `man` read what `generate` prints.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, sample};
use onelayer::evaluate::outcomes;
use onelayer::hyperparameters::Loss;
use onelayer::network::Parameters;
use onelayer::train::model::ModelFile;

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
