//! Common mistakes in a backward pass, each with the derivatives that it leads to.

use super::{Quantity, Submission, compare};
use crate::gradcheck::reference::{self, Parameters64};
use crate::gradcheck::{Derivatives, Problem, Terms};
use crate::network::Parameters;

/// A mistake and its consequences for a given problem.
pub(super) struct Suspect {
    pub(super) name: String,
    pub(super) fix: &'static str,
    pub(super) leads_to: Derivatives,
}

/// All mistakes of the list, and those that depend on the submission.
pub(super) fn suspects(case: &Case, submission: &Submission) -> Vec<Suspect> {
    let listed =
        MISTAKES.iter().map(|&(name, fix, leads_to)| Suspect { name: name.into(), fix, leads_to: leads_to(case) });
    listed.chain(permutations(case, submission)).collect()
}

/// A problem, and the terms of which right and wrong gradients are sums. The loss and cost of a term are its share of the
/// two.
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
        Self { problem, lambda, penalty: Derivatives::sum([(1.0, &right), (-1.0, &data)]), right, data }
    }

    fn n(&self) -> f64 {
        self.problem.labels().len() as f64
    }

    fn classes(&self) -> usize {
        self.problem.dims().classes
    }

    /// `data` and `penalty`, each multiplied by a factor.
    fn scaled(&self, data: f64, penalty: f64) -> Derivatives {
        Derivatives::sum([(data, &self.data), (penalty, &self.penalty)])
    }

    /// The right terms with another data term.
    fn with_data(&self, data: &Derivatives) -> Derivatives {
        Derivatives::sum([(1.0, data), (1.0, &self.penalty)])
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

    /// The data term with each label increased by `offset`, modulo k.
    fn with_labels_moved(&self, offset: usize) -> Derivatives {
        let k = self.classes();
        let moved = |&y: &u8| ((usize::from(y) + offset) % k) as u8;
        let labels = self.problem.labels().iter().map(moved).collect();
        self.data_of(labels, self.problem.parameters().clone())
    }

    /// The data term of logits without the bias.
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

    /// The data term if the probabilities of each class add up to 1 over the examples, instead of those of each example
    /// over the classes.
    fn softmax_over_examples(&self) -> Derivatives {
        let (n, k) = (self.problem.labels().len(), self.classes());
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
        let dlogits = |i, onehot: &[f64]| {
            let dlogit = |(c, onehot): (usize, &f64)| (log_probability(i, c).exp() - onehot) / self.n();
            onehot.iter().enumerate().map(dlogit).collect()
        };
        Derivatives { loss, cost: loss, ..reference::gradients(self.problem, dlogits) }
    }

    /// The right gradients, with element (i, j) of `dweight` read from `index(i, j)` of its buffer.
    fn misread(&self, index: impl Fn(usize, usize) -> usize) -> Derivatives {
        let d = self.problem.dims().features;
        let element = |flat: usize| self.right.dweight[index(flat / d, flat % d)];
        Derivatives { dweight: (0..self.right.dweight.len()).map(element).collect(), ..self.right.clone() }
    }

    /// The right gradients, with row c of each taken from class `rows[c]`.
    fn permuted(&self, rows: &[usize]) -> Derivatives {
        let d = self.problem.dims().features;
        Derivatives {
            dbias: rows.iter().map(|&c| self.right.dbias[c]).collect(),
            ..self.misread(|c, j| rows[c] * d + j)
        }
    }
}

/// A mistake's name, its correction, and the derivatives that it leads to.
type Mistake = (&'static str, &'static str, fn(&Case) -> Derivatives);

