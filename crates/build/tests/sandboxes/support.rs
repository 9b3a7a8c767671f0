//! A builder of a test's own, and looks into what it has built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use pitlane_build::{BuildError, BuildRequest, BuildSettings, Builder, Log};
use pitlane_driver::{Driver, LaunchSpec, PreparedImage};
use pitlane_engine::{Engine, EngineConfig, LaunchCommand};
use pitlane_image::Images;
use pitlane_model::{ImageAccess, ImageOwner, ImageReference, Limits, NetworkPolicy, SandboxId};
use pitlane_network::{RouterConfig, RouterName, Subnet, Uplink, Upstreams};
use tempfile::TempDir;

/// An engine with folders of its own, and a builder on it.
pub(crate) struct Site {
    pub(crate) engine: Arc<Engine>,
    pub(crate) builder: Builder,
    pub(crate) folder: TempDir,
    name: String,
}

/// What came of a build.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) built: Result<PreparedImage, BuildError>,
    pub(crate) log: String,
}

pub(crate) fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).expect("crates/build is two folders deep").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "tests are told by variables what to test")]
fn variable(name: &str, otherwise: &str) -> PathBuf {
    std::env::var(name).map_or_else(|_unset| repository().join(otherwise), PathBuf::from)
}

fn daemon() -> Vec<u8> {
    let path = variable("PITLANE_DAEMON", "target/x86_64-unknown-linux-musl/debug/pitlane-daemon");
    std::fs::read(&path).unwrap_or_else(|cause| {
        panic!("no daemon at {}: {cause}\nhint: build it with `cargo xtask daemon`", path.display())
    })
}

/// Images of a test's own, in which the shared default ones are as well.
fn images(folder: &Path) -> Images {
    let shared = variable("PITLANE_IMAGE_CACHE", ".cache/images");
    let own = folder.join("images");
    std::fs::create_dir_all(&own).expect("a folder");
    for entry in std::fs::read_dir(&shared).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("default-") {
            std::os::unix::fs::symlink(entry.path(), own.join(name)).expect("a link");
        }
    }
    Images::new(own)
}

pub(crate) fn access() -> ImageAccess {
    ImageAccess { owner: ImageOwner::from_random([7; 16]), logins: Vec::new() }
}

/// Asks for an image.
pub(crate) fn request(dockerfile: &str) -> BuildRequest {
    BuildRequest {
        dockerfile: dockerfile.to_owned(),
        contexts: Vec::new(),
        arguments: BTreeMap::new(),
        target: None,
        limits: Limits::DEFAULT,
        access: access(),
        reference: ImageReference::own("tests", "built").expect("a name"),
        no_cache: false,
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(BuildSettings::default()).await
    }

    pub(crate) async fn start_with(settings: BuildSettings) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "real sandboxes need root\nhint: run the tests as root"
        );
        let folder =
            tempfile::Builder::new().prefix("BUILD-").tempdir().expect("a folder for the test");
        let mut random = [0u8; 5];
        getrandom::fill(&mut random).expect("randomness");
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let run = folder.path().join("run");
        let config = EngineConfig {
            state: folder.path().join("state"),
            run: run.clone(),
            state_id: name.clone(),
            launcher: LaunchCommand {
                program: std::env::current_exe().expect("a path"),
                arguments: vec!["launch".into(), run.into()],
            },
            daemon: daemon(),
            images: images(folder.path()),
            network: RouterConfig {
                name: RouterName::parse(&name).expect("hexadecimal"),
                subnet: Subnet::new("10.214.0.0/16".parse().expect("a network")).expect("a subnet"),
                allow_private: Vec::new(),
                uplink: Uplink::None,
                upstreams: Upstreams::Fixed(Vec::new()),
            },
            first_id: 0x7000_0000,
            pool_memory_mib: None,
            volume_gib: 1,
            object_volumes: None,
            disk_overcommit: 0,
        };
        let engine = Arc::new(Engine::start(config).await.expect("the engine starts"));
        let driver: Arc<dyn Driver> = Arc::clone(&engine) as Arc<dyn Driver>;
        Self { engine, builder: Builder::new(driver, settings), folder, name }
    }

    pub(crate) async fn build(&self, request: BuildRequest) -> Outcome {
        let said = Arc::new(Mutex::new(Vec::new()));
        let log = Log::new({
            let said = Arc::clone(&said);
            move |piece| said.lock().unwrap().extend_from_slice(&piece)
        });
        let built = self.builder.build(request, log).await;
        let log = String::from_utf8_lossy(&said.lock().unwrap()).into_owned();
        Outcome { built, log }
    }

    /// Builds, and runs a command in a sandbox of the image.
    pub(crate) async fn try_out(&self, request: BuildRequest, command: &str) -> String {
        let Outcome { built, log } = self.build(request).await;
        let image = built.unwrap_or_else(|error| panic!("{error}\n{log}"));
        self.run_in(&image, command).await
    }

    /// Runs a command as root in a sandbox of an image.
    pub(crate) async fn run_in(&self, image: &PreparedImage, command: &str) -> String {
        let mut id = [0u8; 16];
        getrandom::fill(&mut id).expect("randomness");
        let spec = LaunchSpec {
            id: SandboxId::from_random(id),
            image: image.image.clone(),
            limits: Limits::DEFAULT,
            network: NetworkPolicy::Open,
            user: String::from("0"),
            environment: BTreeMap::new(),
            entrypoint: Vec::new(),
            pools: Vec::new(),
            volumes: Vec::new(),
        };
        self.engine.create(&spec).await.expect("a sandbox");
        let body = serde_json::json!({"command": command}).to_string();
        let connection = self.engine.connect(spec.id).await.expect("a connection");
        let (mut sender, moving) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
        let exchange = async {
            let request = hyper::Request::post("/process/execute")
                .header("host", "sandbox")
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body)))
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        };
        let bytes = tokio::select! {
            bytes = exchange => bytes,
            _ = moving => panic!("the daemon hung up"),
        };
        self.engine.destroy(spec.id).await.expect("it can be destroyed");
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        answer["result"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Ends the engine; checks that the builds have left nothing.
    pub(crate) async fn close(self) {
        self.builder.finish().await;
        assert_eq!(self.engine.inventory().await.expect("an inventory"), Vec::new());
        self.engine.close().await;
        let Self { engine, builder, folder, name } = self;
        drop((builder, engine));
        let disks = folder.path().join("state/disks/owned");
        assert_eq!(std::fs::read_dir(disks).unwrap().count(), 0);
        let groups = ["memory", "cpu", "pids", "."]
            .iter()
            .filter_map(|hierarchy| {
                let group = Path::new("/sys/fs/cgroup").join(hierarchy).join("pitlane").join(&name);
                std::fs::read_dir(group).ok()
            })
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect::<Vec<_>>();
        assert_eq!(groups, Vec::<PathBuf>::new());
    }
}

/// An archive as the Python SDK sends it.
pub(crate) fn context(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(if path.ends_with(".sh") { 0o755 } else { 0o644 });
        header.set_mtime(1_700_000_000);
        header.set_uid(1234);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    keep(folder, &archive.into_inner().unwrap())
}

/// Bytes as a context.
pub(crate) fn keep(folder: &Path, bytes: &[u8]) -> PathBuf {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).unwrap();
    let path = folder.join(format!("context-{:016x}.tar", u64::from_le_bytes(random)));
    std::fs::write(&path, bytes).unwrap();
    path
}
