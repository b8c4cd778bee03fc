//! The real data and the training that is measured.

use std::path::Path;
use std::sync::Arc;

use onelayer::dataset::cifar10::{BatchFile, DEFAULT_DIR};
use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Splits, store};
use onelayer::hyperparameters::{Schedule, Setting};
use onelayer::network::{Parameters, Phases};
use onelayer::train::{Data, Observer, Run, Trainer, random_start};
use pulp::Arch;
use rayon::ThreadPool;

/// The splits of the protocol.
pub struct Cifar10 {
    pub splits: Splits,
    pub normalizer: Normalizer,
}

impl Cifar10 {
    pub fn load() -> Self {
        let (train, validation) = ([BatchFile::Train(1)], [BatchFile::Train(2)]);
        let splits = store::load_splits(Path::new(DEFAULT_DIR), &train, &validation).unwrap_or_else(|e| panic!("{e}"));
        let normalizer = Normalizer::fit(&splits.train).expect("the training split has images");
        Self { splits, normalizer }
    }

    pub fn start(&self) -> Parameters {
        random_start(self.splits.train.dims(), Schedule::REPORT.seed)
    }

    pub fn train(
        &self,
        arch: Arch,
        phases: Option<&Arc<Phases>>,
        settings: &[Setting],
        epochs: usize,
        observer: &mut dyn Observer,
    ) -> Vec<Run> {
        let schedule = Schedule { epochs, ..Schedule::REPORT };
        let data =
            Data { train: &self.splits.train, validation: &self.splits.validation, normalizer: &self.normalizer };
        let trainer = Trainer::new(data, settings, &schedule, &self.start()).expect("the schedule fits the data");
        let mut trainer = trainer.with_arch(arch);
        if let Some(phases) = phases {
            trainer = trainer.with_phases(phases);
        }
        let (runs, _) = trainer.train(observer).expect("nothing interrupts it");
        runs
    }
}

/// Number of threads of this machine.
pub fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A pool of this many threads.
pub fn pool(threads: usize) -> ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().expect("threads can be started")
}
