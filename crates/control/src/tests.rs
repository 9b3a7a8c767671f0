//! The platform over the fake driver and a real database, seen only from outside.

mod behaviour;
mod busy;
mod crash;
mod crowd;
mod images;
mod keys;
mod lifecycle;
mod model;
mod of_sandboxes;
mod organizations;
mod pools;
mod previews;
mod property;
mod registries;
mod restart;
mod signing;
mod story;
mod timers;
mod volumes;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use pitlane_driver::fake::FakeDriver;
use pitlane_driver::{Existing, Liveness};
use pitlane_model::{
    ImageName, Limits, Sandbox, SandboxId, SandboxName, SandboxState, Snapshot, Timestamp,
};
use pitlane_store::Store;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::{
    AddSnapshot, Clock, Control, CreateSandbox, ListSandboxes, Parts, Policy, Presence, Principal,
    Random, SandboxFilter, SandboxOrder,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// A machine: what stays when a server ends.
struct Machine {
    folder: TempDir,
    driver: FakeDriver,
    builder: images::Builder,
    /// Microseconds since the epoch, as the clock says.
    now: Arc<AtomicI64>,
    /// How long the machine has run, in microseconds.
    uptime: watch::Sender<i64>,
    token: std::sync::OnceLock<String>,
}

/// A server on a machine, and a caller who may do everything.
struct Server {
    control: Control,
    store: Store,
    principal: Principal,
    driver: FakeDriver,
}

impl Machine {
    fn new() -> Self {
        let driver = FakeDriver::answering(|inside, _request| {
            Response::new(Bytes::from(format!("hello from {}", inside.id)))
        });
        let folder = TempDir::new().unwrap();
        Self {
            folder,
            builder: images::Builder::new(driver.clone()),
            driver,
            now: Arc::new(AtomicI64::new(1_000_000)),
            uptime: watch::Sender::new(0),
            token: Default::default(),
        }
    }

    /// Lets time pass.
    fn advance_clock(&self, by: Duration) -> Timestamp {
        let micros = i64::try_from(by.as_micros()).unwrap();
        let now = self.now.fetch_add(micros, Ordering::SeqCst) + micros;
        self.uptime.send_modify(|uptime| *uptime += micros);
        Timestamp::from_micros(now)
    }

    /// Sets the clock without letting time pass.
    fn set_clock(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// A clock that stands still but for [`Self::advance_clock`] and [`Self::set_clock`].
    fn clock(&self) -> Clock {
        let (now, uptime) = (Arc::clone(&self.now), self.uptime.subscribe());
        let steady = self.uptime.subscribe();
        Clock::made_of(
            move || Timestamp::from_micros(now.load(Ordering::SeqCst)),
            move || Duration::from_micros(steady.borrow().unsigned_abs()),
            move |time| {
                let mut uptime = uptime.clone();
                let until = *uptime.borrow() + i64::try_from(time.as_micros()).unwrap();
                Box::pin(async move {
                    // Whoever held the time is gone, and it stands still for ever.
                    if uptime.wait_for(|uptime| *uptime >= until).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
            },
        )
    }

    fn open_store(&self) -> Store {
        Store::open(&self.folder.path().join("pitlane.db")).unwrap()
    }

    async fn start_without_snapshot(&self) -> Server {
        self.start_with(Policy::standard()).await
    }

    async fn start_with(&self, policy: Policy) -> Server {
        let store = self.open_store();
        let control = Control::start(Parts {
            store: store.clone(),
            driver: Arc::new(self.driver.clone()),
            builder: Arc::new(self.builder.clone()),
            build_logs: self.folder.path().join("build-logs"),
            clock: self.clock(),
            random: Random::system(),
            secret: crate::ServerSecret::new([7; 32]),
            policy,
        })
        .await
        .unwrap();
        if let Some(text) = control.keys().bootstrap(|_| Ok(())).await.unwrap() {
            self.token.set(text.expose().to_owned()).unwrap();
        }
        let principal = control.keys().authenticate(self.token.get().unwrap()).unwrap();
        Server { control, store, principal, driver: self.driver.clone() }
    }

    async fn start(&self) -> Server {
        let server = self.start_without_snapshot().await;
        server.add_snapshot("default").await;
        server
    }
}

impl Server {
    async fn add_snapshot(&self, name: &str) -> Snapshot {
        let (progress, _) = mpsc::channel(1);
        let request = AddSnapshot {
            name: name.to_owned(),
            image: "image".parse().unwrap(),
            limits: Limits::DEFAULT,
        };
        self.control.snapshots().add(request, progress).await.unwrap()
    }

    async fn create(&self, name: &str) -> Arc<Sandbox> {
        self.control.sandboxes().create(&self.principal, named(name)).await.unwrap()
    }

    /// The state of the sandbox of this name; `None` if there is none.
    fn state(&self, id_or_name: &str) -> Option<SandboxState> {
        self.control.sandboxes().find(&self.principal, id_or_name).ok().map(|found| found.state)
    }

    /// The rows of every sandbox that is listed, by name.
    async fn rows(&self) -> Vec<Sandbox> {
        let request = ListSandboxes {
            filter: SandboxFilter::default(),
            order: SandboxOrder::DEFAULT,
            limit: u32::MAX,
            cursor: None,
        };
        let sandboxes = self.control.sandboxes();
        let page = sandboxes.list(&self.principal, request).await.unwrap();
        let is_listed = |row: &Sandbox| page.items.iter().any(|item| item.spec.id == row.spec.id);
        let stored = sandboxes.platform().store.all_sandboxes().await.unwrap();
        let rows = stored.into_iter().map(|row| row.sandbox);
        let mut rows: Vec<Sandbox> = rows.filter(is_listed).collect();
        rows.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        rows
    }

    /// Waits until nothing of this id is left: neither in memory, nor in the database, nor on the machine.
    async fn until_gone(&self, id: SandboxId) {
        eventually("the sandbox is gone", async || {
            self.state(&id.to_string()).is_none()
                && self.rows().await.iter().all(|row| row.spec.id != id)
                && self.driver.existing().iter().all(|existing| existing.id != id)
        })
        .await;
    }

    async fn until_state(&self, id: SandboxId, state: SandboxState) {
        eventually("the sandbox is in the state", async || {
            self.state(&id.to_string()) == Some(state)
                && self.rows().await.iter().any(|row| row.spec.id == id && row.state == state)
        })
        .await;
    }

    async fn shut_down(self) {
        self.control.shut_down(DEADLINE).await;
        assert_eq!(self.driver.misuses(), Vec::<String>::new());
    }
}

fn named(name: &str) -> CreateSandbox {
    CreateSandbox { name: Some(SandboxName::new(name).unwrap()), ..CreateSandbox::plain() }
}

/// What `id_or_name` names, as a caller sees it.
fn find(server: &Server, id_or_name: &str) -> Arc<Sandbox> {
    server.control.sandboxes().find(&server.principal, id_or_name).unwrap()
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

fn ephemeral(name: &str) -> CreateSandbox {
    let mut request = named(name);
    request.lifecycle.auto_delete = Some(0);
    request
}

fn running(id: SandboxId) -> Existing {
    Existing { id, liveness: Liveness::Running }
}

fn stopped(id: SandboxId) -> Existing {
    Existing { id, liveness: Liveness::Stopped }
}

/// Looks again and again until it is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        while !is_so().await {
            looks.tick().await;
        }
    };
    if tokio::time::timeout(DEADLINE, looking).await.is_err() {
        panic!("not in time: {what}");
    }
}
