//! Decays on plateaus: the learning rate that falls when the validation loss no longer does.

use std::fs;
use std::path::Path;

use onelayer::Error;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, Splits, sample};
use onelayer::files::csv;
use onelayer::files::folder::Folder;
use onelayer::hyperparameters::{Decay, Loss, Origin, Schedule, Setting};
use onelayer::replicate::table::ReplicationRow;
use onelayer::replicate::{self, ReplicationPlan};
use onelayer::shard::Shard;
use onelayer::train::model::ModelFile;
use onelayer::train::table::CurveRow;
use onelayer::train::{self, Data, Epoch, Job, Observer, Options, Run, Start, Trainer, random_start};

use crate::results::{assert_same, onelayer, succeed};

const SCHEDULE: Schedule = Schedule { epochs: 8, ..Schedule::REPORT };
const NAMES: [&str; 3] = ["a", "b", "c"];

fn with_decay(eta: f64, patience: usize, factor: f64) -> Setting {
    Setting::new(0.01, eta).unwrap().with_decay(Some(Decay::plateau(patience, factor).unwrap()))
}

struct Sample {
    splits: Splits,
    normalizer: Normalizer,
}

impl Sample {
    fn load() -> Self {
        let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        Self { splits, normalizer }
    }

    fn data(&self) -> Data<'_> {
        Data { train: &self.splits.train, validation: &self.splits.validation, normalizer: &self.normalizer }
    }

    fn trainer(&self, settings: &[Setting]) -> Trainer<'_> {
        let start = random_start(self.splits.train.dims(), SCHEDULE.seed);
        Trainer::new(self.data(), settings, &SCHEDULE, &start).unwrap()
    }

    fn train(&self, settings: &[Setting]) -> Vec<Run> {
        self.trainer(settings).train(&mut ()).unwrap().0
    }

    fn train_without_evaluation(&self, settings: &[Setting]) -> Vec<Run> {
        self.trainer(settings).without_evaluation().train(&mut ()).unwrap().0
    }
}

fn epochs(run: &Run) -> Vec<Epoch> {
    run.epochs.iter().map(|&epoch| Epoch { seconds: 0.0, ..epoch }).collect()
}

fn rates(run: &Run) -> Vec<f64> {
    run.epochs.iter().map(|epoch| epoch.learning_rate).collect()
}

/// The learning rates that follow from the rule and the validation losses.
fn expected_rates(eta: f64, patience: usize, factor: f64, losses: &[f64]) -> Vec<f64> {
    let mut rates = Vec::new();
    let (mut falls, mut last) = (0, 0);
    for epoch in 0..losses.len() {
        rates.push(eta * factor.powi(falls));
        let lowest_before = losses[..epoch].iter().copied().fold(f64::INFINITY, f64::min);
        if losses[epoch] < lowest_before {
            last = epoch;
        }
        if epoch - last == patience {
            (falls, last) = (falls + 1, epoch);
        }
    }
    rates
}

#[test]
fn the_command_lets_the_learning_rate_fall_by_the_rule_and_records_it() {
    let out = tempfile::tempdir().unwrap();
    let arguments =
        ["train", "--dataset", "sample", "--quiet", "--lambda", "0", "--eta", "0.03", "--epochs", "12", "--out"];
    let command = |extra: &[&str], out: &Path| {
        let mut command = onelayer(&arguments);
        command.arg(out).args(extra);
        command
    };
    succeed(command(&["--decay-on-plateau", "1,0.25"], out.path()));
    let name = "lambda0_eta0.03_plateau1x0.25";
    let path = out.path().join(format!("curves_{name}.csv"));
    let rows: Vec<CurveRow> = csv::from_csv(&fs::read(&path).unwrap(), &path).unwrap();
    let found: Vec<_> = rows.iter().map(|row| row.learning_rate).collect();
    let losses: Vec<_> = rows.iter().map(|row| row.scores.validation_loss.unwrap()).collect();
    assert_eq!(found, expected_rates(0.03, 1, 0.25, &losses));
    assert!(found[1] == 0.03 && found[11] < 0.03 * 0.25, "{found:?}: the test needs two falls");
    let path = out.path().join(format!("model_{name}.safetensors"));
    let model = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
    assert_eq!(model.hyperparameters.decay().unwrap(), Some(Decay::plateau(1, 0.25).unwrap()));

    // A configuration has the same keys; the command line replaces a decay of the file by another.
    let config = out.path().join("config.toml");
    let from_config = |text: &str, extra: &[&str]| {
        let again = tempfile::tempdir().unwrap();
        fs::write(&config, text).unwrap();
        succeed(command(&[&["--config", config.to_str().unwrap()], extra].concat(), again.path()));
        again
    };
    let again = from_config("decay_patience = 1\ndecay_factor = 0.25\n", &[]);
    fs::remove_file(&config).unwrap();
    assert_same(again.path(), out.path());
    let again = from_config("decay_every = 1\ndecay_factor = 0.5\n", &["--decay-on-plateau", "1,0.25"]);
    fs::remove_file(&config).unwrap();
    assert_same(again.path(), out.path());
    let steps = from_config("decay_patience = 2\n", &["--decay-every", "1", "--decay-factor", "0.5"]);
    assert!(steps.path().join("curves_lambda0_eta0.03_decay1x0.5.csv").exists());
    let default = from_config("decay_patience = 2\n", &[]);
    assert!(default.path().join("curves_lambda0_eta0.03_plateau2x0.1.csv").exists());
}

