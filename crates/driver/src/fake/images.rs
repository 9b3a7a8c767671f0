//! The images of a fake driver: those that it pretends to prepare, and those that are made on it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use pitlane_model::{ImageConfig, ImageName, ImageReference};

use crate::PreparedImage;

/// Files by path.
pub(super) type Files = BTreeMap<String, Bytes>;

const SIZE_BYTES: u64 = 1 << 20;

#[derive(Default)]
pub(super) struct Images {
    prepared: BTreeSet<ImageName>,
    unnamed: BTreeSet<ImageName>,
    /// What names of made images mean, by the name in full.
    names: BTreeMap<String, ImageName>,
    made: BTreeMap<ImageName, Made>,
    count: u64,
}

#[derive(Clone)]
struct Made {
    config: ImageConfig,
    files: Files,
}

impl Images {
    pub(super) fn find(&self, reference: &ImageReference) -> Option<PreparedImage> {
        if let Some(image) = self.names.get(&reference.in_full().to_string()) {
            return self.describe(image);
        }
        let prepared = pretended(reference)?;
        self.prepared.contains(&prepared.image).then_some(prepared)
    }

    /// Pretends to prepare an image; `None` for what cannot be.
    pub(super) fn prepare(&mut self, reference: &ImageReference) -> Option<PreparedImage> {
        if let Some(found) = self.find(reference) {
            return Some(found);
        }
        let prepared = pretended(reference).filter(|_| !reference.is_own())?;
        self.prepared.insert(prepared.image.clone());
        Some(prepared)
    }

    /// Pretends to prepare an image that no name leads to.
    pub(super) fn prepare_unnamed(&mut self, reference: &ImageReference) -> Option<PreparedImage> {
        let prepared = pretended(reference)?;
        self.unnamed.insert(prepared.image.clone());
        Some(prepared)
    }

    /// The files of an image, if it is here.
    pub(super) fn files(&self, image: &ImageName) -> Option<Files> {
        match self.made.get(image) {
            Some(made) => Some(made.files.clone()),
            None if self.is_here(image) => Some(Files::new()),
            None => None,
        }
    }

    fn is_here(&self, image: &ImageName) -> bool {
        self.prepared.contains(image)
            || self.unnamed.contains(image)
            || *image == ImageName::scratch()
    }

    /// What an image says of itself.
    pub(super) fn config(&self, image: &ImageName) -> ImageConfig {
        match self.made.get(image) {
            Some(made) => made.config.clone(),
            None => image
                .as_str()
                .parse()
                .ok()
                .as_ref()
                .and_then(pretended)
                .map_or_else(ImageConfig::default, |prepared| prepared.config),
        }
    }

    pub(super) fn make(
        &mut self,
        config: ImageConfig,
        files: Files,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        self.count = self.count.saturating_add(1);
        let image = ImageName::new(format!("made-{}", self.count)).ok()?;
        self.made.insert(image.clone(), Made { config, files });
        self.names.insert(reference.in_full().to_string(), image.clone());
        self.describe(&image)
    }

    pub(super) fn forget(&mut self, reference: &ImageReference) {
        self.names.remove(&reference.in_full().to_string());
    }

    /// Lets go of made images that neither a name nor a sandbox needs.
    pub(super) fn collect(&mut self, is_used: impl Fn(&ImageName) -> bool) {
        let Self { names, made, .. } = self;
        made.retain(|image, _| is_used(image) || names.values().any(|named| named == image));
    }

    /// How many made images there are.
    pub(super) fn made(&self) -> usize {
        self.made.len()
    }

    fn describe(&self, image: &ImageName) -> Option<PreparedImage> {
        let config = self.made.get(image)?.config.clone();
        Some(PreparedImage { image: image.clone(), size_bytes: SIZE_BYTES, config })
    }
}

/// An image that pretends to have the tag, if any, as its own program.
fn pretended(reference: &ImageReference) -> Option<PreparedImage> {
    let name = reference.to_string().replace(['/', ':', '@'], ".");
    Some(PreparedImage {
        image: ImageName::new(name).ok()?,
        size_bytes: SIZE_BYTES,
        config: ImageConfig {
            entrypoint: reference.tag().map(str::to_owned).into_iter().collect(),
            ..ImageConfig::default()
        },
    })
}
