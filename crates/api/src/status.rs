//! Which status each failure of the platform becomes, and in which words; the one place that decides it.
//!
//! Words are the reference's where programs are known to look at them.

use http::StatusCode;
use pitlane_control::{
    ActError, AuthenticateError, BuildLogError, ChangeError, ChangeSnapshotError, ClaimVolumeError,
    ConnectError, CreateError, CreateKeyError, CreateOrganizationError, CreateSnapshotError,
    CreateVolumeError, Crowded, DeleteError, DeleteOrganizationError, DeleteRegistryError,
    DeleteVolumeError, FindError, FindOrganizationError, FindRegistryError, FindSnapshotError,
    FindVolumeError, Forbidden, ListError, ListSnapshotsError, ResizeError, RevokeKeyError,
    SaveRegistryError, SnapshotLogError, SnapshotSandboxError, StoryError, UpdateError,
};
use pitlane_model::{SandboxId, SandboxState, Transition, TransitionError};

use crate::refusal::Refusal;

const DELETED_MEANWHILE: &str = "the sandbox was deleted meanwhile";
const IN_PROGRESS: &str = "Sandbox state change in progress";
const SHUTTING_DOWN: &str = "the server is shutting down; try again when it is back";

impl From<Forbidden> for Refusal {
    fn from(error: Forbidden) -> Self {
        Self::forbidden(error.to_string())
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        match error {
            // Whether a key ever existed is nobody's business who does not have it.
            AuthenticateError::Unknown | AuthenticateError::Expired => {
                Self::unauthorized("the API key is not valid")
            }
        }
    }
}

impl From<CreateKeyError> for Refusal {
    fn from(error: CreateKeyError) -> Self {
        match error {
            CreateKeyError::Forbidden(error) => error.into(),
            CreateKeyError::NameTaken { name } => {
                Self::conflict(format!("API key with name {name} already exists"))
            }
            CreateKeyError::Name | CreateKeyError::Past => Self::bad_request(error.to_string()),
            CreateKeyError::TooMany { .. } => Self::forbidden(error.to_string()),
            CreateKeyError::Random(_) | CreateKeyError::Store { .. } => {
                failed("the API key could not be created", error)
            }
        }
    }
}

impl From<RevokeKeyError> for Refusal {
    fn from(error: RevokeKeyError) -> Self {
        match error {
            RevokeKeyError::Forbidden(error) => error.into(),
            RevokeKeyError::NotFound { name } => {
                Self::not_found(format!("API key {name} not found"))
            }
            RevokeKeyError::Store { .. } => failed("the API key could not be deleted", error),
        }
    }
}

impl From<CreateOrganizationError> for Refusal {
    fn from(error: CreateOrganizationError) -> Self {
        match error {
            CreateOrganizationError::Forbidden(error) => error.into(),
            CreateOrganizationError::NameTaken { name } => {
                Self::conflict(format!("Organization with name {name} already exists"))
            }
            CreateOrganizationError::Name => Self::bad_request(error.to_string()),
            CreateOrganizationError::Random(_) | CreateOrganizationError::Store { .. } => {
                failed("the organization could not be created", error)
            }
        }
    }
}

impl From<FindOrganizationError> for Refusal {
    fn from(error: FindOrganizationError) -> Self {
        match error {
            FindOrganizationError::NotFound { id } => {
                Self::not_found(format!("Organization with ID {id} not found"))
            }
        }
    }
}

impl From<ActError> for Refusal {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Forbidden(error) => error.into(),
            ActError::Find(error) => error.into(),
        }
    }
}

impl From<DeleteOrganizationError> for Refusal {
    fn from(error: DeleteOrganizationError) -> Self {
        match error {
            DeleteOrganizationError::Forbidden(error) => error.into(),
            DeleteOrganizationError::Find(error) => error.into(),
            DeleteOrganizationError::Own => Self::forbidden(error.to_string()),
            DeleteOrganizationError::InUse { .. } => Self::conflict(error.to_string()),
            DeleteOrganizationError::Store { .. } => {
                failed("the organization could not be deleted", error)
            }
        }
    }
}

