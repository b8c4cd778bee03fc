//! The buffers of a thread, and the first half of the forward pass in them.

use std::cell::RefCell;
use std::ops::Range;

use pulp::Arch;

use super::phases::{Phase, Stopwatch};
use super::stack::{Stack, groups};
use crate::network::Examples;
use crate::network::kernels::{
    CHUNK, ChunkColumn, Forward, GROUPS, Image, LANES, Lanes, ROWS, SUM_BLOCK, SumColumn, SumTile, Tile, block,
};

/// The labels of up to [`CHUNK`] examples.
pub(super) type Labels = [u32; LANES];

/// The buffers of one thread, for the examples that it works on.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// (groups of a block): the features of a chunk, for the forward pass.
    x: Vec<ChunkColumn>,
    /// (row tiles of all stacks).
    pub sums: Vec<SumTile>,
    /// (rows of the stack): logits, then probabilities.
    pub logits: Vec<Lanes>,
    /// (m).
    pub losses: Vec<Lanes>,
    /// (m).
    pub predictions: Vec<[u32; LANES]>,
    /// ([`GROUPS`]): the features of all examples, for the backward pass.
    sum_x: Vec<SumColumn>,
    /// (row tiles, groups of a block).
    dweight: Vec<Tile>,
}

impl Scratch {
    /// Calls `run` with the buffers of this thread.
    pub fn with<R>(run: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        SCRATCH.with_borrow_mut(run)
    }

    /// The buffers of the backward pass over a block: `dweight`, of this many tiles, and the features.
    pub fn backward(&mut self, tiles: usize) -> (&mut [Tile], &mut [SumColumn]) {
        self.dweight.resize(tiles, [Lanes::ZERO; ROWS]);
        self.sum_x.resize(GROUPS, [Lanes::ZERO; SUM_BLOCK + 1]);
        (&mut self.dweight, &mut self.sum_x)
    }

    /// The partial sums of the logits of up to [`CHUNK`] examples for the rows of all `stacks`, and the labels.
    ///
    /// The features are the same for each stack, and are normalised a block at a time, in the first-level cache.
    pub fn multiply(
        &mut self,
        stacks: &[Stack],
        examples: Examples,
        range: Range<usize>,
        stopwatch: &mut Stopwatch,
    ) -> Labels {
        let n = range.len();
        let mut images = [Image::default(); CHUNK];
        let mut labels = [0; LANES];
        for (e, i) in range.clone().enumerate() {
            images[e] = examples.image(i);
            labels[e] = examples.label(i).into();
        }
        let Stack { arch, dims, .. } = stacks[0];
        let (width, groups) = (block(arch), groups(dims));
        self.x.resize(width, [Lanes::ZERO; CHUNK + 1]);
        self.sums.resize(stacks.iter().map(Stack::tiles).sum(), [[Lanes::ZERO; CHUNK]; ROWS]);
        for first in (0..groups).step_by(width) {
            let block = first..groups.min(first + width);
            let x = &mut self.x[..block.len()];
            examples.features(arch, range.clone(), &images[..n], first, x);
            prefetch_next(arch, examples, &range, &images[..n], block.end..block.end + width);
            stopwatch.lap(Phase::Normalise);
            let mut sums = &mut self.sums[..];
            for stack in stacks {
                let sums = sums.split_off_mut(..stack.tiles()).expect("the sums of all stacks");
                arch.dispatch(Forward {
                    x,
                    examples: n,
                    weight: stack.block_weights(&block),
                    accumulate: first > 0,
                    sums,
                });
            }
            stopwatch.lap(Phase::Forward);
        }
        labels
    }
}

/// Asks memory for the pixels that are normalised next: the groups `next` of `images`, the examples of `range`, or after their
/// last one the first groups of the images that follow. While this block is multiplied, they arrive.
fn prefetch_next(arch: Arch, examples: Examples, range: &Range<usize>, images: &[Image], next: Range<usize>) {
    if next.start * LANES < images[0].pixels.len() {
        images.iter().for_each(|image| image.prefetch(arch, &next));
    } else {
        let following = range.end..examples.len().min(range.end + images.len());
        following.for_each(|i| examples.image(i).prefetch(arch, &(0..next.len())));
    }
}
