//! The index of contexts and of unfinished uploads.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use pitlane_model::{OrganizationId, Timestamp};

use super::Tidied;
use crate::context::{Context, Stored};
use crate::error::FinishError;
use crate::key::{ContextHash, ContextKey};
use crate::limits::ContextLimits;
use crate::upload::Upload;

#[derive(Debug, Default)]
pub(crate) struct Shelf {
    contexts: HashMap<OrganizationId, BTreeMap<ContextHash, Arc<Stored>>>,
    /// Without a key, perhaps still read.
    condemned: Vec<Arc<Stored>>,
    pub(crate) uploads: HashMap<String, Arc<Upload>>,
}

impl Shelf {
    pub(super) fn find(&self, key: &ContextKey) -> Option<Context> {
        let own = self.contexts.get(&key.organization)?;
        own.get(&key.hash).map(|stored| Context(Arc::clone(stored)))
    }

    pub(super) fn list(
        &self,
        organization: OrganizationId,
        after: Option<&ContextHash>,
        limit: usize,
    ) -> Vec<Context> {
        let Some(own) = self.contexts.get(&organization) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = own.range::<ContextHash, _>((from, Bound::Unbounded));
        behind.take(limit).map(|(_, stored)| Context(Arc::clone(stored))).collect()
    }

    /// Takes over a file; of two under one key the later one has it.
    pub(super) fn adopt(&mut self, stored: Stored) {
        let earlier = self.find(&stored.key);
        let is_later = earlier
            .is_none_or(|Context(it)| (it.modified, &it.path) < (stored.modified, &stored.path));
        let stored = Arc::new(stored);
        if is_later { self.set(stored) } else { self.condemned.push(stored) }
    }

    /// Gives a key to what has a file.
    pub(super) fn put(
        &mut self,
        stored: Stored,
        limits: &ContextLimits,
        now: Timestamp,
        only_if_absent: bool,
    ) -> Result<Context, FinishError> {
        let organization = stored.key.organization;
        let stored = Arc::new(stored);
        let is_new = self.find(&stored.key).is_none();
        if only_if_absent && !is_new {
            self.condemned.push(stored);
            return Err(FinishError::Taken);
        }
        let maximum = limits.organization_contexts;
        let count = |shelf: &Self| shelf.contexts.get(&organization).map_or(0, BTreeMap::len);
        if is_new && count(self) >= maximum {
            self.make_room(organization, 1, now);
        }
        if is_new && count(self) >= maximum {
            self.condemned.push(stored);
            return Err(FinishError::TooMany { maximum });
        }
        self.set(Arc::clone(&stored));
        Ok(Context(stored))
    }

    fn set(&mut self, stored: Arc<Stored>) {
        let own = self.contexts.entry(stored.key.organization).or_default();
        self.condemned.extend(own.insert(stored.key.hash.clone(), stored));
    }

    /// Takes its context from a key; answers whose it was.
    pub(super) fn condemn(&mut self, key: &ContextKey) -> Option<OrganizationId> {
        let own = self.contexts.get_mut(&key.organization)?;
        self.condemned.push(own.remove(&key.hash)?);
        if own.is_empty() {
            self.contexts.remove(&key.organization);
        }
        Some(key.organization)
    }

    /// Takes their keys from contexts that an organization has not used for the longest time, until they make so many
    /// bytes.
    pub(super) fn make_room(&mut self, organization: OrganizationId, bytes: u64, now: Timestamp) {
        let Some(own) = self.contexts.get(&organization) else { return };
        let mut unused: Vec<&Arc<Stored>> = own
            .values()
            .filter(|it| is_idle(it) && now.since(it.used()) >= ContextLimits::GRACE)
            .collect();
        unused.sort_by_key(|stored| stored.used());
        let mut freed = 0_u64;
        let mut keys = Vec::new();
        for stored in unused {
            if freed >= bytes {
                break;
            }
            freed = freed.saturating_add(stored.bytes.max(1));
            keys.push(stored.key.clone());
        }
        for key in &keys {
            self.condemn(key);
        }
    }

    /// Takes out what was condemned and is read by nobody.
    pub(super) fn dead(&mut self) -> Vec<Arc<Stored>> {
        self.condemned.extract_if(.., |stored| is_idle(stored)).collect()
    }

    /// Takes their keys from what nobody used for long; takes uploads out that were left alone; says whose use is to be
    /// noted.
    pub(super) fn tidy(
        &mut self,
        now: Timestamp,
        limits: &ContextLimits,
        is_there: impl Fn(OrganizationId) -> bool,
    ) -> (Tidied, Vec<Arc<Upload>>, Vec<Arc<Stored>>) {
        let mut keys = Vec::new();
        let mut used = Vec::new();
        for stored in self.contexts.values().flat_map(BTreeMap::values) {
            let is_over = now.since(stored.used()) > limits.keep && is_idle(stored);
            if is_over || !is_there(stored.key.organization) {
                keys.push(stored.key.clone());
            } else if stored.has_use_to_note() {
                used.push(Arc::clone(stored));
            }
        }
        for key in &keys {
            self.condemn(key);
        }
        let forgotten: Vec<Arc<Upload>> = self
            .uploads
            .extract_if(|_, upload| {
                let is_left = now.since(upload.touched()) > limits.upload_patience;
                let is_idle = Arc::strong_count(upload) == 1;
                is_left && is_idle || !is_there(upload.key.organization)
            })
            .map(|(_, upload)| upload)
            .collect();
        (Tidied { contexts: keys.len(), uploads: forgotten.len() }, forgotten, used)
    }
}

/// Whether nobody but the shelf has it.
fn is_idle(stored: &Arc<Stored>) -> bool {
    Arc::strong_count(stored) == 1
}
