//! Images as bytes with their labels, and their files.
//!
//! Images are stored as bytes: the [`normalizer`] turns a mini-batch into numbers when it is needed, which takes a
//! quarter of the memory and of the memory traffic of storing `f32`.

pub mod cifar10;
#[cfg(feature = "cli")]
pub mod fetch;
pub mod normalizer;
mod pickle;
#[cfg(feature = "cli")]
pub mod picture;
pub mod sample;
pub mod store;

use std::io::Read;

use crate::error::{Error, Result};
use crate::shape::{Dims, check_shape};

/// n labelled examples of d features each, one byte per feature.
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
    /// [`Error::Shape`] if `pixels` does not hold d bytes per label, [`Error::InvalidValue`] if a label is k or more.
    pub fn new(dims: Dims, pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        check_shape("pixels", pixels.len(), &[labels.len(), dims.features])?;
        if let Some(&label) = labels.iter().find(|&&l| usize::from(l) >= dims.classes) {
            return Err(Error::invalid("label", format!("0 to {}", dims.classes - 1), label));
        }
        Ok(Self { dims, pixels, labels })
    }

    /// The number of features and classes.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// The number of examples, n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True if there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The d bytes of example `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * self.dims.features..(i + 1) * self.dims.features]
    }

    /// The same images with other `labels`, (n).
    ///
    /// # Errors
    ///
    /// Those of [`Dataset::new`].
    pub fn with_labels(&self, labels: Vec<u8>) -> Result<Self> {
        Self::new(self.dims, self.pixels.clone(), labels)
    }

    /// The class of each example, (n), each below k.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Splits off the last `size` / k examples of each class; returns the other examples and these, both in the order
    /// of `self`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if `size` is not a multiple of k, or no example of a class would be left.
    pub fn hold_out(&self, size: usize) -> Result<(Dataset, Dataset)> {
        let mut left = vec![0; self.dims.classes];
        for &label in &self.labels {
            left[usize::from(label)] += 1;
        }
        let rarest = left.iter().min().copied().unwrap_or(0);
        let per_class = size / self.dims.classes;
        if !size.is_multiple_of(self.dims.classes) || (size > 0 && per_class >= rarest) {
            return Err(Error::invalid(
                "validation-size",
                format!(
                    "a multiple of {}, the number of classes, and at most {}, to leave an image of each for training",
                    self.dims.classes,
                    rarest.saturating_sub(1) * self.dims.classes
                ),
                size,
            ));
        }
        let mut parts = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for (i, &label) in self.labels.iter().enumerate() {
            let left = &mut left[usize::from(label)];
            let (pixels, labels) = &mut parts[usize::from(*left <= per_class)];
            *left -= 1;
            pixels.extend_from_slice(self.image(i));
            labels.push(label);
        }
        let [train, held_out] = parts.map(|(pixels, labels)| Self { dims: self.dims, pixels, labels });
        Ok((train, held_out))
    }

    /// The SHA-256 of the pixels, then the labels, in lower-case hexadecimal digits.
    pub fn sha256(&self) -> String {
        let bytes = self.pixels.chain(&self.labels[..]);
        store::sha256(bytes).expect("memory can be read")
    }
}

/// The three splits of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// For fitting the parameters and the normalisation.
    pub train: Dataset,
    /// Evaluated after each epoch; may be empty.
    pub validation: Dataset,
    /// Evaluated once, at the end.
    pub test: Dataset,
}

#[cfg(test)]
pub(crate) mod tests;
