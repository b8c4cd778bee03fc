//! The data set: golden pixels, the sample, and all defects of data files.

#[expect(dead_code, reason = "only `cut` is tested")]
#[path = "../../../examples/cut_sample.rs"]
mod cut_sample;

use std::fs;
use std::path::Path;

use crate::common::{sample_bytes, sample_dir};
use crate::dataset::cifar10::{self, BatchFile, CLASS_NAMES, PLANE, RECORD_BYTES, SIDE};
use crate::dataset::store::{self, Trust};
use crate::dataset::*;

/// Red, green and blue of the pixel at `row`, `column` of image `i`.
fn pixel(dataset: &Dataset, i: usize, (row, column): (usize, usize)) -> [u8; 3] {
    [0, 1, 2].map(|channel| dataset.image(i)[channel * PLANE + row * SIDE + column])
}

/// The cause of an [`Error::DataFile`].
fn cause(error: Error) -> Error {
    match error {
        Error::DataFile { cause, .. } => *cause,
        other => panic!("expected a data file's error, got {other}"),
    }
}

/// Positions of the golden pixels: corners, and pairs of transposed positions.
const POSITIONS: [(usize, usize); 6] = [(0, 0), (0, 31), (31, 0), (5, 20), (20, 5), (31, 31)];

/// The pixels come from the npm package's PNGs, not from .bin files; each row of a PNG is an image. In Python, with
/// Pillow 13:
///
/// ```python
/// from PIL import Image
/// Image.MAX_IMAGE_PIXELS = None
/// rows = Image.open("package/data_batch_1.png")     # data_batch_2.png, test_batch.png
/// [rows.getpixel((32 * y + x, i)) for y, x in ((0, 0), (0, 31), (31, 0), (5, 20), (20, 5), (31, 31))]
/// ```
///
/// A decoder of PNG's five row filters on top of Python's `zlib` alone gives the same numbers.
#[test]
fn known_pixels_of_all_three_planes_are_where_they_belong() {
    let splits = sample::load(&sample_dir()).unwrap();
    let golden = [
        (
            &splits.train,
            0,
            "frog",
            [[59, 62, 63], [148, 124, 103], [177, 144, 116], [102, 68, 42], [140, 102, 59], [123, 92, 72]],
        ),
        (
            &splits.train,
            1,
            "truck",
            [[154, 177, 187], [79, 81, 70], [163, 148, 120], [165, 170, 171], [87, 85, 95], [143, 133, 144]],
        ),
        (
            &splits.validation,
            0,
            "automobile",
            [[35, 25, 26], [126, 115, 113], [173, 172, 179], [149, 149, 151], [141, 142, 142], [166, 166, 168]],
        ),
        (
            &splits.validation,
            1,
            "frog",
            [[20, 15, 12], [21, 16, 13], [64, 54, 38], [27, 13, 18], [163, 154, 118], [88, 89, 51]],
        ),
        (
            &splits.test,
            0,
            "cat",
            [[158, 112, 49], [116, 85, 33], [54, 107, 160], [122, 121, 120], [152, 157, 160], [21, 67, 110]],
        ),
        (
            &splits.test,
            1,
            "ship",
            [[235, 235, 235], [232, 232, 232], [85, 101, 83], [165, 179, 189], [87, 102, 142], [186, 200, 199]],
        ),
    ];
    for (dataset, i, class, pixels) in golden {
        assert_eq!(CLASS_NAMES[usize::from(dataset.labels()[i])], class);
        assert_eq!(POSITIONS.map(|p| pixel(dataset, i, p)), pixels, "{class} {i}");
    }
}

#[test]
fn the_sample_is_balanced_and_cutting_it_again_changes_nothing() {
    let splits = sample::load(&sample_dir()).unwrap();
    assert!(sample::built_in().unwrap() == splits);
    let parts = [&splits.train, &splits.validation, &splits.test];
    for (dataset, (file, _, per_class)) in parts.into_iter().zip(sample::PARTS) {
        assert_eq!(dataset.len(), file.records);
        for class in 0..10 {
            assert_eq!(dataset.labels().iter().filter(|&&l| l == class).count(), per_class);
        }
        assert!(&cut_sample::cut(dataset, per_class).unwrap() == dataset);
        let fewer = cut_sample::cut(dataset, 7).unwrap();
        assert_eq!(fewer.len(), 70);
        assert!(cut_sample::cut(dataset, per_class + 1).is_err());
    }
}

