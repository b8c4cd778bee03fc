//! Turns bytes into numbers: each feature minus its mean, divided by its standard deviation.
//!
//! With p = pixel / 255, the normalised feature is x = (p − mean) / std. Both statistics come **from the training split
//! only**; the standard deviation is the population's (divisor n). A feature that never varies has std 1, so that x is
//! 0.

use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::shape::{check_finite, check_shape};

/// The largest pixel value; it becomes 1.
const WHITE: f64 = 255.0;

/// The per-feature statistics of a training split, and the resulting affine map.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalizer {
    mean: Vec<f32>,
    std: Vec<f32>,
    /// 1 / (255 · std), (d): the factor of a pixel.
    pub(crate) scale: Vec<f32>,
    /// −mean / std, (d): added to the product.
    pub(crate) offset: Vec<f32>,
}

impl Normalizer {
    /// Mean and standard deviation of each feature of `train`.
    ///
    /// The sums are sums of integers, so they are exact and do not depend on the number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if `train` is empty.
    pub fn fit(train: &Dataset) -> Result<Self> {
        if train.is_empty() {
            return Err(Error::shape("training split", "(1 or more examples)", "(0)"));
        }
        let features = train.dims().features;
        let zero = || vec![(0_u64, 0_u64); features];
        let sums = (0..train.len())
            .into_par_iter()
            .with_min_len(256)
            .fold(zero, |mut sums, i| {
                for ((sum, squares), &pixel) in sums.iter_mut().zip(train.image(i)) {
                    *sum += u64::from(pixel);
                    *squares += u64::from(pixel).pow(2);
                }
                sums
            })
            .reduce(zero, |mut a, b| {
                for (a, b) in a.iter_mut().zip(&b) {
                    *a = (a.0 + b.0, a.1 + b.1);
                }
                a
            });
        let n = train.len() as u64;
        let mean = |&(sum, _): &(u64, u64)| (sum as f64 / n as f64 / WHITE) as f32;
        // The variance is E[p²] − E[p]²; with the common denominator n², the difference is exact.
        let std = |&(sum, squares): &(u64, u64)| match n * squares - sum * sum {
            0 => 1.0,
            scaled => ((scaled as f64).sqrt() / n as f64 / WHITE) as f32,
        };
        Self::new(sums.iter().map(mean).collect(), sums.iter().map(std).collect())
    }

    /// The map for a known `mean` and `std` (d each) of pixels divided by 255.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the two differ in length, [`Error::NonFinite`] for an element that is not finite or has no
    /// finite reciprocal, [`Error::InvalidValue`] for a std that is not above 0.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Result<Self> {
        check_shape("std", std.len(), &[mean.len()])?;
        check_finite("mean", &mean)?;
        check_finite("std", &std)?;
        if let Some(&s) = std.iter().find(|&&s| s <= 0.0) {
            return Err(Error::invalid("std", "above 0", s));
        }
        let scale = std.iter().map(|&s| (1.0 / (WHITE * f64::from(s))) as f32).collect::<Vec<_>>();
        let offset = mean.iter().zip(&std).map(|(&m, &s)| (-f64::from(m) / f64::from(s)) as f32).collect::<Vec<_>>();
        // The reciprocal of a tiny std is not a finite `f32`.
        check_finite("1 / (255 std)", &scale)?;
        check_finite("mean / std", &offset)?;
        Ok(Self { mean, std, scale, offset })
    }

    /// The mean of each feature, (d), of pixels divided by 255.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The population standard deviation of each feature, (d), of pixels divided by 255.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// The normalised features of the examples `indices` of `dataset`, (n,d), row-major.
    pub fn apply(&self, dataset: &Dataset, indices: impl IntoIterator<Item = usize>) -> Vec<f32> {
        let mut x = Vec::new();
        for i in indices {
            let row = dataset.image(i).iter().zip(&self.scale).zip(&self.offset);
            x.extend(row.map(|((&pixel, &scale), &offset)| f32::from(pixel).mul_add(scale, offset)));
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Dims;

    fn dataset(pixels: Vec<u8>, features: usize) -> Dataset {
        let labels = vec![0; pixels.len() / features];
        let dims = Dims { features, classes: 1 };
        Dataset::new(dims, pixels, labels).unwrap()
    }

    #[test]
    fn the_statistics_are_those_of_the_population() {
        // numpy: x = np.array([[0, 10, 7], [51, 20, 7], [255, 60, 7]]) / 255; x.mean(0), x.std(0)
        let train = dataset(vec![0, 10, 7, 51, 20, 7, 255, 60, 7], 3);
        let normalizer = Normalizer::fit(&train).unwrap();
        let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-7);
        assert!(close(normalizer.mean(), &[0.4, 0.117_647_06, 0.027_450_98]));
        assert!(close(&normalizer.std()[..2], &[0.432_049_4, 0.084_715_56]));
        assert_eq!(normalizer.std()[2], 1.0, "a constant feature has std 1");
    }

    #[test]
    fn the_training_split_has_mean_0_and_standard_deviation_1_after_normalisation() {
        let pixels = (0..600_u32).map(|i| (i * i * 31 % 251) as u8).collect();
        let train = dataset(pixels, 3);
        let x = Normalizer::fit(&train).unwrap().apply(&train, 0..train.len());
        for feature in 0..3 {
            let column: Vec<f64> = x.iter().skip(feature).step_by(3).map(|&v| v.into()).collect();
            let mean = column.iter().sum::<f64>() / 200.0;
            let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 200.0;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn another_split_is_normalised_with_the_statistics_of_the_training_split() {
        let normalizer = Normalizer::fit(&dataset(vec![0, 255], 1)).unwrap();
        let x = normalizer.apply(&dataset(vec![255, 255], 1), 0..2);
        assert!(x.iter().all(|x| (x - 1.0).abs() < 1e-6), "{x:?}");
    }

    #[test]
    fn an_empty_split_and_unusable_statistics_are_refused() {
        assert!(Normalizer::fit(&dataset(vec![], 1)).is_err());
        assert!(Normalizer::new(vec![0.0], vec![0.0]).is_err());
        assert!(Normalizer::new(vec![f32::NAN], vec![1.0]).is_err());
        assert!(Normalizer::new(vec![0.0], vec![1.0, 1.0]).is_err());
        let error = |mean, std| Normalizer::new(vec![mean], vec![std]).unwrap_err().to_string();
        assert!(error(0.0, 1e-45).starts_with("1 / (255 std) must be finite"));
        assert!(error(3e38, 1e-3).starts_with("mean / std must be finite"));
    }
}
