//! Audit of a whole training: is it right, or which known mistake does it have?
//!
//! Right gradients do not make a right training. Given what somebody kept of a run, its final parameters and its curves, this
//! module trains the same: the start and the order of the images are those of the run's NumPy script, so the curves of a right
//! training agree to all the digits that rounding leaves. If they do not, it trains each known mistake over the same stream of
//! batches, and names the one whose curves are those of the run.
//!
//! A name is only given if it explains everything that is there: each value of each curve, the parameters, the test accuracy.

mod drift;
mod end;
mod explanation;
mod mistake;
mod names;
mod rates;
mod reading;
mod record;
#[cfg(test)]
mod tests;
mod training;

pub use end::{End, SEEDS};
pub use explanation::Explanation;
pub use mistake::{Labels, Mistake, Normalisation, OtherSplit, PixelOrder, Rate};
pub use reading::{Difference, Reading};
pub use record::{Curve, Given, Kind, Record, Split};

use crate::dataset::Splits;
use crate::dataset::normalizer::Normalizer;
use crate::error::Result;
use crate::hyperparameters::{Origin, Schedule, Shuffle};
use crate::network::Parameters;
use crate::train::{Observer, Start};
use reading::{PARAMETER_FACTOR, Readings};
use record::{TEST_ACCURACY, TOLERANCE};
use training::{Plan, Trace};

/// The result of an audit.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The largest difference of a right run.
    pub tolerance: f64,
    /// The order of the images that the run is compared with.
    pub shuffle: Shuffle,
    /// True if the run brings its start along.
    pub start_is_given: bool,
    /// True if the weights were drawn as (d,k).
    pub drawn_transposed: bool,
    /// The differences of each curve from the right training, by name.
    pub curves: Vec<(&'static str, Difference)>,
    /// The largest difference of the final parameters from those of the right training, relative to the largest weight.
    pub parameters: Option<f64>,
    /// The difference of the test accuracy from that of the right training.
    pub test_accuracy: Option<Difference>,
    /// All explanations that were tried, the best first.
    pub explanations: Vec<Explanation>,
    /// The number of mistakes that were tried.
    pub tried: usize,
    /// The end of the run, if there is a test accuracy or a model.
    pub end: Option<End>,
}

/// Audits `record`, whose start and order were drawn by the generator of `origin`. `shuffle` is the order of the images if it is
/// known; otherwise it is recognised.
///
/// # Errors
///
/// [`Error::InvalidValue`](crate::Error::InvalidValue) for hyperparameters that do not fit the data,
/// [`Error::Interrupted`](crate::Error::Interrupted) if `observer` asks for it.
pub fn audit(
    record: &Record,
    splits: &Splits,
    origin: &Origin,
    shuffle: Option<Shuffle>,
    observer: &mut dyn Observer,
) -> Result<Audit> {
    let normalizer = Normalizer::fit(&splits.train)?;
    let hyperparameters = &record.hyperparameters;
    let (setting, schedule) = (hyperparameters.setting()?, hyperparameters.schedule());
    let has_curves = !record.curves.is_empty();
    let plan = Plan { setting, schedule, splits, normalizer: &normalizer, has_curves };
    schedule.validate(splits.train.len())?;
    let mut audit = explain(&plan, record, &Base::all(&plan, record, origin, shuffle), observer)?;
    let is_followed = audit.explained().is_some_and(|explained| !explained[0].drifts);
    audit.end = End::new(&plan, record, !is_followed, observer)?;
    Ok(audit)
}

/// The audit with the first of `bases` that explains `record`; if none does, with the most usual one.
fn explain(plan: &Plan, record: &Record, bases: &[Base], observer: &mut dyn Observer) -> Result<Audit> {
    // Most runs are right, or begin so, and show the order of their images at once.
    for base in bases {
        if base.agrees(plan, record, observer)? {
            return base.audit(plan, record, observer);
        }
    }
    let first = bases[0].audit(plan, record, observer)?;
    // Without curves, no mistake can be given up early, and each further base would take as long as the first.
    if first.explained().is_some() || record.curves.is_empty() {
        return Ok(first);
    }
    // The other orders, and the other layout with the most usual order.
    for base in bases[1..].iter().take(3) {
        let audit = base.audit(plan, record, &mut Silent(observer))?;
        if audit.explained().is_some() {
            return Ok(audit);
        }
    }
    Ok(first)
}

/// Drops the messages, which have been given once.
struct Silent<'a>(&'a dyn Observer);

impl Observer for Silent<'_> {
    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
}

/// The right training that a run is compared with.
struct Base {
    start: Parameters,
    shuffle: Shuffle,
    drawn_transposed: bool,
}

impl Base {
    /// The bases that `record` may have, the most usual one first.
    fn all(plan: &Plan, record: &Record, origin: &Origin, shuffle: Option<Shuffle>) -> Vec<Self> {
        let orders = match shuffle {
            Some(shuffle) => vec![shuffle],
            None => vec![Shuffle::NumpyPermutation, Shuffle::NumpyShuffle, Shuffle::None],
        };
        // A script that has W as (d,k) most probably draws it so, but it may also turn it at the end.
        let transposed = match (origin, &record.start) {
            (Origin::Numpy, None) => vec![record.is_transposed, !record.is_transposed],
            _ => vec![false],
        };
        let (dims, seed) = (plan.splits.train.dims(), plan.schedule.seed);
        let base = |shuffle, drawn_transposed| {
            let start = match (&record.start, drawn_transposed) {
                (Some(start), _) => start.clone(),
                (None, false) => Start::drawn(origin, dims, seed).parameters,
                (None, true) => Start::numpy_transposed(dims, seed).parameters,
            };
            Self { start, shuffle, drawn_transposed }
        };
        transposed.iter().flat_map(|&transposed| orders.iter().map(move |&shuffle| base(shuffle, transposed))).collect()
    }

