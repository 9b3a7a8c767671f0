//! A sandbox's states and the legal ways between them.
//!
//! ```text
//! pending_build ──► building_snapshot ──► creating      pulling_snapshot ──► creating
//!       └──────────────────┴────► build_failed
//!
//! creating ──► started ──► stopping ──► stopped ──► starting ──► started
//!                                        │   ▲
//!                              archiving ◄   └─ a start or an archiving that failed
//!                                   │
//!                               archived ──► restoring ──► started
//!
//! started ──► resizing ──► started            stopped ──► resizing ──► stopped
//! started ──► snapshotting ──► started        stopped ──► snapshotting ──► stopped
//! every state but destroyed ──► error ──► starting (recovered)
//! every state but destroyed ──► destroying ──► destroyed
//! ```
//!
//! A destruction that takes too long ends in error, so that somebody notices, and can be asked for again. The function
//! is pure: whoever owns a sandbox applies it and keeps the result.

/// What a sandbox is now, in the words of the Daytona API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SandboxState {
    /// Accepted; the build of its image waits for its turn.
    PendingBuild,
    /// Its image is being built.
    BuildingSnapshot,
    /// Its image is on its way here.
    PullingSnapshot,
    /// Its image could not be built; says why. It can be deleted.
    BuildFailed,
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
    /// On its way from [`Self::Stopped`] to [`Self::Archived`].
    Archiving,
    /// No processes; its disk is packed away.
    Archived,
    /// On its way from [`Self::Archived`] to [`Self::Started`].
    Restoring,
    /// Its limits change. It goes on running, if it did: its desired state tells.
    Resizing,
    /// An image of its disk is being made. It goes on running, if it did: its desired state tells.
    Snapshotting,
    /// Failed; says why. It can be deleted, and mended if the reason allows it.
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
    /// Stopped with its disk packed away.
    Archived,
    /// Gone.
    Destroyed,
}

/// Something that happens to a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The build of its image has begun.
    BuildBegun,
    /// Its image could not be built.
    BuildFailed,
    /// Its image is here.
    ImageFound,
    /// Its daemon said hello.
    Ready,
    /// A caller asked for it to start.
    Start,
    /// A caller or a timer asked for it to stop.
    Stop,
    /// A caller or a timer asked for its disk to be packed away.
    Archive,
    /// A caller asked for other limits.
    Resize,
    /// A caller asked for an image of its disk.
    Snapshot,
    /// A caller asked for it to be mended.
    Recover,
    /// It has a disk and no processes: its last one ended, asked for or not, or what was tried on it was undone.
    Ended,
    /// Its disk is packed away, or still is.
    Packed,
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
    pub const ALL: [Self; 17] = [
        Self::PendingBuild,
        Self::BuildingSnapshot,
        Self::PullingSnapshot,
        Self::BuildFailed,
        Self::Creating,
        Self::Started,
        Self::Stopping,
        Self::Stopped,
        Self::Starting,
        Self::Archiving,
        Self::Archived,
        Self::Restoring,
        Self::Resizing,
        Self::Snapshotting,
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
            (S::PendingBuild | S::BuildingSnapshot, T::BuildBegun) => S::BuildingSnapshot,
            (S::PendingBuild | S::BuildingSnapshot, T::BuildFailed) => S::BuildFailed,
            (S::PendingBuild | S::BuildingSnapshot | S::PullingSnapshot, T::ImageFound) => {
                S::Creating
            }
            (
                S::Creating | S::Starting | S::Restoring | S::Resizing | S::Snapshotting,
                T::Ready,
            ) => S::Started,
            (S::Stopped, T::Start) | (S::Error, T::Recover) => S::Starting,
            (S::Archived, T::Start) => S::Restoring,
            (S::Started, T::Stop) => S::Stopping,
            (S::Stopped, T::Archive) => S::Archiving,
            (S::Started | S::Stopped, T::Resize) => S::Resizing,
            (S::Started | S::Stopped, T::Snapshot) => S::Snapshotting,
            // What failed ends where it began, with the disk untouched.
            (
                S::Started
                | S::Stopping
                | S::Starting
                | S::Archiving
                | S::Restoring
                | S::Resizing
                | S::Snapshotting,
                T::Ended,
            ) => S::Stopped,
            (S::Archiving | S::Restoring, T::Packed) => S::Archived,
            (S::Error | S::BuildFailed | S::Destroyed, T::Fail) => {
                return Err(TransitionError::Illegal { from: self, transition });
            }
            (_, T::Fail) => S::Error,
            (S::Destroying, T::Freed) => S::Destroyed,
            (S::Destroyed, T::Destroy) => {
                return Err(TransitionError::Illegal { from: self, transition });
            }
            (_, T::Destroy) => S::Destroying,
            // The processes of a sandbox that goes end first.
            (S::Destroying, T::Ended) => S::Destroying,
            (from, T::Start | T::Stop | T::Archive | T::Resize | T::Snapshot | T::Recover)
                if from.is_transient() =>
            {
                return Err(TransitionError::InProgress);
            }
            (from, transition) => return Err(TransitionError::Illegal { from, transition }),
        })
    }

    /// Whether a change is under way.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::PendingBuild
                | Self::BuildingSnapshot
                | Self::PullingSnapshot
                | Self::Creating
                | Self::Starting
                | Self::Stopping
                | Self::Archiving
                | Self::Restoring
                | Self::Resizing
                | Self::Snapshotting
                | Self::Destroying
        )
    }

    /// The word of the Daytona API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingBuild => "pending_build",
            Self::BuildingSnapshot => "building_snapshot",
            Self::PullingSnapshot => "pulling_snapshot",
            Self::BuildFailed => "build_failed",
            Self::Creating => "creating",
            Self::Started => "started",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Archiving => "archiving",
            Self::Archived => "archived",
            Self::Restoring => "restoring",
            Self::Resizing => "resizing",
            Self::Snapshotting => "snapshotting",
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
            Self::Archived => "archived",
            Self::Destroyed => "destroyed",
        }
    }
}

