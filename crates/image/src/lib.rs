//! Root filesystems: the default image, its Debian bootstrap and its cache.
//!
//! An image is a folder on this machine with the owners 0 to 65,535 that its packages gave their files; whoever starts
//! a sandbox from it shows them as the sandbox's own. Images are made from recipes that are part of this crate, by
//! packages of Debian that apt has verified; or come from registries, in layers that images share.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod bootstrap;
mod catalog;
mod collect;
mod config;
mod error;
mod images;
mod layer;
mod made;
mod note;
mod pull;
mod recipe;
mod registry;
mod size;
mod sources;
mod steps;
mod stock;
mod transcript;
mod unpack;
mod users;

pub use bootstrap::is_installed;
pub use catalog::Alias;
pub use config::ImageConfig;
pub use error::PrepareImageError;
pub use images::{Images, Progress, Rootfs};
pub use layer::Layer;
pub use made::{DiskDraft, Released};
pub use pull::{PullAs, PullImageError, RegistryAccess};
pub use recipe::REQUIRED_PROGRAMS;
pub use registry::{ParseRuleError, RegistryError, RegistryRules};
pub use stock::{Freed, OwnedName, StockedImage};
pub use unpack::{UNPACK, UnpackCommand, UnpackError, UnpackLimits, run_unpacker};
pub use users::ImageUser;
