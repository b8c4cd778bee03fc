//! `confident_<setting>.png`: the images that a model is surest of, rightly and wrongly.

use plotters::style::text_anchor::HPos;

use crate::dataset::Dataset;
use crate::dataset::cifar10::{CLASS_NAMES, DIMS, SIDE};
use crate::error::{Error, Result};
use crate::evaluate::Prediction;
use crate::figures::canvas::*;

/// How many images there are of each kind, at most.
pub const IMAGES: usize = 10;

const TILE: u32 = SIDE as u32 * ZOOM;
/// Height of the three lines below an image.
const LABEL: u32 = 80;
/// Height of the line above the images of a kind.
const KIND: u32 = 44;
const LINES: u32 = (IMAGES as u32).div_ceil(TEMPLATES_PER_ROW);
const KIND_HEIGHT: u32 = KIND + LINES * (TILE + LABEL + TEMPLATE_GAP);
const WIDTH: u32 = TEMPLATES_PER_ROW * (TILE + TEMPLATE_GAP) + TEMPLATE_GAP;
const HEIGHT: u32 = TEMPLATES_HEAD + 2 * KIND_HEIGHT;

/// The images of `dataset` that `right` and `wrong` are about, enlarged, with their class, the predicted one and its
/// probability; up to [`IMAGES`] of each.
///
/// # Errors
///
/// [`Error::Shape`] when the images are not those of CIFAR-10.
///
/// # Panics
///
/// When a prediction is of an image beyond the last.
pub fn confident_figure(title: &str, dataset: &Dataset, right: &[Prediction], wrong: &[Prediction]) -> Result<Vec<u8>> {
    if dataset.dims() != DIMS {
        return Err(Error::shape("data set", DIMS, dataset.dims()));
    }
    let kinds = [("Right, with the highest probabilities", right), ("Wrong, with the highest probabilities", wrong)];
    let mut pixels = draw(WIDTH, HEIGHT, |area| {
        let middle = (WIDTH / 2, TEMPLATES_HEAD / 2);
        draw_text(area, title, middle, 28, HPos::Center)?;
        for (kind, (name, predictions)) in (0..).zip(kinds) {
            let line = TEMPLATES_HEAD + kind * KIND_HEIGHT + KIND / 2;
            draw_text(area, name, (TEMPLATE_GAP, line), 24, HPos::Left)?;
            for (place, prediction) in (0..).zip(&predictions[..predictions.len().min(IMAGES)]) {
                label(area, corner(kind, place), prediction)?;
            }
        }
        Ok(())
    });
    for (kind, (_, predictions)) in (0..).zip(kinds) {
        for (place, prediction) in (0..).zip(predictions.iter().take(IMAGES)) {
            let image = dataset.image(prediction.index);
            paste_template(&mut pixels, WIDTH, corner(kind, place), image);
        }
    }
    Ok(encode_png(WIDTH, HEIGHT, &pixels))
}

/// Upper left corner of image number `place` of its kind.
fn corner(kind: u32, place: u32) -> (u32, u32) {
    let (column, line) = (place % TEMPLATES_PER_ROW, place / TEMPLATES_PER_ROW);
    (
        TEMPLATE_GAP + column * (TILE + TEMPLATE_GAP),
        TEMPLATES_HEAD + kind * KIND_HEIGHT + KIND + line * (TILE + LABEL + TEMPLATE_GAP),
    )
}

fn label(area: &Area, (left, top): (u32, u32), prediction: &Prediction) -> Drawn<'static> {
    let [class, predicted] = [prediction.label, prediction.class].map(|c| CLASS_NAMES[usize::from(c)]);
    let lines = [
        format!("true: {class}"),
        format!("predicted: {predicted}"),
        format!("probability: {:.3}", prediction.probability),
    ];
    for (line, y) in lines.iter().zip([15, 39, 63]) {
        draw_text(area, line, (left, top + TILE + y), 18, HPos::Left)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::tests::Image;

    /// Image i is grey of brightness i.
    fn greys() -> Dataset {
        let pixels = (0..30).flat_map(|i| vec![i; DIMS.features]).collect();
        Dataset::new(DIMS, pixels, vec![9; 30]).unwrap()
    }

    fn of(index: usize) -> Prediction {
        Prediction { index, label: 1, class: 1, probability: 1.0 }
    }

    #[test]
    fn each_image_is_where_its_labels_are() {
        let right: Vec<_> = (0..12).map(of).collect();
        let wrong: Vec<_> = (20..23).map(of).collect();
        let image = Image::decode(&confident_figure("a title", &greys(), &right, &wrong).unwrap());
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
        let long: Vec<_> = (0..10).map(of).collect();
        let image = Image::decode(&confident_figure("a title", &greys(), &long, &long).unwrap());
        for place in 0..TEMPLATES_PER_ROW {
            let (x, y) = corner(0, place);
            let gap = x + TILE..x + TILE + TEMPLATE_GAP;
            let mut below = (y + TILE..y + TILE + LABEL).flat_map(|y| gap.clone().map(move |x| (x, y)));
            assert!(below.all(|(x, y)| image.at(x as usize, y as usize) == [255; 3]));
        }
    }

    #[test]
    fn other_images_are_refused() {
        let dims = crate::shape::Dims { features: 3, classes: 2 };
        let other = Dataset::new(dims, vec![0; 3], vec![0]).unwrap();
        assert!(confident_figure("", &other, &[], &[]).is_err());
    }
}
