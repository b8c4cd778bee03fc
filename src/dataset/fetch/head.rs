//! The head of an HTTP answer: the status line and the headers (RFC 9112, sections 4 and 5).

use crate::files::kind;

/// Maximum length of a head in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Maximum number of characters of a reason phrase that are kept.
const MAX_REASON: usize = 80;

/// The head of an HTTP answer, as far as a download needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code, from 100 to 999.
    pub status: u16,
    /// The words after the status code, which may be empty.
    pub reason: String,
    /// The length of the body, if it is stated.
    pub content_length: Option<u64>,
    /// The value of `Content-Range`.
    pub content_range: Option<String>,
    /// The value of `Location`, if it is not empty.
    pub location: Option<String>,
}

impl Head {
    /// Parses the head at the start of `bytes`; returns it and its length, which includes the empty line at its end.
    /// `None` means that the end has not arrived yet.
    ///
    /// # Errors
    ///
    /// A reason, if the bytes do not begin with an HTTP status line, or if the head is longer than 64 KiB.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let version = &b"HTTP/"[..bytes.len().min(5)];
        if !bytes.starts_with(version) {
            return Err(format!("it must begin with HTTP/, but {}", kind::describe(bytes)));
        }
        let mut lines = bytes[..bytes.len().min(MAX_BYTES)].split_inclusive(|&b| b == b'\n');
        let mut length = 0;
        let mut head: Option<Self> = None;
        // Only the last line can lack its line feed: more is to come, or the head is too long.
        while let Some(line) = lines.next().and_then(|line| line.strip_suffix(b"\n")) {
            length += line.len() + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match &mut head {
                None => head = Some(Self::from_status_line(line)?),
                Some(_) if line.is_empty() => return Ok(head.map(|head| (head, length))),
                Some(head) => head.read_header(line),
            }
        }
        if bytes.len() < MAX_BYTES { Ok(None) } else { Err(format!("its head is longer than {MAX_BYTES} bytes")) }
    }

    /// The status line: `HTTP/1.1 404 Not Found`.
    fn from_status_line(line: &[u8]) -> Result<Self, String> {
        let status = || {
            let (_version, rest) = split_at(line, b' ')?;
            let (code, reason) = split_at(rest, b' ').unwrap_or((rest, b""));
            let digits = code.len() == 3 && code[0] != b'0' && code.iter().all(u8::is_ascii_digit);
            Some((text(code).parse().ok().filter(|_| digits)?, reason))
        };
        let (status, reason) = status().ok_or_else(|| {
            format!("its status line must be like \"HTTP/1.1 200 OK\", but is {}", super::archive::quote(line))
        })?;
        let reason = text(reason).chars().take(MAX_REASON).collect();
        Ok(Self { status, reason, content_length: None, content_range: None, location: None })
    }

    /// Reads a line `Name: value`. The first of several headers with the same name counts; other lines are ignored.
    fn read_header(&mut self, line: &[u8]) {
        let Some((name, value)) = split_at(line, b':') else {
            return;
        };
        let value = || text(value);
        match name.to_ascii_lowercase().as_slice() {
            b"content-length" if self.content_length.is_none() => self.content_length = value().parse().ok(),
            b"content-range" if self.content_range.is_none() => self.content_range = Some(value()),
            b"location" if self.location.is_none() => self.location = Some(value()).filter(|v| !v.is_empty()),
            _ => {}
        }
    }

    /// True if a client that follows redirections asks elsewhere.
    pub fn redirects(&self) -> bool {
        (300..400).contains(&self.status) && self.location.is_some()
    }

    /// The status code and its reason phrase.
    pub fn status_and_reason(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }
}

/// The bytes before and after the first `separator`.
fn split_at(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|&b| b == separator)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

