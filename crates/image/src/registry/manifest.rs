//! What registries say of images.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::config::ImageConfig;

/// The kinds of manifest that are asked for.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// The most layers of an image; the kernel does not unite many more.
pub(crate) const MAX_LAYERS: usize = 100;
/// The largest layer, as it travels, and the largest image.
pub(crate) const MAX_LAYER_BYTES: u64 = 16 << 30;
pub(crate) const MAX_IMAGE_BYTES: u64 = 32 << 30;

/// What a registry calls a blob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
}

/// A manifest that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// A list of images for kinds of machines; this is the one for this machine.
    Index(Descriptor),
    /// An image.
    Image {
        config: Descriptor,
        /// The lowest first.
        layers: Vec<Descriptor>,
    },
}

/// An image as its configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The digests of its layers without compression, the lowest first; `sha256:` and 64 digits.
    pub(crate) diff_ids: Vec<String>,
    /// What it says of itself.
    pub(crate) config: ImageConfig,
}

/// Reads a manifest; the error says what is wrong with it.
pub(crate) fn manifest(text: &[u8]) -> Result<Manifest, String> {
    let document: Document = serde_json::from_slice(text)
        .map_err(|error| format!("a manifest that is none: {error}"))?;
    if document.schema_version != 2 {
        return Err(format!("a manifest of schema {}", document.schema_version));
    }
    if let Some(manifests) = document.manifests {
        let wanted = Platform { architecture: architecture().into(), os: "linux".into() };
        let found = manifests.into_iter().find(|entry| entry.platform.as_ref() == Some(&wanted));
        let found = found.ok_or_else(|| format!("no image for linux/{}", architecture()))?;
        return check(&found).map(|()| Manifest::Index(found));
    }
    let (Some(config), Some(layers)) = (document.config, document.layers) else {
        return Err(String::from("a manifest without configuration or layers"));
    };
    check(&config)?;
    if layers.is_empty() || layers.len() > MAX_LAYERS {
        return Err(format!("{} layers; there may be 1 to {MAX_LAYERS}", layers.len()));
    }
    let mut total = 0u64;
    for layer in &layers {
        check(layer)?;
        if layer.media_type.contains("foreign") || layer.media_type.contains("nondistributable") {
            return Err(String::from("a layer that is not in the registry"));
        }
        if layer.media_type.ends_with("encrypted") {
            return Err(String::from("an encrypted layer"));
        }
        if layer.size > MAX_LAYER_BYTES {
            return Err(format!("a layer of {} GiB", layer.size >> 30));
        }
        total = total.saturating_add(layer.size);
    }
    if total > MAX_IMAGE_BYTES {
        return Err(format!("layers of {} GiB together", total >> 30));
    }
    Ok(Manifest::Image { config, layers })
}

fn check(descriptor: &Descriptor) -> Result<(), String> {
    if hex_of(&descriptor.digest).is_some() {
        Ok(())
    } else {
        Err(String::from("a digest that is not sha256: and 64 digits"))
    }
}

