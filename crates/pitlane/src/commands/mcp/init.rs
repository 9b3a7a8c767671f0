//! `pitlane mcp init CLIENT`: Pitlane's tools in the configuration of an MCP client.
//!
//! Changes one entry of one file and nothing else in it. What is there already is left alone, so doing it twice is
//! doing it once. No key is written unless `--key-file` says so: a process finds its server as every command does, and an
//! address takes its key from a variable of the client's.

mod client;
pub(super) mod json;
mod place;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod toml;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use self::client::{Client, Folders};
use self::place::{Access, Place};
use super::server;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose configuration to change
    client: Client,
    /// Which one: yours, or that of the project in this folder
    #[arg(long, value_enum, default_value_t = Scope::User)]
    scope: Scope,
    /// Name of the tools in the configuration
    #[arg(long, default_value = "pitlane", value_parser = server_name)]
    name: String,
    #[command(flatten)]
    server: server::ServerArguments,
    /// Print the configuration instead of writing it
    #[arg(long)]
    print: bool,
    /// Change a file outside of your folder or the project's if a link leads there
    #[arg(long)]
    follow_links: bool,
}

/// Whose configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// The user's, for everything they do
    User,
    /// The project's in this folder, for everybody who works on it
    Project,
}

/// What was done to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Created,
    Changed,
    Unchanged,
}

#[derive(Debug, Serialize)]
struct Done<'a> {
    client: Client,
    name: &'a str,
    file: PathBuf,
    change: Change,
}

/// Adds the tools to a client's configuration, or prints what would be added.
pub(crate) fn init(
    api_url: Option<&str>,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let Arguments { client, scope, name, server, print, follow_links } = arguments;
    // A project's file is for other machines as well, where this program is elsewhere.
    let command = match scope {
        Scope::User => server::this_program()?,
        Scope::Project => "pitlane".to_owned(),
    };
    let server = server.server(api_url, command)?;
    if *print {
        let usage = |failure: Failure| failure.exit(Exit::Usage);
        let text =
            client.edit("", name, &server).map_err(|refused| usage(refused.into_failure()))?;
        output::write(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if *scope == Scope::Project && server.has_secret() {
        return Err(Failure::new(
            "a key in a project's file is a key for everybody who reads the project",
        )
        .hint("leave --key-file out: each user's PITLANE_API_KEY is sent, or --key-variable's")
        .exit(Exit::Usage));
    }
    let place = match scope {
        Scope::User => client.users(&Folders::of_user()?)?,
        Scope::Project => client.projects(&std::env::current_dir()?)?,
    };
    let access = Access { follow_links: *follow_links, is_private: *scope == Scope::User };
    let (done, notes) = write(*client, name, &server, &place, access)?;
    format.write(&done, |_| String::new())?;
    if format == Format::Human {
        let file = done.file.display();
        say(&match done.change {
            Change::Created => format!("{name} is in {file}, which is new"),
            Change::Changed => format!("{name} is in {file}; nothing else in it was changed"),
            Change::Unchanged => format!("{name} was in {file} already"),
        });
        notes.iter().for_each(|note| say(note));
        say(client.next(*scope == Scope::Project));
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the entry into the client's file. Also tells what a user should know about that file.
fn write<'a>(
    client: Client,
    name: &'a str,
    server: &server::Server,
    place: &Place,
    access: Access,
) -> Result<(Done<'a>, Vec<String>), Failure> {
    let found = place::find(place, access)?;
    let before = found.text.as_deref().unwrap_or("");
    let text = client.edit(before, name, server).map_err(|refused| {
        let file = found.target.display().to_string();
        refused.into_failure().doing(format!("cannot change {file}")).hint(format!(
            "it was left as it is; `pitlane mcp init {client} --print` prints what belongs into it"
        ))
    })?;
    let change = match (&found.text, text == before) {
        (None, _) => Change::Created,
        (Some(_), false) => Change::Changed,
        (Some(_), true) => Change::Unchanged,
    };
    if change != Change::Unchanged {
        let file = found.target.display().to_string();
        place::replace(&found, &text, access)
            .map_err(|failure| failure.doing(format!("cannot write {file}")))?;
    }
    let mut notes = Vec::new();
    if found.was_linked {
        notes.push(format!(
            "{} is reached over a link; the file is {}",
            place.file.display(),
            found.target.display()
        ));
    }
    if server.has_secret() && found.is_open_to_others() {
        notes.push(format!("others may read the key in it: chmod 600 {}", found.target.display()));
    }
    Ok((Done { client, name, file: found.target, change }, notes))
}

fn server_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=64).contains(&text.len()) && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, - and _".to_owned())
    }
}
