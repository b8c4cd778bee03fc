//! The doors to the parsers, which are those of the property tests in `tests/hostile/`.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/hostile/targets.rs"]
pub mod targets;
