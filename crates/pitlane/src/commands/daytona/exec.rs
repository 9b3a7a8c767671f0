//! `daytona exec`.

use std::ffi::OsString;
use std::process::ExitCode;

use pitlane_client::{Client, ExecuteRequest, StreamRequest};

use crate::cli::shell_line;
use crate::commands::execution::{Interruption, follow};
use crate::commands::sandbox::find;
use crate::commands::wait;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its id or its name
    pub(super) sandbox: String,
    /// One line for a shell, or a command and its arguments after --
    #[arg(required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
    /// Folder that it runs in [default: the sandbox's]
    #[arg(long, value_name = "DIR")]
    pub(super) cwd: Option<String>,
    /// Seconds after which it is ended; 0 for never
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    pub(super) timeout: u32,
}

/// Runs a command; passes its two outputs and its code through.
pub(super) fn exec(client: &Client, arguments: Arguments) -> Result<ExitCode, Failure> {
    let run = StreamRequest::Command(ExecuteRequest {
        command: line(&arguments.command)?,
        cwd: arguments.cwd,
        envs: None,
        timeout: (arguments.timeout > 0).then(|| i64::from(arguments.timeout)),
    });
    wait(async {
        let mut interruption = Interruption::watch()?;
        let work = async {
            let sandbox = find(client, &arguments.sandbox).await?;
            follow(client, &sandbox, &run, Format::Human).await
        };
        tokio::select! {
            ended = work => ended,
            failure = interruption.wait() => Err(failure),
        }
    })
}

/// A single word is a line for a shell as it stands; several are passed on as they are.
pub(super) fn line(command: &[OsString]) -> Result<String, Failure> {
    match command {
        [line] => line
            .to_str()
            .map(str::to_owned)
            .ok_or_else(|| Failure::new("the command is not UTF-8").exit(Exit::Usage)),
        several => shell_line(several),
    }
}
