//! Arrays in NumPy's `.npy` format, versions 1.0, 2.0 and 3.0
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>): a Python dictionary as the header, then the
//! elements. Reads integers, `float32` and `float64`, in C or Fortran order and either byte order, and single strings.
//!
//! The bytes may come from anywhere: every size that they declare is checked before memory is allocated for it. Errors
//! are the reason alone, on one line.

use super::kind;
use crate::shape::shape_text;

/// Maximum size of the header, in bytes; NumPy's own `max_header_size`.
const MAX_HEADER_BYTES: usize = 10_000;

/// Maximum size of a string, in bytes; NumPy stores four per character.
const MAX_TEXT_BYTES: usize = 4096;

/// The first bytes of every file.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The sum of the lengths of header and bytes before it is a multiple of this in a file that is written, as in NumPy's.
const ALIGNMENT: usize = 64;

/// An array read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T = f64> {
    /// The length of each dimension, slowest first.
    pub shape: Vec<usize>,
    /// The elements in C order (row-major), whatever order the file has them in.
    pub values: Vec<T>,
}

/// The elements of an array to write, in C order.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// `float32`.
    F32(&'a [f32]),
    /// `float64`.
    F64(&'a [f64]),
    /// `int64`.
    I64(&'a [i64]),
    /// A single string.
    Text(&'a str),
}

impl Elements<'_> {
    /// Their number.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Text(_) => 1,
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads a file of `float32` or `float64`, which must end where `bytes` end.
///
/// # Errors
///
/// The reason why `bytes` is not such a file.
pub fn floats(bytes: &[u8]) -> Result<Array, String> {
    let file = File::parse(bytes)?;
    match file.descr {
        "<f4" => file.array(|b| f64::from(f32::from_le_bytes(b))),
        ">f4" => file.array(|b| f64::from(f32::from_be_bytes(b))),
        "<f8" => file.array(f64::from_le_bytes),
        ">f8" => file.array(f64::from_be_bytes),
        found => Err(format!("must be float32 or float64, but is {}", type_name(found))),
    }
}

/// Reads a file of `int64`, which must end where `bytes` end.
///
/// # Errors
///
/// The reason why `bytes` is not such a file.
pub fn integers(bytes: &[u8]) -> Result<Array<i64>, String> {
    let file = File::parse(bytes)?;
    match file.descr {
        "<i8" => file.array(i64::from_le_bytes),
        ">i8" => file.array(i64::from_be_bytes),
        found => Err(format!("must be int64, but is {}", type_name(found))),
    }
}

/// Reads a file of integers or floating-point numbers of any width, which must end where `bytes` end. Integers beyond 2⁵³ are
/// rounded.
///
/// # Errors
///
/// The reason why `bytes` is not such a file.
pub fn numbers(bytes: &[u8]) -> Result<Array, String> {
    let file = File::parse(bytes)?;
    match file.descr {
        "|i1" => file.array(|b| i8::from_le_bytes(b).into()),
        "|u1" => file.array(|b| u8::from_le_bytes(b).into()),
        "<i2" => file.array(|b| i16::from_le_bytes(b).into()),
        "<u2" => file.array(|b| u16::from_le_bytes(b).into()),
        "<i4" => file.array(|b| i32::from_le_bytes(b).into()),
        "<u4" => file.array(|b| u32::from_le_bytes(b).into()),
        "<i8" => file.array(|b| i64::from_le_bytes(b) as f64),
        "<u8" => file.array(|b| u64::from_le_bytes(b) as f64),
        ">i2" => file.array(|b| i16::from_be_bytes(b).into()),
        ">u2" => file.array(|b| u16::from_be_bytes(b).into()),
        ">i4" => file.array(|b| i32::from_be_bytes(b).into()),
        ">u4" => file.array(|b| u32::from_be_bytes(b).into()),
        ">i8" => file.array(|b| i64::from_be_bytes(b) as f64),
        ">u8" => file.array(|b| u64::from_be_bytes(b) as f64),
        "<f4" | ">f4" | "<f8" | ">f8" => floats(bytes),
        found => {
            let expected = if file.shape.is_empty() { "a number" } else { "numbers" };
            Err(format!("must be {expected}, but is {}", type_name(found)))
        }
    }
}

/// NumPy's name of the type `descr`, such as `int64`; what is none is quoted.
fn type_name(descr: &str) -> String {
    let number = descr.get(1..2).zip(descr.get(2..).and_then(|bytes| bytes.parse::<u32>().ok()));
    // NumPy writes the order of the bytes as one of these.
    let is_known = descr.starts_with(['<', '>', '|']);
    match number.filter(|_| is_known) {
        Some(("i", bytes @ ..=8)) => format!("int{}", 8 * bytes),
        Some(("u", bytes @ ..=8)) => format!("uint{}", 8 * bytes),
        Some(("f", bytes @ ..=16)) => format!("float{}", 8 * bytes),
        Some(("c", bytes @ ..=32)) => format!("complex{}", 8 * bytes),
        Some(("b", 1)) => "bool".into(),
        _ => match descr.get(1..2) {
            Some("O") => "object".into(),
            Some("U") => "text".into(),
            Some("S") => "bytes".into(),
            Some("M" | "m") => "a date or time".into(),
            _ => format!("'{descr}'"),
        },
    }
}

/// True if the file holds `float32`.
pub fn is_f32(bytes: &[u8]) -> bool {
    File::parse(bytes).is_ok_and(|file| matches!(file.descr, "<f4" | ">f4"))
}

/// Reads a file of a single string, as NumPy writes one.
///
/// # Errors
///
/// The reason why `bytes` is not such a file.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    let file = File::parse(bytes)?;
    let declared = file.descr.strip_prefix("<U").and_then(|width| width.parse::<usize>().ok());
    let is_string = declared.is_some_and(|width| width.checked_mul(4) == Some(file.data.len()))
        && file.shape.iter().all(|&n| n == 1)
        && file.data.len() <= MAX_TEXT_BYTES;
    let found = type_name(file.descr);
    if !is_string {
        return Err(format!("must be a single string of at most {} characters, but is {found}", MAX_TEXT_BYTES / 4));
    }
    let characters = file.data.as_chunks().0.iter();
    let decoded: Option<String> = characters.map(|&c| char::from_u32(u32::from_le_bytes(c))).collect();
    match decoded {
        Some(text) => Ok(text.trim_end_matches('\0').into()),
        None => Err(format!("must be a single string, but is {found}")),
    }
}

/// The content of a file of version 1.0, little-endian and in C order. The number of elements must fit the shape.
///
/// # Panics
///
/// If the header needs more than 65,535 bytes, that is, for a shape of thousands of dimensions.
pub fn to_bytes(shape: &[usize], elements: Elements) -> Vec<u8> {
    let (descr, data): (String, Vec<u8>) = match elements {
        Elements::F32(values) => ("<f4".into(), values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Elements::F64(values) => ("<f8".into(), values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Elements::I64(values) => ("<i8".into(), values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Elements::Text(text) => {
            let characters = text.chars().flat_map(|c| u32::from(c).to_le_bytes());
            (format!("<U{}", text.chars().count()), characters.collect())
        }
    };
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    // The bytes before the header, the header and a newline.
    let length = MAGIC.len() + 4 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', length.next_multiple_of(ALIGNMENT) - length));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a shape has few dimensions");
    [MAGIC, &[1, 0][..], &length.to_le_bytes(), header.as_bytes(), &data].concat()
}

/// A file whose header has been read.
struct File<'a> {
    /// The type of the elements, such as `<f4`.
    descr: &'a str,
    /// True if the first index is the fastest.
    fortran_order: bool,
    shape: Vec<usize>,
    /// The elements.
    data: &'a [u8],
}

impl<'a> File<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let (header, data) = split(bytes)?;
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut scanner = Scanner { rest: header };
        scanner.expect("{")?;
        scanner.items("}", |scanner| {
            let start = scanner.clone();
            let key = scanner.string()?;
            scanner.expect(":")?;
            let repeated = match key {
                "descr" => descr.replace(scanner.descr()?).is_some(),
                "fortran_order" => fortran_order.replace(scanner.boolean()?).is_some(),
                "shape" => shape.replace(scanner.shape()?).is_some(),
                _ => return Err(start.unexpected("'descr', 'fortran_order' or 'shape'")),
            };
            if repeated { Err(format!("the header must have '{key}' once, but has it twice")) } else { Ok(()) }
        })?;
        scanner.end()?;
        let lacks = |key: &str| format!("the header must have '{key}', but lacks it");
        Ok(Self {
            descr: descr.ok_or_else(|| lacks("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| lacks("fortran_order"))?,
            shape: shape.ok_or_else(|| lacks("shape"))?,
            data,
        })
    }

    /// The array of elements of `BYTES` bytes each.
    fn array<T: Copy, const BYTES: usize>(self, element: impl Fn([u8; BYTES]) -> T) -> Result<Array<T>, String> {
        let Self { fortran_order, shape, data, .. } = self;
        // A zero does not excuse the other lengths: their product must exist too.
        let product = shape.iter().try_fold(BYTES, |product, &n| product.checked_mul(n.max(1)));
        let product = product.ok_or_else(|| format!("the shape {} is too large", shape_text(&shape)))?;
        let (expected, found) = (if shape.contains(&0) { 0 } else { product }, data.len());
        if expected != found {
            let shape = shape_text(&shape);
            return Err(format!(
                "the shape {shape} needs {expected} bytes, but there are {found}: save or copy the file again"
            ));
        }
        let values: Vec<T> = data.as_chunks().0.iter().map(|&bytes| element(bytes)).collect();
        Ok(if fortran_order { from_fortran(shape, &values) } else { Array { shape, values } })
    }
}

/// Splits a file into the text of its header and its elements.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let ends_early = || "the header is cut short: save or copy the file again".to_owned();
    if !bytes.starts_with(MAGIC) {
        return Err(format!("must be an .npy file, as numpy.save writes it, but {}", kind::describe(bytes)));
    }
    let (start, rest) = bytes.split_at_checked(MAGIC.len() + 2).ok_or_else(ends_early)?;
    let (length, rest) = match (start[6], start[7]) {
        (1, 0) => rest.split_first_chunk().map(|(&length, rest)| (u16::from_le_bytes(length).into(), rest)),
        (2 | 3, 0) => rest.split_first_chunk().map(|(&length, rest)| (u32::from_le_bytes(length), rest)),
        (major, minor) => {
            return Err(format!("must have the format version 1.0, 2.0 or 3.0, but has {major}.{minor}"));
        }
    }
    .ok_or_else(ends_early)?;
    if length as usize > MAX_HEADER_BYTES {
        return Err(format!("the header must have at most {MAX_HEADER_BYTES} bytes, but has {length}"));
    }
    let (header, data) = rest.split_at_checked(length as usize).ok_or_else(ends_early)?;
    // NumPy's encodings agree on what the header of a plain array contains, which is ASCII.
    match std::str::from_utf8(header) {
        Ok(header) if header.is_ascii() => Ok((header, data)),
        _ => Err("must be a plain array of numbers, but has a complex header: it is not ASCII".into()),
    }
}

/// Reads the part of Python's literals that the header of a plain array needs, such as
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (10, 3072), }`, with any white space between the tokens.
#[derive(Clone)]
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Skips white space, and `token` if it is next; true if so.
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_ascii_start();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected(&format!("{token:?}"))) }
    }

    fn end(&mut self) -> Result<(), String> {
        self.take("");
        if self.rest.is_empty() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        let found: String = self.rest.trim_ascii_start().chars().take(20).collect();
        let complex = "must be a plain array of numbers, but has a complex header";
        format!("{complex}: {wanted} must be next, but it is {found:?}")
    }

    /// Reads the items up to `end`, with commas between them; false if a comma does not follow the last one.
    fn items(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<bool, String> {
        while !self.take(end) {
            item(self)?;
            if !self.take(",") {
                let wanted = format!("\",\" or {end:?}");
                return if self.take(end) { Ok(false) } else { Err(self.unexpected(&wanted)) };
            }
        }
        Ok(true)
    }

    /// A string in either kind of quotes, without escapes.
    fn string(&mut self) -> Result<&'a str, String> {
        self.take("");
        let quote = if self.rest.starts_with('"') { '"' } else { '\'' };
        match self.rest.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            Some((text, rest)) if !text.contains(|c: char| c == '\\' || c.is_ascii_control()) => {
                self.rest = rest;
                Ok(text)
            }
            _ => Err(self.unexpected("a string without escapes")),
        }
    }

    fn descr(&mut self) -> Result<&'a str, String> {
        if self.take("[") {
            return Err("must be a plain array of numbers, but is a structured one".into());
        }
        self.string()
    }

    fn boolean(&mut self) -> Result<bool, String> {
        if self.take("True") {
            Ok(true)
        } else if self.take("False") {
            Ok(false)
        } else {
            Err(self.unexpected("True or False"))
        }
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect("(")?;
        let closed = self.items(")", |scanner| {
            shape.push(scanner.number()?);
            Ok(())
        })?;
        // To Python, (2) is a number; a tuple of one number is (2,).
        if shape.len() == 1 && !closed {
            Err(format!("the shape must be a tuple, but is ({})", shape[0]))
        } else {
            Ok(shape)
        }
    }

    fn number(&mut self) -> Result<usize, String> {
        self.take("");
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse().map_err(|_| self.unexpected("a length below 2^64"))?;
        self.rest = &self.rest[end..];
        Ok(number)
    }
}

/// Reorders `values` of an array of `shape` from Fortran order (first index fastest) to C order (last index fastest).
fn from_fortran<T: Copy>(shape: Vec<usize>, values: &[T]) -> Array<T> {
    // Takes the indices off the position in C order, the last one first.
    let element = |mut position: usize| {
        let (mut offset, mut stride) = (0, values.len());
        for n in shape.iter().rev() {
            stride /= n;
            offset += position % n * stride;
            position /= n;
        }
        values[offset]
    };
    let values = (0..values.len()).map(element).collect();
    Array { shape, values }
}

#[cfg(test)]
mod tests;
