//! Snapshots that are taken of sandboxes.

use pitlane_driver::fake::{Fault, Moment, Operation};
use pitlane_model::SnapshotState;
use pitlane_store::{SnapshotFilter, SnapshotSort};

use super::crash::{MOMENTS, check};
use super::*;
use crate::{
    ChangeError, CreateSnapshotError, PageSnapshots, SnapshotSandbox, SnapshotSandboxError, Source,
};

impl Server {
    async fn snapshot(
        &self,
        sandbox: &str,
        name: &str,
    ) -> Result<Arc<Sandbox>, SnapshotSandboxError> {
        let request = SnapshotSandbox { name: name.to_owned(), has_memory: false };
        self.control.sandboxes().snapshot(&self.principal, sandbox, request).await
    }

    async fn snapshots_of(&self, sandbox: SandboxId) -> Vec<Snapshot> {
        let filter = SnapshotFilter { name_part: None, source_sandbox: Some(sandbox) };
        let request = PageSnapshots { filter, order: SnapshotSort::DEFAULT, limit: 100, page: 1 };
        self.control.snapshots().list(&self.principal, request).await.unwrap().items
    }

    async fn create_from(&self, name: &str, snapshot: &str) -> Arc<Sandbox> {
        let source = Source::Snapshot(snapshot.to_owned());
        let request = CreateSandbox { source, ..named(name) };
        self.control.sandboxes().create(&self.principal, request).await.unwrap()
    }
}

#[tokio::test]
async fn a_snapshot_of_a_sandbox_is_what_others_start_from() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut events = server.control.events();
    let first = server.create("first").await;
    let id = first.spec.id;
    let after = server.snapshot("first", "mine").await.unwrap();
    assert_eq!((after.state, after.error_reason.clone()), (SandboxState::Started, None));
    let mut states = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let crate::Event::SandboxStateUpdated { new, .. } = event {
            states.push(new);
        }
    }
    use SandboxState as S;
    assert_eq!(states, [S::Started, S::Snapshotting, S::Started]);
    let found = server.snapshots_of(id).await;
    let [taken] = &*found else { panic!("one snapshot: {found:?}") };
    assert_eq!(
        (taken.name.as_str(), taken.state, taken.source_sandbox, taken.limits),
        ("mine", SnapshotState::Active, Some(id), first.spec.limits)
    );
    assert_eq!(taken.user.as_deref(), Some(first.spec.user.as_str()));
    server.control.sandboxes().stop(&server.principal, "first", true).await.unwrap();
    let stopped = server.snapshot("first", "later").await.unwrap();
    assert_eq!(stopped.state, SandboxState::Stopped);
    assert_eq!(server.snapshots_of(id).await.len(), 2);
    let second = server.create_from("second", "mine").await;
    assert_eq!(server.snapshots_of(second.spec.id).await, []);
    server.control.snapshots().delete(&server.principal, "mine").await.unwrap();
    assert_eq!(server.driver.made_images(), 2, "a sandbox lies on the one that was deleted");
    server.control.sandboxes().delete(&server.principal, "second").await.unwrap();
    server.until_gone(second.spec.id).await;
    assert_eq!(server.driver.made_images(), 1);
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_refused_makes_nothing() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.snapshot("first", "mine").await.unwrap();
    let taken = server.snapshot("first", "mine").await;
    assert!(
        matches!(taken, Err(SnapshotSandboxError::Create(CreateSnapshotError::NameTaken { .. }))),
        "{taken:?}"
    );
    let named = server.snapshot("first", "no name").await;
    assert!(
        matches!(named, Err(SnapshotSandboxError::Create(CreateSnapshotError::Name))),
        "{named:?}"
    );
    let request = SnapshotSandbox { name: "memory".to_owned(), has_memory: true };
    let memory = server.control.sandboxes().snapshot(&server.principal, "first", request).await;
    assert!(matches!(memory, Err(SnapshotSandboxError::Memory)), "{memory:?}");
    let missing = server.snapshot("nobody", "other").await;
    assert!(
        matches!(missing, Err(SnapshotSandboxError::Change(ChangeError::Find(_)))),
        "{missing:?}"
    );
    server.control.sandboxes().stop(&server.principal, "first", true).await.unwrap();
    server.control.sandboxes().archive(&server.principal, "first").unwrap();
    server.until_state(id, SandboxState::Archived).await;
    let archived = server.snapshot("first", "other").await;
    assert!(
        matches!(archived, Err(SnapshotSandboxError::Change(ChangeError::State(_)))),
        "{archived:?}"
    );
    assert_eq!((server.snapshots_of(id).await.len(), server.driver.made_images()), (1, 1));
    server.shut_down().await;
}

