//! `pitlane sandbox info`.

use std::process::ExitCode;

use pitlane_client::Client;
use pitlane_wire::control::Sandbox;

use crate::commands::wait;
use crate::failure::Failure;
use crate::output::Format;
use crate::table::table;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its id or name
    sandbox: String,
}

/// Shows one sandbox.
pub(super) fn info(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let sandbox = wait(async { Ok(client.sandbox(&arguments.sandbox).await?) })?;
    format.write(&sandbox, text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(sandbox: &Sandbox) -> String {
    let core = &sandbox.core;
    let pairs = |pairs: &std::collections::BTreeMap<String, String>| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
    };
    // Values may be secret: their names say enough.
    let variables = sandbox.env.keys().cloned().collect::<Vec<_>>().join(", ");
    let lines = [
        ("id", core.id.clone()),
        ("name", core.name.clone()),
        ("state", core.state.clone().unwrap_or_default()),
        ("reason", core.error_reason.clone().unwrap_or_default()),
        ("snapshot", core.snapshot.clone().unwrap_or_default()),
        ("user", core.user.clone()),
        ("limits", format!("{} CPU, {} GiB memory, {} GiB disk", core.cpu, core.memory, core.disk)),
        ("network", if core.network_block_all { "none" } else { "open" }.to_owned()),
        ("labels", pairs(&core.labels)),
        ("variables", variables),
        ("created", core.created_at.clone().unwrap_or_default()),
        ("last used", core.last_activity_at.clone().unwrap_or_default()),
    ];
    let rows: Vec<[String; 2]> = lines
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| [name.to_owned(), value])
        .collect();
    table(["", ""], &rows).trim_start_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sandbox_is_shown_without_the_values_of_its_variables() {
        let sandbox: Sandbox = serde_json::from_value(serde_json::json!({
            "id": "0b6ecb4e-0000-4000-8000-000000000000", "organizationId": "o", "name": "build", "user": "daytona",
            "env": {"TOKEN": "secret"}, "labels": {"a": "1", "b": "2"}, "public": false, "networkBlockAll": true,
            "kvm": false, "target": "local", "cpu": 1, "gpu": 0, "memory": 2, "disk": 10, "state": "error",
            "errorReason": "its disk is full", "autoStopInterval": 15, "snapshot": "default",
            "createdAt": "2026-11-21T02:30:00.000Z", "toolboxProxyUrl": "http://127.0.0.1:3986/toolbox"
        }))
        .unwrap();
        insta::assert_snapshot!(text(&sandbox));
    }
}
