//! Hyperparameters: the settings of single runs, the schedule that the runs of a group share, and the one form in which
//! both are stored.

mod decay;
mod options;
mod setting;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use decay::Decay;
pub(crate) use options::{START_OVER, difference};
pub(crate) use setting::check_lambda;
pub use setting::{Loss, Setting, readable};

use crate::error::{Error, Result};
use crate::files::csv::{self, Cell, cells, row};
use crate::files::safetensors::Texts;
use crate::statistics::{count, short};

row! {
    /// The hyperparameters of one run, as tables, models, checkpoints, `provenance.json` and TOML files store them.
    ///
    /// A new hyperparameter is a field here, and a field of [`Setting`] or [`Schedule`] for training to use it.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Hyperparameters {
        /// λ, the weight of the penalty.
        pub lambda: f64,
        /// η, the learning rate of the first epoch.
        pub eta: f64,
        /// Examples per mini-batch.
        pub batch_size: usize,
        /// Passes over the training split.
        pub epochs: usize,
        /// Seed of the random start, the shuffling and the flips.
        pub seed: u64,
        /// The loss, to which the penalty is added.
        pub loss: Loss,
        /// Epochs after each of which the learning rate falls; `None` if it does not fall in steps.
        pub decay_every: Option<usize>,
        /// Factor by which it falls, in steps or on plateaus.
        pub decay_factor: Option<f64>,
        /// Epochs of a plateau of the validation loss, at the end of which it falls; `None` if it does not fall on plateaus.
        pub decay_patience: Option<usize>,
        /// Probability that an image is mirrored.
        pub flip: f64,
        /// Shuffling of the examples.
        pub shuffle: Shuffle,
        /// Origin of the initial parameters.
        pub start: Origin,
    }
}

impl Hyperparameters {
    /// The hyperparameters of a run with `setting` that follows `schedule` from a start of `origin`.
    pub fn new(setting: Setting, schedule: &Schedule, origin: &Origin) -> Self {
        // Destructured, so that a new field cannot be forgotten.
        let Setting { lambda, eta, loss, decay } = setting;
        let Schedule { epochs, batch_size, seed, shuffle, flip } = *schedule;
        Self {
            lambda,
            eta,
            batch_size,
            epochs,
            seed,
            loss,
            decay_every: None,
            decay_factor: None,
            decay_patience: None,
            flip,
            shuffle,
            start: origin.clone(),
        }
        .with_decay(decay)
    }

    /// The setting of the run.
    ///
    /// # Errors
    ///
    /// Those of [`Setting::new`] and [`Hyperparameters::decay`].
    pub fn setting(&self) -> Result<Setting> {
        Ok(Setting::new(self.lambda, self.eta)?.with_loss(self.loss).with_decay(self.decay()?))
    }

    /// The decay of the learning rate. One on plateaus may lack its factor, which then is [`Decay::PLATEAU_FACTOR`].
    ///
    /// # Errors
    ///
    /// Those of [`Decay::step`] and [`Decay::plateau`]; [`Error::InvalidValue`] for one half of a decay, and for two.
    pub fn decay(&self) -> Result<Option<Decay>> {
        let missing = |name, other: &str| Err(Error::invalid(name, format!("given together with {other}"), "missing"));
        match (self.decay_every, self.decay_patience, self.decay_factor) {
            (None, None, None) => Ok(None),
            (Some(every), None, Some(factor)) => Decay::step(every, factor).map(Some),
            (None, Some(patience), factor) => {
                Decay::plateau(patience, factor.unwrap_or(Decay::PLATEAU_FACTOR)).map(Some)
            }
            (Some(_), None, None) => missing("decay-factor", "decay-every"),
            (None, None, Some(_)) => missing("decay-every", "decay-factor"),
            (Some(every), Some(_), _) => Err(Error::invalid("decay-every", "left out beside decay-patience", every)),
        }
    }

    /// The same hyperparameters with another decay.
    pub fn with_decay(self, decay: Option<Decay>) -> Self {
        Self {
            decay_every: decay.and_then(Decay::every),
            decay_factor: decay.map(Decay::factor),
            decay_patience: decay.and_then(Decay::patience),
            ..self
        }
    }

