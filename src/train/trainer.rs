//! Training in steps of an epoch, which can stop after any batch and go on from there to the same bits.

use std::time::Instant;

use super::{Data, Divergence, Epoch, Observer, Run, Timings, epoch_flips, epoch_order, snapshot};
use crate::error::{Error, Result};
use crate::evaluate::{Scores, evaluate_group};
use crate::hyperparameters::{Schedule, Setting};
use crate::network::{Examples, Group, Parameters, Step};

/// How far training has got. The order of the examples is a function of seed and epoch, so that this, with the schedule
/// and the data, is all that is needed to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The settings, each with its epochs so far and its parameters as they stand.
    pub runs: Vec<Run>,
    /// How many batches of the next epoch are trained on already.
    pub batches: usize,
    /// The wall time that they took, in seconds.
    pub seconds: f64,
    /// Whether the runs keep a snapshot an epoch.
    pub keep_snapshots: bool,
}

impl State {
    /// Nothing trained yet, every setting at `start`.
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

    /// The epochs that are complete.
    pub fn epochs(&self) -> usize {
        self.runs.first().map_or(0, |run| run.epochs.len())
    }

    /// Checks that every run has got equally far, and no further than `schedule` goes on `examples`.
    fn validate(&self, schedule: &Schedule, examples: usize) -> Result<()> {
        let invalid = |name, expected: String, found: String| Err(Error::invalid(name, expected, found));
        let epochs = self.epochs();
        let batches = examples.div_ceil(schedule.batch_size);
        if self.runs.is_empty() {
            return invalid("settings", "at least one".into(), "none".into());
        }
        if epochs > schedule.epochs {
            let expected = format!("at most {}", schedule.epochs);
            return invalid("epochs that are trained", expected, epochs.to_string());
        }
        if self.batches > batches || (epochs == schedule.epochs && self.batches > 0) {
            let expected = format!("at most the {batches} that are left");
            return invalid("batches that are trained", expected, self.batches.to_string());
        }
        let snapshots = if self.keep_snapshots { epochs } else { 0 };
        for run in &self.runs {
            let found = (run.epochs.len(), run.snapshots.len());
            if found != (epochs, snapshots) {
                let expected = format!("{epochs} and {snapshots} for each setting");
                let found = format!("{} and {} for {}", found.0, found.1, run.setting.name());
                return invalid("epochs and snapshots", expected, found);
            }
        }
        Ok(())
    }
}

/// Trains the settings of a [`State`] further.
#[derive(Debug)]
pub struct Trainer<'a> {
    data: Data<'a>,
    schedule: Schedule,
    lambdas: Vec<f64>,
    /// The parameters while training goes on; those in `state` are as old as the last look at it.
    group: Group,
    state: State,
    evaluates: bool,
    timings: Timings,
}

impl<'a> Trainer<'a> {
    /// Training of `settings` by `schedule` that begins at `start`.
    ///
    /// # Errors
    ///
    /// As [`Trainer::resume`], and [`Error::NonFinite`] when an element of `start` is.
    pub fn new(data: Data<'a>, settings: &[Setting], schedule: &Schedule, start: &Parameters) -> Result<Self> {
        start.check_finite()?;
        Self::resume(data, schedule, State::new(settings, start))
    }

    /// Training by `schedule` that goes on from `state`: to the last bit where it would have got without the stop. A
    /// setting that has diverged goes on too, with parameters that are not finite.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for a schedule that the training split can't fill, for no setting at all and for a state
    /// that `schedule` never passes through; [`Error::Shape`] when the settings' parameters differ in shape.
    pub fn resume(data: Data<'a>, schedule: &Schedule, state: State) -> Result<Self> {
        schedule.validate(data.train.len())?;
        state.validate(schedule, data.train.len())?;
        let parameters: Vec<_> = state.runs.iter().map(|run| &run.parameters).collect();
        let settings = || state.runs.iter().map(|run| run.setting);
        let losses: Vec<_> = settings().map(Setting::loss).collect();
        let group = Group::new(&parameters)?.with_losses(&losses)?;
        Ok(Self {
            data,
            schedule: *schedule,
            lambdas: settings().map(Setting::lambda).collect(),
            group,
            state,
            evaluates: true,
            timings: Timings::default(),
        })
    }

    /// Evaluates no split after an epoch, so that nothing but training takes time.
    pub fn without_evaluation(mut self) -> Self {
        self.evaluates = false;
        self
    }

    /// Keeps a snapshot of each setting's weights after each epoch. To be called before the first.
    pub fn keep_snapshots(mut self) -> Self {
        self.state.keep_snapshots = true;
        self
    }

    /// Whether the schedule's last epoch is complete.
    pub fn is_done(&self) -> bool {
        self.state.epochs() == self.schedule.epochs
    }

