//! What happens by itself, on a clock that stands still unless it is told.

use pitlane_driver::fake::{Fault, Operation};

use super::*;
use crate::Update;

/// Just short of so many minutes.
fn almost(count: u32) -> Duration {
    minutes(count) - Duration::from_secs(1)
}

const REST: Duration = Duration::from_secs(2);

impl Server {
    async fn update(&self, id_or_name: &str, update: Update) -> Arc<Sandbox> {
        self.control.sandboxes().update(&self.principal, id_or_name, update).await.unwrap()
    }

    /// Makes the timers act on what is due, and checks that the sandbox is in this state all the same.
    pub(super) async fn stays(&self, machine: &Machine, id: SandboxId, state: SandboxState) {
        // Another one that is due at the same time shows that the timers have been looked at.
        let mut mark = named("mark");
        mark.lifecycle.ttl = 1;
        let begun = machine.now.load(Ordering::SeqCst);
        let mark = self.control.sandboxes().create(&self.principal, mark).await.unwrap();
        machine.advance_clock(minutes(1));
        self.until_gone(mark.spec.id).await;
        assert!(machine.now.load(Ordering::SeqCst) > begun);
        assert_eq!(self.state(&id.to_string()), Some(state));
    }
}

#[tokio::test]
async fn an_idle_sandbox_stops_and_says_when_it_will() {
    let machine = Machine::new();
    let server = machine.start().await;
    let made = server.create("first").await;
    let stops_at = made.last_activity_at.after(minutes(15));
    assert_eq!(made.deadlines().stop, Some(stops_at));

    machine.advance_clock(almost(15) - minutes(1));
    server.stays(&machine, made.spec.id, SandboxState::Started).await;
    machine.advance_clock(REST);
    server.until_state(made.spec.id, SandboxState::Stopped).await;
    assert_eq!(find(&server, "first").deadlines().stop, None);
    server.shut_down().await;
}

