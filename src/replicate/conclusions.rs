//! The conclusions of the report, held against a replication.

use std::fmt;

use crate::files::csv::row;
use crate::hyperparameters::Setting;
use crate::replicate::Replication;
use crate::replicate::analysis::Pair;
use crate::statistics::{p_text, pairs_needed, points};

/// The fewest seeds for a verdict: with fewer, the sign-flip test can't give a p-value below 0.05 whatever the runs are,
/// and an interval rests on the normal distribution alone.
const FEWEST_SEEDS: usize = 6;

/// Whether a conclusion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The 95 % intervals lie where the conclusion says.
    Holds,
    /// One of them lies where the conclusion says that it doesn't.
    DoesNotHold,
    /// Neither.
    CannotBeTold,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "does not hold",
            Verdict::CannotBeTold => "can't be told",
        })
    }
}

row! {
    /// A row of `replication_verdicts.csv`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerdictRow {
        /// The conclusion, in words.
        pub conclusion: String,
        /// `holds`, `does not hold` or `can't be told`.
        pub verdict: String,
        /// The numbers, and by what they are judged.
        pub explanation: String,
    }
}

/// A sentence of the report: all its claims together.
struct Conclusion {
    words: &'static str,
    /// What its words mean in numbers.
    criterion: &'static str,
    claims: &'static [Claim],
}

/// The mean of the test accuracy of `a` minus that of `b` lies between `low` and `high`.
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

/// What the report concludes from one run a setting.
const CONCLUSIONS: [Conclusion; 3] = [
    Conclusion {
        words: "η = 0.1 is far worse",
        criterion: "far worse is more than 5 points lower than with η = 0.001: ten standard errors of a test accuracy on \
                    10,000 images",
        claims: &[Claim { a: UNSTABLE, b: NO_PENALTY, low: f64::NEG_INFINITY, high: -0.05 }],
    },
    Conclusion {
        words: "λ = 0.1 is slightly better than 0",
        criterion: "slightly better is higher, by less than 1 point",
        claims: &[Claim { a: SMALL_PENALTY, b: NO_PENALTY, low: 0.0, high: 0.01 }],
    },
    Conclusion {
        words: "λ = 1 is worse",
        criterion: "worse is lower than with λ = 0.1 and than with λ = 0",
        claims: &[
            Claim { a: LARGE_PENALTY, b: SMALL_PENALTY, low: f64::NEG_INFINITY, high: 0.0 },
            Claim { a: LARGE_PENALTY, b: NO_PENALTY, low: f64::NEG_INFINITY, high: 0.0 },
        ],
    },
];

/// The rows of `replication_verdicts.csv`: those conclusions of the report whose settings were all trained.
///
/// Each interval has a confidence of 95 % on its own; nothing is corrected for there being several conclusions.
pub fn verdicts(replication: &Replication) -> Vec<VerdictRow> {
    let rows = CONCLUSIONS.iter();
    rows.filter_map(|conclusion| conclusion.row(replication)).collect()
}

impl Conclusion {
    fn row(&self, replication: &Replication) -> Option<VerdictRow> {
        let pair = |claim: &Claim| replication.pair(&claim.a.name(), &claim.b.name());
        let pairs: Vec<Pair> = self.claims.iter().map(pair).collect::<Option<_>>()?;
        let judged = || self.claims.iter().zip(&pairs);
        let verdicts: Vec<Verdict> = judged().map(|(claim, pair)| claim.verdict(pair)).collect();
        let mut parts: Vec<String> = judged().map(|(claim, pair)| claim.numbers(pair)).collect();
        let verdict = if verdicts.contains(&Verdict::DoesNotHold) {
            Verdict::DoesNotHold
        } else if verdicts.contains(&Verdict::CannotBeTold) {
            parts.insert(0, self.what_would_tell(&pairs, &verdicts));
            Verdict::CannotBeTold
        } else {
            Verdict::Holds
        };
        parts.push(self.criterion.into());
        if !replication.is_as_reported() {
            parts.push("not all is trained and tested as in the report".into());
        }
        Some(VerdictRow { conclusion: self.words.into(), verdict: verdict.to_string(), explanation: parts.join("; ") })
    }

    /// At which number of seeds nothing can be told, and which number would tell all that is open.
    fn what_would_tell(&self, pairs: &[Pair], verdicts: &[Verdict]) -> String {
        let open = || {
            let judged = self.claims.iter().zip(pairs).zip(verdicts);
            judged.filter_map(|(judged, verdict)| (*verdict == Verdict::CannotBeTold).then_some(judged))
        };
        let n = open().map(|(_, pair)| pair.n()).min().unwrap_or(0);
        let at = format!("this can't be told at N = {n}");
        if n < 2 {
            return format!("{at}: at least N = {FEWEST_SEEDS} is needed");
        }
        let needed = open().map(|(claim, pair)| claim.seeds_needed(pair));
        match needed.collect::<Option<Vec<_>>>() {
            None => format!("{at}, nor at any N that could be trained"),
            Some(needed) => {
                let most = needed.into_iter().max().unwrap_or(FEWEST_SEEDS);
                format!("{at}, but about N = {most} would tell")
            }
        }
    }
}

