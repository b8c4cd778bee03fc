//! The chart with all settings.

use crate::figures::{Point, Unit, titled};
use crate::page::chart::{Chart, Series};
use crate::page::contents::SettingPart;
use crate::train::table::{CurveRow, ScoreColumns};

/// The accuracies of at least two settings over the epochs: on the validation split, or on the training split if none
/// was evaluated on it.
pub fn together(settings: &[SettingPart]) -> Option<Chart> {
    let settings: Vec<_> = settings.iter().filter_map(|setting| Some((setting, setting.curves.as_ref()?))).collect();
    let validated = settings.iter().any(|(setting, _)| setting.has_validation());
    let accuracy = |ScoreColumns { train_accuracy, validation_accuracy, .. }: &ScoreColumns| {
        let accuracy = if validated { validation_accuracy } else { train_accuracy };
        accuracy.map(|fraction| 100.0 * fraction)
    };
    let point = |row: &CurveRow| (i32::try_from(row.epoch).unwrap_or(i32::MAX), accuracy(&row.scores));
    let points: Vec<Vec<Point>> = settings.iter().map(|(_, rows)| rows.iter().map(point).collect()).collect();
    let diverged = |setting: &SettingPart| setting.charts.first().and_then(|chart| chart.diverged);
    let title = |setting: &SettingPart| titled(&setting.title(), diverged(setting));
    let series = settings.iter().zip(&points).enumerate();
    let series: Vec<_> =
        series.map(|(i, ((setting, _), points))| Series::of_setting(i, title(setting), points, validated)).collect();
    let name = if validated { "validation accuracy" } else { "training accuracy" };
    (series.len() > 1).then(|| Chart::of_settings(name, Unit::Percent, &series))
}
