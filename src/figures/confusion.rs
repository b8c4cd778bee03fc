//! `confusion_<setting>.png`: the confusion matrix.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::error::Result;
use crate::figures::canvas::{BLUE, Canvas, Drawn, GRID, INK, figure};
use crate::shape::check_shape;
use crate::statistics::grouped;

/// Width and height of a cell.
const CELL: (u32, u32) = (92, 42);
/// Height of the band with the title and the meaning of rows and columns.
const HEAD: u32 = 88;
/// Width of the names of the rows.
const LEFT: u32 = 128;
const MARGIN: u32 = 16;
const TEXT: u32 = 18;
/// Height of the meaning of the number in the lower right corner.
const FOOT: u32 = 24;

/// The confusion matrix of the k classes `names`: how many examples of each class (rows) were predicted as each class
/// (columns), `counts` (k,k), row-major.
///
/// A cell is as dark as its share of the row. Precision stands below, recall on the right and accuracy in the corner, in percent.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when `counts` has another shape.
pub fn confusion_figure(title: &str, names: &[&str], counts: &[usize]) -> Result<Vec<u8>> {
    let classes = names.len();
    check_shape("confusion matrix", counts.len(), &[classes, classes])?;
    let count = |truth: usize, predicted: usize| counts[truth * classes + predicted];
    let examples = |truth| (0..classes).map(|predicted| count(truth, predicted)).sum::<usize>();
    let predictions = |predicted| (0..classes).map(|truth| count(truth, predicted)).sum();
    let correct = (0..classes).map(|class| count(class, class)).sum();
    // A line of names above the cells and one of precisions below; names on the left, recalls on the right.
    let last = classes as u32;
    let size = (LEFT + (last + 1) * CELL.0 + MARGIN, HEAD + (last + 2) * CELL.1 + FOOT + MARGIN);
    Ok(figure(size, 1, |canvas| {
        let caption = "rows: true class; columns: predicted class";
        canvas.title(title, size.0)?;
        canvas.text(caption, (size.0 / 2, 64), 20, HPos::Center)?;
        for (class, name) in names.iter().enumerate() {
            let at = class as u32;
            write(canvas, name, (at, 0))?;
            write_name(canvas, name, at + 1)?;
            for predicted in 0..classes {
                let (count, examples) = (count(class, predicted), examples(class));
                let share = count as f64 / examples.max(1) as f64;
                draw_cell(canvas, (predicted as u32, at + 1), count, share)?;
            }
            write(canvas, &percent(count(class, class), examples(class)), (last, at + 1))?;
            write(canvas, &percent(count(class, class), predictions(class)), (at, last + 1))?;
        }
        write(canvas, "recall %", (last, 0))?;
        write(canvas, &percent(correct, counts.iter().sum()), (last, last + 1))?;
        let (x, y) = middle((last, last + 1));
        canvas.text("accuracy %", (x, y + FOOT), TEXT, HPos::Center)?;
        write_name(canvas, "precision %", last + 1)
    }))
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { "-".into() } else { format!("{:.1}", 100.0 * (part as f64 / whole as f64)) }
}

/// The middle of a cell; column 0 is the first class, row 0 the line of names.
fn middle((column, row): (u32, u32)) -> (u32, u32) {
    (LEFT + column * CELL.0 + CELL.0 / 2, HEAD + row * CELL.1 + CELL.1 / 2)
}

fn write(canvas: &Canvas, text: &str, cell: (u32, u32)) -> Drawn {
    canvas.text(text, middle(cell), TEXT, HPos::Center)
}

fn write_name(canvas: &Canvas, name: &str, row: u32) -> Drawn {
    let (_, y) = middle((0, row));
    canvas.text(name, (LEFT - 12, y), TEXT, HPos::Right)
}

/// A count on a ground from white, for a `share` of 0, to blue, for 1.
fn draw_cell(canvas: &Canvas, at: (u32, u32), count: usize, share: f64) -> Drawn {
    let (x, y) = middle(at);
    let corner = (x - CELL.0 / 2, y - CELL.1 / 2);
    canvas.rectangle(corner, CELL, BLUE.mix(share).filled())?;
    canvas.rectangle(corner, CELL, GRID.stroke_width(1))?;
    // White is easier to read on the darker blues.
    let ink = if share > 0.6 { WHITE } else { INK };
    canvas.text_in(&grouped(count), (x, y), TEXT, HPos::Center, ink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::CLASS_NAMES;
    use crate::figures::tests::Image;

    fn figure(pairs: &[(usize, usize)]) -> Image {
        let mut counts = [0; 100];
        for (truth, predicted) in pairs {
            counts[truth * 10 + predicted] += 1;
        }
        Image::decode(&confusion_figure("a title", &CLASS_NAMES, &counts).unwrap())
    }

    /// The colour of a cell, beside its count.
    fn ground(image: &Image, at: (u32, u32)) -> [u8; 3] {
        let (x, y) = middle(at);
        image.at((x - CELL.0 / 2 + 4) as usize, (y - CELL.1 / 2 + 4) as usize)
    }

    #[test]
    fn a_cell_is_as_blue_as_its_share_of_the_row() {
        // Of four cats three were predicted as dogs.
        let image = figure(&[(3, 3), (3, 5), (3, 5), (3, 5), (0, 9)]);
        let RGBColor(r, g, b) = BLUE;
        assert_eq!(ground(&image, (9, 1)), [r, g, b]);
        assert_eq!(ground(&image, (9, 4)), [255, 255, 255]);
        assert_eq!(ground(&image, (0, 4)), [255, 255, 255]);
        let red = |at| ground(&image, at)[0];
        assert!((i32::from(red((3, 4))) - 191).abs() <= 1, "{}", red((3, 4)));
        assert!((i32::from(red((5, 4))) - 64).abs() <= 1, "{}", red((5, 4)));
    }

    #[test]
    fn the_accuracy_in_the_corner_has_its_name_below_it() {
        let image = figure(&[(3, 3), (3, 5)]);
        let inked = |column| {
            let (x, y) = middle((column, 11));
            let (xs, ys) = (x - CELL.0 / 2..x + CELL.0 / 2, y + FOOT - 8..y + FOOT + 8);
            ys.flat_map(|y| xs.clone().map(move |x| (x, y))).any(|(x, y)| image.at(x as usize, y as usize)[0] < 128)
        };
        assert!(inked(10) && !inked(9));
    }

    #[test]
    fn another_number_of_classes_is_refused() {
        assert!(confusion_figure("", &CLASS_NAMES, &[0; 9]).is_err());
    }

    #[test]
    fn nothing_is_cut_off_at_the_margin() {
        let image = figure(&[(9, 9); 10_000]);
        let white = |x, y| image.at(x, y) == [255, 255, 255];
        assert!((0..image.width).all(|x| white(x, 0) && white(x, image.height - 1)));
        assert!((0..image.height).all(|y| white(0, y) && white(image.width - 1, y)));
    }
}
