//! Tables on the terminal, at most 80 columns wide.

use onelayer::evaluate::table::ClassRow;
use onelayer::statistics::{fixed, grouped, percent, scientific, typographic};
use onelayer::train::table::SummaryRow;

/// `text` of `value`; a dash if it is missing.
pub fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or("–".into(), text)
}

/// The results of training, one line per setting: losses in nats, accuracies in percent, their difference to the reported
/// ones in percentage points. Without validation, and without a reported accuracy, the table lacks these columns.
pub fn results(rows: &[SummaryRow]) -> String {
    let mut lines = vec![
        ["", "", "", "train", "", "valid", "", "test", "", "the", "report", ""].map(String::from),
        ["setting", "λ", "η", "loss", "acc.%", "loss", "acc.%", "loss", "acc.%", "acc.%", "diff.", "sec"]
            .map(String::from),
    ];
    lines.extend(rows.iter().map(cells));
    let validated = rows.iter().any(|row| row.scores.validation_loss.is_some());
    let reported = rows.iter().any(|row| row.reported_test_accuracy.is_some());
    let shown = [true, true, validated, validated, true, true, reported, reported, true];
    lines.iter().map(|cells| line(cells, shown)).collect()
}

fn cells(row: &SummaryRow) -> [String; 12] {
    let accuracy = |value| or_dash(value, |v: f64| fitting(5, 2, |decimals| format!("{:.decimals$}", 100.0 * v)));
    let difference = or_dash(row.test_accuracy.zip(row.reported_test_accuracy), |(ours, reported)| {
        fitting(5, 2, |decimals| typographic(&format!("{:+.decimals$}", 100.0 * (ours - reported))))
    });
    [
        row.setting.clone(),
        in_ten_characters(row.hyperparameters.lambda),
        in_ten_characters(row.hyperparameters.eta),
        loss(row.scores.train_loss),
        accuracy(row.scores.train_accuracy),
        loss(row.scores.validation_loss),
        accuracy(row.scores.validation_accuracy),
        loss(row.test_loss),
        accuracy(row.test_accuracy),
        accuracy(row.reported_test_accuracy),
        difference,
        seconds(row.train_seconds),
    ]
}

/// The results of an evaluation, one line per class.
pub fn classes(rows: &[ClassRow]) -> String {
    let line = |row: &ClassRow| {
        let [precision, recall] = [row.precision, row.recall].map(|value| or_dash(value, percent));
        let ClassRow { class, examples, predicted, correct, .. } = row;
        let [examples, predicted, correct] = [examples, predicted, correct].map(|n| grouped(*n));
        format!("{class:10} {examples:>7} {predicted:>10} {correct:>8} {precision:>12} {recall:>9}\n")
    };
    let header = "class       images  predicted  correct  precision %  recall %\n";
    header.to_owned() + &rows.iter().map(line).collect::<String>()
}

