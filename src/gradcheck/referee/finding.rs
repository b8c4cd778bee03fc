//! Submissions and findings: quantities, tolerance, verdicts, diagnoses.

use super::Remainder;
use crate::gradcheck::{Comparison, Derivatives, EPS, TOLERANCE};

/// A quantity that can be submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The gradient of the cost with respect to `weight`.
    Weight,
    /// The gradient of the cost with respect to `bias`.
    Bias,
    /// The mean loss.
    Loss,
    /// loss + λ · Σ weight².
    Cost,
}

impl Quantity {
    /// All quantities, in the order in which they are reported.
    pub const ALL: [Quantity; 4] = [Quantity::Weight, Quantity::Bias, Quantity::Loss, Quantity::Cost];

    /// Name of the array in a submission.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Weight => "grad_W",
            Quantity::Bias => "grad_b",
            Quantity::Loss => "loss",
            Quantity::Cost => "cost",
        }
    }

    /// Its elements, row-major: (k,d), (k) or a single number.
    pub fn of(self, derivatives: &Derivatives) -> &[f64] {
        match self {
            Quantity::Weight => &derivatives.dweight,
            Quantity::Bias => &derivatives.dbias,
            Quantity::Loss => std::slice::from_ref(&derivatives.loss),
            Quantity::Cost => std::slice::from_ref(&derivatives.cost),
        }
    }
}

/// A quantity that was computed elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The quantity.
    pub quantity: Quantity,
    /// Its elements, row-major, in the shape of [`Quantity::of`].
    pub values: Vec<f64>,
    /// True if they were `float32`.
    pub is_f32: bool,
}

/// The solution of an exercise: the quantities that were submitted.
pub type Submission = Vec<Answer>;

/// The limits within which two values agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The largest absolute or relative difference that agrees.
    pub tolerance: f64,
    /// ε in the relative difference |a − b| / max(ε, |a| + |b|).
    pub eps: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { tolerance: TOLERANCE, eps: EPS }
    }
}

impl Tolerance {
    pub(super) fn compare(self, hand: &[f64], other: &[f64]) -> Comparison {
        let pairs = hand.iter().zip(other).enumerate().map(|(i, (&a, &b))| (i, a, b));
        Comparison::with_eps(pairs, self.tolerance, self.eps)
    }

    /// True if something was compared and every absolute difference, or every relative one, is small enough. NaN never is.
    pub(super) fn agrees(self, comparison: &Comparison) -> bool {
        comparison.elements > 0
            && (comparison.max_absolute <= self.tolerance || comparison.max_relative <= self.tolerance)
    }
}

/// The judgement of a quantity or of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It agrees, and a mistake would have been seen.
    Agrees,
    /// It agrees, but so would the result of a mistake.
    CannotTell,
    /// It differs.
    Differs,
}

impl Verdict {
    /// Its name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::CannotTell => "cannot_tell",
            Verdict::Differs => "differs",
        }
    }

    /// Its name for readers.
    pub fn in_words(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::CannotTell => "can't be told",
            Verdict::Differs => "DIFFERS",
        }
    }

    /// The worst of `verdicts`.
    pub fn of(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Verdict::CannotTell)
    }
}

/// A mistake that explains a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The mistake.
    pub mistake: String,
    /// The correction.
    pub fix: String,
}

/// Known mistakes that a quantity which agrees could still contain.
#[derive(Clone, Debug, PartialEq)]
pub struct Hidden {
    /// The mistakes, likelier ones first.
    pub mistakes: Vec<String>,
    /// The largest change that one of them would make.
    pub trace: f64,
    /// The option with which an exported problem shows them.
    pub advice: String,
}

