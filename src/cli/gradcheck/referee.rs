//! `gradcheck --grads`: judges gradients that were computed elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use onelayer::files::csv::to_csv;
use onelayer::gradcheck::referee::files::{read_problem, read_submission, unread_arrays};
use onelayer::gradcheck::referee::table::{self, Judged};
use onelayer::gradcheck::referee::{Diagnosis, Exercise, Finding, Hidden, Quantity, Referee, Tolerance, Verdict};
use onelayer::gradcheck::{EPS, TOLERANCE};
use onelayer::statistics::{count, grouped, scientific, typographic};
use rayon::prelude::*;

use super::super::common::exit::{CANNOT_TELL, UNREADABLE, or_unreadable};
use super::super::common::{errors, input};
use super::Args;

/// The arguments for gradients that were computed elsewhere.
#[derive(clap::Args)]
#[command(next_help_heading = "Check your own gradients")]
pub struct RefereeArgs {
    /// Judge the gradients in these .npz or .npy files, or in all of these folders, and name mistakes
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub grads: Vec<PathBuf>,
    /// The problem that --grads solves [default: problem.npz]
    #[arg(long, value_name = "FILE")]
    problem: Option<PathBuf>,
    /// Largest difference |a − b| or |a − b| / max(eps, |a| + |b|) that agrees
    #[arg(long, value_name = "X", default_value_t = TOLERANCE)]
    tolerance: f64,
    /// The eps in the relative difference
    #[arg(long, value_name = "X", default_value_t = EPS)]
    eps: f64,
    /// Format of the judgement on stdout
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// The name of a format.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For readers
    Text,
    /// For programs
    Json,
}

/// Judges the submissions of `--grads`. With several, writes them as a table too.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    or_unreadable(judge_all(args))
}

fn judge_all(args: &Args) -> anyhow::Result<ExitCode> {
    let options = &args.referee;
    let tolerance = Tolerance { tolerance: options.tolerance, eps: options.eps };
    for (name, value) in [("--tolerance", options.tolerance), ("--eps", options.eps)] {
        ensure!(value > 0.0 && value.is_finite(), "{name} must be positive and finite, but is {value}");
    }
    let path = options.problem.as_deref().unwrap_or(Path::new("problem.npz"));
    let bytes = onelayer::files::read(path).with_context(|| {
        format!("cannot read the problem {} (--problem names it, --export writes one)", path.display())
    })?;
    let exercise = read_problem(&bytes, path)?;
    let (files, several) = submissions(&options.grads, path)?;
    if !several {
        args.out.check_unused("the judgement of one file is only printed")?;
    }
    let referee = Referee::new(&exercise, tolerance)?;
    let judged: Vec<Judged> = files.par_iter().map(|file| judge(&referee, file)).collect();
    let is_unreadable = |judged: &Judged| judged.outcome.is_err();
    if let ([Judged { outcome: Err(error), .. }], false, Format::Text) = (&judged[..], several, options.format) {
        anyhow::bail!("{error}");
    }
    if !args.quiet {
        let is_partly_read = |judged: &&Judged| judged.outcome.is_ok() && !judged.unread.is_empty();
        for Judged { file, unread, .. } in judged.iter().filter(is_partly_read) {
            say!("note: {file}: not read: {}; a solution has grad_W, grad_b, loss and cost", unread.join(", "));
        }
    }
    let mut written = None;
    if several {
        let folder = args.out.open()?;
        let rows = table::rows(&judged, &exercise);
        folder.write(&[(table::FILE.into(), to_csv(&rows, folder.dialect()))])?;
        written = Some(folder.path().join(table::FILE));
    }
    if options.format == Format::Json {
        show!("{}", table::to_json(&judged, &exercise, &path.display().to_string(), tolerance));
    } else {
        print_all(args, &judged, &exercise, path, several);
    }
    if let Some(table) = written.filter(|_| !args.quiet && options.format == Format::Text) {
        say!("the table is in {}", table.display());
    }
    let verdicts = judged.iter().filter_map(Judged::verdict);
    Ok(match (judged.iter().any(is_unreadable), Verdict::of(verdicts)) {
        (true, _) => ExitCode::from(UNREADABLE),
        (false, Verdict::Differs) => ExitCode::FAILURE,
        (false, Verdict::CannotTell) => ExitCode::from(CANNOT_TELL),
        (false, Verdict::Agrees) => ExitCode::SUCCESS,
    })
}

