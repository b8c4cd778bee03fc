//! The judgements of several submissions as a table, `referee.csv`, and as JSON.
//!
//! The JSON is one object:
//!
//! | field | |
//! |---|---|
//! | `schema` | [`SCHEMA`]; another number once a field changes its meaning or goes away |
//! | `problem` | `file`, `examples`, `features`, `classes`, `loss`, `lambda`, `layout` |
//! | `tolerance`, `eps` | agreement is \|a − b\| ≤ tolerance, or \|a − b\| / max(eps, \|a\| + \|b\|) ≤ tolerance |
//! | `submissions` | one object per file: `file`, `verdict`, `error`, `quantities` |
//!
//! `verdict` is `agrees`, `cannot_tell`, `differs` or, of a file that cannot be read, `unreadable`; `error` says why.
//! Each of the `quantities` has its `quantity` (`grad_W`, `grad_b`, `loss`, `cost`) and `verdict`; `elements`,
//! `max_absolute_difference`, `max_relative_difference`; `worst` with `class`, `feature`, `channel`, `row`, `column`,
//! `submitted` and `right`; `rounding`, true if the difference may be that of `float32`; `explanations`, a list of equally simple lists of `mistake` and `fix`; `unexplained` with
//! `elements`, `largest` and `place`; and, if it can't be told, `hidden` with `mistakes`, `trace` and `advice`. A value that
//! does not apply, or is not finite, is null.

use serde::Serialize;

use super::{Diagnosis, Exercise, Finding, Tolerance, Verdict};
use crate::files::csv::row;
use crate::gradcheck::table::Location;

/// Name of the table's file.
pub const FILE: &str = "referee.csv";

/// Version of the JSON.
pub const SCHEMA: u32 = 1;

/// A file, and what became of it: its findings, or the reason why it cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The file.
    pub file: String,
    /// The names of its arrays that are not read.
    pub unread: Vec<String>,
    /// The findings of its quantities, or an error.
    pub outcome: Result<Vec<Finding>, String>,
}

impl Judged {
    /// The verdict on all quantities together; `None` if the file cannot be read.
    pub fn verdict(&self) -> Option<Verdict> {
        let findings = self.outcome.as_ref().ok()?;
        Some(Verdict::of(findings.iter().map(|finding| finding.verdict)))
    }

    /// The name of the verdict in the table and in JSON.
    pub fn verdict_name(&self) -> &'static str {
        self.verdict().map_or("unreadable", Verdict::name)
    }

    /// The mistakes that explain the differences, each once, for one line; the place where no mistake does.
    pub fn summary(&self) -> String {
        let findings = match &self.outcome {
            Ok(findings) => findings,
            Err(error) => return error.clone(),
        };
        let mut parts: Vec<String> = Vec::new();
        let mut add = |part: String| {
            if !part.is_empty() && !parts.contains(&part) {
                parts.push(part);
            }
        };
        for finding in findings {
            match &finding.explanations[..] {
                [only] => only.iter().for_each(|d| add(d.mistake.clone())),
                several => add(alternatives(several)),
            }
            if let Some(remainder) = &finding.remainder {
                add(format!("{} differs: {}", finding.quantity.name(), remainder.place));
            }
            if finding.explanations.is_empty() && finding.is_rounding {
                add("the rounding of float32".into());
            }
            if let Some(hidden) = &finding.hidden {
                add(format!("{} could hide: {}", finding.quantity.name(), hidden.mistakes[0]));
            }
        }
        parts.join("; ")
    }
}

/// The mistakes of each explanation; several explanations are alternatives.
fn alternatives(explanations: &[Vec<Diagnosis>]) -> String {
    let together = |e: &Vec<Diagnosis>| e.iter().map(|d| &d.mistake[..]).collect::<Vec<_>>().join("; ");
    explanations.iter().map(together).collect::<Vec<_>>().join(", or ")
}

row! {
    /// A quantity of a submission, or a submission that cannot be read.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct RefereeRow {
        /// The submitted file.
        pub file: String,
        /// `agrees`, `cannot_tell`, `differs` or `unreadable`.
        pub verdict: String,
        /// `grad_W`, `grad_b`, `loss` or `cost`; empty if the file cannot be read.
        pub quantity: String,
        /// Number of elements compared.
        pub elements: usize,
        /// The largest |submitted − right|; `None` if it is not finite.
        pub max_absolute_difference: Option<f64>,
        /// The largest |submitted − right| / max(eps, |submitted| + |right|); `None` if it is not finite.
        pub max_relative_difference: Option<f64>,
        /// Location of the element with the largest absolute difference.
        pub location: Location,
        /// Its value in the submission; `None` if it is not finite.
        pub submitted: Option<f64>,
        /// Its right value.
        pub right: Option<f64>,
        /// The mistakes that explain the difference together, or that could hide.
        pub mistakes: String,
        /// Number of elements whose difference no mistake explains.
        pub unexplained_elements: usize,
        /// The largest unexplained difference; `None` if there is none or it is not finite.
        pub unexplained_difference: Option<f64>,
        /// The place of the unexplained elements, the advice where it can't be told, or the reason why a file cannot be read.
        pub remark: String,
    }
}

