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

    #[test]
    fn the_cells_fill_the_width_and_their_values_are_in_the_middle_of_their_edges() {
        let trials = [(0.1, 0.001, 0.3), (0.1, 0.01, 0.4), (1.0, 0.001, 0.35)];
        let trials = trials.map(|(lambda, eta, accuracy)| trial(lambda, eta, Some(accuracy)));
        let map = HeatMap::all(&HeatMaps::new(&[("softmax", trials.to_vec())])).remove(0);
        assert_eq!((map.left(), map.middle(), map.left() + 2.0 * map.width), (68.0, 203.0, 338.0));
        assert_eq!((map.width, map.cell(), map.bottom, map.height), (135.0, 30.0, 82.0, 122.0));
        let corners: Vec<_> = map.cells.iter().map(|cell| (cell.left, cell.top)).collect();
        assert_eq!(corners, [(68.0, 52.0), (203.0, 52.0), (68.0, 22.0)]);
        let shares: Vec<_> = map.cells.iter().map(|cell| (cell.share.unwrap() * 1e6).round()).collect();
        assert_eq!(shares, [0.0, 1e6, 5e5]);
        let ticks = |ticks: &[Tick]| ticks.iter().map(|tick| (tick.label.clone(), tick.at)).collect::<Vec<_>>();
        assert_eq!(ticks(&map.lambdas), [("0.1".into(), 67.0), ("1".into(), 37.0)]);
        assert_eq!(ticks(&map.etas), [("0.001".into(), 135.5), ("0.01".into(), 270.5)]);
        assert_eq!(map.loss, "softmax");
        assert_eq!(
            map.description,
            "Heat map of the validation accuracy, softmax. λ = 0.1, η = 0.001: 30.00 %; λ = 0.1, η = 0.01: 40.00 %; λ = 1, \
             η = 0.001: 35.00 %."
        );
    }

    #[test]
    fn values_and_accuracies_are_shortened_only_where_they_have_no_room() {
        // Five letters are 32 units wide; eight columns have 33.75 each, nine have 30.
        let grid = |columns: usize| {
            let trials = (1..=columns).map(|i| trial(0.1, 0.001 * i as f64, Some(0.4)));
            HeatMap::all(&HeatMaps::new(&[("softmax", trials.collect())])).remove(0)
        };
        let (eight, nine) = (grid(8), grid(9));
        assert_eq!((eight.turned, eight.cells[0].label.as_deref(), eight.height), (false, Some("40.00"), 92.0));
        assert_eq!((nine.turned, nine.cells[0].label.as_deref(), nine.height), (true, Some("40.0"), 126.0));
        for (accuracy, width, expected) in [
            (0.4, 32.0, "40.00"),
            (0.4, 31.9, "40.0"),
            (0.0512, 26.0, "5.12"),
            (1.0, 38.0, "100.0"),
            (1.0, 39.0, "100.00"),
        ] {
            assert_eq!(label(accuracy, width), expected, "{accuracy} in {width}");
        }
    }

    #[test]
    fn a_part_of_an_axis_is_said_to_begin_at_its_value() {
        assert_eq!(text("≥ 0.1", "0.2", Some(0.5)), "λ ≥ 0.1, η = 0.2: 50.00 %");
        assert_eq!(text("0.1", "≥ 0.2", None), "λ = 0.1, η ≥ 0.2: diverged");
    }
}