    /// The schedule of the run; [`Schedule::validate`] checks it.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            epochs: self.epochs,
            batch_size: self.batch_size,
            seed: self.seed,
            shuffle: self.shuffle,
            flip: self.flip,
        }
    }

    /// Text by name, numbers as `Display` writes them; a missing value has no entry. [`csv::from_fields`] is the inverse.
    pub(crate) fn to_texts(&self) -> Texts {
        // A table has 0.0 where `Display` writes 0.
        let display = |text: String| match (text.parse::<u64>(), text.parse::<f64>()) {
            (Err(_), Ok(number)) => number.to_string(),
            _ => text,
        };
        let fields = csv::to_fields(self).into_iter().filter(|(_, text)| !text.is_empty());
        fields.map(|(name, text)| (name.into(), display(text))).collect()
    }

    /// The test accuracy, a fraction, that the report states for a run with these hyperparameters, whatever the seed, on
    /// these training, validation and test splits; `None` if the report has no such run.
    pub fn reported_test_accuracy(&self, splits: &[String; 3]) -> Option<f64> {
        const ACCURACIES: [f64; 4] = [0.2877, 0.3932, 0.3940, 0.3738];
        let setting = self.setting().ok()?;
        let place = Setting::REPORT.iter().position(|&reported| reported == setting)?;
        self.departures(splits).is_empty().then_some(ACCURACIES[place])
    }

    /// How a run with these hyperparameters on these training, validation and test splits differs from the report's
    /// protocol, whatever the setting and the seed, for readers: for example `2 epochs instead of 40`.
    pub(crate) fn departures(&self, splits: &[String; 3]) -> Vec<String> {
        let report = Self::default();
        let [train, validation, test] = splits;
        let [report_train, report_validation, report_test] = Self::REPORT_SPLITS;
        let parts = [
            (self.epochs != report.epochs, format!("{} instead of {}", count(self.epochs, "epoch"), report.epochs)),
            (
                self.batch_size != report.batch_size,
                format!("batches of {} instead of {}", self.batch_size, report.batch_size),
            ),
            (self.flip != report.flip, format!("flips with probability {}", short(self.flip))),
            (self.start != report.start, format!("start {} instead of {}", self.start, report.start)),
            (self.shuffle != report.shuffle, format!("shuffling {} instead of {}", self.shuffle, report.shuffle)),
            (train != report_train, format!("trained on {train} instead of {report_train}")),
            (validation == "none", "not validated".into()),
            (
                ![report_validation, "none"].contains(&validation.as_str()),
                format!("validated on {validation} instead of {report_validation}"),
            ),
            (test != report_test, format!("tested on {test} instead of {report_test}")),
        ];
        parts.into_iter().filter(|(differs, _)| *differs).map(|(_, words)| words).collect()
    }

    /// The report's training, validation and test split.
    const REPORT_SPLITS: [&str; 3] = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"];
}

/// The report's protocol with λ = 0 and η = 0.001.
impl Default for Hyperparameters {
    fn default() -> Self {
        Self::new(Setting::REPORT[1], &Schedule::REPORT, &Origin::Random)
    }
}

/// Shuffling of the examples at each epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shuffle {
    /// By the generator ChaCha8, seeded with the run's seed.
    ChaCha8,
    /// As `order = rng.permutation(n)` in NumPy, with `rng = default_rng(seed)` after it has drawn the starting weights.
    #[serde(rename = "numpy-permutation")]
    NumpyPermutation,
    /// As `rng.shuffle(order)` in NumPy, which shuffles the order of the epoch before; otherwise the same.
    #[serde(rename = "numpy-shuffle")]
    NumpyShuffle,
    /// Not at all: they stay in file order.
    None,
    /// Not recorded, as in models of earlier versions.
    Unknown,
}

impl fmt::Display for Shuffle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChaCha8 => "chacha8",
            Self::NumpyPermutation => "numpy-permutation",
            Self::NumpyShuffle => "numpy-shuffle",
            Self::None => "none",
            Self::Unknown => "unknown",
        })
    }
}

impl FromStr for Shuffle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::ChaCha8, Self::NumpyPermutation, Self::NumpyShuffle, Self::None, Self::Unknown];
        let shuffle = all.into_iter().find(|s| s.to_string() == text);
        shuffle.ok_or_else(|| Error::invalid("shuffle", Self::EXPECTED, text))
    }
}

/// Origin of the initial parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Origin {
    /// Drawn at random with the run's seed.
    Random,
    /// Drawn as `0.01 * default_rng(seed).standard_normal((k, d))` in NumPy, with the run's seed.
    Numpy,
    /// Read from a file; the SHA-256 of the parameters, in hexadecimal digits.
    File(String),
    /// Not recorded, as in models of earlier versions.
    Unknown,
}

/// `random`, `numpy`, or `file:` and the SHA-256.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Numpy => f.write_str("numpy"),
            Self::File(sha256) => write!(f, "file:{sha256}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.strip_prefix("file:")) {
            ("random", _) => Ok(Self::Random),
            ("numpy", _) => Ok(Self::Numpy),
            ("unknown", _) => Ok(Self::Unknown),
            (_, Some(sha256)) => Ok(Self::File(sha256.into())),
            _ => Err(Error::invalid("start", Self::EXPECTED, text)),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl TryFrom<String> for Origin {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

cells! {
    Loss: "softmax or bce", number: false;
    Shuffle: "chacha8, numpy-permutation, numpy-shuffle or none", number: false;
    Origin: "random, numpy, or file: and a SHA-256", number: false;
}

/// The hyperparameters that the members of a group share: those of the stream of mini-batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Passes over the training split.
    pub epochs: usize,
    /// Examples per mini-batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Seed of the random start, the shuffling and the flips, each of which draws from a stream of its own.
    pub seed: u64,
    /// Shuffling of the examples at each epoch; if it is unknown, they stay in file order.
    pub shuffle: Shuffle,
    /// Probability that an image is mirrored left to right, drawn for each image and epoch.
    pub flip: f64,
}

impl Schedule {
    /// The report's protocol, with this project's default seed.
    pub const REPORT: Schedule =
        Schedule { epochs: 40, batch_size: 100, seed: 42, shuffle: Shuffle::ChaCha8, flip: 0.0 };

    /// Checks the schedule against a training split of `examples`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for 0 epochs, a batch size of 0 or above `examples`, and a flip that is not a probability.
    pub fn validate(&self, examples: usize) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::invalid("epochs", "at least 1", self.epochs));
        }
        if self.batch_size == 0 {
            return Err(Error::invalid("batch-size", "at least 1", self.batch_size));
        }
        if self.batch_size > examples {
            let expected = format!("at most {examples}, the number of training examples");
            return Err(Error::invalid("batch-size", expected, self.batch_size));
        }
        if !(0.0..=1.0).contains(&self.flip) {
            return Err(Error::invalid("flip", "a probability, 0 to 1", self.flip));
        }
        Ok(())
    }
}
