//! Explanations of a run: each training that was tried, in each way of recording it, and how well it explains the run.

use super::mistake::Mistake;
use super::reading::{Reading, Readings};
use super::record::{Record, TOLERANCE};
use super::training::{Plan, Trace};

/// One more mistake must leave so many times less unexplained, unless that is below the tolerance of `float64` anyway.
const WORTH_A_MISTAKE: f64 = 4.0;

/// One explanation of a run: a training and a way of recording it.
///
/// It explains the run if it leaves no difference above the tolerance. Of the explanations that do, those with the fewest
/// mistakes are the best; among equals the one that leaves least, and with it those that leave about as little.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The mistakes, none for the right training.
    pub mistakes: Vec<Mistake>,
    /// The largest difference that is left: of a loss relative to itself above 1, of an accuracy, or a thirtieth of that of a
    /// parameter relative to the largest weight.
    pub unexplained: f64,
    /// True if the training drifts away from itself as far as the run does, after a change in the last digits of its start.
    pub drifts: bool,
}

impl Explanation {
    /// True if nothing above `tolerance` is left.
    fn explains(&self, tolerance: f64) -> bool {
        self.drifts || self.unexplained <= tolerance
    }

    /// True if the run may be right with another η than it was compared with.
    pub fn may_be_another_eta(&self) -> bool {
        self.mistakes.iter().any(|mistake| mistake.may_be_another_eta())
    }

    /// The unexplained difference, made comparable between explanations with more and with fewer mistakes.
    fn cost(&self) -> f64 {
        if self.unexplained.is_nan() {
            return f64::INFINITY;
        }
        let mistakes = i32::try_from(self.mistakes.len()).unwrap_or(i32::MAX);
        self.unexplained.max(TOLERANCE / WORTH_A_MISTAKE) * WORTH_A_MISTAKE.powi(mistakes)
    }
}

/// Every training of `traces` in each way of recording it, the best explanation of `record` first.
pub(super) fn all(plan: &Plan, traces: &[Trace], record: &Record) -> Vec<Explanation> {
    let mut explanations = Vec::new();
    for trace in traces {
        for readings in readings_of(plan, trace) {
            let unexplained = readings.unexplained(plan, trace, record);
            explanations.push(Explanation { mistakes: mistakes(trace, &readings), unexplained, drifts: false });
        }
    }
    let key = |e: &Explanation| (!e.explains(record.tolerance()), e.cost());
    explanations.sort_by(|a, b| key(a).partial_cmp(&key(b)).expect("no cost is NaN"));
    explanations
}

/// The explanations that are as good as the first of `explanations`; `None` if that does not explain the run.
pub(super) fn as_good_as_the_best(explanations: &[Explanation], tolerance: f64) -> Option<Vec<&Explanation>> {
    let best = explanations.first().filter(|best| best.explains(tolerance))?;
    let mut found: Vec<&Explanation> = Vec::new();
    for explanation in explanations.iter().filter(|e| e.explains(tolerance) && e.drifts == best.drifts) {
        let is_as_good = best.drifts || explanation.cost() <= WORTH_A_MISTAKE * best.cost();
        // One mistake can be seen in several ways.
        let is_new = found.iter().all(|e| e.mistakes != explanation.mistakes);
        if is_as_good && is_new && explanation.mistakes.len() == best.mistakes.len() {
            found.push(explanation);
        }
    }
    Some(found)
}

/// The difference above which a training is not followed further, in multiples of the tolerance.
pub(super) const HOPELESS: f64 = 100.0;

/// The same of a training that drifts, as the logarithm of a factor.
const HOPELESSLY_ROUGH: f64 = 1.0;

/// True if `trace` may still explain `record`.
pub(super) fn is_possible(plan: &Plan, trace: &Trace, record: &Record) -> bool {
    let readings = readings_of(plan, trace);
    match trace.may_drift() {
        true => {
            readings.iter().any(|r| r.roughness(plan, trace, record).into_iter().all(|rough| rough <= HOPELESSLY_ROUGH))
        }
        false => readings.iter().any(|r| r.unexplained(plan, trace, record) <= HOPELESS * record.tolerance()),
    }
}

pub(super) fn mistakes(trace: &Trace, readings: &Readings) -> Vec<Mistake> {
    trace.mistake.into_iter().chain(readings.mistake.map(Mistake::Recorded)).collect()
}

