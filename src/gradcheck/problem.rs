//! The input of a gradient computation: a batch and the parameters.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::gradcheck::reference::Batch;
use crate::hyperparameters::Loss;
use crate::network::{Examples, Parameters};
use crate::shape::{Dims, check_finite};

/// A batch of n examples, and the parameters at which the cost is differentiated.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    x: Vec<f32>,
    labels: Vec<u8>,
    parameters: Parameters,
    /// The loss that is differentiated.
    pub loss: Loss,
}

impl Problem {
    /// Takes `x` (n·d, row-major, normalised) and `labels` (n, each below k). The loss is [`Loss::Softmax`].
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if `x` does not hold d values per label, [`Error::InvalidValue`] if there is no label or a label is k
    /// or more, [`Error::NonFinite`] if a feature or a parameter is NaN or infinite.
    pub fn new(x: Vec<f32>, labels: Vec<u8>, parameters: Parameters) -> Result<Self> {
        if labels.is_empty() {
            return Err(Error::invalid("number of examples", "1 or more", "0"));
        }
        Examples::Rows(&x, &labels).check(parameters.dims)?;
        check_finite("x", &x)?;
        parameters.check_finite()?;
        Ok(Self { x, labels, parameters, loss: Loss::Softmax })
    }

    /// The same problem with another loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// The images of `dataset` at `indices`, normalised.
    ///
    /// # Errors
    ///
    /// Those of [`Problem::new`].
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

    /// Random examples and parameters: features and biases from N(0, 1), weights from N(0, 1/d) so that the logits are of
    /// the order of 1, labels uniform.
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

    /// Number of features and classes.
    pub fn dims(&self) -> Dims {
        self.parameters.dims
    }

    /// The normalised features, (n,d), row-major.
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// The class of each of the n examples; n is at least 1.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The examples and the loss, for the reference.
    pub fn batch(&self) -> Batch<'_, f32> {
        Batch { x: &self.x, labels: &self.labels, loss: self.loss }
    }

    /// The parameters at which the cost is differentiated.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inconsistent_examples_are_refused() {
        let zeros = Parameters::zeros(Dims { features: 2, classes: 3 });
        let refused = |x: &[f32], labels: &[u8]| {
            let error = Problem::new(x.to_vec(), labels.to_vec(), zeros.clone()).unwrap_err();
            error.to_string()
        };
        assert_eq!(refused(&[1.0, 2.0, 3.0], &[0, 2]), "x must have the shape (2, 2), but has 3 elements");
        assert_eq!(refused(&[1.0, 2.0, 3.0, 4.0], &[0, 3]), "label must be 0 to 2, but is 3");
        assert_eq!(refused(&[], &[]), "number of examples must be 1 or more, but is 0");
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let dims = Dims { features: 2, classes: 3 };
        let refused = |x: Vec<f32>, parameters| Problem::new(x, vec![0], parameters).unwrap_err().to_string();
        assert_eq!(refused(vec![0.0, f32::NAN], Parameters::zeros(dims)), "x must be finite, but element 1 is NaN");
        let mut parameters = Parameters::zeros(dims);
        parameters.bias[2] = f32::INFINITY;
        assert_eq!(refused(vec![0.0, 0.0], parameters), "bias must be finite, but element 2 is inf");
    }

    #[test]
    fn a_random_problem_has_features_and_logits_of_the_order_of_1_and_every_label() {
        let dims = Dims { features: 400, classes: 5 };
        let problem = Problem::random(dims, 50, 1);
        assert_eq!((problem.dims(), problem.x().len(), problem.labels().len()), (dims, 20_000, 50));
        let mean_square =
            |values: &[f32]| values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((mean_square(problem.x()) - 1.0).abs() < 0.05);
        let weight = &problem.parameters().weight;
        assert_eq!(weight.len(), 2000);
        // 1 / 400, with a standard error of 3 %.
        assert!((mean_square(weight) * 400.0 - 1.0).abs() < 0.15);
        assert!((0..5).all(|class| problem.labels().contains(&class)));
        assert!(problem.labels().iter().all(|&label| label < 5));
        assert_eq!(Problem::random(dims, 50, 1), problem);
        assert_ne!(Problem::random(dims, 50, 2).x(), problem.x());
        let other = problem.clone().with_loss(Loss::Bce);
        assert_eq!((problem.loss, other.loss), (Loss::Softmax, Loss::Bce));
        assert_eq!(
            (other.x(), other.labels(), other.parameters()),
            (problem.x(), problem.labels(), problem.parameters())
        );
    }
}
