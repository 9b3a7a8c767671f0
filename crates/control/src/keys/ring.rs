//! The keys that work and the organizations whose they are, in memory.
//!
//! A key is found by the SHA-256 of its text, in a table whose order nobody outside knows. What the time of a search
//! could tell is about that hash, from which no text can be found: keys have 256 random bits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use pitlane_model::{ApiKey, KeyHash, KeyId, Organization, OrganizationId, Permission, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Every key of every organization.
#[derive(Debug)]
pub(crate) struct Ring {
    known: RwLock<Known>,
    /// Counts keys that stopped working, and those whose time of ending is new.
    endings: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    by_hash: HashMap<KeyHash, Arc<Held>>,
    by_id: HashMap<KeyId, Arc<Held>>,
    organizations: HashMap<OrganizationId, Organization>,
    /// Keys that work no more and whose rows may still be there: whose they are, and their names.
    unforgotten: HashMap<KeyId, (OrganizationId, String)>,
}

/// A key, and what is noted about it while it works.
#[derive(Debug)]
pub(crate) struct Held {
    key: ApiKey,
    permissions: Arc<[Permission]>,
    validity: CancellationToken,
    last_used: AtomicI64,
    saved_use: AtomicI64,
}

const NEVER: i64 = i64::MIN;

impl Ring {
    pub(crate) fn new(organizations: Vec<Organization>, keys: Vec<ApiKey>) -> Self {
        let mut known = Known::default();
        known.organizations.extend(organizations.into_iter().map(|row| (row.id, row)));
        for key in keys {
            known.admit(key);
        }
        Self { known: RwLock::new(known), endings: watch::Sender::new(0) }
    }

    pub(super) fn by_hash(&self, hash: &KeyHash) -> Option<Arc<Held>> {
        self.read().by_hash.get(hash).cloned()
    }

    pub(crate) fn by_id(&self, id: KeyId) -> Option<Arc<Held>> {
        self.read().by_id.get(&id).cloned()
    }

    /// The keys of one organization, the oldest first.
    pub(super) fn of(&self, organization: OrganizationId) -> Vec<ApiKey> {
        let known = self.read();
        let own = known.by_id.values().filter(|held| held.key.organization == organization);
        let mut keys: Vec<ApiKey> = own.map(|held| held.view()).collect();
        keys.sort_by_key(|key| (key.created_at, key.id));
        keys
    }

    pub(super) fn count(&self, organization: OrganizationId) -> usize {
        let known = self.read();
        known.by_id.values().filter(|held| held.key.organization == organization).count()
    }

    pub(super) fn admit(&self, key: ApiKey) {
        self.write().admit(key);
        self.endings.send_modify(|count| *count += 1);
    }

    /// Forgets a key: from now on it proves nothing, and whatever was opened with it ends. One whose row could not be
    /// removed before is found once more. [`Self::forgotten`] says that the row is gone.
    pub(crate) fn expel(&self, organization: OrganizationId, name: &str) -> Option<KeyId> {
        let id = {
            let mut known = self.write();
            let is_meant =
                |held: &&Arc<Held>| held.key.organization == organization && held.key.name == name;
            let Some(id) = known.by_id.values().find(is_meant).map(|held| held.key.id) else {
                let mut left = known.unforgotten.iter();
                let is_meant = |(_, (owner, left)): &(&KeyId, &(OrganizationId, String))| {
                    *owner == organization && left == name
                };
                return left.find(is_meant).map(|(id, _)| *id);
            };
            known.unforgotten.insert(id, (organization, name.to_owned()));
            known.expel(id);
            id
        };
        self.endings.send_modify(|count| *count += 1);
        Some(id)
    }

    /// Keys that work no more and whose rows may still be there.
    pub(super) fn unforgotten(&self) -> Vec<KeyId> {
        self.read().unforgotten.keys().copied().collect()
    }

    /// The row of a key is gone.
    pub(super) fn forgotten(&self, id: KeyId) {
        self.write().unforgotten.remove(&id);
    }

