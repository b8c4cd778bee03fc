//! The files of the referee.
//!
//! A problem of n examples, d features and k classes is an `.npz` file, written here or by hand:
//!
//! | array | `rows` | `columns` | `cs231n` | |
//! |---|---|---|---|---|
//! | `x` | (n,d) | (d,n) | (n,d+1) | the normalised examples; in `cs231n`, the last feature of each is 1 |
//! | `y` | (n) | (n) | (n) | their classes, counted from 0 |
//! | `W` | (k,d) | (k,d) | (d+1,k) | the weights; in `cs231n`, the last row is the bias |
//! | `b` | (k) | (k,1) | – | the biases |
//! | `lambda` | () | () | () | λ in cost = loss + λ · Σ W² |
//! | `loss` | () | () | () | `softmax` or `bce`; without it, `softmax` |
//! | `layout` | () | () | () | `rows`, `columns` or `cs231n`; without it, the one that the shapes fit |
//!
//! Any type of number will do, and `X` for `x`; a vector may be a row, a column, or have one dimension. The `x`, `W` and `b`
//! that are written are `float32` values stored as `float64`: NumPy then computes in `float64`, and converting them to
//! `float32` is exact.
//!
//! A submission is an `.npz` file with some of these arrays of `float32` or `float64`, or an `.npy` file with one of the two
//! gradients, which is recognised by its shape:
//!
//! | array | other names | shape | |
//! |---|---|---|---|
//! | `grad_W` | `dW`, `W` | (k,d) or (d,k) | the gradient of the cost with respect to `W`; if d = k, the shape of `W` |
//! | `grad_b` | `db`, `b` | (k), (k,1) or (1,k) | the gradient with respect to `b`; none in `cs231n` |
//! | `loss` | | (), (1) or (1,1) | optional: the mean loss; in `cs231n`, with the penalty inside it, the cost |
//! | `cost` | | (), (1) or (1,1) | optional: the cost as above |

use std::path::Path;

use super::{Answer, Exercise, Layout, Quantity, Submission};
use crate::error::{Error, Result};
use crate::files::npy;
use crate::files::npz::{self, Array, Elements, Npz};
use crate::gradcheck::reference::Parameters64;
use crate::hyperparameters::Loss;
use crate::shape::{Dims, shape_text};

/// The file of a problem. Equal problems give equal bytes.
///
/// # Errors
///
/// `Error::InvalidValue` if `x` exceeds 64 MiB (2,730 images), the most that is read back.
pub fn problem_to_npz(exercise: &Exercise) -> Result<Vec<u8>> {
    problem_with_gradients(exercise, &[])
}

/// The file of a problem with `gradients`: name, quantity and elements of each, which are arranged as those of `W` and `b`.
///
/// # Errors
///
/// Those of [`problem_to_npz`].
pub fn problem_with_gradients(exercise: &Exercise, gradients: &[(&str, Quantity, &[f64])]) -> Result<Vec<u8>> {
    let (n, d, layout) = (exercise.examples(), exercise.dims().features, exercise.layout());
    let labels: Vec<i64> = exercise.labels().iter().map(|&y| y.into()).collect();
    let x = match layout {
        Layout::Columns => (vec![d, n], transposed(exercise.x(), d)),
        _ => (vec![n, d], exercise.x().to_vec()),
    };
    let parameters = exercise.parameters();
    let mut floats = vec![("x", x), ("W", arranged(exercise, Quantity::Weight, &parameters.weight))];
    if layout != Layout::Cs231n {
        floats.push(("b", arranged(exercise, Quantity::Bias, &parameters.bias)));
    }
    floats.push(("lambda", (vec![], vec![exercise.lambda()])));
    floats.extend(gradients.iter().map(|(name, quantity, values)| (*name, arranged(exercise, *quantity, values))));
    let of_labels = [n];
    let mut arrays: Vec<(&str, &[usize], Elements)> = vec![("y", &of_labels, Elements::I64(&labels))];
    arrays.extend(floats.iter().map(|(name, (shape, values))| (*name, &shape[..], Elements::F64(values))));
    arrays.push(("loss", &[], Elements::Text(exercise.loss().name())));
    arrays.push(("layout", &[], Elements::Text(layout.name())));
    npz::write(&arrays)
}

