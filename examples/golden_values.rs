//! Recreates `tests/golden/autograd.json`: small problems with their loss, cost and gradients, computed in `f64` by
//! PyTorch's autograd; and `autograd_bce.json`, the same problems with the binary cross-entropy of sigmoids instead of
//! the cross-entropy of a softmax.
//!
//! ```text
//! cargo run --features autograd-check --example golden_values [FOLDER]
//! ```
//!
//! The files can be used from any language. Each problem has `name`, `x` (n,d), `y` (n), `W` (k,d), `b` (k) and
//! `lambda`; its results are `loss` (the mean (binary) cross-entropy), `cost` (`loss + lambda · Σ W²`), `grad_W` (k,d)
//! and `grad_b` (k). Matrices are lists of rows. `x`, `W` and `b` are multiples of 1/256, which `f32` represents
//! exactly, so that the problem is the same in any number format. The results have all digits of `f64`.

use std::fmt::Write;
use std::path::PathBuf;

use onelayer::files::atomic;
use onelayer::gradcheck::autograd::{Kind, derivatives};
use onelayer::gradcheck::{Problem, Terms};
use onelayer::hyperparameters::Loss;
use onelayer::network::Parameters;
use onelayer::shape::Dims;

/// The folder of the committed files.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn main() -> onelayer::Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.map_or_else(|| COMMITTED.into(), PathBuf::from);
    for (loss, name) in [(Loss::Softmax, "autograd.json"), (Loss::Bce, "autograd_bce.json")] {
        let path = folder.join(name);
        atomic::write(&path, document(loss)?.as_bytes())?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The contents of the file for `loss`.
pub fn document(loss: Loss) -> onelayer::Result<String> {
    let entries: Vec<_> =
        problems()?.into_iter().map(|(name, problem, lambda)| entry(name, &problem.with_loss(loss), lambda)).collect();
    Ok(format!("[\n{}\n]\n", entries.join(",\n")))
}

/// The problems with their names and λ.
fn problems() -> onelayer::Result<Vec<(&'static str, Problem, f64)>> {
    Ok(vec![
        ("one example of two classes", random(1, 3, 2, 1)?, 0.0),
        ("one example of two classes, penalised", random(1, 3, 2, 1)?, 1.0),
        ("five examples of three classes", random(5, 4, 3, 2)?, 0.0),
        ("five examples of three classes, penalised", random(5, 4, 3, 2)?, 0.1),
        ("all logits equal", equal_logits()?, 0.1),
        ("logits of which one example's is right and one's is wrong with certainty", saturated()?, 0.0),
        ("logits whose exponentials overflow, penalised", overflowing()?, 1.0),
        ("sixteen examples of ten classes", random(16, 33, 10, 3)?, 0.1),
    ])
}

/// Features, weights and biases like those of [`Problem::random`], rounded to multiples of 1/256.
fn random(n: usize, features: usize, classes: usize, seed: u64) -> onelayer::Result<Problem> {
    let drawn = Problem::random(Dims { features, classes }, n, seed);
    let rounded = |values: &[f32]| values.iter().map(|v| (v * 256.0).round() / 256.0).collect();
    let Parameters { dims, weight, bias } = drawn.parameters();
    let parameters = Parameters::new(*dims, rounded(weight), rounded(bias))?;
    Problem::new(rounded(drawn.x()), drawn.labels().into(), parameters)
}

fn equal_logits() -> onelayer::Result<Problem> {
    let dims = Dims { features: 2, classes: 4 };
    let parameters = Parameters::new(dims, [0.5, -0.25].repeat(4), vec![2.0; 4])?;
    Problem::new(vec![1.0, 3.0, -2.0, 0.5], vec![0, 3], parameters)
}

/// Logits (200, −40, 0) for both examples, of class 0 and class 1.
fn saturated() -> onelayer::Result<Problem> {
    let dims = Dims { features: 1, classes: 3 };
    let parameters = Parameters::new(dims, vec![100.0, -20.0, 0.0], vec![0.0; 3])?;
    Problem::new(vec![2.0, 2.0], vec![0, 1], parameters)
}

/// Logits up to ±30,000: their exponentials overflow `f64` unless the maximum of each row is subtracted first.
fn overflowing() -> onelayer::Result<Problem> {
    let dims = Dims { features: 2, classes: 3 };
    let weight = vec![10_000.0, 0.0, 0.0, -10_000.0, 8.0, 8.0];
    let parameters = Parameters::new(dims, weight, vec![0.5, 0.0, -0.5])?;
    Problem::new(vec![1.0, 2.0, 3.0, -1.0, 0.0, 0.0], vec![0, 2, 1], parameters)
}

/// A problem and its results as a JSON object, with one line per matrix row.
fn entry(name: &str, problem: &Problem, lambda: f64) -> String {
    let Parameters { dims, weight, bias } = problem.parameters();
    let found = derivatives(problem, lambda, Terms::Both, Kind::Double);
    let widened = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let labels: Vec<f64> = problem.labels().iter().map(|&y| y.into()).collect();
    let fields = [
        ("name", format!("{name:?}")),
        ("x", matrix(&widened(problem.x()), dims.features)),
        ("y", vector(&labels)),
        ("W", matrix(&widened(weight), dims.features)),
        ("b", vector(&widened(bias))),
        ("lambda", number(lambda)),
        ("loss", number(found.loss)),
        ("cost", number(found.cost)),
        ("grad_W", matrix(&found.dweight, dims.features)),
        ("grad_b", vector(&found.dbias)),
    ];
    let fields = fields.map(|(key, value)| format!("    \"{key}\": {value}"));
    format!("  {{\n{}\n  }}", fields.join(",\n"))
}

/// `[1, 2.5]`: each number in the fewest digits that round-trip.
fn vector(values: &[f64]) -> String {
    let values: Vec<_> = values.iter().map(|&v| number(v)).collect();
    format!("[{}]", values.join(", "))
}

/// The fewest digits that round-trip, with an exponent if the number is small.
fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 { format!("{value:e}") } else { value.to_string() }
}

/// Rows of `columns` numbers, one per line.
fn matrix(values: &[f64], columns: usize) -> String {
    let mut text = String::from("[");
    for (i, row) in values.chunks(columns).enumerate() {
        let separator = if i == 0 { "" } else { "," };
        write!(text, "{separator}\n      {}", vector(row)).expect("memory can be written");
    }
    text + "\n    ]"
}
