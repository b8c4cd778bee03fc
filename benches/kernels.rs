//! Each kernel on one thread, beside a loop of multiply-adds. An *item* is a floating-point operation, so that
//! "Gitem/s" means GFLOP/s; for `normalise` it is a pixel, for `losses` a logit.

#[path = "support/fma.rs"]
mod fma;

use std::ops::Range;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use onelayer::hyperparameters::Loss;
use onelayer::network::kernels::{
    Backward, CHUNK, Forward, Image, LANES, Lanes, Losses, Normalise, Panel, RowStep, WeightOutput,
};
use pulp::Arch;

/// d = 3072, and an odd stride.
const PANELS: usize = 48;
const STRIDE: usize = PANELS + 1;
/// Examples of a mini-batch.
const N: usize = 100;
/// Class rows of a group of one and of four.
const ROWS: [usize; 2] = [10, 40];

fn main() {
    divan::main();
}

fn panels(count: usize) -> Vec<Panel> {
    let panel = |i| Panel([(i % 17) as f32 * 1e-3; 64]);
    (0..count).map(panel).collect()
}

#[divan::bench]
fn fma_loop(bencher: Bencher) {
    bencher.counter(ItemsCount::new(fma::flops())).bench(fma::run);
}

#[divan::bench(args = ROWS)]
fn forward(bencher: Bencher, rows: usize) {
    let arch = Arch::new();
    let (x, weight) = (panels(CHUNK * STRIDE), panels(PANELS * rows));
    let bias = vec![0.0; rows];
    let (mut sums, mut logits) = (vec![Lanes::ZERO; rows * CHUNK], vec![Lanes::ZERO; rows]);
    bencher.counter(ItemsCount::new(2 * CHUNK * PANELS * 64 * rows)).bench_local(|| {
        arch.dispatch(Forward {
            x: black_box(&x),
            stride: STRIDE,
            weight: &weight,
            bias: &bias,
            sums: &mut sums,
            logits: &mut logits,
        });
    });
}

#[divan::bench(args = ROWS)]
fn backward_and_update(bencher: Bencher, rows: usize) {
    let arch = Arch::new();
    // One panel of all examples; training normalises it just before.
    let (x, mut weight) = (panels(N), panels(PANELS * rows));
    let dlogits = vec![1e-3; N * rows];
    let steps = vec![RowStep { learning_rate: 1e-3, two_lambda: 0.1 }; rows];
    bencher.counter(ItemsCount::new(2 * N * PANELS * 64 * rows)).bench_local(|| {
        for weight in weight.chunks_exact_mut(rows) {
            arch.dispatch(Backward {
                x: black_box(&x),
                dlogits: &dlogits,
                steps: &steps,
                weight,
                output: WeightOutput::Updated,
            });
        }
    });
}

#[divan::bench(args = Loss::ALL)]
fn losses(bencher: Bencher, loss: Loss) {
    let arch = Arch::new();
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

/// All panels of eight images, as for the forward pass; with 0, 1 or 2 of every two images mirrored.
#[divan::bench(args = [0, 1, 2])]
fn normalise(bencher: Bencher, flips: usize) {
    let pixels = vec![100; CHUNK * PANELS * 64];
    let images = images(&pixels, |i| i % 2 < flips);
    let mut x = panels(CHUNK * STRIDE);
    bencher
        .counter(ItemsCount::new(pixels.len()))
        .bench_local(|| run_normalise(black_box(&images), 0..PANELS, &mut x, STRIDE));
}

/// One panel of a mini-batch after another, as for the backward pass.
#[divan::bench]
fn normalise_by_panels(bencher: Bencher) {
    let pixels = vec![100; N * PANELS * 64];
    let images = images(&pixels, |_| false);
    let mut x = panels(N);
    bencher.counter(ItemsCount::new(pixels.len())).bench_local(|| {
        for panel in 0..PANELS {
            run_normalise(black_box(&images), panel..panel + 1, &mut x, 1);
        }
    });
}

fn images(pixels: &[u8], flip: impl Fn(usize) -> bool) -> Vec<Image<'_>> {
    let pixels = pixels.chunks_exact(PANELS * 64).enumerate();
    pixels.map(|(i, pixels)| Image { pixels, flip: flip(i) }).collect()
}

fn run_normalise(images: &[Image], panels: Range<usize>, x: &mut [Panel], stride: usize) {
    Arch::new().dispatch(Normalise {
        images,
        scale: &[0.01; PANELS * 64],
        offset: &[-1.0; PANELS * 64],
        panels,
        x,
        stride,
    });
}
