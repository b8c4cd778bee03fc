//! `onelayer compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onelayer::dataset::Dataset;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::evaluate::outcomes;
use onelayer::statistics::{Agreement, Interval, count, grouped, p_text, percent, points};
use onelayer::train::model::ModelFile;

use super::common::data;
use super::common::input::{self, Model};

/// The significance level: models with a larger p-value are not called different.
const LEVEL: f64 = 0.05;

const AFTER_HELP: &str = "\
Examples:
  onelayer compare A.safetensors B.safetensors
  onelayer compare A.safetensors mine.npz";

/// Arguments of `compare`.
#[derive(clap::Args)]
// No images are used for validation.
#[command(after_help = AFTER_HELP, mut_arg("validation_batches", |batches| batches.hide(true)))]
pub struct Args {
    /// Model A: a model_*.safetensors of this program, or an .npz with W (10,3072) or (3072,10) and b (10)
    a: PathBuf,
    /// Model B
    b: PathBuf,
    #[command(flatten)]
    pixels: input::PixelsArgs,
    #[command(flatten)]
    data: data::DataArgs,
    /// Number of threads; the results do not depend on it [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print only the comparison
    #[arg(long)]
    quiet: bool,
}

/// Classifies the test images with both models and prints the comparison.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::use_threads(args.threads)?;
    let models = [input::read_model(&args.a, "A")?, input::read_model(&args.b, "B")?];
    args.pixels.check(&[&models[0], &models[1]])?;
    let train = models.iter().any(Model::needs_training_images);
    let images = args.data.only(train, false, "models are compared on the test images")?;
    let splits = images.load(args.quiet)?.splits;
    let [a, b] = models;
    let models = [a.for_images(&args.a, args.pixels, &splits)?, b.for_images(&args.b, args.pixels, &splits)?];
    print([&args.a, &args.b], &compare(&models, &splits.test)?);
    Ok(ExitCode::SUCCESS)
}

/// Counts the `images` that each model classifies correctly, in one pass over them if both have the same normalizer.
fn compare([a, b]: &[ModelFile; 2], images: &Dataset) -> onelayer::Result<Agreement> {
    let pass = |models: &[&ModelFile]| {
        let normalizer = Normalizer::new(models[0].mean.clone(), models[0].std.clone())?;
        let models: Vec<_> = models.iter().map(|model| (&model.parameters, model.hyperparameters.loss)).collect();
        outcomes(&models, images, &normalizer)
    };
    let outcomes = match (&a.mean, &a.std) == (&b.mean, &b.std) {
        true => pass(&[a, b])?,
        false => [pass(&[a])?, pass(&[b])?].concat(),
    };
    Ok(Agreement::new(images.labels(), &outcomes[0].predicted, &outcomes[1].predicted))
}

fn print(paths: [&Path; 2], counts: &Agreement) {
    let [a, b] = counts.accuracies().map(percent);
    show!("A {a:>6} %  {}", paths[0].display());
    show!("B {b:>6} %  {}\n", paths[1].display());
    show!("test images  {:>8}  {:>8}", "B right", "B wrong");
    show!("    A right  {:>8}  {:>8}", grouped(counts.both), grouped(counts.only_a));
    show!("    A wrong  {:>8}  {:>8}\n", grouped(counts.only_b), grouped(counts.neither));
    let Interval { low, high } = counts.bootstrap_interval();
    let p = counts.mcnemar_p();
    show!("A minus B                 {} points", points(counts.difference()));
    show!("95 % confidence interval  {} to {} points (paired bootstrap)", points(low), points(high));
    show!("McNemar's exact p         {}\n", p_text(p));
    show!("{}", conclusion(counts, p));
    show!(
        "This is about these two models on other images like these, not about their\n\
         λ and η; `replicate` compares settings."
    );
}

fn conclusion(counts: &Agreement, p: f64) -> String {
    let images = count(counts.examples(), "image");
    let more = grouped(counts.only_a.abs_diff(counts.only_b));
    let (better, worse) = if counts.only_a > counts.only_b { ("A", "B") } else { ("B", "A") };
    if counts.only_a + counts.only_b == 0 {
        "No difference: both models classify the same images correctly.".into()
    } else if counts.only_a == counts.only_b {
        format!("No significant difference: both models classify equally many of {images} correctly.")
    } else if p < LEVEL {
        format!("{better} is significantly better than {worse}: it classifies {more} more of\n{images} correctly.")
    } else {
        format!("No significant difference: {better} classifies {more} more of {images} correctly.")
    }
}
