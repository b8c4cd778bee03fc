use super::super::factor::Step;
use super::super::mistake::Features;
use super::super::{Exercise, Layout};
use super::*;
use crate::gradcheck::Problem;
use crate::gradcheck::reference::Parameters64;
use crate::hyperparameters::Loss;
use crate::shape::Dims;

/// 7 examples of 13 features and 4 classes: few products of these numbers are equal.
fn exercise(lambda: f64) -> Exercise {
    Exercise::of(&Problem::random(Dims { features: 13, classes: 4 }, 7, 5), lambda, Layout::Rows).unwrap()
}

fn fit(factors: [f64; 3]) -> Fit {
    Fit { factors, uncertainty: [1e-9; 3] }
}

/// One example (2, 0) of class 0 of two, with all parameters 0: Σ p ⊗ x is (1, 0; 1, 0) and Σ t ⊗ x is (2, 0; 0, 0).
fn on_paper() -> Exercise {
    let dims = Dims { features: 2, classes: 2 };
    let parameters = Parameters64 { dims, weight: vec![0.0; 4], bias: vec![0.0; 2] };
    Exercise::new(vec![2.0, 0.0], vec![0], parameters, 0.5, Loss::Softmax, Layout::Rows).unwrap()
}

#[test]
fn a_fit_on_paper_has_its_factors_and_their_uncertainty() {
    let exercise = on_paper();
    let sums = Sums::new(&exercise, Features::Right);
    let indices = [0, sums.probabilities.len(), sums.probabilities.len() + sums.onehot.len()];
    let rounded = |values: [f64; 4], rounding| Target::new(&sums, &values, rounding).fit(indices);
    let fit = |values| rounded(values, 1e-5);
    // Three times the first sum, minus the second. The noise is 4 · 1e-5 · 3.
    let noise = 1.2e-4;
    for off in [0.0, 1.1e-4] {
        let found = fit([1.0, off, 3.0, 0.0]).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(found.factors[0], 3.0) && near(found.factors[1], -1.0), "{:?}", found.factors);
        // The scalar products are (2, 2; 2, 4), their inverse (1, −½; −½, ½).
        let [p, t, penalty] = found.uncertainty;
        assert!(near(p, noise * 4.0_f64.sqrt()) && near(t, noise * 2.0_f64.sqrt()), "{p} {t}");
        // All weights are 0, and so is the slope of the penalty.
        assert_eq!((found.factors[2], penalty), (0.0, f64::INFINITY));
    }
    // Exactly the noise, 12 · 2^−20.
    assert!(rounded([1.0, 12.0 / 1_048_576.0, 3.0, 0.0], 1.0 / 1_048_576.0).is_some());
    // More than the noise in one element, less than it on average.
    assert!(fit([1.0, 1.3e-4, 3.0, 0.0]).is_none());
    assert!(fit([1.0, 0.0, 3.0, -1.3e-4]).is_none());
    assert!(fit([1.0, 1.0, 3.0, 0.0]).is_none());
    assert_eq!(fit([0.0; 4]).unwrap().factors, [0.0; 3]);
    assert!(fit([1.0, f64::NAN, 3.0, 0.0]).is_none());
}

#[test]
fn a_factor_is_what_it_stands_for_up_to_its_uncertainty_and_a_millionth() {
    let fit = Fit { factors: [2.0, 1_000_001.0, -1_000_001.0], uncertainty: [0.5, 0.0, 0.0] };
    for (i, wanted, is) in [
        (0, 1.5, true),
        (0, 2.5, true),
        (0, 1.499, false),
        (0, 2.501, false),
        (0, -2.0, false),
        (1, 1_000_000.0, true),
        (1, 999_999.0, false),
        (1, 1_000_001.0, true),
        (1, 1_000_003.0, false),
        (2, -1_000_000.0, true),
        (2, -999_999.0, false),
        (2, 1_000_000.0, false),
    ] {
        assert_eq!(fit.is(i, wanted), is, "{i} {wanted}");
    }
}

