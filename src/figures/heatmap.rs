//! `search.png`: the validation accuracy over λ and η, for each loss.

use plotters::prelude::*;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::text_anchor::HPos;

use crate::figures::canvas::*;
use crate::hyperparameters::Loss;
use crate::search::table::SearchRow;
use crate::statistics::percent;

/// Width and height of a cell, in pixels.
const CELL: (u32, u32) = (88, 48);
/// Above a panel: the title and the loss's name.
const HEAD: u32 = 84;
/// Left of a panel: the values of λ.
const LEFT: u32 = 112;
/// Below a panel: the values of η and the axis's name.
const FOOT: u32 = 76;
/// Right of the last panel.
const RIGHT: u32 = 32;
/// The smallest width that has room for the title.
const SMALLEST_WIDTH: u32 = 560;
/// An axis with more values than this is cut into so many parts of equal ratio.
const MOST_VALUES: usize = 10;
/// Where nothing was tried, and where everything diverged.
const UNTRIED: RGBColor = WHITE;
const DIVERGED: RGBColor = RGBColor(200, 200, 200);

/// The figure of the trials in `rows`. A cell has the highest accuracy, in percent, of the trials of its λ, η and loss,
/// whatever their batch size, decay and flips; the highest of all has a frame. A cell where every trial diverged is grey.
pub fn search_figure(rows: &[SearchRow]) -> Vec<u8> {
    let lambdas = Axis::new(rows.iter().map(|row| row.lambda));
    let etas = Axis::new(rows.iter().map(|row| row.eta));
    let tried = |loss: &Loss| rows.iter().any(|row| row.loss == *loss);
    let panels: Vec<_> = Loss::ALL
        .into_iter()
        .filter(tried)
        .map(|loss| {
            let rows = rows.iter().filter(|row| row.loss == loss);
            Panel::new(loss, rows, &lambdas, &etas)
        })
        .collect();
    let accuracies = panels.iter().flat_map(|panel| &panel.cells).filter_map(|cell| match cell {
        Cell::Accuracy(accuracy) => Some(*accuracy),
        _ => None,
    });
    let (low, high) =
        accuracies.fold((f64::INFINITY, 0.0), |(low, high), accuracy| (accuracy.min(low), accuracy.max(high)));
    let panel_width = LEFT + CELL.0 * etas.labels.len() as u32;
    let width = (panel_width * panels.len() as u32 + RIGHT).max(SMALLEST_WIDTH);
    let height = HEAD + CELL.1 * lambdas.labels.len() as u32 + FOOT;
    let pixels = draw(width, height, |area| {
        let title = "validation accuracy in %, the best of each λ and η";
        draw_text_in(area, title, (width / 2, 24), 24, HPos::Center, &INK)?;
        for (i, panel) in panels.iter().enumerate() {
            let left = LEFT + panel_width * i as u32;
            panel.draw(area, left, (&lambdas, &etas), (low, high))?;
        }
        Ok(())
    });
    encode_png(width, height, &pixels)
}

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Untried,
    Diverged,
    Accuracy(f64),
}

/// The values of λ or η: each one, or, where there are many, parts of equal ratio.
struct Axis {
    /// The parts' lower ends, from the smallest.
    starts: Vec<f64>,
    labels: Vec<String>,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let mut starts: Vec<f64> = values.collect();
        starts.sort_by(f64::total_cmp);
        starts.dedup();
        if starts.len() <= MOST_VALUES {
            let labels = starts.iter().map(|value| short(*value)).collect();
            return Self { starts, labels };
        }
        // 0 has no logarithm, and a part of its own.
        let positive = starts.partition_point(|&value| value == 0.0);
        let (low, high) = (starts[positive], starts[starts.len() - 1]);
        let edge = |i: usize| low * (high / low).powf(i as f64 / MOST_VALUES as f64);
        let edges = (0..MOST_VALUES).map(edge);
        let mut starts = starts[..positive].to_vec();
        starts.extend(edges);
        let labels = starts.iter().map(|start| format!("≥ {}", short(*start))).collect();
        Self { starts, labels }
    }

    /// The part that `value`, one of the axis's, is in.
    fn part(&self, value: f64) -> usize {
        self.starts.partition_point(|&start| start <= value).max(1) - 1
    }
}

