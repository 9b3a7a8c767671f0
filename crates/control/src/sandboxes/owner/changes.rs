//! The changes a caller can ask for, carried out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pitlane_driver::{Cause, Hello, LaunchSpec};
use pitlane_model::{DesiredState, Sandbox, SandboxId, SandboxState, Transition};
use pitlane_store::{StoredSandbox, WriteError};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::super::entry::{Entry, Reply};
use super::super::{ChangeError, CreateError};
use super::Owner;
use crate::chain::Chain;

/// The driver took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("not done after {} seconds", .0.as_secs_f32())]
pub(super) struct Overdue(Duration);

/// What a driver made of a create.
type Made = Result<Hello, pitlane_driver::CreateError>;

impl Owner {
    /// Makes a sandbox, answers, and writes down that it runs.
    ///
    /// In this order, since whoever asked waits for nothing that matters: a sandbox that exists is started to the next
    /// server, whether its row says so or that it is being created. Those who read rows wait for this one.
    pub(super) async fn create(&self, entry: &Arc<Entry>, reply: Reply<CreateError>) {
        let row = match self.create_with_row(entry).await {
            Ok(row) => row,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let sandbox = Arc::new(row.sandbox.clone());
        let debt = self.behind.try_owe();
        if debt.is_none() {
            drop(self.save(entry, row).await);
            return drop(reply.send(Ok(sandbox)));
        }
        drop(reply.send(Ok(sandbox)));
        pitlane_fault::point("create.answered");
        // Whoever waits for the answer goes first.
        yield_now().await;
        drop(self.save(entry, row).await);
        pitlane_fault::point("create.row-started");
    }

    /// Makes a sandbox and its row, and gives the row to write next.
    async fn create_with_row(&self, entry: &Arc<Entry>) -> Result<StoredSandbox, CreateError> {
        let id = entry.id;
        let row = entry.desk().row();
        if row.sandbox.state != SandboxState::Creating {
            return Err(CreateError::Deleted { id });
        }
        pitlane_fault::point("create.decided");
        let launch = match self.launch_of(&row) {
            Ok(launch) => launch,
            Err(cause) => {
                self.insert(entry, row).await?;
                return Err(self.creation_failed(entry, cause.into()).await);
            }
        };
        // The row is written while the sandbox is made; one that waits is told first, so that its processor is not taken
        // by the writing. Of whatever a crash leaves, a row without a sandbox or a sandbox without a row, the next start
        // undoes.
        let writing = async {
            yield_now().await;
            let written = self.platform.store.insert_sandbox(row).await;
            pitlane_fault::point("create.row-written");
            written
        };
        let (made, written) = tokio::join!(self.drive(&launch), writing);
        if let Err(cause) = written {
            let (owner, id) = (self.clone(), entry.id);
            self.platform.tasks.spawn(async move { owner.release(id).await });
            return Err(self.not_inserted(entry, cause));
        }
        self.made(entry, made).await
    }

    /// Writes the row of a new sandbox, or takes the sandbox back.
    pub(super) async fn insert(
        &self,
        entry: &Arc<Entry>,
        row: StoredSandbox,
    ) -> Result<(), CreateError> {
        let inserted = self.platform.store.insert_sandbox(row).await;
        inserted.map_err(|cause| self.not_inserted(entry, cause))
    }

    fn not_inserted(&self, entry: &Entry, cause: WriteError) -> CreateError {
        self.withdraw(entry);
        match cause {
            WriteError::Taken => CreateError::NameTaken { name: entry.name.clone() },
            cause => CreateError::Store { id: entry.id, cause },
        }
    }

    /// Makes a sandbox whose row is written and whose image is here.
    pub(super) async fn make(&self, entry: &Arc<Entry>) -> Result<(), CreateError> {
        let row = entry.desk().row();
        let launch = match self.launch_of(&row) {
            Ok(launch) => launch,
            Err(cause) => return Err(self.creation_failed(entry, cause.into()).await),
        };
        let made = self.drive(&launch).await;
        let row = self.made(entry, made).await?;
        drop(self.save(entry, row).await);
        Ok(())
    }

    /// A new sandbox as the driver needs to know it.
    fn launch_of(&self, row: &StoredSandbox) -> Result<LaunchSpec, NoImage> {
        let mut launch = launch_spec(row)?;
        launch.pools = self.platform.pools.sources(&row.sandbox.spec, &launch.image);
        Ok(launch)
    }

    /// Has the driver make a sandbox.
    async fn drive(&self, launch: &LaunchSpec) -> Result<Made, Cause> {
        let made =
            within(self.platform.policy.patience.start, self.platform.driver.create(launch)).await;
        pitlane_fault::point("create.made");
        made
    }

    /// Notes what became of a sandbox whose row is written. If it is usable, that is to be written next.
    async fn made(
        &self,
        entry: &Arc<Entry>,
        outcome: Result<Made, Cause>,
    ) -> Result<StoredSandbox, CreateError> {
        let id = entry.id;
        let refusal = match outcome {
            Ok(Ok(hello)) => {
                return self.note_ready(entry, hello).ok_or(CreateError::Deleted { id });
            }
            Ok(Err(pitlane_driver::CreateError::Full)) => CreateError::Full,
            Ok(Err(pitlane_driver::CreateError::DiskFull)) => CreateError::DiskFull,
            Ok(Err(pitlane_driver::CreateError::Mount { reason, .. })) => {
                CreateError::Mount { reason }
            }
            Ok(Err(pitlane_driver::CreateError::NoUser { user })) => CreateError::NoUser { user },
            Ok(Err(pitlane_driver::CreateError::Host { cause, .. })) | Err(cause) => {
                return Err(self.creation_failed(entry, cause).await);
            }
            Ok(Err(
                error @ (pitlane_driver::CreateError::NoImage { .. }
                | pitlane_driver::CreateError::Exists { .. }),
            )) => return Err(self.creation_failed(entry, error.into()).await),
        };
        if entry.desk().row().is_told {
            // Whoever asked for it looks for it.
            self.keep_failed(entry, &refusal.to_string()).await;
        } else {
            drop(self.condemn(entry));
        }
        Err(refusal)
    }

    /// Keeps a sandbox that the machine failed to make, in state error, and frees what may be left of it.
    async fn creation_failed(&self, entry: &Arc<Entry>, cause: Cause) -> CreateError {
        let id = entry.id;
        let reason = reason("the machine could not create it", &cause);
        let error = CreateError::Host { id, cause };
        tracing::error!(sandbox = %id, error = %Chain(&error), "not created");
        self.keep_failed(entry, &reason).await;
        error
    }

    /// Keeps a sandbox in state error, and frees what may be left of it.
    async fn keep_failed(&self, entry: &Arc<Entry>, reason: &str) {
        let id = entry.id;
        self.fail(entry, reason).await;
        let freed = within(super::DESTROY_DEADLINE, self.platform.driver.destroy(id)).await;
        if let Err(cause) = freed.and_then(|freed| freed.map_err(Cause::from)) {
            tracing::warn!(sandbox = %id, error = %Chain(&*cause), "remains not freed yet");
        }
    }

    /// Starts a sandbox whose start has been decided, after bringing its disk back if that is packed away.
    pub(super) async fn start(&self, entry: &Arc<Entry>) -> Result<Arc<Sandbox>, ChangeError> {
        let id = entry.id;
        let row = entry.desk().row();
        let is_archived = match row.sandbox.state {
            SandboxState::Starting => false,
            SandboxState::Restoring => true,
            _ => return Err(ChangeError::Deleted { id }),
        };
        // A row that cannot be written keeps nobody from working; the flush tries again.
        drop(self.save(entry, row).await);
        pitlane_fault::point("start.row-written");
        if is_archived {
            self.restore(entry).await?;
        }
        self.launch(entry).await
    }

    /// Starts a sandbox on its disk. One that does not start is stopped.
    pub(super) async fn launch(&self, entry: &Arc<Entry>) -> Result<Arc<Sandbox>, ChangeError> {
        let id = entry.id;
        let row = entry.desk().row();
        let patience = self.platform.policy.patience.start;
        let outcome = match launch_spec(&row) {
            Ok(launch) => within(patience, self.platform.driver.start(&launch)).await,
            Err(cause) => Err(cause.into()),
        };
        pitlane_fault::point("start.made");
        let transition = Transition::Start;
        let cause = match outcome {
            Ok(Ok(hello)) => {
                return self.ready(entry, hello).await.ok_or(ChangeError::Deleted { id });
            }
            Ok(Err(error @ pitlane_driver::StartError::NotFound { .. })) => {
                self.fail(entry, Sandbox::DISK_IS_GONE).await;
                return Err(ChangeError::Host { id, transition, cause: error.into() });
            }
            Ok(Err(pitlane_driver::StartError::Mount { reason, .. })) => {
                tracing::warn!(sandbox = %id, reason, "not started");
                let resting = Some(reason.clone());
                self.rest(entry, Transition::Ended, DesiredState::Stopped, resting).await;
                return Err(ChangeError::Mount { id, reason });
            }
            Ok(Err(pitlane_driver::StartError::Host { cause, .. })) | Err(cause) => cause,
        };
        let reason = reason("the machine could not start it", &cause);
        let error = ChangeError::Host { id, transition, cause };
        tracing::error!(sandbox = %id, error = %Chain(&error), "not started");
        self.rest(entry, Transition::Ended, DesiredState::Stopped, Some(reason)).await;
        Err(error)
    }

    /// Stops a sandbox whose stopping has been decided; an ephemeral one is then destroyed.
    pub(super) async fn stop(
        &self,
        entry: &Arc<Entry>,
        force: bool,
    ) -> Result<Arc<Sandbox>, ChangeError> {
        let id = entry.id;
        let row = entry.desk().row();
        if row.sandbox.state != SandboxState::Stopping {
            return Err(ChangeError::Deleted { id });
        }
        // A row that cannot be written keeps nobody from stopping; the flush tries again.
        drop(self.save(entry, row).await);
        pitlane_fault::point("stop.row-written");
        if let Err(cause) = self.end_processes(entry, force).await {
            self.fail(entry, &reason("the machine could not stop it", &cause)).await;
            let error = ChangeError::Host { id, transition: Transition::Stop, cause };
            tracing::error!(sandbox = %id, error = %Chain(&error), "not stopped");
            return Err(error);
        }
        let row = entry
            .desk()
            .advance(&self.platform, Transition::Ended, |sandbox| sandbox.error_reason = None)
            .ok()
            .filter(|row| row.sandbox.state == SandboxState::Stopped)
            .ok_or(ChangeError::Deleted { id })?;
        // Also if it became ephemeral while it stopped.
        let is_ephemeral = row.sandbox.spec.lifecycle.is_ephemeral();
        pitlane_fault::point("stop.ended");
        drop(self.save(entry, row).await);
        pitlane_fault::point("stop.row-stopped");
        if is_ephemeral {
            drop(self.condemn(entry));
            entry.desk().is_to_go = false;
            self.destroy(entry).await;
        }
        Ok(entry.view())
    }

    /// Asks the driver to stop it, and if that fails a second time by force.
    pub(super) async fn end_processes(&self, entry: &Entry, force: bool) -> Result<(), Cause> {
        let first = self.ask_to_stop(entry.id, force).await;
        let Err(cause) = first else { return Ok(()) };
        tracing::warn!(sandbox = %entry.id, error = %Chain(&*cause), "not stopped; now by force");
        self.ask_to_stop(entry.id, true).await
    }

    async fn ask_to_stop(&self, id: SandboxId, force: bool) -> Result<(), Cause> {
        let patience = self.platform.policy.patience.stop;
        within(patience, self.platform.driver.stop(id, force)).await?.map_err(Cause::from)
    }

    /// Notes and writes down that a sandbox is usable; `None` if it is on its way out.
    pub(super) async fn ready(&self, entry: &Arc<Entry>, hello: Hello) -> Option<Arc<Sandbox>> {
        let row = self.note_ready(entry, hello)?;
        // A row that cannot be written keeps nobody from working; the flush tries again.
        drop(self.save(entry, row).await);
        Some(entry.view())
    }

    /// Notes that a sandbox is usable, and gives the row to write; `None` if it is on its way out.
    fn note_ready(&self, entry: &Entry, hello: Hello) -> Option<StoredSandbox> {
        entry
            .desk()
            .advance(&self.platform, Transition::Ready, |sandbox| {
                sandbox.daemon_version = Some(hello.daemon_version);
                sandbox.error_reason = None;
            })
            .ok()
    }

    /// Lets a sandbox rest where it was, or is to be, unless it is on its way out; with a reason if that is a failure.
    pub(super) async fn rest(
        &self,
        entry: &Entry,
        transition: Transition,
        desired: DesiredState,
        reason: Option<String>,
    ) {
        let resting = {
            let mut desk = entry.desk();
            if desk.sandbox().state == SandboxState::Destroying {
                return;
            }
            desk.advance(&self.platform, transition, |sandbox| {
                sandbox.desired = desired;
                sandbox.error_reason = reason;
            })
        };
        match resting {
            Ok(row) => drop(self.save(entry, row).await),
            Err(error) => {
                tracing::error!(sandbox = %entry.id, %error, "it does not rest as it should");
            }
        }
    }

    /// Puts a sandbox into state error, unless it is on its way out.
    pub(super) async fn fail(&self, entry: &Entry, reason: &str) {
        let failed = {
            let mut desk = entry.desk();
            if desk.sandbox().state == SandboxState::Destroying {
                return;
            }
            desk.advance(&self.platform, Transition::Fail, |sandbox| {
                sandbox.error_reason = Some(reason.to_owned());
            })
        };
        if let Ok(row) = failed {
            drop(self.save(entry, row).await);
        }
    }
}

/// What a sandbox's owner is told of a failure: what a deadline was, and nothing else of the machine.
pub(super) fn reason(what: &str, cause: &Cause) -> String {
    match cause.downcast_ref::<Overdue>() {
        Some(overdue) => format!("{what}: {overdue}"),
        None => what.to_owned(),
    }
}

/// Waits for a driver, but not for ever.
pub(super) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Cause> {
    timeout(deadline, work).await.map_err(|_elapsed| Overdue(deadline).into())
}

/// The image of a sandbox has never been here.
#[derive(Debug, thiserror::Error)]
#[error("its image is not known")]
pub(super) struct NoImage;

/// A sandbox as the driver needs to know it.
pub(super) fn launch_spec(row: &StoredSandbox) -> Result<LaunchSpec, NoImage> {
    let spec = &row.sandbox.spec;
    let own = [
        ("DAYTONA_SANDBOX_ID", spec.id.to_string()),
        ("DAYTONA_SANDBOX_SNAPSHOT", spec.snapshot.clone()),
        ("DAYTONA_SANDBOX_USER", spec.user.clone()),
    ];
    // What the platform says of a sandbox is true: it comes last.
    let environment: BTreeMap<String, String> = spec
        .environment
        .variables()
        .clone()
        .into_iter()
        .chain(own.map(|(name, value)| (name.to_owned(), value)))
        .collect();
    Ok(LaunchSpec {
        id: spec.id,
        image: row.image.clone().ok_or(NoImage)?,
        limits: spec.limits,
        network: spec.network,
        user: spec.user.clone(),
        environment,
        entrypoint: row.entrypoint.clone(),
        volumes: spec.volumes.clone(),
        pools: Vec::new(),
    })
}
