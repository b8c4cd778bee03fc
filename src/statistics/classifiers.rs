//! Comparison of two classifiers on the same examples.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{CONFIDENCE, Interval};

/// Numbers of examples that two classifiers, A and B, classify correctly: both, one or neither of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Both are right.
    pub both: usize,
    /// A is right, B is wrong.
    pub only_a: usize,
    /// B is right, A is wrong.
    pub only_b: usize,
    /// Both are wrong.
    pub neither: usize,
}

impl Agreement {
    /// Counts examples with the true classes `labels`, for which A predicts `a` and B predicts `b`; each (n).
    ///
    /// # Panics
    ///
    /// If the three differ in length.
    pub fn new(labels: &[u8], a: &[u8], b: &[u8]) -> Self {
        assert!(labels.len() == a.len() && labels.len() == b.len());
        let mut counts = Self::default();
        for ((label, a), b) in labels.iter().zip(a).zip(b) {
            let count = match (a == label, b == label) {
                (true, true) => &mut counts.both,
                (true, false) => &mut counts.only_a,
                (false, true) => &mut counts.only_b,
                (false, false) => &mut counts.neither,
            };
            *count += 1;
        }
        counts
    }

    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.both + self.only_a + self.only_b + self.neither
    }

    /// The accuracies of A and B, as fractions.
    pub fn accuracies(&self) -> [f64; 2] {
        let n = self.examples() as f64;
        [self.only_a, self.only_b].map(|alone| (self.both + alone) as f64 / n)
    }

    /// The accuracy of A minus that of B, as a fraction.
    pub fn difference(&self) -> f64 {
        (self.only_a as f64 - self.only_b as f64) / self.examples() as f64
    }

    /// The two-sided p-value of McNemar's exact test. Null hypothesis: an example that exactly one of the two classifies
    /// correctly is equally likely to be A's or B's.
    pub fn mcnemar_p(&self) -> f64 {
        let discordant = self.only_a + self.only_b;
        let coin = Binomial::new(0.5, discordant as u64).expect("0.5 is a probability");
        let fewer = self.only_a.min(self.only_b) as u64;
        (2.0 * coin.cdf(fewer)).min(1.0)
    }

    /// The 95 % percentile interval of [`difference`](Self::difference) from the paired bootstrap, which resamples the
    /// examples with replacement, each with the results of both classifiers.
    ///
    /// A resampled example adds 1, 0 or −1 to the difference, so its distribution is that of a sum of n independent steps.
    /// It is computed exactly, in O(n²), without drawing any resample.
    pub fn bootstrap_interval(&self) -> Interval {
        let n = self.examples();
        let share = |count: usize| count as f64 / n as f64;
        let (up, stay, down) = (share(self.only_a), share(self.both + self.neither), share(self.only_b));
        // probabilities[zero + d] is that of the difference d, in examples; one more element at each end stays 0.
        let mut probabilities = vec![0.0; 2 * n + 3];
        let zero = n + 1;
        probabilities[zero] = 1.0;
        let mut next = probabilities.clone();
        for drawn in 1..=n {
            for at in zero - drawn..=zero + drawn {
                next[at] = up * probabilities[at - 1] + stay * probabilities[at] + down * probabilities[at + 1];
            }
            std::mem::swap(&mut probabilities, &mut next);
        }
        let quantile = |p: f64| {
            let mut below = 0.0;
            let reaches = |probability: &f64| {
                below += probability;
                below >= p
            };
            let at = probabilities.iter().position(reaches).expect("the probabilities add up to 1");
            (at as f64 - zero as f64) / n as f64
        };
        let tail = (1.0 - CONFIDENCE) / 2.0;
        Interval { low: quantile(tail), high: quantile(1.0 - tail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(only_a: usize, only_b: usize, examples: usize) -> Agreement {
        let both = (examples - only_a - only_b) / 2;
        Agreement { both, only_a, only_b, neither: examples - only_a - only_b - both }
    }

    #[test]
    fn examples_are_counted_by_which_classifiers_are_right() {
        let counts = Agreement::new(&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 9, 9, 9], &[0, 9, 9, 3, 8, 9]);
        let expected = Agreement { both: 1, only_a: 2, only_b: 1, neither: 2 };
        assert_eq!(counts, expected);
        assert_eq!(counts.accuracies(), [0.5, 2.0 / 6.0]);
        assert_eq!(counts.difference(), 1.0 / 6.0);
    }

    #[test]
    fn mcnemars_test_is_the_binomial_test_of_scipy() {
        // from scipy import stats
        // stats.binomtest(a, a + b).pvalue
        for (a, b, expected) in [
            (0, 1, 1.0),
            (5, 5, 1.0),
            (10, 2, 0.03857421875),
            (3, 17, 0.0025768280029296875),
            (512, 488, 0.46704512165278705),
            (621, 529, 0.007260536031715823),
            (900, 700, 6.319484959450105e-07),
            (3000, 2500, 1.6615256105422665e-11),
        ] {
            for p in [agreement(a, b, 10_000).mcnemar_p(), agreement(b, a, 10_000).mcnemar_p()] {
                assert!((p / expected - 1.0).abs() < 1e-9, "{a} {b}: {p}");
            }
        }
        assert_eq!(agreement(0, 0, 100).mcnemar_p(), 1.0);
    }

    #[test]
    fn the_bootstrap_interval_is_that_of_a_million_resamples() {
        // import numpy as np
        // d = np.random.default_rng(1).multinomial(n, [a / n, b / n, 1 - (a + b) / n], size=10**6)
        // np.percentile(d[:, 0] - d[:, 1], [2.5, 97.5], method="inverted_cdf")
        for (a, b, n, low, high) in [
            (640, 529, 10_000, 44, 178),
            (900, 700, 10_000, 122, 278),
            (10, 2, 10_000, 2, 15),
            (45, 31, 500, -3, 31),
            (3, 1, 20, -2, 6),
            (0, 20, 20, -20, -20),
            (0, 0, 20, 0, 0),
            (1, 0, 1, 1, 1),
        ] {
            let interval = agreement(a, b, n).bootstrap_interval();
            let ends = [interval.low, interval.high].map(|end| (end * n as f64).round() as i64);
            assert_eq!(ends, [low, high], "{a} {b} {n}");
        }
    }

    #[test]
    fn exchanging_the_classifiers_mirrors_the_interval() {
        for (a, b, n) in [(640, 529, 2000), (30, 10, 200), (5, 0, 50), (1, 2, 7)] {
            let [interval, other] = [agreement(a, b, n), agreement(b, a, n)].map(|counts| counts.bootstrap_interval());
            assert_eq!((interval.low, interval.high), (-other.high, -other.low), "{a} {b} {n}");
        }
    }
}
