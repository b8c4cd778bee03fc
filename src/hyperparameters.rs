//! Validated settings: what is varied between the members of a group, and what they share.

use crate::error::{Error, Result};

/// What distinguishes one member of a group: the weight of the penalty and the learning rate.
///
/// λ multiplies Σ weight² without a ½. PyTorch's `weight_decay` is therefore 2λ, and `alpha` of linfa's logistic
/// regression, which sums the loss over the examples, is 2nλ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    lambda: f64,
    eta: f64,
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
        Self { lambda, eta }
    }

    /// `lambda` (λ) is the weight of the penalty Σ weight², `eta` (η) the learning rate.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] unless 0 ≤ λ < ∞ and 0 < η < ∞ as `f32`, the type that training computes in.
    pub fn new(lambda: f64, eta: f64) -> Result<Self> {
        if !(lambda >= 0.0 && (lambda as f32).is_finite()) {
            return Err(Error::InvalidValue {
                name: "lambda",
                expected: "a finite number of at least 0".into(),
                found: lambda.to_string(),
            });
        }
        if !(eta as f32 > 0.0 && (eta as f32).is_finite()) {
            return Err(Error::InvalidValue {
                name: "eta",
                expected: "a finite number above 0".into(),
                found: eta.to_string(),
            });
        }
        // Adding 0 turns -0 into 0, so that one setting has one name.
        Ok(Self {
            lambda: lambda + 0.0,
            eta,
        })
    }

    /// λ, the weight of the penalty.
    pub fn lambda(self) -> f64 {
        self.lambda
    }

    /// η, the learning rate.
    pub fn eta(self) -> f64 {
        self.eta
    }

    /// The setting's name in file names and tables, such as `lambda0.1_eta0.001`.
    pub fn name(self) -> String {
        format!("lambda{}_eta{}", self.lambda, self.eta)
    }

    /// The test accuracy, a fraction, that the report states for this setting under [`Schedule::REPORT`]; `None` for a
    /// setting it doesn't have.
    pub fn reported_test_accuracy(self) -> Option<f64> {
        let stated = [0.2877, 0.3932, 0.3940, 0.3738];
        Setting::REPORT
            .iter()
            .position(|&s| s == self)
            .map(|i| stated[i])
    }
}

/// What the members of a group share: the stream of mini-batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Passes over the training split.
    pub epochs: usize,
    /// Examples of a mini-batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Seeds the random start and the shuffling, each with a stream of its own.
    pub seed: u64,
    /// Whether the examples are shuffled anew at each epoch; otherwise they stay in file order.
    pub shuffle: bool,
}

impl Schedule {
    /// The report's protocol, with the seed that this project uses unless told otherwise.
    pub const REPORT: Schedule = Schedule {
        epochs: 40,
        batch_size: 100,
        seed: 42,
        shuffle: true,
    };

    /// Checks the schedule against a training split of `examples`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] for 0 epochs and for a batch size of 0 or above `examples`.
    pub fn validate(&self, examples: usize) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::InvalidValue {
                name: "epochs",
                expected: "at least 1".into(),
                found: "0".into(),
            });
        }
        if !(1..=examples).contains(&self.batch_size) {
            return Err(Error::InvalidValue {
                name: "batch-size",
                expected: format!("1 to {examples}, the number of training examples"),
                found: self.batch_size.to_string(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_report_are_valid_and_named_as_its_files() {
        let names: Vec<_> = Setting::REPORT
            .iter()
            .map(|s| Setting::new(s.lambda, s.eta).unwrap().name())
            .collect();
        assert_eq!(
            names,
            [
                "lambda0_eta0.1",
                "lambda0_eta0.001",
                "lambda0.1_eta0.001",
                "lambda1_eta0.001"
            ]
        );
    }

    #[test]
    fn settings_in_which_training_is_undefined_are_refused() {
        for lambda in [-0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e39] {
            let message = Setting::new(lambda, 0.1).unwrap_err().to_string();
            assert!(message.starts_with("lambda must be"), "{message}");
        }
        for eta in [0.0, -0.0, -0.1, f64::NAN, f64::INFINITY, 1e39, 1e-60] {
            let message = Setting::new(0.0, eta).unwrap_err().to_string();
            assert!(message.starts_with("eta must be"), "{message}");
        }
    }

    #[test]
    fn a_negative_zero_is_the_setting_zero() {
        assert_eq!(
            Setting::new(-0.0, 0.1).unwrap().name(),
            Setting::REPORT[0].name()
        );
    }

    #[test]
    fn only_the_settings_of_the_report_have_a_reported_accuracy() {
        assert_eq!(Setting::REPORT[2].reported_test_accuracy(), Some(0.3940));
        assert_eq!(
            Setting::new(0.2, 0.001).unwrap().reported_test_accuracy(),
            None
        );
    }

    #[test]
    fn a_schedule_needs_an_epoch_and_a_batch_that_the_split_can_fill() {
        let schedule = Schedule::REPORT;
        schedule.validate(100).unwrap();
        assert!(schedule.validate(99).is_err());
        assert!(
            Schedule {
                epochs: 0,
                ..schedule
            }
            .validate(100)
            .is_err()
        );
        assert!(
            Schedule {
                batch_size: 0,
                ..schedule
            }
            .validate(100)
            .is_err()
        );
    }
}
