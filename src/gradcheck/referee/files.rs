//! The two `.npz` files of the referee.
//!
//! A problem, written here and solved elsewhere, for n examples, d features and k classes:
//!
//! | array | shape | type | |
//! |---|---|---|---|
//! | `x` | (n, d) | float64 | the normalised examples |
//! | `y` | (n) | int64 | their classes, counted from 0 |
//! | `W` | (k, d) | float64 | the weights |
//! | `b` | (k) | float64 | the biases |
//! | `lambda` | () | float64 | λ in cost = mean cross-entropy + λ · Σ W² |
//!
//! `x`, `W` and `b` are `float32` values stored as `float64`: NumPy then computes in `float64`, and converting them to
//! `float32` is exact.
//!
//! A submission, written elsewhere and read here; each array is `float32` or `float64`:
//!
//! | array | shape | |
//! |---|---|---|
//! | `grad_W` | (k, d) or (d, k) | the gradient of the cost with respect to `W`; if d = k, (k, d) |
//! | `grad_b` | (k), (k, 1) or (1, k) | the gradient of the cost with respect to `b` |
//! | `loss` | (), (1) or (1, 1) | optional: the mean cross-entropy |
//! | `cost` | (), (1) or (1, 1) | optional: cost as above |

use std::path::Path;

use crate::error::Result;
use crate::files::npz::{self, Array, Elements, Npz};
use crate::gradcheck::Problem;
use crate::gradcheck::referee::{Quantity, Submission};
use crate::hyperparameters::Setting;
use crate::network::Parameters;
use crate::shape::Dims;

/// The file of a problem. Equal problems give equal bytes.
///
/// # Errors
///
/// `Error::InvalidValue` if `x` exceeds 64 MiB (2,730 images), the most that is read back, or λ is negative, infinite or
/// NaN.
pub fn problem_to_npz(problem: &Problem, lambda: f64) -> Result<Vec<u8>> {
    let Parameters { dims, weight, bias } = problem.parameters();
    let (n, d, k) = (problem.labels().len(), dims.features, dims.classes);
    let widened = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let labels: Vec<i64> = problem.labels().iter().map(|&y| y.into()).collect();
    npz::write(&[
        ("x", &[n, d], Elements::F64(&widened(problem.x()))),
        ("y", &[n], Elements::I64(&labels)),
        ("W", &[k, d], Elements::F64(&widened(weight))),
        ("b", &[k], Elements::F64(&widened(bias))),
        ("lambda", &[], Elements::F64(&[valid_lambda(lambda)?])),
    ])
}

/// Reads a problem and its λ from `bytes`. Errors name `path` as their file.
///
/// # Errors
///
/// `Error::Format` if `bytes` are not a valid `.npz` file, an array is missing, a label is not a class, or a number is not
/// a `float32` value, so that the reference would compute with a different one. `Error::Shape` if an array has the wrong
/// shape, `Error::NonFinite` if a number is NaN or infinite, `Error::InvalidValue` if λ is negative, infinite or NaN.
pub fn read_problem(bytes: &[u8], path: &Path) -> Result<(Problem, f64)> {
    let npz = Npz::open(bytes, path)?;
    let weight = npz.array("W")?;
    let [k, d] = weight.shape[..] else {
        return Err(npz.shape_error("W", "(classes, features)", &weight.shape));
    };
    let dims = Dims { features: d, classes: k };
    if d == 0 || k == 0 {
        return Err(npz.shape_error("W", "(1 or more, 1 or more)", &weight.shape));
    }
    let bias = npz.array_of("b", &[&[k]])?;
    let labels = labels(&npz, k)?;
    let x = npz.array_of("x", &[&[labels.len(), d]])?;
    let lambda = npz.array_of("lambda", SCALAR)?.values[0];

    let narrowed = |name, array: &Array| narrowed(&npz, name, &array.values);
    let parameters = Parameters::new(dims, narrowed("W", &weight)?, narrowed("b", &bias)?)?;
    let problem = Problem::new(narrowed("x", &x)?, labels, parameters)?;
    Ok((problem, valid_lambda(lambda)?))
}

/// Reads a submission for a problem of `dims` from `bytes`. Errors name `path` as their file.
///
/// # Errors
///
/// `Error::Format` if `bytes` are not a valid `.npz` file or a gradient is missing, `Error::Shape` if an array has the
/// wrong shape, `Error::NonFinite` if a number is NaN or infinite.
pub fn read_submission(bytes: &[u8], path: &Path, dims: Dims) -> Result<Submission> {
    let (k, d) = (dims.classes, dims.features);
    let npz = Npz::open(bytes, path)?;
    let mut submission = Vec::new();
    for quantity in Quantity::ALL {
        let name = quantity.name();
        let shapes: &[&[usize]] = match quantity {
            Quantity::Weight => &[&[k, d], &[d, k]],
            Quantity::Bias => &[&[k], &[k, 1], &[1, k]],
            Quantity::Loss | Quantity::Cost if npz.contains(name) => SCALAR,
            Quantity::Loss | Quantity::Cost => continue,
        };
        let Array { shape, values } = npz.array_of(name, shapes)?;
        npz.check_finite(name, &values)?;
        let is_transposed = quantity == Quantity::Weight && shape != [k, d];
        submission.push((quantity, if is_transposed { transposed(&values, k) } else { values }));
    }
    Ok(submission)
}

/// The shapes of a single number: a NumPy scalar, an array of one, a MATLAB or Octave matrix of one.
const SCALAR: &[&[usize]] = &[&[], &[1], &[1, 1]];

/// The transpose of a matrix with `columns` columns.
fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    let column = |c| values[c..].iter().step_by(columns);
    (0..columns).flat_map(column).copied().collect()
}

fn valid_lambda(lambda: f64) -> Result<f64> {
    Ok(Setting::new(lambda, Setting::REPORT[1].eta())?.lambda())
}

/// The classes in the array `y`, each below `k`.
fn labels(npz: &Npz, k: usize) -> Result<Vec<u8>> {
    let array = npz.integers("y")?;
    if array.shape.len() != 1 || array.values.is_empty() {
        return Err(npz.shape_error("y", "(1 or more)", &array.shape));
    }
    let largest = k.min(usize::from(u8::MAX) + 1) - 1;
    let label = |&y: &i64| u8::try_from(y).ok().filter(|&y| usize::from(y) <= largest);
    let labels = array.values.iter().map(|y| {
        label(y).ok_or_else(|| npz.format_error("y", format!("labels must be 0 to {largest}, but one is {y}")))
    });
    labels.collect()
}

/// The `values` of the array `name` as `f32`, if that is exact.
fn narrowed(npz: &Npz, name: &str, values: &[f64]) -> Result<Vec<f32>> {
    npz.check_finite(name, values)?;
    let narrow = |(index, &value): (usize, &f64)| {
        let narrow = value as f32;
        if f64::from(narrow) == value {
            return Ok(narrow);
        }
        Err(npz.format_error(
            name,
            format!("must hold float32 values, as --export writes them, but element {index} is {value}"),
        ))
    };
    values.iter().enumerate().map(narrow).collect()
}
