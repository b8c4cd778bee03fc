//! Are the hand-derived gradients right? Held against an `f64` reference written separately, against central
//! differences, and, with the feature `autograd-check`, against PyTorch's autograd.
//!
//! The data term (λ = 0) and the penalty (what λ adds) are checked apart as well as together, so that one can't hide an
//! error of the other; `weight` and `bias` are reported apart. Every comparison is element by element, absolute, and
//! passes only at [`TOLERANCE`]; a NaN fails, and so does comparing nothing.

#[cfg(feature = "autograd-check")]
pub mod autograd;
mod comparison;
mod finite_differences;
pub mod implementations;
mod problem;
pub mod referee;
pub mod reference;
pub mod table;
#[cfg(feature = "autograd-check")]
pub mod trajectory;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::index;

pub use comparison::{Comparison, TOLERANCE, Worst};
pub use problem::Problem;

use crate::network::Gradients;
use crate::shape::Dims;

/// Which part of the cost is differentiated.
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
    /// The term's name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Terms::Data => "data",
            Terms::Penalty => "penalty",
            Terms::Both => "both",
        }
    }
}

/// The cost of a problem and its derivatives, in `f64` for comparing.
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
    /// Widens what an `f32` implementation returned.
    pub fn new(loss: f64, cost: f64, gradients: &Gradients) -> Self {
        let widen = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
        Self { loss, cost, dweight: widen(&gradients.dweight), dbias: widen(&gradients.dbias) }
    }

    /// The gradients of `self` less those of `other`; loss and cost stay.
    fn minus(&self, other: &Derivatives) -> Self {
        let subtract = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self { dweight: subtract(&self.dweight, &other.dweight), dbias: subtract(&self.dbias, &other.dbias), ..*self }
    }
}

/// A hand-derived backward pass under test.
#[derive(Clone, Copy)]
pub struct Implementation<'a> {
    /// Its name in tables.
    pub name: &'a str,
    /// Loss, cost and gradients of a problem for a λ.
    pub derivatives: &'a (dyn Fn(&Problem, f64) -> Derivatives + Sync),
}

impl Implementation<'_> {
    /// The gradients of `terms`. The penalty's share is what λ adds to the gradient, which is all that the
    /// implementation shows of it.
    fn of(&self, problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
        match terms {
            Terms::Data => (self.derivatives)(problem, 0.0),
            Terms::Both => (self.derivatives)(problem, lambda),
            Terms::Penalty => (self.derivatives)(problem, lambda).minus(&(self.derivatives)(problem, 0.0)),
        }
    }
}

/// What a comparison was about, and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The problem's name.
    pub problem: String,
    /// The [`Implementation`]'s name.
    pub implementation: String,
    /// What it was held against.
    pub against: &'static str,
    /// λ.
    pub lambda: f64,
    /// Which part of the cost.
    pub terms: Terms,
    /// `weight`, `bias`, `loss` or `cost`.
    pub quantity: &'static str,
    /// The problem's features and classes.
    pub dims: Dims,
    /// The result.
    pub comparison: Comparison,
}

/// How many elements of `weight` the central differences visit; on a smaller problem, they visit every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// At most so many elements of `weight`. Every element of `bias` is visited besides.
    pub weights: usize,
    /// Seeds the choice.
    pub seed: u64,
}

impl Sample {
    /// Sorted indices below `total`, all of them if the sample is as large.
    fn indices(self, total: usize) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut indices = index::sample(&mut rng, total, self.weights.min(total)).into_vec();
        indices.sort_unstable();
        indices
    }
}

/// Something that the gradients of a problem are known from.
struct Oracle {
    name: &'static str,
    derivatives: fn(&Problem, lambda: f64, Terms) -> Derivatives,
    /// Whether it computes in `f64`. A cost of 400 in `f32` is only known to 3 · 10⁻⁵, so it is not compared.
    double: bool,
}

