//! Everything that is written, as bytes: tables, figures, model files and arrays for other programs.
//!
//! An exporter takes values and returns the whole content of its file, so that it is tested on bytes and a file is
//! only ever replaced by a complete one. Nothing here computes a result.

pub mod tables;

