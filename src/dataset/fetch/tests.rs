//! Fetches the files of a small catalogue from valid and invalid servers, archives and clients.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::*;
use flate2::Compression;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::*;

/// Fetches into `dir`, with `archive` at `url` as the official archive.
fn get(dir: &Path, url: &str, archive: &[u8], source: &Source) -> (Result<Fetched, Error>, Recorder) {
    let mut recorder = Recorder::default();
    let catalog = catalog(url, archive);
    let fetched = fetch(dir, &catalog, source, Trust::Remembered, &mut recorder);
    (fetched, recorder)
}

/// Fetches from a file with the content `archive`.
fn get_file(dir: &Path, archive: &[u8]) -> Result<Fetched, Error> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a copy under any name");
    fs::write(&path, archive).unwrap();
    get(dir, "http://127.0.0.1:1/", b"", &Source::Path(path)).0
}

/// Asserts that the error contains each of `parts`, and that nothing was written.
fn assert_refused(result: Result<Fetched, Error>, dir: &Path, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    let advice = ["--dataset sample", "or run `onelayer fetch` without --source"];
    assert!(advice.iter().any(|words| error.contains(words)), "{error}");
    assert_tidy(dir);
    for name in NAMES {
        assert!(!dir.join(name).exists(), "{name} was written");
    }
}

// Sources on disk.

#[test]
fn every_layout_and_a_folder_give_the_same_files() {
    for archive in [official_archive(), npm_tarball(), python_archive()] {
        let dir = tempdir().unwrap();
        let fetched = get_file(dir.path(), &archive).unwrap();
        assert_eq!(fetched.written, NAMES);
        assert_complete(dir.path());
        let again = get_file(dir.path(), b"not even read").unwrap();
        assert_eq!((again.written, again.origin), (vec![], None));
    }
    let outer = tempdir().unwrap();
    let inner = outer.path().join("cifar-10-batches-bin");
    fs::create_dir(&inner).unwrap();
    for name in NAMES {
        fs::copy(sample_dir().join(name), inner.join(name)).unwrap();
    }
    let python = python_folder();
    let pickles = python.path().join("cifar-10-batches-py");
    for folder in [sample_dir(), outer.path().to_owned(), python.path().to_owned(), pickles] {
        let dir = tempdir().unwrap();
        get(dir.path(), "", b"", &Source::Path(folder)).0.unwrap();
        assert_complete(dir.path());
    }
    let dir = tempdir().unwrap();
    let (fetched, _) = get(dir.path(), "", b"", &Source::BuiltIn);
    assert_eq!(fetched.unwrap().origin.unwrap(), "the sample inside this program");
    assert_complete(dir.path());
}

/// A folder with the sample in `cifar-10-batches-py`.
fn python_folder() -> TempDir {
    let folder = tempdir().unwrap();
    let inner = folder.path().join("cifar-10-batches-py");
    fs::create_dir(&inner).unwrap();
    for name in NAMES {
        fs::write(inner.join(name.trim_end_matches(".bin")), pickle_of(&sample_bytes(name))).unwrap();
    }
    folder
}

#[test]
fn a_folder_of_the_python_version_is_read_in_place_or_found_beside_the_usual_one() {
    let folder = python_folder();
    let inner = folder.path().join("cifar-10-batches-py");
    let fetched = get(&inner, "", b"", &Source::Auto).0.unwrap();
    assert_eq!((fetched.written, fetched.origin), (vec![], None));
    assert!(sample::load(&inner).unwrap() == sample::built_in().unwrap());

    let usual = folder.path().join("cifar-10-batches-bin");
    let (fetched, recorder) = get(&usual, "", b"", &Source::Auto);
    assert_eq!(fetched.unwrap().origin.unwrap(), inner.display().to_string());
    let lacks = format!("{} lacks {}", usual.display(), NAMES.join(", "));
    assert_eq!(recorder.messages, [lacks, format!("getting {}", inner.display())]);
    assert_complete(&usual);

    // One byte of an image, which its digest shows.
    let path = inner.join("test");
    let mut altered = fs::read(&path).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&path, altered).unwrap();
    let error = sample::load(&inner).unwrap_err().to_string();
    assert!(error.contains(sample::PARTS[2].0.sha256), "{error}");
    // An incomplete folder is none of the usual places.
    fs::remove_file(&path).unwrap();
    fs::remove_dir_all(&usual).unwrap();
    assert_refused(get(&usual, "", b"", &Source::Auto).0, &usual, &["no npm client"]);
}

#[test]
fn a_pickle_that_is_not_of_the_data_set_is_refused() {
    let right = pickle_of(&sample_bytes("test.bin"));
    let labels = right.windows(6).position(|bytes| bytes == b"labels").unwrap() + 10;
    assert_eq!(right[labels], b'K');
    let edited = |at: usize, byte: u8| {
        let mut bytes = right.clone();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (b"".to_vec(), "it is cut off"),
        (right[..right.len() - 1].to_vec(), "it is cut off"),
        (b"\x80\x02}.".to_vec(), "there are no such bytes"),
        (b"garbage".to_vec(), "the byte 0x67 at offset 0 is no instruction"),
        (edited(labels, b'h'), "there are 499 labels"),
        (edited(labels + 1, 10), "label"),
        // A function is named and called, as a pickle that harms does, but here it is only read.
        (b"cos\nsystem\n(U\x04truetR.".to_vec(), "there are no such bytes"),
    ];
    for (pickle, reason) in cases {
        let folder = python_folder();
        let inner = folder.path().join("cifar-10-batches-py");
        fs::write(inner.join("test"), pickle).unwrap();
        let error = sample::load(&inner).unwrap_err().to_string();
        assert!(error.contains(reason) && !error.contains('\n'), "{reason}: {error}");
    }
}

