//! Reads the files that are given on the command line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use onelayer::dataset::cifar10::DIMS;
use onelayer::files::read;
use onelayer::network::Parameters;
use onelayer::train::model::ModelFile;
use onelayer::train::start_from_npz;

/// The first bytes of every zip archive, and so of every `.npz`.
const ZIP_MAGIC: &[u8] = b"PK";

/// Reads the text file `path`, the value of `argument`.
pub fn read_text(path: &Path, argument: &str) -> anyhow::Result<String> {
    let text = read(path).map_err(anyhow::Error::from).and_then(|bytes| Ok(String::from_utf8(bytes)?));
    text.with_context(|| format!("cannot read {argument} {}", path.display()))
}

/// Reads the CIFAR-10 model in the file `path`, the value of `argument`.
pub fn read_model(path: &Path, argument: &str) -> anyhow::Result<ModelFile> {
    let bytes = read(path).with_context(|| format!("cannot read {argument} {}", path.display()))?;
    let hint = || format!("{argument} must be a model_*.safetensors that `train` wrote");
    parse_model(&bytes, path, argument).with_context(hint)
}

/// Reads the parameters in the file `path`, the value of `--init`: a model, or an `.npz` with the arrays `W` and `b`.
pub fn read_start(path: &Path) -> anyhow::Result<Parameters> {
    let bytes = read(path).with_context(|| format!("cannot read --init {}", path.display()))?;
    if bytes.starts_with(ZIP_MAGIC) {
        return Ok(start_from_npz(&bytes, path, DIMS)?);
    }
    let hint = "--init takes an .npz with W (10, 3072) and optionally b (10), or a model_*.safetensors of this program";
    Ok(parse_model(&bytes, path, "--init").context(hint)?.parameters)
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

fn parse_model(bytes: &[u8], path: &Path, argument: &str) -> anyhow::Result<ModelFile> {
    let model = ModelFile::from_bytes(bytes, path)?;
    let found = model.parameters.dims;
    ensure!(found == DIMS, "{argument} {} must have {DIMS}, but has {found}", path.display());
    Ok(model)
}
