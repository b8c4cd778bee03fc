//! Trainings epoch by epoch: their steps, scores, reports and divergences, and states that are refused.

use super::*;
use crate::dataset::cifar10::{DIMS, SIDE};
use crate::dataset::normalizer::Normalizer;
use crate::dataset::tests::few;
use crate::network::passes;
use crate::shape::Dims;
use crate::train::random_start;

const SCHEDULE: Schedule = Schedule { epochs: 2, batch_size: 25, ..Schedule::REPORT };

fn trained(train: &Dataset, normalizer: &Normalizer, schedule: &Schedule) -> Parameters {
    let data = Data { train, validation: train, normalizer };
    let (runs, _) =
        crate::train::train(data, &[Setting::REPORT[2]], schedule, &random_start(DIMS, schedule.seed), &mut ())
            .unwrap();
    runs[0].parameters.clone()
}

#[test]
fn a_training_with_every_image_flipped_is_one_on_mirrored_images() {
    let train = few().train;
    let normalizer = Normalizer::fit(&train).unwrap();
    let rows = |i: usize| train.image(i).chunks(SIDE).flat_map(|row| row.iter().rev().copied()).collect::<Vec<u8>>();
    let pixels = (0..train.len()).flat_map(rows).collect();
    let mirrored = Dataset::new(DIMS, pixels, train.labels().to_vec()).unwrap();
    let flipped = trained(&train, &normalizer, &Schedule { flip: 1.0, ..SCHEDULE });
    assert_eq!(flipped, trained(&mirrored, &normalizer, &SCHEDULE));
    let never = trained(&train, &normalizer, &SCHEDULE);
    let half = trained(&train, &normalizer, &Schedule { flip: 0.5, ..SCHEDULE });
    assert!(never != flipped && half != never && half != flipped);
}

const SMALL: Dims = Dims { features: 32, classes: 3 };

/// 110 examples, so that a training takes no time.
fn small() -> Dataset {
    let pixels = (0..110 * 32_u32).map(|i| (i * i % 241) as u8).collect();
    Dataset::new(SMALL, pixels, (0..110_u32).map(|i| (i * i % 7 % 3) as u8).collect()).unwrap()
}

fn plateau() -> Setting {
    Setting::new(0.0, 0.01).unwrap().with_decay(Some("plateau1x0.5".parse().unwrap()))
}

#[test]
fn a_training_takes_the_steps_of_plain_loops_over_the_batches_of_each_epoch() {
    let train = small();
    let normalizer = Normalizer::fit(&train).unwrap();
    // The second epoch has half the learning rate.
    let setting = Setting::new(0.1, 0.01).unwrap().with_decay(Some("1x0.5".parse().unwrap()));
    let data = Data { train: &train, validation: &train, normalizer: &normalizer };
    let start = random_start(SMALL, 1);
    let (runs, _) = crate::train::train(data, &[setting], &SCHEDULE, &start, &mut ()).unwrap();
    let mut expected = start.clone();
    for (epoch, eta) in [(1, 0.01), (2, 0.005)] {
        for indices in crate::train::epoch_order(&SCHEDULE, epoch, train.len()).chunks(25) {
            let x = normalizer.apply(&train, indices.iter().copied());
            let labels: Vec<u8> = indices.iter().map(|&i| train.labels()[i]).collect();
            let (_, dlogits) = passes::loss(setting.loss(), &passes::forward(&expected, &x), &labels);
            let gradients = passes::backward(&expected, &x, &dlogits, 0.1);
            passes::update(&mut expected, &gradients, eta);
        }
    }
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let found = &runs[0].parameters;
    let (weight, bias) = (far(&found.weight, &expected.weight), far(&found.bias, &expected.bias));
    assert!(weight < 1e-6 && bias < 1e-6, "{weight} {bias}");
    assert!(far(&found.weight, &start.weight) > 1e-3, "something was trained");
    let rates: Vec<_> = runs[0].epochs.iter().map(|epoch| (epoch.number, epoch.learning_rate)).collect();
    assert_eq!(rates, [(1, 0.01), (2, 0.005)]);
}

