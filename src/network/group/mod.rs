//! A group of networks over one stream of examples: their parameters stacked, and the buffers of a mini-batch.
//!
//! m members of k classes are m·k class rows under each other, so that one pass over a mini-batch serves all of them
//! (horizontally fused training; Wang et al., *HFTA*, MLSys 2021). Each member's numbers are bit-identical alone and in
//! any group, and at any number of threads: threads share out examples (forward) and features (backward), never a sum.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::hyperparameters::{Loss, Setting};
use crate::network::kernels::{
    Backward, CHUNK, Forward, Image, LANES, Lanes, Leave, PANEL, Panel, ROW_MULTIPLE, RowRate, Sigmoid, Softmax, ZERO,
    ZERO_PANEL,
};
use crate::network::{Examples, Gradients, Parameters};
use crate::shape::{Dims, check_shape};

/// m networks of the same shape, trained together.
#[derive(Clone, Debug)]
pub struct Group {
    dims: Dims,
    members: usize,
    /// (panels, rows), as [`kernels`](crate::network::kernels) has it; row j·k + c is class c of member j.
    weight: Vec<Panel>,
    /// (rows).
    bias: Vec<f32>,
    /// (m): what each member minimises.
    losses: Vec<Loss>,
    arch: Arch,
}

/// The step size and the penalty of one member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// η.
    pub eta: f32,
    /// λ.
    pub lambda: f32,
}

impl Rate {
    /// The rate of `setting` in `epoch`, counted from 1.
    pub fn new(setting: Setting, epoch: usize) -> Self {
        Self { eta: setting.learning_rate(epoch) as f32, lambda: setting.lambda() as f32 }
    }
}

/// What an evaluation adds up for one member.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// The sum of the losses of the examples, each in nats.
    pub loss: f64,
    /// The examples whose largest logit is their label's, the first of equal logits counting.
    pub correct: usize,
}

impl Totals {
    /// Adds an example.
    pub(crate) fn add(&mut self, loss: f32, is_correct: bool) {
        self.loss += f64::from(loss);
        self.correct += usize::from(is_correct);
    }
}

/// The buffers of a mini-batch, allocated once for all the steps of a training.
///
/// The normalised features are not among them: both passes make them of the pixels when they need them, a few images at
/// a time or a few features, which stay in the cache of the core that they are needed by.
#[derive(Debug)]
pub struct Batch {
    /// What the buffers are shaped for.
    dims: Dims,
    members: usize,
    /// (n, rows).
    dlogits: Vec<f32>,
    /// (n, m): the loss of each example.
    losses: Vec<f32>,
    /// (rows).
    dbias: Vec<f64>,
    /// (rows).
    rates: Vec<RowRate>,
}

/// What a thread needs for the examples or the features that it works on.
#[derive(Debug, Default)]
struct Scratch {
    /// ([`CHUNK`], stride): the features of a chunk of examples.
    x: Vec<Panel>,
    /// (rows, [`CHUNK`]).
    sums: Vec<Lanes>,
    /// (rows): logits, then probabilities.
    logits: Vec<Lanes>,
    /// (m).
    losses: Vec<Lanes>,
    /// (m).
    predictions: Vec<[u32; LANES]>,
    /// (n): one panel of all examples, for the backward pass.
    column: Vec<Panel>,
}

impl Batch {
    /// Buffers for mini-batches of up to `examples` of `group`.
    pub fn new(group: &Group, examples: usize) -> Self {
        let rows = group.bias.len();
        let mut batch = Self {
            dims: group.dims,
            members: group.members,
            dlogits: Vec::new(),
            losses: Vec::new(),
            dbias: vec![0.0; rows],
            rates: vec![RowRate::default(); rows],
        };
        batch.grow(group, examples);
        batch
    }

    fn grow(&mut self, group: &Group, examples: usize) {
        if self.losses.len() < examples * group.members {
            self.dlogits.resize(examples * group.bias.len(), 0.0);
            self.losses.resize(examples * group.members, 0.0);
        }
    }

