//! For any bytes, no parser of the program panics, exceeds its memory limit, or writes elsewhere.
//!
//! Each parser reads tens of thousands of almost valid files ([`inputs`]) through the functions of [`targets`], which
//! the targets of `fuzz/` use too. The counts are printed.

#[path = "../common/mod.rs"]
mod common;
mod inputs;
mod measure;
mod seeds;
mod targets;

use std::fs;
use std::path::Path;

use flate2::Compression;
use proptest::prelude::*;
use rawzip::CompressionMethod;

use inputs::altered;
use measure::{hold, try_hold};
use targets::Outcome::{self, Read, Refused};

/// A function that calls a parser.
type Target = fn(&[u8]) -> Outcome;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A memory limit of a number of copies of the input, and a fixed amount.
fn proportional(copies: usize, fixed: usize) -> impl Fn(&[u8]) -> usize {
    move |bytes| copies * bytes.len() + fixed
}

#[test]
fn records_are_read_or_refused() {
    let files = || {
        let two = targets::RECORDS.to_vec();
        let three = [&two[..], &two[..3073]].concat();
        altered(vec![two[..3073].to_vec(), two, three])
    };
    hold("records", 40_000, files, proportional(3, 64 * KIB), targets::records);
}

#[test]
fn arrays_are_read_or_refused() {
    hold("npy", 40_000, inputs::npy, proportional(40, 64 * KIB), targets::npy);
}

#[test]
fn archives_of_arrays_are_read_or_refused() {
    let files = || prop_oneof![1 => altered(seeds::npz()), 1 => inputs::npz()];
    hold("npz", 40_000, files, proportional(40, 64 * KIB), targets::npz);
}

#[test]
fn arrays_by_themselves_are_read_or_refused() {
    let files = || prop_oneof![1 => altered(seeds::npy()), 2 => inputs::npy()];
    hold("array", 40_000, files, proportional(20, 16 * KIB), targets::array);
}

#[test]
fn submissions_are_read_and_judged_or_refused() {
    hold("submission", 10_000, || altered(seeds::submissions()), proportional(40, 2 * MIB), targets::submission);
}

#[test]
fn answers_are_graded_or_refused() {
    hold("answers", 2_000, || altered(vec![seeds::answers()]), proportional(40, MIB), targets::answers);
}

#[test]
fn zip_archives_are_read_or_refused() {
    let files = || prop_oneof![1 => altered(seeds::npz()), 1 => inputs::npz()];
    hold("zip", 40_000, files, proportional(20, 64 * KIB), targets::zip);
}

#[test]
fn models_are_read_or_refused() {
    let files = || prop_oneof![1 => altered(vec![seeds::model()]), 1 => inputs::model()];
    hold("safetensors", 40_000, files, proportional(20, 64 * KIB), targets::model);
}

// The longest, and so the first by name.
#[test]
fn all_tables_are_read_or_refused() {
    let files = || prop_oneof![1 => altered(seeds::csv().into()), 1 => inputs::csv()];
    hold("csv", 40_000, files, proportional(20, 64 * KIB), targets::csv);
}

#[test]
fn jobs_are_read_or_refused() {
    let files = || prop_oneof![1 => altered(vec![seeds::config()]), 1 => inputs::config()];
    hold("toml", 40_000, files, proportional(200, 64 * KIB), targets::config);
}

#[test]
fn provenances_are_read_or_refused() {
    hold("provenance", 40_000, || altered(vec![seeds::provenance()]), proportional(20, 64 * KIB), targets::provenance);
}

#[test]
fn pictures_of_weights_are_read_or_refused() {
    hold(
        "snapshots",
        20_000,
        || altered(vec![seeds::snapshots()]),
        // The largest that is decoded has 320×6400 pixels.
        proportional(4, 16 * MIB),
        targets::snapshots,
    );
}

#[test]
fn pictures_to_predict_are_read_or_refused() {
    hold(
        "picture",
        40_000,
        || prop_oneof![1 => altered(seeds::picture()), 1 => inputs::picture()],
        // The largest that is decoded has 2²⁶ pixels of 8 bytes, and there is a copy of 3 bytes per pixel.
        proportional(4, 768 * MIB),
        targets::picture,
    );
}

#[test]
fn exif_orientations_are_applied_or_ignored() {
    let files = || prop_oneof![1 => altered(seeds::exif().into()), 1 => inputs::exif()];
    hold("exif", 20_000, files, proportional(8, MIB), targets::exif);
}

#[test]
fn checkpoints_are_resumed_or_refused() {
    let files = || prop_oneof![1 => altered(seeds::checkpoint().into()), 1 => inputs::checkpoint()];
    hold("checkpoint", 40_000, files, proportional(20, 256 * KIB), targets::checkpoint);
}

#[test]
fn memories_of_verified_digests_are_read_or_ignored() {
    let files = || {
        let long = vec![b'x'; 100_000];
        altered(vec![seeds::memory(), seeds::memory(), seeds::memory(), long])
    };
    hold("memory", 20_000, files, proportional(20, MIB), targets::memory);
}

#[test]
fn heads_of_answers_are_read_or_refused() {
    let files = || prop_oneof![1 => altered(seeds::head().into()), 1 => inputs::head()];
    hold("head", 40_000, files, proportional(4, 64 * KIB), targets::head);
}

#[test]
fn images_are_installed_or_refused() {
    hold("png", 20_000, inputs::png, proportional(4, 2 * MIB), targets::png);
}

#[test]
fn pickles_are_installed_or_refused() {
    let files = || prop_oneof![1 => altered(vec![seeds::pickle()]), 2 => inputs::pickle()];
    hold("pickle", 20_000, files, proportional(4, MIB), targets::pickle);
}

