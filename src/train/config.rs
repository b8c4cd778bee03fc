//! A training job as a TOML file, whose keys are the names of the options of `train`: what `search` writes as `best.toml`
//! and `train --config` reads.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::hyperparameters::Loss;

/// The options that a file gives; one that it leaves out is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// λ, the weight of the penalty.
    pub lambda: Option<f64>,
    /// η, the learning rate of the first epoch.
    pub eta: Option<f64>,
    /// What is minimised besides the penalty.
    pub loss: Option<Loss>,
    /// The epochs after each of which the learning rate falls.
    pub decay_every: Option<usize>,
    /// What it is then multiplied with.
    pub decay_factor: Option<f64>,
    /// The probability of a flip.
    pub flip: Option<f64>,
    /// Examples a mini-batch.
    pub batch_size: Option<usize>,
    /// Passes over the training split.
    pub epochs: Option<usize>,
    /// The seed of the start, the shuffling and the flips.
    pub seed: Option<u64>,
    /// The data set's name.
    pub dataset: Option<String>,
    /// Training batches of CIFAR-10 to train on.
    pub train_batches: Option<Vec<u8>>,
    /// Images held out of them for validation.
    pub validation_size: Option<usize>,
}

impl Config {
    /// The content of the file: each line of `remarks` as a comment, then the options that are given.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for a seed above 2⁶³ − 1, the largest integer of TOML.
    pub fn to_toml(&self, remarks: &[String]) -> Result<Vec<u8>> {
        if let Some(seed) = self.seed.filter(|&seed| i64::try_from(seed).is_err()) {
            return Err(Error::invalid(
                "seed",
                format!("at most {}, the largest number of a TOML file", i64::MAX),
                seed,
            ));
        }
        let mut text: String = remarks.iter().map(|line| format!("# {line}\n")).collect();
        text += &toml::to_string(self).expect("numbers, text and lists of numbers are always TOML");
        Ok(text.into_bytes())
    }

    /// Reads a file. `path` is what an error names.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for a text that is not TOML, an option that there is not, and a value of another type.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|e| {
            let before = &text[..e.span().map_or(0, |span| span.start)];
            let line = before.matches('\n').count() + 1;
            // The message of a syntax error goes on with hints on lines of their own.
            let message: Vec<_> = e.message().lines().collect();
            Error::format(path, format!("line {line}: {}", message.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            lambda: Some(0.001),
            eta: Some(1e-9),
            loss: Some(Loss::Bce),
            decay_every: Some(10),
            decay_factor: Some(0.5),
            flip: Some(0.0),
            batch_size: Some(100),
            epochs: Some(30),
            seed: Some(i64::MAX as u64),
            dataset: Some("cifar10".into()),
            train_batches: Some(vec![1, 2, 3, 4, 5]),
            validation_size: Some(0),
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
        assert_eq!(read(&text).unwrap(), config());
        let some = Config { decay_every: None, decay_factor: None, ..config() };
        assert_eq!(read(&some.to_toml(&[]).unwrap()).unwrap(), some);
        assert_eq!(read(b"").unwrap(), Config::default());
    }

    #[test]
    fn whole_numbers_may_be_written_without_a_point() {
        assert_eq!(read(b"lambda = 1\n").unwrap().lambda, Some(1.0));
    }

    #[test]
    fn a_seed_that_toml_has_no_number_for_is_refused() {
        let seed = Some(1 << 63);
        let error = Config { seed, ..config() }.to_toml(&[]).unwrap_err();
        assert!(error.to_string().starts_with("seed must be at most 9223372036854775807"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_with_its_place() {
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
