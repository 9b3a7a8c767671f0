//! API keys: who may ask for what.
//!
//! Every key that works is in memory, so that checking one touches no database and takes the same time whatever is
//! wrong with it. A key is revoked in memory first: it stops working at once, and what was opened with it ends. When a
//! key was last used is noted in memory as well and written down in the background.

mod error;
pub(crate) mod ring;
mod text;
mod upkeep;

use std::sync::Arc;

use pitlane_model::{ApiKey, KeyId, Organization, OrganizationId, Permission, Timestamp};
use pitlane_store::{Store, WriteError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::error::{AuthenticateError, BootstrapError, CreateKeyError, RevokeKeyError};
use self::ring::{Held, Ring};
pub use self::text::KeyText;
use self::text::hash_of;
use crate::{Clock, Principal, Random};

/// The longest name of a key, in characters.
const MAX_NAME_CHARACTERS: usize = 255;

/// How many keys one organization may have: all of them are in memory.
const MAX_KEYS: usize = 10_000;

/// The word that clients put where a key's name stands, for the key that they show.
const CURRENT: &str = "current";

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

impl Keys {
    /// Takes the ring over and starts what happens to keys by itself, in `tasks` until `ending`.
    pub(crate) fn start(
        ring: Arc<Ring>,
        store: Store,
        clock: Clock,
        random: Random,
        tasks: TaskTracker,
        ending: CancellationToken,
    ) -> Self {
        tasks.spawn(upkeep::keep(Arc::clone(&ring), store.clone(), clock.clone(), ending));
        Self { store, clock, random, tasks, ring }
    }

    /// Finds out who shows this token, and notes that its key was used.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError`]: nobody we know; show a valid key.
    pub fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let held = self.ring.by_hash(&hash_of(token)).ok_or(AuthenticateError::Unknown)?;
        let now = self.clock.now();
        if !held.works_at(now) {
            return Err(AuthenticateError::Expired);
        }
        held.use_at(now);
        Ok(Principal {
            organization: held.organization(),
            key: held.id(),
            permissions: held.permissions(),
        })
    }

    /// Cancelled when the key that a caller showed stops working: revoked, or its time over. Whatever goes on for the
    /// caller ends then.
    #[must_use]
    pub fn validity(&self, principal: &Principal) -> CancellationToken {
        self.ring.by_id(principal.key).map_or_else(ended, |held| held.validity().clone())
    }

    /// Changes whenever keys stop working, and at other times, too: look with [`Keys::validity`] then.
    #[must_use]
    pub fn endings(&self) -> watch::Receiver<u64> {
        self.ring.endings()
    }

    /// The key that a caller showed; `None` if it was revoked meanwhile.
    #[must_use]
    pub fn current(&self, principal: &Principal) -> Option<ApiKey> {
        self.ring.by_id(principal.key).map(|held| Held::view(&held))
    }

    /// The keys of the organization that the caller acts for, the oldest first.
    #[must_use]
    pub fn list(&self, principal: &Principal) -> Vec<ApiKey> {
        self.ring.of(principal.organization)
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
        self.check(principal.organization, &request)?;
        let (key, text) = self.generate(principal.organization, request)?;
        let (store, ring, row) = (self.store.clone(), Arc::clone(&self.ring), key.clone());
        let kept = self.tasks.spawn(async move {
            pitlane_fault::point("key.decided");
            store.insert_key(row.clone()).await?;
            pitlane_fault::point("key.row-written");
            ring.admit(row);
            Ok(())
        });
        match finished(kept).await {
            Ok(()) => Ok((key, text)),
            Err(WriteError::Taken) => Err(CreateKeyError::NameTaken { name: key.name }),
            Err(cause) => Err(CreateKeyError::Store { cause }),
        }
    }

    /// Revokes a key of the organization that the caller acts for, by its name. It stops working at once.
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
        let (store, ring) = (self.store.clone(), Arc::clone(&self.ring));
        let forgotten = self.tasks.spawn(async move {
            pitlane_fault::point("key.expelled");
            store.delete_key(id).await?;
            pitlane_fault::point("key.row-deleted");
            ring.forgotten(id);
            Ok(())
        });
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
        if !self.ring.organizations().is_empty() {
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
        pitlane_fault::point("first-key.handed-over");
        self.store.insert_organization(organization.clone(), key.clone()).await?;
        pitlane_fault::point("first-key.row-written");
        self.ring.admit_organization(organization);
        self.ring.admit(key);
        Ok(Some(text))
    }

    /// Writes down what is only in memory so far.
    pub(crate) async fn flush(&self) {
        upkeep::flush(&self.ring, &self.store).await;
    }

    fn check(
        &self,
        organization: OrganizationId,
        request: &CreateKey,
    ) -> Result<(), CreateKeyError> {
        let CreateKey { name, expires_at, .. } = request;
        if !is_name(name) || name == CURRENT {
            return Err(CreateKeyError::Name);
        }
        if expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(CreateKeyError::Past);
        }
        if self.ring.count(organization) >= MAX_KEYS {
            return Err(CreateKeyError::TooMany { maximum: MAX_KEYS });
        }
        Ok(())
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

/// Whether a text can name a key or an organization.
pub(crate) fn is_name(text: &str) -> bool {
    let characters = text.chars().count();
    (1..=MAX_NAME_CHARACTERS).contains(&characters) && !text.chars().any(char::is_control)
}

/// What a task answered; one that ended without an answer wrote nothing that counts.
pub(crate) async fn finished(task: JoinHandle<Result<(), WriteError>>) -> Result<(), WriteError> {
    task.await.unwrap_or(Err(WriteError::Closed))
}

/// The token of what is over.
fn ended() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}
