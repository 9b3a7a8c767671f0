//! Sandboxes that wait, beside those that are made when they are asked for; and what idle ones cost.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::{IdleMemory, Warm};
use crate::samples::Samples;
use crate::server::Server;

/// Rounds that go ahead of those that count.
const AHEAD: usize = 3;
/// How long the machine gets to settle before its memory is read.
const SETTLING: Duration = Duration::from_secs(2);

/// Measures both.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Warm> {
    let server = Server::start(options, &[])?;
    let unprepared = Server::start(options, &["--prepared", "0", "--first-id", "1073741824"])?;
    let mut connection = Connection::open(&server).await?;
    let mut other = Connection::open(&unprepared).await?;
    let (mut warm, mut cold) = (Samples::default(), Samples::default());
    for number in 0..options.rounds + AHEAD {
        let took = [create(&mut connection).await?, create(&mut other).await?];
        if number >= AHEAD {
            let [warm_took, cold_took] = took;
            warm.push(warm_took);
            cold.push(cold_took);
        }
    }
    drop((connection, other));
    server.stop()?;
    unprepared.stop()?;
    Ok(Warm { warm, cold, idle: idle(options).await? })
}

/// One create that comes after none, and how long it took.
async fn create(connection: &mut Connection) -> anyhow::Result<Duration> {
    // Long enough for a pool to be full again.
    quiet::settle().await;
    quiet::settle().await;
    quiet::settle().await;
    let started = Instant::now();
    let sandbox = connection.create().await?;
    let took = started.elapsed();
    connection.delete(&sandbox).await?;
    Ok(took)
}

/// What idle sandboxes take of memory, from few to many.
async fn idle(options: &Options) -> anyhow::Result<Vec<IdleMemory>> {
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let mut live = Vec::new();
    let measured = populate(options, &server, &mut connection, &mut live).await;
    // Whatever happened: no sandbox is left behind.
    for sandbox in &live {
        connection.delete(sandbox).await.context("cannot delete what was created")?;
    }
    drop(connection);
    server.stop()?;
    measured
}

async fn populate(
    options: &Options,
    server: &Server,
    connection: &mut Connection,
    live: &mut Vec<Sandbox>,
) -> anyhow::Result<Vec<IdleMemory>> {
    let mut found = Vec::new();
    for &population in &options.idle {
        while live.len() < population {
            let sandbox = connection.create().await;
            live.push(sandbox.with_context(|| format!("after {} sandboxes", live.len()))?);
        }
        tokio::time::sleep(SETTLING).await;
        let [launcher, sandboxes] = server.memory_of_others()?;
        found.push(IdleMemory {
            sandboxes: live.len(),
            server_kib: server.proportional_kib()?,
            launcher_kib: launcher,
            daemons_kib: sandboxes,
            kernel_kib: kernel_kib()?,
        });
    }
    Ok(found)
}

/// What the kernel keeps for itself and cannot take back: slabs, stacks, page tables, memory per processor. No process has
/// it as its own; other programs must be quiet meanwhile.
fn kernel_kib() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("cannot read memory")?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.with_context(|| format!("no {name} in /proc/meminfo"))?;
        number.trim().trim_end_matches(" kB").parse::<u64>().context("no number of KiB")
    };
    ["SUnreclaim", "KernelStack", "PageTables", "Percpu"].into_iter().map(value).sum()
}
