//! The factors by which a term can be too large, as products of the factors that have a reason.

use super::Exercise;
use crate::hyperparameters::Loss;
use crate::statistics::count;

/// A factor with a reason: a step that was forgotten, or done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Sign,
    TimesExamples,
    OverExamples,
    TimesClasses,
    OverClasses,
    Twice,
    Half,
    OverExamplesLessOne,
    OverFeatures,
    /// Only of every term: a learning rate of 10^−x.
    LearningRate(i32),
    /// Only of a penalty: λ is left out.
    WithoutLambda,
    /// Only of a penalty: λ².
    LambdaTwice,
}

impl Step {
    /// The steps that can go wrong in every term.
    const ALL: [Self; 7] = [
        Self::Sign,
        Self::TimesExamples,
        Self::OverExamples,
        Self::TimesClasses,
        Self::OverClasses,
        Self::Twice,
        Self::Half,
    ];
    const OF_DATA_ALONE: [Self; 2] = [Self::OverExamplesLessOne, Self::OverFeatures];
    const OF_PENALTY_ALONE: [Self; 2] = [Self::WithoutLambda, Self::LambdaTwice];
    const OF_EVERY_TERM_ALONE: [Self; 4] =
        [Self::LearningRate(1), Self::LearningRate(2), Self::LearningRate(3), Self::LearningRate(4)];

    fn value(self, exercise: &Exercise) -> f64 {
        let (n, k) = (exercise.examples() as f64, exercise.dims().classes as f64);
        match self {
            Self::Sign => -1.0,
            Self::TimesExamples => n,
            Self::OverExamples => 1.0 / n,
            Self::TimesClasses => k,
            Self::OverClasses => 1.0 / k,
            Self::Twice => 2.0,
            Self::Half => 0.5,
            Self::OverExamplesLessOne => n / (n - 1.0),
            Self::OverFeatures => 1.0 / exercise.dims().features as f64,
            Self::LearningRate(x) => 10_f64.powi(-x),
            Self::WithoutLambda => 1.0 / exercise.lambda(),
            Self::LambdaTwice => exercise.lambda(),
        }
    }

    /// True if the two cancel, or repeat a step.
    fn excludes(self, other: Self) -> bool {
        use Step::*;
        let group = |step| match step {
            Sign => 0,
            TimesExamples | OverExamples | OverExamplesLessOne => 1,
            TimesClasses | OverClasses => 2,
            Twice | Half => 3,
            OverFeatures => 5,
            LearningRate(_) => 6,
            WithoutLambda | LambdaTwice => 4,
        };
        group(self) == group(other)
    }
}

/// The terms of a gradient that have a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// The gradient of the mean loss.
    Data,
    /// 2λ W.
    Penalty,
    /// The sum of both.
    Every,
    /// All of `grad_b`.
    Bias,
}

/// A factor other than 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factor {
    pub(super) value: f64,
    /// The reasons; none if the factor is 0 or has no reason that this program knows.
    steps: [Option<Step>; 2],
}

impl Factor {
    /// The factor 0: the term is missing.
    pub(super) const ZERO: Self = Self { value: 0.0, steps: [None; 2] };

    /// The factor of a single step.
    pub(super) fn of(step: Step, exercise: &Exercise) -> Self {
        Self { value: step.value(exercise), steps: [Some(step), None] }
    }

    fn of_two(first: Step, second: Step, exercise: &Exercise) -> Self {
        Self { value: first.value(exercise) * second.value(exercise), steps: [Some(first), Some(second)] }
    }

    /// A factor without a known reason.
    pub(super) fn unknown(value: f64) -> Self {
        Self { value, steps: [None; 2] }
    }

    /// True if a loss, which has no update, cannot have it.
    pub(super) fn is_a_learning_rate(&self) -> bool {
        self.steps.iter().flatten().any(|step| matches!(step, Step::LearningRate(_)))
    }

