//! The whole job of `onelayer train`: training with checkpoints, one evaluation on the test split, the files.

use std::cell::OnceCell;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{self, Checkpoints};
use super::provenance::Provenance;
use super::results::Results;
use super::table::SummaryRow;
use super::{Data, Job, Observer, Run, State, Timings, Trainer, outcomes_of};
use crate::error::{Error, Result};
use crate::figures::snapshots;
use crate::files::folder::Folder;
use crate::network::Phases;

/// A training longer than this, in seconds, is saved after every epoch unless told otherwise.
const LONG: f64 = 30.0;

/// Options of a run; the results do not depend on them.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Number of epochs between checkpoints; `None` for one after every epoch of a long training, otherwise none.
    pub checkpoint_every: Option<usize>,
    /// True to resume from the checkpoint in the folder, if there is one.
    pub resume: bool,
    /// True to write each model as `.npz` too.
    pub npz: bool,
    /// The command line, for `provenance.json`.
    pub command: Vec<String>,
    /// Gets the time of each phase of training and evaluation, if it is wanted.
    pub phases: Option<Arc<Phases>>,
}

/// The outcome of a job.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The trained settings.
    pub runs: Vec<Run>,
    /// The rows of `summary.csv`.
    pub summary: Vec<SummaryRow>,
    /// The time of training and evaluation.
    pub timings: Timings,
    /// The time of writing the files.
    pub write: Duration,
}

/// Trains `job`, evaluates it on the test split, and writes the files into `folder`.
///
/// # Errors
///
/// [`Error::Stopped`] if `observer` interrupts the training; a checkpoint is then in the folder. Otherwise those of
/// [`Trainer::new`], [`Checkpoints::read`] and [`Folder::write`].
pub fn run(job: &Job, folder: &Folder, options: &Options, observer: &mut dyn Observer) -> Result<Trained> {
    let saver = Saver { job, folder, every: options.checkpoint_every, checkpoints: OnceCell::new() };
    let data = Data { train: &job.splits.train, validation: &job.splits.validation, normalizer: job.normalizer };
    let state = saver.begin(options.resume, observer)?;
    let mut trainer = Trainer::resume(data, job.schedule, state)?;
    if let Some(phases) = &options.phases {
        trainer = trainer.with_phases(phases);
    }
    saver.train(&mut trainer, observer)?;
    let (runs, mut timings) = trainer.finish();
    let began = Instant::now();
    let test = outcomes_of(&runs, &job.splits.test, job.normalizer)?;
    timings.evaluate += began.elapsed();

    let began = Instant::now();
    let hyperparameters = job.settings.iter().map(|&setting| job.hyperparameters(setting)).collect();
    let provenance = Provenance::collect(&options.command, hyperparameters, job.files);
    let results = Results { job, runs: &runs, test: &test, provenance: &provenance, npz: options.npz };
    results.write(folder)?;
    // With the results, the checkpoint is no longer needed.
    folder.remove(checkpoint::NAME)?;
    Ok(Trained { summary: results.summary(), timings, write: began.elapsed(), runs })
}

/// Saves and restores the checkpoints of a job.
struct Saver<'a> {
    job: &'a Job<'a>,
    folder: &'a Folder,
    every: Option<usize>,
    /// Created on first use, since it computes the digests of all images.
    checkpoints: OnceCell<Checkpoints>,
}

impl Saver<'_> {
    /// The state at the beginning or, with `resume`, in the checkpoint. Reports a checkpoint that is missing or not used.
    fn begin(&self, resume: bool, observer: &mut dyn Observer) -> Result<State> {
        let path = self.folder.path().join(checkpoint::NAME);
        let shown = path.display();
        if resume {
            if let Some(state) = self.checkpoints().read(&path)? {
                observer.message(&format!("{shown}: resuming after {}", self.place(&state)));
                return Ok(state);
            }
            observer.message(&format!("there is no checkpoint {shown}: training from the beginning"));
        } else if path.exists() {
            observer.message(&format!(
                "{shown} belongs to an unfinished training, which --resume continues; this one starts over"
            ));
        }
        let state = State::new(self.job.settings, &self.job.start.parameters);
        Ok(State { keep_snapshots: self.job.schedule.epochs <= snapshots::MAX_EPOCHS, ..state })
    }

    /// Trains to the end; writes the checkpoints that are due and, on an interruption, a last one.
    fn train(&self, trainer: &mut Trainer, observer: &mut dyn Observer) -> Result<()> {
        while !trainer.is_done() {
            match trainer.epoch(observer) {
                Ok(()) if self.is_due(trainer.state()) => {
                    // The results may still fit on the disk, so a failure does not end the training.
                    if let Err(error) = self.write(trainer.state()) {
                        let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
                        observer.warning(&format!("checkpoint not saved: {error}{cause}"));
                    }
                }
                Ok(()) => {}
                Err(Error::Interrupted) => {
                    self.write(trainer.state()).inspect_err(|_| observer.warning("stopped without a checkpoint"))?;
                    return Err(Error::Stopped(self.place(trainer.state())));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_due(&self, state: &State) -> bool {
        let (done, epochs) = (state.epochs(), self.job.schedule.epochs);
        match self.every {
            Some(every) => done.is_multiple_of(every) || done == epochs,
            None => {
                let first: f64 = state.runs.iter().map(|run| run.epochs[0].seconds).sum();
                first * epochs as f64 > LONG
            }
        }
    }

    fn write(&self, state: &State) -> Result<()> {
        self.folder.write(&[(checkpoint::NAME.into(), self.checkpoints().to_bytes(state))])
    }

    /// The progress in words.
    fn place(&self, state: &State) -> String {
        let (done, epochs) = (state.epochs(), self.job.schedule.epochs);
        match state.batches {
            0 => format!("epoch {done} of {epochs}"),
            n => format!("batch {n} of epoch {} of {epochs}", done + 1),
        }
    }

    fn checkpoints(&self) -> &Checkpoints {
        self.checkpoints.get_or_init(|| Checkpoints::of(self.job))
    }
}
