//! The rows of `gradcheck.csv`, summed up.

use crate::gradcheck::table::GradcheckRow;

/// The checks, summed up in two degrees of detail.
pub struct Gradients<'a> {
    pub checks: usize,
    pub failed: usize,
    /// One summary for each pair of what was held against an implementation and the implementation.
    pub by_comparison: Vec<Summary<'a>>,
    /// The same for each problem on its own.
    pub by_problem: Vec<Summary<'a>>,
}

impl<'a> Gradients<'a> {
    pub fn new(rows: &'a [GradcheckRow]) -> Self {
        let by_comparison = summaries(rows, |row| (&row.against, &row.implementation));
        Self {
            checks: rows.len(),
            failed: by_comparison.iter().map(|summary| summary.failed).sum(),
            by_comparison,
            by_problem: summaries(rows, |row| (&row.against, &row.implementation, &row.problem)),
        }
    }
}

/// Checks that belong together.
pub struct Summary<'a> {
    /// One of them, to say what they have in common.
    pub first: &'a GradcheckRow,
    pub checks: usize,
    /// How many numbers were compared.
    pub values: usize,
    pub failed: usize,
    /// The check that comes closest to its tolerance, or passes it furthest.
    pub worst: &'a GradcheckRow,
}

fn summaries<'a, K: PartialEq>(rows: &'a [GradcheckRow], key: impl Fn(&'a GradcheckRow) -> K) -> Vec<Summary<'a>> {
    let mut groups: Vec<Vec<&GradcheckRow>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| key(group[0]) == key(row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.iter().map(|group| Summary::new(group)).collect()
}

impl<'a> Summary<'a> {
    fn new(rows: &[&'a GradcheckRow]) -> Self {
        // What isn't finite has no difference to state, and is further off than everything.
        let excess = |row: &GradcheckRow| {
            row.max_absolute_difference.map_or(f64::INFINITY, |difference| difference / row.tolerance)
        };
        Self {
            first: rows[0],
            checks: rows.len(),
            values: rows.iter().map(|row| row.elements).sum(),
            failed: rows.iter().filter(|row| row.verdict != "PASS").count(),
            worst: rows.iter().max_by(|a, b| excess(a).total_cmp(&excess(b))).expect("a group has a row"),
        }
    }

    pub fn passed(&self) -> bool {
        self.failed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::samples::gradcheck_row as row;

    #[test]
    fn checks_are_summed_up_by_what_is_held_against_what() {
        let rows = [
            row("a", "reference", Some(1e-9), "PASS"),
            row("a", "central differences", Some(1e-8), "PASS"),
            row("b", "reference", Some(3e-9), "PASS"),
        ];
        let found: Vec<_> = Gradients::new(&rows)
            .by_comparison
            .iter()
            .map(|s| (s.first.against.clone(), s.checks, s.values, s.failed))
            .collect();
        assert_eq!(found, [("reference".into(), 2, 20, 0), ("central differences".into(), 1, 10, 0)]);
        assert_eq!(Gradients::new(&rows).by_comparison[0].worst.problem, "b");
        assert_eq!(Gradients::new(&rows).by_problem.len(), 3);
    }

    #[test]
    fn a_failure_is_counted_and_a_missing_difference_is_the_worst() {
        let rows = [
            row("a", "reference", Some(1.0), "FAIL"),
            row("b", "reference", None, "FAIL"),
            row("c", "reference", Some(1e-9), "PASS"),
        ];
        let summary = &Gradients::new(&rows).by_comparison[0];
        assert_eq!((summary.failed, summary.worst.problem.as_str()), (2, "b"));
        assert!(!summary.passed());
    }

    #[test]
    fn a_verdict_that_is_not_pass_is_no_pass() {
        let rows = [row("a", "reference", Some(0.0), "pass?")];
        assert!(!Gradients::new(&rows).by_comparison[0].passed());
    }
}
