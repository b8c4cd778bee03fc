use super::super::Exercise;
use super::super::Layout;
use super::super::factor::Step;
use super::*;
use crate::gradcheck::Problem;
use crate::hyperparameters::Loss;

/// 7 examples of 13 features and 4 classes: few products of these numbers are equal.
fn exercise(lambda: f64) -> Exercise {
    of(7, Dims { features: 13, classes: 4 }, lambda)
}

fn of(examples: usize, dims: Dims, lambda: f64) -> Exercise {
    Exercise::of(&Problem::random(dims, examples, 5), lambda, Layout::Rows).unwrap()
}

fn factor(term: Term, step: Step, exercise: &Exercise) -> Mistake {
    Mistake::Factor(term, Factor::of(step, exercise))
}

/// The explanations of a `grad_W` with `mistakes`, whose elements are off by `noise` in turn above and below, relative to
/// the largest.
fn found_with(exercise: &Exercise, mistakes: &[Mistake], noise: f64) -> Vec<Explanation> {
    let parts = Parts::new(exercise);
    let right = parts.quantity(Quantity::Weight, &[]);
    let mut values = parts.quantity(Quantity::Weight, mistakes);
    let noise = noise * largest(&values);
    values.iter_mut().enumerate().for_each(|(i, v)| *v += if i % 2 == 0 { noise } else { -noise });
    weight(&parts, Submitted { quantity: Quantity::Weight, values: &values, right: &right, is_f32: false })
}

fn found(exercise: &Exercise, mistakes: &[Mistake]) -> Vec<Explanation> {
    found_with(exercise, mistakes, 0.0)
}

#[test]
fn an_explanation_may_leave_rounding_and_a_tenth_of_the_difference() {
    let left = |values: &[f64], right: &[f64], expected: &[f64], rounding| {
        Submitted { quantity: Quantity::Weight, values, right, is_f32: false }.left(expected, rounding)
    };
    // All but 1 of 16 is explained, which is less than a tenth; rounding is 1 at a largest value of 8, or 4 at one of 32.
    assert_eq!(left(&[8.0, 16.0], &[0.0, 0.0], &[8.0, 15.0], 1.0), Some(1.0));
    assert_eq!(left(&[8.0, 20.0], &[0.0, 0.0], &[8.0, 18.0], 1.0), Some(2.0));
    assert_eq!(left(&[8.0, 20.0], &[0.0, 0.0], &[8.0, 17.875], 1.0), None, "more than a tenth");
    assert_eq!(left(&[8.0, 16.0], &[0.0, 0.0], &[8.0, 15.0], 1.0 / 15.0), Some(1.0));
    assert_eq!(left(&[8.0, 16.0], &[0.0, 0.0], &[8.0, 15.0], 0.05), None, "more than rounding");
    assert_eq!(left(&[8.0, 16.0], &[0.0, 0.0], &[8.0, 16.0], 0.0), Some(0.0));
    // Zeros of which the terms cancel are as exact as the right values.
    assert_eq!(left(&[1e-12], &[1e3], &[0.0], 1e-9), Some(1e-12));
    assert_eq!(left(&[1e-10], &[1e3], &[0.0], 1e-9), None);
    assert_eq!(left(&[f64::NAN, 1.0], &[0.0, 0.0], &[8.0, 1.0], 1.0), None);
    assert_eq!(left(&[1.0, 1.0], &[0.0, 0.0], &[f64::INFINITY, 1.0], 1.0), None);
}

