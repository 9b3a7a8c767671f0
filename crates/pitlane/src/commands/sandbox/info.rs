//! `pitlane sandbox info`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use jiff::Timestamp;
use pitlane_client::Client;
use pitlane_wire::control::Sandbox;

use super::find::find;
use super::list::colour;
use super::when::{ago, next, roughly};
use crate::commands::completion::sandbox_names;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{Format, Screen, say_failure};
use crate::table::plain;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ids, beginnings of ids, or names
    #[arg(value_name = "SANDBOX", required = true, add = sandbox_names())]
    sandboxes: Vec<String>,
}

/// Shows sandboxes; goes on after one that cannot be shown, and fails in the end. In JSON one sandbox is an object and
/// several are a list.
pub(super) fn info(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let (mut sandboxes, mut last) = (Vec::new(), None);
    wait(async {
        for sandbox in &arguments.sandboxes {
            match find(client, sandbox).await {
                Ok(found) => sandboxes.push(found),
                Err(failure) => {
                    if let Some(earlier) = last.replace(failure) {
                        say_failure(&earlier);
                    }
                }
            }
        }
        Ok(())
    })?;
    let screen = Screen::of_output();
    let text = |sandbox: &Sandbox| text(sandbox, screen, Timestamp::now());
    match (sandboxes.as_slice(), arguments.sandboxes.len()) {
        ([], 1) => {}
        ([only], 1) => format.write(only, text)?,
        (_, _) => format.write(&sandboxes, |sandboxes| {
            sandboxes.iter().map(text).collect::<Vec<_>>().join("\n")
        })?,
    }
    last.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn text(sandbox: &Sandbox, screen: Option<Screen>, now: Timestamp) -> String {
    let core = &sandbox.core;
    let pairs = |pairs: &BTreeMap<String, String>| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
    };
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    // What a program reads stays a date.
    let time = |time: &Option<String>| match screen {
        Some(_) => time.as_deref().map(|time| ago(time, now)).unwrap_or_default(),
        None => given(time),
    };
    // Values may be secret: their names say enough.
    let variables = sandbox.env.keys().cloned().collect::<Vec<_>>().join(", ");
    let lines = [
        ("id", core.id.clone()),
        ("name", core.name.clone()),
        ("state", given(&core.state)),
        ("reason", given(&core.error_reason)),
        ("recoverable", recoverable(sandbox).to_owned()),
        ("next", next(core, now).filter(|_| screen.is_some()).unwrap_or_default()),
        ("snapshot", given(&core.snapshot)),
        ("user", core.user.clone()),
        ("limits", format!("{} CPU, {} GiB memory, {} GiB disk", core.cpu, core.memory, core.disk)),
        ("network", if core.network_block_all { "none" } else { "open" }.to_owned()),
        ("previews", if core.public { "public" } else { "" }.to_owned()),
        ("timers", timers(sandbox).join(if screen.is_some() { "\n" } else { ", " })),
        ("labels", pairs(&core.labels)),
        ("variables", variables),
        ("created", time(&core.created_at)),
        ("last used", time(&core.last_activity_at)),
    ];
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    let painted = |name: &str, value: String| match screen {
        Some(Screen { has_colours: true, .. }) if name == "state" => {
            colour(Some(&value)).map_or(value.clone(), |colour| colour.paint(&value))
        }
        Some(_) | None => value,
    };
    lines
        .flat_map(|(name, value)| {
            let lines: Vec<_> = value.lines().map(|line| plain(line, false)).collect();
            let names = std::iter::once(name).chain(std::iter::repeat(""));
            names.zip(lines).collect::<Vec<_>>()
        })
        .map(|(name, line)| format!("{name:<11}  {}\n", painted(name, line)))
        .collect()
}

fn recoverable(sandbox: &Sandbox) -> &'static str {
    match sandbox.core.recoverable {
        Some(true) => "yes: `pitlane sandbox recover`",
        Some(false) | None => "",
    }
}

/// When it ends by itself, for each way that it does.
fn timers(sandbox: &Sandbox) -> Vec<String> {
    let core = &sandbox.core;
    let roughly = |minutes: i64| roughly(minutes.saturating_mul(60));
    let stop = core.auto_stop_interval.filter(|minutes| *minutes > 0);
    let archive = core.auto_archive_interval.filter(|minutes| *minutes > 0);
    let timers = [
        stop.map(|minutes| format!("stops after {} without use", roughly(minutes))),
        archive.map(|minutes| format!("archived {} after its stop", roughly(minutes))),
        match core.auto_delete_interval {
            Some(0) => Some("deleted when it stops".to_owned()),
            Some(minutes) if minutes > 0 => {
                Some(format!("deleted {} after its stop", roughly(minutes)))
            }
            Some(_) | None => None,
        },
        core.auto_destroy_at.as_ref().map(|time| format!("deleted at {time}")),
    ];
    timers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox() -> Sandbox {
        serde_json::from_value(serde_json::json!({
            "id": "0b6ecb4e-0000-4000-8000-000000000000", "organizationId": "o", "name": "build", "user": "daytona",
            "env": {"TOKEN": "secret"}, "labels": {"a": "1", "b": "2"}, "public": true, "networkBlockAll": true,
            "kvm": false, "target": "local", "cpu": 1, "gpu": 0, "memory": 2, "disk": 10, "state": "error",
            "errorReason": "its disk is full", "recoverable": true, "autoStopInterval": 15, "autoDeleteInterval": 0,
            "autoDestroyAt": "2026-11-21T06:30:00.000Z", "snapshot": "default",
            "createdAt": "2026-11-21T02:30:00.000Z", "toolboxProxyUrl": "http://127.0.0.1:3986/toolbox"
        }))
        .unwrap()
    }

    #[test]
    fn one_sandbox_is_shown_without_the_values_of_its_variables() {
        let now = "2026-11-21T05:00:00Z".parse().unwrap();
        insta::assert_snapshot!(text(&sandbox(), None, now));
        let screen = Screen { width: 80, has_colours: false };
        insta::assert_snapshot!("on-a-terminal", text(&sandbox(), Some(screen), now));
    }
}
