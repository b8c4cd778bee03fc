//! From the rows of a replication to what they say about each setting and each pair of settings.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::files::csv::row;
use crate::replicate::ReplicationRow;
use crate::statistics::{Interval, Summary, holm, sign_flip_p};

/// The largest test split that is taken: the sign-flip test needs memory in proportion to it.
const MOST_TEST_IMAGES: usize = 1_000_000;

row! {
    /// A row of `replication_summary.csv`: one setting over all seeds. Every value but the first five is a test
    /// accuracy, a fraction; `None` where there are too few runs for it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SummaryRow {
        /// The setting's name.
        pub setting: String,
        /// λ, the weight of the penalty.
        pub lambda: f64,
        /// η, the learning rate.
        pub eta: f64,
        /// The runs that ended with an accuracy; the rest of the row is about them.
        pub n: usize,
        /// The runs that diverged.
        pub diverged: usize,
        /// The mean.
        pub mean: Option<f64>,
        /// The standard deviation, with the divisor n − 1.
        pub sd: Option<f64>,
        /// The smallest.
        pub min: Option<f64>,
        /// The largest.
        pub max: Option<f64>,
        /// The lower end of the 95 % interval of the mean.
        pub mean_95_low: Option<f64>,
        /// Its upper end.
        pub mean_95_high: Option<f64>,
        /// The lower end of the interval in which one further run lies with 95 % confidence.
        pub run_95_low: Option<f64>,
        /// Its upper end.
        pub run_95_high: Option<f64>,
        /// What the report states for this setting, if it is trained as the report did.
        pub reported: Option<f64>,
        /// Whether that lies in the interval of one further run.
        pub reported_in_run_95: Option<bool>,
    }
}

row! {
    /// A row of `replication_pairs.csv`: two settings, compared seed by seed over the seeds with which both ended.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PairRow {
        /// The setting A.
        pub setting_a: String,
        /// The setting B.
        pub setting_b: String,
        /// The seeds.
        pub n: usize,
        /// The mean of A's test accuracy minus B's, a fraction.
        pub mean_difference: Option<f64>,
        /// The standard deviation of these differences.
        pub sd_difference: Option<f64>,
        /// The lower end of the 95 % interval of the mean difference.
        pub difference_95_low: Option<f64>,
        /// Its upper end.
        pub difference_95_high: Option<f64>,
        /// The seeds with which A classified more test images correctly,
        pub wins: usize,
        /// as many,
        pub ties: usize,
        /// and fewer.
        pub losses: usize,
        /// The two-sided p-value of the exact sign-flip test.
        pub sign_flip_p: Option<f64>,
        /// The same, adjusted by Holm's method for the number of pairs.
        pub sign_flip_p_holm: Option<f64>,
    }
}

/// A replication, its runs paired by seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Replication {
    settings: Vec<Runs>,
    test_images: usize,
}

/// The runs of one setting.
#[derive(Clone, Debug, PartialEq)]
struct Runs {
    name: String,
    lambda: f64,
    eta: f64,
    reported: Option<f64>,
    /// The test images classified correctly, a run; `None` where it diverged. The seeds are the same for all settings.
    correct: Vec<Option<usize>>,
}

/// Two settings, seed by seed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    /// The differences in images, of the seeds with which both settings ended.
    images: Vec<i64>,
    /// The same as fractions; `None` without any.
    pub sample: Option<Summary>,
    /// The seeds that are left out.
    pub left_out: usize,
}

