use std::path::Path;

use super::*;
use crate::dataset::tests::few;
use crate::files::csv::{Dialect, Row, from_csv, to_csv};
use crate::hyperparameters::{Decay, Hyperparameters, Loss, Setting};
use crate::replicate::tests::{Stopping, check_scores, row, rows_in};
use crate::shard::{ShardTable, Sharded, merge};

/// A configuration that differs from the report's protocol in everything.
fn best() -> Recipe {
    let decay = Decay::step(10, 0.3).unwrap();
    Recipe {
        setting: Setting::new(0.003, 0.01).unwrap().with_loss(Loss::Bce).with_decay(Some(decay)),
        schedule: Schedule { epochs: 30, batch_size: 50, flip: 0.5, seed: 7, ..Schedule::REPORT },
        report_images: false,
    }
}

fn reports() -> Recipe {
    Recipe { setting: Setting::REPORT[1], schedule: Schedule::REPORT, report_images: true }
}

fn seeds(count: usize, shard: &str) -> Seeds {
    Seeds { start: Origin::Random, first: 1, count, shard: shard.parse().unwrap() }
}

fn plan(full: Recipe) -> AblationPlan {
    AblationPlan::new(full, &seeds(3, "1/1")).unwrap()
}

fn names(full: Recipe) -> Vec<String> {
    Variant::of_configuration(full).unwrap().iter().map(|(variant, _)| variant.to_string()).collect()
}

#[test]
fn every_choice_that_the_report_makes_otherwise_is_left_out_alone_and_at_last_all_of_them() {
    let variants = Variant::of_configuration(best()).unwrap();
    let expected = "full without_lambda without_eta without_loss without_decay without_flip without_batch_size \
                    without_images report";
    assert_eq!(names(best()).join(" "), expected);
    let with = |name: &str| variants.iter().find(|(variant, _)| variant.to_string() == name).unwrap().1;
    assert_eq!(with("full"), best());
    let setting = best().setting;
    for (name, expected) in [
        ("without_lambda", Setting { lambda: 0.0, ..setting }),
        ("without_eta", Setting { eta: 0.001, ..setting }),
        ("without_loss", setting.with_loss(Loss::Softmax)),
        ("without_decay", setting.with_decay(None)),
    ] {
        assert_eq!(with(name), Recipe { setting: expected, ..best() }, "{name}");
    }
    for (name, expected) in [
        ("without_flip", Schedule { flip: 0.0, ..best().schedule }),
        ("without_batch_size", Schedule { batch_size: 100, ..best().schedule }),
    ] {
        assert_eq!(with(name), Recipe { schedule: expected, ..best() }, "{name}");
    }
    assert_eq!(with("without_images"), Recipe { report_images: true, ..best() });
    // The number of epochs is that of the configuration.
    let schedule = Schedule { epochs: 30, seed: 7, ..Schedule::REPORT };
    assert_eq!(with("report"), Recipe { schedule, ..reports() });
}

#[test]
fn a_choice_of_the_report_is_no_improvement_and_a_single_improvement_is_left_out_once() {
    let two = Recipe { setting: best().setting.with_loss(Loss::Softmax).with_decay(None), ..reports() };
    assert_eq!(names(two), ["full", "without_lambda", "without_eta", "report"]);
    let one = Recipe { report_images: false, ..reports() };
    assert_eq!(names(one), ["full", "without_images"]);
    let message = AblationPlan::new(reports(), &seeds(3, "1/1")).unwrap_err().to_string();
    assert!(message.starts_with("the configuration must differ from the report's protocol in λ, η, "), "{message}");
    assert_eq!(message.lines().count(), 1);
    // Epochs, shuffling and seed are no improvements.
    let schedule = Schedule { epochs: 3, seed: 1, shuffle: crate::hyperparameters::Shuffle::None, ..Schedule::REPORT };
    assert!(AblationPlan::new(Recipe { schedule, ..reports() }, &seeds(3, "1/1")).is_err());
}

