//! `search.png`: the validation accuracy over λ and η, one heat map per loss.

use plotters::prelude::*;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::text_anchor::HPos;

use crate::figures::canvas::{Canvas, Drawn, INK, figure};
use crate::statistics::percent;

/// Width and height of a cell, in pixels.
const CELL: (u32, u32) = (88, 48);
/// Height of the title, of the meaning of a frame and of a map's name above it.
const HEAD: u32 = 108;
/// Width of the values of λ left of a map.
const LEFT: u32 = 112;
/// Height of the values and the name of η below a map.
const FOOT: u32 = 76;
/// Right of the last map.
const RIGHT: u32 = 32;
/// The smallest width that has room for the title.
const SMALLEST_WIDTH: u32 = 560;
/// An axis with more values than this is cut into so many parts of equal ratio.
const MOST_VALUES: usize = 10;
const UNTRIED: RGBColor = WHITE;
const DIVERGED: RGBColor = RGBColor(200, 200, 200);

/// A trial of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeatMapTrial {
    /// Weight of the penalty.
    pub lambda: f64,
    /// Learning rate.
    pub eta: f64,
    /// Validation accuracy, a fraction; `None` if training diverged.
    pub accuracy: Option<f64>,
}

/// One heat map beside the other, each with a name and its trials; a map without trials is left out.
///
/// A cell has the highest accuracy, in percent, of its trials; the highest of all has a frame. A cell in which every trial
/// diverged is grey.
pub fn search_figure(maps: &[(&str, Vec<HeatMapTrial>)]) -> Vec<u8> {
    let maps = HeatMaps::new(maps);
    let map_width = LEFT + CELL.0 * maps.etas.len() as u32;
    let width = (map_width * maps.maps.len() as u32 + RIGHT).max(SMALLEST_WIDTH);
    let height = HEAD + CELL.1 * maps.lambdas.len() as u32 + FOOT;
    figure((width, height), 1, |canvas| {
        canvas.text("Validation accuracy in %, the best of each λ and η", (width / 2, 24), 24, HPos::Center)?;
        let frame = "A frame marks the highest of all, also where several are equal";
        canvas.text(frame, (width / 2, 52), 18, HPos::Center)?;
        (0..).zip(&maps.maps).try_for_each(|(i, (name, cells))| {
            let map = HeatMap { maps: &maps, left: LEFT + map_width * i };
            map.draw(canvas, name, cells)
        })
    })
}

/// The maps of a search without their drawing.
pub struct HeatMaps<'a> {
    /// The values of λ and of η, from the smallest, that all maps share.
    pub lambdas: Vec<String>,
    pub etas: Vec<String>,
    /// The name and the cells (values of λ, values of η), row-major, of each map; `None` without a trial.
    pub maps: Vec<(&'a str, Vec<Option<HeatMapTrial>>)>,
    /// The lowest and the highest accuracy of all maps.
    pub lowest: f64,
    pub highest: f64,
}

impl<'a> HeatMaps<'a> {
    /// Takes the trials of each map; a map without trials is left out.
    pub fn new(maps: &[(&'a str, Vec<HeatMapTrial>)]) -> Self {
        let trials = || maps.iter().flat_map(|(_, trials)| trials);
        let [lambdas, etas] = [Axis::new(trials().map(|t| t.lambda)), Axis::new(trials().map(|t| t.eta))];
        let maps = maps.iter().filter(|(_, trials)| !trials.is_empty());
        let maps: Vec<_> = maps.map(|(name, trials)| (*name, cells(trials, &lambdas, &etas))).collect();
        let accuracies = maps.iter().flat_map(|(_, cells)| cells).flatten().filter_map(|best| best.accuracy);
        let (lowest, highest) = accuracies.fold((f64::INFINITY, 0.0), |(low, high), a| (a.min(low), a.max(high)));
        Self { lambdas: lambdas.labels, etas: etas.labels, maps, lowest, highest }
    }

    /// Where `accuracy` lies between the lowest and the highest one, from 0 to 1.
    pub fn share(&self, accuracy: f64) -> f64 {
        // A range of no length would have no share.
        (accuracy - self.lowest) / (self.highest - self.lowest).max(1e-9)
    }
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
            let labels = starts.iter().map(|value| two_digits(*value)).collect();
            return Self { starts, labels };
        }
        // 0 has no logarithm, and a part of its own.
        let positive = starts.partition_point(|&value| value == 0.0);
        let (low, high) = (starts[positive], starts[starts.len() - 1]);
        let edge = |i: usize| low * (high / low).powf(i as f64 / MOST_VALUES as f64);
        let edges = (0..MOST_VALUES).map(edge);
        let mut starts = starts[..positive].to_vec();
        starts.extend(edges);
        let labels = starts.iter().map(|start| format!("≥ {}", two_digits(*start))).collect();
        Self { starts, labels }
    }

    /// Number of the part that `value`, one of the axis's, is in.
    fn part(&self, value: f64) -> usize {
        self.starts.partition_point(|&start| start <= value).max(1) - 1
    }
}

/// `value` with the two digits that a label has room for.
fn two_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().expect("a number was written");
    if rounded == 0.0 || (1e-4..1e4).contains(&rounded) { rounded.to_string() } else { format!("{rounded:e}") }
}

