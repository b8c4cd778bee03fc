//! Arrays exchanged with NumPy: `.npz` files, which are ZIP archives of `.npy` files.
//!
//! Reads the arrays of integers, `float32` and `float64`, and the single strings, that `numpy.savez` and `numpy.savez_compressed` write, in C or
//! Fortran order and either byte order. The bytes may come from anywhere: every size that they declare is checked
//! before memory is allocated for it.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;

pub use super::npy::{Array, Elements};

use super::zip::Archive;
use super::{but_only, kind, npy, zip};
use crate::error::{Error, Result};
use crate::shape::{check_shape, element_text, shape_text};
use crate::statistics::short;

/// Maximum size of an array in a file: 64 MiB, 100 times the size of a weight matrix.
const MAX_ENTRY_BYTES: u64 = 64 << 20;

/// An array's file is its name and this.
const SUFFIX: &str = ".npy";

/// An `.npz` file being read.
#[derive(Debug)]
pub struct Npz<'a> {
    archive: Archive<'a>,
    path: &'a Path,
    /// What the file must contain, for errors.
    expected: Option<&'static str>,
}

impl<'a> Npz<'a> {
    /// Reads the table of contents of `bytes`. Errors name `path` as the file.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if `bytes` is not a ZIP archive.
    pub fn open(bytes: &'a [u8], path: &'a Path) -> Result<Self> {
        let archive = Archive::open(bytes).map_err(|reason| {
            let found = if bytes.starts_with(zip::MAGIC) { reason } else { kind::describe(bytes) };
            Error::format(path, format!("must be an .npz file, as numpy.savez writes it, but {found}"))
        })?;
        Ok(Self { archive, path, expected: None })
    }

    /// The same archive, with a sentence that says what it must contain, for errors about missing arrays.
    pub fn expecting(self, expected: &'static str) -> Self {
        Self { expected: Some(expected), ..self }
    }

