//! Runs the `curl` program, which speaks HTTP and HTTPS, and reads what it prints: the heads of the answers of all
//! redirections, then the body of the last.

use std::io::{self, Read};
use std::mem;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, one_line};
use super::head::Head;
use super::{Fetching, POLL, Progress, stop_if_asked};
use crate::error::{Error, Result};

/// Maximum number of redirections that are followed.
pub(super) const MAX_REDIRECTS: u32 = 5;
/// Number of bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Number of chunks that may wait for the disk.
const CHUNKS: usize = 4;

/// Exit statuses of curl, from its manual.
pub(super) mod exit {
    pub const UNSUPPORTED_PROTOCOL: i32 = 1;
    pub const WRONG_OPTION: i32 = 2;
    pub const MALFORMED_URL: i32 = 3;
    pub const TOO_MANY_REDIRECTS: i32 = 47;
    pub const UNTRUSTED_CERTIFICATE: i32 = 60;
}

/// A running download.
pub(super) struct Curl {
    client: Client,
    chunks: Receiver<Vec<u8>>,
    /// Bytes that have arrived after the last head.
    unread: Vec<u8>,
}

/// Reason why nothing more comes from curl.
pub(super) enum End {
    /// It has delivered everything.
    Complete,
    /// It has failed: its exit status, unless a signal ended it, and its message on one line.
    Failed(Option<i32>, String),
    /// Nothing has arrived in time.
    Stalled,
    /// The answer is not HTTP, for this reason.
    Malformed(String),
}

impl Curl {
    /// Requests `url`, from the byte `start` on.
    pub fn start(fetching: &Fetching, url: &str, start: u64) -> io::Result<Self> {
        let mut command = Command::new(&fetching.catalog.curl_client);
        command.args(arguments(url, start, fetching.catalog.connect_timeout, fetching.catalog.stall_timeout));
        let mut client = Client::start(command.stdout(Stdio::piped()), fetching.dir)?;
        let stdout = client.take_stdout().ok_or_else(|| io::Error::other("curl has no output"))?;
        let (sender, chunks) = mpsc::sync_channel(CHUNKS);
        thread::spawn(move || forward(stdout, &sender));
        Ok(Self { client, chunks, unread: Vec::new() })
    }

    /// The next head. Its end must arrive before `deadline`.
    pub fn head(&mut self, progress: &dyn Progress, deadline: Instant) -> Result<Result<Head, End>> {
        loop {
            match Head::parse(&self.unread) {
                Ok(Some((head, length))) => {
                    self.unread.drain(..length);
                    return Ok(Ok(head));
                }
                Ok(None) => {}
                Err(reason) => return Ok(Err(End::Malformed(reason))),
            }
            match self.receive(progress, deadline)? {
                Ok(bytes) => self.unread.extend(bytes),
                Err(End::Complete) => return Ok(Err(End::Malformed("its head is cut off".into()))),
                Err(end) => return Ok(Err(end)),
            }
        }
    }

    /// The next bytes of the body, never none. They must arrive within `patience`.
    pub fn body(&mut self, progress: &dyn Progress, patience: Duration) -> Result<Result<Vec<u8>, End>> {
        match mem::take(&mut self.unread) {
            bytes if bytes.is_empty() => self.receive(progress, Instant::now() + patience),
            bytes => Ok(Ok(bytes)),
        }
    }

    fn receive(&mut self, progress: &dyn Progress, deadline: Instant) -> Result<Result<Vec<u8>, End>> {
        loop {
            stop_if_asked(progress)?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left.min(POLL)) {
                Ok(bytes) => return Ok(Ok(bytes)),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(Err(End::Stalled)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.end(progress, deadline).map(Err),
            }
        }
    }

