//! Creation while other sandboxes live.

use std::time::Instant;

use anyhow::Context as _;

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::Population;
use crate::samples::Samples;
use crate::server::Server;

/// Measures creation at each population, from few to many.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Vec<Population>> {
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let mut live: Vec<Sandbox> = Vec::new();
    let mut found = Vec::new();
    let measured = measure(options, &mut connection, &mut live, &mut found).await;
    // Whatever happened: no sandbox is left behind.
    for sandbox in &live {
        connection.delete(sandbox).await.context("cannot delete what was created")?;
    }
    measured?;
    drop(connection);
    server.stop()?;
    Ok(found)
}

async fn measure(
    options: &Options,
    connection: &mut Connection,
    live: &mut Vec<Sandbox>,
    found: &mut Vec<Population>,
) -> anyhow::Result<()> {
    for &population in &options.populations {
        while live.len() < population {
            let sandbox = connection.create().await;
            live.push(sandbox.with_context(|| format!("after {} sandboxes", live.len()))?);
        }
        let mut create = Samples::default();
        for number in 0..options.rounds + 2 {
            quiet::settle().await;
            let started = Instant::now();
            let sandbox = connection.create().await?;
            let took = started.elapsed();
            // As in the rounds, two go ahead.
            if number >= 2 {
                create.push(took);
            }
            connection.delete(&sandbox).await?;
        }
        found.push(Population { live: population, create });
    }
    Ok(())
}
