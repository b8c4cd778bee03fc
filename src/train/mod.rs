//! Mini-batch gradient descent of a *group* of settings over one stream of batches, and the files of a training.
//!
//! The members of a group share the start and the batches, so that one pass over a batch serves all of them
//! (horizontally fused training: Wang et al., *HFTA*, MLSys 2021). A single setting is a group of one. The numbers of a
//! member are bit for bit the same alone and in any group, with any number of threads.
//!
//! [`train()`] trains and writes nothing; [`run()`] is the whole job of `onelayer train`.

mod batches;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod config;
pub mod elsewhere;
pub mod model;
pub mod numpy;
#[cfg(feature = "cli")]
pub mod provenance;
#[cfg(feature = "cli")]
mod results;
#[cfg(feature = "cli")]
mod runner;
mod snapshot;
mod start;
#[cfg(feature = "cli")]
pub mod table;
#[cfg(test)]
mod tests;
mod trainer;

use std::fmt;
use std::time::Duration;

pub use batches::{Orders, epoch_flips, epoch_order};
#[cfg(feature = "cli")]
pub use runner::{Options, Trained, run};
pub use snapshot::snapshot;
pub use start::{Start, parameters_from_npz, random_start, start_from_npz};
pub use trainer::{State, Trainer};

use crate::dataset::normalizer::Normalizer;
use crate::dataset::store::RecordFile;
use crate::dataset::{Dataset, Splits};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::evaluate::{Outcomes, Scores, evaluate_group, outcomes};
use crate::hyperparameters::{Hyperparameters, Schedule, Setting};
use crate::network::{Group, Parameters};

/// The data of a training.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// The images to train on.
    pub train: &'a Dataset,
    /// Also evaluated after each epoch, unless it is empty; a decay on plateaus needs it.
    pub validation: &'a Dataset,
    /// Fitted on `train`.
    pub normalizer: &'a Normalizer,
}

/// Everything that the results of a training depend on.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The members of the group.
    pub settings: &'a [Setting],
    /// Shared by the members.
    pub schedule: &'a Schedule,
    /// The initial parameters.
    pub start: &'a Start,
    /// The images.
    pub splits: &'a Splits,
    /// The names of the training, validation and test split.
    pub names: &'a [String; 3],
    /// The files that the images were read from.
    pub files: &'a [RecordFile],
    /// Fitted on the training split.
    pub normalizer: &'a Normalizer,
}

impl Job<'_> {
    /// The hyperparameters of the member with `setting`.
    pub fn hyperparameters(&self, setting: Setting) -> Hyperparameters {
        Hyperparameters::new(setting, self.schedule, &self.start.origin)
    }
}

/// The scores on the splits that are evaluated after each epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SplitScores {
    /// On the training split; `None` if it is not evaluated.
    pub train: Option<Scores>,
    /// On the validation split; `None` if it is not evaluated.
    pub validation: Option<Scores>,
}

/// One setting after one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// η during the epoch.
    pub learning_rate: f64,
    /// The scores; `None` once the setting has diverged.
    pub scores: Option<SplitScores>,
    /// The setting's share of the wall time, in seconds: that of the group divided by the number of its members.
    pub seconds: f64,
}

/// The first number of a setting that is not finite. Its later numbers are meaningless, even if they are finite.
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
    /// One entry per epoch.
    pub epochs: Vec<Epoch>,
    /// The parameters at the end; not finite if the setting diverged.
    pub parameters: Parameters,
    /// The [`snapshot()`] of the weights after each epoch; empty unless the trainer keeps them.
    pub snapshots: Vec<Vec<u8>>,
    /// The first loss, cost or parameter that is not finite, if there is one.
    pub divergence: Option<Divergence>,
}

