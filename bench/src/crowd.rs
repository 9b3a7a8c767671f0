//! Creation by many clients at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::Crowd;
use crate::samples::Samples;
use crate::server::Server;

/// How many clients create at the same time, each one sandbox after another.
const CLIENTS: usize = 16;

/// What one client did.
#[derive(Debug, Default)]
struct Made {
    times: Vec<Duration>,
    sandboxes: Vec<Sandbox>,
    failures: Vec<String>,
}

/// Measures each creation.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Crowd> {
    let server = Server::start(options, &[])?;
    let mut clients = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(Connection::open(&server).await?);
    }
    quiet::settle().await;
    let left = Arc::new(AtomicUsize::new(options.crowd));
    let started = Instant::now();
    for connection in connections {
        clients.spawn(create(connection, Arc::clone(&left)));
    }
    let made = clients.join_all().await;
    let seconds = started.elapsed().as_secs_f64();
    let mut crowd =
        Crowd { clients: CLIENTS, create: Samples::default(), failures: Vec::new(), seconds };
    let mut connection = Connection::open(&server).await?;
    for Made { times, sandboxes, failures } in made {
        times.into_iter().for_each(|time| crowd.create.push(time));
        crowd.failures.extend(failures);
        for sandbox in &sandboxes {
            connection.delete(sandbox).await.context("cannot delete what was created")?;
        }
    }
    drop(connection);
    server.stop()?;
    Ok(crowd)
}

async fn create(mut connection: Connection, left: Arc<AtomicUsize>) -> Made {
    let mut made = Made::default();
    let take = |count: usize| count.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        let started = Instant::now();
        match connection.create().await {
            Ok(sandbox) => {
                made.times.push(started.elapsed());
                made.sandboxes.push(sandbox);
            }
            Err(cause) => made.failures.push(format!("{cause:#}")),
        }
    }
    made
}