/// Shape and elements of `values`, the elements of W or of b in this program's order, in the layout of `exercise`.
fn arranged(exercise: &Exercise, quantity: Quantity, values: &[f64]) -> (Vec<usize>, Vec<f64>) {
    let Dims { features: d, classes: k } = exercise.dims();
    match (quantity, exercise.layout()) {
        (Quantity::Weight, Layout::Cs231n) => (vec![d, k], transposed(values, d)),
        (Quantity::Weight, _) => (vec![k, d], values.to_vec()),
        (_, Layout::Columns) => (vec![k, 1], values.to_vec()),
        _ => (vec![k], values.to_vec()),
    }
}

/// Reads a problem from `bytes`. Errors name `path` as their file.
///
/// # Errors
///
/// `Error::Format` if `bytes` are not a valid `.npz` file, an array is missing, a label is not a class, the shapes fit
/// several layouts, a number is NaN or infinite, or λ is negative. `Error::Shape` if an array has the wrong shape.
pub fn read_problem(bytes: &[u8], path: &Path) -> Result<Exercise> {
    let npz = Npz::open(bytes, path)?.expecting(
        "a problem has x, y, W, b and lambda, as `gradcheck --export` writes them, and is named by --problem",
    );
    let name = if npz.contains("X") && !npz.contains("x") { "X" } else { "x" };
    let [x, weight] = [matrix(&npz, name)?, matrix(&npz, "W")?];
    let y = npz.numbers("y")?;
    let n = y.values.len();
    if n == 0 || !is_vector(&y.shape) {
        return Err(npz.shape_error("y", "(1 or more)", &y.shape));
    }
    let layout = match npz.contains("layout") {
        true => named_layout(&npz)?,
        false => fitting_layout(&npz, &x.shape, &weight.shape, n)?,
    };
    let shape = [weight.shape[0], weight.shape[1]];
    let bias = match layout {
        Layout::Cs231n => None,
        _ => Some(npz.numbers("b")?),
    };
    let k = bias.as_ref().map_or(shape[1], |bias| bias.values.len());
    let is_turned = layout == Layout::Cs231n || (shape[0] != k && shape[1] == k);
    let d = if is_turned { shape[0] } else { shape[1] };
    if let Some(bias) = bias.as_ref().filter(|bias| !is_vector(&bias.shape) || !shape.contains(&k)) {
        return Err(npz.shape_error("b", &format!("({})", shape[0]), &bias.shape));
    }
    let expected = if layout == Layout::Columns { [d, n] } else { [n, d] };
    if x.shape != expected {
        return Err(npz.shape_error(name, &shape_text(&expected), &x.shape));
    }
    let arrays = [(name, &x), ("W", &weight)].into_iter().chain(bias.as_ref().map(|bias| ("b", bias)));
    arrays.into_iter().try_for_each(|(name, array)| npz.check_finite(name, array))?;
    let labels = labels(&npz, &y, k)?;
    let lambda = npz.numbers("lambda")?;
    if lambda.values.len() != 1 {
        return Err(npz.shape_error("lambda", "(), one number", &lambda.shape));
    }
    let loss = if npz.contains("loss") { loss(&npz)? } else { Loss::Softmax };
    let x = if layout == Layout::Columns { transposed(&x.values, n) } else { x.values };
    if layout == Layout::Cs231n && x.chunks(d).any(|x| x[d - 1] != 1.0) {
        return Err(npz.format_error(name, "the last feature of each example must be 1 in the layout cs231n"));
    }
    let bias = bias.map_or_else(|| vec![0.0; k], |bias| bias.values);
    let weight = if is_turned { transposed(&weight.values, k) } else { weight.values };
    let parameters = Parameters64 { dims: Dims { features: d, classes: k }, weight, bias };
    Exercise::new(x, labels, parameters, lambda.values[0], loss, layout).map_err(|e| Error::format(path, e.to_string()))
}

/// The two-dimensional array `name`, with at least one element.
fn matrix(npz: &Npz, name: &str) -> Result<Array> {
    let array = npz.numbers(name)?;
    match array.shape[..] {
        [rows, columns] if rows > 0 && columns > 0 => Ok(array),
        _ => Err(npz.shape_error(name, "(1 or more, 1 or more)", &array.shape)),
    }
}