#[test]
fn variants_of_one_stream_are_one_group() {
    let groups: Vec<_> = plan(best()).groups.iter().map(|group| group.variants.len()).collect();
    // The configuration and those without λ, η, loss and decay; then flip, batch size, images and the report.
    assert_eq!(groups, [5, 1, 1, 1, 1]);
    let no_flip = Recipe { schedule: Schedule { flip: 0.0, batch_size: 100, ..best().schedule }, ..best() };
    let plan = plan(no_flip);
    let groups: Vec<_> = plan.groups.iter().map(|group| (group.variants.len(), group.report_images)).collect();
    assert_eq!(groups, [(5, false), (2, true)]);
    assert!(plan.groups.iter().all(|group| group.variants.len() == group.plan.settings.len()));
}

#[test]
fn a_variant_that_cannot_be_trained_is_refused() {
    let plan = plan(Recipe { schedule: Schedule { batch_size: 200, ..best().schedule }, ..best() });
    plan.validate(200, 200).unwrap();
    assert!(plan.validate(199, 200).unwrap_err().to_string().starts_with("batch-size must be at most 199"));
    assert!(plan.validate(200, 199).unwrap_err().to_string().starts_with("batch-size must be at most 199"));
    let with = |seeds: Seeds| AblationPlan::new(best(), &seeds).unwrap().validate(1000, 1000);
    assert!(with(seeds(0, "1/1")).unwrap_err().to_string().starts_with("seeds must be at least 1"));
    let from_file = Seeds { start: Origin::File("0a".into()), ..seeds(1, "1/1") };
    assert!(with(from_file).unwrap_err().to_string().starts_with("start must be random or numpy"));
}

#[test]
fn every_variant_is_read_as_it_is_written() {
    let all: Vec<_> = Variant::all().collect();
    for variant in &all {
        assert_eq!(variant.to_string().parse::<Variant>().unwrap(), *variant);
        assert_eq!(all.iter().filter(|other| *other == variant).count(), 1);
    }
    for text in ["", "without_", "without_epochs", "Full"] {
        assert!(text.parse::<Variant>().is_err(), "{text}");
    }
}

/// The variants with the numbers of 1,000 test images that they classify correctly with the seeds from 1 on.
fn rows(variants: &[(Variant, &[usize])]) -> Vec<AblationRow> {
    let recipes = Variant::of_configuration(best()).unwrap();
    let of = |&(variant, counts): &(Variant, &[usize])| {
        let Recipe { setting, schedule, report_images } = recipes.iter().find(|(v, _)| *v == variant).unwrap().1;
        let row = move |(seed, &correct): (u64, &usize)| {
            let schedule = Schedule { seed, ..schedule };
            let mut run = row(&setting.name(), seed, correct);
            run.hyperparameters = Hyperparameters::new(setting, &schedule, &Origin::Random);
            let train_images = if report_images { 10_000 } else { 50_000 };
            AblationRow { ablation: "0123abcd".into(), variant, train_images, run }
        };
        (1..).zip(counts).map(row).collect::<Vec<_>>()
    };
    variants.iter().flat_map(of).collect()
}

const FULL: (Variant, &[usize]) = (Variant::Full, &[420, 421, 419, 422, 418, 420]);

/// A configuration whose flips bring 1.5 points, whose penalty costs half a point.
pub fn example() -> Vec<ImprovementRow> {
    improvements(&rows(&[
        FULL,
        (Variant::Without(Improvement::Lambda), &[425, 426, 424, 427, 423, 425]),
        (Variant::Without(Improvement::Flip), &[405, 406, 404, 407, 403, 405]),
        (Variant::Report, &[390, 391, 392, 389, 388, 390]),
    ]))
    .unwrap()
}

#[test]
fn the_largest_gain_comes_first_with_its_mean_interval_and_adjusted_p_value() {
    let rows = example();
    let improvements: Vec<_> = rows.iter().map(|row| row.improvement.as_str()).collect();
    assert_eq!(improvements, ["all", "flip", "lambda"]);
    let flip = &rows[1];
    assert_eq!(flip.description, "random flips with probability 0.5");
    assert!((flip.mean_with.unwrap() - 0.42).abs() < 1e-12 && (flip.mean_without.unwrap() - 0.405).abs() < 1e-12);
    let difference = &flip.difference;
    assert!((difference.mean_difference.unwrap() - 0.015).abs() < 1e-12);
    assert_eq!((difference.n, difference.wins, difference.losses), (6, 6, 0));
    // 2 / 2⁶, and three of them by Holm's method.
    assert_eq!((difference.sign_flip_p, difference.sign_flip_p_holm), (Some(2.0 / 64.0), Some(6.0 / 64.0)));
    assert_eq!((rows[2].difference.wins, rows[2].difference.losses), (0, 6));
    assert!(rows[0].difference.difference_95_low.unwrap() < rows[0].difference.difference_95_high.unwrap());
}

