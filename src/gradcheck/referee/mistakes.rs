//! What often goes wrong in a backward pass, each mistake as the derivatives that it leads to.

use super::{Quantity, Submission, compare};
use crate::gradcheck::reference::{self, Parameters64};
use crate::gradcheck::{Derivatives, Problem, Terms};
use crate::network::Parameters;

/// A mistake with what it leads to.
pub(super) type Suspect = (String, Derivatives);

/// Every mistake of the list, and those that only what was submitted can tell.
pub(super) fn suspects(case: &Case, submission: &Submission) -> Vec<Suspect> {
    let listed = MISTAKES.iter().map(|(name, leads_to)| ((*name).to_owned(), leads_to(case)));
    listed.chain(permutations(case, submission)).collect()
}

/// A problem, and the terms that right and wrong gradients are put together from. In each of them, loss and cost are
/// what the term adds to the two.
pub(super) struct Case<'a> {
    problem: &'a Problem,
    lambda: f64,
    pub(super) right: Derivatives,
    /// The mean cross-entropy.
    data: Derivatives,
    /// λ · Σ weight².
    penalty: Derivatives,
}

impl<'a> Case<'a> {
    pub(super) fn new(problem: &'a Problem, lambda: f64) -> Self {
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
