//! Validated settings: what is varied between the members of a group, and what they share.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::csv::Cell;

/// What is minimised, besides the penalty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// The cross-entropy of a softmax: exactly one class is the right one.
    #[default]
    Softmax,
    /// The binary cross-entropy of k sigmoids, one a class, each of which says yes or no on its own.
    Bce,
}

impl Loss {
    /// Both losses.
    pub const ALL: [Loss; 2] = [Loss::Softmax, Loss::Bce];

    /// The loss's name in options, tables and files.
    pub const fn name(self) -> &'static str {
        match self {
            Loss::Softmax => "softmax",
            Loss::Bce => "bce",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Loss::ALL.into_iter().find(|loss| loss.name() == text);
        named.ok_or_else(|| Error::invalid("loss", "softmax or bce", text))
    }
}

impl Cell for Loss {
    const EXPECTED: &'static str = "softmax or bce";

    fn to_text(&self) -> Cow<'_, str> {
        self.name().into()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A learning rate that falls in steps: in epoch e, counted from 1, it is η · factor^⌊(e − 1) / every⌋.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    every: usize,
    factor: f64,
}

impl Decay {
    /// After each `every` epochs the learning rate is multiplied with `factor`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] unless `every` is at least 1 and 0 < `factor` < 1.
    pub fn new(every: usize, factor: f64) -> Result<Self> {
        if every == 0 {
            return Err(Error::invalid("decay-every", "at least 1", "0"));
        }
        if !(factor > 0.0 && factor < 1.0) {
            return Err(Error::invalid("decay-factor", "above 0 and below 1", factor));
        }
        Ok(Self { every, factor })
    }

    /// The epochs of one step.
    pub fn every(self) -> usize {
        self.every
    }

    /// What the learning rate is multiplied with at each step.
    pub fn factor(self) -> f64 {
        self.factor
    }
}

/// As it stands in names: `20x0.5` halves the learning rate every 20 epochs.
impl fmt::Display for Decay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.every, self.factor)
    }
}

impl FromStr for Decay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('x');
        let numbers = parts.and_then(|(e, f)| Some((e.parse().ok()?, f.parse().ok()?)));
        let (every, factor) =
            numbers.ok_or_else(|| Error::invalid("decay", "epochs and factor, such as 20x0.5", text))?;
        Self::new(every, factor)
    }
}

/// What distinguishes one member of a group: the weight of the penalty, the learning rate and how it falls, the loss.
///
/// λ multiplies Σ weight² without a ½. PyTorch's `weight_decay` is therefore 2λ, and `alpha` of linfa's logistic
/// regression, which sums the loss over the examples, is 2nλ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    lambda: f64,
    eta: f64,
    loss: Loss,
    decay: Option<Decay>,
}

impl Setting {
    /// The learning rate that three of the report's four settings share.
    pub const DEFAULT_ETA: f64 = 0.001;

    /// The four settings of the report, in its order.
    pub const REPORT: [Setting; 4] = [
        Setting::of_report(0.0, 0.1),
        Setting::of_report(0.0, 0.001),
        Setting::of_report(0.1, 0.001),
        Setting::of_report(1.0, 0.001),
    ];

    const fn of_report(lambda: f64, eta: f64) -> Self {
        Self { lambda, eta, loss: Loss::Softmax, decay: None }
    }

    /// `lambda` (λ) is the weight of the penalty Σ weight², `eta` (η) the learning rate, which stays as it is; the loss
    /// is [`Loss::Softmax`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] unless 0 ≤ 2λ < ∞ and 0 < η < ∞ as `f32`, the type that training computes in.
    pub fn new(lambda: f64, eta: f64) -> Result<Self> {
        if !(lambda >= 0.0 && (2.0 * lambda as f32).is_finite()) {
            return Err(Error::invalid("lambda", "a finite number of at least 0, below 1.7e38", lambda));
        }
        if !(eta as f32 > 0.0 && (eta as f32).is_finite()) {
            return Err(Error::invalid("eta", "a finite number above 0", eta));
        }
        // Adding 0 turns -0 into 0, so that one setting has one name.
        Ok(Self::of_report(lambda + 0.0, eta))
    }

