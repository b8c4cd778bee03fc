//! Checks of the hand-derived gradients against an `f64` reference written separately, against central differences and,
//! with the feature `autograd-check`, against PyTorch's autograd.
//!
//! The data term (λ = 0) and the penalty (the part that λ adds) are checked separately as well as together, so that
//! neither can hide an error of the other; `weight` and `bias` are reported separately. Every comparison is absolute, element
//! by element, and passes only within [`TOLERANCE`]. A NaN fails, and so does comparing nothing.

#[cfg(feature = "autograd-check")]
pub mod autograd;
mod comparison;
mod finite_differences;
mod problem;
pub mod referee;
pub mod reference;
mod suite;
pub mod table;
#[cfg(feature = "autograd-check")]
pub mod trajectory;

pub use comparison::{Comparison, TOLERANCE, Worst};
pub use finite_differences::Sample;
pub use problem::Problem;
pub use suite::{Point, Suite};

use crate::network::{Examples, Gradients, Group, passes};
use crate::shape::Dims;
use finite_differences::Slopes;

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
    pub fn name(self) -> &'static str {
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
    /// Widens the gradients of an `f32` implementation.
    pub fn new(loss: f64, cost: f64, gradients: &Gradients) -> Self {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        Self { loss, cost, dweight: widen(&gradients.dweight), dbias: widen(&gradients.dbias) }
    }

    /// The gradients of `self` minus those of `other`; loss and cost stay.
    fn minus(&self, other: &Derivatives) -> Self {
        let subtract = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self { dweight: subtract(&self.dweight, &other.dweight), dbias: subtract(&self.dbias, &other.dbias), ..*self }
    }

    /// Compares all elements of both gradients.
    fn compare_gradients(&self, known: &Derivatives) -> Vec<(&'static str, Comparison)> {
        let compare = |hand: &[f64], known: &[f64]| Comparison::of_arrays(hand, known, TOLERANCE);
        vec![("weight", compare(&self.dweight, &known.dweight)), ("bias", compare(&self.dbias, &known.dbias))]
    }

    /// Compares the value that is differentiated, except for the penalty alone, which no implementation returns. The
    /// tolerance grows with the value, since `f32` logits have a relative error.
    fn compare_value(&self, known: &Derivatives, terms: Terms) -> Vec<(&'static str, Comparison)> {
        let (quantity, hand, known) = match terms {
            Terms::Data => ("loss", self.loss, known.loss),
            Terms::Both => ("cost", self.cost, known.cost),
            Terms::Penalty => return Vec::new(),
        };
        vec![(quantity, Comparison::of_arrays(&[hand], &[known], TOLERANCE * known.abs().max(1.0)))]
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

/// The kernels of [`Group`], which training uses.
pub const KERNELS: Implementation = Implementation {
    name: "kernels",
    derivatives: &|problem, lambda| {
        let group = Group::new(std::slice::from_ref(problem.parameters())).expect("one member");
        let group = group.with_losses(&[problem.loss()]).expect("one member");
        let examples = Examples::Rows(problem.x(), problem.labels());
        let gradients = group.gradients(examples, &[lambda as f32]);
        let (loss, gradients) = &gradients.expect("a problem is consistent")[0];
        Derivatives::new(*loss, cost(*loss, problem, lambda), gradients)
    },
};

/// The plain loops of [`passes`], to which the kernels are the faster equivalent.
pub const PASSES: Implementation = Implementation {
    name: "passes",
    derivatives: &|problem, lambda| {
        let logits = passes::forward(problem.parameters(), problem.x());
        let (loss, dlogits) = passes::loss(problem.loss(), &logits, problem.labels());
        let gradients = passes::backward(problem.parameters(), problem.x(), &dlogits, lambda as f32);
        Derivatives::new(loss, cost(loss, problem, lambda), &gradients)
    },
};

fn cost(loss: f64, problem: &Problem, lambda: f64) -> f64 {
    loss + lambda * problem.parameters().squared_norm()
}

impl Implementation<'_> {
    /// The gradients of `terms`. The penalty's part is the difference that λ makes, since the implementation does not
    /// return it separately.
    fn of(&self, problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
        match terms {
            Terms::Data => (self.derivatives)(problem, 0.0),
            Terms::Both => (self.derivatives)(problem, lambda),
            Terms::Penalty => (self.derivatives)(problem, lambda).minus(&(self.derivatives)(problem, 0.0)),
        }
    }
}

/// One comparison, with its subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The problem's name.
    pub problem: String,
    /// The [`Implementation`]'s name.
    pub implementation: String,
    /// Name of the method that the implementation is compared with.
    pub against: &'static str,
    /// λ.
    pub lambda: f64,
    /// The part of the cost.
    pub terms: Terms,
    /// `weight`, `bias`, `loss` or `cost`.
    pub quantity: &'static str,
    /// The problem's features and classes.
    pub dims: Dims,
    /// The result.
    pub comparison: Comparison,
}

/// An independent source of all derivatives of a problem.
struct Oracle {
    name: &'static str,
    derivatives: fn(&Problem, lambda: f64, Terms) -> Derivatives,
    /// True if it computes in `f64`. In `f32` a cost of 400 is known only to 3 · 10⁻⁵, so it is not compared.
    double: bool,
}

const ORACLES: &[Oracle] = &[
    Oracle { name: "f64 reference", derivatives: reference::derivatives, double: true },
    #[cfg(feature = "autograd-check")]
    Oracle { name: "PyTorch autograd f32", derivatives: autograd::derivatives_f32, double: false },
    #[cfg(feature = "autograd-check")]
    Oracle { name: "PyTorch autograd f64", derivatives: autograd::derivatives_f64, double: true },
];

/// Compares every implementation with the `f64` reference, with PyTorch's autograd if it is compiled in, and with central
/// differences if there is a `sample` for them: for each λ and each part of the cost.
pub fn check(
    problem: &Problem,
    name: &str,
    implementations: &[Implementation],
    lambdas: &[f64],
    sample: Option<Sample>,
) -> Vec<Check> {
    let slopes = sample.map(|sample| Slopes::new(problem, sample));
    let mut checks = Vec::new();
    for (lambda, terms) in cases(lambdas) {
        let hands: Vec<_> = implementations.iter().map(|i| (i.name, i.of(problem, lambda, terms))).collect();
        let mut push = |implementation: &str, against, comparisons: Vec<(&'static str, Comparison)>| {
            checks.extend(comparisons.into_iter().map(|(quantity, comparison)| Check {
                problem: name.into(),
                implementation: implementation.into(),
                against,
                lambda,
                terms,
                quantity,
                dims: problem.dims(),
                comparison,
            }));
        };
        for oracle in ORACLES {
            let known = (oracle.derivatives)(problem, lambda, terms);
            for (implementation, hand) in &hands {
                push(implementation, oracle.name, hand.compare_gradients(&known));
                if oracle.double {
                    push(implementation, oracle.name, hand.compare_value(&known, terms));
                }
            }
        }
        for (implementation, hand) in &hands {
            if let Some(slopes) = &slopes {
                push(implementation, "central differences", slopes.compare(hand, lambda, terms));
            }
        }
    }
    checks
}

/// Each part of the cost for each λ, without repetition: the data term does not depend on λ, and for λ = 0 it is the
/// whole cost.
fn cases(lambdas: &[f64]) -> Vec<(f64, Terms)> {
    let penalised = lambdas.iter().filter(|&&lambda| lambda != 0.0);
    std::iter::once((0.0, Terms::Data))
        .chain(penalised.flat_map(|&lambda| [(lambda, Terms::Penalty), (lambda, Terms::Both)]))
        .collect()
}
