//! Ctrl-C and SIGTERM: the first asks a command to stop where it can be resumed, the second ends it at once.

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use onelayer::Error;
use onelayer::dataset::fetch::Progress;
use onelayer::train::Observer;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of a process that a signal ended is this plus the signal's number.
const SIGNALLED: i32 = 128;

/// The last signal received; 0 if none.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);
static LISTENING: AtomicBool = AtomicBool::new(false);
static STOPPING: AtomicBool = AtomicBool::new(false);

/// From now on a signal makes [`received`] true instead of ending the process. For commands that check it often, as every
/// observer and progress of this program does.
pub fn listen() -> anyhow::Result<()> {
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    for signal in [SIGINT, SIGTERM] {
        // In this order, the first signal finds the flag down and raises it.
        flag::register_conditional_shutdown(signal, SIGNALLED + signal, &STOPPING)?;
        flag::register(signal, &STOPPING)?;
        flag::register_usize(signal, &RECEIVED, signal as usize)?;
    }
    Ok(())
}

/// True if a signal asks the command to stop.
pub fn received() -> bool {
    RECEIVED.load(Ordering::SeqCst) != 0
}

/// The exit code and the last line of a command that failed with `error` because a signal stopped it.
pub fn stopped(error: &anyhow::Error) -> Option<(ExitCode, String)> {
    let line = error.chain().find_map(|cause| match cause.downcast_ref()? {
        Error::Stopped(after) => Some(format!("stopped after {after}; to resume: {}", resuming_command())),
        Error::Interrupted => Some(error.to_string()),
        _ => None,
    })?;
    let code = SIGNALLED as usize + RECEIVED.load(Ordering::SeqCst);
    Some((ExitCode::from(code as u8), line))
}

/// The command line of this process with `--resume`, quoted for a shell.
fn resuming_command() -> String {
    let mut words: Vec<_> = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".into());
    }
    // Only a NUL byte cannot be quoted, and no argument of a process contains one.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

/// Shows nothing but warnings; stops on a signal.
pub struct Quiet;

impl Observer for Quiet {
    fn warning(&mut self, text: &str) {
        say!("{text}");
    }

    fn interrupted(&self) -> bool {
        received()
    }
}

impl Progress for Quiet {
    fn interrupted(&self) -> bool {
        received()
    }
}
