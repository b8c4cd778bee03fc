//! The order of the remainder of Taylor's formula in `f64`: a check of the whole gradient at once, without choosing elements
//! and without a step size.
//!
//! Along a direction u, f(θ + h u) = f(θ) + h · g·u + ½ h² · uᵀ H u + …, so that the remainder
//! R(h) = |f(θ + h u) − f(θ) − h · g·u| falls with h² if g is the gradient, and with h if it is not: between h and h / 2, the
//! slope log₂ (R(h) / R(h / 2)) is 2 or 1. As the logits are linear in the parameters, those at θ + h u are z + h v for
//! z = logits(θ) and v = logits(u), which are computed once.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::linear::dot;
use super::reference::{self, Parameters64};
use super::{Comparison, Derivatives, Problem, Terms};

/// The slope of the remainder of a gradient.
const ORDER: f64 = 2.0;

/// The largest distance of a slope from [`ORDER`] that passes: at these h, the terms of third order change it by less than
/// a hundredth.
const BAND: f64 = 0.05;

/// The h for which the remainder is computed, for a direction that changes the logits by 1 on average.
const STEPS: [f64; 5] = [0.02, 0.01, 0.005, 0.0025, 0.00125];

/// Number of random directions.
const DIRECTIONS: usize = 2;

/// A remainder below this, relative to f(θ) or 1, is rounding: then f is linear along u, and the gradient right.
const ROUNDING: f64 = 1e-12;

/// Likewise a remainder below this, relative to h · |g| · |u|: gradients in `f32` have such errors.
const GRADIENT_ROUNDING: f64 = 1e-6;

/// A direction in the space of the parameters, and the cost along it.
struct Line {
    /// u.
    direction: Parameters64,
    /// The loss at θ, and at θ + h u for each of the [`STEPS`].
    losses: Vec<f64>,
    /// Σ weight² at the same points.
    penalties: Vec<f64>,
}

/// The cost of a problem along random directions.
pub(super) struct Lines(Vec<Line>);

impl Lines {
    pub(super) fn new(problem: &Problem, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let parameters = Parameters64::of(problem);
        let z = logits(&parameters, problem);
        let line = |_| {
            let mut normal = |count: usize| (0..count).map(|_| rng.sample(StandardNormal)).collect::<Vec<f64>>();
            let Parameters64 { dims, weight, bias } = &parameters;
            let mut direction = Parameters64 { dims: *dims, weight: normal(weight.len()), bias: normal(bias.len()) };
            let mut v = logits(&direction, problem);
            let mean_square = v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64;
            let scale = 1.0 / mean_square.sqrt();
            for value in v.iter_mut().chain(&mut direction.weight).chain(&mut direction.bias) {
                *value *= scale;
            }
            let points = || std::iter::once(0.0).chain(STEPS);
            let losses = points().map(|h| loss(problem, &z, &v, h)).collect();
            let square = |h: f64| weight.iter().zip(&direction.weight).map(|(w, u)| (w + h * u).powi(2)).sum();
            let penalties = points().map(square).collect();
            Line { direction, losses, penalties }
        };
        Self((0..DIRECTIONS).map(line).collect())
    }

    /// Compares the slope between each step and the next with [`ORDER`].
    pub(super) fn compare(&self, hand: &Derivatives, lambda: f64, terms: Terms) -> Vec<(&'static str, Comparison)> {
        let slopes = self.0.iter().flat_map(|line| line.slopes(hand, lambda, terms));
        let pairs = slopes.enumerate().map(|(i, slope)| (i, slope, ORDER));
        vec![("slope", Comparison::new(pairs, BAND))]
    }
}

