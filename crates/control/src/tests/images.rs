//! Sandboxes and snapshots whose images have to be pulled or built first.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use pitlane_driver::fake::{Fault, Moment, Operation};
use pitlane_driver::{Driver as _, LaunchSpec, PreparedImage};
use pitlane_model::{Build, ImageConfig, NetworkPolicy, OrganizationId, SnapshotState};

use super::*;
use crate::{
    BuildOrder, CreateError, CreateSnapshot, CreateSnapshotError, Event, ImageBuilder, NoBuild,
    RequestedLimits, SnapshotSource, Source, Transcript,
};

/// A builder whose Dockerfiles say what it does, line by line: `SAY text`, `WAIT` until the test opens the door,
/// `BENCH` to have a sandbox of its own, which must be there until the end, `FAIL why`, `HOST`. The image runs as user
/// `builder`.
#[derive(Debug, Clone)]
pub(super) struct Builder {
    driver: FakeDriver,
    begun: Arc<Mutex<BTreeMap<String, usize>>>,
    is_open: Arc<watch::Sender<bool>>,
}

impl Builder {
    pub(super) fn new(driver: FakeDriver) -> Self {
        Self { driver, begun: Arc::default(), is_open: Arc::new(watch::Sender::new(false)) }
    }

    /// How often a build of this Dockerfile has begun.
    fn begun(&self, dockerfile: &str) -> usize {
        self.begun.lock().unwrap().get(dockerfile).copied().unwrap_or(0)
    }

    fn open(&self) {
        self.is_open.send_replace(true);
    }

    async fn make_bench(&self) -> SandboxId {
        let id = SandboxId::from_random(Random::system().bytes().unwrap());
        let spec = LaunchSpec {
            id,
            image: ImageName::scratch(),
            limits: Limits::DEFAULT,
            network: NetworkPolicy::Open,
            user: "0".to_owned(),
            environment: BTreeMap::new(),
            entrypoint: Vec::new(),
            pools: Vec::new(),
            volumes: Vec::new(),
        };
        self.driver.create(&spec).await.unwrap();
        id
    }
}

#[async_trait]
impl ImageBuilder for Builder {
    async fn check(&self, _organization: OrganizationId, build: &Build) -> Result<(), String> {
        match build.dockerfile.contains("NONSENSE") {
            true => Err("line 1: NONSENSE is no instruction".to_owned()),
            false => Ok(()),
        }
    }

    async fn build(
        &self,
        order: BuildOrder,
        transcript: Arc<Transcript>,
    ) -> Result<PreparedImage, NoBuild> {
        let dockerfile = &order.build.dockerfile;
        *self.begun.lock().unwrap().entry(dockerfile.clone()).or_default() += 1;
        let mut bench = None;
        for line in dockerfile.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("BENCH", _) => bench = Some(self.make_bench().await),
                ("SAY", text) => transcript.write(format!("{text}\n").as_bytes()),
                ("WAIT", _) => drop(self.is_open.subscribe().wait_for(|is_open| *is_open).await),
                ("FAIL", why) => return Err(NoBuild::Failed { reason: why.to_owned() }),
                ("HOST", _) => return Err(NoBuild::Host { cause: "secret of the host".into() }),
                _ => {}
            }
        }
        if let Some(bench) = bench {
            // The test fails by what the image says.
            let lost = |cause: pitlane_driver::ConnectError| NoBuild::Host { cause: cause.into() };
            drop(self.driver.connect(bench).await.map_err(lost)?);
        }
        let config = ImageConfig { user: Some("builder".to_owned()), ..ImageConfig::default() };
        let scratch = ImageName::scratch();
        let made = self.driver.derive_image(&scratch, &config, &order.reference);
        made.await.map_err(|cause| NoBuild::Host { cause: cause.into() })
    }
}

fn build(dockerfile: &str) -> Build {
    Build { dockerfile: dockerfile.to_owned(), ..Build::default() }
}

fn built(name: &str, dockerfile: &str) -> CreateSandbox {
    CreateSandbox { source: Source::Build(build(dockerfile)), ..named(name) }
}

fn pulled(name: &str) -> CreateSandbox {
    CreateSandbox { source: Source::Image("app:1".parse().unwrap()), ..named(name) }
}

