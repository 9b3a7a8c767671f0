//! `pitlane sandbox ls`.

use std::process::ExitCode;

use pitlane_client::{Client, ListSandboxes};
use pitlane_wire::control::SandboxListItem;

use crate::cli::pair;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::Format;
use crate::table::table;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only those with this label; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Only those in this state; may be given several times
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Print ids alone, a line each
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
}

/// Lists sandboxes.
pub(super) fn list(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let which = ListSandboxes {
        labels: arguments.label,
        states: arguments.state,
        ..ListSandboxes::default()
    };
    let sandboxes = wait(async { Ok(client.sandboxes(&which).await?) })?;
    format.write(&sandboxes, |sandboxes| {
        if arguments.quiet {
            sandboxes.iter().map(|sandbox| format!("{}\n", sandbox.id)).collect()
        } else {
            text(sandboxes)
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn text(sandboxes: &[SandboxListItem]) -> String {
    let rows: Vec<_> = sandboxes.iter().map(row).collect();
    table(["ID", "NAME", "STATE", "SNAPSHOT", "CPU", "MEMORY", "DISK", "CREATED"], &rows)
}

fn row(sandbox: &SandboxListItem) -> [String; 8] {
    let is_unnamed = sandbox.name == sandbox.id;
    let given = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        sandbox.id.clone(),
        if is_unnamed { "-".to_owned() } else { sandbox.name.clone() },
        given(&sandbox.state),
        given(&sandbox.snapshot),
        sandbox.cpu.to_string(),
        format!("{} GiB", sandbox.memory),
        format!("{} GiB", sandbox.disk),
        given(&sandbox.created_at),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_sandboxes_lines_up() {
        let sandbox = |id: &str, name: &str, state: &str| {
            serde_json::from_value::<SandboxListItem>(serde_json::json!({
                "id": id, "organizationId": "o", "name": name, "user": "daytona", "labels": {}, "public": false,
                "networkBlockAll": false, "target": "local", "cpu": 1, "gpu": 0, "memory": 2, "disk": 10,
                "state": state, "snapshot": "default", "createdAt": "2026-11-21T02:30:00.000Z",
                "toolboxProxyUrl": "http://127.0.0.1:3986/toolbox"
            }))
            .unwrap()
        };
        insta::assert_snapshot!(text(&[
            sandbox("0b6ecb4e-0000-4000-8000-000000000000", "build", "started"),
            sandbox(
                "1b6ecb4e-0000-4000-8000-000000000000",
                "1b6ecb4e-0000-4000-8000-000000000000",
                "stopped"
            ),
        ]));
    }
}
