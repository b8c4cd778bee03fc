//! TOML files of a training job: `search` writes `best.toml`, `train --config` reads it. The keys are the names of the
//! options of `train`, but for `shuffle` (option `--no-shuffle`), `start` (option `--init`), and `decay_patience`, which with
//! `decay_factor` is the option `--decay-on-plateau`.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::error::{Error, Result};
use crate::files::csv::Row;
use crate::hyperparameters::{Hyperparameters, Origin, Shuffle};

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
        let refuse = |start: usize, message: &str| {
            let line = text[..start].matches('\n').count() + 1;
            // Hints may follow a message on lines of their own.
            let message: Vec<_> = message.lines().collect();
            Error::format(path, format!("line {line}: {}", message.join(", ")))
        };
        let invalid = |e: toml::de::Error| refuse(e.span().map_or(0, |span| span.start), &sentence(e.message()));
        let no_toml = |e: toml::de::Error| {
            let message = format!("must be `name = value`, such as eta = 0.001 or loss = \"bce\": {}", e.message());
            refuse(e.span().map_or(0, |span| span.start), &message)
        };
        let table = DeTable::parse(text).map_err(no_toml)?;
        let known = [&Hyperparameters::columns()[..], &IMAGE_KEYS].concat();
        for key in table.get_ref().keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let message = format!("unknown field `{name}`, expected one of {}", known.join(", "));
                return Err(refuse(key.span().start, &message));
            }
        }
        let hyperparameters: Hyperparameters = toml::from_str(text).map_err(invalid)?;
        hyperparameters.decay().map_err(|e| {
            let keys = Hyperparameters::columns().into_iter();
            Error::format(path, keys.fold(e.to_string(), |text, key| text.replace(&key.replace('_', "-"), key)))
        })?;
        if hyperparameters.shuffle == Shuffle::Unknown || hyperparameters.start == Origin::Unknown {
            return Err(Error::format(path, "shuffle and start must not be unknown: remove the line"));
        }
        let images: Images = toml::from_str(text).map_err(invalid)?;
        if images.validation_size.is_some() && images.validation_batches.is_some() {
            return Err(Error::format(
                path,
                "validation_size and validation_batches exclude each other: remove one line",
            ));
        }
        Ok(Self {
            hyperparameters,
            images,
            keys: table.get_ref().keys().map(|key| key.get_ref().to_string()).collect(),
        })
    }
}

/// A message about a value of another type, without the names of Rust's types.
fn sentence(message: &str) -> String {
    let Some((found, expected)) = message.split_once(", expected ") else { return message.into() };
    let Some(found) = found.strip_prefix("invalid type: ").or(found.strip_prefix("invalid value: ")) else {
        return message.into();
    };
    let expected = match expected {
        "usize" | "u64" | "u8" => "a whole number of at least 0",
        "f64" => "a number",
        other => other,
    };
    format!("must be {expected}, but is {found}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyperparameters::{Decay, Loss};

    #[test]
    fn a_value_of_another_type_is_refused_in_words_a_user_knows() {
        for (text, reason) in [
            ("epochs = \"x\"", "must be a whole number of at least 0, but is string \"x\""),
            ("epochs = -1", "must be a whole number of at least 0, but is integer `-1`"),
            ("eta = true", "must be a number, but is boolean `true`"),
        ] {
            let message = Config::from_toml(text, Path::new("best.toml")).unwrap_err().to_string();
            assert_eq!(message, format!("best.toml: line 1: {reason}"));
        }
        // What is no such message stays as it is.
        assert_eq!(sentence("unclosed table, expected `]`"), "unclosed table, expected `]`");
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
            ("validation_size = 10\nvalidation_batches = [2]\n", "exclude each other"),
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
            ("lambda = 1\nlamda = 2\n", &["line 2", "unknown field `lamda`"][..]),
            ("\nloss = \"hinge\"\n", &["line 2", "hinge", "softmax"]),
            ("epochs = -1\n", &["line 1", "-1"]),
            ("epochs = 1.5\n", &["line 1"]),
            ("eta = \"much\"\n", &["line 1", "much"]),
            ("eta = \n", &["line 1"]),
            ("[table\n", &["line 1"]),
            ("flip = 0.5\nflip = 0.5\n", &["line 2", "duplicate"]),
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
