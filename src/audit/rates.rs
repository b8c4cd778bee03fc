//! Finds the course of a learning rate from the first epoch in which a run departs from the right training.

use super::mistake::{Mistake, Rate};
use super::reading::Readings;
use super::record::{Curve, Record};
use super::training::{Plan, Trace};
use crate::error::Result;
use crate::evaluate::evaluate_group;
use crate::network::{Examples, Group, Parameters, Step};
use crate::train::Orders;

/// Factors of η that bracket that of the run.
const FACTORS: [f64; 14] = [0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.99, 1.2, 2.0, 5.0, 12.0, 30.0];

/// The number of times that the bracket is narrowed.
const ROUNDS: usize = 4;

/// The courses of the learning rate that explain the first epoch in which `record` departs from `right`, the right training;
/// differences up to `tolerance` are none. Without a curve of a loss there are none.
pub(super) fn candidates(plan: &Plan, right: &Trace, record: &Record, tolerance: f64) -> Result<Vec<Mistake>> {
    let of_loss =
        |curve: &&Curve| curve.name == "train_loss" || (curve.name == "train_cost" && plan.setting.lambda() == 0.0);
    let Some(curve) = record.curves.iter().find(of_loss) else { return Ok(Vec::new()) };
    let Some((epoch @ 1.., found, _)) = Readings::RIGHT.difference(plan, right, curve, tolerance).departs else {
        return Ok(Vec::new());
    };
    let rates = |found: f64| {
        let factor = rounded(found);
        match epoch {
            1 => vec![Rate::Times(factor), Rate::EachEpoch { factor }],
            // A second step would come after the end.
            _ if 2 * (epoch - 1) >= plan.schedule.epochs => vec![Rate::Once { epoch, factor }],
            _ => vec![
                Rate::Steps { every: epoch - 1, factor },
                Rate::Once { epoch, factor },
                Rate::Inverse { slope: rounded((1.0 / found - 1.0) / (epoch - 1) as f64) },
            ],
        }
    };
    let factors = factors(plan, &right.states[epoch - 1], epoch, found)?;
    Ok(factors.into_iter().flat_map(rates).map(Mistake::Rate).collect())
}

/// The factors of η with which `epoch` leads from `state` to the training loss `found`: too small a rate and too large a one
/// can lead to the same loss.
fn factors(plan: &Plan, state: &Parameters, epoch: usize, found: f64) -> Result<Vec<f64>> {
    let misses = |factors: &[f64]| -> Result<Vec<(f64, f64)>> {
        let losses = losses_after(plan, state, epoch, factors)?;
        Ok(factors.iter().copied().zip(losses.into_iter().map(|loss| loss - found)).collect())
    };
    let brackets = |points: &[(f64, f64)]| -> Vec<[(f64, f64); 2]> {
        let pairs = points.windows(2).map(|pair| [pair[0], pair[1]]);
        pairs.filter(|[a, b]| (a.1 <= 0.0) != (b.1 <= 0.0)).collect()
    };
    let mut factors = Vec::new();
    for mut bracket in brackets(&misses(&FACTORS)?) {
        let crossing = |[a, b]: [(f64, f64); 2]| a.0 + (b.0 - a.0) * a.1 / (a.1 - b.1);
        for _ in 0..ROUNDS {
            let [a, b] = bracket.map(|(factor, _)| factor);
            let (middle, width) = (crossing(bracket), (b - a) / 16.0);
            let narrower = [a, (middle - width).max(a), middle, (middle + width).min(b), b];
            bracket = brackets(&misses(&narrower)?).first().copied().unwrap_or(bracket);
        }
        factors.push(crossing(bracket));
    }
    Ok(factors)
}

/// `number`, a factor or a slope, with four significant digits, if that is what it is to its uncertainty.
fn rounded(number: f64) -> f64 {
    let rounded: f64 = format!("{number:.3e}").parse().unwrap_or(number);
    if (rounded - number).abs() <= 1e-4 * number.abs() { rounded } else { number }
}

