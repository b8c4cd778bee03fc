//! Model files, in the safetensors format: the parameters and all that is needed to use and to trace them.
//!
//! | tensor | shape | type |
//! |---|---|---|
//! | `weight` | (k, d) | f32 |
//! | `bias` | (k) | f32 |
//! | `mean` | (d) | f32, of the training split, in units of pixel / 255 |
//! | `std` | (d) | f32, likewise |
//!
//! A feature is normalised as (pixel / 255 − mean) / std before it meets the weights.

use std::path::Path;

use crate::dataset::normalizer::Normalizer;
use crate::error::{Error, Result};
use crate::files::npz::{self, Data};
use crate::files::safetensors::{self, Reader, Tensor, Texts, Values};
use crate::hyperparameters::{Decay, Loss, Schedule};
use crate::network::Parameters;
use crate::shape::Dims;
use crate::train::Run;

/// A trained model with its normalisation and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// `weight` (k,d) and `bias` (k).
    pub parameters: Parameters,
    /// (d), what is subtracted from each feature.
    pub mean: Vec<f32>,
    /// (d), what each feature is divided by; positive.
    pub std: Vec<f32>,
    /// Where the parameters come from.
    pub provenance: Provenance,
}

/// Where a model comes from: the file's metadata, in which each value is text under its field's name.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// The setting's name, as it stands in file names.
    pub setting: String,
    /// λ, the weight of the penalty.
    pub lambda: f64,
    /// η, the learning rate.
    pub eta: f64,
    /// Examples a mini-batch.
    pub batch_size: usize,
    /// Epochs that were trained.
    pub epochs: usize,
    /// The seed of the initial weights, of the shuffling and of the flips.
    pub seed: u64,
    /// What was minimised besides the penalty.
    pub loss: Loss,
    /// How the learning rate fell, if it did.
    pub decay: Option<Decay>,
    /// The probability with which an image was mirrored.
    pub flip: f64,
    /// What the parameters and the normalisation were fitted on, for example `data_batch_1.bin`.
    pub train_split: String,
    /// What was evaluated after each epoch.
    pub validation_split: String,
    /// What was evaluated at the end.
    pub test_split: String,
    /// The version of this program.
    pub version: String,
}

impl Provenance {
    fn to_metadata(&self) -> Texts {
        let fields = [
            ("setting", self.setting.clone()),
            ("lambda", self.lambda.to_string()),
            ("eta", self.eta.to_string()),
            ("batch_size", self.batch_size.to_string()),
            ("epochs", self.epochs.to_string()),
            ("seed", self.seed.to_string()),
            ("loss", self.loss.to_string()),
            ("flip", self.flip.to_string()),
            ("train_split", self.train_split.clone()),
            ("validation_split", self.validation_split.clone()),
            ("test_split", self.test_split.clone()),
            ("version", self.version.clone()),
        ];
        let mut metadata: Texts = fields.map(|(name, text)| (name.into(), text)).into();
        if let Some(decay) = self.decay {
            metadata.insert("decay".into(), decay.to_string());
        }
        metadata
    }

    fn from_metadata(file: &Reader) -> Result<Self> {
        Ok(Self {
            setting: file.field("setting")?,
            lambda: file.field("lambda")?,
            eta: file.field("eta")?,
            batch_size: file.field("batch_size")?,
            epochs: file.field("epochs")?,
            seed: file.field("seed")?,
            // The first files had none of these three.
            loss: file.optional("loss")?.unwrap_or_default(),
            decay: file.optional("decay")?,
            flip: file.optional("flip")?.unwrap_or(0.0),
            train_split: file.field("train_split")?,
            validation_split: file.field("validation_split")?,
            test_split: file.field("test_split")?,
            version: file.field("version")?,
        })
    }
}

impl ModelFile {
    /// The model that `run` ended with, which was trained by `schedule` on images normalised by `normalizer`; `splits`
    /// are what the training, the validation and the test split are made of.
    pub fn of_run(run: &Run, schedule: &Schedule, normalizer: &Normalizer, splits: &[String; 3]) -> Self {
        let [train_split, validation_split, test_split] = splits.clone();
        Self {
            parameters: run.parameters.clone(),
            mean: normalizer.mean().to_vec(),
            std: normalizer.std().to_vec(),
            provenance: Provenance {
                setting: run.setting.name(),
                lambda: run.setting.lambda(),
                eta: run.setting.eta(),
                batch_size: schedule.batch_size,
                epochs: schedule.epochs,
                seed: schedule.seed,
                loss: run.setting.loss(),
                decay: run.setting.decay(),
                flip: schedule.flip,
                train_split,
                validation_split,
                test_split,
                version: env!("CARGO_PKG_VERSION").into(),
            },
        }
    }

