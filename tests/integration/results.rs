//! Runs of the real binary in a folder, and comparisons of the files that it leaves there.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// `onelayer` with `arguments`.
pub fn onelayer(arguments: &[&str]) -> Command {
    let mut command = Command::new(crate::program());
    command.args(arguments);
    command
}

/// `onelayer train` of one setting on the sample into `out`.
pub fn train(out: &Path, arguments: &[&str]) -> Command {
    let mut command = onelayer(&["train", "--dataset", "sample", "--lambda", "0.1", "--out"]);
    command.arg(out).args(arguments);
    command
}

/// Runs `command`, which must succeed.
pub fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{command:?}: {stderr}");
    stderr
}

/// The name and content of every file in `folder`, without measured times.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = timeless(&name, fs::read(entry.path()).unwrap());
        (name, bytes)
    });
    entries.collect()
}

/// The content of a file without the columns of measured times. The page and the provenance also contain the command
/// line and the folder, so they are only checked to be whole. A file that is not whole is returned as it is.
pub fn timeless(name: &str, bytes: Vec<u8>) -> Vec<u8> {
    let of_this_run = match name {
        "report.html" => bytes.ends_with(b"</html>"),
        "provenance.json" => bytes.ends_with(b"}\n") && serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(),
        _ => false,
    };
    if of_this_run {
        return b"whole".into();
    }
    if !name.ends_with(".csv") || !bytes.ends_with(b"\n") {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
    let kept = |column: &usize| !rows[0][*column].ends_with("_seconds");
    let columns: Vec<usize> = (0..rows[0].len()).filter(kept).collect();
    if rows.iter().any(|row| row.len() != rows[0].len()) {
        return text.into_bytes();
    }
    let line = |row: &Vec<&str>| columns.iter().map(|&c| row[c]).collect::<Vec<_>>().join(",");
    rows.iter().flat_map(|row| (line(row) + "\n").into_bytes()).collect()
}

/// Asserts that two folders hold the same files with the same bytes, except for measured times.
pub fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (contents(found), contents(expected));
    let names = |c: &BTreeMap<String, Vec<u8>>| c.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in &found {
        assert!(*bytes == expected[name], "{name} differs");
    }
}

/// The files of `folder` that are neither as in `old` nor as in `new`, except the program's own working files.
pub fn torn(folder: &Path, old: &BTreeMap<String, Vec<u8>>, new: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let own = |name: &str| {
        name.starts_with(".onelayer-") && name.ends_with(".tmp")
            || [".lock", ".verified", "train.checkpoint"].contains(&name)
            || name.ends_with(".part")
    };
    let whole = |name: &str, bytes: &Vec<u8>| old.get(name) == Some(bytes) || new.get(name) == Some(bytes);
    contents(folder)
        .into_iter()
        .filter(|(name, bytes)| !own(name) && !whole(name, bytes))
        .map(|(name, _)| name)
        .collect()
}
