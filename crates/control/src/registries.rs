//! Registries of images that organizations have passwords for, and whose images are that came for them.
//!
//! A password is for images of the organization that gave it and for one registry, or one project in it; it is encrypted
//! where it is kept and shown to nobody but that registry. An image that a registry gave for a password is the
//! organization's own: another one that names it has to show its own registry a password of its own. What a registry
//! gives without asking who wants it is everybody's, as is what the operator pulls.

mod address;
mod error;
mod seal;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pitlane_driver::{Driver, ImageProgress, PrepareImageError, PreparedImage};
use pitlane_model::{
    ImageAccess, ImageOwner, ImageReference, OrganizationId, Permission, RegistryId, RegistryLogin,
    StoredRegistry,
};
use pitlane_store::{ReadError, Store, WriteError};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use self::address::{Address, project};
pub use self::error::{DeleteRegistryError, FindRegistryError, SaveRegistryError};
use self::seal::{SealError, Sealer};
use crate::keys::{finished, is_name};
use crate::{Clock, Principal, Random, ServerSecret};

/// How many an organization may have: all of them are in memory.
const MAX_REGISTRIES: usize = 100;
const MAX_PASSWORD_BYTES: usize = 64 * 1024;

/// A registry as a caller adds it.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateRegistry {
    /// What it is called, unique in the organization.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The name there.
    pub user: String,
    /// The password or token.
    pub password: String,
    /// What paths of images begin with that the password is for; empty for all.
    pub project: String,
}

/// A registry as a caller changes it.
#[derive(Clone, PartialEq, Eq)]
pub struct UpdateRegistry {
    /// What it is called from now on.
    pub name: String,
    /// Where it is from now on.
    pub url: String,
    /// The name there from now on.
    pub user: String,
    /// Another password, which has to be given with another address or user.
    pub password: Option<String>,
    /// Another project.
    pub project: Option<String>,
}

impl fmt::Debug for CreateRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateRegistry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for UpdateRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateRegistry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The registries of all organizations.
pub struct Registries {
    sealer: Option<Sealer>,
    store: Store,
    driver: Arc<dyn Driver>,
    clock: Clock,
    random: Random,
    tasks: TaskTracker,
    known: Arc<RwLock<HashMap<RegistryId, StoredRegistry>>>,
    /// Whoever changes which there are has the turn.
    turn: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").finish_non_exhaustive()
    }
}

/// What registries need from around them.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) secret: ServerSecret,
    pub(crate) store: Store,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) tasks: TaskTracker,
}

