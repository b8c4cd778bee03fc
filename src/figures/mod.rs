//! The figures, as PNG: learning curves, weight templates, runs with many seeds, what a model takes for what.
//!
//! Nothing is taken from the system: the font is compiled in, and equal values give equal bytes.

mod confident;
mod confusion;
pub mod heatmap;
pub mod probabilities;
pub mod snapshots;
mod strips;

use std::sync::OnceLock;

use plotters::chart::MeshStyle;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::{RangedCoordf64, RangedCoordi32};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

pub use confident::{IMAGES, confident_figure};
pub use confusion::confusion_figure;
pub use strips::{Strip, strips_figure};

use crate::dataset::cifar10::{CHANNELS, CLASS_NAMES, DIMS, PLANE, SIDE};
use crate::error::{Error, Result};
use crate::hyperparameters::{Loss, Setting};
use crate::train::stretch;
use crate::train::table::CurveRow;

/// The name under which the font is registered with plotters.
const FONT: &str = "onelayer";
/// Axes and text.
pub(super) const INK: RGBColor = RGBColor(25, 25, 25);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);
/// Blue and vermilion of the palette of Okabe and Ito, told apart with any kind of colour vision.
pub(super) const TRAINING: RGBColor = RGBColor(0, 114, 178);
pub(super) const VALIDATION: RGBColor = RGBColor(213, 94, 0);

const CURVES_WIDTH: u32 = 1200;
const CURVES_HEIGHT: u32 = 480;
/// Height of the band with the title and the legend.
const CURVES_HEAD: u32 = 56;
/// From a panel's left edge to its vertical axis.
const AXIS_LEFT: u32 = 104;
/// Distance of a panel's vertical axis description from the left edge, which would else cut it.
const DESCRIPTION_LEFT: u32 = 14;
/// Size of the numbers on the axes.
const TICK_TEXT: u32 = 20;
/// At most so many numbers on a vertical axis.
const TICKS: usize = 7;
/// What is larger counts as diverged: plotters looks for ticks without end near the largest `f64`, and no sum of
/// squared `f32` weights comes close to this.
const LARGEST: f64 = 1e100;

/// Curves are drawn this many times larger and averaged down, which smooths lines and letters alike.
const OVERSAMPLING: u32 = 2;

/// Side of a weight's square in the figure, in pixels.
const ZOOM: u32 = 6;
const TEMPLATES_PER_ROW: u32 = 5;
const TEMPLATE_GAP: u32 = 16;
const TEMPLATE_LABEL: u32 = 34;
const TEMPLATES_HEAD: u32 = 56;

pub(super) type DrawResult<'a> =
    std::result::Result<(), DrawingAreaErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;
pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// `curves_<setting>.png`: the losses on the left, the costs on the right, of the training and the validation split.
///
/// A line ends where its values are missing, and the epoch of the first missing one is noted.
pub fn curves_figure(setting: Setting, rows: &[CurveRow]) -> Vec<u8> {
    let (width, height) = (CURVES_WIDTH * OVERSAMPLING, CURVES_HEIGHT * OVERSAMPLING);
    let pixels = draw(width, height, |area| {
        let (head, body) = area.split_vertically(scaled(CURVES_HEAD));
        draw_head(&head, &full_title(setting))?;
        let (left, right) = body.split_horizontally(width / 2);
        Panel::loss(rows).draw(&left)?;
        Panel::cost(rows).draw(&right)
    });
    let pixels = average_down(&pixels, width as usize);
    encode_png(CURVES_WIDTH, CURVES_HEIGHT, &pixels)
}

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
        return Err(Error::Shape {
            what: "weight".into(),
            expected: crate::shape::shape_text(&[DIMS.classes, DIMS.features]),
            found: format!("{} elements", weight.len()),
        });
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
fn full_title(setting: Setting) -> String {
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

pub(super) fn title(lambda: f64, eta: f64) -> String {
    format!("λ = {}   η = {}", short(lambda), short(eta))
}

/// `value` with all its digits, but without long runs of zeros.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 || (1e-5..1e6).contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

/// Draws on a white page, and gives its pixels (height, width, 3).
pub(super) fn draw(width: u32, height: u32, content: impl FnOnce(&Area) -> DrawResult<'static>) -> Vec<u8> {
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

pub(super) fn style(size: u32) -> TextStyle<'static> {
    TextStyle::from((FONT, size).into_font()).color(&INK)
}

/// How far below the place that it is told plotters must draw text of this size, for its middle to be there.
///
/// With `ab_glyph`, plotters 0.3 takes a line to be 0.8 sizes high with its baseline at 0.5.
pub(super) fn text_drop(size: u32) -> u32 {
    size / 5
}

/// Draws a line of text whose middle is at the height of `y`.
fn draw_text(area: &Area, line: &str, at: (u32, u32), size: u32, align: HPos) -> DrawResult<'static> {
    draw_text_in(area, line, at, size, align, &INK)
}

