//! The two commands without a sandbox, on the same root filesystem.

use crate::options::Options;
use crate::program::{command, output};
use crate::samples::Samples;
use crate::server::root_filesystem;
use crate::spawner::Spawner;

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

    /// Times both once.
    pub(super) fn turn(&mut self) -> anyhow::Result<()> {
        self.probes.push(self.spawner.time(&self.probe)?);
        self.nodes.push(self.spawner.time(&self.node)?);
        self.spawner.time(&self.forget)?;
        Ok(())
    }
}
