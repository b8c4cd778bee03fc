//! Jobs whose runs can be interrupted, resumed and split over several processes: which runs belong to a shard, which of
//! them are left, and how the tables of the shards become one.
//!
//! The runs of a job are numbered from 0; shard I of N has those whose number leaves the remainder I − 1 when divided by
//! N. So the work of a shard depends only on the job and on I/N, and all shards have about the same amount of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::files;
use crate::files::csv::{Cell, Row, cells, from_csv, to_csv, to_fields};
use crate::files::folder::Folder;
use crate::hyperparameters::{START_OVER, difference};
use crate::statistics::count;

/// The largest number of runs of a job. Each takes memory before the first one begins.
pub(crate) const MAX_RUNS: usize = 1_000_000;
/// The largest number of missing shards that an error names.
const NAMED: usize = 10;
/// Advice if a job cannot be resumed.
const ADVICE: &str = "use the options it was started with or another --out, or drop --resume to start over";

/// Shard I of N, 1 ≤ I ≤ N, written `I/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    // In this order, so that the derived order is that of the shards of one job.
    of: usize,
    index: usize,
}

impl Shard {
    /// The only shard of a job that is not split.
    pub const WHOLE: Shard = Shard { of: 1, index: 1 };

    /// True if run number `run` (from 0) belongs to this shard.
    pub fn has(self, run: usize) -> bool {
        run % self.of == self.index - 1
    }

    /// The name of this shard's table of a `job`: `search.csv` for a whole search, otherwise such as
    /// `search_shard2of4.csv`, so that one folder can hold the tables of all shards.
    pub fn table(self, job: &str) -> String {
        match self {
            Shard::WHOLE => format!("{job}.csv"),
            Shard { of, index } => format!("{job}_shard{index}of{of}.csv"),
        }
    }

    /// True if `name` is that of the table of a shard of some job.
    pub fn names_table(name: &str) -> bool {
        name.contains("_shard") && name.ends_with(".csv")
    }

    /// The number of runs of this shard in a job of `runs` runs.
    pub fn share(self, runs: usize) -> usize {
        runs.saturating_add(self.of - self.index) / self.of
    }

    /// Checks that every shard has at least one of `runs` runs called `noun`.
    pub(crate) fn validate(self, runs: usize, noun: &str) -> Result<()> {
        if self.of <= runs {
            return Ok(());
        }
        Err(Error::invalid("shard", format!("I/N with N at most {runs}, the number of {noun}s"), self))
    }

    /// All shards of the job that this is a shard of.
    fn siblings(self) -> impl Iterator<Item = Shard> {
        let of = self.of;
        (1..=of).map(move |index| Shard { of, index })
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(index, of)| {
            let (index, of) = (index.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&index).then_some(Shard { of, index })
        });
        parsed.ok_or_else(|| Error::invalid("shard", Self::EXPECTED, text))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

cells! {
    Shard: "I/N with I from 1 to N, such as 2/4", number: false;
}

/// Eight hexadecimal digits that differ between jobs with another `description`.
pub(crate) fn digest(description: &str) -> String {
    Sha256::digest(description)[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A row of a table that the shards of a job write: one or more rows per run.
pub trait Sharded: Row + Clone {
    /// The kind of job, which also names its tables, such as `search`.
    const JOB: &'static str;
    /// The word for a run, such as `trial`.
    const RUN: &'static str;
    /// The columns with measurements; all others are known before the run.
    const MEASURED: &'static [&'static str];

    /// The job in words, its parts separated by semicolons; rows of two jobs differ in it.
    fn job(&self) -> String;

    /// The number of runs of the job, over all shards.
    fn runs(&self) -> usize;

    /// The number of the row's run, from 0.
    fn run(&self) -> usize;

    /// The name of the row, different from that of every other row of the job, such as `trial 3`.
    fn name(&self) -> String;

    /// The shard that wrote the row.
    fn shard(&self) -> Shard;

    /// The runs of its job in words, if possible those of the options that ask for them.
    fn in_words(&self) -> String {
        format!("this {} of {}", Self::JOB, count(self.runs(), Self::RUN))
    }

    /// What its job was made with, and what is asked for instead: the fields `found` and `expected` of `column`.
    fn difference(column: &str, found: &str, expected: &str) -> String {
        if column == Self::JOB { format!("another {column}") } else { difference(column, found, expected) }
    }

    /// The row, written by `shard`.
    fn in_shard(self, shard: Shard) -> Self;

    /// The row if its job had the runs of the job of `other`: itself, unless a job can be resumed with more runs.
    fn with_runs_of(self, _other: &Self) -> Self {
        self
    }
}

/// The table of one shard of a job, as far as its runs are done.
#[derive(Debug)]
pub struct ShardTable<'a, R> {
    folder: &'a Folder,
    shard: Shard,
    runs: usize,
    /// The rows, by run.
    pub rows: Vec<R>,
}

impl<'a, R: Sharded> ShardTable<'a, R> {
    /// The table of `shard` of a job of `runs` runs, in `folder`: with the runs of the table that is there if `resume`,
    /// empty otherwise. `planned` gives the rows of a run without measurements. The second value is a remark for a person.
    ///
    /// Apart from its measurements, each row of the table must be a planned one. A run that lacks a row is not done.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if the file is another table, or one of another job or shard, or has a row twice.
    pub fn open(
        folder: &'a Folder,
        shard: Shard,
        runs: usize,
        resume: bool,
        planned: impl Fn(usize) -> Vec<R>,
    ) -> Result<(Self, Option<String>)> {
        let mut table = Self { folder, shard, runs, rows: Vec::new() };
        let path = folder.path().join(table.name());
        let name = path.display();
        let rows = || {
            let bytes = files::read(&path).map_err(Error::io("read", &path))?;
            let rows = table.resumed(from_csv(&bytes, &path)?, planned);
            rows.map_err(|e| Error::format(&path, format!("cannot resume: {e}")))
        };
        let remark = match (resume, path.exists()) {
            (true, true) => {
                table.rows = rows()?;
                Some(format!("{name}: {} done", table.progress()))
            }
            (true, false) => Some(format!("there is no {name}: starting over")),
            (false, true) => Some(match rows() {
                Ok(_) => {
                    format!("{name} belongs to an earlier {}, which --resume would continue: starting over", R::JOB)
                }
                Err(_) => format!("{name} belongs to another {}: starting over", R::JOB),
            }),
            (false, false) => None,
        };
        Ok((table, remark))
    }