/// As [`draw_text`], in another colour.
pub(super) fn draw_text_in(
    area: &Area,
    line: &str,
    (x, y): (u32, u32),
    size: u32,
    align: HPos,
    color: &RGBColor,
) -> DrawResult<'static> {
    let at = (x as i32, (y + text_drop(size)) as i32);
    let style = style(size).pos(Pos::new(align, VPos::Center)).color(color);
    area.draw(&Text::new(line, at, style))
}

/// Pixels of the finished figure as pixels of the larger drawing.
pub(super) fn scaled(pixels: u32) -> u32 {
    pixels * OVERSAMPLING
}

/// The title on the left and the legend, which so hides no line, on the right.
fn draw_head(head: &Area, title: &str) -> DrawResult<'static> {
    let y = scaled(CURVES_HEAD) / 2;
    draw_text(head, title, (scaled(AXIS_LEFT), y), scaled(28), HPos::Left)?;
    for (x, name, color) in [(880, "training", TRAINING), (1020, "validation", VALIDATION)] {
        let ends = [x, x + 36].map(|x| (scaled(x) as i32, y as i32));
        head.draw(&PathElement::new(ends, color.stroke_width(scaled(3))))?;
        draw_text(head, name, (scaled(x + 44), y), scaled(22), HPos::Left)?;
    }
    Ok(())
}

/// One quantity over the epochs.
pub(super) struct Panel {
    /// `loss` or `cost`, both in nats.
    pub quantity: &'static str,
    /// Its values on the training split,
    pub training: Vec<Point>,
    /// and on the validation split, with the same epochs.
    pub validation: Vec<Point>,
}

/// An epoch and its value, if it has one.
pub(super) type Point = (i32, Option<f64>);

fn column(rows: &[CurveRow], value: impl Fn(&CurveRow) -> Option<f64>) -> Vec<Point> {
    let epoch = |row: &CurveRow| i32::try_from(row.epoch).unwrap_or(i32::MAX);
    rows.iter().map(|row| (epoch(row), value(row).filter(|v| v.abs() <= LARGEST))).collect()
}

impl Panel {
    /// The losses.
    pub fn loss(rows: &[CurveRow]) -> Self {
        Self {
            quantity: "loss",
            training: column(rows, |row| row.train_loss),
            validation: column(rows, |row| row.validation_loss),
        }
    }

    /// The costs.
    pub fn cost(rows: &[CurveRow]) -> Self {
        Self {
            quantity: "cost",
            training: column(rows, |row| row.train_cost),
            validation: column(rows, |row| row.validation_cost),
        }
    }

    fn draw(&self, area: &Area) -> DrawResult<'static> {
        let (bottom, top) = self.range();
        let decimals = decimals(bottom, top);
        let mut chart = ChartBuilder::on(area)
            .margin_left(scaled(DESCRIPTION_LEFT))
            .margin_right(scaled(24))
            .margin_bottom(scaled(8))
            .x_label_area_size(scaled(52))
            .y_label_area_size(scaled(AXIS_LEFT - DESCRIPTION_LEFT))
            .build_cartesian_2d(0..self.last_epoch(), bottom..top)?;
        let tick = |y: &f64| format_tick(*y, decimals);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("epoch")
            .y_desc(format!("{} (nats)", self.quantity))
            .x_labels(9)
            .y_labels(TICKS)
            .y_label_formatter(&tick);
        dress_axes(&mut mesh, TICK_TEXT, 22);
        mesh.draw()?;
        for (points, color) in [(&self.training, TRAINING), (&self.validation, VALIDATION)] {
            draw_line(&mut chart, points, color)?;
        }
        match self.first_missing() {
            None => Ok(()),
            Some(epoch) => note(area, &format!("diverged at epoch {epoch}")),
        }
    }

    fn points(&self) -> impl Iterator<Item = Point> {
        self.training.iter().chain(&self.validation).copied()
    }

    /// Where the axis of the epochs ends.
    pub fn last_epoch(&self) -> i32 {
        self.training.last().map_or(2, |point| point.0.max(2))
    }

    /// The first epoch without a value. A split that has none while the other has some was not evaluated.
    pub fn first_missing(&self) -> Option<i32> {
        let mut splits = vec![&self.training, &self.validation];
        if self.points().any(|point| point.1.is_some()) {
            splits.retain(|points| points.iter().any(|point| point.1.is_some()));
        }
        let missing = splits.into_iter().flatten().filter(|point| point.1.is_none());
        missing.map(|point| point.0).min()
    }

    /// From below the smallest to above the largest value.
    pub fn range(&self) -> (f64, f64) {
        axis_range(self.points().filter_map(|point| point.1))
    }
}

