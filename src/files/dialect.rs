//! The dialects of CSV: the tables as a spreadsheet expects them.
//!
//! A spreadsheet takes numbers as its user's country writes them. Where that is with a decimal comma, as in Sweden or
//! Germany, the comma can't separate fields too: there `;` does. The exporters write [`Dialect::Comma`]; a table changes its
//! dialect on its way into the results folder, and back when it is read.

use std::borrow::Cow;

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};

/// How the tables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As RFC 4180 has it: fields are separated by a comma, numbers have a decimal point.
    #[default]
    Comma,
    /// Fields are separated by a semicolon, numbers have a decimal comma.
    Semicolon,
}

impl Dialect {
    /// What separates fields.
    pub fn delimiter(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
        }
    }

    /// What stands before the decimals of a number.
    fn decimal_mark(self) -> u8 {
        match self {
            Self::Comma => b'.',
            Self::Semicolon => b',',
        }
    }

    /// `table`, which is in the dialect of RFC 4180, in this one. Fields that are written as a number get its decimal
    /// mark, all others stay as they are.
    pub fn translate(self, table: &[u8]) -> Cow<'_, [u8]> {
        Self::Comma.rewrite(table, self)
    }

    /// `table`, which is in this dialect, in that of RFC 4180.
    pub fn translate_back(self, table: &[u8]) -> Cow<'_, [u8]> {
        self.rewrite(table, Self::Comma)
    }

    fn rewrite(self, table: &[u8], target: Self) -> Cow<'_, [u8]> {
        if self == target {
            return table.into();
        }
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(self.delimiter()).from_reader(table);
        let mut writer = WriterBuilder::new()
            .flexible(true)
            .delimiter(target.delimiter())
            .from_writer(Vec::with_capacity(table.len()));
        let (from, to) = (self.decimal_mark(), target.decimal_mark());
        let mut record = ByteRecord::new();
        // Any bytes are a table to a flexible reader, and memory can be read and written.
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let fields = record.iter().map(|field| with_mark(field, from, to));
            writer.write_record(fields).expect("writing to memory cannot fail");
        }
        let table = writer.into_inner().expect("writing to memory cannot fail");
        table.into()
    }
}

/// `field` with the decimal mark `to` in place of `from`, if it is written as a number.
fn with_mark(field: &[u8], from: u8, to: u8) -> Cow<'_, [u8]> {
    let replaced = |mark| -> Vec<u8> {
        let byte = |&b| if b == from { mark } else { b };
        field.iter().map(byte).collect()
    };
    let foreign = |b: &u8| *b != from && !b.is_ascii_digit() && !b"+-eE".contains(b);
    if !field.contains(&from) || field.iter().any(foreign) {
        return field.into();
    }
    let number = String::from_utf8(replaced(b'.')).is_ok_and(|text| text.parse::<f64>().is_ok());
    if number { replaced(to).into() } else { field.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn semicolon(table: &str) -> String {
        let bytes = Dialect::Semicolon.translate(table.as_bytes());
        String::from_utf8(bytes.into_owned()).unwrap()
    }

    #[test]
    fn semicolons_separate_fields_and_numbers_have_a_decimal_comma() {
        assert_eq!(
            semicolon("setting,lambda,loss,seed\nlambda0.1_eta0.001,0.1,-1.5e-7,42\n"),
            "setting;lambda;loss;seed\nlambda0.1_eta0.001;0,1;-1,5e-7;42\n"
        );
    }

    #[test]
    fn a_missing_value_stays_an_empty_field() {
        assert_eq!(semicolon("a,b,c\n,,0.5\n1.5,,\n"), "a;b;c\n;;0,5\n1,5;;\n");
    }

    #[test]
    fn text_is_left_alone_and_quoted_where_the_new_dialect_needs_it() {
        assert_eq!(
            semicolon("a,b\n\"one, two\",one; two\n\"say \"\"1.5\"\"\",0.1.0\n\"two\nlines\",1.5 s\n"),
            "a;b\none, two;\"one; two\"\n\"say \"\"1.5\"\"\";0.1.0\n\"two\nlines\";1.5 s\n"
        );
    }

    #[test]
    fn words_that_rust_takes_for_numbers_are_text() {
        for text in ["inf", "nan", "infinity", "e", ".", "-.", "1.2.3", "1.5.", ".e5"] {
            assert_eq!(semicolon(&format!("a,{text}\n")), format!("a;{text}\n"));
        }
    }

    #[test]
    fn the_dialect_of_rfc_4180_changes_no_byte() {
        let table = b"a,b\r\n\"1\",\xff\n";
        assert_eq!(Dialect::Comma.translate(table), &table[..]);
        assert_eq!(Dialect::Comma.translate_back(table), &table[..]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn numbers_and_text_come_back_as_they_were(
            rows in prop::collection::vec((any::<f64>(), any::<i64>(), "[a-z.\",;\n ]*", "\\PC*"), 1..6),
        ) {
            // Text that is itself a number with a decimal comma is the one thing that two dialects can't tell apart.
            let comma = |text: &str| with_mark(text.as_bytes(), b',', b'.') != text.as_bytes();
            let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
            for row in &rows {
                prop_assume!(!comma(&row.2) && !comma(&row.3));
                writer.serialize(row).unwrap();
            }
            let table = writer.into_inner().unwrap();
            let there = Dialect::Semicolon.translate(&table);
            prop_assert_eq!(&*Dialect::Semicolon.translate_back(&there), &table[..]);
        }

        #[test]
        fn any_bytes_are_rewritten_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Dialect::Semicolon.translate(&bytes);
            let _ = Dialect::Semicolon.translate_back(&bytes);
        }
    }
}
