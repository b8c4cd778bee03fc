//! Over-fitting of a softmax and of sigmoids: how much better each does on the training images than on others.
//!
//! Each softmax setting is trained together with its [`counterpart`], many times with different seeds. The two losses have
//! different units, so what is compared is the gap of the accuracies, training minus validation.

pub mod table;

use std::collections::BTreeMap;

use self::table::{ComparisonRow, OverfittingRow, files};
use super::conclusions::MIN_SEEDS;
use super::table::ReplicationRow;
use super::{Replication, ReplicationPlan, train_seeds};
use crate::dataset::Splits;
use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::files::folder::Folder;
use crate::hyperparameters::{Loss, Setting};
use crate::shard::Shard;
use crate::statistics::{Interval, SampleSummary};
use crate::train::{Data, Observer};

/// Explains the pairs, for readers.
pub const COUNTERPARTS: &str = "The sigmoids have λ / 10 and 10 η because their loss is a mean over the ten classes; so both \
                                take the same steps. The losses have different units, so only the accuracies are compared.";

/// Which loss is said to over-fit less, and what that can mean, for readers.
pub const SCOPE: &str = "A loss over-fits less if the 95 % confidence interval of the difference lies on one side of 0; \
                         otherwise, and with fewer than 6 seeds, it is undecided. Runs with the same seed are paired. All \
                         of this is about the variation between seeds, and about these settings: a smaller gap is no gain \
                         by itself if both accuracies are lower.";

/// The sigmoids that take the same steps as `softmax`, with `classes` classes.
///
/// The binary cross-entropy is a mean over the classes, and the cross-entropy of a softmax is not. With η · k instead of η, and
/// λ / k instead of λ, a step of both is −η times (the gradient of the sum over the classes + 2 λ · weight).
///
/// # Errors
///
/// Those of [`Setting::new`].
pub fn counterpart(softmax: Setting, classes: usize) -> Result<Setting> {
    let classes = classes as f64;
    // 0.7 / 10 is 0.06999999999999999; 15 digits are those that a user would write.
    let written = |number: f64| format!("{number:.14e}").parse().unwrap_or(number);
    let sigmoids = Setting::new(written(softmax.lambda() / classes), written(softmax.eta() * classes))?;
    Ok(sigmoids.with_loss(Loss::Bce).with_decay(softmax.decay))
}

/// `plan`, each of whose settings has a softmax, with the counterpart of each setting after it.
///
/// # Errors
///
/// Those of [`counterpart`]; [`Error::InvalidValue`] for a setting with sigmoids.
pub fn with_counterparts(plan: &ReplicationPlan, classes: usize) -> Result<ReplicationPlan> {
    if let Some(setting) = plan.settings.iter().find(|setting| setting.loss() != Loss::Softmax) {
        return Err(Error::invalid("settings", "with a softmax", setting.name()));
    }
    let pair = |&softmax: &Setting| Ok([softmax, counterpart(softmax, classes)?]);
    let pairs: Vec<_> = plan.settings.iter().map(pair).collect::<Result<_>>()?;
    Ok(ReplicationPlan { settings: pairs.concat(), ..plan.clone() })
}

