//! ZIP archives in memory, as far as `.npz` files need them. Reads stored and deflated entries, also with 64-bit sizes or
//! data descriptors; writes stored entries of the layout in PKWARE's APPNOTE.TXT.
//!
//! The bytes may come from anywhere: no size that they declare is trusted. Errors are the reason alone, on one line.

use std::borrow::Cow;
use std::io::Read;

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ErrorKind, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};

use crate::error::{Error, Result as Checked};

/// The first bytes of an archive, as a rule.
pub const MAGIC: &[u8] = b"PK";

/// An archive being read.
#[derive(Debug)]
pub struct Archive<'a> {
    archive: ZipSliceArchive<&'a [u8]>,
    entries: Vec<Entry>,
}

/// An entry of the table of contents, which alone counts: what stands beside the data is not compared with it.
#[derive(Debug)]
struct Entry {
    name: String,
    method: CompressionMethod,
    is_encrypted: bool,
    place: ZipArchiveEntryWayfinder,
}

impl<'a> Archive<'a> {
    /// Reads the table of contents.
    ///
    /// # Errors
    ///
    /// The reason why `bytes` is not an archive.
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let archive = ZipArchive::from_slice(bytes).map_err(reason)?;
        // The number of this part, and of the part where the table of contents begins.
        let parts = &bytes[archive.eocd_offset() as usize + 4..][..4];
        if parts[..2] != parts[2..] {
            return Err("it is a part of an archive of several files".into());
        }
        let mut entries = Vec::new();
        let mut records = archive.entries();
        let declared = archive.entries_hint();
        while (entries.len() as u64) < declared {
            let found = entries.len();
            let record = records.next_entry().map_err(reason)?;
            let record =
                record.ok_or_else(|| format!("it lists {declared} entries, but has {found}: save or copy it again"))?;
            entries.push(Entry {
                name: String::from_utf8_lossy(record.file_path().as_bytes()).into_owned(),
                method: record.compression_method(),
                is_encrypted: record.flags().is_encrypted(),
                place: record.wayfinder(),
            });
        }
        Ok(Self { archive, entries })
    }

    /// The names of the entries, in the order of the archive.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &entry.name[..])
    }

    /// The content of the entry `name`, if there is one; of several, the last one, as for Python.
    ///
    /// # Errors
    ///
    /// The reason if the entry is damaged, is larger than `limit` bytes, or was compressed or encrypted in another way.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Cow<'_, [u8]>>, String> {
        let Some(entry) = self.entries.iter().rfind(|entry| entry.name == name) else {
            return Ok(None);
        };
        if entry.is_encrypted {
            return Err("must not be encrypted, but is".into());
        }
        let declared = entry.place.uncompressed_size_hint();
        if declared > limit {
            return Err(format!("must have at most {limit} bytes, but has {declared}"));
        }
        let found = self.archive.get_entry(entry.place).map_err(reason)?;
        let bytes = match entry.method {
            CompressionMethod::STORE => Cow::Borrowed(found.data()),
            CompressionMethod::DEFLATE => Cow::Owned(inflate(found.data(), declared)?),
            other => {
                return Err(format!("must be stored or deflated, but is compressed by the method {}", other.as_u16()));
            }
        };
        if bytes.len() as u64 != declared {
            return Err(format!("must have the {declared} bytes it declares, but has {}", bytes.len()));
        }
        let (expected, found) = (found.claim_verifier().crc, rawzip::crc32(&bytes));
        if expected != found {
            return Err(format!(
                "must have the checksum {expected:08x}, but has {found:08x}: the file is damaged; save or copy it again"
            ));
        }
        Ok(Some(bytes))
    }
}

/// Unpacks `data`, up to one byte more than `declared`.
fn inflate(data: &[u8], declared: u64) -> Result<Vec<u8>, String> {
    // Grows as bytes are unpacked: the declared size need not be true.
    let mut bytes = Vec::new();
    DeflateDecoder::new(data)
        .take(declared.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|_| "cannot be unpacked: the file is damaged; save or copy it again")?;
    Ok(bytes)
}

fn reason(error: rawzip::Error) -> String {
    match error.kind() {
        ErrorKind::MissingEndOfCentralDirectory => "it is incomplete: save or copy it again".into(),
        ErrorKind::Eof => "it is cut short: save or copy it again".into(),
        _ => "it is damaged: save or copy it again".into(),
    }
}