#[tokio::test]
async fn what_fails_leaves_the_sandbox_as_it_was() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    for (fault, is_full) in [(Fault::Full, true), (Fault::Host, false)] {
        server.driver.fail_next(Operation::Snapshot, fault);
        let failed = server.snapshot("first", "mine").await;
        assert_eq!(matches!(failed, Err(SnapshotSandboxError::DiskFull)), is_full, "{failed:?}");
        let sandbox = find(&server, "first");
        assert_eq!(sandbox.state, SandboxState::Started);
        assert!(sandbox.error_reason.is_some(), "whoever waits for its state learns why");
        assert_eq!((server.snapshots_of(id).await, server.driver.made_images()), (vec![], 0));
    }
    // The name is free, and nothing is said of the failures any more.
    assert_eq!(server.snapshot("first", "mine").await.unwrap().error_reason, None);
    server.shut_down().await;
}

#[tokio::test]
async fn one_that_is_deleted_while_it_is_taken_leaves_nothing() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let mut gate = server.driver.hold_next(Operation::Snapshot, Moment::After);
    let deleting = async {
        gate.reached().await;
        assert_eq!(find(&server, "first").state, SandboxState::Snapshotting);
        let busy = server.snapshot("first", "other").await;
        assert!(
            matches!(busy, Err(SnapshotSandboxError::Change(ChangeError::State(_)))),
            "{busy:?}"
        );
        server.control.snapshots().delete(&server.principal, "mine").await.unwrap();
        drop(gate);
    };
    let (taken, ()) = tokio::join!(server.snapshot("first", "mine"), deleting);
    assert!(matches!(taken, Err(SnapshotSandboxError::Deleted { .. })), "{taken:?}");
    assert_eq!((server.snapshots_of(id).await, server.driver.made_images()), (vec![], 0));
    assert_eq!(find(&server, "first").state, SandboxState::Started);
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_is_deleted_meanwhile_goes() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let mut gate = server.driver.hold_next(Operation::Snapshot, Moment::Before);
    let deleting = async {
        gate.reached().await;
        server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
        drop(gate);
    };
    let (taken, ()) = tokio::join!(server.snapshot("first", "mine"), deleting);
    drop(taken);
    server.until_gone(id).await;
    let left = server.snapshots_of(id).await;
    assert_eq!(left.len(), server.driver.made_images(), "{left:?}");
    server.shut_down().await;
}

#[test]
fn a_snapshot_that_was_being_taken_is_finished_or_undone() {
    for is_stopped in [false, true] {
        for moment in MOMENTS {
            check(
                named("first"),
                is_stopped,
                (Operation::Snapshot, moment),
                async |server| drop(server.snapshot("first", "mine").await),
                async |server, id| {
                    let state =
                        if is_stopped { SandboxState::Stopped } else { SandboxState::Started };
                    server.until_state(id, state).await;
                    let is_made = moment == Moment::After;
                    eventually("the snapshot is whole or gone", async || {
                        let of = server.snapshots_of(id).await;
                        match is_made {
                            true => of.iter().all(|row| row.state == SnapshotState::Active),
                            false => of.is_empty(),
                        }
                    })
                    .await;
                    assert_eq!(server.driver.made_images(), usize::from(is_made));
                },
            );
        }
    }
}

#[test]
fn a_deletion_of_a_snapshot_is_finished() {
    for moment in MOMENTS {
        check(
            named("first"),
            false,
            (Operation::RemoveImage, moment),
            async |server| {
                server.snapshot("first", "mine").await.unwrap();
                drop(server.control.snapshots().delete(&server.principal, "mine").await);
            },
            async |server, id| {
                eventually("it is gone", async || server.snapshots_of(id).await.is_empty()).await;
                assert_eq!(server.driver.made_images(), 0);
            },
        );
    }
}
