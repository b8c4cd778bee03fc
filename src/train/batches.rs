//! The stream of mini-batches: a function of seed and epoch alone, so that any epoch can be drawn without its
//! predecessors.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::hyperparameters::Schedule;

/// The order in which `epoch` (from 1) visits `examples` examples.
pub fn epoch_order(schedule: &Schedule, epoch: usize, examples: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    if schedule.shuffle {
        let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed);
        // Stream 0 belongs to the random start.
        rng.set_stream(epoch as u64);
        order.shuffle(&mut rng);
    }
    order
}

/// True for each of `examples` examples, in file order, that is mirrored in `epoch` (from 1).
pub fn epoch_flips(schedule: &Schedule, epoch: usize, examples: usize) -> Vec<bool> {
    // The streams below belong to the orders.
    const FLIPS: u64 = 1 << 63;
    let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed);
    rng.set_stream(FLIPS | epoch as u64);
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
        let schedule = Schedule { shuffle: false, ..Schedule::REPORT };
        assert_eq!(epoch_order(&schedule, 5, 4), [0, 1, 2, 3]);
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
    fn flips_depend_only_on_seed_and_epoch() {
        let schedule = flipping(0.5);
        let flips = epoch_flips(&schedule, 3, 1000);
        // The flip of an image depends neither on batches and order nor on the length of the data set.
        let other = Schedule { batch_size: 7, epochs: 9, shuffle: false, ..schedule };
        assert_eq!(epoch_flips(&other, 3, 1000), flips);
        assert_eq!(epoch_flips(&schedule, 3, 2000)[..1000], flips);
        let seed = schedule.seed + 1;
        assert_ne!(epoch_flips(&Schedule { seed, ..schedule }, 3, 1000), flips);
        // The order is drawn from a stream of its own.
        assert_eq!(epoch_order(&schedule, 3, 1000), epoch_order(&Schedule::REPORT, 3, 1000));
    }
}
