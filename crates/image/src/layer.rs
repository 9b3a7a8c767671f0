//! One layer of an image.
//!
//! An image that has layers of its own names them in its manifest:
//!
//!     DIGITS              a folder in CACHE/layers, by the digest of the archive that was unpacked
//!     DIGITS.disk         a disk in CACHE/layers: the digits are chance
//!     NAME-BUILD/rootfs   the folder of an image that has no other layer

use std::path::{Path, PathBuf};

/// What an overlay has as one of its lower layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// A folder.
    Folder(PathBuf),
    /// A file with a file system, in which the folder `upper` is the layer: what a sandbox wrote, as it wrote it.
    Disk(PathBuf),
}

/// What follows the digits of a disk.
pub(crate) const DISK: &str = ".disk";

impl Layer {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Disk(path) => path,
        }
    }

    /// The layer that a manifest names; `None` for what is no name.
    pub(crate) fn read(cache: &Path, name: &str) -> Option<Self> {
        let layers = cache.join("layers");
        if is_digits(name) {
            return Some(Self::Folder(layers.join(name)));
        }
        if name.strip_suffix(DISK).is_some_and(is_digits) {
            return Some(Self::Disk(layers.join(name)));
        }
        let image = name.strip_suffix("/rootfs")?;
        let is_name = image.starts_with(|c: char| c.is_ascii_alphanumeric())
            && image.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        is_name.then(|| Self::Folder(cache.join(name)))
    }

    /// How a manifest names it.
    pub(crate) fn name(&self, cache: &Path) -> Option<String> {
        let path = self.path().strip_prefix(cache).ok()?.to_str()?;
        Some(path.strip_prefix("layers/").unwrap_or(path).to_owned())
    }
}

/// Whether a text is a SHA-256 in hexadecimal, or as long.
pub(crate) fn is_digits(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_named_as_it_is_read() {
        let cache = Path::new("/cache");
        let digits = "0a".repeat(32);
        let disk = format!("{digits}.disk");
        let layers = [
            (digits.as_str(), Layer::Folder(cache.join("layers").join(&digits))),
            (disk.as_str(), Layer::Disk(cache.join("layers").join(&disk))),
            ("default-0123/rootfs", Layer::Folder(cache.join("default-0123/rootfs"))),
        ];
        for (name, layer) in layers {
            assert_eq!(layer.name(cache).as_deref(), Some(name));
            assert_eq!(Layer::read(cache, name), Some(layer));
        }
    }

    #[test]
    fn no_name_leads_out_of_the_cache() {
        let digits = "0".repeat(63);
        for name in
            ["", "..", "../rootfs", ".x/rootfs", "a/../rootfs", "/rootfs", "a", &digits, "x.disk"]
        {
            assert_eq!(Layer::read(Path::new("/cache"), name), None, "{name}");
        }
    }
}
