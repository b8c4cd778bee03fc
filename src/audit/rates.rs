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
