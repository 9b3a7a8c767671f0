//! Docker, with a daemon and a network of its own.
//!
//! Everything runs in a process, mount and network namespace of the run's own: this machine's network is not touched,
//! and nothing is left when their first process ends, but for folders.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::options::Options;
use crate::program::{command, output};

/// The image that the root filesystem becomes.
const IMAGE: &str = "pitlane-bench:rootfs";

/// The control group of all containers.
const GROUP: &str = "pitlane-bench-docker";

/// The largest time that the daemon takes to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs in the namespaces: `$0` is where the programs are, `$1` the folder for everything else.
const SCRIPT: &str = r#"
PATH="$0/usr/bin:$0/usr/sbin:$PATH"
ip link set lo up
mount -t tmpfs tmpfs /run
containerd --root "$1/containerd" --state /run/containerd --address /run/containerd.sock &
until [ -S /run/containerd.sock ]; do sleep 0.1; done
exec dockerd --host "unix://$1/docker.sock" --containerd /run/containerd.sock --data-root "$1/data" \
    --exec-root /run/docker --pidfile /run/docker.pid --cgroup-parent "/$2"
"#;

/// A running daemon. It and its containers end when it is dropped.
#[derive(Debug)]
pub(crate) struct Docker {
    process: Child,
    client: PathBuf,
    folder: PathBuf,
}

impl Docker {
    /// Starts a daemon and gives it the root filesystem as an image.
    ///
    /// # Errors
    ///
    /// Docker cannot be had or does not work here, with what it said.
    pub(crate) fn start(options: &Options, root: &Path) -> anyhow::Result<Self> {
        let programs = options.docker.as_deref().context("Docker could not be had")?;
        let folder = options.scratch.join("docker");
        remove(&folder)?;
        std::fs::create_dir_all(&folder).context("cannot make Docker's folder")?;
        let log = folder.join("log");
        let mut command = command("unshare", ["--mount", "--net", "--pid", "--fork"]);
        command.args(["--kill-child", "--mount-proc", "--propagation", "private", "sh", "-euc"]);
        command.arg(SCRIPT).arg(programs).arg(&folder).arg(GROUP);
        let process = command
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start Docker's daemon")?;
        let client = programs.join("usr/bin/docker");
        let mut docker = Self { process, client, folder };
        docker.wait().with_context(|| {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or("nothing").to_owned();
            format!("Docker's daemon said: {last}")
        })?;
        docker.import(root)?;
        Ok(docker)
    }

    /// The command that is measured.
    pub(crate) fn run_true(&self) -> Vec<String> {
        let client = self.client.to_string_lossy();
        let host = self.host();
        [&client, "--host", &host, "run", "--rm", IMAGE, "/usr/bin/true"]
            .map(str::to_owned)
            .to_vec()
    }

    fn host(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                bail!("it ended with {status}");
            }
            let host = self.host();
            let answered = output(&mut command(&self.client, ["--host", &host, "version"]));
            match answered {
                Ok(_) => return Ok(()),
                Err(cause) if Instant::now() >= deadline => return Err(cause),
                Err(_) => {
                    // The attempt itself is the pause: a client takes some twenty milliseconds.
                }
            }
        }
    }

    fn import(&self, root: &Path) -> anyhow::Result<()> {
        let mut archive =
            command("tar", ["--create", "--one-file-system", "--numeric-owner", "--directory"])
                .arg(root)
                .arg(".")
                .stdout(Stdio::piped())
                .spawn()
                .context("cannot start tar")?;
        let host = self.host();
        let pipe = archive.stdout.take().context("tar without output")?;
        output(command(&self.client, ["--host", &host, "import", "-", IMAGE]).stdin(pipe))
            .context("cannot import the root filesystem")?;
        ensure!(archive.wait()?.success(), "tar could not read the root filesystem");
        Ok(())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // The namespaces' first process ends with this one, and all others with it.
        let ended = self.process.kill().and_then(|()| self.process.wait());
        let removed = remove(&self.folder);
        if ended.is_err() || removed.is_err() {
            // The next run removes what is left, or says why it cannot.
        }
        remove_groups();
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Removes the control groups that containers leave, in every hierarchy that has them.
fn remove_groups() {
    let Ok(hierarchies) = std::fs::read_dir("/sys/fs/cgroup") else { return };
    for hierarchy in hierarchies.flatten() {
        let group = hierarchy.path().join(GROUP);
        let inner = std::fs::read_dir(&group).into_iter().flatten().flatten();
        for folder in inner.map(|entry| entry.path()).chain([group.clone()]) {
            if std::fs::remove_dir(&folder).is_err() {
                // A file of the group, or a hierarchy without it.
            }
        }
    }
}
