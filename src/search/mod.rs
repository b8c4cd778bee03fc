//! The search for the setting that does best on the validation split.
//!
//! A [`Plan`] is a list of trials, numbered from 0: every combination of a [`Space`], or some drawn from it at random.
//! Trials with the same stream of batches are trained as one group. A trial's numbers depend neither on its group nor on
//! what else is searched, so that the trials can be done in any order, in several goes and by several processes.

pub mod table;

use std::collections::BTreeMap;

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::evaluate::Scores;
use crate::hyperparameters::{Decay, Loss, Schedule, Setting};
use crate::network::Parameters;
use crate::train::{Data, Observer, Run, scores_of, train_unevaluated};

/// The most trials of one group. More would save little time, and more work would be lost when the search is interrupted.
const GROUP: usize = 8;

/// The values of what is varied.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// λ.
    pub lambdas: Vec<f64>,
    /// η.
    pub etas: Vec<f64>,
    /// The losses.
    pub losses: Vec<Loss>,
    /// How the learning rate falls.
    pub decays: Vec<Option<Decay>>,
    /// Images of a mini-batch.
    pub batch_sizes: Vec<usize>,
    /// Probabilities of a flip.
    pub flips: Vec<f64>,
}

/// One setting to be tried, with its stream of batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// λ, η, loss and decay.
    pub setting: Setting,
    /// Images of a mini-batch.
    pub batch_size: usize,
    /// The probability of a flip.
    pub flip: f64,
}

/// All trials of a search, and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The trials, by their number.
    pub trials: Vec<Trial>,
    /// Epochs, seed and shuffling; batch size and flip are each trial's own.
    pub schedule: Schedule,
}

impl Space {
    /// Every combination.
    ///
    /// # Errors
    ///
    /// Those of [`Setting::new`], and [`Error::InvalidValue`] when there is none.
    pub fn grid(&self) -> Result<Vec<Trial>> {
        let mut trials = Vec::new();
        for &batch_size in &self.batch_sizes {
            for &flip in &self.flips {
                for &loss in &self.losses {
                    for &decay in &self.decays {
                        for &lambda in &self.lambdas {
                            for &eta in &self.etas {
                                let setting = Setting::new(lambda, eta)?;
                                trials.push(Trial {
                                    setting: setting.with_loss(loss).with_decay(decay),
                                    batch_size,
                                    flip,
                                });
                            }
                        }
                    }
                }
            }
        }
        check_some(trials)
    }

    /// `count` trials: λ and η log-uniform between the smallest and the largest of their values, rounded to three digits;
    /// the others each one of their values, all equally probable.
    ///
    /// # Errors
    ///
    /// Those of [`Space::grid`]; [`Error::InvalidValue`] when λ has the value 0, which has no logarithm.
    pub fn random(&self, count: usize, seed: u64) -> Result<Vec<Trial>> {
        self.grid()?;
        if self.lambdas.contains(&0.0) {
            return Err(Error::invalid("lambda", "above 0 where it is drawn log-uniformly", "0"));
        }
        // Training draws from the first streams of its seed.
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
        check_some((0..count).map(trial).collect::<Result<_>>()?)
    }
}

fn check_some(trials: Vec<Trial>) -> Result<Vec<Trial>> {
    if trials.is_empty() {
        return Err(Error::invalid("trials", "at least one", "none"));
    }
    Ok(trials)
}

fn one_of<T: Copy>(rng: &mut ChaCha8Rng, values: &[T]) -> T {
    *values.choose(rng).expect("a space has a value of each")
}

/// A number between the smallest and the largest of `values`, all of them above 0.
fn log_uniform(rng: &mut ChaCha8Rng, values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    let drawn = low * (high / low).powf(rng.random::<f64>());
    // The shortest text of three digits reads back as the number that it names, which a computed rounding might miss.
    format!("{drawn:.2e}").parse().expect("a number was written")
}

impl Plan {
    /// Checks that every trial can be trained on `examples` examples.
    ///
    /// # Errors
    ///
    /// Those of [`Schedule::validate`].
    pub fn validate(&self, examples: usize) -> Result<()> {
        let mut trials = self.trials.iter();
        trials.try_for_each(|trial| self.schedule(trial).validate(examples))
    }

    /// How `trial` is trained.
    pub fn schedule(&self, trial: &Trial) -> Schedule {
        Schedule { batch_size: trial.batch_size, flip: trial.flip, ..self.schedule }
    }

    /// The batches of trial `number` on `examples` examples, over all epochs.
    pub fn batches(&self, number: usize, examples: usize) -> usize {
        self.schedule.epochs * examples.div_ceil(self.trials[number].batch_size)
    }

