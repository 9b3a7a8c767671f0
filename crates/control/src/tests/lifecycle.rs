//! What can be changed about a sandbox, and how failures are left.

use pitlane_driver::fake::{Fault, Moment, Operation};
use pitlane_model::{DesiredState, LimitError, Transition, TransitionError};

use super::*;
use crate::{
    ChangeError, ConnectError, Patience, RequestedLimits, ResizeError, Update, UpdateError,
};

impl Server {
    async fn stop(&self, name: &str) -> SandboxId {
        self.control.sandboxes().stop(&self.principal, name, true).await.unwrap().spec.id
    }

    /// Archives a stopped sandbox.
    async fn archive(&self, name: &str) {
        let archiving = self.control.sandboxes().archive(&self.principal, name).unwrap();
        assert_eq!(
            (archiving.state, archiving.desired),
            (SandboxState::Archiving, DesiredState::Archived)
        );
        self.until_state(archiving.spec.id, SandboxState::Archived).await;
    }

    async fn resize(
        &self,
        name: &str,
        cpu_count: Option<u32>,
        memory_gib: Option<u32>,
        disk_gib: Option<u32>,
    ) -> Result<Arc<Sandbox>, ResizeError> {
        let wanted = RequestedLimits { cpu_count, memory_gib, disk_gib };
        self.control.sandboxes().resize(&self.principal, name, wanted).await
    }
}

fn archived(id: SandboxId) -> Existing {
    Existing { id, liveness: Liveness::Archived }
}

#[tokio::test]
async fn what_is_said_about_a_sandbox_changes_in_every_state_and_is_kept() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    server.create("first").await;
    let labels = |text: &str| [("a".to_owned(), text.to_owned())].into();
    let update = async |update| sandboxes.update(&server.principal, "first", update).await.unwrap();
    update(Update::Labels(labels("1"))).await;
    update(Update::Public(true)).await;
    server.stop("first").await;
    update(Update::AutoArchive(0)).await;
    server.archive("first").await;
    update(Update::AutoDelete(Some(7))).await;
    let changed = update(Update::Labels(labels("2"))).await;

    assert_eq!(changed.spec.labels, labels("2"));
    assert!(changed.spec.is_public);
    assert_eq!(
        (changed.spec.lifecycle.auto_archive, changed.spec.lifecycle.auto_delete),
        (0, Some(7))
    );
    assert_eq!(server.rows().await, vec![Sandbox::clone(&changed)]);
    sandboxes.delete(&server.principal, "first").await.unwrap();
    let late = sandboxes
        .update(&server.principal, &changed.spec.id.to_string(), Update::Public(false))
        .await;
    assert!(matches!(late, Err(UpdateError::Deleted { .. } | UpdateError::Find(_))), "{late:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_running_sandbox_gets_more_processors_and_memory() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let resized = server.resize("first", Some(2), Some(3), None).await.unwrap();
    let wanted = Limits::new(2, 3, 3, 1024).unwrap();
    assert_eq!((resized.state, resized.spec.limits), (SandboxState::Started, wanted));
    assert_eq!(server.driver.launched_with(id).unwrap().limits, wanted);
    assert_eq!(server.rows().await, vec![Sandbox::clone(&resized)]);
    server.shut_down().await;
}

#[tokio::test]
async fn a_stopped_sandbox_gets_a_larger_disk_and_fewer_processors() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.create("first").await;
    server.resize("first", Some(4), None, None).await.unwrap();
    let id = server.stop("first").await;
    let resized = server.resize("first", Some(2), None, Some(5)).await.unwrap();
    let wanted = Limits::new(2, 1, 5, 1024).unwrap();
    assert_eq!((resized.state, resized.spec.limits), (SandboxState::Stopped, wanted));
    assert_eq!(server.driver.disk_gib(id), Some(5));
    server.shut_down().await;
}

