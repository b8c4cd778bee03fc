//! Tests of paired differences, such as those of two settings trained with the same seeds.

use super::{CONFIDENCE, t_quantile};

/// The power that [`pairs_needed`] aims at: the probability of reaching a conclusion.
const POWER: f64 = 0.8;
/// The largest number that [`pairs_needed`] returns.
const MOST_PAIRS: usize = 100_000;

/// The two-sided p-value of the sign-flip permutation test of `differences`: the probability that |Σ ±d| is at least
/// |Σ d| when each sign is chosen at random. `None` if there are no differences.
///
/// The null hypothesis is that a difference is as likely as its opposite. The p-value is exact for any number of pairs:
/// all 2ⁿ choices of the signs are counted by their sum (the shift algorithm of Pagano and Tritchler, *J. Amer. Statist.
/// Assoc.* 78, 1983), in n · Σ|d| steps. The differences are integers, so equal sums compare as equal. The smallest
/// possible value is 2¹⁻ⁿ.
pub fn sign_flip_p(differences: &[i64]) -> Option<f64> {
    if differences.is_empty() {
        return None;
    }
    let sizes = || differences.iter().map(|d| d.unsigned_abs() as usize);
    let observed = differences.iter().sum::<i64>().unsigned_abs() as usize;
    let total: usize = sizes().sum();
    // For each sum, the probability that the sizes with a plus sign add up to it.
    let mut chances = vec![0.0; total + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for size in sizes() {
        reached += size;
        // Downwards, so that `chances[before]` is still the old value.
        for sum in (0..=reached).rev() {
            let with_plus = sum.checked_sub(size).map_or(0.0, |before| chances[before]);
            chances[sum] = 0.5 * (chances[sum] + with_plus);
        }
    }
    // If the sizes with a plus sign add up to s, the signed sum is s − (total − s).
    let extreme = (0..=total).filter(|&sum| (2 * sum).abs_diff(total) >= observed);
    Some(extreme.map(|sum| chances[sum]).sum::<f64>().min(1.0))
}

/// The approximate number of pairs needed to distinguish, with 95 % confidence and a power of 80 %, a mean difference from
/// a bound at `distance`, when the differences have the standard deviation `sd`; `None` if it is above 100,000.
///
/// It is the smallest n ≥ 2 with n ≥ ((t(0.975) + t(0.8)) · sd / distance)², t with n − 1 degrees of freedom.
pub fn pairs_needed(sd: f64, distance: f64) -> Option<usize> {
    let enough = |n: usize| {
        let t = t_quantile(0.5 + CONFIDENCE / 2.0, n - 1) + t_quantile(POWER, n - 1);
        n as f64 >= (t * sd / distance.abs()).powi(2)
    };
    // If n pairs are enough, so are n + 1: bisect.
    let (mut low, mut high) = (2, MOST_PAIRS);
    if !enough(high) {
        return None;
    }
    while low < high {
        let middle = usize::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

/// p-values adjusted for multiple testing by Holm's method (*Scand. J. Statist.* 6, 1979): rejecting those below a level
/// keeps the probability of any false rejection below that level.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, i) in order.into_iter().enumerate() {
        largest = largest.max(p[i] * (p.len() - rank) as f64).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-12 * expected, "{found} {expected}");
    }

    #[test]
    fn the_sign_flip_test_is_that_of_scipy() {
        // import numpy as np; from scipy import stats
        // stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
        for (differences, expected) in [
            (&[3, -1][..], 1.0),
            (&[12, 5, -3, 8, 0, 7, -2, 9, 4, 1], 0.0390625),
            (&[1, 1, 1, -1, 1, 1, 0, 1, -1, 1, 1, 1], 0.0654296875),
            (&[25, 31, -4, 18, 40, 22, 9, -13, 27, 35, 16, 30, 21, -2, 28, 19, 33, 8, 24, 11], 5.14984130859375e-05),
        ] {
            close(sign_flip_p(differences).unwrap(), expected);
        }
    }

    #[test]
    fn no_differences_have_no_p_value_and_differences_of_0_have_p_1() {
        assert_eq!(sign_flip_p(&[]), None);
        assert_eq!(sign_flip_p(&[7]), Some(1.0));
        assert_eq!(sign_flip_p(&[0, 0, 0]), Some(1.0));
        assert_eq!(sign_flip_p(&[5; 6]), Some(2.0 / 64.0));
    }

    #[test]
    fn the_p_value_of_many_pairs_is_exact() {
        // from scipy import stats
        // stats.binomtest(530, 1000).pvalue: with equal sizes, only the signs are random.
        let differences: Vec<i64> = (0..1000).map(|i| if i < 530 { 7 } else { -7 }).collect();
        close(sign_flip_p(&differences).unwrap(), 0.06202319509836343);
    }

    /// The p-value by enumerating every choice of the signs.
    fn by_enumeration(differences: &[i64]) -> f64 {
        let observed = differences.iter().sum::<i64>().abs();
        let choices = 1_u32 << differences.len();
        let extreme = (0..choices).filter(|choice| {
            let signed = |(i, d): (usize, &i64)| if choice >> i & 1 == 1 { -d } else { *d };
            differences.iter().enumerate().map(signed).sum::<i64>().abs() >= observed
        });
        extreme.count() as f64 / f64::from(choices)
    }

    proptest! {
        #[test]
        fn counting_by_sums_equals_enumeration(differences in prop::collection::vec(-9i64..=9, 1..12)) {
            prop_assert_eq!(sign_flip_p(&differences).unwrap(), by_enumeration(&differences));
        }
    }

    #[test]
    fn the_pairs_needed_are_those_of_the_noncentral_t() {
        // import numpy as np; from scipy import stats
        // def power(n, sd, d):
        //     t = stats.t.ppf(0.975, n - 1); c = d / sd * np.sqrt(n)
        //     return stats.nct.sf(t, n - 1, c) + stats.nct.cdf(-t, n - 1, c)
        // next(n for n in range(2, 10**5) if power(n, sd, d) >= 0.8)
        for (sd, distance, exact) in [
            (1.0, 10.0, 3_usize),
            (1.0, 3.0, 4),
            (1.0, 1.0, 10),
            (2.0, 1.0, 34),
            (1.0, -0.5, 34),
            (1.0, 0.2, 199),
            (1.0, 0.1, 787),
            (1.0, 0.03, 8723),
        ] {
            let found = pairs_needed(sd, distance).unwrap();
            assert!(found.abs_diff(exact) <= 1, "{sd} {distance}: {found}");
        }
    }

    #[test]
    fn few_pairs_have_one_degree_of_freedom_less() {
        // from scipy import stats
        // def enough(n, sd, d): return n >= ((stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) * sd / d) ** 2
        // next(n for n in range(2, 10**5) if enough(n, 1, d))
        for (distance, expected) in [(10.0, 2), (9.8, 3), (5.0, 3), (3.0, 4), (2.0, 5)] {
            assert_eq!(pairs_needed(1.0, distance), Some(expected), "{distance}");
        }
    }

    #[test]
    fn no_number_of_pairs_distinguishes_a_difference_from_itself() {
        assert_eq!(pairs_needed(1.0, 0.0), None);
        assert_eq!(pairs_needed(1.0, 1e-4), None);
        assert_eq!(pairs_needed(0.0, 1.0), Some(2));
    }

    #[test]
    fn p_values_are_adjusted_as_statsmodels_does() {
        // from statsmodels.stats.multitest import multipletests
        // multipletests([0.01, 0.04, 0.03, 0.005], method="holm")[1]
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(found, expected);
        }
        assert_eq!(holm(&[0.7, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
