//! The mistakes that this program knows, and the words for them.

use super::factor::{Factor, Term};
use super::{Exercise, Layout, Quantity};
use crate::hyperparameters::Loss;
use crate::shape::Dims;

/// Replacement of the probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Probabilities {
    Right,
    OverExamples,
    WithoutBias,
    OfTheOtherLoss,
    Exponentials,
    Logits,
}

impl Probabilities {
    const ALL: [Self; 6] =
        [Self::Right, Self::OverExamples, Self::WithoutBias, Self::OfTheOtherLoss, Self::Exponentials, Self::Logits];

    fn name(self, softmax: bool) -> &'static str {
        match self {
            Self::Right => "right",
            Self::OverExamples if softmax => "softmax over the examples instead of the classes",
            Self::OverExamples => "softmax over the examples instead of sigmoids",
            Self::WithoutBias => "the bias is missing from the logits",
            Self::OfTheOtherLoss if softmax => "sigmoids instead of a softmax",
            Self::OfTheOtherLoss => "softmax instead of sigmoids",
            Self::Exponentials => "exp(logits) instead of probabilities: their denominator is missing",
            Self::Logits if softmax => "logits instead of probabilities: the softmax is missing",
            Self::Logits => "logits instead of probabilities: the sigmoid is missing",
        }
    }

    /// All that can be made in `exercise`, the right ones first.
    pub(super) fn all(exercise: &Exercise) -> impl Iterator<Item = Self> {
        let has_bias = exercise.layout() != Layout::Cs231n;
        Self::ALL.into_iter().filter(move |kind| has_bias || *kind != Self::WithoutBias)
    }
}

/// Replacement of the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Labels {
    Right,
    Lower,
    Higher,
}

impl Labels {
    fn name(self, classes: usize) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Lower if classes == 2 => "labels off by one: each is taken for the other class",
            Self::Lower => "labels off by one: each is taken for the next lower class",
            Self::Higher => "labels off by one: each is taken for the next higher class",
        }
    }

    /// All that differ from one another for `classes` classes.
    pub(super) fn all(classes: usize) -> &'static [Self] {
        match classes {
            1 => &[Self::Right],
            2 => &[Self::Right, Self::Lower],
            _ => &[Self::Right, Self::Lower, Self::Higher],
        }
    }
}

/// Replacement of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Features {
    Right,
    Reshaped,
    Interleaved,
    ChannelsReversed,
    RowsAndColumnsSwapped,
}

impl Features {
    fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Reshaped => "x reshaped instead of transposed: its numbers in the wrong order",
            Self::Interleaved => "pixels in the order row, column, channel",
            Self::ChannelsReversed => "channels in the order blue, green, red",
            Self::RowsAndColumnsSwapped => "rows and columns of the images are swapped",
        }
    }

    pub(super) fn wrong(of_images: bool) -> &'static [Self] {
        use Features::*;
        if of_images { &[Reshaped, Interleaved, ChannelsReversed, RowsAndColumnsSwapped] } else { &[Reshaped] }
    }
}

/// Mistake in the onehot labels of probabilities − onehot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onehot {
    NotSubtracted,
    Added,
    /// The probabilities are missing instead.
    Alone,
}

/// The order in which the elements of `grad_W` or `grad_b` come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A (d,k) buffer read as (k,d).
    ReshapedFromColumns,
    /// A (k,d) buffer read as (d,k).
    ReshapedToColumns,
    /// Row c belongs to class `rows[c]`.
    Permuted(Vec<usize>),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mistake {
    Factor(Term, Factor),
    Probabilities(Probabilities),
    Labels(Labels),
    Features(Features),
    Onehot(Onehot),
    /// The weight of each example in the sum, relative to the others: 0 if it is left out.
    Weights(Vec<f64>),
    /// λ Σ |W| instead of λ Σ W².
    AbsoluteValues,
    /// λ ‖W‖ instead of λ Σ W² = λ ‖W‖².
    NotSquared,
    /// A penalty on W of a problem without one.
    Invented(f64),
    /// A penalty on the bias, with this factor: 1, or ½ for the gradient λ b.
    BiasPenalty(f64),
    /// θ − η · gradient instead of the gradient, with this η; θ itself if it is 0.
    Updated(f64),
    /// Each element of `grad_b` is the sum of all.
    BiasCollapsed,
    Order(Order),
    /// The logarithm to the base e^x.
    Logarithm(Base),
    PenaltyInLoss,
    /// With [`Layout::Cs231n`], where the penalty includes the bias.
    BiasUnpenalised,
}

