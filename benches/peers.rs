//! The report's job (four settings, 40 epochs, without loading and writing) three times: with this crate, with libtorch
//! and the hand-derived gradients as tensor operations, and with libtorch and autograd. Same data, same start, same
//! batches, same number of threads; the final losses must agree.
//!
//! ```text
//! cargo bench --features autograd-check --bench peers [-- ROUNDS]
//! ```
//!
//! Each round measures all three in turn, this crate on each instruction set. After each epoch, a loop of multiply-adds of
//! that set runs on all threads for a moment: how fast a shared machine is can change from second to second.

#[path = "support/cifar10.rs"]
mod cifar10;
#[path = "support/fma.rs"]
mod fma;
#[path = "support/tensor_ops.rs"]
mod tensor_ops;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cifar10::{Cifar10, all_threads, pool};
use onelayer::dataset::Dataset;
use onelayer::evaluate::Scores;
use onelayer::gradcheck::Problem;
use onelayer::gradcheck::autograd::{AutogradTrainer, Tensors};
use onelayer::hyperparameters::{Schedule, Setting};
use onelayer::network::kernels::instruction_sets;
use onelayer::network::{Parameters, Phase};
use onelayer::train::{Epoch, Observer, SplitScores, epoch_order};
use pulp::Arch;
use tensor_ops::TensorOpsTrainer;

/// The largest difference, in nats, of two final losses of a stable setting, after 4,000 steps that round differently.
const LOSS_TOLERANCE: f64 = 1e-3;

fn main() -> ExitCode {
    // Cargo adds arguments of its own.
    let rounds = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(1);
    let data = Cifar10::load();
    let tensors = Splits::new(&data);
    let mut agree = true;
    for threads in [1, all_threads()] {
        for round in 1..=rounds {
            println!("{threads} threads, round {round} of {rounds}");
            agree &= compare(&data, &tensors, threads);
        }
    }
    ExitCode::from(u8::from(!agree))
}

/// Measures and prints one round. True if the losses agree.
fn compare(data: &Cifar10, tensors: &Splits, threads: usize) -> bool {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    let pool = pool(threads);
    let (mut ours, mut runs) = (Vec::new(), Vec::new());
    // The last set is the one that the program uses. Without vectors the job would take minutes.
    for (name, arch) in instruction_sets().into_iter().skip(1) {
        let mut fma_loop = FmaLoop::new(arch);
        let began = Instant::now();
        runs = pool.install(|| data.train(arch, None, &Setting::REPORT, Schedule::REPORT.epochs, &mut fma_loop));
        let seconds = (began.elapsed() - fma_loop.elapsed).as_secs_f64();
        let rate = fma_loop.rate(threads);
        let gflops = flops(data) / seconds / 1e9;
        let share = 100.0 * gflops / rate;
        println!("  onelayer, {name:17}  {seconds:7.2} s, {gflops:.1} GFLOP/s, {share:.0} % of the loop's {rate:.1}");
        ours.push(seconds);
        pool.install(|| print_phases(data, arch));
    }
    let by_tensor_operations = tensors.train(data.start(), TensorOpsTrainer::new);
    let by_autograd = tensors.train(data.start(), AutogradTrainer::new);

    let mut agree = true;
    for (name, peer) in [("tensor operations", by_tensor_operations), ("autograd", by_autograd)] {
        let difference = (0..runs.len())
            .filter(|&i| Setting::REPORT[i].eta() < 0.01)
            .map(|i| {
                let last = runs[i].epochs.last().and_then(|epoch| epoch.scores);
                let Some(SplitScores { train: Some(train), validation: Some(validation) }) = last else {
                    panic!("no setting of the report diverges");
                };
                let [their_train, their_validation] = &peer.scores[i];
                let train = (train.loss - their_train.loss).abs();
                train.max((validation.loss - their_validation.loss).abs())
            })
            .fold(0.0, f64::max);
        agree &= difference <= LOSS_TOLERANCE;
        let ratios: Vec<_> = ours.iter().map(|ours| format!("{:.1}", peer.seconds / ours)).collect();
        println!(
            "  libtorch, {name:17}  {:7.2} s, {} times as long; losses differ by {difference:.0e}{}",
            peer.seconds,
            ratios.join(" and "),
            if difference <= LOSS_TOLERANCE { "" } else { ": TOO MUCH" }
        );
    }
    agree
}