#[test]
fn only_the_wanted_files_are_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("archive");
    for archive in [official_archive(), npm_tarball()] {
        fs::write(&path, archive).unwrap();
        let mut catalog = catalog("", b"");
        catalog.entries.remove(0);
        let dir = tempdir().unwrap();
        let source = Source::Path(path.clone());
        let fetched = fetch(dir.path(), &catalog, &source, Trust::Remembered, &mut ()).unwrap();
        assert_eq!(fetched.written, ["validation.bin", "test.bin"]);
        assert!(!dir.path().join("train.bin").exists());
    }
}

#[test]
fn an_altered_file_is_replaced_and_named() {
    let dir = tempdir().unwrap();
    let mut altered = sample_bytes("test.bin");
    altered[5000] ^= 1;
    fs::write(dir.path().join("test.bin"), altered).unwrap();
    let (fetched, recorder) = get(dir.path(), "", b"", &Source::Path(sample_dir()));
    assert_eq!(fetched.unwrap().written, NAMES);
    let message = recorder.messages.iter().find(|m| m.contains("test.bin")).unwrap();
    assert!(message.contains(sample::PARTS[2].0.sha256), "{message}");
    assert_complete(dir.path());
}

/// An archive with one file.
fn archive_with(name: &str, bytes: &[u8]) -> Vec<u8> {
    tar_gz(&[(name, bytes)])
}

#[test]
fn an_archive_with_wrong_content_is_refused() {
    let train = sample_bytes("train.bin");
    let name = "cifar-10-batches-bin/train.bin";
    let mut altered = train.clone();
    altered[100] ^= 1;
    let length = train.len().to_string();
    let digest = sample::PARTS[0].0.sha256;
    let cases: [(Vec<u8>, &[&str]); 9] = [
        (archive_with(name, &altered), &[digest, name]),
        (archive_with(name, &train[1..]), &[&length, "3072999"]),
        (archive_with(name, &[&train[..], b"x"].concat()), &[&length, "3073001"]),
        (archive_with("train.bin", &train), &["cifar-10-batches-bin/train.bin", "package/train.png"]),
        (archive_with("../cifar-10-batches-bin/train.bin", &train), &["holds neither"]),
        (archive_with("/cifar-10-batches-bin/train.bin", &train), &["holds neither"]),
        (official_archive()[..200_000].to_vec(), &["cut off"]),
        (b"<html>moved</html>".to_vec(), &["gzipped archive", "<html>moved</html>"]),
        (Vec::new(), &["gzipped archive"]),
    ];
    for (archive, parts) in cases {
        let dir = tempdir().unwrap();
        assert_refused(get_file(dir.path(), &archive), dir.path(), parts);
    }
}

#[test]
fn an_npm_tarball_with_wrong_content_is_refused() {
    let train = sample_bytes("train.bin");
    let png = png_of(&train);
    let labels: Vec<u8> = train.chunks(3073).map(|r| r[0]).collect();
    let json = serde_json::to_vec(&labels).unwrap();
    let swapped = serde_json::to_vec(&labels.iter().rev().collect::<Vec<_>>()).unwrap();
    let digest = sample::PARTS[0].0.sha256;
    let nothing = vec![0; 1024 * 1000 * 3];
    let wide = png_with(1000, 1024, png::ColorType::Rgb, &nothing);
    let gray = png_with(1024, 1000, png::ColorType::Grayscale, &nothing[..1_024_000]);
    // The header alone, with a checksum that fits: 2³¹−1 by 2³¹−1.
    let mut huge = png[..33].to_vec();
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut crc = flate2::Crc::new();
    crc.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let cases: [(&[u8], &[u8], &str); 10] = [
        (&png, &swapped, digest),
        (&png, b"[1,2,3]", "at least 1000 labels, but holds 3"),
        (&png, b"[1,2,300]", "JSON array of labels"),
        (&png, b"{}", "JSON array of labels"),
        (&png[..50_000], &json, "train.png"),
        (&wide, &json, "1024x1000 Rgb Eight interlaced=false, but is 1000x1024"),
        (&gray, &json, "Grayscale"),
        (&huge, &json, "2147483647x2147483647"),
        (b"no image", &json, "must be a PNG, but looks like text that begins with \"no image\""),
        (&png, &[b"[", &[b'['; 300_000][..]].concat(), "JSON array of labels"),
    ];
    for (png, json, part) in cases {
        let dir = tempdir().unwrap();
        let archive = tar_gz(&[("package/train.png", png), ("package/train_lables.json", json)]);
        assert_refused(get_file(dir.path(), &archive), dir.path(), &[part]);
    }
}

/// The types of entries that are not regular files: links, devices, folders, pipes, contiguous and sparse files, and
/// the extensions that change the name, size or location of the next entry.
const KINDS: &[u8] = b"1234567SLKxg";

