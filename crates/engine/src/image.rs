//! Images as a driver prepares them.

use pitlane_driver::{ImageProgress, PrepareImageError, PreparedImage};
use pitlane_image::{Images, Rootfs};
use pitlane_model::{ImageName, ImageReference};
use tokio::sync::mpsc;

/// An image, and what it is called here.
pub(crate) type Found = (ImageName, Rootfs);

/// What this machine has by that name.
pub(crate) fn find(images: &Images, reference: &ImageReference) -> Option<Found> {
    let name = reference.local_name()?;
    images.find(&name).map(|rootfs| (name, rootfs))
}

/// Puts an image on this machine and passes on what is being done.
pub(crate) async fn prepare(
    images: &Images,
    reference: &ImageReference,
    progress: mpsc::Sender<ImageProgress>,
) -> Result<Found, PrepareImageError> {
    let unknown = || PrepareImageError::Unknown { image: reference.to_string() };
    let name = reference.local_name().ok_or_else(unknown)?;
    let (steps, mut received) = mpsc::channel::<pitlane_image::Progress>(16);
    let forward = async {
        while let Some(step) = received.recv().await {
            let step = ImageProgress { step: step.step, done: step.done, total: step.total };
            // A full channel drops steps: the work does not wait for whoever watches it.
            drop(progress.try_send(step));
        }
    };
    let (rootfs, ()) = tokio::join!(images.prepare(&name, steps), forward);
    let rootfs = rootfs.map_err(|cause| match cause {
        pitlane_image::PrepareImageError::Unknown(_) => unknown(),
        cause => PrepareImageError::Host { image: reference.to_string(), cause: Box::new(cause) },
    })?;
    Ok((name, rootfs))
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
