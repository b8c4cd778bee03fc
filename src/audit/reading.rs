//! How the curves of a run can be recorded, and what a training leaves unexplained of them.

use std::fmt;

use super::record::{Curve, Kind, Record, Split};
use super::training::{Plan, Score, Trace};

/// Where a score is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The training split.
    Train,
    /// The validation split.
    Validation,
    /// The validation split, normalised by its own statistics.
    OwnValidation,
    /// The split that is trained on, if that is not the training split.
    TrainedOn,
    /// The last batch of the epoch, before its step.
    BatchBefore,
    /// The last batch of the epoch, after its step.
    BatchAfter,
    /// The mean over the batches of the epoch, each before its step.
    BatchMean,
}

/// The number of places.
pub(super) const PLACES: usize = 7;

/// A way of recording that is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// The losses are the costs.
    CostForLoss,
    /// The costs are the losses.
    LossForCost,
    /// The penalty in the cost is halved.
    HalfPenalty,
    /// The penalty in the cost has the bias too.
    BiasInCost,
    /// The scores are those before the epoch.
    BeforeEpoch,
    /// The training scores are those of the last batch, before its step.
    LastBatchBefore,
    /// The training scores are those of the last batch, after its step.
    LastBatchAfter,
    /// The training scores are means over the batches of the epoch.
    MeanOfBatches,
    /// The validation and the test split are normalised by their own statistics.
    OwnStatistics,
}

impl Reading {
    /// All of them.
    pub(super) const ALL: [Self; 9] = [
        Self::CostForLoss,
        Self::LossForCost,
        Self::HalfPenalty,
        Self::BiasInCost,
        Self::BeforeEpoch,
        Self::LastBatchBefore,
        Self::LastBatchAfter,
        Self::MeanOfBatches,
        Self::OwnStatistics,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::CostForLoss => "the loss is recorded with the penalty: it is the cost",
            Self::LossForCost => "the cost is recorded without the penalty: it is the loss",
            Self::HalfPenalty => "the penalty in the cost is halved",
            Self::BiasInCost => "the penalty in the cost has the bias too",
            Self::BeforeEpoch => "the scores are taken before each epoch instead of after it",
            Self::LastBatchBefore => "the training scores are those of the last batch, before its step",
            Self::LastBatchAfter => "the training scores are those of the last batch, after its step",
            Self::MeanOfBatches => "the training scores are means over the batches of the epoch, while it goes on",
            Self::OwnStatistics => "the validation and test split are normalised by their own statistics",
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How a run is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Readings {
    /// The mistake in recording it, if there is one.
    pub mistake: Option<Reading>,
    /// True if the training curves are those of the split that is trained on.
    pub on_trained: bool,
    /// The factor of the penalty in the cost, where the gradient has it too.
    pub penalty: f64,
}

/// What a curve has, and what a training has instead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The largest difference over all epochs, of losses and costs relative to what is expected if that is above 1.
    pub largest: f64,
    /// The largest difference over all epochs as it is.
    pub absolute: f64,
    /// The epoch of the first difference above the tolerance, 0 for the start, with what the run and the training have.
    pub departs: Option<(usize, f64, f64)>,
}

impl Readings {
    /// The right way.
    pub const RIGHT: Self = Self { mistake: None, on_trained: false, penalty: 1.0 };

    fn has(&self, reading: Reading) -> bool {
        self.mistake == Some(reading)
    }

    /// The value that `trace` has for `curve` after `epoch`; `None` where the curve says nothing.
    fn value(&self, plan: &Plan, trace: &Trace, curve: &Curve, epoch: usize) -> Option<f64> {
        let is_train = curve.split == Split::Train;
        let place = match curve.split {
            Split::Train if self.on_trained => Place::TrainedOn,
            Split::Train if self.has(Reading::LastBatchBefore) => Place::BatchBefore,
            Split::Train if self.has(Reading::LastBatchAfter) => Place::BatchAfter,
            Split::Train if self.has(Reading::MeanOfBatches) => Place::BatchMean,
            Split::Validation if self.has(Reading::OwnStatistics) => Place::OwnValidation,
            Split::Train => Place::Train,
            Split::Validation => Place::Validation,
        };
        let shift = usize::from(self.has(Reading::BeforeEpoch) && curve.first_epoch > 0);
        let score = trace.moments.get(epoch.checked_sub(shift)?)?[place as usize]?;
        // The penalty changes within an epoch, so there is no mean of the cost.
        let is_mean = is_train && self.has(Reading::MeanOfBatches);
        match curve.kind {
            Kind::Accuracy => score.accuracy,
            Kind::Loss if self.has(Reading::CostForLoss) => (!is_mean).then(|| self.cost(plan, score)),
            Kind::Cost if !self.has(Reading::LossForCost) => (!is_mean).then(|| self.cost(plan, score)),
            Kind::Loss | Kind::Cost => Some(score.loss),
        }
    }

    fn cost(&self, plan: &Plan, score: Score) -> f64 {
        let half = if self.has(Reading::HalfPenalty) { 0.5 } else { 1.0 };
        let bias = if self.has(Reading::BiasInCost) { score.squared_bias } else { 0.0 };
        score.loss + half * self.penalty * plan.setting.lambda() * (score.squared_weight + bias)
    }