fn snapshot(name: &str, dockerfile: &str) -> CreateSnapshot {
    CreateSnapshot {
        name: name.to_owned(),
        source: SnapshotSource::Build(build(dockerfile)),
        entrypoint: None,
        limits: RequestedLimits::default(),
    }
}

impl Server {
    async fn accept(&self, request: CreateSandbox) -> Arc<Sandbox> {
        self.control.sandboxes().create(&self.principal, request).await.unwrap()
    }

    async fn until_snapshot(&self, name: &str, state: SnapshotState) -> Snapshot {
        let find = || self.control.snapshots().find(&self.principal, name).unwrap();
        eventually("the snapshot is in the state", async || find().state == state).await;
        find()
    }

    /// What was written, to its end.
    async fn follow(&self, name: &str) -> String {
        let mut log = self.control.sandboxes().build_log(&self.principal, name).unwrap();
        let mut text = Vec::new();
        while let Some(piece) = log.next().await {
            text.extend(piece);
        }
        String::from_utf8(text).unwrap()
    }
}

#[tokio::test]
async fn a_sandbox_whose_image_is_built_is_told_of_at_once_and_made_afterwards() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut events = server.control.events();
    let request = built("first", "SAY one\nWAIT\nSAY two\n");
    let accepted = server.accept(request).await;
    assert_eq!(accepted.state, SandboxState::PendingBuild);
    assert_eq!(accepted.spec.build.as_deref(), Some(&build("SAY one\nWAIT\nSAY two\n")));
    let id = accepted.spec.id;
    server.until_state(id, SandboxState::BuildingSnapshot).await;
    let mut log = server.control.sandboxes().build_log(&server.principal, "first").unwrap();
    assert_eq!(log.next().await.as_deref(), Some(&b"one\n"[..]));
    machine.advance_clock(minutes(60));
    machine.builder.open();
    server.until_state(id, SandboxState::Started).await;
    assert_eq!(log.next().await.as_deref(), Some(&b"two\n"[..]));
    assert_eq!(log.next().await, None);
    assert_eq!(server.follow("first").await, "one\ntwo\n");
    let found = find(&server, "first");
    assert_eq!(found.spec.user, "builder");
    // Its timers begin with its start, not with its build.
    assert!(found.deadlines().stop > Some(machine.advance_clock(Duration::ZERO)));
    let mut states = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::SandboxStateUpdated { new, .. } = event {
            states.push(new);
        }
    }
    let wanted = [SandboxState::BuildingSnapshot, SandboxState::Creating, SandboxState::Started];
    assert_eq!(states, wanted);
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_whose_image_is_pulled_is_told_of_at_once_and_made_afterwards() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut gate = machine.driver.hold_next(Operation::PrepareImage, Moment::Before);
    let accepted = server.accept(pulled("first")).await;
    assert_eq!(accepted.state, SandboxState::PullingSnapshot);
    gate.reached().await;
    gate.open();
    server.until_state(accepted.spec.id, SandboxState::Started).await;
    assert_eq!(find(&server, "first").spec.user, "daytona");
    // Now it is here.
    assert_eq!(server.accept(pulled("second")).await.state, SandboxState::Started);
    let refused = server.control.sandboxes().build_log(&server.principal, "first");
    assert!(refused.is_err());
    server.shut_down().await;
}

#[tokio::test]
async fn what_cannot_be_built_says_why_and_stays_until_it_is_deleted() {
    let machine = Machine::new();
    let server = machine.start().await;
    let failed = server.accept(built("first", "SAY one\nFAIL line 2: no such thing")).await.spec.id;
    server.until_state(failed, SandboxState::BuildFailed).await;
    let reason = find(&server, "first").error_reason.clone();
    assert_eq!(reason.as_deref(), Some("line 2: no such thing"));
    assert_eq!(server.follow("first").await, "one\n");
    let broken = server.accept(built("second", "HOST")).await.spec.id;
    server.until_state(broken, SandboxState::BuildFailed).await;
    let reason = find(&server, "second").error_reason.clone();
    assert_eq!(reason.as_deref(), Some("the machine could not build its image"));
    machine.driver.fail_next(Operation::PrepareImage, Fault::Host);
    let unknown = server.accept(pulled("third")).await.spec.id;
    server.until_state(unknown, SandboxState::Error).await;
    // A registry can be back.
    server.control.sandboxes().recover(&server.principal, "third", true).await.unwrap();
    server.until_state(unknown, SandboxState::Started).await;
    let sandboxes = server.control.sandboxes();
    let refused = sandboxes.create(&server.principal, built("fourth", "NONSENSE")).await;
    assert!(matches!(refused, Err(CreateError::Image { .. })), "{refused:?}");
    for id in [failed, broken, unknown] {
        sandboxes.delete(&server.principal, &id.to_string()).await.unwrap();
        server.until_gone(id).await;
    }
    server.shut_down().await;
}