impl Line {
    fn slopes(&self, hand: &Derivatives, lambda: f64, terms: Terms) -> Vec<f64> {
        let values: Vec<f64> = self
            .losses
            .iter()
            .zip(&self.penalties)
            .map(|(loss, penalty)| match terms {
                Terms::Data => *loss,
                Terms::Penalty => lambda * penalty,
                Terms::Both => loss + lambda * penalty,
            })
            .collect();
        let slope = dot(&hand.dweight, &self.direction.weight) + dot(&hand.dbias, &self.direction.bias);
        let size = |parts: [&[f64]; 2]| parts.map(|part| dot(part, part)).iter().sum::<f64>().sqrt();
        let sizes = size([&hand.dweight, &hand.dbias]) * size([&self.direction.weight, &self.direction.bias]);
        let remainders: Vec<(f64, f64)> = values[1..]
            .iter()
            .zip(STEPS)
            .map(|(value, h)| {
                let rounding = ROUNDING * values[0].abs().max(1.0) + GRADIENT_ROUNDING * h * sizes;
                ((value - values[0] - h * slope).abs(), rounding)
            })
            .collect();
        let order = |pair: &[(f64, f64)]| match pair {
            [(larger, rounding), _] if rounding.is_finite() && larger <= rounding => ORDER,
            [(larger, _), (smaller, _)] => (larger / smaller).log2(),
            _ => f64::NAN,
        };
        remainders.windows(2).map(order).collect()
    }
}

/// The logits of all examples, (n,k).
fn logits(parameters: &Parameters64, problem: &Problem) -> Vec<f64> {
    let rows = problem.x().par_chunks(parameters.dims.features);
    rows.flat_map_iter(|x| reference::logits(parameters, x)).collect()
}

