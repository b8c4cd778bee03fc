//! `gradcheck --quiz`: a quiz for checkers of gradients.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use onelayer::files::{atomic, folder};
use onelayer::gradcheck::quiz::{self, Grade};

use super::super::common::exit::or_unreadable;
use super::super::common::input;
use super::Args;
use super::export::exercise;
use super::referee::show_wrapped;

/// Number of features and examples of the problems: those that DD2424 suggests for a first check.
const FEATURES: usize = 10;
const EXAMPLES: usize = 3;

/// Writes a quiz to `folder`, or grades the answers to it.
pub fn run(args: &Args, folder: &Path) -> anyhow::Result<ExitCode> {
    match &args.export.answers {
        Some(answers) => or_unreadable(grade(args, folder, answers)),
        None => write(args, folder),
    }
}

fn write(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    // Before images are downloaded, if --dataset asks for them.
    let _created = folder::create(path).context("--quiz")?;
    let is_other = |file: &Path| !is_case(file) && !file_name(file).starts_with('.');
    if let Some(other) = input::files_in(path, "--quiz", is_other)?.first() {
        bail!("--quiz needs a folder for the quiz alone, but {} is in it; name a new folder", other.display());
    }
    let files = quiz::files(&exercise(args, EXAMPLES, FEATURES)?, args.seed)?;
    for (name, bytes) in &files {
        atomic::write(&path.join(name), bytes)?;
    }
    if !args.quiet {
        let (first, last) = (&files[0].0, &files[files.len() - 1].0);
        show!("{}: {first} to {last}", path.display());
        show!("Each has a problem (x, y, W, b, lambda), gradients to check (grad_W, grad_b) and");
        show!("central differences to compare them with (numeric_W, numeric_b). Write a CSV file");
        show!("with a line such as case_01,right or case_01,wrong for each, then run:");
        show!("onelayer gradcheck --quiz {} --answers FILE", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn grade(args: &Args, folder: &Path, answers: &Path) -> anyhow::Result<ExitCode> {
    let files = cases(folder)?;
    let text = input::read_text(answers, "--answers")?;
    let Grade { cases, correct, errors, explanations } = quiz::grade(&files, &text, answers)?;
    if !args.quiet {
        errors.iter().for_each(|error| show_wrapped(0, error));
        explanations.iter().for_each(|explanation| show_wrapped(0, explanation));
    }
    if errors.is_empty() {
        show!("PASS: all {cases} answers are correct");
        return Ok(ExitCode::SUCCESS);
    }
    show!("FAIL: {correct} of {cases} answers are correct");
    Ok(ExitCode::FAILURE)
}

fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn is_case(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with("case_") && name.ends_with(".npz")
}

/// The cases in `folder`, path and content, in the order of their names.
fn cases(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let paths = input::files_in(folder, "--quiz", is_case)?;
    ensure!(
        !paths.is_empty(),
        "the folder {} contains no quiz: `--quiz` without --answers writes one",
        folder.display()
    );
    let read = |path: PathBuf| {
        let bytes = onelayer::files::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path.display().to_string(), bytes))
    };
    paths.into_iter().map(read).collect()
}
