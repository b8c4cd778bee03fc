//! The arithmetic of training, for the vector units of the processor.
//!
//! n examples, d features, and the class rows of all members of a group, one below the other. The kernels are written
//! once, over [`pulp`]'s vectors, and compiled for each instruction set; [`Arch`](pulp::Arch) chooses at run time.
//!
//! **Layout.** Features are cut into *panels* of [`PANEL`] and padded with zeros. `x` is (n, stride) panels, `weight` is
//! (panels, rows) panels: within one panel the rows follow each other, so that threads can each own some panels. Rows
//! are padded to a multiple of [`ROW_MULTIPLE`]. Because all shapes are padded, there is no loop for leftovers. [`Forward`]
//! takes all panels of a few examples, [`Backward`] one panel of all examples: [`Normalise`] makes either from the pixels.
//!
//! **Tiles.** A multiply-add needs two operands, and a processor can load about as many vectors as it can multiply. So
//! a tile keeps its sums in registers and uses each vector that it loads several times: [`Forward`] E examples × 5 rows
//! (E + 5 loads for 5 E multiply-adds), [`Backward`] 5 rows × V vectors (V + 5 loads for 5 V). With 16 registers
//! E = V = 2, with 32 registers E = V = 4.
//!
//! **One result.** Each output is summed in one order, whatever the tile, the group, the number of threads and the
//! instruction set: a logit as [`LANES`] sums, each over the features f ≡ lane (mod 16), added pairwise at the end; a
//! gradient in the order of the examples, [`EXAMPLES`] at a time. A vector of 4 or 8 takes the 16 lanes in several passes.

#![expect(clippy::needless_range_loop, reason = "several arrays share an index, which is a lane, a row or an example")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::dataset::cifar10::SIDE;

/// The features of a panel: four AVX-512 vectors, eight AVX2 vectors.
pub const PANEL: usize = 64;
/// The partial sums of a logit, and the examples that [`Softmax`] takes at once: the widest vector there is.
pub const LANES: usize = 16;
/// The class rows of a tile, which divides the ten classes of CIFAR-10.
pub const ROWS: usize = 5;
/// What the number of class rows is padded to a multiple of: whole tiles, and whole vectors of sums in [`Forward`].
pub const ROW_MULTIPLE: usize = 2 * ROWS;
/// The most examples that [`Forward`] takes at once: with their 96 KiB of x, two threads leave half of a second-level
/// cache of 1 MiB to the weights.
pub const CHUNK: usize = 8;

/// The examples over which [`Backward`] sums before it adds to the total, so that the rounding error of a large batch stays
/// near that of a small one.
pub const EXAMPLES: usize = 128;

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

/// The pixels of an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct Image<'a> {
    /// (d).
    pub pixels: &'a [u8],
    /// Whether it is mirrored left to right. d is then a multiple of [`SIDE`], the pixels of an image's row.
    pub flip: bool,
}

/// x = pixel · scale + offset, rounded once, for some panels of some images.
///
/// Panel by panel, all images: `scale` and `offset` are read once, and each image is a stream of its own, which the
/// processor fetches ahead while it works on the others.
pub struct Normalise<'a> {
    /// (examples).
    pub images: &'a [Image<'a>],
    /// (d).
    pub scale: &'a [f32],
    /// (d).
    pub offset: &'a [f32],
    /// Which panels.
    pub panels: Range<usize>,
    /// (examples, stride), overwritten as far as `panels` go.
    pub x: &'a mut [Panel],
    /// Panels from one example to the next.
    pub stride: usize,
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    // A plain loop suffices here and for `exp` and `ln`: compiled for the vector unit, it becomes vectors by itself.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (full_scale, rest_of_scale) = self.scale.as_chunks::<PANEL>();
        let (full_offset, rest_of_offset) = self.offset.as_chunks::<PANEL>();
        for (i, p) in self.panels.enumerate() {
            let x = self.x[i..].chunks_mut(self.stride);
            let examples = self.images.iter().zip(x);
            if let (Some(&scale), Some(&offset)) = (full_scale.get(p), full_offset.get(p)) {
                // Copies stay in registers; a reference is read again for each image.
                for (image, x) in examples {
                    x[0] = full_panel(image, p, scale, offset);
                }
            } else {
                for (image, x) in examples {
                    x[0] = last_panel(image, p, rest_of_scale, rest_of_offset);
                }
            }
        }
    }
}

#[inline(always)]
fn full_panel(image: &Image, p: usize, scale: [f32; PANEL], offset: [f32; PANEL]) -> Panel {
    let mut pixels = &image.pixels.as_chunks::<PANEL>().0[p];
    let mirrored;
    if image.flip {
        mirrored = mirror(pixels);
        pixels = &mirrored.0;
    }
    let mut x = ZERO_PANEL;
    for f in 0..PANEL {
        x.0[f] = f32::from(pixels[f]).mul_add(scale[f], offset[f]);
    }
    x
}

