//! A stack of members: their parameters in the layout of the kernels, and the passes over them.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::Step;
use crate::hyperparameters::Loss;
use crate::network::kernels::{
    Backward, CHUNK, Forward, Image, LANES, Lanes, Losses, PANEL, Panel, ROW_MULTIPLE, RowStep, WeightOutput,
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
    /// (panels, rows), the layout of [`kernels`](crate::network::kernels); row j·k + c is class c of the stack's member
    /// j.
    weight: Vec<Panel>,
    /// (rows).
    bias: Vec<f32>,
}

/// The results of a stack's forward pass over a mini-batch, which its backward pass reads; allocated once.
///
/// The normalised features are not kept: both passes compute them from the pixels when they need them, a few examples
/// or a few features at a time, which stay in the cache of the core that uses them.
#[derive(Clone, Debug, Default)]
pub(super) struct Workspace {
    /// (n, rows).
    pub dlogits: Vec<f32>,
    /// (n, m): the loss of each example.
    pub losses: Vec<f32>,
}

/// The buffers of one thread, for the examples or the features that it works on.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Number of examples in the chunk, at most [`CHUNK`].
    examples: usize,
    /// The class of each example of the chunk.
    labels: [u8; LANES],
    /// ([`CHUNK`], stride): the features of the chunk.
    x: Vec<Panel>,
    /// (rows, [`CHUNK`]).
    sums: Vec<Lanes>,
    /// (rows): logits, then probabilities.
    pub logits: Vec<Lanes>,
    /// (m).
    pub losses: Vec<Lanes>,
    /// (m).
    pub predictions: Vec<[u32; LANES]>,
    /// (n): one panel of all examples, for the backward pass.
    column: Vec<Panel>,
}

impl Scratch {
    /// Calls `run` with the buffers of this thread.
    pub fn with<R>(run: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        SCRATCH.with_borrow_mut(run)
    }
}

impl Stack {
    /// The stack of `parameters`, which have one shape and are the `members` of their group.
    pub fn new<P: Borrow<Parameters>>(members: Range<usize>, parameters: &[P]) -> Self {
        let dims = parameters[0].borrow().dims;
        let rows = (members.len() * dims.classes).next_multiple_of(ROW_MULTIPLE);
        let mut weight = vec![Panel::ZERO; panels(dims) * rows];
        let mut bias = vec![0.0; rows];
        for (j, member) in parameters.iter().map(P::borrow).enumerate() {
            let first = j * dims.classes;
            for (c, of_class) in member.weight.chunks_exact(dims.features).enumerate() {
                let panels = weight.iter_mut().skip(first + c).step_by(rows);
                for (panel, of_panel) in panels.zip(of_class.chunks(PANEL)) {
                    panel.0[..of_panel.len()].copy_from_slice(of_panel);
                }
            }
            bias[first..first + dims.classes].copy_from_slice(&member.bias);
        }
        Self { losses: vec![Loss::default(); members.len()], members, dims, arch: Arch::new(), weight, bias }
    }

    /// The class rows of member `j` of the group.
    pub fn rows(&self, j: usize) -> Range<usize> {
        let first = (j - self.members.start) * self.dims.classes;
        first..first + self.dims.classes
    }

    /// The weights of member `j` of the group, one panel after another, in the order of [`Parameters::weight`].
    pub fn weights(&self, j: usize) -> impl Iterator<Item = &[f32]> {
        let features = self.dims.features;
        self.rows(j).flat_map(move |row| {
            let panels = self.weight.iter().skip(row).step_by(self.bias.len()).enumerate();
            panels.map(move |(p, panel)| &panel.0[..PANEL.min(features - p * PANEL)])
        })
    }

    /// The parameters of member `j` of the group.
    pub fn member(&self, j: usize) -> Parameters {
        let mut weight = Vec::with_capacity(self.dims.classes * self.dims.features);
        weight.extend(self.weights(j).flatten());
        Parameters { dims: self.dims, weight, bias: self.bias[self.rows(j)].to_vec() }
    }

    /// Computes the loss of each example and `dlogits` of a mini-batch.
    pub fn forward(&self, examples: Examples, workspace: &mut Workspace) {
        let (n, m, rows) = (examples.len(), self.members.len(), self.bias.len());
        workspace.dlogits.resize(n * rows, 0.0);
        workspace.losses.resize(n * m, 0.0);
        let chunk = task_length(n);
        let dlogits = workspace.dlogits.par_chunks_mut(chunk * rows);
        let losses = workspace.losses.par_chunks_mut(chunk * m);
        dlogits.zip(losses).enumerate().for_each(|(i, (dlogits, losses))| {
            let first = i * chunk;
            let end = first + losses.len() / m;
            Scratch::with(|scratch| {
                self.write_features(examples, first..end, scratch);
                self.write_logits(scratch);
                self.write_probabilities(scratch);
                self.write_dlogits(n, scratch, dlogits);
                for (e, losses) in losses.chunks_exact_mut(m).enumerate() {
                    for (loss, lanes) in losses.iter_mut().zip(&scratch.losses) {
                        *loss = lanes.0[e];
                    }
                }
            });
        });
    }

