//! Files and their formats. Files are written completely or not at all, by one process at a time, and every size in a
//! file is checked when it is read.

pub mod atomic;
pub mod csv;
pub mod folder;
pub mod lock;
pub mod npy;
pub mod npz;
#[cfg(feature = "cli")]
pub mod raster;
pub mod safetensors;
pub mod zip;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Maximum size of a file: four times that of the largest valid array. A device such as `/dev/zero` never ends.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the file at `path`, unless it has more than 256 MiB.
///
/// # Errors
///
/// Those of reading; another one if the file is larger.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it must have at most {MAX_BYTES} bytes, but has more")));
    }
    Ok(bytes)
}
