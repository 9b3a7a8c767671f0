//! An engine of a test's own, and commands in its sandboxes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use pitlane_driver::{Connection, Driver as _, LaunchSpec, PoolKey, WantedPool};
use pitlane_engine::{Engine, EngineConfig, LaunchCommand, ObjectVolumes, volume_files_first_id};
use pitlane_image::Images;
use pitlane_model::{ImageName, Limits, NetworkPolicy, SandboxId};
use pitlane_network::{RouterConfig, RouterName, Subnet, Uplink, Upstreams};
use pitlane_objects::ObjectStorage;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An engine with folders of its own. Its launcher ends with [`Bench::close`].
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) folder: Folder,
}

/// The folders of an engine, which outlive it when it is started again.
pub(crate) struct Folder {
    root: PathBuf,
    name: String,
    /// Where volumes are kept, if they are objects.
    pub(crate) objects: Option<ObjectStorage>,
    /// Removes the folder at the end of the test that made it.
    _owned: Option<TempDir>,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) exit_code: i64,
    pub(crate) output: String,
}

pub(crate) fn image() -> ImageName {
    ImageName::new("default").expect("a legal name")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/engine is two folders deep")
        .to_owned()
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

/// The images that all tests share; the default one is prepared by whoever comes first.
pub(crate) fn images() -> Images {
    Images::new(variable("PITLANE_IMAGE_CACHE", ".cache/images"))
}

impl Folder {
    pub(crate) fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "real sandboxes need root\nhint: run the tests as root"
        );
        let owned =
            tempfile::Builder::new().prefix("pitlane-").tempdir().expect("a folder for the test");
        let mut random = [0u8; 5];
        getrandom::fill(&mut random).expect("randomness");
        let name = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { root: owned.path().to_owned(), name, objects: None, _owned: Some(owned) }
    }

    /// The folder of another process.
    pub(crate) fn of(root: PathBuf, name: String, objects: Option<ObjectStorage>) -> Self {
        Self { root, name, objects, _owned: None }
    }

    /// The same, with volumes in object storage.
    pub(crate) fn with_objects(self, objects: ObjectStorage) -> Self {
        Self { objects: Some(objects), ..self }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn config(&self, uplink: Uplink, upstreams: Upstreams, images: Images) -> EngineConfig {
        EngineConfig {
            state: self.state(),
            run: self.run(),
            state_id: self.name.clone(),
            launcher: LaunchCommand {
                program: std::env::current_exe().expect("a path"),
                arguments: vec!["launch".into(), self.run().into()],
            },
            daemon: daemon(),
            images,
            network: RouterConfig {
                name: RouterName::parse(&self.name).expect("hexadecimal"),
                subnet: Subnet::new("10.213.0.0/16".parse().expect("a network")).expect("a subnet"),
                allow_private: Vec::new(),
                uplink,
                upstreams,
            },
            first_id: 0x7000_0000,
            pool_memory_mib: None,
            volume_gib: 1,
            object_volumes: self.objects.clone().map(|storage| ObjectVolumes {
                storage,
                command: LaunchCommand {
                    program: std::env::current_exe().expect("a path"),
                    arguments: vec![pitlane_objects::VOLUME_FILES.into()],
                },
                first_id: volume_files_first_id(0x7000_0000),
            }),
            disk_overcommit: 0,
        }
    }
}

impl Bench {
    /// Starts an engine in fresh folders, without an uplink.
    pub(crate) async fn start() -> Self {
        Self::start_in(Folder::new()).await
    }

    /// Starts an engine in folders that another may have used.
    pub(crate) async fn start_in(folder: Folder) -> Self {
        Self::start_with(folder, Uplink::None, Upstreams::Fixed(Vec::new())).await
    }

    /// Starts an engine with a way out.
    pub(crate) async fn start_with(folder: Folder, uplink: Uplink, upstreams: Upstreams) -> Self {
        let bench = Self::start_on(folder, uplink, upstreams, images()).await;
        let (progress, _unwatched) = tokio::sync::mpsc::channel(1);
        bench
            .engine
            .prepare_image(&image().as_str().parse().expect("a name"), progress)
            .await
            .expect("the default image");
        bench.engine.keep_ready(vec![WantedPool {
            key: PoolKey::General,
            image: image(),
            limits: Limits::DEFAULT,
            count: 2,
        }]);
        bench
    }

    /// Starts an engine on other images.
    pub(crate) async fn start_on(
        folder: Folder,
        uplink: Uplink,
        upstreams: Upstreams,
        images: Images,
    ) -> Self {
        let config = folder.config(uplink, upstreams, images);
        let engine = Engine::start(config).await.expect("the engine starts");
        Self { engine, folder }
    }

    /// Makes a sandbox like most.
    pub(crate) async fn create(&self) -> SandboxId {
        let spec = spec();
        self.engine.create(&spec).await.expect("a sandbox");
        spec.id
    }

    /// Runs a command as the sandbox's user.
    pub(crate) async fn exec(&self, id: SandboxId, command: &str) -> Done {
        self.execute(id, json!({"command": command})).await
    }