    fn check(&self, group: &Group) -> Result<()> {
        if (self.dims, self.members) == (group.dims, group.members) {
            return Ok(());
        }
        Err(Error::shape(
            "batch",
            format!("{} members of {}", group.members, group.dims),
            format!("{} members of {}", self.members, self.dims),
        ))
    }

    /// dbias = the column sums of the `n` rows of dlogits.
    fn add_up_dbias(&mut self, n: usize) {
        self.dbias.fill(0.0);
        let rows = self.dbias.len();
        for dlogits in self.dlogits[..n * rows].chunks_exact(rows) {
            for (dbias, dlogit) in self.dbias.iter_mut().zip(dlogits) {
                *dbias += f64::from(*dlogit);
            }
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// This thread's, for a chunk of examples of `group`.
    fn with<R>(group: &Group, run: impl FnOnce(&mut Self) -> R) -> R {
        SCRATCH.with_borrow_mut(|scratch| {
            let rows = group.bias.len();
            scratch.x.resize(CHUNK * group.stride(), ZERO_PANEL);
            scratch.sums.resize(rows * CHUNK, ZERO);
            scratch.logits.resize(rows, ZERO);
            scratch.losses.resize(group.members, ZERO);
            scratch.predictions.resize(group.members, [0; LANES]);
            run(scratch)
        })
    }

    /// This thread's, for one panel of `n` examples.
    fn with_column<R>(n: usize, run: impl FnOnce(&mut [Panel]) -> R) -> R {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.column.resize(n, ZERO_PANEL);
            run(&mut scratch.column)
        })
    }
}

impl Group {
    /// The group of `members`, each with the loss [`Loss::Softmax`].
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when there is none, one has no feature or no class, or two differ in shape.
    pub fn new<P: Borrow<Parameters>>(members: &[P]) -> Result<Self> {
        let Some(first) = members.first().map(P::borrow) else {
            return Err(Error::shape("group", "(1 or more members)", "(0)"));
        };
        let dims = first.dims;
        if dims.features == 0 || dims.classes == 0 {
            return Err(Error::shape("member 0 of the group", "1 or more features and classes", dims));
        }
        let rows = (members.len() * dims.classes).next_multiple_of(ROW_MULTIPLE);
        let mut group = Self {
            dims,
            members: members.len(),
            weight: vec![ZERO_PANEL; panels(dims) * rows],
            bias: vec![0.0; rows],
            losses: vec![Loss::default(); members.len()],
            arch: Arch::new(),
        };
        for (j, member) in members.iter().enumerate() {
            group.set_member(j, member.borrow())?;
        }
        Ok(group)
    }

    /// The same group, member j minimising `losses[j]`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `losses` has not one element a member.
    pub fn with_losses(self, losses: &[Loss]) -> Result<Self> {
        check_shape("losses", losses.len(), &[self.members])?;
        Ok(Self { losses: losses.to_vec(), ..self })
    }

    /// The same group, computed with another instruction set than the widest one of this processor: for tests and
    /// measurements, which find the same bits.
    pub fn with_arch(self, arch: Arch) -> Self {
        Self { arch, ..self }
    }

    /// The number of members, m, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a group is never empty")]
    pub fn len(&self) -> usize {
        self.members
    }

    /// The shape of each member.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// The parameters of member `j`.
    ///
    /// # Panics
    ///
    /// If `j` is m or more.
    pub fn member(&self, j: usize) -> Parameters {
        let Dims { features, classes } = self.dims;
        let mut weight = Vec::with_capacity(classes * features);
        weight.extend(self.weights(j).flatten());
        Parameters { dims: self.dims, weight, bias: self.bias[j * classes..(j + 1) * classes].to_vec() }
    }

    /// Σ weight² of member `j`, to the same bits as [`Parameters::squared_norm`].
    ///
    /// # Panics
    ///
    /// If `j` is m or more.
    pub fn squared_norm(&self, j: usize) -> f64 {
        self.weights(j).flatten().map(|&w| f64::from(w).powi(2)).sum()
    }

