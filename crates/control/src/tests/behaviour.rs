use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use pitlane_driver::Connection;
use pitlane_driver::Exit;
use pitlane_driver::fake::{Fault, Moment, Operation};
use pitlane_model::{
    DesiredState, KeyId, LimitError, OrganizationId, Permission, SnapshotState, TransitionError,
};
use tokio::task::JoinSet;

use super::*;
use crate::{
    AddSnapshotError, ChangeError, ConnectError, CreateError, DeleteError, Event, FindError,
    Forbidden, ListError, RequestedLimits, Source,
};

async fn ask(connection: Connection) -> Bytes {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get("/").header("host", "daemon").body(Empty::<Bytes>::new()).unwrap();
    sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
}

fn stranger() -> Principal {
    Principal {
        organization: OrganizationId::from_random([9; 16]),
        key: KeyId::from_random([9; 16]),
        permissions: Permission::ALL.into(),
    }
}

#[tokio::test]
async fn a_sandbox_is_usable_when_create_returns() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut request = named("first");
    request.environment =
        pitlane_model::Environment::new([("A".to_owned(), "1".to_owned())].into()).unwrap();
    let sandbox = server.control.sandboxes().create(&server.principal, request).await.unwrap();
    let id = sandbox.spec.id;

    assert_eq!(sandbox.state, SandboxState::Started);
    assert_eq!(sandbox.daemon_version.as_deref(), Some("0.0.0"));
    assert_eq!(server.rows().await, vec![Sandbox::clone(&sandbox)]);
    assert_eq!(server.driver.existing(), vec![running(id)]);
    let launched = server.driver.launched_with(id).unwrap();
    let environment: Vec<(&str, &str)> =
        launched.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let id_text = id.to_string();
    assert_eq!(
        environment,
        [
            ("A", "1"),
            ("DAYTONA_SANDBOX_ID", id_text.as_str()),
            ("DAYTONA_SANDBOX_SNAPSHOT", "default"),
            ("DAYTONA_SANDBOX_USER", "daytona"),
        ]
    );
    let connection = server
        .control
        .sandboxes()
        .connect(server.principal.organization, id, Presence::Noticed)
        .await
        .unwrap();
    assert_eq!(ask(connection).await, format!("hello from {id}"));
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_without_a_name_is_named_by_its_id() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let sandbox = sandboxes.create(&server.principal, CreateSandbox::plain()).await.unwrap();
    assert_eq!(sandbox.spec.name.as_str(), sandbox.spec.id.to_string());
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_stops_starts_and_goes() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;

    let sandbox = sandboxes.stop(&server.principal, "first", false).await.unwrap();
    assert_eq!((sandbox.state, sandbox.desired), (SandboxState::Stopped, DesiredState::Stopped));
    assert_eq!(server.driver.existing(), vec![stopped(id)]);
    let refused =
        sandboxes.connect(server.principal.organization, id, Presence::Noticed).await.map(drop);
    assert!(
        matches!(refused, Err(ConnectError::NotRunning { state: SandboxState::Stopped, .. })),
        "{refused:?}"
    );
    let again = sandboxes.stop(&server.principal, "first", false).await;
    assert!(
        matches!(
            again,
            Err(ChangeError::State(TransitionError::Illegal { from: SandboxState::Stopped, .. }))
        ),
        "{again:?}"
    );

    let sandbox = sandboxes.start(&server.principal, "first").await.unwrap();
    assert_eq!((sandbox.state, sandbox.desired), (SandboxState::Started, DesiredState::Started));
    let again = sandboxes.start(&server.principal, "first").await.unwrap();
    assert_eq!(again, sandbox);

    let sandbox = sandboxes.delete(&server.principal, "first").await.unwrap();
    assert_eq!(
        (sandbox.state, sandbox.desired),
        (SandboxState::Destroying, DesiredState::Destroyed)
    );
    server.until_gone(id).await;
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_was_answered_is_listed_as_it_was_answered() {
    let machine = Machine::new();
    let server = Arc::new(machine.start().await);
    let mut callers = JoinSet::new();
    for caller in 0..4 {
        let server = Arc::clone(&server);
        callers.spawn(async move {
            for number in 0..25 {
                let answered = server.create(&format!("{caller}-{number}")).await;
                let rows = server.rows().await;
                let listed = rows.iter().find(|row| row.spec.id == answered.spec.id);
                assert_eq!(listed, Some(&*answered));
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    server.control.shut_down(DEADLINE).await;
}

#[tokio::test]
async fn every_change_is_told_in_order() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut events = server.control.events();
    let id = server.create("first").await.spec.id;
    server.control.sandboxes().stop(&server.principal, "first", true).await.unwrap();
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    server.until_gone(id).await;

    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        assert_eq!(event.organization(), server.principal.organization);
        told.push(match event {
            Event::SandboxCreated { sandbox } => (None, sandbox.state),
            Event::SandboxStateUpdated { sandbox, old, new } => {
                assert_eq!(sandbox.state, new);
                (Some(old), new)
            }
            Event::MemoryRanOut { .. } => panic!("nothing used up its memory"),
            Event::VolumeCreated { .. } | Event::VolumeStateUpdated { .. } => {
                panic!("there are no volumes")
            }
        });
    }
    use SandboxState as S;
    let expected = [
        (None, S::Creating),
        (Some(S::Creating), S::Started),
        (Some(S::Started), S::Stopping),
        (Some(S::Stopping), S::Stopped),
        (Some(S::Stopped), S::Destroying),
        (Some(S::Destroying), S::Destroyed),
    ];
    assert_eq!(told, expected);
    server.shut_down().await;
}

#[tokio::test]
async fn an_ephemeral_sandbox_is_gone_when_it_stopped() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = sandboxes.create(&server.principal, ephemeral("e")).await.unwrap().spec.id;
    let sandbox = sandboxes.stop(&server.principal, "e", false).await.unwrap();
    assert_eq!(sandbox.state, SandboxState::Destroyed);
    assert_eq!(server.state(&id.to_string()), None);
    assert_eq!(server.rows().await, Vec::new());
    assert_eq!(server.driver.existing(), Vec::new());
    server.shut_down().await;
}

#[tokio::test]
async fn a_change_while_another_is_under_way_is_refused() {
    let machine = Machine::new();
    let server = Arc::new(machine.start().await);
    server.create("first").await;
    let mut gate = server.driver.hold_next(Operation::Stop, Moment::Before);
    let mut callers = JoinSet::new();
    let caller = Arc::clone(&server);
    callers.spawn(async move {
        caller.control.sandboxes().stop(&caller.principal, "first", false).await
    });
    gate.reached().await;
    let sandboxes = server.control.sandboxes();
    let start = sandboxes.start(&server.principal, "first").await;
    assert!(matches!(start, Err(ChangeError::State(TransitionError::InProgress))), "{start:?}");
    let stop = sandboxes.stop(&server.principal, "first", true).await;
    assert!(matches!(stop, Err(ChangeError::State(TransitionError::InProgress))), "{stop:?}");
    gate.open();
    assert_eq!(callers.join_next().await.unwrap().unwrap().unwrap().state, SandboxState::Stopped);
    assert_eq!(server.driver.misuses(), Vec::<String>::new());
}

#[tokio::test]
async fn a_creation_whose_caller_went_away_is_completed() {
    let machine = Machine::new();
    let server = Arc::new(machine.start().await);
    let mut gate = server.driver.hold_next(Operation::Create, Moment::Before);
    let mut callers = JoinSet::new();
    let caller = Arc::clone(&server);
    callers.spawn(async move {
        caller.control.sandboxes().create(&caller.principal, named("first")).await
    });
    let id = gate.reached().await.unwrap();
    callers.shutdown().await;
    assert_eq!(server.state("first"), Some(SandboxState::Creating));
    gate.open();
    server.until_state(id, SandboxState::Started).await;
}

#[tokio::test]
async fn a_sandbox_deleted_while_it_is_made_is_destroyed_once_it_is() {
    let machine = Machine::new();
    let server = Arc::new(machine.start().await);
    let mut gate = server.driver.hold_next(Operation::Create, Moment::After);
    let mut callers = JoinSet::new();
    let caller = Arc::clone(&server);
    callers.spawn(async move {
        caller.control.sandboxes().create(&caller.principal, named("first")).await
    });
    let id = gate.reached().await.unwrap();
    let sandboxes = server.control.sandboxes();
    let deleted = sandboxes.delete(&server.principal, "first").await.unwrap();
    assert_eq!(deleted.state, SandboxState::Destroying);
    assert_eq!(server.driver.existing(), vec![running(id)], "not destroyed while it is made");
    gate.open();
    let created = callers.join_next().await.unwrap().unwrap();
    assert!(matches!(created, Err(CreateError::Deleted { id: named }) if named == id));
    server.until_gone(id).await;
    assert_eq!(server.driver.misuses(), Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_sandbox_gives_its_name_back_at_once() {
    let machine = Machine::new();
    let server = machine.start().await;
    let first = server.create("first").await.spec.id;
    let gate = server.driver.hold_next(Operation::Destroy, Moment::Before);
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    assert_eq!(server.state("first"), None);
    assert_eq!(server.state(&first.to_string()), Some(SandboxState::Destroying));
    let again = server.control.sandboxes().delete(&server.principal, &first.to_string()).await;
    assert_eq!(again.unwrap().state, SandboxState::Destroying);
    let second = server.create("first").await;
    gate.open();
    server.until_gone(first).await;
    assert_eq!(server.rows().await, vec![Sandbox::clone(&second)]);
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_the_machine_failed_to_make_says_so_until_it_is_deleted() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    server.driver.fail_next(Operation::Create, Fault::Host);
    let failed = sandboxes.create(&server.principal, named("first")).await;
    assert!(matches!(failed, Err(CreateError::Host { .. })), "{failed:?}");
    let sandbox = sandboxes.find(&server.principal, "first").unwrap();
    assert_eq!(
        (sandbox.state, sandbox.error_reason.as_deref()),
        (SandboxState::Error, Some("the machine could not create it"))
    );
    assert_eq!(server.rows().await, vec![Sandbox::clone(&sandbox)]);
    assert_eq!(server.driver.existing(), Vec::new());
    let start = sandboxes.start(&server.principal, "first").await;
    assert!(
        matches!(
            start,
            Err(ChangeError::State(TransitionError::Illegal { from: SandboxState::Error, .. }))
        ),
        "{start:?}"
    );
    sandboxes.delete(&server.principal, "first").await.unwrap();
    server.until_gone(sandbox.spec.id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_had_leaves_nothing() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    for fault in [Fault::Full, Fault::NoUser] {
        server.driver.fail_next(Operation::Create, fault);
        let refused = sandboxes.create(&server.principal, named("first")).await;
        match (fault, refused) {
            (Fault::Full, Err(CreateError::Full)) => {}
            (Fault::NoUser, Err(CreateError::NoUser { user })) => assert_eq!(user, "daytona"),
            other => panic!("{other:?}"),
        }
        eventually("nothing is left", async || {
            server.state("first").is_none() && server.rows().await.is_empty()
        })
        .await;
    }
    server.create("first").await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_start_that_failed_can_be_tried_again() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;
    sandboxes.stop(&server.principal, "first", false).await.unwrap();
    server.driver.fail_next(Operation::Start, Fault::Host);
    let failed = sandboxes.start(&server.principal, "first").await;
    assert!(matches!(failed, Err(ChangeError::Host { .. })), "{failed:?}");
    server.until_state(id, SandboxState::Stopped).await;
    sandboxes.start(&server.principal, "first").await.unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn a_stop_that_failed_is_tried_by_force_and_then_given_up() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;
    server.driver.fail_next(Operation::Stop, Fault::Host);
    sandboxes.stop(&server.principal, "first", false).await.unwrap();
    sandboxes.start(&server.principal, "first").await.unwrap();

    server.driver.fail_next(Operation::Stop, Fault::Host);
    server.driver.fail_next(Operation::Stop, Fault::Host);
    let failed = sandboxes.stop(&server.principal, "first", false).await;
    assert!(matches!(failed, Err(ChangeError::Host { .. })), "{failed:?}");
    server.until_state(id, SandboxState::Error).await;
    sandboxes.delete(&server.principal, "first").await.unwrap();
    server.until_gone(id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_destruction_that_failed_is_tried_again() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.driver.fail_next(Operation::Destroy, Fault::Host);
    server.driver.fail_next(Operation::Destroy, Fault::Host);
    server.control.sandboxes().delete(&server.principal, "first").await.unwrap();
    server.until_gone(id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_ends_by_itself_is_stopped_and_starts_again() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.driver.exit(id, Exit::Signal(9));
    server.until_state(id, SandboxState::Stopped).await;
    let sandbox = server.control.sandboxes().find(&server.principal, "first").unwrap();
    assert_eq!((sandbox.desired, &sandbox.error_reason), (DesiredState::Stopped, &None));
    server.control.sandboxes().start(&server.principal, "first").await.unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn an_ephemeral_sandbox_that_ends_by_itself_is_destroyed() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = sandboxes.create(&server.principal, ephemeral("e")).await.unwrap().spec.id;
    server.driver.exit(id, Exit::Code(0));
    server.until_gone(id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_report_of_an_earlier_run_stops_nobody() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (kept, ended) = (server.create("kept").await.spec.id, server.create("ended").await.spec.id);
    server.driver.report_late_exit(kept);
    server.driver.exit(ended, Exit::Unknown);
    server.until_state(ended, SandboxState::Stopped).await;
    // Its report came first; its owner has looked, or looks while this waits for the row.
    server.until_state(kept, SandboxState::Started).await;
    server.control.sandboxes().stop(&server.principal, "kept", false).await.unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn a_report_is_not_believed_because_a_connection_fails() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.driver.fail_next(Operation::Connect, Fault::Host);
    let mut gate = server.driver.hold_next(Operation::Inventory, Moment::After);
    server.driver.report_late_exit(id);
    gate.reached().await;
    gate.open();
    // Only an owner that has looked and left lets the next change through to the driver.
    server.control.sandboxes().stop(&server.principal, "first", false).await.unwrap();
    server.control.sandboxes().start(&server.principal, "first").await.unwrap();

    server.driver.fail_next(Operation::Connect, Fault::Host);
    server.driver.exit(id, Exit::Unknown);
    server.until_state(id, SandboxState::Stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_end_that_nobody_reported_is_found_by_the_next_connection() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.driver.exit_unreported(id);
    let refused = server
        .control
        .sandboxes()
        .connect(server.principal.organization, id, Presence::Noticed)
        .await
        .map(drop);
    assert!(matches!(refused, Err(ConnectError::NotRunning { .. })), "{refused:?}");
    server.until_state(id, SandboxState::Stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn what_belongs_to_another_organization_does_not_exist() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;
    let (stranger, text) = (stranger(), id.to_string());
    for id_or_name in ["first", text.as_str()] {
        let not_found = FindError::NotFound { id_or_name: id_or_name.to_owned() };
        assert_eq!(sandboxes.find(&stranger, id_or_name), Err(not_found.clone()));
        assert_eq!(sandboxes.touch(&stranger, id_or_name), Err(not_found));
        let start = sandboxes.start(&stranger, id_or_name).await;
        assert!(matches!(start, Err(ChangeError::Find(_))), "{start:?}");
        let stop = sandboxes.stop(&stranger, id_or_name, true).await;
        assert!(matches!(stop, Err(ChangeError::Find(_))), "{stop:?}");
        let delete = sandboxes.delete(&stranger, id_or_name).await;
        assert!(matches!(delete, Err(DeleteError::Find(_))), "{delete:?}");
    }
    let connect = sandboxes.connect(stranger.organization, id, Presence::Noticed).await.map(drop);
    assert!(matches!(connect, Err(ConnectError::NotFound { .. })), "{connect:?}");
    let request = ListSandboxes {
        filter: SandboxFilter::default(),
        order: SandboxOrder::DEFAULT,
        limit: 10,
        cursor: None,
    };
    assert_eq!(sandboxes.list(&stranger, request).await.unwrap().items, Vec::new());
    assert_eq!(server.state("first"), Some(SandboxState::Started));
    server.shut_down().await;
}

#[tokio::test]
async fn a_key_without_the_permission_changes_nothing() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.create("first").await;
    let sandboxes = server.control.sandboxes();
    let reader = Principal { permissions: [].into(), ..server.principal.clone() };
    let write = Forbidden { missing: Permission::WriteSandboxes };
    let create = sandboxes.create(&reader, named("second")).await;
    assert!(matches!(create, Err(CreateError::Forbidden(missing)) if missing == write));
    let start = sandboxes.start(&reader, "first").await;
    assert!(matches!(start, Err(ChangeError::Forbidden(missing)) if missing == write));
    let stop = sandboxes.stop(&reader, "first", false).await;
    assert!(matches!(stop, Err(ChangeError::Forbidden(missing)) if missing == write));
    let delete = sandboxes.delete(&reader, "first").await;
    let missing = Forbidden { missing: Permission::DeleteSandboxes };
    assert!(matches!(delete, Err(DeleteError::Forbidden(found)) if found == missing));
    assert_eq!(sandboxes.find(&reader, "first").unwrap().state, SandboxState::Started);
    server.shut_down().await;
}

#[tokio::test]
async fn limits_come_from_the_snapshot_or_the_caller_and_have_a_maximum() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let wish = |cpu_count, memory_gib| CreateSandbox {
        limits: RequestedLimits { cpu_count, memory_gib, disk_gib: None },
        ..CreateSandbox::plain()
    };
    let create = async |request| sandboxes.create(&server.principal, request).await;

    assert_eq!(create(wish(None, None)).await.unwrap().spec.limits, Limits::DEFAULT);
    let limits = create(wish(Some(2), Some(4))).await.unwrap().spec.limits;
    assert_eq!(limits, Limits::new(2, 4, 3, 1024).unwrap());
    let refused = create(wish(Some(5), None)).await;
    let too_large = LimitError::TooLarge { resource: "cpu", requested: 5, maximum: 4 };
    assert!(matches!(refused, Err(CreateError::Limits(error)) if error == too_large));
    let refused = create(wish(None, Some(0))).await;
    let too_small = LimitError::TooSmall { resource: "memory" };
    assert!(matches!(refused, Err(CreateError::Limits(error)) if error == too_small));
    let both =
        CreateSandbox { source: Source::Snapshot("default".to_owned()), ..wish(Some(1), None) };
    assert!(matches!(create(both).await, Err(CreateError::LimitsWithSnapshot)));
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_starts_from_an_active_snapshot_found_by_name_or_id() {
    let machine = Machine::new();
    let server = machine.start_without_snapshot().await;
    let sandboxes = server.control.sandboxes();
    let from = |snapshot: Option<&str>| CreateSandbox {
        source: snapshot.map_or(Source::DefaultSnapshot, |name| Source::Snapshot(name.to_owned())),
        ..CreateSandbox::plain()
    };
    let refused = sandboxes.create(&server.principal, from(None)).await;
    assert!(matches!(refused, Err(CreateError::UnknownSnapshot { name }) if name == "default"));

    server.driver.fail_next(Operation::PrepareImage, Fault::Host);
    let request = AddSnapshot {
        name: "default".to_owned(),
        image: "image".parse().unwrap(),
        limits: Limits::DEFAULT,
    };
    let (progress, _) = mpsc::channel(1);
    let failed = server.control.snapshots().add(request, progress).await;
    assert!(matches!(failed, Err(AddSnapshotError::Prepare { .. })), "{failed:?}");
    let refused = sandboxes.create(&server.principal, from(None)).await;
    assert!(
        matches!(refused, Err(CreateError::SnapshotNotActive { state: SnapshotState::Error, .. })),
        "{refused:?}"
    );

    let snapshot = server.add_snapshot("default").await;
    assert_eq!(server.control.snapshots().find(&server.principal, "default"), Ok(snapshot.clone()));
    let id = snapshot.id.to_string();
    for wanted in [None, Some("default"), Some(id.as_str())] {
        let sandbox = sandboxes.create(&server.principal, from(wanted)).await.unwrap();
        assert_eq!(sandbox.spec.snapshot, "default");
    }
    server.shut_down().await;
}

#[tokio::test]
async fn connecting_counts_as_activity_and_needs_no_database() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.store.clone().close().await;
    let now = machine.advance_clock(Duration::from_secs(60));
    let connection = server
        .control
        .sandboxes()
        .connect(server.principal.organization, id, Presence::Noticed)
        .await
        .unwrap();
    assert_eq!(ask(connection).await, format!("hello from {id}"));
    let found = server.control.sandboxes().find(&server.principal, "first").unwrap();
    assert_eq!(found.last_activity_at, now);
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_kept_is_not_made() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.store.clone().close().await;
    let refused = server.control.sandboxes().create(&server.principal, named("first")).await;
    assert!(matches!(refused, Err(CreateError::Store { .. })), "{refused:?}");
    assert_eq!(server.state("first"), None);
    assert_eq!(server.driver.existing(), Vec::new());
}

#[tokio::test]
async fn a_sandbox_can_be_stopped_although_nothing_can_be_written() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.store.clone().close().await;
    server.control.sandboxes().stop(&server.principal, "first", false).await.unwrap();
    assert_eq!(server.driver.existing(), vec![stopped(id)]);
}

#[tokio::test]
async fn a_cursor_of_another_order_is_refused() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.create("a").await;
    server.create("b").await;
    let mut request = ListSandboxes {
        filter: SandboxFilter::default(),
        order: SandboxOrder::DEFAULT,
        limit: 1,
        cursor: None,
    };
    let sandboxes = server.control.sandboxes();
    request.cursor = sandboxes.list(&server.principal, request.clone()).await.unwrap().next;
    assert!(request.cursor.is_some());
    sandboxes.list(&server.principal, request.clone()).await.unwrap();
    request.order.direction = crate::SortDirection::Ascending;
    let refused = sandboxes.list(&server.principal, request).await;
    assert!(matches!(refused, Err(ListError::Cursor)), "{refused:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_server_that_ends_refuses_changes_and_leaves_sandboxes_running() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.control.shut_down(DEADLINE).await;
    let sandboxes = server.control.sandboxes();
    let create = sandboxes.create(&server.principal, named("second")).await;
    assert!(matches!(create, Err(CreateError::ShuttingDown)), "{create:?}");
    let stop = sandboxes.stop(&server.principal, "first", false).await;
    assert!(matches!(stop, Err(ChangeError::ShuttingDown)), "{stop:?}");
    let start = sandboxes.start(&server.principal, "first").await;
    assert!(matches!(start, Err(ChangeError::ShuttingDown)), "{start:?}");
    let delete = sandboxes.delete(&server.principal, "first").await;
    assert!(matches!(delete, Err(DeleteError::ShuttingDown)), "{delete:?}");
    assert_eq!(server.driver.existing(), vec![running(id)]);
}