/// The rows of `judged`, one per quantity.
pub fn rows(judged: &[Judged], exercise: &Exercise) -> Vec<RefereeRow> {
    let of_file = |judged: &Judged| match &judged.outcome {
        Ok(findings) => findings.iter().map(|finding| row_of(&judged.file, finding, exercise)).collect(),
        Err(error) => {
            let (file, verdict, remark) = (judged.file.clone(), judged.verdict_name().into(), error.clone());
            vec![RefereeRow { file, verdict, remark, ..RefereeRow::default() }]
        }
    };
    judged.iter().flat_map(of_file).collect()
}

fn row_of(file: &str, finding: &Finding, exercise: &Exercise) -> RefereeRow {
    let comparison = &finding.comparison;
    let mistakes = match &finding.hidden {
        Some(hidden) => hidden.mistakes.join("; "),
        None if finding.is_rounding && finding.explanations.is_empty() => "the rounding of float32".into(),
        None => alternatives(&finding.explanations),
    };
    let remark = match (&finding.hidden, &finding.remainder) {
        (Some(hidden), _) => format!("ask again with {}", hidden.advice),
        (None, Some(remainder)) => remainder.place.clone(),
        (None, None) => String::new(),
    };
    RefereeRow {
        file: file.into(),
        verdict: finding.verdict.name().into(),
        quantity: finding.quantity.name().into(),
        elements: comparison.elements,
        max_absolute_difference: finite(comparison.max_absolute),
        max_relative_difference: finite(comparison.max_relative),
        location: location(finding, exercise),
        submitted: comparison.worst.and_then(|w| finite(w.hand)),
        right: comparison.worst.and_then(|w| finite(w.other)),
        mistakes,
        unexplained_elements: finding.remainder.as_ref().map_or(0, |r| r.elements),
        unexplained_difference: finding.remainder.as_ref().and_then(|r| finite(r.largest)),
        remark,
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The location of the element with the largest difference.
pub fn location(finding: &Finding, exercise: &Exercise) -> Location {
    finding.comparison.worst.map_or(Location::default(), |worst| exercise.location(finding.quantity, worst.index))
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    problem: Problem<'a>,
    tolerance: f64,
    eps: f64,
    submissions: Vec<Submission<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    file: &'a str,
    examples: usize,
    features: usize,
    classes: usize,
    loss: &'a str,
    lambda: f64,
    layout: &'a str,
}

#[derive(Serialize)]
struct Submission<'a> {
    file: &'a str,
    verdict: &'a str,
    error: Option<&'a str>,
    quantities: Vec<OfQuantity<'a>>,
}

#[derive(Serialize)]
struct OfQuantity<'a> {
    quantity: &'a str,
    verdict: &'a str,
    elements: usize,
    max_absolute_difference: f64,
    max_relative_difference: f64,
    worst: Option<Worst>,
    rounding: bool,
    explanations: Vec<Vec<Explained<'a>>>,
    unexplained: Option<Unexplained<'a>>,
    hidden: Option<Hides<'a>>,
}

#[derive(Serialize)]
struct Worst {
    class: Option<usize>,
    feature: Option<usize>,
    channel: Option<String>,
    row: Option<usize>,
    column: Option<usize>,
    submitted: f64,
    right: f64,
}

#[derive(Serialize)]
struct Explained<'a> {
    mistake: &'a str,
    fix: &'a str,
}

#[derive(Serialize)]
struct Unexplained<'a> {
    elements: usize,
    largest: f64,
    place: &'a str,
}

#[derive(Serialize)]
struct Hides<'a> {
    mistakes: &'a [String],
    trace: f64,
    advice: &'a str,
}

/// The judgements of submissions for `exercise`, which is in the file `problem`, as JSON.
pub fn to_json(judged: &[Judged], exercise: &Exercise, problem: &str, tolerance: Tolerance) -> String {
    let document = Document {
        schema: SCHEMA,
        problem: Problem {
            file: problem,
            examples: exercise.examples(),
            features: exercise.dims().features,
            classes: exercise.dims().classes,
            loss: exercise.loss().name(),
            lambda: exercise.lambda(),
            layout: exercise.layout().name(),
        },
        tolerance: tolerance.tolerance,
        eps: tolerance.eps,
        submissions: judged.iter().map(|judged| submission(judged, exercise)).collect(),
    };
    serde_json::to_string_pretty(&document).expect("every key is a string")
}

