//! The control plane: what travels under `/api`.
//!
//! Field names, required fields and number types are the Daytona API's. Dates are RFC 3339 text with `Z`; sizes are
//! whole GiB; unknown fields are ignored when read, so that newer clients are understood. A field that is `None` is
//! left out when written, except where the API wants an explicit `null`.

mod configuration;
mod error;
mod key;
mod list;
mod organization;
mod preview;
mod registry;
mod sandbox;
mod snapshot;
mod storage;
mod story;
mod volume;
mod warm_pool;

pub use configuration::{
    Announcement, Configuration, Health, HealthDetail, OidcConfiguration, Readiness,
};
pub use error::{ErrorBody, SOURCE_API, SOURCE_DAEMON};
pub use key::{ApiKeyItem, CreateApiKey, CreatedApiKey};
pub use list::{PaginatedSandboxes, PaginatedSnapshots, SandboxPage};
pub use organization::{CreateOrganization, Organization};
pub use preview::{PortPreviewUrl, SignedPortPreviewUrl};
pub use registry::{CreateDockerRegistry, DockerRegistry, UpdateDockerRegistry};
pub use sandbox::{
    BuildInfo, CreateBuildInfo, CreateSandbox, CreateSandboxSnapshot, MemoryExhausted,
    ResizeSandbox, Sandbox, SandboxCore, SandboxLabels, SandboxListItem, SandboxVolume,
    StateUpdated, ToolboxProxyUrl, UpdateLastActivity, Url,
};
pub use snapshot::{CreateSnapshot, Snapshot};
pub use storage::StorageAccess;
pub use story::{SandboxLog, SandboxLogLine};
pub use volume::{CreateVolume, VolumeDto, VolumeStateUpdated};
pub use warm_pool::{CreateWarmPool, UpdateWarmPool, WarmPool};

#[cfg(test)]
mod tests;
