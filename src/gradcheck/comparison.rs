//! Element-by-element comparison of two arrays that should be equal, and its verdict.

/// The report's tolerance: the largest absolute difference of an element that passes.
pub const TOLERANCE: f64 = 1e-6;

/// ε in the relative difference |a − b| / max(ε, |a| + |b|), which keeps it defined where both values vanish.
pub const EPS: f64 = 1e-6;

/// The element with the largest absolute difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// Flat, row-major index.
    pub index: usize,
    /// The hand-derived value.
    pub hand: f64,
    /// The value it is compared with.
    pub other: f64,
}

/// The outcome of comparing element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Number of elements compared.
    pub elements: usize,
    /// max |a − b|; NaN if a difference is NaN.
    pub max_absolute: f64,
    /// max |a − b| / max(ε, |a| + |b|) with ε = [`EPS`] or the given one; NaN if a difference is NaN.
    pub max_relative: f64,
    /// The element with the largest absolute difference; `None` if nothing was compared.
    pub worst: Option<Worst>,
    /// The largest absolute difference that passes.
    pub tolerance: f64,
}

impl Comparison {
    /// Compares pairs of (index, hand-derived value, other value).
    pub fn new(pairs: impl IntoIterator<Item = (usize, f64, f64)>, tolerance: f64) -> Self {
        Self::with_eps(pairs, tolerance, EPS)
    }

    /// The same with another ε in the relative difference.
    pub fn with_eps(pairs: impl IntoIterator<Item = (usize, f64, f64)>, tolerance: f64, eps: f64) -> Self {
        let mut comparison = Self { elements: 0, max_absolute: 0.0, max_relative: 0.0, worst: None, tolerance };
        for (index, hand, other) in pairs {
            comparison.elements += 1;
            let absolute = (hand - other).abs();
            // Of ∞ / ∞, the sign bit may be set.
            let relative = (absolute / eps.max(hand.abs() + other.abs())).abs();
            // In the order of `total_cmp`, a NaN without a sign is larger than every number.
            if comparison.worst.is_none() || absolute.total_cmp(&comparison.max_absolute).is_gt() {
                comparison.max_absolute = absolute;
                comparison.worst = Some(Worst { index, hand, other });
            }
            if relative.total_cmp(&comparison.max_relative).is_gt() {
                comparison.max_relative = relative;
            }
        }
        comparison
    }

    /// Compares all elements of two arrays.
    ///
    /// # Panics
    ///
    /// If the lengths differ: a missing element must not pass by being skipped.
    pub fn of_arrays<T: Copy + Into<f64>>(hand: &[T], other: &[T], tolerance: f64) -> Self {
        assert_eq!(hand.len(), other.len(), "the arrays must have the same length");
        let pairs = hand.iter().zip(other).enumerate();
        Self::new(pairs.map(|(i, (&a, &b))| (i, a.into(), b.into())), tolerance)
    }

    /// True if something was compared and every difference is within the tolerance. NaN never is.
    pub fn passed(&self) -> bool {
        self.elements > 0 && self.max_absolute <= self.tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(hand: &[f64], other: &[f64]) -> Comparison {
        Comparison::of_arrays(hand, other, TOLERANCE)
    }

    #[test]
    fn equal_values_pass_and_are_counted() {
        let comparison = compare(&[1.0, -2.0], &[1.0, -2.0]);
        assert!(comparison.passed());
        assert_eq!((comparison.elements, comparison.max_absolute), (2, 0.0));
    }

    #[test]
    fn the_tolerance_itself_passes_and_the_next_value_does_not() {
        assert!(compare(&[TOLERANCE], &[0.0]).passed());
        assert!(!compare(&[TOLERANCE.next_up()], &[0.0]).passed());
    }

    #[test]
    fn the_worst_element_has_its_index_and_both_values() {
        let worst = compare(&[0.0, 5.0, 1.0], &[0.1, 3.0, 1.0]).worst.unwrap();
        assert_eq!((worst.index, worst.hand, worst.other), (1, 5.0, 3.0));
    }

    #[test]
    fn a_nan_fails_at_any_position_and_is_the_worst_element() {
        for hand in [[f64::NAN, 9.0], [9.0, f64::NAN]] {
            let comparison = compare(&hand, &[0.0, 0.0]);
            assert!(!comparison.passed());
            assert!(comparison.worst.unwrap().hand.is_nan() && comparison.max_relative.is_nan());
        }
    }

    #[test]
    fn an_infinite_difference_fails() {
        assert!(!compare(&[f64::INFINITY], &[0.0]).passed());
        assert!(!compare(&[f64::INFINITY], &[f64::INFINITY]).passed());
    }

    #[test]
    fn comparing_nothing_fails() {
        assert!(!compare(&[], &[]).passed());
    }

    #[test]
    fn the_largest_relative_difference_may_be_at_another_element_than_the_largest_absolute_one() {
        let comparison = compare(&[1000.0, 1e-3], &[1000.5, 3e-3]);
        assert!((comparison.max_relative - 0.5).abs() < 1e-12);
        assert_eq!(comparison.worst.unwrap().index, 0);
    }

    #[test]
    #[should_panic(expected = "same length")]
    fn arrays_of_different_lengths_are_not_compared() {
        compare(&[1.0, 2.0], &[1.0]);
    }
}
