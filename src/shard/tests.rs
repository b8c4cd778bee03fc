use super::*;
use crate::files::csv::row;
use proptest::prelude::*;

row! {
    /// A row of a job with two rows per run.
    #[derive(Clone, Debug, PartialEq)]
    struct ExampleRow {
        job: String,
        runs: usize,
        run: usize,
        shard: Shard,
        member: String,
        measured: usize,
    }
}

impl Sharded for ExampleRow {
    const JOB: &'static str = "example";
    const RUN: &'static str = "run";
    const MEASURED: &'static [&'static str] = &["measured"];

    fn job(&self) -> String {
        self.job.clone()
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
    fn name(&self) -> String {
        format!("run {} of {}", self.run, self.member)
    }
    fn in_shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }
}

fn shard(text: &str) -> Shard {
    text.parse().unwrap()
}

/// The rows of run `run`.
fn rows(shard: Shard, runs: usize, run: usize) -> Vec<ExampleRow> {
    let row = |member: &str| ExampleRow { job: "a job".into(), runs, run, shard, member: member.into(), measured: 0 };
    vec![row("x"), row("y")]
}

/// The table of shard `of` of a job of `runs` runs.
fn table(of: &str, runs: usize) -> (PathBuf, Vec<ExampleRow>) {
    let shard = shard(of);
    let all = (0..runs).filter(|&run| shard.has(run)).flat_map(|run| rows(shard, runs, run));
    (PathBuf::from(format!("table{}.csv", shard.index)), all.collect())
}

