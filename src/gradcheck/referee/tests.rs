//! Every known mistake, and every pair of two, is made on purpose and named.

use super::mistake::{Features, Mistake, known};
use super::recipe::Parts;
use super::*;
use crate::gradcheck::Problem;
use crate::hyperparameters::Loss;
use rayon::prelude::*;

fn exercises() -> Vec<Exercise> {
    let mut exercises = Vec::new();
    for (n, features, classes) in [(30, 20, 10), (3, 10, 10), (7, 12, 4)] {
        for loss in Loss::ALL {
            let further: &[_] = if n == 3 { &[(Layout::Rows, 2), (Layout::Rows, 3)] } else { &[] };
            for &(layout, seed) in [(Layout::Rows, 1), (Layout::Cs231n, 4)].iter().chain(further) {
                let problem = Problem::random(Dims { features, classes }, n, seed).with_loss(loss);
                exercises.push(Exercise::of(&problem, 0.1, layout).unwrap());
            }
        }
    }
    exercises
}

/// The quantities that `mistakes` lead to.
fn submission(parts: &Parts, mistakes: &[Mistake]) -> Submission {
    let derivatives = parts.with(mistakes);
    let answer = |quantity: Quantity| Answer { quantity, values: quantity.of(&derivatives).to_vec(), is_f32: false };
    let has = |quantity: &Quantity| *quantity != Quantity::Bias || parts.exercise.layout() != Layout::Cs231n;
    Quantity::ALL.into_iter().filter(has).map(answer).collect()
}

#[derive(Default, Debug)]
struct Count {
    exactly: usize,
    equivalently: usize,
    failures: Vec<String>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.exactly += other.exactly;
        self.equivalently += other.equivalently;
        self.failures.extend(other.failures);
    }
}

/// The counts of the single mistakes and of the pairs.
fn counts(exercise: &Exercise) -> [Count; 2] {
    let (mut alone, mut pairs) = (Count::default(), Count::default());
    let referee = Referee::new(exercise, Tolerance::default()).unwrap();
    let known = known(exercise);
    for (i, a) in known.iter().enumerate() {
        count(&referee, std::slice::from_ref(a), &mut alone);
        for b in known[i + 1..].iter().filter(|b| !a.overrides(b)) {
            count(&referee, &[a.clone(), b.clone()], &mut pairs);
        }
    }
    [alone, pairs]
}

/// Judges the submission with `mistakes` and counts how each quantity that differs is explained.
fn count(referee: &Referee, mistakes: &[Mistake], count: &mut Count) {
    let exercise = referee.exercise();
    let findings = referee.judge(&submission(&referee.parts, mistakes)).unwrap();
    for finding in findings.iter().filter(|f| f.verdict == Verdict::Differs) {
        let made: Vec<String> =
            mistakes.iter().filter(|m| m.affects(finding.quantity)).map(|m| m.name(exercise)).collect();
        let names = |explanation: &Vec<Diagnosis>| explanation.iter().map(|d| d.mistake.clone()).collect::<Vec<_>>();
        let named: Vec<Vec<String>> = finding.explanations.iter().map(names).collect();
        let is_exact = named.iter().any(|named| made.iter().all(|m| named.contains(m)) && named.len() == made.len());
        if is_exact {
            count.exactly += 1;
        } else if finding.remainder.is_none() && named.iter().any(|named| (1..=2).contains(&named.len())) {
            count.equivalently += 1;
        } else {
            count.failures.push(format!(
                "{}, {}: {made:?} -> {named:?} {:?}",
                exercise.describe(),
                finding.quantity.name(),
                finding.remainder
            ));
        }
    }
}

#[test]
fn every_known_mistake_and_every_pair_is_named() {
    let counts: Vec<[Count; 2]> = exercises().par_iter().map(counts).collect();
    let (mut alone, mut pairs) = (Count::default(), Count::default());
    for [of_one, of_two] in counts {
        alone.add(of_one);
        pairs.add(of_two);
    }
    for (what, count) in [("single mistakes", alone), ("pairs", pairs)] {
        eprintln!("{what}: {} named exactly, {} by an equivalent", count.exactly, count.equivalently);
        let failures = &count.failures;
        assert!(
            failures.is_empty(),
            "{} {what} without a name:\n{}",
            failures.len(),
            failures[..failures.len().min(40)].join("\n")
        );
    }
}

fn exercise(lambda: f64) -> Exercise {
    let problem = Problem::random(Dims { features: 40, classes: 10 }, 20, 5);
    Exercise::of(&problem, lambda, Layout::Rows).unwrap()
}

/// The findings on a submission that `change` makes of the right one.
fn findings(exercise: &Exercise, change: impl Fn(&mut Derivatives)) -> Vec<Finding> {
    let referee = Referee::new(exercise, Tolerance::default()).unwrap();
    let mut derivatives = referee.right().clone();
    change(&mut derivatives);
    let answer = |quantity: Quantity| Answer { quantity, values: quantity.of(&derivatives).to_vec(), is_f32: false };
    referee.judge(&Quantity::ALL.map(answer).to_vec()).unwrap()
}

