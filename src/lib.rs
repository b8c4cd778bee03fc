//! A one-layer softmax classifier on CIFAR-10 whose forward and backward passes are written by hand on plain
//! `Vec<f32>` buffers, and checked.

pub mod dataset;
pub mod error;
pub mod evaluate;
pub mod gradcheck;
pub mod hyperparameters;
pub mod network;
pub mod output;
pub mod preprocess;
pub mod replication;
pub mod search;
pub mod shard;
pub mod statistics;
pub mod train;

pub use error::{Error, Result};
