//! Snapshots as callers make, change and remove them.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use pitlane_driver::PreparedImage;
use pitlane_model::{
    Build, ImageReference, Limits, OrganizationId, Permission, Snapshot, SnapshotId, SnapshotState,
    Timestamp,
};
use pitlane_store::WriteError;
use tokio_util::sync::CancellationToken;

use super::{ChangeSnapshotError, CreateSnapshotError, SnapshotLogError, Snapshots};
use crate::chain::Chain;
use crate::images::{Awaited, BuildLog, Need, Progress, Wanted, name_of_build};
use crate::{Principal, RequestedLimits};

/// A snapshot as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSnapshot {
    /// Its name, which no other one of the organization has.
    pub name: String,
    /// The image it stands for.
    pub source: SnapshotSource,
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

/// What a snapshot is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotSource {
    /// An image by its name.
    Image(ImageReference),
    /// An image that is built.
    Build(Build),
}

/// How many snapshots an organization may have.
pub(super) const MAX_OWN: usize = 1_000;

/// Lets sandboxes start from it.
pub(super) fn activate(snapshot: &mut Snapshot, image: PreparedImage) {
    snapshot.state = SnapshotState::Active;
    snapshot.image = Some(image.image);
    snapshot.size_bytes = Some(image.size_bytes);
    snapshot.user = image.config.user.clone();
    snapshot.error_reason = None;
    if snapshot.entrypoint.is_empty() {
        snapshot.entrypoint = image.config.program();
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
        let origin = self.origin(principal.organization, request.source).await?;
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
            reference: origin.reference,
            source_sandbox: None,
            build: origin.build,
            image: None,
            entrypoint: request.entrypoint.unwrap_or_default(),
            user: None,
            state: SnapshotState::Pending,
            limits,
            size_bytes: None,
            error_reason: None,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        let awaited = match origin.image {
            OriginImage::Here(image) => {
                activate(&mut snapshot, image);
                None
            }
            OriginImage::Awaited(awaited) => {
                snapshot.state = state_of(&snapshot, &awaited);
                Some(awaited)
            }
        };
        if let Err(cause) = self.store.save_snapshot(snapshot.clone()).await {
            drop(awaited);
            if let Some(need) = origin.need {
                // The image may have been made meanwhile.
                self.images.let_go(need).await;
            }
            return Err(match cause {
                WriteError::Taken => CreateSnapshotError::NameTaken { name: snapshot.name },
                cause => CreateSnapshotError::Store { cause },
            });
        }
        self.write().insert(snapshot.id, snapshot.clone());
        self.tell_needs().await;
        if let Some(need) = origin.need {
            self.needs().insert(snapshot.id, need);
        }
        if let Some(awaited) = awaited {
            self.follow(snapshot.id, awaited);
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
        if snapshot.source_sandbox.is_some() {
            let id = snapshot.id;
            self.remove_taken(snapshot).await?;
            tracing::info!(snapshot = %id, "removed a snapshot of a sandbox");
            return Ok(());
        }
        let is_needed = self.needs().contains_key(&snapshot.id);
        if is_needed {
            // A server that ends in between leaves none from which sandboxes seem to start. What cannot be written changes
            // nothing: a build goes on.
            let inactive = Snapshot { state: SnapshotState::Inactive, ..snapshot.clone() };
            self.change(inactive).await?;
            pitlane_fault::point("snapshot.row-inactive");
            self.await_no_more(snapshot.id);
        }
        let need = self.needs().remove(&snapshot.id);
        if let Some(need) = need {
            self.images.let_go(need).await;
        }
        self.store
            .delete_snapshot(snapshot.id)
            .await
            .map_err(|cause| ChangeSnapshotError::Store { cause })?;
        self.await_no_more(snapshot.id);
        self.write().remove(&snapshot.id);
        self.tell_needs().await;
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
        use SnapshotState as S;
        if !matches!(snapshot.state, S::Inactive | S::Error | S::BuildFailed) {
            return Err(ChangeSnapshotError::State { name: snapshot.name, state: snapshot.state });
        }
        snapshot.error_reason = None;
        if let Some(image) = self.images.find(principal.organization, &snapshot.reference).await {
            activate(&mut snapshot, image);
            return self.change(snapshot).await;
        }
        let awaited = self.images.want(wanted(principal.organization, &snapshot))?;
        snapshot.state = state_of(&snapshot, &awaited);
        let snapshot = self.change(snapshot).await?;
        self.follow(snapshot.id, awaited);
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

    /// What was written while the image of a snapshot was built, or is being written.
    ///
    /// # Errors
    ///
    /// See [`SnapshotLogError`].
    pub fn build_log(
        &self,
        principal: &Principal,
        id_or_name: &str,
    ) -> Result<BuildLog, SnapshotLogError> {
        let snapshot = self.find(principal, id_or_name)?;
        match snapshot.organization {
            Some(organization) if snapshot.build.is_some() => {
                Ok(self.images.log(organization, &snapshot.reference))
            }
            _ => Err(SnapshotLogError::NotBuilt { name: snapshot.name }),
        }
    }

    /// Goes on with what an earlier server had begun.
    pub(super) fn go_on(self: &Arc<Self>) {
        use SnapshotState as S;
        let is_under_way = |row: &&Snapshot| {
            matches!(row.state, S::Pending | S::Building | S::Pulling)
                && row.source_sandbox.is_none()
        };
        let built: Vec<(SnapshotId, ImageReference)> = self
            .read()
            .values()
            .filter(|row| row.build.is_some())
            .map(|row| (row.id, row.reference.clone()))
            .collect();
        for (id, reference) in built {
            let need = self.images.need(reference);
            self.needs().insert(id, need);
        }
        let begun: Vec<(SnapshotId, Wanted)> = self
            .read()
            .values()
            .filter(is_under_way)
            .filter_map(|row| Some((row.id, wanted(row.organization?, row))))
            .collect();
        for (id, wanted) in begun {
            let awaited = self.images.want_again(wanted);
            self.follow(id, awaited);
        }
    }

    /// The image of a new snapshot.
    async fn origin(
        &self,
        organization: OrganizationId,
        source: SnapshotSource,
    ) -> Result<Origin, CreateSnapshotError> {
        let refused = |reason| CreateSnapshotError::Build { reason };
        let wanted = match source {
            SnapshotSource::Image(image) if image.is_own() => {
                return Err(refused(format!("image {image} is unknown")));
            }
            SnapshotSource::Image(reference) => {
                if let Some(image) = self.images.find(organization, &reference).await {
                    return Ok(Origin {
                        reference,
                        build: None,
                        need: None,
                        image: OriginImage::Here(image),
                    });
                }
                if !reference.is_exact() {
                    return Err(CreateSnapshotError::Tag { image: reference });
                }
                Wanted { organization, reference, build: None }
            }
            SnapshotSource::Build(build) => {
                self.images.builder().check(organization, &build).await.map_err(refused)?;
                let reference = name_of_build(organization, &build)
                    .map_err(|error| refused(error.to_string()))?;
                Wanted { organization, reference, build: Some(Arc::new(build)) }
            }
        };
        let (reference, build) = (wanted.reference.clone(), wanted.build.clone());
        let need = build.is_some().then(|| self.images.need(reference.clone()));
        let awaited = self.images.want(wanted)?;
        Ok(Origin { reference, build, need, image: OriginImage::Awaited(awaited) })
    }

    /// Follows the way of a snapshot's image, in a task of its own.
    fn follow(self: &Arc<Self>, id: SnapshotId, awaited: Awaited) {
        let unwanted = CancellationToken::new();
        self.awaited().insert(id, unwanted.clone());
        let snapshots = Arc::clone(self);
        self.tasks.spawn(async move {
            let ended = unwanted.run_until_cancelled(snapshots.arrive(id, awaited)).await;
            if ended.is_some() {
                snapshots.awaited().remove(&id);
            }
        });
    }

    /// Writes down how far an image is until it is here or does not come. Returns early when the server ends: the next
    /// one goes on.
    async fn arrive(&self, id: SnapshotId, mut awaited: Awaited) {
        let mut progress = awaited.progress();
        loop {
            let is_over = matches!(progress, Progress::Here(_) | Progress::Failed { .. });
            self.note(id, progress).await;
            if is_over {
                return;
            }
            let Some(next) = awaited.next().await else { return };
            progress = next;
        }
    }

    /// Writes down how far the image of a snapshot is, unless the snapshot is something else by now.
    async fn note(&self, id: SnapshotId, progress: Progress) {
        use SnapshotState as S;
        let _turn = self.turn.lock().await;
        let present = self.read().get(&id).cloned();
        let is_awaited =
            |row: &Snapshot| matches!(row.state, S::Pending | S::Building | S::Pulling);
        let Some(mut snapshot) = present.filter(is_awaited) else { return };
        let before = snapshot.state;
        match progress {
            Progress::Waiting => {}
            Progress::Working if before == S::Pending => snapshot.state = S::Building,
            Progress::Working => {}
            Progress::Here(image) => activate(&mut snapshot, image),
            Progress::Failed { reason } => {
                let is_built = snapshot.build.is_some();
                snapshot.state = if is_built { S::BuildFailed } else { S::Error };
                snapshot.error_reason = Some(reason);
            }
        }
        if snapshot.state == before {
            return;
        }
        if let Err(error) = self.change(snapshot.clone()).await {
            tracing::error!(snapshot = %id, error = %Chain(&error), "snapshot not written yet");
            self.write_later(snapshot).await;
        }
    }

    /// Ends the wait for a snapshot's image, if there is one.
    fn await_no_more(&self, id: SnapshotId) {
        if let Some(awaited) = self.awaited().remove(&id) {
            awaited.cancel();
        }
    }

    fn needs(&self) -> MutexGuard<'_, HashMap<SnapshotId, Need>> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn awaited(&self) -> MutexGuard<'_, HashMap<SnapshotId, CancellationToken>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) async fn change(
        &self,
        mut snapshot: Snapshot,
    ) -> Result<Snapshot, ChangeSnapshotError> {
        snapshot.updated_at = self.clock.now();
        snapshot.last_used_at = self.last_use(&snapshot);
        self.store
            .save_snapshot(snapshot.clone())
            .await
            .map_err(|cause| ChangeSnapshotError::Store { cause })?;
        self.write().insert(snapshot.id, snapshot.clone());
        self.tell_needs().await;
        Ok(snapshot)
    }

    /// Sandboxes may have started from it while its row was changed.
    fn last_use(&self, snapshot: &Snapshot) -> Option<Timestamp> {
        self.read().get(&snapshot.id).map_or(snapshot.last_used_at, |row| row.last_used_at)
    }
}

/// What a new snapshot is made of.
struct Origin {
    reference: ImageReference,
    build: Option<Arc<Build>>,
    need: Option<Need>,
    image: OriginImage,
}

enum OriginImage {
    Here(PreparedImage),
    Awaited(Awaited),
}

/// The image that a snapshot waits for.
fn wanted(organization: OrganizationId, snapshot: &Snapshot) -> Wanted {
    Wanted { organization, reference: snapshot.reference.clone(), build: snapshot.build.clone() }
}

/// Where a snapshot stands whose image is on its way.
fn state_of(snapshot: &Snapshot, awaited: &Awaited) -> SnapshotState {
    match (&snapshot.build, awaited.progress()) {
        (None, _) => SnapshotState::Pulling,
        (Some(_), Progress::Waiting) => SnapshotState::Pending,
        (Some(_), _) => SnapshotState::Building,
    }
}

/// Letters, digits and `._:-/`, as in the names of images.
pub(super) fn check_name(name: &str) -> Result<(), CreateSnapshotError> {
    let is_allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-' | '/');
    let is_name = (1..=CreateSnapshot::MAX_NAME_BYTES).contains(&name.len())
        && name.chars().all(is_allowed)
        // Whoever asks for it by a name that looks like an id would get another one.
        && name.parse::<SnapshotId>().is_err();
    if is_name { Ok(()) } else { Err(CreateSnapshotError::Name) }
}
