//! A server of one test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use pitlane_api::{ApiSettings, Door, Metrics, ObjectStorage, Probe, RateLimits};
use pitlane_control::{
    AddSnapshot, Clock, Control, ImageBuilder, NoBuilder, Parts, Policy, Random, ServerSecret,
};
use pitlane_driver::fake::{FakeDriver, Fault, Operation, Service};
use pitlane_model::{
    ApiKey, KeyHash, KeyId, Limits, Organization, OrganizationId, Permission, RegistryLogin,
    Timestamp,
};
use pitlane_store::Store;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::daemon::{self, Seen};
use crate::http::{Answer, DEADLINE, call, request};

const KEY: &str = "dtn_first";
const OTHER_KEY: &str = "dtn_other";

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    /// What daemons were asked.
    pub(crate) seen: Seen,
    driver: FakeDriver,
    stop: CancellationToken,
    serving: tokio::sync::Mutex<JoinSet<()>>,
    early: tokio::sync::Mutex<JoinSet<Answer>>,
    metrics: Option<SocketAddr>,
    _measuring: JoinSet<()>,
    _state: TempDir,
}

/// Makes what builds images on a driver.
pub(crate) type MakeBuilder = Box<dyn FnOnce(&FakeDriver) -> Arc<dyn ImageBuilder> + Send>;

