//! Parsing of the command line, and its errors in one line, in the words of all others.

use std::error::Error as _;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The arguments of the program; the exit code if it has nothing to do but to print.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    // Without this, `-3` is taken for an option.
    let command = T::command().mut_subcommands(|command| command.allow_negative_numbers(true));
    let parsed = command.try_get_matches().and_then(|matches| T::from_arg_matches(&matches));
    parsed.map_err(|error| match sentence(&error) {
        Some(sentence) => {
            say!("error: {sentence}");
            ExitCode::from(2)
        }
        None => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
        }
    })
}

/// The options whose smallest value is 1; that of the others is 0.
const FROM_ONE: [&str; 9] = [
    "--batch-size",
    "--checkpoint-every",
    "--decay-every",
    "--epochs",
    "--every",
    "--features",
    "--random",
    "--seeds",
    "--threads",
];

/// What is wrong with a value that a parser refused; `None` for other errors, which clap explains.
fn sentence(error: &clap::Error) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, value) = (context(ContextKind::InvalidArg)?, context(ContextKind::InvalidValue)?);
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    // The option without the name of its value.
    let name = argument.split(' ').next()?;
    let reason = error.source()?.to_string();
    Some(match expected(name, &reason, value) {
        Some(expected) => format!("{name} must be {expected}, but is '{value}'"),
        // The library names some values as their options.
        None if reason.starts_with(&format!("{} must ", name.trim_start_matches('-'))) => format!("--{reason}"),
        None => format!("{name}: {reason}"),
    })
}

/// What the number of the option `name` should be, from the words of the standard library and of clap; `None` for the reasons of
/// the library, which say it.
fn expected(name: &str, reason: &str, value: &str) -> Option<String> {
    let is_negative = value.strip_prefix('-').is_some_and(|digits| digits.parse::<f64>().is_ok());
    Some(match reason {
        "invalid float literal" if value.replace(',', ".").parse::<f64>().is_ok() => {
            format!("a number with a decimal point, {}", value.replace(',', "."))
        }
        "invalid float literal" | "cannot parse float from empty string" => "a number".into(),
        "invalid digit found in string" if is_negative => format!("at least {}", u8::from(FROM_ONE.contains(&name))),
        "invalid digit found in string" | "cannot parse integer from empty string" => "a whole number".into(),
        "number would be zero for non-zero type" => "at least 1".into(),
        "number too large to fit in target type" => format!("at most {}", u64::MAX),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Run {
            #[arg(long)]
            eta: Option<f64>,
            #[arg(long)]
            epochs: Option<usize>,
            #[arg(long)]
            every: Option<std::num::NonZeroUsize>,
            #[arg(long)]
            seed: Option<u64>,
            #[arg(long)]
            shard: Option<onelayer::shard::Shard>,
            #[arg(long, value_parser = patience)]
            decay: Option<usize>,
        },
    }

    fn patience(text: &str) -> onelayer::Result<usize> {
        Err(onelayer::Error::invalid("decay-patience", "at least 1", text))
    }

    fn sentence_of(option: &str, value: &str) -> Option<String> {
        let command = Arguments::command().mut_subcommands(|command| command.allow_negative_numbers(true));
        sentence(&command.try_get_matches_from(["program", "run", option, value]).unwrap_err())
    }

    #[test]
    fn a_value_that_is_refused_is_explained_in_one_line() {
        let cases = [
            ("--eta", "0,001", "--eta must be a number with a decimal point, 0.001, but is '0,001'"),
            ("--eta", "x", "--eta must be a number, but is 'x'"),
            ("--epochs", "-3", "--epochs must be at least 1, but is '-3'"),
            ("--seed", "-3", "--seed must be at least 0, but is '-3'"),
            ("--shard", "5/4", "--shard must be I/N with I from 1 to N, such as 2/4, but is 5/4"),
            ("--decay", "0", "--decay: decay-patience must be at least 1, but is 0"),
            ("--epochs", "1.5", "--epochs must be a whole number, but is '1.5'"),
            ("--every", "0", "--every must be at least 1, but is '0'"),
            (
                "--epochs",
                "99999999999999999999",
                "--epochs must be at most 18446744073709551615, but is '99999999999999999999'",
            ),
        ];
        for (option, value, expected) in cases {
            assert_eq!(sentence_of(option, value).as_deref(), Some(expected));
        }
        assert_eq!(sentence_of("--nothing", "1"), None);
    }
}
