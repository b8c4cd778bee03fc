//! The time of each phase of the passes, for `--timings`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A phase of the passes; the variants are in the order of [`Phase::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From pixels to features.
    Normalise,
    /// From features to the partial sums of the logits.
    Forward,
    /// From the partial sums to probabilities, losses and `dlogits`.
    Losses,
    /// From `dlogits` to the gradient of the parameters.
    Backward,
    /// Penalty and update.
    Update,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 5] = [Self::Normalise, Self::Forward, Self::Losses, Self::Backward, Self::Update];
}

/// The time that all threads together spent in each phase.
#[derive(Debug, Default)]
pub struct Phases([AtomicU64; Phase::ALL.len()]);

impl Phases {
    /// The time spent in `phase`, added up over the threads.
    pub fn time(&self, phase: Phase) -> Duration {
        Duration::from_nanos(self.0[phase as usize].load(Ordering::Relaxed))
    }

    /// The share of each phase, in percent, in the time that all threads of the pool had during `wall`.
    pub fn shares(&self, wall: Duration) -> [f64; Phase::ALL.len()] {
        let available = wall.as_secs_f64() * rayon::current_num_threads() as f64;
        Phase::ALL.map(|phase| 100.0 * self.time(phase).as_secs_f64() / available)
    }
}

/// Measures one phase after another on one thread; without [`Phases`], it does nothing.
#[derive(Debug)]
pub(super) struct Stopwatch<'a> {
    phases: Option<(&'a Phases, Instant)>,
}

impl<'a> Stopwatch<'a> {
    /// Starts now.
    pub fn start(phases: Option<&'a Phases>) -> Self {
        Self { phases: phases.map(|phases| (phases, Instant::now())) }
    }

    /// Ends `phase`, which began when the last one ended.
    pub fn lap(&mut self, phase: Phase) {
        if let Some((phases, began)) = &mut self.phases {
            let now = Instant::now();
            let nanoseconds = now.duration_since(*began).as_nanos() as u64;
            phases.0[phase as usize].fetch_add(nanoseconds, Ordering::Relaxed);
            *began = now;
        }
    }
}
