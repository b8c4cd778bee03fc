//! Training on libtorch with the hand-derived gradients as tensor operations.

use onelayer::evaluate::Scores;
use onelayer::gradcheck::autograd::{AutogradTrainer, Tensors};
use onelayer::hyperparameters::Setting;
use onelayer::network::Parameters;
use onelayer::shape::Dims;
use tch::Tensor;

/// Gradient descent in f32 with the hand-derived softmax gradients, in place where libtorch can.
pub struct TensorOpsTrainer {
    dims: Dims,
    /// (k,d).
    weight: Tensor,
    /// (k).
    bias: Tensor,
    setting: Setting,
}

impl TensorOpsTrainer {
    /// Starts at `parameters`, with the λ of `setting`.
    pub fn new(parameters: &Parameters, setting: Setting) -> Self {
        let Parameters { dims, weight, bias } = parameters;
        let weight = Tensor::from_slice(weight).view([dims.classes as i64, dims.features as i64]);
        Self { dims: *dims, weight, bias: Tensor::from_slice(bias), setting }
    }

    /// One update on a mini-batch.
    ///
    /// `weight` takes −η · `dlogits`ᵀ · x in one `addmm_` on top of its decay by 1 − 2 η λ, so that `dweight` is never
    /// stored.
    pub fn step(&mut self, batch: &Tensors, learning_rate: f64) {
        let lambda = self.setting.lambda();
        let mut update = batch.x.linear(&self.weight, Some(&self.bias)).softmax(1, None);
        let _ = update.scatter_value_reduce_(1, &batch.y.unsqueeze(1), -1.0, "add");
        update *= -learning_rate / batch.y.numel() as f64; // −η · dlogits
        if lambda != 0.0 {
            self.weight *= 1.0 - 2.0 * learning_rate * lambda;
        }
        let _ = self.weight.addmm_(&update.tr(), &batch.x);
        self.bias += update.sum_dim_intlist(0, false, None);
    }

    /// Loss, cost and accuracy on `examples`.
    pub fn scores(&self, examples: &Tensors) -> Scores {
        AutogradTrainer::new(&self.parameters(), self.setting).scores(examples)
    }

    /// A copy of the current parameters.
    pub fn parameters(&self) -> Parameters {
        let elements = |tensor: &Tensor| Vec::try_from(&tensor.flatten(0, -1)).expect("a flattened tensor is a vector");
        Parameters { dims: self.dims, weight: elements(&self.weight), bias: elements(&self.bias) }
    }
}
