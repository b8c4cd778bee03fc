//! Checks of the hand-derived gradients against an `f64` reference written separately, against central differences, by the
//! order of the remainder of Taylor's formula and, with the feature `autograd-check`, against PyTorch's autograd.
//!
//! The data term (λ = 0) and the penalty (the part that λ adds) are checked separately as well as together, so that
//! neither can hide an error of the other; `weight` and `bias` are reported separately. Every comparison is absolute, element
//! by element, and passes only within a tolerance, which its row states: [`TOLERANCE`] for gradients, that times a loss or cost above
//! 1, and what rounding can do to a slope or to a training. A NaN fails, and so does comparing nothing.

#[cfg(feature = "autograd-check")]
pub mod autograd;
mod comparison;
mod finite_differences;
mod linear;
mod problem;
pub mod quiz;
pub mod referee;
pub mod reference;
mod suite;
pub mod table;
mod taylor;
#[cfg(test)]
mod tests;
#[cfg(feature = "autograd-check")]
pub mod trajectory;

pub use comparison::{Comparison, EPS, TOLERANCE, Worst};
pub use finite_differences::Sample;
pub use problem::Problem;
pub use suite::{Point, Suite};

#[cfg(doc)]
use crate::network::Parameters;
use crate::network::{CostAndGradients, Examples, Gradients, passes};
use finite_differences::Slopes;
use table::GradcheckRow;
use taylor::Lines;

/// The part of the cost that is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// The loss: the cost with λ = 0.
    Data,
    /// λ · Σ weight².
    Penalty,
    /// The cost.
    Both,
}

impl Terms {
    /// Its name in tables.
    fn name(self) -> &'static str {
        match self {
            Terms::Data => "data",
            Terms::Penalty => "penalty",
            Terms::Both => "both",
        }
    }
}

/// The cost of a problem and its derivatives, in `f64` for comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivatives {
    /// Mean loss, in nats.
    pub loss: f64,
    /// loss + λ · Σ weight².
    pub cost: f64,
    /// (k,d), row-major.
    pub dweight: Vec<f64>,
    /// (k).
    pub dbias: Vec<f64>,
}

impl Derivatives {
    /// Widens the loss and the gradients that an `f32` implementation returns for `problem` and `lambda`.
    pub fn new(problem: &Problem, lambda: f64, loss: f64, gradients: &Gradients) -> Self {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        let cost = loss + lambda * problem.parameters().squared_norm();
        Self { loss, cost, dweight: widen(&gradients.dweight), dbias: widen(&gradients.dbias) }
    }

    /// The sum of two terms, each multiplied by its factor.
    fn sum([(f, a), (g, b)]: [(f64, &Self); 2]) -> Self {
        let add = |a: f64, b: f64| f * a + g * b;
        let add_all = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(&a, &b)| add(a, b)).collect();
        Self {
            loss: add(a.loss, b.loss),
            cost: add(a.cost, b.cost),
            dweight: add_all(&a.dweight, &b.dweight),
            dbias: add_all(&a.dbias, &b.dbias),
        }
    }

    /// Compares all elements of both gradients and, if `known` is in `f64`, the value that is differentiated. The penalty
    /// alone is a value that no implementation returns. In `f32` a cost of 400 is known only to 3 · 10⁻⁵; and since
    /// `f32` logits have a relative error, the tolerance grows with the value.
    fn compare(&self, known: &Self, terms: Terms, in_f64: bool) -> Vec<(&'static str, Comparison)> {
        let mut compared = vec![
            ("weight", Comparison::of_arrays(&self.dweight, &known.dweight, TOLERANCE)),
            ("bias", Comparison::of_arrays(&self.dbias, &known.dbias, TOLERANCE)),
        ];
        let (quantity, hand, known) = match terms {
            Terms::Data if in_f64 => ("loss", self.loss, known.loss),
            Terms::Both if in_f64 => ("cost", self.cost, known.cost),
            _ => return compared,
        };
        compared.push((quantity, Comparison::of_arrays(&[hand], &[known], TOLERANCE * known.abs().max(1.0))));
        compared
    }
}

/// A hand-derived backward pass under test.
#[derive(Clone, Copy)]
pub struct Implementation<'a> {
    /// Its name in tables.
    pub name: &'a str,
    /// Loss, cost and gradients of a problem for a given λ.
    pub derivatives: &'a (dyn Fn(&Problem, f64) -> Derivatives + Sync),
}

