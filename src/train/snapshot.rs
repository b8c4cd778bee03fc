//! Weights as pictures: each class's row stretched to bytes.

use crate::network::Parameters;

/// The weights (k,d) as bytes (k·d), each row stretched on its own.
pub fn snapshot(parameters: &Parameters) -> Vec<u8> {
    let rows = parameters.weight.chunks_exact(parameters.dims.features);
    rows.flat_map(stretch).collect()
}

/// A row of weights as bytes: its smallest 0, its largest 255. A row of equal weights is mid-grey, and so is a weight
/// that is not finite.
fn stretch(row: &[f32]) -> Vec<u8> {
    let finite = || row.iter().copied().filter(|w| w.is_finite());
    let low = f64::from(finite().fold(f32::INFINITY, f32::min));
    let high = f64::from(finite().fold(f32::NEG_INFINITY, f32::max));
    let byte = |&w: &f32| {
        if w.is_finite() && high > low { ((f64::from(w) - low) / (high - low) * 255.0).round() as u8 } else { 128 }
    };
    row.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Dims;

    #[test]
    fn each_row_is_stretched_on_its_own() {
        let dims = Dims { features: 3, classes: 4 };
        let weight = vec![-1.0, 0.0, 1.0, 5.0, 5.5, 5.0, 0.0, -0.001, 0.0, 0.1, 0.1, 0.1];
        let parameters = Parameters::new(dims, weight, vec![0.0; 4]).unwrap();
        assert_eq!(snapshot(&parameters), [0, 128, 255, 0, 255, 0, 255, 0, 255, 128, 128, 128]);
    }

    #[test]
    fn weights_that_are_not_finite_are_grey() {
        assert_eq!(stretch(&[f32::NAN, 0.0, 1.0, f32::INFINITY]), [128, 0, 255, 128]);
        assert_eq!(stretch(&[f32::NAN]), [128]);
        assert_eq!(stretch(&[f32::MIN, 0.0, f32::MAX]), [0, 128, 255]);
    }
}