fn is_vector(shape: &[usize]) -> bool {
    matches!(shape, [_] | [1, _] | [_, 1])
}

fn named_layout(npz: &Npz) -> Result<Layout> {
    let name = npz.text("layout")?;
    let expected = || npz.format_error("layout", format!("must be rows, columns or cs231n, but is {name:?}"));
    Layout::parse(&name).ok_or_else(expected)
}

fn loss(npz: &Npz) -> Result<Loss> {
    npz.text("loss")?.parse().map_err(|error| npz.format_error("loss", error))
}

/// The layout that the shapes of `x` and `weight` fit, for `n` examples.
fn fitting_layout(npz: &Npz, x: &[usize], weight: &[usize], n: usize) -> Result<Layout> {
    if !npz.contains("b") {
        let fits = x[0] == n && x[1] == weight[0];
        return if fits { Ok(Layout::Cs231n) } else { Err(npz.missing("b")) };
    }
    let has_rows = |length| weight.contains(&length);
    match (x[0] == n && has_rows(x[1]), x[1] == n && has_rows(x[0])) {
        (true, true) => Err(npz.format_error(
            "x",
            format!("its rows or its columns may be the {n} examples: add layout = \"rows\" or \"columns\""),
        )),
        (false, true) => Ok(Layout::Columns),
        _ => Ok(Layout::Rows),
    }
}

/// Reads a submission for `exercise` from `bytes`. Errors name `path` as their file.
///
/// # Errors
///
/// `Error::Format` if `bytes` are neither an `.npz` nor an `.npy` file, a gradient is missing or there twice, `Error::Shape`
/// if an array has the wrong shape.
pub fn read_submission(bytes: &[u8], path: &Path, exercise: &Exercise) -> Result<Submission> {
    if bytes.starts_with(npy::MAGIC) || path.extension().is_some_and(|extension| extension == "npy") {
        return Ok(vec![lone_gradient(bytes, path, exercise)?]);
    }
    let npz = Npz::open(bytes, path)?.expecting(SOLUTION);
    let mut submission: Submission = Vec::new();
    for quantity in Quantity::ALL {
        let is_optional = matches!(quantity, Quantity::Loss | Quantity::Cost);
        let Some(name) = found_name(&npz, quantity)? else {
            if is_optional || (quantity == Quantity::Bias && exercise.layout() == Layout::Cs231n) {
                continue;
            }
            return Err(npz.missing(quantity.name()));
        };
        if quantity == Quantity::Bias && exercise.layout() == Layout::Cs231n {
            return Err(npz.format_error(name, "in the layout cs231n the bias is the last row of W: leave it out"));
        }
        let includes_penalty = quantity == Quantity::Loss && exercise.layout() == Layout::Cs231n;
        if includes_penalty && npz.contains("cost") {
            return Err(npz.format_error(name, "in the layout cs231n the loss is the cost: leave one of them out"));
        }
        let shapes = shapes(quantity, exercise.dims());
        let shapes: Vec<&[usize]> = shapes.iter().map(|s| &s[..]).collect();
        let array = npz.array_of(name, &shapes)?;
        submission.push(Answer {
            quantity: if includes_penalty { Quantity::Cost } else { quantity },
            is_f32: npz.is_f32(name),
            values: in_rows(array, quantity, exercise),
        });
    }
    Ok(submission)
}

/// The names of the arrays in the submission `bytes` that [`read_submission`] does not read, unless they are those of a
/// problem, which may be saved with its solution.
pub fn unread_arrays(bytes: &[u8], path: &Path) -> Vec<String> {
    const READ: [&str; 13] =
        ["grad_W", "dW", "W", "grad_b", "db", "b", "loss", "cost", "x", "X", "y", "lambda", "layout"];
    let names = Npz::open(bytes, path).map_or_else(|_| Vec::new(), |npz| npz.names());
    names.into_iter().filter(|name| !READ.contains(&name.as_str())).collect()
}

/// What a submission must contain.
const SOLUTION: &str = "a solution has grad_W and grad_b, or dW and db, and optionally loss and cost";