/// Trains the seeds of the shard of `plan`, whose settings come [in pairs](with_counterparts), those that the table in `folder`
/// lacks if `resume`. Writes the table after every seed and, for a whole comparison, the closing table at the end, also if
/// training is interrupted. Returns the rows of the closing table of a whole comparison, `None` for a shard.
///
/// # Errors
///
/// As [`replicate::run`](super::run), and [`Error::InvalidValue`] if the validation split is empty.
pub fn run(
    plan: &ReplicationPlan,
    splits: &Splits,
    names: &[String; 3],
    folder: &Folder,
    resume: bool,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<ComparisonRow>>> {
    plan.validate(splits.train.len())?;
    if splits.validation.is_empty() {
        return Err(Error::invalid("validation-size", "above 0 for a comparison of over-fitting", 0));
    }
    let normalizer = Normalizer::fit(&splits.train)?;
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let in_pairs = |runs: Vec<ReplicationRow>| -> Vec<OverfittingRow> {
        runs.into_iter().enumerate().map(|(i, run)| OverfittingRow { pair: i / 2 + 1, run }).collect()
    };
    let runs = |run| ReplicationRow::planned(plan, run, names, splits.test.len());
    let batches = plan.batches(splits.train.len());
    let train = |run, seeds_left, observer: &mut dyn Observer| {
        observer.training(plan.settings.len(), batches * seeds_left);
        Ok(in_pairs(plan.train(runs(run), data, &splits.test, observer)?))
    };
    let (rows, stopped) = train_seeds(plan, folder, resume, |run| in_pairs(runs(run)), train, observer)?;
    let whole = plan.shard == Shard::WHOLE && !rows.is_empty();
    let comparisons = whole.then(|| comparisons(&rows)).transpose()?;
    if let Some(comparisons) = &comparisons {
        folder.write(&files(comparisons, folder.dialect()))?;
    }
    stopped.map_or(Ok(comparisons), Err)
}

/// The rows of `overfitting_summary.csv` from those of a whole comparison.
///
/// # Errors
///
/// [`Error::Merge`] if a row is there twice, a seed lacks a setting, a pair lacks one of its losses, or the numbers of images
/// contradict each other.
pub fn comparisons(rows: &[OverfittingRow]) -> Result<Vec<ComparisonRow>> {
    Replication::named(rows.iter().map(|row| (row.run.setting.clone(), &row.run)))?;
    let mut pairs = BTreeMap::<usize, [BTreeMap<u64, &ReplicationRow>; 2]>::new();
    for row in rows {
        let loss = usize::from(row.run.hyperparameters.loss == Loss::Bce);
        pairs.entry(row.pair).or_default()[loss].insert(row.run.hyperparameters.seed, &row.run);
    }
    let compare = |(pair, [softmax, sigmoids]): (&usize, &[BTreeMap<u64, &ReplicationRow>; 2])| {
        if !softmax.keys().eq(sigmoids.keys()) {
            return Err(Error::Merge(format!("pair {pair} must have a softmax and sigmoids for every seed")));
        }
        Ok(compare(&softmax.values().copied().zip(sigmoids.values().copied()).collect::<Vec<_>>()))
    };
    pairs.iter().map(compare).collect()
}

/// The comparison of the runs of a pair, a softmax and sigmoids with the same seed each.
fn compare(runs: &[(&ReplicationRow, &ReplicationRow)]) -> ComparisonRow {
    let gap = |run: &ReplicationRow| Some(run.train_accuracy? - run.validation_accuracy?);
    let finished: Vec<_> = runs.iter().copied().filter(|(a, b)| gap(a).and(gap(b)).is_some()).collect();
    let summary = |value: &dyn Fn(&(&ReplicationRow, &ReplicationRow)) -> Option<f64>| {
        SampleSummary::new(&finished.iter().filter_map(value).collect::<Vec<_>>())
    };
    let softmax = |value: fn(&ReplicationRow) -> Option<f64>| Some(summary(&|(run, _)| value(run))?.mean);
    let sigmoids = |value: fn(&ReplicationRow) -> Option<f64>| Some(summary(&|(_, run)| value(run))?.mean);
    let loss_gap = |run: &ReplicationRow| Some(run.validation_loss? - run.train_loss?);
    let difference = summary(&|(a, b)| Some(gap(a)? - gap(b)?));
    let interval = difference.and_then(|s| s.mean_interval());
    ComparisonRow {
        softmax: runs[0].0.setting.clone(),
        sigmoids: runs[0].1.setting.clone(),
        n: finished.len(),
        softmax_train_accuracy: softmax(|run| run.train_accuracy),
        softmax_validation_accuracy: softmax(|run| run.validation_accuracy),
        softmax_gap: softmax(gap),
        sigmoids_train_accuracy: sigmoids(|run| run.train_accuracy),
        sigmoids_validation_accuracy: sigmoids(|run| run.validation_accuracy),
        sigmoids_gap: sigmoids(gap),
        gap_difference: difference.map(|s| s.mean),
        gap_difference_95_low: interval.map(|i| i.low),
        gap_difference_95_high: interval.map(|i| i.high),
        softmax_loss_gap: softmax(loss_gap),
        sigmoids_loss_gap: sigmoids(loss_gap),
        overfits_less: overfits_less(finished.len(), interval).into(),
    }
}

/// The loss with the smaller gap, if the interval of the difference, softmax minus sigmoids, decides it.
fn overfits_less(seeds: usize, difference: Option<Interval>) -> &'static str {
    match difference {
        Some(interval) if seeds >= MIN_SEEDS && interval.low > 0.0 => "sigmoids",
        Some(interval) if seeds >= MIN_SEEDS && interval.high < 0.0 => "softmax",
        _ => "undecided",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::dataset::tests::few;
    use crate::files::csv::{Dialect, Row, from_csv};
    use crate::hyperparameters::{Decay, Hyperparameters, Origin, Schedule};
    use crate::replicate::tests::{Stopping, check_scores, rows_in};
    use crate::shard::Sharded;

    fn plan() -> ReplicationPlan {
        ReplicationPlan {
            settings: vec![Setting::REPORT[1], Setting::REPORT[2]],
            schedule: Schedule::REPORT,
            start: Origin::Random,
            first_seed: 1,
            seeds: 6,
            shard: Shard::WHOLE,
        }
    }

    /// A run whose training accuracy is 0.4 + `gap`, and whose validation accuracy is 0.4.
    fn row(pair: usize, seed: u64, setting: Setting, gap: f64) -> OverfittingRow {
        let schedule = Schedule { seed, ..Schedule::REPORT };
        let run = ReplicationRow {
            setting: setting.name(),
            hyperparameters: Hyperparameters::new(setting, &schedule, &Origin::Random),
            train_loss: Some(1.5),
            train_accuracy: Some(0.4 + gap),
            validation_loss: Some(1.75),
            validation_accuracy: Some(0.4),
            correct_test_images: Some(400),
            test_images: 1000,
            ..ReplicationRow::default()
        };
        OverfittingRow { pair, run }
    }

    /// Two pairs with six seeds: the sigmoids of the first have the smaller gap, those of the second have the same on average.
    fn rows() -> Vec<OverfittingRow> {
        let settings = with_counterparts(&plan(), 10).unwrap().settings;
        let of_seed = |seed: u64| {
            let noise = 0.001 * seed as f64;
            let sign = if seed.is_multiple_of(2) { 1.0 } else { -1.0 };
            let gaps = [0.06 + noise, 0.04 - noise, 0.05, 0.05 + 0.01 * sign];
            (0..4).map(move |i| row(i / 2 + 1, seed, settings_of(i), gaps[i])).collect::<Vec<_>>()
        };
        assert_eq!(settings.len(), 4);
        (1..=6).flat_map(of_seed).collect()
    }

    fn settings_of(i: usize) -> Setting {
        with_counterparts(&plan(), 10).unwrap().settings[i]
    }

    pub fn example() -> Vec<ComparisonRow> {
        comparisons(&rows()).unwrap()
    }

    #[test]
    fn sigmoids_take_the_steps_of_their_softmax() {
        let softmax = Setting::new(0.1, 0.001).unwrap().with_decay(Some(Decay::step(10, 0.5).unwrap()));
        assert_eq!(counterpart(softmax, 10).unwrap().name(), "lambda0.01_eta0.01_bce_decay10x0.5");
        let odd = Setting::new(0.7, 0.0003).unwrap();
        assert_eq!(counterpart(odd, 10).unwrap().name(), "lambda0.07_eta0.003_bce", "as a user would write them");
        let names: Vec<_> = with_counterparts(&plan(), 10).unwrap().settings.iter().map(|s| s.name()).collect();
        assert_eq!(names, ["lambda0_eta0.001", "lambda0_eta0.01_bce", "lambda0.1_eta0.001", "lambda0.01_eta0.01_bce"]);
        let sigmoids = ReplicationPlan { settings: vec![softmax.with_loss(Loss::Bce)], ..plan() };
        let message = with_counterparts(&sigmoids, 10).unwrap_err().to_string();
        assert!(message.starts_with("settings must be with a softmax, but is lambda0.1_eta0.001_bce"), "{message}");
    }

    #[test]
    fn the_gradient_of_sigmoids_is_that_of_their_softmax_but_for_the_probabilities() {
        use crate::network::{Parameters, passes};
        use crate::shape::Dims;
        let dims = Dims { features: 3, classes: 2 };
        let parameters = Parameters::new(dims, vec![0.5, -0.25, 1.0, 0.125, 0.75, -0.5], vec![0.0; 2]).unwrap();
        let (x, softmax) = ([0.5, -1.0, 2.0], Setting::new(0.25, 0.125).unwrap());
        let sigmoids = counterpart(softmax, 2).unwrap();
        // With the same `dlogits` but for the mean over the classes, both take the same step.
        let (dlogits, mean) = ([0.5, -0.25], [0.25, -0.125]);
        let step = |setting: Setting, dlogits: &[f32]| {
            let mut moved = parameters.clone();
            let gradients = passes::backward(&parameters, &x, dlogits, setting.lambda() as f32);
            passes::update(&mut moved, &gradients, setting.eta() as f32);
            moved
        };
        assert_eq!(step(softmax, &dlogits), step(sigmoids, &mean));
        let (_, found) = passes::sigmoid_binary_cross_entropy(&passes::forward(&parameters, &x), &[0]);
        let probability = |z: f32| 1.0 / (1.0 + (-z).exp());
        let expected = (probability(passes::forward(&parameters, &x)[0]) - 1.0) / 2.0;
        assert!((found[0] - expected).abs() < 1e-6);
    }

    #[test]
    fn gaps_are_paired_by_seed_and_decided_by_their_interval() {
        let found = example();
        let [first, second] = &found[..] else { panic!("{found:?}") };
        assert_eq!((first.softmax.as_str(), first.sigmoids.as_str()), ("lambda0_eta0.001", "lambda0_eta0.01_bce"));
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(close(first.softmax_gap, 0.0635) && close(first.sigmoids_gap, 0.0365), "{first:?}");
        assert!(close(first.gap_difference, 0.027) && close(first.softmax_train_accuracy, 0.4635));
        // Differences 0.022, 0.024, …, 0.032: t(5) 2.5706 · 0.0037417 / √6.
        assert!((first.gap_difference_95_low.unwrap() - (0.027 - 0.003_926_7)).abs() < 1e-6, "{first:?}");
        assert!(close(first.softmax_loss_gap, 0.25) && close(first.sigmoids_validation_accuracy, 0.4));
        assert_eq!((first.n, first.overfits_less.as_str()), (6, "sigmoids"));
        assert_eq!(second.overfits_less, "undecided");

        let mut swapped = rows();
        for row in &mut swapped {
            row.run.train_accuracy = row.run.train_accuracy.map(|accuracy| 1.0 - accuracy);
        }
        assert_eq!(comparisons(&swapped).unwrap()[0].overfits_less, "softmax");
        let few: Vec<_> = rows().into_iter().filter(|row| row.run.hyperparameters.seed < 6).collect();
        assert_eq!(comparisons(&few).unwrap()[0].overfits_less, "undecided", "five seeds are too few");
    }

    #[test]
    fn a_diverged_run_leaves_its_seed_out_and_a_missing_one_is_refused() {
        let mut diverged = rows();
        (diverged[0].run.train_accuracy, diverged[0].run.correct_test_images) = (None, None);
        let found = comparisons(&diverged).unwrap();
        assert_eq!((found[0].n, found[1].n), (5, 6));
        let mut none = rows();
        none.iter_mut().for_each(|row| row.run.train_accuracy = None);
        let none = &comparisons(&none).unwrap()[0];
        assert_eq!((none.n, none.softmax_gap, none.gap_difference), (0, None, None));

        let mut missing = rows();
        missing.pop();
        assert!(comparisons(&missing).unwrap_err().to_string().contains("seed 6 of lambda0.01_eta0.01_bce is missing"));
        let only: Vec<_> = rows().into_iter().filter(|row| row.run.hyperparameters.loss == Loss::Bce).collect();
        let message = comparisons(&only).unwrap_err().to_string();
        assert_eq!(message, "cannot merge: pair 1 must have a softmax and sigmoids for every seed");
    }

    #[test]
    fn each_row_has_the_scores_of_a_training_with_its_seed_alone() {
        let (path, splits) = (tempfile::tempdir().unwrap(), few());
        let folder = Folder::open(path.path()).unwrap();
        let schedule = Schedule { epochs: 2, batch_size: 25, ..Schedule::REPORT };
        let small = |shard| {
            let small = ReplicationPlan { schedule, seeds: 2, settings: vec![Setting::REPORT[2]], shard, ..plan() };
            with_counterparts(&small, 10).unwrap()
        };
        let names = ["train.bin", "validation.bin", "test.bin"].map(String::from);
        let mut observer = Stopping::default();
        let found = run(&small(Shard::WHOLE), &splits, &names, &folder, false, &mut observer).unwrap().unwrap();
        let rows: Vec<OverfittingRow> = rows_in(&folder, "overfitting.csv");
        assert_eq!(
            rows.iter().map(|row| (row.pair, row.run.hyperparameters.seed)).collect::<Vec<_>>(),
            [(1, 1), (1, 1), (1, 2), (1, 2)]
        );
        rows.iter().for_each(|row| check_scores(&row.run, &splits.train, &splits));
        assert_eq!(found, comparisons(&rows).unwrap());
        assert_eq!(rows_in::<ComparisonRow>(&folder, "overfitting_summary.csv"), found);
        assert_eq!(observer.batches, [40, 20], "two settings, two epochs of five batches");
        let tables = [1, 2].map(|i| {
            let shard: Shard = format!("{i}/2").parse().unwrap();
            assert_eq!(run(&small(shard), &splits, &names, &folder, false, &mut ()).unwrap(), None);
            let name = shard.table("overfitting");
            (name.clone().into(), rows_in::<OverfittingRow>(&folder, &name))
        });
        assert_eq!(crate::shard::merge(tables.to_vec()).unwrap(), rows);
        let (_, validation) = splits.validation.hold_out(0).unwrap();
        let without = Splits { validation, ..splits };
        let message = run(&small(Shard::WHOLE), &without, &names, &folder, false, &mut ()).unwrap_err().to_string();
        assert!(message.starts_with("validation-size must be above 0"), "{message}");
    }

    #[test]
    fn a_loss_over_fits_less_if_its_interval_is_on_one_side_of_zero_and_there_are_six_seeds() {
        for (seeds, low, high, expected) in [
            (6, 0.001, 0.002, "sigmoids"),
            (7, 0.001, 0.002, "sigmoids"),
            (6, -0.002, -0.001, "softmax"),
            (6, 0.0, 0.002, "undecided"),
            (6, -0.002, 0.0, "undecided"),
            (6, -0.001, 0.001, "undecided"),
            (5, 0.001, 0.002, "undecided"),
            (5, -0.002, -0.001, "undecided"),
            (0, 0.001, 0.002, "undecided"),
        ] {
            assert_eq!(overfits_less(seeds, Some(Interval { low, high })), expected, "{seeds} seeds, {low} to {high}");
        }
        assert_eq!(overfits_less(6, None), "undecided");
    }

    #[test]
    fn the_gaps_of_the_losses_are_validation_minus_training_over_the_seeds_that_are_compared() {
        let mut rows = rows();
        for row in rows.iter_mut().filter(|row| row.pair == 1) {
            let seed = row.run.hyperparameters.seed as f64;
            let factor = if row.run.hyperparameters.loss == Loss::Bce { 0.1 } else { 1.0 };
            (row.run.train_loss, row.run.validation_loss) = (Some(factor), Some(factor * (1.0 + seed / 16.0)));
        }
        // Without the last seed, the gaps are 1/16, …, 5/16 and a tenth of these.
        let last = rows.iter().position(|row| row.pair == 1 && row.run.hyperparameters.seed == 6).unwrap();
        rows[last].run.validation_accuracy = None;
        let found = &comparisons(&rows).unwrap()[0];
        assert_eq!(found.n, 5);
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(close(found.softmax_loss_gap, 3.0 / 16.0) && close(found.sigmoids_loss_gap, 0.3 / 16.0), "{found:?}");
        assert!(close(found.softmax_gap, 0.063) && close(found.sigmoids_gap, 0.037), "{found:?}");
        assert!(close(found.sigmoids_train_accuracy, 0.437) && close(found.softmax_validation_accuracy, 0.4));
    }

    #[test]
    fn a_comparison_is_named_by_its_runs() {
        let row = row(2, 3, settings_of(3), 0.1);
        let row = OverfittingRow { run: ReplicationRow { first_seed: 1, seeds: 6, ..row.run }, ..row };
        assert_eq!(row.job(), format!("comparison of over-fitting with {}", row.run.job()));
        assert!(row.job().starts_with("comparison of over-fitting with 6 seeds from 1; start "), "{}", row.job());
        assert_eq!((row.name(), row.run(), row.runs()), ("seed 3 of λ = 0.01, η = 0.01, sigmoids".into(), 2, 6));
        assert_eq!((row.in_words(), row.shard()), ("--first-seed 1 --seeds 6".into(), Shard::WHOLE));
        let second = row.clone().in_shard("2/3".parse().unwrap());
        assert_eq!((second.shard(), second.pair), ("2/3".parse().unwrap(), 2));
        assert_eq!(second.in_shard(Shard::WHOLE), row);
        let mut more = row.clone();
        (more.pair, more.run.first_seed, more.run.seeds) = (1, 0, 9);
        let found = row.clone().with_runs_of(&more);
        assert_eq!((found.pair, found.run.first_seed, found.run.seeds), (2, 0, 9));
        let run: &ReplicationRow = row.as_ref();
        assert_eq!(run, &row.run);
        let tables = files(&example(), Dialect::Semicolon);
        assert_eq!((tables.len(), tables[0].0.as_str()), (1, "overfitting_summary.csv"));
        let path = std::path::Path::new("overfitting_summary.csv");
        assert_eq!(from_csv::<ComparisonRow>(&tables[0].1, path).unwrap(), example());
        assert!(OverfittingRow::MEASURED.iter().all(|name| OverfittingRow::columns().contains(name)));
    }

    #[test]
    fn a_comparison_that_is_stopped_before_its_first_seed_has_no_closing_table() {
        let (path, splits) = (tempfile::tempdir().unwrap(), few());
        let folder = Folder::open(path.path()).unwrap();
        let schedule = Schedule { epochs: 2, batch_size: 25, ..Schedule::REPORT };
        let plan = with_counterparts(&ReplicationPlan { schedule, ..plan() }, 10).unwrap();
        let names = ["train.bin", "validation.bin", "test.bin"].map(String::from);
        let mut stopping = Stopping { after: Some(0), ..Stopping::default() };
        let stopped = run(&plan, &splits, &names, &folder, false, &mut stopping).unwrap_err();
        assert_eq!(stopped.to_string(), "stopped after 0 of 6 seeds");
        assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 0);
        // Four settings, two epochs of five batches, six seeds.
        assert_eq!(stopping.batches, [4 * 2 * 5 * 6]);
    }
}
