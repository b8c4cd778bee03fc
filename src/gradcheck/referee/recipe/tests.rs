//! Each mistake made by plain loops over examples, classes and features, as a student would write them.

#![expect(clippy::needless_range_loop, reason = "several arrays share an index, as in the formulas")]

use super::super::Layout;
use super::super::factor::Step;
use super::super::mistake::{Base, known};
use super::*;
use crate::dataset::cifar10::{DIMS, PLANE, SIDE};
use crate::gradcheck::Problem;
use crate::hyperparameters::Loss;

/// The solution of a student, who makes one mistake.
struct Solution<'a> {
    exercise: &'a Exercise,
    mistake: &'a Mistake,
}

impl Solution<'_> {
    fn makes(&self, mistake: &Mistake) -> bool {
        self.mistake == mistake
    }

    /// The factor of a term.
    fn factor(&self, of: Term) -> f64 {
        match self.mistake {
            Mistake::Factor(term, factor) if *term == of => factor.value,
            _ => 1.0,
        }
    }

    /// The examples, each with its features in the order in which the student has them.
    fn examples(&self) -> Vec<Vec<f64>> {
        let Mistake::Features(features) = self.mistake else { return self.rows(self.exercise.x()) };
        let (n, d) = (self.exercise.examples(), self.exercise.dims().features);
        let mut wrong = self.rows(self.exercise.x());
        for (i, x) in self.rows(self.exercise.x()).iter().enumerate() {
            if *features == Features::Reshaped {
                for f in 0..d {
                    wrong[i][f] = self.exercise.x()[f * n + i];
                }
                continue;
            }
            for channel in 0..3 {
                for row in 0..SIDE {
                    for column in 0..SIDE {
                        let place = match features {
                            Features::Interleaved => 3 * (SIDE * row + column) + channel,
                            Features::ChannelsReversed => PLANE * (2 - channel) + SIDE * row + column,
                            _ => PLANE * channel + SIDE * column + row,
                        };
                        wrong[i][place] = x[PLANE * channel + SIDE * row + column];
                    }
                }
            }
        }
        wrong
    }

    fn rows(&self, x: &[f64]) -> Vec<Vec<f64>> {
        x.chunks(self.exercise.dims().features).map(<[f64]>::to_vec).collect()
    }

    fn logits(&self, examples: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let Dims { features, classes } = self.exercise.dims();
        let with_bias = !self.makes(&Mistake::Probabilities(Probabilities::WithoutBias));
        let mut logits = vec![vec![0.0; classes]; examples.len()];
        for (i, x) in examples.iter().enumerate() {
            for c in 0..classes {
                if with_bias {
                    logits[i][c] += self.exercise.parameters().bias[c];
                }
                for f in 0..features {
                    logits[i][c] += self.exercise.parameters().weight[c * features + f] * x[f];
                }
            }
        }
        logits
    }

    fn label(&self, i: usize) -> usize {
        let (y, k) = (usize::from(self.exercise.labels()[i]), self.exercise.dims().classes);
        match self.mistake {
            Mistake::Labels(Labels::Higher) => (y + 1) % k,
            Mistake::Labels(Labels::Lower) => {
                if y == 0 {
                    k - 1
                } else {
                    y - 1
                }
            }
            _ => y,
        }
    }

    /// True if the probabilities are those of a softmax.
    fn is_softmax(&self) -> bool {
        let other = self.makes(&Mistake::Probabilities(Probabilities::OfTheOtherLoss));
        (self.exercise.loss() == Loss::Softmax) != other
    }

    /// The probability of class c for example i.
    fn probability(&self, z: &[Vec<f64>], i: usize, c: usize) -> f64 {
        if self.makes(&Mistake::Probabilities(Probabilities::OverExamples)) {
            return z[i][c].exp() / z.iter().map(|row| row[c].exp()).sum::<f64>();
        }
        match self.is_softmax() {
            true => z[i][c].exp() / z[i].iter().map(|z| z.exp()).sum::<f64>(),
            false => 1.0 / (1.0 + (-z[i][c]).exp()),
        }
    }

    /// The loss of example i.
    fn loss(&self, z: &[Vec<f64>], i: usize) -> f64 {
        let (label, k) = (self.label(i), self.exercise.dims().classes);
        if self.is_softmax() || self.makes(&Mistake::Probabilities(Probabilities::OverExamples)) {
            return -self.probability(z, i, label).ln();
        }
        let of = |c: usize| {
            let p = self.probability(z, i, c);
            -(if c == label { p } else { 1.0 - p }).ln()
        };
        (0..k).map(of).sum::<f64>() / k as f64
    }

    /// The derivative of a loss by the logit of class c of example i, before the mean is taken.
    fn dlogit(&self, z: &[Vec<f64>], i: usize, c: usize) -> f64 {
        let p = match self.mistake {
            Mistake::Probabilities(Probabilities::Exponentials) => z[i][c].exp(),
            Mistake::Probabilities(Probabilities::Logits) => z[i][c],
            Mistake::Onehot(Onehot::Alone) => 0.0,
            _ => self.probability(z, i, c),
        };
        let onehot = if c == self.label(i) { 1.0 } else { 0.0 };
        match self.mistake {
            Mistake::Onehot(Onehot::NotSubtracted) => p,
            Mistake::Onehot(Onehot::Added) => p + onehot,
            _ => p - onehot,
        }
    }

    /// The weight of example i.
    fn weight(&self, i: usize) -> f64 {
        match self.mistake {
            Mistake::Weights(weights) => weights[i],
            _ => 1.0,
        }
    }

    /// The penalty without λ, and its derivative by each element of W.
    fn penalty(&self) -> (f64, Vec<f64>) {
        let d = self.exercise.dims().features;
        let w = &self.exercise.parameters().weight;
        let norm = w.iter().map(|w| w * w).sum::<f64>().sqrt();
        let (mut penalty, mut slope) = (0.0, vec![0.0; w.len()]);
        for (j, &w) in w.iter().enumerate() {
            if self.makes(&Mistake::BiasUnpenalised) && j % d == d - 1 {
                continue;
            }
            match self.mistake {
                Mistake::AbsoluteValues => (penalty, slope[j]) = (penalty + w.abs(), if w > 0.0 { 1.0 } else { -1.0 }),
                Mistake::NotSquared => (penalty, slope[j]) = (norm, w / norm),
                _ => (penalty, slope[j]) = (penalty + w * w, 2.0 * w),
            }
        }
        (penalty, slope)
    }

    fn derivatives(&self) -> Derivatives {
        let Dims { features: d, classes: k } = self.exercise.dims();
        let n = self.exercise.examples();
        let lambda = match self.mistake {
            Mistake::Invented(lambda) => *lambda,
            _ => self.exercise.lambda(),
        };
        let (data, every) = (self.factor(Term::Data), self.factor(Term::Every));
        let of_bias = if let Mistake::BiasPenalty(factor) = self.mistake { *factor } else { 0.0 };
        let (examples, bias) = (self.examples(), &self.exercise.parameters().bias);
        let z = self.logits(&examples);
        let (penalty, slope) = self.penalty();
        let mut dweight: Vec<f64> = slope.iter().map(|s| every * self.factor(Term::Penalty) * lambda * s).collect();
        let mut dbias: Vec<f64> = bias.iter().map(|b| 2.0 * lambda * of_bias * b).collect();
        let averaged_over = if self.exercise.loss() == Loss::Bce { n * k } else { n } as f64;
        let mut loss = 0.0;
        for (i, x) in examples.iter().enumerate() {
            loss += every * data * self.weight(i) * self.loss(&z, i) / n as f64;
            for c in 0..k {
                let g = every * data * self.weight(i) * self.dlogit(&z, i, c) / averaged_over;
                dbias[c] += g;
                for f in 0..d {
                    dweight[c * d + f] += g * x[f];
                }
            }
        }
        dbias.iter_mut().for_each(|db| *db *= self.factor(Term::Bias));
        if let Mistake::Logarithm(base) = self.mistake {
            loss /= if *base == Base::Two { 2.0_f64.ln() } else { 10.0_f64.ln() };
        }
        let squared_bias: f64 = bias.iter().map(|b| b * b).sum();
        let cost = loss + lambda * (every * self.factor(Term::Penalty) * penalty + of_bias * squared_bias);
        if self.makes(&Mistake::BiasCollapsed) {
            dbias = vec![dbias.iter().sum(); k];
        }
        if let Mistake::Updated(eta) = self.mistake {
            let updated = |parameters: &[f64], gradient: &[f64]| -> Vec<f64> {
                (0..gradient.len()).map(|j| parameters[j] - eta * gradient[j]).collect()
            };
            (dweight, dbias) = (updated(&self.exercise.parameters().weight, &dweight), updated(bias, &dbias));
        }
        if let Mistake::Order(order) = self.mistake {
            (dweight, dbias) = self.misordered(order, &dweight, &dbias);
        }
        let loss = if self.makes(&Mistake::PenaltyInLoss) { cost } else { loss };
        Derivatives { loss, cost, dweight, dbias }
    }

    fn misordered(&self, order: &Order, dweight: &[f64], dbias: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let Dims { features: d, classes: k } = self.exercise.dims();
        let mut wrong = vec![0.0; k * d];
        let mut bias = dbias.to_vec();
        for c in 0..k {
            if let Order::Permuted(rows) = order {
                bias[c] = dbias[rows[c]];
            }
            for f in 0..d {
                match order {
                    Order::ReshapedFromColumns => wrong[f * k + c] = dweight[c * d + f],
                    Order::ReshapedToColumns => wrong[c * d + f] = dweight[f * k + c],
                    Order::Permuted(rows) => wrong[c * d + f] = dweight[rows[c] * d + f],
                }
            }
        }
        (wrong, bias)
    }
}