/// The name under which the array `quantity` is found. Parameters with the name of a gradient may lie beside it.
fn found_name<'a>(npz: &Npz, quantity: Quantity) -> Result<Option<&'a str>> {
    let [explicit, other, parameter]: [&str; 3] = match quantity {
        Quantity::Weight => ["grad_W", "dW", "W"],
        Quantity::Bias => ["grad_b", "db", "b"],
        // A problem that was saved with its solution has a string of this name, the kind of loss.
        Quantity::Loss => return Ok(Some("loss").filter(|name| npz.contains(name) && loss(npz).is_err())),
        Quantity::Cost => return Ok(Some("cost").filter(|name| npz.contains(name))),
    };
    if npz.contains(explicit) && npz.contains(other) && bits(&npz.array(explicit)?) != bits(&npz.array(other)?) {
        return Err(
            npz.format_error(explicit, format!("there is also {other:?} with other numbers: leave one of them out"))
        );
    }
    // Under the names of the parameters, both gradients must be: beside a gradient, they are the parameters.
    let are_gradients = !["grad_W", "dW", "grad_b", "db"].iter().any(|name| npz.contains(name));
    let names = [Some(explicit), Some(other), Some(parameter).filter(|_| are_gradients)];
    Ok(names.into_iter().flatten().find(|name| npz.contains(name)))
}

/// Shape and bits of an array: a NaN is equal to itself.
fn bits(array: &Array) -> (&[usize], Vec<u64>) {
    (&array.shape, array.values.iter().map(|v| v.to_bits()).collect())
}

fn shapes(quantity: Quantity, dims: Dims) -> Vec<Vec<usize>> {
    let Dims { features: d, classes: k } = dims;
    match quantity {
        Quantity::Weight => vec![vec![k, d], vec![d, k]],
        Quantity::Bias => vec![vec![k], vec![k, 1], vec![1, k]],
        Quantity::Loss | Quantity::Cost => vec![vec![], vec![1], vec![1, 1]],
    }
}

/// The elements of `array` in this program's order; a square matrix is in that of the problem's W.
fn in_rows(array: Array, quantity: Quantity, exercise: &Exercise) -> Vec<f64> {
    let Dims { features: d, classes: k } = exercise.dims();
    let is_turned = array.shape != [k, d] || (d == k && exercise.layout() == Layout::Cs231n);
    if quantity == Quantity::Weight && is_turned { transposed(&array.values, k) } else { array.values }
}

/// The gradient in an `.npy` file, recognised by its shape.
fn lone_gradient(bytes: &[u8], path: &Path, exercise: &Exercise) -> Result<Answer> {
    let array = npy::floats(bytes).map_err(|reason| Error::format(path, reason))?;
    let fits = |quantity: &Quantity| shapes(*quantity, exercise.dims()).contains(&array.shape);
    let has_bias = exercise.layout() != Layout::Cs231n;
    let candidates = [Some(Quantity::Weight), has_bias.then_some(Quantity::Bias)];
    match candidates.into_iter().flatten().filter(fits).collect::<Vec<_>>()[..] {
        [quantity] => Ok(Answer { quantity, is_f32: npy::is_f32(bytes), values: in_rows(array, quantity, exercise) }),
        [] => {
            let Dims { features: d, classes: k } = exercise.dims();
            let turned = if d == k { String::new() } else { format!(" or ({d}, {k})") };
            let expected = format!("({k}, {d}){turned} for grad_W or ({k}) for grad_b");
            Err(Error::shape(path.display().to_string(), expected, shape_text(&array.shape)))
        }
        _ => Err(Error::format(path, "may be grad_W or grad_b: save both by name with np.savez")),
    }
}

/// The transpose of a matrix with `columns` columns.
fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    let column = |c| values[c..].iter().step_by(columns);
    (0..columns).flat_map(column).copied().collect()
}

/// The classes in the array `y`, each below `k`.
fn labels(npz: &Npz, y: &Array, k: usize) -> Result<Vec<u8>> {
    let largest = k.min(usize::from(u8::MAX) + 1) - 1;
    let label = |&y: &f64| (0..=largest).find(|&label| label as f64 == y).map(|label| label as u8);
    let labels = y.values.iter().map(|y| {
        label(y).ok_or_else(|| npz.format_error("y", format!("labels must be 0 to {largest}, but one is {y}")))
    });
    labels.collect()
}

#[cfg(test)]
mod tests;