/// A base of logarithms other than e.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Two,
    Ten,
}

impl Base {
    pub(super) fn ln(self) -> f64 {
        match self {
            Self::Two => std::f64::consts::LN_2,
            Self::Ten => std::f64::consts::LN_10,
        }
    }
}

impl Mistake {
    /// Ten for each step that goes wrong: of several explanations, the one with the smallest sum is named.
    pub(super) fn complexity(&self) -> usize {
        match self {
            Self::Factor(_, factor) => factor.complexity(),
            Self::Weights(_) => 20,
            _ => 10,
        }
    }

    /// The quantities that it changes, unless the numbers of the problem happen to hide it.
    pub(super) fn affects(&self, quantity: Quantity) -> bool {
        use Quantity::*;
        let affected: &[Quantity] = match self {
            Self::Factor(Term::Data, _) => &[Weight, Bias, Loss, Cost],
            Self::Factor(Term::Every, factor) if factor.is_a_learning_rate() => &[Weight, Bias],
            Self::Factor(Term::Every, _) => &[Weight, Bias, Loss, Cost],
            Self::Factor(Term::Penalty, _)
            | Self::AbsoluteValues
            | Self::NotSquared
            | Self::Invented(_)
            | Self::BiasUnpenalised => &[Weight, Cost],
            Self::Factor(Term::Bias, _) | Self::BiasCollapsed => &[Bias],
            Self::Probabilities(Probabilities::Exponentials | Probabilities::Logits) => &[Weight, Bias],
            Self::Probabilities(_) | Self::Labels(_) | Self::Features(_) | Self::Weights(_) => {
                &[Weight, Bias, Loss, Cost]
            }
            Self::Onehot(_) | Self::Updated(_) => &[Weight, Bias],
            Self::BiasPenalty(_) => &[Bias, Cost],
            Self::Order(Order::Permuted(_)) => &[Weight, Bias],
            Self::Order(_) => &[Weight],
            Self::Logarithm(_) => &[Loss, Cost],
            Self::PenaltyInLoss => &[Loss],
        };
        affected.contains(&quantity)
    }