impl Run {
    /// The learning rate of the next epoch, which can depend on the validation losses so far.
    pub fn next_learning_rate(&self) -> f64 {
        let loss = |epoch: &Epoch| epoch.scores.and_then(|scores| scores.validation).map_or(f64::NAN, |s| s.loss);
        let losses: Vec<_> = self.epochs.iter().map(loss).collect();
        self.setting.learning_rate(losses.len() + 1, &losses)
    }

    /// The epoch in which the setting diverged, if it did.
    pub fn diverged_in(&self) -> Option<usize> {
        self.divergence.as_ref().map(|d| d.epoch)
    }

    /// The setting's share of the wall time, in seconds.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|e| e.seconds).sum()
    }
}

/// The [`outcomes`] of `runs` on `split`, from one pass over it; `None` for a run that diverged.
pub fn outcomes_of(runs: &[Run], split: &Dataset, normalizer: &Normalizer) -> Result<Vec<Option<Outcomes>>> {
    of_trained(runs, |trained| {
        let models: Vec<_> = trained.iter().map(|run| (&run.parameters, run.setting.loss())).collect();
        outcomes(&models, split, normalizer)
    })
}

/// The scores of `runs` on `split`; `None` for a run that diverged or whose scores are not finite. [`Error::Interrupted`] if
/// `observer` asks for it.
pub fn scores_of(
    runs: &[Run],
    split: &Dataset,
    normalizer: &Normalizer,
    observer: &dyn Observer,
) -> Result<Vec<Option<Scores>>> {
    let scores = of_trained(runs, |trained| {
        let parameters: Vec<_> = trained.iter().map(|run| &run.parameters).collect();
        let losses: Vec<_> = trained.iter().map(|run| run.setting.loss()).collect();
        let lambdas: Vec<_> = trained.iter().map(|run| run.setting.lambda()).collect();
        let group = Group::new(&parameters)?.with_losses(&losses)?;
        evaluate_group(&group, &lambdas, split, normalizer, &|| observer.interrupted())
    })?;
    Ok(scores.into_iter().map(|scores| scores.filter(Scores::is_finite)).collect())
}

/// One value per run: `None` for a run that diverged, and what `evaluate` returns for the others, if there are any.
fn of_trained<T>(runs: &[Run], evaluate: impl FnOnce(&[&Run]) -> Result<Vec<T>>) -> Result<Vec<Option<T>>> {
    let is_trained = |run: &&Run| run.divergence.is_none();
    let trained: Vec<_> = runs.iter().filter(is_trained).collect();
    let mut values = if trained.is_empty() { Vec::new() } else { evaluate(&trained)? }.into_iter();
    Ok(runs.iter().map(|run| if is_trained(&run) { values.next() } else { None }).collect())
}

/// Follows a training.
#[expect(unused_variables, reason = "the defaults ignore them")]
pub trait Observer {
    /// Batch `done` of `total` of `epoch` is done.
    fn batch_done(&mut self, epoch: usize, done: usize, total: usize) {}

    /// Member `member` has completed an epoch.
    fn epoch_done(&mut self, member: usize, epoch: &Epoch) {}

    /// A job of several trainings begins one of `members` settings; `batches` are left of the whole job, each counted once
    /// per setting.
    fn training(&mut self, members: usize, batches: usize) {}

    /// A message for the user: where training resumes, for example.
    fn message(&mut self, text: &str) {}

    /// A failure that does not end the training; a message by default.
    fn warning(&mut self, text: &str) {
        self.message(text);
    }

    /// True to stop the training; asked after each batch, and between the parts of a large one and of an evaluation.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Ignores everything.
impl Observer for () {}

/// The wall time of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Spent on the mini-batches.
    pub train: Duration,
    /// Spent on the evaluation of whole splits.
    pub evaluate: Duration,
}

/// Trains `settings` from `start` with a [`Trainer`].
pub fn train(
    data: Data,
    settings: &[Setting],
    schedule: &Schedule,
    start: &Parameters,
    observer: &mut dyn Observer,
) -> Result<(Vec<Run>, Timings)> {
    Trainer::new(data, settings, schedule, start)?.train(observer)
}
