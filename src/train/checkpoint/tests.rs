//! Checkpoints: what reads back, what is refused and in which words.

use proptest::prelude::*;

use super::*;
use crate::dataset::normalizer::Normalizer;
use crate::dataset::{Dataset, Splits};
use crate::hyperparameters::Schedule;
use crate::train::{Data, Start, Trainer};

const PATH: &str = "train.checkpoint";
const DIMS: Dims = Dims { features: 32, classes: 2 };
const SCHEDULE: Schedule = Schedule { epochs: 3, batch_size: 2, ..Schedule::REPORT };

fn dataset() -> Dataset {
    let pixels = (0..5 * 32_u32).map(|i| (i * i * 7 % 251) as u8).collect();
    Dataset::new(DIMS, pixels, vec![0, 1, 0, 1, 1]).unwrap()
}

/// A job of two settings of which one diverges at once, and its states before and after every epoch.
fn checkpoints() -> (Checkpoints, Vec<State>) {
    let splits = Splits { train: dataset(), validation: dataset(), test: dataset() };
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let start = Start::random(DIMS, 1);
    let settings = [Setting::REPORT[2], Setting::new(0.0, 1e38).unwrap()];
    let job = Job {
        settings: &settings,
        schedule: &SCHEDULE,
        start: &start,
        splits: &splits,
        names: &["a", "b", "c"].map(String::from),
        files: &[],
        normalizer: &normalizer,
    };
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let state = State { keep_snapshots: true, ..State::new(&settings, &start.parameters) };
    let mut trainer = Trainer::resume(data, &SCHEDULE, state).unwrap();
    let mut states = vec![trainer.state().clone()];
    while !trainer.is_done() {
        trainer.epoch(&mut ()).unwrap();
        states.push(trainer.state().clone());
    }
    assert!(states[1].runs[1].divergence.is_some());
    (Checkpoints::of(&job), states)
}

fn refuse(checkpoints: &Checkpoints, bytes: &[u8]) -> String {
    let error = checkpoints.from_bytes(bytes, Path::new(PATH)).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(PATH) && message.lines().count() == 1);
    message
}

#[test]
fn every_state_reads_back_even_with_numbers_that_are_not_finite() {
    let (checkpoints, states) = checkpoints();
    for mut state in states {
        state.batches = 1;
        state.seconds = 0.1 + 0.2;
        let bytes = checkpoints.to_bytes(&state);
        let back = checkpoints.from_bytes(&bytes, Path::new(PATH)).unwrap();
        // As bytes, since NaN differs from itself.
        assert!(checkpoints.to_bytes(&back) == bytes);
        assert_eq!((back.batches, back.seconds), (1, 0.1 + 0.2));
        assert_eq!(back.runs[0], state.runs[0]);
        assert_eq!(back.runs[1].epochs, state.runs[1].epochs);
        assert_eq!(back.runs[1].divergence, state.runs[1].divergence);
    }
}

#[test]
fn the_first_difference_from_the_job_is_named() {
    let (checkpoints, states) = checkpoints();
    let (mut other, _) = self::checkpoints();
    for i in 0..checkpoints.identity.len() {
        let (name, ours) = &checkpoints.identity[i];
        other.identity[i].1 = "another".into();
        let message = refuse(&checkpoints, &other.to_bytes(&states[1]));
        let expected = format!("{PATH}: this checkpoint was made with {}; ", difference(name, "another", ours));
        assert!(message.starts_with(&expected), "{message}");
        other.identity[i].1.clone_from(ours);
    }
    let same = other.to_bytes(&states[1]);
    assert!(checkpoints.from_bytes(&same, Path::new(PATH)).is_ok());
}

#[test]
fn a_file_of_any_other_length_is_refused() {
    let (checkpoints, states) = checkpoints();
    let bytes = checkpoints.to_bytes(&states[1]);
    for length in 0..bytes.len() {
        assert!(refuse(&checkpoints, &bytes[..length]).contains("is cut off or damaged; drop --resume"));
    }
    assert!(refuse(&checkpoints, &[&bytes[..], b" "].concat()).contains("cut off or damaged"));
}

