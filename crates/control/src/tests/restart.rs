use pitlane_driver::fake::{Moment, Operation};
use pitlane_driver::{CreateError, Driver as _, Exit, LaunchSpec};
use pitlane_model::{DesiredState, NetworkPolicy};

use super::*;

#[tokio::test]
async fn a_running_sandbox_is_adopted_as_it_was() {
    let machine = Machine::new();
    let server = machine.start().await;
    let before = server.create("first").await;
    let now = machine.advance_clock(Duration::from_secs(5));
    server.control.sandboxes().touch(&server.principal, "first").unwrap();
    server.shut_down().await;

    let server = machine.start().await;
    let after = server.control.sandboxes().find(&server.principal, "first").unwrap();
    let expected = Sandbox { last_activity_at: now, ..Sandbox::clone(&before) };
    assert_eq!(*after, expected);
    server
        .control
        .sandboxes()
        .connect(server.principal.organization, before.spec.id, Presence::Noticed)
        .await
        .unwrap();
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    server.until_gone(before.spec.id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_ended_meanwhile_is_stopped_and_an_ephemeral_one_gone() {
    let machine = Machine::new();
    let server = machine.start().await;
    let kept = server.create("kept").await.spec.id;
    let sandboxes = server.control.sandboxes();
    let gone = sandboxes.create(&server.principal, ephemeral("e")).await.unwrap().spec.id;
    server.shut_down().await;
    machine.driver.exit(kept, Exit::Unknown);
    machine.driver.exit(gone, Exit::Unknown);

    let server = machine.start().await;
    server.until_state(kept, SandboxState::Stopped).await;
    server.until_gone(gone).await;
    let sandbox = server.control.sandboxes().start(&server.principal, "kept").await.unwrap();
    assert_eq!((sandbox.state, sandbox.desired), (SandboxState::Started, DesiredState::Started));
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_whose_disk_is_gone_says_so() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (running, stopped) = (server.create("a").await.spec.id, server.create("b").await.spec.id);
    server.control.sandboxes().stop(&server.principal, "b", true).await.unwrap();
    server.shut_down().await;
    machine.driver.lose(running);
    machine.driver.lose(stopped);

    let server = machine.start().await;
    for id in [running, stopped] {
        server.until_state(id, SandboxState::Error).await;
        let found = server.control.sandboxes().find(&server.principal, &id.to_string()).unwrap();
        assert_eq!(found.error_reason.as_deref(), Some("its disk is gone"));
        server.control.sandboxes().delete(&server.principal, &id.to_string()).await.unwrap();
        server.until_gone(id).await;
    }
    server.shut_down().await;
}

#[tokio::test]
async fn what_nobody_owns_is_destroyed() {
    let machine = Machine::new();
    let server = machine.start().await;
    let owned = server.create("first").await.spec.id;
    server.shut_down().await;
    let orphan = SandboxId::from_random([7; 16]);
    let spec = LaunchSpec {
        id: orphan,
        image: ImageName::new("image").unwrap(),
        limits: Limits::DEFAULT,
        network: NetworkPolicy::Open,
        user: "daytona".to_owned(),
        environment: Default::default(),
        entrypoint: Vec::new(),
        pools: Vec::new(),
        volumes: Vec::new(),
    };
    let made: Result<_, CreateError> = machine.driver.create(&spec).await;
    made.unwrap();

    let server = machine.start().await;
    eventually("the orphan is gone", async || machine.driver.existing() == vec![running(owned)])
        .await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_takes_long_holds_up_nobody() {
    let machine = Machine::new();
    let server = machine.start().await;
    let slow = server.create("slow").await.spec.id;
    server.create("other").await;
    let first_try = machine.driver.hold_next(Operation::Destroy, Moment::Before);
    server.control.sandboxes().delete(&server.principal, "slow").await.unwrap();
    server.control.shut_down(Duration::from_millis(1)).await;
    drop(first_try);
    drop(server);

    let mut gate = machine.driver.hold_next(Operation::Destroy, Moment::Before);
    let server = machine.start().await;
    assert_eq!(server.state("other"), Some(SandboxState::Started));
    server.create("slow").await;
    if machine.driver.existing().iter().any(|existing| existing.id == slow) {
        assert_eq!(gate.reached().await, Some(slow));
    }
    gate.open();
    server.until_gone(slow).await;
    server.control.shut_down(DEADLINE).await;
}
