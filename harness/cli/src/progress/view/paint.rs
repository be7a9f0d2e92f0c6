//! From a drawn view to what a terminal is sent.
//!
//! *Assumes* that an indexed colour in the drawing is the number of an arm. *Guarantees* text that moves no
//! cursor, in colours that every terminal has, or none.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::super::screen::Row;
use super::Look;

/// The colours of the arms: cyan, yellow, magenta, green, blue, red, as the terminal has them.
pub(super) const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];
/// What curves consist of where colours do not tell them apart.
pub(super) const MARKS: [char; 8] = ['*', 'o', '+', 'x', '#', '@', '%', '&'];
/// What a coarse curve is drawn with, before it has its arm's mark.
const DOT: &str = "•";

/// The lines of a drawing, without blanks at their ends.
pub(super) fn rows(buffer: &Buffer, look: Look) -> Vec<Row> {
    let area = buffer.area;
    (0..area.height)
        .map(|y| {
            let cells: Vec<&Cell> = (0..area.width).map(|x| &buffer[(x, y)]).collect();
            row(&cells, look)
        })
        .collect()
}

fn row(cells: &[&Cell], look: Look) -> Row {
    let blank = |c: &&Cell| c.symbol() == " ";
    let columns = cells.iter().rposition(|c| !blank(c)).map_or(0, |last| {
        last + ratatui::text::Span::from(cells[last].symbol())
            .width()
            .max(1)
    });
    let mut text = String::new();
    let mut style = String::new();
    let mut hidden = 0;
    for cell in cells.iter().take(columns) {
        // The second column of a wide character is in the first one's cell.
        if hidden > 0 {
            hidden -= 1;
            continue;
        }
        let symbol = symbol(cell, look);
        hidden = ratatui::text::Span::from(symbol.as_str())
            .width()
            .saturating_sub(1);
        let wanted = sgr(cell, look);
        if wanted != style {
            text.push_str("\x1b[0m");
            text.push_str(&wanted);
            style = wanted;
        }
        text.push_str(&symbol);
    }
    if !style.is_empty() {
        text.push_str("\x1b[0m");
    }
    Row { text, columns }
}

fn symbol(cell: &Cell, look: Look) -> String {
    match (cell.symbol(), cell.fg) {
        (DOT, Color::Indexed(arm)) => MARKS[usize::from(arm) % MARKS.len()].to_string(),
        (symbol, _) if look.unicode || symbol.is_ascii() => symbol.to_owned(),
        ("━", _) => "=".to_owned(),
        ("─", _) => "-".to_owned(),
        ("│", _) => "|".to_owned(),
        ("└", _) => "+".to_owned(),
        ("…", _) => ".".to_owned(),
        _ => "?".to_owned(),
    }
}

/// Select Graphic Rendition (ECMA-48, 8.3.117).
fn sgr(cell: &Cell, look: Look) -> String {
    let mut codes: Vec<u8> = Vec::new();
    if cell.modifier.contains(Modifier::BOLD) {
        codes.push(1);
    }
    if cell.modifier.contains(Modifier::DIM) {
        codes.push(2);
    }
    if look.colour {
        codes.extend(match cell.fg {
            Color::Indexed(arm) => Some(COLOURS[usize::from(arm) % COLOURS.len()]),
            Color::Red => Some(31),
            Color::Green => Some(32),
            Color::Yellow => Some(33),
            _ => None,
        });
    }
    if codes.is_empty() {
        return String::new();
    }
    let codes: Vec<String> = codes.iter().map(u8::to_string).collect();
    format!("\x1b[{}m", codes.join(";"))
}
