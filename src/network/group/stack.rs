//! A stack of members: their parameters in the layout of the kernels, and the passes over them.

use std::borrow::Borrow;
use std::ops::Range;
use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;

use super::Step;
use super::phases::{Phase, Phases, Stopwatch};
use super::scratch::{Labels, Scratch};
use crate::hyperparameters::Loss;
use crate::network::kernels::{
    Backward, CHUNK, GROUPS, Image, LANES, Lanes, Logits, Losses, ROWS, RowStep, SUM_BLOCK, SumColumn, Tile, Update,
    WeightOutput, block,
};
use crate::network::{Examples, Parameters};
use crate::shape::Dims;

/// Members whose class rows lie below one another, so that one pass serves them all.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// The numbers of the members in their group.
    pub members: Range<usize>,
    /// The shape of each member.
    pub dims: Dims,
    /// (m): the loss that each member minimises.
    pub losses: Vec<Loss>,
    /// The instruction set that the kernels run on.
    pub arch: Arch,
    /// Measures the passes, if it is wanted.
    pub phases: Option<Arc<Phases>>,
    /// (blocks, row tiles, groups of a block), the layout of [`kernels`](crate::network::kernels); row j·k + c is class c
    /// of the stack's member j.
    weight: Vec<Tile>,
    /// (rows).
    bias: Vec<f32>,
}

/// Up to [`SUM_BLOCK`] examples of a mini-batch between the passes; allocated once.
#[derive(Clone, Debug, Default)]
pub(super) struct Workspace {
    /// (n, row tiles).
    pub dlogits: Vec<[f32; ROWS]>,
    /// (n, m): the loss of each example of the whole mini-batch.
    pub losses: Vec<f32>,
    /// As [`Stack::weight`]: dweight so far, if the mini-batch has more examples.
    dweight: Vec<Tile>,
    /// (rows): dbias so far.
    dbias: Vec<f64>,
}

impl Stack {
    /// The stack of `parameters`, which have one shape and are the `members` of their group, for the kernels of `arch`.
    pub fn new<P: Borrow<Parameters>>(members: Range<usize>, parameters: &[P], arch: Arch) -> Self {
        let dims = parameters[0].borrow().dims;
        let rows = (members.len() * dims.classes).next_multiple_of(ROWS);
        let losses = vec![Loss::default(); members.len()];
        let weight = vec![[Lanes::ZERO; ROWS]; groups(dims) * rows / ROWS];
        let mut stack = Self { members, dims, losses, arch, phases: None, weight, bias: vec![0.0; rows] };
        for (j, member) in parameters.iter().map(P::borrow).enumerate() {
            let first = j * dims.classes;
            for (c, of_class) in member.weight.chunks_exact(dims.features).enumerate() {
                for (g, of_group) in of_class.chunks(LANES).enumerate() {
                    let (tile, row) = stack.place(first + c, g);
                    stack.weight[tile][row].0[..of_group.len()].copy_from_slice(of_group);
                }
            }
            stack.bias[first..first + dims.classes].copy_from_slice(&member.bias);
        }
        stack
    }

    /// The same stack on another instruction set, whose blocks may be others.
    pub fn with_arch(self, arch: Arch) -> Self {
        let parameters: Vec<_> = self.members.clone().map(|j| self.member(j)).collect();
        let Self { members, losses, phases, .. } = self;
        Self { losses, phases, ..Self::new(members, &parameters, arch) }
    }

    /// The place of group `g` of a row: its tile in `weight`, and the row of that tile.
    fn place(&self, row: usize, g: usize) -> (usize, usize) {
        let block = block(self.arch);
        let first = g / block * block;
        let width = block.min(groups(self.dims) - first);
        (first * self.tiles() + row / ROWS * width + g - first, row % ROWS)
    }

    /// The weights of a `block` of groups, (row tiles, groups of the block).
    pub fn block_weights(&self, block: &Range<usize>) -> &[Tile] {
        &self.weight[block.start * self.tiles()..block.end * self.tiles()]
    }

    /// Number of row tiles.
    pub fn tiles(&self) -> usize {
        self.bias.len() / ROWS
    }

    /// The class rows of member `j` of the group.
    pub fn rows(&self, j: usize) -> Range<usize> {
        let first = (j - self.members.start) * self.dims.classes;
        first..first + self.dims.classes
    }

