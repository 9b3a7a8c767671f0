//! Which sandboxes there are, by id and by name.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pitlane_model::{OrganizationId, SandboxId, SandboxName};

use super::entry::Entry;

/// The sandboxes of all organizations. One on its way out is found by its id alone: its name is free.
#[derive(Debug)]
pub(super) struct Directory(RwLock<Indices>);

#[derive(Debug, Default)]
struct Indices {
    by_id: HashMap<SandboxId, Arc<Entry>>,
    by_name: HashMap<OrganizationId, HashMap<String, SandboxId>>,
}

impl Directory {
    pub(super) fn new() -> Self {
        Self(RwLock::new(Indices::default()))
    }

    /// Adds a sandbox, or gives back the name that another one of its organization has.
    pub(super) fn insert(&self, entry: &Arc<Entry>) -> Result<(), SandboxName> {
        let mut indices = self.write();
        let names = indices.by_name.entry(entry.organization).or_default();
        if names.contains_key(entry.name.as_str()) {
            return Err(entry.name.clone());
        }
        names.insert(entry.name.as_str().to_owned(), entry.id);
        indices.by_id.insert(entry.id, Arc::clone(entry));
        Ok(())
    }

    /// Adds a sandbox that is on its way out and has given its name back.
    pub(super) fn insert_nameless(&self, entry: &Arc<Entry>) {
        self.write().by_id.insert(entry.id, Arc::clone(entry));
    }

    /// Gives a sandbox's name back, if it still has it.
    pub(super) fn free_name(&self, entry: &Entry) {
        let mut indices = self.write();
        if let Some(names) = indices.by_name.get_mut(&entry.organization)
            && names.get(entry.name.as_str()) == Some(&entry.id)
        {
            names.remove(entry.name.as_str());
        }
    }

    /// Forgets a sandbox.
    pub(super) fn remove(&self, entry: &Entry) {
        self.free_name(entry);
        self.write().by_id.remove(&entry.id);
    }

    /// The sandbox of this id, whoever owns it.
    pub(super) fn any(&self, id: SandboxId) -> Option<Arc<Entry>> {
        self.read().by_id.get(&id).cloned()
    }

    pub(super) fn by_id(&self, organization: OrganizationId, id: SandboxId) -> Option<Arc<Entry>> {
        self.any(id).filter(|entry| entry.organization == organization)
    }

    /// By id, else by name.
    pub(super) fn find(
        &self,
        organization: OrganizationId,
        id_or_name: &str,
    ) -> Option<Arc<Entry>> {
        let by_id = id_or_name.parse().ok().and_then(|id| self.by_id(organization, id));
        by_id.or_else(|| {
            let indices = self.read();
            let id = indices.by_name.get(&organization)?.get(id_or_name)?;
            indices.by_id.get(id).cloned()
        })
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.read().by_id.values().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Indices> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Indices> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
