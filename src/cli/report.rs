//! `onelayer report`.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use onelayer::files::folder::Folder;
use onelayer::page;

const EXAMPLES: &str = "\
Examples:
  onelayer report --out results";

/// What `report` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of the results, in which report.html is written
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
}

/// Reads the folder, writes the page, says where it is.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let page = page::page(&args.out)?;
    Folder::open(&args.out)?.write(&[(page::FILE.into(), page)])?;
    // Nobody to read it is no failure: the page is there.
    let _ = writeln!(stdout(), "{}", args.out.join(page::FILE).display());
    Ok(ExitCode::SUCCESS)
}
