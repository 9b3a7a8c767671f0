//! Settings of the calling thread's network namespace.

use std::fs;
use std::io;

/// A setting that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot set {setting}")]
pub struct SettingError {
    /// Its path below `/proc/sys/net`.
    pub setting: String,
    /// The kernel's reason.
    #[source]
    pub cause: io::Error,
}

/// Writes a setting, named by its path below `/proc/sys/net`.
pub(crate) fn write(setting: &str, value: &str) -> Result<(), SettingError> {
    fs::write(path(setting), value)
        .map_err(|cause| SettingError { setting: setting.to_owned(), cause })
}

/// Writes a setting that a kernel without the feature does not have: then there is nothing to set.
pub(crate) fn write_if_present(setting: &str, value: &str) -> Result<(), SettingError> {
    match write(setting, value) {
        Err(error) if error.cause.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Writes a setting that has another value.
pub(crate) fn ensure(setting: &str, value: &str) -> Result<(), SettingError> {
    match fs::read_to_string(path(setting)) {
        Ok(found) if found.trim_end() == value => Ok(()),
        _ => write(setting, value),
    }
}

fn path(setting: &str) -> String {
    format!("/proc/sys/net/{setting}")
}
