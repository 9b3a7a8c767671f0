//! The log, on standard error; and the part of it that is about trouble, in a file for whoever looks later.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write, stderr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, registry};

use crate::failure::Failure;
use crate::settings::{LogFormat, Settings};

/// Where lines about trouble are kept, in the state folder. `pitlane doctor --report` tells the last of them.
pub(crate) const RECENT_TROUBLE_FILE: &str = "recent-trouble.log";

/// How long the file may get before it makes way for a new one; the last one is kept beside it.
const MAX_TROUBLE_BYTES: u64 = 256 * 1024;

/// Said before what the operator wants: the library of MCP tells of every request what clients have sent, commands among it.
/// What it calls errors are clients that went away. What the library of S3 calls errors are requests that are refused, which
/// have lines of their own. They are heard where the operator names them.
const QUIET: &str = "rmcp=off,s3s=off";

/// Which lines are kept.
fn filter(wanted: &str) -> Result<EnvFilter, Failure> {
    Ok(EnvFilter::try_new(format!("{QUIET},{wanted}"))?)
}

/// Starts logging as the settings say.
pub(super) fn start(settings: &Settings) -> Result<(), Failure> {
    let is_json = match settings.log_format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let log = layer().with_writer(stderr).with_ansi(stderr().is_terminal() && !is_json);
    let log = if is_json { log.json().flatten_event(true).boxed() } else { log.boxed() };
    let trouble = Trouble::kept_in(settings.state.join(RECENT_TROUBLE_FILE));
    let trouble = layer().json().flatten_event(true).with_writer(move || trouble.clone());
    let started = registry()
        .with(log.with_filter(filter(&settings.log)?))
        .with(trouble.with_filter(filter("warn")?))
        .try_init();
    started.map_err(|cause| Failure::from(anyhow::anyhow!(cause).context("cannot start the log")))
}

/// Starts logging in a process without settings of a server and a state folder: warnings and worse, unless `filter` says
/// otherwise.
pub(crate) fn start_plainly(filter: Option<&str>) -> Result<(), Failure> {
    let filter = self::filter(filter.unwrap_or("warn"))?;
    let is_terminal = stderr().is_terminal();
    let log = layer().with_writer(stderr).with_ansi(is_terminal);
    let log = if is_terminal { log.boxed() } else { log.json().flatten_event(true).boxed() };
    let started = registry().with(log.with_filter(filter)).try_init();
    started.map_err(|cause| Failure::from(anyhow::anyhow!(cause).context("cannot start the log")))
}

/// A file of lines that never gets long. Without the state folder, or without room, lines are lost: they are on
/// standard error as well.
#[derive(Debug, Clone)]
struct Trouble(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    file: Option<(File, u64)>,
}

impl Trouble {
    fn kept_in(path: PathBuf) -> Self {
        Self(Arc::new(Mutex::new(Kept { path, file: None })))
    }
}

impl Write for Trouble {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A line that was lost is no reason to lose more than it.
        drop(kept.append(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.as_ref().is_some_and(|(_, length)| *length > MAX_TROUBLE_BYTES) {
            self.file = None;
            std::fs::rename(&self.path, self.path.with_extension("old"))?;
        }
        let (file, length) = match self.file.take() {
            Some(open) => open,
            None => {
                let file =
                    OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
                let length = file.metadata()?.len();
                (file, length)
            }
        };
        let written = (&file).write_all(bytes);
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.file = Some((file, length.saturating_add(added)));
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_trouble_are_kept_and_never_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECENT_TROUBLE_FILE);
        let mut trouble = Trouble::kept_in(path.clone());
        let line = [b'x'; 1024];
        for _ in 0..1000 {
            trouble.write_all(&line).unwrap();
        }
        let length = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
        assert!(length(&path) <= MAX_TROUBLE_BYTES + 1024);
        assert!(length(&path.with_extension("old")) <= MAX_TROUBLE_BYTES + 1024);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_loses_a_line_and_not_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut trouble = Trouble::kept_in(state.join(RECENT_TROUBLE_FILE));
        trouble.write_all(b"lost\n").unwrap();
        std::fs::create_dir(&state).unwrap();
        trouble.write_all(b"kept\n").unwrap();
        let kept = std::fs::read_to_string(state.join(RECENT_TROUBLE_FILE)).unwrap();
        assert_eq!(kept, "kept\n");
    }
}
