//! What the platform does: sandboxes, snapshots, keys and their life cycles; no HTTP, no SQL.
//!
//! [`Control`] puts the parts together. Every caller is a [`Principal`]; what belongs to another organization does not
//! exist for it. Sandboxes are made by whatever [`pitlane_driver::Driver`] was given.
#![forbid(unsafe_code)]

mod chain;
mod control;
mod event;
mod images;
mod keys;
mod organizations;
mod policy;
mod pools;
mod previews;
mod principal;
mod registries;
mod sandboxes;
mod signing;
mod snapshots;
mod source;
mod upload_keys;
mod volumes;

pub use chain::Chain;
pub use control::{Control, ControlError, Parts};
pub use event::Event;
pub use images::{BuildLog, BuildOrder, Crowded, ImageBuilder, NoBuild, NoBuilder, Transcript};
pub use keys::{
    AuthenticateError, BootstrapError, CreateKey, CreateKeyError, KeyText, Keys, RevokeKeyError,
};
pub use organizations::{
    ActError, CreateOrganizationError, DeleteOrganizationError, FindOrganizationError,
    Organizations,
};
pub use pitlane_driver::Connection;
pub use pitlane_store::{
    Bounds, Cursor, ParseCursorError, SandboxFilter, SandboxOrder, SandboxPage, SandboxSlice,
    SnapshotFilter, SnapshotSlice, SnapshotSort, SnapshotSortField, SortDirection, SortField,
};
pub use policy::{Patience, Policy};
pub use pools::{ChangePoolError, CreatePool, CreatePoolError, PoolFigures, PoolView, WarmPools};
pub use previews::{
    Admission, AdmitError, ExpirePreviewError, Passage, Place, PreviewError, Previews,
    SignedPreview, TOOLBOX_PORT, Visit, VisitError,
};
pub use principal::{Forbidden, Principal};
pub use registries::{
    CreateRegistry, DeleteRegistryError, FindRegistryError, Registries, SaveRegistryError,
    UpdateRegistry,
};
pub use sandboxes::{
    ANSWER_AFTER, BuildLogError, ChangeError, ConnectError, CreateError, CreateSandbox,
    DeleteError, FindError, ListError, ListSandboxes, PageSandboxes, Presence, RequestedLimits,
    ResizeError, Sandboxes, SnapshotSandbox, SnapshotSandboxError, Source, StoryError, Update,
    UpdateError,
};
pub use signing::{
    FileAction, FileAdmission, FileSignature, RotateSigningKeyError, ServerSecret, SigningKey,
    SigningKeyError, SigningKeys,
};
pub use snapshots::{
    AddSnapshot, AddSnapshotError, ChangeSnapshotError, CreateSnapshot, CreateSnapshotError,
    FindSnapshotError, ListSnapshotsError, PageSnapshots, SnapshotLogError, SnapshotSource,
    Snapshots,
};
pub use source::{Clock, NoRandomness, Random, Sleep};
pub use upload_keys::{UploadKey, UploadKeyError, UploadKeys, Uploader};
pub use volumes::{
    ClaimVolumeError, CreateVolumeError, DeleteVolumeError, FindVolumeError, RequestedMount,
    Volumes,
};

#[cfg(test)]
mod tests;
