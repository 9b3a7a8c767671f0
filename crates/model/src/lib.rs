//! The vocabulary of Pitlane.
//!
//! Ids, names, limits with their units, specifications, states and the transitions between them. Values here are
//! valid by construction. No I/O, no async, no serialization: the rims own what travels and convert.
#![forbid(unsafe_code)]

mod build;
mod id;
mod image;
mod image_config;
mod key;
mod lifecycle;
mod limits;
mod name;
mod network;
mod pool;
mod registry;
mod sandbox;
mod snapshot;
mod state;
mod story;
mod timestamp;
mod volume;

pub use build::Build;
pub use id::{
    ImageOwner, KeyId, OrganizationId, ParseIdError, RegistryId, SandboxId, SnapshotId, VolumeId,
    WarmPoolId,
};
pub use image::{ImageReference, ImageReferenceError};
pub use image_config::ImageConfig;
pub use key::{ApiKey, KeyHash, Organization, Permission};
pub use lifecycle::{Lifecycle, Minutes};
pub use limits::{LimitError, Limits};
pub use name::{NameError, SandboxName};
pub use network::NetworkPolicy;
pub use pool::WarmPool;
pub use registry::{ImageAccess, RegistryLogin, StoredRegistry};
pub use sandbox::{Deadlines, Environment, EnvironmentError, Labels, Sandbox, SandboxSpec};
pub use snapshot::{ImageName, ImageNameError, Snapshot, SnapshotState};
pub use state::{DesiredState, SandboxState, Transition, TransitionError};
pub use story::{Actor, StoryLine};
pub use timestamp::Timestamp;
pub use volume::{
    MountError, MountPath, Subpath, Volume, VolumeMount, VolumeName, VolumeNameError, VolumeState,
};
