//! One source, with everything in it.
//!
//! Folders are walked one after the other, files are copied some at a time. What a sandbox lists is held for one folder
//! and those above it, and no more than fits.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use pitlane_client::{RequestError, WriteError};

use super::folder::Folder;
use super::remote::{self, Remote, facts, is_name};
use super::report::Report;
use super::target::Target;
use super::{pieces, pieces_of, write_here};
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};

/// Files that are copied at the same time.
const AT_ONCE: usize = 8;
/// Folders in folders; more are a circle of links, or an attack.
const MAX_DEPTH: usize = 128;
/// Bytes of names that wait to be copied; folders of a million files fit.
const MAX_WAITING: usize = 256 << 20;
/// What every name costs besides its letters.
const NAME_COST: usize = 64;
/// Names in one copy.
const MAX_NAMES: u64 = 50_000_000;
/// Names that are none: after so many a sandbox only wastes time.
const MAX_REFUSED: u64 = 1000;

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    /// A device, a pipe or a socket.
    Other,
}

/// What is known of something before it is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) changed: Option<jiff::Timestamp>,
}

/// Something to copy.
#[derive(Debug, Clone)]
pub(super) enum Source<'a> {
    Here(PathBuf),
    Sandbox(Remote<'a>, String),
}

/// A place that a copy gets.
#[derive(Debug, Clone)]
enum Goal<'a> {
    /// A name in a folder here; the folder itself if absent.
    Here(Arc<Folder>, Option<OsString>),
    Sandbox(Remote<'a>, String),
}

/// A folder whose contents are to be copied.
struct Step<'a> {
    source: Source<'a>,
    goal: Goal<'a>,
    mode: u32,
    depth: usize,
    /// What it costs while it waits.
    cost: usize,
}

type Copying<'a> = Pin<Box<dyn Future<Output = (Source<'a>, Result<(), Failure>)> + 'a>>;

/// Copies one source to the target.
pub(super) async fn copy<'a>(
    source: Source<'a>,
    target: &Target<'a>,
    follow_links: bool,
    report: &'a Report,
) -> Result<(), Failure> {
    // What the user named is followed wherever it leads.
    let facts = source.facts(true).await;
    let facts =
        facts.map_err(|failure| failure.doing(format!("cannot copy {}", source.shown())))?;
    let goal = source.goal(target);
    if facts.kind == Kind::Folder && goal.is_within(&source).await? {
        let message = format!("{} would be copied into itself, {}", source.shown(), goal.shown());
        return Err(Failure::new(message).exit(Exit::Usage));
    }
    let mut walk = Walk {
        follow_links,
        report,
        copying: FuturesUnordered::new(),
        steps: Vec::new(),
        waiting: 0,
        names: 0,
        refused: 0,
    };
    match facts.kind {
        Kind::Folder => {
            walk.steps.push(Step { source, goal, mode: facts.mode, depth: 0, cost: 0 });
        }
        // A pipe that was named is read to its end.
        Kind::File | Kind::Link | Kind::Other => {
            if facts.kind == Kind::File {
                report.expect(Some(facts.size));
            }
            walk.copying.push(copy_file(source, goal, facts, report));
        }
    }
    walk.run().await
}

struct Walk<'a> {
    follow_links: bool,
    report: &'a Report,
    copying: FuturesUnordered<Copying<'a>>,
    steps: Vec<Step<'a>>,
    waiting: usize,
    names: u64,
    refused: u64,
}

impl<'a> Walk<'a> {
    async fn run(&mut self) -> Result<(), Failure> {
        while let Some(step) = self.steps.pop() {
            self.waiting = self.waiting.saturating_sub(step.cost);
            let source = step.source.clone();
            if let Err(failure) = self.enter(step).await {
                self.note(&source, failure)?;
            }
        }
        self.settle(0).await
    }

