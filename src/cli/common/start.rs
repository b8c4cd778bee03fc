//! `--init`: where training starts, from a file.

use std::path::Path;

use anyhow::Context;
use onelayer::files::npz;
use onelayer::network::Parameters;
use onelayer::shape::Dims;
use onelayer::train::model::ModelFile;

use crate::cli::common::input;

/// What every zip archive, and so every `.npz`, begins with.
const ZIP_MAGIC: &[u8] = b"PK";

/// Reads the parameters of a model file of this program, or the arrays `W` and `b` of an `.npz`: told apart by their
/// first bytes.
pub fn read(path: &Path, dims: Dims) -> anyhow::Result<Parameters> {
    let bytes = input::read(path).with_context(|| format!("cannot read --init {}", path.display()))?;
    if bytes.starts_with(ZIP_MAGIC) {
        return Ok(npz::read_parameters(&bytes, path, dims)?);
    }
    let model = ModelFile::from_bytes(&bytes, path).context(
        "--init takes an .npz with W (10, 3072) and optionally b (10), or a model_*.safetensors of this program",
    )?;
    anyhow::ensure!(
        model.parameters.dims == dims,
        "--init {} must have {dims}, but has {}",
        path.display(),
        model.parameters.dims
    );
    Ok(model.parameters)
}