#[tokio::test]
async fn a_use_begins_the_countdown_again() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    for _ in 0..3 {
        machine.advance_clock(almost(15) - minutes(1));
        server.control.sandboxes().touch(&server.principal, "first").unwrap();
        server.stays(&machine, id, SandboxState::Started).await;
    }
    machine.advance_clock(minutes(15));
    server.until_state(id, SandboxState::Stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_open_connection_keeps_a_sandbox_however_long_nothing_is_said() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = server.create("first").await.spec.id;
    let connections = [
        sandboxes.connect(server.principal.organization, id, Presence::Noticed).await.unwrap(),
        sandboxes.connect(server.principal.organization, id, Presence::Noticed).await.unwrap(),
    ];
    for _ in 0..3 {
        machine.advance_clock(minutes(200));
        server.stays(&machine, id, SandboxState::Started).await;
    }
    let now = Timestamp::from_micros(machine.now.load(Ordering::SeqCst));
    assert_eq!(find(&server, "first").last_activity_at, now);
    let [first, second] = connections;
    drop(first);
    machine.advance_clock(minutes(20));
    server.stays(&machine, id, SandboxState::Started).await;
    drop(second);
    machine.advance_clock(almost(14));
    server.stays(&machine, id, SandboxState::Started).await;
    machine.advance_clock(REST);
    server.until_state(id, SandboxState::Stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_connection_that_is_not_to_count_keeps_nothing() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let before = find(&server, "first").last_activity_at;
    machine.advance_clock(minutes(5));
    let connecting =
        server.control.sandboxes().connect(server.principal.organization, id, Presence::Unnoticed);
    let _connection = connecting.await.unwrap();
    assert_eq!(find(&server, "first").last_activity_at, before);
    machine.advance_clock(minutes(10));
    server.until_state(id, SandboxState::Stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_interval_that_changes_counts_from_the_change_and_zero_means_never() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    assert_eq!(server.update("first", Update::AutoStop(0)).await.spec.lifecycle.auto_stop, 0);
    machine.advance_clock(minutes(10_000));
    server.stays(&machine, id, SandboxState::Started).await;
    server.update("first", Update::AutoStop(100)).await;
    machine.advance_clock(minutes(90));
    let changed = server.update("first", Update::AutoStop(3)).await;
    assert_eq!(changed.deadlines().stop, Some(changed.updated_at.after(minutes(3))));
    machine.advance_clock(almost(2));
    server.stays(&machine, id, SandboxState::Started).await;
    machine.advance_clock(REST);
    server.until_state(id, SandboxState::Stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_ephemeral_sandbox_that_is_idle_goes() {
    let machine = Machine::new();
    let server = machine.start().await;
    let sandboxes = server.control.sandboxes();
    let id = sandboxes.create(&server.principal, ephemeral("e")).await.unwrap().spec.id;
    machine.advance_clock(minutes(15));
    server.until_gone(id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_stopped_sandbox_is_archived_and_later_deleted() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.update("first", Update::AutoArchive(10)).await;
    server.update("first", Update::AutoDelete(Some(30))).await;
    let stopped = server.control.sandboxes().stop(&server.principal, "first", true).await.unwrap();
    let at = |count| Some(stopped.last_activity_at.after(minutes(count)));
    assert_eq!((stopped.deadlines().archive, stopped.deadlines().delete), (at(10), at(30)));
    machine.advance_clock(minutes(10));
    server.until_state(id, SandboxState::Archived).await;
    assert_eq!(find(&server, "first").deadlines().delete, at(30));
    machine.advance_clock(almost(19));
    server.stays(&machine, id, SandboxState::Archived).await;
    machine.advance_clock(REST);
    server.until_gone(id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_archiving_that_fails_is_tried_again_after_the_interval() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.update("first", Update::AutoArchive(10)).await;
    server.control.sandboxes().stop(&server.principal, "first", true).await.unwrap();
    server.driver.fail_next(Operation::Archive, Fault::Host);
    let mut events = server.control.events();
    machine.advance_clock(minutes(10));
    for _ in 0..2 {
        tokio::time::timeout(DEADLINE, events.recv()).await.unwrap().unwrap();
    }
    server.until_state(id, SandboxState::Stopped).await;
    server.stays(&machine, id, SandboxState::Stopped).await;
    machine.advance_clock(minutes(9));
    server.until_state(id, SandboxState::Archived).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_goes_at_the_end_of_its_time_whatever_it_does() {
    let machine = Machine::new();
    let server = machine.start().await;
    let running = server.create("running").await;
    let stopped = server.create("stopped").await.spec.id;
    machine.advance_clock(Duration::from_secs(90));
    let sandboxes = server.control.sandboxes();
    let _connection = sandboxes
        .connect(server.principal.organization, running.spec.id, Presence::Noticed)
        .await
        .unwrap();
    let changed = server.update("running", Update::Ttl(5)).await;
    let now = Timestamp::from_micros(machine.now.load(Ordering::SeqCst));
    let goes_at = changed.deadlines().destroy.unwrap();
    // Counted in whole minutes of its age, and not less than asked for.
    assert_eq!(goes_at.since(now), minutes(5) + Duration::from_secs(30));
    server.update("stopped", Update::Ttl(5)).await;
    sandboxes.stop(&server.principal, "stopped", true).await.unwrap();
    machine.advance_clock(minutes(6));
    server.until_gone(running.spec.id).await;
    server.until_gone(stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_time_to_live_can_be_taken_back() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.update("first", Update::AutoStop(0)).await;
    server.update("first", Update::Ttl(5)).await;
    assert_eq!(server.update("first", Update::Ttl(0)).await.deadlines().destroy, None);
    machine.advance_clock(minutes(60));
    server.stays(&machine, id, SandboxState::Started).await;
    server.shut_down().await;
}

#[tokio::test]
async fn deadlines_survive_a_restart_and_callers_get_a_minute_to_come_back() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (idle, fresh) = (server.create("idle").await.spec.id, server.create("fresh").await.spec.id);
    let old = server.create("old").await.spec.id;
    server.update("fresh", Update::AutoStop(60)).await;
    server.update("old", Update::AutoDelete(Some(20))).await;
    server.control.sandboxes().stop(&server.principal, "old", true).await.unwrap();
    server.shut_down().await;
    machine.advance_clock(minutes(30));

    let server = machine.start().await;
    server.until_gone(old).await;
    assert_eq!(server.state("idle"), Some(SandboxState::Started));
    machine.advance_clock(minutes(1));
    server.until_state(idle, SandboxState::Stopped).await;
    machine.advance_clock(minutes(28));
    assert_eq!(server.state("fresh"), Some(SandboxState::Started));
    machine.advance_clock(minutes(1));
    server.until_state(fresh, SandboxState::Stopped).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_clock_that_is_set_makes_nobody_idle() {
    for is_forward in [true, false] {
        let machine = Machine::new();
        machine.advance_clock(minutes(1_000_000));
        let server = machine.start().await;
        let id = server.create("first").await.spec.id;
        machine.advance_clock(minutes(5));
        if is_forward {
            machine.set_clock(minutes(100_000));
        } else {
            machine.now.fetch_sub(60_000_000 * 100_000, Ordering::SeqCst);
        }
        machine.advance_clock(minutes(5));
        server.stays(&machine, id, SandboxState::Started).await;
        machine.advance_clock(minutes(5));
        server.until_state(id, SandboxState::Stopped).await;
        server.shut_down().await;
    }
}
