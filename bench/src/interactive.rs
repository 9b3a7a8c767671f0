//! Time to interactive: from the call to create a sandbox to the end of the first useful command in it.
//!
//! Through the official TypeScript SDK, as the public scoreboard of sandboxes measures it: create, a probe that tells
//! sandboxes apart, `node -v`. Beside it what the same commands take without a sandbox, and what the same calls take
//! when the sandboxes run nothing: the difference is Pitlane's.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use crate::options::Options;
use crate::program::{command, output};
use crate::quiet;
use crate::results::{Interactive, Modes, Run};
use crate::samples::Samples;
use crate::server::{Server, root_filesystem};
use crate::spawner::Spawner;

/// What the script says of one mode.
#[derive(Debug, Deserialize)]
struct Said {
    /// In milliseconds.
    total: Vec<f64>,
    create: Vec<f64>,
    failures: Vec<String>,
    seconds: f64,
}

/// What the script says.
#[derive(Debug, Deserialize)]
struct SaidOfModes {
    sequential: Said,
    staggered: Said,
    burst: Said,
}

/// Measures it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Interactive> {
    // Before any sandbox is made: what the kernel frees after a burst would slow the bare commands down.
    let (bare_probe, bare_node) = bare(options).await?;
    let fake = Server::start(options, &["--driver", "fake"])?;
    let fake_modes = modes(options, &fake, "fake")?;
    fake.stop()?;
    let real = Server::start(options, &[])?;
    let real_modes = modes(options, &real, "real")?;
    real.stop()?;
    Ok(Interactive { bare_probe, bare_node, fake: fake_modes, real: real_modes })
}

fn modes(options: &Options, server: &Server, kind: &str) -> anyhow::Result<Modes> {
    let mut command = command("node", [options.script.as_os_str()]);
    command.args([server.url(), kind, &options.interactive.to_string()]);
    // By its environment, so that the key is in no list of processes.
    command.env("DAYTONA_API_KEY", server.key()).stderr(Stdio::inherit());
    let said: SaidOfModes = serde_json::from_str(&output(&mut command)?)
        .context("cannot understand the script that speaks through the SDK")?;
    Ok(Modes {
        sequential: said.sequential.try_into()?,
        staggered: said.staggered.try_into()?,
        burst: said.burst.try_into()?,
    })
}

impl TryFrom<Said> for Run {
    type Error = anyhow::Error;

    fn try_from(said: Said) -> anyhow::Result<Self> {
        let times = |times: Vec<f64>| -> anyhow::Result<Samples> {
            times
                .into_iter()
                .map(|time| Ok(Duration::try_from_secs_f64(time / 1000.0)?))
                .collect::<anyhow::Result<Samples>>()
        };
        Ok(Self {
            total: times(said.total)?,
            create: times(said.create)?,
            failures: said.failures,
            seconds: said.seconds,
        })
    }
}

/// Times the two commands without a sandbox, on the same root filesystem.
async fn bare(options: &Options) -> anyhow::Result<(Samples, Samples)> {
    let root = root_filesystem(options)?;
    let mut spawner = Spawner::inside(&root, &options.scratch)?;
    let probe = output(command("node", [options.script.as_os_str()]).arg("--print-probe"))?;
    let shell = |text: &str| ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
    let (probe, node) = (shell(probe.trim()), ["/usr/bin/node", "-v"].map(str::to_owned).to_vec());
    // The probe refuses to run twice in one place.
    let forget = shell("rm -f /tmp/.bench_ephemeral_check /var/tmp/.bench_ephemeral_check");
    let (mut probes, mut nodes) = (Samples::default(), Samples::default());
    for _ in 0..options.interactive {
        quiet::settle().await;
        probes.push(spawner.time(&probe)?);
        nodes.push(spawner.time(&node)?);
        spawner.time(&forget)?;
    }
    Ok((probes, nodes))
}
