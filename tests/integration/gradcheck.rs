//! The gradient check passes for this crate's gradients and fails for each planted mistake.

use std::path::Path;
use std::process::Command;

use onelayer::dataset::cifar10::DIMS;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, sample};
use onelayer::files::csv;
use onelayer::gradcheck::table::GradcheckRow;
use onelayer::gradcheck::{Derivatives, Implementation, KERNELS, PASSES, Problem, Sample, check};
use onelayer::hyperparameters::Loss;
use onelayer::network::passes;
use onelayer::shape::Dims;
use onelayer::statistics::typographic;
use onelayer::train::random_start;

const LAMBDAS: [f64; 2] = [0.1, 1.0];
const EVERY_WEIGHT: Option<Sample> = some_weights(usize::MAX);

const fn some_weights(weights: usize) -> Option<Sample> {
    Some(Sample { weights, seed: 3 })
}

/// The methods that the implementations are compared with.
const ORACLES: &[&str] = &[
    "f64 reference",
    "central differences",
    #[cfg(feature = "autograd-check")]
    "PyTorch autograd f32",
    #[cfg(feature = "autograd-check")]
    "PyTorch autograd f64",
];

fn kernels(problem: &Problem, lambda: f64) -> Derivatives {
    (KERNELS.derivatives)(problem, lambda)
}

fn small_problem() -> Problem {
    let dims = Dims { features: 7, classes: 3 };
    Problem::random(dims, 5, 1)
}

fn train_split() -> Dataset {
    sample::load(Path::new(sample::DEFAULT_DIR)).unwrap().train
}

fn image_problem() -> Problem {
    let train = train_split();
    let normalizer = Normalizer::fit(&train).unwrap();
    let indices: Vec<_> = (0..100).collect();
    Problem::from_images(&train, &normalizer, &indices, random_start(DIMS, 42)).unwrap()
}

fn check_with(
    problem: &Problem,
    derivatives: &(dyn Fn(&Problem, f64) -> Derivatives + Sync),
    sample: Option<Sample>,
) -> Vec<GradcheckRow> {
    let implementation = Implementation { name: "under test", derivatives };
    check(problem, "problem", &[implementation], &LAMBDAS, sample, 1)
}

fn failed(rows: &[GradcheckRow]) -> Vec<&GradcheckRow> {
    rows.iter().filter(|row| !row.passed()).collect()
}

#[test]
fn both_backward_passes_agree_with_every_oracle_on_every_parameter_of_small_problems() {
    for (n, features, classes) in [(1, 1, 1), (1, 1, 2), (5, 7, 3), (16, 33, 10), (3, 100, 4)] {
        for loss in Loss::ALL {
            let problem = Problem::random(Dims { features, classes }, n, 7).with_loss(loss);
            let checks = check(&problem, "small", &[KERNELS, PASSES], &LAMBDAS, EVERY_WEIGHT, 1);
            // 2 implementations, 5 parts of the cost, weight and bias for each; in f64, the loss once and the cost twice; and
            // for each part, 8 slopes of Taylor's remainder.
            let doubles = ORACLES.iter().filter(|o| o.contains("f64")).count();
            assert_eq!(checks.len(), 2 * (5 * ORACLES.len() * 2 + 3 * doubles + 5));
            assert_eq!(failed(&checks), Vec::<&GradcheckRow>::new());
            let compared: usize = checks.iter().map(|c| c.elements).sum();
            let parameters = classes * (features + 1);
            assert_eq!(compared, 2 * (5 * ORACLES.len() * parameters + 3 * doubles + 5 * 8));
        }
    }
}

#[test]
fn both_backward_passes_agree_on_a_batch_of_real_images() {
    for loss in Loss::ALL {
        let checks =
            check(&image_problem().with_loss(loss), "images", &[KERNELS, PASSES], &LAMBDAS, some_weights(50), 1);
        assert_eq!(failed(&checks), Vec::<&GradcheckRow>::new());
    }
}

/// A mistake: turns correct derivatives into wrong ones.
type Mistake = fn(&Problem, f64, Derivatives) -> Derivatives;

