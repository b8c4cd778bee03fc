//! Explanations of `grad_b`, `loss` and `cost`, which have few elements.

use super::Layout;
use super::Quantity;
use super::explain::{Explanation, ROUNDING, Submitted, is_permutation};
use super::factor::{Factor, Term};
use super::mistake::{Base, Labels, Mistake, Onehot, Order, Probabilities};
use super::recipe::Parts;

/// Explanations of a quantity other than `grad_W`, preferably by the mistakes of the `earlier` quantities, of which each may
/// have several explanations.
pub(super) fn explanations(parts: &Parts, submitted: Submitted, earlier: &[Vec<Explanation>]) -> Vec<Explanation> {
    // If the loss includes the penalty, it includes the mistakes in it.
    let is_loss = submitted.quantity == Quantity::Loss;
    let affects = |m: &Mistake| m.affects(submitted.quantity) || (is_loss && m.affects(Quantity::Cost));
    let named: Explanation = earlier.iter().flatten().flatten().cloned().collect();
    let together = together(earlier, affects);
    let mut pool = pool(parts, submitted);
    pool.retain(|m| affects(m) && !named.contains(m));
    let one: Vec<Explanation> = pool.iter().map(|m| vec![m.clone()]).collect();
    let parts_of = together.iter().flatten().map(|m| vec![m.clone()]);
    let more =
        together.iter().flat_map(|earlier| pool.iter().map(move |m| [&earlier[..], std::slice::from_ref(m)].concat()));
    let singles: Vec<Explanation> = together.iter().cloned().chain(parts_of).chain(one).chain(more).collect();
    let pairs = |(i, a): (usize, &Mistake)| {
        let others = pool[i + 1..].iter().filter(|b| a.complexity() + b.complexity() <= 20 && !a.overrides(b));
        others.map(|b| vec![a.clone(), b.clone()]).collect::<Vec<_>>()
    };
    let pairs: Vec<Explanation> = pool.iter().enumerate().flat_map(pairs).collect();
    // Of two classes, a softmax has gradients that differ in sign alone.
    let is_single = submitted.values.len() == 1 || parts.exercise.dims().classes == 2;
    // A single number is near that of some mistake by chance, all the more of some pair.
    let new_ones = if is_single && !submitted.is_f32 { &together } else { &singles };
    let [exact, rounded] = ROUNDING;
    for (candidates, rounding) in [(&singles, exact), (&pairs, exact), (new_ones, rounded)] {
        let found = submitted.simplest(parts, candidates, &named, rounding);
        if !found.is_empty() {
            return found;
        }
    }
    if is_single { Vec::new() } else { submitted.simplest(parts, &pairs, &named, ROUNDING[1] / 10.0) }
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
    pool.extend([Mistake::AbsoluteValues, Mistake::NotSquared]);
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

#[cfg(test)]
mod tests;