    /// The content of the file. Equal models give equal bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when a buffer has another length than the dimensions say, [`Error::NonFinite`] when an element
    /// is NaN or infinite, [`Error::InvalidValue`] when a `std` is not positive: nothing is written that
    /// [`from_bytes`](Self::from_bytes) would refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check_all()?;
        let Dims { features, classes } = self.parameters.dims;
        let tensor = |name: &str, shape, values| Tensor { name: name.into(), shape, values: Values::F32(values) };
        let tensors = [
            tensor("bias", vec![classes], &self.parameters.bias),
            tensor("mean", vec![features], &self.mean),
            tensor("std", vec![features], &self.std),
            tensor("weight", vec![classes, features], &self.parameters.weight),
        ];
        Ok(safetensors::to_bytes(&self.provenance.to_metadata(), &tensors))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. `path` is what an error names.
    ///
    /// d and k are those of the file; whether they fit the data is the caller's to check.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] when `bytes` is not safetensors, a tensor or a metadata field is missing, a tensor is not f32
    /// or a `std` not positive; [`Error::Shape`] and [`Error::NonFinite`] as `to_bytes`.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let file = Reader::new(bytes, path)?;
        let (shape, weight) = file.f32("weight")?;
        let &[classes @ 1..=usize::MAX, features @ 1..=usize::MAX] = &shape[..] else {
            return Err(file.shape_error("weight", "(k, d)".into(), &shape));
        };
        let vector = |name, length| {
            let (shape, values) = file.f32(name)?;
            if shape != [length] {
                return Err(file.shape_error(name, format!("({length})"), &shape));
            }
            Ok(values)
        };
        let model = Self {
            parameters: Parameters { dims: Dims { features, classes }, weight, bias: vector("bias", classes)? },
            mean: vector("mean", features)?,
            std: vector("std", features)?,
            provenance: Provenance::from_metadata(&file)?,
        };
        model.check(&format!("{}: ", path.display()))?;
        match model.not_positive_std() {
            None => Ok(model),
            Some(std) => Err(file.format_error(format!("std must be positive, but is {std}"))),
        }
    }

    /// The arrays for NumPy, an `.npz` file: `W` (k,d), `b` (k), `mean` (d) and `std` (d), all `float32`; training can start
    /// from it. Equal models give equal bytes.
    ///
    /// # Errors
    ///
    /// As [`to_bytes`](Self::to_bytes).
    pub fn to_npz(&self) -> Result<Vec<u8>> {
        self.check_all()?;
        let Dims { features, classes } = self.parameters.dims;
        let Parameters { weight, bias, .. } = &self.parameters;
        npz::write(&[
            ("W", &[classes, features], Data::F32(weight)),
            ("b", &[classes], Data::F32(bias)),
            ("mean", &[features], Data::F32(&self.mean)),
            ("std", &[features], Data::F32(&self.std)),
        ])
    }

    /// Whether the file would be read again.
    fn check_all(&self) -> Result<()> {
        self.check("")?;
        match self.not_positive_std() {
            None => Ok(()),
            Some(std) => Err(Error::invalid("std", "positive", std)),
        }
    }

    /// Lengths and finiteness; `prefix` stands before the names of the tensors in errors.
    fn check(&self, prefix: &str) -> Result<()> {
        let Parameters { dims, weight, bias } = &self.parameters;
        let (d, k) = (dims.features, dims.classes);
        check_values(prefix, "weight", weight, &[k, d])?;
        check_values(prefix, "bias", bias, &[k])?;
        check_values(prefix, "mean", &self.mean, &[d])?;
        check_values(prefix, "std", &self.std, &[d])
    }

    fn not_positive_std(&self) -> Option<f32> {
        self.std.iter().copied().find(|&s| s <= 0.0)
    }
}

