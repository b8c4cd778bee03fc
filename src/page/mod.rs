//! `report.html`: the whole of a results folder on one page, in one file that needs nothing besides.
//!
//! The page is a function of the folder alone. A part whose file isn't there is left out, and the page says so; a file
//! that can't be understood is refused. The page fetches nothing: its pictures are in it, and its own policy forbids
//! the browser everything else. It is whole without its script, which only lets an epoch be chosen.

mod chart;
mod gradients;
mod matrix;
mod parts;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::path::Path;

use askama::Template;
use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

use self::chart::Chart;
use self::gradients::Gradients;
use self::matrix::MatrixRow;
use self::parts::{Parts, SettingPart};
use crate::dataset::cifar10::{CLASS_NAMES, SIDE};
use crate::error::Result;
use crate::train::table::CurveRow;

/// The file's name.
pub const FILE: &str = "report.html";

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of the results folder `folder`.
///
/// # Errors
///
/// [`Error::Io`](crate::Error::Io) when the folder or a file in it can't be read, [`Error::Format`](crate::Error::Format)
/// for a file that is not what its name says, and for a folder in which there is nothing to show.
pub fn page(folder: &Path) -> Result<Vec<u8>> {
    Ok(render(&Parts::read(folder)?))
}

fn render(parts: &Parts) -> Vec<u8> {
    let page = Page {
        parts,
        settings: parts.settings.iter().map(SettingView::new).collect(),
        gradients: parts.gradcheck.as_deref().map(Gradients::new),
        script_digest: BASE64_STANDARD.encode(Sha256::digest(SCRIPT)),
    };
    let html = page.render().expect("writing to memory cannot fail");
    html.into_bytes()
}

/// What the template is filled with.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    parts: &'a Parts,
    settings: Vec<SettingView<'a>>,
    gradients: Option<Gradients<'a>>,
    /// What the policy of the page allows to run.
    script_digest: String,
}

/// A setting, ready to be shown.
struct SettingView<'a> {
    part: &'a SettingPart,
    /// The losses and the costs; none without their table.
    charts: Vec<Chart>,
    /// The confusion matrix; empty without its table.
    matrix: Vec<MatrixRow>,
}

impl<'a> SettingView<'a> {
    fn new(part: &'a SettingPart) -> Self {
        let curves = part.curves.iter().flat_map(|rows| CurveRow::curves(rows));
        Self {
            part,
            charts: curves.map(|curves| Chart::new(&curves)).collect(),
            matrix: part.confusion.iter().flat_map(matrix::rows).collect(),
        }
    }

    /// How many epochs the slider goes over.
    fn steps(&self) -> usize {
        let curves = self.part.curves.as_ref().map(Vec::len);
        let snapshots = self.part.snapshots.as_ref().map(|sheet| sheet.epochs);
        curves.or(snapshots).unwrap_or(0)
    }

    /// The epoch that is shown at first.
    fn last_epoch(&self) -> usize {
        let last = self.part.curves.as_ref().and_then(|rows| rows.last());
        last.map_or(self.steps(), |row| row.epoch)
    }
}

/// How the template writes values.
mod filters {
    use askama::{Result, Values, filter_fn};

    use super::{BASE64_STANDARD, Engine};
    use crate::{hyperparameters, statistics};

    /// What stands where there is no value.
    const MISSING: &str = "–";

    /// A loss or cost; the unit stands beside it.
    pub fn nats(value: Option<f64>) -> String {
        value.map_or(MISSING.into(), |v| if v.abs() < 1e5 { format!("{v:.4}") } else { format!("{v:.3e}") })
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

    /// A difference: only its order of magnitude matters. One that is missing was not finite.
    #[filter_fn]
    pub fn scientific(value: &(impl Copy + Into<Option<f64>>), _: &dyn Values) -> Result<String> {
        let value: Option<f64> = (*value).into();
        Ok(value.map_or("not finite".into(), |v| format!("{v:.1e}").replace('-', "−")))
    }

    /// λ or η.
    #[filter_fn]
    pub fn short(value: &f64, _: &dyn Values) -> Result<String> {
        Ok(hyperparameters::short(*value))
    }

    /// A fraction, as a style has it.
    #[filter_fn]
    pub fn share(value: &(impl Copy + Into<Option<f64>>), _: &dyn Values) -> Result<String> {
        Ok(format!("{:.3}", (*value).into().unwrap_or(0.0)))
    }

    /// A command line that a shell would understand as it was typed.
    #[filter_fn]
    pub fn shell(words: &[String], _: &dyn Values) -> Result<String> {
        let words = words.iter().map(String::as_str);
        // What can't be written for a shell holds a NUL, which no argument does.
        shlex::try_join(words).map_err(askama::Error::custom)
    }

    #[filter_fn]
    pub fn encoded(bytes: &[u8], _: &dyn Values) -> Result<String> {
        Ok(BASE64_STANDARD.encode(bytes))
    }
}
