//! The table of `predict --csv`: a row an image.

use crate::dataset::cifar10::CLASS_NAMES;
use crate::evaluate::classes::PerClass;
use crate::files::csv::row;

row! {
    /// A row: what a model takes an image for.
    #[derive(Clone, Debug, PartialEq)]
    pub struct PredictionRow {
        /// The image's file.
        pub image: String,
        /// The most probable class; of equals the first.
        pub class: String,
        /// Its probability.
        pub probability: f32,
        /// The probability of each class.
        pub probabilities: PerClass<f32>,
    }
}

/// The row of the image `name`, whose classes have these `probabilities`.
pub fn prediction_row(name: &str, probabilities: &[f32; CLASS_NAMES.len()]) -> PredictionRow {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    PredictionRow {
        image: name.into(),
        class: CLASS_NAMES[best].into(),
        probability: probabilities[best],
        probabilities: PerClass(*probabilities),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::csv::{Dialect, Row, to_csv};

    #[test]
    fn a_row_has_the_first_of_the_most_probable_classes_and_the_probability_of_each() {
        let mut probabilities = [0.0625; 10];
        (probabilities[3], probabilities[5]) = (0.25, 0.25);
        let table = String::from_utf8(to_csv(&[prediction_row("a, b.png", &probabilities)], Dialect::Comma)).unwrap();
        assert_eq!(
            table,
            "image,class,probability,airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck\n\
             \"a, b.png\",cat,0.25,0.0625,0.0625,0.0625,0.25,0.0625,0.25,0.0625,0.0625,0.0625,0.0625\n"
        );
        assert_eq!(PredictionRow::columns()[3..], CLASS_NAMES);
    }
}
