//! `train.checkpoint`: the state of a training in one file, in the safetensors format.
//!
//! | tensor of setting i, from 0 | shape | type |
//! |---|---|---|
//! | `i.weight`, `i.bias` | (k, d), (k) | f32; not finite where the setting has diverged |
//! | `i.epochs` | (epochs, 8) | f64: learning rate; loss, cost and accuracy on the training and on the validation split, NaN if missing; seconds |
//! | `i.snapshots` | (epochs, k, d) or (0, k, d) | u8 |
//!
//! The metadata identify the training: everything that its results depend on, with digests of the data. A checkpoint is
//! only read for the training that wrote it. `sha256` is the digest of the whole file with its own 64 digits as zeros.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::Path;

use crate::dataset::store;
use crate::error::{Error, Result};
use crate::evaluate::Scores;
use crate::files::csv::Row;
use crate::files::safetensors::{self, Reader, Tensor, Texts, Values};
use crate::hyperparameters::{Hyperparameters, START_OVER, Setting, difference};
use crate::network::Parameters;
use crate::shape::Dims;
use crate::train::model::SPLITS;
use crate::train::start::digest_of;
use crate::train::{Divergence, Epoch, Job, Run, SplitScores, State};

/// The name of the file in the results folder.
pub const NAME: &str = "train.checkpoint";

/// The version of the file's format.
const FORMAT: &str = "2";
/// Number of values per epoch.
const COLUMNS: usize = 8;
/// Precedes the file's own digest in its header.
const DIGEST_KEY: &[u8] = br#""sha256":""#;
const DIGEST_DIGITS: usize = 64;
/// Upper bound of the header of a checkpoint, in bytes; a setting takes less than a thousandth of it.
const HEADER_BYTES: usize = 1 << 20;

/// Writes and reads the checkpoints of one job.
#[derive(Debug)]
pub struct Checkpoints {
    /// The metadata of every file of this job, in the order in which they are checked.
    identity: Vec<(&'static str, String)>,
    settings: Vec<Setting>,
    epochs: usize,
    dims: Dims,
}

impl Checkpoints {
    /// The checkpoints of `job`; computes the digests of its images.
    pub fn of(job: &Job) -> Self {
        let names: Vec<_> = job.settings.iter().map(|setting| setting.name()).collect();
        let mut identity = vec![("version", env!("CARGO_PKG_VERSION").into())];
        // The names of the settings say more than lists of λ and η, which follow.
        let (of_settings, shared): (Vec<_>, Vec<_>) =
            hyperparameters(job).into_iter().partition(|(name, _)| ["lambda", "eta"].contains(name));
        identity.extend(shared);
        identity.push(("settings", names.join(" ")));
        identity.extend(of_settings);
        identity.extend(SPLITS.into_iter().zip(job.names.clone()));
        identity.extend([
            ("train_sha256", job.splits.train.sha256()),
            ("validation_sha256", job.splits.validation.sha256()),
            ("test_sha256", job.splits.test.sha256()),
            ("normalizer_sha256", digest_of([job.normalizer.mean(), job.normalizer.std()])),
        ]);
        let dims = job.start.parameters.dims;
        Self { identity, settings: job.settings.to_vec(), epochs: job.schedule.epochs, dims }
    }

    /// The content of the file. Equal states give equal bytes.
    pub fn to_bytes(&self, state: &State) -> Vec<u8> {
        let State { runs, batches, seconds, keep_snapshots } = state;
        let mut metadata: Texts = self.identity.iter().map(|(name, text)| ((*name).into(), text.clone())).collect();
        metadata.extend([
            ("format".into(), FORMAT.into()),
            ("sha256".into(), "0".repeat(DIGEST_DIGITS)),
            ("trained_batches".into(), batches.to_string()),
            ("trained_seconds".into(), seconds.to_string()),
            ("keep_snapshots".into(), keep_snapshots.to_string()),
        ]);
        for (i, run) in runs.iter().enumerate() {
            if let Some(Divergence { epoch, quantity }) = &run.divergence {
                metadata.insert(format!("{i}.diverged_in"), epoch.to_string());
                metadata.insert(format!("{i}.diverged_by"), quantity.clone());
            }
        }
        let values: Vec<_> = runs.iter().map(|run| (epoch_values(&run.epochs), run.snapshots.concat())).collect();
        let runs = runs.iter().zip(&values).enumerate();
        let tensors = runs.flat_map(|(i, (run, (epochs, snapshots)))| run_tensors(i, run, epochs, snapshots));
        let tensors: Vec<_> = tensors.collect();
        let mut bytes = safetensors::to_bytes(&metadata, &tensors);
        let digest = digest_of_file(&bytes);
        let digits = digest_range(&bytes).expect("the digest was just written");
        bytes[digits].copy_from_slice(digest.as_bytes());
        bytes
    }

