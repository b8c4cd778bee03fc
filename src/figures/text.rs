//! Text in figures, with each glyph at its exact place.
//!
//! plotters would round the places of glyphs to whole pixels, so that the gaps between letters vary.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScaleFont, ScaleFont, point};
use plotters::prelude::{BitMapBackend, DrawingBackend};
use plotters_backend::text_anchor::{HPos, Pos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, FontTransform};

use crate::statistics::typographic;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).expect("the font that is compiled in is a valid one")
});
/// Height of capitals and digits, for a text of size 1.
const CAPITALS: f32 = 0.62;

type BitmapError = <BitMapBackend<'static> as DrawingBackend>::ErrorType;
type Drawn = Result<(), DrawingErrorKind<BitmapError>>;

/// A bitmap on which plotters draws everything but text.
pub struct Bitmap<'a>(BitMapBackend<'a>);

impl<'a> Bitmap<'a> {
    /// Draws into `pixels` (height, width, 3).
    pub fn new(pixels: &'a mut [u8], (width, height): (u32, u32)) -> Self {
        Self(BitMapBackend::with_buffer(pixels, (width, height)))
    }
}

impl DrawingBackend for Bitmap<'_> {
    type ErrorType = BitmapError;

    fn get_size(&self) -> (u32, u32) {
        self.0.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.0.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Drawn {
        self.0.draw_pixel(at, color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.0.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        self.0.draw_rect(from, to, style, fill)
    }

    /// A line of text reaches from the top of its capitals to the bottom of its descenders, but its middle is that of its
    /// capitals.
    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        let color = style.color();
        for (column, row, coverage) in coverage(text, style.size() as f32, style.anchor()) {
            // A pixel reaches from its column and row to the next ones, so a turned one ends where it began.
            let (column, row) = match style.transform() {
                FontTransform::None => (column, row),
                FontTransform::Rotate90 => (-row - 1, column),
                FontTransform::Rotate180 => (-column - 1, -row - 1),
                FontTransform::Rotate270 => (row, -column - 1),
            };
            let alpha = color.alpha * f64::from(coverage.min(1.0));
            self.draw_pixel((x + column, y + row), BackendColor { alpha, ..color })?;
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<BitmapError>> {
        let font = FONT.as_scaled(style.size() as f32);
        let height = CAPITALS * font.scale().y - font.descent();
        Ok((exact_width(text, &font).ceil() as u32, height.ceil() as u32))
    }
}

/// The pixels of `text` with the share of each that is covered, from 0 to 1. Columns and rows count from the anchor.
fn coverage(text: &str, size: f32, Pos { h_pos, v_pos }: Pos) -> Vec<(i32, i32, f32)> {
    let font = FONT.as_scaled(size);
    let left = match h_pos {
        HPos::Left => 0.0,
        HPos::Center => -exact_width(text, &font) / 2.0,
        HPos::Right => -exact_width(text, &font),
    };
    let baseline = match v_pos {
        VPos::Top => CAPITALS * size,
        VPos::Center => CAPITALS * size / 2.0,
        VPos::Bottom => font.descent(),
    };
    let mut pixels = Vec::new();
    for (letter, x) in places(text, &font) {
        let glyph = font.glyph_id(letter).with_scale_and_position(font.scale(), point(left + x, baseline.round()));
        if let Some(outline) = font.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            let (left, top) = (corner.x as i32, corner.y as i32);
            outline.draw(|x, y, covered| pixels.push((left + x as i32, top + y as i32, covered)));
        }
    }
    pixels
}

/// Width of a line of text of this size, in pixels.
pub fn width(text: &str, size: u32) -> u32 {
    exact_width(text, &FONT.as_scaled(size as f32)).ceil() as u32
}

/// The largest size, at most `size`, at which `text` is no wider than `room`.
pub fn fitting(text: &str, size: u32, room: u32) -> u32 {
    (1..=size).rev().find(|&size| width(text, size) <= room).unwrap_or(1)
}

/// The letters of `text`, each with the distance of its origin from that of the first. A minus is the typographic one.
fn places(text: &str, font: &PxScaleFont<&FontRef<'static>>) -> Vec<(char, f32)> {
    let (mut x, mut previous) = (0.0, None);
    let place = |letter| {
        let glyph = font.glyph_id(letter);
        x += previous.replace(glyph).map_or(0.0, |previous| font.h_advance(previous) + font.kern(previous, glyph));
        (letter, x)
    };
    typographic(text).chars().map(place).collect()
}

fn exact_width(text: &str, font: &PxScaleFont<&FontRef<'static>>) -> f32 {
    let last = places(text, font).pop();
    last.map_or(0.0, |(letter, x)| x + font.h_advance(font.glyph_id(letter)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::prelude::{IntoFont, TextStyle};

    /// Width and height of the bitmaps; their texts are centred.
    const SIDE: usize = 200;

    /// How dark each pixel is, row-major.
    fn ink(text: &str, size: u32, transform: FontTransform) -> Vec<f64> {
        let mut pixels = vec![255; SIDE * SIDE * 3];
        let font = ("sans-serif", size).into_font().transform(transform);
        let style = TextStyle::from(font).pos(Pos { h_pos: HPos::Center, v_pos: VPos::Center });
        let middle = SIDE as i32 / 2;
        let side = SIDE as u32;
        Bitmap::new(&mut pixels, (side, side)).draw_text(text, &style, (middle, middle)).unwrap();
        pixels.iter().step_by(3).map(|&value| f64::from(255 - value)).collect()
    }

    /// The middle of each letter's ink, for letters that do not touch.
    fn middles(text: &str, size: u32) -> Vec<f64> {
        let ink = ink(text, size, FontTransform::None);
        let columns: Vec<f64> = (0..SIDE).map(|x| ink.iter().skip(x).step_by(SIDE).sum()).collect();
        let letters = columns.split(|&ink| ink == 0.0).filter(|letter| !letter.is_empty());
        let start = |letter: &[f64]| (letter.as_ptr() as usize - columns.as_ptr() as usize) / size_of::<f64>();
        letters.map(|l| start(l) as f64 + mean_place(l)).collect()
    }

    fn mean_place(ink: &[f64]) -> f64 {
        (0..).map(f64::from).zip(ink).map(|(x, ink)| x * ink).sum::<f64>() / ink.iter().sum::<f64>()
    }

    #[test]
    fn equal_letters_have_equal_gaps_in_proportion_to_the_size() {
        let large = middles("l l", 160);
        let gap = (large[1] - large[0]) / 160.0;
        for size in 14..30 {
            let middles = middles("l l l l l l l l l l", size);
            assert_eq!(middles.len(), 10);
            // The middle of a stem that is narrower than a pixel is only known to a tenth of one.
            let error = |pair: &[f64]| (pair[1] - pair[0] - f64::from(size) * gap).abs();
            assert!(middles.windows(2).all(|pair| error(pair) < 0.2), "{size}: {middles:?}");
        }
    }

    #[test]
    fn a_turned_text_has_the_same_pixels() {
        let [level, left, right] = [FontTransform::None, FontTransform::Rotate270, FontTransform::Rotate90]
            .map(|turn| ink("report", 22, turn));
        for (x, y) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y))) {
            let expected = level[y * SIDE + x];
            assert_eq!(left[(SIDE - 1 - x) * SIDE + y], expected);
            assert_eq!(right[x * SIDE + SIDE - 1 - y], expected);
        }
        assert_ne!(level, left);
    }

    #[test]
    fn a_text_is_centred_on_the_middle_of_its_capitals() {
        for size in [16, 20, 24, 40] {
            let ink = ink("H0H", size, FontTransform::None);
            let rows: Vec<f64> = ink.chunks(SIDE).map(|row| row.iter().sum()).collect();
            let columns: Vec<f64> = (0..SIDE).map(|x| ink.iter().skip(x).step_by(SIDE).sum()).collect();
            // A pixel reaches half a pixel to both sides of its middle.
            for middle in [mean_place(&rows), mean_place(&columns)] {
                assert!((middle + 0.5 - SIDE as f64 / 2.0).abs() < 0.7, "{size}: {middle}");
            }
        }
    }

    #[test]
    fn a_minus_is_as_wide_as_a_plus_and_a_hyphen_is_not() {
        assert_eq!(width("-0.5", 100), width("+0.5", 100));
        assert!(width("a-b", 100) < width("a+b", 100));
    }

    #[test]
    fn a_text_that_is_too_wide_gets_smaller() {
        let text = "λ = 0.000123, η = 0.000123";
        let room = width(text, 28);
        assert_eq!((fitting(text, 28, room), fitting(text, 28, room - 1), fitting(text, 28, 0)), (28, 27, 1));
    }

    #[test]
    fn the_letters_of_the_figures_are_in_the_font() {
        let absent = FONT.glyph_id('\u{4e00}');
        for letter in "ληΣ×−≥≤·%0".chars() {
            assert_ne!(FONT.glyph_id(letter), absent, "{letter}");
        }
    }
}
