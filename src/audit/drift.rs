//! Trainings that drift: their steps are so large that each multiplies the rounding errors so far, so that two correct programs
//! end with other digits. A run can be compared with such a training only as roughly as that with itself: with its *twins*, whose
//! learning rate and start have other last digits.

use super::explanation::{Explanation, HOPELESS, mistakes, readings_of};
use super::mistake::{Labels, Mistake, Rate};
use super::reading::{IMAGES_BETWEEN, Reading, Readings};
use super::record::{Curve, Kind, Record};
use super::training::{self, Plan, Trace};
use crate::error::Result;
use crate::hyperparameters::{Schedule, Setting};
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
    for trace in traces.iter().filter(|trace| may_explain(trace) && !record.curves.is_empty()) {
        let Some(twins) = twins(plan, start, trace, record, observer)? else { continue };
        let end = end_of(plan, trace.mistake, record, observer)?;
        for readings in readings_of(plan, trace) {
            if trace.mistake.is_some() && readings.mistake.is_some() {
                // Rough curves do not show two mistakes.
                continue;
            }
            let has_last_scores = end.as_ref().and_then(|end| has_last_scores(plan, end, &readings, record));
            if has_last_scores == Some(false) {
                continue;
            }
            let found = readings.roughness(plan, trace, record);
            let allowed = allowed(plan, trace, &twins, &readings, record);
            if found.iter().zip(allowed).all(|(found, allowed)| *found <= allowed) {
                let unexplained = readings.unexplained(plan, trace, record);
                let explanation = Explanation { mistakes: mistakes(trace, &readings), unexplained, drifts: true };
                explanations.push((has_last_scores.is_some(), explanation));
            }
        }
    }
    // What the parameters confirm is better than what they say nothing about.
    let is_confirmed = explanations.iter().any(|(is_confirmed, _)| *is_confirmed);
    explanations.retain(|found| found.0 == is_confirmed);
    let mut explanations: Vec<_> = explanations.into_iter().map(|(_, explanation)| explanation).collect();
    explanations.sort_by_key(|e| e.mistakes.len());
    Ok(explanations)
}

/// True if a run whose digits drift may be `trace`.
fn may_explain(trace: &Trace) -> bool {
    match trace.mistake {
        None => true,
        // A learning rate that was found from digits of the run, which drift, is none.
        Some(Mistake::Rate(rate)) if !Rate::KNOWN.contains(&rate) => false,
        Some(_) => trace.is_complete && trace.may_drift(),
    }
}

