//! Turns pictures of any size into images of CIFAR-10.
//!
//! A PNG or JPEG file is decoded and rotated as its EXIF orientation says; transparent parts become white, and 16-bit
//! channels are reduced to their upper 8 bits. The square in the middle is cropped, so that shapes keep their
//! proportions, and scaled to 32×32 with a triangle filter, which averages over all pixels that a smaller one covers. A
//! picture of 32×32 keeps every pixel. Colour profiles are ignored.
//!
//! The file may come from anywhere: its length and its number of pixels are limited before it is decoded.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use super::cifar10::{CHANNELS, SIDE};
use crate::error::{Error, Result};

/// Maximum length of a file: 64 MiB.
pub const MAX_BYTES: u64 = 64 << 20;
/// Maximum number of pixels of a picture: 8192×8192.
pub const MAX_PIXELS: u64 = 1 << 26;
/// Size of a pixel with four channels of 16 bits, the most that a PNG has.
const MAX_PIXEL_BYTES: u64 = 8;

/// Reads the picture in the file `path`: 3072 bytes, the planes red, green and blue, each row by row.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read; [`Error::Format`] if it is longer than [`MAX_BYTES`], has more than
/// [`MAX_PIXELS`], is not a PNG or JPEG image, or is damaged.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_BYTES {
        let limit = MAX_BYTES >> 20;
        return Err(Error::format(path, format!("a picture must have at most {limit} MiB, but this file is larger")));
    }
    decode(&bytes, path)
}

/// Decodes the picture in `bytes` as [`read`] does. Errors name `path` as the file.
///
/// # Errors
///
/// [`Error::Format`], as for [`read`].
pub fn decode(bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    let upright = decode_upright(bytes).map_err(|reason| Error::format(path, reason))?;
    let image = shrink(&on_white(upright));
    Ok(planes(&image).collect())
}

/// Decodes and rotates the picture; the error is the reason alone.
fn decode_upright(bytes: &[u8]) -> Result<DynamicImage, String> {
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        Ok(other) => return Err(format!("must be a PNG or JPEG image, but is {other:?}")),
        Err(_) => return Err("must be a PNG or JPEG image, but its first bytes match neither".into()),
    };
    if format == ImageFormat::Jpeg && is_cut_short(bytes) {
        return Err("cannot be decoded: the file ends before the image does".into());
    }
    let damaged = |e| format!("cannot be decoded: {e}").replace('\n', " ");
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_PIXELS * MAX_PIXEL_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("a picture must have at most {MAX_PIXELS} pixels, but this one has {width}×{height}"));
    }
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// True if a JPEG file lacks its end marker, D9: the decoder would fill the missing part with grey.
fn is_cut_short(jpeg: &[u8]) -> bool {
    let mut rest = jpeg;
    loop {
        // The data of a scan contains FF 00, which stands for FF, and the restart markers D0 to D7.
        let marker = |w: &[u8]| w[0] == 0xff && !matches!(w[1], 0x00 | 0x01 | 0xff | 0xd0..=0xd8);
        let Some(at) = rest.windows(2).position(marker) else {
            return true;
        };
        if rest[at + 1] == 0xd9 {
            return false;
        }
        // Any other marker begins a segment, which states its length.
        let length = rest.get(at + 2..at + 4).and_then(|b| b.first_chunk());
        let length = length.map_or(0, |&bytes| usize::from(u16::from_be_bytes(bytes)));
        rest = rest.get(at + 2 + length..).unwrap_or_default();
    }
}

/// Blends transparent parts with white.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let mut opaque = RgbImage::new(image.width(), image.height());
    for (target, source) in opaque.pixels_mut().zip(image.pixels()) {
        let [.., alpha] = source.0;
        let over = |c: u8| {
            let (c, alpha) = (u32::from(c), u32::from(alpha));
            // Rounded to the nearest integer.
            ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        *target = Rgb([0, 1, 2].map(|channel| over(source.0[channel])));
    }
    opaque
}

/// Crops the square in the middle, and scales it to 32×32.
fn shrink(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let square = imageops::crop_imm(image, left, top, side, side);
    imageops::resize(&*square, SIDE as u32, SIDE as u32, FilterType::Triangle)
}

