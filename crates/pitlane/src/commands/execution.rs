//! A program in a sandbox, followed until it ends: its output here, byte for byte, and its code.

use std::process::ExitCode;

use pitlane_client::{Client, Frame, StreamRequest};
use pitlane_wire::control::Sandbox;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, passed_through};
use crate::failure::Failure;
use crate::output::{self, Format};

/// How a program ended, for programs; its output is text, with what is no UTF-8 replaced.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ended {
    sandbox_id: String,
    exit_code: i32,
    stdout: String,
    stderr: String,
}

/// Tells when this process is asked to end.
#[derive(Debug)]
pub(super) struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interruption {
    /// Watches from now on: without this a signal ends the process at once.
    pub(super) fn watch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for it. Dropping the future loses nothing.
    pub(super) async fn wait(&mut self) -> Failure {
        let exit = tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            // The terminal is gone, and whoever could press Ctrl-C with it.
            _ = self.hang_up.recv() => Exit::Terminated,
        };
        Failure::new("interrupted").exit(exit)
    }
}

/// Runs something in a sandbox and follows it. Dropping the future ends the program.
pub(super) async fn follow(
    client: &Client,
    sandbox: &Sandbox,
    run: &StreamRequest,
    format: Format,
) -> Result<ExitCode, Failure> {
    let mut execution = client.run(sandbox, run).await?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = loop {
        match (execution.next().await?, format) {
            (Frame::Stdout(bytes), Format::Json) => stdout.extend_from_slice(&bytes),
            (Frame::Stderr(bytes), Format::Json) => stderr.extend_from_slice(&bytes),
            (Frame::Stdout(bytes), Format::Human) => pass_on(bytes, output::write).await?,
            (Frame::Stderr(bytes), Format::Human) => pass_on(bytes, output::write_aside).await?,
            (Frame::Exit(code), _) => break code,
            (Frame::Failure(sentence), _) => return Err(Failure::new(sentence)),
        }
    };
    if format == Format::Json {
        let ended = Ended {
            sandbox_id: sandbox.core.id.clone(),
            exit_code: code,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        };
        format.write(&ended, |_| String::new())?;
    }
    Ok(passed_through(code))
}

/// Writes beside the runtime's own thread: a reader that waits must not keep Ctrl-C from being seen.
pub(super) async fn pass_on(
    bytes: Vec<u8>,
    write: fn(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    tokio::task::spawn_blocking(move || write(&bytes)).await?
}