    fn plan<'a>(&self, plan: &Plan<'a>) -> Plan<'a> {
        Plan { schedule: Schedule { shuffle: self.shuffle, ..plan.schedule }, ..*plan }
    }

    /// True if `record` begins as the right training: with its losses in the first two epochs, since the first order of
    /// `permutation` is that of `shuffle`. Without losses, true if the right training explains everything.
    fn agrees(&self, plan: &Plan, record: &Record, observer: &mut dyn Observer) -> Result<bool> {
        if !record.can_be_followed() {
            return Ok(false);
        }
        let mut plan = self.plan(plan);
        if record.has_losses() {
            plan.schedule.epochs = plan.schedule.epochs.min(2);
        }
        let trace = &training::train(&plan, &self.start, &[None], &|_| true, observer)?[0];
        if !record.has_losses() {
            return Ok(Readings::RIGHT.unexplained(&plan, trace, record) <= record.tolerance());
        }
        let departs = |curve: &Curve| Readings::RIGHT.difference(&plan, trace, curve, record.tolerance()).departs;
        Ok(record.curves.iter().all(|curve| departs(curve).is_none()))
    }

    /// The audit of `record` with this base.
    fn audit(&self, plan: &Plan, record: &Record, observer: &mut dyn Observer) -> Result<Audit> {
        let (plan, tolerance) = (self.plan(plan), record.tolerance());
        let mut traces = training::train(&plan, &self.start, &[None], &|_| true, observer)?;
        let mut audit = Audit::of_the_right_training(&plan, self, &traces[0], record);
        if !record.can_be_followed() {
            audit.explanations.clear();
            return Ok(audit);
        }
        if audit.explanations[0].unexplained <= TOLERANCE {
            return Ok(audit);
        }
        observer.message("the run is not the right training to the last digits: training the known mistakes");
        let kept = |trace: &Trace| explanation::is_possible(&plan, trace, record);
        let of_the_stream = Mistake::of_the_stream(plan.setting, record.start.is_some());
        let rates = rates::candidates(&plan, &traces[0], record, tolerance)?;
        let together: Vec<_> = of_the_stream.into_iter().chain(rates).map(Some).collect();
        traces.extend(training::train(&plan, &self.start, &together, &kept, observer)?);
        for mistake in Mistake::of_other_streams(!plan.splits.validation.is_empty()) {
            traces.extend(training::train(&plan, &self.start, &[Some(mistake)], &kept, observer)?);
        }
        audit.explanations = explanation::all(&plan, &traces, record);
        audit.tried = traces.len() - 1 + Reading::ALL.len();
        if audit.explained().is_none() {
            audit.explanations.splice(0..0, drift::explanations(&plan, &self.start, &traces, record, observer)?);
        }
        Ok(audit)
    }
}

impl Audit {
    /// The explanations that are as good as the best: see [`Explanation`]. None if no training explains the run.
    pub fn explained(&self) -> Option<Vec<&Explanation>> {
        explanation::as_good_as_the_best(&self.explanations, self.tolerance)
    }

    /// The names of what agrees with the right training and of what does not, if the right training is followed: a loss or the
    /// parameters agree, which is not by chance.
    pub fn partly_right(&self) -> Option<[Vec<&'static str>; 2]> {
        let curves = self.curves.iter().map(|(name, difference)| (*name, difference.departs.is_none()));
        let parameters = self.parameters_agree().map(|agree| ("W and b", agree));
        let test = self.test_accuracy.map(|difference| (TEST_ACCURACY, difference.departs.is_none()));
        let (agreeing, departing): (Vec<_>, Vec<_>) =
            curves.chain(parameters).chain(test).partition(|&(_, agrees)| agrees);
        let names = [agreeing, departing].map(|of| of.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
        let is_followed = names[0].iter().any(|name| !name.ends_with("accuracy"));
        (is_followed && !names[1].is_empty()).then_some(names)
    }

    /// True if the parameters agree with those of the right training; `None` if the run has none.
    pub fn parameters_agree(&self) -> Option<bool> {
        self.parameters.map(|distance| distance / PARAMETER_FACTOR <= self.tolerance)
    }

    fn of_the_right_training(plan: &Plan, base: &Base, right: &Trace, record: &Record) -> Self {
        let (readings, tolerance) = (Readings::RIGHT, record.tolerance());
        let difference = |curve: &Curve| (curve.name, readings.difference(plan, right, curve, tolerance));
        Self {
            tolerance,
            shuffle: base.shuffle,
            start_is_given: record.start.is_some(),
            drawn_transposed: base.drawn_transposed,
            curves: record.curves.iter().map(difference).collect(),
            parameters: record.distance_of_parameters(right),
            test_accuracy: readings.test_accuracy(plan, right, record),
            explanations: vec![Explanation {
                mistakes: Vec::new(),
                unexplained: readings.unexplained(plan, right, record),
                drifts: false,
            }],
            tried: 0,
            end: None,
        }
    }
}
