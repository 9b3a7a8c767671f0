//! Tables for people: columns as wide as they need to be, no lines, no colours.

/// Lines up `rows` under `headings`. What could move a terminal's cursor is shown as `?`.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let rows: Vec<[String; N]> = std::iter::once(&headings)
        .chain(rows)
        .map(|row| row.clone().map(|cell| plain(&cell, false)))
        .collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let gap = width - cell.chars().count() + 2;
            line.push_str(cell);
            line.push_str(&" ".repeat(gap));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A text that others chose, as it may come on a terminal: what could move its cursor or turn its text around is `?`.
pub(crate) fn plain(text: &str, has_lines: bool) -> String {
    let is_plain = |character: char| {
        (!character.is_control() || has_lines && character == '\n')
            && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        ];
        let text = table(["NAME", "CPU"], &rows);
        assert_eq!(text, "NAME       CPU\nein süßer  1\na?[2Jb?    22\n");
    }

    #[test]
    fn an_empty_table_has_its_headings() {
        assert_eq!(table(["NAME", "CPU"], &[]), "NAME  CPU\n");
    }
}
