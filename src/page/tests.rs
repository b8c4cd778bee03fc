use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::dataset::cifar10::{BatchFile, DIMS};
use crate::dataset::store::RecordFile;
use crate::evaluate::Confusion;
use crate::evaluate::table::{ProbabilityRow, confusion_csv};
use crate::figures::snapshots::{encode, to_jpeg};
use crate::figures::{ClassifiedImage, confident_figure};
use crate::files::csv::{Dialect, to_csv};
use crate::gradcheck::table::{GradcheckRow, Location};
use crate::hyperparameters::{Hyperparameters, Loss};
use crate::page::*;
use crate::replicate::table::{ReplicationRow, VerdictRow};
use crate::replicate::tests::rows;
use crate::replicate::{Replication, ablation, overfitting};
use crate::search::table::{BEST_FILE, BestRow, SearchRow};
use crate::shard::Shard;
use crate::train::provenance::{Commit, Provenance};
use crate::train::table::{CurveRow, ScoreColumns, SummaryRow};

const REPORT: [&str; 4] = ["lambda0_eta0.1", "lambda0_eta0.001", "lambda0.1_eta0.001", "lambda1_eta0.001"];

fn html(folder: &Path) -> String {
    String::from_utf8(page(folder).unwrap()).unwrap()
}

fn error(folder: &Path) -> String {
    page(folder).unwrap_err().to_string()
}

/// Number of times that `html` contains `part`.
fn count(html: &str, part: &str) -> usize {
    html.matches(part).count()
}

/// The elements of `html` with their attributes. Panics, as an XML parser would, if an element is not closed, is closed by
/// another one or has an attribute without quotes.
fn elements(html: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "link", "input", "img"];
    let name = |tag: &str| tag.split([' ', '\n']).next().unwrap().to_owned();
    let mut open: Vec<String> = Vec::new();
    let mut elements = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(tag.matches('=').count() >= tag.matches("=\"").count());
        elements.push(tag.to_owned());
        if tag.ends_with('/') || VOID.contains(&name(tag).as_str()) {
            continue;
        }
        open.push(name(tag));
        // Their content is not HTML.
        if ["style", "script"].contains(&name(tag).as_str()) {
            rest = &rest[rest.find(&format!("</{}", name(tag))).unwrap()..];
        }
    }
    assert_eq!(open, [""; 0]);
    elements
}

#[test]
fn every_part_of_a_full_folder_is_on_the_page() {
    let html = html(folder(&REPORT).path());
    assert_eq!(count(&html, "<figure class=\"chart\">"), 13);
    assert_eq!(count(&html, "<g class=\"epoch\">"), 26);
    assert_eq!(count(&html, "<figure class=\"histogram\">"), 4);
    assert_eq!(count(&html, "<g class=\"bin\">"), 80);
    assert_eq!(count(&html, "data:image/jpeg;base64,"), 4);
    assert_eq!(count(&html, "aria-label=\"Weights of the class "), 40);
    // Of the picture with the weights after two epochs, the second line is seen; its images begin at 48 and 40 further each.
    assert_eq!(count(&html, "width=\"448\" height=\"160\" y=\"-120\" data-top=\"80\" data-step=\"40\""), 4);
    assert_eq!(["x=\"-48\"", "x=\"-88\"", "x=\"-408\""].map(|place| count(&html, place)), [4; 3]);
    assert_eq!(count(&html, "<table class=\"matrix\">"), 4);
    assert_eq!(count(&html, "type=\"range\""), 4);
    assert_eq!(count(&html, "<figure class=\"strip\">"), 2);
    assert_eq!(count(&html, "<circle class=\"run\""), 3 + 3);
    assert_eq!((count(&html, "<figure class=\"gains\">"), count(&html, "<figure class=\"heat\">")), (1, 1));
    assert_eq!(count(&html, "<img"), 0, "every figure of the folder is drawn as SVG");
    for value in [
        "39.35\u{a0}%",
        "39.40\u{a0}%",
        "−0.05",
        "1.7607",
        "Epoch 2: training 1.5000, validation 2.5000 nats",
        "Epoch 2: training 3.0000, validation 3.5000 nats",
        "Epoch 2: training 25.00, validation 20.00\u{a0}%",
        "Validation accuracy in %: ",
        "in bins of width 0.05",
        "classifies <strong>37.12\u{a0}%</strong>\nof the 10,000 test images correctly, with a standard error of 0.48 points",
        "λ = 0.1, η = 0.01: 38.00 %",
        "Probability 0.05 to 0.10: 1 correct, 38 wrong",
        "The only check passes.",
        "2.5e−8",
        "× 0.5 every 10 epochs",
        "38.00\u{a0}% ± 0.49",
        "“λ = 0.1 is slightly better than 0” <strong>undecided</strong>",
        "1 + 1 diverged",
        "<strong>39.25\u{a0}%</strong>",
        "random flips with probability 0.5",
        "<figcaption>Sigmoids: the highest validation accuracy",
        "<td>sigmoids</td>",
        "<strong>+1.50</strong>",
        "+1.50 to +1.50",
        "<strong>−0.50</strong>",
        "onelayer 0.1.0, commit <code>01e2383aa</code>, modified",
        "onelayer train --init 'a file'",
        "A processor, 2 threads, linux x86_64",
        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    ] {
        let escaped = value.replace('\'', "&#39;");
        assert!(html.contains(&escaped), "{value}");
    }
    assert!(!html.contains("id=\"missing\""));
}

