//! Settings: the hyperparameters of one run in a group.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::csv::Cell;
use crate::hyperparameters::Decay;
use crate::statistics::{grouped, short, typographic};

/// The loss, to which the penalty is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// The cross-entropy of a softmax.
    #[default]
    Softmax,
    /// The binary cross-entropy of k sigmoids, one per class.
    Bce,
}

impl Loss {
    /// All losses.
    pub const ALL: [Loss; 2] = [Loss::Softmax, Loss::Bce];

    /// Its name in options, tables and files.
    pub const fn name(self) -> &'static str {
        match self {
            Loss::Softmax => "softmax",
            Loss::Bce => "bce",
        }
    }

    /// Its name for readers.
    pub const fn title(self) -> &'static str {
        match self {
            Loss::Softmax => "softmax",
            Loss::Bce => "sigmoids",
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
        named.ok_or_else(|| Error::invalid("loss", Self::EXPECTED, text))
    }
}

/// An error unless 0 ≤ 2λ < ∞ as `f32`.
pub(crate) fn check_lambda(lambda: f64) -> Result<()> {
    if !(lambda >= 0.0 && (2.0 * lambda as f32).is_finite()) {
        return Err(Error::invalid("lambda", "at least 0 and below 1.7e38", short(lambda)));
    }
    Ok(())
}

/// The hyperparameters that differ between the members of a group: λ, η, the loss and the decay of the learning rate.
///
/// λ multiplies Σ weight² without a ½. PyTorch's `weight_decay` is therefore 2λ, and `alpha` of linfa's logistic
/// regression, which sums the loss over the examples, is 2nλ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    pub(crate) lambda: f64,
    pub(crate) eta: f64,
    pub(crate) loss: Loss,
    pub(crate) decay: Option<Decay>,
}

impl Setting {
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

    /// A setting with the penalty λ · Σ weight², the constant learning rate η and [`Loss::Softmax`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] unless 0 ≤ 2λ < ∞ and 0 < η < ∞ as `f32`, the type that training computes in.
    pub fn new(lambda: f64, eta: f64) -> Result<Self> {
        check_lambda(lambda)?;
        if !(eta as f32 > 0.0 && (eta as f32).is_finite()) {
            // The smallest number above 0 in `f32`.
            let expected = if eta > 0.0 && eta < 1.0 { "at least 1.5e-45" } else { "above 0 and below 3.4e38" };
            return Err(Error::invalid("eta", expected, short(eta)));
        }
        // Adding 0 turns -0 into 0, so that one setting has one name.
        Ok(Self::of_report(lambda + 0.0, eta))
    }

    /// The same setting with another loss.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// The same setting with another decay; `None` keeps the learning rate constant.
    pub fn with_decay(self, decay: Option<Decay>) -> Self {
        Self { decay, ..self }
    }

    /// λ, the weight of the penalty.
    pub fn lambda(self) -> f64 {
        self.lambda
    }

    /// η, the learning rate of the first epoch.
    pub fn eta(self) -> f64 {
        self.eta
    }

    /// The loss.
    pub fn loss(self) -> Loss {
        self.loss
    }

    /// The learning rate in `epoch`, counted from 1. `validation_losses` are those after each epoch before it, NaN where
    /// there is none; only a decay on plateaus depends on them.
    pub fn learning_rate(self, epoch: usize, validation_losses: &[f64]) -> f64 {
        self.eta * self.decay.map_or(1.0, |decay| decay.factor_in(epoch, validation_losses))
    }

    /// True if the learning rate depends on the loss on the validation split.
    pub fn needs_validation(self) -> bool {
        self.decay.is_some_and(|decay| decay.patience().is_some())
    }

    /// Checks that the decay of a configuration file, if there is one, can change the learning rate in `epochs` epochs.
    ///
    /// # Errors
    ///
    /// That of [`Decay::check_effect`].
    pub fn check_decay(self, epochs: usize) -> Result<()> {
        self.decay.map_or(Ok(()), |decay| decay.check_effect(epochs, ["decay_every", "decay_patience"]))
    }

    /// The setting's name in file names and tables, such as `lambda0.1_eta0.001`. A loss or decay that the report does
    /// not use follows, as in `lambda0.001_eta0.01_bce_decay20x0.5` or `lambda0_eta0.01_plateau5x0.1`.
    pub fn name(self) -> String {
        let mut name = format!("lambda{}_eta{}", self.lambda, self.eta);
        if self.loss != Loss::default() {
            name += &format!("_{}", self.loss);
        }
        match self.decay {
            None => {}
            Some(decay) if decay.patience().is_some() => name += &format!("_{decay}"),
            Some(decay) => name += &format!("_decay{decay}"),
        }
        name
    }

