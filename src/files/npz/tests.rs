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
        include_bytes!(concat!("../../../tests/fixtures/", $name, ".npz"))
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
        message(fixture!("truncated")).ends_with("numpy.savez writes it, but it is incomplete: save or copy it again")
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
    assert_eq!(floats.integers("W").unwrap_err().to_string(), r#"start.npz: array "W": must be int64, but is float64"#);
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let large = vec![0.0; MAX_ENTRY_BYTES as usize / 8];
    let large = write(&[("x", &[large.len()], Elements::F64(&large))]);
    let message = large.unwrap_err().to_string();
    assert_eq!(message, "array must be of at most 67108864 bytes, but is \"x\" of 67108992 bytes");
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

#[test]
fn arrays_are_listed_once_each_and_sorted_and_other_files_are_none() {
    let files = ["b.npy", "notes.txt", "a.npy", "b.npy", "c.npy.gz", ".npy"].map(|name| (name.into(), Vec::new()));
    let bytes = zip::to_bytes(&files).unwrap();
    let npz = Npz::open(&bytes, Path::new(PATH)).unwrap();
    assert_eq!(npz.names(), ["", "a", "b"]);
    assert!(npz.contains("a") && npz.contains("b") && !npz.contains("notes.txt") && !npz.contains("c"));
    assert_eq!(npz.missing("W").to_string(), r#"start.npz: there is no array "W", only "", "a", "b""#);
    let empty = write(&[]).unwrap();
    let npz = Npz::open(&empty, Path::new(PATH)).unwrap();
    assert_eq!(npz.missing("W").to_string(), r#"start.npz: there is no array "W": the file has none"#);
    assert_eq!((npz.names(), npz.contains("")), (vec![], false));
}

#[test]
fn a_string_and_numbers_are_each_read_as_what_they_are() {
    let bytes = write(&[
        ("loss", &[], Elements::Text("softmax")),
        ("single", &[2], Elements::F32(&[0.1, 2.0])),
        ("double", &[2], Elements::F64(&[0.1, 2.0])),
        ("count", &[], Elements::I64(&[-3])),
    ])
    .unwrap();
    let npz = Npz::open(&bytes, Path::new(PATH)).unwrap();
    assert_eq!(npz.text("loss").unwrap(), "softmax");
    let refused = "must be a single string of at most 1024 characters, but is float32";
    assert_eq!(npz.text("single").unwrap_err().to_string(), format!("start.npz: array \"single\": {refused}"));
    assert_eq!(
        ["loss", "single", "double", "count", "more"].map(|name| npz.is_f32(name)),
        [false, true, false, false, false]
    );
    assert_eq!(npz.numbers("count").unwrap(), Array { shape: vec![], values: vec![-3.0] });
    assert_eq!(npz.optional_number("count").unwrap(), Some(-3.0));
    assert_eq!(npz.integers("count").unwrap().values, [-3]);
    assert_eq!(npz.numbers("single").unwrap().values, [f64::from(0.1f32), 2.0]);
    assert_eq!(
        npz.optional_number("loss").unwrap_err().to_string(),
        r#"start.npz: array "loss": must be a number, but is text"#
    );
}

#[test]
fn the_first_element_that_is_not_finite_is_named_with_its_place() {
    let npz = Npz::open(fixture!("not_finite"), Path::new(PATH)).unwrap();
    let array = npz.array("W").unwrap();
    let message = npz.check_finite("W", &array).unwrap_err().to_string();
    assert_eq!(message, r#"start.npz: array "W": must be finite, but W[1, 1] is NaN: check how it was computed"#);
    assert_eq!(npz.rounded("W", &array).unwrap_err().to_string(), message);
    let finite = Array { shape: vec![2], values: vec![f64::MAX, f64::MIN] };
    npz.check_finite("x", &finite).unwrap();
    let infinite = Array { shape: vec![3], values: vec![0.0, f64::NEG_INFINITY, f64::NAN] };
    let message = npz.check_finite("x", &infinite).unwrap_err().to_string();
    assert_eq!(message, r#"start.npz: array "x": must be finite, but x[1] is -inf: check how it was computed"#);
}

#[test]
fn elements_are_rounded_to_float32_up_to_its_largest_number() {
    let npz = Npz::open(fixture!("f64"), Path::new(PATH)).unwrap();
    let round = |values: &[f64]| npz.rounded("x", &Array { shape: vec![values.len()], values: values.to_vec() });
    // The number half-way between the largest and the one that would follow it.
    let half_way = 3.402_823_567_797_336_6e38;
    let values = [0.1, -0.0, 1e-50, f64::from(f32::MIN), half_way * (1.0 - f64::EPSILON)];
    let rounded = round(&values).unwrap();
    assert_eq!(rounded, [0.1f32, 0.0, 0.0, f32::MIN, f32::MAX]);
    assert!(rounded[1].is_sign_negative());
    for (value, shown) in [(half_way, "3.4028235677973366e38"), (-3.5e38, "-3.5e38")] {
        let words = "must be below 3.4e38, the limit of float32, but x[1] is";
        let message = format!("start.npz: array \"x\": {words} {shown}: check how it was computed");
        assert_eq!(round(&[0.0, value]).unwrap_err().to_string(), message);
    }
    assert_eq!(round(&[]).unwrap(), [0.0; 0]);
}

#[test]
fn equal_shapes_are_named_once() {
    let npz = Npz::open(fixture!("f64"), Path::new(PATH)).unwrap();
    let error = npz.array_of("W", &[&[2, 2], &[2, 2]]).unwrap_err().to_string();
    assert_eq!(error, r#"start.npz: array "W" must have the shape (2, 2), but has (2, 3)"#);
}

#[test]
fn arrays_that_do_not_fit_are_refused_with_their_names() {
    let refusal = |arrays: &[(&str, &[usize], Elements)]| write(arrays).unwrap_err().to_string();
    let one: (&str, &[usize], _) = ("W", &[1], Elements::F32(&[1.0]));
    let other: (&str, &[usize], _) = ("w", &[1], Elements::F32(&[1.0]));
    assert_eq!(refusal(&[one, other, one]), "array must be the only one of its name, but is a second \"W\"");
    assert!(write(&[one, other]).is_ok());
    let wrong: (&str, &[usize], _) = ("b", &[2, 1], Elements::I64(&[1]));
    assert_eq!(refusal(&[one, wrong]), "array \"b\" must have the shape (2, 1), but has 1 elements");
}