    /// Waits until curl, which has closed its output, ends.
    fn end(&mut self, progress: &dyn Progress, deadline: Instant) -> Result<End> {
        loop {
            // Ctrl-C reaches curl too: that it ends must not pass for a lost connection.
            stop_if_asked(progress)?;
            match self.client.ended().map_err(Error::io("wait for", "curl".as_ref()))? {
                Some(status) if status.success() => return Ok(End::Complete),
                Some(status) => return Ok(End::Failed(status.code(), message(&self.client.error_output()))),
                None if Instant::now() > deadline => return Ok(End::Stalled),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// The arguments for `url` from the byte `start` on.
fn arguments(url: &str, start: u64, connect: Duration, stall: Duration) -> Vec<String> {
    let schemes = if url.starts_with("https://") { "=https" } else { "=http,https" };
    // `--disable` keeps the user's .curlrc out, and must come first. Unlike `--include`, `--dump-header -` does not hold a
    // head back until the body begins.
    let mut arguments = "--disable --silent --show-error --dump-header - --suppress-connect-headers --no-buffer \
                         --globoff --http1.1 --tlsv1.2 --location --max-redirs"
        .split(' ')
        .map(String::from)
        .collect::<Vec<_>>();
    let mut add = |more: &[&str]| arguments.extend(more.iter().map(|&a| a.to_owned()));
    add(&[&MAX_REDIRECTS.to_string()]);
    // No redirection leads from https to a less secure scheme, and none to a local file.
    add(&["--proto", schemes, "--proto-redir", schemes]);
    add(&["--connect-timeout", &connect.as_secs_f64().to_string()]);
    // Stalls are noticed here, to the millisecond. This ends a curl whose parent was killed.
    add(&["--speed-limit", "1", "--speed-time", &(stall.as_secs() + 60).to_string()]);
    add(&["--user-agent", concat!("onelayer/", env!("CARGO_PKG_VERSION"))]);
    add(&["--header", "Accept-Encoding: identity"]);
    if start > 0 {
        add(&["--range", &format!("{start}-")]);
    }
    add(&["--url", url]);
    arguments
}

/// Sends the output on until curl or the receiver ends.
fn forward(mut stdout: ChildStdout, sender: &SyncSender<Vec<u8>>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match stdout.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(n) if sender.send(buffer[..n].to_vec()).is_err() => return,
            Ok(_) => {}
        }
    }
}

/// The first message of curl, which begins with `curl: (6) `, without this beginning and the advice that follows.
fn message(stderr: &str) -> String {
    let line = stderr.lines().find(|line| line.starts_with("curl: ")).unwrap_or(stderr);
    let line = line.strip_prefix("curl: ").unwrap_or(line);
    let number = line.strip_prefix('(').and_then(|rest| rest.split_once(") "));
    one_line(number.map_or(line, |(_, words)| words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::fetch::Catalog;

    #[test]
    fn the_message_of_curl_is_shown_without_its_number_and_advice() {
        let untrusted =
            "curl: (60) SSL certificate problem: self-signed certificate\nMore details here: https://x\n\nTo";
        assert_eq!(message(untrusted), "SSL certificate problem: self-signed certificate");
        assert_eq!(message("Warning: odd\ncurl: (6) Could not resolve host: x\n"), "Could not resolve host: x");
        assert_eq!(message("curl: option --x: is unknown\ncurl: try 'curl --help'\n"), "option --x: is unknown");
        assert_eq!(message("/bin/curl: not\nfound\n"), "/bin/curl: not found");
        assert_eq!(message(""), "it wrote nothing to stderr");
    }

    #[test]
    fn every_argument_of_curl_is_as_intended() {
        let arguments = |start| arguments("http://a/x", start, Duration::from_millis(2500), Duration::from_secs(45));
        let expected = concat!(
            "--disable --silent --show-error --dump-header - --suppress-connect-headers --no-buffer --globoff --http1.1 ",
            "--tlsv1.2 --location --max-redirs 5 --proto =http,https --proto-redir =http,https --connect-timeout 2.5 ",
            "--speed-limit 1 --speed-time 105 --user-agent onelayer/",
            env!("CARGO_PKG_VERSION"),
            " --header|Accept-Encoding: identity|"
        );
        let words = expected.split('|').flat_map(|words| match words.starts_with("Accept") {
            true => vec![words],
            false => words.split(' ').filter(|word| !word.is_empty()).collect(),
        });
        let words: Vec<&str> = words.collect();
        assert_eq!(arguments(0), [&words[..], &["--url", "http://a/x"]].concat());
        assert_eq!(arguments(1), [&words[..], &["--range", "1-", "--url", "http://a/x"]].concat());
    }

    /// Runs `script` as curl, and reads one head and the body; returns the status, the body and how it ended.
    #[cfg(unix)]
    fn run(script: &str, patience: Duration) -> (u16, Vec<u8>, End) {
        let folder = tempfile::tempdir().unwrap();
        let client = folder.path().join("curl");
        crate::common::write_script(&client, script);
        let catalog = Catalog { curl_client: client, ..Catalog::published(&[]) };
        let fetching = Fetching { dir: folder.path(), catalog: &catalog, wanted: &[], progress: &mut () };
        let mut curl = Curl::start(&fetching, "http://a/x", 0).unwrap();
        let Ok(head) = curl.head(&(), Instant::now() + Duration::from_secs(60)).unwrap() else {
            panic!("the script writes a head")
        };
        let mut body = Vec::new();
        loop {
            match curl.body(&(), patience).unwrap() {
                Ok(bytes) => body.extend(bytes),
                Err(end) => return (head.status, body, end),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_body_ends_when_curl_does_and_not_before() {
        const HEAD: &str = r"printf 'HTTP/1.1 200 OK\r\n\r\nbo'; ";
        let long = Duration::from_secs(60);
        // It has closed its output, but may still fail.
        let (status, body, end) = run(&format!("{HEAD} printf dy; exec >&-; sleep 0.05"), long);
        assert!(matches!(end, End::Complete));
        assert_eq!((status, &body[..]), (200, &b"body"[..]));
        let script = format!("{HEAD} exec >&-; sleep 0.05; echo 'curl: (18) the rest is missing' >&2; exit 18");
        let (_, body, end) = run(&script, long);
        assert!(matches!(end, End::Failed(Some(18), words) if words == "the rest is missing"));
        assert_eq!(body, b"bo");
        let (_, body, end) = run(&format!("{HEAD} kill -9 $$"), long);
        assert!(matches!(end, End::Failed(None, _)));
        assert_eq!(body, b"bo");
        // Silent with its output open, and with its output closed.
        for silent in ["exec sleep 600", "exec >&-; exec sleep 600"] {
            let (_, body, end) = run(&format!("{HEAD} {silent}"), Duration::from_millis(20));
            assert!(matches!(end, End::Stalled), "{silent}");
            assert_eq!(body, b"bo");
        }
    }

    #[test]
    fn from_https_only_https_is_allowed() {
        let schemes = |url| {
            let arguments = arguments(url, 0, Duration::from_secs(1), Duration::from_millis(500));
            assert_eq!(arguments[0], "--disable");
            assert_eq!(arguments[arguments.len() - 2..], ["--url", url]);
            let after = |name| arguments[arguments.iter().position(|a| a == name).unwrap() + 1].clone();
            [after("--proto"), after("--proto-redir")]
        };
        assert_eq!(schemes("https://localhost/x"), ["=https"; 2]);
        assert_eq!(schemes("http://localhost/x"), ["=http,https"; 2]);
    }
}
