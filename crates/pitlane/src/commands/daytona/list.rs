//! `daytona list`.

use std::process::ExitCode;

use pitlane_client::{Client, Direction, ListSandboxes, Order};
use pitlane_wire::control::SandboxListItem;

use super::form::{Form, word, write};
use crate::commands::wait;
use crate::failure::Failure;
use crate::table::table;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// JSON or YAML, for programs
    #[arg(long, short)]
    format: Option<Form>,
    /// At most so many [default: all]
    #[arg(long, short, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Lists sandboxes, the newest first.
pub(super) fn list(client: &Client, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let which = ListSandboxes {
        order: Some(Order::Created),
        direction: Some(Direction::Downwards),
        limit: arguments.limit,
        ..ListSandboxes::default()
    };
    let sandboxes = wait(async { Ok(client.sandboxes(&which).await?) })?;
    write(arguments.format, &sandboxes, |sandboxes| text(sandboxes))?;
    Ok(ExitCode::SUCCESS)
}

/// The same columns for ever: LangSwarm's tool reads the first as name and id and the second as status, and passes over
/// the line that begins with `NAME`.
pub(super) fn text(sandboxes: &[SandboxListItem]) -> String {
    let given = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<[String; 5]> = sandboxes
        .iter()
        .map(|sandbox| {
            [
                word(&sandbox.name, &sandbox.id).to_owned(),
                sandbox.state.clone().unwrap_or_else(|| "unknown".to_owned()),
                sandbox.id.clone(),
                sandbox.target.clone(),
                given(sandbox.created_at.as_ref()),
            ]
        })
        .collect();
    table(["NAME", "STATE", "ID", "REGION", "CREATED"], &rows)
}