#[test]
fn a_mistake_of_which_no_trace_can_be_seen_is_never_certified() {
    let without_penalty = |exercise: &Exercise| {
        let parts = Parts::new(exercise);
        let mistake = Mistake::Factor(factor::Term::Penalty, factor::Factor::ZERO);
        let wrong = parts.with(&[mistake]);
        findings(exercise, |d| *d = wrong.clone())[0].clone()
    };
    let small = exercise(1e-8);
    let finding = without_penalty(&small);
    assert_eq!(finding.verdict, Verdict::CannotTell);
    assert_eq!(findings(&small, |_| {})[0].verdict, Verdict::CannotTell);
    let hidden = finding.hidden.unwrap();
    assert!(hidden.mistakes.contains(&"missing penalty".to_owned()), "{hidden:?}");
    // The problem that it suggests tells.
    let lambda = hidden.advice.strip_prefix("--lambda ").unwrap().parse().unwrap();
    assert_eq!(without_penalty(&exercise(lambda)).verdict, Verdict::Differs);
    assert!(findings(&exercise(lambda), |_| {}).iter().all(|f| f.verdict == Verdict::Agrees));
    // The smallest λ at which it is certified is one at which the forgotten penalty is seen.
    for exponent in -10..0 {
        let exercise = exercise(10_f64.powi(exponent));
        let [right, wrong] = [findings(&exercise, |_| {})[0].verdict, without_penalty(&exercise).verdict];
        assert_ne!(wrong, Verdict::Agrees);
        assert_eq!(right == Verdict::Agrees, wrong == Verdict::Differs, "λ = 1e{exponent}");
    }
}

#[test]
fn one_example_or_a_bias_of_zero_is_no_proof() {
    let problem = Problem::random(Dims { features: 40, classes: 10 }, 1, 5);
    let one = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let hidden = findings(&one, |_| {})[0].hidden.clone().unwrap();
    assert!(hidden.mistakes[0].contains("missing 1/n") && hidden.advice == "--examples 2 or more", "{hidden:?}");

    let problem = Problem::random(Dims { features: 40, classes: 10 }, 20, 5);
    let parameters = Parameters { bias: vec![0.0; 10], ..problem.parameters().clone() };
    let problem = Problem::new(problem.x().into(), problem.labels().into(), parameters).unwrap();
    let zero = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let hidden = findings(&zero, |_| {})[1].hidden.clone().unwrap();
    assert!(hidden.mistakes.iter().any(|m| m.contains("the bias is missing")), "{hidden:?}");
    assert_eq!(hidden.advice, "a bias that is not 0");
}

#[test]
fn an_unknown_difference_is_located_and_has_no_name() {
    let exercise = exercise(0.1);
    let place = |change: &dyn Fn(&mut Derivatives)| {
        let finding = findings(&exercise, change)[0].clone();
        assert_eq!((finding.verdict, finding.explanations.len()), (Verdict::Differs, 0), "{finding:?}");
        finding.remainder.unwrap().place
    };
    assert_eq!(place(&|d| d.dweight[3 * 40 + 7] += 0.01), "class 3, feature 7");
    assert_eq!(place(&|d| d.dweight[5 * 40..6 * 40].iter_mut().for_each(|g| *g *= 1.7)), "all of class 5");
    assert_eq!(place(&|d| (0..10).for_each(|c| d.dweight[c * 40 + 9] = 0.0)), "feature 9");
    let x = exercise.x()[13 * 40..14 * 40].to_vec();
    let of_example = place(&|d| {
        for (c, row) in d.dweight.chunks_mut(40).enumerate() {
            row.iter_mut().zip(&x).for_each(|(g, x)| *g += 0.01 * (c as f64 - 4.0) * x);
        }
    });
    assert!(of_example.ends_with("example 13"), "{of_example}");
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    };
    let noise: Vec<f64> = (0..400).map(|_| noise()).collect();
    assert_eq!(place(&|d| d.dweight.iter_mut().zip(&noise).for_each(|(g, noise)| *g += 1e-3 * noise)), "in every part");
}

#[test]
fn beside_a_named_mistake_the_rest_is_located() {
    let exercise = exercise(0.1);
    let parts = Parts::new(&exercise);
    let summed =
        parts.with(&[Mistake::Factor(factor::Term::Data, factor::Factor::of(factor::Step::TimesExamples, &exercise))]);
    let finding = &findings(&exercise, |d| {
        *d = summed.clone();
        d.dweight[11] = 0.0;
    })[0];
    assert!(finding.explanations[0][0].mistake.contains("missing 1/n"), "{finding:?}");
    assert_eq!(finding.remainder.as_ref().unwrap().place, "class 0, feature 11");
}

