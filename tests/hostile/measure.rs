//! Runs a target on many inputs, counts them, and checks the memory that each takes.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;

use onelayer::files::raster;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::targets::Outcome;

/// The outcomes of the inputs of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of files that were read.
    pub read: usize,
    /// Number of files that were refused.
    pub refused: usize,
    /// Maximum memory for one input, in bytes.
    pub memory: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases, {} read, {} refused, 0 panics, at most {} KiB of memory",
            self.read + self.refused,
            self.read,
            self.refused,
            self.memory.div_ceil(1024)
        )
    }
}

/// Runs `target` on `cases` values of `inputs`. It may take `limit` bytes of memory for an input.
///
/// # Errors
///
/// The smallest input found for which the target panics or takes more.
pub fn try_hold<I: Strategy<Value = Vec<u8>>>(
    cases: u32,
    inputs: impl FnOnce() -> I,
    limit: impl Fn(&[u8]) -> usize,
    target: impl Fn(&[u8]) -> Outcome,
) -> Result<Tally, String> {
    // Reporting a decoder's caught panic would take memory, and much of it with RUST_BACKTRACE. The program is silent too.
    static SILENCE: Once = Once::new();
    SILENCE.call_once(raster::silence_caught_panics);
    let inputs = inputs();
    // Memory that is allocated once, such as for the thread pool, is not counted.
    target(&[]);
    let tally = RefCell::new(Tally::default());
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
        .run(&inputs, |bytes| {
            let (outcome, memory) = measured(|| target(&bytes));
            let (limit, length) = (limit(&bytes), bytes.len());
            prop_assert!(memory <= limit, "{memory} bytes of memory for an input of {length}, which may take {limit}");
            let mut tally = tally.borrow_mut();
            tally.memory = tally.memory.max(memory);
            match outcome {
                Outcome::Read => tally.read += 1,
                Outcome::Refused => tally.refused += 1,
            }
            Ok(())
        })
        .map_err(|e| e.to_string())?;
    Ok(tally.into_inner())
}

/// The result of `run`, and the most bytes that this thread had allocated for it at once. What `run` does on other threads
/// is not counted, so that tests can run side by side.
fn measured<R>(run: impl FnOnce() -> R) -> (R, usize) {
    let mut result = None;
    // A panic must not pass through the counter, which would go on counting.
    let memory = allocation_counter::measure(|| result = Some(catch_unwind(AssertUnwindSafe(run)))).bytes_max;
    match result.expect("it has run") {
        Ok(result) => (result, memory as usize),
        Err(panic) => resume_unwind(panic),
    }
}

/// [`try_hold`] for a target that must pass. At least one case in a hundred must be read and one in a hundred refused,
/// so that both are tested; the counts are printed with the name of the `parser`.
pub fn hold<I: Strategy<Value = Vec<u8>>>(
    parser: &str,
    cases: u32,
    inputs: impl FnOnce() -> I,
    limit: impl Fn(&[u8]) -> usize,
    target: impl Fn(&[u8]) -> Outcome,
) {
    let tally = try_hold(cases, inputs, limit, target).unwrap_or_else(|e| panic!("{parser}: {e}"));
    // Written directly, because the test harness shows the output of failed tests only.
    let _ = writeln!(std::io::stderr(), "{parser}: {tally}");
    assert_eq!(tally.read + tally.refused, cases as usize);
    let few = cases as usize / 100;
    assert!(tally.read > few && tally.refused > few, "{parser}: {tally}");
}