#[test]
fn the_page_is_well_formed_and_its_attributes_are_apart() {
    let html = html(folder(&REPORT).path());
    let elements = elements(&html);
    assert!(elements.iter().any(|e| e == "td class=\"right\" style=\"--share:0.000\""));
    assert!(elements.iter().any(|e| e.starts_with("svg viewBox=\"0 0 340 216\" role=\"img\" ")));
    let broken = html.replacen("</table>", "", 1);
    assert!(std::panic::catch_unwind(|| self::elements(&broken)).is_err());
}

#[test]
fn numbers_have_one_minus_for_readers() {
    let out = folder(&REPORT);
    let explanation = "a minus b: -10.39 points (-11.19 to -9.59; sign-flip p = 1.9e-6)";
    let row = VerdictRow { conclusion: "a".into(), verdict: "holds".into(), explanation: explanation.into() };
    fs::write(out.path().join("replication_verdicts.csv"), to_csv(&[row], Dialect::Comma)).unwrap();
    let html = html(out.path());
    let shown = html.split("<body>").nth(1).unwrap().split("<script>").next().unwrap();
    assert!(shown.contains("−10.39 points (−11.19 to −9.59; sign-flip p\u{a0}=\u{a0}1.9e−6)"));
    for hyphen in [" -", ">-", "(-", "e-"] {
        let numbers = shown.split(hyphen).skip(1).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(numbers.map(|rest| rest.lines().next().unwrap()).collect::<Vec<_>>(), [""; 0], "{hyphen}");
    }
}

#[test]
fn a_replication_of_other_settings_is_no_test_of_the_reports_conclusions() {
    let out = folder(&REPORT);
    let whole = html(out.path());
    assert!(whole.contains("Do the report’s conclusions hold?") && whole.contains(crate::replicate::VERDICTS));
    fs::write(out.path().join("replication_verdicts.csv"), to_csv::<VerdictRow>(&[], Dialect::Comma)).unwrap();
    let html = html(out.path());
    assert!(
        html.contains(">Replication</h2>")
            && !html.contains("conclusions hold")
            && !html.contains("A conclusion holds")
            && !html.contains("\"verdicts\"")
    );
}

#[test]
fn nothing_is_fetched_from_anywhere() {
    let html = html(folder(&REPORT).path());
    assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("@import"));
    for element in elements(&html) {
        for attribute in ["src", "href"] {
            let value = element.split(&format!(" {attribute}=\"")).nth(1);
            assert!(value.is_none_or(|v| v.starts_with('#') || v.starts_with("data:")), "{element:.80}");
        }
        assert!(!element.contains("srcset"));
    }
    assert!(!STYLE.contains("url(") && !SCRIPT.contains("fetch"));
}

