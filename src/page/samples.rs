//! Values for the tests of the page.

use std::fs;
use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use tempfile::TempDir;

use crate::dataset::cifar10::{BatchFile, DIMS};
use crate::dataset::store::RecordFile;
use crate::evaluate::Confusion;
use crate::evaluate::table::confusion_csv;
use crate::figures::snapshots::to_jpeg;
use crate::files::csv::{Dialect, to_csv};
use crate::gradcheck::table::{GradcheckRow, Location};
use crate::hyperparameters::{Hyperparameters, Loss};
use crate::replicate::Replication;
use crate::replicate::testing::rows;
use crate::search::table::SearchRow;
use crate::shard::Shard;
use crate::train::provenance::{Commit, Provenance};
use crate::train::table::{CurveRow, SummaryRow};

/// A check of 10 numbers, tolerance 10⁻⁶.
pub fn gradcheck_row(problem: &str, against: &str, difference: Option<f64>, verdict: &str) -> GradcheckRow {
    GradcheckRow {
        problem: problem.into(),
        implementation: "kernels".into(),
        against: against.into(),
        lambda: 0.1,
        terms: "both".into(),
        quantity: "weight".into(),
        elements: 10,
        max_absolute_difference: difference,
        max_relative_difference: difference,
        location: Location::of_bias(3),
        hand: Some(0.5),
        other: Some(0.5),
        tolerance: 1e-6,
        verdict: verdict.into(),
    }
}

/// A folder with every part, of `settings`, two epochs each.
pub fn folder(settings: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    let rows: Vec<_> = settings.iter().map(|name| summary_row(name)).collect();
    write("summary.csv", to_csv(&rows, Dialect::Comma));
    write("gradcheck.csv", to_csv(&[gradcheck_row("images", "reference", Some(2.5e-8), "PASS")], Dialect::Comma));
    write(
        "search.csv",
        to_csv(&[search_row(0.5, None), search_row(0.001, Some(0.37)), search_row(0.01, Some(0.38))], Dialect::Comma),
    );
    write("search.png", png());
    for (name, bytes) in crate::replicate::table::files(&replication(), Dialect::Comma) {
        write(&name, bytes);
    }
    write("provenance.json", provenance().to_json());
    for name in settings.iter().filter(|name| !name.contains('/')) {
        write(&format!("curves_{name}.csv"), to_csv(&[curve_row(1), curve_row(2)], Dialect::Comma));
        let snapshot = vec![128; DIMS.classes * DIMS.features];
        write(&format!("snapshots_{name}.jpg"), to_jpeg(&[snapshot.clone(), snapshot]));
        let confusion = Confusion::from_counts(10, (0..100).collect());
        write(&format!("confusion_{name}.csv"), confusion_csv(&confusion, Dialect::Comma));
    }
    folder
}

/// Two seeds of two settings, the first of which diverges once.
pub fn replication() -> Replication {
    let mut rows = rows(&[("lambda0_eta0.001", &[390, 391]), ("lambda0.1_eta0.001", &[393, 392])]);
    rows[0].correct_test_images = None;
    Replication::new(&rows).unwrap()
}

pub fn summary_row(setting: &str) -> SummaryRow {
    SummaryRow {
        setting: setting.into(),
        hyperparameters: Hyperparameters { lambda: 0.1, epochs: 2, ..Hyperparameters::default() },
        train_loss: Some(1.6436),
        train_cost: Some(1.7593),
        train_accuracy: Some(0.4482),
        validation_loss: Some(1.7875),
        validation_cost: Some(1.9032),
        validation_accuracy: Some(0.3902),
        test_loss: Some(1.7607),
        test_accuracy: Some(0.3935),
        reported_test_accuracy: Some(0.394),
        train_seconds: 0.68,
    }
}

pub fn search_row(eta: f64, accuracy: Option<f64>) -> SearchRow {
    SearchRow {
        trial: 1,
        trials: 3,
        search: "00".into(),
        shard: Shard::WHOLE,
        setting: "a".into(),
        hyperparameters: Hyperparameters {
            lambda: 0.1,
            eta,
            loss: Loss::Bce,
            decay_every: Some(10),
            decay_factor: Some(0.5),
            flip: 0.5,
            ..Hyperparameters::default()
        },
        validation_split: "data_batch_2.bin".into(),
        validation_images: 10_000,
        validation_loss: accuracy,
        validation_cost: accuracy,
        validation_accuracy: accuracy,
        validation_standard_error: accuracy.map(|_| 0.0049),
        train_seconds: 0.5,
    }
}

/// A small picture.
pub fn png() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(2, 3).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub fn curve_row(epoch: usize) -> CurveRow {
    CurveRow {
        epoch,
        learning_rate: 0.001,
        train_loss: Some(1.0 + 1.0 / epoch as f64),
        train_cost: Some(3.0),
        train_accuracy: Some(0.25),
        validation_loss: Some(2.5),
        validation_cost: Some(3.5),
        validation_accuracy: Some(0.2),
        epoch_seconds: 0.01,
    }
}

pub fn provenance() -> Provenance {
    Provenance {
        version: "0.1.0".into(),
        commit: Some(Commit { id: "01e2383aa".into(), modified: true }),
        command: vec!["onelayer".into(), "train".into(), "--init".into(), "a file".into()],
        seed: 42,
        hyperparameters: vec![Hyperparameters::default()],
        data: vec![RecordFile::from(BatchFile::Test).into()],
        processor: "A processor".into(),
        threads: 2,
        platform: "linux x86_64".into(),
    }
}
