//! Errors in one line, in the words of the command line.

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
        command.get_arguments().find(|argument| argument.get_long() == Some(name))?;
        let has_file = FILES.iter().any(|file| is_typed(command, file).is_some());
        let is_key = has_file || command.get_name() == "audit";
        let unset = if is_key { name.replace('-', "_") } else { format!("--{name}") };
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