#[test]
fn only_the_pages_own_script_may_run() {
    let html = html(folder(&REPORT).path());
    let script = html.split_once("<script>").unwrap().1;
    let script = script.split_once("</script>").unwrap().0;
    assert_eq!(script, SCRIPT);
    let digest = BASE64_STANDARD.encode(Sha256::digest(script));
    assert!(html.contains(&format!("script-src 'sha256-{digest}'\">")));
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_content_of_files_is_escaped() {
    let hostile = "\"><img src=x onerror=alert(1)> & '</title>";
    let out = folder(&[hostile]);
    let write = |name: &str, bytes: Vec<u8>| fs::write(out.path().join(name), bytes).unwrap();
    write("gradcheck.csv", to_csv(&[gradcheck_row(hostile, hostile, None, hostile)], Dialect::Comma));
    let mut provenance = provenance();
    provenance.processor = hostile.into();
    provenance.command = vec![hostile.into()];
    write("provenance.json", provenance.to_json());
    let html = html(out.path());
    assert!(html.contains("&#60;img src=x"));
    let plain = self::html(folder(&["lambda0_eta0.1"]).path());
    assert_eq!(count(&html, "<img"), count(&plain, "<img"));
    assert!(elements(&html).iter().all(|element| !element.contains("onerror")));
}

#[test]
fn a_setting_whose_name_is_a_path_leads_to_no_file() {
    let out = folder(&["/../secret"]);
    let name = out.path().join("curves_");
    fs::create_dir(name).unwrap();
    fs::write(out.path().join("secret.csv"), to_csv(&[curve_row(1)], Dialect::Comma)).unwrap();
    let html = html(out.path());
    assert_eq!(count(&html, "<figure class=\"chart\">"), 0);
    assert!(html.contains("<code>curves_/../secret.csv</code>"));
}

#[test]
fn a_part_that_is_missing_is_left_out_and_named_with_the_command_that_writes_it() {
    let full = html(folder(&REPORT[..1]).path());
    for (name, part, command) in [
        ("gradcheck.csv", "id=\"gradients\"", "gradcheck"),
        ("replication_summary.csv", "id=\"replication\"", "replicate"),
        ("ablation_summary.csv", "id=\"ablation\"", "replicate --ablate best.toml"),
        ("overfitting_summary.csv", "id=\"overfitting\"", "replicate --overfitting"),
        ("search.csv", "id=\"search\"", "search"),
        ("search_best.csv", "37.12", "search"),
        ("replication.csv", "class=\"strip\"", "replicate"),
        ("provenance.json", "id=\"provenance\"", "train"),
        ("summary.csv", "id=\"accuracies\"", "train"),
        ("curves_lambda0_eta0.1.csv", "class=\"charts\"", "train"),
        ("snapshots_lambda0_eta0.1.jpg", "class=\"weights\"", "train"),
        ("probabilities_lambda0_eta0.1.csv", "class=\"histogram\"", "train"),
        ("confusion_lambda0_eta0.1.csv", "class=\"matrix\"", "train"),
    ] {
        let out = folder(&REPORT[..1]);
        fs::remove_file(out.path().join(name)).unwrap();
        let html = html(out.path());
        assert!(full.contains(part) && !html.contains(part), "{name}");
        let said = format!("<code>{name}</code>, written by <code>onelayer {command}</code>");
        assert!(html.contains(&said), "{name}");
        elements(&html);
    }
}

#[test]
fn the_over_fitting_of_both_losses_is_shown_with_its_difference_and_the_verdict() {
    let html = html(folder(&REPORT[..1]).path());
    let part = html.split("id=\"overfitting\"").nth(1).unwrap().split("</section>").next().unwrap();
    for words in [
        "λ\u{a0}=\u{a0}0, η\u{a0}=\u{a0}0.01, sigmoids",
        "46.35\u{a0}%",
        "<strong>+6.35</strong>",
        "<strong>+3.65</strong>",
        "+2.70",
        "+2.31 to +3.09",
    ] {
        assert!(part.contains(words), "{words}: {part}");
    }
    assert!(part.contains("<td>sigmoids</td>") && part.contains("<td>undecided</td>"), "{part}");
}

#[test]
fn the_table_of_any_command_makes_a_page() {
    let parts = [
        ("gradcheck.csv", "gradients"),
        ("search.csv", "search"),
        ("replication_summary.csv", "replication"),
        ("ablation_summary.csv", "ablation"),
        ("overfitting_summary.csv", "overfitting"),
    ];
    let full = folder(&REPORT[..1]);
    for (file, part) in parts {
        let out = tempfile::tempdir().unwrap();
        fs::copy(full.path().join(file), out.path().join(file)).unwrap();
        let html = html(out.path());
        assert_eq!(count(&html, "<section"), 2, "{file}: the part and the missing files");
        elements(&html);
        assert!(html.contains(&format!("<section id=\"{part}\"")), "{file}");
    }
}

#[test]
fn a_job_on_the_sample_says_so_with_its_epochs_and_its_test_images() {
    let full = folder(&REPORT[..1]);
    let page_of = |file: &str, table: &str, text: String| {
        let out = tempfile::tempdir().unwrap();
        fs::copy(full.path().join(file), out.path().join(file)).unwrap();
        fs::write(out.path().join(table), text).unwrap();
        html(out.path())
    };
    let table = |split: &str| {
        let rows = replication_rows().into_iter();
        let rows: Vec<_> = rows.map(|row| ReplicationRow { train_split: split.into(), ..row }).collect();
        String::from_utf8(to_csv(&rows, Dialect::Comma)).unwrap()
    };
    let of_sample = page_of("replication_summary.csv", "replication.csv", table("sample/train.bin"));
    assert!(of_sample.contains("<h1>One layer on a sample of <span class=\"whole\">CIFAR-10</span></h1>"));
    assert!(of_sample.contains("Each setting was trained with 2 seeds: 40 epochs each, tested on 1,000 images."));
    let of_all = page_of("replication_summary.csv", "replication.csv", table("data_batch_1.bin"));
    assert!(!of_all.contains("a sample of"));
    let trial = SearchRow {
        validation_split: "the last 3 images of each class of sample/train.bin".into(),
        ..search_row(0.1, Some(0.3))
    };
    let search = String::from_utf8(to_csv(&[trial], Dialect::Comma)).unwrap();
    assert!(page_of("gradcheck.csv", "search.csv", search).contains("a sample of <span"));
    // A gradient check ends with all training images.
    let check = |images: usize| {
        let row = |n| gradcheck_row(&format!("{n} images, the start, softmax"), "f64 reference", Some(1e-9), "PASS");
        String::from_utf8(to_csv(&[row(100), row(images)], Dialect::Comma)).unwrap()
    };
    assert!(page_of("search.csv", "gradcheck.csv", check(1000)).contains("a sample of <span"));
    assert!(!page_of("search.csv", "gradcheck.csv", check(10_000)).contains("a sample of <span"));
    // The test split of the sample has 500 images.
    let confusion = |images: usize| {
        let counts = (0..100).map(|i| if i % 11 == 0 { images / 10 } else { 0 }).collect();
        String::from_utf8(confusion_csv(&Confusion::from_counts(10, counts), Dialect::Comma)).unwrap()
    };
    assert!(page_of("gradcheck.csv", "confusion_a.csv", confusion(500)).contains("a sample of <span"));
    assert!(!page_of("gradcheck.csv", "confusion_a.csv", confusion(10_000)).contains("a sample of <span"));
}

#[test]
fn the_p_values_and_the_rule_of_six_seeds_are_explained_where_they_are() {
    let html = html(folder(&REPORT[..1]).path());
    for part in ["replication", "ablation", "overfitting"] {
        let section =
            html.split(&format!("<section id=\"{part}\"")).nth(1).unwrap().split("</section>").next().unwrap();
        assert!(section.contains("fewer than 6"), "{part}");
        assert_eq!(section.contains("2/2^n"), part != "overfitting", "{part}");
    }
}

#[test]
fn intervals_and_reported_accuracies_are_shown_where_there_are_some() {
    let part = |seeds: usize, reported: Option<f64>| {
        let out = tempfile::tempdir().unwrap();
        let counts = [390, 392, 391];
        let mut rows = rows(&[("lambda0_eta0.001", &counts[..seeds])]);
        rows.iter_mut().for_each(|row| row.reported_test_accuracy = reported);
        for (name, bytes) in crate::replicate::table::files(&Replication::new(&rows).unwrap(), Dialect::Comma) {
            fs::write(out.path().join(name), bytes).unwrap();
        }
        fs::write(out.path().join("replication.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
        let html = html(out.path());
        html.split("<section id=\"replication\"").nth(1).unwrap().split("</section>").next().unwrap().to_owned()
    };
    let has = |html: &str| {
        ["mean (tick) and its 95 %", "with a probability of 95 %", ">Reported<", ">the report<"]
            .map(|w| html.contains(w))
    };
    assert_eq!(has(&part(3, Some(0.3932))), [true; 4]);
    assert_eq!(has(&part(3, None)), [true, true, false, false]);
    assert_eq!(has(&part(1, None)), [false; 4]);
}

#[test]
fn tables_of_shards_are_to_be_merged_first() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("replication_shard1of3.csv"), "").unwrap();
    let expected =
        format!("{}: has only tables of shards: join them with `onelayer merge` first", out.path().display());
    assert_eq!(error(out.path()), expected);
}

#[test]
fn the_page_says_what_was_trained() {
    let page_of = |losses: [Loss; 2]| {
        let out = folder(&REPORT[..2]);
        let mut rows = REPORT.map(summary_row).to_vec();
        rows.truncate(2);
        rows.iter_mut().zip(losses).for_each(|(row, loss)| row.hyperparameters.loss = loss);
        fs::write(out.path().join("summary.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
        html(out.path())
    };
    let softmax = page_of([Loss::Softmax; 2]);
    let settings = softmax.split("id=\"gradients\"").next().unwrap();
    assert!(settings.contains("<p>A softmax classifier with") && !settings.contains(", sigmoids"));
    let sigmoids = page_of([Loss::Bce; 2]);
    assert!(sigmoids.contains("<p>A classifier of ten sigmoids with"));
    let mixed = page_of([Loss::Softmax, Loss::Bce]);
    // Only the probabilities of a softmax add up to 1.
    let guesses = |html: &str| count(html, "The closer to 1, the better; guessing among ten classes gives 0.1.</fig");
    assert_eq!([&softmax, &sigmoids, &mixed].map(|html| guesses(html)), [2, 0, 1]);
    assert_eq!(count(&sigmoids, "The closer to 1, the better.</figcaption>"), 2);
    assert!(mixed.contains("<p>Classifiers, softmax and sigmoids, with"));
    // Title, navigation, table, legend and the texts of the chart of both settings name the loss.
    let title = ">λ\u{a0}=\u{a0}0.1, η\u{a0}=\u{a0}0.001, sigmoids";
    assert_eq!(count(&mixed, title), 4, "{mixed}");
    // A search alone says what it trained; the page of a gradient check knows no loss.
    let full = folder(&REPORT[..1]);
    for (file, words) in
        [("search.csv", "<p>A classifier of ten sigmoids with"), ("gradcheck.csv", "<p>A classifier with")]
    {
        let out = tempfile::tempdir().unwrap();
        fs::copy(full.path().join(file), out.path().join(file)).unwrap();
        assert!(html(out.path()).contains(words), "{file}");
    }
}

#[test]
fn a_validation_that_is_not_there_has_no_columns_and_no_legend() {
    let out = folder(&REPORT[..2]);
    let without = |scores: ScoreColumns| ScoreColumns {
        validation_loss: None,
        validation_cost: None,
        validation_accuracy: None,
        ..scores
    };
    let rows: Vec<_> = REPORT[..2].iter().map(|name| summary_row(name)).collect();
    let rows: Vec<_> = rows.into_iter().map(|row| SummaryRow { scores: without(row.scores.clone()), ..row }).collect();
    fs::write(out.path().join("summary.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
    for name in &REPORT[..2] {
        let rows = [curve_row(1), curve_row(2)].map(|row| CurveRow { scores: without(row.scores.clone()), ..row });
        fs::write(out.path().join(format!("curves_{name}.csv")), to_csv(&rows, Dialect::Comma)).unwrap();
    }
    let parts = |html: &str| {
        let settings = html.split("<main").nth(1).unwrap().split("id=\"gradients\"").next().unwrap().to_lowercase();
        (settings.contains(">validation<"), settings.contains("class=\"key validation\""), settings.contains("–"))
    };
    let html = html(out.path());
    assert_eq!(parts(&html), (false, false, false));
    assert!(html.contains("Training accuracy in %: ") && html.contains("There is no validation split"));
    elements(&html);
    let (columns, legend, _) = parts(&self::html(folder(&REPORT[..2]).path()));
    assert!(columns && legend);
}

#[test]
fn the_evaluations_of_other_models_and_splits_are_shown() {
    let out = folder(&REPORT[..1]);
    let counts: Vec<usize> = (0..100).map(|i| if i % 11 == 0 { 30 } else { 5 }).collect();
    let table = confusion_csv(&Confusion::from_counts(10, counts), Dialect::Comma);
    let write = |name: &str, bytes: &[u8]| fs::write(out.path().join(name), bytes).unwrap();
    for name in ["model_a", "model_a_train", "lambda0_eta0.1_validation"] {
        write(&format!("confusion_{name}.csv"), &table);
    }
    let pixels = [0; 3072];
    let image = ClassifiedImage { pixels: &pixels, class: "cat", predicted: "cat", probability: 1.0 };
    let figure = confident_figure("a title", &[image], &[]).unwrap();
    write("confident_model_a.png", &figure);
    write("confident_lambda0_eta0.1.png", &figure);
    let html = html(out.path());
    elements(&html);
    let headings: Vec<_> = html.split("Evaluation of <span class=\"name\">").skip(1).collect();
    let headings: Vec<_> = headings.iter().map(|rest| rest.split("</h2>").next().unwrap()).collect();
    let heading = |model: &str, split: &str| format!("{model}</span> <small>{split} split</small>");
    let expected = [
        heading("λ\u{a0}=\u{a0}0, η\u{a0}=\u{a0}0.1", "validation"),
        heading("model_a", "test"),
        heading("model_a", "train"),
    ];
    assert_eq!(headings, expected);
    assert_eq!(count(&html, "classifies <strong>40.00\u{a0}%</strong> of 750 images"), 3);
    assert_eq!((count(&html, "<table class=\"matrix\">"), count(&html, "id=\"evaluation-confident-2\"")), (4, 1));
    // The setting has no confusion matrix: its figure may have ten images of each kind. The model has 300 right and 450 wrong.
    assert_eq!(count(&html, "<use href=\"#confident-1\""), 40);
    assert_eq!(count(&html, "<use href=\"#evaluation-confident-2\""), 40);
    write("confident_model_a.png", &png());
    let refusal = error(out.path());
    let reason = "must be a figure of 1056 × 1296 pixels, but has 2 × 3; `onelayer evaluate` draws it";
    assert!(refusal.ends_with(reason), "{refusal}");
    write("confident_model_a.png", &figure);

    // That of a setting of an earlier training into the folder is none, unless `evaluate` wrote it.
    write("curves_lambda0_eta0.1_validation.csv", b"");
    write("curves_model_a.csv", b"");
    write("classes_model_a.csv", b"");
    let html = self::html(out.path());
    let evaluations: Vec<_> = html.split("Evaluation of <span class=\"name\">").skip(1).collect();
    assert!(evaluations.len() == 2 && evaluations.iter().all(|rest| rest.starts_with("model_a</span>")));

    // An evaluation alone is enough for a page.
    let alone = tempfile::tempdir().unwrap();
    fs::write(alone.path().join("confusion_model_a.csv"), &table).unwrap();
    assert!(self::html(alone.path()).contains("Evaluation of"));
    fs::write(alone.path().join("confusion_model_b.csv"), &table[..40]).unwrap();
    assert!(error(alone.path()).contains("confusion_model_b.csv"));
}

#[test]
fn without_snapshots_the_weights_at_the_end_are_shown() {
    let out = folder(&REPORT[..1]);
    fs::remove_file(out.path().join("snapshots_lambda0_eta0.1.jpg")).unwrap();
    let figure = crate::figures::weights_figure("a title", &CLASS_NAMES, &[128; 30_720]).unwrap();
    let path = out.path().join("weights_lambda0_eta0.1.png");
    fs::write(&path, &figure).unwrap();
    let html = html(out.path());
    assert!(html.contains(&format!("src=\"data:image/png;base64,{}\"", BASE64_STANDARD.encode(&figure))));
    assert!(!html.contains("id=\"missing\""));
    fs::write(&path, &figure[..figure.len() / 2]).unwrap();
    assert!(error(out.path()).contains("weights_lambda0_eta0.1.png: must be a PNG"));
}

#[test]
fn the_reported_accuracy_is_shown_only_for_settings_trained_as_in_the_report() {
    let page_of = |reported: [Option<f64>; 2]| {
        let out = folder(&REPORT[..2]);
        let row = |(name, reported): (&&str, Option<f64>)| {
            let mut row = summary_row(name);
            row.reported_test_accuracy = reported;
            row
        };
        let rows: Vec<_> = REPORT[..2].iter().zip(reported).map(row).collect();
        fs::write(out.path().join("summary.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
        fs::remove_file(out.path().join("replication_summary.csv")).unwrap();
        html(out.path())
    };
    let mentions =
        |html: &str| [">reported<", ">difference<", "the report that", ">reproduced<"].map(|text| html.contains(text));
    assert_eq!(mentions(&page_of([None, None])), [false; 4]);
    let mixed = page_of([Some(0.394), None]);
    assert!(mixed.contains("<td>39.40\u{a0}%</td><td>−0.05</td>") && mixed.contains("<td>–</td><td>–</td>"));
    assert_eq!(mentions(&page_of([Some(0.394); 2])), [true; 4]);
}

#[test]
fn the_best_trials_of_a_search_come_first_and_one_that_diverged_last() {
    let html = html(folder(&REPORT).path());
    let search = html.split_once("id=\"search\"").unwrap().1;
    let places = ["38.00", "37.00", "– ± –"].map(|text| search.find(text));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
}

#[test]
fn the_test_accuracy_of_another_search_is_not_shown() {
    let out = folder(&REPORT[..1]);
    assert!(html(out.path()).contains("37.12"));
    // The best of several trials; then the only one.
    assert!(html(out.path()).contains("was selected as the highest of many"));
    let only = [search_row(0.01, best_row().validation_accuracy)];
    fs::write(out.path().join("search.csv"), to_csv(&only, Dialect::Comma)).unwrap();
    let html_of_one = html(out.path());
    assert!(
        html_of_one.contains("validation accuracy is 38.00") && !html_of_one.contains("optimistic"),
        "{html_of_one}"
    );
    let other = BestRow { validation_accuracy: Some(0.39), ..best_row() };
    fs::write(out.path().join(BEST_FILE), to_csv(&[other], Dialect::Comma)).unwrap();
    let html = html(out.path());
    assert!(!html.contains("37.12") && html.contains("<code>search_best.csv</code>"));
}

#[test]
fn a_setting_that_diverged_says_so_and_lacks_no_file() {
    let out = folder(&REPORT[..1]);
    let name = REPORT[0];
    let mut row = summary_row(name);
    (row.scores.train_loss, row.test_accuracy) = (None, None);
    let mut second = curve_row(2);
    (second.scores.train_loss, second.scores.validation_loss) = (None, None);
    let write = |name: &str, bytes: Vec<u8>| fs::write(out.path().join(name), bytes).unwrap();
    write("summary.csv", to_csv(&[row], Dialect::Comma));
    write(&format!("curves_{name}.csv"), to_csv(&[curve_row(1), second], Dialect::Comma));
    fs::remove_file(out.path().join(format!("snapshots_{name}.jpg"))).unwrap();
    for part in ["confusion", "probabilities"] {
        fs::remove_file(out.path().join(format!("{part}_{name}.csv"))).unwrap();
    }
    let html = html(out.path());
    assert!(html.contains("diverged in epoch 2") && html.contains("Epoch 2: diverged"));
    assert!(!html.contains("id=\"missing\"") && !html.contains("NaN"));
}

#[test]
fn a_failed_check_is_shown() {
    let out = folder(&REPORT[..1]);
    let rows = [gradcheck_row("a", "reference", Some(1e-9), "PASS"), gradcheck_row("b", "reference", None, "FAIL")];
    fs::write(out.path().join("gradcheck.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
    let html = html(out.path());
    assert!(html.contains("1 of 2 checks fails.") && html.contains("✗ FAIL in 1"));
    assert!(html.contains("not finite"));
}

#[test]
fn the_verdict_of_the_checks_has_the_number_of_those_that_fail() {
    for (checks, failed, expected) in [
        (1, 0, "The only check passes."),
        (1, 1, "The only check fails."),
        (2, 0, "All 2 checks pass."),
        (2, 1, "1 of 2 checks fails."),
        (2, 2, "2 of 2 checks fail."),
        (1200, 0, "All 1,200 checks pass."),
        (1200, 1100, "1,100 of 1,200 checks fail."),
    ] {
        let verdict = |i: usize| if i < failed { "FAIL" } else { "PASS" };
        let rows: Vec<_> = (0..checks).map(|i| gradcheck_row("a", "b", Some(1e-9), verdict(i))).collect();
        assert_eq!(Gradients::new(&rows).verdict(), expected);
    }
}

#[test]
fn checks_are_summed_up_by_comparison_and_in_detail_by_problem() {
    let row = |problem: &str, against: &str| gradcheck_row(problem, against, Some(1e-9), "PASS");
    let rows = [row("a", "reference"), row("b", "reference"), row("a", "PyTorch"), row("a", "reference")];
    let gradients = Gradients::new(&rows);
    assert_eq!((gradients.by_comparison.len(), gradients.by_problem.len()), (2, 3));
}

#[test]
fn snapshots_of_another_number_of_epochs_are_refused() {
    let out = folder(&REPORT[..1]);
    let path = out.path().join("curves_lambda0_eta0.1.csv");
    fs::write(path, to_csv(&[curve_row(1)], Dialect::Comma)).unwrap();
    let message = error(out.path());
    assert!(message.contains("snapshots_lambda0_eta0.1.jpg: must show 1 epoch as curves_"), "{message}");
}

#[test]
fn snapshots_of_an_earlier_build_are_shown_without_its_gaps_and_names() {
    let out = folder(&REPORT[..2]);
    let bare = encode(&vec![128; 320 * 64 * 3], 320, 64);
    fs::write(out.path().join("snapshots_lambda0_eta0.1.jpg"), bare).unwrap();
    let html = html(out.path());
    assert_eq!(count(&html, "width=\"320\" height=\"64\" y=\"-32\" data-top=\"0\" data-step=\"32\""), 1);
    assert_eq!(count(&html, "width=\"448\" height=\"160\" y=\"-120\" data-top=\"80\" data-step=\"40\""), 1);
    assert_eq!(["x=\"-32\"", "x=\"-256\"", "x=\"-48\""].map(|place| count(&html, place)), [1; 3]);
}

#[test]
fn a_selection_of_very_many_epochs_is_shown_with_the_last() {
    let out = folder(&REPORT[..1]);
    fs::remove_file(out.path().join("snapshots_lambda0_eta0.1.jpg")).unwrap();
    let rows: Vec<_> = (1..=1001).map(curve_row).collect();
    fs::write(out.path().join("curves_lambda0_eta0.1.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
    let html = html(out.path());
    assert_eq!(count(&html, "<g class=\"epoch\">"), 3 * 167);
    assert!(html.contains("Epoch 1001: ") && html.contains("a selection of the 2 epochs"));
}

#[test]
fn the_best_setting_is_the_one_with_the_highest_test_accuracy() {
    let out = folder(&REPORT[..2]);
    let mut better = summary_row(REPORT[1]);
    (better.hyperparameters.eta, better.test_accuracy) = (0.25, Some(0.41));
    let rows = [summary_row(REPORT[0]), better];
    fs::write(out.path().join("summary.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
    let html = html(out.path());
    let lead = html.split_once("The best of its settings").unwrap().1;
    let lead = lead.split_once("</p>").unwrap().0;
    assert!(lead.contains("0.25") && lead.contains("41.00\u{a0}%"), "{lead}");
}

#[test]
fn a_folder_without_anything_to_show_is_refused() {
    let out = tempfile::tempdir().unwrap();
    assert!(error(out.path()).contains("must contain a table for the page, such as summary.csv (`train`)"));
    assert!(error(&out.path().join("nowhere")).starts_with("cannot read the folder"));
}

/// A check of 10 numbers, tolerance 10⁻⁶.
pub fn gradcheck_row(problem: &str, against: &str, difference: Option<f64>, verdict: &str) -> GradcheckRow {
    GradcheckRow {
        problem: problem.into(),
        implementation: "kernels".into(),
        against: against.into(),
        lambda: 0.1,
        terms: "both".into(),
        quantity: "weight".into(),
        elements: 10,
        max_absolute_difference: difference,
        max_relative_difference: difference,
        location: Location::of_bias(3),
        hand: Some(0.5),
        other: Some(0.5),
        tolerance: 1e-6,
        verdict: verdict.into(),
    }
}

/// A results folder with every part, of `settings` with two epochs each.
pub fn folder(settings: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    let rows: Vec<_> = settings.iter().map(|name| summary_row(name)).collect();
    write("summary.csv", to_csv(&rows, Dialect::Comma));
    write("gradcheck.csv", to_csv(&[gradcheck_row("images", "reference", Some(2.5e-8), "PASS")], Dialect::Comma));
    write(
        "search.csv",
        to_csv(&[search_row(0.5, None), search_row(0.001, Some(0.37)), search_row(0.01, Some(0.38))], Dialect::Comma),
    );
    write(BEST_FILE, to_csv(&[best_row()], Dialect::Comma));
    write("replication.csv", to_csv(&replication_rows(), Dialect::Comma));
    for (name, bytes) in crate::replicate::table::files(&replication(), Dialect::Comma) {
        write(&name, bytes);
    }
    for (name, bytes) in ablation::table::files(&ablation::tests::example(), Dialect::Comma) {
        write(&name, bytes);
    }
    for (name, bytes) in overfitting::table::files(&overfitting::tests::example(), Dialect::Comma) {
        write(&name, bytes);
    }
    write("provenance.json", provenance().to_json());
    for name in settings.iter().filter(|name| !name.contains('/')) {
        write(&format!("curves_{name}.csv"), to_csv(&[curve_row(1), curve_row(2)], Dialect::Comma));
        let snapshot = vec![128; DIMS.classes * DIMS.features];
        write(&format!("snapshots_{name}.jpg"), to_jpeg(&[snapshot.clone(), snapshot]));
        let confusion = Confusion::from_counts(10, (0..100).collect());
        write(&format!("confusion_{name}.csv"), confusion_csv(&confusion, Dialect::Comma));
        write(&format!("probabilities_{name}.csv"), to_csv(&histogram(), Dialect::Comma));
    }
    folder
}

/// Bin i counts i correct and 40 − 2 i wrong images.
pub fn histogram() -> Vec<ProbabilityRow> {
    let bound = |i: usize| i as f64 / 20.0;
    (0..20).map(|i| ProbabilityRow { lower: bound(i), upper: bound(i + 1), right: i, wrong: 40 - 2 * i }).collect()
}

/// Two seeds of two settings, the first of which diverges once.
pub fn replication_rows() -> Vec<ReplicationRow> {
    let mut rows = rows(&[("lambda0_eta0.001", &[390, 391]), ("lambda0.1_eta0.001", &[393, 392])]);
    rows[0].correct_test_images = None;
    rows
}

pub fn replication() -> Replication {
    Replication::new(&replication_rows()).unwrap()
}

pub fn best_row() -> BestRow {
    BestRow {
        setting: "a".into(),
        hyperparameters: search_row(0.01, None).hyperparameters,
        validation_accuracy: Some(0.38),
        validation_standard_error: Some(0.0049),
        train_images: 50_000,
        test_images: 10_000,
        test_accuracy: Some(0.3712),
        test_standard_error: Some(0.004831),
        ..BestRow::default()
    }
}

pub fn summary_row(setting: &str) -> SummaryRow {
    SummaryRow {
        setting: setting.into(),
        hyperparameters: Hyperparameters { lambda: 0.1, epochs: 2, ..Hyperparameters::default() },
        scores: ScoreColumns {
            train_loss: Some(1.6436),
            train_cost: Some(1.7593),
            train_accuracy: Some(0.4482),
            validation_loss: Some(1.7875),
            validation_cost: Some(1.9032),
            validation_accuracy: Some(0.3902),
        },
        test_loss: Some(1.7607),
        test_accuracy: Some(0.3935),
        reported_test_accuracy: Some(0.394),
        train_seconds: 0.68,
    }
}

pub fn search_row(eta: f64, accuracy: Option<f64>) -> SearchRow {
    SearchRow {
        trial: 1,
        trials: 3,
        search: "00".into(),
        shard: Shard::WHOLE,
        setting: "a".into(),
        hyperparameters: Hyperparameters {
            lambda: 0.1,
            eta,
            loss: Loss::Bce,
            decay_every: Some(10),
            decay_factor: Some(0.5),
            flip: 0.5,
            ..Hyperparameters::default()
        },
        validation_split: "data_batch_2.bin".into(),
        validation_images: 10_000,
        validation_loss: accuracy,
        validation_cost: accuracy,
        validation_accuracy: accuracy,
        validation_standard_error: accuracy.map(|_| 0.0049),
        train_seconds: 0.5,
    }
}

/// A small PNG.
pub fn png() -> Vec<u8> {
    crate::files::raster::tests::png((2, 3), png::ColorType::Rgb, png::BitDepth::Eight, &[0; 2 * 3 * 3])
}

pub fn curve_row(epoch: usize) -> CurveRow {
    CurveRow {
        epoch,
        learning_rate: 0.001,
        scores: ScoreColumns {
            train_loss: Some(1.0 + 1.0 / epoch as f64),
            train_cost: Some(3.0),
            train_accuracy: Some(0.25),
            validation_loss: Some(2.5),
            validation_cost: Some(3.5),
            validation_accuracy: Some(0.2),
        },
        epoch_seconds: 0.01,
    }
}

pub fn provenance() -> Provenance {
    Provenance {
        version: "0.1.0".into(),
        commit: Some(Commit { id: "01e2383aa".into(), modified: true }),
        command: vec!["onelayer".into(), "train".into(), "--init".into(), "a file".into()],
        seed: 42,
        hyperparameters: vec![Hyperparameters::default()],
        data: vec![RecordFile::from(BatchFile::Test).into()],
        processor: "A processor".into(),
        threads: 2,
        platform: "linux x86_64".into(),
    }
}
