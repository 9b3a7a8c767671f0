//! What sandboxes start from, made ready before the server says that it is.

use pitlane_control::{AddSnapshot, Control};
use pitlane_driver::ImageProgress;
use pitlane_model::Limits;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::settings::Settings;

/// The snapshots that every organization may use: Daytona-compatible names, one image, the limits that go with each.
const SNAPSHOTS: [(&str, u32, u32, u32); 4] = [
    ("default", 1, 1, 3),
    ("daytona-small", 1, 1, 3),
    ("daytona-medium", 2, 4, 8),
    ("daytona-large", 4, 8, 10),
];

/// Prepares the image and adds the snapshots; `false` if `stop` came first.
///
/// An image that is on this machine takes no time; the first start makes it, which takes minutes.
pub(super) async fn prepare(
    control: &Control,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<bool, Failure> {
    for (name, cpu, memory, disk) in SNAPSHOTS {
        let processes = Limits::DEFAULT.process_count();
        let snapshot = AddSnapshot {
            name: name.to_owned(),
            image: settings.image.as_str().parse()?,
            limits: Limits::new(cpu, memory, disk, processes)?,
        };
        if snapshot.limits.check_within(settings.maximum).is_err() {
            // No sandbox could start from it.
            continue;
        }
        let (progress, steps) = mpsc::channel(16);
        let added =
            async { tokio::join!(control.snapshots().add(snapshot, progress), tell(steps)).0 };
        tokio::select! {
            added = added => {
                added.map_err(|cause| {
                    Failure::from(anyhow::Error::new(cause))
                        .hint("`pitlane doctor` tells what this machine lacks")
                })?;
            }
            () = stop.cancelled() => return Ok(false),
        }
    }
    Ok(true)
}

/// Tells each step once, when it begins.
async fn tell(mut steps: mpsc::Receiver<ImageProgress>) {
    let mut last = String::new();
    while let Some(ImageProgress { step, done, total }) = steps.recv().await {
        if step != last {
            tracing::info!(done, total, "preparing the image: {step}");
            last = step;
        }
    }
}