impl Replication {
    /// Takes the rows of a whole job.
    ///
    /// # Errors
    ///
    /// [`Error::Merge`] when a seed lacks a setting that another has, has one twice, or the counts of images contradict
    /// each other.
    pub fn new(rows: &[ReplicationRow]) -> Result<Self> {
        let refuse = |reason: String| Err(Error::Merge { reason });
        let test_images = rows.first().map_or(0, |row| row.test_images);
        let mut by_run = BTreeMap::new();
        for row in rows {
            let place = format!("seed {} of {}", row.hyperparameters.seed, row.setting);
            if row.test_images != test_images
                || !(1..=MOST_TEST_IMAGES).contains(&test_images)
                || row.correct_test_images.unwrap_or(0) > test_images
            {
                return refuse(format!(
                    "{place} has {:?} of {} test images right, among runs with {test_images}",
                    row.correct_test_images, row.test_images
                ));
            }
            if by_run.insert((&row.setting, row.hyperparameters.seed), row).is_some() {
                return refuse(format!("{place} is there twice"));
            }
        }
        let seeds: BTreeSet<u64> = rows.iter().map(|row| row.hyperparameters.seed).collect();
        let mut settings: Vec<Runs> = Vec::new();
        for first in rows {
            if settings.iter().any(|runs| runs.name == first.setting) {
                continue;
            }
            let run = |seed: &u64| by_run.get(&(&first.setting, *seed));
            if let Some(seed) = seeds.iter().find(|seed| run(seed).is_none()) {
                return refuse(format!("seed {seed} of {} is missing", first.setting));
            }
            settings.push(Runs {
                name: first.setting.clone(),
                lambda: first.hyperparameters.lambda,
                eta: first.hyperparameters.eta,
                reported: first.reported_test_accuracy,
                correct: seeds.iter().map(|seed| run(seed).and_then(|row| row.correct_test_images)).collect(),
            });
        }
        Ok(Self { settings, test_images })
    }

    /// The test accuracies of each setting, without the runs that diverged, in the order of [`Self::summary`].
    pub fn accuracies(&self) -> Vec<Vec<f64>> {
        let of = |runs: &Runs| -> Vec<f64> {
            let counts = runs.correct.iter().flatten();
            counts.map(|&count| self.fraction(count as f64)).collect()
        };
        self.settings.iter().map(of).collect()
    }

    /// The rows of `replication_summary.csv`.
    pub fn summary(&self) -> Vec<SummaryRow> {
        let accuracies = self.accuracies();
        let settings = self.settings.iter().zip(&accuracies);
        settings.map(|(runs, accuracies)| summary_row(runs, accuracies)).collect()
    }

    /// The rows of `replication_pairs.csv`: every setting with each that comes after it.
    pub fn pairs(&self) -> Vec<PairRow> {
        let settings = &self.settings;
        let mut rows: Vec<PairRow> = (0..settings.len())
            .flat_map(|a| (a + 1..settings.len()).map(move |b| (&settings[a], &settings[b])))
            .map(|(a, b)| self.pair_of(a, b).row(&a.name, &b.name))
            .collect();
        let p: Vec<f64> = rows.iter().filter_map(|row| row.sign_flip_p).collect();
        let tested = rows.iter_mut().filter(|row| row.sign_flip_p.is_some());
        for (row, adjusted) in tested.zip(holm(&p)) {
            row.sign_flip_p_holm = Some(adjusted);
        }
        rows
    }

    /// The settings with the names `a` and `b`, seed by seed; `None` unless both are there.
    pub(super) fn pair(&self, a: &str, b: &str) -> Option<Pair> {
        let runs = |name: &str| self.settings.iter().find(|runs| runs.name == name);
        Some(self.pair_of(runs(a)?, runs(b)?))
    }

    fn pair_of(&self, a: &Runs, b: &Runs) -> Pair {
        let both = a.correct.iter().zip(&b.correct);
        let images: Vec<i64> = both.filter_map(|(a, b)| Some((*a)? as i64 - (*b)? as i64)).collect();
        let fractions: Vec<f64> = images.iter().map(|&d| self.fraction(d as f64)).collect();
        Pair { sample: Summary::new(&fractions), left_out: a.correct.len() - images.len(), images }
    }

