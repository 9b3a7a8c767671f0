//! Settings of the calling thread's network namespace.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use pitlane_sys::{DetachedMount, FilesystemContext, MountOptions, SyscallError};
use rustix::fs::{Mode, OFlags, openat};

/// A setting that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// The kernel refused the value, or knows no such setting.
    #[error("cannot set {setting}")]
    Write {
        /// Its path below `/proc/sys/net`.
        setting: String,
        /// The kernel's reason.
        #[source]
        cause: io::Error,
    },
    /// There is no view of the settings.
    #[error("cannot mount the settings")]
    Mount(#[source] SyscallError),
}

/// Writes a setting, named by its path below `/proc/sys/net`.
pub(crate) fn write(setting: &str, value: &str) -> Result<(), SettingError> {
    fs::write(path(setting), value)
        .map_err(|cause| SettingError::Write { setting: setting.to_owned(), cause })
}

/// Writes a setting that a kernel without the feature does not have: then there is nothing to set.
pub(crate) fn write_if_present(setting: &str, value: &str) -> Result<(), SettingError> {
    ignore_absence(write(setting, value))
}

/// Writes a setting that has another value.
pub(crate) fn ensure(setting: &str, value: &str) -> Result<(), SettingError> {
    match fs::read_to_string(path(setting)) {
        Ok(found) if found.trim_end() == value => Ok(()),
        _ => write(setting, value),
    }
}

/// How many namespaces one view serves.
const SERVED: u32 = 64;

/// A view of the settings for one thread, which goes through many namespaces.
///
/// The kernel remembers the settings of every namespace under the same names, view by view, and looking one up goes
/// through all that it remembers: with five hundred sandboxes that takes as long as making a namespace. So a view is
/// thrown away after a while.
#[derive(Debug, Default)]
pub(crate) struct Views {
    current: Option<Settings>,
    served: u32,
}

impl Views {
    /// A view for one more namespace, the one that the calling thread is in.
    pub(crate) fn next(&mut self) -> Result<&Settings, SettingError> {
        let current = match self.current.take() {
            Some(current) if self.served < SERVED => current,
            _ => {
                self.served = 0;
                Settings::mount()?
            }
        };
        self.served += 1;
        Ok(self.current.insert(current))
    }
}

/// A view of the settings of whichever namespace its user is in.
#[derive(Debug)]
pub(crate) struct Settings {
    root: OwnedFd,
}

impl Settings {
    fn mount() -> Result<Self, SettingError> {
        let options = MountOptions {
            no_devices: true,
            no_set_user_id: true,
            no_execute: true,
            ..MountOptions::default()
        };
        FilesystemContext::open("proc")
            .and_then(|context| context.mount(options))
            .map(|mount: DetachedMount| Self { root: mount.into() })
            .map_err(SettingError::Mount)
    }

    /// Writes a setting.
    pub(crate) fn write(&self, setting: &str, value: &str) -> Result<(), SettingError> {
        let written = openat(
            self.root.as_fd(),
            format!("sys/net/{setting}"),
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(|file| rustix::io::write(file, value.as_bytes()));
        // A setting is taken whole or not at all.
        written.map(drop).map_err(|errno| SettingError::Write {
            setting: setting.to_owned(),
            cause: errno.into(),
        })
    }

    /// Writes a setting that a kernel without the feature does not have.
    pub(crate) fn write_if_present(&self, setting: &str, value: &str) -> Result<(), SettingError> {
        ignore_absence(self.write(setting, value))
    }
}

fn ignore_absence(outcome: Result<(), SettingError>) -> Result<(), SettingError> {
    match outcome {
        Err(SettingError::Write { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn path(setting: &str) -> String {
    format!("/proc/sys/net/{setting}")
}
