//! The commands: each turns its arguments into values of the library, calls it, and prints.

/// Prints a line on stderr. A closed stderr is not a failure, unlike with `eprintln!`.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::say_line(format_args!($($text)*)) };
}

/// Prints a line on stdout. A closed stdout is not a failure, unlike with `println!`.
macro_rules! show {
    () => { $crate::cli::print(b"\n") };
    ($($text:tt)*) => { $crate::cli::show_line(format_args!($($text)*)) };
}

mod audit;
mod common;
mod compare;
mod evaluate;
mod fetch;
mod generate;
mod gradcheck;
mod merge;
mod predict;
mod replicate;
mod report;
mod search;
mod train;

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::{self, ExitCode};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use onelayer::files::raster;
use onelayer::hyperparameters::Loss;

const AFTER_HELP: &str = "\
Examples:
  onelayer train                       Train the report's four settings
  onelayer train --dataset sample      The same on 2,000 images, without network
  onelayer gradcheck --dataset sample  Check the gradients
  onelayer train --help                Show a command's options, with examples";

/// Trains a one-layer softmax classifier on CIFAR-10 with hand-derived, checked gradients.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP, term_width = 80)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train the report's four settings, or one of your own, and write tables, figures and models
    Train(train::Args),
    /// Search hyperparameters on the validation split, then retrain the best on all images
    Search(search::Args),
    /// Check the gradients against an f64 reference, central differences and PyTorch
    Gradcheck(gradcheck::Args),
    /// Check a whole training of your own: is it right, or which known mistake does it have
    Audit(audit::Args),
    /// Train with many seeds and test the report's conclusions
    Replicate(replicate::Args),
    /// Compare two models on the test images (McNemar's test)
    Compare(compare::Args),
    /// Join the tables of the shards of `replicate` or `search`
    Merge(merge::Args),
    /// Build report.html from a results folder
    Report(report::Args),
    /// Evaluate a model: loss, accuracy, confusion matrix, most confident predictions
    Evaluate(evaluate::Args),
    /// Classify PNG or JPEG images
    Predict(predict::Args),
    /// Get CIFAR-10 and check it against its published digests
    Fetch(fetch::Args),
    /// Print completions for a shell, or the man page
    Generate(generate::Args),
}

/// Runs the command, and reports an error in one line on stderr. The exit code is 0 for success; a check that ran and
/// failed returns its own.
pub fn main() -> ExitCode {
    raster::silence_caught_panics();
    let cli: Cli = match common::arguments::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    run(cli).unwrap_or_else(|error| match common::signals::stopped(&error) {
        Some((code, line)) => {
            say!("{line}");
            code
        }
        None => {
            say!("error: {}", common::errors::line(&error));
            ExitCode::FAILURE
        }
    })
}

/// Prints a line on stderr.
fn say_line(text: fmt::Arguments) {
    let line = printable(&text.to_string());
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a line on stdout.
fn show_line(text: fmt::Arguments) {
    print(format!("{text}\n").as_bytes());
}

/// Writes to stdout. That a reader has closed it is no error; otherwise, as on a full disk, the process ends.
fn print(bytes: &[u8]) {
    let mut stdout = io::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say!("error: cannot write to stdout: {error}");
            process::exit(1)
        }
        _ => {}
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Train(args) => train::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Gradcheck(args) => gradcheck::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Replicate(args) => replicate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Generate(args) => generate::run(&args),
    }
}

/// `text`, which may quote a file or a server, on one line, without control characters and the numbers of the system's errors,
/// whose words precede them.
fn printable(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut words = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| words += part.split_once(')').map_or(part, |(_, rest)| rest));
    let mut line = String::with_capacity(words.len());
    for character in words.chars() {
        match character {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// The largest number of threads per processor. More only wait for each other.
const THREADS_PER_PROCESSOR: usize = 4;

/// Sets the number of threads; `None` for one per processor. This thread is one of them: otherwise it would sleep and
/// wake for both passes of every mini-batch.
fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    if let Some(threads) = threads.filter(|threads| !(1..=most_threads()).contains(threads)) {
        anyhow::bail!("--threads must be {}, but is {threads}", threads_expected());
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).use_current_thread().build_global()?;
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The largest number of threads: at least 16, so that a small machine can show that the results do not depend on it.
fn most_threads() -> usize {
    THREADS_PER_PROCESSOR * processors().max(4)
}

/// The valid numbers of threads, for messages.
fn threads_expected() -> String {
    format!("1 to {} on the {} processors here", most_threads(), processors())
}

/// A loss by its name.
fn loss_parser() -> impl TypedValueParser<Value = Loss> {
    PossibleValuesParser::new(Loss::ALL.map(Loss::name)).try_map(|name| name.parse())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The program and its commands.
    fn commands() -> Vec<clap::Command> {
        let program = Cli::command();
        let commands = program.get_subcommands().cloned();
        std::iter::once(program.clone()).chain(commands).collect()
    }

    /// The examples in the help of `command`, without their descriptions and redirections.
    fn examples(command: &clap::Command) -> Vec<Vec<String>> {
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let lines = help.lines().map(str::trim);
        let examples = lines.filter(|line| line.starts_with("onelayer "));
        let words = |line: &str| {
            let example = line.split("  ").next().unwrap();
            let example = example.split(" > ").next().unwrap();
            shlex::split(example).unwrap()
        };
        examples.map(words).collect()
    }

    #[test]
    fn every_command_has_valid_examples() {
        for command in commands() {
            let examples = examples(&command);
            assert!(!examples.is_empty(), "{} has no example", command.get_name());
            for example in examples {
                // A request for help ends with an error that is not printed on stderr.
                if let Err(error) = Cli::try_parse_from(&example) {
                    assert!(!error.use_stderr(), "{example:?}: {error}");
                }
            }
        }
        assert!(Cli::try_parse_from(["onelayer", "train", "--no-such-option"]).is_err());
    }

    #[test]
    fn the_numbers_of_system_errors_are_not_printed() {
        let text = "cannot read a: Is a directory (os error 21); cannot open b: No such file or directory (os error 2)";
        assert_eq!(printable(text), "cannot read a: Is a directory; cannot open b: No such file or directory");
        assert_eq!(printable("a (b)"), "a (b)");
    }

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
