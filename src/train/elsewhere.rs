//! Models that were trained elsewhere: W and b in an `.npz` file, which does not say what pixels they expect.

use std::fmt;
use std::path::Path;

use super::parameters_from_npz;
use super::start::rounded;
use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::evaluate::{Scores, outcomes};
use crate::files::npz::Npz;
use crate::hyperparameters::{Loss, check_lambda};
use crate::network::Parameters;
use crate::shape::Dims;
use crate::statistics::{percent, standard_error};

/// A model from an `.npz` file.
#[derive(Clone, Debug, PartialEq)]
pub struct Elsewhere {
    /// `W` (k,d) or (d,k), and `b` (k).
    pub parameters: Parameters,
    /// The normaliser of the arrays `mean` and `std` (d), if they are there.
    pub normalizer: Option<Normalizer>,
    /// The array `lambda`, 0 if it is not there.
    pub lambda: f64,
}

impl Elsewhere {
    /// Reads the model in `bytes`; errors name `path` as the file.
    ///
    /// # Errors
    ///
    /// Those of [`super::start_from_npz`]; [`Error::Shape`] if `mean`, `std` or `lambda` has another shape, [`Error::Format`] if
    /// `mean` and `std` make no normaliser.
    pub fn from_npz(bytes: &[u8], path: &Path, dims: Dims) -> Result<Self> {
        let npz = Npz::open(bytes, path)?;
        let statistic = |name| -> Result<Vec<f32>> {
            Ok(rounded(&npz, name, &[&[dims.features], &[1, dims.features], &[dims.features, 1]])?.1)
        };
        let normalizer = match npz.contains("mean") && npz.contains("std") {
            true => {
                let normalizer = Normalizer::new(statistic("mean")?, statistic("std")?);
                Some(normalizer.map_err(|e| Error::format(path, e.to_string()))?)
            }
            false => None,
        };
        let lambda = npz.optional_number("lambda")?.unwrap_or(0.0);
        check_lambda(lambda).map_err(|e| Error::format(path, e.to_string()))?;
        Ok(Self { parameters: parameters_from_npz(&npz, ["W", "b"], dims)?, normalizer, lambda })
    }
}

/// The pixels that a model expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Normalised by the training split, as this program does.
    Normalised,
    /// Divided by 255.
    Unit,
    /// From 0 to 255.
    Bytes,
}

impl Pixels {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Normalised, Self::Unit, Self::Bytes];

    /// The normaliser that makes these pixels.
    ///
    /// # Errors
    ///
    /// Those of [`Normalizer::fit`].
    pub fn normalizer(self, train: &Dataset) -> Result<Normalizer> {
        let d = train.dims().features;
        match self {
            Self::Normalised => Normalizer::fit(train),
            Self::Unit => Normalizer::new(vec![0.0; d], vec![1.0; d]),
            Self::Bytes => Normalizer::new(vec![0.0; d], vec![1.0 / 255.0; d]),
        }
    }

    /// The pixels with which `parameters` have the lowest loss on `train`, and the loss with each of [`ALL`](Self::ALL). The
    /// accuracy would mislead more often: a model that was trained on pixels / 255 can be right more often on normalised ones. So
    /// can the loss if the model was hardly trained.
    ///
    /// # Errors
    ///
    /// Those of [`outcomes`].
    pub fn recognised(parameters: &Parameters, train: &Dataset) -> Result<(Self, [f64; 3])> {
        let mut losses = [0.0; 3];
        for (loss, pixels) in losses.iter_mut().zip(Self::ALL) {
            *loss = scores(parameters, train, &pixels.normalizer(train)?)?.loss;
        }
        let best = (0..3).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap_or(0);
        Ok((Self::ALL[best], losses))
    }
}

/// A model whose lowest loss is above ln k less this, that of guessing, does not show what pixels it expects.
const LOSS_BELOW_GUESSING: f64 = 0.1;

