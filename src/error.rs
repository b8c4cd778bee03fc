//! The one error type of the library: each variant carries the values that a person needs to act on it.

use std::fmt;
use std::path::{Path, PathBuf};

/// What can go wrong, with the actual values in it.
///
/// The message of a variant says what was expected and what was found; an underlying cause, where there is one, is
/// the error's [`source`](std::error::Error::source) and not repeated in the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside the range in which training is defined.
    #[error("{name} must be {expected}, but is {found}")]
    InvalidValue {
        /// The setting, as it is called on the command line.
        name: &'static str,
        /// The range that is allowed.
        expected: String,
        /// The value that was given.
        found: String,
    },

    /// An array has another shape than the computation needs.
    #[error("{what} must have the shape {expected}, but has {found}")]
    Shape {
        /// The array.
        what: String,
        /// The shape that is needed.
        expected: String,
        /// The shape that was found.
        found: String,
    },

    /// A value that must be a finite number is NaN or infinite.
    #[error("{what} must be finite, but element {index} is {found}")]
    NonFinite {
        /// The array.
        what: String,
        /// The flat, row-major index of the first such element.
        index: usize,
        /// The element.
        found: f64,
    },

    /// A data file is not there.
    #[error("data file {} is missing", .path.display())]
    MissingFile {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// A data file is longer or shorter than its format says.
    #[error("data file {} must have {expected} bytes, but has {found}", .path.display())]
    FileLength {
        /// The file.
        path: PathBuf,
        /// The length that was expected, in bytes.
        expected: String,
        /// The length that was found, in bytes.
        found: u64,
    },

    /// A data file has other bytes than the published ones.
    #[error("data file {} must have the SHA-256 {expected}, but has {found}", .path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The published digest, in lower-case hexadecimal digits.
        expected: String,
        /// The digest of the bytes found.
        found: String,
    },

    /// A record's label byte names no class.
    #[error("data file {}: the label at byte {offset} must be 0 to {largest}, but is {found}", .path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The label byte's offset in the file.
        offset: usize,
        /// The largest label there is.
        largest: usize,
        /// The label that was found.
        found: u8,
    },

    /// A data file can't be used as it is; `cause` says why, and has the file's path.
    #[error("{cause}; {advice}")]
    DataFile {
        /// [`Error::MissingFile`], [`Error::FileLength`], [`Error::Digest`] or [`Error::Label`].
        cause: Box<Error>,
        /// What to do about it.
        advice: &'static str,
    },

    /// A download did not give what was asked for.
    #[error("{url}: {reason}")]
    Download {
        /// What was asked for.
        url: String,
        /// What was expected, what came, and what becomes of it.
        reason: String,
    },

    /// Another program failed.
    #[error("`{command}` {reason}")]
    Command {
        /// The command line.
        command: String,
        /// What it did, or what kept it from being started.
        reason: String,
    },

    /// No source had the data files.
    #[error(
        "cannot get {files} into {}: {tried}; to go on, run `onelayer fetch` again (a stopped download resumes), \
         give a copy of the archive with `--source PATH`, or train with `--dataset sample`, which needs no network",
        .folder.display()
    )]
    Unavailable {
        /// The files that are wanted.
        files: String,
        /// The folder they are wanted in.
        folder: PathBuf,
        /// Each source that was tried, with its failure.
        tried: String,
    },

    /// A file's content can't be understood.
    #[error("{}: {reason}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },

    /// Somebody asked the work to stop, and it did, at a place from which it can go on.
    #[error("stopped before the end")]
    Interrupted,

    /// A signal or an observer stopped the work; what is done is kept, and the work can be resumed.
    #[error("stopped after {after}")]
    Stopped {
        /// How far the work has got, such as `epoch 3 of 40`.
        after: String,
    },

    /// Another process is writing in the folder.
    #[error("another process is writing in {}: wait until it has ended, or name another folder", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },

    /// Tables of shards don't make one whole job.
    #[error("cannot merge: {reason}")]
    Merge {
        /// Which tables, and what is wrong with them.
        reason: String,
    },

    /// The operating system refused something.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried: "read", "create", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::InvalidValue`].
    pub fn invalid(name: &'static str, expected: impl Into<String>, found: impl fmt::Display) -> Self {
        Self::InvalidValue { name, expected: expected.into(), found: found.to_string() }
    }

    /// An [`Error::Shape`].
    pub fn shape(what: impl Into<String>, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Shape { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }

    /// An [`Error::FileLength`].
    pub(crate) fn file_length(path: &Path, expected: impl fmt::Display, found: u64) -> Self {
        Self::FileLength { path: path.to_owned(), expected: expected.to_string(), found }
    }

    /// An [`Error::Format`].
    pub fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }

    /// An [`Error::Io`] of `action` on `path`, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