/// The training losses after one epoch from `state`, for each of the `factors` of η.
fn losses_after(plan: &Plan, state: &Parameters, epoch: usize, factors: &[f64]) -> Result<Vec<f64>> {
    let train = &plan.splits.train;
    let mut group = Group::new(&vec![state; factors.len()])?.with_losses(&vec![plan.setting.loss(); factors.len()])?;
    let right = Step::new(plan.setting, plan.setting.eta());
    let step = |&factor: &f64| Step { learning_rate: (f64::from(right.learning_rate) * factor) as f32, ..right };
    let steps: Vec<_> = factors.iter().map(step).collect();
    for indices in Orders::new(&plan.schedule, train.len()).of(epoch).chunks(plan.schedule.batch_size) {
        group.step(Examples::Chosen(train, plan.normalizer, indices), &steps)?;
    }
    let scores = evaluate_group(&group, &vec![0.0; factors.len()], train, plan.normalizer, &|| false)?;
    Ok(scores.into_iter().map(|scores| scores.loss).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::reading::Place;
    use crate::audit::reading::tests::{curve, record, with_plan};
    use crate::audit::record::{Kind, Split};
    use crate::audit::training;
    use crate::hyperparameters::{Schedule, Setting};
    use crate::train::random_start;

    /// The candidates for a run of 4 epochs with this course of the learning rate, of which the curve `kind` of the training
    /// split is kept.
    fn found(rate: Option<Rate>, kind: Kind, lambda: f64) -> Vec<Mistake> {
        found_in(4, rate, kind, lambda)
    }

    fn found_in(epochs: usize, rate: Option<Rate>, kind: Kind, lambda: f64) -> Vec<Mistake> {
        with_plan(|plan| {
            let setting = Setting::new(lambda, 0.002).unwrap();
            let plan = Plan { setting, schedule: Schedule { epochs, ..plan.schedule }, ..*plan };
            let start = random_start(plan.splits.train.dims(), 1);
            let train = |rate: Option<Rate>| {
                training::train(&plan, &start, &[rate.map(Mistake::Rate)], &|_| true, &mut ()).unwrap().remove(0)
            };
            let (right, run) = (train(None), train(rate));
            let losses: Vec<_> =
                run.moments[1..].iter().map(|moment| moment[Place::Train as usize].unwrap().loss).collect();
            let mut kept = curve(Split::Train, kind, 1, &losses);
            kept.name = if kind == Kind::Cost { "train_cost" } else { "train_loss" };
            candidates(&plan, &right, &record(vec![kept]), 1e-6).unwrap()
        })
    }

    #[test]
    fn a_learning_rate_is_found_to_four_digits() {
        for factor in [0.005, 0.02, 0.37, 0.9512, 1.1, 3.0, 10.0] {
            let rates = found(Some(Rate::Times(factor)), Kind::Loss, 0.1);
            assert!(rates.contains(&Mistake::Rate(Rate::Times(factor))), "{factor} {rates:?}");
            assert!(rates.contains(&Mistake::Rate(Rate::EachEpoch { factor })), "{factor} {rates:?}");
        }
    }

    #[test]
    fn from_a_later_epoch_on_it_may_be_multiplied_once_or_again_or_divided() {
        let once = |epoch| Rate::Once { epoch, factor: 0.5 };
        let second = [Rate::Steps { every: 1, factor: 0.5 }, once(2), Rate::Inverse { slope: 1.0 }];
        // A rate that is too large can lead to the same loss, so more may follow.
        for epochs in [3, 4] {
            assert_eq!(found_in(epochs, Some(once(2)), Kind::Loss, 0.1)[..3], second.map(Mistake::Rate));
        }
        // A second change would come in epoch 5, and the next in 7.
        for epoch in [3, 4] {
            let found = found(Some(once(epoch)), Kind::Loss, 0.1);
            assert_eq!(found[0], Mistake::Rate(once(epoch)));
            let is_once =
                |mistake: &Mistake| matches!(mistake, Mistake::Rate(Rate::Once { epoch: e, .. }) if *e == epoch);
            assert!(found.iter().all(is_once), "{found:?}");
        }
        let slope = Rate::Inverse { slope: 0.25 };
        let inverse = found(Some(slope), Kind::Loss, 0.1);
        assert_eq!(inverse[2], Mistake::Rate(slope), "{inverse:?}");
    }

    #[test]
    fn a_cost_shows_a_learning_rate_only_where_it_is_the_loss() {
        let rate = Some(Rate::Times(3.0));
        assert!(found(rate, Kind::Cost, 0.1).is_empty());
        assert_eq!(found(rate, Kind::Cost, 0.0)[0], Mistake::Rate(Rate::Times(3.0)));
        assert!(found(None, Kind::Loss, 0.1).is_empty(), "nothing departs");
    }

    #[test]
    fn a_number_is_rounded_if_that_is_within_its_uncertainty() {
        for (number, expected) in [
            (0.500003, 0.5),
            (1.00009, 1.0),
            (1.00011, 1.00011),
            (-0.25001, -0.25),
            (12.345, 12.345),
            (12.3401, 12.34),
            (0.0, 0.0),
        ] {
            assert_eq!(rounded(number), expected, "{number}");
        }
    }
}
