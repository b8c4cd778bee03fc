//! The two hand-derived backward passes of this crate, as the check takes them.

use super::{Derivatives, Implementation, Problem};
use crate::network::{Examples, Group, passes};

/// What training runs: [`Group`]'s kernels.
pub const KERNELS: Implementation = Implementation { name: "kernels", derivatives: &kernels };

/// The loops of [`passes`] that the kernels are a faster form of.
pub const PASSES: Implementation = Implementation { name: "passes", derivatives: &readable };

/// By the kernels that [`crate::train`] uses.
pub fn kernels(problem: &Problem, lambda: f64) -> Derivatives {
    let group = Group::new(std::slice::from_ref(problem.parameters())).expect("one member");
    let group = group.with_losses(&[problem.loss()]).expect("one member");
    let examples = Examples::Rows(problem.x(), problem.labels());
    let gradients = group.gradients(examples, &[lambda as f32]);
    let (loss, gradients) = &gradients.expect("a problem is consistent")[0];
    Derivatives::new(*loss, cost(*loss, problem, lambda), gradients)
}

/// By the readable loops.
pub fn readable(problem: &Problem, lambda: f64) -> Derivatives {
    let logits = passes::forward(problem.parameters(), problem.x());
    let (loss, dlogits) = passes::loss(problem.loss(), &logits, problem.labels());
    let gradients = passes::backward(problem.parameters(), problem.x(), &dlogits, lambda as f32);
    Derivatives::new(loss, cost(loss, problem, lambda), &gradients)
}

fn cost(loss: f64, problem: &Problem, lambda: f64) -> f64 {
    loss + lambda * problem.parameters().squared_norm()
}
