//! The build contexts that clients upload.

mod certificate;
mod tls;

use std::time::Duration;

use pitlane_api::ObjectStorage;
use pitlane_control::{Clock, Control};
use pitlane_s3::Router;
use pitlane_storage::{Contexts, OpenContextsError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::tls::HttpsDoor;
use super::StateFolder;
use crate::failure::Failure;
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

/// Serves them over https if the operator wants that, and answers what clients are told and the routes beside the API.
pub(super) async fn serve(
    settings: &Settings,
    folder: &StateFolder,
    (control, contexts): (&Control, Contexts),
    (tasks, stop): (&mut JoinSet<()>, &CancellationToken),
) -> Result<(ObjectStorage, Router), Failure> {
    let routes = pitlane_s3::router(control, contexts.clone());
    let https = HttpsDoor::open(settings, folder, routes.clone(), stop.clone()).await?;
    let told = ObjectStorage {
        url: settings.storage_url.clone(),
        https_port: https.as_ref().and_then(HttpsDoor::port),
        bucket: pitlane_s3::BUCKET,
        region: pitlane_s3::REGION,
    };
    if let Some(https) = https {
        tasks.spawn(https.serve());
    }
    tasks.spawn(keep(contexts, control.clone(), stop.clone()));
    Ok((told, routes))
}

/// Keeps them in order until `stop`.
async fn keep(contexts: Contexts, control: Control, stop: CancellationToken) {
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
