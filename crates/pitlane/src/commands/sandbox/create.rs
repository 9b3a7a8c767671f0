//! `pitlane sandbox create`.

use std::process::ExitCode;
use std::time::Duration;

use pitlane_client::Client;
use pitlane_wire::control::{CreateSandbox, Sandbox, SandboxVolume};

use super::when::{after_stop, minutes};
use crate::cli::pair;
use crate::commands::execution::Interruption;
use crate::commands::volume::mount;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{Format, say};

/// How long an interrupted creation is waited for, so that it can be undone.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its name [default: its id]
    #[arg(long)]
    name: Option<String>,
    /// Snapshot to start from [default: the server's]
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
    /// User that its processes run as [default: the snapshot's]
    #[arg(long)]
    user: Option<String>,
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
    /// Volume to mount at an absolute path, all of it or one folder of it; may be given several times
    #[arg(long, value_name = "NAME:PATH[:SUBPATH]", value_parser = mount)]
    volume: Vec<SandboxVolume>,
    /// Give it no network
    #[arg(long)]
    no_network: bool,
    /// Open its previews to anyone
    #[arg(long)]
    public: bool,
    /// Delete it when it stops
    #[arg(long, conflicts_with = "auto_delete")]
    ephemeral: bool,
    /// Time without use after which it stops, such as 30m, 2h, 1d or never [default: the server's]
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    auto_stop: Option<i64>,
    /// Time after its stop until it is archived [default: the server's]
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    auto_archive: Option<i64>,
    /// Time after its stop until it is deleted; 0 deletes it when it stops [default: never]
    #[arg(long, value_name = "TIME", value_parser = after_stop, allow_hyphen_values = true)]
    auto_delete: Option<i64>,
    /// Time from now until it is deleted, whatever happens [default: never]
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    ttl: Option<i64>,
}

/// Creates a sandbox; prints its id. When interrupted it leaves none, or says so.
pub(super) fn create(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let wish = CreateSandbox {
        name: arguments.name,
        snapshot: arguments.snapshot,
        user: arguments.user,
        env: Some(arguments.env.into_iter().collect()),
        labels: Some(arguments.label.into_iter().collect()),
        cpu: arguments.cpu,
        memory: arguments.memory,
        disk: arguments.disk,
        volumes: (!arguments.volume.is_empty()).then_some(arguments.volume),
        network_block_all: arguments.no_network.then_some(true),
        public: arguments.public.then_some(true),
        auto_stop_interval: arguments.auto_stop,
        auto_archive_interval: arguments.auto_archive,
        auto_delete_interval: if arguments.ephemeral { Some(0) } else { arguments.auto_delete },
        ttl_minutes: arguments.ttl,
        ..CreateSandbox::default()
    };
    let sandbox = wait(create_or_undo(client, &wish))?;
    format.write(&sandbox, |sandbox| format!("{}\n", sandbox.core.id))?;
    if format == Format::Human && sandbox.core.state.as_deref() != Some("started") {
        let state = sandbox.core.state.unwrap_or_default();
        say(&format!("it is {state}: `pitlane sandbox info {}` tells more", sandbox.core.id));
    }
    Ok(ExitCode::SUCCESS)
}

/// Creates a sandbox. When interrupted it leaves none, or says so.
pub(in crate::commands) async fn create_or_undo(
    client: &Client,
    wish: &CreateSandbox,
) -> Result<Sandbox, Failure> {
    let mut interruption = Interruption::watch()?;
    let mut creating = std::pin::pin!(client.create_sandbox(wish));
    let failure = tokio::select! {
        created = &mut creating => return Ok(created?),
        failure = interruption.wait() => failure,
    };
    // Not given up half-way: the server would finish it, and nobody would know its id.
    say("interrupted: waiting for the sandbox in order to delete it; once more to leave it");
    let undone = async {
        let created = creating.await?;
        client.delete_sandbox(&created.core.id).await
    };
    let hint = tokio::select! {
        undone = tokio::time::timeout(PATIENCE, undone) => match undone {
            Ok(Ok(_)) => return Err(failure),
            Ok(Err(_)) | Err(_) => "it may be there: `pitlane sandbox ls --sort created` shows it",
        },
        _ = interruption.wait() => "it is there, or soon: `pitlane sandbox ls --sort created` shows it",
    };
    Err(failure.hint(hint))
}
