//! Tests against stored results of PyTorch's autograd, which need no PyTorch: `tests/golden/autograd.json` and
//! `autograd_bce.json`, written by `examples/golden_values.rs`.

use onelayer::gradcheck::{Comparison, Derivatives, KERNELS, PASSES, Problem, TOLERANCE, Terms, reference};
use onelayer::hyperparameters::Loss;
use onelayer::network::Parameters;
use onelayer::shape::Dims;
use serde::Deserialize;

/// A problem of a file, with its results.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    name: String,
    x: Vec<Vec<f32>>,
    y: Vec<u8>,
    #[serde(rename = "W")]
    weight: Vec<Vec<f32>>,
    b: Vec<f32>,
    lambda: f64,
    loss: f64,
    cost: f64,
    #[serde(rename = "grad_W")]
    dweight: Vec<Vec<f64>>,
    #[serde(rename = "grad_b")]
    dbias: Vec<f64>,
    /// The loss of the file that it is from.
    #[serde(skip)]
    minimised: Loss,
}

impl Golden {
    /// The problems of both files.
    fn all() -> Vec<Self> {
        let softmax = Self::read(Loss::Softmax, include_str!("../golden/autograd.json"));
        let bce = Self::read(Loss::Bce, include_str!("../golden/autograd_bce.json"));
        assert_eq!(softmax.len(), bce.len());
        [softmax, bce].concat()
    }

    fn read(minimised: Loss, text: &str) -> Vec<Self> {
        let read: Vec<Self> = serde_json::from_str(text).unwrap();
        let with_loss = |golden| Self { minimised, ..golden };
        read.into_iter().map(with_loss).collect()
    }

    fn problem(&self) -> Problem {
        let dims = Dims { features: self.weight[0].len(), classes: self.b.len() };
        let parameters = Parameters::new(dims, self.weight.concat(), self.b.clone()).unwrap();
        let problem = Problem::new(self.x.concat(), self.y.clone(), parameters).unwrap();
        problem.with_loss(self.minimised)
    }

    /// The largest difference to `found`, relative to the larger of 1 and the golden value; NaN when one is.
    fn difference(&self, found: &Derivatives) -> f64 {
        let golden = [self.dweight.concat(), self.dbias.clone(), vec![self.loss, self.cost]].concat();
        let found = [&found.dweight[..], &found.dbias, &[found.loss, found.cost]].concat();
        assert_eq!(found.len(), golden.len(), "{}", self.name);
        let pairs = found.iter().zip(&golden).enumerate();
        let scaled = pairs.map(|(i, (f, g))| (i, f / g.abs().max(1.0), g / g.abs().max(1.0)));
        Comparison::new(scaled, TOLERANCE).max_absolute
    }
}

#[test]
fn the_files_cover_the_difficult_cases() {
    let all = Golden::all();
    let has = |property: &dyn Fn(&Golden) -> bool| all.iter().any(property);
    assert!(has(&|g| g.y.len() == 1) && has(&|g| g.b.len() == 2));
    assert!(has(&|g| g.b.len() == 10 && g.weight[0].len() == 33));
    for lambda in [0.0, 0.1, 1.0] {
        assert!(has(&|g| g.lambda == lambda));
    }
    // Probabilities of 0 and 1, and logits whose exponentials overflow.
    assert!(has(&|g| g.dbias[..2] == [0.5, -0.5]) && has(&|g| g.loss > 1000.0));
    // The two losses of one problem differ.
    let (softmax, bce) = all.split_at(all.len() / 2);
    for (softmax, bce) in softmax.iter().zip(bce) {
        assert_eq!((&softmax.name, &softmax.x), (&bce.name, &bce.x));
        assert_ne!(softmax.dbias, bce.dbias, "{}", bce.name);
    }
}

#[test]
fn both_backward_passes_agree_with_autograd() {
    for golden in Golden::all() {
        for implementation in [KERNELS, PASSES] {
            let found = (implementation.derivatives)(&golden.problem(), golden.lambda);
            let difference = golden.difference(&found);
            let (name, what) = (implementation.name, &golden.name);
            assert!(difference <= 1e-6, "{name}, {what}: {difference:e}");
        }
    }
}

#[test]
fn the_f64_reference_agrees_with_autograd_to_twelve_digits() {
    for golden in Golden::all() {
        let found = reference::derivatives(&golden.problem(), golden.lambda, Terms::Both);
        let difference = golden.difference(&found);
        assert!(difference <= 1e-12, "{}: {difference:e}", golden.name);
    }
}

#[test]
fn wrong_gradients_are_detected() {
    for golden in Golden::all() {
        let problem = golden.problem();
        let right = (KERNELS.derivatives)(&problem, golden.lambda);
        let mut wrong = right.clone();
        *wrong.dweight.last_mut().unwrap() += 1e-5 * wrong.dweight.last().unwrap().abs().max(1.0);
        assert!(golden.difference(&wrong) > 1e-6, "{}", golden.name);
        let another_lambda = (KERNELS.derivatives)(&problem, golden.lambda + 0.1);
        assert!(golden.difference(&another_lambda) > 1e-6, "{}", golden.name);
        let mut nan = right;
        nan.dbias[0] = f64::NAN;
        assert!(golden.difference(&nan).is_nan());
    }
}

#[cfg(feature = "autograd-check")]
#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/golden_values.rs"]
mod golden_values;

#[cfg(feature = "autograd-check")]
#[test]
fn autograd_reproduces_the_files() {
    let again = Loss::ALL.into_iter().flat_map(|loss| Golden::read(loss, &golden_values::document(loss).unwrap()));
    let again: Vec<_> = again.collect();
    let committed = Golden::all();
    assert_eq!(again.len(), committed.len());
    for (again, committed) in again.into_iter().zip(committed) {
        let found = Derivatives {
            loss: again.loss,
            cost: again.cost,
            dweight: again.dweight.concat(),
            dbias: again.dbias.clone(),
        };
        // Another processor may sum in another order; everything else must be equal.
        let difference = committed.difference(&found);
        assert!(difference <= 1e-14, "{}: {difference:e}", committed.name);
        let inputs = Golden {
            loss: committed.loss,
            cost: committed.cost,
            dweight: committed.dweight.clone(),
            dbias: committed.dbias.clone(),
            ..again
        };
        assert_eq!(inputs, committed);
    }
}
