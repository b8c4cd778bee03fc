//! A one-layer softmax classifier on CIFAR-10, with forward and backward passes written by hand on plain `Vec<f32>`
//! buffers, and the checks that their gradients are right.
//!
//! Start with [`network`]: it derives the gradients step by step, and links each step to its plain loop, its fast kernel
//! and its check. The other modules, each of which uses only those before it:
//!
//! | module | content |
//! |---|---|
//! | [`error`], [`shape`], [`statistics`], [`files`] | errors; shapes; intervals and tests; CSV, `.npz`, safetensors, atomic writes |
//! | [`dataset`] | images as bytes, their normalisation, the sample; with `cli` also downloads and pictures |
//! | [`hyperparameters`] | settings and schedules |
//! | `shard`, `figures` (`cli`) | jobs in parts; PNG figures |
//! | [`network`] | derivation, passes, kernels, groups of settings |
//! | [`evaluate`] | one pass over a split: scores, confusion matrix, predictions |
//! | [`train`] | training, models, checkpoints; with `cli` also the results folder |
//! | [`gradcheck`] | checks against an `f64` reference, central differences and PyTorch; the referee of other people's gradients |
//! | [`audit`] | follows trainings that were made elsewhere, and names their mistakes |
//! | `replicate`, `search` (`cli`) | many seeds; hyperparameter search |
//! | `page` (`cli`) | `report.html` |
//!
//! # Examples
//!
//! The loss, the cost and the gradients of your own features and labels:
//!
//! ```
//! use onelayer::{CostAndGradients, Dims, Examples, Loss, Parameters};
//!
//! let x = [0.5, -1.0, 2.0, 1.5, 0.0, -0.5]; // 2 examples of 3 features, one example after the other
//! let labels = [0, 1]; // the class of each example, counted from 0
//! let weight = vec![0.1, -0.2, 0.3, 0.0, 0.2, -0.1]; // (classes, features), one class after the other
//! let parameters = Parameters::new(Dims { features: 3, classes: 2 }, weight, vec![0.0; 2])?;
//! let result = parameters.cost_and_gradients(Examples::Rows(&x, &labels), Loss::Softmax, 0.1)?;
//! let CostAndGradients { loss, cost, gradients } = result;
//! println!("loss {loss}, cost {cost}, gradients {:?} and {:?}", gradients.dweight, gradients.dbias);
//! # assert!((cost - loss - 0.1 * 0.19).abs() < 1e-8);
//! # assert!((loss - (0.5 * ((-1.25f64).exp().ln_1p() + (-0.05f64).exp().ln_1p()))).abs() < 1e-6);
//! # Ok::<(), onelayer::Error>(())
//! ```
//!
//! Train a setting for two epochs on the sample, and check the gradients where training ended:
//!
//! ```
//! use onelayer::dataset::normalizer::Normalizer;
//! use onelayer::dataset::sample;
//! use onelayer::gradcheck::{KERNELS, Problem, check};
//! use onelayer::train::{Data, random_start, train};
//! use onelayer::{Schedule, Setting};
//!
//! let splits = sample::built_in()?;
//! let normalizer = Normalizer::fit(&splits.train)?;
//! let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
//! let schedule = Schedule { epochs: 2, ..Schedule::REPORT };
//! let start = random_start(splits.train.dims(), schedule.seed);
//! let observer = &mut (); // () follows nothing; implement train::Observer to show progress, or to stop
//! let (runs, _timings) = train(data, &[Setting::new(0.1, 0.001)?], &schedule, &start, observer)?;
//!
//! let batch: Vec<usize> = (0..100).collect();
//! let trained = runs[0].parameters.clone();
//! let problem = Problem::from_images(&splits.train, &normalizer, &batch, trained)?;
//! let sample = None; // no central differences: they take two passes per weight; Some(Sample) chooses how many
//! let (lambdas, seed) = ([0.1], 1); // the seed of the directions of Taylor's formula
//! let checks = check(&problem, "the first batch", &[KERNELS], &lambdas, sample, seed);
//! assert!(checks.iter().all(|check| check.passed()));
//! # Ok::<(), onelayer::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | adds | packages compiled |
//! |---|---|---|
//! | none (`default-features = false`) | data sets, training, evaluation, gradient checks | 68 |
//! | `cli` (default) | the program; downloads, figures, the page, `replicate`, `search` | 120 |
//! | `autograd-check` | PyTorch's autograd as another reference, in [`gradcheck`]; needs libtorch | |

pub mod audit;
pub mod dataset;
pub mod error;
pub mod evaluate;
#[cfg(feature = "cli")]
pub mod figures;
pub mod files;
pub mod gradcheck;
pub mod hyperparameters;
pub mod network;
#[cfg(feature = "cli")]
pub mod page;
#[cfg(feature = "cli")]
pub mod replicate;
#[cfg(feature = "cli")]
pub mod search;
pub mod shape;
#[cfg(feature = "cli")]
pub mod shard;
pub mod statistics;
pub mod train;

pub use error::{Error, Result};
pub use hyperparameters::{Loss, Schedule, Setting};
pub use network::{CostAndGradients, Examples, Gradients, Parameters};
pub use shape::Dims;

// The catalogue and the server of the tests, which are outside the library, name it.
#[cfg(test)]
#[cfg(feature = "cli")]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
#[cfg(feature = "cli")]
extern crate self as onelayer;

/// The Rust code in README.md is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
