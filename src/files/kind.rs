//! Recognises common kinds of files by their first bytes, so that a refusal can say what a file is instead.

#[cfg(feature = "cli")]
use serde_json::error::Category;

use super::{npy, safetensors};

/// The first bytes of a PNG.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The first bytes of a JPEG: the marker of its start, and the first byte of the next marker.
pub const JPEG: &[u8] = b"\xff\xd8\xff";
/// The first bytes of a gzip file.
pub const GZIP: &[u8] = b"\x1f\x8b";

/// Names with their article, and the bytes at a place in the file that tell them.
const SIGNATURES: [(&str, usize, &[u8]); 22] = [
    ("an .npy file", 0, npy::MAGIC),
    ("an .npz file or another ZIP archive", 0, b"PK\x03\x04"),
    ("an .npz file or another ZIP archive", 0, b"PK\x05\x06"),
    ("a PNG image", 0, PNG),
    ("a JPEG image", 0, JPEG),
    ("a GIF image", 0, b"GIF87a"),
    ("a GIF image", 0, b"GIF89a"),
    ("a WebP image", 8, b"WEBP"),
    ("a TIFF image", 0, b"II*\0"),
    ("a TIFF image", 0, b"MM\0*"),
    ("an AVIF image", 4, b"ftypavif"),
    ("a HEIC image", 4, b"ftypheic"),
    ("a PDF document", 0, b"%PDF-"),
    ("a gzip archive", 0, GZIP),
    ("an HDF5 file", 0, b"\x89HDF"),
    ("a MATLAB file", 0, b"MATLAB 5.0"),
    ("a pickle of Python", 0, b"\x80\x02"),
    ("a pickle of Python", 0, b"\x80\x03"),
    ("a pickle of Python", 0, b"\x80\x04"),
    ("a pickle of Python", 0, b"\x80\x05"),
    ("text in UTF-16", 0, b"\xff\xfe"),
    ("text in UTF-16", 0, b"\xfe\xff"),
];
/// Number of bytes that tell whether a file is text.
pub const START: usize = 256;
/// Number of characters of a text that are quoted.
const QUOTED: usize = 32;

/// What the file `bytes` is, for the end of a sentence: `looks like a PNG image`, `is empty`.
pub fn describe(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "is empty".into();
    }
    let has = |place: usize, magic: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(magic));
    let kind = SIGNATURES.iter().find(|(_, place, magic)| has(*place, magic));
    if let Some((name, ..)) = kind {
        return format!("looks like {name}");
    }
    if safetensors::is_one(bytes) {
        return "looks like a safetensors file".into();
    }
    match start_of_text(bytes) {
        Some(text) if text.starts_with(['{', '[']) => "looks like JSON".into(),
        Some(text) => {
            let line: String = text.lines().next().unwrap_or_default().chars().take(QUOTED).collect();
            format!("looks like text that begins with {line:?}")
        }
        None if has(0, b"BM") => "looks like a BMP image".into(),
        None => "is of an unknown kind".into(),
    }
}

/// What is wrong with the JSON `bytes`, in which `error` was found, for the end of a sentence.
#[cfg(feature = "cli")]
pub(crate) fn describe_json(error: &serde_json::Error, bytes: &[u8]) -> String {
    let (line, is_json) = (error.line(), start_of_text(bytes).is_some_and(|text| text.starts_with(['{', '['])));
    match error.classify() {
        Category::Eof if is_json => "is cut short".into(),
        Category::Data => format!("line {line} has a value that is not, or lacks one"),
        _ if is_json => format!("line {line} is not JSON"),
        _ => describe(bytes),
    }
}