/// The 64 digits of a digest by SHA-256.
pub(crate) fn hex_of(digest: &str) -> Option<&str> {
    digest.strip_prefix("sha256:").filter(|hex| {
        hex.len() == 64
            && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

/// This machine's, in the words of images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A configuration as it is written down.
#[derive(Debug, Deserialize)]
struct Configuration {
    architecture: String,
    os: String,
    #[serde(default)]
    config: Option<Container>,
    rootfs: RootFilesystem,
}

#[derive(Debug, Deserialize)]
struct RootFilesystem {
    diff_ids: Vec<String>,
}

/// Everything may be absent or null.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Container {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

/// Reads an image's configuration; the error says what is wrong with it.
pub(crate) fn configuration(text: &[u8], layer_count: usize) -> Result<Layers, String> {
    let read: Configuration = serde_json::from_slice(text)
        .map_err(|error| format!("a configuration that is none: {error}"))?;
    if (read.os.as_str(), read.architecture.as_str()) != ("linux", architecture()) {
        return Err(format!(
            "an image for {}/{}; this machine is linux/{}",
            read.os,
            read.architecture,
            architecture()
        ));
    }
    let diff_ids = read.rootfs.diff_ids;
    if diff_ids.len() != layer_count || !diff_ids.iter().all(|digest| hex_of(digest).is_some()) {
        return Err(String::from("a configuration that belongs to other layers"));
    }
    let container = read.config.unwrap_or_default();
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let environment = container.env.unwrap_or_default().into_iter().filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    });
    let config = ImageConfig {
        entrypoint: container.entrypoint.unwrap_or_default(),
        command: container.cmd.unwrap_or_default(),
        environment: environment.collect(),
        work_dir: filled(container.working_dir),
        // Where an image names nobody, it means root.
        user: Some(filled(container.user).unwrap_or_else(|| String::from("root"))),
        labels: container.labels.unwrap_or_default(),
        ports: container.exposed_ports.unwrap_or_default().into_keys().collect::<BTreeSet<_>>(),
    };
    match config.excess() {
        Some(excess) => Err(format!("a configuration that says too much: {excess}")),
        None => Ok(Layers { diff_ids, config }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn descriptor(size: u64) -> serde_json::Value {
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": DIGEST, "size": size})
    }

    fn refusal(document: &serde_json::Value) -> String {
        manifest(document.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn of_a_list_the_image_for_this_machine_is_taken() {
        let for_this = json!({
            "digest": DIGEST, "size": 7, "platform": {"architecture": architecture(), "os": "linux"}
        });
        let other = json!({"digest": DIGEST, "size": 1, "platform": {"architecture": "s390x", "os": "linux"}});
        let index = json!({"schemaVersion": 2, "manifests": [other, for_this]});
        let read = manifest(index.to_string().as_bytes()).unwrap();
        assert!(matches!(read, Manifest::Index(Descriptor { size: 7, .. })), "{read:?}");
        let none = json!({"schemaVersion": 2, "manifests": [other]});
        assert!(refusal(&none).starts_with("no image for linux/"));
    }

    #[test]
    fn a_manifest_that_asks_for_too_much_is_refused() {
        let with = |layers: Vec<serde_json::Value>| json!({"schemaVersion": 2, "config": descriptor(9), "layers": layers});
        assert!(manifest(with(vec![descriptor(9)]).to_string().as_bytes()).is_ok());
        assert_eq!(refusal(&with(vec![])), "0 layers; there may be 1 to 100");
        assert_eq!(refusal(&with(vec![descriptor(1); 101])), "101 layers; there may be 1 to 100");
        assert_eq!(refusal(&with(vec![descriptor(17 << 30)])), "a layer of 17 GiB");
        assert_eq!(refusal(&with(vec![descriptor(16 << 30); 3])), "layers of 48 GiB together");
        assert_eq!(refusal(&json!({"schemaVersion": 1})), "a manifest of schema 1");
        let foreign = json!({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": DIGEST, "size": 1, "urls": ["http://10.0.0.1/"]});
        assert_eq!(refusal(&with(vec![foreign])), "a layer that is not in the registry");
        for digest in ["sha256:00", "sha512:00", "../../etc/passwd", &DIGEST.to_uppercase()] {
            let odd = json!({"digest": digest, "size": 1});
            assert_eq!(refusal(&with(vec![odd])), "a digest that is not sha256: and 64 digits");
        }
    }

    #[test]
    fn a_configuration_says_what_the_image_says() {
        let text = json!({
            "architecture": architecture(), "os": "linux",
            "config": {
                "User": "", "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/bin", "EMPTY=", "odd", "=x"],
                "Entrypoint": ["/run"], "Cmd": null, "WorkingDir": "/srv", "Labels": null,
                "StopSignal": "SIGQUIT",
            },
            "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
        })
        .to_string();
        let texts = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
        };
        let wanted = ImageConfig {
            entrypoint: vec![String::from("/run")],
            command: Vec::new(),
            environment: texts(&[("PATH", "/bin"), ("EMPTY", "")]),
            work_dir: Some(String::from("/srv")),
            user: Some(String::from("root")),
            labels: BTreeMap::new(),
            ports: BTreeSet::from([String::from("80/tcp")]),
        };
        let read = configuration(text.as_bytes(), 1).unwrap();
        assert_eq!(read, Layers { diff_ids: vec![DIGEST.to_owned()], config: wanted });
        assert_eq!(
            configuration(text.as_bytes(), 2).unwrap_err(),
            "a configuration that belongs to other layers"
        );
    }
}
