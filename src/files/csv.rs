//! Tables as CSV: a header line, then one line per row.
//!
//! Accuracies are fractions in \[0, 1\]; losses and costs are in nats; a missing value is an empty field, never 0;
//! every number is written with the digits that give the same `f64` when read back.
//!
//! `row!` declares the struct of a row, and its fields are the columns. A row can contain another one, whose columns
//! then stand in its place:
//!
//! ```text
//! row! {
//!     /// A row of `curves.csv`.
//!     #[derive(Clone, Debug, PartialEq)]
//!     pub struct CurveRow {
//!         /// The epoch, counted from 1.
//!         pub epoch: usize,
//!         /// Loss on the training split; `None` once training has diverged.
//!         pub train_loss: Option<f64>,
//!     }
//! }
//! ```

use std::path::Path;

use csv::{ByteRecord, Position, Reader, ReaderBuilder, StringRecord, WriterBuilder};

use super::kind;
use crate::error::{Error, Result};
use crate::statistics::count;

/// Columns that tables of earlier versions lack; their fields are empty there.
const ADDED: [&str; 1] = ["decay_patience"];

/// Separator and decimal mark of a table.
///
/// A spreadsheet reads numbers as its user's country writes them. Where that is with a decimal comma, as in Sweden or
/// Germany, `;` separates the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `,` and a decimal point, as in RFC 4180, but with a line feed at the end of a line.
    #[default]
    Comma,
    /// `;` and a decimal comma.
    Semicolon,
}

impl Dialect {
    fn delimiter(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
        }
    }
}

/// A value that fills one field.
pub trait Cell: Sized {
    /// True for numbers, which are written with the decimal mark of the table.
    const IS_NUMBER: bool;
    /// The values that [`Cell::from_text`] accepts, in words.
    const EXPECTED: &'static str;

    /// The value as it stands in a table, with a decimal point.
    fn to_text(&self) -> String;

    /// The inverse of [`Cell::to_text`].
    fn from_text(text: &str) -> Option<Self>;
}

/// Type of a field of a row: a [`Cell`], or several columns.
pub trait Column: Sized {
    /// Appends the names of the columns. A cell is named after its field, `name`.
    fn add_names(name: &'static str, names: &mut Vec<&'static str>);

    /// Appends its fields to a record.
    fn write(&self, record: &mut RecordWriter);

    /// Takes its fields from a record.
    ///
    /// # Errors
    ///
    /// The column, the values it may have and the one found.
    fn read(record: &mut RecordReader) -> Result<Self, String>;
}

/// A row of a table; declared by `row!`.
pub trait Row: Column {
    /// The header.
    fn columns() -> Vec<&'static str> {
        let mut names = Vec::new();
        Self::add_names("", &mut names);
        names
    }
}

/// Declares the struct of a row, each field of which is a [`Column`], and implements [`Row`] for it.
macro_rules! row {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type),*
        }

        impl $crate::files::csv::Column for $name {
            fn add_names(_: &'static str, names: &mut Vec<&'static str>) {
                $(<$type as $crate::files::csv::Column>::add_names(stringify!($field), names);)*
            }

            fn write(&self, record: &mut $crate::files::csv::RecordWriter) {
                $($crate::files::csv::Column::write(&self.$field, record);)*
            }

            fn read(record: &mut $crate::files::csv::RecordReader) -> Result<Self, String> {
                Ok(Self { $($field: $crate::files::csv::Column::read(record)?),* })
            }
        }

        impl $crate::files::csv::Row for $name {}
    };
}
pub(crate) use row;

impl<T: Cell> Column for T {
    fn add_names(name: &'static str, names: &mut Vec<&'static str>) {
        names.push(name);
    }

    fn write(&self, record: &mut RecordWriter) {
        let text = self.to_text();
        match record.dialect {
            Dialect::Semicolon if T::IS_NUMBER => record.fields.push_field(&text.replace('.', ",")),
            _ => record.fields.push_field(&text),
        }
    }

    fn read(record: &mut RecordReader) -> Result<Self, String> {
        let (name, found) = (record.names[record.next], &record.fields[record.next]);
        record.next += 1;
        let value = match record.dialect {
            Dialect::Semicolon if T::IS_NUMBER => T::from_text(&found.replace(',', ".")),
            _ => T::from_text(found),
        };
        value.ok_or_else(|| format!("{name} must be {}, but is {found:?}", T::EXPECTED))
    }
}

/// The fields of a row that is being written.
#[derive(Debug)]
pub struct RecordWriter {
    dialect: Dialect,
    fields: StringRecord,
}

/// The fields of a row that is being read.
#[derive(Debug)]
pub struct RecordReader<'a> {
    dialect: Dialect,
    names: &'a [&'static str],
    /// As many as there are names.
    fields: &'a StringRecord,
    next: usize,
}

/// A table of `rows`; without any, the header alone.
pub fn to_csv<R: Row>(rows: &[R], dialect: Dialect) -> Vec<u8> {
    let mut writer = WriterBuilder::new().delimiter(dialect.delimiter()).from_writer(Vec::new());
    let mut record = RecordWriter { dialect, fields: R::columns().into() };
    writer.write_record(&record.fields).expect("writing to memory cannot fail");
    for row in rows {
        record.fields.clear();
        row.write(&mut record);
        writer.write_record(&record.fields).expect("each row has the columns of the header");
    }
    writer.into_inner().expect("writing to memory cannot fail")
}