/// The content of an archive of `files` (name, content), which are stored as they are, in this order and without a time:
/// equal files give equal bytes.
///
/// # Errors
///
/// [`Error::InvalidValue`] if the archive would need the 64-bit extension: for 4 GiB, a name of 64 KiB or 65,536 files.
pub fn to_bytes(files: &[(String, Vec<u8>)]) -> Checked<Vec<u8>> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let start = narrow::<u32>(bytes.len())?;
        let facts = facts(name, content)?;
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&facts);
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        // Made by version 1.0 on Unix.
        directory.extend(b"PK\x01\x02\x0a\x03");
        directory.extend(&facts);
        // No comment, the first disk, binary data; then the attributes: a regular file that its owner may write.
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, start) = (narrow::<u16>(files.len())?.to_le_bytes(), narrow::<u32>(bytes.len())?.to_le_bytes());
    let length = narrow::<u32>(directory.len())?.to_le_bytes();
    bytes.extend(directory);
    bytes.extend([&b"PK\x05\x06"[..], &[0; 4], &count, &count, &length, &start, &[0; 2]].concat());
    Ok(bytes)
}

/// The fields that stand both before the content and in the directory: from the version needed to the length of an extra
/// field, of which there is none.
fn facts(name: &str, content: &[u8]) -> Checked<Vec<u8>> {
    /// Bit 11: the name is UTF-8.
    const UTF8: u16 = 1 << 11;
    /// The first day that the format can express, 1980-01-01, at midnight.
    const NO_TIME: u32 = 0x0021_0000;
    let (version, stored): (u16, u16) = (10, 0);
    let flags = if name.is_ascii() { 0 } else { UTF8 };
    let length = narrow::<u32>(content.len())?;
    let mut facts = [version, flags, stored].map(u16::to_le_bytes).concat();
    facts.extend([NO_TIME, rawzip::crc32(content), length, length].map(u32::to_le_bytes).concat());
    facts.extend([narrow::<u16>(name.len())?, 0].map(u16::to_le_bytes).concat());
    Ok(facts)
}