#[test]
fn a_decay_on_plateaus_keeps_its_bits_in_any_group_and_without_other_evaluation() {
    let sample = Sample::load();
    let plateau = with_decay(0.03, 1, 0.5);
    let constant = plateau.with_decay(None);
    let bce = plateau.with_loss(Loss::Bce);
    let alone = sample.train(&[plateau]).remove(0);
    assert!(rates(&alone)[7] < 0.03 && rates(&alone)[1] == 0.03, "{:?}", rates(&alone));

    let together = sample.train(&[constant, plateau, bce]);
    assert_eq!((epochs(&together[1]), &together[1].parameters), (epochs(&alone), &alone.parameters));
    assert_ne!(rates(&together[1]), rates(&together[0]));

    let quiet = sample.train_without_evaluation(&[constant, plateau, bce]);
    for (quiet, evaluated) in quiet.iter().zip(&together) {
        assert_eq!((rates(quiet), &quiet.parameters), (rates(evaluated), &evaluated.parameters));
    }
    // Only the settings that need a validation loss have one.
    let scored = |run: &Run| run.epochs.iter().all(|e| e.scores.unwrap().validation.is_some());
    let unscored = |run: &Run| run.epochs.iter().all(|e| e.scores.unwrap().validation.is_none());
    assert!(unscored(&quiet[0]) && scored(&quiet[1]) && scored(&quiet[2]));
    assert!(quiet.iter().flat_map(|run| &run.epochs).all(|e| e.scores.unwrap().train.is_none()));
    assert!(unscored(&sample.train_without_evaluation(&[constant])[0]));
}

#[test]
fn a_diverged_setting_makes_no_progress_and_does_not_disturb_the_others() {
    let sample = Sample::load();
    let (wild, calm) = (with_decay(1e36, 2, 0.5), with_decay(0.03, 1, 0.5));
    let runs = sample.train(&[wild, calm]);
    assert_eq!(runs[0].diverged_in(), Some(1));
    // Two epochs without a loss end in a fall.
    let falls: Vec<_> = rates(&runs[0]).iter().map(|rate| rate / 1e36).collect();
    assert_eq!(falls, [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]);
    assert_eq!(epochs(&runs[1]), epochs(&sample.train(&[calm])[0]));
}