    /// Eight hexadecimal digits that two searches share only if all their trials are the same.
    pub fn digest(&self) -> String {
        let digest = Sha256::digest(format!("{self:?}"));
        digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The trials of those `numbers`, in groups that share their stream of batches.
    pub fn groups(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<Vec<usize>> {
        let mut streams = BTreeMap::<_, Vec<usize>>::new();
        for number in numbers {
            let Trial { batch_size, flip, .. } = self.trials[number];
            // A flip is at least 0, where the order of the bits is that of the numbers.
            let stream = (batch_size, flip.to_bits());
            streams.entry(stream).or_default().push(number);
        }
        let groups = streams.values().flat_map(|numbers| numbers.chunks(GROUP));
        groups.map(<[usize]>::to_vec).collect()
    }

    /// Trains the trials of a group, and gives each one's result on the validation split, in their order.
    ///
    /// # Errors
    ///
    /// As [`train_unevaluated`]; [`Error::Interrupted`] when `observer` asks for it.
    ///
    /// # Panics
    ///
    /// When the trials don't share their stream of batches, or there is none.
    pub fn try_group(
        &self,
        group: &[usize],
        data: Data,
        start: &Parameters,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Outcome>> {
        let trials: Vec<_> = group.iter().map(|&number| self.trials[number]).collect();
        let schedule = self.schedule(&trials[0]);
        for trial in &trials {
            assert_eq!(self.schedule(trial), schedule, "one stream of batches");
        }
        let settings: Vec<_> = trials.iter().map(|trial| trial.setting).collect();
        let runs = train_unevaluated(data, &settings, &schedule, start, observer)?;
        let scores = scores_of(&runs, data.validation, data.normalizer)?;
        let outcome =
            |((&trial, run), validation): ((&usize, &Run), _)| Outcome { trial, validation, seconds: run.seconds() };
        Ok(group.iter().zip(&runs).zip(scores).map(outcome).collect())
    }
}

/// What came out of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The trial's number.
    pub trial: usize,
    /// Its scores on the validation split; `None` if it diverged.
    pub validation: Option<Scores>,
    /// Its share of the time that its group took, in seconds.
    pub seconds: f64,
}

/// The outcome with the highest validation accuracy, the first of equals; `None` when every trial diverged.
pub fn best(outcomes: &[Outcome]) -> Option<&Outcome> {
    let accuracy = |outcome: &&Outcome| outcome.validation.map(|scores| scores.accuracy);
    let finished = outcomes.iter().filter(|o| o.validation.is_some());
    // `max_by` would give the last of equals.
    finished.reduce(|best, other| if accuracy(&other) > accuracy(&best) { other } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space {
            lambdas: vec![0.001, 0.1],
            etas: vec![0.001, 0.01],
            losses: Loss::ALL.to_vec(),
            decays: vec![None, Some(Decay::new(2, 0.5).unwrap())],
            batch_sizes: vec![50, 100],
            flips: vec![0.0, 0.5],
        }
    }

    fn plan(trials: Vec<Trial>) -> Plan {
        Plan { trials, schedule: Schedule::REPORT }
    }

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
        assert!(half(share(&|t| t.setting.decay().is_none())));
        assert!(half(share(&|t| t.batch_size == 50)));
        assert!(half(share(&|t| t.flip == 0.5)));
        assert_eq!(share(&|t| (0.001..=0.1).contains(&t.setting.lambda())), 1.0);
        assert_eq!(share(&|t| t.setting.name().len() < 60), 1.0);
    }

    #[test]
    fn what_can_not_be_drawn_or_tried_is_refused() {
        let message = |space: Space| space.random(3, 1).unwrap_err().to_string();
        let zero = Space { lambdas: vec![0.0, 0.1], ..space() };
        assert!(message(zero).starts_with("lambda must be above 0"));
        let negative = Space { etas: vec![-0.1], ..space() };
        assert!(message(negative).starts_with("eta must be"));
        let nothing = Space { flips: Vec::new(), ..space() };
        assert!(message(nothing).starts_with("trials must be at least one"));
        assert!(space().random(0, 1).is_err());
    }

    #[test]
    fn trials_of_one_stream_are_one_group_of_at_most_eight() {
        let plan = plan(space().grid().unwrap());
        let groups = plan.groups(0..64);
        assert_eq!(groups.len(), 8);
        for group in &groups {
            assert_eq!(group.len(), 8);
            let schedule = plan.schedule(&plan.trials[group[0]]);
            assert!(group.iter().all(|&i| plan.schedule(&plan.trials[i]) == schedule));
        }
        let mut all = groups.concat();
        all.sort_unstable();
        assert_eq!(all, (0..64).collect::<Vec<_>>());
        // What is left of a search, and two streams in one trial each.
        assert_eq!(plan.groups([63, 0]), [[0], [63]]);
    }

    #[test]
    fn the_best_has_the_highest_accuracy_and_is_the_first_of_equals() {
        let outcome = |trial, accuracy: Option<f64>| Outcome {
            trial,
            validation: accuracy.map(|accuracy| Scores { loss: 1.0, cost: 1.0, accuracy }),
            seconds: 0.0,
        };
        let outcomes =
            [outcome(0, None), outcome(1, Some(0.3)), outcome(2, Some(0.4)), outcome(3, Some(0.4)), outcome(4, None)];
        assert_eq!(best(&outcomes).unwrap().trial, 2);
        assert_eq!(best(&outcomes[..1]), None);
    }
}
