//! The exit codes of the commands that judge what was made elsewhere: 0 if it is right, 1 if it is not, and these two.

use std::process::ExitCode;

use super::errors;

/// The exit code if a file cannot be read.
pub const UNREADABLE: u8 = 2;
/// The exit code if a mistake could hide.
pub const CANNOT_TELL: u8 = 3;

/// `result`, but an error has the exit code of a file that cannot be read: 1 is that of a difference.
pub fn or_unreadable(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    result.or_else(|error| {
        say!("error: {}", errors::line(&error));
        Ok(ExitCode::from(UNREADABLE))
    })
}
