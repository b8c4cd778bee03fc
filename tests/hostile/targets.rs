//! One function per parser of the program: it takes bytes and returns whether they were read or refused, and asserts
//! what must hold for any bytes. The property tests beside this file and the targets of `fuzz/` use these functions.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use onelayer::Result;
use onelayer::audit::{Given, Record};
use onelayer::dataset::cifar10::{self, RECORD_BYTES};
use onelayer::dataset::fetch::{Catalog, Entry, Head, Source, fetch};
use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::store::{self, RecordFile, Trust};
use onelayer::dataset::{Dataset, Splits, picture};
use onelayer::evaluate::table::read_confusion;
use onelayer::figures::snapshots;
use onelayer::files::csv::{self, Dialect, Row};
use onelayer::files::npz::Npz;
use onelayer::files::{npy, zip};
use onelayer::gradcheck::quiz;
use onelayer::gradcheck::referee::{Exercise, Layout, Referee, Tolerance, files};
use onelayer::gradcheck::reference::Parameters64;
use onelayer::gradcheck::table::GradcheckRow;
use onelayer::hyperparameters::Loss;
use onelayer::hyperparameters::{Schedule, Setting};
use onelayer::network::Parameters;
use onelayer::replicate::ablation::table::{AblationRow, ImprovementRow};
use onelayer::replicate::overfitting::table::{ComparisonRow, OverfittingRow};
use onelayer::replicate::table::{ReplicationRow, SettingRow, VerdictRow};
use onelayer::search::table::SearchRow;
use onelayer::shape::Dims;
use onelayer::train::checkpoint::Checkpoints;
use onelayer::train::config::Config;
use onelayer::train::elsewhere::Elsewhere;
use onelayer::train::model::ModelFile;
use onelayer::train::provenance::Provenance;
use onelayer::train::table::{CurveRow, SummaryRow};
use onelayer::train::{Data, Job, Start, State, Trainer, start_from_npz};
use rawzip::path::EntryPath;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use tempfile::TempDir;

use super::common::{gzip, jpeg_with_exif, png_chunk, png_of, tar_of};

/// The outcome of a parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The bytes are a valid file.
    Read,
    /// They are not; an error says why.
    Refused,
}

use Outcome::{Read, Refused};

/// The sizes of the problems in the `.npz` files.
pub const DIMS: Dims = Dims { features: 3, classes: 2 };

fn outcome<T>(result: &Result<T>) -> Outcome {
    match result {
        Ok(_) => Read,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Refused
        }
    }
}

/// The outcome for a file in one of several formats.
fn any_read(outcomes: &[Outcome]) -> Outcome {
    if outcomes.contains(&Read) { Read } else { Refused }
}

/// Records of CIFAR-10.
pub fn records(bytes: &[u8]) -> Outcome {
    let dataset = cifar10::from_records(bytes, Path::new("x.bin"));
    if let Ok(dataset) = &dataset {
        assert!(cifar10::to_records(dataset) == bytes);
    }
    outcome(&dataset)
}

fn is_finite(parameters: &Parameters) -> bool {
    parameters.weight.iter().chain(&parameters.bias).all(|v| v.is_finite())
}

/// `.npz` files: starting parameters, models, runs to audit, problems and submissions of the referee, and whatever arrays there
/// are.
pub fn npz(bytes: &[u8]) -> Outcome {
    let path = Path::new("x.npz");
    let parameters = start_from_npz(bytes, path, DIMS);
    if let Ok(parameters) = &parameters {
        assert!(is_finite(parameters));
    }
    let problem = files::read_problem(bytes, path);
    if let Ok(problem) = &problem {
        assert!(problem.x().iter().all(|x| x.is_finite()) && problem.lambda().is_finite());
        let written = files::problem_to_npz(problem).unwrap();
        assert!(files::read_problem(&written, path).unwrap() == *problem);
    }
    let submission = files::read_submission(bytes, path, &EXERCISE);
    let model = Elsewhere::from_npz(bytes, path, DIMS);
    let record = Record::from_npz(bytes, path, DIMS, &Given::default());
    let mut outcomes =
        vec![outcome(&parameters), outcome(&problem), outcome(&submission), outcome(&model), outcome(&record)];
    if let Ok(npz) = Npz::open(bytes, path) {
        for name in npz.names() {
            let array = npz.array(&name);
            if let Ok(array) = &array {
                assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
            }
            outcomes.extend([outcome(&array), outcome(&npz.integers(&name))]);
        }
    }
    any_read(&outcomes)
}

