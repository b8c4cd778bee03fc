//! What somebody kept of a training, from an `.npz` file.

use std::path::Path;

use super::mistake::Mistake;
use super::names;
use super::reading::largest;
use super::training::Trace;
use crate::error::{Error, Result};
use crate::files::but_only;
use crate::files::npz::Npz;
use crate::hyperparameters::{Hyperparameters, Schedule};
use crate::network::Parameters;
use crate::shape::Dims;
use crate::train::parameters_from_npz;

/// The largest difference of a right run that computes in `float64`: of a loss relative to itself above 1. This program
/// computes in `f32`.
pub(super) const TOLERANCE: f64 = 1e-6;

/// The same of a run that computes in `float32`.
const TOLERANCE_F32: f64 = 1e-4;

/// The number of accuracies with which different trainings do not agree by chance.
const ENOUGH_ACCURACIES: usize = 10;

/// A split that has curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The training split.
    Train,
    /// The validation split.
    Validation,
}

/// The quantity of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Mean loss, in nats.
    Loss,
    /// Loss and penalty.
    Cost,
    /// Fraction of the examples that are classified correctly.
    Accuracy,
}

/// One value per epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the file, such as `train_loss`.
    pub name: &'static str,
    /// The split.
    pub split: Split,
    /// The quantity.
    pub kind: Kind,
    /// The epoch of the first value: 1, or 0 if the start was scored too.
    pub first_epoch: usize,
    /// (epochs), or (epochs + 1) with the start.
    pub values: Vec<f64>,
}

/// What somebody kept of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The parameters at the end: `W` and `b`.
    pub parameters: Option<Parameters>,
    /// The parameters at the start: `W0` and `b0`.
    pub start: Option<Parameters>,
    /// The curves that are there.
    pub curves: Vec<Curve>,
    /// The accuracy on the test split at the end.
    pub test_accuracy: Option<f64>,
    /// True if the run computed in `float32`, judged by its arrays.
    pub is_f32: bool,
    /// True if W is there as (d,k), so that it was probably drawn so.
    pub is_transposed: bool,
    /// The hyperparameters, from the file where it has them.
    pub hyperparameters: Hyperparameters,
    /// The names of the hyperparameters that are defaults, since nothing gives them.
    pub defaults: Vec<&'static str>,
    /// The names of the hyperparameters that the file has with other values, because they were given.
    pub overridden: Vec<&'static str>,
    /// The names of the arrays that are not read, each with the name that was probably meant.
    pub unread: Vec<(String, Option<&'static str>)>,
}

/// The name of the accuracy on the test split.
pub(super) const TEST_ACCURACY: &str = "test_accuracy";

/// The names of the curves.
const CURVES: [(&str, Split, Kind); 6] = [
    ("train_loss", Split::Train, Kind::Loss),
    ("validation_loss", Split::Validation, Kind::Loss),
    ("train_cost", Split::Train, Kind::Cost),
    ("validation_cost", Split::Validation, Kind::Cost),
    ("train_accuracy", Split::Train, Kind::Accuracy),
    ("validation_accuracy", Split::Validation, Kind::Accuracy),
];

/// The names of the hyperparameters.
const HYPERPARAMETERS: [&str; 5] = ["lambda", "eta", "batch_size", "epochs", "seed"];

/// The values that the options of the command give; they precede those of the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// λ.
    pub lambda: Option<f64>,
    /// η.
    pub eta: Option<f64>,
    /// Examples per mini-batch.
    pub batch_size: Option<usize>,
    /// Passes over the training split.
    pub epochs: Option<usize>,
    /// The seed.
    pub seed: Option<u64>,
}

