//! Ways of recording a training whose scores are all different numbers.

use std::sync::LazyLock;

use super::*;
use crate::dataset::Splits;
use crate::dataset::normalizer::Normalizer;
use crate::dataset::tests::few;
use crate::hyperparameters::{Hyperparameters, Schedule, Setting};

/// The score of a place at a moment: no two are alike.
pub fn score(place: Place, epoch: usize) -> Score {
    let (p, t) = (place as usize as f64, epoch as f64);
    let accuracy = Some(0.3 + 0.05 * p + 0.01 * t);
    Score { loss: 1.0 + 0.1 * p + 0.01 * t, accuracy, squared_weight: 2.0 + t, squared_bias: 0.5 + p }
}

const PLACES: [Place; super::PLACES] = [
    Place::Train,
    Place::Validation,
    Place::OwnValidation,
    Place::TrainedOn,
    Place::BatchBefore,
    Place::BatchAfter,
    Place::BatchMean,
];

/// A training of two epochs that was scored at all places.
pub fn trace() -> Trace {
    let moments = (0..3).map(|epoch| PLACES.map(|place| Some(score(place, epoch)))).collect();
    Trace { mistake: None, moments, states: Vec::new(), test: [0.4, 0.7], is_complete: true }
}

const LAMBDA: f64 = 0.25;

/// A plan of two epochs.
pub fn with_plan<R>(of: impl FnOnce(&Plan) -> R) -> R {
    static DATA: LazyLock<(Splits, Normalizer)> = LazyLock::new(|| {
        let splits = few();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        (splits, normalizer)
    });
    let (splits, normalizer) = &*DATA;
    let (setting, schedule) = (Setting::new(LAMBDA, 0.1).unwrap(), Schedule { epochs: 2, ..Schedule::REPORT });
    of(&Plan { setting, schedule, splits, normalizer, has_curves: true })
}

pub fn curve(split: Split, kind: Kind, first_epoch: usize, values: &[f64]) -> Curve {
    Curve { name: "train_loss", split, kind, first_epoch, values: values.to_vec() }
}

/// A record of these curves alone.
pub fn record(curves: Vec<Curve>) -> Record {
    Record {
        parameters: None,
        start: None,
        curves,
        test_accuracy: None,
        is_f32: false,
        is_transposed: false,
        hyperparameters: Hyperparameters::default(),
        defaults: Vec::new(),
        overridden: Vec::new(),
        unread: Vec::new(),
    }
}

fn reads(mistake: Reading) -> Readings {
    Readings { mistake: Some(mistake), ..Readings::RIGHT }
}

/// The value after epoch 2, for a curve that begins with epoch 1.
fn last(readings: Readings, split: Split, kind: Kind) -> Option<f64> {
    with_plan(|plan| readings.value(plan, &trace(), &curve(split, kind, 1, &[0.0; 2]), 2))
}

#[test]
fn each_way_of_recording_has_its_place() {
    let of = |readings: Readings, places: [Place; 2]| {
        for (split, place) in [Split::Train, Split::Validation].into_iter().zip(places) {
            let Score { loss, accuracy, squared_weight, .. } = score(place, 2);
            assert_eq!(last(readings, split, Kind::Loss), Some(loss), "{readings:?} {place:?}");
            assert_eq!(last(readings, split, Kind::Accuracy), accuracy, "{readings:?} {place:?}");
            let cost = (place != Place::BatchMean).then_some(loss + LAMBDA * squared_weight);
            assert_eq!(last(readings, split, Kind::Cost), cost, "{readings:?} {place:?}");
        }
    };
    of(Readings::RIGHT, [Place::Train, Place::Validation]);
    of(Readings { on_trained: true, ..Readings::RIGHT }, [Place::TrainedOn, Place::Validation]);
    of(reads(Reading::LastBatchBefore), [Place::BatchBefore, Place::Validation]);
    of(reads(Reading::LastBatchAfter), [Place::BatchAfter, Place::Validation]);
    of(reads(Reading::MeanOfBatches), [Place::BatchMean, Place::Validation]);
    of(reads(Reading::OwnStatistics), [Place::Train, Place::OwnValidation]);
}

