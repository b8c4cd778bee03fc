//! Audit of a whole training: is it right, or which known mistake does it have?
//!
//! Right gradients do not make a right training. Given what somebody kept of a run, its final parameters and its curves, this
//! module trains the same: the start and the order of the images are those of the run's NumPy script, so the curves of a right
//! training agree to all the digits that rounding leaves. If they do not, it trains each known mistake over the same stream of
//! batches, and names the one whose curves are those of the run.
//!
//! A name is only given if it explains everything that is there: each value of each curve, the parameters, the test accuracy.

mod drift;
mod mistake;
mod rates;
mod reading;
mod record;
mod training;

pub use mistake::{Labels, Mistake, Normalisation, OtherSplit, PixelOrder, Rate};
pub use reading::{Difference, Reading};
pub use record::{Curve, Given, Kind, Record, Split};

use crate::dataset::Splits;
use crate::dataset::normalizer::Normalizer;
use crate::error::Result;
use crate::hyperparameters::{Schedule, Shuffle};
use crate::network::Parameters;
use crate::train::{Observer, Start};
use reading::Readings;
use record::TOLERANCE;
use training::{Plan, Trace};

/// An explanation with more mistakes must leave this many times less than one with fewer that explains everything.
const WORTH_A_MISTAKE: f64 = 4.0;

/// One explanation of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The mistakes, none for the right training.
    pub mistakes: Vec<Mistake>,
    /// The largest difference that is left: of a loss relative to itself above 1, of an accuracy, or a thirtieth of that of
    /// a parameter relative to the largest weight.
    pub unexplained: f64,
    /// True if the training drifts away from itself as far as the run does, after a change in the last digits of its start.
    pub drifts: bool,
}

/// The result of an audit.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The largest difference of a right run.
    pub tolerance: f64,
    /// The order of the images that the run is compared with.
    pub shuffle: Shuffle,
    /// True if the weights were drawn as (d,k).
    pub drawn_transposed: bool,
    /// The differences of each curve from the right training, by name.
    pub curves: Vec<(&'static str, Difference)>,
    /// The largest difference of the final parameters from those of the right training, relative to the largest weight.
    pub parameters: Option<f64>,
    /// All explanations that were tried, the best first.
    pub explanations: Vec<Explanation>,
}

/// Audits `record`. `shuffle` is the order of the images if it is known; otherwise it is recognised.
///
/// # Errors
///
/// [`Error::InvalidValue`](crate::Error::InvalidValue) for hyperparameters that do not fit the data,
/// [`Error::Interrupted`](crate::Error::Interrupted) if `observer` asks for it.
pub fn audit(record: &Record, splits: &Splits, shuffle: Option<Shuffle>, observer: &mut dyn Observer) -> Result<Audit> {
    let normalizer = Normalizer::fit(&splits.train)?;
    let hyperparameters = &record.hyperparameters;
    let plan = Plan {
        setting: hyperparameters.setting()?,
        schedule: hyperparameters.schedule(),
        splits,
        normalizer: &normalizer,
    };
    plan.schedule.validate(splits.train.len())?;
    let bases = Base::all(&plan, record, shuffle);
    // Most runs are right or have a mistake of the usual order, so the order is recognised before mistakes are tried.
    let recognised = bases.iter().map(|base| base.agrees(&plan, record, observer)).collect::<Result<Vec<_>>>()?;
    let first = recognised.iter().position(|&agrees| agrees).unwrap_or(0);
    let others = (0..bases.len()).filter(|&i| i != first && !recognised[first]);
    let mut best: Option<Audit> = None;
    for base in [first].into_iter().chain(others).map(|i| &bases[i]) {
        let audit = base.audit(&plan, record, observer)?;
        let is_explained = audit.explained().is_some();
        if best.is_none() || is_explained {
            best = Some(audit);
        }
        if is_explained {
            break;
        }
    }
    Ok(best.expect("there is at least one base"))
}

/// The right training that a run is compared with.
struct Base {
    start: Parameters,
    shuffle: Shuffle,
    drawn_transposed: bool,
}

