//! Where training starts.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use crate::network::Parameters;
use crate::shape::Dims;

/// The standard deviation of a starting weight.
const WEIGHT_STD: f64 = 0.01;

/// The report's start: weight ~ N(0, 0.01²), bias = 0.
pub fn random_start(dims: Dims, seed: u64) -> Parameters {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut parameters = Parameters::zeros(dims);
    for weight in &mut parameters.weight {
        *weight = (WEIGHT_STD * rng.sample::<f64, _>(StandardNormal)) as f32;
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::DIMS;

    #[test]
    fn the_weights_have_the_stated_mean_and_deviation_and_the_biases_are_0() {
        let start = random_start(DIMS, 42);
        let n = start.weight.len() as f64;
        let mean = start.weight.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
        let std = (start.squared_norm() / n - mean * mean).sqrt();
        // Five standard errors of 30,720 draws.
        assert!(mean.abs() < 5.0 * WEIGHT_STD / n.sqrt(), "{mean}");
        assert!((std / WEIGHT_STD - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{std}");
        assert!(start.bias.iter().all(|&b| b == 0.0));
    }

    #[test]
    fn a_seed_names_its_start() {
        assert_eq!(random_start(DIMS, 1), random_start(DIMS, 1));
        assert_ne!(random_start(DIMS, 1), random_start(DIMS, 2));
    }
}
