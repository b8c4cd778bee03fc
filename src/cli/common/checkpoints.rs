//! The checkpoints of `train`: when one is written, and how training goes on from it.

use std::cell::OnceCell;
use std::path::PathBuf;

use anyhow::Context;
use onelayer::Error;
use onelayer::figures::snapshots;
use onelayer::files::folder::Folder;
use onelayer::train::checkpoint::{self, Checkpoints, Job};
use onelayer::train::{Data, Observer, State, Trainer};

/// A training that is expected to take this long, in seconds, is kept after every epoch unless told otherwise.
const LONG: f64 = 30.0;

/// The checkpoints of one job in its results folder.
pub struct Keeper<'a> {
    /// Where they are.
    pub folder: &'a Folder,
    /// What they are of.
    pub job: Job<'a>,
    /// After so many epochs each; `None` for every one of a long training.
    pub every: Option<usize>,
    /// Whether nothing but errors is said.
    pub quiet: bool,
    /// Made when it is needed first, since it takes the digests of all images.
    pub checkpoints: OnceCell<Checkpoints>,
}

impl<'a> Keeper<'a> {
    /// The training at its beginning or, with `resume`, where its checkpoint has it.
    pub fn begin(&self, resume: bool) -> anyhow::Result<Trainer<'a>> {
        let Job { settings, schedule, start, splits, normalizer, .. } = self.job;
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer };
        let found = if resume { self.read()? } else { None };
        let state = match found {
            Some(state) => state,
            None => {
                self.say_what_is_not_used(resume);
                State { keep_snapshots: schedule.epochs <= snapshots::MAX_EPOCHS, ..State::new(settings, start) }
            }
        };
        Ok(Trainer::resume(data, schedule, state)?)
    }

    /// The state in the checkpoint, if there is one.
    fn read(&self) -> anyhow::Result<Option<State>> {
        let state = self.checkpoints().read(&self.path())?;
        if let Some(state) = &state
            && !self.quiet
        {
            say!("{}: resuming after {}", self.path().display(), self.place(state));
        }
        Ok(state)
    }

    /// Mentions a checkpoint that is there and not asked for, or asked for and not there.
    fn say_what_is_not_used(&self, resume: bool) {
        let path = self.path();
        match (resume, path.exists()) {
            _ if self.quiet => {}
            (true, _) => say!("there is no {}: training starts over", path.display()),
            (false, true) => say!(
                "{} belongs to an unfinished training, which --resume continues; this one starts over",
                path.display()
            ),
            (false, false) => {}
        }
    }

    /// Trains to the end; writes the checkpoints that are due and, when a signal comes, a last one.
    pub fn train(&self, trainer: &mut Trainer, observer: &mut dyn Observer) -> anyhow::Result<()> {
        while !trainer.is_done() {
            match trainer.epoch(observer) {
                Ok(()) if self.is_due(trainer.state()) => {
                    // The results may still find room: losing the training now would help nobody.
                    if let Err(error) = self.write(trainer.state()) {
                        say!("no checkpoint: {:#}", anyhow::Error::new(error));
                    }
                }
                Ok(()) => {}
                Err(Error::Interrupted) => return Err(self.stop(trainer.state())),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn is_due(&self, state: &State) -> bool {
        let done = state.epochs();
        let epochs = self.job.schedule.epochs;
        match self.every {
            Some(every) => done.is_multiple_of(every) || done == epochs,
            None => {
                let first: f64 = state.runs.iter().map(|run| run.epochs[0].seconds).sum();
                first * epochs as f64 > LONG
            }
        }
    }

    fn write(&self, state: &State) -> onelayer::Result<()> {
        let bytes = self.checkpoints().to_bytes(state);
        self.folder.write(&[(checkpoint::NAME.into(), bytes)])
    }

    /// Writes the last checkpoint; the error says how to go on from it.
    fn stop(&self, state: &State) -> anyhow::Error {
        match self.write(state).context("stopped without a checkpoint") {
            Err(error) => error,
            Ok(()) => Error::Stopped { after: self.place(state) }.into(),
        }
    }

    /// Removes the checkpoint, which nobody needs once the results are written.
    pub fn remove(&self) -> onelayer::Result<()> {
        self.folder.remove(checkpoint::NAME)
    }

    /// How far `state` is, for a person.
    fn place(&self, state: &State) -> String {
        let (done, epochs) = (state.epochs(), self.job.schedule.epochs);
        match state.batches {
            0 => format!("epoch {done} of {epochs}"),
            n => format!("batch {n} of epoch {} of {epochs}", done + 1),
        }
    }

    fn checkpoints(&self) -> &Checkpoints {
        self.checkpoints.get_or_init(|| Checkpoints::of(&self.job))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(checkpoint::NAME)
    }
}
