//! Images of sandboxes, and of other images. Everything here blocks.

use std::sync::atomic::Ordering;

use pitlane_driver::{Cause, DeriveImageError, PreparedImage, RemoveImageError, SnapshotError};
use pitlane_image::{DiskDraft, Images, Released};
use pitlane_model::{ImageConfig, ImageName, ImageReference, SandboxId};

use super::{Inner, Sandbox, lock};
use crate::disk::{self, DiskError, Disks};
use crate::image;
use crate::room::{RESERVE_BYTES, Room};

impl Inner {
    /// Makes an image of a sandbox's disk on top of its image. The caller has the sandbox's turn.
    pub(super) fn snapshot(
        &self,
        id: SandboxId,
        sandbox: &Sandbox,
        reference: &ImageReference,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<PreparedImage, SnapshotError> {
        let host = |cause: Cause| SnapshotError::Host { id, cause };
        let io = |cause: std::io::Error| match cause.kind() {
            std::io::ErrorKind::StorageFull => SnapshotError::Full { id },
            _ => host(Box::new(cause)),
        };
        let path = {
            let parts = lock(&sandbox.parts);
            match (&parts.disk, &parts.archive) {
                (Some(disk), _) => disk.path().to_owned(),
                (None, Some(_)) => return Err(SnapshotError::Archived { id }),
                (None, None) => return Err(SnapshotError::NotFound { id }),
            }
        };
        let build = disk::fingerprint(&path).unwrap_or_default();
        let (_, below) = self
            .images
            .of_build(build)
            .ok_or_else(|| host(format!("its image, build {build}, is not here").into()))?;
        if below.layers.len() >= Images::MOST_LAYERS {
            return Err(SnapshotError::TooManyLayers { id, most: Images::MOST_LAYERS });
        }
        let draft = self.images.draft_disk().map_err(io)?;
        pitlane_fault::point("snapshot.drafted");
        self.copy_still(id, &path, &draft, is_given_up).map_err(|cause| {
            let has_no_room = || Room::free_of(&self.state) == Some(0);
            if cause.is_for_want_of_room() || (cause.is_of_the_device() && has_no_room()) {
                tracing::warn!(sandbox = %id, failure = &cause as &dyn std::error::Error, "no room for a copy of a disk");
                SnapshotError::Full { id }
            } else {
                host(cause.into())
            }
        })?;
        pitlane_fault::point("snapshot.copied");
        let _held = self.images.hold().map_err(io)?;
        // Whoever has given up may already have had the name removed: it must not be given from here on.
        if is_given_up() {
            return Err(io(std::io::ErrorKind::Interrupted.into()));
        }
        let made = self.images.add_disk(&below, draft, reference).map_err(io)?;
        Ok(image::describe(&made))
    }

    /// Copies a disk while nobody writes to it.
    fn copy_still(
        &self,
        id: SandboxId,
        path: &std::path::Path,
        draft: &DiskDraft,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), DiskError> {
        let has_room = |bytes: u64| {
            let status = rustix::fs::fstatvfs(draft.file());
            let free = status.map_or(0, |status| status.f_bavail.saturating_mul(status.f_frsize));
            free.saturating_sub(RESERVE_BYTES) >= bytes
        };
        // Goes on when the value is dropped; a sandbox without processes has its disk for itself.
        let _still = self.preparer.disks.freeze(path, id)?;
        Disks::copy(path, draft.file(), &has_room, is_given_up)
    }

    pub(super) fn derive_image(
        &self,
        of: &ImageName,
        config: &ImageConfig,
        reference: &ImageReference,
    ) -> Result<PreparedImage, DeriveImageError> {
        let host = |cause: std::io::Error| DeriveImageError::Host {
            image: of.clone(),
            cause: Box::new(cause),
        };
        let _held = self.images.hold().map_err(host)?;
        let Some(rootfs) = self.images.find(of) else {
            return Err(DeriveImageError::NoImage { image: of.clone() });
        };
        let made = self.images.derive(&rootfs, config.clone(), reference).map_err(host)?;
        Ok(image::describe(&made))
    }

    pub(super) fn remove_image(&self, reference: &ImageReference) -> Result<(), RemoveImageError> {
        let removed = self.collect_by(|| self.images.release(reference));
        removed.map_err(|cause| RemoveImageError::Host {
            image: reference.to_string(),
            cause: Box::new(cause),
        })
    }

    /// Removes what was made here and nobody needs; what fails is tried again by whatever is removed next.
    pub(super) fn collect_images(&self) {
        if let Err(failure) = self.collect_by(|| self.images.collect_made()) {
            tracing::warn!(%failure, "images that nobody needs stay");
        }
    }

    /// Removes an image without a name of which a sandbox is gone, if that was the last.
    pub(super) fn collect_after(&self, build: &str) {
        self.frees.fetch_add(1, Ordering::AcqRel);
        let may_go = lock(&self.unnamed).contains(build);
        if may_go {
            self.collect_images();
        }
    }

    /// Collects by `collect`, and again for the sandboxes that went meanwhile: what they lay on was still waited for.
    fn collect_by(
        &self,
        collect: impl FnOnce() -> std::io::Result<Released>,
    ) -> std::io::Result<()> {
        let mut frees = self.frees.load(Ordering::Acquire);
        let mut released = collect()?;
        loop {
            let Released { freed, waiting } = released;
            if freed.images > 0 || freed.layers > 0 {
                let mib = freed.bytes >> 20;
                tracing::info!(images = freed.images, layers = freed.layers, mib, "removed images");
            }
            let is_over = waiting.is_empty();
            *lock(&self.unnamed) = waiting;
            let before = std::mem::replace(&mut frees, self.frees.load(Ordering::Acquire));
            if is_over || before == frees {
                return Ok(());
            }
            released = self.images.collect_made()?;
        }
    }
}