fn scaled(derivatives: Derivatives, factor: f64) -> Derivatives {
    Derivatives {
        dweight: derivatives.dweight.iter().map(|v| factor * v).collect(),
        dbias: derivatives.dbias.iter().map(|v| factor * v).collect(),
        ..derivatives
    }
}

fn missing_division_by_n(problem: &Problem, lambda: f64, _: Derivatives) -> Derivatives {
    let data = kernels(problem, 0.0);
    let both = kernels(problem, lambda);
    let n = problem.labels().len() as f64;
    let penalty = both.dweight.iter().zip(&data.dweight).map(|(b, d)| b - d);
    Derivatives {
        dweight: data.dweight.iter().zip(penalty).map(|(d, p)| n * d + p).collect(),
        dbias: data.dbias.iter().map(|d| n * d).collect(),
        ..both
    }
}

fn lambda_instead_of_2_lambda(problem: &Problem, lambda: f64, correct: Derivatives) -> Derivatives {
    Derivatives { cost: correct.cost, ..kernels(problem, lambda / 2.0) }
}

fn flipped_sign(_: &Problem, _: f64, correct: Derivatives) -> Derivatives {
    scaled(correct, -1.0)
}

fn swapped_classes(problem: &Problem, _: f64, mut correct: Derivatives) -> Derivatives {
    let d = problem.dims().features;
    let (first, rest) = correct.dweight.split_at_mut(d);
    first.swap_with_slice(&mut rest[..d]);
    correct.dbias.swap(0, 1);
    correct
}

fn forgotten_bias(_: &Problem, _: f64, mut correct: Derivatives) -> Derivatives {
    correct.dbias.fill(0.0);
    correct
}

fn penalty_on_the_bias(problem: &Problem, lambda: f64, mut correct: Derivatives) -> Derivatives {
    for (dbias, &bias) in correct.dbias.iter_mut().zip(&problem.parameters().bias) {
        *dbias += 2.0 * lambda * f64::from(bias);
    }
    correct
}

fn missing_penalty(problem: &Problem, _: f64, correct: Derivatives) -> Derivatives {
    Derivatives { cost: correct.cost, ..kernels(problem, 0.0) }
}

fn one_wrong_element(_: &Problem, _: f64, mut correct: Derivatives) -> Derivatives {
    *correct.dweight.last_mut().unwrap() += 1e-5;
    correct
}

fn a_nan(_: &Problem, _: f64, mut correct: Derivatives) -> Derivatives {
    correct.dweight[0] = f64::NAN;
    correct
}

const MISTAKES: [(&str, Mistake); 9] = [
    ("a missing 1/n", missing_division_by_n),
    ("λ instead of 2λ", lambda_instead_of_2_lambda),
    ("a flipped sign", flipped_sign),
    ("swapped classes", swapped_classes),
    ("a forgotten bias", forgotten_bias),
    ("a penalty on the bias", penalty_on_the_bias),
    ("a missing penalty", missing_penalty),
    ("one wrong element", one_wrong_element),
    ("a NaN", a_nan),
];

/// Mistakes that are possible only with sigmoids.
const BCE_MISTAKES: [(&str, Mistake); 4] = [
    ("a missing 1/k", |problem, lambda, _| {
        let k = problem.dims().classes as f32;
        sigmoids(problem, lambda, |p, onehot| k * (p - onehot))
    }),
    ("the labels not subtracted", |problem, lambda, _| sigmoids(problem, lambda, |p, _| p)),
    ("the derivative of the sigmoid twice", |problem, lambda, _| {
        sigmoids(problem, lambda, |p, onehot| (p - onehot) * p * (1.0 - p))
    }),
    ("the gradient of a softmax", |problem, lambda, correct| {
        let softmax = problem.clone().with_loss(Loss::Softmax);
        Derivatives { loss: correct.loss, cost: correct.cost, ..kernels(&softmax, lambda) }
    }),
];