/// The problem of the submissions: 2 examples.
static EXERCISE: LazyLock<Exercise> = LazyLock::new(|| {
    let weight = vec![0.5, -0.25, 0.75, 0.125, 1.0, -0.5];
    let parameters = Parameters64 { dims: DIMS, weight: weight.clone(), bias: vec![0.25, -0.5] };
    Exercise::new(weight, vec![0, 1], parameters, 0.1, Loss::Softmax, Layout::Rows).unwrap()
});

/// A submission to the referee, in either of its formats: it is judged if it can be read.
pub fn submission(bytes: &[u8]) -> Outcome {
    let submission = files::read_submission(bytes, Path::new("x.npz"), &EXERCISE);
    if let Ok(submission) = &submission {
        let findings = Referee::new(&EXERCISE, Tolerance::default()).unwrap().judge(submission).unwrap();
        assert_eq!(findings.len(), submission.len());
    }
    outcome(&submission)
}

/// The answers to a quiz, and the names of its cases.
pub fn answers(bytes: &[u8]) -> Outcome {
    static CASES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| quiz::files(&EXERCISE, 1).unwrap());
    outcome(&quiz::grade(&CASES, &String::from_utf8_lossy(bytes), Path::new("x.csv")))
}

/// An `.npy` file, by itself and as the array `W` of an archive that is right.
pub fn npy(bytes: &[u8]) -> Outcome {
    let alone = array(bytes);
    let in_archive = npz(&npz_of(&[("W.npy", bytes)], CompressionMethod::STORE));
    assert!(alone == in_archive, "{alone:?} alone, but {in_archive:?} in an archive");
    alone
}

/// An `.npy` file, by itself.
pub fn array(bytes: &[u8]) -> Outcome {
    fn checked<T: Copy>(array: std::result::Result<npy::Array<T>, String>) -> Outcome {
        match array {
            Ok(array) => {
                assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
                Read
            }
            Err(reason) => {
                assert_eq!(reason.lines().count(), 1, "{reason}");
                Refused
            }
        }
    }
    any_read(&[checked(npy::floats(bytes)), checked(npy::integers(bytes)), checked(npy::numbers(bytes))])
}

/// A ZIP archive; what is read of it is written and read again.
pub fn zip(bytes: &[u8]) -> Outcome {
    let archive = match zip::Archive::open(bytes) {
        Ok(archive) => archive,
        Err(reason) => {
            assert_eq!(reason.lines().count(), 1, "{reason}");
            return Refused;
        }
    };
    let names: BTreeSet<&str> = archive.names().collect();
    let mut outcome = Refused;
    for name in names {
        let file = match archive.read(name, ZIP_LIMIT) {
            Ok(content) => (name.to_owned(), content.unwrap().into_owned()),
            Err(reason) => {
                assert_eq!(reason.lines().count(), 1, "{reason}");
                continue;
            }
        };
        assert!(file.1.len() as u64 <= ZIP_LIMIT);
        let again = zip::to_bytes(std::slice::from_ref(&file)).unwrap();
        let again = zip::Archive::open(&again).unwrap().read(name, ZIP_LIMIT).unwrap().map(Cow::into_owned);
        assert!(again == Some(file.1));
        outcome = Read;
    }
    outcome
}

/// The largest entry that [`zip`] reads.
const ZIP_LIMIT: u64 = 1 << 20;

