//! How images are made of sandboxes and of other images.

use pitlane_model::{ImageConfig, ImageName, ImageReference, SandboxId};

use super::super::{Run, Violation, violated};
use super::unexpected;
use crate::{CreateError, DeriveImageError, LaunchSpec, Liveness, PreparedImage, SnapshotError};

pub(super) async fn all(run: &Run<'_>) -> Result<(), Violation> {
    what_does_not_exist_has_no_image(run).await?;
    a_snapshot_holds_what_the_sandbox_wrote(run).await?;
    a_snapshot_of_a_snapshot_holds_both(run).await?;
    an_image_without_a_name_goes_with_its_last_sandbox(run).await?;
    a_derived_image_says_something_else(run).await?;
    scratch_is_always_there(run).await
}

async fn what_does_not_exist_has_no_image(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "snapshot names what is missing or packed away, and makes nothing";
    let name = run.own_name(RULE)?;
    let id = run.spec().id;
    match run.subject.driver.snapshot(id, &name).await {
        Err(SnapshotError::NotFound { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    let id = run.create(RULE).await?.id;
    run.stop(RULE, id).await?;
    run.archive(RULE, id).await?;
    match run.subject.driver.snapshot(id, &name).await {
        Err(SnapshotError::Archived { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    run.expect_no_image(RULE, &name).await?;
    run.remove_image("forgetting what is not known succeeds", &name).await?;
    run.destroy(RULE, id).await
}

async fn a_snapshot_holds_what_the_sandbox_wrote(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "a sandbox of a snapshot finds what was written, and writes for itself";
    let name = run.own_name(RULE)?;
    let id = run.create(RULE).await?.id;
    let before = run.snapshot(RULE, id, &name).await?;
    run.leave_mark(RULE, id).await?;
    let after = run.snapshot(RULE, id, &name).await?;
    run.expect_liveness(RULE, id, Some(Liveness::Running)).await?;
    if before.image == after.image {
        return violated(RULE, "two snapshots are one image");
    }
    let found = run.subject.driver.find_image(&name).await;
    if found.as_ref() != Some(&after) {
        return violated(RULE, format!("made {after:?}, found {found:?}"));
    }
    let next = run.create_of(RULE, &after.image).await?;
    if !run.has_mark(RULE, next.id).await? {
        return violated(RULE, "what was written is not there");
    }
    run.stop(RULE, id).await?;
    let stopped = run.snapshot(RULE, id, &name).await?;
    run.expect_liveness(RULE, id, Some(Liveness::Stopped)).await?;
    run.destroy(RULE, id).await?;
    let last = run.create_of(RULE, &stopped.image).await?;
    if !run.has_mark(RULE, last.id).await? {
        return violated(RULE, "what a stopped sandbox had written is not there");
    }
    // The image of the first has no name any more, and is in use.
    run.stop(RULE, next.id).await?;
    run.start(RULE, &next).await?;
    if !run.has_mark(RULE, next.id).await? {
        return violated(RULE, "what was written is gone with another sandbox or name");
    }
    run.destroy(RULE, next.id).await?;
    run.destroy(RULE, last.id).await?;
    run.remove_image(RULE, &name).await
}

async fn a_snapshot_of_a_snapshot_holds_both(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "a snapshot of a sandbox of a snapshot has the files of both";
    let (first, second) = (run.own_name(RULE)?, run.own_name(RULE)?);
    let id = run.create(RULE).await?.id;
    run.leave_mark(RULE, id).await?;
    let image = run.snapshot(RULE, id, &first).await?.image;
    let next = run.create_of(RULE, &image).await?.id;
    let image = run.snapshot(RULE, next, &second).await?.image;
    for id in [id, next] {
        run.destroy(RULE, id).await?;
    }
    run.remove_image(RULE, &first).await?;
    let last = run.create_of(RULE, &image).await?.id;
    if !run.has_mark(RULE, last).await? {
        return violated(RULE, "what the first one wrote is not there");
    }
    run.destroy(RULE, last).await?;
    run.remove_image(RULE, &second).await
}

async fn an_image_without_a_name_goes_with_its_last_sandbox(
    run: &Run<'_>,
) -> Result<(), Violation> {
    const RULE: &str = "an image without a name serves its sandboxes and goes with the last";
    let name = run.own_name(RULE)?;
    let id = run.create(RULE).await?.id;
    let image = run.snapshot(RULE, id, &name).await?.image;
    run.destroy(RULE, id).await?;
    let spec = run.create_of(RULE, &image).await?;
    run.remove_image(RULE, &name).await?;
    run.remove_image("forgetting a name twice succeeds", &name).await?;
    run.expect_no_image(RULE, &name).await?;
    run.stop(RULE, spec.id).await?;
    run.start(RULE, &spec).await?;
    run.destroy(RULE, spec.id).await?;
    match run.subject.driver.create(&spec).await {
        Err(CreateError::NoImage { image: named }) if named == image => Ok(()),
        other => unexpected(RULE, &other),
    }
}

async fn a_derived_image_says_something_else(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "a derived image has the same files and says what it was told to say";
    let name = run.own_name(RULE)?;
    let id = run.create(RULE).await?.id;
    run.leave_mark(RULE, id).await?;
    let base = run.snapshot(RULE, id, &name).await?;
    run.destroy(RULE, id).await?;
    let config = ImageConfig { work_dir: Some("/tmp".to_owned()), ..base.config.clone() };
    let derived = match run.subject.driver.derive_image(&base.image, &config, &name).await {
        Ok(derived) => derived,
        Err(error) => return violated(RULE, error),
    };
    if derived.config != config || derived.image == base.image {
        return violated(RULE, format!("of {base:?} came {derived:?}"));
    }
    let id = run.create_of(RULE, &derived.image).await?.id;
    if !run.has_mark(RULE, id).await? {
        return violated(RULE, "the files are not the same");
    }
    run.destroy(RULE, id).await?;
    run.remove_image(RULE, &name).await?;
    match run.subject.driver.derive_image(&derived.image, &config, &name).await {
        Err(DeriveImageError::NoImage { image }) if image == derived.image => Ok(()),
        other => unexpected(RULE, &other),
    }
}

async fn scratch_is_always_there(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "an image can be derived from nothing";
    let name = run.own_name(RULE)?;
    let config = ImageConfig { user: Some("7".to_owned()), ..ImageConfig::default() };
    let scratch = ImageName::scratch();
    match run.subject.driver.derive_image(&scratch, &config, &name).await {
        Ok(derived) if derived.config == config => run.remove_image(RULE, &name).await,
        other => unexpected(RULE, &other),
    }
}

impl Run<'_> {
    fn own_name(&self, rule: &'static str) -> Result<ImageReference, Violation> {
        let id = SandboxId::from_random((self.subject.random)());
        let name = ImageReference::own("conformance", &id.to_string());
        name.or_else(|error| violated(rule, error))
    }

    async fn create_of(
        &self,
        rule: &'static str,
        image: &ImageName,
    ) -> Result<LaunchSpec, Violation> {
        let spec = LaunchSpec { image: image.clone(), ..self.spec() };
        match self.subject.driver.create(&spec).await {
            Ok(_) => Ok(spec),
            Err(error) => unexpected(rule, &error),
        }
    }

    async fn snapshot(
        &self,
        rule: &'static str,
        id: SandboxId,
        name: &ImageReference,
    ) -> Result<PreparedImage, Violation> {
        let made = self.subject.driver.snapshot(id, name).await;
        made.or_else(|error| unexpected(rule, &error))
    }

    async fn remove_image(
        &self,
        rule: &'static str,
        name: &ImageReference,
    ) -> Result<(), Violation> {
        let removed = self.subject.driver.remove_image(name).await;
        removed.or_else(|error| unexpected(rule, &error))
    }

    async fn expect_no_image(
        &self,
        rule: &'static str,
        name: &ImageReference,
    ) -> Result<(), Violation> {
        match self.subject.driver.find_image(name).await {
            None => Ok(()),
            Some(found) => violated(rule, format!("found {found:?}")),
        }
    }
}
