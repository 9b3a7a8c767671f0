//! Snapshots of sandboxes, as callers ask for them.

use std::sync::Arc;

use pitlane_model::{Actor, Sandbox, SandboxState, Transition};
use tokio::sync::oneshot;

use super::entry::Change;
use super::story::Because;
use super::{ChangeError, Sandboxes, SnapshotSandboxError};
use crate::Principal;

/// A snapshot of a sandbox as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSandbox {
    /// Its name, which no other one of the organization has.
    pub name: String,
    /// Whether what is in memory is to be kept, too.
    pub has_memory: bool,
}

impl Sandboxes {
    /// Takes a snapshot of a started or stopped sandbox: its file system as it is at one moment. What runs goes on;
    /// whatever of it writes to the disk meanwhile waits.
    ///
    /// Returns when it is taken, or after [`super::ANSWER_AFTER`] with what the sandbox is then. Dropping the future does
    /// not undo it.
    ///
    /// # Errors
    ///
    /// [`SnapshotSandboxError`]: there is no snapshot, and the sandbox is as it was.
    pub async fn snapshot(
        &self,
        principal: &Principal,
        id_or_name: &str,
        request: SnapshotSandbox,
    ) -> Result<Arc<Sandbox>, SnapshotSandboxError> {
        let entry = self.changeable(principal, id_or_name)?;
        // What state it is in matters more than what was asked for.
        entry.state().after(Transition::Snapshot).map_err(ChangeError::from)?;
        if request.has_memory {
            return Err(SnapshotSandboxError::Memory);
        }
        let snapshots = &self.platform().snapshots;
        snapshots.check_new(principal, &request.name)?;
        let row = entry.desk().row();
        let snapshot = snapshots.reserve(&request.name, &row.sandbox, row.entrypoint).await?;
        pitlane_fault::point("snapshot.row-reserved");
        let claimed = {
            let mut desk = entry.desk();
            let is_running = desk.sandbox().state == SandboxState::Started;
            let (reply, answer) = oneshot::channel();
            let because = Because::of(Actor::Caller).reason("a snapshot of it is taken".to_owned());
            let before = std::mem::replace(&mut desk.because, because);
            match desk.advance(&self.owner.platform, Transition::Snapshot, |_| {}) {
                Ok(_) => {
                    entry.used.touch();
                    let snapshot = Box::new(snapshot.clone());
                    desk.change = Some(Change::Snapshot { snapshot, is_running, reply });
                    self.owner.hire(&entry, &mut desk);
                    Ok(answer)
                }
                Err(error) => {
                    desk.because = before;
                    Err(error)
                }
            }
        };
        let answer = match claimed {
            Ok(answer) => answer,
            // Somebody else was faster.
            Err(error) => {
                snapshots.abandon(&snapshot).await;
                return Err(ChangeError::from(error).into());
            }
        };
        match tokio::time::timeout(super::ANSWER_AFTER, answer).await {
            Ok(answer) => answer.unwrap_or(Err(ChangeError::ShuttingDown.into())),
            Err(_elapsed) => Ok(entry.view()),
        }
    }
}
