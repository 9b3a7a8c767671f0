//! Everything measured in turn, so that whatever else the machine does hits all alike.

use std::time::Instant;

use anyhow::Context as _;

use crate::connection::Connection;
use crate::options::Options;
use crate::peers::Peers;
use crate::quiet;
use crate::results::{Found, Measure, Row};
use crate::samples::Samples;
use crate::server::{Server, root_filesystem};

/// What is measured of Pitlane.
#[derive(Debug, Default)]
struct Pitlane {
    create: Samples,
    create_and_first_exec: Samples,
    exec: Samples,
    code_run: Samples,
    delete: Samples,
    whole: Samples,
    create_again: Samples,
    create_unprepared: Samples,
}

/// Runs the rounds.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let server = Server::start(options, &[])?;
    let unprepared = Server::start(options, &["--prepared", "0", "--first-id", "1073741824"])?;
    let root = root_filesystem(options)?;
    let mut peers = Peers::prepare(options, &root);
    let mut connection = Connection::open(&server).await?;
    let mut other = Connection::open(&unprepared).await?;
    let mut pitlane = Pitlane::default();
    // As often as the peers run before their first round.
    for _ in 0..2 {
        Pitlane::default().round(&mut connection, &mut other).await?;
    }
    for number in 1..=options.rounds {
        peers.round().await;
        pitlane
            .round(&mut connection, &mut other)
            .await
            .with_context(|| format!("round {number}"))?;
    }
    let mut rows = peers.rows();
    rows.extend(pitlane.rows());
    drop((connection, other));
    server.stop()?;
    unprepared.stop()?;
    Ok(rows)
}

impl Pitlane {
    /// Measures each once.
    async fn round(
        &mut self,
        connection: &mut Connection,
        unprepared: &mut Connection,
    ) -> anyhow::Result<()> {
        quiet::settle().await;
        let started = Instant::now();
        let sandbox = connection.create().await?;
        self.create.push(started.elapsed());
        connection.exec_true(&sandbox).await?;
        self.create_and_first_exec.push(started.elapsed());

        quiet::settle().await;
        let started = Instant::now();
        connection.exec_true(&sandbox).await?;
        self.exec.push(started.elapsed());

        quiet::settle().await;
        let started = Instant::now();
        connection.run_code(&sandbox).await?;
        self.code_run.push(started.elapsed());

        quiet::settle().await;
        let started = Instant::now();
        connection.delete(&sandbox).await?;
        self.delete.push(started.elapsed());

        quiet::settle().await;
        let started = Instant::now();
        let sandbox = connection.create().await?;
        connection.exec_true(&sandbox).await?;
        connection.delete(&sandbox).await?;
        self.whole.push(started.elapsed());
        let started = Instant::now();
        let sandbox = connection.create().await?;
        self.create_again.push(started.elapsed());
        connection.delete(&sandbox).await?;

        quiet::settle().await;
        let started = Instant::now();
        let sandbox = unprepared.create().await?;
        self.create_unprepared.push(started.elapsed());
        unprepared.delete(&sandbox).await
    }

    fn rows(self) -> [Row; 8] {
        [
            (Measure::Create, self.create),
            (Measure::CreateAndFirstExec, self.create_and_first_exec),
            (Measure::Exec, self.exec),
            (Measure::CodeRun, self.code_run),
            (Measure::Delete, self.delete),
            (Measure::Whole, self.whole),
            (Measure::CreateAgain, self.create_again),
            (Measure::CreateUnprepared, self.create_unprepared),
        ]
        .map(|(measure, samples)| Row { measure, found: Found::Samples(samples) })
    }
}
