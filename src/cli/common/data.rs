//! The arguments that select the images, and their loading.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::ValueEnum;
use onelayer::Error;
use onelayer::dataset::cifar10::{self, BatchFile, DIMS};
use onelayer::dataset::fetch::{self, Catalog, Source};
use onelayer::dataset::store::{RecordFile, Trust};
use onelayer::dataset::{Dataset, Splits, sample, store};
use onelayer::train::config::Images;

use super::progress;
use super::rules::check_unused;

/// The name of a data set.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetName {
    /// The published files, which are downloaded if they are missing
    Cifar10,
    /// 2,000 of its images, which are inside the program
    Sample,
}

impl DatasetName {
    /// The default folder of its files.
    pub fn dir(self) -> PathBuf {
        data_folder().join(match self {
            Self::Cifar10 => "cifar-10-batches-bin",
            Self::Sample => "sample",
        })
    }
}

/// `data` if there is such a folder here; otherwise this program's in the user's folder for data.
fn data_folder() -> PathBuf {
    let here = PathBuf::from("data");
    if here.is_dir() { here } else { user_data_folder().map_or(here, |folder| folder.join("onelayer")) }
}

/// The user's folder for data: that of the XDG Base Directory Specification, or the system's own.
fn user_data_folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    let home = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    absolute("XDG_DATA_HOME").or_else(|| env::home_dir().map(|folder| folder.join(home)))
}

/// The images and their splits.
#[derive(Clone, clap::Args)]
pub struct DataArgs {
    /// Data set [default: cifar10]
    #[arg(long, value_enum, help_heading = "Data")]
    dataset: Option<DatasetName>,
    /// Folder with its files: the binary or the Python version of CIFAR-10, or the sample's [default: data/cifar-10-batches-bin or,
    /// without a folder data here, the same in the user's folder for data; the sample is inside the program]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Batches of CIFAR-10 to train on, such as 1,3,4 [default: 1]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Data")]
    train_batches: Option<Vec<u8>>,
    /// Hold out this many training images for validation, the same number from each class; 0 trains on all images without
    /// validation [default: validate on --validation-batches]
    #[arg(long, value_name = "N", help_heading = "Data")]
    validation_size: Option<usize>,
    /// Batches of CIFAR-10 to validate on [default: 2]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Data")]
    validation_batches: Option<Vec<u8>>,
}

/// The loaded images.
pub struct Loaded {
    pub splits: Splits,
    /// Descriptions of the training, the validation and the test split.
    pub names: [String; 3],
    /// The files that were read, each with its published digest.
    pub files: Vec<RecordFile>,
}

impl Loaded {
    /// The same images, with `size` of the training images as the validation split.
    fn hold_out(self, size: usize) -> anyhow::Result<Self> {
        let Self { mut splits, mut names, files } = self;
        if size == 0 {
            // Without a copy of all training images.
            splits.validation = Dataset::new(splits.train.dims(), Vec::new(), Vec::new())?;
            names[1] = "none".into();
        } else {
            (splits.train, splits.validation) = splits.train.hold_out(size)?;
            let per_class = size / splits.train.dims().classes;
            names[1] = format!("the last {per_class} images of each class of {}", names[0]);
            names[0] += &format!(" but the last {per_class} images of each class");
        }
        Ok(Self { splits, names, files })
    }
}

impl DataArgs {
    /// Checks the arguments, before anything is downloaded and before the results folder is created.
    pub fn check(&self) -> anyhow::Result<()> {
        let batches = [("--train-batches", &self.train_batches), ("--validation-batches", &self.validation_batches)];
        for (option, list) in batches {
            ensure!(
                self.dataset() == DatasetName::Cifar10 || list.is_none(),
                "{option} names files of CIFAR-10, but the sample has splits of its own; leave it out"
            );
        }
        match self.dataset() {
            DatasetName::Cifar10 => self.batches().map(drop),
            DatasetName::Sample => Ok(()),
        }
    }