#[test]
fn loss_and_cost_differ_by_the_penalty() {
    let Score { loss, squared_weight, squared_bias, .. } = score(Place::Train, 2);
    let both = |readings| [Kind::Loss, Kind::Cost].map(|kind| last(readings, Split::Train, kind).unwrap());
    let cost = loss + LAMBDA * squared_weight;
    assert_eq!(both(reads(Reading::CostForLoss)), [cost; 2]);
    assert_eq!(both(reads(Reading::LossForCost)), [loss; 2]);
    assert_eq!(both(reads(Reading::HalfPenalty)), [loss, loss + LAMBDA * squared_weight / 2.0]);
    assert_eq!(both(reads(Reading::BiasInCost)), [loss, cost + LAMBDA * squared_bias]);
    let thrice = Readings { penalty: 3.0, ..Readings::RIGHT };
    assert_eq!(both(thrice), [loss, loss + 3.0 * LAMBDA * squared_weight]);
}

#[test]
fn a_curve_from_before_each_epoch_is_one_epoch_late_unless_it_begins_with_the_start() {
    with_plan(|plan| {
        let (before, trace) = (reads(Reading::BeforeEpoch), trace());
        let value =
            |first_epoch, epoch| before.value(plan, &trace, &curve(Split::Train, Kind::Loss, first_epoch, &[]), epoch);
        let loss = |epoch| Some(score(Place::Train, epoch).loss);
        assert_eq!([value(1, 1), value(1, 2)], [loss(0), loss(1)]);
        assert_eq!([value(0, 0), value(0, 2)], [loss(0), loss(2)]);
        assert_eq!([value(1, 0), value(1, 4)], [None; 2], "outside the training");
    });
}

#[test]
fn a_run_differs_by_its_largest_difference_and_departs_at_the_first_above_the_tolerance() {
    with_plan(|plan| {
        let trace = trace();
        let of = |kind, first_epoch, values: &[f64]| {
            Readings::RIGHT.difference(plan, &trace, &curve(Split::Train, kind, first_epoch, values), 0.01)
        };
        // Losses of 1.01 and 1.02, costs of 1.76 and 2.02.
        let agrees = of(Kind::Loss, 1, &[1.01, 1.025]);
        assert!(agrees.departs.is_none() && agrees.largest == agrees.absolute / 1.02, "{agrees:?}");
        assert!((agrees.absolute - 0.005).abs() < 1e-12);
        let departs = of(Kind::Loss, 1, &[1.01, 1.12]);
        assert_eq!(departs.departs, Some((2, 1.12, 1.02)));
        let start = of(Kind::Loss, 0, &[1.5, 1.51, 1.02]);
        assert_eq!(start.departs, Some((0, 1.5, 1.0)), "the first, not the largest");
        let cost = of(Kind::Cost, 1, &[1.76, 1.02]);
        assert!((cost.largest - 1.0 / 2.02).abs() < 1e-12 && (cost.absolute - 1.0).abs() < 1e-12, "{cost:?}");
        // 3 of 110 images may lie between two classes, 4 may not.
        let images = |count: f64| of(Kind::Accuracy, 1, &[0.31 - count / 110.0, 0.32 + count / 110.0]);
        assert_eq!((images(3.0).largest, images(3.0).departs), (0.0, None));
        let four = images(4.0);
        assert!((four.largest - 4.0 / 110.0).abs() < 1e-12 && four.departs.unwrap().0 == 1, "{four:?}");
        let nan = of(Kind::Loss, 1, &[f64::NAN, 1.02]);
        assert!(nan.largest.is_nan() && nan.departs.unwrap().0 == 1, "{nan:?}");
        // Losses below 1 are compared as they are.
        let mut below = trace.clone();
        below.moments[1][Place::Train as usize].as_mut().unwrap().loss = 0.5;
        let small = curve(Split::Train, Kind::Loss, 1, &[0.75]);
        assert_eq!(Readings::RIGHT.difference(plan, &below, &small, 1.0).largest, 0.25);
    });
}

