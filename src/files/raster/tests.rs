use jpeg_encoder::{Encoder, SamplingFactor};
use png::{BitDepth, ColorType};

use super::*;

/// The PNG of `samples`.
pub fn png(size: (u32, u32), color: ColorType, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    encode(size, color, depth, samples, |_| ())
}

fn encode(
    (width, height): (u32, u32),
    color: ColorType,
    depth: BitDepth,
    samples: &[u8],
    set: impl FnOnce(&mut png::Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    set(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(samples).unwrap();
    writer.finish().unwrap();
    bytes
}

/// The JPEG of `samples` in the best quality.
pub fn jpeg((width, height): (u16, u16), color: jpeg_encoder::ColorType, samples: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 100).encode(samples, width, height, color).unwrap();
    bytes
}

fn decode(bytes: &[u8]) -> Raster {
    Decoder::new(bytes, Format::of(bytes).unwrap()).unwrap().decode().unwrap()
}

/// The pixels of a picture of 4×1.
fn row(bytes: &[u8]) -> [[u8; 4]; 4] {
    let picture = decode(bytes);
    assert_eq!(picture.size(), (4, 1));
    [0, 1, 2, 3].map(|x| picture.pixel(x, 0))
}

fn grey(values: [u8; 4]) -> [[u8; 4]; 4] {
    values.map(|value| [value, value, value, 255])
}

#[test]
fn grey_of_every_depth_goes_from_0_to_255() {
    let size = (4, 1);
    let of = |depth, samples: &[u8]| row(&png(size, ColorType::Grayscale, depth, samples));
    assert_eq!(of(BitDepth::One, &[0b0110_0000]), grey([0, 255, 255, 0]));
    assert_eq!(of(BitDepth::Two, &[0b0001_1011]), grey([0, 85, 170, 255]));
    assert_eq!(of(BitDepth::Four, &[0x01, 0xef]), grey([0, 17, 238, 255]));
    assert_eq!(of(BitDepth::Eight, &[0, 1, 254, 255]), grey([0, 1, 254, 255]));
    // 128 and 129 of 65535 are on both sides of half of a 255th.
    assert_eq!(of(BitDepth::Sixteen, &[0, 0, 0, 128, 0, 129, 255, 255]), grey([0, 0, 1, 255]));
}

#[test]
fn colours_of_a_palette_and_a_transparent_colour_are_expanded() {
    let palette = |encoder: &mut png::Encoder<&mut Vec<u8>>| {
        encoder.set_palette(vec![1, 2, 3, 4, 5, 6, 7, 8, 9]);
        encoder.set_trns(vec![0, 128]);
    };
    let indexed = encode((4, 1), ColorType::Indexed, BitDepth::Two, &[0b0001_1000], palette);
    assert_eq!(row(&indexed), [[1, 2, 3, 0], [4, 5, 6, 128], [7, 8, 9, 255], [1, 2, 3, 0]]);
    let samples = [1, 2, 3, 1, 2, 4, 1, 2, 3, 9, 9, 9];
    let keyed = encode((4, 1), ColorType::Rgb, BitDepth::Eight, &samples, |encoder| {
        encoder.set_trns(vec![0, 1, 0, 2, 0, 3]);
    });
    assert_eq!(row(&keyed), [[1, 2, 3, 0], [1, 2, 4, 255], [1, 2, 3, 0], [9, 9, 9, 255]]);
}

/// A JPEG of 20×12 equal pixels.
fn flat(color: jpeg_encoder::ColorType, pixel: &[u8], sampling: SamplingFactor, progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 100);
    encoder.set_progressive(progressive);
    encoder.set_sampling_factor(sampling);
    encoder.encode(&pixel.repeat(20 * 12), 20, 12, color).unwrap();
    bytes
}

#[test]
fn a_file_that_a_decoder_panics_on_is_refused() {
    // Black has more samples than the other inks, and each has a scan of its own.
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 100);
    encoder.set_sampling_factor(SamplingFactor::R_4_1_0);
    let samples: Vec<u8> = (0..4 * 101 * 20).map(|i| (i * i % 251) as u8).collect();
    encoder.encode(&samples, 101, 20, jpeg_encoder::ColorType::Cmyk).unwrap();
    // A palette of a colour and a third.
    let palette = |encoder: &mut png::Encoder<&mut Vec<u8>>| encoder.set_palette(vec![0; 4]);
    let png = encode((1, 1), ColorType::Indexed, BitDepth::One, &[0], palette);
    for bytes in [jpeg, png] {
        let decoder = Decoder::new(&bytes, Format::of(&bytes).unwrap()).unwrap();
        let reason = decoder.decode().err();
        assert!(reason.as_ref().is_some_and(|reason| reason.starts_with("the decoder fails on it")), "{reason:?}");
    }
}