/// Two digits, which is what a label has room for.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().expect("a number was written");
    if rounded == 0.0 || (1e-4..1e4).contains(&rounded) { rounded.to_string() } else { format!("{rounded:e}") }
}

/// The cells of one loss.
struct Panel {
    loss: Loss,
    /// (values of λ, values of η), row-major.
    cells: Vec<Cell>,
}

impl Panel {
    fn new<'a>(loss: Loss, rows: impl Iterator<Item = &'a SearchRow>, lambdas: &Axis, etas: &Axis) -> Self {
        let columns = etas.labels.len();
        let mut cells = vec![Cell::Untried; lambdas.labels.len() * columns];
        for row in rows {
            let cell = &mut cells[lambdas.part(row.lambda) * columns + etas.part(row.eta)];
            *cell = match (*cell, row.validation_accuracy) {
                (Cell::Accuracy(best), Some(accuracy)) => Cell::Accuracy(best.max(accuracy)),
                (_, Some(accuracy)) => Cell::Accuracy(accuracy),
                (Cell::Untried, None) => Cell::Diverged,
                (other, None) => other,
            };
        }
        Self { loss, cells }
    }

    /// The largest λ is at the top.
    fn draw(&self, area: &Area, left: u32, (lambdas, etas): (&Axis, &Axis), range: (f64, f64)) -> Drawn<'static> {
        let (width, height) = CELL;
        let (lines, columns) = (lambdas.labels.len() as u32, etas.labels.len() as u32);
        let text = |line: &str, at, size, align| draw_text_in(area, line, at, size, align, &INK);
        let middle = left + columns * width / 2;
        text(self.loss.name(), (middle, HEAD - 20), 22, HPos::Center)?;
        for (i, label) in lambdas.labels.iter().enumerate() {
            let y = HEAD + (lines - 1 - i as u32) * height + height / 2;
            text(label, (left - 10, y), 18, HPos::Right)?;
        }
        let below = HEAD + lines * height;
        text("λ", (left - LEFT + 16, HEAD - 20), 20, HPos::Center)?;
        for (i, label) in etas.labels.iter().enumerate() {
            let x = left + i as u32 * width + width / 2;
            text(label, (x, below + 18), 18, HPos::Center)?;
        }
        text("η", (middle, below + 50), 20, HPos::Center)?;
        for (i, &cell) in self.cells.iter().enumerate() {
            let (line, column) = (i as u32 / columns, i as u32 % columns);
            let corner = (left + column * width, HEAD + (lines - 1 - line) * height);
            draw_cell(area, corner, cell, range)?;
        }
        Ok(())
    }
}