/// The oracles that give every element.
const ORACLES: &[Oracle] = &[
    Oracle { name: "f64 reference", derivatives: reference::derivatives, double: true },
    #[cfg(feature = "autograd-check")]
    Oracle { name: "PyTorch autograd f32", derivatives: autograd::derivatives_f32, double: false },
    #[cfg(feature = "autograd-check")]
    Oracle { name: "PyTorch autograd f64", derivatives: autograd::derivatives_f64, double: true },
];

/// Holds every implementation against the `f64` reference, PyTorch's autograd if it is there, and central differences
/// if there is a `sample` for them: for each λ and each part of the cost.
pub fn check(
    problem: &Problem,
    name: &str,
    implementations: &[Implementation],
    lambdas: &[f64],
    sample: Option<Sample>,
) -> Vec<Check> {
    let slopes = sample.map(|sample| Slopes::of(problem, sample));
    let mut checks = Vec::new();
    for (lambda, terms) in cases(lambdas) {
        let hands: Vec<_> = implementations
            .iter()
            .map(|implementation| (implementation.name, implementation.of(problem, lambda, terms)))
            .collect();
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
                push(implementation, oracle.name, compare_gradients(hand, &known));
                if oracle.double {
                    push(implementation, oracle.name, compare_value(hand, &known, terms));
                }
            }
        }
        for (implementation, hand) in &hands {
            if let Some(slopes) = &slopes {
                push(implementation, "central differences", slopes.against(hand, lambda, terms));
            }
        }
    }
    checks
}

/// Each part of the cost for each λ, leaving out what would be a repetition: the data term doesn't depend on λ, and is
/// all of the cost where λ = 0.
fn cases(lambdas: &[f64]) -> Vec<(f64, Terms)> {
    let penalised = lambdas.iter().filter(|&&lambda| lambda != 0.0);
    std::iter::once((0.0, Terms::Data))
        .chain(penalised.flat_map(|&lambda| [(lambda, Terms::Penalty), (lambda, Terms::Both)]))
        .collect()
}

/// The numerical derivatives of a problem.
struct Slopes {
    weight: Vec<finite_differences::Slope>,
    bias: Vec<finite_differences::Slope>,
}

impl Slopes {
    fn of(problem: &Problem, sample: Sample) -> Self {
        let all_biases: Vec<_> = (0..problem.dims().classes).collect();
        let some_weights = sample.indices(problem.parameters().weight.len());
        Self {
            weight: finite_differences::weight(problem, &some_weights),
            bias: finite_differences::bias(problem, &all_biases),
        }
    }

    /// Compares the elements of `hand` that were differentiated numerically.
    fn against(&self, hand: &Derivatives, lambda: f64, terms: Terms) -> Vec<(&'static str, Comparison)> {
        let compare = |hand: &[f64], slopes: &[finite_differences::Slope]| {
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

/// Compares all elements of the gradients.
fn compare_gradients(hand: &Derivatives, known: &Derivatives) -> Vec<(&'static str, Comparison)> {
    let elementwise = |hand: &[f64], known: &[f64]| {
        // A missing element must not pass by being skipped.
        assert_eq!(hand.len(), known.len(), "gradients of one shape");
        let pairs = hand.iter().zip(known).enumerate();
        Comparison::new(pairs.map(|(i, (&a, &b))| (i, a, b)), TOLERANCE)
    };
    vec![("weight", elementwise(&hand.dweight, &known.dweight)), ("bias", elementwise(&hand.dbias, &known.dbias))]
}

/// Compares the value that is differentiated, unless it is the penalty alone, which no implementation states. The
/// tolerance grows with its size, since `f32` logits carry a relative error.
fn compare_value(hand: &Derivatives, known: &Derivatives, terms: Terms) -> Vec<(&'static str, Comparison)> {
    let (quantity, hand, known) = match terms {
        Terms::Data => ("loss", hand.loss, known.loss),
        Terms::Both => ("cost", hand.cost, known.cost),
        Terms::Penalty => return Vec::new(),
    };
    let tolerance = TOLERANCE * known.abs().max(1.0);
    vec![(quantity, Comparison::new([(0, hand, known)], tolerance))]
}
