//! The known mistakes: each is a way of training or of recording that the audit can do too.

use std::fmt;

use super::reading::Reading;
use crate::dataset::cifar10::DIMS;
use crate::hyperparameters::Setting;
use crate::network::{Parameters, Step};
use crate::statistics::short;

/// A known mistake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mistake {
    /// The gradient of the penalty is this factor times the right one, 2λ · weight.
    Penalty(f64),
    /// The gradient of the loss is summed over the batch instead of averaged.
    Sum,
    /// The bias is penalised as the weight is.
    BiasPenalty,
    /// The last batch of each epoch is not trained on.
    LastBatch,
    /// The learning rate is another one.
    Rate(Rate),
    /// The images are shuffled, but their labels stay where they are.
    Labels(Labels),
    /// The images are normalised in another way.
    Normalisation(Normalisation),
    /// The training is on another split.
    TrainedOn(OtherSplit),
    /// The pixels of an image are in another order.
    Pixels(PixelOrder),
    /// The weights start with this standard deviation instead of 0.01.
    Width(f64),
    /// The curves are recorded in another way.
    Recorded(Reading),
}

/// Another course of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Multiplied by a factor throughout.
    Times(f64),
    /// Multiplied by `factor` after every `every` epochs.
    Steps {
        /// Epochs per step.
        every: usize,
        /// Factor of each step.
        factor: f64,
    },
    /// Multiplied by `factor` in each epoch, the first one included.
    EachEpoch {
        /// Factor per epoch.
        factor: f64,
    },
    /// Multiplied by `factor` from `epoch` on.
    Once {
        /// The first epoch with the other rate.
        epoch: usize,
        /// The factor.
        factor: f64,
    },
    /// Divided by 1 + `slope` · (epoch − 1).
    Inverse {
        /// The growth of the divisor per epoch.
        slope: f64,
    },
}

/// What happens to the labels when the images are shuffled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Each epoch draws images in a new order, and labels in file order.
    InOrder,
    /// The array of the images itself is shuffled, and evaluated with the labels of the file too.
    LeftBehind,
}

/// Another normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalisation {
    /// Pixels / 255 as they are.
    None,
    /// Pixels from 0 to 255.
    Raw,
    /// The standard deviation has the divisor n − 1.
    SampleStd,
    /// The mean is subtracted, and nothing divided.
    MeanOnly,
    /// One mean and one standard deviation of all pixels.
    AllPixels,
    /// A mean and a standard deviation per colour channel.
    PerChannel,
}

/// A split that should not be trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherSplit {
    /// True for the test split, false for the validation split.
    pub test: bool,
    /// True if it is normalised by its own statistics, false for those of the training split.
    pub own_statistics: bool,
}

/// Another order of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelOrder {
    /// Red, green and blue of a pixel beside each other: (32, 32, 3).
    Interleaved,
    /// Columns before rows: (3, 32, 32) with the last two axes exchanged.
    Transposed,
}

/// The side of an image.
const SIDE: usize = 32;
/// The pixels of a colour channel.
const PLANE: usize = SIDE * SIDE;

impl PixelOrder {
    /// The feature of this project that stands at place `j` of this order.
    fn feature(self, j: usize) -> usize {
        match self {
            Self::Interleaved => j % 3 * PLANE + j / 3,
            Self::Transposed => j / PLANE * PLANE + j % SIDE * SIDE + j % PLANE / SIDE,
        }
    }

    /// `weight` (k,d), which is in this order, in the order of this project.
    pub(super) fn sorted(self, weight: &[f32]) -> Vec<f32> {
        let mut sorted = vec![0.0; weight.len()];
        for (row, sorted) in weight.chunks_exact(DIMS.features).zip(sorted.chunks_exact_mut(DIMS.features)) {
            for (j, &w) in row.iter().enumerate() {
                sorted[self.feature(j)] = w;
            }
        }
        sorted
    }
}