/// The bytes as text, without white space around it.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.trim_ascii()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTIAL: &[u8] =
        b"HTTP/1.1 206 Partial Content\r\ncontent-LENGTH:  7 \r\nContent-Range: bytes 3-9/10\r\n\r\n";

    #[test]
    fn the_headers_of_a_download_are_read_whatever_their_case() {
        let expected = Head {
            status: 206,
            reason: "Partial Content".into(),
            content_length: Some(7),
            content_range: Some("bytes 3-9/10".into()),
            location: None,
        };
        let body = [PARTIAL, b"HTTP/1.1 200 OK\r\n\r\n"].concat();
        assert_eq!(Head::parse(&body), Ok(Some((expected.clone(), PARTIAL.len()))));
        let bare_line_feeds: Vec<u8> = PARTIAL.iter().copied().filter(|&b| b != b'\r').collect();
        assert_eq!(Head::parse(&bare_line_feeds), Ok(Some((expected, bare_line_feeds.len()))));
        for cut in 0..PARTIAL.len() {
            assert_eq!(Head::parse(&PARTIAL[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn a_status_line_of_any_version_is_read() {
        for (line, status) in [
            ("HTTP/1.1 404 Not Found", "404 Not Found"),
            ("HTTP/1.0 200 OK", "200 OK"),
            ("HTTP/2 503 ", "503"),
            ("HTTP/2 503", "503"),
            ("HTTP/1.1 999 a  b", "999 a  b"),
        ] {
            let (head, _) = Head::parse(format!("{line}\r\n\r\n").as_bytes()).unwrap().unwrap();
            assert_eq!(head.status_and_reason(), status);
        }
        for line in ["HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 x", "HTTP/1.1 +20 x"]
        {
            assert!(Head::parse(format!("{line}\r\n\r\n").as_bytes()).unwrap_err().contains("status line"), "{line}");
        }
        for (start, found) in [
            (&b"S"[..], "looks like text that begins with \"S\""),
            (b"SSH-2.0-OpenSSH\r\n", "looks like text that begins with \"SSH-2.0-OpenSSH\""),
            (b"HTTP 200", "looks like text that begins with \"HTTP 200\""),
            (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "looks like text"),
            (b"\x8e\x9d\x00\xff", "is of an unknown kind"),
        ] {
            let error = Head::parse(start).unwrap_err();
            assert!(error.starts_with(&format!("it must begin with HTTP/, but {found}")), "{error}");
        }
    }

    #[test]
    fn a_head_without_end_is_refused() {
        for endless in ["x", "X-More: and more\r\n"] {
            let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
            while bytes.len() < MAX_BYTES {
                assert_eq!(Head::parse(&bytes), Ok(None));
                bytes.extend(endless.repeat(500).as_bytes());
            }
            assert!(Head::parse(&bytes).unwrap_err().contains("longer than 65536 bytes"));
        }
    }

    #[test]
    fn a_head_may_have_64_kib_and_not_a_byte_more() {
        // A head of `length` bytes, which an empty line ends.
        let head = |length: usize| {
            let filler = "x".repeat(length - "HTTP/1.1 200 OK\r\nX: \r\n\r\n".len());
            format!("HTTP/1.1 200 OK\r\nX: {filler}\r\n\r\n").into_bytes()
        };
        let (_, length) = Head::parse(&head(65_536)).unwrap().unwrap();
        assert_eq!(length, 65_536);
        let (_, length) = Head::parse(&[&head(65_536)[..], b"body"].concat()).unwrap().unwrap();
        assert_eq!(length, 65_536);
        let longer = head(65_537);
        assert_eq!(Head::parse(&longer[..65_535]), Ok(None));
        for length in [65_536, 65_537] {
            assert_eq!(Head::parse(&longer[..length]), Err("its head is longer than 65536 bytes".into()));
        }
    }

    #[test]
    fn the_first_of_several_headers_with_one_name_counts() {
        let text = "HTTP/1.1 302 Found\nContent-Length: 1\nContent-Length: 2\nContent-Range: a\nContent-Range: b\n\
                    Location: /c\nLocation: /d\nno header\n\n";
        let (head, length) = Head::parse(text.as_bytes()).unwrap().unwrap();
        let expected = Head {
            status: 302,
            reason: "Found".into(),
            content_length: Some(1),
            content_range: Some("a".into()),
            location: Some("/c".into()),
        };
        assert_eq!((head, length), (expected, text.len()));
        // One without a valid value does not count.
        let text = "HTTP/1.1 302 Found\nContent-Length: -1\nContent-Length: 2\nLocation:\nLocation: /d\n\n";
        let (head, _) = Head::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.content_length, head.location), (Some(2), Some("/d".into())));
    }

    #[test]
    fn a_reason_is_kept_up_to_80_characters() {
        for (length, kept) in [(79, 79), (80, 80), (81, 80), (5000, 80)] {
            let line = format!("HTTP/1.1 404 {}\r\n\r\n", "é".repeat(length));
            let (head, _) = Head::parse(line.as_bytes()).unwrap().unwrap();
            assert_eq!(head.reason, "é".repeat(kept));
        }
    }

    #[test]
    fn only_a_status_of_3xx_with_a_location_redirects() {
        let redirects = |head: &str| Head::parse(head.as_bytes()).unwrap().unwrap().0.redirects();
        assert!(redirects("HTTP/1.1 302 Found\r\nLOCATION: /x\r\n\r\n"));
        assert!(!redirects("HTTP/1.1 304 Not Modified\r\n\r\n"));
        assert!(!redirects("HTTP/1.1 302 Found\r\nLocation: \r\n\r\n"));
        assert!(redirects("HTTP/1.1 300 \r\nLocation: /x\r\n\r\n"));
        assert!(redirects("HTTP/1.1 399 \r\nLocation: /x\r\n\r\n"));
        assert!(!redirects("HTTP/1.1 299 \r\nLocation: /x\r\n\r\n"));
        assert!(!redirects("HTTP/1.1 400 \r\nLocation: /x\r\n\r\n"));
        assert!(!redirects("HTTP/1.1 201 Created\r\nLocation: /x\r\n\r\n"));
    }
}
