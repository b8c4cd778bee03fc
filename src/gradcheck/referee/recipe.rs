//! The loss, cost and gradients that a combination of mistakes leads to.
//!
//! The gradient is a sum of parts that are computed once per problem:
//!
//! ```text
//! dweight = f · (g · Σ p ⊗ x / N − h · Σ t ⊗ x / N) + 2λ · q · W        N = n (softmax) or k n (sigmoids)
//! ```
//!
//! Mistakes change the probabilities p, the labels t, the features x and the factors f, g, h and q, which are 1 if all is
//! right.

use std::sync::OnceLock;

use super::factor::{Factor, Term};
use super::mistake::{Features, Labels, Mistake, Onehot, Order, Probabilities};
use super::sums::{Penalty, Sum, Sums, averaged_over};
use super::{Exercise, Quantity};
#[cfg(test)]
use crate::gradcheck::Derivatives;
use crate::gradcheck::linear::dot;
use crate::gradcheck::reference;
use crate::shape::Dims;

/// An exercise and the parts of which right and wrong gradients are made.
pub(super) struct Parts<'a> {
    pub(super) exercise: &'a Exercise,
    of_features: [OnceLock<Sums>; 5],
    /// Each kind of penalty and its value without λ.
    penalties: Vec<(Penalty, f64)>,
    /// The factors that each term can have.
    factors: Vec<(Term, Vec<Factor>)>,
    products_of_examples: OnceLock<Vec<Vec<f64>>>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(exercise: &'a Exercise) -> Self {
        let value = |kind: &Penalty| (*kind, kind.terms(exercise).map(|[value, _]| value).sum());
        let factors = [Term::Data, Term::Penalty, Term::Every].map(|term| (term, Factor::all(term, exercise)));
        let penalties = Penalty::all(exercise).iter().map(value).collect();
        let of_features = Default::default();
        Self { exercise, of_features, penalties, factors: factors.into(), products_of_examples: OnceLock::new() }
    }

    /// The factors with a reason that `term` can have.
    pub(super) fn factors(&self, term: Term) -> &[Factor] {
        self.factors.iter().find(|(t, _)| *t == term).map_or(&[], |(_, factors)| factors)
    }

    /// The sums for `features`, computed when they are needed first.
    pub(super) fn sums(&self, features: Features) -> &Sums {
        self.of_features[features as usize].get_or_init(|| Sums::new(self.exercise, features))
    }

    /// The scalar products of all pairs of examples, (n,n).
    pub(super) fn products_of_examples(&self) -> &[Vec<f64>] {
        self.products_of_examples.get_or_init(|| {
            let examples: Vec<&[f64]> = self.exercise.x().chunks(self.exercise.dims().features).collect();
            examples.iter().map(|a| examples.iter().map(|b| dot(a, b)).collect()).collect()
        })
    }

    /// The normal equations of fitting `values` (k,d) as a sum of the gradients of single examples, dlogits\[i\] ⊗ x\[i\], each
    /// with a weight, and of 2 W: a matrix (n+1,n+1) and its right-hand side (n+1).
    pub(super) fn examples_and_penalty(&self, values: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let Dims { features: d, classes: k } = self.exercise.dims();
        let sums = self.sums(Features::Right);
        let (p, t) = (sums.probabilities(Probabilities::Right), sums.onehot(Labels::Right));
        let scale = averaged_over(self.exercise);
        let dlogits: Vec<f64> = p.rows.iter().zip(&t.rows).map(|(p, t)| (p - t) / scale).collect();
        let slope: Vec<f64> = self.exercise.parameters().weight.iter().map(|w| 2.0 * w).collect();
        // The product of an example's gradient with a matrix (k,d), element by element.
        let with = |matrix: &[f64]| -> Vec<f64> {
            let example = |(dlogits, x): (&[f64], &[f64])| {
                dlogits.iter().zip(matrix.chunks(d)).map(|(dlogit, row)| dlogit * dot(x, row)).sum()
            };
            dlogits.chunks(k).zip(sums.x.chunks(d)).map(example).collect()
        };
        let of_slope = with(&slope);
        let row = |((a, products), last): ((&[f64], &Vec<f64>), &f64)| {
            let row = dlogits.chunks(k).zip(products).map(|(b, product)| dot(a, b) * product);
            row.chain([*last]).collect::<Vec<_>>()
        };
        let rows = dlogits.chunks(k).zip(self.products_of_examples()).zip(&of_slope);
        let mut matrix: Vec<Vec<f64>> = rows.map(row).collect();
        let mut right = with(values);
        matrix.push(of_slope.into_iter().chain([dot(&slope, &slope)]).collect());
        right.push(dot(&slope, values));
        (matrix, right)
    }

    /// The derivatives that `mistakes` lead to together.
    #[cfg(test)]
    pub(super) fn with(&self, mistakes: &[Mistake]) -> Derivatives {
        let recipe = Recipe::of(mistakes);
        let [loss, cost] = self.loss_and_cost(&recipe);
        Derivatives { loss, cost, dweight: self.weight(&recipe), dbias: self.bias(&recipe) }
    }

    /// The elements of `quantity` alone that `mistakes` lead to.
    pub(super) fn quantity(&self, quantity: Quantity, mistakes: &[Mistake]) -> Vec<f64> {
        let recipe = Recipe::of(mistakes);
        match quantity {
            Quantity::Weight => self.weight(&recipe),
            Quantity::Bias => self.bias(&recipe),
            Quantity::Loss => vec![self.loss_and_cost(&recipe)[0]],
            Quantity::Cost => vec![self.loss_and_cost(&recipe)[1]],
        }
    }

    /// `dweight`, (k,d).
    fn weight(&self, recipe: &Recipe) -> Vec<f64> {
        let mut dweight = self.data_term(recipe, |sum| &sum.weight, |(dweight, _)| dweight);
        let factor = self.lambda(recipe) * recipe.penalty;
        for (dw, [_, slope]) in dweight.iter_mut().zip(recipe.kind_of_penalty().terms(self.exercise)) {
            *dw += factor * slope;
        }
        recipe.update(&mut dweight, &self.exercise.parameters().weight);
        match recipe.order {
            Some(order) => {
                let source = |flat| source(flat, order, self.exercise.dims());
                (0..dweight.len()).map(|flat| dweight[source(flat)]).collect()
            }
            None => dweight,
        }
    }

    /// `dbias`, (k).
    fn bias(&self, recipe: &Recipe) -> Vec<f64> {
        let mut dbias = self.data_term(recipe, |sum| &sum.bias, |(_, dbias)| dbias);
        let slope = 2.0 * self.lambda(recipe) * recipe.bias_penalty;
        for (db, b) in dbias.iter_mut().zip(&self.exercise.parameters().bias) {
            *db = recipe.bias * (*db + slope * b);
        }
        if recipe.bias_collapsed {
            let sum = dbias.iter().sum();
            dbias.fill(sum);
        }
        recipe.update(&mut dbias, &self.exercise.parameters().bias);
        match recipe.order {
            Some(Order::Permuted(rows)) => rows.iter().map(|&c| dbias[c]).collect(),
            _ => dbias,
        }
    }

    fn loss_and_cost(&self, recipe: &Recipe) -> [f64; 2] {
        let all = &self.sums(recipe.features).losses;
        let of = all.iter().find(|(p, l, _)| (*p, *l) == (recipe.probabilities, recipe.labels));
        let losses = &of.expect("a kind that this exercise can have").2;
        let weighted: f64 = match recipe.weights {
            None => losses.iter().sum(),
            Some(weights) => losses.iter().zip(weights).map(|(loss, weight)| loss * weight).sum(),
        };
        let loss = recipe.data * weighted / losses.len() as f64 / recipe.ln_base;
        let parameters = self.exercise.parameters();
        let kind = recipe.kind_of_penalty();
        let penalty = self.penalties.iter().find(|(k, _)| *k == kind).map_or(0.0, |(_, value)| *value);
        let of_bias: f64 = parameters.bias.iter().map(|b| b * b).sum();
        let cost = loss + self.lambda(recipe) * (recipe.penalty * penalty + recipe.bias_penalty * of_bias);
        [if recipe.penalty_in_loss { cost } else { loss }, cost]
    }

    fn lambda(&self, recipe: &Recipe) -> f64 {
        recipe.invented.unwrap_or(self.exercise.lambda())
    }

    /// The data term of one gradient: made of the two sums that `of` takes, or, if examples have weights, computed anew and
    /// taken from both gradients by `take`.
    fn data_term(
        &self,
        recipe: &Recipe,
        of: impl Fn(&Sum) -> &Vec<f64>,
        take: impl Fn((Vec<f64>, Vec<f64>)) -> Vec<f64>,
    ) -> Vec<f64> {
        let sums = self.sums(recipe.features);
        let (p, t) = (sums.probabilities(recipe.probabilities), sums.onehot(recipe.labels));
        let (g, h) = (recipe.data * recipe.p, recipe.data * recipe.t);
        let combined = |p: &[f64], t: &[f64]| p.iter().zip(t).map(|(p, t)| g * p - h * t).collect::<Vec<_>>();
        let Some(weights) = recipe.weights else { return combined(of(p), of(t)) };
        let mut rows = combined(&p.rows, &t.rows);
        for (row, weight) in rows.chunks_mut(self.exercise.dims().classes).zip(weights) {
            row.iter_mut().for_each(|v| *v *= weight / averaged_over(self.exercise));
        }
        take(reference::gradients(self.exercise.dims(), &sums.x, &rows))
    }
}

