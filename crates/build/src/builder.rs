//! The builder's face.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pitlane_driver::{Driver, PreparedImage};
use pitlane_model::{ImageReference, Limits};
use tokio::sync::Semaphore;

use crate::dockerfile::Dockerfile;
use crate::{BuildError, BuildSettings, DockerfileError, Log, Plan};

/// Builds images.
#[derive(Debug, Clone)]
pub struct Builder {
    driver: Arc<dyn Driver>,
    settings: Arc<BuildSettings>,
    turns: Arc<Semaphore>,
}

/// An image that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// Archives (`context.tar`) on this machine that are the build context together.
    pub contexts: Vec<PathBuf>,
    /// What the Dockerfile's `ARG` instructions are given.
    pub arguments: BTreeMap<String, String>,
    /// The stage that is wanted; the last one if none is named.
    pub target: Option<String>,
    /// What each step may use.
    pub limits: Limits,
    /// What the image is called.
    pub reference: ImageReference,
    /// Whether every step is done anew, whatever is known of it.
    pub no_cache: bool,
}

impl Builder {
    /// A builder whose steps run on `driver`.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>, settings: BuildSettings) -> Self {
        let turns = Arc::new(Semaphore::new(settings.limits.concurrent.max(1)));
        Self { driver, settings: Arc::new(settings), turns }
    }

    /// Reads a Dockerfile and says whether it can be built, as far as that is known before anything runs.
    ///
    /// # Errors
    ///
    /// [`DockerfileError`] names the first line that is wrong, and what is possible there.
    pub fn check(dockerfile: &str) -> Result<Plan, DockerfileError> {
        Dockerfile::parse(dockerfile).map(|dockerfile| dockerfile.plan())
    }
}

impl Builder {
    /// Builds an image and gives it its name.
    ///
    /// Dropping the future cancels the build: its sandboxes are destroyed, and nothing stays but the steps that were
    /// finished, which the next build of the same begins with.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says which step failed and why; the log has everything that was said until then.
    pub async fn build(
        &self,
        request: BuildRequest,
        log: Log,
    ) -> Result<PreparedImage, BuildError> {
        let dockerfile = Dockerfile::parse(&request.dockerfile)?;
        let target = dockerfile.target(request.target.as_deref())?;
        let _turn = self.turns.acquire().await;
        tracing::debug!(target, deadline = ?self.settings.limits.deadline, "building");
        let Some(image) = dockerfile.plan().image().cloned() else {
            let line = dockerfile.stages.get(target).map_or(1, |stage| stage.line);
            let reason = "only Dockerfiles of one FROM can be built so far";
            return Err(DockerfileError::new(line, reason).into());
        };
        log.line(format_args!("FROM {image}"));
        let (progress, _steps) = tokio::sync::mpsc::channel(1);
        match self.driver.find_image(&image).await {
            Some(found) => Ok(found),
            None => self
                .driver
                .prepare_image(&image, progress)
                .await
                .map_err(|cause| BuildError::Image { line: 1, image: image.to_string(), cause }),
        }
    }
}
