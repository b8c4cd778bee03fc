//! Shared by several tests: a small catalogue made from the sample, archives of it in both layouts, a server on loopback.

#![allow(dead_code)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use onelayer::dataset::cifar10::RECORD_BYTES;
use onelayer::dataset::fetch::{Catalog, Progress};
use onelayer::dataset::{sample, store};

/// Writes an executable script for `sh`.
///
/// Another process writes it: a process that another thread starts meanwhile would inherit a file that this one writes, and a
/// program that is open for writing cannot be run.
pub fn write_script(path: &Path, script: &str) {
    let text = path.with_extension("sh");
    fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
    let installed = Command::new("install").args(["-m", "755"]).args([&text, path]).status();
    assert!(installed.unwrap().success(), "{}", path.display());
    fs::remove_file(text).unwrap();
}

/// The folder of the sample.
pub fn sample_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(sample::DEFAULT_DIR)
}

/// The bytes of a file of the sample.
pub fn sample_bytes(name: &str) -> Vec<u8> {
    fs::read(sample_dir().join(name)).unwrap()
}

/// The sample's three files as a catalogue. `archive` is what `url` serves. There is no npm client in it.
pub fn catalog(url: &str, archive: &[u8]) -> Catalog {
    Catalog {
        archive_url: url.into(),
        archive_bytes: archive.len() as u64,
        archive_sha256: store::sha256(archive).unwrap(),
        npm_client: "/nowhere/npm".into(),
        stall_timeout: Duration::from_millis(500),
        ..Catalog::sample()
    }
}

/// The names of the catalogue's files.
pub const NAMES: [&str; 3] = ["train.bin", "validation.bin", "test.bin"];

/// Asserts that `dir` holds the three files, byte for byte, and nothing unfinished.
pub fn assert_complete(dir: &Path) {
    for name in NAMES {
        assert!(fs::read(dir.join(name)).unwrap() == sample_bytes(name), "{name} differs");
    }
    assert_tidy(dir);
}

/// Asserts that no temporary file or folder is left in `dir`.
pub fn assert_tidy(dir: &Path) {
    // A folder that was created for nothing is removed.
    if !dir.exists() {
        return;
    }
    for entry in fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".tmp") && !name.ends_with(".part"), "{name} is left");
    }
}

/// A gzipped tar archive.
pub fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    gzip(&tar_of(files), Compression::fast())
}

/// The archive of the sample in the layout of CIFAR-10's Python version.
pub fn python_archive() -> Vec<u8> {
    let pickles = NAMES.map(|name| pickle_of(&sample_bytes(name)));
    let names = NAMES.map(|name| format!("cifar-10-batches-py/{}", name.trim_end_matches(".bin")));
    tar_gz(&[0, 1, 2].map(|i| (names[i].as_str(), &pickles[i][..])))
}

