//! Reads gzipped tar archives: the official one, which holds the files themselves, that of the Python version, which holds pickles,
//! and the npm package's tarball, which holds images and labels. The names of the entries tell which of them it is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read, Take};
use std::path::Path;

use flate2::read::GzDecoder;

use super::{Entry, Fetching, npm};
use crate::dataset::store;
use crate::error::{Error, Result};
use crate::files::kind;

/// Folder of the files in the official archive.
pub(super) const OFFICIAL_FOLDER: &str = "cifar-10-batches-bin";
/// Folder of the files in the official archive of the Python version.
pub(super) const PYTHON_FOLDER: &str = "cifar-10-batches-py";
/// Folder of the files in every npm tarball.
const NPM_FOLDER: &str = "package";
/// Maximum number of bytes that are unpacked, wanted or not: five times the content of either archive.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;
/// Maximum size of a JSON file of labels: five times the size of the largest one.
const MAX_LABEL_BYTES: u64 = 512 * 1024;

/// Installs the wanted files from the archive at `path`.
///
/// # Errors
///
/// [`Error::Io`] only for errors of the disk; a defect of the archive is another error.
pub(super) fn install(fetching: &mut Fetching, path: &Path) -> Result<()> {
    check_magic(path)?;
    install_entries(fetching, path).map_err(|error| match error {
        // The decoders report damage as an I/O error of these kinds.
        Error::Io { action: "read", path, source }
            if matches!(
                source.kind(),
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof | ErrorKind::Other
            ) =>
        {
            damaged(&path)
        }
        other => other,
    })
}

fn damaged(path: &Path) -> Error {
    Error::format(path, "the archive is damaged or cut off")
}

/// [`install`], from a file that begins like a gzip file.
fn install_entries(fetching: &mut Fetching, path: &Path) -> Result<()> {
    let mut left = fetching.wanted.to_vec();
    let mut labels = BTreeMap::new();
    // The npm tarball holds the images before their labels, so it takes two passes; the official archives take one.
    for_each_file(path, |name, file| {
        if let Some(i) = position(&left, OFFICIAL_FOLDER, name, |e| e.file.name.into()) {
            let wanted = left.remove(i).file;
            if file.size() != wanted.bytes() {
                return Err(Error::file_length(&path.join(name), wanted.bytes(), file.size()));
            }
            fetching.install(&wanted, &path.join(name), file)?;
        } else if let Some(i) = position(&left, PYTHON_FOLDER, name, Entry::pickle) {
            let (wanted, path) = (left.remove(i).file, path.join(name));
            let records = store::unpickled(file, &path, &wanted)?;
            fetching.install(&wanted, &path, &mut &records[..])?;
        } else if let Some(i) = position(&left, NPM_FOLDER, name, |e| e.labels.into()) {
            let read = read_labels(file, &path.join(name))?;
            labels.entry(left[i].labels).or_insert(read);
        }
        Ok(left.is_empty())
    })?;
    if !labels.is_empty() {
        for_each_file(path, |name, file| {
            if let Some(i) = position(&left, NPM_FOLDER, name, Entry::image) {
                let entry = left.remove(i);
                let labels = labels.get(entry.labels).map_or(&[][..], Vec::as_slice);
                install_image(fetching, &entry, labels, file, &path.join(name))?;
            }
            Ok(left.is_empty())
        })?;
    }
    match left.first() {
        None => Ok(()),
        Some(entry) => Err(Error::format(
            path,
            format!(
                "the archive holds neither {OFFICIAL_FOLDER}/{} nor {PYTHON_FOLDER}/{} nor {NPM_FOLDER}/{} with \
                 {NPM_FOLDER}/{}",
                entry.file.name,
                entry.pickle(),
                entry.image(),
                entry.labels
            ),
        )),
    }
}

/// Installs the file of `entry` from the image `file` and the `labels` of its array.
fn install_image(
    fetching: &mut Fetching,
    entry: &Entry,
    labels: &[u8],
    file: &mut PackedFile,
    path: &Path,
) -> Result<()> {
    let needed = entry.first_label + entry.file.records;
    let labels = labels.get(entry.first_label..needed).ok_or_else(|| {
        let (name, found) = (entry.labels, labels.len());
        Error::format(path, format!("{name} must hold at least {needed} labels, but holds {found}"))
    })?;
    // Incompressible data grows a little as a PNG, but never by a quarter.
    let png = read_bounded(file, entry.file.bytes() * 5 / 4, path)?;
    fetching.install(&entry.file, path, &mut &npm::records(&png, labels, path)?[..])
}

/// Position of the entry for which `name` is `folder`/`of(entry)`.
fn position(entries: &[Entry], folder: &str, name: &str, of: impl Fn(&Entry) -> String) -> Option<usize> {
    let name = name.strip_prefix(folder)?.strip_prefix('/')?;
    entries.iter().position(|e| of(e) == name)
}

/// A file in an archive.
type PackedFile<'a> = tar::Entry<'a, &'a mut Take<GzDecoder<BufReader<File>>>>;

/// Calls `each` with the name and the content of every ordinary file in the archive, until it returns true.
fn for_each_file(path: &Path, mut each: impl FnMut(&str, &mut PackedFile) -> Result<bool>) -> Result<()> {
    let damaged = |_| damaged(path);
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut unpacked = GzDecoder::new(BufReader::with_capacity(1 << 18, file)).take(MAX_UNPACKED_BYTES);
    let mut archive = tar::Archive::new(&mut unpacked);
    // Raw: entries that rename the next one (a long name) are ignored. They can be of any length, and all wanted names
    // are short.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                return Err(match unpacked.limit() {
                    0 => Error::format(path, format!("the archive unpacks to more than {MAX_UNPACKED_BYTES} bytes")),
                    _ => damaged(e),
                });
            }
        };
        // Links, for example, have no content of their own.
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else {
            continue;
        };
        if each(&name, &mut entry)? {
            break;
        }
    }
    Ok(())
}

/// Checks that the file begins like a gzip file; the error says what it looks like.
fn check_magic(path: &Path) -> Result<()> {
    let refuse = |found: &str| Error::format(path, format!("must be a gzipped archive, but {found}"));
    // Reading from a pipe could block forever.
    let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(refuse("is not a regular file"));
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|f| f.take(kind::START as u64).read_to_end(&mut start))
        .map_err(Error::io("read", path))?;
    if start.starts_with(kind::GZIP) {
        return Ok(());
    }
    Err(refuse(&kind::describe(&start)))
}

/// The first of `bytes`, escaped.
pub(super) fn quote(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(32)];
    format!("\"{}\"", start.escape_ascii())
}

/// Reads a file of at most `limit` bytes.
fn read_bounded(file: &mut PackedFile, limit: u64, path: &Path) -> Result<Vec<u8>> {
    if file.size() > limit {
        return Err(Error::file_length(path, format!("at most {limit}"), file.size()));
    }
    // Grows as bytes arrive: the size that the archive states need not be true.
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Reads a JSON array of numbers from 0 to 255.
fn read_labels(file: &mut PackedFile, path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bounded(file, MAX_LABEL_BYTES, path)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::format(
            path,
            format!("must be a JSON array of labels, 0 to 255, but {}", kind::describe_json(&e, &bytes)),
        )
    })
}
