//! The page report.html: built by the real binary from a real training, and shown by a real browser if one is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::browser::Browser;
use onelayer::files::csv;
use onelayer::train::table::CurveRow;
use serde_json::json;
use tempfile::TempDir;

const EPOCHS: usize = 5;
/// The third setting on the page, which does not diverge on the sample.
const SETTING: &str = "lambda0.1_eta0.001";

fn onelayer(arguments: &[&str], out: &Path) -> Output {
    Command::new(crate::program()).args(arguments).arg("--out").arg(out).output().unwrap()
}

/// A folder in which the four settings were trained on the sample.
fn trained() -> TempDir {
    let out = tempfile::tempdir().unwrap();
    let epochs = EPOCHS.to_string();
    let arguments = ["train", "--dataset", "sample", "--quiet", "--epochs", &epochs];
    let output = onelayer(&arguments, out.path());
    assert!(output.status.success(), "{output:?}");
    out
}

fn page_of(out: &Path) -> PathBuf {
    out.join("report.html")
}

fn refusal(out: &Path) -> String {
    let output = onelayer(&["report"], out);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

#[test]
fn the_page_depends_on_the_content_of_the_folder_alone() {
    let out = trained();
    let page = fs::read(page_of(out.path())).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, elsewhere.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    fs::remove_file(page_of(elsewhere.path())).unwrap();
    let output = onelayer(&["report"], elsewhere.path());
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.trim_end(), page_of(elsewhere.path()).display().to_string());
    assert!(fs::read(page_of(elsewhere.path())).unwrap() == page);
    let html = String::from_utf8(page).unwrap();
    assert!(!html.contains(elsewhere.path().to_str().unwrap()));
    assert!(!html.contains(env!("CARGO_MANIFEST_DIR")));
}

#[test]
fn a_table_for_spreadsheets_with_semicolons_makes_the_same_page() {
    let out = trained();
    let html = fs::read_to_string(page_of(out.path())).unwrap();
    for entry in fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let table = fs::read_to_string(&path).unwrap();
            let german = table.replace(',', ";").replace('.', ",");
            // Dots in the settings' names are no decimal points.
            let german = german.replace("lambda0,1", "lambda0.1").replace("eta0,", "eta0.");
            fs::write(&path, german).unwrap();
        }
    }
    assert!(onelayer(&["report"], out.path()).status.success());
    assert!(fs::read_to_string(page_of(out.path())).unwrap() == html);
}

#[test]
fn a_missing_folder_or_one_without_results_is_refused_and_not_created() {
    let nowhere = tempfile::tempdir().unwrap().path().join("nowhere");
    assert!(refusal(&nowhere).starts_with("error: cannot read the folder "));
    assert!(!nowhere.exists());
    let empty = tempfile::tempdir().unwrap();
    assert!(refusal(empty.path()).contains("summary.csv (`train`)"));
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn a_truncated_file_is_named_in_the_error_and_the_old_page_stays() {
    let out = trained();
    let page = fs::read(page_of(out.path())).unwrap();
    for name in [
        "summary.csv".into(),
        "provenance.json".into(),
        format!("curves_{SETTING}.csv"),
        format!("confusion_{SETTING}.csv"),
        format!("probabilities_{SETTING}.csv"),
        format!("snapshots_{SETTING}.jpg"),
    ] {
        let path = out.path().join(&name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let stderr = refusal(out.path());
        assert!(stderr.starts_with("error: ") && stderr.contains(&name), "{stderr}");
        assert!(fs::read(page_of(out.path())).unwrap() == page);
        fs::write(&path, whole).unwrap();
    }
    assert!(onelayer(&["report"], out.path()).status.success());
}

#[test]
fn training_with_a_broken_table_in_the_folder_writes_everything_but_the_page_and_says_so() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("gradcheck.csv"), "edited;by;hand\n").unwrap();
    let arguments = ["train", "--dataset", "sample", "--quiet", "--epochs", "1"];
    let output = onelayer(&arguments, out.path());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("not their page") && stderr.contains("gradcheck.csv"), "{stderr}");
    assert!(out.path().join("summary.csv").exists() && !page_of(out.path()).exists());
    assert!(String::from_utf8(output.stdout).unwrap().contains(SETTING));
}

#[test]
fn a_browser_shows_the_page_without_complaints_and_fetches_nothing_else() {
    let Some(browser) = Browser::open() else {
        return;
    };
    let out = trained();
    browser.show(&page_of(out.path()));
    assert_eq!(browser.complaints(), [""; 0]);
    let fetched =
        "return performance.getEntriesByType('resource').map((e) => e.name).filter((n) => !n.startsWith('data:'))";
    assert_eq!(browser.run(fetched), json!([]));
    assert_eq!(browser.run("return document.querySelectorAll('.setting').length"), json!(4));

    // The check can fail: what the page's policy forbids makes the browser complain.
    let html = fs::read_to_string(page_of(out.path())).unwrap();
    for addition in ["<script>alert(1)</script>", "<img src='other.png'>", "<svg viewBox='a'></svg>"] {
        let page = out.path().join("altered.html");
        fs::write(&page, html.replace("</main>", &format!("{addition}</main>"))).unwrap();
        browser.show(&page);
        assert_ne!(browser.first_complaints(), [""; 0], "{addition}");
    }
}

