//! Which images a command works on: the arguments that several commands share.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use onelayer::dataset::cifar10::{self, BatchFile};
use onelayer::dataset::fetch::Source;
use onelayer::dataset::store::RecordFile;
use onelayer::dataset::{Splits, sample, store};
use onelayer::train::config::Images;

use crate::cli::fetch;

/// A data set by its name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// The published files, fetched if they are not there
    Cifar10,
    /// 2,000 of its images, which come with this program and need no network
    Sample,
}

impl Name {
    /// The folder of its files, unless told otherwise.
    pub fn dir(self) -> PathBuf {
        match self {
            Self::Cifar10 => cifar10::DEFAULT_DIR.into(),
            Self::Sample => sample::DEFAULT_DIR.into(),
        }
    }
}

/// Which images, and how they are split.
#[derive(Clone, clap::Args)]
pub struct DataArgs {
    /// Data set [default: cifar10]
    #[arg(long, value_enum, help_heading = "Data")]
    dataset: Option<Name>,
    /// Folder of its files [default: data/cifar-10-batches-bin or data/sample]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Training batches of CIFAR-10 to train on, such as 1,3,4 [default: 1]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Data")]
    train_batches: Option<Vec<u8>>,
    /// Images to hold out of the training images for validation, the last of each class, equally many; 0 trains on
    /// all, without validation [default: validate on --validation-batches]
    #[arg(long, value_name = "N", conflicts_with = "validation_batches", help_heading = "Data")]
    validation_size: Option<usize>,
    /// Training batches of CIFAR-10 to validate on [default: 2]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Data")]
    validation_batches: Option<Vec<u8>>,
}

/// The images, and what to call them.
pub struct Loaded {
    /// The images.
    pub splits: Splits,
    /// What the training, the validation and the test split are made of.
    pub names: [String; 3],
    /// The files that they were read from, each of which has its published digest.
    pub files: Vec<RecordFile>,
}

impl Loaded {
    /// The same images, `size` of the training split being the validation split.
    fn hold_out(self, size: usize) -> anyhow::Result<Self> {
        let Self { mut splits, mut names, files } = self;
        (splits.train, splits.validation) = splits.train.hold_out(size)?;
        let per_class = size / splits.train.dims().classes;
        if size == 0 {
            names[1] = "none".into();
        } else {
            names[1] = format!("the last {per_class} images of each class of {}", names[0]);
            names[0] += &format!(" but the last {per_class} images of each class");
        }
        Ok(Self { splits, names, files })
    }
}

impl DataArgs {
    /// Loads the splits, getting CIFAR-10 first if it is not there.
    pub fn load(&self, quiet: bool) -> anyhow::Result<Loaded> {
        let loaded = match self.name() {
            Name::Cifar10 => self.load_cifar10(quiet)?,
            Name::Sample => {
                let dir = self.dir();
                Loaded {
                    splits: sample::load(&dir).context(
                        "the sample comes with this program's source: run it there, or name the folder by --data-dir",
                    )?,
                    names: sample::PARTS.map(|part| format!("sample/{}", part.0.name)),
                    files: sample::PARTS.map(|part| part.0).to_vec(),
                }
            }
        };
        match self.validation_size {
            Some(size) => loaded.hold_out(size),
            None => Ok(loaded),
        }
    }

    fn load_cifar10(&self, quiet: bool) -> anyhow::Result<Loaded> {
        let train = batch_files(self.train_batches.as_deref().unwrap_or(&[1]))?;
        let validation = match self.validation_size {
            Some(_) => Vec::new(),
            None => batch_files(self.validation_batches.as_deref().unwrap_or(&[2]))?,
        };
        for file in &validation {
            ensure!(
                !train.contains(file),
                "--validation-batches must be others than --train-batches, but {file} is in both; \
                 --validation-size holds out a part of the training batches"
            );
        }
        let dir = self.dir();
        let mut files = [train.clone(), validation.clone()].concat();
        files.push(BatchFile::Test);
        fetch::ensure(&dir, &files, &Source::Auto, quiet)?;
        Ok(Loaded {
            names: [join(&train), join(&validation), BatchFile::Test.file_name().into()],
            splits: store::load_splits(&dir, &train, &validation)?,
            files: files.into_iter().map(RecordFile::from).collect(),
        })
    }

    fn name(&self) -> Name {
        self.dataset.unwrap_or(Name::Cifar10)
    }

    /// With the images of a configuration file where no argument names any.
    pub fn or(self, config: &Images) -> anyhow::Result<Self> {
        let named = |name: &String| {
            Name::from_str(name, false)
                .map_err(|_| anyhow::anyhow!("dataset must be cifar10 or sample, but is {name:?} in the file"))
        };
        let dataset = config.dataset.as_ref().map(named).transpose()?;
        let split = self.validation_size.is_some() || self.validation_batches.is_some();
        Ok(Self {
            dataset: self.dataset.or(dataset),
            train_batches: self.train_batches.or(config.train_batches.clone()),
            validation_size: match split {
                true => self.validation_size,
                false => config.validation_size,
            },
            ..self
        })
    }

    /// With the defaults of `search`: all training batches, of which a part is held out.
    pub fn or_of_search(self) -> Self {
        let held_out = match self.name() {
            Name::Cifar10 => 5000,
            Name::Sample => 300,
        };
        let split = self.validation_size.is_some() || self.validation_batches.is_some();
        Self {
            validation_size: if split { self.validation_size } else { Some(held_out) },
            train_batches: Some(self.train_batches.unwrap_or(vec![1, 2, 3, 4, 5])),
            ..self
        }
    }

    /// The images that were trained on and those that were validated on, all to be trained on.
    pub fn everything(&self) -> Self {
        let lists = [&self.train_batches, &self.validation_batches];
        Self {
            train_batches: Some(lists.into_iter().flatten().flatten().copied().collect()),
            validation_batches: None,
            validation_size: Some(0),
            ..self.clone()
        }
    }

    /// The images as a configuration file describes them.
    pub fn describe(&self) -> Images {
        let cifar10 = self.name() == Name::Cifar10;
        Images {
            dataset: self.name().to_possible_value().map(|value| value.get_name().to_owned()),
            train_batches: self.train_batches.clone().filter(|_| cifar10),
            validation_size: self.validation_size,
        }
    }

    fn dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| self.name().dir())
    }
}

/// The files of the batches `numbers`, none of them twice.
fn batch_files(numbers: &[u8]) -> anyhow::Result<Vec<BatchFile>> {
    let mut files = Vec::new();
    for &number in numbers {
        let file = BatchFile::train(number)?;
        ensure!(!files.contains(&file), "each batch can be named once, but {number} is named twice");
        files.push(file);
    }
    Ok(files)
}

fn join(files: &[BatchFile]) -> String {
    let names: Vec<_> = files.iter().map(|f| f.file_name()).collect();
    names.join(" ")
}