#[test]
fn parts_of_the_batch_are_found() {
    let exercise = exercise(0.1);
    let parts = Parts::new(&exercise);
    for (weights, words) in [
        ((0..20).map(|i| if i == 19 { 0.0 } else { 1.0 }).collect::<Vec<_>>(), "example 19 is left out"),
        ((0..20).map(|i| if i == 19 { 0.0 } else { 20.0 / 19.0 }).collect(), "example 19 is left out"),
        ((0..20).map(|i| if i < 7 { 1.0 } else { 0.0 }).collect(), "only examples 0–6 count"),
        ((0..20).map(|i| if i == 4 { 2.0 } else { 1.0 }).collect(), "example 4 counts 2 times"),
    ] {
        let wrong = parts.with(&[Mistake::Weights(weights)]);
        for finding in
            &findings(&exercise, |d| (d.dweight, d.dbias) = (wrong.dweight.clone(), wrong.dbias.clone()))[..2]
        {
            let named = &finding.explanations[0];
            assert!(named.len() == 1 && named[0].mistake.contains(words), "{words}: {finding:?}");
        }
    }
}

#[test]
fn a_factor_without_a_reason_is_reported_as_a_number() {
    let exercise = exercise(0.1);
    let names = |change: &dyn Fn(&mut Derivatives)| -> Vec<String> {
        let finding = findings(&exercise, change)[0].clone();
        assert_eq!(finding.explanations.len(), 1, "{finding:?}");
        finding.explanations[0].iter().map(|d| d.mistake.clone()).collect()
    };
    let weight = exercise.parameters().weight.clone();
    assert_eq!(
        names(&|d| d.dweight.iter_mut().for_each(|g| *g *= -0.37)),
        ["every term, also the penalty, × -0.37, a factor without a known reason"]
    );
    // 3.7 · 2λ W instead of 2λ W.
    assert_eq!(
        names(&|d| d.dweight.iter_mut().zip(&weight).for_each(|(g, w)| *g += 0.2 * 2.7 * w)),
        ["penalty × 3.7, a factor without a known reason"]
    );
    assert_eq!(
        names(&|d| d.dweight.iter_mut().for_each(|g| *g *= 1.0001)),
        ["every term, also the penalty, × 1.0001, a factor without a known reason"]
    );
}

#[test]
fn updated_parameters_are_recognised_also_with_a_second_mistake() {
    let exercise = exercise(0.1);
    let weight = exercise.parameters().weight.clone();
    for (penalty, words) in [(1.0, None), (0.0, Some("missing penalty")), (0.5, Some("λ instead of 2λ"))] {
        let updated = |d: &mut Derivatives| {
            for (g, w) in d.dweight.iter_mut().zip(&weight) {
                *g = w - 0.03 * (*g + (penalty - 1.0) * 0.2 * w);
            }
        };
        let finding = findings(&exercise, updated)[0].clone();
        let names: Vec<&str> = finding.explanations[0].iter().map(|d| &d.mistake[..]).collect();
        assert_eq!(names[0], "the parameters after an update with learning rate 0.03, not their gradient");
        assert_eq!(names.get(1).is_some(), words.is_some(), "{names:?}");
        assert!(words.is_none_or(|words| names[1].contains(words)), "{names:?}");
    }
}

#[test]
fn a_cost_is_not_blamed_for_its_loss() {
    let exercise = exercise(0.1);
    let found = findings(&exercise, |d| (d.loss, d.cost) = (d.loss + 0.123, d.cost + 0.123));
    assert!(found[2].explanations.is_empty() && found[3].explanations.is_empty(), "{found:?}");
    assert_eq!(found[3].remainder.as_ref().unwrap().place, "the loss in it");
    let penalty = exercise.parameters().penalty();
    let found = findings(&exercise, |d| (d.loss, d.cost) = (d.loss + 0.123, d.loss + 0.123 + 0.5 * 0.1 * penalty));
    assert!(found[3].explanations[0][0].mistake.contains("λ instead of 2λ"), "{found:?}");
}

#[test]
fn features_in_the_wrong_order_are_named() {
    for (features, classes, wrong) in [(12, 4, Features::wrong(false)), (3072, 10, Features::wrong(true))] {
        let problem = Problem::random(Dims { features, classes }, 6, 1);
        let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
        assert_eq!(exercise.is_of_images(), features == 3072);
        let parts = Parts::new(&exercise);
        assert!(!wrong.is_empty());
        for &order in wrong {
            let mistake = Mistake::Features(order);
            let derivatives = parts.with(std::slice::from_ref(&mistake));
            let named = &findings(&exercise, |d| d.dweight = derivatives.dweight.clone())[0].explanations[0];
            assert_eq!((named.len(), &named[0].mistake), (1, &mistake.name(&exercise)));
        }
    }
}
