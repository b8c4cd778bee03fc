use super::*;
use crate::common::{self, Recorder, Reply, Server, ok, partial, range_start, response};
use crate::dataset::fetch::Catalog;

/// Downloads `url` for `catalog`.
fn attempt(url: &str, catalog: &Catalog) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("x.part");
    let mut fetching = Fetching { dir: folder.path(), catalog, wanted: &[], progress: &mut () };
    match (Download { url, part: &part, expected: None }).attempt(0, &mut fetching) {
        Ok(()) => Ok(fs::read(&part).unwrap()),
        Err(Failure::Refused(reason) | Failure::Lost(reason) | Failure::Restart(reason)) => Err(reason),
        Err(Failure::Local(error)) => panic!("{error}"),
    }
}

#[test]
fn only_http_and_https_addresses_reach_curl() {
    let catalog = Catalog { curl_client: "/nowhere/curl".into(), ..Catalog::published(&[]) };
    for url in ["", "-o/tmp/x", "@/etc/passwd", "file:///etc/passwd", "FILE:///etc/passwd", "ftp://localhost/"] {
        assert!(attempt(url, &catalog).unwrap_err().contains("must begin with https://"), "{url}");
    }
    // The check can fail: with this address, curl is asked for.
    assert!(attempt("http://localhost/", &catalog).unwrap_err().contains("there is no curl program"));
}

#[test]
fn a_content_range_must_begin_where_it_was_asked_for() {
    let total = |header| check_range(Some(header), 100).ok();
    assert_eq!(total("bytes 100-999/1000"), Some(Some(1000)));
    assert_eq!(total("bytes 100-999/*"), Some(None));
    for wrong in [
        "bytes 99-999/1000",
        "bytes 100-99/1000",
        "bytes 100-1000/1000",
        "bytes */1000",
        "bytes 100-/1000",
        "items 100-999/1000",
        "bytes 100-99999999999999999999/*",
        "",
    ] {
        assert_eq!(total(wrong), None, "{wrong}");
    }
    assert!(check_range(None, 0).is_err());
}

/// `length` bytes that begin like a gzip file.
fn archive(length: usize) -> Vec<u8> {
    [0x1f, 0x8b].into_iter().chain((2..length).map(|i| (i % 251) as u8)).collect()
}

/// The end of an attempt that found the bytes `kept` on disk, the bytes that it left there, and its messages.
fn outcome(url: &str, kept: &[u8], expected: Option<u64>) -> (String, Option<Vec<u8>>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("x.part");
    if !kept.is_empty() {
        fs::write(&part, kept).unwrap();
    }
    let (catalog, mut recorder) = (common::catalog(url, b""), Recorder::default());
    let mut fetching = Fetching { dir: folder.path(), catalog: &catalog, wanted: &[], progress: &mut recorder };
    let result = (Download { url, part: &part, expected }).attempt(kept.len() as u64, &mut fetching);
    let end = result.map_or_else(in_words, |()| "complete".into());
    (end, fs::read(&part).ok(), recorder.messages)
}

/// The failure, after its kind.
fn in_words(failure: Failure) -> String {
    match failure {
        Failure::Refused(reason) => format!("refused: {reason}"),
        Failure::Lost(reason) => format!("lost: {reason}"),
        Failure::Restart(reason) => format!("restart: {reason}"),
        Failure::Local(error) => format!("local: {error}"),
    }
}

