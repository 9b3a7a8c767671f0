//! A sandbox's states and the legal ways between them.
//!
//! ```text
//! creating ──► started ──► stopping ──► stopped ──► starting ──► started
//!     │            │            │           │ ▲          │
//!     │            │            │           │ └──────────┤
//!     └────────────┴────────────┴─► error ◄─┴────────────┘
//! every state but destroying, destroyed ──► destroying ──► destroyed
//! ```
//!
//! The function is pure: whoever owns a sandbox applies it and keeps the result.

/// What a sandbox is now, in the words of the Daytona API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SandboxState {
    /// Accepted; its isolation is being built.
    Creating,
    /// Usable.
    Started,
    /// On its way to [`Self::Stopped`].
    Stopping,
    /// No processes; its disk is kept.
    Stopped,
    /// On its way from [`Self::Stopped`] to [`Self::Started`].
    Starting,
    /// Failed; says why. It can be deleted.
    Error,
    /// On its way to [`Self::Destroyed`].
    Destroying,
    /// Gone, with everything it held.
    Destroyed,
}

/// What a sandbox is on its way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DesiredState {
    /// Usable.
    Started,
    /// Stopped with its disk kept.
    Stopped,
    /// Gone.
    Destroyed,
}

/// Something that happens to a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Its daemon said hello.
    Ready,
    /// A caller asked for it to start.
    Start,
    /// A caller or a timer asked for it to stop.
    Stop,
    /// Its last process ended, asked for or not.
    Ended,
    /// What was being done to it failed.
    Fail,
    /// A caller or a timer asked for it to go.
    Destroy,
    /// Everything it held is free.
    Freed,
}

/// A transition that its state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// Another change is under way: try again when it is done.
    #[error("sandbox state change in progress")]
    InProgress,
    /// The state has no such way out.
    #[error("a sandbox that is {} cannot {}", from.as_str(), transition.as_verb())]
    Illegal {
        /// Where it is.
        from: SandboxState,
        /// What was asked.
        transition: Transition,
    },
}

impl SandboxState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Creating,
        Self::Started,
        Self::Stopping,
        Self::Stopped,
        Self::Starting,
        Self::Error,
        Self::Destroying,
        Self::Destroyed,
    ];

    /// The state after `transition`.
    ///
    /// # Errors
    ///
    /// [`TransitionError::InProgress`]: wait for the present change, then ask again.
    /// [`TransitionError::Illegal`]: this state will never allow it.
    #[expect(clippy::use_self, reason = "a table of transitions reads better with short names")]
    pub const fn after(self, transition: Transition) -> Result<Self, TransitionError> {
        use SandboxState as S;
        use Transition as T;
        Ok(match (self, transition) {
            (S::Creating | S::Starting, T::Ready) => S::Started,
            (S::Stopped, T::Start) => S::Starting,
            (S::Started, T::Stop) => S::Stopping,
            // A start that failed ends where it began, with the disk untouched.
            (S::Started | S::Stopping | S::Starting, T::Ended) => S::Stopped,
            (S::Creating | S::Started | S::Starting | S::Stopping | S::Stopped, T::Fail) => {
                S::Error
            }
            (
                S::Creating | S::Started | S::Stopping | S::Stopped | S::Starting | S::Error,
                T::Destroy,
            ) => S::Destroying,
            (S::Destroying, T::Freed) => S::Destroyed,
            // A failed destruction is tried again: the state stays.
            (S::Destroying, T::Fail | T::Destroy | T::Ended) => S::Destroying,
            (S::Creating | S::Starting | S::Stopping, T::Start | T::Stop) => {
                return Err(TransitionError::InProgress);
            }
            (S::Destroying, T::Start | T::Stop) => return Err(TransitionError::InProgress),
            (from, transition) => return Err(TransitionError::Illegal { from, transition }),
        })
    }

    /// Whether a change is under way.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Creating | Self::Starting | Self::Stopping | Self::Destroying)
    }

    /// The word of the Daytona API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Started => "started",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Error => "error",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
        }
    }
}

impl DesiredState {
    /// The word of the Daytona API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Destroyed => "destroyed",
        }
    }
}

impl Transition {
    /// Where whoever asks for it wants the sandbox to be; `None` for what just happens.
    #[must_use]
    pub const fn desired(self) -> Option<DesiredState> {
        match self {
            Self::Start => Some(DesiredState::Started),
            Self::Stop => Some(DesiredState::Stopped),
            Self::Destroy => Some(DesiredState::Destroyed),
            Self::Ready | Self::Ended | Self::Fail | Self::Freed => None,
        }
    }

    const fn as_verb(self) -> &'static str {
        match self {
            Self::Ready => "become ready",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Ended => "end",
            Self::Fail => "fail",
            Self::Destroy => "be destroyed",
            Self::Freed => "be freed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSITIONS: [Transition; 7] = [
        Transition::Ready,
        Transition::Start,
        Transition::Stop,
        Transition::Ended,
        Transition::Fail,
        Transition::Destroy,
        Transition::Freed,
    ];

    #[test]
    fn nothing_leaves_destroyed() {
        for transition in TRANSITIONS {
            assert!(SandboxState::Destroyed.after(transition).is_err(), "{transition:?}");
        }
    }

    #[test]
    fn every_state_but_destroyed_can_be_destroyed() {
        for state in SandboxState::ALL {
            assert_eq!(
                state.after(Transition::Destroy).is_ok(),
                state != SandboxState::Destroyed,
                "{state:?}"
            );
        }
    }

    #[test]
    fn a_transient_state_answers_a_second_change_with_in_progress() {
        for state in SandboxState::ALL.into_iter().filter(|state| state.is_transient()) {
            assert_eq!(
                state.after(Transition::Stop),
                Err(TransitionError::InProgress),
                "{state:?}"
            );
            assert_eq!(
                state.after(Transition::Start),
                Err(TransitionError::InProgress),
                "{state:?}"
            );
        }
    }

    #[test]
    fn every_transient_state_has_a_way_out() {
        for state in SandboxState::ALL.into_iter().filter(|state| state.is_transient()) {
            assert!(
                TRANSITIONS.iter().any(|t| state.after(*t).is_ok_and(|next| !next.is_transient())),
                "{state:?}"
            );
        }
    }
}
