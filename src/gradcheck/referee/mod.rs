//! Somebody else's gradients: do they agree with the `f64` reference and, where not, which mistake do they look like?
//!
//! A mistake that is often made is a function which gives the loss, the cost and the gradients that it leads to. What
//! was submitted is held against each of them: the mistake is named when it explains the difference.

pub mod files;

use crate::error::Result;
use crate::gradcheck::reference::{self, Parameters64};
use crate::gradcheck::{Comparison, Derivatives, Problem, TOLERANCE, Terms};
use crate::network::Parameters;
use crate::shape::{Dims, check_shape};
use crate::train::random_start;

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
    let pairs = submitted.iter().zip(other).enumerate();
    Comparison::new(pairs.map(|(i, (&a, &b))| (i, a, b)), TOLERANCE)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// A mistake with what it leads to.
type Suspect = (String, Derivatives);

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

/// Every mistake of the list, and those that only what was submitted can tell.
fn suspects(case: &Case, submission: &Submission) -> Vec<Suspect> {
    let listed = MISTAKES.iter().map(|(name, leads_to)| ((*name).to_owned(), leads_to(case)));
    listed.chain(permutations(case, submission)).collect()
}

/// A problem, and the terms that right and wrong gradients are put together from. In each of them, loss and cost are
/// what the term adds to the two.
struct Case<'a> {
    problem: &'a Problem,
    lambda: f64,
    right: Derivatives,
    /// The mean cross-entropy.
    data: Derivatives,
    /// λ · Σ weight².
    penalty: Derivatives,
}

impl<'a> Case<'a> {
    fn new(problem: &'a Problem, lambda: f64) -> Self {
        let right = reference::derivatives(problem, lambda, Terms::Both);
        let data = reference::derivatives(problem, 0.0, Terms::Data);
        Self { problem, lambda, penalty: sum(&[(1.0, &right), (-1.0, &data)]), right, data }
    }

    fn n(&self) -> f64 {
        self.problem.len() as f64
    }

    fn classes(&self) -> usize {
        self.problem.dims().classes
    }

    /// `data` and `penalty`, each times a factor.
    fn scaled(&self, data: f64, penalty: f64) -> Derivatives {
        sum(&[(data, &self.data), (penalty, &self.penalty)])
    }

    /// The right terms with another data term.
    fn with_data(&self, data: &Derivatives) -> Derivatives {
        sum(&[(1.0, data), (1.0, &self.penalty)])
    }

    /// λ · Σ bias².
    fn bias_penalty(&self) -> Derivatives {
        let bias = &self.problem.parameters().bias;
        let bias = bias.iter().map(|&b| f64::from(b));
        Derivatives {
            cost: self.lambda * bias.clone().map(|b| b * b).sum::<f64>(),
            dbias: bias.map(|b| 2.0 * self.lambda * b).collect(),
            ..self.scaled(0.0, 0.0)
        }
    }

    /// The data term where each label is `offset` higher, the largest followed by 0.
    fn with_labels_moved(&self, offset: usize) -> Derivatives {
        let k = self.classes();
        let moved = |&y: &u8| ((usize::from(y) + offset) % k) as u8;
        let labels = self.problem.labels().iter().map(moved).collect();
        self.data_of(labels, self.problem.parameters().clone())
    }

    /// The data term of logits to which no bias was added.
    fn without_bias(&self) -> Derivatives {
        let mut parameters = self.problem.parameters().clone();
        parameters.bias.fill(0.0);
        self.data_of(self.problem.labels().into(), parameters)
    }

    fn data_of(&self, labels: Vec<u8>, parameters: Parameters) -> Derivatives {
        let problem = Problem::new(self.problem.x().into(), labels, parameters);
        let problem = problem.expect("shapes and ranges are those of a valid problem");
        reference::derivatives(&problem, 0.0, Terms::Data)
    }