/// A ZIP archive of `entries` with data descriptors.
pub fn npz_of(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut bytes);
    for (name, content) in entries {
        let file = archive.new_file(EntryPath::verbatim(name.as_bytes())).compression_method(method);
        let (mut entry, config) = file.start().unwrap();
        let descriptor = if method == CompressionMethod::DEFLATE {
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(content).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

/// Model files.
pub fn model(bytes: &[u8]) -> Outcome {
    let path = Path::new("x.safetensors");
    let model = ModelFile::from_bytes(bytes, path);
    if let Ok(model) = &model {
        assert!(is_finite(&model.parameters) && model.std.iter().all(|&s| s > 0.0));
        let again = ModelFile::from_bytes(&model.to_bytes().unwrap(), path).unwrap();
        assert_eq!(&again.parameters, &model.parameters);
    }
    outcome(&model)
}

/// The tables that are read back. Of those whose first column is another, all by the same lines of code, one is tried.
pub fn csv(bytes: &[u8]) -> Outcome {
    any_read(&[
        table::<SummaryRow>(bytes),
        table::<CurveRow>(bytes),
        table::<SearchRow>(bytes),
        table::<GradcheckRow>(bytes),
        table::<ReplicationRow>(bytes),
        table::<SettingRow>(bytes),
        table::<VerdictRow>(bytes),
        table::<AblationRow>(bytes),
        table::<ImprovementRow>(bytes),
        table::<OverfittingRow>(bytes),
        table::<ComparisonRow>(bytes),
        outcome(&read_confusion(bytes, Path::new("x.csv"))),
    ])
}

fn table<R: Row + std::fmt::Debug>(bytes: &[u8]) -> Outcome {
    let path = Path::new("x.csv");
    let [first, always] = [R::columns()[0], SummaryRow::columns()[0]];
    if first != always && !bytes.starts_with(first.as_bytes()) {
        return Refused;
    }
    let rows = csv::from_csv::<R>(bytes, path);
    if let Ok(rows) = &rows {
        let again = csv::from_csv::<R>(&csv::to_csv(rows, Dialect::Semicolon), path).unwrap();
        assert_eq!(format!("{again:?}"), format!("{rows:?}"));
    }
    outcome(&rows)
}

/// A training job as TOML.
pub fn config(bytes: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Refused;
    };
    outcome(&Config::from_toml(text, Path::new("x.toml")))
}

/// The provenance of a training job.
pub fn provenance(bytes: &[u8]) -> Outcome {
    let path = Path::new("x.json");
    let provenance = Provenance::from_json(bytes, path);
    if let Ok(provenance) = &provenance {
        let again = Provenance::from_json(&provenance.to_json(), path).unwrap();
        assert_eq!(&again, provenance);
    }
    outcome(&provenance)
}

/// The picture of the weights after each epoch.
pub fn snapshots(bytes: &[u8]) -> Outcome {
    outcome(&snapshots::layout(bytes, Path::new("x.jpg")))
}

/// A picture for `predict`.
pub fn picture(bytes: &[u8]) -> Outcome {
    let pixels = picture::decode(bytes, Path::new("x.png"));
    if let Ok(pixels) = &pixels {
        assert_eq!(pixels.len(), cifar10::DIMS.features);
    }
    outcome(&pixels)
}

/// An EXIF block in a valid PNG and in a valid JPEG. Whatever it contains, both are read, and as it says in both.
pub fn exif(block: &[u8]) -> Outcome {
    /// The longest block that fits into a segment of a JPEG.
    const MAX_BYTES: usize = 65_527;
    /// A PNG and a JPEG of 32×32.
    const PICTURES: [&[u8]; 2] = [include_bytes!("corpus/picture/valid-0"), include_bytes!("corpus/picture/valid-1")];
    static UPRIGHT: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| PICTURES.map(pixels));
    fn pixels(bytes: &[u8]) -> Vec<u8> {
        picture::decode(bytes, Path::new("x")).unwrap()
    }
    if block.len() > MAX_BYTES {
        return Refused;
    }
    let [png, jpeg] = PICTURES;
    // The chunk follows the signature of 8 bytes and the header of 25.
    let png = [&png[..33], &png_chunk(b"eXIf", block), &png[33..]].concat();
    let turned = [pixels(&png) != UPRIGHT[0], pixels(&jpeg_with_exif(jpeg, block)) != UPRIGHT[1]];
    assert_eq!(turned[0], turned[1]);
    if turned[0] { Read } else { Refused }
}

