//! The real binary, killed at random instants while it fetches, trains and writes: at every moment each file is absent,
//! the old one or the new one, never a part; and the next run ends as if nothing had happened.
//!
//! The instants come from a seed, which is printed; ONELAYER_KILL_SEED sets it, ONELAYER_KILLS their number.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Reply, Server, official_archive, ok, partial, range_start};

use crate::results::{contents, onelayer, succeed, torn, train};
use onelayer::train::checkpoint::NAME as CHECKPOINT;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;

type Contents = BTreeMap<String, Vec<u8>>;

/// The number in the environment variable `name`.
fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Kills processes at random instants.
struct Killer {
    rng: ChaCha8Rng,
    kills: usize,
    while_writing: usize,
}

impl Killer {
    fn new(stream: u64) -> Self {
        let seed = number("ONELAYER_KILL_SEED", 1);
        println!("seed {seed}, stream {stream}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng, kills: 0, while_writing: 0 }
    }

    /// Starts `command`, which works in `folder`, and kills it within `time`, half of the times while it writes a file:
    /// some microseconds after a temporary one appears. True if it was killed before it ended.
    fn kill(&mut self, mut command: Command, folder: &Path, time: Duration) -> bool {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let instant = Instant::now() + time.mul_f64(self.rng.random());
        if self.rng.random() {
            while Instant::now() < instant && !ended(&mut child) {
                thread::sleep(Duration::from_micros(500));
            }
            while !ended(&mut child) && temporary(folder).is_none() {}
            thread::sleep(Duration::from_micros(self.rng.random_range(0..2000)));
        } else {
            thread::sleep(instant.saturating_duration_since(Instant::now()));
        }
        let killed = !ended(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        self.kills += usize::from(killed);
        self.while_writing += usize::from(killed && temporary(folder).is_some());
        killed
    }

    /// Prints the kills; there must be `kills` of them, some while a file was being written.
    fn report(&self, kills: usize) {
        let Self { kills: done, while_writing, .. } = self;
        println!("{done} kills, {while_writing} of them with a file half written");
        assert!(*done >= kills && *while_writing > 0);
    }
}

fn ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

/// The name of a temporary file in `folder`.
fn temporary(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder).ok()?;
    names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).find(|name| name.starts_with(".onelayer-"))
}

/// Replaces the files of `folder` by `contents`.
fn reset(folder: &Path, contents: &Contents) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder).unwrap();
    for (name, bytes) in contents {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The files of `folder`, with their measured times.
fn verbatim(folder: &Path) -> Contents {
    let entries = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    });
    entries.collect()
}

#[test]
fn a_training_killed_at_any_instant_leaves_whole_files_and_resumes_to_the_same_ones() {
    let kills = number("ONELAYER_KILLS", 40) as usize;
    let arguments = ["--epochs", "8", "--checkpoint-every", "1", "--quiet"];
    let (old, new, out) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    succeed(train(old.path(), &["--epochs", "8", "--seed", "2", "--quiet"]));
    let began = Instant::now();
    succeed(train(new.path(), &arguments));
    let time = began.elapsed();
    let before = verbatim(old.path());
    let (old, new) = (contents(old.path()), contents(new.path()));
    let out = out.path().join("results");
    let resume = || train(&out, &[&arguments[..], &["--resume"]].concat());

    let mut killer = Killer::new(1);
    let mut resumed_from_a_checkpoint = 0;
    reset(&out, &before);
    while killer.kills < kills {
        let killed = killer.kill(resume(), &out, time);
        assert_eq!(torn(&out, &old, &new), [""; 0], "after {} kills", killer.kills);
        // A checkpoint is one file, and as whole as the others: the next run would refuse it otherwise.
        if killed && out.join(CHECKPOINT).exists() {
            resumed_from_a_checkpoint += 1;
        }
        // Now and then a training that was killed several times runs to its end.
        if !killed || killer.rng.random_ratio(1, 5) {
            succeed(resume());
            assert!(contents(&out) == new, "after {} kills", killer.kills);
            reset(&out, &before);
        }
    }
    killer.report(kills);
    println!("{resumed_from_a_checkpoint} times there was a checkpoint to resume from");
    assert!(resumed_from_a_checkpoint > 0);
}

#[test]
fn a_fetch_killed_at_any_instant_leaves_whole_files_and_the_next_one_succeeds() {
    let kills = number("ONELAYER_KILLS", 40) as usize / 2;
    let archive = official_archive();
    let path = tempdir().unwrap();
    let path = path.path().join("archive.tar.gz");
    fs::write(&path, &archive).unwrap();
    let server = Server::start(move |_, head| {
        Reply::Slowly(match range_start(head) {
            None => ok(&archive),
            Some(_) => partial(&archive, head),
        })
    });
    let new: Contents = crate::common::NAMES.map(|name| (name.into(), crate::common::sample_bytes(name))).into();
    // Altered files, which are to be replaced; one is missing.
    let mut old = new.clone();
    old.remove("train.bin");
    old.values_mut().for_each(|bytes| bytes[7] ^= 1);

    let dir = tempdir().unwrap();
    let dir = dir.path().join("data");
    let mut killer = Killer::new(2);
    let mut parts = 0;
    for source in [path.to_str().unwrap(), &server.url] {
        let fetch = || {
            let mut command = onelayer(&["fetch", "--dataset", "sample", "--source", source]);
            command.arg("--quiet").arg("--data-dir").arg(&dir);
            command
        };
        reset(&dir, &old);
        let began = Instant::now();
        succeed(fetch());
        let time = began.elapsed();
        let enough = killer.kills + kills / 2;
        reset(&dir, &old);
        while killer.kills < enough {
            let killed = killer.kill(fetch(), &dir, time);
            assert_eq!(torn(&dir, &old, &new), [""; 0], "after {} kills", killer.kills);
            parts += verbatim_names(&dir).iter().filter(|n| n.ends_with(".part")).count();
            if !killed || killer.rng.random_ratio(1, 3) {
                succeed(fetch());
                crate::common::assert_complete(&dir);
                reset(&dir, &old);
            }
        }
    }
    killer.report(kills / 2 * 2);
    println!("{parts} times there was part of a download to resume");
    assert!(parts > 0);
}

fn verbatim_names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_torn_file_is_noticed() {
    let (old, new) = (tempdir().unwrap(), tempdir().unwrap());
    succeed(train(old.path(), &["--epochs", "1", "--seed", "2"]));
    succeed(train(new.path(), &["--epochs", "1"]));
    let whole = verbatim(new.path());
    let (old, expected) = (contents(old.path()), contents(new.path()));
    assert_eq!(torn(new.path(), &old, &expected), [""; 0]);
    for (name, bytes) in whole {
        let path = new.path().join(&name);
        let mut altered = bytes.clone();
        // In a table, a digit of the first loss.
        let at = bytes.iter().position(|&b| b == b'.').unwrap_or(0) + 1;
        altered[at] = if altered[at] == b'1' { b'2' } else { b'1' };
        let mut torn_files = vec![&bytes[..bytes.len() - 1], &bytes[..bytes.len() / 2], b""];
        // These two differ between runs.
        if !["report.html", "provenance.json"].contains(&name.as_str()) {
            torn_files.push(&altered);
        }
        for torn_bytes in torn_files {
            fs::write(&path, torn_bytes).unwrap();
            assert_eq!(torn(new.path(), &old, &expected), [name.as_str()]);
        }
        fs::write(&path, bytes).unwrap();
    }
}
