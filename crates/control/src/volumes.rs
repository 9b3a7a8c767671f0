//! Volumes: folders that outlive sandboxes and that several of them share.
//!
//!     pending_create ──► ready ──► pending_delete ──► deleting ──► deleted
//!            └─────────► error ◄────────┴────────────────┘
//!
//! All of them are in memory, with the sandboxes that have them: whether a volume may go and whether a sandbox may have
//! it is decided under one lock, so that neither can come between the other. What is decided is written down before it is
//! done, and goes on with the next server.

mod error;
mod work;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pitlane_driver::Driver;
use pitlane_model::{
    DesiredState, MountPath, OrganizationId, Permission, SandboxId, SandboxState, Subpath,
    Timestamp, Volume, VolumeId, VolumeMount, VolumeName, VolumeState,
};
use pitlane_store::{Store, StoredSandbox};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::error::{ClaimVolumeError, CreateVolumeError, DeleteVolumeError, FindVolumeError};
use crate::{Clock, ControlError, Event, Principal, Random};

/// How many volumes an organization may have.
const MAX_OWN: usize = 100;
/// How many deleted ones are still listed.
const MAX_DELETED: usize = 100;
/// How long a caller waits for a volume that takes its time.
const ANSWER_AFTER: Duration = Duration::from_secs(10);

/// A volume as a sandbox is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedMount {
    /// Which one, by id or name.
    pub volume: String,
    /// Where.
    pub path: MountPath,
    /// Which folder of it.
    pub subpath: Option<Subpath>,
}

/// The volumes of all organizations.
#[derive(Debug)]
pub struct Volumes {
    around: Surroundings,
    known: Mutex<Known>,
}

/// What volumes need from around them.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) store: Store,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

#[derive(Debug, Default)]
struct Known {
    volumes: HashMap<VolumeId, Volume>,
    /// Sandboxes that have volumes, unless they are on their way out.
    users: HashMap<SandboxId, HashSet<VolumeId>>,
    /// Uses that are not written down yet.
    unsaved: HashMap<VolumeId, Timestamp>,
}

impl Volumes {
    /// Reads what there is, and goes on with what an earlier server had begun.
    pub(crate) async fn load(
        around: Surroundings,
        sandboxes: &[StoredSandbox],
    ) -> Result<Arc<Self>, ControlError> {
        let volumes = around.store.all_volumes().await?;
        let volumes = volumes.into_iter().map(|volume| (volume.id, volume)).collect();
        let stays = |row: &&StoredSandbox| {
            row.sandbox.desired != DesiredState::Destroyed
                && row.sandbox.state != SandboxState::Destroying
                && !row.sandbox.spec.volumes.is_empty()
        };
        let users = sandboxes.iter().filter(stays).map(|row| {
            let spec = &row.sandbox.spec;
            (spec.id, spec.volumes.iter().map(|mount| mount.volume).collect())
        });
        let known = Known { volumes, users: users.collect(), unsaved: HashMap::new() };
        let volumes = Arc::new(Self { around, known: Mutex::new(known) });
        volumes.go_on().await?;
        Ok(volumes)
    }

