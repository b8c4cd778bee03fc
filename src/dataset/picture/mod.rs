//! Turns pictures of any size into images of CIFAR-10.
//!
//! A PNG or JPEG file is decoded and rotated as its EXIF orientation says; transparent parts become white, and 16-bit
//! channels are rounded to 8 bits. The square in the middle is cropped, so that shapes keep their proportions, and scaled
//! to 32×32 with a triangle filter, which averages over all pixels that a smaller one covers. A picture of 32×32 keeps
//! every pixel. Colour profiles are ignored.
//!
//! The file may come from anywhere: its length and its number of pixels are limited before it is decoded.

mod resample;

use std::path::Path;

use super::cifar10::{CHANNELS, SIDE};
use crate::error::{Error, Result};
use crate::files;
use crate::files::raster::{Decoder, Format, Raster};

/// Maximum length of a file: 64 MiB.
pub const MAX_BYTES: u64 = 64 << 20;

/// Reads the picture in the file `path`: 3072 bytes, the planes red, green and blue, each row by row.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read; [`Error::Format`] if it is longer than [`MAX_BYTES`], has more than
/// [`MAX_PIXELS`](crate::files::raster::MAX_PIXELS), is not a PNG or JPEG image, or is damaged.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    decode(&files::read_at_most(path, MAX_BYTES).map_err(Error::io("read", path))?, path)
}

/// Decodes the picture in `bytes` as [`read`] does. Errors name `path` as the file.
///
/// # Errors
///
/// [`Error::Format`], as for [`read`].
pub fn decode(bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    let refuse = |reason: String| Error::format(path, reason);
    let damaged = |reason| refuse(format!("cannot be decoded: {reason}"));
    let format = Format::of(bytes).map_err(refuse)?;
    let picture = Decoder::new(bytes, format).and_then(Decoder::decode).map_err(damaged)?;
    let (square, side) = square_on_white(&picture);
    // Two copies of the pixels would take more memory than necessary.
    drop(picture);
    Ok(planes(&resample::resample(&square, side)).collect())
}

/// The square in the middle of the picture, as (side, side, 3), and its side. Transparent parts are blended with white.
fn square_on_white(picture: &Raster) -> (Vec<u8>, usize) {
    let (width, height) = picture.size();
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let mut square = Vec::with_capacity(side * side * CHANNELS);
    for y in top..top + side {
        for x in left..left + side {
            square.extend(on_white(picture.pixel(x, y)));
        }
    }
    (square, side)
}

/// Blends a pixel with white.
fn on_white([red, green, blue, opacity]: [u8; 4]) -> [u8; CHANNELS] {
    [red, green, blue].map(|value| {
        let (value, opacity) = (u32::from(value), u32::from(opacity));
        // Rounded to the nearest integer.
        ((value * opacity + 255 * (255 - opacity) + 127) / 255) as u8
    })
}