impl From<SaveRegistryError> for Refusal {
    fn from(error: SaveRegistryError) -> Self {
        use SaveRegistryError as E;
        match error {
            E::Forbidden(error) => error.into(),
            E::Find(error) => error.into(),
            E::NameTaken { name } => {
                Self::conflict(format!("Registry with name {name} already exists"))
            }
            E::Name
            | E::Url
            | E::Refused { .. }
            | E::Project
            | E::User
            | E::Password
            | E::PasswordAgain => Self::bad_request(error.to_string()),
            E::TooMany { .. } => Self::forbidden(error.to_string()),
            E::Random(_) | E::Seal { .. } | E::Store { .. } => {
                failed("the registry could not be saved", error)
            }
        }
    }
}

impl From<FindRegistryError> for Refusal {
    fn from(error: FindRegistryError) -> Self {
        match error {
            FindRegistryError::Forbidden(error) => error.into(),
            FindRegistryError::NotFound { id } => {
                Self::not_found(format!("Registry with ID {id} not found"))
            }
        }
    }
}

impl From<DeleteRegistryError> for Refusal {
    fn from(error: DeleteRegistryError) -> Self {
        match error {
            DeleteRegistryError::Forbidden(error) => error.into(),
            DeleteRegistryError::Find(error) => error.into(),
            DeleteRegistryError::Store { .. } => failed("the registry could not be deleted", error),
        }
    }
}

impl From<FindVolumeError> for Refusal {
    fn from(error: FindVolumeError) -> Self {
        match error {
            FindVolumeError::NotFound { id_or_name } => {
                Self::not_found(format!("Volume with ID {id_or_name} not found"))
            }
        }
    }
}

impl From<CreateVolumeError> for Refusal {
    fn from(error: CreateVolumeError) -> Self {
        match error {
            CreateVolumeError::Forbidden(error) => error.into(),
            // The reference answers 400 here, and clients look for it.
            CreateVolumeError::NameTaken { name } => {
                Self::bad_request(format!("Volume with name {name} already exists"))
            }
            CreateVolumeError::TooMany { .. } => Self::bad_request(error.to_string()),
            CreateVolumeError::ShuttingDown => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SHUTTING_DOWN)
            }
            CreateVolumeError::Random(_) | CreateVolumeError::Store { .. } => {
                failed("the volume could not be created", error)
            }
        }
    }
}

impl From<DeleteVolumeError> for Refusal {
    fn from(error: DeleteVolumeError) -> Self {
        match error {
            DeleteVolumeError::Forbidden(error) => error.into(),
            DeleteVolumeError::Find(error) => error.into(),
            DeleteVolumeError::State { .. } => Self::bad_request(error.to_string()),
            DeleteVolumeError::InUse { .. } => Self::conflict(error.to_string()),
            DeleteVolumeError::ShuttingDown => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SHUTTING_DOWN)
            }
            DeleteVolumeError::Store { .. } => failed("the volume could not be deleted", error),
        }
    }
}

impl From<ClaimVolumeError> for Refusal {
    fn from(error: ClaimVolumeError) -> Self {
        match error {
            ClaimVolumeError::NotFound { id_or_name } => {
                Self::not_found(format!("Volume with ID or name {id_or_name} not found"))
            }
            ClaimVolumeError::NotReady { .. } | ClaimVolumeError::Mount(_) => {
                Self::bad_request(error.to_string())
            }
        }
    }
}

impl From<FindSnapshotError> for Refusal {
    fn from(error: FindSnapshotError) -> Self {
        match error {
            FindSnapshotError::NotFound { id_or_name } => {
                Self::not_found(format!("Snapshot with ID or name {id_or_name} not found"))
            }
        }
    }
}

impl From<CreateSnapshotError> for Refusal {
    fn from(error: CreateSnapshotError) -> Self {
        match error {
            CreateSnapshotError::Forbidden(error) => error.into(),
            CreateSnapshotError::NameTaken { name } => {
                Self::conflict(format!("Snapshot with name {name} already exists"))
            }
            CreateSnapshotError::Crowded(error) => error.into(),
            CreateSnapshotError::Name
            | CreateSnapshotError::Tag { .. }
            | CreateSnapshotError::Build { .. }
            | CreateSnapshotError::Limits(_) => Self::bad_request(error.to_string()),
            CreateSnapshotError::TooMany { .. } => Self::forbidden(error.to_string()),
            CreateSnapshotError::Random(_) | CreateSnapshotError::Store { .. } => {
                failed("the snapshot could not be created", error)
            }
        }
    }
}

