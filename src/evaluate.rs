//! How well parameters do on a whole split.

use crate::dataset::Dataset;
use crate::error::Result;
use crate::hyperparameters::Loss;
use crate::network::{Examples, Group, Parameters};
use crate::preprocess::Normalizer;

/// The scores of one setting's parameters on one split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Mean loss, in nats, without the penalty.
    pub loss: f64,
    /// loss + λ · Σ weight².
    pub cost: f64,
    /// The fraction of examples whose largest logit is that of their class; of equal logits the first counts.
    pub accuracy: f64,
}

impl Scores {
    /// Whether the three are numbers.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.cost.is_finite()
    }
}

/// The scores of `parameters`, which minimise `loss`, on `dataset`, the penalty weighted with `lambda`.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when features or classes differ between the arguments, or `dataset` is empty.
pub fn evaluate(
    parameters: &Parameters,
    loss: Loss,
    lambda: f64,
    dataset: &Dataset,
    normalizer: &Normalizer,
) -> Result<Scores> {
    let group = Group::new(std::slice::from_ref(parameters))?.with_losses(&[loss])?;
    Ok(evaluate_group(&group, &[lambda], dataset, normalizer)?[0])
}

/// The scores of each member of `group` on `dataset`, from one pass over it; `lambdas` has a λ a member.
pub(crate) fn evaluate_group(
    group: &Group,
    lambdas: &[f64],
    dataset: &Dataset,
    normalizer: &Normalizer,
) -> Result<Vec<Scores>> {
    let n = dataset.len() as f64;
    let totals = group.evaluate(Examples::All(dataset, normalizer))?;
    let scores = totals.iter().zip(lambdas).enumerate();
    Ok(scores
        .map(|(j, (total, lambda))| {
            let loss = total.loss / n;
            Scores {
                loss,
                cost: loss + lambda * group.member(j).squared_norm(),
                accuracy: total.correct as f64 / n,
            }
        })
        .collect())
}
