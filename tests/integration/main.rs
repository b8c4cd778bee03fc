//! The tests of the library and of the program from outside. They are one binary, because linking each file by itself takes
//! longer than the tests.

use std::path::PathBuf;

mod browser;
#[path = "../common/mod.rs"]
mod common;
mod results;

mod ablation;
mod audit;
mod bad_input;
mod compare;
mod elsewhere;
mod evaluate;
mod fetch;
mod golden;
mod gradcheck;
#[cfg(unix)]
mod interruption;
#[cfg(unix)]
mod kill;
#[cfg(feature = "autograd-check")]
mod libtorch;
mod numbers;
mod numpy;
mod overfitting;
mod plateau;
mod predict;
mod referee;
mod replicate;
mod report;
mod search;
#[cfg(target_os = "linux")]
mod slurm;
mod spreadsheet;
mod statistics;
mod terminal;
mod train;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_onelayer");

/// The program, without libtorch if there is one. The other takes 0.4 s more to start, so `tests/run.sh` builds both, for the
/// tests that don't need libtorch.
fn program() -> PathBuf {
    std::env::var_os("ONELAYER_WITHOUT_LIBTORCH").unwrap_or_else(|| PROGRAM.into()).into()
}
