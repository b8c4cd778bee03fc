//! The table that ends a training job, 80 columns wide for the settings of the report.

use std::fmt::Write;

use onelayer::output::tables::SummaryRow;

/// What stands where there is no value.
const MISSING: &str = "-";

/// A line a setting: losses in nats, accuracies in percent, the difference in percentage points.
pub fn results(rows: &[SummaryRow]) -> String {
    let mut table = String::new();
    line(
        &mut table,
        [
            "", "", "", "train", "", "valid", "", "test", "", "re-", "", "",
        ],
    );
    line(
        &mut table,
        [
            "setting", "λ", "η", "loss", "acc.%", "loss", "acc.%", "loss", "acc.%", "port",
            "diff.", "sec",
        ],
    );
    for row in rows {
        let difference = row.test_accuracy.zip(row.reported_test_accuracy);
        line(
            &mut table,
            [
                &row.setting,
                &row.lambda.to_string(),
                &row.eta.to_string(),
                &loss(row.train_loss),
                &percent(row.train_accuracy),
                &loss(row.validation_loss),
                &percent(row.validation_accuracy),
                &loss(row.test_loss),
                &percent(row.test_accuracy),
                &percent(row.reported_test_accuracy),
                &difference.map_or(MISSING.into(), |(ours, theirs)| {
                    format!("{:+.2}", 100.0 * (ours - theirs))
                }),
                &seconds(row.train_seconds),
            ],
        );
    }
    table
}

fn line(table: &mut String, cells: [&str; 12]) {
    let [setting, lambda, eta, rest @ ..] = cells;
    write!(table, "{setting:18} {lambda:>3} {eta:>5}").expect("memory can be written");
    for (cell, width) in rest.iter().zip([5, 5, 5, 5, 5, 5, 5, 5, 3]) {
        write!(table, " {cell:>width$}").expect("memory can be written");
    }
    table.truncate(table.trim_end().len());
    table.push('\n');
}

fn loss(value: Option<f64>) -> String {
    // Five characters: a loss of 10 or more goes without its third decimal.
    value.map_or(MISSING.into(), |v| {
        let decimals = if v < 9.9995 { 3 } else { 2 };
        format!("{v:.decimals$}")
    })
}

fn percent(value: Option<f64>) -> String {
    value.map_or(MISSING.into(), |v| format!("{:.2}", 100.0 * v))
}

fn seconds(value: f64) -> String {
    let decimals = usize::from(value < 9.95);
    format!("{value:.decimals$}")
}
