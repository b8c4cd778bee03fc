//! The definition again, in `f64`, as loops that share nothing with [`crate::network`]: slow and plain on purpose, since
//! the fast code is checked against it.

use super::{Derivatives, Problem, Terms};
use crate::hyperparameters::Loss;

/// Loss and cost of `problem`, and the gradients of `terms`.
pub fn derivatives(problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
    let (d, k) = (problem.dims().features, problem.dims().classes);
    let parameters = Parameters64::of(problem);
    let n = problem.len() as f64;
    let mut dweight = vec![0.0; k * d];
    let mut dbias = vec![0.0; k];
    if terms != Terms::Penalty {
        for (i, &y) in problem.labels().iter().enumerate() {
            let logits = logits(problem, &parameters, i);
            let probabilities = probabilities(problem.loss(), &logits);
            for c in 0..k {
                let target = if c == usize::from(y) { 1.0 } else { 0.0 };
                let dlogit = match problem.loss() {
                    Loss::Softmax => (probabilities[c] - target) / n,
                    Loss::Bce => (probabilities[c] - target) / (k as f64 * n),
                };
                dbias[c] += dlogit;
                for j in 0..d {
                    dweight[c * d + j] += dlogit * f64::from(problem.x()[i * d + j]);
                }
            }
        }
    }
    if terms != Terms::Data {
        for (dw, w) in dweight.iter_mut().zip(&parameters.weight) {
            *dw += 2.0 * lambda * w;
        }
    }
    let loss = loss(problem, &parameters);
    Derivatives { loss, cost: loss + lambda * penalty(&parameters), dweight, dbias }
}

/// `weight` (k,d) and `bias` (k) in `f64`: central differences take steps far below the resolution of `f32`.
#[derive(Clone)]
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
        sum += match problem.loss() {
            Loss::Softmax => log_sum_exp(&logits) - logits[y],
            Loss::Bce => {
                let term = |(c, &z): (usize, &f64)| softplus(if c == y { -z } else { z });
                logits.iter().enumerate().map(term).sum::<f64>() / logits.len() as f64
            }
        };
    }
    sum / problem.len() as f64
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