impl Rate {
    /// The courses that are always tried. The others are found from the run.
    pub(super) const KNOWN: [Self; 2] = [Self::Times(10.0), Self::Times(0.1)];

    /// The factor of η in `epoch`, from 1.
    pub(super) fn factor(self, epoch: usize) -> f64 {
        let power = |factor: f64, steps: usize| factor.powi(i32::try_from(steps).unwrap_or(i32::MAX));
        match self {
            Self::Times(factor) => factor,
            Self::Steps { every, factor } => power(factor, (epoch - 1) / every),
            Self::EachEpoch { factor } => power(factor, epoch),
            Self::Once { epoch: first, factor } => {
                if epoch < first {
                    1.0
                } else {
                    factor
                }
            }
            Self::Inverse { slope } => 1.0 / (1.0 + slope * (epoch - 1) as f64),
        }
    }
}

impl Mistake {
    /// The mistakes that are trained as one group over the right stream of batches. Those that change nothing at λ = 0 are
    /// left out there, and those of a start that the run brings along are left out if `start_is_given`.
    pub(super) fn of_the_stream(setting: Setting, start_is_given: bool) -> Vec<Self> {
        let d = DIMS.features as f64;
        let mut mistakes = vec![Self::Sum, Self::LastBatch];
        mistakes.extend(Rate::KNOWN.map(Self::Rate));
        if setting.lambda() > 0.0 {
            mistakes.extend([0.0, 0.5, 2.0, -1.0].map(Self::Penalty));
            mistakes.push(Self::BiasPenalty);
        }
        mistakes.extend([PixelOrder::Interleaved, PixelOrder::Transposed].map(Self::Pixels));
        if !start_is_given {
            let (lecun, he) = ((1.0 / d).sqrt(), (2.0 / d).sqrt());
            mistakes.extend([0.0, 0.0001, 0.001, 0.005, 0.02, 0.05, 0.1, 1.0, lecun, he].map(Self::Width));
        }
        mistakes
    }

    /// The mistakes that have a stream of batches of their own; `has_validation` if there are images to validate on.
    pub(super) fn of_other_streams(has_validation: bool) -> Vec<Self> {
        use Normalisation as N;
        let labels = [Labels::InOrder, Labels::LeftBehind].map(Self::Labels);
        let normalisations = [N::None, N::Raw, N::SampleStd, N::MeanOnly, N::AllPixels, N::PerChannel];
        let splits = [(false, false), (false, true), (true, false), (true, true)].into_iter();
        let splits = splits.filter(|(test, _)| *test || has_validation);
        let splits = splits.map(|(test, own_statistics)| Self::TrainedOn(OtherSplit { test, own_statistics }));
        let trained = labels.into_iter().chain(normalisations.map(Self::Normalisation));
        trained.chain(splits).collect()
    }

    /// The parameters that a training with this mistake starts with; the right one starts with `start`.
    pub(super) fn start(self, start: &Parameters) -> Parameters {
        let weight = match self {
            Self::Width(width) => start.weight.iter().map(|w| (f64::from(*w) / 0.01 * width) as f32).collect(),
            Self::Pixels(order) => order.sorted(&start.weight),
            _ => start.weight.clone(),
        };
        Parameters { weight, ..start.clone() }
    }

    /// True if the steps are larger than those of the right training, so large perhaps that rounding errors grow.
    pub(super) fn takes_larger_steps(self) -> bool {
        match self {
            Self::Sum | Self::Normalisation(Normalisation::Raw) => true,
            Self::Rate(Rate::Times(factor)) => factor > 1.0,
            _ => false,
        }
    }

    /// True if a right training with another constant η, or one that begins with another, looks so.
    pub(super) fn may_be_another_eta(self) -> bool {
        matches!(self, Self::Sum | Self::Rate(Rate::Times(_) | Rate::EachEpoch { .. }))
    }

