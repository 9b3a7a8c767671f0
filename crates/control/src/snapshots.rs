//! Snapshots: what sandboxes start from.
//!
//! All of them are in memory as well, so that creating a sandbox reads no database.

mod change;
mod error;
mod of_sandbox;
mod unfinished;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pitlane_driver::{Driver, ImageProgress};
use pitlane_model::{
    ImageName, ImageReference, Limits, OrganizationId, Snapshot, SnapshotId, SnapshotState,
    Timestamp,
};
use pitlane_store::{ReadError, SnapshotFilter, SnapshotSlice, SnapshotSort, Store, WriteError};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::change::{CreateSnapshot, SnapshotSource};
pub use self::error::{
    AddSnapshotError, ChangeSnapshotError, CreateSnapshotError, FindSnapshotError,
    ListSnapshotsError, SnapshotLogError,
};
use self::unfinished::Unfinished;
use crate::images::{Images, Need};
use crate::{Clock, Principal, Random};

/// A snapshot that every organization may use, as the operator adds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddSnapshot {
    /// Its name.
    pub name: String,
    /// The image it stands for.
    pub image: ImageReference,
    /// The limits of a sandbox that asks for none.
    pub limits: Limits,
}

/// A list that is read by numbered pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSnapshots {
    /// Which ones.
    pub filter: SnapshotFilter,
    /// In which order.
    pub order: SnapshotSort,
    /// How many per page, up to [`PageSnapshots::MAX_LIMIT`].
    pub limit: u32,
    /// Which page; the first is 1.
    pub page: u32,
}

impl PageSnapshots {
    /// How many items one answer has at most, whatever was asked for.
    pub const MAX_LIMIT: u32 = 200;
}

/// The snapshots of all organizations.
#[derive(Debug)]
pub struct Snapshots {
    store: Store,
    driver: Arc<dyn Driver>,
    images: Arc<Images>,
    clock: Clock,
    random: Random,
    known: RwLock<HashMap<SnapshotId, Snapshot>>,
    changes: Notify,
    unsaved: Mutex<HashMap<SnapshotId, Timestamp>>,
    /// Whoever changes which snapshots there are has the turn.
    turn: tokio::sync::Mutex<()>,
    telling: tokio::sync::Mutex<()>,
    /// What keeps the names of images that were built for them.
    needs: Mutex<HashMap<SnapshotId, Need>>,
    /// Those whose images are on their way; cancelled when nobody wants them any more.
    awaited: Mutex<HashMap<SnapshotId, CancellationToken>>,
    unfinished: Mutex<Unfinished>,
    maximum: Limits,
    tasks: TaskTracker,
}

/// What snapshots need from around them.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) store: Store,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) images: Arc<Images>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// What one sandbox may have at most.
    pub(crate) maximum: Limits,
    pub(crate) tasks: TaskTracker,
}

impl Snapshots {
    /// Reads what there is, and goes on with what an earlier server had begun.
    pub(crate) async fn load(around: Surroundings) -> Result<Arc<Self>, ReadError> {
        let Surroundings { store, driver, images, clock, random, maximum, tasks } = around;
        let known = store.all_snapshots().await?.into_iter().map(|row| (row.id, row)).collect();
        let snapshots = Arc::new(Self {
            store,
            driver,
            images,
            clock,
            random,
            known: RwLock::new(known),
            changes: Notify::new(),
            unsaved: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            telling: tokio::sync::Mutex::default(),
            awaited: Mutex::default(),
            needs: Mutex::default(),
            unfinished: Mutex::default(),
            maximum,
            tasks,
        });
        snapshots.tell_needs().await;
        snapshots.go_on();
        snapshots.settle();
        Ok(snapshots)
    }

