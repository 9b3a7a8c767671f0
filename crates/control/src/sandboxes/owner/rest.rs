//! What is done to sandboxes beside starting and stopping: archived, restored, resized, recovered.

use std::sync::Arc;

use pitlane_driver::{Cause, CreateError, Hello, ResizeError, RestoreError, StopError};
use pitlane_model::{DesiredState, Limits, Sandbox, SandboxState, Transition};

use super::super::ChangeError;
use super::super::entry::Entry;
use super::Owner;
use super::changes::{launch_spec, reason, within};
use crate::chain::Chain;

impl Owner {
    /// Packs away the disk of a sandbox whose archiving has been decided. If that fails it is stopped as before.
    pub(super) async fn archive(&self, entry: &Arc<Entry>) -> Result<Arc<Sandbox>, ChangeError> {
        let id = entry.id;
        let row = entry.desk().row();
        if row.sandbox.state != SandboxState::Archiving {
            return Err(ChangeError::Deleted { id });
        }
        drop(self.save(entry, row).await);
        pitlane_fault::point("archive.row-written");
        let patience = self.platform.policy.patience.archive;
        let archived = within(patience, self.platform.driver.archive(id)).await;
        pitlane_fault::point("archive.packed");
        let Err(cause) = archived.and_then(|archived| archived.map_err(Cause::from)) else {
            self.rest(entry, Transition::Packed, DesiredState::Archived, None).await;
            tracing::info!(sandbox = %id, "archived");
            return Ok(entry.view());
        };
        let reason = reason("the machine could not archive it", &cause);
        let error = ChangeError::Host { id, transition: Transition::Archive, cause };
        tracing::error!(sandbox = %id, error = %Chain(&error), "not archived");
        self.rest(entry, Transition::Ended, DesiredState::Stopped, Some(reason)).await;
        Err(error)
    }

    /// Brings a disk back that was packed away. If that fails the sandbox is archived as before.
    pub(super) async fn restore(&self, entry: &Arc<Entry>) -> Result<(), ChangeError> {
        let id = entry.id;
        let patience = self.platform.policy.patience.archive;
        let (error, reason) = match within(patience, self.platform.driver.restore(id)).await {
            Ok(Ok(())) => {
                pitlane_fault::point("restore.unpacked");
                return Ok(());
            }
            Ok(Err(error @ RestoreError::NotFound { .. })) => {
                self.fail(entry, Sandbox::DISK_IS_GONE).await;
                let transition = Transition::Start;
                return Err(ChangeError::Host { id, transition, cause: error.into() });
            }
            Ok(Err(error @ RestoreError::Full)) => (ChangeError::Full, error.to_string()),
            Ok(Err(RestoreError::Host { cause, .. })) | Err(cause) => {
                let reason = reason("the machine could not bring its disk back", &cause);
                (ChangeError::Host { id, transition: Transition::Start, cause }, reason)
            }
        };
        tracing::error!(sandbox = %id, error = %Chain(&error), "not restored");
        self.rest(entry, Transition::Packed, DesiredState::Archived, Some(reason)).await;
        Err(error)
    }

