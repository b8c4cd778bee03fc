//! A group of networks, trained and evaluated over one stream of examples.
//!
//! Members are stacked, one's class rows below another's, so that one pass over a mini-batch serves a whole stack
//! (horizontally fused training; Wang et al., *HFTA*, MLSys 2021). If there are at least as many members as threads,
//! each thread gets a stack of its own: then no thread waits for another within a mini-batch or reads what another has
//! written. Each normalises the whole mini-batch for itself, which takes less time than fetching it from another core.
//! Otherwise there is one stack, and all threads share its passes.
//!
//! The numbers of a member are bit-identical alone, in any group and at any number of threads: work is split over
//! members, over examples (forward) and over features (backward), never within a sum.

mod phases;
mod scratch;
mod stack;

use std::borrow::Borrow;
use std::sync::Arc;

use pulp::Arch;
use rayon::prelude::*;

use self::phases::Stopwatch;
pub use self::phases::{Phase, Phases};
use self::scratch::Scratch;
use self::stack::{Stack, Workspace, parts};
use crate::error::{Error, Result};
use crate::hyperparameters::{Loss, Setting};
use crate::network::kernels::{CHUNK, WeightOutput};
use crate::network::{Examples, Gradients, Parameters};
use crate::shape::{Dims, check_shape};

/// Number of examples that a forward pass over more goes through before it asks whether to stop; a multiple of [`CHUNK`].
const PART: usize = 32 * CHUNK;

/// m networks of the same shape, trained together.
#[derive(Clone, Debug)]
pub struct Group {
    /// The members in order, one stack per thread or one in all.
    stacks: Vec<Stack>,
    /// The mini-batch that each stack was last trained on.
    workspaces: Vec<Workspace>,
}

/// The hyperparameters of one step of gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// η, the learning rate.
    pub learning_rate: f32,
    /// λ, the weight of the penalty.
    pub lambda: f32,
    /// The weight of a penalty on the bias too, which the cost does not have: 0 but for a known mistake.
    pub bias_lambda: f32,
}

impl Step {
    /// A step of `setting` with the learning rate of its epoch.
    pub fn new(setting: Setting, learning_rate: f64) -> Self {
        Self { learning_rate: learning_rate as f32, lambda: setting.lambda() as f32, bias_lambda: 0.0 }
    }
}

/// The result of one member for one example.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The loss, in nats.
    pub loss: f32,
    /// The class with the largest logit; of equal logits the first.
    pub class: u32,
}

impl Group {
    /// The group of `members`, each with the loss [`Loss::Softmax`].
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is no member, one has no feature or no class, or two differ in shape.
    pub fn new<P: Borrow<Parameters>>(members: &[P]) -> Result<Self> {
        let dims_of = |member: &P| member.borrow().dims;
        let Some(dims) = members.first().map(dims_of) else {
            return Err(Error::shape("group", "(1 or more members)", "(0)"));
        };
        if dims.features == 0 || dims.classes == 0 {
            return Err(Error::shape("member 0 of the group", "of at least 1 feature and 1 class", dims));
        }
        if let Some(j) = members.iter().position(|member| dims_of(member) != dims) {
            return Err(Error::shape(format!("member {j} of the group"), dims, dims_of(&members[j])));
        }
        let m = members.len();
        let count = match rayon::current_num_threads() {
            threads if threads <= m => threads,
            _ => 1,
        };
        let stack = |i| {
            let range = i * m / count..(i + 1) * m / count;
            Stack::new(range.clone(), &members[range], Arch::new())
        };
        Ok(Self { stacks: (0..count).map(stack).collect(), workspaces: vec![Workspace::default(); count] })
    }

    /// The same group, with member j minimising `losses[j]`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if `losses` doesn't have one element per member.
    pub fn with_losses(mut self, losses: &[Loss]) -> Result<Self> {
        check_shape("losses", losses.len(), &[self.len()])?;
        for stack in &mut self.stacks {
            stack.losses = losses[stack.members.clone()].to_vec();
        }
        Ok(self)
    }

    /// The same group on another instruction set; the numbers stay the same.
    pub fn with_arch(mut self, arch: Arch) -> Self {
        self.stacks = self.stacks.into_iter().map(|stack| stack.with_arch(arch)).collect();
        self
    }