    /// Ten for each of its reasons. A factor without a reason counts more than two reasons, and less than three.
    pub(super) fn complexity(&self) -> usize {
        match self.steps.iter().flatten().count() {
            0 if self.value == 0.0 => 10,
            0 => 25,
            steps => 10 * steps,
        }
    }

    /// All factors of at most two steps for `term`, without those that have no effect in this exercise.
    pub(super) fn all(term: Term, exercise: &Exercise) -> Vec<Self> {
        let alone: &[Step] = match term {
            Term::Penalty => &Step::OF_PENALTY_ALONE,
            Term::Every => &Step::OF_EVERY_TERM_ALONE,
            Term::Data => &Step::OF_DATA_ALONE,
            Term::Bias => &[],
        };
        let steps: Vec<Step> = alone.iter().chain(&Step::ALL).copied().collect();
        let effective = |step: &Step| {
            let value = step.value(exercise);
            value.is_finite() && value != 0.0 && value != 1.0
        };
        let steps: Vec<Step> = steps.into_iter().filter(effective).collect();
        let mut factors: Vec<Self> = steps.iter().map(|&step| Self::of(step, exercise)).collect();
        for (i, &first) in steps.iter().enumerate() {
            for &second in steps[i + 1..].iter().filter(|second| !first.excludes(**second)) {
                factors.push(Self::of_two(first, second, exercise));
            }
        }
        factors.retain(|factor| factor.value != 1.0);
        factors
    }

    /// Describes the factor of `term`.
    pub(super) fn name(&self, term: Term, exercise: &Exercise) -> String {
        let n = exercise.examples();
        if self.value == 0.0 {
            return match term {
                Term::Data => "only the penalty: the data term is missing".into(),
                Term::Penalty => "missing penalty".into(),
                Term::Every => "all zero: nothing was computed".into(),
                Term::Bias => "all zero".into(),
            };
        }
        let subject = match term {
            Term::Data => "data term",
            Term::Penalty => "penalty",
            Term::Every => "every term, also the penalty,",
            Term::Bias => "grad_b",
        };
        let times = format!("{subject} × {}", number(self.value));
        if self.steps == [None; 2] {
            return format!("{times}, a factor without a known reason");
        }
        let is_bce = exercise.loss() == Loss::Bce;
        let examples = count(exercise.examples(), "example");
        let reason = |step: &Step| match step {
            Step::Sign if term == Term::Penalty => "the penalty is subtracted".into(),
            Step::Sign => "wrong sign".into(),
            Step::TimesExamples if term == Term::Penalty => format!("summed over the {examples}"),
            Step::TimesExamples => format!("missing 1/n, the sum over the {examples} instead of their mean"),
            Step::OverExamples if term == Term::Penalty => "1/n on the penalty, which is not a mean".into(),
            Step::OverExamples => "1/n twice, the mean divided by n again".into(),
            Step::TimesClasses if is_bce => "missing 1/k, the sum over the classes instead of their mean".into(),
            Step::TimesClasses => "multiplied by the number of classes k".into(),
            Step::OverClasses if is_bce => "1/k twice, the mean divided by k again".into(),
            Step::OverClasses => "1/k, the mean taken over the classes too".into(),
            Step::Twice => "twice as large as it should be".into(),
            Step::Half if term == Term::Penalty => {
                "λ instead of 2λ in the gradient, λ/2 instead of λ in the cost".into()
            }
            Step::Half => "half as large as it should be".into(),
            Step::OverExamplesLessOne => format!("divided by n − 1 = {} instead of n", n - 1),
            Step::OverFeatures => "1/d, the mean taken over the features too".into(),
            Step::LearningRate(_) => "multiplied by a learning rate".into(),
            Step::WithoutLambda => "λ is left out".into(),
            Step::LambdaTwice => "λ² instead of λ".into(),
        };
        let reasons: Vec<String> = self.steps.iter().flatten().map(reason).collect();
        format!("{times}: {}", reasons.join("; "))
    }

