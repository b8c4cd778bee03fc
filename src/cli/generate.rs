//! `onelayer generate`: shell completions and man pages.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

const AFTER_HELP: &str = "\
Examples:
  onelayer generate bash > ~/.local/share/bash-completion/completions/onelayer
  onelayer generate man > onelayer.1
  onelayer generate man train > onelayer-train.1";

/// The arguments of `generate`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Shell to print completions for, or `man` for the man page
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh", "man"])]
    what: String,
    /// With man: the command to describe, instead of the whole program
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the completions or the man page.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = match args.what.parse::<Shell>() {
        Ok(shell) => {
            anyhow::ensure!(args.command.is_none(), "COMMAND is only for man: completions cover all commands");
            completions(shell)
        }
        Err(_) => man_page(args.command.as_deref())?,
    };
    super::print(&text);
    Ok(ExitCode::SUCCESS)
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let mut program = Cli::command();
    let name = program.get_name().to_owned();
    clap_complete::generate(shell, &mut program, name, &mut script);
    script
}

/// The man page of the program, or of one of its commands.
fn man_page(command: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let described = match command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .with_context(|| format!("there is no command {name:?}; `onelayer --help` lists all"))?
            .clone(),
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(described).render(&mut page).expect("memory can be written");
    Ok(page)
}
