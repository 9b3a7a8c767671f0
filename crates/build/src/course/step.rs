//! A step that changes files: looked up, or done and kept.

use pitlane_driver::{Cause, CreateError, PreparedImage, SnapshotError};
use pitlane_wire::build::NewFolder;

use super::stage::Stage;
use crate::BuildError;
use crate::conversation::Refused;
use crate::dockerfile::Instruction;
use crate::key::{Key, KeyMaker};
use crate::workbench::{Wanted, Workbench};

/// How much a sandbox may have written before the next step begins with a new one: a snapshot copies what was written
/// since the sandbox was made, and each new sandbox costs a layer.
const WORTH_KEEPING: u64 = 32 << 20;

impl Stage<'_> {
    /// Begins the name of a step.
    pub(super) fn step_key(&self, kind: &str) -> KeyMaker {
        let mut maker = self.key.step(kind);
        maker.add(self.folders.len().to_be_bytes());
        for (folder, user) in &self.folders {
            maker.add(folder);
            maker.add(user);
        }
        maker
    }

    /// Whether the step was done before; then the stage is where it led.
    pub(super) async fn take_cached(&mut self, key: &Key) -> bool {
        if self.course.request.no_cache {
            return false;
        }
        let Some(reference) = key.reference() else { return false };
        let Some(found) = self.course.driver.find_image(&reference).await else { return false };
        self.course.log.line("  CACHED");
        self.stand_at(key.clone(), found);
        true
    }

    fn stand_at(&mut self, key: Key, image: PreparedImage) {
        self.key = key;
        self.image = image;
        self.folders.clear();
        if self.workbench.as_ref().is_some_and(|bench| bench.image != self.image.image) {
            self.workbench = None;
        }
    }

    /// A sandbox with the stage's files, and the folders that are to be there.
    pub(super) async fn bench(
        &mut self,
        instruction: Option<&Instruction>,
        has_network: bool,
    ) -> Result<Workbench, BuildError> {
        let kept = self.workbench.take();
        let fits =
            |bench: &Workbench| bench.image == self.image.image && bench.has_network == has_network;
        let bench = match kept.filter(fits) {
            Some(bench) => bench,
            None => self.new_bench(&self.image, has_network).await?,
        };
        for (folder, owner) in &self.folders {
            let folder = NewFolder { folder: folder.clone(), owner: owner.clone() };
            let made = bench.daemon().make_folder(&folder).await;
            made.map_err(|refused| self.failed(instruction, refused))?;
        }
        Ok(bench)
    }

    /// A sandbox with the files of an image.
    pub(super) async fn new_bench(
        &self,
        image: &PreparedImage,
        has_network: bool,
    ) -> Result<Workbench, BuildError> {
        let wanted = Wanted {
            image: image.image.clone(),
            size_bytes: image.size_bytes,
            limits: self.course.limits,
            has_network,
        };
        let made = Workbench::make(self.course.driver, self.course.tasks, wanted).await;
        made.map_err(|error| match error {
            CreateError::Full | CreateError::DiskFull => BuildError::Full,
            error => BuildError::Host { action: "make a build sandbox", cause: error.into() },
        })
    }

    /// Keeps what a step has made under its name.
    pub(super) async fn keep(
        &mut self,
        instruction: Option<&Instruction>,
        key: Key,
        mut bench: Workbench,
    ) -> Result<(), BuildError> {
        let Some(reference) = key.reference() else {
            let cause = Cause::from("a digest is no name");
            return Err(BuildError::Host { action: "name a step", cause });
        };
        let made = self.course.driver.snapshot(bench.id(), &reference).await;
        let made = made.map_err(|error| match error {
            SnapshotError::Full { .. } => BuildError::Full,
            SnapshotError::TooManyLayers { most, .. } => {
                let reason = format!("the image would have more than {most} layers");
                self.failed(instruction, Refused::Said(reason))
            }
            error => BuildError::Host { action: "keep a step", cause: error.into() },
        })?;
        let written = made.size_bytes.saturating_sub(bench.size_bytes);
        bench.image = made.image.clone();
        self.stand_at(key, made);
        self.workbench = (written < WORTH_KEEPING).then_some(bench);
        Ok(())
    }

    /// Makes the folders that no step came after.
    pub(super) async fn make_folders(&mut self) -> Result<(), BuildError> {
        if self.folders.is_empty() {
            return Ok(());
        }
        let key = self.step_key("folders").finish();
        if self.take_cached(&key).await {
            return Ok(());
        }
        let bench = self.bench(None, true).await?;
        self.keep(None, key, bench).await
    }

    /// Why a step cannot be done.
    pub(super) fn failed(&self, instruction: Option<&Instruction>, refused: Refused) -> BuildError {
        match refused {
            Refused::Said(reason) => {
                let stage = self.course.dockerfile.stages.get(self.number);
                let (line, shown) = match (instruction, stage) {
                    (Some(instruction), _) => (instruction.line, instruction.text.clone()),
                    (None, Some(stage)) => (stage.line, stage.text.clone()),
                    (None, None) => (1, String::new()),
                };
                BuildError::Step { line, instruction: shown, reason }
            }
            Refused::Host(cause) => BuildError::Host { action: "do a step", cause },
        }
    }
}
