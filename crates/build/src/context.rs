//! The build context: what callers uploaded for `COPY` and `ADD`.
//!
//! Archives are read where they lie and never unpacked. Names in them name nothing on this machine: they are looked up
//! by what a Dockerfile says, and travel to the sandbox as paths below a destination.

mod archive;
mod ignore;
mod patience;
mod selection;
mod size;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use self::patience::Patience;
pub(crate) use self::selection::{Selection, cleaned};
use self::size::Size;
use crate::BuildError;

/// Files by their path in the context.
#[derive(Debug, Default)]
pub(crate) struct Context {
    archives: Vec<Arc<File>>,
    nodes: BTreeMap<String, Node>,
    /// What was replaced by what came later included.
    size: Size,
    ignored: ignore::Ignored,
}

/// A file, folder or link of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    kind: NodeKind,
    mode: u32,
    modified: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum NodeKind {
    Folder,
    Link(String),
    /// Bytes of an archive.
    File {
        archive: usize,
        offset: u64,
        size: u64,
    },
}

impl Context {
    /// Reads archives. `above` are the paths that lead above the context and that the Dockerfile names: no other may.
    ///
    /// Blocks.
    pub(crate) fn read(archives: &[PathBuf], above: &[String]) -> Result<Self, BuildError> {
        let (mut context, patience) = (Self::default(), Patience::new());
        for path in archives {
            let opened = File::open(path);
            let lost = |cause| BuildError::LostContext { path: path.clone(), cause };
            let file = Arc::new(opened.map_err(lost)?);
            let number = context.archives.len();
            context.archives.push(Arc::clone(&file));
            let read = archive::read(&file, number, (above, patience), &mut context);
            read.map_err(|fault| match fault {
                archive::Fault::Read(cause) => lost(cause),
                archive::Fault::Refused(reason) => BuildError::Context { reason },
            })?;
        }
        context.ignored = match context.nodes.get(ignore::NAME).map(|node| &node.kind) {
            Some(NodeKind::File { archive, offset, size }) => {
                let text = context.text(*archive, *offset, *size)?;
                ignore::Ignored::read(&text)
            }
            _ => ignore::Ignored::default(),
        };
        Ok(context)
    }

    fn text(&self, archive: usize, offset: u64, size: u64) -> Result<String, BuildError> {
        use std::os::unix::fs::FileExt as _;
        if size > ignore::MAX_BYTES {
            let reason = format!("{} is longer than {} bytes", ignore::NAME, ignore::MAX_BYTES);
            return Err(BuildError::Context { reason });
        }
        let Some(file) = self.archives.get(archive) else { return Ok(String::new()) };
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let lost = |cause| BuildError::LostContext { path: PathBuf::new(), cause };
        file.read_exact_at(&mut bytes, offset).map_err(lost)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Adds what an archive has under a path.
    fn insert(&mut self, path: String, node: Node) -> Result<(), String> {
        let mut above = path.as_str();
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            match self.nodes.get(parent).map(|node| &node.kind) {
                Some(NodeKind::Folder) | None => {}
                Some(NodeKind::Link(_)) => {
                    return Err(format!("{path:?} lies behind the link {parent:?}"));
                }
                Some(NodeKind::File { .. }) => {
                    return Err(format!("{path:?} lies below the file {parent:?}"));
                }
            }
        }
        let is_folder = node.kind == NodeKind::Folder;
        if !is_folder && self.below(&path).next().is_some() {
            return Err(format!("{path:?} is a folder and something else"));
        }
        let (bytes, target) = match &node.kind {
            NodeKind::File { size, .. } => (*size, ""),
            NodeKind::Link(target) => (0, target.as_str()),
            NodeKind::Folder => (0, ""),
        };
        self.size.add(&path, target, bytes)?;
        self.nodes.insert(path, node);
        Ok(())
    }

    /// What lies below a folder, with paths from the context on.
    fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a String, &'a Node)> + use<'a> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let end = prefix.clone();
        self.nodes
            .range(prefix..)
            .take_while(move |(path, _)| path.starts_with(&end))
            .filter(|(path, _)| !path.is_empty())
    }

    /// Whether something is at a path, said or by what lies below.
    fn kind(&self, path: &str) -> Option<NodeKind> {
        if path.is_empty() {
            return Some(NodeKind::Folder);
        }
        match self.nodes.get(path) {
            Some(node) => Some(node.kind.clone()),
            None => self.below(path).next().map(|_| NodeKind::Folder),
        }
    }
}
