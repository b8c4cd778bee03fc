//! Reads the files that are given on the command line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use clap::ValueEnum;
use onelayer::dataset::cifar10::DIMS;
use onelayer::dataset::{Dataset, Splits};
use onelayer::files::{kind, read, safetensors, zip};
use onelayer::hyperparameters::{Hyperparameters, Loss, Origin, Shuffle};
use onelayer::network::Parameters;
use onelayer::train::config::{Config, Images};
use onelayer::train::elsewhere::{Elsewhere, Pixels, accuracy_of, shows_pixels, suspicion};
use onelayer::train::model::ModelFile;
use onelayer::train::start_from_npz;

use super::data::DataArgs;
use super::rules;

/// A model of this program, in messages.
const OWN: &str = "a model_*.safetensors that `train` wrote";
/// A model from elsewhere.
const NPZ: &str = "an .npz with W (10, 3072) or (3072, 10) and optionally b (10)";

/// Reads the text file `path`, the value of `argument`.
pub fn read_text(path: &Path, argument: &str) -> anyhow::Result<String> {
    let bytes = read(path).with_context(|| format!("cannot read {argument} {}", path.display()))?;
    let text = String::from_utf8(bytes);
    text.map_err(|e| {
        let found = kind::describe(e.as_bytes());
        anyhow!("{argument} {} must be a text file in UTF-8, but {found}", path.display())
    })
}

/// Says what of the configuration file `path` is not used: nothing is in it, or its batches are of another data set than that
/// of the arguments `data`.
pub fn advise_about_config(path: &Path, config: &Config, data: &DataArgs) {
    let Config { keys, images, .. } = config;
    if keys.is_empty() && *images == Images::default() {
        say!("note: {} sets nothing, so every value is the default", path.display());
    } else if data.clone().or(images).drops_batches_of(images) {
        say!(
            "note: the batches in {} are of CIFAR-10: the sample has splits of its own, which are used",
            path.display()
        );
    }
}

/// A model file.
pub enum Model {
    /// Written by `train` or `search`.
    Own(ModelFile),
    /// Written elsewhere.
    Elsewhere(Elsewhere),
}

/// The argument for the pixels that the model of an .npz expects.
#[derive(Clone, Copy, clap::Args)]
pub struct PixelsArgs {
    /// Pixels that W of an .npz expects: normalised by the training split, divided by 255, or as they are [default: those with
    /// the lowest loss on the training images]
    #[arg(long, value_enum, value_name = "PIXELS")]
    pixels: Option<PixelsName>,
}

/// The name of pixels.
#[derive(Clone, Copy, ValueEnum)]
enum PixelsName {
    /// Minus the mean, divided by the standard deviation of the training split
    Normalised,
    /// From 0 to 1
    Unit,
    /// From 0 to 255
    Bytes,
}

/// Reads the CIFAR-10 model of this program in the file `path`, the value of `argument`.
pub fn read_own_model(path: &Path, argument: &str) -> anyhow::Result<ModelFile> {
    let bytes = read(path).with_context(|| format!("cannot read {argument} {}", path.display()))?;
    let model = parse_model(&bytes, path, argument, OWN);
    if bytes.starts_with(zip::MAGIC) {
        return model.map_err(|e| anyhow!("{e:#}; `evaluate` and `compare` take such a file"));
    }
    model
}

/// Reads the CIFAR-10 model in the file `path`, the value of `argument`: of this program, or an .npz with W and b.
pub fn read_model(path: &Path, argument: &str) -> anyhow::Result<Model> {
    let bytes = read(path).with_context(|| format!("cannot read {argument} {}", path.display()))?;
    if bytes.starts_with(zip::MAGIC) {
        return Ok(Model::Elsewhere(Elsewhere::from_npz(&bytes, path, DIMS)?));
    }
    Ok(Model::Own(parse_model(&bytes, path, argument, &format!("{OWN}, or {NPZ}"))?))
}

impl Model {
    /// True for a model from elsewhere, whose normalisation is fitted to the training images or recognised with their help.
    pub fn needs_training_images(&self) -> bool {
        matches!(self, Self::Elsewhere(_))
    }

    /// The parameters, with the name and the loss that they have.
    pub fn point(self, path: &Path) -> (String, Loss, Parameters) {
        match self {
            Self::Own(model) => (model.setting, model.hyperparameters.loss, model.parameters),
            Self::Elsewhere(model) => (name_of(path), Loss::default(), model.parameters),
        }
    }

