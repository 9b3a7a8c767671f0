//! API keys: who may ask for what.
//!
//! Every key that works is in memory, found by the hash of its text, so that checking one touches no database and
//! takes the same time whatever is wrong with it. A key is revoked in memory first: it stops working at once.

mod error;
mod text;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use pitlane_model::{ApiKey, KeyHash, KeyId, Organization, OrganizationId, Permission, Timestamp};
use pitlane_store::{ReadError, Store, WriteError};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use self::error::{AuthenticateError, BootstrapError, CreateKeyError, RevokeKeyError};
pub use self::text::KeyText;
use self::text::hash_of;
use crate::{Clock, Principal, Random};

/// The longest name of a key, in characters.
const MAX_NAME_CHARACTERS: usize = 255;

/// A key as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateKey {
    /// What its owner calls it, unique in the organization.
    pub name: String,
    /// What it may do: no more than the key that asks.
    pub permissions: Vec<Permission>,
    /// When it stops working; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// The keys of all organizations.
#[derive(Debug)]
pub struct Keys {
    store: Store,
    clock: Clock,
    random: Random,
    tasks: TaskTracker,
    ring: Arc<Ring>,
}

/// The keys that work.
#[derive(Debug)]
struct Ring(RwLock<HashMap<KeyHash, Known>>);

#[derive(Debug)]
struct Known {
    key: ApiKey,
    permissions: Arc<[Permission]>,
}

impl Keys {
    pub(crate) async fn load(
        store: Store,
        clock: Clock,
        random: Random,
        tasks: TaskTracker,
    ) -> Result<Self, ReadError> {
        let by_hash = store.keys().await?.into_iter().map(Known::entry).collect();
        Ok(Self { store, clock, random, tasks, ring: Arc::new(Ring(RwLock::new(by_hash))) })
    }

    /// Finds out who shows this token.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError`]: nobody we know; show a valid key.
    pub fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let hash = hash_of(token);
        let known = self.ring.read();
        let known = known.get(&hash).ok_or(AuthenticateError::Unknown)?;
        if known.key.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(AuthenticateError::Expired);
        }
        Ok(Principal {
            organization: known.key.organization,
            key: known.key.id,
            permissions: Arc::clone(&known.permissions),
        })
    }

    /// The key that a caller showed; `None` if it was revoked meanwhile.
    #[must_use]
    pub fn current(&self, principal: &Principal) -> Option<ApiKey> {
        let known = self.ring.read();
        known.values().find(|known| known.key.id == principal.key).map(|known| known.key.clone())
    }

    /// The keys of the caller's organization, the oldest first.
    #[must_use]
    pub fn list(&self, principal: &Principal) -> Vec<ApiKey> {
        let known = self.ring.read();
        let mut keys: Vec<ApiKey> = known
            .values()
            .filter(|known| known.key.organization == principal.organization)
            .map(|known| known.key.clone())
            .collect();
        keys.sort_by_key(|key| (key.created_at, key.id));
        keys
    }

    /// Makes a key. Its text is in the answer and nowhere else.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`CreateKeyError`]: no key was made.
    pub async fn create(
        &self,
        principal: &Principal,
        request: CreateKey,
    ) -> Result<(ApiKey, KeyText), CreateKeyError> {
        principal.require(Permission::ManageKeys)?;
        for permission in &request.permissions {
            principal.require(*permission)?;
        }
        let characters = request.name.chars().count();
        if characters == 0
            || characters > MAX_NAME_CHARACTERS
            || request.name.chars().any(char::is_control)
        {
            return Err(CreateKeyError::Name);
        }
        let (key, text) = self.generate(principal.organization, request)?;
        let (store, ring, row) = (self.store.clone(), Arc::clone(&self.ring), key.clone());
        let kept = self.tasks.spawn(async move {
            store.insert_key(row.clone()).await?;
            ring.admit(row);
            Ok(())
        });
        match finished(kept).await {
            Ok(()) => Ok((key, text)),
            Err(WriteError::Taken) => Err(CreateKeyError::NameTaken { name: key.name }),
            Err(cause) => Err(CreateKeyError::Store { cause }),
        }
    }

    /// Revokes a key of the caller's organization, by its name. It stops working at once.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`RevokeKeyError::NotFound`]: there is none. Otherwise see the variants.
    pub async fn revoke(&self, principal: &Principal, name: &str) -> Result<(), RevokeKeyError> {
        principal.require(Permission::ManageKeys)?;
        let Some(id) = self.ring.expel(principal.organization, name) else {
            return Err(RevokeKeyError::NotFound { name: name.to_owned() });
        };
        let store = self.store.clone();
        let forgotten = self.tasks.spawn(async move { store.delete_key(id).await });
        finished(forgotten).await.map_err(|cause| RevokeKeyError::Store { cause })
    }

    /// Makes the default organization and its administrator's key if there is no organization yet.
    ///
    /// `hand_over` gets the key's text before anything is stored, so that a crash in between leaves no key that
    /// nobody knows; it is not called when there is an organization. Answers the text if one was made.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`]: there is no first key; call again.
    pub async fn bootstrap(
        &self,
        hand_over: impl FnOnce(&KeyText) -> std::io::Result<()> + Send,
    ) -> Result<Option<KeyText>, BootstrapError> {
        if !self.store.organizations().await?.is_empty() {
            return Ok(None);
        }
        let organization = Organization {
            id: OrganizationId::from_random(self.random.bytes()?),
            name: "default".to_owned(),
            created_at: self.clock.now(),
        };
        let request = CreateKey {
            name: "administrator".to_owned(),
            permissions: Permission::ALL.to_vec(),
            expires_at: None,
        };
        let (key, text) = self.generate(organization.id, request)?;
        hand_over(&text).map_err(BootstrapError::HandOver)?;
        self.store.insert_organization(organization, key.clone()).await?;
        self.ring.admit(key);
        Ok(Some(text))
    }

    fn generate(
        &self,
        organization: OrganizationId,
        request: CreateKey,
    ) -> Result<(ApiKey, KeyText), crate::NoRandomness> {
        let text = KeyText::generate(&self.random)?;
        let key = ApiKey {
            id: KeyId::from_random(self.random.bytes()?),
            organization,
            name: request.name,
            hash: hash_of(text.expose()),
            hint: text.hint(),
            permissions: request.permissions,
            created_at: self.clock.now(),
            expires_at: request.expires_at,
            last_used_at: None,
        };
        Ok((key, text))
    }
}

impl Ring {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<KeyHash, Known>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, key: ApiKey) {
        let (hash, known) = Known::entry(key);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(hash, known);
    }

    fn expel(&self, organization: OrganizationId, name: &str) -> Option<KeyId> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (hash, id) = known
            .values()
            .map(|known| &known.key)
            .find(|key| key.organization == organization && key.name == name)
            .map(|key| (key.hash, key.id))?;
        known.remove(&hash);
        Some(id)
    }
}

/// What a task answered; one that ended without an answer wrote nothing that counts.
async fn finished(task: JoinHandle<Result<(), WriteError>>) -> Result<(), WriteError> {
    task.await.unwrap_or(Err(WriteError::Closed))
}

impl Known {
    fn entry(key: ApiKey) -> (KeyHash, Self) {
        (key.hash, Self { permissions: key.permissions.clone().into(), key })
    }
}
