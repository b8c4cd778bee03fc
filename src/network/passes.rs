//! The passes of the network, a plain loop for each formula: the text to read first, and the reference that the fast
//! [`kernels`](super::kernels) are held to.
//!
//! n examples, d features, k classes; every matrix is row-major. The gradient of a softmax followed by a cross-entropy
//! is Bishop, *Pattern Recognition and Machine Learning* (2006), equation 4.109; the rest is the chain rule.

use super::{Gradients, Parameters};
use crate::hyperparameters::Loss;

/// `logits` (n,k) of `x` (n,d): logits\[i,c\] = Σ_f x\[i,f\] · weight\[c,f\] + bias\[c\].
///
/// # Panics
///
/// When `x` does not hold a whole number of examples.
pub fn forward(parameters: &Parameters, x: &[f32]) -> Vec<f32> {
    let d = parameters.dims.features;
    assert_eq!(x.len() % d, 0, "x must hold d = {d} features an example");
    let mut logits = Vec::with_capacity(x.len() / d * parameters.dims.classes);
    for x in x.chunks_exact(d) {
        for (weight, bias) in parameters.weight.chunks_exact(d).zip(&parameters.bias) {
            let mut sum = 0.0;
            for (x, weight) in x.iter().zip(weight) {
                sum += x * weight;
            }
            logits.push(sum + bias);
        }
    }
    logits
}

/// The mean loss in nats, and `dlogits` (n,k), of `logits` (n,k) and `labels` (n).
///
/// # Panics
///
/// When there is no label, `logits` is not (n,k), or a label is k or more.
pub fn loss(loss: Loss, logits: &[f32], labels: &[u8]) -> (f64, Vec<f32>) {
    match loss {
        Loss::Softmax => softmax_cross_entropy(logits, labels),
        Loss::Bce => sigmoid_binary_cross_entropy(logits, labels),
    }
}

/// [`loss`] for [`Loss::Softmax`].
///
/// loss_i = logsumexp(logits_i) − logits_i\[y_i\]; dlogits = (probs − onehot(y)) / n. The largest logit of an example is
/// subtracted first, which changes neither and keeps every exponential at most 1 (Goodfellow, Bengio & Courville,
/// *Deep Learning* (2016), section 4.1).
///
/// # Panics
///
/// When there is no label, `logits` is not (n,k), or a label is k or more.
pub fn softmax_cross_entropy(logits: &[f32], labels: &[u8]) -> (f64, Vec<f32>) {
    let n = labels.len();
    assert!(n > 0 && logits.len().is_multiple_of(n), "logits must be (n,k)");
    let mut dlogits = logits.to_vec();
    let mut loss = 0.0;
    for (row, &label) in dlogits.chunks_exact_mut(logits.len() / n).zip(labels) {
        let label = usize::from(label);
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let labelled = row[label] - max;
        let mut sum = 0.0;
        for value in row.iter_mut() {
            *value = (*value - max).exp();
            sum += *value;
        }
        loss += f64::from(sum.ln() - labelled);
        for (class, value) in row.iter_mut().enumerate() {
            let onehot = f32::from(u8::from(class == label));
            *value = (*value / sum - onehot) / n as f32;
        }
    }
    (loss / n as f64, dlogits)
}

/// [`loss`] for [`Loss::Bce`]: k sigmoids, each of which tells one class from all others.
///
/// loss = 1/(n·k) Σ_i Σ_c −ln(p if c = y_i, 1 − p otherwise), with p = sigmoid(logits\[i,c\]);
/// dlogits = (p − onehot(y)) / (k·n): Bishop (2006), equations 4.90 and 4.91, for each class. With z a logit and t its
/// onehot, a term is max(z, 0) − z·t + ln(1 + e^−|z|), whose exponential is at most 1.
///
/// # Panics
///
/// When there is no label, `logits` is not (n,k), or a label is k or more.
pub fn sigmoid_binary_cross_entropy(logits: &[f32], labels: &[u8]) -> (f64, Vec<f32>) {
    let n = labels.len();
    assert!(n > 0 && logits.len().is_multiple_of(n), "logits must be (n,k)");
    let mut dlogits = logits.to_vec();
    let mut loss = 0.0;
    for (row, &label) in dlogits.chunks_exact_mut(logits.len() / n).zip(labels) {
        assert!(usize::from(label) < row.len(), "a label must be below k");
        for (class, value) in row.iter_mut().enumerate() {
            let onehot = f32::from(u8::from(class == usize::from(label)));
            let z = *value;
            let exp = (-z.abs()).exp();
            loss += f64::from(z.max(0.0) - z * onehot + exp.ln_1p());
            let p = if z >= 0.0 { 1.0 } else { exp } / (1.0 + exp);
            *value = (p - onehot) / logits.len() as f32;
        }
    }
    (loss / logits.len() as f64, dlogits)
}

/// The gradient of the cost, from `x` (n,d) and `dlogits` (n,k).
///
/// dweight\[c,f\] = Σ_i dlogits\[i,c\] · x\[i,f\] + 2 λ · weight\[c,f\]; dbias\[c\] = Σ_i dlogits\[i,c\].
///
/// # Panics
///
/// When `x` and `dlogits` do not hold the same number of examples.
pub fn backward(parameters: &Parameters, x: &[f32], dlogits: &[f32], lambda: f32) -> Gradients {
    let (d, k) = (parameters.dims.features, parameters.dims.classes);
    assert_eq!(x.len() / d, dlogits.len() / k, "x and dlogits must hold n examples");
    let mut dweight = vec![0.0; k * d];
    let mut dbias = vec![0.0; k];
    for (x, dlogits) in x.chunks_exact(d).zip(dlogits.chunks_exact(k)) {
        for (c, &dlogit) in dlogits.iter().enumerate() {
            dbias[c] += dlogit;
            for (dweight, x) in dweight[c * d..(c + 1) * d].iter_mut().zip(x) {
                *dweight += dlogit * x;
            }
        }
    }
    for (dweight, weight) in dweight.iter_mut().zip(&parameters.weight) {
        *dweight += 2.0 * lambda * weight;
    }
    Gradients { dims: parameters.dims, dweight, dbias }
}

/// One step of gradient descent: weight ← weight − η · dweight; bias ← bias − η · dbias.
pub fn update(parameters: &mut Parameters, gradients: &Gradients, eta: f32) {
    for (weight, dweight) in parameters.weight.iter_mut().zip(&gradients.dweight) {
        *weight -= eta * dweight;
    }
    for (bias, dbias) in parameters.bias.iter_mut().zip(&gradients.dbias) {
        *bias -= eta * dbias;
    }
}