    /// Normalises up to [`CHUNK`] examples.
    pub fn write_features(&self, examples: Examples, range: Range<usize>, scratch: &mut Scratch) {
        let n = range.len();
        let mut images = [Image::default(); CHUNK];
        scratch.examples = n;
        scratch.labels = [0; LANES];
        for (e, i) in range.clone().enumerate() {
            images[e] = examples.image(i);
            scratch.labels[e] = examples.label(i);
        }
        let stride = self.stride();
        scratch.x.resize(CHUNK * stride, Panel::ZERO);
        examples.features(self.arch, range, &images[..n], 0..panels(self.dims), &mut scratch.x, stride);
    }

    /// The logits of the examples whose features `scratch` holds.
    pub fn write_logits(&self, scratch: &mut Scratch) {
        let (rows, stride) = (self.bias.len(), self.stride());
        scratch.sums.resize(rows * CHUNK, Lanes::ZERO);
        scratch.logits.resize(rows, Lanes::ZERO);
        self.arch.dispatch(Forward {
            x: &scratch.x[..scratch.examples.next_multiple_of(4) * stride],
            stride,
            weight: &self.weight,
            bias: &self.bias,
            sums: &mut scratch.sums,
            logits: &mut scratch.logits,
        });
    }

    /// The losses and predictions from the logits, which become probabilities.
    pub fn write_probabilities(&self, scratch: &mut Scratch) {
        scratch.losses.resize(self.members.len(), Lanes::ZERO);
        scratch.predictions.resize(self.members.len(), [0; LANES]);
        let labels = &scratch.labels;
        let members = scratch.logits.chunks_exact_mut(self.dims.classes).zip(&self.losses);
        let results = scratch.losses.iter_mut().zip(&mut scratch.predictions);
        for ((logits, &loss), (losses, predictions)) in members.zip(results) {
            self.arch.dispatch(Losses { loss, logits, labels, losses, predictions });
        }
    }

    /// dlogits = (probs − onehot(y)) / n, or / (k·n) for sigmoids, from (rows) lanes of examples to (examples, rows).
    fn write_dlogits(&self, n: usize, scratch: &Scratch, dlogits: &mut [f32]) {
        let k = self.dims.classes;
        for (e, dlogits) in dlogits.chunks_exact_mut(self.bias.len()).enumerate() {
            let label = usize::from(scratch.labels[e]);
            let members = dlogits.chunks_exact_mut(k).zip(scratch.logits.chunks_exact(k));
            for ((dlogits, probs), loss) in members.zip(&self.losses) {
                let averaged_over = match loss {
                    Loss::Softmax => n,
                    Loss::Bce => k * n,
                } as f32;
                for (class, (dlogit, probs)) in dlogits.iter_mut().zip(probs).enumerate() {
                    let onehot = f32::from(u8::from(class == label));
                    *dlogit = (probs.0[e] - onehot) / averaged_over;
                }
            }
        }
    }

    /// Replaces the parameters by `output`, from the `dlogits` of [`forward`](Self::forward); `steps` holds one element
    /// per member of the stack.
    pub fn backward(&mut self, examples: Examples, workspace: &Workspace, steps: &[Step], output: WeightOutput) {
        let (n, rows, arch) = (examples.len(), self.bias.len(), self.arch);
        let mut row_steps = vec![RowStep::default(); rows];
        for (row_steps, step) in row_steps.chunks_exact_mut(self.dims.classes).zip(steps) {
            row_steps.fill(RowStep { learning_rate: step.learning_rate, two_lambda: 2.0 * step.lambda });
        }
        let mut dbias = vec![0.0; rows];
        for dlogits in workspace.dlogits.chunks_exact(rows) {
            for (dbias, dlogit) in dbias.iter_mut().zip(dlogits) {
                *dbias += f64::from(*dlogit);
            }
        }
        for ((bias, dbias), step) in self.bias.iter_mut().zip(dbias).zip(&row_steps) {
            let dbias = dbias as f32;
            *bias = match output {
                WeightOutput::Updated => *bias - step.learning_rate * dbias,
                WeightOutput::Gradient => dbias,
            };
        }
        let images: Vec<_> = (0..n).map(|i| examples.image(i)).collect();
        let panels = self.weight.par_chunks_mut(rows).enumerate();
        panels.for_each(|(p, weight)| {
            Scratch::with(|Scratch { column: x, .. }| {
                x.resize(n, Panel::ZERO);
                examples.features(arch, 0..n, &images, p..p + 1, x, 1);
                arch.dispatch(Backward { x, dlogits: &workspace.dlogits, steps: &row_steps, weight, output });
            });
        });
    }

    /// Panels from one example to the next: odd, because addresses a power of two apart share one place in the cache.
    fn stride(&self) -> usize {
        panels(self.dims) | 1
    }
}

/// Number of panels in a row.
fn panels(dims: Dims) -> usize {
    dims.features.div_ceil(PANEL)
}

/// Number of examples in one task of the forward pass over `n`.
fn task_length(n: usize) -> usize {
    n.div_ceil(rayon::current_num_threads() * 4).next_multiple_of(4).clamp(4, CHUNK)
}
