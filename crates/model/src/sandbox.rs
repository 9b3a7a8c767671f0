//! What a sandbox is asked to be, and what it is.

use std::collections::BTreeMap;

use crate::{
    DesiredState, Lifecycle, Limits, NetworkPolicy, OrganizationId, SandboxId, SandboxName,
    SandboxState, Timestamp,
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
    /// The name of the snapshot it starts from.
    pub snapshot: String,
    /// The user its processes run as.
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
    /// Why it is in [`SandboxState::Error`], for its owner.
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
