use super::super::Exercise;
use super::super::factor::Step;
use super::*;
use crate::gradcheck::Problem;
use crate::gradcheck::linear::largest;
use crate::shape::Dims;

/// 7 examples of 13 features and 4 classes: few products of these numbers are equal.
fn exercise() -> Exercise {
    of_classes(4, Layout::Rows)
}

fn of_classes(classes: usize, layout: Layout) -> Exercise {
    Exercise::of(&Problem::random(Dims { features: 13, classes }, 7, 5), 0.3, layout).unwrap()
}

fn factor(term: Term, step: Step, exercise: &Exercise) -> Mistake {
    Mistake::Factor(term, Factor::of(step, exercise))
}

fn zero(term: Term) -> Mistake {
    Mistake::Factor(term, Factor::ZERO)
}

/// The factor `value` of the data term, for two reasons.
fn of_two_steps(value: f64, parts: &Parts) -> Mistake {
    let is = |f: &&Factor| f.value == value && f.complexity() == 20;
    Mistake::Factor(Term::Data, *parts.factors(Term::Data).iter().find(is).unwrap())
}

/// How a quantity comes: with this difference in turn above and below, relative to the largest element, in `f32` or not.
struct As {
    noise: f64,
    is_f32: bool,
}

const EXACT: As = As { noise: 0.0, is_f32: false };

/// The explanations of the `quantity` that `mistakes` lead to.
fn found(
    exercise: &Exercise,
    quantity: Quantity,
    mistakes: &[Mistake],
    As { noise, is_f32 }: As,
    earlier: &[Vec<Explanation>],
) -> Vec<Explanation> {
    let parts = Parts::new(exercise);
    let right = parts.quantity(quantity, &[]);
    let mut values = parts.quantity(quantity, mistakes);
    let noise = noise * largest(&values);
    values.iter_mut().enumerate().for_each(|(i, v)| *v += if i % 2 == 0 { noise } else { -noise });
    explanations(&parts, Submitted { quantity, values: &values, right: &right, is_f32 }, earlier)
}

#[test]
fn each_mistake_alone_is_the_only_explanation_of_a_few_numbers() {
    use Quantity::{Bias, Cost, Loss};
    let exercise = exercise();
    let order = Mistake::Order(Order::Permuted(vec![2, 0, 3, 1]));
    let of = |term, step| factor(term, step, &exercise);
    for (quantity, mistake) in [
        (Bias, Mistake::BiasPenalty(1.0)),
        (Bias, Mistake::BiasPenalty(0.5)),
        (Bias, Mistake::Updated(0.0)),
        (Bias, Mistake::Labels(Labels::Lower)),
        (Bias, Mistake::Labels(Labels::Higher)),
        (Bias, Mistake::Onehot(Onehot::NotSubtracted)),
        (Bias, Mistake::Onehot(Onehot::Added)),
        (Bias, Mistake::Onehot(Onehot::Alone)),
        (Bias, Mistake::Probabilities(Probabilities::Logits)),
        (Bias, Mistake::Probabilities(Probabilities::OverExamples)),
        (Bias, order),
        (Bias, of(Term::Data, Step::TimesExamples)),
        (Loss, of(Term::Data, Step::TimesExamples)),
        (Loss, zero(Term::Every)),
        (Loss, Mistake::PenaltyInLoss),
        (Loss, Mistake::Logarithm(Base::Two)),
        (Loss, Mistake::Logarithm(Base::Ten)),
        (Loss, Mistake::Probabilities(Probabilities::WithoutBias)),
        (Cost, of(Term::Data, Step::TimesExamples)),
        (Cost, of(Term::Every, Step::TimesExamples)),
        (Cost, of(Term::Penalty, Step::OverExamples)),
        (Cost, of(Term::Penalty, Step::LambdaTwice)),
        (Loss, of(Term::Data, Step::OverFeatures)),
        (Cost, zero(Term::Data)),
        (Cost, zero(Term::Penalty)),
        (Cost, zero(Term::Every)),
        (Cost, Mistake::AbsoluteValues),
        (Cost, Mistake::NotSquared),
    ] {
        let mistakes = [mistake];
        assert_eq!(found(&exercise, quantity, &mistakes, EXACT, &[]), [mistakes.to_vec()], "{quantity:?}");
    }
    // The sum over the classes is 0 for a softmax, as if nothing were computed, but not for sigmoids.
    let problem = Problem::random(Dims { features: 13, classes: 4 }, 7, 5).with_loss(crate::hyperparameters::Loss::Bce);
    let sigmoids = Exercise::of(&problem, 0.3, Layout::Rows).unwrap();
    let alternatives = [Mistake::BiasCollapsed, zero(Term::Bias)].map(|mistake| vec![mistake]);
    for mistakes in &alternatives {
        assert_eq!(found(&sigmoids, Bias, mistakes, EXACT, &[]), std::slice::from_ref(mistakes));
        assert_eq!(found(&exercise, Bias, mistakes, EXACT, &[]), alternatives);
    }
    let with_bias = of_classes(4, Layout::Cs231n);
    let mistakes = [Mistake::BiasUnpenalised];
    assert_eq!(found(&with_bias, Cost, &mistakes, EXACT, &[]), [mistakes.to_vec()]);
}