    /// True if only one of the two can have been made.
    pub(super) fn overrides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Factor(a, f), Self::Factor(b, g)) => a == b || f.value == 0.0 || g.value == 0.0,
            (Self::NotSquared, Self::AbsoluteValues | Self::BiasUnpenalised)
            | (Self::AbsoluteValues | Self::BiasUnpenalised, Self::NotSquared) => true,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// True if only a larger λ makes it visible.
    pub(super) fn is_of_the_penalty(&self) -> bool {
        matches!(
            self,
            Self::Factor(Term::Penalty, _)
                | Self::AbsoluteValues
                | Self::NotSquared
                | Self::BiasPenalty(_)
                | Self::PenaltyInLoss
                | Self::BiasUnpenalised
        )
    }

    /// The mistake in words.
    pub(super) fn name(&self, exercise: &Exercise) -> String {
        let text = match self {
            Self::Factor(term, factor) => return factor.name(*term, exercise),
            Self::Probabilities(kind) => kind.name(exercise.loss() == Loss::Softmax),
            Self::Labels(kind) => kind.name(exercise.dims().classes),
            Self::Features(kind) => kind.name(),
            Self::Onehot(Onehot::NotSubtracted) => "the onehot labels are not subtracted from the probabilities",
            Self::Onehot(Onehot::Added) => "the onehot labels are added to the probabilities",
            Self::Onehot(Onehot::Alone) => "the probabilities are missing: only the onehot labels are used",
            Self::Weights(weights) => return weights_in_words(weights),
            Self::AbsoluteValues => "penalty λ Σ |W| instead of λ Σ W²",
            Self::NotSquared => "penalty λ ‖W‖ instead of λ ‖W‖²",
            Self::Invented(lambda) => {
                return format!("a penalty with λ = {}, but the problem has none", super::factor::number(*lambda));
            }
            Self::BiasPenalty(0.5) => "penalty on the bias: λ/2 Σ b² or its gradient λ b is added",
            Self::BiasPenalty(_) => "penalty on the bias: λ Σ b² or its gradient 2λ b is added",
            Self::Updated(0.0) => "the parameters themselves, not their gradient",
            Self::Updated(eta) => {
                let eta = super::factor::number(*eta);
                return format!("the parameters after an update with learning rate {eta}, not their gradient");
            }
            Self::BiasCollapsed => "grad_b is a single number, the sum over all examples and classes",
            Self::Order(Order::Permuted(rows)) => return format!("permuted classes: its rows are {rows:?}"),
            Self::Order(_) if exercise.dims().features == exercise.dims().classes => {
                "transposed: its rows are the columns of W"
            }
            Self::Order(_) => "reshaped instead of transposed: right numbers, wrong order",
            Self::Logarithm(Base::Two) => "logarithm to base 2: the loss must be in nats",
            Self::Logarithm(Base::Ten) => "logarithm to base 10: the loss must be in nats",
            Self::PenaltyInLoss => "the loss includes the penalty",
            Self::BiasUnpenalised => "the last row of W, the bias, has no penalty",
        };
        text.into()
    }

    /// The correction.
    pub(super) fn fix(&self, exercise: &Exercise) -> String {
        let softmax = exercise.loss() == Loss::Softmax;
        let text = match self {
            Self::Factor(term, factor) => return factor.fix(*term, exercise),
            Self::Probabilities(Probabilities::OverExamples) if softmax => {
                "the k probabilities of each example must add up to 1"
            }
            Self::Probabilities(Probabilities::WithoutBias) => "add the bias to the logits",
            Self::Probabilities(_) if softmax => "use softmax(logits): the k probabilities of each example add up to 1",
            Self::Probabilities(_) => "use sigmoid(logits), for each class by itself",
            Self::Labels(Labels::Higher) => "the classes in y are counted from 0: do not add 1",
            Self::Labels(_) => "the classes in y are counted from 0: do not subtract 1",
            Self::Features(Features::Reshaped) => "transpose x (.T in NumPy, .' in Octave) instead of reshaping it",
            Self::Features(_) => "use x as it is: the red plane, the green one, the blue one, each row by row",
            Self::Onehot(_) => "use probabilities − onehot",
            Self::Weights(_) => "add up all examples of the batch, each once",
            Self::AbsoluteValues | Self::NotSquared => "the penalty is λ Σ W²; its gradient is 2λ W",
            Self::Invented(_) => "use the problem's lambda",
            Self::BiasPenalty(_) => "penalise only W",
            Self::Updated(_) => "return the gradient itself, before any update",
            Self::BiasCollapsed => "sum over the examples only (axis=0 if they are rows), for each class by itself",
            Self::Order(Order::Permuted(_)) => "row c must belong to class c, in the order of W and of the labels",
            Self::Order(_) => "transpose (.T in NumPy, .' in Octave) instead of reshaping",
            Self::Logarithm(_) => "use the natural logarithm",
            Self::PenaltyInLoss => "loss is the mean loss; only cost includes the penalty",
            Self::BiasUnpenalised => "penalise all of W, also its last row",
        };
        text.into()
    }
}

