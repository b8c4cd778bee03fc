//! The mistakes that explain submitted values.
//!
//! `grad_W` is fitted by least squares as g · Σ p ⊗ x / N − h · Σ t ⊗ x / N + 2 q · W for each kind of probabilities and
//! labels, and the fitted factors are looked up among those with a reason. The other quantities have few elements, so that a
//! fit would find something for any numbers: combinations of the known mistakes are tried instead, those of `grad_W` first.
//! An explanation counts only if the mistakes reproduce every submitted element.

use super::factor::{Factor, Term};
use super::linear::solve;
use super::mistake::{Base, Features, Labels, Mistake, Onehot, Order, Probabilities};
use super::recipe::{Parts, Penalty, Sums, undo};
use super::{Exercise, Layout, Quantity};
use crate::dataset::cifar10::DIMS;
use crate::shape::Dims;

/// Mistakes that explain a quantity together.
pub(super) type Explanation = Vec<Mistake>;

/// The largest difference, relative to the largest value, that rounding may leave: in `f64`, and in `f32`. An explanation in
/// which nothing else is left is preferred.
const ROUNDING: [f64; 2] = [1e-9, 1e-5];

/// The largest fraction of a difference that an explanation may leave.
const UNEXPLAINED: f64 = 0.1;

/// The most examples whose weights in a sum are fitted.
const MAX_EXAMPLES: usize = 256;

/// The submitted elements of one quantity, and the right ones.
#[derive(Clone, Copy)]
pub(super) struct Submitted<'a> {
    pub(super) quantity: Quantity,
    pub(super) values: &'a [f64],
    pub(super) right: &'a [f64],
}

impl Submitted<'_> {
    /// The largest difference from what `mistakes` lead to, if that is small enough to be rounding.
    fn left(&self, expected: &[f64], rounding: f64) -> Option<f64> {
        let left = distance(self.values, expected);
        // The zeros that cancel are not exact.
        let noise = rounding * largest(expected) + 1e-14 * largest(self.right);
        let is_explained = left <= UNEXPLAINED * distance(self.values, self.right) && left <= noise;
        is_explained.then_some(left)
    }

    /// The simplest of `candidates` that explain the values; several if they are equally simple.
    fn simplest(
        &self,
        parts: &Parts,
        candidates: Vec<Explanation>,
        named: &[Mistake],
        rounding: f64,
    ) -> Vec<Explanation> {
        let mut found: Vec<(usize, Explanation)> = Vec::new();
        for candidate in candidates {
            let complexity = complexity(&candidate, named);
            if found.first().is_some_and(|(least, _)| complexity > *least) || found.iter().any(|(_, e)| *e == candidate)
            {
                continue;
            }
            if self.left(&parts.quantity(self.quantity, &candidate), rounding).is_some() {
                found.retain(|(c, _)| *c == complexity);
                found.push((complexity, candidate));
            }
        }
        found.into_iter().map(|(_, explanation)| explanation).collect()
    }
}

/// Ten for each mistake that is not in `named`, and one for each that is.
fn complexity(explanation: &Explanation, named: &[Mistake]) -> usize {
    let of = |m: &Mistake| if named.contains(m) { 1 } else { 10 * m.complexity() };
    explanation.iter().map(of).sum()
}

/// The largest difference of two elements; infinite if one is NaN.
pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { d.max(m) })
}