    /// The data term with the probabilities of each class adding up to 1 over the examples, not those of each example
    /// over the classes.
    fn softmax_over_examples(&self) -> Derivatives {
        let (n, k) = (self.problem.len(), self.classes());
        let parameters = Parameters64::of(self.problem);
        let logits: Vec<f64> = (0..n).flat_map(|i| reference::logits(self.problem, &parameters, i)).collect();
        let log_sums: Vec<f64> = (0..k)
            .map(|c| {
                let of_class: Vec<f64> = logits[c..].iter().step_by(k).copied().collect();
                reference::log_sum_exp(&of_class)
            })
            .collect();
        let log_probability = |i: usize, c: usize| logits[i * k + c] - log_sums[c];
        let labels = self.problem.labels().iter().enumerate();
        let loss = -labels.map(|(i, &y)| log_probability(i, y.into())).sum::<f64>() / self.n();
        let gradient = self.pulled_back(|i, c, target| (log_probability(i, c).exp() - target) / self.n());
        Derivatives { loss, cost: loss, ..gradient }
    }

    /// The gradients for `dlogit(example, class, onehot)`; loss and cost are 0.
    fn pulled_back(&self, dlogit: impl Fn(usize, usize, f64) -> f64) -> Derivatives {
        let d = self.problem.dims().features;
        let mut gradient = self.scaled(0.0, 0.0);
        let rows = self.problem.x().chunks(d).zip(self.problem.labels());
        for (i, (x, &y)) in rows.enumerate() {
            for c in 0..self.classes() {
                let dlogit = dlogit(i, c, f64::from(u8::from(c == usize::from(y))));
                gradient.dbias[c] += dlogit;
                for (dw, &x) in gradient.dweight[c * d..].iter_mut().zip(x) {
                    *dw += dlogit * f64::from(x);
                }
            }
        }
        gradient
    }

    /// The right gradient by `weight`, element (i, j) of it being what lies at `index(i, j)` in its buffer.
    fn misread(&self, index: impl Fn(usize, usize) -> usize) -> Derivatives {
        let d = self.problem.dims().features;
        let element = |flat: usize| self.right.dweight[index(flat / d, flat % d)];
        Derivatives { dweight: (0..self.right.dweight.len()).map(element).collect(), ..self.right.clone() }
    }

    /// The right gradients, row c of each being that of class `rows[c]`.
    fn permuted(&self, rows: &[usize]) -> Derivatives {
        let d = self.problem.dims().features;
        Derivatives {
            dbias: rows.iter().map(|&c| self.right.dbias[c]).collect(),
            ..self.misread(|c, j| rows[c] * d + j)
        }
    }
}

/// Σ factor · term.
fn sum(terms: &[(f64, &Derivatives)]) -> Derivatives {
    let total = |quantity: Quantity| -> Vec<f64> {
        let mut total = vec![0.0; quantity.of(terms[0].1).len()];
        for (factor, term) in terms {
            for (t, v) in total.iter_mut().zip(quantity.of(term)) {
                *t += factor * v;
            }
        }
        total
    };
    Derivatives {
        loss: total(Quantity::Loss)[0],
        cost: total(Quantity::Cost)[0],
        dweight: total(Quantity::Weight),
        dbias: total(Quantity::Bias),
    }
}

