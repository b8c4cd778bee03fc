//! Central differences of the loss and of the penalty in `f64`: a check that uses no derivation at all.
//!
//! f′(θ) ≈ (f(θ + h) − f(θ − h)) / 2h. The formula has an error of order h², rounding one of order ε/h; their sum is
//! smallest near h = ∛ε (Nocedal and Wright, *Numerical Optimization*, 2nd ed., section 8.1), scaled by the size of θ.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::index;
use rayon::prelude::*;

use super::reference::{self, Batch, Parameters64};
use super::{Comparison, Derivatives, Problem, TOLERANCE, Terms};
use crate::network::Parameters;

/// The elements of `weight` at which central differences are taken, in addition to every element of `bias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Number of elements; all of them if the problem has fewer.
    pub weights: usize,
    /// Seed of the random choice.
    pub seed: u64,
}

/// The numerical derivatives with respect to one parameter θ.
struct Slope {
    /// Flat index into `weight` (k,d) or `bias` (k).
    index: usize,
    /// ∂loss/∂θ.
    loss: f64,
    /// ∂(Σ weight²)/∂θ, without λ.
    penalty: f64,
}

/// The numerical derivatives of a problem.
pub(super) struct Slopes {
    weight: Vec<Slope>,
    bias: Vec<Slope>,
}

impl Slopes {
    pub(super) fn new(problem: &Problem, sample: Sample) -> Self {
        let Parameters { weight, bias, .. } = problem.parameters();
        let mut rng = ChaCha8Rng::seed_from_u64(sample.seed);
        let mut chosen = index::sample(&mut rng, weight.len(), sample.weights.min(weight.len())).into_vec();
        chosen.sort_unstable();
        let at = Parameters64::of(problem);
        Self {
            weight: slopes(&at, problem.batch(), chosen, |parameters, i| &mut parameters.weight[i]),
            bias: slopes(&at, problem.batch(), (0..bias.len()).collect(), |parameters, i| &mut parameters.bias[i]),
        }
    }

    /// Compares the elements of `hand` that were differentiated numerically.
    pub(super) fn compare(&self, hand: &Derivatives, lambda: f64, terms: Terms) -> Vec<(&'static str, Comparison)> {
        let compare = |hand: &[f64], slopes: &[Slope]| {
            let pairs = slopes.iter().map(|slope| {
                let numerical = match terms {
                    Terms::Data => slope.loss,
                    Terms::Penalty => lambda * slope.penalty,
                    Terms::Both => slope.loss + lambda * slope.penalty,
                };
                (slope.index, hand[slope.index], numerical)
            });
            Comparison::new(pairs, TOLERANCE)
        };
        vec![("weight", compare(&hand.dweight, &self.weight)), ("bias", compare(&hand.dbias, &self.bias))]
    }
}

/// Central differences of loss + `lambda` · Σ weight² with respect to every `weight` (k,d) and `bias` (k).
pub(super) fn central_differences<T: Copy + Into<f64> + Sync>(
    parameters: &Parameters64,
    batch: Batch<T>,
    lambda: f64,
) -> (Vec<f64>, Vec<f64>) {
    let of_cost = |slopes: Vec<Slope>| slopes.iter().map(|slope| slope.loss + lambda * slope.penalty).collect();
    let all = |values: &[f64]| (0..values.len()).collect();
    let weight = slopes(parameters, batch, all(&parameters.weight), |parameters, i| &mut parameters.weight[i]);
    let bias = slopes(parameters, batch, all(&parameters.bias), |parameters, i| &mut parameters.bias[i]);
    (of_cost(weight), of_cost(bias))
}

