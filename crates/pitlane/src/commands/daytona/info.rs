//! `daytona info`.

use std::process::ExitCode;

use pitlane_client::Client;
use pitlane_wire::control::Sandbox;

use super::create::REPOSITORY;
use super::form::{Form, write};
use crate::commands::sandbox::find;
use crate::commands::wait;
use crate::failure::Failure;
use crate::table::plain;

/// The label that says for which language a sandbox was made.
const LANGUAGE: &str = "code-toolbox-language";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its id or its name
    sandbox: String,
    /// JSON or YAML, for programs
    #[arg(long, short)]
    format: Option<Form>,
}

/// Shows a sandbox.
pub(super) fn info(client: &Client, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let sandbox = wait(find(client, &arguments.sandbox))?;
    write(arguments.format, &sandbox, text)?;
    Ok(ExitCode::SUCCESS)
}

/// Lines that LangSwarm's tool reads as `Key: value`. It wants variables as something that no line can hold, so there is
/// no line for them; their values would be nobody's to see anyway.
pub(super) fn text(sandbox: &Sandbox) -> String {
    let core = &sandbox.core;
    let given = |text: Option<&String>| text.cloned().unwrap_or_default();
    let language = core.labels.get(LANGUAGE).map_or("python", String::as_str);
    let lines = [
        ("ID", core.id.clone()),
        ("Name", core.name.clone()),
        ("Status", core.state.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("Reason", given(core.error_reason.as_ref())),
        ("Language", language.to_owned()),
        ("Git repo", given(core.labels.get(REPOSITORY))),
        ("Snapshot", given(core.snapshot.as_ref())),
        ("Region", core.target.clone()),
        ("User", core.user.clone()),
        ("CPU", core.cpu.to_string()),
        ("Memory", format!("{} GiB", core.memory)),
        ("Disk", format!("{} GiB", core.disk)),
        ("Created at", given(core.created_at.as_ref())),
        ("Last accessed", given(core.last_activity_at.as_ref().or(core.created_at.as_ref()))),
    ];
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(key, value)| format!("{key}: {}\n", plain(&value, false))).collect()
}