impl Record {
    /// Reads the `.npz` file `bytes`; errors name `path` as the file. Hyperparameters come from `given`, then from the
    /// scalars `lambda`, `eta`, `batch_size`, `epochs` and `seed` of the file, then from the report's protocol with λ = 0 and
    /// η = 0.001.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] for a file that is not readable, has nothing to audit, a problem of `gradcheck` or a number that is not
    /// finite, [`Error::Shape`] for an array that does not fit `dims` or the other curves.
    pub fn from_npz(bytes: &[u8], path: &Path, dims: Dims, given: &Given) -> Result<Self> {
        let npz = Npz::open(bytes, path)?;
        refuse_problem(&npz, path)?;
        let parameters = |weight, bias| match npz.contains(weight) {
            true => parameters_from_npz(&npz, [weight, bias], dims).map(Some),
            false => Ok(None),
        };
        let is_transposed = npz.contains("W") && npz.numbers("W")?.shape == [dims.features, dims.classes];
        let mut record = Self {
            parameters: parameters("W", "b")?,
            start: parameters("W0", "b0")?,
            curves: curves(&npz)?,
            test_accuracy: test_accuracy(&npz)?,
            is_f32: CURVES.iter().map(|(name, ..)| *name).chain(["W"]).any(|name| npz.is_f32(name)),
            is_transposed,
            hyperparameters: Hyperparameters::default(),
            defaults: Vec::new(),
            overridden: Vec::new(),
            unread: names::unread(&npz.names(), &known_names()),
        };
        if record.parameters.is_none() && record.curves.is_empty() && record.test_accuracy.is_none() {
            let expected = format!("W and b, or {}", CURVES.map(|(name, ..)| name).join(", "));
            let found = but_only(&npz.names());
            let meant = record.unread.iter().find_map(|(name, meant)| Some((name, (*meant)?)));
            let meant = meant.map_or_else(String::new, |(name, meant)| format!("; is {name:?} the {meant}?"));
            return Err(Error::format(path, format!("there is nothing to audit, such as {expected}{found}{meant}")));
        }
        record.hyperparameters = record.read_hyperparameters(&npz, given)?;
        record.defaults = record.defaults(&npz, given);
        let of_file = record.read_hyperparameters(&npz, &Given::default())?;
        record.overridden = overridden(&npz, &record.hyperparameters, &of_file);
        record.set_first_epochs(&npz)?;
        Ok(record)
    }

    /// True if there is enough to tell trainings apart: parameters, losses, or the accuracies of several epochs.
    pub fn can_be_followed(&self) -> bool {
        let accuracies: usize = self.curves.iter().map(|curve| curve.values.len()).sum();
        self.parameters.is_some() || self.has_losses() || accuracies >= ENOUGH_ACCURACIES
    }

    /// True if there are losses or costs, two of which are enough to tell trainings apart.
    pub(super) fn has_losses(&self) -> bool {
        self.curves.iter().any(|curve| curve.kind != Kind::Accuracy)
    }

    /// The largest difference of a right run.
    pub(super) fn tolerance(&self) -> f64 {
        if self.is_f32 { TOLERANCE_F32 } else { TOLERANCE }
    }

    fn read_hyperparameters(&self, npz: &Npz, given: &Given) -> Result<Hyperparameters> {
        let default = Hyperparameters::default();
        let length = self.curves.first().map_or(default.epochs, |curve| curve.values.len());
        // The protocol's epochs with a score of the start.
        let epochs = if length == Schedule::REPORT.epochs + 1 { length - 1 } else { length };
        Ok(Hyperparameters {
            lambda: given.lambda.or(npz.optional_number("lambda")?).unwrap_or(default.lambda),
            eta: given.eta.or(npz.optional_number("eta")?).unwrap_or(default.eta),
            batch_size: given.batch_size.or(whole(npz, "batch_size", 1)?).unwrap_or(default.batch_size),
            epochs: given.epochs.or(whole(npz, "epochs", 1)?).unwrap_or(epochs),
            seed: given.seed.or(whole(npz, "seed", 0)?).unwrap_or(default.seed),
            ..default
        })
    }

