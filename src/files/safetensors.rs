//! Reads and writes safetensors files. Equal content gives equal bytes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorInfo};
use serde::Serialize;

use super::{but_only, kind};
use crate::error::{Error, Result};

/// True if `bytes` begin as a safetensors file does: with a length below 2³², and a header of JSON.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.get(4..9) == Some(b"\0\0\0\0{")
}

/// Metadata: texts by name.
pub(crate) type Texts = BTreeMap<String, String>;

/// A tensor to write.
pub(crate) struct Tensor<'a> {
    pub name: String,
    /// Its product is the number of values.
    pub shape: Vec<usize>,
    pub values: Values<'a>,
}

/// The values of a tensor, row-major.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    U8(&'a [u8]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl Values<'_> {
    fn dtype(self) -> Dtype {
        match self {
            Self::U8(_) => Dtype::U8,
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
        }
    }

    fn append_to(self, bytes: &mut Vec<u8>) {
        match self {
            Self::U8(values) => bytes.extend(values),
            Self::F32(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::F64(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        }
    }
}

/// The JSON at the start of the file.
///
/// `safetensors::serialize` writes the metadata in the order of a `HashMap`, which changes from run to run. The header
/// is therefore written here.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: &'a Texts,
    #[serde(flatten)]
    tensors: &'a Metadata,
}

/// The content of a file with these tensors, whose shapes fit their values.
pub(crate) fn to_bytes(metadata: &Texts, tensors: &[Tensor]) -> Vec<u8> {
    let mut data = Vec::new();
    let infos = tensors.iter().map(|tensor| {
        let start = data.len();
        tensor.values.append_to(&mut data);
        let data_offsets = (start, data.len());
        (tensor.name.clone(), TensorInfo { dtype: tensor.values.dtype(), shape: tensor.shape.clone(), data_offsets })
    });
    let infos = Metadata::new(None, infos.collect()).expect("the shapes fit the values");
    let header = Header { metadata, tensors: &infos };
    let mut header = serde_json::to_vec(&header).expect("text and numbers are valid JSON");
    // Padding with spaces aligns the first tensor to 8 bytes, as the format recommends.
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat()
}

/// A file being read.
pub(crate) struct Reader<'a> {
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
    path: PathBuf,
}

impl<'a> Reader<'a> {
    /// Reads the header of `bytes`. Errors name `path` as the file.
    pub fn new(bytes: &'a [u8], path: &Path) -> Result<Self> {
        let unreadable = |e: SafeTensorError| {
            let reason = match e {
                SafeTensorError::MetadataIncompleteBuffer => {
                    "the file is incomplete, or longer than its header says: copy it again".into()
                }
                _ if is_one(bytes) => "the header of the file is damaged: copy it again".into(),
                _ => format!("must be a safetensors file, but {}", kind::describe(bytes)),
            };
            Error::format(path, reason)
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        Ok(Self {
            tensors: SafeTensors::deserialize(bytes).map_err(unreadable)?,
            metadata: metadata.metadata().clone().unwrap_or_default(),
            path: path.to_owned(),
        })
    }

    /// The text `name` of the metadata, if there is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    /// The text `name` of the metadata as a value, if there is one.
    pub fn optional<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: &str| {
            text.parse().map_err(|e| self.format_error(format!("the metadata has {name:?} = {text:?}: {e}")))
        };
        self.text(name).map(parse).transpose()
    }

    /// The text `name` of the metadata as a value.
    pub fn field<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        self.optional(name)?.ok_or_else(|| {
            self.format_error(format!("the metadata lacks {name:?}: the file was not written by this program"))
        })
    }

    /// The shape and the values of the tensor `name`.
    pub fn f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        self.tensor(name, Dtype::F32, f32::from_le_bytes)
    }

    /// The values of the tensor `name`, which must have this shape.
    pub fn f32_of(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (found, values) = self.f32(name)?;
        if found != shape {
            return Err(self.shape_error(name, crate::shape::shape_text(shape), &found));
        }
        Ok(values)
    }

    /// [`Reader::f32`] for this type.
    pub fn f64(&self, name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
        self.tensor(name, Dtype::F64, f64::from_le_bytes)
    }

    /// [`Reader::f32`] for this type.
    pub fn u8(&self, name: &str) -> Result<(Vec<usize>, Vec<u8>)> {
        self.tensor(name, Dtype::U8, u8::from_le_bytes)
    }

    fn tensor<T, const BYTES: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        value: fn([u8; BYTES]) -> T,
    ) -> Result<(Vec<usize>, Vec<T>)> {
        let Ok(view) = self.tensors.tensor(name) else {
            let mut names: Vec<String> = self.tensors.names().into_iter().map(String::from).collect();
            names.sort_unstable();
            return Err(self.format_error(format!("there is no tensor {name:?}{}", but_only(&names))));
        };
        if view.dtype() != dtype {
            let found = view.dtype();
            let reason = format!("tensor {name:?} must be {dtype}, but is {found}");
            return Err(self.format_error(reason));
        }
        let values = view.data().as_chunks::<BYTES>().0;
        let values = values.iter().map(|&bytes| value(bytes)).collect();
        Ok((view.shape().to_vec(), values))
    }

    /// An error about the file's content.
    pub fn format_error(&self, reason: String) -> Error {
        Error::format(&self.path, reason)
    }

    /// An error about the shape of a tensor.
    pub fn shape_error(&self, name: &str, expected: String, found: &[usize]) -> Error {
        Error::shape(format!("{}: {name}", self.path.display()), expected, crate::shape::shape_text(found))
    }
}

#[cfg(test)]
mod tests;
