//! Each kernel on one thread and on each instruction set of the processor, beside a loop of multiply-adds on the same. An
//! *item* is a floating-point operation, so that "Gitem/s" means GFLOP/s; for `normalise` it is a pixel, for `update` a
//! weight, for `losses` a logit.

#[path = "support/fma.rs"]
mod fma;

use std::fmt;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use onelayer::hyperparameters::Loss;
use onelayer::network::kernels::{
    Backward, CHUNK, Forward, GROUPS, Image, LANES, Lanes, Losses, Normalise, ROWS, RowStep, SUM_BLOCK, Update,
    WeightOutput, block, instruction_sets,
};
use pulp::Arch;

/// The groups of d = 3072 features.
const WIDTH: usize = 3072 / LANES;
/// Examples of a mini-batch.
const N: usize = 100;

fn main() {
    divan::main();
}

/// A bench of one kernel: an instruction set, and a parameter.
#[derive(Clone, Copy)]
struct Case<T> {
    name: &'static str,
    arch: Arch,
    parameter: T,
}

impl<T: fmt::Display> fmt::Display for Case<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.name, self.parameter)
    }
}

/// Each parameter on each instruction set.
fn cases<T: Copy>(parameters: &[T]) -> Vec<Case<T>> {
    let of = |&parameter| instruction_sets().into_iter().map(move |(name, arch)| Case { name, arch, parameter });
    parameters.iter().flat_map(of).collect()
}

/// The class rows of a group of one and of four.
fn rows() -> Vec<Case<usize>> {
    cases(&[10, 40])
}

/// Features, weights or gradients that are all the same number, about that of the real ones.
const NUMBER: Lanes = Lanes([0.01; LANES]);

#[divan::bench(args = cases(&["registers only"]))]
fn fma_loop(bencher: Bencher, &Case { arch, .. }: &Case<&str>) {
    bencher.counter(ItemsCount::new(fma::flops(arch))).bench(|| fma::run(arch));
}

#[divan::bench(args = rows())]
fn forward(bencher: Bencher, &Case { arch, parameter: rows, .. }: &Case<usize>) {
    let (tiles, block) = (rows / ROWS, block(arch));
    let (x, weight) = (vec![[NUMBER; CHUNK + 1]; block], vec![[NUMBER; ROWS]; WIDTH * tiles]);
    let mut sums = vec![[[Lanes::ZERO; CHUNK]; ROWS]; tiles];
    bencher.counter(ItemsCount::new(2 * CHUNK * WIDTH * LANES * rows)).bench_local(|| {
        for (b, weight) in weight.chunks_exact(block * tiles).enumerate() {
            arch.dispatch(Forward { x: black_box(&x), examples: CHUNK, weight, accumulate: b > 0, sums: &mut sums });
        }
    });
}

#[divan::bench(args = rows())]
fn backward(bencher: Bencher, &Case { arch, parameter: rows, .. }: &Case<usize>) {
    let (tiles, block) = (rows / ROWS, block(arch));
    let x = [[NUMBER; SUM_BLOCK + 1]; GROUPS];
    let dlogits = vec![[1e-3; ROWS]; N * tiles];
    let mut dweight = vec![[NUMBER; ROWS]; block * tiles];
    bencher.counter(ItemsCount::new(2 * N * WIDTH * LANES * rows)).bench_local(|| {
        for group in (0..WIDTH).step_by(GROUPS) {
            let (x, first) = (black_box(&x[..]), group % block);
            arch.dispatch(Backward { x, dlogits: &dlogits, tiles, first, accumulate: false, dweight: &mut dweight });
        }
    });
}

#[divan::bench(args = rows())]
fn update(bencher: Bencher, &Case { arch, parameter: rows, .. }: &Case<usize>) {
    let (tiles, block) = (rows / ROWS, block(arch));
    let dweight = vec![[NUMBER; ROWS]; block * tiles];
    let mut weight = vec![[NUMBER; ROWS]; WIDTH * tiles];
    let steps = vec![[RowStep { learning_rate: 1e-3, two_lambda: 0.1 }; ROWS]; tiles];
    bencher.counter(ItemsCount::new(weight.len() * ROWS * LANES)).bench_local(|| {
        for weight in weight.chunks_exact_mut(block * tiles) {
            let output = WeightOutput::Updated;
            arch.dispatch(Update { dweight: black_box(&dweight), steps: &steps, weight, output });
        }
    });
}

#[divan::bench(args = cases(&Loss::ALL))]
fn losses(bencher: Bencher, &Case { arch, parameter: loss, .. }: &Case<Loss>) {
    let logits: Vec<Lanes> = (0..10).map(|c| Lanes([c as f32; LANES])).collect();
    let (mut losses, mut predictions) = (Lanes::ZERO, [0; LANES]);
    bencher.counter(ItemsCount::new(10 * LANES)).with_inputs(|| logits.clone()).bench_local_refs(|logits| {
        arch.dispatch(Losses {
            loss,
            logits: black_box(logits),
            labels: &[3; LANES],
            losses: &mut losses,
            predictions: &mut predictions,
        });
    });
}

/// A chunk of images, a block of features after the other, as for the forward pass; with 0, 1 or 2 of every two images
/// mirrored.
#[divan::bench(args = cases(&[0, 1, 2]))]
fn normalise(bencher: Bencher, &Case { arch, parameter: flips, .. }: &Case<usize>) {
    let pixels = vec![100; CHUNK * WIDTH * LANES];
    let images = pixels.chunks_exact(WIDTH * LANES).enumerate();
    let images: Vec<_> = images.map(|(i, pixels)| Image { pixels, flip: i % 2 < flips }).collect();
    let (scale, offset) = ([0.01; WIDTH * LANES], [-1.0; WIDTH * LANES]);
    let block = block(arch);
    let mut x = vec![[Lanes::ZERO; CHUNK + 1]; block];
    bencher.counter(ItemsCount::new(pixels.len())).bench_local(|| {
        for first in (0..WIDTH).step_by(block) {
            let images = black_box(&images);
            arch.dispatch(Normalise { images, scale: &scale, offset: &offset, first, x: &mut x });
        }
    });
}
