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

/// The element at the flat, row-major `index` of the array `name` as errors show it, such as `W[2, 77]`.
pub(crate) fn element_text(name: &str, mut index: usize, shape: &[usize]) -> String {
    let mut place = Vec::new();
    for &length in shape.iter().rev() {
        place.insert(0, (index % length).to_string());
        index /= length;
    }
    if place.is_empty() { name.into() } else { format!("{name}[{}]", place.join(", ")) }
}

/// A shape as errors show it, such as `(10, 3072)`.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("({})", shape.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_shown_with_the_index_that_numpy_has_for_it() {
        assert_eq!(element_text("x", 0, &[]), "x");
        assert_eq!(element_text("b", 3, &[10]), "b[3]");
        assert_eq!(element_text("W", 6221, &[10, 3072]), "W[2, 77]");
        assert_eq!(element_text("x", 23, &[2, 3, 4]), "x[1, 2, 3]");
    }

    #[test]
    fn dimensions_are_written_for_readers() {
        assert_eq!(Dims { features: 3072, classes: 10 }.to_string(), "3072 features, 10 classes");
    }

    #[test]
    fn the_number_of_elements_must_be_the_product_of_the_lengths() {
        for (found, expected) in [(6, &[2, 3][..]), (0, &[0, 7]), (1, &[]), (5, &[5])] {
            check_shape("x", found, expected).unwrap();
        }
        for (found, expected, text) in
            [(5, &[2, 3][..], "(2, 3)"), (7, &[2, 3], "(2, 3)"), (0, &[], "()"), (1, &[0], "(0)")]
        {
            let message = check_shape("x", found, expected).unwrap_err().to_string();
            assert_eq!(message, format!("x must have the shape {text}, but has {found} elements"));
        }
    }

    #[test]
    fn the_first_number_that_is_not_finite_is_named() {
        check_finite("x", &[0.0, f64::MAX, f64::MIN, 5e-324]).unwrap();
        check_finite::<f32>("x", &[]).unwrap();
        for (values, message) in [
            (&[f64::NAN][..], "x must be finite, but element 0 is NaN"),
            (&[1.0, f64::INFINITY, f64::NAN], "x must be finite, but element 1 is inf"),
            (&[1.0, 2.0, f64::NEG_INFINITY], "x must be finite, but element 2 is -inf"),
        ] {
            assert_eq!(check_finite("x", values).unwrap_err().to_string(), message);
        }
        assert!(check_finite("x", &[f32::MAX]).is_ok() && check_finite("x", &[f32::MAX * 2.0]).is_err());
    }
}