/// Prints the share of each phase in a quarter of the job. Reading the clock so often takes some 2 % of the time, so it has a run
/// of its own.
fn print_phases(data: &Cifar10, arch: Arch) {
    let phases = Arc::default();
    let began = Instant::now();
    data.train(arch, Some(&phases), &Setting::REPORT, Schedule::REPORT.epochs / 4, &mut ());
    let shares = phases.shares(began.elapsed());
    for (phase, share) in Phase::ALL.iter().zip(shares) {
        print!("    {phase:?} {share:.1} %");
    }
    println!("    waiting and everything else {:.1} %", 100.0 - shares.iter().sum::<f64>());
}

/// Forward and backward over the training split and the evaluation of both splits, for each setting and epoch; a
/// multiply-add counts as two.
fn flops(data: &Cifar10) -> f64 {
    let dims = data.splits.train.dims();
    let (train, validation) = (data.splits.train.len(), data.splits.validation.len());
    let passes = 2 * train + train + validation;
    let epochs = Setting::REPORT.len() * Schedule::REPORT.epochs;
    (2 * dims.features * dims.classes * passes * epochs) as f64
}

/// Runs the loop of multiply-adds on all threads of the pool after each epoch.
struct FmaLoop {
    arch: Arch,
    epochs: usize,
    elapsed: Duration,
}

impl FmaLoop {
    /// Number of runs per thread and epoch: some 10 ms.
    const RUNS: usize = 200;

    fn new(arch: Arch) -> Self {
        Self { arch, epochs: 0, elapsed: Duration::ZERO }
    }

    /// In GFLOP/s.
    fn rate(&self, threads: usize) -> f64 {
        (self.epochs * threads * Self::RUNS * fma::flops(self.arch)) as f64 / self.elapsed.as_secs_f64() / 1e9
    }
}

impl Observer for FmaLoop {
    fn epoch_done(&mut self, member: usize, _: &Epoch) {
        if member == 0 {
            let began = Instant::now();
            rayon::broadcast(|_| (0..Self::RUNS).for_each(|_| fma::run(self.arch)));
            self.elapsed += began.elapsed();
            self.epochs += 1;
        }
    }
}

/// Both splits, normalised, in libtorch's memory.
struct Splits {
    train: Tensors,
    validation: Tensors,
}

/// The time that a peer needed, and its final scores on both splits, one pair per setting.
struct Peer {
    seconds: f64,
    scores: Vec<[Scores; 2]>,
}

/// One of the two ways to train with libtorch.
trait Trainer {
    fn step(&mut self, batch: &Tensors, learning_rate: f64);
    fn scores(&self, examples: &Tensors) -> Scores;
}

impl Trainer for TensorOpsTrainer {
    fn step(&mut self, batch: &Tensors, learning_rate: f64) {
        self.step(batch, learning_rate);
    }
    fn scores(&self, examples: &Tensors) -> Scores {
        self.scores(examples)
    }
}

impl Trainer for AutogradTrainer {
    fn step(&mut self, batch: &Tensors, learning_rate: f64) {
        self.step(batch, learning_rate);
    }
    fn scores(&self, examples: &Tensors) -> Scores {
        self.scores(examples)
    }
}

impl Splits {
    fn new(data: &Cifar10) -> Self {
        let tensors = |split: &Dataset| {
            let all: Vec<_> = (0..split.len()).collect();
            let problem = Problem::from_images(split, &data.normalizer, &all, data.start());
            Tensors::new(&problem.expect("the data are consistent"))
        };
        Self { train: tensors(&data.splits.train), validation: tensors(&data.splits.validation) }
    }

    /// Trains one setting after the other, as such a program does.
    fn train<T: Trainer>(&self, start: Parameters, trainer: impl Fn(&Parameters, Setting) -> T) -> Peer {
        let schedule = Schedule::REPORT;
        let examples = self.train.y.numel();
        let began = Instant::now();
        let scores = Setting::REPORT.map(|setting| {
            let mut trainer = trainer(&start, setting);
            let mut scores = None;
            for epoch in 1..=schedule.epochs {
                for indices in epoch_order(&schedule, epoch, examples).chunks(schedule.batch_size) {
                    trainer.step(&self.train.select(indices), setting.learning_rate(epoch, &[]));
                }
                scores = Some([&self.train, &self.validation].map(|split| trainer.scores(split)));
            }
            scores.expect("there is an epoch")
        });
        Peer { seconds: began.elapsed().as_secs_f64(), scores: scores.into() }
    }
}