    /// The correction of `term`.
    pub(super) fn fix(&self, term: Term, exercise: &Exercise) -> String {
        const PENALTY: &str = "add λ Σ W² to the cost and 2λ W to its gradient, with no other factor";
        let divisor = if exercise.loss() == Loss::Bce { "(k n)" } else { "n" };
        match (term, self.steps) {
            (Term::Data, _) if self.value == 0.0 => "add the mean loss and its gradient".into(),
            (Term::Every | Term::Bias, _) if self.value == 0.0 => {
                "save the computed arrays, not freshly initialised ones".into()
            }
            (Term::Penalty, _) => PENALTY.into(),
            (Term::Data, [Some(Step::Sign), None]) => "the loss is −ln p, its gradient probabilities − onehot".into(),
            (Term::Every | Term::Bias, [Some(Step::Sign), None]) => {
                "return the gradient itself; only the update subtracts it".into()
            }
            (Term::Data | Term::Bias, _) => format!("data term: (probabilities − onehot) / {divisor}"),
            (Term::Every, [Some(Step::LearningRate(_)), None]) => {
                "return the gradient itself; only the update has a learning rate".into()
            }
            (Term::Every, _) => format!("divide the data term by {divisor}, once, and the penalty not at all"),
        }
    }
}

/// A factor with four significant digits, or more if it is nearly 1, without needless zeros.
pub(super) fn number(value: f64) -> String {
    let significant = if (value.abs() - 1.0).abs() < 1e-3 { 7 } else { 3 };
    let digits = significant - value.abs().log10().floor() as i32;
    if !(-4..=8).contains(&digits) {
        return format!("{value:.3e}");
    }
    let scale = 10_f64.powi(digits);
    format!("{}", (value * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::super::Layout;
    use super::*;
    use crate::gradcheck::Problem;
    use crate::shape::Dims;

    /// n examples of 13 features.
    fn of(examples: usize, classes: usize, lambda: f64, loss: Loss) -> Exercise {
        let problem = Problem::random(Dims { features: 13, classes }, examples, 5).with_loss(loss);
        Exercise::of(&problem, lambda, Layout::Rows).unwrap()
    }

    fn exercise() -> Exercise {
        of(7, 4, 0.3, Loss::Softmax)
    }

    #[test]
    fn each_step_has_its_factor() {
        let exercise = exercise();
        for (step, value) in [
            (Step::Sign, -1.0),
            (Step::TimesExamples, 7.0),
            (Step::OverExamples, 0.142_857_142_857_142_85),
            (Step::TimesClasses, 4.0),
            (Step::OverClasses, 0.25),
            (Step::Twice, 2.0),
            (Step::Half, 0.5),
            (Step::OverExamplesLessOne, 1.166_666_666_666_666_7),
            (Step::OverFeatures, 0.076_923_076_923_076_93),
            (Step::LearningRate(1), 0.1),
            (Step::LearningRate(4), 0.0001),
            (Step::WithoutLambda, 3.333_333_333_333_333_5),
            (Step::LambdaTwice, 0.3),
        ] {
            let factor = Factor::of(step, &exercise);
            assert!((factor.value - value).abs() < 1e-15, "{step:?} {}", factor.value);
            assert_eq!(factor.is_a_learning_rate(), matches!(step, Step::LearningRate(_)));
        }
    }

    #[test]
    fn a_term_has_every_step_and_every_two_that_do_not_undo_or_repeat_each_other() {
        let count = |term, exercise: &Exercise| {
            let all = Factor::all(term, exercise);
            for (i, factor) in all.iter().enumerate() {
                let product: f64 = factor.steps.iter().flatten().map(|step| step.value(exercise)).product();
                assert_eq!(factor.value, product, "{factor:?}");
                assert!(product.is_finite() && product != 0.0 && product != 1.0, "{factor:?}");
                let turned = Factor { steps: [factor.steps[1], factor.steps[0]], ..*factor };
                assert!(!all[i + 1..].contains(factor) && !all.contains(&turned), "{factor:?}");
            }
            all.len()
        };
        let counts = |exercise: &Exercise| {
            [Term::Data, Term::Penalty, Term::Every, Term::Bias].map(|term| count(term, exercise))
        };
        // Of the 7 steps of every term, 3 pairs undo each other: 7 + 21 − 3 factors. The data term has 9 steps and 5 such
        // pairs, the penalty 9 and 4, every term 11 and 9, 6 of them of learning rates.
        assert_eq!(counts(&exercise()), [40, 41, 57, 25]);
        // Without a penalty, λ is in no factor.
        assert_eq!(counts(&of(7, 4, 0.0, Loss::Softmax)), [40, 25, 57, 25]);
        // λ = 1 changes nothing.
        assert_eq!(counts(&of(7, 4, 1.0, Loss::Softmax)), [40, 25, 57, 25]);
        // The sum of one example is its mean, and n − 1 is 0.
        assert_eq!(counts(&of(1, 4, 0.3, Loss::Softmax))[0], 6 + 15 - 2);
        // Two times a half of two classes is 1.
        assert_eq!(counts(&of(7, 2, 0.3, Loss::Softmax)), [38, 39, 55, 23]);
    }

    #[test]
    fn a_factor_without_a_reason_is_less_likely_than_two_steps() {
        let exercise = exercise();
        let two = Factor::of_two(Step::Sign, Step::Twice, &exercise);
        assert_eq!((two.value, two.complexity()), (-2.0, 20));
        assert_eq!(Factor::of(Step::Sign, &exercise).complexity(), 10);
        assert_eq!(Factor::ZERO.complexity(), 10);
        assert_eq!(Factor::unknown(-2.0).complexity(), 25);
        assert!(!Factor::unknown(0.1).is_a_learning_rate());
        assert!(Factor::of_two(Step::LearningRate(1), Step::Sign, &exercise).is_a_learning_rate());
    }

    #[test]
    fn a_factor_is_named_by_its_term_its_value_and_its_reasons() {
        let exercise = exercise();
        let sigmoids = of(7, 4, 0.3, Loss::Bce);
        let one = |step| Factor::of(step, &exercise);
        for (term, factor, name) in [
            (Term::Data, Factor::ZERO, "only the penalty: the data term is missing"),
            (Term::Penalty, Factor::ZERO, "missing penalty"),
            (Term::Every, Factor::ZERO, "all zero: nothing was computed"),
            (Term::Bias, Factor::ZERO, "all zero"),
            (Term::Data, Factor::unknown(3.3), "data term × 3.3, a factor without a known reason"),
            (Term::Bias, Factor::unknown(3.3), "grad_b × 3.3, a factor without a known reason"),
            (Term::Data, one(Step::Sign), "data term × -1: wrong sign"),
            (Term::Penalty, one(Step::Sign), "penalty × -1: the penalty is subtracted"),
            (
                Term::Data,
                one(Step::TimesExamples),
                "data term × 7: missing 1/n, the sum over the 7 examples instead of their mean",
            ),
            (Term::Penalty, one(Step::TimesExamples), "penalty × 7: summed over the 7 examples"),
            (
                Term::Every,
                one(Step::OverExamples),
                "every term, also the penalty, × 0.1429: 1/n twice, the mean divided by n again",
            ),
            (Term::Penalty, one(Step::OverExamples), "penalty × 0.1429: 1/n on the penalty, which is not a mean"),
            (Term::Data, one(Step::TimesClasses), "data term × 4: multiplied by the number of classes k"),
            (Term::Data, one(Step::OverClasses), "data term × 0.25: 1/k, the mean taken over the classes too"),
            (Term::Penalty, one(Step::Twice), "penalty × 2: twice as large as it should be"),
            (Term::Bias, one(Step::Half), "grad_b × 0.5: half as large as it should be"),
            (
                Term::Penalty,
                one(Step::Half),
                "penalty × 0.5: λ instead of 2λ in the gradient, λ/2 instead of λ in the cost",
            ),
            (Term::Data, one(Step::OverExamplesLessOne), "data term × 1.167: divided by n − 1 = 6 instead of n"),
            (Term::Data, one(Step::OverFeatures), "data term × 0.07692: 1/d, the mean taken over the features too"),
            (
                Term::Every,
                one(Step::LearningRate(2)),
                "every term, also the penalty, × 0.01: multiplied by a learning rate",
            ),
            (Term::Penalty, one(Step::WithoutLambda), "penalty × 3.333: λ is left out"),
            (Term::Penalty, one(Step::LambdaTwice), "penalty × 0.3: λ² instead of λ"),
            (
                Term::Data,
                Factor::of_two(Step::Sign, Step::Twice, &exercise),
                "data term × -2: wrong sign; twice as large as it should be",
            ),
        ] {
            assert_eq!(factor.name(term, &exercise), name);
        }
        let of_sigmoids = |step| Factor::of(step, &sigmoids).name(Term::Data, &sigmoids);
        assert_eq!(
            of_sigmoids(Step::TimesClasses),
            "data term × 4: missing 1/k, the sum over the classes instead of their mean"
        );
        assert_eq!(of_sigmoids(Step::OverClasses), "data term × 0.25: 1/k twice, the mean divided by k again");
    }

    #[test]
    fn a_factor_is_mended_where_its_term_is_computed() {
        let penalty = "add λ Σ W² to the cost and 2λ W to its gradient, with no other factor";
        let zeros = "save the computed arrays, not freshly initialised ones";
        let sign = "return the gradient itself; only the update subtracts it";
        for (loss, divisor) in [(Loss::Softmax, "n"), (Loss::Bce, "(k n)")] {
            let exercise = of(7, 4, 0.3, loss);
            let one = |step| Factor::of(step, &exercise);
            let data = format!("data term: (probabilities − onehot) / {divisor}");
            let every = format!("divide the data term by {divisor}, once, and the penalty not at all");
            for (term, factor, fix) in [
                (Term::Data, Factor::ZERO, "add the mean loss and its gradient"),
                (Term::Every, Factor::ZERO, zeros),
                (Term::Bias, Factor::ZERO, zeros),
                (Term::Penalty, Factor::ZERO, penalty),
                (Term::Penalty, one(Step::Sign), penalty),
                (Term::Data, one(Step::Sign), "the loss is −ln p, its gradient probabilities − onehot"),
                (Term::Every, one(Step::Sign), sign),
                (Term::Bias, one(Step::Sign), sign),
                (Term::Data, one(Step::Twice), &data),
                (Term::Bias, one(Step::Twice), &data),
                (Term::Data, Factor::of_two(Step::Sign, Step::Twice, &exercise), &data),
                (Term::Every, one(Step::Twice), &every),
                (Term::Every, Factor::unknown(3.3), &every),
                (
                    Term::Every,
                    one(Step::LearningRate(1)),
                    "return the gradient itself; only the update has a learning rate",
                ),
            ] {
                assert_eq!(factor.fix(term, &exercise), fix, "{term:?} {factor:?}");
            }
        }
    }

    #[test]
    fn a_number_has_four_digits_and_eight_if_it_is_nearly_one() {
        for (value, text) in [
            (0.25, "0.25"),
            (-2.5, "-2.5"),
            (3.74159, "3.742"),
            (1.0001, "1.0001"),
            (-1.0001, "-1.0001"),
            (0.99990001, "0.99990001"),
            (1.00020003, "1.0002"),
            (1.0002003, "1.0002003"),
            (1.0011111, "1.001"),
            (0.99811111, "0.9981"),
            (12345.678, "12350"),
            (12_345_678.0, "12350000"),
            (1e7, "10000000"),
            (123_456_789.0, "1.235e8"),
            (1.2346e-5, "0.00001235"),
            (1.2346e-6, "1.235e-6"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