impl Transition {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::BuildBegun,
        Self::BuildFailed,
        Self::ImageFound,
        Self::Ready,
        Self::Start,
        Self::Stop,
        Self::Archive,
        Self::Resize,
        Self::Snapshot,
        Self::Recover,
        Self::Ended,
        Self::Packed,
        Self::Fail,
        Self::Destroy,
        Self::Freed,
    ];

    /// Where whoever asks for it wants the sandbox to be; `None` for what just happens.
    #[must_use]
    pub const fn desired(self) -> Option<DesiredState> {
        match self {
            Self::Start | Self::Recover => Some(DesiredState::Started),
            Self::Stop => Some(DesiredState::Stopped),
            Self::Archive => Some(DesiredState::Archived),
            Self::Destroy => Some(DesiredState::Destroyed),
            Self::Resize
            | Self::Snapshot
            | Self::BuildBegun
            | Self::BuildFailed
            | Self::ImageFound
            | Self::Ready
            | Self::Ended
            | Self::Packed
            | Self::Fail
            | Self::Freed => None,
        }
    }

    /// What the sandbox does, as in "cannot start".
    #[must_use]
    pub const fn as_verb(self) -> &'static str {
        match self {
            Self::BuildBegun => "be built",
            Self::BuildFailed => "fail to be built",
            Self::ImageFound => "have its image",
            Self::Ready => "become ready",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Archive => "be archived",
            Self::Resize => "be resized",
            Self::Snapshot => "have a snapshot taken of it",
            Self::Recover => "be recovered",
            Self::Ended => "end",
            Self::Packed => "be packed away",
            Self::Fail => "fail",
            Self::Destroy => "be destroyed",
            Self::Freed => "be freed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSITIONS: [Transition; 15] = Transition::ALL;

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
            for change in [
                Transition::Start,
                Transition::Stop,
                Transition::Archive,
                Transition::Resize,
                Transition::Recover,
            ] {
                assert_eq!(state.after(change), Err(TransitionError::InProgress), "{state:?}");
            }
        }
    }

    #[test]
    fn whatever_is_under_way_can_fail() {
        for state in SandboxState::ALL.into_iter().filter(|state| state.is_transient()) {
            assert_eq!(state.after(Transition::Fail), Ok(SandboxState::Error), "{state:?}");
        }
    }

    #[test]
    fn what_rests_is_left_by_being_asked_or_by_an_end_alone() {
        for state in SandboxState::ALL.into_iter().filter(|state| !state.is_transient()) {
            assert!(state.after(Transition::Ready).is_err(), "{state:?}");
            assert!(state.after(Transition::Packed).is_err(), "{state:?}");
            assert!(state.after(Transition::Freed).is_err(), "{state:?}");
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
