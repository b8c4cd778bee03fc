//! The figures, as PNG: learning curves, weight templates, runs with many seeds, what a model takes for what.
//!
//! Nothing is taken from the system: the font is compiled in, and equal values give equal bytes.

mod canvas;
mod confident;
mod confusion;
mod curves;
pub mod heatmap;
pub mod probabilities;
pub mod snapshots;
mod strips;
mod weights;

pub(crate) use canvas::{decimals, format_tick, short, ticks};
pub use confident::{IMAGES, confident_figure};
pub use confusion::confusion_figure;
pub use curves::curves_figure;
pub(crate) use curves::{Panel, Point};
pub use strips::{Strip, strips_figure};
pub use weights::weights_figure;
