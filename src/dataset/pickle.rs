//! The Python version of CIFAR-10: each file is a pickled dictionary with the labels, a list of integers, and the pixels, an
//! array of bytes.
//!
//! A pickle is a program for a stack machine, which can build any object and call any function. Here it is not run: its
//! instructions are read one after the other, and the integers and strings of bytes that they push are looked at. That is
//! enough, since the records that come out are accepted only if they have the published digest.
//!
//! The instructions are those of the module `pickletools` of Python's library.

use std::path::Path;

use super::cifar10::{self, DIMS, RECORD_BYTES};
use crate::error::{Error, Result};

/// Name of the file that holds the records of `name`, such as `data_batch_1.bin`.
pub(super) fn file_name(name: &str) -> &str {
    name.strip_suffix(".bin").unwrap_or(name)
}

/// Maximum size of the pickle of a file of `records` bytes. Names of the images and labels take a hundredth of it.
pub(super) fn max_bytes(records: u64) -> u64 {
    records * 5 / 4
}

/// The `count` records of `pickle`. Errors name `path` as the file.
pub(super) fn records(pickle: &[u8], count: usize, path: &Path) -> Result<Vec<u8>> {
    let mut labels = Vec::new();
    let mut pixels = None;
    let mut is_label = false;
    let mut instructions = Instructions { bytes: pickle, at: 0, path };
    while let Some(pushed) = instructions.next()? {
        match pushed {
            Pushed::Integer(label) if is_label => {
                let label = u8::try_from(label).unwrap_or(u8::MAX);
                labels.push(cifar10::checked_label(label, instructions.at, path)?);
            }
            Pushed::Bytes(bytes) => {
                // The list of labels follows its key, and ends before the next key.
                is_label = bytes == b"labels";
                if bytes.len() == count * DIMS.features {
                    pixels = Some(bytes);
                }
            }
            Pushed::Integer(_) | Pushed::Nothing => {}
        }
    }
    let refuse = |found: String| {
        let expected = format!("`labels` with {count} integers and {} bytes of pixels", count * DIMS.features);
        Error::format(path, format!("expected a pickled dictionary with {expected}, but {found}"))
    };
    let pixels = pixels.ok_or_else(|| refuse("there are no such bytes".into()))?;
    if labels.len() != count {
        return Err(refuse(format!("there are {} labels", labels.len())));
    }
    let mut records = Vec::with_capacity(count * RECORD_BYTES);
    for (label, pixels) in labels.into_iter().zip(pixels.chunks_exact(DIMS.features)) {
        records.push(label);
        records.extend(pixels);
    }
    Ok(records)
}

/// What an instruction pushes onto the stack.
enum Pushed<'a> {
    Integer(i32),
    /// Bytes, or text as bytes.
    Bytes(&'a [u8]),
    /// Something else, or nothing.
    Nothing,
}

/// The instructions of a pickle.
struct Instructions<'a> {
    bytes: &'a [u8],
    at: usize,
    path: &'a Path,
}

impl<'a> Instructions<'a> {
    /// Reads an instruction; `None` for the one that ends the pickle.
    fn next(&mut self) -> Result<Option<Pushed<'a>>> {
        let (start, code) = (self.at, self.number(1)?);
        Ok(Some(match code as u8 {
            b'.' => return Ok(None),
            b'K' => Pushed::Integer(self.number(1)? as i32),
            b'M' => Pushed::Integer(self.number(2)? as i32),
            b'J' => Pushed::Integer(self.number(4)? as i32),
            // Strings, bytes and texts whose length takes 1, 4 or 8 bytes.
            b'U' | b'C' | 0x8c => self.counted(1)?,
            b'T' | b'B' | b'X' => self.counted(4)?,
            0x8d | 0x8e | 0x96 => self.counted(8)?,
            // Long integers.
            0x8a => self.counted(1).map(|_| Pushed::Nothing)?,
            // The module and the name of a function, each on a line.
            b'c' => self.line().and_then(|_| self.line())?,
            // Marks, tuples, lists, dictionaries, calls and what fills them: no arguments.
            b'(' | b')' | b']' | b'}' | b'N' | b'a' | b'b' | b'e' | b'l' | b'd' | b'R' | b's' | b't' | b'u' => {
                Pushed::Nothing
            }
            0x81 | 0x85..=0x89 | 0x93 | 0x94 | 0x97 | 0x98 => Pushed::Nothing,
            // The version, and places of the memo.
            0x80 | b'h' | b'q' => self.argument(1)?,
            b'j' | b'r' => self.argument(4)?,
            // The length of a frame.
            0x95 => self.argument(8)?,
            code => {
                let found = format!("the byte {code:#04x} at offset {start} is no instruction of a data set");
                return Err(self.refuse(&found));
            }
        }))
    }

    fn argument(&mut self, size: usize) -> Result<Pushed<'a>> {
        self.number(size).map(|_| Pushed::Nothing)
    }

    fn counted(&mut self, size: usize) -> Result<Pushed<'a>> {
        let length = self.number(size)?;
        Ok(Pushed::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?))
    }

    fn line(&mut self) -> Result<Pushed<'a>> {
        let end = self.bytes[self.at..].iter().position(|&byte| byte == b'\n');
        self.take(end.map_or(usize::MAX, |end| end + 1)).map(|_| Pushed::Nothing)
    }

    /// A little-endian number of `size` bytes.
    fn number(&mut self, size: usize) -> Result<u64> {
        Ok(self.take(size)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(size);
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| self.refuse("it is cut off"))?;
        self.at += size;
        Ok(taken)
    }

    fn refuse(&self, found: &str) -> Error {
        Error::format(self.path, format!("expected a pickle of CIFAR-10's Python version, but {found}"))
    }
}