    /// How far `curve` is from that of `trace`; differences up to `tolerance` are none.
    pub fn difference(&self, plan: &Plan, trace: &Trace, curve: &Curve, tolerance: f64) -> Difference {
        let mut difference = Difference { largest: 0.0, absolute: 0.0, departs: None };
        for (i, &found) in curve.values.iter().enumerate() {
            let epoch = curve.first_epoch + i;
            let Some(expected) = self.value(plan, trace, curve, epoch) else { continue };
            let distance = distance(curve.kind, found, expected, plan.splits.train.len());
            difference.largest = largest([difference.largest, distance].into_iter());
            difference.absolute = largest([difference.absolute, (found - expected).abs()].into_iter());
            // A NaN is no agreement.
            if difference.departs.is_none() && (distance > tolerance || distance.is_nan()) {
                difference.departs = Some((epoch, found, expected));
            }
        }
        difference
    }

    /// The largest difference of `record` from `trace` that is left: over all curves, the parameters and the test accuracy.
    pub fn unexplained(&self, plan: &Plan, trace: &Trace, record: &Record) -> f64 {
        if [Split::Train, Split::Validation].iter().any(|&split| self.says_nothing(plan, trace, record, split)) {
            return f64::NAN;
        }
        let curves = record.curves.iter().map(|curve| self.difference(plan, trace, curve, f64::INFINITY).largest);
        if !trace.is_complete {
            return largest(curves);
        }
        let test = self.test_accuracy(plan, trace, record).map(|difference| difference.largest);
        let parameters = record.distance_of_parameters(trace).map(|distance| distance / PARAMETER_FACTOR);
        largest(curves.chain(test).chain(parameters))
    }

    /// How far the test accuracy of `record` is from that of `trace`; `None` if there is none.
    pub fn test_accuracy(&self, plan: &Plan, trace: &Trace, record: &Record) -> Option<Difference> {
        let expected = trace.test[usize::from(self.has(Reading::OwnStatistics))];
        let found = record.test_accuracy?;
        let largest = distance(Kind::Accuracy, found, expected, plan.splits.test.len());
        let departs = (largest > record.tolerance() || largest.is_nan()).then_some(());
        let absolute = (found - expected).abs();
        Some(Difference { largest, absolute, departs: departs.map(|()| (plan.schedule.epochs, found, expected)) })
    }

    /// True if `record` has curves of `split`, of which this says nothing.
    fn says_nothing(&self, plan: &Plan, trace: &Trace, record: &Record, split: Split) -> bool {
        let mut curves = record.curves.iter().filter(|curve| curve.split == split).peekable();
        curves.peek().is_some() && !curves.any(|curve| self.says(plan, trace, curve, 1))
    }

    /// True if this says anything of `curve` after `epoch`.
    pub fn says(&self, plan: &Plan, trace: &Trace, curve: &Curve, epoch: usize) -> bool {
        self.value(plan, trace, curve, epoch).is_some()
    }

    /// How rough an explanation of `record` by `trace` is: for each curve the mean distance over the epochs, of losses and costs
    /// on a logarithmic scale. Trainings that drift apart are compared by it.
    pub fn roughness(&self, plan: &Plan, trace: &Trace, record: &Record) -> Vec<f64> {
        let of_curve = |curve: &Curve| {
            let epochs = curve.first_epoch.max(1)..trace.moments.len();
            let count = epochs.len() as f64;
            let distance = |epoch: usize| {
                let found = curve.values.get(epoch - curve.first_epoch)?;
                let expected = self.value(plan, trace, curve, epoch)?;
                Some(if curve.kind == Kind::Accuracy {
                    (found - expected).abs()
                } else {
                    (found / expected).ln().abs()
                })
            };
            epochs.filter_map(distance).sum::<f64>() / count
        };
        record.curves.iter().map(of_curve).collect()
    }

    /// The curves of `record` as `trace` has them, up to its last epoch.
    pub fn curves_of(&self, plan: &Plan, trace: &Trace, record: &Record) -> Vec<Curve> {
        let of_curve = |curve: &Curve| {
            let epochs = (curve.first_epoch..trace.moments.len()).zip(&curve.values);
            // Where the curve says nothing, it agrees with itself.
            let values = epochs.map(|(epoch, &found)| self.value(plan, trace, curve, epoch).unwrap_or(found));
            Curve { values: values.collect(), ..curve.clone() }
        };
        record.curves.iter().map(of_curve).collect()
    }
}

/// The largest of `values`; NaN if one is.
pub(super) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |a, b| if b <= a || a.is_nan() { a } else { b })
}

/// A parameter may differ by so many times as much as a loss, a mean to which each parameter adds little.
pub(super) const PARAMETER_FACTOR: f64 = 30.0;

/// The number of images that two right trainings may classify differently: those between two classes, to the last digits.
pub(super) const IMAGES_BETWEEN: f64 = 3.0;

/// How far `found` is from `expected`, relative to it above 1; 0 for accuracies that a few of `n` images make.
fn distance(kind: Kind, found: f64, expected: f64, n: usize) -> f64 {
    let distance = (found - expected).abs();
    match kind {
        Kind::Accuracy if distance * n as f64 <= IMAGES_BETWEEN + 0.5 => 0.0,
        Kind::Accuracy => distance,
        Kind::Loss | Kind::Cost => distance / expected.abs().max(1.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
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
            let value = |first_epoch, epoch| {
                before.value(plan, &trace, &curve(Split::Train, Kind::Loss, first_epoch, &[]), epoch)
            };
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
}
