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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradcheck::Problem;
    use crate::gradcheck::reference::Parameters64;

    /// Two examples, (1, 2) of class 0 and (3, 1) of class 1, of two features and classes.
    fn exercise(loss: Loss, layout: Layout, weight: [f64; 4]) -> Exercise {
        let dims = Dims { features: 2, classes: 2 };
        let parameters = Parameters64 { dims, weight: weight.to_vec(), bias: vec![0.0; 2] };
        Exercise::new(vec![1.0, 2.0, 3.0, 1.0], vec![0, 1], parameters, 0.5, loss, layout).unwrap()
    }

    fn near(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn the_sums_on_paper_are_means_of_probabilities_and_labels_times_features() {
        // Without weights and biases, every probability is ½; the mean of sigmoids is over two classes too.
        for (loss, scale) in [(Loss::Softmax, 1.0), (Loss::Bce, 0.5)] {
            let exercise = exercise(loss, Layout::Rows, [0.0; 4]);
            assert_eq!(averaged_over(&exercise), 2.0 / scale);
            let sums = Sums::new(&exercise, Features::Right);
            let p = sums.probabilities(Probabilities::Right);
            assert!(near(&p.rows, &[0.5; 4]) && near(&p.bias, &[0.5 * scale; 2]));
            assert!(near(&p.weight, &[1.0, 0.75, 1.0, 0.75].map(|v| v * scale)), "{:?}", p.weight);
            let t = sums.onehot(Labels::Right);
            assert!(near(&t.rows, &[1.0, 0.0, 0.0, 1.0]) && near(&t.bias, &[0.5 * scale; 2]));
            assert!(near(&t.weight, &[0.5, 1.0, 1.5, 0.5].map(|v| v * scale)), "{:?}", t.weight);
            let other = sums.onehot(Labels::Lower);
            assert!(near(&other.weight, &[1.5, 0.5, 0.5, 1.0].map(|v| v * scale)), "{:?}", other.weight);
            let logits = sums.probabilities(Probabilities::Logits);
            assert!(near(&logits.weight, &[0.0; 4]));
            let exponentials = sums.probabilities(Probabilities::Exponentials);
            assert!(near(&exponentials.bias, &[scale; 2]));
            // −ln ½ for each example.
            for (kind, _, losses) in &sums.losses {
                assert!(near(losses, &[std::f64::consts::LN_2; 2]), "{kind:?} {losses:?}");
            }
        }
    }

    #[test]
    fn the_products_are_those_of_the_basis_in_its_order() {
        let exercise = exercise(Loss::Softmax, Layout::Rows, [1.0, -2.0, 0.0, 3.0]);
        let sums = Sums::new(&exercise, Features::Right);
        let basis: Vec<&[f64]> = sums.basis().collect();
        let (of_p, of_t) = (sums.probabilities.len(), sums.onehot.len());
        assert_eq!((of_p, of_t, basis.len()), (6, 2, 11));
        assert_eq!(basis[0], sums.probabilities(Probabilities::Right).weight);
        assert_eq!(basis[of_p + 1], sums.onehot(Labels::Lower).weight);
        assert_eq!(basis[of_p + of_t], [2.0, -4.0, 0.0, 6.0]);
        assert_eq!(basis[of_p + of_t + 1], [1.0, -1.0, 0.0, 1.0]);
        for (i, a) in basis.iter().enumerate() {
            for (j, b) in basis.iter().enumerate() {
                let product: f64 = (0..4).map(|e| a[e] * b[e]).sum();
                assert!((sums.product(i, j) - product).abs() < 1e-12, "{i} {j}");
            }
        }
    }

    #[test]
    fn a_penalty_has_the_values_and_slopes_worked_out_on_paper() {
        let weight = [3.0, -4.0, 0.0, 12.0];
        for (kind, values, slopes) in [
            (Penalty::Squares, [9.0, 16.0, 0.0, 144.0], [6.0, -8.0, 0.0, 24.0]),
            (Penalty::AbsoluteValues, [3.0, 4.0, 0.0, 12.0], [1.0, -1.0, 0.0, 1.0]),
            // The last of the two features is the bias.
            (Penalty::WithoutBias, [9.0, 0.0, 0.0, 0.0], [6.0, 0.0, 0.0, 0.0]),
            (Penalty::AbsoluteValuesWithoutBias, [3.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
            // ‖W‖ is 13.
            (Penalty::Norm, [9.0 / 13.0, 16.0 / 13.0, 0.0, 144.0 / 13.0], [3.0 / 13.0, -4.0 / 13.0, 0.0, 12.0 / 13.0]),
        ] {
            let exercise = exercise(Loss::Softmax, Layout::Rows, weight);
            let terms: Vec<[f64; 2]> = kind.terms(&exercise).collect();
            let [found, found_slopes] = [0, 1].map(|i| terms.iter().map(|term| term[i]).collect::<Vec<_>>());
            assert!(near(&found, &values) && near(&found_slopes, &slopes), "{kind:?} {terms:?}");
            assert_eq!(kind.slope(&exercise), found_slopes);
            // Without weights there is no penalty, and no slope.
            let zero = self::exercise(Loss::Softmax, Layout::Rows, [0.0; 4]);
            assert!(kind.terms(&zero).all(|term| term == [0.0, 0.0]), "{kind:?}");
        }
    }

    #[test]
    fn only_where_the_bias_is_a_row_of_the_weights_can_it_go_without_penalty() {
        for layout in Layout::ALL {
            let all = Penalty::all(&exercise(Loss::Softmax, layout, [0.0; 4]));
            let of_bias = |kind: &&Penalty| kind.mistakes().contains(&Mistake::BiasUnpenalised);
            assert_eq!(all.iter().filter(of_bias).count(), if layout == Layout::Cs231n { 2 } else { 0 });
            assert_eq!((all[0], all[0].mistakes()), (Penalty::Squares, vec![]));
            // No two kinds have the same mistakes.
            for (i, kind) in all.iter().enumerate() {
                assert!(!all[i + 1..].iter().any(|other| other.mistakes() == kind.mistakes()), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_label_is_moved_to_the_next_class_and_from_the_last_to_the_first() {
        let moved_to = |kind| (0..4).map(|y| moved(y, kind, 4)).collect::<Vec<u8>>();
        assert_eq!(moved_to(Labels::Right), [0, 1, 2, 3]);
        assert_eq!(moved_to(Labels::Lower), [3, 0, 1, 2]);
        assert_eq!(moved_to(Labels::Higher), [1, 2, 3, 0]);
        assert_eq!(onehot(2, 4).collect::<Vec<_>>(), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!([2.5, -0.5, 0.0, -0.0].map(sign), [1.0, -1.0, 0.0, 0.0]);
    }

    #[test]
    fn reshaped_features_are_those_of_a_matrix_read_by_columns() {
        let problem = Problem::random(Dims { features: 3, classes: 2 }, 2, 1);
        let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
        let x = exercise.x();
        // (0, 1; 2, 3; 4, 5) has the columns 0, 2, 4 and 1, 3, 5.
        assert_eq!(reordered(&exercise, Features::Reshaped), [x[0], x[2], x[4], x[1], x[3], x[5]]);
        assert_eq!(reordered(&exercise, Features::Right), x);
    }
}