/// The panel in which the row ends.
fn last_panel(image: &Image, p: usize, scale: &[f32], offset: &[f32]) -> Panel {
    let pixels = &image.pixels[p * PANEL..];
    let mut x = ZERO_PANEL;
    for f in 0..pixels.len() {
        let pixel = pixels[if image.flip { mirrored(f) } else { f }];
        x.0[f] = f32::from(pixel).mul_add(scale[f], offset[f]);
    }
    x
}

/// Where pixel `f` of a panel is in the mirror image: its place in its row counted from the other end.
#[inline(always)]
const fn mirrored(f: usize) -> usize {
    const { assert!(SIDE.is_power_of_two() && PANEL.is_multiple_of(SIDE)) };
    f ^ (SIDE - 1)
}

/// A panel of pixels, aligned so that it can be read again right after it was written.
#[repr(align(64))]
struct Pixels([u8; PANEL]);

#[inline(always)]
fn mirror(pixels: &[u8; PANEL]) -> Pixels {
    let mut image = Pixels([0; PANEL]);
    for f in 0..PANEL {
        image.0[f] = pixels[mirrored(f)];
    }
    image
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
    /// (rows, [`CHUNK`]), overwritten: the partial sums of each logit.
    pub sums: &'a mut [Lanes],
    /// (rows), overwritten: lane e is the logit of example e.
    pub logits: &'a mut [Lanes],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A vector of 16 lanes takes all panels in one pass. A shorter one reads each cache line once a pass, and must
        // find it in the first-level cache from the second on: five rows of 4 panels are 5 KiB.
        let block = if S::F32_LANES == LANES { usize::MAX } else { 4 };
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 4>(simd, block);
        } else {
            self.run::<S, 2>(simd, block);
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const E: usize>(self, simd: S, block: usize) {
        let rows = self.bias.len();
        let panels = self.weight.len() / rows;
        for first in (0..panels).step_by(block.min(panels)) {
            let weight = &self.weight[first * rows..panels.min(first.saturating_add(block)) * rows];
            for row in (0..rows).step_by(ROWS) {
                for (tile, x) in self.x.chunks_exact(E * self.stride).enumerate() {
                    let sums = &mut self.sums[row * CHUNK + tile * E..];
                    let (x, weight) = (&x[first..], &weight[row..]);
                    forward_tile::<S, E>(simd, x, self.stride, weight, rows, sums, first > 0);
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

/// The partial sums of E examples × [`ROWS`] rows, x · weightᵀ, over one block of panels; added to `sums` if it `goes_on`.
#[inline(always)]
fn forward_tile<S: Simd, const E: usize>(
    simd: S,
    x: &[Panel],
    stride: usize,
    weight: &[Panel],
    rows: usize,
    sums: &mut [Lanes],
    goes_on: bool,
) {
    let passes = LANES / S::F32_LANES;
    for pass in 0..passes {
        let mut acc = [[simd.splat_f32s(0.0); ROWS]; E];
        if goes_on {
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

/// Lane i of the result is the sum of the lanes of `sums[i]`: the upper half of them added to the lower, and again, until
/// one is left. Of two vectors whose lanes count only by halves one is made, so that no lane adds in vain.
#[inline(always)]
fn sum_lanes<S: Simd>(simd: S, sums: &[Lanes; LANES]) -> Lanes {
    let mut result = ZERO;
    let (results, _) = S::as_mut_simd_f32s(&mut result.0);
    for (result, sums) in results.iter_mut().zip(sums.chunks_exact(S::F32_LANES)) {
        let mut vectors = [simd.splat_f32s(0.0); LANES];
        for (vector, sums) in vectors.iter_mut().zip(sums) {
            *vector = sum_vectors(simd, sums);
        }
        let mut half = S::F32_LANES / 2;
        while half > 0 {
            for v in 0..half {
                vectors[v] = add_halves(simd, half, vectors[v], vectors[v + half]);
            }
            half /= 2;
        }
        *result = vectors[0];
    }
    result
}

/// The upper half of the vectors added to the lower, and again, until one is left.
#[inline(always)]
fn sum_vectors<S: Simd>(simd: S, sums: &Lanes) -> S::f32s {
    let mut vectors = [simd.splat_f32s(0.0); LANES];
    let mut half = LANES / S::F32_LANES;
    vectors[..half].copy_from_slice(S::as_simd_f32s(&sums.0).0);
    while half > 1 {
        half /= 2;
        for v in 0..half {
            vectors[v] = simd.add_f32s(vectors[v], vectors[v + half]);
        }
    }
    vectors[0]
}

/// In each run of 2 · `half` lanes: the upper half of a's added to the lower, then the same of b's.
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
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = LANES / S::F32_LANES;
        let max = largest(simd, self.logits, self.predictions).0;
        let mut below_max = [0.0; LANES];
        for (e, &label) in self.labels.iter().enumerate() {
            below_max[e] = max[e] - self.logits[usize::from(label)].0[e];
        }
        let mut sum = [0.0; LANES];
        for row in self.logits.iter_mut() {
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
            for v in 0..vectors {
                row[v] = simd.div_f32s(row[v], sum[v]);
            }
        }
    }
}

/// The largest logit of each example, and in `predictions` its class, the first of equals.
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

/// The loss and the sigmoids of [`LANES`] examples at once, lane e being example e.
pub struct Sigmoid<'a> {
    /// (k): logits, which become probabilities.
    pub logits: &'a mut [Lanes],
    /// The class of each example.
    pub labels: &'a [u8; LANES],
    /// Overwritten: the mean over the classes of the binary cross-entropy, in nats; not finite when a logit is not.
    pub losses: &'a mut Lanes,
    /// Overwritten: the class of the largest logit, the first of equals.
    pub predictions: &'a mut [u32; LANES],
}

impl WithSimd for Sigmoid<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        largest(simd, self.logits, self.predictions);
        let classes = self.logits.len() as f32;
        let mut sum = [0.0; LANES];
        for (class, row) in self.logits.iter_mut().enumerate() {
            for e in 0..LANES {
                let z = row.0[e];
                let onehot = f32::from(u8::from(usize::from(self.labels[e]) == class));
                let exp = exp(-z.abs());
                // A product, not a choice: 0 · ∞ is NaN, which shows.
                sum[e] += z.max(0.0) - z * onehot + ln_1p(exp);
                row.0[e] = if z >= 0.0 { 1.0 } else { exp } / (1.0 + exp);
            }
        }
        for e in 0..LANES {
            self.losses.0[e] = sum[e] / classes;
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
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series.mul_add(r, coefficient);
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1_f32.to_bits()));
    // Not `x >= …`, which would turn NaN into 0.
    if x < LN_SMALLEST { 0.0 } else { series * power }
}

/// ln v for v ≥ 1, within 3 units in the last place; NaN and infinity stay.
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

/// ln (1 + v) for 0 ≤ v ≤ 1, within 3 units in the last place; NaN stays.
///
/// ln (1 + v) = 2 artanh(s) with s = v / (2 + v) ≤ ⅓; its series to s¹⁵ leaves 1e-9.
#[inline(always)]
pub fn ln_1p(v: f32) -> f32 {
    let s = v / (2.0 + v);
    let z = s * s;
    let mut series: f32 = 1.0 / 15.0;
    for coefficient in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        series = series.mul_add(z, coefficient);
    }
    2.0 * s * series
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

#[cfg(test)]
mod tests {
    use super::*;

    /// |found − expected| in units of the last place of `expected`.
    fn ulps(found: f32, expected: f64) -> f64 {
        let next = f32::from_bits((expected as f32).abs().to_bits() + 1);
        let ulp = f64::from(next) - f64::from((expected as f32).abs());
        (f64::from(found) - expected).abs() / ulp
    }

    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place() {
        let normal = (0..4_000_000).map(|i| -87.33 * i as f32 / 4e6);
        let worst = normal.map(|x| ulps(exp(x), f64::from(x).exp())).fold(0.0, f64::max);
        assert!(worst <= 2.0, "{worst}");
        assert!(ulps(exp(-1.0) * (1.0 + 3e-7), (-1_f64).exp()) > 2.0);
    }

    #[test]
    fn the_exponential_underflows_to_zero_and_keeps_nan() {
        assert_eq!(exp(0.0), 1.0);
        for x in [-87.34, -88.0, -104.0, -1e4, -3e38, f32::NEG_INFINITY] {
            assert_eq!(exp(x), 0.0, "{x}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_logarithm_is_within_three_units_in_the_last_place() {
        let values = (0..2_000_000).map(|i| 1.0 + (i as f32 / 2e6).powi(3) * 1000.0);
        let worst = values.map(|v| ulps(ln(v), f64::from(v).ln())).fold(0.0, f64::max);
        assert!(worst <= 3.0, "{worst}");
        assert!(ulps(ln(2.0) * (1.0 + 4e-7), 2_f64.ln()) > 3.0);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(f32::INFINITY), f32::INFINITY);
        assert!(ln(f32::NAN).is_nan());
    }
    #[test]
    fn the_logarithm_of_one_more_is_within_three_units_in_the_last_place() {
        let values = (1..=2_000_000).map(|i| (i as f32 / 2e6).powi(5));
        let worst = values.map(|v| ulps(ln_1p(v), f64::from(v).ln_1p())).fold(0.0, f64::max);
        assert!(worst <= 3.0, "{worst}");
        assert!(ulps(ln_1p(1.0) * (1.0 + 4e-7), 2_f64.ln()) > 3.0);
        assert_eq!(ln_1p(0.0), 0.0);
        assert!(ln_1p(f32::NAN).is_nan());
    }

    #[test]
    fn the_mirror_image_of_a_panel_has_each_of_its_two_rows_turned_round() {
        let panel = std::array::from_fn(|f| f as u8);
        let mirror = mirror(&panel).0;
        assert_eq!(mirror[..3], [31, 30, 29]);
        assert_eq!(mirror[31..34], [0, 63, 62]);
        assert_eq!(super::mirror(&mirror).0, panel);
    }
}
