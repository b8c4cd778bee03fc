//! The sizes of a network, and checks of shapes and of finite values.

use std::fmt;

use crate::error::{Error, Result};

/// The number of features d and classes k of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dims {
    /// d, the length of one example.
    pub features: usize,
    /// k, the number of classes.
    pub classes: usize,
}

impl fmt::Display for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} features, {} classes", self.features, self.classes)
    }
}

pub(crate) fn check_shape(what: &str, found: usize, expected: &[usize]) -> Result<()> {
    if found == expected.iter().product::<usize>() {
        return Ok(());
    }
    Err(Error::shape(what, shape_text(expected), format!("{found} elements")))
}

pub(crate) fn check_finite<T: Copy + Into<f64>>(what: &str, values: &[T]) -> Result<()> {
    match values.iter().position(|&v| !v.into().is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NonFinite { what: what.into(), index, found: values[index].into() }),
    }
}

/// A shape as errors show it, such as `(10, 3072)`.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("({})", shape.join(", "))
}
