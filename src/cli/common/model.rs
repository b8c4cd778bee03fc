//! Models of this program that a command is given.

use std::path::Path;

use anyhow::Context;
use onelayer::dataset::cifar10::DIMS;
use onelayer::train::model::ModelFile;

use crate::cli::common::input;

/// Reads the model of CIFAR-10 in the file `path`, which was given as `argument`.
pub fn read(path: &Path, argument: &str) -> anyhow::Result<ModelFile> {
    let bytes = input::read(path).with_context(|| format!("cannot read {argument} {}", path.display()))?;
    let model = ModelFile::from_bytes(&bytes, path)
        .with_context(|| format!("{argument} must be a model_*.safetensors that `train` wrote"))?;
    anyhow::ensure!(
        model.parameters.dims == DIMS,
        "{argument} {} must have {DIMS}, but has {}",
        path.display(),
        model.parameters.dims
    );
    Ok(model)
}