#[test]
fn entries_other_than_regular_files_are_ignored() {
    let train = sample_bytes("train.bin");
    for &kind in KINDS {
        let mut header = tar_header("cifar-10-batches-bin/train.bin", train.len() as u64);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        let tar = [header.as_bytes(), &train[..], &[0; 2048]].concat();
        let dir = tempdir().unwrap();
        let result = get_file(dir.path(), &gzip(&tar, Compression::fast()));
        assert_refused(result, dir.path(), &["holds neither"]);
    }
}

/// A long name (GNU or PAX) is ignored, and not read into memory, however long it is.
#[test]
fn no_entry_changes_the_name_or_size_of_another() {
    let train = sample_bytes("train.bin");
    let name = "cifar-10-batches-bin/train.bin";
    let pax = format!("39 path={name}\n");
    assert_eq!(pax.len(), 39);
    for (kind, content) in [(b'L', format!("{name}\0")), (b'x', pax.clone()), (b'g', pax)] {
        let mut long_name = tar_header("././@LongLink", content.len() as u64);
        long_name.set_entry_type(tar::EntryType::new(kind));
        long_name.set_cksum();
        let mut content = content.into_bytes();
        content.resize(512, 0);
        let file = tar_header("innocent", train.len() as u64);
        let tar = [long_name.as_bytes(), &content[..], file.as_bytes(), &train, &[0; 2048]].concat();
        let dir = tempdir().unwrap();
        let result = get_file(dir.path(), &gzip(&tar, Compression::fast()));
        assert_refused(result, dir.path(), &["holds neither"]);

        long_name.set_size(1 << 40);
        long_name.set_cksum();
        let tar = [long_name.as_bytes(), &content[..]].concat();
        let result = get_file(dir.path(), &gzip(&tar, Compression::fast()));
        assert_refused(result, dir.path(), &["damaged or cut off"]);
    }
}

#[test]
fn an_entry_that_is_too_large_is_refused_before_it_is_read() {
    // The entry consists of its header only.
    for name in ["cifar-10-batches-bin/train.bin", "package/train_lables.json"] {
        let tar = [tar_header(name, 8_000_000_000).as_bytes(), &[0; 1024][..]].concat();
        let dir = tempdir().unwrap();
        let result = get_file(dir.path(), &gzip(&tar, Compression::fast()));
        assert_refused(result, dir.path(), &[name, "has 8000000000"]);
    }
    // The image comes before its labels, so the first pass must skip its content.
    let labels = serde_json::to_vec(&vec![0; 1500]).unwrap();
    let archive = tar_gz(&[("package/train.png", &[0; 4_000_000]), ("package/train_lables.json", &labels)]);
    let dir = tempdir().unwrap();
    let result = get_file(dir.path(), &archive);
    assert_refused(result, dir.path(), &["train.png must have at most 3841250", "has 4000000"]);
}

#[test]
fn the_first_of_two_entries_with_the_same_name_is_used() {
    let bytes = NAMES.map(sample_bytes);
    let names = NAMES.map(|name| format!("cifar-10-batches-bin/{name}"));
    let mut wrong = bytes[0].clone();
    wrong[100] ^= 1;
    let entry = |i: usize| (names[i].as_str(), &bytes[i][..]);
    let altered = (names[0].as_str(), &wrong[..]);

    let dir = tempdir().unwrap();
    let right_first = tar_gz(&[entry(0), altered, entry(1), entry(2)]);
    get_file(dir.path(), &right_first).unwrap();
    assert_complete(dir.path());

    let dir = tempdir().unwrap();
    let wrong_first = tar_gz(&[altered, entry(0), entry(1), entry(2)]);
    let digest = sample::PARTS[0].0.sha256;
    assert_refused(get_file(dir.path(), &wrong_first), dir.path(), &[digest]);
}

/// Reading from a pipe would block forever.
#[cfg(unix)]
#[test]
fn a_source_that_is_not_a_regular_file_is_refused() {
    let folder = tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [pipe, "/dev/zero".into()] {
        let dir = tempdir().unwrap();
        let (result, _) = get(dir.path(), "", b"", &Source::Path(path));
        assert_refused(result, dir.path(), &["is not a regular file"]);
    }
}

