//! The referee: compares gradients that were computed elsewhere with the `f64` reference and, where they differ, names the
//! mistake that they look like.
//!
//! Each common mistake is a function that returns the loss, the cost and the gradients that it leads to. A mistake is named
//! if it reproduces the submitted values.

pub mod files;
mod mistakes;

use crate::error::Result;
use crate::gradcheck::{Comparison, Derivatives, Problem, TOLERANCE};
use crate::network::Parameters;
use crate::shape::{Dims, check_shape};
use crate::train::random_start;
use mistakes::{Case, Suspect, suspects};

/// A quantity that can be submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The gradient of the cost with respect to `weight`.
    Weight,
    /// The gradient of the cost with respect to `bias`.
    Bias,
    /// The mean cross-entropy.
    Loss,
    /// loss + λ · Σ weight².
    Cost,
}

impl Quantity {
    /// All quantities, in the order in which they are reported.
    pub const ALL: [Quantity; 4] = [Quantity::Weight, Quantity::Bias, Quantity::Loss, Quantity::Cost];

    /// Name of the array in a submission.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Weight => "grad_W",
            Quantity::Bias => "grad_b",
            Quantity::Loss => "loss",
            Quantity::Cost => "cost",
        }
    }

    /// Its elements, row-major: (k,d), (k) or a single number.
    pub fn of(self, derivatives: &Derivatives) -> &[f64] {
        match self {
            Quantity::Weight => &derivatives.dweight,
            Quantity::Bias => &derivatives.dbias,
            Quantity::Loss => std::slice::from_ref(&derivatives.loss),
            Quantity::Cost => std::slice::from_ref(&derivatives.cost),
        }
    }
}

/// The solution of a problem, computed elsewhere: the quantities that were submitted, each with its elements in row-major
/// order.
pub type Submission = Vec<(Quantity, Vec<f64>)>;

/// The result for one quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The quantity.
    pub quantity: Quantity,
    /// The submission (`hand`) compared with the `f64` reference (`other`).
    pub comparison: Comparison,
    /// The mistake that explains the difference, if one does.
    pub mistake: Option<Diagnosis>,
    /// The largest absolute value of the reference.
    pub largest: f64,
}

/// A mistake that explains a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The mistake.
    pub mistake: String,
    /// The correction.
    pub fix: &'static str,
    /// The largest absolute difference between the submission and what the mistake leads to.
    pub left: f64,
}

impl Finding {
    /// True if something was compared and the largest absolute difference or the largest relative one,
    /// |a − b| / max(10⁻⁶, |a| + |b|), is at most [`TOLERANCE`]. NaN never agrees.
    pub fn agrees(&self) -> bool {
        let relative = self.comparison.max_relative <= TOLERANCE;
        self.comparison.passed() || (self.comparison.elements > 0 && relative)
    }

    /// True if the difference is as small as the rounding errors of `f32` where gradients or logits are large.
    pub fn may_be_rounding(&self) -> bool {
        !self.agrees() && self.comparison.max_absolute <= ROUNDING * self.largest
    }
}

/// The largest difference, relative to the largest value, that `f32` rounding may explain.
const ROUNDING: f64 = 1e-5;

/// The largest fraction of a difference that a mistake may leave unexplained.
const UNEXPLAINED: f64 = 0.1;

/// Random parameters for a problem: the weights of [`random_start`], and biases drawn in the same way instead of zeros,
/// at which a penalty on the bias would go unnoticed.
pub fn start(dims: Dims, seed: u64) -> Parameters {
    let one_feature = Dims { features: 1, ..dims };
    Parameters { bias: random_start(one_feature, !seed).weight, ..random_start(dims, seed) }
}

/// Compares `submission` with the `f64` reference: one finding for each submitted quantity.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) if a quantity does not have the shape of the problem's.
pub fn judge(problem: &Problem, lambda: f64, submission: &Submission) -> Result<Vec<Finding>> {
    let Dims { features, classes } = problem.dims();
    let case = Case::new(problem, lambda);
    let finding = |(quantity, submitted): &(Quantity, Vec<f64>)| {
        let shape: &[usize] = match quantity {
            Quantity::Weight => &[classes, features],
            Quantity::Bias => &[classes],
            Quantity::Loss | Quantity::Cost => &[],
        };
        check_shape(quantity.name(), submitted.len(), shape)?;
        let right = quantity.of(&case.right);
        let comparison = compare(submitted, right);
        Ok(Finding { quantity: *quantity, comparison, mistake: None, largest: largest(right) })
    };
    let mut findings = submission.iter().map(finding).collect::<Result<Vec<_>>>()?;
    if findings.iter().any(|f| !f.agrees()) {
        diagnose(&mut findings, submission, &suspects(&case, submission));
    }
    Ok(findings)
}

fn compare(submitted: &[f64], other: &[f64]) -> Comparison {
    Comparison::of_arrays(submitted, other, TOLERANCE)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// Names the mistake of each quantity that differs: preferably one that already explains another quantity, otherwise the
/// one that leaves the smallest difference.
fn diagnose(findings: &mut [Finding], submission: &Submission, suspects: &[Suspect]) {
    let mut convicted = Vec::new();
    for (finding, (_, submitted)) in findings.iter_mut().zip(submission).filter(|(f, _)| !f.agrees()) {
        let explanations = suspects.iter().enumerate().filter_map(|(i, suspect)| {
            let expected = finding.quantity.of(&suspect.leads_to);
            let left = compare(submitted, expected).max_absolute;
            let explained = left <= UNEXPLAINED * finding.comparison.max_absolute
                && left <= TOLERANCE.max(ROUNDING * largest(expected));
            explained.then_some((i, left))
        });
        // Of several that leave the same difference, the first.
        let best = explanations.min_by(|(i, a), (j, b)| {
            let is_new = |i| !convicted.contains(i);
            is_new(i).cmp(&is_new(j)).then(a.total_cmp(b))
        });
        finding.mistake = best.map(|(i, left)| {
            convicted.push(i);
            Diagnosis { mistake: suspects[i].name.clone(), fix: suspects[i].fix, left }
        });
    }
}
