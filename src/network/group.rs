//! A group of networks over one stream of examples: their parameters stacked, and the buffers of a mini-batch.
//!
//! m members of k classes are m·k class rows under each other, so that one pass over a mini-batch serves all of them
//! (horizontally fused training; Wang et al., *HFTA*, MLSys 2021). Each member's numbers are bit-identical alone and in
//! any group, and at any number of threads: threads share out examples (forward) and features (backward), never a sum.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;
use rayon::prelude::*;

use super::kernels::{
    Backward, CHUNK, Forward, LANES, Lanes, Leave, Normalise, PANEL, Panel, ROWS, RowRate, Softmax,
    ZERO, ZERO_PANEL,
};
use super::{Dims, Gradients, Parameters, check_shape};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::hyperparameters::Setting;
use crate::preprocess::Normalizer;

/// m networks of the same shape, trained together.
#[derive(Clone, Debug)]
pub struct Group {
    dims: Dims,
    members: usize,
    /// (panels, rows), as [`kernels`](super::kernels) has it; row j·k + c is class c of member j.
    weight: Vec<Panel>,
    /// (rows).
    bias: Vec<f32>,
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

impl From<Setting> for Rate {
    fn from(setting: Setting) -> Self {
        Self {
            eta: setting.eta() as f32,
            lambda: setting.lambda() as f32,
        }
    }
}

/// What an evaluation adds up for one member.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// The sum of the losses of the examples, in nats.
    pub loss: f64,
    /// The examples whose largest logit is their label's, the first of equal logits counting.
    pub correct: usize,
}

/// Labelled examples, wherever they lie.
#[derive(Clone, Copy, Debug)]
pub enum Examples<'a> {
    /// All images of a data set, normalised when they are read.
    All(&'a Dataset, &'a Normalizer),
    /// The images with these indices, in this order.
    Chosen(&'a Dataset, &'a Normalizer, &'a [usize]),
    /// Features that are normalised already, (n,d) row-major, and their labels, (n).
    Rows(&'a [f32], &'a [u8]),
}

impl Examples<'_> {
    /// The number of examples, n.
    pub fn len(&self) -> usize {
        match self {
            Self::All(dataset, _) => dataset.len(),
            Self::Chosen(_, _, indices) => indices.len(),
            Self::Rows(_, labels) => labels.len(),
        }
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn label(&self, i: usize) -> u8 {
        match self {
            Self::All(dataset, _) => dataset.labels()[i],
            Self::Chosen(dataset, _, indices) => dataset.labels()[indices[i]],
            Self::Rows(_, labels) => labels[i],
        }
    }

    /// Writes the normalised features of example `i` to `row`; the padding after them is left as it is.
    fn write(&self, arch: Arch, i: usize, row: &mut [Panel]) {
        let (image, normalizer) = match self {
            Self::All(dataset, normalizer) => (dataset.image(i), normalizer),
            Self::Chosen(dataset, normalizer, indices) => (dataset.image(indices[i]), normalizer),
            Self::Rows(x, labels) => {
                let d = x.len() / labels.len();
                for (panel, x) in row.iter_mut().zip(x[i * d..(i + 1) * d].chunks(PANEL)) {
                    panel.0[..x.len()].copy_from_slice(x);
                }
                return;
            }
        };
        arch.dispatch(Normalise {
            pixels: image,
            scale: normalizer.scale(),
            offset: normalizer.offset(),
            x: row,
        });
    }

    fn check(&self, dims: Dims) -> Result<()> {
        let (found, labels) = match self {
            Self::All(dataset, normalizer) | Self::Chosen(dataset, normalizer, _) => {
                check_shape("mean", normalizer.scale().len(), &[dims.features])?;
                (dataset.dims(), [].as_slice())
            }
            Self::Rows(x, labels) => {
                check_shape("x", x.len(), &[labels.len(), dims.features])?;
                (dims, *labels)
            }
        };
        if found != dims {
            return Err(Error::Shape {
                what: "data set".into(),
                expected: dims.to_string(),
                found: found.to_string(),
            });
        }
        match labels.iter().find(|&&l| usize::from(l) >= dims.classes) {
            None => Ok(()),
            Some(label) => Err(Error::InvalidValue {
                name: "label",
                expected: format!("0 to {}", dims.classes - 1),
                found: label.to_string(),
            }),
        }
    }
}

