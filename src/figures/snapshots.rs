//! `snapshots_<setting>.jpg`: the weights after each epoch, as images.
//!
//! One picture: a column per class, with its name above, and a line per epoch, with its number on the left. Each image of
//! 32×32 is a row of `weight`, as [`weights_figure`](crate::figures::weights_figure) shows it. JPEG changes a weight by a few
//! grey levels and takes a tenth of the bytes of PNG. The images do not run into the gaps between them, since their edges
//! are edges of the 8×8 blocks of JPEG.

use std::path::Path;

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor, rgb_to_ycbcr};
use plotters::style::text_anchor::HPos;

use crate::dataset::cifar10::{CHANNELS, CLASS_NAMES, DIMS, SIDE};
use crate::error::{Error, Result};
use crate::figures::canvas::{Canvas, Drawn, draw, paste_image};
use crate::files::kind;
use crate::files::raster::{Decoder, Format};

/// The places of the images in a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From the left edge of the picture to its first images.
    pub left: usize,
    /// From the upper edge of the picture to its first images.
    pub top: usize,
    /// From the corner of an image to that of the next, to the right and downwards.
    pub step: usize,
}

impl Layout {
    /// With names, numbers and gaps.
    pub const LABELLED: Self = Self { left: 48, top: 80, step: SIDE + 8 };
    /// Of earlier builds: the images alone, edge to edge.
    pub const BARE: Self = Self { left: 0, top: 0, step: SIDE };

    /// Width of the picture.
    pub const fn width(self) -> usize {
        self.left + DIMS.classes * self.step
    }

    /// Height of a picture of so many epochs.
    pub const fn height(self, epochs: usize) -> usize {
        self.top + epochs * self.step
    }
}

const LEFT: usize = Layout::LABELLED.left;
const TOP: usize = Layout::LABELLED.top;
const STEP: usize = Layout::LABELLED.step;
const WIDTH: usize = Layout::LABELLED.width();
/// Size of the names and the numbers.
const TEXT: u32 = 15;
/// Maximum number of epochs in a picture: a slider has no use for more, and each makes the page larger.
pub const MAX_EPOCHS: usize = 200;
/// From 1 to 100. At 75 even the largest errors cannot be seen beside the original.
const QUALITY: u8 = 75;
/// The marker at the end of a JPEG.
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// The picture of the first epochs, each the rows of `weight` as (k,d) bytes.
///
/// # Panics
///
/// If an epoch has another number of bytes, or there are more than [`MAX_EPOCHS`].
pub fn to_jpeg(epochs: &[Vec<u8>]) -> Vec<u8> {
    assert!(epochs.len() <= MAX_EPOCHS);
    let height = Layout::LABELLED.height(epochs.len());
    let mut pixels = draw((WIDTH as u32, height as u32), 1, |canvas| draw_labels(canvas, epochs.len()));
    for (line, epoch) in epochs.iter().enumerate() {
        assert_eq!(epoch.len(), DIMS.classes * DIMS.features);
        for (class, image) in epoch.chunks_exact(DIMS.features).enumerate() {
            paste_image(&mut pixels, WIDTH as u32, corner(line, class), 1, image);
        }
    }
    encode(&pixels, WIDTH, height)
}

/// The upper left corner of an image.
fn corner(line: usize, class: usize) -> (u32, u32) {
    ((LEFT + class * STEP) as u32, (TOP + line * STEP) as u32)
}

/// Draws the names of the classes, upwards, and the numbers of the epochs.
fn draw_labels(canvas: &Canvas, epochs: usize) -> Drawn {
    let half = SIDE as u32 / 2;
    canvas.text("epoch", (LEFT as u32 - 6, TOP as u32 - 12), TEXT, HPos::Right)?;
    for (class, name) in CLASS_NAMES.iter().enumerate() {
        let (left, top) = corner(0, class);
        canvas.upward_text(name, (left + half, top - 6), TEXT)?;
    }
    (0..epochs).try_for_each(|line| {
        let (left, top) = corner(line, 0);
        canvas.text(&(line + 1).to_string(), (left - 6, top + half), TEXT, HPos::Right)
    })
}

