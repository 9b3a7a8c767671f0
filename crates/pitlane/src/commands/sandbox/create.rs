//! `pitlane sandbox create`.

use std::process::ExitCode;

use pitlane_client::Client;
use pitlane_wire::control::CreateSandbox;

use crate::cli::pair;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its name [default: its id]
    #[arg(long)]
    name: Option<String>,
    /// Snapshot to start from [default: the server's]
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
    /// Variable of every process in it; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Label; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// CPUs it may use
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<u32>,
    /// Memory it may use
    #[arg(long, value_name = "GIB")]
    memory: Option<u32>,
    /// Disk it may use
    #[arg(long, value_name = "GIB")]
    disk: Option<u32>,
    /// Give it no network
    #[arg(long)]
    no_network: bool,
    /// Delete it when it stops
    #[arg(long)]
    ephemeral: bool,
    /// Minutes without use after which it stops; 0 for never [default: the server's]
    #[arg(long, value_name = "MINUTES")]
    auto_stop: Option<u32>,
}

/// Creates a sandbox; prints its id.
pub(super) fn create(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let wish = CreateSandbox {
        name: arguments.name,
        snapshot: arguments.snapshot,
        env: Some(arguments.env.into_iter().collect()),
        labels: Some(arguments.label.into_iter().collect()),
        cpu: arguments.cpu,
        memory: arguments.memory,
        disk: arguments.disk,
        network_block_all: arguments.no_network.then_some(true),
        auto_delete_interval: arguments.ephemeral.then_some(0),
        auto_stop_interval: arguments.auto_stop.map(i64::from),
        ..CreateSandbox::default()
    };
    let sandbox = wait(async { Ok(client.create_sandbox(&wish).await?) })?;
    format.write(&sandbox, |sandbox| format!("{}\n", sandbox.core.id))?;
    Ok(ExitCode::SUCCESS)
}
