//! Trainings that drift: their steps are so large that each multiplies the rounding errors so far, so that two correct programs
//! end with other digits. A run can be compared with such a training only as roughly as that with itself: with its *twins*, whose
//! learning rate and start have other last digits.

use super::explanation::{Explanation, mistakes, readings_of};
use super::mistake::{Mistake, Rate};
use super::reading::{IMAGES_BETWEEN, Readings};
use super::record::{Kind, Record};
use super::training::{self, Plan, Trace};
use crate::error::Result;
use crate::hyperparameters::Setting;
use crate::network::Parameters;
use crate::train::Observer;

/// The number of twins.
const TWINS: u32 = 3;

/// A run may be so many times as far from a training as that is from its twins.
const FACTOR: f64 = 3.0;

/// The explanations of `record` by the trainings of `traces` that drift, those with the fewest mistakes first. Without curves
/// there are none.
pub(super) fn explanations(
    plan: &Plan,
    start: &Parameters,
    traces: &[Trace],
    record: &Record,
    observer: &mut dyn Observer,
) -> Result<Vec<Explanation>> {
    let mut explanations = Vec::new();
    let may_drift = |trace: &&Trace| match trace.mistake {
        None => true,
        // A learning rate that was found from digits of the run, which drift, is none.
        Some(Mistake::Rate(rate)) if !Rate::KNOWN.contains(&rate) => false,
        Some(_) => trace.is_complete && trace.may_drift(),
    };
    for trace in traces.iter().filter(may_drift).filter(|_| !record.curves.is_empty()) {
        let mut twins = Vec::new();
        for twin in 1..=TWINS {
            let (plan, start) = perturbed(plan, start, twin)?;
            twins.extend(training::train(&plan, &start, &[trace.mistake], &|_| true, observer)?);
        }
        if !twins.iter().any(|twin| drifts_from(plan, trace, twin, record)) {
            continue;
        }
        for readings in readings_of(plan, trace) {
            if trace.mistake.is_some() && readings.mistake.is_some() {
                // Rough curves do not show two mistakes.
                continue;
            }
            let found = readings.roughness(plan, trace, record);
            let allowed = allowed(plan, trace, &twins, &readings, record);
            if found.iter().zip(allowed).all(|(found, allowed)| *found <= allowed) {
                let unexplained = readings.unexplained(plan, trace, record);
                explanations.push(Explanation { mistakes: mistakes(trace, &readings), unexplained, drifts: true });
            }
        }
    }
    explanations.sort_by_key(|e| e.mistakes.len());
    Ok(explanations)
}

/// True if `twin` has other curves than `trace`, by more than is the tolerance of `record`.
fn drifts_from(plan: &Plan, trace: &Trace, twin: &Trace, record: &Record) -> bool {
    let curves = Readings::RIGHT.curves_of(plan, twin, record);
    let differs = |curve| Readings::RIGHT.difference(plan, trace, curve, record.tolerance()).departs.is_some();
    curves.iter().any(differs)
}

/// How rough the explanation of each curve of `record` by `trace` may be.
fn allowed(plan: &Plan, trace: &Trace, twins: &[Trace], readings: &Readings, record: &Record) -> Vec<f64> {
    let least = record.curves.iter().map(|curve| match curve.kind {
        Kind::Accuracy => IMAGES_BETWEEN / plan.splits.train.len() as f64,
        Kind::Loss | Kind::Cost => record.tolerance(),
    });
    let mut allowed: Vec<f64> = least.collect();
    for twin in twins {
        let curves = readings.curves_of(plan, twin, record);
        let rough = readings.roughness(plan, trace, &Record { curves, ..record.clone() });
        allowed.iter_mut().zip(rough).for_each(|(allowed, rough)| *allowed = allowed.max(FACTOR * rough));
    }
    allowed
}

/// The learning rate of `plan` and the weights of `start` with other last digits, which differ between twins.
fn perturbed<'a>(plan: &Plan<'a>, start: &Parameters, twin: u32) -> Result<(Plan<'a>, Parameters)> {
    let sign = |hash: u32| if hash >> 31 == 0 { 1.0 } else { -1.0 };
    let other = |(j, &weight): (usize, &f32)| {
        // The top bit of a multiplicative hash is as good as random.
        let hash = (j as u32 + 1).wrapping_mul(2_654_435_769).wrapping_mul(2 * twin + 1);
        weight * (1.0 + sign(hash) * f32::EPSILON)
    };
    let start = Parameters { weight: start.weight.iter().enumerate().map(other).collect(), ..start.clone() };
    let eta = plan.setting.eta() * (1.0 + (f64::from(twin) - 1.5) * f64::from(f32::EPSILON));
    Ok((Plan { setting: Setting::new(plan.setting.lambda(), eta)?.with_loss(plan.setting.loss()), ..*plan }, start))
}
