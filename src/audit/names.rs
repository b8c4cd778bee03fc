//! Names of arrays that the audit does not read, and the known names that were probably meant.

/// Other usual names, in lower case.
const OTHER_NAMES: [(&str, &str); 16] = [
    ("alpha", "eta"),
    ("learning_rate", "eta"),
    ("lr", "eta"),
    ("lam", "lambda"),
    ("lmbda", "lambda"),
    ("reg", "lambda"),
    ("weight_decay", "lambda"),
    ("batch", "batch_size"),
    ("n_batch", "batch_size"),
    ("n_epochs", "epochs"),
    ("num_epochs", "epochs"),
    ("random_state", "seed"),
    ("weight", "W"),
    ("weights", "W"),
    ("bias", "b"),
    ("biases", "b"),
];

/// Short forms of words, and the words in the names that the audit knows.
const SHORT_FORMS: [(&str, &str); 5] =
    [("acc", "accuracy"), ("dev", "validation"), ("training", "train"), ("val", "validation"), ("valid", "validation")];

/// The names of `there` that are not `known`, each with the name that was probably meant, if `there` lacks it.
pub(super) fn unread(there: &[String], known: &[&'static str]) -> Vec<(String, Option<&'static str>)> {
    let is_there = |name: &str| there.iter().any(|other| other == name);
    let missing: Vec<&str> = known.iter().copied().filter(|name| !is_there(name)).collect();
    let unread = there.iter().filter(|name| !known.contains(&name.as_str()));
    unread.map(|name| (name.clone(), meant(name, &missing))).collect()
}

/// The one of `candidates` that is like `name`.
fn meant(name: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let name = name.to_lowercase().replace(['-', ' ', '.'], "_");
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, known)| *known);
    let words = sorted_words(&name);
    let is_same = |known: &str| other == Some(known) || sorted_words(&known.to_lowercase()) == words;
    // One letter in four may differ.
    let is_near = |known: &str| distance(known, &name) <= known.len() / 4;
    let find = |is_meant: &dyn Fn(&str) -> bool| candidates.iter().copied().find(|known| is_meant(known));
    find(&is_same).or_else(|| find(&is_near))
}

fn sorted_words(name: &str) -> Vec<&str> {
    let long = |word| SHORT_FORMS.iter().find(|(short, _)| *short == word).map_or(word, |(_, long)| *long);
    let mut words: Vec<&str> = name.split('_').map(long).collect();
    words.sort_unstable();
    words
}

/// The number of letters to insert, delete or replace to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 0..b.len() {
            let replaced = diagonal + usize::from(letter != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 9] =
        ["W", "b", "train_loss", "validation_loss", "validation_accuracy", "lambda", "eta", "batch_size", "epochs"];

    #[test]
    fn a_name_that_is_not_read_is_listed_with_the_one_that_was_meant() {
        for (name, expected) in [
            ("val_loss", Some("validation_loss")),
            ("loss_val", Some("validation_loss")),
            ("Validation-Acc", Some("validation_accuracy")),
            ("train_losses", Some("train_loss")),
            ("learning_rate", Some("eta")),
            ("Lambda", Some("lambda")),
            ("lamda", Some("lambda")),
            ("lam", Some("lambda")),
            ("w", Some("W")),
            ("x", None),
            ("beta", None),
            ("momentum", None),
        ] {
            assert_eq!(unread(&[name.into()], &KNOWN), [(name.into(), expected)]);
        }
        assert_eq!(unread(&["eta".into(), "lr".into()], &KNOWN), [("lr".into(), None)], "eta is there");
        assert_eq!(unread(&KNOWN.map(String::from), &KNOWN), []);
    }

    #[test]
    fn the_distance_counts_letters() {
        for (a, b, expected) in [("eta", "eta", 0), ("lambda", "lamda", 1), ("", "abc", 3), ("kitten", "sitting", 3)] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