#[test]
fn two_mistakes_are_found_if_they_are_one_step_each() {
    let exercise = exercise();
    let parts = Parts::new(&exercise);
    let half = factor(Term::Penalty, Step::Half, &exercise);
    // The penalty of the loss has the mistakes of a penalty.
    for pair in [
        (Quantity::Loss, [Mistake::PenaltyInLoss, half.clone()]),
        (Quantity::Bias, [Mistake::BiasPenalty(1.0), Mistake::Labels(Labels::Lower)]),
        (Quantity::Cost, [half, Mistake::Logarithm(Base::Two)]),
    ] {
        assert_eq!(found(&exercise, pair.0, &pair.1, EXACT, &[]), [pair.1.to_vec()]);
    }
    let three_steps = [of_two_steps(14.0, &parts), Mistake::BiasPenalty(1.0)];
    assert!(found(&exercise, Quantity::Bias, &three_steps, EXACT, &[]).is_empty());
    // 1 / (n − 1) is (n / (n − 1)) / n, but nobody divides by both.
    let twice = [Step::OverExamplesLessOne, Step::OverExamples].map(|step| factor(Term::Data, step, &exercise));
    assert!(found(&exercise, Quantity::Bias, &twice, EXACT, &[]).is_empty());
}

#[test]
fn a_single_number_must_be_more_exact_than_several() {
    use Quantity::{Bias, Loss};
    let (of_four, of_two) = (exercise(), of_classes(2, Layout::Rows));
    let base = [Mistake::Logarithm(Base::Two)];
    let lower = [Mistake::Labels(Labels::Lower)];
    // The biases of two classes are one number with two signs.
    for (exercise, quantity, mistakes, noise, is_f32, is_found) in [
        (&of_four, Loss, &base, 1e-10, false, true),
        (&of_four, Loss, &base, 3e-6, false, false),
        (&of_four, Loss, &base, 3e-6, true, true),
        (&of_four, Loss, &base, 3e-5, true, false),
        (&of_four, Bias, &lower, 3e-6, false, true),
        (&of_four, Bias, &lower, 3e-6, true, true),
        (&of_four, Bias, &lower, 3e-5, true, false),
        (&of_two, Bias, &lower, 1e-10, false, true),
        (&of_two, Bias, &lower, 3e-6, false, false),
        (&of_two, Bias, &lower, 3e-6, true, true),
    ] {
        let found = found(exercise, quantity, mistakes, As { noise, is_f32 }, &[]);
        let expected = if is_found { vec![mistakes.to_vec()] } else { vec![] };
        assert_eq!(found, expected, "{} {quantity:?} {noise} {is_f32}", exercise.describe());
    }
    // Two mistakes must be ten times as exact as one, and of a single number they must be exact.
    let pair = [Mistake::BiasPenalty(1.0), Mistake::Labels(Labels::Lower)];
    for (exercise, noise, is_found) in
        [(&of_four, 5e-7, true), (&of_four, 3e-6, false), (&of_two, 1e-10, true), (&of_two, 5e-7, false)]
    {
        let found = found(exercise, Bias, &pair, As { noise, is_f32: true }, &[]);
        assert_eq!(found.contains(&pair.to_vec()), is_found, "{} {noise} {found:?}", exercise.describe());
    }
}

