//! What several figures share: colours, font, text, axes, enlarged images, PNG.

use std::sync::OnceLock;

use plotters::chart::MeshStyle;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::dataset::cifar10::{CHANNELS, PLANE, SIDE};

/// The name under which the font is registered with plotters.
const FONT: &str = "onelayer";
/// Axes and text.
pub const INK: RGBColor = RGBColor(25, 25, 25);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(225, 225, 225);
/// Blue and vermilion of the palette of Okabe and Ito, told apart with any kind of colour vision.
pub const TRAINING: RGBColor = RGBColor(0, 114, 178);
pub const VALIDATION: RGBColor = RGBColor(213, 94, 0);
/// Height of the band with the title and the legend.
pub const CURVES_HEAD: u32 = 56;
/// From a panel's left edge to its vertical axis.
pub const AXIS_LEFT: u32 = 104;
/// Distance of a panel's vertical axis description from the left edge, which would else cut it.
pub const DESCRIPTION_LEFT: u32 = 14;
/// Size of the numbers on the axes.
pub const TICK_TEXT: u32 = 20;
/// At most so many numbers on a vertical axis.
pub const TICKS: usize = 7;
/// Curves are drawn this many times larger and averaged down, which smooths lines and letters alike.
pub const OVERSAMPLING: u32 = 2;
/// Side of a weight's square in the figure, in pixels.
pub const ZOOM: u32 = 6;
pub const TEMPLATES_PER_ROW: u32 = 5;
pub const TEMPLATE_GAP: u32 = 16;
pub const TEMPLATES_HEAD: u32 = 56;

pub type Drawn<'a> = std::result::Result<(), DrawingAreaErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

pub fn title(lambda: f64, eta: f64) -> String {
    format!("λ = {}   η = {}", short(lambda), short(eta))
}

/// `value` with all its digits, but without long runs of zeros.
pub fn short(value: f64) -> String {
    if value == 0.0 || (1e-5..1e6).contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

/// Draws on a white page, and gives its pixels (height, width, 3).
pub fn draw(width: u32, height: u32, content: impl FnOnce(&Area) -> Drawn<'static>) -> Vec<u8> {
    register_font_once();
    let mut pixels = vec![0; (width * height * 3) as usize];
    let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    area.fill(&WHITE)
        .and_then(|()| content(&area))
        .and_then(|()| area.present())
        .expect("drawing into memory with a registered font cannot fail");
    drop(area);
    pixels
}

fn register_font_once() {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let bytes = epaint_default_fonts::UBUNTU_LIGHT;
        if register_font(FONT, FontStyle::Normal, bytes).is_err() {
            panic!("the font that is compiled in is a valid one");
        }
    });
}

fn style(size: u32) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font()).color(&INK)
}

/// How far below the place that it is told plotters must draw text of this size, for its middle to be there.
///
/// With `ab_glyph`, plotters 0.3 takes a line to be 0.8 sizes high with its baseline at 0.5.
fn text_drop(size: u32) -> u32 {
    size / 5
}

/// Draws a line of text whose middle is at the height of `y`.
pub fn draw_text(area: &Area, line: &str, at: (u32, u32), size: u32, align: HPos) -> Drawn<'static> {
    draw_text_in(area, line, at, size, align, &INK)
}

/// As [`draw_text`], in another colour.
pub fn draw_text_in(
    area: &Area,
    line: &str,
    (x, y): (u32, u32),
    size: u32,
    align: HPos,
    color: &RGBColor,
) -> Drawn<'static> {
    let at = (x as i32, (y + text_drop(size)) as i32);
    let style = style(size).pos(Pos::new(align, VPos::Center)).color(color);
    area.draw(&Text::new(line, at, style))
}

/// Pixels of the finished figure as pixels of the larger drawing.
pub fn scaled(pixels: u32) -> u32 {
    pixels * OVERSAMPLING
}

/// The look that all axes share; the heights of their numbers and descriptions are in pixels of the figure.
pub fn dress_axes<X, Y>(mesh: &mut MeshStyle<X, Y, BitMapBackend>, numbers: u32, descriptions: u32)
where
    X: Ranged + ValueFormatter<X::ValueType>,
    Y: Ranged + ValueFormatter<Y::ValueType>,
{
    mesh.axis_style(INK.stroke_width(OVERSAMPLING))
        .bold_line_style(GRID.stroke_width(OVERSAMPLING))
        .light_line_style(TRANSPARENT)
        .set_all_tick_mark_size(scaled(5))
        .label_style(style(scaled(numbers)))
        .y_label_offset(text_drop(scaled(numbers)))
        .axis_desc_style(style(scaled(descriptions)));
}