    /// The names of the hyperparameters that neither `given` nor the file has; curves have a number of epochs.
    fn defaults(&self, npz: &Npz, given: &Given) -> Vec<&'static str> {
        let Given { lambda, eta, batch_size, epochs, seed } = given;
        let has_epochs = epochs.is_some() || !self.curves.is_empty();
        let given = [lambda.is_some(), eta.is_some(), batch_size.is_some(), has_epochs, seed.is_some()];
        let names = HYPERPARAMETERS.into_iter().zip(given);
        names.filter(|(name, given)| !given && !npz.contains(name)).map(|(name, _)| name).collect()
    }

    /// Checks the lengths of the curves: that of the epochs, or one more with the start.
    fn set_first_epochs(&mut self, npz: &Npz) -> Result<()> {
        let epochs = self.hyperparameters.epochs;
        for curve in &mut self.curves {
            let length = curve.values.len();
            if length != epochs && length != epochs + 1 {
                let expected = format!("({epochs}), one value per epoch, or ({}) with the start", epochs + 1);
                return Err(npz.shape_error(curve.name, &expected, &[length]));
            }
            curve.first_epoch = epochs + 1 - length;
        }
        Ok(())
    }

    /// The largest difference of the final parameters from those of `trace`, relative to the largest weight; `None` without
    /// parameters.
    pub(super) fn distance_of_parameters(&self, trace: &Trace) -> Option<f64> {
        let (found, expected) = (self.parameters.as_ref()?, trace.states.last()?);
        let found_weight = match trace.mistake {
            Some(Mistake::Pixels(order)) => order.sorted(&found.weight),
            _ => found.weight.clone(),
        };
        let scale = expected.weight.iter().fold(0.0_f32, |a, b| a.max(b.abs())).max(f32::MIN_POSITIVE);
        let pairs = found_weight.iter().zip(&expected.weight).chain(found.bias.iter().zip(&expected.bias));
        Some(largest(pairs.map(|(a, b)| f64::from((a - b).abs() / scale))))
    }
}

/// The names of the arrays that are read.
fn known_names() -> Vec<&'static str> {
    let curves = CURVES.iter().map(|(name, ..)| *name);
    ["W", "b", "W0", "b0", TEST_ACCURACY].into_iter().chain(curves).chain(HYPERPARAMETERS).collect()
}

/// The names of the hyperparameters that the file has, as `of_file`, with other values than `used`.
fn overridden(npz: &Npz, used: &Hyperparameters, of_file: &Hyperparameters) -> Vec<&'static str> {
    let values = |h: &Hyperparameters| [h.lambda, h.eta, h.batch_size as f64, h.epochs as f64, h.seed as f64];
    let pairs = values(used).into_iter().zip(values(of_file));
    let names = HYPERPARAMETERS.into_iter().zip(pairs);
    names.filter(|(name, (used, of_file))| used != of_file && npz.contains(name)).map(|(name, _)| name).collect()
}

/// Refuses a problem that `gradcheck --export` wrote, which has parameters and no training.
fn refuse_problem(npz: &Npz, path: &Path) -> Result<()> {
    let has_any = |names: &[&str]| names.iter().any(|name| npz.contains(name));
    let is_of_training = has_any(&CURVES.map(|(name, ..)| name)) || npz.contains(TEST_ACCURACY);
    if is_of_training || !has_any(&["x", "X"]) || !npz.contains("y") {
        return Ok(());
    }
    let reason = "this is a problem of gradcheck (x, y and W), not a training: `onelayer gradcheck --grads` checks \
                  gradients of it; to audit a training, save it without x and y";
    Err(Error::format(path, reason))
}

/// The curves in the file, accuracies as fractions.
fn curves(npz: &Npz) -> Result<Vec<Curve>> {
    let mut curves = Vec::new();
    for (name, split, kind) in CURVES {
        if !npz.contains(name) {
            continue;
        }
        let array = npz.numbers(name)?;
        if array.shape.iter().filter(|&&n| n != 1).count() > 1 || array.values.is_empty() {
            return Err(npz.shape_error(name, "(epochs)", &array.shape));
        }
        npz.check_finite(name, &array)?;
        let values = if kind == Kind::Accuracy { fractions(array.values) } else { array.values };
        curves.push(Curve { name, split, kind, first_epoch: 1, values });
    }
    Ok(curves)
}

/// Accuracies as fractions, from fractions or percent.
fn fractions(values: Vec<f64>) -> Vec<f64> {
    let is_percent = values.iter().any(|&value| value > 1.0);
    values.into_iter().map(|value| if is_percent { value / 100.0 } else { value }).collect()
}

/// The last value of `test_accuracy`.
fn test_accuracy(npz: &Npz) -> Result<Option<f64>> {
    if !npz.contains(TEST_ACCURACY) {
        return Ok(None);
    }
    let array = npz.numbers(TEST_ACCURACY)?;
    npz.check_finite(TEST_ACCURACY, &array)?;
    Ok(fractions(array.values).last().copied())
}