    /// The model in `path` with the normalisation that it expects. For a model from elsewhere it is recognised with the help of
    /// `splits`, and said, unless an argument gives it. Says too if such a model looks trained on the test images.
    pub fn for_images(self, path: &Path, pixels: PixelsArgs, splits: &Splits) -> anyhow::Result<ModelFile> {
        let Elsewhere { parameters, normalizer, lambda } = match self {
            Self::Own(model) => return Ok(model),
            Self::Elsewhere(model) => model,
        };
        let shown = path.display();
        let normalizer = match (pixels.get(), normalizer) {
            (Some(pixels), _) => pixels.normalizer(&splits.train)?,
            (None, Some(normalizer)) => normalizer,
            (None, None) => {
                let (pixels, losses) = Pixels::recognised(&parameters, &splits.train)?;
                let [normalised, unit, bytes] = losses.map(|loss| format!("{loss:.3}"));
                let found = format!(
                    "its loss on the training images is {normalised} if they are normalised, {unit} if they are divided by 255, \
                     {bytes} if they are not"
                );
                ensure!(
                    shows_pixels(&losses, DIMS.classes),
                    "{shown} does not show which pixels it expects: {found}, which is about that of guessing ({:.3}) or above; \
                     say it with --pixels",
                    (DIMS.classes as f64).ln()
                );
                say!("{shown} expects {pixels}: {found}");
                pixels.normalizer(&splits.train)?
            }
        };
        let accuracy =
            |split: &Dataset| accuracy_of(&parameters, split, &normalizer).map(|accuracy| (accuracy, split.len()));
        if let Some(suspicion) = suspicion(accuracy(&splits.test)?, Some(accuracy(&splits.train)?)) {
            say!("{shown}: {suspicion}");
        }
        let unknown =
            Hyperparameters { lambda, shuffle: Shuffle::Unknown, start: Origin::Unknown, ..Default::default() };
        Ok(ModelFile {
            parameters,
            mean: normalizer.mean().to_vec(),
            std: normalizer.std().to_vec(),
            setting: name_of(path),
            hyperparameters: unknown,
            splits: ["unknown"; 3].map(String::from),
            version: "unknown".into(),
        })
    }
}

/// The name of a model from elsewhere, which becomes part of file names: that of its file.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    stem.chars().map(plain).collect()
}

impl PixelsArgs {
    /// Refuses the argument if none of `models` is from elsewhere.
    pub fn check(self, models: &[&Model]) -> anyhow::Result<()> {
        let is_unused = self.pixels.is_some() && models.iter().all(|model| matches!(model, Model::Own(_)));
        rules::check_unused(&[("--pixels", is_unused)], "a model_*.safetensors contains its normalisation")
    }

    fn get(self) -> Option<Pixels> {
        self.pixels.map(|pixels| match pixels {
            PixelsName::Normalised => Pixels::Normalised,
            PixelsName::Unit => Pixels::Unit,
            PixelsName::Bytes => Pixels::Bytes,
        })
    }
}

/// Reads the parameters in the file `path`, the value of `--init`: a model, or an `.npz` with the arrays `W` and `b`.
pub fn read_start(path: &Path) -> anyhow::Result<Parameters> {
    let bytes = read(path).with_context(|| format!("cannot read --init {}", path.display()))?;
    if bytes.starts_with(zip::MAGIC) {
        return Ok(start_from_npz(&bytes, path, DIMS)?);
    }
    Ok(parse_model(&bytes, path, "--init", &format!("{OWN}, or {NPZ}"))?.parameters)
}

/// Checks that no two of `paths`, values of `argument`, name the same file.
pub fn check_listed_once(paths: &[PathBuf], argument: &str) -> anyhow::Result<()> {
    let mut files = BTreeSet::new();
    let twice = paths.iter().find(|path| !files.insert(fs::canonicalize(path).unwrap_or(path.to_path_buf())));
    match twice {
        Some(path) => bail!("{argument} {} is listed twice; list it once", path.display()),
        None => Ok(()),
    }
}

/// The files in `folder`, the value of `argument`, that are `wanted`, in the order of their names.
pub fn files_in(folder: &Path, argument: &str, wanted: impl Fn(&Path) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut files: Vec<PathBuf> =
        entries.with_context(|| format!("cannot read the folder {} of {argument}", folder.display()))?;
    files.retain(|file| wanted(file));
    files.sort();
    Ok(files)
}

/// Reads the model `bytes`, which must be what is `expected`.
fn parse_model(bytes: &[u8], path: &Path, argument: &str, expected: &str) -> anyhow::Result<ModelFile> {
    let shown = path.display();
    ensure!(safetensors::is_one(bytes), "{argument} {shown} must be {expected}, but {}", kind::describe(bytes));
    let model = ModelFile::from_bytes(bytes, path).map_err(|e| anyhow!("{argument} {e}; it must be {expected}"))?;
    let found = model.parameters.dims;
    ensure!(found == DIMS, "{argument} {} must have {DIMS}, but has {found}", path.display());
    Ok(model)
}
