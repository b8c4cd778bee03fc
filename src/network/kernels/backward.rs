//! From the gradient of the logits to that of the weights, and the update: [`Backward`].

use pulp::{Simd, WithSimd};

use super::{EXAMPLES, PANEL, Panel, ROWS};

/// What [`Backward`] leaves in the place of `weight`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// weight − η · dweight.
    Updated,
    /// dweight itself, for whoever asks.
    Gradient,
}

/// The factors of one class row: those of the member that it belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowRate {
    /// η.
    pub eta: f32,
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
    pub rates: &'a [RowRate],
    /// (rows): this panel of the weights.
    pub weight: &'a mut [Panel],
    /// What becomes of `weight`.
    pub leave: Leave,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 4>(simd);
        } else {
            self.run::<S, 2>(simd);
        }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let rows = self.rates.len();
        for row in (0..rows).step_by(ROWS) {
            for first in (0..PANEL / S::F32_LANES).step_by(V) {
                let acc = self.tile::<S, V>(simd, row, first);
                for r in 0..ROWS {
                    let weight = S::as_mut_simd_f32s(&mut self.weight[row + r].0).0;
                    let rate = self.rates[row + r];
                    let eta = simd.splat_f32s(rate.eta);
                    let two_lambda = simd.splat_f32s(rate.two_lambda);
                    for v in 0..V {
                        let w = weight[first + v];
                        let dweight = simd.add_f32s(acc[r][v], simd.mul_f32s(two_lambda, w));
                        weight[first + v] = match self.leave {
                            Leave::Updated => simd.sub_f32s(w, simd.mul_f32s(eta, dweight)),
                            Leave::Gradient => dweight,
                        };
                    }
                }
            }
        }
    }

    /// dlogitsᵀ · x for [`ROWS`] rows from `row` and V vectors from `first`: the sum of the blocks' sums.
    #[inline(always)]
    fn tile<S: Simd, const V: usize>(&self, simd: S, row: usize, first: usize) -> [[S::f32s; V]; ROWS] {
        let rows = self.rates.len();
        let mut total = [[simd.splat_f32s(0.0); V]; ROWS];
        let blocks = self.x.chunks(EXAMPLES);
        for (x, dlogits) in blocks.zip(self.dlogits.chunks(EXAMPLES * rows)) {
            let mut acc = [[simd.splat_f32s(0.0); V]; ROWS];
            for (x, dlogits) in x.iter().zip(dlogits.chunks_exact(rows)) {
                let x = &S::as_simd_f32s(&x.0).0[first..first + V];
                let dlogits = &dlogits[row..row + ROWS];
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
