//! The matrices of which `grad_W` is a sum, right and wrong ones, computed once per problem.

use super::mistake::{Features, Labels, Mistake, Probabilities};
use super::{Exercise, Layout};
use crate::dataset::cifar10::{PLANE, SIDE};
use crate::gradcheck::linear::dot;
use crate::gradcheck::reference;
use crate::hyperparameters::Loss;
use crate::shape::Dims;

/// One of the two sums of the data term, Σ p ⊗ x / N or Σ t ⊗ x / N.
pub(super) struct Sum {
    /// (n,k): p or t.
    pub(super) rows: Vec<f64>,
    /// (k,d).
    pub(super) weight: Vec<f64>,
    /// (k).
    pub(super) bias: Vec<f64>,
}

/// All sums of the data term for one kind of features.
pub(super) struct Sums {
    pub(super) x: Vec<f64>,
    pub(super) probabilities: Vec<(Probabilities, Sum)>,
    pub(super) onehot: Vec<(Labels, Sum)>,
    /// The loss of each example, (n), for each of the probabilities and labels.
    pub(super) losses: Vec<(Probabilities, Labels, Vec<f64>)>,
    /// The gradients of the penalties, without λ, each (k,d).
    slopes: Vec<Vec<f64>>,
    /// The scalar products of the gradients of all sums and penalties, in the order of [`Self::basis`].
    products: Vec<Vec<f64>>,
}

impl Sums {
    pub(super) fn new(exercise: &Exercise, features: Features) -> Self {
        let x = reordered(exercise, features);
        let Dims { features: d, classes: k } = exercise.dims();
        let logits: Vec<Vec<f64>> = x.chunks(d).map(|x| reference::logits(exercise.parameters(), x)).collect();
        let sum = |rows: Vec<f64>| {
            let scaled: Vec<f64> = rows.iter().map(|v| v / averaged_over(exercise)).collect();
            let (weight, bias) = reference::gradients(exercise.dims(), &x, &scaled);
            Sum { rows, weight, bias }
        };
        let labels = |kind| exercise.labels().iter().map(move |&y| moved(y, kind, k));
        let (mut probabilities, mut losses) = (Vec::new(), Vec::new());
        for kind in Probabilities::all(exercise) {
            for &of in Labels::all(k) {
                losses.push((kind, of, losses_of(exercise, kind, &logits, labels(of))));
            }
            probabilities.push((kind, sum(rows(exercise, kind, &logits))));
        }
        let rows_of = |kind| labels(kind).flat_map(|y| onehot(y, k)).collect();
        let onehot = Labels::all(k).iter().map(|&kind| (kind, sum(rows_of(kind)))).collect();
        let slopes = Penalty::all(exercise).iter().map(|penalty| penalty.slope(exercise)).collect();
        let mut sums = Self { x, probabilities, onehot, losses, slopes, products: Vec::new() };
        sums.products = sums.basis().map(|a| sums.basis().map(|b| dot(a, b)).collect()).collect();
        sums
    }

    /// All of which `grad_W` can be made: the sums of each kind of probabilities, of labels, the gradients of the penalties.
    pub(super) fn basis(&self) -> impl Iterator<Item = &[f64]> {
        let probabilities = self.probabilities.iter().map(|(_, sum)| &sum.weight[..]);
        let onehot = self.onehot.iter().map(|(_, sum)| &sum.weight[..]);
        probabilities.chain(onehot).chain(self.slopes.iter().map(|slope| &slope[..]))
    }

    /// The scalar product of elements `a` and `b` of the basis.
    pub(super) fn product(&self, a: usize, b: usize) -> f64 {
        self.products[a][b]
    }

    pub(super) fn probabilities(&self, kind: Probabilities) -> &Sum {
        let found = self.probabilities.iter().find(|(k, _)| *k == kind);
        &found.expect("a kind that this exercise can have").1
    }

    pub(super) fn onehot(&self, kind: Labels) -> &Sum {
        &self.onehot.iter().find(|(k, _)| *k == kind).expect("a kind that this exercise can have").1
    }
}

/// A kind of penalty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Penalty {
    /// Σ W².
    Squares,
    /// Σ |W|.
    AbsoluteValues,
    /// Σ W² without the last row of W, the bias of [`Layout::Cs231n`].
    WithoutBias,
    /// Σ |W| without that row.
    AbsoluteValuesWithoutBias,
    /// ‖W‖, the square root of Σ W².
    Norm,
}

