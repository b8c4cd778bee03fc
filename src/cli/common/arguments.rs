//! Parsing of the command line, and its errors in one line, in the words of all others.

use std::env;
use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

use super::rules;
use crate::cli::threads_expected;

/// The arguments of the program; the exit code if it has nothing to do but to print.
pub fn parse<T: Parser>() -> Result<T, ExitCode> {
    parsed(&words()).map_err(|refusal| match refusal {
        Refusal::Sentence(sentence) => {
            say!("error: {sentence}");
            ExitCode::from(2)
        }
        Refusal::Help(error) => {
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
        }
    })
}

/// The words of the command line.
pub fn words() -> Vec<OsString> {
    env::args_os().collect()
}

/// What is printed instead of running a command.
enum Refusal {
    /// What is wrong, in one line.
    Sentence(String),
    /// Help, or the version.
    Help(clap::Error),
}

/// The arguments in `words`, of which the first is the program.
fn parsed<T: Parser>(words: &[OsString]) -> Result<T, Refusal> {
    // Without this, `-3` is taken for an option.
    let mut program = T::command().mut_subcommands(|command| command.allow_negative_numbers(true));
    let matches = program.try_get_matches_from_mut(words).map_err(|error| refusal(error, &program, words))?;
    let used = matches.subcommand().and_then(|(name, matches)| Some((program.find_subcommand(name)?, matches)));
    match used.and_then(|(command, matches)| rules::broken(command, matches, words)) {
        Some(sentence) => Err(Refusal::Sentence(sentence)),
        None => T::from_arg_matches(&matches).map_err(|error| refusal(error, &program, words)),
    }
}

/// The option `name` of `command`, without dashes, by the name or alias that is among `words`; `None` if it is not there.
pub fn typed<'a>(command: &'a Command, name: &'a str, words: &[OsString]) -> Option<&'a str> {
    let option = command.get_arguments().find(|argument| argument.get_long() == Some(name))?;
    let names = std::iter::once(name).chain(option.get_visible_aliases().unwrap_or_default());
    let is_typed = |name: &&str| {
        let begins = |word: &OsString| {
            let word = word.to_string_lossy();
            let word = word.strip_prefix("--").and_then(|word| word.strip_prefix(name));
            word.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        words.iter().any(begins)
    };
    names.into_iter().find(is_typed)
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

/// The error of clap, in one line unless it shows help.
fn refusal(error: clap::Error, program: &Command, words: &[OsString]) -> Refusal {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if [DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion].contains(&error.kind()) {
        return Refusal::Help(error);
    }
    let command = words.get(1).and_then(|name| program.find_subcommand(name));
    let sentence = sentence(&error, command, words).unwrap_or_else(|| {
        // Without the usage, which follows.
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").into()
    });
    Refusal::Sentence(sentence)
}

/// The sentence about an error of clap in the arguments of `command`: what was expected, what was found, what to do.
fn sentence(error: &clap::Error, command: Option<&Command>, words: &[OsString]) -> Option<String> {
    let context = |kind| context(error, kind);
    // Without the name of its value.
    let argument = context(ContextKind::InvalidArg);
    let name = argument.as_deref().map_or("", |argument| argument.split([' ', '[']).next().unwrap_or_default());
    let name = name.strip_prefix("--").and_then(|name| Some(format!("--{}", typed(command?, name, words)?)));
    let name = name.or(argument.clone()).unwrap_or_default();
    let this = command.map_or("onelayer".into(), |command| format!("onelayer {}", command.get_name()));
    let value = context(ContextKind::InvalidValue);
    Some(match error.kind() {
        ErrorKind::UnknownArgument if name.starts_with('-') && name.parse::<f64>().is_err() => {
            match context(ContextKind::SuggestedArg) {
                Some(similar) => format!("there is no option {name}; did you mean {similar}?"),
                None => format!("there is no option {name}; `{this} --help` lists all"),
            }
        }
        ErrorKind::UnknownArgument => format!("'{name}' is one argument too many; `{this} --help` lists all"),
        ErrorKind::InvalidSubcommand => {
            let found = context(ContextKind::InvalidSubcommand)?;
            match context(ContextKind::SuggestedSubcommand) {
                Some(similar) => format!("there is no command {found}; did you mean {similar}?"),
                None => format!("there is no command {found}; `onelayer --help` lists all"),
            }
        }
        ErrorKind::ArgumentConflict => format!("{name} is given twice; give it once"),
        ErrorKind::MissingRequiredArgument => {
            let missing = argument?.replace(['<', '>'], "").replace("...", "").replace(" or ", " and ");
            format!("`{this}` needs {missing}; `{this} --help` says more")
        }
        ErrorKind::InvalidValue => match (value.filter(|value| !value.is_empty()), context(ContextKind::ValidValue)) {
            (Some(value), Some(values)) => {
                format!("{} must be {values}, but is '{value}'", name.trim_matches(['<', '>']))
            }
            (None, Some(values)) => format!("{name} needs a value: {values}"),
            _ => format!("{name} needs a value; `{this} --help` says more"),
        },
        ErrorKind::TooManyValues => format!("{name} takes no value, but is given '{}'", value?),
        ErrorKind::ValueValidation => {
            let option = argument.as_deref()?.split(' ').next()?.trim_start_matches('-');
            let option = command?.get_arguments().find(|argument| argument.get_long() == Some(option));
            let is_list = option.is_some_and(|option| option.get_value_delimiter().is_some());
            refused(&name, &error.source()?.to_string(), &value?, is_list)
        }
        _ => return None,
    })
}

/// What clap knows about an error, alternatives joined by "or".
fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => match &texts[..] {
            [] => None,
            [only] => Some(only.clone()),
            [first @ .., last] => Some(format!("{} or {last}", first.join(", "))),
        },
        _ => None,
    }
}

