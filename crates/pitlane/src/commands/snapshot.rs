//! `pitlane snapshot`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use pitlane_client::Client;
use pitlane_wire::control::Snapshot;

use super::completion::{sandbox_names, snapshot_names};
use super::one_by_one::one_by_one;
use super::wait;
use crate::failure::Failure;
use crate::output::{Format, Screen};
use crate::table::{Column, fit, table};

/// How long between two looks at a sandbox of which a snapshot is taken.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take a snapshot of a sandbox: its files as they are now, for new sandboxes to start from
    Create {
        /// The sandbox, by id or name; started or stopped
        #[arg(add = sandbox_names())]
        sandbox: String,
        /// What the snapshot is called: letters, digits and ._:-/
        name: String,
    },
    /// List snapshots: what sandboxes can start from
    #[command(visible_alias = "list")]
    Ls {
        /// Only those that were taken of this sandbox, by id or name
        #[arg(long, value_name = "SANDBOX", add = sandbox_names())]
        of: Option<String>,
    },
    /// Delete snapshots; their sandboxes stay
    #[command(visible_alias = "delete")]
    Rm {
        /// The snapshots, by id or name
        #[arg(value_name = "SNAPSHOT", required = true, add = snapshot_names())]
        snapshots: Vec<String>,
    },
    /// Let sandboxes start from a snapshot again
    Activate {
        /// The snapshot, by id or name
        #[arg(add = snapshot_names())]
        snapshot: String,
    },
    /// Keep sandboxes from starting from a snapshot
    Deactivate {
        /// The snapshot, by id or name
        #[arg(add = snapshot_names())]
        snapshot: String,
    },
}

/// Does what the command says.
pub(crate) fn snapshot(
    client: &Client,
    command: Command,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { sandbox, name } => {
            let taken = wait(take(client, &sandbox, &name))?;
            format.write(&taken, |taken| format!("{}\n", taken.name))?;
        }
        Command::Ls { of } => {
            let snapshots = wait(async {
                let of = match of {
                    Some(sandbox) => Some(client.sandbox(&sandbox).await?.core.id),
                    None => None,
                };
                Ok(client.snapshots(of.as_deref()).await?)
            })?;
            format.write(&snapshots, |snapshots| match Screen::of_output() {
                Some(screen) => on_screen(snapshots, screen),
                None => text(snapshots),
            })?;
        }
        Command::Rm { snapshots } => {
            let remove = async |name: &str| {
                client.delete_snapshot(name).await?;
                Ok(name.to_owned())
            };
            return wait(one_by_one(&snapshots, format, "deleted", remove));
        }
        Command::Activate { snapshot } => {
            let activated = wait(async { Ok(client.activate_snapshot(&snapshot).await?) })?;
            format.write(&activated, |activated| format!("{}\n", activated.name))?;
        }
        Command::Deactivate { snapshot } => {
            let deactivated = wait(async {
                client.deactivate_snapshot(&snapshot).await?;
                Ok(client.snapshot(&snapshot).await?)
            })?;
            format.write(&deactivated, |deactivated| format!("{}\n", deactivated.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes a snapshot and waits until it is taken, however long that takes.
async fn take(client: &Client, sandbox: &str, name: &str) -> Result<Snapshot, Failure> {
    let mut taken = client.snapshot_sandbox(sandbox, name).await?;
    while taken.core.state.as_deref() == Some("snapshotting") {
        tokio::time::sleep(LOOK).await;
        taken = client.sandbox(sandbox).await?;
    }
    match client.snapshot(name).await {
        Ok(snapshot) => Ok(snapshot),
        // The sandbox says why.
        Err(error) => Err(taken.core.error_reason.map_or_else(|| error.into(), Failure::new)),
    }
}

fn size(snapshot: &Snapshot) -> String {
    snapshot.size.map_or_else(|| "-".to_owned(), |gib| format!("{gib} GiB"))
}

fn source(snapshot: &Snapshot) -> String {
    snapshot.source_sandbox_id.clone().unwrap_or_else(|| "-".to_owned())
}

/// For programs and files: the same columns for ever.
fn text(snapshots: &[Snapshot]) -> String {
    let rows: Vec<_> = snapshots
        .iter()
        .map(|snapshot| {
            [
                snapshot.id.clone(),
                snapshot.name.clone(),
                snapshot.state.clone(),
                size(snapshot),
                source(snapshot),
                snapshot.created_at.clone(),
            ]
        })
        .collect();
    table(["ID", "NAME", "STATE", "SIZE", "SANDBOX", "CREATED"], &rows)
}

/// For a person in front of a terminal.
fn on_screen(snapshots: &[Snapshot], screen: Screen) -> String {
    let column = |heading, cell: &dyn Fn(&Snapshot) -> String| {
        Column::new(heading, snapshots.iter().map(cell))
    };
    let columns = vec![
        column("NAME", &|snapshot| snapshot.name.clone()).cut(),
        column("STATE", &|snapshot| snapshot.state.clone()),
        column("SIZE", &size).rank(1),
        column("SANDBOX", &source).rank(2),
        column("ID", &|snapshot| snapshot.id.clone()).rank(3),
    ];
    fit(columns, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_snapshots_says_what_they_were_taken_of() {
        let snapshot = |id: &str, name: &str, source: Option<&str>| Snapshot {
            id: id.into(),
            organization_id: None,
            general: source.is_none(),
            name: name.into(),
            image_name: None,
            state: "active".into(),
            size: source.map(|_| 2),
            entrypoint: None,
            cpu: 1,
            gpu: 0,
            mem: 1,
            disk: 3,
            error_reason: None,
            created_at: "2026-11-20T05:00:00.000Z".into(),
            updated_at: "2026-11-20T05:00:00.000Z".into(),
            last_used_at: None,
            source_sandbox_id: source.map(str::to_owned),
            build_info: None,
            sandbox_class: None,
        };
        let all = [snapshot("1", "default", None), snapshot("2", "mine", Some("s"))];
        let wanted = "ID  NAME     STATE   SIZE   SANDBOX  CREATED\n\
                      1   default  active  -      -        2026-11-20T05:00:00.000Z\n\
                      2   mine     active  2 GiB  s        2026-11-20T05:00:00.000Z\n";
        assert_eq!(text(&all), wanted);
        let shown = on_screen(&all, Screen { width: 60, has_colours: false });
        assert!(shown.contains("mine") && shown.contains("2 GiB"), "{shown}");
    }
}
