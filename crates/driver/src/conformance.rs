//! What every driver does, as a test that runs against any of them.
//!
//! [`check`] makes real sandboxes, looks at them only through [`Driver`] and a [`Guest`], and removes all of them. It
//! expects that nobody else waits for the driver's events meanwhile.

mod behaviours;

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use pitlane_model::{ImageName, SandboxId};

use crate::{Cause, Connection, Driver};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// What the check needs to know of what runs in a sandbox.
#[async_trait]
pub trait Guest: Send + Sync {
    /// Writes something on the disk, such as a file.
    async fn leave_mark(&self, connection: Connection) -> Result<(), Cause>;

    /// Whether what [`Self::leave_mark`] wrote is on the disk.
    async fn has_mark(&self, connection: Connection) -> Result<bool, Cause>;

    /// Makes the sandbox's first process end, without the driver being asked.
    async fn end(&self, id: SandboxId) -> Result<(), Cause>;
}

/// What is checked.
pub struct Subject<'a> {
    /// The driver.
    pub driver: &'a dyn Driver,
    /// What runs in its sandboxes.
    pub guest: &'a dyn Guest,
    /// An image that can be prepared.
    pub image: ImageName,
    /// A user of that image.
    pub user: String,
    /// An image that the driver does not have and is never asked to prepare.
    pub absent_image: ImageName,
    /// Where new ids come from.
    pub random: &'a (dyn Fn() -> [u8; 16] + Sync),
}

/// Something that a driver must do and did not.
#[derive(Debug, thiserror::Error)]
#[error("{behaviour}: {found}")]
pub struct Violation {
    /// What it must do.
    pub behaviour: &'static str,
    /// What it did instead.
    pub found: String,
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("driver", &self.driver).finish_non_exhaustive()
    }
}

/// Checks every behaviour and leaves no sandbox behind.
///
/// # Errors
///
/// [`Violation`]: the first behaviour that is not as it must be.
pub async fn check(subject: &Subject<'_>) -> Result<(), Violation> {
    let run = Run { subject, made: Mutex::default() };
    let outcome = match tokio::time::timeout(DEADLINE, behaviours::all(&run)).await {
        Ok(outcome) => outcome,
        Err(elapsed) => violated("everything ends in time", elapsed),
    };
    let made = std::mem::take(&mut *run.made());
    for id in made {
        let destroyed = tokio::time::timeout(DEADLINE, subject.driver.destroy(id)).await;
        if !matches!(destroyed, Ok(Ok(()))) && outcome.is_ok() {
            return violated("every sandbox can be destroyed", destroyed_text(&destroyed));
        }
    }
    outcome
}

fn destroyed_text(outcome: &impl fmt::Debug) -> String {
    format!("{outcome:?}")
}

/// One check under way.
struct Run<'a> {
    subject: &'a Subject<'a>,
    /// Every id used so far, to be destroyed at the end.
    made: Mutex<Vec<SandboxId>>,
}

impl Run<'_> {
    fn made(&self) -> std::sync::MutexGuard<'_, Vec<SandboxId>> {
        self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn violated<T>(behaviour: &'static str, found: impl fmt::Display) -> Result<T, Violation> {
    Err(Violation { behaviour, found: found.to_string() })
}