    /// Loads the splits. Missing files of CIFAR-10 are downloaded first.
    pub fn load(&self, quiet: bool) -> anyhow::Result<Loaded> {
        self.check()?;
        let loaded = match self.dataset() {
            DatasetName::Cifar10 => self.load_cifar10(quiet)?,
            DatasetName::Sample => Loaded {
                splits: self.sample()?,
                names: [0, 1, 2].map(sample_name),
                files: sample::PARTS.map(|part| part.0).to_vec(),
            },
        };
        match self.validation_size {
            Some(size) => loaded.hold_out(size),
            None => Ok(loaded),
        }
    }

    /// The files of CIFAR-10 to train and to validate on.
    fn batches(&self) -> anyhow::Result<(Vec<BatchFile>, Vec<BatchFile>)> {
        let train = batch_files("train-batches", self.train_batches.as_deref().unwrap_or(&[1]))?;
        let validation = match self.validation_size {
            Some(_) => Vec::new(),
            None => batch_files("validation-batches", self.validation_batches.as_deref().unwrap_or(&[2]))?,
        };
        if let Some(file) = validation.iter().find(|file| train.contains(file)) {
            bail!(self.shared_batch(*file));
        }
        // Refused before the files are downloaded; the exact bound is known only then.
        let images = train.len() * cifar10::RECORDS_PER_FILE;
        if let Some(size) = self.validation_size.filter(|&size| size % DIMS.classes != 0 || size >= images) {
            let expected = format!(
                "a multiple of {}, the number of classes, and below {images}, the number of training images",
                DIMS.classes
            );
            bail!(Error::invalid("validation-size", expected, size));
        }
        Ok((train, validation))
    }

    /// Why the batch `file`, which is in both lists of batches, is refused.
    fn shared_batch(&self, file: BatchFile) -> String {
        let (role, choice) = match (&self.train_batches, &self.validation_batches) {
            (Some(_), None) => ("is for validation by default", "name other batches with --validation-batches"),
            (None, Some(_)) => ("is for training by default", "name other batches with --train-batches"),
            _ => (
                "cannot be used for both training and validation",
                "list it in one of --train-batches and --validation-batches",
            ),
        };
        format!("{file} {role}: {choice}, or hold out training images with --validation-size")
    }

    fn load_cifar10(&self, quiet: bool) -> anyhow::Result<Loaded> {
        let (train, validation) = self.batches()?;
        let dir = self.dir();
        let mut files = [train.clone(), validation.clone()].concat();
        files.push(BatchFile::Test);
        fetch_missing(&dir, &files, quiet)?;
        Ok(Loaded {
            names: [join(&train), join(&validation), BatchFile::Test.file_name().into()],
            splits: store::load_splits(&dir, &train, &validation)?,
            files: files.into_iter().map(RecordFile::from).collect(),
        })
    }

    /// Only the images for testing and, if they are needed, for training and validation: the others are not loaded. An argument
    /// that selects images that are not needed is refused, with the reason `because`.
    pub fn only(&self, train: bool, validation: bool, because: &str) -> anyhow::Result<Self> {
        let unused = [
            ("--train-batches", self.train_batches.is_some() && !train),
            ("--validation-batches", self.validation_batches.is_some() && !validation),
            ("--validation-size", self.holds_out() && (!train || (!validation && self.validation_size == Some(0)))),
        ];
        check_unused(&unused, because)?;
        let mut needed = self.clone();
        if self.dataset() == DatasetName::Cifar10 {
            if !train {
                needed.train_batches = Some(Vec::new());
            }
            if !validation && self.validation_size.is_none() {
                needed.validation_batches = Some(Vec::new());
            }
        }
        Ok(needed)
    }

    /// True if the images for validation are held out of those for training.
    pub fn holds_out(&self) -> bool {
        self.validation_size.is_some()
    }