#[tokio::test]
async fn equal_builds_are_one_and_end_with_the_last_that_wants_them() {
    let machine = Machine::new();
    let server = machine.start().await;
    const DOCKERFILE: &str = "SAY x\nWAIT";
    let first = server.accept(built("first", DOCKERFILE)).await.spec.id;
    let second = server.accept(built("second", DOCKERFILE)).await.spec.id;
    server.control.snapshots().create(&server.principal, snapshot("s", DOCKERFILE)).await.unwrap();
    eventually("it is being built", async || machine.builder.begun(DOCKERFILE) == 1).await;
    let sandboxes = server.control.sandboxes();
    sandboxes.delete(&server.principal, "first").await.unwrap();
    server.until_gone(first).await;
    server.control.snapshots().delete(&server.principal, "s").await.unwrap();
    sandboxes.delete(&server.principal, "second").await.unwrap();
    server.until_gone(second).await;
    // Nobody wanted it any more: this one begins anew.
    let third = server.accept(built("third", DOCKERFILE)).await.spec.id;
    eventually("it begins anew", async || machine.builder.begun(DOCKERFILE) == 2).await;
    machine.builder.open();
    server.until_state(third, SandboxState::Started).await;
    assert_eq!(machine.builder.begun(DOCKERFILE), 2);
    server.shut_down().await;
}

#[tokio::test]
async fn builds_wait_for_their_turn() {
    let machine = Machine::new();
    let server = machine.start_with(Policy { builds: 2, ..Policy::standard() }).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let request = built(&format!("n{number}"), &format!("SAY {number}\nWAIT"));
        ids.push(server.accept(request).await.spec.id);
    }
    server.until_state(ids[0], SandboxState::BuildingSnapshot).await;
    server.until_state(ids[1], SandboxState::BuildingSnapshot).await;
    assert_eq!(server.state("n2"), Some(SandboxState::PendingBuild));
    let waiting = server.control.snapshots().create(&server.principal, snapshot("s", "WAIT")).await;
    assert_eq!(waiting.unwrap().state, SnapshotState::Pending);
    machine.builder.open();
    server.until_state(ids[2], SandboxState::Started).await;
    server.until_snapshot("s", SnapshotState::Active).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_snapshot_is_built_and_says_why_if_not() {
    let machine = Machine::new();
    let server = machine.start().await;
    let snapshots = server.control.snapshots();
    let create = async |request| snapshots.create(&server.principal, request).await;
    let made = create(snapshot("built", "SAY a\nWAIT")).await.unwrap();
    assert_eq!(made.state, SnapshotState::Building);
    machine.builder.open();
    let active = server.until_snapshot("built", SnapshotState::Active).await;
    assert!(active.image.is_some());
    let log = snapshots.build_log(&server.principal, "built").unwrap();
    assert_eq!(log.present().await, b"a\n");
    create(snapshot("failed", "FAIL no")).await.unwrap();
    let failed = server.until_snapshot("failed", SnapshotState::BuildFailed).await;
    assert_eq!(failed.error_reason.as_deref(), Some("no"));
    let long = format!("FAIL {}", "é".repeat(100_000));
    create(snapshot("long", &long)).await.unwrap();
    let failed = server.until_snapshot("long", SnapshotState::BuildFailed).await;
    assert_eq!(failed.error_reason, Some("é".repeat(4096)));
    let refused = create(snapshot("nonsense", "NONSENSE")).await;
    assert!(matches!(refused, Err(CreateSnapshotError::Build { .. })), "{refused:?}");
    let request = CreateSandbox { source: Source::Snapshot("built".to_owned()), ..named("x") };
    assert_eq!(server.accept(request).await.spec.user, "builder");
    server.shut_down().await;
}