#[test]
fn a_file_larger_than_any_checkpoint_of_the_job_is_not_read() {
    let (checkpoints, states) = checkpoints();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    assert!(checkpoints.read(&path).unwrap().is_none());
    std::fs::write(&path, checkpoints.to_bytes(&states[3])).unwrap();
    assert!(checkpoints.read(&path).unwrap().is_some());
    // That of a training of any length is.
    let longest = Checkpoints { epochs: usize::MAX, ..self::checkpoints().0 };
    assert!(longest.read(&path).unwrap().is_some());
    // A file with a hole takes no room on the disk.
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = checkpoints.read(&path).unwrap_err().to_string();
    assert!(error.contains("has at most") && error.contains("but it has more"), "{error}");
}

#[test]
fn the_digest_is_that_of_the_file_with_its_own_digits_as_zeros() {
    let (checkpoints, states) = checkpoints();
    let mut bytes = checkpoints.to_bytes(&states[0]);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (_, stated) = text.split_once("\"sha256\":\"").unwrap();
    let stated = stated[..64].to_owned();
    let digits = digest_range(&bytes).unwrap();
    bytes[digits].fill(b'0');
    assert_eq!(store::sha256(&bytes[..]).unwrap(), stated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn altered_bytes_are_refused(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        static MADE: std::sync::OnceLock<(Checkpoints, Vec<u8>)> = std::sync::OnceLock::new();
        let (checkpoints, good) = MADE.get_or_init(|| {
            let (checkpoints, states) = checkpoints();
            let bytes = checkpoints.to_bytes(&states[2]);
            (checkpoints, bytes)
        });
        let mut bytes = good.clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let read = checkpoints.from_bytes(&bytes, Path::new(PATH));
        prop_assert_eq!(read.is_ok(), bytes == *good);
    }
}

#[test]
fn the_identity_has_one_value_where_the_settings_agree_and_one_for_each_where_they_differ() {
    let (checkpoints, _) = checkpoints();
    let value = |name: &str| {
        let found = checkpoints.identity.iter().find(|(key, _)| *key == name);
        found.map(|(_, text)| text.as_str())
    };
    let large = format!("0.001 1{}", "0".repeat(38));
    for (name, expected) in [
        ("version", env!("CARGO_PKG_VERSION")),
        ("lambda", "0.1 0"),
        ("eta", &large),
        ("epochs", "3"),
        ("batch_size", "2"),
        ("seed", "42"),
        ("decay_every", "none"),
        ("start", "random"),
        ("settings", &format!("lambda0.1_eta0.001 lambda0_eta1{}", "0".repeat(38))),
        ("train_split", "a"),
        ("validation_split", "b"),
        ("test_split", "c"),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    let place = |name: &str| checkpoints.identity.iter().position(|(key, _)| *key == name).unwrap();
    assert_eq!(place("version"), 0);
    assert!(place("epochs") < place("settings") && place("settings") < place("eta"), "settings say more than η");
}

#[test]
fn a_checkpoint_of_the_largest_size_is_read_and_one_byte_more_is_not() {
    let (checkpoints, _) = checkpoints();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let refusal = |length: u64| {
        File::create(&path).unwrap().set_len(length).unwrap();
        checkpoints.read(&path).unwrap_err().to_string()
    };
    // Two settings, each with 66 numbers of 4 bytes and three epochs of 8 numbers of 8 bytes and 64 bytes, and 1 MiB.
    let most = 2 * (66 * 4 + 3 * (8 * 8 + 64)) + 1024 * 1024;
    assert!(refusal(most).contains("cut off or damaged"), "{}", refusal(most));
    let words = format!("a checkpoint of this training has at most {most} bytes, but it has more; {ADVICE}");
    assert!(refusal(most + 1).ends_with(&words), "{}", refusal(most + 1));
}

#[cfg(unix)]
#[test]
fn a_checkpoint_that_cannot_be_opened_is_not_taken_for_none() {
    let (checkpoints, _) = checkpoints();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.join(NAME), folder.path().to_owned()] {
        assert!(matches!(checkpoints.read(&path), Err(Error::Io { .. })), "{}", path.display());
    }
}

#[test]
fn a_checkpoint_of_another_version_or_format_is_of_no_use_but_that_of_another_training_is() {
    let (checkpoints, states) = checkpoints();
    let (mut other, _) = self::checkpoints();
    other.identity[0].1 = "0.0.0".into();
    let message = refuse(&checkpoints, &other.to_bytes(&states[0]));
    assert!(message.ends_with("; drop --resume to start over"), "{message}");
    let (mut other, _) = self::checkpoints();
    other.identity.iter_mut().find(|(name, _)| *name == "epochs").unwrap().1 = "4".into();
    let message = refuse(&checkpoints, &other.to_bytes(&states[0]));
    assert!(message.ends_with(&format!("was made with --epochs 4, not 3; {ADVICE}")), "{message}");
    let bytes = checkpoints.to_bytes(&states[0]);
    let place = bytes.windows(12).position(|window| window == br#""format":"2""#).unwrap();
    let mut newer = bytes.clone();
    newer[place + 10] = b'3';
    let message = refuse(&checkpoints, &newer);
    assert!(message.ends_with("the format must be 2, but is 3; drop --resume to start over"), "{message}");
    let mut altered = bytes;
    *altered.last_mut().unwrap() ^= 1;
    let message = refuse(&checkpoints, &altered);
    assert!(message.contains("the checkpoint is altered: its SHA-256 was "), "{message}");
}

#[test]
fn a_tensor_of_another_shape_is_refused() {
    let (checkpoints, states) = checkpoints();
    let bytes = checkpoints.to_bytes(&states[1]);
    let of = |dims| Checkpoints { dims, ..self::checkpoints().0 };
    let message = refuse(&of(Dims { features: 64, classes: 2 }), &bytes);
    assert!(message.contains("0.weight must have the shape (2, 64), but has (2, 32)"), "{message}");
    let message = refuse(&of(Dims { features: 32, classes: 4 }), &bytes);
    assert!(message.contains("0.weight must have the shape (4, 32), but has (2, 32)"), "{message}");
}

#[test]
fn the_place_of_the_digest_is_whole_or_nowhere() {
    let text = |digits: usize| [&b"{}\"sha256\":\""[..], &vec![b'7'; digits]].concat();
    assert_eq!(digest_range(&text(64)), Some(12..76));
    assert_eq!(digest_range(&text(65)), Some(12..76));
    assert_eq!(digest_range(&text(63)), None);
    assert_eq!(digest_range(b""), None);
    // Without a digest, the file's own.
    assert_eq!(digest_of_file(b"abc"), store::sha256(&b"abc"[..]).unwrap());
    let zeros = [&text(0)[..], &[b'0'; 64], b"rest"].concat();
    assert_eq!(digest_of_file(&[&text(64)[..], b"rest"].concat()), store::sha256(&zeros[..]).unwrap());
}

#[test]
fn an_epoch_reads_back_with_the_scores_that_it_has_and_without_those_after_a_divergence() {
    let values = [0.5, 1.0, 2.0, 0.25, f64::NAN, f64::NAN, f64::NAN, 3.0];
    let divergence = |epoch| Divergence { epoch, quantity: "a loss".into() };
    let scores = Scores { loss: 1.0, cost: 2.0, accuracy: 0.25 };
    let whole = Epoch {
        number: 2,
        learning_rate: 0.5,
        scores: Some(SplitScores { train: Some(scores), validation: None }),
        seconds: 3.0,
    };
    assert_eq!(epoch(2, &values, None), whole);
    assert_eq!(epoch(2, &values, Some(&divergence(3))), whole, "the divergence is later");
    for earlier in [1, 2] {
        assert_eq!(epoch(2, &values, Some(&divergence(earlier))), Epoch { scores: None, ..whole });
    }
    let written = epoch_values(&[whole]);
    assert_eq!(written.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), values.map(f64::to_bits));
    let both = SplitScores { train: Some(scores), validation: Some(Scores { loss: 7.0, cost: 8.0, accuracy: 0.75 }) };
    let both = Epoch { scores: Some(both), ..whole };
    assert_eq!(epoch_values(&[both]), [0.5, 1.0, 2.0, 0.25, 7.0, 8.0, 0.75, 3.0]);
}