#[test]
fn each_answer_of_a_server_ends_an_attempt_in_its_own_way() {
    let all = archive(1000);
    let range = |headers: &str, body: &[u8]| response("206 Partial Content", headers, body);
    let (known, unknown) = (Some(1000), None);
    let other_range = "restart: the server was asked for the bytes from 300 on, but its Content-Range is ";
    // The answer; the number of bytes on disk before it; the length, if it is known; the end, and the number of bytes after it.
    let cases = [
        (ok(&all), 0, known, "complete".to_owned(), 1000),
        (response("200 OK", "", &all), 0, unknown, "complete".into(), 1000),
        (range("Content-Range: bytes 300-999/1000\r\n", &all[300..]), 300, known, "complete".into(), 1000),
        (range("Content-Range: bytes 300-999/*\r\n", &all[300..]), 300, unknown, "complete".into(), 1000),
        (range("Content-Range: bytes 999-999/1000\r\n", &all[999..]), 999, unknown, "complete".into(), 1000),
        (
            range("Content-Range: bytes 300-999/1000\r\n", &all[300..700]),
            300,
            unknown,
            "lost: the server stopped after 700 of 1000 bytes, which are kept".into(),
            700,
        ),
        (
            response("200 OK", "", &all[..400]),
            0,
            known,
            "lost: the server stopped after 400 of 1000 bytes, which are kept".into(),
            400,
        ),
        (range("Content-Range: bytes 7-9/10\r\n", b"xxx"), 300, known, format!("{other_range}\"bytes 7-9/10\""), 300),
        (range("", b"xxx"), 300, known, format!("{other_range}\"none\""), 300),
        (
            response("416 Range Not Satisfiable", "Content-Range: bytes */1000\r\n", b""),
            1000,
            unknown,
            "complete".into(),
            1000,
        ),
        (
            response("416 Range Not Satisfiable", "Content-Range: bytes */999\r\n", b""),
            1000,
            unknown,
            "restart: the server has nothing after the 1000 bytes on disk".into(),
            1000,
        ),
        (
            ok(&archive(1001)),
            300,
            known,
            "refused: the archive must have 1000 bytes, but the server's has 1001".into(),
            300,
        ),
        (response("404 Not Found", "", b"gone"), 300, known, "refused: the server answered 404 Not Found".into(), 300),
    ];
    for (answer, kept, expected, end, length) in cases {
        let answer_text = String::from_utf8_lossy(&answer).lines().take(3).collect::<Vec<_>>().join(" ");
        let server = Server::start(move |_, _| Reply::Send(answer.clone()));
        let (found, on_disk, messages) = outcome(&server.url, &all[..kept], expected);
        assert_eq!(found, end, "{answer_text}");
        assert_eq!(on_disk.unwrap(), all[..length], "{answer_text}");
        assert_eq!(messages, [""; 0], "{answer_text}");
        assert_eq!(server.requests().len(), 1);
        assert_eq!(range_start(&server.requests()[0]), Some(kept).filter(|&kept| kept > 0), "{answer_text}");
    }
}

#[test]
fn a_download_without_use_leaves_no_bytes_of_its_own() {
    let cases = [
        (response("200 OK", "", b""), "refused: the server sent no bytes"),
        (
            ok(b"<html>moved</html>"),
            "refused: the server must send a gzipped archive, but its answer looks like text that begins with \
             \"<html>moved</html>\"",
        ),
        (ok(b"\x1f\x8c\0"), "refused: the server must send a gzipped archive, but its answer is of an unknown kind"),
        (response("200 OK", "", &archive(1001)), "restart: the server sent more than 1000 bytes"),
    ];
    for (answer, end) in cases {
        let server = Server::start(move |_, _| Reply::Send(answer.clone()));
        let expected = if end.contains("1000") { Some(1000) } else { None };
        let (found, on_disk, _) = outcome(&server.url, b"", expected);
        assert_eq!((&found[..], on_disk), (end, None));
    }
}

