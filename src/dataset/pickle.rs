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

#[cfg(test)]
mod tests {
    use super::*;

    /// A string of bytes whose length takes four bytes.
    fn long(bytes: &[u8]) -> Vec<u8> {
        [b"T", &(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
    }

    fn pixels() -> Vec<u8> {
        (0..3072).map(|i| (i % 251) as u8).collect()
    }

    /// A pickle of one image, with `labels` after their key and `noise` between labels and pixels.
    fn pickle(labels: &[u8], noise: &[u8]) -> Vec<u8> {
        [b"\x80\x02}(U\x06labels](", labels, b"eU\x04data", noise, &long(&pixels()), b"u."].concat()
    }

    fn read(pickle: &[u8]) -> Result<Vec<u8>> {
        records(pickle, 1, Path::new("test"))
    }

    fn refusal(pickle: &[u8]) -> String {
        read(pickle).unwrap_err().to_string()
    }

    #[test]
    fn a_label_is_an_integer_of_one_two_or_four_bytes() {
        let expected = [&[7], &pixels()[..]].concat();
        for label in [&b"K\x07"[..], b"M\x07\0", b"J\x07\0\0\0"] {
            assert_eq!(read(&pickle(label, b"")).unwrap(), expected);
        }
        // The offset is that of the byte after it.
        for (label, offset, found) in [(&b"K\x0a"[..], 16, 10), (b"M\0\x01", 17, 255), (b"J\xff\xff\xff\xff", 19, 255)]
        {
            let message = format!("data file test: the label at byte {offset} must be 0 to 9, but is {found}");
            assert_eq!(refusal(&pickle(label, b"")), message);
        }
    }

    /// The lengths of the arguments are those of Python's `pickletools`. None of them begins with the code of an instruction.
    #[test]
    fn each_instruction_is_passed_over_with_its_arguments() {
        let arguments: [(&[u8], &[u8]); 14] = [
            (b"K", b"\xff"),
            (b"M", b"\xff\xff"),
            (b"J", b"\xff\xff\xff\xff"),
            (b"UC\x8c", b"\x02\xff\xff"),
            (b"TBX", b"\x02\0\0\0\xff\xff"),
            (b"\x8d\x8e\x96", b"\x02\0\0\0\0\0\0\0\xff\xff"),
            (b"\x8a", b"\x03\xff\xff\xff"),
            (b"c", b"\xff\n\xff\xff\n"),
            (b"c", b"\n\n"),
            (b"()]}NabeldRstu", b""),
            (b"\x81\x85\x86\x87\x88\x89\x93\x94\x97\x98", b""),
            (b"\x80hq", b"\xff"),
            (b"jr", b"\xff\xff\xff\xff"),
            (b"\x95", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        ];
        let expected = read(&pickle(b"K\x03", b"")).unwrap();
        for (codes, arguments) in arguments {
            for &code in codes {
                let noise = [&[code], arguments].concat();
                assert_eq!(read(&pickle(b"K\x03", &noise)).unwrap(), expected, "{noise:x?}");
            }
        }
    }

    #[test]
    fn other_instructions_are_refused_with_their_place() {
        for code in *b"iILSVPpg012FGOQ~\n\0\x82\x83\x84\x8b\x8f\x90\x91\x92\x99\xff" {
            let found = format!(
                "test: expected a pickle of CIFAR-10's Python version, but the byte {code:#04x} at offset 2 is no \
                 instruction of a data set"
            );
            assert_eq!(refusal(&[0x80, 2, code, 0]), found);
        }
        let cut = "test: expected a pickle of CIFAR-10's Python version, but it is cut off";
        let endless = [b"\x8e", &u64::MAX.to_le_bytes()[..]].concat();
        for pickle in [&b""[..], b"(", b"M\x01", b"U\x03ab", b"cos\n", b"cos\nsystem", &endless] {
            assert_eq!(refusal(pickle), cut, "{pickle:x?}");
        }
    }

    #[test]
    fn labels_are_the_integers_after_their_key_and_before_the_next() {
        let expected = [&[4], &pixels()[..]].concat();
        // Of integers elsewhere, of a long one and of a key with another name, none is a label.
        let elsewhere = [b"K\x09U\x06label_K\x09", &pickle(b"\x8a\x01\x09K\x04", b"K\x09")[..]].concat();
        assert_eq!(read(&elsewhere).unwrap(), expected);
        // The pixels may come first.
        let reversed = [&long(&pixels())[..], b"X\x06\0\0\0labelsK\x04."].concat();
        assert_eq!(read(&reversed).unwrap(), expected);
        // A long integer is no key, and one that spells the key is none either.
        assert_eq!(read(&pickle(b"K\x04", b"\x8a\x06labelsK\x05")).unwrap(), expected);
        // Bytes of another length are no pixels; of two arrays of the right one, the last counts.
        let more = [&long(&[1; 3071])[..], &long(&[2; 3072]), &long(&[3; 3073])].concat();
        assert_eq!(read(&pickle(b"K\x04", &more)).unwrap(), expected);
    }

    #[test]
    fn a_wrong_number_of_labels_or_pixels_is_refused_with_both() {
        let wanted = "test: expected a pickled dictionary with `labels` with 1 integers and 3072 bytes of pixels, but";
        assert_eq!(refusal(&pickle(b"", b"")), format!("{wanted} there are 0 labels"));
        assert_eq!(refusal(&pickle(b"K\x01K\x02", b"")), format!("{wanted} there are 2 labels"));
        assert_eq!(refusal(b"."), format!("{wanted} there are no such bytes"));
        let two = [b"U\x06labelsK\x01K\x02", &long(&[pixels(), vec![9; 3072]].concat())[..], b"."].concat();
        assert_eq!(refusal(&two), format!("{wanted} there are no such bytes"));
        let expected = [&[1], &pixels()[..], &[2], &[9; 3072]].concat();
        assert_eq!(records(&two, 2, Path::new("test")).unwrap(), expected);
    }

    #[test]
    fn a_pickle_may_be_a_quarter_longer_than_its_records() {
        assert_eq!([0, 4, 3073, 30_730_000].map(max_bytes), [0, 5, 3841, 38_412_500]);
        assert_eq!(
            ["data_batch_1.bin", "test.bin", "test", "bin"].map(file_name),
            ["data_batch_1", "test", "test", "bin"]
        );
    }
}
