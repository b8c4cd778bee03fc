//! `weights_<setting>.png`: the rows of the weight as images.

use plotters::style::text_anchor::HPos;

use crate::dataset::cifar10::{CLASS_NAMES, DIMS, SIDE};
use crate::error::{Error, Result};
use crate::figures::canvas::*;
use crate::hyperparameters::{Loss, Setting};
use crate::train::stretch;

const TEMPLATE_LABEL: u32 = 34;

/// `weights_<setting>.png`: the rows of `weight` (10, 3072) as ten images of 32×32, enlarged, with their classes' names.
///
/// Each row is stretched on its own from its smallest weight (0) to its largest (255) over its three channels together;
/// a row of equal weights is mid-grey, and so is a weight that is not finite.
///
/// # Errors
///
/// [`Error::Shape`] when `weight` does not hold 10·3072 values.
pub fn weights_figure(setting: Setting, weight: &[f32]) -> Result<Vec<u8>> {
    if weight.len() != DIMS.classes * DIMS.features {
        return Err(Error::shape(
            "weight",
            crate::shape::shape_text(&[DIMS.classes, DIMS.features]),
            format!("{} elements", weight.len()),
        ));
    }
    let tile = SIDE as u32 * ZOOM;
    let lines = (DIMS.classes as u32).div_ceil(TEMPLATES_PER_ROW);
    let width = TEMPLATES_PER_ROW * (tile + TEMPLATE_GAP) + TEMPLATE_GAP;
    let height = TEMPLATES_HEAD + lines * (tile + TEMPLATE_LABEL + TEMPLATE_GAP);
    let mut pixels = draw(width, height, |area| {
        let middle = (width / 2, TEMPLATES_HEAD / 2);
        draw_text(area, &full_title(setting), middle, 28, HPos::Center)?;
        for (class, name) in CLASS_NAMES.iter().enumerate() {
            let (x, y) = template_corner(class);
            let below = (x + tile / 2, y + tile + TEMPLATE_LABEL / 2);
            draw_text(area, name, below, 22, HPos::Center)?;
        }
        Ok(())
    });
    for (class, row) in weight.chunks_exact(DIMS.features).enumerate() {
        paste_template(&mut pixels, width, template_corner(class), &stretch(row));
    }
    Ok(encode_png(width, height, &pixels))
}

/// The title with what the report does not have, where a setting has it.
pub fn full_title(setting: Setting) -> String {
    let mut text = title(setting.lambda(), setting.eta());
    if let Some(decay) = setting.decay() {
        let (factor, every) = (short(decay.factor()), decay.every());
        text += &format!(", × {factor} every {every} epochs");
    }
    if setting.loss() != Loss::Softmax {
        text += &format!("   {}", setting.loss());
    }
    text
}

/// Upper left corner of the template of `class`.
fn template_corner(class: usize) -> (u32, u32) {
    let (column, line) = (class as u32 % TEMPLATES_PER_ROW, class as u32 / TEMPLATES_PER_ROW);
    let tile = SIDE as u32 * ZOOM;
    (TEMPLATE_GAP + column * (tile + TEMPLATE_GAP), TEMPLATES_HEAD + line * (tile + TEMPLATE_LABEL + TEMPLATE_GAP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cifar10::PLANE;
    use crate::figures::canvas::tests::Image;

    fn setting(lambda: f64, eta: f64) -> Setting {
        Setting::new(lambda, eta).unwrap()
    }

    #[test]
    fn the_title_names_what_the_report_does_not_have() {
        assert_eq!(full_title(setting(0.0, 0.001)), title(0.0, 0.001));
        let other = setting(0.0, 0.01).with_loss(Loss::Bce);
        let other = other.with_decay(Some("10x0.3".parse().unwrap()));
        assert_eq!(full_title(other), "λ = 0   η = 0.01, × 0.3 every 10 epochs   bce");
    }

    fn weights_image(weight: &[f32]) -> Image {
        Image::decode(&weights_figure(setting(0.1, 0.001), weight).unwrap())
    }

    #[test]
    fn a_weight_is_at_its_class_row_column_and_channel() {
        let (class, channel, y, x) = (7, 2, 5, 9);
        let mut weight = vec![0.0; DIMS.classes * DIMS.features];
        weight[class * DIMS.features + channel * PLANE + y * SIDE + x] = 0.25;
        let image = weights_image(&weight);
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
    fn each_class_is_stretched_on_its_own() {
        let mut weight = vec![0.0; DIMS.classes * DIMS.features];
        weight[0] = 1000.0;
        weight[DIMS.features] = -0.001;
        let image = weights_image(&weight);
        assert_eq!(image.at(16, 56), [255, 0, 0]);
        assert_eq!(image.at(16 + 6, 56), [0, 0, 0]);
        assert_eq!(image.at(224, 56), [0, 255, 255]);
        assert_eq!(image.at(224 + 6, 56), [255, 255, 255]);
        // A constant row.
        assert_eq!(image.at(432, 56), [128; 3]);
    }

    #[test]
    fn weights_of_another_shape_are_refused() {
        let error = weights_figure(setting(0.1, 0.001), &[0.0; 3072]).unwrap_err();
        assert_eq!(error.to_string(), "weight must have the shape (10, 3072), but has 3072 elements");
    }
}
