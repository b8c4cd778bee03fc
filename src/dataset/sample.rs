//! A small part of CIFAR-10 that is inside the library, for tests and for training offline.
//!
//! `train.bin`, `validation.bin` and `test.bin` hold the first 100, 50 and 50 images of each class of
//! `data_batch_1.bin`, `data_batch_2.bin` and `test_batch.bin`, in the order of those files. `cargo run --release
//! --example cut_sample` creates them again, and the compressed copy that the library holds.

use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::Splits;
use super::cifar10::{BatchFile, RECORD_BYTES};
use super::store::{self, RecordFile, Trust};
use crate::error::{Error, Result};

/// The folder of the source code with the sample as files.
pub const DEFAULT_DIR: &str = "data/sample";

/// The three files, one after the other, compressed by gzip.
const PACKED: &[u8] = include_bytes!("../../data/sample.bin.gz");

const ADVICE: &str = "`onelayer fetch --dataset sample` writes the sample into a folder, and without `--data-dir` the one \
                      inside the program is taken";

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

/// The three files inside the library. They are not checked.
pub(super) fn records() -> io::Result<[(RecordFile, Vec<u8>); 3]> {
    let mut unpacked = GzDecoder::new(PACKED);
    let mut files = PARTS.map(|(file, ..)| (file, vec![0; file.records * RECORD_BYTES]));
    files.iter_mut().try_for_each(|(_, bytes)| unpacked.read_exact(bytes))?;
    Ok(files)
}

/// The sample that is inside the library. Its digests are computed each time.
///
/// # Errors
///
/// [`Error::Digest`] or [`Error::Io`] if the program has been altered.
pub fn built_in() -> Result<Splits> {
    let files = records().map_err(Error::io("unpack", Path::new("the sample inside the program")))?;
    let [train, validation, test] = files.map(|(file, bytes)| store::read(&bytes[..], Path::new(file.name), &file));
    Ok(Splits { train: train?, validation: validation?, test: test? })
}

/// Loads the sample from the folder `dir`, and computes its digests each time.
///
/// # Errors
///
/// Those of [`store::load`].
pub fn load(dir: &Path) -> Result<Splits> {
    let part = |i: usize| store::load(dir, &[PARTS[i].0], Trust::Nothing);
    Ok(Splits { train: part(0)?, validation: part(1)?, test: part(2)? })
}
