//! What gradients are computed of: a batch, the parameters, and where they come from.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::hyperparameters::Loss;
use crate::network::Parameters;
use crate::shape::{Dims, check_finite};

/// A batch of n examples with the parameters at which the cost is differentiated.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    x: Vec<f32>,
    labels: Vec<u8>,
    parameters: Parameters,
    loss: Loss,
}

impl Problem {
    /// Takes `x` (n·d, row-major, normalised) and `labels` (n, each below k). The loss is [`Loss::Softmax`].
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `x` does not hold d values a label or there is no label, [`Error::InvalidValue`] when a
    /// label is k or more, [`Error::NonFinite`] when an `x` or a parameter is.
    pub fn new(x: Vec<f32>, labels: Vec<u8>, parameters: Parameters) -> Result<Self> {
        let dims = parameters.dims;
        if labels.is_empty() || x.len() != labels.len() * dims.features {
            return Err(Error::Shape {
                what: "x".into(),
                expected: format!("({}, {}), 1 or more rows", labels.len(), dims.features),
                found: format!("{} elements", x.len()),
            });
        }
        if let Some(&label) = labels.iter().find(|&&y| usize::from(y) >= dims.classes) {
            return Err(Error::InvalidValue {
                name: "label",
                expected: format!("0 to {}", dims.classes - 1),
                found: label.to_string(),
            });
        }
        check_finite("x", &x)?;
        parameters.check_finite()?;
        Ok(Self { x, labels, parameters, loss: Loss::Softmax })
    }

    /// The same problem with another loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// The examples `indices` of `dataset`, normalised.
    ///
    /// # Errors
    ///
    /// As [`Problem::new`].
    pub fn from_images(
        dataset: &Dataset,
        normalizer: &Normalizer,
        indices: &[usize],
        parameters: Parameters,
    ) -> Result<Self> {
        let x = normalizer.apply(dataset, indices.iter().copied());
        let labels = indices.iter().map(|&i| dataset.labels()[i]).collect();
        Self::new(x, labels, parameters)
    }

    /// `examples` examples, their features and the bias drawn from N(0, 1), the weights from N(0, 1/d), so that the logits
    /// are of the order of 1; the labels uniformly.
    pub fn random(dims: Dims, examples: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.sample(StandardNormal)).collect() };
        let x = normal(examples * dims.features);
        let mut weight = normal(dims.classes * dims.features);
        for weight in &mut weight {
            *weight /= (dims.features as f32).sqrt();
        }
        let bias = normal(dims.classes);
        let labels = (0..examples).map(|_| rng.random_range(0..dims.classes) as u8).collect();
        Self { x, labels, parameters: Parameters { dims, weight, bias }, loss: Loss::Softmax }
    }

    /// The number of features and classes.
    pub fn dims(&self) -> Dims {
        self.parameters.dims
    }

    /// The number of examples, n: at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a problem is never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The normalised examples, (n,d), row-major.
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// The class of each example, (n).
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// What is differentiated, besides the penalty.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// Where the cost is differentiated.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
