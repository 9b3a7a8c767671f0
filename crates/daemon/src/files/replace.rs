//! `POST /files/replace`: another text in place of one, in files of any kind and length.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use memchr::memmem;
use pitlane_wire::toolbox::{ReplaceInFiles, Replaced};
use rustix::io::Errno;

use super::asked::Asked;
use super::open::read_regular;
use super::stage::{Stage, of_io};
use crate::http::{Answer, Refusal, json, read_json_within};
use crate::toolbox::Toolbox;

/// The longest body, text and paths together.
const MAX_BODY: usize = 8 << 20;
/// The most files of one request.
const MAX_FILES: usize = 10_000;
/// How much is read at once, beyond what is looked for.
const BLOCK: usize = 256 << 10;
/// How long one turn takes: others need the threads as well.
const TURN: Duration = Duration::from_millis(20);

/// Replaces a text in files; each succeeds or fails by itself, and each changes as a whole.
pub(crate) async fn replace_text(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let change: ReplaceInFiles = read_json_within(request.into_body(), MAX_BODY).await?;
    if change.pattern.is_empty() {
        return Err(Refusal::bad_request("pattern is required"));
    }
    if change.files.len() > MAX_FILES {
        return Err(Refusal::bad_request(format!("more than {MAX_FILES} files at once")));
    }
    let pattern = memmem::Finder::new(&change.pattern).into_owned();
    let mut results = Vec::new();
    for file in change.files {
        let change = Change { pattern: pattern.clone(), new_value: change.new_value.clone() };
        let replaced = replace_in(toolbox, &file, change).await;
        let error = replaced.err().map(|refusal| refusal.message().to_owned());
        results.push(Replaced { file, success: error.is_none(), error });
    }
    json(StatusCode::OK, &results)
}

#[derive(Debug)]
struct Change {
    pattern: memmem::Finder<'static>,
    new_value: String,
}

async fn replace_in(toolbox: &Toolbox, file: &str, change: Change) -> Result<(), Refusal> {
    let asked = Asked::new(toolbox, file)?;
    let path = asked.path.clone();
    let begun = toolbox.files().run(move || Replacement::begin(path, change)).await?;
    let mut replacement = begun.map_err(|errno| asked.refusal(errno))?;
    loop {
        let turn = move || {
            let result = replacement.go_on();
            (replacement, result)
        };
        let (rest, result) = toolbox.files().run(turn).await?;
        if result.map_err(|errno| asked.refusal(errno))? {
            break;
        }
        replacement = rest;
    }
    Ok(())
}

/// A file in which a text is being replaced. The new one is begun where the text is found first; a file without it is
/// not touched.
#[derive(Debug)]
struct Replacement {
    path: PathBuf,
    source: File,
    change: Change,
    /// What was read and not written.
    rest: Vec<u8>,
    /// How much of it is done.
    done: usize,
    /// How much was read before the text was found first.
    before: u64,
    stage: Option<Stage>,
    is_at_end: bool,
}

impl Replacement {
    fn begin(path: PathBuf, change: Change) -> Result<Self, Errno> {
        let (source, _) = read_regular(&path)?;
        Ok(Self {
            path,
            source,
            change,
            rest: Vec::new(),
            done: 0,
            before: 0,
            stage: None,
            is_at_end: false,
        })
    }

    /// Goes on until everything is done, which is `true`, or the turn is over.
    fn go_on(&mut self) -> Result<bool, Errno> {
        let begun = Instant::now();
        while begun.elapsed() < TURN {
            if self.step()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn step(&mut self) -> Result<bool, Errno> {
        let rest = self.rest.get(self.done..).unwrap_or_default();
        if let Some(at) = self.change.pattern.find(rest) {
            let stage = match &mut self.stage {
                Some(stage) => stage,
                None => self.stage.insert(copy_beginning(&self.path, &self.source, self.before)?),
            };
            stage.write(rest.get(..at).unwrap_or_default())?;
            stage.write(self.change.new_value.as_bytes())?;
            let needle = self.change.pattern.needle().len();
            self.done = self.done.saturating_add(at).saturating_add(needle);
            return Ok(false);
        }
        // The end may be the text's beginning.
        let open =
            if self.is_at_end { 0 } else { self.change.pattern.needle().len().saturating_sub(1) };
        let safe = rest.len().saturating_sub(open);
        let written = rest.get(..safe).unwrap_or_default();
        match &mut self.stage {
            Some(stage) => stage.write(written)?,
            None => self.before = self.before.saturating_add(u64::try_from(safe).unwrap_or(0)),
        }
        let done = self.done.saturating_add(safe).min(self.rest.len());
        self.rest.drain(..done);
        self.done = 0;
        if self.is_at_end {
            if let Some(stage) = self.stage.take() {
                stage.commit()?;
            }
            return Ok(true);
        }
        let limit = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        let count = (&self.source).take(limit).read_to_end(&mut self.rest);
        self.is_at_end = count.map_err(|error| of_io(&error))? == 0;
        Ok(false)
    }
}

/// Begins the new file with what was found not to contain the text.
fn copy_beginning(path: &Path, source: &File, length: u64) -> Result<Stage, Errno> {
    let mut stage = Stage::begin(path.to_owned())?;
    let mut at = 0;
    let mut block = vec![0; BLOCK];
    while at < length {
        let wanted = usize::try_from(length.saturating_sub(at)).unwrap_or(BLOCK).min(BLOCK);
        let room = block.get_mut(..wanted).unwrap_or_default();
        let count = source.read_at(room, at).map_err(|error| of_io(&error))?;
        if count == 0 {
            return Err(Errno::STALE);
        }
        stage.write(block.get(..count).unwrap_or_default())?;
        at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(stage)
}
