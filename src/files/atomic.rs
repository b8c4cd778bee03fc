//! Replaces files atomically: at every moment a file has either its old or its new content.
//!
//! The bytes go to a temporary file in the same folder, which is flushed, synced and then renamed to its real name.
//! Finally the folder is synced, so that the rename survives a power failure.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Beginning of the names of all temporary files and folders.
const PREFIX: &str = ".onelayer-";
/// End of their names.
const SUFFIX: &str = ".tmp";

/// Writes `bytes` to `path`, which keeps its old content on an error. The folder must exist.
///
/// # Errors
///
/// [`Error::MissingFolder`] and [`Error::NoFolder`] if there is no such folder, [`Error::NoFile`] if `path` is a folder,
/// [`Error::Io`] if the temporary file cannot be created, written, synced or renamed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes).map_err(Error::io("write", path)))
}

/// Checks that [`write()`] can replace `path`, as far as that can be known before.
///
/// # Errors
///
/// [`Error::NoFile`] if `path` is a folder; those of [`write()`] if a file cannot be created beside it.
pub fn check(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::NoFile(path.to_owned()));
    }
    temporary_file(folder_of(path)).map(|_| ())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_file(folder: &Path) -> Result<tempfile::NamedTempFile> {
    builder().tempfile_in(folder).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::MissingFolder(folder.to_owned()),
        ErrorKind::NotADirectory => Error::NoFolder(folder.to_owned()),
        _ => Error::io("create a file in", folder)(without_path(e)),
    })
}

/// Replaces `path` with the bytes that `fill` writes. Nothing changes on disk if `fill` fails.
///
/// # Errors
///
/// The error of `fill`, and those of [`write()`].
pub fn write_with<T>(path: &Path, fill: impl FnOnce(&mut BufWriter<&mut File>) -> Result<T>) -> Result<T> {
    let folder = folder_of(path);
    let mut temporary = temporary_file(folder)?;
    let mut buffer = BufWriter::new(temporary.as_file_mut());
    let value = fill(&mut buffer)?;
    buffer.flush().map_err(Error::io("write", path))?;
    drop(buffer);
    temporary.as_file().sync_all().map_err(Error::io("write", path))?;
    temporary.persist(path).map_err(|e| match path.is_dir() {
        true => Error::NoFile(path.to_owned()),
        false => Error::io("replace", path)(e.error),
    })?;
    // Windows does not need this step.
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("sync", folder))?;
    }
    Ok(value)
}

/// Removes the file `path`, if it exists.
///
/// # Errors
///
/// [`Error::Io`] with the operating system's reason.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Creates a temporary folder in `folder`, which is removed when the value is dropped.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be created.
pub fn temporary_folder(folder: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempdir_in(folder)
        .map_err(|e| Error::io("create a folder in", folder)(without_path(e)))
}

/// The error without the path of the temporary file, which `tempfile` adds.
pub(super) fn without_path(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((reason, _)) => io::Error::new(error.kind(), reason),
        None => error,
    }
}

/// Removes the temporary files and folders that a killed process left in `folder`, as far as possible. No other process
/// may be writing in the folder.
///
/// # Errors
///
/// [`Error::Io`] if the folder cannot be listed.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            let _ =
                if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
    Ok(())
}

/// Temporary files with ordinary permissions: by default, `tempfile` lets only the owner read them.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask still applies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in a folder.
    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        write(&path, b"old").unwrap();
        let result: Result<()> = write_with(&path, |file| {
            file.write_all(&vec![1; 100_000]).unwrap();
            Err(Error::format(&path, "on purpose"))
        });
        assert!(matches!(result, Err(Error::Format { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.csv"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere/a.csv");
        let error = write(&path, b"x").unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
        assert_eq!(check(&path).unwrap_err().to_string(), error.to_string());
    }

    #[test]
    fn a_path_is_checked_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        check(&path).unwrap();
        assert_eq!(names(folder.path()), [""; 0]);
        fs::create_dir(&path).unwrap();
        assert!(check(&path).unwrap_err().to_string().ends_with("a.npz is a folder; name a file"));
        let nowhere = check(&folder.path().join("nowhere/a.npz")).unwrap_err().to_string();
        assert!(nowhere.ends_with("nowhere; create it first"), "{nowhere}");
    }

    #[test]
    fn leftovers_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = temporary_folder(folder.path()).unwrap().keep();
        write(&kept.join("inside"), b"x").unwrap();
        fs::write(folder.path().join(".onelayer-1.tmp"), b"x").unwrap();
        fs::write(folder.path().join("data_batch_1.bin"), b"x").unwrap();
        fs::write(folder.path().join(".onelayer-notes"), b"x").unwrap();
        assert_eq!(names(folder.path()).len(), 4);
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".onelayer-notes", "data_batch_1.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_has_ordinary_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("a"), folder.path().join("b"));
        write(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let (file, inner) = (folder.path().join("file"), folder.path().join("inner"));
        fs::write(&file, b"x").unwrap();
        fs::create_dir(&inner).unwrap();
        assert!(matches!(write(&inner, b"x"), Err(Error::NoFile(path)) if path == inner));
        assert!(matches!(write(&file.join("a"), b"x"), Err(Error::NoFolder(path)) if path == file));
        assert!(matches!(check(&file.join("a")), Err(Error::NoFolder(path)) if path == file));
        let nowhere = folder.path().join("nowhere");
        assert!(matches!(write(&nowhere.join("a"), b"x"), Err(Error::MissingFolder(path)) if path == nowhere));
        assert_eq!(names(folder.path()), ["file", "inner"]);
    }

    #[test]
    fn a_file_is_removed_if_it_exists_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, b"x").unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
        remove(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(remove(&path), Err(Error::Io { action: "remove", path: found, .. }) if found == path));
        assert!(path.exists());
    }

    #[test]
    fn what_is_written_is_complete_and_what_fill_returns_is_returned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let long = vec![7; 100_000];
        let value = write_with(&path, |file| {
            file.write_all(&long).map_err(Error::io("write", &path))?;
            // Not yet under its name.
            assert!(!path.exists());
            Ok(42)
        });
        assert_eq!(value.unwrap(), 42);
        assert!(fs::read(&path).unwrap() == long);
    }

    #[test]
    fn the_path_of_a_temporary_file_is_not_in_the_reason() {
        let error = io::Error::new(ErrorKind::PermissionDenied, "denied at path \"/tmp/.onelayer-1.tmp\"");
        let error = without_path(error);
        assert_eq!((error.kind(), &error.to_string()[..]), (ErrorKind::PermissionDenied, "denied"));
        assert_eq!(without_path(io::Error::other("no place")).to_string(), "no place");
        let folder = Path::new("/nowhere at all");
        let Err(Error::Io { action: "create a folder in", path, source }) = temporary_folder(folder) else {
            panic!("there is no such folder")
        };
        assert!(path == folder && !source.to_string().contains("nowhere"), "{source}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_removed_without_what_it_points_to() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("kept"), b"x").unwrap();
        std::os::unix::fs::symlink(other.path(), folder.path().join(".onelayer-2.tmp")).unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [""; 0]);
        assert_eq!(names(other.path()), ["kept"]);
        let nowhere = folder.path().join("nowhere");
        assert!(matches!(remove_leftovers(&nowhere), Err(Error::Io { action: "list", .. })));
    }

    #[test]
    fn a_name_alone_is_in_the_current_folder() {
        assert_eq!(
            ["a", "./a", "b/a", "/a"].map(|path| folder_of(Path::new(path))),
            [".", ".", "b", "/"].map(Path::new)
        );
    }
}
