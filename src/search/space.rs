//! The trials of a search: every combination of a space of values, or some drawn from it at random.

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::error::{Error, Result};
use crate::hyperparameters::{Decay, Loss, Setting};
use crate::shard::MAX_RUNS;

/// The values to try of each hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// λ.
    pub lambdas: Vec<f64>,
    /// η.
    pub etas: Vec<f64>,
    /// Losses.
    pub losses: Vec<Loss>,
    /// Decays of the learning rate.
    pub decays: Vec<Option<Decay>>,
    /// Mini-batch sizes.
    pub batch_sizes: Vec<usize>,
    /// Probabilities of a flip.
    pub flips: Vec<f64>,
}

/// One setting to try, with the hyperparameters of its stream of batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// λ, η, loss and decay.
    pub setting: Setting,
    /// Examples per mini-batch.
    pub batch_size: usize,
    /// The probability of a flip.
    pub flip: f64,
}

impl Space {
    /// Every combination.
    ///
    /// # Errors
    ///
    /// Those of [`Setting::new`], [`Error::InvalidValue`] if a hyperparameter has no value, and [`Error::Repeated`] if it has one
    /// twice.
    pub fn grid(&self) -> Result<Vec<Trial>> {
        let mut trials = Vec::new();
        for &batch_size in &self.batch_sizes {
            for &flip in &self.flips {
                for &loss in &self.losses {
                    for &decay in &self.decays {
                        for &lambda in &self.lambdas {
                            for &eta in &self.etas {
                                let setting = Setting::new(lambda, eta)?.with_loss(loss).with_decay(decay);
                                trials.push(Trial { setting, batch_size, flip });
                            }
                        }
                    }
                }
            }
        }
        self.check_repeated()?;
        if trials.is_empty() {
            return Err(Error::invalid("trials", "at least one", "none"));
        }
        Ok(trials)
    }

    /// Checks that no list has a value twice.
    fn check_repeated(&self) -> Result<()> {
        let decay = |decay: &Option<Decay>| decay.map_or("none".into(), |decay| decay.to_string());
        let repeated = [
            ("lambda", repeated(&self.lambdas, f64::to_string)),
            ("eta", repeated(&self.etas, f64::to_string)),
            ("loss", repeated(&self.losses, Loss::to_string)),
            ("decay", repeated(&self.decays, decay)),
            ("batch-size", repeated(&self.batch_sizes, usize::to_string)),
            ("flip", repeated(&self.flips, f64::to_string)),
        ];
        match repeated.into_iter().find_map(|(option, value)| Some((option, value?))) {
            Some((option, value)) => Err(Error::Repeated(format!("--{option} {value}"))),
            None => Ok(()),
        }
    }

    /// `count` random trials: λ and η log-uniform between the smallest and the largest of their values, rounded to three
    /// digits; the others uniform over their values.
    ///
    /// # Errors
    ///
    /// Those of [`Space::grid`]; [`Error::InvalidValue`] for no trials, more than a million, and if a value of λ is 0, which has no logarithm.
    pub fn random(&self, count: usize, seed: u64) -> Result<Vec<Trial>> {
        self.grid()?;
        if count == 0 {
            return Err(Error::invalid("random", "at least 1", 0));
        }
        if count > MAX_RUNS {
            return Err(Error::invalid("random", format!("at most {MAX_RUNS}"), count));
        }
        if self.lambdas.contains(&0.0) {
            return Err(Error::invalid("lambda", "above 0 to be drawn log-uniformly", "0"));
        }
        // A stream of its own: training draws from the first streams of its seed.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::MAX);
        let trial = |_| {
            let setting = Setting::new(log_uniform(&mut rng, &self.lambdas), log_uniform(&mut rng, &self.etas))?;
            Ok(Trial {
                setting: setting.with_loss(one_of(&mut rng, &self.losses)).with_decay(one_of(&mut rng, &self.decays)),
                batch_size: one_of(&mut rng, &self.batch_sizes),
                flip: one_of(&mut rng, &self.flips),
            })
        };
        (0..count).map(trial).collect()
    }
}

/// The first of `values` that is there before, as a text.
fn repeated<T: PartialEq>(values: &[T], text: impl Fn(&T) -> String) -> Option<String> {
    let (_, value) = values.iter().enumerate().find(|(i, value)| values[..*i].contains(value))?;
    Some(text(value))
}

fn one_of<T: Copy>(rng: &mut ChaCha8Rng, values: &[T]) -> T {
    *values.choose(rng).expect("`grid` has refused empty lists")
}

