//! `snapshots_<setting>.jpg`: the weights after each epoch, as images.
//!
//! One picture, 320 pixels wide. From the top it has one line per epoch: the rows of `weight` as ten images of 32×32, in the
//! order of the classes, as [`weights_figure`](crate::figures::weights_figure) shows them. JPEG changes a weight by a few
//! grey levels and takes a tenth of the bytes of PNG. The images do not run into each other, since their edges are edges
//! of the 8×8 blocks of JPEG.

use std::path::Path;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::dataset::cifar10::{CHANNELS, DIMS, SIDE};
use crate::error::{Error, Result};
use crate::figures::canvas::paste_image;
use crate::files::raster::{Decoder, Format};

/// Width of the picture, in pixels.
const WIDTH: usize = DIMS.classes * SIDE;
/// Maximum number of epochs in a picture: a slider has no use for more, and each makes the page larger.
pub const MAX_EPOCHS: usize = 200;
/// From 1 to 100. At 75 even the largest errors cannot be seen beside the original.
const QUALITY: u8 = 75;
/// The marker at the end of a JPEG.
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// The picture of `epochs`, each the rows of `weight` as (k,d) bytes.
///
/// # Panics
///
/// If an epoch has another number of bytes, or there are more than [`MAX_EPOCHS`].
pub fn to_jpeg(epochs: &[Vec<u8>]) -> Vec<u8> {
    assert!(epochs.len() <= MAX_EPOCHS);
    let (width, height) = (WIDTH, epochs.len() * SIDE);
    let mut pixels = vec![0; epochs.len() * WIDTH * SIDE * CHANNELS];
    for (line, epoch) in epochs.iter().enumerate() {
        assert_eq!(epoch.len(), DIMS.classes * DIMS.features);
        for (class, image) in epoch.chunks_exact(DIMS.features).enumerate() {
            paste_image(&mut pixels, width as u32, ((class * SIDE) as u32, (line * SIDE) as u32), 1, image);
        }
    }
    encode(&pixels, width, height)
}

/// The JPEG of the `pixels` (`height`, `width`, 3).
fn encode(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    // Colours at full resolution: weights look like noise, of which the mean of four neighbours keeps little.
    encoder.set_sampling_factor(SamplingFactor::R_4_4_4);
    encoder
        .encode(pixels, width as u16, height as u16, ColorType::Rgb)
        .expect("a picture of this size can be encoded into memory");
    bytes
}

/// Number of epochs in the picture `bytes`. Errors name `path` as the file.
///
/// # Errors
///
/// [`Error::Format`] if `bytes` are not a complete JPEG of the width and height described above.
pub fn epochs(bytes: &[u8], path: &Path) -> Result<usize> {
    let format = |reason: String| Error::format(path, reason);
    // The decoder fills a missing end with grey.
    if !bytes.ends_with(&END_OF_IMAGE) {
        return Err(format("must be a complete JPEG, but has no end".into()));
    }
    let no_jpeg = |reason| format(format!("must be a JPEG, but {reason}"));
    let decoder = Decoder::new(bytes, Format::Jpeg).map_err(no_jpeg)?;
    let (width, height) = decoder.size();
    if width != WIDTH || !height.is_multiple_of(SIDE) || height / SIDE > MAX_EPOCHS {
        return Err(format(format!(
            "must be {WIDTH} pixels wide and, for each of at most {MAX_EPOCHS} epochs, {SIDE} high, but is \
             {width}×{height}"
        )));
    }
    decoder.decode().map_err(no_jpeg)?;
    Ok(height / SIDE)
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

    #[test]
    fn each_epoch_is_a_line_and_each_class_a_place_in_it() {
        let bytes = to_jpeg(&[plain(0), plain(1), plain(5)]);
        assert_eq!(epochs(&bytes, Path::new(PATH)).unwrap(), 3);
        for (x, y, pixel) in pixels(&bytes) {
            let (class, line) = (x / SIDE, y / SIDE);
            let expected = [20 * class, 40 * [0, 1, 5][line], 7];
            for (found, expected) in pixel.into_iter().zip(expected) {
                assert!(usize::from(found).abs_diff(expected) <= 4, "{x} {y}: {pixel:?}");
            }
        }
    }

    #[test]
    fn rows_columns_and_colours_of_a_weight_are_kept() {
        let mut weight = vec![0; DIMS.classes * DIMS.features];
        // An 8×8 block of JPEG, the fourth from the left in the second line of blocks, blue.
        for (y, x) in (8..16).flat_map(|y| (24..32).map(move |x| (y, x))) {
            weight[6 * DIMS.features + 2 * PLANE + y * SIDE + x] = 255;
        }
        for (x, y, pixel) in pixels(&to_jpeg(&[weight])) {
            let blue = (6 * 32 + 24..7 * 32).contains(&x) && (8..16).contains(&y);
            assert_eq!(pixel[2] > 128, blue, "{x} {y}");
            assert!(pixel[0] < 10 && pixel[1] < 10);
        }
    }

    #[test]
    fn a_picture_that_is_cut_short_or_of_another_size_is_refused_by_name() {
        let bytes = to_jpeg(&[plain(0)]);
        let narrow = encode(&[0; 32 * 32 * 3], 32, 32);
        let noise = (0..DIMS.classes * DIMS.features).map(|i| (i * i % 251) as u8);
        let noise = to_jpeg(&[noise.collect()]);
        let cut = &noise[..noise.len() - 100];
        for bad in [cut, &bytes[..bytes.len() / 2], &narrow, b"", b"GIF89a"] {
            let message = epochs(bad, Path::new(PATH)).unwrap_err().to_string();
            assert!(message.starts_with("snapshots.jpg: must be"), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
    }
}
