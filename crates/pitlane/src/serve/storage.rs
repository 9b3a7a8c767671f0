//! The build contexts that clients upload.

use std::time::Duration;

use pitlane_control::{Clock, Control};
use pitlane_storage::{Contexts, OpenContextsError};
use tokio_util::sync::CancellationToken;

use super::StateFolder;
use crate::settings::Settings;

/// Where they are, in the state folder.
const FOLDER: &str = "contexts";

/// How often what nobody uses any more is looked for.
const INTERVAL: Duration = Duration::from_secs(60);

/// Takes over what an earlier server kept.
pub(super) fn open(
    settings: &Settings,
    folder: &StateFolder,
    clock: &Clock,
) -> Result<Contexts, OpenContextsError> {
    let clock = clock.clone();
    Contexts::open(folder.path().join(FOLDER), settings.contexts.clone(), move || clock.now())
}

/// Keeps them in order until `stop`.
pub(super) async fn keep(contexts: Contexts, control: Control, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let (contexts, control) = (contexts.clone(), control.clone());
        let tidied = tokio::task::spawn_blocking(move || {
            contexts.tidy(|organization| control.organizations().is_there(organization))
        });
        match tidied.await {
            Ok(tidied) if tidied.contexts > 0 || tidied.uploads > 0 => tracing::info!(
                contexts = tidied.contexts,
                uploads = tidied.uploads,
                "removed build contexts and uploads that nobody used"
            ),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "cannot put build contexts in order"),
        }
    }
}