/// Runs only if the full files exist, which `train` downloads.
#[test]
fn the_sample_equals_the_cut_of_the_full_files() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join(cifar10::DEFAULT_DIR);
    for (part, source, per_class) in sample::PARTS {
        if !data.join(source.file_name()).exists() {
            eprintln!("skipped: {} does not exist", source.file_name());
            continue;
        }
        let full = store::load(&data, &[source], Trust::Nothing).unwrap();
        let bytes = cifar10::to_records(&cut_sample::cut(&full, per_class).unwrap());
        assert!(bytes == sample_bytes(part.name), "{}", part.name);
    }
}

#[test]
fn several_files_are_loaded_one_after_the_other() {
    let dir = sample_dir();
    let files = sample::PARTS.map(|p| p.0);
    let all = store::load(&dir, &files, Trust::Nothing).unwrap();
    let bytes = files.map(|f| sample_bytes(f.name)).concat();
    assert!(cifar10::to_records(&all) == bytes);
    assert!(cifar10::from_records(&bytes, Path::new("all")).unwrap() == all);
}

/// A folder with a copy of the sample's test part, changed by `change`, and the error of loading it.
fn load_changed(change: impl FnOnce(&mut Vec<u8>)) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = sample_bytes("test.bin");
    change(&mut bytes);
    fs::write(dir.path().join("test.bin"), bytes).unwrap();
    cause(store::load(dir.path(), &[sample::PARTS[2].0], Trust::Remembered).unwrap_err())
}

#[test]
fn a_wrong_file_is_refused_with_expected_and_found_values() {
    let length = 500 * RECORD_BYTES as u64;
    let error = load_changed(|b| b.truncate(b.len() - 1));
    assert!(matches!(error, Error::FileLength { found, .. } if found == length - 1));
    let error = load_changed(|b| b.push(0));
    assert!(matches!(error, Error::FileLength { found, .. } if found == length + 1));
    let error = load_changed(Vec::clear);
    assert!(matches!(error, Error::FileLength { found: 0, .. }));
    let error = load_changed(|b| b[77] ^= 1);
    assert!(matches!(error, Error::Digest { expected, .. } if expected == sample::PARTS[2].0.sha256));
    let error = load_changed(|b| b[123 * RECORD_BYTES] = 10);
    assert!(matches!(error, Error::Label { offset, found: 10, .. } if offset == 123 * RECORD_BYTES));
    let dir = tempfile::tempdir().unwrap();
    let error = store::load(dir.path(), &[BatchFile::Test], Trust::Remembered).unwrap_err();
    assert!(error.to_string().contains("onelayer fetch"), "{error}");
    assert!(matches!(cause(error), Error::MissingFile { .. }));
}

#[test]
fn a_verified_file_is_remembered_until_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let file = sample::PARTS[2].0;
    let path = dir.path().join(file.name);
    let mut bytes = sample_bytes(file.name);
    fs::write(&path, &bytes).unwrap();
    store::load(dir.path(), &[file], Trust::Remembered).unwrap();
    let memory = fs::read_to_string(dir.path().join(".verified")).unwrap();
    assert_eq!(memory.lines().count(), 1);
    assert!(memory.contains(file.sha256), "{memory}");

    // The same length and the same time of modification: only the content differs.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    bytes[77] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let handle = fs::File::options().write(true).open(&path).unwrap();
    handle.set_modified(modified).unwrap();
    if cfg!(unix) {
        let error = store::load(dir.path(), &[file], Trust::Remembered).unwrap_err();
        assert!(matches!(cause(error), Error::Digest { .. }));
    }
    let error = store::check(dir.path(), file, Trust::Nothing).unwrap_err();
    assert!(matches!(cause(error), Error::Digest { .. }));
}