/// The colour planes of the image `rgb`, whose pixels have interleaved channels.
pub(super) fn planes(rgb: &[u8]) -> impl Iterator<Item = u8> {
    (0..CHANNELS).flat_map(move |channel| rgb.iter().skip(channel).step_by(CHANNELS).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::PLANE;
    use image::{GrayImage, ImageBuffer, LumaA, Rgba, RgbaImage};

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let image: DynamicImage = image.into();
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
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
        let image = RgbImage::from_fn(32, 32, |x, y| Rgb([x as u8, y as u8, (x * y % 251) as u8]));
        let planes = read(&png(image.clone()));
        assert_eq!(planes.len(), 3072);
        for (x, y, pixel) in image.enumerate_pixels() {
            assert_eq!(at(&planes, y as usize, x as usize), pixel.0);
        }
    }

    #[test]
    fn the_square_in_the_middle_is_averaged_as_pillow_does_it() {
        // y, x = np.mgrid[0:75, 0:100]
        // a = np.stack([7*x % 256, 5*y % 256, x*y % 256], -1).astype(np.uint8)
        // Image.fromarray(a).crop((12, 0, 87, 75)).resize((32, 32), Image.BILINEAR)
        let color = |x, y| Rgb([7 * x, 5 * y, x * y].map(|c| (c % 256) as u8));
        let planes = read(&png(RgbImage::from_fn(100, 75, color)));
        assert_near(
            &planes,
            [[90, 4, 11], [84, 4, 73], [161, 121, 147], [95, 191, 126], [90, 110, 152], [84, 110, 143]],
        );
    }

    #[test]
    fn a_small_picture_is_enlarged_as_pillow_does_it() {
        // a = np.array([[[0, 10, 20], [100, 110, 120]], [[200, 210, 220], [255, 0, 128]]], np.uint8)
        // Image.fromarray(a).resize((32, 32), Image.BILINEAR)
        let pixels = vec![0, 10, 20, 100, 110, 120, 200, 210, 220, 255, 0, 128];
        let planes = read(&png(RgbImage::from_vec(2, 2, pixels).unwrap()));
        assert_near(
            &planes,
            [[0, 10, 20], [100, 110, 120], [104, 81, 106], [147, 82, 125], [200, 210, 220], [255, 0, 128]],
        );
    }

    #[test]
    fn a_picture_can_be_a_pixel_or_a_line() {
        let red = Rgb([200, 1, 2]);
        for (width, height) in [(1, 1), (1, 500), (500, 1)] {
            let planes = read(&png(RgbImage::from_pixel(width, height, red)));
            assert_eq!((at(&planes, 0, 0), at(&planes, 31, 31)), (red.0, red.0));
        }
    }

    #[test]
    fn transparent_parts_become_white() {
        let hidden = RgbaImage::from_pixel(64, 64, Rgba([0, 50, 100, 0]));
        assert!(read(&png(hidden)).iter().all(|&byte| byte == 255));
        let half = RgbaImage::from_pixel(64, 64, Rgba([0, 50, 100, 128]));
        // 255·127/255 and 128/255 of the colour.
        assert_eq!(at(&read(&png(half)), 5, 5), [127, 152, 177]);
        let grey = ImageBuffer::from_pixel(64, 64, LumaA([0_u8, 51]));
        assert_eq!(at(&read(&png(grey)), 5, 5), [204; 3]);
    }

    #[test]
    fn grey_and_16_bit_pictures_are_read_as_their_colours() {
        let grey = GrayImage::from_pixel(40, 40, image::Luma([77]));
        assert_eq!(at(&read(&png(grey)), 3, 3), [77; 3]);
        let deep = ImageBuffer::from_pixel(40, 40, Rgb([65_535_u16, 0, 0x8080]));
        assert_eq!(at(&read(&png(deep)), 3, 3), [255, 0, 0x80]);
    }

    #[test]
    fn other_files_are_refused_by_their_format() {
        for bytes in [&b""[..], b"P", b"name,age\n", b"%PDF-1.7"] {
            assert!(message(bytes).ends_with("but its first bytes match neither"));
        }
        assert!(message(b"GIF89a\x01\0\x01\0\0\0\0;").ends_with("PNG or JPEG image, but is Gif"));
    }

    #[test]
    fn a_picture_that_is_cut_short_is_refused() {
        let noise = |x: u32, y: u32| Rgb([x * 7, y * 31, x * y].map(|c| (c % 256) as u8));
        let image = DynamicImage::from(RgbImage::from_fn(64, 64, noise));
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            read(&bytes);
            for length in (8..bytes.len() - 12).step_by(97) {
                let result = decode(&bytes[..length], Path::new("picture.png"));
                assert!(result.is_err(), "{format:?}: {length} of {}", bytes.len());
            }
        }
    }
}
