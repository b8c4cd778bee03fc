use std::fs;
use std::path::Path;

use crate::files::csv::{Dialect, to_csv};
use crate::page::samples::{curve_row, folder, gradcheck_row, summary_row};
use crate::page::*;

const REPORT: [&str; 4] = ["lambda0_eta0.1", "lambda0_eta0.001", "lambda0.1_eta0.001", "lambda1_eta0.001"];

fn html(folder: &Path) -> String {
    String::from_utf8(page(folder).unwrap()).unwrap()
}

fn error(folder: &Path) -> String {
    page(folder).unwrap_err().to_string()
}

/// How often `part` stands in `html`.
fn count(html: &str, part: &str) -> usize {
    html.matches(part).count()
}

/// The elements of `html` with their attributes, as a reader that takes it for XML would have them: it fails where an
/// element isn't closed, or closed by another one, and where an attribute has no quotes.
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
        // What is in them is no HTML.
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
    assert_eq!(count(&html, "<figure class=\"chart\">"), 8);
    assert_eq!(count(&html, "<g class=\"epoch\">"), 16);
    assert_eq!(count(&html, "data:image/jpeg;base64,"), 4);
    assert_eq!(count(&html, "aria-label=\"Weights of the class "), 40);
    assert_eq!(count(&html, "<table class=\"matrix\">"), 4);
    assert_eq!(count(&html, "type=\"range\""), 4);
    for value in [
        "39.35\u{a0}%",
        "39.40\u{a0}%",
        "−0.05",
        "1.7607",
        "Epoch 2: training 1.5000, validation 2.5000 nats",
        "Epoch 2: training 3.0000, validation 3.5000 nats",
        "All 1 checks pass.",
        "2.5e−8",
        "× 0.5 every 10 epochs",
        "38.00\u{a0}% ± 0.49\u{a0}%",
        "“λ = 0.1 is slightly better than 0” <strong>can't be told</strong>",
        "1 + 1 diverged",
        "<strong>39.25\u{a0}%</strong>",
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
fn what_a_file_says_is_text_whatever_it_is() {
    let hostile = "\"><img src=x onerror=alert(1)> & '</title>";
    let out = folder(&[hostile]);
    let write = |name: &str, bytes: Vec<u8>| fs::write(out.path().join(name), bytes).unwrap();
    write("gradcheck.csv", to_csv(&[gradcheck_row(hostile, hostile, None, hostile)], Dialect::Comma));
    let mut provenance = crate::page::samples::provenance();
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
        ("search.csv", "id=\"search\"", "search"),
        ("provenance.json", "id=\"provenance\"", "train"),
        ("summary.csv", "id=\"accuracies\"", "train"),
        ("curves_lambda0_eta0.1.csv", "class=\"charts\"", "train"),
        ("snapshots_lambda0_eta0.1.jpg", "class=\"weights\"", "train"),
        ("confusion_lambda0_eta0.1.csv", "class=\"matrix\"", "train"),
    ] {
        let out = folder(&REPORT[..1]);
        fs::remove_file(out.path().join(name)).unwrap();
        let html = html(out.path());
        assert!(full.contains(part) && !html.contains(part), "{name}");
        let said = format!("<code>{name}</code>, which <code>onelayer {command}</code> writes");
        assert!(html.contains(&said), "{name}");
        elements(&html);
    }
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
fn the_best_trials_of_a_search_come_first_and_one_that_diverged_last() {
    let html = html(folder(&REPORT).path());
    let search = html.split_once("id=\"search\"").unwrap().1;
    let places = ["38.00", "37.00", "– ± –"].map(|text| search.find(text));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
}

#[test]
fn a_setting_that_diverged_says_so_and_misses_nothing() {
    let out = folder(&REPORT[..1]);
    let name = REPORT[0];
    let mut row = summary_row(name);
    (row.train_loss, row.test_accuracy) = (None, None);
    let mut second = curve_row(2);
    (second.train_loss, second.validation_loss) = (None, None);
    let write = |name: &str, bytes: Vec<u8>| fs::write(out.path().join(name), bytes).unwrap();
    write("summary.csv", to_csv(&[row], Dialect::Comma));
    write(&format!("curves_{name}.csv"), to_csv(&[curve_row(1), second], Dialect::Comma));
    fs::remove_file(out.path().join(format!("snapshots_{name}.jpg"))).unwrap();
    fs::remove_file(out.path().join(format!("confusion_{name}.csv"))).unwrap();
    let html = html(out.path());
    assert!(html.contains("diverged in epoch 2") && html.contains("Epoch 2: diverged"));
    assert!(!html.contains("id=\"missing\"") && !html.contains("NaN"));
}

#[test]
fn a_check_that_failed_is_seen() {
    let out = folder(&REPORT[..1]);
    let rows = [gradcheck_row("a", "reference", Some(1e-9), "PASS"), gradcheck_row("b", "reference", None, "FAIL")];
    fs::write(out.path().join("gradcheck.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
    let html = html(out.path());
    assert!(html.contains("1 of\n2 checks fail.") && html.contains("✗ FAIL in 1"));
    assert!(html.contains("not finite"));
}

#[test]
fn snapshots_of_another_number_of_epochs_are_refused() {
    let out = folder(&REPORT[..1]);
    let path = out.path().join("curves_lambda0_eta0.1.csv");
    fs::write(path, to_csv(&[curve_row(1)], Dialect::Comma)).unwrap();
    let message = error(out.path());
    assert!(message.contains("snapshots_lambda0_eta0.1.jpg: must show the 1 epochs"), "{message}");
}

#[test]
fn of_very_many_epochs_some_are_shown_and_the_last() {
    let out = folder(&REPORT[..1]);
    fs::remove_file(out.path().join("snapshots_lambda0_eta0.1.jpg")).unwrap();
    let rows: Vec<_> = (1..=1001).map(curve_row).collect();
    fs::write(out.path().join("curves_lambda0_eta0.1.csv"), to_csv(&rows, Dialect::Comma)).unwrap();
    let html = html(out.path());
    assert_eq!(count(&html, "<g class=\"epoch\">"), 2 * 167);
    assert!(html.contains("Epoch 1001: ") && html.contains("of 2 epochs, some"));
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
    assert!(error(out.path()).contains("there is nothing to show"));
    assert!(error(&out.path().join("nowhere")).starts_with("cannot read the folder"));
}
