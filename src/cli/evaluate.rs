//! `onelayer evaluate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use onelayer::dataset::Dataset;
use onelayer::dataset::cifar10::CLASS_NAMES;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::evaluate::table::{class_rows, confusion_csv};
use onelayer::evaluate::{Confusion, Outcomes, Scores, outcomes};
use onelayer::figures::{ClassifiedImage, IMAGES, confident_figure, confusion_figure};
use onelayer::files::csv::{Dialect, to_csv};
use onelayer::hyperparameters::{Hyperparameters, Setting, readable};
use onelayer::statistics::{count, percent};

use super::common::data::{self, Loaded};
use super::common::input::{self, Model};
use super::common::{out, table};

const AFTER_HELP: &str = "\
Examples:
  onelayer evaluate results/model_lambda0.1_eta0.001.safetensors
  onelayer evaluate model.safetensors --split validation --out /tmp/evaluation
  onelayer evaluate model.npz --pixels unit";

/// Arguments of `evaluate`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Model: a model_*.safetensors of this program, or an .npz with W (10,3072) or (3072,10) and b (10)
    model: PathBuf,
    #[command(flatten)]
    pixels: input::PixelsArgs,
    /// Images to evaluate the model on
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    #[command(flatten)]
    data: data::DataArgs,
    #[command(flatten)]
    out: out::OutArgs,
    /// Number of threads; the results do not depend on it [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print nothing
    #[arg(long)]
    quiet: bool,
}

/// A split by its name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Split {
    /// Images that training does not use
    Test,
    /// Images that are evaluated after each epoch
    Validation,
    /// Images that the parameters are fitted to
    Train,
}

impl Split {
    /// The name of the split, its images, and the names of the files that they come from.
    fn of(self, loaded: &Loaded) -> (&'static str, &Dataset, &str) {
        let [train, validation, test] = &loaded.names;
        match self {
            Self::Test => ("test", &loaded.splits.test, test),
            Self::Validation => ("validation", &loaded.splits.validation, validation),
            Self::Train => ("train", &loaded.splits.train, train),
        }
    }
}

/// A model evaluated on a split.
struct Evaluation<'a> {
    /// The model's name in file names.
    setting: &'a str,
    /// The model's name in figures.
    title: String,
    split: &'static str,
    images: &'a Dataset,
    scores: Scores,
    confusion: Confusion,
    outcomes: Outcomes,
}

/// Evaluates the model, writes tables and figures, and prints the scores.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::use_threads(args.threads)?;
    let model = input::read_model(&args.model, "MODEL")?;
    args.pixels.check(&[&model])?;
    let data = args.images(&model)?;
    let folder = args.out.open()?;
    let loaded = data.load(args.quiet)?;
    let model = model.for_images(&args.model, args.pixels, &loaded.splits)?;
    let setting = &model.setting;
    check_setting(setting, &args.model)?;
    let (split, images, source) = args.split.of(&loaded);
    let normalizer = Normalizer::new(model.mean, model.std)?;
    let outcomes = outcomes(&[(&model.parameters, model.hyperparameters.loss)], images, &normalizer)?.remove(0);
    let (scores, confusion) = (outcomes.scores(model.hyperparameters.lambda), outcomes.confusion());
    let title = title(&model.setting, &model.hyperparameters);
    let evaluation = Evaluation { setting, title, split, images, scores, confusion, outcomes };
    let files = evaluation.files(folder.dialect())?;
    folder.write(&files)?;
    if !args.quiet {
        let paths = files.iter().map(|(name, _)| folder.path().join(name));
        let paths: String = paths.map(|path| format!("{}\n", path.display())).collect();
        super::print((evaluation.text(source) + &paths).as_bytes());
        if args.split != Split::Train {
            warn_of_training_images(&model.splits[0], source);
        }
    }
    args.out.say_results(false, args.quiet);
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The images that are needed to evaluate `model`.
    fn images(&self, model: &Model) -> anyhow::Result<data::DataArgs> {
        let is_validation = self.split == Split::Validation;
        if is_validation {
            self.data.check_validation("--split validation")?;
        }
        // Images for validation can be held out of those for training.
        let held_out = is_validation && self.data.holds_out();
        let train = self.split == Split::Train || held_out || model.needs_training_images();
        let data = self.data.only(train, is_validation, "the model needs no images but those of --split")?;
        data.check()?;
        Ok(data)
    }
}