#[test]
fn the_slider_and_the_pointer_choose_the_epoch_that_images_and_values_show() {
    let Some(browser) = Browser::open() else {
        return;
    };
    let out = trained();
    let path = out.path().join(format!("curves_{SETTING}.csv"));
    let curves: Vec<CurveRow> = csv::from_csv(&fs::read(&path).unwrap(), &path).unwrap();
    let accuracies = |epoch: usize| {
        let scores = &curves[epoch - 1].scores;
        let [training, validation] = [scores.train_accuracy, scores.validation_accuracy].map(|a| 100.0 * a.unwrap());
        format!("Epoch {epoch}: training {training:.2}, validation {validation:.2}\u{a0}%")
    };
    let shown = |epoch: usize| {
        let row = &curves[epoch - 1];
        let text = |quantity: [Option<f64>; 2]| {
            let [training, validation] = quantity.map(|value| format!("{:.4}", value.unwrap()));
            format!("Epoch {epoch}: training {training}, validation {validation} nats")
        };
        json!([
            epoch.to_string(),
            text([row.scores.train_loss, row.scores.validation_loss]),
            text([row.scores.train_cost, row.scores.validation_cost]),
            accuracies(epoch)
        ])
    };
    let read = "const s = document.querySelector('#setting-3');
        return [s.querySelector('.shown-epoch'), ...s.querySelectorAll('.readout')].map((e) => e.textContent)";
    let (slider, image) = ("#epoch-3", "#setting-3 .weights li svg");
    let chosen = |number: usize| {
        let script = "return [...document.querySelector('#setting-3 .chart').querySelectorAll('.epoch')]
            .map((e) => e.classList.contains('chosen'))";
        let expected: Vec<_> = (1..=EPOCHS).map(|epoch| epoch == number).collect();
        assert_eq!(browser.run(script), json!(expected));
    };

    browser.show(&page_of(out.path()));
    assert_eq!(browser.run(read), shown(EPOCHS));
    let last = browser.picture_of(image);
    // Home, then the right arrow.
    browser.type_into(slider, "\u{e011}");
    assert_eq!(browser.run(read), shown(1));
    chosen(1);
    let first = browser.picture_of(image);
    browser.type_into(slider, "\u{e014}");
    assert_eq!(browser.run(read), shown(2));
    let second = browser.picture_of(image);
    assert!(first != second && second != last && first != last);
    let text = browser.run("return document.querySelector('#epoch-3').getAttribute('aria-valuetext')");
    assert!(text.as_str().unwrap().starts_with("Epoch 2: "), "{text}");

    browser.point_at("#setting-3 .chart:nth-child(2) .epoch:nth-of-type(5) rect");
    let under_pointer = browser.run(read);
    assert!((1..=EPOCHS).any(|epoch| under_pointer == shown(epoch)) && under_pointer != shown(2));
    // The other settings do not change.
    let others = "return document.querySelector('#setting-2 .shown-epoch').textContent";
    assert_eq!(browser.run(others), json!(EPOCHS.to_string()));
    browser.type_into(slider, "\u{e010}");
    assert!(browser.picture_of(image) == last, "the last epoch is shown at first");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn without_its_script_the_page_shows_the_last_epoch_and_all_values_of_its_curves() {
    let Some(browser) = Browser::open() else {
        return;
    };
    let out = trained();
    let html = fs::read_to_string(page_of(out.path())).unwrap();
    let (before, rest) = html.split_once("<script>").unwrap();
    let after = rest.split_once("</script>").unwrap().1;
    let page = out.path().join("without_script.html");
    fs::write(&page, [before, after].concat()).unwrap();

    let image = "#setting-2 .weights li svg";
    browser.show(&page_of(out.path()));
    let with_script = browser.picture_of(image);
    browser.show(&page);
    assert!(browser.picture_of(image) == with_script);
    let control = "return getComputedStyle(document.querySelector('.epoch-control')).display";
    assert_eq!(browser.run(control), json!("none"));
    let titles = browser.run("return document.querySelectorAll('.chart .epoch > title').length");
    // Three charts per setting, and one of all settings.
    assert_eq!(titles, json!((4 * 3 + 1) * EPOCHS));
}

/// The tables of a replication, an ablation and a search, copied from the repository's results, and what is evaluated.
fn add_other_results(out: &Path) {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let copy = |name: &str, copy: &str| fs::copy(results.join(name), out.join(copy)).unwrap();
    for name in
        ["replication.csv", "replication_summary.csv", "replication_verdicts.csv", "ablation_summary.csv", "search.csv"]
    {
        copy(name, name);
    }
    copy("confusion_lambda0_eta0.1.csv", "confusion_other.csv");
    let model = out.join("model_lambda0_eta0.1.safetensors");
    assert!(onelayer(&["evaluate", model.to_str().unwrap(), "--dataset", "sample"], out).status.success());
    fs::rename(out.join("confident_lambda0_eta0.1.png"), out.join("confident_other.png")).unwrap();
    assert!(onelayer(&["report"], out).status.success());
}

#[test]
fn the_page_fits_a_phone_and_can_be_read_in_light_and_dark() {
    let Some(browser) = Browser::open() else {
        return;
    };
    let out = trained();
    add_other_results(out.path());
    for (width, scheme) in [(320, "light"), (390, "light"), (390, "dark"), (1200, "light"), (1200, "dark")] {
        browser.emulate(width, "screen", &[("prefers-color-scheme", scheme)]);
        browser.show(&page_of(out.path()));
        let wider = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wider, json!(0), "{width}");
        assert_eq!(browser.run(include_str!("browser/contrast.js")), json!([]), "{scheme}");
        if width >= 390 {
            assert_eq!(browser.run(include_str!("browser/drawings.js")), json!([]), "{width}");
        }
    }
    // The check can fail: a small text, a text outside its drawing and a picture that does not follow the colours are found.
    for (fault, found) in [
        ("document.querySelector('.heat text').style.fontSize = '6px'", "small"),
        ("document.querySelector('.strip text').setAttribute('x', 400)", "outside"),
        ("document.querySelector('.gains').append(document.createElement('img'))", "picture"),
        ("document.querySelector('.confident .label').style.filter = 'none'", "colours"),
        ("document.querySelector('.confident .label').style.width = '50px'", "small"),
        ("document.querySelector('.numbers').style.borderCollapse = 'collapse'", "rule"),
    ] {
        browser.show(&page_of(out.path()));
        browser.run(fault);
        let findings = browser.run(include_str!("browser/drawings.js")).to_string();
        assert!(findings.contains(found), "{fault}: {findings}");
    }
    let background = "return getComputedStyle(document.body).backgroundColor";
    let dark = browser.run(background);
    browser.emulate(1200, "screen", &[("prefers-color-scheme", "light")]);
    assert_ne!(browser.run(background), dark);
    // The check can fail: pale text is found.
    browser.run("document.querySelector('h1').style.color = '#999'");
    let found = browser.run(include_str!("browser/contrast.js"));
    assert!(!found.as_array().unwrap().is_empty());
}

