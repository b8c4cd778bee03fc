//! A loop of multiply-adds, which the kernels are compared with.

use std::hint::black_box;

use onelayer::network::kernels::vector_lanes;
use pulp::{Arch, Simd, WithSimd};

/// Number of floating-point operations of one [`run`]; a multiply-add counts as two.
pub fn flops(arch: Arch) -> usize {
    2 * ROUNDS * ACCUMULATORS * vector_lanes(arch)
}

/// Multiply-adds on registers only, on this thread: the upper limit of any kernel's rate.
pub fn run(arch: Arch) {
    arch.dispatch(FmaLoop);
}

/// Enough to hide the latency of a multiply-add, few enough for 16 registers.
const ACCUMULATORS: usize = 12;
const ROUNDS: usize = 20_000;

struct FmaLoop;

impl WithSimd for FmaLoop {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factor = simd.splat_f32s(black_box(0.999));
        let mut accumulators = [simd.splat_f32s(1.0); ACCUMULATORS];
        for _ in 0..ROUNDS {
            for accumulator in &mut accumulators {
                *accumulator = simd.mul_add_f32s(*accumulator, factor, factor);
            }
        }
        black_box(accumulators);
    }
}
