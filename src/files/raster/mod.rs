//! Decodes pictures: PNG and JPEG files of any size, colours and orientation.

mod exif;
#[cfg(test)]
pub(crate) mod tests;

use std::cell::Cell;
use std::io::{Cursor, ErrorKind};
use std::panic::{self, AssertUnwindSafe};

use png::{Limits, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::kind;

pub use exif::Orientation;

/// Maximum number of pixels of a picture that is decoded: 8192×8192.
pub const MAX_PIXELS: usize = 1 << 26;
/// Size of a pixel with four channels of 16 bits, the most that a PNG has.
const MAX_PIXEL_BYTES: usize = 8;

/// A format that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// A file of the Joint Photographic Experts Group.
    Jpeg,
}

/// The reason, with advice, if a file ends too early.
const CUT_SHORT: &str = "the file ends before the image does: copy or save it again";
/// Advice for a file that cannot be decoded.
const SAVE_AGAIN: &str = "save it again in another program, as PNG with 8 bits per channel";

impl Format {
    /// The format of `bytes` by its first ones.
    ///
    /// # Errors
    ///
    /// The reason why they cannot be decoded, as a sentence about the file.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        if bytes.starts_with(kind::PNG) {
            return Ok(Self::Png);
        }
        if bytes.starts_with(kind::JPEG) {
            return Ok(Self::Jpeg);
        }
        Err(format!("must be a PNG or JPEG image, but {}", kind::describe(bytes)))
    }
}

/// A file whose header has been read, but whose pixels have not.
pub struct Decoder<'a> {
    /// Width and height.
    size: (usize, usize),
    file: File<'a>,
}

/// The decoders of both formats.
enum File<'a> {
    Png(Box<png::Decoder<Cursor<&'a [u8]>>>),
    Jpeg(Box<JpegDecoder<ZCursor<&'a [u8]>>>),
}

impl<'a> Decoder<'a> {
    /// Reads the header of `bytes`.
    ///
    /// # Errors
    ///
    /// The reason, on one line, if they are damaged or not in this `format`.
    pub fn new(bytes: &'a [u8], format: Format) -> Result<Self, String> {
        match format {
            Format::Png => Self::of_png(bytes),
            Format::Jpeg => Self::of_jpeg(bytes),
        }
    }

    fn of_png(bytes: &'a [u8]) -> Result<Self, String> {
        let limits = Limits { bytes: MAX_PIXELS * MAX_PIXEL_BYTES };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
        // Palettes become colours, and a channel has at least 8 bits.
        decoder.set_transformations(Transformations::EXPAND);
        let (width, height) = decoder.read_header_info().map_err(png_reason)?.size();
        Ok(Self { size: (width as usize, height as usize), file: File::Png(Box::new(decoder)) })
    }

    fn of_jpeg(bytes: &'a [u8]) -> Result<Self, String> {
        if is_cut_short(bytes) {
            return Err(CUT_SHORT.into());
        }
        // The decoder's own limits are too small for a panorama; `decode` has one for the number of pixels.
        let options = DecoderOptions::default().set_strict_mode(false);
        let options = options.set_max_width(usize::MAX).set_max_height(usize::MAX);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(jpeg_reason)?;
        let size = decoder.dimensions().expect("the headers have been read");
        Ok(Self { size, file: File::Jpeg(Box::new(decoder)) })
    }

    /// Width and height of the picture as it is stored, in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Decodes the pixels.
    ///
    /// # Errors
    ///
    /// The reason, on one line, if they are damaged, or there are more than [`MAX_PIXELS`].
    pub fn decode(self) -> Result<Raster, String> {
        let (width, height) = self.size;
        if width.checked_mul(height).is_none_or(|pixels| pixels > MAX_PIXELS) {
            return Err(format!("a picture must have at most {MAX_PIXELS} pixels, but this one has {width}×{height}"));
        }
        // png 0.18 panics on a palette that ends within a colour, and zune-jpeg 0.5 on some files whose first component
        // has fewer samples than another one. Nothing of theirs is used after a panic.
        let decode = AssertUnwindSafe(|| match self.file {
            File::Png(decoder) => decode_png(*decoder),
            File::Jpeg(decoder) => decode_jpeg(*decoder),
        });
        DECODING.set(true);
        let decoded = panic::catch_unwind(decode);
        DECODING.set(false);
        decoded.unwrap_or_else(|_| Err(format!("the decoder fails on it: {SAVE_AGAIN}")))
    }
}

thread_local! {
    /// True while this thread decodes a picture.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the process from reporting a decoder's panic, which [`Decoder::decode`] catches and turns into an error. All other
/// panics are reported as before.
pub fn silence_caught_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !DECODING.get() {
            report(info);
        }
    }));
}

