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
