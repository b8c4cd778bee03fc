//! A job split over several processes: which runs are whose, and how their tables become one.
//!
//! The runs of a job are numbered from 0; shard I of N does the runs whose number leaves the remainder I − 1 when divided
//! by N. So what a shard does depends on nothing but the job and I/N, and all shards have about the same work.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::files::csv::Cell;

/// At most so many missing shards are named.
const NAMED: usize = 10;

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

    /// Whether run number `run` (from 0) is one of this shard's.
    pub fn holds(self, run: usize) -> bool {
        run % self.of == self.index - 1
    }

    /// The name of this shard's table `stem`: `stem.csv` for a whole job, else such as `stem_shard2of4.csv`, so that the
    /// tables of a job can lie in one folder.
    pub fn file_name(self, stem: &str) -> String {
        match self {
            Shard::WHOLE => format!("{stem}.csv"),
            Shard { of, index } => format!("{stem}_shard{index}of{of}.csv"),
        }
    }

    /// How many of `runs` runs are this shard's.
    fn share(self, runs: usize) -> usize {
        runs.saturating_add(self.of - self.index) / self.of
    }

    /// All the shards of the job that this is a shard of.
    fn siblings(self) -> impl Iterator<Item = Shard> {
        let of = self.of;
        (1..=of).map(move |index| Shard { of, index })
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

impl Cell for Shard {
    const EXPECTED: &'static str = "I/N with I from 1 to N, such as 2/4";

    fn to_text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A row of a table that the shards of a job write.
pub trait Sharded {
    /// What the rows of a job have in common, in words; rows of two jobs differ in it.
    fn job(&self) -> String;

    /// How many runs the job has, over all its shards.
    fn runs(&self) -> usize;

    /// The number of the run that the row is about, from 0.
    fn run(&self) -> usize;

    /// The shard that the row was written by.
    fn shard(&self) -> Shard;

    /// Makes [`Shard::WHOLE`] the shard of the row.
    fn set_whole(&mut self);
}

/// The rows of a whole job, in the order of its runs, from the tables of its shards, each with the path it was read from.
///
/// # Errors
///
/// [`Error::Merge`] when there is no table or an empty one, tables of two jobs or of two ways to split one, a shard twice
/// or not at all, or a table without all the runs of its shard.
pub fn merge<R: Sharded>(tables: Vec<(PathBuf, Vec<R>)>) -> Result<Vec<R>> {
    for (path, rows) in &tables {
        check_table(&path.display().to_string(), rows)?;
    }
    check_siblings(&tables)?;
    let mut rows: Vec<R> = tables.into_iter().flat_map(|(_, rows)| rows).collect();
    rows.sort_by_key(R::run);
    rows.iter_mut().for_each(R::set_whole);
    Ok(rows)
}

/// Whether all rows are of one shard of one job, and all its runs are there.
fn check_table<R: Sharded>(name: &str, rows: &[R]) -> Result<()> {
    let Some(first) = rows.first() else {
        return refuse(format!("{name} has no row"));
    };
    let (job, shard) = (first.job(), first.shard());
    if let Some(other) = rows.iter().find(|row| row.job() != job) {
        let other = other.job();
        return refuse(format!("{name} has rows of two jobs: {job}; and {other}"));
    }
    if let Some(other) = rows.iter().find(|row| row.shard() != shard) {
        let other = other.shard();
        return refuse(format!("{name} has rows of two shards: {shard} and {other}"));
    }
    let (found, all) = (rows.iter().map(R::run).collect::<BTreeSet<_>>(), first.runs());
    if let Some(run) = found.iter().find(|&&run| run >= all || !shard.holds(run)) {
        return refuse(format!(
            "{name} is shard {shard} of {all} runs, to which number {} does not belong",
            run.saturating_add(1)
        ));
    }
    let (found, expected) = (found.len(), shard.share(all));
    if found != expected {
        return refuse(format!(
            "{name}, shard {shard}, must have {expected} runs, but has {found}: finish it with --resume first"
        ));
    }
    Ok(())
}

/// Whether the tables are the shards of one job, each there once. Each table has passed [`check_table`].
fn check_siblings<R: Sharded>(tables: &[(PathBuf, Vec<R>)]) -> Result<()> {
    let Some((first_path, first_rows)) = tables.first() else {
        return refuse("no table was given".into());
    };
    let (job, shard) = (first_rows[0].job(), first_rows[0].shard());
    for (i, (path, rows)) in tables.iter().enumerate() {
        let (other_job, other) = (rows[0].job(), rows[0].shard());
        let (a, b) = (first_path.display(), path.display());
        if other_job != job {
            return refuse(format!("{a} and {b} are of different jobs: {job}; and {other_job}"));
        }
        if other.of != shard.of {
            return refuse(format!("{a} is shard {shard}, but {b} is shard {other}: one job, split in two ways"));
        }
        let twin = tables[..i].iter().find(|(_, rows)| rows[0].shard() == other);
        if let Some((twin, _)) = twin {
            return refuse(format!("{} and {b} are both shard {other}", twin.display()));
        }
    }
    let found: BTreeSet<Shard> = tables.iter().map(|(_, rows)| rows[0].shard()).collect();
    let missing: Vec<String> = shard
        .siblings()
        .filter(|sibling| !found.contains(sibling))
        .map(|sibling| sibling.to_string())
        .take(NAMED)
        .collect();
    let more = shard.of - found.len() - missing.len();
    match &missing[..] {
        [] => Ok(()),
        [one] => refuse(format!("shard {one} is missing")),
        several if more == 0 => refuse(format!("shards {} are missing", several.join(", "))),
        several => refuse(format!("shards {} and {more} more are missing", several.join(", "))),
    }
}

fn refuse(reason: String) -> Result<()> {
    Err(Error::Merge { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Row {
        job: &'static str,
        runs: usize,
        run: usize,
        shard: Shard,
        member: char,
    }

    impl Sharded for Row {
        fn job(&self) -> String {
            self.job.into()
        }
        fn runs(&self) -> usize {
            self.runs
        }
        fn run(&self) -> usize {
            self.run
        }
        fn shard(&self) -> Shard {
            self.shard
        }
        fn set_whole(&mut self) {
            self.shard = Shard::WHOLE;
        }
    }

    fn shard(text: &str) -> Shard {
        text.parse().unwrap()
    }

    /// What shard `of` of a job of `runs` runs writes: two rows a run.
    fn table(of: &str, runs: usize) -> (PathBuf, Vec<Row>) {
        let shard = shard(of);
        let row = |run, member| Row { job: "a job", runs, run, shard, member };
        let rows = (0..runs).filter(|&run| shard.holds(run));
        (
            PathBuf::from(format!("table{}.csv", shard.index)),
            rows.flat_map(|run| [row(run, 'x'), row(run, 'y')]).collect(),
        )
    }

    fn refusal(tables: Vec<(PathBuf, Vec<Row>)>) -> String {
        merge(tables).unwrap_err().to_string()
    }

    #[test]
    fn a_shard_is_written_as_it_is_read() {
        for text in ["1/1", "2/4", "4/4", "17/100"] {
            assert_eq!(shard(text).to_string(), text);
        }
        for text in ["", "1", "/", "0/1", "5/4", "1/0", "0/0", "-1/4", "1/4/2", "a/b", "1.0/2", " 1/2"] {
            let message = text.parse::<Shard>().unwrap_err().to_string();
            assert!(message.contains("such as 2/4"), "{text}: {message}");
        }
    }

    #[test]
    fn only_the_table_of_a_split_job_names_its_shard() {
        assert_eq!(Shard::WHOLE.file_name("search"), "search.csv");
        assert_eq!(shard("2/4").file_name("search"), "search_shard2of4.csv");
    }

    proptest! {
        #[test]
        fn every_run_belongs_to_exactly_one_shard_and_the_work_is_even(runs in 0usize..200, of in 1usize..20) {
            let counts: Vec<usize> = Shard { of, index: 1 }
                .siblings()
                .map(|shard| (0..runs).filter(|&run| shard.holds(run)).count())
                .collect();
            let shares: Vec<usize> = Shard { of, index: 1 }.siblings().map(|shard| shard.share(runs)).collect();
            prop_assert_eq!(&counts, &shares);
            prop_assert_eq!(counts.len(), of);
            prop_assert_eq!(counts.iter().sum::<usize>(), runs);
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn shards_in_any_order_make_the_whole_job() {
        let (_, whole) = table("1/1", 10);
        let shards = vec![table("3/3", 10), table("1/3", 10), table("2/3", 10)];
        assert_eq!(merge(shards).unwrap(), whole);
        assert_eq!(merge(vec![table("1/1", 10)]).unwrap(), whole);
    }

    #[test]
    fn missing_shards_are_named() {
        assert_eq!(refusal(vec![table("2/4", 10), table("4/4", 10)]), "cannot merge: shards 1/4, 3/4 are missing");
        assert_eq!(refusal(vec![table("1/2", 10)]), "cannot merge: shard 2/2 is missing");
        assert_eq!(
            refusal(vec![table("1/100", 200)]),
            "cannot merge: shards 2/100, 3/100, 4/100, 5/100, 6/100, 7/100, 8/100, 9/100, 10/100, 11/100 and 89 more are \
             missing"
        );
        assert!(refusal(vec![]).contains("no table"));
    }

    #[test]
    fn a_shard_given_twice_is_named_with_both_files() {
        let mut copy = table("1/2", 4);
        copy.0 = "copy.csv".into();
        assert_eq!(
            refusal(vec![table("1/2", 4), table("2/2", 4), copy]),
            "cannot merge: table1.csv and copy.csv are both shard 1/2"
        );
    }

    #[test]
    fn shards_of_different_jobs_or_splits_are_refused() {
        let mut other = table("2/2", 4);
        other.1.iter_mut().for_each(|row| row.job = "another job");
        let message = refusal(vec![table("1/2", 4), other]);
        assert!(message.contains("different jobs: a job; and another job"));
        let message = refusal(vec![table("1/2", 4), table("3/3", 4)]);
        assert!(message.contains("split in two ways"), "{message}");
    }

    #[test]
    fn a_table_that_is_not_all_of_one_shard_is_refused() {
        let with = |change: fn(&mut Vec<Row>)| {
            let mut first = table("1/2", 4);
            change(&mut first.1);
            refusal(vec![first, table("2/2", 4)])
        };
        assert!(with(Vec::clear).contains("table1.csv has no row"));
        assert!(with(|rows| rows.truncate(2)).contains("must have 2 runs, but has 1"));
        assert!(with(|rows| rows[1].job = "b").contains("two jobs: a job; and b"));
        assert!(with(|rows| rows[1].shard = Shard::WHOLE).contains("two shards: 1/2 and 1/1"));
        assert!(with(|rows| rows[1].run = 1).contains("4 runs, to which number 2 does not belong"));
        assert!(with(|rows| rows[1].run = 4).contains("4 runs, to which number 5 does not belong"));
    }
}
