//! Runs: their learning rates, their times, and what is evaluated of those that diverged.

use super::*;
use crate::error::Error;
use crate::hyperparameters::{Loss, Origin};
use crate::shape::Dims;

const DIMS: Dims = Dims { features: 4, classes: 3 };

fn splits() -> Splits {
    let split = |n: u8| {
        let pixels = (0..4 * n).map(|i| i.wrapping_mul(i).wrapping_mul(7)).collect();
        Dataset::new(DIMS, pixels, (0..n).map(|i| i % 3).collect()).unwrap()
    };
    Splits { train: split(20), validation: split(9), test: split(12) }
}

fn scores(loss: f64) -> Scores {
    Scores { loss, cost: loss + 1.0, accuracy: 0.5 }
}

/// An epoch with this loss on the validation split and another on the training split.
fn epoch(number: usize, validation: Option<f64>) -> Epoch {
    let scores = SplitScores { train: Some(scores(9.0)), validation: validation.map(scores) };
    Epoch { number, learning_rate: 0.5, scores: Some(scores), seconds: 0.25 * number as f64 }
}

fn run(setting: Setting, epochs: Vec<Epoch>) -> Run {
    Run { setting, epochs, parameters: Parameters::zeros(DIMS), snapshots: Vec::new(), divergence: None }
}

#[test]
fn the_next_learning_rate_follows_from_the_validation_losses_so_far() {
    let setting = Setting::new(0.0, 0.8).unwrap();
    let rates = |decay: &str, losses: &[Option<f64>]| {
        let setting = setting.with_decay(Some(decay.parse().unwrap()));
        let epochs = (1..).zip(losses).map(|(number, loss)| epoch(number, *loss)).collect();
        run(setting, epochs).next_learning_rate()
    };
    assert_eq!(run(setting, vec![epoch(1, None)]).next_learning_rate(), 0.8);
    // Every two epochs: the third is the first with half the rate.
    let some = [Some(1.0); 4];
    assert_eq!([0, 1, 2, 3, 4].map(|n| rates("2x0.5", &some[..n])), [0.8, 0.8, 0.4, 0.4, 0.2]);
    assert_eq!(rates("plateau1x0.5", &[Some(2.0), Some(1.0)]), 0.8);
    assert_eq!(rates("plateau1x0.5", &[Some(2.0), Some(2.5)]), 0.4);
    assert_eq!(rates("plateau1x0.5", &[Some(2.0), None]), 0.4, "a missing loss is no progress");
    let mut diverged = run(setting.with_decay(Some("plateau1x0.5".parse().unwrap())), vec![epoch(1, Some(1.0))]);
    diverged.epochs.push(Epoch { scores: None, ..epoch(2, None) });
    assert_eq!(diverged.next_learning_rate(), 0.4);
}

#[test]
fn a_run_has_the_time_of_its_epochs_and_the_epoch_of_its_divergence() {
    let mut run = run(Setting::REPORT[1], (1..=3).map(|number| epoch(number, None)).collect());
    assert_eq!((run.seconds(), run.diverged_in()), (1.5, None));
    let divergence = Divergence { epoch: 3, quantity: "the loss of batch 7".into() };
    assert_eq!(divergence.to_string(), "diverged in epoch 3: the loss of batch 7 is not finite");
    run.divergence = Some(divergence);
    assert_eq!(run.diverged_in(), Some(3));
    run.epochs.clear();
    assert_eq!(run.seconds(), 0.0);
}

#[test]
fn a_run_that_diverged_has_no_outcomes_and_the_others_keep_their_places() {
    let splits = splits();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let runs: Vec<Run> = [(1, Loss::Softmax), (2, Loss::Bce), (3, Loss::Bce)]
        .map(|(seed, loss)| {
            let setting = Setting::new(0.5, 0.1).unwrap().with_loss(loss);
            Run { parameters: random_start(DIMS, seed), ..run(setting, Vec::new()) }
        })
        .into();
    let split = &splits.test;
    let alone = |run: &Run| outcomes(&[(&run.parameters, run.setting.loss())], split, &normalizer).unwrap().remove(0);
    for diverged in [vec![], vec![0], vec![1], vec![0, 2], vec![0, 1, 2]] {
        let mut runs = runs.clone();
        for &i in &diverged {
            runs[i].divergence = Some(Divergence { epoch: 1, quantity: "a loss".into() });
            runs[i].parameters.weight[0] = f32::NAN;
        }
        let found = outcomes_of(&runs, split, &normalizer).unwrap();
        let scored = scores_of(&runs, split, &normalizer, &()).unwrap();
        assert_eq!((found.len(), scored.len()), (3, 3));
        for (i, run) in runs.iter().enumerate() {
            let expected = (!diverged.contains(&i)).then(|| alone(run));
            assert_eq!(scored[i], expected.as_ref().map(|expected| expected.scores(0.5)), "{diverged:?} {i}");
            assert_eq!(found[i], expected, "{diverged:?} {i}");
        }
    }
    assert_eq!(outcomes_of(&[], split, &normalizer).unwrap(), []);
}

#[test]
fn scores_that_are_not_finite_are_missing() {
    let splits = splits();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    // The penalty of a single weight of 3 · 10³⁸ is 9 · 10⁷⁶; the loss of its class is infinite.
    let mut large = run(Setting::new(1.0, 0.1).unwrap(), Vec::new());
    large.parameters.weight[0] = 3e38;
    let small = run(Setting::REPORT[1], Vec::new());
    let found = scores_of(&[large, small], &splits.test, &normalizer, &()).unwrap();
    assert_eq!(found[0], None);
    let guessing = found[1].unwrap();
    assert!((guessing.loss - 3.0_f64.ln()).abs() < 1e-6, "{guessing:?}");
}

#[test]
fn an_evaluation_stops_where_its_observer_asks() {
    struct Stopped;
    impl Observer for Stopped {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let splits = splits();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let runs = [run(Setting::REPORT[1], Vec::new())];
    assert!(matches!(scores_of(&runs, &splits.test, &normalizer, &Stopped), Err(Error::Interrupted)));
}

#[test]
fn a_warning_is_a_message_unless_it_is_treated_otherwise_and_nothing_is_interrupted() {
    #[derive(Default)]
    struct Messages(Vec<String>);
    impl Observer for Messages {
        fn message(&mut self, text: &str) {
            self.0.push(text.into());
        }
    }
    let mut messages = Messages::default();
    messages.warning("a warning");
    messages.message("a message");
    assert_eq!(messages.0, ["a warning", "a message"]);
    assert!(!messages.interrupted());
}

#[test]
fn the_hyperparameters_of_a_job_are_those_of_its_member_its_schedule_and_its_start() {
    let splits = splits();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let schedule = Schedule { epochs: 3, batch_size: 25, seed: 7, ..Schedule::REPORT };
    let start = Start::from_file(Parameters::zeros(DIMS));
    let job = Job {
        settings: &Setting::REPORT,
        schedule: &schedule,
        start: &start,
        splits: &splits,
        names: &["a", "b", "c"].map(String::from),
        files: &[],
        normalizer: &normalizer,
    };
    let found = job.hyperparameters(Setting::REPORT[3]);
    assert_eq!((found.lambda, found.eta, found.epochs, found.batch_size, found.seed), (1.0, 0.001, 3, 25, 7));
    assert!(matches!(found.start, Origin::File(sha256) if sha256.len() == 64));
}
