//! The arithmetic of training, for the vector units of the processor.
//!
//! n examples, d features, and the class rows of all members of a group, one below the other. The kernels are written
//! once, over [`pulp`]'s vectors, and compiled for each instruction set; [`Arch`](pulp::Arch) chooses at run time.
//!
//! **Layout.** Features are cut into *panels* of [`PANEL`] and padded with zeros. `x` is (n, stride) panels, `weight` is
//! (panels, rows) panels: within one panel the rows follow each other, so that threads can each own some panels. Rows
//! are padded to a multiple of [`ROW_MULTIPLE`]. Because all shapes are padded, there is no loop for leftovers. [`Forward`]
//! takes all panels of a few examples, [`Backward`] one panel of all examples: [`Normalise`] makes either from the pixels.
//!
//! **Tiles.** A multiply-add needs two operands, and a processor can load about as many vectors as it can multiply. So
//! a tile keeps its sums in registers and uses each vector that it loads several times: [`Forward`] E examples × 5 rows
//! (E + 5 loads for 5 E multiply-adds), [`Backward`] 5 rows × V vectors (V + 5 loads for 5 V). With 16 registers
//! E = V = 2, with 32 registers E = V = 4.
//!
//! **One result.** Each output is summed in one order, whatever the tile, the group, the number of threads and the
//! instruction set: a logit as [`LANES`] sums, each over the features f ≡ lane (mod 16), added pairwise at the end; a
//! gradient in the order of the examples, [`EXAMPLES`] at a time. A vector of 4 or 8 takes the 16 lanes in several passes.

#![expect(clippy::needless_range_loop, reason = "several arrays share an index, which is a lane, a row or an example")]

mod backward;
mod forward;
mod loss;
pub mod math;
mod normalise;

pub use backward::{Backward, Leave, RowRate};
pub use forward::Forward;
pub use loss::{Sigmoid, Softmax};
pub use normalise::{Image, Normalise};

/// The features of a panel: four AVX-512 vectors, eight AVX2 vectors.
pub const PANEL: usize = 64;
/// The partial sums of a logit, and the examples that [`Softmax`] takes at once: the widest vector there is.
pub const LANES: usize = 16;
/// The class rows of a tile, which divides the ten classes of CIFAR-10.
pub const ROWS: usize = 5;
/// What the number of class rows is padded to a multiple of: whole tiles, and whole vectors of sums in [`Forward`].
pub const ROW_MULTIPLE: usize = 2 * ROWS;
/// The most examples that [`Forward`] takes at once: with their 96 KiB of x, two threads leave half of a second-level
/// cache of 1 MiB to the weights.
pub const CHUNK: usize = 8;

/// The examples over which [`Backward`] sums before it adds to the total, so that the rounding error of a large batch stays
/// near that of a small one.
pub const EXAMPLES: usize = 128;

/// [`PANEL`] features of one example or one class row, on a cache line of its own.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Panel(pub [f32; PANEL]);

/// [`LANES`] numbers: the partial sums of one logit, or one quantity of so many examples.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Lanes(pub [f32; LANES]);

/// Zero in every lane.
pub const ZERO: Lanes = Lanes([0.0; LANES]);
/// Zero in every feature.
pub const ZERO_PANEL: Panel = Panel([0.0; PANEL]);
