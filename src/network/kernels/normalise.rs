//! From pixels to features: [`Normalise`].

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::{Column, GROUPS, LANES};

/// Pixels per row of an image that can be mirrored.
pub const IMAGE_WIDTH: usize = 32;

/// Pixels per step: a row of an image, the features of [`GROUPS`] groups. A short loop of a known length is what the
/// compiler turns into vectors.
const WIDTH: usize = GROUPS * LANES;

/// The pixels of an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct Image<'a> {
    /// (d).
    pub pixels: &'a [u8],
    /// True to mirror it left to right; d must then be a multiple of [`IMAGE_WIDTH`].
    pub flip: bool,
}

impl Image<'_> {
    /// Asks the processor to fetch the pixels of `groups` into its second-level cache while it goes on with something
    /// else; where [`pulp`] offers no such instruction, it does nothing.
    pub fn prefetch(&self, arch: Arch, groups: &Range<usize>) {
        let end = self.pixels.len();
        let pixels = &self.pixels[end.min(groups.start * LANES)..end.min(groups.end * LANES)];
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        {
            const LINE: usize = 64;
            const SECOND_LEVEL: i32 = 2;
            let sse = match arch {
                Arch::V3(simd) => simd.sse,
                Arch::V4(simd) => simd.sse,
                _ => return,
            };
            // The last byte of each 64: an image need not begin with a cache line, and the line of the first byte was fetched
            // with the groups before.
            for line in pixels.chunks(LINE) {
                sse._mm_prefetch::<SECOND_LEVEL>((&raw const line[line.len() - 1]).cast());
            }
        }
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        let _ = (arch, pixels);
    }
}

/// x = pixel · scale + offset, rounded once, for some groups of features of fewer than N images.
///
/// The loop takes all images of one step, then of the next: it loads `scale` and `offset` once, and each image is a
/// separate stream that the processor prefetches while it works on the others.
pub struct Normalise<'a, const N: usize> {
    /// (examples).
    pub images: &'a [Image<'a>],
    /// (d).
    pub scale: &'a [f32],
    /// (d).
    pub offset: &'a [f32],
    /// The first group of features, a multiple of [`GROUPS`].
    pub first: usize,
    /// (groups), a multiple of [`GROUPS`]: overwritten for each of the examples.
    pub x: &'a mut [Column<N>],
}

impl<const N: usize> WithSimd for Normalise<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        const { assert!(WIDTH == IMAGE_WIDTH) };
        let first = self.first / GROUPS;
        let (scale, last_scale) = self.scale.as_chunks();
        let (offset, last_offset) = self.offset.as_chunks();
        let (x, _) = self.x.as_chunks_mut::<GROUPS>();
        for i in 0..x.len() {
            let [lower, upper] = &mut x[i];
            if first + i == scale.len() {
                for (e, image) in self.images.iter().enumerate() {
                    let (_, pixels) = image.pixels.as_chunks::<WIDTH>();
                    let features = normalised(padded(pixels), &padded(last_scale), &padded(last_offset));
                    (lower[e].0, upper[e].0) = halves(&features);
                }
                return;
            }
            // Copies stay in registers; references would be read again for each image.
            let (scale, offset) = (scale[first + i], offset[first + i]);
            for e in 0..self.images.len().min(lower.len()) {
                let image = &self.images[e];
                let mut pixels = image.pixels.as_chunks().0[first + i];
                if image.flip {
                    pixels = reversed(pixels);
                }
                let features = normalised(pixels, &scale, &offset);
                (lower[e].0, upper[e].0) = halves(&features);
            }
        }
    }
}

#[inline(always)]
fn halves(features: &[f32; WIDTH]) -> ([f32; LANES], [f32; LANES]) {
    let (halves, _) = features.as_chunks();
    (halves[0], halves[1])
}

#[inline(always)]
fn normalised(pixels: [u8; WIDTH], scale: &[f32; WIDTH], offset: &[f32; WIDTH]) -> [f32; WIDTH] {
    let mut x = [0.0; WIDTH];
    for f in 0..WIDTH {
        x[f] = f32::from(pixels[f]).mul_add(scale[f], offset[f]);
    }
    x
}

/// A row of an image, mirrored.
#[inline(always)]
fn reversed(pixels: [u8; WIDTH]) -> [u8; WIDTH] {
    let mut mirror = [0; WIDTH];
    for f in 0..WIDTH {
        mirror[f] = pixels[WIDTH - 1 - f];
    }
    mirror
}

/// The last values of a row, fewer than [`WIDTH`], with zeros after them.
fn padded<T: Copy + Default>(last: &[T]) -> [T; WIDTH] {
    let mut values = [T::default(); WIDTH];
    values[..last.len()].copy_from_slice(last);
    values
}