/// The factors of Σ p ⊗ x / N, Σ t ⊗ x / N and 2 W to which `explanation` leads.
fn multiplied_out(explanation: &Explanation, lambda: f64) -> [f64; 3] {
    let (mut data, mut penalty, mut every, mut p, mut t, mut lambda) = (1.0, 1.0, 1.0, 1.0, -1.0, lambda);
    let mut updated = None;
    for mistake in explanation {
        match mistake {
            Mistake::Factor(Term::Data, factor) => data *= factor.value,
            Mistake::Factor(Term::Penalty, factor) => penalty *= factor.value,
            Mistake::Factor(Term::Every, factor) => every *= factor.value,
            Mistake::Onehot(Onehot::NotSubtracted) => t = 0.0,
            Mistake::Onehot(Onehot::Added) => t = 1.0,
            Mistake::Onehot(Onehot::Alone) => p = 0.0,
            Mistake::Invented(own) => lambda = *own,
            Mistake::Updated(eta) => updated = Some(*eta),
            other => panic!("{other:?}"),
        }
    }
    let gradient = [every * data * p, every * data * t, every * penalty * lambda];
    match updated {
        None => gradient,
        // W is half of 2 W.
        Some(eta) => [-eta * gradient[0], -eta * gradient[1], 0.5 - eta * gradient[2]],
    }
}

/// The explanations of `factors`, each of which leads to them.
fn names(exercise: &Exercise, factors: [f64; 3]) -> Vec<Explanation> {
    names_of(&Parts::new(exercise), factors)
}

fn names_of(parts: &Parts, factors: [f64; 3]) -> Vec<Explanation> {
    let found = fit(factors).names(parts);
    for explanation in &found {
        let product = multiplied_out(explanation, parts.exercise.lambda());
        let near = |(a, b): (&f64, f64)| (a - b).abs() <= 1e-8 + 2e-6 * b.abs();
        assert!(factors.iter().zip(product).all(near), "{factors:?} {product:?} {explanation:?}");
    }
    found
}

#[test]
fn every_combination_of_factors_is_named_by_explanations_that_multiply_out() {
    let exercise = exercise(0.3);
    let parts = Parts::new(&exercise);
    let some = |term| -> Vec<Option<Mistake>> {
        let factors = parts.factors(term).iter().step_by(4).map(|&factor| Some(Mistake::Factor(term, factor)));
        std::iter::once(None).chain(factors).collect()
    };
    let onehots: Vec<_> =
        [Onehot::NotSubtracted, Onehot::Added, Onehot::Alone].map(|o| Some(Mistake::Onehot(o))).into();
    let onehots = [vec![None], onehots].concat();
    let is_unknown = |m: &Mistake| matches!(m, Mistake::Factor(Term::Data | Term::Penalty, f) if f.complexity() == 25);
    let mut count = 0;
    for every in some(Term::Every).iter().step_by(4) {
        for (data, onehot) in some(Term::Data).iter().flat_map(|data| onehots.iter().map(move |onehot| (data, onehot)))
        {
            for penalty in some(Term::Penalty).iter().step_by(3) {
                let mistakes: Explanation = [every, data, onehot, penalty].into_iter().flatten().cloned().collect();
                let found = names_of(&parts, multiplied_out(&mistakes, exercise.lambda()));
                assert!(found.contains(&mistakes), "{mistakes:?} {found:?}");
                // A factor has a reason if there is one.
                assert!(every.is_some() || !found.iter().flatten().any(is_unknown), "{mistakes:?} {found:?}");
                count += 1;
            }
        }
    }
    assert!(count > 400, "{count}");
}

#[test]
fn a_factor_without_a_reason_is_that_of_the_term_that_has_it() {
    let exercise = exercise(0.3);
    let unknown = |term, value| Mistake::Factor(term, Factor::unknown(value));
    let (data, penalty) = (unknown(Term::Data, 3.3), unknown(Term::Penalty, 3.3));
    for (factors, expected) in [
        ([3.3, -3.3, 0.3], vec![data.clone()]),
        ([3.3, 0.0, 0.3], vec![data.clone(), Mistake::Onehot(Onehot::NotSubtracted)]),
        ([3.3, 3.3, 0.3], vec![data.clone(), Mistake::Onehot(Onehot::Added)]),
        ([0.0, -3.3, 0.3], vec![data.clone(), Mistake::Onehot(Onehot::Alone)]),
        ([3.3, -3.3, 0.3 * 3.3 * 1.7], vec![data.clone(), unknown(Term::Penalty, 0.3 * 3.3 * 1.7 / 0.3)]),
    ] {
        assert_eq!(names(&exercise, factors), [expected], "{factors:?}");
    }
    // The same factor in both terms is one mistake, or two.
    let found = names(&exercise, [3.3, -3.3, 0.3 * 3.3]);
    assert_eq!(found.last(), Some(&vec![unknown(Term::Every, 3.3)]));
    assert_eq!(found.len(), 2);
    assert!(names(&exercise, [1.0, -1.0, 0.3 * 3.3]).contains(&vec![penalty]));
    // Two sums with factors that have nothing to do with each other.
    assert_eq!(names(&exercise, [3.3, -2.2, 0.3]), Vec::<Explanation>::new());
}

