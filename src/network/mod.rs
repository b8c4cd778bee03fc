//! The one-layer classifier: the derivation of its gradients, and the passes that compute them.
//!
//! # Notation
//!
//! There are n examples (counted by i), d features (f) and k classes (c, j). Every matrix is a plain `Vec<f32>`,
//! row-major; shapes stand in parentheses. `dθ` is the gradient of the cost with respect to θ and has the shape of θ.
//!
//! | name | shape | meaning |
//! |---|---|---|
//! | `x` | (n,d) | features |
//! | `y` | (n) | labels, each in 0..k |
//! | `t` | (n,k) | onehot(y): t\[i,c\] = 1 if c = y\[i\], otherwise 0 |
//! | `weight`, `bias` | (k,d), (k) | the [`Parameters`] |
//! | λ, η | | weight of the penalty (half of PyTorch's `weight_decay`), learning rate |
//!
//! # Step 1: forward, from the features to the cost
//!
//! ```text
//! logits[i,c] = Σ_f x[i,f] · weight[c,f] + bias[c]     (n,k)    logits = x · weightᵀ + bias
//! loss        = 1/n · Σ_i loss_i                       scalar   loss_i is defined in step 2
//! cost        = loss + λ · Σ_c Σ_f weight[c,f]²        scalar   no ½; the bias is not penalised
//! ```
//!
//! The loss is a mean, so that it does not depend on the size of the mini-batch. The gradients follow from the chain
//! rule, from the cost back to the logits (step 2), then to the parameters (step 3). Only step 2 depends on the loss.
//!
//! # Step 2a: `dlogits` of softmax cross-entropy ([`Loss::Softmax`])
//!
//! Take one example, with logits z (k) and label y. Softmax turns the logits into probabilities that add up to 1, and
//! the loss is minus the log of the probability of the true class:
//!
//! ```text
//! s      = Σ_j e^z[j]                                  scalar
//! p[c]   = e^z[c] / s                                  (k)
//! loss_i = −ln p[y] = ln s − z[y]                      scalar   s is positive; ln e^z[y] = z[y]
//! ```
//!
//! Differentiate both terms with respect to z\[c\]:
//!
//! ```text
//! ∂(ln s) / ∂z[c] = (∂s / ∂z[c]) / s = e^z[c] / s = p[c]
//! ∂z[y]   / ∂z[c] = 1 if c = y, otherwise 0       = t[c]
//! ∂loss_i / ∂z[c] = p[c] − t[c]                        (k)
//! ```
//!
//! The logits of example i appear in loss_i only, and loss_i enters the mean with the factor 1/n, which the gradient
//! keeps:
//!
//! ```text
//! dlogits[i,c] = (p[i,c] − t[i,c]) / n                 (n,k)    each row adds up to 0
//! ```
//!
//! # Step 2b: `dlogits` of k sigmoids with binary cross-entropy ([`Loss::Bce`])
//!
//! Here each class is a yes-or-no question of its own. Its sigmoid is the probability of yes, and the loss of an
//! example is the mean of the k cross-entropies:
//!
//! ```text
//! p[c]   = σ(z[c]) = 1 / (1 + e^−z[c])                 (k)      need not add up to 1
//! loss_i = 1/k · Σ_c −ln(p[c] if t[c] = 1, otherwise 1 − p[c])
//! ```
//!
//! Since −ln σ(z) = ln(1 + e^−z) and 1 − σ(z) = e^−z · σ(z), the second case only adds z to the first. Both in one
//! formula:
//!
//! ```text
//! loss_i = 1/k · Σ_c ( ln(1 + e^−z[c]) + (1 − t[c]) · z[c] )
//! ```
//!
//! The derivative of ln(1 + e^−z) is −e^−z / (1 + e^−z) = −(1 − σ(z)), and z\[c\] appears in one of the k terms only:
//!
//! ```text
//! ∂loss_i / ∂z[c] = ( −(1 − p[c]) + 1 − t[c] ) / k = (p[c] − t[c]) / k
//! dlogits[i,c]    = (p[i,c] − t[i,c]) / (k·n)          (n,k)
//! ```
//!
//! # Step 3: from `dlogits` to `dweight` and `dbias`
//!
//! weight\[c,f\] appears in logits\[i,c\] of every example i, with the factor x\[i,f\], and in the penalty, whose
//! derivative is 2 λ · weight\[c,f\]. bias\[c\] appears in the same logits, with the factor 1. The chain rule sums over
//! the examples:
//!
//! ```text
//! dweight[c,f] = Σ_i dlogits[i,c] · x[i,f] + 2 λ · weight[c,f]   (k,d)   dlogitsᵀ · x + 2 λ · weight
//! dbias[c]     = Σ_i dlogits[i,c]                                (k)     column sums of dlogits
//! ```
//!
//! There is no further 1/n: `dlogits` carries it. The shapes agree: dlogitsᵀ (k,n) times x (n,d) is (k,d).
//!
//! # Step 4: the update
//!
//! ```text
//! weight ← weight − η · dweight                        (k,d)
//! bias   ← bias   − η · dbias                          (k)
//! ```
//!
//! # Numerical stability
//!
//! In `f32`, e^z overflows above z ≈ 88. So the largest logit is subtracted first; the factor e^−m cancels in p:
//!
//! ```text
//! m      = max_j z[j]                                  scalar
//! ln s   = m + ln Σ_j e^(z[j] − m)                     scalar   "log-sum-exp"
//! p[c]   = e^(z[c] − m) / Σ_j e^(z[j] − m)             (k)
//! ```
//!
//! No exponent is positive, and one term of the sum is e^0 = 1: neither an exponential nor the logarithm can overflow.
//! For the sigmoids, ln(1 + e^−z) = ln(1 + e^z) − z, so the form with the negative exponent can be chosen for either
//! sign of z:
//!
//! ```text
//! loss_i = 1/k · Σ_c ( max(z[c], 0) − z[c] · t[c] + ln(1 + e^−|z[c]|) )
//! p[c]   = 1 / (1 + e^−|z[c]|) if z[c] ≥ 0, otherwise e^−|z[c]| / (1 + e^−|z[c]|)
//! ```
//!
//! # Code and proof of each step
//!
//! | step | plain loop | fast kernel |
//! |---|---|---|
//! | features from pixels | [`Normalizer::apply`] | [`kernels::Normalise`] |
//! | 1 logits | [`passes::forward`] | [`kernels::Forward`] and [`kernels::Logits`] |
//! | 2a softmax | [`passes::softmax_cross_entropy`] | [`kernels::Losses`]; `dlogits` from p in `group/stack.rs` |
//! | 2b sigmoids | [`passes::sigmoid_binary_cross_entropy`] | likewise |
//! | 3 gradients | [`passes::backward`] | `dweight`: [`kernels::Backward`]; `dbias`: `group/stack.rs` |
//! | 4 update | [`passes::update`] | [`kernels::Update`], with the penalty of step 3 |
//! | all, for m settings at once | | [`Group::step`], [`Group::gradients`] |
//!
//! The proof is in [`gradcheck`](crate::gradcheck), which checks loops and kernels against a separate
//! [`reference`](crate::gradcheck::reference) in `f64`, against central differences and, with the feature
//! `autograd-check`, against PyTorch's autograd. In `tests/integration`, `golden.rs` compares them with stored results of
//! autograd and `numbers.rs` covers saturated probabilities; `src/network/group/tests.rs` bounds the difference of each
//! kernel from its plain loop by the rounding error.

