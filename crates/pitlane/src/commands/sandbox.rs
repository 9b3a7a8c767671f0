//! `pitlane sandbox`: the commands for sandboxes, one file each.

mod copy;
mod create;
mod each;
mod exec;
mod find;
mod info;
mod life;
mod list;
mod logs;
mod remove;
mod resize;
mod set;
mod shell;
mod url;
mod when;

use std::process::ExitCode;

use clap::Subcommand;
use pitlane_client::Client;

use crate::failure::Failure;
use crate::output::Format;

pub(super) use create::create_or_undo;
pub(crate) use find::find;
pub(super) use find::on;
pub(super) use when::{ago, roughly};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a sandbox and print its id
    Create(Box<create::Arguments>),
    /// List sandboxes
    #[command(visible_alias = "list")]
    Ls(list::Arguments),
    /// Show sandboxes with all that is known of them
    Info(info::Arguments),
    /// Run a command in a sandbox; its output and exit code are passed through
    Exec(exec::Arguments),
    /// Open a terminal in a sandbox
    Shell(shell::Arguments),
    /// Copy files and folders into, out of and between sandboxes
    #[command(visible_alias = "copy")]
    Cp(copy::Arguments),
    /// Start stopped sandboxes
    Start(life::Arguments),
    /// Stop sandboxes and keep their disks
    Stop(life::Arguments),
    /// Move the disks of stopped sandboxes to where they cost less; starting one brings it back
    Archive(life::Arguments),
    /// Mend sandboxes that failed, and start them
    Recover(life::Arguments),
    /// Change labels, timers and the visibility of sandboxes
    Set(set::Arguments),
    /// Tell what became of a sandbox: who started and stopped it, when and why
    #[command(visible_alias = "log")]
    Logs(logs::Arguments),
    /// Change the limits of a sandbox
    Resize(resize::Arguments),
    /// Tell where a port of a sandbox can be reached
    Url(url::Arguments),
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
        Command::Create(arguments) => create::create(client, *arguments, format),
        Command::Ls(arguments) => list::list(client, arguments, format),
        Command::Info(arguments) => info::info(client, &arguments, format),
        Command::Exec(arguments) => exec::exec(client, arguments, format),
        Command::Shell(arguments) => shell::shell(client, &arguments, format),
        Command::Cp(arguments) => copy::copy(client, &arguments, format),
        Command::Start(arguments) => life::start(client, &arguments, format),
        Command::Stop(arguments) => life::stop(client, &arguments, format),
        Command::Archive(arguments) => life::archive(client, &arguments, format),
        Command::Recover(arguments) => life::recover(client, &arguments, format),
        Command::Set(arguments) => set::set(client, &arguments, format),
        Command::Logs(arguments) => logs::logs(client, &arguments, format),
        Command::Resize(arguments) => resize::resize(client, &arguments, format),
        Command::Url(arguments) => url::url(client, &arguments, format),
        Command::Rm(arguments) => remove::remove(client, &arguments, format),
    }
}
