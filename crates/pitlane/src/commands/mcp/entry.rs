//! One server's entry in a client's configuration, before it is JSON or TOML.

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// A text.
    Text(String),
    /// A switch, which a user may have turned: it is written into new entries only.
    Switch(bool),
    /// A list of texts, replaced as a whole.
    List(Vec<String>),
    /// Texts by name, such as variables; names that are not ours stay.
    Map(Vec<(String, String)>),
}

/// Keys and values in the order in which they are written.
pub(super) type Entry = Vec<(&'static str, Field)>;

/// What a file is to hold: `section.name = entry`.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The key of all servers.
    pub(super) section: &'static str,
    /// Our server's name among them.
    pub(super) name: &'a str,
    /// What it shall say.
    pub(super) entry: &'a Entry,
    /// Keys of the other kind of server, which an older entry may have.
    pub(super) foreign: &'static [&'static str],
    /// Something that the user is asked for when the server starts, by its id.
    pub(super) question: Option<Question>,
}

/// A question that the client asks once and keeps the answer to, for configurations that have an `inputs` list.
#[derive(Debug)]
pub(super) struct Question {
    /// How the entry refers to the answer.
    pub(super) id: String,
    /// What is asked.
    pub(super) text: String,
}

/// Why a file is left as it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub(super) struct EditError {
    /// Counted from 1.
    pub(super) line: usize,
    /// Counted from 1, in characters.
    pub(super) column: usize,
    /// What is wrong there.
    pub(super) what: String,
}

impl EditError {
    /// What is wrong at an offset in bytes.
    pub(super) fn at(text: &str, offset: usize, what: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).map_or(0, |line| line.chars().count()) + 1;
        Self { line, column, what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_editors_count_them() {
        let text = "ab\näö x\n";
        let at = |offset| {
            let EditError { line, column, .. } = EditError::at(text, offset, "");
            (line, column)
        };
        assert_eq!(
            [at(0), at(3), at(5), at(8), at(text.len())],
            [(1, 1), (2, 1), (2, 2), (2, 4), (3, 1)]
        );
    }
}
