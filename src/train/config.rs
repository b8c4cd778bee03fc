//! TOML files of a training job: `search` writes `best.toml`, `train --config` reads it. The keys are the names of the
//! options of `train`, but for `shuffle` (option `--no-shuffle`), `start` (option `--init`), and `decay_patience`, which with
//! `decay_factor` is the option `--decay-on-plateau`.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};
use crate::files::csv::{Cell, Row};
use crate::hyperparameters::{Hyperparameters, Loss, Origin, Shuffle};

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The hyperparameters; those that the file leaves out have their defaults.
    pub hyperparameters: Hyperparameters,
    /// The images to train on.
    pub images: Images,
    /// The keys of the file that was read.
    pub keys: BTreeSet<String>,
}

/// The images to train on; what the file leaves out is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// The data set's name.
    pub dataset: Option<String>,
    /// Training batches of CIFAR-10.
    pub train_batches: Option<Vec<u8>>,
    /// Number of images held out of them for validation.
    pub validation_size: Option<usize>,
    /// Batches of CIFAR-10 to validate on instead.
    pub validation_batches: Option<Vec<u8>>,
}

/// The keys of [`Images`].
const IMAGE_KEYS: [&str; 4] = ["dataset", "train_batches", "validation_size", "validation_batches"];

/// What the data set and a list of batches may be.
const DATASETS: &str = "cifar10 or sample, in quotes";
const BATCHES: &str = "a list of batches from 1 to 5, such as [1, 2]";

/// Number of characters of a file that an error quotes.
const QUOTED: usize = 60;

impl Config {
    /// The content of the file: `remarks` as comments, one per line, then the keys.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for a seed above 2⁶³ − 1, the largest integer of TOML.
    pub fn to_toml(&self, remarks: &[String]) -> Result<Vec<u8>> {
        let seed = self.hyperparameters.seed;
        if i64::try_from(seed).is_err() {
            let expected = format!("at most {}, the largest integer of a TOML file", i64::MAX);
            return Err(Error::invalid("seed", expected, seed));
        }
        let mut text: String = remarks.iter().map(|line| format!("# {line}\n")).collect();
        for keys in [toml::to_string(&self.hyperparameters), toml::to_string(&self.images)] {
            text += &keys.expect("numbers, text and lists of numbers are always TOML");
        }
        Ok(text.into_bytes())
    }

    /// Reads a file. `path` is named in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for text that is not TOML, an unknown key, and a value of another type.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let refuse = |span: Option<Range<usize>>, message: String| {
            let line = text[..span.map_or(0, |span| span.start)].matches('\n').count() + 1;
            Error::format(path, format!("line {line}: {message}"))
        };
        let table = DeTable::parse(text).map_err(|e| refuse(e.span(), syntax(text, &e)))?;
        let table = table.get_ref();
        let known = [&Hyperparameters::columns()[..], &IMAGE_KEYS].concat();
        if let Some(key) = table.keys().find(|key| !known.contains(&&key.get_ref()[..])) {
            let message = format!("there is no key {:?}; the keys are {}", key.get_ref(), known.join(", "));
            return Err(refuse(Some(key.span()), message));
        }
        let invalid = |e: toml::de::Error| {
            // The span may be that of a table's header, which begins before its key.
            let span = e.span().unwrap_or_default();
            let of_key =
                table.iter().find(|(key, value)| key.span().start <= span.end && span.start <= value.span().end);
            let value = of_key.map(|(key, value)| wrong_value(key.get_ref(), value.get_ref(), &text[value.span()]));
            refuse(e.span(), value.unwrap_or_else(|| "the value is not valid".into()))
        };
        let hyperparameters: Hyperparameters = toml::from_str(text).map_err(invalid)?;
        let images: Images = toml::from_str(text).map_err(invalid)?;
        check(&hyperparameters).and_then(|()| images.check()).map_err(|e| {
            let key = |name: &str| table.keys().find(|key| key.get_ref().replace('_', "-") == name).map(Spanned::span);
            let span = if let Error::InvalidValue { name, .. } = &e { key(name) } else { None };
            // The names are those of the options.
            let message = known.iter().fold(e.to_string(), |text, key| text.replace(&key.replace('_', "-"), key));
            span.map_or_else(|| Error::format(path, &message[..]), |span| refuse(Some(span), message.clone()))
        })?;
        if hyperparameters.shuffle == Shuffle::Unknown || hyperparameters.start == Origin::Unknown {
            return Err(Error::format(path, "shuffle and start must not be unknown: remove the line"));
        }
        Ok(Self { hyperparameters, images, keys: table.keys().map(|key| key.get_ref().to_string()).collect() })
    }
}

