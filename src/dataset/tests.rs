//! Data sets that are held in memory.

use super::cifar10::DIMS;
use super::*;

/// The first images of the sample: few, so that a training takes milliseconds.
pub fn few() -> Splits {
    let first = |split: &Dataset, n: usize| {
        let pixels = (0..n).flat_map(|i| split.image(i).to_vec()).collect();
        Dataset::new(DIMS, pixels, split.labels()[..n].to_vec()).unwrap()
    };
    let all = sample::built_in().unwrap();
    Splits { train: first(&all.train, 110), validation: first(&all.validation, 60), test: first(&all.test, 60) }
}

/// Twelve examples of three classes; the only feature of each is its number.
fn dataset() -> Dataset {
    let dims = Dims { features: 1, classes: 3 };
    let labels = vec![0, 1, 2, 2, 0, 1, 0, 0, 2, 1, 1, 0];
    Dataset::new(dims, (0..12).collect(), labels).unwrap()
}

fn numbers(dataset: &Dataset) -> Vec<u8> {
    (0..dataset.len()).map(|i| dataset.image(i)[0]).collect()
}

#[test]
fn the_last_examples_of_each_class_are_held_out_in_their_order() {
    let (train, held_out) = dataset().hold_out(6).unwrap();
    assert_eq!(numbers(&held_out), [3, 7, 8, 9, 10, 11]);
    assert_eq!(held_out.labels(), [2, 0, 2, 1, 1, 0]);
    assert_eq!(numbers(&train), [0, 1, 2, 4, 5, 6]);
    assert_eq!(train.labels(), [0, 1, 2, 0, 1, 0]);
}

#[test]
fn holding_out_nothing_leaves_everything() {
    let (train, held_out) = dataset().hold_out(0).unwrap();
    assert_eq!(train, dataset());
    assert!(held_out.is_empty());
}

#[test]
fn a_size_that_makes_classes_unequal_or_empty_is_refused() {
    for size in [1, 5, 9, 12, 300] {
        let message = dataset().hold_out(size).unwrap_err().to_string();
        let expected = "validation-size must be a multiple of 3, the number of classes, and at most 6";
        assert!(message.starts_with(expected), "{message}");
    }
}
