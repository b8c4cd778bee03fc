//! Files and their formats. Files are written completely or not at all, by one process at a time, and every size in a
//! file is checked when it is read.

pub mod atomic;
pub mod csv;
pub mod folder;
pub mod kind;
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

/// The largest number of names that a message lists.
const NAMED: usize = 10;
/// Maximum size of a file: four times that of the largest valid array. A device such as `/dev/zero` never ends.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the file at `path`, unless it has more than 256 MiB.
///
/// # Errors
///
/// Those of reading; another one if `path` is a folder or the file is larger.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_at_most(path, MAX_BYTES)
}

/// [`read`], unless the file has more than `limit` bytes.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name a file"));
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if read as u64 > limit {
        return Err(io::Error::other(format!("it must have at most {} MiB, but has more", limit >> 20)));
    }
    Ok(bytes)
}

/// The end of the sentence that something isn't there: the `names` of what is.
pub(crate) fn but_only(names: &[String]) -> String {
    let listed: Vec<String> = names.iter().take(NAMED).map(|name| format!("{name:?}")).collect();
    match names.len().saturating_sub(NAMED) {
        0 if names.is_empty() => ": the file has none".into(),
        0 => format!(", only {}", listed.join(", ")),
        more => format!(", only {} and {more} more", listed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_file_that_is_too_large_are_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, vec![0; (1 << 20) + 1]).unwrap();
        assert_eq!(read(folder.path()).unwrap_err().to_string(), "it is a folder; name a file");
        assert_eq!(read_at_most(&file, 1 << 20).unwrap_err().to_string(), "it must have at most 1 MiB, but has more");
        assert_eq!(read_at_most(&file, (1 << 20) + 1).unwrap().len(), (1 << 20) + 1);
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let names: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        assert_eq!(but_only(&names[..0]), ": the file has none");
        assert_eq!(but_only(&names[..2]), r#", only "0", "1""#);
        assert!(but_only(&names).ends_with(r#""9" and 2 more"#));
    }

    #[test]
    fn a_file_is_read_whole_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(read(&path).unwrap(), b"abc");
        assert_eq!(read_at_most(&path, 3).unwrap(), b"abc");
        assert!(read_at_most(&path, 2).is_err());
        std::fs::write(&path, b"").unwrap();
        assert_eq!(read_at_most(&path, 0).unwrap(), b"");
        assert_eq!(read(&folder.path().join("nowhere")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// It never ends.
    #[cfg(unix)]
    #[test]
    fn a_device_is_read_no_further_than_the_limit() {
        let error = read_at_most(Path::new("/dev/zero"), 3 << 20).unwrap_err().to_string();
        assert_eq!(error, "it must have at most 3 MiB, but has more");
    }

    #[test]
    fn ten_names_are_listed_and_the_others_counted() {
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let ten = r#", only "0", "1", "2", "3", "4", "5", "6", "7", "8", "9""#;
        assert_eq!(but_only(&names(1)), r#", only "0""#);
        assert_eq!(but_only(&names(10)), ten);
        assert_eq!(but_only(&names(11)), format!("{ten} and 1 more"));
    }
}