/// Reads a table in any dialect. Errors name `path` as its file.
///
/// # Errors
///
/// [`Error::Format`] when the header is not [`Row::columns`], apart from columns that earlier versions lack, a row has fewer
/// or more fields, or a field has no valid value.
pub fn from_csv<R: Row>(bytes: &[u8], path: &Path) -> Result<Vec<R>> {
    let format = |reason: String| Error::format(path, reason);
    let names = R::columns();
    let (mut reader, header, dialect) = open(bytes);
    if !is_header(&header, &names) {
        return Err(format(other_header(&header, &names, bytes)));
    }
    let places: Vec<_> = names.iter().map(|name| header.iter().position(|found| found == name.as_bytes())).collect();
    let row = |record: csv::Result<StringRecord>| {
        // Memory can be read, and rows of any length are: all that is left is text that is not UTF-8.
        let not_text = |e: csv::Error| {
            let line = line_of(bytes, e.position());
            format(format!("line {line} must be text in UTF-8, but has other bytes"))
        };
        let fields = record.map_err(not_text)?;
        let line = line_of(bytes, fields.position());
        if fields.len() != header.len() {
            let (expected, found) = (count(header.len(), "column"), fields.len());
            return Err(format(format!(
                "line {line} must have {expected}, but has {found}: make or copy the file again"
            )));
        }
        let fields = places.iter().map(|place| place.map_or("", |place| &fields[place])).collect();
        R::read(&mut RecordReader { dialect, names: &names, fields: &fields, next: 0 })
            .map_err(|reason| format(format!("line {line}: {reason}")))
    };
    reader.records().map(row).collect()
}

/// The texts of the fields of `row`, each with the name of its column.
pub(crate) fn to_fields<R: Row>(row: &R) -> Vec<(&'static str, String)> {
    let mut record = RecordWriter { dialect: Dialect::Comma, fields: StringRecord::new() };
    row.write(&mut record);
    R::columns().into_iter().zip(record.fields.iter().map(String::from)).collect()
}

/// The row whose column has the field `text(column)`; the error says which field is invalid, and why.
pub(crate) fn from_fields<R: Row>(text: impl Fn(&str) -> String) -> Result<R, String> {
    let names = R::columns();
    let fields: StringRecord = names.iter().map(|name| text(name)).collect();
    R::read(&mut RecordReader { dialect: Dialect::Comma, names: &names, fields: &fields, next: 0 })
}

/// True if `bytes` begin with the header of `R`, in any dialect.
pub fn has_header_of<R: Row>(bytes: &[u8]) -> bool {
    is_header(&open(bytes).1, &R::columns())
}

/// A reader of the rows of `table`, its header, empty if it has none, and its dialect.
fn open(table: &[u8]) -> (Reader<&[u8]>, ByteRecord, Dialect) {
    // No column has a delimiter in its name, so the first one in the table separates the columns.
    let dialect = match table.iter().find(|byte| b",;".contains(byte)) {
        Some(b';') => Dialect::Semicolon,
        _ => Dialect::Comma,
    };
    let mut reader = ReaderBuilder::new().delimiter(dialect.delimiter()).flexible(true).from_reader(table);
    let header = reader.byte_headers().cloned().unwrap_or_default();
    (reader, header, dialect)
}

/// The line, counted from 1, on which the record at `place` of `table` begins. To the reader, the empty lines before a record,
/// and the second byte of a line end of Windows, are a part of it.
fn line_of(table: &[u8], place: Option<&Position>) -> u64 {
    let Some(place) = place else { return 0 };
    let start = usize::try_from(place.byte()).ok().and_then(|start| table.get(start..)).unwrap_or_default();
    let skipped = start.iter().take_while(|byte| b"\r\n".contains(byte));
    place.line() + skipped.filter(|&&byte| byte == b'\n').count() as u64
}

/// The reason why a table with this `header` is none with the columns `names`.
fn other_header(header: &ByteRecord, names: &[&str], table: &[u8]) -> String {
    let is_table = header.iter().any(|found| names.iter().any(|name| found == name.as_bytes()));
    let expected = names.join(",");
    if !is_table {
        return format!("must be a table with the columns {expected}, but {}", kind::describe(table));
    }
    let found: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
    let found = found.join(",");
    format!("the columns must be {expected}, but are {found:?}; if an earlier version wrote this table, write it again")
}

/// True if `header` has the columns `names`, apart from those that earlier versions lack.
fn is_header(header: &ByteRecord, names: &[&str]) -> bool {
    let has = |name: &str| header.iter().any(|found| found == name.as_bytes());
    let expected = names.iter().filter(|name| has(name) || !ADDED.contains(name));
    header.iter().eq(expected.map(|name| name.as_bytes()))
}

/// Implements [`Cell`] for types by their `Display` and `FromStr`.
macro_rules! cells {
    ($($type:ty: $expected:literal, number: $number:literal;)*) => {$(
        impl $crate::files::csv::Cell for $type {
            const IS_NUMBER: bool = $number;
            const EXPECTED: &'static str = $expected;

            fn to_text(&self) -> String {
                self.to_string()
            }

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}
pub(crate) use cells;

cells! {
    String: "text", number: false;
    bool: "true or false", number: false;
    usize: "a whole number", number: true;
    u64: "a whole number", number: true;
}

/// A missing value is an empty field.
impl<T: Cell> Cell for Option<T> {
    const IS_NUMBER: bool = T::IS_NUMBER;
    const EXPECTED: &'static str = T::EXPECTED;

    fn to_text(&self) -> String {
        self.as_ref().map_or(String::new(), T::to_text)
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::from_text(text).map(Some) }
    }
}

macro_rules! real_number {
    ($($type:ty),*) => {
        $(impl Cell for $type {
            const IS_NUMBER: bool = true;
            const EXPECTED: &'static str = "a finite number";

            fn to_text(&self) -> String {
                ryu::Buffer::new().format(*self).into()
            }

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok().filter(|value: &$type| value.is_finite())
            }
        })*
    };
}
real_number!(f32, f64);

#[cfg(test)]
mod tests;
