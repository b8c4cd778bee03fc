//! From features to logits: [`Forward`] and [`Logits`].

use pulp::{Arch, Simd, WithSimd};

use super::{CHUNK, ChunkColumn, LANES, Lanes, ROWS, Tile};

/// Rows that a tile of sums holds at once.
const R: usize = ROWS / 2;

/// The products x · weightᵀ of one block of features, for up to [`CHUNK`] examples.
pub struct Forward<'a> {
    /// (groups of the block).
    pub x: &'a [ChunkColumn],
    /// Number of examples.
    pub examples: usize,
    /// (row tiles, groups of the block).
    pub weight: &'a [Tile],
    /// True to add to `sums`, false to overwrite them.
    pub accumulate: bool,
    /// (row tiles): the partial sums of each logit.
    pub sums: &'a mut [SumTile],
}

/// The [`LANES`] partial sums of the logit of each example of a chunk, for [`ROWS`] rows.
pub type SumTile = [[Lanes; CHUNK]; ROWS];

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for tile in 0..self.sums.len() {
            if S::REGISTER_COUNT >= 32 {
                self.add_rows::<S, 4>(simd, tile, 0);
                self.add_rows::<S, 4>(simd, tile, R);
            } else {
                self.add_rows::<S, 2>(simd, tile, 0);
                self.add_rows::<S, 2>(simd, tile, R);
            }
        }
    }
}

impl Forward<'_> {
    /// The sums of [`R`] rows from `row` of a row tile, for E examples at a time.
    #[inline(always)]
    fn add_rows<S: Simd, const E: usize>(&mut self, simd: S, tile: usize, row: usize) {
        for example in (0..self.examples).step_by(E) {
            self.add_tile::<S, E>(simd, tile, row, example);
        }
    }

    /// The sums of [`R`] rows from `row` of a row tile for E examples from `example`. They stay in registers while the
    /// weights stream by; a vector of fewer than [`LANES`] lanes takes several passes, which find the same cache lines
    /// in the first-level cache.
    #[inline(always)]
    fn add_tile<S: Simd, const E: usize>(&mut self, simd: S, tile: usize, row: usize, example: usize) {
        const { assert!(CHUNK.is_multiple_of(E)) };
        let groups = self.x.len();
        let weight = &self.weight[tile * groups..][..groups];
        // Always so; it tells the compiler that no index below is out of bounds.
        let example = example.min(CHUNK - E);
        let sums = &mut self.sums[tile];
        for pass in 0..LANES / S::F32_LANES {
            let mut acc = [[simd.splat_f32s(0.0); E]; R];
            if self.accumulate {
                for r in 0..R {
                    for e in 0..E {
                        acc[r][e] = S::as_simd_f32s(&sums[row + r][example + e].0).0[pass];
                    }
                }
            }
            for g in 0..groups {
                let mut x = [simd.splat_f32s(0.0); E];
                for e in 0..E {
                    x[e] = S::as_simd_f32s(&self.x[g][example + e].0).0[pass];
                }
                for r in 0..R {
                    let weight = S::as_simd_f32s(&weight[g][row + r].0).0[pass];
                    for e in 0..E {
                        acc[r][e] = simd.mul_add_f32s(x[e], weight, acc[r][e]);
                    }
                }
            }
            for r in 0..R {
                for e in 0..E {
                    S::as_mut_simd_f32s(&mut sums[row + r][example + e].0).0[pass] = acc[r][e];
                }
            }
        }
    }
}

/// The logits of a chunk from their partial sums and the bias.
pub struct Logits<'a> {
    /// (row tiles).
    pub sums: &'a [SumTile],
    /// (rows).
    pub bias: &'a [f32],
    /// (rows), overwritten: lane e is the logit of example e.
    pub logits: &'a mut [Lanes],
}

impl Logits<'_> {
    /// Runs the kernel, on AVX2 if there is AVX-512: the compiler finds the permutations of 8 lanes, but not those of 16.
    pub fn run(self, arch: Arch) {
        match arch {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Arch::V4(simd) => Arch::V3(*simd).dispatch(self),
            arch => arch.dispatch(self),
        }
    }
}

impl WithSimd for Logits<'_> {
    type Output = ();

    // Loops over arrays, which the compiler turns into vectors and permutations of them.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in 0..self.bias.len() {
            let sums = sum_lanes(&self.sums[row / ROWS][row % ROWS]);
            let mut logits = Lanes::ZERO;
            for e in 0..CHUNK {
                logits.0[e] = sums.0[e] + self.bias[row];
            }
            self.logits[row] = logits;
        }
    }
}

/// Lane i of the result is the sum of the lanes of `sums[i]`: the upper half is added to the lower half until one lane
/// is left. Two half-used vectors are merged into one at each step, so that every lane of an addition counts.
#[inline(always)]
fn sum_lanes(sums: &[Lanes; CHUNK]) -> Lanes {
    let mut eighth = [Lanes::ZERO; 8];
    for i in 0..8 {
        eighth[i] = add_halves::<8>(&sums[i], &sums[i + 8]);
    }
    let mut fourth = [Lanes::ZERO; 4];
    for i in 0..4 {
        fourth[i] = add_halves::<4>(&eighth[i], &eighth[i + 4]);
    }
    let half = [add_halves::<2>(&fourth[0], &fourth[2]), add_halves::<2>(&fourth[1], &fourth[3])];
    add_halves::<1>(&half[0], &half[1])
}

/// In each run of 2 N lanes: first the lower plus the upper N of a, then the lower plus the upper N of b.
#[inline(always)]
fn add_halves<const N: usize>(a: &Lanes, b: &Lanes) -> Lanes {
    let (mut lower, mut upper) = (Lanes::ZERO, Lanes::ZERO);
    for i in 0..LANES {
        if i & N == 0 {
            (lower.0[i], upper.0[i]) = (a.0[i], a.0[i + N]);
        } else {
            (lower.0[i], upper.0[i]) = (b.0[i - N], b.0[i]);
        }
    }
    for i in 0..LANES {
        lower.0[i] += upper.0[i];
    }
    lower
}
