//! Starting a server again whose sandboxes have gone on without it.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::Restart;
use crate::samples::Samples;
use crate::server::Server;

/// How often the server is killed and started.
const TIMES: usize = 5;

/// Measures it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Restart> {
    let mut server = Server::start(options, &[])?;
    let mut live = Vec::new();
    let mut restart = Restart { sandboxes: options.restart, ready: Samples::default() };
    let measured = measure(options, &mut server, &mut live, &mut restart).await;
    // Whatever happened: no sandbox is left behind.
    let mut connection = Connection::open(&server).await?;
    for sandbox in &live {
        connection.delete(sandbox).await.context("cannot delete what was created")?;
    }
    measured?;
    drop(connection);
    server.stop()?;
    Ok(restart)
}

async fn measure(
    options: &Options,
    server: &mut Server,
    live: &mut Vec<Sandbox>,
    restart: &mut Restart,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(server).await?;
    while live.len() < options.restart {
        let sandbox = connection.create().await;
        live.push(sandbox.with_context(|| format!("after {} sandboxes", live.len()))?);
    }
    for _ in 0..TIMES {
        server.kill()?;
        quiet::settle().await;
        let started = Instant::now();
        server.start_again(options)?;
        let mut connection = Connection::open(server).await?;
        connection.ready().await?;
        restart.ready.push(started.elapsed());
        let started = connection.count_started().await?;
        ensure!(started == live.len(), "{started} of {} sandboxes are started", live.len());
        for sandbox in live.iter().step_by(50) {
            connection.exec_true(sandbox).await.context("in a sandbox from before")?;
        }
    }
    Ok(())
}
