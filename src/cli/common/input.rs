//! Reading the files that a person names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most bytes that are read of one: four times what its largest array may have. A device such as `/dev/zero` has no
/// end.
const MAX_BYTES: u64 = 256 << 20;

/// The content of the file at `path`.
///
/// # Errors
///
/// The operating system's, and [`io::ErrorKind::FileTooLarge`] for more than 256 MiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it must have at most {MAX_BYTES} bytes, but has more"),
        ));
    }
    Ok(bytes)
}

/// As [`read`], of a text.
///
/// # Errors
///
/// Besides those, [`io::ErrorKind::InvalidData`] for what is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