    /// The weights of member `j` of the group, one group of features after another, in the order of
    /// [`Parameters::weight`].
    pub fn weights(&self, j: usize) -> impl Iterator<Item = &[f32]> {
        let features = self.dims.features;
        self.rows(j).flat_map(move |row| {
            (0..features.div_ceil(LANES)).map(move |g| {
                let (tile, row) = self.place(row, g);
                &self.weight[tile][row].0[..LANES.min(features - g * LANES)]
            })
        })
    }

    /// The parameters of member `j` of the group.
    pub fn member(&self, j: usize) -> Parameters {
        let mut weight = Vec::with_capacity(self.dims.classes * self.dims.features);
        self.weights(j).for_each(|part| weight.extend_from_slice(part));
        Parameters { dims: self.dims, weight, bias: self.bias[self.rows(j)].to_vec() }
    }

    /// Goes through a `part` of the mini-batch `examples`, one of its [`parts`] after another. The last one replaces the parameters
    /// by `output`; `steps` holds one element per member of the stack.
    pub fn step(
        &mut self,
        examples: Examples,
        part: Range<usize>,
        workspace: &mut Workspace,
        steps: &[Step],
        output: WeightOutput,
    ) {
        let n = examples.len();
        if part.start == 0 {
            workspace.dbias.clear();
            workspace.dbias.resize(self.bias.len(), 0.0);
            workspace.dweight.resize(if n > SUM_BLOCK { self.weight.len() } else { 0 }, [Lanes::ZERO; ROWS]);
        }
        let mut row_steps = vec![[RowStep::default(); ROWS]; self.tiles()];
        let mut bias_penalties = vec![0.0; self.bias.len()];
        let rows = row_steps.as_flattened_mut().iter_mut().zip(&mut bias_penalties).enumerate();
        for (row, (row_step, bias_penalty)) in rows {
            if let Some(step) = steps.get(row / self.dims.classes) {
                *row_step = RowStep { learning_rate: step.learning_rate, two_lambda: 2.0 * step.lambda };
                *bias_penalty = 2.0 * step.bias_lambda;
            }
        }
        self.forward(examples, part.clone(), workspace);
        let is_last = part.end == n;
        self.backward(examples, part, workspace, &row_steps, is_last.then_some(output));
        if !is_last {
            return;
        }
        let biases = self.bias.iter_mut().zip(&workspace.dbias);
        for (((bias, &dbias), step), penalty) in biases.zip(row_steps.as_flattened()).zip(bias_penalties) {
            let dbias = dbias as f32 + penalty * *bias;
            *bias = match output {
                WeightOutput::Updated => *bias - step.learning_rate * dbias,
                WeightOutput::Gradient => dbias,
            };
        }
    }

    /// Computes losses and `dlogits` of the examples of a mini-batch in `part`.
    pub fn forward(&self, examples: Examples, part: Range<usize>, workspace: &mut Workspace) {
        let (n, m, tiles) = (examples.len(), self.members.len(), self.tiles());
        let chunk = task_length(part.len());
        workspace.dlogits.resize(part.len() * tiles, [0.0; ROWS]);
        workspace.losses.resize(n * m, 0.0);
        let dlogits = workspace.dlogits.par_chunks_mut(chunk * tiles);
        let losses = workspace.losses[part.start * m..part.end * m].par_chunks_mut(chunk * m);
        dlogits.zip(losses).enumerate().for_each(|(c, (dlogits, losses))| {
            let first = part.start + c * chunk;
            let range = first..first + losses.len() / m;
            Scratch::with(|scratch| {
                let mut stopwatch = Stopwatch::start(self.phases.as_deref());
                let labels = scratch.multiply(std::slice::from_ref(self), examples, range, &mut stopwatch);
                self.write_probabilities(0, &labels, scratch);
                self.write_dlogits(n, &labels, scratch, dlogits);
                for (e, losses) in losses.chunks_exact_mut(m).enumerate() {
                    for (loss, lanes) in losses.iter_mut().zip(&scratch.losses) {
                        *loss = lanes.0[e];
                    }
                }
                stopwatch.lap(Phase::Losses);
            });
        });
    }

