//! A results folder, open for one process at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::files::atomic;
use crate::files::csv::Dialect;
use crate::files::lock::Lock;

/// A folder that exists, can be written to, and is locked against every other process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: Mutex<Lock>,
    dialect: Dialect,
}

impl Folder {
    /// Creates the folder `path` if necessary, and checks that it can be written to before any work begins. Temporary
    /// files of a process that was killed are removed.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while another process has it open, otherwise [`Error::Io`] with the operating system's reason.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned(), lock: Mutex::new(lock(path)?), dialect: Dialect::default() };
        tempfile::tempfile_in(path).map_err(|e| Error::io("write in the folder", path)(atomic::without_path(e)))?;
        atomic::remove_leftovers(path)?;
        Ok(folder)
    }

    /// The same folder, with tables in `dialect`.
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// The dialect that tables in this folder are to have.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Writes each file whole, under a temporary name first. A folder that has vanished is created again.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for the first file that cannot be written; the files before it are new, the others unchanged.
    /// [`Error::InUse`] when the folder had vanished and another process has created it.
    pub fn write(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.is_on(&self.path) {
            *held = lock(&self.path)?;
        }
        files.iter().try_for_each(|(name, bytes)| atomic::write(&self.path.join(name), bytes))
    }

    /// Removes the file `name`, if it exists.
    ///
    /// # Errors
    ///
    /// Those of [`atomic::remove`].
    pub fn remove(&self, name: &str) -> Result<()> {
        atomic::remove(&self.path.join(name))
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates the folder `path`, if necessary.
///
/// # Errors
///
/// [`Error::NoFolder`] if it or a folder above it is a file, otherwise [`Error::Io`].
pub fn create(path: &Path) -> Result<()> {
    if let Some(file) = path.ancestors().find(|path| path.is_file()) {
        return Err(Error::NoFolder(file.to_owned()));
    }
    fs::create_dir_all(path).map_err(Error::io("create the folder", path))
}

/// Creates the folder `path` if necessary, and locks it: the folder itself, where the system can open it as a file.
fn lock(path: &Path) -> Result<Lock> {
    create(path)?;
    let locked = if cfg!(unix) { path.to_owned() } else { path.join(".lock") };
    Lock::acquire(&locked)?.ok_or_else(|| Error::InUse(path.to_owned()))
}
