//! Shared parts of the figures: colours, the font, text, axes, enlarged images and PNG.

use std::cell::RefCell;
use std::ops::Range;

use plotters::chart::{ChartContext, MeshStyle};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::dataset::cifar10::{CHANNELS, PLANE, SIDE};
use crate::figures::text::{self, Bitmap};
use crate::statistics::{fixed, grouped, typographic};

/// Axes and text.
pub const INK: RGBColor = RGBColor(25, 25, 25);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(225, 225, 225);
/// Two colours of the palette of Okabe and Ito, which can be told apart with any kind of colour vision.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);

/// Height of the band with a figure's title or legend.
pub const HEAD: u32 = 56;
/// Size of a title, unless it has to be smaller to fit.
pub const TITLE: u32 = 28;
/// Maximum number of labels on a vertical axis.
pub const TICKS: usize = 7;
/// Distance of the description of a vertical axis from the left edge, which would otherwise cut it off.
const DESCRIPTION_LEFT: u32 = 12;
/// Figures with axes are drawn this many times larger and averaged down, which smooths lines and letters.
pub const OVERSAMPLING: u32 = 2;

/// Width and height of an enlarged image of CIFAR-10.
pub const TILE: u32 = SIDE as u32 * ZOOM;
const ZOOM: u32 = 6;
pub const TILES_PER_LINE: u32 = 5;
pub const TILE_GAP: u32 = 16;
/// Width of a figure of enlarged images.
pub const TILES_WIDTH: u32 = TILES_PER_LINE * (TILE + TILE_GAP) + TILE_GAP;

/// Dashes and the gaps between them.
const DASH: (u32, u32) = (10, 4);

/// How a line looks.
#[derive(Clone, Copy)]
pub struct Stroke {
    pub color: RGBColor,
    pub width: u32,
    pub dashed: bool,
}

impl Stroke {
    pub const fn solid(color: RGBColor, width: u32) -> Self {
        Self { color, width, dashed: false }
    }

    pub const fn dashed(color: RGBColor, width: u32) -> Self {
        Self { color, width, dashed: true }
    }
}

type DrawError = DrawingAreaErrorKind<<Bitmap<'static> as DrawingBackend>::ErrorType>;
pub type Drawn = Result<(), DrawError>;
pub type Chart<'a, 'b, X> = ChartContext<'a, Bitmap<'b>, Cartesian2d<X, RangedCoordf64>>;

/// An area to draw on. Places and sizes are in pixels of the finished figure, each `scale` pixels of the drawing.
pub struct Canvas<'a> {
    area: DrawingArea<Bitmap<'a>, Shift>,
    scale: u32,
}

/// The PNG of a figure of this width and height, drawn `scale` times larger.
pub fn figure(size: (u32, u32), scale: u32, content: impl FnOnce(&Canvas) -> Drawn) -> Vec<u8> {
    encode_png(size, &draw(size, scale, content))
}

/// The PNG of a figure of this height with enlarged `images`, each at its upper left corner.
pub fn tiles_figure(height: u32, images: &[((u32, u32), &[u8])], content: impl FnOnce(&Canvas) -> Drawn) -> Vec<u8> {
    let size = (TILES_WIDTH, height);
    let mut pixels = draw(size, 1, content);
    for &(corner, image) in images {
        paste_image(&mut pixels, TILES_WIDTH, corner, ZOOM, image);
    }
    encode_png(size, &pixels)
}

/// Upper left corner of enlarged image number `i`, with the first one at `top` and labels of this height below them.
pub fn tile_corner(i: u32, top: u32, label: u32) -> (u32, u32) {
    let (column, line) = (i % TILES_PER_LINE, i / TILES_PER_LINE);
    (TILE_GAP + column * (TILE + TILE_GAP), top + line * (TILE + label + TILE_GAP))
}

/// The pixels (height, width, 3) of a figure, drawn on white.
pub fn draw((width, height): (u32, u32), scale: u32, content: impl FnOnce(&Canvas) -> Drawn) -> Vec<u8> {
    thread_local! {
        // One per thread, for one figure after another: if each had its own, the allocator would keep what is freed.
        static DRAWING: RefCell<Vec<u8>> = RefCell::default();
    }
    let (width, height) = (width * scale, height * scale);
    DRAWING.with_borrow_mut(|pixels| {
        pixels.clear();
        pixels.resize((width * height * 3) as usize, u8::MAX);
        let area = Bitmap::new(pixels, (width, height)).into_drawing_area();
        let canvas = Canvas { area, scale };
        content(&canvas).and_then(|()| canvas.area.present()).expect("drawing into memory cannot fail");
        drop(canvas);
        average_down(pixels, width as usize, scale as usize)
    })
}

