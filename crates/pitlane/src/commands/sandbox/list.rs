//! `pitlane sandbox ls`.

use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;
use pitlane_client::{Client, Direction, ListSandboxes, Order};
use pitlane_wire::control::SandboxListItem;

use super::when::{ago, next};
use crate::cli::pair;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{Colour, Format, Screen};
use crate::table::{Column, fit, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only those with this label; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Only those in this state, such as started, stopped or error; may be given several times
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Only those whose name begins so
    #[arg(long, value_name = "BEGINNING")]
    name: Option<String>,
    /// By what they are sorted; sizes and times begin with the greatest
    #[arg(long, value_name = "BY", default_value = "used")]
    sort: Sort,
    /// The other way round
    #[arg(long, short)]
    reverse: bool,
    /// At most so many
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Print ids alone, a line each
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Name,
    Cpu,
    Memory,
    Disk,
    Created,
    Used,
}

impl Sort {
    const fn order(self) -> Order {
        match self {
            Self::Name => Order::Name,
            Self::Cpu => Order::Cpu,
            Self::Memory => Order::Memory,
            Self::Disk => Order::Disk,
            Self::Created => Order::Created,
            Self::Used => Order::Used,
        }
    }
}

/// Lists sandboxes.
pub(super) fn list(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let goes_up = (arguments.sort == Sort::Name) != arguments.reverse;
    let which = ListSandboxes {
        labels: arguments.label,
        states: arguments.state,
        name: arguments.name,
        id: None,
        order: Some(arguments.sort.order()),
        direction: Some(if goes_up { Direction::Upwards } else { Direction::Downwards }),
        limit: arguments.limit,
    };
    let sandboxes = wait(async { Ok(client.sandboxes(&which).await?) })?;
    format.write(&sandboxes, |sandboxes| {
        if arguments.quiet {
            sandboxes.iter().map(|sandbox| format!("{}\n", sandbox.id)).collect()
        } else {
            match Screen::of_output() {
                Some(screen) => on_screen(sandboxes, screen, Timestamp::now()),
                None => text(sandboxes),
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// For programs and files: the same columns for ever.
fn text(sandboxes: &[SandboxListItem]) -> String {
    let rows: Vec<_> = sandboxes.iter().map(row).collect();
    table(["ID", "NAME", "STATE", "SNAPSHOT", "CPU", "MEMORY", "DISK", "CREATED"], &rows)
}

fn row(sandbox: &SandboxListItem) -> [String; 8] {
    [
        sandbox.id.clone(),
        name(sandbox),
        given(sandbox.state.as_ref()),
        given(sandbox.snapshot.as_ref()),
        sandbox.cpu.to_string(),
        format!("{} GiB", sandbox.memory),
        format!("{} GiB", sandbox.disk),
        given(sandbox.created_at.as_ref()),
    ]
}

fn name(sandbox: &SandboxListItem) -> String {
    if sandbox.name == sandbox.id { "-".to_owned() } else { sandbox.name.clone() }
}

fn given(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}

/// For a person in front of a terminal.
fn on_screen(sandboxes: &[SandboxListItem], screen: Screen, now: Timestamp) -> String {
    if sandboxes.is_empty() {
        return "no sandboxes; `pitlane sandbox create` makes one\n".to_owned();
    }
    let column = |heading, cell: &dyn Fn(&SandboxListItem) -> String| {
        Column::new(heading, sandboxes.iter().map(cell))
    };
    let past = |time: Option<&String>| time.map_or_else(|| "-".to_owned(), |time| ago(time, now));
    let labels = |sandbox: &SandboxListItem| {
        let pairs = sandbox.labels.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(",")
    };
    let columns = vec![
        column("ID", &|sandbox| sandbox.id.clone())
            .short(sandboxes.iter().map(|sandbox| sandbox.id.chars().take(8).collect())),
        column("NAME", &name).cut(),
        column("STATE", &|sandbox| given(sandbox.state.as_ref()))
            .colours(sandboxes.iter().map(|sandbox| colour(sandbox.state.as_deref()))),
        column("NEXT", &|sandbox| next(sandbox, now).unwrap_or_default()).rank(1),
        column("CREATED", &|sandbox| past(sandbox.created_at.as_ref())).rank(2),
        column("USED", &|sandbox| past(sandbox.last_activity_at.as_ref())).rank(7),
        column("CPU", &|sandbox| sandbox.cpu.to_string()).rank(3),
        column("MEMORY", &|sandbox| format!("{} GiB", sandbox.memory)).rank(4),
        column("DISK", &|sandbox| format!("{} GiB", sandbox.disk)).rank(5),
        column("SNAPSHOT", &|sandbox| given(sandbox.snapshot.as_ref())).rank(6),
        column("LABELS", &labels).rank(8),
    ];
    fit(columns, screen)
}

/// The colour of a state.
pub(super) fn colour(state: Option<&str>) -> Option<Colour> {
    match state? {
        "started" => Some(Colour::Green),
        "error" | "build_failed" => Some(Colour::Red),
        "stopped" | "archived" => Some(Colour::Dim),
        // What is on its way.
        _ => Some(Colour::Yellow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(id: &str, name: &str, state: &str) -> SandboxListItem {
        serde_json::from_value(serde_json::json!({
            "id": id, "organizationId": "o", "name": name, "user": "daytona",
            "labels": {"team": "a", "purpose": "tests"}, "public": false, "networkBlockAll": false,
            "target": "local", "cpu": 1, "gpu": 0, "memory": 2, "disk": 10, "state": state, "snapshot": "default",
            "autoStopInterval": 15, "autoStopAt": (state == "started").then_some("2026-11-21T05:13:00.000Z"),
            "createdAt": "2026-11-21T02:30:00.000Z",
            "lastActivityAt": "2026-11-21T04:58:00.000Z", "toolboxProxyUrl": "http://127.0.0.1:3986/toolbox"
        }))
        .unwrap()
    }

    fn sandboxes() -> [SandboxListItem; 3] {
        let unnamed = "1b6ecb4e-0000-4000-8000-000000000000";
        [
            sandbox("0b6ecb4e-0000-4000-8000-000000000000", "build", "started"),
            sandbox(unnamed, unnamed, "stopped"),
            sandbox("2b6ecb4e-0000-4000-8000-000000000000", "a-name-that-is-rather-long", "error"),
        ]
    }

    #[test]
    fn a_list_of_sandboxes_lines_up() {
        insta::assert_snapshot!(text(&sandboxes()));
    }

    #[test]
    fn a_list_fits_on_a_terminal() {
        let now = "2026-11-21T05:00:00Z".parse().unwrap();
        for width in [60, 80, 200] {
            let shown = on_screen(&sandboxes(), Screen { width, has_colours: false }, now);
            insta::assert_snapshot!(format!("list-{width}"), shown);
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
        }
    }
}
