//! Text in aligned columns.

use crate::terminal::{Palette, Tone};

/// Blanks between two columns, as kubectl leaves them.
const GAP: usize = 3;

/// A piece of text and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Cell { text: text.into(), tone }
    }

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Cell::new(text, Tone::Plain)
    }
}

/// Lays out rows under headings; a row may be shorter than the headings.
pub(crate) fn layout(headings: &[&str], rows: &[Vec<Cell>], palette: Palette) -> String {
    let head: Vec<Cell> = headings.iter().map(|text| Cell::new(*text, Tone::Heading)).collect();
    let lines = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| lines().filter_map(|line| line.get(column)).map(width).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines() {
        let last = line.len().saturating_sub(1);
        for (column, (cell, width_here)) in line.iter().zip(&widths).enumerate() {
            text.push_str(&palette.paint(cell.tone, &cell.text));
            if column < last {
                text.extend(std::iter::repeat_n(' ', width_here - width(cell) + GAP));
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn width(cell: &Cell) -> usize {
    cell.text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec![Cell::plain("web-0"), Cell::plain("Running")],
            vec![Cell::plain("a-longer-name"), Cell::plain("Pending")],
        ];
        insta::assert_snapshot!(layout(&["NAME", "STATUS"], &rows, Palette::PLAIN));
    }
}
