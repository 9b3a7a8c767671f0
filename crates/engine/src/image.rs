//! Images as a driver prepares them.

use pitlane_driver::{ImageProgress, PrepareImageError, PreparedImage};
use pitlane_image::{Images, PullAs, PullImageError, Rootfs};
use pitlane_model::{ImageName, ImageReference};
use tokio::sync::mpsc;

/// An image, and what it is called here.
pub(crate) type Found = (ImageName, Rootfs);

/// What this machine has by that name.
pub(crate) fn find(images: &Images, reference: &ImageReference) -> Option<Found> {
    images.find_reference(reference)
}

/// Puts an image on this machine and passes on what is being done: one that this machine makes itself, or one from a
/// registry.
pub(crate) async fn prepare(
    images: &Images,
    reference: &ImageReference,
    progress: mpsc::Sender<ImageProgress>,
) -> Result<Found, PrepareImageError> {
    let meant = images.meant(reference);
    let own = meant.local_name().filter(|name| images.can_make(name));
    watched(progress, async |steps| {
        if let Some(name) = own {
            return match images.prepare(&name, steps).await {
                Ok(rootfs) => Ok((name, rootfs)),
                Err(cause) => Err(host(reference, cause)),
            };
        }
        // A name goes on to mean what it meant when it was pulled, until somebody pulls it again.
        if let Some(found) = images.find_reference(reference) {
            return Ok(found);
        }
        if meant.is_own() {
            return Err(PrepareImageError::Unknown { image: reference.to_string() });
        }
        let pulled = images.pull(&meant, PullAs::default(), steps).await;
        pulled.map_err(|cause| refused(reference, cause))
    })
    .await
}

/// Brings an image here by a password, unless whoever it is of has it.
pub(crate) async fn pull(
    images: &Images,
    reference: &ImageReference,
    who: PullAs,
    progress: mpsc::Sender<ImageProgress>,
) -> Result<Found, PrepareImageError> {
    let meant = images.meant(reference);
    if meant.local_name().is_some_and(|name| images.can_make(&name)) {
        return prepare(images, reference, progress).await;
    }
    let owned = who.owner.and_then(|owner| images.find_owned(owner, reference));
    if let Some(found) = owned.or_else(|| images.find_reference(reference)) {
        return Ok(found);
    }
    if meant.is_own() {
        return Err(PrepareImageError::Unknown { image: reference.to_string() });
    }
    watched(progress, async |steps| {
        let pulled = images.pull(&meant, who, steps).await;
        pulled.map_err(|cause| refused(reference, cause))
    })
    .await
}

/// Does something and passes on what is being done.
async fn watched(
    progress: mpsc::Sender<ImageProgress>,
    work: impl AsyncFnOnce(mpsc::Sender<pitlane_image::Progress>) -> Result<Found, PrepareImageError>,
) -> Result<Found, PrepareImageError> {
    let (steps, mut received) = mpsc::channel::<pitlane_image::Progress>(16);
    let forward = async {
        while let Some(step) = received.recv().await {
            let step = ImageProgress { step: step.step, done: step.done, total: step.total };
            // A full channel drops steps: the work does not wait for whoever watches it.
            drop(progress.try_send(step));
        }
    };
    let (found, ()) = tokio::join!(work(steps), forward);
    found
}

fn host(
    reference: &ImageReference,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> PrepareImageError {
    PrepareImageError::Host { image: reference.to_string(), cause: Box::new(cause) }
}

fn refused(reference: &ImageReference, cause: PullImageError) -> PrepareImageError {
    let image = reference.to_string();
    if cause.is_for_want_of_room() {
        return PrepareImageError::Full { image };
    }
    if cause.is_about_the_image() {
        return PrepareImageError::Refused { image, reason: cause.to_string() };
    }
    host(reference, cause)
}

/// What is told of an image above the driver.
pub(crate) fn describe((image, rootfs): &Found) -> PreparedImage {
    PreparedImage {
        image: image.clone(),
        size_bytes: rootfs.size_bytes,
        config: rootfs.config.clone(),
    }
}
