//! `replicate --ablate` on the sample.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use onelayer::hyperparameters::{Origin, Shuffle, readable};
use onelayer::replicate::ablation::table::{AblationRow, ImprovementRow};
use onelayer::train::table::SummaryRow;
use tempfile::TempDir;

use crate::replicate::{fail, merge, names, onelayer, read, succeed, words};

/// The files of a whole ablation.
const FILES: [&str; 3] = ["ablation.csv", "ablation.png", "ablation_summary.csv"];

/// A configuration that differs from the report's protocol in everything. It trains on 700 of the 1,000 images.
const BEST: &str = "\
lambda = 0.003
eta = 0.01
loss = \"bce\"
decay_every = 1
decay_factor = 0.5
flip = 0.5
batch_size = 50
epochs = 2
dataset = \"sample\"
validation_size = 300
";

/// A folder with the configuration `text` in best.toml.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("best.toml"), text).unwrap();
    folder
}

/// The arguments that ablate the configuration in `folder` into its subfolder `out`.
fn arguments(folder: &Path, out: &str, more: &[&str]) -> Vec<String> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let fixed = ["replicate".into(), "--ablate".into(), path("best.toml"), "--out".into(), path(out), "--quiet".into()];
    fixed.into_iter().chain(more.iter().map(|&word| word.to_owned())).collect()
}

fn ablate(folder: &Path, out: &str, more: &[&str]) -> String {
    succeed(&words(&arguments(folder, out, more)))
}

fn assert_same(a: &Path, b: &Path) {
    for name in FILES {
        assert!(fs::read(a.join(name)).unwrap() == fs::read(b.join(name)).unwrap(), "{name} differs");
    }
}

