//! Somebody else's gradients: do they agree with the `f64` reference and, where not, which mistake do they look like?
//!
//! A mistake that is often made is a function which gives the loss, the cost and the gradients that it leads to. What
//! was submitted is held against each of them: the mistake is named when it explains the difference.

pub mod files;
mod mistakes;

use crate::error::Result;
use crate::gradcheck::{Comparison, Derivatives, Problem, TOLERANCE};
use crate::network::Parameters;
use crate::shape::{Dims, check_shape};
use crate::train::random_start;

use mistakes::{Case, Suspect, suspects};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The gradient of the cost by `weight`.
    Weight,
    /// The gradient of the cost by `bias`.
    Bias,
    /// The mean cross-entropy.
    Loss,
    /// loss + λ · Σ weight².
    Cost,
}

impl Quantity {
    /// All, in the order in which they are reported.
    pub const ALL: [Quantity; 4] = [Quantity::Weight, Quantity::Bias, Quantity::Loss, Quantity::Cost];

    /// The name of the array that it is submitted in.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Weight => "grad_W",
            Quantity::Bias => "grad_b",
            Quantity::Loss => "loss",
            Quantity::Cost => "cost",
        }
    }

    fn of(self, derivatives: &Derivatives) -> &[f64] {
        match self {
            Quantity::Weight => &derivatives.dweight,
            Quantity::Bias => &derivatives.dbias,
            Quantity::Loss => std::slice::from_ref(&derivatives.loss),
            Quantity::Cost => std::slice::from_ref(&derivatives.cost),
        }
    }
}

/// What somebody computed for a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The gradient of the cost by `weight`: (k,d), row-major.
    pub dweight: Vec<f64>,
    /// The gradient of the cost by `bias`: (k).
    pub dbias: Vec<f64>,
    /// The mean cross-entropy, if it was submitted.
    pub loss: Option<f64>,
    /// loss + λ · Σ weight², if it was submitted.
    pub cost: Option<f64>,
}

impl Submission {
    fn of(&self, quantity: Quantity) -> Option<&[f64]> {
        match quantity {
            Quantity::Weight => Some(&self.dweight),
            Quantity::Bias => Some(&self.dbias),
            Quantity::Loss => self.loss.as_ref().map(std::slice::from_ref),
            Quantity::Cost => self.cost.as_ref().map(std::slice::from_ref),
        }
    }
}

/// What came out for one quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The quantity.
    pub quantity: Quantity,
    /// What was submitted (`hand`) held against the `f64` reference (`other`).
    pub comparison: Comparison,
    /// The mistake that a difference looks like, if it looks like one.
    pub mistake: Option<Diagnosis>,
    /// The largest absolute value of the reference.
    pub largest: f64,
}

/// A mistake that explains a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// What was done, and what belongs there.
    pub mistake: String,
    /// The largest absolute difference that is left to what this mistake would give.
    pub left: f64,
}

impl Finding {
    /// Whether something was compared and either the largest absolute difference or the largest relative one,
    /// |a − b| / max(10⁻⁶, |a| + |b|), is at most [`TOLERANCE`]. NaN never agrees.
    pub fn agrees(&self) -> bool {
        let relative = self.comparison.max_relative <= TOLERANCE;
        self.comparison.passed() || (self.comparison.elements > 0 && relative)
    }

    /// Whether a difference is as small as the rounding of `f32` may leave where gradients or logits are large.
    pub fn may_be_rounding(&self) -> bool {
        !self.agrees() && self.comparison.max_absolute <= ROUNDING * self.largest
    }
}

/// The largest difference, in units of the largest value, that is put down to the rounding of `f32`.
const ROUNDING: f64 = 1e-5;

/// The largest part of a difference that a mistake may leave unexplained.
const UNEXPLAINED: f64 = 0.1;

/// The parameters at which a submission is asked for at the start: the weights of [`random_start`], but a bias drawn
/// like them instead of zeros, or else a penalty on the bias would go unnoticed.
pub fn start(dims: Dims, seed: u64) -> Parameters {
    let one_feature = Dims { features: 1, ..dims };
    Parameters { bias: random_start(one_feature, !seed).weight, ..random_start(dims, seed) }
}

/// Holds `submission` against the `f64` reference: a finding for each quantity that was submitted.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when `dweight` is not (k,d) or `dbias` not (k) for the problem's dimensions.
pub fn judge(problem: &Problem, lambda: f64, submission: &Submission) -> Result<Vec<Finding>> {
    let dims = problem.dims();
    let shape = [dims.classes, dims.features];
    check_shape("grad_W", submission.dweight.len(), &shape)?;
    check_shape("grad_b", submission.dbias.len(), &shape[..1])?;

    let case = Case::new(problem, lambda);
    let mut findings: Vec<Finding> = Quantity::ALL
        .into_iter()
        .filter_map(|quantity| {
            let right = quantity.of(&case.right);
            Some(Finding {
                quantity,
                comparison: compare(submission.of(quantity)?, right),
                mistake: None,
                largest: largest(right),
            })
        })
        .collect();
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

/// Names the mistake of each quantity that differs: one that already explains another quantity if it can, otherwise the
/// one that leaves least.
fn diagnose(findings: &mut [Finding], submission: &Submission, suspects: &[Suspect]) {
    let mut convicted = Vec::new();
    for finding in findings.iter_mut().filter(|f| !f.agrees()) {
        let submitted = submission.of(finding.quantity).expect("it was compared");
        let explanations = suspects.iter().enumerate().filter_map(|(i, (_, leads_to))| {
            let expected = finding.quantity.of(leads_to);
            let left = compare(submitted, expected).max_absolute;
            let explained = left <= UNEXPLAINED * finding.comparison.max_absolute
                && left <= TOLERANCE.max(ROUNDING * largest(expected));
            explained.then_some((i, left))
        });
        // The first of several that leave the same.
        let best = explanations.min_by(|(i, a), (j, b)| {
            let known = |i| !convicted.contains(i);
            known(i).cmp(&known(j)).then(a.total_cmp(b))
        });
        finding.mistake = best.map(|(i, left)| {
            convicted.push(i);
            Diagnosis { mistake: suspects[i].0.clone(), left }
        });
    }
}
