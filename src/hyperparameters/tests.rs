//! Hyperparameters: their texts, their schedule, and how they depart from the report.

use super::*;

fn report_splits() -> [String; 3] {
    Hyperparameters::REPORT_SPLITS.map(String::from)
}

#[test]
fn only_runs_of_the_reports_protocol_have_a_reported_accuracy() {
    let with = |setting| Hyperparameters::new(setting, &Schedule::REPORT, &Origin::Random);
    let reported = |run: &Hyperparameters| run.reported_test_accuracy(&report_splits());
    assert_eq!(Setting::REPORT.map(|s| reported(&with(s))), [0.2877, 0.3932, 0.3940, 0.3738].map(Some));
    let run = with(Setting::REPORT[2]);
    assert_eq!(reported(&Hyperparameters { seed: 7, ..run.clone() }), Some(0.3940), "any seed");
    for other in [
        Hyperparameters { lambda: 0.2, ..run.clone() },
        Hyperparameters { loss: Loss::Bce, ..run.clone() },
        Hyperparameters { decay_every: Some(20), decay_factor: Some(0.5), ..run.clone() },
        Hyperparameters { decay_patience: Some(40), ..run.clone() },
        Hyperparameters { batch_size: 99, ..run.clone() },
        Hyperparameters { epochs: 39, ..run.clone() },
        Hyperparameters { flip: 0.5, ..run.clone() },
        Hyperparameters { shuffle: Shuffle::None, ..run.clone() },
        Hyperparameters { start: Origin::File("00".into()), ..run.clone() },
    ] {
        assert_eq!(reported(&other), None, "{other:?}");
    }
    assert!(run.departures(&report_splits()).is_empty());
    let other = Hyperparameters { epochs: 1, batch_size: 50, flip: 0.5, ..run.clone() };
    let words = ["1 epoch instead of 40", "batches of 50 instead of 100", "flips with probability 0.5"];
    assert_eq!(other.departures(&report_splits()), words);
    for i in 0..3 {
        let mut splits = report_splits();
        splits[i] = "data_batch_3.bin".into();
        assert_eq!(run.reported_test_accuracy(&splits), None);
    }
}

#[test]
fn hyperparameters_are_those_of_their_setting_and_schedule_and_give_them_back() {
    let setting = Setting::new(0.25, 0.5).unwrap().with_loss(Loss::Bce);
    for decay in [None, Some(Decay::step(20, 0.5).unwrap()), Some(Decay::plateau(5, 0.1).unwrap())] {
        let setting = setting.with_decay(decay);
        for shuffle in [Shuffle::ChaCha8, Shuffle::NumpyPermutation, Shuffle::NumpyShuffle, Shuffle::None] {
            let schedule = Schedule { epochs: 3, batch_size: 7, seed: 1, shuffle, flip: 0.75 };
            let all = Hyperparameters::new(setting, &schedule, &Origin::Random);
            assert_eq!((all.setting().unwrap(), all.schedule()), (setting, schedule));
        }
    }
}

#[test]
fn half_a_decay_and_two_decays_are_refused_but_a_decay_on_plateaus_has_a_default_factor() {
    let with = |decay_every, decay_patience, decay_factor| {
        Hyperparameters { decay_every, decay_patience, decay_factor, ..Hyperparameters::default() }.decay()
    };
    let refusal = |every, patience, factor| with(every, patience, factor).unwrap_err().to_string();
    let message = refusal(Some(2), None, None);
    assert_eq!(message, "decay-factor must be given together with decay-every, but is missing");
    let message = refusal(None, None, Some(0.5));
    assert_eq!(message, "decay-every must be given together with decay-factor, but is missing");
    for factor in [None, Some(0.5)] {
        let message = refusal(Some(2), Some(3), factor);
        assert_eq!(message, "decay-every must be left out beside decay-patience, but is 2");
    }
    assert_eq!(with(None, Some(3), None).unwrap(), Some(Decay::plateau(3, 0.1).unwrap()));
    assert_eq!(with(None, Some(3), Some(0.5)).unwrap(), Some(Decay::plateau(3, 0.5).unwrap()));
}

#[test]
fn every_text_reads_back_as_it_was_written() {
    for loss in Loss::ALL {
        assert_eq!(loss.to_string().parse::<Loss>().unwrap(), loss);
    }
    let message = "hinge".parse::<Loss>().unwrap_err().to_string();
    assert_eq!(message, "loss must be softmax or bce, but is hinge");
    for shuffle in [Shuffle::ChaCha8, Shuffle::None, Shuffle::Unknown] {
        assert_eq!(shuffle.to_string().parse::<Shuffle>().unwrap(), shuffle);
    }
    assert!("chacha12".parse::<Shuffle>().is_err());
    for origin in [Origin::Random, Origin::Numpy, Origin::File("0a".into()), Origin::Unknown] {
        assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin);
    }
    assert!("files".parse::<Origin>().is_err());
}

#[test]
fn a_flip_is_a_probability() {
    for (flip, valid) in [(0.0, true), (0.5, true), (1.0, true), (-0.1, false), (1.1, false), (f64::NAN, false)] {
        let schedule = Schedule { flip, ..Schedule::REPORT };
        assert_eq!(schedule.validate(100).is_ok(), valid, "{flip}");
    }
}

#[test]
fn a_schedule_needs_an_epoch_and_a_batch_that_the_split_can_fill() {
    let schedule = Schedule::REPORT;
    schedule.validate(100).unwrap();
    assert!(schedule.validate(99).is_err());
    assert!(Schedule { epochs: 0, ..schedule }.validate(100).is_err());
    assert!(Schedule { batch_size: 0, ..schedule }.validate(100).is_err());
}

