//! The checks of this program's gradients: what is right passes, and what is wrong in one element fails where it must.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::dataset::normalizer::Normalizer;
use crate::dataset::tests::few;
use crate::files::csv::from_csv;
use crate::files::folder::Folder;
use crate::hyperparameters::{Loss, Schedule};
use crate::shape::Dims;
use crate::train::{Data, epoch_order, random_start};

const DIMS: Dims = Dims { features: 4, classes: 3 };
const SAMPLE: Option<Sample> = Some(Sample { weights: 100, seed: 1 });

/// What is compared with: without libtorch, these three.
const OTHERS: [&str; 3] = ["f64 reference", "Taylor remainder", "central differences"];

fn problem() -> Problem {
    Problem::random(DIMS, 5, 7).with_loss(Loss::Softmax)
}

/// The rows of a check of an implementation with this change.
fn rows_of(change: impl Fn(&mut Derivatives) + Sync) -> Vec<GradcheckRow> {
    let derivatives = |problem: &Problem, lambda: f64| {
        let mut right = (PASSES.derivatives)(problem, lambda);
        change(&mut right);
        right
    };
    let wrong = Implementation { name: "wrong", derivatives: &derivatives };
    check(&problem(), "a problem", &[wrong], &[0.0, 0.5], SAMPLE, 1)
}

/// The quantities that fail, and what they are compared with.
fn failures(rows: &[GradcheckRow]) -> BTreeSet<(String, String)> {
    let failed = rows.iter().filter(|row| !row.passed() && OTHERS.contains(&row.against.as_str()));
    failed.map(|row| (row.quantity.clone(), row.against.clone())).collect()
}

#[test]
fn right_gradients_pass_in_each_part_of_the_cost() {
    let rows = check(&problem(), "a problem", &[KERNELS, PASSES], &[0.0, 0.5], SAMPLE, 1);
    assert!(rows.iter().all(GradcheckRow::passed));
    let parts: BTreeSet<_> = rows.iter().map(|row| (row.lambda.to_string(), row.terms.as_str())).collect();
    assert_eq!(
        parts.into_iter().collect::<Vec<_>>(),
        [("0".into(), "data"), ("0.5".into(), "both"), ("0.5".into(), "penalty")]
    );
    for implementation in ["kernels", "passes"] {
        let elements = |against: &str, terms: &str, quantity: &str| {
            let is_of = |row: &&GradcheckRow| {
                (row.implementation.as_str(), row.against.as_str(), row.terms.as_str(), row.quantity.as_str())
                    == (implementation, against, terms, quantity)
            };
            rows.iter().find(is_of).map(|row| row.elements)
        };
        for terms in ["data", "penalty", "both"] {
            for against in ["f64 reference", "central differences"] {
                assert_eq!(elements(against, terms, "weight"), Some(12));
                assert_eq!(elements(against, terms, "bias"), Some(3));
            }
            assert!(elements("Taylor remainder", terms, "slope").is_some());
        }
        assert_eq!(elements("f64 reference", "data", "loss"), Some(1));
        assert_eq!(elements("f64 reference", "both", "cost"), Some(1));
        assert_eq!(elements("f64 reference", "penalty", "cost"), None, "no implementation returns it");
    }
}

#[test]
fn one_wrong_element_fails_against_everything_and_a_wrong_value_against_the_reference() {
    let found = |quantity: &str| OTHERS.map(|against| (quantity.to_owned(), against.to_owned()));
    let [reference, taylor, differences] = found("weight");
    let of_weight = failures(&rows_of(|d| d.dweight[5] += 1e-3));
    assert!(of_weight.contains(&reference) && of_weight.contains(&differences), "{of_weight:?}");
    assert!(of_weight.contains(&("slope".into(), taylor.1)), "{of_weight:?}");
    let [reference, _, differences] = found("bias");
    let of_bias = failures(&rows_of(|d| d.dbias[2] -= 1e-3));
    assert!(of_bias.contains(&reference) && of_bias.contains(&differences), "{of_bias:?}");
    let of_loss = failures(&rows_of(|d| d.loss += 1e-4));
    assert!(of_loss.contains(&("loss".into(), OTHERS[0].into())), "{of_loss:?}");
    let of_cost = failures(&rows_of(|d| d.cost += 1e-4));
    assert_eq!(of_cost.into_iter().collect::<Vec<_>>(), [("cost".into(), OTHERS[0].into())]);
    // Below the tolerance.
    assert!(failures(&rows_of(|d| d.dweight[5] += 1e-8)).is_empty());
}

#[test]
fn a_value_in_f32_is_not_compared() {
    let right = (PASSES.derivatives)(&problem(), 0.5);
    let quantities = |terms, in_f64| {
        right.compare(&right, terms, in_f64).into_iter().map(|(quantity, _)| quantity).collect::<Vec<_>>()
    };
    assert_eq!(quantities(Terms::Data, true), ["weight", "bias", "loss"]);
    assert_eq!(quantities(Terms::Both, true), ["weight", "bias", "cost"]);
    for (terms, in_f64) in [(Terms::Penalty, true), (Terms::Data, false), (Terms::Both, false)] {
        assert_eq!(quantities(terms, in_f64), ["weight", "bias"]);
    }
    // The tolerance of a value grows with it, that of a gradient does not.
    let large = Derivatives { cost: 400.0, ..right.clone() };
    let [weight, _, cost] = &large.compare(&large, Terms::Both, true)[..] else { panic!() };
    assert_eq!((weight.1.tolerance, cost.1.tolerance), (TOLERANCE, 400.0 * TOLERANCE));
}

