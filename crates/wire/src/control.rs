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
mod sandbox;
mod snapshot;
mod story;

pub use configuration::{
    Announcement, Configuration, Health, HealthDetail, OidcConfiguration, Readiness,
};
pub use error::{ErrorBody, SOURCE_API, SOURCE_DAEMON};
pub use key::{ApiKeyItem, CreateApiKey, CreatedApiKey};
pub use list::{PaginatedSandboxes, PaginatedSnapshots, SandboxPage};
pub use organization::{CreateOrganization, Organization};
pub use preview::{PortPreviewUrl, SignedPortPreviewUrl};
pub use sandbox::{
    BuildInfo, CreateBuildInfo, CreateSandbox, MemoryExhausted, ResizeSandbox, Sandbox,
    SandboxCore, SandboxLabels, SandboxListItem, SandboxVolume, StateUpdated, ToolboxProxyUrl,
    UpdateLastActivity,
};
pub use snapshot::{CreateSnapshot, Snapshot};
pub use story::{SandboxLog, SandboxLogLine};

#[cfg(test)]
mod tests;
