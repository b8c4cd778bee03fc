//! Numbers that are not finite are reported, saturated probabilities give a finite loss, and equal seeds give equal
//! bits.

use std::f64::consts::LN_2;
use std::fs;

use crate::results::{assert_same, onelayer, succeed};
use onelayer::dataset::Dataset;
use onelayer::dataset::normalizer::Normalizer;
use onelayer::evaluate::outcomes;
use onelayer::gradcheck::Problem;
use onelayer::hyperparameters::{Loss, Schedule, Setting};
use onelayer::network::{Examples, Group, Parameters, passes};
use onelayer::shape::Dims;
use onelayer::train::{Data, Trainer};
use tempfile::tempdir;

const DIMS: Dims = Dims { features: 3, classes: 2 };

/// Two examples of each class.
fn dataset() -> Dataset {
    let pixels = vec![0, 10, 200, 255, 0, 100, 30, 60, 90, 200, 100, 0];
    Dataset::new(DIMS, pixels, vec![0, 1, 0, 1]).unwrap()
}

#[test]
fn a_parameter_that_is_not_finite_is_an_error_that_names_it() {
    let dataset = dataset();
    let normalizer = Normalizer::fit(&dataset).unwrap();
    let data = Data { train: &dataset, validation: &dataset, normalizer: &normalizer };
    let schedule = Schedule { batch_size: 2, ..Schedule::REPORT };
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (name, index) in [("weight", 4), ("bias", 1)] {
            let mut bad = Parameters::zeros(DIMS);
            match name {
                "weight" => bad.weight[index] = value,
                _ => bad.bias[index] = value,
            }
            let expected = format!("{name} must be finite, but element {index} is {value}");
            let refused = [
                Parameters::new(DIMS, bad.weight.clone(), bad.bias.clone()).map(drop),
                Problem::new(vec![0.0; 3], vec![0], bad.clone()).map(drop),
                outcomes(&[(&bad, Loss::Softmax)], &dataset, &normalizer).map(drop),
                Trainer::new(data, &Setting::REPORT, &schedule, &bad).map(drop),
            ];
            for result in refused {
                assert_eq!(result.unwrap_err().to_string(), expected);
            }
        }
        let x = [0.0, value, 0.0];
        let refused = Problem::new(x.to_vec(), vec![0], Parameters::zeros(DIMS)).unwrap_err();
        let expected = format!("x must be finite, but element 1 is {value}");
        assert_eq!(refused.to_string(), expected);
    }
    // Control: finite parameters are accepted.
    outcomes(&[(&Parameters::zeros(DIMS), Loss::Softmax)], &dataset, &normalizer).unwrap()[0].scores(0.0);
}

#[test]
fn saturated_probabilities_give_a_finite_loss_and_gradient() {
    let x = [1.0, 2.0, 3.0];
    for size in [1e3_f32, 1e6, 1e18, 1e30] {
        // The logit of class 0 is larger by `size`, so that its probability is 1 and the other one 0.
        let parameters = Parameters::new(DIMS, vec![0.0; 6], vec![size, 0.0]).unwrap();
        for loss in Loss::ALL {
            let group = Group::new(std::slice::from_ref(&parameters)).unwrap();
            let group = group.with_losses(&[loss]).unwrap();
            for (label, difference) in [(0, 0.0), (1, size)] {
                let found = group.gradients(Examples::Rows(&x, &[label]), &[0.0]).unwrap();
                let (kernels, gradients) = &found[0];
                let all = gradients.dweight.iter().chain(&gradients.dbias);
                assert!(all.into_iter().all(|g| g.is_finite()), "{loss} {size}");
                let logits = passes::forward(&parameters, &x);
                let (plain, dlogits) = passes::loss(loss, &logits, &[label]);
                assert!(dlogits.iter().all(|d| d.is_finite()), "{loss} {size}");
                // The loss is 0 for the right class and the difference of the logits for the wrong one. With sigmoids
                // it is the mean over both; the one of class 1, whose logit is 0, adds ln 2.
                let expected = match loss {
                    Loss::Softmax => f64::from(difference),
                    Loss::Bce => (f64::from(difference) + LN_2) / 2.0,
                };
                for value in [*kernels, plain] {
                    assert!((value - expected).abs() <= 1e-6 * expected, "{loss} {size}: {value}");
                }
            }
            let (_, probabilities) = group.outcomes_and_probabilities(Examples::Rows(&x, &[0])).unwrap();
            assert_eq!(probabilities[0], 1.0, "{loss} is saturated");
        }
    }
}

#[test]
fn equal_seeds_give_equal_files_in_every_run_and_with_any_number_of_threads() {
    let run = |arguments: &[&str]| {
        let out = tempdir().unwrap();
        let mut command = onelayer(&["train", "--dataset", "sample", "--epochs", "3", "--quiet"]);
        command.args(["--flip", "0.5", "--out"]).arg(out.path()).args(arguments);
        succeed(command);
        out
    };
    let reference = run(&[]);
    for threads in ["1", "2", "3", "7"] {
        assert_same(run(&["--threads", threads]).path(), reference.path());
    }
    assert_same(run(&[]).path(), reference.path());
    // Control: another seed gives another model.
    let other = run(&["--seed", "7"]);
    let model = "model_lambda0_eta0.001.safetensors";
    let read = |folder: &tempfile::TempDir| fs::read(folder.path().join(model)).unwrap();
    assert_ne!(read(&other), read(&reference));
}