fn submission<'a>(judged: &'a Judged, exercise: &Exercise) -> Submission<'a> {
    let quantities = judged.outcome.iter().flatten().map(|finding| of_quantity(finding, exercise)).collect();
    let error = judged.outcome.as_ref().err().map(|error| &error[..]);
    Submission { file: &judged.file, verdict: judged.verdict_name(), error, quantities }
}

fn of_quantity<'a>(finding: &'a Finding, exercise: &Exercise) -> OfQuantity<'a> {
    let comparison = &finding.comparison;
    let place = location(finding, exercise);
    OfQuantity {
        quantity: finding.quantity.name(),
        verdict: finding.verdict.name(),
        elements: comparison.elements,
        max_absolute_difference: comparison.max_absolute,
        max_relative_difference: comparison.max_relative,
        worst: comparison.worst.map(|worst| Worst {
            class: place.class,
            feature: place.feature,
            channel: place.channel.clone(),
            row: place.row,
            column: place.column,
            submitted: worst.hand,
            right: worst.other,
        }),
        rounding: finding.is_rounding,
        explanations: finding
            .explanations
            .iter()
            .map(|e| e.iter().map(|d| Explained { mistake: &d.mistake, fix: &d.fix }).collect())
            .collect(),
        unexplained: finding.remainder.as_ref().map(|r| Unexplained {
            elements: r.elements,
            largest: r.largest,
            place: &r.place,
        }),
        hidden: finding.hidden.as_ref().map(|h| Hides { mistakes: &h.mistakes, trace: h.trace, advice: &h.advice }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Hidden, Layout, Quantity, Remainder};
    use super::*;
    use crate::gradcheck::Problem as OfRandom;
    use crate::shape::Dims;

    fn exercise() -> Exercise {
        Exercise::of(&OfRandom::random(Dims { features: 3, classes: 2 }, 4, 1), 0.25, Layout::Rows).unwrap()
    }

    fn finding(quantity: Quantity, submitted: &[f64], right: &[f64], explanations: &[&[&str]]) -> Finding {
        let diagnosis = |mistake: &&str| Diagnosis { mistake: (*mistake).into(), fix: format!("no {mistake}") };
        let explanations = explanations.iter().map(|e| e.iter().map(diagnosis).collect()).collect();
        let comparison = Tolerance::default().compare(submitted, right);
        Finding { explanations, ..Finding::unexplained(quantity, comparison) }
    }

    fn bias(explanations: &[&[&str]]) -> Finding {
        finding(Quantity::Bias, &[1.0, 2.0], &[1.0, 2.5], explanations)
    }

    fn judged(findings: Vec<Finding>) -> Judged {
        Judged { file: "a.npz".into(), unread: Vec::new(), outcome: Ok(findings) }
    }

    fn remainder(place: &str, largest: f64) -> Option<Remainder> {
        Some(Remainder { elements: 1, of: 2, largest, place: place.into() })
    }

    fn hidden() -> Option<Hidden> {
        Some(Hidden { mistakes: vec!["p".into(), "q".into()], trace: 0.5, advice: "--lambda 1".into() })
    }

    #[test]
    fn the_table_and_the_line_name_the_same_mistakes() {
        for (finding, line, mistakes, remark) in [
            (bias(&[]), "", "", ""),
            (bias(&[&["a"]]), "a", "a", ""),
            (bias(&[&["a", "b"]]), "a; b", "a; b", ""),
            (bias(&[&["a", "a"]]), "a", "a; a", ""),
            (bias(&[&["a"], &["b", "c"]]), "a, or b; c", "a, or b; c", ""),
            (Finding { is_rounding: true, ..bias(&[]) }, "the rounding of float32", "the rounding of float32", ""),
            // A mistake explains more than rounding.
            (Finding { is_rounding: true, ..bias(&[&["a"]]) }, "a", "a", ""),
            (Finding { remainder: remainder("class 1", 0.5), ..bias(&[]) }, "grad_b differs: class 1", "", "class 1"),
            (
                Finding { remainder: remainder("class 1", 0.5), ..bias(&[&["a"]]) },
                "a; grad_b differs: class 1",
                "a",
                "class 1",
            ),
            (Finding { hidden: hidden(), ..bias(&[]) }, "grad_b could hide: p", "p; q", "ask again with --lambda 1"),
        ] {
            let judged = [judged(vec![finding])];
            let rows = rows(&judged, &exercise());
            assert_eq!((judged[0].summary().as_str(), rows[0].mistakes.as_str()), (line, mistakes));
            assert_eq!((rows.len(), rows[0].remark.as_str()), (1, remark));
        }
        // Of several quantities, each mistake once.
        let several = judged(vec![bias(&[&["a", "b"]]), bias(&[]), bias(&[&["b"]]), bias(&[&["c"]])]);
        assert_eq!(several.summary(), "a; b; c");
    }

    #[test]
    fn a_row_has_every_fact_of_a_finding() {
        let weight =
            finding(Quantity::Weight, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.5], &[&["a"]]);
        let weight = Finding { remainder: remainder("somewhere", 0.25), ..weight };
        let expected = RefereeRow {
            file: "a.npz".into(),
            verdict: "differs".into(),
            quantity: "grad_W".into(),
            elements: 6,
            max_absolute_difference: Some(0.5),
            max_relative_difference: Some(0.5 / 12.5),
            location: Location { class: Some(1), feature: Some(2), ..Location::default() },
            submitted: Some(6.0),
            right: Some(6.5),
            mistakes: "a".into(),
            unexplained_elements: 1,
            unexplained_difference: Some(0.25),
            remark: "somewhere".into(),
        };
        assert_eq!(rows(&[judged(vec![weight])], &exercise()), [expected]);
    }

    #[test]
    fn a_value_that_is_not_finite_is_left_out() {
        let nan = finding(Quantity::Loss, &[f64::NAN], &[1.5], &[]);
        let infinite = finding(Quantity::Cost, &[f64::NEG_INFINITY], &[1.5], &[]);
        let nan = Finding { remainder: remainder("the number itself", f64::INFINITY), ..nan };
        let judged = [judged(vec![nan, infinite])];
        for row in rows(&judged, &exercise()) {
            assert_eq!((row.max_absolute_difference, row.submitted, row.right), (None, None, Some(1.5)));
            assert_eq!((row.unexplained_difference, row.location), (None, Location::default()));
        }
        let text = to_json(&judged, &exercise(), "problem.npz", Tolerance::default());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let of_loss = &json["submissions"][0]["quantities"][0];
        assert!(of_loss["max_absolute_difference"].is_null() && of_loss["worst"]["submitted"].is_null(), "{of_loss}");
        assert_eq!(of_loss["worst"]["right"], 1.5);
        assert!(of_loss["hidden"].is_null() && json["submissions"][0]["quantities"][1]["unexplained"].is_null());
    }

    #[test]
    fn the_json_has_what_could_hide_and_each_alternative() {
        let findings = vec![Finding { hidden: hidden(), ..bias(&[]) }, bias(&[&["a"], &["b", "c"]])];
        let text = to_json(&[judged(findings)], &exercise(), "problem.npz", Tolerance::default());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let quantities = &json["submissions"][0]["quantities"];
        let expected = serde_json::json!({ "mistakes": ["p", "q"], "trace": 0.5, "advice": "--lambda 1" });
        assert_eq!(quantities[0]["hidden"], expected);
        let diagnosis = |mistake: &str| serde_json::json!({ "mistake": mistake, "fix": format!("no {mistake}") });
        let expected = serde_json::json!([[diagnosis("a")], [diagnosis("b"), diagnosis("c")]]);
        assert_eq!(quantities[1]["explanations"], expected);
        let worst = serde_json::json!({
            "class": 1, "feature": null, "channel": null, "row": null, "column": null, "submitted": 2.0, "right": 2.5,
        });
        assert_eq!(quantities[1]["worst"], worst);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_agreement() {
        let unreadable = Judged { file: "b".into(), unread: Vec::new(), outcome: Err("no archive".into()) };
        assert_eq!((unreadable.verdict(), unreadable.verdict_name()), (None, "unreadable"));
        assert_eq!(unreadable.summary(), "no archive");
        let empty = judged(vec![]);
        assert_eq!((empty.verdict(), empty.verdict_name()), (Some(Verdict::CannotTell), "cannot_tell"));
        let agrees = Finding { verdict: Verdict::Agrees, ..bias(&[]) };
        assert_eq!(judged(vec![agrees.clone()]).verdict(), Some(Verdict::Agrees));
        assert_eq!(judged(vec![agrees.clone(), bias(&[]), agrees]).verdict_name(), "differs");
        let row = &rows(&[unreadable], &exercise())[0];
        assert_eq!((row.verdict.as_str(), row.remark.as_str(), row.elements), ("unreadable", "no archive", 0));
    }
}
