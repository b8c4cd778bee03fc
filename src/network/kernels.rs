//! The arithmetic of training, for the vector units of the processor.
//!
//! n examples, d features, and the class rows of all members of a group, one below the other. The kernels are written
//! once, over [`pulp`]'s vectors, and compiled for each instruction set; [`Arch`](pulp::Arch) chooses at run time.
//!
//! **Layout.** Features are cut into *panels* of [`PANEL`] and padded with zeros. `x` is (n, stride) panels, `weight` is
//! (panels, rows) panels: within one panel the rows follow each other, so that threads can each own some panels. Rows
//! are padded to a multiple of [`ROWS`]. Because all shapes are padded, there is no loop for leftovers.
//!
//! **Tiles.** A multiply-add needs two operands, and a processor can load about as many vectors as it can multiply. So
//! a tile keeps its sums in registers and uses each vector that it loads several times: [`Forward`] E examples × 5 rows
//! (E + 5 loads for 5 E multiply-adds), [`Backward`] 5 rows × V vectors (V + 5 loads for 5 V). With 16 registers
//! E = V = 2, with 32 registers E = V = 4.
//!
//! **One result.** Each output is summed in one order, whatever the tile, the group, the number of threads and the
//! instruction set: a logit as [`LANES`] sums, each over the features f ≡ lane (mod 16), added pairwise at the end; a
//! gradient in the order of the examples. A vector of 4 or 8 takes the 16 lanes in several passes.

use pulp::{Simd, WithSimd};

/// The features of a panel: four AVX-512 vectors, eight AVX2 vectors.
pub const PANEL: usize = 64;
/// The partial sums of a logit, and the examples that [`softmax`] takes at once: the widest vector there is.
pub const LANES: usize = 16;
/// The class rows of a tile, which divides the ten classes of CIFAR-10.
pub const ROWS: usize = 5;
/// The most examples that [`Forward`] takes at once.
pub const CHUNK: usize = LANES;
/// The panels that [`Forward`] takes before it goes on to the next rows: five rows of 8 panels are 10 KiB, which stay in
/// the first-level cache for all examples.
const BLOCK: usize = 8;

/// [`PANEL`] features of one example or one class row, on a cache line of its own.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Panel(pub [f32; PANEL]);

/// [`LANES`] numbers: the partial sums of one logit, or one quantity of so many examples.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Lanes(pub [f32; LANES]);

/// Zero in every lane.
pub const ZERO: Lanes = Lanes([0.0; LANES]);
/// Zero in every feature.
pub const ZERO_PANEL: Panel = Panel([0.0; PANEL]);

/// x = pixel · scale + offset, rounded once, for the pixels of one example.
pub struct Normalise<'a> {
    /// (d).
    pub pixels: &'a [u8],
    /// (d).
    pub scale: &'a [f32],
    /// (d).
    pub offset: &'a [f32],
    /// (panels); the padding is left as it is.
    pub x: &'a mut [Panel],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    // Plain loops suffice here and in `Softmax`: compiled for the vector unit, they become vectors by themselves.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (pixels, last_pixels) = self.pixels.as_chunks::<PANEL>();
        let (scale, last_scale) = self.scale.as_chunks::<PANEL>();
        let (offset, last_offset) = self.offset.as_chunks::<PANEL>();
        let (full, last) = self.x.split_at_mut(pixels.len());
        for (((x, pixels), scale), offset) in full.iter_mut().zip(pixels).zip(scale).zip(offset) {
            let mut panel = ZERO_PANEL;
            for f in 0..PANEL {
                panel.0[f] = f32::from(pixels[f]).mul_add(scale[f], offset[f]);
            }
            *x = panel;
        }
        for (f, &pixel) in last_pixels.iter().enumerate() {
            last[0].0[f] = f32::from(pixel).mul_add(last_scale[f], last_offset[f]);
        }
    }
}

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
    /// (rows, [`CHUNK`]), overwritten: the partial sums.
    pub sums: &'a mut [Lanes],
    /// (rows), overwritten: lane e is the logit of example e.
    pub logits: &'a mut [Lanes],
}

