//! Snapshots as callers make, activate and remove them.

use std::sync::Arc;

use pitlane_driver::{PrepareImageError, PreparedImage};
use pitlane_model::{
    ImageReference, Limits, Permission, Snapshot, SnapshotId, SnapshotState, Timestamp,
};
use pitlane_store::WriteError;
use tokio::sync::mpsc;

use super::{ChangeSnapshotError, CreateSnapshotError, Snapshots};
use crate::chain::Chain;
use crate::{Principal, RequestedLimits};

/// A snapshot as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSnapshot {
    /// Its name, which no other one of the organization has.
    pub name: String,
    /// The image it stands for.
    pub image: ImageReference,
    /// The program, with its arguments, that runs in its sandboxes beside everything else; the image's own if there is
    /// none.
    pub entrypoint: Option<Vec<String>>,
    /// The limits of a sandbox that asks for none.
    pub limits: RequestedLimits,
}

impl CreateSnapshot {
    /// The longest name, in bytes.
    pub const MAX_NAME_BYTES: usize = 255;
}

/// Images that come at the same time.
pub(super) const PULLS: usize = 4;

/// How many snapshots an organization may have.
const MAX_OWN: usize = 1_000;

/// Lets sandboxes start from it.
pub(super) fn activate(snapshot: &mut Snapshot, image: PreparedImage) {
    snapshot.state = SnapshotState::Active;
    snapshot.image = Some(image.image);
    snapshot.size_bytes = Some(image.size_bytes);
    snapshot.user = image.user;
    snapshot.error_reason = None;
    if snapshot.entrypoint.is_empty() {
        snapshot.entrypoint = image.entrypoint;
    }
}