/// A mistake's name, and what it leads to.
type Mistake = (&'static str, fn(&Case) -> Derivatives);

/// The mistakes, likelier ones first: where two lead to the same numbers, the first is named.
const MISTAKES: &[Mistake] = &[
    ("missing 1/n: the sum over the examples in place of their mean", |case| case.scaled(case.n(), 1.0)),
    ("missing 1/n: everything, the penalty too, is n times too large", |case| case.scaled(case.n(), case.n())),
    ("1/n twice: the mean is divided by n again", |case| case.scaled(1.0 / case.n(), 1.0)),
    ("1/n twice: everything, the penalty too, is n times too small", |case| {
        case.scaled(1.0 / case.n(), 1.0 / case.n())
    }),
    ("1/n on the penalty, which is no mean", |case| case.scaled(1.0, 1.0 / case.n())),
    ("1/(n k): the mean is over the classes too", |case| case.scaled(1.0 / case.classes() as f64, 1.0)),
    ("λ for 2λ: the penalty is λ Σ W² without ½, its gradient 2λ W", |case| case.scaled(1.0, 0.5)),
    ("missing penalty", |case| case.scaled(1.0, 0.0)),
    ("the penalty is subtracted", |case| case.scaled(1.0, -1.0)),
    ("penalty on the bias: λ Σ b² or its gradient 2λ b is added", |case| {
        sum(&[(1.0, &case.right), (1.0, &case.bias_penalty())])
    }),
    ("wrong sign", |case| case.scaled(-1.0, -1.0)),
    ("wrong sign of the data term: onehot − probabilities", |case| case.scaled(-1.0, 1.0)),
    ("the penalty alone: the data term is missing", |case| case.scaled(0.0, 1.0)),
    ("all zero: it was never computed", |case| case.scaled(0.0, 0.0)),
    ("the onehot labels are not subtracted from the probabilities", |case| {
        let labels = case.pulled_back(|_, _, target| target / case.n());
        sum(&[(1.0, &case.right), (1.0, &labels)])
    }),
    ("softmax over the examples in place of the classes", |case| case.with_data(&case.softmax_over_examples())),
    ("the bias is left out of the logits", |case| case.with_data(&case.without_bias())),
    ("labels off by one: each taken for the next lower class", |case| {
        case.with_data(&case.with_labels_moved(case.classes() - 1))
    }),
    ("labels off by one: each taken for the next higher class", |case| case.with_data(&case.with_labels_moved(1))),
    (TRANSPOSED, |case| {
        let k = case.classes();
        let d = case.problem.dims().features;
        // A (d,k) buffer read as (k,d): number i·d + j of it is element (that / k, that % k) of the transpose.
        case.misread(|i, j| (i * d + j) % k * d + (i * d + j) / k)
    }),
    (TRANSPOSED, |case| {
        let k = case.classes();
        // A (k,d) buffer read as (d,k).
        case.misread(|i, j| j * k + i)
    }),
    ("the loss with the penalty in it: loss is cross-entropy alone", |case| Derivatives {
        loss: case.right.cost,
        ..case.right.clone()
    }),
    ("logarithm to the base 2: the loss is in nats", |case| logarithm(case, std::f64::consts::LN_2)),
    ("logarithm to the base 10: the loss is in nats", |case| logarithm(case, std::f64::consts::LN_10)),
];

const TRANSPOSED: &str = "reshaped in place of transposed: the numbers are right";

/// A loss whose logarithm has the base e^`ln_base`.
fn logarithm(case: &Case, ln_base: f64) -> Derivatives {
    let loss = case.data.loss / ln_base;
    Derivatives { loss, cost: loss + case.penalty.cost, ..case.right.clone() }
}

/// The permutations of the classes that the rows of what was submitted come closest to.
fn permutations(case: &Case, submission: &Submission) -> Vec<Suspect> {
    let found = [Quantity::Weight, Quantity::Bias].map(|quantity| {
        let submitted = submission.of(quantity)?;
        closest_rows(submitted, quantity.of(&case.right), case.classes())
    });
    let named = |rows: Vec<usize>| {
        let name = format!("permuted classes: its rows are {rows:?}");
        (name, case.permuted(&rows))
    };
    found.into_iter().flatten().map(named).collect()
}

/// For each of the `k` rows of `submitted` the row of `right` that is closest, if that is a permutation, and one that
/// moves something.
fn closest_rows(submitted: &[f64], right: &[f64], k: usize) -> Option<Vec<usize>> {
    let length = right.len() / k;
    let closest = |r: usize| {
        let submitted = &submitted[r * length..][..length];
        let distance = |c: &usize| compare(submitted, &right[c * length..][..length]).max_absolute;
        (0..k).min_by(|a, b| distance(a).total_cmp(&distance(b)))
    };
    let rows: Vec<usize> = (0..k).filter_map(closest).collect();
    let mut sorted = rows.clone();
    sorted.sort_unstable();
    let permutes = sorted.into_iter().eq(0..k) && !rows.iter().copied().eq(0..k);
    permutes.then_some(rows)
}
