//! Tests and intervals of `statistics` in simulations where the truth is known: p-values are uniform if and only if the
//! null hypothesis holds, and intervals contain the truth as often as they claim.

use onelayer::statistics::{Agreement, Interval, SampleSummary, pairs_needed, sign_flip_p};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

const TRIALS: usize = 5000;

/// A bound on the distance between an empirical and the true distribution function over `TRIALS` independent trials that
/// holds with probability 0.999: the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant.
fn tolerance() -> f64 {
    ((2.0_f64 / 0.001).ln() / (2.0 * TRIALS as f64)).sqrt()
}

fn simulate<T>(seed: u64, mut trial: impl FnMut(&mut ChaCha8Rng) -> T) -> Vec<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..TRIALS).map(|_| trial(&mut rng)).collect()
}

/// `n` values from a normal distribution with the standard deviation 1.
fn normal(rng: &mut ChaCha8Rng, mean: f64, n: usize) -> Vec<f64> {
    let value = |_| mean + rng.sample::<f64, _>(StandardNormal);
    (0..n).map(value).collect()
}

/// The largest distance between a p-value and the share of the p-values up to it. The p-values of an exact test are
/// uniform on the values that it can take: P(p ≤ value) = value for each of them.
fn distance_from_uniform(mut p: Vec<f64>) -> f64 {
    p.sort_by(f64::total_cmp);
    let up_to = |value: f64| p.partition_point(|&p| p <= value) as f64 / p.len() as f64;
    let distances = p.iter().map(|&value| (up_to(value) - value).abs());
    distances.fold(0.0, f64::max)
}

/// The p-values of the sign-flip test of `pairs` differences of about a hundred images, `shift` deviations off.
fn sign_flip_values(pairs: usize, shift: f64) -> Vec<f64> {
    simulate(1, |rng| {
        let differences = normal(rng, shift, pairs);
        let images: Vec<i64> = differences.iter().map(|d| (100.0 * d).round() as i64).collect();
        sign_flip_p(&images).unwrap()
    })
}

/// The p-values of McNemar's test with 41 examples that only one of the two gets right, A with probability `a`.
fn mcnemar_values(a: f64) -> Vec<f64> {
    simulate(2, |rng| {
        let only_a = (0..41).filter(|_| rng.random_bool(a)).count();
        let counts = Agreement { both: 50, only_a, only_b: 41 - only_a, neither: 109 };
        counts.mcnemar_p()
    })
}

/// The share of the trials whose interval contains `value`.
fn coverage(intervals: &[Interval], value: f64) -> f64 {
    let covering = intervals.iter().filter(|interval| interval.contains(value));
    covering.count() as f64 / intervals.len() as f64
}

#[test]
fn p_values_of_the_sign_flip_test_are_uniform_under_the_null_hypothesis_only() {
    for pairs in [6, 12, 20] {
        let distance = distance_from_uniform(sign_flip_values(pairs, 0.0));
        assert!(distance < tolerance(), "{pairs}: {distance}");
        let distance = distance_from_uniform(sign_flip_values(pairs, 0.3));
        assert!(distance > 2.0 * tolerance(), "{pairs}: {distance}");
    }
}

#[test]
fn p_values_of_mcnemars_test_are_uniform_under_the_null_hypothesis_only() {
    let distance = distance_from_uniform(mcnemar_values(0.5));
    assert!(distance < tolerance(), "{distance}");
    let distance = distance_from_uniform(mcnemar_values(0.6));
    assert!(distance > 2.0 * tolerance(), "{distance}");
}

#[test]
fn the_null_hypothesis_is_rejected_at_the_rate_of_the_level() {
    let count = |p: &[f64], level: f64| p.iter().filter(|&&p| p <= level).count() as f64;
    for level in [0.01, 0.05, 0.25, 0.5] {
        let expected = level * TRIALS as f64;
        let spread = 4.0 * (expected * (1.0 - level)).sqrt();
        // With 20 pairs the test has so many possible values that it reaches each level.
        let null = count(&sign_flip_values(20, 0.0), level);
        assert!((null - expected).abs() < spread, "{level}: {null}");
        let shifted = count(&sign_flip_values(20, 0.3), level);
        assert!(shifted - expected > spread, "{level}: {shifted}");
        // McNemar's test has few possible values: it rejects at most as often.
        let null = count(&mcnemar_values(0.5), level);
        assert!(null < expected + spread, "{level}: {null}");
        let shifted = count(&mcnemar_values(0.65), level);
        assert!(shifted > expected + spread, "{level}: {shifted}");
    }
}

#[test]
fn the_interval_of_the_mean_contains_the_true_mean_19_times_in_20() {
    for n in [2, 5, 20] {
        let intervals = simulate(3, |rng| {
            let summary = SampleSummary::new(&normal(rng, 0.0, n)).unwrap();
            summary.mean_interval().unwrap()
        });
        let share = coverage(&intervals, 0.0);
        assert!((share - 0.95).abs() < tolerance(), "{n}: {share}");
        let share = coverage(&intervals, 3.0 / (n as f64).sqrt());
        assert!(share < 0.95 - 2.0 * tolerance(), "{n}: {share}");
    }
}

#[test]
fn the_prediction_interval_contains_one_further_value_19_times_in_20() {
    for n in [2, 5, 20] {
        // Is the next value in the prediction interval, and is it in that of the mean?
        let hits = simulate(4, |rng| {
            let summary = SampleSummary::new(&normal(rng, 0.0, n)).unwrap();
            let next = normal(rng, 0.0, 1)[0];
            let intervals = [summary.prediction_interval(), summary.mean_interval()];
            intervals.map(|interval| interval.unwrap().contains(next))
        });
        let share = |which: usize| hits.iter().filter(|hits| hits[which]).count() as f64 / hits.len() as f64;
        assert!((share(0) - 0.95).abs() < tolerance(), "{n}: {}", share(0));
        assert!(share(1) < 0.95 - tolerance(), "{n}: {}", share(1));
    }
}

#[test]
fn the_bootstrap_interval_contains_the_true_difference_about_19_times_in_20() {
    let intervals = simulate(5, |rng| {
        let mut counts = Agreement::default();
        for _ in 0..150 {
            match rng.random_range(0..100) {
                0..20 => counts.only_a += 1,
                20..30 => counts.only_b += 1,
                30..60 => counts.both += 1,
                _ => counts.neither += 1,
            }
        }
        counts.bootstrap_interval()
    });
    // The percentile interval has its nominal coverage in the limit of many examples.
    let share = coverage(&intervals, 0.1);
    assert!((share - 0.95).abs() < tolerance(), "{share}");
    let share = coverage(&intervals, 0.0);
    assert!(share < 0.95 - 2.0 * tolerance(), "{share}");
}

#[test]
fn the_pairs_needed_have_a_power_of_80_percent() {
    let distance = 0.5;
    let n = pairs_needed(1.0, distance).unwrap();
    let power_with = |n: usize| {
        let intervals = simulate(6, |rng| {
            let summary = SampleSummary::new(&normal(rng, distance, n)).unwrap();
            summary.mean_interval().unwrap()
        });
        1.0 - coverage(&intervals, 0.0)
    };
    assert!((power_with(n) - 0.8).abs() < tolerance(), "{}", power_with(n));
    assert!(power_with(n / 2) < 0.8 - 2.0 * tolerance());
}
