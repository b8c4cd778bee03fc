//! Training epoch by epoch. It can stop after any batch; resumed from there, it ends with the same bits.

use std::sync::Arc;
use std::time::Instant;

use pulp::Arch;

use super::{Data, Divergence, Epoch, Observer, Orders, Run, SplitScores, Timings, epoch_flips, snapshot};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::evaluate::{Scores, evaluate_group};
use crate::hyperparameters::{Schedule, Setting};
use crate::network::{Examples, Group, Parameters, Phases, Step};

/// The progress of a training. The order of the examples is a function of seed and epoch, so this is all that resuming
/// needs besides the schedule and the data.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The runs with their epochs and parameters so far.
    pub runs: Vec<Run>,
    /// Number of batches of the next epoch that are done.
    pub batches: usize,
    /// The wall time that they took, in seconds.
    pub seconds: f64,
    /// True if the runs keep a snapshot of the weights per epoch.
    pub keep_snapshots: bool,
}

impl State {
    /// The state before training: every setting at `start`.
    pub fn new(settings: &[Setting], start: &Parameters) -> Self {
        let run = |&setting| Run {
            setting,
            epochs: Vec::new(),
            parameters: start.clone(),
            snapshots: Vec::new(),
            divergence: None,
        };
        Self { runs: settings.iter().map(run).collect(), batches: 0, seconds: 0.0, keep_snapshots: false }
    }

    /// Number of complete epochs.
    pub fn epochs(&self) -> usize {
        self.runs.first().map_or(0, |run| run.epochs.len())
    }

    /// Checks that all runs have the same progress, and one that `schedule` reaches on `examples`.
    fn validate(&self, schedule: &Schedule, examples: usize) -> Result<()> {
        let epochs = self.epochs();
        let batches = examples.div_ceil(schedule.batch_size);
        if self.runs.is_empty() {
            return Err(Error::invalid("settings", "at least one", "none"));
        }
        if epochs > schedule.epochs {
            let expected = format!("at most {}", schedule.epochs);
            return Err(Error::invalid("epochs that are trained", expected, epochs));
        }
        if self.batches > batches || (epochs == schedule.epochs && self.batches > 0) {
            let expected = format!("at most the {batches} that are left");
            return Err(Error::invalid("batches that are trained", expected, self.batches));
        }
        let snapshots = if self.keep_snapshots { epochs } else { 0 };
        for run in &self.runs {
            let found = (run.epochs.len(), run.snapshots.len());
            if found != (epochs, snapshots) {
                let expected = format!("{epochs} and {snapshots} for each setting");
                let found = format!("{} and {} for {}", found.0, found.1, run.setting.name());
                return Err(Error::invalid("epochs and snapshots", expected, found));
            }
        }
        Ok(())
    }
}

/// Trains a group of settings, epoch by epoch.
#[derive(Debug)]
pub struct Trainer<'a> {
    data: Data<'a>,
    schedule: Schedule,
    /// Holds the parameters during an epoch; `state` gets them at its end.
    group: Group,
    lambdas: Vec<f64>,
    state: State,
    evaluates: bool,
    timings: Timings,
    orders: Orders,
}

impl<'a> Trainer<'a> {
    /// A training of `settings` from `start`.
    ///
    /// # Errors
    ///
    /// Those of [`Trainer::resume`], and [`Error::NonFinite`] if an element of `start` is not finite.
    pub fn new(data: Data<'a>, settings: &[Setting], schedule: &Schedule, start: &Parameters) -> Result<Self> {
        start.check_finite()?;
        Self::resume(data, schedule, State::new(settings, start))
    }

    /// A training that continues from `state`; it ends with the same bits as without the interruption. A setting that
    /// diverged continues too, with parameters that are not finite.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for a schedule that does not fit the training split, for no setting, for a state that
    /// `schedule` does not pass through, and for a decay on plateaus if the validation split is empty; [`Error::Shape`] if
    /// the parameters of the settings differ in shape.
    pub fn resume(data: Data<'a>, schedule: &Schedule, state: State) -> Result<Self> {
        schedule.validate(data.train.len())?;
        state.validate(schedule, data.train.len())?;
        if data.validation.is_empty() && state.runs.iter().any(|run| run.setting.needs_validation()) {
            return Err(Error::invalid("validation-size", "above 0 for a decay on plateaus of the validation loss", 0));
        }
        let parameters: Vec<_> = state.runs.iter().map(|run| &run.parameters).collect();
        let losses: Vec<_> = state.runs.iter().map(|run| run.setting.loss()).collect();
        Ok(Self {
            data,
            schedule: *schedule,
            group: Group::new(&parameters)?.with_losses(&losses)?,
            lambdas: state.runs.iter().map(|run| run.setting.lambda()).collect(),
            state,
            evaluates: true,
            timings: Timings::default(),
            orders: Orders::new(schedule, data.train.len()),
        })
    }

    /// The same training on another instruction set; the numbers stay the same.
    pub fn with_arch(mut self, arch: Arch) -> Self {
        self.group = self.group.with_arch(arch);
        self
    }

    /// The same training, adding the time of its passes to `phases`.
    pub fn with_phases(mut self, phases: &Arc<Phases>) -> Self {
        self.group = self.group.with_phases(phases);
        self
    }

    /// The same training without evaluation after each epoch, except on the validation split for the settings that need
    /// it.
    pub fn without_evaluation(mut self) -> Self {
        self.evaluates = false;
        self
    }

    /// True if the last epoch of the schedule is complete.
    pub fn is_done(&self) -> bool {
        self.state.epochs() == self.schedule.epochs
    }

