//! The end of a run alone: its test accuracy beside those of right trainings, and beside what a linear classifier can reach.

use super::record::{Kind, Record, Split};
use super::training::Plan;
use crate::error::Result;
use crate::hyperparameters::{Schedule, Shuffle};
use crate::statistics::{Interval, SampleSummary};
use crate::train::elsewhere::{Pixels, accuracy_of, suspicion};
use crate::train::{Data, Observer, Trainer, random_start, scores_of};

/// The number of right trainings, each with a seed of its own.
pub const SEEDS: u64 = 10;

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The accuracy on the test split: of the parameters if they are there, otherwise the recorded one.
    pub test_accuracy: f64,
    /// The pixels with which the parameters have the lowest loss; `None` without parameters.
    pub pixels: Option<Pixels>,
    /// The 95 % prediction interval of the test accuracy of one more right training, from [`SEEDS`] of them; `None` if it was
    /// not asked for, or they diverge.
    pub right: Option<Interval>,
    /// Why the model looks trained on the test images, if it does.
    pub suspicion: Option<String>,
}

impl End {
    /// The end of `record`, with right trainings beside it if `compared`; `None` if there is no accuracy on the test split.
    pub(super) fn new(
        plan: &Plan,
        record: &Record,
        compared: bool,
        observer: &mut dyn Observer,
    ) -> Result<Option<Self>> {
        let Plan { splits, .. } = plan;
        let (pixels, test_accuracy, train_accuracy) = match (&record.parameters, record.test_accuracy) {
            (Some(parameters), _) => {
                let (pixels, _) = Pixels::recognised(parameters, &splits.train)?;
                let normalizer = pixels.normalizer(&splits.train)?;
                let accuracy = |split| accuracy_of(parameters, split, &normalizer);
                (Some(pixels), accuracy(&splits.test)?, Some(accuracy(&splits.train)?))
            }
            (None, Some(accuracy)) => {
                let is_of_train = |curve: &&super::Curve| (curve.split, curve.kind) == (Split::Train, Kind::Accuracy);
                let train = record.curves.iter().find(is_of_train).and_then(|curve| curve.values.last().copied());
                (None, accuracy, train)
            }
            (None, None) => return Ok(None),
        };
        let train = train_accuracy.map(|accuracy| (accuracy, splits.train.len()));
        let right = if compared { right_accuracies(plan, observer)? } else { None };
        let suspicion = suspicion((test_accuracy, splits.test.len()), train);
        Ok(Some(Self { test_accuracy, pixels, right, suspicion }))
    }
}

/// The 95 % prediction interval of the test accuracy of a right training.
fn right_accuracies(plan: &Plan, observer: &mut dyn Observer) -> Result<Option<Interval>> {
    let Plan { setting, splits, normalizer, .. } = *plan;
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer };
    let mut accuracies = Vec::new();
    for seed in 1..=SEEDS {
        let schedule = Schedule { seed, shuffle: Shuffle::ChaCha8, ..plan.schedule };
        let start = random_start(splits.train.dims(), seed);
        let (runs, _) = Trainer::new(data, &[setting], &schedule, &start)?.without_evaluation().train(observer)?;
        accuracies.extend(scores_of(&runs, &splits.test, normalizer, observer)?[0].map(|scores| scores.accuracy));
    }
    Ok(SampleSummary::new(&accuracies).and_then(|summary| summary.prediction_interval()))
}