#[test]
fn each_improvement_is_described_by_both_choices() {
    let all: Vec<_> =
        Variant::of_configuration(best()).unwrap().iter().map(|(variant, _)| (*variant, FULL.1)).collect();
    let descriptions: Vec<_> = improvements(&rows(&all)).unwrap().into_iter().map(|row| row.description).collect();
    assert_eq!(
        descriptions,
        [
            "λ = 0.003 instead of 0",
            "η = 0.01 instead of 0.001",
            "sigmoids instead of softmax",
            "η × 0.3 every 10 epochs",
            "random flips with probability 0.5",
            "batches of 50 instead of 100",
            "50000 images instead of 10000",
            "all of these",
        ]
    );
}

#[test]
fn a_variant_that_diverged_is_the_last_and_one_that_diverged_once_is_paired_with_the_other_seeds() {
    let mut rows = rows(&[
        FULL,
        (Variant::Without(Improvement::Decay), &[1; 6]),
        (Variant::Without(Improvement::Flip), &[430; 6]),
    ]);
    rows.iter_mut().filter(|row| row.variant != Variant::Full).take(7).for_each(|row| {
        row.run.correct_test_images = None;
    });
    let improvements = improvements(&rows).unwrap();
    assert_eq!((improvements[0].improvement.as_str(), improvements[0].difference.n), ("flip", 5));
    let diverged = &improvements[1];
    assert_eq!((diverged.difference.n, diverged.mean_without, diverged.difference.sign_flip_p_holm), (0, None, None));
}

#[test]
fn contradictory_rows_are_refused() {
    let refusal = |change: fn(&mut Vec<AblationRow>)| {
        let mut rows = rows(&[FULL, (Variant::Report, FULL.1)]);
        change(&mut rows);
        improvements(&rows).unwrap_err().to_string()
    };
    assert_eq!(refusal(|rows| rows.push(rows[0].clone())), "cannot merge: seed 1 of full is there twice");
    assert_eq!(refusal(|rows| _ = rows.pop()), "cannot merge: seed 6 of report is missing");
    let only_report = refusal(|rows| rows.retain(|row| row.variant == Variant::Report));
    assert_eq!(only_report, "cannot merge: the runs of variant full are missing");
    assert!(improvements(&[]).is_err());
}

#[test]
fn every_table_reads_back_as_it_was() {
    let runs = rows(&[FULL, (Variant::Report, FULL.1)]);
    let path = Path::new("ablation.csv");
    assert_eq!(from_csv::<AblationRow>(&to_csv(&runs, Dialect::Semicolon), path).unwrap(), runs);
    let files = table::files(&example(), Dialect::Comma);
    assert_eq!(from_csv::<ImprovementRow>(&files[0].1, path).unwrap(), example());
    assert!(AblationRow::MEASURED.iter().all(|name| AblationRow::columns().contains(name)));
    assert_eq!(
        files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["ablation_summary.csv", "ablation.png"]
    );
}

/// Images of which only the numbers and the names matter here.
fn images() -> (Splits, [String; 3], Dataset) {
    let dims = crate::shape::Dims { features: 1, classes: 2 };
    let of = |n: usize| Dataset::new(dims, vec![0; n], vec![0; n]).unwrap();
    let splits = Splits { train: of(500), validation: of(0), test: of(1000) };
    (splits, ["all.bin", "none", "test.bin"].map(String::from), of(100))
}

/// The rows that are planned for a run of `plan`.
fn planned(plan: &AblationPlan, names: &[String; 3], run: usize) -> Vec<AblationRow> {
    let (splits, _, report) = images();
    plan.planned(run, &AblationImages { splits: &splits, names, report: &report, report_name: "one.bin" })
}

