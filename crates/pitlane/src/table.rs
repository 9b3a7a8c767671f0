//! Tables for people: columns as wide as they need to be, no lines.
//!
//! What is not read on a terminal has every column in full and no colours, so that programs can rely on it. On a
//! terminal a table fits: columns are shortened, then the least important ones are left out.

use unicode_width::UnicodeWidthStr as _;

use crate::output::{Colour, Screen};

/// Between columns.
const GAP: usize = 2;
/// As narrow as a column is made.
const NARROWEST: usize = 8;

/// A column that can yield on a narrow terminal.
#[derive(Debug)]
pub(crate) struct Column {
    heading: &'static str,
    cells: Vec<String>,
    short: Option<Vec<String>>,
    colours: Vec<Option<Colour>>,
    /// Those with the greatest number are left out first; 0 stays.
    rank: u8,
    /// Whether its cells may be cut.
    is_cut: bool,
}

impl Column {
    /// A column that is never left out.
    pub(crate) fn new(heading: &'static str, cells: impl IntoIterator<Item = String>) -> Self {
        let cells: Vec<String> = cells.into_iter().map(|cell| plain(&cell, false)).collect();
        Self { heading, cells, short: None, colours: Vec::new(), rank: 0, is_cut: false }
    }

    /// Leaves it out where there is no room, after those of higher rank.
    pub(crate) fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    /// Has shorter cells where there is no room.
    pub(crate) fn short(mut self, cells: impl IntoIterator<Item = String>) -> Self {
        self.short = Some(cells.into_iter().map(|cell| plain(&cell, false)).collect());
        self
    }

    /// Cuts its cells where there is no room.
    pub(crate) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// Colours its cells.
    pub(crate) fn colours(mut self, colours: impl IntoIterator<Item = Option<Colour>>) -> Self {
        self.colours = colours.into_iter().collect();
        self
    }

    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.width()).max().unwrap_or(0).max(self.heading.width())
    }

    fn is_empty(&self) -> bool {
        !self.cells.is_empty() && self.cells.iter().all(|cell| cell.is_empty() || cell == "-")
    }
}

/// Lines up columns so that they fit on a terminal. Columns that say nothing are left out.
pub(crate) fn fit(mut columns: Vec<Column>, screen: Screen) -> String {
    columns.retain(|column| column.rank == 0 || !column.is_empty());
    let total = |columns: &[Column]| {
        columns.iter().map(|column| column.width() + GAP).sum::<usize>().saturating_sub(GAP)
    };
    for column in 0..columns.len() {
        if total(&columns) <= screen.width {
            break;
        }
        if let Some(short) = columns[column].short.take() {
            columns[column].cells = short;
        }
    }
    while total(&columns) > screen.width {
        let last = (0..columns.len()).max_by_key(|column| columns[*column].rank);
        match last.filter(|column| columns[*column].rank > 0) {
            Some(column) => drop(columns.remove(column)),
            None => break,
        }
    }
    let over = total(&columns).saturating_sub(screen.width);
    if let Some(column) = columns.iter_mut().find(|column| over > 0 && column.is_cut) {
        let width = column.width().saturating_sub(over).max(NARROWEST);
        for cell in &mut column.cells {
            *cell = cut(cell, width);
        }
    }
    lines(&columns, screen.has_colours)
}

/// Lines up `rows` under `headings`. What could move a terminal's cursor is shown as `?`.
pub(crate) fn table<const N: usize>(headings: [&'static str; N], rows: &[[String; N]]) -> String {
    let column = |(place, heading): (usize, &'static str)| {
        Column::new(heading, rows.iter().map(|row| row[place].clone()))
    };
    lines(&headings.into_iter().enumerate().map(column).collect::<Vec<_>>(), false)
}

fn lines(columns: &[Column], has_colours: bool) -> String {
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let mut text = line(columns.iter().map(|column| (column.heading, None)), &widths);
    for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
        let cells = columns.iter().map(|column| {
            let colour = column.colours.get(row).copied().flatten();
            (column.cells[row].as_str(), colour.filter(|_| has_colours))
        });
        text.push_str(&line(cells, &widths));
    }
    text
}

fn line<'a>(cells: impl Iterator<Item = (&'a str, Option<Colour>)>, widths: &[usize]) -> String {
    let (mut line, mut gap) = (String::new(), 0);
    for ((cell, colour), width) in cells.zip(widths) {
        if !cell.is_empty() {
            line.push_str(&" ".repeat(gap));
            gap = 0;
        }
        line.push_str(&colour.map_or_else(|| cell.to_owned(), |colour| colour.paint(cell)));
        gap += width.saturating_sub(cell.width()) + GAP;
    }
    line.push('\n');
    line
}

fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut short = String::new();
    for character in cell.chars() {
        if short.width() + 2 > width {
            break;
        }
        short.push(character);
    }
    short.push('…');
    short
}

/// A text that others chose, as it may come on a terminal: what could move its cursor or turn its text around is `?`.
pub(crate) fn plain(text: &str, has_lines: bool) -> String {
    let is_plain = |character: char| {
        let turns_text_around = matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        !turns_text_around && (!character.is_control() || has_lines && character == '\n')
    };
    text.chars().map(|character| if is_plain(character) { character } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_moves_the_cursor() {
        let rows = [
            ["ein süßer".to_owned(), "1".to_owned()],
            ["a\u{1b}[2Jb\n".to_owned(), "22".to_owned()],
            ["日本".to_owned(), "3".to_owned()],
        ];
        let text = table(["NAME", "CPU"], &rows);
        assert_eq!(text, "NAME       CPU\nein süßer  1\na?[2Jb?    22\n日本       3\n");
    }

    #[test]
    fn an_empty_table_has_its_headings() {
        assert_eq!(table(["NAME", "CPU"], &[]), "NAME  CPU\n");
    }

    #[test]
    fn on_a_terminal_a_table_yields_step_by_step() {
        let shown = |width| {
            let cells = |cell: &str| [cell.to_owned()];
            let columns = vec![
                Column::new("ID", cells("0b6ecb4e-0000")).short(cells("0b6e")),
                Column::new("NAME", cells("a-rather-long-name")).cut(),
                Column::new("STATE", cells("error")).colours([Some(Colour::Red)]),
                Column::new("SNAPSHOT", cells("default")).rank(2),
                Column::new("CPU", cells("1")).rank(1),
                Column::new("LABELS", cells("-")).rank(3),
            ];
            fit(columns, Screen { width, has_colours: width == 100 })
        };
        let wide = "ID             NAME                STATE  SNAPSHOT  CPU\n\
                    0b6ecb4e-0000  a-rather-long-name  \u{1b}[31merror\u{1b}[0m  default   1\n";
        assert_eq!(shown(100), wide);
        let narrow = "ID    NAME                STATE  SNAPSHOT  CPU\n\
                      0b6e  a-rather-long-name  error  default   1\n";
        assert_eq!(shown(48), narrow);
        let narrower = "ID    NAME                STATE  CPU\n0b6e  a-rather-long-name  error  1\n";
        assert_eq!(shown(40), narrower);
        assert_eq!(shown(25), "ID    NAME          STATE\n0b6e  a-rather-lo…  error\n");
    }
}
