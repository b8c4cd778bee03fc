//! The definition again, in `f64`, as loops that share nothing with [`crate::network`]: slow and plain on purpose, since
//! the fast code is checked against it.

use super::{Derivatives, Problem, Terms};
use crate::hyperparameters::Loss;
use crate::shape::Dims;

/// Loss and cost of `problem`, and the gradients of `terms`.
pub fn derivatives(problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
    let parameters = Parameters64::of(problem);
    let averaged_over = match problem.loss {
        Loss::Softmax => problem.labels().len() as f64,
        Loss::Bce => problem.dims().classes as f64 * problem.labels().len() as f64,
    };
    let mut found = gradients(problem, |i, onehot| {
        if terms == Terms::Penalty {
            return Vec::new(); // No example contributes.
        }
        let probabilities = probabilities(problem.loss, &logits(problem, &parameters, i));
        probabilities.iter().zip(onehot).map(|(p, onehot)| (p - onehot) / averaged_over).collect()
    });
    if terms != Terms::Data {
        for (dw, w) in found.dweight.iter_mut().zip(&parameters.weight) {
            *dw += 2.0 * lambda * w;
        }
    }
    let loss = loss(problem, &parameters);
    Derivatives { loss, cost: loss + lambda * penalty(&parameters), ..found }
}

/// The gradients for `dlogits(i, onehot)` of each example i, (k), where `onehot` is its label as a vector, (k). Loss and
/// cost are 0.
pub(super) fn gradients(problem: &Problem, dlogits: impl Fn(usize, &[f64]) -> Vec<f64>) -> Derivatives {
    let Dims { features: d, classes: k } = problem.dims();
    let (mut dweight, mut dbias) = (vec![0.0; k * d], vec![0.0; k]);
    for (i, &y) in problem.labels().iter().enumerate() {
        let mut onehot = vec![0.0; k];
        onehot[usize::from(y)] = 1.0;
        for (c, dlogit) in dlogits(i, &onehot).into_iter().enumerate() {
            dbias[c] += dlogit;
            for j in 0..d {
                dweight[c * d + j] += dlogit * f64::from(problem.x()[i * d + j]);
            }
        }
    }
    Derivatives { loss: 0.0, cost: 0.0, dweight, dbias }
}

/// `weight` (k,d) and `bias` (k) in `f64`: central differences take steps far below the resolution of `f32`.
pub(super) struct Parameters64 {
    pub(super) weight: Vec<f64>,
    pub(super) bias: Vec<f64>,
}

impl Parameters64 {
    pub(super) fn of(problem: &Problem) -> Self {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        Self { weight: widen(&problem.parameters().weight), bias: widen(&problem.parameters().bias) }
    }
}

/// The softmax of one example's logits, or the sigmoid of each.
fn probabilities(loss: Loss, logits: &[f64]) -> Vec<f64> {
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
pub(super) fn loss(problem: &Problem, parameters: &Parameters64) -> f64 {
    let mut sum = 0.0;
    for (i, &y) in problem.labels().iter().enumerate() {
        let logits = logits(problem, parameters, i);
        let y = usize::from(y);
        sum += match problem.loss {
            Loss::Softmax => log_sum_exp(&logits) - logits[y],
            Loss::Bce => {
                let term = |(c, &z): (usize, &f64)| softplus(if c == y { -z } else { z });
                logits.iter().enumerate().map(term).sum::<f64>() / logits.len() as f64
            }
        };
    }
    sum / problem.labels().len() as f64
}

/// −ln (1 − sigmoid(z)) = ln (1 + e^z), which is −ln sigmoid(−z).
fn softplus(z: f64) -> f64 {
    log_sum_exp(&[0.0, z])
}

/// Σ weight².
pub(super) fn penalty(parameters: &Parameters64) -> f64 {
    parameters.weight.iter().map(|w| w * w).sum()
}

/// Row i of x · weightᵀ + bias, (k).
pub(super) fn logits(problem: &Problem, parameters: &Parameters64, i: usize) -> Vec<f64> {
    let d = problem.dims().features;
    let x = &problem.x()[i * d..(i + 1) * d];
    let mut logits = parameters.bias.clone();
    for (c, logit) in logits.iter_mut().enumerate() {
        for (&x, w) in x.iter().zip(&parameters.weight[c * d..(c + 1) * d]) {
            *logit += f64::from(x) * w;
        }
    }
    logits
}

/// ln Σ exp(z); the maximum is subtracted first so that nothing overflows.
pub(super) fn log_sum_exp(z: &[f64]) -> f64 {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln()
}