    /// Whether the report states a figure for every setting, trained as here.
    pub(super) fn is_as_reported(&self) -> bool {
        self.settings.iter().all(|runs| runs.reported.is_some())
    }

    fn fraction(&self, images: f64) -> f64 {
        images / self.test_images as f64
    }
}

fn summary_row(runs: &Runs, accuracies: &[f64]) -> SummaryRow {
    let sample = Summary::new(accuracies);
    let mean = sample.and_then(|s| s.mean_interval());
    let run = sample.and_then(|s| s.prediction_interval());
    SummaryRow {
        setting: runs.name.clone(),
        lambda: runs.lambda,
        eta: runs.eta,
        n: accuracies.len(),
        diverged: runs.correct.len() - accuracies.len(),
        mean: sample.map(|s| s.mean),
        sd: sample.and_then(|s| s.sd),
        min: sample.map(|s| s.min),
        max: sample.map(|s| s.max),
        mean_95_low: mean.map(|i| i.low),
        mean_95_high: mean.map(|i| i.high),
        run_95_low: run.map(|i| i.low),
        run_95_high: run.map(|i| i.high),
        reported: runs.reported,
        reported_in_run_95: run.zip(runs.reported).map(|(i, r)| i.contains(r)),
    }
}

impl Pair {
    /// The seeds with which both settings ended.
    pub fn n(&self) -> usize {
        self.images.len()
    }

    /// The 95 % interval of the mean difference.
    pub fn interval(&self) -> Option<Interval> {
        self.sample.and_then(|s| s.mean_interval())
    }

    /// The two-sided p-value of the exact sign-flip test.
    pub fn p(&self) -> Option<f64> {
        sign_flip_p(&self.images)
    }

    /// The seeds with which A did better, as well and worse.
    pub fn outcomes(&self) -> [usize; 3] {
        let count = |sign: i64| self.images.iter().filter(|d| d.signum() == sign).count();
        [count(1), count(0), count(-1)]
    }

