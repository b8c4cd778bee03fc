//! `evaluate`: the program on models trained on the sample.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use onelayer::evaluate::table::{ClassRow, read_confusion};
use onelayer::files::csv;
use onelayer::train::model::ModelFile;
use onelayer::train::table::SummaryRow;
use tempfile::TempDir;

fn onelayer(arguments: &[&str], out: &Path) -> Output {
    Command::new(crate::program()).args(arguments).args(["--dataset", "sample", "--out"]).arg(out).output().unwrap()
}

/// A results folder with the model of one setting.
struct Trained {
    out: TempDir,
    summary: SummaryRow,
}

impl Trained {
    fn new(arguments: &[&str]) -> Self {
        let out = tempfile::tempdir().unwrap();
        let train = ["train", "--epochs", "2", "--lambda", "0.1", "--quiet"];
        let output = onelayer(&[&train, arguments].concat(), out.path());
        assert!(output.status.success());
        let path = out.path().join("summary.csv");
        let rows: Vec<SummaryRow> = csv::from_csv(&fs::read(&path).unwrap(), &path).unwrap();
        let summary = rows[0].clone();
        Self { out, summary }
    }

    fn model(&self) -> PathBuf {
        let name = format!("model_{}.safetensors", self.summary.setting);
        self.out.path().join(name)
    }

    fn evaluate(&self, arguments: &[&str]) -> Output {
        let model = self.model();
        let evaluate = ["evaluate", model.to_str().unwrap()];
        onelayer(&[&evaluate, arguments].concat(), self.out.path())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.out.path().join(name)).unwrap()
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn each_split_has_the_scores_that_train_wrote_and_its_own_files() {
    let trained = Trained::new(&[]);
    let row = &trained.summary;
    for (split, suffix, examples, loss, accuracy) in [
        ("test", "", 50, row.test_loss, row.test_accuracy),
        ("validation", "_validation", 50, row.scores.validation_loss, row.scores.validation_accuracy),
        ("train", "_train", 100, row.scores.train_loss, row.scores.train_accuracy),
    ] {
        let text = text(&trained.evaluate(&["--split", split]));
        let scores = format!("loss {:.4}, cost", loss.unwrap());
        assert!(text.contains(&scores), "{scores} is not in {text}");
        let accuracy = accuracy.unwrap();
        assert!(text.contains(&format!("accuracy {:.2} %", 100.0 * accuracy)), "{text}");

        let name = format!("{}{suffix}", row.setting);
        let table = format!("confusion_{name}.csv");
        let confusion = read_confusion(&trained.read(&table), Path::new(&table)).unwrap();
        let correct: usize = (0..10).map(|class| confusion.count(class, class)).sum();
        assert_eq!(correct as f64 / confusion.counts().iter().sum::<usize>() as f64, accuracy);
        let table = format!("classes_{name}.csv");
        let classes: Vec<ClassRow> = csv::from_csv(&trained.read(&table), Path::new(&table)).unwrap();
        for (class, row) in classes.iter().enumerate() {
            assert_eq!(row.examples, examples);
            assert_eq!((row.precision, row.recall), (confusion.precision(class), confusion.recall(class)));
        }
        for figure in ["confusion", "confident"] {
            assert!(trained.read(&format!("{figure}_{name}.png")).starts_with(b"\x89PNG"));
        }
    }
}

#[test]
fn a_model_is_evaluated_with_the_loss_that_it_was_trained_with() {
    let trained = Trained::new(&["--loss", "bce"]);
    let text = text(&trained.evaluate(&[]));
    let loss = format!("loss {:.4}", trained.summary.test_loss.unwrap());
    assert!(text.contains(&loss), "{loss} is not in {text}");
    assert!(text.lines().next().unwrap().ends_with(", sigmoids"), "{text}");
}

#[test]
fn a_warning_names_training_images_unless_the_training_split_is_asked_for() {
    let trained = Trained::new(&[]);
    let stderr = |split| {
        let output = trained.evaluate(&["--split", split]);
        // Without the last line, which says how to see the results.
        let stderr = String::from_utf8(output.stderr).unwrap();
        let (warnings, results) = stderr.rsplit_once("the results are in ").unwrap();
        assert!(results.contains("`onelayer report --out "), "{results}");
        warnings.to_owned()
    };
    assert_eq!(stderr("test"), "");
    assert_eq!(stderr("train"), "");
    // The same model, as if it was trained on the test split.
    let path = trained.model();
    let mut model = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
    model.splits[0] = "sample/train.bin sample/test.bin".into();
    fs::write(&path, model.to_bytes().unwrap()).unwrap();
    let note = "the model was trained on images of sample/test.bin; its scores on new images are worse\n";
    assert_eq!(stderr("test"), note);
    assert_eq!(stderr("validation"), "");
}

#[test]
fn a_setting_whose_name_is_a_path_is_refused() {
    let trained = Trained::new(&[]);
    let path = trained.model();
    let mut model = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
    for setting in ["x/../../y", "", "a\u{1b}"] {
        model.setting = setting.into();
        fs::write(&path, model.to_bytes().unwrap()).unwrap();
        let output = trained.evaluate(&[]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1);
        assert!(stderr.contains("the name of the setting must consist of letters, digits and ._- only"), "{stderr}");
    }
}

#[test]
fn output_is_80_columns_wide_without_control_characters_and_empty_when_quiet() {
    let trained = Trained::new(&[]);
    let printed = text(&trained.evaluate(&[]));
    assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "{printed:?}");
    let table = printed.lines().filter(|line| !line.starts_with('/'));
    assert!(table.clone().all(|line| line.chars().count() <= 80), "{printed}");
    assert_eq!(table.filter(|line| line.starts_with("automobile ")).count(), 1);
    assert_eq!(text(&trained.evaluate(&["--quiet"])), "");
}