#[test]
fn a_departure_from_the_report_is_told_in_words() {
    let report = Hyperparameters::default();
    let with = |train: &str, validation: &str, test: &str| [train, validation, test].map(String::from);
    let [train, validation, test] = Hyperparameters::REPORT_SPLITS;
    for (run, words) in [
        (Hyperparameters { epochs: 2, ..report.clone() }, "2 epochs instead of 40"),
        (Hyperparameters { batch_size: 99, ..report.clone() }, "batches of 99 instead of 100"),
        (Hyperparameters { flip: 0.25, ..report.clone() }, "flips with probability 0.25"),
        (Hyperparameters { start: Origin::Numpy, ..report.clone() }, "start numpy instead of random"),
        (Hyperparameters { shuffle: Shuffle::None, ..report.clone() }, "shuffling none instead of chacha8"),
    ] {
        assert_eq!(run.departures(&report_splits()), [words]);
    }
    for (splits, words) in [
        (with("a.bin", validation, test), "trained on a.bin instead of data_batch_1.bin"),
        (with(train, "none", test), "not validated"),
        (with(train, "a.bin", test), "validated on a.bin instead of data_batch_2.bin"),
        (with(train, validation, "a.bin"), "tested on a.bin instead of test_batch.bin"),
    ] {
        assert_eq!(report.departures(&splits), [words]);
    }
    let other = Hyperparameters { lambda: 5.0, eta: 0.5, seed: 1, ..report };
    assert_eq!(other.departures(&report_splits()), [""; 0], "whatever the setting and the seed");
}

#[test]
fn texts_have_numbers_without_an_exponent_and_no_entry_for_what_is_missing() {
    let texts = |hyperparameters: Hyperparameters| -> Vec<(String, String)> {
        hyperparameters.to_texts().into_iter().map(|(name, text)| (name.to_string(), text)).collect()
    };
    let all = Hyperparameters {
        lambda: 0.0,
        eta: 1e-7,
        batch_size: 100,
        epochs: 40,
        seed: u64::MAX,
        loss: Loss::Bce,
        decay_every: None,
        decay_factor: Some(0.5),
        decay_patience: Some(3),
        flip: 1.0,
        shuffle: Shuffle::NumpyShuffle,
        start: Origin::File("0a".into()),
    };
    let mut found = texts(all);
    found.sort();
    let expected = [
        ("batch_size", "100"),
        ("decay_factor", "0.5"),
        ("decay_patience", "3"),
        ("epochs", "40"),
        ("eta", "0.0000001"),
        ("flip", "1"),
        ("lambda", "0"),
        ("loss", "bce"),
        ("seed", "18446744073709551615"),
        ("shuffle", "numpy-shuffle"),
        ("start", "file:0a"),
    ];
    assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn every_shuffling_and_every_origin_has_its_text_and_no_other_text_is_one() {
    for (shuffle, text) in [
        (Shuffle::ChaCha8, "chacha8"),
        (Shuffle::NumpyPermutation, "numpy-permutation"),
        (Shuffle::NumpyShuffle, "numpy-shuffle"),
        (Shuffle::None, "none"),
        (Shuffle::Unknown, "unknown"),
    ] {
        assert_eq!((shuffle.to_string(), text.parse::<Shuffle>().unwrap()), (text.to_owned(), shuffle));
    }
    for (origin, text) in [
        (Origin::Random, "random"),
        (Origin::Numpy, "numpy"),
        (Origin::File("0a".into()), "file:0a"),
        (Origin::File(String::new()), "file:"),
        (Origin::Unknown, "unknown"),
    ] {
        assert_eq!(Origin::try_from(text.to_owned()).unwrap(), origin);
        assert_eq!((String::from(origin.clone()), origin.to_string()), (text.to_owned(), text.to_owned()));
    }
    let message = "ChaCha8".parse::<Shuffle>().unwrap_err().to_string();
    assert_eq!(message, "shuffle must be chacha8, numpy-permutation, numpy-shuffle or none, but is ChaCha8");
    for text in ["", "Random", "file", "random "] {
        let message = text.parse::<Origin>().unwrap_err().to_string();
        assert_eq!(message, format!("start must be random, numpy, or file: and a SHA-256, but is {text}"));
    }
}

#[test]
fn the_default_is_the_reports_second_setting() {
    let expected = Hyperparameters {
        lambda: 0.0,
        eta: 0.001,
        batch_size: 100,
        epochs: 40,
        seed: 42,
        loss: Loss::Softmax,
        decay_every: None,
        decay_factor: None,
        decay_patience: None,
        flip: 0.0,
        shuffle: Shuffle::ChaCha8,
        start: Origin::Random,
    };
    assert_eq!(Hyperparameters::default(), expected);
    assert_eq!(expected.schedule(), Schedule::REPORT);
}

#[test]
fn a_schedule_that_does_not_fit_is_refused_with_what_would() {
    let refusal = |schedule: Schedule| schedule.validate(99).unwrap_err().to_string();
    let schedule = Schedule { batch_size: 99, ..Schedule::REPORT };
    schedule.validate(99).unwrap();
    assert_eq!(refusal(Schedule { epochs: 0, ..schedule }), "epochs must be at least 1, but is 0");
    assert_eq!(refusal(Schedule { batch_size: 0, ..schedule }), "batch-size must be at least 1, but is 0");
    let message = "batch-size must be at most 99, the number of training examples, but is 100";
    assert_eq!(refusal(Schedule { batch_size: 100, ..schedule }), message);
    assert_eq!(refusal(Schedule { flip: 1.5, ..schedule }), "flip must be a probability, 0 to 1, but is 1.5");
    Schedule { epochs: 1, batch_size: 1, ..schedule }.validate(1).unwrap();
}
