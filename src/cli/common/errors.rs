//! Errors in one line, in the words of the command line.

use std::ffi::OsString;

use clap::{Command, CommandFactory};
use onelayer::Error;

use super::arguments::{typed, words};
use crate::cli::Cli;

/// The options that name a file with values of other options, under keys with the same names.
const FILES: [&str; 3] = ["config", "ablate", "grads"];

/// `error` and its causes. A value that the library refuses has the name of the option that sets it, or of the key in a file.
pub fn line(error: &anyhow::Error) -> String {
    let (program, words) = (Cli::command(), words());
    let command = words.get(1).and_then(|name| program.find_subcommand(name));
    let is_typed = |command: &Command, name: &str| typed(command, name, &words).map(|name| format!("--{name}"));
    let shown = |command: &Command, name: &str| {
        let is_option = command.get_arguments().any(|argument| argument.get_long() == Some(name));
        // The library names a value as an option, or as a key if only a file can have it.
        if !is_option && !name.contains('_') {
            return None;
        }
        let has_file = FILES.iter().any(|file| is_typed(command, file).is_some());
        let key = name.replace('-', "_");
        let unset = match value("--config", &words) {
            Some(path) => format!("{key} in {path}"),
            None if has_file || command.get_name() == "audit" => key,
            None => format!("--{name}"),
        };
        Some(is_typed(command, name).unwrap_or(unset))
    };
    let text = |cause: &(dyn std::error::Error + 'static)| {
        let text = cause.to_string();
        let renamed = match cause.downcast_ref() {
            Some(Error::InvalidValue { name, .. }) => {
                command.and_then(|command| shown(command, name)).zip(text.strip_prefix(name))
            }
            _ => None,
        };
        renamed.map_or(text.clone(), |(name, rest)| name + rest)
    };
    error.chain().map(text).collect::<Vec<_>>().join(": ")
}

/// The value of `option` among `words`: the next one, or what follows `=`.
fn value(option: &str, words: &[OsString]) -> Option<String> {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    let rest = words.find_map(|word| word.strip_prefix(option).map(str::to_owned))?;
    match rest.strip_prefix('=') {
        Some(value) => Some(value.into()),
        None => words.next().map(Into::into),
    }
}
