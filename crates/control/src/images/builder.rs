//! What builds images, as far as the platform has to know it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pitlane_driver::{Cause, PreparedImage};
use pitlane_model::{Build, ImageAccess, ImageReference, OrganizationId};

use super::transcript::Transcript;

/// An image to build.
#[derive(Debug, Clone)]
pub struct BuildOrder {
    /// Whose it is; the archives with files are this organization's.
    pub organization: OrganizationId,
    /// Which images it may begin with.
    pub access: ImageAccess,
    /// What it is built from.
    pub build: Arc<Build>,
    /// What the result is called.
    pub reference: ImageReference,
}

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub enum NoBuild {
    /// What was asked for cannot be built.
    #[error("{reason}")]
    Failed {
        /// Which step, and why, for whoever asked.
        reason: String,
    },
    /// The machine failed.
    #[error("the machine could not build an image")]
    Host {
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Builds images.
#[async_trait]
pub trait ImageBuilder: Send + Sync + fmt::Debug {
    /// Looks at what is to be built, and answers what is wrong with it. Builds nothing.
    ///
    /// # Errors
    ///
    /// Says which line is wrong, or which archive is missing, for whoever asked.
    async fn check(&self, organization: OrganizationId, build: &Build) -> Result<(), String>;

    /// Builds an image, or finds that it has been built, and writes what happens down, why it failed included.
    ///
    /// Dropping the future ends the build; steps that are finished may be kept for another one.
    ///
    /// # Errors
    ///
    /// [`NoBuild`]: nothing was made but finished steps.
    async fn build(
        &self,
        order: BuildOrder,
        transcript: Arc<Transcript>,
    ) -> Result<PreparedImage, NoBuild>;
}

/// A builder that builds nothing, for servers that cannot.
#[derive(Debug, Clone, Copy)]
pub struct NoBuilder;

#[async_trait]
impl ImageBuilder for NoBuilder {
    async fn check(&self, _organization: OrganizationId, _build: &Build) -> Result<(), String> {
        Err("this server builds no images".to_owned())
    }

    async fn build(
        &self,
        _order: BuildOrder,
        _transcript: Arc<Transcript>,
    ) -> Result<PreparedImage, NoBuild> {
        Err(NoBuild::Failed { reason: "this server builds no images".to_owned() })
    }
}