/// Which examples count too little or too much, compared with most of those that count.
fn weights_in_words(weights: &[f64]) -> String {
    let mut sorted: Vec<f64> = weights.iter().copied().filter(|w| *w != 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let common = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0);
    let with = |wanted: &dyn Fn(f64) -> bool| -> Vec<usize> {
        (0..weights.len()).filter(|&i| wanted(weights[i] / common)).collect()
    };
    let (left_out, counted) = (with(&|w| w == 0.0), with(&|w| (w - 1.0).abs() < 1e-6));
    let examples = |indices: &[usize], one: &str, several: &str| match indices {
        [index] => format!("example {index} {one}"),
        _ => format!("examples {} {several}", ranges(indices)),
    };
    if counted.len() <= left_out.len() && counted.len() + left_out.len() == weights.len() {
        return format!("parts of the batch: only {}", examples(&counted, "counts", "count"));
    }
    let mut parts = Vec::new();
    if !left_out.is_empty() {
        parts.push(examples(&left_out, "is left out", "are left out"));
    }
    for i in with(&|w| w != 0.0 && (w - 1.0).abs() >= 1e-6) {
        parts.push(format!("example {i} counts {} times", super::factor::number(weights[i] / common)));
    }
    format!("parts of the batch: {}", parts.join(", "))
}

