//! Renaming: a copy under the other key, and then the removal of the first.

use std::rc::Rc;

use bytes::Bytes;
use rustix::io::Errno;

use super::node::Node;
use super::{Files, Found};
use crate::key::VolumePath;

/// The largest object that can be copied at once.
const LARGEST_COPY: u64 = 5 << 30;

/// From where to where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Renaming<'a> {
    pub(crate) from: (u64, &'a [u8]),
    pub(crate) to: (u64, &'a [u8]),
    /// What is there may be replaced.
    pub(crate) replace: bool,
}

impl Files {
    /// Gives a file or an empty folder another name. What programs cannot have at once (`EXDEV`), they copy and remove
    /// themselves.
    pub(crate) async fn rename(&self, wanted: Renaming<'_>) -> Result<(), Errno> {
        let _turn = self.renaming.lock().await;
        let from = self.child(wanted.from.0, wanted.from.1)?;
        let to = self.child(wanted.to.0, wanted.to.1)?;
        if from == to {
            return Ok(());
        }
        let target = match self.local(&to) {
            Some(_file) => Some(false),
            None => self.find(&to).await?.map(|found| found == Found::Folder),
        };
        if target.is_some() && !wanted.replace {
            return Err(Errno::EXIST);
        }
        if let Some(node) = self.local(&from) {
            return match target {
                Some(true) => Err(Errno::ISDIR),
                _ => self.rename_file(&node, &from, to).await,
            };
        }
        match (self.find(&from).await?, target) {
            (None, _) => Err(Errno::NOENT),
            (Some(Found::Folder), Some(false)) => Err(Errno::NOTDIR),
            (Some(Found::File(_)), Some(true)) => Err(Errno::ISDIR),
            (Some(Found::Folder), _) => self.rename_folder(&from, to).await,
            (Some(found @ Found::File(_)), _) => {
                let node = self.tree.borrow_mut().adopt(&from, &found);
                self.rename_file(&node, &from, to).await
            }
        }
    }

    async fn rename_file(
        &self,
        node: &Rc<Node>,
        from: &VolumePath,
        to: VolumePath,
    ) -> Result<(), Errno> {
        let (old, new) = (self.keys.of_file(from)?, self.keys.of_file(&to)?);
        let replaced = self.tree.borrow().at(&to);
        let mut content = node.content.lock().await;
        // What is being uploaded there would replace what is renamed.
        let other = match &replaced {
            Some(node) => Some(node.content.lock().await),
            None => None,
        };
        self.upload(node, &mut content).await?;
        let Some(etag) = node.etag() else { return Err(Errno::STALE) };
        if node.size() > LARGEST_COPY {
            return Err(Errno::XDEV);
        }
        let place = self.transfers.acquire().await;
        self.ask("copy", &old, self.bucket.copy(&old, &etag, &new).await)?;
        drop(place);
        // From here on both are there, which a program that tries again finds in order.
        let object = self.ask("look at", &new, self.bucket.stat(&new).await)?;
        self.ask("remove", &old, self.bucket.delete(&old).await)?;
        self.tree.borrow_mut().rename(node, to);
        drop(other);
        if let Some(object) = object {
            content.copied(&object.etag);
            node.set_etag(object.etag);
        }
        drop(content);
        self.tree.borrow_mut().sweep(node);
        Ok(())
    }

    async fn rename_folder(&self, from: &VolumePath, to: VolumePath) -> Result<(), Errno> {
        if !self.is_empty(from).await? {
            return Err(Errno::XDEV);
        }
        if !self.is_empty(&to).await? {
            return Err(Errno::NOTEMPTY);
        }
        let (old, new) = (self.keys.of_folder(from)?, self.keys.of_folder(&to)?);
        self.ask("write", &new, self.bucket.put(&new, Bytes::new()).await)?;
        self.ask("remove", &old, self.bucket.delete(&old).await)?;
        let mut tree = self.tree.borrow_mut();
        let node = tree.at(from);
        match node {
            Some(node) => tree.rename(&node, to),
            None => drop(tree.detach(&to)),
        }
        Ok(())
    }
}
