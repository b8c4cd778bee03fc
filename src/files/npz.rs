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
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;
    use rawzip::{CompressionMethod, ZipArchiveWriter};
    use std::io::Write;

    const PATH: &str = "start.npz";
    /// The array `W` of `tests/fixtures/make_npz.py`.
    const W: [f32; 6] = [0.0, 0.25, 0.5, 1.0, 1.25, 1.5];

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/fixtures/", $name, ".npz"))
        };
    }

    fn read(bytes: &[u8]) -> Result<Array> {
        Npz::open(bytes, Path::new(PATH))?.array("W")
    }

    fn message(bytes: &[u8]) -> String {
        let message = read(bytes).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    #[test]
    fn arrays_that_numpy_wrote_are_read_in_every_layout() {
        let files: [&[u8]; 6] = [
            fixture!("f64"),
            fixture!("f32"),
            fixture!("fortran"),
            fixture!("big_endian"),
            fixture!("compressed"),
            fixture!("zip64"),
        ];
        for bytes in files {
            assert_eq!(read(bytes).unwrap(), Array { shape: vec![2, 3], values: W.map(f64::from).into() });
        }
    }

    #[test]
    fn a_missing_array_is_named_with_those_there_are() {
        assert_eq!(message(fixture!("other_names")), r#"start.npz: there is no array "W", only "bias", "weight""#);
        let npz = Npz::open(fixture!("other_names"), Path::new(PATH)).unwrap();
        assert!(npz.contains("bias") && !npz.contains("b"));
    }

    #[test]
    fn other_types_are_refused_by_name() {
        assert_eq!(message(fixture!("integers")), r#"start.npz: array "W": must be float32 or float64, but is int64"#);
        assert_eq!(message(fixture!("object")), r#"start.npz: array "W": must be float32 or float64, but is object"#);
        let npz = Npz::open(fixture!("object"), Path::new(PATH)).unwrap();
        let error = npz.numbers("W").unwrap_err().to_string();
        assert_eq!(error, r#"start.npz: array "W": must be numbers, but is object"#);
    }

    #[test]
    fn another_shape_is_refused_with_both() {
        let npz = Npz::open(fixture!("f64"), Path::new(PATH)).unwrap();
        assert!(npz.array_of("W", &[&[6], &[2, 3]]).is_ok());
        let error = npz.array_of("W", &[&[6], &[3, 2]]).unwrap_err();
        assert_eq!(error.to_string(), r#"start.npz: array "W" must have the shape (6) or (3, 2), but has (2, 3)"#);
    }

    #[test]
    fn a_truncated_file_is_refused_at_every_length() {
        let bytes = fixture!("f64");
        assert!(
            message(fixture!("truncated"))
                .ends_with("numpy.savez writes it, but it is incomplete: save or copy it again")
        );
        assert!(message(b"").ends_with("must be an .npz file, as numpy.savez writes it, but is empty"));
        assert!(message(b"hello").ends_with("but looks like text that begins with \"hello\""));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn an_array_with_altered_elements_is_refused() {
        let mut bytes = fixture!("f64").to_vec();
        let element = 0.25f64.to_le_bytes();
        let at = bytes.windows(8).position(|w| w == element).unwrap();
        bytes[at] ^= 1;
        assert!(message(&bytes).contains(r#"array "W""#));
    }

    #[test]
    fn an_entry_that_declares_too_much_is_refused_before_it_is_unpacked() {
        let mut bytes = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut bytes);
        let file = archive.new_file("W.npy").compression_method(CompressionMethod::DEFLATE);
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::fast()));
        let zeros = vec![0; 1 << 20];
        for _ in 0..65 {
            writer.write_all(&zeros).unwrap();
        }
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
        archive.finish().unwrap();
        assert!(bytes.len() < 1 << 20);
        assert_eq!(message(&bytes), r#"start.npz: array "W": must have at most 67108864 bytes, but has 68157440"#);
    }

    #[test]
    fn what_is_written_reads_back_and_is_the_same_every_time() {
        let arrays: [(&str, &[usize], Elements); 3] = [
            ("W", &[2, 3], Elements::F32(&W)),
            ("x", &[3, 1, 2], Elements::F64(&[0.1, 0.2, 0.3, 0.4, 0.5, 1e300])),
            ("scalar", &[], Elements::F64(&[0.5])),
        ];
        let bytes = write(&arrays).unwrap();
        assert_eq!(bytes, write(&arrays).unwrap());
        let npz = Npz::open(&bytes, Path::new(PATH)).unwrap();
        assert_eq!(npz.array("W").unwrap().values, W.map(f64::from));
        let x = npz.array("x").unwrap();
        assert_eq!(x.shape, [3, 1, 2]);
        assert_eq!(x.values, [0.1, 0.2, 0.3, 0.4, 0.5, 1e300]);
        assert_eq!(npz.array("scalar").unwrap().shape, [0; 0]);
    }

    #[test]
    fn integers_are_written_as_numpy_writes_them() {
        // The `W` of tests/fixtures/make_npz.py, as int64.
        let bytes = write(&[("W", &[2, 3], Elements::I64(&[0, 1, 2, 4, 5, 6]))]).unwrap();
        let entry = |bytes: &[u8]| {
            let npz = Npz::open(bytes, Path::new(PATH)).unwrap();
            npz.entry("W").unwrap().unwrap().into_owned()
        };
        let (ours, numpys) = (entry(&bytes), entry(fixture!("integers")));
        let data = 6 * size_of::<i64>();
        assert_eq!(ours[ours.len() - data..], numpys[numpys.len() - data..]);
        assert_eq!(npy::integers(&ours), npy::integers(&numpys));
        // The bytes before the elements differ only in the comma behind the last length.
        let header = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len() - data]).replace([',', ' '], "");
        assert_eq!(header(&ours), header(&numpys));
    }

    #[test]
    fn integers_are_read_where_integers_are_asked_for_and_nothing_else_is() {
        let npz = Npz::open(fixture!("integers"), Path::new(PATH)).unwrap();
        let array = npz.integers("W").unwrap();
        assert_eq!((&array.shape[..], &array.values[..]), (&[2, 3][..], &[0, 1, 2, 4, 5, 6][..]));
        let floats = Npz::open(fixture!("f64"), Path::new(PATH)).unwrap();
        assert_eq!(
            floats.integers("W").unwrap_err().to_string(),
            r#"start.npz: array "W": must be int64, but is float64"#
        );
    }

    #[test]
    fn what_cannot_be_read_back_is_not_written() {
        let large = vec![0.0; MAX_ENTRY_BYTES as usize / 8];
        let large = write(&[("x", &[large.len()], Elements::F64(&large))]);
        assert!(matches!(large, Err(Error::InvalidValue { .. })));
        let short = write(&[("W", &[2, 3], Elements::F32(&W[..5]))]);
        assert!(matches!(short, Err(Error::Shape { .. })));
        let array: (&str, &[usize], _) = ("W", &[6], Elements::F32(&W));
        assert!(matches!(write(&[array, array]), Err(Error::InvalidValue { .. })));
    }

    fn altered(bytes: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
        let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
        edits.prop_map(move |edits| {
            let mut bytes = bytes.to_vec();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn altered_archives_are_read_or_refused(
            bytes in prop_oneof![
                altered(fixture!("f64")), altered(fixture!("compressed")), altered(fixture!("zip64")),
            ],
        ) {
            let _ = read(&bytes);
        }

        #[test]
        fn every_array_reads_back(
            shape in prop::collection::vec(0usize..5, 0..4),
            values in prop::collection::vec(any::<f64>(), 64),
        ) {
            let values = &values[..shape.iter().product()];
            let bytes = write(&[("x", &shape, Elements::F64(values))]).unwrap();
            let array = Npz::open(&bytes, Path::new(PATH)).unwrap().array("x").unwrap();
            prop_assert_eq!(array.shape, shape);
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&array.values), bits(values));
        }
    }

    #[test]
    fn a_number_that_may_be_missing_is_read_if_it_is_there() {
        let bytes = write(&[
            ("eta", &[], Elements::F64(&[0.25])),
            ("two", &[2], Elements::F64(&[1.0, 2.0])),
            ("nan", &[], Elements::F64(&[f64::NAN])),
        ])
        .unwrap();
        let npz = Npz::open(&bytes, Path::new(PATH)).unwrap().expecting("a run has eta");
        assert_eq!(npz.optional_number("eta").unwrap(), Some(0.25));
        assert_eq!(npz.optional_number("lambda").unwrap(), None);
        let refusal = |name: &str| npz.optional_number(name).unwrap_err().to_string();
        assert_eq!(refusal("two"), r#"start.npz: array "two" must have the shape (), one number, but has (2)"#);
        assert!(refusal("nan").contains("must be finite"), "{}", refusal("nan"));
        let missing = npz.array("W").unwrap_err().to_string();
        assert_eq!(missing, r#"start.npz: there is no array "W", only "eta", "nan", "two"; a run has eta"#);
    }
}