pub(super) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// Explanations of a `grad_W` that differs; none if there is none.
pub(super) fn weight(parts: &Parts, submitted: Submitted) -> Vec<Explanation> {
    for rounding in ROUNDING {
        let search = Search { parts, submitted, rounding };
        let found = search.of_orders();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// A search for explanations of `grad_W`.
struct Search<'a> {
    parts: &'a Parts<'a>,
    submitted: Submitted<'a>,
    rounding: f64,
}

impl Search<'_> {
    fn dims(&self) -> Dims {
        self.parts.exercise.dims()
    }

    fn accept(&self, candidates: Vec<Explanation>) -> Vec<Explanation> {
        self.submitted.simplest(self.parts, candidates, &[], self.rounding)
    }

    /// The cheap searches first: a later one is tried only if the earlier ones find nothing.
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
            for &features in Features::wrong(d == DIMS.features) {
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
        let target = Target::new(sums, values, self.rounding);
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

/// Factors of the two sums of the data term and of the penalty's slope.
struct Fit {
    factors: [f64; 3],
    /// How far each may be from a factor that it stands for.
    uncertainty: [f64; 3],
}

/// Values that are fitted, and their scalar products with all that they can be made of.
struct Target<'a> {
    sums: &'a Sums,
    values: &'a [f64],
    products: Vec<f64>,
    norm: f64,
    /// The largest difference that rounding may leave.
    noise: f64,
}

impl<'a> Target<'a> {
    fn new(sums: &'a Sums, values: &'a [f64], rounding: f64) -> Self {
        let products = sums.basis().map(|b| dot(b, values)).collect();
        let noise = 4.0 * rounding * largest(values).max(f64::MIN_POSITIVE);
        Self { sums, values, products, norm: dot(values, values), noise }
    }

    /// The least-squares fit by three elements of the basis; `None` if it leaves more than rounding.
    fn fit(&self, indices: [usize; 3]) -> Option<Fit> {
        // A part that is zero, as the slope of a penalty at W = 0, has no factor.
        let used: Vec<usize> = (0..3).filter(|&i| self.sums.product(indices[i], indices[i]) > 0.0).collect();
        let row = |&i: &usize| used.iter().map(|&j| self.sums.product(indices[i], indices[j])).collect::<Vec<_>>();
        let matrix: Vec<Vec<f64>> = used.iter().map(row).collect();
        let right: Vec<f64> = used.iter().map(|&i| self.products[indices[i]]).collect();
        let solved = solve(matrix.clone(), right.clone())?;
        // The squares of the differences add up to this, but for what cancels.
        let left = self.norm - dot(&solved, &right);
        let is_possible = left <= self.values.len() as f64 * self.noise * self.noise + 1e-10 * self.norm;
        if !is_possible {
            return None;
        }
        let mut factors = [0.0; 3];
        used.iter().zip(&solved).for_each(|(&i, factor)| factors[i] = *factor);
        let mut fitted = vec![0.0; self.values.len()];
        for (index, basis) in self.sums.basis().enumerate() {
            if let Some(i) = indices.iter().position(|i| *i == index) {
                fitted.iter_mut().zip(basis).for_each(|(sum, b)| *sum += factors[i] * b);
            }
        }
        if distance(self.values, &fitted) > self.noise {
            return None;
        }
        let mut uncertainty = [f64::INFINITY; 3];
        for (row, &i) in used.iter().enumerate() {
            let unit = (0..used.len()).map(|j| f64::from(u8::from(j == row))).collect();
            let variance = solve(matrix.clone(), unit)?[row];
            uncertainty[i] = self.noise * (self.values.len() as f64 * variance.max(0.0)).sqrt();
        }
        Some(Fit { factors, uncertainty })
    }
}

impl Fit {
    fn is(&self, i: usize, wanted: f64) -> bool {
        (self.factors[i] - wanted).abs() <= self.uncertainty[i] + 1e-6 * wanted.abs()
    }

    /// The mistakes that the factors stand for.
    fn names(&self, parts: &Parts) -> Vec<Explanation> {
        let named = self.named(parts, false);
        if named.is_empty() { self.named(parts, true) } else { named }
    }

    fn named(&self, parts: &Parts, unknown: bool) -> Vec<Explanation> {
        let exercise = parts.exercise;
        let with_one =
            |term| std::iter::once(None).chain(parts.factors(term).iter().copied().map(Some)).collect::<Vec<_>>();
        let [of_data, of_penalty, of_every] = [Term::Data, Term::Penalty, Term::Every].map(with_one);
        let mut found: Vec<Explanation> = Vec::new();
        for every in of_every {
            let common = every.map_or(1.0, |f| f.value);
            let data = self.data(common, &of_data, unknown && every.is_none());
            if data.is_empty() {
                continue;
            }
            for penalty in self.penalty(exercise, common, &of_penalty, unknown && every.is_none()) {
                for data in &data {
                    let every = every.map(|f| Mistake::Factor(Term::Every, f));
                    found.push(every.into_iter().chain(data.clone()).chain(penalty.clone()).collect());
                }
            }
        }
        // W − η (D + 2λ W) has the factor −η for D, and 1 − 2λ η = 2 · ½ (1 − 2λ η) for W.
        let eta = -self.factors[0];
        if eta >= 0.0 && self.is(1, eta) && self.is(2, 0.5 * (1.0 - 2.0 * exercise.lambda() * eta)) {
            found.push(vec![Mistake::Updated(if self.is(0, 0.0) { 0.0 } else { eta })]);
        }
        let nothing = [Mistake::Factor(Term::Data, Factor::ZERO), Mistake::Factor(Term::Penalty, Factor::ZERO)];
        for explanation in &mut found {
            if nothing.iter().all(|m| explanation.contains(m)) {
                *explanation = vec![Mistake::Factor(Term::Every, Factor::ZERO)];
            }
        }
        found
    }

    /// The mistakes of the data term, beside a factor `common` to every term.
    fn data(&self, common: f64, factors: &[Option<Factor>], unknown: bool) -> Vec<Explanation> {
        let mut found = Vec::new();
        if self.is(0, 0.0) && self.is(1, 0.0) {
            found.push(vec![Mistake::Factor(Term::Data, Factor::ZERO)]);
        }
        let kinds = [
            (None, 1.0, -1.0),
            (Some(Onehot::NotSubtracted), 1.0, 0.0),
            (Some(Onehot::Added), 1.0, 1.0),
            (Some(Onehot::Alone), 0.0, -1.0),
        ];
        for (kind, p, t) in kinds {
            let onehot = kind.map(Mistake::Onehot);
            for factor in factors {
                let value = common * factor.map_or(1.0, |f| f.value);
                if self.is(0, value * p) && self.is(1, value * t) {
                    let factor = factor.map(|f| Mistake::Factor(Term::Data, f));
                    found.push(factor.into_iter().chain(onehot.clone()).collect());
                }
            }
            let value = if p == 0.0 { -self.factors[1] } else { self.factors[0] };
            if unknown && found.is_empty() && value != 0.0 && self.is(0, value * p) && self.is(1, value * t) {
                let factor = Mistake::Factor(Term::Data, Factor::unknown(value));
                found.push(std::iter::once(factor).chain(onehot).collect());
            }
        }
        found
    }

    /// The mistakes of the penalty, beside a factor `common` to every term.
    fn penalty(&self, exercise: &Exercise, common: f64, factors: &[Option<Factor>], unknown: bool) -> Vec<Explanation> {
        let lambda = exercise.lambda();
        let mut found = Vec::new();
        if lambda == 0.0 {
            let invented = Mistake::Invented(self.factors[2]);
            return vec![if self.is(2, 0.0) { Vec::new() } else { vec![invented] }];
        }
        for factor in factors {
            if self.is(2, common * lambda * factor.map_or(1.0, |f| f.value)) {
                found.push(factor.iter().copied().map(|f| Mistake::Factor(Term::Penalty, f)).collect());
            }
        }
        if self.is(2, 0.0) {
            found.push(vec![Mistake::Factor(Term::Penalty, Factor::ZERO)]);
        }
        if unknown && found.is_empty() {
            found.push(vec![Mistake::Factor(Term::Penalty, Factor::unknown(self.factors[2] / lambda))]);
        }
        found
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// For each row of `submitted` (k,d), the row of `right` of the highest correlation, if that is a permutation other than
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
fn is_permutation(rows: &[usize]) -> bool {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rows.len()) && !rows.is_sorted()
}

/// Explanations of a quantity other than `grad_W`, preferably by the mistakes of the `earlier` quantities, of which each may
/// have several explanations.
pub(super) fn few(parts: &Parts, submitted: Submitted, earlier: &[Vec<Explanation>]) -> Vec<Explanation> {
    // If the loss includes the penalty, it includes the mistakes in it.
    let is_loss = submitted.quantity == Quantity::Loss;
    let affects = |m: &Mistake| m.affects(submitted.quantity) || (is_loss && m.affects(Quantity::Cost));
    let named: Explanation = earlier.iter().flatten().flatten().cloned().collect();
    let together = together(earlier, affects);
    let mut pool = pool(parts, submitted);
    pool.retain(|m| affects(m) && !named.contains(m));
    let one: Vec<Explanation> = pool.iter().map(|m| vec![m.clone()]).collect();
    let parts_of = together.iter().flatten().map(|m| vec![m.clone()]);
    let more = together.iter().flat_map(|earlier| pool.iter().map(move |m| [&earlier[..], &[m.clone()]].concat()));
    let singles: Vec<Explanation> = together.iter().cloned().chain(parts_of).chain(one).chain(more).collect();
    let pairs = |(i, a): (usize, &Mistake)| {
        let others = pool[i + 1..].iter().filter(|b| a.complexity() + b.complexity() <= 2 && !a.overrides(b));
        others.map(|b| vec![a.clone(), b.clone()]).collect::<Vec<_>>()
    };
    let pairs: Vec<Explanation> = pool.iter().enumerate().flat_map(pairs).collect();
    // Two mistakes must fit to the last digits of f64: there are thousands of pairs, and some fit by chance.
    for (candidates, rounding) in [(&singles, ROUNDING[0]), (&pairs, ROUNDING[0]), (&singles, ROUNDING[1])] {
        let found = submitted.simplest(parts, candidates.clone(), &named, rounding);
        if !found.is_empty() {
            return found;
        }
    }
    let single = submitted.values.len() == 1;
    if single { Vec::new() } else { submitted.simplest(parts, pairs, &named, ROUNDING[1] / 10.0) }
}

/// The most combinations of explanations that are tried together.
const MAX_COMBINATIONS: usize = 16;

/// Each combination of one explanation of each quantity: those of its mistakes that matter, each once.
fn together(explained: &[Vec<Explanation>], matters: impl Fn(&Mistake) -> bool) -> Vec<Explanation> {
    let mut combinations = vec![Explanation::new()];
    for explanations in explained.iter().filter(|explanations| !explanations.is_empty()) {
        let with = |combination: &Explanation, explanation: &Explanation| {
            let mut with = combination.clone();
            with.extend(explanation.iter().filter(|m| matters(m) && !combination.contains(m)).cloned());
            with
        };
        let all = combinations.iter().flat_map(|c| explanations.iter().map(move |e| with(c, e)));
        combinations = all.take(MAX_COMBINATIONS).collect();
    }
    combinations
}

/// The mistakes that may have changed a quantity other than `grad_W`.
fn pool(parts: &Parts, submitted: Submitted) -> Vec<Mistake> {
    let exercise = parts.exercise;
    let k = exercise.dims().classes;
    let factors = |term| parts.factors(term).iter().map(move |&f| Mistake::Factor(term, f));
    let mut pool =
        vec![Mistake::PenaltyInLoss, Mistake::BiasPenalty(1.0), Mistake::BiasPenalty(0.5), Mistake::BiasCollapsed];
    pool.push(Mistake::Updated(0.0));
    let zero = |term| Mistake::Factor(term, Factor::ZERO);
    pool.push(zero(if submitted.quantity == Quantity::Bias { Term::Bias } else { Term::Every }));
    pool.push(zero(Term::Penalty));
    pool.extend(factors(Term::Data));
    pool.extend(factors(Term::Penalty));
    if submitted.quantity == Quantity::Cost {
        // The other quantities have no penalty, so that a factor of the data term is one of every term.
        pool.push(zero(Term::Data));
        pool.extend(factors(Term::Every));
    }
    pool.extend(Probabilities::all(exercise).skip(1).map(Mistake::Probabilities));
    pool.extend(Labels::all(k).iter().filter(|l| **l != Labels::Right).map(|&l| Mistake::Labels(l)));
    pool.extend([Onehot::NotSubtracted, Onehot::Added, Onehot::Alone].map(Mistake::Onehot));
    pool.extend([Base::Two, Base::Ten].map(Mistake::Logarithm));
    pool.push(Mistake::AbsoluteValues);
    if exercise.layout() == Layout::Cs231n {
        pool.push(Mistake::BiasUnpenalised);
    }
    if submitted.quantity == Quantity::Bias {
        let rows = |value: &f64| {
            (0..k).min_by(|&a, &b| (submitted.right[a] - value).abs().total_cmp(&(submitted.right[b] - value).abs()))
        };
        let rows: Vec<usize> = submitted.values.iter().filter_map(rows).collect();
        if is_permutation(&rows) {
            pool.push(Mistake::Order(Order::Permuted(rows)));
        }
    }
    let mut once: Vec<Mistake> = Vec::new();
    for mistake in pool {
        if !once.contains(&mistake) {
            once.push(mistake);
        }
    }
    once
}