    /// The weights of member `j`, one panel after another, in the order of [`Parameters::weight`].
    fn weights(&self, j: usize) -> impl Iterator<Item = &[f32]> {
        let Dims { features, classes } = self.dims;
        assert!(j < self.members, "member {j} of {}", self.members);
        let of_row = move |row| {
            let panels = self.weight.iter().skip(row).step_by(self.bias.len()).enumerate();
            panels.map(move |(p, panel)| &panel.0[..PANEL.min(features - p * PANEL)])
        };
        (j * classes..(j + 1) * classes).flat_map(of_row)
    }

    /// Replaces member `j`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `parameters` has another shape.
    ///
    /// # Panics
    ///
    /// When `j` is m or more.
    pub fn set_member(&mut self, j: usize, parameters: &Parameters) -> Result<()> {
        if parameters.dims != self.dims {
            return Err(Error::shape(format!("member {j} of the group"), self.dims, parameters.dims));
        }
        let Dims { features, classes } = self.dims;
        assert!(j < self.members, "member {j} of {}", self.members);
        let rows = self.bias.len();
        for (c, weight) in parameters.weight.chunks_exact(features).enumerate() {
            let panels = self.weight.iter_mut().skip(j * classes + c).step_by(rows);
            for (panel, weight) in panels.zip(weight.chunks(PANEL)) {
                panel.0[..weight.len()].copy_from_slice(weight);
            }
        }
        self.bias[j * classes..(j + 1) * classes].copy_from_slice(&parameters.bias);
        Ok(())
    }

    /// Replaces the members from `first` on by those of `part`, which have the same shape.
    ///
    /// # Panics
    ///
    /// When there are not as many.
    pub(crate) fn put(&mut self, first: usize, part: &Self) {
        let count = part.members * part.dims.classes;
        let first = first * self.dims.classes;
        let panels = self.weight.chunks_exact_mut(self.bias.len());
        for (to, from) in panels.zip(part.weight.chunks_exact(part.bias.len())) {
            to[first..first + count].copy_from_slice(&from[..count]);
        }
        self.bias[first..first + count].copy_from_slice(&part.bias[..count]);
    }

    /// One step of gradient descent on the mini-batch `examples`, member j with `rates[j]`.
    ///
    /// Allocates a list of the images, and more only when the mini-batch is larger than any before.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `examples` is empty or has another shape than the members, or `rates` not one element a
    /// member.
    pub fn step(&mut self, batch: &mut Batch, examples: Examples, rates: &[Rate]) -> Result<()> {
        self.forward(batch, examples)?;
        self.backward(batch, examples, rates, Leave::Updated)
    }

