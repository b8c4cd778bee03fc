//! Training with the hand-derived gradients beside training by autograd: the same start, the same batches, compared step
//! by step.
//!
//! Both round in `f32`, but at different places. At the report's small learning rate the two stay together. At η = 0.1 the
//! steps overshoot and each step multiplies the difference so far, until two correct programs disagree in every digit; the
//! comparison ends before that, see `bounds`.

use super::autograd::{AutogradTrainer, Tensors};
use super::table::GradcheckRow;
use super::{Comparison, Problem};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::evaluate::evaluate_group;
use crate::hyperparameters::{Decay, Loss, Schedule, Setting};
use crate::network::{Examples, Group, Parameters, Step};
use crate::train::{Data, epoch_order};

/// The largest difference of a parameter that passes, at any step.
///
/// A step adds at most η · 10⁻⁶, η times the tolerance of its gradient, and the rounding errors of the two sums, each at
/// most 2⁻²⁵ for a parameter that stays below 0.5. Rounding errors add up like a random walk: over 500 steps
/// √500 · 3 · 10⁻⁸ ≈ 7 · 10⁻⁷.
const TOLERANCE: f64 = 1e-6;

/// The largest difference of a loss, in nats, that passes, as a multiple of a parameter's: a logit is a sum over 3072 of
/// them.
const LOSS_FACTOR: f64 = 10.0;

/// The steps after which parameters are compared, in addition to the last of each epoch.
const STEPS: [usize; 3] = [1, 10, 100];

/// The report's four settings, and one with sigmoids whose learning rate decays. Together they use every part of training.
pub fn settings() -> Vec<Setting> {
    let decay = Decay::step(2, 0.5).expect("a valid decay");
    let sigmoids = Setting::new(0.01, 0.01).expect("a valid setting");
    let sigmoids = sigmoids.with_loss(Loss::Bce).with_decay(Some(decay));
    [&Setting::REPORT[..], &[sigmoids]].concat()
}

/// The last step at which `setting` can be compared, and the largest difference of a parameter that passes.
///
/// At η = 0.1 the difference nearly doubles with each step: with seed 42 it is 4 · 10⁻⁹ after 1 step, 8 · 10⁻⁷ after 10 and
/// 5 · 10⁻² after 100, as large as the weights.
fn bounds(setting: Setting) -> (usize, f64) {
    if setting.eta() > 0.01 { (10, 1e-5) } else { (usize::MAX, TOLERANCE) }
}

/// Trains `setting` both ways for `schedule.epochs` epochs.
///
/// # Errors
///
/// Those of [`crate::train::train`].
pub fn check(data: Data, setting: Setting, schedule: &Schedule, start: &Parameters) -> Result<Vec<GradcheckRow>> {
    schedule.validate(data.train.len())?;
    let mut pair = Pair::new(data, setting, start)?;
    let (last_step, _) = bounds(setting);
    let mut step = 0;
    let mut rows = Vec::new();
    for epoch in 1..=schedule.epochs {
        for indices in epoch_order(schedule, epoch, data.train.len()).chunks(schedule.batch_size) {
            pair.step(indices)?;
            step += 1;
            if STEPS.contains(&step) && step <= last_step {
                rows.extend(pair.compare_parameters(&format!("step {step}")));
            }
        }
        if step <= last_step {
            let after = format!("epoch {epoch}");
            rows.extend(pair.compare_parameters(&after));
            rows.extend(pair.compare_losses(&after)?);
        }
        pair.end_epoch()?;
    }
    Ok(rows)
}

/// One setting, trained both ways.
struct Pair<'a> {
    data: Data<'a>,
    /// The images of the training and of the validation split.
    images: [Tensors; 2],
    setting: Setting,
    /// Complete epochs.
    epochs: usize,
    /// η of the next one.
    learning_rate: f64,
    /// The validation loss by hand after each epoch, if the learning rate depends on it.
    validation_losses: Vec<f64>,
    group: Group,
    autograd: AutogradTrainer,
}

impl<'a> Pair<'a> {
    fn new(data: Data<'a>, setting: Setting, start: &Parameters) -> Result<Self> {
        let images = |split: &Dataset| -> Result<Tensors> {
            let all: Vec<_> = (0..split.len()).collect();
            Ok(Tensors::new(&Problem::from_images(split, data.normalizer, &all, start.clone())?))
        };
        Ok(Self {
            data,
            images: [images(data.train)?, images(data.validation)?],
            setting,
            epochs: 0,
            learning_rate: setting.eta(),
            validation_losses: Vec::new(),
            group: Group::new(std::slice::from_ref(start))?.with_losses(&[setting.loss()])?,
            autograd: AutogradTrainer::new(start, setting),
        })
    }

