//! The mistakes that explain submitted values.
//!
//! `grad_W` is fitted by least squares as g · Σ p ⊗ x / N − h · Σ t ⊗ x / N + 2 q · W for each kind of probabilities and
//! labels, and the fitted factors are looked up among those with a reason. The other quantities have few elements, so that a
//! fit would find something for any numbers: combinations of the known mistakes are tried instead, those of `grad_W` first.
//! An explanation counts only if the mistakes reproduce every submitted element.

use super::Quantity;
use super::factor::{Factor, Term};
use super::fit::Target;
use super::mistake::{Features, Labels, Mistake, Order, Probabilities};
use super::recipe::{Parts, undo};
use super::sums::Penalty;
use crate::gradcheck::linear::{distance, dot, largest, solve};
use crate::shape::Dims;

/// Mistakes that explain a quantity together.
pub(super) type Explanation = Vec<Mistake>;

/// The largest difference, relative to the largest value, that rounding may leave: in `f64`, and in `f32`. An explanation in
/// which nothing else is left is preferred.
pub(super) const ROUNDING: [f64; 2] = [1e-9, super::ROUNDING];

/// The largest fraction of a difference that an explanation may leave.
const UNEXPLAINED: f64 = 0.1;

/// The most examples whose weights in a sum are fitted.
pub(super) const MAX_EXAMPLES: usize = 256;

/// The submitted elements of one quantity, and the right ones.
#[derive(Clone, Copy)]
pub(super) struct Submitted<'a> {
    pub(super) quantity: Quantity,
    pub(super) values: &'a [f64],
    pub(super) right: &'a [f64],
    /// True if the values were `float32`.
    pub(super) is_f32: bool,
}

impl Submitted<'_> {
    /// The largest difference from what `mistakes` lead to, if that is small enough to be rounding.
    fn left(&self, expected: &[f64], rounding: f64) -> Option<f64> {
        let left = distance(self.values, expected);
        // The zeros that cancel are not exact.
        let noise = rounding * largest(expected) + 1e-14 * largest(self.right);
        let is_explained = left.is_finite() && left <= UNEXPLAINED * distance(self.values, self.right) && left <= noise;
        is_explained.then_some(left)
    }

    /// The simplest of `candidates` that explain the values; several if they are equally simple.
    pub(super) fn simplest(
        &self,
        parts: &Parts,
        candidates: &[Explanation],
        named: &[Mistake],
        rounding: f64,
    ) -> Vec<Explanation> {
        let mut found: Vec<(usize, Explanation)> = Vec::new();
        for candidate in candidates {
            let complexity = complexity(candidate, named);
            if found.first().is_some_and(|(least, _)| complexity > *least) || found.iter().any(|(_, e)| e == candidate)
            {
                continue;
            }
            if self.left(&parts.quantity(self.quantity, candidate), rounding).is_some() {
                found.retain(|(c, _)| *c == complexity);
                found.push((complexity, candidate.clone()));
            }
        }
        found.into_iter().map(|(_, explanation)| explanation).collect()
    }
}

/// The sum of the complexities, where a mistake that is `named` already counts 1.
fn complexity(explanation: &Explanation, named: &[Mistake]) -> usize {
    let of = |m: &Mistake| if named.contains(m) { 1 } else { m.complexity() };
    explanation.iter().map(of).sum()
}

/// Explanations of a `grad_W` that differs; none if there is none.
pub(super) fn weight(parts: &Parts, submitted: Submitted) -> Vec<Explanation> {
    Search { parts, submitted }.of_orders()
}

/// A search for explanations of `grad_W`.
struct Search<'a> {
    parts: &'a Parts<'a>,
    submitted: Submitted<'a>,
}

