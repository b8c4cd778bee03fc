//! Figures, as PNG or JPEG, made of plain values: numbers, names and pixels.
//!
//! Nothing is taken from the system: the font is compiled in, and equal values give equal bytes.

mod canvas;
mod confident;
mod confusion;
mod curves;
mod heatmap;
mod probabilities;
pub mod snapshots;
mod strips;
mod weights;

pub(crate) use canvas::{decimals, format_tick, ticks};
pub use confident::{ClassifiedImage, IMAGES, confident_figure};
pub use confusion::confusion_figure;
pub use curves::{Curves, Point, curves_figure};
pub use heatmap::{HeatMapTrial, search_figure};
pub use probabilities::probabilities_figure;
pub use strips::{Strip, strips_figure};
pub use weights::weights_figure;