    /// Trains to the end of the epoch that is begun or, if none is, of the next one.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when `observer` asks for it: the state is then that after the last batch.
    /// [`Error::Shape`] when features or classes differ between the parameters and the data.
    ///
    /// # Panics
    ///
    /// When training [is done](Self::is_done).
    pub fn epoch(&mut self, observer: &mut dyn Observer) -> Result<()> {
        assert!(!self.is_done(), "there is no epoch left");
        let began = Instant::now();
        let trained = self.batches(observer);
        let elapsed = began.elapsed();
        self.timings.train += elapsed;
        self.state.seconds += elapsed.as_secs_f64();
        trained?;

        let began = Instant::now();
        let scores = self.evaluate()?;
        let elapsed = began.elapsed();
        self.timings.evaluate += elapsed;
        self.state.seconds += elapsed.as_secs_f64();
        self.record(&scores, observer);
        Ok(())
    }

    /// The batches of the epoch that are left.
    fn batches(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let Data { train, normalizer, .. } = self.data;
        let epoch = self.state.epochs() + 1;
        let steps: Vec<_> = self.state.runs.iter().map(|run| Step::new(run.setting, epoch)).collect();
        let order = epoch_order(&self.schedule, epoch, train.len());
        let flips = epoch_flips(&self.schedule, epoch, train.len());
        let batches = order.chunks(self.schedule.batch_size);
        let total = batches.len();
        for indices in batches.skip(self.state.batches) {
            let examples = if self.schedule.flip == 0.0 {
                Examples::Chosen(train, normalizer, indices)
            } else {
                Examples::Flipped(train, normalizer, indices, &flips)
            };
            self.group.step(examples, &steps)?;
            self.state.batches += 1;
            self.check_losses(epoch);
            observer.batch_done(epoch, self.state.batches, total);
            if observer.interrupted() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// Notes the settings whose loss on the last batch is not finite.
    fn check_losses(&mut self, epoch: usize) {
        for (run, loss) in self.state.runs.iter_mut().zip(self.group.batch_losses()) {
            if !loss.is_finite() && run.divergence.is_none() {
                let quantity = format!("the loss of batch {}", self.state.batches);
                run.divergence = Some(Divergence { epoch, quantity });
            }
        }
    }

    /// The scores of each member on the training and, unless it is empty, on the validation split, if they are wanted.
    fn evaluate(&self) -> Result<Vec<[Option<Scores>; 2]>> {
        let mut scores = vec![[None; 2]; self.state.runs.len()];
        if !self.evaluates {
            return Ok(scores);
        }
        for (i, split) in [self.data.train, self.data.validation].iter().enumerate() {
            if !split.is_empty() {
                let found = evaluate_group(&self.group, &self.lambdas, split, self.data.normalizer)?;
                for (scores, found) in scores.iter_mut().zip(found) {
                    scores[i] = Some(found);
                }
            }
        }
        Ok(scores)
    }

    /// Adds the epoch to the runs.
    fn record(&mut self, scores: &[[Option<Scores>; 2]], observer: &mut dyn Observer) {
        let number = self.state.epochs() + 1;
        let seconds = self.state.seconds / self.state.runs.len() as f64;
        (self.state.batches, self.state.seconds) = (0, 0.0);
        for (member, (run, scores)) in self.state.runs.iter_mut().zip(scores).enumerate() {
            let parameters = self.group.member(member);
            if run.divergence.is_none() {
                run.divergence = not_finite(scores, &parameters).map(|quantity| Divergence { epoch: number, quantity });
            }
            if self.state.keep_snapshots {
                run.snapshots.push(snapshot(&parameters));
            }
            let epoch = Epoch {
                number,
                learning_rate: run.setting.learning_rate(number),
                scores: run.divergence.is_none().then_some(*scores),
                seconds,
            };
            run.epochs.push(epoch);
            observer.epoch_done(member, &epoch);
        }
    }

    /// How far training has got.
    pub fn state(&mut self) -> &State {
        for (member, run) in self.state.runs.iter_mut().enumerate() {
            run.parameters = self.group.member(member);
        }
        &self.state
    }

    /// The settings, trained, and the time that this trainer took.
    pub fn finish(mut self) -> (Vec<Run>, Timings) {
        self.state();
        (self.state.runs, self.timings)
    }
}

/// The first of the scores on the training and the validation split and the parameters that is not finite.
fn not_finite(scores: &[Option<Scores>; 2], parameters: &Parameters) -> Option<String> {
    let element = |name: &str, values: &[f32]| {
        let index = values.iter().position(|v| !v.is_finite())?;
        Some(format!("{name} element {index}"))
    };
    let splits = ["training", "validation"].into_iter().zip(scores);
    let mut scores = splits.filter_map(|(split, scores)| Some((split, scores.as_ref()?)));
    let score = |(split, scores): (&str, &Scores)| {
        let values = [("loss", scores.loss), ("cost", scores.cost)];
        let (name, _) = values.into_iter().find(|(_, value)| !value.is_finite())?;
        Some(format!("the {split} {name}"))
    };
    element("weight", &parameters.weight)
        .or_else(|| element("bias", &parameters.bias))
        .or_else(|| scores.find_map(score))
}