/// The mean loss for the logits z + h v.
fn loss(problem: &Problem, z: &[f64], v: &[f64], h: f64) -> f64 {
    let k = problem.dims().classes;
    let moved = |(z, v): (&[f64], &[f64])| z.iter().zip(v).map(|(z, v)| z + h * v).collect::<Vec<_>>();
    let logits = z.chunks(k).zip(v.chunks(k)).map(moved);
    let losses = logits.zip(problem.labels()).map(|(z, &y)| reference::loss_of(problem.loss, &z, y));
    losses.sum::<f64>() / problem.labels().len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyperparameters::Loss;
    use crate::shape::Dims;

    const LAMBDA: f64 = 0.1;

    /// True if `wrong` makes of the right derivatives some that pass.
    fn passes(terms: Terms, wrong: impl Fn(&Problem, &mut Derivatives)) -> Vec<bool> {
        let passes = |loss| {
            let problem = Problem::random(Dims { features: 40, classes: 10 }, 50, 3).with_loss(loss);
            let mut derivatives = reference::derivatives(&problem, LAMBDA, terms);
            wrong(&problem, &mut derivatives);
            Lines::new(&problem, 1).compare(&derivatives, LAMBDA, terms)[0].1.passed()
        };
        Loss::ALL.map(passes).into()
    }

    #[test]
    fn the_slope_of_right_gradients_is_2() {
        for terms in [Terms::Data, Terms::Penalty, Terms::Both] {
            assert_eq!(passes(terms, |_, _| {}), [true, true], "{terms:?}");
        }
    }

    #[test]
    fn the_slope_of_wrong_gradients_is_not() {
        let no = [false, false];
        assert_eq!(passes(Terms::Data, |_, d| d.dweight.iter_mut().for_each(|g| *g *= 1.05)), no);
        assert_eq!(passes(Terms::Both, |_, d| d.dbias.fill(0.0)), no);
        assert_eq!(passes(Terms::Data, |_, d| d.dweight[17] += 0.01), no);
        for value in [f64::NAN, f64::INFINITY, 1e200] {
            assert_eq!(passes(Terms::Data, |_, d| d.dweight[17] = value), no, "{value}");
        }
        let half_the_penalty = |problem: &Problem, derivatives: &mut Derivatives| {
            for (g, w) in derivatives.dweight.iter_mut().zip(&problem.parameters().weight) {
                *g -= LAMBDA * f64::from(*w);
            }
        };
        assert_eq!(passes(Terms::Penalty, half_the_penalty), no);
        assert_eq!(passes(Terms::Both, half_the_penalty), no);
    }

    #[test]
    fn the_cost_along_a_line_is_that_at_the_moved_parameters() {
        for loss in Loss::ALL {
            let problem = Problem::random(Dims { features: 6, classes: 3 }, 4, 3).with_loss(loss);
            let at = Parameters64::of(&problem);
            let Lines(lines) = Lines::new(&problem, 1);
            assert_eq!(lines.len(), 2);
            assert_ne!(lines[0].direction.weight, lines[1].direction.weight);
            for Line { direction, losses, penalties } in &lines {
                assert_eq!((losses.len(), penalties.len()), (6, 6));
                for (i, h) in [0.0, 0.02, 0.01, 0.005, 0.0025, 0.00125].into_iter().enumerate() {
                    let moved = |from: &[f64], along: &[f64]| from.iter().zip(along).map(|(w, u)| w + h * u).collect();
                    let moved = Parameters64 {
                        dims: at.dims,
                        weight: moved(&at.weight, &direction.weight),
                        bias: moved(&at.bias, &direction.bias),
                    };
                    assert!((losses[i] - reference::loss(&moved, problem.batch())).abs() < 1e-13);
                    assert!((penalties[i] - moved.weight.iter().map(|w| w * w).sum::<f64>()).abs() < 1e-12);
                }
                let changes = problem.x().chunks(6).flat_map(|x| reference::logits(direction, x));
                assert!((changes.map(|v| v * v).sum::<f64>() / 12.0 - 1.0).abs() < 1e-12);
            }
        }
    }

    /// A line along (1.6, 1.2), of length 2, on which the loss and the penalty are these functions of h.
    fn line(loss: impl Fn(f64) -> f64, penalty: impl Fn(f64) -> f64) -> Line {
        let points = || std::iter::once(0.0).chain(STEPS);
        let direction = Parameters64 { dims: Dims { features: 1, classes: 1 }, weight: vec![1.6], bias: vec![1.2] };
        Line { direction, losses: points().map(loss).collect(), penalties: points().map(penalty).collect() }
    }

    fn gradients(weight: f64, bias: f64) -> Derivatives {
        Derivatives { loss: 0.0, cost: 0.0, dweight: vec![weight], dbias: vec![bias] }
    }

    #[test]
    fn a_parabola_has_the_slope_2_along_its_tangent_and_1_along_another_line() {
        // Slopes at 0: 9.6 of the loss and 2 of half the penalty.
        let line = line(|h| 7.0 + 9.6 * h + 3.0 * h * h, |h| 5.0 + 4.0 * h + 6.0 * h * h);
        let slopes = |terms, weight, bias| line.slopes(&gradients(weight, bias), 0.5, terms);
        let are_near = |found: Vec<f64>, expected: f64| {
            assert_eq!(found.len(), 4);
            assert!(found.iter().all(|slope| (slope - expected).abs() < 0.05), "{found:?} {expected}");
        };
        // 3 · 1.6 + 4 · 1.2, 0.5 · 1.6 + 1 · 1.2 and their sum.
        are_near(slopes(Terms::Data, 3.0, 4.0), 2.0);
        are_near(slopes(Terms::Penalty, 0.5, 1.0), 2.0);
        are_near(slopes(Terms::Both, 3.5, 5.0), 2.0);
        for (terms, weight, bias) in [
            (Terms::Data, 3.5, 5.0),
            (Terms::Data, 0.0, 0.0),
            (Terms::Penalty, 3.0, 4.0),
            (Terms::Penalty, 1.0, 2.0),
            (Terms::Both, 3.0, 4.0),
        ] {
            are_near(slopes(terms, weight, bias), 1.0);
        }
    }

    #[test]
    fn a_remainder_is_rounding_relative_to_the_value_and_to_the_gradient() {
        for value in [0.0_f64, -0.5, 1e6, -1e6] {
            for scale in [0.0, 1e-4, 1.0] {
                // The gradient has the length 5 and the slope 9.6, times the scale.
                let hand = gradients(3.0 * scale, 4.0 * scale);
                let rounding = |h: f64| 1e-12 * f64::max(1.0, value.abs()) + 1e-6 * h * 5.0 * scale * 2.0;
                for sign in [1.0, -1.0] {
                    let of = |factor: f64| {
                        let loss = |h: f64| {
                            let remainder = if h == 0.0 { 0.0 } else { sign * factor * rounding(h) };
                            value + 9.6 * scale * h + remainder
                        };
                        line(loss, |_| f64::NAN).slopes(&hand, 0.5, Terms::Data)
                    };
                    assert_eq!(of(0.9), [2.0; 4], "{value} {scale}");
                    let beyond = of(1.1);
                    assert!(beyond.iter().all(|slope| *slope < 1.05), "{value} {scale} {beyond:?}");
                }
            }
        }
        assert_eq!(line(|h| 9.6 * h, |_| 0.0).slopes(&gradients(3.0, 4.0), 0.0, Terms::Both), [2.0; 4]);
    }
}