    /// The rows of complete runs among `found`; the error says why the job cannot be resumed with them.
    fn resumed(&self, found: Vec<R>, planned: impl Fn(usize) -> Vec<R>) -> Result<Vec<R>, String> {
        let (mut rows, mut names, first) = (Vec::new(), BTreeSet::new(), &planned(0)[0]);
        for row in found {
            let (job, name, row) = (R::JOB, row.name(), row.with_runs_of(first));
            if row.run() >= self.runs || !self.shard.has(row.run()) {
                let of_shard =
                    if self.shard == Shard::WHOLE { String::new() } else { format!("shard {} of ", self.shard) };
                return Err(match row.shard() == self.shard {
                    true => format!("it has {name}, which is not in {of_shard}{}; {ADVICE}", first.in_words()),
                    false => was_made::<R>("shard", &row.shard().to_string(), &self.shard.to_string(), &name),
                });
            }
            let closest = planned(row.run()).iter().map(|planned| differences(planned, &row)).min_by_key(Vec::len);
            let closest = closest.unwrap_or_default();
            if let Some((column, expected, found)) = closest.iter().min_by_key(|(column, ..)| rank(column, job)) {
                return Err(was_made::<R>(column, found, expected, &name));
            }
            if !names.insert(name.clone()) {
                return Err(format!("{name} is there twice; {START_OVER}"));
            }
            rows.push(row);
        }
        rows.sort_by_key(R::run);
        let is_complete = |rows: &&[R]| rows.len() == planned(rows[0].run()).len();
        Ok(rows.chunk_by(|a, b| a.run() == b.run()).filter(is_complete).flatten().cloned().collect())
    }

    /// The runs of the shard that are not done.
    pub fn left(&self) -> Vec<usize> {
        let done: BTreeSet<usize> = self.rows.iter().map(R::run).collect();
        (0..self.runs).filter(|run| self.shard.has(*run) && !done.contains(run)).collect()
    }

    /// Adds the rows of runs that are done, and writes the table with [`Folder::write`].
    pub fn add(&mut self, rows: Vec<R>) -> Result<()> {
        self.rows.extend(rows);
        self.rows.sort_by_key(R::run);
        self.folder.write(&[(self.name(), to_csv(&self.rows, self.folder.dialect()))])
    }

    /// The progress of the job, such as `4 of 8 trials`.
    pub fn progress(&self) -> String {
        let share = self.shard.share(self.runs);
        format!("{} of {}", share - self.left().len(), count(share, R::RUN))
    }