impl Claim {
    fn verdict(&self, pair: &Pair) -> Verdict {
        match pair.interval() {
            Some(i) if pair.n() >= FEWEST_SEEDS => {
                if self.low < i.low && i.high < self.high {
                    Verdict::Holds
                } else if i.high < self.low || self.high < i.low {
                    Verdict::DoesNotHold
                } else {
                    Verdict::CannotBeTold
                }
            }
            _ => Verdict::CannotBeTold,
        }
    }

    /// How many seeds it takes to tell the mean difference from the bound that is closest to it.
    fn seeds_needed(&self, pair: &Pair) -> Option<usize> {
        let sample = pair.sample?;
        let distances = [self.low, self.high].map(|bound| (sample.mean - bound).abs());
        let needed = pairs_needed(sample.sd?, distances[0].min(distances[1]))?;
        Some(needed.max(FEWEST_SEEDS))
    }

    fn numbers(&self, pair: &Pair) -> String {
        let names = format!("{} minus {}", self.a.name(), self.b.name());
        let (Some(sample), Some(p)) = (pair.sample, pair.p()) else {
            return format!("{names}: no seed with which both ended");
        };
        let interval = pair
            .interval()
            .map_or(String::new(), |i| format!(", 95 % interval {} to {}", points(i.low), points(i.high)));
        let left_out = match pair.left_out {
            0 => String::new(),
            n => format!(", {n} left out where a run diverged"),
        };
        let [wins, ties, losses] = pair.outcomes();
        format!(
            "{names}: {} points{interval} ({} seeds: {wins} wins, {ties} ties, {losses} losses{left_out}; sign-flip p = {})",
            points(sample.mean),
            sample.n,
            p_text(p)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicate::testing::replication;

    /// The verdicts when the four settings classify so many of 1,000 images correctly.
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
    fn what_the_runs_show_clearly_holds() {
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
            "lambda0.1_eta0.001 minus lambda0_eta0.001: +0.28 points, 95 % interval +0.20 to +0.36 (6 seeds: 6 wins, 0 \
             ties, 0 losses; sign-flip p = 0.031); slightly better is higher, by less than 1 point; not all is trained \
             and tested as in the report"
        );
    }

    #[test]
    fn the_contrary_does_not_hold() {
        let rows = judge([
            &shifted(&[-20, -21, -19, -20, -22, -18]),
            NONE,
            &shifted(&[-3, -2, -4, -3, -2, -3]),
            &shifted(&[3, 2, 4, 3, 2, 3]),
        ]);
        // Two points lower is worse, but not far; a higher accuracy than that of only one of the two is not worse.
        let verdicts: Vec<_> = rows.iter().map(|r| r.verdict.as_str()).collect();
        assert_eq!(verdicts, ["does not hold"; 3]);
    }

    #[test]
    fn much_better_is_not_slightly_better() {
        let rows = judge([NONE, NONE, &shifted(&[31, 29, 30, 30, 32, 28]), NONE]);
        assert_eq!(rows[1].verdict, "does not hold");
    }

    #[test]
    fn what_is_within_the_luck_of_the_seeds_cannot_be_told_and_the_number_that_would_tell_is_named() {
        let rows = judge([NONE, NONE, &shifted(&[5, -3, 4, -2, 3, -1]), NONE]);
        assert_eq!(rows[1].verdict, "can't be told");
        // import numpy as np; from scipy import stats
        // d = np.array([5, -3, 4, -2, 3, -1]) / 1000; m, s = d.mean(), d.std(ddof=1)
        // next(n for n in range(2, 10**5) if n >= ((stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) * s / m)**2)
        assert!(
            rows[1].explanation.starts_with("this can't be told at N = 6, but about N = 94 would tell; "),
            "{}",
            rows[1].explanation
        );
    }

    #[test]
    fn no_number_tells_settings_apart_that_are_equal() {
        let rows = judge([NONE, NONE, &shifted(&[5, -5, 4, -4, 3, -3]), NONE]);
        let text = &rows[1].explanation;
        assert!(text.starts_with("this can't be told at N = 6, nor at any N"), "{text}");
    }

    #[test]
    fn fewer_than_six_seeds_tell_nothing() {
        for n in 1..=5 {
            let first = |runs: &[usize]| runs[..n].to_vec();
            let rows = judge([
                &first(&shifted(&[-110, -120, -100, -115, -105, -118])),
                &first(NONE),
                &first(&shifted(&[3, 2, 4, 3, 2, 3])),
                &first(&shifted(&[-15, -14, -16, -15, -13, -15])),
            ]);
            for row in rows {
                assert_eq!(row.verdict, "can't be told");
                assert!(row.explanation.contains("N = 6"), "{}", row.explanation);
                assert!(!row.explanation.contains("NaN"), "{}", row.explanation);
            }
        }
    }

    #[test]
    fn a_conclusion_about_settings_that_were_not_trained_is_left_out() {
        let names = [Setting::REPORT[1].name(), Setting::REPORT[2].name()];
        let rows = verdicts(&replication(&[(&names[0], NONE), (&names[1], NONE)]));
        let words: Vec<_> = rows.iter().map(|row| row.conclusion.as_str()).collect();
        assert_eq!(words, ["λ = 0.1 is slightly better than 0"]);
    }
}
