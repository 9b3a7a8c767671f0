//! `daytona delete`.

use std::process::ExitCode;

use pitlane_client::{Client, ListSandboxes};

use crate::commands::sandbox::on;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{say_failure, write};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its id or its name
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    sandbox: Option<String>,
    /// Delete all sandboxes
    #[arg(long, short)]
    all: bool,
    /// Nothing is asked anyway; older scripts say it
    #[arg(long, short, visible_alias = "yes", short_alias = 'y')]
    force: bool,
}

/// Deletes one sandbox or all; of all it goes on after one that cannot be deleted, and fails in the end.
pub(super) fn delete(client: &Client, arguments: &Arguments) -> Result<ExitCode, Failure> {
    wait(async {
        let sandboxes = match &arguments.sandbox {
            Some(sandbox) => vec![sandbox.clone()],
            None => {
                let all = client.sandboxes(&ListSandboxes::default()).await?;
                all.into_iter().map(|sandbox| sandbox.id).collect()
            }
        };
        let mut last = None;
        for sandbox in &sandboxes {
            match on(client, sandbox, async |id| client.delete_sandbox(&id).await).await {
                Ok(_) => write(format!("Sandbox {sandbox} deleted\n").as_bytes())?,
                Err(failure) => {
                    if let Some(earlier) = last.replace(failure) {
                        say_failure(&earlier);
                    }
                }
            }
        }
        last.map_or(Ok(ExitCode::SUCCESS), Err)
    })
}
