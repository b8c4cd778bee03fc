//! A lock that admits one process at a time. The operating system releases it however the process ends.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long a lock may outlive its process. One that is killed while it starts another program has left that one a copy of the
/// open file, which is closed when that program begins.
const GRACE: Duration = Duration::from_millis(250);
/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// A lock, released when it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks `path`, a folder or a file that is created if necessary; `None` if another process holds the lock. On a
    /// file system without locks this always succeeds.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if `path` cannot be opened.
    pub fn acquire(path: &Path) -> Result<Option<Self>> {
        let file = if path.is_dir() { File::open(path) } else { File::create(path) };
        let file = file.map_err(Error::io("open", path))?;
        let until = Instant::now() + GRACE;
        loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Some(Self(file))),
            }
        }
    }

    /// True if `path` is still the locked folder or file. It can have been removed or replaced, except on Windows,
    /// which keeps open files in place.
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

    /// A killed process may have started a program that holds its open files for a moment.
    #[cfg(unix)]
    #[test]
    fn a_lock_that_is_released_soon_is_awaited() {
        use std::process::Command;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let held = Lock::acquire(&path).unwrap().unwrap();
        // As its standard input, the program shares the open file and with it the lock.
        let mut holder = Command::new("sleep").arg("0.1").stdin(held.0.try_clone().unwrap()).spawn().unwrap();
        drop(held);
        assert!(Lock::acquire(&path).unwrap().is_some());
        assert!(holder.wait().unwrap().success());
        let held = Lock::acquire(&path).unwrap().unwrap();
        let mut holder = Command::new("sleep").arg("5").stdin(held.0.try_clone().unwrap()).spawn().unwrap();
        drop(held);
        assert!(Lock::acquire(&path).unwrap().is_none());
        holder.kill().unwrap();
        holder.wait().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_notices_that_its_folder_is_gone() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("results");
        fs::create_dir(&path).unwrap();
        let lock = Lock::acquire(&path).unwrap().unwrap();
        assert!(lock.is_on(&path));
        fs::remove_dir(&path).unwrap();
        assert!(!lock.is_on(&path));
        fs::create_dir(&path).unwrap();
        // The new folder could get the inode number of the old one if that were no longer open.
        assert!(!lock.is_on(&path));
        assert!(Lock::acquire(&path).unwrap().is_some());
    }
}