#[test]
fn the_printed_page_has_everything_but_its_controls() {
    let Some(browser) = Browser::open() else {
        return;
    };
    let out = trained();
    browser.show(&page_of(out.path()));
    browser.emulate(700, "print", &[("prefers-color-scheme", "dark")]);
    let shown = |selector: &str| {
        let script = format!(
            "return [...document.querySelectorAll('{selector}')].filter((e) => e.getClientRects().length).length"
        );
        browser.run(&script)
    };
    assert_eq!((shown("nav"), shown(".epoch-control")), (json!(0), json!(0)));
    assert_eq!((shown(".chart"), shown(".weights li svg")), (json!(13), json!(40)));
    assert_eq!((shown(".matrix"), shown(".histogram"), shown("dl")), (json!(4), json!(4), json!(1)));
    let paper = browser.run("return getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, json!("rgb(255, 255, 255)"));
}

#[test]
fn a_screen_reader_can_read_the_page() {
    let Some(browser) = Browser::open() else {
        return;
    };
    let out = trained();
    add_other_results(out.path());
    browser.show(&page_of(out.path()));
    let findings = || browser.run(include_str!("browser/accessibility.js"));
    assert_eq!(findings(), json!([]));
    // The check can fail: each kind of fault is found.
    for (fault, found) in [
        ("document.documentElement.lang = ''", "language"),
        ("document.querySelector('.chart svg').removeAttribute('aria-label')", "name"),
        ("document.querySelector('label').remove()", "label"),
        ("document.querySelector('h2').id = document.querySelectorAll('h2')[1].id", "id"),
        ("document.querySelector('th').removeAttribute('scope')", "scope"),
        ("document.querySelector('h2').outerHTML = '<h4>a</h4>'", "heading"),
        ("document.querySelector('nav a').href = '#nowhere'", "link"),
    ] {
        browser.show(&page_of(out.path()));
        browser.run(fault);
        let findings = findings().to_string();
        assert!(findings.contains(found), "{fault}: {findings}");
    }
}