impl Images {
    /// Checks what the files on disk do not decide.
    fn check(&self) -> Result<()> {
        let is_sample = self.dataset.as_deref() == Some("sample");
        if let Some(name) = self.dataset.as_ref().filter(|name| !is_sample && *name != "cifar10") {
            return Err(Error::invalid("dataset", DATASETS, format!("{name:?}")));
        }
        if let (Some(_), Some(size)) = (&self.validation_batches, self.validation_size) {
            return Err(Error::invalid("validation-size", "left out beside validation_batches", size));
        }
        for (name, batches) in
            [("train-batches", &self.train_batches), ("validation-batches", &self.validation_batches)]
        {
            let Some(batches) = batches else { continue };
            let is_repeated = (1..batches.len()).any(|i| batches[..i].contains(&batches[i]));
            let expected = if is_sample {
                "left out beside dataset = \"sample\", which has splits of its own"
            } else if is_repeated {
                "a list without repetitions"
            } else if !batches.iter().all(|batch| (1..=5).contains(batch)) {
                BATCHES
            } else {
                continue;
            };
            return Err(Error::invalid(name, expected, format!("{batches:?}")));
        }
        Ok(())
    }
}

/// Checks everything but the number of training images.
fn check(hyperparameters: &Hyperparameters) -> Result<()> {
    hyperparameters.setting()?;
    hyperparameters.schedule().validate(usize::MAX)
}

/// What is wrong with a text that is not TOML.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = &text[text[..start].rfind('\n').map_or(0, |end| end + 1)..];
    let line = line.lines().next().unwrap_or_default();
    if error.message().contains("duplicate key") {
        return format!("a key must be there once, but {:?} is a second one", shortened(line));
    }
    let has_decimal_comma =
        line.as_bytes().windows(3).any(|w| w[0].is_ascii_digit() && w[1] == b',' && w[2].is_ascii_digit());
    if has_decimal_comma && !line.contains(['[', '"']) {
        return format!("a number must have a decimal point, such as 0.1, but is {:?}", shortened(line));
    }
    format!("must be `name = value`, such as eta = 0.001 or loss = \"bce\", but is {:?}", shortened(line))
}

/// What is wrong with the `value` of `key`, written as `text`.
fn wrong_value(key: &str, value: &DeValue, text: &str) -> String {
    let found = match value {
        DeValue::Table(_) => "a table",
        _ => text.lines().next().unwrap_or_default(),
    };
    let is_integer = matches!(value, DeValue::Integer(_)) && !text.starts_with('-');
    let expected = match key {
        "lambda" | "eta" | "flip" | "decay_factor" => "a number".into(),
        "loss" => format!("{}, in quotes", Loss::EXPECTED),
        "shuffle" => format!("{}, in quotes", Shuffle::EXPECTED),
        "start" => format!("{}, in quotes", Origin::EXPECTED),
        "dataset" => DATASETS.into(),
        "train_batches" | "validation_batches" => BATCHES.into(),
        _ if is_integer => format!("at most {}, the largest integer of a TOML file", i64::MAX),
        "seed" | "validation_size" => "a whole number of at least 0".into(),
        _ => "a whole number of at least 1".into(),
    };
    format!("{key} must be {expected}, but is {}", shortened(found))
}