fn check_values(prefix: &str, name: &str, values: &[f32], shape: &[usize]) -> Result<()> {
    if values.len() != shape.iter().product::<usize>() {
        return Err(Error::shape(
            format!("{prefix}{name}"),
            crate::shape::shape_text(shape),
            crate::shape::shape_text(&[values.len()]),
        ));
    }
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NonFinite { what: format!("{prefix}{name}"), index, found: values[index].into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::safetensors::tensor::{Dtype, SafeTensors, TensorView};
    use proptest::prelude::*;

    const PATH: &str = "model.safetensors";

    fn model() -> ModelFile {
        let dims = Dims { features: 3, classes: 2 };
        let weight = vec![0.0, 0.25, 0.5, 1.0, 1.25, f32::MIN_POSITIVE];
        ModelFile {
            parameters: Parameters::new(dims, weight, vec![-1.0, 2.0]).unwrap(),
            mean: vec![0.1, 0.2, 0.3],
            std: vec![1.0, 2.0, 3.0],
            provenance: Provenance {
                setting: "lambda0.1_eta0.001".into(),
                lambda: 0.1,
                eta: 0.001,
                batch_size: 100,
                epochs: 40,
                seed: u64::MAX,
                loss: Loss::Bce,
                decay: Some(Decay::new(20, 0.5).unwrap()),
                flip: 0.5,
                train_split: "data_batch_1.bin".into(),
                validation_split: "data_batch_2.bin".into(),
                test_split: "test_batch.bin".into(),
                version: "0.1.0".into(),
            },
        }
    }

    fn read(bytes: &[u8]) -> Result<ModelFile> {
        ModelFile::from_bytes(bytes, Path::new(PATH))
    }

    /// A file of the given f32 tensors, written by the library alone, with the metadata of `model`.
    fn file(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
        file_with(tensors, model().provenance.to_metadata())
    }

    fn file_with(tensors: &[(&str, Vec<usize>, Vec<f32>)], metadata: Texts) -> Vec<u8> {
        let data: Vec<Vec<u8>> =
            tensors.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let views = tensors
            .iter()
            .zip(&data)
            .map(|((name, shape, _), data)| (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
        ::safetensors::serialize(views, Some(metadata.into_iter().collect())).unwrap()
    }

    fn tensors() -> Vec<(&'static str, Vec<usize>, Vec<f32>)> {
        let m = model();
        vec![
            ("weight", vec![2, 3], m.parameters.weight),
            ("bias", vec![2], m.parameters.bias),
            ("mean", vec![3], m.mean),
            ("std", vec![3], m.std),
        ]
    }

    fn message(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> String {
        let message = read(&file(tensors)).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1);
        message
    }

    #[test]
    fn a_model_reads_back_as_it_was() {
        assert_eq!(read(&model().to_bytes().unwrap()).unwrap(), model());
    }

    #[test]
    fn a_file_that_the_safetensors_library_wrote_reads_back_too() {
        assert_eq!(read(&file(&tensors())).unwrap(), model());
    }

    #[test]
    fn the_safetensors_library_reads_the_tensors_and_the_metadata() {
        let bytes = model().to_bytes().unwrap();
        let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header % 8, 0);
        let metadata = metadata.metadata().as_ref().unwrap();
        assert_eq!(metadata["lambda"], "0.1");
        assert_eq!(metadata["seed"], "18446744073709551615");
        let weight = SafeTensors::deserialize(&bytes).unwrap();
        let weight = weight.tensor("weight").unwrap();
        assert_eq!(weight.shape(), [2, 3]);
        assert_eq!(weight.data()[4..8], 0.25f32.to_le_bytes());
    }

    #[test]
    fn a_file_from_before_there_were_losses_decays_and_flips_is_one_of_a_plain_softmax() {
        let mut metadata = model().provenance.to_metadata();
        for field in ["loss", "decay", "flip"] {
            metadata.remove(field).unwrap();
        }
        let old = read(&file_with(&tensors(), metadata)).unwrap().provenance;
        assert_eq!((old.loss, old.decay, old.flip), (Loss::Softmax, None, 0.0));
        let mut metadata = model().provenance.to_metadata();
        metadata.insert("loss".into(), "hinge".into());
        let error = read(&file_with(&tensors(), metadata)).unwrap_err();
        assert!(error.to_string().ends_with("loss must be softmax or bce, but is hinge"));
    }

    #[test]
    fn equal_models_give_equal_bytes() {
        let bytes = model().to_bytes().unwrap();
        for _ in 0..32 {
            assert_eq!(model().to_bytes().unwrap(), bytes);
        }
        let mut other = model();
        other.provenance.seed = 1;
        assert_ne!(other.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn a_missing_tensor_is_named() {
        let without_std = &tensors()[..3];
        assert_eq!(
            message(without_std),
            r#"model.safetensors: there is no tensor "std", only ["bias", "mean", "weight"]"#
        );
    }

    #[test]
    fn a_tensor_of_another_shape_is_named() {
        let mut wrong = tensors();
        wrong[0].1 = vec![6];
        assert_eq!(message(&wrong), "model.safetensors: weight must have the shape (k, d), but has (6)");
        let mut wrong = tensors();
        wrong[1] = ("bias", vec![3], vec![0.0; 3]);
        assert_eq!(message(&wrong), "model.safetensors: bias must have the shape (2), but has (3)");
    }

    #[test]
    fn a_tensor_of_another_type_is_named() {
        let data = [0; 8];
        let view = TensorView::new(Dtype::F64, vec![1, 1], &data).unwrap();
        let bytes = ::safetensors::serialize([("weight", view)], None).unwrap();
        assert_eq!(
            read(&bytes).unwrap_err().to_string(),
            r#"model.safetensors: tensor "weight" must be F32, but is F64"#
        );
    }

    #[test]
    fn values_that_are_not_finite_are_neither_written_nor_read() {
        for i in 0..4 {
            let mut wrong = tensors();
            wrong[i].2[1] = f32::NAN;
            let expected = format!("{PATH}: {} must be finite, but element 1 is NaN", wrong[i].0);
            assert_eq!(message(&wrong), expected);
        }
        let mut wrong = model();
        wrong.parameters.bias[0] = f32::INFINITY;
        assert!(matches!(wrong.to_bytes(), Err(Error::NonFinite { .. })));
    }

    #[test]
    fn a_std_that_is_not_positive_is_neither_written_nor_read() {
        let mut wrong = tensors();
        wrong[3].2[2] = 0.0;
        assert_eq!(message(&wrong), "model.safetensors: std must be positive, but is 0");
        let mut wrong = model();
        wrong.std[0] = -1.0;
        assert!(matches!(wrong.to_bytes(), Err(Error::InvalidValue { .. })));
    }

    #[test]
    fn a_vector_of_another_length_is_not_written() {
        let mut wrong = model();
        wrong.mean.pop();
        assert!(matches!(wrong.to_bytes(), Err(Error::Shape { .. })));
    }

    #[test]
    fn a_file_without_the_metadata_of_this_program_is_refused() {
        let values = [0u8; 12];
        let views = [("weight", vec![1, 1]), ("bias", vec![1]), ("mean", vec![1])];
        let mut views: Vec<_> = views
            .into_iter()
            .map(|(name, shape)| (name, TensorView::new(Dtype::F32, shape, &values[..4]).unwrap()))
            .collect();
        let one = 1f32.to_le_bytes();
        views.push(("std", TensorView::new(Dtype::F32, vec![1], &one).unwrap()));
        let bytes = ::safetensors::serialize(views, None).unwrap();
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(r#"the metadata lacks "setting""#), "{error}");
    }

    #[test]
    fn a_truncated_or_longer_file_is_refused() {
        let bytes = model().to_bytes().unwrap();
        for length in 0..bytes.len() {
            let error = read(&bytes[..length]).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{length}: {error}");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn altered_bytes_are_read_or_refused(
            mut bytes in Just(model().to_bytes().unwrap()),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(model) = read(&bytes) {
                prop_assert!(model.parameters.is_finite());
                prop_assert!(model.std.iter().all(|&s| s > 0.0));
            }
        }

        #[test]
        fn altered_headers_are_read_or_refused(
            digits in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..4),
        ) {
            let mut bytes = model().to_bytes().unwrap();
            let at: Vec<usize> = (8..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
            for (index, digit) in digits {
                bytes[*index.get(&at)] = digit;
            }
            let _ = read(&bytes);
        }

        #[test]
        fn every_finite_parameter_reads_back(
            values in prop::collection::vec(any::<f32>().prop_filter("finite", |v| v.is_finite()), 6),
            lambda in any::<f64>().prop_filter("finite", |v| v.is_finite()),
            setting in "\\PC*",
        ) {
            let mut model = model();
            model.parameters.weight = values;
            model.provenance.lambda = lambda;
            model.provenance.setting = setting;
            prop_assert_eq!(read(&model.to_bytes().unwrap()).unwrap(), model);
        }
    }
}
