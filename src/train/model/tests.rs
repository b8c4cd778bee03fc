//! Model files: what reads back, what is refused, and that no altered byte makes a model that is not finite.

use super::*;
use crate::hyperparameters::{Decay, Loss};
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
        setting: "lambda0.1_eta0.001".into(),
        hyperparameters: Hyperparameters {
            lambda: 0.1,
            eta: 0.001,
            batch_size: 100,
            epochs: 40,
            seed: u64::MAX,
            loss: Loss::Bce,
            decay_every: Some(20),
            decay_factor: Some(0.5),
            decay_patience: None,
            flip: 0.5,
            shuffle: Shuffle::None,
            start: Origin::File("0a".into()),
        },
        splits: ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"].map(String::from),
        version: "0.1.0".into(),
    }
}

fn read(bytes: &[u8]) -> Result<ModelFile> {
    ModelFile::from_bytes(bytes, Path::new(PATH))
}

/// A file of the given f32 tensors, written by the library alone, with the metadata of `model`.
fn file(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    file_with(tensors, model().metadata())
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
    let texts = |names: [&str; 5]| names.map(|name| metadata[name].as_str());
    assert_eq!(texts(["lambda", "batch_size", "loss", "decay", "flip"]), ["0.1", "100", "bce", "20x0.5", "0.5"]);
    assert_eq!((&metadata["shuffle"][..], &metadata["start"][..]), ("none", "file:0a"));
    assert_eq!(metadata["seed"], "18446744073709551615");
    let weight = SafeTensors::deserialize(&bytes).unwrap();
    let weight = weight.tensor("weight").unwrap();
    assert_eq!(weight.shape(), [2, 3]);
    assert_eq!(weight.data()[4..8], 0.25f32.to_le_bytes());
}

#[test]
fn a_decay_on_plateaus_is_one_entry_too() {
    let plateau = Some(Decay::plateau(5, 0.1).unwrap());
    let model = ModelFile { hyperparameters: model().hyperparameters.with_decay(plateau), ..model() };
    assert_eq!(model.metadata()["decay"], "plateau5x0.1");
    assert!(!model.metadata().contains_key("decay_patience"));
    assert_eq!(read(&model.to_bytes().unwrap()).unwrap(), model);
    let mut metadata = model.metadata();
    metadata.insert("decay".into(), "plateau0x0.1".into());
    assert!(read(&file_with(&tensors(), metadata)).unwrap_err().to_string().contains("decay"));
}

#[test]
fn a_file_of_an_earlier_version_is_readable_without_the_metadata_that_it_lacks() {
    let mut metadata = model().metadata();
    for field in ["shuffle", "start"] {
        metadata.remove(field).unwrap();
    }
    let old = read(&file_with(&tensors(), metadata.clone())).unwrap();
    let unknown = Hyperparameters { shuffle: Shuffle::Unknown, start: Origin::Unknown, ..model().hyperparameters };
    assert_eq!(old, ModelFile { hyperparameters: unknown.clone(), ..model() });
    for field in ["loss", "decay", "flip"] {
        metadata.remove(field).unwrap();
    }
    let oldest = read(&file_with(&tensors(), metadata.clone())).unwrap().hyperparameters;
    let (loss, flip) = (Loss::Softmax, 0.0);
    assert_eq!(oldest, Hyperparameters { loss, flip, decay_every: None, decay_factor: None, ..unknown });
    // Controls: wrong values, and entries that every version wrote.
    metadata.insert("loss".into(), "hinge".into());
    let error = read(&file_with(&tensors(), metadata.clone())).unwrap_err();
    assert_eq!(error.to_string(), r#"model.safetensors: loss must be softmax or bce, but is "hinge""#);
    for field in ["setting", "lambda", "seed", "train_split", "version"] {
        let mut metadata = model().metadata();
        metadata.remove(field).unwrap();
        let error = read(&file_with(&tensors(), metadata)).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn a_zero_is_written_without_a_decimal_point_as_ever() {
    let mut model = model();
    (model.hyperparameters.lambda, model.hyperparameters.eta) = (0.0, 1e-7);
    let metadata = model.metadata();
    assert_eq!((&metadata["lambda"][..], &metadata["eta"][..]), ("0", "0.0000001"));
}

#[test]
fn equal_models_give_equal_bytes() {
    let bytes = model().to_bytes().unwrap();
    for _ in 0..32 {
        assert_eq!(model().to_bytes().unwrap(), bytes);
    }
    let mut other = model();
    other.hyperparameters.seed = 1;
    assert_ne!(other.to_bytes().unwrap(), bytes);
}

#[test]
fn a_missing_tensor_is_named() {
    let without_std = &tensors()[..3];
    assert_eq!(message(without_std), r#"model.safetensors: there is no tensor "std", only "bias", "mean", "weight""#);
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
    assert_eq!(read(&bytes).unwrap_err().to_string(), r#"model.safetensors: tensor "weight" must be F32, but is F64"#);
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
            prop_assert!(model.parameters.check_finite().is_ok());
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
        model.hyperparameters.lambda = lambda;
        model.setting = setting;
        prop_assert_eq!(read(&model.to_bytes().unwrap()).unwrap(), model);
    }
}

#[test]
fn an_export_for_numpy_has_the_arrays_of_the_model() {
    let bytes = model().to_npz().unwrap();
    let npz = npz::Npz::open(&bytes, Path::new("model.npz")).unwrap();
    let mut names = npz.names();
    names.sort();
    assert_eq!(names, ["W", "b", "mean", "std"]);
    for (name, shape, values) in [
        ("W", &[2, 3][..], &model().parameters.weight),
        ("b", &[2], &model().parameters.bias),
        ("mean", &[3], &model().mean),
        ("std", &[3], &model().std),
    ] {
        let array = npz.array(name).unwrap();
        assert_eq!(array.shape, shape, "{name}");
        assert_eq!(array.values, values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), "{name}");
        assert!(npz.is_f32(name));
    }
    assert_eq!(model().to_npz().unwrap(), bytes);
    let mut wrong = model();
    wrong.std[1] = 0.0;
    assert_eq!(wrong.to_npz().unwrap_err().to_string(), "std must be positive, but is 0");
}

#[test]
fn a_model_of_a_run_is_its_parameters_with_the_statistics_and_the_names_of_its_training() {
    let dims = Dims { features: 3, classes: 2 };
    let run = Run {
        setting: crate::hyperparameters::Setting::REPORT[2],
        epochs: Vec::new(),
        parameters: model().parameters,
        snapshots: Vec::new(),
        divergence: None,
    };
    let normalizer = Normalizer::new(vec![0.1, 0.2, 0.3], vec![1.0, 2.0, 3.0]).unwrap();
    let found = ModelFile::of_run(&run, &model().hyperparameters, &normalizer, &model().splits);
    assert_eq!(found, ModelFile { version: env!("CARGO_PKG_VERSION").into(), ..model() });
    assert_eq!(found.parameters.dims, dims);
}
