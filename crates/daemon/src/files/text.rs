//! `GET /files/find`, `GET /files/search` and `POST /files/replace`: looking for text and names.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::{FileMatch, FoundFiles, ReplaceInFiles, Replaced};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::change::of_io;
use super::info::{names, os_str};
use super::open::{name, open, read_regular};
use super::stage::Staged;
use crate::http::{Answer, Query, Refusal, json, read_json};
use crate::toolbox::Toolbox;

/// The most results of one question; more would not fit into the daemon's memory.
const MAX_RESULTS: usize = 100_000;
/// A file with a zero byte this near to its beginning is no text.
const LOOK_AHEAD: usize = 8 << 10;
/// The longest line that is looked at, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// The largest file in which text is replaced.
const MAX_REPLACED: u64 = 64 << 20;

/// Finds lines that contain a text, in a file or in all files below a folder.
pub(crate) async fn find_text(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let (asked, pattern) =
        (query.required("path")?.to_owned(), query.required("pattern")?.to_owned());
    let path = toolbox.absolute(&asked);
    let found = toolbox.files().run(move || {
        let mut matches = Vec::new();
        walk(&path, &mut |path, kind, open| {
            if kind == FileType::RegularFile {
                // One that may not be read has no lines.
                if let Ok(file) = open() {
                    find_lines(file.into(), path, &pattern, &mut matches)?;
                }
            }
            Ok(())
        })
        .map(|()| matches)
    });
    let found = found.await?.map_err(|error| error.refusal(&asked))?;
    json(StatusCode::OK, &found)
}

/// Finds files and folders whose names match a pattern with `*`, `?` and `[…]`, below a folder.
pub(crate) async fn search_names(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let (asked, pattern) =
        (query.required("path")?.to_owned(), query.required("pattern")?.to_owned());
    let path = toolbox.absolute(&asked);
    let found = toolbox.files().run(move || {
        let pattern: Vec<char> = pattern.chars().collect();
        let mut files = Vec::new();
        walk(&path, &mut |path, _kind, _open| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let name: Vec<char> = name.unwrap_or_default().chars().collect();
            if matches(&pattern, &name) {
                files.push(path.to_string_lossy().into_owned());
            }
            if files.len() > MAX_RESULTS { Err(WalkError::TooMany) } else { Ok(()) }
        })
        .map(|()| FoundFiles { files })
    });
    let found = found.await?.map_err(|error| error.refusal(&asked))?;
    json(StatusCode::OK, &found)
}

/// Replaces a text in files; each succeeds or fails by itself.
pub(crate) async fn replace_text(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let change: ReplaceInFiles = read_json(request.into_body()).await?;
    if change.pattern.is_empty() {
        return Err(Refusal::bad_request("pattern is required"));
    }
    let mut results = Vec::new();
    for file in &change.files {
        let result = replace_in(toolbox, file, &change).await;
        let error = result.err().map(|errno| Refusal::of_file(file, errno).message().to_owned());
        results.push(Replaced { file: file.clone(), success: error.is_none(), error });
    }
    json(StatusCode::OK, &results)
}

async fn replace_in(toolbox: &Toolbox, file: &str, change: &ReplaceInFiles) -> Result<(), Errno> {
    let path = toolbox.absolute(file);
    let (source, pattern, new) = (path.clone(), change.pattern.clone(), change.new_value.clone());
    let replaced = toolbox.files().run(move || {
        let (file, status) = read_regular(&source)?;
        if u64::try_from(status.st_size).unwrap_or(0) > MAX_REPLACED {
            return Err(Errno::FBIG);
        }
        let mut text = String::new();
        // What is not UTF-8 is no text, and is left alone.
        file.take(MAX_REPLACED).read_to_string(&mut text).map_err(|_not_text| Errno::ILSEQ)?;
        Ok(text.contains(&pattern).then(|| text.replace(&pattern, &new)))
    });
    let Some(text) = replaced.await.map_err(|_broken| Errno::IO)?? else { return Ok(()) };
    let mut staged = Staged::begin(toolbox.files(), path).await?;
    staged.write(text.into_bytes()).await?;
    staged.commit().await.map(|_| ())
}

enum WalkError {
    Kernel(Errno),
    TooMany,
}

impl WalkError {
    fn refusal(&self, asked: &str) -> Refusal {
        match self {
            Self::Kernel(errno) => Refusal::of_file(asked, *errno),
            Self::TooMany => Refusal::bad_request(format!("more than {MAX_RESULTS} results")),
        }
    }
}

type Open<'a> = &'a dyn Fn() -> Result<OwnedFd, Errno>;
type Visit<'a> = dyn FnMut(&Path, FileType, Open<'_>) -> Result<(), WalkError> + 'a;

