//! `pitlane sandbox exec`.

use std::ffi::OsString;
use std::process::ExitCode;

use pitlane_client::{Client, ExecuteRequest, StreamRequest};

use super::find::find;
use crate::cli::{pair, shell_line};
use crate::commands::completion::sandbox_names;
use crate::commands::execution::{Interruption, follow};
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its id, the beginning of its id, or its name
    #[arg(add = sandbox_names())]
    sandbox: String,
    /// The command and its arguments, after --; for pipes and the like: -- sh -c '…'
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Variable that the command gets; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Folder that it runs in [default: the sandbox's]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Seconds after which it is ended
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
}

/// Runs a command in a sandbox; passes its output and code through.
pub(super) fn exec(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let run = StreamRequest::Command(ExecuteRequest {
        command: shell_line(&arguments.command)?,
        cwd: arguments.cwd,
        envs: Some(arguments.env.into_iter().collect()),
        timeout: arguments.timeout.map(i64::from),
    });
    wait(async {
        let mut interruption = Interruption::watch()?;
        let work = async {
            let sandbox = find(client, &arguments.sandbox).await?;
            follow(client, &sandbox, &run, format).await
        };
        tokio::select! {
            ended = work => ended,
            failure = interruption.wait() => Err(failure),
        }
    })
}