impl Registries {
    /// Reads what there is.
    pub(crate) async fn load(around: Surroundings) -> Result<Arc<Self>, ReadError> {
        let Surroundings { secret, store, driver, clock, random, tasks } = around;
        let known = store.registries().await?.into_iter().map(|row| (row.id, row)).collect();
        Ok(Arc::new(Self {
            sealer: Sealer::new(&secret),
            store,
            driver,
            clock,
            random,
            tasks,
            known: Arc::new(RwLock::new(known)),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// Adds a registry to the caller's organization. Nobody is asked whether the password is right.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`SaveRegistryError`]: none was added.
    pub async fn create(
        &self,
        principal: &Principal,
        request: CreateRegistry,
    ) -> Result<StoredRegistry, SaveRegistryError> {
        principal.require(Permission::WriteRegistries)?;
        let _turn = self.turn.lock().await;
        if self.of(principal.organization).len() >= MAX_REGISTRIES {
            return Err(SaveRegistryError::TooMany { maximum: MAX_REGISTRIES });
        }
        let now = self.clock.now();
        let CreateRegistry { name, url, user, password, project } = request;
        let row = StoredRegistry {
            id: RegistryId::from_random(self.random.bytes()?),
            organization: principal.organization,
            name,
            host: String::new(),
            url,
            user,
            project,
            sealed: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        let row = self.check(row)?;
        let row = self.seal(row, &password)?;
        self.save(row).await
    }

    /// The registries of the caller's organization, the oldest first.
    ///
    /// # Errors
    ///
    /// [`FindRegistryError::Forbidden`]: use another key.
    pub fn list(&self, principal: &Principal) -> Result<Vec<StoredRegistry>, FindRegistryError> {
        may_read(principal)?;
        Ok(self.of(principal.organization))
    }

    /// One of them, by its id.
    ///
    /// # Errors
    ///
    /// [`FindRegistryError::NotFound`]: there is none of this id.
    pub fn find(
        &self,
        principal: &Principal,
        id: &str,
    ) -> Result<StoredRegistry, FindRegistryError> {
        may_read(principal)?;
        self.own(principal, id)
    }

    /// Changes a registry of the caller's organization.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`SaveRegistryError`]: it is as it was.
    pub async fn update(
        &self,
        principal: &Principal,
        id: &str,
        request: UpdateRegistry,
    ) -> Result<StoredRegistry, SaveRegistryError> {
        principal.require(Permission::WriteRegistries)?;
        let _turn = self.turn.lock().await;
        let present = self.own(principal, id)?;
        let UpdateRegistry { name, url, user, password, project } = request;
        let changed = StoredRegistry {
            name,
            url,
            user,
            project: project.unwrap_or_else(|| present.project.clone()),
            updated_at: self.clock.now(),
            ..present.clone()
        };
        let changed = self.check(changed)?;
        let changed = match password {
            Some(password) => self.seal(changed, &password)?,
            None if (&changed.host, &changed.user) == (&present.host, &present.user) => changed,
            // Whoever may change a registry need not know its password, and has it sent nowhere else.
            None => return Err(SaveRegistryError::PasswordAgain),
        };
        self.save(changed).await
    }

    /// Removes a registry of the caller's organization. Images that came for its password stay the organization's.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`DeleteRegistryError`]. After [`DeleteRegistryError::Store`] it is there again with the next start: try again.
    pub async fn delete(&self, principal: &Principal, id: &str) -> Result<(), DeleteRegistryError> {
        principal.require(Permission::DeleteRegistries)?;
        let _turn = self.turn.lock().await;
        let id = self.own(principal, id)?.id;
        // No pull that begins from now on uses it, whatever becomes of the row.
        self.write().remove(&id);
        let store = self.store.clone();
        let deleted = self.tasks.spawn(async move { store.delete_registry(id).await });
        finished(deleted).await.map_err(|cause| DeleteRegistryError::Store { cause })?;
        tracing::info!(registry = %id, "removed a registry");
        Ok(())
    }

    /// Who an organization is to registries, and what it can show them.
    #[must_use]
    pub fn access(&self, organization: OrganizationId) -> ImageAccess {
        let logins = self.of(organization).into_iter().filter_map(|row| self.login(row));
        ImageAccess { owner: owner(organization), logins: logins.collect() }
    }

    /// The image of this name that an organization may use, if sandboxes can start from it at once.
    pub(crate) async fn find_image(
        &self,
        organization: OrganizationId,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        self.driver.find_image_for(owner(organization), reference).await
    }

    /// Brings an image here for an organization, by its own password where it has one for that registry.
    pub(crate) async fn prepare_image(
        &self,
        organization: OrganizationId,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        self.driver.prepare_image_for(&self.access(organization), reference, progress).await
    }

    fn login(&self, row: StoredRegistry) -> Option<RegistryLogin> {
        let opened = self.sealer.as_ref()?.open(&purpose(&row), &row.sealed);
        if let Err(error) = &opened {
            tracing::error!(registry = %row.id, %error, "asking without a password");
        }
        let password = opened.ok()?;
        let StoredRegistry { host: registry, project, user, .. } = row;
        Some(RegistryLogin { registry, project, user, password })
    }

    fn own(&self, principal: &Principal, id: &str) -> Result<StoredRegistry, FindRegistryError> {
        let not_found = || FindRegistryError::NotFound { id: id.to_owned() };
        let id: RegistryId = id.parse().ok().ok_or_else(not_found)?;
        let found = self.read().get(&id).cloned();
        found.filter(|row| row.organization == principal.organization).ok_or_else(not_found)
    }

    fn of(&self, organization: OrganizationId) -> Vec<StoredRegistry> {
        let of = |row: &&StoredRegistry| row.organization == organization;
        let mut rows: Vec<StoredRegistry> = self.read().values().filter(of).cloned().collect();
        rows.sort_by_key(|row| (row.created_at, row.id));
        rows
    }

    /// Checks what a caller wrote, and adds the host.
    fn check(&self, mut row: StoredRegistry) -> Result<StoredRegistry, SaveRegistryError> {
        if !is_name(&row.name) {
            return Err(SaveRegistryError::Name);
        }
        // The name and the password travel with a colon between them.
        if !is_name(&row.user) || row.user.contains(':') {
            return Err(SaveRegistryError::User);
        }
        row.project = project(&row.project).ok_or(SaveRegistryError::Project)?;
        let Address { host, is_encrypted } =
            Address::read(&row.url).ok_or(SaveRegistryError::Url)?;
        if let Err(reason) = self.driver.admits_registry(&host, is_encrypted) {
            return Err(SaveRegistryError::Refused { host, reason });
        }
        row.host = host;
        Ok(row)
    }

    fn seal(
        &self,
        row: StoredRegistry,
        password: &str,
    ) -> Result<StoredRegistry, SaveRegistryError> {
        let is_password = (1..=MAX_PASSWORD_BYTES).contains(&password.len())
            && !password.chars().any(char::is_control);
        if !is_password {
            return Err(SaveRegistryError::Password);
        }
        let failed = |reason: String| SaveRegistryError::Seal { reason };
        let sealer = self.sealer.as_ref().ok_or_else(|| failed("no key".to_owned()))?;
        match sealer.seal(&self.random, &purpose(&row), password) {
            Ok(sealed) => Ok(StoredRegistry { sealed, ..row }),
            Err(SealError::Random(cause)) => Err(cause.into()),
            Err(error @ SealError::TooLong) => Err(failed(error.to_string())),
        }
    }

    /// Writes a row down, then lets it be used.
    async fn save(&self, row: StoredRegistry) -> Result<StoredRegistry, SaveRegistryError> {
        let (store, known, kept) = (self.store.clone(), Arc::clone(&self.known), row.clone());
        let saved = self.tasks.spawn(async move {
            store.save_registry(kept.clone()).await?;
            known.write().unwrap_or_else(PoisonError::into_inner).insert(kept.id, kept);
            Ok(())
        });
        match finished(saved).await {
            Ok(()) => {
                tracing::info!(registry = %row.id, host = row.host, "keeps a registry");
                Ok(row)
            }
            Err(WriteError::Taken) => Err(SaveRegistryError::NameTaken { name: row.name }),
            Err(cause) => Err(SaveRegistryError::Store { cause }),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<RegistryId, StoredRegistry>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<RegistryId, StoredRegistry>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an organization is called where images are kept.
pub(crate) const fn owner(organization: OrganizationId) -> ImageOwner {
    ImageOwner::from_bytes(organization.to_bytes())
}

fn may_read(principal: &Principal) -> Result<(), crate::Forbidden> {
    let write = principal.require(Permission::WriteRegistries);
    write.or_else(|_lacks| principal.require(Permission::DeleteRegistries))
}

/// What a password is sealed for: all that has one length comes first.
fn purpose(row: &StoredRegistry) -> Vec<u8> {
    [
        row.id.to_bytes().as_slice(),
        row.organization.to_bytes().as_slice(),
        row.host.as_bytes(),
        b" ",
        row.user.as_bytes(),
    ]
    .concat()
}