/// The twins of `trace`; `None` if one of them does not drift from it, or does so only after the run is far away.
fn twins(
    plan: &Plan,
    start: &Parameters,
    trace: &Trace,
    record: &Record,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<Trace>>> {
    let departure = departure(plan, trace, record);
    let drifts = |twin: &Trace| drifts_from(plan, trace, twin, record);
    let keeps_up = |twin: &Trace| twin.moments.len() <= departure || drifts(twin);
    let mut twins = Vec::new();
    for twin in 1..=TWINS {
        let (plan, start) = perturbed(plan, start, twin)?;
        twins.extend(training::train(&plan, &start, &[trace.mistake], &keeps_up, observer)?);
        if !twins.last().is_some_and(|twin| twin.is_complete && drifts(twin)) {
            return Ok(None);
        }
    }
    Ok(Some(twins))
}

/// The epoch in which `record` is hopelessly far from `trace`, in whatever way it was recorded.
fn departure(plan: &Plan, trace: &Trace, record: &Record) -> usize {
    let tolerance = HOPELESS * record.tolerance();
    let of = |readings: &Readings| {
        let departs = |curve| readings.difference(plan, trace, curve, tolerance).departs.map(|(epoch, ..)| epoch);
        record.curves.iter().filter_map(departs).min().unwrap_or(usize::MAX)
    };
    readings_of(plan, trace).iter().map(of).max().unwrap_or(usize::MAX)
}

/// True if `twin` has other curves than `trace`, by more than is the tolerance of `record`.
fn drifts_from(plan: &Plan, trace: &Trace, twin: &Trace, record: &Record) -> bool {
    let curves = Readings::RIGHT.curves_of(plan, twin, record);
    let differs = |curve| Readings::RIGHT.difference(plan, trace, curve, record.tolerance()).departs.is_some();
    curves.iter().any(differs)
}

/// The parameters of `record` as the only moment of a training with `mistake`; `None` without parameters.
fn end_of(
    plan: &Plan,
    mistake: Option<Mistake>,
    record: &Record,
    observer: &mut dyn Observer,
) -> Result<Option<Trace>> {
    let Some(parameters) = &record.parameters else { return Ok(None) };
    // The width is one of the start.
    let mistake = mistake.filter(|mistake| !matches!(mistake, Mistake::Width(_)));
    let plan = Plan { schedule: Schedule { epochs: 0, ..plan.schedule }, ..*plan };
    Ok(training::train(&plan, parameters, &[mistake], &|_| true, observer)?.pop())
}

/// True if `end`, the parameters of `record`, has the last scores of its curves. That needs no training, so nothing drifts.
/// `None` if those scores are not of these parameters and these images: taken before the epoch or the last step, or with labels
/// that have moved.
fn has_last_scores(plan: &Plan, end: &Trace, readings: &Readings, record: &Record) -> Option<bool> {
    if readings.mistake == Some(Reading::BeforeEpoch) || end.mistake == Some(Mistake::Labels(Labels::LeftBehind)) {
        return None;
    }
    let last = |curve: &Curve| {
        let values = curve.values.last().copied().into_iter().collect();
        Curve { first_epoch: 0, values, ..curve.clone() }
    };
    let last: Vec<_> = record.curves.iter().map(last).filter(|curve| readings.says(plan, end, curve, 0)).collect();
    let tolerance = HOPELESS * record.tolerance();
    let agrees = |curve| readings.difference(plan, end, curve, tolerance).departs.is_none();
    (!last.is_empty()).then(|| last.iter().all(agrees))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reading::Place;
    use crate::audit::reading::tests::{curve, record, score, trace, with_plan};
    use crate::audit::record::{Split, TOLERANCE};
    use crate::audit::training::Moment;
    use crate::dataset::cifar10::DIMS;
    use crate::hyperparameters::Loss;
    use crate::train::random_start;

    /// The same training with another loss and accuracy on the training split after epoch 2.
    fn with_last(trace: &Trace, loss: f64, accuracy: f64) -> Trace {
        let mut other = trace.clone();
        let last = other.moments[2][Place::Train as usize].as_mut().unwrap();
        (last.loss, last.accuracy) = (loss, Some(accuracy));
        other
    }

    fn losses(values: &[f64]) -> Record {
        record(vec![curve(Split::Train, Kind::Loss, 1, values)])
    }

    #[test]
    fn a_mistake_explains_a_run_that_drifts_if_it_drifts_too_and_was_followed_to_the_end() {
        let steady = |mistake| Trace { mistake, ..trace() };
        let drifting = |mistake| with_last(&steady(mistake), 100.0, 0.1);
        let penalty = Some(Mistake::Penalty(0.5));
        assert!(may_explain(&steady(None)) && may_explain(&drifting(None)));
        assert!(may_explain(&drifting(penalty)) && !may_explain(&steady(penalty)));
        assert!(!may_explain(&Trace { is_complete: false, ..drifting(penalty) }));
        assert!(!may_explain(&drifting(Some(Mistake::Rate(Rate::Times(0.37))))), "found from digits");
        assert!(may_explain(&drifting(Some(Mistake::Rate(Rate::KNOWN[0])))));
    }

    #[test]
    fn a_run_departs_where_no_way_of_recording_it_is_near() {
        with_plan(|plan| {
            let of = |values: &[f64]| departure(plan, &trace(), &losses(values));
            assert_eq!(of(&[1.01, 1.02]), usize::MAX);
            assert_eq!(of(&[1.01, 1.02 + 50.0 * TOLERANCE]), usize::MAX, "not hopelessly far");
            assert_eq!(of(&[1.01, 1.02 + 200.0 * TOLERANCE]), 2);
            assert_eq!(of(&[5.0, 5.0]), 1);
            let batch = |epoch| score(Place::BatchBefore, epoch).loss;
            assert_eq!(of(&[batch(1), batch(2)]), usize::MAX, "the scores of the last batch");
            let mut both = losses(&[1.01, 1.02]);
            both.curves.push(curve(Split::Validation, Kind::Loss, 1, &[7.0, 7.0]));
            assert_eq!(departure(plan, &trace(), &both), 1, "the first of its curves");
            assert_eq!(departure(plan, &trace(), &record(Vec::new())), usize::MAX);
        });
    }

    #[test]
    fn a_twin_drifts_if_a_curve_differs_by_more_than_rounding() {
        with_plan(|plan| {
            let (trace, run) = (trace(), losses(&[1.01, 1.02]));
            let drifts = |loss| drifts_from(plan, &trace, &with_last(&trace, loss, 0.32), &run);
            assert!(!drifts(1.02) && !drifts(1.02 * (1.0 + 0.5 * TOLERANCE)));
            assert!(drifts(1.02 * (1.0 + 2.0 * TOLERANCE)) && drifts(f64::NAN));
        });
    }

    #[test]
    fn a_run_may_be_three_times_as_rough_as_the_twins() {
        with_plan(|plan| {
            let trace = trace();
            let mut run = losses(&[1.01, 1.02]);
            run.curves.push(curve(Split::Train, Kind::Accuracy, 1, &[0.31, 0.32]));
            let of = |twins: &[Trace]| allowed(plan, &trace, twins, &Readings::RIGHT, &run);
            let near = |found: Vec<f64>, expected: [f64; 2]| {
                assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {expected:?}");
            };
            // Without drift, what rounding and images between two classes make.
            near(of(&[]), [TOLERANCE, 3.0 / 110.0]);
            near(of(std::slice::from_ref(&trace)), [TOLERANCE, 3.0 / 110.0]);
            let twin = with_last(&trace, 1.02 * 2.0, 0.42);
            let rough = [3.0 * std::f64::consts::LN_2 / 2.0, 3.0 * 0.1 / 2.0];
            near(of(std::slice::from_ref(&twin)), rough);
            near(of(&[twin, trace.clone()]), rough);
        });
    }

    #[test]
    fn twins_differ_from_the_training_and_from_one_another_in_the_last_digits_alone() {
        with_plan(|plan| {
            let plan = Plan { setting: plan.setting.with_loss(Loss::Bce), ..*plan };
            let start = random_start(DIMS, 1);
            let twins: Vec<_> = (1..=TWINS).map(|twin| perturbed(&plan, &start, twin).unwrap()).collect();
            let up = |parameters: &Parameters| -> Vec<bool> {
                let pairs = parameters.weight.iter().zip(&start.weight);
                pairs.map(|(other, weight)| other.abs() > weight.abs()).collect()
            };
            for (other, parameters) in &twins {
                let step = |(other, weight): (&f32, &f32)| f64::from((other - weight).abs() / weight.abs());
                let steps: Vec<_> = parameters.weight.iter().zip(&start.weight).map(step).collect();
                assert!(steps.iter().all(|&step| step > 0.0 && step < 2.5e-7), "each weight, by its last digit");
                assert_eq!(parameters.bias, start.bias);
                let share = up(parameters).iter().filter(|&&up| up).count() as f64 / start.weight.len() as f64;
                assert!((share - 0.5).abs() < 0.02, "{share}");
                let eta = other.setting.eta() / plan.setting.eta() - 1.0;
                assert!(eta != 0.0 && eta.abs() < 2.5e-7, "{eta}");
                assert_eq!((other.setting.lambda(), other.setting.loss()), (plan.setting.lambda(), Loss::Bce));
            }
            let smaller = twins.iter().filter(|(other, _)| other.setting.eta() < plan.setting.eta());
            assert_eq!(smaller.count(), 1, "on either side");
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                let same = up(&twins[a].1).into_iter().zip(up(&twins[b].1)).filter(|(a, b)| a == b).count();
                let share = same as f64 / start.weight.len() as f64;
                assert!((share - 0.5).abs() < 0.2, "{share}");
                assert_ne!(twins[a].0.setting.eta(), twins[b].0.setting.eta());
            }
        });
    }

    #[test]
    fn the_parameters_of_a_run_have_its_last_scores() {
        with_plan(|plan| {
            let end = Trace { moments: trace().moments[2..].to_vec(), ..trace() };
            let of = |readings: Readings, last: f64| has_last_scores(plan, &end, &readings, &losses(&[9.0, last]));
            let right = |last| of(Readings::RIGHT, last);
            assert_eq!(right(1.02), Some(true), "whatever the earlier ones are");
            assert_eq!(right(1.02 + 50.0 * TOLERANCE), Some(true));
            assert_eq!(right(1.02 + 200.0 * TOLERANCE), Some(false));
            let reads = |mistake| Readings { mistake: Some(mistake), ..Readings::RIGHT };
            assert_eq!(of(reads(Reading::BeforeEpoch), 1.02), None, "they are older");
            let left = Trace { mistake: Some(Mistake::Labels(Labels::LeftBehind)), ..end.clone() };
            assert_eq!(has_last_scores(plan, &left, &Readings::RIGHT, &losses(&[9.0, 1.02])), None);
            // Nothing is known of the last batch.
            let nothing = Trace { moments: vec![Moment::default()], ..end.clone() };
            assert_eq!(has_last_scores(plan, &nothing, &Readings::RIGHT, &losses(&[9.0, 1.02])), None);
            let mut both = losses(&[9.0, 1.02]);
            both.curves.push(curve(Split::Train, Kind::Accuracy, 1, &[0.9, 0.9]));
            assert_eq!(has_last_scores(plan, &end, &Readings::RIGHT, &both), Some(false), "each curve");
        });
    }
}