impl From<ChangeSnapshotError> for Refusal {
    fn from(error: ChangeSnapshotError) -> Self {
        match error {
            ChangeSnapshotError::Forbidden(error) => error.into(),
            ChangeSnapshotError::Find(error) => error.into(),
            ChangeSnapshotError::General { .. } => Self::forbidden(error.to_string()),
            ChangeSnapshotError::Crowded(error) => error.into(),
            ChangeSnapshotError::State { .. } => Self::bad_request(error.to_string()),
            ChangeSnapshotError::Host { .. } => failed("the snapshot could not be removed", error),
            ChangeSnapshotError::Store { .. } => failed("the snapshot could not be changed", error),
        }
    }
}

impl From<Crowded> for Refusal {
    fn from(error: Crowded) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<BuildLogError> for Refusal {
    fn from(error: BuildLogError) -> Self {
        match error {
            BuildLogError::Find(error) => error.into(),
            BuildLogError::NotBuilt { .. } => Self::not_found(error.to_string()),
        }
    }
}

impl From<SnapshotLogError> for Refusal {
    fn from(error: SnapshotLogError) -> Self {
        match error {
            SnapshotLogError::Find(error) => error.into(),
            SnapshotLogError::NotBuilt { .. } => Self::not_found(error.to_string()),
        }
    }
}

impl From<ListSnapshotsError> for Refusal {
    fn from(error: ListSnapshotsError) -> Self {
        match error {
            ListSnapshotsError::Store { .. } => failed("snapshots could not be listed", error),
        }
    }
}

impl From<FindError> for Refusal {
    fn from(error: FindError) -> Self {
        match error {
            FindError::NotFound { id_or_name } => Self::no_sandbox(&id_or_name),
        }
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Volume(error) => error.into(),
            CreateError::Mount { .. } => Self::bad_request(error.to_string()),
            CreateError::Forbidden(error) => error.into(),
            CreateError::NameTaken { name } => {
                Self::conflict(format!("Sandbox with name {name} already exists"))
            }
            CreateError::UnknownSnapshot { name } => Self::bad_request(format!(
                "Snapshot {name} not found. Did you add it through the Daytona Dashboard?"
            )),
            CreateError::LimitsWithSnapshot => Self::bad_request(
                "Cannot specify Sandbox resources when using a snapshot: leave out cpu, memory and disk",
            ),
            CreateError::SnapshotNotActive { .. }
            | CreateError::Image { .. }
            | CreateError::Limits(_)
            | CreateError::NoUser { .. } => Self::bad_request(error.to_string()),
            CreateError::Crowded(error) => error.into(),
            CreateError::Full | CreateError::DiskFull => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            CreateError::Deleted { .. } => Self::conflict(DELETED_MEANWHILE),
            CreateError::ShuttingDown => Self::new(StatusCode::SERVICE_UNAVAILABLE, SHUTTING_DOWN),
            CreateError::Random(_) | CreateError::Host { .. } | CreateError::Store { .. } => {
                failed("the sandbox could not be created", error)
            }
        }
    }
}

impl From<TransitionError> for Refusal {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::InProgress => Self::conflict(IN_PROGRESS),
            TransitionError::Illegal { .. } => Self::bad_request(error.to_string()),
        }
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Forbidden(error) => error.into(),
            ChangeError::Find(error) => error.into(),
            ChangeError::State(error) => error.into(),
            ChangeError::Mount { .. } => Self::bad_request(error.to_string()),
            ChangeError::Ephemeral | ChangeError::Unrecoverable { .. } => {
                Self::bad_request(error.to_string())
            }
            ChangeError::Full => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            ChangeError::DiskFull => Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
            ChangeError::Deleted { .. } => Self::conflict(DELETED_MEANWHILE),
            ChangeError::ShuttingDown => Self::new(StatusCode::SERVICE_UNAVAILABLE, SHUTTING_DOWN),
            ChangeError::Host { transition, .. } => {
                let message = match transition {
                    Transition::Start => "the sandbox could not be started",
                    Transition::Stop => "the sandbox could not be stopped",
                    Transition::Archive => "the sandbox could not be archived",
                    Transition::Resize => "the sandbox could not be resized",
                    Transition::Snapshot => "no snapshot of the sandbox could be taken",
                    Transition::Recover => "the sandbox could not be recovered",
                    // No caller asks for these by a change.
                    Transition::BuildBegun
                    | Transition::BuildFailed
                    | Transition::ImageFound
                    | Transition::Ready
                    | Transition::Ended
                    | Transition::Packed
                    | Transition::Fail
                    | Transition::Destroy
                    | Transition::Freed => "the sandbox could not be changed",
                };
                failed(message, error)
            }
        }
    }
}