    /// The step of a training with this mistake on a batch of `n` images in `epoch` (from 1); `right` is that without.
    pub(super) fn step(self, right: Step, epoch: usize, n: usize, is_last: bool) -> Step {
        let Step { learning_rate, lambda, .. } = right;
        match self {
            Self::Penalty(factor) => Step { lambda: (f64::from(lambda) * factor) as f32, ..right },
            Self::Sum => Step { learning_rate: learning_rate * n as f32, lambda: lambda / n as f32, ..right },
            Self::BiasPenalty => Step { bias_lambda: lambda, ..right },
            Self::LastBatch if is_last => Step { learning_rate: 0.0, ..right },
            Self::Rate(rate) => Step { learning_rate: (f64::from(learning_rate) * rate.factor(epoch)) as f32, ..right },
            _ => right,
        }
    }
}

/// A sentence about the run, such as "the gradient of the penalty is λW instead of 2λW".
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Penalty(0.0) => f.write_str("the gradient lacks the penalty's part, 2λW"),
            Self::Penalty(factor) => {
                let found = match factor * 2.0 {
                    1.0 => "λW".into(),
                    -2.0 => "−2λW".into(),
                    factor => format!("{}λW", short(factor)),
                };
                write!(f, "the gradient of the penalty is {found} instead of 2λW")
            }
            Self::Sum => f.write_str("the gradient of the loss is summed over the batch instead of averaged"),
            Self::BiasPenalty => f.write_str("the bias is penalised too"),
            Self::LastBatch => f.write_str("the last batch of each epoch is left out"),
            Self::Rate(rate) => write!(f, "the learning rate is {rate}"),
            Self::Labels(Labels::InOrder) => {
                f.write_str("the images of a batch are shuffled, but their labels are not")
            }
            Self::Labels(Labels::LeftBehind) => {
                f.write_str("the array of the images is shuffled at each epoch, but that of the labels is not")
            }
            Self::Normalisation(normalisation) => write!(f, "{normalisation}"),
            Self::TrainedOn(split) => write!(f, "the training is {split}"),
            Self::Pixels(PixelOrder::Interleaved) => {
                f.write_str("the pixels are in the order (32, 32, 3), the colours of a pixel beside each other")
            }
            Self::Pixels(PixelOrder::Transposed) => f.write_str("the rows and columns of the images are exchanged"),
            Self::Width(width) => {
                write!(f, "the weights start with a standard deviation of {} instead of 0.01", digits(*width))
            }
            Self::Recorded(reading) => write!(f, "{reading}"),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Times(factor) => write!(f, "{} times as large", digits(factor)),
            Self::Steps { every: 1, factor } => write!(f, "multiplied by {} after every epoch", digits(factor)),
            Self::Steps { every, factor } => write!(f, "multiplied by {} after every {every} epochs", digits(factor)),
            Self::EachEpoch { factor } => {
                write!(f, "multiplied by {} at the start of every epoch, the first one too", digits(factor))
            }
            Self::Once { epoch, factor } => write!(f, "multiplied by {} once, from epoch {epoch} on", digits(factor)),
            Self::Inverse { slope } => write!(f, "divided by 1 + {} · (epoch − 1)", digits(slope)),
        }
    }
}

impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "the pixels, divided by 255, are not normalised",
            Self::Raw => "the pixels from 0 to 255 are not normalised",
            Self::SampleStd => "the standard deviations have the divisor n − 1 (ddof=1) instead of n",
            Self::MeanOnly => "the images are not divided by the standard deviations",
            Self::AllPixels => "all pixels are normalised by one mean and one standard deviation",
            Self::PerChannel => "the pixels are normalised by a mean and a standard deviation per colour channel",
        })
    }
}

impl fmt::Display for OtherSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = if self.test { "test" } else { "validation" };
        let statistics =
            if self.own_statistics { "its own statistics" } else { "the statistics of the training split" };
        write!(f, "on the {split} split, normalised by {statistics}")
    }
}

/// `value` with at most four significant digits.
fn digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    short(rounded)
}
