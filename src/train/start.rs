//! The start of a training: its initial parameters and where they come from.

use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use super::numpy::Generator;
use crate::dataset::store;
use crate::error::Result;
use crate::files::npz::Npz;
use crate::hyperparameters::Origin;
use crate::network::Parameters;
use crate::shape::Dims;

/// The standard deviation of a starting weight.
const WEIGHT_STD: f64 = 0.01;

/// The initial parameters of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The parameters.
    pub parameters: Parameters,
    /// Their origin.
    pub origin: Origin,
}

impl Start {
    /// The report's start, drawn with `seed`: see [`random_start`].
    pub fn random(dims: Dims, seed: u64) -> Self {
        Self { parameters: random_start(dims, seed), origin: Origin::Random }
    }

    /// The start of a NumPy script: `W = 0.01 * default_rng(seed).standard_normal((k, d))`, b = 0.
    pub fn numpy(dims: Dims, seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let mut parameters = Parameters::zeros(dims);
        for weight in &mut parameters.weight {
            *weight = (WEIGHT_STD * generator.standard_normal()) as f32;
        }
        Self { parameters, origin: Origin::Numpy }
    }

    /// The start that is drawn with `seed` where `origin` says: [`Start::numpy`] or, for every other origin,
    /// [`Start::random`].
    pub fn drawn(origin: &Origin, dims: Dims, seed: u64) -> Self {
        match origin {
            Origin::Numpy => Self::numpy(dims, seed),
            Origin::Random | Origin::File(_) | Origin::Unknown => Self::random(dims, seed),
        }
    }

    /// The start of a NumPy script that has W as (d, k): `W = 0.01 * default_rng(seed).standard_normal((d, k))`, b = 0.
    pub fn numpy_transposed(dims: Dims, seed: u64) -> Self {
        let Self { mut parameters, origin } = Self::numpy(dims, seed);
        parameters.weight = transposed(&parameters.weight, dims.classes);
        Self { parameters, origin }
    }

    /// A start with `parameters` from a file.
    pub fn from_file(parameters: Parameters) -> Self {
        let origin = Origin::File(digest_of([&parameters.weight, &parameters.bias]));
        Self { parameters, origin }
    }
}

/// The SHA-256 of the bytes of all `values`.
pub(super) fn digest_of(values: [&[f32]; 2]) -> String {
    let bytes: Vec<u8> = values.into_iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    store::sha256(&bytes[..]).expect("memory can be read")
}

/// The report's start: weight ~ N(0, 0.01²), bias = 0.
pub fn random_start(dims: Dims, seed: u64) -> Parameters {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut parameters = Parameters::zeros(dims);
    for weight in &mut parameters.weight {
        *weight = (WEIGHT_STD * rng.sample::<f64, _>(StandardNormal)) as f32;
    }
    parameters
}

/// Reads starting parameters from an `.npz` file: array `W` (k, d) or (d, k) and optionally `b`, as
/// [`parameters_from_npz`]. Errors name `path` as the file.
///
/// # Errors
///
/// `Error::Format` if `bytes` is not a readable `.npz` file; those of [`parameters_from_npz`].
pub fn start_from_npz(bytes: &[u8], path: &Path, dims: Dims) -> Result<Parameters> {
    let npz = Npz::open(bytes, path)?.expecting("a start has W and optionally b");
    parameters_from_npz(&npz, ["W", "b"], dims)
}

/// Parameters from two arrays with these names: the weight (k, d) or (d, k), and optionally the bias (k), (k, 1) or (1, k), by
/// default zeros. `float64` values are rounded to the nearest `f32`.
///
/// # Errors
///
/// `Error::Format` if the weight is missing or an element is NaN, infinite or beyond the range of `f32`, `Error::Shape` if an
/// array does not fit `dims`.
pub fn parameters_from_npz(npz: &Npz, [weight, bias]: [&str; 2], dims: Dims) -> Result<Parameters> {
    let Dims { features: d, classes: k } = dims;
    let (shape, values) = rounded(npz, weight, &[&[k, d], &[d, k]])?;
    let values = if shape == [k, d] { values } else { transposed(&values, k) };
    let bias = if npz.contains(bias) { rounded(npz, bias, &[&[k], &[k, 1], &[1, k]])?.1 } else { vec![0.0; k] };
    Parameters::new(dims, values, bias)
}

/// The matrix with `columns` columns whose elements are `values`, its rows and columns exchanged.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values[column..].iter().step_by(columns)).copied().collect()
}

