//! A volume as files: what the kernel asks for, answered from the bucket and from what is not there yet.
//!
//! Everything runs on one thread; what is shared is borrowed for a moment and never across a wait. A file that is written
//! to is whole on this machine until it has been uploaded (`staging`), one that is only read is read in pieces. What the
//! storage says of a file is believed for [`FRESH`], and asked anew whenever a file is opened.

mod content;
mod folders;
mod node;
mod renaming;
mod staging;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::io::Errno;
use tokio::sync::{Mutex, Semaphore};

use crate::bucket::{Bucket, BucketError, Object};
use crate::key::{KeyFolder, VolumePath, VolumePathError};
use crate::listing::ListQuery;

pub(crate) use self::content::{Opening, Place};
pub(crate) use self::folders::Entry;
use self::node::Tree;
pub(crate) use self::node::{Attributes, Kind, Node};
pub(crate) use self::renaming::Renaming;
pub(crate) use self::staging::Staging;

/// How many blocks of 4 KiB, and files, there is said to be room for: 1 PiB.
pub(crate) const FOREVER_FREE: u64 = 1 << 38;

/// How long what was heard of a file is believed.
pub(crate) const FRESH: Duration = Duration::from_secs(1);
/// How many pieces of contents are on their way at the same time: what bounds their memory.
const TRANSFERS: usize = 4;

/// The files of a volume.
#[derive(Debug)]
pub(crate) struct Files {
    bucket: Bucket,
    keys: KeyFolder,
    staging: Staging,
    tree: RefCell<Tree>,
    transfers: Semaphore,
    /// Held by whoever renames: two that exchange names would wait for each other.
    renaming: Mutex<()>,
    log: fn(&str),
}

/// What is behind a name in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Folder,
    File(Object),
}

impl From<VolumePathError> for Errno {
    fn from(error: VolumePathError) -> Self {
        match error {
            VolumePathError::Name => Self::INVAL,
            VolumePathError::Long => Self::NAMETOOLONG,
        }
    }
}

impl Files {
    pub(crate) fn new(bucket: Bucket, keys: KeyFolder, staging: Staging, log: fn(&str)) -> Self {
        Self {
            bucket,
            keys,
            staging,
            tree: RefCell::new(Tree::new(Timestamp::now())),
            transfers: Semaphore::new(TRANSFERS),
            renaming: Mutex::new(()),
            log,
        }
    }

    /// The node of that number.
    pub(crate) fn node(&self, id: u64) -> Result<Rc<Node>, Errno> {
        self.tree.borrow().get(id).ok_or(Errno::STALE)
    }

    /// What is called `name` in a folder. It counts as looked up once more.
    pub(crate) async fn lookup(&self, parent: u64, name: &[u8]) -> Result<Rc<Node>, Errno> {
        let path = self.child(parent, name)?;
        let found = match self.local(&path) {
            Some(_node) => None,
            None => Some(self.find(&path).await?),
        };
        // It may have been made or written to while the storage was asked.
        let node = match (self.local(&path), found) {
            (Some(node), _) => node,
            (None, Some(Some(found))) => self.tree.borrow_mut().adopt(&path, &found),
            (None, Some(None)) => {
                self.tree.borrow_mut().forget_path(&path);
                return Err(Errno::NOENT);
            }
            // It was closed meanwhile, or removed.
            (None, None) => return Err(Errno::STALE),
        };
        node.look_up();
        Ok(node)
    }

    /// Takes back so many lookups.
    pub(crate) fn forget(&self, id: u64, count: u64) {
        self.tree.borrow_mut().forget(id, count);
    }

    /// What a file is like now.
    pub(crate) async fn attributes(&self, node: &Node) -> Result<Attributes, Errno> {
        if node.kind() == Kind::File && !node.is_local() && !node.is_fresh() {
            self.refresh(node).await?;
        }
        Ok(node.attributes())
    }

    /// Asks the storage what a file is like.
    async fn refresh(&self, node: &Node) -> Result<(), Errno> {
        let key = self.keys.of_file(&node.path())?;
        match self.ask("look at", &key, self.bucket.stat(&key).await)? {
            Some(object) => {
                node.learn(&object);
                Ok(())
            }
            None => Err(if node.opens() > 0 { Errno::STALE } else { Errno::NOENT }),
        }
    }

    fn child(&self, parent: u64, name: &[u8]) -> Result<VolumePath, Errno> {
        let parent = self.node(parent)?;
        if parent.kind() != Kind::Folder {
            return Err(Errno::NOTDIR);
        }
        Ok(parent.path().child(name)?)
    }

    /// A file that this process knows better than the storage.
    fn local(&self, path: &VolumePath) -> Option<Rc<Node>> {
        self.tree.borrow().at(path).filter(|node| node.is_local())
    }

    /// What the storage has at a path. A folder hides a file of the same name.
    async fn find(&self, path: &VolumePath) -> Result<Option<Found>, Errno> {
        let (file, folder) = (self.keys.of_file(path)?, self.keys.of_folder(path)?);
        let query = ListQuery { prefix: &folder, by_folder: true, most: 1, after: None };
        let (object, page) = tokio::join!(self.bucket.stat(&file), self.bucket.list(&query));
        let page = self.ask("list", &folder, page)?;
        if !page.objects.is_empty() || !page.folders.is_empty() {
            return Ok(Some(Found::Folder));
        }
        Ok(self.ask("look at", &file, object)?.map(Found::File))
    }

    /// What to tell a program of an answer, and the operator of a failure.
    fn ask<T>(&self, what: &str, key: &str, answer: Result<T, BucketError>) -> Result<T, Errno> {
        answer.map_err(|failure| {
            let errno = match &failure {
                BucketError::Changed => return Errno::STALE,
                BucketError::Refused { status: 403, .. } => Errno::ACCESS,
                BucketError::Refused { status: 413 | 507, .. } => Errno::NOSPC,
                BucketError::Refused { .. }
                | BucketError::Unreachable { .. }
                | BucketError::Silent
                | BucketError::Malformed { .. } => Errno::IO,
            };
            (self.log)(&format!("cannot {what} {key:?}: {failure}"));
            errno
        })
    }
}

#[cfg(test)]
mod tests;
