//! A server that is killed in the middle of something, and the one after it.
//!
//! The first server runs on a runtime of its own. Shutting that down drops every task where it waits, as a kill does;
//! the fake machine keeps what had happened by then.

use pitlane_driver::Exit;
use pitlane_driver::fake::{Fault, Moment, Operation};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{Event, RequestedLimits};

/// A server that can be killed.
struct Mortal {
    runtime: Runtime,
    server: Arc<Server>,
}

impl Mortal {
    fn start(machine: &Arc<Machine>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = Arc::new(runtime.block_on(machine.start()));
        Self { runtime, server }
    }

    /// Begins `change`, waits until the driver holds it at this point, and kills the server.
    fn die_in<F: Future<Output = ()> + Send + 'static>(
        self,
        operation: Operation,
        moment: Moment,
        change: impl FnOnce(Arc<Server>) -> F,
    ) {
        self.die_when((operation, moment), change, async |_| {});
    }

    /// The same, once `then` has passed as well.
    fn die_when<F: Future<Output = ()> + Send + 'static>(
        self,
        (operation, moment): (Operation, Moment),
        change: impl FnOnce(Arc<Server>) -> F,
        then: impl AsyncFnOnce(&Server),
    ) {
        let mut gate = self.server.driver.hold_next(operation, moment);
        let mut callers = tokio::task::JoinSet::new();
        callers.spawn_on(change(Arc::clone(&self.server)), self.runtime.handle());
        self.runtime.block_on(async {
            tokio::time::timeout(DEADLINE, gate.reached()).await.unwrap();
            then(&self.server).await;
        });
        let store = self.server.store.clone();
        drop(callers);
        drop(self.server);
        self.runtime.shutdown_timeout(DEADLINE);
        // A killed process writes no more; what it had queued is as good as written, as the kernel keeps it.
        Builder::new_current_thread().build().unwrap().block_on(store.close());
        drop(gate);
    }
}

/// Lets one server set the scene and a second one die, and shows the third to `then`.
pub(super) fn check<F: Future<Output = ()> + Send + 'static>(
    request: CreateSandbox,
    is_stopped: bool,
    (operation, moment): (Operation, Moment),
    change: impl FnOnce(Arc<Server>) -> F,
    then: impl AsyncFnOnce(&Server, SandboxId),
) {
    let machine = Arc::new(Machine::new());
    let mortal = Mortal::start(&machine);
    let id = mortal.runtime.block_on(async {
        let server = &mortal.server;
        let sandboxes = server.control.sandboxes();
        let sandbox = sandboxes.create(&server.principal, request).await.unwrap();
        if is_stopped {
            sandboxes.stop(&server.principal, "first", true).await.unwrap();
        }
        sandbox.spec.id
    });
    mortal.die_in(operation, moment, change);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = machine.start().await;
        then(&server, id).await;
        server.shut_down().await;
    });
}

pub(super) const MOMENTS: [Moment; 2] = [Moment::Before, Moment::After];

/// Lets a server die in a creation, and shows the next to `then`, after `meanwhile`.
fn check_creation(
    request: CreateSandbox,
    moment: Moment,
    meanwhile: impl FnOnce(&Machine),
    then: impl AsyncFnOnce(&Server),
) {
    let machine = Arc::new(Machine::new());
    let create = async |server: Arc<Server>| {
        drop(server.control.sandboxes().create(&server.principal, request).await);
    };
    // The row is written at the same time.
    Mortal::start(&machine).die_when((Operation::Create, moment), create, async |server| {
        eventually("its row is written", async || !server.rows().await.is_empty()).await;
    });
    meanwhile(&machine);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = machine.start().await;
        then(&server).await;
        server.shut_down().await;
    });
}

async fn until_nothing_is_left(server: &Server) {
    eventually("nothing is left", async || {
        server.driver.existing().is_empty() && server.rows().await.is_empty()
    })
    .await;
}

#[test]
fn a_creation_that_made_nothing_is_undone() {
    check_creation(
        named("first"),
        Moment::Before,
        |_| {},
        async |server| {
            until_nothing_is_left(server).await;
            server.create("first").await;
        },
    );
}

#[test]
fn a_sandbox_that_was_made_is_kept_whether_its_caller_was_told_or_not() {
    check_creation(
        named("first"),
        Moment::After,
        |_| {},
        async |server| {
            let id = find(server, "first").spec.id;
            server.until_state(id, SandboxState::Started).await;
            assert_eq!(server.driver.existing(), vec![running(id)]);
            let rows = async || server.rows().await.iter().map(|row| row.state).collect::<Vec<_>>();
            eventually("its row says so", async || rows().await == [SandboxState::Started]).await;
        },
    );
}

#[test]
fn a_sandbox_that_was_made_and_ended_meanwhile_is_stopped_and_an_ephemeral_one_gone() {
    let end = |machine: &Machine| {
        let id = machine.driver.existing().first().unwrap().id;
        machine.driver.exit(id, Exit::Unknown);
    };
    check_creation(named("first"), Moment::After, end, async |server| {
        let id = find(server, "first").spec.id;
        server.until_state(id, SandboxState::Stopped).await;
        assert_eq!(server.driver.existing(), vec![stopped(id)]);
        server.control.sandboxes().start(&server.principal, "first").await.unwrap();
    });
    check_creation(ephemeral("first"), Moment::After, end, async |server| {
        until_nothing_is_left(server).await;
    });
}