/// Checkpoints, with a digest that makes them pass for unaltered. Training resumes from those that are read.
pub fn checkpoint(bytes: &[u8]) -> Outcome {
    let mut bytes = bytes.to_vec();
    sign(&mut bytes);
    let path = Path::new("x.checkpoint");
    let state = JOB.checkpoints().from_bytes(&bytes, path);
    if let Ok(state) = &state
        && let Ok(mut trainer) = Trainer::resume(JOB.data(), &JOB.schedule, state.clone())
        && !trainer.is_done()
    {
        trainer.epoch(&mut ()).unwrap();
    }
    outcome(&state)
}

/// Writes the digest of a checkpoint into it, if there is a place for it.
fn sign(bytes: &mut [u8]) {
    let key = br#""sha256":""#;
    let place = bytes.windows(key.len()).position(|window| window == key);
    let Some(start) = place.map(|place| place + key.len()) else {
        return;
    };
    if let Some(digits) = bytes.get_mut(start..start + 64) {
        digits.fill(b'0');
        let digest = store::sha256(&*bytes).unwrap();
        bytes[start..start + 64].copy_from_slice(digest.as_bytes());
    }
}

/// The training job of the checkpoints: two settings on four examples.
pub static JOB: LazyLock<TinyJob> = LazyLock::new(|| {
    let pixels = [0, 50, 100, 150, 200, 250, 10, 20, 30, 70, 80, 90].to_vec();
    let examples = Dataset::new(DIMS, pixels, vec![0, 1, 1, 0]).unwrap();
    TinyJob {
        normalizer: Normalizer::fit(&examples).unwrap(),
        splits: Splits { train: examples.clone(), validation: examples.clone(), test: examples },
        settings: [0.0, 0.1].map(|lambda| Setting::new(lambda, 0.01).unwrap()),
        schedule: Schedule { epochs: 3, batch_size: 2, ..Schedule::REPORT },
        start: Start::from_file(Parameters::new(DIMS, vec![0.5; 6], vec![0.25; 2]).unwrap()),
        names: ["train", "validation", "test"].map(str::to_owned),
    }
});

/// A training job that takes almost no time.
pub struct TinyJob {
    settings: [Setting; 2],
    schedule: Schedule,
    start: Start,
    splits: Splits,
    names: [String; 3],
    normalizer: Normalizer,
}

impl TinyJob {
    fn data(&self) -> Data<'_> {
        Data { train: &self.splits.train, validation: &self.splits.validation, normalizer: &self.normalizer }
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::of(&Job {
            settings: &self.settings,
            schedule: &self.schedule,
            start: &self.start,
            splits: &self.splits,
            names: &self.names,
            files: &[],
            normalizer: &self.normalizer,
        })
    }

    /// The checkpoint after `epochs`.
    pub fn checkpoint(&self, epochs: usize) -> Vec<u8> {
        let state = State { keep_snapshots: true, ..State::new(&self.settings, &self.start.parameters) };
        let mut trainer = Trainer::resume(self.data(), &self.schedule, state).unwrap();
        for _ in 0..epochs {
            trainer.epoch(&mut ()).unwrap();
        }
        self.checkpoints().to_bytes(trainer.state())
    }
}

/// An archive on disk.
pub fn archive(bytes: &[u8]) -> Outcome {
    SANDBOX.with_borrow(|sandbox| sandbox.fetch(bytes))
}

/// A tar archive in a valid gzip file.
pub fn tar(bytes: &[u8]) -> Outcome {
    archive(&gzip(bytes, Compression::fast()))
}

/// The PNG in an otherwise valid tarball of the npm package.
pub fn png(bytes: &[u8]) -> Outcome {
    tar(&tar_of(&[("package/x.png", bytes), ("package/x.json", LABELS.as_bytes())]))
}

/// A file of the Python version in an otherwise valid archive.
pub fn pickle(bytes: &[u8]) -> Outcome {
    tar(&tar_of(&[("cifar-10-batches-py/x", bytes)]))
}

/// The JSON of labels in an otherwise valid tarball of the npm package.
pub fn labels(bytes: &[u8]) -> Outcome {
    static PNG: LazyLock<Vec<u8>> = LazyLock::new(|| png_of(&RECORDS));
    tar(&tar_of(&[("package/x.png", &PNG), ("package/x.json", bytes)]))
}

