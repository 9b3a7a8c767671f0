//! `pitlane mcp …`: sandboxes as the tools of an AI agent.

mod config;
mod configuration;
mod entry;
mod init;
mod serve;
mod server;
mod start;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the MCP client that starts this process, over standard input and output
    Start(start::Arguments),
    /// Serve MCP clients over HTTP
    Serve(serve::Arguments),
    /// Add Pitlane to the configuration of an MCP client
    Init(init::Arguments),
    /// Print the configuration of an MCP client that `init` does not know
    Config(config::Arguments),
}

/// Does one of the commands about MCP.
pub(crate) fn mcp(
    api_url: Option<&str>,
    command: Command,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Start(arguments) => start::start(api_url, &arguments),
        Command::Serve(arguments) => serve::serve(api_url, &arguments, format),
        Command::Init(arguments) => init::init(api_url, &arguments, format),
        Command::Config(arguments) => config::config(api_url, &arguments),
    }
}