/// Checks the name of the setting, which becomes part of file names: the model may come from anywhere.
fn check_setting(setting: &str, model: &Path) -> anyhow::Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    anyhow::ensure!(
        !setting.is_empty() && setting.chars().all(is_plain),
        "{}: the name of the setting must consist of letters, digits and ._- only, but is {setting:?}",
        model.display()
    );
    Ok(())
}

impl Evaluation<'_> {
    /// The tables and figures by name. Those of the test split, which `train` writes too, are named by the setting only.
    fn files(&self, dialect: Dialect) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let Self { setting, title, split, .. } = self;
        let name = if *split == "test" { setting.to_string() } else { format!("{setting}_{split}") };
        let title = format!("{title}, {split} split");
        let [right, wrong] = [true, false].map(|right| self.most_confident(right));
        Ok(vec![
            (format!("confusion_{name}.csv"), confusion_csv(&self.confusion, dialect)),
            (format!("classes_{name}.csv"), to_csv(&class_rows(&self.confusion), dialect)),
            (format!("confusion_{name}.png"), confusion_figure(&title, &CLASS_NAMES, self.confusion.counts())?),
            (format!("confident_{name}.png"), confident_figure(&title, &right, &wrong)?),
        ])
    }

    /// The images with the most confident predictions that are `right`, or wrong.
    fn most_confident(&self, right: bool) -> Vec<ClassifiedImage<'_>> {
        let image = |index: usize| ClassifiedImage {
            pixels: self.images.image(index),
            class: CLASS_NAMES[usize::from(self.outcomes.labels[index])],
            predicted: CLASS_NAMES[usize::from(self.outcomes.predicted[index])],
            probability: self.outcomes.confidence(index),
        };
        self.outcomes.most_confident(right, IMAGES).into_iter().map(image).collect()
    }

    fn text(&self, source: &str) -> String {
        let Scores { loss, cost, accuracy } = self.scores;
        format!(
            "{}\n{} split, {} of {source}\nloss {loss:.4}, cost {cost:.4}, accuracy {} %\n\n{}\n",
            self.title,
            self.split,
            count(self.images.len(), "image"),
            percent(accuracy),
            table::classes(&class_rows(&self.confusion)),
        )
    }
}

/// The title of a model in figures: its λ and η or, if it was made elsewhere, its name.
fn title(name: &str, hyperparameters: &Hyperparameters) -> String {
    let setting = hyperparameters.setting().ok().filter(|setting| setting.name() == name);
    setting.map_or_else(|| readable(name), Setting::title)
}

/// Warns if the model was trained on images of the `evaluated` files: its scores are then better than on new images.
fn warn_of_training_images(trained: &str, evaluated: &str) {
    let trained: Vec<_> = trained.split(' ').collect();
    for file in evaluated.split(' ').filter(|file| trained.contains(file)) {
        say!("the model was trained on images of {file}; its scores on new images are worse");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onelayer::hyperparameters::Loss;

    #[test]
    fn figures_have_the_setting_of_a_model_and_the_name_of_one_from_elsewhere() {
        let hyperparameters = Hyperparameters { lambda: 0.1, eta: 0.001, loss: Loss::Bce, ..Default::default() };
        assert_eq!(title("lambda0.1_eta0.001_bce", &hyperparameters), "λ = 0.1, η = 0.001, sigmoids");
        assert_eq!(title("student", &hyperparameters), "student");
        assert_eq!(title("model_lambda0_eta0.001", &hyperparameters), "λ = 0, η = 0.001");
        assert_eq!(title("model_a", &hyperparameters), "model_a");
    }
}
