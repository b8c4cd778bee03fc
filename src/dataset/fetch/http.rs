//! Downloading an archive: into a `.part` file, which a later attempt continues where an earlier one stopped.

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
use super::{Catalog, Job, go_on, wait_for};
use crate::dataset::store;
use crate::error::{Error, Result};

/// The most bytes that are downloaded when nobody knows how many there should be.
const UNKNOWN_BYTES: u64 = 1 << 30;
/// How often a lost connection is made again, as long as each one brought something.
const RESUMES: usize = 10;
/// What is waited before that.
const PAUSE: Duration = Duration::from_millis(300);
/// How many redirections are followed.
const REDIRECTS: u32 = 5;

/// Installs the wanted files from the official archive, which is verified as a whole.
pub(super) fn get_official(job: &mut Job) -> Result<()> {
    let catalog = job.catalog;
    let part = job.dir.join("cifar-10-binary.tar.gz.part");
    download(job, &catalog.archive_url, &part, Some(catalog.archive_bytes))?;
    let found = File::open(&part).and_then(store::sha256).map_err(Error::io("read", &part))?;
    if found != catalog.archive_sha256 {
        let reason = format!(
            "the archive must have the SHA-256 {}, but what was downloaded has {found}",
            catalog.archive_sha256
        );
        return Err(discard(&catalog.archive_url, &part, &reason));
    }
    install(job, &catalog.archive_url, &part)
}

/// Installs the wanted files from the archive at `url`. Nobody knows its digest: those of the files decide.
pub(super) fn get(job: &mut Job, url: &str) -> Result<()> {
    // Each address has its own name, so that none is continued with the bytes of another.
    let digest = store::sha256(url.as_bytes()).map_err(Error::io("read", job.dir))?;
    let part = job.dir.join(format!("download-{}.part", &digest[..16]));
    download(job, url, &part, None)?;
    install(job, url, &part)
}

/// Installs the wanted files from a finished download, which is no longer needed then. A damaged one is of no use
/// either; only what has nothing to do with its bytes, such as a full disk or Ctrl-C, leaves it there.
fn install(job: &mut Job, url: &str, part: &Path) -> Result<()> {
    match archive::install(job, part) {
        Ok(()) => fs::remove_file(part).map_err(Error::io("remove", part)),
        Err(error @ (Error::Io { .. } | Error::Interrupted)) => Err(error),
        Err(error) => Err(discard(url, part, &super::chain(&error))),
    }
}

/// Removes the download; gives the error that says so.
fn discard(url: &str, part: &Path, reason: &str) -> Error {
    let fate = match fs::remove_file(part) {
        Ok(()) => "the download was discarded, the next one begins anew".into(),
        Err(e) => format!("remove {} by hand: {e}", part.display()),
    };
    Error::Download { url: url.into(), reason: format!("{reason}; {fate}") }
}

/// Downloads `url` to the file `part`, from where that ends. `expected` is the whole's length, if it is known.
fn download(job: &mut Job, url: &str, part: &Path, expected: Option<u64>) -> Result<()> {
    let mut download =
        Download { agent: config(url, job.catalog).build().into(), url, part: part.to_owned(), expected };
    let refused = |reason| Error::Download { url: url.into(), reason };
    let mut restarted = false;
    let mut resumes = 0;
    loop {
        let before = length(part)?;
        match download.attempt(before, job) {
            Ok(()) => return Ok(()),
            Err(Failure::Local(error)) => return Err(error),
            Err(Failure::Restart(reason)) => {
                match fs::remove_file(part) {
                    // Nothing of it was kept.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    removed => removed.map_err(Error::io("remove", part))?,
                }
                if restarted {
                    return Err(refused(reason));
                }
                restarted = true;
                let message = format!("{url}: {reason}; beginning anew");
                job.progress.message(&message);
            }
            Err(Failure::Lost(reason)) if length(part)? > before && resumes < RESUMES => {
                resumes += 1;
                job.progress.message(&format!("{url}: {reason}; resuming"));
                thread::sleep(PAUSE);
            }
            Err(Failure::Refused(reason) | Failure::Lost(reason)) => return Err(refused(reason)),
        }
    }
}

