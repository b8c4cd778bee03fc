//! How much of a figure is luck: means with their intervals, paired differences, and two classifiers on the same examples.
//!
//! Pure functions on slices. The distribution functions are those of the crate `statrs`; everything is held against
//! scipy, and the tests and intervals besides against simulations in which the truth is known.
//!
//! An interval is `None`, never NaN, where the values are too few for it.

mod classifiers;
mod paired;
mod sample;

#[cfg(test)]
mod simulations;

pub use classifiers::Agreement;
pub use paired::{holm, pairs_needed, sign_flip_p};
pub use sample::Sample;

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};

/// The confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// From `low` to `high`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// `center` ± `half_width`.
    fn around(center: f64, half_width: f64) -> Self {
        Self { low: center - half_width, high: center + half_width }
    }

    /// Whether `value` lies in the interval.
    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The value below which Student's t with `freedom` degrees of freedom (at least 1) lies with probability `p`.
fn t_quantile(p: f64, freedom: usize) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom as f64).expect("at least one degree of freedom");
    let near = t.inverse_cdf(p);
    // The crate's inverse loses digits as the degrees of freedom grow; one step of Newton's method brings them back.
    near - (t.cdf(near) - p) / t.pdf(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_students_t_are_those_of_scipy() {
        // from scipy import stats
        // for f in (1, 2, 5, 19, 99, 1000, 99999): print(f, stats.t.ppf(0.975, f), stats.t.ppf(0.8, f))
        for (freedom, upper, fifth) in [
            (1, 12.706204736174694, 1.3763819204711738),
            (2, 4.302652729749462, 1.0606601717798214),
            (5, 2.5705818356363146, 0.9195437802408271),
            (19, 2.0930240544083087, 0.8609505502689286),
            (99, 1.9842169515864174, 0.8452670319534972),
            (1000, 1.9623390808264083, 0.8419808221624288),
            (99_999, 1.9599877077718442, 0.8416248280328457),
        ] {
            for (p, expected) in [(0.975, upper), (0.8, fifth), (0.025, -upper)] {
                let found = t_quantile(p, freedom);
                assert!((found / expected - 1.0).abs() < 1e-9, "{p} {freedom}: {found} {expected}");
            }
        }
    }
}