    /// The same group, adding the time of its passes to `phases`.
    pub fn with_phases(mut self, phases: &Arc<Phases>) -> Self {
        self.stacks.iter_mut().for_each(|stack| stack.phases = Some(Arc::clone(phases)));
        self
    }

    /// The number of members, m, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a group is never empty")]
    pub fn len(&self) -> usize {
        self.stacks.iter().map(|stack| stack.members.len()).sum()
    }

    /// The shape of each member.
    pub fn dims(&self) -> Dims {
        self.stacks[0].dims
    }

    /// The parameters of member `j`.
    ///
    /// # Panics
    ///
    /// If `j` is m or more.
    pub fn member(&self, j: usize) -> Parameters {
        self.stack_of(j).member(j)
    }

    /// Σ weight² of member `j`, to the same bits as [`Parameters::squared_norm`].
    ///
    /// # Panics
    ///
    /// If `j` is m or more.
    pub fn squared_norm(&self, j: usize) -> f64 {
        self.stack_of(j).weights(j).flatten().map(|&w| f64::from(w).powi(2)).sum()
    }

    fn stack_of(&self, j: usize) -> &Stack {
        let stack = self.stacks.iter().find(|stack| stack.members.contains(&j));
        stack.unwrap_or_else(|| panic!("member {j} of {}", self.len()))
    }

    /// One step of gradient descent on the mini-batch `examples`, for member j with `steps[j]`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if `examples` is empty, [`Error::Shape`] if it differs in shape from the members, or `steps`
    /// doesn't have one element per member.
    pub fn step(&mut self, examples: Examples, steps: &[Step]) -> Result<()> {
        self.step_unless(examples, steps, &|| false)
    }

    /// The same [`step`](Self::step), unless `stop` becomes true during it. It is asked between the parts of a mini-batch that
    /// has more examples than fit into one.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step), and [`Error::Interrupted`], after which the parameters are those before the step.
    pub fn step_unless(&mut self, examples: Examples, steps: &[Step], stop: &dyn Fn() -> bool) -> Result<()> {
        self.check_batch(examples, steps)?;
        for part in parts(examples.len()) {
            if part.start > 0 && stop() {
                return Err(Error::Interrupted);
            }
            let stacks = self.stacks.par_iter_mut().zip(&mut self.workspaces);
            stacks.for_each(|(stack, workspace)| {
                let steps = &steps[stack.members.clone()];
                stack.step(examples, part.clone(), workspace, steps, WeightOutput::Updated);
            });
        }
        Ok(())
    }

