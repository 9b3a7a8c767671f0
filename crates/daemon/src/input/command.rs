//! Commands that need no shell.

/// What a shell does itself, or reads as its own grammar, when it comes first; [`place`] knows the exceptions.
const OF_THE_SHELL: [&str; 80] = [
    ".",
    ":",
    "[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "declare",
    "dirs",
    "disown",
    "echo",
    "enable",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
    "if",
    "then",
    "else",
    "elif",
    "fi",
    "case",
    "esac",
    "for",
    "select",
    "while",
    "until",
    "do",
    "done",
    "in",
    "function",
    "time",
    "coproc",
    "{",
    "}",
];

/// A command of which a shell would do nothing but run what its first word names: no expansion, no redirection, no
/// second command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainCommand {
    /// The first word.
    pub name: String,
    /// The other words.
    pub arguments: Vec<String>,
    /// Where the program is that does it.
    pub place: Place,
}

/// Where the program of a plain command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where its name says, or in the first folder of `PATH` that has it: a shell would start it.
    Path,
    /// Among the system's own: a shell would do it itself, exactly as that program does, whatever `PATH` says.
    System,
}

/// The plain command that bash would read, `None` for what is left to the shell: all that is more, and all that might
/// be read or done otherwise.
#[must_use]
pub fn plain_command(command: &str) -> Option<PlainCommand> {
    let mut words = plain_words(command)?.into_iter();
    let name = words.next()?;
    let arguments: Vec<String> = words.collect();
    let place = place(&name, &arguments)?;
    Some(PlainCommand { name, arguments, place })
}

/// Whose a first word is: a program's, both the shell's and a program's who do the same, or (`None`) the shell's alone.
fn place(name: &str, arguments: &[String]) -> Option<Place> {
    match name {
        // With arguments, programs tell their version.
        "true" | "false" | "pwd" if arguments.is_empty() => Some(Place::System),
        "echo" if is_said_as_it_is(arguments) => Some(Place::System),
        _ if name.is_empty() || name.contains('=') || OF_THE_SHELL.contains(&name) => None,
        _ => Some(Place::Path),
    }
}

/// Whether every `echo` says the same: options come first and differ, and so does what follows a backslash. Shells use
/// some of the control characters within themselves.
fn is_said_as_it_is(arguments: &[String]) -> bool {
    let has_options = arguments.first().is_some_and(|first| first.starts_with('-'));
    let is_text = |character: char| {
        character != '\\' && (!character.is_control() || matches!(character, '\n' | '\t'))
    };
    !has_options && arguments.iter().all(|argument| argument.chars().all(is_text))
}

/// The words of a command that has nothing but words.
fn plain_words(command: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.trim_matches([' ', '\t', '\n']).chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => quoted(&mut characters, word.get_or_insert_default(), '\'', |_| true)?,
            '"' => quoted(&mut characters, word.get_or_insert_default(), '"', is_itself_in_quotes)?,
            // A shell may give what follows these at a word's beginning a meaning.
            '=' | '-' | '+' | '%' if word.is_none() && (words.is_empty() || character == '=') => {
                return None;
            }
            // Grammar where a command begins; a history has none but the shell of a terminal.
            '!' if words.is_empty() => return None,
            'a'..='z'
            | 'A'..='Z'
            | '0'..='9'
            | '_'
            | '@'
            | '%'
            | '+'
            | ':'
            | ','
            | '.'
            | '/'
            | '-'
            | '='
            | '!' => word.get_or_insert_default().push(character),
            _ => return None,
        }
    }
    words.extend(word);
    Some(words)
}

fn is_itself_in_quotes(character: char) -> bool {
    !matches!(character, '$' | '`' | '\\')
}

/// Adds what stands before the next `end` to a word.
fn quoted(
    characters: &mut std::str::Chars<'_>,
    word: &mut String,
    end: char,
    is_itself: impl Fn(char) -> bool,
) -> Option<()> {
    loop {
        match characters.next()? {
            character if character == end => return Some(()),
            '\0' => return None,
            character if is_itself(character) => word.push(character),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