/// The whole number `name`, at least `least`; `None` if it is not there.
fn whole<T: TryFrom<i64>>(npz: &Npz, name: &str, least: u8) -> Result<Option<T>> {
    let Some(value) = npz.optional_number(name)? else { return Ok(None) };
    let is_whole = value.fract() == 0.0 && (f64::from(least)..9e15).contains(&value);
    let whole = if is_whole { T::try_from(value as i64).ok() } else { None };
    let error = || npz.format_error(name, format!("must be a whole number of at least {least}, but is {value}"));
    whole.ok_or_else(error).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::npz::{self, Elements};

    const DIMS: Dims = Dims { features: 3, classes: 2 };
    const W: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    /// The record of a file with these arrays, all of `float64`.
    fn record(arrays: &[(&str, &[usize], &[f64])], given: &Given) -> Result<Record> {
        let arrays: Vec<_> =
            arrays.iter().map(|(name, shape, values)| (*name, *shape, Elements::F64(values))).collect();
        Record::from_npz(&npz::write(&arrays).unwrap(), Path::new("run.npz"), DIMS, given)
    }

    fn refusal(arrays: &[(&str, &[usize], &[f64])]) -> String {
        record(arrays, &Given::default()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_there_is_read_and_the_rest_is_the_default() {
        let arrays: [(&str, &[usize], &[f64]); 6] = [
            ("W", &[2, 3], &W),
            ("b", &[2], &[7.0, 8.0]),
            ("train_loss", &[3], &[2.0, 1.5, 1.0]),
            ("validation_accuracy", &[1, 2], &[0.25, 0.5]),
            ("lambda", &[], &[0.5]),
            ("momentum", &[], &[0.9]),
        ];
        let read = record(&arrays, &Given { epochs: Some(2), ..Given::default() }).unwrap();
        let parameters = read.parameters.as_ref().unwrap();
        assert_eq!((&parameters.weight[..], &parameters.bias[..]), (&W.map(|w| w as f32)[..], &[7.0, 8.0][..]));
        let curves: Vec<_> = read.curves.iter().map(|c| (c.name, c.split, c.kind, c.first_epoch)).collect();
        assert_eq!(
            curves,
            [
                ("train_loss", Split::Train, Kind::Loss, 0),
                ("validation_accuracy", Split::Validation, Kind::Accuracy, 1)
            ]
        );
        assert_eq!(read.curves[0].values, [2.0, 1.5, 1.0]);
        let Hyperparameters { lambda, eta, batch_size, epochs, seed, .. } = read.hyperparameters;
        assert_eq!((lambda, eta, batch_size, epochs, seed), (0.5, 0.001, 100, 2, 42));
        assert_eq!(read.defaults, ["eta", "batch_size", "seed"]);
        assert_eq!(read.unread, [("momentum".into(), None)]);
        assert!(read.overridden.is_empty() && read.start.is_none() && read.test_accuracy.is_none());
        assert!(!read.is_f32 && !read.is_transposed && read.tolerance() == TOLERANCE);
        assert!(read.has_losses() && read.can_be_followed());
    }

    #[test]
    fn options_precede_the_file_and_are_said_where_they_differ() {
        let arrays: [(&str, &[usize], &[f64]); 6] = [
            ("train_loss", &[2], &[2.0, 1.5]),
            ("eta", &[], &[0.01]),
            ("batch_size", &[], &[10.0]),
            ("epochs", &[], &[2.0]),
            ("seed", &[], &[7.0]),
            ("lambda", &[], &[0.25]),
        ];
        let given = Given { eta: Some(0.02), batch_size: Some(10), seed: Some(8), ..Given::default() };
        let read = record(&arrays, &given).unwrap();
        let Hyperparameters { lambda, eta, batch_size, epochs, seed, .. } = read.hyperparameters;
        assert_eq!((lambda, eta, batch_size, epochs, seed), (0.25, 0.02, 10, 2, 8));
        assert_eq!(read.overridden, ["eta", "seed"]);
        assert!(read.defaults.is_empty());
        // The protocol's epochs with the score of the start.
        let long = record(&[("train_loss", &[41], &[1.0; 41])], &Given::default()).unwrap();
        assert_eq!((long.hyperparameters.epochs, long.curves[0].first_epoch), (40, 0));
        let other = record(&[("train_loss", &[5], &[1.0; 5])], &Given::default()).unwrap();
        assert_eq!((other.hyperparameters.epochs, other.curves[0].first_epoch), (5, 1));
    }

    #[test]
    fn accuracies_in_percent_are_fractions_and_the_last_test_accuracy_counts() {
        let read = record(
            &[("train_accuracy", &[2], &[10.0, 0.5]), ("test_accuracy", &[3], &[0.1, 0.2, 0.375])],
            &Given::default(),
        )
        .unwrap();
        assert_eq!((&read.curves[0].values[..], read.test_accuracy), (&[0.1, 0.005][..], Some(0.375)));
        assert!(!read.has_losses() && !read.can_be_followed(), "two accuracies agree by chance");
        let ten = record(&[("train_accuracy", &[10], &[0.5; 10])], &Given::default()).unwrap();
        assert!(ten.can_be_followed() && !ten.has_losses());
        let alone = record(&[("W", &[3, 2], &W), ("b", &[2], &[0.0; 2])], &Given::default()).unwrap();
        assert!(alone.can_be_followed() && alone.is_transposed && !alone.has_losses());
        // A row per feature is turned.
        assert_eq!(alone.parameters.unwrap().weight, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn single_precision_has_a_wider_tolerance() {
        let bytes = npz::write(&[("train_loss", &[2], Elements::F32(&[2.0, 1.5]))]).unwrap();
        let read = Record::from_npz(&bytes, Path::new("run.npz"), DIMS, &Given::default()).unwrap();
        assert!(read.is_f32 && read.tolerance() == TOLERANCE_F32);
    }

    #[test]
    fn what_cannot_be_audited_is_refused() {
        let nothing = refusal(&[("x", &[1], &[1.0])]);
        assert!(
            nothing.starts_with("run.npz: there is nothing to audit, such as W and b, or train_loss, "),
            "{nothing}"
        );
        assert!(nothing.ends_with(", only \"x\""), "{nothing}");
        let near = refusal(&[("trainloss", &[1], &[1.0])]);
        assert!(near.ends_with("; is \"trainloss\" the train_loss?"), "{near}");
        let problem = refusal(&[("x", &[1, 3], &[1.0; 3]), ("y", &[1], &[0.0]), ("W", &[2, 3], &W)]);
        assert!(problem.contains("this is a problem of gradcheck (x, y and W), not a training"), "{problem}");
        let both: [(&str, &[usize], &[f64]); 3] =
            [("x", &[1], &[1.0]), ("y", &[1], &[0.0]), ("train_loss", &[1], &[2.0])];
        assert!(record(&both, &Given::default()).is_ok(), "a training that keeps its images");
        let curve = |shape: &[usize], values: &[f64]| refusal(&[("train_loss", shape, values)]);
        assert!(curve(&[2, 2], &[1.0; 4]).contains("must have the shape (epochs), but has (2, 2)"));
        assert!(curve(&[0], &[]).contains("must have the shape (epochs), but has (0)"));
        assert!(curve(&[2], &[1.0, f64::NAN]).contains("must be finite, but train_loss[1] is NaN"));
        assert!(refusal(&[("test_accuracy", &[1], &[f64::INFINITY])]).contains("must be finite"));
        let lengths = refusal(&[("train_loss", &[4], &[1.0; 4]), ("validation_loss", &[2], &[1.0; 2])]);
        assert!(
            lengths.contains("array \"validation_loss\" must have the shape (4), one value per epoch, or (5) with the start, but has (2)"),
            "{lengths}"
        );
        for (name, value, expected) in [
            ("epochs", 0.0, "array \"epochs\": must be a whole number of at least 1, but is 0"),
            ("epochs", 2.5, "array \"epochs\": must be a whole number of at least 1, but is 2.5"),
            ("batch_size", -1.0, "array \"batch_size\": must be a whole number of at least 1, but is -1"),
            ("seed", 1e16, "array \"seed\": must be a whole number of at least 0, but is 10000000000000000"),
        ] {
            let message = refusal(&[("train_loss", &[2], &[1.0; 2]), (name, &[], &[value])]);
            assert!(message.contains(expected), "{message}");
        }
    }
}
