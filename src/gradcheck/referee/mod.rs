//! The referee: compares gradients that were computed elsewhere with the `f64` reference, says which mistakes explain a
//! difference, and says where it cannot tell.
//!
//! A quantity agrees if every element does: |a − b| ≤ tolerance for all, or |a − b| / max(eps, |a| + |b|) ≤ tolerance for
//! all. That alone proves nothing where a mistake would change less than that: so each known mistake is made on purpose, and
//! if the result would agree too, the verdict is that it can't be told.

mod exercise;
mod explain;
mod factor;
mod few;
pub mod files;
mod finding;
mod fit;
mod mistake;
mod recipe;
mod remainder;
mod sums;
pub mod table;
#[cfg(test)]
mod tests;

pub use exercise::{Exercise, Layout, with_all_classes};
pub use finding::{Answer, Diagnosis, Finding, Hidden, Quantity, Submission, Tolerance, Verdict};
pub use remainder::Remainder;

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::gradcheck::linear::{distance, largest};
use crate::gradcheck::{Comparison, Derivatives, EPS, TOLERANCE, Terms, reference};
use crate::network::Parameters;
use crate::shape::{Dims, check_finite, check_shape};
use crate::statistics::{count as counted, grouped};
use crate::train::random_start;
use explain::{Explanation, Submitted};
use mistake::{Mistake, known};
use recipe::Parts;

/// The largest difference, relative to the largest value, that `f32` rounding may explain.
const ROUNDING: f64 = 1e-5;

/// A larger tolerance hides mistakes at any λ.
const LARGE_TOLERANCE: f64 = 1e-3;

/// Random parameters for a problem: the weights of [`random_start`], and biases drawn in the same way instead of zeros,
/// at which a penalty on the bias would go unnoticed.
pub fn start(dims: Dims, seed: u64) -> Parameters {
    let one_feature = Dims { features: 1, ..dims };
    Parameters { bias: random_start(one_feature, !seed).weight, ..random_start(dims, seed) }
}

/// A judge of the submissions for one exercise.
pub struct Referee<'a> {
    parts: Parts<'a>,
    right: Derivatives,
    tolerance: Tolerance,
    /// For each quantity: the known mistakes that affect it, each with its largest change and true if it agrees anyway.
    traces: Vec<Vec<(Mistake, f64, bool)>>,
}

impl<'a> Referee<'a> {
    /// Computes the right derivatives of `exercise` and the traces of the known mistakes.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] if one of them overflows.
    pub fn new(exercise: &'a Exercise, tolerance: Tolerance) -> Result<Self> {
        let parts = Parts::new(exercise);
        let right = reference::derivatives_at(exercise.parameters(), exercise.batch(), exercise.lambda(), Terms::Both);
        for quantity in Quantity::ALL {
            check_finite(&format!("the right {} of this problem", quantity.name()), quantity.of(&right))?;
        }
        let traces = |quantity: Quantity| {
            let known = known(exercise).into_iter().filter(|m| m.affects(quantity));
            let trace = |mistake: Mistake| {
                let wrong = parts.quantity(quantity, std::slice::from_ref(&mistake));
                let comparison = tolerance.compare(&wrong, quantity.of(&right));
                (mistake, comparison.max_absolute, tolerance.agrees(&comparison))
            };
            known.map(trace).collect()
        };
        let traces = Quantity::ALL.map(traces).into();
        Ok(Self { parts, right, tolerance, traces })
    }

