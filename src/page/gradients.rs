//! The rows of `gradcheck.csv` as the page shows them.

use crate::gradcheck::table::{GradcheckRow, Summary};

/// Summaries of the checks in two degrees of detail.
pub struct Gradients<'a> {
    pub checks: usize,
    pub failed: usize,
    /// One for each implementation and each method that it is compared with.
    pub by_comparison: Vec<Summary<'a>>,
    /// The same for each problem.
    pub by_problem: Vec<Summary<'a>>,
}

impl<'a> Gradients<'a> {
    pub fn new(rows: &'a [GradcheckRow]) -> Self {
        Self {
            checks: rows.len(),
            failed: rows.iter().filter(|row| !row.passed()).count(),
            by_comparison: Summary::by(rows, |row| (&row.against, &row.implementation)),
            by_problem: Summary::by(rows, |row| (&row.against, &row.implementation, &row.problem)),
        }
    }
}