    /// The number of training images, which is known before they are loaded.
    pub fn training_images(&self) -> usize {
        let images = match self.dataset() {
            DatasetName::Cifar10 => self.train_batches.as_ref().map_or(1, Vec::len) * cifar10::RECORDS_PER_FILE,
            DatasetName::Sample => sample::PARTS[0].0.records,
        };
        // Loading refuses to hold out all of them.
        images.checked_sub(self.validation_size.unwrap_or(0)).filter(|&left| left > 0).unwrap_or(images)
    }

    /// Checks that there are images for validation, which `purpose` needs.
    pub fn check_validation(&self, purpose: &str) -> onelayer::Result<()> {
        match self.validation_size {
            Some(0) => Err(Error::invalid("validation-size", format!("above 0 for {purpose}"), 0)),
            _ => Ok(()),
        }
    }

    /// The sample, unless an argument names another data set or a folder.
    pub fn or_sample(self) -> Self {
        let default = self.data_dir.is_none().then_some(DatasetName::Sample);
        Self { dataset: self.dataset.or(default), ..self }
    }

    /// True if the training images are those of the report: all of data_batch_1.bin or, in the sample, its part of them.
    pub fn trains_as_report(&self) -> bool {
        let first_batch = match self.dataset() {
            DatasetName::Cifar10 => self.train_batches.as_deref().is_none_or(|batches| batches == [1]),
            DatasetName::Sample => true,
        };
        first_batch && self.validation_size.unwrap_or(0) == 0
    }

    /// Loads the training images of the report, and returns their name too.
    pub fn load_report(&self, quiet: bool) -> anyhow::Result<(Dataset, String)> {
        match self.dataset() {
            DatasetName::Cifar10 => {
                let (dir, file) = (self.dir(), BatchFile::Train(1));
                fetch_missing(&dir, &[file], quiet)?;
                Ok((store::load(&dir, &[file], Trust::Remembered)?, file.file_name().into()))
            }
            DatasetName::Sample => Ok((self.sample()?.train, sample_name(0))),
        }
    }

    fn sample(&self) -> onelayer::Result<Splits> {
        self.data_dir.as_ref().map_or_else(sample::built_in, |dir| sample::load(dir))
    }

    fn dataset(&self) -> DatasetName {
        self.dataset.unwrap_or(DatasetName::Cifar10)
    }

    /// Fills in the images of a configuration file where no argument was given.
    pub fn or(self, config: &Images) -> Self {
        let of_file = config.dataset.as_ref().and_then(|name| DatasetName::from_str(name, false).ok());
        let dataset = self.dataset.or(of_file);
        let split = self.validation_size.is_some() || self.validation_batches.is_some();
        // The file can be of the other data set.
        let batches = |list: &Option<Vec<u8>>| list.clone().filter(|_| dataset != Some(DatasetName::Sample));
        Self {
            dataset,
            train_batches: self.train_batches.or(batches(&config.train_batches)),
            validation_size: if split { self.validation_size } else { config.validation_size },
            validation_batches: if split { self.validation_batches } else { batches(&config.validation_batches) },
            ..self
        }
    }

    /// True if the batches of a configuration file are of another data set.
    pub fn drops_batches_of(&self, config: &Images) -> bool {
        let has_batches = config.train_batches.is_some() || config.validation_batches.is_some();
        self.dataset() == DatasetName::Sample && has_batches
    }

    /// Fills in the defaults of `search`: all training batches, of which a part is held out.
    pub fn or_of_search(self) -> Self {
        let (held_out, batches) = match self.dataset() {
            DatasetName::Cifar10 => (5000, Some(vec![1, 2, 3, 4, 5])),
            DatasetName::Sample => (300, None),
        };
        let split = self.validation_size.is_some() || self.validation_batches.is_some();
        Self {
            validation_size: if split { self.validation_size } else { Some(held_out) },
            train_batches: self.train_batches.or(batches),
            ..self
        }
    }