impl From<ResizeError> for Refusal {
    fn from(error: ResizeError) -> Self {
        match error {
            ResizeError::Change(error) => error.into(),
            ResizeError::Limits(_)
            | ResizeError::Unchanged
            | ResizeError::Shrinks { .. }
            | ResizeError::DiskInUse => Self::bad_request(error.to_string()),
        }
    }
}

impl From<SnapshotSandboxError> for Refusal {
    fn from(error: SnapshotSandboxError) -> Self {
        match error {
            SnapshotSandboxError::Change(error) => error.into(),
            SnapshotSandboxError::Create(error) => error.into(),
            SnapshotSandboxError::Memory | SnapshotSandboxError::TooManyLayers { .. } => {
                Self::bad_request(error.to_string())
            }
            SnapshotSandboxError::DiskFull => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
            }
            SnapshotSandboxError::Deleted { .. } => Self::conflict(error.to_string()),
            SnapshotSandboxError::Keep(_) => failed("the snapshot could not be kept", error),
        }
    }
}

impl From<UpdateError> for Refusal {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Forbidden(error) => error.into(),
            UpdateError::Find(error) => error.into(),
            UpdateError::Deleted { .. } => Self::conflict(DELETED_MEANWHILE),
            UpdateError::ShuttingDown => Self::new(StatusCode::SERVICE_UNAVAILABLE, SHUTTING_DOWN),
            UpdateError::Store { .. } => failed("the sandbox could not be changed", error),
        }
    }
}

impl From<DeleteError> for Refusal {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Forbidden(error) => error.into(),
            DeleteError::Find(error) => error.into(),
            DeleteError::ShuttingDown => Self::new(StatusCode::SERVICE_UNAVAILABLE, SHUTTING_DOWN),
            DeleteError::Store { .. } => failed("the sandbox could not be deleted", error),
        }
    }
}

impl From<ListError> for Refusal {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Cursor => Self::bad_request(error.to_string()),
            ListError::Store { .. } => failed("sandboxes could not be listed", error),
        }
    }
}

impl From<StoryError> for Refusal {
    fn from(error: StoryError) -> Self {
        match error {
            StoryError::Find(error) => error.into(),
            StoryError::Store { .. } => {
                failed("what became of the sandbox could not be read", error)
            }
        }
    }
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NotFound { id } => Self::no_sandbox(&id.to_string()),
            ConnectError::NotRunning { id, state } => Self::bad_request(not_running(id, state)),
            ConnectError::Host { .. } => Self::failed(
                StatusCode::BAD_GATEWAY,
                "the sandbox's daemon cannot be reached",
                error,
            ),
        }
    }
}

/// What a caller can do about a sandbox that does not run.
fn not_running(id: SandboxId, state: SandboxState) -> String {
    let advice = match state {
        SandboxState::Stopped | SandboxState::Archived => "start it",
        SandboxState::PendingBuild
        | SandboxState::BuildingSnapshot
        | SandboxState::PullingSnapshot
        | SandboxState::Creating
        | SandboxState::Starting
        | SandboxState::Restoring => "wait until it has started",
        SandboxState::Archiving | SandboxState::Resizing | SandboxState::Snapshotting => {
            "wait until that is done, then start it"
        }
        SandboxState::Stopping => "wait until it has stopped, then start it",
        SandboxState::Started => "try again",
        SandboxState::Error => "its errorReason says why; recover or delete it",
        SandboxState::BuildFailed => "its errorReason says why; delete it",
        SandboxState::Destroying | SandboxState::Destroyed => "create another one",
    };
    format!("Sandbox {id} is {}; {advice}", state.as_str())
}

/// Something of ours failed: the cause is for the log.
pub(crate) fn failed(
    message: &'static str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Refusal {
    Refusal::failed(StatusCode::INTERNAL_SERVER_ERROR, message, cause)
}
