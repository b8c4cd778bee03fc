//! From logits to losses and probabilities: [`Losses`].

use pulp::{Simd, WithSimd};

use super::math::{exp, ln, ln_1p};
use super::{LANES, Lanes};
use crate::hyperparameters::Loss;

/// The losses, probabilities and predictions of [`LANES`] examples, one per lane.
pub struct Losses<'a> {
    /// The loss to compute.
    pub loss: Loss,
    /// (k): logits, overwritten by probabilities.
    pub logits: &'a mut [Lanes],
    /// The class of each example.
    pub labels: &'a [u32; LANES],
    /// Overwritten: the loss of each example in nats; not finite if a logit is not.
    pub losses: &'a mut Lanes,
    /// Overwritten: the class of the largest logit; of equal logits the first.
    pub predictions: &'a mut [u32; LANES],
}

impl WithSimd for Losses<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let max = largest(simd, self.logits, self.predictions).0;
        match self.loss {
            Loss::Softmax => self.softmax(simd, &max),
            Loss::Bce => self.sigmoids(),
        }
    }
}

impl Losses<'_> {
    /// logsumexp(logits) − logits\[label\], with `max` subtracted from the logits of each example.
    #[inline(always)]
    fn softmax<S: Simd>(self, simd: S, max: &[f32; LANES]) {
        let mut below_max = [0.0; LANES];
        let mut sum = [0.0; LANES];
        for (class, row) in self.logits.iter_mut().enumerate() {
            for e in 0..LANES {
                below_max[e] = if self.labels[e] == class as u32 { max[e] - row.0[e] } else { below_max[e] };
            }
            let mut exps = [0.0; LANES];
            for e in 0..LANES {
                exps[e] = exp(row.0[e] - max[e]);
            }
            for e in 0..LANES {
                sum[e] += exps[e];
            }
            row.0 = exps;
        }
        let mut losses = [0.0; LANES];
        for e in 0..LANES {
            losses[e] = ln(sum[e]) + below_max[e];
        }
        self.losses.0 = losses;
        let (sum, _) = S::as_simd_f32s(&sum);
        for row in self.logits.iter_mut() {
            let (row, _) = S::as_mut_simd_f32s(&mut row.0);
            for v in 0..LANES / S::F32_LANES {
                row[v] = simd.div_f32s(row[v], sum[v]);
            }
        }
    }

    /// The mean over the classes of the binary cross-entropy.
    #[inline(always)]
    fn sigmoids(self) {
        let classes = self.logits.len() as f32;
        let mut sum = [0.0; LANES];
        for (class, row) in self.logits.iter_mut().enumerate() {
            for e in 0..LANES {
                let z = row.0[e];
                let onehot = f32::from(u8::from(self.labels[e] == class as u32));
                let exp = exp(-z.abs());
                // A product rather than a branch: 0 · ∞ is NaN, so that an infinite logit gives a NaN loss.
                sum[e] += z.max(0.0) - z * onehot + ln_1p(exp);
                row.0[e] = if z >= 0.0 { 1.0 } else { exp } / (1.0 + exp);
            }
        }
        for e in 0..LANES {
            self.losses.0[e] = sum[e] / classes;
        }
    }
}

/// The largest logit of each example; its class, of equal logits the first, goes to `predictions`.
#[inline(always)]
fn largest<S: Simd>(simd: S, logits: &[Lanes], predictions: &mut [u32; LANES]) -> Lanes {
    let mut max = logits[0];
    *predictions = [0; LANES];
    for (class, row) in logits.iter().enumerate().skip(1) {
        let class = simd.splat_u32s(class as u32);
        let (row, _) = S::as_simd_f32s(&row.0);
        let (max, _) = S::as_mut_simd_f32s(&mut max.0);
        let (predictions, _) = S::as_mut_simd_u32s(predictions);
        for v in 0..LANES / S::F32_LANES {
            let larger = simd.greater_than_f32s(row[v], max[v]);
            max[v] = simd.select_f32s(larger, row[v], max[v]);
            predictions[v] = simd.select_u32s(larger, class, predictions[v]);
        }
    }
    max
}