    /// Trains on the images of both the training and the validation split.
    pub fn everything(&self) -> Self {
        let lists = [&self.train_batches, &self.validation_batches];
        let batches: Vec<u8> = lists.into_iter().flatten().flatten().copied().collect();
        Self {
            train_batches: (!batches.is_empty()).then_some(batches),
            validation_batches: None,
            validation_size: Some(0),
            ..self.clone()
        }
    }

    /// The images as a configuration file describes them.
    pub fn describe(&self) -> Images {
        let cifar10 = self.dataset() == DatasetName::Cifar10;
        Images {
            dataset: self.dataset().to_possible_value().map(|value| value.get_name().to_owned()),
            train_batches: self.train_batches.clone().filter(|_| cifar10),
            validation_size: self.validation_size,
            validation_batches: self.validation_batches.clone().filter(|_| cifar10),
        }
    }

    fn dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| self.dataset().dir())
    }
}

/// Fetches CIFAR-10 if one of `files` is not in the folder `dir`: with a single download, all files that are not there. Files that
/// are there are not checked: loading them does.
fn fetch_missing(dir: &Path, files: &[BatchFile], quiet: bool) -> anyhow::Result<()> {
    let is_missing = |file: &BatchFile| !store::is_there(dir, *file);
    if !files.iter().any(is_missing) {
        fetch::tidy(dir);
    } else {
        let missing: Vec<_> = BatchFile::ALL.into_iter().filter(is_missing).collect();
        // No progress, but a mistyped folder is to be noticed.
        if quiet {
            let names = missing.iter().map(|file| file.file_name()).collect::<Vec<_>>().join(", ");
            say!("{} lacks {names}: fetching CIFAR-10 (139 to 170 MB)", dir.display());
        }
        progress::fetch(dir, &Catalog::published(&missing), &Source::Auto, Trust::Remembered, quiet)?;
    }
    Ok(())
}

/// The files of the batches `numbers`, the value of `option`, each of which may occur once.
fn batch_files(option: &'static str, numbers: &[u8]) -> anyhow::Result<Vec<BatchFile>> {
    let mut files = Vec::new();
    for &number in numbers {
        let file = BatchFile::train(number).map_err(|_| Error::invalid(option, "1 to 5", number))?;
        ensure!(!files.contains(&file), "batch {number} is listed twice; list each once");
        files.push(file);
    }
    Ok(files)
}

/// The name of a part of the sample.
fn sample_name(part: usize) -> String {
    format!("sample/{}", sample::PARTS[part].0.name)
}

fn join(files: &[BatchFile]) -> String {
    let names: Vec<_> = files.iter().map(|f| f.file_name()).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        data: DataArgs,
    }

    fn parse(line: &str) -> DataArgs {
        Line::parse_from(format!("train {line}").split(' ')).data
    }

    #[test]
    fn a_batch_may_be_used_that_is_the_default_of_a_split_that_is_not_needed() {
        for (line, train, validation) in [
            ("--train-batches 2", true, false),
            ("--validation-batches 1", false, true),
            ("--train-batches 1", true, true),
        ] {
            parse(line).only(train, validation, "").unwrap().check().unwrap();
        }
        for line in ["--train-batches 2", "--validation-batches 1"] {
            assert!(parse(line).only(true, true, "").unwrap().check().is_err(), "{line}");
        }
    }

    #[test]
    fn the_images_of_a_file_are_used_where_no_option_chooses_others() {
        let file = Images {
            dataset: Some("cifar10".into()),
            train_batches: Some(vec![1, 2, 3]),
            validation_size: Some(100),
            validation_batches: None,
        };
        assert_eq!(parse("--dataset cifar10").or(&file).describe(), file);
        assert_eq!(parse("--train-batches 4").or(&file).describe().train_batches, Some(vec![4]));
        let with_batches = parse("--validation-batches 5").or(&file).describe();
        assert_eq!((with_batches.validation_size, with_batches.validation_batches), (None, Some(vec![5])));
        let sample = parse("--dataset sample").or(&file).describe();
        assert_eq!((sample.dataset.as_deref(), sample.train_batches), (Some("sample"), None));
    }
}
