//! `pitlane sandbox`: the commands for sandboxes, one file each.

mod copy;
mod create;
mod exec;
mod info;
mod list;
mod remove;

use std::process::ExitCode;

use clap::Subcommand;
use pitlane_client::Client;
use pitlane_wire::control::Sandbox;

use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a sandbox and print its id
    Create(create::Arguments),
    /// List sandboxes
    #[command(visible_alias = "list")]
    Ls(list::Arguments),
    /// Show one sandbox
    Info(info::Arguments),
    /// Run a command in a sandbox; its output and exit code are passed through
    Exec(exec::Arguments),
    /// Copy files and folders into, out of and between sandboxes
    #[command(visible_alias = "copy")]
    Cp(copy::Arguments),
    /// Delete sandboxes with all that is in them
    #[command(visible_alias = "delete")]
    Rm(remove::Arguments),
}

/// Does what the command says.
pub(crate) fn sandbox(
    client: &Client,
    command: Command,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(arguments) => create::create(client, arguments, format),
        Command::Ls(arguments) => list::list(client, arguments, format),
        Command::Info(arguments) => info::info(client, &arguments, format),
        Command::Exec(arguments) => exec::exec(client, arguments, format),
        Command::Cp(arguments) => copy::copy(client, &arguments, format),
        Command::Rm(arguments) => remove::remove(client, &arguments, format),
    }
}

/// Finds a sandbox by id or name.
async fn find(client: &Client, sandbox: &str) -> Result<Sandbox, Failure> {
    Ok(client.sandbox(sandbox).await?)
}
