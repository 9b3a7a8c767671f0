//! `pitlane sandbox url`.

use std::process::ExitCode;

use pitlane_client::Client;

use super::find::on;
use crate::commands::completion::sandbox_names;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{Format, is_terminal_aside, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its id, the beginning of its id, or its name
    #[arg(add = sandbox_names())]
    sandbox: String,
    /// The port that something in it listens on
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Let anyone in who has the address, for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    expires: Option<u32>,
}

/// Prints the address of a port; what else it needs is said beside.
pub(super) fn url(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let port = arguments.port;
    let preview = wait(on(client, &arguments.sandbox, async |id| match arguments.expires {
        Some(seconds) => client.signed_preview_url(&id, port, seconds).await,
        None => client.preview_url(&id, port).await,
    }))?;
    format.write(&preview, |preview| format!("{}\n", preview.url))?;
    if arguments.expires.is_none() && format == Format::Human && is_terminal_aside() {
        say(&format!("unless the sandbox is public: x-daytona-preview-token: {}", preview.token));
    }
    Ok(ExitCode::SUCCESS)
}