/// A number between the smallest and the largest of `values`, all of them above 0.
fn log_uniform(rng: &mut ChaCha8Rng, values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    let drawn = low * (high / low).powf(rng.random::<f64>());
    // Rounded as text, so that the value is exactly the number that tables and names show.
    format!("{drawn:.2e}").parse().expect("a number was written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tests::space;

    #[test]
    fn a_grid_has_every_combination_once() {
        let trials = space().grid().unwrap();
        assert_eq!(trials.len(), 64);
        for (i, trial) in trials.iter().enumerate() {
            assert!(!trials[..i].contains(trial), "{trial:?}");
        }
    }

    #[test]
    fn random_trials_are_drawn_log_uniformly_and_depend_on_the_seed_alone() {
        let trials = space().random(2000, 1).unwrap();
        assert_eq!(trials, space().random(2000, 1).unwrap());
        assert_ne!(trials, space().random(2000, 2).unwrap());
        assert_eq!(trials[..5], space().random(5, 1).unwrap());
        let share = |property: &dyn Fn(&Trial) -> bool| trials.iter().filter(|t| property(t)).count() as f64 / 2000.0;
        // Five standard deviations of a share of one half.
        let half = |share: f64| (share - 0.5).abs() < 5.0 * 0.5 / 2000_f64.sqrt();
        assert!(half(share(&|t| t.setting.lambda() < 0.01)));
        assert!(half(share(&|t| t.setting.eta() < 0.01_f64.sqrt() * 0.001_f64.sqrt())));
        assert!(half(share(&|t| t.setting.loss() == Loss::Bce)));
        assert!(half(share(&|t| t.setting.decay.is_none())));
        assert!(half(share(&|t| t.batch_size == 50)));
        assert!(half(share(&|t| t.flip == 0.5)));
        assert_eq!(share(&|t| (0.001..=0.1).contains(&t.setting.lambda())), 1.0);
        assert_eq!(share(&|t| t.setting.name().len() < 60), 1.0);
    }

    #[test]
    fn invalid_spaces_are_refused() {
        let message = |space: Space| space.random(3, 1).unwrap_err().to_string();
        let zero = Space { lambdas: vec![0.0, 0.1], ..space() };
        assert!(message(zero).starts_with("lambda must be above 0"));
        let negative = Space { etas: vec![-0.1], ..space() };
        assert!(message(negative).starts_with("eta must be"));
        let nothing = Space { flips: Vec::new(), ..space() };
        assert!(message(nothing).starts_with("trials must be at least one"));
        assert_eq!(space().random(0, 1).unwrap_err().to_string(), "random must be at least 1, but is 0");
        let message = space().random(1_000_001, 1).unwrap_err().to_string();
        assert_eq!(message, "random must be at most 1000000, but is 1000001");
        let twice = |space: Space| space.grid().unwrap_err().to_string();
        for (space, expected) in [
            (Space { lambdas: vec![0.1, 0.0, -0.0], ..space() }, "--lambda -0 is listed twice; list each once"),
            (Space { etas: vec![0.01, 0.01], ..space() }, "--eta 0.01 is listed twice; list each once"),
            (Space { losses: vec![Loss::Bce; 2], ..space() }, "--loss bce is listed twice; list each once"),
            (Space { decays: vec![None, None], ..space() }, "--decay none is listed twice; list each once"),
            (Space { batch_sizes: vec![5, 5], ..space() }, "--batch-size 5 is listed twice; list each once"),
            (Space { flips: vec![0.5, 0.5], ..space() }, "--flip 0.5 is listed twice; list each once"),
        ] {
            assert_eq!(twice(space), expected);
        }
    }

    #[test]
    fn the_trials_of_a_grid_are_numbered_with_eta_the_fastest_and_the_batch_size_the_slowest() {
        let trials = space().grid().unwrap();
        let half = Some(Decay::step(2, 0.5).unwrap());
        for (number, lambda, eta, loss, decay, flip, batch_size) in [
            (0, 0.001, 0.001, Loss::Softmax, None, 0.0, 50),
            (1, 0.001, 0.01, Loss::Softmax, None, 0.0, 50),
            (2, 0.1, 0.001, Loss::Softmax, None, 0.0, 50),
            (4, 0.001, 0.001, Loss::Softmax, half, 0.0, 50),
            (8, 0.001, 0.001, Loss::Bce, None, 0.0, 50),
            (16, 0.001, 0.001, Loss::Softmax, None, 0.5, 50),
            (32, 0.001, 0.001, Loss::Softmax, None, 0.0, 100),
            (63, 0.1, 0.01, Loss::Bce, half, 0.5, 100),
        ] {
            let setting = Setting::new(lambda, eta).unwrap().with_loss(loss).with_decay(decay);
            assert_eq!(trials[number], Trial { setting, batch_size, flip }, "trial {number}");
        }
    }

    #[test]
    fn drawn_numbers_have_three_digits_and_lie_between_the_extreme_values() {
        let space = Space { lambdas: vec![0.3, 0.002, 5.0], etas: vec![0.25], ..space() };
        for Trial { setting, .. } in space.random(200, 3).unwrap() {
            let written: f64 = format!("{:.2e}", setting.lambda()).parse().unwrap();
            assert_eq!(setting.lambda(), written);
            assert!((0.002..=5.0).contains(&written), "{written}");
            assert_eq!(setting.eta(), 0.25, "the only value");
        }
    }

    #[test]
    fn the_first_value_that_is_there_before_is_the_repeated_one() {
        for (values, expected) in
            [(&[][..], None), (&[1], None), (&[1, 2, 3], None), (&[1, 2, 2, 1], Some("2")), (&[3, 1, 3], Some("3"))]
        {
            assert_eq!(repeated(values, i32::to_string).as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn the_trials_of_a_seed_are_those_of_earlier_versions() {
        // Another draw would be another search, which no table could be resumed with.
        for (trial, expected) in space().random(3, 1).unwrap().iter().zip([
            ("lambda0.00553_eta0.00854_bce_decay2x0.5", 50, 0.5),
            ("lambda0.0203_eta0.00573", 100, 0.5),
            ("lambda0.0336_eta0.0059_decay2x0.5", 50, 0.5),
        ]) {
            assert_eq!((trial.setting.name().as_str(), trial.batch_size, trial.flip), expected);
        }
    }
}