/// Visits everything below `start`, and `start` itself if it is no folder. Symbolic links are not followed.
fn walk(start: &Path, visit: &mut Visit<'_>) -> Result<(), WalkError> {
    let kind = name(start).and_then(fstat).map_err(WalkError::Kernel)?;
    let kind = FileType::from_raw_mode(kind.st_mode);
    let flags = OFlags::RDONLY;
    if kind != FileType::Directory {
        return visit(start, kind, &|| open(start, flags, Mode::empty()));
    }
    let folder = open(start, flags | OFlags::DIRECTORY, Mode::empty());
    let mut folders: Vec<(OwnedFd, PathBuf)> =
        vec![(folder.map_err(WalkError::Kernel)?, start.to_owned())];
    while let Some((folder, path)) = folders.pop() {
        let Ok(names) = names(&folder) else { continue };
        for entry in names {
            let entry_path = path.join(os_str(&entry));
            let Ok(status) = statat(&folder, &entry, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let kind = FileType::from_raw_mode(status.st_mode);
            let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let open = |more| openat(&folder, &entry, flags | more, Mode::empty());
            visit(&entry_path, kind, &|| open(OFlags::empty()))?;
            if kind == FileType::Directory
                && let Ok(inner) = open(OFlags::DIRECTORY)
            {
                folders.push((inner, entry_path));
            }
        }
    }
    Ok(())
}

fn find_lines(
    file: File,
    path: &Path,
    pattern: &str,
    matches: &mut Vec<FileMatch>,
) -> Result<(), WalkError> {
    let mut reader = BufReader::with_capacity(LOOK_AHEAD, file);
    match reader.fill_buf() {
        Ok(beginning) if !beginning.contains(&0) => {}
        // No text, or not to be read.
        _ => return Ok(()),
    }
    let mut number = 0u64;
    loop {
        let mut line = Vec::new();
        let count = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        match count.map_err(|error| of_io(&error)) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => number = number.saturating_add(1),
        }
        let line = String::from_utf8_lossy(&line);
        if line.contains(pattern) {
            if matches.len() >= MAX_RESULTS {
                return Err(WalkError::TooMany);
            }
            matches.push(FileMatch {
                file: path.to_string_lossy().into_owned(),
                line: number,
                content: line.trim_end_matches(['\n', '\r']).to_owned(),
            });
        }
    }
}

/// Whether a whole name matches a pattern: `*` any characters, `?` one, `[a-z]` one of these, `[^a-z]` one of the
/// others, `\` the next one as it is.
fn matches(pattern: &[char], name: &[char]) -> bool {
    // Where to go on after the last star, with one more character taken by it.
    let mut retry: Option<(&[char], &[char])> = None;
    let (mut pattern, mut name) = (pattern, name);
    loop {
        if let ['*', rest @ ..] = pattern {
            retry = Some((rest, name));
            pattern = rest;
            continue;
        }
        if let Some((rest_of_pattern, rest_of_name)) = match_one(pattern, name) {
            (pattern, name) = (rest_of_pattern, rest_of_name);
            continue;
        }
        if pattern.is_empty() && name.is_empty() {
            return true;
        }
        match retry {
            Some((rest, [_, name_rest @ ..])) => {
                retry = Some((rest, name_rest));
                (pattern, name) = (rest, name_rest);
            }
            _ => return false,
        }
    }
}

fn match_one<'a>(pattern: &'a [char], name: &'a [char]) -> Option<(&'a [char], &'a [char])> {
    let (&character, name_rest) = name.split_first()?;
    let rest = match pattern {
        ['?', rest @ ..] => rest,
        ['[', class @ ..] => {
            let (class, rest) =
                class.split_at_checked(class.iter().position(|one| *one == ']')?)?;
            let (is_negated, class) = match class {
                ['^', class @ ..] => (true, class),
                class => (false, class),
            };
            if in_class(class, character) == is_negated {
                return None;
            }
            rest.split_first()?.1
        }
        ['\\', escaped, rest @ ..] if *escaped == character => rest,
        ['\\', _, ..] => return None,
        [same, rest @ ..] if *same == character => rest,
        _ => return None,
    };
    Some((rest, name_rest))
}

fn in_class(mut class: &[char], character: char) -> bool {
    loop {
        match class {
            [from, '-', to, rest @ ..] => {
                if (*from..=*to).contains(&character) {
                    return true;
                }
                class = rest;
            }
            [one, rest @ ..] => {
                if *one == character {
                    return true;
                }
                class = rest;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_match_patterns_as_a_whole() {
        for (pattern, name, wanted) in [
            ("*.py", "a.py", true),
            ("*.py", "a.pyc", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "ä", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[", "[", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "", true),
        ] {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            assert_eq!(matches(&chars(pattern), &chars(name)), wanted, "{pattern} {name}");
        }
    }
}
