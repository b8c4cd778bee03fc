//! Valid files: the basis of the inputs, and the files that fuzzing starts from.

use std::path::Path;

use jpeg_encoder::{Encoder, SamplingFactor};
use onelayer::dataset::cifar10::{self, BatchFile, RECORD_BYTES};
use onelayer::dataset::store::RecordFile;
use onelayer::evaluate::Confusion;
use onelayer::evaluate::table::confusion_csv;
use onelayer::figures::snapshots;
use onelayer::files::csv::{Dialect, Row};
use onelayer::files::npy;
use onelayer::files::npz::{self, Elements};
use onelayer::files::zip::Archive;
use onelayer::gradcheck::Problem;
use onelayer::gradcheck::referee::files::problem_to_npz;
use onelayer::gradcheck::referee::{Exercise, Layout};
use onelayer::gradcheck::table::GradcheckRow;
use onelayer::hyperparameters::{Hyperparameters, Loss};
use onelayer::network::Parameters;
use onelayer::replicate::ablation::table::{AblationRow, ImprovementRow};
use onelayer::replicate::overfitting::table::{ComparisonRow, OverfittingRow};
use onelayer::replicate::table::{ReplicationRow, SettingRow, VerdictRow};
use onelayer::search::table::SearchRow;
use onelayer::train::config::{Config, Images};
use onelayer::train::model::ModelFile;
use onelayer::train::provenance::{Commit, Provenance};
use onelayer::train::table::{CurveRow, SummaryRow};

use super::common::{jpeg_with_exif, pickle_of, pixels_of, png_of, png_with, tar_of};
use super::inputs::{PngHeader, png_file};
use super::targets::{DIMS, JOB, LABELS, RECORDS};

/// Archives in the official and in the npm package's layout, and in that of the Python version.
pub fn tar() -> [Vec<u8>; 3] {
    [
        tar_of(&[("cifar-10-batches-bin/x.bin", &RECORDS)]),
        tar_of(&[("package/x.png", &png_of(&RECORDS)), ("package/x.json", LABELS.as_bytes())]),
        tar_of(&[("cifar-10-batches-py/x", &pickle())]),
    ]
}

/// A file of the Python version.
pub fn pickle() -> Vec<u8> {
    pickle_of(&RECORDS)
}

/// Files of NumPy, and files of the referee.
pub fn npz() -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files: Vec<_> = ["f32", "f64", "fortran", "big_endian", "compressed", "zip64"]
        .iter()
        .map(|name| std::fs::read(fixtures.join(format!("{name}.npz"))).unwrap())
        .collect();
    let x = [0.5; 6];
    files.push(
        npz::write(&[
            ("x", &[2, 3], Elements::F64(&x)),
            ("y", &[2], Elements::I64(&[0, 1])),
            ("W", &[2, 3], Elements::F64(&x)),
            ("b", &[2], Elements::F64(&x[..2])),
            ("lambda", &[], Elements::F64(&x[..1])),
        ])
        .unwrap(),
    );
    files.push(
        npz::write(&[
            ("grad_W", &[3, 2], Elements::F32(&[0.5; 6])),
            ("grad_b", &[2, 1], Elements::F64(&x[..2])),
            ("loss", &[1], Elements::F64(&x[..1])),
        ])
        .unwrap(),
    );
    files.extend(problems());
    files
}

/// Problems of the referee in its three layouts.
fn problems() -> impl Iterator<Item = Vec<u8>> {
    let problem = |layout| {
        let parameters = Parameters::new(DIMS, vec![0.5; 6], vec![0.25; 2]).unwrap();
        let problem = Problem::new(vec![0.5; 6], vec![0, 1], parameters).unwrap().with_loss(Loss::Bce);
        problem_to_npz(&Exercise::of(&problem, 0.1, layout).unwrap()).unwrap()
    };
    Layout::ALL.into_iter().map(problem)
}

/// Submissions to the referee: two archives and two gradients by themselves.
pub fn submissions() -> Vec<Vec<u8>> {
    let (weight, bias) = ([0.25, -0.5, 0.75, 1.0, 0.5, 2.0], [0.5, -0.5]);
    let archive = |names: [&str; 2]| {
        let loss = ("loss", &[][..], Elements::F64(&[1.0]));
        npz::write(&[(names[0], &[2, 3], Elements::F64(&weight)), (names[1], &[2], Elements::F64(&bias)), loss])
            .unwrap()
    };
    let alone = [npy::to_bytes(&[2, 3], Elements::F64(&weight)), npy::to_bytes(&[2], Elements::F32(&[0.5, -0.5]))];
    [vec![archive(["grad_W", "grad_b"]), archive(["dW", "db"])], alone.into()].concat()
}