#[test]
fn labels_are_installed_or_refused() {
    hold("labels", 20_000, inputs::labels, proportional(20, MIB), targets::labels);
}

#[test]
fn tar_archives_are_installed_or_refused() {
    let files = || {
        let mut files = seeds::tar().to_vec();
        files.push([&files[1][..], &files[0]].concat());
        prop_oneof![1 => altered(files), 2 => inputs::tar()]
    };
    hold("tar", 20_000, files, proportional(4, 2 * MIB), targets::tar);
}

#[test]
fn gzip_files_are_installed_or_refused() {
    hold("gzip", 20_000, inputs::archive, proportional(4, 2 * MIB), targets::archive);
}

/// The corpus contains the files that fuzzing starts from and those that it has found.
#[test]
fn every_file_of_the_corpus_is_read_or_refused() {
    let targets: [(&str, Target); 22] = [
        ("answers", targets::answers),
        ("archive", targets::archive),
        ("checkpoint", targets::checkpoint),
        ("config", targets::config),
        ("csv", targets::csv),
        ("exif", targets::exif),
        ("head", targets::head),
        ("array", targets::array),
        ("labels", targets::labels),
        ("memory", targets::memory),
        ("model", targets::model),
        ("npy", targets::npy),
        ("npz", targets::npz),
        ("pickle", targets::pickle),
        ("picture", targets::picture),
        ("png", targets::png),
        ("provenance", targets::provenance),
        ("records", targets::records),
        ("snapshots", targets::snapshots),
        ("submission", targets::submission),
        ("tar", targets::tar),
        ("zip", targets::zip),
    ];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus");
    for (name, target) in targets {
        let mut read = 0;
        for file in fs::read_dir(corpus.join(name)).unwrap() {
            let bytes = || Just(fs::read(file.unwrap().path()).unwrap());
            read += try_hold(1, bytes, proportional(200, 2 * MIB), target).unwrap().read;
        }
        assert!(read > 0, "{name}: none is valid");
    }
}

/// Writes the valid files of the corpus: `cargo test --test hostile -- --ignored`.
#[test]
#[ignore = "writes files"]
fn write_the_corpus() {
    let tars = seeds::tar();
    let records = targets::RECORDS.to_vec();
    let archives = tars.each_ref().map(|tar| common::gzip(tar, Compression::fast()));
    let files = [
        ("archive", archives.into()),
        ("answers", vec![seeds::answers()]),
        ("checkpoint", seeds::checkpoint().into()),
        ("config", vec![seeds::config()]),
        ("csv", seeds::csv().into()),
        ("exif", seeds::exif().into()),
        ("head", seeds::head().into()),
        ("array", seeds::npy()),
        ("labels", vec![targets::LABELS.as_bytes().to_vec()]),
        ("memory", vec![seeds::memory()]),
        ("model", vec![seeds::model()]),
        ("npy", seeds::npy()),
        ("npz", seeds::npz()),
        ("pickle", vec![seeds::pickle()]),
        ("picture", seeds::picture()),
        ("png", vec![common::png_of(&records)]),
        ("provenance", vec![seeds::provenance()]),
        ("records", vec![records]),
        ("snapshots", vec![seeds::snapshots()]),
        ("submission", seeds::submissions()),
        ("tar", tars.into()),
        ("zip", seeds::npz()),
    ];
    for (name, files) in files {
        let folder = Path::new("tests/hostile/corpus").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (i, bytes) in files.iter().enumerate() {
            fs::write(folder.join(format!("valid-{i}")), bytes).unwrap();
        }
    }
}

/// An `.npz` of 64 KiB with an array of the maximum size.
#[test]
fn an_array_that_unpacks_to_a_thousand_times_its_size_takes_bounded_memory() {
    let bomb = || {
        let elements = (64 * MIB - 512) / 4;
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({elements},)}}");
        let mut npy = b"\x93NUMPY\x01\0".to_vec();
        npy.extend((header.len() as u16).to_le_bytes());
        npy.extend(header.into_bytes());
        npy.resize(npy.len() + 4 * elements, 0);
        let bomb = targets::npz_of(&[("W.npy", &npy)], CompressionMethod::DEFLATE);
        assert!(bomb.len() < 128 * KIB);
        Just(bomb)
    };
    let tally = try_hold(1, bomb, proportional(0, 512 * MIB), targets::npz).unwrap();
    assert!(tally.memory > 64 * MIB && tally.read == 1, "{tally}");
}

// Negative controls: the harness must be able to fail.

#[test]
fn memory_allocated_for_a_declared_size_is_detected() {
    let sizes = || any::<[u8; 4]>().prop_map(|size| size.to_vec());
    let trusting = |bytes: &[u8]| {
        let declared = bytes.first_chunk().map_or(0, |&size| u32::from_le_bytes(size));
        match Vec::<u8>::with_capacity(declared as usize).capacity() {
            0 => Refused,
            _ => Read,
        }
    };
    let error = try_hold(100, sizes, proportional(8, 64 * KIB), trusting).unwrap_err();
    assert!(error.contains("bytes of memory for an input of 4"), "{error}");
}

#[test]
fn a_panic_is_detected() {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..8);
    let careless =
        |bytes: &[u8]| -> Outcome { if bytes.first() > Some(&200) { panic!("of a careless parser") } else { Refused } };
    let error = try_hold(1000, bytes, proportional(0, MIB), careless).unwrap_err();
    assert!(error.contains("of a careless parser"), "{error}");
}

#[test]
fn a_file_written_elsewhere_is_detected() {
    let sandbox = targets::Sandbox::new();
    sandbox.tidy();
    fs::write(sandbox.0.path().join("data/y.bin"), "").unwrap();
    assert!(std::panic::catch_unwind(move || sandbox.tidy()).is_err());
}
