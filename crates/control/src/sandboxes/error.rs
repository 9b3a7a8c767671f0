//! What can go wrong with sandboxes, by operation. Each variant says what the caller can do.
//!
//! `Host` and `Store` variants carry their cause for the log; only an operator can act on them.

use pitlane_model::{
    LimitError, SandboxId, SandboxName, SandboxState, SnapshotState, Transition, TransitionError,
};
use pitlane_store::{ReadError, WriteError};

use crate::{
    ChangeSnapshotError, ClaimVolumeError, CreateSnapshotError, Crowded, Forbidden, NoRandomness,
};

/// Why there is no such sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// The caller's organization has no such sandbox.
    #[error("there is no sandbox {id_or_name:?}")]
    NotFound {
        /// What was asked for.
        id_or_name: String,
    },
}

/// Why a sandbox was not created. Nothing of it is left, unless a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Choose another name, or delete the sandbox that has it.
    #[error("a sandbox named {name} exists already")]
    NameTaken {
        /// The name.
        name: SandboxName,
    },
    /// Choose another snapshot, or add it first.
    #[error("there is no snapshot {name:?}")]
    UnknownSnapshot {
        /// Name or id as given.
        name: String,
    },
    /// Wait until it is active.
    #[error("snapshot {name} is {}", state.as_str())]
    SnapshotNotActive {
        /// Its name.
        name: String,
        /// Where it stands.
        state: SnapshotState,
    },
    /// Choose another image: this one cannot be had.
    #[error("{reason}")]
    Image {
        /// Why.
        reason: String,
    },
    /// Try again when some images have come.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// Leave one of them out: a snapshot brings its limits.
    #[error("a sandbox from a named snapshot takes that snapshot's limits")]
    LimitsWithSnapshot,
    /// Ask for other limits.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// Choose a user that the image has.
    #[error("the image has no user {user:?}")]
    NoUser {
        /// The user asked for.
        user: String,
    },
    /// Choose other volumes.
    #[error(transparent)]
    Volume(#[from] ClaimVolumeError),
    /// Mount volumes elsewhere, or use another image: what is there is in the way.
    #[error("{reason}")]
    Mount {
        /// Why.
        reason: String,
    },
    /// Delete some sandboxes, then try again.
    #[error("this machine has no room for another sandbox")]
    Full,
    /// Delete some sandboxes, or ask for a smaller disk.
    #[error("this machine's disk has no room for another sandbox")]
    DiskFull,
    /// Somebody deleted it before it was ready.
    #[error("sandbox {id} was deleted before it was ready")]
    Deleted {
        /// The sandbox.
        id: SandboxId,
    },
    /// The server is ending: try again when it is back.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// No id could be made.
    #[error("cannot make an id")]
    Random(#[from] NoRandomness),
    /// The machine failed. The sandbox stays in state error.
    #[error("cannot create sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: pitlane_driver::Cause,
    },
    /// Its row was not written.
    #[error("cannot keep sandbox {id}")]
    Store {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a sandbox did not change: why it was not started, stopped, archived or recovered.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Wait until the present change is done, or find out what the state allows.
    #[error(transparent)]
    State(#[from] TransitionError),
    /// It would be deleted where it would be archived.
    #[error("a sandbox that is deleted when it stops cannot be archived")]
    Ephemeral,
    /// Nobody can bring it back: delete it.
    #[error("sandbox {id} cannot be recovered: {reason}")]
    Unrecoverable {
        /// The sandbox.
        id: SandboxId,
        /// Why.
        reason: String,
    },
    /// A volume of its own cannot be mounted: mend that, then start it again. It is stopped.
    #[error("sandbox {id} was not started: {reason}")]
    Mount {
        /// The sandbox.
        id: SandboxId,
        /// Why.
        reason: String,
    },
    /// Delete some sandboxes, then try again.
    #[error("this machine has no room for another sandbox")]
    Full,
    /// Delete some sandboxes, or ask for a smaller disk.
    #[error("this machine's disk has no room for a larger disk")]
    DiskFull,
    /// Somebody deleted it meanwhile.
    #[error("sandbox {id} was deleted meanwhile")]
    Deleted {
        /// The sandbox.
        id: SandboxId,
    },
    /// The server is ending: try again when it is back.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The machine failed. The sandbox is as it was before: try again. One that could not be stopped is in state error.
    #[error("cannot change sandbox {id}: it should {}", transition.as_verb())]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What it should do.
        transition: Transition,
        /// What failed.
        #[source]
        cause: pitlane_driver::Cause,
    },
}

/// Why a sandbox has the limits it had.
#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    /// As of any change.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// Ask for other limits.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// Ask for something.
    #[error("the sandbox has these limits already")]
    Unchanged,
    /// Ask for more, or stop it first if it is not its disk.
    #[error("{resource} of {} can only grow", if *is_running { "a running sandbox" } else { "a sandbox" })]
    Shrinks {
        /// `cpu`, `memory` or `disk`.
        resource: &'static str,
        /// Whether it runs.
        is_running: bool,
    },
    /// Stop it first.
    #[error("the disk of a running sandbox cannot be resized: stop it first")]
    DiskInUse,
}

