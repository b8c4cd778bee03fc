//! Legends, and the line above a figure with its title and its legend.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::figures::canvas::{Canvas, Drawn, HEAD, Stroke, TITLE};
use crate::figures::text;

/// Size of the text of a legend.
const TEXT: u32 = 20;
/// Distance of a text from its mark.
const MARK_GAP: u32 = 8;
/// Distance of an entry from the one before.
const ENTRY_GAP: u32 = 28;
/// Height of a line of entries.
pub const LINE: u32 = 32;

/// What stands before an entry of a legend.
#[derive(Clone, Copy)]
pub enum Mark {
    Line(Stroke),
    Dot(RGBColor),
    Square(RGBColor),
}

/// A mark and its meaning.
pub type Entry<'a> = (Mark, &'a str);

impl Mark {
    fn width(self) -> u32 {
        match self {
            // Three dashes and the gaps between them.
            Self::Line(_) => 38,
            Self::Dot(_) => 8,
            Self::Square(_) => 16,
        }
    }

    /// Draws the mark from `x`, with its middle at the height of `y`.
    fn draw(self, canvas: &Canvas, (x, y): (u32, u32)) -> Drawn {
        match self {
            Self::Line(stroke) => canvas.line(x..x + self.width(), y, stroke),
            Self::Dot(color) => canvas.dot((x + 4, y), 4, color),
            Self::Square(color) => canvas.rectangle((x, y - 8), (16, 16), color.filled()),
        }
    }
}

/// Width of an entry.
pub fn width((mark, meaning): Entry) -> u32 {
    mark.width() + MARK_GAP + text::width(meaning, TEXT)
}

/// Width of entries beside each other.
fn line_width(entries: &[Entry]) -> u32 {
    entries.iter().map(|&entry| width(entry) + ENTRY_GAP).sum::<u32>().saturating_sub(ENTRY_GAP)
}

/// The entries divided into lines no wider than `room`, unless a single one is.
pub fn lines<'a, 'b>(entries: &'b [Entry<'a>], room: u32) -> Vec<&'b [Entry<'a>]> {
    let (mut lines, mut rest) = (Vec::new(), entries);
    while !rest.is_empty() {
        let fits = |&count: &usize| line_width(&rest[..count]) <= room;
        let (line, after) = rest.split_at((2..=rest.len()).take_while(fits).last().unwrap_or(1));
        lines.push(line);
        rest = after;
    }
    lines
}

/// Draws entries beside each other from `x`, with their middle at the height of `y`.
pub fn draw_line(canvas: &Canvas, entries: &[Entry], (mut x, y): (u32, u32)) -> Drawn {
    for &(mark, meaning) in entries {
        mark.draw(canvas, (x, y))?;
        canvas.text(meaning, (x + mark.width() + MARK_GAP, y), TEXT, HPos::Left)?;
        x += width((mark, meaning)) + ENTRY_GAP;
    }
    Ok(())
}

/// Draws the head of a figure that reaches over `xs`: the title on the left, the legend on the right, where it hides nothing.
pub fn draw_head(canvas: &Canvas, xs: Range<u32>, title: &str, entries: &[Entry]) -> Drawn {
    let legend = xs.end - line_width(entries);
    let size = text::fitting(title, TITLE, legend.saturating_sub(xs.start + ENTRY_GAP));
    canvas.text(title, (xs.start, HEAD / 2), size, HPos::Left)?;
    draw_line(canvas, entries, (legend, HEAD / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::canvas::BLUE;

    #[test]
    fn entries_are_divided_into_lines_that_fit_and_none_is_lost() {
        let entries = ["one run", "a longer meaning", "another", "the last one"].map(|text| (Mark::Dot(BLUE), text));
        let texts = |room| lines(&entries, room).iter().map(|line| line.len()).collect::<Vec<_>>();
        assert_eq!(texts(2000), [4]);
        assert_eq!(texts(line_width(&entries[..2])), [2, 2]);
        assert_eq!(texts(line_width(&entries) - 1), [3, 1]);
        assert_eq!(texts(1), [1; 4]);
        assert!(lines(&[], 10).is_empty());
    }
}