#[test]
fn bytes_on_disk_are_counted_before_a_server_is_asked() {
    let server = Server::start(|_, _| panic!("no request is needed"));
    let all = archive(1001);
    assert_eq!(outcome(&server.url, &all[..1000], Some(1000)), ("complete".into(), Some(all[..1000].to_vec()), vec![]));
    let (end, ..) = outcome(&server.url, &all, Some(1000));
    assert_eq!(end, "restart: must have 1000 bytes, but 1001 are on disk");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn starting_over_is_announced_only_where_bytes_are_given_up() {
    let all = archive(1000);
    let served = all.clone();
    let server = Server::start(move |_, _| Reply::Send(ok(&served)));
    let (end, on_disk, messages) = outcome(&server.url, &all[..1], None);
    assert_eq!((&end[..], on_disk), ("complete", Some(all)));
    assert_eq!(messages, [format!("{}: the server cannot resume; starting over", server.url)]);
    // Nothing is left of a longer download.
    let (end, on_disk, messages) = outcome(&server.url, &archive(1500), None);
    assert_eq!((&end[..], on_disk, messages.len()), ("complete", Some(archive(1000)), 1));
}

#[test]
fn the_progress_of_a_download_begins_with_the_bytes_on_disk_and_ends_with_the_last() {
    let server = Server::start(|_, request| Reply::Send(partial(&archive(1000), request)));
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("x.part");
    for expected in [None, Some(1000)] {
        fs::write(&part, archive(300)).unwrap();
        let (catalog, mut recorder) = (common::catalog(&server.url, b""), Recorder::default());
        let mut fetching = Fetching { dir: folder.path(), catalog: &catalog, wanted: &[], progress: &mut recorder };
        download(&mut fetching, &server.url, &part, expected).unwrap();
        assert_eq!(recorder.begun, [(server.url.clone(), 300, Some(1000))]);
        assert_eq!((recorder.done, fs::read(&part).unwrap()), (1000, archive(1000)));
    }
}

/// A redirection may come after most of the time for an answer.
#[cfg(unix)]
#[test]
fn the_answer_after_a_redirection_has_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("curl");
    let heads = [r"302 Found\r\nLocation: /x\r\n\r\n", r"200 OK\r\n\r\n\037\213"];
    common::write_script(&client, &heads.map(|head| format!("sleep 0.05; printf 'HTTP/1.1 {head}'")).join("; "));
    let catalog = Catalog { curl_client: client, ..Catalog::published(&[]) };
    assert_eq!(attempt("http://a/x", &catalog).unwrap(), b"\x1f\x8b");
}

/// Downloads 1000 bytes; returns the error, the length on disk, and the messages.
fn download_1000(server: &Server, kept: &[u8]) -> (String, u64, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("x.part");
    fs::write(&part, kept).unwrap();
    let (catalog, mut recorder) = (common::catalog(&server.url, b""), Recorder::default());
    let mut fetching = Fetching { dir: folder.path(), catalog: &catalog, wanted: &[], progress: &mut recorder };
    let error = download(&mut fetching, &server.url, &part, Some(1000)).unwrap_err().to_string();
    (error, fs::metadata(&part).map_or(0, |metadata| metadata.len()), recorder.messages)
}

#[test]
fn a_lost_connection_that_brought_nothing_is_not_tried_again() {
    let all = archive(1000);
    let kept = all[..300].to_vec();
    let headers_alone = |request: &str| {
        let whole = partial(&archive(1000), request);
        whole[..whole.len() - 700].to_vec()
    };
    let silent = Server::start(|_, _| Reply::Send(Vec::new()));
    let headers = Server::start(move |_, request| Reply::Send(headers_alone(request)));
    for (server, reason) in [(silent, "no answer"), (headers, "after 300 of 1000 bytes, which are kept")] {
        let (error, length, messages) = download_1000(&server, &kept);
        assert!(error.starts_with(&server.url) && error.contains(reason), "{error}");
        assert_eq!((length, messages.len(), server.requests().len()), (300, 0, 1));
    }
}

