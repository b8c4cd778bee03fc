//! `onelayer gradcheck`.

use std::path::PathBuf;
use std::process::ExitCode;

use onelayer::dataset::Splits;
use onelayer::dataset::cifar10::{CLASS_NAMES, DIMS};
use onelayer::dataset::normalizer::Normalizer;
use onelayer::files::csv;
use onelayer::gradcheck::referee::start as referee_start;
use onelayer::gradcheck::table::{GradcheckRow, Location};
use onelayer::gradcheck::{Check, Implementation, KERNELS, PASSES, Problem, Sample, check};
use onelayer::hyperparameters::{Loss, Schedule};
use onelayer::network::Parameters;
use onelayer::shape::Dims;
use onelayer::train::{epoch_order, random_start};

use super::common::{data, input, out};
use super::referee;
#[cfg(feature = "autograd-check")]
use onelayer::{gradcheck::trajectory, train::Data};

/// Examples, features and classes of the problems on which every derivative is also taken numerically.
const SMALL: [(usize, usize, usize); 4] = [(1, 1, 2), (5, 7, 3), (16, 33, 10), (3, 100, 4)];

/// The λ of the report but 0, at which the cost is the loss: the data term, which is always checked.
const LAMBDAS: [f64; 2] = [0.1, 1.0];

/// How long training by hand-derived gradients is held against training by autograd.
const TRAJECTORY_EPOCHS: usize = 5;

const EXAMPLES: &str = "\
Examples:
  onelayer gradcheck
  onelayer gradcheck --model results/model_lambda0.1_eta0.001.safetensors
  onelayer gradcheck --export problem.npz
  onelayer gradcheck --problem problem.npz --grads student.npz";

/// What `gradcheck` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Check also at the parameters of these models, files that `train` wrote
    #[arg(long, value_name = "FILE", num_args = 1..)]
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
    #[command(flatten)]
    out: out::OutArgs,
    /// Print the verdict alone
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    referee: referee::RefereeArgs,
}

/// Checks, writes the table, prints the worst elements and the verdict; or plays the referee.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.referee.grads {
        return args.referee.judge(path, args.quiet);
    }
    if let Some(path) = &args.referee.export {
        return args.referee.export(path, &args.exported_problem()?, args.quiet);
    }
    let folder = args.out.open()?;
    let models = args.models()?;
    let images = args.images()?;
    let mut checks = Vec::new();
    let mut add = |found: Vec<Check>| {
        if !args.quiet {
            print_worst(&found);
        }
        checks.extend(found);
    };
    for case in args.small_cases().chain(args.image_cases(&images, &models)?) {
        add(check(&case.problem, &case.name, case.implementations, &LAMBDAS, case.sample));
    }
    #[cfg(feature = "autograd-check")]
    for setting in trajectory::settings() {
        let start = random_start(DIMS, args.seed);
        add(trajectory::check(images.data(), &[setting], &images.schedule, &start)?);
    }
    let rows: Vec<_> = checks.iter().map(GradcheckRow::from).collect();
    folder.write(&[("gradcheck.csv".into(), csv::to_csv(&rows, folder.dialect()))])?;
    #[cfg(not(feature = "autograd-check"))]
    if !args.quiet {
        show!("PyTorch's rows: tests/run.sh --no-run, cargo run -F autograd-check gradcheck");
    }
    Ok(verdict(&checks))
}

/// A problem to check.
struct Case {
    name: String,
    problem: Problem,
    implementations: &'static [Implementation<'static>],
    /// Where to take central differences, if anywhere.
    sample: Option<Sample>,
}

/// Parameters at which gradients are checked.
struct Model {
    name: String,
    loss: Loss,
    parameters: Parameters,
}

/// Both backward passes.
const BOTH: &[Implementation] = &[KERNELS, PASSES];

/// The images that problems are made of.
struct Images {
    splits: Splits,
    normalizer: Normalizer,
    /// The stream of batches.
    schedule: Schedule,
    /// The training images in the order of the first epoch.
    order: Vec<usize>,
}

impl Images {
    /// The first batch.
    fn batch(&self) -> &[usize] {
        &self.order[..self.schedule.batch_size]
    }

    fn problem(&self, indices: &[usize], parameters: &Parameters) -> anyhow::Result<Problem> {
        let (train, parameters) = (&self.splits.train, parameters.clone());
        Ok(Problem::from_images(train, &self.normalizer, indices, parameters)?)
    }

    #[cfg(feature = "autograd-check")]
    fn data(&self) -> Data<'_> {
        Data { train: &self.splits.train, validation: &self.splits.validation, normalizer: &self.normalizer }
    }
}

impl Args {
    fn images(&self) -> anyhow::Result<Images> {
        let splits = self.data.load(self.quiet)?.splits;
        let schedule =
            Schedule { epochs: TRAJECTORY_EPOCHS, batch_size: self.batch_size, seed: self.seed, ..Schedule::REPORT };
        schedule.validate(splits.train.len())?;
        Ok(Images {
            normalizer: Normalizer::fit(&splits.train)?,
            order: epoch_order(&schedule, 1, splits.train.len()),
            schedule,
            splits,
        })
    }