/// Answers to a quiz.
pub fn answers() -> Vec<u8> {
    let lines = (1..=23).map(|case| format!("case_{case:02},{}\n", if case % 2 == 0 { "right" } else { "wrong" }));
    format!("name,answer\n{}", lines.collect::<String>()).into_bytes()
}

/// Arrays of NumPy, taken out of their archives.
pub fn npy() -> Vec<Vec<u8>> {
    let array = |npz: &Vec<u8>| Archive::open(npz).unwrap().read("W.npy", 1 << 20).unwrap().unwrap().into_owned();
    npz()[..4].iter().map(array).collect()
}

/// A model file.
pub fn model() -> Vec<u8> {
    ModelFile {
        parameters: Parameters::new(DIMS, vec![0.5; 6], vec![0.25; 2]).unwrap(),
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
        setting: "lambda0.1_eta0.001".into(),
        hyperparameters: Hyperparameters { lambda: 0.1, ..Hyperparameters::default() },
        splits: ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"].map(String::from),
        version: "0.1.0".into(),
    }
    .to_bytes()
    .unwrap()
}

/// The entries of the tensors in the header of [`model()`].
pub fn model_tensors() -> Vec<String> {
    [("bias", "2", 0, 8), ("mean", "3", 8, 20), ("std", "3", 20, 32), ("weight", "2,3", 32, 56)]
        .iter()
        .map(|(name, shape, start, end)| {
            format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{shape}],\"data_offsets\":[{start},{end}]}}")
        })
        .collect()
}

/// The metadata in the header of [`model()`].
pub fn model_metadata() -> String {
    let model = String::from_utf8_lossy(&model()).into_owned();
    let start = model.find("\"__metadata__\"").unwrap();
    let end = start + model[start..].find('}').unwrap();
    model[start..=end].to_owned()
}

/// The tables that are read back, each with two rows. Most fields are 1, which is valid as a number and as a name.
pub fn csv() -> [Vec<u8>; 12] {
    fn table<R: Row>() -> Vec<u8> {
        let columns = R::columns();
        let field = |column: &&str| match *column {
            "shard" => "1/1",
            "loss" => "softmax",
            "shuffle" => "chacha8",
            "start" => "random",
            "variant" => "without_flip",
            "reported_in_run_95" => "true",
            _ => "1",
        };
        let row: Vec<_> = columns.iter().map(field).collect();
        let row = format!("{}\n", row.join(","));
        format!("{}\n{row}{row}", columns.join(",")).into_bytes()
    }
    [
        table::<CurveRow>(),
        table::<SummaryRow>(),
        table::<SearchRow>(),
        table::<GradcheckRow>(),
        table::<ReplicationRow>(),
        table::<SettingRow>(),
        table::<VerdictRow>(),
        confusion_csv(&Confusion::from_counts(10, (0..100).collect()), Dialect::Comma),
        table::<AblationRow>(),
        table::<ImprovementRow>(),
        table::<OverfittingRow>(),
        table::<ComparisonRow>(),
    ]
}

/// A training job as `search` writes it.
pub fn config() -> Vec<u8> {
    let config = Config {
        hyperparameters: Hyperparameters {
            lambda: 0.001,
            eta: 0.01,
            loss: Loss::Bce,
            decay_every: Some(10),
            decay_factor: Some(0.5),
            flip: 0.5,
            epochs: 30,
            ..Hyperparameters::default()
        },
        images: Images {
            dataset: Some("cifar10".into()),
            train_batches: Some(vec![1, 2, 3, 4, 5]),
            validation_size: Some(0),
            validation_batches: None,
        },
        ..Config::default()
    };
    config.to_toml(&["the best of 8 trials".into()]).unwrap()
}

/// The provenance of a training job.
pub fn provenance() -> Vec<u8> {
    Provenance {
        version: "0.1.0".into(),
        commit: Some(Commit { id: "01e2383aa".into(), modified: true }),
        command: vec!["onelayer".into(), "train".into()],
        seed: 42,
        hyperparameters: vec![Hyperparameters::default()],
        data: vec![RecordFile::from(BatchFile::Test).into()],
        processor: "a processor".into(),
        threads: 2,
        platform: "linux x86_64".into(),
    }
    .to_json()
}