    /// The names of the arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.archive.names().filter_map(|file| file.strip_suffix(SUFFIX).map(str::to_owned)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// True if there is an array `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.names().iter().any(|n| n == name)
    }

    /// The array `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if there is no such array, or if it is damaged, larger than 64 MiB, or neither `float32` nor
    /// `float64`.
    pub fn array(&self, name: &str) -> Result<Array> {
        self.parsed(name, npy::floats)
    }

    /// The array `name` of `int64`.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if there is no such array, or if it is damaged, larger than 64 MiB, or not `int64`.
    pub fn integers(&self, name: &str) -> Result<Array<i64>> {
        self.parsed(name, npy::integers)
    }

    /// The array `name` of numbers of any plain type.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if there is no such array, or if it is damaged, larger than 64 MiB, or does not hold numbers.
    pub fn numbers(&self, name: &str) -> Result<Array> {
        self.parsed(name, npy::numbers)
    }

    /// The single number `name`; `None` if there is no such array.
    ///
    /// # Errors
    ///
    /// Those of [`Self::numbers`] and [`Self::check_finite`]; [`Error::Shape`] if there are more or none.
    pub fn optional_number(&self, name: &str) -> Result<Option<f64>> {
        if !self.contains(name) {
            return Ok(None);
        }
        let array = self.numbers(name)?;
        self.check_finite(name, &array)?;
        match array.values[..] {
            [value] => Ok(Some(value)),
            _ => Err(self.shape_error(name, "(), one number", &array.shape)),
        }
    }

    /// The string `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if there is no such array, or if it is damaged or not a single string.
    pub fn text(&self, name: &str) -> Result<String> {
        self.parsed(name, npy::text)
    }

    /// True if there is an array `name` of `float32`.
    pub fn is_f32(&self, name: &str) -> bool {
        self.parsed(name, |bytes| Ok(npy::is_f32(bytes))).unwrap_or(false)
    }

    /// The array `name`, which must have one of `shapes`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::array`], and [`Error::Shape`].
    pub fn array_of(&self, name: &str, shapes: &[&[usize]]) -> Result<Array> {
        let array = self.array(name)?;
        if shapes.contains(&&array.shape[..]) {
            return Ok(array);
        }
        let mut expected: Vec<_> = shapes.iter().map(|s| shape_text(s)).collect();
        // Those of a square matrix are equal.
        expected.dedup();
        Err(self.shape_error(name, &expected.join(" or "), &array.shape))
    }

    fn parsed<T>(&self, name: &str, parse: fn(&[u8]) -> Result<T, String>) -> Result<T> {
        match self.entry(name) {
            Ok(Some(bytes)) => parse(&bytes).map_err(|reason| self.format_error(name, reason)),
            Ok(None) => Err(self.missing(name)),
            Err(reason) => Err(self.format_error(name, reason)),
        }
    }

    /// The error that there is no array `name`, which lists those there are.
    pub fn missing(&self, name: &str) -> Error {
        let advice = self.expected.map_or_else(String::new, |expected| format!("; {expected}"));
        Error::format(self.path, format!("there is no array {name:?}{}{advice}", but_only(&self.names())))
    }

    /// An [`Error::Format`] about the array `name`.
    pub fn format_error(&self, name: &str, reason: impl Display) -> Error {
        Error::format(self.path, format!("array {name:?}: {reason}"))
    }

    /// An [`Error::Shape`] about the array `name`.
    pub fn shape_error(&self, name: &str, expected: &str, found: &[usize]) -> Error {
        Error::shape(format!("{}: array {name:?}", self.path.display()), expected, shape_text(found))
    }

    /// Checks the elements of the array `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for the first that is NaN or infinite, with its place.
    pub fn check_finite(&self, name: &str, array: &Array) -> Result<()> {
        self.check_each(name, array, f64::is_finite, "finite")
    }

    /// The elements of the array `name`, rounded to the nearest `f32`.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for the first that is NaN, infinite or beyond the range of `f32`, with its place.
    pub fn rounded(&self, name: &str, array: &Array) -> Result<Vec<f32>> {
        self.check_finite(name, array)?;
        let expected = "below 3.4e38, the limit of float32";
        self.check_each(name, array, |value| (value as f32).is_finite(), expected)?;
        Ok(array.values.iter().map(|&value| value as f32).collect())
    }

    fn check_each(&self, name: &str, array: &Array, is_valid: fn(f64) -> bool, expected: &str) -> Result<()> {
        match array.values.iter().position(|&value| !is_valid(value)) {
            None => Ok(()),
            Some(at) => {
                let (place, found) = (element_text(name, at, &array.shape), short(array.values[at]));
                Err(self.format_error(
                    name,
                    format!("must be {expected}, but {place} is {found}: check how it was computed"),
                ))
            }
        }
    }

    /// The bytes of the `.npy` file of the array `name`, if there is one; the error is the reason alone.
    fn entry(&self, name: &str) -> Result<Option<Cow<'_, [u8]>>, String> {
        self.archive.read(&format!("{name}{SUFFIX}"), MAX_ENTRY_BYTES)
    }
}

/// The content of an `.npz` file of `arrays` (name, shape, elements), as `numpy.savez` writes it, but without
/// timestamps: equal arrays give equal bytes.
///
/// # Errors
///
/// [`Error::Shape`] if the number of elements does not fit the shape, [`Error::InvalidValue`] if two arrays have the
/// same name or one is too large to be read back.
pub fn write(arrays: &[(&str, &[usize], Elements)]) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    for (i, (name, shape, data)) in arrays.iter().enumerate() {
        if arrays[..i].iter().any(|(earlier, ..)| earlier == name) {
            return Err(Error::invalid("array", "the only one of its name", format!("a second {name:?}")));
        }
        check_shape(&format!("array {name:?}"), data.len(), shape)?;
        let npy = npy::to_bytes(shape, *data);
        if npy.len() as u64 > MAX_ENTRY_BYTES {
            return Err(Error::invalid(
                "array",
                format!("of at most {MAX_ENTRY_BYTES} bytes"),
                format!("{name:?} of {} bytes", npy.len()),
            ));
        }
        files.push((format!("{name}{SUFFIX}"), npy));
    }
    zip::to_bytes(&files)
}

#[cfg(test)]
mod tests;