    /// Reads the file at `path`; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes); [`Error::Io`] if the file cannot be read.
    pub fn read(&self, path: &Path) -> Result<Option<State>> {
        let file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io("read", path))?,
        };
        let most = self.most_bytes();
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        if bytes.len() as u64 > most {
            let reason = format!("a checkpoint of this training has at most {most} bytes, but it has more; {ADVICE}");
            return Err(Error::format(path, reason));
        }
        self.from_bytes(&bytes, path).map(Some)
    }

    /// Reads a checkpoint of this job. Errors name `path` as its file.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if `bytes` is cut off, altered, or a checkpoint of another job, with the first difference;
    /// [`Error::Shape`] if a tensor does not have the shape that the job needs.
    pub fn from_bytes(&self, bytes: &[u8], path: &Path) -> Result<State> {
        let damaged = format!("the checkpoint is cut off or damaged; {START_OVER}");
        let file = Reader::new(bytes, path).map_err(|_| Error::format(path, damaged))?;
        self.check(&file, bytes)?;
        let run = |(i, &setting)| self.run(&file, i, setting);
        Ok(State {
            runs: self.settings.iter().enumerate().map(run).collect::<Result<_>>()?,
            batches: file.field("trained_batches")?,
            seconds: file.field("trained_seconds")?,
            keep_snapshots: file.field("keep_snapshots")?,
        })
    }

    /// Checks that the file is unaltered and belongs to this job.
    fn check(&self, file: &Reader, bytes: &[u8]) -> Result<()> {
        let check = |name: &str, expected: &str, refusal: &dyn Fn(&str) -> String| {
            let found: String = file.field(name)?;
            let advice = if ["format", "sha256", "version"].contains(&name) { START_OVER } else { ADVICE };
            let refuse = || file.format_error(format!("{}; {advice}", refusal(&found)));
            if found == expected { Ok(()) } else { Err(refuse()) }
        };
        check("format", FORMAT, &|found| format!("the format must be {FORMAT}, but is {found}"))?;
        let digest = digest_of_file(bytes);
        check("sha256", &digest, &|found| {
            format!("the checkpoint is altered: its SHA-256 was {found} and is {digest}")
        })?;
        self.identity.iter().try_for_each(|(name, expected)| {
            check(name, expected, &|found| {
                format!("this checkpoint was made with {}", difference(name, found, expected))
            })
        })
    }

    /// The run of the `i`th setting.
    fn run(&self, file: &Reader, i: usize, setting: Setting) -> Result<Run> {
        let Dims { features, classes } = self.dims;
        let name = |part: &str| format!("{i}.{part}");
        let weight = file.f32_of(&name("weight"), &[classes, features])?;
        let bias = file.f32_of(&name("bias"), &[classes])?;
        let (shape, values) = file.f64(&name("epochs"))?;
        if shape.get(1..) != Some(&[COLUMNS]) {
            return Err(file.shape_error(&name("epochs"), format!("(epochs, {COLUMNS})"), &shape));
        }
        let (shape, snapshots) = file.u8(&name("snapshots"))?;
        if shape.get(1..) != Some(&[classes, features]) {
            let expected = format!("(epochs, {classes}, {features})");
            return Err(file.shape_error(&name("snapshots"), expected, &shape));
        }
        let divergence = match file.text(&name("diverged_by")) {
            None => None,
            Some(quantity) => Some(Divergence { epoch: file.field(&name("diverged_in"))?, quantity: quantity.into() }),
        };
        let (values, _) = values.as_chunks();
        let numbered = (1..).zip(values);
        let epochs = numbered.map(|(number, values)| epoch(number, values, divergence.as_ref()));
        let snapshots = snapshots.chunks_exact(classes * features);
        Ok(Run {
            setting,
            epochs: epochs.collect(),
            parameters: Parameters { dims: self.dims, weight, bias },
            snapshots: snapshots.map(<[u8]>::to_vec).collect(),
            divergence,
        })
    }

    /// The largest size of a checkpoint of this job.
    fn most_bytes(&self) -> u64 {
        let Dims { features, classes } = self.dims;
        let weights = classes * features;
        let parameters = (weights + classes).saturating_mul(size_of::<f32>());
        let of_epochs = self.epochs.saturating_mul(COLUMNS * size_of::<f64>() + weights);
        let run = parameters.saturating_add(of_epochs);
        (self.settings.len().saturating_mul(run)).saturating_add(HEADER_BYTES) as u64
    }
}