mod examples;
mod group;
pub mod kernels;
pub mod passes;

pub use examples::Examples;
pub use group::{Group, Outcome, Phase, Phases, Step};

#[cfg(doc)]
use crate::dataset::normalizer::Normalizer;
use crate::error::Result;
use crate::hyperparameters::{Loss, check_lambda};
use crate::shape::{Dims, check_finite, check_shape};

/// The parameters of one network.
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
    /// (k,d), row-major.
    pub dweight: Vec<f32>,
    /// (k).
    pub dbias: Vec<f32>,
}

/// What [`Parameters::cost_and_gradients`] returns for a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct CostAndGradients {
    /// The mean loss, in nats.
    pub loss: f64,
    /// loss + λ · Σ weight².
    pub cost: f64,
    /// The gradients of the cost.
    pub gradients: Gradients,
}

impl Parameters {
    /// Takes `weight` (k·d, row-major) and `bias` (k).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if a buffer has another length,
    /// [`Error::NonFinite`](crate::Error::NonFinite) if an element is NaN or infinite.
    pub fn new(dims: Dims, weight: Vec<f32>, bias: Vec<f32>) -> Result<Self> {
        check_shape("weight", weight.len(), &[dims.classes, dims.features])?;
        check_shape("bias", bias.len(), &[dims.classes])?;
        let parameters = Self { dims, weight, bias };
        parameters.check_finite()?;
        Ok(parameters)
    }

