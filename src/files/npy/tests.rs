use super::*;
use proptest::prelude::*;

#[test]
fn fortran_order_of_three_dimensions_is_read_as_the_same_array() {
    // numpy.arange(24).reshape((2, 3, 4)).ravel("F")
    let fortran = [0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23];
    let array = from_fortran(vec![2, 3, 4], &fortran.map(f64::from));
    assert_eq!(array.values, (0..24).map(f64::from).collect::<Vec<_>>());
}

/// An `.npy` file of version 1 (or 2) with `header` and `data`.
fn npy_file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    let length = (header.len() as u32).to_le_bytes();
    bytes.extend(if version == 1 { &length[..2] } else { &length[..] });
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(shape: &str) -> String {
    format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n")
}

#[test]
fn a_shape_must_take_exactly_the_bytes_that_are_there() {
    let data = [0; 8];
    for version in [1, 2, 3] {
        let array = floats(&npy_file(version, &header("(2,)"), &data)).unwrap();
        assert_eq!(array.shape, [2]);
        for shape in ["(1,)", "(3,)", "(999999999, 999999999)", "()", "(0,)"] {
            let error = floats(&npy_file(version, &header(shape), &data)).unwrap_err();
            assert!(error.contains("but there are 8"), "{error}");
        }
    }
}

