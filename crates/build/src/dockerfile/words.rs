//! Words of instructions: quotes, escapes and variables.

use super::lines::raw_words;

/// What variables are worth.
pub(crate) trait Variables {
    /// A variable's value; `None` for one that is not set.
    fn value(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn value(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// The longest text that one word may become: variables may name each other, line for line twice as long.
const MAX_WORD: usize = 256 << 10;
/// How deep `${a:-${b:-…}}` may go.
const MAX_DEPTH: usize = 16;

/// Takes the quotes and escapes out of a word, and puts the variables in.
pub(crate) fn expand(
    word: &str,
    escape: char,
    variables: &impl Variables,
) -> Result<String, String> {
    let mut reader = Reader { text: word.chars().collect(), at: 0, escape, variables };
    reader.read(None, 0)
}

/// The same for text: quotes are text, and only what follows a `$` changes.
pub(crate) fn expand_text(
    text: &str,
    escape: char,
    variables: &impl Variables,
) -> Result<String, String> {
    let mut reader = Reader { text: text.chars().collect(), at: 0, escape, variables };
    let mut out = String::new();
    while let Some(character) = reader.next() {
        match character {
            '$' => reader.variable(&mut out, 0)?,
            c if c == escape => match reader.peek() {
                Some(next) if next == '$' || next == escape => {
                    out.push(next);
                    reader.next();
                }
                _ => out.push(c),
            },
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Splits at white space that is not quoted, then expands.
pub(crate) fn split_words(text: &str, escape: char) -> Vec<String> {
    raw_words(text, escape)
}

struct Reader<'a, V> {
    text: Vec<char>,
    at: usize,
    escape: char,
    variables: &'a V,
}

impl<V: Variables> Reader<'_, V> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let found = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(found)
    }

    /// Reads up to `end`, which is taken, or to the end of the text.
    fn read(&mut self, end: Option<char>, depth: usize) -> Result<String, String> {
        let mut out = String::new();
        while let Some(character) = self.next() {
            if out.len() > MAX_WORD {
                return Err(format!("a word becomes longer than {MAX_WORD} bytes"));
            }
            match character {
                c if Some(c) == end => return Ok(out),
                '\'' => self.single_quoted(&mut out)?,
                '"' => self.double_quoted(&mut out, depth)?,
                '$' => self.variable(&mut out, depth)?,
                // At the very end it means itself.
                c if c == self.escape => out.push(self.next().unwrap_or(c)),
                c => out.push(c),
            }
        }
        match end {
            None => Ok(out),
            Some(end) => Err(format!("{end:?} is missing")),
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), String> {
        while let Some(character) = self.next() {
            match character {
                '\'' => return Ok(()),
                c => out.push(c),
            }
        }
        Err(String::from("a ' is not closed"))
    }

    fn double_quoted(&mut self, out: &mut String, depth: usize) -> Result<(), String> {
        while let Some(character) = self.next() {
            match character {
                '"' => return Ok(()),
                '$' => self.variable(out, depth)?,
                c if c == self.escape => match self.next() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => {
                        out.push(next);
                    }
                    Some(next) => out.extend([c, next]),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err(String::from("a \" is not closed"))
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let fits =
                c == '_' || c.is_ascii_alphabetic() || (!name.is_empty() && c.is_ascii_digit());
            if !fits {
                break;
            }
            name.push(c);
            self.next();
        }
        name
    }

    /// What follows a `$`.
    fn variable(&mut self, out: &mut String, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(String::from("variables are nested too deep"));
        }
        let deeper = depth.saturating_add(1);
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                out.push('$');
            } else {
                out.push_str(&self.variables.value(&name).unwrap_or_default());
            }
            return self.within(out);
        }
        self.next();
        let name = self.name();
        if name.is_empty() {
            return Err(String::from("${ is not followed by the name of a variable"));
        }
        let value = self.variables.value(&name);
        let mut operator = self.next();
        let counts_empty = operator == Some(':');
        if counts_empty {
            operator = self.next();
        }
        let set = value.clone().filter(|value| !(counts_empty && value.is_empty()));
        match operator {
            Some('}') if !counts_empty => out.push_str(&value.unwrap_or_default()),
            Some('-') => {
                let otherwise = self.read(Some('}'), deeper)?;
                out.push_str(&set.unwrap_or(otherwise));
            }
            Some('+') => {
                let instead = self.read(Some('}'), deeper)?;
                if set.is_some() {
                    out.push_str(&instead);
                }
            }
            Some('?') => {
                let reason = self.read(Some('}'), deeper)?;
                let missing = || match reason.is_empty() {
                    true => format!("variable {name} is not set"),
                    false => format!("variable {name}: {reason}"),
                };
                out.push_str(&set.ok_or_else(missing)?);
            }
            None => return Err(format!("${{{name} is not closed")),
            Some(_) => {
                return Err(format!(
                    "${{{name}…}} knows :-, :+, :?, -, + and ? after the name, and nothing else"
                ));
            }
        }
        self.within(out)
    }

    fn within(&self, out: &str) -> Result<(), String> {
        match out.len() > MAX_WORD {
            true => Err(format!("a word becomes longer than {MAX_WORD} bytes")),
            false => Ok(()),
        }
    }
}
