//! `daytona start`, `stop` and `archive`.

use std::process::ExitCode;

use pitlane_client::Client;

use crate::commands::sandbox::on;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::write;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its id or its name
    pub(super) sandbox: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct StopArguments {
    /// Its id or its name
    sandbox: String,
    /// Give its processes no time to end
    #[arg(long, short)]
    force: bool,
}

/// Starts a sandbox; returns when it can be used.
pub(super) fn start(client: &Client, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let sandbox = &arguments.sandbox;
    wait(on(client, sandbox, async |id| client.start_sandbox(&id).await))?;
    said(sandbox, "started")
}

/// Stops a sandbox.
pub(super) fn stop(client: &Client, arguments: &StopArguments) -> Result<ExitCode, Failure> {
    let sandbox = &arguments.sandbox;
    wait(on(client, sandbox, async |id| match arguments.force {
        true => client.kill_sandbox(&id).await,
        false => client.stop_sandbox(&id).await,
    }))?;
    said(sandbox, "stopped")
}

/// Archives a stopped sandbox.
pub(super) fn archive(client: &Client, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let sandbox = &arguments.sandbox;
    wait(on(client, sandbox, async |id| client.archive_sandbox(&id).await))?;
    said(sandbox, "archived")
}

fn said(sandbox: &str, what: &str) -> Result<ExitCode, Failure> {
    write(format!("Sandbox {sandbox} {what}\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
