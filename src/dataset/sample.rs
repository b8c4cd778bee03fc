//! A small part of CIFAR-10 that comes with the source code, for tests and for training offline.
//!
//! `train.bin`, `validation.bin` and `test.bin` hold the first 100, 50 and 50 images of each class of
//! `data_batch_1.bin`, `data_batch_2.bin` and `test_batch.bin`, in the order of those files. `cargo run --release
//! --example cut_sample` creates them again.

use std::path::Path;

use super::Splits;
use super::cifar10::BatchFile;
use super::store::{self, RecordFile, Trust};
use crate::error::Result;

/// Default folder of the sample.
pub const DEFAULT_DIR: &str = "data/sample";

const ADVICE: &str = "the sample comes with the source code: `git checkout data/sample` restores it, and `--data-dir` gives \
                      its path from another folder";

/// The parts of the sample: the file, the file that it was cut from, and the number of images per class.
pub const PARTS: [(RecordFile, BatchFile, usize); 3] = [
    (
        part("train.bin", 1000, "bf94625ad186633dff53b4a30b754c7b996a7b52b80645eebc474f053fb420a1"),
        BatchFile::Train(1),
        100,
    ),
    (
        part("validation.bin", 500, "814a81b90d1193e45e1b5e1dc57e251cc7de7bc5d751cd65757144373076a2d2"),
        BatchFile::Train(2),
        50,
    ),
    (part("test.bin", 500, "6fc53f55aebe522d5b1a105c0044983a34f86c60436887ec8a0c4a68c093078a"), BatchFile::Test, 50),
];

const fn part(name: &'static str, records: usize, sha256: &'static str) -> RecordFile {
    RecordFile { name, records, sha256, advice: ADVICE }
}

/// Loads the sample from the folder `dir` ([`DEFAULT_DIR`]), and computes its digests each time.
///
/// # Errors
///
/// Those of [`store::load`].
pub fn load(dir: &Path) -> Result<Splits> {
    let part = |i: usize| store::load(dir, &[PARTS[i].0], Trust::Nothing);
    Ok(Splits { train: part(0)?, validation: part(1)?, test: part(2)? })
}