impl Penalty {
    /// The kinds that differ from one another.
    pub(super) fn all(exercise: &Exercise) -> &'static [Self] {
        use Penalty::*;
        match exercise.layout() {
            Layout::Cs231n => &[Squares, AbsoluteValues, WithoutBias, AbsoluteValuesWithoutBias, Norm],
            _ => &[Squares, AbsoluteValues, Norm],
        }
    }

    /// The mistakes in it.
    pub(super) fn mistakes(self) -> Vec<Mistake> {
        match self {
            Self::Squares => vec![],
            Self::AbsoluteValues => vec![Mistake::AbsoluteValues],
            Self::Norm => vec![Mistake::NotSquared],
            Self::WithoutBias => vec![Mistake::BiasUnpenalised],
            Self::AbsoluteValuesWithoutBias => vec![Mistake::AbsoluteValues, Mistake::BiasUnpenalised],
        }
    }

    /// Its value for each weight, and the derivative.
    pub(super) fn terms(self, exercise: &Exercise) -> impl Iterator<Item = [f64; 2]> {
        let d = exercise.dims().features;
        let weights = exercise.parameters().weight.iter().enumerate();
        // W² / ‖W‖ adds up to ‖W‖. Where W is 0, there is no slope.
        let norm = exercise.parameters().penalty().sqrt().max(f64::MIN_POSITIVE);
        weights.map(move |(i, &w)| match self {
            Self::WithoutBias | Self::AbsoluteValuesWithoutBias if i % d == d - 1 => [0.0, 0.0],
            Self::Squares | Self::WithoutBias => [w * w, 2.0 * w],
            Self::AbsoluteValues | Self::AbsoluteValuesWithoutBias => [w.abs(), sign(w)],
            Self::Norm => [w * w / norm, w / norm],
        })
    }

    /// Its gradient, (k,d).
    fn slope(self, exercise: &Exercise) -> Vec<f64> {
        self.terms(exercise).map(|[_, slope]| slope).collect()
    }
}

/// The number by which sums over examples are divided.
pub(super) fn averaged_over(exercise: &Exercise) -> f64 {
    let n = exercise.examples() as f64;
    match exercise.loss() {
        Loss::Softmax => n,
        Loss::Bce => n * exercise.dims().classes as f64,
    }
}

/// `kind` of the probabilities of all examples, (n,k).
fn rows(exercise: &Exercise, kind: Probabilities, logits: &[Vec<f64>]) -> Vec<f64> {
    let bias = &exercise.parameters().bias;
    match kind {
        Probabilities::OverExamples => over_examples(logits).into_iter().flatten().map(f64::exp).collect(),
        Probabilities::Exponentials => logits.iter().flatten().map(|z| z.exp()).collect(),
        Probabilities::Logits => logits.concat(),
        Probabilities::OfTheOtherLoss => {
            logits.iter().flat_map(|z| reference::probabilities(other(exercise.loss()), z)).collect()
        }
        Probabilities::Right => logits.iter().flat_map(|z| reference::probabilities(exercise.loss(), z)).collect(),
        Probabilities::WithoutBias => {
            logits.iter().flat_map(|z| reference::probabilities(exercise.loss(), &minus(z, bias))).collect()
        }
    }
}

/// The loss of each example with `kind` of probabilities, (n).
fn losses_of(
    exercise: &Exercise,
    kind: Probabilities,
    logits: &[Vec<f64>],
    labels: impl Iterator<Item = u8>,
) -> Vec<f64> {
    if kind == Probabilities::OverExamples {
        return over_examples(logits).iter().zip(labels).map(|(row, y)| -row[usize::from(y)]).collect();
    }
    let bias = &exercise.parameters().bias;
    let of = |(i, y): (usize, u8)| match kind {
        Probabilities::OfTheOtherLoss => reference::loss_of(other(exercise.loss()), &logits[i], y),
        Probabilities::WithoutBias => reference::loss_of(exercise.loss(), &minus(&logits[i], bias), y),
        _ => reference::loss_of(exercise.loss(), &logits[i], y),
    };
    labels.enumerate().map(of).collect()
}

/// The logarithms of the probabilities if those of each class add up to 1 over the examples.
fn over_examples(logits: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let classes = 0..logits[0].len();
    let log_sum = |c: usize| reference::log_sum_exp(&logits.iter().map(|z| z[c]).collect::<Vec<_>>());
    let log_sums: Vec<f64> = classes.map(log_sum).collect();
    logits.iter().map(|z| minus(z, &log_sums)).collect()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn other(loss: Loss) -> Loss {
    match loss {
        Loss::Softmax => Loss::Bce,
        Loss::Bce => Loss::Softmax,
    }
}

/// −1, 0 or 1.
fn sign(w: f64) -> f64 {
    if w == 0.0 { 0.0 } else { w.signum() }
}

fn moved(y: u8, kind: Labels, k: usize) -> u8 {
    let offset = match kind {
        Labels::Right => 0,
        Labels::Lower => k - 1,
        Labels::Higher => 1,
    };
    ((usize::from(y) + offset) % k) as u8
}

/// The label `y` as a vector, (k).
fn onehot(y: u8, k: usize) -> impl Iterator<Item = f64> {
    (0..k).map(move |c| if c == usize::from(y) { 1.0 } else { 0.0 })
}

/// x (n,d) with its elements in the order of `features`.
fn reordered(exercise: &Exercise, features: Features) -> Vec<f64> {
    let x = exercise.x();
    let (n, d) = (exercise.examples(), exercise.dims().features);
    let element = |flat: usize| {
        let (row, f) = (flat - flat % d, flat % d);
        match features {
            Features::Right => flat,
            // The 1 of the bias stays where it is.
            Features::Interleaved | Features::ChannelsReversed | Features::RowsAndColumnsSwapped if f == 3 * PLANE => {
                flat
            }
            // The (n,d) buffer read as (d,n), whose columns are then the examples.
            Features::Reshaped => f * n + flat / d,
            Features::Interleaved => row + f % 3 * PLANE + f / 3,
            Features::ChannelsReversed => row + (2 - f / PLANE) * PLANE + f % PLANE,
            Features::RowsAndColumnsSwapped => row + f / PLANE * PLANE + f % SIDE * SIDE + f % PLANE / SIDE,
        }
    };
    (0..x.len()).map(|flat| x[element(flat)]).collect()
}
