//! The examples that the passes read: labelled images, which a normalizer turns into features, or features, which are used as they are.

use std::ops::Range;

use pulp::Arch;

use super::kernels::{Column, IMAGE_WIDTH, Image, LANES, Lanes, Normalise};
use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::shape::{Dims, check_shape};

/// Labelled examples, from a data set or from memory.
#[derive(Clone, Copy, Debug)]
pub enum Examples<'a> {
    /// All images of a data set, normalised as they are read.
    All(&'a Dataset, &'a Normalizer),
    /// The images with these indices, in this order.
    Chosen(&'a Dataset, &'a Normalizer, &'a [usize]),
    /// As [`Chosen`](Self::Chosen), but an image is mirrored left to right if its element of the last array is true;
    /// the array has one element per image of the data set.
    Flipped(&'a Dataset, &'a Normalizer, &'a [usize], &'a [bool]),
    /// Features, (n,d) row-major, which are used as they are, and their labels, (n).
    Rows(&'a [f32], &'a [u8]),
}

impl<'a> Examples<'a> {
    /// Number of examples, n.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::All(dataset, _) => dataset.len(),
            Self::Chosen(_, _, indices) | Self::Flipped(_, _, indices, _) => indices.len(),
            Self::Rows(_, labels) => labels.len(),
        }
    }

    /// The class of example i.
    pub(super) fn label(&self, i: usize) -> u8 {
        match self {
            Self::All(dataset, _) => dataset.labels()[i],
            Self::Chosen(dataset, _, indices) | Self::Flipped(dataset, _, indices, _) => dataset.labels()[indices[i]],
            Self::Rows(_, labels) => labels[i],
        }
    }

    /// The pixels of example i; empty for [`Rows`](Self::Rows).
    pub(super) fn image(&self, i: usize) -> Image<'a> {
        let (pixels, flip) = match self {
            Self::All(dataset, _) => (dataset.image(i), false),
            Self::Chosen(dataset, _, indices) => (dataset.image(indices[i]), false),
            Self::Flipped(dataset, _, indices, flips) => (dataset.image(indices[i]), flips[indices[i]]),
            Self::Rows(..) => return Image::default(),
        };
        Image { pixels, flip }
    }

    /// Writes the features of the examples in `range`, fewer than N, to `x`, (groups): those from group `first`. `images`
    /// are the pixels of the examples.
    pub(super) fn features<const N: usize>(
        &self,
        arch: Arch,
        range: Range<usize>,
        images: &[Image],
        first: usize,
        x: &mut [Column<N>],
    ) {
        match self {
            Self::All(_, normalizer) | Self::Chosen(_, normalizer, _) | Self::Flipped(_, normalizer, ..) => {
                let Normalizer { scale, offset, .. } = normalizer;
                arch.dispatch(Normalise { images, scale, offset, first, x });
            }
            Self::Rows(rows, labels) => {
                let d = rows.len() / labels.len();
                for (e, row) in rows[range.start * d..range.end * d].chunks_exact(d).enumerate() {
                    let mut groups = row[first * LANES..].chunks(LANES);
                    for x in x.iter_mut() {
                        x[e] = Lanes::ZERO;
                        let group = groups.next().unwrap_or_default();
                        x[e].0[..group.len()].copy_from_slice(group);
                    }
                }
            }
        }
    }

    /// Checks that the examples fit networks of the shape `dims`.
    pub(crate) fn check(&self, dims: Dims) -> Result<()> {
        if let Self::Flipped(dataset, _, _, flips) = self {
            check_shape("flips", flips.len(), &[dataset.len()])?;
            if !dataset.dims().features.is_multiple_of(IMAGE_WIDTH) {
                return Err(Error::shape("mirrored image", format!("(rows of {IMAGE_WIDTH} pixels)"), dataset.dims()));
            }
        }
        match self {
            Self::All(dataset, normalizer)
            | Self::Chosen(dataset, normalizer, _)
            | Self::Flipped(dataset, normalizer, ..) => {
                check_shape("mean", normalizer.scale.len(), &[dims.features])?;
                if dataset.dims() != dims {
                    return Err(Error::shape("data set", dims, dataset.dims()));
                }
            }
            Self::Rows(x, labels) => {
                check_shape("x", x.len(), &[labels.len(), dims.features])?;
                if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= dims.classes) {
                    return Err(Error::invalid("label", format!("0 to {}", dims.classes - 1), label));
                }
            }
        }
        Ok(())
    }
}
