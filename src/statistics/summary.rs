//! Values of one quantity, such as the accuracies of one setting with several seeds.

use super::{CONFIDENCE, Interval, t_quantile};

/// Mean, spread and range of n values, which the intervals take as independent draws from one normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleSummary {
    /// n, at least 1.
    pub n: usize,
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with the divisor n − 1; `None` for a single value.
    pub sd: Option<f64>,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl SampleSummary {
    /// The summary of `values`, each finite; `None` if there are none.
    pub fn new(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let (first, rest) = values.split_first()?;
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self {
            n,
            mean,
            sd: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
            min: rest.iter().copied().fold(*first, f64::min),
            max: rest.iter().copied().fold(*first, f64::max),
        })
    }

    /// The 95 % confidence interval of the mean: mean ± t · sd / √n.
    pub fn mean_interval(&self) -> Option<Interval> {
        self.t_interval(1.0 / self.n as f64)
    }

    /// The 95 % prediction interval of one further value: mean ± t · sd · √(1 + 1/n).
    pub fn prediction_interval(&self) -> Option<Interval> {
        self.t_interval(1.0 + 1.0 / self.n as f64)
    }

    /// mean ± t · sd · √`variance`, t with n − 1 degrees of freedom.
    fn t_interval(&self, variance: f64) -> Option<Interval> {
        let t = t_quantile(0.5 + CONFIDENCE / 2.0, self.n.checked_sub(1).filter(|&f| f > 0)?);
        let half_width = t * self.sd? * variance.sqrt();
        Some(Interval { low: self.mean - half_width, high: self.mean + half_width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn mean_sd_and_both_intervals_are_those_of_scipy() {
        // import numpy as np; from scipy import stats
        // x = [0.3932, 0.3911, 0.3890, 0.3925, 0.3903, 0.3917, 0.3899]
        // n, m, s = len(x), np.mean(x), np.std(x, ddof=1)
        // print(m, s, stats.t.interval(0.95, n - 1, m, s / np.sqrt(n)), stats.t.interval(0.95, n - 1, m, s * np.sqrt(1 + 1 / n)))
        let summary = SampleSummary::new(&[0.3932, 0.3911, 0.3890, 0.3925, 0.3903, 0.3917, 0.3899]).unwrap();
        assert_eq!((summary.n, summary.min, summary.max), (7, 0.3890, 0.3932));
        close(summary.mean, 0.39110000000000006);
        close(summary.sd.unwrap(), 0.001484362938547484);
        let mean = summary.mean_interval().unwrap();
        close(mean.low, 0.3897271932473235);
        close(mean.high, 0.3924728067526766);
        let prediction = summary.prediction_interval().unwrap();
        close(prediction.low, 0.3872171161436951);
        close(prediction.high, 0.39498288385630503);
        assert!(prediction.contains(0.3940) && !mean.contains(0.3940));
    }

    #[test]
    fn one_value_has_a_mean_but_no_interval_and_no_value_has_no_summary() {
        let one = SampleSummary::new(&[0.4]).unwrap();
        assert_eq!((one.mean, one.min, one.max, one.sd), (0.4, 0.4, 0.4, None));
        assert_eq!((one.mean_interval(), one.prediction_interval()), (None, None));
        assert_eq!(SampleSummary::new(&[]), None);
    }

    #[test]
    fn equal_values_have_intervals_of_width_0() {
        let summary = SampleSummary::new(&[0.25; 5]).unwrap();
        assert_eq!(summary.sd, Some(0.0));
        let point = Interval { low: 0.25, high: 0.25 };
        assert_eq!(summary.mean_interval(), Some(point));
        assert_eq!(summary.prediction_interval(), Some(point));
    }
}
