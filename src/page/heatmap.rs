//! The heat maps of a search as the geometry of an SVG, with the cells of `search.png`.

use crate::figures::{HeatMapTrial, HeatMaps};
use crate::page::axes::{Tick, WIDTH};
use crate::statistics::percent;

/// The edges of the cells.
const LEFT: f64 = 68.0;
const RIGHT: f64 = WIDTH - 2.0;
const TOP: f64 = 22.0;
/// Height of a cell.
const CELL: f64 = 30.0;
/// Height of the numbers and the name of the axis, and of numbers that are turned.
const FOOT: f64 = 40.0;
const TURNED_FOOT: f64 = 74.0;
/// Width of a letter of a label.
const LETTER: f64 = 6.4;

/// The map of one loss.
pub struct HeatMap {
    pub loss: String,
    /// A summary for readers who do not see the drawing.
    pub description: String,
    pub height: f64,
    /// Lower edge of the cells.
    pub bottom: f64,
    /// Width of a cell.
    pub width: f64,
    /// The values of λ and η beside their cells.
    pub lambdas: Vec<Tick>,
    pub etas: Vec<Tick>,
    /// True if the values of η have no room side by side.
    pub turned: bool,
    pub cells: Vec<Cell>,
}

/// A cell with a trial.
pub struct Cell {
    /// λ, η and the accuracy, shown when the cell is pointed at.
    pub text: String,
    /// The upper left corner.
    pub left: f64,
    pub top: f64,
    /// The accuracy in percent; `None` if every trial diverged.
    pub label: Option<String>,
    /// Where the accuracy lies between the lowest and the highest of all.
    pub share: Option<f64>,
    pub is_best: bool,
}

impl HeatMap {
    /// Left edge of the cells.
    pub fn left(&self) -> f64 {
        LEFT
    }

    /// The middle of the horizontal axis.
    pub fn middle(&self) -> f64 {
        (LEFT + RIGHT) / 2.0
    }

    /// Height of a cell.
    pub fn cell(&self) -> f64 {
        CELL
    }

    /// One map per loss.
    pub fn all(maps: &HeatMaps) -> Vec<Self> {
        maps.maps.iter().map(|(loss, cells)| Self::new(maps, loss, cells)).collect()
    }

    fn new(maps: &HeatMaps, loss: &str, cells: &[Option<HeatMapTrial>]) -> Self {
        let (lines, columns) = (maps.lambdas.len(), maps.etas.len());
        let width = (RIGHT - LEFT) / columns as f64;
        let left = |column: usize| LEFT + width * column as f64;
        // The largest λ is at the top.
        let top = |line: usize| TOP + CELL * (lines - 1 - line) as f64;
        let longest = maps.etas.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let turned = longest as f64 * LETTER > width;
        let tick = |at: f64, label: &String| Tick { at, label: label.clone() };
        let cell = |(i, trial): (usize, &Option<HeatMapTrial>)| {
            let (line, column, accuracy) = (i / columns, i % columns, (*trial)?.accuracy);
            Some(Cell {
                text: text(&maps.lambdas[line], &maps.etas[column], accuracy),
                left: left(column),
                top: top(line),
                label: accuracy.map(|accuracy| label(accuracy, width)),
                share: accuracy.map(|accuracy| maps.share(accuracy)),
                is_best: accuracy == Some(maps.highest),
            })
        };
        let cells: Vec<Cell> = cells.iter().enumerate().filter_map(cell).collect();
        let texts: Vec<&str> = cells.iter().map(|cell| cell.text.as_str()).collect();
        let bottom = TOP + CELL * lines as f64;
        Self {
            loss: loss.into(),
            description: format!("Heat map of the validation accuracy, {loss}. {}.", texts.join("; ")),
            height: bottom + if turned { TURNED_FOOT } else { FOOT },
            bottom,
            width,
            lambdas: (0..).zip(&maps.lambdas).map(|(line, label)| tick(top(line) + CELL / 2.0, label)).collect(),
            etas: (0..).zip(&maps.etas).map(|(column, label)| tick(left(column) + width / 2.0, label)).collect(),
            turned,
            cells,
        }
    }
}

fn text(lambda: &str, eta: &str, accuracy: Option<f64>) -> String {
    let is = |value: &str| if value.starts_with('≥') { value.to_owned() } else { format!("= {value}") };
    let accuracy = accuracy.map_or("diverged".into(), |accuracy| percent(accuracy) + " %");
    format!("λ {}, η {}: {accuracy}", is(lambda), is(eta))
}

/// An accuracy with as many decimals as a cell of this width has room for.
fn label(accuracy: f64, width: f64) -> String {
    let full = percent(accuracy);
    if full.len() as f64 * LETTER <= width { full } else { format!("{:.1}", 100.0 * accuracy) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(lambda: f64, eta: f64, accuracy: Option<f64>) -> HeatMapTrial {
        HeatMapTrial { lambda, eta, accuracy }
    }

    #[test]
    fn a_cell_has_the_best_accuracy_of_its_trials_and_its_place() {
        let trials = vec![
            trial(0.1, 0.001, Some(0.38)),
            trial(0.1, 0.001, Some(0.40)),
            trial(0.1, 0.01, None),
            trial(1.0, 0.01, Some(0.30)),
        ];
        let maps = HeatMap::all(&HeatMaps::new(&[("softmax", trials), ("sigmoids", vec![])]));
        assert_eq!(maps.len(), 1, "a loss without trials has no map");
        let cells = &maps[0].cells;
        let texts: Vec<_> = cells.iter().map(|cell| cell.text.as_str()).collect();
        assert_eq!(texts, ["λ = 0.1, η = 0.001: 40.00 %", "λ = 0.1, η = 0.01: diverged", "λ = 1, η = 0.01: 30.00 %"]);
        assert_eq!([0, 1, 2].map(|i| cells[i].share), [Some(1.0), None, Some(0.0)]);
        assert_eq!([0, 1, 2].map(|i| cells[i].is_best), [true, false, false]);
        assert_eq!(cells[0].label.as_deref(), Some("40.00"));
        // A larger λ is higher up, a larger η further right.
        assert!(cells[2].top < cells[1].top && cells[0].left < cells[1].left);
        assert!(cells.iter().all(|cell| cell.left + maps[0].width <= WIDTH && cell.top + CELL <= maps[0].bottom));
        // The rows lie below each other without a gap: the lower edge of one is the upper edge of the next.
        assert_eq!(cells[2].top + maps[0].cell(), cells[1].top);
        assert!(maps[0].description.contains("softmax. λ = 0.1, η = 0.001: 40.00 %; "));
    }

    #[test]
    fn many_columns_have_short_numbers_and_turned_values() {
        let grid = |columns: usize| {
            let trials = (0..columns).map(|i| trial(0.1, 0.001 * 1.5_f64.powi(i as i32), Some(0.4)));
            HeatMap::all(&HeatMaps::new(&[("softmax", trials.collect())])).remove(0)
        };
        let (few, many) = (grid(4), grid(30));
        assert_eq!((few.turned, few.cells[0].label.as_deref()), (false, Some("40.00")));
        assert_eq!((many.turned, many.cells[0].label.as_deref()), (true, Some("40.0")));
        assert!(many.height > few.height);
    }
}
