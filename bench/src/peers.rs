//! Other ways to make sandboxes, by their command lines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::docker::Docker;
use crate::options::Options;
use crate::program::{command, output};
use crate::quiet;
use crate::results::{Found, Measure, Row};
use crate::samples::Samples;
use crate::spawner::Spawner;

/// Everything that is measured beside Pitlane.
#[derive(Debug)]
pub(crate) struct Peers {
    list: Vec<Peer>,
    /// Held until nothing needs it any more.
    _docker: Option<Docker>,
}

/// One of them, and what it has shown.
#[derive(Debug)]
struct Peer {
    measure: Measure,
    /// What to run and where; or why not.
    command: Result<(Spawner, Vec<String>), String>,
    samples: Samples,
}

impl Peers {
    /// Makes them ready, all on `root`, and runs each twice, so that the first round is like the others.
    pub(crate) fn prepare(options: &Options, root: &Path) -> Self {
        let bundle = bundle(options, root).map_err(|cause| format!("{cause:#}"));
        let docker = Docker::start(options, root).map_err(|cause| format!("{cause:#}"));
        let (docker, docker_command) = match docker {
            Ok(docker) => {
                let command = docker.run_true();
                (Some(docker), Ok(command))
            }
            Err(why) => (None, Err(why)),
        };
        let inside = || Spawner::inside(root, &options.scratch);
        let python = ["/usr/bin/python3", "-c", "print(1)"].map(str::to_owned).to_vec();
        let oci = |runtime: &str| bundle.clone().map(|folder| oci(runtime, &folder));
        let list = vec![
            Peer::new(Measure::BareTrue, inside(), Ok(vec!["/usr/bin/true".to_owned()])),
            Peer::new(Measure::BarePython, inside(), Ok(python)),
            Peer::new(Measure::Bubblewrap, Spawner::here(), Ok(bubblewrap(root))),
            Peer::new(Measure::Crun, Spawner::without_unified(), oci("crun")),
            Peer::new(Measure::CrunAgain, Spawner::without_unified(), oci("crun")),
            Peer::new(Measure::Runc, Spawner::without_unified(), oci("runc")),
            Peer::new(Measure::Docker, Spawner::here(), docker_command),
        ];
        Self { list, _docker: docker }
    }

    /// Measures each once.
    pub(crate) async fn round(&mut self) {
        for peer in &mut self.list {
            if peer.measure != Measure::CrunAgain {
                quiet::settle().await;
            }
            peer.measure();
        }
    }

    /// What was found.
    pub(crate) fn rows(self) -> Vec<Row> {
        self.list.into_iter().map(Peer::row).collect()
    }
}

impl Peer {
    fn new(
        measure: Measure,
        spawner: anyhow::Result<Spawner>,
        command: Result<Vec<String>, String>,
    ) -> Self {
        let spawner = spawner.map_err(|cause| format!("{cause:#}"));
        let command = spawner.and_then(|spawner| Ok((spawner, command?)));
        let mut peer = Self { measure, command, samples: Samples::default() };
        for _ in 0..2 {
            peer.time();
        }
        peer
    }

    fn measure(&mut self) {
        if let Some(time) = self.time() {
            self.samples.push(time);
        }
    }

    /// One failure takes it out of the run: what fails sometimes has no time to compare with.
    fn time(&mut self) -> Option<Duration> {
        let (spawner, program) = self.command.as_mut().ok()?;
        match spawner.time(program) {
            Ok(time) => Some(time),
            Err(cause) => {
                self.command = Err(format!("{cause:#}"));
                None
            }
        }
    }

    fn row(self) -> Row {
        let found = match self.command {
            Ok(_) => Found::Samples(self.samples),
            Err(why) => Found::Nothing(why),
        };
        Row { measure: self.measure, found }
    }
}

fn bubblewrap(root: &Path) -> Vec<String> {
    let root = root.to_string_lossy();
    ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", &root, "/", "--proc", "/proc"]
        .into_iter()
        .chain(["--dev", "/dev", "--tmpfs", "/tmp", "/usr/bin/true"])
        .map(str::to_owned)
        .collect()
}

fn oci(runtime: &str, folder: &Path) -> Vec<String> {
    let state = folder.join(runtime);
    let (state, folder) = (state.to_string_lossy(), folder.to_string_lossy());
    let id = format!("pitlane-bench-{runtime}");
    [runtime, "--root", &state, "run", "--bundle", &folder, &id].map(str::to_owned).to_vec()
}

/// Writes the bundle that OCI runtimes read: the runtime's own default, with our root filesystem.
fn bundle(options: &Options, root: &Path) -> anyhow::Result<PathBuf> {
    let folder = options.scratch.join("bundle");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("cannot remove the last bundle")?;
    }
    std::fs::create_dir_all(&folder).context("cannot make the bundle")?;
    output(command("runc", ["spec", "--bundle"]).arg(&folder))?;
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/usr/bin/true"]);
    config["root"] = json!({ "path": root, "readonly": true });
    std::fs::write(&path, config.to_string()).context("cannot write the bundle")?;
    Ok(folder)
}
