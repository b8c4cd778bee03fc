//! A one-layer softmax classifier on CIFAR-10 whose forward and backward passes are written by hand on plain
//! `Vec<f32>` buffers, and checked.
//!
//! ```text
//! bytes ─ dataset ─ preprocess ─ network (forward, loss, backward) ─ train / evaluate ─ output
//!                                   │
//!                              gradcheck (f64 reference, central differences, autograd, referee)
//! ```
//!
//! Each arrow is a plain value that is handed on; nothing flows back. The formulas stand in [`network`], each as a plain
//! loop in [`network::passes`] and as vector code in [`network::kernels`].
//!
//! # Example
//!
//! Load the sample, train a setting for two epochs, and check the gradients where training ended:
//!
//! ```
//! use onelayer::dataset::sample;
//! use onelayer::gradcheck::{KERNELS, Problem, check};
//! use onelayer::hyperparameters::{Schedule, Setting};
//! use onelayer::dataset::normalizer::Normalizer;
//! use onelayer::train::{Data, random_start, train};
//!
//! let splits = sample::load(sample::DEFAULT_DIR.as_ref())?;
//! let normalizer = Normalizer::fit(&splits.train)?;
//! let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
//! let schedule = Schedule { epochs: 2, ..Schedule::REPORT };
//! let start = random_start(splits.train.dims(), schedule.seed);
//! let (runs, _) = train(data, &[Setting::new(0.1, 0.001)?], &schedule, &start, &mut ())?;
//!
//! let batch: Vec<usize> = (0..100).collect();
//! let trained = runs[0].parameters.clone();
//! let problem = Problem::from_images(&splits.train, &normalizer, &batch, trained)?;
//! let checks = check(&problem, "the first batch", &[KERNELS], &[0.1], None);
//! assert!(checks.iter().all(|check| check.comparison.passed()));
//! # Ok::<(), onelayer::Error>(())
//! ```

pub mod dataset;
pub mod error;
pub mod evaluate;
pub mod figures;
pub mod files;
pub mod gradcheck;
pub mod hyperparameters;
pub mod network;
pub mod page;
pub mod replicate;
pub mod search;
pub mod shape;
pub mod shard;
pub mod statistics;
pub mod train;

pub use error::{Error, Result};
