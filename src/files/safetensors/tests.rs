use super::*;

const BYTES: [u8; 3] = [7, 8, 9];
const SINGLE: [f32; 2] = [1.5, -2.0];
const DOUBLE: [f64; 1] = [0.1];

fn texts(texts: &[(&str, &str)]) -> Texts {
    texts.iter().map(|&(name, text)| (name.into(), text.into())).collect()
}

/// A file with a tensor of each type.
fn example() -> Vec<u8> {
    let tensor = |name: &str, shape: &[usize], values| Tensor { name: name.into(), shape: shape.to_vec(), values };
    let tensors = [
        tensor("double", &[], Values::F64(&DOUBLE)),
        tensor("single", &[2, 1], Values::F32(&SINGLE)),
        tensor("bytes", &[3], Values::U8(&BYTES)),
    ];
    to_bytes(&texts(&[("epoch", "12"), ("note", "ten")]), &tensors)
}

fn with_reader<T>(bytes: &[u8], look: impl FnOnce(Reader) -> T) -> T {
    look(Reader::new(bytes, Path::new("model")).expect("the file is right"))
}

fn refusal(bytes: &[u8]) -> String {
    Reader::new(bytes, Path::new("model")).err().expect("the file is wrong").to_string()
}

#[test]
fn a_file_is_a_length_a_header_and_the_values_in_their_order() {
    let header = concat!(
        r#"{"__metadata__":{"epoch":"12","note":"ten"},"#,
        r#""double":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"#,
        r#""single":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},"#,
        r#""bytes":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}}"#
    );
    // 0.1, 1.5, −2 and the bytes.
    let values = b"\x9a\x99\x99\x99\x99\x99\xb9\x3f\0\0\xc0\x3f\0\0\0\xc0\x07\x08\x09";
    assert_eq!(header.len(), 220);
    let expected = [&224u64.to_le_bytes(), header.as_bytes(), &[b' '; 4], &values[..]].concat();
    assert_eq!(String::from_utf8_lossy(&example()), String::from_utf8_lossy(&expected));
    assert_eq!(example(), expected);
}

#[test]
fn the_values_begin_at_a_multiple_of_eight_bytes_without_needless_spaces() {
    for length in 0..17 {
        let bytes = to_bytes(&texts(&[("x", &"y".repeat(length))]), &[]);
        let header = std::str::from_utf8(&bytes[8..]).unwrap();
        let text = header.trim_end();
        assert_eq!(text, format!("{{\"__metadata__\":{{\"x\":\"{}\"}}}}", "y".repeat(length)));
        assert_eq!(bytes.len(), 8 + text.len().div_ceil(8) * 8);
    }
}

#[test]
fn each_tensor_is_read_as_its_own_type_alone() {
    let bytes = example();
    with_reader(&bytes, |reader| {
        assert_eq!(reader.f64("double").unwrap(), (vec![], DOUBLE.to_vec()));
        assert_eq!(reader.f32("single").unwrap(), (vec![2, 1], SINGLE.to_vec()));
        assert_eq!(reader.u8("bytes").unwrap(), (vec![3], BYTES.to_vec()));
        assert_eq!(reader.f32_of("single", &[2, 1]).unwrap(), SINGLE);

        let message = |error: Error| error.to_string();
        assert_eq!(message(reader.f32("double").unwrap_err()), r#"model: tensor "double" must be F32, but is F64"#);
        assert_eq!(message(reader.f64("single").unwrap_err()), r#"model: tensor "single" must be F64, but is F32"#);
        assert_eq!(message(reader.u8("single").unwrap_err()), r#"model: tensor "single" must be U8, but is F32"#);
        assert_eq!(
            message(reader.f32_of("bytes", &[3]).unwrap_err()),
            r#"model: tensor "bytes" must be F32, but is U8"#
        );
        for shape in [&[1, 2][..], &[2], &[]] {
            let error = reader.f32_of("single", shape).unwrap_err();
            let expected = crate::shape::shape_text(shape);
            assert_eq!(message(error), format!("model: single must have the shape {expected}, but has (2, 1)"));
        }
        let there = r#"only "bytes", "double", "single""#;
        assert_eq!(message(reader.u8("other").unwrap_err()), format!(r#"model: there is no tensor "other", {there}"#));
    });
}

#[test]
fn the_metadata_are_texts_that_may_be_values() {
    let bytes = example();
    with_reader(&bytes, |reader| {
        assert_eq!((reader.text("epoch"), reader.text("note"), reader.text("more")), (Some("12"), Some("ten"), None));
        assert_eq!(reader.optional::<usize>("epoch").unwrap(), Some(12));
        assert_eq!(reader.optional::<usize>("more").unwrap(), None);
        assert_eq!(reader.field::<usize>("epoch").unwrap(), 12);
        let missing = reader.field::<usize>("more").unwrap_err().to_string();
        assert_eq!(missing, r#"model: the metadata lacks "more": the file was not written by this program"#);
        let wrong = r#"model: the metadata has "note" = "ten": invalid digit found in string"#;
        assert_eq!(reader.optional::<usize>("note").unwrap_err().to_string(), wrong);
        assert_eq!(reader.field::<usize>("note").unwrap_err().to_string(), wrong);
    });
    // A file need not have any.
    let bytes = [&8u64.to_le_bytes(), &b"{}      "[..]].concat();
    with_reader(&bytes, |reader| {
        assert_eq!(reader.text("epoch"), None);
        let missing = reader.f32("W").unwrap_err().to_string();
        assert_eq!(missing, r#"model: there is no tensor "W": the file has none"#);
    });
}

#[test]
fn a_damaged_file_is_told_from_a_cut_one_and_from_another_kind() {
    let bytes = example();
    let cut = "model: the file is incomplete, or longer than its header says: copy it again";
    for length in [bytes.len() - 1, bytes.len() - 19] {
        assert_eq!(refusal(&bytes[..length]), cut);
    }
    assert_eq!(refusal(&[&bytes[..], &[0]].concat()), cut);
    let mut damaged = bytes.clone();
    damaged[20] = 0xff;
    assert_eq!(refusal(&damaged), "model: the header of the file is damaged: copy it again");
    assert_eq!(refusal(b""), "model: must be a safetensors file, but is empty");
    assert_eq!(
        refusal(b"a text that is long enough"),
        "model: must be a safetensors file, but looks like text that begins with \"a text that is long enough\""
    );
    assert_eq!(
        refusal(b"PK\x03\x04\0\0\0\0\0\0"),
        "model: must be a safetensors file, but looks like an .npz file or another ZIP archive"
    );
}

#[test]
fn a_file_is_told_by_the_length_and_the_brace_at_its_start() {
    assert!(is_one(&example()) && is_one(b"\xff\xff\xff\xff\0\0\0\0{"));
    for other in [&b""[..], b"\0\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0[", b"\0\0\0\0\x01\0\0\0{", b"{\0\0\0\0\0\0\0\0"] {
        assert!(!is_one(other), "{other:?}");
    }
}
