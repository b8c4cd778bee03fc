//! Ctrl-C and SIGTERM: the first asks a command to stop at a place from which it can go on, a second ends it at once.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use onelayer::Error;
use onelayer::dataset::fetch::Progress;
use onelayer::train::Observer;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What is added to a signal's number to give the exit code of a process that it ended.
const SIGNALLED: i32 = 128;

/// The signal that came last; 0 if none did.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);
static LISTENING: AtomicBool = AtomicBool::new(false);
static STOPPING: AtomicBool = AtomicBool::new(false);

/// From now on a signal no longer ends the process, but makes [`received`] true. For commands that look at it often:
/// every observer and progress of this program does.
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

/// Whether a signal asks the command to stop.
pub fn received() -> bool {
    RECEIVED.load(Ordering::SeqCst) != 0
}

/// The exit code of a command that failed with `error`, if it did so because a signal asked it to stop.
pub fn exit_code(error: &anyhow::Error) -> Option<ExitCode> {
    let interrupted =
        |cause: &(dyn std::error::Error + 'static)| matches!(cause.downcast_ref(), Some(Error::Interrupted));
    let code = SIGNALLED as usize + RECEIVED.load(Ordering::SeqCst);
    error.chain().any(interrupted).then(|| ExitCode::from(code as u8))
}

/// Shows nothing, and stops when a signal asks for it.
pub struct Quiet;

impl Observer for Quiet {
    fn interrupted(&self) -> bool {
        received()
    }
}

impl Progress for Quiet {
    fn begin(&mut self, _: &str, _: u64, _: Option<u64>) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}

    fn interrupted(&self) -> bool {
        received()
    }
}
