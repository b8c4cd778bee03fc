use tempfile::TempDir;

use super::*;
use crate::evaluate::table::confusion_csv;
use crate::figures::snapshots::encode;
use crate::files::csv::{Dialect, to_csv};
use crate::hyperparameters::Hyperparameters;
use crate::page::tests::*;
use crate::replicate::tests::rows;
use crate::train::table::ScoreColumns;

const NAME: &str = "lambda0_eta0.1";

/// A folder with the setting [`NAME`]: its summary, its curves and its confusion matrix.
fn small() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    write("summary.csv", to_csv(&[summary_row(NAME)], Dialect::Comma));
    write(&format!("curves_{NAME}.csv"), to_csv(&[curve_row(1), curve_row(2)], Dialect::Comma));
    let confusion = Confusion::from_counts(10, (0..100).collect());
    write(&format!("confusion_{NAME}.csv"), confusion_csv(&confusion, Dialect::Comma));
    folder
}

/// The setting of [`small`], after `change`.
fn setting(change: impl Fn(&Path)) -> SettingPart {
    let folder = small();
    change(folder.path());
    Contents::read(folder.path()).unwrap().settings.remove(0)
}

fn remove(folder: &Path, name: &str) {
    fs::remove_file(folder.join(name)).unwrap();
}

fn write_curves(folder: &Path, rows: &[CurveRow]) {
    fs::write(folder.join(format!("curves_{NAME}.csv")), to_csv(rows, Dialect::Comma)).unwrap();
}

#[test]
fn a_selection_of_epochs_is_evenly_spaced_and_ends_with_the_last() {
    for (epochs, shown, first) in [
        (0, 0, None),
        (1, 1, Some(1)),
        (200, 200, Some(1)),
        (201, 101, Some(1)),
        (400, 200, Some(2)),
        (401, 134, Some(2)),
    ] {
        let rows: Vec<_> = (1..=epochs).map(curve_row).collect();
        let found: Vec<_> = thin(&rows).iter().map(|row| row.epoch).collect();
        assert_eq!((found.len(), found.first().copied()), (shown, first), "{epochs}");
        assert_eq!(found.last().copied(), rows.last().map(|row| row.epoch));
        let step = epochs.div_ceil(200);
        assert!(found.windows(2).all(|pair| pair[1] - pair[0] == step), "{epochs}");
    }
}

#[test]
fn the_largest_number_of_seeds_is_up_to_that_unless_all_are_the_same() {
    for (numbers, expected) in [
        (&[][..], "0 seeds"),
        (&[1], "1 seed"),
        (&[20, 20], "20 seeds"),
        (&[20, 19], "up to 20 seeds"),
        (&[19, 20, 20], "up to 20 seeds"),
        (&[0, 1], "up to 1 seed"),
    ] {
        assert_eq!(seeds(numbers.iter().copied()), expected, "{numbers:?}");
    }
}

#[test]
fn a_split_is_of_the_sample_if_its_description_names_a_file_of_it() {
    for (split, expected) in [
        ("train.bin", true),
        ("validation.bin", true),
        ("sample/test.bin", true),
        ("the last 3 images of each class of sample/train.bin", true),
        ("data_batch_1.bin", false),
        ("my_train.bin", false),
        ("train.bin.gz", false),
        ("", false),
    ] {
        assert_eq!(is_of_sample(split), expected, "{split}");
    }
}

#[test]
fn a_check_is_of_the_sample_if_its_largest_problem_has_all_training_images() {
    let row = |problem: &&str| gradcheck_row(problem, "f64 reference", Some(1e-9), "PASS");
    for (problems, expected) in [
        (&["1000 images, the start"][..], true),
        (&["1000 images, the start", "tiny", "100 images, the start"], true),
        (&["1000 images, the start", "1001 images, the start"], false),
        (&["999 images, the start"], false),
        (&["1000 images"], false),
        (&["tiny"], false),
        (&[], false),
    ] {
        assert_eq!(checks_sample(&problems.iter().map(row).collect::<Vec<_>>()), expected, "{problems:?}");
    }
}

