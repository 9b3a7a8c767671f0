//! The removal of images and layers that nobody needs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;

use pitlane_model::ImageName;

use crate::images::{Images, Manifest};
use crate::layer::{DISK, is_digits};
use crate::made::is_made;
use crate::note;
use crate::pull::open_lock;
use crate::size;
use crate::stock::Freed;

/// An image, the build of it, and what is written down of it.
type Build = (ImageName, String, Manifest);

impl Images {
    /// Removes images that were made here or came from registries and which neither a name nor a disk nor a snapshot
    /// needs, and layers that no image needs; steps of builds go when no build has asked for them in a week. Waits for sandboxes that are being made, and leaves what a pull that is
    /// under way needs.
    ///
    /// # Errors
    ///
    /// Something could not be removed; what was is gone. The call can be repeated.
    pub fn collect(&self) -> io::Result<Freed> {
        self.forget_old_steps()?;
        let mut freed = self.collect_made()?.freed;
        let lock = open_lock(&self.folder().join("in-use.lock"))?;
        lock.lock()?;
        self.remove_half_made_layers();
        let (_, unneeded) = self.sort();
        for (image, fingerprint, _) in unneeded {
            if is_made(&image) {
                continue;
            }
            self.remove_image(&image, &fingerprint)?;
            freed.images = freed.images.saturating_add(1);
        }
        // Images first: an image without its layers would be one that breaks.
        File::open(self.folder())?.sync_all()?;
        let layers = self.layers_folder();
        let mut candidates = Vec::new();
        for name in self.unneeded_layers(&self.manifests()) {
            // Somebody may be pulling an image that has it.
            if is_digits(&name)
                && let Some(lock) = note::free(&layers, &name)?
            {
                candidates.push((name, lock));
            }
        }
        // Whoever had them until then may have completed an image.
        let unneeded = self.unneeded_layers(&self.manifests());
        for (name, _lock) in candidates.iter().filter(|(name, _)| unneeded.contains(name)) {
            let path = layers.join(name);
            let bytes = self.bytes_of_folder(name);
            // First it must not count any more.
            let doomed = layers.join(format!(".unpacking-{name}-removed"));
            fs::rename(&path, &doomed)?;
            fs::remove_file(layers.join(format!("{name}.json")))?;
            fs::remove_dir_all(&doomed)?;
            freed.layers = freed.layers.saturating_add(1);
            freed.bytes = freed.bytes.saturating_add(bytes);
        }
        Ok(freed)
    }

    /// What [`Self::collect`] would remove. Removes nothing and waits for nobody.
    ///
    /// # Errors
    ///
    /// A layer could not be measured.
    pub fn collectable(&self) -> io::Result<Freed> {
        let (needed, unneeded) = self.sort();
        let images = u64::try_from(unneeded.len()).unwrap_or(u64::MAX);
        let mut freed = Freed { images, ..Freed::default() };
        for name in self.unneeded_layers(&needed) {
            let bytes = match is_digits(&name) {
                true => self.bytes_of_folder(&name),
                false => size::of_file(&self.layers_folder().join(&name))?,
            };
            freed.layers = freed.layers.saturating_add(1);
            freed.bytes = freed.bytes.saturating_add(bytes);
        }
        Ok(freed)
    }

    /// What a layer takes, else what was noted of it: names in it may be so long that nothing finds them from here, and
    /// that must not keep it, or others, from being removed.
    fn bytes_of_folder(&self, name: &str) -> u64 {
        let layers = self.layers_folder();
        let measured = size::of_folder(&layers.join(name)).ok();
        measured.or_else(|| Some(note::Note::read(&layers, name)?.bytes)).unwrap_or(0)
    }

    /// The images that stay, and those that can go.
    fn sort(&self) -> (Vec<Build>, Vec<Build>) {
        let named: BTreeSet<String> =
            self.catalog().pulled().into_iter().map(|pulled| pulled.image).collect();
        let users = self.users();
        self.manifests().into_iter().partition(|(image, fingerprint, _)| {
            let is_pulled = image.as_str().starts_with("oci-");
            !(is_pulled || is_made(image))
                || named.contains(image.as_str())
                || users.need(image, fingerprint)
        })
    }

    /// The layers that none of these images has.
    fn unneeded_layers(&self, images: &[Build]) -> BTreeSet<String> {
        let needed: BTreeSet<&str> = images
            .iter()
            .flat_map(|(.., manifest)| manifest.layers.iter().map(String::as_str))
            .collect();
        let entries = fs::read_dir(self.layers_folder()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_layer = |name: &String| is_digits(name.strip_suffix(DISK).unwrap_or(name));
        names.filter(is_layer).filter(|name| !needed.contains(name.as_str())).collect()
    }
}