fn decode_png(decoder: png::Decoder<Cursor<&[u8]>>) -> Result<Raster, String> {
    let mut reader = decoder.read_info().map_err(png_reason)?;
    let (color, depth) = reader.output_color_type();
    let info = reader.info();
    let (width, height) = info.size();
    let orientation = info.exif_metadata.as_ref().map(|block| Orientation::of(block)).unwrap_or_default();
    let mut samples = vec![0; reader.output_buffer_size().ok_or("has too many pixels")?];
    reader.next_frame(&mut samples).map_err(png_reason)?;
    Ok(Raster {
        size: (width as usize, height as usize),
        channels: color.samples(),
        sample_bytes: if depth == png::BitDepth::Sixteen { 2 } else { 1 },
        samples,
        orientation,
    })
}

fn decode_jpeg(mut decoder: JpegDecoder<ZCursor<&[u8]>>) -> Result<Raster, String> {
    // The decoder keeps grey as it is, and turns all other colours into RGB.
    let color = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(color));
    let orientation = decoder.exif().map(|block| Orientation::of(block)).unwrap_or_default();
    let size = decoder.dimensions().ok_or("has no size")?;
    let mut samples = vec![0; decoder.output_buffer_size().ok_or("has too many pixels")?];
    decoder.decode_into(&mut samples).map_err(jpeg_reason)?;
    Ok(Raster { size, channels: color.num_components(), sample_bytes: 1, samples, orientation })
}

/// The reason why a PNG cannot be decoded, and what to do.
fn png_reason(error: png::DecodingError) -> String {
    match error {
        png::DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => CUT_SHORT.into(),
        png::DecodingError::LimitsExceeded => format!("it needs too much memory: {SAVE_AGAIN}"),
        _ => format!("the file is damaged, or no valid PNG: {SAVE_AGAIN}"),
    }
}

/// The reason why a JPEG cannot be decoded, and what to do.
fn jpeg_reason(error: DecodeErrors) -> String {
    match error {
        DecodeErrors::Unsupported(_) => format!("it is of a rare kind of JPEG: {SAVE_AGAIN}"),
        _ => format!("the file is damaged, or no valid JPEG: {SAVE_AGAIN}"),
    }
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

/// A decoded picture.
pub struct Raster {
    /// Width and height as stored.
    size: (usize, usize),
    /// 1 for grey, 2 for grey with transparency, 3 for RGB, 4 for RGB with transparency.
    channels: usize,
    /// 1, or 2 in big-endian order.
    sample_bytes: usize,
    /// (height, width, `channels`, `sample_bytes`).
    samples: Vec<u8>,
    orientation: Orientation,
}

impl Raster {
    /// Width and height of the upright picture.
    pub fn size(&self) -> (usize, usize) {
        self.orientation.upright(self.size)
    }

    /// Red, green, blue and opacity of the pixel in column `x` and row `y` of the upright picture.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 4] {
        let (column, row) = self.orientation.stored((x, y), self.size);
        let start = (row * self.size.0 + column) * self.channels;
        let at = |channel: usize| self.sample(start + channel);
        match self.channels {
            1 => [at(0), at(0), at(0), 255],
            2 => [at(0), at(0), at(0), at(1)],
            3 => [at(0), at(1), at(2), 255],
            _ => [at(0), at(1), at(2), at(3)],
        }
    }

    /// Sample number `i`. One of 16 bits is rounded to the nearest of 8 bits.
    fn sample(&self, i: usize) -> u8 {
        if self.sample_bytes == 1 {
            return self.samples[i];
        }
        let sample = u16::from_be_bytes([self.samples[2 * i], self.samples[2 * i + 1]]);
        // 65535 is 257 × 255.
        ((u32::from(sample) + 128) / 257) as u8
    }
}
