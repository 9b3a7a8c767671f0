//! Creating, stopping, starting and destroying.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use pitlane_driver::conformance::{self, Guest, Subject};
use pitlane_driver::{Cause, Connection, CreateError, Driver as _, DriverEvent};
use pitlane_model::{ImageName, SandboxId};
use serde_json::json;

use crate::support::{Bench, first_process, image, post, spec, wait_until};

crate::trials![
    the_engine_is_a_driver,
    a_stopped_sandbox_keeps_its_files_and_nothing_else,
    a_failed_create_leaves_nothing,
    a_burst_of_creates_succeeds,
    a_background_process_does_not_outlive_its_sandbox,
];

struct InsideGuest {
    state: PathBuf,
    name: String,
}

#[async_trait]
impl Guest for InsideGuest {
    async fn leave_mark(&self, connection: Connection) -> Result<(), Cause> {
        let (status, body) =
            post(connection, "/process/execute", json!({"command": "touch ~/mark"})).await;
        if status == 200 && body["exitCode"] == 0 {
            Ok(())
        } else {
            Err(Cause::from(body.to_string()))
        }
    }

    async fn has_mark(&self, connection: Connection) -> Result<bool, Cause> {
        let (_, body) =
            post(connection, "/process/execute", json!({"command": "test -e ~/mark"})).await;
        Ok(body["exitCode"] == 0)
    }

    async fn end(&self, id: SandboxId) -> Result<(), Cause> {
        // As the kernel would when the host runs out of memory: nobody asked the driver.
        let pid = first_process(&self.state, &self.name, id).ok_or("there is no such process")?;
        Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
    }
}

async fn the_engine_is_a_driver() {
    let bench = Bench::start().await;
    let subject = Subject {
        driver: &bench.engine,
        guest: &InsideGuest { state: bench.folder.state(), name: bench.folder.name().to_owned() },
        image: image(),
        user: String::from("daytona"),
        absent_image: ImageName::new("absent").expect("a legal name"),
        random: &|| {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes).expect("randomness");
            bytes
        },
    };
    conformance::check(&subject).await.unwrap();
    bench.close().await;
}

async fn a_stopped_sandbox_keeps_its_files_and_nothing_else() {
    let bench = Bench::start().await;
    let spec = spec();
    bench.engine.create(&spec).await.expect("a sandbox");
    bench.exec(spec.id, "echo kept > ~/file; (sleep 1000 >/dev/null 2>&1 &)").await;
    bench.engine.stop(spec.id, false).await.expect("it stops");
    assert!(bench.engine.connect(spec.id).await.is_err());
    bench.engine.start(&spec).await.expect("it starts");
    assert_eq!(bench.exec(spec.id, "cat ~/file; pgrep -c sleep").await.output, "kept\n0\n");
    assert_eq!(bench.exec(spec.id, "stat -c %u:%g ~/file").await.output, "1000:1000\n");
    bench.close().await;
}

async fn a_failed_create_leaves_nothing() {
    let bench = Bench::start().await;
    let mut spec = spec();
    spec.user = String::from("nobody-of-that-name");
    let failed = bench.engine.create(&spec).await;
    assert!(
        matches!(failed, Err(CreateError::Host { .. } | CreateError::NoUser { .. })),
        "{failed:?}"
    );
    assert_eq!(bench.engine.inventory().await.expect("an inventory"), []);
    // The same id can be used: nothing of the failure is left in the way.
    spec.user = String::from("daytona");
    bench.engine.create(&spec).await.expect("a sandbox");
    bench.close().await;
}

async fn a_burst_of_creates_succeeds() {
    let bench = Bench::start().await;
    let creates = (0..40).map(|_| async {
        let id = bench.create().await;
        assert_eq!(bench.exec(id, "echo here").await.output, "here\n");
    });
    futures_util::future::join_all(creates).await;
    assert_eq!(bench.engine.inventory().await.expect("an inventory").len(), 40);
    bench.close().await;
}

async fn a_background_process_does_not_outlive_its_sandbox() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let marker = format!("sleep 98{}", std::process::id());
    bench.exec(id, &format!("setsid {marker} >/dev/null 2>&1 & disown")).await;
    let is_alive = || {
        std::fs::read_dir("/proc").expect("processes").flatten().any(|entry| {
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
                String::from_utf8_lossy(&line).replace('\0', " ").contains(&marker)
            })
        })
    };
    wait_until("the host sees it while it runs", is_alive).await;
    bench.engine.destroy(id).await.expect("it can be destroyed");
    wait_until("it ended", || !is_alive()).await;
    // A process that ends by order is no event.
    let event = tokio::time::timeout(Duration::from_millis(200), bench.engine.next_event()).await;
    assert!(!matches!(event, Ok(Some(DriverEvent::Exited { .. }))), "{event:?}");
    bench.close().await;
}
