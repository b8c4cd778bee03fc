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

/// The PNG of one grey pixel with another width and height in its header, whose checksum fits.
fn with_size(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png((1, 1), ColorType::Grayscale, BitDepth::One, &[0]);
    bytes[16..24].copy_from_slice(&[width.to_be_bytes(), height.to_be_bytes()].concat());
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    bytes
}

#[test]
fn a_picture_may_have_as_many_pixels_as_8192_by_8192() {
    let decode = |width, height| {
        let bytes = with_size(width, height);
        let decoder = Decoder::new(&bytes, Format::Png).unwrap();
        assert_eq!(decoder.size(), (width as usize, height as usize));
        decoder.decode().err().unwrap()
    };
    // The pixels are missing, which is noticed when they are decoded.
    let missing = format!("the file is damaged, or no valid PNG: {SAVE_AGAIN}");
    assert_eq!([decode(8192, 8192), decode(1 << 26, 1)], [missing.clone(), missing]);
    for (width, height) in [((1 << 26) + 1, 1), (8192, 8193), (i32::MAX as u32, i32::MAX as u32)] {
        let reason = format!("a picture must have at most 67108864 pixels, but this one has {width}×{height}");
        assert_eq!(decode(width, height), reason);
    }
}

#[test]
fn the_size_is_known_before_the_pixels_are_decoded() {
    let of_png = png((3, 2), ColorType::Grayscale, BitDepth::Eight, &[0; 6]);
    let of_jpeg = jpeg((20, 12), jpeg_encoder::ColorType::Luma, &[0; 240]);
    for (bytes, format, size) in [(of_png, Format::Png, (3, 2)), (of_jpeg, Format::Jpeg, (20, 12))] {
        assert_eq!(Format::of(&bytes).unwrap(), format);
        assert_eq!(Decoder::new(&bytes, format).unwrap().size(), size);
    }
}

/// Three channels would take three times the memory.
#[test]
fn a_grey_jpeg_has_one_channel_and_a_coloured_one_three() {
    let decode = |color, pixel: &[u8]| decode(&flat(color, pixel, SamplingFactor::R_4_4_4, false));
    let grey = decode(jpeg_encoder::ColorType::Luma, &[100]);
    assert_eq!((grey.channels, grey.sample_bytes, grey.samples.len()), (1, 1, 240));
    let colour = decode(jpeg_encoder::ColorType::Rgb, &[100, 0, 0]);
    assert_eq!((colour.channels, colour.sample_bytes, colour.samples.len()), (3, 1, 720));
}

#[test]
fn a_damaged_file_and_a_rare_one_have_reasons_of_their_own() {
    let reason = |bytes: &[u8]| {
        let decoder = Decoder::new(bytes, Format::of(bytes).unwrap());
        decoder.and_then(Decoder::decode).err().unwrap()
    };
    let mut bytes = png((4, 1), ColorType::Grayscale, BitDepth::Eight, &[1, 2, 3, 4]);
    bytes[29] ^= 1;
    assert_eq!(reason(&bytes), format!("the file is damaged, or no valid PNG: {SAVE_AGAIN}"));
    assert_eq!(png_reason(png::DecodingError::LimitsExceeded), format!("it needs too much memory: {SAVE_AGAIN}"));
    let whole = jpeg((20, 12), jpeg_encoder::ColorType::Luma, &[100; 240]);
    let frame = whole.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let lossless = DecodeErrors::Unsupported(zune_jpeg::errors::UnsupportedSchemes::LosslessHuffman);
    assert_eq!(jpeg_reason(lossless), format!("it is of a rare kind of JPEG: {SAVE_AGAIN}"));
    // No component.
    let mut damaged = whole;
    damaged[frame + 9] = 0;
    assert_eq!(reason(&damaged), format!("the file is damaged, or no valid JPEG: {SAVE_AGAIN}"));
}