    /// The same setting with another loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// The same setting with a learning rate that falls, or, with `None`, stays.
    pub fn with_decay(self, decay: Option<Decay>) -> Self {
        Self { decay, ..self }
    }

    /// λ, the weight of the penalty.
    pub fn lambda(self) -> f64 {
        self.lambda
    }

    /// η, the learning rate, of the first epoch.
    pub fn eta(self) -> f64 {
        self.eta
    }

    /// The loss.
    pub fn loss(self) -> Loss {
        self.loss
    }

    /// How the learning rate falls, if it does.
    pub fn decay(self) -> Option<Decay> {
        self.decay
    }

    /// The learning rate in `epoch`, counted from 1.
    pub fn learning_rate(self, epoch: usize) -> f64 {
        match self.decay {
            None => self.eta,
            Some(Decay { every, factor }) => {
                let steps = epoch.saturating_sub(1) / every;
                self.eta * factor.powi(i32::try_from(steps).unwrap_or(i32::MAX))
            }
        }
    }

    /// The setting's name in file names and tables, such as `lambda0.1_eta0.001`; what the report doesn't have stands
    /// behind it, as in `lambda0.001_eta0.01_bce_decay20x0.5`.
    pub fn name(self) -> String {
        let mut name = format!("lambda{}_eta{}", self.lambda, self.eta);
        if self.loss != Loss::default() {
            name += &format!("_{}", self.loss);
        }
        if let Some(decay) = self.decay {
            name += &format!("_decay{decay}");
        }
        name
    }

    /// The setting's title in figures, such as `λ = 0.1   η = 0.001`; what the report doesn't have stands behind it.
    pub fn title(self) -> String {
        let mut title = title(self.lambda, self.eta);
        if let Some(decay) = self.decay {
            title += &format!(", × {} every {} epochs", short(decay.factor()), decay.every());
        }
        if self.loss != Loss::default() {
            title += &format!("   {}", self.loss);
        }
        title
    }

    /// The test accuracy, a fraction, that the report states for this setting under [`Schedule::REPORT`]; `None` for a
    /// setting it doesn't have.
    pub fn reported_test_accuracy(self) -> Option<f64> {
        let stated = [0.2877, 0.3932, 0.3940, 0.3738];
        Setting::REPORT.iter().position(|&s| s == self).map(|i| stated[i])
    }
}

/// `λ = 0.1   η = 0.001`.
pub fn title(lambda: f64, eta: f64) -> String {
    format!("λ = {}   η = {}", short(lambda), short(eta))
}

/// `value` with all its digits, but without long runs of zeros: `0.001`, `1e-9`.
pub fn short(value: f64) -> String {
    if value == 0.0 || (1e-5..1e6).contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

/// What the members of a group share: the stream of mini-batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Passes over the training split.
    pub epochs: usize,
    /// Examples of a mini-batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Seeds the random start, the shuffling and the flips, each with a stream of its own.
    pub seed: u64,
    /// Whether the examples are shuffled anew at each epoch; otherwise they stay in file order.
    pub shuffle: bool,
    /// The probability, 0 to 1, with which an image is mirrored left to right, decided anew for each image and epoch.
    pub flip: f64,
}

impl Schedule {
    /// The report's protocol, with the seed that this project uses unless told otherwise.
    pub const REPORT: Schedule = Schedule { epochs: 40, batch_size: 100, seed: 42, shuffle: true, flip: 0.0 };

