//! The stream of mini-batches: a function of seed and epoch alone, so that any epoch can be drawn without its
//! predecessors.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use crate::hyperparameters::Schedule;

/// The order in which `epoch` (from 1) visits `examples` examples.
pub fn epoch_order(schedule: &Schedule, epoch: usize, examples: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    if schedule.shuffle {
        let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed);
        // Stream 0 is the random start's.
        rng.set_stream(epoch as u64);
        order.shuffle(&mut rng);
    }
    order
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
    fn equal_seeds_give_equal_orders_and_other_seeds_others() {
        let order = |seed| {
            epoch_order(
                &Schedule {
                    seed,
                    ..Schedule::REPORT
                },
                3,
                100,
            )
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }

    #[test]
    fn without_shuffling_the_order_is_that_of_the_file() {
        let schedule = Schedule {
            shuffle: false,
            ..Schedule::REPORT
        };
        assert_eq!(epoch_order(&schedule, 5, 4), [0, 1, 2, 3]);
    }
}
