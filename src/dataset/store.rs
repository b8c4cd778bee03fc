//! Loads files of records, and checks every byte. A folder with the Python version of CIFAR-10 is read too: its files are turned
//! into records, and these are checked.
//!
//! The length and the range of the labels are checked whenever a file is loaded. The digest is computed the first time
//! and remembered in `.verified` beside the files, one line per file: name, length, time of modification (on Unix also
//! the time of the last change of the inode, which cannot be set back) and digest. If any of them differs, the digest
//! is computed again.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cifar10::{self, BatchFile, DIMS, RECORD_BYTES};
use super::{Dataset, Splits, pickle};
use crate::error::{Error, Result};
use crate::files::atomic;

/// The file, beside the data, that remembers the verified files.
pub(super) const MEMORY: &str = ".verified";
/// Maximum size of this file. A longer one was not written by this program.
const MAX_MEMORY_BYTES: u64 = 64 * 1024;
/// Number of bytes that are read at once: whole records, few enough to stay in the processor's cache.
const PIECE_BYTES: usize = 64 * RECORD_BYTES;

/// A published file of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFile {
    /// Its name, without the folder.
    pub name: &'static str,
    /// Number of records.
    pub records: usize,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: &'static str,
    /// Advice for the user if it is missing or altered.
    pub advice: &'static str,
}

impl RecordFile {
    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        (self.records * RECORD_BYTES) as u64
    }
}

impl From<BatchFile> for RecordFile {
    fn from(file: BatchFile) -> Self {
        Self {
            name: file.file_name(),
            records: cifar10::RECORDS_PER_FILE,
            sha256: file.sha256(),
            advice: "run `onelayer fetch` to get it, or use `--dataset sample` instead",
        }
    }
}

/// Treatment of digests that were verified before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The digest of a file that has not changed since is not computed again.
    Remembered,
    /// Every digest is computed, and none is remembered.
    Nothing,
}

/// Loads `files` of the folder `dir`, in this order, into one data set. The files are read in parallel.
///
/// # Errors
///
/// [`Error::DataFile`] for the first file that is missing or has a wrong length, a label above 9 or a wrong digest;
/// [`Error::Io`] if a file cannot be read.
pub fn load<F: Copy + Into<RecordFile>>(dir: &Path, files: &[F], trust: Trust) -> Result<Dataset> {
    let files: Vec<RecordFile> = files.iter().map(|&f| f.into()).collect();
    let known = Memory::read(dir, trust);
    let total: usize = files.iter().map(|f| f.records).sum();
    let mut pixels = vec![0; total * DIMS.features];
    let mut labels = vec![0; total];

    let (mut pixels_left, mut labels_left) = (&mut pixels[..], &mut labels[..]);
    let parts = files.iter().map(|file| {
        let pixels = pixels_left.split_off_mut(..file.records * DIMS.features);
        let labels = labels_left.split_off_mut(..file.records);
        (file, pixels.expect("the total is the sum"), labels.expect("the total is the sum"))
    });
    let parts: Vec<_> = parts.collect();
    let verified: Vec<Result<String>> =
        parts.into_par_iter().map(|(file, pixels, labels)| load_one(dir, file, &known, pixels, labels)).collect();

    known.remember(dir, verified.into_iter().collect::<Result<_>>()?);
    Dataset::new(DIMS, pixels, labels)
}

/// Loads the three splits of the protocol, each with [`load`].
///
/// # Errors
///
/// Those of [`load`].
pub fn load_splits(dir: &Path, train: &[BatchFile], validation: &[BatchFile]) -> Result<Splits> {
    Ok(Splits {
        train: load(dir, train, Trust::Remembered)?,
        validation: load(dir, validation, Trust::Remembered)?,
        test: load(dir, &[BatchFile::Test], Trust::Remembered)?,
    })
}

/// Checks the length and the digest of `file` in the folder `dir`.
///
/// # Errors
///
/// Those of [`load`], except that labels are not checked.
pub fn check(dir: &Path, file: impl Into<RecordFile>, trust: Trust) -> Result<()> {
    let file = file.into();
    let known = Memory::read(dir, trust);
    let found = examine(dir, &file)?;
    if !known.lines.contains(&found.line) {
        found.scan(&file, true, |_| Ok(()))?;
        known.remember(dir, vec![found.line]);
    }
    Ok(())
}

/// True if the folder `dir` has `file`, as records or in the Python version. It is not checked.
pub fn is_there(dir: &Path, file: impl Into<RecordFile>) -> bool {
    let name = file.into().name;
    dir.join(name).exists() || dir.join(pickle::file_name(name)).is_file()
}

/// Reads `file` from `reader`, with its digest. Errors name `path` as the file.
pub(super) fn read(reader: impl Read, path: &Path, file: &RecordFile) -> Result<Dataset> {
    let mut pixels = vec![0; file.records * DIMS.features];
    let mut labels = vec![0; file.records];
    scan(reader, path, file, true, fill(path, &mut pixels, &mut labels))?;
    Dataset::new(DIMS, pixels, labels)
}

/// The records of the file `name` of CIFAR-10's Python version, from its bytes. Errors name `path` as the file.
pub(super) fn unpickled(reader: impl Read, path: &Path, file: &RecordFile) -> Result<Vec<u8>> {
    let limit = pickle::max_bytes(file.bytes());
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::file_length(path, format!("at most {limit}"), bytes.len() as u64));
    }
    pickle::records(&bytes, file.records, path)
}