    /// All zeros: every class has the same probability, and the loss of a softmax is ln k.
    pub fn zeros(dims: Dims) -> Self {
        Self { dims, weight: vec![0.0; dims.classes * dims.features], bias: vec![0.0; dims.classes] }
    }

    /// The cost of a batch and its gradients, from the kernels that train.
    ///
    /// Your own features, (n,d) row-major, and labels, (n), are [`Examples::Rows`]; no normaliser is applied to them.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the examples don't have d features, or d or k is 0,
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) without examples, or if a label is k or more, or λ is negative or not
    /// finite,
    /// [`Error::NonFinite`](crate::Error::NonFinite) if a feature or a parameter is NaN or infinite.
    pub fn cost_and_gradients(&self, examples: Examples, loss: Loss, lambda: f64) -> Result<CostAndGradients> {
        check_lambda(lambda)?;
        self.check_finite()?;
        if let Examples::Rows(x, _) = examples {
            check_finite("x", x)?;
        }
        let group = Group::new(&[self])?.with_losses(&[loss])?;
        let (loss, gradients) = group.gradients(examples, &[lambda as f32])?.remove(0);
        Ok(CostAndGradients { loss, cost: loss + lambda * self.squared_norm(), gradients })
    }

    /// Σ weight², summed in `f64` in the order of the buffer.
    pub fn squared_norm(&self) -> f64 {
        self.weight.iter().map(|&w| f64::from(w).powi(2)).sum()
    }

    /// An error that names the first element that is not finite, if there is one.
    pub(crate) fn check_finite(&self) -> Result<()> {
        check_finite("weight", &self.weight)?;
        check_finite("bias", &self.bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_features_give_the_gradients_of_the_plain_loops() {
        let (x, labels) = ([0.5, -1.0, 2.0, 1.5, 0.0, -0.5], [0, 1]);
        let weight = vec![0.1, -0.2, 0.3, 0.0, 0.2, -0.1];
        let parameters = Parameters::new(Dims { features: 3, classes: 2 }, weight, vec![0.5, 0.0]).unwrap();
        for loss in Loss::ALL {
            let result = parameters.cost_and_gradients(Examples::Rows(&x, &labels), loss, 0.1).unwrap();
            let (expected, dlogits) = passes::loss(loss, &passes::forward(&parameters, &x), &labels);
            let gradients = passes::backward(&parameters, &x, &dlogits, 0.1);
            let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!((result.loss - expected).abs() < 1e-6 && (result.cost - expected - 0.019).abs() < 1e-6);
            assert!(near(&result.gradients.dweight, &gradients.dweight), "{result:?} instead of {gradients:?}");
            assert!(near(&result.gradients.dbias, &gradients.dbias), "{result:?} instead of {gradients:?}");
        }
    }

    #[test]
    fn own_features_that_do_not_fit_are_refused() {
        let parameters = Parameters::zeros(Dims { features: 2, classes: 2 });
        let refused = |x: &[f32], labels: &[u8], lambda| {
            let result = parameters.cost_and_gradients(Examples::Rows(x, labels), Loss::Softmax, lambda);
            result.unwrap_err().to_string()
        };
        assert_eq!(refused(&[], &[], 0.0), "number of examples must be 1 or more, but is 0");
        assert_eq!(refused(&[1.0, 2.0, 3.0], &[0], 0.0), "x must have the shape (1, 2), but has 3 elements");
        assert_eq!(refused(&[1.0, f32::NAN], &[0], 0.0), "x must be finite, but element 1 is NaN");
        assert_eq!(refused(&[1.0, 2.0], &[2], 0.0), "label must be 0 to 1, but is 2");
        assert!(refused(&[1.0, 2.0], &[0], -1.0).starts_with("lambda must be at least 0 and below 1.7e38"));
    }
}