fn refusal(tables: Vec<(PathBuf, Vec<ExampleRow>)>) -> String {
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
fn a_job_has_no_more_shards_than_runs() {
    shard("4/4").validate(4, "seed").unwrap();
    let message = shard("2/5").validate(4, "seed").unwrap_err().to_string();
    assert_eq!(message, "shard must be I/N with N at most 4, the number of seeds, but is 2/5");
}

#[test]
fn only_the_table_of_a_split_job_names_its_shard() {
    assert_eq!(Shard::WHOLE.table("search"), "search.csv");
    assert_eq!(shard("2/4").table("search"), "search_shard2of4.csv");
}

proptest! {
    #[test]
    fn every_run_belongs_to_exactly_one_shard_and_the_work_is_even(runs in 0usize..200, of in 1usize..20) {
        let counts: Vec<usize> = Shard { of, index: 1 }
            .siblings()
            .map(|shard| (0..runs).filter(|&run| shard.has(run)).count())
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
    assert_eq!(
        refusal(vec![table("2/4", 10), table("4/4", 10)]),
        "cannot merge: shards 1, 3 of 4 are missing; name all tables"
    );
    assert_eq!(refusal(vec![table("1/2", 10)]), "cannot merge: shard 2 of 2 is missing; name all tables");
    assert_eq!(
        refusal(vec![table("1/100", 200)]),
        "cannot merge: shards 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 89 more of 100 are missing; name all tables"
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
    other.1.iter_mut().for_each(|row| row.job = "another job; in 3 epochs".into());
    let mut first = table("1/2", 4);
    first.1.iter_mut().for_each(|row| row.job = "a job; in 3 epochs".into());
    let message = refusal(vec![first, other]);
    assert!(message.ends_with("from different jobs: a job, not another job"), "{message}");
    let message = refusal(vec![table("1/2", 4), table("3/3", 4)]);
    assert!(message.contains("split in two ways"), "{message}");
}

#[test]
fn a_table_that_is_not_all_of_one_shard_is_refused() {
    let with = |change: fn(&mut Vec<ExampleRow>)| {
        let mut first = table("1/2", 4);
        change(&mut first.1);
        refusal(vec![first, table("2/2", 4)])
    };
    assert!(with(Vec::clear).contains("table1.csv has no rows"));
    assert!(with(|rows| rows.truncate(2)).contains("must have 2 runs, but has 1"));
    assert!(with(|rows| rows[1].job = "b".into()).contains("two jobs: a job, not b"));
    assert!(with(|rows| rows[1].shard = Shard::WHOLE).contains("two shards: 1/2 and 1/1"));
    assert!(with(|rows| rows[1].run = 1).contains("table1.csv: run 1 of y is not in shard 1/2 of 4 runs"));
    assert!(with(|rows| rows[1].run = 4).contains("table1.csv: run 4 of y is not in shard 1/2 of 4 runs"));
    assert!(with(|rows| rows[1].member = "x".into()).contains("table1.csv: run 0 of x is there twice"));
}

/// Opens the table of shard 1/2 of 6 runs in `folder`.
fn open(folder: &Folder, resume: bool) -> Result<(ShardTable<'_, ExampleRow>, Option<String>)> {
    let shard = shard("1/2");
    ShardTable::open(folder, shard, 6, resume, |run| rows(shard, 6, run))
}

#[test]
fn a_job_is_resumed_with_its_complete_runs_or_starts_over() {
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::open(path.path()).unwrap();
    let (mut table, remark) = open(&folder, false).unwrap();
    assert_eq!((remark, table.left()), (None, vec![0, 2, 4]));
    assert!(open(&folder, true).unwrap().1.unwrap().ends_with("example_shard1of2.csv: starting over"));

    let mut measured = rows(shard("1/2"), 6, 2);
    measured[1].measured = 7;
    table.add(measured.clone()).unwrap();
    table.add(rows(shard("1/2"), 6, 0)[..1].to_vec()).unwrap();
    let (table, remark) = open(&folder, true).unwrap();
    assert_eq!(table.rows, measured, "run 0 lacks a row");
    assert_eq!((table.left(), table.progress()), (vec![0, 4], "1 of 3 runs".into()));
    assert!(remark.unwrap().ends_with("example_shard1of2.csv: 1 of 3 runs done"));
    assert_eq!(Error::Interrupted.stopped(|| table.progress()).to_string(), "stopped after 1 of 3 runs");

    let only = ShardTable::open(&folder, Shard::WHOLE, 1, false, |run| rows(Shard::WHOLE, 1, run)).unwrap().0;
    assert_eq!(only.progress(), "0 of 1 run");

    let (table, remark) = open(&folder, false).unwrap();
    assert_eq!(table.left(), [0, 2, 4]);
    let expected = "belongs to an earlier example, which --resume would continue: starting over";
    assert!(remark.unwrap().ends_with(expected));
    let other = |run| rows(shard("1/2"), 6, run).into_iter().map(|row| ExampleRow { job: "b".into(), ..row });
    let (_, remark) = ShardTable::open(&folder, shard("1/2"), 6, false, |run| other(run).collect()).unwrap();
    assert!(remark.unwrap().ends_with("belongs to another example: starting over"));
}

#[test]
fn a_job_is_not_resumed_with_other_rows() {
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::open(path.path()).unwrap();
    let refusal = |change: fn(&mut Vec<ExampleRow>)| {
        let mut rows = table("1/2", 6).1;
        change(&mut rows);
        folder.write(&[("example_shard1of2.csv".into(), to_csv(&rows, folder.dialect()))]).unwrap();
        open(&folder, true).map(|_| ()).unwrap_err().to_string()
    };
    let message = refusal(|rows| rows[3].job = "another".into());
    let expected = "example_shard1of2.csv: cannot resume: it was made with job another, not a job (run 2 of y); use the \
                    options";
    assert!(message.contains(expected), "{message}");
    assert!(refusal(|rows| rows[0].runs = 7).contains("it was made with runs 7, not 6 (run 0 of x)"));
    assert!(refusal(|rows| rows[0].shard = Shard::WHOLE).contains("it was made with --shard 1/1, not 1/2 ("));
    assert!(refusal(|rows| rows[0].member = "z".into()).contains("it was made with member z, not "));
    assert!(
        refusal(|rows| rows[0].run = 1)
            .contains("it has run 1 of x, which is not in shard 1/2 of this example of 6 runs")
    );
    assert!(refusal(|rows| rows[0].run = 6).contains("run 6 of x, which is not in shard 1/2"));
    assert!(refusal(|rows| rows.push(rows[0].clone())).contains("run 0 of x is there twice; drop --resume"));
}

#[test]
fn a_table_of_a_shard_is_known_by_its_name() {
    for (name, expected) in [
        ("search_shard2of4.csv", true),
        ("replication_shard1of3.csv", true),
        ("search.csv", false),
        ("search_shard2of4.csv.part", false),
        ("search_shard2of4.png", false),
        ("", false),
    ] {
        assert_eq!(Shard::names_table(name), expected, "{name}");
    }
    assert!(Shard::names_table(&shard("1/2").table("any")) && !Shard::names_table(&Shard::WHOLE.table("any")));
}

#[test]
fn a_digest_is_the_beginning_of_the_sha_256_of_the_text() {
    // Those of FIPS 180 begin so.
    assert_eq!((digest(""), digest("abc")), ("e3b0c442".into(), "ba7816bf".into()));
}

#[test]
fn a_table_that_is_listed_twice_is_listed_once_too_often() {
    assert_eq!(
        refusal(vec![table("1/2", 4), table("2/2", 4), table("1/2", 4)]),
        "cannot merge: table1.csv is listed twice; list each once"
    );
}

#[test]
fn ten_missing_shards_are_named_one_by_one_and_of_eleven_the_last_is_counted() {
    let message = refusal(vec![table("1/11", 11)]);
    assert_eq!(message, "cannot merge: shards 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 of 11 are missing; name all tables");
    let message = refusal(vec![table("1/12", 12)]);
    let expected = "cannot merge: shards 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 1 more of 12 are missing; name all tables";
    assert_eq!(message, expected);
}

#[test]
fn two_jobs_are_told_apart_by_the_parts_that_only_one_has() {
    assert_eq!(
        apart("3 seeds; 40 epochs; seed 1", "3 seeds; 2 epochs; seed 2"),
        "40 epochs; seed 1, not 2 epochs; seed 2"
    );
    assert_eq!(apart("3 seeds", "3 seeds; 2 epochs"), ", not 2 epochs");
}

#[test]
fn another_job_is_named_by_its_kind_and_any_other_column_by_its_values() {
    assert_eq!(ExampleRow::difference("example", "0a", "0b"), "another example");
    assert_eq!(ExampleRow::difference("epochs", "2", "3"), "--epochs 2, not 3");
    assert_eq!(rows(shard("1/2"), 6, 0)[0].in_words(), "this example of 6 runs");
    assert_eq!(rows(Shard::WHOLE, 1, 0)[0].in_words(), "this example of 1 run");
}

#[test]
fn of_several_columns_that_differ_the_one_that_explains_the_others_is_named() {
    let ranks = ["seed", "train_split", "validation_split", "test_split", "lambda", "example"];
    assert_eq!(ranks.map(|column| rank(column, "example")), [0, 0, 0, 0, 1, 2]);
    let rows = rows(shard("1/2"), 6, 0);
    let other = ExampleRow { runs: 7, measured: 9, ..rows[1].clone() };
    let expected = [("runs", "6", "7"), ("member", "x", "y")].map(|(column, a, b)| (column, a.into(), b.into()));
    assert_eq!(differences(&rows[0], &other), expected, "a measurement is no difference");
}

#[test]
fn a_table_is_written_in_the_order_of_the_runs() {
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::open(path.path()).unwrap();
    let (mut table, _) = open(&folder, false).unwrap();
    let runs = |rows: &[ExampleRow]| rows.iter().map(|row| (row.run, row.member.clone())).collect::<Vec<_>>();
    let of = |run: usize| [(run, "x".to_string()), (run, "y".to_string())];
    table.add(rows(shard("1/2"), 6, 4)).unwrap();
    assert_eq!(table.left(), [0, 2]);
    table.add(rows(shard("1/2"), 6, 0)).unwrap();
    let expected = [of(0), of(4)].concat();
    assert_eq!(runs(&table.rows), expected);
    let file = folder.path().join("example_shard1of2.csv");
    let written: Vec<ExampleRow> = from_csv(&std::fs::read(&file).unwrap(), &file).unwrap();
    assert_eq!(runs(&written), expected);
    assert_eq!((table.left(), table.progress()), (vec![2], "2 of 3 runs".into()));
    table.add(rows(shard("1/2"), 6, 2)).unwrap();
    assert_eq!((table.left(), table.progress()), (vec![], "3 of 3 runs".into()));
}

#[test]
fn the_shards_of_a_job_are_in_the_order_of_their_numbers() {
    let mut shards = ["10/12", "2/12", "12/12", "1/12", "1/1"].map(shard);
    shards.sort();
    assert_eq!(shards.map(|shard| shard.to_string()), ["1/1", "1/12", "2/12", "10/12", "12/12"]);
    assert_eq!((Shard::default(), Shard::default().to_string()), (Shard::WHOLE, "1/1".into()));
    assert_eq!(shard("2/3").siblings().collect::<Vec<_>>(), ["1/3", "2/3", "3/3"].map(shard));
    assert!("1/99999999999999999999".parse::<Shard>().is_err());
}
