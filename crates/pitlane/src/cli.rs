//! The command line: what can be said, and to whom it is passed on.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use pitlane_client::{Client, RequestError};

use crate::commands::{
    completion, image, key, login, mcp, pool, registry, run, sandbox, snapshot, version, volume,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, say_failure};
use crate::{connection, doctor, serve};

/// Over the options that are the same for every command.
const EVERYWHERE: &str = "Options of every command";

/// Runs code written by AI agents in isolated Linux sandboxes that start in milliseconds.
#[derive(Debug, Parser)]
#[command(name = "pitlane", version, propagate_version = false, max_term_width = 100)]
pub(crate) struct CommandLine {
    /// Write JSON for programs instead of text for people
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Address of the API to talk to [default: see docs/configuration.md]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PITLANE_API_URL",
        hide_env_values = true,
        help_heading = EVERYWHERE
    )]
    api_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server on this machine
    Serve(serve::Arguments),
    /// Tell what this machine can and cannot do, and how to fix it
    Doctor(doctor::Arguments),
    /// Run a program in a new sandbox and delete the sandbox
    Run(run::Arguments),
    /// Create, list, use, change and delete sandboxes
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// Take snapshots of sandboxes; list, delete and switch snapshots
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Pull, list, name and remove images on this machine
    #[command(subcommand)]
    Image(image::Command),
    /// Add, list and remove registries of images that the organization has passwords for
    #[command(subcommand)]
    Registry(registry::Command),
    /// Have sandboxes wait, so that creating one takes a millisecond
    #[command(subcommand)]
    Pool(pool::Command),
    /// Create, list and delete volumes: folders that sandboxes share and that outlive them
    #[command(subcommand)]
    Volume(volume::Command),
    /// Give sandboxes to AI agents as tools
    #[command(subcommand)]
    Mcp(mcp::Command),
    /// Keep the address of a server and a key for it, for later commands
    Login(login::Arguments),
    /// Write a script that completes commands in a shell
    Completion(completion::Arguments),
    /// Tell the version
    Version,
}

impl Command {
    /// Whether the exit code belongs to a program in a sandbox.
    const fn passes_a_code_through(&self) -> bool {
        matches!(
            self,
            Self::Run(_) | Self::Sandbox(sandbox::Command::Exec(_) | sandbox::Command::Shell(_))
        )
    }
}

/// Runs what this process' command line says.
pub(crate) fn main() -> ExitCode {
    completion::answer().unwrap_or_else(|| run(std::env::args_os()))
}

/// Runs what `words` say, the first of which is the program's name.
pub(crate) fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given = match CommandLine::try_parse_from(words) {
        Ok(given) => given,
        Err(told) => {
            // Help goes to standard output and is no failure; the parser knows which it is.
            let is_told = told.print().is_ok();
            return if is_told && told.exit_code() == 0 {
                ExitCode::SUCCESS
            } else {
                Exit::Usage.into()
            };
        }
    };
    let passes_a_code_through = given.command.passes_a_code_through();
    match given.execute() {
        Ok(code) => code,
        Err(failure) => {
            say_failure(&failure);
            if passes_a_code_through { failure.or_exit(Exit::NotRun) } else { failure.exit_code() }
        }
    }
}

impl CommandLine {
    fn execute(self) -> Result<ExitCode, Failure> {
        let format = Format::new(self.json);
        let client = || connection::client(self.api_url.as_deref());
        match self.command {
            Command::Serve(arguments) => serve::serve(&arguments, format),
            Command::Doctor(arguments) => doctor::run(&arguments, format),
            Command::Run(arguments) => {
                with(&client()?, |client| run::run(client, arguments, format))
            }
            Command::Sandbox(command) => {
                with(&client()?, |client| sandbox::sandbox(client, command, format))
            }
            Command::Key(command) => with(&client()?, |client| key::key(client, command, format)),
            Command::Image(command) => image::image(command, client, format),
            Command::Snapshot(command) => {
                with(&client()?, |client| snapshot::snapshot(client, command, format))
            }
            Command::Pool(command) => {
                with(&client()?, |client| pool::pool(client, command, format))
            }
            Command::Volume(command) => {
                with(&client()?, |client| volume::volume(client, command, format))
            }
            Command::Registry(command) => {
                with(&client()?, |client| registry::registry(client, command, format))
            }
            Command::Mcp(command) => mcp::mcp(self.api_url.as_deref(), command, format),
            Command::Login(arguments) => login::login(self.api_url.as_deref(), &arguments, format),
            Command::Completion(arguments) => completion::completion(&arguments),
            Command::Version => version::version(format),
        }
    }
}

/// Does a command that talks to a server. If they do not understand each other, their versions are compared.
fn with(
    client: &Client,
    command: impl FnOnce(&Client) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    command(client).map_err(|failure| match failure.request() {
        Some(RequestError::Unreadable { .. } | RequestError::Refused { status: 501, .. }) => {
            match version::difference(client) {
                Some(difference) => failure.hint(difference),
                None => failure,
            }
        }
        Some(_) | None => failure,
    })
}

/// `NAME=VALUE`, as labels and variables are given.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has the form NAME=VALUE".to_owned()),
    }
}

/// Arguments that come from the list of settings rather than from fields.
#[derive(Debug, Clone)]
pub(crate) struct SettingArguments(pub(crate) ArgMatches);

impl FromArgMatches for SettingArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl Args for SettingArguments {
    fn augment_args(command: clap::Command) -> clap::Command {
        crate::settings::arguments(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        crate::settings::arguments(command)
    }
}

/// Arguments after `--`, as a command line for a POSIX shell that passes each on unchanged.
///
/// # Errors
///
/// One is not UTF-8, which a request cannot carry.
pub(crate) fn shell_line(arguments: &[OsString]) -> Result<String, Failure> {
    let quoted: Option<Vec<String>> =
        arguments.iter().map(|argument| argument.to_str().map(quote)).collect();
    let quoted =
        quoted.ok_or_else(|| Failure::new("an argument is not UTF-8").exit(Exit::Usage))?;
    Ok(quoted.join(" "))
}

fn quote(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%_+=:,./-".contains(c);
    // A first word such as A=1 would be an assignment if it were not quoted.
    if !argument.is_empty() && argument.chars().all(is_plain) && !argument.contains('=') {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}
