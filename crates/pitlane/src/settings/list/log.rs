//! What is logged.

use std::str::FromStr as _;

use crate::settings::{LogFormat, Setting};

/// Which lines, and how they look.
pub(super) const SETTINGS: [Setting; 2] = [
    Setting {
        key: "log.filter",
        flag: "log",
        variable: "PITLANE_LOG",
        value: "FILTER",
        default: "info",
        help: "What is logged: a level (error, warn, info, debug, trace), or levels by module such as pitlane_engine=debug",
        apply: |settings, text| {
            tracing_subscriber::EnvFilter::from_str(text).map_err(|why| why.to_string())?;
            settings.log = text.to_owned();
            Ok(())
        },
    },
    Setting {
        key: "log.format",
        flag: "log-format",
        variable: "PITLANE_LOG_FORMAT",
        value: "FORMAT",
        default: "auto",
        help: "How log lines look: human, json, or auto, which is human on a terminal",
        apply: |settings, text| {
            settings.log_format = match text {
                "auto" => LogFormat::Auto,
                "human" => LogFormat::Human,
                "json" => LogFormat::Json,
                _ => return Err("it is one of auto, human, json".to_owned()),
            };
            Ok(())
        },
    },
];