/// 1 GiB of zeros in an unwanted entry takes a megabyte of gzip.
#[test]
fn a_gzip_bomb_is_refused() {
    let mut header = tar::Header::new_ustar();
    header.set_path("bomb").unwrap();
    header.set_size(4 << 30);
    header.set_cksum();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1025 {
        std::io::Write::write_all(&mut gzip, &zeros).unwrap();
    }
    let dir = tempdir().unwrap();
    let result = get_file(dir.path(), &gzip.finish().unwrap());
    assert_refused(result, dir.path(), &["unpacks to more than 1073741824 bytes"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// For any bytes: no panic, and only the real file is ever written.
    #[test]
    fn damaged_archives_never_write_a_wrong_file(
        npm in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..20),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        // Only the test split, so that a few hundred cases do not take minutes.
        static ARCHIVES: std::sync::LazyLock<[Vec<u8>; 2]> = std::sync::LazyLock::new(|| {
            let records = sample_bytes("test.bin");
            let labels: Vec<u8> = records.chunks(3073).map(|r| r[0]).collect();
            [
                tar_gz(&[("cifar-10-batches-bin/test.bin", &records)]),
                tar_gz(&[
                    ("package/test.png", &png_of(&records)),
                    ("package/test_lables.json", &serde_json::to_vec(&labels).unwrap()),
                ]),
            ]
        });
        let mut bytes = ARCHIVES[usize::from(npm)].clone();
        for (index, flip) in flips {
            let i = index.index(bytes.len());
            bytes[i] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = tempdir().unwrap();
        let path = folder.path().join("archive");
        fs::write(&path, bytes).unwrap();
        let mut catalog = catalog("", b"");
        catalog.entries.drain(..2);
        let dir = tempdir().unwrap();
        let result = fetch(dir.path(), &catalog, &Source::Path(path), Trust::Nothing, &mut ());
        assert_tidy(dir.path());
        let written = fs::read(dir.path().join("test.bin")).ok();
        prop_assert_eq!(written.is_some(), result.is_ok());
        prop_assert!(written.is_none_or(|bytes| bytes == sample_bytes("test.bin")));
    }
}

// The npm client.

/// A script that replaces the npm client.
#[cfg(unix)]
fn npm_client(folder: &TempDir, script: &str) -> std::path::PathBuf {
    client(folder, "npm", script)
}

/// A script that replaces a client program.
#[cfg(unix)]
fn client(folder: &TempDir, name: &str, script: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    crate::common::write_script(&path, script);
    path
}

#[cfg(unix)]
#[test]
fn auto_takes_the_npm_package_first_and_the_official_archive_when_that_fails() {
    let tools = tempdir().unwrap();
    let tarball = tools.path().join("tarball");
    fs::write(&tarball, npm_tarball()).unwrap();
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |_, _| Reply::Send(ok(&served)));
    let cases = [
        (format!("cp {} package-1.tgz", tarball.display()), None),
        ("echo E404 no such package >&2; exit 1".into(), Some("E404 no such package")),
        (
            "echo npm error code ENOTFOUND >&2; echo npm error errno ENOTFOUND >&2; exit 1".into(),
            Some("cannot reach npm's registry (ENOTFOUND): check the network"),
        ),
        ("true".into(), Some("left no .tgz file")),
        ("echo '<html>' > package-1.tgz".into(), Some("<html>")),
    ];
    for (script, failure) in cases {
        let mut catalog = catalog(&server.url, &archive);
        catalog.npm_client = npm_client(&tools, &script);
        let dir = tempdir().unwrap();
        let mut recorder = Recorder::default();
        let asked = server.requests().len();
        fetch(dir.path(), &catalog, &Source::Auto, Trust::Remembered, &mut recorder).unwrap();
        assert_complete(dir.path());
        let messages = recorder.messages.join("\n");
        assert_eq!(server.requests().len() > asked, failure.is_some(), "{messages}");
        assert!(messages.contains(failure.unwrap_or("npm package")), "{messages}");
    }
}

#[cfg(unix)]
#[test]
fn the_bytes_that_npm_has_downloaded_are_shown_while_it_runs() {
    /// Records the progress of the client: the total, and the maximum number of bytes.
    #[derive(Default)]
    struct OfNpm {
        running: bool,
        total: Option<u64>,
        most: u64,
    }
    impl Progress for OfNpm {
        fn begin(&mut self, what: &str, _: u64, total: Option<u64>) {
            self.running = what.starts_with("npm pack");
            if self.running {
                self.total = total;
            }
        }
        fn advance(&mut self, done: u64) {
            if self.running {
                self.most = self.most.max(done);
            }
        }
    }
    let tools = tempdir().unwrap();
    let tarball = tools.path().join("tarball");
    fs::write(&tarball, npm_tarball()).unwrap();
    // The sixth argument is the folder of the client's cache.
    let script =
        format!("mkdir -p $6/tmp; head -c 5000 /dev/zero >$6/tmp/a; sleep 1; cp {} package-1.tgz", tarball.display());
    let mut catalog = catalog("http://127.0.0.1:1/", b"");
    catalog.npm_client = npm_client(&tools, &script);
    let dir = tempdir().unwrap();
    let mut progress = OfNpm::default();
    let trust = Trust::Remembered;
    fetch(dir.path(), &catalog, &Source::Npm, trust, &mut progress).unwrap();
    assert_eq!(progress.total, Some(catalog.npm_bytes));
    assert_eq!(progress.most, 5000);
    assert_complete(dir.path());
}

/// Without limits, each of these clients would run until it is killed or the disk is full.
#[cfg(unix)]
#[test]
fn a_client_that_hangs_or_writes_without_end_is_stopped() {
    let tools = tempdir().unwrap();
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |_, _| Reply::Send(ok(&served)));
    let cases = [
        // `exec`, because the script's own process must end.
        ("exec sleep 600", "downloaded nothing for 1 s"),
        ("exec yes 'npm ERR! again' >&2", "wrote more than 67108864 bytes of errors"),
        ("mkdir -p $6; truncate -s 2G $6/a; exec sleep 600", "downloaded more than 1073741824 bytes"),
    ];
    for (script, reason) in cases {
        let mut catalog = catalog(&server.url, &archive);
        let client = format!("echo $$ >{}/pid; {script}", tools.path().display());
        catalog.npm_client = npm_client(&tools, &client);
        catalog.npm_timeout = Duration::from_secs(1);
        let dir = tempdir().unwrap();
        let mut recorder = Recorder::default();
        let trust = Trust::Remembered;
        fetch(dir.path(), &catalog, &Source::Auto, trust, &mut recorder).unwrap();
        assert_complete(dir.path());
        let messages = recorder.messages.join("\n");
        assert!(messages.contains(reason), "{messages}");
        let pid = fs::read_to_string(tools.path().join("pid")).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "{script} is still running");
    }
}