fn slopes<T: Copy + Into<f64> + Sync>(
    parameters: &Parameters64,
    batch: Batch<T>,
    indices: Vec<usize>,
    element: impl Fn(&mut Parameters64, usize) -> &mut f64 + Sync,
) -> Vec<Slope> {
    let slope = |parameters: &mut Parameters64, index| {
        let theta = *element(parameters, index);
        let h = f64::EPSILON.cbrt() * theta.abs().max(1.0);
        let mut at = |value: f64| {
            *element(parameters, index) = value;
            (reference::loss(parameters, batch), parameters.penalty())
        };
        let (above, below) = (at(theta + h), at(theta - h));
        *element(parameters, index) = theta;
        // The step as rounded, not 2h: θ ± h are not exact.
        let step = (theta + h) - (theta - h);
        Slope { index, loss: (above.0 - below.0) / step, penalty: (above.1 - below.1) / step }
    };
    indices.into_par_iter().map_init(|| parameters.clone(), slope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyperparameters::Loss;
    use crate::shape::Dims;

    const LAMBDA: f64 = 0.3;

    fn problem(loss: Loss) -> Problem {
        Problem::random(Dims { features: 4, classes: 3 }, 5, 7).with_loss(loss)
    }

    fn slopes(problem: &Problem, weights: usize) -> Slopes {
        Slopes::new(problem, Sample { weights, seed: 1 })
    }

    /// Whether `hand` agrees, for weight and bias.
    fn agree(slopes: &Slopes, hand: &Derivatives, terms: Terms) -> Vec<bool> {
        slopes.compare(hand, LAMBDA, terms).iter().map(|(_, comparison)| comparison.passed()).collect()
    }

    #[test]
    fn the_reference_agrees_with_the_slopes_of_each_part_of_the_cost() {
        for problem in Loss::ALL.map(problem) {
            let slopes = slopes(&problem, usize::MAX);
            for terms in [Terms::Data, Terms::Penalty, Terms::Both] {
                let hand = reference::derivatives(&problem, LAMBDA, terms);
                assert_eq!(agree(&slopes, &hand, terms), [true, true], "{terms:?}");
            }
            let hand = reference::derivatives(&problem, LAMBDA, Terms::Both);
            let (weight, bias) = central_differences(&Parameters64::of(&problem), problem.batch(), LAMBDA);
            let pairs = hand.dweight.iter().chain(&hand.dbias).zip(weight.iter().chain(&bias));
            assert!(pairs.clone().count() == 15 && pairs.clone().all(|(a, b)| (a - b).abs() < 1e-8));
        }
    }

    #[test]
    fn a_gradient_without_its_penalty_and_one_with_a_wrong_bias_differ() {
        let problem = problem(Loss::Softmax);
        let slopes = slopes(&problem, usize::MAX);
        let without = reference::derivatives(&problem, 0.0, Terms::Both);
        assert_eq!(agree(&slopes, &without, Terms::Both), [false, true]);
        let mut wrong = reference::derivatives(&problem, LAMBDA, Terms::Both);
        wrong.dbias[2] += 1e-5;
        assert_eq!(agree(&slopes, &wrong, Terms::Both), [true, false]);
    }

    #[test]
    fn as_many_weights_as_asked_and_every_bias_are_compared() {
        let problem = problem(Loss::Softmax);
        let hand = reference::derivatives(&problem, LAMBDA, Terms::Both);
        for (weights, expected) in [(0, 0), (5, 5), (100, 12)] {
            let found = slopes(&problem, weights).compare(&hand, LAMBDA, Terms::Both);
            let elements: Vec<_> = found.iter().map(|(name, comparison)| (*name, comparison.elements)).collect();
            assert_eq!(elements, [("weight", expected), ("bias", 3)]);
        }
    }

    /// A step of fixed size would be lost beside a parameter of 10⁷.
    #[test]
    fn the_step_grows_with_the_parameter() {
        let dims = Dims { features: 1, classes: 2 };
        let parameters = Parameters64 { dims, weight: vec![1e7, 0.0], bias: vec![0.0; 2] };
        let batch = Batch { x: &[0.0], labels: &[0], loss: Loss::Softmax };
        let (weight, _) = central_differences(&parameters, batch, 1.0);
        assert!((weight[0] / 2e7 - 1.0).abs() < 1e-6, "{weight:?}");
    }
}
