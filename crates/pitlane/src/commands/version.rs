//! `pitlane version`.

use std::process::ExitCode;

use serde::Serialize;

use crate::failure::Failure;
use crate::output::Format;
use crate::serve;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    has_daemon: bool,
}

/// Tells the version, and whether this binary can serve without being given a daemon.
pub(crate) fn version(format: Format) -> Result<ExitCode, Failure> {
    let version = Version { version: env!("CARGO_PKG_VERSION"), has_daemon: serve::has_daemon() };
    format.write(&version, |version| {
        let daemon = if version.has_daemon { "with" } else { "without" };
        format!("pitlane {} ({daemon} the daemon inside)\n", version.version)
    })?;
    Ok(ExitCode::SUCCESS)
}