/// Asserts that the recipe of `mistake` leads to the numbers of plain loops.
fn check(parts: &Parts, mistake: &Mistake) {
    let expected = Solution { exercise: parts.exercise, mistake }.derivatives();
    let found = parts.with(std::slice::from_ref(mistake));
    let near = |a: &[f64], b: &[f64]| {
        let scale = b.iter().fold(0.0_f64, |most, b| most.max(b.abs()));
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * scale.max(1e-3))
    };
    let name = || format!("{mistake:?} {}", parts.exercise.describe());
    assert!(near(&found.dweight, &expected.dweight), "{}", name());
    assert!(near(&found.dbias, &expected.dbias), "{} {:?} {:?}", name(), found.dbias, expected.dbias);
    assert!(near(&[found.loss, found.cost], &[expected.loss, expected.cost]), "{} {found:?}", name());
    for (quantity, expected) in
        Quantity::ALL.iter().zip([expected.dweight, expected.dbias, vec![expected.loss], vec![expected.cost]])
    {
        assert!(near(&parts.quantity(*quantity, std::slice::from_ref(mistake)), &expected), "{quantity:?} {}", name());
    }
}

/// Exercises of each loss, with and without a bias of their own.
fn exercises(n: usize, dims: Dims) -> impl Iterator<Item = Exercise> {
    let of = move |loss| {
        let problem = Problem::random(dims, n, 3).with_loss(loss);
        [Layout::Rows, Layout::Cs231n].map(|layout| Exercise::of(&problem, 0.1, layout).unwrap())
    };
    Loss::ALL.into_iter().flat_map(of)
}