impl Snapshots {
    /// Makes a snapshot of an image. It is active in the answer if the image is on this machine; otherwise it is on its
    /// way, and becomes active or fails by itself.
    ///
    /// # Errors
    ///
    /// See [`CreateSnapshotError`]: nothing was made.
    pub async fn create(
        self: &Arc<Self>,
        principal: &Principal,
        request: CreateSnapshot,
    ) -> Result<Snapshot, CreateSnapshotError> {
        principal.require(Permission::WriteSnapshots)?;
        check_name(&request.name)?;
        let limits = Limits::new(
            request.limits.cpu_count.unwrap_or(Limits::DEFAULT.cpu_count()),
            request.limits.memory_gib.unwrap_or(Limits::DEFAULT.memory_gib()),
            request.limits.disk_gib.unwrap_or(Limits::DEFAULT.disk_gib()),
            Limits::DEFAULT.process_count(),
        )?;
        limits.check_within(self.maximum)?;
        let found = self.driver.find_image(&request.image).await;
        if found.is_none() && !request.image.is_exact() {
            return Err(CreateSnapshotError::Tag { image: request.image });
        }
        let _turn = self.turn.lock().await;
        let own = self
            .read()
            .values()
            .filter(|row| row.organization == Some(principal.organization))
            .count();
        if own >= MAX_OWN {
            return Err(CreateSnapshotError::TooMany { count: MAX_OWN });
        }
        let now = self.clock.now();
        let mut snapshot = Snapshot {
            id: SnapshotId::from_random(self.random.bytes()?),
            organization: Some(principal.organization),
            name: request.name,
            reference: request.image,
            image: None,
            entrypoint: request.entrypoint.unwrap_or_default(),
            user: None,
            state: SnapshotState::Pulling,
            limits,
            size_bytes: None,
            error_reason: None,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        if let Some(image) = found {
            activate(&mut snapshot, image);
        }
        match self.store.save_snapshot(snapshot.clone()).await {
            Ok(()) => {}
            Err(WriteError::Taken) => {
                return Err(CreateSnapshotError::NameTaken { name: snapshot.name });
            }
            Err(cause) => return Err(CreateSnapshotError::Store { cause }),
        }
        self.write().insert(snapshot.id, snapshot.clone());
        if snapshot.state == SnapshotState::Pulling {
            self.fetch(snapshot.id);
        }
        tracing::info!(snapshot = %snapshot.id, image = %snapshot.reference, "made a snapshot");
        Ok(snapshot)
    }

    /// Removes a snapshot of the caller's organization. Its sandboxes stay.
    ///
    /// # Errors
    ///
    /// See [`ChangeSnapshotError`].
    pub async fn delete(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<(), ChangeSnapshotError> {
        principal.require(Permission::DeleteSnapshots)?;
        let _turn = self.turn.lock().await;
        let snapshot = self.own(principal, id_or_name)?;
        self.store
            .delete_snapshot(snapshot.id)
            .await
            .map_err(|cause| ChangeSnapshotError::Store { cause })?;
        self.write().remove(&snapshot.id);
        tracing::info!(snapshot = %snapshot.id, "removed a snapshot");
        Ok(())
    }

    /// Lets sandboxes start again from a snapshot that is inactive or has failed. If its image is not on this machine,
    /// it is on its way in the answer.
    ///
    /// # Errors
    ///
    /// See [`ChangeSnapshotError`].
    pub async fn activate(
        self: &Arc<Self>,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Snapshot, ChangeSnapshotError> {
        principal.require(Permission::WriteSnapshots)?;
        let _turn = self.turn.lock().await;
        let mut snapshot = self.own(principal, id_or_name)?;
        if !matches!(snapshot.state, SnapshotState::Inactive | SnapshotState::Error) {
            return Err(ChangeSnapshotError::State { name: snapshot.name, state: snapshot.state });
        }
        snapshot.error_reason = None;
        match self.driver.find_image(&snapshot.reference).await {
            Some(image) => activate(&mut snapshot, image),
            None => snapshot.state = SnapshotState::Pulling,
        }
        let snapshot = self.change(snapshot).await?;
        if snapshot.state == SnapshotState::Pulling {
            self.fetch(snapshot.id);
        }
        Ok(snapshot)
    }

    /// Keeps sandboxes from starting from a snapshot until it is activated.
    ///
    /// # Errors
    ///
    /// See [`ChangeSnapshotError`].
    pub async fn deactivate(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Snapshot, ChangeSnapshotError> {
        principal.require(Permission::WriteSnapshots)?;
        let _turn = self.turn.lock().await;
        let mut snapshot = self.own(principal, id_or_name)?;
        if snapshot.state != SnapshotState::Active {
            return Err(ChangeSnapshotError::State { name: snapshot.name, state: snapshot.state });
        }
        snapshot.state = SnapshotState::Inactive;
        self.change(snapshot).await
    }

    /// Goes on with what an earlier server had begun.
    pub(super) fn go_on(self: &Arc<Self>) {
        let is_under_way =
            |row: &&Snapshot| row.organization.is_some() && row.state == SnapshotState::Pulling;
        let begun: Vec<SnapshotId> =
            self.read().values().filter(is_under_way).map(|row| row.id).collect();
        for id in begun {
            self.fetch(id);
        }
    }

    /// Brings a snapshot's image here, in a task of its own.
    fn fetch(self: &Arc<Self>, id: SnapshotId) {
        let snapshots = Arc::clone(self);
        self.tasks.spawn(async move {
            let Some(reference) = snapshots.read().get(&id).map(|row| row.reference.clone()) else {
                return;
            };
            let prepared = tokio::select! {
                // The next server goes on.
                () = snapshots.ending.cancelled() => return,
                prepared = snapshots.bring(&reference) => prepared,
            };
            snapshots.arrived(id, &reference, prepared).await;
        });
    }

    /// Has the driver bring an image here, when it is its turn.
    pub(crate) async fn bring(
        &self,
        reference: &ImageReference,
    ) -> Result<PreparedImage, PrepareImageError> {
        // Never closed, so there always is a permit.
        let _permit = self.pulls.acquire().await;
        // Nobody watches; a full channel drops steps.
        let (progress, _steps) = mpsc::channel(1);
        self.driver.prepare_image(reference, progress).await
    }

    /// Writes down how the way of an image ended, unless the snapshot is something else by now.
    async fn arrived(
        &self,
        id: SnapshotId,
        reference: &ImageReference,
        prepared: Result<PreparedImage, PrepareImageError>,
    ) {
        let _turn = self.turn.lock().await;
        let present = self.read().get(&id).cloned();
        let is_awaited =
            |row: &Snapshot| row.state == SnapshotState::Pulling && row.reference == *reference;
        let Some(mut snapshot) = present.filter(is_awaited) else { return };
        match prepared {
            Ok(image) => activate(&mut snapshot, image),
            Err(error) => {
                tracing::warn!(snapshot = %id, error = %Chain(&error), "no image for a snapshot");
                snapshot.state = SnapshotState::Error;
                snapshot.error_reason = Some(reason(&error));
            }
        }
        if let Err(error) = self.change(snapshot).await {
            tracing::error!(snapshot = %id, error = %Chain(&error), "snapshot not written");
        }
    }

    /// The snapshot, if the caller's organization owns it.
    fn own(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<Snapshot, ChangeSnapshotError> {
        let snapshot = self.find(principal, id_or_name)?;
        match snapshot.organization {
            Some(_) => Ok(snapshot),
            None => Err(ChangeSnapshotError::General { name: snapshot.name }),
        }
    }

    /// Writes a changed row down, then lets it be seen. The caller has the turn.
    async fn change(&self, mut snapshot: Snapshot) -> Result<Snapshot, ChangeSnapshotError> {
        snapshot.updated_at = self.clock.now();
        snapshot.last_used_at = self.last_use(&snapshot);
        self.store
            .save_snapshot(snapshot.clone())
            .await
            .map_err(|cause| ChangeSnapshotError::Store { cause })?;
        self.write().insert(snapshot.id, snapshot.clone());
        Ok(snapshot)
    }

    /// Sandboxes may have started from it while its row was changed.
    fn last_use(&self, snapshot: &Snapshot) -> Option<Timestamp> {
        self.read().get(&snapshot.id).map_or(snapshot.last_used_at, |row| row.last_used_at)
    }
}

/// What a caller may know of why an image is not here.
pub(crate) fn reason(error: &PrepareImageError) -> String {
    match error {
        PrepareImageError::Unknown { .. }
        | PrepareImageError::Refused { .. }
        | PrepareImageError::Full { .. } => error.to_string(),
        PrepareImageError::Host { .. } => "its image could not be prepared".to_owned(),
    }
}

/// Letters, digits and `._:-/`, as in the names of images.
fn check_name(name: &str) -> Result<(), CreateSnapshotError> {
    let is_allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-' | '/');
    let is_name = (1..=CreateSnapshot::MAX_NAME_BYTES).contains(&name.len())
        && name.chars().all(is_allowed)
        // Whoever asks for it by a name that looks like an id would get another one.
        && name.parse::<SnapshotId>().is_err();
    if is_name { Ok(()) } else { Err(CreateSnapshotError::Name) }
}
