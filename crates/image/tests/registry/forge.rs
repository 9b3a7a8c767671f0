//! Images made of nothing, true to what they say or not.

use std::io::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// An image as a registry has it.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    /// As they travel.
    pub(crate) layers: Vec<Vec<u8>>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// What the layers of one image are made of.
pub(crate) struct Layer(Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        (mode, owner): (u32, u64),
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_mtime(1_000_000);
        header.set_size(content.len().try_into().expect("a size"));
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).expect("an entry");
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", (0o644, 0), content.as_bytes())
    }

    pub(crate) fn archive(self) -> Vec<u8> {
        self.0.into_inner().expect("an archive")
    }
}

pub(crate) fn gzip(archive: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(archive).expect("compressed");
    gzip.finish().expect("compressed")
}

pub(crate) fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

impl Image {
    /// An image of archives that are compressed by gzip, which says nothing of itself.
    pub(crate) fn of(archives: &[Vec<u8>]) -> Self {
        let layers = archives.iter().map(|archive| gzip(archive)).collect();
        Self::new(archives, layers, &json!({}))
    }

    pub(crate) fn new(archives: &[Vec<u8>], layers: Vec<Vec<u8>>, says: &Value) -> Self {
        let diff_ids: Vec<String> = archives.iter().map(|archive| digest(archive)).collect();
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": says,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(&config), "size": config.len(),
            },
            "layers": layers.iter().map(|layer| json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": digest(layer), "size": layer.len(),
            })).collect::<Vec<_>>(),
        });
        Self { manifest: manifest.to_string().into_bytes(), config, layers }
    }

    /// The same image with a manifest that says something else.
    pub(crate) fn saying(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut manifest = serde_json::from_slice(&self.manifest).expect("a manifest");
        change(&mut manifest);
        self.manifest = manifest.to_string().into_bytes();
        self
    }
}
