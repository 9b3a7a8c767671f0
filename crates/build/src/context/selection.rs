//! What a `COPY` copies: entries in their order, and a digest of all that counts about them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use pitlane_wire::build::{END, Entry, EntryKind, is_pattern, matches_name, write_record};
use sha2::{Digest as _, Sha256};

use super::ignore::fits;
use super::patience::Patience;
use super::size::Size;
use super::{Context, Node, NodeKind};

/// How much of a file is read at once.
const PIECE: usize = 256 << 10;
/// The longest name of what is copied; the kernel takes none that is longer.
const MAX_SOURCE: usize = 4095;
/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Files that are copied together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Whether they can only go into a folder.
    pub(crate) is_folder: bool,
    pub(crate) pieces: Vec<Piece>,
    /// How much they are: a file may be named again and again.
    pub(super) size: Size,
    /// How long all of them may be looked for.
    pub(super) patience: Patience,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) entry: Entry,
    pub(crate) content: Content,
}

/// What is in it.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Nothing,
    Inline(Bytes),
    Part { file: Arc<File>, offset: u64, size: u64 },
}

impl Selection {
    fn push(&mut self, piece: Piece) -> Result<(), String> {
        self.size.add(&piece.entry.path, &piece.entry.target, piece.entry.size)?;
        self.pieces.push(piece);
        Ok(())
    }

    /// Adds a text as a file.
    pub(crate) fn add_text(&mut self, name: &str, text: String) {
        let entry = Entry {
            path: name.to_owned(),
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified: 0,
            size: u64::try_from(text.len()).unwrap_or(u64::MAX),
            target: String::new(),
        };
        self.pieces.push(Piece { entry, content: Content::Inline(text.into()) });
    }

    /// What counts about these files: their names, kinds, permissions and contents; not when they were written.
    ///
    /// Blocks.
    pub(crate) fn digest(&self) -> io::Result<[u8; 32]> {
        let mut digest = Sha256::new();
        digest.update([u8::from(self.is_folder)]);
        for Piece { entry, content } in &self.pieces {
            let about = format!(
                "{:?}\0{}\0{}\0{}\0{}\0",
                entry.kind, entry.path, entry.mode, entry.size, entry.target
            );
            digest.update(about);
            content.read(|bytes| {
                digest.update(bytes);
                Ok(())
            })?;
        }
        Ok(digest.finalize().into())
    }

    /// Writes all of it as records.
    ///
    /// Blocks.
    pub(crate) fn send(&self, mut send: impl FnMut(Bytes) -> io::Result<()>) -> io::Result<()> {
        let mut collected = Vec::new();
        for Piece { entry, content } in &self.pieces {
            write_record(entry, &mut collected).map_err(io::Error::other)?;
            content.read(|bytes| {
                collected.extend_from_slice(bytes);
                if collected.len() >= PIECE {
                    send(std::mem::take(&mut collected).into())?;
                }
                Ok(())
            })?;
        }
        collected.extend_from_slice(&END);
        send(collected.into())
    }
}

impl Content {
    fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Inline(bytes) => take(bytes),
            Self::Part { file, offset, size } => {
                let (mut at, mut left) = (*offset, *size);
                let mut buffer = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
                while left > 0 {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    let room = buffer.get_mut(..most).unwrap_or_default();
                    let count = file.read_at(room, at)?;
                    if count == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                    }
                    take(room.get(..count).unwrap_or_default())?;
                    let count = u64::try_from(count).unwrap_or(left);
                    (at, left) = (at.saturating_add(count), left.saturating_sub(count));
                }
                Ok(())
            }
        }
    }
}

impl Context {
    /// Adds what a source stands for.
    pub(crate) fn select(
        &self,
        source: &str,
        exclude: &[String],
        selection: &mut Selection,
    ) -> Result<(), String> {
        let patience = selection.patience;
        if source.len() > MAX_SOURCE {
            return Err(format!(
                "a source is longer than the {MAX_SOURCE} bytes that a path may have"
            ));
        }
        patience.check()?;
        let paths = self.find(source, patience)?;
        if paths.len() > 1 {
            selection.is_folder = true;
        }
        let mut has_any = false;
        for path in &paths {
            patience.check()?;
            let resolved = self.resolve(path)?;
            has_any |= self.add(&resolved, path, exclude, selection)?;
        }
        match (has_any, paths.is_empty()) {
            (true, _) => Ok(()),
            (false, false) => Err(format!("{source:?} is left out by .dockerignore or --exclude")),
            (false, true) => Err(format!("{source:?} is not in the build context")),
        }
    }

