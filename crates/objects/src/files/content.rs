//! What is in a file: read in pieces, written to a copy, uploaded whole.

use std::rc::Rc;

use bytes::Bytes;
use jiff::Timestamp;
use rustix::io::Errno;

use super::node::{Kind, Node};
use super::staging::StagedFile;
use super::{Files, Found};

/// Larger files are uploaded in parts of this size.
const PART: u64 = 8 << 20;
/// How much is read at first, where nobody reads on from there, and how much at most.
const FIRST_PIECE: u64 = 256 << 10;
const LARGEST_PIECE: u64 = 4 << 20;

/// What this process has of a file's contents.
#[derive(Debug, Default)]
pub(super) struct Content {
    staged: Option<StagedFile>,
    /// There is more in `staged` than in the storage.
    is_dirty: bool,
    piece: Option<Piece>,
}

/// A part of an object that was read ahead.
#[derive(Debug)]
struct Piece {
    etag: String,
    start: u64,
    bytes: Bytes,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    /// What is in it goes.
    pub(crate) truncate: bool,
}

/// Where something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// So many bytes from the beginning.
    At(u64),
    /// Behind what is there, of which the kernel may not know all.
    End,
}

impl Files {
    /// Opens a file; [`Self::release`] closes it.
    pub(crate) async fn open(&self, id: u64, how: Opening) -> Result<(), Errno> {
        let node = self.node(id)?;
        if node.kind() == Kind::Folder {
            return Err(Errno::ISDIR);
        }
        // Whoever opens it sees what others have closed, however lately.
        if !node.is_local() {
            self.refresh(&node).await?;
        }
        node.open();
        if how.truncate {
            let truncated = self.truncate(&node, 0).await;
            if truncated.is_err() {
                self.release(id).await;
            }
            return truncated;
        }
        Ok(())
    }

    /// Makes an empty file and opens it. It is not in the storage before it is closed or synced.
    pub(crate) async fn create(&self, parent: u64, name: &[u8]) -> Result<Rc<Node>, Errno> {
        let path = self.child(parent, name)?;
        // It must have a key.
        self.keys.of_folder(&path)?;
        if self.local(&path).is_some() || self.find(&path).await?.is_some() {
            return Err(Errno::EXIST);
        }
        let staged = self.staging.file()?;
        let node = self.tree.borrow_mut().make(&path, Kind::File, Timestamp::now());
        node.set_local(true);
        node.look_up();
        node.open();
        let mut content = node.content.lock().await;
        content.staged = Some(staged);
        content.is_dirty = true;
        drop(content);
        Ok(node)
    }

    /// Reads up to so many bytes; fewer at the end.
    pub(crate) async fn read(&self, id: u64, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let node = self.node(id)?;
        let mut content = node.content.lock().await;
        if let Some(staged) = current(&node, &content) {
            return staged.read(offset, length);
        }
        let Some(etag) = node.etag() else { return Err(Errno::STALE) };
        let wanted = u64::try_from(length).unwrap_or(u64::MAX);
        let end = offset.saturating_add(wanted).min(node.size());
        if offset >= end {
            return Ok(Vec::new());
        }
        let mut read = Vec::with_capacity(length);
        let mut at = offset;
        while at < end {
            if let Some(found) = content.piece.as_ref().and_then(|piece| piece.from(&etag, at)) {
                let rest = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                let found = found.get(..rest.min(found.len())).unwrap_or_default();
                read.extend_from_slice(found);
                at = at.saturating_add(u64::try_from(found.len()).unwrap_or(0));
                continue;
            }
            let ahead = match &content.piece {
                // Whoever reads on reads on.
                Some(piece) if piece.etag == etag && piece.end() == at => {
                    piece.end().saturating_sub(piece.start).saturating_mul(2)
                }
                _ => FIRST_PIECE,
            };
            let ahead = ahead.clamp(end.saturating_sub(at).min(LARGEST_PIECE), LARGEST_PIECE);
            let until = at.saturating_add(ahead).min(node.size());
            let bytes = self.fetch(&node, &etag, at..until).await?;
            content.piece = Some(Piece { etag: etag.clone(), start: at, bytes });
        }
        Ok(read)
    }

