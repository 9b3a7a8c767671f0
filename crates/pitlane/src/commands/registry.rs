//! `pitlane registry`: registries of images that the organization has passwords for.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use pitlane_client::Client;
use pitlane_wire::control::{CreateDockerRegistry, DockerRegistry};

use super::completion::registry_names;
use super::image::password;
use super::one_by_one::one_by_one;
use super::sandbox::ago;
use super::wait;
use crate::failure::Failure;
use crate::output::{Format, Screen};
use crate::table::{Column, fit, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a registry; the password is read from standard input, kept encrypted and never shown again
    Add {
        /// Where it is, such as registry.example:5000 or docker.io
        url: String,
        /// Who asks it
        #[arg(long, value_name = "NAME")]
        user: String,
        /// What it is called, unique in the organization [default: its address]
        #[arg(long)]
        name: Option<String>,
        /// Use the password for images whose paths begin with this alone
        #[arg(long, value_name = "PATH")]
        project: Option<String>,
    },
    /// List registries
    #[command(visible_alias = "list")]
    Ls,
    /// Remove registries and their passwords; images that came with them stay
    #[command(visible_alias = "delete")]
    Rm {
        /// The registries, by name or id
        #[arg(value_name = "REGISTRY", required = true, add = registry_names())]
        registries: Vec<String>,
    },
}

/// Does what the command says.
pub(crate) fn registry(
    client: &Client,
    command: Command,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Add { url, user, name, project } => {
            let name = name.unwrap_or_else(|| url.clone());
            let password = password()?;
            let request = CreateDockerRegistry { name, url, username: user, password, project };
            let made = wait(async { Ok(client.create_registry(&request).await?) })?;
            format.write(&made, |made| format!("{}\n", made.id))?;
        }
        Command::Ls => {
            let registries = wait(async { Ok(client.registries().await?) })?;
            format.write(&registries, |registries| match Screen::of_output() {
                Some(screen) => on_screen(registries, screen, Timestamp::now()),
                None => text(registries),
            })?;
        }
        Command::Rm { registries } => {
            return wait(async {
                let known = client.registries().await?;
                let remove = async |name: &str| {
                    client.delete_registry(find(&known, name)?).await?;
                    Ok(name.to_owned())
                };
                one_by_one(&registries, format, "deleted", remove).await
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The id of the registry of this name or id.
fn find<'a>(known: &'a [DockerRegistry], called: &str) -> Result<&'a str, Failure> {
    let found = known.iter().find(|it| it.name == called || it.id == called);
    found.map(|found| found.id.as_str()).ok_or_else(|| {
        Failure::new(format!("there is no registry {called:?}"))
            .hint("pitlane registry ls shows those there are")
    })
}

fn project(registry: &DockerRegistry) -> String {
    if registry.project.is_empty() { "-".to_owned() } else { registry.project.clone() }
}

/// For programs and files: the same columns for ever.
fn text(registries: &[DockerRegistry]) -> String {
    let rows: Vec<_> = registries
        .iter()
        .map(|registry| {
            [
                registry.id.clone(),
                registry.name.clone(),
                registry.url.clone(),
                registry.username.clone(),
                project(registry),
                registry.created_at.clone(),
            ]
        })
        .collect();
    table(["ID", "NAME", "URL", "USER", "PROJECT", "CREATED"], &rows)
}

/// For a person in front of a terminal.
fn on_screen(registries: &[DockerRegistry], screen: Screen, now: Timestamp) -> String {
    let column = |heading, cell: &dyn Fn(&DockerRegistry) -> String| {
        Column::new(heading, registries.iter().map(cell))
    };
    let columns = vec![
        column("NAME", &|registry| registry.name.clone()).cut(),
        column("URL", &|registry| registry.url.clone()),
        column("USER", &|registry| registry.username.clone()),
        column("PROJECT", &project).rank(1),
        column("CREATED", &|registry| ago(&registry.created_at, now)).rank(2),
        column("ID", &|registry| registry.id.clone()).rank(3),
    ];
    fit(columns, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_registries_has_the_same_columns_for_ever() {
        let registry = DockerRegistry {
            id: "1".into(),
            name: "ours".into(),
            url: "registry.example:5000".into(),
            username: "robot".into(),
            project: String::new(),
            registry_type: "organization".into(),
            created_at: "2026-11-20T05:00:00.000Z".into(),
            updated_at: "2026-11-20T05:00:00.000Z".into(),
        };
        let wanted = "ID  NAME  URL                    USER   PROJECT  CREATED\n\
                      1   ours  registry.example:5000  robot  -        2026-11-20T05:00:00.000Z\n";
        assert_eq!(text(std::slice::from_ref(&registry)), wanted);
        let now = "2026-11-21T05:00:00Z".parse().unwrap();
        let shown = on_screen(&[registry], Screen { width: 60, has_colours: false }, now);
        assert!(shown.contains("robot") && shown.contains("ours"), "{shown}");
    }
}
