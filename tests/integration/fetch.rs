//! Fetches with the real program. Offline only its failures can be tested, since it accepts only the published files; the
//! library's own tests fetch a small catalogue.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::*;
use assert_cmd::Command;
use onelayer::dataset::cifar10::{BatchFile, FILE_BYTES};
use onelayer::dataset::fetch::Catalog;
use onelayer::dataset::store;
use store::Trust;
use tempfile::{TempDir, tempdir};

// The real program. A proxy that does not exist keeps it off the network, except for loopback.

/// `onelayer fetch` into `dir`.
fn program(dir: &Path) -> Command {
    let mut command = Command::new(crate::program());
    command.args(["fetch", "--data-dir"]).arg(dir);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name.to_lowercase());
        command.env(name, "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
    }
    // It must find curl, but no npm client.
    command.env("PATH", only_curl()).timeout(Duration::from_secs(60));
    command
}

/// A folder with nothing but a link to curl.
fn only_curl() -> &'static Path {
    static FOLDER: std::sync::LazyLock<TempDir> = std::sync::LazyLock::new(|| {
        let folder = tempdir().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let curl = std::env::split_paths(&path).map(|folder| folder.join("curl")).find(|path| path.is_file());
        #[cfg(unix)]
        std::os::unix::fs::symlink(curl.expect("the tests need curl"), folder.path().join("curl")).unwrap();
        folder
    });
    FOLDER.path()
}

/// Asserts that the program fails with one line on stderr that contains each of `parts`.
fn assert_fails(mut command: Command, parts: &[&str]) {
    let output = command.arg("--quiet").assert().code(1).get_output().clone();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
    for part in parts {
        assert!(stderr.contains(part), "{part:?} is not in: {stderr}");
    }
}

#[test]
fn the_program_names_what_is_wrong_with_a_folder_of_files() {
    let digest = BatchFile::Train(1).sha256();
    let right = FILE_BYTES as usize;
    let cases: [(Option<usize>, &[&str]); 4] = [
        (None, &["data_batch_1.bin is missing"]),
        (Some(right - 1), &["30730000", "30729999"]),
        (Some(right + 1), &["30730000", "30730001"]),
        (Some(right), &["SHA-256", digest]),
    ];
    for (length, parts) in cases {
        let (dir, source) = (tempdir().unwrap(), tempdir().unwrap());
        if let Some(length) = length {
            fs::write(source.path().join("data_batch_1.bin"), vec![0; length]).unwrap();
        }
        let mut command = program(dir.path());
        command.arg("--source").arg(source.path());
        let mut parts = parts.to_vec();
        parts.push("data_batch_1.bin");
        parts.push("give a complete, unaltered copy as `--source PATH`, or run `onelayer fetch` without --source");
        assert_fails(command, &parts);
        assert!(!dir.path().join("data_batch_1.bin").exists());
    }
}

#[test]
fn the_program_refuses_wrong_sources() {
    let dir = tempdir().unwrap();
    let new = dir.path().join("new");
    let mut command = program(&new);
    command.args(["--source", "/nowhere/at/all.tar.gz"]);
    assert_fails(command, &["cannot read /nowhere/at/all.tar.gz", "or run `onelayer fetch` without --source"]);
    assert!(!new.exists());
    for source in ["ftp://example.org/x", "file:///etc/passwd", ""] {
        program(dir.path()).args(["--source", source]).assert().code(2);
    }
    program(dir.path()).args(["--stall-timeout", "-1"]).assert().code(2);
    let page = dir.path().join("page.tar.gz");
    fs::write(&page, "<html>").unwrap();
    let mut command = program(dir.path());
    command.arg("--source").arg(&page);
    assert_fails(command, &["gzipped archive", "<html>"]);
}

#[test]
fn the_program_without_a_network_names_the_sample() {
    let dir = tempdir().unwrap();
    let parts = ["no npm client", "cifar-10-binary.tar.gz", "--dataset sample", "data_batch_1.bin"];
    assert_fails(program(dir.path()), &parts);
}

#[test]
fn the_program_without_curl_and_npm_says_what_to_install() {
    let dir = tempdir().unwrap();
    let mut command = program(dir.path());
    command.env("PATH", "");
    assert_fails(command, &["no npm client", "no curl program", "install curl", "--source PATH", "--dataset sample"]);
}