    /// The mean loss in nats and the gradient of the cost of each member on `examples`, member j with `lambdas[j]`: the
    /// same kernels as [`step`](Self::step), which leaves `parameters − η · gradient`, to the last bit.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn gradients(&self, examples: Examples, lambdas: &[f32]) -> Result<Vec<(f64, Gradients)>> {
        let rates: Vec<_> = lambdas.iter().map(|&lambda| Rate { eta: 0.0, lambda }).collect();
        let mut batch = Batch::new(self, examples.len());
        self.forward(&mut batch, examples)?;
        let mut gradients = self.clone();
        gradients.backward(&mut batch, examples, &rates, Leave::Gradient)?;
        let losses = self.losses(&batch, examples.len());
        let of_member = |(j, loss)| {
            let Parameters { dims, weight, bias } = gradients.member(j);
            let gradients = Gradients { dims, dweight: weight, dbias: bias };
            (loss, gradients)
        };
        Ok(losses.into_iter().enumerate().map(of_member).collect())
    }

    /// The mean loss in nats of each member on the `n` examples that `batch` was last used for, before that step.
    pub fn losses(&self, batch: &Batch, n: usize) -> Vec<f64> {
        let mean = |j| {
            let losses = batch.losses.iter().skip(j).step_by(self.members).take(n);
            losses.map(|&loss| f64::from(loss)).sum::<f64>() / n as f64
        };
        (0..self.members).map(mean).collect()
    }

    /// The total loss and the number of correctly classified `examples`, for each member.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `examples` has another shape than the members.
    pub fn evaluate(&self, examples: Examples) -> Result<Vec<Totals>> {
        let (outcomes, _) = self.pass(examples, |_| ())?;
        let mut totals = vec![Totals::default(); self.members];
        for (i, outcomes) in outcomes.chunks_exact(self.members).enumerate() {
            for (totals, &(loss, class)) in totals.iter_mut().zip(outcomes) {
                totals.add(loss, class == u32::from(examples.label(i)));
            }
        }
        Ok(totals)
    }

    /// For each of the `examples` and each member: the loss in nats and the most probable class (the first of equals),
    /// (n,m); and the probabilities of all classes, (n,m,k). Those of a softmax add up to 1, those of k sigmoids need not.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    pub fn outcomes(&self, examples: Examples) -> Result<(Vec<(f32, u32)>, Vec<f32>)> {
        self.pass(examples, |probability| probability)
    }

    /// The forward pass over `examples`: losses and predicted classes, (n,m), and `keep` of each probability, (n,m,k).
    fn pass<P: Copy + Default + Send>(
        &self,
        examples: Examples,
        keep: impl Fn(f32) -> P + Sync,
    ) -> Result<(Vec<(f32, u32)>, Vec<P>)> {
        examples.check(self.dims)?;
        let (m, rows) = (self.members, self.members * self.dims.classes);
        let mut outcomes = vec![(0.0, 0); examples.len() * m];
        let mut probabilities = vec![P::default(); examples.len() * rows];
        let chunks = outcomes.par_chunks_mut(CHUNK * m).zip(probabilities.par_chunks_mut(CHUNK * rows));
        chunks.enumerate().for_each(|(chunk, (outcomes, probabilities))| {
            Scratch::with(self, |scratch| {
                let first = chunk * CHUNK;
                self.forward_chunk(examples, first..first + outcomes.len() / m, scratch);
                let examples = outcomes.chunks_exact_mut(m).zip(probabilities.chunks_exact_mut(rows));
                for (e, (outcomes, probabilities)) in examples.enumerate() {
                    for (j, outcome) in outcomes.iter_mut().enumerate() {
                        *outcome = (scratch.losses[j].0[e], scratch.predictions[j][e]);
                    }
                    for (probability, lanes) in probabilities.iter_mut().zip(&scratch.logits) {
                        *probability = keep(lanes.0[e]);
                    }
                }
            });
        });
        Ok((outcomes, probabilities))
    }

    /// The forward pass of up to [`CHUNK`] examples.
    fn forward_chunk(&self, examples: Examples, range: Range<usize>, scratch: &mut Scratch) {
        let mut labels = [0; LANES];
        for (label, i) in labels.iter_mut().zip(range.clone()) {
            *label = examples.label(i);
        }
        self.write_logits(examples, range, scratch);
        let members = scratch.logits.chunks_exact_mut(self.dims.classes);
        let results = scratch.losses.iter_mut().zip(&mut scratch.predictions);
        for ((logits, loss), (losses, predictions)) in members.zip(&self.losses).zip(results) {
            let labels = &labels;
            match loss {
                Loss::Softmax => self.arch.dispatch(Softmax { logits, labels, losses, predictions }),
                Loss::Bce => self.arch.dispatch(Sigmoid { logits, labels, losses, predictions }),
            }
        }
    }

    /// The logits of up to [`CHUNK`] examples.
    fn write_logits(&self, examples: Examples, range: Range<usize>, scratch: &mut Scratch) {
        let n = range.len();
        let mut images = [Image::default(); CHUNK];
        for (image, i) in images.iter_mut().zip(range.clone()) {
            *image = examples.image(i);
        }
        let (stride, panels) = (self.stride(), 0..panels(self.dims));
        let x = &mut scratch.x[..n.next_multiple_of(4) * stride];
        examples.features(self.arch, range, &images[..n], panels, x, stride);
        self.arch.dispatch(Forward {
            x,
            stride,
            weight: &self.weight,
            bias: &self.bias,
            sums: &mut scratch.sums,
            logits: &mut scratch.logits,
        });
    }

    /// Fills `batch` with the losses and `dlogits`.
    fn forward(&self, batch: &mut Batch, examples: Examples) -> Result<()> {
        examples.check(self.dims)?;
        batch.check(self)?;
        let n = examples.len();
        check_shape("mini-batch", usize::from(n > 0), &[1])?;
        batch.grow(self, n);
        let rows = self.bias.len();
        let chunk = task_length(n);
        let dlogits = batch.dlogits[..n * rows].par_chunks_mut(chunk * rows);
        let losses = batch.losses[..n * self.members].par_chunks_mut(chunk * self.members);
        let chunks = dlogits.zip(losses).enumerate();
        chunks.for_each(|(i, (dlogits, losses))| {
            Scratch::with(self, |scratch| {
                let first = i * chunk;
                let end = first + losses.len() / self.members;
                self.forward_chunk(examples, first..end, scratch);
                for (e, losses) in losses.chunks_exact_mut(self.members).enumerate() {
                    for (loss, lanes) in losses.iter_mut().zip(&scratch.losses) {
                        *loss = lanes.0[e];
                    }
                }
                self.write_dlogits(examples, first, n, &scratch.logits, dlogits);
            });
        });
        Ok(())
    }

    /// dlogits = (probs − onehot(y)) / n, or / (k·n) for sigmoids, from (rows) lanes of examples to (examples, rows).
    fn write_dlogits(&self, examples: Examples, first: usize, n: usize, probs: &[Lanes], dlogits: &mut [f32]) {
        let rows = self.bias.len();
        let k = self.dims.classes;
        for (e, dlogits) in dlogits.chunks_exact_mut(rows).enumerate() {
            let label = usize::from(examples.label(first + e));
            let members = dlogits.chunks_exact_mut(k).zip(probs.chunks_exact(k));
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

    /// Replaces the parameters by what `leave` says.
    fn backward(&mut self, batch: &mut Batch, examples: Examples, rates: &[Rate], leave: Leave) -> Result<()> {
        check_shape("rates", rates.len(), &[self.members])?;
        let (n, rows) = (examples.len(), self.bias.len());
        batch.add_up_dbias(n);
        for (row, of_row) in batch.rates.iter_mut().enumerate() {
            if let Some(rate) = rates.get(row / self.dims.classes) {
                of_row.eta = rate.eta;
                of_row.two_lambda = 2.0 * rate.lambda;
            }
        }
        for ((bias, dbias), rate) in self.bias.iter_mut().zip(&batch.dbias).zip(&batch.rates) {
            let dbias = *dbias as f32;
            *bias = match leave {
                Leave::Updated => *bias - rate.eta * dbias,
                Leave::Gradient => dbias,
            };
        }
        let images: Vec<_> = (0..n).map(|i| examples.image(i)).collect();
        let arch = self.arch;
        let panels = self.weight.par_chunks_mut(rows).enumerate();
        panels.for_each(|(panel, weight)| {
            Scratch::with_column(n, |x| {
                examples.features(arch, 0..n, &images, panel..panel + 1, x, 1);
                arch.dispatch(Backward { x, dlogits: &batch.dlogits[..n * rows], rates: &batch.rates, weight, leave });
            });
        });
        Ok(())
    }

    /// Panels from one example to the next: odd, because addresses a power of two apart share one place in the cache.
    fn stride(&self) -> usize {
        panels(self.dims) | 1
    }
}

/// The panels of a row.
fn panels(dims: Dims) -> usize {
    dims.features.div_ceil(PANEL)
}

/// The examples of one task of the forward pass over `n`.
fn task_length(n: usize) -> usize {
    n.div_ceil(rayon::current_num_threads() * 4).next_multiple_of(4).clamp(4, CHUNK)
}

#[cfg(test)]
mod tests;
