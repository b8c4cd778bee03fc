//! Everything that is written, as bytes: tables, figures, model files and arrays for other programs.
//!
//! An exporter takes values and returns the whole content of its file, so that it is tested on bytes and a file is
//! only ever replaced by a complete one. Nothing here computes a result.

pub mod atomic;
pub mod checkpoint;
pub mod classes;
pub mod config;
pub mod confusion;
pub mod dialect;
pub mod figures;
pub mod gradcheck;
pub mod heatmap;
pub mod lock;
pub mod model;
pub mod npz;
pub mod predictions;
pub mod probabilities;
pub mod provenance;
pub mod referee;
pub mod replication;
pub mod report;
pub mod results;
pub mod search;
pub mod snapshots;
pub mod tables;
mod tensors;

/// `(10, 3072)`, as errors show a shape.
fn shape_text(shape: &[usize]) -> String {
    let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("({})", shape.join(", "))
}