/// The buffers of a mini-batch, allocated once for all the steps of a training.
#[derive(Debug)]
pub struct Batch {
    /// (n, stride).
    x: Vec<Panel>,
    /// (n, rows).
    dlogits: Vec<f32>,
    /// (n, m): the loss of each example.
    losses: Vec<f32>,
    /// (rows).
    dbias: Vec<f32>,
    /// (rows).
    rates: Vec<RowRate>,
    /// One for each thread that was there when this was made.
    scratch: Vec<Mutex<Scratch>>,
}

/// What a thread needs for one chunk of examples.
#[derive(Clone, Debug)]
struct Scratch {
    /// (rows, [`CHUNK`]).
    sums: Vec<Lanes>,
    /// (rows).
    logits: Vec<Lanes>,
}

impl Batch {
    /// Buffers for mini-batches of up to `examples` of `group`.
    pub fn new(group: &Group, examples: usize) -> Self {
        let rows = group.bias.len();
        let scratch = Scratch::new(rows);
        let mut batch = Self {
            x: Vec::new(),
            dlogits: Vec::new(),
            losses: Vec::new(),
            dbias: vec![0.0; rows],
            rates: vec![RowRate::default(); rows],
            scratch: vec![(); rayon::current_num_threads()]
                .into_iter()
                .map(|()| Mutex::new(scratch.clone()))
                .collect(),
        };
        batch.grow(group, examples);
        batch
    }

    fn grow(&mut self, group: &Group, examples: usize) {
        let padded = examples.next_multiple_of(CHUNK);
        if self.x.len() < padded * group.stride() {
            self.x.resize(padded * group.stride(), ZERO_PANEL);
            self.dlogits.resize(examples * group.bias.len(), 0.0);
            self.losses.resize(examples * group.members, 0.0);
        }
    }
}

impl Scratch {
    fn new(rows: usize) -> Self {
        Self {
            sums: vec![ZERO; rows * CHUNK],
            logits: vec![ZERO; rows],
        }
    }
}