#[test]
fn every_variant_equals_training_it_alone_with_its_seed() {
    let folder = folder(BEST);
    let text = ablate(folder.path(), "out", &["--seeds", "2", "--first-seed", "7"]);
    let out = folder.path().join("out");
    assert_eq!(names(&out), FILES);
    let rows: Vec<AblationRow> = read(&out.join("ablation.csv"));
    assert_eq!(rows.len(), 2 * 9);

    let trained = folder.path().join("trained");
    let without_decay = folder.path().join("without_decay.toml");
    fs::write(&without_decay, BEST.replace("decay_every = 1\ndecay_factor = 0.5\n", "")).unwrap();
    let [best, without_decay] = [folder.path().join("best.toml"), without_decay];
    let report = ["--lambda", "0", "--eta", "0.001", "--loss", "softmax", "--flip", "0", "--batch-size", "100"];
    for (variant, config, options) in [
        ("full", &best, &[][..]),
        ("without_lambda", &best, &["--lambda", "0"]),
        ("without_eta", &best, &["--eta", "0.001"]),
        ("without_loss", &best, &["--loss", "softmax"]),
        ("without_decay", &without_decay, &[]),
        ("without_flip", &best, &["--flip", "0"]),
        ("without_batch_size", &best, &["--batch-size", "100"]),
        ("without_images", &best, &["--validation-size", "0"]),
        ("report", &without_decay, &[&report[..], &["--validation-size", "0"]].concat()),
    ] {
        let [config, trained] = [config, &trained].map(|path| path.to_str().unwrap());
        let fixed = ["train", "--quiet", "--seed", "8", "--config", config, "--out", trained];
        succeed(&[&fixed[..], options].concat());
        let alone: Vec<SummaryRow> = read(&Path::new(trained).join("summary.csv"));
        let of_seed = |row: &&AblationRow| row.variant.to_string() == variant && row.run.hyperparameters.seed == 8;
        let row = rows.iter().find(of_seed).unwrap();
        assert_eq!(row.run.hyperparameters, alone[0].hyperparameters, "{variant}");
        assert_eq!(
            (row.run.test_loss, row.run.test_accuracy),
            (alone[0].test_loss, alone[0].test_accuracy),
            "{variant}"
        );
        assert_eq!(row.run.train_loss, alone[0].scores.train_loss, "{variant}");
    }
    // Each variant has numbers of its own.
    let mut losses: Vec<_> = rows.iter().map(|row| row.run.test_loss.unwrap()).collect();
    losses.sort_by(f64::total_cmp);
    losses.dedup();
    assert_eq!(losses.len(), rows.len());

    let summary: Vec<ImprovementRow> = read(&out.join("ablation_summary.csv"));
    assert_eq!(summary.len(), 8);
    assert!(summary.iter().map(|row| row.difference.mean_difference).rev().is_sorted());
    for row in &summary {
        let name = if row.improvement == "all" { "report".into() } else { format!("without_{}", row.improvement) };
        let mean = |name: &str| {
            let of = rows.iter().filter(|run| run.variant.to_string() == name);
            of.map(|run| run.run.test_accuracy.unwrap()).sum::<f64>() / 2.0
        };
        let gain = mean("full") - mean(&name);
        assert!((row.difference.mean_difference.unwrap() - gain).abs() < 1e-12, "{name}");
        assert!(text.contains(&readable(&row.description)), "{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    // The page of the folder shows it.
    fs::copy(trained.join("summary.csv"), out.join("summary.csv")).unwrap();
    succeed(&["report", "--out", out.to_str().unwrap()]);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("What does each improvement bring?") && page.contains("700 images instead of 1,000"));
}

#[test]
fn the_best_configuration_of_a_search_can_be_ablated() {
    for (decay, expected) in [
        // The search retrains its best on all images of the sample, which stand for those of the report.
        ("none", &["full", "without_lambda", "without_eta", "without_flip", "report"][..]),
        // A decay on plateaus needs images for validation, so it is retrained on the others. The decay is one improvement.
        (
            "plateau1x0.5",
            &["full", "without_lambda", "without_eta", "without_decay", "without_flip", "without_images", "report"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let space = ["--lambda", "0.01", "--eta", "0.01", "--loss", "softmax", "--flip", "0.5", "--decay", decay];
        succeed(&[&["search", "--dataset", "sample", "--quiet", "--epochs", "3", "--out", path], &space[..]].concat());
        ablate(folder.path(), ".", &["--seeds", "1"]);
        let rows: Vec<AblationRow> = read(&folder.path().join("ablation.csv"));
        let variants: Vec<_> = rows.iter().map(|row| row.variant.to_string()).collect();
        assert_eq!(variants, expected);
        for row in &rows {
            let has_decay = row.run.hyperparameters.decay().unwrap().is_some();
            let keeps_it = !["without_decay", "report"].contains(&row.variant.to_string().as_str());
            assert_eq!(has_decay, keeps_it && decay != "none", "{}", row.variant);
        }
    }
}

#[test]
fn merged_shards_equal_the_whole_ablation_byte_for_byte() {
    let folder = folder(BEST);
    let printed = ablate(folder.path(), "whole", &["--seeds", "3"]);
    let mut tables: Vec<PathBuf> = Vec::new();
    for (shard, share) in [("2/2", 1), ("1/2", 2)] {
        let text = ablate(folder.path(), "parts", &["--seeds", "3", "--shard", shard]);
        assert!(text.contains(&format!("Shard {shard} is done ({share} of 3 seeds)")), "{text}");
        tables.push(folder.path().join(format!("parts/ablation_shard{}.csv", shard.replace('/', "of"))));
    }
    assert_eq!(names(&folder.path().join("parts")).len(), 2, "a shard writes only its table");
    let merged = folder.path().join("merged");
    assert_eq!(succeed(&words(&merge(&tables, &merged))), printed);
    assert_same(&folder.path().join("whole"), &merged);

    // The shard of another configuration does not fit, nor does a table of another job.
    fs::write(folder.path().join("best.toml"), BEST.replace("lambda = 0.003", "lambda = 0.01")).unwrap();
    ablate(folder.path(), "other", &["--seeds", "3", "--shard", "2/2"]);
    let other = folder.path().join("other/ablation_shard2of2.csv");
    let message = fail(&words(&merge(&[other, tables[1].clone()], &merged)));
    assert!(message.contains("from different jobs: ablation "), "{message}");
    let replication = folder.path().join("replication");
    let replicate =
        ["replicate", "--dataset", "sample", "--quiet", "--epochs", "1", "--seeds", "1", "--setting", "0,0.001"];
    succeed(&[&replicate[..], &["--out", replication.to_str().unwrap()]].concat());
    let message = fail(&words(&merge(&[replication.join("replication.csv"), tables[1].clone()], &merged)));
    assert!(message.contains("from one job") && message.contains("is of `replicate` and "), "{message}");
}

#[cfg(unix)]
#[test]
fn after_a_signal_the_ablation_is_resumed_to_the_same_bytes() {
    let folder = folder(BEST);
    ablate(folder.path(), "whole", &["--seeds", "20"]);
    let part = folder.path().join("part");
    let mut running = Command::new(crate::program())
        .args(arguments(folder.path(), "part", &["--seeds", "20"]))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !part.join("ablation.csv").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = running.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(running.wait().unwrap().code(), Some(130));
    let done = read::<AblationRow>(&part.join("ablation.csv")).len();
    assert!(done.is_multiple_of(9) && (9..20 * 9).contains(&done), "{done}");
    let summary: Vec<ImprovementRow> = read(&part.join("ablation_summary.csv"));
    assert!(summary.iter().all(|row| row.difference.n == done / 9));
    // A seed that is there is not trained again: its made-up loss stays.
    ablate(folder.path(), "part", &["--seeds", "20", "--resume"]);
    assert_same(&folder.path().join("whole"), &part);
    let table = part.join("ablation.csv");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.replacen(",random,", ",random,9", 1)).unwrap();
    ablate(folder.path(), "part", &["--seeds", "20", "--resume"]);
    assert!(fs::read_to_string(&table).unwrap().contains(",random,9"));
}

#[test]
fn another_ablation_is_not_resumed_and_its_table_stays() {
    let folder = folder(BEST);
    ablate(folder.path(), "out", &["--seeds", "1", "--rng", "numpy"]);
    let table = folder.path().join("out/ablation.csv");
    let before = fs::read(&table).unwrap();
    let first = &read::<AblationRow>(&table)[0].run.hyperparameters;
    assert_eq!((&first.start, first.shuffle), (&Origin::Numpy, Shuffle::NumpyPermutation));
    let refusal = |more: &[&str]| fail(&words(&arguments(folder.path(), "out", &[&["--resume"], more].concat())));
    let message = refusal(&["--seeds", "1"]);
    assert!(message.contains("ablation.csv: cannot resume: it was made with "), "{message}");
    let message = refusal(&["--rng", "numpy", "--seeds", "1", "--first-seed", "2"]);
    assert!(message.contains("it has seed 1 of full, which is not in --first-seed 2 --seeds 1"), "{message}");
    fs::write(folder.path().join("best.toml"), BEST.replace("flip = 0.5", "flip = 0.25")).unwrap();
    assert!(refusal(&["--rng", "numpy", "--seeds", "1"]).contains("--resume"));
    assert_eq!(fs::read(&table).unwrap(), before);
}

#[test]
fn configurations_that_cannot_be_ablated_are_refused_in_one_line_before_anything_is_written() {
    let reports = "dataset = \"sample\"\nepochs = 3\nseed = 9\n";
    for (text, expected) in [
        (reports.to_owned(), "best.toml: the configuration must differ from the report's protocol in λ, η, loss, "),
        (BEST.replace("lambda", "lamda"), "there is no key \"lamda\""),
        (BEST.replace("eta = 0.01", "eta = -1"), "eta must be"),
        (BEST.replace("epochs = 2", "epochs = 0"), "epochs must be at least 1"),
        (BEST.replace("flip = 0.5", "flip = 2.0"), "flip must be a probability"),
        (BEST.replace("\"sample\"", "\"mnist\""), "dataset must be cifar10 or sample"),
        (BEST.to_owned() + "start = \"file:00\"\n", "start must be random or numpy, to be drawn with each seed"),
    ] {
        let folder = folder(&text);
        let message = fail(&words(&arguments(folder.path(), "out", &[])));
        assert!(message.contains(expected), "{message}");
        assert!(!folder.path().join("out").exists(), "{text}");
    }
    let folder = folder(BEST);
    let message = fail(&words(&arguments(folder.path(), "out", &["--seeds", "0"])));
    assert!(message.contains("--seeds must be at least 1"), "{message}");
    for more in [["--setting", "0,0.1"], ["--epochs", "3"], ["--batch-size", "10"]] {
        let output = onelayer(&words(&arguments(folder.path(), "out", &more)));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(stderr.contains("cannot be used with") && stderr.contains("--ablate"), "{stderr}");
    }
    fs::remove_file(folder.path().join("best.toml")).unwrap();
    assert!(fail(&words(&arguments(folder.path(), "out", &[]))).contains("cannot read --ablate "));
    assert!(!folder.path().join("out").exists());
}
