//! Decays: how the learning rate falls in the course of a training.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::statistics::{count, short};

/// A learning rate that is multiplied by a factor at the end of some epochs: of every nth one, or of those in which the
/// validation loss has reached a plateau.
///
/// A plateau of p epochs ends with an epoch after which the validation loss has not been below its lowest value so far for p
/// epochs in a row; the count then starts anew. This is `ReduceLROnPlateau` of Keras with `patience=p`, `min_delta=0`,
/// `cooldown=0` and `min_lr=0`, and that of PyTorch with `patience=p-1`, `threshold=0`, `cooldown=0` and `min_lr=0`. Their
/// defaults also count an epoch that improves by less than 10⁻⁴.
#[derive(Clone, Copy, PartialEq)]
pub struct Decay {
    trigger: Trigger,
    factor: f64,
}

/// What makes the learning rate fall.
#[derive(Clone, Copy, PartialEq)]
enum Trigger {
    /// This number of epochs.
    Epochs(usize),
    /// This number of epochs without a new lowest validation loss.
    Plateau(usize),
}

/// Precedes the patience in the text of a decay.
const PLATEAU: &str = "plateau";

impl Decay {
    /// The factor of a decay on plateaus, if none is given; as in Keras and PyTorch.
    pub const PLATEAU_FACTOR: f64 = 0.1;

    /// A decay that multiplies the learning rate by `factor` after every `every` epochs.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] unless `every` is at least 1 and 0 < `factor` < 1.
    pub fn step(every: usize, factor: f64) -> Result<Self> {
        Self::new("decay-every", every, Trigger::Epochs(every), factor)
    }

    /// A decay that multiplies the learning rate by `factor` after every plateau of `patience` epochs.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] unless `patience` is at least 1 and 0 < `factor` < 1.
    pub fn plateau(patience: usize, factor: f64) -> Result<Self> {
        Self::new("decay-patience", patience, Trigger::Plateau(patience), factor)
    }

    fn new(name: &'static str, epochs: usize, trigger: Trigger, factor: f64) -> Result<Self> {
        if epochs == 0 {
            return Err(Error::invalid(name, "at least 1", epochs));
        }
        if !(factor > 0.0 && factor < 1.0) {
            return Err(Error::invalid("decay-factor", "above 0 and below 1", factor));
        }
        Ok(Self { trigger, factor })
    }

    /// The epochs after each of which the learning rate falls; `None` for a decay on plateaus.
    pub fn every(self) -> Option<usize> {
        match self.trigger {
            Trigger::Epochs(every) => Some(every),
            Trigger::Plateau(_) => None,
        }
    }

    /// The epochs of a plateau; `None` for a decay that does not depend on the validation loss.
    pub fn patience(self) -> Option<usize> {
        match self.trigger {
            Trigger::Epochs(_) => None,
            Trigger::Plateau(patience) => Some(patience),
        }
    }

    /// The factor of the learning rate at each fall.
    pub fn factor(self) -> f64 {
        self.factor
    }

    /// Checks that the learning rate can fall within `epochs` epochs. `names` are those of the epochs between two steps and of the
    /// patience, for the error.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the first fall would be after the last epoch.
    pub fn check_effect(self, epochs: usize, names: [&'static str; 2]) -> Result<()> {
        let [steps, plateaus] = names;
        let (name, found, largest) = match self.trigger {
            Trigger::Epochs(every) => (steps, every, epochs.saturating_sub(1)),
            // The first epoch is never on a plateau.
            Trigger::Plateau(patience) => (plateaus, patience, epochs.saturating_sub(2)),
        };
        let epochs = count(epochs, "epoch");
        let expected = match largest {
            _ if found <= largest => return Ok(()),
            0 => format!("left out, because the learning rate cannot fall within {epochs}"),
            _ => format!("at most {largest}, so that the learning rate falls before the last of {epochs}"),
        };
        Err(Error::invalid(name, expected, found))
    }

    /// The factor of the learning rate in `epoch`, counted from 1, after epochs with these validation losses.
    pub(super) fn factor_in(self, epoch: usize, validation_losses: &[f64]) -> f64 {
        let falls = match self.trigger {
            Trigger::Epochs(every) => epoch.saturating_sub(1) / every,
            Trigger::Plateau(patience) => plateaus(patience, validation_losses),
        };
        self.factor.powi(i32::try_from(falls).unwrap_or(i32::MAX))
    }

    /// In words, such as `× 0.3 every 10 epochs`.
    pub fn title(self) -> String {
        let (words, epochs) = match self.trigger {
            Trigger::Epochs(every) => ("every", every),
            Trigger::Plateau(patience) => ("on plateaus of", patience),
        };
        format!("× {} {words} {epochs} epoch{}", short(self.factor), if epochs == 1 { "" } else { "s" })
    }
}

/// The number of plateaus of `patience` epochs in `losses`. A NaN is not below the lowest loss.
fn plateaus(patience: usize, losses: &[f64]) -> usize {
    let (mut lowest, mut waited, mut plateaus) = (f64::INFINITY, 0, 0);
    for &loss in losses {
        if loss < lowest {
            (lowest, waited) = (loss, 0);
        } else {
            waited += 1;
        }
        if waited == patience {
            (waited, plateaus) = (0, plateaus + 1);
        }
    }
    plateaus
}

/// The digest of a search, which its table contains, is made of this text; that of a decay every n epochs must stay.
impl fmt::Debug for Decay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, epochs) = match self.trigger {
            Trigger::Epochs(every) => ("every", every),
            Trigger::Plateau(patience) => ("patience", patience),
        };
        f.debug_struct("Decay").field(name, &epochs).field("factor", &self.factor).finish()
    }
}