#[test]
fn every_kind_of_jpeg_has_the_colours_of_its_file() {
    use jpeg_encoder::ColorType::{Cmyk, CmykAsYcck, Luma, Rgb};
    // Files of four components have the inks inverted, as Adobe writes them.
    let kinds: [(_, &[u8], [u8; 3], _); 5] = [
        (Luma, &[100], [100, 100, 100], SamplingFactor::R_4_4_4),
        (Rgb, &[200, 100, 50], [200, 100, 50], SamplingFactor::R_4_4_4),
        (Rgb, &[200, 100, 50], [200, 100, 50], SamplingFactor::R_4_2_0),
        (Cmyk, &[55, 155, 205, 0], [200, 100, 50], SamplingFactor::R_4_4_4),
        (CmykAsYcck, &[55, 155, 205, 0], [200, 100, 50], SamplingFactor::R_4_4_4),
    ];
    for (color, pixel, expected, sampling) in kinds {
        for progressive in [false, true] {
            let picture = decode(&flat(color, pixel, sampling, progressive));
            assert_eq!(picture.size(), (20, 12));
            let [found @ .., opacity] = picture.pixel(19, 11);
            let near = found.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) <= 2);
            assert!(near && opacity == 255, "{color:?}, {sampling:?}: {found:?}, expected {expected:?}");
        }
    }
}

#[test]
fn the_orientation_of_both_formats_is_applied() {
    // 2×1 pixels, black and white, to be rotated by 90 degrees to the right.
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
    let mut info = png::Info::with_size(2, 1);
    info.exif_metadata = Some(exif[..].into());
    (info.color_type, info.bit_depth) = (ColorType::Grayscale, BitDepth::Eight);
    let mut png = Vec::new();
    let writer = png::Encoder::with_info(&mut png, info).unwrap().write_header();
    writer.unwrap().write_image_data(&[0, 255]).unwrap();
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 100);
    encoder.add_exif_metadata(exif).unwrap();
    encoder.encode(&[0, 255], 2, 1, jpeg_encoder::ColorType::Luma).unwrap();
    for bytes in [png, jpeg] {
        let picture = decode(&bytes);
        assert_eq!(picture.size(), (1, 2));
        assert_eq!([picture.pixel(0, 0)[0], picture.pixel(0, 1)[0]], [0, 255]);
    }
}

#[test]
fn other_formats_are_named() {
    for (start, name) in [
        (&b"GIF87a\x01\0"[..], "a GIF image"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
        (b"BM\x46\0\0", "a BMP image"),
        (b"II*\0\x08", "a TIFF image"),
        (b"MM\0*\0", "a TIFF image"),
        (b"\0\0\0\x20ftypavif", "an AVIF image"),
        (b"\0\0\0\x20ftypheic", "a HEIC image"),
    ] {
        let reason = Format::of(start).unwrap_err();
        assert_eq!(reason, format!("must be a PNG or JPEG image, but looks like {name}"));
    }
    assert!(Format::of(b"RIFF").unwrap_err().ends_with("looks like text that begins with \"RIFF\""));
}

#[test]
fn the_end_mark_of_a_thumbnail_is_not_that_of_the_picture() {
    // Two segments with a length each, the second with the end mark in it; a scan; the end.
    let segments = [&[0xff, 0xe0, 0, 4, 1, 2][..], &[0xff, 0xe1, 0, 8, 0xff, 0xd9, 0, 0, 0, 0]].concat();
    let scan = [0xff, 0xda, 0, 2, 5, 0xff, 0, 6, 0xff, 0xd0, 7];
    let start = [0xff, 0xd8];
    let whole = [&start[..], &segments, &scan, &[0xff, 0xd9]].concat();
    assert!(!is_cut_short(&whole));
    for length in 0..whole.len() {
        assert!(is_cut_short(&whole[..length]), "{length}");
    }
}
