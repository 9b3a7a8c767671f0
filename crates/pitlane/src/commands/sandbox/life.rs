//! `pitlane sandbox start`, `stop`, `archive` and `recover`.

use std::process::ExitCode;

use pitlane_client::Client;

use super::each::{Selection, each};
use super::find::on;
use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
}

/// Starts sandboxes; returns when they can be used.
pub(super) fn start(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let states = ["stopped", "archived"];
    each(client, &arguments.selection, &states, format, "started", async |sandbox| {
        let started = on(client, sandbox, async |id| client.start_sandbox(&id).await).await?;
        Ok(started.core.id)
    })
}

/// Stops sandboxes.
pub(super) fn stop(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    each(client, &arguments.selection, &["started"], format, "stopped", async |sandbox| {
        let stopped = on(client, sandbox, async |id| client.stop_sandbox(&id).await).await?;
        Ok(stopped.core.id)
    })
}

/// Archives stopped sandboxes.
pub(super) fn archive(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    each(client, &arguments.selection, &["stopped"], format, "archived", async |sandbox| {
        let archived = on(client, sandbox, async |id| client.archive_sandbox(&id).await).await?;
        Ok(archived.core.id)
    })
}

/// Mends sandboxes.
pub(super) fn recover(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    each(client, &arguments.selection, &["error"], format, "recovered", async |sandbox| {
        let recovered =
            on(client, sandbox, async |id| client.recover_sandbox(&id, false).await).await?;
        Ok(recovered.core.id)
    })
}
