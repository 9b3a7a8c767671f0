//! Images as a driver prepares them.

use pitlane_driver::{ImageProgress, PrepareImageError, PreparedImage};
use pitlane_image::{Images, PullImageError, Rootfs};
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
    let (steps, mut received) = mpsc::channel::<pitlane_image::Progress>(16);
    let forward = async {
        while let Some(step) = received.recv().await {
            let step = ImageProgress { step: step.step, done: step.done, total: step.total };
            // A full channel drops steps: the work does not wait for whoever watches it.
            drop(progress.try_send(step));
        }
    };
    let meant = images.meant(reference);
    let own = meant.local_name().filter(|name| images.can_make(name));
    let work = async {
        if let Some(name) = own {
            return match images.prepare(&name, steps).await {
                Ok(rootfs) => Ok((name, rootfs)),
                Err(cause) => Err(host(reference, cause)),
            };
        }
        // A name goes on to mean what it meant when it was pulled, until somebody pulls it again.
        if let Some(found) = images.find_reference(&meant) {
            return Ok(found);
        }
        images.pull(&meant, None, steps).await.map_err(|cause| refused(reference, cause))
    };
    let (found, ()) = tokio::join!(work, forward);
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
        entrypoint: rootfs.config.program(),
        user: rootfs.config.user.clone(),
    }
}
