//! The tests of the library and of the program from outside. They are one binary, because linking each file by itself takes
//! longer than the tests.

mod browser;
#[path = "../common/mod.rs"]
mod common;
mod results;

mod bad_input;
mod compare;
mod dataset;
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
mod predict;
mod referee;
mod replicate;
mod report;
mod search;
mod spreadsheet;
mod statistics;
mod terminal;
mod train;