/// What makes one test's server unlike another's.
pub(crate) struct Options {
    /// What builds images on the driver; nothing if not said otherwise.
    pub(crate) builder: MakeBuilder,
    /// Speaks for every daemon; the one of [`daemon`] if `None`.
    pub(crate) service: Option<Service>,
    /// Whether figures are told, at [`Server::metrics`]. Once in a process.
    pub(crate) is_measured: bool,
    /// What a client asks before the server has started.
    pub(crate) early: Option<&'static str>,
    pub(crate) max_connections: usize,
    pub(crate) rate_limits: RateLimits,
    pub(crate) probes: Vec<Probe>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            builder: Box::new(|_driver| Arc::new(NoBuilder)),
            service: None,
            is_measured: false,
            early: None,
            max_connections: 1000,
            rate_limits: RateLimits::default(),
            probes: Vec::new(),
        }
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let figures = options.is_measured.then(|| Metrics::install("0.0.0-test").unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let door = Door::open(listener, "api", options.max_connections, stop.clone());
        let mut early = JoinSet::new();
        if let Some(path) = options.early {
            early.spawn(call(address, request(Method::GET, path, None, "")));
        }
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(&state.path().join("test.db")).unwrap();
        for (number, text) in [(1, KEY), (2, OTHER_KEY)] {
            let (organization, key) = organization(number, text);
            store.insert_organization(organization, key).await.unwrap();
        }
        let seen = Seen::new();
        let heard = seen.clone();
        let driver = FakeDriver::new(options.service.unwrap_or_else(|| {
            Arc::new(move |_inside, stream| Box::pin(daemon::serve(stream, heard.clone())))
        }));
        let parts = Parts {
            store,
            driver: Arc::new(driver.clone()),
            builder: (options.builder)(&driver),
            build_logs: state.path().join("build-logs"),
            clock: Clock::system(),
            random: Random::system(),
            secret: ServerSecret::new([7; 32]),
            policy: Policy::standard(),
        };
        let control = Control::start(parts).await.unwrap();
        let snapshot = AddSnapshot {
            name: "default".to_owned(),
            image: "debian".parse().unwrap(),
            limits: Limits::DEFAULT,
        };
        control.snapshots().add(snapshot, mpsc::channel(1).0).await.unwrap();
        let settings = ApiSettings {
            version: "0.0.0-test".to_owned(),
            public_url: None,
            storage: ObjectStorage {
                url: None,
                https_port: None,
                bucket: "bucket",
                region: "us-east-1",
            },
            rate_limits: options.rate_limits,
            probes: options.probes,
        };
        let mut serving = JoinSet::new();
        let mut measuring = JoinSet::new();
        let mut metrics = None;
        if let Some(figures) = figures {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            metrics = Some(listener.local_addr().unwrap());
            measuring.spawn(figures.serve(listener, control.clone(), stop.clone()));
        }
        door.admit(control, settings);
        serving.spawn(door.serve());
        let serving = tokio::sync::Mutex::new(serving);
        let early = tokio::sync::Mutex::new(early);
        Self {
            address,
            key: KEY.to_owned(),
            seen,
            driver,
            stop,
            serving,
            early,
            metrics,
            _measuring: measuring,
            _state: state,
        }
    }

    /// Reads the figures until one has this value: `name{label="value"}`.
    pub(crate) async fn measured(&self, name: &str, value: u64) {
        let wanted = format!("{name} {value}");
        let mut text = String::new();
        let reading = async {
            while !text.lines().any(|line| line == wanted) {
                let sent = request(Method::GET, "/metrics", None, "");
                let answer = call(self.metrics.unwrap(), sent).await;
                text = String::from_utf8(answer.body).unwrap();
            }
        };
        let read = tokio::time::timeout(DEADLINE, reading).await;
        assert!(read.is_ok(), "{wanted} is not in\n{text}");
    }

    /// What the client got that came before the server had started.
    pub(crate) async fn early_answer(&self) -> Answer {
        let mut early = self.early.lock().await;
        tokio::time::timeout(DEADLINE, early.join_next()).await.unwrap().unwrap().unwrap()
    }

    /// The key of another organization.
    pub(crate) fn other_organization(&self) -> String {
        OTHER_KEY.to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        call(self.address, request(Method::GET, path, Some(&self.key), "")).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        call(self.address, request(Method::POST, path, Some(&self.key), body.to_owned())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        call(self.address, request(Method::DELETE, path, Some(&self.key), "")).await
    }

    /// A key of the other organization that may do all but what an operator may.
    pub(crate) async fn stranger(&self) -> String {
        let words = Permission::ALL.map(Permission::as_str);
        let permissions: Vec<_> =
            words.into_iter().filter(|word| *word != "manage:organizations").collect();
        let body = serde_json::json!({"name": "stranger", "permissions": permissions}).to_string();
        let sent = request(Method::POST, "/api/api-keys", Some(OTHER_KEY), body);
        call(self.address, sent).await.json()["value"].as_str().expect("a key").to_owned()
    }

    /// Makes a key of this name with these permissions and returns its text.
    pub(crate) async fn key_for(&self, name: &str, permissions: &[&str]) -> String {
        let body = serde_json::json!({"name": name, "permissions": permissions}).to_string();
        let answer = self.post("/api/api-keys", &body).await;
        answer.json()["value"].as_str().expect("a key").to_owned()
    }

    /// Makes a plain sandbox and returns its id.
    pub(crate) async fn create(&self) -> String {
        let answer = self.post("/api/sandbox", "{}").await;
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Asks for `path` until the answer is as wanted.
    pub(crate) async fn eventually(&self, path: &str, is_wanted: impl Fn(&Answer) -> bool) {
        let asking = async {
            while !is_wanted(&self.get(path).await) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("it never became so");
    }

    /// Has a registry give images for this login alone.
    pub(crate) fn guard_registry(&self, login: RegistryLogin) {
        self.driver.guard_registry(login);
    }

    pub(crate) fn fail_next_create(&self, fault: Fault) {
        self.driver.fail_next(Operation::Create, fault);
    }

    /// Has the kernel kill processes of a sandbox for want of memory.
    pub(crate) fn run_out_of_memory(&self, id: &str, killed: u64) {
        self.driver.run_out_of_memory(id.parse().unwrap(), killed);
    }

    /// Has the server stop in good order.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let mut serving = self.serving.lock().await;
        tokio::time::timeout(DEADLINE, serving.join_next()).await.unwrap().unwrap().unwrap();
        assert_eq!(self.driver.misuses(), [""; 0]);
    }

    /// Has the server end at once.
    pub(crate) async fn cut_off(&self) {
        self.serving.lock().await.shutdown().await;
    }
}

fn organization(number: u8, key: &str) -> (Organization, ApiKey) {
    let organization = OrganizationId::from_random([number; 16]);
    let now = Timestamp::from_micros(1_787_227_200_000_000);
    let row = Organization { id: organization, name: number.to_string(), created_at: now };
    let key = ApiKey {
        id: KeyId::from_random([number; 16]),
        organization,
        name: "administrator".to_owned(),
        hash: KeyHash(Sha256::digest(key).into()),
        hint: "dtn_…".to_owned(),
        permissions: Permission::ALL.to_vec(),
        created_at: now,
        expires_at: None,
        last_used_at: None,
    };
    (row, key)
}