/// The result for one quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The quantity.
    pub quantity: Quantity,
    /// The verdict.
    pub verdict: Verdict,
    /// The submission (`hand`) compared with the `f64` reference (`other`).
    pub comparison: Comparison,
    /// The explanations of a difference: all mistakes of one explain it together. Several are equally simple.
    pub explanations: Vec<Vec<Diagnosis>>,
    /// The largest difference that the first explanation leaves.
    pub left: Option<f64>,
    /// Where the difference lies that is not explained.
    pub remainder: Option<Remainder>,
    /// The mistakes that could hide, if it can't be told.
    pub hidden: Option<Hidden>,
    /// True if the difference is as small as the rounding errors of `f32`, and as widespread.
    pub is_rounding: bool,
}

impl Finding {
    /// A difference of `quantity` that nothing explains yet.
    pub(super) fn unexplained(quantity: Quantity, comparison: Comparison) -> Self {
        Self {
            quantity,
            verdict: Verdict::Differs,
            comparison,
            explanations: Vec::new(),
            left: None,
            remainder: None,
            hidden: None,
            is_rounding: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_agree_if_every_absolute_difference_is_small_or_every_relative_one() {
        for (hand, other, tolerance, eps, agrees) in [
            (&[][..], &[][..], 0.5, 1e-6, false),
            (&[1.0], &[1.0], 0.0, 1e-6, true),
            (&[1.0], &[1.5], 0.5, 1e-6, true),
            // Relative to |a| + |b|, this is 1.
            (&[0.0], &[0.5], 0.5, 1e-6, true),
            (&[0.0], &[0.5], 0.49, 1e-6, false),
            // 50 / 250.
            (&[100.0], &[150.0], 0.2, 1e-6, true),
            (&[100.0], &[150.0], 0.19, 1e-6, false),
            (&[100.0], &[150.0], 0.19, 1000.0, true),
            // Small in one way and small in the other is not small in either.
            (&[0.0, 100.0], &[0.5, 150.0], 0.5, 1e-6, false),
            (&[0.0, 100.0], &[f64::NAN, 100.0], 0.5, 1e-6, false),
            (&[f64::INFINITY], &[1.0], 0.5, 1e-6, false),
        ] {
            let limits = Tolerance { tolerance, eps };
            assert_eq!(limits.agrees(&limits.compare(hand, other)), agrees, "{hand:?} {other:?} {tolerance} {eps}");
        }
    }

    #[test]
    fn a_comparison_has_the_place_and_both_values_of_the_largest_difference() {
        let found = Tolerance::default().compare(&[1.0, 2.0, 3.0], &[1.0, 2.5, 2.75]);
        let worst = found.worst.unwrap();
        assert_eq!((found.elements, found.max_absolute, found.max_relative), (3, 0.5, 0.5 / 4.5));
        assert_eq!((worst.index, worst.hand, worst.other), (1, 2.0, 2.5));
    }

    #[test]
    fn quantities_and_verdicts_have_the_names_of_files() {
        assert_eq!(Quantity::ALL.map(Quantity::name), ["grad_W", "grad_b", "loss", "cost"]);
        let verdicts = [Verdict::Agrees, Verdict::CannotTell, Verdict::Differs];
        assert_eq!(verdicts.map(Verdict::name), ["agrees", "cannot_tell", "differs"]);
        let derivatives = Derivatives { loss: 1.0, cost: 2.0, dweight: vec![3.0, 4.0], dbias: vec![5.0] };
        assert_eq!(Quantity::ALL.map(|quantity| quantity.of(&derivatives)), [&[3.0, 4.0][..], &[5.0], &[1.0], &[2.0]]);
    }

    #[test]
    fn a_difference_that_nothing_explains_yet_is_one() {
        let comparison = Tolerance::default().compare(&[1.0], &[2.0]);
        let finding = Finding::unexplained(Quantity::Bias, comparison);
        assert_eq!(
            (finding.quantity, finding.verdict, finding.comparison),
            (Quantity::Bias, Verdict::Differs, comparison)
        );
        assert!(finding.explanations.is_empty() && !finding.is_rounding);
        assert_eq!((finding.left, finding.remainder, finding.hidden), (None, None, None));
    }
}