    /// The mean loss in nats and the gradient of the cost of each member on `examples`, for member j with `lambdas[j]`.
    ///
    /// These are the kernels of [`step`](Self::step), which leaves `parameters − η · gradient`, to the last bit.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub fn gradients(&self, examples: Examples, lambdas: &[f32]) -> Result<Vec<(f64, Gradients)>> {
        let steps: Vec<_> =
            lambdas.iter().map(|&lambda| Step { learning_rate: 0.0, lambda, bias_lambda: 0.0 }).collect();
        self.check_batch(examples, &steps)?;
        let mut group = self.clone();
        for (stack, workspace) in group.stacks.iter_mut().zip(&mut group.workspaces) {
            for part in parts(examples.len()) {
                stack.step(examples, part, workspace, &steps[stack.members.clone()], WeightOutput::Gradient);
            }
        }
        let of_member = |(j, loss)| {
            let Parameters { weight, bias, .. } = group.member(j);
            (loss, Gradients { dweight: weight, dbias: bias })
        };
        Ok(group.batch_losses().into_iter().enumerate().map(of_member).collect())
    }

    fn check_batch(&self, examples: Examples, steps: &[Step]) -> Result<()> {
        examples.check(self.dims())?;
        if examples.len() == 0 {
            return Err(Error::invalid("number of examples", "1 or more", 0));
        }
        check_shape("steps", steps.len(), &[self.len()])
    }

    /// The mean loss in nats of each member on the mini-batch of the last [`step`](Self::step), before that step. NaN
    /// before the first.
    pub fn batch_losses(&self) -> Vec<f64> {
        let of_stack = |(stack, workspace): (&Stack, &Workspace)| {
            let m = stack.members.len();
            let n = (workspace.losses.len() / m) as f64;
            let sum = |j| workspace.losses.iter().skip(j).step_by(m).map(|&loss| f64::from(loss)).sum::<f64>();
            (0..m).map(|j| sum(j) / n).collect::<Vec<_>>()
        };
        self.stacks.iter().zip(&self.workspaces).flat_map(of_stack).collect()
    }

    /// The outcome of each of the `examples` for each member, (n,m).
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if `examples` differs in shape from the members.
    pub fn outcomes(&self, examples: Examples) -> Result<Vec<Outcome>> {
        self.outcomes_unless(examples, &|| false)
    }

    /// The [`outcomes`](Self::outcomes), (n,m), unless `stop` becomes true meanwhile.
    ///
    /// # Errors
    ///
    /// As [`outcomes`](Self::outcomes), and [`Error::Interrupted`].
    pub fn outcomes_unless(&self, examples: Examples, stop: &dyn Fn() -> bool) -> Result<Vec<Outcome>> {
        Ok(self.pass(examples, stop, |_| ())?.0)
    }

    /// The [`outcomes`](Self::outcomes), (n,m), and the probabilities of all classes, (n,m,k). Those of a softmax add
    /// up to 1, those of k sigmoids need not.
    ///
    /// # Errors
    ///
    /// As [`outcomes`](Self::outcomes).
    pub fn outcomes_and_probabilities(&self, examples: Examples) -> Result<(Vec<Outcome>, Vec<f32>)> {
        self.pass(examples, &|| false, |probability| probability)
    }

    /// The forward pass over `examples`: the outcomes, (n,m), and `keep` of each probability, (n,m,k). `stop` is asked before each
    /// part of them.
    fn pass<P: Copy + Default + Send>(
        &self,
        examples: Examples,
        stop: &dyn Fn() -> bool,
        keep: impl Fn(f32) -> P + Sync,
    ) -> Result<(Vec<Outcome>, Vec<P>)> {
        examples.check(self.dims())?;
        let (m, k) = (self.len(), self.dims().classes);
        let mut outcomes = vec![Outcome::default(); examples.len() * m];
        let mut probabilities = vec![P::default(); examples.len() * m * k];
        let parts = outcomes.chunks_mut(PART * m).zip(probabilities.chunks_mut(PART * m * k)).enumerate();
        for (part, (outcomes, probabilities)) in parts {
            if stop() {
                return Err(Error::Interrupted);
            }
            let chunks = outcomes.par_chunks_mut(CHUNK * m).zip(probabilities.par_chunks_mut(CHUNK * m * k));
            chunks.enumerate().for_each(|(chunk, (outcomes, probabilities))| {
                self.pass_chunk(examples, part * PART + chunk * CHUNK, &keep, outcomes, probabilities);
            });
        }
        Ok((outcomes, probabilities))
    }

    /// The forward pass over the examples from `first` on that `outcomes` has a place for.
    fn pass_chunk<P>(
        &self,
        examples: Examples,
        first: usize,
        keep: &impl Fn(f32) -> P,
        outcomes: &mut [Outcome],
        probabilities: &mut [P],
    ) {
        let (m, k) = (self.len(), self.dims().classes);
        let end = first + outcomes.len() / m;
        Scratch::with(|scratch| {
            let mut stopwatch = Stopwatch::start(self.stacks[0].phases.as_deref());
            let labels = scratch.multiply(&self.stacks, examples, first..end, &mut stopwatch);
            let mut tile = 0;
            for stack in &self.stacks {
                stack.write_probabilities(tile, &labels, scratch);
                tile += stack.tiles();
                for e in 0..end - first {
                    let (start, end) = (e * m + stack.members.start, e * m + stack.members.end);
                    for (j, outcome) in outcomes[start..end].iter_mut().enumerate() {
                        *outcome = Outcome { loss: scratch.losses[j].0[e], class: scratch.predictions[j][e] };
                    }
                    let probabilities = &mut probabilities[start * k..end * k];
                    for (probability, lanes) in probabilities.iter_mut().zip(&scratch.logits) {
                        *probability = keep(lanes.0[e]);
                    }
                }
            }
            stopwatch.lap(Phase::Losses);
        });
    }
}

#[cfg(test)]
mod tests;
