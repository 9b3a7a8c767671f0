//! A Pitlane server of the run's own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tempfile::TempDir;

use crate::options::Options;
use crate::program::command;

/// A running server, with a state folder that goes away with it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    url: String,
    key: String,
    log: PathBuf,
    _state: TempDir,
}

#[derive(Debug, Deserialize)]
struct Ready {
    url: String,
    key_file: PathBuf,
}

impl Server {
    /// Starts a server and waits until it is ready, which takes minutes when its image is not there yet.
    ///
    /// # Errors
    ///
    /// It ended instead; the error holds the end of its log.
    pub(crate) fn start(options: &Options, flags: &[&str]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&options.scratch).context("cannot make the scratch folder")?;
        let state = tempfile::Builder::new().prefix("server-").tempdir_in(&options.scratch)?;
        let log = state.path().join("log");
        let mut command =
            command(&options.pitlane, ["serve", "--listen", "127.0.0.1:0", "--json", "--state"]);
        command.arg(state.path().join("state")).arg("--image-cache").arg(&options.image_cache);
        command.args(flags).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
        let mut process = command
            .spawn()
            .with_context(|| format!("cannot start {}", options.pitlane.display()))?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("a server without output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let Ok(ready) = serde_json::from_str::<Ready>(&line) else {
            let status = process.wait()?;
            bail!("the server did not get ready ({status}):\n{}", std::fs::read_to_string(log)?);
        };
        let key = std::fs::read_to_string(&ready.key_file).context("cannot read the key")?;
        let key = key.trim().to_owned();
        Ok(Self { process, url: ready.url, key, log, _state: state })
    }

    /// The API's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://").split('/').next().unwrap_or_default()
    }

    /// Stops the server, whose sandboxes must have been deleted.
    ///
    /// # Errors
    ///
    /// It did not end well; the error holds its log.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let status = self.process.wait()?;
        if !status.success() {
            let log = std::fs::read_to_string(&self.log)?;
            bail!("the server ended with {status}:\n{log}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only where `stop` was not reached; what ended is not ended again.
        if let Ok(None) = self.process.try_wait() {
            let ended = self.process.kill().and_then(|()| self.process.wait());
            if ended.is_err() {
                // It was the last thing to try.
            }
        }
    }
}

/// Finds the root filesystem that sandboxes start from, which a server has prepared: the newest of the default image.
pub(crate) fn root_filesystem(options: &Options) -> anyhow::Result<PathBuf> {
    let cache = &options.image_cache;
    let entries =
        std::fs::read_dir(cache).with_context(|| format!("cannot list {}", cache.display()))?;
    let mut found = None;
    for entry in entries {
        let entry = entry?;
        let root = entry.path().join("rootfs");
        if entry.file_name().to_string_lossy().starts_with("default-") && root.is_dir() {
            found = found.max(Some((entry.metadata()?.modified()?, root)));
        }
    }
    let (_, root) = found.with_context(|| format!("no default image in {}", cache.display()))?;
    Ok(root)
}
