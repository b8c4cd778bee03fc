//! A confusion matrix as rows and cells.

use crate::dataset::cifar10::CLASS_NAMES;
use crate::evaluate::Confusion;

/// The images of one true class.
pub struct MatrixRow {
    pub class: &'static str,
    pub cells: Vec<Cell>,
    pub recall: Option<f64>,
    pub precision: Option<f64>,
}

/// Those of them that were taken for one class.
pub struct Cell {
    pub images: usize,
    /// Which part of the row they are.
    pub share: f64,
    /// Whether it is the true class.
    pub right: bool,
}

/// The rows, in the order of the classes.
pub fn rows(confusion: &Confusion) -> Vec<MatrixRow> {
    let row = |(truth, &class): (usize, &&'static str)| {
        let cell = |predicted: usize| {
            let images = confusion.count(truth, predicted);
            Cell { images, share: images as f64 / confusion.examples(truth).max(1) as f64, right: predicted == truth }
        };
        MatrixRow {
            class,
            cells: (0..confusion.classes()).map(cell).collect(),
            recall: confusion.recall(truth),
            precision: confusion.precision(truth),
        }
    };
    CLASS_NAMES.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_share_of_its_row_and_the_diagonal_is_right() {
        let pairs = [(2, 2), (2, 2), (2, 2), (2, 5), (3, 5)];
        let rows = rows(&Confusion::new(10, pairs));
        let cell = |truth: usize, predicted: usize| {
            let cell = &rows[truth].cells[predicted];
            (cell.images, cell.share, cell.right)
        };
        assert_eq!(cell(2, 2), (3, 0.75, true));
        assert_eq!(cell(2, 5), (1, 0.25, false));
        assert_eq!(cell(3, 5), (1, 1.0, false));
        assert_eq!(cell(0, 0), (0, 0.0, true));
        assert_eq!((rows[2].class, rows[2].recall, rows[5].precision), ("bird", Some(0.75), Some(0.0)));
    }
}