impl<'a> Canvas<'a> {
    /// Pixels of the finished figure as pixels of the drawing.
    pub fn scaled(&self, pixels: u32) -> u32 {
        pixels * self.scale
    }

    /// Draws a line of text whose middle is at the height of `y`.
    pub fn text(&self, line: &str, at: (u32, u32), size: u32, align: HPos) -> Drawn {
        self.text_in(line, at, size, align, INK)
    }

    /// As [`text`](Self::text), in another colour.
    pub fn text_in(&self, line: &str, (x, y): (u32, u32), size: u32, align: HPos, color: RGBColor) -> Drawn {
        let at = (self.scaled(x) as i32, self.scaled(y) as i32);
        let style = self.text_style(size).pos(Pos::new(align, VPos::Center)).color(&color);
        self.area.draw(&Text::new(line, at, style))
    }

    /// Draws the title in the middle of the head of a figure of this width, smaller if it does not fit.
    pub fn title(&self, title: &str, width: u32) -> Drawn {
        let size = text::fitting(title, TITLE, width - 2 * TILE_GAP);
        self.text(title, (width / 2, HEAD / 2), size, HPos::Center)
    }

    /// Draws a line of text that reads upwards from `at`, around the column of `at`.
    pub fn upward_text(&self, line: &str, (x, y): (u32, u32), size: u32) -> Drawn {
        let at = (self.scaled(x) as i32, self.scaled(y) as i32);
        let style = self.text_style(size).transform(FontTransform::Rotate270);
        self.area.draw(&Text::new(line, at, style.pos(Pos::new(HPos::Left, VPos::Center))))
    }

    fn text_style(&self, size: u32) -> TextStyle<'static> {
        TextStyle::from((FontFamily::SansSerif, self.scaled(size)).into_font()).color(&INK)
    }

    /// Draws a horizontal line.
    pub fn line(&self, xs: Range<u32>, y: u32, stroke: Stroke) -> Drawn {
        let ends = [xs.start, xs.end].map(|x| (self.scaled(x) as i32, self.scaled(y) as i32));
        let style = self.stroke(stroke.color, stroke.width);
        if stroke.dashed {
            let (dash, gap) = self.dash();
            return self.area.draw(&DashedPathElement::new(ends, dash, gap, style));
        }
        self.area.draw(&PathElement::new(ends, style))
    }

    /// Length of dashes and of the gaps between them, in pixels of the drawing.
    pub fn dash(&self) -> (u32, u32) {
        (self.scaled(DASH.0), self.scaled(DASH.1))
    }

    /// Draws a dot.
    pub fn dot(&self, (x, y): (u32, u32), radius: u32, color: RGBColor) -> Drawn {
        let at = (self.scaled(x) as i32, self.scaled(y) as i32);
        self.area.draw(&Circle::new(at, self.scaled(radius), color.filled()))
    }

    /// Draws a rectangle from its upper left corner.
    pub fn rectangle(&self, (x, y): (u32, u32), (width, height): (u32, u32), style: ShapeStyle) -> Drawn {
        let corners = [(x, y), (x + width, y + height)];
        let corners = corners.map(|(x, y)| (self.scaled(x) as i32, self.scaled(y) as i32));
        self.area.draw(&Rectangle::new(corners, style))
    }

    /// The style of a line of this width.
    pub fn stroke(&self, color: RGBColor, width: u32) -> ShapeStyle {
        color.stroke_width(self.scaled(width))
    }

    /// The part above `y`, and the part below.
    pub fn split_at(&self, y: u32) -> (Self, Self) {
        let (above, below) = self.area.split_vertically(self.scaled(y));
        (Self { area: above, ..*self }, Self { area: below, ..*self })
    }

    /// Equal parts, line by line.
    pub fn split_evenly(&self, lines: usize, columns: usize) -> Vec<Self> {
        let areas = self.area.split_evenly((lines, columns));
        areas.into_iter().map(|area| Self { area, ..*self }).collect()
    }

    /// A chart with these margins: `left` of the vertical axis, on the `right`, at the `bottom`, and `foot` for the numbers
    /// and the description of the horizontal axis.
    pub fn chart<X: AsRangedCoord>(
        &self,
        (left, right, bottom, foot): (u32, u32, u32, u32),
        x: X,
        y: Range<f64>,
    ) -> Result<Chart<'_, 'a, X::CoordDescType>, DrawError> {
        ChartBuilder::on(&self.area)
            .margin_left(self.scaled(DESCRIPTION_LEFT))
            .margin_right(self.scaled(right))
            .margin_bottom(self.scaled(bottom))
            .x_label_area_size(self.scaled(foot))
            .y_label_area_size(self.scaled(left - DESCRIPTION_LEFT))
            .build_cartesian_2d(x, y)
    }

    /// Draws axes in their common style, with these sizes of their numbers and descriptions.
    pub fn draw_axes<X, Y>(&self, mesh: &mut MeshStyle<X, Y, Bitmap>, (numbers, descriptions): (u32, u32)) -> Drawn
    where
        X: Ranged + ValueFormatter<X::ValueType>,
        Y: Ranged + ValueFormatter<Y::ValueType>,
    {
        mesh.axis_style(self.stroke(INK, 1))
            .bold_line_style(self.stroke(GRID, 1))
            .light_line_style(TRANSPARENT)
            .set_all_tick_mark_size(self.scaled(5))
            .y_labels(TICKS)
            .label_style(self.text_style(numbers))
            .axis_desc_style(self.text_style(descriptions))
            .draw()
    }
}

