//! The conclusions of the report, tested on a replication.

use crate::hyperparameters::Setting;
use crate::replicate::Replication;
use crate::replicate::table::{Difference, VerdictRow};
use crate::statistics::{count, p_text, pairs_needed, points};

/// The smallest number of seeds for a verdict: with fewer, the p-value of the sign-flip test is above 0.05 whatever the
/// runs are, and an interval relies on the normal distribution alone.
pub(super) const MIN_SEEDS: usize = 6;

/// When a conclusion has which verdict, for readers.
pub const VERDICTS: &str = "A conclusion holds if the 95 % confidence interval of each of its differences lies inside the \
                            range that its words claim; it does not hold if one of these intervals lies outside; \
                            otherwise, and with fewer than 6 seeds, it is undecided.";

/// Explains the p-value of a difference, for readers.
pub const P_VALUES: &str = "p is the p-value of the exact sign-flip test: with n seeds it cannot be below 2/2^n, so fewer than 6 \
                            seeds decide nothing";

/// A conclusion of the report, which holds if all its claims hold.
struct Conclusion {
    words: &'static str,
    /// The claims in words.
    criterion: &'static str,
    claims: &'static [Claim],
}

/// The mean difference of the test accuracies, `a` minus `b`, lies between `low` and `high`.
struct Claim {
    a: Setting,
    b: Setting,
    low: f64,
    high: f64,
}

const UNSTABLE: Setting = Setting::REPORT[0];
const NO_PENALTY: Setting = Setting::REPORT[1];
const SMALL_PENALTY: Setting = Setting::REPORT[2];
const LARGE_PENALTY: Setting = Setting::REPORT[3];

/// The report's conclusions from one run per setting.
const CONCLUSIONS: [Conclusion; 3] = [
    Conclusion {
        words: "η = 0.1 is far worse",
        criterion: "far worse means more than 5 points lower than with η = 0.001, which is ten standard errors of a \
                    test accuracy on 10,000 images",
        claims: &[Claim { a: UNSTABLE, b: NO_PENALTY, low: f64::NEG_INFINITY, high: -0.05 }],
    },
    Conclusion {
        words: "λ = 0.1 is slightly better than 0",
        criterion: "slightly better means higher by less than 1 point",
        claims: &[Claim { a: SMALL_PENALTY, b: NO_PENALTY, low: 0.0, high: 0.01 }],
    },
    Conclusion {
        words: "λ = 1 is worse",
        criterion: "worse means lower than with λ = 0.1 and lower than with λ = 0",
        claims: &[
            Claim { a: LARGE_PENALTY, b: SMALL_PENALTY, low: f64::NEG_INFINITY, high: 0.0 },
            Claim { a: LARGE_PENALTY, b: NO_PENALTY, low: f64::NEG_INFINITY, high: 0.0 },
        ],
    },
];

/// The rows of `replication_verdicts.csv`: the conclusions of the report whose settings were all trained.
///
/// Each interval has a confidence level of 95 %, without a correction for the number of conclusions.
pub fn verdicts(replication: &Replication) -> Vec<VerdictRow> {
    CONCLUSIONS.iter().filter_map(|conclusion| conclusion.row(replication)).collect()
}

impl Conclusion {
    fn row(&self, replication: &Replication) -> Option<VerdictRow> {
        let test = |claim: &'static Claim| Some((claim, replication.difference(&claim.a.name(), &claim.b.name())?));
        let tested: Vec<Tested> = self.claims.iter().map(test).collect::<Option<_>>()?;
        let undecided: Vec<&Tested> = tested.iter().filter(|(claim, found)| claim.holds(found).is_none()).collect();
        let mut parts: Vec<String> =
            tested.iter().map(|(claim, found)| claim.numbers(found, replication.seeds())).collect();
        let verdict = if tested.iter().any(|(claim, found)| claim.holds(found) == Some(false)) {
            "does not hold"
        } else if undecided.is_empty() {
            "holds"
        } else {
            parts.insert(0, seeds_needed(&undecided));
            "undecided"
        };
        parts.push(self.criterion.into());
        let departures = replication.departures();
        if !departures.is_empty() {
            parts.push(format!("these runs differ from the report's: {}", departures.join(", ")));
        }
        // A table has plain hyphens.
        let explanation = parts.join("; ").replace('−', "-");
        Some(VerdictRow { conclusion: self.words.into(), verdict: verdict.into(), explanation })
    }
}