#[test]
fn when_every_source_fails_each_failure_is_named() {
    let server = Server::start(|_, _| Reply::Send(response("503 Service Unavailable", "", b"")));
    let dir = tempdir().unwrap();
    let (result, _) = get(dir.path(), &server.url, b"archive", &Source::Auto);
    let parts = ["no npm client", "503 Service Unavailable", &server.url, "--source PATH", "train.bin"];
    assert_refused(result, dir.path(), &parts);
}

// Servers.

#[test]
fn the_official_archive_and_one_from_an_address_are_downloaded() {
    for archive in [official_archive(), npm_tarball()] {
        let served = archive.clone();
        let server = Server::start(move |_, _| Reply::Send(ok(&served)));
        for source in [Source::Official, Source::Url(server.url.clone())] {
            let dir = tempdir().unwrap();
            get(dir.path(), &server.url, &archive, &source).0.unwrap();
            assert_complete(dir.path());
        }
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_lost_connection_is_resumed_where_it_stopped() {
    for archive in [official_archive(), npm_tarball()] {
        let served = archive.clone();
        let server = Server::start(move |i, request| match i {
            0 => Reply::Send(ok(&served)[..1_000_000].to_vec()),
            1 => Reply::Stall(partial(&served, request)[..500_000].to_vec()),
            _ => Reply::Send(partial(&served, request)),
        });
        let dir = tempdir().unwrap();
        let (fetched, recorder) = get(dir.path(), &server.url, &archive, &Source::Official);
        fetched.unwrap();
        assert_complete(dir.path());
        let starts: Vec<_> = server.requests().iter().map(|r| range_start(r)).collect();
        let [None, Some(first), Some(second)] = starts[..] else { panic!("{starts:?}") };
        assert!(900_000 < first && first < 1_000_000, "{first}");
        assert!(first + 400_000 < second && second < first + 500_000, "{second}");
        let messages = recorder.messages.join("\n");
        assert!(messages.contains(&format!("{first} of {}", archive.len())), "{messages}");
        assert!(messages.contains("sent nothing for 0.5 s"), "{messages}");
    }
}

#[test]
fn a_later_run_resumes_what_an_earlier_one_left() {
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |i, request| match i {
        0 => Reply::Send(ok(&served)[..1_000_000].to_vec()),
        1 => Reply::Send(response("500 Internal Server Error", "", b"")),
        _ => Reply::Send(partial(&served, request)),
    });
    for source in [Source::Official, Source::Url(server.url.clone())] {
        let dir = tempdir().unwrap();
        let (result, _) = get(dir.path(), &server.url, &archive, &source);
        if server.requests().len() == 2 {
            assert!(result.unwrap_err().to_string().contains("500 Internal"));
            assert!(!dir.path().join("train.bin").exists());
            let (result, recorder) = get(dir.path(), &server.url, &archive, &source);
            result.unwrap();
            let start = range_start(&server.requests()[2]).unwrap() as u64;
            assert_eq!(recorder.begun[0].1, start);
            assert_complete(dir.path());
        }
    }
}

/// Writes `bytes` as the partial download of an earlier run.
fn leave(dir: &Path, bytes: &[u8]) {
    fs::write(dir.join("cifar-10-binary.tar.gz.part"), bytes).unwrap();
}

#[test]
fn the_download_starts_over_if_the_server_cannot_resume() {
    let archive = official_archive();
    let refusals: [(&str, &str); 3] = [
        ("206 Partial Content", "Content-Range: bytes 7-9/10\r\n"),
        ("206 Partial Content", ""),
        ("416 Range Not Satisfiable", "Content-Range: bytes */10\r\n"),
    ];
    for (status, headers) in refusals {
        let served = archive.clone();
        let server = Server::start(move |_, request| {
            Reply::Send(match range_start(request) {
                Some(_) => response(status, headers, b"xxx"),
                None => ok(&served),
            })
        });
        let dir = tempdir().unwrap();
        leave(dir.path(), &archive[..1000]);
        let (result, _) = get(dir.path(), &server.url, &archive, &Source::Official);
        result.unwrap();
        assert_complete(dir.path());
        assert_eq!(server.requests().len(), 2, "{status} {headers}");
    }
    let served = archive.clone();
    let server = Server::start(move |_, _| Reply::Send(ok(&served)));
    let dir = tempdir().unwrap();
    leave(dir.path(), &archive[..1000]);
    get(dir.path(), &server.url, &archive, &Source::Official).0.unwrap();
    assert_complete(dir.path());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_complete_or_overlong_partial_download_is_handled() {
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |_, _| Reply::Send(ok(&served)));
    let dir = tempdir().unwrap();
    leave(dir.path(), &archive);
    get(dir.path(), &server.url, &archive, &Source::Official).0.unwrap();
    assert_complete(dir.path());
    assert_eq!(server.requests().len(), 0);

    let dir = tempdir().unwrap();
    leave(dir.path(), &[&archive[..], b"x"].concat());
    get(dir.path(), &server.url, &archive, &Source::Official).0.unwrap();
    assert_complete(dir.path());
    assert_eq!(server.requests().len(), 1);
}

/// A process that is killed after it has installed the last file, but before it removes the download, leaves both.
#[test]
fn a_download_is_removed_once_all_its_files_are_there() {
    let dir = tempdir().unwrap();
    get_file(dir.path(), &official_archive()).unwrap();
    leave(dir.path(), b"no longer needed");
    for name in ["download-0123456789abcdef.part", "mine.part"] {
        fs::write(dir.path().join(name), b"anything").unwrap();
    }
    get_file(dir.path(), b"not even read").unwrap();
    assert!(dir.path().join("mine.part").exists());
    fs::remove_file(dir.path().join("mine.part")).unwrap();
    assert_complete(dir.path());
}

#[test]
fn a_corrupted_download_is_discarded_and_the_next_one_starts_over() {
    for archive in [official_archive(), npm_tarball()] {
        let served = archive.clone();
        let server = Server::start(move |_, request| {
            Reply::Send(match range_start(request) {
                Some(_) => partial(&served, request),
                None => ok(&served),
            })
        });
        let mut start = archive[..100_000].to_vec();
        start[50_000] ^= 1;
        let dir = tempdir().unwrap();
        leave(dir.path(), &start);
        let (result, _) = get(dir.path(), &server.url, &archive, &Source::Official);
        let digest = store::sha256(&archive[..]).unwrap();
        assert_refused(result, dir.path(), &[&digest, "discarded"]);
        get(dir.path(), &server.url, &archive, &Source::Official).0.unwrap();
        assert_complete(dir.path());
    }
}

#[test]
fn a_corrupted_archive_from_an_address_is_discarded() {
    let mut archive = official_archive();
    let middle = archive.len() / 2;
    archive[middle] ^= 1;
    let cut = official_archive()[..500_000].to_vec();
    for bytes in [archive, cut] {
        let served = bytes.clone();
        let server = Server::start(move |_, _| Reply::Send(ok(&served)));
        let dir = tempdir().unwrap();
        let source = Source::Url(server.url.clone());
        let (result, _) = get(dir.path(), &server.url, &bytes, &source);
        assert!(result.unwrap_err().to_string().contains("discarded"));
        assert_tidy(dir.path());
    }
}

#[test]
fn a_server_with_something_else_is_refused() {
    let archive = official_archive();
    let length = archive.len().to_string();
    let short = (archive.len() - 1).to_string();
    let page = b"<!DOCTYPE html><title>Down for maintenance</title>".to_vec();
    let long_page = page.repeat(archive.len() / page.len() + 1)[..archive.len()].to_vec();
    let cases: [(Vec<u8>, &[&str]); 12] = [
        (response("404 Not Found", "", b"gone"), &["404 Not Found"]),
        (ok(&page), &[&length, "has 50"]),
        (ok(&archive[..archive.len() - 1]), &[&length, &short]),
        (ok(&long_page), &["<!DOCTYPE html>"]),
        (response("200 OK", "", b""), &["sent no bytes"]),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), &["no answer"]),
        (Vec::new(), &["no answer"]),
        (response("302 Found", "Location: file:///etc/passwd\r\n", b""), &["redirects to \"file:///etc/passwd\""]),
        (
            response("302 Found", "Location: file://localhost/etc/passwd\r\n", b""),
            &["file:", "no http or https address"],
        ),
        (response("302 Found", "Location: ftp://localhost/x\r\n", b""), &["ftp:", "no http or https address"]),
        (response("304 Not Modified", "", b""), &["the server answered 304 Not Modified"]),
        (response("302 Found", "Location: /x\r\n", b"")[..40].to_vec(), &["no answer"]),
    ];
    for (reply, parts) in cases {
        let server = Server::start(move |_, _| Reply::Send(reply.clone()));
        let dir = tempdir().unwrap();
        let (result, _) = get(dir.path(), &server.url, &archive, &Source::Official);
        assert_refused(result, dir.path(), parts);
    }
}