/// As in names: `20x0.5` halves the learning rate every 20 epochs, `plateau5x0.1` divides it by ten on plateaus of 5 epochs.
impl fmt::Display for Decay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trigger {
            Trigger::Epochs(every) => write!(f, "{every}x{}", self.factor),
            Trigger::Plateau(patience) => write!(f, "{PLATEAU}{patience}x{}", self.factor),
        }
    }
}

impl FromStr for Decay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (new, numbers): (fn(_, _) -> _, _) = match text.strip_prefix(PLATEAU) {
            Some(numbers) => (Self::plateau, numbers),
            None => (Self::step, text),
        };
        let numbers = numbers.split_once('x').and_then(|(e, f)| Some((e.parse().ok()?, f.parse().ok()?)));
        let expected = "at least 1 epoch and a factor between 0 and 1, such as 20x0.5 or plateau5x0.1";
        let decay = numbers.and_then(|(epochs, factor)| new(epochs, factor).ok());
        decay.ok_or_else(|| Error::invalid("decay", expected, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_reads_back_as_it_was_written() {
        for text in ["7x0.1", "20x0.5", "plateau5x0.1", "plateau1x0.999"] {
            assert_eq!(text.parse::<Decay>().unwrap().to_string(), text);
        }
        let (step, plateau) = (Decay::step(7, 0.5).unwrap(), Decay::plateau(7, 0.5).unwrap());
        assert_eq!((step.every(), step.patience(), step.factor()), (Some(7), None, 0.5));
        assert_eq!((plateau.every(), plateau.patience(), plateau.factor()), (None, Some(7), 0.5));
        assert_ne!(step, plateau);
        assert_eq!(
            (step.title(), plateau.title()),
            ("× 0.5 every 7 epochs".into(), "× 0.5 on plateaus of 7 epochs".into())
        );
        assert_eq!(Decay::step(1, 0.1).unwrap().title(), "× 0.1 every 1 epoch");
    }

    #[test]
    fn a_text_that_is_not_a_decay_is_refused() {
        for text in [
            "20",
            "x0.5",
            "20x",
            "-1x0.5",
            "0x0.5",
            "20x0",
            "20x1",
            "20xNaN",
            "plateau",
            "plateau5",
            "plateaux0.5",
            "plateau-1x0.5",
            "Plateau5x0.5",
            "plateau0x0.5",
            "plateau5x1",
            "plateau5xNaN",
        ] {
            let message = text.parse::<Decay>().unwrap_err().to_string();
            let expected = "at least 1 epoch and a factor between 0 and 1, such as 20x0.5 or plateau5x0.1";
            assert_eq!(message, format!("decay must be {expected}, but is {text}"));
        }
        let refusals = [Decay::step(0, 0.5), Decay::plateau(0, 0.5), Decay::step(1, 1.0)]
            .map(|decay| decay.unwrap_err().to_string());
        assert_eq!(
            refusals[..2],
            ["decay-every", "decay-patience"].map(|name| format!("{name} must be at least 1, but is 0"))
        );
        assert_eq!(refusals[2], "decay-factor must be above 0 and below 1, but is 1");
    }

    /// The factors in each epoch that follows the first ones of `losses`.
    fn factors(decay: Decay, losses: &[f64]) -> Vec<f64> {
        (0..=losses.len()).map(|done| decay.factor_in(done + 1, &losses[..done])).collect()
    }

    #[test]
    fn a_plateau_ends_after_the_epochs_without_a_new_lowest_loss_and_the_count_starts_anew() {
        let halved = |patience| Decay::plateau(patience, 0.5).unwrap();
        // Falls, rises above the lowest but falls again, stays, reaches a new lowest, stays.
        let losses = [3.0, 2.0, 2.5, 2.25, 2.0, 2.0, 1.0, 1.0, 1.5];
        //                 before:  1    2    3    4    5     6      7      8      9      after
        assert_eq!(factors(halved(2), &losses), [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]);
        assert_eq!(factors(halved(3), &losses), [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]);
        assert_eq!(factors(halved(4), &losses), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
        assert_eq!(factors(halved(5), &losses), [1.0; 10]);
        assert_eq!(factors(halved(1), &losses)[9], 0.5_f64.powi(6));
    }

    #[test]
    fn a_loss_that_falls_every_time_never_ends_in_a_plateau_and_a_constant_one_always_does() {
        let decay = Decay::plateau(1, 0.5).unwrap();
        let falling: Vec<_> = (0..50).map(|i| f64::from(-i)).collect();
        assert_eq!(decay.factor_in(51, &falling), 1.0);
        // The smallest improvement counts.
        assert_eq!(decay.factor_in(3, &[1.0, 1.0 - f64::EPSILON]), 1.0);
        assert_eq!(decay.factor_in(5, &[1.0; 4]), 0.125);
    }

    #[test]
    fn an_epoch_without_a_loss_counts_as_one_without_progress() {
        let decay = Decay::plateau(2, 0.5).unwrap();
        assert_eq!(factors(decay, &[1.0, f64::NAN, f64::NAN, 0.5, f64::NAN]), [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]);
        assert_eq!(decay.factor_in(1, &[]), 1.0);
    }

    /// Keras's `ReduceLROnPlateau.on_epoch_end` with `min_delta=0`, `cooldown=0` and `min_lr=0`, line by line.
    fn as_in_keras(patience: usize, losses: &[f64]) -> i32 {
        let (mut best, mut wait, mut falls) = (f64::INFINITY, 0, 0);
        for &current in losses {
            if current < best {
                best = current;
                wait = 0;
            } else {
                wait += 1;
                if wait >= patience {
                    falls += 1;
                    wait = 0;
                }
            }
        }
        falls
    }

    /// PyTorch's `ReduceLROnPlateau.step` with `threshold=0`, `cooldown=0` and `min_lr=0`, line by line.
    fn as_in_pytorch(patience: usize, losses: &[f64]) -> i32 {
        let (mut best, mut bad_epochs, mut falls) = (f64::INFINITY, 0, 0);
        for &current in losses {
            if current < best {
                best = current;
                bad_epochs = 0;
            } else {
                bad_epochs += 1;
            }
            if bad_epochs > patience {
                falls += 1;
                bad_epochs = 0;
            }
        }
        falls
    }

    proptest::proptest! {
        #[test]
        fn plateaus_are_those_of_keras_and_pytorch(
            losses in proptest::collection::vec(0_u8..6, 0..60),
            patience in 1_usize..5,
        ) {
            let losses: Vec<_> = losses.into_iter().map(f64::from).collect();
            let found = Decay::plateau(patience, 0.5).unwrap().factor_in(losses.len() + 1, &losses);
            proptest::prop_assert_eq!(found, 0.5_f64.powi(as_in_keras(patience, &losses)));
            proptest::prop_assert_eq!(found, 0.5_f64.powi(as_in_pytorch(patience - 1, &losses)));
        }
    }

    #[test]
    fn a_decay_without_effect_is_refused() {
        let check = |decay: &str, epochs| {
            let decay: Decay = decay.parse().unwrap();
            decay.check_effect(epochs, ["every", "patience"]).map_err(|e| e.to_string())
        };
        let message = "must be at most 9, so that the learning rate falls before the last of 10 epochs, but is 10";
        assert_eq!(check("10x0.3", 10).unwrap_err(), format!("every {message}"));
        let message = "must be at most 4, so that the learning rate falls before the last of 6 epochs, but is 5";
        assert_eq!(check("plateau5x0.1", 6).unwrap_err(), format!("patience {message}"));
        let message =
            |epochs| format!("must be left out, because the learning rate cannot fall within {epochs}, but is 1");
        assert_eq!(check("1x0.3", 1).unwrap_err(), format!("every {}", message("1 epoch")));
        assert_eq!(check("plateau1x0.1", 2).unwrap_err(), format!("patience {}", message("2 epochs")));
        check("10x0.3", 11).unwrap();
        check("plateau5x0.1", 7).unwrap();
    }

    #[test]
    fn the_text_of_which_digests_are_made_stays() {
        assert_eq!(format!("{:?}", Decay::step(20, 0.5).unwrap()), "Decay { every: 20, factor: 0.5 }");
        assert_eq!(format!("{:?}", Decay::plateau(5, 0.1).unwrap()), "Decay { patience: 5, factor: 0.1 }");
    }

    #[test]
    fn a_factor_is_between_0_and_1_and_not_one_of_them() {
        for (factor, valid) in [
            (f64::MIN_POSITIVE, true),
            (1.0_f64.next_down(), true),
            (0.0, false),
            (1.0, false),
            (-0.5, false),
            (1.5, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            assert_eq!(Decay::step(1, factor).is_ok(), valid, "{factor}");
            assert_eq!(Decay::plateau(1, factor).is_ok(), valid, "{factor}");
        }
        assert_eq!(Decay::plateau(1, 0.5).unwrap().title(), "× 0.5 on plateaus of 1 epoch");
    }

    #[test]
    fn more_falls_than_a_number_can_count_leave_no_learning_rate() {
        let decay = Decay::step(1, 0.5).unwrap();
        assert_eq!([0, 1, 2, 11].map(|epoch| decay.factor_in(epoch, &[])), [1.0, 1.0, 0.5, 0.5_f64.powi(10)]);
        assert_eq!(decay.factor_in(usize::MAX, &[]), 0.0);
    }
}