/// True if the `losses` of a model of `classes` classes, with each of [`Pixels::ALL`], show what pixels it expects.
pub fn shows_pixels(losses: &[f64; 3], classes: usize) -> bool {
    losses.iter().any(|&loss| loss < (classes as f64).ln() - LOSS_BELOW_GUESSING)
}

impl fmt::Display for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normalised => "normalised pixels",
            Self::Unit => "pixels / 255",
            Self::Bytes => "pixels from 0 to 255",
        })
    }
}

/// The fraction of the images of `split` that a model classifies correctly.
///
/// # Errors
///
/// Those of [`outcomes`].
pub fn accuracy_of(parameters: &Parameters, split: &Dataset, normalizer: &Normalizer) -> Result<f64> {
    Ok(scores(parameters, split, normalizer)?.accuracy)
}

fn scores(parameters: &Parameters, split: &Dataset, normalizer: &Normalizer) -> Result<Scores> {
    Ok(outcomes(&[(parameters, Loss::Softmax)], split, normalizer)?[0].scores(0.0))
}

/// The test accuracy that a linear classifier of CIFAR-10's pixels reaches: that of the optimum of the convex problem on all
/// 50,000 training images.
pub const LINEAR_LIMIT: f64 = 0.422;

/// The number of standard errors above which an accuracy is suspicious.
const STANDARD_ERRORS: f64 = 3.0;

