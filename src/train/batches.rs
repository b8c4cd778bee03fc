//! The stream of mini-batches: a function of seed and epoch alone. With this program's generator, any epoch can be drawn
//! without its predecessors; NumPy's draws all epochs from one stream.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::numpy::Generator;
use crate::dataset::cifar10::DIMS;
use crate::hyperparameters::{Schedule, Shuffle};

/// The order in which `epoch` (from 1) visits `examples` examples.
pub fn epoch_order(schedule: &Schedule, epoch: usize, examples: usize) -> Vec<usize> {
    Orders::new(schedule, examples).of(epoch)
}

/// The orders of the epochs of a training.
#[derive(Clone, Debug)]
pub struct Orders {
    schedule: Schedule,
    examples: usize,
    /// NumPy's generator, the number of orders that it has drawn, and the last of them; `None` before the first.
    numpy: Option<(Generator, usize, Vec<usize>)>,
}

impl Orders {
    /// The orders of `examples` examples.
    pub fn new(schedule: &Schedule, examples: usize) -> Self {
        Self { schedule: *schedule, examples, numpy: None }
    }

    /// The order of `epoch`, from 1.
    pub fn of(&mut self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.examples).collect();
        match self.schedule.shuffle {
            Shuffle::ChaCha8 => {
                let mut rng = ChaCha8Rng::seed_from_u64(self.schedule.seed);
                // Stream 0 belongs to the random start.
                rng.set_stream(epoch as u64);
                order.shuffle(&mut rng);
                order
            }
            Shuffle::NumpyPermutation | Shuffle::NumpyShuffle => self.numpy_order(epoch, order),
            Shuffle::None | Shuffle::Unknown => order,
        }
    }

    /// The order that a NumPy script draws for `epoch`; `sorted` is that of the file.
    fn numpy_order(&mut self, epoch: usize, sorted: Vec<usize>) -> Vec<usize> {
        let begin = || {
            let mut generator = Generator::new(self.schedule.seed);
            // A script draws the weights first.
            for _ in 0..DIMS.classes * DIMS.features {
                generator.standard_normal();
            }
            (generator, 0, sorted.clone())
        };
        let is_over = |(_, drawn, _): &(Generator, usize, Vec<usize>)| *drawn > epoch;
        let (mut generator, mut drawn, mut order) = self.numpy.take().filter(|n| !is_over(n)).unwrap_or_else(begin);
        while drawn < epoch {
            if self.schedule.shuffle == Shuffle::NumpyPermutation {
                order.clone_from(&sorted);
            }
            generator.shuffle(&mut order);
            drawn += 1;
        }
        self.numpy = Some((generator, drawn, order.clone()));
        order
    }
}

/// True for each of `examples` examples, in file order, that is mirrored in `epoch` (from 1).
pub fn epoch_flips(schedule: &Schedule, epoch: usize, examples: usize) -> Vec<bool> {
    // The streams below belong to the orders.
    const FLIPS: u64 = 1 << 63;
    let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed);
    rng.set_stream(FLIPS + epoch as u64);
    // All 2³² numbers are equally probable.
    let limit = schedule.flip * 2_f64.powi(32);
    (0..examples).map(|_| f64::from(rng.next_u32()) < limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_each_example_once_in_an_order_of_its_own() {
        let order = |epoch| epoch_order(&Schedule::REPORT, epoch, 1000);
        assert_ne!(order(1), order(2));
        for epoch in [1, 2] {
            let mut visited = order(epoch);
            visited.sort_unstable();
            assert_eq!(visited, (0..1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_seeds_give_equal_orders_and_other_seeds_other_ones() {
        let order = |seed| epoch_order(&Schedule { seed, ..Schedule::REPORT }, 3, 100);
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }

    #[test]
    fn without_shuffling_the_order_is_that_of_the_file() {
        let schedule = Schedule { shuffle: Shuffle::None, ..Schedule::REPORT };
        assert_eq!(epoch_order(&schedule, 5, 4), [0, 1, 2, 3]);
    }

    const PERMUTATIONS: [[usize; 8]; 3] =
        [[6, 4, 0, 5, 7, 1, 3, 2], [1, 7, 4, 0, 2, 3, 5, 6], [1, 7, 4, 2, 3, 6, 0, 5]];
    const SHUFFLES: [[usize; 8]; 3] = [[6, 4, 0, 5, 7, 1, 3, 2], [4, 2, 7, 6, 0, 5, 1, 3], [2, 3, 0, 7, 6, 1, 4, 5]];

    /// `rng = default_rng(7); rng.standard_normal((10, 3072))`, then `rng.permutation(8)` or `rng.shuffle(order)` three
    /// times, in NumPy 2.4.6.
    #[test]
    fn the_orders_of_a_numpy_script_are_drawn_in_any_sequence() {
        let expected = |shuffle| match shuffle {
            Shuffle::NumpyPermutation => PERMUTATIONS,
            _ => SHUFFLES,
        };
        for shuffle in [Shuffle::NumpyPermutation, Shuffle::NumpyShuffle] {
            let mut orders = Orders::new(&Schedule { seed: 7, shuffle, ..Schedule::REPORT }, 8);
            for epoch in [1, 2, 3, 3, 1, 3] {
                assert_eq!(orders.of(epoch), expected(shuffle)[epoch - 1], "{shuffle}, {epoch}");
            }
        }
    }

    fn flipping(flip: f64) -> Schedule {
        Schedule { flip, ..Schedule::REPORT }
    }

    #[test]
    fn the_share_of_flipped_images_is_the_probability_and_each_epoch_draws_again() {
        let half = |epoch| epoch_flips(&flipping(0.5), epoch, 10_000);
        let flipped = half(1).iter().filter(|&&f| f).count();
        // Five standard deviations of a binomial count.
        assert!(flipped.abs_diff(5000) < 250, "{flipped}");
        let again = half(1).iter().zip(half(2)).filter(|(a, b)| **a && *b).count();
        assert!(again.abs_diff(2500) < 217, "{again}");
        assert!(epoch_flips(&flipping(1.0), 1, 1000).iter().all(|&f| f));
        assert!(!epoch_flips(&flipping(0.0), 1, 1000).contains(&true));
    }

    #[test]
    fn the_flips_of_a_seed_stay_those_of_every_version() {
        let flips: Vec<_> = epoch_flips(&flipping(0.5), 1, 16).into_iter().map(u8::from).collect();
        assert_eq!(flips, [0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0]);
        // The first image is mirrored if the probability is above its number of 32 bits.
        let first = 3_346_848_069.0 / 2_f64.powi(32);
        let above = 3_346_848_070.0 / 2_f64.powi(32);
        assert_eq!([first, above].map(|flip| epoch_flips(&flipping(flip), 1, 1)[0]), [false, true]);
    }

    #[test]
    fn flips_depend_only_on_seed_and_epoch() {
        let schedule = flipping(0.5);
        let flips = epoch_flips(&schedule, 3, 1000);
        // The flip of an image depends neither on batches and order nor on the length of the data set.
        let other = Schedule { batch_size: 7, epochs: 9, shuffle: Shuffle::None, ..schedule };
        assert_eq!(epoch_flips(&other, 3, 1000), flips);
        assert_eq!(epoch_flips(&schedule, 3, 2000)[..1000], flips);
        let seed = schedule.seed + 1;
        assert_ne!(epoch_flips(&Schedule { seed, ..schedule }, 3, 1000), flips);
        // The order is drawn from a stream of its own.
        assert_eq!(epoch_order(&schedule, 3, 1000), epoch_order(&Schedule::REPORT, 3, 1000));
    }
}
