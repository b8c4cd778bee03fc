//! The random numbers of `numpy.random.default_rng(seed)`, bit by bit: those with which a student's script starts and
//! shuffles.
//!
//! Sources of the algorithms and constants: M. E. O'Neill's `seed_seq` with NumPy's changes (`SeedSequence` in
//! `numpy/random/bit_generator.pyx`); her generator PCG XSL RR 128/64, here from the crate `rand_pcg`; the ziggurat of
//! Marsaglia and Tsang (2000) with the 256 layers of `numpy/random/src/distributions/ziggurat_constants.h`, which
//! `ziggurat.csv` lists; bounded integers by masks and rejection (`random_interval` in `distributions.c`). `tests/integration/numpy.rs` compares all of it with NumPy.

use std::sync::LazyLock;

use rand::Rng;
use rand_pcg::Lcg128Xsl64;

/// The layers of the ziggurat: the integer below which a draw is accepted at once, the factor from integers to the normal,
/// and the density at the layer's edge.
static LAYERS: LazyLock<Vec<(u64, f64, f64)>> = LazyLock::new(|| {
    let layer = |line: &str| {
        let mut fields = line.split(',');
        let mut next = || fields.next().expect("three columns");
        (next().parse().expect("an integer"), next().parse().expect("a number"), next().parse().expect("a number"))
    };
    include_str!("ziggurat.csv").lines().skip(1).map(layer).collect()
});

/// Where the tail of the ziggurat begins.
const TAIL: f64 = 3.654_152_885_361_009;
/// 1 / [`TAIL`], as NumPy rounds it.
const INVERSE_OF_TAIL: f64 = 0.273_661_237_329_758_3;

/// NumPy's default generator.
#[derive(Clone, Debug)]
pub struct Generator {
    pcg: Lcg128Xsl64,
    /// The upper half of the last number of which a caller took 32 bits.
    half: Option<u32>,
}

impl Generator {
    /// `numpy.random.default_rng(seed)`.
    pub fn new(seed: u64) -> Self {
        let words = seed_words(seed);
        let wide = |high: usize| u128::from(words[high]) << 64 | u128::from(words[high + 1]);
        Self { pcg: Lcg128Xsl64::new(wide(0), wide(2)), half: None }
    }

    fn next_u64(&mut self) -> u64 {
        self.pcg.next_u64()
    }

    /// Half a number; the next call returns the other half.
    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let number = self.next_u64();
        self.half = Some((number >> 32) as u32);
        number as u32
    }

    /// Uniform on [0, 1).
    fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / 2_f64.powi(53)
    }

    /// `standard_normal()`.
    pub fn standard_normal(&mut self) -> f64 {
        loop {
            let bits = self.next_u64();
            let layer = (bits & 0xff) as usize;
            let is_negative = bits >> 8 & 1 == 1;
            let magnitude = bits >> 9 & ((1 << 52) - 1);
            let (accepted_below, factor, density) = LAYERS[layer];
            let x = if is_negative { -(magnitude as f64 * factor) } else { magnitude as f64 * factor };
            if magnitude < accepted_below {
                return x;
            }
            if layer == 0 {
                let tail = self.tail();
                return if magnitude >> 8 & 1 == 1 { -tail } else { tail };
            }
            let above = LAYERS[layer - 1].2;
            if (above - density) * self.next_f64() + density < (-0.5 * x * x).exp() {
                return x;
            }
        }
    }

    /// A number beyond [`TAIL`].
    fn tail(&mut self) -> f64 {
        loop {
            let x = -INVERSE_OF_TAIL * (-self.next_f64()).ln_1p();
            let y = -(-self.next_f64()).ln_1p();
            if y + y > x * x {
                return TAIL + x;
            }
        }
    }

    /// An integer from 0 to `largest`, all equally probable: the lowest bits of draws until one is small enough.
    fn up_to(&mut self, largest: u32) -> u32 {
        let mask = u32::MAX.checked_shr(largest.leading_zeros()).unwrap_or(0);
        loop {
            let number = self.next_u32() & mask;
            if number <= largest {
                return number;
            }
        }
    }

    /// `shuffle(values)`, for at most 2³² values. `permutation(n)` does the same to the numbers from 0 to n − 1.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            let j = self.up_to(u32::try_from(i).expect("at most 2³² values"));
            values.swap(i, j as usize);
        }
    }
}