/// A range from below the smallest to above the largest of the `values`, for an axis.
pub fn axis_range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = if low == high {
        (high.abs() * 0.1).max(1e-3)
    } else {
        // An axis much shorter than its values would show rounding errors.
        ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-9)
    };
    low - margin..high + margin
}

/// The numbers on a vertical axis of this range.
pub fn ticks(range: &Range<f64>) -> Vec<f64> {
    RangedCoordf64::from(range.clone()).key_points(TICKS)
}

/// The fewest decimals that show the ticks of an axis of this range exactly.
pub fn decimals(range: &Range<f64>) -> usize {
    let ticks = ticks(range);
    let exact = |decimals: &usize| {
        let scale = 10f64.powi(*decimals as i32);
        let error = |tick: &f64| ((tick * scale).round() / scale - tick).abs();
        ticks.iter().all(|tick| error(tick) < (range.end - range.start) * 1e-6)
    };
    (0..9).find(exact).unwrap_or(9)
}

/// A number on an axis.
pub fn format_tick(value: f64, decimals: usize) -> String {
    let scientific = value.abs() >= 1e5 || decimals > 4;
    typographic(&match value {
        0.0 if scientific => "0".into(),
        value if scientific => format!("{value:.1e}"),
        value if decimals == 0 && value.abs() >= 999.5 => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", grouped(value.abs().round() as usize))
        }
        value => fixed(value, decimals),
    })
}

/// Each pixel the mean of the `factor`² pixels of the larger drawing, `width` pixels wide, that it covers.
fn average_down(pixels: &[u8], width: usize, factor: usize) -> Vec<u8> {
    if factor == 1 {
        return pixels.to_vec();
    }
    let mut means = Vec::with_capacity(pixels.len() / (factor * factor));
    let mut sums = vec![[0u16; 3]; width / factor];
    for rows in pixels.chunks_exact(width * 3 * factor) {
        sums.fill([0; 3]);
        for row in rows.chunks_exact(width * 3) {
            let (pixels, _) = row.as_chunks::<3>();
            for (sum, covered) in sums.iter_mut().zip(pixels.chunks_exact(factor)) {
                for &[red, green, blue] in covered {
                    sum[0] += u16::from(red);
                    sum[1] += u16::from(green);
                    sum[2] += u16::from(blue);
                }
            }
        }
        let covered = (factor * factor) as u16;
        for &[red, green, blue] in &sums {
            means.extend([(red / covered) as u8, (green / covered) as u8, (blue / covered) as u8]);
        }
    }
    means
}

/// Copies `image` (3072 bytes: three planes, row-major), enlarged `zoom` times, into the `pixels` of a picture of this
/// `width`, its upper left corner at (`left`, `top`).
pub fn paste_image(pixels: &mut [u8], width: u32, (left, top): (u32, u32), zoom: u32, image: &[u8]) {
    let [width, left, top, zoom] = [width, left, top, zoom].map(|number| number as usize);
    for y in 0..SIDE * zoom {
        for x in 0..SIDE * zoom {
            let source = y / zoom * SIDE + x / zoom;
            let target = ((top + y) * width + left + x) * CHANNELS;
            for channel in 0..CHANNELS {
                pixels[target + channel] = image[channel * PLANE + source];
            }
        }
    }
}

fn encode_png((width, height): (u32, u32), pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Equal pixels and rows compress as well as by the default, in half the time.
    encoder.set_deflate_compression(png::DeflateCompression::Level(4));
    encoder.set_filter(png::Filter::NoFilter);
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

    #[test]
    fn ticks_show_the_decimals_they_need() {
        assert_eq!(decimals(&(4.5..9.5)), 0);
        assert_eq!(decimals(&(1.6..2.0)), 1);
        assert_eq!(decimals(&(1.98..2.02)), 2);
        assert_eq!(format_tick(1.7, 1), "1.7");
        assert_eq!(format_tick(200_000.0, 0), "2.0e5");
        assert_eq!(format_tick(-0.000_02, 5), "−2.0e−5");
        assert_eq!(format_tick(0.0, 5), "0");
        assert_eq!(format_tick(0.0, 2), "0.00");
    }
}