/// Advice if the checkpoint is of another training.
const ADVICE: &str = "use the options that it was made with, or drop --resume to start over";

/// The hyperparameters of the members by name; where the members differ, a value for each.
fn hyperparameters(job: &Job) -> Vec<(&'static str, String)> {
    let members: Vec<_> = job.settings.iter().map(|&setting| job.hyperparameters(setting).to_texts()).collect();
    let values = |name: &str| {
        let mut values: Vec<_> = members.iter().map(|texts| texts.get(name).map_or("none", String::as_str)).collect();
        if values.iter().all(|value| value == &values[0]) {
            values.truncate(1);
        }
        values.join(" ")
    };
    Hyperparameters::columns().into_iter().map(|name| (name, values(name))).collect()
}

/// The tensors of the `i`th run.
fn run_tensors<'a>(i: usize, run: &'a Run, epochs: &'a [f64], snapshots: &'a [u8]) -> [Tensor<'a>; 4] {
    let Parameters { dims, weight, bias } = &run.parameters;
    let tensor =
        |name: &str, shape: &[usize], values| Tensor { name: format!("{i}.{name}"), shape: shape.to_vec(), values };
    let (k, d) = (dims.classes, dims.features);
    [
        tensor("epochs", &[run.epochs.len(), COLUMNS], Values::F64(epochs)),
        tensor("weight", &[k, d], Values::F32(weight)),
        tensor("bias", &[k], Values::F32(bias)),
        tensor("snapshots", &[run.snapshots.len(), k, d], Values::U8(snapshots)),
    ]
}

/// The numbers of the epochs, (epochs, [`COLUMNS`]), row-major.
fn epoch_values(epochs: &[Epoch]) -> Vec<f64> {
    let values = |epoch: &Epoch| {
        let SplitScores { train, validation } = epoch.scores.unwrap_or_default();
        let numbers = |scores: Option<Scores>| scores.map_or([f64::NAN; 3], |s| [s.loss, s.cost, s.accuracy]);
        [&[epoch.learning_rate], &numbers(train)[..], &numbers(validation), &[epoch.seconds]].concat()
    };
    epochs.iter().flat_map(values).collect()
}

/// The inverse of [`epoch_values`] for the epoch `number`.
fn epoch(number: usize, values: &[f64; COLUMNS], divergence: Option<&Divergence>) -> Epoch {
    let &[learning_rate, train_loss, train_cost, train_accuracy, loss, cost, accuracy, seconds] = values;
    let finite = |scores: Scores| scores.is_finite().then_some(scores);
    let scores = SplitScores {
        train: finite(Scores { loss: train_loss, cost: train_cost, accuracy: train_accuracy }),
        validation: finite(Scores { loss, cost, accuracy }),
    };
    let diverged = divergence.is_some_and(|d| number >= d.epoch);
    Epoch { number, learning_rate, scores: (!diverged).then_some(scores), seconds }
}

/// The SHA-256 of the file `bytes` with the digits of its own SHA-256 as zeros.
fn digest_of_file(bytes: &[u8]) -> String {
    let Range { start, end } = digest_range(bytes).unwrap_or(0..0);
    let zeros = [b'0'; DIGEST_DIGITS];
    let reader = bytes[..start].chain(&zeros[..end - start]).chain(&bytes[end..]);
    store::sha256(reader).expect("memory can be read")
}

/// The place of the file's own digest in it.
fn digest_range(bytes: &[u8]) -> Option<Range<usize>> {
    let mut places = bytes.windows(DIGEST_KEY.len());
    let start = places.position(|window| window == DIGEST_KEY)? + DIGEST_KEY.len();
    let end = start + DIGEST_DIGITS;
    (end <= bytes.len()).then_some(start..end)
}

#[cfg(test)]
mod tests;