/// A gzip file.
pub fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), level);
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A tar archive.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        tar.append(&tar_header(name, bytes.len() as u64), *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// The header of an ordinary file.
pub fn tar_header(name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    // Written by hand: the crate refuses the names of a hostile archive.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

/// An archive in the official layout.
pub fn official_archive() -> Vec<u8> {
    let files = NAMES.map(|n| (format!("cifar-10-batches-bin/{n}"), sample_bytes(n)));
    let mut all: Vec<(&str, &[u8])> = vec![("cifar-10-batches-bin/readme.html", b"<html>")];
    all.extend(files.iter().map(|(n, b)| (n.as_str(), &b[..])));
    tar_gz(&all)
}

/// A tarball in the npm package's layout: the images before their labels.
pub fn npm_tarball() -> Vec<u8> {
    let bytes = NAMES.map(sample_bytes);
    let images = bytes.each_ref().map(|b| png_of(b));
    let labels = |records: &[u8]| -> Vec<u8> { records.chunks(RECORD_BYTES).map(|record| record[0]).collect() };
    let json = |labels: Vec<u8>| serde_json::to_vec(&labels).unwrap();
    let train = json([labels(&bytes[0]), labels(&bytes[1])].concat());
    let test = json(labels(&bytes[2]));
    tar_gz(&[
        ("package/package.json", b"{}"),
        ("package/train.png", &images[0]),
        ("package/validation.png", &images[1]),
        ("package/test.png", &images[2]),
        ("package/test_lables.json", &test),
        ("package/train_lables.json", &train),
    ])
}

/// The PNG of records: one row an image, the three channels of a pixel side by side.
pub fn png_of(records: &[u8]) -> Vec<u8> {
    png_with(1024, (records.len() / RECORD_BYTES) as u32, png::ColorType::Rgb, &pixels_of(records))
}

/// The pickle of records, as Python 2 wrote those of CIFAR-10: a dictionary in version 2 of the format, with short strings of bytes.
pub fn pickle_of(records: &[u8]) -> Vec<u8> {
    let count = records.len() / RECORD_BYTES;
    let text = |text: &str| [b"U", &[text.len() as u8][..], text.as_bytes()].concat();
    let mut pickle = b"\x80\x02}q\x01(".to_vec();
    pickle.extend(text("batch_label"));
    pickle.extend(text("training batch 1 of 5"));
    pickle.extend(text("labels"));
    pickle.extend(b"]q\x05(");
    pickle.extend(records.chunks(RECORD_BYTES).flat_map(|record| [b'K', record[0]]));
    pickle.extend(b"e");
    pickle.extend(text("data"));
    pickle.extend(b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\0\x85U\x01b\x87R(K\x01");
    pickle.extend([&b"M"[..], &(count as u16).to_le_bytes(), b"M\0\x0c\x86"].concat());
    pickle.extend(b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
    pickle.extend(((count * (RECORD_BYTES - 1)) as u32).to_le_bytes());
    records.chunks(RECORD_BYTES).for_each(|record| pickle.extend(&record[1..]));
    pickle.extend(b"tb");
    pickle.extend(text("filenames"));
    pickle.extend(b"](");
    pickle.extend((0..count).flat_map(|_| text("frog_s_000001.png")));
    pickle.extend(b"eu.");
    pickle
}

/// The pixels of records, the three channels of each side by side.
pub fn pixels_of(records: &[u8]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(records.len());
    for record in records.chunks(RECORD_BYTES) {
        for pixel in 0..1024 {
            pixels.extend([record[1 + pixel], record[1025 + pixel], record[2049 + pixel]]);
        }
    }
    pixels
}

/// A chunk of a PNG with its length and checksum.
pub fn png_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(content);
    [&(content.len() as u32).to_be_bytes(), &name[..], content, &crc.sum().to_be_bytes()].concat()
}

/// `jpeg` with an EXIF block.
pub fn jpeg_with_exif(jpeg: &[u8], block: &[u8]) -> Vec<u8> {
    let content = [b"Exif\0\0", block].concat();
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &content, &jpeg[2..]].concat()
}

/// A PNG of any kind.
pub fn png_with(width: u32, height: u32, color: png::ColorType, rows: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(rows).unwrap();
    writer.finish().unwrap();
    bytes
}

/// The server's reaction to a connection.
pub enum Reply {
    /// Sends the bytes and closes.
    Send(Vec<u8>),
    /// Sends the bytes and then nothing, without closing.
    Stall(Vec<u8>),
    /// Sends the bytes with pauses, as a slow connection does, and closes.
    Slowly(Vec<u8>),
    /// Sends the first bytes once and the second ones repeatedly, with pauses, for as long as it can.
    Endless(Vec<u8>, Vec<u8>, Duration),
}

/// A response: status line, headers, body.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// `200 OK` with the body and its length.
pub fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// `206 Partial Content`: `body` from the offset that the request asks for.
pub fn partial(body: &[u8], request: &str) -> Vec<u8> {
    let start = range_start(request).expect("the request must ask for a range");
    let (last, total) = (body.len() - 1, body.len());
    let headers = format!("Content-Length: {}\r\nContent-Range: bytes {start}-{last}/{total}\r\n", total - start);
    response("206 Partial Content", &headers, &body[start..])
}

/// The offset that a request's `Range: bytes=N-` asks for.
pub fn range_start(request: &str) -> Option<usize> {
    let line = request.lines().find(|l| l.to_ascii_lowercase().starts_with("range:"))?;
    line.split_once("bytes=")?.1.trim().strip_suffix('-')?.parse().ok()
}

/// A server on loopback with given answers.
pub struct Server {
    /// The address of an archive on it.
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts the server; `answer` gets the number of the request, from 0, and its head.
    pub fn start(answer: impl Fn(usize, &str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            let mut stalled = Vec::new();
            for (i, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let head = read_head(&mut stream);
                seen.lock().unwrap().push(head.clone());
                match answer(i, &head) {
                    // A client may hang up before it has read everything.
                    Reply::Send(bytes) => drop(stream.write_all(&bytes)),
                    Reply::Slowly(bytes) => {
                        for piece in bytes.chunks(128 * 1024) {
                            thread::sleep(Duration::from_millis(2));
                            if stream.write_all(piece).is_err() {
                                break;
                            }
                        }
                    }
                    Reply::Stall(bytes) => {
                        drop(stream.write_all(&bytes));
                        stalled.push(stream);
                    }
                    Reply::Endless(start, again, pause) => {
                        let mut sent = stream.write_all(&start);
                        while sent.is_ok() {
                            thread::sleep(pause);
                            sent = stream.write_all(&again);
                        }
                    }
                }
            }
        });
        Self { url, requests }
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads a request up to the empty line.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Records the progress.
#[derive(Default)]
pub struct Recorder {
    /// The downloads, each with the bytes that were there and the total.
    pub begun: Vec<(String, u64, Option<u64>)>,
    /// The highest number of bytes of the last download.
    pub done: u64,
    /// The messages.
    pub messages: Vec<String>,
}

impl Progress for Recorder {
    fn begin(&mut self, what: &str, done: u64, total: Option<u64>) {
        self.begun.push((what.into(), done, total));
        self.done = done;
    }
    fn advance(&mut self, done: u64) {
        assert!(done >= self.done, "progress went back");
        self.done = done;
    }
    fn end(&mut self) {}
    fn message(&mut self, text: &str) {
        self.messages.push(text.into());
    }
}
