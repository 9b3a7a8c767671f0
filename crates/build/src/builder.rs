//! The builder's face.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pitlane_driver::{Driver, PreparedImage};
use pitlane_model::{ImageAccess, ImageReference, Limits};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::course::{Built, Course};
use crate::dockerfile::Dockerfile;
use crate::{BuildError, BuildSettings, DockerfileError, Log, Plan};

/// Builds images.
#[derive(Debug, Clone)]
pub struct Builder {
    driver: Arc<dyn Driver>,
    settings: Arc<BuildSettings>,
    turns: Arc<Semaphore>,
    /// Destroy what builds leave.
    tasks: TaskTracker,
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
    /// Which images it may begin with.
    pub access: ImageAccess,
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
        Self { driver, settings: Arc::new(settings), turns, tasks: TaskTracker::new() }
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
        if self.turns.available_permits() == 0 {
            log.line("waiting for another build to end");
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let _turn = turn.map_err(|cause| BuildError::Host {
            action: "wait for its turn",
            cause: cause.into(),
        })?;
        let deadline = self.settings.limits.deadline;
        let built = tokio::time::timeout(deadline, self.go(&dockerfile, target, &request, &log));
        let built = Box::pin(built)
            .await
            .unwrap_or(Err(BuildError::TimedOut { minutes: deadline.as_secs() / 60 }));
        match &built {
            Ok(_) => log.line("the image is built"),
            Err(error) => log.line(format_args!("error: {}", error.reason())),
        }
        built
    }

    async fn go(
        &self,
        dockerfile: &Dockerfile,
        target: usize,
        request: &BuildRequest,
        log: &Log,
    ) -> Result<PreparedImage, BuildError> {
        let machine = (&self.driver, &self.tasks, &*self.settings);
        let mut course = Course::new(machine, (dockerfile, request, log))?;
        let Built { image, .. } = Box::pin(course.go(target)).await?;
        let derived = self.driver.derive_image(&image.image, &image.config, &request.reference);
        derived
            .await
            .map_err(|error| BuildError::Host { action: "name the image", cause: error.into() })
    }

    /// Waits until the sandboxes of all builds that have ended are destroyed.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