/// A false memory is believed, unless nothing is trusted: the memory is really used.
#[cfg(unix)]
#[test]
fn a_remembered_digest_is_computed_again_only_on_request() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let file = sample::PARTS[2].0;
    let path = dir.path().join(file.name);
    let mut bytes = sample_bytes(file.name);
    bytes[77] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let m = fs::metadata(&path).unwrap();
    let nanoseconds = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    let line = format!(
        "{} {} {} {}.{:09} {}\n",
        file.name,
        m.len(),
        nanoseconds(m.mtime(), m.mtime_nsec()),
        m.ctime(),
        m.ctime_nsec(),
        file.sha256
    );
    fs::write(dir.path().join(".verified"), line).unwrap();
    store::load(dir.path(), &[file], Trust::Remembered).unwrap();
    assert!(store::load(dir.path(), &[file], Trust::Nothing).is_err());
    // A memory that is not text is ignored.
    fs::write(dir.path().join(".verified"), [0xff; 100]).unwrap();
    assert!(store::load(dir.path(), &[file], Trust::Remembered).is_err());
}

#[test]
fn the_published_files_are_known_by_name_length_and_digest() {
    let mut digests: Vec<_> = BatchFile::ALL.iter().map(|f| f.sha256()).collect();
    assert!(digests.iter().all(|d| d.len() == 64));
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 6);
    assert_eq!(cifar10::FILE_BYTES, 30_730_000);
    assert_eq!(BatchFile::train(3).unwrap().file_name(), "data_batch_3.bin");
    assert!(BatchFile::train(0).is_err() && BatchFile::train(6).is_err());
}