#[tokio::test]
async fn limits_that_cannot_be_had_are_refused_and_nothing_changes() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.create("first").await;
    server.resize("first", Some(2), None, None).await.unwrap();
    let before = find(&server, "first");
    let check = async |cpu, memory, disk, is_expected: fn(&ResizeError) -> bool| {
        let refused = server.resize("first", cpu, memory, disk).await.unwrap_err();
        assert!(is_expected(&refused), "{refused:?}");
    };
    check(None, None, None, |e| matches!(e, ResizeError::Unchanged)).await;
    check(Some(2), None, None, |e| matches!(e, ResizeError::Unchanged)).await;
    check(Some(1), None, None, |e| {
        matches!(e, ResizeError::Shrinks { resource: "cpu", is_running: true })
    })
    .await;
    check(Some(5), None, None, |e| {
        matches!(e, ResizeError::Limits(LimitError::TooLarge { resource: "cpu", .. }))
    })
    .await;
    check(None, Some(0), None, |e| {
        matches!(e, ResizeError::Limits(LimitError::TooSmall { resource: "memory" }))
    })
    .await;
    check(None, None, Some(4), |e| matches!(e, ResizeError::DiskInUse)).await;
    assert_eq!(find(&server, "first"), before);
    server.stop("first").await;
    check(None, None, Some(2), |e| {
        matches!(e, ResizeError::Shrinks { resource: "disk", is_running: false })
    })
    .await;
    check(None, None, Some(11), |e| matches!(e, ResizeError::Limits(_))).await;
    server.archive("first").await;
    check(None, None, Some(5), |e| {
        matches!(e, ResizeError::Change(ChangeError::State(TransitionError::Illegal { .. })))
    })
    .await;
    server.shut_down().await;
}

