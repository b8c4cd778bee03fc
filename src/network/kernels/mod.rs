//! The kernels: the arithmetic of training, written for the vector units of the processor.
//!
//! n examples, d features, and the class rows of all members of a stack, one below the other. The kernels are written
//! once, over the vectors of [`pulp`], and compiled for each instruction set; [`Arch`](pulp::Arch) chooses one at run
//! time.
//!
//! **Layout.** Features are cut into *panels* of [`PANEL`] and padded with zeros. `x` is (n, stride) panels, `weight`
//! is (panels, rows) panels: within one panel the rows follow each other, so that each thread can own some panels. Rows
//! are padded to a multiple of [`ROW_MULTIPLE`]. Since all shapes are padded, no loop has a remainder. [`Forward`]
//! reads all panels of a few examples, [`Backward`] one panel of all examples; [`Normalise`] makes both from the
//! pixels.
//!
//! **Tiles.** A multiply-add needs two operands, and a processor can load about as many vectors as it can multiply. So
//! a tile keeps its sums in registers and uses each loaded vector several times: [`Forward`] computes E examples × 5
//! rows (E + 5 loads for 5 E multiply-adds), [`Backward`] 5 rows × V vectors (V + 5 loads for 5 V). With 16 registers E
//! = V = 2, with 32 registers E = V = 4.
//!
//! **No calls.** A kernel is fast only where its vector instructions are, so all it calls must be inlined into it. Hence
//! `inline(always)` here, and loops over indices: a zipped `chunks_exact` is a call, unless link-time optimisation removes
//! it.
//!
//! **One result.** Each output is summed in one order, whatever the tile, the group, the number of threads and the
//! instruction set. A logit is the sum of [`LANES`] partial sums, each over the features f ≡ lane (mod 16), which are
//! added pairwise at the end; a gradient is summed in the order of the examples, in blocks of [`SUM_BLOCK`]. Vectors of
//! 4 or 8 lanes take several passes for the 16 lanes.

#![expect(clippy::needless_range_loop, reason = "several arrays share an index, which is a lane, a row or an example")]

mod backward;
mod forward;
mod loss;
mod math;
mod normalise;

pub use backward::{Backward, RowStep, WeightOutput};
pub use forward::Forward;
pub use loss::Losses;
pub use normalise::{IMAGE_WIDTH, Image, Normalise};

/// Features per panel: four AVX-512 vectors, eight AVX2 vectors.
pub const PANEL: usize = 64;
/// Partial sums per logit, and examples per call of [`Losses`]: the lanes of the widest vector.
pub const LANES: usize = 16;
/// Class rows per tile; a divisor of the ten classes of CIFAR-10.
pub const ROWS: usize = 5;
/// The number of class rows is padded to a multiple of this: whole tiles, and whole vectors of sums in [`Forward`].
pub const ROW_MULTIPLE: usize = 2 * ROWS;
/// Largest number of examples per call of [`Forward`]: with their 96 KiB of `x`, two threads leave half of a
/// second-level cache of 1 MiB to the weights.
pub const CHUNK: usize = 8;
/// Number of examples that [`Backward`] sums before it adds them to the total, so that the rounding error of a large
/// batch stays near that of a small one.
pub const SUM_BLOCK: usize = 128;

/// [`PANEL`] features of one example or one class row, aligned to a cache line.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Panel(pub [f32; PANEL]);

/// [`LANES`] numbers: the partial sums of one logit, or one quantity of that many examples.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Lanes(pub [f32; LANES]);

impl Panel {
    /// Zero in every feature.
    pub const ZERO: Self = Self([0.0; PANEL]);
}

impl Lanes {
    /// Zero in every lane.
    pub const ZERO: Self = Self([0.0; LANES]);
}
