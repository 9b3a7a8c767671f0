//! `COPY` and `ADD`.

use pitlane_driver::Cause;
use pitlane_wire::build::{Packing, Placement};

use super::stage::Stage;
use crate::context::{Context, Selection};
use crate::conversation::Refused;
use crate::dockerfile::{Copy, HereDocument, Instruction, Source};
use crate::key::KeyMaker;
use crate::{BuildError, DockerfileError};

impl Stage<'_> {
    pub(super) async fn copy(
        &mut self,
        instruction: &Instruction,
        copy: &Copy,
    ) -> Result<(), BuildError> {
        let placement = self.placement(copy, instruction.line)?;
        match &copy.flags.from {
            Some(from) => self.copy_from(instruction, copy, from, placement).await,
            None => self.copy_context(instruction, copy, placement).await,
        }
    }

    /// Where the files go.
    fn placement(&self, copy: &Copy, line: usize) -> Result<Placement, DockerfileError> {
        let wrong = |reason: String| DockerfileError::new(line, reason);
        let destination = self.expanded(&copy.destination, line)?;
        if destination.is_empty() {
            return Err(wrong(String::from("the destination is empty")));
        }
        let is_folder = destination.ends_with('/')
            || matches!(destination.rsplit('/').next(), Some("." | ".."))
            || copy.sources.len() > 1;
        let owner =
            copy.flags.owner.as_ref().map(|owner| self.expanded(owner, line)).transpose()?;
        let mode = match &copy.flags.mode {
            None => None,
            Some(mode) => {
                let mode = self.expanded(mode, line)?;
                let number = u32::from_str_radix(&mode, 8).ok().filter(|mode| *mode <= 0o7777);
                let wrong = || wrong(format!("--chmod={mode}: it is a number like 755 or 0644"));
                Some(number.ok_or_else(wrong)?)
            }
        };
        let destination = self.absolute(&destination);
        let is_folder = is_folder || destination == "/";
        Ok(Placement { destination, is_folder, owner, mode, unpacks: copy.is_add })
    }

    async fn copy_context(
        &mut self,
        instruction: &Instruction,
        copy: &Copy,
        placement: Placement,
    ) -> Result<(), BuildError> {
        let line = instruction.line;
        let mut wanted = Wanted { exclude: copy.flags.exclude.clone(), ..Wanted::default() };
        for source in &copy.sources {
            match source {
                Source::Path(path) => wanted.paths.push(self.expanded(path, line)?),
                Source::HereDocument(document) => {
                    wanted.texts.push((document.name.clone(), self.text(document, line)?));
                }
            }
        }
        let (selection, digest) = self.select(instruction, wanted).await?;
        let is_folder = placement.is_folder || selection.is_folder;
        let placement = Placement { is_folder, ..placement };
        let mut key = self.step_key("copy");
        add_placement(&mut key, &placement);
        key.add(digest);
        let key = key.finish();
        if self.take_cached(&key).await {
            return Ok(());
        }
        let bench = self.bench(Some(instruction), true).await?;
        let placed = bench.daemon().place(&placement, selection).await;
        placed.map_err(|refused| self.failed(Some(instruction), refused))?;
        self.keep(Some(instruction), key, bench).await
    }

    fn text(&self, document: &HereDocument, line: usize) -> Result<String, DockerfileError> {
        let text = document.text();
        if !document.expands {
            return Ok(text);
        }
        self.course
            .expander
            .text(&text, &|name: &str| self.value(name))
            .map_err(|reason| DockerfileError::new(line, reason))
    }

    /// Finds files of the context, and what they are known by.
    pub(super) async fn select(
        &self,
        instruction: &Instruction,
        wanted: Wanted,
    ) -> Result<(Selection, [u8; 32]), BuildError> {
        let context = self.course.context();
        let chosen = tokio::task::spawn_blocking(move || wanted.choose(&context)).await;
        let lost = |cause: Cause| BuildError::Host { action: "read the build context", cause };
        match chosen.map_err(|cause| lost(cause.into()))? {
            Ok(chosen) => Ok(chosen),
            Err(NotChosen::Missing(reason)) => {
                Err(self.failed(Some(instruction), Refused::Said(reason)))
            }
            Err(NotChosen::Read(cause)) => Err(lost(cause.into())),
        }
    }

    async fn copy_from(
        &mut self,
        instruction: &Instruction,
        copy: &Copy,
        from: &str,
        placement: Placement,
    ) -> Result<(), BuildError> {
        let line = instruction.line;
        let source = self.course.image_named(from, self.number, line).await?;
        let paths = copy.sources.iter().filter_map(|source| match source {
            Source::Path(path) => Some(self.expanded(path, line)),
            Source::HereDocument(_) => None,
        });
        let sources = paths.collect::<Result<Vec<_>, _>>()?;
        let packing =
            Packing { sources, exclude: copy.flags.exclude.clone(), may_be_missing: false };
        let mut key = self.step_key("copy from");
        add_placement(&mut key, &placement);
        key.add(source.key.bytes());
        key.add_all(packing.sources.iter());
        key.add_all(packing.exclude.iter());
        let key = key.finish();
        if self.take_cached(&key).await {
            return Ok(());
        }
        let theirs = self.new_bench(&source.image, false).await?;
        let parcel = theirs.daemon().pack(&packing).await;
        let parcel = parcel.map_err(|refused| self.failed(Some(instruction), refused))?;
        let is_folder = placement.is_folder || parcel.packed.is_folder;
        let placement = Placement { is_folder, ..placement };
        let bench = self.bench(Some(instruction), true).await?;
        let placed = bench.daemon().place_parcel(&placement, parcel).await;
        placed.map_err(|refused| self.failed(Some(instruction), refused))?;
        drop(theirs);
        self.keep(Some(instruction), key, bench).await
    }
}

fn add_placement(key: &mut KeyMaker, placement: &Placement) {
    let Placement { destination, is_folder, owner, mode, unpacks } = placement;
    key.add(destination);
    key.add([u8::from(*is_folder), u8::from(*unpacks)]);
    key.add(owner.as_deref().unwrap_or_default());
    key.add(mode.map_or([255; 4], u32::to_be_bytes));
}

/// Files that a step wants.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) paths: Vec<String>,
    /// Names and contents.
    pub(super) texts: Vec<(String, String)>,
    pub(super) exclude: Vec<String>,
}

/// Why they are not to be had.
enum NotChosen {
    /// In words, for whoever asked for the build.
    Missing(String),
    Read(std::io::Error),
}

impl Wanted {
    fn choose(self, context: &Context) -> Result<(Selection, [u8; 32]), NotChosen> {
        let mut selection = Selection::default();
        for path in &self.paths {
            context.select(path, &self.exclude, &mut selection).map_err(NotChosen::Missing)?;
        }
        selection.is_folder |= self.paths.len().saturating_add(self.texts.len()) > 1;
        for (name, text) in self.texts {
            selection.add_text(&name, text);
        }
        let digest = selection.digest().map_err(NotChosen::Read)?;
        Ok((selection, digest))
    }
}
