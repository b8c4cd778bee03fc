//! A client program, `npm` or `curl`, that runs while its download is watched.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// Number of bytes of the client's error output that are read.
const ERROR_BYTES: u64 = 64 * 1024;
/// Maximum number of characters of it that are shown.
const SHOWN: usize = 300;

/// A running client. Dropping it ends it, so that it is never left behind.
pub(super) struct Client {
    child: Child,
    stderr: File,
}

impl Client {
    /// Starts the client without input. Its error output goes to a temporary file in `folder`.
    pub fn start(command: &mut Command, folder: &Path) -> io::Result<Self> {
        let stderr = tempfile::tempfile_in(folder)?;
        let child = command.stdin(Stdio::null()).stderr(stderr.try_clone()?).spawn()?;
        Ok(Self { child, stderr })
    }

    /// The output of the client, if it was piped and not yet taken.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The status with which the client ended; `None` if it is still running.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// The size of the error output.
    pub fn error_bytes(&self) -> u64 {
        self.stderr.metadata().map_or(0, |m| m.len())
    }

    /// The beginning of the error output.
    pub fn error_output(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.stderr.rewind();
        let _ = (&self.stderr).take(ERROR_BYTES).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Waiting for the killed process frees its entry in the process table.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The beginning of a client's words, on one line.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None if words.is_empty() => "it wrote nothing to stderr".into(),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_client_are_joined_on_one_line_and_cut_after_300_characters() {
        assert_eq!(one_line("npm  error\r\n\tcode E404\n"), "npm error code E404");
        assert_eq!(one_line(" \n\t"), "it wrote nothing to stderr");
        let long = "é".repeat(300);
        assert_eq!(one_line(&long), long);
        assert_eq!(one_line(&format!("{long}!")), format!("{long}…"));
        assert_eq!(one_line(&format!("{long} and more")), format!("{long}…"));
    }

    #[cfg(unix)]
    #[test]
    fn the_first_64_kib_of_the_errors_are_read_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        // `cat` ends at once, for there is no input.
        let script = "cat; head -c 65535 /dev/zero | tr '\\0' a >&2; head -c 4465 /dev/zero | tr '\\0' b >&2; exit 3";
        let mut client = Client::start(Command::new("sh").args(["-c", script]), folder.path()).unwrap();
        let status = loop {
            if let Some(status) = client.ended().unwrap() {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        assert_eq!(status.code(), Some(3));
        assert_eq!(client.error_bytes(), 70_000);
        let expected = "a".repeat(65_535) + "b";
        // Reading does not use it up.
        assert!(client.error_output() == expected && client.error_output() == expected);
        assert!(client.take_stdout().is_none());
    }
}
