//! `onelayer gradcheck`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use onelayer::dataset::cifar10::{CLASS_NAMES, DIMS};
use onelayer::gradcheck::{Check, Problem, Sample, check, implementations};
use onelayer::hyperparameters::{Schedule, Setting};
use onelayer::network::Dims;
use onelayer::output::gradcheck::{GradcheckRow, Location};
use onelayer::output::model::ModelFile;
use onelayer::output::results::Folder;
use onelayer::output::tables;
use onelayer::preprocess::Normalizer;
use onelayer::train::{epoch_order, random_start};

use super::data;

/// Examples, features and classes of the problems on which every derivative is also taken numerically.
const SMALL: [(usize, usize, usize); 4] = [(1, 1, 2), (5, 7, 3), (16, 33, 10), (3, 100, 4)];

/// What `gradcheck` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Check also at the parameters of this model, a file that `train` wrote; can be repeated
    #[arg(long, value_name = "FILE")]
    model: Vec<PathBuf>,
    /// Images of the batch
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.batch_size)]
    batch_size: usize,
    /// Weights at which central differences are taken on the images, besides every bias
    #[arg(long, value_name = "N", default_value_t = 200)]
    differences: usize,
    /// Seed of the start, of the batch and of the weights chosen for central differences
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.seed)]
    seed: u64,
    #[command(flatten)]
    data: data::DataArgs,
    /// Folder in which gradcheck.csv is written
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// Print the verdict alone
    #[arg(long)]
    quiet: bool,
}

/// Checks, writes the table, prints the worst elements and the verdict.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder =
        Folder::open(&args.out).context("gradcheck.csv needs a folder to be written in (--out)")?;
    let problems = args.problems()?;
    let lambdas: Vec<f64> = Setting::REPORT
        .iter()
        .map(|s| s.lambda())
        .filter(|&l| l > 0.0)
        .collect();
    let sample = Sample {
        weights: args.differences,
        seed: args.seed,
    };
    let mut checks = Vec::new();
    for (name, problem) in &problems {
        let of_problem = check(problem, name, &implementations::all(), &lambdas, sample);
        if !args.quiet {
            print_worst(&of_problem);
        }
        checks.extend(of_problem);
    }
    let rows: Vec<_> = checks.iter().map(GradcheckRow::from).collect();
    folder.write(&[("gradcheck.csv".into(), tables::to_csv(&rows))])?;
    Ok(verdict(&checks))
}

impl Args {
    /// The problems by name: small ones, and a batch of images at the start and at each model.
    fn problems(&self) -> anyhow::Result<Vec<(String, Problem)>> {
        let mut problems = Vec::new();
        for (i, (n, features, classes)) in SMALL.into_iter().enumerate() {
            let problem = Problem::random(Dims { features, classes }, n, self.seed + i as u64);
            problems.push((format!("random n={n} d={features} k={classes}"), problem));
        }
        let models = self.models()?;
        let splits = self.data.load(self.quiet)?.splits;
        let schedule = Schedule {
            batch_size: self.batch_size,
            seed: self.seed,
            ..Schedule::REPORT
        };
        schedule.validate(splits.train.len())?;
        let normalizer = Normalizer::fit(&splits.train)?;
        let order = epoch_order(&schedule, 1, splits.train.len());
        let start = ("the start".to_owned(), random_start(DIMS, self.seed));
        for (at, parameters) in std::iter::once(start).chain(models) {
            let batch = &order[..self.batch_size];
            let problem = Problem::from_images(&splits.train, &normalizer, batch, parameters)?;
            problems.push((format!("{} images at {at}", self.batch_size), problem));
        }
        Ok(problems)
    }

    fn models(&self) -> anyhow::Result<Vec<(String, onelayer::network::Parameters)>> {
        let read = |path: &PathBuf| {
            let bytes = fs::read(path)
                .with_context(|| format!("cannot read --model {}", path.display()))?;
            let model = ModelFile::from_bytes(&bytes, path)?;
            anyhow::ensure!(
                model.parameters.dims == DIMS,
                "--model {} must have {DIMS}, but has {}",
                path.display(),
                model.parameters.dims
            );
            Ok((model.provenance.setting, model.parameters))
        };
        self.model.iter().map(read).collect()
    }
}

/// For each implementation and each thing it was held against: how much was compared, and the worst element.
fn print_worst(checks: &[Check]) {
    let mut groups: Vec<Vec<&Check>> = Vec::new();
    for check in checks {
        let same = |g: &&mut Vec<&Check>| {
            g[0].implementation == check.implementation && g[0].against == check.against
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(check),
            None => groups.push(vec![check]),
        }
    }
    println!("{}", checks[0].problem);
    for group in groups {
        // The check that comes closest to its tolerance, or passes it furthest; a NaN counts as furthest.
        let excess = |check: &Check| check.comparison.max_absolute / check.comparison.tolerance;
        let worst = group
            .iter()
            .max_by(|a, b| excess(a).abs().total_cmp(&excess(b).abs()))
            .expect("no group is empty");
        let elements: usize = group.iter().map(|c| c.comparison.elements).sum();
        let failed = group.iter().filter(|c| !c.comparison.passed()).count();
        println!(
            "  {} against {}: {elements} values, {}",
            worst.implementation,
            worst.against,
            if failed == 0 {
                "PASS".into()
            } else {
                format!("FAIL in {failed} of {} checks", group.len())
            },
        );
        println!("    worst: {}", describe(worst));
    }
}

/// The worst element of a check: where, both values, both errors.
fn describe(check: &Check) -> String {
    let Some(worst) = check.comparison.worst else {
        return "nothing was compared".into();
    };
    let location = Location::new(check.quantity, worst.index, check.dims);
    let mut place = format!(
        "{} ({}, λ = {})",
        check.quantity,
        check.terms.name(),
        check.lambda
    );
    match location.class {
        Some(class) if check.dims == DIMS => {
            place += &format!(", class {class} {}", CLASS_NAMES[class])
        }
        Some(class) => place += &format!(", class {class}"),
        None => {}
    }
    match (
        location.channel,
        location.row,
        location.column,
        location.feature,
    ) {
        (Some(channel), Some(row), Some(column), _) => {
            place += &format!(", {channel}, row {row}, column {column}")
        }
        (.., Some(feature)) => place += &format!(", feature {feature}"),
        _ => {}
    }
    format!(
        "{place}\n      hand {:.9e}, other {:.9e}, absolute {:.1e}, relative {:.1e}",
        worst.hand, worst.other, check.comparison.max_absolute, check.comparison.max_relative
    )
}

fn verdict(checks: &[Check]) -> ExitCode {
    let failed = checks.iter().filter(|c| !c.comparison.passed()).count();
    if failed == 0 && !checks.is_empty() {
        println!("PASS: {} of {} checks", checks.len(), checks.len());
        ExitCode::SUCCESS
    } else {
        println!("FAIL: {failed} of {} checks", checks.len());
        ExitCode::FAILURE
    }
}