#[test]
fn the_simplest_explanations_are_kept_each_once() {
    let exercise = exercise(0.3);
    let parts = Parts::new(&exercise);
    let twice = |term| vec![factor(term, Step::Twice, &exercise)];
    let (of_data, of_every) = (twice(Term::Data), twice(Term::Every));
    // 4 / 2, of four classes.
    let is = |f: &&Factor| f.value == 2.0 && f.complexity() == 20;
    let of_two = vec![Mistake::Factor(Term::Data, *parts.factors(Term::Data).iter().find(is).unwrap())];
    let wrong = vec![Mistake::Labels(Labels::Lower)];
    let right = parts.quantity(Quantity::Bias, &[]);
    let values = parts.quantity(Quantity::Bias, &of_data);
    let submitted = Submitted { quantity: Quantity::Bias, values: &values, right: &right, is_f32: false };
    let simplest = |candidates: &[&Explanation], named: &[Mistake]| {
        let candidates: Vec<Explanation> = candidates.iter().map(|&c| c.clone()).collect();
        submitted.simplest(&parts, &candidates, named, 1e-9)
    };
    assert_eq!(simplest(&[&of_two, &wrong, &of_data], &[]), std::slice::from_ref(&of_data));
    assert_eq!(simplest(&[&of_data, &of_two], &[]), std::slice::from_ref(&of_data));
    assert_eq!(simplest(&[&of_data, &of_every, &of_data], &[]), [of_data.clone(), of_every.clone()]);
    assert_eq!(simplest(&[&of_two, &of_every, &of_data], &[]), [of_every, of_data.clone()]);
    assert_eq!(simplest(&[&wrong, &vec![]], &[]), Vec::<Explanation>::new());
    // What is named already counts little.
    assert_eq!(simplest(&[&of_data, &of_two], &of_two), std::slice::from_ref(&of_two));
    assert_eq!(simplest(&[&of_two, &of_data], &[&of_two[..], &of_data[..]].concat()), [of_two, of_data]);
}

#[test]
fn a_mistake_in_the_order_of_the_rows_or_columns_has_one_explanation() {
    for loss in Loss::ALL {
        let of = |examples, features, classes| {
            let problem = Problem::random(Dims { features, classes }, examples, 5).with_loss(loss);
            Exercise::of(&problem, 0.1, Layout::Rows).unwrap()
        };
        let (small, larger) = (of(7, 13, 4), of(20, 40, 6));
        for (exercise, order) in [
            (&small, Order::ReshapedFromColumns),
            (&small, Order::ReshapedToColumns),
            (&larger, Order::Permuted(vec![1, 0, 2, 3, 4, 5])),
            (&larger, Order::Permuted(vec![3, 2, 5, 0, 1, 4])),
        ] {
            let order = Mistake::Order(order);
            assert_eq!(found(exercise, std::slice::from_ref(&order)), [vec![order.clone()]]);
            let sum = [factor(Term::Data, Step::TimesExamples, exercise), order];
            assert_eq!(found(exercise, &sum), [sum.to_vec()]);
        }
    }
    // Both orders of a square matrix are its transpose.
    let square = of(7, Dims { features: 5, classes: 5 }, 0.1);
    let transposed = Mistake::Order(Order::ReshapedFromColumns);
    assert_eq!(found(&square, std::slice::from_ref(&transposed)), [vec![transposed]]);
}

#[test]
fn each_mistake_alone_is_the_only_explanation_of_the_weights() {
    let exercise = exercise(0.3);
    for mistake in [
        factor(Term::Data, Step::TimesExamples, &exercise),
        factor(Term::Every, Step::TimesExamples, &exercise),
        factor(Term::Penalty, Step::OverExamples, &exercise),
        factor(Term::Data, Step::OverFeatures, &exercise),
        factor(Term::Every, Step::LearningRate(2), &exercise),
        factor(Term::Penalty, Step::LambdaTwice, &exercise),
        Mistake::Factor(Term::Penalty, Factor::ZERO),
        Mistake::Factor(Term::Data, Factor::ZERO),
        Mistake::Factor(Term::Every, Factor::ZERO),
        Mistake::AbsoluteValues,
        Mistake::NotSquared,
        Mistake::Labels(Labels::Lower),
        Mistake::Labels(Labels::Higher),
        Mistake::Probabilities(Probabilities::Logits),
        Mistake::Probabilities(Probabilities::WithoutBias),
        Mistake::Features(Features::Reshaped),
        Mistake::Updated(0.0),
    ] {
        let mistakes = [mistake];
        assert_eq!(found(&exercise, &mistakes), [mistakes.to_vec()]);
    }
    let both = [factor(Term::Data, Step::TimesExamples, &exercise), Mistake::Features(Features::Reshaped)];
    assert_eq!(found(&exercise, &both), [both.to_vec()]);
}

#[test]
fn rounding_errors_hide_no_mistake_and_larger_ones_do() {
    let exercise = exercise(0.3);
    for mistakes in [
        vec![factor(Term::Data, Step::TimesExamples, &exercise)],
        vec![Mistake::Labels(Labels::Lower)],
        vec![factor(Term::Every, Step::TimesExamples, &exercise), Mistake::AbsoluteValues],
    ] {
        assert_eq!(found_with(&exercise, &mistakes, 8e-6), std::slice::from_ref(&mistakes));
        assert!(found_with(&exercise, &mistakes, 1e-4).is_empty(), "{mistakes:?}");
    }
}