    /// The setting for readers, such as `λ = 0.1, η = 0.001`; a loss or decay that the report does not use follows.
    pub fn title(self) -> String {
        let mut title = format!("λ = {}, η = {}", short(self.lambda), short(self.eta));
        if let Some(decay) = self.decay {
            title += &format!(", {}", decay.title());
        }
        if self.loss != Loss::default() {
            title += &format!(", {}", self.loss.title());
        }
        typographic(&title)
    }

    /// The setting with this [name](Self::name); `None` if it is that of no setting.
    pub fn from_name(name: &str) -> Option<Self> {
        let (lambda, rest) = name.strip_prefix("lambda")?.split_once("_eta")?;
        let mut parts = rest.split('_');
        let mut setting = Self::new(lambda.parse().ok()?, parts.next()?.parse().ok()?).ok()?;
        for part in parts {
            setting = match part.parse() {
                Ok(loss) => setting.with_loss(loss),
                Err(_) => setting.with_decay(Some(part.strip_prefix("decay").unwrap_or(part).parse().ok()?)),
            };
        }
        (setting.name() == name).then_some(setting)
    }
}

/// A text of a table, for readers: the names of settings and losses as their titles, whole numbers with commas between
/// thousands, and the typographic minus.
pub fn readable(text: &str) -> String {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let word = |word: &str| {
        let number = word.parse().ok().filter(|_| word.starts_with(|c: char| ('1'..='9').contains(&c)));
        let setting = Setting::from_name(word.strip_prefix("model_").unwrap_or(word)).map(Setting::title);
        setting.or_else(|| Some(word.parse::<Loss>().ok()?.title().into())).or_else(|| number.map(grouped))
    };
    let mut readable = String::new();
    for part in text.split_inclusive(|c| !is_of_name(c)) {
        let name = part.trim_end_matches(|c| !is_of_name(c));
        readable += &word(name).unwrap_or_else(|| name.into());
        readable += &part[name.len()..];
    }
    typographic(&readable)
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
    fn settings_outside_their_range_are_refused() {
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
        let title = |lambda, eta| Setting::new(lambda, eta).unwrap().title();
        assert_eq!(title(0.0, 0.001), "λ = 0, η = 0.001");
        assert_eq!(title(1e-9, 1e30), "λ = 1e−9, η = 1e30");
        let other = Setting::new(0.0, 0.01).unwrap().with_loss(Loss::Bce);
        let other = other.with_decay(Some("10x0.3".parse().unwrap()));
        assert_eq!(other.title(), "λ = 0, η = 0.01, × 0.3 every 10 epochs, sigmoids");
        let other = other.with_decay(Some("plateau5x0.1".parse().unwrap()));
        assert_eq!(other.title(), "λ = 0, η = 0.01, × 0.1 on plateaus of 5 epochs, sigmoids");
    }

    #[test]
    fn a_name_is_that_of_its_setting_and_no_other_text_is() {
        let setting = Setting::new(0.0003, 1e-7).unwrap();
        let decays = [None, Some("20x0.5".parse().unwrap()), Some("plateau5x0.1".parse().unwrap())];
        for setting in decays.map(|decay| setting.with_decay(decay)) {
            for setting in Loss::ALL.map(|loss| setting.with_loss(loss)) {
                assert_eq!(Setting::from_name(&setting.name()), Some(setting));
            }
        }
        for other in ["", "lambda0", "lambda0_eta", "lambda00_eta0.1", "lambda0_eta0.1_", "lambda-1_eta0.1", "student"]
        {
            assert_eq!(Setting::from_name(other), None, "{other}");
        }
        assert_eq!(Setting::from_name("lambda0_eta0.1_decay20x0.5_bce"), None, "the loss precedes the decay");
    }

    #[test]
    fn a_text_for_readers_has_titles_commas_and_the_typographic_minus() {
        for (text, expected) in [
            ("lambda0.1_eta0.001 minus lambda0_eta0.001: -0.28", "λ = 0.1, η = 0.001 minus λ = 0, η = 0.001: −0.28"),
            ("lambda0_eta0.01_bce", "λ = 0, η = 0.01, sigmoids"),
            ("10000 images, the start, bce", "10,000 images, the start, sigmoids"),
            (
                "10,000 images of data_batch_1.bin, p = 0.03125, 00012",
                "10,000 images of data_batch_1.bin, p = 0.03125, 00012",
            ),
            ("student.npz", "student.npz"),
            ("", ""),
        ] {
            assert_eq!(readable(text), expected);
        }
    }

    #[test]
    fn a_negative_zero_is_the_setting_zero() {
        assert_eq!(Setting::new(-0.0, 0.1).unwrap().name(), Setting::REPORT[0].name());
    }

    #[test]
    fn a_learning_rate_falls_at_the_first_epoch_of_each_step() {
        let constant = Setting::new(0.1, 0.8).unwrap();
        assert_eq!((constant.learning_rate(1, &[]), constant.learning_rate(99, &[])), (0.8, 0.8));
        let falling = constant.with_decay(Some(Decay::step(3, 0.5).unwrap()));
        let rates: Vec<_> = (1..=7).map(|e| falling.learning_rate(e, &[])).collect();
        assert_eq!(rates, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]);
        assert_eq!(falling.learning_rate(usize::MAX, &[]), 0.0);
        assert!(!constant.needs_validation() && !falling.needs_validation());
    }

    #[test]
    fn a_loss_or_decay_that_the_report_lacks_is_at_the_end_of_the_name() {
        let setting = Setting::new(0.001, 0.01).unwrap().with_loss(Loss::Bce);
        assert_eq!(setting.name(), "lambda0.001_eta0.01_bce");
        let setting = setting.with_decay(Some("20x0.5".parse().unwrap()));
        assert_eq!(setting.name(), "lambda0.001_eta0.01_bce_decay20x0.5");
        let setting = setting.with_decay(Some("plateau5x0.1".parse().unwrap()));
        assert_eq!(setting.name(), "lambda0.001_eta0.01_bce_plateau5x0.1");
        assert!(setting.needs_validation());
    }

    #[test]
    fn twice_lambda_and_eta_are_numbers_of_f32() {
        let half = f64::from(f32::MAX) / 2.0;
        let smallest = f64::from(f32::from_bits(1));
        for (lambda, valid) in [(0.0, true), (half, true), (half * 1.01, false), (-f64::MIN_POSITIVE, false)] {
            assert_eq!(check_lambda(lambda).is_ok(), valid, "{lambda}");
        }
        let largest = f64::from(f32::MAX);
        for (eta, valid) in [(smallest, true), (smallest / 4.0, false), (largest, true), (largest * 1.01, false)] {
            assert_eq!(Setting::new(0.0, eta).is_ok(), valid, "{eta}");
        }
        let refusal = |lambda, eta| Setting::new(lambda, eta).unwrap_err().to_string();
        assert_eq!(refusal(f64::NAN, 0.1), "lambda must be at least 0 and below 1.7e38, but is NaN");
        assert_eq!(refusal(0.0, 1e-60), "eta must be at least 1.5e-45, but is 1e-60");
        for (eta, found) in [(0.0, "0"), (f64::INFINITY, "inf"), (f64::NAN, "NaN"), (1e39, "1e39")] {
            assert_eq!(refusal(0.0, eta), format!("eta must be above 0 and below 3.4e38, but is {found}"));
        }
    }

    #[test]
    fn a_setting_has_the_numbers_that_it_was_made_of() {
        let decay = "plateau5x0.1".parse().unwrap();
        let setting = Setting::new(0.25, 0.5).unwrap();
        let other = setting.with_loss(Loss::Bce).with_decay(Some(decay));
        for (setting, loss, needs_validation) in [(setting, Loss::Softmax, false), (other, Loss::Bce, true)] {
            assert_eq!((setting.lambda(), setting.eta(), setting.loss()), (0.25, 0.5, loss));
            assert_eq!(setting.needs_validation(), needs_validation);
        }
        assert_eq!(Loss::ALL.map(Loss::name), ["softmax", "bce"]);
        assert_eq!(Loss::ALL.map(Loss::title), ["softmax", "sigmoids"]);
        assert_eq!(other.with_decay(None).with_loss(Loss::Softmax), setting);
    }

    #[test]
    fn a_decay_of_a_file_is_refused_with_the_name_of_its_key() {
        let refusal = |decay: &str, epochs| {
            let setting = Setting::REPORT[1].with_decay(Some(decay.parse().unwrap()));
            setting.check_decay(epochs).map_err(|error| error.to_string())
        };
        assert!(refusal("10x0.5", 10).unwrap_err().starts_with("decay_every must be at most 9, "));
        assert!(refusal("plateau9x0.5", 10).unwrap_err().starts_with("decay_patience must be at most 8, "));
        assert_eq!((refusal("9x0.5", 10), refusal("plateau8x0.5", 10)), (Ok(()), Ok(())));
        Setting::REPORT[1].check_decay(1).unwrap();
    }

    #[test]
    fn a_name_inside_a_text_is_a_title_and_other_words_stay() {
        for (text, expected) in [
            ("model_lambda0_eta0.1", "λ = 0, η = 0.1"),
            ("model_lambda0_eta0.1.safetensors", "model_lambda0_eta0.1.safetensors"),
            ("softmax", "softmax"),
            ("(bce) 0123 1234 999", "(sigmoids) 0123 1,234 999"),
            ("1000000; lambda1_eta0.5, and lambda01_eta0.5", "1,000,000; λ = 1, η = 0.5, and lambda01_eta0.5"),
            ("--", "--"),
        ] {
            assert_eq!(readable(text), expected);
        }
    }
}
