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

#[test]
fn records_must_be_whole_and_at_least_one() {
    use super::cifar10::{RECORD_BYTES, from_records, to_records};
    let path = std::path::Path::new("a.bin");
    let two = to_records(&few().test)[..2 * RECORD_BYTES].to_vec();
    assert_eq!(to_records(&from_records(&two, path).unwrap()), two);
    for bytes in [&two[..0], &two[..1], &two[..RECORD_BYTES + 1], &two[1..]] {
        let message = from_records(bytes, path).unwrap_err().to_string();
        let expected = format!("data file a.bin must have a positive multiple of 3073 bytes, but has {}", bytes.len());
        assert_eq!(message, expected);
    }
    let mut wrong = two;
    wrong[RECORD_BYTES] = 10;
    let message = from_records(&wrong, path).unwrap_err().to_string();
    assert_eq!(message, "data file a.bin: the label at byte 3073 must be 0 to 9, but is 10");
}

#[test]
fn a_pickle_that_is_too_long_is_refused_before_it_is_read() {
    let (file, ..) = sample::PARTS[2];
    let limit = pickle::max_bytes(file.bytes());
    let refusal = |bytes: u64| {
        let reader = std::io::Read::take(std::io::repeat(b'x'), bytes);
        store::unpickled(reader, std::path::Path::new("test"), &file).unwrap_err().to_string()
    };
    assert!(refusal(limit + 1).contains(&format!("must have at most {limit} bytes")), "{}", refusal(limit + 1));
    assert!(refusal(10 * limit).contains(&format!("must have at most {limit} bytes")));
    assert!(refusal(limit).contains("is no instruction of a data set"), "{}", refusal(limit));
}

#[test]
fn a_data_set_gives_back_what_it_was_made_of() {
    let dims = Dims { features: 2, classes: 3 };
    let three = Dataset::new(dims, vec![10, 11, 20, 21, 30, 31], vec![2, 0, 1]).unwrap();
    assert_eq!((three.dims(), three.len(), three.is_empty()), (dims, 3, false));
    assert_eq!([0, 1, 2].map(|i| three.image(i)), [[10, 11], [20, 21], [30, 31]]);
    assert_eq!(three.labels(), [2, 0, 1]);
    let other = three.with_labels(vec![1, 1, 1]).unwrap();
    assert_eq!((other.image(2), other.labels()), (&[30, 31][..], &[1, 1, 1][..]));
    let none = Dataset::new(dims, vec![], vec![]).unwrap();
    assert_eq!((none.len(), none.is_empty()), (0, true));

    let refusal = |labels: Vec<u8>| three.with_labels(labels).unwrap_err().to_string();
    assert_eq!(refusal(vec![0, 0, 3]), "label must be 0 to 2, but is 3");
    assert_eq!(refusal(vec![0, 0]), "pixels must have the shape (2, 2), but has 6 elements");
}

#[test]
fn the_digest_is_that_of_the_pixels_before_the_labels() {
    let dims = Dims { features: 2, classes: 100 };
    let dataset = Dataset::new(dims, b"ab".to_vec(), b"c".to_vec()).unwrap();
    // The SHA-256 of "abc", from FIPS 180-2.
    assert_eq!(dataset.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn nothing_can_be_held_out_where_a_class_has_no_example() {
    let dims = Dims { features: 1, classes: 2 };
    let dataset = Dataset::new(dims, vec![1, 2], vec![0, 0]).unwrap();
    assert_eq!(dataset.hold_out(0).unwrap().0, dataset);
    let message = dataset.hold_out(2).unwrap_err().to_string();
    assert!(message.starts_with("validation-size must be a multiple of 2, the number of classes, and at most 0"));
    // Two of each class: one of each can be held out.
    let dataset = Dataset::new(dims, vec![1, 2, 3, 4], vec![0, 1, 1, 0]).unwrap();
    let (train, held_out) = dataset.hold_out(2).unwrap();
    assert_eq!((numbers(&train), numbers(&held_out)), (vec![1, 2], vec![3, 4]));
    assert!(dataset.hold_out(4).is_err());
}

#[test]
fn the_published_files_are_shown_by_their_names() {
    use super::cifar10::BatchFile;
    let names = BatchFile::ALL.map(|file| file.to_string());
    let expected = ["1", "2", "3", "4", "5"].map(|number| format!("data_batch_{number}.bin"));
    assert_eq!((&names[..5], &names[5][..]), (&expected[..], "test_batch.bin"));
    assert_eq!(BatchFile::train(1).unwrap(), BatchFile::Train(1));
    assert_eq!(BatchFile::train(5).unwrap(), BatchFile::Train(5));
    assert_eq!(BatchFile::train(6).unwrap_err().to_string(), "training batch must be 1 to 5, but is 6");
}
