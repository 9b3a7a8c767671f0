//! `pitlane sandbox rm`.

use std::process::ExitCode;

use pitlane_client::Client;
use serde::Serialize;

use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{Format, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ids or names
    #[arg(required = true)]
    sandboxes: Vec<String>,
}

#[derive(Serialize)]
struct Deleted {
    deleted: Vec<String>,
}

/// Deletes sandboxes; goes on after one that cannot be deleted, and fails in the end.
pub(super) fn remove(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let mut deleted = Vec::new();
    let mut last: Option<Failure> = None;
    wait(async {
        for sandbox in &arguments.sandboxes {
            match client.delete_sandbox(sandbox).await {
                Ok(gone) => deleted.push(gone.core.id),
                Err(failure) => {
                    let failure = Failure::from(failure);
                    if let Some(earlier) = last.replace(failure) {
                        say(&earlier.to_string());
                    }
                }
            }
        }
        Ok(())
    })?;
    format.write(&Deleted { deleted }, |gone| {
        gone.deleted.iter().map(|id| format!("{id}\n")).collect()
    })?;
    last.map_or(Ok(ExitCode::SUCCESS), Err)
}
