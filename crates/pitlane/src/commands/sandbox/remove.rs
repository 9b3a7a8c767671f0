//! `pitlane sandbox rm`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use pitlane_client::Client;

use super::each::{Selection, each_of};
use super::find::on;
use crate::commands::execution::Interruption;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{Format, is_terminal_aside, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Do not ask, also on a terminal, before those are deleted that were not named one by one
    #[arg(long, short)]
    yes: bool,
}

/// Deletes sandboxes; goes on after one that cannot be deleted, and fails in the end.
pub(super) fn remove(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    // A question is asked before signals are watched, so that Ctrl-C answers it.
    let sandboxes = wait(arguments.selection.resolve(client, &[]))?;
    let is_sure = arguments.yes || arguments.selection.is_by_name() || sandboxes.is_empty();
    if !is_sure && std::io::stdin().is_terminal() && is_terminal_aside() && !ask(sandboxes.len())? {
        return Err(Failure::new("nothing was deleted"));
    }
    if sandboxes.is_empty() && format == Format::Human {
        say("there is none");
    }
    wait(async {
        let mut interruption = Interruption::watch()?;
        each_of(&sandboxes, &mut interruption, format, "deleted", async |sandbox| {
            let gone = on(client, sandbox, async |id| client.delete_sandbox(&id).await).await?;
            Ok(gone.core.id)
        })
        .await
    })
}

fn ask(count: usize) -> Result<bool, Failure> {
    let sandboxes = if count == 1 { "1 sandbox" } else { &format!("{count} sandboxes") };
    let mut aside = std::io::stderr();
    write!(aside, "delete {sandboxes} with all that is in them? [y/N] ")?;
    aside.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