#[test]
fn a_server_that_is_silent_or_unreachable_fails() {
    let server = Server::start(|_, _| Reply::Stall(Vec::new()));
    let dir = tempdir().unwrap();
    let (result, _) = get(dir.path(), &server.url, b"archive", &Source::Official);
    assert_refused(result, dir.path(), &["no answer", "timeout"]);
    let url = "http://127.0.0.1:1/archive.tar.gz";
    let (result, _) = get(dir.path(), url, b"archive", &Source::Official);
    assert_refused(result, dir.path(), &[url]);
}

#[test]
fn a_server_that_never_stops_sending_fails() {
    let (at_once, slowly) = (Duration::ZERO, Duration::from_millis(50));
    let ok = b"HTTP/1.1 200 OK\r\n".to_vec();
    let body = [&ok[..], b"Connection: close\r\n\r\n\x1f\x8b"].concat();
    let cases = [
        (ok.clone(), &b"X-More: and more\r\n"[..], at_once, "no answer"),
        (ok.clone(), b"x", at_once, "no answer"),
        (ok, b"X-More: and more\r\n", slowly, "no answer"),
        (body, &[0; 4096], at_once, "sent more than 7 bytes"),
    ];
    for (start, again, pause, part) in cases {
        let again = again.to_vec();
        let server = Server::start(move |_, _| Reply::Endless(start.clone(), again.clone(), pause));
        let dir = tempdir().unwrap();
        let (result, _) = get(dir.path(), &server.url, b"archive", &Source::Official);
        assert_refused(result, dir.path(), &[part]);
    }
}

