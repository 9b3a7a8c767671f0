//! What the lines of a Dockerfile ask for. Words are as they were written: variables are known only when a step runs.

use super::DockerfileError;
use super::flags::{CopyFlags, Mount, RunFlags, take_flags};
use super::lines::{HereDocument, Line};
use super::words::split_words;

/// An instruction, where it stands, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Its line, counted from 1.
    pub(crate) line: usize,
    /// Its text on one line.
    pub(crate) text: String,
    pub(crate) action: Action,
}

/// What an instruction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    From(From),
    /// Names, and what they are worth if nobody says otherwise.
    Arg(Vec<(String, Option<String>)>),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Run(Box<Run>),
    Copy(Box<Copy>),
    WorkDir(String),
    User(String),
    Entrypoint(Command),
    Cmd(Command),
    Expose(Vec<String>),
    Shell(Vec<String>),
    /// It is accepted, and a note says what becomes of it.
    Noted(&'static str),
}

/// The beginning of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct From {
    pub(crate) image: String,
    pub(crate) name: Option<String>,
    pub(crate) platform: Option<String>,
}

/// A program with its arguments, or a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Exec(Vec<String>),
    Shell(String),
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) command: Command,
    pub(crate) here_documents: Vec<HereDocument>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) has_network: bool,
}

/// Files to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) flags: CopyFlags,
    pub(crate) sources: Vec<Source>,
    pub(crate) destination: String,
    /// `ADD`: archives are unpacked.
    pub(crate) is_add: bool,
}

/// Something to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Path(String),
    HereDocument(HereDocument),
}

/// Everything that an instruction can be.
const KNOWN: &str = "ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, MAINTAINER, ONBUILD, RUN, \
                     SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR";

/// Understands a line.
pub(super) fn parse(line: Line, escape: char) -> Result<Instruction, DockerfileError> {
    let (number, text) = (line.number, shown(&line));
    let action = action(line, escape).map_err(|reason| DockerfileError::new(number, reason))?;
    Ok(Instruction { line: number, text, action })
}

fn shown(line: &Line) -> String {
    const MOST: usize = 300;
    let mut text = format!("{} {}", line.keyword, line.rest);
    text.retain(|c| !c.is_control());
    if text.chars().count() > MOST {
        text = text.chars().take(MOST).chain(['…']).collect();
    }
    text
}

fn action(line: Line, escape: char) -> Result<Action, String> {
    let Line { keyword, rest, here_documents, .. } = line;
    let needs = |what: &str| match rest.is_empty() {
        true => Err(format!("{keyword} needs {what}")),
        false => Ok(()),
    };
    match keyword.as_str() {
        "FROM" => from(&rest, escape),
        "ARG" => {
            needs("a name")?;
            let words = split_words(&rest, escape);
            let pairs = words.iter().map(|word| match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            });
            let pairs: Vec<_> = pairs.collect();
            match pairs.iter().find(|(name, _)| !is_name(name)) {
                Some((name, _)) => Err(format!("ARG {name:?} is no name of a variable")),
                None => Ok(Action::Arg(pairs)),
            }
        }
        "ENV" => pairs(&keyword, &rest, escape).map(Action::Env),
        "LABEL" => pairs(&keyword, &rest, escape).map(Action::Label),
        "RUN" => run(&rest, here_documents, escape),
        "COPY" => copy(&rest, here_documents, escape, false),
        "ADD" => copy(&rest, here_documents, escape, true),
        "WORKDIR" => {
            needs("a folder")?;
            Ok(Action::WorkDir(rest))
        }
        "USER" => {
            needs("a user")?;
            Ok(Action::User(rest))
        }
        "ENTRYPOINT" => Ok(Action::Entrypoint(command(&rest))),
        "CMD" => Ok(Action::Cmd(command(&rest))),
        "EXPOSE" => {
            needs("a port")?;
            Ok(Action::Expose(split_words(&rest, escape)))
        }
        "SHELL" => match json_words(&rest) {
            Some(words) if !words.is_empty() => Ok(Action::Shell(words)),
            _ => Err(String::from("SHELL needs a list in JSON: SHELL [\"/bin/bash\", \"-c\"]")),
        },
        "HEALTHCHECK" => {
            Ok(Action::Noted("sandboxes have no health checks; the instruction has no effect"))
        }
        "STOPSIGNAL" => {
            Ok(Action::Noted("sandboxes are stopped with SIGTERM; the instruction has no effect"))
        }
        "MAINTAINER" => {
            Ok(Action::Label(vec![(String::from("maintainer"), quoted(&rest, escape))]))
        }
        "VOLUME" => {
            needs("a folder")?;
            Ok(Action::Noted(
                "the folder is an ordinary one of the sandbox's disk; the instruction has no effect",
            ))
        }
        "ONBUILD" => Ok(Action::Noted(
            "it would act in builds that start from this image, which is not supported; the instruction has no effect",
        )),
        unknown => Err(format!("unknown instruction {unknown:?}; there are {KNOWN}")),
    }
}