/// The kernels of [`Parameters::cost_and_gradients`], which training uses.
pub const KERNELS: Implementation = Implementation {
    name: "kernels",
    derivatives: &|problem, lambda| {
        let examples = Examples::Rows(problem.x(), problem.labels());
        let result = problem.parameters().cost_and_gradients(examples, problem.loss, lambda);
        let CostAndGradients { loss, gradients, .. } = result.expect("a problem is consistent");
        Derivatives::new(problem, lambda, loss, &gradients)
    },
};

/// The plain loops of [`passes`], to which the kernels are the faster equivalent.
pub const PASSES: Implementation = Implementation {
    name: "passes",
    derivatives: &|problem, lambda| {
        let logits = passes::forward(problem.parameters(), problem.x());
        let (loss, dlogits) = passes::loss(problem.loss, &logits, problem.labels());
        let gradients = passes::backward(problem.parameters(), problem.x(), &dlogits, lambda as f32);
        Derivatives::new(problem, lambda, loss, &gradients)
    },
};

impl Implementation<'_> {
    /// The gradients of `terms`. The penalty's part is the difference that λ makes, since the implementation does not
    /// return it separately.
    fn of(&self, problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
        let derivatives = |lambda| (self.derivatives)(problem, lambda);
        match terms {
            Terms::Data => derivatives(0.0),
            Terms::Both => derivatives(lambda),
            Terms::Penalty => Derivatives::sum([(1.0, &derivatives(lambda)), (-1.0, &derivatives(0.0))]),
        }
    }
}

/// An independent source of all derivatives of a problem.
struct Oracle {
    name: &'static str,
    derivatives: fn(&Problem, lambda: f64, Terms) -> Derivatives,
    in_f64: bool,
}

const ORACLES: &[Oracle] = &[
    Oracle { name: "f64 reference", derivatives: reference::derivatives, in_f64: true },
    #[cfg(feature = "autograd-check")]
    Oracle {
        name: "PyTorch autograd f32",
        derivatives: |problem, lambda, terms| autograd::derivatives(problem, lambda, terms, autograd::Kind::Float),
        in_f64: false,
    },
    #[cfg(feature = "autograd-check")]
    Oracle {
        name: "PyTorch autograd f64",
        derivatives: |problem, lambda, terms| autograd::derivatives(problem, lambda, terms, autograd::Kind::Double),
        in_f64: true,
    },
];

/// Compares every implementation with the `f64` reference, with PyTorch's autograd if it is compiled in, by the remainder of
/// Taylor's formula, and with central differences if there is a `sample` for them: for each λ and each part of the cost. The
/// rows name the problem `name`; `seed` is that of the directions.
pub fn check(
    problem: &Problem,
    name: &str,
    implementations: &[Implementation],
    lambdas: &[f64],
    sample: Option<Sample>,
    seed: u64,
) -> Vec<GradcheckRow> {
    let lines = Lines::new(problem, seed);
    let slopes = sample.map(|sample| Slopes::new(problem, sample));
    let mut rows = Vec::new();
    for (lambda, terms) in cases(lambdas) {
        let hands: Vec<_> = implementations.iter().map(|i| (i.name, i.of(problem, lambda, terms))).collect();
        let mut add = |against: &str, compare: &dyn Fn(&Derivatives) -> Vec<(&'static str, Comparison)>| {
            for (implementation, hand) in &hands {
                rows.extend(compare(hand).into_iter().map(|(quantity, comparison)| GradcheckRow {
                    problem: name.into(),
                    implementation: implementation.to_string(),
                    against: against.into(),
                    lambda,
                    terms: terms.name().into(),
                    ..GradcheckRow::of(quantity, problem.dims(), &comparison)
                }));
            }
        };
        for oracle in ORACLES {
            let known = (oracle.derivatives)(problem, lambda, terms);
            add(oracle.name, &|hand| hand.compare(&known, terms, oracle.in_f64));
        }
        add("Taylor remainder", &|hand| lines.compare(hand, lambda, terms));
        if let Some(slopes) = &slopes {
            // A sample may have none of the weights.
            let is_of_values = |(_, comparison): &(_, Comparison)| comparison.elements > 0;
            add("central differences", &|hand| {
                slopes.compare(hand, lambda, terms).into_iter().filter(is_of_values).collect()
            });
        }
    }
    rows
}

/// Each part of the cost for each λ, without repetition: the data term does not depend on λ, and for λ = 0 it is the
/// whole cost.
fn cases(lambdas: &[f64]) -> Vec<(f64, Terms)> {
    let penalised = lambdas.iter().filter(|&&lambda| lambda != 0.0);
    std::iter::once((0.0, Terms::Data))
        .chain(penalised.flat_map(|&lambda| [(lambda, Terms::Penalty), (lambda, Terms::Both)]))
        .collect()
}