impl Search<'_> {
    fn dims(&self) -> Dims {
        self.parts.exercise.dims()
    }

    fn accept(&self, candidates: Vec<Explanation>) -> Vec<Explanation> {
        let [exact, rounded] = ROUNDING;
        let found = self.submitted.simplest(self.parts, &candidates, &[], exact);
        if found.is_empty() { self.submitted.simplest(self.parts, &candidates, &[], rounded) } else { found }
    }

    /// Searches with the right features in every order; wrong features, then parts of the batch, only if that finds nothing.
    fn of_orders(&self) -> Vec<Explanation> {
        let right = self.fits(Features::Right, None, self.submitted.values);
        let mut found = self.accept(right);
        let Dims { features: d, classes: k } = self.dims();
        let mut orders = vec![Order::ReshapedFromColumns];
        if d != k {
            orders.push(Order::ReshapedToColumns);
        }
        for order in orders.into_iter().filter(|_| d > 1 && k > 1) {
            let values = undo(self.submitted.values, &order, self.dims());
            found.extend(self.accept(self.fits(Features::Right, Some(&order), &values)));
        }
        found.extend(self.accept(self.permutations()));
        if found.is_empty() {
            for &features in Features::wrong(self.parts.exercise.is_of_images()) {
                found.extend(self.accept(self.fits(features, None, self.submitted.values)));
            }
        }
        if found.is_empty() {
            found = self.accept(self.parts_of_the_batch());
        }
        self.accept(found)
    }

    /// The named fits of `values`, submitted in `order`, for each kind of probabilities, labels and penalty.
    fn fits(&self, features: Features, order: Option<&Order>, values: &[f64]) -> Vec<Explanation> {
        let sums = self.parts.sums(features);
        let target = Target::new(sums, values, ROUNDING[1]);
        let (of_p, of_t) = (sums.probabilities.len(), sums.onehot.len());
        let mut found = Vec::new();
        for (s, penalty) in Penalty::all(self.parts.exercise).iter().enumerate() {
            for (i, (p, _)) in sums.probabilities.iter().enumerate() {
                for (j, (l, _)) in sums.onehot.iter().enumerate() {
                    let Some(fit) = target.fit([i, of_p + j, of_p + of_t + s]) else { continue };
                    let mut mistakes = Vec::new();
                    if *p != Probabilities::Right {
                        mistakes.push(Mistake::Probabilities(*p));
                    }
                    if *l != Labels::Right {
                        mistakes.push(Mistake::Labels(*l));
                    }
                    if features != Features::Right {
                        mistakes.push(Mistake::Features(features));
                    }
                    mistakes.extend(penalty.mistakes());
                    mistakes.extend(order.map(|order| Mistake::Order(order.clone())));
                    found.extend(fit.names(self.parts).into_iter().map(|f| [f, mistakes.clone()].concat()));
                }
            }
        }
        found
    }

    /// Fits of the rows in the order of the classes to which they are closest.
    fn permutations(&self) -> Vec<Explanation> {
        let sums = self.parts.sums(Features::Right);
        let mut tried: Vec<Vec<usize>> = Vec::new();
        let mut found = Vec::new();
        for (_, p) in &sums.probabilities {
            for (_, t) in &sums.onehot {
                let data: Vec<f64> = p.weight.iter().zip(&t.weight).map(|(p, t)| p - t).collect();
                let Some(rows) = closest_rows(self.submitted.values, &data, self.dims()) else { continue };
                if tried.contains(&rows) {
                    continue;
                }
                let order = Order::Permuted(rows.clone());
                tried.push(rows);
                let values = undo(self.submitted.values, &order, self.dims());
                found.extend(self.fits(Features::Right, Some(&order), &values));
            }
        }
        found
    }

    /// The weight of each example in the data term, fitted together with the penalty.
    fn parts_of_the_batch(&self) -> Vec<Explanation> {
        let exercise = self.parts.exercise;
        let n = exercise.examples();
        if n > MAX_EXAMPLES || n == 1 {
            return Vec::new();
        }
        let (matrix, right) = self.parts.examples_and_penalty(self.submitted.values);
        let Some(fitted) = solve(matrix, right) else { return Vec::new() };
        let (weights, penalty) = (&fitted[..n], fitted[n] / exercise.lambda());
        let common = median(weights.iter().copied().filter(|w| w.abs() > 1e-3).collect());
        let Some(common) = common else { return Vec::new() };
        let relative: Vec<f64> = weights.iter().map(|w| (w / common * 1000.0).round() / 1000.0).collect();
        if relative.iter().all(|w| *w == 1.0) {
            return Vec::new();
        }
        // The mean over the examples that count is no further mistake.
        let mean = n as f64 / relative.iter().sum::<f64>();
        let scales = [1.0, mean].map(|scale| (scale, None)).into_iter();
        let factors = self.parts.factors(Term::Data).iter().map(|&f| (f.value, Some(Mistake::Factor(Term::Data, f))));
        let penalties = std::iter::once((1.0, None)).chain([(0.0, Some(Mistake::Factor(Term::Penalty, Factor::ZERO)))]);
        let of_penalty = self.parts.factors(Term::Penalty).iter();
        let penalties: Vec<_> =
            penalties.chain(of_penalty.map(|&f| (f.value, Some(Mistake::Factor(Term::Penalty, f))))).collect();
        let mut found = Vec::new();
        for (scale, factor) in scales.chain(factors).filter(|(scale, _)| (scale / common - 1.0).abs() < 1e-3) {
            let weights: Vec<f64> = relative.iter().map(|w| if factor.is_none() { w * scale } else { *w }).collect();
            for (_, of_penalty) in
                penalties.iter().filter(|(q, _)| exercise.lambda() == 0.0 || (q - penalty).abs() < 1e-2)
            {
                let mistakes = [factor.clone(), of_penalty.clone(), Some(Mistake::Weights(weights.clone()))];
                found.push(mistakes.into_iter().flatten().collect());
            }
        }
        found
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// For each row of `submitted` (k,d), the row of `right` with the largest |cosine|, if that is a permutation other than
/// the identity.
fn closest_rows(submitted: &[f64], right: &[f64], dims: Dims) -> Option<Vec<usize>> {
    let Dims { features: d, classes: k } = dims;
    let norm = |row: &[f64]| dot(row, row).sqrt().max(f64::MIN_POSITIVE);
    let closest = |row: &[f64]| {
        let likeness = |c: &usize| dot(row, &right[c * d..][..d]).abs() / norm(&right[c * d..][..d]);
        (0..k).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    };
    let rows: Vec<usize> = submitted.chunks(d).filter_map(closest).collect();
    is_permutation(&rows).then_some(rows)
}

/// True for every order of 0 to k − 1 but the sorted one.
pub(super) fn is_permutation(rows: &[usize]) -> bool {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rows.len()) && !rows.is_sorted()
}

#[cfg(test)]
mod tests;
