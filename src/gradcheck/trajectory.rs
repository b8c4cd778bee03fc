//! Training by hand-derived gradients beside training by autograd: the same start, the same batches, step by step.
//!
//! Both round in `f32`, at other places. At the report's small learning rate the two stay together; at η = 0.1 the steps
//! overshoot, and each multiplies the difference that it finds, until two correct programs disagree in every digit. There
//! the comparison ends where it stops to mean something: [`bounds`].

use super::autograd::{AutogradTrainer, Examples, Scores};
use super::{Check, Comparison, Terms};
use crate::error::Result;
use crate::evaluate;
use crate::hyperparameters::{Decay, Loss, Schedule, Setting};
use crate::network::{self, Batch, Group, Parameters, Rate};
use crate::train::{Data, epoch_order};

/// The largest difference of a parameter that passes at any step.
///
/// A step adds at most η · 10⁻⁶, η times the tolerance of its gradient, and the roundings of the two sums, each at most
/// 2⁻²⁵ of a parameter that stays below 0.5. Roundings add up like a random walk: over 500 steps √500 · 3 · 10⁻⁸ ≈ 7 · 10⁻⁷.
pub const TOLERANCE: f64 = 1e-6;

/// The largest difference of a loss, in nats, that passes, as a multiple of a parameter's: a logit adds up 3072 of those.
pub const LOSS_FACTOR: f64 = 10.0;

/// The steps after which parameters are compared, besides each epoch's last.
const STEPS: [usize; 3] = [1, 10, 100];

/// Settings that together have every part of training: the report's four, and one of sigmoids whose learning rate falls.
pub fn settings() -> Vec<Setting> {
    let decay = Decay::new(2, 0.5).expect("a valid decay");
    let sigmoids = Setting::new(0.01, 0.01).expect("a valid setting");
    let sigmoids = sigmoids.with_loss(Loss::Bce).with_decay(Some(decay));
    [&Setting::REPORT[..], &[sigmoids]].concat()
}

/// How many steps of `setting` can be compared, and the largest difference of a parameter that passes.
///
/// At η = 0.1 the difference nearly doubles at each step: with seed 42 it is 4 · 10⁻⁹ after 1 step, 8 · 10⁻⁷ after 10 and
/// 5 · 10⁻² after 100, as large as the weights.
pub fn bounds(setting: Setting) -> (usize, f64) {
    if setting.eta() > 0.01 { (10, 1e-5) } else { (usize::MAX, TOLERANCE) }
}

/// Trains each of `settings` both ways for `schedule.epochs` epochs.
///
/// # Errors
///
/// As [`crate::train::train`].
pub fn check(data: Data, settings: &[Setting], schedule: &Schedule, start: &Parameters) -> Result<Vec<Check>> {
    schedule.validate(data.train.len())?;
    let tensors = |split: &crate::dataset::Dataset| {
        let x = data.normalizer.apply(split, 0..split.len());
        Examples::new(&x, split.labels(), split.dims())
    };
    let (train, validation) = (tensors(data.train)?, tensors(data.validation)?);
    let mut checks = Vec::new();
    for &setting in settings {
        let mut pair = Pair::new(setting, schedule, start)?;
        let (last_step, _) = bounds(setting);
        let mut step = 0;
        for epoch in 1..=schedule.epochs {
            let order = epoch_order(schedule, epoch, data.train.len());
            for indices in order.chunks(schedule.batch_size) {
                pair.step(data, &train, indices, epoch)?;
                step += 1;
                if STEPS.contains(&step) && step <= last_step {
                    checks.extend(pair.compare_parameters(&format!("step {step}")));
                }
            }
            if step <= last_step {
                let after = format!("epoch {epoch}");
                checks.extend(pair.compare_parameters(&after));
                checks.extend(pair.compare_losses(&after, data, [&train, &validation])?);
            }
        }
    }
    Ok(checks)
}

/// One setting, trained in both ways.
struct Pair {
    setting: Setting,
    group: Group,
    batch: Batch,
    autograd: AutogradTrainer,
}

impl Pair {
    fn new(setting: Setting, schedule: &Schedule, start: &Parameters) -> Result<Self> {
        let group = Group::new(std::slice::from_ref(start))?.with_losses(&[setting.loss()])?;
        let autograd = AutogradTrainer::new(start, setting.lambda(), setting.eta());
        Ok(Self {
            setting,
            batch: Batch::new(&group, schedule.batch_size),
            group,
            autograd: autograd.with_loss(setting.loss()),
        })
    }

