//! The log, on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::settings::{LogFormat, Settings};

/// Starts logging as the settings say.
pub(super) fn start(settings: &Settings) -> Result<(), Failure> {
    let is_json = match settings.log_format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&settings.log)?)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    let started = if is_json { log.json().flatten_event(true).try_init() } else { log.try_init() };
    started.map_err(|cause| Failure::from(anyhow::anyhow!(cause).context("cannot start the log")))
}
