//! `onelayer gradcheck`: checks the gradients of this program, and of others.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use onelayer::dataset::Splits;
use onelayer::dataset::cifar10::DIMS;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::files::atomic;
use onelayer::gradcheck::referee::files::{problem_to_npz, read_problem, read_submission};
use onelayer::gradcheck::referee::{self, Finding, Quantity};
use onelayer::gradcheck::table::{GradcheckRow, Location, Summary};
use onelayer::gradcheck::{Point, Problem, Suite};
use onelayer::hyperparameters::Schedule;
use onelayer::shape::Dims;
use onelayer::train::Data;

use super::common::{data, input, out};

const AFTER_HELP: &str = "\
Examples:
  onelayer gradcheck
  onelayer gradcheck --model results/model_lambda0.1_eta0.001.safetensors
  onelayer gradcheck --export problem.npz
  onelayer gradcheck --problem problem.npz --grads student.npz";

/// The arguments of `gradcheck`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Also check the gradients at the parameters of these model files
    #[arg(long, value_name = "FILE", num_args = 1..)]
    model: Vec<PathBuf>,
    /// Number of images in the batch
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.batch_size)]
    batch_size: usize,
    /// Weights to check by central differences on images; every bias is always checked
    #[arg(long, value_name = "N", default_value_t = 200)]
    differences: usize,
    /// Seed of the start, of the batch and of the weights chosen for central differences
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.seed)]
    seed: u64,
    #[command(flatten)]
    data: data::DataArgs,
    #[command(flatten)]
    out: out::OutArgs,
    /// Print only the verdict
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    referee: RefereeArgs,
}

/// The arguments for gradients that were computed elsewhere.
#[derive(clap::Args)]
#[command(next_help_heading = "Check your own gradients")]
struct RefereeArgs {
    /// Write a problem to solve (x, y, W, b, lambda): a batch at a random start, or at --model
    #[arg(long, value_name = "FILE", conflicts_with_all = ["grads", "differences", "out", "csv_dialect"])]
    export: Option<PathBuf>,
    /// Weight of the penalty λ·Σ weight² in the problem [default: 0.1]
    #[arg(long, value_name = "LAMBDA", requires = "export", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Check the gradients in this .npz file (grad_W and grad_b, optionally loss and cost) and name mistakes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "batch_size", "differences", "seed", "dataset", "out", "csv_dialect"])]
    grads: Option<PathBuf>,
    /// The problem that --grads solves [default: problem.npz]
    #[arg(long, value_name = "FILE", requires = "grads")]
    problem: Option<PathBuf>,
}

/// Checks this program's gradients, exports a problem or judges its solution.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match (&args.referee.grads, &args.referee.export) {
        (Some(grads), _) => {
            let problem = args.referee.problem.as_deref().unwrap_or(Path::new("problem.npz"));
            judge(problem, grads, args.quiet)
        }
        (None, Some(path)) => args.export(path),
        (None, None) => args.check(),
    }
}

impl Args {
    /// Runs the suite, prints the worst elements of each problem and the verdict.
    fn check(&self) -> anyhow::Result<ExitCode> {
        let folder = self.out.open()?;
        let models = self.models()?;
        let images = self.images()?;
        let rows = self.suite(&images, &models).run(&folder, &mut |rows| {
            if !self.quiet {
                print_worst(rows);
            }
        })?;
        if cfg!(not(feature = "autograd-check")) && !self.quiet {
            show!("To add PyTorch: tests/run.sh --no-run; cargo run -F autograd-check gradcheck");
        }
        let failed = rows.iter().filter(|row| !row.passed()).count();
        if failed == 0 && !rows.is_empty() {
            show!("PASS: {} of {} checks", rows.len(), rows.len());
            Ok(ExitCode::SUCCESS)
        } else {
            show!("FAIL: {failed} of {} checks", rows.len());
            Ok(ExitCode::FAILURE)
        }
    }

