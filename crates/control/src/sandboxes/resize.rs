//! Other limits for a sandbox.

use std::sync::Arc;

use pitlane_model::{Actor, Limits, Sandbox, SandboxState, Transition, TransitionError};
use tokio::sync::oneshot;

use super::entry::Change;
use super::story::Because;
use super::{ChangeError, RequestedLimits, ResizeError, Sandboxes, outcome};
use crate::Principal;

impl Sandboxes {
    /// Gives a started or stopped sandbox other limits: more processors and memory at once, a larger disk while it is
    /// stopped.
    ///
    /// Returns when it has them, or after [`super::ANSWER_AFTER`]. Dropping the future does not undo it.
    ///
    /// # Errors
    ///
    /// [`ResizeError`]: it has the limits it had.
    pub async fn resize(
        &self,
        principal: &Principal,
        id_or_name: &str,
        request: RequestedLimits,
    ) -> Result<Arc<Sandbox>, ResizeError> {
        let entry = self.changeable(principal, id_or_name)?;
        let owner = &self.owner;
        let answer = {
            let mut desk = entry.desk();
            let state = desk.sandbox().state;
            // What state it is in matters more than what was asked for.
            state.after(Transition::Resize).map_err(ChangeError::from)?;
            let is_running = state == SandboxState::Started;
            let before = desk.sandbox().spec.limits;
            let wanted = wanted(request, before, is_running)?;
            wanted.check_within(self.platform().policy.maximum)?;
            entry.used.touch();
            desk.because = Because::of(Actor::Caller);
            desk.advance(&owner.platform, Transition::Resize, |sandbox| {
                sandbox.spec.limits = wanted;
            })
            .map_err(|error: TransitionError| ChangeError::from(error))?;
            let (reply, answer) = oneshot::channel();
            desk.change = Some(Change::Resize { before, is_running, reply });
            owner.hire(&entry, &mut desk);
            answer
        };
        Ok(outcome(&entry, answer).await?)
    }
}

/// The limits asked for, if a sandbox can come to them.
fn wanted(
    request: RequestedLimits,
    before: Limits,
    is_running: bool,
) -> Result<Limits, ResizeError> {
    let wanted = Limits::new(
        request.cpu_count.unwrap_or(before.cpu_count()),
        request.memory_gib.unwrap_or(before.memory_gib()),
        request.disk_gib.unwrap_or(before.disk_gib()),
        before.process_count(),
    )?;
    if wanted == before {
        return Err(ResizeError::Unchanged);
    }
    if is_running && wanted.disk_gib() != before.disk_gib() {
        return Err(ResizeError::DiskInUse);
    }
    let growing = [
        ("cpu", wanted.cpu_count() < before.cpu_count() && is_running),
        ("memory", wanted.memory_gib() < before.memory_gib() && is_running),
        ("disk", wanted.disk_gib() < before.disk_gib()),
    ];
    match growing.into_iter().find(|(_, shrinks)| *shrinks) {
        Some((resource, _)) => Err(ResizeError::Shrinks { resource, is_running }),
        None => Ok(wanted),
    }
}