#[test]
fn the_weights_of_the_examples_are_found_beside_another_mistake() {
    let dims = Dims { features: 13, classes: 4 };
    let weights = |of: &[f64]| Mistake::Weights(of.to_vec());
    let (with, without) = (of(8, dims, 0.1), of(8, dims, 0.0));
    let (last, twice) =
        (weights(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), weights(&[1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0]));
    let half = |term| factor(term, Step::Half, &with);
    let missing = Mistake::Factor(Term::Penalty, Factor::ZERO);
    for (exercise, mistakes) in [
        (&with, vec![last.clone()]),
        (&without, vec![last.clone()]),
        (&with, vec![weights(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])]),
        (&with, vec![weights(&[0.0, 0.0, 0.0, 1.6, 1.6, 1.6, 1.6, 1.6])]),
        (&with, vec![half(Term::Data), last.clone()]),
        (&without, vec![factor(Term::Data, Step::Half, &without), twice.clone()]),
        (&with, vec![factor(Term::Data, Step::Sign, &with), twice.clone()]),
        (&with, vec![half(Term::Penalty), last.clone()]),
        (&with, vec![missing.clone(), twice.clone()]),
        (&with, vec![half(Term::Data), missing, last.clone()]),
    ] {
        assert_eq!(found(exercise, &mistakes), std::slice::from_ref(&mistakes));
    }
}

#[test]
fn as_many_examples_are_fitted_as_the_limit_allows() {
    let dims = Dims { features: 40, classes: 10 };
    for (examples, is_found) in [(MAX_EXAMPLES, true), (MAX_EXAMPLES + 1, false)] {
        let exercise = of(examples, dims, 0.1);
        let mut weights = vec![1.0; examples];
        weights[examples - 1] = 0.0;
        assert_eq!(!found(&exercise, &[Mistake::Weights(weights)]).is_empty(), is_found, "{examples}");
    }
}

#[test]
fn a_median_is_the_upper_one_of_two() {
    assert_eq!(median(vec![]), None);
    for (values, expected) in [
        (&[4.0][..], 4.0),
        (&[2.0, 1.0], 2.0),
        (&[3.0, -1.0, 2.0], 2.0),
        (&[4.0, 1.0, 3.0, 2.0], 3.0),
        (&[9.0, 8.0, 7.0, 6.0, 5.0], 7.0),
    ] {
        assert_eq!(median(values.to_vec()), Some(expected), "{values:?}");
    }
}

#[test]
fn rows_are_closest_in_direction_whatever_their_length() {
    let dims = Dims { features: 2, classes: 3 };
    let right = [10.0, 0.0, 0.0, 0.25, 3.0, 3.0];
    let of = |submitted: [f64; 6]| closest_rows(&submitted, &right, dims);
    // The rows 1, 2 and 0, one of them with the other sign and none with its length.
    assert_eq!(of([0.0, -5.0, 1.0, 1.0, 0.5, 0.0]), Some(vec![1, 2, 0]));
    assert_eq!(of([0.1, 2.0, 3.0, 0.1, 0.7, 0.6]), Some(vec![1, 0, 2]));
    assert_eq!(of(right), None, "in order");
    assert_eq!(of([0.0, 1.0, 0.0, 1.0, 1.0, 1.0]), None, "one of them twice");
    // A row of zeros is close to none, and divides nothing by zero.
    let right = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    assert_eq!(closest_rows(&[0.0, 1.0, 0.0, 1.0, 1.0, 0.0], &right, dims), None);
}

#[test]
fn a_permutation_has_each_row_once_in_another_order() {
    for (rows, is) in [
        (&[1, 0][..], true),
        (&[2, 0, 1], true),
        (&[0, 2, 1], true),
        (&[0, 1, 2], false),
        (&[0, 0, 1], false),
        (&[1, 1, 0], false),
        (&[3, 1, 0], false),
        (&[0], false),
        (&[], false),
    ] {
        assert_eq!(is_permutation(rows), is, "{rows:?}");
    }
}
