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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_of_the_time_of_all_threads() {
        let phases = Phases::default();
        let second = 1_000_000_000;
        phases.0[Phase::Forward as usize].store(second, Ordering::Relaxed);
        let threads = rayon::current_num_threads() as u32;
        let shares = phases.shares(Duration::from_secs(4) / threads);
        assert!((shares[Phase::Forward as usize] - 25.0).abs() < 1e-6, "{shares:?}");
        assert_eq!(shares[Phase::Backward as usize], 0.0);
        assert_eq!(phases.time(Phase::Forward), Duration::from_secs(1));
    }

    #[test]
    fn a_lap_belongs_to_the_phase_that_it_ends() {
        let phases = Phases::default();
        let mut stopwatch = Stopwatch::start(Some(&phases));
        std::thread::sleep(Duration::from_millis(20));
        stopwatch.lap(Phase::Normalise);
        stopwatch.lap(Phase::Update);
        assert!(phases.time(Phase::Normalise) >= Duration::from_millis(20));
        assert!(phases.time(Phase::Update) < Duration::from_millis(20));
        Stopwatch::start(None).lap(Phase::Update);
    }
}