#[test]
fn what_is_left_is_the_largest_of_curves_test_accuracy_and_parameters() {
    use crate::dataset::cifar10::DIMS;
    use crate::network::Parameters;
    with_plan(|plan| {
        let right = Readings::RIGHT;
        let with = |weight: f32| Parameters::new(DIMS, vec![weight; 30_720], vec![0.0; 10]).unwrap();
        let trace = Trace { states: vec![with(0.5)], ..trace() };
        let exact = record(vec![curve(Split::Train, Kind::Loss, 1, &[1.01, 1.02])]);
        assert_eq!(right.unexplained(plan, &trace, &exact), 0.0);
        let loss = record(vec![curve(Split::Train, Kind::Loss, 1, &[1.01, 1.53])]);
        assert!((right.unexplained(plan, &trace, &loss) - 0.5).abs() < 1e-12);
        let test = Record { test_accuracy: Some(0.7), ..exact.clone() };
        assert!((right.unexplained(plan, &trace, &test) - 0.3).abs() < 1e-12);
        assert_eq!(reads(Reading::OwnStatistics).unexplained(plan, &trace, &test), 0.0);
        // Half as large: 0.5 of the largest weight, a thirtieth of which counts.
        let parameters = Record { parameters: Some(with(0.25)), ..exact.clone() };
        assert!((right.unexplained(plan, &trace, &parameters) - 0.5 / 30.0).abs() < 1e-9);
        // One that was not followed to the end has neither.
        let followed = Trace { is_complete: false, ..trace.clone() };
        assert_eq!(right.unexplained(plan, &followed, &test), 0.0);
        assert_eq!(right.unexplained(plan, &followed, &parameters), 0.0);
        // Of a mean of costs nothing is known.
        let cost = record(vec![curve(Split::Train, Kind::Cost, 1, &[1.76, 2.02])]);
        assert!(right.unexplained(plan, &trace, &cost) < 1e-12);
        assert!(reads(Reading::MeanOfBatches).unexplained(plan, &trace, &cost).is_nan());
        let both = record(vec![cost.curves[0].clone(), exact.curves[0].clone()]);
        assert!(!reads(Reading::MeanOfBatches).unexplained(plan, &trace, &both).is_nan());
    });
}

#[test]
fn the_test_accuracy_departs_by_more_images_than_may_lie_between_two_classes() {
    with_plan(|plan| {
        let departs = |found: f64| {
            let record = Record { test_accuracy: Some(found), ..record(Vec::new()) };
            Readings::RIGHT.test_accuracy(plan, &trace(), &record).unwrap()
        };
        // 60 test images.
        let [near, far] = [departs(0.4 + 3.0 / 60.0), departs(0.4 - 4.0 / 60.0)];
        assert!(near.departs.is_none() && near.largest == 0.0 && (near.absolute - 0.05).abs() < 1e-12);
        assert_eq!(far.departs, Some((2, 0.4 - 4.0 / 60.0, 0.4)));
        assert!((far.absolute - 4.0 / 60.0).abs() < 1e-12);
        assert!(departs(f64::NAN).departs.is_some());
        assert_eq!(Readings::RIGHT.test_accuracy(plan, &trace(), &record(Vec::new())), None);
    });
}

#[test]
fn a_rough_comparison_takes_the_mean_over_the_epochs() {
    with_plan(|plan| {
        let record = record(vec![
            curve(Split::Train, Kind::Loss, 1, &[1.01 * 2.0, 1.02 / 8.0]),
            curve(Split::Train, Kind::Accuracy, 1, &[0.31, 0.42]),
            // The start is not compared: it is the same for all.
            curve(Split::Validation, Kind::Loss, 0, &[9.0, 1.11, 1.12 * 4.0]),
        ]);
        let rough = Readings::RIGHT.roughness(plan, &trace(), &record);
        let ln2 = std::f64::consts::LN_2;
        for (found, expected) in rough.iter().zip([2.0 * ln2, 0.05, ln2]) {
            assert!((found - expected).abs() < 1e-12, "{rough:?}");
        }
        let same = Readings::RIGHT.curves_of(plan, &trace(), &record);
        let values = |curve: &Curve| curve.values.clone();
        assert_eq!(values(&same[0]), [1.01, 1.02]);
        assert_eq!(values(&same[1]), [0.31, 0.32]);
        assert_eq!(values(&same[2]), [1.1, 1.1 + 0.01, 1.1 + 0.02]);
    });
}