impl Base {
    /// The bases that `record` may have, the most usual one first.
    fn all(plan: &Plan, record: &Record, shuffle: Option<Shuffle>) -> Vec<Self> {
        let orders = match shuffle {
            Some(shuffle) => vec![shuffle],
            None => vec![Shuffle::NumpyPermutation, Shuffle::NumpyShuffle, Shuffle::None],
        };
        // A script that has W as (d,k) most probably draws it so.
        let transposed = match (&record.start, &record.parameters) {
            (Some(_), _) => vec![false],
            (None, Some(_)) => vec![record.is_transposed],
            (None, None) => vec![false, true],
        };
        let (dims, seed) = (plan.splits.train.dims(), plan.schedule.seed);
        let base = |shuffle, drawn_transposed| {
            let start = match (&record.start, drawn_transposed) {
                (Some(start), _) => start.clone(),
                (None, false) => Start::numpy(dims, seed).parameters,
                (None, true) => Start::numpy_transposed(dims, seed).parameters,
            };
            Self { start, shuffle, drawn_transposed }
        };
        transposed.iter().flat_map(|&transposed| orders.iter().map(move |&shuffle| base(shuffle, transposed))).collect()
    }

    fn plan<'a>(&self, plan: &Plan<'a>) -> Plan<'a> {
        Plan { schedule: Schedule { shuffle: self.shuffle, ..plan.schedule }, ..*plan }
    }

    /// True if the curves of `record` begin as those of the right training: in the first two epochs, since the first order of
    /// `permutation` is that of `shuffle`.
    fn agrees(&self, plan: &Plan, record: &Record, observer: &mut dyn Observer) -> Result<bool> {
        if record.curves.is_empty() {
            return Ok(false);
        }
        let mut plan = self.plan(plan);
        plan.schedule.epochs = plan.schedule.epochs.min(2);
        let trace = &training::train(&plan, &self.start, &[None], &|_| true, observer)?[0];
        let departs = |curve: &Curve| Readings::RIGHT.difference(&plan, trace, curve, record.tolerance()).departs;
        Ok(record.curves.iter().all(|curve| departs(curve).is_none()))
    }

    /// The audit of `record` with this base.
    fn audit(&self, plan: &Plan, record: &Record, observer: &mut dyn Observer) -> Result<Audit> {
        let (plan, tolerance) = (self.plan(plan), record.tolerance());
        let mut traces = training::train(&plan, &self.start, &[None], &|_| true, observer)?;
        let mut audit = Audit::of_the_right_training(&plan, self, &traces[0], record);
        if audit.explanations[0].unexplained <= TOLERANCE {
            return Ok(audit);
        }
        let kept = |trace: &Trace| could_explain(&plan, trace, record);
        let of_the_stream = Mistake::of_the_stream(plan.setting, record.start.is_some());
        let rates = rates::candidates(&plan, &traces[0], record, tolerance)?;
        let together: Vec<_> = of_the_stream.into_iter().chain(rates).map(Some).collect();
        traces.extend(training::train(&plan, &self.start, &together, &kept, observer)?);
        for mistake in Mistake::of_other_streams() {
            traces.extend(training::train(&plan, &self.start, &[Some(mistake)], &kept, observer)?);
        }
        audit.explanations = explanations(&plan, &traces, record);
        if audit.explained().is_none() {
            audit.explanations.splice(0..0, drift::explanations(&plan, &self.start, &traces, record, observer)?);
        }
        Ok(audit)
    }
}

impl Audit {
    /// The explanations that are as good as the best: those with as few mistakes that leave about as little unexplained. None if
    /// no training explains the run.
    pub fn explained(&self) -> Option<Vec<&Explanation>> {
        let best = self.explanations.first()?;
        if !best.drifts && !(best.unexplained <= self.tolerance) {
            return None;
        }
        let limit = WORTH_A_MISTAKE * best.unexplained.max(TOLERANCE / WORTH_A_MISTAKE);
        let is_as_good = |e: &&Explanation| {
            let explains = if best.drifts { e.drifts } else { e.unexplained <= limit.min(self.tolerance) };
            explains && e.mistakes.len() == best.mistakes.len()
        };
        let mut found: Vec<&Explanation> = self.explanations.iter().filter(is_as_good).collect();
        // One mistake can be seen in several ways.
        let mut named = Vec::new();
        found.retain(|e| {
            !named.contains(&&e.mistakes) && {
                named.push(&e.mistakes);
                true
            }
        });
        Some(found)
    }

