//! CIFAR-10, binary version (Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009).
//!
//! A file is a sequence of records without a header. A record is one label byte (0 to 9) and 3072 pixel bytes: 1024
//! red, then 1024 green, then 1024 blue, each plane 32 rows of 32 from the top left.

use std::fmt;
use std::path::Path;

use super::Dataset;
use crate::error::{Error, Result};
use crate::shape::Dims;

/// Default folder of the six files.
pub const DEFAULT_DIR: &str = "data/cifar-10-batches-bin";
/// Image width and height, in pixels.
pub const SIDE: usize = 32;
/// Colour channels: red, green, blue.
pub const CHANNELS: usize = 3;
/// Pixels of one colour plane.
pub const PLANE: usize = SIDE * SIDE;
/// Features and classes of CIFAR-10.
pub const DIMS: Dims = Dims { features: CHANNELS * PLANE, classes: CLASS_NAMES.len() };
/// Bytes of a record: the label and the pixels.
pub const RECORD_BYTES: usize = 1 + CHANNELS * PLANE;
/// Records in each of the six published files.
pub const RECORDS_PER_FILE: usize = 10_000;
/// Bytes of each of the six published files.
pub const FILE_BYTES: u64 = (RECORDS_PER_FILE * RECORD_BYTES) as u64;

/// The classes, in the order of their labels.
pub const CLASS_NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Names and digests of the published files.
const PUBLISHED: [(&str, &str); 6] = [
    ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
];

/// One of the six published files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchFile {
    /// `data_batch_1.bin` to `data_batch_5.bin`, by their number.
    Train(u8),
    /// `test_batch.bin`.
    Test,
}

impl BatchFile {
    /// The six files, in the order of the archive's table of contents.
    pub const ALL: [BatchFile; 6] = [
        BatchFile::Train(1),
        BatchFile::Train(2),
        BatchFile::Train(3),
        BatchFile::Train(4),
        BatchFile::Train(5),
        BatchFile::Test,
    ];

    /// Training batch `number`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] unless `number` is 1 to 5.
    pub fn train(number: u8) -> Result<Self> {
        if (1..=5).contains(&number) {
            Ok(BatchFile::Train(number))
        } else {
            Err(Error::invalid("training batch", "1 to 5", number))
        }
    }

    /// Position in [`BatchFile::ALL`].
    pub(super) fn index(self) -> usize {
        match self {
            BatchFile::Train(number) => usize::from(number.clamp(1, 5)) - 1,
            BatchFile::Test => 5,
        }
    }

    /// The file's published name.
    pub fn file_name(self) -> &'static str {
        PUBLISHED[self.index()].0
    }

    /// The SHA-256 of the published file, in lower-case hexadecimal digits.
    pub fn sha256(self) -> &'static str {
        PUBLISHED[self.index()].1
    }
}

impl fmt::Display for BatchFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

/// Reads `bytes`, a sequence of records, into a data set. Errors name `path` as the file.
///
/// # Errors
///
/// [`Error::FileLength`] if `bytes` is empty or not a whole number of records, [`Error::Label`] for the first label
/// above 9.
pub fn from_records(bytes: &[u8], path: &Path) -> Result<Dataset> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD_BYTES) {
        return Err(Error::file_length(path, format!("a positive multiple of {RECORD_BYTES}"), bytes.len() as u64));
    }
    let count = bytes.len() / RECORD_BYTES;
    let mut pixels = Vec::with_capacity(count * DIMS.features);
    let mut labels = Vec::with_capacity(count);
    for (i, record) in bytes.chunks_exact(RECORD_BYTES).enumerate() {
        labels.push(checked_label(record[0], i * RECORD_BYTES, path)?);
        pixels.extend_from_slice(&record[1..]);
    }
    Dataset::new(DIMS, pixels, labels)
}

/// Checks `label`, the byte at `offset` of the file `path`.
///
/// # Errors
///
/// [`Error::Label`] if it is not a class.
pub(super) fn checked_label(label: u8, offset: usize, path: &Path) -> Result<u8> {
    if usize::from(label) < DIMS.classes {
        return Ok(label);
    }
    Err(Error::Label { path: path.to_owned(), offset, largest: DIMS.classes - 1, found: label })
}

/// The records of `dataset`: the inverse of [`from_records`].
pub fn to_records(dataset: &Dataset) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(dataset.len() * RECORD_BYTES);
    for (i, &label) in dataset.labels().iter().enumerate() {
        bytes.push(label);
        bytes.extend_from_slice(dataset.image(i));
    }
    bytes
}
