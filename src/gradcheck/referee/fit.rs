//! Least-squares fits of `grad_W`, and the mistakes that their factors stand for.

use super::Exercise;
use super::explain::Explanation;
use super::factor::{Factor, Term};
use super::mistake::{Mistake, Onehot};
use super::recipe::Parts;
use super::sums::Sums;
use crate::gradcheck::linear::{distance, dot, largest, solve};

/// Factors of the two sums of the data term and of the penalty's slope.
pub(super) struct Fit {
    factors: [f64; 3],
    /// How far each may be from a factor that it stands for.
    uncertainty: [f64; 3],
}

/// Values that are fitted, and their scalar products with all that they can be made of.
pub(super) struct Target<'a> {
    sums: &'a Sums,
    values: &'a [f64],
    products: Vec<f64>,
    norm: f64,
    /// The largest difference that rounding may leave.
    noise: f64,
}

impl<'a> Target<'a> {
    pub(super) fn new(sums: &'a Sums, values: &'a [f64], rounding: f64) -> Self {
        let products = sums.basis().map(|b| dot(b, values)).collect();
        let noise = 4.0 * rounding * largest(values).max(f64::MIN_POSITIVE);
        Self { sums, values, products, norm: dot(values, values), noise }
    }

    /// The least-squares fit by three elements of the basis; `None` if it leaves more than rounding.
    pub(super) fn fit(&self, indices: [usize; 3]) -> Option<Fit> {
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
    pub(super) fn names(&self, parts: &Parts) -> Vec<Explanation> {
        let mut found = self.named(parts);
        found.extend(self.common_factor(parts.exercise));
        found
    }

    fn named(&self, parts: &Parts) -> Vec<Explanation> {
        let exercise = parts.exercise;
        let with_one =
            |term| std::iter::once(None).chain(parts.factors(term).iter().copied().map(Some)).collect::<Vec<_>>();
        let [of_data, of_penalty, mut of_every] = [Term::Data, Term::Penalty, Term::Every].map(with_one);
        if exercise.lambda() == 0.0 {
            of_every.truncate(1); // Without a penalty, every term is the data term.
        }
        let mut found: Vec<Explanation> = Vec::new();
        for every in of_every {
            let common = every.map_or(1.0, |f| f.value);
            let data = self.data(common, &of_data, every.is_none());
            if data.is_empty() {
                continue;
            }
            for penalty in self.penalty(exercise, common, &of_penalty, every.is_none()) {
                for data in &data {
                    let every = every.map(|f| Mistake::Factor(Term::Every, f));
                    found.push(every.into_iter().chain(data.clone()).chain(penalty.clone()).collect());
                }
            }
        }
        found.extend(self.updated(exercise, &of_penalty));
        let nothing = [Mistake::Factor(Term::Data, Factor::ZERO), Mistake::Factor(Term::Penalty, Factor::ZERO)];
        for explanation in &mut found {
            if nothing.iter().all(|m| explanation.contains(m))
                || (exercise.lambda() == 0.0 && explanation[..] == nothing[..1])
            {
                *explanation = vec![Mistake::Factor(Term::Every, Factor::ZERO)];
            }
        }
        found
    }

    /// The same factor without a reason for both terms.
    fn common_factor(&self, exercise: &Exercise) -> Option<Explanation> {
        let factor = self.factors[0];
        let is_common = factor != 0.0 && self.is(1, -factor) && self.is(2, factor * exercise.lambda());
        is_common.then(|| vec![Mistake::Factor(Term::Every, Factor::unknown(factor))])
    }

    /// Parameters after an update: W − η (D + 2λ q W) has the factor −η for D, and 1 − 2λ η q = 2 · ½ (1 − 2λ η q) for W.
    fn updated(&self, exercise: &Exercise, of_penalty: &[Option<Factor>]) -> Vec<Explanation> {
        let eta = -self.factors[0];
        // With a learning rate of 1, W + D would be an update; it is a penalty without λ.
        let is_update = (self.factors[2] - 0.5).abs() < 0.25 && eta.abs() <= 0.5;
        if !is_update || !self.is(1, eta) {
            return Vec::new();
        }
        if self.is(0, 0.0) && self.is(2, 0.5) {
            return vec![vec![Mistake::Updated(0.0)]];
        }
        let penalties = of_penalty.iter().copied().chain([Some(Factor::ZERO)]);
        let fitting = penalties.filter(|q| {
            let q = q.map_or(1.0, |q| q.value);
            self.is(2, 0.5 * (1.0 - 2.0 * exercise.lambda() * eta * q))
        });
        let with = |q: Option<Factor>| {
            let penalty = q.map(|q| Mistake::Factor(Term::Penalty, q));
            std::iter::once(Mistake::Updated(eta)).chain(penalty).collect()
        };
        fitting.map(with).collect()
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

#[cfg(test)]
mod tests;