/// The changes that a list of mistakes makes.
struct Recipe<'a> {
    probabilities: Probabilities,
    labels: Labels,
    features: Features,
    weights: Option<&'a [f64]>,
    data: f64,
    p: f64,
    t: f64,
    penalty: f64,
    absolute_values: bool,
    not_squared: bool,
    invented: Option<f64>,
    bias: f64,
    bias_penalty: f64,
    bias_collapsed: bool,
    updated: Option<f64>,
    bias_unpenalised: bool,
    ln_base: f64,
    penalty_in_loss: bool,
    order: Option<&'a Order>,
}

impl<'a> Recipe<'a> {
    /// Without a mistake.
    const RIGHT: Self = Self {
        probabilities: Probabilities::Right,
        labels: Labels::Right,
        features: Features::Right,
        weights: None,
        data: 1.0,
        p: 1.0,
        t: 1.0,
        penalty: 1.0,
        absolute_values: false,
        not_squared: false,
        invented: None,
        bias: 1.0,
        bias_penalty: 0.0,
        bias_collapsed: false,
        updated: None,
        bias_unpenalised: false,
        ln_base: 1.0,
        penalty_in_loss: false,
        order: None,
    };

    /// Turns a gradient into updated `parameters`, if that is the mistake.
    fn update(&self, gradient: &mut [f64], parameters: &[f64]) {
        if let Some(eta) = self.updated {
            gradient.iter_mut().zip(parameters).for_each(|(g, p)| *g = p - eta * *g);
        }
    }

