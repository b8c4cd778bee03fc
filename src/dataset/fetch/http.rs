//! Downloads an archive into a `.part` file, at whose end a later attempt resumes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::typestate::AgentScope;
use ureq::{Agent, Body};

use super::archive::{self, GZIP_MAGIC, quote};
use super::{Catalog, Fetching, stop_if_asked, wait_for};
use crate::dataset::store;
use crate::error::{Error, Result};
use crate::files::atomic;

/// Maximum size of a download whose size is unknown.
const MAX_UNKNOWN_BYTES: u64 = 1 << 30;
/// Maximum number of times that a lost connection is resumed. Each one must have brought something.
const MAX_RESUMES: usize = 10;
/// Pause before a lost connection is resumed.
const PAUSE: Duration = Duration::from_millis(300);
/// Maximum number of redirections that are followed.
const MAX_REDIRECTS: u32 = 5;

/// The unfinished download of the official archive.
const OFFICIAL_PART: &str = "cifar-10-binary.tar.gz.part";

/// Removes the downloads that killed processes left after their last file was installed. Errors are ignored.
pub(super) fn remove_parts(dir: &Path) {
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name == OFFICIAL_PART || (name.starts_with("download-") && name.ends_with(".part")) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Installs the wanted files from the official archive, which is verified as a whole.
pub(super) fn get_official(fetching: &mut Fetching) -> Result<()> {
    let catalog = fetching.catalog;
    let part = fetching.dir.join(OFFICIAL_PART);
    download(fetching, &catalog.archive_url, &part, Some(catalog.archive_bytes))?;
    let found = File::open(&part).and_then(store::sha256).map_err(Error::io("read", &part))?;
    if found != catalog.archive_sha256 {
        let reason =
            format!("the archive must have the SHA-256 {}, but the download has {found}", catalog.archive_sha256);
        return Err(discard(&catalog.archive_url, &part, &reason));
    }
    install(fetching, &catalog.archive_url, &part)
}

/// Installs the wanted files from the archive at `url`. Its digest is unknown: only those of the files are verified.
pub(super) fn get(fetching: &mut Fetching, url: &str) -> Result<()> {
    // One name per address, so that no download is resumed with the bytes of another.
    let digest = store::sha256(url.as_bytes()).map_err(Error::io("read", fetching.dir))?;
    let part = fetching.dir.join(format!("download-{}.part", &digest[..16]));
    download(fetching, url, &part, None)?;
    install(fetching, url, &part)
}

/// Installs the wanted files from a finished download, then removes it. A damaged one is removed too; errors that have
/// nothing to do with its bytes, such as a full disk or Ctrl-C, keep it.
fn install(fetching: &mut Fetching, url: &str, part: &Path) -> Result<()> {
    match archive::install(fetching, part) {
        Ok(()) => fs::remove_file(part).map_err(Error::io("remove", part)),
        Err(error @ (Error::Io { .. } | Error::Interrupted)) => Err(error),
        Err(error) => Err(discard(url, part, &super::chain(&error))),
    }
}

/// Removes a useless download; returns the error for `reason`.
fn discard(url: &str, part: &Path, reason: &str) -> Error {
    let fate = match fs::remove_file(part) {
        Ok(()) => "the download was discarded, the next one starts over".into(),
        Err(e) => format!("remove {} by hand: {e}", part.display()),
    };
    Error::Download(format!("{url}: {reason}; {fate}"))
}

/// Downloads `url` to the file `part`, after the bytes that it already has. `expected` is the full length, if known.
fn download(fetching: &mut Fetching, url: &str, part: &Path, expected: Option<u64>) -> Result<()> {
    let download =
        Download { agent: config(url, fetching.catalog).build().into(), url, part: part.to_owned(), expected };
    let refused = |reason| Error::Download(format!("{url}: {reason}"));
    let length = || fs::metadata(part).map_or(0, |metadata| metadata.len());
    let mut restarted = false;
    let mut resumes = 0;
    loop {
        let before = length();
        match download.attempt(before, fetching) {
            Ok(()) => return Ok(()),
            Err(Failure::Local(error)) => return Err(error),
            Err(Failure::Restart(reason)) => {
                atomic::remove(part)?;
                if restarted {
                    return Err(refused(reason));
                }
                restarted = true;
                fetching.progress.message(&format!("{url}: {reason}; starting over"));
            }
            Err(Failure::Lost(reason)) if length() > before && resumes < MAX_RESUMES => {
                resumes += 1;
                fetching.progress.message(&format!("{url}: {reason}; resuming"));
                thread::sleep(PAUSE);
            }
            Err(Failure::Refused(reason) | Failure::Lost(reason)) => return Err(refused(reason)),
        }
    }
}

/// The configuration of the HTTP client.
fn config(url: &str, catalog: &Catalog) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        // No redirection leads from https to a less secure scheme.
        .https_only(url.starts_with("https://"))
        .max_redirects(MAX_REDIRECTS)
        .http_status_as_error(false)
        .timeout_resolve(Some(catalog.connect_timeout))
        .timeout_connect(Some(catalog.connect_timeout))
        .timeout_recv_response(Some(catalog.stall_timeout))
        .timeout_per_read(Some(catalog.stall_timeout))
        .user_agent(concat!("onelayer/", env!("CARGO_PKG_VERSION")))
}

