//! The same network on libtorch, PyTorch's C++ library: gradients by autograd, training by autograd, and training by
//! hand-written tensor operations.
//!
//! The only file that imports [`tch`], compiled only with the feature `autograd-check`. Nothing here is shared with
//! [`crate::network`] except the buffers of [`Parameters`]. Everything runs on the CPU. Where libtorch itself fails, for
//! want of memory say, `tch` panics.

use tch::{Kind, Reduction, Tensor};

use super::{Derivatives, Problem, Terms};
use crate::error::{Error, Result};
use crate::hyperparameters::Loss;
use crate::network::Parameters;
use crate::shape::Dims;

/// The number format that libtorch computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, as the hand-written network.
    F32,
    /// 64 bits: the inputs are widened, which is exact, before anything is computed.
    F64,
}

/// Sets how many threads libtorch uses for one operation, in the whole process.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// n labelled examples in libtorch's memory, copied there once.
#[derive(Debug)]
pub struct Examples {
    /// (n,d), f32.
    x: Tensor,
    /// (n), i64, as libtorch wants the classes.
    y: Tensor,
}

impl Examples {
    /// Copies `x` (n,d), row-major and normalised, and `labels` (n).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `x` does not hold d numbers a label, [`Error::InvalidValue`] when there is no example or a
    /// label is k or more.
    pub fn new(x: &[f32], labels: &[u8], dims: Dims) -> Result<Self> {
        let n = labels.len();
        if x.len() != n * dims.features {
            return Err(Error::Shape {
                what: "x".into(),
                expected: format!("({n}, {})", dims.features),
                found: format!("{} elements", x.len()),
            });
        }
        if n == 0 {
            return Err(Error::InvalidValue {
                name: "number of examples",
                expected: "1 or more".into(),
                found: "0".into(),
            });
        }
        if let Some(&label) = labels.iter().find(|&&l| usize::from(l) >= dims.classes) {
            return Err(Error::InvalidValue {
                name: "label",
                expected: format!("0 to {}", dims.classes - 1),
                found: label.to_string(),
            });
        }
        let classes: Vec<i64> = labels.iter().map(|&l| l.into()).collect();
        Ok(Self { x: Tensor::from_slice(x).view([n as i64, dims.features as i64]), y: Tensor::from_slice(&classes) })
    }

    /// The examples with these indices, in this order: a mini-batch.
    ///
    /// # Panics
    ///
    /// When an index is n or more.
    pub fn select(&self, indices: &[usize]) -> Self {
        let indices: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
        let indices = Tensor::from_slice(&indices);
        Self { x: self.x.index_select(0, &indices), y: self.y.index_select(0, &indices) }
    }

    /// The number of examples, n.
    pub fn len(&self) -> usize {
        self.y.size()[0] as usize
    }

    /// Whether there is no example: [`Self::select`] of no index.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How well a trainer does on some examples, computed by libtorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// The mean loss in nats.
    pub loss: f64,
    /// loss + λ · Σ weight².
    pub cost: f64,
    /// The fraction of the examples whose class has the largest logit, in 0 to 1.
    pub accuracy: f64,
}

/// The parameters as tensors, and the forward pass of the cost.
#[derive(Debug)]
struct Model {
    dims: Dims,
    /// (k,d).
    weight: Tensor,
    /// (k).
    bias: Tensor,
    loss: Loss,
    lambda: f64,
}

impl Model {
    fn new(parameters: &Parameters, lambda: f64, kind: Kind) -> Self {
        let dims = parameters.dims;
        Self {
            dims,
            weight: Tensor::from_slice(&parameters.weight)
                .view([dims.classes as i64, dims.features as i64])
                .to_kind(kind),
            bias: Tensor::from_slice(&parameters.bias).to_kind(kind),
            loss: Loss::Softmax,
            lambda,
        }
    }

    /// From here on autograd records what is computed from the parameters.
    fn differentiable(self) -> Self {
        Self { weight: self.weight.set_requires_grad(true), bias: self.bias.set_requires_grad(true), ..self }
    }

