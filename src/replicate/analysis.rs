//! Analysis of a replication: each setting, and each pair of settings, over all seeds.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::replicate::table::{Difference, PairRow, ReplicationRow, SettingRow};
use crate::statistics::{SampleSummary, holm, sign_flip_p};

/// The largest test split that is accepted: the sign-flip test needs memory in proportion to it.
const MAX_TEST_IMAGES: usize = 1_000_000;

/// The name of a setting, and its runs.
type Runs = (String, Vec<ReplicationRow>);

/// The runs of a whole replication, paired by seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Replication {
    /// The runs of each setting, by seed. All settings have the same seeds.
    settings: Vec<Runs>,
    test_images: usize,
}

impl Replication {
    /// Takes the rows of a whole replication.
    ///
    /// # Errors
    ///
    /// [`Error::Merge`] if a row is there twice, a seed lacks a setting, or the numbers of images contradict each other.
    pub fn new(rows: &[ReplicationRow]) -> Result<Self> {
        Self::named(rows.iter().map(|row| (row.setting.clone(), row)))
    }

    /// As [`Self::new`], with a name for the setting of each row.
    pub(super) fn named<'a>(rows: impl Iterator<Item = (String, &'a ReplicationRow)>) -> Result<Self> {
        let (mut settings, mut seeds): (Vec<Runs>, _) = (Vec::new(), BTreeSet::new());
        let mut test_images = None;
        for (name, row) in rows {
            let (found, correct, seed) = (row.test_images, row.correct_test_images, seed(row));
            let expected = *test_images.get_or_insert(found);
            if found != expected || !(1..=MAX_TEST_IMAGES).contains(&found) || correct > Some(found) {
                let correct = correct.map_or("none".into(), |correct| correct.to_string());
                return refuse(format!(
                    "seed {seed} of {name} has {correct} of {found} test images right, among runs with {expected}"
                ));
            }
            seeds.insert(seed);
            match settings.iter_mut().find(|(known, _)| *known == name) {
                Some((_, runs)) => runs.push(row.clone()),
                None => settings.push((name, vec![row.clone()])),
            }
        }
        for (name, runs) in &mut settings {
            runs.sort_by_key(seed);
            if let Some(twins) = runs.windows(2).find(|pair| seed(&pair[0]) == seed(&pair[1])) {
                return refuse(format!("seed {} of {name} is there twice", seed(&twins[0])));
            }
            if let Some(missing) = seeds.iter().find(|&missing| runs.binary_search_by_key(missing, seed).is_err()) {
                return refuse(format!("seed {missing} of {name} is missing"));
            }
        }
        Ok(Self { settings, test_images: test_images.unwrap_or(0) })
    }

    /// The test accuracies of each setting, without the runs that diverged, in the order of [`Self::settings`].
    pub fn accuracies(&self) -> Vec<Vec<f64>> {
        self.settings.iter().map(|(_, runs)| self.accuracies_of(runs)).collect()
    }

    fn accuracies_of(&self, runs: &[ReplicationRow]) -> Vec<f64> {
        let accuracy = |row: &ReplicationRow| row.correct_test_images.map(|correct| self.fraction(correct as f64));
        runs.iter().filter_map(accuracy).collect()
    }

    /// The mean test accuracy of the setting with the name `name`, over the runs that did not diverge.
    pub(super) fn mean(&self, name: &str) -> Option<f64> {
        let (_, runs) = self.settings.iter().find(|(found, _)| found == name)?;
        Some(SampleSummary::new(&self.accuracies_of(runs))?.mean)
    }

    /// The rows of `replication_summary.csv`, one per setting.
    pub fn settings(&self) -> Vec<SettingRow> {
        let settings = self.settings.iter().zip(self.accuracies());
        settings.map(|((name, runs), accuracies)| setting_row(name, runs, &accuracies)).collect()
    }

    /// The rows of `replication_pairs.csv`, one for each setting with each that follows it.
    pub fn pairs(&self) -> Vec<PairRow> {
        let row = |(a, runs_a): &Runs, (b, runs_b): &Runs| PairRow {
            setting_a: a.clone(),
            setting_b: b.clone(),
            difference: self.compare(runs_a, runs_b),
        };
        let with_following = |i: usize| self.settings[i + 1..].iter().map(move |b| row(&self.settings[i], b));
        let mut rows: Vec<PairRow> = (0..self.settings.len()).flat_map(with_following).collect();
        adjust(rows.iter_mut().map(|row| &mut row.difference));
        rows
    }

    /// The difference between the settings with the names `a` and `b`; `None` unless both are there. Its p-value is not
    /// adjusted.
    pub(super) fn difference(&self, a: &str, b: &str) -> Option<Difference> {
        let runs = |name: &str| self.settings.iter().find(|(found, _)| found == name);
        Some(self.compare(&runs(a)?.1, &runs(b)?.1))
    }

    fn compare(&self, a: &[ReplicationRow], b: &[ReplicationRow]) -> Difference {
        let difference = |(a, b): (&ReplicationRow, &ReplicationRow)| {
            Some(a.correct_test_images? as i64 - b.correct_test_images? as i64)
        };
        let differences: Vec<i64> = a.iter().zip(b).filter_map(difference).collect();
        let fractions: Vec<f64> = differences.iter().map(|&images| self.fraction(images as f64)).collect();
        let summary = SampleSummary::new(&fractions);
        let interval = summary.and_then(|s| s.mean_interval());
        let count = |sign: i64| differences.iter().filter(|d| d.signum() == sign).count();
        Difference {
            n: differences.len(),
            mean_difference: summary.map(|s| s.mean),
            sd_difference: summary.and_then(|s| s.sd),
            difference_95_low: interval.map(|i| i.low),
            difference_95_high: interval.map(|i| i.high),
            wins: count(1),
            ties: count(0),
            losses: count(-1),
            sign_flip_p: sign_flip_p(&differences),
            sign_flip_p_holm: None,
        }
    }

    /// Number of seeds.
    pub(super) fn seeds(&self) -> usize {
        self.settings.first().map_or(0, |(_, runs)| runs.len())
    }

    /// How the runs differ from the report's protocol, for readers.
    pub(super) fn departures(&self) -> Vec<String> {
        let of_run = |row: &ReplicationRow| {
            let splits = [&row.train_split, &row.validation_split, &row.test_split].map(String::clone);
            row.hyperparameters.departures(&splits)
        };
        // The runs of a replication share their schedule and their splits.
        self.settings.first().map_or(vec![], |(_, runs)| of_run(&runs[0]))
    }

    fn fraction(&self, images: f64) -> f64 {
        images / self.test_images as f64
    }
}