/// The beginning of `text`, which may be of any length.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyperparameters::Decay;

    #[test]
    fn a_wrong_line_is_refused_with_its_key_what_it_may_be_and_what_it_is() {
        let [whole, from_0] = [1, 0].map(|least| format!("must be a whole number of at least {least}, but is"));
        let syntax = "must be `name = value`, such as eta = 0.001 or loss = \"bce\", but is";
        let long = format!("eta = {}\n", "x".repeat(100));
        for (text, reason) in [
            ("epochs = \"x\"", &format!("epochs {whole} \"x\"")[..]),
            ("epochs = 1.5", &format!("epochs {whole} 1.5")),
            ("batch_size = -1", &format!("batch_size {whole} -1")),
            ("validation_size = []", &format!("validation_size {from_0} []")),
            ("seed = 1.5", &format!("seed {from_0} 1.5")),
            (
                "seed = 99999999999999999999",
                "seed must be at most 9223372036854775807, the largest integer of a TOML file, but is 99999999999999999999",
            ),
            ("eta = true", "eta must be a number, but is true"),
            ("eta = {a = 1}", "eta must be a number, but is a table"),
            ("[eta]\nx = 1", "eta must be a number, but is a table"),
            ("loss = \"hinge\"", "loss must be softmax or bce, in quotes, but is \"hinge\""),
            (
                "shuffle = true",
                "shuffle must be chacha8, numpy-permutation, numpy-shuffle or none, in quotes, but is true",
            ),
            ("start = \"x\"", "start must be random, numpy, or file: and a SHA-256, in quotes, but is \"x\""),
            ("dataset = 3", "dataset must be cifar10 or sample, in quotes, but is 3"),
            ("train_batches = 3", "train_batches must be a list of batches from 1 to 5, such as [1, 2], but is 3"),
            (
                "train_batches = [1, 300]",
                "train_batches must be a list of batches from 1 to 5, such as [1, 2], but is [1, 300]",
            ),
            ("eta 0.1", &format!("{syntax} \"eta 0.1\"")),
            ("eta = ", &format!("{syntax} \"eta = \"")),
            ("eta = 0,1", "a number must have a decimal point, such as 0.1, but is \"eta = 0,1\""),
            ("loss = softmax", &format!("{syntax} \"loss = softmax\"")),
            ("loss = \"softmax", &format!("{syntax} \"loss = \\\"softmax\"")),
            ("{\"eta\": 0.1}", &format!("{syntax} \"{{\\\"eta\\\": 0.1}}\"")),
            (&long, &format!("{syntax} \"eta = {}…\"", "x".repeat(54))),
            ("lamda = 2", &format!("there is no key \"lamda\"; the keys are lambda, {}", &known()[8..])),
            ("batch-size = 2", &format!("there is no key \"batch-size\"; the keys are lambda, {}", &known()[8..])),
            ("eta = inf", "eta must be above 0 and below 3.4e38, but is inf"),
            ("epochs = 0", "epochs must be at least 1, but is 0"),
            ("batch_size = 0", "batch_size must be at least 1, but is 0"),
            ("decay_patience = 0", "decay_patience must be at least 1, but is 0"),
            ("flip = 2", "flip must be a probability, 0 to 1, but is 2"),
            ("dataset = \"mnist\"", "dataset must be cifar10 or sample, in quotes, but is \"mnist\""),
            (
                "validation_batches = [0]",
                "validation_batches must be a list of batches from 1 to 5, such as [1, 2], but is [0]",
            ),
            ("train_batches = [3, 3]", "train_batches must be a list without repetitions, but is [3, 3]"),
            (
                "train_batches = [1]\ndataset = \"sample\"",
                "train_batches must be left out beside dataset = \"sample\", which has splits of its own, but is [1]",
            ),
        ] {
            // The line is counted, and the values of the others do not matter.
            for before in ["", "# a comment\nlambda = 0.5\n"] {
                let message =
                    Config::from_toml(&format!("{before}{text}"), Path::new("best.toml")).unwrap_err().to_string();
                let line = before.lines().count() + 1;
                assert_eq!(message, format!("best.toml: line {line}: {reason}"));
            }
        }
        // Control: each of them can be right.
        read(b"epochs = 1\neta = 1\nloss = \"bce\"\ntrain_batches = [1]\nflip = 0.5\n").unwrap();
    }

    /// Every key has values that are refused in its words.
    #[test]
    fn every_key_is_named_with_what_it_may_be() {
        for key in known().split(", ") {
            let message = read(format!("{key} = [[]]").as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with(&format!("best.toml: line 1: {key} must be ")), "{message}");
            assert!(message.ends_with(", but is [[]]"), "{message}");
        }
    }

    fn known() -> String {
        [&Hyperparameters::columns()[..], &IMAGE_KEYS].concat().join(", ")
    }

    fn config() -> Config {
        Config {
            hyperparameters: Hyperparameters {
                lambda: 0.001,
                eta: 1e-9,
                loss: Loss::Bce,
                decay_every: Some(10),
                decay_factor: Some(0.5),
                decay_patience: None,
                flip: 0.0,
                batch_size: 100,
                epochs: 30,
                seed: i64::MAX as u64,
                shuffle: Shuffle::None,
                start: Origin::Random,
            },
            images: Images {
                dataset: Some("cifar10".into()),
                train_batches: Some(vec![1, 2, 3, 4, 5]),
                validation_size: Some(0),
                validation_batches: None,
            },
            keys: BTreeSet::new(),
        }
    }

    fn read(text: &[u8]) -> Result<Config> {
        Config::from_toml(std::str::from_utf8(text).unwrap(), Path::new("best.toml"))
    }

    #[test]
    fn a_job_reads_back_as_it_was() {
        let remarks = ["the best".to_owned(), "of all".to_owned()];
        let text = config().to_toml(&remarks).unwrap();
        assert!(text.starts_with(b"# the best\n# of all\nlambda = 0.001\n"));
        let back = read(&text).unwrap();
        assert_eq!((&back.hyperparameters, &back.images), (&config().hyperparameters, &config().images));
        assert_eq!(back.keys.len(), 14);
        let mut some = config();
        for decay in [None, Some(Decay::plateau(5, 0.25).unwrap())] {
            some.hyperparameters = some.hyperparameters.with_decay(decay);
            assert_eq!(read(&some.to_toml(&[]).unwrap()).unwrap().hyperparameters, some.hyperparameters);
        }
        (some.images.validation_size, some.images.validation_batches) = (None, Some(vec![5]));
        assert_eq!(read(&some.to_toml(&[]).unwrap()).unwrap().images, some.images);
        assert_eq!(read(b"").unwrap(), Config::default());
    }

    #[test]
    fn whole_numbers_may_be_written_without_a_point() {
        let config = read(b"lambda = 1\n").unwrap();
        assert_eq!((config.hyperparameters.lambda, config.keys), (1.0, ["lambda".to_owned()].into()));
    }

    #[test]
    fn a_seed_above_the_largest_integer_of_toml_is_refused() {
        let mut config = config();
        config.hyperparameters.seed = 1 << 63;
        let error = config.to_toml(&[]).unwrap_err();
        assert!(error.to_string().starts_with("seed must be at most 9223372036854775807"));
    }

    #[test]
    fn contradictions_and_an_unknown_origin_are_refused_with_the_name_of_the_file() {
        for (text, words) in [
            ("decay_every = 3\n", "decay_factor must be given together with decay_every"),
            ("decay_factor = 0.5\n", "decay_every must be given together with decay_factor"),
            ("decay_every = 3\ndecay_patience = 3\n", "decay_every must be left out beside decay_patience"),
            ("decay_patience = 0\n", "decay_patience must be at least 1"),
            (
                "validation_size = 10\nvalidation_batches = [2]\n",
                "validation_size must be left out beside validation_batches",
            ),
            ("shuffle = \"unknown\"\n", "must not be unknown"),
            ("start = \"unknown\"\n", "must not be unknown"),
        ] {
            let message = read(text.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with("best.toml: ") && message.contains(words), "{message}");
        }
        read(b"decay_every = 3\ndecay_factor = 0.5\nshuffle = \"none\"\nstart = \"random\"\n").unwrap();
        read(b"decay_patience = 3\nvalidation_batches = [2]\n").unwrap();
    }

    #[test]
    fn an_error_is_one_line_with_its_place() {
        for (text, words) in [
            ("lambda = 1\nlamda = 2\n", &["line 2", "no key \"lamda\""][..]),
            ("\nloss = \"hinge\"\n", &["line 2", "hinge", "softmax"]),
            ("epochs = -1\n", &["line 1", "-1"]),
            ("epochs = 1.5\n", &["line 1"]),
            ("eta = \"much\"\n", &["line 1", "much"]),
            ("eta = \n", &["line 1"]),
            ("[table\n", &["line 1"]),
            ("flip = 0.5\nflip = 0.5\n", &["line 2", "flip = 0.5", "once"]),
        ] {
            let message = read(text.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with("best.toml: "), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
            for word in words {
                assert!(message.contains(word), "{text:?}: {message}");
            }
        }
    }
}