#[test]
fn a_file_that_was_checked_is_remembered_until_it_changes_whatever_is_checked_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let [train, _, test] = sample::PARTS.map(|(file, ..)| file);
    let memory = || -> Vec<String> {
        let text = fs::read_to_string(folder.path().join(store::MEMORY)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    for file in [train, test] {
        fs::write(folder.path().join(file.name), sample_bytes(file.name)).unwrap();
        store::check(folder.path(), file, Trust::Remembered).unwrap();
    }
    let both = memory();
    assert_eq!(both.iter().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(), [test.name, train.name]);
    store::check(folder.path(), train, Trust::Remembered).unwrap();
    assert_eq!(memory(), both);
    // The same bytes, written again.
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(folder.path().join(test.name), sample_bytes(test.name)).unwrap();
    store::check(folder.path(), test, Trust::Remembered).unwrap();
    let again = memory();
    assert_eq!(again.len(), 2);
    assert!(again[0] != both[0] && again[1] == both[1], "{again:?}");
    // What is trusted with nothing remembers nothing.
    fs::remove_file(folder.path().join(store::MEMORY)).unwrap();
    store::check(folder.path(), test, Trust::Nothing).unwrap();
    assert!(!folder.path().join(store::MEMORY).exists());
}

/// A file of `count` records, its content, and its description.
fn small(count: usize) -> (Vec<u8>, store::RecordFile) {
    let record = |i: usize| std::iter::once((i % 10) as u8).chain((0..3072).map(move |j| ((i + j) % 251) as u8));
    let bytes: Vec<u8> = (0..count).flat_map(record).collect();
    let sha256 = String::leak(store::sha256(&bytes[..]).unwrap());
    (bytes, store::RecordFile { name: "small.bin", records: count, sha256, advice: "make it again" })
}

#[test]
fn a_scan_sees_every_byte_in_pieces_of_whole_records() {
    let (bytes, file) = small(130);
    let (mut pieces, mut seen) = (Vec::new(), Vec::new());
    store::scan(&bytes[..], Path::new("a"), &file, true, |piece| {
        pieces.push(piece.len());
        seen.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    assert_eq!(pieces, [64, 64, 2].map(|records| records * 3073));
    assert!(seen == bytes);
}

#[test]
fn a_scan_notices_a_byte_too_few_or_too_many_and_a_wrong_digest() {
    let (bytes, file) = small(2);
    let scan = |bytes: &[u8], digest| store::scan(bytes, Path::new("a"), &file, digest, |_| Ok(()));
    scan(&bytes, true).unwrap();
    let longer = [&bytes[..], &[0; 5000]].concat();
    // Only one byte more than there should be is read.
    for (bytes, found) in [(&bytes[..6145], 6145), (&longer[..6147], 6147), (&longer, 6147), (&[], 0)] {
        let message = scan(bytes, true).unwrap_err().to_string();
        assert_eq!(message, format!("data file a must have 6146 bytes, but has {found}"));
        assert!(scan(bytes, false).is_err());
    }
    let mut altered = bytes;
    altered[6145] ^= 1;
    scan(&altered, false).unwrap();
    let message = scan(&altered, true).unwrap_err().to_string();
    let found = store::sha256(&altered[..]).unwrap();
    assert_eq!(message, format!("data file a must have the SHA-256 {}, but has {found}", file.sha256));
}

#[test]
fn a_file_of_another_length_is_refused_with_its_length_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, file) = small(1);
    let path = folder.path().join(file.name);
    // A label above 9, which nothing reads.
    fs::write(&path, [&[99], &bytes[1..], &[0; 5000]].concat()).unwrap();
    let errors = [
        store::load(folder.path(), &[file], Trust::Remembered).unwrap_err(),
        store::check(folder.path(), file, Trust::Remembered).unwrap_err(),
    ];
    for error in errors {
        let message = format!("data file {} must have 3073 bytes, but has 8073; make it again", path.display());
        assert_eq!(error.to_string(), message);
    }
    fs::write(&path, &bytes).unwrap();
    let dataset = store::load(folder.path(), &[file], Trust::Remembered).unwrap();
    assert_eq!(cifar10::to_records(&dataset), bytes);
}

#[test]
fn folders_in_the_place_of_files_and_files_in_that_of_folders_are_told() {
    let outer = tempfile::tempdir().unwrap();
    let (_, file) = small(1);
    let missing = |path: &Path| {
        let error = cause(store::check(path, file, Trust::Remembered).unwrap_err());
        matches!(error, Error::MissingFile(found) if found == path.join("small.bin"))
    };
    assert!(missing(outer.path()) && missing(&outer.path().join("nowhere")));
    // Not the Python version.
    fs::create_dir(outer.path().join("small")).unwrap();
    assert!(missing(outer.path()));
    fs::create_dir(outer.path().join("small.bin")).unwrap();
    let error = store::check(outer.path(), file, Trust::Remembered).unwrap_err();
    assert!(matches!(cause(error), Error::FileLength { .. }));
    let plain = outer.path().join("plain");
    fs::write(&plain, "").unwrap();
    let error = store::check(&plain, file, Trust::Remembered).unwrap_err();
    assert!(matches!(&error, Error::NoFolder(found) if *found == plain), "{error}");
    // No system has names of this length.
    let error = store::check(&outer.path().join("x".repeat(5000)), file, Trust::Remembered).unwrap_err();
    assert!(matches!(error, Error::Io { action: "read", .. }), "{error}");
}

#[test]
fn a_file_is_there_as_records_or_in_the_python_version() {
    let folder = tempfile::tempdir().unwrap();
    let is_there = || store::is_there(folder.path(), BatchFile::Train(2));
    assert!(!is_there());
    fs::create_dir(folder.path().join("data_batch_2")).unwrap();
    assert!(!is_there());
    fs::write(folder.path().join("data_batch_2.bin"), "").unwrap();
    assert!(is_there());
    fs::remove_file(folder.path().join("data_batch_2.bin")).unwrap();
    fs::remove_dir(folder.path().join("data_batch_2")).unwrap();
    fs::write(folder.path().join("data_batch_2"), "").unwrap();
    assert!(is_there());
    assert!(!store::is_there(folder.path(), BatchFile::Train(1)) && !store::is_there(folder.path(), BatchFile::Test));
}

/// A longer memory was not written by this program.
#[test]
fn the_first_64_kib_of_the_memory_are_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bytes, file) = small(1);
    let (path, memory) = (folder.path().join(file.name), folder.path().join(store::MEMORY));
    fs::write(&path, &bytes).unwrap();
    store::check(folder.path(), file, Trust::Remembered).unwrap();
    let line = fs::read_to_string(&memory).unwrap();
    // An altered file that the memory takes for the right one.
    bytes[77] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(store::check(folder.path(), file, Trust::Remembered).is_err());
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let [name, length, _, _, digest] = words[..] else { panic!("{line}") };
    let metadata = fs::metadata(&path).unwrap();
    let modified = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt;
        format!("{}.{:09}", metadata.ctime(), metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let changed = "-";
    let line = format!("{name} {length} {modified} {changed} {digest}");
    for (others, is_believed) in [(0, true), (60_000, true), (65_536 - line.len(), true), (65_537 - line.len(), false)]
    {
        let others = if others == 0 { String::new() } else { format!("{}\n", "x".repeat(others - 1)) };
        fs::write(&memory, others + &line).unwrap();
        assert_eq!(store::check(folder.path(), file, Trust::Remembered).is_ok(), is_believed, "{line}");
    }
}
