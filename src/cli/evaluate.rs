//! `onelayer evaluate`.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use onelayer::dataset::Dataset;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::evaluate::classes::class_rows;
use onelayer::evaluate::confusion::confusion_csv;
use onelayer::evaluate::{Outcomes, Scores, outcomes};
use onelayer::figures::{IMAGES, confident_figure, confusion_figure};
use onelayer::files::csv::{Dialect, to_csv};

use super::common::{data, input, out, table};

const EXAMPLES: &str = "\
Examples:
  onelayer evaluate results/model_lambda0.1_eta0.001.safetensors
  onelayer evaluate model.safetensors --split validation --out /tmp/evaluation";

/// What `evaluate` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model, a file that `train` wrote
    model: PathBuf,
    /// Images to evaluate it on
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    #[command(flatten)]
    data: data::DataArgs,
    #[command(flatten)]
    out: out::OutArgs,
    /// Threads; the results don't depend on it [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print nothing
    #[arg(long)]
    quiet: bool,
}

/// A split by its name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Split {
    /// What no training has seen
    Test,
    /// What is evaluated after each epoch
    Validation,
    /// What the parameters were fitted on
    Train,
}

impl Split {
    fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Validation => "validation",
            Self::Train => "train",
        }
    }
}

/// A model's predictions on a split.
struct Evaluation<'a> {
    /// What the model is called in file names.
    setting: &'a str,
    split: Split,
    images: &'a Dataset,
    lambda: f64,
    outcomes: Outcomes,
}

/// Evaluates, writes the tables and figures, prints the scores.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::use_threads(args.threads)?;
    let model = input::read_model(&args.model, "MODEL")?;
    let setting = &model.provenance.setting;
    // It becomes part of file names, and the model may come from anywhere.
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    anyhow::ensure!(
        !setting.is_empty() && setting.chars().all(plain),
        "{} must name its setting by letters, digits and ._- alone, but has {setting:?}",
        args.model.display()
    );
    let folder = args.out.open()?;
    let loaded = args.data.load(args.quiet)?;
    let [train, validation, test] = &loaded.names;
    let (images, files) = match args.split {
        Split::Test => (&loaded.splits.test, test),
        Split::Validation => (&loaded.splits.validation, validation),
        Split::Train => (&loaded.splits.train, train),
    };
    let normalizer = Normalizer::new(model.mean, model.std)?;
    let evaluation = Evaluation {
        setting,
        split: args.split,
        images,
        lambda: model.provenance.lambda,
        outcomes: outcomes(&[(&model.parameters, model.provenance.loss)], images, &normalizer)?.remove(0),
    };
    let files_written = evaluation.files(folder.dialect())?;
    folder.write(&files_written)?;
    if !args.quiet {
        let mut text = evaluation.text(files);
        for (name, _) in &files_written {
            text += &format!("{}\n", folder.path().join(name).display());
        }
        // Nobody to read it is no failure: the files are there.
        let _ = stdout().write_all(text.as_bytes());
        if args.split != Split::Train {
            warn_of_training_images(&model.provenance.train_split, files);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Evaluation<'_> {
    /// The tables and figures by name. Those of the test split, which `train` writes too, have the setting's name alone.
    fn files(&self, dialect: Dialect) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let (setting, split) = (self.setting, self.split.name());
        let name = match self.split {
            Split::Test => setting.to_owned(),
            _ => format!("{setting}_{split}"),
        };
        let title = format!("{setting}, {split} split");
        let confusion = self.outcomes.confusion();
        let confident = |right| self.outcomes.most_confident(right, IMAGES);
        Ok(vec![
            (format!("confusion_{name}.csv"), confusion_csv(&confusion, dialect)),
            (format!("classes_{name}.csv"), to_csv(&class_rows(&confusion), dialect)),
            (format!("confusion_{name}.png"), confusion_figure(&title, &confusion)?),
            (
                format!("confident_{name}.png"),
                confident_figure(&title, self.images, &confident(true), &confident(false))?,
            ),
        ])
    }

    fn text(&self, files: &str) -> String {
        let Scores { loss, cost, accuracy } = self.outcomes.scores(self.lambda);
        format!(
            "{}\n{} split, {} images of {files}\nloss {loss:.4}, cost {cost:.4}, accuracy {:.2} %\n\n{}\n",
            self.setting,
            self.split.name(),
            self.images.len(),
            100.0 * accuracy,
            table::classes(&class_rows(&self.outcomes.confusion())),
        )
    }
}

/// Says so if the model was fitted on images of the `evaluated` files, which then say little of others.
fn warn_of_training_images(fitted: &str, evaluated: &str) {
    let fitted: Vec<_> = fitted.split(' ').collect();
    for file in evaluated.split(' ').filter(|file| fitted.contains(file)) {
        say!("the model was trained on images of {file}: on others it does worse");
    }
}
