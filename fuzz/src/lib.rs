//! Entry points of the parsers, shared with the property tests in `tests/hostile/`.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/hostile/targets.rs"]
pub mod targets;
