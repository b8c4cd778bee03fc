//! From the gradient of the logits to that of the weights, and the update: [`Backward`].

use pulp::{Simd, WithSimd};

use super::{PANEL, Panel, ROWS, SUM_BLOCK};

/// The result that [`Backward`] writes in place of `weight`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOutput {
    /// weight − η · dweight.
    Updated,
    /// dweight itself.
    Gradient,
}

/// The step of one class row: that of the member it belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowStep {
    /// η.
    pub learning_rate: f32,
    /// 2 λ.
    pub two_lambda: f32,
}

/// dweight = dlogitsᵀ · x + 2 λ · weight for one panel of features, and the update with it.
pub struct Backward<'a> {
    /// (n): this panel of the examples.
    pub x: &'a [Panel],
    /// (n, rows).
    pub dlogits: &'a [f32],
    /// (rows).
    pub steps: &'a [RowStep],
    /// (rows): this panel of the weights, overwritten by `output`.
    pub weight: &'a mut [Panel],
    /// The result to write.
    pub output: WeightOutput,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let vectors = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        for row in (0..self.steps.len()).step_by(ROWS) {
            for first in (0..PANEL / S::F32_LANES).step_by(vectors) {
                if S::REGISTER_COUNT >= 32 {
                    self.write_tile::<S, 4>(simd, row, first);
                } else {
                    self.write_tile::<S, 2>(simd, row, first);
                }
            }
        }
    }
}

impl Backward<'_> {
    /// Writes the output for [`ROWS`] rows from `row` and V vectors from `first`.
    #[inline(always)]
    fn write_tile<S: Simd, const V: usize>(&mut self, simd: S, row: usize, first: usize) {
        let acc = self.sum_tile::<S, V>(simd, row, first);
        for r in 0..ROWS {
            let weight = S::as_mut_simd_f32s(&mut self.weight[row + r].0).0;
            let step = self.steps[row + r];
            let learning_rate = simd.splat_f32s(step.learning_rate);
            let two_lambda = simd.splat_f32s(step.two_lambda);
            for v in 0..V {
                let w = weight[first + v];
                let dweight = simd.add_f32s(acc[r][v], simd.mul_f32s(two_lambda, w));
                weight[first + v] = match self.output {
                    WeightOutput::Updated => simd.sub_f32s(w, simd.mul_f32s(learning_rate, dweight)),
                    WeightOutput::Gradient => dweight,
                };
            }
        }
    }

    /// dlogitsᵀ · x for the same rows and vectors: the sum over blocks of [`SUM_BLOCK`] examples.
    #[inline(always)]
    fn sum_tile<S: Simd, const V: usize>(&self, simd: S, row: usize, first: usize) -> [[S::f32s; V]; ROWS] {
        let rows = self.steps.len();
        let mut total = [[simd.splat_f32s(0.0); V]; ROWS];
        let blocks = self.x.chunks(SUM_BLOCK);
        for (x, dlogits) in blocks.zip(self.dlogits.chunks(SUM_BLOCK * rows)) {
            let mut acc = [[simd.splat_f32s(0.0); V]; ROWS];
            for (e, x) in x.iter().enumerate() {
                let x = &S::as_simd_f32s(&x.0).0[first..first + V];
                let dlogits = &dlogits[e * rows + row..][..ROWS];
                for r in 0..ROWS {
                    let dlogit = simd.splat_f32s(dlogits[r]);
                    for v in 0..V {
                        acc[r][v] = simd.mul_add_f32s(x[v], dlogit, acc[r][v]);
                    }
                }
            }
            for r in 0..ROWS {
                for v in 0..V {
                    total[r][v] = simd.add_f32s(total[r][v], acc[r][v]);
                }
            }
        }
        total
    }
}