    /// Adds a snapshot for every organization, or brings the one of this name up to date, and prepares its image.
    ///
    /// Returns when sandboxes can start from it. An image that is on this machine is prepared at once. Dropping the
    /// future leaves the snapshot `building`: add it again.
    ///
    /// # Errors
    ///
    /// [`AddSnapshotError`]: no sandbox can start from it.
    pub async fn add(
        &self,
        request: AddSnapshot,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<Snapshot, AddSnapshotError> {
        let mut snapshot = self.begin(request)?;
        if snapshot.state != SnapshotState::Active {
            self.keep(&snapshot).await?;
        }
        let prepared = self.driver.prepare_image(&snapshot.reference, progress).await;
        let before = snapshot.clone();
        let outcome = match prepared {
            Ok(image) => {
                snapshot.entrypoint.clear();
                change::activate(&mut snapshot, image);
                Ok(())
            }
            Err(cause) => {
                snapshot.state = SnapshotState::Error;
                snapshot.error_reason = Some("its image could not be prepared".to_owned());
                Err(AddSnapshotError::Prepare { name: snapshot.name.clone(), cause })
            }
        };
        if snapshot != before {
            snapshot.updated_at = self.clock.now();
            self.keep(&snapshot).await?;
        }
        outcome.map(|()| snapshot)
    }

    /// Finds a snapshot that the caller's organization may use, by id or by name; its own comes before a general one.
    ///
    /// # Errors
    ///
    /// [`FindSnapshotError::NotFound`]: it may use none of this id or name.
    pub fn find(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Snapshot, FindSnapshotError> {
        self.lookup(principal.organization, id_or_name)
            .ok_or_else(|| FindSnapshotError::NotFound { id_or_name: id_or_name.to_owned() })
    }

    /// Lists the snapshots that the caller's organization may use.
    ///
    /// # Errors
    ///
    /// [`ListSnapshotsError`]: try again.
    pub async fn list(
        &self,
        principal: &Principal,
        request: PageSnapshots,
    ) -> Result<SnapshotSlice, ListSnapshotsError> {
        let limit = request.limit.min(PageSnapshots::MAX_LIMIT);
        let skip = u64::from(request.page.saturating_sub(1)) * u64::from(limit);
        self.store
            .snapshots(principal.organization, request.filter, request.order, skip, limit)
            .await
            .map_err(|cause| ListSnapshotsError::Store { cause })
    }

    pub(crate) fn lookup(
        &self,
        organization: OrganizationId,
        id_or_name: &str,
    ) -> Option<Snapshot> {
        let id = id_or_name.parse().ok();
        self.read()
            .values()
            .filter(|row| row.organization.is_none_or(|owner| owner == organization))
            .filter(|row| Some(row.id) == id || row.name == id_or_name)
            .min_by_key(|row| (Some(row.id) != id, row.organization.is_none()))
            .cloned()
    }

    /// The snapshot of this name that every organization may use.
    pub(crate) fn general(&self, name: &str) -> Option<Snapshot> {
        let is_it = |row: &&Snapshot| row.organization.is_none() && row.name == name;
        self.read().values().find(is_it).cloned()
    }

    /// Waits until some snapshot may be another than when this was last waited for. Has one caller.
    pub(crate) async fn changed(&self) {
        self.changes.notified().await;
    }

    /// Notes that a sandbox started from it; written down later, from [`Self::unsaved_uses`].
    pub(crate) fn used(&self, id: SnapshotId, now: Timestamp) {
        // No change that anybody waits for.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = known.get_mut(&id) {
            row.last_used_at = Some(now);
        }
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }

    /// Takes the uses that were noted since the last call.
    pub(crate) fn unsaved_uses(&self) -> Vec<(SnapshotId, Timestamp)> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// The row to begin with: a new one, or the one there is, `building` unless nothing changes.
    fn begin(&self, request: AddSnapshot) -> Result<Snapshot, AddSnapshotError> {
        let now = self.clock.now();
        let present = self
            .read()
            .values()
            .find(|row| row.organization.is_none() && row.name == request.name)
            .cloned();
        let Some(mut present) = present else {
            return Ok(Snapshot {
                id: SnapshotId::from_random(self.random.bytes()?),
                organization: None,
                name: request.name,
                reference: request.image,
                source_sandbox: None,
                build: None,
                image: None,
                entrypoint: Vec::new(),
                user: None,
                state: SnapshotState::Building,
                limits: request.limits,
                size_bytes: None,
                error_reason: None,
                created_at: now,
                updated_at: now,
                last_used_at: None,
            });
        };
        if present.reference != request.image || present.limits != request.limits {
            present.reference = request.image;
            present.limits = request.limits;
            present.state = SnapshotState::Building;
        }
        if present.state != SnapshotState::Active {
            present.state = SnapshotState::Building;
            present.error_reason = None;
            present.updated_at = now;
        }
        Ok(present)
    }

    /// Writes a row down, then lets it be seen.
    async fn keep(&self, snapshot: &Snapshot) -> Result<(), AddSnapshotError> {
        self.store.save_snapshot(snapshot.clone()).await.map_err(|cause: WriteError| {
            AddSnapshotError::Store { name: snapshot.name.clone(), cause }
        })?;
        self.write().insert(snapshot.id, snapshot.clone());
        self.tell_needs().await;
        Ok(())
    }

    /// Has the driver keep the images from which sandboxes can start.
    async fn tell_needs(&self) {
        // What is told last is what is true last.
        let _turn = self.telling.lock().await;
        let mut needed: BTreeMap<ImageName, Vec<String>> = BTreeMap::new();
        for row in self.read().values().filter(|row| row.state == SnapshotState::Active) {
            if let Some(image) = &row.image {
                needed.entry(image.clone()).or_default().push(format!("snapshot {}", row.name));
            }
        }
        needed.values_mut().for_each(|names| names.sort());
        self.driver.need_images(needed).await;
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<SnapshotId, Snapshot>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits for a change looks when this lock is free again.
    fn write(&self) -> RwLockWriteGuard<'_, HashMap<SnapshotId, Snapshot>> {
        self.changes.notify_one();
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