    /// The logits, (rows), of the examples whose sums `scratch` holds from row tile `first`.
    pub fn logits<'a>(&self, first: usize, scratch: &'a mut Scratch) -> &'a mut [Lanes] {
        let Scratch { sums, logits, .. } = scratch;
        logits.resize(self.bias.len(), Lanes::ZERO);
        Logits { sums: &sums[first..][..self.tiles()], bias: &self.bias, logits }.run(self.arch);
        logits
    }

    /// The losses and predictions of the same examples; their logits become probabilities.
    pub fn write_probabilities(&self, first: usize, labels: &Labels, scratch: &mut Scratch) {
        self.logits(first, scratch);
        let Scratch { logits, losses, predictions, .. } = scratch;
        losses.resize(self.members.len(), Lanes::ZERO);
        predictions.resize(self.members.len(), [0; LANES]);
        let members = logits.chunks_exact_mut(self.dims.classes).zip(&self.losses);
        for ((logits, &loss), (losses, predictions)) in members.zip(losses.iter_mut().zip(predictions)) {
            self.arch.dispatch(Losses { loss, logits, labels, losses, predictions });
        }
    }

    /// dlogits = (probs − onehot(y)) / n, or / (k·n) for sigmoids, from (rows) lanes of examples to (examples, row tiles).
    fn write_dlogits(&self, n: usize, labels: &Labels, scratch: &mut Scratch, dlogits: &mut [[f32; ROWS]]) {
        let k = self.dims.classes;
        for (probs, loss) in scratch.logits.chunks_exact_mut(k).zip(&self.losses) {
            let averaged_over = match loss {
                Loss::Softmax => n,
                Loss::Bce => k * n,
            } as f32;
            for (class, probs) in probs.iter_mut().enumerate() {
                for (prob, &label) in probs.0.iter_mut().zip(labels) {
                    let onehot = f32::from(u8::from(class as u32 == label));
                    *prob = (*prob - onehot) / averaged_over;
                }
            }
        }
        for (e, dlogits) in dlogits.chunks_exact_mut(self.tiles()).enumerate() {
            for (dlogit, row) in dlogits.as_flattened_mut().iter_mut().zip(&scratch.logits) {
                *dlogit = row.0[e];
            }
        }
    }

    /// Adds the gradient of the examples in `part` to that of earlier parts, and writes `output`, unless more are to come.
    fn backward(
        &mut self,
        examples: Examples,
        part: Range<usize>,
        workspace: &mut Workspace,
        steps: &[[RowStep; ROWS]],
        output: Option<WeightOutput>,
    ) {
        let (arch, block, tiles, accumulate) = (self.arch, block(self.arch), self.tiles(), part.start > 0);
        let Workspace { dlogits, dweight, dbias, .. } = workspace;
        for dlogits in dlogits.chunks_exact(tiles) {
            for (dbias, dlogit) in dbias.iter_mut().zip(dlogits.as_flattened()) {
                *dbias += f64::from(*dlogit);
            }
        }
        let mut images = [Image::default(); SUM_BLOCK];
        images.iter_mut().zip(part.clone()).for_each(|(image, i)| *image = examples.image(i));
        let images = &images[..part.len()];
        let phases = self.phases.as_deref();
        let run = |b: usize, weight: &mut [Tile], dweight: &mut [Tile], x: &mut [SumColumn]| {
            let mut stopwatch = Stopwatch::start(phases);
            for first in (0..weight.len() / tiles).step_by(GROUPS) {
                examples.features(arch, part.clone(), images, b * block + first, x);
                stopwatch.lap(Phase::Normalise);
                arch.dispatch(Backward { x, dlogits, tiles, first, accumulate, dweight });
                stopwatch.lap(Phase::Backward);
            }
            if let Some(output) = output {
                arch.dispatch(Update { dweight, steps, weight, output });
                stopwatch.lap(Phase::Update);
            }
        };
        let weight = self.weight.par_chunks_mut(block * tiles);
        if dweight.is_empty() {
            weight.enumerate().for_each(|(b, weight)| {
                Scratch::with(|scratch| {
                    let (dweight, x) = scratch.backward(block * tiles);
                    run(b, weight, &mut dweight[..weight.len()], x);
                });
            });
        } else {
            let dweight = dweight.par_chunks_mut(block * tiles);
            weight.zip(dweight).enumerate().for_each(|(b, (weight, dweight))| {
                Scratch::with(|scratch| run(b, weight, dweight, scratch.backward(block * tiles).1));
            });
        }
    }
}

/// The parts of a mini-batch of `n` examples, whose gradients are summed one after another.
pub(super) fn parts(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(SUM_BLOCK).map(move |first| first..n.min(first + SUM_BLOCK))
}

/// Number of groups of features in a row.
pub(super) fn groups(dims: Dims) -> usize {
    dims.features.div_ceil(LANES).next_multiple_of(GROUPS)
}

/// Number of examples in one task of the forward pass over `n`.
fn task_length(n: usize) -> usize {
    n.div_ceil(rayon::current_num_threads() * 4).next_multiple_of(4).clamp(4, CHUNK)
}