/// The files in `paths`, in the order of their names in a folder; true if they are several or from a folder.
fn submissions(paths: &[PathBuf], problem: &Path) -> anyhow::Result<(Vec<PathBuf>, bool)> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let is_submission = |file: &Path| {
            let is = |extension| file.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
            (is("npz") || is("npy")) && !file.is_dir() && !is_same(file, problem)
        };
        let mut found = input::files_in(path, "--grads", is_submission)?;
        ensure!(!found.is_empty(), "the folder {} of --grads contains no .npz or .npy file", path.display());
        let is_other = |file: &Path| !is_submission(file) && !is_same(file, problem);
        let others = input::files_in(path, "--grads", is_other)?;
        if let [first, ..] = &others[..] {
            let more = if others.len() > 1 { format!(" and {} more", others.len() - 1) } else { String::new() };
            say!("note: not judged, as only .npz and .npy files in the folder itself are: {}{more}", first.display());
        }
        files.append(&mut found);
    }
    input::check_listed_once(&files, "--grads")?;
    let several = files.len() > 1 || paths.iter().any(|path| path.is_dir());
    Ok((files, several))
}

/// True if both paths lead to the same file.
fn is_same(a: &Path, b: &Path) -> bool {
    fs::canonicalize(a).ok() == fs::canonicalize(b).ok()
}

fn judge(referee: &Referee, file: &Path) -> Judged {
    let mut unread = Vec::new();
    let mut outcome = || -> anyhow::Result<Vec<Finding>> {
        let bytes = onelayer::files::read(file).with_context(|| format!("cannot read --grads {}", file.display()))?;
        unread = unread_arrays(&bytes, file);
        Ok(referee.judge(&read_submission(&bytes, file, referee.exercise())?)?)
    };
    let outcome = outcome().map_err(|error| errors::line(&error));
    Judged { file: file.display().to_string(), unread, outcome }
}

fn print_all(args: &Args, judged: &[Judged], exercise: &Exercise, problem: &Path, several: bool) {
    let RefereeArgs { tolerance, eps, .. } = args.referee;
    if args.quiet {
        for judged in judged {
            let summary = typographic(&judged.summary());
            let colon = if summary.is_empty() { "" } else { ": " };
            show!("{}: {}{colon}{summary}", judged.file, judged.verdict_name());
        }
    } else {
        show!("{}: {}", problem.display(), exercise.describe());
        let [tolerance, eps] = [tolerance, eps].map(|limit| typographic(&format!("{limit:e}")));
        show!("agrees: |a − b| ≤ {tolerance} everywhere,");
        show!("     or |a − b| / max({eps}, |a| + |b|) ≤ {tolerance} everywhere");
    }
    match judged {
        [Judged { outcome: Ok(findings), file, .. }] if !several => {
            if !args.quiet {
                show!("{file}:");
                findings.iter().for_each(|finding| print_finding(finding, exercise));
            }
            print_verdict(findings);
        }
        _ => {
            if !args.quiet {
                print_table(judged);
            }
            print_count(judged);
        }
    }
}

/// The last line for one submission.
fn print_verdict(findings: &[Finding]) {
    let with = |verdict| {
        let of_it = findings.iter().filter(|f| f.verdict == verdict).map(|f| f.quantity.name());
        of_it.collect::<Vec<_>>().join(", ")
    };
    match Verdict::of(findings.iter().map(|f| f.verdict)) {
        Verdict::Agrees => match findings.len() {
            1 => show!("PASS: {} agrees", with(Verdict::Agrees)),
            2 => show!("PASS: both agree"),
            all => show!("PASS: all {all} agree"),
        },
        Verdict::CannotTell => show!("CAN'T TELL: {}", with(Verdict::CannotTell)),
        Verdict::Differs => show!("FAIL: {}", with(Verdict::Differs)),
    }
}

/// The last line for several submissions.
fn print_count(judged: &[Judged]) {
    let with = |name| judged.iter().filter(|judged| judged.verdict_name() == name).count();
    let (agree, of) = (with("agrees"), judged.len());
    if agree == of {
        match of {
            1 => show!("PASS: the submission agrees"),
            2 => show!("PASS: both submissions agree"),
            of => show!("PASS: all {of} submissions agree"),
        }
        return;
    }
    let differ = if with("differs") == 1 { "differs" } else { "differ" };
    let counts = [(differ, "differs"), ("can't be told", "cannot_tell"), ("cannot be read", "unreadable")];
    let counts = counts.into_iter().filter(|(_, name)| with(name) > 0);
    let counts: Vec<String> = counts.map(|(words, name)| format!("{} {words}", with(name))).collect();
    let word = if with("differs") + with("unreadable") > 0 { "FAIL" } else { "CAN'T TELL" };
    let agrees = if agree == 1 { "agrees" } else { "agree" };
    show!("{word}: of {}, {agree} {agrees}, {}", count(of, "submission"), counts.join(", "));
}