#[test]
fn redirections_are_followed_up_to_a_limit() {
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |i, _| {
        Reply::Send(match i {
            0 => response("301 Moved Permanently", "Location: /elsewhere\r\nContent-Length: 0\r\n", b""),
            1 => ok(&served),
            _ => response("302 Found", "Location: /round\r\nContent-Length: 0\r\n", b""),
        })
    });
    let dir = tempdir().unwrap();
    get(dir.path(), &server.url, &archive, &Source::Official).0.unwrap();
    assert_complete(dir.path());
    let dir = tempdir().unwrap();
    let (result, _) = get(dir.path(), &server.url, &archive, &Source::Official);
    assert_refused(result, dir.path(), &["too many redirections: 5 are followed"]);
    assert_eq!(server.requests().len(), 2 + 6);
}

/// Heads with a status of 1xx come before the one that counts, and names of headers may have any case.
#[test]
fn several_heads_come_before_the_body() {
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |i, request| {
        let [before, after] = [&served[..1000], &served[1000..]];
        let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let length = format!(
            "content-LENGTH: {}\r\ncontent-range: bytes 1000-{}/{}\r\n",
            after.len(),
            served.len() - 1,
            served.len()
        );
        Reply::Send(match i {
            0 => [interim, &response("307 Temporary Redirect", "LOCATION: /a\r\n", b"moved")[..]].concat(),
            1 => response("308 Permanent Redirect", "location: /b\r\nContent-Length: 5\r\n", b"moved"),
            2 => [interim, &ok(&served)[..ok(&served).len() - after.len()]].concat(),
            _ => {
                assert_eq!(range_start(request), Some(before.len()));
                [interim, &response("206 Partial Content", &length, after)[..]].concat()
            }
        })
    });
    let dir = tempdir().unwrap();
    get(dir.path(), &server.url, &archive, &Source::Official).0.unwrap();
    assert_complete(dir.path());
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_chunked_body_is_put_together() {
    let archive = official_archive();
    let mut served = response("200 OK", "Transfer-Encoding: chunked\r\n", b"");
    for piece in archive.chunks(100_000) {
        served.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        served.extend([piece, b"\r\n"].concat());
    }
    served.extend(b"0\r\n\r\n");
    let cut = served[..500_000].to_vec();
    let server = Server::start(move |i, _| Reply::Send(if i == 0 { cut.clone() } else { served.clone() }));
    let dir = tempdir().unwrap();
    let (fetched, recorder) = get(dir.path(), &server.url, &archive, &Source::Official);
    fetched.unwrap();
    assert_complete(dir.path());
    let messages = recorder.messages.join("\n");
    assert!(messages.contains("the connection broke") && messages.contains("which are kept"), "{messages}");
    assert!(messages.contains("cannot resume; starting over"), "{messages}");
}

#[test]
fn an_address_is_asked_for_as_it_stands() {
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |_, _| Reply::Send(ok(&served)));
    let url = format!("{}?a={{1,2}}[3-4]", server.url);
    let dir = tempdir().unwrap();
    get(dir.path(), &url, &archive, &Source::Url(url.clone())).0.unwrap();
    assert_complete(dir.path());
    let [request] = &server.requests()[..] else { panic!("one request must arrive") };
    let request = request.to_ascii_lowercase();
    assert!(request.starts_with("get /archive.tar.gz?a={1,2}[3-4] http/1.1\r\n"), "{request}");
    for header in ["accept-encoding: identity", concat!("user-agent: onelayer/", env!("CARGO_PKG_VERSION"))] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{request}");
    }
}

#[test]
fn a_request_to_stop_is_heard_while_a_server_is_silent() {
    struct Stops(std::time::Instant);
    impl Progress for Stops {
        fn interrupted(&self) -> bool {
            self.0.elapsed() > Duration::from_millis(300)
        }
    }
    let archive = official_archive();
    let half = ok(&archive)[..archive.len() / 2].to_vec();
    for sent in [Vec::new(), half] {
        let part = !sent.is_empty();
        let server = Server::start(move |_, _| Reply::Stall(sent.clone()));
        let mut catalog = catalog(&server.url, &archive);
        catalog.stall_timeout = Duration::from_secs(60);
        let dir = tempdir().unwrap();
        let mut progress = Stops(std::time::Instant::now());
        let result = fetch(dir.path(), &catalog, &Source::Official, Trust::Remembered, &mut progress);
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        assert!(progress.0.elapsed() < Duration::from_secs(5), "{:?}", progress.0.elapsed());
        assert_eq!(dir.path().join("cifar-10-binary.tar.gz.part").exists(), part);
    }
}