#[test]
fn a_start_is_finished_or_undone() {
    for (moment, expected) in
        [(Moment::Before, SandboxState::Stopped), (Moment::After, SandboxState::Started)]
    {
        check(
            named("first"),
            true,
            (Operation::Start, moment),
            async |server| {
                drop(server.control.sandboxes().start(&server.principal, "first").await);
            },
            async |server, id| {
                server.until_state(id, expected).await;
                server.control.sandboxes().start(&server.principal, "first").await.unwrap();
                assert_eq!(server.driver.existing(), vec![running(id)]);
            },
        );
    }
}

#[test]
fn a_stop_is_finished() {
    for moment in MOMENTS {
        check(
            named("first"),
            false,
            (Operation::Stop, moment),
            async |server| {
                drop(server.control.sandboxes().stop(&server.principal, "first", false).await);
            },
            async |server, id| {
                server.until_state(id, SandboxState::Stopped).await;
                assert_eq!(server.driver.existing(), vec![stopped(id)]);
            },
        );
    }
}

#[test]
fn a_stop_of_an_ephemeral_sandbox_is_finished() {
    for operation in [Operation::Stop, Operation::Destroy] {
        for moment in MOMENTS {
            check(
                ephemeral("first"),
                false,
                (operation, moment),
                async |server| {
                    drop(server.control.sandboxes().stop(&server.principal, "first", false).await);
                },
                async |server, id| server.until_gone(id).await,
            );
        }
    }
}

#[test]
fn an_archiving_is_finished() {
    for moment in MOMENTS {
        check(
            named("first"),
            true,
            (Operation::Archive, moment),
            async |server| {
                server.control.sandboxes().archive(&server.principal, "first").unwrap();
                std::future::pending::<()>().await;
            },
            async |server, id| {
                server.until_state(id, SandboxState::Archived).await;
                server.control.sandboxes().start(&server.principal, "first").await.unwrap();
                assert_eq!(server.driver.existing(), vec![running(id)]);
            },
        );
    }
}

#[test]
fn a_start_from_an_archive_is_finished_or_undone() {
    for (operation, moment, expected) in [
        (Operation::Restore, Moment::Before, SandboxState::Archived),
        (Operation::Restore, Moment::After, SandboxState::Stopped),
        (Operation::Start, Moment::Before, SandboxState::Stopped),
        (Operation::Start, Moment::After, SandboxState::Started),
    ] {
        check(
            named("first"),
            true,
            (operation, moment),
            async |server| {
                let sandboxes = server.control.sandboxes();
                let mut events = server.control.events();
                sandboxes.archive(&server.principal, "first").unwrap();
                let is_archived = |event: &Event| {
                    matches!(event, Event::SandboxStateUpdated { new: SandboxState::Archived, .. })
                };
                while !is_archived(&events.recv().await.unwrap()) {}
                drop(sandboxes.start(&server.principal, "first").await);
            },
            async |server, id| {
                server.until_state(id, expected).await;
                server.control.sandboxes().start(&server.principal, "first").await.unwrap();
                assert_eq!(server.driver.existing(), vec![running(id)]);
            },
        );
    }
}

#[test]
fn a_resize_is_finished() {
    for is_stopped in [false, true] {
        for moment in MOMENTS {
            let disk_gib = if is_stopped { 5 } else { 3 };
            let wanted =
                RequestedLimits { cpu_count: Some(2), memory_gib: None, disk_gib: Some(disk_gib) };
            check(
                named("first"),
                is_stopped,
                (Operation::Resize, moment),
                async move |server| {
                    let sandboxes = server.control.sandboxes();
                    drop(sandboxes.resize(&server.principal, "first", wanted).await);
                },
                async |server, id| {
                    let expected =
                        if is_stopped { SandboxState::Stopped } else { SandboxState::Started };
                    server.until_state(id, expected).await;
                    let limits = Limits::new(2, 1, disk_gib, 1024).unwrap();
                    assert_eq!(find(server, "first").spec.limits, limits);
                    assert_eq!(server.driver.launched_with(id).unwrap().limits, limits);
                    assert_eq!(server.driver.disk_gib(id), Some(disk_gib));
                },
            );
        }
    }
}

#[test]
fn a_recovery_is_finished_or_undone() {
    for (moment, expected) in
        [(Moment::Before, SandboxState::Stopped), (Moment::After, SandboxState::Started)]
    {
        check(
            named("first"),
            false,
            (Operation::Start, moment),
            async |server| {
                let sandboxes = server.control.sandboxes();
                for _ in 0..2 {
                    server.driver.fail_next(Operation::Stop, Fault::Host);
                }
                sandboxes.stop(&server.principal, "first", false).await.unwrap_err();
                drop(sandboxes.recover(&server.principal, "first", true).await);
            },
            async |server, id| {
                server.until_state(id, expected).await;
                server.control.sandboxes().start(&server.principal, "first").await.unwrap();
                assert_eq!(server.driver.existing(), vec![running(id)]);
            },
        );
    }
}

#[test]
fn a_deletion_is_finished() {
    for is_stopped in [false, true] {
        for moment in MOMENTS {
            check(
                named("first"),
                is_stopped,
                (Operation::Destroy, moment),
                async |server| {
                    drop(server.control.sandboxes().delete(&server.principal, "first").await);
                    // Lives on until it is killed.
                    std::future::pending::<()>().await;
                },
                async |server, id| {
                    server.until_gone(id).await;
                    server.create("first").await;
                },
            );
        }
    }
}
