//! Texts that language servers are told of, read with the user's rights.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::open::{read_regular, regular};
use super::pool::{Files, FilesError};
use super::walk::{Limits, Walk, WalkError};

/// The largest text.
pub(crate) const MAX_TEXT: u64 = 4 << 20;

/// How many levels of a project are looked through.
const MAX_DEPTH: usize = 32;
/// How many of its entries are.
const MAX_ENTRIES: usize = 50_000;
/// How many are looked at in one go, so that others come in between.
const TURN: usize = 256;

/// A file's text; what is not UTF-8 is replaced.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("{path}: {errno}")]
    Unreadable { path: String, errno: Errno },
    #[error("{path} is too large for a language server")]
    Large { path: String },
    #[error(transparent)]
    Threads(#[from] FilesError),
}

/// Reads the first of `paths` that is a file.
pub(crate) async fn read_document(
    files: &Files,
    paths: Vec<PathBuf>,
) -> Result<Document, DocumentError> {
    files.run(move || first(&paths)).await?
}

fn first(paths: &[PathBuf]) -> Result<Document, DocumentError> {
    let mut missing = None;
    for path in paths {
        let shown = || path.to_string_lossy().into_owned();
        match read(path, MAX_TEXT) {
            Ok(Some(text)) => return Ok(Document { path: path.clone(), text }),
            Ok(None) => return Err(DocumentError::Large { path: shown() }),
            Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => {
                missing = missing.or(Some((shown(), errno)));
            }
            Err(errno) => return Err(DocumentError::Unreadable { path: shown(), errno }),
        }
    }
    let (path, errno) = missing.unwrap_or((String::new(), Errno::NOENT));
    Err(DocumentError::Unreadable { path, errno })
}

/// The text of a file, unless it has more than `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Option<String>, Errno> {
    let (file, _) = read_regular(path)?;
    text(file, limit).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn text(file: std::fs::File, limit: u64) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let length = file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let is_whole = u64::try_from(length).is_ok_and(|length| length <= limit);
    Ok(is_whole.then(|| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// A look through a project for texts that have a word in them.
#[derive(Debug)]
pub(crate) struct Search {
    walk: Option<Walk>,
    project: PathBuf,
    /// What a file's name ends with.
    extensions: &'static [&'static str],
    /// In small letters.
    word: String,
    left: usize,
}

impl Search {
    /// Begins in `project`. Hidden folders and those of dependencies are left out.
    pub(crate) async fn begin(
        files: &Files,
        project: PathBuf,
        extensions: &'static [&'static str],
        word: &str,
    ) -> Result<Self, DocumentError> {
        let limits = Limits { depth: MAX_DEPTH, skips_the_kernels: true, leaves_out: true };
        let word = word.to_lowercase();
        let below = project.clone();
        let walk = files.run(move || {
            Walk::begin(&project, limits, false).map_err(|error| match error {
                WalkError::Kernel(errno) => DocumentError::Unreadable {
                    path: project.to_string_lossy().into_owned(),
                    errno,
                },
                WalkError::Large | WalkError::TooLarge => {
                    DocumentError::Large { path: project.to_string_lossy().into_owned() }
                }
            })
        });
        let walk = Some(walk.await??);
        Ok(Self { walk, project: below, extensions, word, left: MAX_ENTRIES })
    }

    /// The next such text; `None` after the last, and when enough was looked through.
    pub(crate) async fn next(
        mut self,
        files: &Files,
    ) -> Result<(Self, Option<Document>), FilesError> {
        loop {
            let (search, found) = files
                .run(move || {
                    let found = self.turn();
                    (self, found)
                })
                .await?;
            self = search;
            if found.is_some() || self.walk.is_none() {
                return Ok((self, found));
            }
        }
    }

    fn turn(&mut self) -> Option<Document> {
        for _ in 0..TURN {
            let found = match &mut self.walk {
                Some(walk) if self.left > 0 => walk.next(),
                _ => Ok(None),
            };
            self.left = self.left.saturating_sub(1);
            // A folder that is too large, or cannot be read any more, ends the search as its last one does.
            let Ok(Some(found)) = found else {
                self.walk = None;
                return None;
            };
            let walk = self.walk.as_ref()?;
            let name = found.name.to_string_lossy();
            let is_source = self.extensions.iter().any(|extension| name.ends_with(extension));
            let inner = walk.path().strip_prefix(&self.project).unwrap_or(walk.path());
            if found.kind() != FileType::RegularFile || !is_source || is_foreign(inner) {
                continue;
            }
            let Ok(file) = walk.open(&found.name, OFlags::empty()) else { continue };
            if regular(&file).is_ok()
                && let Ok(Some(text)) = text(file.into(), MAX_TEXT)
                && text.to_lowercase().contains(&self.word)
            {
                return Some(Document { path: walk.path().to_owned(), text });
            }
        }
        None
    }
}

/// Whether a file belongs to what a project uses, and not to it.
fn is_foreign(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name.starts_with('.')
            || matches!(&*name, "node_modules" | "site-packages" | "__pycache__" | "venv")
    })
}