    /// Gives a sandbox the limits that its row has already, or its row those that it had.
    pub(super) async fn resize(
        &self,
        entry: &Arc<Entry>,
        before: Limits,
        is_running: bool,
    ) -> Result<Arc<Sandbox>, ChangeError> {
        let id = entry.id;
        let row = entry.desk().row();
        if row.sandbox.state != SandboxState::Resizing {
            return Err(ChangeError::Deleted { id });
        }
        let limits = row.sandbox.spec.limits;
        // Written first, so that the next server knows what was begun.
        drop(self.save(entry, row).await);
        pitlane_fault::point("resize.row-written");
        let patience = self.platform.policy.patience.resize;
        let resized = within(patience, self.platform.driver.resize(id, limits)).await;
        pitlane_fault::point("resize.done");
        let is_gone = matches!(resized, Ok(Err(ResizeError::NotFound { .. })));
        let is_full = matches!(resized, Ok(Err(ResizeError::DiskFull { .. })));
        let resized = resized.and_then(|resized| resized.map_err(Cause::from));
        let cause = match resized {
            Err(cause) if is_gone => {
                self.fail(entry, Sandbox::DISK_IS_GONE).await;
                return Err(ChangeError::Host { id, transition: Transition::Resize, cause });
            }
            resized => resized.err(),
        };
        if cause.is_some() {
            entry.desk().edit(&self.platform, |sandbox| sandbox.spec.limits = before);
        }
        let reason = cause.as_ref().map(|cause| reason("the machine could not resize it", cause));
        if is_running {
            self.rest(entry, Transition::Ready, DesiredState::Started, reason).await;
        } else {
            self.rest(entry, Transition::Ended, DesiredState::Stopped, reason).await;
        }
        let Some(cause) = cause else { return Ok(entry.view()) };
        if is_full {
            return Err(ChangeError::DiskFull);
        }
        let error = ChangeError::Host { id, transition: Transition::Resize, cause };
        tracing::error!(sandbox = %id, error = %Chain(&error), "not resized");
        Err(error)
    }

    /// Mends a sandbox that failed: ends what may still run of it, finds its disk or makes it anew if it never had one,
    /// and starts it.
    pub(super) async fn recover(
        &self,
        entry: &Arc<Entry>,
        is_to_run: bool,
    ) -> Result<Arc<Sandbox>, ChangeError> {
        let id = entry.id;
        let row = entry.desk().row();
        if row.sandbox.state != SandboxState::Starting {
            return Err(ChangeError::Deleted { id });
        }
        let was_ready = row.sandbox.daemon_version.is_some();
        drop(self.save(entry, row).await);
        let failed = |cause| ChangeError::Host { id, transition: Transition::Recover, cause };
        match self.find_disk(entry).await {
            Ok(true) if is_to_run => {
                let started = self.launch(entry).await;
                if started.is_ok() {
                    tracing::info!(sandbox = %id, "recovered");
                }
                started
            }
            Ok(true) => {
                self.rest(entry, Transition::Ended, DesiredState::Stopped, None).await;
                Ok(entry.view())
            }
            Ok(false) if was_ready => {
                self.fail(entry, Sandbox::DISK_IS_GONE).await;
                Err(failed(Sandbox::DISK_IS_GONE.into()))
            }
            Ok(false) => match self.create_again(entry).await {
                Ok(hello) => self.ready(entry, hello).await.ok_or(ChangeError::Deleted { id }),
                Err(cause) => {
                    self.fail(entry, &reason("the machine could not create it", &cause)).await;
                    Err(failed(cause))
                }
            },
            Err(cause) => {
                self.fail(entry, &reason("the machine could not stop it", &cause)).await;
                Err(failed(cause))
            }
        }
    }

    /// Ends what runs, and answers whether there is a disk.
    async fn find_disk(&self, entry: &Entry) -> Result<bool, Cause> {
        let patience = self.platform.policy.patience;
        match within(patience.stop, self.platform.driver.stop(entry.id, true)).await? {
            Ok(()) => {}
            Err(StopError::NotFound { .. }) => return Ok(false),
            Err(StopError::Host { cause, .. }) => return Err(cause),
        }
        match within(patience.archive, self.platform.driver.restore(entry.id)).await? {
            Ok(()) => Ok(true),
            Err(RestoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn create_again(&self, entry: &Arc<Entry>) -> Result<Hello, Cause> {
        if entry.desk().row().image.is_none() {
            self.find_image(entry).await?;
        }
        let launch = launch_spec(&entry.desk().row())?;
        let patience = self.platform.policy.patience.start;
        let created: Result<Hello, CreateError> =
            within(patience, self.platform.driver.create(&launch)).await?;
        Ok(created?)
    }
}
