//! Loading, one epoch, and the report's whole job on the real data. An *item* is one epoch of one setting, so that
//! "item/s" shows the gain of a larger group or another thread.
//!
//! `onelayer fetch` downloads the data.

#[path = "support/cifar10.rs"]
mod cifar10;

use std::path::Path;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use onelayer::dataset::cifar10::{BatchFile, DEFAULT_DIR, FILE_BYTES};
use onelayer::dataset::store;
use onelayer::hyperparameters::{Schedule, Setting};
use onelayer::network::kernels::instruction_sets;
use pulp::Arch;
use rayon::prelude::*;

use cifar10::{Cifar10, all_threads, pool};

fn main() {
    divan::main();
}

/// 1, 2 and all threads of the machine.
fn threads() -> Vec<usize> {
    let mut threads = vec![1, 2, all_threads()];
    threads.sort_unstable();
    threads.dedup();
    threads
}

/// m different settings, all stable.
fn settings(m: usize) -> Vec<Setting> {
    let setting = |j| Setting::new(0.05 * j as f64, 0.001).expect("a valid setting");
    (0..m).map(setting).collect()
}

/// The three files of the protocol, with their digests verified before.
#[divan::bench(sample_count = 5, args = threads())]
fn load(bencher: Bencher, threads: usize) {
    let pool = pool(threads);
    Cifar10::load();
    bencher.counter(BytesCount::new(3 * FILE_BYTES)).bench_local(|| {
        let dir = Path::new(DEFAULT_DIR);
        let (train, validation) = ([BatchFile::Train(1)], [BatchFile::Train(2)]);
        pool.install(|| store::load_splits(dir, &train, &validation)).expect("the files were just loaded")
    });
}

/// One epoch and the evaluation of both splits, by the number of settings in the group.
#[divan::bench(sample_count = 5, sample_size = 1, args = [1, 2, 4, 8, 16])]
fn epoch_by_settings(bencher: Bencher, settings: usize) {
    epochs(bencher, &self::settings(settings), 1, all_threads());
}

/// The report's four settings on one thread, by the instruction set.
#[divan::bench(sample_count = 2, sample_size = 1, args = instruction_sets().into_iter().map(|set| set.0))]
fn epoch_by_instruction_set(bencher: Bencher, name: &str) {
    let set = instruction_sets().into_iter().find(|set| set.0 == name);
    epochs_on(bencher, set.expect("an argument above").1, &Setting::REPORT, 1, 1);
}

/// The same for a single setting, by the number of threads.
#[divan::bench(sample_count = 5, sample_size = 1, args = threads())]
fn epoch_by_threads(bencher: Bencher, threads: usize) {
    epochs(bencher, &settings(1), 1, threads);
}

/// The report's four settings over 40 epochs, without loading and writing.
#[divan::bench(sample_count = 3, sample_size = 1, args = threads())]
fn report(bencher: Bencher, threads: usize) {
    epochs(bencher, &Setting::REPORT, 40, threads);
}

/// The overhead of a pass: distributing the tasks of a mini-batch and waiting for the last of them. An item is a pass.
#[divan::bench(args = threads())]
fn empty_passes(bencher: Bencher, threads: usize) {
    const PASSES: usize = 1000;
    let tasks = Schedule::REPORT.batch_size / 4;
    let pool = pool(threads);
    let passes = || {
        for _ in 0..PASSES {
            (0..tasks).into_par_iter().for_each(|task| {
                black_box(task);
            });
        }
    };
    bencher.counter(ItemsCount::new(PASSES)).bench_local(|| pool.install(passes));
}

fn epochs(bencher: Bencher, settings: &[Setting], epochs: usize, threads: usize) {
    epochs_on(bencher, Arch::new(), settings, epochs, threads);
}

fn epochs_on(bencher: Bencher, arch: Arch, settings: &[Setting], epochs: usize, threads: usize) {
    let data = Cifar10::load();
    let pool = pool(threads);
    bencher
        .counter(ItemsCount::new(settings.len() * epochs))
        .bench_local(|| pool.install(|| data.train(arch, None, black_box(settings), epochs, &mut ())));
}