    /// Runs a command as the sandbox's root.
    pub(crate) async fn sudo(&self, id: SandboxId, command: &str) -> Done {
        self.exec(id, &format!("sudo -n bash -c {}", quote(command))).await
    }

    /// Runs a Python program as the sandbox's root.
    pub(crate) async fn sudo_python(&self, id: SandboxId, program: &str) -> Done {
        self.exec(id, &format!("sudo -n python3 -c {}", quote(program))).await
    }

    /// A connection to a sandbox's daemon.
    pub(crate) async fn connect(&self, id: SandboxId) -> Connection {
        self.engine.connect(id).await.expect("a connection")
    }

    pub(crate) async fn execute(&self, id: SandboxId, request: Value) -> Done {
        let (status, body) = post(self.connect(id).await, "/process/execute", request).await;
        assert_eq!(status, 200, "{body}");
        Done {
            exit_code: body["exitCode"].as_i64().expect("an exit code"),
            output: body["result"].as_str().expect("a result").to_owned(),
        }
    }

    /// Destroys every sandbox and ends the engine and its launcher; checks that nothing is left.
    pub(crate) async fn close(self) {
        for existing in self.engine.inventory().await.expect("an inventory") {
            self.engine.destroy(existing.id).await.expect("a sandbox can be destroyed");
        }
        self.engine.close().await;
        drop(self.engine);
        let socket = self.folder.run().join("launcher-1.sock");
        wait_until("the launcher ends", || {
            std::os::unix::net::UnixStream::connect(&socket).is_err()
        })
        .await;
        assert_eq!(files(&self.folder.state().join("disks/owned")), Vec::<String>::new());
        assert_eq!(files(&self.folder.state().join("disks/prepared")), Vec::<String>::new());
        assert!(!self.folder.run().exists(), "{:?}", files(&self.folder.run()));
        assert_eq!(groups(self.folder.name()), Vec::<PathBuf>::new());
    }
}

/// Names in a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The control groups of an engine's sandboxes.
pub(crate) fn groups(name: &str) -> Vec<PathBuf> {
    ["memory", "cpu", "pids", "."]
        .iter()
        .map(|hierarchy| Path::new("/sys/fs/cgroup").join(hierarchy).join("pitlane").join(name))
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect()
}

/// Process 1 of a sandbox, as the host sees it.
pub(crate) fn first_process(
    state: &Path,
    name: &str,
    id: SandboxId,
) -> Option<rustix::process::Pid> {
    let disk = files(&state.join("disks/owned"))
        .into_iter()
        .find(|file| file.starts_with(&id.to_string()))?;
    let slot = format!("slot-{}", disk.split('.').nth(1)?);
    let group = groups(name).into_iter().find(|group| group.ends_with(&slot))?;
    // On version 2 it is in a leaf of the group.
    let leaf = group.join("daemon");
    let group = if leaf.is_dir() { leaf } else { group };
    let processes = std::fs::read_to_string(group.join("cgroup.procs")).ok()?;
    rustix::process::Pid::from_raw(processes.lines().next()?.parse().ok()?)
}

/// The launcher of a run-time folder.
pub(crate) fn launcher(run: &Path) -> Option<rustix::process::Pid> {
    let run = run.to_string_lossy();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        let is_launcher =
            line.split('\0').any(|argument| argument == "launch") && line.contains(&*run);
        if is_launcher {
            rustix::process::Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)
        } else {
            None
        }
    })
}

/// A sandbox like most, with an id of its own.
pub(crate) fn spec() -> LaunchSpec {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let mut id = [0u8; 16];
    getrandom::fill(&mut id).expect("randomness");
    id[15] = COUNT.fetch_add(1, Ordering::Relaxed);
    LaunchSpec {
        id: SandboxId::from_random(id),
        image: image(),
        limits: Limits::DEFAULT,
        network: NetworkPolicy::Open,
        user: String::from("daytona"),
        environment: BTreeMap::new(),
        entrypoint: Vec::new(),
        pools: vec![PoolKey::General],
        volumes: Vec::new(),
    }
}

/// Quotes a text for a shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Sends a request to a daemon.
pub(crate) async fn post(connection: Connection, path: &str, body: Value) -> (u16, Value) {
    let request = hyper::Request::post(path)
        .header("host", "sandbox")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a request");
    send(connection, request).await
}

/// Asks a daemon for something.
pub(crate) async fn get(connection: Connection, path: &str) -> (u16, Value) {
    let request = hyper::Request::get(path).header("host", "sandbox").body(Full::default());
    send(connection, request.expect("a request")).await
}

async fn send(connection: Connection, request: hyper::Request<Full<Bytes>>) -> (u16, Value) {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.expect("a handshake");
    let exchange = async {
        let response = sender.send_request(request).await.expect("a response");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    };
    tokio::select! {
        answered = exchange => answered,
        ended = connection => panic!("the daemon hung up: {ended:?}"),
    }
}

/// Waits for a condition, a minute at most.
pub(crate) async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
