//! The options of the command line that the columns of tables and the metadata of checkpoints come from, for messages.

use super::{Setting, readable};

/// Advice if a file cannot be resumed with any options.
pub(crate) const START_OVER: &str = "drop --resume to start over";

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
    if column == "shuffle" && [found, expected].contains(&"none") {
        let words = |value| if value == "none" { "--no-shuffle" } else { "shuffled images" };
        return format!("{}, not {}", words(found), words(expected));
    }
    if column == "start" && [found, expected].iter().all(|start| start.starts_with("file:")) {
        return "another --init file".into();
    }
    if let Some((kind, options)) = images(column) {
        let options = match [found, expected].map(|split| split.contains("sample/")) {
            [true, false] => "--dataset sample",
            [false, true] => "--dataset cifar10",
            _ => options,
        };
        return format!("other {kind} images ({options}): {found}, not {expected}");
    }
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
        ("setting" | "settings", names) => return settings(names),
        ("decay_every" | "decay_factor" | "decay_patience", "" | "none") => ("no decay of the learning rate", ""),
        ("decay_patience", value) => ("--decay-on-plateau", value),
        (_, value) if OPTIONS.contains(&column) => return (format!("--{}", column.replace('_', "-")), value.into()),
        (_, value) => return (column.replace('_', " "), value.into()),
    };
    (name.into(), value.into())
}

/// The kind of images whose split is in `column`, and the options that select them.
fn images(column: &str) -> Option<(&'static str, &'static str)> {
    match column {
        "train_split" => Some(("training", "--dataset, --train-batches or --validation-size")),
        "validation_split" => Some(("validation", "--dataset, --validation-batches or --validation-size")),
        "test_split" => Some(("test", "--dataset")),
        _ => None,
    }
}

/// The settings with these names, separated by spaces, for readers.
fn settings(names: &str) -> (String, String) {
    let titles: Vec<_> = names.split(' ').map(readable).collect();
    match titles.len() {
        1 => ("the setting".into(), titles[0].clone()),
        _ if names == Setting::REPORT.map(Setting::name).join(" ") => {
            ("the four settings of the report".into(), String::new())
        }
        _ => ("the settings".into(), titles.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_option_that_the_user_gives() {
        for (column, found, expected, words) in [
            ("batch_size", "100", "50", "--batch-size 100, not 50"),
            ("first_seed", "1", "5", "--first-seed 1, not 5"),
            ("shuffle", "chacha8", "none", "shuffled images, not --no-shuffle"),
            ("shuffle", "none", "numpy-shuffle", "--no-shuffle, not shuffled images"),
            ("shuffle", "chacha8", "numpy-shuffle", "--rng chacha8, not numpy --rng-order shuffle"),
            ("shuffle", "numpy-permutation", "numpy-shuffle", "--rng numpy, not numpy --rng-order shuffle"),
            ("start", "random", "numpy", "--rng chacha8, not numpy"),
            ("start", "random", "file:0123456789", "--rng chacha8, not an --init file with the parameters 01234567"),
            ("start", "file:0123456789", "file:1123456789", "another --init file"),
            ("decay_every", "none", "5", "no decay of the learning rate, not --decay-every 5"),
            ("decay_patience", "5", "", "--decay-on-plateau 5, not no decay of the learning rate"),
            ("setting", "lambda0_eta1", "lambda1_eta1", "the setting λ = 0, η = 1, not λ = 1, η = 1"),
            (
                "settings",
                "lambda0_eta0.1 lambda0_eta0.001 lambda0.1_eta0.001 lambda1_eta0.001",
                "lambda0_eta1",
                "the four settings of the report, not the setting λ = 0, η = 1",
            ),
            (
                "settings",
                "lambda0_eta1 lambda1_eta1",
                "lambda0_eta1 lambda2_eta1",
                "the settings λ = 0, η = 1; λ = 1, η = 1, not λ = 0, η = 1; λ = 2, η = 1",
            ),
            (
                "train_split",
                "a.bin",
                "b.bin",
                "other training images (--dataset, --train-batches or --validation-size): a.bin, not b.bin",
            ),
            ("test_split", "sample/a.bin", "b.bin", "other test images (--dataset sample): sample/a.bin, not b.bin"),
            (
                "validation_split",
                "b.bin",
                "the last 3 of sample/a.bin",
                "other validation images (--dataset cifar10): b.bin, not the last 3 of sample/a.bin",
            ),
            ("train_sha256", "01", "02", "train sha256 01, not 02"),
        ] {
            assert_eq!(difference(column, found, expected), words);
        }
    }
}