/// The derivatives of sigmoids whose `dlogits`, multiplied by k·n, are `dlogit(p, onehot)`.
fn sigmoids(problem: &Problem, lambda: f64, dlogit: impl Fn(f32, f32) -> f32) -> Derivatives {
    let (parameters, labels) = (problem.parameters(), problem.labels());
    let mut dlogits = passes::forward(parameters, problem.x());
    let (loss, _) = passes::sigmoid_binary_cross_entropy(&dlogits, labels);
    let mean = 1.0 / dlogits.len() as f32;
    for (row, &label) in dlogits.chunks_mut(problem.dims().classes).zip(labels) {
        for (class, z) in row.iter_mut().enumerate() {
            let onehot = f32::from(u8::from(class == usize::from(label)));
            *z = mean * dlogit(1.0 / (1.0 + (-*z).exp()), onehot);
        }
    }
    let gradients = passes::backward(parameters, problem.x(), &dlogits, lambda as f32);
    Derivatives::new(problem, lambda, loss, &gradients)
}

#[test]
fn sigmoids_without_a_mistake_pass() {
    let checks = check_with(
        &small_problem().with_loss(Loss::Bce),
        &|problem, lambda| sigmoids(problem, lambda, |p, onehot| p - onehot),
        EVERY_WEIGHT,
    );
    assert_eq!(failed(&checks), Vec::<&GradcheckRow>::new());
}

/// The mistakes that are possible with `loss`.
fn mistakes(loss: Loss) -> Vec<(&'static str, Mistake)> {
    match loss {
        Loss::Softmax => MISTAKES.to_vec(),
        Loss::Bce => [&MISTAKES[..], &BCE_MISTAKES].concat(),
    }
}

#[test]
fn every_mistake_fails_against_every_oracle() {
    for loss in Loss::ALL {
        let problem = small_problem().with_loss(loss);
        for (name, mistake) in mistakes(loss) {
            let checks = check_with(
                &problem,
                &|problem, lambda| mistake(problem, lambda, kernels(problem, lambda)),
                EVERY_WEIGHT,
            );
            for &against in ORACLES {
                assert!(failed(&checks).iter().any(|c| c.against == against), "{loss}: {name} against {against}");
            }
        }
    }
}

#[test]
fn every_mistake_that_a_zero_bias_does_not_hide_also_fails_on_real_images() {
    let sample = some_weights(20);
    for loss in Loss::ALL {
        let problem = image_problem().with_loss(loss);
        for (name, mistake) in mistakes(loss).into_iter().filter(|(name, _)| *name != "a penalty on the bias") {
            let checks =
                check_with(&problem, &|problem, lambda| mistake(problem, lambda, kernels(problem, lambda)), sample);
            assert!(!failed(&checks).is_empty(), "{loss}: {name}");
        }
    }
}

#[test]
fn a_mistake_in_the_penalty_leaves_the_data_term_passing() {
    let checks = check_with(
        &small_problem(),
        &|problem, lambda| lambda_instead_of_2_lambda(problem, lambda, kernels(problem, lambda)),
        EVERY_WEIGHT,
    );
    let failed = failed(&checks);
    assert!(failed.iter().all(|c| c.terms != "data" && ["weight", "slope"].contains(&&c.quantity[..])));
    assert!(failed.iter().any(|c| c.quantity == "slope"));
}

#[test]
fn the_command_passes_on_the_sample_and_writes_its_table() {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(crate::PROGRAM)
        .args(["gradcheck", "--dataset", "sample", "--differences", "20", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    assert!(stdout.lines().last().unwrap().starts_with("PASS"), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    assert!(stdout.contains("100 images, the start, softmax") && stdout.contains("worst: "), "{stdout}");
    assert!(stdout.contains("1,000 images, the start, sigmoids") && !stdout.contains("bce"), "{stdout}");
    assert!(stdout.contains(": 153,653 values, PASS") && stdout.contains("e−"), "{stdout}");
    assert_eq!(typographic(&stdout), stdout, "every minus is the typographic one");

    let path = out.path().join("gradcheck.csv");
    let rows: Vec<GradcheckRow> = csv::from_csv(&std::fs::read(&path).unwrap(), &path).unwrap();
    assert!(rows.iter().all(|row| row.verdict == "PASS" && row.elements > 0));
    assert!(rows.iter().any(|row| row.problem.ends_with("the start, bce")));
    let whole = rows.iter().find(|r| r.problem.contains("images") && r.quantity == "weight").unwrap();
    assert_eq!(whole.elements, 30_720);
    assert!(whole.location.channel.is_some() && whole.location.row.is_some() && whole.location.column.is_some());
}
