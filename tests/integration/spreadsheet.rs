//! Opens the tables in LibreOffice, and checks that numbers arrive as numbers. Without LibreOffice (`soffice`) these
//! tests print a message and check nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use tempfile::TempDir;

/// The language of the numbers, by its Windows identifier.
#[derive(Clone, Copy)]
enum Language {
    English = 1033,
    Swedish = 1053,
    German = 1031,
}

/// LibreOffice with its own profile, and a folder for results.
struct Office {
    home: TempDir,
}

impl Office {
    /// `None`, with a message, if LibreOffice is not installed.
    fn new() -> Option<Self> {
        if Command::new("soffice").arg("--version").output().is_err() {
            // Written directly, because the test harness hides the output of tests that pass.
            let _ = writeln!(std::io::stderr(), "skipped: LibreOffice (soffice) is not installed");
            return None;
        }
        Some(Self { home: tempfile::tempdir().unwrap() })
    }

    /// Runs the program, and returns the paths of its tables in `dialect`.
    fn tables(&self, dialect: &str) -> Vec<PathBuf> {
        let out = self.home.path().join(dialect);
        for arguments in [["train", "--epochs", "2"], ["gradcheck", "--differences", "1"]] {
            let status = Command::new(crate::program())
                .args(arguments)
                .args(["--dataset", "sample", "--quiet"])
                .args(["--csv-dialect", dialect, "--out"])
                .arg(&out)
                .status();
            assert!(status.unwrap().success(), "{arguments:?}");
        }
        let files = fs::read_dir(out).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().unwrap() == "csv").collect()
    }

    /// Opens each of `tables` in LibreOffice, with `separator` and with numbers in `language`.
    fn open(&self, tables: &[PathBuf], separator: char, language: Language) -> Vec<Sheet> {
        let out = tempfile::tempdir_in(self.home.path()).unwrap();
        // The fields of the filter: separator, text mark, character set (UTF-8), first line, column formats, language.
        let filter = format!("--infilter=CSV:{},34,76,1,,{}", u32::from(separator), language as u32);
        let output = Command::new("soffice")
            .arg(format!("-env:UserInstallation=file://{}/profile", self.home.path().display()))
            .args(["--headless", "--convert-to", "fods"])
            .arg(filter)
            .arg("--outdir")
            .arg(out.path())
            .args(tables)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let sheet = |table: &PathBuf| Sheet::read(&out.path().join(table.file_stem().unwrap()));
        tables.iter().map(sheet).collect()
    }
}

/// A cell of a sheet.
#[derive(Clone, Debug)]
enum Cell {
    Empty,
    Number(f64),
    Text(String),
}

/// The cells of a sheet.
struct Sheet(Vec<Vec<Cell>>);

impl Sheet {
    /// Reads the sheet of a flat OpenDocument file.
    fn read(stem: &Path) -> Self {
        let document = fs::read_to_string(format!("{}.fods", stem.display())).unwrap();
        let mut reader = Reader::from_str(&document);
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(row) if is(&row, "table-row") => {
                    assert_eq!(attribute(&row, "table:number-rows-repeated"), None);
                    rows.push(Vec::new());
                }
                Event::Empty(cell) if is(&cell, "table-cell") => {
                    rows.last_mut().unwrap().extend(vec![Cell::Empty; repeated(&cell)]);
                }
                Event::Start(cell) if is(&cell, "table-cell") => {
                    let content = match attribute(&cell, "office:value-type").as_deref() {
                        Some("float") => Cell::Number(attribute(&cell, "office:value").unwrap().parse().unwrap()),
                        Some("string") => Cell::Text(text_of(&mut reader)),
                        other => panic!("a cell of type {other:?}"),
                    };
                    rows.last_mut().unwrap().extend(vec![content; repeated(&cell)]);
                }
                Event::Eof => return Self(rows),
                _ => {}
            }
        }
    }

    /// Asserts that all numbers and texts equal those of `table`; returns the number of numbers.
    fn assert_equals(&self, table: &Path, separator: u8, decimal_mark: &str) -> usize {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(separator).from_path(table).unwrap();
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(self.0.len(), records.len(), "{}", table.display());
        let mut numbers = 0;
        for (cells, record) in self.0.iter().zip(&records) {
            assert_eq!(cells.len(), record.len());
            for (cell, field) in cells.iter().zip(record) {
                match (cell, field.replace(decimal_mark, ".").parse::<f64>()) {
                    (Cell::Number(found), Ok(expected)) => {
                        // LibreOffice writes 15 digits, and at most 20 decimals.
                        assert!((found - expected).abs() <= (1e-14 * expected.abs()).max(1e-20), "{field}");
                        numbers += 1;
                    }
                    (Cell::Text(text), Err(_)) => assert_eq!(text, field),
                    (Cell::Empty, Err(_)) => assert_eq!(field, ""),
                    (cell, _) => panic!("{}: {field:?} is {cell:?}", table.display()),
                }
            }
        }
        numbers
    }

    fn numbers(&self) -> usize {
        let cells = self.0.iter().flatten();
        cells.filter(|cell| matches!(cell, Cell::Number(_))).count()
    }
}

fn is(element: &BytesStart, name: &str) -> bool {
    element.local_name().as_ref() == name
}

/// The number of equal cells beside each other that `cell` stands for.
fn repeated(cell: &BytesStart) -> usize {
    attribute(cell, "table:number-columns-repeated").map_or(1, |number| number.parse().unwrap())
}

fn attribute(element: &BytesStart, name: &str) -> Option<String> {
    Some(element.try_get_attribute(name).unwrap()?.value.into_owned())
}

/// The text of the cell that was just started.
fn text_of(reader: &mut Reader<&[u8]>) -> String {
    let mut text = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Text(part) => text += &part.into_inner(),
            Event::GeneralRef(entity) => text += &format!("&{};", entity.into_inner()),
            Event::End(end) if end.local_name().as_ref() == "table-cell" => {
                return unescape(text.trim()).unwrap().into_owned();
            }
            _ => {}
        }
    }
}

/// The number of numbers in all tables.
fn count(tables: &[PathBuf], sheets: &[Sheet], separator: u8, decimal_mark: &str) -> usize {
    let tables = tables.iter().zip(sheets);
    tables.map(|(table, sheet)| sheet.assert_equals(table, separator, decimal_mark)).sum()
}

#[test]
fn an_english_spreadsheet_reads_all_numbers_of_the_comma_tables() {
    let Some(office) = Office::new() else { return };
    let tables = office.tables("comma");
    let sheets = office.open(&tables, ',', Language::English);
    assert!(count(&tables, &sheets, b',', ".") > 500);
}

#[test]
fn swedish_and_german_spreadsheets_read_all_numbers_of_the_semicolon_tables() {
    let Some(office) = Office::new() else { return };
    let tables = office.tables("semicolon");
    for language in [Language::Swedish, Language::German] {
        let sheets = office.open(&tables, ';', language);
        assert!(count(&tables, &sheets, b';', ",") > 500);
    }
}

#[test]
fn a_swedish_spreadsheet_reads_numbers_with_decimal_points_as_text() {
    // The reason for the second dialect, and the negative control of these tests.
    let Some(office) = Office::new() else { return };
    let tables = office.tables("comma");
    let english = office.open(&tables, ',', Language::English);
    let swedish = office.open(&tables, ',', Language::Swedish);
    // A table of counts has no decimals.
    let numbers = |sheets: &[Sheet]| sheets.iter().map(Sheet::numbers).sum::<usize>();
    assert!(numbers(&swedish) < numbers(&english));
}
