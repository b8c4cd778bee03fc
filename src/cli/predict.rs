//! `onelayer predict`.

use std::path::PathBuf;
use std::process::ExitCode;

use onelayer::dataset::cifar10::{CLASS_NAMES, DIMS};
use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, picture};
use onelayer::evaluate::outcomes;
use onelayer::evaluate::table::prediction_rows;
use onelayer::files::csv::to_csv;
use onelayer::hyperparameters::Loss;

use super::common::{input, out};
use super::printable;

/// Number of classes in the chart of an image.
const TOP: usize = 5;
/// Length of the bar of a probability of 1, in characters.
const BAR: usize = 50;
/// The last character of a bar, by the eighths of it that are filled.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Printed after the charts of a model with sigmoids.
const SIGMOIDS: &str =
    "\nEach class has a sigmoid of its own, so the ten percentages of an image\nneed not add up to 100 %.\n";

const AFTER_HELP: &str = "\
Examples:
  onelayer predict results/model_lambda0.1_eta0.001.safetensors photo.jpg
  onelayer predict model.safetensors --csv *.png > predictions.csv";

/// Arguments of `predict`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Model, written by `train`
    model: PathBuf,
    /// PNG or JPEG images; the square in the middle of each is scaled to 32×32
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Print a CSV table with the probabilities of all classes instead of charts
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    dialect: out::DialectArgs,
}

/// Classifies the images and prints charts or a table. An image that cannot be read is reported, and the others are
/// classified all the same.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let model = input::read_own_model(&args.model, "MODEL")?;
    let normalizer = Normalizer::new(model.mean, model.std)?;
    let (names, images) = read(&args.images)?;
    let outcomes = outcomes(&[(&model.parameters, model.hyperparameters.loss)], &images, &normalizer)?.remove(0);
    let text = if args.csv {
        to_csv(&prediction_rows(&names, &outcomes), args.dialect.get())
    } else {
        let images = names.iter().zip(&outcomes.predicted).zip(outcomes.probabilities.as_chunks().0);
        let charts: Vec<_> = images.map(|((name, &class), probabilities)| chart(name, class, probabilities)).collect();
        let is_of_sigmoids = model.hyperparameters.loss == Loss::Bce && !charts.is_empty();
        let note = if is_of_sigmoids { SIGMOIDS } else { "" };
        (charts.join("\n") + note).into_bytes()
    };
    super::print(&text);
    Ok(if names.len() == args.images.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the images that can be read, with their printable names, and reports the others. Their labels are all 0.
fn read(paths: &[PathBuf]) -> onelayer::Result<(Vec<String>, Dataset)> {
    let mut names = Vec::new();
    let mut pixels = Vec::new();
    for path in paths {
        match picture::read(path) {
            Ok(picture) => {
                names.push(printable(&path.to_string_lossy()));
                pixels.extend(picture);
            }
            Err(error) => say!("error: {:#}", anyhow::Error::from(error)),
        }
    }
    let images = Dataset::new(DIMS, pixels, vec![0; names.len()])?;
    Ok((names, images))
}

/// The image's `name` and a bar for each of its most probable classes, at most 72 columns wide; the `predicted` class is the
/// first of equally probable ones.
fn chart(name: &str, predicted: u8, probabilities: &[f32; CLASS_NAMES.len()]) -> String {
    let mut classes: Vec<_> = CLASS_NAMES.iter().zip(probabilities).collect();
    classes[..=usize::from(predicted)].rotate_right(1);
    classes.sort_by(|a, b| b.1.total_cmp(a.1));
    let bar = |probability: f32| {
        let eighths = (probability * (8 * BAR) as f32).round() as usize;
        format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
    };
    let line = |(class, probability): &(&&str, &f32)| {
        let (bar, percent) = (bar(**probability), 100.0 * **probability);
        format!("  {class:10}  {bar:BAR$}  {percent:5.1} %\n")
    };
    let lines: String = classes[..TOP].iter().map(line).collect();
    format!("{name}\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_the_most_probable_classes_first_with_bars_of_proportional_length() {
        let chart = chart("a", 3, &[0.0, 0.0, 0.06, 0.5, 0.01, 0.25, 0.0, 0.17, 0.01, 0.0]);
        let lines: Vec<_> = chart.lines().collect();
        assert_eq!(lines.len(), 1 + TOP);
        assert_eq!(lines[0], "a");
        let bar = |line: &str| line.chars().filter(|c| ('▉'..='▏').contains(c) || *c == '█').count();
        assert_eq!(lines[1].split_whitespace().next(), Some("cat"));
        assert_eq!(bar(lines[1]), 25);
        assert!(lines[1].ends_with("   50.0 %"), "{}", lines[1]);
        assert_eq!(lines[2].split_whitespace().next(), Some("dog"));
        assert!(lines[2].contains("████▌ "), "{}", lines[2]);
        assert_eq!(bar(lines[2]), 13);
        // Of equally probable classes, the first.
        assert_eq!(lines[5].split_whitespace().next(), Some("deer"));
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn the_predicted_class_is_the_first_of_equally_probable_ones() {
        for (predicted, name) in CLASS_NAMES.iter().enumerate() {
            let chart = chart("a", predicted as u8, &[0.1; 10]);
            assert!(chart.lines().nth(1).unwrap().starts_with(&format!("  {name} ")), "{chart}");
        }
    }

    #[test]
    fn the_bar_of_a_probability_of_1_is_full() {
        let mut certain = [0.0; 10];
        certain[9] = 1.0;
        let chart = chart("a", 9, &certain);
        let first = chart.lines().nth(1).unwrap();
        assert_eq!(first, format!("  truck       {}  100.0 %", "█".repeat(BAR)));
    }

    #[test]
    fn control_characters_in_a_name_are_not_printed() {
        assert_eq!(printable("a\x1b[2Jb\n.png"), "a\\u{1b}[2Jb .png");
        assert_eq!(printable("räv.jpg"), "räv.jpg");
    }
}
