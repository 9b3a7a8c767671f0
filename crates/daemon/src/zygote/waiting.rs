//! An interpreter that has started and waits for its program.
//!
//! It is a process of the user's: it may have been killed, stopped or replaced, and may say anything. Whatever goes
//! wrong before it says that it begins is answered by a new start; it is gone by then, so nothing runs twice.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::line::{Line, MAX_DESCRIPTORS};
use crate::process::{Launch, Processes, StartError, Started};

/// How long it may take to say something that takes a healthy one a millisecond.
const DEADLINE: Duration = Duration::from_secs(2);
/// What it says: that it waits, and that its program begins. Anything else is a refusal.
const HERE: u8 = b'H';
const BEGINS: u8 = b'B';

/// One interpreter, for one program.
#[derive(Debug)]
pub(super) struct Waiting {
    line: Line,
    started: Started,
}

/// Why no interpreter waits.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForkError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot speak to the interpreter")]
    Line(#[from] io::Error),
    #[error("the interpreter does not answer")]
    Silent,
}

impl Waiting {
    /// Has the interpreter at the other end of `zygote` fork.
    pub(super) async fn fork(processes: &Processes, zygote: &Line) -> Result<Self, ForkError> {
        let room = processes.make_room()?;
        let (line, other) = Line::new()?;
        let admission = room.admission.as_ref().map(OwnedFd::as_fd);
        let descriptors: Vec<_> = [other.as_fd()].into_iter().chain(admission).collect();
        let asked = timeout(DEADLINE, zygote.send(b"F", &descriptors)).await;
        asked.map_err(|_elapsed| ForkError::Silent)??;
        drop(other);
        let heard =
            timeout(DEADLINE, line.hear()).await.map_err(|_elapsed| ForkError::Silent)??;
        let heard = heard.filter(|heard| heard.byte == HERE).ok_or(ForkError::Silent)?;
        let started = processes.take_in(heard.sender, room)?;
        Ok(Self { line, started })
    }

    /// Waits until it is gone, or says what it has no reason to.
    pub(super) async fn gone(&self) {
        self.line.hear().await.ok();
    }

    /// Has it count as a program that starts now; `lease` is closed when that is over.
    pub(super) fn lease(&mut self, processes: &Processes, lease: oneshot::Sender<()>) {
        processes.begin(&mut self.started, lease);
    }

    /// Gives it its program. `None` when it has refused or does not answer: it is gone then.
    pub(super) async fn run(mut self, launch: &Launch, outputs: [&OwnedFd; 2]) -> Option<Started> {
        let told = async {
            self.tell(launch, outputs).await?;
            self.line.hear().await
        };
        let begins = |heard: Option<super::line::Heard>| heard.is_some_and(|it| it.byte == BEGINS);
        match timeout(DEADLINE, told).await {
            Ok(Ok(heard)) if begins(heard) => return Some(self.started),
            _ => self.started.kill().await.ok()?,
        }
        // It may have begun when nobody waited any more. What is killed then was the program.
        let heard = self.line.try_hear().ok().flatten();
        begins(heard).then_some(self.started)
    }

    /// Ends it.
    pub(super) async fn end(self) {
        // What is left ends with the sandbox.
        self.started.kill().await.ok();
    }

    async fn tell(&mut self, launch: &Launch, [stdout, stderr]: [&OwnedFd; 2]) -> io::Result<()> {
        let body = body(launch);
        let head = u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes();
        let standard = [launch.input.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let more = launch.spare.iter().chain(&launch.charts).map(OwnedFd::as_fd);
        let descriptors: Vec<_> = standard.into_iter().chain(more).collect();
        self.line.send(&head, &descriptors).await?;
        self.line.write(&body).await
    }
}

/// Whether all its descriptors can be sent.
pub(super) fn can_be_told(launch: &Launch) -> bool {
    launch.spare.len().saturating_add(4) <= MAX_DESCRIPTORS
}

/// Folder, whether there is a descriptor for charts, counts, then candidates, arguments and variables, with NULs
/// between them: none of them can contain one.
fn body(launch: &Launch) -> Vec<u8> {
    // The first two are `-u -`, which it was started with.
    let arguments = launch.arguments.get(2..).unwrap_or_default();
    let has_charts = if launch.charts.is_some() { "1" } else { "0" };
    let counts = [launch.candidates.len().to_string(), arguments.len().to_string()];
    let mut fields = vec![launch.folder.as_bytes(), has_charts.as_bytes()];
    fields.extend(counts.iter().map(String::as_bytes));
    let texts = launch.candidates.iter().chain(arguments).chain(&launch.environment);
    fields.extend(texts.map(CString::as_bytes));
    fields.join(&b'\0')
}