/// An axis from below the smallest to above the largest of the `values`.
pub fn axis_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let margin = if low == high {
        (high.abs() * 0.1).max(1e-3)
    } else {
        // An axis much shorter than its values would show rounding errors.
        ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-9)
    };
    (low - margin, high + margin)
}

/// The numbers on a vertical axis from `bottom` to `top`.
pub fn ticks(bottom: f64, top: f64) -> Vec<f64> {
    RangedCoordf64::from(bottom..top).key_points(TICKS)
}

/// The fewest decimals that show the ticks of the axis from `bottom` to `top` as they are.
pub fn decimals(bottom: f64, top: f64) -> usize {
    let ticks = ticks(bottom, top);
    let shown = |decimals: &usize| {
        let scale = 10f64.powi(*decimals as i32);
        let error = |tick: &f64| ((tick * scale).round() / scale - tick).abs();
        ticks.iter().all(|tick| error(tick) < (top - bottom) * 1e-6)
    };
    (0..9).find(shown).unwrap_or(9)
}

pub fn format_tick(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e5 || (decimals > 4 && value != 0.0) {
        format!("{value:.1e}")
    } else {
        format!("{value:.decimals$}")
    }
}

/// Each pixel the mean of the `OVERSAMPLING`² pixels of the larger drawing that it covers.
pub fn average_down(pixels: &[u8], width: usize) -> Vec<u8> {
    let factor = OVERSAMPLING as usize;
    let mut means = Vec::with_capacity(pixels.len() / (factor * factor));
    for rows in pixels.chunks_exact(width * 3 * factor) {
        for x in (0..width).step_by(factor) {
            for channel in 0..3 {
                let covered = (0..factor * factor).map(|i| {
                    let (dy, dx) = (i / factor, i % factor);
                    u32::from(rows[(dy * width + x + dx) * 3 + channel])
                });
                means.push((covered.sum::<u32>() / OVERSAMPLING.pow(2)) as u8);
            }
        }
    }
    means
}

/// Enlarges `template` (3072; three planes, row-major) into `pixels`, its upper left corner at (`left`, `top`).
pub fn paste_template(pixels: &mut [u8], width: u32, (left, top): (u32, u32), template: &[u8]) {
    let (width, left, top, zoom) = (width as usize, left as usize, top as usize, ZOOM as usize);
    for y in 0..SIDE * zoom {
        for x in 0..SIDE * zoom {
            let source = y / zoom * SIDE + x / zoom;
            let target = ((top + y) * width + left + x) * 3;
            for channel in 0..CHANNELS {
                pixels[target + channel] = template[channel * PLANE + source];
            }
        }
    }
}

pub fn encode_png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(pixels)?;
            writer.finish()
        })
        .expect("writing to memory cannot fail");
    bytes
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub struct Image {
        pub width: usize,
        pub height: usize,
        pixels: Vec<u8>,
    }

    impl Image {
        pub fn decode(bytes: &[u8]) -> Self {
            let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!(info.color_type, png::ColorType::Rgb);
            Self { width: info.width as usize, height: info.height as usize, pixels }
        }

        pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
            let start = (y * self.width + x) * 3;
            self.pixels[start..start + 3].try_into().unwrap()
        }
    }

    #[test]
    fn the_letters_of_the_title_are_in_the_font() {
        let render = |letter: &str| draw(40, 40, |area| draw_text(area, letter, (20, 20), 28, HPos::Center));
        let absent = render("\u{4e00}");
        let letters = ["λ", "η", "×", "=", "0"].map(render);
        for (i, letter) in letters.iter().enumerate() {
            assert_ne!(*letter, absent);
            assert!(!letters[..i].contains(letter));
        }
    }

    #[test]
    fn ticks_show_the_decimals_they_need() {
        assert_eq!(decimals(4.5, 9.5), 0);
        assert_eq!(decimals(1.6, 2.0), 1);
        assert_eq!(decimals(1.98, 2.02), 2);
        assert_eq!(format_tick(1.7, 1), "1.7");
        assert_eq!(format_tick(200_000.0, 0), "2.0e5");
        assert_eq!(format_tick(0.000_02, 5), "2.0e-5");
    }

    #[test]
    fn the_title_has_the_numbers_as_they_are() {
        assert_eq!(title(0.0, 0.001), "λ = 0   η = 0.001");
        assert_eq!(title(1e-9, 1e300), "λ = 1e-9   η = 1e300");
    }
}
