//! `pitlane sandbox resize`.

use std::process::ExitCode;

use pitlane_client::{Client, Resize};

use super::find::on;
use crate::commands::completion::sandbox_names;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, clap::Args)]
#[group(id = "limits", multiple = true)]
pub(crate) struct Arguments {
    /// Its id, the beginning of its id, or its name
    #[arg(add = sandbox_names())]
    sandbox: String,
    /// CPUs it may use; of a sandbox that runs only upwards
    #[arg(long, value_name = "NUMBER", required_unless_present_any = ["memory", "disk"])]
    cpu: Option<u32>,
    /// Memory it may use; of a sandbox that runs only upwards
    #[arg(long, value_name = "GIB")]
    memory: Option<u32>,
    /// Disk it may use; only upwards, and of a sandbox that is stopped
    #[arg(long, value_name = "GIB")]
    disk: Option<u32>,
}

/// Changes the limits of a sandbox; prints its id.
pub(super) fn resize(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let wish = Resize { cpu: arguments.cpu, memory: arguments.memory, disk: arguments.disk };
    let resized =
        wait(on(client, &arguments.sandbox, async |id| client.resize_sandbox(&id, &wish).await))?;
    format.write(&resized, |sandbox| format!("{}\n", sandbox.core.id))?;
    Ok(ExitCode::SUCCESS)
}