#[test]
fn a_planned_row_has_the_images_and_the_hyperparameters_of_its_variant() {
    let (_, names, _) = images();
    let rows = planned(&plan(best()), &names, 2);
    assert_eq!(rows.len(), 9);
    for row in &rows {
        let is_reports = ["without_images", "report"].contains(&row.variant.to_string().as_str());
        let expected = if is_reports { (100, "one.bin") } else { (500, "all.bin") };
        assert_eq!((row.train_images, row.run.train_split.as_str()), expected, "{}", row.variant);
        assert_eq!((row.run.hyperparameters.seed, row.run.hyperparameters.epochs), (3, 30));
    }
    assert_eq!(rows[0].run.setting, "lambda0.003_eta0.01_bce_decay10x0.3");
}

#[test]
fn an_ablation_is_resumed_with_more_seeds_but_not_another_one_and_only_shards_of_one_are_merged() {
    let (_, names, _) = images();
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::open(path.path()).unwrap();
    folder.write(&[("ablation.csv".into(), to_csv(&planned(&plan(best()), &names, 0), Dialect::Comma))]).unwrap();
    let resume = |full: Recipe, names: &[String; 3]| -> crate::Result<Vec<usize>> {
        let plan = AblationPlan::new(full, &seeds(5, "1/1")).unwrap();
        let (table, _) = ShardTable::open(&folder, Shard::WHOLE, 5, true, |run| planned(&plan, names, run))?;
        Ok(table.left())
    };
    assert_eq!(resume(best(), &names).unwrap(), [1, 2, 3, 4]);
    // The seed in the file of the configuration is not used.
    let other_seed = Recipe { schedule: Schedule { seed: 8, ..best().schedule }, ..best() };
    assert_eq!(resume(other_seed, &names).unwrap(), [1, 2, 3, 4]);
    let other = Recipe { setting: Setting { lambda: 0.1, ..best().setting }, ..best() };
    let message = resume(other, &names).unwrap_err().to_string();
    assert!(
        message.contains(
            "ablation.csv: cannot resume: it was made with another configuration, with the setting λ = 0.003"
        ),
        "{message}"
    );
    let other_images = ["others.bin", "none", "test.bin"].map(String::from);
    assert!(resume(best(), &other_images).is_err());

    let shard = |full: Recipe, shard: &str| {
        let plan = AblationPlan::new(full, &seeds(2, shard)).unwrap();
        let run = usize::from(shard == "2/2");
        (shard.into(), planned(&plan, &names, run))
    };
    assert_eq!(merge(vec![shard(best(), "2/2"), shard(best(), "1/2")]).unwrap().len(), 18);
    let message = merge(vec![shard(other, "2/2"), shard(best(), "1/2")]).unwrap_err().to_string();
    assert!(message.contains("from different jobs"), "{message}");
}

