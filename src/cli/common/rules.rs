//! Options that need another one or cannot be used with it. All are in one table, so that each refusal has its reason.

use std::ffi::OsString;

use anyhow::bail;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::arguments::typed;

use Other::{Needs, Not};

/// Options, each written as a user types it, some with a value.
type Options = &'static [&'static str];

/// What the command line must have, or must not have, beside an option.
enum Other {
    /// One of these; a default value will do.
    Needs(Options),
    /// None of these.
    Not(Options),
}

/// One rule for several options, with its reason. It applies to the commands that have the options.
type Rule = (Options, Other, &'static str);

const RULES: &[Rule] = &[
    (
        &["--decay-every", "--decay-factor"],
        Not(&["--decay-on-plateau"]),
        "the learning rate falls either after a number of epochs or on plateaus",
    ),
    (&["--decay-every"], Needs(&["--decay-factor"]), "the learning rate is multiplied by that factor"),
    (&["--decay-factor"], Needs(&["--decay-every"]), "the factor applies every so many epochs"),
    (&["--rng-order"], Needs(&["--rng"]), "the order is that of a NumPy script, which draws W first (--rng numpy)"),
    (
        &["--rng-order permutation", "--rng-order shuffle"],
        Not(&["--rng chacha8"]),
        "the order is that of NumPy's generator",
    ),
    (&["--no-shuffle"], Not(&["--rng-order"]), "both say how the images are ordered"),
    (
        &["--validation-size"],
        Not(&["--validation-batches"]),
        "the validation images are either held out of the training images or batches of their own",
    ),
    (&["--validation-batches"], Needs(&["--split validation"]), "no other split has these images"),
    (&["--setting", "--epochs", "--batch-size"], Not(&["--ablate"]), "the TOML file of --ablate says how to train"),
    (&["--overfitting"], Not(&["--ablate"]), "each is an experiment of its own"),
    (&["--csv-dialect"], Needs(&["--csv"]), "the charts have no separators"),
    (&["--source npm", "--source official"], Not(&["--dataset sample"]), "the sample is inside the program, not there"),
    (&["--export", "--quiz"], Not(&["--grads"]), "--grads judges solutions of a problem that is written already"),
    (&["--export"], Not(&["--quiz"]), "one command writes either a problem or a quiz"),
    (
        &["--differences"],
        Not(&["--export", "--quiz", "--grads"]),
        "central differences check only this program's own gradients",
    ),
    (
        &[
            "--model",
            "--batch-size",
            "--seed",
            "--lambda",
            "--loss",
            "--layout",
            "--features",
            "--dataset",
            "--data-dir",
            "--train-batches",
            "--validation-size",
            "--validation-batches",
        ],
        Not(&["--grads"]),
        "the file of --problem has the images, the parameters, the loss and λ",
    ),
    (&["--answers"], Needs(&["--quiz"]), "they are graded with the folder of the quiz"),
    (
        &[
            "--model",
            "--seed",
            "--lambda",
            "--loss",
            "--layout",
            "--dataset",
            "--data-dir",
            "--train-batches",
            "--validation-size",
            "--validation-batches",
        ],
        Not(&["--answers"]),
        "the quiz is already written",
    ),
    (&["--batch-size", "--features"], Not(&["--quiz"]), "its problems have 3 examples with 10 features"),
    (
        &["--out", "--csv-dialect"],
        Not(&["--export", "--quiz"]),
        "it is for the check of this program's own gradients or for --grads",
    ),
    (&["--features"], Needs(&["--export"]), "it describes the problem to write"),
    (&["--lambda", "--loss", "--layout"], Needs(&["--export", "--quiz"]), "it describes the problem to write"),
    (&["--problem", "--tolerance", "--eps", "--format"], Needs(&["--grads"]), "it says how to judge those gradients"),
    (&["--quiet"], Not(&["--format json"]), "the JSON text is always complete"),
];

/// The first rule that the arguments of `command` break, as a sentence.
pub fn broken(command: &Command, matches: &ArgMatches, words: &[OsString]) -> Option<String> {
    let is_typed = |option: &&&str| find(command, matches, option) == Some(Found::Typed);
    RULES.iter().find_map(|(options, other, reason)| {
        let (Needs(others) | Not(others)) = other;
        if others.iter().any(|option| find(command, matches, option).is_none()) {
            return None;
        }
        let option = options.iter().find(is_typed)?;
        let name = option.trim_start_matches("--");
        let option = typed(command, name, words).map_or(option.to_string(), |name| format!("--{name}"));
        match other {
            Needs(others) => {
                let is_there = |option: &&str| find(command, matches, option) != Some(Found::Missing);
                let needed = others.join(" or ");
                (!others.iter().any(is_there)).then(|| format!("{option} needs {needed}: {reason}"))
            }
            Not(others) => {
                let other = others.iter().find(is_typed)?;
                Some(format!("{option} cannot be used with {other}: {reason}; leave one of them out"))
            }
        }
    })
}

/// Refuses the first of these options that is given and has no effect, with the reason `because`.
pub fn check_unused(options: &[(&str, bool)], because: &str) -> anyhow::Result<()> {
    match options.iter().find(|(_, is_unused)| *is_unused) {
        Some((option, _)) => bail!("{option} has no effect, because {because}; leave it out"),
        None => Ok(()),
    }
}

/// Whether an option has a value.
#[derive(PartialEq)]
enum Found {
    Typed,
    Default,
    Missing,
}

/// Looks for `option`, which may be followed by a value; `None` if `command` has no such option.
fn find(command: &Command, matches: &ArgMatches, option: &str) -> Option<Found> {
    let (name, value) = option.split_once(' ').map_or((option, None), |(name, value)| (name, Some(value)));
    let argument = command.get_arguments().find(|argument| argument.get_long() == name.strip_prefix("--"))?;
    let id = argument.get_id().as_str();
    let has_value = |wanted| matches.get_raw(id).is_some_and(|mut values| values.any(|value| value == wanted));
    Some(match matches.value_source(id) {
        Some(ValueSource::CommandLine) if value.is_none_or(has_value) => Found::Typed,
        // A flag that is not given has the default value false.
        Some(ValueSource::DefaultValue) if argument.get_action().takes_values() && value.is_none_or(has_value) => {
            Found::Default
        }
        _ => Found::Missing,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// The refusal of a command line that is otherwise valid.
    fn refusal(line: &str) -> Option<String> {
        let mut program = Cli::command();
        let words: Vec<_> = format!("onelayer {line}").split(' ').map(OsString::from).collect();
        let matches = program.try_get_matches_from_mut(&words).unwrap();
        let (name, matches) = matches.subcommand().unwrap();
        broken(program.find_subcommand(name).unwrap(), matches, &words)
    }

    #[test]
    fn every_option_of_the_table_exists_and_every_rule_can_be_broken() {
        let program = Cli::command();
        for (options, Needs(others) | Not(others), reason) in RULES {
            let has = |command: &Command, option: &str| {
                let name = option.split(' ').next().unwrap().trim_start_matches('-');
                command.get_arguments().any(|argument| argument.get_long() == Some(name))
            };
            let has_others = |command: &&Command| others.iter().all(|other| has(command, other));
            let commands: Vec<_> = program.get_subcommands().filter(has_others).collect();
            assert!(!commands.is_empty(), "{reason}");
            for option in *options {
                assert!(commands.iter().any(|command| has(command, option)), "{option}: {reason}");
            }
        }
    }

    #[test]
    fn a_refusal_has_both_options_and_its_reason() {
        for (line, expected) in [
            ("train --decay-factor 0.5", "--decay-factor needs --decay-every: "),
            ("train --decay-every 5", "--decay-every needs --decay-factor: "),
            (
                "train --decay-on-plateau 5 --decay-factor 0.5",
                "--decay-factor cannot be used with --decay-on-plateau: ",
            ),
            ("train --rng-order none", "--rng-order needs --rng: "),
            ("train --rng chacha8 --rng-order shuffle", "--rng-order shuffle cannot be used with --rng chacha8: "),
            (
                "audit run.npz --rng chacha8 --rng-order shuffle",
                "--rng-order shuffle cannot be used with --rng chacha8: ",
            ),
            ("train --rng numpy --no-shuffle --rng-order none", "--no-shuffle cannot be used with --rng-order: "),
            (
                "search --validation-size 10 --validation-batches 3",
                "--validation-size cannot be used with --validation",
            ),
            ("evaluate m --validation-batches 3", "--validation-batches needs --split validation: "),
            ("replicate --ablate f --epochs 3", "--epochs cannot be used with --ablate: "),
            ("replicate --ablate f --overfitting", "--overfitting cannot be used with --ablate: "),
            ("predict m a.png --csv-dialect semicolon", "--csv-dialect needs --csv: "),
            ("fetch --dataset sample --source npm", "--source npm cannot be used with --dataset sample: "),
            ("gradcheck --grads a --lambda 1", "--lambda cannot be used with --grads: "),
            (
                "gradcheck --grads a --differences 5",
                "--differences cannot be used with --grads: central differences check only this program's own gradients;",
            ),
            (
                "gradcheck --export a.npz --differences 5",
                "--differences cannot be used with --export: central differences check only this program's own gradients;",
            ),
            ("gradcheck --grads a --data-dir d", "--data-dir cannot be used with --grads: "),
            ("gradcheck --lambda 1", "--lambda needs --export or --quiz: "),
            ("gradcheck --export a.npz --csv-dialect semicolon", "--csv-dialect cannot be used with --export: "),
            ("gradcheck --quiz q --examples 3", "--examples cannot be used with --quiz: "),
            ("gradcheck --quiz q --answers a --seed 1", "--seed cannot be used with --answers: "),
            ("gradcheck --format json", "--format needs --grads: "),
            ("gradcheck --grads a --format json --quiet", "--quiet cannot be used with --format json: "),
        ] {
            let found = refusal(line).unwrap_or_default();
            assert!(found.starts_with(expected) && !found.contains('\n'), "{line}: {found}");
        }
    }

    #[test]
    fn options_that_go_together_are_accepted() {
        for line in [
            "train --decay-every 5 --decay-factor 0.5 --rng numpy --rng-order shuffle",
            "train --lambda 0 --loss bce --export npz",
            "audit run.npz --rng-order shuffle",
            "evaluate m --split validation --validation-batches 3",
            "replicate --overfitting --epochs 3",
            "predict m a.png --csv --csv-dialect semicolon",
            "fetch --dataset sample --source folder",
            "fetch --source npm",
            "gradcheck --quiz q --lambda 1 --seed 3",
            "gradcheck --grads a --problem p --out judged --csv-dialect semicolon --quiet",
        ] {
            assert_eq!(refusal(line), None, "{line}");
        }
    }
}