    fn step(&mut self, data: Data, train: &Examples, indices: &[usize], epoch: usize) -> Result<()> {
        let examples = network::Examples::Chosen(data.train, data.normalizer, indices);
        self.group.step(&mut self.batch, examples, &[Rate::new(self.setting, epoch)])?;
        self.autograd.set_learning_rate(self.setting.learning_rate(epoch));
        self.autograd.step(&train.select(indices));
        Ok(())
    }

    fn compare_parameters(&self, after: &str) -> [Check; 2] {
        let (hand, autograd) = (self.group.member(0), self.autograd.parameters());
        let compare = |hand: &[f32], autograd: &[f32]| {
            assert_eq!(hand.len(), autograd.len(), "parameters of one shape");
            let pairs = hand.iter().zip(autograd).enumerate();
            let widened = pairs.map(|(i, (&a, &b))| (i, a.into(), b.into()));
            Comparison::new(widened, bounds(self.setting).1)
        };
        [
            self.result(after, "weight", compare(&hand.weight, &autograd.weight)),
            self.result(after, "bias", compare(&hand.bias, &autograd.bias)),
        ]
    }

    fn compare_losses(&self, after: &str, data: Data, splits: [&Examples; 2]) -> Result<[Check; 2]> {
        let lambda = [self.setting.lambda()];
        let compare = |split, theirs: Scores| -> Result<Comparison> {
            let ours = evaluate::evaluate_group(&self.group, &lambda, split, data.normalizer)?[0];
            Ok(Comparison::new([(0, ours.loss, theirs.loss)], LOSS_FACTOR * bounds(self.setting).1))
        };
        let [train, validation] = splits.map(|split| self.autograd.scores(split));
        Ok([
            self.result(after, "train_loss", compare(data.train, train)?),
            self.result(after, "validation_loss", compare(data.validation, validation)?),
        ])
    }

    fn result(&self, after: &str, quantity: &'static str, comparison: Comparison) -> Check {
        Check {
            problem: format!("training {}, {after}", self.setting.name()),
            implementation: "kernels".into(),
            against: "training by PyTorch autograd f32",
            lambda: self.setting.lambda(),
            terms: Terms::Both,
            quantity,
            dims: self.group.dims(),
            comparison,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dataset::cifar10::DIMS;
    use crate::dataset::normalizer::Normalizer;
    use crate::dataset::sample;
    use crate::train::random_start;

    /// 10 batches an epoch: the 100th step is the last of the tenth epoch.
    const SCHEDULE: Schedule = Schedule { epochs: 10, ..Schedule::REPORT };

    #[test]
    fn training_by_hand_and_by_autograd_stay_together_on_real_images() {
        let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let start = random_start(splits.train.dims(), 42);
        let checks = check(data, &settings(), &SCHEDULE, &start).unwrap();
        for check in &checks {
            assert!(check.comparison.passed(), "{check:?}");
        }
        // Weight and bias after steps 1, 10 and 100, and these and two losses after each epoch, of which the unstable
        // setting has one.
        assert_eq!(checks.len(), 4 * (3 * 2 + 10 * 4) + (2 * 2 + 4));
    }

    /// Whether the weights pass after ten steps when `change` was made to what trains by autograd, or to its setting.
    fn passes_after_ten_steps(setting: Setting, change: impl Fn(&mut Pair)) -> bool {
        let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let train = Examples::new(
            &normalizer.apply(&splits.train, 0..splits.train.len()),
            splits.train.labels(),
            splits.train.dims(),
        )
        .unwrap();
        let start = random_start(splits.train.dims(), 42);
        let mut pair = Pair::new(setting, &SCHEDULE, &start).unwrap();
        change(&mut pair);
        let order = epoch_order(&SCHEDULE, 1, splits.train.len());
        for indices in order.chunks(SCHEDULE.batch_size) {
            pair.step(data, &train, indices, 1).unwrap();
        }
        let [weight, _] = pair.compare_parameters("step 10");
        weight.comparison.passed()
    }

    #[test]
    fn a_halved_lambda_and_another_loss_are_seen_after_ten_steps() {
        let setting = Setting::REPORT[3];
        let sigmoids = settings()[4];
        for setting in [setting, sigmoids] {
            assert!(passes_after_ten_steps(setting, |_| ()));
        }
        let start = random_start(DIMS, 42);
        let (lambda, eta) = (setting.lambda(), setting.eta());
        let halved = |pair: &mut Pair| {
            pair.autograd = AutogradTrainer::new(&start, lambda / 2.0, eta);
        };
        assert!(!passes_after_ten_steps(setting, halved));
        let (lambda, eta) = (sigmoids.lambda(), sigmoids.eta());
        let softmax = |pair: &mut Pair| {
            pair.autograd = AutogradTrainer::new(&start, lambda, eta);
        };
        assert!(!passes_after_ten_steps(sigmoids, softmax));
    }
}