fn from(rest: &str, escape: char) -> Result<Action, String> {
    let (flags, rest) = take_flags(rest, escape);
    let mut platform = None;
    for flag in flags {
        match flag.name.as_str() {
            "platform" => platform = Some(flag.value()?),
            _ => return Err(flag.unknown("FROM", "--platform")),
        }
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, name) = match words.as_slice() {
        [image] => (*image, None),
        [image, r#as, name] if r#as.eq_ignore_ascii_case("as") => {
            let name = name.to_ascii_lowercase();
            let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if !is_plain {
                return Err(format!(
                    "a stage's name has letters, digits, dashes, underscores and dots and starts with a letter: {name:?}"
                ));
            }
            (*image, Some(name))
        }
        _ => return Err(String::from("FROM is written FROM IMAGE or FROM IMAGE AS NAME")),
    };
    Ok(Action::From(From { image: image.to_owned(), name, platform }))
}

fn run(rest: &str, here_documents: Vec<HereDocument>, escape: char) -> Result<Action, String> {
    let (flags, rest) = take_flags(rest, escape);
    let RunFlags { mounts, has_network } = RunFlags::read(flags)?;
    if rest.is_empty() {
        return Err(String::from("RUN needs a command"));
    }
    let command = command(rest);
    if command == Command::Exec(Vec::new()) {
        return Err(String::from("RUN needs a command"));
    }
    Ok(Action::Run(Box::new(Run { command, here_documents, mounts, has_network })))
}

fn copy(
    rest: &str,
    here_documents: Vec<HereDocument>,
    escape: char,
    is_add: bool,
) -> Result<Action, String> {
    let keyword = if is_add { "ADD" } else { "COPY" };
    let (flags, rest) = take_flags(rest, escape);
    let flags = CopyFlags::read(flags, is_add)?;
    let is_list = json_words(rest);
    let mut words = is_list.clone().unwrap_or_else(|| split_words(rest, escape));
    let destination =
        words.pop().ok_or_else(|| format!("{keyword} needs a source and a destination"))?;
    if words.is_empty() {
        return Err(format!("{keyword} needs a source and a destination"));
    }
    let mut documents = here_documents.into_iter();
    let sources = words.into_iter().map(|word| {
        let is_document = is_list.is_none() && is_announcement(&word);
        match is_document.then(|| documents.next()).flatten() {
            Some(document) => Source::HereDocument(document),
            // What is in a list of JSON is quoted already.
            None if is_list.is_some() => Source::Path(quoted(&word, escape)),
            None => Source::Path(word),
        }
    });
    let sources: Vec<Source> = sources.collect();
    let destination = if is_list.is_some() { quoted(&destination, escape) } else { destination };
    if flags.from.is_some() && sources.iter().any(|s| matches!(s, Source::HereDocument(_))) {
        return Err(String::from("a here-document cannot be copied with --from"));
    }
    for source in &sources {
        let Source::Path(path) = source else { continue };
        let path = path.trim_start_matches(['"', '\'']);
        if path.starts_with("http://") || path.starts_with("https://") || path.starts_with("git@") {
            return Err(format!(
                "{keyword} of an address is not supported: use RUN with a program that fetches it, such as curl"
            ));
        }
    }
    Ok(Action::Copy(Box::new(Copy { flags, sources, destination, is_add })))
}

fn is_announcement(word: &str) -> bool {
    word.split_once("<<").is_some_and(|(before, after)| {
        before.bytes().all(|b| b.is_ascii_digit()) && !after.contains('<') && !after.is_empty()
    })
}

/// A command in either of its forms. What only looks like a list is a line for a shell, as everywhere.
fn command(rest: &str) -> Command {
    match json_words(rest) {
        Some(words) => Command::Exec(words),
        None => Command::Shell(rest.to_owned()),
    }
}

fn json_words(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// A text as a word that means it, whatever it holds.
fn quoted(text: &str, escape: char) -> String {
    // Variables count in a list, too; quotes and spaces do not.
    let mut word = String::from("\"");
    for character in text.chars() {
        if character == '"' || character == escape {
            word.push(escape);
        }
        word.push(character);
    }
    word.push('"');
    word
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `NAME=VALUE NAME=VALUE`, or `NAME VALUE` with the rest of the line as its value.
fn pairs(keyword: &str, rest: &str, escape: char) -> Result<Vec<(String, String)>, String> {
    let words = split_words(rest, escape);
    let Some(first) = words.first() else {
        return Err(format!("{keyword} needs NAME=VALUE"));
    };
    if !first.contains('=') {
        let (name, value) = rest.split_once(char::is_whitespace).ok_or_else(|| {
            format!("{keyword} {first} has no value: write {keyword} {first}=VALUE")
        })?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some(("", _)) => Err(format!("{keyword} {word:?} has no name")),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!(
            "{keyword}: {word:?} is not NAME=VALUE; a value with spaces is written in quotes"
        )),
    };
    words.iter().map(pair).collect()
}
