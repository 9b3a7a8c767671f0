//! A Dockerfile's instructions as text: comments dropped, continued lines joined, here-documents taken out.
//!
//! The parsers that there are read here-documents only at an instruction's beginning, or not at all (`RUN cat <<E > f`
//! is what people write), and one of them refuses `ENTRYPOINT []`. So this part is our own.

use super::DockerfileError;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, counted from 1.
    pub(super) number: usize,
    /// Its first word, in capitals.
    pub(super) keyword: String,
    /// What follows, on one line.
    pub(super) rest: String,
    pub(super) here_documents: Vec<HereDocument>,
}

/// Text between the lines of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HereDocument {
    /// What it is called, and how it ends.
    pub(crate) name: String,
    /// As it stands, tabs included.
    pub(crate) content: String,
    /// Whether variables are expanded: its name was written without quotes.
    pub(crate) expands: bool,
    /// Whether tabs at the beginning of its lines are dropped.
    pub(crate) is_dedented: bool,
}

impl HereDocument {
    /// Its text without the tabs that its writer did not mean.
    pub(crate) fn text(&self) -> String {
        if !self.is_dedented {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// What a file says of itself in its first comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Directives {
    /// What continues a line, and takes the meaning from the next character.
    pub(super) escape: char,
}

/// Instructions that may have here-documents.
const WITH_HERE_DOCUMENTS: [&str; 3] = ["ADD", "COPY", "RUN"];

/// Takes a Dockerfile apart.
pub(super) fn split(text: &str) -> Result<(Directives, Vec<Line>), DockerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let directives = directives(text)?;
    let mut lines = text.lines().enumerate().map(|(index, line)| (index.saturating_add(1), line));
    let mut found = Vec::new();
    while let Some((number, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (mut joined, mut goes_on) = continued(line, directives.escape);
        while goes_on {
            let Some((_, next)) = lines.next() else { break };
            // Empty lines and comments in between are no end.
            if next.trim().is_empty() || next.trim_start().starts_with('#') {
                continue;
            }
            let (more, again) = continued(next, directives.escape);
            joined.push_str(&more);
            goes_on = again;
        }
        let joined = joined.trim_end();
        let (keyword, rest) = joined.split_once([' ', '\t']).unwrap_or((joined, ""));
        let (keyword, rest) = (keyword.to_ascii_uppercase(), rest.trim().to_owned());
        let mut here_documents = Vec::new();
        if WITH_HERE_DOCUMENTS.contains(&keyword.as_str()) && !rest.starts_with('[') {
            for announced in announced(&rest, directives.escape) {
                here_documents.push(read(announced, number, &mut lines)?);
            }
        }
        found.push(Line { number, keyword, rest, here_documents });
    }
    Ok((directives, found))
}

/// What a line contributes, and whether the next one belongs to it.
fn continued(line: &str, escape: char) -> (String, bool) {
    let bare = line.trim_end_matches([' ', '\t']);
    match bare.strip_suffix(escape) {
        // An escaped escape ends nothing.
        Some(before) if !before.ends_with(escape) => (before.to_owned(), true),
        _ => (line.to_owned(), false),
    }
}

fn directives(text: &str) -> Result<Directives, DockerfileError> {
    let mut directives = Directives { escape: '\\' };
    for (index, line) in text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix('#') else { break };
        let Some((name, value)) = comment.split_once('=') else { break };
        match name.trim().to_ascii_lowercase().as_str() {
            "escape" => {
                directives.escape = match value.trim() {
                    "\\" => '\\',
                    "`" => '`',
                    other => {
                        let reason = format!("escape is \\ or `, not {other:?}");
                        return Err(DockerfileError::new(index.saturating_add(1), reason));
                    }
                };
            }
            // Which reader of Dockerfiles and which of its warnings somebody wants: there is this one.
            "syntax" | "check" => {}
            _ => break,
        }
    }
    Ok(directives)
}

/// The here-documents that a line announces, without their contents.
fn announced(rest: &str, escape: char) -> Vec<HereDocument> {
    raw_words(rest, escape).into_iter().filter_map(|word| announcement(&word)).collect()
}

fn announcement(word: &str) -> Option<HereDocument> {
    let (_descriptor, after) =
        word.split_once("<<").filter(|(before, _)| before.bytes().all(|b| b.is_ascii_digit()))?;
    let (is_dedented, name) = match after.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, after),
    };
    if name.contains('<') {
        return None;
    }
    let bare: String = name.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
    let expands = bare.len() == name.len();
    (!bare.is_empty()).then(|| HereDocument {
        name: bare,
        content: String::new(),
        expands,
        is_dedented,
    })
}

/// Words as they stand, quotes included.
pub(super) fn raw_words(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut left) = (Vec::new(), text.trim_start());
    while !left.is_empty() {
        let (word, behind) = first_word(left, escape);
        words.push(word.to_owned());
        left = behind.trim_start();
    }
    words
}

/// The word that a text begins with, and what is behind it.
pub(super) fn first_word(text: &str, escape: char) -> (&str, &str) {
    let (mut characters, mut quote) = (text.char_indices(), None);
    while let Some((at, character)) = characters.next() {
        match (character, quote) {
            (c, None) if c.is_whitespace() => {
                return text.split_at_checked(at).unwrap_or((text, ""));
            }
            // Whatever the next one is, it ends nothing.
            (c, None | Some('"')) if c == escape => {
                characters.next();
            }
            ('"' | '\'', None) => quote = Some(character),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    (text, "")
}

fn read<'a>(
    announced: HereDocument,
    from: usize,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<HereDocument, DockerfileError> {
    let mut document = announced;
    for (_, line) in lines {
        let possible = if document.is_dedented { line.trim_start_matches('\t') } else { line };
        if possible == document.name {
            return Ok(document);
        }
        document.content.push_str(line);
        document.content.push('\n');
    }
    let reason = format!("the here-document has no end: no line is {:?}", document.name);
    Err(DockerfileError::new(from, reason))
}