/// Says what is wrong with the `value` of the option `name`, which a parser refused for this `reason`.
fn refused(name: &str, reason: &str, value: &str, is_list: bool) -> String {
    let as_list = value.split([';', ' ']).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    if is_list && as_list.len() > 1 && as_list.iter().all(|part| part.parse::<f64>().is_ok()) {
        return format!("{name} must have commas between its values, {}, but is '{value}'", as_list.join(","));
    }
    let expected = expected(name, reason, value).map(|expected| match &expected[..] {
        "a number" if is_list => "numbers with commas between them".into(),
        "a whole number" if is_list => "whole numbers with commas between them".into(),
        _ => expected,
    });
    if is_list && value.trim() != value {
        return format!("{name} must have no spaces between its values, but has one in '{value}'");
    }
    match expected {
        Some(expected) => format!("{name} must be {expected}, but is '{value}'"),
        // The library names some values as their options.
        None if reason.starts_with(&format!("{} must ", name.trim_start_matches('-'))) => format!("--{reason}"),
        None => format!("{name}: {reason}"),
    }
}

/// Parses a number of a list, in which a decimal comma would go unnoticed: `0,01` is 0 and 01.
pub fn listed_number(text: &str) -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    match text.as_bytes() {
        [b'0', b'0'..=b'9', ..] => Err(LEADING_ZERO.into()),
        _ => Ok(text.parse::<f64>()?),
    }
}

