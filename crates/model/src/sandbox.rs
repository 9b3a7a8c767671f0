//! What a sandbox is asked to be, and what it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Build, DesiredState, Lifecycle, Limits, Minutes, NetworkPolicy, OrganizationId, SandboxId,
    SandboxName, SandboxState, Timestamp, VolumeMount,
};

/// Labels: free text by free text, set by the caller.
pub type Labels = BTreeMap<String, String>;

/// Environment variables that every process of a sandbox gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Why an environment was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A name must be a letter or underscore, then letters, digits and underscores.
    #[error("environment variable name {name:?} is not an identifier")]
    Name {
        /// The name as given.
        name: String,
    },
    /// A value cannot hold a NUL byte.
    #[error("the value of environment variable {name} contains a NUL byte")]
    Value {
        /// The variable's name.
        name: String,
    },
}

impl Environment {
    /// Checks every name and value.
    ///
    /// # Errors
    ///
    /// [`EnvironmentError`] names the first variable that cannot be set.
    pub fn new(variables: BTreeMap<String, String>) -> Result<Self, EnvironmentError> {
        for (name, value) in &variables {
            let mut characters = name.chars();
            let is_identifier =
                characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                    && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_identifier {
                return Err(EnvironmentError::Name { name: name.clone() });
            }
            if value.contains('\0') {
                return Err(EnvironmentError::Value { name: name.clone() });
            }
        }
        Ok(Self(variables))
    }

    /// The variables, by name.
    #[must_use]
    pub const fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// What a caller asked for, complete: nothing is defaulted below this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSpec {
    /// Its id, never reused.
    pub id: SandboxId,
    /// Its owner.
    pub organization: OrganizationId,
    /// Its name; the id's text when the caller gave none.
    pub name: SandboxName,
    /// The name of the snapshot or image it starts from.
    pub snapshot: String,
    /// How its image is built, if it is built for it.
    pub build: Option<Arc<Build>>,
    /// The user its processes run as. Empty while its image, which decides that, is not here.
    pub user: String,
    /// Variables of every process in it.
    pub environment: Environment,
    /// Labels for the caller's own use.
    pub labels: Labels,
    /// What it may use at most.
    pub limits: Limits,
    /// Its timers.
    pub lifecycle: Lifecycle,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// Whether its previews are open to anyone.
    pub is_public: bool,
    /// The volumes mounted in it; none is in another's way.
    pub volumes: Vec<VolumeMount>,
    /// The region the caller named; reported back, one machine has one region.
    pub target: String,
}

/// A sandbox: its specification and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// What was asked for.
    pub spec: SandboxSpec,
    /// What it is now.
    pub state: SandboxState,
    /// What it is on its way to.
    pub desired: DesiredState,
    /// Why it is in [`SandboxState::Error`] or [`SandboxState::BuildFailed`], for its owner.
    pub error_reason: Option<String>,
    /// Version of the daemon that last said hello.
    pub daemon_version: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When a caller last used it.
    pub last_activity_at: Timestamp,
}

impl Sandbox {
    /// [`Self::error_reason`] of a sandbox that nobody can bring back.
    pub const DISK_IS_GONE: &'static str = "its disk is gone";

    /// Whether its daemon can be asked for something.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        match self.state {
            SandboxState::Started => true,
            SandboxState::Resizing | SandboxState::Snapshotting => {
                matches!(self.desired, DesiredState::Started)
            }
            _ => false,
        }
    }

    /// Whether it failed and can be mended.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        self.state == SandboxState::Error
            && self.desired != DesiredState::Destroyed
            && self.error_reason.as_deref() != Some(Self::DISK_IS_GONE)
    }

    /// When it is stopped, archived and deleted by itself, if nobody uses it until then.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        let lifecycle = self.spec.lifecycle;
        let after = |minutes: Minutes| self.last_activity_at.after(duration(minutes));
        let is_stopped = self.state == SandboxState::Stopped;
        let rests = matches!(self.state, SandboxState::Stopped | SandboxState::Archived);
        Deadlines {
            stop: (self.state == SandboxState::Started && lifecycle.auto_stop > 0)
                .then(|| after(lifecycle.auto_stop)),
            archive: is_stopped.then(|| after(lifecycle.archive_after())),
            delete: lifecycle.auto_delete.filter(|_| rests).map(after),
            destroy: (lifecycle.ttl > 0).then(|| self.created_at.after(duration(lifecycle.ttl))),
        }
    }
}

