//! The commands: arguments as typed (clap), one conversion into the library's validated values, and what is printed.

mod data;
mod fetch;
mod gradcheck;
mod observer;
mod out;
mod progress;
mod referee;
mod start;
mod table;
mod train;

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
    /// Train the report's four settings, or one of your own, and write tables, figures and models
    Train(train::Args),
    /// Hold the hand-derived gradients against an f64 reference and central differences
    Gradcheck(gradcheck::Args),
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
        Command::Train(args) => train::run(&args),
        Command::Gradcheck(args) => gradcheck::run(&args),
        Command::Fetch(args) => fetch::run(&args),
    }
}

/// Makes `threads` the number of threads that work is split over; `None` leaves one a processor.
fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    if let Some(threads) = threads {
        anyhow::ensure!(threads > 0, "threads must be at least 1, but is 0");
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    Ok(())
}