#[test]
fn headers_made_to_exhaust_the_reader_are_refused() {
    let deep = "(".repeat(5000);
    let shapes = [
        ("(9999999999, 9999999999)", "(9999999999, 9999999999) is too large"),
        ("(0, 9999999999, 9999999999)", "is too large"),
        ("(99999999999999999999,)", "complex header"),
        ("(0xffffffffffffffff, 0xffffffffffffffff)", "complex header"),
        ("(9_999_999_999, 9_999_999_999)", "complex header"),
        (&deep, "complex header"),
    ];
    for (shape, words) in shapes {
        let error = floats(&npy_file(1, &header(shape), &[])).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let mut long = npy_file(2, &header("(2,)"), &[]);
    long[8..12].fill(0xff);
    let error = floats(&long).unwrap_err();
    assert!(error.contains("but has 4294967295"), "{error}");
}

#[test]
fn a_header_may_have_its_keys_in_any_order_with_any_quotes_and_spaces() {
    for text in [
        "{'descr':'<f4','fortran_order':False,'shape':(2,)}",
        " {\n'shape' : ( 2 , ) , \"fortran_order\" : True ,\t'descr' : \"<f4\" , } \n",
    ] {
        let array = floats(&npy_file(1, text, &[0; 8])).unwrap();
        assert_eq!(array, Array { shape: vec![2], values: vec![0.0; 2] });
    }
    let text = "{'descr': '>i8', 'fortran_order': True, 'shape': (1, 2,)}";
    let array = integers(&npy_file(3, text, &[[0, 0, 0, 0, 0, 0, 0, 1], [0xff; 8]].concat())).unwrap();
    assert_eq!(array, Array { shape: vec![1, 2], values: vec![1, -1] });
}

#[test]
fn any_other_header_is_refused_in_one_line() {
    let after = "'fortran_order': False, 'shape': (2,)}";
    for (text, words) in [
        ("", "\"{\" must be next, but it is \"\""),
        (&format!("{{'descr': '<i8', {after}"), "must be float32 or float64, but is int64"),
        (&format!("{{'descr': '|O', {after}"), "must be float32 or float64, but is object"),
        ("{}", "must have 'descr', but lacks it"),
        ("{'descr': '<f4', 'fortran_order': False}", "must have 'shape', but lacks it"),
        ("{'descr': '<f4', 'descr': '<f4'}", "must have 'descr' once"),
        ("{'descr': '<f4', 'more': 1}", "'descr', 'fortran_order' or 'shape' must be next, but it is \"'more': 1}\""),
        (&format!("{{'descr': [('a', '<f4')], {after}"), "but is a structured one"),
        (&format!("{{'descr': '<\\x664', {after}"), "a string without escapes"),
        (&format!("{{'descr': '<f4, {after}"), "\",\" or \"}\" must be next"),
        (&format!("{{'descr': '<f4' {after}"), "\",\" or \"}\" must be next"),
        (&format!("{{'descr': '<f4', {after} 1"), "the end must be next, but it is \"1\""),
        (&format!("{{'descr': '=f4', {after}"), "must be float32 or float64, but is '=f4'"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "True or False must be next"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "must be a tuple, but is (2)"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", "\"(\" must be next, but it is \"[2]}\""),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "a length below 2^64 must be next"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,, )}", "a length below 2^64 must be next"),
        ("{'descr': '<é4', 'fortran_order': False, 'shape': (2,)}", "is not ASCII"),
    ] {
        let error = floats(&npy_file(1, text, &[0; 8])).unwrap_err();
        assert!(error.contains(words) && !error.contains('\n'), "{text}: {error}");
    }
    for (at, byte, words) in [
        (0, b'N', "must be an .npy file, as numpy.save writes it, but is of an unknown kind"),
        (6, 4, "but has 4.0"),
        (7, 1, "but has 1.1"),
    ] {
        let mut bytes = npy_file(1, &header("(2,)"), &[0; 8]);
        bytes[at] = byte;
        let error = floats(&bytes).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_array_is_written_with_an_aligned_header_and_reads_back() {
    let bytes = to_bytes(&[2, 3], Elements::I64(&[1, 2, 3, 4, 5, -6]));
    let text = "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3, ), }";
    assert_eq!(bytes[..10], *b"\x93NUMPY\x01\0\x76\0");
    assert_eq!(bytes[10..128], *format!("{text:117}\n").as_bytes());
    assert_eq!(integers(&bytes).unwrap(), Array { shape: vec![2, 3], values: vec![1, 2, 3, 4, 5, -6] });
    let scalar = to_bytes(&[], Elements::F32(&[0.5]));
    assert_eq!((scalar.len(), floats(&scalar).unwrap().values), (132, vec![0.5]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn altered_arrays_are_read_or_refused(
        text in "[-0-9a-zA-Z'(){}\\[\\],:._ ]{0,40}",
        at in any::<prop::sample::Index>(),
        version in 1u8..=3,
        data in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let mut header = header("(2, 3)");
        let at = at.index(header.len());
        header.replace_range(at.., &text);
        let _ = floats(&npy_file(version, &header, &data));
    }

    #[test]
    fn altered_bytes_of_an_array_are_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = npy_file(1, &header("(2, 3)"), &[0; 24]);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = floats(&bytes);
    }
}

#[test]
fn another_type_is_named_as_numpy_names_it() {
    for (descr, name) in [
        ("<i8", "int64"),
        ("|u1", "uint8"),
        (">u4", "uint32"),
        ("<f2", "float16"),
        ("<c16", "complex128"),
        ("|b1", "bool"),
        ("|O", "object"),
        ("<U5", "text"),
        ("|S3", "bytes"),
        ("<M8[s]", "a date or time"),
        ("<i9", "'<i9'"),
        ("=i8", "'=i8'"),
    ] {
        assert_eq!(type_name(descr), name);
    }
}

/// A file of `descr` and `shape`, in C order.
fn file_of(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy_file(1, &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"), data)
}

#[test]
fn numbers_of_every_type_and_byte_order_are_read() {
    // The bytes of two numbers, the most significant first.
    let cases: [(&str, &[u8], [f64; 2]); 10] = [
        ("i1", b"\x80\x7f", [-128.0, 127.0]),
        ("u1", b"\x80\x7f", [128.0, 127.0]),
        ("i2", b"\xff\xfe\x01\x02", [-2.0, 258.0]),
        ("u2", b"\xff\xfe\x01\x02", [65_534.0, 258.0]),
        ("i4", b"\xff\xff\xff\xfe\0\x01\0\x02", [-2.0, 65_538.0]),
        ("u4", b"\xff\xff\xff\xfe\0\x01\0\x02", [4_294_967_294.0, 65_538.0]),
        ("i8", b"\xff\xff\xff\xff\xff\xff\xff\xfe\0\x20\0\0\0\0\0\x03", [-2.0, 9_007_199_254_740_996.0]),
        (
            "u8",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01\0\0\0\x02",
            [18_446_744_073_709_551_616.0, 4_294_967_298.0],
        ),
        ("f4", b"\x3f\xc0\0\0\xc0\0\0\0", [1.5, -2.0]),
        ("f8", b"\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", [1.5, -2.0]),
    ];
    for (kind, big, values) in cases {
        let little: Vec<u8> = big.chunks(big.len() / 2).flat_map(|bytes| bytes.iter().rev().copied()).collect();
        let expected = Array { shape: vec![2], values: values.to_vec() };
        let orders = if big.len() == 2 { vec![('|', big)] } else { vec![('>', big), ('<', &little[..])] };
        for (order, data) in orders {
            let bytes = file_of(&format!("{order}{kind}"), "(2,)", data);
            assert_eq!(numbers(&bytes).unwrap(), expected, "{order}{kind}");
            assert_eq!(floats(&bytes).is_ok(), kind.starts_with('f'), "{order}{kind}");
            assert_eq!(integers(&bytes).is_ok(), kind == "i8", "{order}{kind}");
            assert_eq!(is_f32(&bytes), kind == "f4", "{order}{kind}");
        }
    }
    assert_eq!(numbers(&file_of("|b1", "(2,)", &[0, 1])).unwrap_err(), "must be numbers, but is bool");
    assert_eq!(numbers(&file_of("<f2", "()", &[0, 1])).unwrap_err(), "must be a number, but is float16");
    assert_eq!(numbers(b"").unwrap_err(), "must be an .npy file, as numpy.save writes it, but is empty");
    assert!(!is_f32(b""));
}

#[test]
fn a_single_string_is_read_as_numpy_writes_it() {
    // numpy.array("αb"), then with a third character that is not used, which NumPy fills with 0.
    let two = b"\xb1\x03\0\0b\0\0\0";
    let three = [&two[..], &[0; 4]].concat();
    for (descr, shape, data, expected) in [
        ("<U2", "()", &two[..], "αb"),
        ("<U2", "(1,)", two, "αb"),
        ("<U2", "(1, 1)", two, "αb"),
        ("<U3", "()", &three, "αb"),
        ("<U1", "()", &[0; 4], ""),
        ("<U0", "()", b"", ""),
        ("<U1", "()", &[0xff, 0xff, 0x10, 0], "\u{10ffff}"),
    ] {
        assert_eq!(text(&file_of(descr, shape, data)).unwrap(), expected);
    }
    let of = |characters: usize| text(&file_of(&format!("<U{characters}"), "()", &b"x\0\0\0".repeat(characters)));
    assert_eq!(of(1024).unwrap(), "x".repeat(1024));
    let refused = "must be a single string of at most 1024 characters, but is text";
    assert_eq!(of(1025).unwrap_err(), refused);
    for (descr, shape, data) in [
        ("<U2", "(2,)", &two[..]),
        ("<U2", "(0,)", two),
        ("<U2", "(1, 2)", two),
        ("<U1", "()", two),
        ("<U3", "()", two),
        ("<U2", "()", &two[..7]),
        (">U2", "()", two),
        ("<U", "()", two),
        ("<U4611686018427387906", "()", two),
    ] {
        assert_eq!(text(&file_of(descr, shape, data)).unwrap_err(), refused, "{descr} {shape}");
    }
    // Half of a pair of UTF-16, and a number beyond Unicode.
    for data in [[0, 0xd8, 0, 0], [0, 0, 0x11, 0]] {
        assert_eq!(text(&file_of("<U1", "()", &data)).unwrap_err(), "must be a single string, but is text");
    }
    assert_eq!(
        text(&file_of("<i8", "()", &[0; 8])).unwrap_err(),
        "must be a single string of at most 1024 characters, but is int64"
    );
}

#[test]
fn elements_of_each_type_are_written_as_numpy_writes_them() {
    let cases: [(&[usize], Elements, &str, &[u8]); 4] = [
        (&[], Elements::Text("αb"), "'descr': '<U2', 'fortran_order': False, 'shape': ()", b"\xb1\x03\0\0b\0\0\0"),
        (&[], Elements::F32(&[1.5]), "'descr': '<f4', 'fortran_order': False, 'shape': ()", b"\0\0\xc0\x3f"),
        (&[], Elements::F64(&[-2.0]), "'descr': '<f8', 'fortran_order': False, 'shape': ()", b"\0\0\0\0\0\0\0\xc0"),
        (
            &[1],
            Elements::I64(&[-2]),
            "'descr': '<i8', 'fortran_order': False, 'shape': (1, )",
            b"\xfe\xff\xff\xff\xff\xff\xff\xff",
        ),
    ];
    for (shape, elements, header, data) in cases {
        let header = format!("{{{header}, }}");
        let expected = [b"\x93NUMPY\x01\0\x76\0", format!("{header:117}\n").as_bytes(), data].concat();
        assert_eq!(to_bytes(shape, elements), expected, "{header}");
        assert_eq!((elements.len(), elements.is_empty()), (1, false));
    }
    for empty in [Elements::F32(&[]), Elements::F64(&[]), Elements::I64(&[])] {
        assert_eq!((empty.len(), empty.is_empty()), (0, true));
    }
    assert_eq!(
        [Elements::F32(&[0.0; 3]).len(), Elements::F64(&[0.0; 4]).len(), Elements::I64(&[0; 5]).len()],
        [3, 4, 5]
    );
    assert_eq!((Elements::Text("").len(), Elements::Text("").is_empty()), (1, false));
}

#[test]
fn the_elements_begin_at_the_next_multiple_of_64_whatever_the_length_of_the_shape() {
    let mut starts = Vec::new();
    for digits in 1..100 {
        // Numbers of one digit, so that the header grows by three bytes.
        let shape = vec![0; digits];
        let bytes = to_bytes(&shape, Elements::F32(&[]));
        assert_eq!(floats(&bytes).unwrap().shape, shape);
        let header = std::str::from_utf8(&bytes[10..]).unwrap();
        assert!(header.ends_with('\n') && header.lines().count() == 1);
        let needed = 10 + header.trim_end().len() + 1;
        assert_eq!(bytes.len(), needed.div_ceil(64) * 64);
        starts.push(bytes.len() - needed);
    }
    // With and without spaces.
    assert_eq!((starts.iter().min(), starts.iter().max()), (Some(&0), Some(&63)));
}

#[test]
fn a_header_may_have_10_000_bytes_and_not_one_more() {
    let header = |length: usize| format!("{:length$}", header("(2,)").trim_end());
    for version in [1, 2] {
        assert_eq!(floats(&npy_file(version, &header(10_000), &[0; 8])).unwrap().shape, [2]);
        let error = floats(&npy_file(version, &header(10_001), &[0; 8])).unwrap_err();
        assert_eq!(error, "the header must have at most 10000 bytes, but has 10001");
    }
}

#[test]
fn a_file_that_ends_in_its_header_is_called_short_and_one_that_ends_later_lacks_bytes() {
    for version in [1, 2] {
        let text = header("(2,)");
        let bytes = npy_file(version, &text, &[0; 8]);
        let start = bytes.len() - 8;
        for length in 6..start {
            let error = floats(&bytes[..length]).unwrap_err();
            assert_eq!(error, "the header is cut short: save or copy the file again", "{length}");
        }
        for length in start..bytes.len() {
            let error = floats(&bytes[..length]).unwrap_err();
            let found = length - start;
            let words = format!("the shape (2) needs 8 bytes, but there are {found}: save or copy the file again");
            assert_eq!(error, words);
        }
    }
}

#[test]
fn fortran_order_makes_no_difference_to_one_dimension_or_none() {
    for (shape, data) in [("()", &[1u8][..]), ("(3,)", &[1, 2, 3]), ("(1, 3, 1)", &[1, 2, 3]), ("(0, 3)", &[])] {
        let read = |order: &str| {
            let text = format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': {shape}}}");
            numbers(&npy_file(1, &text, data)).unwrap()
        };
        assert_eq!(read("True"), read("False"), "{shape}");
        assert_eq!(read("True").values, data.iter().map(|&byte| byte.into()).collect::<Vec<f64>>());
    }
    let text = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}";
    let array = numbers(&npy_file(1, text, &[1, 4, 2, 5, 3, 6])).unwrap();
    assert_eq!(array, Array { shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] });
}

#[test]
fn widths_that_numpy_does_not_have_are_quoted() {
    for (descr, name) in [
        ("<u8", "uint64"),
        ("<u16", "'<u16'"),
        ("<i16", "'<i16'"),
        ("<f16", "float128"),
        ("<f17", "'<f17'"),
        ("<c32", "complex256"),
        ("<c33", "'<c33'"),
        ("|b2", "'|b2'"),
        ("<m8[ns]", "a date or time"),
        ("i8", "'i8'"),
        ("", "''"),
    ] {
        assert_eq!(type_name(descr), name);
    }
}

#[test]
fn keys_come_once_each_in_any_order() {
    let items = ["'descr': '|u1'", "'fortran_order': False", "'shape': (1,)"];
    for [a, b, c] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let text = format!("{{{}, {}, {}}}", items[a], items[b], items[c]);
        assert_eq!(numbers(&npy_file(1, &text, &[9])).unwrap().values, [9.0], "{text}");
    }
    for (i, key) in ["descr", "fortran_order", "shape"].into_iter().enumerate() {
        let read = |items: &[&str]| numbers(&npy_file(1, &format!("{{{}}}", items.join(", ")), &[9])).unwrap_err();
        let mut others = items.to_vec();
        others.remove(i);
        assert_eq!(read(&others), format!("the header must have '{key}', but lacks it"));
        let twice = [&items[..], &[items[i]]].concat();
        assert_eq!(read(&twice), format!("the header must have '{key}' once, but has it twice"));
    }
}

#[test]
fn a_string_of_the_header_has_no_control_characters_and_one_kind_of_quotes() {
    let read = |descr: &str| {
        let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
        numbers(&npy_file(1, &text, &[9]))
    };
    assert!(read("\"|u1\"").is_ok() && read("'|u1'").is_ok());
    for descr in ["'|u\t1'", "'|\\u1'", "'|u1\"", "\"|u1'", "|u1", "u'|u1'", "'|u1", "b'|u1'"] {
        let error = read(descr).unwrap_err();
        assert!(error.starts_with("must be a plain array of numbers, but has a complex header: "), "{descr}: {error}");
        assert!(error.len() < 160 && !error.contains('\n'), "{error}");
    }
    assert_eq!(
        read("'|u\t1'").unwrap_err(),
        "must be a plain array of numbers, but has a complex header: a string without escapes must be next, but it is \
         \"'|u\\t1', 'fortran_ord\""
    );
}
