//! Confidence intervals and significance tests: for a mean, for paired differences, and for two classifiers on the same
//! examples; and how accuracies and p-values are printed.
//!
//! Pure functions on slices. The distribution functions come from the crate `statrs`. The tests compare everything with
//! scipy; `tests/integration/statistics.rs` also checks the tests and intervals in simulations where the truth is known.
//!
//! Where there are too few values for an interval, it is `None`, never NaN.

mod classifiers;
mod paired;
mod summary;

pub use classifiers::Agreement;
pub use paired::{holm, pairs_needed, sign_flip_p};
pub use summary::SampleSummary;

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};

/// The confidence level of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// A confidence interval, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// True if `value` lies in the interval.
    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The standard error of an accuracy (a proportion) measured on `examples` examples: √(p (1 − p) / n).
pub fn standard_error(accuracy: f64, examples: usize) -> f64 {
    (accuracy * (1.0 - accuracy) / examples as f64).sqrt()
}

/// A number with this many decimals, for readers: with the typographic minus, and zero without a sign.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if !zero.contains(|c| ('1'..='9').contains(&c)) => zero.into(),
        _ => typographic(&text),
    }
}

/// A fraction in percent with two decimals, without the sign: 0.3932 gives `39.32`.
pub fn percent(fraction: f64) -> String {
    fixed(100.0 * fraction, 2)
}

/// A difference of two fractions in percentage points with its sign, which 0 has not: -0.0008 gives `−0.08`.
pub fn points(difference: f64) -> String {
    match format!("{:+.2}", 100.0 * difference).as_str() {
        "+0.00" | "-0.00" => "0.00".into(),
        points => typographic(points),
    }
}

/// `text` with the typographic minus in its numbers, for readers: in front of them and in their exponents. Tables for programs
/// keep the hyphen.
pub fn typographic(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let is_digit = |place: Option<usize>| place.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
    let is_minus = |at: usize| {
        let begins = match at.checked_sub(1).map(|before| characters[before]) {
            None | Some(' ' | '(' | '=') => true,
            Some('e') => is_digit(at.checked_sub(2)),
            _ => false,
        };
        begins && is_digit(Some(at + 1))
    };
    characters.iter().enumerate().map(|(at, &c)| if c == '-' && is_minus(at) { '−' } else { c }).collect()
}

/// `value` with all its digits, but without long runs of zeros: `0.001`, `1e-9`.
pub fn short(value: f64) -> String {
    if value == 0.0 || (1e-5..1e6).contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

/// `value` with this many decimals and an exponent, for readers: `1.2e−7`.
pub fn scientific(value: f64, decimals: usize) -> String {
    typographic(&format!("{value:.decimals$e}"))
}

/// `text` without line breaks around its equals signs, for readers.
pub fn unbroken(text: &str) -> String {
    text.replace(" = ", "\u{a0}=\u{a0}")
}

/// `n` with commas between thousands, for readers: `10,000`. Tables for programs have none.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `n` things called `noun`: `1 seed`, `3 seeds`, `2 losses`, `1,000 images`.
pub fn count(n: usize, noun: &str) -> String {
    let plural = match noun {
        _ if n == 1 => "",
        noun if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", grouped(n))
}

/// A p-value with two or three digits.
pub fn p_text(p: f64) -> String {
    match p {
        0.0 => "below 1e−300".into(),
        p if p < 0.001 => scientific(p, 1),
        p => format!("{p:.3}"),
    }
}

/// The quantile `p` of Student's t distribution with `freedom` degrees of freedom, at least 1.
fn t_quantile(p: f64, freedom: usize) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom as f64).expect("at least one degree of freedom");
    let near = t.inverse_cdf(p);
    // The crate's inverse loses digits as the degrees of freedom grow; one step of Newton's method restores them.
    near - (t.cdf(near) - p) / t.pdf(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_a_proportion() {
        // sqrt(0.42 * 0.58 / 10000)
        assert!((standard_error(0.42, 10_000) - 0.004_935_585_071_701_227).abs() < 1e-15);
        assert_eq!(standard_error(1.0, 10), 0.0);
    }

    #[test]
    fn fractions_and_p_values_are_printed_with_few_digits() {
        assert_eq!(
            [(1, "seed"), (0, "tie"), (1, "loss"), (2, "loss"), (50_000, "image")].map(|(n, noun)| count(n, noun)),
            ["1 seed", "0 ties", "1 loss", "2 losses", "50,000 images"]
        );
        assert_eq!([0, 999, 1000, 153_653, 1_000_000].map(grouped), ["0", "999", "1,000", "153,653", "1,000,000"]);
        assert_eq!(unbroken("with λ = 0.1 and x=2"), "with λ\u{a0}=\u{a0}0.1 and x=2");
        assert_eq!((scientific(-1.25e-7, 2), scientific(30.0, 0)), ("−1.25e−7".into(), "3e1".into()));
        assert_eq!(
            (percent(0.3932), points(0.0028), points(-0.0028)),
            ("39.32".into(), "+0.28".into(), "−0.28".into())
        );
        assert_eq!([-0.0831, -0.00004, 0.0].map(percent), ["−8.31", "0.00", "0.00"]);
        assert_eq!([fixed(-0.0004, 3), fixed(-0.001, 3), fixed(-10.0, 0)], ["0.000", "−0.001", "−10"]);
        assert_eq!(
            [0.0, 1.54e-5, 0.001, 0.03125, 1.0].map(p_text),
            ["below 1e−300", "1.5e−5", "0.001", "0.031", "1.000"]
        );
    }

    #[test]
    fn large_and_small_numbers_are_short() {
        for (value, text) in [(1e300, "1e300"), (-1e-40, "-1e-40"), (0.5, "0.5"), (0.0, "0"), (f64::NAN, "NaN")] {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(f64::INFINITY), "inf");
    }

    #[test]
    fn a_minus_is_typographic_in_numbers_and_no_other_hyphen_changes() {
        for (plain, expected) in [
            ("-10.39 points, 95 % interval -11.19 to -9.59", "−10.39 points, 95 % interval −11.19 to −9.59"),
            ("sign-flip p = 1.9e-6 (-3)", "sign-flip p = 1.9e−6 (−3)"),
            ("p=-1, 2-3, a-1, e-5, mini-batch, --seed -", "p=−1, 2-3, a-1, e-5, mini-batch, --seed -"),
        ] {
            assert_eq!(typographic(plain), expected);
        }
    }

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