#[test]
fn the_mistakes_of_earlier_quantities_come_first() {
    use Quantity::{Bias, Cost, Loss};
    let exercise = exercise();
    let parts = Parts::new(&exercise);
    let sum = factor(Term::Data, Step::TimesExamples, &exercise);
    let lower = Mistake::Labels(Labels::Lower);
    let (missing, base) = (zero(Term::Penalty), Mistake::Logarithm(Base::Two));
    let two_steps = of_two_steps(2.0, &parts);
    let rounded = || As { noise: 3e-6, is_f32: false };
    let of_weight = vec![vec![sum.clone(), lower.clone(), missing.clone()]];
    let earlier = std::slice::from_ref(&of_weight);
    // Only those that matter are named: no penalty is in the gradient of the bias.
    let both = vec![sum.clone(), lower.clone()];
    assert_eq!(found(&exercise, Bias, &of_weight[0], EXACT, earlier), std::slice::from_ref(&both));
    assert_eq!(found(&exercise, Cost, &of_weight[0], EXACT, earlier), of_weight);
    // What is known already needs not be exact.
    assert_eq!(found(&exercise, Cost, &of_weight[0], rounded(), earlier), of_weight);
    assert!(found(&exercise, Cost, &of_weight[0], rounded(), &[]).is_empty());
    // One of them may be all.
    assert_eq!(found(&exercise, Cost, &both[..1], EXACT, earlier), [both[..1].to_vec()]);
    // One more may join them.
    let with_base = [&both[..], std::slice::from_ref(&base)].concat();
    assert_eq!(found(&exercise, Loss, &with_base, EXACT, &[vec![both.clone()]]), [with_base]);
    // Two quantities with the same mistakes in another order, or with none that is known.
    let turned = vec![both[1].clone(), both[0].clone()];
    let all = [vec![both.clone()], vec![], vec![turned]];
    assert_eq!(found(&exercise, Loss, &both, EXACT, &all), std::slice::from_ref(&both));
    // Of two explanations, the one that explains this quantity too.
    let either = [vec![vec![sum.clone()], vec![lower.clone()]]];
    assert_eq!(found(&exercise, Loss, &both[1..], EXACT, &either), [vec![lower]]);
    // A mistake that was made already is likelier than a simpler one.
    let twice = factor(Term::Data, Step::Twice, &exercise);
    let doubled = std::slice::from_ref(&twice);
    assert_eq!(found(&exercise, Bias, doubled, EXACT, &[]), [doubled.to_vec()]);
    assert_eq!(found(&exercise, Bias, doubled, EXACT, &[vec![vec![two_steps.clone()]]]), [vec![two_steps]]);
}

#[test]
fn explanations_are_combined_one_of_each_quantity() {
    let [a, b, c] = [Mistake::PenaltyInLoss, Mistake::BiasCollapsed, Mistake::NotSquared];
    let of = |mistakes: &[&Mistake]| -> Explanation { mistakes.iter().map(|&m| m.clone()).collect() };
    let all = |_: &Mistake| true;
    assert_eq!(together(&[], all), [of(&[])]);
    assert_eq!(together(&[vec![], vec![of(&[&a, &b])], vec![]], all), [of(&[&a, &b])]);
    let two = [vec![of(&[&a]), of(&[&b])], vec![of(&[&b, &c]), of(&[&c])]];
    assert_eq!(together(&two, all), [of(&[&a, &b, &c]), of(&[&a, &c]), of(&[&b, &c]), of(&[&b, &c])]);
    let without_b = |m: &Mistake| *m != Mistake::BiasCollapsed;
    assert_eq!(together(&two, without_b), [of(&[&a, &c]), of(&[&a, &c]), of(&[&c]), of(&[&c])]);
    let many: Vec<Vec<Explanation>> = (0..5).map(|_| vec![of(&[&a]), of(&[&b])]).collect();
    assert_eq!(together(&many, all).len(), MAX_COMBINATIONS);
}

#[test]
fn a_pool_has_each_mistake_once() {
    let exercise = exercise();
    let parts = Parts::new(&exercise);
    for quantity in [Quantity::Bias, Quantity::Loss, Quantity::Cost] {
        let right = parts.quantity(quantity, &[]);
        let pool = pool(&parts, Submitted { quantity, values: &right, right: &right, is_f32: false });
        for (i, mistake) in pool.iter().enumerate() {
            assert!(!pool[i + 1..].contains(mistake), "{quantity:?} {mistake:?}");
        }
        // The right order is no mistake, and no more so are right probabilities and labels.
        let is_none = |m: &Mistake| {
            matches!(
                m,
                Mistake::Order(_)
                    | Mistake::Labels(Labels::Right)
                    | Mistake::Probabilities(Probabilities::Right)
                    | Mistake::BiasUnpenalised
            )
        };
        assert!(pool.len() > 50 && !pool.iter().any(is_none), "{quantity:?}");
    }
}
