//! The table `gradcheck.csv`, one row per comparison, and its summary.

use crate::dataset::cifar10::{CLASS_NAMES, DIMS, PLANE, SIDE};
use crate::files::csv::row;
use crate::gradcheck::Comparison;
use crate::shape::Dims;

/// Name of the table's file.
pub const FILE: &str = "gradcheck.csv";

/// Names of the colour planes, in the order of a record.
const CHANNEL_NAMES: [&str; 3] = ["red", "green", "blue"];

row! {
    /// The location of an element of `weight` or `bias`. A field that does not apply is `None`.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Location {
        /// The class whose weight or bias it is.
        pub class: Option<usize>,
        /// The feature that a weight multiplies.
        pub feature: Option<usize>,
        /// Colour of the pixel that a weight of CIFAR-10 multiplies.
        pub channel: Option<String>,
        /// The pixel's row, from the top.
        pub row: Option<usize>,
        /// The pixel's column, from the left.
        pub column: Option<usize>,
    }
}

impl Location {
    /// The location of element `index` of `weight`.
    pub fn of_weight(index: usize, dims: Dims) -> Self {
        let (class, feature) = (index / dims.features, index % dims.features);
        let pixel = (dims == DIMS).then_some(feature);
        Self {
            class: Some(class),
            feature: Some(feature),
            channel: pixel.map(|p| CHANNEL_NAMES[p / PLANE].into()),
            row: pixel.map(|p| p % PLANE / SIDE),
            column: pixel.map(|p| p % SIDE),
        }
    }

    /// The location of element `index` of `bias`.
    pub fn of_bias(index: usize) -> Self {
        Self { class: Some(index), ..Self::default() }
    }

    /// `, class 3 cat, red, row 5, column 9`, to follow the name of the quantity; nothing for a single number. Classes
    /// have names only if the problem `is_of_images`.
    pub fn text(&self, is_of_images: bool) -> String {
        let class = self.class.map_or(String::new(), |class| format!(", class {class}"));
        let name =
            self.class.filter(|_| is_of_images).map_or(String::new(), |class| format!(" {}", CLASS_NAMES[class]));
        match (self.feature, &self.channel, self.row, self.column) {
            (_, Some(channel), Some(row), Some(column)) => {
                format!("{class}{name}, {channel}, row {row}, column {column}")
            }
            (Some(feature), ..) => format!("{class}{name}, feature {feature}"),
            _ => class + &name,
        }
    }
}

row! {
    /// A comparison and its worst element, the one with the largest absolute difference.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct GradcheckRow {
        /// Name of the problem whose cost is differentiated.
        pub problem: String,
        /// The hand-derived backward pass.
        pub implementation: String,
        /// The method that it is compared with.
        pub against: String,
        /// λ.
        pub lambda: f64,
        /// The part of the cost: `data`, `penalty` or `both`.
        pub terms: String,
        /// `weight`, `bias`, `loss`, `cost` or `slope`.
        pub quantity: String,
        /// Number of elements compared.
        pub elements: usize,
        /// The largest |hand − other|; `None` if it is not finite.
        pub max_absolute_difference: Option<f64>,
        /// The largest |hand − other| / max(10⁻⁶, |hand| + |other|); `None` if it is not finite.
        pub max_relative_difference: Option<f64>,
        /// Location of the worst element.
        pub location: Location,
        /// Hand-derived value of the worst element; `None` if it is not finite.
        pub hand: Option<f64>,
        /// The value that it is compared with; `None` if it is not finite.
        pub other: Option<f64>,
        /// The largest absolute difference that passes.
        pub tolerance: f64,
        /// `PASS` or `FAIL`.
        pub verdict: String,
    }
}

