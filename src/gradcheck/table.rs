//! The table `gradcheck.csv`: a row a comparison.

use crate::dataset::cifar10::{DIMS, PLANE, SIDE};
use crate::files::csv::row;
use crate::gradcheck::Check;
use crate::shape::Dims;

/// The colour planes, in the order in which a record has them.
const CHANNELS: [&str; 3] = ["red", "green", "blue"];

/// Where in a parameter an element lies. A field is `None` where it doesn't apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The class whose weight or bias it is.
    pub class: Option<usize>,
    /// The feature that a weight multiplies.
    pub feature: Option<usize>,
    /// The colour of the pixel that a weight of CIFAR-10 multiplies,
    pub channel: Option<&'static str>,
    /// its row from the top,
    pub row: Option<usize>,
    /// and its column from the left.
    pub column: Option<usize>,
}

impl Location {
    /// The location of element `index` of `quantity`: `weight`, `bias`, or a single number.
    pub fn new(quantity: &str, index: usize, dims: Dims) -> Self {
        match quantity {
            "weight" => {
                let feature = index % dims.features;
                let pixel = (dims == DIMS).then_some(feature);
                Self {
                    class: Some(index / dims.features),
                    feature: Some(feature),
                    channel: pixel.map(|p| CHANNELS[p / PLANE]),
                    row: pixel.map(|p| p % PLANE / SIDE),
                    column: pixel.map(|p| p % SIDE),
                }
            }
            "bias" => Self { class: Some(index), ..Self::default() },
            _ => Self::default(),
        }
    }
}

row! {
    /// A comparison, and its worst element.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GradcheckRow {
        /// What gradients were computed of.
        pub problem: String,
        /// The hand-derived backward pass.
        pub implementation: String,
        /// What it was held against.
        pub against: String,
        /// λ.
        pub lambda: f64,
        /// The part of the cost: `data`, `penalty` or `both`.
        pub terms: String,
        /// `weight`, `bias`, `loss` or `cost`.
        pub quantity: String,
        /// How many elements were compared.
        pub elements: usize,
        /// The largest |hand − other|.
        pub max_absolute_difference: Option<f64>,
        /// The largest |hand − other| / max(10⁻⁶, |hand| + |other|).
        pub max_relative_difference: Option<f64>,
        /// The class of the element with the largest absolute difference; likewise the fields that follow.
        pub class: Option<usize>,
        /// Its feature.
        pub feature: Option<usize>,
        /// Its colour channel.
        pub channel: Option<String>,
        /// Its row in the image.
        pub row: Option<usize>,
        /// Its column in the image.
        pub column: Option<usize>,
        /// Its hand-derived value.
        pub hand: Option<f64>,
        /// The value it was held against.
        pub other: Option<f64>,
        /// The largest absolute difference that passes.
        pub tolerance: f64,
        /// `PASS` or `FAIL`.
        pub verdict: String,
    }
}

impl From<&Check> for GradcheckRow {
    fn from(check: &Check) -> Self {
        let comparison = &check.comparison;
        let finite = |value: f64| value.is_finite().then_some(value);
        let location = comparison
            .worst
            .map_or(Location::default(), |worst| Location::new(check.quantity, worst.index, check.dims));
        Self {
            problem: check.problem.clone(),
            implementation: check.implementation.clone(),
            against: check.against.into(),
            lambda: check.lambda,
            terms: check.terms.name().into(),
            quantity: check.quantity.into(),
            elements: comparison.elements,
            max_absolute_difference: finite(comparison.max_absolute),
            max_relative_difference: finite(comparison.max_relative),
            class: location.class,
            feature: location.feature,
            channel: location.channel.map(Into::into),
            row: location.row,
            column: location.column,
            hand: comparison.worst.and_then(|w| finite(w.hand)),
            other: comparison.worst.and_then(|w| finite(w.other)),
            tolerance: comparison.tolerance,
            verdict: comparison.verdict().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_named_by_class_channel_row_and_column() {
        let index = 7 * 3072 + 2 * 1024 + 5 * 32 + 9;
        let location = Location::new("weight", index, DIMS);
        assert_eq!(
            location,
            Location {
                class: Some(7),
                feature: Some(2 * 1024 + 5 * 32 + 9),
                channel: Some("blue"),
                row: Some(5),
                column: Some(9),
            }
        );
    }

    #[test]
    fn a_bias_has_a_class_alone_and_a_loss_no_place_at_all() {
        let bias = Location::new("bias", 3, DIMS);
        assert_eq!((bias.class, bias.feature), (Some(3), None));
        assert_eq!(Location::new("loss", 0, DIMS), Location::default());
    }
}
