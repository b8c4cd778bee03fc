//! A quiz for checkers of gradients: small problems with gradients that are right, or wrong in ways that a careless check
//! does not notice.
//!
//! Each case is a file: a problem of [`referee::files`](super::referee::files), the gradients to be checked (`grad_W`,
//! `grad_b`) and central differences to compare them with (`numeric_W`, `numeric_b`). A checker answers `right` or `wrong`
//! for each. Answers need no key: the files themselves say what is right.

use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::finite_differences::central_differences;
use super::referee::files::{problem_with_gradients, read_problem, read_submission};
use super::referee::{Exercise, Layout, Quantity};
use super::{Comparison, Derivatives, TOLERANCE, Terms, reference};
use crate::error::{Error, Result};

/// Changes the gradients of an exercise; the generator chooses the elements.
type Change = fn(&Exercise, &mut Derivatives, &mut ChaCha8Rng);

/// Number of right cases.
const RIGHT: usize = 5;

/// The cases: right gradients first, then wrong ones from gross to subtle.
const CASES: &[Change] = &[
    |_, _, _| {},
    |_, _, _| {},
    |_, _, _| {},
    |_, d, _| all(d, |g| f64::from(g as f32)),
    |_, d, _| all(d, |g| g * (1.0 + 1e-8)),
    |_, d, _| all(d, |_| 0.0),
    |_, d, _| all(d, |g| -g),
    |_, d, _| all(d, |g| 3.0 * g),
    |_, d, _| all(d, |g| 0.5 * g),
    |exercise, d, _| {
        let data = reference::derivatives_at(exercise.parameters(), exercise.batch(), 0.0, Terms::Data);
        (d.dweight, d.dbias) = (data.dweight, data.dbias);
    },
    |exercise, d, _| d.dweight.rotate_right(exercise.dims().features),
    |_, d, _| d.dweight.reverse(),
    |_, d, _| one(d, |_| f64::NAN),
    |_, d, _| one(d, |g| 2.0 * g),
    |_, d, rng| two(d, rng, 0.1),
    |_, d, rng| two(d, rng, 1e-3),
    |_, d, rng| {
        let noise: Vec<f64> = d.dweight.iter().map(|_| rng.random_range(-0.01..0.01)).collect();
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        d.dweight.iter_mut().zip(noise).for_each(|(g, noise)| *g += noise - mean);
    },
    |_, d, _| all(d, |g| g - 0.1),
    |_, d, _| all(d, |g| g + 0.1),
    |_, d, _| all(d, |g| 1.01 * g),
    |_, d, _| all(d, |g| 1.0001 * g),
    |_, d, _| all(d, |g| 1.00004 * g),
    |_, d, _| one(d, |g| 1.0001 * g),
];

fn all(derivatives: &mut Derivatives, change: impl Fn(f64) -> f64) {
    derivatives.dweight.iter_mut().chain(&mut derivatives.dbias).for_each(|g| *g = change(*g));
}

/// Changes the largest of the weights' gradients.
fn one(derivatives: &mut Derivatives, change: impl Fn(f64) -> f64) {
    let largest = derivatives.dweight.iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    largest.into_iter().for_each(|g| *g = change(*g));
}

/// Adds `error` to one element of the weights' gradient and subtracts it from another.
fn two(derivatives: &mut Derivatives, rng: &mut ChaCha8Rng, error: f64) {
    let count = derivatives.dweight.len();
    let first = rng.random_range(0..count);
    derivatives.dweight[first] += error;
    derivatives.dweight[(first + rng.random_range(1..count)) % count] -= error;
}

/// The files of a quiz, name and content, in a random order of the cases.
///
/// # Errors
///
/// [`Error::InvalidValue`] if `exercise` has fewer than two weights.
pub fn files(exercise: &Exercise, seed: u64) -> Result<Vec<(String, Vec<u8>)>> {
    let weights = exercise.parameters().weight.len();
    if weights < 2 {
        return Err(Error::invalid("number of weights", "2 or more", weights));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..CASES.len()).collect();
    order.shuffle(&mut rng);
    let right = reference::derivatives_at(exercise.parameters(), exercise.batch(), exercise.lambda(), Terms::Both);
    let numeric = central_differences(exercise.parameters(), exercise.batch(), exercise.lambda());
    let has_bias = exercise.layout() != Layout::Cs231n;
    let file = |(i, &chosen): (usize, &usize)| {
        let mut given = right.clone();
        CASES[chosen](exercise, &mut given, &mut rng);
        let name = format!("case_{:02}.npz", i + 1);
        let mut gradients =
            vec![("grad_W", Quantity::Weight, &given.dweight[..]), ("numeric_W", Quantity::Weight, &numeric.0)];
        if has_bias {
            gradients.push(("grad_b", Quantity::Bias, &given.dbias));
            gradients.push(("numeric_b", Quantity::Bias, &numeric.1));
        }
        let content = problem_with_gradients(exercise, &gradients)?;
        let mut arrays = vec![(given.dweight, right.dweight.clone())];
        if has_bias {
            arrays.push((given.dbias, right.dbias.clone()));
        }
        let (case, is_right) = (Case { name, arrays }, chosen < RIGHT);
        if case.is_right() != is_right || (case.largest(largest_relative) <= TOLERANCE) != is_right {
            return Err(Error::UnfitForQuiz(exercise.describe()));
        }
        Ok((case.name, content))
    };
    order.iter().enumerate().map(file).collect()
}

