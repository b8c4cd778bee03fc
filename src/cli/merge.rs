//! `onelayer merge`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use onelayer::files::csv::{Dialect, from_csv, has_header_of, to_csv};
use onelayer::files::kind;
use onelayer::replicate::ablation::table::AblationRow;
use onelayer::replicate::overfitting::table::OverfittingRow;
use onelayer::replicate::table::{ReplicationRow, files};
use onelayer::replicate::{Replication, ablation, overfitting};
use onelayer::search::table::{SearchRow, search_png};
use onelayer::shard::{Shard, Sharded, merge};
use onelayer::statistics::count;

use super::common::out;
use super::replicate;

const AFTER_HELP: &str = "\
Examples:
  onelayer merge shard1 shard2 --out results
  onelayer merge results/replication_shard*.csv --out results";

/// Arguments of `merge`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Tables of all shards, such as replication_shard1of4.csv, or folders with them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Write the files, and print only errors
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    out: out::OutArgs,
}

/// The path and the content of a table.
type Table = (PathBuf, Vec<u8>);

/// Joins the tables, and writes what the command that wrote them writes for a whole job.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let read = |path: &PathBuf| {
        let bytes = onelayer::files::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::Ok((path.clone(), bytes))
    };
    let tables: Vec<Table> = files_of(&args.paths)?.iter().map(read).collect::<Result<_, _>>()?;
    let all = |are: fn(&[u8]) -> bool| tables.iter().all(|(_, bytes)| are(bytes));
    if all(has_header_of::<ReplicationRow>) {
        merge_replication(args, tables)?;
    } else if all(has_header_of::<AblationRow>) {
        merge_ablation(args, tables)?;
    } else if all(has_header_of::<OverfittingRow>) {
        merge_overfitting(args, tables)?;
    } else if all(has_header_of::<SearchRow>) {
        merge_search(args, tables)?;
    } else {
        bail!(describe(&tables));
    }
    args.out.say_results(false, args.quiet);
    Ok(ExitCode::SUCCESS)
}

/// The files among `paths`, and the tables of shards in the folders among them.
fn files_of(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| format!("cannot read the folder {}", path.display()))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_table = |path: &PathBuf| Shard::names_table(&name(path));
        let mut found: Vec<_> = paths.into_iter().filter(is_table).collect();
        found.sort();
        ensure!(!found.is_empty(), "{} has no table of a shard, such as replication_shard1of4.csv", path.display());
        files.extend(found);
    }
    Ok(files)
}

/// Tells the tables of a kind by their header, and the command that writes them.
type Kind = (fn(&[u8]) -> bool, &'static str);

/// The tables that can be merged.
const KINDS: [Kind; 4] = [
    (has_header_of::<ReplicationRow>, "replicate"),
    (has_header_of::<AblationRow>, "replicate --ablate"),
    (has_header_of::<OverfittingRow>, "replicate --overfitting"),
    (has_header_of::<SearchRow>, "search"),
];

/// Why the tables cannot be merged: the first is of no known kind or, if all are, two are of different kinds.
fn describe(tables: &[Table]) -> String {
    let kind = |bytes: &[u8]| KINDS.iter().find(|(is_of, _)| is_of(bytes)).map(|(_, command)| *command);
    let mut first: Option<(&PathBuf, &str)> = None;
    for (path, bytes) in tables {
        match (kind(bytes), first) {
            (None, _) => {
                let (found, path) = (kind::describe(bytes), path.display());
                return format!("{path} must be the table of a shard, such as replication_shard1of4.csv, but {found}");
            }
            (Some(other), Some((one, command))) if other != command => {
                let (one, path) = (one.display(), path.display());
                return format!("the tables must be from one job, but {one} is of `{command}` and {path} of `{other}`");
            }
            (Some(command), _) => first = Some((path, command)),
        }
    }
    "the tables must be from one job".into()
}

/// The rows of the whole job.
fn join<R: Sharded>(tables: Vec<Table>) -> onelayer::Result<Vec<R>> {
    let parse = |(path, bytes): Table| Ok((path.clone(), from_csv(&bytes, &path)?));
    merge(tables.into_iter().map(parse).collect::<onelayer::Result<_>>()?)
}

fn merge_replication(args: &Args, tables: Vec<Table>) -> anyhow::Result<()> {
    let rows: Vec<ReplicationRow> = join(tables)?;
    let replication = Replication::new(&rows)?;
    write(args, &rows, |dialect| files(&replication, dialect))?;
    if !args.quiet {
        replicate::print(&replication);
    }
    Ok(())
}

fn merge_ablation(args: &Args, tables: Vec<Table>) -> anyhow::Result<()> {
    let rows: Vec<AblationRow> = join(tables)?;
    let improvements = ablation::improvements(&rows)?;
    write(args, &rows, |dialect| ablation::table::files(&improvements, dialect))?;
    if !args.quiet {
        replicate::ablate::print(&improvements);
    }
    Ok(())
}

fn merge_overfitting(args: &Args, tables: Vec<Table>) -> anyhow::Result<()> {
    let rows: Vec<OverfittingRow> = join(tables)?;
    let comparisons = overfitting::comparisons(&rows)?;
    write(args, &rows, |dialect| overfitting::table::files(&comparisons, dialect))?;
    if !args.quiet {
        replicate::overfitting::print(&comparisons);
    }
    Ok(())
}

/// Writes the table of the whole job, and its `closing` files.
fn write<R: Sharded>(
    args: &Args,
    rows: &[R],
    closing: impl FnOnce(Dialect) -> Vec<(String, Vec<u8>)>,
) -> anyhow::Result<()> {
    let folder = args.out.open()?;
    let mut files = vec![(Shard::WHOLE.table(R::JOB), to_csv(rows, folder.dialect()))];
    files.extend(closing(folder.dialect()));
    Ok(folder.write(&files)?)
}

fn merge_search(args: &Args, tables: Vec<Table>) -> anyhow::Result<()> {
    let rows: Vec<SearchRow> = join(tables)?;
    let folder = args.out.open()?;
    let name = Shard::WHOLE.table(SearchRow::JOB);
    folder.write(&[(name.clone(), to_csv(&rows, folder.dialect())), search_png(&rows)])?;
    if !args.quiet {
        show!("{}: {}", count(rows.len(), "trial"), folder.path().join(name).display());
        show!("The same search with --resume and without --shard retrains the best setting.");
    }
    Ok(())
}
