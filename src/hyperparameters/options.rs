//! The options of the command line that the columns of tables and the metadata of checkpoints come from, for messages.

/// The columns whose option has their name.
const OPTIONS: [&str; 11] = [
    "batch_size",
    "decay_every",
    "decay_factor",
    "epochs",
    "eta",
    "first_seed",
    "flip",
    "lambda",
    "loss",
    "seed",
    "shard",
];

/// What a job that cannot be resumed was made with, and what is asked for instead: `--batch-size 100, not 50` for the values
/// `100` and `50` of the column `batch_size`.
pub(crate) fn difference(column: &str, found: &str, expected: &str) -> String {
    let [(found_name, found), (name, expected)] = [found, expected].map(|value| option(column, value));
    let expected = if name == found_name { expected } else { format!("{name} {expected}") };
    format!("{}, not {}", format!("{found_name} {found}").trim(), expected.trim())
}

/// The option of `column` and its `value` there; in words where there is no option.
fn option(column: &str, value: &str) -> (String, String) {
    let (name, value) = match (column, value) {
        ("shuffle", "none") => ("--no-shuffle", ""),
        ("shuffle", "numpy-permutation") => ("--rng", "numpy"),
        ("shuffle", "numpy-shuffle") => ("--rng", "numpy --rng-order shuffle"),
        ("start", "random") => ("--rng", "chacha8"),
        ("shuffle" | "start", value) => match value.strip_prefix("file:") {
            Some(sha256) => ("an --init file with the parameters", sha256.get(..8).unwrap_or(sha256)),
            None => ("--rng", value),
        },
        ("settings", value) => ("--lambda and --eta for", value),
        ("setting", value) => ("the setting", value),
        ("train_split", value) => ("the training images", value),
        ("validation_split", value) => ("the validation images", value),
        ("test_split", value) => ("the test images", value),
        ("decay_every" | "decay_factor" | "decay_patience", "" | "none") => ("no decay of the learning rate", ""),
        ("decay_patience", value) => ("--decay-on-plateau", value),
        (_, value) if OPTIONS.contains(&column) => return (format!("--{}", column.replace('_', "-")), value.into()),
        (_, value) => return (column.replace('_', " "), value.into()),
    };
    (name.into(), value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_option_that_the_user_gives() {
        for (column, found, expected, words) in [
            ("batch_size", "100", "50", "--batch-size 100, not 50"),
            ("first_seed", "1", "5", "--first-seed 1, not 5"),
            ("shuffle", "chacha8", "none", "--rng chacha8, not --no-shuffle"),
            ("shuffle", "numpy-permutation", "numpy-shuffle", "--rng numpy, not numpy --rng-order shuffle"),
            ("start", "random", "numpy", "--rng chacha8, not numpy"),
            ("start", "random", "file:0123456789", "--rng chacha8, not an --init file with the parameters 01234567"),
            ("decay_every", "none", "5", "no decay of the learning rate, not --decay-every 5"),
            ("decay_patience", "5", "", "--decay-on-plateau 5, not no decay of the learning rate"),
            ("settings", "lambda0_eta1", "lambda1_eta1", "--lambda and --eta for lambda0_eta1, not lambda1_eta1"),
            ("train_split", "a.bin", "b.bin", "the training images a.bin, not b.bin"),
            ("train_sha256", "01", "02", "train sha256 01, not 02"),
        ] {
            assert_eq!(difference(column, found, expected), words);
        }
    }
}
