//! Central differences of the loss and of the penalty in `f64`: a check that knows no derivative at all.
//!
//! f′(θ) ≈ (f(θ + h) − f(θ − h)) / 2h, with an error of order h² from the formula and ε/h from rounding; their sum is
//! smallest near h = ∛ε (Nocedal and Wright, *Numerical Optimization*, 2nd ed., section 8.1), scaled by the size of θ.

use rayon::prelude::*;

use super::Problem;
use super::reference::{self, Parameters64};

/// The numerical derivative by one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The flat index: of `weight` (k,d), or of `bias` (k).
    pub index: usize,
    /// ∂loss/∂θ.
    pub loss: f64,
    /// ∂(Σ weight²)/∂θ, without λ.
    pub penalty: f64,
}

/// The slopes at the elements `indices` of `weight`.
pub fn weight(problem: &Problem, indices: &[usize]) -> Vec<Slope> {
    slopes(problem, indices, |parameters, i| &mut parameters.weight[i])
}

/// The slopes at the elements `indices` of `bias`.
pub fn bias(problem: &Problem, indices: &[usize]) -> Vec<Slope> {
    slopes(problem, indices, |parameters, i| &mut parameters.bias[i])
}

fn slopes(
    problem: &Problem,
    indices: &[usize],
    element: impl Fn(&mut Parameters64, usize) -> &mut f64 + Sync,
) -> Vec<Slope> {
    let start = Parameters64::of(problem);
    indices
        .par_iter()
        .map_init(
            || start.clone(),
            |parameters, &index| {
                let theta = *element(parameters, index);
                let h = f64::EPSILON.cbrt() * theta.abs().max(1.0);
                let mut at = |value: f64| {
                    *element(parameters, index) = value;
                    let loss = reference::loss(problem, parameters);
                    (loss, reference::penalty(parameters))
                };
                let (above, below) = (at(theta + h), at(theta - h));
                *element(parameters, index) = theta;
                // The step as rounded, not h: θ ± h are not exact.
                let step = (theta + h) - (theta - h);
                Slope { index, loss: (above.0 - below.0) / step, penalty: (above.1 - below.1) / step }
            },
        )
        .collect()
}
