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
    } else {
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

#[cfg(test)]
mod tests {
    use super::super::factor::{Factor, Step, Term};
    use super::super::{Layout, Parameters};
    use super::*;
    use crate::gradcheck::Problem;
    use crate::shape::Dims;

    fn of(examples: usize, features: usize, classes: usize) -> Exercise {
        Exercise::of(&Problem::random(Dims { features, classes }, examples, 5), 0.1, Layout::Rows).unwrap()
    }

    /// 400 weights, of which a twentieth are 20.
    fn exercise() -> Exercise {
        of(20, 40, 10)
    }

    fn of_images(layout: Layout) -> Exercise {
        Exercise::of(&Problem::random(DIMS, 3, 1), 0.1, layout).unwrap()
    }

    fn located(
        exercise: &Exercise,
        quantity: Quantity,
        mistakes: &[Mistake],
        add: &[usize],
    ) -> (Option<Mistake>, Remainder) {
        let parts = Parts::new(exercise);
        let right = parts.quantity(quantity, &[]);
        let mut values = parts.quantity(quantity, mistakes);
        add.iter().for_each(|&i| values[i] += 0.01 * (1.0 + i as f64));
        locate(&parts, Submitted { quantity, values: &values, right: &right, is_f32: false })
    }

    #[test]
    fn an_element_differs_if_its_difference_is_more_than_rounding() {
        let exercise = of(7, 12, 4);
        let parts = Parts::new(&exercise);
        let located = |values: [f64; 4], right: [f64; 4], is_f32| {
            locate(&parts, Submitted { quantity: Quantity::Bias, values: &values, right: &right, is_f32 }).1
        };
        for (values, right, is_f32, elements) in [
            ([1.0, 1e-9, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], false, 0),
            ([1.0, 1.1e-9, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], false, 1),
            ([1.0, 0.0, 0.0, -1.1e-9], [1.0, 0.0, 0.0, 0.0], false, 1),
            ([1.0, 0.9e-5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], true, 0),
            ([1.0, 1.1e-5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], true, 1),
            ([100.0, 0.9e-7, 0.0, 0.0], [100.0, 0.0, 0.0, 0.0], false, 0),
            ([0.01, 1.1e-11, 0.0, 0.0], [0.01, 0.0, 0.0, 0.0], false, 1),
            // The smaller of both sizes counts.
            ([1e3, 1e-8, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], false, 2),
            ([1.0, 1e-8, 0.0, 0.0], [1e3, 0.0, 0.0, 0.0], false, 2),
            ([1.0, f64::NAN, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], false, 1),
            ([5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0], false, 4),
        ] {
            let remainder = located(values, right, is_f32);
            assert_eq!((remainder.elements, remainder.of), (elements, 4), "{values:?} {right:?}");
            let is_rounding = remainder.place == "rounding errors alone; a larger --tolerance accepts them";
            assert_eq!(is_rounding, elements == 0, "{}", remainder.place);
        }
        let remainder = located([1.0, 2.5, 3.0, 4.25], [1.0, 2.0, 3.0, 4.0], false);
        assert_eq!((remainder.largest, &remainder.place[..]), (0.5, "class 1; class 3"));
    }

    #[test]
    fn a_mistake_that_leaves_less_than_a_twentieth_is_named_beside_the_rest() {
        let exercise = exercise();
        let sum = Mistake::Factor(Term::Data, Factor::of(Step::TimesExamples, &exercise));
        let made = std::slice::from_ref(&sum);
        let first = |count: usize| -> Vec<usize> { (0..count).map(|i| 19 * i).collect() };
        let (mistake, remainder) = located(&exercise, Quantity::Weight, made, &[47]);
        assert_eq!((mistake, remainder.elements, remainder.of), (Some(sum.clone()), 1, 400));
        assert!((remainder.largest - 0.48).abs() < 1e-9 && remainder.place == "class 1, feature 7", "{remainder:?}");
        let (mistake, remainder) = located(&exercise, Quantity::Weight, made, &first(19));
        assert_eq!((mistake, remainder.elements), (Some(sum.clone()), 19));
        let (mistake, remainder) = located(&exercise, Quantity::Weight, made, &first(20));
        assert_eq!((mistake, remainder.elements), (None, 400));
        // Without another mistake, the rest is all.
        let (mistake, remainder) = located(&exercise, Quantity::Weight, &[], &first(21));
        assert_eq!((mistake, remainder.elements), (None, 21));
        // Zeros are no sign that nothing was computed.
        let zero = Mistake::Factor(Term::Every, Factor::ZERO);
        assert_eq!(located(&exercise, Quantity::Weight, &[zero], &[47]).0, None);
        // A bias has too few elements.
        let of_many_classes = of(7, 3, 60);
        let sum = Mistake::Factor(Term::Data, Factor::of(Step::TimesExamples, &of_many_classes));
        let (mistake, remainder) = located(&of_many_classes, Quantity::Bias, &[sum], &[4]);
        assert_eq!((mistake, remainder.elements), (None, 60));
    }

    /// The place of differences that are no combination of the examples.
    fn place_of(exercise: &Exercise, quantity: Quantity, elements: &[usize]) -> String {
        let classes = exercise.dims().classes;
        let length = if quantity == Quantity::Weight { classes * exercise.dims().features } else { classes };
        let mut differences = vec![0.0; length];
        elements.iter().for_each(|&i| differences[i] = 1.0 + (i * i) as f64 % 7.0);
        place(&Parts::new(exercise), quantity, elements, &differences)
    }

    /// The elements of W in these classes and features.
    fn elements(d: usize, classes: &[usize], features: impl Iterator<Item = usize> + Clone) -> Vec<usize> {
        classes.iter().flat_map(|c| features.clone().map(move |f| c * d + f)).collect()
    }

    #[test]
    fn up_to_four_elements_are_listed() {
        let exercise = exercise();
        let listed = "class 0, feature 3; class 0, feature 5; class 2, feature 0; class 9, feature 39";
        assert_eq!(place_of(&exercise, Quantity::Weight, &[3, 5, 80, 399]), listed);
        assert_eq!(place_of(&exercise, Quantity::Weight, &[3, 5, 80, 83, 399]), "class 0, 2, 9, feature 0, 3, 5, 39");
        assert_eq!(place_of(&exercise, Quantity::Bias, &[1, 2, 3, 9]), "class 1; class 2; class 3; class 9");
        assert_eq!(place_of(&exercise, Quantity::Bias, &[0, 1, 2, 3, 9]), "class 0, 1, 2, 3, 9");
        let all: Vec<usize> = (0..10).collect();
        assert_eq!(place_of(&exercise, Quantity::Bias, &all), "in every part");
    }

    #[test]
    fn up_to_half_of_the_features_are_a_place() {
        let exercise = exercise();
        let all: Vec<usize> = (0..10).collect();
        let place =
            |classes: &[usize], features| place_of(&exercise, Quantity::Weight, &elements(40, classes, features));
        assert_eq!(place(&all, 10..30), "feature 10–29");
        assert_eq!(place(&all, 10..31), "in every part");
        assert_eq!(place(&[4, 7], 0..40), "all of class 4, 7");
        assert_eq!(place(&[4, 7], 0..39), "class 4, 7");
        assert_eq!(
            place(&[4, 7], 38..40),
            "class 4, feature 38; class 4, feature 39; class 7, feature 38; class 7, feature 39"
        );
    }

    #[test]
    fn up_to_half_of_the_rows_or_columns_of_the_images_are_a_place() {
        let images = of_images(Layout::Rows);
        let all: Vec<usize> = (0..10).collect();
        let pixels = |channels: &'static [usize], rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            let of_row = move |channel: usize, row: usize| {
                columns.clone().map(move |column| channel * PLANE + row * SIDE + column)
            };
            channels.iter().flat_map(move |&channel| {
                let of_row = of_row.clone();
                rows.clone().flat_map(move |row| of_row(channel, row))
            })
        };
        for (channels, rows, columns, place) in [
            (&[0, 1, 2][..], 3..19, 0..32, "row 3–18"),
            (&[0, 1, 2], 3..20, 0..32, "in every part"),
            (&[0, 1, 2], 0..32, 5..6, "column 5"),
            (&[0, 1, 2], 0..32, 5..21, "column 5–20"),
            (&[0, 1, 2], 0..32, 5..22, "in every part"),
            (&[1], 7..9, 30..32, "channel green, row 7, 8, column 30, 31"),
            (&[0, 2], 0..32, 0..32, "channel red, blue"),
        ] {
            let found = elements(DIMS.features, &all, pixels(channels, rows, columns));
            assert_eq!(place_of(&images, Quantity::Weight, &found), place);
        }
        let two = elements(DIMS.features, &[2, 3], 0..DIMS.features);
        assert_eq!(place_of(&images, Quantity::Weight, &two), "all of class 2 bird, 3 cat");
        // A bias is no pixel.
        let names = "class 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer";
        assert_eq!(place_of(&images, Quantity::Bias, &[0, 1, 2, 3, 4]), names);
        let with_bias = of_images(Layout::Cs231n);
        assert_eq!(
            place_of(&with_bias, Quantity::Weight, &elements(DIMS.features + 1, &all, 0..2)),
            "channel red, row 0, column 0, 1"
        );
        let last = elements(DIMS.features + 1, &all, DIMS.features..DIMS.features + 1);
        assert_eq!(place_of(&with_bias, Quantity::Weight, &last), "feature 3072");
    }

    /// Σ of coefficient · c ⊗ x\[i\] over (i, coefficient), where c is 1, 2, … for the classes.
    fn combination(exercise: &Exercise, coefficients: &[(usize, f64)]) -> Vec<f64> {
        let Dims { features: d, classes: k } = exercise.dims();
        let element = |flat: usize| {
            let of =
                |&(i, coefficient): &(usize, f64)| coefficient * (1 + flat / d) as f64 * exercise.x()[i * d + flat % d];
            coefficients.iter().map(of).sum()
        };
        (0..k * d).map(element).collect()
    }

    #[test]
    fn up_to_half_of_the_examples_are_at_fault_for_a_combination_of_them() {
        let exercise = of(6, 12, 4);
        let parts = Parts::new(&exercise);
        let at_fault = |differences: &[f64]| examples_at_fault(&parts, differences);
        let of = |coefficients: &[(usize, f64)]| at_fault(&combination(&exercise, coefficients));
        assert_eq!(of(&[(4, 0.5)]), Some(vec![4]));
        assert_eq!(of(&[(0, 2.0), (5, -3.0)]), Some(vec![0, 5]));
        assert_eq!(of(&[(0, 2.0), (3, 1.0), (5, -3.0)]), Some(vec![0, 3, 5]));
        assert_eq!(of(&[(0, 2.0), (2, 1.0), (3, 1.0), (5, -3.0)]), None);
        // A ten-thousandth of the largest part is nothing, whatever the size.
        for size in [1e-3, 1.0, 100.0] {
            assert_eq!(of(&[(1, size), (2, 5e-5 * size)]), Some(vec![1]), "{size}");
            assert_eq!(of(&[(1, size), (2, 2e-4 * size)]), Some(vec![1, 2]), "{size}");
        }
        // Rounding may be left, and nothing else.
        let mut near = combination(&exercise, &[(4, 1.0)]);
        let most = largest(&near);
        near[20] += 0.9e-5 * most;
        assert_eq!(at_fault(&near), Some(vec![4]));
        near[20] += 1e-4 * most;
        assert_eq!(at_fault(&near), None);
    }

    #[test]
    fn of_as_many_examples_as_features_any_difference_is_a_combination() {
        for (examples, is_found) in [(11, true), (12, false), (13, false)] {
            let exercise = of(examples, 12, 4);
            let found = examples_at_fault(&Parts::new(&exercise), &combination(&exercise, &[(4, 0.5)]));
            assert_eq!(found, is_found.then(|| vec![4]), "{examples}");
        }
        for (examples, is_found) in [(explain::MAX_EXAMPLES, true), (explain::MAX_EXAMPLES + 1, false)] {
            let exercise = of(examples, 300, 1);
            let found = examples_at_fault(&Parts::new(&exercise), &combination(&exercise, &[(4, 0.5)]));
            assert_eq!(found, is_found.then(|| vec![4]), "{examples}");
        }
        // The same example twice could be either.
        let random = Problem::random(Dims { features: 12, classes: 4 }, 2, 5);
        let twice = [random.x(), random.x()].concat();
        let parameters: Parameters = random.parameters().clone();
        let problem = Problem::new(twice, vec![0; 4], parameters).unwrap();
        let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
        assert_eq!(examples_at_fault(&Parts::new(&exercise), &combination(&exercise, &[(1, 0.5)])), None);
    }
}