/// The best trial of each cell (values of λ, values of η), row-major; `None` without a trial.
fn cells(trials: &[HeatMapTrial], lambdas: &Axis, etas: &Axis) -> Vec<Option<HeatMapTrial>> {
    let columns = etas.labels.len();
    let mut cells = vec![None; lambdas.labels.len() * columns];
    for trial in trials {
        let cell = &mut cells[lambdas.part(trial.lambda) * columns + etas.part(trial.eta)];
        if cell.is_none_or(|best: HeatMapTrial| trial.accuracy > best.accuracy) {
            *cell = Some(*trial);
        }
    }
    cells
}

/// The place of a map.
struct HeatMap<'a> {
    maps: &'a HeatMaps<'a>,
    left: u32,
}

impl HeatMap<'_> {
    /// Draws the map with the largest λ at the top.
    fn draw(&self, canvas: &Canvas, name: &str, cells: &[Option<HeatMapTrial>]) -> Drawn {
        let (width, height) = CELL;
        let (lines, columns) = (self.maps.lambdas.len() as u32, self.maps.etas.len() as u32);
        let top = |line: u32| HEAD + (lines - 1 - line) * height;
        let (middle, below) = (self.left + columns * width / 2, HEAD + lines * height);
        canvas.text(name, (middle, HEAD - 20), 22, HPos::Center)?;
        canvas.text("λ", (self.left - 10, HEAD - 20), 20, HPos::Right)?;
        canvas.text("η", (middle, below + 50), 20, HPos::Center)?;
        for (line, label) in (0..).zip(&self.maps.lambdas) {
            canvas.text(label, (self.left - 10, top(line) + height / 2), 18, HPos::Right)?;
        }
        for (column, label) in (0..).zip(&self.maps.etas) {
            canvas.text(label, (self.left + column * width + width / 2, below + 18), 18, HPos::Center)?;
        }
        (0..).zip(cells).try_for_each(|(i, &best)| {
            let corner = (self.left + i % columns * width, top(i / columns));
            self.draw_cell(canvas, corner, best)
        })
    }

    fn draw_cell(&self, canvas: &Canvas, (x, y): (u32, u32), best: Option<HeatMapTrial>) -> Drawn {
        let (width, height) = CELL;
        let color = match best.map(|best| best.accuracy) {
            None => UNTRIED,
            Some(None) => DIVERGED,
            Some(Some(accuracy)) => ViridisRGB.get_color(self.maps.share(accuracy)),
        };
        let inside = ((x + 1, y + 1), (width - 2, height - 2));
        canvas.rectangle(inside.0, inside.1, color.filled())?;
        let Some(accuracy) = best.and_then(|best| best.accuracy) else {
            return Ok(());
        };
        if accuracy == self.maps.highest {
            canvas.rectangle(inside.0, inside.1, INK.stroke_width(4))?;
        }
        // The colours of the upper half of the range are light.
        let ink = if self.maps.share(accuracy) > 0.6 { INK } else { WHITE };
        let middle = (x + width / 2, y + height / 2);
        canvas.text_in(&percent(accuracy), middle, 20, HPos::Center, ink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::Image;

    fn trial(lambda: f64, eta: f64, accuracy: Option<f64>) -> HeatMapTrial {
        HeatMapTrial { lambda, eta, accuracy }
    }

    fn axis(values: &[f64]) -> Axis {
        Axis::new(values.iter().copied())
    }

    #[test]
    fn a_cell_has_the_best_of_its_trials_and_knows_what_diverged_and_what_was_not_tried() {
        let trials = [
            trial(0.1, 0.01, Some(0.3)),
            trial(0.1, 0.01, Some(0.4)),
            trial(0.1, 0.01, None),
            trial(0.0, 1.0, None),
            trial(0.1, 1.0, None),
            trial(0.1, 1.0, Some(0.2)),
        ];
        let (lambdas, etas) = (axis(&[0.0, 0.1]), axis(&[0.01, 1.0]));
        let expected = [None, Some(trials[3]), Some(trials[1]), Some(trials[5])];
        assert_eq!(cells(&trials, &lambdas, &etas), expected);
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
        let (x, y) = (LEFT + column * CELL.0 + 8, HEAD + line * CELL.1 + 24);
        Image::decode(figure).at(x as usize, y as usize)
    }

    #[test]
    fn the_colour_goes_with_the_accuracy_and_the_largest_lambda_is_at_the_top() {
        let softmax = vec![trial(0.001, 0.01, Some(0.4)), trial(0.001, 0.1, Some(0.3)), trial(0.1, 0.01, None)];
        let maps = [("softmax", softmax), ("bce", vec![trial(0.1, 0.1, Some(0.35))])];
        let figure = search_figure(&maps);
        // Viridis goes from dark violet to yellow.
        let [best, worst] = [0, 1].map(|column| color(&figure, 1, column));
        assert!(best[0] > 200 && best[1] > 200 && best[2] < 100, "{best:?}");
        assert!(worst[0] < 100 && worst[1] < 60 && worst[2] > 50, "{worst:?}");
        assert_eq!(color(&figure, 0, 0), [200; 3]);
        assert_eq!(color(&figure, 0, 1), [255; 3]);
        assert_eq!(search_figure(&maps), figure);
    }

    #[test]
    fn any_trials_are_drawn() {
        assert!(!search_figure(&[]).is_empty());
        assert!(!search_figure(&[("bce", vec![trial(0.0, 1e-30, None)])]).is_empty());
        assert!(!search_figure(&[("bce", vec![trial(1e30, 1.0, Some(0.4))])]).is_empty());
    }
}