    /// `logits` (n,k) = x · weightᵀ + bias.
    fn logits(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    /// The mean loss of `logits` (n,k) whose classes are `y` (n).
    fn loss(&self, logits: &Tensor, y: &Tensor) -> Tensor {
        match self.loss {
            Loss::Softmax => cross_entropy(logits, y),
            Loss::Bce => binary_cross_entropy(logits, y),
        }
    }

    /// λ · Σ weight².
    fn penalty(&self) -> Tensor {
        self.weight.square().sum(None) * self.lambda
    }

    fn scores(&self, examples: &Examples) -> Scores {
        let _no_grad = tch::no_grad_guard();
        let logits = self.logits(&examples.x);
        let loss = scalar(&self.loss(&logits, &examples.y));
        let correct = logits.argmax(1, false).eq_tensor(&examples.y);
        Scores {
            loss,
            cost: loss + scalar(&self.penalty()),
            accuracy: scalar(&correct.sum(None)) / examples.len() as f64,
        }
    }

    fn parameters(&self) -> Parameters {
        Parameters { dims: self.dims, weight: elements(&self.weight), bias: elements(&self.bias) }
    }
}

/// PyTorch's own `cross_entropy`, the mean over the examples. (`Tensor::cross_entropy_for_logits` of tch would round
/// f64 to f32.)
fn cross_entropy(logits: &Tensor, y: &Tensor) -> Tensor {
    const NO_IGNORED_CLASS: i64 = -100;
    logits.cross_entropy_loss(y, None::<&Tensor>, Reduction::Mean, NO_IGNORED_CLASS, 0.0)
}

/// PyTorch's own `binary_cross_entropy_with_logits`, the mean over examples and classes.
fn binary_cross_entropy(logits: &Tensor, y: &Tensor) -> Tensor {
    let onehot = y.one_hot(logits.size()[1]).to_kind(logits.kind());
    logits.binary_cross_entropy_with_logits(&onehot, None::<&Tensor>, None::<&Tensor>, Reduction::Mean)
}

fn scalar(tensor: &Tensor) -> f64 {
    tensor.double_value(&[])
}

/// The elements in row-major order.
fn elements<T: tch::kind::Element + Copy>(tensor: &Tensor) -> Vec<T> {
    Vec::try_from(&tensor.detach().flatten(0, -1)).expect("a flattened tensor is a vector")
}

/// [`derivatives`] in [`Precision::F32`].
pub(super) fn derivatives_f32(problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
    derivatives(problem, lambda, terms, Precision::F32)
}

/// [`derivatives`] in [`Precision::F64`].
pub(super) fn derivatives_f64(problem: &Problem, lambda: f64, terms: Terms) -> Derivatives {
    derivatives(problem, lambda, terms, Precision::F64)
}

/// Loss, cost and gradients of one problem, the gradients by PyTorch's autograd.
///
/// `lambda` is the factor of Σ weight² in the cost. The forward pass is mirrored with tensors, `backward()` is called on
/// the `terms` asked for, and the gradients are read from the parameters; one that no term depends on is zero.
///
/// # Examples
///
/// ```
/// use onelayer::gradcheck::autograd::{Precision, derivatives};
/// use onelayer::gradcheck::{Problem, Terms};
/// use onelayer::network::Parameters;
/// use onelayer::shape::Dims;
///
/// let zeros = Parameters::zeros(Dims { features: 1, classes: 2 });
/// let problem = Problem::new(vec![4.0], vec![1], zeros)?;
/// let found = derivatives(&problem, 0.1, Terms::Both, Precision::F64);
/// assert_eq!(found.loss, 2.0_f64.ln());
/// assert_eq!(found.dweight, [2.0, -2.0]); // (½ − 0) · 4 and (½ − 1) · 4
/// # Ok::<(), onelayer::Error>(())
/// ```
pub fn derivatives(problem: &Problem, lambda: f64, terms: Terms, precision: Precision) -> Derivatives {
    let kind = match precision {
        Precision::F32 => Kind::Float,
        Precision::F64 => Kind::Double,
    };
    let examples = Examples::new(problem.x(), problem.labels(), problem.dims()).expect("a problem is consistent");
    let model = Model { loss: problem.loss(), ..Model::new(problem.parameters(), lambda, kind).differentiable() };
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

/// What `backward()` has left at `parameter`: nothing at all where the result does not depend on it.
fn gradient(parameter: &Tensor) -> Vec<f64> {
    let gradient = parameter.grad();
    if gradient.defined() { elements(&gradient) } else { vec![0.0; parameter.numel()] }
}

/// Gradient descent in f32 whose gradients are autograd's: the loop that a PyTorch tutorial has.
#[derive(Debug)]
pub struct AutogradTrainer {
    model: Model,
    eta: f64,
}

impl AutogradTrainer {
    /// Starts at `parameters`, with the penalty factor `lambda` and the learning rate `eta`.
    pub fn new(parameters: &Parameters, lambda: f64, eta: f64) -> Self {
        let model = Model::new(parameters, lambda, Kind::Float).differentiable();
        Self { model, eta }
    }

    /// The same trainer with another loss than [`Loss::Softmax`].
    pub fn with_loss(self, loss: Loss) -> Self {
        let model = Model { loss, ..self.model };
        Self { model, ..self }
    }

    /// Goes on with the learning rate `eta`.
    pub fn set_learning_rate(&mut self, eta: f64) {
        self.eta = eta;
    }

    /// One update on a mini-batch: forward, `backward()`, parameter ← parameter − η · gradient.
    pub fn step(&mut self, batch: &Examples) {
        let model = &mut self.model;
        let loss = model.loss(&model.logits(&batch.x), &batch.y);
        if model.lambda == 0.0 {
            loss.backward();
        } else {
            (loss + model.penalty()).backward();
        }
        let _no_grad = tch::no_grad_guard();
        for parameter in [&mut model.weight, &mut model.bias] {
            let mut update = parameter.grad();
            update *= -self.eta;
            *parameter += update;
            parameter.zero_grad();
        }
    }

    /// Loss, cost and accuracy on `examples`.
    pub fn scores(&self, examples: &Examples) -> Scores {
        self.model.scores(examples)
    }

    /// A copy of the parameters as they are now.
    pub fn parameters(&self) -> Parameters {
        self.model.parameters()
    }
}

/// Gradient descent in f32 with the hand-derived gradients as tensor operations, in place where libtorch can: what to
/// measure the hand-written kernels against.
#[derive(Debug)]
pub struct TensorOpsTrainer {
    model: Model,
    eta: f64,
}

impl TensorOpsTrainer {
    /// Starts at `parameters`, with the penalty factor `lambda` and the learning rate `eta`.
    pub fn new(parameters: &Parameters, lambda: f64, eta: f64) -> Self {
        let model = Model::new(parameters, lambda, Kind::Float);
        Self { model, eta }
    }

    /// One update on a mini-batch.
    ///
    /// `weight` takes −η · `dlogits`ᵀ · x in one `addmm_` on top of its decay by 1 − 2 η λ, so that `dweight` is never
    /// stored.
    pub fn step(&mut self, batch: &Examples) {
        let model = &mut self.model;
        let mut update = model.logits(&batch.x).softmax(1, None);
        let _ = update.scatter_value_reduce_(1, &batch.y.unsqueeze(1), -1.0, "add");
        update *= -self.eta / batch.len() as f64; // −η · dlogits
        if model.lambda != 0.0 {
            model.weight *= 1.0 - 2.0 * self.eta * model.lambda;
        }
        let _ = model.weight.addmm_(&update.tr(), &batch.x);
        model.bias += update.sum_dim_intlist(0, false, None);
    }

    /// Loss, cost and accuracy on `examples`.
    pub fn scores(&self, examples: &Examples) -> Scores {
        self.model.scores(examples)
    }

    /// A copy of the parameters as they are now.
    pub fn parameters(&self) -> Parameters {
        self.model.parameters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMS: Dims = Dims { features: 2, classes: 3 };
    const X: [f32; 4] = [1.0, 2.0, 3.0, -1.0];
    const LABELS: [u8; 2] = [0, 2];
    const LAMBDA: f64 = 0.25;

    /// Every class has the weights (1, −2): equal logits, so every probability is ⅓ and the numbers are done by hand.
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

    fn by_autograd(terms: Terms, precision: Precision) -> Derivatives {
        derivatives(&problem(LABELS, equal_classes()), LAMBDA, terms, precision)
    }

    /// The largest absolute difference; NaN when one is NaN.
    fn distance(a: &[f64], b: &[f64]) -> f64 {
        assert_eq!(a.len(), b.len());
        assert!(!a.is_empty());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d <= m { m } else { d })
    }

    fn widened(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&v| v.into()).collect()
    }

    #[test]
    fn each_term_has_the_gradient_computed_by_hand() {
        let both: Vec<f64> = DATA_DWEIGHT.iter().zip(PENALTY_DWEIGHT).map(|(d, p)| d + p).collect();
        for (terms, dweight, dbias) in [
            (Terms::Data, &DATA_DWEIGHT[..], DATA_DBIAS),
            (Terms::Penalty, &PENALTY_DWEIGHT, [0.0; 3]),
            (Terms::Both, &both, DATA_DBIAS),
        ] {
            let found = by_autograd(terms, Precision::F64);
            assert!(distance(&found.dweight, dweight) <= 1e-15, "{terms:?} {found:?}");
            assert!(distance(&found.dbias, &dbias) <= 1e-15, "{terms:?} {found:?}");
            assert!((found.loss - 3.0_f64.ln()).abs() <= 1e-15, "{found:?}");
            assert!((found.cost - (3.0_f64.ln() + LAMBDA * 15.0)).abs() <= 1e-14, "{found:?}");
        }
    }

    #[test]
    fn the_binary_cross_entropy_has_the_gradient_computed_by_hand() {
        // Logits ln 2 and −ln 2 of each example: sigmoids ⅔ and ⅓, of the first class the right one's.
        let dims = Dims { features: 1, classes: 2 };
        let ln_2 = 2_f32.ln();
        let parameters = Parameters::new(dims, vec![ln_2, -ln_2], vec![0.0; 2]).unwrap();
        let problem = Problem::new(vec![1.0; 3], vec![0; 3], parameters).unwrap();
        let found = derivatives(&problem.with_loss(Loss::Bce), 0.0, Terms::Data, Precision::F64);
        // (⅔ − 1) / 2 and (⅓ − 0) / 2; −ln ⅔ for either class.
        let expected = [-1.0 / 6.0, 1.0 / 6.0];
        assert!(distance(&found.dweight, &expected) <= 1e-7, "{found:?}");
        assert!(distance(&found.dbias, &expected) <= 1e-7, "{found:?}");
        assert!((found.loss - 1.5_f64.ln()).abs() <= 1e-7, "{found:?}");
    }

    #[test]
    fn f32_is_computed_in_f32_and_f64_in_f64() {
        let narrow = by_autograd(Terms::Data, Precision::F32);
        let error = distance(&narrow.dweight, &DATA_DWEIGHT);
        assert!(error > 1e-12 && error <= 1e-6, "{error}");
        assert!(narrow.dweight.iter().all(|&v| f64::from(v as f32) == v));
        let wide = by_autograd(Terms::Data, Precision::F64);
        assert!(wide.dweight.iter().any(|&v| f64::from(v as f32) != v));
    }

    #[test]
    fn other_labels_and_another_lambda_have_other_gradients() {
        let wrong = |labels, lambda| {
            let problem = problem(labels, equal_classes());
            let found = derivatives(&problem, lambda, Terms::Both, Precision::F64);
            distance(&found.dweight, &by_autograd(Terms::Both, Precision::F64).dweight)
        };
        assert_eq!(wrong(LABELS, LAMBDA), 0.0);
        assert!(wrong([2, 0], LAMBDA) > 0.1);
        assert!(wrong(LABELS, LAMBDA / 2.0) > 0.1);
    }

    #[test]
    fn extreme_logits_have_a_finite_loss_and_gradient() {
        let extreme = Parameters::new(DIMS, vec![1e4, 0.0, 0.0, 0.0, -1e4, 0.0], vec![0.0; 3]).unwrap();
        let found = derivatives(&problem(LABELS, extreme), 0.0, Terms::Both, Precision::F32);
        // The first example is right with certainty; the second is wrong by 3·10⁴ − (−3·10⁴) nats.
        assert_eq!(found.loss, 3e4);
        assert_eq!(found.dweight, [1.5, -0.5, 0.0, 0.0, -1.5, 0.5]);
    }

    #[test]
    fn one_step_of_either_trainer_goes_against_the_gradient() {
        const ETA: f64 = 0.5;
        let batch = Examples::new(&X, &LABELS, DIMS).unwrap();
        let mut autograd = AutogradTrainer::new(&equal_classes(), LAMBDA, ETA);
        let mut tensor_ops = TensorOpsTrainer::new(&equal_classes(), LAMBDA, ETA);
        autograd.step(&batch);
        tensor_ops.step(&batch);
        let start = equal_classes();
        let gradient = by_autograd(Terms::Both, Precision::F64);
        let after = |start: &[f32], gradient: &[f64]| -> Vec<f64> {
            widened(start).iter().zip(gradient).map(|(p, g)| p - ETA * g).collect()
        };
        for found in [autograd.parameters(), tensor_ops.parameters()] {
            let weight = after(&start.weight, &gradient.dweight);
            assert!(distance(&widened(&found.weight), &weight) <= 1e-6, "{found:?}");
            assert!(distance(&widened(&found.bias), &after(&start.bias, &gradient.dbias)) <= 1e-6);
            assert!(distance(&widened(&start.weight), &weight) > 0.1);
        }
    }

    #[test]
    fn both_trainers_stay_together_over_many_batches_and_the_cost_falls() {
        let n = 40;
        let x: Vec<f32> = (0..n * 2).map(|i| (i as f32 * 0.7).sin() * 2.0).collect();
        let labels: Vec<u8> = (0..n).map(|i| u8::from(x[2 * i] > 0.0) + u8::from(x[2 * i + 1] > 0.5)).collect();
        let examples = Examples::new(&x, &labels, DIMS).unwrap();
        for lambda in [0.0, 0.01] {
            let mut by_autograd = AutogradTrainer::new(&equal_classes(), lambda, 0.1);
            let mut by_hand = TensorOpsTrainer::new(&equal_classes(), lambda, 0.1);
            let mut at_other_rate = TensorOpsTrainer::new(&equal_classes(), lambda, 0.101);
            let before = by_hand.scores(&examples);
            for step in 0..100 {
                let batch: Vec<usize> = (0..8).map(|i| (step * 13 + i * 5) % n).collect();
                let batch = examples.select(&batch);
                by_autograd.step(&batch);
                by_hand.step(&batch);
                at_other_rate.step(&batch);
            }
            let [a, b, c] = [by_autograd.parameters(), by_hand.parameters(), at_other_rate.parameters()]
                .map(|p| widened(&p.weight));
            assert!(distance(&a, &b) <= 1e-5, "{}", distance(&a, &b));
            assert!(distance(&a, &c) > 1e-4, "{}", distance(&a, &c));
            let [by_autograd, by_hand] = [by_autograd.scores(&examples), by_hand.scores(&examples)];
            assert!((by_autograd.cost - by_hand.cost).abs() <= 1e-5);
            assert!(by_hand.cost < before.cost && by_hand.accuracy > before.accuracy);
        }
    }

    #[test]
    fn scores_are_those_computed_by_hand() {
        let examples = Examples::new(&X, &LABELS, DIMS).unwrap();
        // Class 0 wins everywhere: right for the first of the two examples.
        let mut parameters = Parameters::zeros(DIMS);
        parameters.bias[0] = 2.0_f32.ln();
        let scores = TensorOpsTrainer::new(&parameters, 1.0, 0.1).scores(&examples);
        assert_eq!(scores.accuracy, 0.5);
        // −ln ½ and −ln ¼.
        assert!((scores.loss - 1.5 * 2.0_f64.ln()).abs() <= 1e-6, "{scores:?}");
        let scores = AutogradTrainer::new(&equal_classes(), LAMBDA, 0.1).scores(&examples);
        assert!((scores.cost - scores.loss - LAMBDA * 15.0).abs() <= 1e-6, "{scores:?}");
    }

    #[test]
    fn examples_of_another_shape_are_refused() {
        let problem = |x: &[f32], labels: &[u8]| Examples::new(x, labels, DIMS).unwrap_err().to_string();
        assert_eq!(problem(&X[..3], &LABELS), "x must have the shape (2, 2), but has 3 elements");
        assert_eq!(problem(&X, &[0, 3]), "label must be 0 to 2, but is 3");
        assert_eq!(problem(&[], &[]), "number of examples must be 1 or more, but is 0");
    }

    #[test]
    fn a_batch_holds_the_selected_examples_in_order() {
        let examples = Examples::new(&X, &LABELS, DIMS).unwrap();
        let batch = examples.select(&[1, 0, 1]);
        assert_eq!(elements::<f32>(&batch.x), [3.0, -1.0, 1.0, 2.0, 3.0, -1.0]);
        assert_eq!(elements::<i64>(&batch.y), [2, 0, 2]);
        assert!(examples.select(&[]).is_empty());
    }

    #[test]
    fn the_number_of_threads_is_the_one_set() {
        let before = tch::get_num_threads();
        set_threads(1);
        assert_eq!(tch::get_num_threads(), 1);
        set_threads(before as usize);
        assert_eq!(tch::get_num_threads(), before);
    }
}