/// A claim, and the difference between its two settings.
type Tested = (&'static Claim, Difference);

impl Claim {
    /// True if the 95 % confidence interval lies inside the range of the claim, false if outside, `None` if neither or with
    /// too few seeds.
    fn holds(&self, found: &Difference) -> Option<bool> {
        match (found.difference_95_low?, found.difference_95_high?) {
            _ if found.n < MIN_SEEDS => None,
            (low, high) if self.low < low && high < self.high => Some(true),
            (low, high) if high < self.low || self.high < low => Some(false),
            _ => None,
        }
    }

    /// Number of seeds needed to distinguish the mean difference from the closest bound.
    fn seeds_needed(&self, found: &Difference) -> Option<usize> {
        let mean = found.mean_difference?;
        let distance = (mean - self.low).abs().min((mean - self.high).abs());
        Some(pairs_needed(found.sd_difference?, distance)?.max(MIN_SEEDS))
    }

    /// The numbers of a comparison, over those of `seeds` seeds with which neither setting diverged.
    fn numbers(&self, found: &Difference, seeds: usize) -> String {
        let Difference { n, wins, ties, losses, .. } = found;
        let names = format!("accuracy with {} minus that with {}", self.a.name(), self.b.name());
        let (Some(mean), Some(p)) = (found.mean_difference, found.sign_flip_p) else {
            return format!("{names}: at least one of the two runs diverged with each seed");
        };
        let interval = match (found.difference_95_low, found.difference_95_high) {
            (Some(low), Some(high)) => format!(", 95 % confidence interval {} to {}", points(low), points(high)),
            _ => String::new(),
        };
        let omitted = match seeds - n {
            0 => String::new(),
            omitted => format!(", {omitted} omitted because a run diverged"),
        };
        format!(
            "{names}: {} points{interval} ({}: {}, {}, {}{omitted}; sign-flip p = {})",
            points(mean),
            count(*n, "seed"),
            count(*wins, "win"),
            count(*ties, "tie"),
            count(*losses, "loss"),
            p_text(p)
        )
    }
}

/// The number of seeds at which the claims are undecided, and the number that would decide them all.
fn seeds_needed(undecided: &[&Tested]) -> String {
    let n = undecided.iter().map(|(_, found)| found.n).min().unwrap_or(0);
    let seeds = count(n, "seed");
    if n < 2 {
        return format!("{seeds} cannot decide it: at least {MIN_SEEDS} are needed");
    }
    let start = match n {
        ..MIN_SEEDS => format!(
            "{seeds} cannot decide it, whatever the interval: the p-value of the sign-flip test cannot be below \
             2/2^{n} = {}, so at least {MIN_SEEDS} are needed",
            p_text(0.5f64.powi(n as i32 - 1))
        ),
        _ => format!("{seeds} do not decide it"),
    };
    let needed: Option<Vec<usize>> = undecided.iter().map(|(claim, found)| claim.seeds_needed(found)).collect();
    match needed.and_then(|needed| needed.into_iter().max()) {
        None => format!("{start}; with differences like these, no feasible number of seeds would decide it"),
        // More are never undecided where these would do.
        Some(MIN_SEEDS) => start,
        Some(needed) => format!("{start}; about {needed} seeds would"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicate::tests::replication;

    /// The verdicts if the four settings classify these numbers of 1,000 images correctly.
    fn judge(runs: [&[usize]; 4]) -> Vec<VerdictRow> {
        let names = Setting::REPORT.map(Setting::name);
        let settings: Vec<_> = names.iter().map(String::as_str).zip(runs).collect();
        verdicts(&replication(&settings))
    }

    const NONE: &[usize] = &[390, 392, 391, 389, 390, 393];

    fn shifted(by: &[i64; 6]) -> Vec<usize> {
        let sums = NONE.iter().zip(by);
        sums.map(|(&runs, by)| (runs as i64 + by) as usize).collect()
    }

    #[test]
    fn clear_differences_hold() {
        let rows = judge([
            &shifted(&[-110, -120, -100, -115, -105, -118]),
            NONE,
            &shifted(&[3, 2, 4, 3, 2, 3]),
            &shifted(&[-15, -14, -16, -15, -13, -15]),
        ]);
        let verdicts: Vec<_> = rows.iter().map(|r| r.verdict.as_str()).collect();
        assert_eq!(verdicts, ["holds"; 3]);
        assert_eq!(
            rows[1].explanation,
            "accuracy with lambda0.1_eta0.001 minus that with lambda0_eta0.001: +0.28 points, 95 % confidence interval \
             +0.20 to +0.36 (6 seeds: 6 wins, 0 ties, 0 losses; sign-flip p = 0.031); slightly better means higher by \
             less than 1 point; these runs differ from the report's: trained on train.bin instead of data_batch_1.bin, \
             validated on validation.bin instead of data_batch_2.bin, tested on test.bin instead of test_batch.bin"
        );
    }

    #[test]
    fn opposite_differences_do_not_hold() {
        let rows = judge([
            &shifted(&[-20, -21, -19, -20, -22, -18]),
            NONE,
            &shifted(&[-3, -2, -4, -3, -2, -3]),
            &shifted(&[3, 2, 4, 3, 2, 3]),
        ]);
        // Two points lower is worse, but not far worse; lower than only one of the two is not worse.
        let verdicts: Vec<_> = rows.iter().map(|r| r.verdict.as_str()).collect();
        assert_eq!(verdicts, ["does not hold"; 3]);
    }

    #[test]
    fn much_better_is_not_slightly_better() {
        let rows = judge([NONE, NONE, &shifted(&[31, 29, 30, 30, 32, 28]), NONE]);
        assert_eq!(rows[1].verdict, "does not hold");
    }

    #[test]
    fn an_unclear_difference_is_undecided_and_the_number_of_seeds_that_would_decide_is_given() {
        let rows = judge([NONE, NONE, &shifted(&[5, -3, 4, -2, 3, -1]), NONE]);
        assert_eq!(rows[1].verdict, "undecided");
        // import numpy as np; from scipy import stats
        // d = np.array([5, -3, 4, -2, 3, -1]) / 1000; m, s = d.mean(), d.std(ddof=1)
        // next(n for n in range(2, 10**5) if n >= ((stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) * s / m)**2)
        assert!(
            rows[1].explanation.starts_with("6 seeds do not decide it; about 94 seeds would; "),
            "{}",
            rows[1].explanation
        );
    }

    #[test]
    fn no_number_of_seeds_distinguishes_equal_settings() {
        let rows = judge([NONE, NONE, &shifted(&[5, -5, 4, -4, 3, -3]), NONE]);
        let text = &rows[1].explanation;
        assert!(
            text.starts_with(
                "6 seeds do not decide it; with differences like these, no feasible number of seeds would decide it; "
            ),
            "{text}"
        );
    }

    #[test]
    fn fewer_than_six_seeds_decide_nothing() {
        for n in 1..=5 {
            let first = |runs: &[usize]| runs[..n].to_vec();
            let rows = judge([
                &first(&shifted(&[-110, -120, -100, -115, -105, -118])),
                &first(NONE),
                &first(&shifted(&[3, 2, 4, 3, 2, 3])),
                &first(&shifted(&[-15, -14, -16, -15, -13, -15])),
            ]);
            for row in rows {
                assert_eq!(row.verdict, "undecided");
                assert!(row.explanation.contains("at least 6 are needed"), "{}", row.explanation);
                let bound = "the p-value of the sign-flip test cannot be below 2/2^3 = 0.250";
                assert_eq!(row.explanation.contains(bound), n == 3, "{}", row.explanation);
                assert!(!row.explanation.contains("NaN"), "{}", row.explanation);
                assert!(!row.explanation.contains("undecided"), "said twice: {}", row.explanation);
            }
        }
    }

    #[test]
    fn a_conclusion_about_settings_that_were_not_trained_is_omitted() {
        let names = [Setting::REPORT[1].name(), Setting::REPORT[2].name()];
        let rows = verdicts(&replication(&[(&names[0], NONE), (&names[1], NONE)]));
        let words: Vec<_> = rows.iter().map(|row| row.conclusion.as_str()).collect();
        assert_eq!(words, ["λ = 0.1 is slightly better than 0"]);
    }

    const CLAIM: Claim = Claim { a: NO_PENALTY, b: SMALL_PENALTY, low: 0.02, high: 0.05 };

    /// A difference over `n` seeds with this mean, standard deviation and interval.
    fn difference(n: usize, mean: f64, sd: f64, interval: [f64; 2]) -> Difference {
        Difference {
            n,
            mean_difference: Some(mean),
            sd_difference: Some(sd),
            difference_95_low: Some(interval[0]),
            difference_95_high: Some(interval[1]),
            wins: n,
            ties: 0,
            losses: 0,
            sign_flip_p: Some(0.01),
            sign_flip_p_holm: Some(0.01),
        }
    }

    #[test]
    fn an_interval_that_touches_a_bound_decides_nothing() {
        let holds = |low, high| CLAIM.holds(&difference(9, 0.03, 0.01, [low, high]));
        assert_eq!([holds(0.03, 0.04), holds(0.0, 0.01), holds(0.06, 0.07)], [Some(true), Some(false), Some(false)]);
        for (low, high) in [(0.02, 0.04), (0.03, 0.05), (0.01, 0.02), (0.05, 0.06), (0.0, 0.1)] {
            assert_eq!(holds(low, high), None, "{low} to {high}");
        }
    }

    #[test]
    fn the_number_of_seeds_is_that_for_the_nearest_bound() {
        let needed = |mean| CLAIM.seeds_needed(&difference(9, mean, 0.02, [0.0, 0.1])).unwrap();
        for (mean, distance) in [(0.03, 0.01), (0.01, 0.01), (0.046, 0.004), (0.054, 0.004)] {
            assert_eq!(needed(mean), pairs_needed(0.02, distance).unwrap(), "{mean}");
        }
        assert!(needed(0.046) > needed(0.03) && needed(0.03) > MIN_SEEDS);
        assert_eq!(needed(9.0), MIN_SEEDS);
    }

    #[test]
    fn too_few_seeds_are_told_what_they_lack() {
        let text = |n, mean| seeds_needed(&[&(&CLAIM, difference(n, mean, 0.02, [0.0, 0.1]))]);
        assert_eq!(text(1, 0.03), "1 seed cannot decide it: at least 6 are needed");
        let few = "2 seeds cannot decide it, whatever the interval: the p-value of the sign-flip test cannot be below \
                   2/2^2 = 0.500, so at least 6 are needed";
        assert_eq!(text(2, 9.0), few);
        let needed = pairs_needed(0.02, 0.01).unwrap();
        assert_eq!(text(2, 0.03), format!("{few}; about {needed} seeds would"));
        assert_eq!(text(6, 0.03), format!("6 seeds do not decide it; about {needed} seeds would"));
    }
}