impl Group {
    /// The group of `members`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when there is none, or two differ in shape.
    pub fn new(members: &[Parameters]) -> Result<Self> {
        let Some(first) = members.first() else {
            return Err(Error::Shape {
                what: "group".into(),
                expected: "(1 or more members)".into(),
                found: "(0)".into(),
            });
        };
        let dims = first.dims;
        let rows = (members.len() * dims.classes).next_multiple_of(ROWS);
        let panels = dims.features.div_ceil(PANEL);
        let mut group = Self {
            dims,
            members: members.len(),
            weight: vec![ZERO_PANEL; panels * rows],
            bias: vec![0.0; rows],
            arch: Arch::new(),
        };
        for (j, member) in members.iter().enumerate() {
            group.set_member(j, member)?;
        }
        Ok(group)
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
    /// When `j` is m or more.
    pub fn member(&self, j: usize) -> Parameters {
        let Dims { features, classes } = self.dims;
        assert!(j < self.members, "member {j} of {}", self.members);
        let first = j * classes;
        let rows = self.bias.len();
        let mut weight = Vec::with_capacity(classes * features);
        for row in first..first + classes {
            for panel in self.weight.iter().skip(row).step_by(rows) {
                let end = (weight.len() + PANEL).min((row - first + 1) * features);
                weight.extend_from_slice(&panel.0[..end - weight.len()]);
            }
        }
        Parameters {
            dims: self.dims,
            weight,
            bias: self.bias[first..first + classes].to_vec(),
        }
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
            return Err(Error::Shape {
                what: format!("member {j} of the group"),
                expected: self.dims.to_string(),
                found: parameters.dims.to_string(),
            });
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

    /// One step of gradient descent on the mini-batch `examples`, member j with `rates[j]`.
    ///
    /// Allocates only when the mini-batch is larger than any before.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when `examples` is empty or has another shape than the members, or `rates` not one element a
    /// member.
    pub fn step(&mut self, batch: &mut Batch, examples: Examples, rates: &[Rate]) -> Result<()> {
        self.forward(batch, examples)?;
        self.backward(batch, examples.len(), rates, Leave::Updated)
    }

    /// The mean loss in nats and the gradient of the cost of each member on `examples`, member j with `lambdas[j]`: the
    /// same kernels as [`step`](Self::step), which leaves `parameters − η · gradient`, to the last bit.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn gradients(&self, examples: Examples, lambdas: &[f32]) -> Result<Vec<(f64, Gradients)>> {
        let rates: Vec<_> = lambdas
            .iter()
            .map(|&lambda| Rate { eta: 0.0, lambda })
            .collect();
        let mut batch = Batch::new(self, examples.len());
        self.forward(&mut batch, examples)?;
        let mut gradients = self.clone();
        gradients.backward(&mut batch, examples.len(), &rates, Leave::Gradient)?;
        let losses = self.losses(&batch, examples.len());
        let of_member = |(j, loss)| {
            let Parameters { dims, weight, bias } = gradients.member(j);
            let gradients = Gradients {
                dims,
                dweight: weight,
                dbias: bias,
            };
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
        let (losses, predictions) = self.examine(examples)?;
        let mut totals = vec![Totals::default(); self.members];
        let of_examples = losses
            .chunks_exact(self.members)
            .zip(predictions.chunks_exact(self.members));
        for (i, (losses, predictions)) in of_examples.enumerate() {
            for (j, totals) in totals.iter_mut().enumerate() {
                totals.loss += f64::from(losses[j]);
                totals.correct += usize::from(predictions[j] == examples.label(i));
            }
        }
        Ok(totals)
    }

    /// The class that each member finds most probable for each of the `examples`, (m,n); the first of equals.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    pub fn predict(&self, examples: Examples) -> Result<Vec<Vec<u8>>> {
        let (_, predictions) = self.examine(examples)?;
        let of_member = |j| {
            let predictions = predictions.iter().skip(j).step_by(self.members);
            predictions.copied().collect()
        };
        Ok((0..self.members).map(of_member).collect())
    }

    /// The loss and the predicted class of each example and member, (n,m) each.
    fn examine(&self, examples: Examples) -> Result<(Vec<f32>, Vec<u8>)> {
        examples.check(self.dims)?;
        let n = examples.len();
        let mut losses = vec![0.0; n * self.members];
        let mut predictions = vec![0; n * self.members];
        let scratch = || {
            let x = vec![ZERO_PANEL; CHUNK * self.stride()];
            (x, Scratch::new(self.bias.len()))
        };
        losses
            .par_chunks_mut(CHUNK * self.members)
            .zip(predictions.par_chunks_mut(CHUNK * self.members))
            .enumerate()
            .for_each_init(scratch, |(x, scratch), (chunk, (losses, predictions))| {
                let first = chunk * CHUNK;
                self.forward_chunk(examples, first, x, scratch, losses, predictions);
            });
        Ok((losses, predictions))
    }

    /// Normalised features, logits, probabilities and losses of the examples from `first`, as many as `losses` has room
    /// for; the probabilities stay in `scratch.logits`.
    fn forward_chunk(
        &self,
        examples: Examples,
        first: usize,
        x: &mut [Panel],
        scratch: &mut Scratch,
        losses: &mut [f32],
        predictions: &mut [u8],
    ) {
        let n = losses.len() / self.members;
        let mut labels = [0; LANES];
        for (e, label) in labels.iter_mut().enumerate().take(n) {
            *label = examples.label(first + e);
        }
        for (e, row) in x.chunks_exact_mut(self.stride()).enumerate().take(n) {
            examples.write(self.arch, first + e, row);
        }
        self.arch.dispatch(Forward {
            x: &x[..n.next_multiple_of(4) * self.stride()],
            stride: self.stride(),
            weight: &self.weight,
            bias: &self.bias,
            sums: &mut scratch.sums,
            logits: &mut scratch.logits,
        });
        let members = scratch.logits.chunks_exact_mut(self.dims.classes);
        for (j, logits) in members.enumerate().take(self.members) {
            let (mut loss, mut prediction) = (ZERO, [0; LANES]);
            self.arch.dispatch(Softmax {
                logits,
                labels: &labels,
                losses: &mut loss,
                predictions: &mut prediction,
            });
            for e in 0..n {
                losses[e * self.members + j] = loss.0[e];
                predictions[e * self.members + j] = prediction[e] as u8;
            }
        }
    }

    /// Fills `batch` with the normalised features, the losses and `dlogits`.
    fn forward(&self, batch: &mut Batch, examples: Examples) -> Result<()> {
        examples.check(self.dims)?;
        let n = examples.len();
        check_shape("mini-batch", usize::from(n > 0), &[1])?;
        batch.grow(self, n);
        let rows = self.bias.len();
        let pool = &batch.scratch;
        let chunk = chunk_length(n);
        batch
            .x
            .par_chunks_mut(chunk * self.stride())
            .zip(batch.dlogits[..n * rows].par_chunks_mut(chunk * rows))
            .zip(batch.losses[..n * self.members].par_chunks_mut(chunk * self.members))
            .enumerate()
            .for_each(|(i, ((x, dlogits), losses))| {
                let thread = rayon::current_thread_index().unwrap_or(0);
                let scratch = &pool[thread % pool.len()];
                let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
                let mut predictions = [0; CHUNK * 64];
                let first = i * chunk;
                let predictions = &mut predictions[..losses.len()];
                self.forward_chunk(examples, first, x, &mut scratch, losses, predictions);
                self.write_dlogits(examples, first, n, &scratch.logits, dlogits);
            });
        Ok(())
    }

    /// dlogits = (probs − onehot(y)) / n, from (rows) lanes of examples to (examples, rows).
    fn write_dlogits(
        &self,
        examples: Examples,
        first: usize,
        n: usize,
        probs: &[Lanes],
        dlogits: &mut [f32],
    ) {
        let rows = self.bias.len();
        let k = self.dims.classes;
        for (e, dlogits) in dlogits.chunks_exact_mut(rows).enumerate() {
            let label = usize::from(examples.label(first + e));
            for (row, dlogit) in dlogits.iter_mut().enumerate().take(self.members * k) {
                let onehot = f32::from(u8::from(row % k == label));
                *dlogit = (probs[row].0[e] - onehot) / n as f32;
            }
        }
    }

    /// Replaces the parameters by what `leave` says.
    fn backward(
        &mut self,
        batch: &mut Batch,
        n: usize,
        rates: &[Rate],
        leave: Leave,
    ) -> Result<()> {
        check_shape("rates", rates.len(), &[self.members])?;
        let rows = self.bias.len();
        for (row, of_row) in batch.rates.iter_mut().enumerate() {
            if let Some(rate) = rates.get(row / self.dims.classes) {
                of_row.eta = rate.eta;
                of_row.two_lambda = 2.0 * rate.lambda;
            }
        }
        batch.dbias.fill(0.0);
        for dlogits in batch.dlogits[..n * rows].chunks_exact(rows) {
            for (dbias, dlogit) in batch.dbias.iter_mut().zip(dlogits) {
                *dbias += dlogit;
            }
        }
        for ((bias, dbias), rate) in self.bias.iter_mut().zip(&batch.dbias).zip(&batch.rates) {
            *bias = match leave {
                Leave::Updated => *bias - rate.eta * dbias,
                Leave::Gradient => *dbias,
            };
        }
        let stride = stride(self.dims);
        let arch = self.arch;
        self.weight
            .par_chunks_mut(rows)
            .enumerate()
            .for_each(|(panel, weight)| {
                arch.dispatch(Backward {
                    x: &batch.x[..n * stride],
                    stride,
                    panel,
                    dlogits: &batch.dlogits[..n * rows],
                    rates: &batch.rates,
                    weight,
                    leave,
                });
            });
        Ok(())
    }

    /// bench
    #[doc(hidden)]
    pub fn bench_backward(&mut self, batch: &mut Batch, rates: &[Rate]) -> f64 {
        let t = std::time::Instant::now();
        self.backward(batch, 100, rates, Leave::Updated).unwrap();
        t.elapsed().as_secs_f64()
    }

    /// Panels from one example to the next: odd, because addresses a power of two apart share one place in the cache.
    fn stride(&self) -> usize {
        stride(self.dims)
    }
}

fn stride(dims: Dims) -> usize {
    dims.features.div_ceil(PANEL) | 1
}

/// The examples of one task of the forward pass.
fn chunk_length(n: usize) -> usize {
    n.div_ceil(rayon::current_num_threads() * 4)
        .next_multiple_of(4)
        .clamp(4, CHUNK)
}