#[test]
fn a_download_starts_over_once() {
    let server = Server::start(|_, _| Reply::Send(response("200 OK", "", &archive(1001))));
    let (error, length, messages) = download_1000(&server, b"");
    let refused = format!("{}: the server sent more than 1000 bytes", server.url);
    assert_eq!((&error, length), (&refused, 0));
    assert_eq!(messages, [format!("{refused}; starting over")]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_missing_answer_is_explained_by_how_curl_ended() {
    let failed = |status: i32| End::Failed(Some(status), "words of curl".into());
    let [secure, plain] = ["https://a/x", "http://a/x"];
    let away = Some("ftp://b/x\n");
    let cases = [
        (secure, failed(47), away, "refused: too many redirections: 5 are followed"),
        (secure, failed(1), away, "refused: the server redirects to \"ftp://b/x\\n\", which is no https address"),
        (
            plain,
            failed(3),
            away,
            "refused: the server redirects to \"ftp://b/x\\n\", which is no http or https address",
        ),
        (plain, failed(3), None, "refused: curl does not accept the address: words of curl"),
        (plain, failed(1), None, "lost: no answer: words of curl"),
        (plain, failed(2), None, "refused: curl must be version 7.54 or newer, but this one says: words of curl"),
        (plain, failed(60), away, "refused: the server's certificate is not trusted: words of curl"),
        (plain, failed(7), away, "lost: no answer: words of curl"),
        (plain, End::Failed(None, "words of curl".into()), None, "lost: no answer: a signal ended curl"),
        (plain, End::Malformed("it is odd".into()), None, "lost: no answer in HTTP: it is odd"),
        (plain, End::Complete, None, "lost: no answer"),
        (plain, End::Stalled, away, "lost: no answer: timeout after 1.5 s"),
    ];
    for (url, end, redirection, words) in cases {
        let download = Download { url, part: Path::new("x.part"), expected: None };
        let failure = download.no_answer(end, redirection.map(str::to_owned), Duration::from_millis(1500));
        assert_eq!(in_words(failure), words);
    }
}

#[test]
fn a_curl_that_cannot_be_run_is_told_from_one_that_is_missing() {
    let error = |kind| not_started(&io::Error::new(kind, "reason of the system"));
    assert_eq!(error(io::ErrorKind::PermissionDenied), "curl cannot be run: reason of the system");
    assert!(error(io::ErrorKind::NotFound).starts_with("there is no curl program, which downloads need: install curl"));
}

#[test]
fn only_downloads_of_this_program_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let ours = ["cifar-10-binary.tar.gz.part", "download-0123456789abcdef.part"];
    let others = ["cifar-10-binary.tar.gz", "download-notes", "other.part", "my-download-0.part"];
    for name in ours.iter().chain(&others) {
        fs::write(folder.path().join(name), "bytes").unwrap();
    }
    remove_parts(folder.path());
    assert!(ours.iter().all(|name| !folder.path().join(name).exists()));
    assert!(others.iter().all(|name| folder.path().join(name).exists()));
    remove_parts(&folder.path().join("no such folder"));
}

/// Errors of the disk or a request to stop say nothing about the bytes.
#[test]
fn a_download_is_discarded_for_its_bytes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("x.part");
    fs::write(&part, "no archive").unwrap();
    let catalog = common::catalog("", b"");
    let mut fetching = Fetching { dir: folder.path(), catalog: &catalog, wanted: &catalog.entries, progress: &mut () };
    let error = install(&mut fetching, "http://a/x", &part).unwrap_err().to_string();
    assert!(error.starts_with("http://a/x: ") && error.contains("must be a gzipped archive"), "{error}");
    assert!(error.ends_with("; the download was discarded, the next one starts over"), "{error}");
    assert!(!part.exists());
    let gone = install(&mut fetching, "http://a/x", &part).unwrap_err();
    assert!(matches!(gone, Error::Io { action: "read", .. }), "{gone}");
    let by_hand = discard("http://a/x", &part, "it is odd").to_string();
    assert!(by_hand.starts_with(&format!("http://a/x: it is odd; remove {} by hand: ", part.display())), "{by_hand}");
}

/// The certificate for `localhost` is self-signed, so only who trusts it by name can connect.
#[cfg(unix)]
mod tls {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");