/// The look that all axes share; the heights of their numbers and descriptions are in pixels of the figure.
pub(super) fn dress_axes<X, Y>(mesh: &mut MeshStyle<X, Y, BitMapBackend>, numbers: u32, descriptions: u32)
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
fn axis_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
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

type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordi32, RangedCoordf64>>;

/// Joins neighbouring values; one without a neighbour is a dot.
fn draw_line(chart: &mut Chart, points: &[Point], color: RGBColor) -> DrawResult<'static> {
    for run in points.split(|point| point.1.is_none()) {
        let run: Vec<_> = run.iter().filter_map(|&(x, y)| Some((x, y?))).collect();
        if let [point] = run[..] {
            chart.draw_series([Circle::new(point, scaled(5), color.filled())])?;
        } else {
            let line = LineSeries::new(run, color.stroke_width(scaled(3)));
            chart.draw_series(line)?;
        }
    }
    Ok(())
}

/// A remark in the upper right corner of a panel.
fn note(area: &Area, remark: &str) -> DrawResult<'static> {
    let (width, _) = area.dim_in_pixel();
    let corner = (width - scaled(40), scaled(18));
    draw_text(area, remark, corner, scaled(TICK_TEXT), HPos::Right)
}

/// The numbers on a vertical axis from `bottom` to `top`.
pub(super) fn ticks(bottom: f64, top: f64) -> Vec<f64> {
    RangedCoordf64::from(bottom..top).key_points(TICKS)
}

/// The fewest decimals that show the ticks of the axis from `bottom` to `top` as they are.
pub(super) fn decimals(bottom: f64, top: f64) -> usize {
    let ticks = ticks(bottom, top);
    let shown = |decimals: &usize| {
        let scale = 10f64.powi(*decimals as i32);
        let error = |tick: &f64| ((tick * scale).round() / scale - tick).abs();
        ticks.iter().all(|tick| error(tick) < (top - bottom) * 1e-6)
    };
    (0..9).find(shown).unwrap_or(9)
}

pub(super) fn format_tick(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e5 || (decimals > 4 && value != 0.0) {
        format!("{value:.1e}")
    } else {
        format!("{value:.decimals$}")
    }
}