/// The reason of [`listed_number`].
const LEADING_ZERO: &str = "a leading zero";

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
        LEADING_ZERO => format!("a number with a decimal point, such as 0.{value} (commas separate values)"),
        "number would be zero for non-zero type" => "at least 1".into(),
        "number too large to fit in target type" => match name {
            "--threads" => threads_expected(),
            "--batch-size" | "--examples" => "at most the number of training images".into(),
            _ => format!("at most {}", u64::MAX),
        },
        // Batches of CIFAR-10.
        _ if reason.ends_with("is not in 0..=255") => "1 to 5".into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// The refusal of a command line.
    fn refusal_of(line: &str) -> String {
        let words: Vec<_> =
            shlex::split(&format!("onelayer {line}")).unwrap().into_iter().map(OsString::from).collect();
        match parsed::<Cli>(&words) {
            Err(Refusal::Sentence(sentence)) => sentence,
            Err(Refusal::Help(error)) => panic!("{line}: {error}"),
            Ok(_) => "accepted".into(),
        }
    }

    #[test]
    fn a_value_that_is_refused_is_explained_in_one_line() {
        for (line, expected) in [
            ("train --eta 0,001", "--eta must be a number with a decimal point, 0.001, but is '0,001'"),
            ("train --eta x", "--eta must be a number, but is 'x'"),
            ("train --epochs -3", "--epochs must be at least 1, but is '-3'"),
            ("train --epochs 1.5", "--epochs must be a whole number, but is '1.5'"),
            ("train --seed -3", "--seed must be at least 0, but is '-3'"),
            ("train --checkpoint-every 0", "--checkpoint-every must be at least 1, but is '0'"),
            (
                "train --epochs 99999999999999999999",
                "--epochs must be at most 18446744073709551615, but is '99999999999999999999'",
            ),
            (
                "train --batch-size 99999999999999999999",
                "--batch-size must be at most the number of training images, but is '99999999999999999999'",
            ),
            (
                "train --train-batches '1, 2'",
                "--train-batches must have no spaces between its values, but has one in ' 2'",
            ),
            ("search --shard 5/4", "--shard must be I/N with I from 1 to N, such as 2/4, but is 5/4"),
            ("search --eta '0.1;0.2'", "--eta must have commas between its values, 0.1,0.2, but is '0.1;0.2'"),
            ("search --eta '1;x'", "--eta must be numbers with commas between them, but is '1;x'"),
            (
                "search --lambda 0,01",
                "--lambda must be a number with a decimal point, such as 0.01 (commas separate values), but is '01'",
            ),
            ("train --eta '1;2'", "--eta must be a number, but is '1;2'"),
            ("train --train-batches '1;2'", "--train-batches must have commas between its values, 1,2, but is '1;2'"),
            ("train --train-batches 300", "--train-batches must be 1 to 5, but is '300'"),
            ("train --validation-batches -1", "--validation-batches must be 1 to 5, but is '-1'"),
            ("train --train-batches x", "--train-batches must be whole numbers with commas between them, but is 'x'"),
            ("gradcheck --examples x", "--examples must be a whole number, but is 'x'"),
            (
                "train --decay-on-plateau 0",
                "--decay-on-plateau must be at least 1 epoch and, if it is given, a factor between 0 and 1, such as 5 or 5,0.1, but is 0",
            ),
            (
                "search --decay plateau0x0.5",
                "--decay must be at least 1 epoch and a factor between 0 and 1, such as 20x0.5 or plateau5x0.1, but is plateau0x0.5",
            ),
            ("fetch --stall-timeout x", "--stall-timeout must be 0.001 to 86400 seconds, but is 'x'"),
            ("train --dataset mnist", "--dataset must be cifar10 or sample, but is 'mnist'"),
            ("train --loss hinge", "--loss must be softmax or bce, but is 'hinge'"),
            ("generate basic", "WHAT must be bash, elvish, fish, powershell, zsh or man, but is 'basic'"),
        ] {
            assert_eq!(refusal_of(line), expected, "{line}");
        }
        assert_eq!(refusal_of("train --train-batches 1,2 --epochs 1"), "accepted");
    }

    #[test]
    fn wrong_usage_is_explained_in_one_line() {
        for (line, expected) in [
            ("train --epoch 3", "there is no option --epoch; did you mean --epochs?"),
            ("train --zzz", "there is no option --zzz; `onelayer train --help` lists all"),
            ("train extra", "'extra' is one argument too many; `onelayer train --help` lists all"),
            ("train -3", "'-3' is one argument too many; `onelayer train --help` lists all"),
            ("help zzz", "there is no command zzz; `onelayer --help` lists all"),
            ("trian", "there is no command trian; did you mean train?"),
            ("train --epochs 1 --epochs 2", "--epochs is given twice; give it once"),
            ("train --epochs", "--epochs needs a value; `onelayer train --help` says more"),
            ("train --dataset", "--dataset needs a value: cifar10 or sample"),
            ("train --quiet=3", "--quiet takes no value, but is given '3'"),
            ("evaluate", "`onelayer evaluate` needs MODEL; `onelayer evaluate --help` says more"),
            ("predict", "`onelayer predict` needs MODEL and IMAGE; `onelayer predict --help` says more"),
            (
                "gradcheck --quiz q --examples 3",
                "--examples cannot be used with --quiz: its problems have 3 examples with 10 features; leave one of them out",
            ),
        ] {
            assert_eq!(refusal_of(line), expected, "{line}");
        }
    }

    #[test]
    fn an_option_is_found_by_the_name_that_was_typed() {
        let program = Cli::command();
        let command = program.find_subcommand("gradcheck").unwrap();
        let name = |word: &str| typed(command, "batch-size", &[word.into()]);
        assert_eq!([name("--examples"), name("--batch-size=3")], [Some("examples"), Some("batch-size")]);
        assert_eq!([name("--examples-of"), name("examples"), name("--seed")], [None; 3]);
    }
}