/// Reason why an attempt did not complete the download.
enum Failure {
    /// Trying again is useless.
    Refused(String),
    /// The connection broke. The bytes that arrived are kept.
    Lost(String),
    /// The bytes on disk cannot be continued.
    Restart(String),
    /// An error of the disk, or a request to stop.
    Local(Error),
}

/// A download, completed in one or more attempts.
struct Download<'a> {
    agent: Agent,
    url: &'a str,
    part: PathBuf,
    expected: Option<u64>,
}

impl Download<'_> {
    /// Requests the bytes after the first `start`, and appends them.
    fn attempt(&self, start: u64, fetching: &mut Fetching) -> Result<(), Failure> {
        match self.expected {
            Some(expected) if start == expected => return Ok(()),
            Some(expected) if start > expected => {
                return Err(Failure::Restart(format!("must have {expected} bytes, but {start} are on disk")));
            }
            _ => {}
        }
        let mut request = self.agent.get(self.url).header("Accept-Encoding", "identity");
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let response = wait_for(fetching.progress, || request.call()).map_err(Failure::Local)?;
        let response = response.map_err(|e| match e {
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::TooManyRedirects => {
                Failure::Refused(e.to_string())
            }
            _ => Failure::Lost(format!("no answer: {e}")),
        })?;
        let range = header(&response, "Content-Range");
        let (first, total) = match response.status().as_u16() {
            200 => (0, header(&response, "Content-Length").and_then(|v| v.parse().ok())),
            206 => (start, check_range(range, start)?),
            // No bytes follow: the download is complete if the server says that it ends at `start`.
            416 if range == Some(&format!("bytes */{start}")) => return Ok(()),
            416 => return Err(Failure::Restart(format!("the server has nothing after the {start} bytes on disk"))),
            _ => return Err(Failure::Refused(format!("the server answered {}", response.status()))),
        };
        if let (Some(expected), Some(total)) = (self.expected, total)
            && expected != total
        {
            let reason = format!("the archive must have {expected} bytes, but the server's has {total}");
            return Err(Failure::Refused(reason));
        }
        if first < start {
            fetching.progress.message(&format!("{}: the server cannot resume; starting over", self.url));
        }
        self.receive(response, first, total, fetching)
    }

    /// Writes the body of the response to the file, from the offset `start`.
    fn receive(
        &self,
        response: Response<Body>,
        start: u64,
        total: Option<u64>,
        fetching: &mut Fetching,
    ) -> Result<(), Failure> {
        let local = |e| Failure::Local(Error::io("write", &self.part)(e));
        let total = total.or(self.expected);
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.part).map_err(local)?;
        file.set_len(start).map_err(local)?;
        file.seek(SeekFrom::Start(start)).map_err(local)?;

        fetching.progress.begin(self.url, start, total);
        let received = copy(body, &mut file, start, total, fetching);
        fetching.progress.end();
        // Whatever ended the connection, the bytes that arrived are kept.
        file.sync_all().map_err(local)?;
        if file.metadata().map_err(local)?.len() == 0 {
            fs::remove_file(&self.part).map_err(local)?;
        }
        received
    }
}

/// Copies the body to the file, which holds `start` bytes of `total`.
fn copy(
    mut body: impl Read + Send + 'static,
    file: &mut File,
    start: u64,
    total: Option<u64>,
    fetching: &mut Fetching,
) -> Result<(), Failure> {
    let limit = total.unwrap_or(MAX_UNKNOWN_BYTES);
    let mut done = start;
    let mut buffer = vec![0; 64 * 1024];
    let kept = |reason: String, done: u64| {
        let of_total = total.map_or(String::new(), |t| format!(" of {t}"));
        Failure::Lost(format!("{reason} after {done}{of_total} bytes, which are kept"))
    };
    loop {
        stop_if_asked(fetching.progress).map_err(Failure::Local)?;
        let read = wait_for(fetching.progress, move || {
            let n = body.read(&mut buffer);
            (n, body, buffer)
        });
        let n;
        (n, body, buffer) = read.map_err(Failure::Local)?;
        let n = n.map_err(|e| kept(describe(&e, fetching.catalog.stall_timeout), done))?;
        if n == 0 {
            break;
        }
        let bytes = &buffer[..n];
        if done == 0 && !GZIP_MAGIC.starts_with(&bytes[..n.min(2)]) {
            let found = quote(bytes);
            return Err(Failure::Refused(format!("the server must send a gzipped archive, but sent {found}")));
        }
        done += n as u64;
        if done > limit {
            return Err(Failure::Restart(format!("the server sent more than {limit} bytes")));
        }
        file.write_all(bytes).map_err(|e| Failure::Local(Error::io("write", fetching.dir)(e)))?;
        fetching.progress.advance(done);
    }
    match total {
        _ if done == 0 => Err(Failure::Refused("the server sent no bytes".into())),
        Some(total) if done < total => Err(kept("the server stopped".into(), done)),
        _ => Ok(()),
    }
}