#[test]
fn each_row_has_the_scores_of_a_training_with_its_variant_and_its_images() {
    let (path, splits) = (tempfile::tempdir().unwrap(), few());
    let folder = Folder::open(path.path()).unwrap();
    // The configuration trains on more images than the report.
    let (report, _) = splits.train.hold_out(10).unwrap();
    let schedule = Schedule { epochs: 2, batch_size: 25, flip: 0.5, ..Schedule::REPORT };
    let setting = Setting::new(0.1, 0.002).unwrap();
    let small =
        |shard: &str| AblationPlan::new(Recipe { setting, schedule, report_images: false }, &seeds(2, shard)).unwrap();
    let names = ["all.bin", "validation.bin", "test.bin"].map(String::from);
    let images = AblationImages { splits: &splits, names: &names, report: &report, report_name: "one.bin" };
    let mut observer = Stopping::default();
    let found = run(&small("1/1"), &images, &folder, false, &mut observer).unwrap().unwrap();
    let rows: Vec<AblationRow> = rows_in(&folder, "ablation.csv");
    assert_eq!(rows.len(), 2 * 7, "the configuration, five improvements and the report");
    for row in &rows {
        let is_reports = row.run.train_split == "one.bin";
        let train = if is_reports { &report } else { &splits.train };
        assert_eq!(row.train_images, train.len());
        check_scores(&row.run, train, &splits);
    }
    assert!(rows.iter().any(|row| row.run.train_split == "one.bin"));
    assert_eq!(found, improvements(&rows).unwrap());
    assert_eq!(rows_in::<ImprovementRow>(&folder, "ablation_summary.csv"), found);
    // Two epochs each: three settings in 5 batches of 110 images; without flips; in 2 batches of 100; in 4 batches of the
    // report's 100 images; the report itself in one.
    let of_groups = [3 * 2 * 5, 2 * 5, 2 * 2, 2 * 4, 2];
    let of_seeds = [of_groups, of_groups].concat();
    let left: Vec<usize> = (0..10).map(|group| of_seeds[group..].iter().sum()).collect();
    assert_eq!(observer.batches, left);
    assert!(observer.messages[1].starts_with("2 of 2 seeds: test accuracy "), "{:?}", observer.messages);
    assert_eq!(observer.messages[1].matches(" %").count(), 7);
    let tables = ["1/2", "2/2"].map(|shard| {
        assert_eq!(run(&small(shard), &images, &folder, false, &mut ()).unwrap(), None);
        let name = shard.parse::<Shard>().unwrap().table(AblationRow::JOB);
        (name.clone().into(), rows_in::<AblationRow>(&folder, &name))
    });
    assert_eq!(merge(tables.to_vec()).unwrap(), rows);
}

#[test]
fn the_ends_of_a_gain_are_those_of_its_interval_or_none() {
    let mut rows = example();
    rows[1].difference.difference_95_high = None;
    rows[2].difference.mean_difference = None;
    let gains = table::gains(&rows);
    let labels: Vec<_> = gains.iter().map(|gain| gain.label.as_str()).collect();
    assert_eq!(labels, ["all of these", "random flips with probability 0.5", "λ = 0.003 instead of 0"]);
    let difference = &rows[0].difference;
    let interval = gains[0].interval.unwrap();
    assert_eq!(
        (Some(interval.low), Some(interval.high)),
        (difference.difference_95_low, difference.difference_95_high)
    );
    assert!((gains[0].mean.unwrap() - 0.03).abs() < 1e-12 && interval.low < 0.03 && 0.03 < interval.high);
    assert!(gains[1].interval.is_none() && gains[1].mean.is_some());
    assert!(gains[2].mean.is_none() && gains[2].interval.is_some());
}

#[test]
fn a_column_of_another_configuration_is_said_to_be_one_unless_it_has_an_option() {
    for (column, found, expected, words) in [
        ("seed", "1", "2", "--seed 1, not 2"),
        ("first_seed", "1", "2", "--first-seed 1, not 2"),
        ("seeds", "3", "4", "seeds 3, not 4"),
        ("shard", "1/2", "2/2", "--shard 1/2, not 2/2"),
        ("start", "random", "numpy", "--rng chacha8, not numpy"),
        ("shuffle", "none", "chacha8", "--no-shuffle, not shuffled images"),
        ("ablation", "0a", "0b", "another configuration"),
        ("lambda", "0.1", "0.2", "another configuration, with --lambda 0.1, not 0.2"),
        ("train_images", "10", "20", "another configuration, with train images 10, not 20"),
    ] {
        assert_eq!(AblationRow::difference(column, found, expected), words);
    }
}

#[test]
fn an_ablation_is_named_by_its_digits_its_seeds_and_its_test_images() {
    let (_, names, _) = images();
    let row = planned(&plan(best()), &names, 2).remove(1);
    let expected = format!("ablation {}; 3 seeds from 1; tested on the 1000 images of test.bin", row.ablation);
    assert_eq!(row.job(), expected);
    assert!(row.ablation.len() == 8 && row.ablation.chars().all(|digit| digit.is_ascii_hexdigit()), "{}", row.ablation);
    assert_eq!((row.name(), row.run(), row.runs()), ("seed 3 of without_lambda".into(), 2, 3));
    assert_eq!((row.in_words(), row.shard()), ("--first-seed 1 --seeds 3".into(), Shard::WHOLE));
    let second = row.clone().in_shard("2/3".parse().unwrap());
    assert_eq!((second.shard(), second.run()), ("2/3".parse().unwrap(), 2));
    assert_eq!(second.in_shard(Shard::WHOLE), row);
    let mut more = row.clone();
    (more.run.first_seed, more.run.seeds, more.train_images) = (0, 9, 1);
    let found = row.clone().with_runs_of(&more);
    assert_eq!((found.run.first_seed, found.run.seeds, found.train_images), (0, 9, row.train_images));
    let run: &ReplicationRow = row.as_ref();
    assert_eq!(run, &row.run);
}