#[test]
fn zeros_are_a_missing_term_or_nothing_computed() {
    let zero = |term| Mistake::Factor(term, Factor::ZERO);
    let with = exercise(0.3);
    let found = names(&with, [0.0, 0.0, 0.3]);
    assert!(found.contains(&vec![zero(Term::Data)]) && !found.contains(&vec![zero(Term::Every)]), "{found:?}");
    let found = names(&with, [1.0, -1.0, 0.0]);
    assert!(found.contains(&vec![zero(Term::Penalty)]) && !found.contains(&vec![zero(Term::Every)]), "{found:?}");
    let found = names(&with, [0.0; 3]);
    assert!(found.contains(&vec![zero(Term::Every)]), "{found:?}");
    let without = exercise(0.0);
    assert_eq!(names(&without, [0.0; 3]), [vec![zero(Term::Every)]]);
    // A penalty alone that the problem has not.
    assert_eq!(names(&without, [0.0, 0.0, 0.25]), [vec![zero(Term::Data), Mistake::Invented(0.25)]]);
}

#[test]
fn without_a_penalty_every_term_is_the_data_term() {
    let exercise = exercise(0.0);
    let seven = Mistake::Factor(Term::Data, Factor::of(Step::TimesExamples, &exercise));
    let either = [vec![seven.clone()], vec![Mistake::Factor(Term::Every, Factor::unknown(7.0))]];
    assert_eq!(names(&exercise, [7.0, -7.0, 0.0]), either);
    assert_eq!(names(&exercise, [7.0, -7.0, 0.25]), [vec![seven, Mistake::Invented(0.25)]]);
}

#[test]
fn a_common_factor_is_in_both_sums_and_in_the_penalty() {
    let exercise = exercise(0.3);
    let of = |factors| fit(factors).common_factor(&exercise);
    assert_eq!(of([3.0, -3.0, 0.9]), Some(vec![Mistake::Factor(Term::Every, Factor::unknown(3.0))]));
    for factors in [[3.0, -3.0, 0.3], [3.0, -2.0, 0.9], [3.0, 3.0, 0.9], [2.0, -3.0, 0.9], [0.0; 3]] {
        assert_eq!(of(factors), None, "{factors:?}");
    }
}

#[test]
fn parameters_after_an_update_are_told_by_half_of_their_weights() {
    let exercise = exercise(0.5);
    let half = Factor::of(Step::Half, &exercise);
    let minus = Factor::of(Step::Sign, &exercise);
    let with = |eta, penalty: Option<Factor>| -> Vec<Explanation> {
        let penalty = penalty.map(|penalty| Mistake::Factor(Term::Penalty, penalty));
        vec![std::iter::once(Mistake::Updated(eta)).chain(penalty).collect()]
    };
    for (factors, expected) in [
        // W − η (D + 2λ q W) has −η, η, and ½ − η λ q of 2 W.
        ([-0.1, 0.1, 0.45], with(0.1, None)),
        ([-0.1, 0.1, 0.475], with(0.1, Some(half))),
        ([-0.1, 0.1, 0.55], with(0.1, Some(minus))),
        ([-0.1, 0.1, 0.5], with(0.1, Some(Factor::ZERO))),
        ([-0.5, 0.5, 0.5], with(0.5, Some(Factor::ZERO))),
        ([0.1, -0.1, 0.55], with(-0.1, None)),
        ([0.0, 0.0, 0.5], vec![vec![Mistake::Updated(0.0)]]),
        // No penalty has this factor.
        ([-0.1, 0.1, 0.3], vec![]),
        // Two learning rates are none.
        ([-0.1, 0.2, 0.45], vec![]),
        ([-0.1, -0.1, 0.45], vec![]),
        // A learning rate of more than a half, or half a weight that is half missing or half too large.
        ([-0.51, 0.51, 0.5], vec![]),
        ([0.51, -0.51, 0.5], vec![]),
        ([-0.5, 0.5, 0.25], vec![]),
        ([-0.5, 0.5, 0.75], vec![]),
        ([0.0, 0.0, 1.0], vec![]),
    ] {
        let found = fit(factors).updated(&exercise, &[None, Some(half), Some(minus)]);
        assert_eq!(found, expected, "{factors:?}");
    }
}
