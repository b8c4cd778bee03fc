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
pub(super) mod tests;