impl GradcheckRow {
    /// The row of `comparison`, without the columns before `quantity`. `dims` are those of the parameters.
    pub(super) fn of(quantity: &str, dims: Dims, comparison: &Comparison) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            quantity: quantity.into(),
            elements: comparison.elements,
            max_absolute_difference: finite(comparison.max_absolute),
            max_relative_difference: finite(comparison.max_relative),
            location: match (quantity, comparison.worst) {
                ("weight", Some(worst)) => Location::of_weight(worst.index, dims),
                ("bias", Some(worst)) => Location::of_bias(worst.index),
                _ => Location::default(),
            },
            hand: comparison.worst.and_then(|w| finite(w.hand)),
            other: comparison.worst.and_then(|w| finite(w.other)),
            tolerance: comparison.tolerance,
            verdict: if comparison.passed() { "PASS" } else { "FAIL" }.into(),
            ..Self::default()
        }
    }

    /// True if the comparison passed.
    pub fn passed(&self) -> bool {
        self.verdict == "PASS"
    }
}

/// Summary of rows that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// Number of rows.
    pub checks: usize,
    /// Number of elements compared.
    pub values: usize,
    /// Number of rows that failed.
    pub failed: usize,
    /// The row whose difference is largest relative to its tolerance; it also has the values that all rows share.
    pub worst: &'a GradcheckRow,
}