#[test]
fn a_file_is_read_from_the_folder_itself_and_one_that_is_missing_is_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    for name in ["a.csv", "a:b.csv", "a\\b.csv", "inside/a.csv"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let read = |name: &str| file(folder.path(), name, |bytes, path| Ok((bytes.to_vec(), path.to_owned())));
    assert_eq!(read("a.csv").unwrap(), Some((b"a.csv".to_vec(), folder.path().join("a.csv"))));
    for name in ["b.csv", "inside/a.csv", "a:b.csv", "a\\b.csv", "a\0.csv"] {
        assert!(read(name).unwrap().is_none(), "{name:?}");
    }
    assert!(read("inside").unwrap_err().to_string().starts_with("cannot read "), "a folder is no file");
    let refused = file(folder.path(), "a.csv", |_, path| Err::<(), _>(Error::format(path, "no")));
    assert!(refused.is_err());
}

#[test]
fn what_cannot_be_read_is_an_error_and_no_missing_part() {
    let folder = small();
    let file = folder.path().join("summary.csv");
    let message = |path: &Path| Contents::read(path).err().unwrap().to_string();
    assert_eq!(message(&file), format!("{} is a file; name a folder", file.display()));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(message(folder.path()).starts_with("cannot read "), "{}", message(folder.path()));
}

#[test]
fn the_slider_has_a_step_for_each_epoch_that_is_shown_and_starts_at_the_last() {
    let curves = format!("curves_{NAME}.csv");
    let snapshots = format!("snapshots_{NAME}.jpg");
    let steps = |part: SettingPart| (part.steps(), part.last_epoch(), part.thinned);
    assert_eq!(steps(setting(|_| ())), (2, 2, false));
    let sheet = encode(&vec![128; 320 * 96 * 3], 320, 96);
    let of_sheet = setting(|folder| {
        remove(folder, &curves);
        fs::write(folder.join(&snapshots), &sheet).unwrap();
    });
    assert_eq!(steps(of_sheet), (3, 3, false));
    assert_eq!(steps(setting(|folder| remove(folder, &curves))), (0, 0, false));
    let of_epochs = |epochs: std::ops::RangeInclusive<usize>| {
        setting(|folder| write_curves(folder, &epochs.clone().map(curve_row).collect::<Vec<_>>()))
    };
    assert_eq!(steps(of_epochs(5..=7)), (3, 7, false));
    assert_eq!(steps(of_epochs(1..=401)), (134, 401, true));
}

#[test]
fn a_sheet_has_a_line_for_each_epoch_below_its_names() {
    let sheet = |layout, epochs| {
        let sheet = Sheet { bytes: Vec::new(), layout, epochs };
        (sheet.height(), sheet.last_top())
    };
    let labelled = Layout { left: 48, top: 80, step: 40 };
    assert_eq!([0, 1, 3].map(|epochs| sheet(labelled, epochs)), [(80, 80), (120, 80), (200, 160)]);
    let bare = Layout { left: 0, top: 0, step: 32 };
    assert_eq!([1, 2].map(|epochs| sheet(bare, epochs)), [(32, 0), (64, 32)]);
}

