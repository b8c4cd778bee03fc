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

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord, WriterBuilder};

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
            let line = e.position().map_or(0, |place| place.line());
            format(format!("line {line} must be text in UTF-8, but has other bytes"))
        };
        let fields = record.map_err(not_text)?;
        let line = fields.position().map_or(0, |p| p.line());
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATH: &str = "table.csv";
    const DIALECTS: [Dialect; 2] = [Dialect::Comma, Dialect::Semicolon];

    row! {
        #[derive(Clone, Debug, PartialEq)]
        struct Inner {
            count: u64,
            loss: Option<f64>,
        }
    }

    row! {
        #[derive(Clone, Debug, PartialEq)]
        struct Outer {
            name: String,
            inner: Inner,
            share: f64,
            holds: Option<bool>,
        }
    }

    fn example() -> Outer {
        Outer { name: "a".into(), inner: Inner { count: 42, loss: Some(1.5) }, share: -1.5e-7, holds: None }
    }

    fn text_of(rows: &[Outer], dialect: Dialect) -> String {
        String::from_utf8(to_csv(rows, dialect)).unwrap()
    }

    fn read(table: &str) -> Result<Vec<Outer>> {
        from_csv(table.as_bytes(), Path::new(PATH))
    }

    fn refusal(table: &str) -> String {
        read(table).unwrap_err().to_string()
    }

    #[test]
    fn the_columns_of_a_nested_row_stand_in_its_place() {
        assert_eq!(Outer::columns(), ["name", "count", "loss", "share", "holds"]);
        assert_eq!(text_of(&[example()], Dialect::Comma), "name,count,loss,share,holds\na,42,1.5,-1.5e-7,\n");
    }

    #[test]
    fn semicolons_separate_fields_and_numbers_have_a_decimal_comma() {
        assert_eq!(text_of(&[example()], Dialect::Semicolon), "name;count;loss;share;holds\na;42;1,5;-1,5e-7;\n");
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        assert_eq!(text_of(&[], Dialect::Comma), "name,count,loss,share,holds\n");
        assert_eq!(read("name;count;loss;share;holds").unwrap(), []);
    }

    #[test]
    fn text_keeps_its_points_and_commas_and_is_quoted_where_the_dialect_needs_it() {
        for (name, comma, semicolon) in [
            ("lambda0.1_eta0.001", "lambda0.1_eta0.001", "lambda0.1_eta0.001"),
            ("0.1", "0.1", "0.1"),
            ("0,1", "\"0,1\"", "0,1"),
            ("one; two", "one; two", "\"one; two\""),
            ("say \"1.5\"", "\"say \"\"1.5\"\"\"", "\"say \"\"1.5\"\"\""),
        ] {
            let rows = [Outer { name: name.into(), ..example() }];
            for (dialect, cell) in DIALECTS.into_iter().zip([comma, semicolon]) {
                let text = text_of(&rows, dialect);
                assert!(text.lines().nth(1).unwrap().starts_with(cell), "{text}");
                assert_eq!(read(&text).unwrap(), rows);
            }
        }
    }

    #[test]
    fn a_byte_order_mark_and_the_line_ends_of_windows_are_read() {
        let table = "\u{feff}name;count;loss;share;holds\r\na;42;1,5;-1,5e-7;\r\n";
        assert_eq!(read(table).unwrap(), [example()]);
    }

    #[test]
    fn a_decimal_comma_between_commas_is_refused() {
        let message = refusal("name,count,loss,share,holds\na,42,\"1,5\",0.5,\n");
        assert_eq!(message, "table.csv: line 2: loss must be a finite number, but is \"1,5\"");
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_by_line_and_column() {
        for bad in ["NaN", "inf", "-inf", "infinity", "1e999"] {
            let table = format!("name,count,loss,share,holds\na,42,1.5,0.5,\na,42,{bad},0.5,\n");
            let message = format!("table.csv: line 3: loss must be a finite number, but is \"{bad}\"");
            assert_eq!(refusal(&table), message);
        }
    }

    #[test]
    fn a_field_without_a_valid_value_is_refused_by_line_and_column() {
        let with = |row: &str| refusal(&format!("name,count,loss,share,holds\n{row}\n"));
        assert!(with("a,-1,,0.5,").ends_with("line 2: count must be a whole number, but is \"-1\""));
        assert!(with("a,1.0,,0.5,").ends_with("line 2: count must be a whole number, but is \"1.0\""));
        assert!(with("a,1,,,").ends_with("line 2: share must be a finite number, but is \"\""));
        assert!(with("a,1,,0.5,yes").ends_with("line 2: holds must be true or false, but is \"yes\""));
        assert!(with("a,1,,0.5").ends_with("line 2 must have 5 columns, but has 4: make or copy the file again"));
        assert!(with("a,1,,0.5,,").ends_with("line 2 must have 5 columns, but has 6: make or copy the file again"));
    }

    #[test]
    fn a_column_that_earlier_versions_lack_is_empty_in_their_tables() {
        row! {
            #[derive(Debug, PartialEq)]
            struct New {
                first: u64,
                decay_patience: Option<usize>,
                last: f64,
            }
        }
        let read = |table: &str| from_csv::<New>(table.as_bytes(), Path::new(PATH));
        let row = |decay_patience| New { first: 1, decay_patience, last: 0.5 };
        assert_eq!(read("first,decay_patience,last\n1,2,0.5\n").unwrap(), [row(Some(2))]);
        assert_eq!(read("first,last\n1,0.5\n").unwrap(), [row(None)]);
        assert_eq!(read("first;last\n1;0,5\n").unwrap(), [row(None)]);
        assert!(has_header_of::<New>(b"first,last\n"));
        for other in ["first\n1\n", "first,last,decay_patience\n1,0.5,2\n", "first,last,last\n1,0.5,0.5\n"] {
            assert!(read(other).is_err(), "{other}");
        }
        let message = read("first,last\n1,,0.5\n").unwrap_err().to_string();
        assert_eq!(message, "table.csv: line 2 must have 2 columns, but has 3: make or copy the file again");
    }

    #[test]
    fn another_header_is_refused_in_one_line() {
        assert_eq!(
            refusal("name,count\n\"a\nb\"\n"),
            "table.csv: the columns must be name,count,loss,share,holds, but are \"name,count\"; if an earlier version wrote this table, write it again"
        );
        assert_eq!(
            refusal(""),
            "table.csv: must be a table with the columns name,count,loss,share,holds, but is empty"
        );
        assert!(from_csv::<Outer>(b"name,\xff\n", Path::new(PATH)).is_err());
        let message =
            from_csv::<Outer>(b"name,count,loss,share,holds\na,1,,1,\n\xff,1,,1,\n", Path::new(PATH)).unwrap_err();
        assert_eq!(message.to_string(), "table.csv: line 3 must be text in UTF-8, but has other bytes");
        assert!(has_header_of::<Outer>(b"name;count;loss;share;holds\n"));
        assert!(!has_header_of::<Outer>(b"name;count,loss;share;holds\n"));
    }

    fn number() -> impl Strategy<Value = f64> {
        any::<f64>().prop_filter("finite", |v| v.is_finite())
    }

    fn any_row() -> impl Strategy<Value = Outer> {
        let name = "\\PC*|[,\"\n\r; ]*|-?[0-9]+[.,][0-9]+|inf|nan";
        let inner = (any::<u64>(), proptest::option::of(number()));
        (name, inner, number(), any::<Option<bool>>()).prop_map(|(name, (count, loss), share, holds)| Outer {
            name,
            inner: Inner { count, loss },
            share,
            holds,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn numbers_and_text_read_back_bit_for_bit(rows in prop::collection::vec(any_row(), 0..8)) {
            for dialect in DIALECTS {
                let read: Vec<Outer> = from_csv(&to_csv(&rows, dialect), Path::new(PATH)).unwrap();
                prop_assert_eq!(format!("{read:?}"), format!("{rows:?}"));
            }
        }

        #[test]
        fn a_row_is_written_as_the_csv_crate_writes_it(row in any_row()) {
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
            writer.serialize((&row.name, row.inner.count, row.inner.loss, row.share, row.holds)).unwrap();
            let expected = [b"name,count,loss,share,holds\n", &writer.into_inner().unwrap()[..]].concat();
            prop_assert_eq!(to_csv(&[row], Dialect::Comma), expected);
        }

        #[test]
        fn altered_bytes_are_read_or_refused(
            dialect in prop::sample::select(&DIALECTS),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = to_csv(&[example(), example()], dialect);
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = from_csv::<Outer>(&bytes, Path::new(PATH));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_csv::<Outer>(&bytes, Path::new(PATH));
            let table = [b"name;count;loss;share;holds\n", &bytes[..]].concat();
            let _ = from_csv::<Outer>(&table, Path::new(PATH));
        }
    }
}
