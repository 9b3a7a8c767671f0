//! A Pitlane server of the run's own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::options::Options;
use crate::program::command;

/// A running server, with a state folder that goes away with it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    flags: Vec<String>,
    url: String,
    key: String,
    folder: TempDir,
    /// Of run-time files, where paths are short: there are sockets in it.
    run: TempDir,
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
        let folder = tempfile::Builder::new().prefix("server-").tempdir_in(&options.scratch)?;
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let run = tempfile::Builder::new().prefix("bench-").tempdir()?;
        let (process, ready) = launch(options, &flags, [folder.path(), run.path()])?;
        let key = std::fs::read_to_string(&ready.key_file).context("cannot read the key")?;
        let key = key.trim().to_owned();
        Ok(Self { process, flags, url: ready.url, key, folder, run })
    }

    /// Ends the server as a crash does, and leaves its sandboxes running.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().context("cannot kill the server")?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it again after [`Server::kill`], on the same state and another port.
    ///
    /// # Errors
    ///
    /// It ended instead; the error holds the end of its log.
    pub(crate) fn start_again(&mut self, options: &Options) -> anyhow::Result<()> {
        let folders = [self.folder.path(), self.run.path()];
        let (process, ready) = launch(options, &self.flags, folders)?;
        (self.process, self.url) = (process, ready.url);
        Ok(())
    }

    /// The server's own memory now, and the most it was since [`Server::forget_peak`], in KiB.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(self.proc("status")).context("no such process")?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.context("no memory in /proc")?.trim().trim_end_matches(" kB");
            number.parse::<u64>().context("no number of KiB in /proc")
        };
        Ok(Memory { now_kib: value("VmRSS:")?, peak_kib: value("VmHWM:")? })
    }

    /// The server's own memory, of shared pages its part of each, in KiB.
    pub(crate) fn proportional_kib(&self) -> anyhow::Result<u64> {
        proportional_kib(self.process.id())
    }

    /// The same of the launcher, and of all sandboxes' first processes together, those that wait included.
    pub(crate) fn memory_of_others(&self) -> anyhow::Result<[u64; 2]> {
        let run = self.run_folder()?;
        let launcher = launcher(&run).context("the server has no launcher")?;
        let children = format!("/proc/{launcher}/task/{launcher}/children");
        let children = std::fs::read_to_string(children).context("no such launcher")?;
        let mut sandboxes = 0;
        for child in children.split_whitespace().filter_map(|number| number.parse().ok()) {
            // One may have ended since.
            sandboxes += proportional_kib(child).unwrap_or(0);
        }
        Ok([proportional_kib(launcher)?, sandboxes])
    }

    /// Where the server keeps its sockets.
    fn run_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.run.path().join("run");
        folder.is_dir().then_some(folder).context("the server has no run-time folder")
    }

    /// Begins a new peak.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        std::fs::write(self.proc("clear_refs"), "5").context("cannot reset the peak of memory")
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.process.id()))
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
            let log = std::fs::read_to_string(self.folder.path().join("log"))?;
            bail!("the server ended with {status}:\n{log}");
        }
        Ok(())
    }
}

/// A process' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) now_kib: u64,
    pub(crate) peak_kib: u64,
}

fn launch(
    options: &Options,
    flags: &[String],
    [folder, run]: [&Path; 2],
) -> anyhow::Result<(Child, Ready)> {
    let log = folder.join("log");
    let mut command =
        command(&options.pitlane, ["serve", "--listen", "127.0.0.1:0", "--json", "--state"]);
    command
        .arg(folder.join("state"))
        .arg("--run-dir")
        .arg(run.join("run"))
        .arg("--image-cache")
        .arg(&options.image_cache);
    command.args(flags).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
    let mut process =
        command.spawn().with_context(|| format!("cannot start {}", options.pitlane.display()))?;
    let mut line = String::new();
    let stdout = process.stdout.take().context("a server without output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let Ok(ready) = serde_json::from_str(&line) else {
        let status = process.wait()?;
        bail!("the server did not get ready ({status}):\n{}", std::fs::read_to_string(log)?);
    };
    Ok((process, ready))
}

/// A process' memory, of shared pages its part of each.
fn proportional_kib(process: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))
        .with_context(|| format!("cannot read the memory of process {process}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.context("no memory in /proc")?.trim().trim_end_matches(" kB");
    number.parse().context("no number of KiB in /proc")
}

/// The launcher of a run-time folder.
fn launcher(run: &Path) -> Option<u32> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = words.split(|byte| *byte == 0);
        let is_launcher = words.any(|word| word == b"launch")
            && words.any(|word| word == run.as_os_str().as_encoded_bytes());
        if is_launcher { entry.file_name().to_str()?.parse().ok() } else { None }
    })
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

/// Lets a cache have the default image of another one.
pub(crate) fn borrow_image(options: &Options, cache: &Path) -> anyhow::Result<()> {
    let root = root_filesystem(options)?;
    let image = root.parent().context("an image has a folder")?;
    std::fs::create_dir_all(cache)?;
    let name = image.file_name().context("an image has a name")?;
    std::os::unix::fs::symlink(image, cache.join(name)).context("cannot borrow the image")
}