/// The four words that NumPy's `SeedSequence(seed)` gives to seed the generator.
fn seed_words(seed: u64) -> [u64; 4] {
    let entropy = [seed as u32, (seed >> 32) as u32, 0, 0];
    let mut constant = 0x43b0_d7e5;
    let mut hash = |value: u32| hash(value, &mut constant, 0x931e_8875);
    let mut pool = entropy.map(&mut hash);
    for source in 0..4 {
        for target in (0..4).filter(|&target| target != source) {
            pool[target] = mix(pool[target], hash(pool[source]));
        }
    }
    let mut constant = 0x8b51_f9dd;
    let mut words = (0..8).map(|i| u64::from(self::hash(pool[i % 4], &mut constant, 0x58f3_8ded)));
    std::array::from_fn(|_| {
        let low = words.next().expect("eight words");
        low | words.next().expect("eight words") << 32
    })
}

fn hash(value: u32, constant: &mut u32, multiplier: u32) -> u32 {
    let value = value ^ *constant;
    *constant = constant.wrapping_mul(multiplier);
    let value = value.wrapping_mul(*constant);
    value ^ value >> 16
}

fn mix(x: u32, y: u32) -> u32 {
    let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
    mixed ^ mixed >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::store;

    /// `g = numpy.random.default_rng(42); g.standard_normal(3), g.permutation(10), g.standard_normal()` in NumPy 2.4.6.
    #[test]
    fn the_first_numbers_are_those_of_numpy() {
        let mut generator = Generator::new(42);
        let normals = [(); 3].map(|()| generator.standard_normal());
        assert_eq!(normals, [0.30471707975443135, -1.0399841062404955, 0.7504511958064572]);
        let mut order: Vec<usize> = (0..10).collect();
        generator.shuffle(&mut order);
        assert_eq!(order, [6, 8, 4, 2, 9, 3, 0, 7, 1, 5]);
        assert_eq!(generator.standard_normal(), 0.8793979748628286);
    }

    /// The SHA-256 of `g.standard_normal(100000).tobytes()` and of `g.permutation(100000).tobytes()`, little-endian, with
    /// `g = numpy.random.default_rng(seed)` in NumPy 2.4.6.
    #[test]
    fn a_hundred_thousand_numbers_are_those_of_numpy() {
        for (seed, normals, permutation) in [
            (
                0,
                "8f486b451c3c9bd045aa3f6339cdf819f6c2bcccd8f64f9c514bbe5976527997",
                "211c25680e44a61eb2df29e5a1591bc6a60cfb2988bb171f465bbd3ba6c34630",
            ),
            (
                42,
                "f3e73604df68fe20d537824522cc0fec55e7aecc7c099b47634bc5637f560254",
                "43e2c9c33c614213c9cb585dfa49eb2cf6f7b2ba8cc5fa7e15c3da5a80ef0074",
            ),
            (
                u64::MAX,
                "942ba6bf0d7c12941459b7b8aad6212ab9100759ab7c984eca6b67966e74e18d",
                "ed584ce6a9ef325646f733b442ad3ba39c481824df7c80645c46ef0e9d53c5b7",
            ),
        ] {
            let mut generator = Generator::new(seed);
            let drawn: Vec<u8> = (0..100_000).flat_map(|_| generator.standard_normal().to_le_bytes()).collect();
            assert_eq!(store::sha256(&drawn[..]).unwrap(), normals, "{seed}");
            let mut order: Vec<u64> = (0..100_000).collect();
            generator.shuffle(&mut order);
            let order: Vec<u8> = order.iter().flat_map(|i| i.to_le_bytes()).collect();
            assert_eq!(store::sha256(&order[..]).unwrap(), permutation, "{seed}");
        }
    }

    /// `g = numpy.random.default_rng(42); g.permutation(1); g.standard_normal()`, which is the first normal without the
    /// permutation too.
    #[test]
    fn shuffling_fewer_than_two_values_draws_nothing() {
        let mut generator = Generator::new(42);
        generator.shuffle::<u8>(&mut []);
        let mut one = [7];
        generator.shuffle(&mut one);
        assert_eq!((one, generator.standard_normal()), ([7], 0.30471707975443135));
    }
}
