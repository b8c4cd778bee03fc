//! Images as bytes, with their labels; where they come from.
//!
//! Images stay bytes for as long as they are stored: [`crate::preprocess`] turns a mini-batch into numbers when it is
//! read, which needs a quarter of the memory and of the memory traffic of storing `f32`.

pub mod cifar10;
pub mod fetch;
pub mod sample;
pub mod store;

use crate::error::{Error, Result};
use crate::network::Dims;

/// n labelled examples of d features each, one byte a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    dims: Dims,
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Dataset {
    /// Takes `pixels` (n·d, row-major) and `labels` (n).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `pixels` does not hold d bytes a label, [`Error::InvalidValue`] when a label is k or more.
    pub fn new(dims: Dims, pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        if pixels.len() != labels.len() * dims.features {
            return Err(Error::Shape {
                what: "pixels".into(),
                expected: format!("({}, {})", labels.len(), dims.features),
                found: format!("({})", pixels.len()),
            });
        }
        if let Some(&label) = labels.iter().find(|&&l| usize::from(l) >= dims.classes) {
            return Err(Error::InvalidValue {
                name: "label",
                expected: format!("0 to {}", dims.classes - 1),
                found: label.to_string(),
            });
        }
        Ok(Self {
            dims,
            pixels,
            labels,
        })
    }

    /// The number of features and classes.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// The number of examples, n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The d bytes of example `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * self.dims.features..(i + 1) * self.dims.features]
    }

    /// The class of each example, (n), each below k.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The examples of `self`, then those of `other`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when the two differ in features or classes.
    pub fn concat(mut self, other: &Dataset) -> Result<Self> {
        if self.dims != other.dims {
            return Err(Error::Shape {
                what: "data set".into(),
                expected: self.dims.to_string(),
                found: other.dims.to_string(),
            });
        }
        self.pixels.extend_from_slice(&other.pixels);
        self.labels.extend_from_slice(&other.labels);
        Ok(self)
    }
}

/// The three parts that the protocol needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// What the parameters and the normalisation are fitted on.
    pub train: Dataset,
    /// What is evaluated after each epoch.
    pub validation: Dataset,
    /// What is evaluated once, at the end.
    pub test: Dataset,
}