/// Whatever ends a download, curl does not outlive it.
#[cfg(unix)]
#[test]
fn curl_is_never_left_behind() {
    let archive = official_archive();
    let length = archive.len();
    let page = b"<html>".repeat(length);
    let cases = [
        (response("404 Not Found", "", b""), "404"),
        (ok(&page)[..60_000].to_vec(), "the server's has"),
        (response("200 OK", "", &page[..60_000]), "<html>"),
        (ok(b"")[..10].to_vec(), "timeout"),
        (ok(&archive)[..1000].to_vec(), "sent nothing for 0.5 s"),
        (b"SSH".repeat(1000), "no answer"),
    ];
    for (sent, reason) in cases {
        let server = Server::start(move |_, _| Reply::Stall(sent.clone()));
        let tools = tempdir().unwrap();
        let pids = tools.path().join("pids");
        let mut catalog = catalog(&server.url, &archive);
        catalog.curl_client = client(&tools, "curl", &format!("echo $$ >>{}; exec curl \"$@\"", pids.display()));
        let dir = tempdir().unwrap();
        let error = fetch(dir.path(), &catalog, &Source::Official, Trust::Remembered, &mut ()).unwrap_err();
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        for pid in fs::read_to_string(pids).unwrap().lines() {
            let alive = std::process::Command::new("kill").args(["-0", pid]).output().unwrap();
            assert!(!alive.status.success(), "{reason}: curl is still running");
        }
    }
}

/// Without limits, each of these clients would run until it is killed or the disk is full.
#[cfg(unix)]
#[test]
fn a_curl_that_misbehaves_is_refused_or_stopped() {
    let tools = tempdir().unwrap();
    let cases = [
        ("exec sleep 600", "timeout after 0.5 s"),
        ("exec >&-; exec sleep 600", "timeout after 0.5 s"),
        ("exec yes HTTP/1.1", "status line"),
        ("echo 'HTTP/1.1 200 OK'; exec yes 'X: y'", "longer than 65536 bytes"),
        ("printf 'HTTP/1.1 200 OK\\n\\n\\37\\213'; exec yes", "sent more than 7 bytes"),
        ("echo 'curl: option --no-such: is unknown' >&2; exit 2", "must be version 7.54 or newer"),
        ("echo 'HTTP/1.1 200 OK'", "head is cut off"),
        ("kill -9 $$", "a signal ended curl"),
        ("exit 7", "it wrote nothing to stderr"),
    ];
    for (script, reason) in cases {
        let mut catalog = catalog("http://127.0.0.1:1/", b"archive");
        catalog.curl_client = client(&tools, "curl", script);
        let dir = tempdir().unwrap();
        let result = fetch(dir.path(), &catalog, &Source::Official, Trust::Remembered, &mut ());
        assert_refused(result, dir.path(), &[reason]);
    }
}

#[test]
fn without_curl_the_npm_package_and_files_on_disk_remain() {
    let archive = official_archive();
    let mut catalog = catalog("https://127.0.0.1:1/x.tar.gz", &archive);
    catalog.curl_client = "/nowhere/curl".into();
    let dir = tempdir().unwrap();
    let try_source = |source| fetch(dir.path(), &catalog, &source, Trust::Remembered, &mut ());
    assert_refused(try_source(Source::Auto), dir.path(), &["no npm client", "no curl program", "install curl"]);
    try_source(Source::Path(sample_dir())).unwrap();
    assert_complete(dir.path());
    #[cfg(unix)]
    {
        let tools = tempdir().unwrap();
        let tarball = tools.path().join("tarball");
        fs::write(&tarball, npm_tarball()).unwrap();
        catalog.npm_client = npm_client(&tools, &format!("cp {} package-1.tgz", tarball.display()));
        let dir = tempdir().unwrap();
        fetch(dir.path(), &catalog, &Source::Auto, Trust::Remembered, &mut ()).unwrap();
        assert_complete(dir.path());
    }
}

/// The server answers only once the second fetch waits, so the two do overlap.
#[test]
fn two_at_once_download_once() {
    static WAITING: AtomicU32 = AtomicU32::new(0);
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |_, _| {
        while WAITING.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        Reply::Send(ok(&served))
    });
    struct Counts;
    impl Progress for Counts {
        fn message(&mut self, text: &str) {
            WAITING.fetch_add(u32::from(text.contains("waiting")), Ordering::SeqCst);
        }
    }
    let dir = tempdir().unwrap();
    let mut catalog = catalog(&server.url, &archive);
    catalog.stall_timeout = Duration::from_secs(30);
    let run = || fetch(dir.path(), &catalog, &Source::Official, Trust::Remembered, &mut Counts);
    let (a, b) = std::thread::scope(|s| {
        let (a, b) = (s.spawn(run), s.spawn(run));
        (a.join().unwrap().unwrap(), b.join().unwrap().unwrap())
    });
    assert_eq!(a.written.len() + b.written.len(), 3);
    assert_eq!(server.requests().len(), 1);
    assert_complete(dir.path());
}

#[test]
fn a_failure_leaves_no_new_folder_but_one_that_was_there() {
    let outer = tempdir().unwrap();
    let new = outer.path().join("new");
    let archive = outer.path().join("archive");
    fs::write(&archive, "no archive").unwrap();
    let source = Source::Path(archive);
    get(&new, "http://127.0.0.1:1/", b"", &source).0.unwrap_err();
    assert!(!new.exists());
    fs::create_dir(&new).unwrap();
    get(&new, "http://127.0.0.1:1/", b"", &source).0.unwrap_err();
    assert!(new.exists());
}
