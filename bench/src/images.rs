//! An image from a registry on this machine, until its files are there: Pitlane's way, and `skopeo copy` with `tar`.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::options::Options;
use crate::program::{command, output};
use crate::results::Images;
use crate::samples::Samples;

/// How often each is measured, in turns.
const TIMES: usize = 7;
/// What its layers are made of: folders of the default image. Together they travel as about 150 MB.
const LAYERS: [&[&str]; 3] =
    [&["usr/bin", "usr/sbin", "etc"], &["usr/lib/x86_64-linux-gnu"], &["usr/share"]];
const IMAGE: &str = "bench/image:1";

/// Measures it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Images> {
    let scratch = tempfile::Builder::new().prefix("images-").tempdir_in(&options.scratch)?;
    let registry = Registry::start(scratch.path()).await?;
    registry.fill(options, scratch.path())?;
    let bytes = registry.size()?;
    let mut images =
        Images { megabytes: bytes / 1_000_000, pull: Samples::default(), peer: Samples::default() };
    for _ in 0..TIMES {
        images.pull.push(pull(options, &registry, scratch.path())?);
        images.peer.push(peer(&registry, scratch.path())?);
    }
    Ok(images)
}

/// Debian's registry, which ends with the value.
struct Registry {
    name: String,
    process: Child,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It has no more to do; whether it ended already does not matter.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Registry {
    async fn start(scratch: &Path) -> anyhow::Result<Self> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration = serde_json::json!({
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": scratch.join("registry")}},
            "http": {"addr": free.to_string()},
        });
        let path = scratch.join("registry.json");
        std::fs::write(&path, configuration.to_string())?;
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(scratch.join("registry.log"))?;
        let process = command("docker-registry", [Path::new("serve"), &path])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start docker-registry: apt-get install docker-registry")?;
        let registry = Self { name: free.to_string(), process };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(free).is_err() {
            ensure!(Instant::now() < deadline, "the registry does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(registry)
    }

    /// Puts an image of the default image's files there.
    fn fill(&self, options: &Options, scratch: &Path) -> anyhow::Result<()> {
        let root = newest(&options.image_cache)?;
        let mut archives = Vec::new();
        for (number, folders) in LAYERS.iter().enumerate() {
            let archive = scratch.join(format!("{number}.tar"));
            let mut tar = command("tar", ["--create", "--file"]);
            output(tar.arg(&archive).arg("--directory").arg(&root).args(*folders))?;
            archives.push(archive.to_string_lossy().into_owned());
        }
        let source = format!("tarball:{}", archives.join(":"));
        let target = format!("docker://{}/{IMAGE}", self.name);
        let flags = ["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"];
        output(command("skopeo", flags).args([source, target]))?;
        archives.iter().try_for_each(std::fs::remove_file).context("cannot remove an archive")
    }

    /// Bytes of its layers as they travel.
    fn size(&self) -> anyhow::Result<u64> {
        let target = format!("docker://{}/{IMAGE}", self.name);
        let inspected =
            output(command("skopeo", ["inspect", "--raw", "--tls-verify=false"]).arg(target))?;
        let manifest: serde_json::Value = serde_json::from_str(&inspected)?;
        let layers = manifest["layers"].as_array().context("a manifest has layers")?;
        Ok(layers.iter().filter_map(|layer| layer["size"].as_u64()).sum())
    }
}

/// The default image's files.
fn newest(cache: &Path) -> anyhow::Result<PathBuf> {
    for entry in std::fs::read_dir(cache)? {
        let path = entry?.path();
        let is_it = path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("default-"));
        if is_it && path.join("rootfs/usr/bin").is_dir() {
            return Ok(path.join("rootfs"));
        }
    }
    bail!("{} has no default image: start a server once", cache.display())
}

fn pull(options: &Options, registry: &Registry, scratch: &Path) -> anyhow::Result<Duration> {
    let cache = scratch.join("cache");
    let started = Instant::now();
    let mut pull = command(&options.pitlane, ["image", "pull", "--registry-plain"]);
    output(
        pull.arg(&registry.name)
            .arg(format!("{}/{IMAGE}", registry.name))
            .arg("--image-cache")
            .arg(&cache),
    )?;
    let took = started.elapsed();
    std::fs::remove_dir_all(&cache)?;
    Ok(took)
}

fn peer(registry: &Registry, scratch: &Path) -> anyhow::Result<Duration> {
    let (fetched, root) = (scratch.join("fetched"), scratch.join("root"));
    std::fs::create_dir(&root)?;
    let started = Instant::now();
    let flags = ["copy", "--quiet", "--insecure-policy", "--src-tls-verify=false"];
    let source = format!("docker://{}/{IMAGE}", registry.name);
    output(command("skopeo", flags).arg(source).arg(format!("dir:{}", fetched.display())))?;
    let manifest = std::fs::read_to_string(fetched.join("manifest.json"))?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    for layer in manifest["layers"].as_array().context("a manifest has layers")? {
        let digest = layer["digest"].as_str().unwrap_or_default();
        let archive = fetched.join(digest.trim_start_matches("sha256:"));
        let mut tar = command("tar", ["--extract", "--gzip", "--file"]);
        output(tar.arg(archive).arg("--directory").arg(&root))?;
    }
    let took = started.elapsed();
    std::fs::remove_dir_all(&fetched)?;
    std::fs::remove_dir_all(&root)?;
    Ok(took)
}
