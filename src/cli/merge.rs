//! `onelayer merge`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use onelayer::files::csv::{self, Row};
use onelayer::replicate::table::{RUNS, files};
use onelayer::replicate::{Replication, ReplicationRow};
use onelayer::search::table::{SearchRow, figure};
use onelayer::shard::{Shard, Sharded, merge};

use super::common::out;
use super::replication;

const EXAMPLES: &str = "\
Examples:
  onelayer merge shard*/replication.csv --out results";

/// What `merge` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The tables of all shards, such as replication_shard1of4.csv
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    out: out::OutArgs,
}

/// A table, where it was found.
type Table = (PathBuf, Vec<u8>);

/// Joins the tables, whichever command wrote them, and goes on as that command does with a whole job.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let read = |path: &PathBuf| {
        let bytes = super::common::input::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::Ok((path.clone(), bytes))
    };
    let found: Vec<Table> = args.files.iter().map(read).collect::<Result<_, _>>()?;
    if are::<ReplicationRow>(&found) {
        merge_replication(args, found)
    } else if are::<SearchRow>(&found) {
        merge_search(args, found)
    } else {
        bail!("the tables of one job must be given, all of `replicate` or all of `search`, but {}", describe(&found))
    }
}

/// Whether all tables have rows of the kind `R`.
fn are<R: Row>(tables: &[Table]) -> bool {
    tables.iter().all(|(_, bytes)| csv::has_header_of::<R>(bytes))
}

/// The first table that is of no known kind, or else the mixture.
fn describe(found: &[Table]) -> String {
    let is_known = |bytes: &[u8]| csv::has_header_of::<ReplicationRow>(bytes) || csv::has_header_of::<SearchRow>(bytes);
    match found.iter().find(|(_, bytes)| !is_known(bytes)) {
        Some((path, _)) => format!("{} is none of them", path.display()),
        None => "there are some of both".into(),
    }
}

/// The rows of the whole job.
fn join<R: Row + Sharded>(found: Vec<Table>) -> onelayer::Result<Vec<R>> {
    let parse = |(path, bytes): Table| {
        let rows = csv::from_csv(&bytes, &path)?;
        Ok((path, rows))
    };
    merge(found.into_iter().map(parse).collect::<onelayer::Result<_>>()?)
}

fn merge_replication(args: &Args, found: Vec<Table>) -> anyhow::Result<ExitCode> {
    let rows: Vec<ReplicationRow> = join(found)?;
    let whole = Replication::new(&rows)?;
    let folder = args.out.open()?;
    let mut written = vec![(Shard::WHOLE.file_name(RUNS), csv::to_csv(&rows, folder.dialect()))];
    written.extend(files(&whole, folder.dialect()));
    folder.write(&written)?;
    replication::print(&whole);
    Ok(ExitCode::SUCCESS)
}

fn merge_search(args: &Args, found: Vec<Table>) -> anyhow::Result<ExitCode> {
    let rows: Vec<SearchRow> = join(found)?;
    let folder = args.out.open()?;
    folder
        .write(&[("search.csv".into(), csv::to_csv(&rows, folder.dialect())), ("search.png".into(), figure(&rows))])?;
    show!("The {} trials are in {}; the same search with", rows.len(), folder.path().join("search.csv").display());
    show!("--resume, and without --shard, trains the best setting.");
    Ok(ExitCode::SUCCESS)
}