    /// Checks the schedule against a training split of `examples`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for 0 epochs, for a batch size of 0 or above `examples`, and for a flip that is no
    /// probability.
    pub fn validate(&self, examples: usize) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::invalid("epochs", "at least 1", "0"));
        }
        if !(1..=examples).contains(&self.batch_size) {
            return Err(Error::invalid(
                "batch-size",
                format!("1 to {examples}, the number of training examples"),
                self.batch_size,
            ));
        }
        if !(0.0..=1.0).contains(&self.flip) {
            return Err(Error::invalid("flip", "a probability, 0 to 1", self.flip));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_report_are_valid_and_named_as_its_files() {
        let names: Vec<_> = Setting::REPORT.iter().map(|s| Setting::new(s.lambda, s.eta).unwrap().name()).collect();
        assert_eq!(names, ["lambda0_eta0.1", "lambda0_eta0.001", "lambda0.1_eta0.001", "lambda1_eta0.001"]);
    }

    #[test]
    fn settings_in_which_training_is_undefined_are_refused() {
        for lambda in [-0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3e38, 1e39] {
            let message = Setting::new(lambda, 0.1).unwrap_err().to_string();
            assert!(message.starts_with("lambda must be"), "{message}");
        }
        for eta in [0.0, -0.0, -0.1, f64::NAN, f64::INFINITY, 1e39, 1e-60] {
            let message = Setting::new(0.0, eta).unwrap_err().to_string();
            assert!(message.starts_with("eta must be"), "{message}");
        }
    }

    #[test]
    fn a_title_has_the_numbers_as_they_are_and_what_the_report_does_not_have() {
        assert_eq!(title(0.0, 0.001), "λ = 0   η = 0.001");
        assert_eq!(title(1e-9, 1e300), "λ = 1e-9   η = 1e300");
        assert_eq!(Setting::REPORT[1].title(), title(0.0, 0.001));
        let other = Setting::new(0.0, 0.01).unwrap().with_loss(Loss::Bce);
        let other = other.with_decay(Some("10x0.3".parse().unwrap()));
        assert_eq!(other.title(), "λ = 0   η = 0.01, × 0.3 every 10 epochs   bce");
    }

    #[test]
    fn a_negative_zero_is_the_setting_zero() {
        assert_eq!(Setting::new(-0.0, 0.1).unwrap().name(), Setting::REPORT[0].name());
    }

    #[test]
    fn only_the_settings_of_the_report_have_a_reported_accuracy() {
        assert_eq!(Setting::REPORT[2].reported_test_accuracy(), Some(0.3940));
        assert_eq!(Setting::new(0.2, 0.001).unwrap().reported_test_accuracy(), None);
    }

    #[test]
    fn a_learning_rate_falls_at_the_first_epoch_of_each_step() {
        let constant = Setting::new(0.1, 0.8).unwrap();
        assert_eq!((constant.learning_rate(1), constant.learning_rate(99)), (0.8, 0.8));
        let falling = constant.with_decay(Some(Decay::new(3, 0.5).unwrap()));
        let rates: Vec<_> = (1..=7).map(|e| falling.learning_rate(e)).collect();
        assert_eq!(rates, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]);
        assert_eq!(falling.learning_rate(usize::MAX), 0.0);
    }

    #[test]
    fn what_the_report_does_not_have_stands_at_the_end_of_the_name() {
        let setting = Setting::new(0.001, 0.01).unwrap().with_loss(Loss::Bce);
        assert_eq!(setting.name(), "lambda0.001_eta0.01_bce");
        let setting = setting.with_decay(Some("20x0.5".parse().unwrap()));
        assert_eq!(setting.name(), "lambda0.001_eta0.01_bce_decay20x0.5");
        assert_eq!(setting.reported_test_accuracy(), None);
        let other = Setting::REPORT[2].with_loss(Loss::Bce);
        assert_eq!(other.reported_test_accuracy(), None);
    }

    #[test]
    fn a_loss_and_a_decay_read_back_as_they_are_written() {
        for loss in Loss::ALL {
            assert_eq!(loss.to_string().parse::<Loss>().unwrap(), loss);
        }
        let decay = Decay::new(7, 0.1).unwrap();
        assert_eq!(decay.to_string().parse::<Decay>().unwrap(), decay);
        for (text, words) in [
            ("20", "such as 20x0.5, but is 20"),
            ("x0.5", "such as"),
            ("20x", "such as"),
            ("-1x0.5", "such as"),
            ("0x0.5", "decay-every must be at least 1"),
            ("20x0", "decay-factor must be above 0 and below 1, but is 0"),
            ("20x1", "decay-factor"),
            ("20xNaN", "decay-factor"),
        ] {
            let message = text.parse::<Decay>().unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
        let message = "hinge".parse::<Loss>().unwrap_err().to_string();
        assert_eq!(message, "loss must be softmax or bce, but is hinge");
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
}