/// A sentence about a model that looks trained on the test images: it does better on them than a linear classifier can, or
/// better than on its training images. `test` and `train` are accuracies and numbers of images; without `train` only the first
/// is judged.
pub fn suspicion(test: (f64, usize), train: Option<(f64, usize)>) -> Option<String> {
    let (accuracy, images) = test;
    let error = standard_error(accuracy, images);
    if accuracy > LINEAR_LIMIT + STANDARD_ERRORS * error {
        return Some(format!(
            "it classifies {} % of the test images correctly, more than a linear classifier can ({} %): it looks trained on them",
            percent(accuracy),
            percent(LINEAR_LIMIT),
        ));
    }
    let (on_train, train_images) = train?;
    let error = error.hypot(standard_error(on_train, train_images));
    (accuracy > on_train + STANDARD_ERRORS * error).then(|| {
        format!(
            "it classifies {} % of the test images correctly, but only {} % of the training images: it looks trained on the \
             test images",
            percent(accuracy),
            percent(on_train),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::sample;
    use crate::files::npz::{self, Elements};
    use crate::hyperparameters::{Schedule, Setting};
    use crate::train::{Data, Trainer};

    #[test]
    fn only_what_is_beyond_a_linear_classifier_or_beyond_the_training_images_is_suspicious() {
        let of = |test, train: f64| suspicion((test, 10_000), Some((train, 10_000)));
        assert_eq!(of(0.394, 0.45), None);
        assert_eq!(of(0.394, 0.385), None, "within the standard errors");
        assert_eq!(of(0.435, 0.6), None);
        assert!(of(0.4724, 0.41).unwrap().contains("more than a linear classifier can (42.20 %)"));
        assert!(of(0.41, 0.36).unwrap().contains("but only 36.00 % of the training images"));
        assert_eq!(suspicion((0.41, 10_000), None), None);
        assert_eq!(suspicion((0.46, 500), None), None, "few images have a large standard error");
    }

    #[test]
    fn the_pixels_of_a_model_are_recognised_by_its_loss() {
        let images = sample::load(sample::DEFAULT_DIR.as_ref()).unwrap().train;
        let schedule = Schedule { epochs: 60, ..Schedule::REPORT };
        let unit = 0.003;
        for (pixels, eta) in [(Pixels::Normalised, 0.003), (Pixels::Unit, unit), (Pixels::Bytes, unit / 255.0 / 255.0)]
        {
            let normalizer = pixels.normalizer(&images).unwrap();
            let data = Data { train: &images, validation: &images, normalizer: &normalizer };
            let start = Parameters::zeros(images.dims());
            let trainer = Trainer::new(data, &[Setting::new(0.0, eta).unwrap()], &schedule, &start).unwrap();
            let (runs, _) = trainer.without_evaluation().train(&mut ()).unwrap();
            let (found, losses) = Pixels::recognised(&runs[0].parameters, &images).unwrap();
            assert_eq!(found, pixels, "{losses:?}");
            assert!(shows_pixels(&losses, 10), "{losses:?}");
        }
        let (_, guesses) = Pixels::recognised(&Parameters::zeros(images.dims()), &images).unwrap();
        assert!(!shows_pixels(&guesses, 10), "{guesses:?}");
        assert!(!shows_pixels(&[2.36, 2.312, f64::NAN], 10));
    }

    #[test]
    fn the_statistics_of_an_export_are_used_and_wrong_ones_refused() {
        let dims = Dims { features: 3, classes: 2 };
        let (w, three) = ([0.0_f32, 0.5, 1.0, 1.5, 2.0, 2.5], [0.5_f32, 0.25, 0.125]);
        let file = |mean: &[f32], shape: &[usize]| {
            npz::write(&[
                ("W", &[3, 2], Elements::F32(&w)),
                ("mean", shape, Elements::F32(mean)),
                ("std", &[3], Elements::F32(&three)),
            ])
            .unwrap()
        };
        let path = Path::new("model.npz");
        let model = Elsewhere::from_npz(&file(&three, &[3]), path, dims).unwrap();
        assert_eq!(model.parameters.weight, [0.0, 1.0, 2.0, 0.5, 1.5, 2.5], "(d,k) is turned");
        assert_eq!(model.normalizer.unwrap().mean(), three);
        let error = Elsewhere::from_npz(&file(&three[..2], &[2]), path, dims).unwrap_err().to_string();
        assert_eq!(error, "model.npz: array \"mean\" must have the shape (3) or (1, 3) or (3, 1), but has (2)");
    }

    #[test]
    fn the_accuracy_is_the_share_of_the_images_that_get_their_label() {
        let images = sample::load(sample::DEFAULT_DIR.as_ref()).unwrap().test;
        let normalizer = Pixels::Unit.normalizer(&images).unwrap();
        // Always class 3.
        let mut parameters = Parameters::zeros(images.dims());
        parameters.bias[3] = 1.0;
        let threes = images.labels().iter().filter(|&&label| label == 3).count();
        let expected = threes as f64 / images.len() as f64;
        assert_eq!(accuracy_of(&parameters, &images, &normalizer).unwrap(), expected);
        assert!(0.0 < expected && expected < 1.0);
    }

    #[test]
    fn an_accuracy_is_suspicious_from_three_standard_errors_above_its_bound() {
        // Of 10,000 images, a standard error of 0.00496; of 100, 0.0496.
        let alone = |accuracy, images| suspicion((accuracy, images), None).is_some();
        assert_eq!([0.4368, 0.4370].map(|accuracy| alone(accuracy, 10_000)), [false, true]);
        assert_eq!([0.57, 0.575].map(|accuracy| alone(accuracy, 100)), [false, true]);
        // The accuracy that is its own bound.
        let bound = (0..50).fold(0.43_f64, |a, _| LINEAR_LIMIT + 3.0 * (a * (1.0 - a) / 10_000.0).sqrt());
        assert_eq!([bound, bound + 1e-12].map(|accuracy| alone(accuracy, 10_000)), [false, true]);
        // Of both accuracies, √(0.00490² + 0.00485²) = 0.00690.
        let beside = |accuracy, images| suspicion((accuracy, 10_000), Some((0.38, images))).is_some();
        assert_eq!([0.4005, 0.4009].map(|accuracy| beside(accuracy, 10_000)), [false, true]);
        // Of 500 training images, √(0.0049² + 0.0217²) = 0.0222.
        assert_eq!([0.42, 0.436].map(|accuracy| beside(accuracy, 500)), [false, false]);
        assert_eq!(suspicion((0.0, 100), Some((0.0, 100))), None, "equal accuracies without an error");
        assert!(suspicion((0.01, 1_000_000), Some((0.0, 100))).is_some());
    }

    #[test]
    fn a_suspicion_is_one_sentence_with_its_numbers() {
        let sentence = |test, train| suspicion((test, 10_000), Some((train, 10_000))).unwrap();
        assert_eq!(
            sentence(0.4724, 0.9),
            "it classifies 47.24 % of the test images correctly, more than a linear classifier can (42.20 %): it looks \
             trained on them"
        );
        assert_eq!(
            sentence(0.41, 0.36),
            "it classifies 41.00 % of the test images correctly, but only 36.00 % of the training images: it looks trained \
             on the test images"
        );
    }

    #[test]
    fn a_loss_shows_the_pixels_if_it_is_a_tenth_below_that_of_guessing() {
        // Of one class, guessing has the loss 0.
        let shows = |loss: f64| shows_pixels(&[f64::NAN, f64::INFINITY, loss], 1);
        assert_eq!([-0.1, (-0.1_f64).next_down(), 0.0].map(shows), [false, true, false]);
        for place in 0..3 {
            let mut losses = [2.3; 3];
            assert!(!shows_pixels(&losses, 10));
            losses[place] = 2.2;
            assert!(shows_pixels(&losses, 10), "ln 10 = 2.303");
        }
    }

    #[test]
    fn pixels_are_made_as_their_name_says() {
        let dims = Dims { features: 2, classes: 2 };
        let images = Dataset::new(dims, vec![0, 51, 255, 153], vec![0, 1]).unwrap();
        let made = |pixels: Pixels| {
            let x = pixels.normalizer(&images).unwrap().apply(&images, [0, 1]);
            x.into_iter().map(f64::from).collect::<Vec<_>>()
        };
        for (pixels, name, expected) in [
            (Pixels::Normalised, "normalised pixels", [-1.0, -1.0, 1.0, 1.0]),
            (Pixels::Unit, "pixels / 255", [0.0, 0.2, 1.0, 0.6]),
            (Pixels::Bytes, "pixels from 0 to 255", [0.0, 51.0, 255.0, 153.0]),
        ] {
            let found = made(pixels);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs()), "{name}: {found:?}");
            assert_eq!(pixels.to_string(), name);
        }
    }

    #[test]
    fn a_normaliser_needs_both_statistics_and_lambda_is_0_unless_it_is_stated() {
        let dims = Dims { features: 3, classes: 2 };
        let (w, one) = ([0.0_f32; 6], [1.0_f32, 2.0, 4.0]);
        let read = |more: &[(&str, &[usize], Elements)]| {
            let arrays = [&[("W", &[2, 3][..], Elements::F32(&w))], more].concat();
            Elsewhere::from_npz(&npz::write(&arrays).unwrap(), Path::new("model.npz"), dims)
        };
        let plain = read(&[]).unwrap();
        assert_eq!((plain.normalizer, plain.lambda), (None, 0.0));
        assert_eq!(plain.parameters, Parameters::zeros(dims));
        for name in ["mean", "std"] {
            assert_eq!(read(&[(name, &[3], Elements::F32(&one))]).unwrap().normalizer, None, "{name} alone");
        }
        for shape in [&[3][..], &[1, 3], &[3, 1]] {
            let statistics = [("mean", shape, Elements::F32(&one)), ("std", shape, Elements::F32(&one))];
            let normalizer = read(&statistics).unwrap().normalizer.unwrap();
            assert_eq!((normalizer.mean(), normalizer.std()), (&one[..], &one[..]));
        }
        let refused = read(&[("mean", &[3], Elements::F32(&one)), ("std", &[3], Elements::F32(&w[..3]))]);
        assert_eq!(refused.unwrap_err().to_string(), "model.npz: std must be above 0, but is 0");
        assert_eq!(read(&[("lambda", &[], Elements::F64(&[0.25]))]).unwrap().lambda, 0.25);
        let refused = read(&[("lambda", &[], Elements::F64(&[-0.5]))]);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "model.npz: lambda must be at least 0 and below 1.7e38, but is -0.5"
        );
    }
}