#[test]
fn each_mistake_has_the_numbers_of_plain_loops() {
    for exercise in exercises(7, Dims { features: 12, classes: 4 }) {
        let parts = Parts::new(&exercise);
        let mut mistakes = known(&exercise);
        mistakes.extend([
            Mistake::Weights([1.0, 0.0, 2.5, 1.0, 0.0, 1.0, 0.5].to_vec()),
            Mistake::Updated(0.0),
            Mistake::Updated(0.3),
            Mistake::Order(Order::Permuted(vec![2, 0, 3, 1])),
            Mistake::Order(Order::ReshapedFromColumns),
            Mistake::Order(Order::ReshapedToColumns),
        ]);
        let half = Factor::of(Step::Half, &exercise);
        mistakes.extend([Term::Data, Term::Penalty, Term::Every, Term::Bias].map(|term| Mistake::Factor(term, half)));
        if exercise.layout() == Layout::Rows {
            mistakes.extend([1.0, 0.5].map(Mistake::BiasPenalty));
        }
        mistakes.iter().for_each(|mistake| check(&parts, mistake));
    }
}

#[test]
fn the_pixels_of_images_in_another_order_have_the_numbers_of_plain_loops() {
    for exercise in exercises(3, DIMS) {
        let parts = Parts::new(&exercise);
        for &features in Features::wrong(true) {
            check(&parts, &Mistake::Features(features));
        }
    }
}