#[test]
fn the_suite_checks_small_problems_a_batch_and_all_images_at_the_start_and_at_each_model() {
    let (splits, path) = (few(), tempfile::tempdir().unwrap());
    let folder = Folder::open(path.path()).unwrap();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let parameters = random_start(splits.train.dims(), 5);
    let models = [Point { name: "a model".into(), loss: Loss::Bce, parameters }];
    let suite = Suite { data, batch_size: 10, differences: 4, seed: 3, models: &models };
    let mut observed = Vec::new();
    let rows = suite.run(&folder, &mut |rows| observed.extend(rows.to_vec())).unwrap();
    assert_eq!(observed, rows);
    assert!(rows.iter().all(GradcheckRow::passed));
    let file = path.path().join(table::FILE);
    assert_eq!(from_csv::<GradcheckRow>(&std::fs::read(&file).unwrap(), &file).unwrap(), rows);
    let of = |problem: &str| rows.iter().filter(|row| row.problem == problem).collect::<Vec<_>>();
    for loss in Loss::ALL {
        assert!(!of(&format!("random n=1 d=1 k=2, {loss}")).is_empty());
        assert!(!of(&format!("10 images, logits of 0 to 900, {loss}")).is_empty());
        for images in [10, 110] {
            let rows = of(&format!("{images} images, the start, {loss}"));
            let with = |implementation: &str| rows.iter().any(|row| row.implementation == implementation);
            assert_eq!((with("kernels"), with("passes")), (true, images == 10));
            let numerical = rows.iter().filter(|row| row.against == "central differences" && row.quantity == "weight");
            assert!(numerical.clone().all(|row| row.elements == 4));
            assert_eq!(numerical.count() > 0, images == 10);
        }
    }
    assert!(of("10 images, a model, softmax").is_empty() && !of("10 images, a model, bce").is_empty());
    assert!(!of("110 images, a model, bce").is_empty());

    // On logits of 0 to 900, the loss of class y is 900 − 100 · y, but for the start's small logits.
    let saturated = of("10 images, logits of 0 to 900, softmax");
    let loss = saturated.iter().find(|row| row.quantity == "loss").unwrap().hand.unwrap();
    let order = epoch_order(&Schedule { seed: 3, ..Schedule::REPORT }, 1, 110);
    let losses = order[..10].iter().map(|&i| 900.0 - 100.0 * f64::from(splits.train.labels()[i]));
    assert!((loss - losses.sum::<f64>() / 10.0).abs() < 5.0, "{loss}");

    let too_large = Suite { batch_size: 111, ..suite };
    assert!(too_large.run(&folder, &mut |_| panic!("nothing is checked")).is_err());
    // Without weights to choose, the biases are still compared.
    let problem = suite.batch_problem(&models[0].parameters).unwrap();
    let none = check(&problem, "", &[KERNELS], &[0.0], Some(Sample { weights: 0, seed: 1 }), 1);
    let numerical: Vec<_> = none.iter().filter(|row| row.against == "central differences").collect();
    assert_eq!(numerical.iter().map(|row| (row.quantity.as_str(), row.elements)).collect::<Vec<_>>(), [("bias", 10)]);
}

#[test]
fn a_row_has_the_place_of_the_worst_element_and_no_number_that_is_not_finite() {
    let rows = rows_of(|d| d.dweight[5] = f64::NAN);
    let row = rows.iter().find(|row| row.against == OTHERS[0] && row.quantity == "weight").unwrap();
    assert_eq!((row.location.class, row.location.feature), (Some(1), Some(1)), "5 = 1 · 4 + 1");
    assert_eq!((row.hand, row.max_absolute_difference, row.verdict.as_str()), (None, None, "FAIL"));
    assert!(row.other.is_some());
    let csv = crate::files::csv::to_csv(&rows, crate::files::csv::Dialect::Comma);
    assert!(!String::from_utf8(csv.clone()).unwrap().contains("NaN"));
    assert_eq!(from_csv::<GradcheckRow>(&csv, Path::new("rows")).unwrap(), rows);
}

#[test]
fn the_batch_of_a_suite_is_the_first_of_a_training_with_its_seed() {
    let splits = few();
    let normalizer = Normalizer::fit(&splits.train).unwrap();
    let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
    let suite = Suite { data, batch_size: 4, differences: 4, seed: 3, models: &[] };
    let start = random_start(splits.train.dims(), 5);
    let order = epoch_order(&Schedule { seed: 3, ..Schedule::REPORT }, 1, splits.train.len());
    let labels: Vec<u8> = order.iter().map(|&i| splits.train.labels()[i]).collect();
    let problem = suite.batch_problem(&start).unwrap();
    assert_eq!((problem.labels().len(), problem.parameters(), problem.loss), (4, &start, Loss::Softmax));
    // Four images of four classes, each the first of its class.
    let mut classes: Vec<u8> = Vec::new();
    for &label in &labels {
        if !classes.contains(&label) {
            classes.push(label);
        }
    }
    assert_eq!(problem.labels(), &classes[..4]);
    // All classes have room among 40 images, and the others are those that come first.
    let forty = Suite { batch_size: 40, ..suite }.batch_problem(&start).unwrap();
    assert_eq!(forty.labels().iter().collect::<BTreeSet<_>>().len(), 10);
    assert_eq!(forty.labels()[..10], labels[..10]);
    assert_ne!(Suite { seed: 4, ..suite }.batch_problem(&start).unwrap().x(), problem.x());
}