    fn kind_of_penalty(&self) -> Penalty {
        match (self.absolute_values, self.bias_unpenalised) {
            _ if self.not_squared => Penalty::Norm,
            (false, false) => Penalty::Squares,
            (true, false) => Penalty::AbsoluteValues,
            (false, true) => Penalty::WithoutBias,
            (true, true) => Penalty::AbsoluteValuesWithoutBias,
        }
    }

    fn of(mistakes: &'a [Mistake]) -> Self {
        let mut recipe = Self::RIGHT;
        let mut every = 1.0;
        for mistake in mistakes {
            match mistake {
                Mistake::Factor(Term::Data, factor) => recipe.data *= factor.value,
                Mistake::Factor(Term::Penalty, factor) => recipe.penalty *= factor.value,
                Mistake::Factor(Term::Every, factor) => every *= factor.value,
                Mistake::Factor(Term::Bias, factor) => recipe.bias *= factor.value,
                Mistake::Probabilities(kind) => recipe.probabilities = *kind,
                Mistake::Labels(kind) => recipe.labels = *kind,
                Mistake::Features(kind) => recipe.features = *kind,
                Mistake::Onehot(Onehot::NotSubtracted) => recipe.t = 0.0,
                Mistake::Onehot(Onehot::Added) => recipe.t = -1.0,
                Mistake::Onehot(Onehot::Alone) => recipe.p = 0.0,
                Mistake::Weights(weights) => recipe.weights = Some(weights),
                Mistake::AbsoluteValues => recipe.absolute_values = true,
                Mistake::NotSquared => recipe.not_squared = true,
                Mistake::Invented(lambda) => recipe.invented = Some(*lambda),
                Mistake::BiasPenalty(factor) => recipe.bias_penalty = *factor,
                Mistake::Updated(eta) => recipe.updated = Some(*eta),
                Mistake::BiasCollapsed => recipe.bias_collapsed = true,
                Mistake::Order(order) => recipe.order = Some(order),
                Mistake::Logarithm(base) => recipe.ln_base = base.ln(),
                Mistake::PenaltyInLoss => recipe.penalty_in_loss = true,
                Mistake::BiasUnpenalised => recipe.bias_unpenalised = true,
            }
        }
        recipe.data *= every;
        recipe.penalty *= every;
        recipe.bias_penalty *= every;
        recipe
    }
}

/// The elements of `weight` (k,d), which came in another order, in the right one.
pub(super) fn undo(weight: &[f64], order: &Order, dims: Dims) -> Vec<f64> {
    let mut right = vec![0.0; weight.len()];
    for (flat, value) in weight.iter().enumerate() {
        right[source(flat, order, dims)] = *value;
    }
    right
}

/// The index of the right element at position `flat`.
fn source(flat: usize, order: &Order, dims: Dims) -> usize {
    let Dims { features: d, classes: k } = dims;
    match order {
        // A (d,k) buffer: its element `flat` is element (flat % k, flat / k) of the matrix.
        Order::ReshapedFromColumns => flat % k * d + flat / k,
        // A (k,d) buffer read as (d,k): element (c,f) is at position f · k + c.
        Order::ReshapedToColumns => flat % d * k + flat / d,
        Order::Permuted(rows) => rows[flat / d] * d + flat % d,
    }
}

#[cfg(test)]
mod tests;