impl<'a> Summary<'a> {
    /// Groups `rows` by `key`, in the order in which the keys first appear, and summarises each group.
    pub fn by<K: PartialEq>(rows: &'a [GradcheckRow], key: impl Fn(&'a GradcheckRow) -> K) -> Vec<Self> {
        let mut groups: Vec<Vec<&GradcheckRow>> = Vec::new();
        for row in rows {
            match groups.iter_mut().find(|group| key(group[0]) == key(row)) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        // A missing difference is not finite: worse than any other.
        let excess = |row: &GradcheckRow| row.max_absolute_difference.map_or(f64::INFINITY, |d| d / row.tolerance);
        let summary = |group: &Vec<&'a GradcheckRow>| Self {
            checks: group.len(),
            values: group.iter().map(|row| row.elements).sum(),
            failed: group.iter().filter(|row| !row.passed()).count(),
            worst: group.iter().max_by(|a, b| excess(a).total_cmp(&excess(b))).expect("a group has a row"),
        };
        groups.iter().map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_located_by_class_channel_row_and_column() {
        let index = 7 * 3072 + 2 * 1024 + 5 * 32 + 9;
        let location = Location::of_weight(index, DIMS);
        assert_eq!(
            location,
            Location {
                class: Some(7),
                feature: Some(2 * 1024 + 5 * 32 + 9),
                channel: Some("blue".into()),
                row: Some(5),
                column: Some(9),
            }
        );
        assert_eq!(location.text(true), ", class 7 horse, blue, row 5, column 9");
        let small = Location::of_weight(7, Dims { features: 4, classes: 2 });
        assert_eq!(small.text(false), ", class 1, feature 3");
    }

    #[test]
    fn a_bias_has_only_a_class_and_a_single_number_has_no_location() {
        let bias = Location::of_bias(3);
        assert_eq!((bias.class, bias.feature), (Some(3), None));
        assert_eq!((&bias.text(true)[..], &bias.text(false)[..]), (", class 3 cat", ", class 3"));
        assert_eq!(Location::default().text(true), "");
    }

    /// A comparison of 10 elements, with tolerance 10⁻⁶.
    fn row(problem: &str, against: &str, difference: Option<f64>, verdict: &str) -> GradcheckRow {
        GradcheckRow {
            problem: problem.into(),
            implementation: "kernels".into(),
            against: against.into(),
            lambda: 0.1,
            terms: "both".into(),
            quantity: "weight".into(),
            elements: 10,
            max_absolute_difference: difference,
            max_relative_difference: difference,
            location: Location::of_bias(3),
            hand: Some(0.5),
            other: Some(0.5),
            tolerance: 1e-6,
            verdict: verdict.into(),
        }
    }

    fn by_comparison(rows: &[GradcheckRow]) -> Vec<Summary<'_>> {
        Summary::by(rows, |row| (&row.against, &row.implementation))
    }

    #[test]
    fn checks_are_summarised_by_comparison_or_by_problem() {
        let rows = [
            row("a", "reference", Some(1e-9), "PASS"),
            row("a", "central differences", Some(1e-8), "PASS"),
            row("b", "reference", Some(3e-9), "PASS"),
        ];
        let summaries = by_comparison(&rows);
        let found: Vec<_> = summaries.iter().map(|s| (&s.worst.against[..], s.checks, s.values, s.failed)).collect();
        assert_eq!(found, [("reference", 2, 20, 0), ("central differences", 1, 10, 0)]);
        assert_eq!(summaries[0].worst.problem, "b");
        assert_eq!(Summary::by(&rows, |row| (&row.against, &row.problem)).len(), 3);
    }

    #[test]
    fn a_failure_is_counted_and_a_missing_difference_is_the_worst() {
        let rows = [
            row("a", "reference", Some(1.0), "FAIL"),
            row("b", "reference", None, "FAIL"),
            row("c", "reference", Some(1e-9), "PASS"),
        ];
        let summary = by_comparison(&rows)[0];
        assert_eq!((summary.failed, summary.worst.problem.as_str()), (2, "b"));
    }

    #[test]
    fn a_verdict_other_than_pass_is_a_failure() {
        let rows = [row("a", "reference", Some(0.0), "pass?")];
        assert_eq!(by_comparison(&rows)[0].failed, 1);
    }

    #[test]
    fn the_worst_difference_is_the_largest_relative_to_its_tolerance() {
        let with = |problem: &str, difference: f64, tolerance: f64| GradcheckRow {
            tolerance,
            ..row(problem, "reference", Some(difference), "PASS")
        };
        // Half, a tenth and a fifth of the tolerance.
        let rows = [with("a", 1e-4, 1e-3), with("b", 5e-7, 1e-6), with("c", 2.0, 10.0)];
        assert_eq!(by_comparison(&rows)[0].worst.problem, "b");
        let reversed: Vec<_> = rows.into_iter().rev().collect();
        assert_eq!(by_comparison(&reversed)[0].worst.problem, "b");
        assert!(by_comparison(&[]).is_empty());
    }

    #[test]
    fn a_row_has_the_numbers_of_its_comparison() {
        let dims = Dims { features: 4, classes: 3 };
        let comparison = Comparison::new([(2, 0.5, 0.5), (9, 1.0, 3.0), (11, 0.0, 1.0)], 0.25);
        let location = Location { class: Some(2), feature: Some(1), ..Location::default() };
        let weight = GradcheckRow {
            quantity: "weight".into(),
            elements: 3,
            max_absolute_difference: Some(2.0),
            max_relative_difference: Some(1.0),
            location,
            hand: Some(1.0),
            other: Some(3.0),
            tolerance: 0.25,
            verdict: "FAIL".into(),
            ..GradcheckRow::default()
        };
        assert_eq!(GradcheckRow::of("weight", dims, &comparison), weight);
        let bias = GradcheckRow { quantity: "bias".into(), location: Location::of_bias(9), ..weight.clone() };
        assert_eq!(GradcheckRow::of("bias", dims, &comparison), bias);
        let slope = GradcheckRow { quantity: "slope".into(), location: Location::default(), ..weight };
        assert_eq!(GradcheckRow::of("slope", dims, &comparison), slope);
        let passed = GradcheckRow::of("loss", dims, &Comparison::new([(0, 1.0, 1.25)], 0.25));
        assert!(passed.passed() && !slope.passed());
        let nothing = GradcheckRow::of("weight", dims, &Comparison::new([], 0.25));
        assert_eq!(
            (nothing.hand, nothing.other, nothing.location, nothing.elements),
            (None, None, Location::default(), 0)
        );
    }
}