#[test]
fn the_digits_of_an_ablation_are_those_of_its_variants_and_its_images() {
    let (splits, names, report) = images();
    let digest = |full: Recipe, start: Origin, names: &[String; 3], report_name: &str| {
        let plan = AblationPlan::new(full, &Seeds { start, ..seeds(3, "1/1") }).unwrap();
        plan.digest(&AblationImages { splits: &splits, names, report: &report, report_name })
    };
    let expected = digest(best(), Origin::Random, &names, "one.bin");
    let other = |names: [&str; 3]| names.map(String::from);
    assert_eq!(digest(best(), Origin::Random, &other(["all.bin", "validation.bin", "test2.bin"]), "one.bin"), expected);
    let seeded = Recipe { schedule: Schedule { seed: 8, ..best().schedule }, ..best() };
    assert_eq!(digest(seeded, Origin::Random, &names, "one.bin"), expected);
    let longer = Recipe { schedule: Schedule { epochs: 31, ..best().schedule }, ..best() };
    let others = [
        digest(longer, Origin::Random, &names, "one.bin"),
        digest(best(), Origin::Numpy, &names, "one.bin"),
        digest(best(), Origin::Random, &other(["other.bin", "none", "test.bin"]), "one.bin"),
        digest(best(), Origin::Random, &names, "two.bin"),
    ];
    assert!(others.iter().all(|other| *other != expected), "{others:?}");
}

#[test]
fn an_ablation_that_is_stopped_before_its_first_seed_has_no_closing_table() {
    let (path, splits) = (tempfile::tempdir().unwrap(), few());
    let folder = Folder::open(path.path()).unwrap();
    let names = ["all.bin", "validation.bin", "test.bin"].map(String::from);
    let images = AblationImages { splits: &splits, names: &names, report: &splits.train, report_name: "all.bin" };
    let plan = plan(Recipe { schedule: Schedule { epochs: 2, batch_size: 25, ..Schedule::REPORT }, ..best() });
    let mut stopping = Stopping { after: Some(0), ..Stopping::default() };
    let stopped = run(&plan, &images, &folder, false, &mut stopping).unwrap_err();
    assert_eq!(stopped.to_string(), "stopped after 0 of 3 seeds");
    assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 0);
}

#[test]
fn a_variant_is_named_by_what_it_leaves_out() {
    let names: Vec<_> = Variant::all().map(Variant::left_out).collect();
    let improvements = ["lambda", "eta", "loss", "decay", "flip", "batch_size", "images"];
    assert_eq!(names, [&["none"][..], &improvements, &["all"]].concat());
    assert_eq!(Variant::default(), Variant::Full);
}

#[test]
fn a_learning_rate_without_a_decay_is_constant_and_half_a_decay_is_refused() {
    let mut rows = rows(&[(Variant::Full, &[1]), (Variant::Without(Improvement::Decay), &[1])]);
    let describe = |variant: Variant, rows: &[AblationRow]| variant.describe(&rows[0], &rows[1]);
    let decay = Variant::Without(Improvement::Decay);
    assert_eq!(describe(decay, &rows).unwrap(), "η × 0.3 every 10 epochs");
    for variant in [Variant::Full, Variant::Report] {
        assert_eq!(describe(variant, &rows).unwrap(), "all of these");
    }
    rows[0].run.hyperparameters.decay_factor = None;
    assert!(describe(decay, &rows).is_err());
    rows[0].run.hyperparameters.decay_every = None;
    assert_eq!(describe(decay, &rows).unwrap(), "constant η");
}