    /// Writes a batch at the one model, or at a start whose bias is not 0, to `path`.
    fn export(&self, path: &Path) -> anyhow::Result<ExitCode> {
        let models = self.models()?;
        let images = self.images()?;
        let suite = self.suite(&images, &models);
        let problem = match &models[..] {
            [] => suite.batch_problem(&referee::start(DIMS, self.seed))?,
            [model] => suite.batch_problem(&model.parameters)?,
            several => anyhow::bail!("--export takes one --model, but there are {}", several.len()),
        };
        let lambda = self.referee.lambda.unwrap_or(0.1);
        let bytes = problem_to_npz(&problem, lambda)
            .with_context(|| format!("cannot write the problem to {}", path.display()))?;
        atomic::write(path, &bytes)?;
        if !self.quiet {
            show!("{}: {}", path.display(), describe(&problem, lambda));
            show!("cost = mean cross-entropy + lambda · Σ W²; save its gradients as grad_W and grad_b, then run:");
            show!("onelayer gradcheck --problem {} --grads FILE", path.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn models(&self) -> anyhow::Result<Vec<Point>> {
        let read = |path: &PathBuf| {
            let model = input::read_model(path, "--model")?;
            Ok(Point { name: model.setting, loss: model.hyperparameters.loss, parameters: model.parameters })
        };
        self.model.iter().map(read).collect()
    }

    fn images(&self) -> anyhow::Result<(Splits, Normalizer)> {
        let splits = self.data.load(self.quiet)?.splits;
        let normalizer = Normalizer::fit(&splits.train)?;
        Ok((splits, normalizer))
    }

    fn suite<'a>(&self, (splits, normalizer): &'a (Splits, Normalizer), models: &'a [Point]) -> Suite<'a> {
        Suite {
            data: Data { train: &splits.train, validation: &splits.validation, normalizer },
            batch_size: self.batch_size,
            differences: self.differences,
            seed: self.seed,
            models,
        }
    }
}

/// For each implementation and each method that it is compared with: the number of values, and the worst element.
fn print_worst(rows: &[GradcheckRow]) {
    let number = |value: Option<f64>, digits| value.map_or("not finite".into(), |v| format!("{v:.digits$e}"));
    show!("{}", rows[0].problem);
    let is_of_images = rows.iter().any(|row| row.location.channel.is_some());
    for Summary { checks, values, failed, worst } in Summary::by(rows, |row| (&row.implementation, &row.against)) {
        let verdict = if failed == 0 { "PASS".into() } else { format!("FAIL in {failed} of {checks} checks") };
        show!("  {} against {}: {values} values, {verdict}", worst.implementation, worst.against);
        if worst.elements == 0 {
            show!("    worst: nothing was compared");
            continue;
        }
        let location = worst.location.text(is_of_images);
        show!("    worst: {} ({}, λ = {}){location}", worst.quantity, worst.terms, worst.lambda);
        show!("      hand {}, other {},", number(worst.hand, 9), number(worst.other, 9));
        let [absolute, relative] = [worst.max_absolute_difference, worst.max_relative_difference];
        show!("      absolute {}, relative {}", number(absolute, 1), number(relative, 1));
    }
}

/// Judges the solution in the file `grads` of the problem in the file `problem`.
fn judge(problem: &Path, grads: &Path, quiet: bool) -> anyhow::Result<ExitCode> {
    let path = problem;
    let bytes = onelayer::files::read(path).with_context(|| {
        format!("cannot read the problem {} (--problem names it, --export writes one)", path.display())
    })?;
    let (problem, lambda) = read_problem(&bytes, path)?;
    let bytes = onelayer::files::read(grads).with_context(|| format!("cannot read --grads {}", grads.display()))?;
    let findings = referee::judge(&problem, lambda, &read_submission(&bytes, grads, problem.dims())?)?;
    if !quiet {
        show!("{}: {}", path.display(), describe(&problem, lambda));
        for finding in &findings {
            print_finding(finding, problem.dims());
        }
    }
    let differ = findings.iter().filter(|finding| !finding.agrees());
    let names: Vec<_> = differ.map(|finding| finding.quantity.name()).collect();
    if names.is_empty() {
        show!("PASS: all {} agree", findings.len());
        Ok(ExitCode::SUCCESS)
    } else {
        show!("FAIL: {}", names.join(", "));
        Ok(ExitCode::FAILURE)
    }
}

fn describe(problem: &Problem, lambda: f64) -> String {
    format!("{} examples, {}, λ = {lambda}", problem.labels().len(), problem.dims())
}

/// The verdict on one quantity and, if it differs, the worst element and the likely mistake.
fn print_finding(finding: &Finding, dims: Dims) {
    let comparison = &finding.comparison;
    show!(
        "  {:7}{:8} {} value{}, largest difference {:.1e}, relative {:.1e}",
        finding.quantity.name(),
        if finding.agrees() { "agrees" } else { "DIFFERS" },
        comparison.elements,
        if comparison.elements == 1 { "" } else { "s" },
        comparison.max_absolute,
        comparison.max_relative,
    );
    if finding.agrees() {
        return;
    }
    if let Some(worst) = comparison.worst {
        let location = match finding.quantity {
            Quantity::Weight => Location::of_weight(worst.index, dims),
            Quantity::Bias => Location::of_bias(worst.index),
            Quantity::Loss | Quantity::Cost => Location::default(),
        };
        let location = location.text(dims == DIMS);
        show!("    worst{location}:\n      yours {:.9e}, right {:.9e}", worst.hand, worst.other);
    }
    match &finding.mistake {
        Some(diagnosis) => {
            show!("    looks like: {}\n      fix: {}", diagnosis.mistake, diagnosis.fix);
            show!("      (explains the difference to within {:.1e})", diagnosis.left);
        }
        None if finding.may_be_rounding() => {
            show!("    looks like: the rounding of float32; compute in float64 to be sure")
        }
        None => show!("    looks like none of the mistakes that this program knows"),
    }
}
