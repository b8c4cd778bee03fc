//! `report.html`: the page that shows a results folder, in a single file.
//!
//! The page depends on the folder alone. A part whose file is missing is left out, and the page lists the file; a malformed
//! file is an error. The page fetches nothing: its pictures are embedded, and its own policy forbids the browser everything
//! else. It is complete without its script, which only chooses the epoch shown.

mod axes;
mod chart;
mod confident;
mod contents;
mod evaluation;
mod gains;
mod heatmap;
mod histogram;
mod strips;
#[cfg(test)]
mod tests;
mod together;

use std::path::Path;

use askama::Template;
use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

use self::contents::{Contents, Missing};
use crate::dataset::cifar10::{CLASS_NAMES, SIDE};
use crate::error::Result;
use crate::figures::TILE;
use crate::figures::confident::{LABEL, SIZE};
use crate::gradcheck::table::{GradcheckRow, Summary};
use crate::statistics::{count, grouped};

/// File name of the page.
pub const FILE: &str = "report.html";

const STYLE: &str = include_str!("../../templates/style.css");
const SCRIPT: &str = include_str!("../../templates/script.js");

/// The page of the results folder `folder`, as HTML.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) if the folder or a file in it cannot be read, [`Error::Format`](crate::Error::Format)
/// if a file is not what its name says or the folder has nothing to show.
pub fn page(folder: &Path) -> Result<Vec<u8>> {
    let contents = Contents::read(folder)?;
    let page = Page {
        missing: contents.missing(),
        gradients: contents.gradcheck.as_deref().map(Gradients::new),
        script_digest: BASE64_STANDARD.encode(Sha256::digest(SCRIPT)),
        contents: &contents,
    };
    Ok(page.render().expect("writing to memory cannot fail").into_bytes())
}

/// The values of the template.
#[derive(Template)]
#[template(path = "page.html", whitespace = "minimize")]
struct Page<'a> {
    contents: &'a Contents,
    missing: Vec<Missing>,
    gradients: Option<Gradients<'a>>,
    /// The digest of the only script that the page's policy lets run.
    script_digest: String,
}

/// Summaries of the checks in two degrees of detail.
struct Gradients<'a> {
    checks: usize,
    failed: usize,
    /// One for each implementation and each method that it is compared with.
    by_comparison: Vec<Summary<'a>>,
    /// The same for each problem.
    by_problem: Vec<Summary<'a>>,
}

impl<'a> Gradients<'a> {
    fn new(rows: &'a [GradcheckRow]) -> Self {
        Self {
            checks: rows.len(),
            failed: rows.iter().filter(|row| !row.passed()).count(),
            by_comparison: Summary::by(rows, |row| (&row.against, &row.implementation)),
            by_problem: Summary::by(rows, |row| (&row.against, &row.implementation, &row.problem)),
        }
    }

    /// How many checks pass.
    fn verdict(&self) -> String {
        let checks = count(self.checks, "check");
        match (self.failed, self.checks) {
            (0, 1) => "The only check passes.".into(),
            (1, 1) => "The only check fails.".into(),
            (0, _) => format!("All {checks} pass."),
            (1, _) => format!("1 of {checks} fails."),
            (failed, _) => format!("{} of {checks} fail.", grouped(failed)),
        }
    }
}

/// Formats of the values in the template.
mod filters {
    use askama::{Result, Values, filter_fn};

    use super::{BASE64_STANDARD, Engine};
    use crate::{hyperparameters, statistics};

    /// Stands for a missing value.
    const MISSING: &str = "–";

    /// A loss or cost in nats, without the unit.
    pub fn nats(value: Option<f64>) -> String {
        let text = |v: f64| if v.abs() < 1e5 { statistics::fixed(v, 4) } else { statistics::scientific(v, 3) };
        value.map_or(MISSING.into(), text)
    }

    #[filter_fn]
    pub fn loss(value: &Option<f64>, _: &dyn Values) -> Result<String> {
        Ok(nats(*value))
    }

    /// A fraction as a percentage.
    #[filter_fn]
    pub fn percent(value: &Option<f64>, _: &dyn Values) -> Result<String> {
        Ok(value.map_or(MISSING.into(), |v| statistics::percent(v) + "\u{a0}%"))
    }

    /// A difference of two fractions in percentage points, without the unit.
    pub fn points(value: Option<f64>) -> String {
        value.map_or(MISSING.into(), statistics::points)
    }

    /// A standard error in percentage points, without the unit.
    #[filter_fn]
    pub fn points_of_error(value: &Option<f64>, _: &dyn Values) -> Result<String> {
        Ok(value.map_or(MISSING.into(), statistics::percent))
    }