    /// Trains to the end of the current epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if `observer` asks for it; the state is that after the last batch. [`Error::Shape`] if
    /// features or classes differ between the parameters and the data.
    ///
    /// # Panics
    ///
    /// If training [is done](Self::is_done).
    pub fn epoch(&mut self, observer: &mut dyn Observer) -> Result<()> {
        assert!(!self.is_done(), "there is no epoch left");
        let trained = self.train_and_evaluate(observer);
        for (j, run) in self.state.runs.iter_mut().enumerate() {
            run.parameters = self.group.member(j);
        }
        self.record(&trained?, observer);
        Ok(())
    }

    fn train_and_evaluate(&mut self, observer: &mut dyn Observer) -> Result<Vec<SplitScores>> {
        let began = Instant::now();
        let trained = self.batches(observer);
        self.timings.train += began.elapsed();
        self.state.seconds += began.elapsed().as_secs_f64();
        trained?;
        let began = Instant::now();
        let scores = self.evaluate(&|| observer.interrupted())?;
        self.timings.evaluate += began.elapsed();
        self.state.seconds += began.elapsed().as_secs_f64();
        Ok(scores)
    }

    /// Trains on the remaining batches of the epoch.
    fn batches(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let Data { train, normalizer, .. } = self.data;
        let epoch = self.state.epochs() + 1;
        let steps: Vec<_> =
            self.state.runs.iter().map(|run| Step::new(run.setting, run.next_learning_rate())).collect();
        let order = self.orders.of(epoch);
        let flips = epoch_flips(&self.schedule, epoch, train.len());
        let batches = order.chunks(self.schedule.batch_size);
        let total = batches.len();
        for indices in batches.skip(self.state.batches) {
            let examples = if self.schedule.flip == 0.0 {
                Examples::Chosen(train, normalizer, indices)
            } else {
                Examples::Flipped(train, normalizer, indices, &flips)
            };
            self.group.step_unless(examples, &steps, &|| observer.interrupted())?;
            self.state.batches += 1;
            self.check_losses(epoch);
            observer.batch_done(epoch, self.state.batches, total);
            if observer.interrupted() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// Records the divergence of settings whose loss on the last batch is not finite.
    fn check_losses(&mut self, epoch: usize) {
        for (run, loss) in self.state.runs.iter_mut().zip(self.group.batch_losses()) {
            if !loss.is_finite() && run.divergence.is_none() {
                let quantity = format!("the loss of batch {}", self.state.batches);
                run.divergence = Some(Divergence { epoch, quantity });
            }
        }
    }

    /// The scores of each member on the splits that are not empty, if they are wanted.
    fn evaluate(&self, stop: &dyn Fn() -> bool) -> Result<Vec<SplitScores>> {
        let Data { train, validation, normalizer } = self.data;
        let of = |split: &Dataset, wanted: &dyn Fn(&Run) -> bool| {
            let wanted: Vec<_> = self.state.runs.iter().map(|run| wanted(run) && !split.is_empty()).collect();
            if !wanted.contains(&true) {
                return Ok(vec![None; wanted.len()]);
            }
            let scores = evaluate_group(&self.group, &self.lambdas, split, normalizer, stop)?;
            // A member has no scores that it would not have alone.
            Ok(wanted.into_iter().zip(scores).map(|(wanted, scores)| wanted.then_some(scores)).collect())
        };
        let on_train = of(train, &|_| self.evaluates)?;
        let on_validation = of(validation, &|run| self.evaluates || run.setting.needs_validation())?;
        let both = on_train.into_iter().zip(on_validation);
        Ok(both.map(|(train, validation)| SplitScores { train, validation }).collect())
    }

    /// Adds the epoch to the runs.
    fn record(&mut self, scores: &[SplitScores], observer: &mut dyn Observer) {
        let number = self.state.epochs() + 1;
        let seconds = self.state.seconds / self.state.runs.len() as f64;
        (self.state.batches, self.state.seconds) = (0, 0.0);
        for (member, (run, scores)) in self.state.runs.iter_mut().zip(scores).enumerate() {
            if run.divergence.is_none() {
                let quantity = not_finite(scores, &run.parameters);
                run.divergence = quantity.map(|quantity| Divergence { epoch: number, quantity });
            }
            if self.state.keep_snapshots {
                run.snapshots.push(snapshot(&run.parameters));
            }
            let epoch = Epoch {
                number,
                learning_rate: run.next_learning_rate(),
                scores: run.divergence.is_none().then_some(*scores),
                seconds,
            };
            run.epochs.push(epoch);
            observer.epoch_done(member, &epoch);
        }
    }

    /// The progress so far, from which [`Trainer::resume`] continues.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Trains to the end, [epoch](Self::epoch) by epoch.
    pub fn train(mut self, observer: &mut dyn Observer) -> Result<(Vec<Run>, Timings)> {
        while !self.is_done() {
            self.epoch(observer)?;
        }
        Ok(self.finish())
    }

    /// The trained settings, and the time that this trainer took.
    pub fn finish(self) -> (Vec<Run>, Timings) {
        (self.state.runs, self.timings)
    }
}

/// The first of the parameters and the scores that is not finite.
fn not_finite(scores: &SplitScores, parameters: &Parameters) -> Option<String> {
    let element = |name: &str, values: &[f32]| {
        let index = values.iter().position(|v| !v.is_finite())?;
        Some(format!("{name} element {index}"))
    };
    let score = |split: &str, scores: Option<Scores>| {
        let named = [("loss", scores?.loss), ("cost", scores?.cost)];
        let (name, _) = named.into_iter().find(|(_, value)| !value.is_finite())?;
        Some(format!("the {split} {name}"))
    };
    element("weight", &parameters.weight)
        .or_else(|| element("bias", &parameters.bias))
        .or_else(|| score("training", scores.train))
        .or_else(|| score("validation", scores.validation))
}

#[cfg(test)]
mod tests;