/// One line per submission with the verdicts on its quantities, and one with what explains them.
fn print_table(judged: &[Judged]) {
    let width = judged.iter().map(|judged| judged.file.chars().count()).max().unwrap_or(0).clamp(4, 24);
    let names = Quantity::ALL.map(Quantity::name);
    show!("{:width$} {}", "file", names.map(|name| format!("{name:14}")).concat().trim_end());
    for judged in judged {
        let cell = |name: &str| match &judged.outcome {
            Ok(findings) => {
                let finding = findings.iter().find(|f| f.quantity.name() == name);
                finding.map_or("–", |f| f.verdict.in_words())
            }
            Err(_) => "unreadable",
        };
        let cells: String = names.map(|name| format!("{:14}", cell(name))).concat();
        // A name that is too long has a line of its own, so that the columns stay below each other.
        let mut file = judged.file.as_str();
        if file.chars().count() > width {
            show!("{file}");
            file = "";
        }
        show!("{file:width$} {}", cells.trim_end());
        let summary = judged.summary();
        if !summary.is_empty() {
            show_wrapped(4, &summary);
        }
    }
}

/// Prints `text` with an indent, in lines of at most 80 columns; further lines are indented by two more.
pub fn show_wrapped(indent: usize, text: &str) {
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for word in typographic(text).split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > 80 {
            show!("{line}");
            line = " ".repeat(indent + 2);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    show!("{line}");
}

/// The verdict on one quantity and, if it differs, the worst element and the likely mistakes.
fn print_finding(finding: &Finding, exercise: &Exercise) {
    let comparison = &finding.comparison;
    let verdict = finding.verdict.in_words();
    show!(
        "  {:7}{verdict:14}{}, max difference {}, relative {}",
        finding.quantity.name(),
        count(comparison.elements, "value"),
        scientific(comparison.max_absolute, 1),
        scientific(comparison.max_relative, 1),
    );
    if let Some(Hidden { mistakes, trace, advice }) = &finding.hidden {
        show!("    it agrees, but so would it with one of these (change at most {}):", scientific(*trace, 1));
        mistakes.iter().for_each(|mistake| show_wrapped(6, mistake));
        show!("    ask again with {advice}");
    }
    if finding.verdict != Verdict::Differs {
        return;
    }
    if let Some(worst) = comparison.worst {
        let location = table::location(finding, exercise).text(exercise.is_of_images());
        show!("    worst{location}:\n      yours {}, right {}", scientific(worst.hand, 9), scientific(worst.other, 9));
    }
    print_explanations(finding);
}

/// The mistakes that explain a difference, what they leave, and where that lies.
fn print_explanations(finding: &Finding) {
    for (i, explanation) in finding.explanations.iter().enumerate() {
        for (j, Diagnosis { mistake, fix }) in explanation.iter().enumerate() {
            let start = match (i, j) {
                (0, 0) => "looks like",
                (_, 0) => "or like",
                _ => "and like",
            };
            show_wrapped(4, &format!("{start}: {mistake}"));
            show_wrapped(6, &format!("fix: {fix}"));
        }
    }
    if let Some(left) = finding.left {
        show!("      (explains the difference to within {})", scientific(left, 1));
    }
    if let Some(remainder) = &finding.remainder {
        let rest = if finding.explanations.is_empty() {
            "looks like none of the mistakes that this program knows"
        } else {
            "and besides"
        };
        show!("    {rest}:");
        if remainder.elements > 0 {
            let (elements, of) = (grouped(remainder.elements), count(remainder.of, "element"));
            let differ = if remainder.elements == 1 { "differs" } else { "differ" };
            show!("      {elements} of {of} {differ}, by up to {}:", scientific(remainder.largest, 1));
        }
        show_wrapped(6, &remainder.place);
    }
    if finding.explanations.is_empty() && finding.is_rounding {
        show!("    looks like: the rounding of float32; compute in float64 to be sure");
    }
}
