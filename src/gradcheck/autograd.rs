//! The same network on libtorch, PyTorch's C++ library: gradients by autograd, and training with them.
//!
//! The only file of the library that imports [`tch`], compiled only with the feature `autograd-check`. It shares nothing
//! with [`crate::network`] except the buffers of [`Parameters`]. Everything runs on the CPU. `tch` panics if libtorch itself
//! fails, for example because memory runs out.

pub use tch::Kind;
use tch::{Reduction, Tensor};

use super::{Derivatives, Problem, Terms};
use crate::evaluate::Scores;
use crate::hyperparameters::{Loss, Setting};
use crate::network::Parameters;
use crate::shape::Dims;

/// n labelled examples in libtorch's memory.
#[derive(Debug)]
pub struct Tensors {
    /// (n,d), f32.
    pub x: Tensor,
    /// (n), i64, the type that libtorch requires for classes.
    pub y: Tensor,
}

impl Tensors {
    /// Copies the examples of `problem`.
    pub fn new(problem: &Problem) -> Self {
        let classes: Vec<i64> = problem.labels().iter().map(|&l| l.into()).collect();
        let shape = [problem.labels().len() as i64, problem.dims().features as i64];
        Self { x: Tensor::from_slice(problem.x()).view(shape), y: Tensor::from_slice(&classes) }
    }

    /// The examples with these indices, in this order: a mini-batch.
    ///
    /// # Panics
    ///
    /// If an index is n or more.
    pub fn select(&self, indices: &[usize]) -> Self {
        let indices: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
        let indices = Tensor::from_slice(&indices);
        Self { x: self.x.index_select(0, &indices), y: self.y.index_select(0, &indices) }
    }
}

/// The parameters as tensors for which autograd records every operation: the forward pass of the cost, and gradient descent
/// in f32, the loop of a PyTorch tutorial.
#[derive(Debug)]
pub struct AutogradTrainer {
    dims: Dims,
    /// (k,d).
    weight: Tensor,
    /// (k).
    bias: Tensor,
    loss: Loss,
    lambda: f64,
}

impl AutogradTrainer {
    /// Starts at `parameters`, with the loss and the λ of `setting`.
    pub fn new(parameters: &Parameters, setting: Setting) -> Self {
        Self::of_kind(parameters, setting.loss(), setting.lambda(), Kind::Float)
    }

    fn of_kind(parameters: &Parameters, loss: Loss, lambda: f64, kind: Kind) -> Self {
        let dims = parameters.dims;
        let tensor = |values: &[f32], shape: &[i64]| {
            let tensor = Tensor::from_slice(values).view(shape).to_kind(kind);
            tensor.set_requires_grad(true)
        };
        let (d, k) = (dims.features as i64, dims.classes as i64);
        Self { dims, weight: tensor(&parameters.weight, &[k, d]), bias: tensor(&parameters.bias, &[k]), loss, lambda }
    }

