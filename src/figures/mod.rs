//! Figures, as PNG or JPEG, made of plain values: numbers, names and pixels.
//!
//! Nothing depends on the system: the font is compiled in, and equal values give equal bytes.

mod canvas;
pub(crate) mod confident;
mod confusion;
mod curves;
mod gains;
mod heatmap;
mod legend;
mod probabilities;
mod settings;
pub mod snapshots;
mod strips;
mod text;
mod weights;

pub(crate) use canvas::{TILE, axis_range, decimals, format_tick, ticks};
pub use confident::{ClassifiedImage, IMAGES, confident_figure};
pub use confusion::confusion_figure;
pub(crate) use curves::titled;
pub use curves::{Curves, Point, Unit, curves_figure};
pub(crate) use gains::gains_range;
pub use gains::{Gain, gains_figure};
pub(crate) use heatmap::HeatMaps;
pub use heatmap::{HeatMapTrial, search_figure};
pub(crate) use probabilities::bins_text;
pub use probabilities::probabilities_figure;
pub use settings::settings_figure;
pub(crate) use strips::{INTERVALS_AT, RUNS_AT, run_at};
pub use strips::{Strip, strips_figure};
pub use weights::weights_figure;

#[cfg(test)]
mod tests {
    use plotters::style::RGBColor;

    /// A decoded PNG.
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

        /// The pixels of `color`.
        pub fn places(&self, RGBColor(r, g, b): RGBColor) -> Vec<(usize, usize)> {
            let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
            places.filter(|&(x, y)| self.at(x, y) == [r, g, b]).collect()
        }
    }
}