/// The colour planes of the image `rgb`, whose pixels have interleaved channels.
pub(super) fn planes(rgb: &[u8]) -> impl Iterator<Item = u8> {
    (0..CHANNELS).flat_map(move |channel| rgb.iter().skip(channel).step_by(CHANNELS).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::PLANE;
    use crate::dataset::store::sha256;
    use crate::files::raster::tests::{jpeg, png};
    use png::BitDepth::{Eight, Sixteen};
    use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};

    /// The PNG of a picture with the `color` of each place.
    fn png_from(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
        png((width, height), Rgb, Eight, &pixels(width, height, color))
    }

    fn pixels(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| color(x, y)).collect()
    }

    /// The PNG of 64×64 equal pixels.
    fn plain(color: png::ColorType, depth: png::BitDepth, pixel: &[u8]) -> Vec<u8> {
        png((64, 64), color, depth, &pixel.repeat(64 * 64))
    }

    fn read(bytes: &[u8]) -> Vec<u8> {
        decode(bytes, Path::new("picture.png")).unwrap()
    }

    fn message(bytes: &[u8]) -> String {
        let message = decode(bytes, Path::new("picture.png")).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    /// The pixel at (row, column).
    fn at(planes: &[u8], row: usize, column: usize) -> [u8; 3] {
        [0, 1, 2].map(|channel| planes[channel * PLANE + row * SIDE + column])
    }

    /// Positions of the golden pixels.
    const PLACES: [(usize, usize); 6] = [(0, 0), (0, 31), (10, 20), (16, 16), (31, 0), (31, 31)];

    fn assert_near(planes: &[u8], golden: [[u8; 3]; 6]) {
        for ((row, column), expected) in PLACES.into_iter().zip(golden) {
            let found = at(planes, row, column);
            let near = found.iter().zip(expected).all(|(&f, e)| f.abs_diff(e) <= 1);
            assert!(near, "({row}, {column}): {found:?}, expected {expected:?}");
        }
    }

    #[test]
    fn a_picture_of_32_by_32_keeps_every_pixel_in_planes() {
        let color = |x: u32, y: u32| [x as u8, y as u8, (x * y % 251) as u8];
        let planes = read(&png_from(32, 32, color));
        assert_eq!(planes.len(), 3072);
        for (x, y) in (0..32).flat_map(|y| (0..32).map(move |x| (x, y))) {
            assert_eq!(at(&planes, y as usize, x as usize), color(x, y));
        }
    }

    #[test]
    fn the_square_in_the_middle_is_averaged_as_pillow_does_it() {
        // y, x = np.mgrid[0:75, 0:100]
        // a = np.stack([7*x % 256, 5*y % 256, x*y % 256], -1).astype(np.uint8)
        // Image.fromarray(a).crop((12, 0, 87, 75)).resize((32, 32), Image.BILINEAR)
        let planes = read(&png_from(100, 75, |x, y| [7 * x, 5 * y, x * y].map(|c| (c % 256) as u8)));
        assert_near(
            &planes,
            [[90, 4, 11], [84, 4, 73], [161, 121, 147], [95, 191, 126], [90, 110, 152], [84, 110, 143]],
        );
    }

    #[test]
    fn a_small_picture_is_enlarged_as_pillow_does_it() {
        // a = np.array([[[0, 10, 20], [100, 110, 120]], [[200, 210, 220], [255, 0, 128]]], np.uint8)
        // Image.fromarray(a).resize((32, 32), Image.BILINEAR)
        let pixels = [0, 10, 20, 100, 110, 120, 200, 210, 220, 255, 0, 128];
        let planes = read(&png((2, 2), Rgb, Eight, &pixels));
        assert_near(
            &planes,
            [[0, 10, 20], [100, 110, 120], [104, 81, 106], [147, 82, 125], [200, 210, 220], [255, 0, 128]],
        );
    }

    #[test]
    fn a_picture_can_be_a_pixel_or_a_line() {
        let red = [200, 1, 2];
        for (width, height) in [(1, 1), (1, 500), (500, 1)] {
            let planes = read(&png_from(width, height, |_, _| red));
            assert_eq!((at(&planes, 0, 0), at(&planes, 31, 31)), (red, red));
        }
    }

    #[test]
    fn transparent_parts_become_white() {
        let hidden = plain(Rgba, Eight, &[0, 50, 100, 0]);
        assert!(read(&hidden).iter().all(|&byte| byte == 255));
        let half = plain(Rgba, Eight, &[0, 50, 100, 128]);
        // 255·127/255 and 128/255 of the colour.
        assert_eq!(at(&read(&half), 5, 5), [127, 152, 177]);
        let grey = plain(GrayscaleAlpha, Eight, &[0, 51]);
        assert_eq!(at(&read(&grey), 5, 5), [204; 3]);
    }

    #[test]
    fn grey_and_16_bit_pictures_are_read_as_their_colours() {
        let grey = plain(Grayscale, Eight, &[77]);
        assert_eq!(at(&read(&grey), 3, 3), [77; 3]);
        let deep = plain(Rgb, Sixteen, &[0xff, 0xff, 0, 0, 0x80, 0x80]);
        assert_eq!(at(&read(&deep), 3, 3), [255, 0, 0x80]);
    }

    #[test]
    fn other_files_are_refused_by_their_format() {
        for (bytes, found) in [
            (&b""[..], "is empty"),
            (b"name,age\n", "looks like text that begins with \"name,age\""),
            (b"%PDF-1.7", "looks like a PDF document"),
            (b"GIF89a\x01\0\x01\0\0\0\0;", "looks like a GIF image"),
        ] {
            assert_eq!(message(bytes), format!("picture.png: must be a PNG or JPEG image, but {found}"));
        }
    }

    #[test]
    fn a_picture_that_is_cut_short_is_refused() {
        let noise = |x: u32, y: u32| [x * 7, y * 31, x * y].map(|c| (c % 256) as u8);
        for bytes in [png_from(64, 64, noise), jpeg((64, 64), jpeg_encoder::ColorType::Rgb, &pixels(64, 64, noise))] {
            read(&bytes);
            for length in (8..bytes.len() - 12).step_by(97) {
                let message = message(&bytes[..length]);
                assert!(message.ends_with("the file ends before the image does: copy or save it again"), "{message}");
            }
        }
    }

    #[test]
    fn scaling_gives_the_same_bytes_on_every_machine() {
        let noise = |x: u32, y: u32| [x * 7, y * 31, x * y].map(|c| (c % 256) as u8);
        let sizes = [(1, 1), (2, 3), (31, 40), (33, 33), (100, 75), (64, 500), (640, 427), (1023, 1025)];
        let images: Vec<u8> = sizes.iter().flat_map(|&(width, height)| read(&png_from(width, height, noise))).collect();
        assert_eq!(sha256(&*images).unwrap(), "cfa7e9aacb02226ce76b890863fd7dde4e09dc8489ef65ea46c64dec48fbce8b");
    }

    #[test]
    fn a_picture_is_read_from_its_file_or_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a picture under any name");
        let bytes = png_from(40, 32, |x, y| [x as u8, y as u8, 7]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(super::read(&path).unwrap(), read(&bytes));
        std::fs::write(&path, b"GIF89a").unwrap();
        let found = format!("{}: must be a PNG or JPEG image, but looks like a GIF image", path.display());
        assert_eq!(super::read(&path).unwrap_err().to_string(), found);
        for other in [folder.path().to_owned(), folder.path().join("nowhere")] {
            let error = super::read(&other).unwrap_err();
            assert!(matches!(error, Error::Io { action: "read", path, .. } if path == other));
        }
        assert_eq!(MAX_BYTES, 67_108_864);
    }

    #[test]
    fn the_square_in_the_middle_loses_the_odd_pixel_at_the_right_or_below() {
        // Each pixel has its column and its row, in the two longer pictures those of the longer side.
        let color = |x: u32, y: u32| [x as u8, y as u8, 0];
        for (width, height, left, top) in
            [(32, 32, 0, 0), (33, 32, 0, 0), (34, 32, 1, 0), (32, 33, 0, 0), (32, 35, 0, 1), (131, 32, 49, 0)]
        {
            let planes = read(&png_from(width, height, color));
            assert_eq!(at(&planes, 0, 0), [left, top, 0], "{width}×{height}");
            assert_eq!(at(&planes, 31, 31), [left + 31, top + 31, 0], "{width}×{height}");
        }
    }

    #[test]
    fn blending_with_white_rounds_to_the_nearest() {
        for value in 0..=255u8 {
            for opacity in 0..=255u8 {
                let exact = (f64::from(value) * f64::from(opacity) + 255.0 * (255.0 - f64::from(opacity))) / 255.0;
                assert_eq!(on_white([value, 7, 8, opacity])[0], exact.round() as u8, "{value}, {opacity}");
            }
        }
        assert_eq!(on_white([1, 2, 3, 255]), [1, 2, 3]);
        assert_eq!(on_white([1, 2, 3, 0]), [255; 3]);
    }

    #[test]
    fn the_planes_follow_one_after_the_other() {
        assert_eq!(planes(&[1, 2, 3, 4, 5, 6]).collect::<Vec<_>>(), [1, 4, 2, 5, 3, 6]);
        assert_eq!(planes(&[]).count(), 0);
    }
}
