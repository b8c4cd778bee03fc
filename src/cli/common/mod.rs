//! Shared by several commands.

pub mod arguments;
pub mod data;
pub mod errors;
pub mod exit;
pub mod input;
pub mod observer;
pub mod out;
pub mod progress;
pub mod rng;
pub mod rules;
pub mod signals;
pub mod table;