fn draw_cell(area: &Area, (x, y): (u32, u32), cell: Cell, (low, high): (f64, f64)) -> Drawn<'static> {
    let (width, height) = CELL;
    let color = match cell {
        Cell::Untried => UNTRIED,
        Cell::Diverged => DIVERGED,
        // A range of no length would have no colour.
        Cell::Accuracy(a) => ViridisRGB.get_color_normalized(a, low, high.max(low + 1e-9)),
    };
    let rectangle = |inset: u32| {
        let ends = [(x + inset, y + inset), (x + width - inset, y + height - inset)];
        ends.map(|(x, y)| (x as i32, y as i32))
    };
    area.draw(&Rectangle::new(rectangle(1), color.filled()))?;
    let Cell::Accuracy(accuracy) = cell else {
        return Ok(());
    };
    if accuracy == high {
        area.draw(&Rectangle::new(rectangle(1), INK.stroke_width(4)))?;
    }
    // The colours of the upper half of the range are light.
    let ink = if accuracy > low + 0.6 * (high - low) { INK } else { WHITE };
    let middle = (x + width / 2, y + height / 2);
    draw_text_in(area, &percent(accuracy), middle, 20, HPos::Center, &ink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Shard;

    fn row(loss: Loss, lambda: f64, eta: f64, accuracy: Option<f64>) -> SearchRow {
        SearchRow {
            trial: 1,
            trials: 1,
            search: String::new(),
            shard: Shard::WHOLE,
            setting: String::new(),
            loss,
            lambda,
            eta,
            decay_every: None,
            decay_factor: None,
            batch_size: 100,
            flip: 0.0,
            epochs: 1,
            seed: 1,
            validation_split: String::new(),
            validation_images: 1,
            validation_loss: accuracy,
            validation_cost: accuracy,
            validation_accuracy: accuracy,
            validation_standard_error: accuracy,
            train_seconds: 0.0,
        }
    }

    fn axis(values: &[f64]) -> Axis {
        Axis::new(values.iter().copied())
    }

    #[test]
    fn a_cell_has_the_best_of_its_trials_and_knows_what_diverged_and_what_was_not_tried() {
        let rows = [
            row(Loss::Bce, 0.1, 0.01, Some(0.3)),
            row(Loss::Bce, 0.1, 0.01, Some(0.4)),
            row(Loss::Bce, 0.1, 0.01, None),
            row(Loss::Bce, 0.0, 1.0, None),
            row(Loss::Bce, 0.1, 1.0, None),
            row(Loss::Bce, 0.1, 1.0, Some(0.2)),
        ];
        let panel = Panel::new(Loss::Bce, rows.iter(), &axis(&[0.0, 0.1]), &axis(&[0.01, 1.0]));
        let expected = [Cell::Untried, Cell::Diverged, Cell::Accuracy(0.4), Cell::Accuracy(0.2)];
        assert_eq!(panel.cells, expected);
    }

    #[test]
    fn few_values_are_an_axis_of_their_own_and_many_are_put_together() {
        let few = axis(&[0.1, 0.0, 0.003, 0.1]);
        assert_eq!(few.labels, ["0", "0.003", "0.1"]);
        assert_eq!([0.0, 0.003, 0.1].map(|v| few.part(v)), [0, 1, 2]);
        let values: Vec<f64> = (0..=100).map(|i| 10_f64.powf(-3.0 + 0.02 * f64::from(i))).collect();
        let many = axis(&values);
        assert_eq!(many.labels.len(), 10);
        assert_eq!((many.part(0.001), many.part(0.1)), (0, 9));
        let parts: Vec<_> = values.iter().map(|&v| many.part(v)).collect();
        assert!(parts.is_sorted() && (0..10).all(|part| parts.contains(&part)));
    }

    /// The colour in the middle of the left edge of the cell in that line from the top and that column.
    fn color(figure: &[u8], line: u32, column: u32) -> [u8; 3] {
        let mut reader = png::Decoder::new(std::io::Cursor::new(figure)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let (x, y) = (LEFT + column * CELL.0 + 8, HEAD + line * CELL.1 + 24);
        let at = ((y * info.width + x) * 3) as usize;
        pixels[at..at + 3].try_into().unwrap()
    }

    #[test]
    fn the_colour_goes_with_the_accuracy_and_the_largest_lambda_is_at_the_top() {
        let rows = [
            row(Loss::Softmax, 0.001, 0.01, Some(0.4)),
            row(Loss::Softmax, 0.001, 0.1, Some(0.3)),
            row(Loss::Softmax, 0.1, 0.01, None),
            row(Loss::Bce, 0.1, 0.1, Some(0.35)),
        ];
        let figure = search_figure(&rows);
        // Viridis goes from dark violet to yellow.
        let [best, worst] = [0, 1].map(|column| color(&figure, 1, column));
        assert!(best[0] > 200 && best[1] > 200 && best[2] < 100, "{best:?}");
        assert!(worst[0] < 100 && worst[1] < 60 && worst[2] > 50, "{worst:?}");
        assert_eq!(color(&figure, 0, 0), [200; 3]);
        assert_eq!(color(&figure, 0, 1), [255; 3]);
        assert_eq!(search_figure(&rows), figure);
    }

    #[test]
    fn any_trials_are_drawn() {
        assert!(!search_figure(&[]).is_empty());
        assert!(!search_figure(&[row(Loss::Bce, 0.0, 1e-30, None)]).is_empty());
        assert!(!search_figure(&[row(Loss::Bce, 1e30, 1.0, Some(0.4))]).is_empty());
    }
}