#[test]
fn each_batch_and_each_epoch_of_each_member_is_reported_once_in_order() {
    #[derive(Default)]
    struct Seen(Vec<(usize, usize, usize)>, Vec<(usize, usize)>);
    impl Observer for Seen {
        fn batch_done(&mut self, epoch: usize, done: usize, total: usize) {
            self.0.push((epoch, done, total));
        }

        fn epoch_done(&mut self, member: usize, epoch: &Epoch) {
            self.1.push((member, epoch.number));
        }
    }
    let (train, validation) = (small(), small());
    let normalizer = Normalizer::fit(&train).unwrap();
    let data = Data { train: &train, validation: &validation, normalizer: &normalizer };
    let (mut seen, began) = (Seen::default(), Instant::now());
    let settings = [Setting::REPORT[1], Setting::REPORT[2]];
    let mut trainer = Trainer::new(data, &settings, &SCHEDULE, &random_start(SMALL, 1)).unwrap();
    assert!(!trainer.is_done());
    trainer.epoch(&mut seen).unwrap();
    assert!(!trainer.is_done());
    assert_eq!((trainer.state().epochs(), trainer.state().batches), (1, 0));
    trainer.epoch(&mut seen).unwrap();
    assert!(trainer.is_done());
    // 110 images in batches of 25.
    let batches: Vec<_> = (1..=2).flat_map(|epoch| (1..=5).map(move |done| (epoch, done, 5))).collect();
    assert_eq!((seen.0, seen.1), (batches, vec![(0, 1), (1, 1), (0, 2), (1, 2)]));
    let (runs, timings) = trainer.finish();
    let seconds: Vec<f64> = runs.iter().map(Run::seconds).collect();
    assert_eq!(seconds[0], seconds[1], "each member has its share");
    let (sum, counted) = (seconds[0] + seconds[1], (timings.train + timings.evaluate).as_secs_f64());
    assert!(counted * 0.99 < sum && sum <= began.elapsed().as_secs_f64());
    assert!(runs.iter().all(|run| run.snapshots.is_empty()), "unless they are asked for");
}

#[test]
#[should_panic(expected = "there is no epoch left")]
fn a_training_that_is_done_has_no_further_epoch() {
    let train = small();
    let normalizer = Normalizer::fit(&train).unwrap();
    let data = Data { train: &train, validation: &train, normalizer: &normalizer };
    let schedule = Schedule { epochs: 1, ..SCHEDULE };
    let mut trainer = Trainer::new(data, &Setting::REPORT[..1], &schedule, &random_start(SMALL, 1)).unwrap();
    for _ in 0..2 {
        trainer.epoch(&mut ()).unwrap();
    }
}

#[test]
fn a_state_that_the_schedule_does_not_pass_through_is_refused() {
    let epoch = |number| Epoch { number, learning_rate: 0.1, scores: None, seconds: 0.0 };
    let state = |epochs: usize, batches: usize| {
        let mut state = State::new(&Setting::REPORT[..2], &Parameters::zeros(SMALL));
        state.batches = batches;
        state.runs.iter_mut().for_each(|run| run.epochs = (1..=epochs).map(epoch).collect());
        state
    };
    // Two epochs of five batches.
    let refusal = |state: &State| state.validate(&SCHEDULE, 110).err().map(|error| error.to_string());
    for (epochs, batches) in [(0, 0), (0, 5), (1, 0), (1, 5), (2, 0)] {
        assert_eq!(refusal(&state(epochs, batches)), None, "{epochs} {batches}");
    }
    for (epochs, batches) in [(0, 6), (1, 6), (2, 1), (2, 6)] {
        let words = format!("batches that are trained must be at most the 5 that are left, but is {batches}");
        assert_eq!(refusal(&state(epochs, batches)), Some(words));
    }
    let words = "epochs that are trained must be at most 2, but is 3";
    assert_eq!(refusal(&state(3, 0)).as_deref(), Some(words));
    let none = State { runs: Vec::new(), ..state(0, 0) };
    assert_eq!(refusal(&none).as_deref(), Some("settings must be at least one, but is none"));
    let mut uneven = state(1, 0);
    uneven.runs[1].epochs.clear();
    let words = "epochs and snapshots must be 1 and 0 for each setting, but is 0 and 0 for lambda0_eta0.001";
    assert_eq!(refusal(&uneven).as_deref(), Some(words));
    let mut without = State { keep_snapshots: true, ..state(1, 0) };
    let words = "epochs and snapshots must be 1 and 1 for each setting, but is 1 and 0 for lambda0_eta0.1";
    assert_eq!(refusal(&without).as_deref(), Some(words));
    without.runs.iter_mut().for_each(|run| run.snapshots.push(Vec::new()));
    assert_eq!(refusal(&without), None);
    let unwanted = State { keep_snapshots: false, ..without };
    assert!(refusal(&unwanted).unwrap().contains("must be 1 and 0 for each setting, but is 1 and 1"));
}

