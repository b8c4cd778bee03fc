//! Every known mistake, and every pair of two, is made on purpose and named.

use super::mistake::{Mistake, known};
use super::recipe::Parts;
use super::*;
use crate::gradcheck::Problem;
use crate::hyperparameters::Loss;
use rayon::prelude::*;

fn exercises() -> Vec<Exercise> {
    let mut exercises = Vec::new();
    for (n, features, classes) in [(100, 60, 10), (3, 10, 10), (7, 12, 4), (20, 9, 3)] {
        for loss in Loss::ALL {
            for layout in [Layout::Rows, Layout::Cs231n] {
                for seed in [1, 2] {
                    let problem = Problem::random(Dims { features, classes }, n, seed).with_loss(loss);
                    exercises.push(Exercise::of(&problem, 0.1, layout).unwrap());
                }
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
    let referee = Referee::new(exercise, Tolerance::default());
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
            if std::env::var_os("SHOW").is_some() {
                eprintln!("EQ {} {} {:?} -> {named:?}", exercise.describe(), finding.quantity.name(), made);
            }
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