/// A line of at most 80 columns, with those cells after λ and η that are `shown`. A setting whose name or numbers are longer than
/// those of the report's settings has its name on a line of its own.
fn line(cells: &[String; 12], shown: [bool; 9]) -> String {
    let [setting, lambda, eta, rest @ ..] = cells;
    let numbers = format!("{lambda:>3} {eta:>5}");
    let mut line = if setting.chars().count() <= 18 && numbers.chars().count() <= 9 {
        format!("{setting:18} {numbers}")
    } else {
        format!("{setting}\n{numbers:>28}")
    };
    for ((cell, width), _) in rest.iter().zip([5, 5, 5, 5, 5, 5, 5, 5, 3]).zip(shown).filter(|(_, shown)| *shown) {
        line += &format!(" {cell:>width$}");
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

/// λ or η.
fn in_ten_characters(value: f64) -> String {
    let text = value.to_string();
    if text.len() <= 8 { text } else { scientific(value, 2) }
}

/// The result of `format` with as many decimals, at most `decimals`, as fit into `width`; without any if none fit.
fn fitting(width: usize, decimals: usize, format: impl Fn(usize) -> String) -> String {
    let texts = (0..=decimals).rev().map(&format);
    let fits = |text: &String| text.chars().count() <= width;
    texts.into_iter().find(fits).unwrap_or_else(|| format(0))
}

/// A loss in five characters.
pub fn loss(value: Option<f64>) -> String {
    nats(value, 5)
}

/// A difference of two losses in eight characters.
pub fn loss_difference(value: Option<f64>) -> String {
    nats(value, 8)
}

fn nats(value: Option<f64>, width: usize) -> String {
    or_dash(value, |v| match v {
        ..99_999.5 => fitting(width, 3, |decimals| fixed(v, decimals)),
        _ => scientific(v, 0),
    })
}

/// A time in three characters: in seconds, or if these are too many in minutes, hours or days.
fn seconds(value: f64) -> String {
    if value < 999.5 {
        return fitting(3, 1, |decimals| format!("{value:.decimals$}"));
    }
    let units = [(60.0, 'm'), (3600.0, 'h'), (86_400.0, 'd')];
    let few = |&&(length, _): &&(f64, char)| value / length < 99.5;
    let (length, unit) = units.iter().find(few).unwrap_or(&units[2]);
    format!("{:.0}{unit}", value / length)
}

#[cfg(test)]
mod tests {
    use onelayer::hyperparameters::Hyperparameters;
    use onelayer::train::table::ScoreColumns;

    use super::*;

    fn row() -> SummaryRow {
        SummaryRow {
            setting: "lambda0.1_eta0.001".into(),
            hyperparameters: Hyperparameters { lambda: 0.1, ..Hyperparameters::default() },
            scores: ScoreColumns {
                train_loss: Some(1.65432),
                train_cost: Some(1.7),
                train_accuracy: Some(0.4321),
                validation_loss: Some(12.3456),
                validation_cost: Some(1.9),
                validation_accuracy: Some(1.0),
            },
            test_loss: None,
            test_accuracy: Some(0.3935),
            reported_test_accuracy: Some(0.394),
            train_seconds: 3.1,
        }
    }

    #[test]
    fn a_setting_of_the_report_is_one_line() {
        let table = results(&[row()]);
        let line = "lambda0.1_eta0.001 0.1 0.001 1.654 43.21 12.35 100.0     – 39.35 39.40 −0.05 3.1";
        assert_eq!(table.lines().nth(2), Some(line));
        assert_eq!(table.lines().count(), 3);
        assert!(table.lines().next().unwrap().ends_with("  test         the report"), "{table}");
    }

    #[test]
    fn columns_without_a_number_are_left_out() {
        let mut bare = row();
        bare.reported_test_accuracy = None;
        let last = |rows: &[SummaryRow]| results(rows).lines().last().unwrap().to_owned();
        assert_eq!(last(&[bare.clone()]), "lambda0.1_eta0.001 0.1 0.001 1.654 43.21 12.35 100.0     – 39.35 3.1");
        assert_eq!(
            last(&[row(), bare.clone()]),
            "lambda0.1_eta0.001 0.1 0.001 1.654 43.21 12.35 100.0     – 39.35     –     – 3.1"
        );
        (bare.scores.validation_loss, bare.scores.validation_accuracy) = (None, None);
        let table = results(&[bare]);
        assert!(!table.contains("valid") && !table.contains("report"), "{table}");
        assert!(table.ends_with("\nlambda0.1_eta0.001 0.1 0.001 1.654 43.21     – 39.35 3.1\n"), "{table}");
    }

    #[test]
    fn a_longer_name_has_a_line_of_its_own() {
        let setting = "lambda0.1_eta0.001_bce_decay10x0.5".to_owned();
        let longer = SummaryRow { setting, ..row() };
        let table = results(&[longer]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[2], "lambda0.1_eta0.001_bce_decay10x0.5");
        assert!(lines[3].starts_with("                   0.1 0.001 1.654 "));
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn no_line_is_wider_than_80_columns_whatever_the_numbers() {
        for number in [0.0, 1e-300, 0.123_456_789, 99.999, 123.456, 99_999.6, 1e99] {
            let extreme = SummaryRow {
                hyperparameters: Hyperparameters { lambda: number, eta: number, ..Hyperparameters::default() },
                scores: ScoreColumns { train_loss: Some(number), validation_loss: Some(number), ..row().scores },
                test_loss: Some(number),
                test_accuracy: Some(0.0),
                reported_test_accuracy: Some(1.0),
                train_seconds: number.min(8e6),
                ..row()
            };
            let table = results(&[extreme]);
            assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        }
    }

    #[test]
    fn a_difference_of_losses_has_three_decimals_and_zero_no_sign() {
        let texts = [-0.0004, -0.0016, -0.38, 0.268].map(|value| loss_difference(Some(value)));
        assert_eq!(texts, ["0.000", "−0.002", "−0.380", "0.268"]);
        assert_eq!(loss(Some(-0.0004)), "0.000");
        assert_eq!(loss_difference(None), "–");
    }

    #[test]
    fn a_time_has_three_characters() {
        let texts = [0.0, 9.94, 9.96, 999.4, 1000.0, 7200.0, 360_000.0, 864_000.0].map(seconds);
        assert_eq!(texts, ["0.0", "9.9", "10", "999", "17m", "2h", "4d", "10d"]);
    }
}