    /// Ends what was opened with keys whose time is over. Answers how long it is until the next one's is.
    pub(super) fn end_expired(&self, now: Timestamp) -> Option<Duration> {
        let mut has_ended = false;
        let mut next: Option<Duration> = None;
        for held in self.read().by_id.values().filter(|held| !held.validity.is_cancelled()) {
            let Some(end) = held.key.expires_at else { continue };
            if end <= now {
                held.validity.cancel();
                has_ended = true;
            } else {
                let left = end.since(now);
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        if has_ended {
            self.endings.send_modify(|count| *count += 1);
        }
        next
    }

    /// Changes whenever keys stop working or come in.
    pub(super) fn endings(&self) -> watch::Receiver<u64> {
        self.endings.subscribe()
    }

    /// When keys were last shown, of those for which that is not written down yet.
    pub(super) fn unsaved_uses(&self) -> Vec<(KeyId, Timestamp)> {
        let known = self.read();
        let uses = known.by_id.iter().map(|(id, held)| (*id, held));
        uses.filter_map(|(id, held)| Some((id, held.unsaved_use()?))).collect()
    }

    pub(super) fn saved_uses(&self, uses: &[(KeyId, Timestamp)]) {
        let known = self.read();
        for (id, at) in uses {
            if let Some(held) = known.by_id.get(id) {
                held.saved_use.fetch_max(at.as_micros(), Ordering::Relaxed);
            }
        }
    }

    /// All organizations, the oldest first.
    pub(crate) fn organizations(&self) -> Vec<Organization> {
        let mut all: Vec<_> = self.read().organizations.values().cloned().collect();
        all.sort_by_key(|organization| (organization.created_at, organization.id));
        all
    }

    pub(crate) fn organization(&self, id: OrganizationId) -> Option<Organization> {
        self.read().organizations.get(&id).cloned()
    }

    pub(crate) fn admit_organization(&self, organization: Organization) {
        self.write().organizations.insert(organization.id, organization);
    }

    /// Forgets an organization and all its keys.
    pub(crate) fn expel_organization(&self, id: OrganizationId) {
        {
            let mut known = self.write();
            known.organizations.remove(&id);
            let own = known.by_id.values().filter(|held| held.key.organization == id);
            for key in own.map(|held| held.key.id).collect::<Vec<_>>() {
                known.expel(key);
            }
        }
        self.endings.send_modify(|count| *count += 1);
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn admit(&mut self, key: ApiKey) {
        let held = Arc::new(Held::new(key));
        self.by_hash.insert(held.key.hash, Arc::clone(&held));
        self.by_id.insert(held.key.id, held);
    }

    fn expel(&mut self, id: KeyId) {
        if let Some(held) = self.by_id.remove(&id) {
            self.by_hash.remove(&held.key.hash);
            held.validity.cancel();
        }
    }
}

impl Held {
    fn new(key: ApiKey) -> Self {
        let last_used = key.last_used_at.map_or(NEVER, Timestamp::as_micros);
        Self {
            permissions: key.permissions.clone().into(),
            validity: CancellationToken::new(),
            last_used: AtomicI64::new(last_used),
            saved_use: AtomicI64::new(last_used),
            key,
        }
    }

    pub(super) fn id(&self) -> KeyId {
        self.key.id
    }

    pub(crate) fn organization(&self) -> OrganizationId {
        self.key.organization
    }

    pub(super) fn permissions(&self) -> Arc<[Permission]> {
        Arc::clone(&self.permissions)
    }

    /// Cancelled when it stops working.
    pub(crate) fn validity(&self) -> &CancellationToken {
        &self.validity
    }

    /// Whether it proves something at this time. One that has stopped does not begin again.
    pub(crate) fn works_at(&self, now: Timestamp) -> bool {
        !self.validity.is_cancelled() && self.key.expires_at.is_none_or(|end| end > now)
    }

    pub(super) fn use_at(&self, now: Timestamp) {
        self.last_used.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    /// The key as its owner sees it.
    pub(super) fn view(&self) -> ApiKey {
        ApiKey { last_used_at: self.last_use(), ..self.key.clone() }
    }

    fn last_use(&self) -> Option<Timestamp> {
        let micros = self.last_used.load(Ordering::Relaxed);
        (micros != NEVER).then(|| Timestamp::from_micros(micros))
    }

    fn unsaved_use(&self) -> Option<Timestamp> {
        self.last_use().filter(|at| at.as_micros() > self.saved_use.load(Ordering::Relaxed))
    }
}
