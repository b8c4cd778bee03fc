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
    assert_eq!(refusal(""), "table.csv: must be a table with the columns name,count,loss,share,holds, but is empty");
    assert!(from_csv::<Outer>(b"name,\xff\n", Path::new(PATH)).is_err());
    let message =
        from_csv::<Outer>(b"name,count,loss,share,holds\na,1,,1,\n\xff,1,,1,\n", Path::new(PATH)).unwrap_err();
    assert_eq!(message.to_string(), "table.csv: line 3 must be text in UTF-8, but has other bytes");
    assert!(has_header_of::<Outer>(b"name;count;loss;share;holds\n"));
    assert!(!has_header_of::<Outer>(b"name;count,loss;share;holds\n"));
}

#[test]
fn a_file_that_is_no_table_is_told_by_its_kind_and_another_table_by_its_columns() {
    let columns = "name,count,loss,share,holds";
    for (text, kind) in [
        ("hello\n", "looks like text that begins with \"hello\""),
        ("a,b\n1,2\n", "looks like text that begins with \"a,b\""),
        ("{\"name\": 1}", "looks like JSON"),
    ] {
        assert_eq!(refusal(text), format!("table.csv: must be a table with the columns {columns}, but {kind}"));
        assert!(!has_header_of::<Outer>(text.as_bytes()));
    }
    for header in ["holds", "name;count;loss;share", "x,name,count,loss,share,holds", "count,name,loss,share,holds"] {
        let found = header.replace(';', ",");
        let advice = "if an earlier version wrote this table, write it again";
        let message = format!("table.csv: the columns must be {columns}, but are {found:?}; {advice}");
        assert_eq!(refusal(&format!("{header}\n1\n")), message);
        assert!(!has_header_of::<Outer>(header.as_bytes()));
    }
}

#[test]
fn the_first_row_that_is_wrong_is_refused_by_its_line_whatever_ends_the_lines() {
    let table = "name,count,loss,share,holds\na,1,,0.5,\n\n\nb,2,,x,\nc,y,,0.5,\n";
    let few = "name,count,loss,share,holds\n\na,1,,0.5,\nb,2\n";
    let quoted = "name,count,loss,share,holds\n\"a\nb\",1,,0.5,\nb,2,,x,\n";
    for table in [table.to_owned(), table.replace('\n', "\r\n"), format!("\u{feff}{}", table.replace('\n', "\r\n"))] {
        assert_eq!(refusal(&table), "table.csv: line 5: share must be a finite number, but is \"x\"", "{table:?}");
    }
    for table in [few.to_owned(), few.replace('\n', "\r\n")] {
        let message = "table.csv: line 4 must have 5 columns, but has 2: make or copy the file again";
        assert_eq!(refusal(&table), message, "{table:?}");
    }
    for table in [quoted.to_owned(), quoted.replace('\n', "\r\n")] {
        assert_eq!(refusal(&table), "table.csv: line 4: share must be a finite number, but is \"x\"", "{table:?}");
    }
    for table in
        [&b"name,count,loss,share,holds\n\n\xff,1,,1,\n"[..], b"name,count,loss,share,holds\r\n\r\n\xff,1,,1,\r\n"]
    {
        let message = from_csv::<Outer>(table, Path::new(PATH)).unwrap_err().to_string();
        assert_eq!(message, "table.csv: line 3 must be text in UTF-8, but has other bytes");
    }
}

#[test]
fn a_row_is_taken_apart_into_its_fields_and_put_together_again() {
    let fields = to_fields(&example());
    let expected = [("name", "a"), ("count", "42"), ("loss", "1.5"), ("share", "-1.5e-7"), ("holds", "")];
    assert_eq!(fields, expected.map(|(name, text)| (name, text.to_owned())));
    let text = |column: &str| fields.iter().find(|(name, _)| *name == column).unwrap().1.clone();
    assert_eq!(from_fields::<Outer>(text).unwrap(), example());
    let wrong = from_fields::<Outer>(|column| if column == "count" { "1,5".into() } else { text(column) });
    assert_eq!(wrong.unwrap_err(), "count must be a whole number, but is \"1,5\"");
}

#[test]
fn cells_are_their_texts() {
    assert_eq!(
        (true.to_text(), bool::from_text("false"), bool::from_text("False")),
        ("true".into(), Some(false), None)
    );
    assert_eq!((7usize.to_text(), u64::from_text("18446744073709551615")), ("7".into(), Some(u64::MAX)));
    assert_eq!((u64::from_text("18446744073709551616"), usize::from_text("")), (None, None));
    assert_eq!((Some(7u64).to_text(), None::<u64>.to_text()), ("7".into(), String::new()));
    assert_eq!(Option::<u64>::from_text(""), Some(None));
    assert_eq!(Option::<u64>::from_text("7"), Some(Some(7)));
    assert_eq!(Option::<u64>::from_text("x"), None);
    // The shortest digits that give the same number, which differ between the types.
    assert_eq!(
        [0.1f32.to_text(), 0.1f64.to_text(), f64::from(0.1f32).to_text()],
        ["0.1", "0.1", "0.10000000149011612"]
    );
    assert_eq!([1e21f64.to_text(), 5e-324.to_text(), (-0.0f64).to_text()], ["1e21", "5e-324", "-0.0"]);
    assert_eq!((f32::from_text("3.5e38"), f64::from_text("3.5e38")), (None, Some(3.5e38)));
    assert!(String::IS_NUMBER == bool::IS_NUMBER && !bool::IS_NUMBER && f32::IS_NUMBER && Option::<u64>::IS_NUMBER);
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
