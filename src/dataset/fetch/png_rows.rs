//! The npm package's images as records: each row of the PNG is an image, each pixel of the row its red, green and blue.

use std::io::{self, Cursor, Read};
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, Limits, Reader};

use crate::dataset::cifar10::{self, CHANNELS, DIMS, PLANE, RECORD_BYTES};
use crate::error::{Error, Result};

/// What the decoder may use beside the rows it gives: far more than a row of 3072 bytes needs.
const DECODER_BYTES: usize = 4 << 20;

/// Gives the records of an image, one row after the other.
pub(super) struct Records<'a> {
    rows: Reader<Cursor<&'a [u8]>>,
    labels: std::slice::Iter<'a, u8>,
    record: Cursor<Vec<u8>>,
}

impl<'a> Records<'a> {
    /// Takes the PNG and the labels of its rows. `path` is what an error names.
    pub(super) fn new(png: &'a [u8], labels: &'a [u8], path: &Path) -> Result<Self> {
        let refuse = |reason: String| Error::format(path, reason);
        for (i, &label) in labels.iter().enumerate() {
            cifar10::checked_label(label, i, path)?;
        }
        let mut decoder = Decoder::new_with_limits(Cursor::new(png), Limits { bytes: DECODER_BYTES });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        // Everything is checked here, before a byte is reserved for the pixels.
        let header = decoder.read_header_info().map_err(|e| refuse(format!("not a PNG: {e}")))?;
        let found = format!(
            "{}x{} {:?} {:?} interlaced={}",
            header.width, header.height, header.color_type, header.bit_depth, header.interlaced
        );
        let expected = format!("{PLANE}x{} {:?} {:?} interlaced=false", labels.len(), ColorType::Rgb, BitDepth::Eight);
        if found != expected {
            return Err(refuse(format!("the PNG must be {expected}, but is {found}")));
        }
        let rows = decoder.read_info().map_err(|e| refuse(format!("the PNG is damaged: {e}")))?;
        Ok(Self { rows, labels: labels.iter(), record: Cursor::default() })
    }
}

impl Read for Records<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.record.position() as usize == self.record.get_ref().len() {
            let Some(&label) = self.labels.next() else {
                return Ok(0);
            };
            let row = self
                .rows
                .next_row()?
                .filter(|row| row.data().len() == DIMS.features)
                .ok_or_else(|| io::Error::other("the PNG ends early"))?;
            let mut record = std::mem::take(&mut self.record).into_inner();
            planes(label, row.data(), &mut record);
            self.record = Cursor::new(record);
        }
        self.record.read(buffer)
    }
}

/// A record of `row`, whose pixels hold their three channels side by side: the label, then plane by plane.
fn planes(label: u8, row: &[u8], record: &mut Vec<u8>) {
    record.clear();
    record.reserve_exact(RECORD_BYTES);
    record.push(label);
    for channel in 0..CHANNELS {
        record.extend(row.iter().skip(channel).step_by(CHANNELS));
    }
}
