//! `pitlane completion`, and what it completes: commands, and names that the server knows.
//!
//! The script that a shell gets asks this program at every press of the key, through a variable that the parser looks at
//! before anything else.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use clap_complete::env::{CompleteEnv, Shells};
use pitlane_client::{Client, ListSandboxes};
use pitlane_wire::control::SandboxListItem;

use super::wait;
use crate::cli::CommandLine;
use crate::connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// The variable by which a shell's script asks.
const VARIABLE: &str = "PITLANE_COMPLETE";

/// How long a person who pressed the key waits for a server.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many sandboxes are offered.
const OFFERED: usize = 200;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell: bash, zsh or fish
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

/// Writes a script that completes commands in a shell.
pub(crate) fn completion(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&arguments.shell)
        .ok_or_else(|| Failure::new("there is no such shell").exit(Exit::Usage))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "pitlane", "pitlane", "pitlane", &mut script)?;
    output::write(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Answers a shell that asks what could come next. `None` if none asks, and this is a command to do.
pub(crate) fn answer() -> Option<ExitCode> {
    let environment = CompleteEnv::with_factory(CommandLine::command).var(VARIABLE);
    let folder = std::env::current_dir().ok();
    match environment.try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(told) => {
            // Nobody is left to tell.
            drop(told.print());
            Some(Exit::Usage.into())
        }
    }
}

/// Completes ids and names of sandboxes.
pub(super) fn sandbox_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| candidates(begun, ""))
}

/// Completes names of API keys.
pub(super) fn key_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let keys = asked(async |client| client.keys().await.unwrap_or_default());
        let names = keys.into_iter().map(|key| key.name);
        names.filter(|name| is_begun(name, begun)).map(CompletionCandidate::new).collect()
    })
}

/// Completes registries: their names.
pub(super) fn registry_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let registries = asked(async |client| client.registries().await.unwrap_or_default());
        let names = registries.into_iter().map(|registry| registry.name);
        names.filter(|name| is_begun(name, begun)).map(CompletionCandidate::new).collect()
    })
}

/// Completes volumes: their names.
pub(super) fn volume_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let volumes = asked(async |client| client.volumes().await.unwrap_or_default());
        let names = volumes.into_iter().map(|volume| volume.name);
        names.filter(|name| is_begun(name, begun)).map(CompletionCandidate::new).collect()
    })
}

/// Completes snapshots: their names.
pub(super) fn snapshot_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let snapshots = asked(async |client| client.snapshots(None).await.unwrap_or_default());
        let names = snapshots.into_iter().map(|snapshot| snapshot.name);
        names.filter(|name| is_begun(name, begun)).map(CompletionCandidate::new).collect()
    })
}

/// Completes warm pools: the names of their snapshots, and their ids.
pub(super) fn pool_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let pools = asked(async |client| client.warm_pools().await.unwrap_or_default());
        let names = pools.into_iter().flat_map(|pool| [pool.snapshot, pool.id]);
        let names: BTreeSet<String> = names.filter(|name| is_begun(name, begun)).collect();
        names.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Completes paths here, and sandboxes with the colon after which a path in one comes.
pub(super) fn places() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let mut found = PathCompleter::any().complete(begun);
        found.extend(candidates(begun, ":"));
        found
    })
}

fn candidates(begun: &OsStr, end: &str) -> Vec<CompletionCandidate> {
    let which = ListSandboxes { limit: Some(OFFERED), ..ListSandboxes::default() };
    let sandboxes = asked(async |client| client.sandboxes(&which).await.unwrap_or_default());
    sandboxes.iter().filter_map(|sandbox| candidate(sandbox, begun, end)).collect()
}

/// A sandbox by its name, or by its id where that is how the word begins.
fn candidate(sandbox: &SandboxListItem, begun: &OsStr, end: &str) -> Option<CompletionCandidate> {
    let called = [&sandbox.name, &sandbox.id].into_iter().find(|text| is_begun(text, begun))?;
    let state = sandbox.state.clone().unwrap_or_default();
    Some(CompletionCandidate::new(format!("{called}{end}")).help(Some(state.into())))
}

fn is_begun(text: &str, begun: &OsStr) -> bool {
    begun.to_str().is_some_and(|begun| text.starts_with(begun))
}

/// Asks the server that commands would talk to; whatever fails, there is nothing to offer.
fn asked<T>(question: impl AsyncFnOnce(&Client) -> Vec<T>) -> Vec<T> {
    let Ok(client) = connection::client(None) else { return Vec::new() };
    let answer = wait(async {
        Ok(tokio::time::timeout(PATIENCE, question(&client)).await.unwrap_or_default())
    });
    answer.unwrap_or_default()
}
