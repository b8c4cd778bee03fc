//! `confusion_<setting>.png`: which class was taken for which.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::dataset::cifar10::CLASS_NAMES;
use crate::error::{Error, Result};
use crate::evaluate::Confusion;
use crate::figures::canvas::*;

const CLASSES: u32 = CLASS_NAMES.len() as u32;
/// Width and height of a cell.
const CELL: (u32, u32) = (92, 42);
/// Height of the band with the title and what rows and columns are.
const HEAD: u32 = 88;
/// Width of the names of the rows.
const LEFT: u32 = 128;
const MARGIN: u32 = 16;
const TEXT: u32 = 18;

/// The confusion matrix, each cell with its count and as dark as its share of the row; precision below, recall on the
/// right, in percent.
///
/// # Errors
///
/// [`Error::Shape`] when the confusion is not one of ten classes.
pub fn confusion_figure(title: &str, confusion: &Confusion) -> Result<Vec<u8>> {
    if confusion.classes() != CLASS_NAMES.len() {
        return Err(Error::shape(
            "confusion",
            crate::shape::shape_text(&[CLASS_NAMES.len(); 2]),
            crate::shape::shape_text(&[confusion.classes(); 2]),
        ));
    }
    // A line of names above the cells and one of precisions below; names on the left, recalls on the right.
    let width = LEFT + (CLASSES + 1) * CELL.0 + MARGIN;
    let height = HEAD + (CLASSES + 2) * CELL.1 + MARGIN;
    let pixels = draw(width, height, |area| {
        let caption = "rows: the class of the image; columns: the class that was predicted";
        draw_text(area, title, (width / 2, 28), 28, HPos::Center)?;
        draw_text(area, caption, (width / 2, 64), 20, HPos::Center)?;
        for (class, name) in CLASS_NAMES.iter().enumerate() {
            let at = class as u32;
            write(area, name, (at, 0))?;
            row_name(area, name, at + 1)?;
            for predicted in 0..CLASS_NAMES.len() {
                let count = confusion.count(class, predicted);
                let share = count as f64 / confusion.examples(class).max(1) as f64;
                cell(area, (predicted as u32, at + 1), count, share)?;
            }
            write(area, &percent(confusion.recall(class)), (CLASSES, at + 1))?;
            let precision = percent(confusion.precision(class));
            write(area, &precision, (at, CLASSES + 1))?;
        }
        write(area, "recall %", (CLASSES, 0))?;
        write(area, &percent(confusion.accuracy()), (CLASSES, CLASSES + 1))?;
        row_name(area, "precision %", CLASSES + 1)
    });
    Ok(encode_png(width, height, &pixels))
}

fn percent(fraction: Option<f64>) -> String {
    fraction.map_or("-".into(), |f| format!("{:.1}", 100.0 * f))
}

/// The middle of a cell; column 0 is the first class, row 0 the line of names.
fn middle((column, row): (u32, u32)) -> (u32, u32) {
    let x = LEFT + column * CELL.0 + CELL.0 / 2;
    (x, HEAD + row * CELL.1 + CELL.1 / 2)
}

fn write(area: &Area, text: &str, cell: (u32, u32)) -> Drawn<'static> {
    draw_text(area, text, middle(cell), TEXT, HPos::Center)
}

fn row_name(area: &Area, name: &str, row: u32) -> Drawn<'static> {
    let (_, y) = middle((0, row));
    draw_text(area, name, (LEFT - 12, y), TEXT, HPos::Right)
}

/// A count on a ground from white, for a `share` of 0, to blue, for all.
fn cell(area: &Area, at: (u32, u32), count: usize, share: f64) -> Drawn<'static> {
    let (x, y) = middle(at);
    let (left, top) = ((x - CELL.0 / 2) as i32, (y - CELL.1 / 2) as i32);
    let corners = [(left, top), (left + CELL.0 as i32, top + CELL.1 as i32)];
    area.draw(&Rectangle::new(corners, TRAINING.mix(share).filled()))?;
    area.draw(&Rectangle::new(corners, GRID.stroke_width(1)))?;
    // White is the clearer on blue from here on.
    let ink = if share > 0.6 { &WHITE } else { &INK };
    draw_text_in(area, &count.to_string(), (x, y), TEXT, HPos::Center, ink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::tests::Image;

    fn figure(pairs: &[(usize, usize)]) -> Image {
        let confusion = Confusion::new(CLASS_NAMES.len(), pairs.iter().copied());
        Image::decode(&confusion_figure("a title", &confusion).unwrap())
    }

    /// The colour of a cell, beside its count.
    fn ground(image: &Image, at: (u32, u32)) -> [u8; 3] {
        let (x, y) = middle(at);
        image.at((x - CELL.0 / 2 + 4) as usize, (y - CELL.1 / 2 + 4) as usize)
    }

    #[test]
    fn a_cell_is_as_blue_as_its_share_of_the_row() {
        // Of four cats three were taken for dogs.
        let image = figure(&[(3, 3), (3, 5), (3, 5), (3, 5), (0, 9)]);
        let RGBColor(r, g, b) = TRAINING;
        assert_eq!(ground(&image, (9, 1)), [r, g, b]);
        assert_eq!(ground(&image, (9, 4)), [255, 255, 255]);
        assert_eq!(ground(&image, (0, 4)), [255, 255, 255]);
        let red = |at| ground(&image, at)[0];
        assert!((i32::from(red((3, 4))) - 191).abs() <= 1, "{}", red((3, 4)));
        assert!((i32::from(red((5, 4))) - 64).abs() <= 1, "{}", red((5, 4)));
    }

    #[test]
    fn another_number_of_classes_is_refused() {
        assert!(confusion_figure("", &Confusion::new(3, [])).is_err());
    }

    #[test]
    fn nothing_is_cut_off_at_the_margin() {
        let image = figure(&[(9, 9); 10_000]);
        let white = |x, y| image.at(x, y) == [255, 255, 255];
        assert!((0..image.width).all(|x| white(x, 0) && white(x, image.height - 1)));
        assert!((0..image.height).all(|y| white(0, y) && white(image.width - 1, y)));
    }
}
