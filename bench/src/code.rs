//! Code: a run of `print(1)`, beside the same program without any sandbox.
//!
//! The first run of Python in a sandbox starts an interpreter; later ones find one that has started. Both are measured,
//! and JavaScript, whose interpreter starts each time.

use std::time::Instant;

use crate::connection::Connection;
use crate::options::Options;
use crate::quiet;
use crate::results::Code;
use crate::samples::Samples;
use crate::server::{Server, root_filesystem};
use crate::spawner::Spawner;

/// How many later runs one round has: each by itself is short.
const RUNS: usize = 10;

/// Measures it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Code> {
    let mut spawner = Spawner::inside(&root_filesystem(options)?, &options.scratch)?;
    let order = |words: [&str; 3]| words.map(str::to_owned);
    let python = order(["/usr/bin/python3", "-c", "print(1)"]);
    let node = order(["/usr/bin/node", "-e", "console.log(1)"]);
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let mut code = Code::default();
    for _ in 0..options.rounds {
        quiet::settle().await;
        code.bare_python.push(spawner.time(&python)?);
        code.bare_node.push(spawner.time(&node)?);
        let sandbox = connection.create().await?;
        quiet::settle().await;
        time(&mut code.first, connection.run_code(&sandbox)).await?;
        quiet::settle().await;
        for _ in 0..RUNS {
            time(&mut code.later, connection.run_code(&sandbox)).await?;
        }
        time(&mut code.node, connection.run_javascript(&sandbox)).await?;
        connection.delete(&sandbox).await?;
    }
    drop(connection);
    server.stop()?;
    Ok(code)
}

async fn time(
    samples: &mut Samples,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    work.await?;
    samples.push(started.elapsed());
    Ok(())
}
