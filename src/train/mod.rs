//! Mini-batch gradient descent of a *group* of settings over one stream of batches.
//!
//! The members of a group share the start and the batches, so that one pass over a batch serves all of them
//! (horizontally fused training: Wang et al., *HFTA*, MLSys 2021). A single setting is a group of one. A member's
//! numbers are bit for bit those that it has alone, at any number of threads.

mod batches;
pub mod checkpoint;
pub mod config;
pub mod model;
pub mod provenance;
pub mod results;
mod snapshot;
mod start;
pub mod table;
mod trainer;

use std::fmt;
use std::time::Duration;

pub use batches::{epoch_flips, epoch_order};
pub use snapshot::snapshot;
pub use start::{random_start, start_from_npz};
pub use trainer::{State, Trainer};

use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::error::Result;
use crate::evaluate::{Outcomes, Scores, outcomes};
use crate::hyperparameters::{Schedule, Setting};
use crate::network::Parameters;

/// What training reads.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// What the parameters are fitted on.
    pub train: &'a Dataset,
    /// What is evaluated besides after each epoch, unless it is empty.
    pub validation: &'a Dataset,
    /// Fitted on `train`.
    pub normalizer: &'a Normalizer,
}

/// One setting after one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// η during the epoch.
    pub learning_rate: f64,
    /// The scores on the training and on the validation split, as far as they are evaluated; `None` once a setting has
    /// diverged.
    pub scores: Option<[Option<Scores>; 2]>,
    /// The setting's share of the wall time, in seconds: that of the group, divided by its members.
    pub seconds: f64,
}

/// Where a setting first met a number that is not finite. Its later numbers mean nothing, even where they are finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The quantity, such as `the loss of batch 3`.
    pub quantity: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, quantity } = self;
        write!(f, "diverged in epoch {epoch}: {quantity} is not finite")
    }
}

/// One setting, trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The setting.
    pub setting: Setting,
    /// An entry an epoch.
    pub epochs: Vec<Epoch>,
    /// Where training ended; not finite if it diverged.
    pub parameters: Parameters,
    /// The [`snapshot()`] of the weights after each epoch; none unless the trainer was asked to keep them.
    pub snapshots: Vec<Vec<u8>>,
    /// The first loss, cost or parameter that was not a finite number, if there was one.
    pub divergence: Option<Divergence>,
}

impl Run {
    /// The epoch in which the setting diverged, if it did.
    pub fn diverged_in(&self) -> Option<usize> {
        self.divergence.as_ref().map(|d| d.epoch)
    }

    /// The setting's share of the wall time, in seconds.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|e| e.seconds).sum()
    }
}

/// The outcomes of `runs` on `split`, from one pass over it; `None` for a run that diverged.
///
/// # Errors
///
/// Those of [`outcomes`].
pub fn outcomes_of(runs: &[Run], split: &Dataset, normalizer: &Normalizer) -> Result<Vec<Option<Outcomes>>> {
    let trained = |run: &&Run| run.divergence.is_none();
    let models: Vec<_> = runs.iter().filter(trained).map(|run| (&run.parameters, run.setting.loss())).collect();
    let mut outcomes = outcomes(&models, split, normalizer)?.into_iter();
    Ok(runs.iter().map(|run| if trained(&run) { outcomes.next() } else { None }).collect())
}

/// The scores of `runs` on `split`, from one pass over it; `None` for a run that diverged or whose scores are not finite.
///
/// # Errors
///
/// Those of [`outcomes`].
pub fn scores_of(runs: &[Run], split: &Dataset, normalizer: &Normalizer) -> Result<Vec<Option<Scores>>> {
    let outcomes = outcomes_of(runs, split, normalizer)?;
    let scores = |(run, outcomes): (&Run, Option<Outcomes>)| Some(outcomes?.scores(run.setting.lambda()));
    Ok(runs.iter().zip(outcomes).map(|pair| scores(pair).filter(Scores::is_finite)).collect())
}

/// Is told how training goes.
pub trait Observer {
    /// Batch `done` of `total` of `epoch` is trained on.
    fn batch_done(&mut self, epoch: usize, done: usize, total: usize) {
        let _ = (epoch, done, total);
    }

    /// Setting number `member` has ended an epoch.
    fn epoch_done(&mut self, member: usize, epoch: &Epoch) {
        let _ = (member, epoch);
    }

    /// Whether training shall stop here: asked after each batch.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Observer for () {}

/// The wall time that training took, by what it was spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Forward, backward and update over the mini-batches.
    pub train: Duration,
    /// Loss, cost and accuracy on whole splits.
    pub evaluate: Duration,
}

/// Trains `settings` from `start` by `schedule`.
///
/// # Errors
///
/// Those of [`Trainer::new`] and [`Trainer::epoch`].
pub fn train(
    data: Data,
    settings: &[Setting],
    schedule: &Schedule,
    start: &Parameters,
    observer: &mut dyn Observer,
) -> Result<(Vec<Run>, Timings)> {
    let mut trainer = Trainer::new(data, settings, schedule, start)?;
    while !trainer.is_done() {
        trainer.epoch(observer)?;
    }
    Ok(trainer.finish())
}

/// Trains as [`train`] does, without looking at any split in between.
///
/// # Errors
///
/// Those of [`Trainer::new`] and [`Trainer::epoch`].
pub fn train_unevaluated(
    data: Data,
    settings: &[Setting],
    schedule: &Schedule,
    start: &Parameters,
    observer: &mut dyn Observer,
) -> Result<Vec<Run>> {
    let mut trainer = Trainer::new(data, settings, schedule, start)?.without_evaluation();
    while !trainer.is_done() {
        trainer.epoch(observer)?;
    }
    Ok(trainer.finish().0)
}
