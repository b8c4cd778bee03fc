//! The commands: arguments as typed (clap), one conversion into the library's validated values, and what is printed.

mod fetch;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Trains a one-layer softmax classifier on CIFAR-10 with hand-derived, checked gradients.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Get CIFAR-10 and check it against its published digests
    Fetch(fetch::Args),
}

/// Runs the command. The exit code is 0 for success; a check that was carried out and failed returns its own.
///
/// # Errors
///
/// Whatever kept the command from being carried out, in one line.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Fetch(args) => fetch::run(&args),
    }
}
