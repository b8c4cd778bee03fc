//! The definition again, in `f64`, as loops that share nothing with [`crate::network`]: slow and plain on purpose, since
//! the fast code is checked against it.

use super::{Derivatives, Problem, Terms};
use crate::hyperparameters::Loss;
use crate::shape::Dims;

/// n examples, with features in either precision, and the loss that is differentiated.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, T> {
    /// The normalised features, (n,d), row-major.
    pub x: &'a [T],
    /// The class of each example.
    pub labels: &'a [u8],
    /// The loss.
    pub loss: Loss,
}

/// `weight` (k,d) and `bias` (k) in `f64`: central differences take steps far below the resolution of `f32`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters64 {
    /// Number of features and classes.
    pub dims: Dims,
    /// (k,d), row-major.
    pub weight: Vec<f64>,
    /// (k).
    pub bias: Vec<f64>,
}

impl Parameters64 {
    /// The parameters of `problem`.
    pub fn of(problem: &Problem) -> Self {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        let parameters = problem.parameters();
        Self { dims: parameters.dims, weight: widen(&parameters.weight), bias: widen(&parameters.bias) }
    }

    /// Σ weight².
    pub(super) fn penalty(&self) -> f64 {
        self.weight.iter().map(|w| w * w).sum()
    }
}

/// Loss and cost of `problem`, and the gradients of `terms`.
pub fn derivatives(problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
    derivatives_at(&Parameters64::of(problem), problem.batch(), lambda, terms)
}

/// Loss and cost of `batch` at `parameters`, and the gradients of `terms`.
pub fn derivatives_at<T: Copy + Into<f64>>(
    parameters: &Parameters64,
    batch: Batch<T>,
    lambda: f64,
    terms: Terms,
) -> Derivatives {
    let Dims { features, classes } = parameters.dims;
    let averaged_over = match batch.loss {
        Loss::Softmax => batch.labels.len() as f64,
        Loss::Bce => classes as f64 * batch.labels.len() as f64,
    };
    let mut dlogits = Vec::new(); // (n,k); no example contributes to the penalty.
    if terms != Terms::Penalty {
        for (x, &y) in batch.x.chunks(features).zip(batch.labels) {
            for (c, p) in probabilities(batch.loss, &logits(parameters, x)).into_iter().enumerate() {
                let onehot = if c == usize::from(y) { 1.0 } else { 0.0 };
                dlogits.push((p - onehot) / averaged_over);
            }
        }
    }
    let (mut dweight, dbias) = gradients(parameters.dims, batch.x, &dlogits);
    if terms != Terms::Data {
        for (dw, w) in dweight.iter_mut().zip(&parameters.weight) {
            *dw += 2.0 * lambda * w;
        }
    }
    let loss = loss(parameters, batch);
    Derivatives { loss, cost: loss + lambda * parameters.penalty(), dweight, dbias }
}

/// Step 3 of the derivation, without the penalty: `dweight` (k,d) and `dbias` (k) for `dlogits` (n,k).
pub(super) fn gradients<T: Copy + Into<f64>>(dims: Dims, x: &[T], dlogits: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let Dims { features: d, classes: k } = dims;
    let (mut dweight, mut dbias) = (vec![0.0; k * d], vec![0.0; k]);
    for (x, dlogits) in x.chunks(d).zip(dlogits.chunks(k)) {
        for (c, &dlogit) in dlogits.iter().enumerate() {
            dbias[c] += dlogit;
            for (dw, &x) in dweight[c * d..(c + 1) * d].iter_mut().zip(x) {
                *dw += dlogit * x.into();
            }
        }
    }
    (dweight, dbias)
}

/// The softmax of one example's logits, or the sigmoid of each.
pub(super) fn probabilities(loss: Loss, logits: &[f64]) -> Vec<f64> {
    match loss {
        Loss::Softmax => {
            let log_normaliser = log_sum_exp(logits);
            logits.iter().map(|z| (z - log_normaliser).exp()).collect()
        }
        Loss::Bce => logits.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect(),
    }
}

/// Softmax: the mean over the examples of logsumexp(logits) − logits\[y\]. Sigmoids, with p = sigmoid(logit): the mean over
/// examples and classes of −ln p for class y and −ln (1 − p) for the others.
pub(super) fn loss<T: Copy + Into<f64>>(parameters: &Parameters64, batch: Batch<T>) -> f64 {
    let examples = batch.x.chunks(parameters.dims.features).zip(batch.labels);
    let losses = examples.map(|(x, &y)| loss_of(batch.loss, &logits(parameters, x), y));
    losses.sum::<f64>() / batch.labels.len() as f64
}

/// The loss of one example with label `y`.
pub(super) fn loss_of(loss: Loss, logits: &[f64], y: u8) -> f64 {
    let y = usize::from(y);
    match loss {
        Loss::Softmax => log_sum_exp(logits) - logits[y],
        Loss::Bce => {
            let term = |(c, &z): (usize, &f64)| softplus(if c == y { -z } else { z });
            logits.iter().enumerate().map(term).sum::<f64>() / logits.len() as f64
        }
    }
}

/// −ln (1 − sigmoid(z)) = ln (1 + e^z), which is −ln sigmoid(−z).
fn softplus(z: f64) -> f64 {
    log_sum_exp(&[0.0, z])
}

/// The logits (k) of one example `x` (d): a row of x · weightᵀ + bias.
pub(super) fn logits<T: Copy + Into<f64>>(parameters: &Parameters64, x: &[T]) -> Vec<f64> {
    let rows = parameters.weight.chunks(parameters.dims.features);
    let logit = |(row, bias): (&[f64], &f64)| {
        let mut logit = *bias;
        for (w, &x) in row.iter().zip(x) {
            logit += x.into() * w;
        }
        logit
    };
    rows.zip(&parameters.bias).map(logit).collect()
}

/// ln Σ exp(z); the maximum is subtracted first so that nothing overflows.
pub(super) fn log_sum_exp(z: &[f64]) -> f64 {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes whose logits are both 2 for the example (1, 2), so that each has the probability ½.
    #[test]
    fn a_problem_small_enough_for_paper_has_the_values_worked_out_there() {
        let dims = Dims { features: 2, classes: 2 };
        let parameters = Parameters64 { dims, weight: vec![2.0, 0.0, 0.0, 1.0], bias: vec![0.0; 2] };
        let batch = Batch { x: &[1.0, 2.0], labels: &[0], loss: Loss::Softmax };
        let of = |terms| derivatives_at(&parameters, batch, 0.1, terms);
        let is_near = |found: &[f64], expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-15), "{found:?} {expected:?}");
        };
        let both = of(Terms::Both);
        // λ Σ weight² = 0.1 · (4 + 1).
        is_near(&[both.loss, both.cost], &[2.0_f64.ln(), 2.0_f64.ln() + 0.5]);
        is_near(&both.dweight, &[-0.5 + 0.4, -1.0, 0.5, 1.0 + 0.2]);
        is_near(&both.dbias, &[-0.5, 0.5]);
        is_near(&of(Terms::Data).dweight, &[-0.5, -1.0, 0.5, 1.0]);
        is_near(&of(Terms::Penalty).dweight, &[0.4, 0.0, 0.0, 0.2]);
        is_near(&of(Terms::Penalty).dbias, &[0.0, 0.0]);
    }
}