/// The first characters of a text, without the space before them; `None` for other files.
fn start_of_text(bytes: &[u8]) -> Option<&str> {
    let start = &bytes[..bytes.len().min(START)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character may end behind the start.
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&start[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let is_printable = |c: char| !c.is_control() || c.is_ascii_whitespace();
    text.chars().all(is_printable).then(|| text.trim_start_matches('\u{feff}').trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::npz::{self, Elements};

    #[cfg(feature = "cli")]
    #[test]
    fn json_is_described_by_what_is_wrong_with_it() {
        for (text, expected) in [
            ("", "is empty"),
            ("hello", "looks like text that begins with \"hello\""),
            ("[1,\n2", "is cut short"),
            ("[1,\n2,]", "line 2 is not JSON"),
            ("[1,\n300]", "line 2 has a value that is not, or lacks one"),
            ("{}", "line 1 has a value that is not, or lacks one"),
        ] {
            let error = serde_json::from_str::<Vec<u8>>(text).unwrap_err();
            assert_eq!(describe_json(&error, text.as_bytes()), expected);
        }
    }

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let npz = npz::write(&[("W", &[1], Elements::F32(&[1.0]))]).unwrap();
        let long = "é".repeat(START);
        for (bytes, expected) in [
            (&b""[..], "is empty"),
            (&npz, "looks like an .npz file or another ZIP archive"),
            (b"\x93NUMPY\x01\0", "looks like an .npy file"),
            (b"\x89PNG\r\n\x1a\n\0", "looks like a PNG image"),
            (b"RIFF\0\0\0\0WEBPVP8", "looks like a WebP image"),
            (b"\x10\x01\0\0\0\0\0\0{\"a\":", "looks like a safetensors file"),
            (b"BM\x01\0\0\0\0\0\0\0", "looks like a BMP image"),
            (b"\x80\x04\x95", "looks like a pickle of Python"),
            (b"\xff\xfea\0", "looks like text in UTF-16"),
            (b" {\"W\": 1}", "looks like JSON"),
            (b"BMW, Audi\nVW", "looks like text that begins with \"BMW, Audi\""),
            (b"\n", "looks like text that begins with \"\""),
            (long.as_bytes(), &format!("looks like text that begins with {:?}", &long[..2 * QUOTED])),
            (b"x\0y", "is of an unknown kind"),
            (b"x\x1b[2J", "is of an unknown kind"),
            (b"\xc3\x28", "is of an unknown kind"),
        ] {
            assert_eq!(describe(bytes), expected);
        }
    }

    #[test]
    fn each_signature_has_its_name_and_must_be_whole() {
        let expected: [(&[u8], &str); 18] = [
            (b"\x93NUMPY", "an .npy file"),
            (b"PK\x03\x04", "an .npz file or another ZIP archive"),
            (b"PK\x05\x06", "an .npz file or another ZIP archive"),
            (b"\x89PNG\r\n\x1a\n", "a PNG image"),
            (b"\xff\xd8\xff", "a JPEG image"),
            (b"GIF87a", "a GIF image"),
            (b"GIF89a", "a GIF image"),
            (b"RIFF\0\0\0\0WEBP", "a WebP image"),
            (b"II*\0", "a TIFF image"),
            (b"MM\0*", "a TIFF image"),
            (b"\0\0\0\x20ftypavif", "an AVIF image"),
            (b"\0\0\0\x20ftypheic", "a HEIC image"),
            (b"%PDF-", "a PDF document"),
            (b"\x1f\x8b", "a gzip archive"),
            (b"\x89HDF", "an HDF5 file"),
            (b"MATLAB 5.0", "a MATLAB file"),
            (b"\xff\xfe", "text in UTF-16"),
            (b"\xfe\xff", "text in UTF-16"),
        ];
        let pickles = [2, 3, 4, 5].map(|version| [0x80, version]);
        let pickles = pickles.iter().map(|bytes| (&bytes[..], "a pickle of Python"));
        for (start, name) in expected.into_iter().chain(pickles) {
            let expected = format!("looks like {name}");
            assert_eq!(describe(start), expected);
            assert_eq!(describe(&[start, b"\0more"].concat()), expected);
            assert_ne!(describe(&start[..start.len() - 1]), expected);
            assert_ne!(describe(&[b"x", start].concat()), expected);
        }
    }

    #[test]
    fn the_first_256_bytes_tell_whether_a_file_is_text() {
        let (letters, unknown) = ("a".repeat(32), "is of an unknown kind");
        let text = format!("looks like text that begins with \"{letters}\"");
        let of = |length: usize, more: &[u8]| describe(&[&vec![b'a'; length], more].concat());
        assert_eq!(of(256, b"\0"), text);
        assert_eq!(of(255, b"\0"), unknown);
        // A character that ends behind them, one that never ends, and one that is wrong.
        assert_eq!(of(255, "é".as_bytes()), text);
        assert_eq!(of(100, b"\xc3"), text);
        assert_eq!(of(100, b"\xc3a"), unknown);
        assert_eq!(of(100, b"\t\r\n\x0c "), text);
        assert_eq!(of(100, b"\x0b"), unknown);
        assert_eq!(of(100, "\u{85}".as_bytes()), unknown);
        for (length, shown) in [(31, 31), (32, 32), (33, 32)] {
            assert_eq!(of(length, b"\nb"), format!("looks like text that begins with \"{}\"", "a".repeat(shown)));
        }
        for json in ["{", "[1]", " \n{", "\u{feff}[", "\u{feff} {"] {
            assert_eq!(describe(json.as_bytes()), "looks like JSON");
        }
    }
}
