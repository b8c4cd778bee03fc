//! Training, through the library and through the real binary, on the sample of real images.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use onelayer::Error;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, Splits, sample};
use onelayer::evaluate::outcomes;
use onelayer::evaluate::table::{ProbabilityRow, read_confusion};
use onelayer::files::csv;
use onelayer::files::folder::Folder;
use onelayer::files::npz;
use onelayer::hyperparameters::{Decay, Hyperparameters, Loss, Origin, Schedule, Setting, Shuffle};
use onelayer::network::Parameters;
use onelayer::train::model::ModelFile;
use onelayer::train::provenance::Provenance;
use onelayer::train::table::{CurveRow, SummaryRow};
use onelayer::train::{
    Data, Epoch, Job, Observer, Options, Run, SplitScores, Start, State, Trainer, random_start, snapshot,
    start_from_npz, train,
};
use tempfile::TempDir;

/// The start and the losses that NumPy reaches from it; see train.py beside them.
const NUMPY: &str = "tests/numpy";

const SCHEDULE: Schedule = Schedule { epochs: 3, ..Schedule::REPORT };

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

    fn train(&self, settings: &[Setting], schedule: &Schedule, start: &Parameters) -> Vec<Run> {
        train(self.data(), settings, schedule, start, &mut ()).unwrap().0
    }

    fn train_from_seed(&self, settings: &[Setting], schedule: &Schedule) -> Vec<Run> {
        let start = random_start(self.splits.train.dims(), schedule.seed);
        self.train(settings, schedule, &start)
    }
}

/// A run without its times.
fn numbers(run: &Run) -> (Parameters, Vec<Epoch>) {
    let epochs = run.epochs.iter().map(|&epoch| Epoch { seconds: 0.0, ..epoch });
    (run.parameters.clone(), epochs.collect())
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

fn onelayer(arguments: &[&str], out: &Path) -> Output {
    Command::new(crate::program())
        .args(["train", "--dataset", "sample", "--quiet", "--out"])
        .arg(out)
        .args(arguments)
        .output()
        .unwrap()
}

fn succeed(arguments: &[&str]) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    let output = onelayer(arguments, out.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "{arguments:?}");
    out
}

fn summary(out: &Path) -> Vec<SummaryRow> {
    let path = out.join("summary.csv");
    csv::from_csv(&fs::read(&path).unwrap(), &path).unwrap()
}

fn curves(out: &Path, setting: &str) -> Vec<CurveRow> {
    let path = out.join(format!("curves_{setting}.csv"));
    csv::from_csv(&fs::read(&path).unwrap(), &path).unwrap()
}

#[test]
fn a_setting_has_the_same_bits_alone_and_in_any_group() {
    let sample = Sample::load();
    let together = sample.train_from_seed(&Setting::REPORT, &SCHEDULE);
    let reversed: Vec<_> = Setting::REPORT.into_iter().rev().collect();
    let other_way_round = sample.train_from_seed(&reversed, &SCHEDULE);
    for (i, &setting) in Setting::REPORT.iter().enumerate() {
        let alone = sample.train_from_seed(&[setting], &SCHEDULE);
        assert_eq!(numbers(&alone[0]), numbers(&together[i]));
        assert_eq!(numbers(&alone[0]), numbers(&other_way_round[3 - i]));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let sample = Sample::load();
    let at = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let runs = pool.install(|| sample.train_from_seed(&Setting::REPORT, &SCHEDULE));
        runs.iter().map(numbers).collect::<Vec<_>>()
    };
    let one = at(1);
    // Two members per thread; one or two; one; threads that share a member.
    for threads in [2, 3, 4, 5] {
        assert_eq!(one, at(threads), "{threads} threads");
    }
}

