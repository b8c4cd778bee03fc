//! Mini-batch gradient descent of a *group* of settings over one stream of batches.
//!
//! The members of a group share the start and the batches, so that one pass over a batch serves all of them
//! (horizontally fused training: Wang et al., *HFTA*, MLSys 2021). A single setting is a group of one. A member's
//! numbers are bit for bit those that it has alone, at any number of threads.

mod batches;
mod start;

use std::time::{Duration, Instant};

pub use batches::epoch_order;
pub use start::random_start;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::evaluate::{Scores, evaluate_group};
use crate::hyperparameters::{Schedule, Setting};
use crate::network::{Batch, Examples, Group, Parameters, Rate};
use crate::preprocess::Normalizer;

/// What training reads.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// What the parameters are fitted on.
    pub train: &'a Dataset,
    /// What is evaluated besides after each epoch.
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
    /// The scores on the training and on the validation split; `None` once a setting has diverged.
    pub scores: Option<[Scores; 2]>,
    /// The setting's share of the wall time, in seconds: that of the group, divided by its members.
    pub seconds: f64,
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
}

impl Run {
    /// The first epoch after which a loss, a cost or a parameter was not a finite number.
    pub fn diverged_in(&self) -> Option<usize> {
        let epoch = self.epochs.iter().find(|e| e.scores.is_none())?;
        Some(epoch.number)
    }

    /// The setting's share of the wall time, in seconds.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|e| e.seconds).sum()
    }
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
/// [`Error::InvalidValue`] for a schedule that the training split can't fill and for no setting at all,
/// [`Error::Shape`] when features or classes differ between `start` and the data or the validation split is empty.
pub fn train(
    data: Data,
    settings: &[Setting],
    schedule: &Schedule,
    start: &Parameters,
    observer: &mut dyn Observer,
) -> Result<(Vec<Run>, Timings)> {
    let mut trainer = Trainer::new(data, settings, schedule, start)?;
    for epoch in 1..=schedule.epochs {
        trainer.epoch(epoch, observer)?;
    }
    Ok(trainer.finish())
}

struct Trainer<'a> {
    data: Data<'a>,
    schedule: Schedule,
    lambdas: Vec<f64>,
    rates: Vec<Rate>,
    group: Group,
    batch: Batch,
    runs: Vec<Run>,
    timings: Timings,
}

impl<'a> Trainer<'a> {
    fn new(
        data: Data<'a>,
        settings: &[Setting],
        schedule: &Schedule,
        start: &Parameters,
    ) -> Result<Self> {
        schedule.validate(data.train.len())?;
        if settings.is_empty() {
            return Err(Error::InvalidValue {
                name: "settings",
                expected: "at least one".into(),
                found: "none".into(),
            });
        }
        let group = Group::new(&vec![start.clone(); settings.len()])?;
        Ok(Self {
            data,
            schedule: *schedule,
            lambdas: settings.iter().map(|s| s.lambda()).collect(),
            rates: settings.iter().map(|&s| s.into()).collect(),
            batch: Batch::new(&group, schedule.batch_size),
            group,
            runs: settings
                .iter()
                .map(|&setting| Run {
                    setting,
                    epochs: Vec::with_capacity(schedule.epochs),
                    parameters: start.clone(),
                })
                .collect(),
            timings: Timings::default(),
        })
    }

    fn epoch(&mut self, number: usize, observer: &mut dyn Observer) -> Result<()> {
        let began = Instant::now();
        let Data {
            train, normalizer, ..
        } = self.data;
        let order = epoch_order(&self.schedule, number, train.len());
        let batches = order.chunks(self.schedule.batch_size);
        let total = batches.len();
        for (i, indices) in batches.enumerate() {
            let examples = Examples::Chosen(train, normalizer, indices);
            self.group.step(&mut self.batch, examples, &self.rates)?;
            observer.batch_done(number, i + 1, total);
        }
        let trained = began.elapsed();
        let scores = self.evaluate()?;
        let elapsed = began.elapsed();
        self.timings.train += trained;
        self.timings.evaluate += elapsed - trained;
        self.record(number, &scores, elapsed.as_secs_f64(), observer);
        Ok(())
    }

    /// The scores of each member on the training and on the validation split.
    fn evaluate(&self) -> Result<Vec<[Scores; 2]>> {
        let on = |split| evaluate_group(&self.group, &self.lambdas, split, self.data.normalizer);
        let (train, validation) = (on(self.data.train)?, on(self.data.validation)?);
        Ok(train
            .into_iter()
            .zip(validation)
            .map(|(t, v)| [t, v])
            .collect())
    }

    fn record(
        &mut self,
        number: usize,
        scores: &[[Scores; 2]],
        seconds: f64,
        observer: &mut dyn Observer,
    ) {
        let members = self.runs.len() as f64;
        for (member, (run, scores)) in self.runs.iter_mut().zip(scores).enumerate() {
            // Once diverged, a member stays so: a loss can turn finite again, but means nothing any more.
            let finite = run.diverged_in().is_none()
                && scores.iter().all(Scores::is_finite)
                && self.group.member(member).is_finite();
            let epoch = Epoch {
                number,
                learning_rate: run.setting.eta(),
                scores: finite.then_some(*scores),
                seconds: seconds / members,
            };
            run.epochs.push(epoch);
            observer.epoch_done(member, &epoch);
        }
    }

    fn finish(mut self) -> (Vec<Run>, Timings) {
        for (member, run) in self.runs.iter_mut().enumerate() {
            run.parameters = self.group.member(member);
        }
        (self.runs, self.timings)
    }
}