#[tokio::test]
async fn limits_that_the_machine_fails_to_set_are_as_before() {
    let machine = Machine::new();
    let server = machine.start().await;
    for is_running in [true, false] {
        let before = if is_running {
            server.create("first").await
        } else {
            server.stop("first").await;
            find(&server, "first")
        };
        server.driver.fail_next(Operation::Resize, Fault::Host);
        let failed = server.resize("first", Some(2), None, None).await;
        assert!(matches!(failed, Err(ResizeError::Change(ChangeError::Host { .. }))), "{failed:?}");
        let after = find(&server, "first");
        assert_eq!((after.state, after.spec.limits), (before.state, before.spec.limits));
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_disk_for_which_there_is_no_room_is_as_before() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.create("first").await;
    server.stop("first").await;
    let before = find(&server, "first");
    server.driver.fail_next(Operation::Resize, Fault::Full);
    let refused = server.resize("first", None, None, Some(5)).await;
    assert!(matches!(refused, Err(ResizeError::Change(ChangeError::DiskFull))), "{refused:?}");
    let after = find(&server, "first");
    assert_eq!((after.state, after.spec.limits), (before.state, before.spec.limits));
    server.resize("first", None, None, Some(5)).await.unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_is_used_while_it_is_resized_and_nothing_else_changes_it() {
    let machine = Machine::new();
    let server = Arc::new(machine.start().await);
    let id = server.create("first").await.spec.id;
    let mut gate = server.driver.hold_next(Operation::Resize, Moment::Before);
    let mut callers = tokio::task::JoinSet::new();
    let caller = Arc::clone(&server);
    callers.spawn(async move { caller.resize("first", Some(2), None, None).await });
    gate.reached().await;
    assert_eq!(server.state("first"), Some(SandboxState::Resizing));
    let sandboxes = server.control.sandboxes();
    sandboxes.connect(server.principal.organization, id, Presence::Noticed).await.unwrap();
    let stop = sandboxes.stop(&server.principal, "first", true).await;
    assert!(matches!(stop, Err(ChangeError::State(TransitionError::InProgress))), "{stop:?}");
    gate.open();
    callers.join_next().await.unwrap().unwrap().unwrap();
    drop(callers);
    Arc::into_inner(server).unwrap().shut_down().await;
}

#[tokio::test]
async fn an_archived_sandbox_starts_again() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;
    let early = sandboxes.archive(&server.principal, "first");
    assert!(matches!(early, Err(ChangeError::State(TransitionError::Illegal { .. }))), "{early:?}");
    server.stop("first").await;
    server.archive("first").await;
    assert_eq!(server.driver.existing(), vec![archived(id)]);
    let refused =
        sandboxes.connect(server.principal.organization, id, Presence::Noticed).await.map(drop);
    assert!(matches!(refused, Err(ConnectError::NotRunning { .. })), "{refused:?}");

    server.driver.fail_next(Operation::Restore, Fault::Full);
    let full = sandboxes.start(&server.principal, "first").await;
    assert!(matches!(full, Err(ChangeError::Full)), "{full:?}");
    assert_eq!(server.state("first"), Some(SandboxState::Archived));
    let started = sandboxes.start(&server.principal, "first").await.unwrap();
    assert_eq!((started.state, started.desired), (SandboxState::Started, DesiredState::Started));
    assert_eq!(server.driver.existing(), vec![running(id)]);

    server.stop("first").await;
    server.archive("first").await;
    sandboxes.delete(&server.principal, "first").await.unwrap();
    server.until_gone(id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_ephemeral_sandbox_is_not_archived() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    sandboxes.create(&server.principal, ephemeral("e")).await.unwrap();
    let refused = sandboxes.archive(&server.principal, "e");
    assert!(matches!(refused, Err(ChangeError::Ephemeral)), "{refused:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_was_never_made_is_made_when_it_is_recovered() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    server.driver.fail_next(Operation::Create, Fault::Host);
    sandboxes.create(&server.principal, named("first")).await.unwrap_err();
    let failed = find(&server, "first");
    assert_eq!(failed.error_reason.as_deref(), Some("the machine could not create it"));
    assert!(failed.is_recoverable());
    let recovered = sandboxes.recover(&server.principal, "first", true).await.unwrap();
    assert_eq!((recovered.state, recovered.error_reason.clone()), (SandboxState::Started, None));
    assert_eq!(server.driver.existing(), vec![running(recovered.spec.id)]);
    let again = sandboxes.recover(&server.principal, "first", true).await;
    assert!(
        matches!(
            again,
            Err(ChangeError::State(TransitionError::Illegal {
                transition: Transition::Recover,
                ..
            }))
        ),
        "{again:?}"
    );
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_did_not_stop_is_recovered_with_its_disk() {
    for is_to_run in [true, false] {
        let machine = Machine::new();
        let server = machine.start().await;
        let sandboxes = server.control.sandboxes();
        let id = server.create("first").await.spec.id;
        server.driver.fail_next(Operation::Stop, Fault::Host);
        server.driver.fail_next(Operation::Stop, Fault::Host);
        sandboxes.stop(&server.principal, "first", false).await.unwrap_err();
        let failed = find(&server, "first");
        assert_eq!(failed.error_reason.as_deref(), Some("the machine could not stop it"));
        let recovered = sandboxes.recover(&server.principal, "first", is_to_run).await.unwrap();
        if is_to_run {
            assert_eq!(recovered.state, SandboxState::Started);
            assert_eq!(server.driver.existing(), vec![running(id)]);
        } else {
            assert_eq!(recovered.state, SandboxState::Stopped);
            assert_eq!(server.driver.existing(), vec![stopped(id)]);
        }
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_sandbox_without_its_disk_cannot_be_recovered_and_can_be_deleted() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;
    server.stop("first").await;
    server.driver.lose(id);
    sandboxes.start(&server.principal, "first").await.unwrap_err();
    assert_eq!(find(&server, "first").error_reason.as_deref(), Some(Sandbox::DISK_IS_GONE));
    let refused = sandboxes.recover(&server.principal, "first", true).await;
    assert!(matches!(refused, Err(ChangeError::Unrecoverable { .. })), "{refused:?}");
    sandboxes.delete(&server.principal, "first").await.unwrap();
    server.until_gone(id).await;
    server.shut_down().await;
}

/// A server that does not wait long.
async fn impatient(machine: &Machine) -> Server {
    let patience = Duration::from_millis(30);
    let policy = Policy {
        patience: Patience {
            pull: patience,
            build: patience,
            start: patience,
            stop: patience,
            archive: patience,
            resize: patience,
            destroy: patience,
        },
        ..Policy::standard()
    };
    let server = machine.start_with(policy).await;
    server.add_snapshot("default").await;
    server
}

#[tokio::test]
async fn nothing_stays_under_way_beyond_its_deadline() {
    let machine = Machine::new();
    let server = machine.start().await;
    for name in ["started", "stopped", "archived", "resized", "stopping"] {
        server.create(name).await;
    }
    server.stop("started").await;
    server.stop("stopped").await;
    server.stop("archived").await;
    server.archive("archived").await;
    server.shut_down().await;

    let server = impatient(&machine).await;
    let sandboxes = server.control.sandboxes();
    let caller = &server.principal;
    let hold = |operation| server.driver.hold_next(operation, Moment::Before);

    let gates = [hold(Operation::Create)];
    let created = sandboxes.create(caller, named("created")).await;
    assert!(matches!(created, Err(crate::CreateError::Host { .. })), "{created:?}");
    assert_eq!(
        find(&server, "created").error_reason.as_deref(),
        Some("the machine could not create it: not done after 0.03 seconds")
    );
    drop(gates);

    let gates = [hold(Operation::Start)];
    sandboxes.start(caller, "started").await.unwrap_err();
    assert_eq!(server.state("started"), Some(SandboxState::Stopped));
    drop(gates);

    let gates = [hold(Operation::Stop), hold(Operation::Stop)];
    sandboxes.stop(caller, "stopping", false).await.unwrap_err();
    assert_eq!(server.state("stopping"), Some(SandboxState::Error));
    drop(gates);

    let gates = [hold(Operation::Archive)];
    let id = sandboxes.archive(caller, "stopped").unwrap().spec.id;
    server.until_state(id, SandboxState::Stopped).await;
    let reason = find(&server, "stopped").error_reason.clone();
    assert!(reason.is_some_and(|reason| reason.starts_with("the machine could not archive it")));
    drop(gates);

    let gates = [hold(Operation::Restore)];
    sandboxes.start(caller, "archived").await.unwrap_err();
    assert_eq!(server.state("archived"), Some(SandboxState::Archived));
    drop(gates);

    let gates = [hold(Operation::Resize)];
    server.resize("resized", Some(2), None, None).await.unwrap_err();
    assert_eq!(server.state("resized"), Some(SandboxState::Started));
    drop(gates);
    server.shut_down().await;
}

/// Waits until a destruction was given up. Lists do not show the sandbox unless they are asked to.
async fn until_given_up(server: &Server, id: SandboxId) {
    eventually("its destruction is given up", async || {
        server.state(&id.to_string()) == Some(SandboxState::Error)
            && server.rows().await.iter().all(|row| row.spec.id != id)
    })
    .await;
}

#[tokio::test]
async fn a_destruction_that_takes_too_long_says_so_and_is_tried_again() {
    let machine = Machine::new();
    let server = impatient(&machine).await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;
    let gate = server.driver.hold_next(Operation::Destroy, Moment::Before);
    sandboxes.delete(&server.principal, "first").await.unwrap();
    until_given_up(&server, id).await;
    // Its name is free at once, and it is found by its id alone.
    let failed = find(&server, &id.to_string());
    assert_eq!(failed.spec.name.as_str(), id.to_string());
    assert_eq!(failed.desired, DesiredState::Destroyed);
    assert!(failed.error_reason.as_deref().unwrap().contains("could not free"));
    server.create("first").await;
    let refused = sandboxes.recover(&server.principal, &id.to_string(), true).await;
    assert!(matches!(refused, Err(ChangeError::Unrecoverable { .. })), "{refused:?}");
    drop(gate);
    machine.advance_clock(minutes(10));
    server.until_gone(id).await;
    assert_eq!(server.state("first"), Some(SandboxState::Started));
    server.shut_down().await;
}

#[tokio::test]
async fn a_destruction_that_was_given_up_is_begun_again_by_the_next_server() {
    let machine = Machine::new();
    let server = impatient(&machine).await;
    let id = server.create("first").await.spec.id;
    let gate = server.driver.hold_next(Operation::Destroy, Moment::Before);
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    until_given_up(&server, id).await;
    drop(gate);
    server.shut_down().await;
    let server = machine.start().await;
    server.until_gone(id).await;
    server.shut_down().await;
}
