//! Model files, in the safetensors format: the parameters and all that is needed to use and to trace them.
//!
//! | tensor | shape | type |
//! |---|---|---|
//! | `weight` | (k, d) | f32 |
//! | `bias` | (k) | f32 |
//! | `mean` | (d) | f32, of the training split, in units of pixel / 255 |
//! | `std` | (d) | f32, likewise |
//!
//! A feature is normalised as (pixel / 255 − mean) / std before it is multiplied by the weights. The metadata are the
//! setting's name, the [`Hyperparameters`], the splits and the version of this program, each as text. A decay is one
//! entry, such as `20x0.5` or `plateau5x0.1`.

use std::path::Path;

use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::files::csv::from_fields;
use crate::files::npz::{self, Elements};
use crate::files::safetensors::{self, Reader, Tensor, Texts, Values};
use crate::hyperparameters::{Hyperparameters, Origin, Shuffle};
use crate::network::Parameters;
use crate::shape::{Dims, check_finite, check_shape};
use crate::train::Run;

/// A trained model with its normalisation and its provenance.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// `weight` (k,d) and `bias` (k).
    pub parameters: Parameters,
    /// (d), subtracted from each feature.
    pub mean: Vec<f32>,
    /// (d), by which each feature is divided; positive.
    pub std: Vec<f32>,
    /// The setting's name, as in file names.
    pub setting: String,
    /// The hyperparameters of the training.
    pub hyperparameters: Hyperparameters,
    /// The training, validation and test split, for example `data_batch_1.bin`.
    pub splits: [String; 3],
    /// The version of the program that trained it.
    pub version: String,
}

/// The names of [`ModelFile::splits`] in the metadata.
pub(super) const SPLITS: [&str; 3] = ["train_split", "validation_split", "test_split"];

impl ModelFile {
    /// The model at the end of `run`, which was trained with `hyperparameters` on images normalised by `normalizer`.
    /// `splits` are the training, validation and test split.
    pub fn of_run(run: &Run, hyperparameters: &Hyperparameters, normalizer: &Normalizer, splits: &[String; 3]) -> Self {
        Self {
            parameters: run.parameters.clone(),
            mean: normalizer.mean().to_vec(),
            std: normalizer.std().to_vec(),
            setting: run.setting.name(),
            hyperparameters: hyperparameters.clone(),
            splits: splits.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// The content of the file. Equal models give equal bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if a buffer does not have the length that the dimensions say, [`Error::NonFinite`] if an element
    /// is NaN or infinite, [`Error::InvalidValue`] if a `std` is not positive: a file that
    /// [`from_bytes`](Self::from_bytes) would refuse is not written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check("")?;
        let tensor =
            |(name, shape, values): (&str, _, _)| Tensor { name: name.into(), shape, values: Values::F32(values) };
        Ok(safetensors::to_bytes(&self.metadata(), &self.tensors().map(tensor)))
    }

    /// Reads a model; errors name `path` as its file. d and k are those of the file: the caller checks that they fit the
    /// data.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if `bytes` is not safetensors, a tensor or an entry of the metadata is missing, a tensor is not
    /// f32 or a `std` not positive; [`Error::Shape`] and [`Error::NonFinite`] as for [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let file = Reader::new(bytes, path)?;
        let (shape, weight) = file.f32("weight")?;
        let &[classes @ 1..=usize::MAX, features @ 1..=usize::MAX] = &shape[..] else {
            return Err(file.shape_error("weight", "(k, d)".into(), &shape));
        };
        let [train, validation, test] = SPLITS.map(|name| file.field(name));
        let model = Self {
            parameters: Parameters { dims: Dims { features, classes }, weight, bias: file.f32_of("bias", &[classes])? },
            mean: file.f32_of("mean", &[features])?,
            std: file.f32_of("std", &[features])?,
            setting: file.field("setting")?,
            hyperparameters: read_hyperparameters(&file)?,
            splits: [train?, validation?, test?],
            version: file.field("version")?,
        };
        model.check(&format!("{}: ", path.display())).map_err(|error| match error {
            Error::InvalidValue { .. } => file.format_error(error.to_string()),
            _ => error,
        })?;
        Ok(model)
    }

    /// The arrays for NumPy as an `.npz` file: `W` (k,d), `b` (k), `mean` (d) and `std` (d), all `float32`; training can
    /// start from it. Equal models give equal bytes; errors are those of [`to_bytes`](Self::to_bytes).
    pub fn to_npz(&self) -> Result<Vec<u8>> {
        self.check("")?;
        let [b, mean, std, w] = self.tensors();
        let arrays = [("W", w), ("b", b), ("mean", mean), ("std", std)];
        npz::write(&arrays.each_ref().map(|(name, (_, shape, values))| (*name, &shape[..], Elements::F32(values))))
    }

    /// The tensors with their names and shapes, in the order of the file.
    fn tensors(&self) -> [(&'static str, Vec<usize>, &[f32]); 4] {
        let Parameters { dims: Dims { features, classes }, weight, bias } = &self.parameters;
        [
            ("bias", vec![*classes], bias),
            ("mean", vec![*features], &self.mean),
            ("std", vec![*features], &self.std),
            ("weight", vec![*classes, *features], weight),
        ]
    }

    /// Checks the tensors; in errors, `prefix` precedes their names.
    fn check(&self, prefix: &str) -> Result<()> {
        for (name, shape, values) in self.tensors() {
            let name = format!("{prefix}{name}");
            check_shape(&name, values.len(), &shape)?;
            check_finite(&name, values)?;
        }
        match self.std.iter().find(|&&std| std <= 0.0) {
            None => Ok(()),
            Some(std) => Err(Error::invalid("std", "positive", std)),
        }
    }

    fn metadata(&self) -> Texts {
        let mut texts: Texts = self.hyperparameters.clone().with_decay(None).to_texts();
        if let Ok(Some(decay)) = self.hyperparameters.decay() {
            texts.insert("decay".into(), decay.to_string());
        }
        texts.extend(SPLITS.map(String::from).into_iter().zip(self.splits.clone()));
        texts.extend([("setting".into(), self.setting.clone()), ("version".into(), self.version.clone())]);
        texts
    }
}

/// The hyperparameters in the metadata. Of those that earlier versions did not write, the shuffling and the start are
/// unknown, and the others had their defaults.
fn read_hyperparameters(file: &Reader) -> Result<Hyperparameters> {
    const REQUIRED: [&str; 5] = ["lambda", "eta", "batch_size", "epochs", "seed"];
    for name in REQUIRED {
        file.field::<String>(name)?;
    }
    let defaults = Hyperparameters { shuffle: Shuffle::Unknown, start: Origin::Unknown, ..Default::default() };
    let defaults = defaults.with_decay(file.optional("decay")?).to_texts();
    let text = |name: &str| file.text(name).or(defaults.get(name).map(String::as_str)).unwrap_or_default().to_owned();
    from_fields(text).map_err(|reason| file.format_error(reason))
}

#[cfg(test)]
mod tests;