/// The memory of verified digests: with any content, an altered file is refused and the correct one is loaded.
pub fn memory(bytes: &[u8]) -> Outcome {
    SANDBOX.with_borrow(|sandbox| sandbox.load(bytes))
}

/// The head of an answer of a server. It ends at its first empty line, wherever the bytes are cut.
pub fn head(bytes: &[u8]) -> Outcome {
    match Head::parse(bytes) {
        Ok(Some((head, length))) => {
            assert!(length <= bytes.len() && length <= 64 * 1024 && bytes[..length].ends_with(b"\n"));
            assert!((100..1000).contains(&head.status) && head.reason.chars().count() <= 80);
            assert_eq!(Head::parse(&bytes[..length - 1]), Ok(None));
            assert_eq!(Head::parse(&bytes[..length]), Ok(Some((head, length))));
            Read
        }
        Ok(None) => {
            assert!(bytes.len() < 64 * 1024);
            Refused
        }
        Err(reason) => {
            assert!(!reason.is_empty());
            Refused
        }
    }
}

/// The real images in the archives.
pub static RECORDS: LazyLock<&[u8]> =
    LazyLock::new(|| &include_bytes!("../../data/sample/test.bin")[..2 * RECORD_BYTES]);

/// Their labels.
pub static LABELS: LazyLock<String> = LazyLock::new(|| format!("[{},{}]", RECORDS[0], RECORDS[RECORD_BYTES]));

/// The name of the wanted file.
const NAME: &str = "x.bin";

/// A catalog of the two images.
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog {
    entries: vec![Entry {
        file: RecordFile { name: NAME, records: 2, sha256: store::sha256(*RECORDS).unwrap().leak(), advice: "none" },
        labels: "x.json",
        first_label: 0,
    }],
    ..Catalog::published(&[])
});

thread_local! {
    static SANDBOX: RefCell<Sandbox> = RefCell::new(Sandbox::new());
}

/// A folder that holds an archive and a data folder, and in which nothing else may appear.
pub struct Sandbox(pub TempDir);

impl Sandbox {
    /// An empty sandbox.
    pub fn new() -> Self {
        // In memory if possible, where syncing costs nothing.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let sandbox = Self(folder.unwrap());
        fs::create_dir(sandbox.data()).unwrap();
        sandbox
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Fetches from `archive`: either exactly the wanted file is written, or nothing.
    fn fetch(&self, archive: &[u8]) -> Outcome {
        let path = self.0.path().join("archive");
        fs::write(&path, archive).unwrap();
        let source = Source::Path(path);
        let fetched = fetch(&self.data(), &CATALOG, &source, Trust::Nothing, &mut ());
        let written = fs::read(self.data().join(NAME)).ok();
        assert_eq!(written.is_some(), fetched.is_ok());
        assert!(written.is_none_or(|bytes| bytes == *RECORDS));
        self.tidy();
        outcome(&fetched)
    }

    /// Loads the altered and the correct file, with `memory` as the memory of digests.
    fn load(&self, memory: &[u8]) -> Outcome {
        let load = |bytes: &[u8]| {
            fs::write(self.data().join(NAME), bytes).unwrap();
            fs::write(self.data().join(".verified"), memory).unwrap();
            store::load(&self.data(), &[CATALOG.entries[0].file], Trust::Remembered)
        };
        let mut altered = RECORDS.to_vec();
        altered[RECORD_BYTES - 1] ^= 1;
        assert!(load(&altered).is_err(), "an altered file was trusted");
        assert!(cifar10::to_records(&load(&RECORDS).unwrap()) == *RECORDS);
        let remembered = fs::read_to_string(self.data().join(".verified")).unwrap();
        self.tidy();
        // Lines about other files are kept.
        if remembered.lines().count() > 1 { Read } else { Refused }
    }

    /// Asserts that nothing but the expected files was written, and removes those.
    pub fn tidy(&self) {
        for (folder, allowed) in
            [(self.0.path().to_owned(), &["archive", "data"][..]), (self.data(), &[".lock", ".verified", NAME])]
        {
            for entry in fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name();
                assert!(allowed.iter().any(|a| name == *a), "{name:?} was written");
            }
        }
        let _ = fs::remove_file(self.data().join(NAME));
        let _ = fs::remove_file(self.data().join(".verified"));
    }
}