#[test]
fn the_users_curlrc_does_not_apply() {
    let archive = official_archive();
    let server = Server::start(move |_, _| Reply::Send(ok(&archive)));
    let (dir, home) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(home.path().join(".curlrc"), "user-agent = other\nurl = \"http://127.0.0.1:1/\"\n").unwrap();
    let mut command = program(dir.path());
    command.args(["--dataset", "sample", "--source", &server.url]).env("HOME", home.path());
    command.env("CURL_HOME", home.path()).assert().success();
    assert_complete(dir.path());
    assert!(server.requests()[0].contains("onelayer/"));
}

#[test]
fn the_program_reports_the_failure_of_a_server() {
    let archive = official_archive();
    let cases: [(Reply, &[&str]); 4] = [
        (Reply::Send(response("404 Not Found", "", b"")), &["404 Not Found"]),
        (Reply::Send(ok(b"<html>")), &["<html>"]),
        (Reply::Send(ok(&archive)), &["holds neither cifar-10-batches-bin/data_batch_1.bin", "discarded"]),
        (Reply::Stall(Vec::new()), &["no answer"]),
    ];
    for (reply, parts) in cases {
        let reply = std::sync::Mutex::new(Some(reply));
        let server = Server::start(move |_, _| reply.lock().unwrap().take().unwrap());
        let dir = tempdir().unwrap();
        let mut command = program(dir.path());
        command.args(["--source", &server.url, "--stall-timeout", "0.5"]);
        let mut parts = parts.to_vec();
        parts.push(&server.url);
        assert_fails(command, &parts);
        assert_tidy(dir.path());
    }
}

#[test]
fn the_program_resumes_a_lost_connection_and_says_so() {
    let archive = official_archive();
    let served = archive.clone();
    let server = Server::start(move |i, request| match i {
        0 => Reply::Send(ok(&served)[..1_000_000].to_vec()),
        _ => Reply::Send(partial(&served, request)),
    });
    let dir = tempdir().unwrap();
    let mut command = program(dir.path());
    let assert = command.args(["--source", &server.url]).assert().code(1);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr);
    assert!(stderr.contains("which are kept; resuming"), "{stderr}");
    assert!(range_start(&server.requests()[1]).unwrap() > 900_000);
}

/// Runs only if the full files exist: they are accepted, and a wrong one is replaced.
#[test]
fn the_program_accepts_the_published_files() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cifar-10-batches-bin");
    if !BatchFile::ALL.iter().all(|f| data.join(f.file_name()).exists()) {
        eprintln!("skipped: the full files do not exist");
        return;
    }
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("data_batch_2.bin"), vec![0; FILE_BYTES as usize]).unwrap();
    let mut command = program(dir.path());
    let assert = command.arg("--source").arg(&data).assert().success();
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr);
    assert!(stderr.contains("data_batch_2.bin") && stderr.contains("will be replaced"), "{stderr}");
    program(dir.path()).args(["--verify", "--source", "/nowhere"]).assert().success();
    let catalog = Catalog::published(&BatchFile::ALL);
    assert_eq!(catalog.entries.len(), 6);
    store::load(dir.path(), &BatchFile::ALL, Trust::Remembered).unwrap();
}

#[test]
fn outside_a_checkout_images_are_kept_in_the_users_folder_for_data() {
    let (folder, data) = (tempdir().unwrap(), tempdir().unwrap());
    let run = |arguments: &[&str]| {
        let mut command = Command::new(crate::program());
        command.current_dir(folder.path()).args(arguments).env("XDG_DATA_HOME", data.path());
        let output = command.timeout(Duration::from_secs(60)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let users = data.path().join("onelayer/sample");
    let text = run(&["fetch", "--dataset", "sample"]);
    assert!(text.contains(&format!("{}: all 3 files", users.display())), "{text}");
    assert_complete(&users);
    // The sample itself needs no folder.
    fs::remove_dir_all(&users).unwrap();
    let one_epoch = ["train", "--dataset", "sample", "--lambda", "0", "--eta", "0.001", "--epochs", "1", "--quiet"];
    assert!(run(&one_epoch).contains("lambda0_eta0.001"));

    fs::create_dir(folder.path().join("data")).unwrap();
    let text = run(&["fetch", "--dataset", "sample"]);
    assert!(text.contains("data/sample: all 3 files"), "{text}");
    assert_complete(&folder.path().join("data/sample"));
    assert!(!users.exists());
}