    async fn fetch(
        &self,
        node: &Node,
        etag: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Bytes, Errno> {
        let key = self.keys.of_file(&node.path())?;
        let _place = self.transfers.acquire().await;
        self.ask("read", &key, self.bucket.read(&key, etag, range).await)
    }

    /// Writes to a file.
    pub(crate) async fn write(&self, id: u64, place: Place, data: &[u8]) -> Result<(), Errno> {
        let node = self.node(id)?;
        let mut content = node.content.lock().await;
        self.stage(&node, &mut content).await?;
        let Some(staged) = &mut content.staged else { return Err(Errno::IO) };
        let offset = match place {
            Place::At(offset) => offset,
            Place::End => staged.size(),
        };
        self.staging.write(staged, offset, data)?;
        staged.copy_of = None;
        node.set_size(staged.size());
        content.is_dirty = true;
        node.set_modified(Timestamp::now());
        Ok(())
    }

    /// Gives a file another size.
    pub(crate) async fn truncate(&self, node: &Rc<Node>, size: u64) -> Result<(), Errno> {
        let mut content = node.content.lock().await;
        if size == 0 && current(node, &content).is_none() {
            content.staged = Some(self.staging.file()?);
            node.set_local(true);
        }
        self.stage(node, &mut content).await?;
        let Some(staged) = &mut content.staged else { return Err(Errno::IO) };
        self.staging.resize(staged, size)?;
        staged.copy_of = None;
        node.set_size(size);
        content.is_dirty = true;
        node.set_modified(Timestamp::now());
        if node.opens() > 0 {
            return Ok(());
        }
        // Nobody will close it.
        let uploaded = self.upload(node, &mut content).await;
        self.settle(node, &mut content);
        uploaded
    }

    /// Has all of a file here.
    async fn stage(&self, node: &Node, content: &mut Content) -> Result<(), Errno> {
        if current(node, content).is_some() {
            return Ok(());
        }
        let Some(etag) = node.etag() else { return Err(Errno::STALE) };
        content.piece = None;
        let mut staged = self.staging.file()?;
        let size = node.size();
        let mut at = 0;
        while at < size {
            let until = at.saturating_add(PART).min(size);
            let bytes = self.fetch(node, &etag, at..until).await?;
            self.staging.write(&mut staged, at, &bytes)?;
            at = until;
        }
        staged.copy_of = Some(etag);
        content.staged = Some(staged);
        node.set_local(true);
        Ok(())
    }

    /// Uploads what a file has more than the storage. When this succeeds, it is there.
    pub(crate) async fn sync(&self, id: u64) -> Result<(), Errno> {
        let node = self.node(id)?;
        if node.kind() == Kind::Folder {
            return Ok(());
        }
        let mut content = node.content.lock().await;
        self.upload(&node, &mut content).await
    }

    /// Closes a file. What could not be uploaded, as whoever closed it has been told, is given up.
    pub(crate) async fn release(&self, id: u64) {
        let Ok(node) = self.node(id) else { return };
        node.close();
        if node.opens() == 0 {
            let mut content = node.content.lock().await;
            if let Err(errno) = self.upload(&node, &mut content).await {
                (self.log)(&format!(
                    "gave up what was written to {:?}: {errno}",
                    node.path().to_string()
                ));
            }
            // It may have been opened meanwhile.
            if node.opens() == 0 {
                self.settle(&node, &mut content);
            }
        }
        self.tree.borrow_mut().sweep(&node);
    }

    /// From here on, a file is what the storage says.
    fn settle(&self, node: &Rc<Node>, content: &mut Content) {
        *content = Content::default();
        node.set_local(false);
        self.tree.borrow_mut().sweep(node);
    }

    /// Uploads everything that can be.
    pub(crate) async fn sync_all(&self) {
        let nodes = self.tree.borrow().local();
        for node in nodes {
            let mut content = node.content.lock().await;
            if let Err(errno) = self.upload(&node, &mut content).await {
                (self.log)(&format!(
                    "lost what was written to {:?}: {errno}",
                    node.path().to_string()
                ));
            }
        }
    }

    pub(super) async fn upload(&self, node: &Node, content: &mut Content) -> Result<(), Errno> {
        if !content.is_dirty || node.is_gone() {
            return Ok(());
        }
        let Some(staged) = &mut content.staged else { return Ok(()) };
        let key = self.keys.of_file(&node.path())?;
        let etag = if staged.size() <= PART {
            let _place = self.transfers.acquire().await;
            let body = staged.read(0, usize::try_from(PART).unwrap_or(usize::MAX))?;
            self.ask("write", &key, self.bucket.put(&key, body.into()).await)?
        } else {
            self.upload_parts(&key, staged).await?
        };
        staged.copy_of = Some(etag.clone());
        content.is_dirty = false;
        node.set_etag(etag);
        Ok(())
    }

    async fn upload_parts(&self, key: &str, staged: &StagedFile) -> Result<String, Errno> {
        let upload = self.ask("begin to write", key, self.bucket.begin(key).await)?;
        let mut tags = Vec::new();
        let mut at = 0;
        let done = loop {
            if at >= staged.size() {
                let completed = self.bucket.complete(key, &upload, &tags).await;
                break self.ask("complete", key, completed);
            }
            let _place = self.transfers.acquire().await;
            let body = match staged.read(at, usize::try_from(PART).unwrap_or(usize::MAX)) {
                Ok(body) => body,
                Err(errno) => break Err(errno),
            };
            let number = tags.len().saturating_add(1);
            match self.bucket.part(key, &upload, number, body.into()).await {
                Ok(tag) => tags.push(tag),
                Err(failure) => break self.ask("write a part of", key, Err(failure)),
            }
            at = at.saturating_add(PART);
        };
        if done.is_err() {
            // It takes room in the storage; it goes with the volume at the latest.
            self.bucket.abort(key, &upload).await.ok();
        }
        done
    }

    /// Takes the name of a file from it.
    pub(crate) async fn unlink(&self, parent: u64, name: &[u8]) -> Result<(), Errno> {
        let path = self.child(parent, name)?;
        let known = self.tree.borrow().at(&path);
        if known.as_ref().is_none_or(|node| !node.is_local())
            && self.find(&path).await? == Some(Found::Folder)
        {
            return Err(Errno::ISDIR);
        }
        let key = self.keys.of_file(&path)?;
        // What is being uploaded would be there again.
        let content = match &known {
            Some(node) => Some(node.content.lock().await),
            None => None,
        };
        self.ask("remove", &key, self.bucket.delete(&key).await)?;
        drop(self.tree.borrow_mut().detach(&path));
        drop(content);
        Ok(())
    }
}

/// The copy of a file that is here, if it is what the file is.
fn current<'c>(node: &Node, content: &'c Content) -> Option<&'c StagedFile> {
    let staged = content.staged.as_ref()?;
    let is_current = content.is_dirty || node.is_local() || staged.copy_of == node.etag();
    is_current.then_some(staged)
}

impl Content {
    /// The object has this tag now, and the same in it.
    pub(super) fn copied(&mut self, etag: &str) {
        self.piece = None;
        if let Some(staged) = &mut self.staged {
            staged.copy_of = Some(etag.to_owned());
        }
    }
}

impl Piece {
    fn end(&self) -> u64 {
        self.start.saturating_add(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }

    /// What there is from a place on.
    fn from(&self, etag: &str, at: u64) -> Option<&[u8]> {
        let skipped = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let found = self.bytes.get(skipped..).filter(|found| !found.is_empty())?;
        (self.etag == etag).then_some(found)
    }
}