/// `value` as a number of the archive, if that has room for it.
fn narrow<T: TryFrom<usize>>(value: usize) -> Checked<T> {
    T::try_from(value).map_err(|_| Error::invalid("archive", "small enough for 32-bit ZIP", value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1000;

    /// `W.npy` and `b.npy`, stored and with all sizes beside them.
    fn archive() -> Vec<u8> {
        to_bytes(&[("W.npy".into(), b"weights".to_vec()), ("b.npy".into(), b"bias".to_vec())]).unwrap()
    }

    fn content(bytes: &[u8], name: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(Archive::open(bytes)?.read(name, LIMIT)?.map(Cow::into_owned))
    }

    fn refusal(bytes: &[u8]) -> String {
        let message = content(bytes, "W.npy").unwrap_err();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    /// `bytes` with `patch` at `offset` of the first record in the table of contents.
    fn patched(mut bytes: Vec<u8>, offset: usize, patch: &[u8]) -> Vec<u8> {
        let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap() + offset;
        bytes[at..at + patch.len()].copy_from_slice(patch);
        bytes
    }

    #[test]
    fn entries_are_found_by_their_name_also_behind_other_bytes_and_before_a_comment() {
        let mut commented = archive();
        let end = commented.len() - 2;
        commented.splice(end.., [9, 0].into_iter().chain(*b"a comment"));
        for bytes in [archive(), commented, [b"#!/bin/sh\n", &archive()[..]].concat()] {
            assert_eq!(content(&bytes, "W.npy").unwrap().unwrap(), b"weights");
            assert_eq!(content(&bytes, "b.npy").unwrap().unwrap(), b"bias");
            assert_eq!(content(&bytes, "c.npy").unwrap(), None);
            assert_eq!(Archive::open(&bytes).unwrap().names().collect::<Vec<_>>(), ["W.npy", "b.npy"]);
        }
        let empty = to_bytes(&[]).unwrap();
        assert_eq!((empty.len(), content(&empty, "W.npy").unwrap()), (22, None));
    }

    #[test]
    fn the_last_of_two_entries_with_one_name_counts() {
        let twice = to_bytes(&["first", "last"].map(|text| ("W.npy".into(), text.into()))).unwrap();
        assert_eq!(content(&twice, "W.npy").unwrap().unwrap(), b"last");
    }

    #[test]
    fn an_archive_that_is_damaged_or_cut_short_is_refused() {
        let bytes = archive();
        for length in 0..bytes.len() {
            assert!(content(&bytes[..length], "W.npy").is_err(), "{length}");
        }
        assert_eq!(refusal(b"no archive"), "it is incomplete: save or copy it again");
        let mut count = bytes.clone();
        let end = count.len();
        count[end - 14..end - 10].copy_from_slice(&[3, 0, 3, 0]);
        assert_eq!(refusal(&count), "it lists 3 entries, but has 2: save or copy it again");
        let mut part = bytes.clone();
        part[end - 18] = 1;
        assert_eq!(refusal(&part), "it is a part of an archive of several files");
        let mut altered = bytes.clone();
        let at = altered.windows(7).position(|w| w == b"weights").unwrap();
        altered[at] ^= 1;
        assert!(refusal(&altered).contains("the file is damaged"));
        assert!(refusal(&patched(bytes.clone(), 20, &[0xff, 0xff, 0xff, 0x7f])).contains("cut short"));
        assert_eq!(refusal(&patched(bytes, 24, &[6])), "must have the 6 bytes it declares, but has 7");
    }

    #[test]
    fn an_entry_that_is_encrypted_too_large_or_packed_in_another_way_is_refused_in_words() {
        let bytes = archive();
        assert_eq!(refusal(&patched(bytes.clone(), 8, &[1])), "must not be encrypted, but is");
        assert_eq!(
            refusal(&patched(bytes.clone(), 10, &[12])),
            "must be stored or deflated, but is compressed by the method 12"
        );
        assert_eq!(refusal(&patched(bytes.clone(), 24, &[0xe9, 3])), "must have at most 1000 bytes, but has 1001");
        assert!(refusal(&patched(bytes, 10, &[8])).starts_with("cannot be unpacked: "));
    }

    #[test]
    fn what_does_not_fit_the_format_is_not_written() {
        let long = to_bytes(&[("x".repeat(1 << 16), Vec::new())]);
        assert!(matches!(long, Err(Error::InvalidValue { .. })));
    }

    #[test]
    fn a_file_is_a_regular_one_that_its_owner_may_write() {
        let bytes = archive();
        // The field of the directory's first entry, as in section 4.3.12 of the ZIP specification.
        let entry = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        let attributes = u32::from_le_bytes(bytes[entry + 38..entry + 42].try_into().unwrap());
        assert_eq!(attributes >> 16, 0o100_644);
    }

    #[test]
    fn an_archive_is_written_as_python_writes_it() {
        // zipfile.ZipFile(…, "w", ZIP_STORED) and writestr(ZipInfo(name, (1980, 1, 1, 0, 0, 0)), …), with create_system 3,
        // create_version and extract_version 10, and external_attr 0o100644 << 16.
        let expected = [
            &b"PK\x03\x04\n\0\0\0\0\0\0\0!\0mH\x83\x9e\x02\0\0\0\x02\0\0\0\x05\0\0\0a.npyab"[..],
            b"PK\x03\x04\n\0\0\x08\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0\0\0\xce\xbb.npy",
            b"PK\x01\x02\n\x03\n\0\0\0\0\0\0\0!\0mH\x83\x9e\x02\0\0\0\x02\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0",
            b"\xa4\x81\0\0\0\0a.npy",
            b"PK\x01\x02\n\x03\n\0\0\x08\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0",
            b"\xa4\x81%\0\0\0\xce\xbb.npy",
            b"PK\x05\x06\0\0\0\0\x02\0\x02\0g\0\0\0I\0\0\0\0\0",
        ];
        let files = [("a.npy".into(), b"ab".to_vec()), ("λ.npy".into(), Vec::new())];
        let bytes = to_bytes(&files).unwrap();
        assert_eq!(bytes, expected.concat());
        assert_eq!(Archive::open(&bytes).unwrap().names().collect::<Vec<_>>(), ["a.npy", "λ.npy"]);
    }

    #[test]
    fn an_entry_may_have_as_many_bytes_as_the_limit() {
        let bytes = to_bytes(&[("W.npy".into(), vec![7; 1000])]).unwrap();
        let archive = Archive::open(&bytes).unwrap();
        for limit in [1000, 1001] {
            assert_eq!(*archive.read("W.npy", limit).unwrap().unwrap(), [7; 1000]);
        }
        assert_eq!(archive.read("W.npy", 999).unwrap_err(), "must have at most 999 bytes, but has 1000");
        assert_eq!(*archive.read("W.npy", u64::MAX).unwrap().unwrap(), [7; 1000]);
    }

    #[test]
    fn an_archive_has_at_most_65_535_files_and_names_of_as_many_bytes() {
        let mut files = vec![(String::new(), Vec::new()); 65_535];
        files[65_534].0 = "x".repeat(65_535);
        let bytes = to_bytes(&files).unwrap();
        assert_eq!(Archive::open(&bytes).unwrap().names().count(), 65_535);
        files.push(Default::default());
        let message = "archive must be small enough for 32-bit ZIP, but is 65536";
        assert_eq!(to_bytes(&files).unwrap_err().to_string(), message);
        assert_eq!(to_bytes(&[("x".repeat(65_536), Vec::new())]).unwrap_err().to_string(), message);
    }

    #[test]
    fn the_reason_of_a_refusal_tells_a_cut_from_other_damage() {
        assert_eq!(refusal(b""), "it is incomplete: save or copy it again");
        let bytes = archive();
        // The first entry begins where no entry does.
        assert_eq!(refusal(&patched(bytes.clone(), 42, &[1])), "it is damaged: save or copy it again");
        // Its content reaches beyond the end.
        assert_eq!(refusal(&patched(bytes, 20, &[0, 0, 1, 0, 7, 0, 0, 0])), "it is cut short: save or copy it again");
    }
}
