//! What builds images for the platform: a builder, and the archives that clients have uploaded for it.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pitlane_build::{BuildError, BuildRequest, Builder, Log};
use pitlane_control::{BuildOrder, ImageBuilder, NoBuild, Transcript};
use pitlane_driver::{Driver, PreparedImage};
use pitlane_model::{Build, Limits, OrganizationId};
use pitlane_storage::{Context, Contexts};

use crate::settings::Settings;

/// Builds images from Dockerfiles and uploaded archives.
#[derive(Debug)]
pub(super) struct Workshop {
    builder: Builder,
    contexts: Contexts,
    /// What a step may use.
    resources: Limits,
}

impl Workshop {
    /// One whose steps run on `driver`.
    pub(super) fn new(driver: Arc<dyn Driver>, contexts: Contexts, settings: &Settings) -> Self {
        let mut builds = settings.builds.clone();
        builds.limits.resources = settings.maximum;
        Self { builder: Builder::new(driver, builds), contexts, resources: settings.maximum }
    }

    /// Waits until nothing is left of builds that were broken off.
    pub(super) async fn finish(&self) {
        self.builder.finish().await;
    }

    /// The archives that a build names, or the name of one that is not here.
    fn find(&self, organization: OrganizationId, build: &Build) -> Result<Vec<Context>, String> {
        let find = |hash: &String| {
            let found = self.contexts.context(organization, hash);
            found.ok_or_else(|| format!("the build context {hash} has not been uploaded"))
        };
        build.contexts.iter().map(find).collect()
    }
}

#[async_trait]
impl ImageBuilder for Workshop {
    async fn check(&self, organization: OrganizationId, build: &Build) -> Result<(), String> {
        let plan = Builder::check(&build.dockerfile);
        plan.map_err(|error| format!("the Dockerfile cannot be built: {error}"))?;
        self.find(organization, build).map(drop)
    }

    async fn build(
        &self,
        order: BuildOrder,
        transcript: Arc<Transcript>,
    ) -> Result<PreparedImage, NoBuild> {
        let BuildOrder { organization, access, build, reference } = order;
        // Held as long as the build reads them.
        let contexts =
            self.find(organization, &build).map_err(|reason| NoBuild::Failed { reason })?;
        let paths: Vec<PathBuf> =
            contexts.iter().map(|context| context.path().to_owned()).collect();
        let request = BuildRequest {
            dockerfile: build.dockerfile.clone(),
            contexts: paths,
            arguments: build.arguments.clone(),
            target: build.target.clone(),
            limits: self.resources,
            access,
            reference,
            no_cache: build.no_cache,
        };
        let log = Log::new(move |piece| transcript.write(&piece));
        self.builder.build(request, log).await.map_err(|error| match error {
            error @ (BuildError::Host { .. } | BuildError::LostContext { .. }) => {
                NoBuild::Host { cause: error.into() }
            }
            error => NoBuild::Failed { reason: error.reason() },
        })
    }
}
