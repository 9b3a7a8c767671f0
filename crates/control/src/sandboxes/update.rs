//! Changes of what is said about a sandbox, and of its timers: they happen at once and touch no machine.

use std::sync::Arc;

use pitlane_model::{Labels, Minutes, Permission, Sandbox, SandboxState};
use pitlane_store::WriteError;

use super::{Sandboxes, UpdateError};
use crate::Principal;

/// What is to be different about a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// All of its labels.
    Labels(Labels),
    /// Whether its previews are open to anyone.
    Public(bool),
    /// Minutes without activity until it stops; 0 for never.
    AutoStop(Minutes),
    /// Minutes until a stopped one is archived; 0 for the longest possible.
    AutoArchive(Minutes),
    /// Minutes until a stopped one is deleted; 0 for when it stops, `None` for never.
    AutoDelete(Option<Minutes>),
    /// Minutes from now until it is deleted; 0 for never.
    Ttl(Minutes),
}

impl Sandboxes {
    /// Changes something about a sandbox and counts as activity, so that no timer acts on the change at once.
    ///
    /// Dropping the future does not undo it.
    ///
    /// # Errors
    ///
    /// See [`UpdateError`].
    pub async fn update(
        &self,
        principal: &Principal,
        id_or_name: &str,
        update: Update,
    ) -> Result<Arc<Sandbox>, UpdateError> {
        principal.require(Permission::WriteSandboxes)?;
        let entry = self.entry(principal, id_or_name)?;
        self.refuse_when_ending(UpdateError::ShuttingDown)?;
        let id = entry.id;
        let platform = &self.owner.platform;
        let row = {
            let mut desk = entry.desk();
            if matches!(desk.sandbox().state, SandboxState::Destroying | SandboxState::Destroyed) {
                return Err(UpdateError::Deleted { id });
            }
            entry.used.touch();
            let now = platform.clock.now();
            desk.edit(platform, |sandbox| {
                let lifecycle = &mut sandbox.spec.lifecycle;
                match update {
                    Update::Labels(labels) => sandbox.spec.labels = labels,
                    Update::Public(is_public) => sandbox.spec.is_public = is_public,
                    Update::AutoStop(minutes) => lifecycle.auto_stop = minutes,
                    Update::AutoArchive(minutes) => lifecycle.auto_archive = minutes,
                    Update::AutoDelete(minutes) => lifecycle.auto_delete = minutes,
                    Update::Ttl(0) => lifecycle.ttl = 0,
                    // Counted in whole minutes from its creation, and never less than was asked for.
                    Update::Ttl(minutes) => {
                        let age = now.since(sandbox.created_at).as_secs().div_ceil(60);
                        let age = Minutes::try_from(age).unwrap_or(Minutes::MAX);
                        lifecycle.ttl = age.saturating_add(minutes);
                    }
                }
            })
        };
        let sandbox = Arc::new(row.sandbox.clone());
        let owner = self.owner.clone();
        let saved = platform.tasks.spawn(async move { owner.save(&entry, row).await });
        let saved = saved.await.unwrap_or(Err(WriteError::Closed));
        saved.map_err(|cause| UpdateError::Store { id, cause })?;
        Ok(sandbox)
    }
}