/// The ways in which a training with the mistake of `trace` can be recorded.
pub(super) fn readings_of(plan: &Plan, trace: &Trace) -> Vec<Readings> {
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
    let mut readings = Vec::new();
    for &penalty in &penalties {
        for &on_trained in &places {
            let mistakes = [None].into_iter().chain(Reading::ALL.into_iter().filter(is_seen).map(Some));
            readings.extend(mistakes.map(|mistake| Readings { mistake, on_trained, penalty }));
        }
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::mistake::OtherSplit;
    use crate::audit::reading::Place;
    use crate::audit::reading::tests::{curve, record, score, trace, with_plan};
    use crate::audit::record::{Kind, Split};
    use crate::hyperparameters::Setting;

    fn explanation(mistakes: usize, unexplained: f64) -> Explanation {
        Explanation { mistakes: vec![Mistake::Sum; mistakes], unexplained, drifts: false }
    }

    #[test]
    fn one_more_mistake_must_explain_four_times_as_much() {
        let cost = |mistakes, unexplained| explanation(mistakes, unexplained).cost();
        assert_eq!(cost(1, 0.5), 2.0);
        assert!(cost(1, 0.5) < cost(2, 0.2) && cost(2, 0.1) < cost(1, 0.5));
        // Differences below those of `float64` are none.
        assert_eq!(cost(1, 0.0), cost(1, TOLERANCE / 8.0));
        assert_eq!(cost(0, f64::NAN), f64::INFINITY);
    }

    #[test]
    fn the_best_explanations_have_as_few_mistakes_and_leave_about_as_little() {
        let mut other = explanation(1, 3e-7);
        other.mistakes = vec![Mistake::LastBatch];
        let far = Explanation { mistakes: vec![Mistake::BiasPenalty], ..explanation(1, 9e-6) };
        let all = [explanation(1, 2.5e-7), explanation(1, 2.6e-7), other.clone(), far, explanation(2, 1e-9)];
        let best = as_good_as_the_best(&all, 1e-6).unwrap();
        assert_eq!(best, [&all[0], &other], "each mistake once, and neither what leaves more nor more mistakes");
        assert_eq!(as_good_as_the_best(&all[3..4], 1e-6), None);
        assert_eq!(as_good_as_the_best(&[], 1e-6), None);
        let drifting = [Explanation { drifts: true, ..explanation(1, 0.5) }];
        assert_eq!(as_good_as_the_best(&drifting, 1e-6).unwrap().len(), 1);
        let of_sum = explanation(1, 0.0).may_be_another_eta();
        assert!(of_sum && !other.may_be_another_eta());
    }

    #[test]
    fn a_training_can_be_recorded_in_each_way_that_would_be_seen() {
        with_plan(|plan| {
            let without_penalty = Plan { setting: Setting::new(0.0, 0.1).unwrap(), ..*plan };
            let count = |plan: &Plan, mistake| readings_of(plan, &Trace { mistake, ..trace() }).len();
            // The right way and nine others, four of which are of the penalty.
            assert_eq!([count(plan, None), count(&without_penalty, None)], [10, 6]);
            // Its own statistics are tried with the right training alone.
            assert_eq!(count(plan, Some(Mistake::Sum)), 9);
            // With the wrong penalty or the right one in the cost; with the scores of either split.
            assert_eq!(count(plan, Some(Mistake::Penalty(0.5))), 18);
            let other = OtherSplit { test: true, own_statistics: false };
            assert_eq!(count(plan, Some(Mistake::TrainedOn(other))), 18);
            let penalties = readings_of(plan, &Trace { mistake: Some(Mistake::Penalty(0.5)), ..trace() });
            assert!(penalties.iter().any(|r| r.penalty == 0.5) && penalties.iter().any(|r| r.penalty == 1.0));
        });
    }

    #[test]
    fn a_training_is_possible_while_some_way_of_recording_it_is_near() {
        with_plan(|plan| {
            let possible = |mistake, values: [f64; 2]| {
                let run = record(vec![curve(Split::Train, Kind::Loss, 1, &values)]);
                is_possible(plan, &Trace { mistake, ..trace() }, &run)
            };
            let calm = Some(Mistake::LastBatch);
            assert!(possible(calm, [1.01, 1.02]) && possible(calm, [1.01, 1.02 + 50.0 * TOLERANCE]));
            assert!(!possible(calm, [1.01, 1.02 + 200.0 * TOLERANCE]));
            let batch = |epoch| score(Place::BatchAfter, epoch).loss;
            assert!(possible(calm, [batch(1), batch(2)]));
            // One that may drift: within a factor of e on average.
            let wild = Some(Mistake::Sum);
            assert!(possible(wild, [1.01 * 2.0, 1.02 * 3.0]) && !possible(wild, [1.01 * 9.0, 1.02 * 9.0]));
        });
    }

    #[test]
    fn the_best_explanation_comes_first() {
        with_plan(|plan| {
            let cost = |epoch| score(Place::Train, epoch).loss + 0.25 * score(Place::Train, epoch).squared_weight;
            let run = record(vec![curve(Split::Train, Kind::Loss, 1, &[cost(1), cost(2)])]);
            let traces = [trace(), Trace { mistake: Some(Mistake::LastBatch), ..trace() }];
            let found = all(plan, &traces, &run);
            assert_eq!(found.len(), 10 + 9);
            assert_eq!(found[0].mistakes, [Mistake::Recorded(Reading::CostForLoss)]);
            assert!(found[0].unexplained < TOLERANCE && !found[0].drifts);
            assert_eq!(found[1].mistakes, [Mistake::LastBatch, Mistake::Recorded(Reading::CostForLoss)]);
            assert!(found[2..].iter().all(|e| e.unexplained > TOLERANCE && e.cost() >= found[2].cost()));
        });
    }
}
