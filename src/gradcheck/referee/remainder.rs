//! Where the differences lie that no known mistake explains.

use super::explain::{self, Submitted};
use super::mistake::{Mistake, known, ranges};
use super::recipe::Parts;
use super::{Exercise, Quantity, ROUNDING};
use crate::dataset::cifar10::{CLASS_NAMES, DIMS, PLANE, SIDE};
use crate::gradcheck::linear::{distance, dot, largest, solve};

/// The largest number of elements that are listed one by one.
const FEW: usize = 4;

/// The part of a difference that the named mistakes leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Remainder {
    /// Number of elements that differ by more than rounding errors.
    pub elements: usize,
    /// Number of elements of the quantity.
    pub of: usize,
    /// The largest difference.
    pub largest: f64,
    /// Their place, such as `class 3 cat, green, row 1, column 1`.
    pub place: String,
}

/// The mistake under which most elements are right, if that is more than without one, and the rest of the difference.
pub(super) fn locate(parts: &Parts, submitted: Submitted) -> (Option<Mistake>, Remainder) {
    let Submitted { quantity, values, right, is_f32 } = submitted;
    let rounding = explain::ROUNDING[usize::from(is_f32)];
    let differing = |expected: &[f64]| -> Vec<usize> {
        let noise = rounding * largest(expected).min(largest(values));
        let differs = |i: &usize| {
            let difference = (values[*i] - expected[*i]).abs();
            difference > noise || difference.is_nan()
        };
        (0..values.len()).filter(differs).collect()
    };
    let mut best = (None, differing(right), right.to_vec());
    if quantity == Quantity::Weight && best.1.len() > values.len() / 20 {
        // Zeros alone are no sign that nothing was computed.
        let is_zero = |m: &Mistake| matches!(m, Mistake::Factor(_, factor) if factor.value == 0.0);
        for mistake in known(parts.exercise).into_iter().filter(|m| m.affects(quantity) && !is_zero(m)) {
            let expected = parts.quantity(quantity, std::slice::from_ref(&mistake));
            let left = differing(&expected);
            if left.len() < best.1.len().min(values.len() / 20) {
                best = (Some(mistake), left, expected);
            }
        }
    }
    let (mistake, elements, expected) = best;
    let differences: Vec<f64> = values.iter().zip(&expected).map(|(v, e)| v - e).collect();
    let remainder = Remainder {
        elements: elements.len(),
        of: values.len(),
        largest: distance(values, &expected),
        place: match elements.is_empty() {
            true => "rounding errors alone; a larger --tolerance accepts them".into(),
            false => place(parts, quantity, &elements, &differences),
        },
    };
    (mistake, remainder)
}

/// The place of `elements`, as narrow as it can be said in one line. `differences` are those of all elements, which only a
/// place of many elements needs.
pub(super) fn place(parts: &Parts, quantity: Quantity, elements: &[usize], differences: &[f64]) -> String {
    let exercise = parts.exercise;
    if matches!(quantity, Quantity::Loss | Quantity::Cost) {
        return "the number itself".into();
    }
    let of_images = exercise.is_of_images();
    let location = |&i: &usize| exercise.location(quantity, i).text(of_images).trim_start_matches(", ").to_owned();
    if elements.len() <= FEW {
        return elements.iter().map(location).collect::<Vec<_>>().join("; ");
    }
    let d = if quantity == Quantity::Weight { exercise.dims().features } else { 1 };
    let distinct = |of: &dyn Fn(usize) -> usize| -> Vec<usize> {
        let mut all: Vec<usize> = elements.iter().map(|&i| of(i)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let mut places = Vec::new();
    let classes = distinct(&|i| i / d);
    if classes.len() < exercise.dims().classes {
        let name = |c: &usize| if of_images { format!("{c} {}", CLASS_NAMES[*c]) } else { c.to_string() };
        let names: Vec<String> = classes.iter().map(name).collect();
        let whole = if d > 1 && elements.len() == classes.len() * d { "all of " } else { "" };
        places.push(format!("{whole}class {}", names.join(", ")));
    }
    if d > 1 && of_images && elements.iter().all(|i| i % d < DIMS.features) {
        let channels = distinct(&|i| i % d / PLANE);
        if channels.len() < 3 {
            let names: Vec<&str> = channels.iter().map(|&c| ["red", "green", "blue"][c]).collect();
            places.push(format!("channel {}", names.join(", ")));
        }
        for (name, of) in [("row", &(|i| i % PLANE / SIDE) as &dyn Fn(usize) -> usize), ("column", &|i| i % SIDE)] {
            let lines = distinct(&|i| of(i % d));
            if lines.len() <= SIDE / 2 {
                places.push(format!("{name} {}", ranges(&lines)));
            }
        }
    } else if d > 1 {
        let features = distinct(&|i| i % d);
        if features.len() <= d / 2 {
            places.push(format!("feature {}", ranges(&features)));
        }
    }
    if quantity == Quantity::Weight {
        places.extend(examples_at_fault(parts, differences).map(|examples| format!("example {}", ranges(&examples))));
    }
    if places.is_empty() { "in every part".into() } else { places.join(", ") }
}

/// The few examples of which `differences` (k,d) is a combination: Σ_i c\[i\] ⊗ x\[i\] with c\[i\] = 0 for most.
fn examples_at_fault(parts: &Parts, differences: &[f64]) -> Option<Vec<usize>> {
    let exercise: &Exercise = parts.exercise;
    let (n, d) = (exercise.examples(), exercise.dims().features);
    if n > explain::MAX_EXAMPLES || n >= d {
        return None;
    }
    let examples: Vec<&[f64]> = exercise.x().chunks(d).collect();
    let matrix = parts.products_of_examples();
    let mut coefficients = vec![0.0_f64; n];
    for row in differences.chunks(d) {
        let fitted = solve(matrix.to_vec(), examples.iter().map(|x| dot(x, row)).collect())?;
        let left: Vec<f64> = (0..d).map(|f| examples.iter().zip(&fitted).map(|(x, c)| c * x[f]).sum()).collect();
        if distance(&left, row) > ROUNDING * largest(differences) {
            return None;
        }
        for (sum, c) in coefficients.iter_mut().zip(fitted) {
            *sum += c.abs();
        }
    }
    let most = largest(&coefficients);
    let at_fault: Vec<usize> = (0..n).filter(|&i| coefficients[i] > 1e-4 * most).collect();
    (at_fault.len() <= n / 2).then_some(at_fault)
}
