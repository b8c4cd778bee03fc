//! The one-layer softmax classifier: forward pass, loss and hand-derived backward pass.
//!
//! n examples, d features, k classes; every matrix is row-major in a plain `Vec<f32>`.
//!
//! | quantity | definition |
//! |---|---|
//! | `logits` (n,k) | x · weightᵀ + bias |
//! | `probs` (n,k) | softmax of each row, after its own maximum is subtracted |
//! | `loss` | mean over the examples of logsumexp(logits_i) − logits_i\[y_i\], in nats |
//! | `cost` | loss + λ · Σ weight² (no ½; the bias is not penalised) |
//! | `dlogits` (n,k) | (probs − onehot(y)) / n |
//! | `dweight` (k,d) | dlogitsᵀ · x + 2 λ · weight |
//! | `dbias` (k) | column sums of dlogits |
//! | update | weight ← weight − η · dweight; bias ← bias − η · dbias |
//!
//! The loss of the report is that of a softmax, above. The other one, [`Loss::Bce`](crate::hyperparameters::Loss::Bce),
//! replaces three rows, and nothing else:
//!
//! | quantity | definition |
//! |---|---|
//! | `probs` (n,k) | sigmoid of each logit, 1 / (1 + e^−z): k answers, which need not add up to 1 |
//! | `loss` | mean over the n·k logits of max(z, 0) − z·t + ln(1 + e^−\|z\|), t = onehot(y), in nats |
//! | `dlogits` (n,k) | (probs − onehot(y)) / (k·n) |
//!
//! `dθ` is the gradient of the cost with respect to θ, with θ's own shape.

mod examples;
mod group;
pub mod kernels;
pub mod passes;

pub use examples::Examples;
pub use group::{Group, Outcome, Step, Totals};

use crate::error::Result;
use crate::shape::{Dims, check_finite, check_shape};

/// The trained quantities.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// The sizes of the two buffers.
    pub dims: Dims,
    /// (k,d), row-major: row c holds the weights of class c.
    pub weight: Vec<f32>,
    /// (k).
    pub bias: Vec<f32>,
}

/// The gradient of the cost with respect to [`Parameters`], with the same shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// The sizes of the two buffers.
    pub dims: Dims,
    /// (k,d), row-major.
    pub dweight: Vec<f32>,
    /// (k).
    pub dbias: Vec<f32>,
}

impl Parameters {
    /// Takes `weight` (k·d, row-major) and `bias` (k).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when a buffer has another length, [`Error::NonFinite`] when an element is NaN or infinite.
    pub fn new(dims: Dims, weight: Vec<f32>, bias: Vec<f32>) -> Result<Self> {
        check_shape("weight", weight.len(), &[dims.classes, dims.features])?;
        check_shape("bias", bias.len(), &[dims.classes])?;
        let parameters = Self { dims, weight, bias };
        parameters.check_finite()?;
        Ok(parameters)
    }

    /// All zeros: every class equally probable, loss ln k.
    pub fn zeros(dims: Dims) -> Self {
        Self { dims, weight: vec![0.0; dims.classes * dims.features], bias: vec![0.0; dims.classes] }
    }

    /// Σ weight², summed in f64 in the order of the buffer.
    pub fn squared_norm(&self) -> f64 {
        self.weight.iter().map(|&w| f64::from(w).powi(2)).sum()
    }

    /// Names the first element that is not finite.
    pub(crate) fn check_finite(&self) -> Result<()> {
        check_finite("weight", &self.weight)?;
        check_finite("bias", &self.bias)
    }

    /// Whether every element is finite.
    pub fn is_finite(&self) -> bool {
        self.weight.iter().chain(&self.bias).all(|v| v.is_finite())
    }
}
