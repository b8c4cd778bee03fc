//! `gradcheck --export`: writes a problem whose gradients are to be computed elsewhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use onelayer::dataset::cifar10::DIMS;
use onelayer::files::atomic;
use onelayer::gradcheck::referee::files::problem_to_npz;
use onelayer::gradcheck::referee::{self, Exercise, Hidden, Quantity, Referee, Tolerance};
use onelayer::gradcheck::{Problem, Suite};
use onelayer::hyperparameters::Loss;
use onelayer::network::Parameters;
use onelayer::shape::Dims;
use onelayer::statistics::typographic;

use super::{Args, images};

/// The λ that are tried until a problem is found in which no mistake can hide. At 1, λ² would look like λ.
const LAMBDAS: [f64; 7] = [0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 6.0];

/// The arguments of an exported problem.
#[derive(clap::Args)]
#[command(next_help_heading = "Export a problem or a quiz")]
pub struct ExportArgs {
    /// Write a problem to solve (x, y, W, b, lambda): a batch at a random start, or at --model
    #[arg(long, value_name = "FILE.npz")]
    pub export: Option<PathBuf>,
    /// Write a quiz for your own checker of gradients: small problems (10 features, 3 examples) with gradients that are right
    /// or wrong, of the sample unless --dataset or --data-dir names other images
    #[arg(long, value_name = "DIR")]
    pub quiz: Option<PathBuf>,
    /// Grade these answers to the quiz, a CSV file of names and `right` or `wrong`, instead of writing it
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Weight of the penalty λ·Σ weight² in the problem [default: 0.1, or the next at which no mistake can hide]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Loss of the problem: softmax or bce [default: that of --model, otherwise softmax]
    #[arg(long, value_name = "LOSS")]
    loss: Option<Loss>,
    /// Arrangement of the arrays in the problem
    #[arg(long, value_enum, value_name = "LAYOUT", default_value = "rows")]
    layout: Layout,
    /// Number of features of each image, evenly spaced, in the problem [default: all]
    #[arg(long, value_name = "D")]
    features: Option<usize>,
}

/// The name of a layout.
#[derive(Clone, Copy, ValueEnum)]
enum Layout {
    /// x (n,d), W (k,d), b (k)
    Rows,
    /// x (d,n), W (k,d), b (k,1): each example is a column, as in DD2424
    Columns,
    /// x (n,d+1), W (d+1,k): the last row of W is the bias, with a penalty, as in CS231n
    Cs231n,
}

impl From<Layout> for referee::Layout {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Rows => Self::Rows,
            Layout::Columns => Self::Columns,
            Layout::Cs231n => Self::Cs231n,
        }
    }
}

/// Writes a batch at the one model, or at a start whose bias is not 0, to `path`.
pub fn run(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    let is_npz = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
    ensure!(is_npz, "--export writes an .npz file, but {} ends otherwise", path.display());
    // Before the images are downloaded.
    atomic::check(path).context("--export")?;
    let exercise = exercise(args, args.batch_size, args.export.features.unwrap_or(DIMS.features))?;
    let bytes = problem_to_npz(&exercise).with_context(|| format!("cannot write the problem to {}", path.display()))?;
    atomic::write(path, &bytes)?;
    for (quantity, Hidden { mistakes, advice, .. }) in hidden(&Referee::new(&exercise, Tolerance::default())?, false) {
        let could_hide = match mistakes.len() {
            1 => "a mistake could hide:".into(),
            several => format!("{several} mistakes could hide, such as"),
        };
        let first = typographic(&mistakes[0]);
        say!("{}: {could_hide} \"{first}\"; export with {advice}", quantity.name());
    }
    if !args.quiet {
        show!("{}: {}", path.display(), exercise.describe());
        let gradients = match exercise.layout() {
            referee::Layout::Cs231n => "its gradient as grad_W",
            _ => "its gradients as grad_W and grad_b",
        };
        show!(
            "{}",
            match exercise.loss() {
                Loss::Softmax => "loss = mean over the examples of −ln p[y], p = softmax(logits)",
                Loss::Bce => "loss = mean over examples and classes of the binary cross-entropy, p = sigmoid(logits)",
            }
        );
        show!("cost = loss + lambda · Σ W²; save {gradients}, then run:");
        show!("onelayer gradcheck --problem {} --grads FILE", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The problem of `examples` images that the arguments describe, with this number of features each.
pub fn exercise(args: &Args, examples: usize, features: usize) -> anyhow::Result<Exercise> {
    let options = &args.export;
    ensure!((1..=DIMS.features).contains(&features), "--features must be 1 to {}, but is {features}", DIMS.features);
    let models = args.models()?;
    ensure!(models.len() <= 1, "a problem takes one --model, but there are {}; name one", models.len());
    let images = images(&args.data()?, args.quiet)?;
    let suite = Suite { batch_size: examples, ..args.suite(&images, &models) };
    let (problem, loss) = match &models[..] {
        [model, ..] => (suite.batch_problem(&model.parameters)?, model.loss),
        [] => (suite.batch_problem(&referee::start(DIMS, args.seed))?, Loss::Softmax),
    };
    let problem = with_features(&problem, features)?.with_loss(options.loss.unwrap_or(loss));
    let with = |lambda| Exercise::of(&problem, lambda, options.layout.into());
    if let Some(lambda) = options.lambda {
        return Ok(with(lambda)?);
    }
    let mut best = None;
    for lambda in LAMBDAS {
        let exercise = with(lambda)?;
        let judge = Referee::new(&exercise, Tolerance::default())?;
        let [in_f64, in_f32] = [false, true].map(|in_f32| hidden(&judge, in_f32));
        if in_f32.is_empty() {
            return Ok(exercise);
        }
        if best.is_none() && in_f64.is_empty() {
            best = Some(exercise);
        }
    }
    Ok(best.map_or_else(|| with(LAMBDAS[0]), Ok)?)
}

/// The mistakes that a submission in `float32` or `float64` could hide, with the quantity.
fn hidden(judge: &Referee, in_f32: bool) -> Vec<(Quantity, Hidden)> {
    let of = |quantity| Some((quantity, judge.hidden(quantity, in_f32)?));
    Quantity::ALL.into_iter().filter_map(of).collect()
}

/// The same problem with `count` of its features, evenly spaced, so that all channels are among them.
fn with_features(problem: &Problem, count: usize) -> anyhow::Result<Problem> {
    let Dims { features, classes } = problem.dims();
    let chosen = |row: &[f32]| (0..count).map(|f| row[f * features / count]).collect::<Vec<_>>();
    let all_chosen = |rows: &[f32]| rows.chunks(features).flat_map(chosen).collect::<Vec<_>>();
    let Parameters { weight, bias, .. } = problem.parameters();
    let parameters = Parameters::new(Dims { features: count, classes }, all_chosen(weight), bias.clone())?;
    Ok(Problem::new(all_chosen(problem.x()), problem.labels().into(), parameters)?)
}
