//! `onelayer gradcheck --export` and `--grads`: a problem for somebody else, and what to say about their gradients.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use onelayer::dataset::cifar10::{CLASS_NAMES, DIMS};
use onelayer::files::atomic;
use onelayer::gradcheck::Problem;
use onelayer::gradcheck::referee::files as referee_files;
use onelayer::gradcheck::referee::{Finding, Quantity, judge};
use onelayer::gradcheck::table::Location;
use onelayer::shape::Dims;

use super::common::input;

/// The problem's file unless told otherwise.
const PROBLEM: &str = "problem.npz";

/// What `gradcheck` takes for gradients that were computed elsewhere.
#[derive(clap::Args)]
#[command(next_help_heading = "Somebody else's gradients")]
pub struct RefereeArgs {
    /// Write a problem to solve (x, y, W, b, lambda): the batch at a random start, or at --model
    #[arg(long, value_name = "FILE", conflicts_with_all = ["grads", "differences", "out", "csv_dialect"])]
    pub export: Option<PathBuf>,
    /// Weight of the penalty λ·Σ weight² in the problem [default: 0.1]
    #[arg(long, value_name = "LAMBDA", requires = "export", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Check the gradients in this .npz file (grad_W, grad_b; loss and cost if there) and name mistakes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "batch_size", "differences", "seed", "dataset", "out", "csv_dialect"])]
    pub grads: Option<PathBuf>,
    /// The problem that --grads is for [default: problem.npz]
    #[arg(long, value_name = "FILE", requires = "grads")]
    problem: Option<PathBuf>,
}

impl RefereeArgs {
    /// Writes `problem`, which is a batch `at` somewhere, to `path`.
    pub fn export(&self, path: &Path, problem: &Problem, quiet: bool) -> anyhow::Result<ExitCode> {
        let lambda = self.lambda.unwrap_or(0.1);
        let bytes = referee_files::problem_to_npz(problem, lambda)
            .with_context(|| format!("cannot put the problem into {}", path.display()))?;
        atomic::write(path, &bytes)?;
        if !quiet {
            show!("{}: {}", path.display(), describe(problem, lambda));
            show!("cost = mean cross-entropy + lambda · Σ W²; save its gradients as grad_W and grad_b, then run:");
            show!("onelayer gradcheck --problem {} --grads FILE", path.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Judges the gradients in `path`.
    pub fn judge(&self, path: &Path, quiet: bool) -> anyhow::Result<ExitCode> {
        let problem_path = self.problem.as_deref().unwrap_or(Path::new(PROBLEM));
        let bytes = input::read(problem_path).with_context(|| {
            format!("cannot read the problem {} (--problem names it, --export writes one)", problem_path.display())
        })?;
        let (problem, lambda) = referee_files::read_problem(&bytes, problem_path)?;
        let bytes = input::read(path).with_context(|| format!("cannot read --grads {}", path.display()))?;
        let submission = referee_files::read_submission(&bytes, path, problem.dims())?;
        let findings = judge(&problem, lambda, &submission)?;
        if !quiet {
            show!("{}: {}", problem_path.display(), describe(&problem, lambda));
            for finding in &findings {
                print(finding, problem.dims());
            }
        }
        Ok(verdict(&findings))
    }
}

fn describe(problem: &Problem, lambda: f64) -> String {
    format!("{} examples, {}, λ = {lambda}", problem.len(), problem.dims())
}

/// How a quantity compares and, where it differs, the worst element and what it looks like.
fn print(finding: &Finding, dims: Dims) {
    let comparison = &finding.comparison;
    show!(
        "  {:7}{:8} {}, largest difference {:.1e}, relative {:.1e}",
        finding.quantity.name(),
        if finding.agrees() { "agrees" } else { "DIFFERS" },
        match comparison.elements {
            1 => "1 value".into(),
            elements => format!("{elements} values"),
        },
        comparison.max_absolute,
        comparison.max_relative,
    );
    if finding.agrees() {
        return;
    }
    if let Some(worst) = comparison.worst {
        show!(
            "    worst{}:\n      yours {:.9e}, right {:.9e}",
            place(finding.quantity, worst.index, dims),
            worst.hand,
            worst.other
        );
    }
    match &finding.mistake {
        Some(diagnosis) => {
            show!("    looks like: {}\n      (explains all but {:.1e})", diagnosis.mistake, diagnosis.left)
        }
        None if finding.may_be_rounding() => {
            show!("    looks like: the rounding of float32; compute in float64 to be sure")
        }
        None => show!("    looks like none of the mistakes that this program knows"),
    }
}

/// `, class 3 cat, red, row 5, column 9`.
fn place(quantity: Quantity, index: usize, dims: Dims) -> String {
    let of = match quantity {
        Quantity::Weight => "weight",
        Quantity::Bias => "bias",
        Quantity::Loss | Quantity::Cost => return String::new(),
    };
    let location = Location::new(of, index, dims);
    let mut place = location.class.map_or(String::new(), |class| match dims {
        DIMS => format!(", class {class} {}", CLASS_NAMES[class]),
        _ => format!(", class {class}"),
    });
    match (location.channel, location.row, location.column) {
        (Some(channel), Some(row), Some(column)) => place += &format!(", {channel}, row {row}, column {column}"),
        _ => {
            if let Some(feature) = location.feature {
                place += &format!(", feature {feature}")
            }
        }
    }
    place
}

fn verdict(findings: &[Finding]) -> ExitCode {
    let differ = |f: &&Finding| !f.agrees();
    let names: Vec<_> = findings.iter().filter(differ).map(|f| f.quantity.name()).collect();
    if names.is_empty() {
        show!("PASS: all {} agree", findings.len());
        ExitCode::SUCCESS
    } else {
        show!("FAIL: {}", names.join(", "));
        ExitCode::FAILURE
    }
}
