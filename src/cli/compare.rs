//! `onelayer compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onelayer::dataset::Dataset;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::evaluate::outcomes;
use onelayer::statistics::{Agreement, Interval};
use onelayer::train::model::ModelFile;

use super::common::{data, input};

/// Above this p-value, two models are not called different.
const LEVEL: f64 = 0.05;

const EXAMPLES: &str = "\
Examples:
  onelayer compare A.safetensors B.safetensors";

/// What `compare` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model A, a file that `train` wrote
    a: PathBuf,
    /// Model B
    b: PathBuf,
    #[command(flatten)]
    data: data::DataArgs,
    /// Threads; the results don't depend on it [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the comparison alone
    #[arg(long)]
    quiet: bool,
}

/// Classifies the test images by both models, and prints the comparison.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::use_threads(args.threads)?;
    let models = [input::read_model(&args.a, "A")?, input::read_model(&args.b, "B")?];
    let test = args.data.load(args.quiet)?.splits.test;
    let [a, b] = predict(&models, &test)?;
    print([&args.a, &args.b], &Agreement::new(test.labels(), &a, &b));
    Ok(ExitCode::SUCCESS)
}

/// The class that each model predicts for each of the `images`, from one pass over them if both normalise them alike.
fn predict([a, b]: &[ModelFile; 2], images: &Dataset) -> onelayer::Result<[Vec<u8>; 2]> {
    let pass = |models: &[&ModelFile]| {
        let normalizer = Normalizer::new(models[0].mean.clone(), models[0].std.clone())?;
        let models: Vec<_> = models.iter().map(|model| (&model.parameters, model.provenance.loss)).collect();
        outcomes(&models, images, &normalizer)
    };
    let mut outcomes =
        if (&a.mean, &a.std) == (&b.mean, &b.std) { pass(&[a, b])? } else { [pass(&[a])?, pass(&[b])?].concat() };
    Ok([0, 1].map(|model| std::mem::take(&mut outcomes[model].predicted)))
}

fn print(paths: [&Path; 2], counts: &Agreement) {
    let [a, b] = counts.accuracies();
    show!("A {:6.2} %  {}", 100.0 * a, paths[0].display());
    show!("B {:6.2} %  {}\n", 100.0 * b, paths[1].display());
    show!("test images  {:>8}  {:>8}", "B right", "B wrong");
    show!("    A right  {:>8}  {:>8}", counts.both, counts.only_a);
    show!("    A wrong  {:>8}  {:>8}\n", counts.only_b, counts.neither);
    let (difference, interval) = (counts.difference(), counts.bootstrap_interval());
    let (points, p) = (100.0 * difference, counts.mcnemar_p());
    let Interval { low, high } = interval;
    show!("A minus B          {points:+.2} points");
    show!("95 % interval      {:+.2} to {:+.2} points (paired bootstrap, all resamples)", 100.0 * low, 100.0 * high);
    show!("McNemar's exact p  {}\n", p_text(p));
    show!("{}", sentence(counts, p));
}

/// What it comes to.
fn sentence(counts: &Agreement, p: f64) -> String {
    let images = counts.examples();
    let apart = counts.only_a.abs_diff(counts.only_b);
    if p < LEVEL {
        let (better, worse) = if counts.only_a > counts.only_b { ("A", "B") } else { ("B", "A") };
        format!("{better} is better than {worse}: by {apart} of {images} images, more than chance explains.")
    } else {
        format!("Which is better can't be told: {apart} of {images} images apart is within chance.")
    }
}

/// A p-value, as far as an `f64` can tell it from 0.
fn p_text(p: f64) -> String {
    if p == 0.0 {
        "below 1e-300".into()
    } else if p < 0.001 {
        format!("{p:.1e}")
    } else {
        format!("{p:.3}")
    }
}
