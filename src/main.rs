//! The command-line program: reads the arguments, calls the library, reports.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