#[test]
fn training_stopped_after_any_batch_resumes_to_the_same_bits() {
    let sample = Sample::load();
    let wild = Setting::new(0.0, 1e36).unwrap();
    let settings = [Setting::REPORT[0], wild, Setting::REPORT[2]];
    let start = random_start(sample.splits.train.dims(), SCHEDULE.seed);
    let trainer = |state| Trainer::resume(sample.data(), &SCHEDULE, state).unwrap();

    let begin = || State { keep_snapshots: true, ..State::new(&settings, &start) };
    let mut whole = trainer(begin());
    while !whole.is_done() {
        whole.epoch(&mut ()).unwrap();
    }
    let whole = whole.finish().0;
    let last = whole[2].snapshots.last().unwrap();
    assert!((whole[2].snapshots.len(), last) == (3, &snapshot(&whole[2].parameters)));

    // 30 batches: stops after every one, and at strides that meet and miss the ends of epochs.
    for stride in [1, 7, 10, 29, 30] {
        let mut state = begin();
        let mut stops = 0;
        while state.epochs() < SCHEDULE.epochs {
            let mut trainer = trainer(state);
            let mut observer = StopAfter(stride);
            while !trainer.is_done() {
                match trainer.epoch(&mut observer) {
                    Ok(()) => {}
                    Err(Error::Interrupted) => {
                        stops += 1;
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            state = trainer.state().clone();
        }
        assert_eq!(stops, 30 / stride);
        for (run, whole) in state.runs.iter().zip(&whole) {
            // The numbers of a setting that diverged are NaN, which differs from itself.
            let bits = |p: &Parameters| p.weight.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&run.parameters), bits(&whole.parameters));
            assert_eq!(numbers(run).1, numbers(whole).1);
            assert!(run.snapshots == whole.snapshots && run.divergence == whole.divergence);
        }
    }
    // Control: skipping a batch ends with other bits.
    let mut state = State::new(&settings[2..], &start);
    state.batches = 1;
    let mut skipped = trainer(state);
    while !skipped.is_done() {
        skipped.epoch(&mut ()).unwrap();
    }
    assert_ne!(skipped.finish().0[0].parameters, whole[2].parameters);
}

#[test]
fn a_state_that_the_schedule_never_passes_through_is_refused() {
    let sample = Sample::load();
    let start = random_start(sample.splits.train.dims(), 0);
    let mut trainer = Trainer::new(sample.data(), &Setting::REPORT, &SCHEDULE, &start).unwrap();
    trainer.epoch(&mut ()).unwrap();
    let state = trainer.state().clone();
    let refuse = |state, schedule: &Schedule| Trainer::resume(sample.data(), schedule, state).unwrap_err().to_string();
    let mut further = state.clone();
    further.batches = 11;
    let mut uneven = state.clone();
    uneven.runs[1].epochs.clear();
    let mut snapshots = state.clone();
    snapshots.keep_snapshots = true;
    let mut after_the_end = state.clone();
    after_the_end.batches = 1;
    let one_epoch = Schedule { epochs: 1, ..SCHEDULE };
    assert!(refuse(further, &SCHEDULE).contains("batches"));
    assert!(refuse(uneven, &SCHEDULE).contains("lambda0_eta0.001"));
    assert!(refuse(snapshots, &SCHEDULE).contains("snapshots"));
    assert!(refuse(after_the_end, &one_epoch).contains("batches"));
    assert!(refuse(State::new(&[], &start), &SCHEDULE).contains("at least one"));
    Trainer::resume(sample.data(), &one_epoch, state).unwrap();
}

#[test]
fn another_seed_gives_other_numbers() {
    let sample = Sample::load();
    let with = |seed| sample.train_from_seed(&Setting::REPORT[1..2], &Schedule { seed, ..SCHEDULE });
    assert_eq!(numbers(&with(1)[0]), numbers(&with(1)[0]));
    assert_ne!(numbers(&with(1)[0]), numbers(&with(2)[0]));
}

#[test]
fn the_last_smaller_batch_is_trained_on() {
    // 1,000 images: batches of 999 leave one for the second. If it were dropped, only 999 images would have been seen.
    let sample = Sample::load();
    let schedule = Schedule { epochs: 1, batch_size: 999, shuffle: Shuffle::None, ..SCHEDULE };
    let setting = [Setting::new(0.0, 0.01).unwrap()];
    let start = random_start(sample.splits.train.dims(), 0);

    #[derive(Default)]
    struct Batches(Vec<(usize, usize)>);
    impl Observer for Batches {
        fn batch_done(&mut self, _: usize, done: usize, total: usize) {
            self.0.push((done, total));
        }
    }
    let mut batches = Batches::default();
    let (runs, _) = train(sample.data(), &setting, &schedule, &start, &mut batches).unwrap();
    assert_eq!(batches.0, [(1, 2), (2, 2)]);

    let first = runs[0].parameters.clone();
    let expected = one_step_by_the_passes(&sample, &one_step_by_the_passes(&sample, &start, 0..999), 999..1000);
    let skipped = one_step_by_the_passes(&sample, &start, 0..999);
    assert!(distance(&first, &expected) < 1e-6, "{}", distance(&first, &expected));
    assert!(distance(&first, &skipped) > 1e-4, "the last image must matter");
}

fn one_step_by_the_passes(sample: &Sample, from: &Parameters, range: std::ops::Range<usize>) -> Parameters {
    use onelayer::network::passes;
    let labels = &sample.splits.train.labels()[range.clone()];
    let x = sample.normalizer.apply(&sample.splits.train, range);
    let logits = passes::forward(from, &x);
    let (_, dlogits) = passes::softmax_cross_entropy(&logits, labels);
    let gradients = passes::backward(from, &x, &dlogits, 0.0);
    let mut parameters = from.clone();
    passes::update(&mut parameters, &gradients, 0.01);
    parameters
}

fn distance(a: &Parameters, b: &Parameters) -> f32 {
    let pairs = a.weight.iter().zip(&b.weight).chain(a.bias.iter().zip(&b.bias));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn zero_parameters_have_the_loss_ln_10_and_one_class_in_ten_right() {
    let sample = Sample::load();
    let zeros = Parameters::zeros(sample.splits.train.dims());
    let scores =
        outcomes(&[(&zeros, Loss::Softmax)], &sample.splits.validation, &sample.normalizer).unwrap()[0].scores(1.0);
    assert!((scores.loss - 10_f64.ln()).abs() < 1e-6, "{}", scores.loss);
    assert_eq!(scores.cost, scores.loss);
    // All logits are equal: the first class counts, which has 50 of the 500 images.
    assert_eq!(scores.accuracy, 0.1);
}

#[test]
fn the_cost_is_the_loss_and_the_weighted_penalty() {
    let sample = Sample::load();
    let start = random_start(sample.splits.train.dims(), 1);
    let scores = outcomes(&[(&start, Loss::Softmax)], &sample.splits.test, &sample.normalizer).unwrap()[0].scores(0.5);
    assert!((scores.cost - scores.loss - 0.5 * start.squared_norm()).abs() < 1e-12);
}

#[test]
fn a_start_from_numpy_is_replayed_to_four_decimals_of_every_stable_loss() {
    let start = start_from_npz(
        &fs::read(format!("{NUMPY}/start.npz")).unwrap(),
        Path::new("start.npz"),
        onelayer::dataset::cifar10::DIMS,
    )
    .unwrap();
    let sample = Sample::load();
    let schedule = Schedule { epochs: 5, batch_size: 96, shuffle: Shuffle::None, ..SCHEDULE };
    let runs = sample.train(&Setting::REPORT[1..], &schedule, &start);
    let mut expected = ::csv::Reader::from_path(format!("{NUMPY}/losses.csv")).unwrap();
    let mut compared = 0;
    for (record, (run, epoch)) in
        expected.records().zip(runs.iter().flat_map(|run| run.epochs.iter().map(move |epoch| (run, epoch))))
    {
        let row: Vec<f64> = record.unwrap().iter().map(|f| f.parse().unwrap()).collect();
        assert_eq!(row[..3], [run.setting.lambda(), run.setting.eta(), epoch.number as f64]);
        let SplitScores { train: Some(train), validation: Some(validation) } = epoch.scores.unwrap() else {
            panic!("both splits are evaluated");
        };
        for (ours, numpys) in [train.loss, train.cost, validation.loss, validation.cost].iter().zip(&row[3..]) {
            assert!((ours - numpys).abs() < 5e-5, "{} epoch {}: {ours} {numpys}", run.setting.name(), epoch.number);
            compared += 1;
        }
    }
    assert_eq!(compared, 3 * 5 * 4);
}

#[test]
fn the_command_writes_every_file_of_the_four_settings() {
    let out = succeed(&["--epochs", "2"]);
    let mut found: Vec<_> =
        fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut expected = ["provenance.json", "report.html", "settings.png", "summary.csv"].map(str::to_owned).to_vec();
    for setting in Setting::REPORT {
        let name = setting.name();
        expected.extend([
            format!("confusion_{name}.csv"),
            format!("curves_{name}.csv"),
            format!("curves_{name}.png"),
            format!("model_{name}.safetensors"),
            format!("probabilities_{name}.csv"),
            format!("probabilities_{name}.png"),
            format!("snapshots_{name}.jpg"),
            format!("weights_{name}.png"),
        ]);
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_tables_agree_with_an_evaluation_of_the_model_file() {
    let out = succeed(&["--epochs", "2", "--seed", "9"]);
    let sample = Sample::load();
    for (row, setting) in summary(out.path()).iter().zip(Setting::REPORT) {
        let path = out.path().join(format!("model_{}.safetensors", row.setting));
        let model = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
        let normalizer = Normalizer::new(model.mean, model.std).unwrap();
        let test = outcomes(&[(&model.parameters, setting.loss())], &sample.splits.test, &normalizer).unwrap()[0]
            .scores(setting.lambda());
        assert_eq!(row.test_loss, Some(test.loss));
        assert_eq!(row.test_accuracy, Some(test.accuracy));
        let models = [(&model.parameters, setting.loss())];
        let found = outcomes(&models, &sample.splits.test, &normalizer).unwrap()[0].confusion();
        let correct: usize = (0..10).map(|class| found.count(class, class)).sum();
        assert_eq!(Some(correct as f64 / sample.splits.test.len() as f64), row.test_accuracy);
        let path = out.path().join(format!("confusion_{}.csv", row.setting));
        assert_eq!(read_confusion(&fs::read(&path).unwrap(), &path).unwrap(), found);
        let images: usize = (0..10).map(|class| found.examples(class)).sum();
        assert_eq!(images, sample.splits.test.len());
        let expected = Schedule { seed: 9, epochs: 2, ..Schedule::REPORT };
        assert_eq!(row.hyperparameters, Hyperparameters::new(setting, &expected, &Origin::Random));
        assert_eq!(row.reported_test_accuracy, None, "the sample is not what the report measured");

        let curves = curves(out.path(), &row.setting);
        assert_eq!(curves.iter().map(|c| c.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(curves[1].scores.train_loss, row.scores.train_loss);
        assert_eq!(curves[1].scores.validation_accuracy, row.scores.validation_accuracy);
        assert_eq!(curves[1].learning_rate, setting.eta());
    }
}

#[test]
fn lambda_or_eta_selects_a_single_setting() {
    for (arguments, name) in [
        (["--lambda", "0.5"].as_slice(), "lambda0.5_eta0.001"),
        (&["--eta", "0.02"], "lambda0_eta0.02"),
        (&["--lambda", "0.5", "--eta", "0.02"], "lambda0.5_eta0.02"),
    ] {
        let out = succeed(&[&["--epochs", "1"], arguments].concat());
        let rows = summary(out.path());
        assert_eq!(rows.iter().map(|r| r.setting.as_str()).collect::<Vec<_>>(), [name]);
    }
}

#[test]
fn the_files_depend_neither_on_threads_nor_on_repetition() {
    let outs = [["--threads", "1"], ["--threads", "2"], ["--threads", "2"]]
        .map(|threads| succeed(&[["--epochs", "2"], threads].concat()));
    for entry in fs::read_dir(outs[0].path()).unwrap() {
        let name = entry.unwrap().file_name();
        // These contain measured times.
        let measured = ["csv", "json", "html"].map(Some);
        if !measured.contains(&Path::new(&name).extension().and_then(OsStr::to_str)) {
            for other in &outs[1..] {
                let same = fs::read(outs[0].path().join(&name)).unwrap() == fs::read(other.path().join(&name)).unwrap();
                assert!(same, "{name:?}");
            }
        }
    }
}

#[test]
fn training_starts_from_a_model_file_as_from_the_arrays_in_an_npz() {
    let first = succeed(&["--epochs", "1", "--lambda", "0.1", "--no-shuffle"]);
    let model = first.path().join("model_lambda0.1_eta0.001.safetensors");
    let parameters = ModelFile::from_bytes(&fs::read(&model).unwrap(), &model).unwrap().parameters;
    let arrays = first.path().join("start.npz");
    let (weight, bias) = (&parameters.weight[..], &parameters.bias[..]);
    let bytes =
        npz::write(&[("W", &[10, 3072], npz::Elements::F32(weight)), ("b", &[10, 1], npz::Elements::F32(bias))])
            .unwrap();
    fs::write(&arrays, bytes).unwrap();

    let on_from = |start: &Path| {
        succeed(&["--epochs", "1", "--lambda", "0.1", "--no-shuffle", "--init", start.to_str().unwrap()])
    };
    let both_epochs = succeed(&["--epochs", "2", "--lambda", "0.1", "--no-shuffle"]);
    let expected = fs::read(both_epochs.path().join("weights_lambda0.1_eta0.001.png")).unwrap();
    for out in [on_from(&model), on_from(&arrays)] {
        assert!(fs::read(out.path().join("weights_lambda0.1_eta0.001.png")).unwrap() == expected);
        assert_eq!(summary(out.path())[0].test_loss, summary(both_epochs.path())[0].test_loss);
    }
}

#[test]
fn a_diverging_setting_is_reported_and_has_empty_fields() {
    let out = tempfile::tempdir().unwrap();
    // A file of an earlier run of the same setting is removed, since it would contradict the new curves.
    let stale = out.path().join("model_lambda0_eta1000000000000000000000000000000000000.safetensors");
    let all = out.path().join("settings.png");
    fs::write(&stale, "old").unwrap();
    fs::write(&all, "old").unwrap();
    let output = onelayer(&["--epochs", "3", "--eta", "1e36"], out.path());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && stderr.contains("diverged in epoch 1: the loss of batch 2 is not finite"),
        "{stderr}"
    );
    assert!(!stale.exists());
    assert!(!all.exists(), "one setting has no figure of several");
    let row = &summary(out.path())[0];
    assert_eq!((row.scores.train_loss, row.scores.validation_cost, row.test_accuracy), (None, None, None));
    let curves = curves(out.path(), &row.setting);
    assert_eq!(curves.len(), 3);
    assert!(curves.iter().all(|c| c.scores.train_loss.is_none() && c.scores.validation_accuracy.is_none()));
}

#[test]
fn a_diverging_setting_does_not_change_the_others() {
    let sample = Sample::load();
    let wild = Setting::new(0.0, 1e36).unwrap();
    let calm = Setting::REPORT[2];
    let runs = sample.train_from_seed(&[wild, calm, wild], &SCHEDULE);
    assert_eq!(runs[0].diverged_in(), Some(1));
    assert_eq!(runs[1].diverged_in(), None);
    let alone = sample.train_from_seed(&[calm], &SCHEDULE);
    assert_eq!(numbers(&runs[1]), numbers(&alone[0]));
}

#[test]
fn settings_with_any_loss_and_decay_keep_their_bits_in_one_group() {
    let sample = Sample::load();
    let setting = Setting::new(0.01, 0.02).unwrap();
    let decay = Some(Decay::step(1, 0.5).unwrap());
    let settings = [
        setting,
        setting.with_loss(Loss::Bce),
        setting.with_decay(decay),
        setting.with_loss(Loss::Bce).with_decay(decay),
    ];
    let schedule = Schedule { flip: 0.5, ..SCHEDULE };
    let together = sample.train_from_seed(&settings, &schedule);
    for (i, &setting) in settings.iter().enumerate() {
        let alone = sample.train_from_seed(&[setting], &schedule);
        assert_eq!(numbers(&alone[0]), numbers(&together[i]));
        for other in &together[..i] {
            assert_ne!(numbers(&alone[0]), numbers(other));
        }
    }
    let rates: Vec<_> = together[3].epochs.iter().map(|e| e.learning_rate).collect();
    assert_eq!(rates, [0.02, 0.01, 0.005]);
    let unflipped = sample.train_from_seed(&settings[..1], &SCHEDULE);
    assert_ne!(numbers(&unflipped[0]), numbers(&together[0]));
}

#[test]
fn flips_and_decay_agree_with_the_plain_passes() {
    use onelayer::network::passes;
    use onelayer::train::{epoch_flips, epoch_order};
    let sample = Sample::load();
    let setting = Setting::new(0.01, 0.02).unwrap().with_loss(Loss::Bce);
    let setting = setting.with_decay(Some(Decay::step(1, 0.5).unwrap()));
    let schedule = Schedule { epochs: 2, batch_size: 200, flip: 0.5, ..SCHEDULE };
    let found = sample.train_from_seed(&[setting], &schedule).remove(0);

    let train = &sample.splits.train;
    let turned = (0..train.len()).flat_map(|i| train.image(i).chunks(32));
    let turned = turned.flat_map(|row| row.iter().rev().copied()).collect();
    let mirror = Dataset::new(train.dims(), turned, train.labels().to_vec()).unwrap();
    let mut expected = random_start(train.dims(), schedule.seed);
    for (epoch, eta) in [(1, 0.02), (2, 0.01)] {
        let flips = epoch_flips(&schedule, epoch, train.len());
        for batch in epoch_order(&schedule, epoch, train.len()).chunks(200) {
            let image = |&i: &usize| {
                let images = if flips[i] { &mirror } else { train };
                sample.normalizer.apply(images, [i])
            };
            let x: Vec<f32> = batch.iter().flat_map(image).collect();
            let labels: Vec<_> = batch.iter().map(|&i| train.labels()[i]).collect();
            let logits = passes::forward(&expected, &x);
            let (_, dlogits) = passes::sigmoid_binary_cross_entropy(&logits, &labels);
            let gradients = passes::backward(&expected, &x, &dlogits, 0.01);
            passes::update(&mut expected, &gradients, eta);
        }
    }
    let far = distance(&found.parameters, &expected);
    assert!(far < 1e-6, "{far}");
    let moved = distance(&expected, &random_start(train.dims(), schedule.seed));
    assert!(moved > 1e-3, "{moved}");
}

#[test]
fn models_and_file_names_record_how_a_model_was_trained() {
    let out = succeed(&[
        "--epochs",
        "2",
        "--lambda",
        "0.001",
        "--eta",
        "0.01",
        "--loss",
        "bce",
        "--flip",
        "0.5",
        "--decay-every",
        "1",
        "--decay-factor",
        "0.1",
        "--validation-size",
        "300",
    ]);
    let name = "lambda0.001_eta0.01_bce_decay1x0.1";
    let path = out.path().join(format!("model_{name}.safetensors"));
    let model = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
    let expected = Hyperparameters {
        lambda: 0.001,
        eta: 0.01,
        epochs: 2,
        loss: Loss::Bce,
        decay_every: Some(1),
        decay_factor: Some(0.1),
        flip: 0.5,
        ..Hyperparameters::default()
    };
    assert_eq!(model.hyperparameters, expected);
    assert_eq!(model.splits[1], "the last 30 images of each class of sample/train.bin");
    assert_eq!(curves(out.path(), name)[1].learning_rate, 0.01 * 0.1);

    // A binary cross-entropy of 10 classes starts near ln 2, not near ln 10, and the accuracy is that of the largest logit.
    let row = &summary(out.path())[0];
    assert!((0.2..0.7).contains(&row.test_loss.unwrap()), "{row:?}");
    let sample = Sample::load();
    let normalizer = Normalizer::new(model.mean, model.std).unwrap();
    let softmax = outcomes(&[(&model.parameters, Loss::Softmax)], &sample.splits.test, &normalizer);
    assert_eq!(row.test_accuracy, Some(softmax.unwrap()[0].scores(0.0).accuracy));
}

#[test]
fn the_histogram_counts_every_test_image_as_right_or_wrong() {
    for (loss, name) in [("softmax", "lambda0.1_eta0.001"), ("bce", "lambda0.1_eta0.001_bce")] {
        let out = succeed(&["--epochs", "1", "--lambda", "0.1", "--loss", loss]);
        let path = out.path().join(format!("probabilities_{name}.csv"));
        let rows: Vec<ProbabilityRow> = csv::from_csv(&fs::read(&path).unwrap(), &path).unwrap();
        let right: usize = rows.iter().map(|row| row.right).sum();
        let wrong: usize = rows.iter().map(|row| row.wrong).sum();
        assert_eq!(right + wrong, 500);
        let accuracy = summary(out.path())[0].test_accuracy.unwrap();
        assert_eq!(right as f64 / 500.0, accuracy);
        // After one epoch, softmaxes are near 1/10 and sigmoids between that and their start, ½.
        let mean = rows.iter().map(|r| (r.right + r.wrong) as f64 * (r.lower + r.upper) / 2.0);
        let mean = mean.sum::<f64>() / 500.0;
        assert_eq!(mean > 0.3, loss == "bce", "{loss}: {mean}");
    }
}

#[test]
fn without_a_held_out_split_all_images_are_trained_on_and_validation_is_missing() {
    let out = succeed(&["--epochs", "1", "--lambda", "0.1", "--validation-size", "0"]);
    let row = &summary(out.path())[0];
    assert!(row.scores.train_loss.is_some() && row.test_accuracy.is_some());
    assert_eq!((row.scores.validation_loss, row.scores.validation_accuracy), (None, None));
    let sample = Sample::load();
    let path = out.path().join("model_lambda0.1_eta0.001.safetensors");
    let model = ModelFile::from_bytes(&fs::read(&path).unwrap(), &path).unwrap();
    assert_eq!(model.mean, sample.normalizer.mean());
    assert_eq!(model.splits[1], "none");
}

/// The report's protocol for its third setting, on the sample under the names of the report's files: the accuracy that
/// `summary.csv` has as the report's, and whether the page shows it.
fn reported(schedule: Schedule, start: &Start, names: &[String; 3]) -> (Option<f64>, bool) {
    let sample = Sample::load();
    let out = tempfile::tempdir().unwrap();
    let job = Job {
        settings: &Setting::REPORT[2..3],
        schedule: &schedule,
        start,
        splits: &sample.splits,
        names,
        files: &[],
        normalizer: &sample.normalizer,
    };
    let folder = Folder::open(out.path()).unwrap();
    let trained = onelayer::train::run(&job, &folder, &Options::default(), &mut ()).unwrap();
    let rows = summary(out.path());
    assert_eq!(rows, trained.summary);
    let page = String::from_utf8(onelayer::page::page(out.path()).unwrap()).unwrap();
    (rows[0].reported_test_accuracy, page.contains("39.40"))
}

#[test]
fn only_the_reports_protocol_is_compared_with_its_accuracy() {
    let dims = onelayer::dataset::cifar10::DIMS;
    let names = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"].map(String::from);
    let random = Start::random(dims, Schedule::REPORT.seed);
    assert_eq!(reported(Schedule::REPORT, &random, &names), (Some(0.394), true));
    for schedule in [
        Schedule { shuffle: Shuffle::None, ..Schedule::REPORT },
        Schedule { flip: 0.5, ..Schedule::REPORT },
        Schedule { epochs: 2, ..Schedule::REPORT },
    ] {
        assert_eq!(reported(schedule, &random, &names), (None, false), "{schedule:?}");
    }
    let from_file = Start::from_file(random.parameters.clone());
    assert_eq!(reported(Schedule::REPORT, &from_file, &names), (None, false));
    let sample = ["train.bin", "validation.bin", "test.bin"].map(String::from);
    assert_eq!(reported(Schedule::REPORT, &random, &sample), (None, false));
}

#[test]
fn model_and_provenance_record_the_shuffling_and_the_start() {
    let first = succeed(&["--epochs", "1", "--lambda", "0.1"]);
    let name = "model_lambda0.1_eta0.001.safetensors";
    let start = first.path().join(name);
    let second = succeed(&["--epochs", "1", "--lambda", "0.1", "--no-shuffle", "--init", start.to_str().unwrap()]);
    let read = |out: &TempDir| {
        let model = ModelFile::from_bytes(&fs::read(out.path().join(name)).unwrap(), &start).unwrap();
        let provenance = Provenance::from_json(&fs::read(out.path().join("provenance.json")).unwrap(), &start).unwrap();
        assert_eq!(provenance.hyperparameters, std::slice::from_ref(&model.hyperparameters));
        assert_eq!(summary(out.path())[0].hyperparameters, model.hyperparameters);
        model
    };
    let (first, second) = (read(&first), read(&second));
    assert_eq!((first.hyperparameters.shuffle, first.hyperparameters.start), (Shuffle::ChaCha8, Origin::Random));
    let digest = Start::from_file(first.parameters).origin;
    assert_eq!((second.hyperparameters.shuffle, second.hyperparameters.start), (Shuffle::None, digest));
}
