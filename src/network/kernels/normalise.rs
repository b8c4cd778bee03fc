//! From pixels to features: [`Normalise`].

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{PANEL, Panel};

/// Pixels per row of an image that can be mirrored; the compiler turns the mirroring of a known width into vectors.
pub const IMAGE_WIDTH: usize = 32;

/// The pixels of an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct Image<'a> {
    /// (d).
    pub pixels: &'a [u8],
    /// True to mirror it left to right; d must then be a multiple of [`IMAGE_WIDTH`].
    pub flip: bool,
}

/// x = pixel · scale + offset, rounded once, for some panels of some images.
///
/// The loop takes all images of one panel, then of the next: it reads `scale` and `offset` once, and each image is a
/// separate stream that the processor prefetches while it works on the others.
pub struct Normalise<'a> {
    /// (examples).
    pub images: &'a [Image<'a>],
    /// (d).
    pub scale: &'a [f32],
    /// (d).
    pub offset: &'a [f32],
    /// The panels to compute.
    pub panels: Range<usize>,
    /// (examples, stride): `panels` of each example are overwritten.
    pub x: &'a mut [Panel],
    /// Panels from one example to the next.
    pub stride: usize,
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    // A plain loop suffices here and for `exp` and `ln`: the compiler turns it into vectors.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (full_scale, rest_of_scale) = self.scale.as_chunks::<PANEL>();
        let (full_offset, rest_of_offset) = self.offset.as_chunks::<PANEL>();
        for (i, p) in self.panels.enumerate() {
            let images = self.images.iter().enumerate();
            if let (Some(&scale), Some(&offset)) = (full_scale.get(p), full_offset.get(p)) {
                // Copies stay in registers; references would be read again for each image.
                for (e, image) in images {
                    self.x[e * self.stride + i] = full_panel(image, p, scale, offset);
                }
            } else {
                for (e, image) in images {
                    self.x[e * self.stride + i] = last_panel(image, p, rest_of_scale, rest_of_offset);
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
    let mut x = Panel::ZERO;
    for f in 0..PANEL {
        x.0[f] = f32::from(pixels[f]).mul_add(scale[f], offset[f]);
    }
    x
}

/// The last panel of a row, when it is not full.
fn last_panel(image: &Image, p: usize, scale: &[f32], offset: &[f32]) -> Panel {
    let pixels = &image.pixels[p * PANEL..];
    let mut x = Panel::ZERO;
    for f in 0..pixels.len() {
        let pixel = pixels[if image.flip { mirrored(f) } else { f }];
        x.0[f] = f32::from(pixel).mul_add(scale[f], offset[f]);
    }
    x
}

/// The place of pixel `f` of a panel in the mirror image: its place in its row, counted from the other end.
#[inline(always)]
const fn mirrored(f: usize) -> usize {
    const { assert!(IMAGE_WIDTH.is_power_of_two() && PANEL.is_multiple_of(IMAGE_WIDTH)) };
    f ^ (IMAGE_WIDTH - 1)
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

#[cfg(test)]
mod tests {
    use super::mirror;

    #[test]
    fn mirroring_a_panel_reverses_each_of_its_two_rows() {
        let panel = std::array::from_fn(|f| f as u8);
        let mirror = mirror(&panel).0;
        assert_eq!(mirror[..3], [31, 30, 29]);
        assert_eq!(mirror[31..34], [0, 63, 62]);
        assert_eq!(super::mirror(&mirror).0, panel);
    }
}