/// How the client of one download behaves.
fn config(url: &str, catalog: &Catalog) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        // From https, no redirection leads to anything less.
        .https_only(url.starts_with("https://"))
        .max_redirects(REDIRECTS)
        .http_status_as_error(false)
        .timeout_resolve(Some(catalog.connect_timeout))
        .timeout_connect(Some(catalog.connect_timeout))
        .timeout_recv_response(Some(catalog.stall_timeout))
        .timeout_per_read(Some(catalog.stall_timeout))
        .user_agent(concat!("onelayer/", env!("CARGO_PKG_VERSION")))
}

/// The length of the file at `path`; 0 if there is none.
fn length(path: &Path) -> Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// Why an attempt did not finish the download.
enum Failure {
    /// It is no use trying again.
    Refused(String),
    /// The connection broke: what arrived is kept.
    Lost(String),
    /// What is there can't be continued.
    Restart(String),
    /// The disk's fault, or somebody asked to stop.
    Local(Error),
}

/// A download in several attempts.
struct Download<'a> {
    agent: Agent,
    url: &'a str,
    part: PathBuf,
    expected: Option<u64>,
}

impl Download<'_> {
    /// Asks for what follows the first `start` bytes, and appends it.
    fn attempt(&mut self, start: u64, job: &mut Job) -> Result<(), Failure> {
        match self.expected {
            Some(expected) if start == expected => return Ok(()),
            Some(expected) if start > expected => {
                return Err(Failure::Restart(format!("{start} bytes of it are on disk, but it has only {expected}")));
            }
            _ => {}
        }
        let mut request = self.agent.get(self.url).header("Accept-Encoding", "identity");
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let response = wait_for(job.progress, || request.call()).map_err(Failure::Local)?;
        let response = response.map_err(|e| match e {
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::TooManyRedirects => {
                Failure::Refused(e.to_string())
            }
            _ => Failure::Lost(format!("no answer: {e}")),
        })?;
        match response.status().as_u16() {
            200 => {
                let total = header(&response, "Content-Length").and_then(|v| v.parse().ok());
                self.check_total(total)?;
                if start > 0 {
                    job.progress.message(&format!("{}: the server can't resume; beginning anew", self.url));
                }
                self.receive(response, 0, total, job)
            }
            206 => {
                let total = check_range(header(&response, "Content-Range"), start)?;
                self.check_total(total)?;
                self.receive(response, start, total, job)
            }
            // There is nothing after `start`: it is complete if the server says that it ends there.
            416 if header(&response, "Content-Range") == Some(&format!("bytes */{start}")) => Ok(()),
            416 => Err(Failure::Restart(format!("the server has nothing after the {start} bytes on disk"))),
            _ => Err(Failure::Refused(format!("the server answered {}", response.status()))),
        }
    }

    /// Refuses a whole of another length than the published one, before it is downloaded.
    fn check_total(&self, total: Option<u64>) -> Result<(), Failure> {
        match (self.expected, total) {
            (Some(expected), Some(total)) if expected != total => {
                Err(Failure::Refused(format!("the archive must have {expected} bytes, but the server's has {total}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes the response's body from the offset `start` of the file.
    fn receive(&self, response: Response<Body>, start: u64, total: Option<u64>, job: &mut Job) -> Result<(), Failure> {
        let local = |e| Failure::Local(Error::io("write", &self.part)(e));
        let total = total.or(self.expected);
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.part).map_err(local)?;
        file.set_len(start).map_err(local)?;
        file.seek(SeekFrom::Start(start)).map_err(local)?;

        job.progress.begin(self.url, start, total);
        let received = copy(body, &mut file, start, total, job);
        job.progress.end();
        // What has arrived is kept, whatever ended the connection.
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
    job: &mut Job,
) -> Result<(), Failure> {
    let stall = job.catalog.stall_timeout.as_secs_f64();
    let mut done = start;
    let mut buffer = vec![0; 64 * 1024];
    let of_total = total.map_or(String::new(), |t| format!(" of {t}"));
    loop {
        go_on(job.progress).map_err(Failure::Local)?;
        let read = wait_for(job.progress, move || {
            let n = body.read(&mut buffer);
            (n, body, buffer)
        });
        let n;
        (n, body, buffer) = read.map_err(Failure::Local)?;
        let n = n.map_err(|e| {
            let cause = e.get_ref().and_then(|e| e.downcast_ref());
            let reason = match cause {
                Some(ureq::Error::Timeout(_)) => format!("the server sent nothing for {stall} s"),
                _ => format!("the connection broke ({e})"),
            };
            Failure::Lost(format!("{reason} after {done}{of_total} bytes, which are kept to go on from"))
        })?;
        let bytes = &buffer[..n];
        if done == 0 && n > 0 && !GZIP_MAGIC.starts_with(&bytes[..n.min(2)]) {
            return Err(Failure::Refused(format!(
                "the server must send a gzipped archive, but sent what begins with {}",
                quote(bytes)
            )));
        }
        if n == 0 {
            break;
        }
        done += n as u64;
        if done > total.unwrap_or(UNKNOWN_BYTES) {
            return Err(Failure::Restart(format!(
                "the server sent more than {} bytes",
                total.unwrap_or(UNKNOWN_BYTES)
            )));
        }
        file.write_all(bytes).map_err(|e| Failure::Local(Error::io("write", job.dir)(e)))?;
        job.progress.advance(done);
    }
    match total {
        _ if done == 0 => Err(Failure::Refused("the server sent no bytes".into())),
        Some(total) if done < total => Err(Failure::Lost(format!(
            "the server stopped after {done} of {total} bytes, which are kept to go on from"
        ))),
        _ => Ok(()),
    }
}

/// The text of a header.
fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Checks that `Content-Range`, such as `bytes 100-999/1000`, begins at `start`; gives the whole's length if it is
/// stated (RFC 9110, section 14.4).
fn check_range(header: Option<&str>, start: u64) -> Result<Option<u64>, Failure> {
    let refuse = || {
        Failure::Restart(format!(
            "asked for the bytes from {start} on, got Content-Range {:?}",
            header.unwrap_or("none")
        ))
    };
    let (range, total) =
        header.and_then(|h| h.strip_prefix("bytes ")).and_then(|h| h.split_once('/')).ok_or_else(refuse)?;
    let (first, last) = range.split_once('-').ok_or_else(refuse)?;
    let (first, last): (u64, u64) = match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => (first, last),
        _ => return Err(refuse()),
    };
    let total: Option<u64> = match total {
        "*" => None,
        total => Some(total.parse().map_err(|_| refuse())?),
    };
    if first != start || last < first || total.is_some_and(|t| last >= t) {
        return Err(refuse());
    }
    Ok(total)
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

    /// Answers each request on loopback with `response`, over TLS if there is a configuration for it; gives the address
    /// without the scheme, and counts the requests.
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

    /// A server's TLS with a certificate for `localhost` that nobody has signed.
    fn self_signed() -> (CertificateDer<'static>, Arc<ServerConfig>) {
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        (certificate, Arc::new(config))
    }

    /// Downloads `url` with a client that trusts `roots` and otherwise is the program's own.
    fn attempt(url: &str, roots: &[CertificateDer]) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::published(&[]);
        let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots)));
        let mut download = Download {
            agent: config(url, &catalog).tls_config(tls.build()).build().into(),
            url,
            part: folder.path().join("x.part"),
            expected: None,
        };
        let mut job = Job { dir: folder.path(), catalog: &catalog, wanted: &[], progress: &mut () };
        match download.attempt(0, &mut job) {
            Ok(()) => Ok(fs::read(&download.part).unwrap()),
            Err(Failure::Refused(reason) | Failure::Lost(reason) | Failure::Restart(reason)) => Err(reason),
            Err(Failure::Local(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn from_https_no_redirection_leads_to_anything_less() {
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
    fn a_certificate_that_nobody_trusted_has_signed_is_refused() {
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