/// The shape of the array `name`, which must be one of `shapes`, and its values, rounded to finite `f32`s.
pub(super) fn rounded(npz: &Npz, name: &str, shapes: &[&[usize]]) -> Result<(Vec<usize>, Vec<f32>)> {
    let array = npz.array_of(name, shapes)?;
    let rounded = npz.rounded(name, &array)?;
    Ok((array.shape, rounded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::DIMS;
    use crate::files::npz::{self, Elements};

    const PATH: &str = "start.npz";
    const SMALL: Dims = Dims { features: 3, classes: 2 };
    /// The arrays `W` and `b` of `tests/fixtures/make_npz.py`.
    const W: [f32; 6] = [0.0, 0.25, 0.5, 1.0, 1.25, 1.5];
    const B: [f32; 2] = [-1.0, 2.0];

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/fixtures/", $name, ".npz"))
        };
    }

    fn read(bytes: &[u8]) -> Result<Parameters> {
        start_from_npz(bytes, Path::new(PATH), SMALL)
    }

    fn refusal(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn parameters_from_numpy_are_read_and_a_missing_bias_is_zero() {
        for bytes in [&fixture!("f64")[..], fixture!("f32"), fixture!("column_bias")] {
            assert_eq!(read(bytes).unwrap(), Parameters::new(SMALL, W.into(), B.into()).unwrap());
        }
        let expected = Parameters::new(SMALL, W.into(), vec![0.0; 2]).unwrap();
        assert_eq!(read(fixture!("fortran")).unwrap(), expected);
    }

    #[test]
    fn arrays_of_another_shape_or_name_are_refused() {
        assert_eq!(
            refusal(fixture!("other_names")),
            r#"start.npz: there is no array "W", only "bias", "weight"; a start has W and optionally b"#
        );
        let dims = Dims { features: 4, classes: 3 };
        let error = start_from_npz(fixture!("f64"), Path::new(PATH), dims).unwrap_err();
        assert_eq!(error.to_string(), r#"start.npz: array "W" must have the shape (3, 4) or (4, 3), but has (2, 3)"#);
        let three = npz::write(&[("W", &[2, 3], Elements::F32(&W)), ("b", &[3], Elements::F32(&W[..3]))]);
        let expected = r#"start.npz: array "b" must have the shape (2) or (2, 1) or (1, 2), but has (3)"#;
        assert_eq!(refusal(&three.unwrap()), expected);
    }

    #[test]
    fn a_weight_with_a_row_per_feature_is_turned() {
        let turned = [0.0, 1.0, 0.25, 1.25, 0.5, 1.5];
        let bytes = npz::write(&[("W", &[3, 2], Elements::F32(&turned)), ("b", &[1, 2], Elements::F32(&B))]).unwrap();
        assert_eq!(read(&bytes).unwrap(), Parameters::new(SMALL, W.into(), B.into()).unwrap());
    }

    #[test]
    fn values_that_are_no_finite_f32_are_refused() {
        assert_eq!(
            refusal(fixture!("not_finite")),
            r#"start.npz: array "W": must be finite, but W[1, 1] is NaN: check how it was computed"#
        );
        let large = npz::write(&[("W", &[2, 3], Elements::F64(&[0.0, 1e300, 0.0, 0.0, 0.0, 0.0]))]);
        let message = refusal(&large.unwrap());
        assert!(message.contains("must be below 3.4e38, the limit of float32, but W[0, 1] is 1e300"), "{message}");
    }

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

    #[test]
    fn a_start_is_drawn_by_the_generator_of_its_origin() {
        let random = random_start(SMALL, 7);
        for origin in [Origin::Random, Origin::File("00".into()), Origin::Unknown] {
            let start = Start::drawn(&origin, SMALL, 7);
            assert_eq!(start, Start { parameters: random.clone(), origin: Origin::Random });
        }
        assert_eq!(Start::random(SMALL, 7).parameters, random);
        let numpy = Start::drawn(&Origin::Numpy, SMALL, 7);
        assert_eq!(numpy, Start::numpy(SMALL, 7));
        assert!(numpy.origin == Origin::Numpy && numpy.parameters.weight != random.weight);
    }

    /// `0.01 * numpy.random.default_rng(42).standard_normal((2, 3))` in NumPy.
    #[test]
    fn a_start_of_numpy_is_a_hundredth_of_its_normals_row_by_row() {
        let start = Start::numpy(SMALL, 42).parameters;
        let expected = [0.0030471707975443135, -0.010399841062404955, 0.007504511958064572].map(|w: f64| w as f32);
        assert_eq!((&start.weight[..3], &start.bias[..]), (&expected[..], &[0.0, 0.0][..]));
        let turned = Start::numpy_transposed(SMALL, 42);
        assert_eq!(turned.origin, Origin::Numpy);
        let places = [0, 2, 4, 1, 3, 5].map(|i| start.weight[i]);
        assert_eq!(turned.parameters.weight, places, "(3, 2), row by row, is read by columns");
    }

    #[test]
    fn the_origin_of_a_file_is_the_digest_of_its_parameters() {
        let parameters = Parameters::new(Dims { features: 1, classes: 2 }, vec![0.0, 1.0], vec![-2.0, 0.5]).unwrap();
        let bytes = [0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f];
        let digest = store::sha256(&bytes[..]).unwrap();
        let start = Start::from_file(parameters.clone());
        assert_eq!(start, Start { parameters, origin: Origin::File(digest) });
    }
}