#[test]
fn a_split_is_evaluated_if_it_is_wanted_or_a_learning_rate_depends_on_it() {
    let (train, validation) = (small(), small());
    let normalizer = Normalizer::fit(&train).unwrap();
    let empty = Dataset::new(SMALL, Vec::new(), Vec::new()).unwrap();
    let settings = [Setting::REPORT[1], plateau()];
    let start = random_start(SMALL, 1);
    let trainer = |validation, settings: &[Setting]| {
        Trainer::new(Data { train: &train, validation, normalizer: &normalizer }, settings, &SCHEDULE, &start)
    };
    let scored = |mut trainer: Trainer| {
        trainer.epoch(&mut ()).unwrap();
        let scores = trainer.state().runs.iter().map(|run| run.epochs[0].scores.unwrap());
        scores.map(|scores| (scores.train.is_some(), scores.validation.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(scored(trainer(&validation, &settings).unwrap()), [(true, true), (true, true)]);
    let without = trainer(&validation, &settings).unwrap().without_evaluation();
    assert_eq!(scored(without), [(false, false), (false, true)]);
    assert_eq!(scored(trainer(&empty, &settings[..1]).unwrap()), [(true, false)]);
    assert_eq!(scored(trainer(&empty, &settings[..1]).unwrap().without_evaluation()), [(false, false)]);
    assert_eq!(
        trainer(&empty, &settings).unwrap_err().to_string(),
        "validation-size must be above 0 for a decay on plateaus of the validation loss, but is 0"
    );
}

#[test]
fn snapshots_are_kept_after_each_epoch_if_they_are_wanted() {
    let train = small();
    let normalizer = Normalizer::fit(&train).unwrap();
    let data = Data { train: &train, validation: &train, normalizer: &normalizer };
    let state = State { keep_snapshots: true, ..State::new(&Setting::REPORT[..1], &random_start(SMALL, 1)) };
    let mut trainer = Trainer::resume(data, &SCHEDULE, state).unwrap();
    let mut expected = Vec::new();
    while !trainer.is_done() {
        trainer.epoch(&mut ()).unwrap();
        expected.push(snapshot(&trainer.state().runs[0].parameters));
    }
    assert_eq!(trainer.state().runs[0].snapshots, expected);
    assert_ne!(expected[0], expected[1]);
}

#[test]
fn the_first_number_that_is_not_finite_is_named() {
    let dims = Dims { features: 2, classes: 2 };
    let name = |weight: [f32; 4], bias: [f32; 2], train: Option<[f64; 2]>, validation: Option<[f64; 2]>| {
        let scores = |s: Option<[f64; 2]>| s.map(|[loss, cost]| Scores { loss, cost, accuracy: 0.5 });
        let parameters = Parameters { dims, weight: weight.into(), bias: bias.into() };
        not_finite(&SplitScores { train: scores(train), validation: scores(validation) }, &parameters)
    };
    let (w, b, good) = ([0.0; 4], [0.0; 2], Some([1.0, 2.0]));
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    for (found, expected) in [
        (name(w, b, good, good), None),
        (name(w, b, None, None), None),
        (name([0.0, 1.0, f32::NAN, f32::INFINITY], b, good, good), Some("weight element 2")),
        (name([0.0, f32::NEG_INFINITY, 0.0, 0.0], [f32::NAN; 2], None, None), Some("weight element 1")),
        (name(w, [0.0, f32::INFINITY], Some([nan, nan]), good), Some("bias element 1")),
        (name(w, b, Some([nan, inf]), Some([nan, nan])), Some("the training loss")),
        (name(w, b, Some([1.0, inf]), Some([nan, nan])), Some("the training cost")),
        (name(w, b, good, Some([inf, inf])), Some("the validation loss")),
        (name(w, b, None, Some([1.0, nan])), Some("the validation cost")),
    ] {
        assert_eq!(found.as_deref(), expected);
    }
}

#[test]
fn the_first_batch_whose_loss_is_not_finite_is_the_divergence_of_its_setting_alone() {
    let train = few().train;
    let normalizer = Normalizer::fit(&train).unwrap();
    let data = Data { train: &train, validation: &train, normalizer: &normalizer };
    let settings = [Setting::REPORT[1], Setting::new(0.0, 1e38).unwrap()];
    let (runs, _) = crate::train::train(data, &settings, &SCHEDULE, &random_start(DIMS, 1), &mut ()).unwrap();
    assert_eq!(runs[0].divergence, None);
    assert!(runs[0].epochs.iter().all(|epoch| epoch.scores.is_some()));
    // The loss of the first batch is that of the start.
    let expected = Divergence { epoch: 1, quantity: "the loss of batch 2".into() };
    assert_eq!(runs[1].divergence, Some(expected));
    assert!(runs[1].epochs.iter().all(|epoch| epoch.scores.is_none()));
    assert_eq!(runs[1].epochs.len(), 2);
}

#[test]
fn a_start_that_is_not_finite_is_refused() {
    let train = small();
    let normalizer = Normalizer::fit(&train).unwrap();
    let data = Data { train: &train, validation: &train, normalizer: &normalizer };
    let mut start = random_start(SMALL, 1);
    start.weight[5] = f32::NAN;
    let error = Trainer::new(data, &Setting::REPORT[..1], &SCHEDULE, &start).unwrap_err();
    assert_eq!(error.to_string(), "weight must be finite, but element 5 is NaN");
}
