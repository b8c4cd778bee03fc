//! `weights_<setting>.png`: the rows of `weight` as images.

use plotters::style::text_anchor::HPos;

use crate::dataset::cifar10::{CHANNELS, PLANE};
use crate::error::Result;
use crate::figures::canvas::{HEAD, TILE, TILE_GAP, TILES_PER_LINE, TILES_WIDTH, tile_corner, tiles_figure};
use crate::shape::check_shape;

/// Height of the name below an image.
const LABEL: u32 = 34;

/// The rows of `weight` as k images of 32×32, enlarged, with the `names` of their k classes. `rows` (k, 3072) are the rows
/// as bytes, as [`snapshot`](crate::train::snapshot) makes them: three planes each, row-major.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when `rows` has another shape.
pub fn weights_figure(title: &str, names: &[&str], rows: &[u8]) -> Result<Vec<u8>> {
    check_shape("weight", rows.len(), &[names.len(), CHANNELS * PLANE])?;
    let lines = (names.len() as u32).div_ceil(TILES_PER_LINE);
    let corner = |class| tile_corner(class, HEAD, LABEL);
    let images: Vec<_> = (0..).map(corner).zip(rows.chunks_exact(CHANNELS * PLANE)).collect();
    Ok(tiles_figure(HEAD + lines * (TILE + LABEL + TILE_GAP), &images, |canvas| {
        canvas.title(title, TILES_WIDTH)?;
        let mut labels = (0..).map(corner).zip(names);
        labels.try_for_each(|((x, y), name)| canvas.text(name, (x + TILE / 2, y + TILE + LABEL / 2), 22, HPos::Center))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::{CLASS_NAMES, DIMS, SIDE};
    use crate::figures::tests::Image;

    fn weights_image(rows: &[u8]) -> Image {
        Image::decode(&weights_figure("a title", &CLASS_NAMES, rows).unwrap())
    }

    #[test]
    fn a_weight_is_at_its_class_row_column_and_channel() {
        let (class, channel, y, x) = (7, 2, 5, 9);
        let mut rows = vec![0; DIMS.classes * DIMS.features];
        rows[class * DIMS.features + channel * PLANE + y * SIDE + x] = 255;
        let image = weights_image(&rows);
        // Class 7 is the third of the second line: 16 + 2·(192 + 16) and 56 + (192 + 34 + 16).
        let (left, top) = (432, 298);
        for py in 0..192 {
            for px in 0..192 {
                let blue = py / 6 == y && px / 6 == x;
                let expected = if blue { [0, 0, 255] } else { [0, 0, 0] };
                assert_eq!(image.at(left + px, top + py), expected, "{px} {py}");
            }
        }
        assert_eq!(image.at(left - 1, top), [255; 3]);
        assert_eq!(image.at(left + 192, top), [255; 3]);
    }

    #[test]
    fn weights_of_another_shape_are_refused() {
        let error = weights_figure("a title", &CLASS_NAMES, &[0; 3072]).unwrap_err();
        assert_eq!(error.to_string(), "weight must have the shape (10, 3072), but has 3072 elements");
    }
}
