//! Names of steps: digests of all that decides what a step makes.

use pitlane_driver::PreparedImage;
use pitlane_model::{ImageOwner, ImageReference};
use sha2::{Digest as _, Sha256};

/// What the names begin with; another one where steps mean something else.
const VERSION: &str = "1";

/// What a state of files is known by: the image that a stage began with, and every step since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

/// A step's name while it is put together. Parts have their lengths in it, so that no two lists of parts are alike.
#[derive(Debug, Clone)]
pub(crate) struct KeyMaker(Sha256);

impl Key {
    /// The state of files that an image is. What one owner's builds made, another one's do not find.
    pub(crate) fn of_image(owner: ImageOwner, image: &PreparedImage) -> Self {
        let mut maker = KeyMaker(Sha256::new());
        maker.add(VERSION);
        maker.add(owner.to_string());
        maker.add(image.image.as_str());
        maker.add(image.size_bytes.to_be_bytes());
        maker.finish()
    }

    /// Begins the name of a step that changes this state.
    pub(crate) fn step(&self, kind: &str) -> KeyMaker {
        let mut maker = KeyMaker(Sha256::new());
        maker.add(self.0);
        maker.add(kind);
        maker
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the image of this state is called on this machine.
    pub(crate) fn reference(&self) -> Option<ImageReference> {
        ImageReference::own(STEPS, &self.digits()).ok()
    }
}

/// The part of the name that all images of steps have.
pub(crate) const STEPS: &str = "steps";

impl KeyMaker {
    pub(crate) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
    }

    pub(crate) fn add_all<'a>(&mut self, parts: impl ExactSizeIterator<Item = &'a String>) {
        self.add(parts.len().to_be_bytes());
        for part in parts {
            self.add(part);
        }
    }

    pub(crate) fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}