    #[filter_fn]
    pub fn signed(value: &Option<f64>, _: &dyn Values) -> Result<String> {
        Ok(points(*value))
    }

    #[filter_fn]
    pub fn p_value(value: &Option<f64>, _: &dyn Values) -> Result<String> {
        Ok(value.map_or(MISSING.into(), statistics::p_text))
    }

    /// A difference, of which only the order of magnitude matters; a missing one was not finite.
    #[filter_fn]
    pub fn scientific(value: &(impl Copy + Into<Option<f64>>), _: &dyn Values) -> Result<String> {
        let value: Option<f64> = (*value).into();
        Ok(value.map_or("not finite".into(), |v| statistics::scientific(v, 1)))
    }

    /// A text from a table, for readers.
    #[filter_fn]
    pub fn readable(text: &str, _: &dyn Values) -> Result<String> {
        Ok(statistics::unbroken(&hyperparameters::readable(text)).replace('\'', "’"))
    }

    /// A number of things.
    #[filter_fn]
    pub fn grouped(n: &usize, _: &dyn Values) -> Result<String> {
        Ok(statistics::grouped(*n))
    }

    /// λ or η.
    #[filter_fn]
    pub fn short(value: &f64, _: &dyn Values) -> Result<String> {
        Ok(statistics::short(*value))
    }

    /// A fraction for a style sheet; a missing one is 0.
    #[filter_fn]
    pub fn share(value: &Option<f64>, _: &dyn Values) -> Result<String> {
        Ok(format!("{:.3}", value.unwrap_or(0.0)))
    }

    /// A command line, quoted for a shell.
    #[filter_fn]
    pub fn shell(words: &[String], _: &dyn Values) -> Result<String> {
        let words = words.iter().map(String::as_str);
        // Only a NUL cannot be quoted, and no argument contains one.
        shlex::try_join(words).map_err(askama::Error::custom)
    }

    #[filter_fn]
    pub fn encoded(bytes: &[u8], _: &dyn Values) -> Result<String> {
        Ok(BASE64_STANDARD.encode(bytes))
    }

    #[cfg(test)]
    mod tests {
        use askama::Template;

        use crate::page::filters;

        #[derive(Template)]
        #[template(
            ext = "txt",
            source = "{{ value|loss }}; {{ value|percent }}; {{ value|points_of_error }}; {{ value|signed }}; \
                      {{ value|p_value }}; {{ value|scientific }}; {{ value|share }}"
        )]
        struct Numbers {
            value: Option<f64>,
        }

        #[test]
        fn a_number_has_the_form_of_its_quantity_and_a_missing_one_is_a_dash() {
            let texts = |value: Option<f64>| Numbers { value }.render().unwrap();
            assert_eq!(texts(Some(0.0321)), "0.0321; 3.21\u{a0}%; 3.21; +3.21; 0.032; 3.2e−2; 0.032");
            assert_eq!(texts(Some(1.0)), "1.0000; 100.00\u{a0}%; 100.00; +100.00; 1.000; 1.0e0; 1.000");
            assert_eq!(texts(None), "–; –; –; –; –; not finite; 0.000");
            assert!(texts(Some(-0.0321)).starts_with("−0.0321; −3.21\u{a0}%; −3.21; −3.21; "));
        }

        #[test]
        fn a_loss_that_has_no_room_has_an_exponent() {
            for (value, expected) in [
                (99_999.99, "99999.9900"),
                (100_000.0, "1.000e5"),
                (-99_999.99, "−99999.9900"),
                (-100_000.0, "−1.000e5"),
                (0.0, "0.0000"),
            ] {
                assert_eq!(filters::nats(Some(value)), expected);
            }
        }

        #[derive(Template)]
        #[template(
            ext = "txt",
            source = "{{ name|readable }}; {{ images|grouped }}; {{ eta|short }}; {{ words[..]|shell }}; {{ bytes[..]|encoded }}; \
                      {{ eta|scientific }}"
        )]
        struct Texts {
            name: &'static str,
            images: usize,
            eta: f64,
            words: Vec<String>,
            bytes: Vec<u8>,
        }

        #[test]
        fn names_counts_and_command_lines_are_written_for_readers() {
            let words = ["onelayer", "it's", "a b"].map(String::from).to_vec();
            let bytes = b"onelayer".to_vec();
            let texts = Texts { name: "the report's λ = 0.1", images: 50_000, eta: 0.001, words, bytes };
            assert_eq!(
                texts.render().unwrap(),
                "the report’s λ\u{a0}=\u{a0}0.1; 50,000; 0.001; onelayer \"it's\" 'a b'; b25lbGF5ZXI=; 1.0e−3"
            );
        }
    }
}