impl WithSimd for Forward<'_> {
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

impl Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const E: usize>(self, simd: S) {
        let rows = self.bias.len();
        self.sums.fill(ZERO);
        for (block, weight) in self.weight.chunks(BLOCK * rows).enumerate() {
            for row in (0..rows).step_by(ROWS) {
                for (tile, x) in self.x.chunks_exact(E * self.stride).enumerate() {
                    let sums = &mut self.sums[row * CHUNK + tile * E..];
                    let x = &x[block * BLOCK..];
                    forward_tile::<S, E>(simd, x, self.stride, &weight[row..], rows, sums);
                }
            }
        }
        let examples = self.x.len() / self.stride;
        for row in 0..rows {
            for e in 0..examples {
                let sum = sum_lanes(simd, &self.sums[row * CHUNK + e]);
                self.logits[row].0[e] = sum + self.bias[row];
            }
        }
    }
}

/// Adds x · weightᵀ over one block of panels to the partial sums of E examples × [`ROWS`] rows.
#[inline(always)]
fn forward_tile<S: Simd, const E: usize>(
    simd: S,
    x: &[Panel],
    stride: usize,
    weight: &[Panel],
    rows: usize,
    sums: &mut [Lanes],
) {
    let passes = LANES / S::F32_LANES;
    for pass in 0..passes {
        let mut acc = [[simd.splat_f32s(0.0); ROWS]; E];
        for e in 0..E {
            for r in 0..ROWS {
                acc[e][r] = S::as_simd_f32s(&sums[r * CHUNK + e].0).0[pass];
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

/// The upper half of the lanes added to the lower, and again, until one is left.
#[inline(always)]
fn sum_lanes<S: Simd>(simd: S, sums: &Lanes) -> f32 {
    let mut vectors = [simd.splat_f32s(0.0); LANES];
    let mut half = LANES / S::F32_LANES;
    vectors[..half].copy_from_slice(S::as_simd_f32s(&sums.0).0);
    while half > 1 {
        half /= 2;
        for v in 0..half {
            vectors[v] = simd.add_f32s(vectors[v], vectors[v + half]);
        }
    }
    let mut sum = vectors[0];
    let mut half = S::F32_LANES / 2;
    while half > 0 {
        sum = simd.add_f32s(sum, simd.rotate_right_f32s(sum, half));
        half /= 2;
    }
    let mut lanes = ZERO;
    S::as_mut_simd_f32s(&mut lanes.0).0[0] = sum;
    lanes.0[0]
}

/// The loss and the softmax of [`LANES`] examples at once, lane e being example e.
pub struct Softmax<'a> {
    /// (k): logits, which become probabilities.
    pub logits: &'a mut [Lanes],
    /// The class of each example.
    pub labels: &'a [u8; LANES],
    /// Overwritten: logsumexp(logits) − logits\[label\] in nats; not finite when a logit is not.
    pub losses: &'a mut Lanes,
    /// Overwritten: the class of the largest logit, the first of equals.
    pub predictions: &'a mut [u32; LANES],
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut max = self.logits[0].0;
        let mut largest = [0; LANES];
        for (class, row) in self.logits.iter().enumerate().skip(1) {
            for e in 0..LANES {
                let larger = row.0[e] > max[e];
                max[e] = if larger { row.0[e] } else { max[e] };
                largest[e] = if larger { class as u32 } else { largest[e] };
            }
        }
        *self.predictions = largest;
        for (e, &label) in self.labels.iter().enumerate() {
            self.losses.0[e] = max[e] - self.logits[usize::from(label)].0[e];
        }
        let mut sum = [0.0; LANES];
        for row in self.logits.iter_mut() {
            for e in 0..LANES {
                row.0[e] = exp(row.0[e] - max[e]);
                sum[e] += row.0[e];
            }
        }
        for e in 0..LANES {
            self.losses.0[e] += ln(sum[e]);
        }
        for row in self.logits.iter_mut() {
            for e in 0..LANES {
                row.0[e] /= sum[e];
            }
        }
    }
}

/// e^x for x ≤ 0, within 2 units in the last place; 0 where that is below the smallest normal number.
///
/// x = j ln 2 + r with |r| ≤ ln 2 / 2, so e^x = 2^j e^r; the Taylor series of e^r to r⁷ leaves 5e-9.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Added to a small number, it leaves the nearest integer in the low bits.
    const ROUND: f32 = 1.5 * (1 << 23) as f32;
    const LN_2: f32 = std::f32::consts::LN_2;
    const LN_2_REST: f32 = (std::f64::consts::LN_2 - LN_2 as f64) as f32;
    const LN_SMALLEST: f32 = -126.0 * LN_2;

    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let j = rounded - ROUND;
    let r = j.mul_add(-LN_2_REST, j.mul_add(-LN_2, x));
    let mut series: f32 = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        series = series.mul_add(r, coefficient);
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1_f32.to_bits()));
    // Not `x >= …`, which would turn NaN into 0.
    if x < LN_SMALLEST { 0.0 } else { series * power }
}

