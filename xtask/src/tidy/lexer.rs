//! Enough of Rust's lexical rules to tell code from comments and text.

/// A Rust file taken apart. Lines keep their numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The code, with comments and the contents of literals blanked.
    pub(super) code: String,
    /// Every text literal's content, with the line it begins on, from 1.
    pub(super) literals: Vec<(usize, String)>,
}

/// Takes `text` apart. Text that is no Rust gives some answer, never a panic.
pub(super) fn take_apart(text: &str) -> Parts {
    let mut reader = Reader { rest: text, line: 1, code: String::new() };
    let mut literals = Vec::new();
    let mut previous = ' ';
    while let Some(next) = reader.rest.chars().next() {
        let begins_word = !(previous.is_alphanumeric() || previous == '_');
        if reader.rest.starts_with("//") {
            reader.blank(reader.rest.find('\n').unwrap_or(reader.rest.len()));
        } else if reader.rest.starts_with("/*") {
            reader.blank(comment_length(reader.rest));
        } else if next == '"' {
            literals.push(reader.literal(1, end_of_text(&reader.rest[1..]), 1));
        } else if let Some(hashes) = raw_hashes(reader.rest).filter(|_| begins_word) {
            let opening = reader.rest.find('"').map_or(1, |quote| quote + 1);
            let closing = format!("\"{}", "#".repeat(hashes));
            let length = reader.rest[opening..].find(&closing);
            let length = length.unwrap_or(reader.rest.len() - opening);
            literals.push(reader.literal(opening, length, closing.len()));
        } else if let Some(length) = character_length(reader.rest) {
            reader.blank(length);
        } else {
            reader.keep(next);
        }
        previous = next;
    }
    Parts { code: reader.code, literals }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    code: String,
}

impl Reader<'_> {
    fn keep(&mut self, character: char) {
        self.code.push(character);
        self.line += usize::from(character == '\n');
        self.rest = &self.rest[character.len_utf8()..];
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        let lines = gone.matches('\n').count();
        self.code.push(' ');
        self.code.extend(std::iter::repeat_n('\n', lines));
        self.line += lines;
        self.rest = rest;
    }

    fn literal(&mut self, opening: usize, length: usize, closing: usize) -> (usize, String) {
        let content = self.rest[opening..opening + length].to_owned();
        let begins_on = self.line;
        self.code.push('"');
        self.blank((opening + length + closing).min(self.rest.len()));
        self.code.push('"');
        (begins_on, content)
    }
}

/// Bytes up to the quote that ends a text, or all of it.
fn end_of_text(rest: &str) -> usize {
    let mut is_escaped = false;
    for (position, character) in rest.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return position,
            _ => {}
        }
    }
    rest.len()
}

/// Bytes of a block comment, which nests.
fn comment_length(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut position = 0;
    while let Some(next) = rest[position..].chars().next() {
        if rest[position..].starts_with("/*") {
            depth += 1;
            position += 2;
        } else if rest[position..].starts_with("*/") {
            depth = depth.saturating_sub(1);
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += next.len_utf8();
        }
    }
    rest.len()
}

/// How many hashes a raw text that begins here has.
fn raw_hashes(rest: &str) -> Option<usize> {
    let rest = ["br", "cr", "r"].into_iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = rest.chars().take_while(|character| *character == '#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// Bytes of a character literal that begins here; a lifetime is none.
fn character_length(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escaped) = inner.strip_prefix('\\') {
        let skipped = escaped.chars().next()?.len_utf8();
        return escaped[skipped..].find('\'').map(|end| 2 + skipped + end + 1);
    }
    let character = inner.chars().next()?;
    inner[character.len_utf8()..].starts_with('\'').then(|| character.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, literals: &[(usize, &str)]) {
        let literals =
            literals.iter().map(|(line, content)| (*line, (*content).to_owned())).collect();
        assert_eq!(take_apart(text), Parts { code: code.to_owned(), literals }, "{text}");
    }

    #[test]
    fn comments_are_no_code() {
        check("a // unsafe\nb", "a  \nb", &[]);
        check("a /* x /* y */\n z */ b", "a  \n b", &[]);
        check("a /* never ends", "a  ", &[]);
    }

    #[test]
    fn the_content_of_a_text_is_no_code_and_is_told_with_its_line() {
        check("x\n\"say \\\"hi\\\"\" y", "x\n\" \" y", &[(2, "say \\\"hi\\\"")]);
        check("r#\"a \" b\"# y", "\" \" y", &[(1, "a \" b")]);
        check("for\"x\"", "for\" \"", &[(1, "x")]);
        check("\"never ends", "\" \"", &[(1, "never ends")]);
    }

    #[test]
    fn a_quote_as_a_character_begins_no_text() {
        check("'\"' '\\'' 'a 'é' b", "    'a   b", &[]);
    }
}
