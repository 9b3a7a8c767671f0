//! `pitlane completion`.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Writes a script that completes `command` in a shell.
pub(crate) fn completion(
    arguments: &Arguments,
    mut command: clap::Command,
) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "pitlane", &mut script);
    output::write(&script)?;
    Ok(ExitCode::SUCCESS)
}