/// Two epochs of weights.
pub fn snapshots() -> Vec<u8> {
    let epoch = vec![128; cifar10::DIMS.classes * cifar10::DIMS.features];
    snapshots::to_jpeg(&[epoch.clone(), epoch])
}

/// A real image as PNG and as JPEG, one that is not square, with 16 bits and transparency, and pictures of the other
/// kinds of both formats.
pub fn picture() -> Vec<Vec<u8>> {
    let pixels = pixels_of(&RECORDS[..RECORD_BYTES]);
    let wide: Vec<u8> = (0..24 * 40)
        .map(|i| (i / 40 * 32 / 24) * 32 + i % 40 * 32 / 40)
        .flat_map(|place| [0, 1, 2].map(|i| pixels[3 * place + i]).into_iter().chain([255 - (place % 128) as u8]))
        .flat_map(|sample| [sample, sample])
        .collect();
    let wide_header = PngHeader { width: 40, height: 24, depth: 16, color: 6, interlaced: false };
    let [plain, ..] = jpegs();
    let mut files =
        vec![png_with(32, 32, png::ColorType::Rgb, &pixels), plain.clone(), png_file(wide_header, &[], &wide)];
    // A palette of 16 colours, two of them transparent; and the same, interlaced and lying on its side.
    let palette: Vec<u8> = (0..48).map(|i| 5 * i).collect();
    let chunks = [(*b"PLTE", palette), (*b"tRNS", vec![0, 128])];
    let header = PngHeader { width: 64, height: 32, depth: 4, color: 3, interlaced: false };
    files.push(png_file(header, &chunks, &pixels[..1024]));
    let [big_endian, little_endian] = exif();
    let chunks = [&chunks[..], &[(*b"eXIf", big_endian)]].concat();
    files.push(png_file(PngHeader { interlaced: true, ..header }, &chunks, &pixels[..1024]));
    files.push(jpeg_with_exif(&plain, &little_endian));
    files.extend(jpegs().into_iter().skip(1));
    files
}

/// JPEGs of 32×32: colours, progressive grey, four inks, smaller planes of colour with restart markers.
pub fn jpegs() -> [Vec<u8>; 4] {
    use jpeg_encoder::ColorType::{CmykAsYcck, Luma, Rgb};
    let pixels = pixels_of(&RECORDS[..RECORD_BYTES]);
    let encoded = |color, length: usize, set: &dyn Fn(&mut Encoder<&mut Vec<u8>>)| {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 90);
        set(&mut encoder);
        let samples: Vec<u8> = pixels.iter().copied().cycle().take(length).collect();
        encoder.encode(&samples, 32, 32, color).unwrap();
        bytes
    };
    [
        encoded(Rgb, 3072, &|_| ()),
        encoded(Luma, 1024, &|encoder| encoder.set_progressive(true)),
        encoded(CmykAsYcck, 4096, &|_| ()),
        encoded(Rgb, 3072, &|encoder| {
            encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
            encoder.set_restart_interval(3);
        }),
    ]
}

/// EXIF blocks in both byte orders, for two of the orientations.
pub fn exif() -> [Vec<u8>; 2] {
    [
        b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".into(),
        b"II\x2a\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0abc\0\x12\x01\x03\0\x01\0\0\0\x07\0\0\0".into(),
    ]
}

/// Checkpoints at the beginning, in the middle and at the end.
pub fn checkpoint() -> [Vec<u8>; 3] {
    [0, 2, 3].map(|epochs| JOB.checkpoint(epochs))
}

/// Heads of answers that are continued, complete, redirected or refused.
pub fn head() -> [Vec<u8>; 4] {
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 170052171\r\nContent-Type: application/x-gzip\r\n\r\n\u{1f}",
        "HTTP/1.1 206 Partial Content\r\ncontent-length: 7\r\ncontent-range: bytes 3-9/10\r\n\r\n",
        "HTTP/1.1 302 Found\nLocation: https://localhost/x.tar.gz\nContent-Length: 0\n\n",
        "HTTP/2 416 \r\nContent-Range: bytes */10\r\n\r\n",
    ]
    .map(|head| head.as_bytes().to_vec())
}

/// The memory of two verified files.
pub fn memory() -> Vec<u8> {
    let line = |name, digest: &str| format!("{name} 6146 1764000000000000000 1764000000.000000001 {digest}\n");
    [line("x.bin", &"0".repeat(64)), line("y.bin", &"f".repeat(64))].concat().into_bytes()
}