#[test]
fn a_setting_is_described_by_its_tables() {
    let part = setting(|_| ());
    // The confusion matrix has the counts 0, 1, …, 99.
    assert_eq!((part.test_images(), part.is_softmax(), part.has_validation()), (Some(4950), true, true));
    assert_eq!(part.difference(), "−0.05");
    assert_eq!(part.title(), "λ\u{a0}=\u{a0}0.1, η\u{a0}=\u{a0}0.001");
    let titles: Vec<_> = part.charts.iter().map(|chart| chart.title.as_str()).collect();
    assert_eq!(titles, ["loss in nats", "cost in nats", "accuracy in %"]);
    assert_eq!(setting(|folder| remove(folder, &format!("confusion_{NAME}.csv"))).test_images(), None);

    let with = |change: &dyn Fn(&mut SummaryRow)| {
        setting(|folder| {
            let mut row = summary_row(NAME);
            change(&mut row);
            fs::write(folder.join("summary.csv"), to_csv(&[row], Dialect::Comma)).unwrap();
        })
    };
    assert!(!with(&|row| row.hyperparameters.loss = Loss::Bce).is_softmax());
    for (ours, theirs, expected) in [
        (Some(0.4125), Some(0.394), "+1.85"),
        (Some(0.394), Some(0.394), "0.00"),
        (None, Some(0.394), "–"),
        (Some(0.394), None, "–"),
    ] {
        let part = with(&|row| (row.test_accuracy, row.reported_test_accuracy) = (ours, theirs));
        assert_eq!(part.difference(), expected, "{ours:?} {theirs:?}");
    }
}

#[test]
fn a_score_on_the_validation_split_is_that_of_an_epoch_or_of_the_end() {
    let without = |scores: ScoreColumns| ScoreColumns { validation_loss: None, ..scores };
    let part = |of_epochs: bool, of_end: bool| {
        setting(|folder| {
            let mut rows = [curve_row(1), curve_row(2)];
            let mut end = summary_row(NAME);
            if !of_epochs {
                rows.iter_mut().for_each(|row| row.scores = without(row.scores.clone()));
            }
            if !of_end {
                end.scores = without(end.scores.clone());
            }
            write_curves(folder, &rows);
            fs::write(folder.join("summary.csv"), to_csv(&[end], Dialect::Comma)).unwrap();
        })
    };
    for (of_epochs, of_end) in [(true, true), (true, false), (false, true), (false, false)] {
        assert_eq!(part(of_epochs, of_end).has_validation(), of_epochs || of_end, "{of_epochs} {of_end}");
    }
}

/// The contents of a folder with only this file.
fn only(name: &str, bytes: Vec<u8>) -> Contents {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    Contents::read(folder.path()).unwrap()
}

fn checks() -> Contents {
    only("gradcheck.csv", to_csv(&[gradcheck_row("images", "reference", Some(1e-9), "PASS")], Dialect::Comma))
}

#[test]
fn the_files_of_a_part_that_is_there_are_missed_and_no_others() {
    let missing = |contents: Contents| contents.missing().into_iter().map(|(_, file, _)| file).collect::<Vec<_>>();
    let [summary, checks] = ["summary.csv", "gradcheck.csv"];
    let replications = ["replication_summary.csv", "ablation_summary.csv", "overfitting_summary.csv"];
    let (search, provenance) = ("search.csv", "provenance.json");
    let found = missing(self::checks());
    assert_eq!(found, [&[summary][..], &replications, &[search, provenance]].concat());
    let found = missing(only(search, to_csv(&[search_row(0.1, None)], Dialect::Comma)));
    assert_eq!(found, [&[summary, checks][..], &replications, &[BEST_FILE, provenance]].concat());
    let found = missing(only(replications[0], to_csv(&replication().settings(), Dialect::Comma)));
    assert_eq!(found, [&[summary, checks][..], &replications[1..], &[search, "replication.csv", provenance]].concat());
    let found = missing(only(summary, to_csv(&[summary_row(NAME)], Dialect::Comma)));
    let of_setting = [("curves", "csv"), ("snapshots", "jpg"), ("probabilities", "csv"), ("confusion", "csv")];
    let of_setting = of_setting.map(|(part, extension)| format!("{part}_{NAME}.{extension}"));
    assert_eq!(found[..6], [&[checks][..], &replications, &[search, provenance]].concat());
    assert_eq!(found[6..], of_setting);
}

#[test]
fn the_curves_of_a_setting_that_diverged_are_missed_but_not_its_weights() {
    let mut row = summary_row(NAME);
    row.scores.train_loss = None;
    let missing = only("summary.csv", to_csv(&[row], Dialect::Comma)).missing();
    let files: Vec<_> = missing.iter().map(|(part, file, _)| (*part, file.as_str())).skip(6).collect();
    assert_eq!(files, [("Curves", format!("curves_{NAME}.csv").as_str())]);
}

