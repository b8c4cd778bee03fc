//! Training on libtorch: the two trainers that `benches/peers.rs` measures take right steps and agree with each other.
#[path = "../../benches/support/tensor_ops.rs"]
mod tensor_ops;

use onelayer::gradcheck::autograd::{AutogradTrainer, Kind, Tensors, derivatives};
use onelayer::gradcheck::{Problem, Terms};
use onelayer::hyperparameters::Setting;
use onelayer::network::Parameters;
use onelayer::shape::Dims;
use tensor_ops::TensorOpsTrainer;

const DIMS: Dims = Dims { features: 2, classes: 3 };
const X: [f32; 4] = [1.0, 2.0, 3.0, -1.0];
const LABELS: [u8; 2] = [0, 2];
const LAMBDA: f64 = 0.25;

/// Every class has the weights (1, −2).
fn equal_classes() -> Parameters {
    Parameters::new(DIMS, [1.0, -2.0].repeat(3), vec![0.5; 3]).unwrap()
}

fn problem(x: &[f32], labels: &[u8]) -> Problem {
    Problem::new(x.to_vec(), labels.to_vec(), equal_classes()).unwrap()
}

fn setting(lambda: f64) -> Setting {
    Setting::new(lambda, 0.1).unwrap()
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

/// The largest absolute difference; NaN if one is NaN.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    assert!(!a.is_empty());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d <= m { m } else { d })
}

#[test]
fn one_step_of_either_trainer_goes_against_the_gradient() {
    const ETA: f64 = 0.5;
    let problem = problem(&X, &LABELS);
    let batch = Tensors::new(&problem);
    let start = equal_classes();
    let mut autograd = AutogradTrainer::new(&start, setting(LAMBDA));
    let mut tensor_ops = TensorOpsTrainer::new(&start, setting(LAMBDA));
    autograd.step(&batch, ETA);
    tensor_ops.step(&batch, ETA);
    let gradient = derivatives(&problem, LAMBDA, Terms::Both, Kind::Double);
    let after = |start: &[f32], gradient: &[f64]| -> Vec<f64> {
        widened(start).iter().zip(gradient).map(|(p, g)| p - ETA * g).collect()
    };
    for found in [autograd.parameters(), tensor_ops.parameters()] {
        let weight = after(&start.weight, &gradient.dweight);
        assert!(distance(&widened(&found.weight), &weight) <= 1e-6, "{found:?}");
        assert!(distance(&widened(&found.bias), &after(&start.bias, &gradient.dbias)) <= 1e-6);
        assert!(distance(&widened(&start.weight), &weight) > 0.1);
    }
}

#[test]
fn both_trainers_stay_together_over_many_batches_and_the_cost_falls() {
    let n = 40;
    let x: Vec<f32> = (0..n * 2).map(|i| (i as f32 * 0.7).sin() * 2.0).collect();
    let labels: Vec<u8> = (0..n).map(|i| u8::from(x[2 * i] > 0.0) + u8::from(x[2 * i + 1] > 0.5)).collect();
    let examples = Tensors::new(&problem(&x, &labels));
    for lambda in [0.0, 0.01] {
        let mut by_autograd = AutogradTrainer::new(&equal_classes(), setting(lambda));
        let mut by_hand = TensorOpsTrainer::new(&equal_classes(), setting(lambda));
        let mut at_other_rate = TensorOpsTrainer::new(&equal_classes(), setting(lambda));
        let before = by_hand.scores(&examples);
        for step in 0..100 {
            let batch: Vec<usize> = (0..8).map(|i| (step * 13 + i * 5) % n).collect();
            let batch = examples.select(&batch);
            by_autograd.step(&batch, 0.1);
            by_hand.step(&batch, 0.1);
            at_other_rate.step(&batch, 0.101);
        }
        let [a, b, c] =
            [by_autograd.parameters(), by_hand.parameters(), at_other_rate.parameters()].map(|p| widened(&p.weight));
        assert!(distance(&a, &b) <= 1e-5, "{}", distance(&a, &b));
        assert!(distance(&a, &c) > 1e-4, "{}", distance(&a, &c));
        let [by_autograd, by_hand] = [by_autograd.scores(&examples), by_hand.scores(&examples)];
        assert!((by_autograd.cost - by_hand.cost).abs() <= 1e-5);
        assert!(by_hand.cost < before.cost && by_hand.accuracy > before.accuracy);
    }
}

#[test]
fn scores_are_those_computed_by_hand() {
    let examples = Tensors::new(&problem(&X, &LABELS));
    // Class 0 has the largest logit everywhere: right for the first of the two examples.
    let mut parameters = Parameters::zeros(DIMS);
    parameters.bias[0] = 2.0_f32.ln();
    let scores = TensorOpsTrainer::new(&parameters, setting(1.0)).scores(&examples);
    assert_eq!(scores.accuracy, 0.5);
    // −ln ½ and −ln ¼.
    assert!((scores.loss - 1.5 * 2.0_f64.ln()).abs() <= 1e-6, "{scores:?}");
    let scores = AutogradTrainer::new(&equal_classes(), setting(LAMBDA)).scores(&examples);
    assert!((scores.cost - scores.loss - LAMBDA * 15.0).abs() <= 1e-6, "{scores:?}");
}