    /// Makes a folder and begins to copy what is in it.
    async fn enter(&mut self, step: Step<'a>) -> Result<(), Failure> {
        let Step { source, goal, mode, depth, .. } = step;
        if depth > MAX_DEPTH {
            let reason = format!("{} is in more than {MAX_DEPTH} folders", source.shown());
            return Err(Failure::new(reason));
        }
        let goal = goal.make(mode).await?;
        self.report.folder();
        let names = self.names(&source).await?;
        for (name, facts) in names {
            self.waiting = self.waiting.saturating_sub(name.len() + NAME_COST);
            let child = source.child(&name);
            let facts = match facts {
                Some(facts) if facts.kind != Kind::Link || !self.follow_links => Ok(facts),
                // What is behind a link, or what this machine did not say in its list.
                Some(_) | None => child.facts(self.follow_links).await,
            };
            match facts {
                Ok(facts) => self.take(child, goal.child(&name), facts, depth).await?,
                Err(failure) => self.note(&child, failure)?,
            }
        }
        Ok(())
    }

    async fn take(
        &mut self,
        child: Source<'a>,
        goal: Goal<'a>,
        facts: Facts,
        depth: usize,
    ) -> Result<(), Failure> {
        match facts.kind {
            Kind::File => {
                self.settle(AT_ONCE - 1).await?;
                self.copying.push(copy_file(child, goal, facts, self.report));
            }
            Kind::Folder => {
                let cost = NAME_COST;
                self.waiting += cost;
                let mode = facts.mode;
                self.steps.push(Step { source: child, goal, mode, depth: depth + 1, cost });
            }
            Kind::Link => {
                self.report.skipped(child.shown(), "a symbolic link; --follow-links follows it");
            }
            Kind::Other => self.report.skipped(child.shown(), "neither a file nor a folder"),
        }
        Ok(())
    }

    /// What is in a folder.
    async fn names(
        &mut self,
        source: &Source<'a>,
    ) -> Result<Vec<(OsString, Option<Facts>)>, Failure> {
        let doing = || format!("cannot list {}", source.shown());
        let mut names = Vec::new();
        match source {
            Source::Here(path) => {
                for entry in std::fs::read_dir(path).doing(doing())? {
                    let name = entry.doing(doing())?.file_name();
                    if name.to_str().is_none() {
                        let reason = "its name is not UTF-8, which a request cannot carry";
                        let path = path.join(&name).display().to_string();
                        let failure = Failure::new(reason).doing(format!("cannot copy {path}"));
                        self.report.failed(path, &failure);
                        continue;
                    }
                    self.count(name.len())?;
                    names.push((name, None));
                }
            }
            Source::Sandbox(remote, path) => {
                let mut listing = remote.files.list(path).await.doing(doing())?;
                while let Some(info) = listing.next().await.doing(doing())? {
                    // Refused before it is even put together with a path.
                    self.count(info.name.len())?;
                    if is_name(&info.name) {
                        names.push((info.name.clone().into(), Some(facts(&info))));
                    } else {
                        let name = info.name.chars().take(80).collect::<String>();
                        let reason = format!(
                            "{} has something called {name:?}, which is no file's name",
                            source.shown()
                        );
                        self.waiting = self.waiting.saturating_sub(info.name.len() + NAME_COST);
                        self.refused += 1;
                        if self.refused > MAX_REFUSED {
                            return Err(Failure::new(reason).stop());
                        }
                        self.report.failed(source.shown(), &Failure::new(reason));
                    }
                }
            }
        }
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(names)
    }

    /// Counts a name that waits; a list without end ends here.
    fn count(&mut self, length: usize) -> Result<(), Failure> {
        self.waiting += length + NAME_COST;
        self.names += 1;
        if self.waiting > MAX_WAITING || self.names > MAX_NAMES {
            return Err(Failure::new("there is no end of names to copy").stop());
        }
        Ok(())
    }