#[test]
fn each_job_says_its_seeds_and_its_protocol() {
    let contents = Contents::read(folder(&[NAME]).path()).unwrap();
    let (replication, ablation) = (contents.replication.as_ref().unwrap(), contents.ablation.as_ref().unwrap());
    assert_eq!(replication.seeds(), "2 seeds", "one of them diverged");
    assert_eq!(ablation.seeds(), "6 seeds");
    assert_eq!(contents.overfitting.as_ref().unwrap().seeds(), "6 seeds");
    assert!((ablation.mean().unwrap() - 0.42).abs() < 1e-12);
    assert!(replication.has_verdicts() && replication.has_intervals());
    let protocol = Protocol { epochs: 1, test_images: 1, of_sample: false };
    assert_eq!(protocol.words(), "1 epoch each, tested on 1 image");
    assert_eq!(
        Protocol { epochs: 4000, test_images: 10_000, ..protocol }.words(),
        "4,000 epochs each, tested on 10,000 images"
    );
}

#[test]
fn any_file_that_names_the_sample_makes_the_page_one_of_the_sample() {
    let contents = |change: &dyn Fn(&mut Contents)| {
        let mut contents = checks();
        change(&mut contents);
        contents.is_of_sample()
    };
    let protocol = |of_sample| Some(Protocol { epochs: 1, test_images: 1, of_sample });
    assert!(!contents(&|_| ()));
    for of_sample in [true, false] {
        let file = if of_sample { "train.bin" } else { "data_batch_1.bin" };
        let found = [
            contents(&|contents| {
                let mut provenance = provenance();
                provenance.data[0].name = file.into();
                contents.provenance = Some(provenance);
            }),
            contents(&|contents| {
                let comparisons = Vec::new();
                contents.overfitting = Some(OverfittingPart { comparisons, protocol: protocol(of_sample) });
            }),
            contents(&|contents| {
                let chart = GainsChart::new(&[]);
                let improvements = Vec::new();
                contents.ablation = Some(AblationPart { improvements, chart, protocol: protocol(of_sample) });
            }),
            contents(&|contents| {
                let confusion = Confusion::from_counts(1, vec![500]);
                let split = if of_sample { "test" } else { "train" };
                contents.evaluations = vec![Evaluation { model: "a".into(), split, confusion, confident: None }];
            }),
        ];
        assert_eq!(found, [of_sample; 4]);
    }
}

#[test]
fn the_best_of_a_search_is_one_of_its_trials_with_its_accuracy() {
    let best = |row: BestRow| {
        let folder = tempfile::tempdir().unwrap();
        let trials = [search_row(0.5, None), search_row(0.001, Some(0.37)), search_row(0.01, Some(0.38))];
        fs::write(folder.path().join("search.csv"), to_csv(&trials, Dialect::Comma)).unwrap();
        fs::write(folder.path().join(BEST_FILE), to_csv(&[row], Dialect::Comma)).unwrap();
        let search = Contents::read(folder.path()).unwrap().search.unwrap();
        let accuracies: Vec<_> = search.trials.iter().map(|row| row.validation_accuracy).collect();
        assert_eq!(accuracies, [Some(0.38), Some(0.37), None]);
        assert_eq!(search.maps.len(), 1);
        search.best.is_some()
    };
    assert!(best(best_row()));
    assert!(!best(BestRow { validation_accuracy: Some(0.37), ..best_row() }), "that of another trial");
    let hyperparameters = Hyperparameters { seed: 1, ..best_row().hyperparameters };
    assert!(!best(BestRow { hyperparameters, ..best_row() }));
}