#[test]
fn an_invented_penalty_has_its_own_lambda() {
    let problem = Problem::random(Dims { features: 12, classes: 4 }, 7, 3);
    let exercise = Exercise::of(&problem, 0.0, Layout::Rows).unwrap();
    check(&Parts::new(&exercise), &Mistake::Invented(0.25));
}

#[test]
fn mistakes_together_multiply_their_factors_and_add_their_changes() {
    let problem = Problem::random(Dims { features: 12, classes: 4 }, 7, 3);
    let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let parts = Parts::new(&exercise);
    let factor = |term, step| Mistake::Factor(term, Factor::of(step, &exercise));
    let right = parts.with(&[]);
    // −2 times the data term, half of the penalty, and all of it four times.
    let found = parts.with(&[
        factor(Term::Data, Step::Sign),
        factor(Term::Data, Step::Twice),
        factor(Term::Penalty, Step::Half),
        factor(Term::Every, Step::TimesClasses),
    ]);
    let penalty = |j: usize| 0.2 * exercise.parameters().weight[j];
    for (j, (found, right)) in found.dweight.iter().zip(&right.dweight).enumerate() {
        let expected = 4.0 * (-2.0 * (right - penalty(j)) + 0.5 * penalty(j));
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    assert!((found.loss + 8.0 * right.loss).abs() < 1e-12);
    let of_weight: f64 = exercise.parameters().weight.iter().map(|w| w * w).sum();
    assert!((found.cost - found.loss - 4.0 * 0.5 * 0.1 * of_weight).abs() < 1e-12);
    let with_bias = parts.with(&[Mistake::BiasPenalty(0.5), factor(Term::Every, Step::TimesClasses)]);
    let bias = &exercise.parameters().bias;
    for (c, (found, right)) in with_bias.dbias.iter().zip(&right.dbias).enumerate() {
        assert!((found - 4.0 * (right + 0.1 * bias[c])).abs() < 1e-12);
    }
}

#[test]
fn an_order_is_undone_element_by_element() {
    let dims = Dims { features: 5, classes: 3 };
    let right: Vec<f64> = (0..15).map(f64::from).collect();
    for order in [Order::ReshapedFromColumns, Order::ReshapedToColumns, Order::Permuted(vec![1, 2, 0])] {
        let problem = Problem::random(dims, 2, 1);
        let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
        let mistake = Mistake::Order(order.clone());
        let (wrong, _) = Solution { exercise: &exercise, mistake: &mistake }.misordered(&order, &right, &[0.0; 3]);
        assert_ne!(wrong, right);
        assert_eq!(undo(&wrong, &order, dims), right, "{order:?}");
    }
}

#[test]
fn the_normal_equations_find_the_weight_of_each_example_and_of_the_penalty() {
    let problem = Problem::random(Dims { features: 12, classes: 4 }, 3, 3);
    let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let parts = Parts::new(&exercise);
    let gradients = |weights: Vec<f64>| {
        parts.with(&[Mistake::Weights(weights), Mistake::Factor(Term::Penalty, Factor::ZERO)]).dweight
    };
    let alone: Vec<Vec<f64>> =
        (0..3).map(|i| gradients((0..3).map(|j| f64::from(u8::from(i == j))).collect())).collect();
    let slope: Vec<f64> = exercise.parameters().weight.iter().map(|w| 2.0 * w).collect();
    let columns: Vec<&[f64]> = alone.iter().map(|a| &a[..]).chain([&slope[..]]).collect();
    let values: Vec<f64> = (0..48).map(|j| (j as f64 * 0.7).sin()).collect();
    let (matrix, right) = parts.examples_and_penalty(&values);
    let product = |a: &[f64], b: &[f64]| (0..48).map(|j| a[j] * b[j]).sum::<f64>();
    for (i, a) in columns.iter().enumerate() {
        assert!((right[i] - product(a, &values)).abs() < 1e-12);
        for (j, b) in columns.iter().enumerate() {
            assert!((matrix[i][j] - product(a, b)).abs() < 1e-12, "{i} {j}");
        }
    }
    assert_eq!((matrix.len(), right.len()), (4, 4));
}
