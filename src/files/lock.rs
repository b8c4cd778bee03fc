//! One writer at a time: a lock that the operating system releases when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks `path`, a folder or a file that is made if need be; `None` while another process holds it. A file system
    /// without locks is used without one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when `path` can't be opened.
    pub fn acquire(path: &Path) -> Result<Option<Self>> {
        let file = if path.is_dir() { File::open(path) } else { File::create(path) };
        let file = file.map_err(Error::io("open", path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Self(file))),
        }
    }

    /// Whether what is locked is still what `path` names: the folder can be gone, or another one be there. Windows keeps
    /// what is open where it is.
    pub fn is_on(&self, path: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let id = |m: std::fs::Metadata| (m.dev(), m.ino());
            match (self.0.metadata(), path.metadata()) {
                (Ok(held), Ok(named)) => id(held) == id(named),
                _ => false,
            }
        }
        #[cfg(not(unix))]
        {
            let _ = path;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join(".lock")] {
            let first = Lock::acquire(&path).unwrap();
            assert!(first.is_some());
            assert!(Lock::acquire(&path).unwrap().is_none());
            drop(first);
            assert!(Lock::acquire(&path).unwrap().is_some());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_knows_when_its_folder_is_gone() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("results");
        fs::create_dir(&path).unwrap();
        let lock = Lock::acquire(&path).unwrap().unwrap();
        assert!(lock.is_on(&path));
        fs::remove_dir(&path).unwrap();
        assert!(!lock.is_on(&path));
        fs::create_dir(&path).unwrap();
        // The new folder may get the old one's number once that is no longer open.
        assert!(!lock.is_on(&path));
        assert!(Lock::acquire(&path).unwrap().is_some());
    }
}