/// The error of reading a body, in words.
fn describe(error: &io::Error, stall_timeout: Duration) -> String {
    match error.get_ref().and_then(|e| e.downcast_ref()) {
        Some(ureq::Error::Timeout(_)) => format!("the server sent nothing for {} s", stall_timeout.as_secs_f64()),
        _ => format!("the connection broke ({error})"),
    }
}

/// The value of the header `name`.
fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Checks that `Content-Range`, such as `bytes 100-999/1000`, begins at `start`; returns the total length if it is
/// stated (RFC 9110, section 14.4).
fn check_range(header: Option<&str>, start: u64) -> Result<Option<u64>, Failure> {
    let total = || {
        let (range, total) = header?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let total: Option<u64> = if total == "*" { None } else { Some(total.parse().ok()?) };
        (first == start && first <= last && total.is_none_or(|total| last < total)).then_some(total)
    };
    total().ok_or_else(|| {
        let found = header.unwrap_or("none");
        Failure::Restart(format!(
            "the server was asked for the bytes from {start} on, but its Content-Range is {found:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, Stream};
    use ureq::tls::{Certificate, RootCerts, TlsConfig};

    /// Answers each request on loopback with `response`, over TLS if `tls` is given; returns the address without the
    /// scheme and the number of requests so far.
    fn server(
        tls: Option<Arc<ServerConfig>>,
        response: impl Fn(&str) -> String + Send + 'static,
    ) -> (String, Arc<AtomicUsize>) {
        fn answer(stream: &mut (impl Read + Write), response: impl Fn(&str) -> String) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let _ = stream.write_all(response(&String::from_utf8_lossy(&head)).as_bytes());
            let _ = stream.flush();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                seen.fetch_add(1, Ordering::SeqCst);
                match &tls {
                    None => answer(&mut stream, &response),
                    Some(tls) => {
                        let mut connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                        answer(&mut Stream::new(&mut connection, &mut stream), &response);
                        connection.send_close_notify();
                        let _ = connection.write_tls(&mut stream);
                    }
                }
            }
        });
        (address, requests)
    }

    /// A self-signed certificate for `localhost`, and the configuration of a server that uses it.
    fn self_signed() -> (CertificateDer<'static>, Arc<ServerConfig>) {
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        (certificate, Arc::new(config))
    }

    /// Downloads `url` with the program's client, except that it trusts `roots`.
    fn attempt(url: &str, roots: &[CertificateDer]) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::published(&[]);
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots)));
        let download = Download {
            agent: config(url, &catalog).tls_config(tls.build()).build().into(),
            url,
            part: folder.path().join("x.part"),
            expected: None,
        };
        let mut fetching = Fetching { dir: folder.path(), catalog: &catalog, wanted: &[], progress: &mut () };
        match download.attempt(0, &mut fetching) {
            Ok(()) => Ok(fs::read(&download.part).unwrap()),
            Err(Failure::Refused(reason) | Failure::Lost(reason) | Failure::Restart(reason)) => Err(reason),
            Err(Failure::Local(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn no_redirection_leads_from_https_to_a_less_secure_scheme() {
        let gzip = |_: &str| "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n\x1f".to_owned();
        let (certificate, tls) = self_signed();
        let (plain, plain_requests) = server(None, gzip);
        let address = plain.clone();
        let (secure, _) = server(Some(tls), move |request| {
            let location = match request.split(' ').nth(1).unwrap() {
                "/plain" => format!("http://{address}/"),
                "/file" => "file:///etc/passwd".into(),
                "/file-of-host" => "file://localhost/etc/passwd".into(),
                "/ftp" => "ftp://localhost/x".into(),
                "/secure" => "/archive".into(),
                _ => return gzip(""),
            };
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        });
        let from = |path: &str| attempt(&format!("https://{secure}{path}"), std::slice::from_ref(&certificate));
        for path in ["/plain", "/file-of-host", "/ftp"] {
            let refused = from(path).unwrap_err();
            assert!(refused.contains("https"), "{path}: {refused}");
        }
        // Without a host it is a path on the same server.
        assert_eq!(from("/file").unwrap(), b"\x1f");
        assert_eq!(plain_requests.load(Ordering::SeqCst), 0);
        // The checks can fail: another https address is followed, and from http the plain server is asked.
        assert_eq!(from("/secure").unwrap(), b"\x1f");
        assert_eq!(attempt(&format!("http://{plain}/"), &[]).unwrap(), b"\x1f");
        assert_eq!(plain_requests.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_certificate_without_a_trusted_signature_is_refused() {
        let (_, tls) = self_signed();
        let (other, _) = self_signed();
        let (secure, _) = server(Some(tls), |_| String::new());
        let refused = attempt(&format!("https://{secure}/"), &[other]).unwrap_err();
        assert!(refused.contains("certificate"), "{refused}");
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
}