/// The SHA-256 of all bytes of `reader`, in lower-case hexadecimal digits.
///
/// # Errors
///
/// Those of reading.
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hex(hasher)),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// The digest of `hasher`, in lower-case hexadecimal digits.
fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads one file into its part of the data set; returns its line of [`MEMORY`].
fn load_one(dir: &Path, file: &RecordFile, known: &Memory, pixels: &mut [u8], labels: &mut [u8]) -> Result<String> {
    let found = examine(dir, file)?;
    found.scan(file, !known.lines.contains(&found.line), fill(&found.path, pixels, labels))?;
    Ok(found.line)
}

/// Puts pieces of whole records, one after the other, into `pixels` and `labels`. Errors name `path` as the file.
fn fill(path: &Path, pixels: &mut [u8], labels: &mut [u8]) -> impl FnMut(&[u8]) -> Result<()> {
    let mut next = 0;
    move |records| {
        for record in records.chunks_exact(RECORD_BYTES) {
            labels[next] = cifar10::checked_label(record[0], next * RECORD_BYTES, path)?;
            pixels[next * DIMS.features..][..DIMS.features].copy_from_slice(&record[1..]);
            next += 1;
        }
        Ok(())
    }
}

/// A file that is there.
struct Found {
    path: PathBuf,
    /// Its line of [`MEMORY`].
    line: String,
    is_pickle: bool,
}

impl Found {
    /// [`scan`], of the file.
    fn scan(&self, file: &RecordFile, digest: bool, look: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let reader = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        if self.is_pickle {
            unpickled(reader, &self.path, file).and_then(|records| scan(&records[..], &self.path, file, digest, look))
        } else {
            scan(reader, &self.path, file, digest, look)
        }
        .map_err(|e| advise(e, file))
    }
}

/// Checks that `file` exists and, unless it is of the Python version, has its length.
fn examine(dir: &Path, file: &RecordFile) -> Result<Found> {
    let path = dir.join(file.name);
    let pickle = dir.join(pickle::file_name(file.name));
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == file.bytes() => {
            Ok(Found { path, line: memory_line(file.name, file, &metadata), is_pickle: false })
        }
        Ok(metadata) => Err(Error::file_length(&path, file.bytes(), metadata.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match fs::metadata(&pickle) {
            Ok(metadata) if metadata.is_file() => {
                let line = memory_line(pickle::file_name(file.name), file, &metadata);
                Ok(Found { path: pickle, line, is_pickle: true })
            }
            _ => Err(Error::MissingFile(path)),
        },
        Err(_) if dir.is_file() => return Err(Error::NoFolder(dir.to_owned())),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
    .map_err(|e| advise(e, file))
}

/// Reads `file` from `reader` in pieces of whole records, calls `look` with each, and checks the length, and the digest
/// if `digest` is true. Errors name `path` as the file.
pub(super) fn scan(
    reader: impl Read,
    path: &Path,
    file: &RecordFile,
    digest: bool,
    mut look: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut hasher = digest.then(Sha256::new);
    // One byte more than expected suffices to notice that there are too many.
    let mut reader = reader.take(file.bytes() + 1);
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    let mut length = 0;
    while reader.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece).map_err(Error::io("read", path))? > 0 {
        look(&piece)?;
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        length += piece.len() as u64;
        piece.clear();
    }
    if length != file.bytes() {
        return Err(Error::file_length(path, file.bytes(), length));
    }
    match hasher.map(hex) {
        Some(found) if found != file.sha256 => {
            Err(Error::Digest { path: path.to_owned(), expected: file.sha256.into(), found })
        }
        _ => Ok(()),
    }
}

/// Adds the file's advice to an error for which it helps.
fn advise(error: Error, file: &RecordFile) -> Error {
    match error {
        Error::Io { .. } => error,
        cause => Error::DataFile { cause: Box::new(cause), advice: file.advice },
    }
}

/// The line of [`MEMORY`] for a file that holds the records of `file`, which changes with it.
fn memory_line(name: &str, file: &RecordFile, metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt;
        format!("{}.{:09}", metadata.ctime(), metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let changed = "-";
    let (length, sha256) = (metadata.len(), file.sha256);
    format!("{name} {length} {modified} {changed} {sha256}")
}

/// The lines of [`MEMORY`].
struct Memory {
    lines: BTreeSet<String>,
    trust: Trust,
}

impl Memory {
    /// Reads the memory of `dir`; an unreadable one counts as empty.
    fn read(dir: &Path, trust: Trust) -> Self {
        let mut text = String::new();
        if trust == Trust::Remembered
            && let Ok(file) = File::open(dir.join(MEMORY))
            && file.take(MAX_MEMORY_BYTES).read_to_string(&mut text).is_err()
        {
            text.clear();
        }
        Self { lines: text.lines().map(str::to_owned).collect(), trust }
    }

    /// Replaces the lines of the files in `verified`. If the folder cannot be written to, the digests are computed
    /// again next time, so that is not an error.
    fn remember(mut self, dir: &Path, verified: Vec<String>) {
        if self.trust == Trust::Nothing || verified.iter().all(|line| self.lines.contains(line)) {
            return;
        }
        let name = |line: &str| line.split(' ').next().map(str::to_owned);
        self.lines.retain(|old| verified.iter().all(|new| name(old) != name(new)));
        self.lines.extend(verified);
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let _ = atomic::write(&dir.join(MEMORY), text.as_bytes());
    }
}

#[cfg(test)]
#[cfg(feature = "cli")]
mod tests;