/// ln v for v ≥ 1, within 2 units in the last place; NaN and infinity stay.
///
/// v = 2^j m with √½ ≤ m < √2, and ln m = 2 artanh(s) with s = (m − 1) / (m + 1); its series to s⁹ leaves 2e-9.
#[inline(always)]
pub fn ln(v: f32) -> f32 {
    const SQRT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    const MANTISSA: u32 = (1 << 23) - 1;

    let bits = v.to_bits().wrapping_sub(SQRT_HALF);
    let j = (bits.cast_signed() >> 23) as f32;
    let m = f32::from_bits((bits & MANTISSA) + SQRT_HALF);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut series: f32 = 1.0 / 9.0;
    for coefficient in [1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        series = series.mul_add(z, coefficient);
    }
    let ln = j.mul_add(std::f32::consts::LN_2, 2.0 * s * series);
    if v < f32::INFINITY { ln } else { v }
}

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
    /// (n, stride).
    pub x: &'a [Panel],
    /// Panels from one example to the next.
    pub stride: usize,
    /// Which panel of `x`.
    pub panel: usize,
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

    /// dlogitsᵀ · x for [`ROWS`] rows from `row` and V vectors from `first`.
    #[inline(always)]
    fn tile<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        first: usize,
    ) -> [[S::f32s; V]; ROWS] {
        let mut acc = [[simd.splat_f32s(0.0); V]; ROWS];
        let dlogits = self.dlogits.chunks_exact(self.rates.len());
        for (x, dlogits) in self.x.chunks_exact(self.stride).zip(dlogits) {
            let x = &S::as_simd_f32s(&x[self.panel].0).0[first..first + V];
            let dlogits = &dlogits[row..row + ROWS];
            for r in 0..ROWS {
                let dlogit = simd.splat_f32s(dlogits[r]);
                for v in 0..V {
                    acc[r][v] = simd.mul_add_f32s(x[v], dlogit, acc[r][v]);
                }
            }
        }
        acc
    }
}

/// A loop of multiply-adds on registers only: the rate that no kernel can exceed, in GFLOP/s, on all threads of the
/// current pool.
pub fn fma_rate() -> f64 {
    const ACCUMULATORS: usize = 12;
    const ROUNDS: usize = 100_000;
    struct Loop;
    impl WithSimd for Loop {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> usize {
            let factor = simd.splat_f32s(std::hint::black_box(0.999));
            let mut acc = [simd.splat_f32s(1.0); ACCUMULATORS];
            for _ in 0..ROUNDS {
                for acc in &mut acc {
                    *acc = simd.mul_add_f32s(*acc, factor, factor);
                }
            }
            std::hint::black_box(acc);
            2 * ACCUMULATORS * ROUNDS * S::F32_LANES
        }
    }
    let start = std::time::Instant::now();
    let flops = rayon::broadcast(|_| pulp::Arch::new().dispatch(Loop));
    flops.iter().sum::<usize>() as f64 / start.elapsed().as_secs_f64() / 1e9
}
