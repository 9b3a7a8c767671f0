//! `pitlane volume`.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use pitlane_client::{Client, RequestError};
use pitlane_wire::control::{SandboxVolume, VolumeDto};

use super::completion::volume_names;
use super::one_by_one::one_by_one;
use super::sandbox::ago;
use super::wait;
use crate::failure::Failure;
use crate::output::{Format, Screen, say};
use crate::table::{Column, fit, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an empty volume, which sandboxes can share and which outlives them
    Create {
        /// What it is called, unique in the organization
        name: String,
    },
    /// List volumes
    #[command(visible_alias = "list")]
    Ls,
    /// Tell about a volume
    Info {
        /// The volume, by name or id
        #[arg(add = volume_names())]
        volume: String,
    },
    /// Delete volumes with all that is in them; those that sandboxes have stay
    #[command(visible_alias = "delete")]
    Rm {
        /// The volumes, by name or id
        #[arg(value_name = "VOLUME", required = true, add = volume_names())]
        volumes: Vec<String>,
    },
}

/// Does what the command says.
pub(crate) fn volume(
    client: &Client,
    command: Command,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { name } => {
            let volume = wait(async { Ok(client.create_volume(&name).await?) })?;
            format.write(&volume, |volume| format!("{}\n", volume.id))?;
            if let Some(reason) = &volume.error_reason {
                return Err(Failure::new(format!("volume {name} could not be made: {reason}")));
            }
            if format == Format::Human && volume.state != "ready" {
                say(&format!("it is {}: `pitlane volume info {name}` tells more", volume.state));
            }
        }
        Command::Ls => {
            let volumes = wait(async { Ok(client.volumes().await?) })?;
            format.write(&volumes, |volumes| match Screen::of_output() {
                Some(screen) => on_screen(volumes, screen, Timestamp::now()),
                None => text(volumes),
            })?;
        }
        Command::Info { volume } => {
            let volume = wait(find(client, &volume))?;
            format.write(&volume, about)?;
        }
        Command::Rm { volumes } => {
            let remove = async |name: &str| {
                client.delete_volume(&find(client, name).await?.id).await?;
                Ok(name.to_owned())
            };
            return wait(one_by_one(&volumes, format, "deleted", remove));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The volume of this name, else of this id.
async fn find(client: &Client, called: &str) -> Result<VolumeDto, Failure> {
    match client.volume_by_name(called).await {
        Err(RequestError::Refused { status: 404, .. }) => {}
        found => return Ok(found?),
    }
    match client.volume(called).await {
        Err(RequestError::Refused { status: 404, .. }) => {
            Err(Failure::new(format!("there is no volume {called:?}"))
                .hint("pitlane volume ls shows those there are"))
        }
        found => Ok(found?),
    }
}

/// `NAME:PATH[:SUBPATH]`, as `--volume` has it. The first colon before a slash ends the name, so that names may have
/// colons of their own.
pub(crate) fn mount(text: &str) -> Result<SandboxVolume, String> {
    let (name, rest) = match text.split_once(":/") {
        Some((name, rest)) if !name.is_empty() => (name, rest),
        _ => return Err("it has the form NAME:PATH or NAME:PATH:SUBPATH".to_owned()),
    };
    let (path, subpath) = match rest.split_once(':') {
        Some((path, subpath)) => (path, Some(subpath.to_owned())),
        None => (rest, None),
    };
    Ok(SandboxVolume { volume_id: name.to_owned(), mount_path: format!("/{path}"), subpath })
}

fn given(text: Option<&String>) -> &str {
    text.map_or("-", String::as_str)
}

fn about(volume: &VolumeDto) -> String {
    let rows = [
        ("Name", volume.name.as_str()),
        ("ID", &volume.id),
        ("State", &volume.state),
        ("Error", given(volume.error_reason.as_ref())),
        ("Created", &volume.created_at),
        ("Used", given(volume.last_used_at.as_ref())),
    ];
    rows.map(|(name, value)| format!("{name:<9}{value}\n")).concat()
}

/// For programs and files: the same columns for ever.
fn text(volumes: &[VolumeDto]) -> String {
    let rows: Vec<_> = volumes
        .iter()
        .map(|volume| {
            [
                volume.id.clone(),
                volume.name.clone(),
                volume.state.clone(),
                volume.created_at.clone(),
                given(volume.last_used_at.as_ref()).to_owned(),
            ]
        })
        .collect();
    table(["ID", "NAME", "STATE", "CREATED", "USED"], &rows)
}

/// For a person in front of a terminal.
fn on_screen(volumes: &[VolumeDto], screen: Screen, now: Timestamp) -> String {
    let column = |heading, cell: &dyn Fn(&VolumeDto) -> String| {
        Column::new(heading, volumes.iter().map(cell))
    };
    let used = |volume: &VolumeDto| {
        volume.last_used_at.as_ref().map_or_else(|| "never".to_owned(), |time| ago(time, now))
    };
    let columns = vec![
        column("NAME", &|volume| volume.name.clone()).cut(),
        column("STATE", &|volume| volume.state.clone()),
        column("USED", &used).rank(1),
        column("CREATED", &|volume| ago(&volume.created_at, now)).rank(2),
        column("ID", &|volume| volume.id.clone()).rank(3),
    ];
    fit(columns, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_name_a_path_and_perhaps_a_folder_of_the_volume() {
        let mounted = |name: &str, path: &str, subpath: Option<&str>| SandboxVolume {
            volume_id: name.to_owned(),
            mount_path: path.to_owned(),
            subpath: subpath.map(str::to_owned),
        };
        assert_eq!(mount("data:/mnt/x"), Ok(mounted("data", "/mnt/x", None)));
        assert_eq!(mount("a:b:/x:y/z"), Ok(mounted("a:b", "/x", Some("y/z"))));
        for text in ["", "data", "data:x", ":/x", "/x"] {
            assert!(mount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_of_volumes_has_the_same_columns_for_ever() {
        let volume = VolumeDto {
            id: "1".into(),
            name: "data".into(),
            organization_id: "o".into(),
            state: "ready".into(),
            created_at: "2026-11-20T05:00:00.000Z".into(),
            updated_at: "2026-11-20T05:00:00.000Z".into(),
            last_used_at: None,
            error_reason: None,
        };
        let wanted = "ID  NAME  STATE  CREATED                   USED\n\
                      1   data  ready  2026-11-20T05:00:00.000Z  -\n";
        assert_eq!(text(std::slice::from_ref(&volume)), wanted);
        let now = "2026-11-21T05:00:00Z".parse().unwrap();
        let shown = on_screen(&[volume], Screen { width: 60, has_colours: false }, now);
        assert!(shown.contains("never") && shown.contains("data"), "{shown}");
    }
}
