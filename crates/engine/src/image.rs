//! Images as a driver prepares them.

use pitlane_driver::{ImageProgress, PrepareImageError};
use pitlane_image::{Images, Rootfs};
use pitlane_model::ImageName;
use tokio::sync::mpsc;

/// Puts an image on this machine and passes on what is being done.
pub(crate) async fn prepare(
    images: &Images,
    image: &ImageName,
    progress: mpsc::Sender<ImageProgress>,
) -> Result<Rootfs, PrepareImageError> {
    let (steps, mut received) = mpsc::channel::<pitlane_image::Progress>(16);
    let forward = async {
        while let Some(step) = received.recv().await {
            let step = ImageProgress { step: step.step, done: step.done, total: step.total };
            // A full channel drops steps: the work does not wait for whoever watches it.
            drop(progress.try_send(step));
        }
    };
    let (rootfs, ()) = tokio::join!(images.prepare(image, steps), forward);
    rootfs.map_err(|cause| match cause {
        pitlane_image::PrepareImageError::Unknown(image) => PrepareImageError::Unknown { image },
        cause => PrepareImageError::Host { image: image.clone(), cause: Box::new(cause) },
    })
}
