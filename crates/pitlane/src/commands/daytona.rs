//! The command line under the name `daytona`: what scripts and agents written for Daytona's own type and read.
//!
//! The same binary, started by another name, understands the commands of Daytona's command line that concern sandboxes,
//! and the older forms that LangSwarm's self-hosted tool uses, which speak of workspaces. Servers, keys and exit codes
//! are those of `pitlane`. What it does not understand it refuses; it never does less than was asked for.

mod create;
mod delete;
mod exec;
mod form;
mod info;
mod life;
mod list;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};
use pitlane_client::Client;

use super::{login, wait};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, say, say_failure};
use crate::{cli, connection, environment, output, settings};

/// The name of the program whose place this takes.
const NAME: &str = "daytona";

/// Pitlane under the name of Daytona's command line: the commands for sandboxes, with their forms.
#[derive(Debug, Parser)]
#[command(name = NAME, version = VERSION, disable_version_flag = true, max_term_width = 100)]
pub(super) struct CommandLine {
    /// Address of the API to talk to [default: as for pitlane, see docs/configuration.md]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PITLANE_API_URL",
        hide_env_values = true
    )]
    api_url: Option<String>,
    /// Tell the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

/// What `daytona version` says beside the name.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (pitlane, which answers to this name)");

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a sandbox
    #[command(visible_aliases = ["add", "new"])]
    Create(Box<create::Arguments>),
    /// Run a command in a sandbox; its output and exit code are passed through
    Exec(exec::Arguments),
    /// List sandboxes
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Show a sandbox
    #[command(visible_aliases = ["view", "inspect"])]
    Info(info::Arguments),
    /// Delete a sandbox with all that is in it
    #[command(visible_aliases = ["remove", "rm"])]
    Delete(delete::Arguments),
    /// Start a sandbox
    Start(life::Arguments),
    /// Stop a sandbox and keep its disk
    Stop(life::StopArguments),
    /// Archive a stopped sandbox
    Archive(life::Arguments),
    /// Print an address that opens a port of a sandbox to anyone who has it
    PreviewUrl(UrlArguments),
    /// Open a terminal in a sandbox, which needs no SSH
    Ssh(life::Arguments),
    /// Keep an API key for later commands
    Login(LoginArguments),
    /// Forget the API key that `login` kept
    Logout,
    /// Serve tools to AI agents, or configure programs that use them: as `pitlane mcp`
    #[command(disable_help_flag = true)]
    Mcp(PassedOn),
    /// Tell the version
    Version,
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Debug, clap::Args)]
struct PassedOn {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct UrlArguments {
    /// Its id or its name
    sandbox: String,
    /// The port that something in it listens on
    #[arg(long, short)]
    port: u16,
    /// Seconds until the address is of no use
    #[arg(long, value_name = "SECONDS", default_value = "3600")]
    expires: u32,
}

#[derive(Debug, clap::Args)]
struct LoginArguments {
    /// The key; without it, it is read from standard input, where no list of processes shows it
    #[arg(long)]
    api_key: Option<String>,
}

/// Whether a program that was started by this name is to be Daytona's command line.
pub(crate) fn is_meant_by(name: &OsStr) -> bool {
    Path::new(name).file_name() == Some(OsStr::new(NAME))
}

/// Runs what this process' command line says.
pub(crate) fn main() -> ExitCode {
    let given = match CommandLine::try_parse() {
        Ok(given) => given,
        Err(told) => {
            let is_told = told.print().is_ok();
            let is_help = is_told && told.exit_code() == 0;
            return if is_help { ExitCode::SUCCESS } else { Exit::Usage.into() };
        }
    };
    let passes_a_code_through = matches!(given.command, Command::Exec(_));
    given.execute().unwrap_or_else(|failure| {
        say_failure(&failure);
        if passes_a_code_through { failure.or_exit(Exit::NotRun) } else { failure.exit_code() }
    })
}

impl CommandLine {
    fn execute(self) -> Result<ExitCode, Failure> {
        let api_url = self.api_url;
        let client = || connection::client(api_url.as_deref());
        match self.command {
            Command::Create(arguments) => create::create(&client()?, *arguments),
            Command::Exec(arguments) => exec::exec(&client()?, arguments),
            Command::List(arguments) => list::list(&client()?, &arguments),
            Command::Info(arguments) => info::info(&client()?, &arguments),
            Command::Delete(arguments) => delete::delete(&client()?, &arguments),
            Command::Start(arguments) => life::start(&client()?, &arguments),
            Command::Stop(arguments) => life::stop(&client()?, &arguments),
            Command::Archive(arguments) => life::archive(&client()?, &arguments),
            Command::PreviewUrl(arguments) => preview_url(&client()?, &arguments),
            Command::Ssh(arguments) => {
                Ok(pitlane(api_url, ["sandbox", "shell", "--", &arguments.sandbox]))
            }
            Command::Login(arguments) => login(api_url, arguments),
            Command::Logout => {
                login::logout()?;
                say("no key is kept");
                Ok(ExitCode::SUCCESS)
            }
            Command::Mcp(passed) => {
                let words = [OsString::from("mcp")].into_iter().chain(passed.words);
                Ok(pitlane(api_url, words))
            }
            Command::Version => {
                output::write(format!("{NAME} {VERSION}\n").as_bytes())?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Other(words) => Err(unknown(&words)),
        }
    }
}

/// Passes a command on to what the binary does under its own name.
fn pitlane(
    api_url: Option<String>,
    words: impl IntoIterator<Item = impl Into<OsString>>,
) -> ExitCode {
    let server = api_url.map(|url| [OsString::from("--api-url"), url.into()]);
    let before = [OsString::from("pitlane")].into_iter().chain(server.into_iter().flatten());
    cli::run(before.chain(words.into_iter().map(Into::into)))
}

fn preview_url(client: &Client, arguments: &UrlArguments) -> Result<ExitCode, Failure> {
    let (port, seconds) = (arguments.port, arguments.expires);
    let preview = wait(super::sandbox::on(client, &arguments.sandbox, async |id| {
        client.signed_preview_url(&id, port, seconds).await
    }))?;
    output::write(format!("{}\n", preview.url).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn login(api_url: Option<String>, arguments: LoginArguments) -> Result<ExitCode, Failure> {
    let url = api_url
        .or_else(|| environment::variable("DAYTONA_API_URL"))
        .unwrap_or_else(|| settings::DEFAULT_API_URL.to_owned());
    login::login_to(&url, arguments.api_key, Format::Human)
}

fn unknown(words: &[OsString]) -> Failure {
    let name = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    Failure::new(format!("pitlane has no command {name:?} under the name {NAME}"))
        .hint("`daytona --help` lists those it has; `pitlane --help` those under its own name")
        .exit(Exit::Usage)
}