    /// `logits` (n,k) = x · weightᵀ + bias.
    fn logits(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    /// The mean loss of `logits` (n,k) for the classes `y` (n), computed by a function of PyTorch.
    fn loss(&self, logits: &Tensor, y: &Tensor) -> Tensor {
        match self.loss {
            // Not `Tensor::cross_entropy_for_logits` of tch, which would round f64 to f32.
            Loss::Softmax => {
                const NO_IGNORED_CLASS: i64 = -100;
                logits.cross_entropy_loss(y, None::<&Tensor>, Reduction::Mean, NO_IGNORED_CLASS, 0.0)
            }
            Loss::Bce => {
                let onehot = y.one_hot(logits.size()[1]).to_kind(logits.kind());
                logits.binary_cross_entropy_with_logits(&onehot, None::<&Tensor>, None::<&Tensor>, Reduction::Mean)
            }
        }
    }

    /// λ · Σ weight².
    fn penalty(&self) -> Tensor {
        self.weight.square().sum(None) * self.lambda
    }

    /// One update on a mini-batch: forward, `backward()`, parameter ← parameter − η · gradient.
    pub fn step(&mut self, batch: &Tensors, learning_rate: f64) {
        let loss = self.loss(&self.logits(&batch.x), &batch.y);
        if self.lambda == 0.0 {
            loss.backward();
        } else {
            (loss + self.penalty()).backward();
        }
        let _no_grad = tch::no_grad_guard();
        for parameter in [&mut self.weight, &mut self.bias] {
            let mut update = parameter.grad();
            update *= -learning_rate;
            *parameter += update;
            parameter.zero_grad();
        }
    }

    /// Loss, cost and accuracy on `examples`.
    pub fn scores(&self, examples: &Tensors) -> Scores {
        let _no_grad = tch::no_grad_guard();
        let logits = self.logits(&examples.x);
        let loss = scalar(&self.loss(&logits, &examples.y));
        let correct = logits.argmax(1, false).eq_tensor(&examples.y);
        Scores {
            loss,
            cost: loss + scalar(&self.penalty()),
            accuracy: scalar(&correct.sum(None)) / examples.y.numel() as f64,
        }
    }

    /// A copy of the current parameters.
    pub fn parameters(&self) -> Parameters {
        Parameters { dims: self.dims, weight: elements(&self.weight), bias: elements(&self.bias) }
    }
}

fn scalar(tensor: &Tensor) -> f64 {
    tensor.double_value(&[])
}

/// The elements in row-major order.
fn elements<T: tch::kind::Element + Copy>(tensor: &Tensor) -> Vec<T> {
    Vec::try_from(&tensor.detach().flatten(0, -1)).expect("a flattened tensor is a vector")
}

/// Loss and cost of one problem, and the gradients of `terms` by PyTorch's autograd.
///
/// `lambda` is the factor of Σ weight² in the cost. The forward pass is repeated with tensors of `kind`, [`Kind::Float`] or
/// [`Kind::Double`] (the inputs are widened, which is exact, before anything is computed). `backward()` is called on
/// `terms`, and the gradients are read from the parameters; a parameter that `terms` do not depend on has gradient zero.
///
/// # Examples
///
/// ```
/// use onelayer::gradcheck::autograd::{Kind, derivatives};
/// use onelayer::gradcheck::{Problem, Terms};
/// use onelayer::network::Parameters;
/// use onelayer::shape::Dims;
///
/// let zeros = Parameters::zeros(Dims { features: 1, classes: 2 });
/// let problem = Problem::new(vec![4.0], vec![1], zeros)?;
/// let found = derivatives(&problem, 0.1, Terms::Both, Kind::Double);
/// assert_eq!(found.loss, 2.0_f64.ln());
/// assert_eq!(found.dweight, [2.0, -2.0]); // (½ − 0) · 4 and (½ − 1) · 4
/// # Ok::<(), onelayer::Error>(())
/// ```
pub fn derivatives(problem: &Problem, lambda: f64, terms: Terms, kind: Kind) -> Derivatives {
    let examples = Tensors::new(problem);
    let model = AutogradTrainer::of_kind(problem.parameters(), problem.loss, lambda, kind);
    let loss = model.loss(&model.logits(&examples.x.to_kind(kind)), &examples.y);
    let penalty = model.penalty();
    let cost = &loss + &penalty;
    match terms {
        Terms::Data => &loss,
        Terms::Penalty => &penalty,
        Terms::Both => &cost,
    }
    .backward();
    Derivatives {
        loss: scalar(&loss),
        cost: scalar(&cost),
        dweight: gradient(&model.weight),
        dbias: gradient(&model.bias),
    }
}

/// The gradient that `backward()` stored for `parameter`. It stores none if the result does not depend on it.
fn gradient(parameter: &Tensor) -> Vec<f64> {
    let gradient = parameter.grad();
    if gradient.defined() { elements(&gradient) } else { vec![0.0; parameter.numel()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMS: Dims = Dims { features: 2, classes: 3 };
    const X: [f32; 4] = [1.0, 2.0, 3.0, -1.0];
    const LABELS: [u8; 2] = [0, 2];
    const LAMBDA: f64 = 0.25;

    /// Every class has the weights (1, −2): equal logits, so every probability is ⅓.
    fn equal_classes() -> Parameters {
        Parameters::new(DIMS, [1.0, -2.0].repeat(3), vec![0.5; 3]).unwrap()
    }

    /// `dlogits`ᵀ · x with `dlogits` = ((−⅔, ⅓, ⅓), (⅓, ⅓, −⅔)) / 2.
    const DATA_DWEIGHT: [f64; 6] = [1.0 / 6.0, -5.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0, -5.0 / 6.0, 4.0 / 6.0];
    const DATA_DBIAS: [f64; 3] = [-1.0 / 6.0, 2.0 / 6.0, -1.0 / 6.0];
    /// 2 λ · weight.
    const PENALTY_DWEIGHT: [f64; 6] = [0.5, -1.0, 0.5, -1.0, 0.5, -1.0];

    fn problem(labels: [u8; 2], parameters: Parameters) -> Problem {
        Problem::new(X.to_vec(), labels.to_vec(), parameters).unwrap()
    }

    fn by_autograd(terms: Terms, kind: Kind) -> Derivatives {
        derivatives(&problem(LABELS, equal_classes()), LAMBDA, terms, kind)
    }

    /// The largest absolute difference; NaN if one is NaN.
    fn distance(a: &[f64], b: &[f64]) -> f64 {
        assert_eq!(a.len(), b.len());
        assert!(!a.is_empty());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d <= m { m } else { d })
    }

    #[test]
    fn each_term_has_the_gradient_computed_by_hand() {
        let both: Vec<f64> = DATA_DWEIGHT.iter().zip(PENALTY_DWEIGHT).map(|(d, p)| d + p).collect();
        for (terms, dweight, dbias) in [
            (Terms::Data, &DATA_DWEIGHT[..], DATA_DBIAS),
            (Terms::Penalty, &PENALTY_DWEIGHT, [0.0; 3]),
            (Terms::Both, &both, DATA_DBIAS),
        ] {
            let found = by_autograd(terms, Kind::Double);
            assert!(distance(&found.dweight, dweight) <= 1e-15, "{terms:?} {found:?}");
            assert!(distance(&found.dbias, &dbias) <= 1e-15, "{terms:?} {found:?}");
            assert!((found.loss - 3.0_f64.ln()).abs() <= 1e-15, "{found:?}");
            assert!((found.cost - (3.0_f64.ln() + LAMBDA * 15.0)).abs() <= 1e-14, "{found:?}");
        }
    }

    #[test]
    fn the_binary_cross_entropy_has_the_gradient_computed_by_hand() {
        // The logits of each example are ln 2 and −ln 2, the sigmoids ⅔ and ⅓; the true class is the first.
        let dims = Dims { features: 1, classes: 2 };
        let ln_2 = 2_f32.ln();
        let parameters = Parameters::new(dims, vec![ln_2, -ln_2], vec![0.0; 2]).unwrap();
        let problem = Problem::new(vec![1.0; 3], vec![0; 3], parameters).unwrap();
        let found = derivatives(&problem.with_loss(Loss::Bce), 0.0, Terms::Data, Kind::Double);
        // (⅔ − 1) / 2 and (⅓ − 0) / 2; the loss of either class is −ln ⅔.
        let expected = [-1.0 / 6.0, 1.0 / 6.0];
        assert!(distance(&found.dweight, &expected) <= 1e-7, "{found:?}");
        assert!(distance(&found.dbias, &expected) <= 1e-7, "{found:?}");
        assert!((found.loss - 1.5_f64.ln()).abs() <= 1e-7, "{found:?}");
    }

    #[test]
    fn f32_is_computed_in_f32_and_f64_in_f64() {
        let narrow = by_autograd(Terms::Data, Kind::Float);
        let error = distance(&narrow.dweight, &DATA_DWEIGHT);
        assert!(error > 1e-12 && error <= 1e-6, "{error}");
        assert!(narrow.dweight.iter().all(|&v| f64::from(v as f32) == v));
        let wide = by_autograd(Terms::Data, Kind::Double);
        assert!(wide.dweight.iter().any(|&v| f64::from(v as f32) != v));
    }

    #[test]
    fn different_labels_or_lambda_give_different_gradients() {
        let wrong = |labels, lambda| {
            let problem = problem(labels, equal_classes());
            let found = derivatives(&problem, lambda, Terms::Both, Kind::Double);
            distance(&found.dweight, &by_autograd(Terms::Both, Kind::Double).dweight)
        };
        assert_eq!(wrong(LABELS, LAMBDA), 0.0);
        assert!(wrong([2, 0], LAMBDA) > 0.1);
        assert!(wrong(LABELS, LAMBDA / 2.0) > 0.1);
    }

    #[test]
    fn extreme_logits_have_a_finite_loss_and_gradient() {
        let extreme = Parameters::new(DIMS, vec![1e4, 0.0, 0.0, 0.0, -1e4, 0.0], vec![0.0; 3]).unwrap();
        let found = derivatives(&problem(LABELS, extreme), 0.0, Terms::Both, Kind::Float);
        // The first example is right with certainty; the second has a loss of 3·10⁴ − (−3·10⁴) nats.
        assert_eq!(found.loss, 3e4);
        assert_eq!(found.dweight, [1.5, -0.5, 0.0, 0.0, -1.5, 0.5]);
    }

    #[test]
    fn a_batch_holds_the_selected_examples_in_order() {
        let examples = Tensors::new(&problem(LABELS, equal_classes()));
        let batch = examples.select(&[1, 0, 1]);
        assert_eq!(elements::<f32>(&batch.x), [3.0, -1.0, 1.0, 2.0, 3.0, -1.0]);
        assert_eq!(elements::<i64>(&batch.y), [2, 0, 2]);
        assert_eq!(examples.select(&[]).y.numel(), 0);
    }

    #[test]
    fn scores_are_the_loss_the_cost_and_the_share_of_right_predictions() {
        // The logits are (1, 2, 0) and (3, −1, 0), so the classes 1 and 0 are predicted.
        let parameters = Parameters::new(DIMS, vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0], vec![0.0; 3]).unwrap();
        let trainer = AutogradTrainer::new(&parameters, Setting::new(LAMBDA, 0.1).unwrap());
        let found = trainer.scores(&Tensors::new(&problem([1, 2], parameters)));
        let log_sums = [[1.0_f64, 2.0, 0.0], [3.0, -1.0, 0.0]].map(|z| z.map(f64::exp).iter().sum::<f64>().ln());
        let loss = (log_sums[0] - 2.0 + log_sums[1]) / 2.0;
        assert!((found.loss - loss).abs() < 1e-6 && (found.cost - (loss + LAMBDA * 2.0)).abs() < 1e-6, "{found:?}");
        assert_eq!(found.accuracy, 0.5);
    }

    #[test]
    fn no_class_is_ignored() {
        let dims = Dims { features: 1, classes: 101 };
        for label in [0, 99, 100] {
            let problem = Problem::new(vec![1.0], vec![label], Parameters::zeros(dims)).unwrap();
            let found = derivatives(&problem, 0.0, Terms::Data, Kind::Double);
            assert!((found.loss - 101_f64.ln()).abs() < 1e-14, "{found:?}");
            assert!((found.dbias[usize::from(label)] - (1.0 / 101.0 - 1.0)).abs() < 1e-15, "{found:?}");
        }
    }
}
