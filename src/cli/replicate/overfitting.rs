//! `onelayer replicate --overfitting`.

use std::process::ExitCode;

use onelayer::dataset::cifar10::DIMS;
use onelayer::hyperparameters::readable;
use onelayer::replicate::overfitting::table::{ComparisonRow, OverfittingRow};
use onelayer::replicate::overfitting::{self, with_counterparts};
use onelayer::shard::Sharded;
use onelayer::statistics::{percent, points};

use super::{Args, print_wrapped, range, width};
use crate::cli::common::table::{loss_difference, or_dash};

/// Trains the seeds that are left of the comparison, and prints the result of a whole one.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.data.check_validation("a comparison of over-fitting")?;
    let plan = with_counterparts(&args.plan(), DIMS.classes)?;
    if let Some(comparisons) = args.train(&plan, OverfittingRow::JOB, overfitting::run)? {
        print(&comparisons);
        args.out.say_results(false, args.quiet);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the rows of the closing table.
pub fn print(comparisons: &[ComparisonRow]) {
    show!("Accuracies in %, their gap (training minus validation) in points, and the gap of");
    show!("the losses (validation minus training), each setting over its seeds:\n");
    let name = width(comparisons.iter().flat_map(|row| [&row.softmax, &row.sigmoids]));
    show!("{:name$}   n  train valid.    gap loss gap", "setting");
    for row in comparisons {
        let ComparisonRow { n, .. } = row;
        let line = |setting: &str, accuracies: [Option<f64>; 2], gap, loss_gap| {
            let [train, validation] = accuracies.map(|accuracy| or_dash(accuracy, percent));
            let gap = or_dash(gap, points);
            let setting = readable(setting);
            show!("{setting:name$} {n:>3} {train:>6} {validation:>6} {gap:>6} {:>8}", loss_difference(loss_gap));
        };
        let accuracies = [row.softmax_train_accuracy, row.softmax_validation_accuracy];
        line(&row.softmax, accuracies, row.softmax_gap, row.softmax_loss_gap);
        let accuracies = [row.sigmoids_train_accuracy, row.sigmoids_validation_accuracy];
        line(&row.sigmoids, accuracies, row.sigmoids_gap, row.sigmoids_loss_gap);
    }
    show!("\nGap of the softmax minus that of its sigmoids (95 % confidence interval):\n");
    let name = width(comparisons.iter().map(|row| &row.softmax));
    for row in comparisons {
        let range = range(row.gap_difference_95_low, row.gap_difference_95_high, points);
        let difference = or_dash(row.gap_difference, points);
        let verdict = match row.overfits_less.as_str() {
            "undecided" => "undecided".into(),
            less => format!("{less} over-fit{} less", if less == "softmax" { "s" } else { "" }),
        };
        show!("{:name$} {difference:>6}  {range:18} {verdict}", readable(&row.softmax));
    }
    show!();
    print_wrapped(&format!("{} {}", overfitting::COUNTERPARTS, overfitting::SCOPE));
}
