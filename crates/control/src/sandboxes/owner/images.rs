//! Sandboxes whose image is not here when they are accepted: they are told of at once, and made when it has come.

use std::sync::Arc;

use pitlane_driver::{Cause, PreparedImage};
use pitlane_model::{Sandbox, SandboxState, Transition};

use super::super::CreateError;
use super::super::entry::{Entry, Reply};
use super::Owner;
use crate::chain::Chain;
use crate::images::{Awaited, Progress, Wanted};

/// Why a sandbox has no image.
#[derive(Debug, thiserror::Error)]
enum NotFound {
    #[error("{0}")]
    Failed(String),
    #[error("its image cannot be named")]
    Nameless,
    #[error("the server is shutting down, or the sandbox goes")]
    Abandoned,
}

impl Owner {
    /// Answers that a sandbox was accepted, and makes it when its image has come.
    pub(super) async fn create_later(
        &self,
        entry: &Arc<Entry>,
        awaited: Awaited,
        reply: Reply<CreateError>,
    ) {
        let row = entry.desk().row();
        let sandbox = Arc::new(row.sandbox.clone());
        let accepted = if entry.condemned.is_cancelled() {
            Err(CreateError::Deleted { id: entry.id })
        } else {
            pitlane_fault::point("create-later.decided");
            self.insert(entry, row).await
        };
        pitlane_fault::point("create-later.row-written");
        let is_accepted = accepted.is_ok();
        drop(reply.send(accepted.map(|()| sandbox)));
        if is_accepted {
            self.make_when_here(entry, awaited).await;
        }
    }

    /// Goes on with a sandbox whose caller an earlier server had told of it.
    pub(super) async fn go_on(&self, entry: &Arc<Entry>) {
        let row = entry.desk().row();
        let is_creating = row.sandbox.state == SandboxState::Creating;
        // What there may be of it is of a creation that was broken off.
        if is_creating && !self.release(entry.id).await {
            return;
        }
        if is_creating && row.image.is_some() {
            drop(self.make(entry).await);
            return;
        }
        match wanted(&row.sandbox) {
            Some(wanted) => {
                let awaited = self.platform.images.want_again(wanted);
                self.make_when_here(entry, awaited).await;
            }
            None => self.fail(entry, &NotFound::Nameless.to_string()).await,
        }
    }

    /// Follows an image's way, and makes the sandbox at its end. Returns early when the sandbox goes, or the server: the
    /// next one goes on.
    async fn make_when_here(&self, entry: &Arc<Entry>, mut awaited: Awaited) {
        let mut progress = awaited.progress();
        loop {
            match progress {
                Progress::Waiting => {}
                Progress::Working => self.note_begin(entry).await,
                Progress::Here(image) => return self.make_of(entry, image).await,
                Progress::Failed { reason } => return self.note_failure(entry, &reason).await,
            }
            let next = tokio::select! {
                () = entry.condemned.cancelled() => return,
                next = awaited.next() => next,
            };
            let Some(next) = next else { return };
            progress = next;
        }
    }

    async fn note_begin(&self, entry: &Arc<Entry>) {
        if entry.state() != SandboxState::PendingBuild {
            return;
        }
        let begun = entry.desk().advance(&self.platform, Transition::BuildBegun, |_| {});
        if let Ok(row) = begun {
            drop(self.save(entry, row).await);
        }
        pitlane_fault::point("create-later.row-building");
    }

    async fn make_of(&self, entry: &Arc<Entry>, image: PreparedImage) {
        let found = {
            let mut desk = entry.desk();
            let is_expected = desk.sandbox().state.after(Transition::ImageFound).is_ok();
            is_expected.then(|| desk.furnish(&self.platform, image));
            desk.advance(&self.platform, Transition::ImageFound, |_| {})
        };
        // It goes.
        let Ok(row) = found else { return };
        drop(self.save(entry, row).await);
        pitlane_fault::point("create-later.row-creating");
        if let Err(error) = self.make(entry).await {
            tracing::warn!(sandbox = %entry.id, error = %Chain(&error), "its image came, and it is not made");
        }
    }

    async fn note_failure(&self, entry: &Arc<Entry>, reason: &str) {
        let transition = match entry.state() {
            SandboxState::PendingBuild | SandboxState::BuildingSnapshot => Transition::BuildFailed,
            _ => return self.fail(entry, reason).await,
        };
        let failed = entry.desk().advance(&self.platform, transition, |sandbox| {
            sandbox.error_reason = Some(reason.to_owned());
        });
        if let Ok(row) = failed {
            drop(self.save(entry, row).await);
        }
    }

    /// Finds the image of a sandbox that failed before it had one, by the way that it was to come.
    pub(super) async fn find_image(&self, entry: &Arc<Entry>) -> Result<(), Cause> {
        let wanted = wanted(entry.desk().sandbox()).ok_or(NotFound::Nameless)?;
        let awaited = self.platform.images.want(wanted)?;
        let outcome = tokio::select! {
            () = entry.condemned.cancelled() => None,
            outcome = awaited.outcome() => outcome,
        };
        let image = outcome.ok_or(NotFound::Abandoned)?.map_err(NotFound::Failed)?;
        let row = entry.desk().furnish(&self.platform, image);
        drop(self.save(entry, row).await);
        Ok(())
    }
}

/// The image that a sandbox waits for.
fn wanted(sandbox: &Sandbox) -> Option<Wanted> {
    let spec = &sandbox.spec;
    Some(Wanted {
        organization: spec.organization,
        reference: spec.snapshot.parse().ok()?,
        build: spec.build.clone(),
    })
}
