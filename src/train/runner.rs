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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::dataset::Splits;
    use crate::dataset::normalizer::Normalizer;
    use crate::dataset::tests::few;
    use crate::files::csv::{Dialect, Row, from_csv};
    use crate::hyperparameters::{Schedule, Setting};
    use crate::train::model::ModelFile;
    use crate::train::table::CurveRow;
    use crate::train::{Start, train};

    const SCHEDULE: Schedule = Schedule { epochs: 3, batch_size: 25, ..Schedule::REPORT };

    /// The second diverges.
    fn settings() -> [Setting; 3] {
        [Setting::REPORT[1], Setting::new(0.0, 1e38).unwrap(), Setting::REPORT[2]]
    }

    /// Runs a job of `settings` on [`few`] images.
    fn run_in(
        folder: &Folder,
        settings: &[Setting],
        schedule: &Schedule,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Trained> {
        let splits = few();
        let normalizer = Normalizer::fit(&splits.train)?;
        let job = Job {
            settings,
            schedule,
            start: &Start::random(splits.train.dims(), schedule.seed),
            splits: &splits,
            names: &["train.bin", "validation.bin", "test.bin"].map(String::from),
            files: &[],
            normalizer: &normalizer,
        };
        run(&job, folder, options, observer)
    }

    /// The same training without the runner.
    fn trained_alone(splits: &Splits, normalizer: &Normalizer) -> Vec<Run> {
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer };
        let start = Start::random(splits.train.dims(), SCHEDULE.seed).parameters;
        train(data, &settings(), &SCHEDULE, &start, &mut ()).unwrap().0
    }

    fn rows<R: Row>(folder: &Path, name: &str) -> Vec<R> {
        from_csv(&fs::read(folder.join(name)).unwrap(), Path::new(name)).unwrap()
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Interrupts the training after so many batches; keeps the messages.
    #[derive(Default)]
    struct Stopping {
        after: Option<usize>,
        batches: usize,
        messages: Vec<String>,
    }

    impl Observer for Stopping {
        fn batch_done(&mut self, _: usize, _: usize, _: usize) {
            self.batches += 1;
        }

        fn message(&mut self, text: &str) {
            self.messages.push(text.into());
        }

        fn interrupted(&self) -> bool {
            self.after.is_some_and(|after| self.batches >= after)
        }
    }

    #[test]
    fn the_files_hold_what_was_trained_and_nothing_of_a_setting_that_diverged() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap().with_dialect(Dialect::Semicolon);
        fs::write(path.path().join("model_lambda0_eta1e38.safetensors"), "of an earlier training").unwrap();
        let options = Options { npz: true, command: vec!["onelayer".into(), "train".into()], ..Options::default() };
        let trained = run_in(&folder, &settings(), &SCHEDULE, &options, &mut ()).unwrap();
        let splits = few();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let expected = trained_alone(&splits, &normalizer);
        let outcomes = outcomes_of(&expected, &splits.test, &normalizer).unwrap();
        let summary: Vec<SummaryRow> = rows(path.path(), "summary.csv");
        assert_eq!(summary, trained.summary);
        assert_eq!(trained.runs.len(), 3);
        let scores = |split: &crate::dataset::Dataset| {
            crate::train::scores_of(&expected[..1], split, &normalizer, &()).unwrap()[0].unwrap()
        };
        let (of_train, of_validation) = (scores(&splits.train), scores(&splits.validation));
        let columns = crate::train::table::ScoreColumns {
            train_loss: Some(of_train.loss),
            train_cost: Some(of_train.cost),
            train_accuracy: Some(of_train.accuracy),
            validation_loss: Some(of_validation.loss),
            validation_cost: Some(of_validation.cost),
            validation_accuracy: Some(of_validation.accuracy),
        };
        let curves: Vec<CurveRow> = rows(path.path(), &format!("curves_{}.csv", settings()[0].name()));
        assert_eq!(curves[2].scores, columns);
        assert_eq!(
            curves.iter().map(|row| (row.epoch, row.learning_rate)).collect::<Vec<_>>(),
            [(1, 0.001), (2, 0.001), (3, 0.001)]
        );
        assert_eq!((&summary[0].scores, summary[0].setting.as_str()), (&columns, "lambda0_eta0.001"));
        assert_eq!((summary[0].hyperparameters.epochs, summary[0].reported_test_accuracy), (3, None));
        let seconds: f64 = curves.iter().map(|row| row.epoch_seconds).sum();
        assert!(seconds > 0.0 && (summary[0].train_seconds - seconds).abs() < 1e-9);
        for ((run, row), outcome) in expected.iter().zip(&summary).zip(&outcomes) {
            let name = run.setting.name();
            let curves: Vec<CurveRow> = rows(path.path(), &format!("curves_{name}.csv"));
            let scores = |rows: &[CurveRow]| rows.iter().map(|row| row.scores.clone()).collect::<Vec<_>>();
            assert_eq!(scores(&curves), scores(&run.epochs.iter().map(CurveRow::from).collect::<Vec<_>>()));
            let test = outcome.as_ref().map(|outcome| outcome.scores(run.setting.lambda()));
            assert_eq!((row.test_loss, row.test_accuracy), (test.map(|t| t.loss), test.map(|t| t.accuracy)));
            let model = path.path().join(format!("model_{name}.safetensors"));
            assert_eq!(model.exists(), run.divergence.is_none());
            if let Ok(bytes) = fs::read(&model) {
                assert_eq!(ModelFile::from_bytes(&bytes, &model).unwrap().parameters, run.parameters);
            }
        }
        let name = settings()[0].name();
        let of_one = ["confusion", "curves", "probabilities"].map(|kind| format!("{kind}_{name}.csv"));
        let pictures = ["curves", "probabilities", "weights"].map(|kind| format!("{kind}_{name}.png"));
        let others = ["settings.png".into(), "provenance.json".into(), format!("model_{name}.npz")];
        for file in of_one.iter().chain(&pictures).chain(&others).chain([&format!("snapshots_{name}.jpg")]) {
            assert!(names(path.path()).contains(file), "{file}");
        }
        assert!(!names(path.path()).contains(checkpoint::NAME));
        // A training of one setting has no figure of all, and removes that of an earlier one.
        run_in(&folder, &settings()[..1], &SCHEDULE, &Options::default(), &mut ()).unwrap();
        assert!(!names(path.path()).contains("settings.png"));
        assert!(!names(path.path()).contains(&format!("model_{name}.npz")), "the export of an earlier training");
    }

    #[test]
    fn a_stopped_training_is_resumed_to_the_same_results() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        let resume = Options { resume: true, ..Options::default() };
        // Five batches an epoch.
        for (after, place) in
            [(3, "batch 3 of epoch 1 of 3"), (4, "batch 2 of epoch 2 of 3"), (3, "batch 5 of epoch 2 of 3")]
        {
            let mut observer = Stopping { after: Some(after), ..Stopping::default() };
            let stopped = run_in(&folder, &settings(), &SCHEDULE, &resume, &mut observer).unwrap_err();
            assert_eq!(stopped.to_string(), format!("stopped after {place}"));
        }
        let mut observer = Stopping::default();
        let trained = run_in(&folder, &settings(), &SCHEDULE, &resume, &mut observer).unwrap();
        assert!(
            observer.messages[0].ends_with("train.checkpoint: resuming after batch 5 of epoch 2 of 3"),
            "{:?}",
            observer.messages
        );
        let other = tempfile::tempdir().unwrap();
        let whole = Folder::open(other.path()).unwrap();
        let expected = run_in(&whole, &settings(), &SCHEDULE, &Options::default(), &mut ()).unwrap().runs;
        for (run, expected) in trained.runs.iter().zip(&expected) {
            assert_eq!(run.divergence, expected.divergence);
            let is_same = (&run.parameters, &run.snapshots) == (&expected.parameters, &expected.snapshots);
            assert!(is_same || run.divergence.is_some(), "{}", run.setting.name());
        }
        let mut observer = Stopping::default();
        run_in(&folder, &settings(), &SCHEDULE, &resume, &mut observer).unwrap();
        assert!(observer.messages[0].ends_with("train.checkpoint: training from the beginning"), "the end removes it");
    }

    #[test]
    fn a_checkpoint_of_other_settings_is_refused_by_what_differs_and_without_resume_one_starts_over() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        let mut observer = Stopping { after: Some(2), ..Stopping::default() };
        run_in(&folder, &settings(), &SCHEDULE, &Options::default(), &mut observer).unwrap_err();
        let refusal = |settings: &[Setting], schedule: &Schedule| {
            let resume = Options { resume: true, ..Options::default() };
            run_in(&folder, settings, schedule, &resume, &mut ()).unwrap_err().to_string()
        };
        let longer = Schedule { epochs: 4, ..SCHEDULE };
        assert!(
            refusal(&settings(), &longer).contains("was made with --epochs 3, not 4;"),
            "{}",
            refusal(&settings(), &longer)
        );
        let other = [settings()[0], settings()[1], Setting::REPORT[3]];
        assert!(refusal(&other, &SCHEDULE).contains("λ = 0.1"), "{}", refusal(&other, &SCHEDULE));
        let mut observer = Stopping::default();
        run_in(&folder, &settings(), &SCHEDULE, &Options::default(), &mut observer).unwrap();
        assert!(observer.messages[0].contains("an unfinished training, which --resume continues"));
    }

    #[test]
    fn checkpoints_are_written_as_often_as_asked_for_and_after_the_last_epoch() {
        struct Watching<'a> {
            path: &'a Path,
            /// True after each epoch if a checkpoint was there in its first batch.
            seen: Vec<bool>,
        }
        impl Observer for Watching<'_> {
            fn batch_done(&mut self, _: usize, done: usize, _: usize) {
                if done == 1 {
                    self.seen.push(self.path.exists());
                    let _ = fs::remove_file(self.path);
                }
            }
        }
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        let checkpoint = path.path().join(checkpoint::NAME);
        let seen = |checkpoint_every| {
            let schedule = Schedule { epochs: 5, ..SCHEDULE };
            let mut observer = Watching { path: &checkpoint, seen: Vec::new() };
            let options = Options { checkpoint_every, ..Options::default() };
            run_in(&folder, &settings()[..1], &schedule, &options, &mut observer).unwrap();
            observer.seen
        };
        assert_eq!(seen(Some(1)), [false, true, true, true, true]);
        assert_eq!(seen(Some(2)), [false, false, true, false, true]);
        assert_eq!(seen(None), [false; 5], "a short training");
    }

    #[test]
    fn a_training_that_takes_longer_than_half_a_minute_is_saved_after_every_epoch() {
        let (path, splits) = (tempfile::tempdir().unwrap(), few());
        let folder = Folder::open(path.path()).unwrap();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let schedule = Schedule { epochs: 40, ..SCHEDULE };
        let job = Job {
            settings: &settings(),
            schedule: &schedule,
            start: &Start::random(splits.train.dims(), 1),
            splits: &splits,
            names: &["a", "b", "c"].map(String::from),
            files: &[],
            normalizer: &normalizer,
        };
        let is_due = |seconds: f64| {
            let saver = Saver { job: &job, folder: &folder, every: None, checkpoints: OnceCell::new() };
            let mut state = State::new(job.settings, &job.start.parameters);
            for run in &mut state.runs {
                run.epochs.push(crate::train::Epoch { number: 1, learning_rate: 0.1, scores: None, seconds });
            }
            saver.is_due(&state)
        };
        // Three settings, forty epochs.
        assert_eq!([0.24, 0.25, 0.26].map(is_due), [false, false, true], "half a minute itself is short");
    }

    #[test]
    fn the_time_of_batches_and_of_evaluation_is_added_up() {
        let splits = few();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let start = Start::random(splits.train.dims(), 1).parameters;
        let mut trainer = Trainer::new(data, &settings()[..1], &SCHEDULE, &start).unwrap();
        let began = Instant::now();
        trainer.epoch(&mut ()).unwrap();
        let epoch = trainer.state().runs[0].epochs[0].seconds;
        assert!(epoch > 0.0 && epoch <= began.elapsed().as_secs_f64());
        let (_, timings) = trainer.finish();
        assert!((timings.train + timings.evaluate).as_secs_f64() <= epoch * 1.01, "{timings:?} {epoch}");
        assert!(timings.train > Duration::ZERO && timings.evaluate > Duration::ZERO);
    }

    #[test]
    fn many_epochs_have_no_snapshots() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::open(path.path()).unwrap();
        let schedule = Schedule { epochs: snapshots::MAX_EPOCHS + 1, batch_size: 110, ..SCHEDULE };
        let trained = run_in(&folder, &settings()[..1], &schedule, &Options::default(), &mut ()).unwrap();
        assert!(trained.runs[0].snapshots.is_empty());
        assert!(!names(path.path()).iter().any(|name| name.starts_with("snapshots_")));
    }
}