    /// Waits until no more than `count` files are being copied.
    async fn settle(&mut self, count: usize) -> Result<(), Failure> {
        while self.copying.len() > count {
            match self.copying.next().await {
                Some((_, Ok(()))) => self.report.file(),
                Some((source, Err(failure))) => self.note(&source, failure)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Notes that something could not be copied. `Err` if nothing else can be either.
    fn note(&self, source: &Source<'_>, failure: Failure) -> Result<(), Failure> {
        if is_final(&failure) {
            return Err(failure);
        }
        self.report.failed(source.shown(), &failure);
        Ok(())
    }
}

/// Whether the next file would fail in the same way.
fn is_final(failure: &Failure) -> bool {
    let of_request = |error: &RequestError| {
        let is_of_a_file = matches!(error.status(), Some(400 | 403 | 404 | 409 | 413 | 422 | 500));
        !is_of_a_file
    };
    failure.stops()
        || failure.chain().any(|cause| {
            if let Some(error) = cause.downcast_ref::<RequestError>() {
                return of_request(error);
            }
            if let Some(WriteError::Request(error)) = cause.downcast_ref::<WriteError>() {
                return of_request(error);
            }
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        })
}

fn copy_file<'a>(
    source: Source<'a>,
    goal: Goal<'a>,
    facts: Facts,
    report: &'a Report,
) -> Copying<'a> {
    Box::pin(async move {
        let copied = copy_contents(&source, &goal, facts, report).await;
        let copied = copied.map_err(|failure| {
            failure.doing(format!("cannot copy {} to {}", source.shown(), goal.shown()))
        });
        (source, copied)
    })
}

async fn copy_contents(
    source: &Source<'_>,
    goal: &Goal<'_>,
    facts: Facts,
    report: &Report,
) -> Result<(), Failure> {
    match (source, goal) {
        (Source::Sandbox(remote, path), Goal::Here(folder, Some(name))) => {
            let download = remote.files.read(path).await?;
            write_here(download, Arc::clone(folder), name, facts, report).await
        }
        (Source::Here(path), Goal::Sandbox(remote, goal)) => {
            let file = tokio::fs::File::open(path).await?;
            remote.files.write(goal, pieces(file, report)).await?;
            keep_mode(remote, goal, facts.mode).await
        }
        (Source::Sandbox(remote, path), Goal::Sandbox(other, goal)) => {
            let download = remote.files.read(path).await?;
            other.files.write(goal, pieces_of(download, report)).await?;
            keep_mode(other, goal, facts.mode).await
        }
        (Source::Sandbox(..), Goal::Here(_, None)) | (Source::Here(_), Goal::Here(..)) => {
            Err(Failure::new("there is no name for it"))
        }
    }
}

/// A sandbox gives new files the mode 0644, and old ones keep theirs.
async fn keep_mode(remote: &Remote<'_>, path: &str, mode: u32) -> Result<(), Failure> {
    if mode != 0o644 {
        remote.files.set_mode(path, mode).await?;
    }
    Ok(())
}

impl<'a> Source<'a> {
    pub(super) fn here(path: &Path) -> Self {
        Self::Here(path.to_owned())
    }

    pub(super) fn in_sandbox(remote: Remote<'a>, path: &str) -> Self {
        Self::Sandbox(remote, path.to_owned())
    }

    fn shown(&self) -> String {
        match self {
            Self::Here(path) => path.display().to_string(),
            Self::Sandbox(remote, path) => remote.shown(path),
        }
    }

    fn child(&self, name: &OsStr) -> Self {
        match self {
            Self::Here(path) => Self::Here(path.join(name)),
            Self::Sandbox(remote, path) => {
                Self::Sandbox(remote.clone(), remote::join(path, &name.to_string_lossy()))
            }
        }
    }

    /// Its own name; `None` where a folder's contents are meant, as in `folder/.`.
    fn name(&self) -> Option<OsString> {
        match self {
            Self::Here(path) => {
                let text = path.as_os_str().as_bytes();
                let is_contents = text.ends_with(b"/.") || text == b".";
                path.file_name().filter(|_| !is_contents).map(OsStr::to_owned)
            }
            Self::Sandbox(_, path) => remote::base_name(path).map(OsString::from),
        }
    }

