use std::sync::atomic::{AtomicU8, Ordering};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use pitlane_model::NetworkPolicy;

use super::*;
use crate::conformance::{Guest, Subject, check};

/// Leaves a file on a fake disk.
struct Marks(FakeDriver);

fn driver_with_files() -> FakeDriver {
    FakeDriver::answering(|inside, request| {
        let body = match request.uri().path() {
            "/mark" => {
                inside.disk.write("mark", Bytes::from_static(b"here"));
                Bytes::new()
            }
            _ => inside.disk.read("mark").unwrap_or_default(),
        };
        Response::new(body)
    })
}

async fn ask(connection: Connection, path: &str) -> Result<Bytes, Cause> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get(path).header("host", "daemon").body(Full::new(Bytes::new()))?;
    Ok(sender.send_request(request).await?.into_body().collect().await?.to_bytes())
}

#[async_trait]
impl Guest for Marks {
    async fn leave_mark(&self, connection: Connection) -> Result<(), Cause> {
        ask(connection, "/mark").await.map(drop)
    }

    async fn has_mark(&self, connection: Connection) -> Result<bool, Cause> {
        Ok(ask(connection, "/look").await? == "here")
    }

    async fn end(&self, id: SandboxId) -> Result<(), Cause> {
        self.0.exit(id, Exit::Signal(9));
        Ok(())
    }
}

fn spec(id: SandboxId) -> LaunchSpec {
    LaunchSpec {
        id,
        image: ImageName::new("image").unwrap(),
        limits: Limits::DEFAULT,
        network: NetworkPolicy::Open,
        user: "daytona".to_owned(),
        environment: BTreeMap::new(),
        entrypoint: Vec::new(),
        pools: Vec::new(),
        volumes: Vec::new(),
    }
}

async fn prepared(driver: &FakeDriver) {
    let (progress, _) = mpsc::channel(1);
    driver.prepare_image(&"image".parse().unwrap(), progress).await.unwrap();
}

#[tokio::test]
async fn the_fake_is_a_driver() {
    let driver = driver_with_files();
    let counter = AtomicU8::new(0);
    let subject = Subject {
        driver: &driver,
        guest: &Marks(driver.clone()),
        image: ImageName::new("image").unwrap(),
        user: "daytona".to_owned(),
        absent_image: ImageName::new("absent").unwrap(),
        random: &|| [counter.fetch_add(1, Ordering::Relaxed); 16],
    };
    check(&subject).await.unwrap();
    assert_eq!(driver.existing(), Vec::new());
    assert_eq!(driver.misuses(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fault_strikes_once() {
    let driver = driver_with_files();
    prepared(&driver).await;
    let id = SandboxId::from_random([1; 16]);
    driver.fail_next(Operation::Create, Fault::Full);
    assert!(matches!(driver.create(&spec(id)).await, Err(CreateError::Full)));
    driver.create(&spec(id)).await.unwrap();
}

#[tokio::test]
async fn a_dropped_call_has_happened_or_not_by_the_moment_it_was_held_at() {
    let driver = driver_with_files();
    prepared(&driver).await;
    for (moment, byte, expected) in [(Moment::Before, 1, 0), (Moment::After, 2, 1)] {
        let id = SandboxId::from_random([byte; 16]);
        let mut gate = driver.hold_next(Operation::Create, moment);
        let mut calls = JoinSet::new();
        let caller = driver.clone();
        calls.spawn(async move { caller.create(&spec(id)).await });
        assert_eq!(gate.reached().await, Some(id));
        calls.shutdown().await;
        assert_eq!(driver.existing().len(), expected, "{moment:?}");
    }
    assert_eq!(driver.misuses(), Vec::<String>::new());
}

#[tokio::test]
async fn two_calls_for_one_sandbox_at_once_are_noticed() {
    let driver = driver_with_files();
    prepared(&driver).await;
    let id = SandboxId::from_random([1; 16]);
    let mut gate = driver.hold_next(Operation::Stop, Moment::Before);
    let mut calls = JoinSet::new();
    let caller = driver.clone();
    calls.spawn(async move { caller.stop(id, false).await });
    gate.reached().await;
    driver.destroy(id).await.unwrap();
    assert_eq!(driver.misuses(), vec![format!("two calls for {id} at once")]);
    gate.open();
}
