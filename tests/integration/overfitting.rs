//! `replicate --overfitting`, its shards and `merge` on the sample.

use std::fs;
use std::path::Path;

use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::sample;
use onelayer::hyperparameters::{Loss, Schedule, Setting, readable};
use onelayer::replicate::overfitting::table::{ComparisonRow, OverfittingRow};
use onelayer::train::{Data, random_start, train};

use crate::replicate::{fail, merge, names, onelayer, read, succeed, words};
use crate::results::assert_same;

/// Compares two settings over six seeds of two epochs on the sample in `out`, and returns the printed text.
fn compare(out: &Path, arguments: &[&str]) -> String {
    let mut all = vec!["replicate", "--overfitting", "--dataset", "sample", "--epochs", "2", "--seeds", "6"];
    all.extend(["--setting", "0,0.001", "--setting", "0.1,0.003", "--quiet", "--out", out.to_str().unwrap()]);
    all.extend(arguments);
    succeed(&all)
}

#[test]
fn each_softmax_is_compared_with_the_sigmoids_that_take_its_steps() {
    let out = tempfile::tempdir().unwrap();
    let text = compare(out.path(), &[]);
    assert_eq!(names(out.path()), ["overfitting.csv", "overfitting_summary.csv"]);
    let rows: Vec<OverfittingRow> = read(&out.path().join("overfitting.csv"));
    assert_eq!(rows.len(), 6 * 4);
    assert_eq!(rows.iter().take(4).map(|row| row.pair).collect::<Vec<_>>(), [1, 1, 2, 2]);

    // The numbers of a seed are those of a training of the four settings.
    let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let setting = |lambda, eta| Setting::new(lambda, eta).unwrap();
    let sigmoids = |lambda, eta| setting(lambda, eta).with_loss(Loss::Bce);
    let settings = [setting(0.0, 0.001), sigmoids(0.0, 0.01), setting(0.1, 0.003), sigmoids(0.01, 0.03)];
    let schedule = Schedule { epochs: 2, seed: 4, ..Schedule::REPORT };
    let start = random_start(splits.train.dims(), 4);
    let (runs, _) = train(data, &settings, &schedule, &start, &mut ()).unwrap();
    let of_seed: Vec<_> = rows.iter().filter(|row| row.run.hyperparameters.seed == 4).collect();
    for (row, run) in of_seed.iter().zip(&runs) {
        assert_eq!(row.run.setting, run.setting.name());
        let scores = run.epochs[1].scores.unwrap();
        assert_eq!(row.run.train_accuracy, Some(scores.train.unwrap().accuracy));
        assert_eq!(row.run.validation_loss, Some(scores.validation.unwrap().loss));
    }

    let summary: Vec<ComparisonRow> = read(&out.path().join("overfitting_summary.csv"));
    for (i, row) in summary.iter().enumerate() {
        let gaps = |setting: &str| -> Vec<f64> {
            let of = rows.iter().map(|row| &row.run).filter(|run| run.setting == setting);
            of.map(|run| run.train_accuracy.unwrap() - run.validation_accuracy.unwrap()).collect()
        };
        let (softmax, sigmoids) = (gaps(&row.softmax), gaps(&row.sigmoids));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        assert_eq!((softmax.len(), row.n), (6, 6), "pair {i}");
        assert!((row.softmax_gap.unwrap() - mean(&softmax)).abs() < 1e-12);
        assert!((row.sigmoids_gap.unwrap() - mean(&sigmoids)).abs() < 1e-12);
        assert!((row.gap_difference.unwrap() - (mean(&softmax) - mean(&sigmoids))).abs() < 1e-12);
        let inside = row.gap_difference_95_low < Some(0.0) && row.gap_difference_95_high > Some(0.0);
        assert_eq!(row.overfits_less == "undecided", inside, "{row:?}");
        for name in [&row.softmax, &row.sigmoids] {
            assert!(text.lines().any(|line| line.starts_with(&readable(name))), "{text}");
        }
    }
    assert_eq!(text.lines().find(|line| line.chars().count() > 80), None);
    // The names of the tables are not those for readers.
    assert!(rows[0].run.setting.contains("lambda") && !text.contains("lambda") && !text.contains("bce"), "{text}");
}

#[test]
fn a_resumed_comparison_and_merged_shards_have_the_same_bytes() {
    let [whole, resumed, parts, merged] = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let printed = compare(whole.path(), &[]);
    let table = fs::read_to_string(whole.path().join("overfitting.csv")).unwrap();
    let kept: Vec<_> = table.lines().take(1 + 4 + 3).collect();
    fs::write(resumed.path().join("overfitting.csv"), kept.join("\n") + "\n").unwrap();
    assert_eq!(compare(resumed.path(), &["--resume"]), printed);
    assert_same(resumed.path(), whole.path());

    let shard = |shard: &str| {
        compare(parts.path(), &["--shard", shard]);
        parts.path().join(format!("overfitting_shard{}.csv", shard.replace('/', "of")))
    };
    let tables = ["2/2", "1/2"].map(shard);
    assert_eq!(names(parts.path()).len(), 2, "a shard writes only its table");
    assert_eq!(succeed(&words(&merge(&tables, merged.path()))), printed);
    assert_same(merged.path(), whole.path());
    let message = fail(&words(&merge(&tables[..1], merged.path())));
    assert!(message.contains("shard 1 of 2 is missing"), "{message}");
}

#[test]
fn a_comparison_that_cannot_be_made_is_refused_and_nothing_is_written() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("new");
    let base = ["replicate", "--overfitting", "--dataset", "sample", "--out", folder.to_str().unwrap()];
    for (more, expected) in [
        (
            &["--validation-size", "0"][..],
            "--validation-size must be above 0 for a comparison of over-fitting, but is 0",
        ),
        (&["--setting", "0,1e38"], "eta must be above 0 and below 3.4e38"),
        (&["--setting", "0,0.1", "--setting", "0,0.1"], "setting λ = 0, η = 0.1 is listed twice"),
    ] {
        let message = fail(&[&base[..], more].concat());
        assert!(message.contains(expected), "{message}");
        assert!(!folder.exists() || names(&folder).is_empty());
    }
    let output = onelayer(&[&base[..], &["--ablate", "best.toml"]].concat());
    assert_eq!(output.status.code(), Some(2));
}