/// The JPEG of the `pixels` (`height`, `width`, 3).
pub(crate) fn encode(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    // Colours at full resolution: weights look like noise, of which the mean of four neighbours keeps little.
    encoder.set_sampling_factor(SamplingFactor::R_4_4_4);
    encoder.encode_image(Rgb { pixels, width, height }).expect("a picture of this size can be encoded into memory");
    bytes
}

/// Pixels as the encoder takes them. Its own types for them are compiled all nine, wherever one is used.
struct Rgb<'a> {
    pixels: &'a [u8],
    width: usize,
    height: usize,
}

impl ImageBuffer for Rgb<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width as u16
    }

    fn height(&self) -> u16 {
        self.height as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let row = &self.pixels[usize::from(y) * self.width * CHANNELS..][..self.width * CHANNELS];
        for pixel in row.chunks_exact(CHANNELS) {
            let (y, cb, cr) = rgb_to_ycbcr(pixel[0], pixel[1], pixel[2]);
            for (buffer, value) in buffers.iter_mut().zip([y, cb, cr]) {
                buffer.push(value);
            }
        }
    }
}

/// The layout of the picture `bytes`, and the number of its epochs. Errors name `path` as the file.
///
/// # Errors
///
/// [`Error::Format`] if `bytes` are not a complete JPEG of the width and height of a layout.
pub fn layout(bytes: &[u8], path: &Path) -> Result<(Layout, usize)> {
    let format = |reason: String| Error::format(path, reason);
    // The decoder fills a missing end with grey.
    if !bytes.ends_with(&END_OF_IMAGE) {
        let is_jpeg = Format::of(bytes) == Ok(Format::Jpeg);
        let found = if is_jpeg { "is cut short".into() } else { kind::describe(bytes) };
        return Err(format(format!("must be a complete JPEG, but {found}: train again to replace it")));
    }
    let no_jpeg = |reason| format(format!("must be a JPEG, but {reason}"));
    let decoder = Decoder::new(bytes, Format::Jpeg).map_err(no_jpeg)?;
    let size @ (width, height) = decoder.size();
    let fitting = [Layout::LABELLED, Layout::BARE].into_iter().find_map(|layout| {
        let epochs = height.saturating_sub(layout.top) / layout.step;
        (size == (layout.width(), layout.height(epochs)) && epochs <= MAX_EPOCHS).then_some((layout, epochs))
    });
    let other_size = || {
        format(format!(
            "must be {WIDTH} pixels wide and, for n epochs of at most {MAX_EPOCHS}, {TOP} + {STEP} n high, but is \
             {width}×{height}; train again to replace it"
        ))
    };
    let found = fitting.ok_or_else(other_size)?;
    decoder.decode().map_err(no_jpeg)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::PLANE;

    const PATH: &str = "snapshots.jpg";

    /// Every picture of one colour: the class in red, the epoch in green.
    fn plain(epoch: usize) -> Vec<u8> {
        let template = |class: usize| {
            let planes = [20 * class, 40 * epoch, 7];
            planes.into_iter().flat_map(|value| vec![value as u8; PLANE])
        };
        (0..DIMS.classes).flat_map(template).collect()
    }

    /// The pixels of the JPEG `bytes` with their columns and rows.
    fn pixels(bytes: &[u8]) -> impl Iterator<Item = (usize, usize, [u8; 3])> {
        let picture = Decoder::new(bytes, Format::Jpeg).unwrap().decode().unwrap();
        let (width, height) = picture.size();
        let places = (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)));
        places.map(move |(x, y)| {
            let [red, green, blue, _] = picture.pixel(x, y);
            (x, y, [red, green, blue])
        })
    }

    /// The line, the class, and the column and row inside the image that a pixel belongs to; `None` outside of all images.
    fn place(x: usize, y: usize) -> Option<[usize; 4]> {
        let (x, y) = (x.checked_sub(LEFT)?, y.checked_sub(TOP)?);
        (x % STEP < SIDE && y % STEP < SIDE).then_some([y / STEP, x / STEP, x % STEP, y % STEP])
    }

    #[test]
    fn each_epoch_is_a_line_and_each_class_a_place_in_it_with_white_gaps() {
        let bytes = to_jpeg(&[plain(0), plain(1), plain(5)]);
        assert_eq!(layout(&bytes, Path::new(PATH)).unwrap(), (Layout::LABELLED, 3));
        let mut images = 0;
        for (x, y, pixel) in pixels(&bytes) {
            let expected = match place(x, y) {
                Some([line, class, ..]) => [20 * class, 40 * [0, 1, 5][line], 7],
                None if x >= LEFT && y >= TOP => [255; 3],
                None => continue,
            };
            images += usize::from(expected[2] == 7);
            for (found, expected) in pixel.into_iter().zip(expected) {
                assert!(usize::from(found).abs_diff(expected) <= 4, "{x} {y}: {pixel:?}");
            }
        }
        assert_eq!(images, 3 * DIMS.classes * SIDE * SIDE);
    }

    #[test]
    fn each_class_has_a_label_above_it_and_each_epoch_one_on_its_left() {
        let bytes = to_jpeg(&[plain(0), plain(1)]);
        let ink: Vec<_> = pixels(&bytes).filter(|pixel| pixel.2[0] < 128).map(|(x, y, _)| (x, y)).collect();
        let is_inked = |xs: std::ops::Range<usize>, ys: std::ops::Range<usize>| {
            ink.iter().any(|(x, y)| xs.contains(x) && ys.contains(y))
        };
        for class in 0..DIMS.classes {
            let left = LEFT + class * STEP;
            assert!(is_inked(left..left + SIDE, 0..TOP), "{class}");
            assert!(!is_inked(left + SIDE..left + STEP, 0..TOP), "{class}");
        }
        for line in 0..2 {
            let top = TOP + line * STEP;
            assert!(is_inked(0..LEFT, top..top + SIDE), "{line}");
        }
        // Nothing is cut off.
        assert!(!is_inked(0..WIDTH, 0..1) && !is_inked(0..1, 0..Layout::LABELLED.height(2)));
    }

    #[test]
    fn rows_columns_and_colours_of_a_weight_are_kept() {
        let mut weight = vec![0; DIMS.classes * DIMS.features];
        // An 8×8 block of JPEG, the fourth from the left in the second line of blocks, blue.
        for (y, x) in (8..16).flat_map(|y| (24..32).map(move |x| (y, x))) {
            weight[6 * DIMS.features + 2 * PLANE + y * SIDE + x] = 255;
        }
        for (x, y, pixel) in pixels(&to_jpeg(&[weight])) {
            let Some([_, class, column, row]) = place(x, y) else {
                continue;
            };
            let blue = class == 6 && (24..32).contains(&column) && (8..16).contains(&row);
            assert_eq!(pixel[2] > 128, blue, "{x} {y}");
            assert!(pixel[0] < 10 && pixel[1] < 10);
        }
    }

    #[test]
    fn a_picture_of_an_earlier_build_is_read() {
        let picture = |epochs: usize| encode(&vec![0; 320 * 32 * epochs * 3], 320, 32 * epochs);
        for epochs in [1, 2, 40] {
            assert_eq!(layout(&picture(epochs), Path::new(PATH)).unwrap(), (Layout::BARE, epochs));
        }
        assert!(layout(&picture(MAX_EPOCHS + 1), Path::new(PATH)).is_err());
    }

    #[test]
    fn a_picture_that_is_cut_short_or_of_another_size_is_refused_by_name() {
        let bytes = to_jpeg(&[plain(0)]);
        let narrow = encode(&[0; 32 * 32 * 3], 32, 32);
        let low = encode(&[0; WIDTH * (TOP + 32) * 3], WIDTH, TOP + 32);
        let noise = (0..DIMS.classes * DIMS.features).map(|i| (i * i % 251) as u8);
        let noise = to_jpeg(&[noise.collect()]);
        let cut = &noise[..noise.len() - 100];
        for bad in [cut, &bytes[..bytes.len() / 2], &narrow, &low, b"", b"GIF89a"] {
            let message = layout(bad, Path::new(PATH)).unwrap_err().to_string();
            assert!(message.starts_with("snapshots.jpg: must be"), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
    }
}
