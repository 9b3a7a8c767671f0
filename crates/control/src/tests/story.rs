//! What is told of a sandbox: who changed it, and why.

use pitlane_driver::Exit;
use pitlane_driver::fake::{Fault, Operation};
use pitlane_model::{Actor, OrganizationId, StoryLine};

use super::*;
use crate::{Event, StoryError};

impl Server {
    /// What is told of the sandbox, without times and numbers.
    async fn told(&self, id: SandboxId) -> Vec<(SandboxState, Actor, Option<String>)> {
        let id = id.to_string();
        let story = self.control.sandboxes().story(&self.principal, &id, 0).await.unwrap();
        let lines = story.into_iter();
        lines.map(|(_, StoryLine { state, actor, reason, .. })| (state, actor, reason)).collect()
    }
}

fn line(state: SandboxState, actor: Actor, reason: &str) -> (SandboxState, Actor, Option<String>) {
    (state, actor, (!reason.is_empty()).then(|| reason.to_owned()))
}

#[tokio::test]
async fn callers_timers_ends_and_failures_are_told_apart() {
    use SandboxState as S;

    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    server.driver.exit(id, Exit::Signal(9));
    server.until_state(id, S::Stopped).await;
    let sandboxes = server.control.sandboxes();
    sandboxes.start(&server.principal, "first").await.unwrap();
    machine.advance_clock(minutes(15));
    server.until_state(id, S::Stopped).await;
    server.driver.fail_next(Operation::Start, Fault::Host);
    sandboxes.start(&server.principal, "first").await.unwrap_err();

    let ended = "signal 9 ended its process 1";
    let idle = "nobody used it for as long as it may run unused";
    let wanted = [
        line(S::Started, Actor::Caller, ""),
        line(S::Stopping, Actor::Sandbox, ended),
        line(S::Stopped, Actor::Sandbox, ended),
        line(S::Starting, Actor::Caller, ""),
        line(S::Started, Actor::Caller, ""),
        line(S::Stopping, Actor::Timer, idle),
        line(S::Stopped, Actor::Timer, idle),
        line(S::Starting, Actor::Caller, ""),
        line(S::Stopped, Actor::Server, "it could not be started"),
    ];
    assert_eq!(server.told(id).await, wanted);

    server.shut_down().await;
    let server = machine.start().await;
    assert_eq!(server.told(id).await, wanted);
    let stranger = Principal {
        organization: OrganizationId::from_random([9; 16]),
        ..server.principal.clone()
    };
    let hidden = server.control.sandboxes().story(&stranger, &id.to_string(), 0).await;
    assert!(matches!(hidden, Err(StoryError::Find(_))), "{hidden:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn memory_that_runs_out_is_told_in_the_state_that_it_happened_in() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    let mut events = server.control.events();
    server.driver.run_out_of_memory(id, 1);
    let told = events.recv().await.unwrap();
    assert!(
        matches!(&told, Event::MemoryRanOut { sandbox, killed: 1 } if sandbox.spec.id == id),
        "{told:?}"
    );
    server.driver.run_out_of_memory(id, 3);
    server.driver.exit(id, Exit::Signal(9));
    server.until_state(id, SandboxState::Stopped).await;

    let ended = "signal 9 ended its process 1";
    let wanted = [
        line(SandboxState::Started, Actor::Caller, ""),
        line(
            SandboxState::Started,
            Actor::Sandbox,
            "its memory of 1 GiB was used up: 1 process was killed",
        ),
        line(
            SandboxState::Started,
            Actor::Sandbox,
            "its memory of 1 GiB was used up: 3 processes were killed",
        ),
        line(SandboxState::Stopping, Actor::Sandbox, ended),
        line(SandboxState::Stopped, Actor::Sandbox, ended),
    ];
    assert_eq!(server.told(id).await, wanted);
    // Of a sandbox that is not known here, nobody is told.
    server.driver.run_out_of_memory(SandboxId::from_random([7; 16]), 1);
    server.shut_down().await;
}
