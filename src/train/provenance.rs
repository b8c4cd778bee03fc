//! `provenance.json`: what made the files of a results folder, and of what.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dataset::store::RecordFile;
use crate::error::{Error, Result};

/// The file's name.
pub const FILE: &str = "provenance.json";

/// What a training job was made by, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProvenance {
    /// The version of this program.
    pub version: String,
    /// The commit of its source; `None` where that is no git working tree, or there is no git.
    pub commit: Option<Commit>,
    /// The command line: this program's name, then the arguments as they were typed.
    pub command: Vec<String>,
    /// The seed of the random start and of the shuffling.
    pub seed: u64,
    /// The files that were read, in the order of training, validation and test.
    pub data: Vec<DataFile>,
    /// The processor's name, as the operating system gives it.
    pub processor: String,
    /// The threads that work was split over.
    pub threads: usize,
    /// The operating system and the kind of processor that the program was built for, such as `linux x86_64`.
    pub platform: String,
}

/// A commit of this program's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its name, in hexadecimal digits.
    pub id: String,
    /// Whether files under version control differed from it.
    pub modified: bool,
}

/// A file of images that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its SHA-256, in lower-case hexadecimal digits; loading has checked it.
    pub sha256: String,
}

impl From<RecordFile> for DataFile {
    fn from(file: RecordFile) -> Self {
        Self { name: file.name.into(), sha256: file.sha256.into() }
    }
}

impl JobProvenance {
    /// The content of `provenance.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("text and numbers are valid JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`to_json`](Self::to_json) wrote. `path` is what an error names.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when `bytes` are no JSON or lack a field.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::Format {
            path: path.to_owned(),
            reason: format!("must be the provenance of a training job as JSON, but {e}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::BatchFile;

    fn provenance() -> JobProvenance {
        JobProvenance {
            version: "0.1.0".into(),
            commit: Some(Commit { id: "01e2383".into(), modified: true }),
            command: vec!["onelayer".into(), "train".into(), "--out=a \"b\"".into()],
            seed: u64::MAX,
            data: vec![RecordFile::from(BatchFile::Test).into()],
            processor: "A processor".into(),
            threads: 2,
            platform: "linux x86_64".into(),
        }
    }

    #[test]
    fn a_provenance_reads_back_as_it_was() {
        for commit in [provenance().commit, None] {
            let provenance = JobProvenance { commit, ..provenance() };
            let read = JobProvenance::from_json(&provenance.to_json(), Path::new(FILE)).unwrap();
            assert_eq!(read, provenance);
        }
    }

    #[test]
    fn other_json_is_refused_in_one_line_that_names_the_file() {
        for bytes in [&b"{}"[..], b"", b"[1]", &provenance().to_json()[..40]] {
            let error = JobProvenance::from_json(bytes, Path::new(FILE)).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("provenance.json: must be"), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
    }
}
