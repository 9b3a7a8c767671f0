//! Words of instructions: quotes, escapes and variables.

use std::sync::atomic::{AtomicUsize, Ordering};

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
/// How much text of variables one build may read: there may be as many words as a Dockerfile has room for.
const MAX_READ: usize = 16 << 20;
/// How deep `${a:-${b:-…}}` may go.
const MAX_DEPTH: usize = 16;

/// Puts variables into the words of one build.
#[derive(Debug)]
pub(crate) struct Expander {
    /// What takes the meaning from the next character.
    escape: char,
    /// How much text of variables was read.
    read: AtomicUsize,
}

impl Expander {
    pub(crate) const fn new(escape: char) -> Self {
        Self { escape, read: AtomicUsize::new(0) }
    }

    /// Takes the quotes and escapes out of a word, and puts the variables in.
    pub(crate) fn word(&self, word: &str, variables: &impl Variables) -> Result<String, String> {
        self.reader(word, variables).read(None, 0)
    }

    /// The same for each of the words of a text.
    pub(crate) fn words(
        &self,
        text: &str,
        variables: &impl Variables,
    ) -> Result<Vec<String>, String> {
        split_words(text, self.escape).iter().map(|word| self.word(word, variables)).collect()
    }

    /// The same for text: quotes are text, and only what follows a `$` changes.
    pub(crate) fn text(&self, text: &str, variables: &impl Variables) -> Result<String, String> {
        let mut reader = self.reader(text, variables);
        let mut out = String::new();
        while let Some(character) = reader.next() {
            match character {
                '$' => reader.variable(&mut out, 0)?,
                c if c == self.escape => match reader.peek() {
                    Some(next) if next == '$' || next == self.escape => {
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

    fn reader<'a, V: Variables>(&'a self, text: &str, variables: &'a V) -> Reader<'a, V> {
        let Self { escape, read } = self;
        Reader { text: text.chars().collect(), at: 0, escape: *escape, read, variables }
    }
}

/// Splits at white space that is not quoted.
pub(crate) fn split_words(text: &str, escape: char) -> Vec<String> {
    raw_words(text, escape)
}

struct Reader<'a, V> {
    text: Vec<char>,
    at: usize,
    escape: char,
    read: &'a AtomicUsize,
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
                out.push_str(&self.value(&name)?.unwrap_or_default());
            }
            return self.within(out);
        }
        self.next();
        let name = self.name();
        if name.is_empty() {
            return Err(String::from("${ is not followed by the name of a variable"));
        }
        let value = self.value(&name)?;
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

    fn value(&self, name: &str) -> Result<Option<String>, String> {
        let value = self.variables.value(name);
        let length = value.as_ref().map_or(0, String::len);
        let read = self.read.fetch_add(length, Ordering::Relaxed).saturating_add(length);
        match read > MAX_READ {
            true => Err(format!("the variables of a build become more than {MAX_READ} bytes")),
            false => Ok(value),
        }
    }

    fn within(&self, out: &str) -> Result<(), String> {
        match out.len() > MAX_WORD {
            true => Err(format!("a word becomes longer than {MAX_WORD} bytes")),
            false => Ok(()),
        }
    }
}
