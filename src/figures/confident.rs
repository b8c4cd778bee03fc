//! `confident_<setting>.png`: the most confident predictions, right and wrong.

use plotters::style::text_anchor::HPos;

use crate::dataset::cifar10::{CHANNELS, PLANE};
use crate::error::Result;
use crate::figures::canvas::{
    Canvas, Drawn, HEAD, TILE, TILE_GAP, TILES_PER_LINE, TILES_WIDTH, tile_corner, tiles_figure,
};
use crate::shape::check_shape;

/// Maximum number of images of each kind.
pub const IMAGES: usize = 10;

/// Height of the three lines below an image.
pub(crate) const LABEL: u32 = 80;
/// Height of the line above the images of a kind.
const KIND: u32 = 44;
const LINES: u32 = (IMAGES as u32).div_ceil(TILES_PER_LINE);
const KIND_HEIGHT: u32 = KIND + LINES * (TILE + LABEL + TILE_GAP);
/// Width and height of the figure.
pub(crate) const SIZE: (u32, u32) = (TILES_WIDTH, HEAD + 2 * KIND_HEIGHT);

/// An image of 32×32 and what a model predicts for it.
pub struct ClassifiedImage<'a> {
    /// Three planes, row-major: 3072 bytes.
    pub pixels: &'a [u8],
    /// Name of its class.
    pub class: &'a str,
    /// Name of the predicted class.
    pub predicted: &'a str,
    /// Probability of the predicted class.
    pub probability: f32,
}

/// The images that are classified rightly and wrongly, enlarged, with their class, the predicted class and its
/// probability; up to [`IMAGES`] of each.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when an image is not one of 32×32 pixels.
pub fn confident_figure(title: &str, right: &[ClassifiedImage], wrong: &[ClassifiedImage]) -> Result<Vec<u8>> {
    let of_kind = |(kind, images)| (0..).map(move |i| corner(kind, i)).zip(<[_]>::iter(images).take(IMAGES));
    let placed: Vec<_> = (0..).zip([right, wrong]).flat_map(of_kind).collect();
    placed.iter().try_for_each(|(_, image)| check_shape("image", image.pixels.len(), &[CHANNELS, PLANE]))?;
    let images: Vec<_> = placed.iter().map(|(corner, image)| (*corner, image.pixels)).collect();
    Ok(tiles_figure(SIZE.1, &images, |canvas| {
        canvas.title(title, TILES_WIDTH)?;
        for (kind, name) in [(0, "Most confident correct predictions"), (1, "Most confident wrong predictions")] {
            canvas.text(name, (TILE_GAP, HEAD + kind * KIND_HEIGHT + KIND / 2), 24, HPos::Left)?;
        }
        placed.iter().try_for_each(|(corner, image)| image.label(canvas, *corner))
    }))
}

/// Upper left corner of image number `i` of its kind: 0 for right predictions, 1 for wrong ones.
pub(crate) fn corner(kind: u32, i: u32) -> (u32, u32) {
    tile_corner(i, HEAD + kind * KIND_HEIGHT + KIND, LABEL)
}

impl ClassifiedImage<'_> {
    fn label(&self, canvas: &Canvas, (left, top): (u32, u32)) -> Drawn {
        let lines = [
            format!("true: {}", self.class),
            format!("predicted: {}", self.predicted),
            format!("probability: {:.3}", self.probability),
        ];
        let mut places = lines.iter().zip([15, 39, 63]);
        places.try_for_each(|(line, y)| canvas.text(line, (left, top + TILE + y), 18, HPos::Left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::Image;

    /// An image of one grey.
    fn grey(brightness: u8) -> Vec<u8> {
        vec![brightness; CHANNELS * PLANE]
    }

    fn classified(pixels: &Vec<u8>) -> ClassifiedImage<'_> {
        ClassifiedImage { pixels, class: "automobile", predicted: "automobile", probability: 1.0 }
    }

    #[test]
    fn each_image_is_where_its_labels_are() {
        let greys: Vec<_> = (0..30).map(grey).collect();
        let [right, wrong] = [0..12, 20..23].map(|range| greys[range].iter().map(classified).collect::<Vec<_>>());
        let image = Image::decode(&confident_figure("a title", &right, &wrong).unwrap());
        let at = |kind, place| {
            let (x, y) = corner(kind, place);
            let first = image.at(x as usize, y as usize);
            let last = image.at((x + TILE - 1) as usize, (y + TILE - 1) as usize);
            assert_eq!(first, last);
            // Ink of the labels below the image.
            let below = |x: u32, y: u32| image.at(x as usize, y as usize)[0] < 128;
            let labelled = (y + TILE..y + TILE + LABEL).any(|y| (x..x + TILE).any(|x| below(x, y)));
            (first, labelled)
        };
        for place in 0..10 {
            assert_eq!(at(0, place), ([place as u8; 3], true));
        }
        for place in 0..3 {
            assert_eq!(at(1, place), ([20 + place as u8; 3], true));
        }
        assert_eq!(at(1, 3), ([255; 3], false));
    }

    #[test]
    fn the_longest_labels_fit_beside_each_other() {
        let black = grey(0);
        let long: Vec<_> = (0..10).map(|_| classified(&black)).collect();
        let image = Image::decode(&confident_figure("a title", &long, &long).unwrap());
        for place in 0..TILES_PER_LINE {
            let (x, y) = corner(0, place);
            let gap = x + TILE..x + TILE + TILE_GAP;
            let mut below = (y + TILE..y + TILE + LABEL).flat_map(|y| gap.clone().map(move |x| (x, y)));
            assert!(below.all(|(x, y)| image.at(x as usize, y as usize) == [255; 3]));
        }
    }

    #[test]
    fn other_images_are_refused() {
        assert!(confident_figure("", &[], &[classified(&vec![0; 3])]).is_err());
    }
}