    /// Random problems with each loss, small enough to take every derivative numerically.
    fn small_cases(&self) -> impl Iterator<Item = Case> {
        let seed = self.seed;
        let case = move |(n, features, classes), loss| Case {
            name: format!("random n={n} d={features} k={classes}, {loss}"),
            problem: Problem::random(Dims { features, classes }, n, seed).with_loss(loss),
            implementations: BOTH,
            sample: Some(Sample { weights: usize::MAX, seed }),
        };
        SMALL.into_iter().flat_map(move |shape| Loss::ALL.map(|loss| case(shape, loss)))
    }

    /// A batch and the whole training split, at the start with each loss and at each model with its own; and a batch on
    /// which every probability of a softmax is 0 or 1 to the last bit.
    fn image_cases(&self, images: &Images, models: &[Model]) -> anyhow::Result<Vec<Case>> {
        let start = random_start(DIMS, self.seed);
        let mut saturated = start.clone();
        for (class, bias) in saturated.bias.iter_mut().enumerate() {
            *bias = 100.0 * class as f32;
        }
        let case = |indices: &[usize], at: &str, loss: Loss, parameters: &Parameters| {
            anyhow::Ok(Case {
                name: format!("{} images, {at}, {loss}", indices.len()),
                problem: images.problem(indices, parameters)?.with_loss(loss),
                implementations: BOTH,
                sample: Some(Sample { weights: self.differences, seed: self.seed }),
            })
        };
        let mut cases = Vec::new();
        for loss in Loss::ALL {
            cases.push(case(images.batch(), "logits of 0 to 900", loss, &saturated)?);
        }
        let starts = Loss::ALL.map(|loss| Model { name: "the start".into(), loss, parameters: start.clone() });
        for model in starts.iter().chain(models) {
            let at = |indices| case(indices, &model.name, model.loss, &model.parameters);
            cases.push(at(images.batch())?);
            cases.push(Case {
                // The plain loops add up 10,000 terms one by one, for which f32 is too short; training never does.
                implementations: &[KERNELS],
                // They evaluate the cost twice a parameter.
                sample: None,
                ..at(&images.order)?
            });
        }
        Ok(cases)
    }

    /// A batch of images at the one model, or at a start whose bias isn't 0.
    fn exported_problem(&self) -> anyhow::Result<Problem> {
        let models = self.models()?;
        let images = self.images()?;
        match &models[..] {
            [] => images.problem(images.batch(), &referee_start(DIMS, self.seed)),
            [model] => images.problem(images.batch(), &model.parameters),
            several => anyhow::bail!("--export takes one --model, but there are {}", several.len()),
        }
    }

    fn models(&self) -> anyhow::Result<Vec<Model>> {
        let read = |path: &PathBuf| {
            let model = input::read_model(path, "--model")?;
            Ok(Model { name: model.setting, loss: model.hyperparameters.loss, parameters: model.parameters })
        };
        self.model.iter().map(read).collect()
    }
}

/// For each implementation and each thing it was held against: how much was compared, and the worst element.
fn print_worst(checks: &[Check]) {
    let mut groups: Vec<Vec<&Check>> = Vec::new();
    for check in checks {
        let same = |g: &&mut Vec<&Check>| g[0].implementation == check.implementation && g[0].against == check.against;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(check),
            None => groups.push(vec![check]),
        }
    }
    show!("{}", checks[0].problem);
    for group in groups {
        // The check that comes closest to its tolerance, or passes it furthest; a NaN counts as furthest.
        let excess = |check: &Check| check.comparison.max_absolute / check.comparison.tolerance;
        let worst = group.iter().max_by(|a, b| excess(a).abs().total_cmp(&excess(b).abs())).expect("no group is empty");
        let elements: usize = group.iter().map(|c| c.comparison.elements).sum();
        let failed = group.iter().filter(|c| !c.comparison.passed()).count();
        show!(
            "  {} against {}: {elements} values, {}",
            worst.implementation,
            worst.against,
            if failed == 0 { "PASS".into() } else { format!("FAIL in {failed} of {} checks", group.len()) },
        );
        show!("    worst: {}", describe(worst));
    }
}

/// The worst element of a check: where, both values, both errors.
fn describe(check: &Check) -> String {
    let Some(worst) = check.comparison.worst else {
        return "nothing was compared".into();
    };
    let location = Location::new(check.quantity, worst.index, check.dims);
    let mut place = format!("{} ({}, λ = {})", check.quantity, check.terms.name(), check.lambda);
    match location.class {
        Some(class) if check.dims == DIMS => place += &format!(", class {class} {}", CLASS_NAMES[class]),
        Some(class) => place += &format!(", class {class}"),
        None => {}
    }
    match (location.channel, location.row, location.column, location.feature) {
        (Some(channel), Some(row), Some(column), _) => place += &format!(", {channel}, row {row}, column {column}"),
        (.., Some(feature)) => place += &format!(", feature {feature}"),
        _ => {}
    }
    format!(
        "{place}\n      hand {:.9e}, other {:.9e},\n      absolute {:.1e}, relative {:.1e}",
        worst.hand, worst.other, check.comparison.max_absolute, check.comparison.max_relative
    )
}

fn verdict(checks: &[Check]) -> ExitCode {
    let failed = checks.iter().filter(|c| !c.comparison.passed()).count();
    if failed == 0 && !checks.is_empty() {
        show!("PASS: {} of {} checks", checks.len(), checks.len());
        ExitCode::SUCCESS
    } else {
        show!("FAIL: {failed} of {} checks", checks.len());
        ExitCode::FAILURE
    }
}