    fn of_the_right_training(plan: &Plan, base: &Base, right: &Trace, record: &Record) -> Self {
        let (readings, tolerance) = (Readings::RIGHT, record.tolerance());
        let difference = |curve: &Curve| (curve.name, readings.difference(plan, right, curve, tolerance));
        Self {
            tolerance,
            shuffle: base.shuffle,
            drawn_transposed: base.drawn_transposed,
            curves: record.curves.iter().map(difference).collect(),
            parameters: record.distance_of_parameters(right),
            explanations: vec![Explanation {
                mistakes: Vec::new(),
                unexplained: readings.unexplained(plan, right, record),
                drifts: false,
            }],
        }
    }
}

/// The ways in which a training with the mistake of `trace` can be recorded.
fn readings_of(plan: &Plan, trace: &Trace) -> Vec<Readings> {
    // A factor of the penalty can be in the gradient alone or in the cost too.
    let penalties = match trace.mistake {
        Some(Mistake::Penalty(factor)) => vec![1.0, factor],
        _ => vec![1.0],
    };
    let places = if matches!(trace.mistake, Some(Mistake::TrainedOn(_))) { vec![false, true] } else { vec![false] };
    let is_seen = |reading: &Reading| match reading {
        Reading::CostForLoss | Reading::LossForCost | Reading::HalfPenalty | Reading::BiasInCost => {
            plan.setting.lambda() > 0.0
        }
        Reading::OwnStatistics => trace.mistake.is_none(),
        _ => true,
    };
    let mistakes = Reading::ALL.into_iter().filter(is_seen).map(|reading| vec![reading]);
    let mistakes: Vec<_> = [vec![]].into_iter().chain(mistakes).collect();
    let mut readings = Vec::new();
    for &penalty in &penalties {
        for &on_trained in &places {
            let with = |mistakes: &Vec<Reading>| Readings { mistakes: mistakes.clone(), on_trained, penalty };
            readings.extend(mistakes.iter().map(with));
        }
    }
    readings
}

/// The difference above which a training is not followed further, in multiples of the tolerance.
const HOPELESS: f64 = 100.0;

/// The same of a training that drifts, as the logarithm of a factor.
const HOPELESSLY_ROUGH: f64 = 1.0;

/// True if `trace` may still explain `record`.
fn could_explain(plan: &Plan, trace: &Trace, record: &Record) -> bool {
    let readings = readings_of(plan, trace);
    match trace.may_drift() {
        true => {
            readings.iter().any(|r| r.roughness(plan, trace, record).into_iter().all(|rough| rough <= HOPELESSLY_ROUGH))
        }
        false => readings.iter().any(|r| r.unexplained(plan, trace, record) <= HOPELESS * record.tolerance()),
    }
}

/// Every training of `traces` in each way of recording it, the best explanation of `record` first: one that leaves nothing above
/// `tolerance`, with few mistakes; otherwise the one that leaves least.
fn explanations(plan: &Plan, traces: &[Trace], record: &Record) -> Vec<Explanation> {
    let tolerance = record.tolerance();
    let mut explanations = Vec::new();
    for trace in traces {
        for readings in readings_of(plan, trace) {
            let unexplained = readings.unexplained(plan, trace, record);
            explanations.push(Explanation { mistakes: mistakes(trace, &readings), unexplained, drifts: false });
        }
    }
    let cost = |e: &Explanation| {
        let explains = e.unexplained <= tolerance;
        let worth = e.unexplained.max(TOLERANCE / WORTH_A_MISTAKE) * WORTH_A_MISTAKE.powi(e.mistakes.len() as i32);
        (
            !explains,
            if explains {
                worth
            } else if e.unexplained.is_nan() {
                f64::INFINITY
            } else {
                e.unexplained
            },
        )
    };
    explanations.sort_by(|a, b| cost(a).partial_cmp(&cost(b)).expect("no cost is NaN"));
    explanations
}

fn mistakes(trace: &Trace, readings: &Readings) -> Vec<Mistake> {
    let recorded = readings.mistakes.iter().copied().map(Mistake::Recorded);
    trace.mistake.into_iter().chain(recorded).collect()
}