    /// What it is.
    async fn facts(&self, follow_links: bool) -> Result<Facts, Failure> {
        match self {
            Self::Here(path) => {
                let metadata = if follow_links { path.metadata() } else { path.symlink_metadata() };
                Ok(facts_here(&metadata?))
            }
            Self::Sandbox(remote, path) => Ok(facts(&remote.files.info(path).await?)),
        }
    }

    /// Where its copy goes.
    fn goal(&self, target: &Target<'a>) -> Goal<'a> {
        match target {
            Target::Here { folder, name } => {
                Goal::Here(Arc::clone(folder), name.clone().or_else(|| self.name()))
            }
            Target::Sandbox { remote, path, is_folder } => {
                let name = if *is_folder { self.name() } else { None };
                let path = name.map_or_else(
                    || path.clone(),
                    |name| remote::join(path, &name.to_string_lossy()),
                );
                Goal::Sandbox(remote.clone(), path)
            }
        }
    }
}

impl Goal<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Here(folder, Some(name)) => folder.shown(Path::new(name)),
            Self::Here(folder, None) => folder.shown(Path::new("")),
            Self::Sandbox(remote, path) => remote.shown(path),
        }
    }

    /// Whether it is in a folder of the same sandbox.
    async fn is_within(&self, source: &Source<'_>) -> Result<bool, Failure> {
        let (Self::Sandbox(remote, path), Source::Sandbox(other, folder)) = (self, source) else {
            return Ok(false);
        };
        if remote.id != other.id {
            return Ok(false);
        }
        let start = remote.files.work_dir().await?;
        let absolute = |path: &str| match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{start}/{path}"),
        };
        Ok(remote::is_within(&absolute(path), &absolute(folder)))
    }

    /// Makes it a folder, if it is not one; answers the folder itself.
    async fn make(self, mode: u32) -> Result<Self, Failure> {
        let shown = format!("cannot make the folder {}", self.shown());
        match self {
            Self::Here(folder, Some(name)) => {
                let made = folder.enter(&name, mode).doing(shown)?;
                Ok(Self::Here(Arc::new(made), None))
            }
            Self::Here(folder, None) => Ok(Self::Here(folder, None)),
            Self::Sandbox(remote, path) => {
                remote.files.make_folder(&path, mode | 0o700).await.doing(shown)?;
                Ok(Self::Sandbox(remote, path))
            }
        }
    }

    fn child(&self, name: &OsStr) -> Self {
        match self {
            Self::Here(folder, _) => Self::Here(Arc::clone(folder), Some(name.to_owned())),
            Self::Sandbox(remote, path) => {
                Self::Sandbox(remote.clone(), remote::join(path, &name.to_string_lossy()))
            }
        }
    }
}

fn facts_here(metadata: &std::fs::Metadata) -> Facts {
    let file_type = metadata.file_type();
    let kind = if file_type.is_file() {
        Kind::File
    } else if file_type.is_dir() {
        Kind::Folder
    } else if file_type.is_symlink() {
        Kind::Link
    } else {
        Kind::Other
    };
    Facts { kind, size: metadata.len(), mode: metadata.permissions().mode() & 0o777, changed: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    #[test]
    fn a_million_names_of_usual_length_may_wait_and_a_list_without_end_may_not() {
        let report = Report::new(Format::Json, true);
        let mut walk = Walk {
            follow_links: false,
            report: &report,
            copying: FuturesUnordered::new(),
            steps: Vec::new(),
            waiting: 0,
            names: 0,
            refused: 0,
        };
        for _ in 0..1_000_000 {
            walk.count(32).unwrap();
        }
        let refused = (0..2_000_000).find_map(|_| walk.count(255).err()).unwrap();
        assert!(refused.stops(), "{refused}");
        assert!(is_final(&refused));
    }
}
