//! `onelayer gradcheck`: checks the gradients of this program, and of others.

mod export;
mod quiz;
mod referee;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use onelayer::dataset::Splits;
use onelayer::dataset::cifar10::DIMS;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::gradcheck::table::{GradcheckRow, Summary};
use onelayer::gradcheck::{Point, Suite};
use onelayer::hyperparameters::{Schedule, readable};
use onelayer::statistics::{count, grouped, scientific};
use onelayer::train::Data;

use super::common::data::DataArgs;
use super::common::{input, out};

const AFTER_HELP: &str = "\
Examples:
  onelayer gradcheck
  onelayer gradcheck --model results/model_lambda0.1_eta0.001.safetensors
  onelayer gradcheck --export problem.npz
  onelayer gradcheck --problem problem.npz --grads student.npz
  onelayer gradcheck --export p.npz --layout columns --features 10 --examples 3
  onelayer gradcheck --grads submissions/ --out judged
  onelayer gradcheck --quiz quiz
  onelayer gradcheck --quiz quiz --answers answers.csv

`passes` are the plain loops of the derivation, `kernels` the vector code that
trains. A random problem has n examples, d features and k classes.

Exit code of --grads: 0 all agree, 1 one differs, 2 a file cannot be read,
3 none differs, but one can't be told";

/// The arguments of `gradcheck`.
#[derive(clap::Args)]
// Only the comparison with training by autograd uses images for validation.
#[command(after_help = AFTER_HELP, mut_arg("validation_batches", |batches| batches.hide(!cfg!(feature = "autograd-check"))))]
pub struct Args {
    /// Also check the gradients at the parameters of these model files, or of an .npz with W and b
    #[arg(long, value_name = "FILE", num_args = 1..)]
    model: Vec<PathBuf>,
    /// Number of images in the batch, or of examples in an exported problem
    #[arg(long, visible_alias = "examples", value_name = "N", default_value_t = Schedule::REPORT.batch_size)]
    batch_size: usize,
    /// Weights to check by central differences on images; every bias is always checked
    #[arg(long, value_name = "N", default_value_t = 200)]
    differences: usize,
    /// Seed of the start, of the batch and of the weights chosen for central differences
    #[arg(long, value_name = "N", default_value_t = Schedule::REPORT.seed)]
    seed: u64,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    out: out::OutArgs,
    /// Print only the verdict
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    export: export::ExportArgs,
    #[command(flatten)]
    referee: referee::RefereeArgs,
}

/// Checks this program's gradients, exports a problem or judges its solution.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.referee.grads.is_empty() {
        return referee::run(args);
    }
    if let Some(folder) = &args.export.quiz {
        return quiz::run(args, folder);
    }
    match &args.export.export {
        Some(path) => export::run(args, path),
        None => args.check(),
    }
}

impl Args {
    /// Runs the suite, prints the worst elements of each problem and the verdict.
    fn check(&self) -> anyhow::Result<ExitCode> {
        let weights = DIMS.classes * DIMS.features;
        let found = self.differences;
        ensure!(found <= weights, "--differences must be at most {weights}, the number of weights, but is {found}");
        let data = self.data()?;
        let models = self.models()?;
        let folder = self.out.open()?;
        let images = images(&data, self.quiet)?;
        let rows = self.suite(&images, &models).run(&folder, &mut |rows| {
            if !self.quiet {
                print_worst(rows);
            }
        })?;
        // Only a checkout can be compiled with libtorch.
        if cfg!(not(feature = "autograd-check")) && !self.quiet && Path::new("tests/run.sh").exists() {
            show!("To add PyTorch: tests/run.sh --no-run; cargo run -F autograd-check gradcheck");
        }
        let failed = rows.iter().filter(|row| !row.passed()).count();
        let (checks, failed_checks) = (grouped(rows.len()), grouped(failed));
        let code = if failed == 0 && !rows.is_empty() {
            show!("PASS: {checks} of {checks} checks");
            ExitCode::SUCCESS
        } else {
            show!("FAIL: {failed_checks} of {checks} checks");
            ExitCode::FAILURE
        };
        self.out.say_results(false, self.quiet);
        Ok(code)
    }

    /// The images to load: those of the sample for a quiz, so that it needs no download.
    fn data(&self) -> anyhow::Result<DataArgs> {
        let data = self.data.clone();
        let data = if self.export.quiz.is_some() { data.or_sample() } else { data };
        // The comparison with training by autograd is validated too.
        let data = data.only(true, cfg!(feature = "autograd-check"), "gradients are checked on training images")?;
        data.check()?;
        Schedule { batch_size: self.batch_size, ..Schedule::REPORT }.validate(data.training_images())?;
        Ok(data)
    }

    fn models(&self) -> anyhow::Result<Vec<Point>> {
        input::check_listed_once(&self.model, "--model")?;
        let read = |path: &PathBuf| {
            let (name, loss, parameters) = input::read_model(path, "--model")?.point(path);
            Ok(Point { name, loss, parameters })
        };
        self.model.iter().map(read).collect()
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

fn images(data: &DataArgs, quiet: bool) -> anyhow::Result<(Splits, Normalizer)> {
    let splits = data.load(quiet)?.splits;
    let normalizer = Normalizer::fit(&splits.train)?;
    Ok((splits, normalizer))
}

/// For each implementation and each method that it is compared with: the number of values, and the worst element.
fn print_worst(rows: &[GradcheckRow]) {
    let number = |value: Option<f64>, digits| value.map_or("not finite".into(), |v| scientific(v, digits));
    show!("{}", readable(&rows[0].problem));
    let is_of_images = rows.iter().any(|row| row.location.channel.is_some());
    for Summary { checks, values, failed, worst } in Summary::by(rows, |row| (&row.implementation, &row.against)) {
        let verdict = match failed {
            0 => "PASS".into(),
            _ if checks == 1 => "FAIL".into(),
            _ => format!("FAIL in {failed} of {checks} checks"),
        };
        show!("  {} against {}: {}, {verdict}", worst.implementation, worst.against, count(values, "value"));
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
