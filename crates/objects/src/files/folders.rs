//! Folders: what is in them, made and removed.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use rustix::io::Errno;

use super::node::{Kind, Node};
use super::{Files, Found};
use crate::bucket::Object;
use crate::key::{self, VolumePath};
use crate::listing::ListQuery;

/// How many names a folder may have to be listed: what bounds the memory of a list.
const LONGEST_LIST: usize = 100_000;
/// How many pages a list may come in, of which some may be nearly empty.
const MOST_PAGES: u32 = 2000;

/// Something in a folder, when it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) found: Found,
}

impl Files {
    /// Everything in a folder, by name.
    pub(crate) async fn list(&self, id: u64) -> Result<Vec<Entry>, Errno> {
        let node = self.node(id)?;
        if node.kind() != Kind::Folder {
            return Err(Errno::NOTDIR);
        }
        let path = node.path().clone();
        let folder = self.keys.of_folder(&path)?;
        let mut names: BTreeMap<String, Found> = BTreeMap::new();
        let mut next: Option<String> = None;
        let mut pages = 0u32;
        loop {
            let query =
                ListQuery { prefix: &folder, by_folder: true, most: 1000, after: next.as_deref() };
            let page = self.ask("list", &folder, self.bucket.list(&query).await)?;
            pages = pages.saturating_add(1);
            let before = next.take();
            next = page.next;
            if next.is_some() && (next == before || pages >= MOST_PAGES) {
                // It would go on for ever.
                return Err(Errno::IO);
            }
            for listed in page.objects {
                let Some(name) = key::file_in(&folder, &listed.key) else { continue };
                let (size, etag, modified) = (listed.size, listed.etag, listed.modified);
                let found = Found::File(Object { size, etag, modified });
                names.entry(name.to_owned()).or_insert(found);
            }
            for prefix in &page.folders {
                let Some(name) = key::folder_in(&folder, prefix) else { continue };
                names.insert(name.to_owned(), Found::Folder);
            }
            if names.len() > LONGEST_LIST {
                return Err(Errno::OVERFLOW);
            }
            if next.is_none() {
                break;
            }
        }
        for node in self.tree.borrow().local_in(&path) {
            let attributes = node.attributes();
            let etag = node.etag().unwrap_or_default();
            let (size, modified) = (attributes.size, attributes.modified);
            let found = Found::File(Object { size, etag, modified });
            names.insert(node.path().name().to_owned(), found);
        }
        Ok(names.into_iter().map(|(name, found)| Entry { name, found }).collect())
    }

    /// What a list had, as if it had been looked up.
    pub(crate) fn entered(&self, folder: u64, entry: &Entry) -> Result<Rc<Node>, Errno> {
        let path = self.child(folder, entry.name.as_bytes())?;
        let node = match self.local(&path) {
            Some(node) => node,
            None => self.tree.borrow_mut().adopt(&path, &entry.found),
        };
        node.look_up();
        Ok(node)
    }

    /// Makes an empty folder.
    pub(crate) async fn make_folder(&self, parent: u64, name: &[u8]) -> Result<Rc<Node>, Errno> {
        let path = self.child(parent, name)?;
        if self.local(&path).is_some() || self.find(&path).await?.is_some() {
            return Err(Errno::EXIST);
        }
        let marker = self.keys.of_folder(&path)?;
        self.ask("write", &marker, self.bucket.put(&marker, Bytes::new()).await)?;
        let node = self.tree.borrow_mut().adopt(&path, &Found::Folder);
        node.look_up();
        Ok(node)
    }

    /// Removes an empty folder.
    pub(crate) async fn remove_folder(&self, parent: u64, name: &[u8]) -> Result<(), Errno> {
        let path = self.child(parent, name)?;
        if self.local(&path).is_some() {
            return Err(Errno::NOTDIR);
        }
        if !self.is_empty(&path).await? {
            return Err(Errno::NOTEMPTY);
        }
        let marker = self.keys.of_folder(&path)?;
        self.ask("remove", &marker, self.bucket.delete(&marker).await)?;
        drop(self.tree.borrow_mut().detach(&path));
        Ok(())
    }

    /// Whether a folder has nothing but its marker. What is hidden in it counts: removing the folder would not remove
    /// that.
    pub(super) async fn is_empty(&self, path: &VolumePath) -> Result<bool, Errno> {
        if !self.tree.borrow().local_in(path).is_empty() {
            return Ok(false);
        }
        let folder = self.keys.of_folder(path)?;
        let query = ListQuery { prefix: &folder, by_folder: false, most: 2, after: None };
        let page = self.ask("list", &folder, self.bucket.list(&query).await)?;
        Ok(page.unreadable == 0 && page.objects.iter().all(|object| object.key == folder))
    }
}