/// Why no snapshot was taken of a sandbox, which is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotSandboxError {
    /// As of any change.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// As of any snapshot.
    #[error(transparent)]
    Create(#[from] CreateSnapshotError),
    /// Ask without it.
    #[error(
        "a snapshot of this sandbox holds its files and not its memory: leave includeMemory out"
    )]
    Memory,
    /// Build an image with the same files instead.
    #[error(
        "the image of this sandbox has {most} layers, and no image has more: begin anew from another one"
    )]
    TooManyLayers {
        /// How many an image can have.
        most: usize,
    },
    /// Delete some sandboxes or snapshots, then try again.
    #[error("this machine's disk has no room for a snapshot of this sandbox")]
    DiskFull,
    /// Somebody deleted the snapshot meanwhile.
    #[error("snapshot {name} was deleted while it was taken")]
    Deleted {
        /// Its name.
        name: String,
    },
    /// It was taken and not written down; it is gone again.
    #[error("cannot keep the snapshot")]
    Keep(#[source] ChangeSnapshotError),
}

/// Why something about a sandbox is as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It is on its way out.
    #[error("sandbox {id} is being deleted")]
    Deleted {
        /// The sandbox.
        id: SandboxId,
    },
    /// The server is ending: try again when it is back.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// It was not written. It may be in force until the server ends.
    #[error("cannot keep the change of sandbox {id}")]
    Store {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a sandbox is not being deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The server is ending: try again when it is back.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// That it goes was not written. It goes all the same, unless the server ends first.
    #[error("cannot keep the state of sandbox {id}")]
    Store {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why there is no connection to a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The caller's organization has no such sandbox.
    #[error("there is no sandbox {id}")]
    NotFound {
        /// What was asked for.
        id: SandboxId,
    },
    /// Start it first, or wait until it has started.
    #[error("sandbox {id} is {}", state.as_str())]
    NotRunning {
        /// The sandbox.
        id: SandboxId,
        /// What it is instead.
        state: SandboxState,
    },
    /// It runs, and its daemon cannot be reached.
    #[error("cannot connect to sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: pitlane_driver::Cause,
    },
}

/// Why there is no log of a build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildLogError {
    /// There is no such sandbox.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Its image was there without a build.
    #[error("the image of sandbox {id} was not built")]
    NotBuilt {
        /// The sandbox.
        id: SandboxId,
    },
}

/// Why a list was not read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor belongs to a list in another order: begin anew.
    #[error("the cursor belongs to a list in another order")]
    Cursor,
    /// The store failed.
    #[error("cannot list sandboxes")]
    Store {
        /// What failed.
        #[source]
        cause: ReadError,
    },
}
