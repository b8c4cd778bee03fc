//! What a replication shows, as tables and words of 80 columns for the settings of the report.

use onelayer::replicate::{PairRow, Replication, SummaryRow, verdicts};
use onelayer::statistics::{p_text, percent, points};

use super::common::table::or_dash;

/// The widest line.
const WIDTH: usize = 80;

/// Prints the settings, the pairs and the conclusions.
pub fn print(replication: &Replication) {
    show!("Test accuracy in %, each setting over its seeds:\n");
    show!("setting               n   mean    sd  mean, 95 %    one run, 95 %  report");
    for row in replication.summary() {
        show!("{}", summary_line(&row));
    }
    let pairs = replication.pairs();
    if !pairs.is_empty() {
        show!("\nThe first minus the second setting in points, seed by seed:\n");
        show!("                                      mean  95 %            won/tied/lost p");
    }
    for row in pairs {
        show!("{}", pair_line(&row));
    }
    let verdicts = verdicts(replication);
    if !verdicts.is_empty() {
        show!("\nThe conclusions of the report:");
    }
    for row in verdicts {
        show!("\n{}: {}", row.conclusion, row.verdict);
        for line in wrap(&row.explanation, WIDTH - 2) {
            show!("  {line}");
        }
    }
    let note = "Each interval has a confidence of 95 % on its own, and each conclusion is judged by its own. In the \
                table of pairs, p is that of the exact sign-flip test, corrected for the number of pairs by Holm's \
                method; among the conclusions it is not. All of it is about the luck of the seeds: other training or \
                test images would add to it.";
    show!();
    for line in wrap(note, WIDTH) {
        show!("{line}");
    }
}

fn summary_line(row: &SummaryRow) -> String {
    let reported = or_dash(row.reported, |reported| {
        let place = match row.reported_in_run_95 {
            Some(true) => " in",
            Some(false) => " out",
            None => "",
        };
        percent(reported) + place
    });
    let diverged = match row.diverged {
        0 => String::new(),
        n => format!("  ({n} diverged)"),
    };
    format!(
        "{:18} {:>4} {:>6} {:>5}  {:13} {:13}  {reported}{diverged}",
        row.setting,
        row.n,
        or_dash(row.mean, percent),
        or_dash(row.sd, percent),
        range(row.mean_95_low, row.mean_95_high, percent),
        range(row.run_95_low, row.run_95_high, percent),
    )
}

fn pair_line(row: &PairRow) -> String {
    let outcomes = format!("{}/{}/{}", row.wins, row.ties, row.losses);
    format!(
        "{:16} {:16} {:>7} {:>16} {outcomes:>10}  {}",
        row.setting_a,
        row.setting_b,
        or_dash(row.mean_difference, points),
        range(row.difference_95_low, row.difference_95_high, points),
        or_dash(row.sign_flip_p_holm, p_text),
    )
}

fn range(low: Option<f64>, high: Option<f64>, text: fn(f64) -> String) -> String {
    or_dash(low.zip(high), |(low, high)| format!("{} to {}", text(low), text(high)))
}

/// `text` in lines of at most `width` characters, broken at spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            *line = word.into();
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            *line += " ";
            *line += word;
        } else {
            lines.push(word.into());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_at_spaces_and_counted_in_characters() {
        assert_eq!(wrap("λ = 0.1 is better", 7), ["λ = 0.1", "is", "better"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