/// A case of a quiz: the gradients to be checked, each with the right one.
struct Case {
    name: String,
    arrays: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Case {
    /// The largest of `statistic` over the arrays; infinite if it is not finite.
    fn largest(&self, statistic: impl Fn(&[f64], &[f64]) -> f64) -> f64 {
        let of = |(given, right): &(Vec<f64>, Vec<f64>)| {
            let value = statistic(given, right);
            if value.is_finite() { value } else { f64::INFINITY }
        };
        self.arrays.iter().map(of).fold(0.0, f64::max)
    }

    fn is_right(&self) -> bool {
        self.largest(largest) <= TOLERANCE
    }
}

fn largest(given: &[f64], right: &[f64]) -> f64 {
    Comparison::of_arrays(given, right, TOLERANCE).max_absolute
}

fn largest_relative(given: &[f64], right: &[f64]) -> f64 {
    Comparison::of_arrays(given, right, TOLERANCE).max_relative
}

fn mean(given: &[f64], right: &[f64]) -> f64 {
    given.iter().zip(right).map(|(a, b)| (a - b).abs()).sum::<f64>() / given.len() as f64
}

fn mean_relative(given: &[f64], right: &[f64]) -> f64 {
    let relative = |(a, b): (&f64, &f64)| (a - b).abs() / (a.abs() + b.abs()).max(f64::MIN_POSITIVE);
    given.iter().zip(right).map(relative).sum::<f64>() / given.len() as f64
}

fn sum(given: &[f64], right: &[f64]) -> f64 {
    given.iter().zip(right).map(|(a, b)| a - b).sum::<f64>().abs()
}

fn signed(given: &[f64], right: &[f64]) -> f64 {
    given.iter().zip(right).map(|(a, b)| a - b).fold(0.0, |m, d| if d >= m || d.is_nan() { d } else { m })
}

/// A kind of check: accepts gradients of which a statistic is below its threshold.
struct Kind {
    /// The check in words, after "your answers are those of a check that".
    name: &'static str,
    /// Why that is not enough.
    reason: &'static str,
    statistic: fn(&[f64], &[f64]) -> f64,
}

/// The kinds of check; of those in a group, which differ little, the first that fits is named.
const KINDS: &[&[Kind]] = &[
    &[Kind {
        name: "takes the largest difference, with too large a tolerance",
        reason: "a small mistake, such as a factor of 1.0001, is smaller than it; in f64, 1e-6 is a tolerance that right gradients meet",
        statistic: largest,
    }],
    &[Kind {
        name: "takes the absolute value of the sum of the differences",
        reason: "differences of opposite sign cancel: take the absolute value of each, then the largest",
        statistic: sum,
    }],
    &[Kind {
        name: "takes the largest difference without its absolute value",
        reason: "a gradient that is too small everywhere passes: take the absolute value of each difference first",
        statistic: signed,
    }],
    &[
        Kind {
            name: "takes the mean of the differences",
            reason: "one wrong element among many hardly changes a mean: take the largest difference",
            statistic: mean,
        },
        Kind {
            name: "takes the mean of the relative differences",
            reason: "a factor of 3 has a relative difference of 0.5 everywhere, and one wrong element hardly changes a mean: take the largest difference, with a tolerance such as 1e-6",
            statistic: mean_relative,
        },
    ],
];

/// The grade of a checker.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// Number of cases.
    pub cases: usize,
    /// Number of answers that are correct.
    pub correct: usize,
    /// A line for each wrong answer: the case, and what is wrong with its gradients.
    pub errors: Vec<String>,
    /// The kind of check that gives such answers, and why it is not enough.
    pub explanations: Vec<String>,
}

/// Grades `answers`, a CSV of names and `right` or `wrong`, to the cases in `files` (path and content).
///
/// # Errors
///
/// [`Error::Format`] if a file is not a case, or an answer is missing, given twice, for no case or neither `right` nor
/// `wrong`. Errors name `path` as the file of the answers.
pub fn grade(files: &[(String, Vec<u8>)], answers: &str, path: &Path) -> Result<Grade> {
    let cases = files.iter().map(case).collect::<Result<Vec<_>>>()?;
    let answers = parse(answers, path, &cases)?;
    let wrong_answers = cases.iter().zip(&answers).filter(|(case, answer)| case.is_right() != **answer);
    let errors: Vec<String> = wrong_answers.map(|(case, _)| error(case)).collect();
    let explanations = if errors.is_empty() { Vec::new() } else { explanations(&cases, &answers) };
    Ok(Grade { cases: cases.len(), correct: cases.len() - errors.len(), errors, explanations })
}