    /// Makes an empty volume. Without a name, its id becomes its name.
    ///
    /// Returns when it is ready or has failed, or after a while with what it is then. Dropping the future does not undo
    /// it.
    ///
    /// # Errors
    ///
    /// See [`CreateVolumeError`]: nothing was made.
    pub async fn create(
        self: &Arc<Self>,
        principal: &Principal,
        name: Option<VolumeName>,
    ) -> Result<Volume, CreateVolumeError> {
        principal.require(Permission::WriteVolumes)?;
        if self.around.ending.is_cancelled() {
            return Err(CreateVolumeError::ShuttingDown);
        }
        let id = VolumeId::from_random(self.around.random.bytes()?);
        let now = self.around.clock.now();
        let volume = Volume {
            id,
            organization: principal.organization,
            name: name.unwrap_or_else(|| VolumeName::from(id)),
            state: VolumeState::PendingCreate,
            error_reason: None,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        self.reserve(&volume)?;
        let (reply, answer) = oneshot::channel();
        let task = Arc::clone(self);
        self.around.tasks.spawn(async move { task.make(volume, reply).await });
        match tokio::time::timeout(ANSWER_AFTER, answer).await {
            Ok(answer) => answer.unwrap_or(Err(CreateVolumeError::ShuttingDown))?,
            Err(_elapsed) => {}
        }
        self.known().volumes.get(&id).cloned().ok_or(CreateVolumeError::ShuttingDown)
    }

    /// Has a volume removed with all that is in it.
    ///
    /// Returns when it is gone, or after a while when that is decided and written down. Dropping the future does not undo
    /// it.
    ///
    /// # Errors
    ///
    /// See [`DeleteVolumeError`]: it is as before.
    pub async fn delete(
        self: &Arc<Self>,
        principal: &Principal,
        id: &str,
    ) -> Result<(), DeleteVolumeError> {
        principal.require(Permission::DeleteVolumes)?;
        let before = self.find(principal, id)?;
        if self.around.ending.is_cancelled() {
            return Err(DeleteVolumeError::ShuttingDown);
        }
        let volume = self.condemn(before.id)?;
        let (reply, answer) = oneshot::channel();
        let task = Arc::clone(self);
        let removal = async move { task.remove(before, volume, reply).await };
        let removal = self.around.tasks.spawn(removal);
        answer.await.unwrap_or(Err(DeleteVolumeError::ShuttingDown))?;
        // Whoever makes one of the same name next need not wait for it. What takes longer goes on.
        drop(tokio::time::timeout(ANSWER_AFTER, removal).await);
        Ok(())
    }

    /// Finds a volume of the caller's organization by its id.
    ///
    /// # Errors
    ///
    /// [`FindVolumeError`]: there is none.
    pub fn find(&self, principal: &Principal, id: &str) -> Result<Volume, FindVolumeError> {
        let known = self.known();
        let found = id.parse().ok().and_then(|id: VolumeId| known.volumes.get(&id));
        found
            .filter(|volume| volume.organization == principal.organization)
            .cloned()
            .ok_or_else(|| FindVolumeError::NotFound { id_or_name: id.to_owned() })
    }

    /// Finds a volume of the caller's organization by its name. One that is deleted has none any more.
    ///
    /// # Errors
    ///
    /// [`FindVolumeError`]: there is none.
    pub fn find_by_name(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Volume, FindVolumeError> {
        self.known()
            .named(principal.organization, name)
            .cloned()
            .ok_or_else(|| FindVolumeError::NotFound { id_or_name: name.to_owned() })
    }

    /// The volumes of the caller's organization, the newest first, with or without those that were deleted lately.
    #[must_use]
    pub fn list(&self, principal: &Principal, with_deleted: bool) -> Vec<Volume> {
        let known = self.known();
        let mut volumes: Vec<Volume> = known
            .of(principal.organization)
            .filter(|volume| with_deleted || volume.state != VolumeState::Deleted)
            .cloned()
            .collect();
        volumes.sort_by_key(|volume| (std::cmp::Reverse(volume.created_at), volume.id));
        volumes
    }

    /// Gives volumes to a sandbox that is about to be made: from now on they cannot be deleted.
    pub(crate) fn claim(
        &self,
        organization: OrganizationId,
        sandbox: SandboxId,
        wanted: &[RequestedMount],
    ) -> Result<Vec<VolumeMount>, ClaimVolumeError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.around.clock.now();
        let mut known = self.known();
        let mut mounts = Vec::with_capacity(wanted.len());
        for RequestedMount { volume, path, subpath } in wanted {
            let id = volume.parse().ok();
            let found = id
                .and_then(|id: VolumeId| known.volumes.get(&id))
                .filter(|found| found.organization == organization)
                .filter(|found| found.state != VolumeState::Deleted)
                .or_else(|| known.named(organization, volume))
                .ok_or_else(|| ClaimVolumeError::NotFound { id_or_name: volume.clone() })?;
            if found.state != VolumeState::Ready {
                return Err(ClaimVolumeError::NotReady {
                    name: found.name.clone(),
                    state: found.state,
                });
            }
            let (path, subpath) = (path.clone(), subpath.clone());
            mounts.push(VolumeMount { volume: found.id, path, subpath });
        }
        VolumeMount::check_all(&mounts)?;
        let claimed: HashSet<VolumeId> = mounts.iter().map(|mount| mount.volume).collect();
        for id in &claimed {
            known.unsaved.insert(*id, now);
            if let Some(volume) = known.volumes.get_mut(id) {
                volume.last_used_at = Some(now);
            }
        }
        known.users.insert(sandbox, claimed);
        Ok(mounts)
    }

    /// Takes its volumes from a sandbox that is on its way out.
    pub(crate) fn release(&self, sandbox: SandboxId) {
        self.known().users.remove(&sandbox);
    }

    /// Takes the uses that were noted since the last call.
    pub(crate) fn unsaved_uses(&self) -> Vec<(VolumeId, Timestamp)> {
        self.known().unsaved.drain().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn of(&self, organization: OrganizationId) -> impl Iterator<Item = &Volume> {
        self.volumes.values().filter(move |volume| volume.organization == organization)
    }

    fn named(&self, organization: OrganizationId, name: &str) -> Option<&Volume> {
        self.of(organization)
            .find(|volume| volume.name.as_str() == name && volume.state != VolumeState::Deleted)
    }
}
