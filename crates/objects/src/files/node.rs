//! What the kernel knows by a number, and what is known of it here.

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::content::Content;
use super::{FRESH, Found};
use crate::bucket::Object;
use crate::key::VolumePath;

/// Whether something has contents or names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
}

/// What a program sees of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
}

/// A file or folder that the kernel knows.
#[derive(Debug)]
pub(crate) struct Node {
    id: u64,
    kind: Kind,
    path: RefCell<VolumePath>,
    lookups: Cell<u64>,
    opens: Cell<u64>,
    /// It was removed, or another took its name: nothing of it is uploaded any more.
    is_gone: Cell<bool>,
    /// What is here is what it is, whatever the storage says.
    is_local: Cell<bool>,
    size: Cell<u64>,
    modified: Cell<Timestamp>,
    /// That of the object it was last seen to be.
    etag: RefCell<Option<String>>,
    looked: Cell<Option<Instant>>,
    /// Held by whoever reads or changes what is in it.
    pub(super) content: Mutex<Content>,
}

impl Node {
    fn new(id: u64, kind: Kind, path: VolumePath, modified: Timestamp) -> Self {
        Self {
            id,
            kind,
            path: RefCell::new(path),
            lookups: Cell::new(0),
            opens: Cell::new(0),
            is_gone: Cell::new(false),
            is_local: Cell::new(false),
            size: Cell::new(0),
            modified: Cell::new(modified),
            etag: RefCell::new(None),
            looked: Cell::new(None),
            content: Mutex::default(),
        }
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn path(&self) -> Ref<'_, VolumePath> {
        self.path.borrow()
    }

    pub(crate) fn attributes(&self) -> Attributes {
        let (size, modified) = (self.size.get(), self.modified.get());
        Attributes { id: self.id, kind: self.kind, size, modified }
    }

    pub(super) fn look_up(&self) {
        self.lookups.set(self.lookups.get().saturating_add(1));
    }

    pub(super) const fn opens(&self) -> u64 {
        self.opens.get()
    }

    pub(super) fn open(&self) {
        self.opens.set(self.opens.get().saturating_add(1));
    }

    pub(super) fn close(&self) {
        self.opens.set(self.opens.get().saturating_sub(1));
    }

    pub(super) const fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    pub(super) fn lose_name(&self) {
        self.is_gone.set(true);
    }

    pub(super) const fn is_local(&self) -> bool {
        self.is_local.get()
    }

    pub(super) fn set_local(&self, is_local: bool) {
        self.is_local.set(is_local);
        self.looked.set(None);
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.looked.get().is_some_and(|looked| looked.elapsed() < FRESH)
    }

    pub(super) const fn size(&self) -> u64 {
        self.size.get()
    }

    pub(super) fn set_size(&self, size: u64) {
        self.size.set(size);
    }

    pub(super) fn set_modified(&self, modified: Timestamp) {
        self.modified.set(modified);
    }

    /// Has it be of another time, as long as anybody knows it.
    pub(crate) fn touch(&self, modified: Timestamp) {
        self.set_modified(modified);
    }

    pub(super) fn etag(&self) -> Option<String> {
        self.etag.borrow().clone()
    }

    pub(super) fn set_etag(&self, etag: String) {
        self.etag.replace(Some(etag));
        self.looked.set(Some(Instant::now()));
    }

    /// Takes what the storage says of it.
    pub(super) fn learn(&self, object: &Object) {
        if self.is_local() {
            return;
        }
        self.size.set(object.size);
        // What is the same keeps the time that it was written here, or was set.
        if self.etag.borrow().as_ref() != Some(&object.etag) {
            self.modified.set(object.modified);
        }
        self.set_etag(object.etag.clone());
    }
}

/// All nodes, by number and by path.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: HashMap<u64, Rc<Node>>,
    paths: HashMap<VolumePath, u64>,
    next: u64,
    began: Timestamp,
}

/// The number of the volume itself, for the kernel as well.
pub(crate) const ROOT: u64 = 1;

impl Tree {
    pub(super) fn new(began: Timestamp) -> Self {
        let root = Node::new(ROOT, Kind::Folder, VolumePath::default(), began);
        root.look_up();
        let root = Rc::new(root);
        Self {
            nodes: HashMap::from([(ROOT, root)]),
            paths: HashMap::from([(VolumePath::default(), ROOT)]),
            next: ROOT.saturating_add(1),
            began,
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<Rc<Node>> {
        self.nodes.get(&id).cloned()
    }

    pub(super) fn at(&self, path: &VolumePath) -> Option<Rc<Node>> {
        self.get(*self.paths.get(path)?)
    }

    /// The node for what was found at a path: the one that is there if it is of that kind.
    pub(super) fn adopt(&mut self, path: &VolumePath, found: &Found) -> Rc<Node> {
        let kind = match found {
            Found::Folder => Kind::Folder,
            Found::File(_) => Kind::File,
        };
        let present = self.at(path).filter(|node| node.kind() == kind);
        let node = present.unwrap_or_else(|| self.make(path, kind, self.began));
        if let Found::File(object) = found {
            node.learn(object);
        }
        node
    }

    /// A new node at a path. What was there loses its name.
    pub(super) fn make(&mut self, path: &VolumePath, kind: Kind, modified: Timestamp) -> Rc<Node> {
        self.detach(path);
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let node = Rc::new(Node::new(id, kind, path.clone(), modified));
        self.nodes.insert(id, Rc::clone(&node));
        self.paths.insert(path.clone(), id);
        node
    }

    /// Takes its name from what is at a path.
    pub(super) fn detach(&mut self, path: &VolumePath) -> Option<Rc<Node>> {
        let id = self.paths.remove(path)?;
        let node = self.get(id)?;
        node.lose_name();
        self.sweep(&node);
        Some(node)
    }

    /// Something at a path was removed by somebody else.
    pub(super) fn forget_path(&mut self, path: &VolumePath) {
        drop(self.detach(path));
    }

    /// Gives a node another path. What was there loses its name.
    pub(super) fn rename(&mut self, node: &Rc<Node>, path: VolumePath) {
        self.detach(&path);
        let old = node.path().clone();
        if self.paths.get(&old) == Some(&node.id()) {
            self.paths.remove(&old);
        }
        self.paths.insert(path.clone(), node.id());
        node.path.replace(path);
    }

    pub(super) fn forget(&mut self, id: u64, count: u64) {
        let Some(node) = self.get(id) else { return };
        node.lookups.set(node.lookups.get().saturating_sub(count));
        self.sweep(&node);
    }

    /// Drops a node that neither the kernel nor a program knows any more.
    pub(super) fn sweep(&mut self, node: &Rc<Node>) {
        let is_needed = node.id() == ROOT
            || node.lookups.get() > 0
            || node.opens() > 0
            || (node.is_local() && !node.is_gone());
        if is_needed {
            return;
        }
        self.nodes.remove(&node.id());
        let path = node.path().clone();
        if self.paths.get(&path) == Some(&node.id()) {
            self.paths.remove(&path);
        }
    }

    /// Files in a folder that this process knows better than the storage.
    pub(super) fn local_in(&self, folder: &VolumePath) -> Vec<Rc<Node>> {
        let in_folder =
            |node: &&Rc<Node>| node.is_local() && !node.is_gone() && node.path().is_in(folder);
        self.nodes.values().filter(in_folder).cloned().collect()
    }

    /// All files that this process knows better than the storage.
    pub(super) fn local(&self) -> Vec<Rc<Node>> {
        let is_local = |node: &&Rc<Node>| node.is_local() && !node.is_gone();
        self.nodes.values().filter(is_local).cloned().collect()
    }
}
