//! The tables, as CSV: one header line, then a row a line. They are made as RFC 4180 has it (but for the end of a line,
//! which is a line feed); [`crate::files::dialect`] makes them those of other spreadsheets.
//!
//! Accuracies are fractions in \[0, 1\]; losses and costs are in nats; a missing value is an empty field, never 0; every
//! number is written with the digits that give the same `f64` when read back.

use std::path::Path;

use csv::StringRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::files::dialect::Dialect;

/// A row type of a table.
pub trait Row: Serialize {
    /// The header: the names of the fields, in the order in which they are serialised.
    const COLUMNS: &'static [&'static str];
}

/// The header, also when there is no row, and the rows.
///
/// # Panics
///
/// If a row serialises to another number of fields than [`Row::COLUMNS`] names.
pub fn to_csv<R: Row>(rows: &[R]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer
        .write_record(R::COLUMNS)
        .and_then(|()| rows.iter().try_for_each(|row| writer.serialize(row)))
        .expect("each row has the fields that the header names");
    writer.into_inner().expect("writing to memory cannot fail")
}

/// Reads what [`to_csv`] wrote, in any dialect. `path` is what an error names.
///
/// # Errors
///
/// [`Error::Format`] when the header is not [`Row::COLUMNS`], a row does not fit it, or a number is not finite.
pub fn from_csv<R: Row + DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<Vec<R>> {
    let format = |reason: String| Error::Format { path: path.to_owned(), reason };
    let table = dialect_of(bytes, R::COLUMNS).translate_back(bytes);
    let mut reader = csv::Reader::from_reader(&*table);
    let header = reader.headers().map_err(|e| format(e.to_string()))?.clone();
    if header != *R::COLUMNS {
        let found: Vec<_> = header.iter().collect();
        return Err(format(format!("the columns must be {}, but are {:?}", R::COLUMNS.join(","), found.join(","))));
    }
    let row = |record: csv::Result<StringRecord>| {
        let record = record.map_err(|e| format(e.to_string()))?;
        if let Some((column, cell)) = header.iter().zip(&record).find(|(_, cell)| is_endless(cell)) {
            let line = record.position().map_or(0, |p| p.line());
            let reason = format!("line {line}: {column} must be finite, but is {cell}");
            return Err(format(reason));
        }
        record.deserialize(Some(&header)).map_err(|e| format(e.to_string()))
    };
    reader.records().map(row).collect()
}

/// Whether a cell is a number, but not a finite one.
fn is_endless(cell: &str) -> bool {
    cell.parse::<f64>().is_ok_and(|value| !value.is_finite())
}

/// Whether `bytes` begin with the header of `R`, in any dialect.
pub fn has_header_of<R: Row>(bytes: &[u8]) -> bool {
    let dialects = [Dialect::Comma, Dialect::Semicolon];
    dialects.into_iter().any(|dialect| has_header(bytes, dialect, R::COLUMNS))
}

/// The dialect in which the header of `table` has these `columns`; that of RFC 4180 if neither has.
fn dialect_of(table: &[u8], columns: &[&str]) -> Dialect {
    if has_header(table, Dialect::Semicolon, columns) && columns.len() > 1 {
        Dialect::Semicolon
    } else {
        Dialect::Comma
    }
}

fn has_header(table: &[u8], dialect: Dialect, columns: &[&str]) -> bool {
    csv::ReaderBuilder::new()
        .delimiter(dialect.delimiter())
        .from_reader(table)
        .headers()
        .is_ok_and(|header| header == columns)
}