#[test]
fn settings_with_curves_are_together_in_one_chart() {
    let other = "lambda0_eta0.001";
    let chart = |change: &dyn Fn(&Path)| {
        let folder = small();
        let path = |name: &str| folder.path().join(format!("curves_{name}.csv"));
        fs::copy(path(NAME), path(other)).unwrap();
        let rows = [NAME, other].map(summary_row);
        fs::write(folder.path().join("summary.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
        change(folder.path());
        Contents::read(folder.path()).unwrap().together
    };
    let both = chart(&|_| ()).unwrap();
    assert_eq!(both.title, "validation accuracy in %");
    let title = "λ\u{a0}=\u{a0}0.1, η\u{a0}=\u{a0}0.001";
    assert_eq!(both.epochs[1].text, format!("Epoch 2: 20.00\u{a0}% ({title}), 20.00\u{a0}% ({title})"));
    let classes: Vec<_> = both.lines.iter().map(|line| (line.class.as_str(), line.name.as_str())).collect();
    assert_eq!(classes, [("c0 w0 dashed", title), ("c1 w0 dashed", title)]);
    let mut second = curve_row(2);
    (second.scores.train_loss, second.scores.validation_loss) = (None, None);
    let diverged = chart(&|folder| write_curves(folder, &[curve_row(1), second.clone()])).unwrap();
    assert_eq!(diverged.lines[0].name, format!("{title} (diverged in epoch 2)"));
    assert_eq!(diverged.lines[1].name, title);
    assert!(chart(&|folder| remove(folder, &format!("curves_{NAME}.csv"))).is_none(), "one setting is no comparison");
    assert!(together(&[]).is_none());
}

#[test]
fn settings_without_validation_are_compared_on_the_training_split() {
    let parts: Vec<_> = (0..2)
        .map(|_| {
            setting(|folder| {
                let none = ScoreColumns {
                    validation_loss: None,
                    validation_cost: None,
                    validation_accuracy: None,
                    ..curve_row(1).scores
                };
                write_curves(folder, &[1, 2].map(|epoch| CurveRow { scores: none.clone(), ..curve_row(epoch) }));
                let row = SummaryRow { scores: none, ..summary_row(NAME) };
                fs::write(folder.join("summary.csv"), to_csv(&[row], Dialect::Comma)).unwrap();
            })
        })
        .collect();
    let chart = together(&parts).unwrap();
    assert_eq!((chart.title.as_str(), chart.lines[0].class.as_str()), ("training accuracy in %", "c0 w0"));
    assert!(chart.epochs[0].text.starts_with("Epoch 1: 25.00\u{a0}% ("), "{}", chart.epochs[0].text);
    assert!(together(&parts[..1]).is_none());
}

#[test]
fn the_best_setting_is_one_that_was_tested() {
    let rows = [("a", None), ("b", Some(0.3)), ("c", Some(0.41)), ("d", Some(0.4)), ("e", None)];
    let best = |rows: &[(&str, Option<f64>)]| {
        let row = |&(name, accuracy): &(&str, _)| SummaryRow { test_accuracy: accuracy, ..summary_row(name) };
        let contents = only("summary.csv", to_csv(&rows.iter().map(row).collect::<Vec<_>>(), Dialect::Comma));
        contents.best().map(|setting| setting.summary.setting.clone())
    };
    assert_eq!(best(&rows).as_deref(), Some("c"));
    assert_eq!(best(&rows[..2]).as_deref(), Some("b"));
    assert_eq!(best(&rows[..1]), None);
}

#[test]
fn a_folder_is_named_by_the_losses_of_its_settings_or_else_of_its_search() {
    let named = |settings: &[Loss], trials: &[Loss]| {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
        let with = |loss| Hyperparameters { loss, ..Hyperparameters::default() };
        let setting = |&loss: &Loss| SummaryRow { hyperparameters: with(loss), ..summary_row("a") };
        let trial = |&loss: &Loss| SearchRow { hyperparameters: with(loss), ..search_row(0.1, None) };
        write("summary.csv", to_csv(&settings.iter().map(setting).collect::<Vec<_>>(), Dialect::Comma));
        write("search.csv", to_csv(&trials.iter().map(trial).collect::<Vec<_>>(), Dialect::Comma));
        Contents::read(folder.path()).unwrap().classifier()
    };
    let (softmax, sigmoids) = (Loss::Softmax, Loss::Bce);
    for (settings, trials, expected) in [
        (&[softmax][..], &[sigmoids][..], "A softmax classifier"),
        (&[sigmoids], &[softmax], "A classifier of ten sigmoids"),
        (&[sigmoids, softmax], &[], "Classifiers, softmax and sigmoids,"),
        (&[], &[softmax], "A softmax classifier"),
        (&[], &[sigmoids, softmax], "Classifiers, softmax and sigmoids,"),
        (&[], &[], "A classifier"),
    ] {
        assert_eq!(named(settings, trials), expected, "{settings:?} {trials:?}");
    }
}

#[test]
fn the_searched_images_are_those_of_the_sample_if_its_validation_split_is() {
    for (split, expected) in [("sample/validation.bin", true), ("data_batch_5.bin", false)] {
        let row = SearchRow { validation_split: split.into(), ..search_row(0.1, Some(0.3)) };
        assert_eq!(only("search.csv", to_csv(&[row], Dialect::Comma)).is_of_sample(), expected, "{split}");
    }
}

/// The replication in a folder with its table of settings, and its runs if there are some.
fn replication_of(rows: &[ReplicationRow], runs: Option<&[ReplicationRow]>) -> Result<ReplicationPart> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    let replication = Replication::new(rows).unwrap();
    write("replication_summary.csv", to_csv(&replication.settings(), Dialect::Comma));
    if let Some(runs) = runs {
        write("replication.csv", to_csv(runs, Dialect::Comma));
    }
    Ok(ReplicationPart::read(folder.path())?.unwrap())
}

#[test]
fn a_replication_has_intervals_and_reported_accuracies_if_one_of_its_settings_has() {
    let part = |seeds: usize, reported: Option<f64>| {
        let mut rows = rows(&[("a", &[390, 391, 392][..seeds]), ("b", &[380, 381, 382][..seeds])]);
        rows[0].reported_test_accuracy = reported;
        replication_of(&rows, None).unwrap()
    };
    for (seeds, reported, has_intervals) in [(1, None, false), (2, None, true), (3, Some(0.394), true)] {
        let part = part(seeds, reported);
        assert_eq!((part.has_intervals(), part.is_comparable()), (has_intervals, reported.is_some()), "{seeds}");
        assert!(!part.has_verdicts() && part.charts.is_empty() && part.protocol.is_none());
    }
    let verdicts = |rows: &[VerdictRow]| ReplicationPart { verdicts: Some(rows.to_vec()), ..part(1, None) };
    let row = VerdictRow { conclusion: "a".into(), verdict: "holds".into(), explanation: "b".into() };
    assert!(verdicts(&[row]).has_verdicts() && !verdicts(&[]).has_verdicts());
}

#[test]
fn the_runs_of_a_replication_are_drawn_and_refused_with_their_file_if_they_contradict_each_other() {
    let mut rows = rows(&[("lambda0_eta0.1", &[390, 391]), ("lambda1_eta0.1", &[380, 381])]);
    let part = replication_of(&rows, Some(&rows)).unwrap();
    let titles: Vec<_> = part.charts.iter().map(|chart| (chart.title.as_str(), chart.runs.len())).collect();
    assert_eq!(titles, [("λ = 0, η = 0.1", 2), ("λ = 1, η = 0.1", 2)]);
    assert_eq!(part.protocol.unwrap().words(), "40 epochs each, tested on 1,000 images");
    let settings = rows.clone();
    rows[1] = rows[0].clone();
    let message = replication_of(&settings, Some(&rows)).err().unwrap().to_string();
    assert!(
        message.contains("replication.csv: ") && message.contains("seed 1 of lambda0_eta0.1 is there twice"),
        "{message}"
    );
    assert!(replication_of(&settings, Some(&[])).unwrap().protocol.is_none());
}