    /// A server that sends one byte to each request on loopback; returns its address without the scheme, and the
    /// number of requests so far.
    fn plain_server() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                seen.fetch_add(1, Ordering::SeqCst);
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n\x1f");
            }
        });
        (address, requests)
    }

    /// A server over TLS, whose path `/plain` redirects to the server `plain`.
    struct SecureServer {
        python: Child,
        port: String,
    }

    impl SecureServer {
        /// Starts the server; `None`, with a message, if there is no Python.
        fn start(plain: &str) -> Option<Self> {
            let mut command = Command::new("python3");
            command.arg(format!("{FIXTURES}/server.py")).arg(plain).stdout(Stdio::piped());
            let Ok(mut python) = command.spawn() else {
                eprintln!("skipped: there is no python3, which serves HTTPS in this test");
                return None;
            };
            let mut port = String::new();
            BufReader::new(python.stdout.take().unwrap()).read_line(&mut port).unwrap();
            assert!(port.ends_with('\n'), "the server does not start");
            Some(Self { python, port: port.trim().into() })
        }
    }

    impl Drop for SecureServer {
        fn drop(&mut self) {
            let _ = self.python.kill();
            let _ = self.python.wait();
        }
    }

    /// A catalog whose curl trusts only the certificate in `file`. The script is in `folder`.
    fn trusting(folder: &Path, file: &Path) -> Catalog {
        let client = folder.join("curl");
        let script = format!("#!/bin/sh\nCURL_CA_BUNDLE='{}' exec curl \"$@\"\n", file.display());
        let text = folder.join("curl.sh");
        fs::write(&text, script).unwrap();
        // Another process writes it: one that another thread starts meanwhile would inherit a file that this one writes,
        // and a program that is open for writing cannot be run.
        let installed = Command::new("install").args(["-m", "755"]).args([&text, &client]).status();
        assert!(installed.unwrap().success());
        Catalog { curl_client: client, ..Catalog::published(&[]) }
    }

    #[test]
    fn no_redirection_leads_from_https_to_a_less_secure_scheme() {
        let (plain, plain_requests) = plain_server();
        let Some(secure) = SecureServer::start(&plain) else { return };
        let scripts = tempfile::tempdir().unwrap();
        let catalog = trusting(scripts.path(), &Path::new(FIXTURES).join("localhost.pem"));
        let from = |path: &str| attempt(&format!("https://localhost:{}{path}", secure.port), &catalog);
        for path in ["/plain", "/file", "/file-of-host", "/ftp"] {
            let refused = from(path).unwrap_err();
            assert!(refused.contains("https"), "{path}: {refused}");
            assert!(refused.contains("the server redirects to"), "{path}: {refused}");
        }
        assert_eq!(plain_requests.load(Ordering::SeqCst), 0);
        // The checks can fail: another https address is followed, and from http the plain server is asked.
        assert_eq!(from("/secure").unwrap(), b"\x1f");
        assert_eq!(attempt(&format!("http://{plain}/"), &catalog).unwrap(), b"\x1f");
        assert_eq!(plain_requests.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_certificate_without_a_trusted_signature_is_refused() {
        let Some(secure) = SecureServer::start("localhost:1") else { return };
        let scripts = tempfile::tempdir().unwrap();
        let url = format!("https://localhost:{}/", secure.port);
        let refused = attempt(&url, &Catalog::published(&[])).unwrap_err();
        assert!(refused.contains("certificate is not trusted") && !refused.contains('\n'), "{refused}");

        // A trusted one is accepted, but not for another name.
        let catalog = trusting(scripts.path(), &Path::new(FIXTURES).join("localhost.pem"));
        assert_eq!(attempt(&url, &catalog).unwrap(), b"\x1f");
        let refused = attempt(&url.replace("localhost", "127.0.0.1"), &catalog).unwrap_err();
        assert!(refused.contains("certificate is not trusted"), "{refused}");
    }
}