    /// The paths that a source stands for, as they are written.
    fn find(&self, source: &str, patience: Patience) -> Result<Vec<String>, String> {
        let literal = cleaned(source, true);
        let within = cleaned(source, false);
        if !is_pattern(source) {
            // A name that leads above the context may be the name of what was uploaded from there.
            let found = [literal, within].into_iter().find(|path| self.resolve(path).is_ok());
            return match found {
                Some(path) => Ok(vec![path]),
                // It may lie behind a link that leads nowhere, which is worth a word of its own.
                None => match self.resolve(&cleaned(source, false)) {
                    Err(reason) if reason.contains("link") => Err(reason),
                    _ => Ok(Vec::new()),
                },
            };
        }
        let mut found = BTreeSet::new();
        for pattern in [literal, within] {
            let parts: Vec<&str> = pattern.split('/').collect();
            for path in self.nodes.keys() {
                patience.check()?;
                // Folders that nobody said are there as well.
                let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
                for end in ends {
                    let beginning = path.get(..end).unwrap_or_default();
                    let is_as_deep = beginning.split('/').count() == parts.len();
                    let mut names = parts.iter().zip(beginning.split('/'));
                    if is_as_deep && names.all(|(part, name)| matches_name(part, name)) {
                        found.insert(beginning.to_owned());
                    }
                }
            }
        }
        let mut kept = Vec::new();
        for path in found {
            let mut is_ignored = self.ignored.has(&path, patience)?;
            for (below, _) in self.below(&path) {
                if !is_ignored {
                    break;
                }
                is_ignored = self.ignored.has(below, patience)?;
            }
            if !is_ignored {
                kept.push(path);
            }
        }
        Ok(kept)
    }

    /// Where a path leads when links are followed, which must stay in the context.
    fn resolve(&self, path: &str) -> Result<String, String> {
        let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut at, mut links) = (String::new(), 0_usize);
        while let Some(part) = left.pop() {
            if part.is_empty() || part == "." {
                continue;
            }
            let leads_out = || Err(format!("the link {path:?} leads out of the build context"));
            if part == ".." && links > 0 {
                match at.rsplit_once('/') {
                    Some((above, _)) => at = above.to_owned(),
                    None if at.is_empty() => return leads_out(),
                    None => at.clear(),
                }
                continue;
            }
            let next = if at.is_empty() { part } else { format!("{at}/{part}") };
            match self.kind(&next) {
                Some(NodeKind::Link(target)) => {
                    links = links.saturating_add(1);
                    if target.starts_with('/') {
                        return leads_out();
                    }
                    if links > MAX_LINKS {
                        return Err(format!("the link {path:?} leads in circles"));
                    }
                    left.extend(target.split('/').rev().map(str::to_owned));
                }
                Some(NodeKind::File { .. } | NodeKind::Folder) => at = next,
                None if links > 0 => return Err(format!("the link {path:?} leads nowhere")),
                None if next.split('/').all(|part| part == "..") => at = next,
                None => return Err(format!("{path:?} is not in the build context")),
            }
        }
        Ok(at)
    }

    /// Adds a file under the name it was asked for by, and of a folder what is in it.
    fn add(
        &self,
        path: &str,
        asked: &str,
        exclude: &[String],
        selection: &mut Selection,
    ) -> Result<bool, String> {
        let patience = selection.patience;
        let is_excluded = |name: &str, path: &str| {
            if self.ignored.has(path, patience)? {
                return Ok(true);
            }
            for pattern in exclude {
                if fits(pattern, name, patience)? {
                    return Ok(true);
                }
            }
            Ok::<_, String>(false)
        };
        match self.kind(path) {
            Some(NodeKind::Folder) => {
                selection.is_folder = true;
                let folder = Node { kind: NodeKind::Folder, mode: 0o755, modified: 0 };
                let own = self.nodes.get(path).unwrap_or(&folder);
                selection.push(self.piece(String::new(), own))?;
                let skipped = if path.is_empty() { 0 } else { path.len().saturating_add(1) };
                for (below, node) in self.below(path) {
                    // What was uploaded from above the context is not in it.
                    if path.is_empty() && (below == ".." || below.starts_with("../")) {
                        continue;
                    }
                    let name = below.get(skipped..).unwrap_or_default();
                    if !is_excluded(name, below)? {
                        selection.push(self.piece(name.to_owned(), node))?;
                    }
                }
                Ok(true)
            }
            Some(_) => {
                let name = asked.rsplit('/').next().unwrap_or_default();
                if is_excluded(name, path)? {
                    return Ok(false);
                }
                if let Some(node) = self.nodes.get(path) {
                    selection.push(self.piece(name.to_owned(), node))?;
                }
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn piece(&self, path: String, node: &Node) -> Piece {
        let Node { kind, mode, modified } = node;
        let (kind, size, target, content) = match kind {
            NodeKind::Folder => (EntryKind::Folder, 0, String::new(), Content::Nothing),
            NodeKind::Link(target) => (EntryKind::Link, 0, target.clone(), Content::Nothing),
            NodeKind::File { archive, offset, size } => {
                let content = match self.archives.get(*archive) {
                    Some(file) => {
                        Content::Part { file: Arc::clone(file), offset: *offset, size: *size }
                    }
                    None => Content::Nothing,
                };
                (EntryKind::File, *size, String::new(), content)
            }
        };
        // Whom a file belonged to elsewhere says nothing here.
        let entry =
            Entry { path, kind, mode: *mode, uid: 0, gid: 0, modified: *modified, size, target };
        Piece { entry, content }
    }
}

/// A source as a path of the context. What climbs above it either keeps that name or begins in the context.
pub(crate) fn cleaned(source: &str, keeps_above: bool) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if keeps_above => parts.push(".."),
                _ => drop(parts.pop()),
            },
            part => parts.push(part),
        }
    }
    parts.join("/")
}
