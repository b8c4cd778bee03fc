//! The kernels: the arithmetic of training, written for the vector units of the processor.
//!
//! n examples, d features, and the class rows of all members of a stack, one below the other. The kernels are written
//! once, over the vectors of [`pulp`], and compiled for each instruction set; [`Arch`] chooses one at run
//! time.
//!
//! **Layout.** Features are cut into *groups* of [`LANES`], a cache line, and padded with zeros; rows into tiles of
//! [`ROWS`], also padded, so that no loop has a remainder. `x` is (groups) of [`Column`], a group of each example, for a
//! chunk of up to [`CHUNK`] examples in [`Forward`] and for up to [`SUM_BLOCK`] in [`Backward`]. `weight` is (blocks, row
//! tiles, groups of a block) of [`Tile`], a group of each row: exactly the order in which [`Forward`] reads it.
//!
//! **Tiles.** A multiply-add needs two operands, and a processor can load about as many vectors as it can multiply. So
//! sums are kept in registers, as many as there are, and each loaded vector is used several times. With 16 registers the
//! sums are 5 rows × 2 vectors: 7 loads for 10 multiply-adds. With 32 they are 5 rows × 4 examples in [`Forward`] (9 for
//! 20) and 10 rows × 2 vectors in [`Backward`] (12 for 20, but half as many of `x`, which it reads once per row tile).
//!
//! **Blocks.** As in the matrix product of Goto & van de Geijn (*Anatomy of High-Performance Matrix Multiplication*, ACM
//! TOMS 2008), what is used most often lies in the nearest cache. [`Normalise`] writes a [`block`] of the features of a chunk
//! there, and [`Forward`] multiplies it by all rows, while the weights stream by in order; each is fetched once per chunk,
//! for 16 examples. The sums of a tile are loaded and stored once per block, after as many multiply-adds per lane as it has
//! groups, so a block should be long; but it has to fit. Vectors of fewer than 16 lanes read the features of a chunk and the
//! weights of a row tile several times, a part of each cache line at a time: 12 groups of both are 20 KiB of the smallest
//! first-level cache in use, of 32 KiB. Vectors of 16 lanes read whole lines, a third as many per multiply-add: there it is
//! enough if the features nearly fit, and those of 32 groups are 34 KiB.
//!
//! [`Backward`] takes [`GROUPS`] groups of the features of all examples, 12.5 KiB for a mini-batch of 100, and multiplies them
//! by `dlogits` of all rows.
//!
//! The features are normalised twice per mini-batch, once for each pass, because the second time costs less than keeping
//! them: its 0.3 MB of pixels are still in the second-level cache, where 1.2 MB of features beside 0.5 MB of weights are not.
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

pub use backward::{Backward, RowStep, Update, WeightOutput};
pub use forward::{Forward, Logits, SumTile};
pub use loss::Losses;
pub use normalise::{IMAGE_WIDTH, Image, Normalise};

use pulp::{Arch, Simd, WithSimd};

/// Features per group, partial sums per logit, and examples per call of [`Losses`]: the lanes of the widest vector, a
/// cache line.
pub const LANES: usize = 16;
/// The number of groups is padded to a multiple of this: two of the widest vectors, a row of an image.
pub const GROUPS: usize = 2;
/// Rows per tile; the classes of CIFAR-10.
pub const ROWS: usize = 10;
/// Largest number of examples per call of [`Forward`] and [`Losses`]: one per lane.
pub const CHUNK: usize = LANES;
/// Number of examples whose gradients are summed before they are added to the total, so that the rounding error of a large
/// batch stays near that of a small one.
pub const SUM_BLOCK: usize = 128;

/// [`LANES`] numbers: a group of features of one example or one class row, the partial sums of one logit, or one quantity
/// of that many examples.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Lanes(pub [f32; LANES]);

/// One group of the features of up to N − 1 examples. N is odd, because addresses 4 KiB apart share one place in the
/// first-level cache.
pub type Column<const N: usize> = [Lanes; N];
/// One group of the features of each example of a chunk.
pub type ChunkColumn = Column<{ CHUNK + 1 }>;
/// One group of the features of each example whose gradients are summed.
pub type SumColumn = Column<{ SUM_BLOCK + 1 }>;

/// One group of the weights of [`ROWS`] rows.
pub type Tile = [Lanes; ROWS];

impl Lanes {
    /// Zero in every lane.
    pub const ZERO: Self = Self([0.0; LANES]);
}

/// Groups per block on this instruction set, a multiple of [`GROUPS`]. The module explains how it follows from the caches.
pub fn block(arch: Arch) -> usize {
    if vector_lanes(arch) == LANES { 32 } else { 12 }
}

/// The number of lanes of a vector on this instruction set.
pub fn vector_lanes(arch: Arch) -> usize {
    struct Count;
    impl WithSimd for Count {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Count)
}

/// The instruction sets that this processor has and the kernels are compiled for, by name, the shortest vectors first.
/// The numbers are the same on all of them.
pub fn instruction_sets() -> Vec<(&'static str, Arch)> {
    let sets = [
        ("scalar", Some(Arch::Scalar)),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        ("AVX2", pulp::x86::V3::try_new().map(Arch::V3)),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        ("AVX-512", pulp::x86::V4::try_new().map(Arch::V4)),
        #[cfg(target_arch = "aarch64")]
        ("NEON", pulp::aarch64::Neon::try_new().map(Arch::Neon)),
    ];
    sets.into_iter().filter_map(|(name, arch)| Some((name, arch?))).collect()
}