fn case((name, bytes): &(String, Vec<u8>)) -> Result<Case> {
    let path = Path::new(name);
    let exercise = read_problem(bytes, path)?;
    let right = reference::derivatives_at(exercise.parameters(), exercise.batch(), exercise.lambda(), Terms::Both);
    let submission = read_submission(bytes, path, &exercise)?;
    let gradients = submission.into_iter().filter(|a| matches!(a.quantity, Quantity::Weight | Quantity::Bias));
    let arrays = gradients.map(|answer| (answer.values, answer.quantity.of(&right).to_vec())).collect();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Case { name, arrays })
}

/// The answer to each case: true for `right`.
fn parse(text: &str, path: &Path, cases: &[Case]) -> Result<Vec<bool>> {
    let mut answers = vec![None; cases.len()];
    let text = text.trim_start_matches('\u{feff}'); // from a spreadsheet
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    for (number, line) in lines {
        let refuse = |reason: String| Error::format(path, format!("line {}: {reason}", number + 1));
        let fields: Vec<&str> = line.split([',', ';']).map(|field| field.trim().trim_matches('"')).collect();
        let [name, answer] = fields[..] else {
            return Err(refuse(format!("must be a case and its answer, such as case_01,right, but is {line:?}")));
        };
        let name = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
        let Some(i) = cases.iter().position(|case| case.name == name) else {
            if number == 0 && !["right", "wrong"].contains(&answer.to_ascii_lowercase().as_str()) {
                continue; // the header
            }
            let (first, last) = (&cases[0].name, &cases[cases.len() - 1].name);
            return Err(refuse(format!("the quiz has no {name}: its cases are {first} to {last}")));
        };
        let answer = match answer.to_ascii_lowercase().as_str() {
            "right" => true,
            "wrong" => false,
            other => return Err(refuse(format!("the answer must be right or wrong, but is {other:?}"))),
        };
        if answers[i].replace(answer).is_some() {
            return Err(refuse(format!("{name} is answered twice")));
        }
    }
    let found = |(answer, case): (Option<bool>, &Case)| {
        answer.ok_or_else(|| {
            Error::format(path, format!("there is no answer for {0}: add a line, {0},right or {0},wrong", case.name))
        })
    };
    answers.into_iter().zip(cases).map(found).collect()
}

/// The line about a wrong answer to `case`.
fn error(case: &Case) -> String {
    let differs = |(a, b): (&f64, &f64)| (a - b).abs() > TOLERANCE || !a.is_finite();
    let count: usize =
        case.arrays.iter().map(|(given, right)| given.iter().zip(right).filter(|pair| differs(*pair)).count()).sum();
    let of: usize = case.arrays.iter().map(|(given, _)| given.len()).sum();
    if case.is_right() {
        return format!("{} is right: rounding alone is left of its differences", case.name);
    }
    let (verb, largest) = (if count == 1 { "is" } else { "are" }, case.largest(largest));
    if largest.is_infinite() {
        return format!("{} is wrong: {count} of {of} elements {verb} NaN", case.name);
    }
    format!("{} is wrong: {count} of {of} elements {verb}, by up to {largest:.1e}", case.name)
}

/// The kinds of check that give these answers.
fn explanations(cases: &[Case], answers: &[bool]) -> Vec<String> {
    if answers.iter().all(|&right| right) {
        return vec![
            "your answers are those of a check that is never called, or cannot fail: every gradient is right".into(),
        ];
    }
    if answers.iter().all(|&right| !right) {
        return vec!["your answers are those of a check that nothing passes: not even right gradients".into()];
    }
    let mut explanations = Vec::new();
    let is_nan = |case: &Case| case.largest(largest).is_infinite();
    if cases.iter().zip(answers).any(|(case, &right)| is_nan(case) && right) {
        explanations.push(
            "a NaN passes your check: every comparison with NaN is false, so test that the difference is small, \
             not that it is large"
                .into(),
        );
    }
    if cases.iter().zip(answers).all(|(case, &answer)| !answer || case.is_right()) {
        explanations.push(
            "your answers are those of a check with too small a tolerance: it refuses gradients that differ from \
             the right ones only by rounding"
                .into(),
        );
        return explanations;
    }
    let finite = || cases.iter().zip(answers).filter(|(case, _)| !is_nan(case));
    if finite().all(|(case, &answer)| case.is_right() == answer) {
        return explanations;
    }
    let start = explanations.len();
    // A check of a kind accepts what is below its threshold.
    let fits = |kind: &&Kind| {
        let of = |wanted: bool| {
            finite().filter(move |(_, right)| **right == wanted).map(|(case, _)| case.largest(kind.statistic))
        };
        of(true).fold(0.0, f64::max) < of(false).fold(f64::INFINITY, f64::min)
    };
    for Kind { name, reason, .. } in KINDS.iter().filter_map(|group| group.iter().find(fits)) {
        explanations.push(format!("your answers are those of a check that {name}: {reason}"));
    }
    if explanations.len() == start {
        explanations.push("your answers are those of no kind of check that this program knows".into());
    }
    explanations
}

#[cfg(test)]
mod tests;