/// The mistakes, likelier ones first: where two lead to the same numbers, the first is named.
const MISTAKES: &[Mistake] = &[
    (
        "missing 1/n: the examples are summed instead of averaged",
        "divide the data term by the number of examples n",
        |case| case.scaled(case.n(), 1.0),
    ),
    (
        "missing 1/n: every term, also the penalty, is n times too large",
        "average the data term over the n examples; the penalty is not summed",
        |case| case.scaled(case.n(), case.n()),
    ),
    ("1/n twice: the mean is divided by n again", "divide the data term by n once", |case| {
        case.scaled(1.0 / case.n(), 1.0)
    }),
    (
        "1/n twice: every term, also the penalty, is n times too small",
        "divide the data term by n once, and the penalty not at all",
        |case| case.scaled(1.0 / case.n(), 1.0 / case.n()),
    ),
    ("1/n on the penalty, which is not a mean", "divide only the data term by n", |case| {
        case.scaled(1.0, 1.0 / case.n())
    }),
    ("1/(n k): the mean is taken over the classes too", "divide the data term by n only", |case| {
        case.scaled(1.0 / case.classes() as f64, 1.0)
    }),
    (
        "λ instead of 2λ: the penalty is half as large as it should be",
        "the penalty is λ Σ W² without a factor ½; its gradient is 2λ W",
        |case| case.scaled(1.0, 0.5),
    ),
    ("missing penalty", "add λ Σ W² to the cost and 2λ W to its gradient", |case| case.scaled(1.0, 0.0)),
    ("the penalty is subtracted", "add λ Σ W² to the cost and 2λ W to its gradient", |case| case.scaled(1.0, -1.0)),
    ("penalty on the bias: λ Σ b² or its gradient 2λ b is added", "penalise only W", |case| {
        Derivatives::sum([(1.0, &case.right), (1.0, &case.bias_penalty())])
    }),
    ("wrong sign", "return the gradient itself; only the update subtracts it", |case| case.scaled(-1.0, -1.0)),
    ("wrong sign of the data term: onehot − probabilities", "use probabilities − onehot", |case| {
        case.scaled(-1.0, 1.0)
    }),
    ("only the penalty: the data term is missing", "add the mean cross-entropy and its gradient", |case| {
        case.scaled(0.0, 1.0)
    }),
    ("all zero: nothing was computed", "save the computed arrays, not freshly initialised ones", |case| {
        case.scaled(0.0, 0.0)
    }),
    ("the onehot labels are not subtracted from the probabilities", "use probabilities − onehot", |case| {
        let dlogits = |_, onehot: &[f64]| onehot.iter().map(|onehot| onehot / case.n()).collect();
        let labels = reference::gradients(case.problem, dlogits);
        Derivatives::sum([(1.0, &case.right), (1.0, &labels)])
    }),
    (
        "softmax over the examples instead of the classes",
        "the k probabilities of each example must add up to 1",
        |case| case.with_data(&case.softmax_over_examples()),
    ),
    ("the bias is missing from the logits", "use logits = x Wᵀ + b", |case| case.with_data(&case.without_bias())),
    (
        "labels off by one: each is taken for the next lower class",
        "the classes in y are counted from 0: do not subtract 1",
        |case| case.with_data(&case.with_labels_moved(case.classes() - 1)),
    ),
    (
        "labels off by one: each is taken for the next higher class",
        "the classes in y are counted from 0: do not add 1",
        |case| case.with_data(&case.with_labels_moved(1)),
    ),
    (RESHAPED, TRANSPOSE, |case| {
        let k = case.classes();
        let d = case.problem.dims().features;
        // A (d,k) buffer read as (k,d): its element i·d + j is element (that / k, that % k) of the transpose.
        case.misread(|i, j| (i * d + j) % k * d + (i * d + j) / k)
    }),
    (RESHAPED, TRANSPOSE, |case| {
        let k = case.classes();
        // A (k,d) buffer read as (d,k).
        case.misread(|i, j| j * k + i)
    }),
    ("the loss includes the penalty", "loss is the mean cross-entropy; only cost includes the penalty", |case| {
        Derivatives { loss: case.right.cost, ..case.right.clone() }
    }),
    ("logarithm to base 2: the loss must be in nats", "use the natural logarithm", |case| {
        logarithm(case, std::f64::consts::LN_2)
    }),
    ("logarithm to base 10: the loss must be in nats", "use the natural logarithm", |case| {
        logarithm(case, std::f64::consts::LN_10)
    }),
];

const RESHAPED: &str = "reshaped instead of transposed: right numbers, wrong order";
const TRANSPOSE: &str = "transpose (.T in NumPy, .' in MATLAB) instead of reshaping";

/// The loss and cost with logarithms to the base e^`ln_base`.
fn logarithm(case: &Case, ln_base: f64) -> Derivatives {
    let loss = case.data.loss / ln_base;
    Derivatives { loss, cost: loss + case.penalty.cost, ..case.right.clone() }
}

/// The permutations of the classes that explain the rows of the submission best.
fn permutations(case: &Case, submission: &Submission) -> Vec<Suspect> {
    let gradients = submission.iter().filter(|(quantity, _)| matches!(quantity, Quantity::Weight | Quantity::Bias));
    let found =
        gradients.filter_map(|(quantity, submitted)| closest_rows(submitted, quantity.of(&case.right), case.classes()));
    let named = |rows: Vec<usize>| Suspect {
        name: format!("permuted classes: its rows are {rows:?}"),
        fix: "row c must belong to class c, in the order of W and of the labels",
        leads_to: case.permuted(&rows),
    };
    found.map(named).collect()
}

/// For each of the `k` rows of `submitted`, the closest row of `right`, if that is a permutation other than the identity.
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
