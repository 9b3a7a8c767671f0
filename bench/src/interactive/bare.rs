//! The two commands without a sandbox, on the same root filesystem.

use serde::Deserialize;

use crate::options::Options;
use crate::program::{command, output};
use crate::samples::Samples;
use crate::server::root_filesystem;
use crate::spawner::Spawner;

/// Which one.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Command {
    Probe,
    Node,
}

/// Where they run, and what they took.
#[derive(Debug)]
pub(super) struct Bare {
    spawner: Spawner,
    probe: Vec<String>,
    node: Vec<String>,
    forget: Vec<String>,
    pub(super) probes: Samples,
    pub(super) nodes: Samples,
}

impl Bare {
    /// Makes the place in which they run.
    pub(super) fn prepare(options: &Options) -> anyhow::Result<Self> {
        let spawner = Spawner::inside(&root_filesystem(options)?, &options.scratch)?;
        let probe = output(command("node", [options.script.as_os_str()]).arg("--print-probe"))?;
        let shell = |text: &str| ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
        Ok(Self {
            spawner,
            probe: shell(probe.trim()),
            node: ["/usr/bin/node", "-v"].map(str::to_owned).to_vec(),
            // The probe refuses to run twice in one place.
            forget: shell("rm -f /tmp/.bench_ephemeral_check /var/tmp/.bench_ephemeral_check"),
            probes: Samples::default(),
            nodes: Samples::default(),
        })
    }

    /// Times one of them once.
    pub(super) fn run(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Probe => self.probes.push(self.spawner.time(&self.probe)?),
            Command::Node => {
                self.nodes.push(self.spawner.time(&self.node)?);
                self.spawner.time(&self.forget)?;
            }
        }
        Ok(())
    }
}
