//! A one-layer softmax classifier on CIFAR-10 whose forward and backward passes are written by hand on plain
//! `Vec<f32>` buffers, and checked.

pub mod dataset;
pub mod error;
pub mod network;

pub use error::{Error, Result};
