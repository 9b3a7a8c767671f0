//! Commands that need no shell.

/// What a shell does itself, or reads as its own grammar, when it comes first.
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

/// The words of a command of which a shell would do nothing but start the program that the first one names: no
/// expansion, no redirection, no second command. `None` for all others, and for words that a shell might read otherwise.
#[must_use]
pub fn plain_words(command: &str) -> Option<Vec<String>> {
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
            | '=' => word.get_or_insert_default().push(character),
            _ => return None,
        }
    }
    words.extend(word);
    let first = words.first()?;
    let is_program = !first.is_empty() && !first.contains('=') && !is_of_the_shell(first);
    is_program.then_some(words)
}

fn is_of_the_shell(word: &str) -> bool {
    OF_THE_SHELL.contains(&word)
}

fn is_itself_in_quotes(character: char) -> bool {
    !matches!(character, '$' | '`' | '\\' | '!')
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
mod tests {
    use proptest::prelude::*;

    use super::plain_words;

    #[test]
    fn words_are_what_stands_between_blanks_without_their_quotes() {
        for (command, wanted) in [
            ("node -v", vec!["node", "-v"]),
            (" \tls  -la\t/tmp \n", vec!["ls", "-la", "/tmp"]),
            ("sh -c 'echo \"$HOME\"; exit 3'", vec!["sh", "-c", "echo \"$HOME\"; exit 3"]),
            (
                "git commit -m \"it's done; really\"",
                vec!["git", "commit", "-m", "it's done; really"],
            ),
            ("python3 -c ''", vec!["python3", "-c", ""]),
            ("env A=1 B='2 3'", vec!["env", "A=1", "B=2 3"]),
            ("a'b'\"c\"d", vec!["abcd"]),
            ("grep 'two\nlines'", vec!["grep", "two\nlines"]),
            ("cat 'ä'", vec!["cat", "ä"]),
        ] {
            assert_eq!(plain_words(command).unwrap(), wanted, "{command}");
        }
    }

    #[test]
    fn whatever_a_shell_would_read_is_left_to_it() {
        for command in [
            "",
            "  ",
            "''",
            "'' a",
            "echo hi",
            "true",
            "cd /tmp",
            "A=1 env",
            "A=1",
            "ls *",
            "ls ~",
            "ls a?",
            "ls > x",
            "a | b",
            "a; b",
            "a & b",
            "a && b",
            "ls $HOME",
            "ls `pwd`",
            "ls \\$",
            "ls #x",
            "ls {a,b}",
            "a\nb",
            "(a)",
            "! a",
            "[ a ]",
            "if x",
            "time ls",
            "ls \"$HOME\"",
            "ls \"a\\nb\"",
            "ls 'a",
            "ls \"a",
            "cat ä",
            "-x",
            "+x",
            "%1",
            "ls =ls",
            "'ec'ho hi",
            "l^s",
            "ls\rx",
            "ls '\0'",
        ] {
            assert_eq!(plain_words(command), None, "{command:?}");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a shell is what it is compared with")]
    fn as_bash_reads(command: &str) -> Vec<u8> {
        let script = format!("shift() {{ :; }}; printf '%s\\0' {command}");
        let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_the_same_words(command in "[a-c]([a-c =/'\"$;~*{},.\\-]|'[^'\0]{0,3}'){0,12}") {
            if let Some(words) = plain_words(&command) {
                let mut wanted = Vec::new();
                for word in words {
                    wanted.extend_from_slice(word.as_bytes());
                    wanted.push(0);
                }
                prop_assert_eq!(as_bash_reads(&command), wanted, "{:?}", command);
            }
        }
    }
}