#[tokio::test]
async fn the_next_server_goes_on_where_this_one_ended() {
    let machine = Machine::new();
    let server = machine.start().await;
    let building = server.accept(built("building", "WAIT\nSAY 1")).await.spec.id;
    server.until_state(building, SandboxState::BuildingSnapshot).await;
    let mut gate = machine.driver.hold_next(Operation::PrepareImage, Moment::Before);
    let pulling = server.accept(pulled("pulling")).await.spec.id;
    gate.reached().await;
    server.control.snapshots().create(&server.principal, snapshot("s", "WAIT")).await.unwrap();
    server.shut_down().await;
    drop(gate);

    machine.builder.open();
    let server = machine.start().await;
    for id in [building, pulling] {
        server.until_state(id, SandboxState::Started).await;
    }
    server.until_snapshot("s", SnapshotState::Active).await;
    server.shut_down().await;
}

#[tokio::test]
async fn the_sandbox_of_a_build_that_goes_on_is_not_taken_for_one_that_was_left() {
    let machine = Machine::new();
    let server = machine.start().await;
    server
        .control
        .snapshots()
        .create(&server.principal, snapshot("s", "BENCH\nWAIT"))
        .await
        .unwrap();
    let existing = async || machine.driver.inventory().await.unwrap();
    eventually("it has a sandbox", async || existing().await.len() == 1).await;
    let left = existing().await;
    server.shut_down().await;

    let server = machine.start().await;
    let is_other = async || {
        let now = existing().await;
        now.len() == 1 && now != left
    };
    eventually("the one that was left goes, and its own stays", is_other).await;
    machine.builder.open();
    server.until_snapshot("s", SnapshotState::Active).await;
    server.shut_down().await;
}

#[tokio::test]
async fn one_that_was_told_of_is_made_anew_and_a_failure_is_seen() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut gate = machine.driver.hold_next(Operation::Create, Moment::Before);
    let creating = server.accept(built("creating", "SAY x")).await.spec.id;
    gate.reached().await;
    server.control.shut_down(Duration::from_millis(1)).await;
    drop((gate, server));
    let server = machine.start().await;
    server.until_state(creating, SandboxState::Started).await;
    machine.driver.fail_next(Operation::Create, Fault::Full);
    let full = server.accept(built("full", "SAY x")).await.spec.id;
    server.until_state(full, SandboxState::Error).await;
    let reason = find(&server, "full").error_reason.clone();
    assert_eq!(reason.as_deref(), Some("this machine has no room for another sandbox"));
    server.shut_down().await;
}

#[tokio::test]
async fn what_others_have_built_cannot_be_named() {
    let machine = Machine::new();
    let server = machine.start().await;
    let accepted = server.accept(built("first", "SAY x")).await;
    server.until_state(accepted.spec.id, SandboxState::Started).await;
    let name = accepted.spec.snapshot.parse().unwrap();
    let request = CreateSandbox { source: Source::Image(name), ..named("second") };
    let refused = server.control.sandboxes().create(&server.principal, request).await;
    assert!(matches!(refused, Err(CreateError::Image { .. })), "{refused:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_built_image_goes_with_the_last_that_needs_it() {
    let machine = Machine::new();
    let server = machine.start().await;
    let is_here =
        async |name: &str| machine.driver.find_image(&name.parse().unwrap()).await.is_some();
    let first = server.accept(built("first", "SAY x")).await;
    let (id, image) = (first.spec.id, first.spec.snapshot.clone());
    server.until_state(id, SandboxState::Started).await;
    let snapshots = server.control.snapshots();
    snapshots.create(&server.principal, snapshot("s", "SAY x")).await.unwrap();
    server.until_snapshot("s", SnapshotState::Active).await;
    server.shut_down().await;

    let server = machine.start().await;
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    server.until_gone(id).await;
    assert!(is_here(&image).await);
    server.control.snapshots().delete(&server.principal, "s").await.unwrap();
    assert!(!is_here(&image).await);
    server.shut_down().await;
}
