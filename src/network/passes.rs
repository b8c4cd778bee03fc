//! The passes as plain loops, one per formula of the [derivation](super): read these first. The fast
//! [`kernels`](super::kernels) are tested against them.

use super::{Gradients, Parameters};
use crate::hyperparameters::Loss;

/// Step 1: `logits` (n,k) of `x` (n,d), logits\[i,c\] = Σ_f x\[i,f\] · weight\[c,f\] + bias\[c\].
///
/// # Panics
///
/// If `x` doesn't hold a whole number of examples.
pub fn forward(parameters: &Parameters, x: &[f32]) -> Vec<f32> {
    let d = parameters.dims.features;
    assert_eq!(x.len() % d, 0, "x must hold d = {d} features per example");
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

/// Step 2: the mean loss in nats and `dlogits` (n,k), from `logits` (n,k) and `labels` (n).
///
/// # Panics
///
/// If there is no label, `logits` is not (n,k), or a label is k or more.
pub fn loss(loss: Loss, logits: &[f32], labels: &[u8]) -> (f64, Vec<f32>) {
    match loss {
        Loss::Softmax => softmax_cross_entropy(logits, labels),
        Loss::Bce => sigmoid_binary_cross_entropy(logits, labels),
    }
}

/// Step 2a: [`loss`] for [`Loss::Softmax`], loss_i = logsumexp(logits_i) − logits_i\[y_i\] and
/// dlogits = (probs − onehot(y)) / n.
///
/// The gradient is equation 4.109 of Bishop, *Pattern Recognition and Machine Learning* (2006); subtracting the largest
/// logit of each example is section 4.1 of Goodfellow, Bengio & Courville, *Deep Learning* (2016). Panics as [`loss`].
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

/// Step 2b: [`loss`] for [`Loss::Bce`], the mean over the n·k logits z of max(z, 0) − z·t + ln(1 + e^−|z|), with
/// t = onehot(y), and dlogits = (probs − t) / (k·n).
///
/// These are equations 4.90 and 4.91 of Bishop (2006), for each class. Panics as [`loss`].
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

/// Step 3: the gradient of the cost, from `x` (n,d) and `dlogits` (n,k).
///
/// dweight\[c,f\] = Σ_i dlogits\[i,c\] · x\[i,f\] + 2 λ · weight\[c,f\]; dbias\[c\] = Σ_i dlogits\[i,c\].
///
/// # Panics
///
/// If `x` and `dlogits` don't hold the same number of examples.
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
    Gradients { dweight, dbias }
}

/// Step 4: weight ← weight − η · dweight; bias ← bias − η · dbias.
pub fn update(parameters: &mut Parameters, gradients: &Gradients, eta: f32) {
    for (weight, dweight) in parameters.weight.iter_mut().zip(&gradients.dweight) {
        *weight -= eta * dweight;
    }
    for (bias, dbias) in parameters.bias.iter_mut().zip(&gradients.dbias) {
        *bias -= eta * dbias;
    }
}
