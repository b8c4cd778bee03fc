//! A results folder, open for one process at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::files::atomic;
use crate::files::csv::Dialect;
use crate::files::lock::Lock;

/// Name of the file that locks a folder, where the folder itself cannot be locked.
pub(crate) const LOCK: &str = ".lock";

/// A folder that exists, can be written to, and is locked against every other process. If it was created and nothing was
/// written, it is removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: Mutex<Lock>,
    dialect: Dialect,
    /// Dropped after the lock.
    _created: Created,
}

impl Folder {
    /// Creates the folder `path` if necessary, and checks that it can be written to before any work begins. Temporary
    /// files of a process that was killed are removed.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while another process has it open, otherwise [`Error::Io`] with the operating system's reason.
    pub fn open(path: &Path) -> Result<Self> {
        let created = create(path)?;
        let lock = Mutex::new(lock(path)?);
        let folder = Self { path: path.to_owned(), lock, dialect: Dialect::default(), _created: created };
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
            create(&self.path)?.keep();
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

/// The folders that [`create`] created, the innermost first. Those in which nothing but a lock is are removed when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Created(Vec<PathBuf>);

impl Created {
    /// Keeps the folders, also if they are empty.
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        let Some(innermost) = self.0.first() else { return };
        let has_only_lock = |mut entries: fs::ReadDir| entries.all(|entry| entry.is_ok_and(|e| e.file_name() == LOCK));
        if fs::read_dir(innermost).is_ok_and(has_only_lock) {
            let _ = fs::remove_file(innermost.join(LOCK));
            let _ = self.0.iter().try_for_each(fs::remove_dir);
        }
    }
}

/// Creates the folder `path`, and those above it, if necessary.
///
/// # Errors
///
/// [`Error::NoFolder`] if it or a folder above it is a file, otherwise [`Error::Io`].
pub fn create(path: &Path) -> Result<Created> {
    if let Some(file) = path.ancestors().find(|path| path.is_file()) {
        return Err(Error::NoFolder(file.to_owned()));
    }
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let created = Created(path.ancestors().take_while(is_missing).map(Path::to_owned).collect());
    fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
    Ok(created)
}

/// Locks the folder `path`: the folder itself, where the system can open it as a file.
fn lock(path: &Path) -> Result<Lock> {
    let locked = if cfg!(unix) { path.to_owned() } else { path.join(LOCK) };
    Lock::acquire(&locked)?.ok_or_else(|| Error::InUse(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_in_which_nothing_is_written_is_removed_with_those_above_it() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a/b");
        drop(Folder::open(&path).unwrap());
        assert!(!outer.path().join("a").exists() && outer.path().exists());
        let folder = Folder::open(&path).unwrap();
        folder.write(&[("table.csv".into(), b"1".to_vec())]).unwrap();
        drop(folder);
        assert!(path.join("table.csv").exists());
        // One that was there stays.
        let empty = outer.path().join("empty");
        fs::create_dir(&empty).unwrap();
        drop(Folder::open(&empty).unwrap());
        assert!(empty.exists());
    }

    #[test]
    fn a_folder_is_open_for_one_at_a_time_and_keeps_its_dialect() {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::open(outer.path()).unwrap().with_dialect(Dialect::Semicolon);
        assert_eq!((folder.dialect(), folder.path()), (Dialect::Semicolon, outer.path()));
        assert!(matches!(Folder::open(outer.path()), Err(Error::InUse(_))));
        folder.write(&[("a".into(), b"1".to_vec())]).unwrap();
        folder.remove("a").unwrap();
        folder.remove("a").unwrap();
        assert!(!outer.path().join("a").exists());
        let file = outer.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            assert!(matches!(Folder::open(&path), Err(Error::NoFolder(found)) if found == file));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_has_vanished_is_created_and_locked_again() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        fs::remove_dir_all(outer.path().join("a")).unwrap();
        // Nothing is to be written, but the folder is there again, and stays.
        folder.write(&[]).unwrap();
        assert!(path.is_dir() && matches!(Folder::open(&path), Err(Error::InUse(_))));
        fs::remove_dir_all(&path).unwrap();
        folder.write(&[("x".into(), b"1".to_vec()), ("y".into(), b"2".to_vec())]).unwrap();
        assert_eq!(
            (fs::read(path.join("x")).unwrap(), fs::read(path.join("y")).unwrap()),
            (b"1".to_vec(), b"2".to_vec())
        );
    }

    #[test]
    fn created_folders_are_removed_up_to_the_first_that_holds_more_than_a_lock() {
        let outer = tempfile::tempdir().unwrap();
        let (above, path) = (outer.path().join("a"), outer.path().join("a/b"));
        let created = create(&path).unwrap();
        fs::write(path.join(LOCK), "").unwrap();
        fs::write(above.join("notes"), "").unwrap();
        drop(created);
        assert!(!path.exists() && above.join("notes").exists());
        let created = create(&path).unwrap();
        fs::write(path.join("table.csv"), "").unwrap();
        fs::write(path.join(LOCK), "").unwrap();
        drop(created);
        assert!(path.join("table.csv").exists() && path.join(LOCK).exists());
        let created = create(&path.join("c/d")).unwrap();
        created.keep();
        assert!(path.join("c/d").is_dir());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_when_a_folder_is_opened() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join(".onelayer-1.tmp"), "").unwrap();
        fs::write(outer.path().join("table.csv"), "").unwrap();
        let folder = Folder::open(outer.path()).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["table.csv"]);
    }
}