/// Only the panics of this thread are counted: other tests run at the same time.
#[test]
fn a_panic_of_a_decoder_is_not_reported_and_any_other_is() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let reported = Arc::new(AtomicUsize::new(0));
    let (counter, this) = (Arc::clone(&reported), std::thread::current().id());
    let before = Arc::new(panic::take_hook());
    let report = Arc::clone(&before);
    panic::set_hook(Box::new(move |info| match std::thread::current().id() == this {
        true => drop(counter.fetch_add(1, Ordering::SeqCst)),
        false => report(info),
    }));
    silence_caught_panics();
    let palette = |encoder: &mut png::Encoder<&mut Vec<u8>>| encoder.set_palette(vec![0; 4]);
    let bytes = encode((1, 1), ColorType::Indexed, BitDepth::One, &[0], palette);
    let refused = Decoder::new(&bytes, Format::Png).unwrap().decode().is_err();
    let of_decoder = reported.load(Ordering::SeqCst);
    let caught = panic::catch_unwind(|| panic!("any other")).is_err();
    let of_both = reported.load(Ordering::SeqCst);
    panic::set_hook(Box::new(move |info| before(info)));
    assert_eq!((refused, caught), (true, true));
    assert_eq!((of_decoder, of_both), (0, 1));
}

#[test]
fn each_pixel_has_its_place_with_any_number_of_channels() {
    // The sample of channel c in column x and row y is 100·y + 10·x + c.
    for (channels, expected) in [
        (1, [[110, 110, 110, 255], [120, 120, 120, 255]]),
        (2, [[110, 110, 110, 111], [120, 120, 120, 121]]),
        (3, [[110, 111, 112, 255], [120, 121, 122, 255]]),
        (4, [[110, 111, 112, 113], [120, 121, 122, 123]]),
    ] {
        for sample_bytes in [1, 2] {
            let samples = (0..2u8).flat_map(|y| (0..3u8).map(move |x| 100 * y + 10 * x));
            let samples =
                samples.flat_map(|start| (start..start + channels).flat_map(|s| vec![s; sample_bytes])).collect();
            let orientation = Orientation::default();
            let picture = Raster { size: (3, 2), channels: channels.into(), sample_bytes, samples, orientation };
            assert_eq!(picture.size(), (3, 2));
            assert_eq!([picture.pixel(1, 1), picture.pixel(2, 1)], expected, "{channels} of {sample_bytes}");
            assert_eq!(picture.pixel(0, 0)[0], 0);
        }
    }
}

#[test]
fn markers_without_a_segment_and_fill_bytes_do_not_end_a_jpeg() {
    let end = [0xff, 0xd9];
    let start = [0xff, 0xd8];
    let restarts = (0xd0..=0xd7).flat_map(|marker| [0xff, marker]).collect::<Vec<u8>>();
    let bodies: [&[u8]; 8] = [
        &[],
        &restarts,
        // A data byte FF, a temporary marker, fill bytes, and another start.
        &[0xff, 0x00, 0xff, 0x00, 0xd9],
        &[0xff, 0x01, 0xd9],
        &[0xff, 0xff, 0xff],
        &[0xff, 0xd8],
        &[0xd9, 0xd9, 0xff, 0x00],
        // A segment of its length alone, and one with FF D9 as its last bytes.
        &[0xff, 0xdd, 0, 2, 0xff, 0xfe, 0, 4, 0xff, 0xd9],
    ];
    for body in bodies {
        let whole = [&start[..], body, &end].concat();
        assert!(!is_cut_short(&whole), "{body:x?}");
        assert!(!is_cut_short(&[&whole[..], b"more"].concat()), "{body:x?}");
        for length in 0..whole.len() {
            assert!(is_cut_short(&whole[..length]), "{length} of {body:x?}");
        }
    }
    // The length of a segment reaches beyond the end mark.
    assert!(is_cut_short(&[0xff, 0xd8, 0xff, 0xe1, 0, 5, 0xff, 0xd9]));
    assert!(!is_cut_short(&[0xff, 0xd8, 0xff, 0xe1, 0, 2, 0xff, 0xd9]));
}

#[test]
fn a_block_of_nine_megabytes_beside_a_picture_does_no_harm() {
    let mut info = png::Info::with_size(1, 1);
    info.exif_metadata = Some(vec![0; 9 << 20].into());
    (info.color_type, info.bit_depth) = (ColorType::Grayscale, BitDepth::Eight);
    let mut bytes = Vec::new();
    let writer = png::Encoder::with_info(&mut bytes, info).unwrap().write_header();
    writer.unwrap().write_image_data(&[7]).unwrap();
    assert!(bytes.len() > 9 << 20);
    assert_eq!(decode(&bytes).pixel(0, 0), [7, 7, 7, 255]);
}