    fn step(&mut self, indices: &[usize]) -> Result<()> {
        let examples = Examples::Chosen(self.data.train, self.data.normalizer, indices);
        self.group.step(examples, &[Step::new(self.setting, self.learning_rate)])?;
        self.autograd.step(&self.images[0].select(indices), self.learning_rate);
        Ok(())
    }

    /// Both go on with the learning rate that follows from the losses by hand, so that only the gradients differ.
    fn end_epoch(&mut self) -> Result<()> {
        self.epochs += 1;
        if self.setting.needs_validation() {
            self.validation_losses.push(self.loss_by_hand(self.data.validation)?);
        }
        self.learning_rate = self.setting.learning_rate(self.epochs + 1, &self.validation_losses);
        Ok(())
    }

    fn loss_by_hand(&self, split: &Dataset) -> Result<f64> {
        Ok(evaluate_group(&self.group, &[self.setting.lambda()], split, self.data.normalizer, &|| false)?[0].loss)
    }

    fn compare_parameters(&self, after: &str) -> [GradcheckRow; 2] {
        let (hand, autograd) = (self.group.member(0), self.autograd.parameters());
        [
            self.compare(after, "weight", &hand.weight, &autograd.weight, 1.0),
            self.compare(after, "bias", &hand.bias, &autograd.bias, 1.0),
        ]
    }

    fn compare_losses(&self, after: &str) -> Result<[GradcheckRow; 2]> {
        let compare = |quantity, split, images| -> Result<GradcheckRow> {
            let hand = self.loss_by_hand(split)?;
            let autograd = self.autograd.scores(images).loss;
            Ok(self.compare(after, quantity, &[hand], &[autograd], LOSS_FACTOR))
        };
        Ok([
            compare("train_loss", self.data.train, &self.images[0])?,
            compare("validation_loss", self.data.validation, &self.images[1])?,
        ])
    }

    /// Compares two arrays, with the tolerance of a parameter multiplied by `factor`.
    fn compare<T>(&self, after: &str, quantity: &str, hand: &[T], autograd: &[T], factor: f64) -> GradcheckRow
    where
        T: Copy + Into<f64>,
    {
        let comparison = Comparison::of_arrays(hand, autograd, factor * bounds(self.setting).1);
        GradcheckRow {
            problem: format!("training {}, {after}", self.setting.name()),
            implementation: "kernels".into(),
            against: "training by PyTorch autograd f32".into(),
            lambda: self.setting.lambda(),
            terms: "both".into(),
            ..GradcheckRow::of(quantity, self.group.dims(), &comparison)
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

    /// 10 batches per epoch: step 100 is the last of epoch 10.
    const SCHEDULE: Schedule = Schedule { epochs: 10, ..Schedule::REPORT };

    #[test]
    fn training_with_hand_derived_gradients_and_by_autograd_stay_together_on_real_images() {
        let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let start = random_start(splits.train.dims(), 42);
        let of_setting = |setting| check(data, setting, &SCHEDULE, &start).unwrap();
        let rows: Vec<_> = settings().into_iter().flat_map(of_setting).collect();
        for row in &rows {
            assert!(row.passed(), "{row:?}");
        }
        // Weight and bias after steps 1, 10 and 100, and both with two losses after each epoch; the unstable setting is
        // compared only up to the end of epoch 1.
        assert_eq!(rows.len(), 4 * (3 * 2 + 10 * 4) + (2 * 2 + 4));
    }

    /// True if the weights pass after ten steps, with `change` made to the pair before the first.
    fn passes_after_ten_steps(setting: Setting, change: impl Fn(&mut Pair)) -> bool {
        let splits = sample::load(Path::new(sample::DEFAULT_DIR)).unwrap();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let start = random_start(splits.train.dims(), 42);
        let mut pair = Pair::new(data, setting, &start).unwrap();
        change(&mut pair);
        let order = epoch_order(&SCHEDULE, 1, splits.train.len());
        for indices in order.chunks(SCHEDULE.batch_size) {
            pair.step(indices).unwrap();
        }
        let [weight, _] = pair.compare_parameters("step 10");
        weight.passed()
    }

    #[test]
    fn a_halved_lambda_and_a_different_loss_are_detected_after_ten_steps() {
        let setting = Setting::REPORT[3];
        let sigmoids = settings()[4];
        for setting in [setting, sigmoids] {
            assert!(passes_after_ten_steps(setting, |_| ()));
        }
        let start = random_start(DIMS, 42);
        let halved = |pair: &mut Pair| {
            let setting = Setting::new(setting.lambda() / 2.0, setting.eta()).unwrap();
            pair.autograd = AutogradTrainer::new(&start, setting);
        };
        assert!(!passes_after_ten_steps(setting, halved));
        let softmax = |pair: &mut Pair| {
            pair.autograd = AutogradTrainer::new(&start, sigmoids.with_loss(Loss::Softmax));
        };
        assert!(!passes_after_ten_steps(sigmoids, softmax));
    }
}