    fn name(&self) -> String {
        self.shard.table(R::JOB)
    }
}

/// Which of the columns that differ is named: the lowest. A seed and images explain others; the digest of a job, in the column
/// of its name, says nothing to a person.
fn rank(column: &str, job: &str) -> usize {
    match column {
        "seed" | "train_split" | "validation_split" | "test_split" => 0,
        _ if column == job => 2,
        _ => 1,
    }
}

/// The reason why the row `name` is not one of the job: its field of `column`.
fn was_made<R: Sharded>(column: &str, found: &str, expected: &str, name: &str) -> String {
    format!("it was made with {} ({name}); {ADVICE}", R::difference(column, found, expected))
}

/// The parts that only one of two jobs has, in the words of [`Sharded::job`].
fn apart(a: &str, b: &str) -> String {
    let [a, b]: [Vec<_>; 2] = [a, b].map(|job| job.split("; ").collect());
    let only = |job: &[&str], other: &[&str]| {
        let parts: Vec<_> = job.iter().filter(|part| !other.contains(part)).copied().collect();
        parts.join("; ")
    };
    format!("{}, not {}", only(&a, &b), only(&b, &a))
}

/// The columns in which two rows differ apart from their measurements, each with the field of `a` and that of `b`.
fn differences<R: Sharded>(a: &R, b: &R) -> Vec<(&'static str, String, String)> {
    let fields = to_fields(a).into_iter().zip(to_fields(b));
    fields.filter(|(a, b)| a != b && !R::MEASURED.contains(&a.0)).map(|((column, a), (_, b))| (column, a, b)).collect()
}

/// The rows of a whole job, by run, from the tables of its shards, each with the path that it was read from.
///
/// # Errors
///
/// [`Error::Merge`] if there is no table or an empty one, if tables are from different jobs or from different ways to split
/// one, if a row or a shard is there twice or missing.
pub fn merge<R: Sharded>(tables: Vec<(PathBuf, Vec<R>)>) -> Result<Vec<R>> {
    let origins: Vec<_> = tables.iter().map(|(path, rows)| origin(path, rows)).collect::<Result<_>>()?;
    let (first_job, first) = origins.first().ok_or_else(|| refused("no table was given"))?;
    let mut paths = BTreeMap::new();
    for ((path, _), (job, shard)) in tables.iter().zip(&origins) {
        let (a, b) = (tables[0].0.display(), path.display());
        check(job == first_job, || format!("{a} and {b} are from different jobs: {}", apart(first_job, job)))?;
        check(shard.of == first.of, || {
            format!("{a} is shard {first}, but {b} is shard {shard}: the job was split in two ways")
        })?;
        if let Some(twin) = paths.insert(shard, path) {
            check(twin != path, || format!("{b} is listed twice; list each once"))?;
            return Err(refused(format!("{} and {b} are both shard {shard}", twin.display())));
        }
    }
    let missing = first.siblings().filter(|shard| !paths.contains_key(shard));
    let missing: Vec<String> = missing.map(|shard| shard.index.to_string()).take(NAMED).collect();
    let and_more = match first.of - paths.len() - missing.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    check(missing.is_empty(), || {
        let (shards, are) = if first.of - paths.len() == 1 { ("shard", "is") } else { ("shards", "are") };
        format!("{shards} {}{and_more} of {} {are} missing; name all tables", missing.join(", "), first.of)
    })?;
    let mut rows: Vec<R> = tables.into_iter().flat_map(|(_, rows)| rows).collect();
    rows.sort_by_key(R::run);
    Ok(rows.into_iter().map(|row| row.in_shard(Shard::WHOLE)).collect())
}

/// The job and the shard of a table, whose rows are all from that shard, each there once, without a missing run.
fn origin<R: Sharded>(path: &Path, rows: &[R]) -> Result<(String, Shard)> {
    let table = path.display();
    let first = rows.first().ok_or_else(|| refused(format!("{table} has no rows")))?;
    let (job, shard, all) = (first.job(), first.shard(), first.runs());
    let (mut names, mut runs) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let (name, run) = (row.name(), row.run());
        check(row.job() == job, || format!("{table} has rows of two jobs: {}", apart(&job, &row.job())))?;
        check(row.shard() == shard, || format!("{table} has rows of two shards: {shard} and {}", row.shard()))?;
        let is_of_shard = run < all && shard.has(run);
        check(is_of_shard, || format!("{table}: {name} is not in shard {shard} of {}", count(all, R::RUN)))?;
        check(names.insert(row.name()), || format!("{table}: {name} is there twice"))?;
        runs.insert(run);
    }
    let (done, share) = (runs.len(), shard.share(all));
    check(done == share, || {
        format!("{table} must have {}, but has {done}: finish it with --resume first", count(share, R::RUN))
    })?;
    Ok((job, shard))
}

fn check(condition: bool, reason: impl FnOnce() -> String) -> Result<()> {
    if condition { Ok(()) } else { Err(refused(reason())) }
}

fn refused(reason: impl Into<String>) -> Error {
    Error::Merge(reason.into())
}

#[cfg(test)]
mod tests;