    /// The exercise.
    pub fn exercise(&self) -> &'a Exercise {
        self.parts.exercise
    }

    /// The right loss, cost and gradients.
    pub fn right(&self) -> &Derivatives {
        &self.right
    }

    /// Compares `submission` with the right derivatives: one finding for each submitted quantity.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if a quantity does not have the shape of the exercise's.
    pub fn judge(&self, submission: &Submission) -> Result<Vec<Finding>> {
        let Dims { features, classes } = self.exercise().dims();
        for Answer { quantity, values, .. } in submission {
            let shape: &[usize] = match quantity {
                Quantity::Weight => &[classes, features],
                Quantity::Bias => &[classes],
                Quantity::Loss | Quantity::Cost => &[],
            };
            check_shape(quantity.name(), values.len(), shape)?;
        }
        let (mut findings, mut explained) = (Vec::new(), Vec::new());
        for answer in submission {
            let comparison = self.tolerance.compare(&answer.values, answer.quantity.of(&self.right));
            let unexplained = unexplained_loss(&findings, submission, &explained);
            let (finding, explanations) = match unexplained.filter(|_| answer.quantity == Quantity::Cost) {
                _ if self.tolerance.agrees(&comparison) => (self.agreement(answer, comparison), Vec::new()),
                Some(loss) => self.difference_of_penalty(answer, comparison, loss),
                None => self.difference(answer, comparison, &explained),
            };
            findings.push(finding);
            explained.push(explanations);
        }
        let is_more_than_rounding = |f: &Finding| f.verdict == Verdict::Differs && !f.is_rounding;
        if findings.iter().any(is_more_than_rounding) {
            findings.iter_mut().for_each(|finding| finding.is_rounding = false);
        }
        let diagnosis = |m: &Mistake| Diagnosis { mistake: m.name(self.exercise()), fix: m.fix(self.exercise()) };
        for ((finding, explanations), answer) in findings.iter_mut().zip(&explained).zip(submission) {
            let likeliest: Vec<&Explanation> = shared_most(explanations, &explained).collect();
            if let (Some(first), None) = (likeliest.first(), &finding.remainder) {
                let expected = self.parts.quantity(answer.quantity, first);
                finding.left = Some(distance(&answer.values, &expected));
            }
            finding.explanations.extend(likeliest.iter().map(|e| e.iter().map(diagnosis).collect()));
        }
        Ok(findings)
    }

    /// The mistakes that `quantity` could hide, in `float32` or `float64`.
    pub fn hidden(&self, quantity: Quantity, is_f32: bool) -> Option<Hidden> {
        let rounding = if is_f32 { ROUNDING * largest(quantity.of(&self.right)) } else { 0.0 };
        let index = Quantity::ALL.iter().position(|q| *q == quantity).expect("ALL has every quantity");
        let hides = |(_, trace, agrees): &&(Mistake, f64, bool)| *agrees || *trace <= rounding;
        let hidden: Vec<_> = self.traces[index].iter().filter(hides).collect();
        let (first, ..) = hidden.first()?;
        // Against values that are computed in the same way, a mistake without effect leaves exactly 0, and no rounding.
        let right = self.parts.quantity(quantity, &[]);
        let change = |m: &Mistake| distance(&self.parts.quantity(quantity, std::slice::from_ref(m)), &right);
        let smallest = hidden.iter().filter(|(m, ..)| m.is_of_the_penalty()).map(|(m, ..)| change(m));
        let threshold = rounding.max(self.tolerance.tolerance);
        let mut mistakes: Vec<String> = Vec::new();
        for name in hidden.iter().map(|(mistake, ..)| mistake.name(self.exercise())) {
            // Mistakes that differ only in their cause have one name.
            if !mistakes.contains(&name) {
                mistakes.push(name);
            }
        }
        Some(Hidden {
            mistakes,
            trace: hidden.iter().fold(0.0, |most: f64, (_, trace, _)| most.max(*trace)),
            advice: self.advice(first, smallest.fold(f64::INFINITY, f64::min), threshold),
        })
    }

    /// The option that shows `mistake`, the first of those that hide; `trace` is the smallest change by one in the penalty.
    fn advice(&self, mistake: &Mistake, trace: f64, threshold: f64) -> String {
        let exercise = self.exercise();
        let parameters = exercise.parameters();
        if self.tolerance.tolerance > LARGE_TOLERANCE {
            return format!("a smaller --tolerance, such as {TOLERANCE:e}");
        }
        if self.tolerance.eps > 1.0 {
            return format!("a smaller --eps, such as {EPS:e}");
        }
        if exercise.examples() == 1 && !mistake.is_of_the_penalty() {
            return "--examples 2 or more".into();
        }
        if largest(&parameters.weight) == 0.0 {
            return "weights that are not 0".into();
        }
        if exercise.layout() != Layout::Cs231n && largest(&parameters.bias) == 0.0 && !self.lambda_helps(mistake) {
            return "a bias that is not 0".into();
        }
        if !mistake.is_of_the_penalty() {
            return "other parameters or more examples".into();
        }
        if exercise.lambda() > 0.0 && trace == 0.0 {
            return "other weights".into();
        }
        let wanted = if exercise.lambda() > 0.0 { exercise.lambda() * 20.0 * threshold / trace } else { 0.1 };
        format!("--lambda {}", round_up(wanted.max(0.1)))
    }

    fn lambda_helps(&self, mistake: &Mistake) -> bool {
        mistake.is_of_the_penalty() && !matches!(mistake, Mistake::BiasPenalty(_))
    }

    fn agreement(&self, answer: &Answer, comparison: Comparison) -> Finding {
        let hidden = self.hidden(answer.quantity, answer.is_f32);
        let verdict = if hidden.is_none() { Verdict::Agrees } else { Verdict::CannotTell };
        Finding { verdict, hidden, ..Finding::unexplained(answer.quantity, comparison) }
    }

    /// How many values are NaN or infinite, and where the first is.
    fn not_finite_in_words(&self, Answer { quantity, values, .. }: &Answer) -> String {
        let bad: Vec<usize> = (0..values.len()).filter(|&i| !values[i].is_finite()).collect();
        let (count, of, verb) =
            (grouped(bad.len()), counted(values.len(), "value"), if bad.len() == 1 { "is" } else { "are" });
        let (place, name) = (remainder::place(&self.parts, *quantity, &bad[..1], &[]), quantity.name());
        format!(
            "not finite: {count} of {of} {verb} NaN or infinite; the first of {name}, {place}, is {}",
            values[bad[0]]
        )
    }

    /// The finding of a quantity with a NaN or an infinite value.
    fn not_finite(&self, answer: &Answer, comparison: Comparison) -> Finding {
        let fix = "look for ln 0, 0 / 0 or the exp of a large number: subtract the largest logit first";
        let diagnosis = Diagnosis { mistake: self.not_finite_in_words(answer), fix: fix.into() };
        Finding { explanations: vec![vec![diagnosis]], ..Finding::unexplained(answer.quantity, comparison) }
    }

    /// Explains a cost whose loss is wrong in an unknown way: by the penalty, cost − `loss`, alone.
    fn difference_of_penalty(&self, answer: &Answer, comparison: Comparison, loss: f64) -> (Finding, Vec<Explanation>) {
        let values = answer.values.iter().map(|cost| cost - loss + self.right.loss).collect();
        let with_right_loss = Answer { values, ..answer.clone() };
        let of_penalty = self.tolerance.compare(&with_right_loss.values, answer.quantity.of(&self.right));
        let (finding, explanations) = if self.tolerance.agrees(&of_penalty) {
            (Finding::unexplained(answer.quantity, comparison), Vec::new())
        } else {
            self.difference(&with_right_loss, comparison, &[])
        };
        let place = "the loss in it".into();
        let remainder = Remainder { elements: 1, of: 1, largest: comparison.max_absolute, place };
        (Finding { remainder: Some(remainder), ..finding }, explanations)
    }

    /// Explains a difference, preferably by the mistakes that explain the `earlier` quantities.
    fn difference(
        &self,
        answer: &Answer,
        comparison: Comparison,
        earlier: &[Vec<Explanation>],
    ) -> (Finding, Vec<Explanation>) {
        let Answer { quantity, values, is_f32 } = answer;
        let right = quantity.of(&self.right);
        if values.iter().any(|v| !v.is_finite()) {
            return (self.not_finite(answer, comparison), Vec::new());
        }
        let submitted = Submitted { quantity: *quantity, values, right, is_f32: *is_f32 };
        let mut explanations: Vec<Explanation> = match quantity {
            Quantity::Weight => explain::weight(&self.parts, submitted),
            _ => few::explanations(&self.parts, submitted, earlier),
        };
        let mut finding = Finding::unexplained(*quantity, comparison);
        finding.is_rounding = is_rounding(values, right);
        if explanations.is_empty() && !finding.is_rounding {
            let (mistake, remainder) = remainder::locate(&self.parts, submitted);
            explanations.extend(mistake.map(|m| vec![m]));
            finding.remainder = Some(remainder);
        }
        (finding, explanations)
    }
}

