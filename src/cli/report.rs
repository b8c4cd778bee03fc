//! `onelayer report`.

use std::path::PathBuf;
use std::process::ExitCode;

use onelayer::files::folder::Folder;
use onelayer::page;

const AFTER_HELP: &str = "\
Examples:
  onelayer report --out results";

/// Arguments of `report`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Results folder to read, and to write report.html to
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
}

/// Builds the page, writes it and prints its path.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let page = page::page(&args.out)?;
    Folder::open(&args.out)?.write(&[(page::FILE.into(), page)])?;
    // A closed stdout is no failure: the page is written.
    show!("{}", args.out.join(page::FILE).display());
    Ok(ExitCode::SUCCESS)
}