/// Interrupts after this many batches.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn batch_done(&mut self, _: usize, _: usize, _: usize) {
        self.0 -= 1;
    }

    fn interrupted(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_training_resumed_from_its_checkpoint_has_the_learning_rates_of_an_uninterrupted_one() {
    let sample = Sample::load();
    let settings = [with_decay(0.03, 1, 0.5), with_decay(0.05, 2, 0.25)];
    let start = Start::random(sample.splits.train.dims(), SCHEDULE.seed);
    let names = NAMES.map(String::from);
    let job = Job {
        settings: &settings,
        schedule: &SCHEDULE,
        start: &start,
        splits: &sample.splits,
        names: &names,
        files: &[],
        normalizer: &sample.normalizer,
    };
    let whole = tempfile::tempdir().unwrap();
    let runs = train::run(&job, &Folder::open(whole.path()).unwrap(), &Options::default(), &mut ()).unwrap().runs;
    let first_fall = rates(&runs[0]).iter().position(|&rate| rate < 0.03).unwrap();
    assert!((1..7).contains(&first_fall), "{:?}", rates(&runs[0]));

    // 10 batches per epoch: in the first epoch, at its end, in that before the first fall, after it, and in the last one.
    let in_epoch = |epoch: usize| 10 * epoch + 5;
    for stop in [5, 10, in_epoch(first_fall - 1), 10 * first_fall, in_epoch(first_fall), 75] {
        let out = tempfile::tempdir().unwrap();
        let folder = Folder::open(out.path()).unwrap();
        let stopped = train::run(&job, &folder, &Options::default(), &mut StopAfter(stop)).unwrap_err();
        assert!(matches!(stopped, Error::Stopped(_)), "{stopped}");
        assert!(out.path().join("train.checkpoint").exists());
        let options = Options { resume: true, ..Options::default() };
        train::run(&job, &folder, &options, &mut ()).unwrap();
        assert_same(out.path(), whole.path());
    }
}

#[test]
fn without_a_validation_split_a_decay_on_plateaus_is_refused_before_training() {
    let sample = Sample::load();
    let dims = sample.splits.train.dims();
    let empty = Dataset::new(dims, Vec::new(), Vec::new()).unwrap();
    let data = Data { validation: &empty, ..sample.data() };
    let start = random_start(dims, 1);
    let message = "validation-size must be above 0 for a decay on plateaus of the validation loss, but is 0";
    let settings = [Setting::REPORT[0], with_decay(0.01, 5, 0.1)];
    assert_eq!(Trainer::new(data, &settings, &SCHEDULE, &start).unwrap_err().to_string(), message);
    Trainer::new(data, &settings[..1], &SCHEDULE, &start).unwrap();

    let out = tempfile::tempdir().unwrap();
    let config = out.path().join("config.toml");
    fs::write(&config, "decay_patience = 5\nvalidation_size = 0\n").unwrap();
    let by_option = &["--decay-on-plateau", "5", "--validation-size", "0"][..];
    // A value has the name of its option, or of its key in the file.
    let config = config.to_str().unwrap();
    let key = format!("validation_size in {config}");
    let cases = [(by_option, "--validation-size"), (&["--config", config], &key)];
    for (arguments, name) in cases {
        let results = out.path().join("results");
        let mut command = onelayer(&["train", "--dataset", "sample", "--quiet", "--out", results.to_str().unwrap()]);
        let output = command.args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), stderr),
            (Some(1), format!("error: {}\n", message.replace("validation-size", name)))
        );
        assert!(!results.exists());
    }
}

#[test]
fn a_replication_evaluates_the_validation_split_after_each_epoch_only_where_it_is_needed() {
    let sample = Sample::load();
    let settings = vec![with_decay(0.03, 1, 0.5), with_decay(0.03, 1, 0.5).with_decay(None)];
    let schedule = SCHEDULE;
    let seed = schedule.seed;
    let plan = ReplicationPlan {
        settings: settings.clone(),
        schedule,
        start: Origin::Random,
        first_seed: seed,
        seeds: 1,
        shard: Shard::WHOLE,
    };
    let out = tempfile::tempdir().unwrap();
    let folder = Folder::open(out.path()).unwrap();
    replicate::run(&plan, &sample.splits, &NAMES.map(String::from), &folder, false, &mut ()).unwrap();
    let path = out.path().join("replication.csv");
    let rows: Vec<ReplicationRow> = csv::from_csv(&fs::read(&path).unwrap(), &path).unwrap();
    let start = random_start(sample.splits.train.dims(), seed);
    let (runs, _) = train::train(sample.data(), &settings, &schedule, &start, &mut ()).unwrap();
    for (row, run) in rows.iter().zip(&runs) {
        assert_eq!(row.hyperparameters.setting().unwrap(), run.setting);
        let last = run.epochs.last().unwrap().scores.unwrap();
        assert_eq!(row.validation_loss, Some(last.validation.unwrap().loss));
        assert_eq!(row.train_accuracy, Some(last.train.unwrap().accuracy));
    }
    assert_ne!(rows[0].validation_loss, rows[1].validation_loss);
}

#[test]
fn a_decay_of_a_file_that_a_shorter_training_leaves_without_effect_is_noted() {
    let out = tempfile::tempdir().unwrap();
    let config = out.path().join("config.toml");
    fs::write(&config, "dataset = \"sample\"\nlambda = 0\nepochs = 9\ndecay_every = 2\ndecay_factor = 0.5\n").unwrap();
    let stderr = |epochs: &str, quiet: &[&str]| {
        let results = out.path().join("results");
        let arguments = ["train", "--config", config.to_str().unwrap(), "--epochs", epochs, "--out"];
        let output = onelayer(&[&arguments[..], &[results.to_str().unwrap()], quiet].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let note = "note: the decay of --config has no effect within 2 epochs\n";
    assert!(stderr("2", &[]).starts_with(note));
    assert!(!stderr("3", &[]).contains("note:") && stderr("2", &["--quiet"]).is_empty());
}