/// The submitted loss, if it differs and has no explanation.
fn unexplained_loss(findings: &[Finding], submission: &Submission, explained: &[Vec<Explanation>]) -> Option<f64> {
    let i = findings.iter().position(|finding| finding.quantity == Quantity::Loss)?;
    let is_unexplained = findings[i].verdict == Verdict::Differs && explained[i].is_empty();
    is_unexplained.then_some(submission[i].values[0])
}

/// Those of several equally simple explanations whose mistakes explain most other quantities too.
fn shared_most<'a>(explanations: &'a [Explanation], all: &[Vec<Explanation>]) -> impl Iterator<Item = &'a Explanation> {
    let shared = |explanation: &Explanation| -> usize {
        let explains = |m: &Mistake| all.iter().filter(|of| of.iter().flatten().any(|other| other == m)).count();
        explanation.iter().map(explains).sum()
    };
    let most = explanations.iter().map(shared).max();
    explanations.iter().filter(move |explanation| Some(shared(explanation)) == most)
}

/// True if the difference may be due to `f32`: it is small, and in at least half of the elements larger than in `f64`.
fn is_rounding(values: &[f64], right: &[f64]) -> bool {
    let size = largest(right);
    let rounded = values.iter().zip(right).filter(|(v, r)| (*v - *r).abs() > 1e-10 * size).count();
    distance(values, right) <= ROUNDING * size && 2 * rounded >= values.len()
}

/// The next larger number of the form 1, 2 or 5 · 10^x.
fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powi(value.log10().floor() as i32);
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    // The first may be the value itself but for rounding.
    let step = steps.into_iter().find(|step| *step >= value * (1.0 - 1e-9));
    let digits = (-decade.log10()).max(0.0) as usize;
    format!("{:.digits$}", step.unwrap_or(value)).parse().unwrap_or(value)
}