/// Each pixel the mean of the `OVERSAMPLING`² pixels of the larger drawing that it covers.
pub(super) fn average_down(pixels: &[u8], width: usize) -> Vec<u8> {
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

/// Upper left corner of the template of `class`.
fn template_corner(class: usize) -> (u32, u32) {
    let (column, line) = (class as u32 % TEMPLATES_PER_ROW, class as u32 / TEMPLATES_PER_ROW);
    let tile = SIDE as u32 * ZOOM;
    (TEMPLATE_GAP + column * (tile + TEMPLATE_GAP), TEMPLATES_HEAD + line * (tile + TEMPLATE_LABEL + TEMPLATE_GAP))
}

/// Enlarges `template` (3072; three planes, row-major) into `pixels`, its upper left corner at (`left`, `top`).
fn paste_template(pixels: &mut [u8], width: u32, (left, top): (u32, u32), template: &[u8]) {
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

pub(super) fn encode_png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(epoch: usize, train: Option<f64>, validation: Option<f64>) -> CurveRow {
        CurveRow {
            epoch,
            learning_rate: 0.001,
            train_loss: train,
            train_cost: train.map(|v| v + 1.0),
            train_accuracy: None,
            validation_loss: validation,
            validation_cost: validation.map(|v| v + 1.0),
            validation_accuracy: None,
            epoch_seconds: 0.0,
        }
    }

    fn setting(lambda: f64, eta: f64) -> Setting {
        Setting::new(lambda, eta).unwrap()
    }

    fn falling(epochs: usize) -> Vec<CurveRow> {
        let loss = |epoch: usize| 1.7 + 0.3 / epoch as f64;
        (1..=epochs).map(|e| row(e, Some(loss(e)), Some(loss(e) + 0.1))).collect()
    }

    pub(super) struct Image {
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

        /// Where pixels of `color` are below the head, in the left (0) or the right (1) panel.
        fn places(&self, panel: usize, RGBColor(r, g, b): RGBColor) -> Vec<(usize, usize)> {
            let half = self.width / 2;
            (CURVES_HEAD as usize..self.height)
                .flat_map(|y| (panel * half..(panel + 1) * half).map(move |x| (x, y)))
                .filter(|&(x, y)| self.at(x, y) == [r, g, b])
                .collect()
        }
    }

    fn curves_image(rows: &[CurveRow]) -> Image {
        Image::decode(&curves_figure(setting(0.1, 0.001), rows))
    }

    #[test]
    fn both_lines_are_in_both_panels_and_fit_into_them() {
        let image = curves_image(&falling(40));
        assert_eq!((image.width, image.height), (1200, 480));
        for panel in [0, 1] {
            for color in [TRAINING, VALIDATION] {
                let places = image.places(panel, color);
                let left = panel * 600 + AXIS_LEFT as usize;
                assert!(places.len() > 500);
                assert!(places.iter().all(|&(x, y)| {
                    (left..left + 600 - AXIS_LEFT as usize - 20).contains(&x)
                        && (CURVES_HEAD as usize + 4..480 - 64).contains(&y)
                }));
            }
        }
    }

    #[test]
    fn no_line_is_drawn_for_missing_values() {
        let image = curves_image(&[row(1, None, None), row(2, None, None)]);
        for panel in [0, 1] {
            assert_eq!(image.places(panel, TRAINING), []);
            assert_eq!(image.places(panel, VALIDATION), []);
        }
    }

    #[test]
    fn a_line_ends_where_its_values_do() {
        let mut rows = falling(40);
        for row in &mut rows[20..] {
            row.train_loss = None;
        }
        let image = curves_image(&rows);
        let right_end = |color| image.places(0, color).iter().map(|p| p.0).max().unwrap();
        assert!(right_end(TRAINING) < 340);
        assert!(right_end(VALIDATION) > 560);
    }

    #[test]
    fn one_epoch_is_a_dot() {
        let image = curves_image(&falling(1));
        for panel in [0, 1] {
            let dot = image.places(panel, TRAINING);
            assert!((40..120).contains(&dot.len()), "{}", dot.len());
        }
    }

    #[test]
    fn the_epoch_of_divergence_is_the_first_missing_one() {
        assert_eq!(Panel::loss(&falling(5)).first_missing(), None);
        let mut rows = falling(5);
        rows[4].train_loss = None;
        rows[3].validation_loss = Some(f64::INFINITY);
        assert_eq!(Panel::loss(&rows).first_missing(), Some(4));
        assert_eq!(Panel::loss(&[row(1, None, None)]).first_missing(), Some(1));
    }

    #[test]
    fn a_split_that_is_not_evaluated_has_not_diverged() {
        let without_validation = [row(1, Some(2.0), None), row(2, Some(1.9), None)];
        assert_eq!(Panel::loss(&without_validation).first_missing(), None);
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
    fn equal_values_give_equal_bytes_and_other_settings_others() {
        let rows = falling(10);
        let figure = curves_figure(setting(0.1, 0.001), &rows);
        let elsewhere = std::thread::spawn(move || curves_figure(setting(0.1, 0.001), &rows));
        assert_eq!(elsewhere.join().unwrap(), figure);
        assert_ne!(curves_figure(setting(0.1, 0.01), &falling(10)), figure);
        assert_ne!(curves_figure(setting(1.0, 0.001), &falling(10)), figure);
    }

    #[test]
    fn extreme_curves_are_drawn() {
        let extreme = [0.0, 1e-300, 1e300, f64::MAX, LARGEST, -1.0, f64::NAN];
        for (i, &a) in extreme.iter().enumerate() {
            let b = extreme[(i + 1) % extreme.len()];
            let rows = [row(1, Some(a), Some(b)), row(usize::MAX, Some(b), Some(a))];
            assert_eq!(curves_image(&rows).width, 1200);
        }
        assert_eq!(curves_image(&[]).width, 1200);
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn an_axis_holds_its_values_and_has_few_ticks(values in prop::collection::vec(any::<f64>(), 1..20)) {
            let rows: Vec<_> = values.iter().map(|&v| row(1, Some(v), None)).collect();
            let panel = Panel::loss(&rows);
            let (bottom, top) = panel.range();
            prop_assert!(bottom < top);
            for value in panel.points().filter_map(|point| point.1) {
                prop_assert!(bottom < value && value < top);
            }
            prop_assert!(ticks(bottom, top).len() <= TICKS);
            prop_assert!(decimals(bottom, top) <= 9);
        }
    }
}
