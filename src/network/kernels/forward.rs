//! From features to logits: [`Forward`].

use pulp::{Simd, WithSimd};

use super::{CHUNK, LANES, Lanes, PANEL, Panel, ROW_MULTIPLE, ROWS};

/// `logits` of up to [`CHUNK`] examples: x · weightᵀ + bias.
pub struct Forward<'a> {
    /// (examples, stride), examples a multiple of 4.
    pub x: &'a [Panel],
    /// Panels from one example to the next.
    pub stride: usize,
    /// (panels, rows).
    pub weight: &'a [Panel],
    /// (rows).
    pub bias: &'a [f32],
    /// (rows, [`CHUNK`]), overwritten: the partial sums of each logit.
    pub sums: &'a mut [Lanes],
    /// (rows), overwritten: lane e is the logit of example e.
    pub logits: &'a mut [Lanes],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.bias.len();
        let panels = self.weight.len() / rows;
        // A vector of 16 lanes takes all panels in one pass. A shorter one reads each cache line once per pass, and
        // should find it in the first-level cache from the second on: five rows of 4 panels are 5 KiB.
        let block = if S::F32_LANES == LANES { panels } else { panels.min(4) };
        let examples = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        for first in (0..panels).step_by(block) {
            let weight = &self.weight[first * rows..panels.min(first + block) * rows];
            for row in (0..rows).step_by(ROWS) {
                for (tile, x) in self.x.chunks_exact(examples * self.stride).enumerate() {
                    let sums = &mut self.sums[row * CHUNK + tile * examples..];
                    let (x, weight) = (&x[first..], &weight[row..]);
                    if S::REGISTER_COUNT >= 32 {
                        forward_tile::<S, 4>(simd, x, self.stride, weight, rows, sums, first > 0);
                    } else {
                        forward_tile::<S, 2>(simd, x, self.stride, weight, rows, sums, first > 0);
                    }
                }
            }
        }
        const { assert!((ROW_MULTIPLE * CHUNK).is_multiple_of(LANES)) };
        let mut rows = self.logits.iter_mut().zip(self.bias);
        for sums in self.sums.as_chunks().0 {
            let sums = sum_lanes(simd, sums);
            for (sums, (logits, bias)) in sums.0.as_chunks::<CHUNK>().0.iter().zip(&mut rows) {
                for e in 0..CHUNK {
                    logits.0[e] = sums[e] + bias;
                }
            }
        }
    }
}

/// The partial sums of E examples × [`ROWS`] rows, x · weightᵀ, over one block of panels; `accumulate` adds them to
/// `sums`.
#[inline(always)]
fn forward_tile<S: Simd, const E: usize>(
    simd: S,
    x: &[Panel],
    stride: usize,
    weight: &[Panel],
    rows: usize,
    sums: &mut [Lanes],
    accumulate: bool,
) {
    let passes = LANES / S::F32_LANES;
    for pass in 0..passes {
        let mut acc = [[simd.splat_f32s(0.0); ROWS]; E];
        if accumulate {
            for e in 0..E {
                for r in 0..ROWS {
                    acc[e][r] = S::as_simd_f32s(&sums[r * CHUNK + e].0).0[pass];
                }
            }
        }
        for (p, weight) in weight.chunks(rows).enumerate() {
            let weight = &weight[..ROWS];
            let mut v = pass;
            while v < PANEL / S::F32_LANES {
                let mut w = [simd.splat_f32s(0.0); ROWS];
                for r in 0..ROWS {
                    w[r] = S::as_simd_f32s(&weight[r].0).0[v];
                }
                for e in 0..E {
                    let x = S::as_simd_f32s(&x[e * stride + p].0).0[v];
                    for r in 0..ROWS {
                        acc[e][r] = simd.mul_add_f32s(x, w[r], acc[e][r]);
                    }
                }
                v += passes;
            }
        }
        for e in 0..E {
            for r in 0..ROWS {
                S::as_mut_simd_f32s(&mut sums[r * CHUNK + e].0).0[pass] = acc[e][r];
            }
        }
    }
}

/// Lane i of the result is the sum of the lanes of `sums[i]`: the upper half is added to the lower half until one lane
/// is left. Two half-used vectors are merged into one at each step, so that every lane of an addition counts.
#[inline(always)]
fn sum_lanes<S: Simd>(simd: S, sums: &[Lanes; LANES]) -> Lanes {
    let mut result = Lanes::ZERO;
    let (results, _) = S::as_mut_simd_f32s(&mut result.0);
    for v in 0..LANES / S::F32_LANES {
        let mut vectors = [simd.splat_f32s(0.0); LANES];
        for i in 0..S::F32_LANES {
            vectors[i] = sum_vectors(simd, &sums[v * S::F32_LANES + i]);
        }
        let mut half = S::F32_LANES / 2;
        while half > 0 {
            for i in 0..half {
                vectors[i] = add_halves(simd, half, vectors[i], vectors[i + half]);
            }
            half /= 2;
        }
        results[v] = vectors[0];
    }
    result
}

/// Adds the upper half of the vectors to the lower half until one vector is left.
#[inline(always)]
fn sum_vectors<S: Simd>(simd: S, sums: &Lanes) -> S::f32s {
    let mut vectors = [simd.splat_f32s(0.0); LANES];
    let mut half = LANES / S::F32_LANES;
    #[expect(clippy::manual_memcpy, reason = "copying a slice is a call")]
    for v in 0..half {
        vectors[v] = S::as_simd_f32s(&sums.0).0[v];
    }
    while half > 1 {
        half /= 2;
        for v in 0..half {
            vectors[v] = simd.add_f32s(vectors[v], vectors[v + half]);
        }
    }
    vectors[0]
}

/// In each run of 2 · `half` lanes: first the lower plus the upper half of a, then the lower plus the upper half of b.
#[inline(always)]
fn add_halves<S: Simd>(simd: S, half: usize, a: S::f32s, b: S::f32s) -> S::f32s {
    const INDEX: [u32; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let index = S::as_simd_u32s(&INDEX).0[0];
    let bit = simd.and_u32s(index, simd.splat_u32s(half as u32));
    let is_lower = simd.equal_u32s(bit, simd.splat_u32s(0));
    simd.add_f32s(
        simd.select_f32s(is_lower, a, simd.rotate_right_f32s(b, half)),
        simd.select_f32s(is_lower, simd.rotate_left_f32s(a, half), b),
    )
}