    fn row(&self, a: &str, b: &str) -> PairRow {
        let interval = self.interval();
        let [wins, ties, losses] = self.outcomes();
        PairRow {
            setting_a: a.into(),
            setting_b: b.into(),
            n: self.n(),
            mean_difference: self.sample.map(|s| s.mean),
            sd_difference: self.sample.and_then(|s| s.sd),
            difference_95_low: interval.map(|i| i.low),
            difference_95_high: interval.map(|i| i.high),
            wins,
            ties,
            losses,
            sign_flip_p: self.p(),
            sign_flip_p_holm: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicate::testing::{replication, row, rows};

    #[test]
    fn each_setting_is_summed_up_over_the_seeds() {
        let replication = replication(&[("a", &[390, 400, 410]), ("b", &[380, 385, 420])]);
        let a = &replication.summary()[0];
        assert_eq!((a.setting.as_str(), a.n, a.diverged), ("a", 3, 0));
        assert_eq!((a.min, a.max), (Some(0.39), Some(0.41)));
        assert!((a.mean.unwrap() - 0.4).abs() < 1e-15);
        assert!((a.sd.unwrap() - 0.01).abs() < 1e-15);
        assert_eq!((a.reported, a.reported_in_run_95), (None, None));
    }

    #[test]
    fn the_reported_figure_is_held_against_the_interval_of_one_run() {
        let mut rows = rows(&[("a", &[390, 400, 410])]);
        let mut reported = |figure| {
            rows.iter_mut().for_each(|row| row.reported_test_accuracy = Some(figure));
            Replication::new(&rows).unwrap().summary()[0].clone()
        };
        // 0.4 ± 4.30 · 0.01 · √(4/3) = 0.4 ± 0.0497: outside the interval of the mean, 0.4 ± 0.0248, but in this.
        assert_eq!(reported(0.44).reported_in_run_95, Some(true));
        assert_eq!(reported(0.46).reported_in_run_95, Some(false));
        assert_eq!(reported(0.35).reported_in_run_95, Some(false));
    }

    #[test]
    fn settings_are_paired_by_seed() {
        let replication = replication(&[("a", &[390, 400, 410]), ("b", &[380, 400, 420])]);
        let pairs = replication.pairs();
        let [pair] = &pairs[..] else { panic!("{pairs:?}") };
        assert_eq!((pair.setting_a.as_str(), pair.setting_b.as_str()), ("a", "b"));
        assert_eq!((pair.n, pair.wins, pair.ties, pair.losses), (3, 1, 1, 1));
        assert_eq!((pair.mean_difference, pair.sign_flip_p), (Some(0.0), Some(1.0)));
        assert_eq!(pair.sign_flip_p_holm, Some(1.0));
    }

    #[test]
    fn p_values_are_adjusted_for_the_number_of_pairs() {
        let replication = replication(&[
            ("a", &[10, 11, 12, 13, 14, 15]),
            ("b", &[20, 22, 24, 26, 28, 31]),
            ("c", &[30, 33, 36, 39, 42, 47]),
        ]);
        for pair in replication.pairs() {
            assert_eq!(pair.sign_flip_p, Some(2.0 / 64.0));
            assert_eq!(pair.sign_flip_p_holm, Some(6.0 / 64.0));
        }
    }

    #[test]
    fn a_run_that_diverged_is_counted_and_its_seed_left_out_of_pairs() {
        let mut rows = rows(&[("a", &[390, 400, 410]), ("b", &[380, 400, 420])]);
        rows[0].correct_test_images = None;
        let replication = Replication::new(&rows).unwrap();
        let summary = replication.summary();
        assert_eq!((summary[0].n, summary[0].diverged), (2, 1));
        assert_eq!((summary[1].n, summary[1].diverged), (3, 0));
        assert_eq!(replication.pairs()[0].n, 2);
        assert_eq!(replication.pair("a", "b").unwrap().left_out, 1);
    }

    #[test]
    fn one_seed_or_none_that_ended_leaves_fields_empty() {
        let one = replication(&[("a", &[390]), ("b", &[380])]);
        let (summary, pair) = (&one.summary()[0], &one.pairs()[0]);
        assert_eq!((summary.mean, summary.sd, summary.run_95_low), (Some(0.39), None, None));
        assert_eq!((pair.sd_difference, pair.difference_95_low), (None, None));
        assert_eq!(pair.sign_flip_p, Some(1.0));

        let mut rows = rows(&[("a", &[0]), ("b", &[0])]);
        rows[0].correct_test_images = None;
        let none = Replication::new(&rows).unwrap();
        let (summary, pair) = (&none.summary()[0], &none.pairs()[0]);
        assert_eq!((summary.n, summary.mean, summary.max), (0, None, None));
        assert_eq!((pair.n, pair.mean_difference, pair.sign_flip_p), (0, None, None));
        assert_eq!(pair.sign_flip_p_holm, None);
    }

    #[test]
    fn rows_that_contradict_each_other_are_refused() {
        let refusal = |change: fn(&mut Vec<ReplicationRow>)| {
            let mut rows = rows(&[("a", &[1, 2]), ("b", &[3, 4])]);
            change(&mut rows);
            Replication::new(&rows).unwrap_err().to_string()
        };
        let twice = refusal(|rows| rows.push(row("a", 1, 1)));
        assert_eq!(twice, "cannot merge: seed 1 of a is there twice");
        let missing = refusal(|rows| _ = rows.pop());
        assert_eq!(missing, "cannot merge: seed 2 of b is missing");
        assert!(refusal(|rows| rows[1].test_images = 999).contains("999"));
        assert!(refusal(|rows| rows[1].correct_test_images = Some(1001)).contains("1001"));
        assert!(refusal(|rows| rows.iter_mut().for_each(|r| r.test_images = usize::MAX)).contains("images"));
    }
}