/// When a sandbox's timers act; `None` for what does not happen by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Deadlines {
    /// It is stopped.
    pub stop: Option<Timestamp>,
    /// It is archived.
    pub archive: Option<Timestamp>,
    /// It is deleted for having been stopped so long.
    pub delete: Option<Timestamp>,
    /// It is deleted whatever it is doing.
    pub destroy: Option<Timestamp>,
}

impl Deadlines {
    /// The first of them.
    #[must_use]
    pub fn first(self) -> Option<Timestamp> {
        [self.stop, self.archive, self.delete, self.destroy].into_iter().flatten().min()
    }
}

const fn duration(minutes: Minutes) -> Duration {
    // Lossless: a u32 of minutes fits.
    Duration::from_secs(minutes as u64 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn sandbox(state: SandboxState, lifecycle: Lifecycle) -> Sandbox {
        let id = SandboxId::from_random([1; 16]);
        Sandbox {
            spec: SandboxSpec {
                id,
                organization: OrganizationId::from_random([2; 16]),
                name: SandboxName::from(id),
                snapshot: "default".to_owned(),
                build: None,
                user: "daytona".to_owned(),
                environment: Environment::default(),
                labels: Labels::new(),
                limits: Limits::DEFAULT,
                lifecycle,
                network: NetworkPolicy::Open,
                is_public: false,
                volumes: Vec::new(),
                target: "local".to_owned(),
            },
            state,
            desired: DesiredState::Started,
            error_reason: None,
            daemon_version: None,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(7 * MINUTE),
            last_activity_at: Timestamp::from_micros(10 * MINUTE),
        }
    }

    fn at(minutes: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(minutes * MINUTE))
    }

    #[test]
    fn each_timer_runs_in_its_own_states() {
        let lifecycle =
            Lifecycle { auto_stop: 15, auto_archive: 20, auto_delete: Some(30), ttl: 5 };
        let destroy = at(5);
        for (state, wanted) in [
            (SandboxState::Started, Deadlines { stop: at(25), destroy, ..Deadlines::default() }),
            (
                SandboxState::Stopped,
                Deadlines { archive: at(30), delete: at(40), destroy, ..Deadlines::default() },
            ),
            (SandboxState::Archived, Deadlines { delete: at(40), destroy, ..Deadlines::default() }),
            (SandboxState::Error, Deadlines { destroy, ..Deadlines::default() }),
            (SandboxState::Stopping, Deadlines { destroy, ..Deadlines::default() }),
        ] {
            assert_eq!(sandbox(state, lifecycle).deadlines(), wanted, "{state:?}");
        }
    }

    #[test]
    fn nothing_happens_by_itself_where_it_is_switched_off() {
        let lifecycle = Lifecycle { auto_stop: 0, auto_archive: 0, auto_delete: None, ttl: 0 };
        assert_eq!(sandbox(SandboxState::Started, lifecycle).deadlines().first(), None);
        let longest = at(10 + i64::from(Lifecycle::LONGEST_BEFORE_ARCHIVE));
        assert_eq!(sandbox(SandboxState::Stopped, lifecycle).deadlines().first(), longest);
    }

    #[test]
    fn what_failed_can_be_mended_unless_its_disk_is_gone_or_it_was_to_go() {
        let mut failed = sandbox(SandboxState::Error, Lifecycle::DEFAULT);
        failed.error_reason = Some("the machine could not stop it".to_owned());
        assert!(failed.is_recoverable());
        failed.desired = DesiredState::Destroyed;
        assert!(!failed.is_recoverable());
        failed.desired = DesiredState::Started;
        failed.error_reason = Some(Sandbox::DISK_IS_GONE.to_owned());
        assert!(!failed.is_recoverable());
        failed.state = SandboxState::Stopped;
        assert!(!failed.is_recoverable());
    }
}
