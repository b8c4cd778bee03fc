//! From the gradient of the logits to that of the weights: [`Backward`], and the [`Update`].

use pulp::{Simd, WithSimd};

use super::{GROUPS, LANES, ROWS, SUM_BLOCK, SumColumn, Tile};

/// The products dlogitsᵀ · x for [`GROUPS`] groups of features of n examples, at most [`SUM_BLOCK`].
pub struct Backward<'a> {
    /// ([`GROUPS`]).
    pub x: &'a [SumColumn],
    /// (n, row tiles).
    pub dlogits: &'a [[f32; ROWS]],
    /// Number of row tiles.
    pub tiles: usize,
    /// The place of the groups in their block.
    pub first: usize,
    /// True to add to `dweight`, false to overwrite it.
    pub accumulate: bool,
    /// (row tiles, groups of the block).
    pub dweight: &'a mut [Tile],
}

/// Vectors of features that a tile of sums holds at once.
const V: usize = 2;

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        const HALF: usize = ROWS / 2;
        for vector in (0..GROUPS * LANES / S::F32_LANES).step_by(V) {
            for tile in 0..self.tiles {
                if S::REGISTER_COUNT >= 32 {
                    self.add_tile::<S, ROWS>(simd, vector, tile, 0);
                } else {
                    self.add_tile::<S, HALF>(simd, vector, tile, 0);
                    self.add_tile::<S, HALF>(simd, vector, tile, HALF);
                }
            }
        }
    }
}

impl Backward<'_> {
    /// The sums of R rows from `row` of a row tile for [`V`] vectors of features from `vector`. They stay in registers
    /// while the examples stream by.
    #[inline(always)]
    fn add_tile<S: Simd, const R: usize>(&mut self, simd: S, vector: usize, tile: usize, row: usize) {
        const { assert!((GROUPS * LANES / S::F32_LANES).is_multiple_of(V)) };
        let vectors = LANES / S::F32_LANES;
        let groups = [vector / vectors, (vector + 1) / vectors];
        let parts = [vector % vectors, (vector + 1) % vectors];
        let x = [&self.x[groups[0]], &self.x[groups[1]]];
        let mut acc = [[simd.splat_f32s(0.0); V]; R];
        for e in 0..(self.dlogits.len() / self.tiles).min(SUM_BLOCK) {
            let dlogits = &self.dlogits[e * self.tiles + tile];
            let x = [S::as_simd_f32s(&x[0][e].0).0[parts[0]], S::as_simd_f32s(&x[1][e].0).0[parts[1]]];
            for r in 0..R {
                let dlogit = simd.splat_f32s(dlogits[row + r]);
                for v in 0..V {
                    acc[r][v] = simd.mul_add_f32s(x[v], dlogit, acc[r][v]);
                }
            }
        }
        let place = tile * (self.dweight.len() / self.tiles) + self.first;
        for v in 0..V {
            let dweight = &mut self.dweight[place + groups[v]];
            for r in 0..R {
                let dweight = &mut S::as_mut_simd_f32s(&mut dweight[row + r].0).0[parts[v]];
                let sum = if self.accumulate { *dweight } else { simd.splat_f32s(0.0) };
                *dweight = simd.add_f32s(sum, acc[r][v]);
            }
        }
    }
}

/// The step of one class row: that of the member it belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowStep {
    /// η.
    pub learning_rate: f32,
    /// 2 λ.
    pub two_lambda: f32,
}

/// The result that [`Update`] writes in place of `weight`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOutput {
    /// weight − η · (dweight + 2 λ · weight).
    Updated,
    /// dweight + 2 λ · weight.
    Gradient,
}

/// The penalty and the update of one block of the weights.
pub struct Update<'a> {
    /// (row tiles, groups of the block): the products of [`Backward`].
    pub dweight: &'a [Tile],
    /// (row tiles).
    pub steps: &'a [[RowStep; ROWS]],
    /// (row tiles, groups of the block), overwritten by `output`.
    pub weight: &'a mut [Tile],
    /// The result to write.
    pub output: WeightOutput,
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let groups = self.weight.len() / self.steps.len();
        for (i, weight) in self.weight.iter_mut().enumerate() {
            let steps = &self.steps[i / groups];
            for r in 0..ROWS {
                let (dweight, _) = S::as_simd_f32s(&self.dweight[i][r].0);
                let (weight, _) = S::as_mut_simd_f32s(&mut weight[r].0);
                let learning_rate = simd.splat_f32s(steps[r].learning_rate);
                let two_lambda = simd.splat_f32s(steps[r].two_lambda);
                for v in 0..LANES / S::F32_LANES {
                    let dweight = simd.add_f32s(dweight[v], simd.mul_f32s(two_lambda, weight[v]));
                    weight[v] = match self.output {
                        WeightOutput::Updated => simd.sub_f32s(weight[v], simd.mul_f32s(learning_rate, dweight)),
                        WeightOutput::Gradient => dweight,
                    };
                }
            }
        }
    }
}