/// `0–3, 7` for sorted indices.
pub(super) fn ranges(indices: &[usize]) -> String {
    let runs = indices.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [first, second] => format!("{first}, {second}"),
        _ => format!("{}–{}", run[0], run[run.len() - 1]),
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// The mistakes for which an exercise must be able to tell that they were not made, likelier ones first.
pub(super) fn known(exercise: &Exercise) -> Vec<Mistake> {
    use super::factor::Step::*;
    let factor = |term, step| Mistake::Factor(term, Factor::of(step, exercise));
    let mut known = vec![
        factor(Term::Data, TimesExamples),
        factor(Term::Every, TimesExamples),
        factor(Term::Data, OverExamples),
        factor(Term::Every, OverExamples),
        factor(Term::Penalty, OverExamples),
        factor(Term::Penalty, TimesExamples),
        factor(Term::Data, if exercise.loss() == Loss::Bce { TimesClasses } else { OverClasses }),
        factor(Term::Penalty, Half),
        factor(Term::Penalty, Twice),
        Mistake::Factor(Term::Penalty, Factor::ZERO),
        factor(Term::Penalty, Sign),
        factor(Term::Every, Sign),
        factor(Term::Data, Sign),
        Mistake::Factor(Term::Data, Factor::ZERO),
        Mistake::Factor(Term::Every, Factor::ZERO),
        Mistake::Onehot(Onehot::NotSubtracted),
        Mistake::AbsoluteValues,
        Mistake::NotSquared,
        Mistake::PenaltyInLoss,
        Mistake::Logarithm(Base::Two),
        Mistake::Logarithm(Base::Ten),
    ];
    let Dims { features: d, classes: k } = exercise.dims();
    if d > 1 && k > 1 {
        known.push(Mistake::Order(Order::ReshapedFromColumns));
        if d != k {
            known.push(Mistake::Order(Order::ReshapedToColumns));
        }
    }
    if k == 1 {
        // A factor of the number of classes is none.
        let is_of_classes =
            |m: &Mistake| matches!(m, Mistake::Factor(_, factor) if factor.value == 1.0 && exercise.examples() > 1);
        known.retain(|m| !is_of_classes(m));
    }
    known.extend(Probabilities::all(exercise).skip(1).map(Mistake::Probabilities));
    let labels = Labels::all(exercise.dims().classes).iter();
    known.extend(labels.filter(|l| **l != Labels::Right).map(|&l| Mistake::Labels(l)));
    if exercise.layout() == Layout::Cs231n {
        known.push(Mistake::BiasUnpenalised);
    } else {
        known.push(Mistake::BiasPenalty(1.0));
        known.push(Mistake::BiasCollapsed);
    }
    known
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::factor::Step;
    use super::*;
    use crate::gradcheck::Problem;

    fn exercise(loss: Loss, features: usize, classes: usize, layout: Layout) -> Exercise {
        let problem = Problem::random(Dims { features, classes }, 7, 1).with_loss(loss);
        Exercise::of(&problem, 0.1, layout).unwrap()
    }

    /// Everything that can be named in `exercise` besides a factor.
    fn all(exercise: &Exercise) -> Vec<Mistake> {
        let mut all = known(exercise);
        all.extend(Features::wrong(true).iter().map(|&features| Mistake::Features(features)));
        all.extend([Onehot::Added, Onehot::Alone].map(Mistake::Onehot));
        all.extend([Mistake::BiasPenalty(0.5), Mistake::Updated(0.0), Mistake::Updated(0.03), Mistake::Invented(0.2)]);
        all
    }

    #[test]
    fn no_two_mistakes_have_the_same_name_and_every_one_says_how_to_mend_it() {
        for (loss, layout) in [(Loss::Softmax, Layout::Rows), (Loss::Bce, Layout::Cs231n)] {
            let exercise = exercise(loss, 12, 4, layout);
            // Two orders of a matrix are one mistake in words.
            let is_order = |mistake: &&Mistake| matches!(mistake, Mistake::Order(_));
            let all: Vec<_> = all(&exercise);
            let named: Vec<_> = all.iter().filter(|mistake| !is_order(mistake)).collect();
            let names: BTreeSet<_> = named.iter().map(|mistake| mistake.name(&exercise)).collect();
            assert_eq!(names.len(), named.len(), "{names:?}");
            let fixes: BTreeSet<_> = all.iter().map(|mistake| mistake.fix(&exercise)).collect();
            assert!(fixes.len() > 12 && !fixes.contains(""), "{fixes:?}");
        }
    }

    #[test]
    fn a_wrong_probability_is_named_after_the_right_one() {
        let words = |loss, kind| {
            let exercise = exercise(loss, 12, 4, Layout::Rows);
            let mistake = Mistake::Probabilities(kind);
            (mistake.name(&exercise), mistake.fix(&exercise))
        };
        for (kind, of_softmax, of_sigmoids) in [
            (Probabilities::OverExamples, "instead of the classes", "instead of sigmoids"),
            (Probabilities::OfTheOtherLoss, "instead of a softmax", "instead of sigmoids"),
            (Probabilities::Logits, "the softmax is missing", "the sigmoid is missing"),
        ] {
            let (name, fix) = words(Loss::Softmax, kind);
            assert!(
                name.ends_with(of_softmax) && fix.contains("add up to 1") && !fix.contains("sigmoid"),
                "{name}: {fix}"
            );
            let (name, fix) = words(Loss::Bce, kind);
            assert!(name.ends_with(of_sigmoids) && fix.starts_with("use sigmoid(logits)"), "{name}: {fix}");
        }
        let [over_examples, other] = [Probabilities::OverExamples, Probabilities::OfTheOtherLoss]
            .map(|kind| words(Loss::Softmax, kind).1.starts_with("use softmax(logits)"));
        assert_eq!([over_examples, other], [false, true], "only one of them uses no softmax");
    }

    #[test]
    fn labels_can_be_off_by_one_in_as_many_ways_as_there_are_other_classes_up_to_two() {
        for classes in 1..6 {
            let shifts = |labels: &Labels| match labels {
                Labels::Right => 0,
                Labels::Lower => classes - 1,
                Labels::Higher => 1 % classes,
            };
            let distinct: BTreeSet<_> = Labels::all(classes).iter().map(shifts).collect();
            assert_eq!((distinct.len(), Labels::all(classes).len()), (classes.min(3), classes.min(3)));
        }
        let name = |classes| Mistake::Labels(Labels::Lower).name(&exercise(Loss::Softmax, 12, classes, Layout::Rows));
        assert!(name(2).ends_with("the other class") && name(3).ends_with("the next lower class"));
    }

    #[test]
    fn a_matrix_in_the_wrong_order_is_transposed_if_it_is_square() {
        let name = |features, classes| {
            let exercise = exercise(Loss::Softmax, features, classes, Layout::Rows);
            Mistake::Order(Order::ReshapedFromColumns).name(&exercise)
        };
        assert!(name(4, 4).starts_with("transposed:") && name(12, 4).starts_with("reshaped instead of transposed:"));
    }

    #[test]
    fn two_mistakes_in_the_same_place_exclude_each_other() {
        let exercise = exercise(Loss::Softmax, 12, 4, Layout::Cs231n);
        let factor = |term, step| Mistake::Factor(term, Factor::of(step, &exercise));
        let zero = |term| Mistake::Factor(term, Factor::ZERO);
        let pairs = |excluded: bool, pairs: &[(Mistake, Mistake)]| {
            for (a, b) in pairs {
                assert_eq!((a.overrides(b), b.overrides(a)), (excluded, excluded), "{a:?} {b:?}");
            }
        };
        let bias = || Mistake::BiasUnpenalised;
        pairs(
            true,
            &[
                (factor(Term::Data, Step::Half), factor(Term::Data, Step::Twice)),
                // Nothing is left of the other factor.
                (zero(Term::Every), factor(Term::Data, Step::Half)),
                (Mistake::NotSquared, Mistake::AbsoluteValues),
                (Mistake::NotSquared, bias()),
                (Mistake::Labels(Labels::Lower), Mistake::Labels(Labels::Higher)),
            ],
        );
        pairs(
            false,
            &[
                (factor(Term::Data, Step::Half), factor(Term::Penalty, Step::Twice)),
                (Mistake::AbsoluteValues, bias()),
                (Mistake::Labels(Labels::Lower), Mistake::PenaltyInLoss),
            ],
        );
    }

    #[test]
    fn a_learning_rate_is_in_the_gradients_alone() {
        let exercise = exercise(Loss::Softmax, 12, 4, Layout::Rows);
        let affected = |step| {
            let mistake = Mistake::Factor(Term::Every, Factor::of(step, &exercise));
            Quantity::ALL.map(|quantity| mistake.affects(quantity))
        };
        assert_eq!(affected(Step::LearningRate(2)), [true, true, false, false]);
        assert_eq!(affected(Step::Half), [true; 4]);
    }

    /// Enough weights explain any gradient.
    #[test]
    fn a_weight_for_each_example_is_a_less_likely_explanation_than_one_mistake() {
        assert!(Mistake::Weights(vec![1.0, 2.0]).complexity() > Mistake::Labels(Labels::Lower).complexity());
    }

    #[test]
    fn weights_are_relative_to_those_of_most_examples() {
        for (weights, words) in [
            (&[0.5, 1.0, 0.5, 0.5][..], "parts of the batch: example 1 counts 2 times"),
            (&[0.5, 0.0, 0.25, 0.5], "parts of the batch: example 1 is left out, example 2 counts 0.5 times"),
            (&[0.0, 0.0, 0.0, 2.0], "parts of the batch: only example 3 counts"),
            (&[3.0, 3.0, 0.0, 0.0, 0.0], "parts of the batch: only examples 0, 1 count"),
            (&[3.0, 3.0, 3.0, 0.0, 0.0], "parts of the batch: examples 3, 4 are left out"),
        ] {
            assert_eq!(weights_in_words(weights), words);
        }
        assert_eq!(ranges(&[0, 1, 2, 3, 7, 9, 10]), "0–3, 7, 9, 10");
    }

    #[test]
    fn the_logarithms_have_their_bases() {
        assert!((Base::Two.ln().exp() - 2.0).abs() < 1e-15 && (Base::Ten.ln().exp() - 10.0).abs() < 1e-14);
    }

    #[test]
    fn what_cannot_be_seen_in_a_problem_is_not_expected_to_be() {
        let orders = |features, classes| {
            let exercise = exercise(Loss::Softmax, features, classes, Layout::Rows);
            known(&exercise).into_iter().filter(|mistake| matches!(mistake, Mistake::Order(_))).count()
        };
        // A square matrix is the same in both orders, and one with a single row or column in any.
        assert_eq!([(12, 4), (4, 4), (1, 4), (12, 1)].map(|(d, k)| orders(d, k)), [2, 1, 0, 0]);
        for (classes, is_seen) in [(4, true), (1, false)] {
            let exercise = exercise(Loss::Bce, 12, classes, Layout::Rows);
            let times_classes = Mistake::Factor(Term::Data, Factor::of(Step::TimesClasses, &exercise));
            let known = known(&exercise);
            assert_eq!(known.contains(&times_classes), is_seen, "{classes}");
            assert!(known.contains(&Mistake::NotSquared));
        }
    }
}
