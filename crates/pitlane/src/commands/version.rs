//! `pitlane version`.

use std::process::ExitCode;
use std::time::Duration;

use pitlane_client::Client;
use serde::Serialize;

use super::wait;
use crate::failure::Failure;
use crate::output::Format;
use crate::serve;

/// This program's version.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// How long a failed command asks for the server's version.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    has_daemon: bool,
}

/// Tells the version, and whether this binary can serve without being given a daemon.
pub(crate) fn version(format: Format) -> Result<ExitCode, Failure> {
    let version = Version { version: OWN, has_daemon: serve::has_daemon() };
    format.write(&version, |version| {
        let daemon = if version.has_daemon { "with" } else { "without" };
        format!("pitlane {} ({daemon} the daemon inside)\n", version.version)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What to say if the server is of another version than this program.
pub(crate) fn difference(client: &Client) -> Option<String> {
    let asked = wait(async {
        let asked = tokio::time::timeout(PATIENCE, client.configuration()).await;
        Ok(asked.ok().and_then(Result::ok))
    });
    let theirs = asked.ok().flatten()?.version;
    (theirs != OWN).then(|| {
        format!("the server has version {theirs} and this program {OWN}: they should be the same")
    })
}
