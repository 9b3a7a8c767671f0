//! What a command says: data to standard output, all else to standard error.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::table::plain;

/// For whom a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a person.
    Human,
    /// For a program: JSON.
    Json,
}

impl Format {
    /// The format that `--json` asks for, or its absence.
    pub(crate) const fn new(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Human }
    }

    /// Writes one line for people while more is to come.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Human => write(format!("{}\n", plain(text, false)).as_bytes()),
            Self::Json => Ok(()),
        }
    }

    /// Writes one of several things, a line each.
    pub(crate) fn write_line<T: Serialize>(
        self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        self.write(data, |data| format!("{}\n", text(data)))
    }

    /// Writes `data`: as it is for programs, as `text` says it for people.
    pub(crate) fn write<T: Serialize>(
        self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Human => write(text(data).as_bytes()),
            Self::Json => {
                let mut line = serde_json::to_vec(data)?;
                line.push(b'\n');
                write(&line)
            }
        }
    }
}

/// A terminal that a person looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns.
    pub(crate) width: usize,
    /// Whether it may have colours.
    pub(crate) has_colours: bool,
}

impl Screen {
    /// The terminal that standard output is; `None` if it is none, and what is written is read by a program.
    pub(crate) fn of_output() -> Option<Self> {
        let output = std::io::stdout();
        if !output.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&output).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        Some(Self { width: width.unwrap_or(80), has_colours: wants_colours() })
    }
}

/// Whether standard error is looked at by a person.
pub(crate) fn is_terminal_aside() -> bool {
    std::io::stderr().is_terminal()
}

fn wants_colours() -> bool {
    environment::variable("NO_COLOR").is_none()
        && environment::variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A colour on terminals that may have some; the text says everything without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
    Dim,
}

impl Colour {
    /// The text in this colour.
    pub(crate) fn paint(self, text: &str) -> String {
        let code = match self {
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Dim => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Writes bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    to(&mut std::io::stdout().lock(), bytes)
}

/// Writes bytes to standard error.
pub(crate) fn write_aside(bytes: &[u8]) -> Result<(), Failure> {
    to(&mut std::io::stderr().lock(), bytes)
}

fn to(stream: &mut impl std::io::Write, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|cause| {
        let is_closed = cause.kind() == ErrorKind::BrokenPipe;
        let failure = Failure::from(anyhow::Error::new(cause).context("cannot write the output"));
        if is_closed { failure.exit(Exit::OutputClosed) } else { failure }
    })
}

/// Says what failed to a person, the words that begin its lines in colour on a terminal.
pub(crate) fn say_failure(failure: &Failure) {
    let text = failure.to_string();
    if !is_terminal_aside() || !wants_colours() {
        return say(&text);
    }
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((word @ "error", rest)) => format!("{}: {rest}", Colour::Red.paint(word)),
            Some((word @ "hint", rest)) => format!("{}: {rest}", Colour::Green.paint(word)),
            Some(_) | None => line.to_owned(),
        })
        .collect();
    say(&lines.join("\n"));
}

/// Says something to a person beside the data. Nobody is left to tell if this fails.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