fn seed(row: &ReplicationRow) -> u64 {
    row.hyperparameters.seed
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::Merge(reason))
}

/// Adjusts the p-values of the rows of one table by Holm's method.
pub(super) fn adjust<'a>(differences: impl Iterator<Item = &'a mut Difference>) {
    let mut tested: Vec<_> = differences.filter(|difference| difference.sign_flip_p.is_some()).collect();
    let p: Vec<f64> = tested.iter().filter_map(|difference| difference.sign_flip_p).collect();
    for (difference, adjusted) in tested.iter_mut().zip(holm(&p)) {
        difference.sign_flip_p_holm = Some(adjusted);
    }
}

fn setting_row(name: &str, runs: &[ReplicationRow], accuracies: &[f64]) -> SettingRow {
    let first = &runs[0];
    let summary = SampleSummary::new(accuracies);
    let mean = summary.and_then(|s| s.mean_interval());
    let run = summary.and_then(|s| s.prediction_interval());
    SettingRow {
        setting: name.into(),
        lambda: first.hyperparameters.lambda,
        eta: first.hyperparameters.eta,
        n: accuracies.len(),
        diverged: runs.len() - accuracies.len(),
        mean: summary.map(|s| s.mean),
        sd: summary.and_then(|s| s.sd),
        min: summary.map(|s| s.min),
        max: summary.map(|s| s.max),
        mean_95_low: mean.map(|i| i.low),
        mean_95_high: mean.map(|i| i.high),
        run_95_low: run.map(|i| i.low),
        run_95_high: run.map(|i| i.high),
        reported: first.reported_test_accuracy,
        reported_in_run_95: run.zip(first.reported_test_accuracy).map(|(i, r)| i.contains(r)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicate::tests::{replication, row, rows};

    #[test]
    fn each_setting_is_summarised_over_the_seeds() {
        let replication = replication(&[("a", &[390, 400, 410]), ("b", &[380, 385, 420])]);
        let a = &replication.settings()[0];
        assert_eq!((a.setting.as_str(), a.n, a.diverged), ("a", 3, 0));
        assert_eq!((a.min, a.max), (Some(0.39), Some(0.41)));
        assert!((a.mean.unwrap() - 0.4).abs() < 1e-15);
        assert!((a.sd.unwrap() - 0.01).abs() < 1e-15);
        assert_eq!((a.reported, a.reported_in_run_95), (None, None));
    }

    #[test]
    fn the_reported_accuracy_is_compared_with_the_prediction_interval() {
        let mut rows = rows(&[("a", &[390, 400, 410])]);
        let mut reported = |figure| {
            rows.iter_mut().for_each(|row| row.reported_test_accuracy = Some(figure));
            Replication::new(&rows).unwrap().settings()[0].clone()
        };
        // 0.4 ± 4.30 · 0.01 · √(4/3) = 0.4 ± 0.0497: in the prediction interval, but outside that of the mean, 0.4 ± 0.0248.
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
        assert_eq!(
            (pair.difference.n, pair.difference.wins, pair.difference.ties, pair.difference.losses),
            (3, 1, 1, 1)
        );
        assert_eq!((pair.difference.mean_difference, pair.difference.sign_flip_p), (Some(0.0), Some(1.0)));
        assert_eq!(pair.difference.sign_flip_p_holm, Some(1.0));
    }

    #[test]
    fn p_values_are_adjusted_for_the_number_of_pairs() {
        let replication = replication(&[
            ("a", &[10, 11, 12, 13, 14, 15]),
            ("b", &[20, 22, 24, 26, 28, 31]),
            ("c", &[30, 33, 36, 39, 42, 47]),
        ]);
        for pair in replication.pairs() {
            assert_eq!(pair.difference.sign_flip_p, Some(2.0 / 64.0));
            assert_eq!(pair.difference.sign_flip_p_holm, Some(6.0 / 64.0));
        }
    }

    #[test]
    fn a_run_that_diverged_is_counted_and_its_seed_omitted_from_pairs() {
        let mut rows = rows(&[("a", &[390, 400, 410]), ("b", &[380, 400, 420])]);
        rows[0].correct_test_images = None;
        let replication = Replication::new(&rows).unwrap();
        let summary = replication.settings();
        assert_eq!((summary[0].n, summary[0].diverged), (2, 1));
        assert_eq!((summary[1].n, summary[1].diverged), (3, 0));
        assert_eq!(replication.pairs()[0].difference.n, 2);
        assert_eq!(replication.seeds(), 3);
    }

    #[test]
    fn fields_are_empty_with_one_seed_or_when_every_run_diverged() {
        let one = replication(&[("a", &[390]), ("b", &[380])]);
        let (summary, pair) = (&one.settings()[0], &one.pairs()[0]);
        assert_eq!((summary.mean, summary.sd, summary.run_95_low), (Some(0.39), None, None));
        assert_eq!((pair.difference.sd_difference, pair.difference.difference_95_low), (None, None));
        assert_eq!(pair.difference.sign_flip_p, Some(1.0));

        let mut rows = rows(&[("a", &[0]), ("b", &[0])]);
        rows[0].correct_test_images = None;
        let none = Replication::new(&rows).unwrap();
        let (summary, pair) = (&none.settings()[0], &none.pairs()[0]);
        assert_eq!((summary.n, summary.mean, summary.max), (0, None, None));
        assert_eq!((pair.difference.n, pair.difference.mean_difference, pair.difference.sign_flip_p), (0, None, None));
        assert_eq!(pair.difference.sign_flip_p_holm, None);
    }

    #[test]
    fn contradictory_rows_are_refused() {
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

    #[test]
    fn a_number_of_images_that_cannot_be_is_refused_with_its_run() {
        let one = |correct, images| {
            let mut rows = rows(&[("a", &[0])]);
            (rows[0].correct_test_images, rows[0].test_images) = (correct, images);
            Replication::new(&rows).map_err(|error| error.to_string())
        };
        for (correct, images) in [(Some(1), 1), (Some(0), 1), (Some(1_000_000), 1_000_000), (None, 1_000_000)] {
            assert!(one(correct, images).is_ok(), "{correct:?} of {images}");
        }
        for (correct, images, words) in [
            (Some(2), 1, "2 of 1 test images right, among runs with 1"),
            (Some(0), 0, "0 of 0 test images right, among runs with 0"),
            (None, 0, "none of 0 test images right, among runs with 0"),
            (Some(1), 1_000_001, "1 of 1000001 test images right, among runs with 1000001"),
        ] {
            assert_eq!(one(correct, images).unwrap_err(), format!("cannot merge: seed 1 of a has {words}"));
        }
        let mut rows = rows(&[("a", &[0, 0])]);
        rows[1].test_images = 999;
        let message = Replication::new(&rows).unwrap_err().to_string();
        assert_eq!(message, "cannot merge: seed 2 of a has 0 of 999 test images right, among runs with 1000");
    }

    #[test]
    fn the_intervals_of_a_setting_are_those_of_its_mean_and_of_one_run() {
        let mut rows = rows(&[("a", &[390, 400, 410])]);
        rows.iter_mut().for_each(|row| (row.hyperparameters.lambda, row.hyperparameters.eta) = (0.25, 0.5));
        let found = Replication::new(&rows).unwrap().settings().remove(0);
        assert_eq!((found.lambda, found.eta), (0.25, 0.5));
        // 4.302653 is the quantile of t with two degrees of freedom; 0.01 / √3 and 0.01 · √(4/3) its factors.
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-7;
        assert!(close(found.mean_95_low, 0.4 - 0.024_841_4) && close(found.mean_95_high, 0.4 + 0.024_841_4));
        assert!(close(found.run_95_low, 0.4 - 0.049_682_8) && close(found.run_95_high, 0.4 + 0.049_682_8));
    }

    #[test]
    fn the_accuracies_are_those_of_the_runs_by_seed_that_did_not_diverge() {
        let mut rows = rows(&[("a", &[390, 400, 410]), ("b", &[1000, 0, 500])]);
        rows[1].correct_test_images = None;
        rows.reverse();
        let replication = Replication::new(&rows).unwrap();
        assert_eq!(replication.accuracies(), [vec![1.0, 0.0, 0.5], vec![0.39, 0.41]]);
        assert_eq!((replication.mean("b"), replication.mean("c")), (Some(0.5), None));
        assert!((replication.mean("a").unwrap() - 0.4).abs() < 1e-15);
        let names: Vec<_> = replication.settings().into_iter().map(|row| row.setting).collect();
        assert_eq!(names, ["b", "a"], "in the order of the rows");
        assert!(Replication::new(&[]).unwrap().accuracies().is_empty());
    }

    #[test]
    fn a_difference_is_that_of_the_first_setting_minus_the_second_with_the_same_seed() {
        let replication = replication(&[("a", &[390, 400, 410, 405]), ("b", &[380, 400, 390, 407])]);
        // 0.010, 0, 0.020 and −0.002: a mean of 0.007 and a sum of squares about it of 0.000308.
        let found = replication.difference("a", "b").unwrap();
        assert_eq!((found.n, found.wins, found.ties, found.losses), (4, 2, 1, 1));
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-7;
        let sd = (0.000_308_f64 / 3.0).sqrt();
        assert!(close(found.mean_difference, 0.007) && close(found.sd_difference, sd), "{found:?}");
        // The quantile of t with three degrees of freedom is 3.182446.
        let half = 3.182_446 * sd / 2.0;
        assert!(close(found.difference_95_low, 0.007 - half) && close(found.difference_95_high, 0.007 + half));
        // Of the eight signs of 10, 20 and 2, those of +28, −28, +32, −32 add up to at least 28.
        assert_eq!((found.sign_flip_p, found.sign_flip_p_holm), (Some(0.5), None));
        let turned = replication.difference("b", "a").unwrap();
        assert_eq!((turned.wins, turned.ties, turned.losses), (1, 1, 2));
        assert_eq!(turned.mean_difference, found.mean_difference.map(|mean| -mean));
        assert_eq!((replication.difference("a", "c"), replication.difference("c", "a")), (None, None));
    }

    #[test]
    fn each_setting_is_paired_with_those_that_follow_it() {
        let replication = replication(&[("a", &[1, 2]), ("b", &[1, 3]), ("c", &[1, 4])]);
        let pairs = replication.pairs();
        let names: Vec<_> = pairs.iter().map(|row| (row.setting_a.as_str(), row.setting_b.as_str())).collect();
        assert_eq!(names, [("a", "b"), ("a", "c"), ("b", "c")]);
        let means = pairs.iter().map(|row| (row.difference.mean_difference.unwrap() * 1e4).round());
        assert_eq!(means.collect::<Vec<_>>(), [-5.0, -10.0, -5.0]);
        assert!(self::replication(&[("a", &[1])]).pairs().is_empty());
    }

    #[test]
    fn the_departures_from_the_report_are_those_of_the_first_run() {
        let mut rows = rows(&[("a", &[1])]);
        let [train, validation, test] = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"].map(String::from);
        (rows[0].train_split, rows[0].validation_split, rows[0].test_split) = (train, validation, test);
        assert!(Replication::new(&rows).unwrap().departures().is_empty());
        rows[0].hyperparameters.epochs = 2;
        assert_eq!(Replication::new(&rows).unwrap().departures(), ["2 epochs instead of 40"]);
        let none = Replication::new(&[]).unwrap();
        assert!(none.departures().is_empty() && none.seeds() == 0);
    }
}
